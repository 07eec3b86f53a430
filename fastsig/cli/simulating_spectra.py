"""``fastsig simulate fast-psrfits`` and ``fast-spectral``: simulate spectra with known truth."""

from __future__ import annotations

from typing import Any

import click

from fastsig.cli import common, simulating

__all__ = ["fast_psrfits", "fast_spectral"]

OBSERVING = ("tracking", "drifting", "arcdrift", "onoff", "MultiBeamOTF", "snapshot")

_OUTPUT = ("Write to this file ({file} in the name is replaced by the file number, starting at "
           "0001), or write files with names like FAST's into this folder.")

_common = common.options(
    common.workers_option,
    simulating.file_rows_option,
    simulating.truth_option,
    simulating.name_option,
    click.option("--beam", metavar="N", default="1", show_default=True,
                 help="Set the number of the beam, 1 to 19."),
    click.option("--observing", default="tracking", show_default=True,
                 type=click.Choice(OBSERVING),
                 help="Set the observing mode, which is part of file names like FAST's."),
    simulating.fstart_option,
    simulating.start_time_option("spectrum 0"),
    simulating.receiver_options,
    simulating.sky_options,
    simulating.spectra_loss_option,
)


@click.command("fast-psrfits")
@common.output_option(f"{_OUTPUT} Required without --to.", required=False)
@_common
@click.option("--to", metavar="udp://HOST:PORT", type=simulating.Destination(()),
              help="Send packets like those of FAST's backend (4096 channels, 8 bits) to this "
                   "address instead of writing the spectra to files.")
@simulating.sending_options
@click.option("--bits", default="8", show_default=True, type=click.Choice(["8", "16", "32"]),
              help="Write samples of this many bits. 32-bit samples are floats; samples of 8 or 16 "
                   "bits are integers with a scale and an offset for each row, product and "
                   "channel.")
@click.option("--n-block", default=1024, show_default=True, type=click.IntRange(1), metavar="N",
              help="Write this many spectra per row (NSBLK).")
@simulating.duration_option("201.326592ms")
@click.option("--integration", metavar="TIME", default="49.152us", show_default=True,
              help="Set the integration time of a spectrum, which must be an exact multiple of 1 / "
                   "channel width. FAST uses 49.152us, 98.304us and 196.608us.")
@click.option("--n-chan", metavar="N", default="4096", show_default=True,
              help="Divide the band into N channels.")
@click.option("--bandwidth", metavar="FREQ", default="500MHz", show_default=True,
              help="Set the bandwidth, at most 500MHz.")
@click.option("--level", metavar="X", default="40", show_default=True, help=simulating.LEVEL)
@common.message_options(verbose=common.SAYS_SWEPT)
@common.debug_option
def fast_psrfits(output: str | None, overwrite: bool, workers: int | None, **options: Any) -> None:
    """Simulate PSRFITS spectra of one FAST beam.

    The products are AA, BB, CR and CI. Physical values other than DMs, rotation measures and the
    times of the noise diode need units, e.g. --pulsar period=5ms,dm=10,duty=0.05,peak=30K. Times of
    pulsars and bursts are times of arrival at the upper edge of the band. If --diode specifies no
    times, the noise diode switches as in FAST's pulsar mode.
    """
    from fastsig import simulate as library

    own = ("bits", "n_block", "file_rows", "observing", "to", *simulating.SENDING)
    sends = simulating.sends(output, options, ("file_rows", "bits", "n_block"))
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
@click.option("--n-chan", metavar="N",
              help="Make N channels, starting at --fstart.  [default: all channels of the mode]")
@simulating.duration_option("20s")
@click.option("--integration", metavar="TIME", default="1.00663296s", show_default=True,
              help="Set the integration time of a spectrum. FAST uses 0.100663296s, 0.50331648s "
                   "and 1.00663296s.")
@click.option("--level", metavar="X", default="5e11", show_default=True, help=simulating.LEVEL)
@common.message_options(verbose=common.SAYS_SWEPT)
@common.debug_option
def fast_spectral(output: str, overwrite: bool, workers: int | None, **options: Any) -> None:
    """Simulate spectral FITS files of one FAST beam.

    The products are AA, BB, CR and CI. Physical values other than DMs, rotation measures and the
    times of the noise diode need units, e.g. --line peak=5K,fwhm=100kHz,velocity=200km/s. Lost
    spectra are left out of the table. The times of the noise diode are in ticks of 4 ns: 251658240
    ticks are 1.00663296 s.
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
