"""``fastsig plan-dm``: plan the dispersion measures of a search."""

from __future__ import annotations

from typing import Any

import click

from fastsig.cli import common

_BAND = ("fstart", "bandwidth", "n_chan", "sample_time")
_HEAD = ("low DM", "high DM", "step", "down", "DMs", "sample", "channel", "step", "tree", "total",
         "S/N kept", "memory")


@click.command("plan-dm")
@click.argument("files", nargs=-1, metavar="[FILE...]")
@click.option("--dm", "dms", metavar="LOW:HIGH", default="0:3000", show_default=True,
              help="Plan for dispersion measures from LOW to HIGH, in pc cm^-3.")
@click.option("--width", metavar="TIME",
              help="Plan for pulses of this width (FWHM) or wider, e.g. 1ms.  [default: 0 for "
                   "the choice of steps and downsampling; the sample time for the S/N kept]")
@click.option("--loss", type=float, metavar="X", default=0.1, show_default=True,
              help="Choose steps such that a pulse as wide as --width, halfway between two "
                   "dispersion measures, loses at most a fraction X of its S/N.")
@click.option("--fstart", metavar="FREQ",
              help="If no FILE is given, set the lower edge of the band, e.g. 1000MHz.")
@click.option("--bandwidth", metavar="FREQ",
              help="If no FILE is given, set the width of the band, e.g. 500MHz.")
@click.option("--n-chan", type=click.IntRange(2, 2**16), metavar="N",
              help="If no FILE is given, set the number of channels.")
@click.option("--sample-time", metavar="TIME",
              help="If no FILE is given, set the time from one spectrum to the next, "
                   "e.g. 49.152us.")
@click.option("-o", "--output", type=common.OutputPath(), metavar="PATH",
              help="Write the plan to this ECSV file.")
@common.picture_option("the pulse broadening and the remaining S/N")
@click.option("--overwrite", is_flag=True, help="Replace existing output files.")
@common.set_option
@common.json_option
@common.message_options(verbose=common.SAYS_FORMATS)
@common.debug_option
def plan_dm(files: tuple[str, ...], dms: str, output: str | None, **options: Any) -> None:
    """Plan a search over DMs: steps, downsampling, losses and cost.

    The plan is made for the spectra of one scan, in one or more files. If no FILE is given, the
    plan is made for the spectra that --fstart, --bandwidth, --n-chan and --sample-time describe;
    all four are then required.
    """
    from fastsig.io.files.outputs import check_text_name
    from fastsig.io.files.safe import check_output
    from fastsig.pulsar.dm_plan import dm_plan
    from fastsig.view import check_picture

    picture = options["picture"]
    _check(files, output, options)
    if output:
        check_text_name(output, ".ecsv")
    for name in filter(None, (output, picture)):
        check_output(name, overwrite=options["overwrite"], inputs=files)
    if picture:
        check_picture(picture)
    plan = dm_plan(_source(files, options), dms, width=options["width"], loss=options["loss"])
    with common.compiling(options["quiet"]):
        _ = plan.cost
    _write(plan, files, output, picture, options["overwrite"])
    if options["as_json"]:
        common.print_json({"files": list(files), "output": output, "picture": picture,
                           **plan.record()})
    elif not options["quiet"]:
        _print(plan)
    for name in filter(None, (output, picture)):
        common.say(f"wrote {name}", options["quiet"])


def _check(files: tuple[str, ...], output: str | None, options: dict[str, Any]) -> None:
    import os

    given = [name for name in _BAND if options[name] is not None]
    if files and given:
        raise click.UsageError(f"--{given[0].replace('_', '-')} describes a band without a file; "
                               "allowed: without FILE")
    if not files and len(given) < len(_BAND):
        lacking = next(name for name in _BAND if name not in given).replace("_", "-")
        raise click.UsageError(f"neither FILE nor --{lacking}; allowed: FILE, or a band given by "
                               "--fstart, --bandwidth, --n-chan and --sample-time")
    if not files and options["overrides"]:
        raise click.UsageError("--set changes the header of FILE; allowed: with FILE")
    names = [os.path.realpath(each) for each in (output, options["picture"]) if each]
    if len(set(names)) < len(names):
        raise click.UsageError(f"{output}: two files have the same name; allowed: a different "
                               "name for each")


def _source(files: tuple[str, ...], options: dict[str, Any]) -> Any:
    """Return the stream of the files, or the band that the options describe."""
    from fastsig.pulsar.stretches import Recording

    if not files:
        return Recording.of_band(*(options[name] for name in _BAND))
    from fastsig.chain import open_chain

    with open_chain(files, **common.parse_overrides(options["overrides"])) as source:
        return source.stream


def _write(plan: Any, files: tuple[str, ...], output: str | None, picture: str | None,
           overwrite: bool) -> None:
    from fastsig.run.plan_files import write_plan
    from fastsig.view import draw_dm_plan

    if output:
        write_plan(plan, output, inputs=files, overwrite=overwrite)
    if picture:
        draw_dm_plan(plan, picture, overwrite=overwrite)


def _print(plan: Any) -> None:
    """Print the stretches, widths in ms, and the cost."""
    rows = [_HEAD, *(_row(plan, each) for each in plan)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(_HEAD))]
    for row in rows:
        click.echo("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
    cost = plan.cost
    click.echo(f"{plan.n_dm} DMs; widths in ms at high DM; S/N kept by the narrowest pulse halfway "
               "between two DMs, at low DM")
    click.echo(f"trees: {cost.n_addition_per_s / 1e9:.3g} billion additions per second of data; in "
               f"a trial, one thread made {cost.rate_per_s / 1e9:.3g} billion per second: "
               f"{cost.load:.2g} threads for real time; {cost.memory_bytes / 1e6:.0f} MB")


def _row(plan: Any, stretch: Any) -> tuple[str, ...]:
    from fastsig.pulsar.costs import tree_cost

    end, begin = plan.smears(stretch.high), plan.smears(stretch.low)
    widths = (end.downsampled, end.channel, end.step, end.tree, end.total)
    return (f"{stretch.low:.3f}", f"{stretch.high:.3f}", f"{stretch.step:g}",
            str(stretch.downsampling), str(stretch.n_dm), *(f"{1e3 * each:.3f}" for each in widths),
            f"{begin.kept:.3f}", f"{tree_cost(stretch).memory_bytes / 1e6:.0f} MB")
