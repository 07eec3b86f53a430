"""``fastsig search``: search recordings, and compare beams and scans."""

from __future__ import annotations

from typing import Any

import click

from fastsig.cli import (
    common,
    driver,
    excision,
    injecting,
    search_drift,
    search_events,
    search_pulsars,
)
from fastsig.cli.search_beams import beams
from fastsig.work.counted import counted

__all__ = ["search"]

_MOST_CUT_OUTS = 100


@click.group(cls=common.Group)
def search() -> None:
    """Search recordings for bursts, pulsars and drifting carriers.

    fastsig search events compares the drifting carriers that were found in several scans, and
    fastsig search beams compares the results of several beams.
    """


@search.command("bursts")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common.output_option("Write the candidates to this file: .ecsv, .singlepulse (PRESTO), .cand "
                      "(heimdall) or .cands (TransientX).")
@click.option("--dm", "dms", metavar="LOW:HIGH", default="0:3000", show_default=True,
              help="Search dispersion measures from LOW to HIGH, in pc cm^-3.")
@click.option("--width", metavar="SHORT:LONG",
              help="Search for pulses with widths from SHORT to LONG, e.g. 0.1ms:100ms.  "
                   "[default: from one sample to 100ms]")
@click.option("--threshold", type=float, metavar="X", default=7.0, show_default=True,
              help="Report pulses whose S/N is at least X.")
@click.option("--loss", metavar="X", default="0.05", show_default=True,
              help="Choose the steps in width and in dispersion measure such that a pulse "
                   "between two widths or two dispersion measures loses at most a fraction X of "
                   "its S/N.")
@click.option("--switch", type=float, metavar="X", default=1.5, show_default=True,
              help="Halve the sampling rate only where the smearing within a channel is at least X "
                   "times that due to the sample time and the DM step together. With a larger X, "
                   "less S/N is lost, but the search is slower.")
@common.constant_option(default="that of the input if it is known, otherwise 1/2.41e-4")
@click.option("--n-chan", type=click.IntRange(1), metavar="N",
              help="Divide each channel of voltages into N channels, in which the dispersion is "
                   "removed coherently at widely spaced dispersion measures; required for "
                   "voltages.")
@click.option("--integrate", metavar="TIME",
              help="For voltages, integrate the detected power over this time, e.g. 50us.  "
                   "[default: half of SHORT in --width; without --width, no integration]")
@excision.flag_option
@excision.excision_options
@click.option("--inject", type=click.IntRange(1, 10**6), metavar="N",
              help="Add N bursts of known DM, width and S/N to the spectra, before interference is "
                   "excised, and report how many of them are found.")
@click.option("--seed", type=click.IntRange(0), metavar="N", default=0, show_default=True,
              help="With --inject, set the seed of the random numbers.")
@click.option("--cut-out", metavar="TIME",
              help="Copy the data around each of the 100 brightest candidates, from TIME before "
                   "it reaches the upper edge of the band to TIME after it reaches the lower "
                   "edge, to files in the folder of PATH.")
@click.option("--json-lines", is_flag=True,
              help="Print each candidate as a line of JSON during the search, as soon as no later "
                   "spectrum can change it.")
@common.span_options
@driver.products_option
@common.format_option(["ecsv", "singlepulse", "heimdall", "transientx"])
@common.run_options("Print the plan and the expected time and memory; write nothing.",
                    messages=common.message_options(
                        quiet="Print no messages except warnings, errors and the results of "
                              "--inject."))
def bursts(files: tuple[str, ...], output: str, to: str | None, **options: Any) -> None:
    """Search spectra or voltages for single pulses and bursts.

    All files must belong to one scan. Channels are normalised and summed for many dispersion
    measures, and boxcars of many widths are applied to each resulting time series. Boxcars above
    the threshold that are neighbours in time and dispersion measure form one candidate. Samples of
    weight 0, such as flagged ones, do not contribute.
    """
    from fastsig.chain import open_chain
    from fastsig.io.files.safe import check_output
    from fastsig.run.candidate_files import format_of

    kind = format_of(output, to)
    if options["json_lines"] and options["as_json"]:
        raise click.UsageError("--json-lines and --json; allowed: one of them")
    check_output(output, overwrite=options["overwrite"], inputs=files)
    with open_chain(files, **common.parse_overrides(options["overrides"])) as source:
        if options["verify"]:
            source.stream.verify()
        found = _search(*_prepared(source, options), output, kind, options)
        if found is not None:
            _report(found, output, kind, options, _cut(source, found, output, options))


def _prepared(source: Any, options: dict[str, Any]) -> tuple[Any, injecting.Injections | None]:
    """Return what to search, without interference, and the bursts that were added to it before."""
    given = excision.parameters_of(options)
    part = source[common.parse_end(options["tstart"]) : common.parse_end(options["tstop"])]
    if source.stream.kind != "spectra":
        _check_voltages(source.stream, given, options)
        return part.stream, None
    band = slice(options["fstart"], options["fstop"])
    chain = driver.with_products(part if band == slice(None) else part[:, band],
                                 options["products"])

    def excised(chain: Any) -> Any:
        return excision.excise(chain.flag() if options["flagged"] else chain, given)

    added = None
    if options["inject"]:
        chain, added = injecting.inject(chain, excised, options)
    return excised(chain).stream, added


def _check_voltages(stream: Any, given: dict[str, Any], options: dict[str, Any]) -> None:
    """Refuse what is neither spectra nor voltages, and options for spectra."""
    from fastsig.errors import FormatError

    if stream.kind != "voltage" or options["n_chan"] is None:
        raise FormatError(stream.path, f"contains {stream.kind}; allowed: spectra, or voltages "
                          "with --n-chan N")
    names = [name for name in ("fstart", "fstop", "products", "flagged", "inject")
             if options[name]]
    names += [name for name in excision.NAMES if given[name] and name != "iqrm_statistic"]
    if names:
        option = {"flagged": "flag"}.get(names[0], names[0]).replace("_", "-")
        raise click.UsageError(f"--{option} has no meaning for voltages; allowed: with spectra, "
                               "such as those that fastsig spectra makes")


def _search(stream: Any, added: injecting.Injections | None, output: str, kind: str,
            options: dict[str, Any]) -> Any:
    """Search, write the table and return the candidates; None after a dry run."""
    from fastsig.reductions.bursts.following import follow, warn_of_dropped
    from fastsig.reductions.bursts.searching import searches_of
    from fastsig.reductions.bursts.sink import Bursts
    from fastsig.reductions.bursts.table import candidates_of
    from fastsig.run.candidate_files import write_candidates
    from fastsig.run.engine import execute
    from fastsig.run.flag_shares import warn_of, watches
    from fastsig.run.plan import plan
    from fastsig.work.memory import parse_bytes
    from fastsig.work.threads import processors

    made = searches_of(stream, options["dms"], n_chan=options["n_chan"], time=options["integrate"],
                       **injecting.plan_options(options))
    streams, plans = [each.stream for each in made], [each.plan for each in made]
    sinks = [Bursts(each, wanted, threads=options["workers"] or processors())
             for each, wanted in zip(streams, plans, strict=True)]
    follower = follow(sinks, _print_lines) if options["json_lines"] else None
    memory = None if options["memory"] is None else parse_bytes(options["memory"])
    watched = watches(streams)
    ready = plan([*sinks, *(counter for each in watched for counter in each.sinks)],
                 workers=options["workers"], memory=memory)
    if options["explain"]:
        click.echo(ready.explain())
    if options["dry_run"]:
        _print_dry_run(ready, sinks, output, options)
        return None
    with (common.compiling(options["quiet"]),
          common.progress_of_passes(options["quiet"]) as advance):
        results = execute(ready, progress=advance)
    events, shares = results[: len(sinks)], results[len(sinks):]
    warn_of(watched, shares)
    if follower is not None:
        warn_of_dropped(follower)
    found = candidates_of(streams, events, plans, hash_inputs=options["hash_inputs"])
    if added is not None:
        found = injecting.compared(found, added, streams[0], plans[0], options)
    write_candidates(found, output, to=kind, overwrite=options["overwrite"])
    return found


def _cut(source: Any, found: Any, output: str, options: dict[str, Any]) -> list[str]:
    """Write the recording around the brightest candidates; return the names of the files."""
    import os

    from fastsig.reductions.bursts.cutting import cut_out

    if options["cut_out"] is None:
        return []
    folder = os.path.dirname(output) or "."
    names = [cut_out(source, found["time"][k], float(found.values("dm")[k]), folder=folder,
                     around=options["cut_out"], overwrite=options["overwrite"],
                     reference_mhz=found.meta["reference_mhz"],
                     constant=found.meta["dispersion_constant"])
             for k in range(min(len(found), _MOST_CUT_OUTS))]
    return [name for each in names for name in each]


def _print_dry_run(ready: Any, sinks: list[Any], output: str, options: dict[str, Any]) -> None:
    from fastsig.run.trial import expected_time
    from fastsig.search.bursts.plan import joined_record

    if options["as_json"]:
        common.print_json({"output": output, "n_dm": sum(each.plan.n_dm for each in sinks),
                           **joined_record([each.plan for each in sinks]),
                           "memory_bytes": ready.memory, "dry_run": True,
                           "free_bytes": driver.free_bytes(output)})
        return
    with common.compiling(options["quiet"]):
        reading = expected_time(ready)
        seconds = sum(each.search.expected_seconds(each.stream.shape[0]) for each in sinks)
    seconds += 0 if reading is None else reading.seconds
    threads = counted(ready.workers, "thread")
    click.echo(f"time {driver.duration_text(seconds)} on {threads}, estimated by a trial")
    click.echo(ready.memory_text())
    for plan in (sink.plan for sink in sinks):
        for each, ladder, kept, resolved in zip(plan.stretches, plan.ladders, plan.kept,
                                                plan.kept_at(plan.resolved_s), strict=True):
            widths = ladder.widths * each.sample_s * 1e3
            click.echo(f"DM {each.low:g} to {each.high:g} in {each.n_dm} steps of {each.step:g}, "
                       f"samples of {1e3 * each.sample_s:.4g} ms, {len(widths)} widths from "
                       f"{widths[0]:.4g} to {widths[-1]:.4g} ms; the shortest pulses keep at least "
                       f"{kept:.2f} of their S/N, those of {1e3 * plan.resolved_s:.4g} ms "
                       f"{resolved:.2f}")
    click.echo(f"would write {output}")


def _report(found: Any, output: str, kind: str, options: dict[str, Any], cut_outs: list[str]
            ) -> None:
    """Report the candidates that were written, the brightest first."""
    dropped = found.meta["n_dropped"]
    if options["as_json"]:
        common.print_json({
            "output": output, "format": kind, "n_candidate": len(found),
            "cut_outs": cut_outs,
            "n_event": found.meta["n_event"], "n_dropped": dropped,
            "false_alarms": found.meta["false_alarms"],
            **{key: found.meta[key] for key in ("completeness",) if key in found.meta},
            "candidates": [_record(found, k) for k in range(len(found))]})
    lost = found.meta["n_candidate_dropped"]
    if dropped or lost:
        common.say(f"fastsig: warning: {dropped} fainter events and {lost} fainter groups of "
                   "events were left out, because there were too many: excise interference first")
    common.say(f"{counted(len(found), 'candidate')}; noise alone is expected to cause "
               f"{found.meta['false_alarms']:.2g}", options["quiet"])
    for name in (output, *cut_outs):
        common.say(f"wrote {name}", options["quiet"])


def _print_lines(found: Any) -> None:
    """Print candidates, a line for each."""
    for k in range(len(found)):
        common.print_json_line({**_record(found, k), "beam": int(found.values("beam")[k]),
                                "file": str(found.values("file")[k])})


def _record(found: Any, k: int) -> dict[str, Any]:
    names = ("time_s", "dm", "dm_error", "width", "snr", "valid_share")
    return {"time": str(found["time"][k].isot),
            **{("width_s" if name == "width" else name): float(found.values(name)[k])
               for name in names}}


search.add_command(search_pulsars.pulsars)
search.add_command(search_drift.drift)
search.add_command(search_events.events)
search.add_command(beams)
