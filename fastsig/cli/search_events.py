"""``fastsig search events``: compare the scans of a cadence on and off a source."""

from __future__ import annotations

import os
from typing import Any

import click

from fastsig.cli import common

__all__ = ["events"]


@click.command("events")
@click.argument("tables", nargs=-1, required=True, metavar="TABLE...", type=common.InputPath())
@common.output_option("Write the hits, with the numbers of their events, to this table "
                      "(.ecsv).")
@click.option("--pattern", metavar="LETTERS", default="ABACAD", show_default=True,
              help="Give a letter for each TABLE: A for a scan on the source, any other letter for "
                   "one off it.")
@click.option("--tolerance", type=float, metavar="X", default=2.0, show_default=True,
              help="Let hits belong to one event if they agree within X times the errors of their "
                   "drifts and widths.")
@click.option("--keep", type=click.Choice(["all", "possible", "accepted"]), default="all",
              show_default=True,
              help="Keep all events (all), those that are not interference (possible), or only "
                   "accepted ones (accepted).")
@common.json_option
@common.quiet_options
@common.debug_option
def events(tables: tuple[str, ...], output: str, **options: Any) -> None:
    """Compare the hits of scans on and off a source.

    Each TABLE contains the hits of one scan, as written by search drift. Hits that lie on one
    drifting track form an event, which is given a verdict (accepted, doubtful or interference) and
    its reason. An accepted event is found in all scans on the source and in none off it.
    """
    from fastsig.io.files.safe import check_output
    from fastsig.run.hit_files import format_of, read_hits, write_hits
    from fastsig.search.drift.cadence import events_of

    if format_of(output) != "ecsv":
        raise click.UsageError(f"{output}: events are of several scans; allowed: .ecsv")
    check_output(output, overwrite=options["overwrite"], inputs=tables)
    found = events_of([read_hits(name) for name in tables], options["pattern"],
                      tolerance=options["tolerance"])
    found = found.with_meta(provenance={"inputs": [os.path.basename(name) for name in tables]})
    kept = _kept(found, options["keep"])
    write_hits(kept, output, overwrite=options["overwrite"])
    _report(found, kept, output, options)


def _kept(found: Any, keep: str) -> Any:
    verdicts = found["verdict"]
    if keep == "accepted":
        return found[verdicts == "accepted"]
    return found[verdicts != "interference"] if keep == "possible" else found


def _report(found: Any, kept: Any, output: str, options: dict[str, Any]) -> None:
    about = found.meta["cadence"]
    if options["as_json"]:
        common.print_json({"output": output, **about, "n_row": len(kept)})
    n = sum(about[f"n_{name}"] for name in ("accepted", "doubtful", "interference"))
    common.say(f"{common.plural(n, 'event')}: {about['n_accepted']} accepted, "
               f"{about['n_doubtful']} doubtful, {about['n_interference']} interference",
               options["quiet"])
    common.say(f"wrote {output}", options["quiet"])
