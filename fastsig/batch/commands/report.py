"""The command ``fastsig batch report``: one page on the results of a batch."""

from __future__ import annotations

import os

import click

from fastsig.batch.commands.recipe_options import (
    files_argument,
    recipe_option,
    strict_as_run_option,
    surveyed,
)
from fastsig.cli import common


@click.command()
@recipe_option
@files_argument
@click.option("-o", "--output", type=common.OutputPath(), metavar="PATH",
              help="Write the page to this file.  [default: report.html in the output folder]")
@click.option("--overwrite", is_flag=True,
              help="Replace PATH even if it is not a report written by fastsig batch.")
@click.option("--no-pictures", is_flag=True, help="Do not make new thumbnails.")
@strict_as_run_option
@common.message_options(verbose=common.SAYS_FORMATS)
@common.debug_option
def report(path: str, files: tuple[str, ...], output: str | None, overwrite: bool,
           no_pictures: bool, strict: bool, quiet: bool, debug: bool) -> int:
    """Write an HTML report with one row per task.

    The report contains totals, thumbnails, states, times and causes of failure. The command can be
    used at any time; it reads the ledger (the records of the batch in the output folder) and the
    products but does not change them.
    """
    from fastsig.batch.report.page import write_report
    from fastsig.batch.tasks.survey import every_task

    known = surveyed(path, files, strict=strict)
    if known is None:
        return 2
    recipe, survey = known
    written = write_report(
        survey.tasks, recipe.output, output, title=title_of(path), overwrite=overwrite,
        pictures=not no_pictures,
        every=every_task(recipe, survey.tasks, strict=strict) if files else None)
    common.say(f"wrote {os.path.relpath(written) if output is None else output}", quiet)
    return 0


def title_of(path: str) -> str:
    """Return the heading of a recipe's page."""
    return f"Batch {os.path.basename(path)}"
