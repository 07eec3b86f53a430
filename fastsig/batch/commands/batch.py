"""``fastsig batch``: recipes over many recordings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from fastsig.batch.commands.report import report
from fastsig.batch.commands.run import retry, run
from fastsig.batch.commands.status import status, verify
from fastsig.cli import common

if TYPE_CHECKING:
    from fastsig.batch.recipe.parsing import Recipe
    from fastsig.batch.tasks.survey import Survey

recipe_option = click.option("-c", "--recipe", "path", required=True, metavar="RECIPE.toml",
                             help="What to do; fastsig batch init writes examples.")
files_argument = click.argument("files", nargs=-1, metavar="[FILES]...")


@click.group()
def batch() -> None:
    """Run a recipe over many recordings."""


for command in (run, status, retry, verify, report):
    batch.add_command(command)

@batch.command()
@click.argument("name", required=False, metavar="[NAME]")
@click.option("-o", "--output", metavar="PATH", help="Recipe to write.  [default: NAME.toml]")
@click.option("--overwrite", is_flag=True, help="Replace PATH where it exists.")
@common.quiet_options
@common.debug_option
def init(name: str | None, output: str | None, overwrite: bool, quiet: bool, debug: bool) -> None:
    """Write an example recipe with comments; without NAME, list the examples."""
    from fastsig.batch.recipe import examples as templates
    from fastsig.batch.recipe.vocabulary import nearest
    from fastsig.io.safe import SafeOutput

    if name is None:
        for each, about in templates.about().items():
            click.echo(f"{each:<12} {about}")
        return
    if name not in templates.about():
        raise click.UsageError(f"{name!r}: no such example{nearest(name, templates.about())}")
    path = output or f"{name}.toml"
    with SafeOutput(path, overwrite=overwrite) as made:
        os.write(made.descriptor, templates.text(name).encode("utf-8"))
    common.say(f"wrote {path}; next: fastsig batch check -c {path}", quiet)


@batch.command()
@recipe_option
@files_argument
@common.json_option
@common.quiet_options
@common.debug_option
def check(path: str, files: tuple[str, ...], as_json: bool, quiet: bool, debug: bool) -> int:
    """Tell every mistake of a recipe, and of the inputs that it names; touch nothing.

    FILES stand in place of the recipe's inputs.
    """
    recipe, found, lines = examine(path, files)
    if recipe is None or found is None:
        if as_json:
            common.print_json({"recipe": path, "problems": lines})
        tell(lines, False)
        return 2
    refused = [f"{path}: {task.name}: {task.refused}" for task in found.tasks if task.refused]
    if as_json:
        common.print_json({"recipe": path, "problems": [*found.wrong, *refused],
                           "notes": found.notes, **_counts(found)})
    tell([*found.wrong, *refused], False)
    tell(found.notes, quiet)
    if not found.wrong and not refused:
        n_products = sum(len(task.outputs) for task in found.tasks)
        common.say(f"{path}: {common.plural(len(found.tasks), 'task')}, "
                   f"{common.plural(n_products, 'product')}, no mistakes", quiet)
    return 2 if found.wrong or refused else 0


def examine(path: str, files: tuple[str, ...] = ()
            ) -> tuple[Recipe | None, Survey | None, list[str]]:
    """A recipe and what it makes of its inputs, or None and all its mistakes, a line each."""
    from fastsig.batch.recipe.parsing import Recipe, RecipeError
    from fastsig.batch.tasks.survey import survey, wrong_inputs

    try:
        recipe = Recipe.read(path)
    except RecipeError as error:
        return None, None, list(error.problems)
    if recipe.problems:
        return recipe, None, [*recipe.problems, *wrong_inputs(recipe, files or None)]
    found = survey(recipe, files or None)
    return recipe, found, found.wrong


def tell(lines: list[str], quiet: bool) -> None:
    """Lines on stderr, each beginning with the file it is about."""
    for line in lines:
        common.say(line, quiet)


def _counts(found: Survey) -> dict[str, Any]:
    return {"n_task": len(found.tasks), "bytes_in": sum(found.sizes),
            "n_product": sum(len(task.outputs) for task in found.tasks)}
