"""``fastsig simulate``: simulate recordings whose true contents are known."""

from __future__ import annotations

from typing import Any

import click

from fastsig.cli import common, simulating, simulating_scan, simulating_spectra
from fastsig.cli.driver import VOLTAGES, lossy_option

__all__ = ["simulate"]


@click.group(cls=common.Group)
def simulate() -> None:
    """Simulate recordings whose true contents are known."""


@simulate.command("fast-voltage")
@common.output_option("Write the recording to this file; {file} in the name is replaced by the "
                      "file number. Required unless --to is udp://HOST:PORT or psrdada:KEY.",
                      required=False)
@common.workers_option
@click.option("--to", type=simulating.Destination(VOLTAGES),
              help="Write in this format, send packets to udp://HOST:PORT, or write to "
                   "psrdada:KEY, a PSRDADA ring buffer.  [default: implied by the extension of "
                   "PATH: guppi (.raw), dada or vdif; otherwise native]")
@simulating.sending_options
@click.option("--coarse", type=int, metavar="N",
              help="Record complex voltages in N coarse channels, to which --level and the packets "
                   "of --loss then refer.  [default: real voltages of the whole band]")
@click.option("--file-size", metavar="SIZE",
              help="Split the recording into GUPPI, DADA or VDIF files of at most this size, e.g. "
                   "1GB; if there are several files, PATH must contain {file}.")
@lossy_option
@simulating.truth_option
@simulating.duration_option("1ms", "samples")
@simulating.fstart_option
@click.option("--bandwidth", metavar="FREQ", default="500MHz", show_default=True,
              help="Set the bandwidth, at most 500MHz; the sample rate of real samples is twice "
                   "the bandwidth.")
@click.option("--sideband", default="upper", show_default=True,
              type=click.Choice(["upper", "lower"]),
              help="Record the band as an upper sideband or, reversed, as a lower sideband.")
@simulating.start_time_option("sample 0")
@click.option("--level", metavar="X", default="20", show_default=True,
              help="Set the rms of the system noise, in quantisation steps of the 8-bit samples.")
@simulating.receiver_options
@simulating.sky_options
@click.option("--loss", metavar="KEY=VALUE,...",
              help="Simulate lost packets of 4096 samples (with --coarse, of 8192 bytes): a random "
                   "fraction (e.g. fraction=0.02), those listed (e.g. packets=X:30-41+Y:7), or "
                   "both.")
@common.message_options(verbose="Report which temporary files of killed runs are removed and, for "
                                "GUPPI, DADA and VDIF files, print the plan and the time taken.")
@common.debug_option
def fast_voltage(output: str | None, overwrite: bool, workers: int | None, **options: Any) -> None:
    """Simulate the voltages of one FAST beam.

    The 8-bit samples are real or, with --coarse, complex. The polarisations A and B are called X
    and Y in --loss, in messages and in the file. Physical values other than DMs, rotation measures
    and the times of the noise diode need units, e.g. --pulsar period=5ms,dm=10,duty=0.05,peak=30K.
    A native file contains a record of the simulated contents (the truth record). Times of pulsars
    and bursts are times of arrival at the upper edge of the band.
    """
    from fastsig import simulate as library
    from fastsig.io.files.outputs import output_names
    from fastsig.io.files.safe import check_output
    from fastsig.run.voltage_file import voltage_format

    quiet = options["quiet"]
    if simulating.sends(output, options, ("file_size", "lossy", "coarse"), ring=True):
        simulating.send(_recording(options), options, overwrite)
        return
    assert output is not None
    options["to"] = voltage_format(output, options["to"]) or "native"
    if options["to"] == "native":
        if options["file_size"] is not None:
            raise click.UsageError("native files are not split; allowed: no --file-size")
        output = output_names(output, 1)[0]
        check_output(output, overwrite=overwrite)
    simulating.check_truth(options["truth"], output, overwrite)
    recording = _recording(options)
    if options["to"] == "native":
        with common.progress(2 * recording.n_time, "simulate", quiet=quiet) as advance:
            report = library.write(recording, output, workers=workers, overwrite=overwrite,
                                   progress=advance)
        for name, clipped, lost in zip("XY", report.n_clipped, report.n_lost, strict=True):
            common.say(f"{name}: {report.n_time} samples, {clipped} clipped, {lost} lost", quiet)
        names = [output]
    else:
        names = _write_as(recording, output, overwrite, workers, options)
    simulating.finish(recording, names, options, overwrite)


def _recording(options: dict[str, Any]) -> Any:
    """Return the recording requested: digitised voltages, or the output of a coarse filter bank."""
    from fastsig import simulate as library

    parameters = simulating.parameters(
        options, "Loss", without=("to", "coarse", "file_size", "lossy", *simulating.SENDING))
    if options["coarse"] is None:
        return library.FastVoltage(**parameters)
    loss = parameters.pop("loss", None)
    return library.CoarseVoltage(library.FastVoltage(**parameters), options["coarse"], loss=loss)


def _write_as(recording: Any, output: str, overwrite: bool, workers: int | None,
              options: dict[str, Any]) -> list[str]:
    """Write in a format other than the native one, and return the names of the files."""
    from fastsig.run.products import write
    from fastsig.simulate import SimulatedVoltages
    from fastsig.work.memory import parse_bytes

    size = None if options["file_size"] is None else parse_bytes(options["file_size"])
    stream = SimulatedVoltages(recording)
    with common.progress_of_passes(options["quiet"]) as advance:
        product = write(stream, output, to=options["to"], file_bytes=size, workers=workers,
                        overwrite=overwrite, lossy=options["lossy"], progress=advance)
    lost = recording.n_time - round(recording.n_time * stream.valid_fraction())
    common.say(f"{recording.n_time} samples, {lost} lost", options["quiet"])
    return product.files


simulate.add_command(simulating_spectra.fast_psrfits)
simulate.add_command(simulating_spectra.fast_spectral)
simulate.add_command(simulating_scan.fast_scan)
