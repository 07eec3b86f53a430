"""The command ``fastsig batch``: run recipes over many recordings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from fastsig.batch.commands.recipe_options import examine, files_argument, recipe_option
from fastsig.batch.commands.report import report
from fastsig.batch.commands.run import retry, run
from fastsig.batch.commands.status import status, verify
from fastsig.cli import common
from fastsig.work.counted import counted

if TYPE_CHECKING:
    from fastsig.batch.tasks.survey import Survey


@click.group(cls=common.Group)
def batch() -> None:
    """Process many recordings as specified by a recipe.

    A recipe is a TOML file that specifies the inputs, the output folder, and the commands that
    process each recording.
    """


@batch.command(short_help="Write an example recipe, or list the examples.")
@click.argument("name", required=False, metavar="[NAME]")
@click.option("-o", "--output", type=common.OutputPath(), metavar="PATH",
              help="Write the recipe to this file.  [default: NAME.toml]")
@click.option("--overwrite", is_flag=True, help="Replace PATH if it exists.")
@common.message_options(verbose=common.SAYS_SWEPT,
                        quiet="Print no messages except warnings, errors and the list of examples.")
@common.debug_option
def init(name: str | None, output: str | None, overwrite: bool, quiet: bool, debug: bool) -> None:
    """Write an example recipe; without NAME, list the examples."""
    from fastsig.batch.recipe import examples
    from fastsig.batch.recipe.suggestions import nearest
    from fastsig.io.files.safe import SafeOutput

    if name is None:
        for example, about in examples.about().items():
            click.echo(f"{example:<12} {about}")
        return
    if name not in examples.about():
        raise click.UsageError(f"{name!r}: no such example{nearest(name, examples.about())}")
    path = output or f"{name}.toml"
    with SafeOutput(path, overwrite=overwrite) as made:
        os.write(made.descriptor, examples.text(name).encode("utf-8"))
    common.say(f"wrote {path}; next: fastsig batch check -c {path}", quiet)


@batch.command()
@recipe_option
@files_argument
@common.json_option
@common.message_options(verbose=common.SAYS_NOTHING)
@common.debug_option
def check(path: str, files: tuple[str, ...], as_json: bool, quiet: bool, debug: bool) -> int:
    """Report the mistakes in a recipe and its inputs.

    The files given as FILE replace the inputs that the recipe names. No recording is read in
    full, and no file is written; batch run --dry-run also finds mistakes that depend on the data.
    """
    _, survey, lines = examine(path, files)
    if survey is None:
        if as_json:
            common.print_json({"recipe": path, "problems": lines})
        _print_lines(lines, False)
        return 2
    refused = [f"{path}: {task.name}: {task.refused}" for task in survey.tasks if task.refused]
    mistakes = [*survey.wrong, *refused]
    if as_json:
        common.print_json({"recipe": path, "problems": mistakes, "notes": survey.notes,
                           **_counts(survey)})
    _print_lines(mistakes, False)
    _print_lines(survey.notes, quiet)
    if not mistakes:
        n_products = sum(len(task.outputs) for task in survey.tasks)
        common.say(f"{path}: {counted(len(survey.tasks), 'task')}, "
                   f"{counted(n_products, 'product')}, no mistakes", quiet)
    return 2 if mistakes else 0


def _print_lines(lines: list[str], quiet: bool) -> None:
    """Print lines on stderr; each begins with the name of its file."""
    for line in lines:
        common.say(line, quiet)


def _counts(survey: Survey) -> dict[str, Any]:
    return {"n_task": len(survey.tasks), "bytes_in": sum(survey.sizes),
            "n_product": sum(len(task.outputs) for task in survey.tasks)}


for command in (run, status, retry, verify, report):
    batch.add_command(command)
