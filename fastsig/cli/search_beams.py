"""``fastsig search beams``: compare the candidates or hits of the beams of a receiver."""

from __future__ import annotations

import os
from typing import Any

import click

from fastsig.cli import common, findings
from fastsig.work.counted import counted

__all__ = ["beams"]


@click.command("beams")
@click.argument("tables", nargs=-1, required=True, metavar="TABLE...", type=common.InputPath())
@common.output_option("Write one row for each signal to this table: .ecsv, or another format in "
                      "which fastsig convert can write tables.")
@click.option("--telescope", metavar="NAME", default="FAST", show_default=True,
              help="Use the beams of this telescope.")
@click.option("--receiver", metavar="NAME",
              help="Use the beams of this receiver.  [default: the first receiver of the "
                   "telescope]")
@click.option("--angle", metavar="ANGLE", default="0deg", show_default=True,
              help="Set the angle by which the receiver is rotated, from east towards north, e.g. "
                   "23.4deg.")
@click.option("--hpbw", metavar="ANGLE",
              help="Set the half-power width of all beams, e.g. 2.9arcmin.  [default: the widths "
                   "of the beams of the receiver, which depend on frequency]")
@click.option("--beams", "numbers", metavar="LIST",
              help="Specify all beams that were searched, e.g. 1-19, including those in which "
                   "nothing was found.  [default: those of the candidates or hits in the TABLEs]")
@click.option("--table-beams", metavar="LIST",
              help="Specify the beam of each TABLE, in the order of the TABLEs, e.g. 1,2,3.  "
                   "[default: the beams that the TABLEs state]")
@click.option("--beam-error", type=click.FloatRange(0, 1), default=0.05, show_default=True,
              metavar="X", help="Allow for this relative error in the shapes and gains of the "
                                "beams.")
@click.option("--side-lobe", type=click.FloatRange(0, 1), default=0.01, show_default=True,
              metavar="X", help="Allow for sidelobes up to this level, relative to the peak.")
@findings.keep_option
@common.json_option
@common.message_options(verbose=common.SAYS_SWEPT)
@common.debug_option
def beams(tables: tuple[str, ...], output: str, **options: Any) -> None:
    """Compare the candidates or hits of several beams.

    The TABLEs are written by search bursts, search pulsars or search drift. A table of burst
    candidates may contain several beams; a table of pulsar candidates or hits contains one beam.
    All TABLEs must belong to one observation. Burst candidates are combined into one row if they
    agree in time and DM, pulsar candidates if they agree in frequency, and hits if they agree in
    frequency and drift rate. Each row states a verdict (accepted, doubtful or interference), a
    reason for the verdict, and an estimate of the position.
    """
    from fastsig.io.files.safe import check_output
    from fastsig.run.finding_files import write_findings

    noun, files, read, compare = _kind(tables)
    to = files.format_of(output)
    check_output(output, overwrite=options["overwrite"], inputs=tables)
    found = compare(
        [read(name) for name in tables], telescope=options["telescope"],
        receiver=options["receiver"], angle=options["angle"], hpbw=options["hpbw"],
        beams=_numbers("beams", options["numbers"]),
        table_beams=_numbers("table-beams", options["table_beams"]),
        shape_error=options["beam_error"], side_lobe=options["side_lobe"])
    found = found.with_meta(provenance={"inputs": [os.path.basename(name) for name in tables]})
    kept = findings.kept(found, options["keep"])
    write_findings(kept, files, output, to=to, overwrite=options["overwrite"])
    _report(found, kept, output, options, noun)


def _kind(tables: tuple[str, ...]) -> tuple[str, Any, Any, Any]:
    """Return what a row of the first table is, how such tables are read, and how compared."""
    kind = findings.table_of_findings(tables)
    if kind == "pulsar candidates":
        from fastsig.reductions.periodic.beams import compare_pulsar_beams
        from fastsig.run import pulsar_files

        return ("candidate", pulsar_files.FILES, pulsar_files.read_pulsars, compare_pulsar_beams)
    if kind == "drifting carriers":
        from fastsig.reductions.drifting.beams import compare_hit_beams
        from fastsig.run import hit_files

        return "hit", hit_files.FILES, hit_files.read_hits, compare_hit_beams
    from fastsig.reductions.bursts.beams import compare_beams
    from fastsig.run import candidate_files

    return "candidate", candidate_files.FILES, candidate_files.read_candidates, compare_beams


def _numbers(option: str, text: str | None) -> list[int] | None:
    """Return the numbers of ``1-19`` or ``1,2,5-7``; None if there is no text."""
    if text is None:
        return None
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not (first.isdigit() and (last.isdigit() if dash else not last)) or (
                len(part) > 12 or not 1 <= int(first) <= int(last or first) <= 9999):
            raise click.UsageError(f"--{option} {text}; allowed: numbers from 1, such as 1-19 or "
                                   "1,2,5-7")
        found += range(int(first), int(last or first) + 1)
    return found


def _report(found: Any, kept: Any, output: str, options: dict[str, Any], noun: str) -> None:
    about = found.meta["comparison"]
    if options["as_json"]:
        common.print_json({"output": output, **about, "n_row": len(kept)})
    common.say(f"{counted(about['n_candidate'], noun)} of "
               f"{counted(len(about['beams']), 'beam')}: {about['n_accepted']} accepted, "
               f"{about['n_doubtful']} doubtful, {about['n_interference']} interference",
               options["quiet"])
    common.say(f"coincidences expected by chance: {about['expected_by_chance']:.3g}",
               options["quiet"])
    common.say(f"wrote {output}", options["quiet"])
