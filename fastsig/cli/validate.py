"""``fastsig validate``: read files whole and compare every checksum."""

from __future__ import annotations

from typing import Any

import click

from fastsig.cli import common


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common.json_option
@common.set_option
@common.quiet_options
@common.debug_option
def validate(
    files: tuple[str, ...], as_json: bool, overrides: tuple[str, ...], quiet: bool, debug: bool
) -> int:
    """Check that each FILE is whole: structure, header, every sample's checksum."""
    changes = common.parse_overrides(overrides)
    records = [_check(path, changes) for path in files]
    if as_json:
        common.print_json(records)
    for record in records:
        if not record["valid"]:
            common.say(f"fastsig: {record['error']}")
        elif not quiet and not as_json:
            state = "good" if record["checksums"] else "readable; the format has no checksums"
            for doubt in record["doubts"]:
                common.say(f"fastsig: warning: {doubt}")
            click.echo(f"{record['path']}: {state}")
    return int(not all(record["valid"] for record in records))


def _check(path: str, overrides: dict[str, str]) -> dict[str, Any]:
    import warnings

    from fastsig.errors import DoubtWarning, FastsigWarning, InputError
    from fastsig.io import open_stream

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            stream = open_stream(path, **overrides)
            try:
                stream.verify()
                checksums = stream.checksummed
            finally:
                stream.close()
        except InputError as error:
            return {"path": path, "valid": False, "error": str(error)}
    doubts, faults = ([str(item.message) for item in caught
                       if issubclass(item.category, FastsigWarning)
                       and issubclass(item.category, DoubtWarning) == doubt]
                      for doubt in (True, False))
    if faults:
        return {"path": path, "valid": False, "error": "; ".join(faults)}
    return {"path": path, "valid": True, "checksums": checksums, "doubts": doubts}
