"""Code shared by the commands of ``fastsig simulate``: options, components, the truth."""

from __future__ import annotations

import os
from typing import Any

import click

from fastsig.cli import common

__all__ = ["check_truth", "finish", "parameters", "receiver_options", "sky_options",
           "truth_option"]

# Option -> (component, parameter of the simulator, whether it may be repeated). Loss is separate.
Components = dict[str, tuple[str, str, bool]]
COMPONENTS: Components = {
    "diode": ("Diode", "diode", False),
    "source": ("Source", "source", False),
    "line": ("Line", "line", False),
    "pulsar": ("Pulsar", "pulsar", False),
    "burst": ("Burst", "burst", False),
    "carrier": ("Carrier", "carriers", True),
    "rfi": ("RfiBurst", "rfi", True),
}


truth_option = click.option("--truth", type=common.OutputPath(), metavar="PATH",
                            help="Also write the truth record to this JSON file.")

receiver_options = common.options(
    click.option("--seed", metavar="N", default="1", show_default=True,
                 help="Set the seed of the random numbers."),
    click.option("--tsys", metavar="T", default="20K", show_default=True,
                 help="Set the noise temperature of the receiver in each polarisation."),
    click.option("--noise/--no-noise", default=True, show_default=True,
                 help="Simulate with or without receiver noise."),
    click.option("--bandpass", default="fast", show_default=True,
                 type=click.Choice(["fast", "flat"]),
                 help="Use this bandpass shape; fast is a model, not FAST's measured bandpass."),
    click.option("--dispersion-constant", metavar="NUMBER",
                 help="Set the dispersion constant, in MHz^2 pc^-1 cm^3 s.  [default: 1/2.41e-4]"),
)

sky_options = common.options(
    click.option("--diode", metavar="KEY=VALUE,...",
                 help="Add a noise diode, specified by temperature (low, high or a value in K) "
                      "and by period, on and first in ticks of 4 ns."),
    click.option("--source", metavar="KEY=VALUE,...",
                 help="Add a continuum source, specified by the Stokes parameters i, q, u and v "
                      "in K, where I = AA + BB."),
    click.option("--line", metavar="KEY=VALUE,...",
                 help="Add a spectral line, specified by peak, fwhm (in Hz or km/s), frequency "
                      "(by default, that of HI) and velocity."),
    click.option("--pulsar", metavar="KEY=VALUE,...",
                 help="Add a pulsar, specified by period, dm, duty, peak, time, linear, angle, "
                      "circular, rm, pdot, orbit, size, node and nulls, or by polyco instead of "
                      "the period."),
    click.option("--burst", metavar="KEY=VALUE,...",
                 help="Add a burst, specified by time, fwhm, dm, peak, linear, angle and "
                      "circular."),
    click.option("--carrier", metavar="KEY=VALUE,...", multiple=True,
                 help="Add a carrier, specified by frequency, level (in units of the noise rms), "
                      "drift, angle and phase. May be repeated."),
    click.option("--rfi", metavar="KEY=VALUE,...", multiple=True,
                 help="Add interference, specified by start, duration, low, high and temperature. "
                      "May be repeated."),
)


def parameters(options: dict[str, Any], loss: str, without: tuple[str, ...],
               components: Components = COMPONENTS) -> dict[str, Any]:
    """Return the parameters of a simulator, given the options of a command.

    `loss` is the type of component that describes losses, `without` lists options that are not
    parameters of the simulator, and `components` describes the other components. Components of
    one parameter whose options may be repeated are combined in one list.
    """
    from fastsig import simulate as library
    from fastsig.simulate.values import from_text

    sorts = {**components, "loss": (loss, "loss", False)}
    others = ("quiet", "debug", "truth", *without, *sorts)
    made: dict[str, Any] = {key: value for key, value in options.items()
                            if key not in others and value is not None}
    for option, (kind, parameter, again) in sorts.items():
        given = options[option]
        texts = given if again else () if given is None else (given,)
        found = [from_text(getattr(library, kind), f"--{option}", text) for text in texts]
        if found:
            made[parameter] = [*made.get(parameter, []), *found] if again else found[0]
    return made


def check_truth(path: str | None, output: str, overwrite: bool) -> None:
    """Refuse a truth record that cannot be written, or that could replace a recording's file."""
    if path is None:
        return
    from fastsig.errors import UsageError
    from fastsig.io.files.safe import check_output

    check_output(path, overwrite=overwrite)
    start, _, end = output.partition("{file}")
    name = os.path.realpath(path)
    whole = os.path.realpath(start + end) == name
    if whole or ("{file}" in output and name.startswith(os.path.realpath(start or "."))
                 and name.endswith(end)):
        raise UsageError(f"--truth {path} could be a file of the recording, -o {output}; allowed: "
                         "another name")


def finish(recording: Any, names: list[str], options: dict[str, Any], overwrite: bool) -> None:
    """Write the truth record if one is requested, and report all files."""
    if options["truth"] is not None:
        _write_truth(recording, options["truth"], overwrite)
        names = [*names, options["truth"]]
    for name in names:
        common.say(f"wrote {name}", options["quiet"])


def _write_truth(recording: Any, path: str, overwrite: bool) -> None:
    import json

    from fastsig.io.files.safe import SafeOutput

    text = json.dumps(recording.truth, indent=1, sort_keys=True) + "\n"
    with SafeOutput(path, overwrite=overwrite) as output:
        os.write(output.descriptor, text.encode())
