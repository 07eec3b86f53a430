"""``fastsig simulate``: recordings with known truth."""

from __future__ import annotations

import os
from typing import Any

import click

from fastsig.cli import common
from fastsig.cli.copying import VOLTAGES

__all__ = ["simulate"]

# Option -> (component, parameter of the simulator, whether it may be given again).
COMPONENTS = {
    "diode": ("Diode", "diode", False),
    "source": ("Source", "source", False),
    "line": ("Line", "line", False),
    "pulsar": ("Pulsar", "pulsar", False),
    "burst": ("Burst", "burst", False),
    "carrier": ("Carrier", "carriers", True),
    "rfi": ("RfiBurst", "rfi", True),
    "loss": ("Loss", "loss", False),
}


@click.group()
def simulate() -> None:
    """Make recordings with known truth."""


@simulate.command("fast-voltage")
@common.output_option("File to make; {file} in it stands for the number of each of several.")
@common.workers_option
@click.option("--to", type=click.Choice(VOLTAGES), default="native", show_default=True,
              help="Format of the file.")
@click.option("--coarse", type=int, metavar="N",
              help="Complex voltages in N channels, as a coarse filter bank records them; --level "
              "and the packets of --loss are theirs.")
@click.option("--file-size", metavar="SIZE", help="Most samples of a file, for several, e.g. 1GB.")
@click.option("--lossy", is_flag=True,
              help="Write although the format cannot carry everything.")
@click.option("--truth", metavar="PATH", help="JSON file for the truth record as well.")
@click.option("--duration", default="1ms", show_default=True, help="Rounded to whole samples.")
@click.option("--fstart", default="1000MHz", show_default=True, help="Lower edge on the sky.")
@click.option("--bandwidth", default="500MHz", show_default=True,
              help="Up to 500MHz; the sample rate is twice that.")
@click.option("--sideband", default="upper", show_default=True,
              type=click.Choice(["upper", "lower"]), help="lower records the band reversed.")
@click.option("--start-time", default="2026-01-01T00:00:00", show_default=True,
              help="UTC of sample 0.")
@click.option("--seed", default="1", show_default=True, help="Of all random numbers.")
@click.option("--level", default="20", show_default=True,
              help="Rms of receiver noise, in steps of the 8-bit samples.")
@click.option("--tsys", default="20K", show_default=True, help="Receiver noise.")
@click.option("--noise/--no-noise", default=True, show_default=True, help="Receiver noise.")
@click.option("--bandpass", default="fast", show_default=True,
              type=click.Choice(["fast", "flat"]), help="fast is a model, not FAST's own.")
@click.option("--dispersion-constant", metavar="NUMBER",
              help="MHz^2 cm^3 s / pc.  [default: 1/2.41e-4]")
@click.option("--diode", metavar="KEY=VALUE,...",
              help="temperature=low|high|K, period, on, first in ticks of 4 ns.")
@click.option("--source", metavar="KEY=VALUE,...", help="i, q, u, v in K; I = AA + BB.")
@click.option("--line", metavar="KEY=VALUE,...",
              help="peak, fwhm (Hz or km/s), frequency (HI), velocity.")
@click.option("--pulsar", metavar="KEY=VALUE,...",
              help="period, dm, duty, peak, time, linear, angle, circular.")
@click.option("--burst", metavar="KEY=VALUE,...",
              help="time, fwhm, dm, peak, linear, angle, circular.")
@click.option("--carrier", metavar="KEY=VALUE,...", multiple=True,
              help="frequency, level (of noise rms), drift, angle, phase; again for more.")
@click.option("--rfi", metavar="KEY=VALUE,...", multiple=True,
              help="start, duration, low, high, temperature; again for more.")
@click.option("--loss", metavar="KEY=VALUE,...",
              help="fraction, packets such as X:30-41+Y:7 (4096 samples each).")
@common.quiet_options
@common.debug_option
def fast_voltage(output: str, overwrite: bool, workers: int | None, **options: Any) -> None:
    """Voltages of one FAST beam: 8-bit samples of X and Y, real or in complex channels.

    Values take units, e.g. --pulsar period=5ms,dm=10,duty=0.05,peak=30K. The truth goes into a
    native file's truth record. Times of pulsar and burst are those at the top of the band.
    """
    from fastsig import simulate as library

    quiet = options["quiet"]
    if options["truth"] is not None:
        _check_truth(options["truth"], output, overwrite)
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
    if options["truth"] is not None:
        _write_truth(recording, options["truth"], overwrite)
        names.append(options["truth"])
    for name in names:
        common.say(f"wrote {name}", quiet)


def _recording(options: dict[str, Any]) -> Any:
    """What the options ask for: digitised voltages, or those behind a coarse filter bank."""
    from fastsig import simulate as library

    parameters = _parameters(options)
    if options["coarse"] is None:
        return library.FastVoltage(**parameters)
    loss = parameters.pop("loss", None)
    return library.CoarseVoltage(library.FastVoltage(**parameters), options["coarse"], loss=loss)


def _write_as(recording: Any, output: str, overwrite: bool, workers: int | None,
              options: dict[str, Any]) -> list[str]:
    """Write in a format that is not the project's own; returns the names of the files."""
    from fastsig import convert
    from fastsig.memory import parse_bytes
    from fastsig.simulate import SimulatedVoltages

    size = None if options["file_size"] is None else parse_bytes(options["file_size"])
    stream = SimulatedVoltages(recording)
    writer = convert.plan(stream, output, to=options["to"], file_bytes=size)
    convert.refuse_losses(writer, options["lossy"])
    with common.progress(recording.n_time, "simulate", quiet=options["quiet"]) as advance:
        convert.copy(writer, stream, workers=workers, overwrite=overwrite, progress=advance)
    lost = recording.n_time - round(recording.n_time * stream.valid_fraction())
    common.say(f"{recording.n_time} samples, {lost} lost", options["quiet"])
    return [name for name, _ in writer.files]


def _check_truth(path: str, output: str, overwrite: bool) -> None:
    from fastsig.errors import UsageError
    from fastsig.io.safe import check_output

    check_output(path, overwrite=overwrite)
    start, _, end = output.partition("{file}")
    name = os.path.realpath(path)
    whole = os.path.realpath(start + end) == name
    if whole or ("{file}" in output and name.startswith(os.path.realpath(start or "."))
                 and name.endswith(end)):
        raise UsageError(f"--truth {path} may be a file of the recording, -o {output}; allowed: "
                         "another name")


def _write_truth(recording: Any, path: str, overwrite: bool) -> None:
    import json

    from fastsig.io.safe import SafeOutput

    text = json.dumps(recording.truth, indent=1, sort_keys=True) + "\n"
    with SafeOutput(path, overwrite=overwrite) as output:
        os.write(output.descriptor, text.encode())


def _parameters(options: dict[str, Any]) -> dict[str, Any]:
    """Parameters of the simulator from the options of the command line."""
    from fastsig import simulate as library
    from fastsig.simulate.values import from_text

    told = ("quiet", "debug", "to", "coarse", "file_size", "lossy", "truth", *COMPONENTS)
    parameters = {key: value for key, value in options.items()
                  if key not in told and value is not None}
    for option, (kind, parameter, again) in COMPONENTS.items():
        given = options[option]
        texts = given if again else () if given is None else (given,)
        made = [from_text(getattr(library, kind), f"--{option}", text) for text in texts]
        if made:
            parameters[parameter] = made if again else made[0]
    return parameters
