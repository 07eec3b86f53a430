"""``fastsig simulate``: recordings with known truth."""

from __future__ import annotations

from typing import Any

import click

from fastsig.cli import common

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
@common.output_option("Native file to make.")
@common.workers_option
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
    """Voltages of one FAST beam: 8-bit real samples of X and Y.

    Values take units, e.g. --pulsar period=5ms,dm=10,duty=0.05,peak=30K. The truth goes into the
    file's truth record. Times of pulsar and burst are those at the top of the band.
    """
    from fastsig import simulate as library

    quiet = options["quiet"]
    recording = library.FastVoltage(**_parameters(options))
    with common.progress(2 * recording.n_time, "simulate", quiet=quiet) as advance:
        report = library.write(recording, output, workers=workers, overwrite=overwrite,
                               progress=advance)
    for name, clipped, lost in zip("XY", report.n_clipped, report.n_lost, strict=True):
        common.say(f"{name}: {report.n_time} samples, {clipped} clipped, {lost} lost", quiet)
    common.say(f"wrote {output}", quiet)


def _parameters(options: dict[str, Any]) -> dict[str, Any]:
    """Parameters of the simulator from the options of the command line."""
    from fastsig import simulate as library
    from fastsig.simulate.values import from_text

    told = ("quiet", "debug", *COMPONENTS)
    parameters = {key: value for key, value in options.items()
                  if key not in told and value is not None}
    for option, (kind, parameter, again) in COMPONENTS.items():
        given = options[option]
        texts = given if again else () if given is None else (given,)
        made = [from_text(getattr(library, kind), f"--{option}", text) for text in texts]
        if made:
            parameters[parameter] = made if again else made[0]
    return parameters
