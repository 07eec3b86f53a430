"""``fastsig switch``: reduce switched spectra to antenna temperature."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import click

from fastsig.cli import common
from fastsig.work.counted import counted

_NAMES = {"ps": "position_switched", "fs": "frequency_switched", "nod": "nodded",
          "tp": "total_power"}
_OF_TABLES = ("scan", "ifnum", "plnum", "fdnum", "feeds", "sig", "integrations")
_OF_STREAMS = ("period", "on", "first", "settle", "diode", "overrides")


def _integers(context: click.Context, parameter: click.Parameter, value: str | None
              ) -> list[int] | None:
    """Parse whole numbers from text such as ``0,2,5-9``."""
    if value is None:
        return None
    spans = [re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", part) for part in value.split(",")]
    found = [number for span in spans if span
             for number in range(int(span[1]), int(span[2] or span[1]) + 1)]
    if not all(spans) or not found or len(set(found)) < len(found):
        raise click.BadParameter(f"{value!r} is not distinct whole numbers, such as 0,2,5-9")
    return found


def _schedule(context: click.Context, parameter: click.Parameter, value: str | None
              ) -> tuple[int, int, int] | None:
    """Parse ticks from text such as ``period=503316480,on=251658240,first=0``."""
    if value is None:
        return None
    given = dict(re.findall(r"(?:^|,)(period|on|first)=(\d{1,18})(?=,|$)", value))
    if len(given) != value.count(",") + 1 or not {"period", "on"} <= set(given):
        raise click.BadParameter(f"{value!r} is not period=TICKS,on=TICKS,first=TICKS, in ticks "
                                 "of 4 ns")
    ticks = {key: int(number) for key, number in given.items()}
    if not 0 < ticks["on"] < ticks["period"]:
        raise click.BadParameter(f"{value!r}: on is not above 0 and below the period")
    return ticks["period"], ticks["on"], ticks.get("first", 0)


def _kelvins(context: click.Context, parameter: click.Parameter, value: str | None
             ) -> list[str] | None:
    """Parse temperatures from text such as ``20K`` or ``20.5K,21K``."""
    from fastsig.axes.units import number

    if value is None:
        return None
    texts = [part.strip() for part in value.split(",")]
    for text in texts:
        number(text, "K", parameter.name or "")
    return texts


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common.output_option("Write the product to this FBH5 file.")
@click.option("--mode", type=click.Choice(["ps", "fs", "nod", "tp", "onoff"]), required=True,
              help="Reduce spectra taken in this mode: position switching (ps), frequency "
                   "switching (fs), nodding between two feeds (nod), total power (tp) or, in any "
                   "file format, on-off switching at fixed times (onoff).")
@click.option("--scan", type=int, metavar="N",
              help="Reduce this scan, which may be either scan of a pair; required in all modes "
                   "except onoff.")
@click.option("--ifnum", type=int, metavar="N",
              help="Use this spectral window (IFNUM) of the SDFITS file.  [default: 0]")
@click.option("--plnum", type=int, metavar="N",
              help="Use this polarisation (PLNUM) of the SDFITS file.  [default: 0]")
@click.option("--fdnum", type=int, metavar="N",
              help="Use this feed (FDNUM) of the SDFITS file; with nod, use --feeds instead.  "
                   "[default: 0]")
@click.option("--feeds", metavar="N,N", callback=_integers,
              help="With nod, specify the feeds that are on the source in the first and in the "
                   "second scan.  [default: the two feeds with the lowest numbers]")
@click.option("--sig", type=click.Choice(["T", "F"]),
              help="With tp, use this switching state (SIG).  [default: T]")
@click.option("--integrations", metavar="LIST", callback=_integers,
              help="Use these integrations of the scan, counted from 0, e.g. 0,2,5-9.  [default: "
                   "all of them]")
@click.option("--period", metavar="TIME",
              help="With onoff, set the time from the start of one phase on the source to the "
                   "start of the next. Required with onoff.")
@click.option("--on", metavar="TIME",
              help="With onoff, set the duration of each phase on the source.  [default: half the "
                   "period]")
@click.option("--first", metavar="TIME",
              help="With onoff, set the start of the first phase on the source, measured from "
                   "the start of the data; it may be negative.  [default: 0s]")
@click.option("--settle", metavar="TIME",
              help="With onoff, leave out the data within this time after each move of the "
                   "telescope.  [default: 0s]")
@click.option("--diode", metavar="KEY=VALUE,...", callback=_schedule,
              help="With onoff, set the schedule of the noise diode: period, on and first in "
                   "ticks of 4 ns (in calibrate, they are times).  [default: the schedule in the "
                   "header or, if it states none, always off]")
@click.option("--tsys", metavar="K[,K]", callback=_kelvins,
              help="Use this off-source system temperature instead of measuring it with the "
                   "noise diode; with onoff, give one value, or one for each polarisation.")
@click.option("--tcal", metavar="K[,K]", callback=_kelvins,
              help="Set the temperature of the noise diode; with onoff, give one value, or one for "
                   "each polarisation.  [default: TCAL of the SDFITS file; with onoff, none]")
@click.option("--smooth-ref", metavar="N", type=int, default=1, show_default=True,
              help="Smooth the reference spectrum over this many channels; an even number is "
                   "increased by one.")
@click.option("--n-eff", metavar="X", type=float, default=1.0, show_default=True,
              help="When computing the expected noise, multiply the number of independent samples "
                   "(channel spacing times effective exposure) by this factor.")
@click.option("--rows", type=click.Choice(["average", "all"]), default="average",
              show_default=True, help="Write the average, or one spectrum for each integration "
                                      "(with onoff, for each cycle).")
@common.picture_option("the average spectrum and the individual spectra")
@common.hash_option
@common.json_option
@common.set_option
@common.quiet_options
@common.debug_option
def switch(files: tuple[str, ...], output: str, **options: Any) -> None:
    """Reduce switched spectra to antenna temperature.

    In all modes but onoff, FILE is a single SDFITS file. With --mode onoff, the files contain the
    spectra of one scan, in any format. With --mode tp, the product contains mean powers in the
    units (counts) in which the file records them. The option --set is accepted only with --mode
    onoff.
    """
    from fastsig.io.files.safe import check_output
    from fastsig.reductions.switching.spectrum import average, record, write
    from fastsig.view import check_picture, draw_switched

    check_output(output, overwrite=options["overwrite"], inputs=files)
    if options["picture"] is not None:
        check_picture(options["picture"])
        check_output(options["picture"], overwrite=options["overwrite"], inputs=files)
    rows = _of_stream(files, options) if options["mode"] == "onoff" else _of_table(files, options)
    mean = average(rows)
    made = mean if options["rows"] == "average" else rows
    if options["picture"] is not None:
        draw_switched(mean.stream(), rows.stream(), options["picture"],
                      overwrite=options["overwrite"], notes=_summary(rows, mean).split("; "))
    write(made, output, overwrite=options["overwrite"], hash_inputs=options["hash_inputs"])
    common.say(_summary(rows, mean), options["quiet"])
    if options["as_json"]:
        common.print_json({"output": output, "shape": list(made.values.shape),
                           "unit": made.unit, **record(made)})
    for name in filter(None, (output, options["picture"])):
        common.say(f"wrote {name}", options["quiet"])


def _of_table(files: tuple[str, ...], options: dict[str, Any]) -> Any:
    """Reduce a scan of an SDFITS file to rows."""
    from fastsig.reductions.switching import scans as switched

    mode = options["mode"]
    if len(files) > 1:
        raise click.UsageError(f"--mode {mode} accepts one SDFITS file, not {len(files)}")
    _refuse(mode, options, _OF_STREAMS)
    _refuse(mode, options, {"nod": ("fdnum", "sig"), "tp": ("feeds",)}.get(mode, ("feeds", "sig")))
    if options["scan"] is None:
        raise click.UsageError(f"--mode {mode} requires --scan")
    picks = {key: options[key] for key in _OF_TABLES if options[key] is not None}
    picks |= {key: _single(key, options[key]) for key in ("tsys", "tcal") if options[key]}
    return getattr(switched, _NAMES[mode])(
        files[0], picks.pop("scan"), smooth_ref=options["smooth_ref"], n_eff=options["n_eff"],
        **picks)


def _of_stream(files: tuple[str, ...], options: dict[str, Any]) -> Any:
    """Reduce the cycles of a stream of spectra to rows."""
    from fastsig.axes.diode_schedule import DiodeSchedule
    from fastsig.chain import open_chain
    from fastsig.reductions.switching.on_off import on_off

    _refuse("onoff", options, _OF_TABLES)
    if options["period"] is None:
        raise click.UsageError("--mode onoff requires --period")
    ticks = options["diode"]
    diode = None if ticks is None else DiodeSchedule(*ticks)
    times = {key: options[key] for key in ("on", "first", "settle") if options[key] is not None}
    levels = {key: options[key][0] if len(options[key]) == 1 else options[key]
              for key in ("tsys", "tcal") if options[key]}
    with open_chain(files, **common.parse_overrides(options["overrides"])) as source:
        return on_off(source.stream, options["period"], diode=diode, n_eff=options["n_eff"],
                      smooth_ref=options["smooth_ref"], **times, **levels)


def _refuse(mode: str, options: dict[str, Any], names: tuple[str, ...]) -> None:
    """Refuse options of another mode."""
    for name in names:
        if options[name] not in (None, ()):
            option = "set" if name == "overrides" else name
            raise click.UsageError(f"--{option} is not an option of --mode {mode}")


def _single(name: str, values: list[float]) -> float:
    if len(values) > 1:
        raise click.UsageError(f"--{name} accepts one temperature for a polarisation of SDFITS")
    return values[0]


def _summary(rows: Any, mean: Any) -> str:
    """Return the exposure, and the Tsys of each product and feed, as one line."""
    parts = []
    for k, name in enumerate(mean.header.polarization.names):
        parts.append(f"{name}: Tsys {mean.tsys[0, k]:.5g} K, noise {mean.measured[0, k]:.4g} "
                     f"{mean.unit}, {mean.ratio[0, k]:.3f} of the radiometer equation's")
    n = counted(len(rows.values), "row")
    parts += [_of_beam(beam) for beam in rows.stages[0]["parameters"].get("beams", ())]
    return f"{n} of {mean.exposure[0]:.4g} s effective exposure; {'; '.join(parts)}"


def _of_beam(beam: Mapping[str, Any]) -> str:
    """Return text such as ``feed 0: on scan 153, off scan 152, Tsys 17.19 K``."""
    return (f"feed {beam['fdnum']}: on scan {beam['on_scan']}, off scan {beam['off_scan']}, "
            f"Tsys {beam['tsys_k']:.5g} K")
