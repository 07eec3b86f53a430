"""``fastsig validate``: read files whole and compare every checksum."""

from __future__ import annotations

import click

from fastsig.cli import common


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common.json_option
@common.quiet_options
@common.debug_option
def validate(
    files: tuple[str, ...], as_json: bool, verbose: bool, quiet: bool, debug: bool
) -> int:
    """Check that each FILE is whole: structure, header, every sample's checksum."""
    records = [_check(path) for path in files]
    if as_json:
        common.print_json(records)
    for record in records:
        if not record["valid"]:
            common.say(f"fastsig: {record['error']}")
        elif not quiet and not as_json:
            click.echo(f"{record['path']}: good")
    return int(not all(record["valid"] for record in records))


def _check(path: str) -> dict[str, object]:
    from fastsig.errors import InputError
    from fastsig.io import open_stream

    try:
        stream = open_stream(path)
        try:
            stream.verify()
        finally:
            stream.close()
    except InputError as error:
        return {"path": path, "valid": False, "error": str(error)}
    return {"path": path, "valid": True}
