"""Commands on tables of burst candidates: what ``convert`` does with them."""

from __future__ import annotations

import os
from typing import Any

import click

from fastsig.cli import common, driver

__all__ = ["copy_candidates", "has_candidates"]

#: Options that apply to streams only, and their values if they are not given.
_OF_STREAMS = {"products": None, "scale": 1.0, "file_size": None, "one_thread": False,
               "dspsr_header": False, "explain": False, "bits": None, "overrides": ()}


def has_candidates(files: tuple[str, ...]) -> bool:
    """Return whether the first file is a table of burst candidates."""
    from fastsig.errors import InputError
    from fastsig.io.ecsv.reader import info
    from fastsig.io.opening import detect

    try:
        return len(files) > 0 and os.path.isfile(files[0]) and (
            detect(files[0])[0] == "ecsv" and info(files[0])["table"] == "burst candidates")
    except InputError:  # reported when the file is opened
        return False


def copy_candidates(files: tuple[str, ...], output: str, to: str | None,
                    options: dict[str, Any]) -> None:
    """Write the candidates of one or several tables in another format, and report on it.

    Several tables become one, the brightest candidate first.
    """
    from fastsig.io.files.safe import check_output
    from fastsig.run.candidate_files import format_of, read_candidates, write_candidates
    from fastsig.search.bursts.candidates import Candidates

    for name, default in _OF_STREAMS.items():
        if options.get(name, default) != default:
            option = "set" if name == "overrides" else name.replace("_", "-")
            raise click.UsageError(f"--{option} has no meaning for candidates")
    kind = format_of(output, to)
    check_output(output, overwrite=options["overwrite"], inputs=files)
    tables = [read_candidates(name) for name in files]
    found = tables[0] if len(tables) == 1 else Candidates.join(tables)
    record = {"outputs": [output], "format": kind, "n_candidate": len(found)}
    if options["dry_run"]:
        if options["as_json"]:
            common.print_json({**record, "dry_run": True, "free_bytes": driver.free_bytes(output)})
        else:
            click.echo(f"would write {output}: {common.plural(len(found), 'candidate')} as {kind}")
        return
    write_candidates(found, output, to=kind, overwrite=options["overwrite"])
    if options["as_json"]:
        common.print_json({**record, "bytes": [os.path.getsize(output)]})
    common.say(f"wrote {output}", options["quiet"])
