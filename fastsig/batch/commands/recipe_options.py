"""What the commands that run recipes have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fastsig.cli import common

if TYPE_CHECKING:
    from fastsig.batch.recipe.parsing import Recipe
    from fastsig.batch.tasks.survey import Survey

recipe_option = click.option("-c", "--recipe", "path", required=True, metavar="RECIPE.toml",
                             help="What to do; fastsig batch init writes examples.")
files_argument = click.argument("files", nargs=-1, metavar="[FILES]...")


def surveyed(path: str, files: tuple[str, ...], *, strict: bool = False
             ) -> tuple[Recipe, Survey] | None:
    """A recipe and what it makes of its inputs; None, with all mistakes told, where it cannot."""
    from fastsig.batch.recipe.parsing import Recipe, RecipeError
    from fastsig.batch.tasks.survey import survey, wrong_inputs

    try:
        recipe = Recipe.read(path)
        lines = [*recipe.problems, *(wrong_inputs(recipe, files or None)
                                     if recipe.problems else ())]
        found = None if lines else survey(recipe, files or None, strict=strict)
    except RecipeError as error:
        lines, found = list(error.problems), None
    if found is not None and not found.wrong:
        return recipe, found
    for line in lines or (found.wrong if found is not None else []):
        common.say(line)
    return None
