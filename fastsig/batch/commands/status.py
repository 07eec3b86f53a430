"""The commands ``fastsig batch status`` and ``verify``: the states of tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fastsig.batch.commands.recipe_options import (
    files_argument,
    recipe_option,
    strict_as_run_option,
    surveyed,
)
from fastsig.cli import common
from fastsig.work.counted import counted

if TYPE_CHECKING:
    from fastsig.batch.ledger.status import Row, Status


@click.command()
@recipe_option
@files_argument
@click.option("--all", "all_", is_flag=True,
              help="List all tasks, including those that are done or waiting.")
@strict_as_run_option
@common.json_option
@common.message_options(verbose=common.SAYS_NOTHING,
                        quiet="Print only the totals, the runs in progress, and errors.")
@common.debug_option
def status(path: str, files: tuple[str, ...], all_: bool, strict: bool, as_json: bool, quiet: bool,
           debug: bool) -> int:
    """Report the state of the tasks.

    The totals, the runs in progress, and existing products that belong to no task of the recipe
    are printed first. A row follows for each task that is neither done nor waiting, or that has
    warnings; with --all, for every task. The command reads the ledger (the records of the batch in
    the output folder) and the sizes and modification times of inputs and products, and changes
    nothing.
    """
    from fastsig.batch.ledger.status import status as status_of
    from fastsig.batch.tasks.survey import every_task

    known = surveyed(path, files, strict=strict)
    if known is None:
        return 2
    recipe, survey = known
    now = status_of(survey.tasks, recipe.output,
                    every=every_task(recipe, survey.tasks, strict=strict) if files else None)
    _print_status(now, as_json=as_json, all_=all_, quiet=quiet)
    return now.code


@click.command()
@recipe_option
@files_argument
@click.option("-j", "--workers", type=click.IntRange(1, 1024), metavar="N",
              help="Use this many worker processes.  [default: one per processor]")
@strict_as_run_option
@common.json_option
@common.message_options(verbose=common.SAYS_NOTHING)
@common.debug_option
def verify(path: str, files: tuple[str, ...], workers: int | None, strict: bool, as_json: bool,
           quiet: bool, debug: bool) -> int:
    """Check the finished products for damage.

    Products that are missing, have changed since they were made, or are corrupt are marked as
    damaged. Tasks are reported as not verified if the process that reads their products dies, runs
    out of memory or exceeds limits.time of the recipe. Products are read in full, except pictures,
    pages, tables and files of times of arrival, of which only the sizes and modification times are
    checked.
    """
    from fastsig.batch.commands.terminal import TerminalWatcher
    from fastsig.batch.running.verification import verify as verify_tasks
    from fastsig.batch.tasks.survey import every_task

    known = surveyed(path, files, strict=strict)
    if known is None:
        return 2
    recipe, survey = known
    now = verify_tasks(survey.tasks, recipe.output, workers=workers, limits=recipe.limits,
                       every=every_task(recipe, survey.tasks, strict=strict) if files else None,
                       watcher=TerminalWatcher(True))
    if as_json:
        common.print_json({**now.record(), "unverified": list(now.unverified)})
    counts, unknown = now.counts, len(now.unverified)
    good, bad = counts.get("done", 0) - unknown, counts.get("damaged", 0)
    common.say(f"{counted(good, 'task')} with sound products, {bad} damaged"
               + (f", {unknown} not verified" if unknown else ""), quiet)
    return now.signal_code or int(bad + unknown > 0)


def _print_status(status: Status, *, as_json: bool, all_: bool, quiet: bool) -> None:
    """Print the status as JSON or as a table."""
    if as_json:
        common.print_json(status.record())
        return
    click.echo(f"{counted(len(status.rows), 'task')}: " + (
        ", ".join(f"{n} {state}" for state, n in status.counts.items()) or "none")
        + (f"; {status.warned} with warnings" if status.warned else ""))
    for line in status.workers:
        click.echo(f"at work: {line}")
    for name in () if quiet else status.stale:
        click.echo(f"stale: {name}: no task of this recipe makes it")
    rows = [row for row in status.rows
            if all_ or row.warnings or row.state not in ("done", "waiting")]
    if quiet or not rows:
        return
    import sys

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for title in ("task", "state", "attempt", "seconds", "MB", "why"):
        table.add_column(title, overflow="fold",
                         justify="right" if title in ("attempt", "seconds", "MB") else "left")
    for row in rows:
        table.add_row(*map(Text, (row.name, row.state, str(row.attempt), f"{row.seconds:.1f}",
                                  f"{row.peak_bytes / 1e6:.0f}", _why(row))))
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 200).print(table)


def _why(row: Row) -> str:
    """Return the error and the warnings of a task, each on its own line."""
    return "\n".join([*([row.error] if row.error else []),
                      *(f"warning: {line}" for line in row.warnings)])
