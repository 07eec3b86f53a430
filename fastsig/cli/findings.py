"""Tables of what searches find: what ``convert`` does with them, and rows by their verdicts."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import click

from fastsig.cli import common, driver
from fastsig.work.counted import counted

__all__ = ["copy_findings", "keep_option", "kept", "table_of_findings"]

keep_option = click.option(
    "--keep", type=click.Choice(["all", "possible", "accepted"]), default="all", show_default=True,
    help="Write all rows (all), those whose verdict is not interference (possible), or those whose "
         "verdict is accepted (accepted).")

#: Options that apply to streams only, and their values if they are not given.
_OF_STREAMS = {"products": None, "scale": 1.0, "file_size": None, "one_thread": False,
               "dspsr_header": False, "explain": False, "bits": None, "overrides": ()}


class _Kind(NamedTuple):
    """A kind of findings: name of a row, class, module of its files, and its reader."""

    noun: str
    made: str
    files: str
    reader: str


_KINDS = {"burst candidates": _Kind("candidate", "fastsig.search.bursts.candidates:Candidates",
                                    "fastsig.run.candidate_files:FILES",
                                    "fastsig.run.candidate_files:read_candidates"),
          "drifting carriers": _Kind("hit", "fastsig.search.drift.hits:Hits",
                                     "fastsig.run.hit_files:FILES",
                                     "fastsig.run.hit_files:read_hits"),
          "pulsar candidates": _Kind("candidate",
                                     "fastsig.search.pulsars.candidates:PulsarCandidates",
                                     "fastsig.run.pulsar_files:FILES",
                                     "fastsig.run.pulsar_files:read_pulsars")}


def table_of_findings(files: tuple[str, ...]) -> str | None:
    """Return the kind of table in the first file, if it contains what a search found."""
    from fastsig.errors import InputError
    from fastsig.io.opening import detect

    try:
        if not files or not os.path.isfile(files[0]):
            return None
        name, module = detect(files[0])
        kind = str(module.info(files[0])["table"]) if name in ("ecsv", "turboseti") else ""
    except InputError:  # reported when the file is opened
        return None
    return kind if kind in _KINDS else None


def kept(found: Any, keep: str) -> Any:
    """Return the rows that ``--keep`` selects by their verdicts."""
    verdicts = found["verdict"]
    if keep == "accepted":
        return found[verdicts == "accepted"]
    return found[verdicts != "interference"] if keep == "possible" else found


def copy_findings(kind: str, files: tuple[str, ...], output: str, to: str | None,
                  options: dict[str, Any]) -> None:
    """Write the rows of one or several tables in another format, and report on it.

    Several tables become one, the strongest row first.
    """
    from fastsig.io.files.safe import check_output
    from fastsig.run.finding_files import exported, write_findings

    about = _KINDS[kind]
    for name, default in _OF_STREAMS.items():
        if options.get(name, default) != default:
            option = "set" if name == "overrides" else name.replace("_", "-")
            raise click.UsageError(f"--{option} has no meaning for {about.noun}s")
    made, known, read = map(_loaded, about[1:])
    format_name = known.format_of(output, to)
    check_output(output, overwrite=options["overwrite"], inputs=files)
    tables = [read(name) for name in files]
    found = tables[0] if len(tables) == 1 else made.join(tables)
    record = {"outputs": [output], "format": format_name, f"n_{about.noun}": len(found)}
    if options["dry_run"]:
        if format_name != "ecsv":
            exported(found, known, output, format_name)  # refused now if it cannot be written
        if options["as_json"]:
            common.print_json({**record, "dry_run": True, "free_bytes": driver.free_bytes(output)})
        else:
            click.echo(f"would write {output}: {counted(len(found), about.noun)} as "
                       f"{format_name}")
        return
    write_findings(found, known, output, to=format_name, overwrite=options["overwrite"])
    if options["as_json"]:
        common.print_json({**record, "bytes": [os.path.getsize(output)]})
    common.say(f"wrote {output}", options["quiet"])


def _loaded(name: str) -> Any:
    from importlib import import_module

    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)
