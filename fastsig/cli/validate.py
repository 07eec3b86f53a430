"""``fastsig validate``: read files in full and verify every checksum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from fastsig.cli import common

if TYPE_CHECKING:
    from fastsig.errors import UsageError


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common.json_option
@common.set_option
@common.message_options(verbose=common.SAYS_NOTHING, quiet=common.ERRORS_ONLY)
@common.debug_option
def validate(
    files: tuple[str, ...], as_json: bool, overrides: tuple[str, ...], quiet: bool, debug: bool
) -> int:
    """Read files in full and verify their checksums."""
    changes = common.parse_overrides(overrides)
    refused: list[UsageError] = []
    records = [_check(path, changes, refused) for path in files]
    if len(refused) == len(files):  # no file accepts the value
        raise refused[0]
    if as_json:
        common.print_json(records)
    for record in records:
        if not record["valid"]:
            common.say(f"fastsig: {record['error']}")
        elif not quiet and not as_json:
            state = "good" if record["checksums"] else "readable; fastsig verified no checksums"
            for doubt in record["doubts"]:
                common.say(f"fastsig: warning: {doubt}")
            click.echo(f"{record['path']}: {state}")
    return int(not all(record["valid"] for record in records))


def _check(path: str, overrides: dict[str, str], refused: list[UsageError]) -> dict[str, Any]:
    from fastsig.errors import UsageError
    from fastsig.products import failure
    from fastsig.products.validate import validate as check

    try:
        return check(path, **overrides)
    except UsageError as error:
        refused.append(error)
        return {**failure(path, error), "valid": False}
