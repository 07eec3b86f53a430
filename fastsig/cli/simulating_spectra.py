"""``fastsig simulate fast-psrfits`` and ``fast-spectral``: simulate spectra with known truth."""

from __future__ import annotations

from typing import Any

import click

from fastsig.cli import common, simulating

__all__ = ["fast_psrfits", "fast_spectral"]

OBSERVING = ("tracking", "drifting", "arcdrift", "onoff", "MultiBeamOTF", "snapshot")

_OUTPUT = ("Write to this file, in whose name {file} is replaced by the file number, starting at "
           "0001; or write into this folder, with file names like FAST's.")

_common = common.options(
    common.workers_option,
    click.option("--file-rows", type=click.IntRange(1), metavar="N",
                 help="Split the recording into files of at most this many rows."),
    simulating.truth_option,
    click.option("--name", metavar="NAME", default="SIMULATED", show_default=True,
                 help="Set the name of the source or project, which is also used in the file "
                      "names."),
    click.option("--beam", metavar="N", default="1", show_default=True,
                 help="Set the beam number, 1 to 19."),
    click.option("--observing", default="tracking", show_default=True,
                 type=click.Choice(OBSERVING), help="Set the observing mode, which is part of "
                                                    "the file names."),
    click.option("--fstart", metavar="FREQ", default="1000MHz", show_default=True,
                 help="Set the lower edge of the band on the sky."),
    click.option("--start-time", metavar="TIME", default="2026-01-01T00:00:00", show_default=True,
                 help="Set the UTC time at which spectrum 0 begins."),
    simulating.receiver_options,
    simulating.sky_options,
    click.option("--loss", metavar="KEY=VALUE,...",
                 help="Lose spectra: a random fraction of them (e.g. fraction=0.02) and those "
                      "that are listed (e.g. rows=30-41+77)."),
    common.quiet_options,
    common.debug_option,
)

_LEVEL = ("Set the level of the receiver noise, averaged over the band, in the units of the "
          "products.")


@click.command("fast-psrfits")
@common.output_option(f"{_OUTPUT} Required, except with --to.", required=False)
@_common
@click.option("--to", metavar="udp://HOST:PORT", type=simulating.Destination(()),
              help="Write no file, and send packets of FAST's backend to this receiver: 4096 "
                   "channels of 8 bits.")
@simulating.sending_options
@click.option("--bits", default="8", show_default=True, type=click.Choice(["8", "16", "32"]),
              help="Write samples of this many bits: 32-bit samples are floats; 8-bit and 16-bit "
                   "samples are integer codes with a scale and an offset per row, product and "
                   "channel.")
@click.option("--n-block", default=1024, show_default=True, type=click.IntRange(1), metavar="N",
              help="Write this many spectra per row (NSBLK).")
@click.option("--duration", metavar="TIME", default="201.326592ms", show_default=True,
              help="Set the length of the recording, rounded to whole spectra.")
@click.option("--integration", metavar="TIME", default="49.152us", show_default=True,
              help="Set the integration time, which must be an exact multiple of 1 / channel "
                   "width. FAST uses 49.152us, 98.304us and 196.608us.")
@click.option("--n-chan", metavar="N", default="4096", show_default=True,
              help="Divide the band into this many channels.")
@click.option("--bandwidth", metavar="FREQ", default="500MHz", show_default=True,
              help="Set the bandwidth, at most 500MHz.")
@click.option("--level", metavar="X", default="40", show_default=True, help=_LEVEL)
def fast_psrfits(output: str | None, overwrite: bool, workers: int | None, **options: Any) -> None:
    """Simulate PSRFITS spectra of one FAST beam.

    The products are AA, BB, CR and CI. Give values with units, e.g. --pulsar
    period=5ms,dm=10,duty=0.05,peak=30K. Times of pulsars and bursts are times of arrival at the
    upper edge of the band. If --diode specifies no times, the noise diode switches as in FAST's
    pulsar mode.
    """
    from fastsig import simulate as library

    own = ("bits", "n_block", "file_rows", "observing", "to", *simulating.SENDING)
    sends = simulating.sends(output, options, ("file_rows",))
    recording = library.FastSpectra(
        **simulating.parameters(options, "LostSpectra", without=own))
    if sends:
        simulating.send(recording, options, overwrite)
        return
    assert output is not None
    _write(library.write_psrfits, recording, output, overwrite, options, workers=workers,
           n_bits=int(options["bits"]), n_block=options["n_block"])


@click.command("fast-spectral")
@common.output_option(_OUTPUT)
@_common
@click.option("--mode", default="W", show_default=True, type=click.Choice(["W", "F", "N"]),
              help="Record in mode W (65536 channels of 7629.39 Hz), F (1048576 channels of "
                   "476.84 Hz) or N (65536 channels of 476.84 Hz).")
@click.option("--n-chan", metavar="N", help="Make only this many channels, starting at --fstart.")
@click.option("--duration", metavar="TIME", default="20s", show_default=True,
              help="Set the length of the recording, rounded to whole spectra.")
@click.option("--integration", metavar="TIME", default="1.00663296s", show_default=True,
              help="Set the integration time of a spectrum. FAST uses 0.100663296s, 0.50331648s "
                   "and 1.00663296s.")
@click.option("--level", metavar="X", default="5e11", show_default=True, help=_LEVEL)
def fast_spectral(output: str, overwrite: bool, workers: int | None, **options: Any) -> None:
    """Simulate FAST spectral FITS files of one beam.

    The products are AA, BB, CR and CI. Give values with units, e.g. --line
    peak=5K,fwhm=100kHz,velocity=200km/s. Lost spectra are left out of the table. The times of the
    noise diode are in ticks of 4 ns: 251658240 ticks are 1.00663296 s.
    """
    from fastsig import simulate as library

    own = ("file_rows", "observing")
    recording = library.spectral(**simulating.parameters(options, "LostSpectra", without=own))
    _write(library.write_spectral, recording, output, overwrite, options, workers=workers,
           mode=options["mode"])


def _write(write: Any, recording: Any, output: str, overwrite: bool, options: dict[str, Any],
           **more: Any) -> None:
    """Write a recording and its truth record, and report them."""
    from fastsig.simulate.spectra_output import file_name

    template = file_name(recording, output, options["observing"], more.get("mode"))
    simulating.check_truth(options["truth"], template, overwrite)
    with common.progress(recording.n_time, "simulate", quiet=options["quiet"]) as advance:
        names = write(recording, output, observing=options["observing"], overwrite=overwrite,
                      file_rows=options["file_rows"], progress=advance, **more)
    common.say(f"{recording.n_time} spectra, {recording.n_lost()} lost", options["quiet"])
    simulating.finish(recording, names, options, overwrite)
