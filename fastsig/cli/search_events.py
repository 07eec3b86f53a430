"""``fastsig search events``: compare the scans of a cadence on and off a source."""

from __future__ import annotations

import os
from typing import Any

import click

from fastsig.cli import common, findings
from fastsig.work.counted import counted

__all__ = ["events"]


@click.command("events")
@click.argument("tables", nargs=-1, required=True, metavar="TABLE...", type=common.InputPath())
@common.output_option("Write the hits that belong to events, with the numbers of the events, to "
                      "this table (.ecsv).")
@click.option("--pattern", metavar="LETTERS", default="ABACAD", show_default=True,
              help="Give one letter for each TABLE: A for a scan on the source, any other letter "
                   "for a scan off the source.")
@click.option("--tolerance", type=float, metavar="X", default=2.0, show_default=True,
              help="Combine hits into one event if their frequencies and drift rates agree within "
                   "X times their errors.")
@findings.keep_option
@common.json_option
@common.message_options(verbose=common.SAYS_SWEPT)
@common.debug_option
def events(tables: tuple[str, ...], output: str, **options: Any) -> None:
    """Compare the hits of scans on and off a source.

    Each TABLE contains the hits of one scan, as written by search drift. One or more hits that lie
    on one drifting track, at least one of them in a scan on the source, form an event. Each event
    is given a verdict (accepted, doubtful or interference) and a reason for the verdict. An
    accepted event is found in all scans on the source and in no scan off the source.
    """
    from fastsig.io.files.safe import check_output
    from fastsig.run.hit_files import format_of, read_hits, write_hits
    from fastsig.search.drift.cadence import events_of

    if format_of(output) != "ecsv":
        raise click.UsageError(f"{output}: contains events of several scans; allowed: .ecsv")
    check_output(output, overwrite=options["overwrite"], inputs=tables)
    found = events_of([read_hits(name) for name in tables], options["pattern"],
                      tolerance=options["tolerance"])
    found = found.with_meta(provenance={"inputs": [os.path.basename(name) for name in tables]})
    kept = findings.kept(found, options["keep"])
    write_hits(kept, output, overwrite=options["overwrite"])
    _report(found, kept, output, options)


def _report(found: Any, kept: Any, output: str, options: dict[str, Any]) -> None:
    about = found.meta["cadence"]
    if options["as_json"]:
        common.print_json({"output": output, **about, "n_row": len(kept)})
    n = sum(about[f"n_{name}"] for name in ("accepted", "doubtful", "interference"))
    common.say(f"{counted(n, 'event')}: {about['n_accepted']} accepted, "
               f"{about['n_doubtful']} doubtful, {about['n_interference']} interference",
               options["quiet"])
    common.say(f"wrote {output}", options["quiet"])
