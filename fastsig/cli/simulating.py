"""Code shared by the commands of ``fastsig simulate``: options, components, the truth."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import click

from fastsig.cli import common

__all__ = ["Destination", "check_truth", "diode_option", "duration_option", "file_rows_option",
           "finish", "fstart_option", "name_option", "parameters", "receiver_options", "rfi_option",
           "send", "sending_options", "sends", "sky_options", "spectra_loss_option",
           "start_time_option", "truth_option"]

_LATE_S = 0.1  # from which on the delay of packets is reported

#: Help of ``--level`` of spectra.
LEVEL = ("Set the level of the system noise, averaged over the band, in the units of the "
         "products.")

#: Options of commands that send packets, in addition to ``--to``.
SENDING = ("network", "speed", "cycle")

_RING = "psrdada:"  # beginning of the name of a PSRDADA ring buffer
_OR_RING = " or psrdada:KEY"

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
                            help="Also write a record of the simulated contents (the truth "
                                 "record) to this JSON file.")

file_rows_option = click.option("--file-rows", type=click.IntRange(1), metavar="N",
                                help="Split the recording into files with tables of at most N "
                                     "rows.")

name_option = click.option(
    "--name", metavar="NAME", default="SIMULATED", show_default=True,
    help="Set the name of the source or project, which is part of file names like FAST's.")

fstart_option = click.option("--fstart", metavar="FREQ", default="1000MHz", show_default=True,
                             help="Set the sky frequency of the lower edge of the band.")


def start_time_option(first: str) -> Callable[[common.Command], common.Command]:
    """Return the option ``--start-time``; `first` is what begins at this time."""
    return click.option(
        "--start-time", metavar="TIME", default="2026-01-01T00:00:00", show_default=True,
        help=f"Set the UTC time at which {first} begins.")


def duration_option(default: str, whole: str = "spectra"
                    ) -> Callable[[common.Command], common.Command]:
    """Return the option ``--duration``; the length is rounded to a number of `whole`."""
    return click.option("--duration", metavar="TIME", default=default, show_default=True,
                        help=f"Set the duration of the recording, rounded to whole {whole}.")


diode_option = click.option(
    "--diode", metavar="KEY=VALUE,...",
    help="Add a noise diode, specified by temperature (low, high or a value in K) and, in ticks of "
         "4 ns, by period, on (how long it is on) and first (when it is first switched on).")

rfi_option = click.option(
    "--rfi", metavar="KEY=VALUE,...", multiple=True,
    help="Add interference, specified by start, duration, low and high (edges of its band), and "
         "temperature. May be repeated.")

spectra_loss_option = click.option(
    "--loss", metavar="KEY=VALUE,...",
    help="Simulate lost spectra: a random fraction (e.g. fraction=0.02), those listed (e.g. "
         "rows=30-41+77), or both.")

receiver_options = common.options(
    click.option("--seed", metavar="N", default="1", show_default=True,
                 help="Set the seed of the random numbers."),
    click.option("--tsys", metavar="T", default="20K", show_default=True,
                 help="Set the system temperature in each polarisation, excluding the simulated "
                      "signals."),
    click.option("--noise/--no-noise", default=True, show_default=True,
                 help="Include, or leave out, the system noise."),
    click.option("--bandpass", default="fast", show_default=True,
                 type=click.Choice(["fast", "flat"]),
                 help="Use this bandpass shape; fast is a model, not FAST's measured bandpass."),
    click.option("--dispersion-constant", metavar="K",
                 help="Use this dispersion constant, in MHz^2 pc^-1 cm^3 s, e.g. 4148.808.  "
                      "[default: 1/2.41e-4]"),
)

sending_options = common.options(
    click.option("--network", metavar="KEY=VALUE,...",
                 help="With --to udp://, alter the packets as specified by loss, duplicates, "
                      "reorder (largest delay, in packets), first (initial counter), beam, jumps "
                      "(time:counter steps), silences (time:duration) and seed."),
    click.option("--speed", metavar="X",
                 help="If the recording is sent (see --to), send X seconds of it per second or, "
                      "if X is 0, send it as fast as possible.  [default: 1]"),
    click.option("--cycle", metavar="TIME",
                 help="If the recording is sent (see --to), simulate only its first TIME, and "
                      "send this part repeatedly."),
)

sky_options = common.options(
    diode_option,
    click.option("--source", metavar="KEY=VALUE,...",
                 help="Add a continuum source, specified by the Stokes parameters i, q, u and v "
                      "in K, where I = AA + BB."),
    click.option("--line", metavar="KEY=VALUE,...",
                 help="Add a spectral line, specified by peak, fwhm (in Hz or km/s), frequency "
                      "(by default, that of HI) and velocity."),
    click.option("--pulsar", metavar="KEY=VALUE,...",
                 help="Add a pulsar, specified by period (or polyco), dm, duty, peak, time, "
                      "linear, angle, circular, rm, pdot, orbit (period), size (a sin i / "
                      "c), node (time of the ascending node) and nulls (fraction)."),
    click.option("--burst", metavar="KEY=VALUE,...",
                 help="Add a burst, specified by time, fwhm, dm, peak, linear, angle and "
                      "circular."),
    click.option("--carrier", metavar="KEY=VALUE,...", multiple=True,
                 help="Add a carrier, specified by frequency, level (in units of the noise rms), "
                      "drift, angle and phase (in turns; ignored for spectra). May be repeated."),
    rfi_option,
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


class Destination(click.Choice):  # type: ignore[type-arg]
    """The type of an option that names a format, or the address of a receiver of packets."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None
                ) -> Any:
        """Return a format in lower case, or an address as it is."""
        if str(value).startswith("udp://") or (
                self.choices and str(value).startswith(_RING)):
            return value
        if not self.choices:
            self.fail(f"{value!r}; allowed: udp://HOST:PORT", parameter, context)
        return super().convert(value, parameter, context)


def sends(output: str | None, options: dict[str, Any], without: tuple[str, ...], *,
          ring: bool = False) -> bool:
    """Whether packets are sent; refuse the options `without` then, and others if they are not.

    `ring` is whether the samples may also be written into a ring buffer.
    """
    to = options["to"]
    given = ["-o"] if output is not None else []
    if to is not None and to.startswith(("udp://", _RING)):
        source = click.get_current_context().get_parameter_source
        given += [f"--{name.replace('_', '-')}" for name in without
                  if source(name) is click.core.ParameterSource.COMMANDLINE]
        if given:
            raise click.UsageError(f"{given[0]} with --to {to}, which writes no file")
        if to.startswith(_RING) and options["network"] is not None:
            raise click.UsageError(f"--network with --to {to}; allowed: with --to udp://HOST:PORT")
        return True
    for name in SENDING:
        if options[name] is not None:
            there = f"--to udp://HOST:PORT{_OR_RING if ring and name != 'network' else ''}"
            raise click.UsageError(f"--{name} without {there}")
    if output is None:
        raise click.UsageError("Missing option '-o' / '--output', or --to udp://HOST:PORT"
                               f"{_OR_RING if ring else ''}.")
    return False


def send(recording: Any, options: dict[str, Any], overwrite: bool) -> None:
    """Send a recording as packets, or to a PSRDADA ring buffer, and report what was sent."""
    from fastsig import simulate as library
    from fastsig.io.files.safe import check_output
    from fastsig.simulate.values import from_text

    if options["truth"] is not None:
        check_output(options["truth"], overwrite=overwrite)
    if options["to"].startswith(_RING):
        with common.progress(0, "send", quiet=options["quiet"]) as advance:
            written = library.write_ring(recording, options["to"], speed=options["speed"] or 1,
                                         cycle=options["cycle"], progress=advance)
        late = f", the last ones {written.late_s:.2g} s late" if written.late_s > _LATE_S else ""
        common.say(f"wrote {written.bytes} bytes in {written.seconds:.3g} s{late}",
                   options["quiet"])
        finish(recording, [], options, overwrite)
        return
    network = from_text(library.Network, "--network", options["network"] or "")
    with common.progress(0, "send", quiet=options["quiet"]) as advance:
        sent = library.send(recording, options["to"], network, speed=options["speed"] or 1,
                            cycle=options["cycle"], progress=advance)
    late = f", the last one {sent.late_s:.2g} s late" if sent.late_s > _LATE_S else ""
    common.say(f"sent {sent.packets} packets in {sent.seconds:.3g} s{late}", options["quiet"])
    if sent.refused:
        common.say(f"no program listened on {options['to']} for some packets", options["quiet"])
    finish(recording, [], options, overwrite)


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
