"""``fastsig live-status``: the state of a live session."""

from __future__ import annotations

from typing import Any

import click

from fastsig.cli import common


@click.command("live-status", short_help="Report the state of a live session.")
@click.argument("folder", metavar="FOLDER")
@common.json_option
@common.debug_option
def live_status(folder: str, as_json: bool, **options: Any) -> None:
    """Report the state of the live session that writes to FOLDER."""
    from fastsig.live.status import lines, read_status

    found = read_status(folder)
    if as_json:
        common.print_json(found)
    else:
        click.echo("\n".join(lines(found)))
    if not found["alive"]:
        click.get_current_context().exit(1)
