"""Options and functions shared by the commands that use recipes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fastsig.cli import common

if TYPE_CHECKING:
    from fastsig.batch.api import Recipe
    from fastsig.batch.tasks.survey import Survey

recipe_option = click.option(
    "-c", "--recipe", "path", type=common.InputPath(), required=True, metavar="RECIPE.toml",
    help="Read the recipe from this file; fastsig batch init writes examples.")
strict_option = click.option(
    "--strict", is_flag=True,
    help="Also identify inputs by their contents, which requires reading them in full.")
strict_as_run_option = click.option(
    "--strict", is_flag=True,
    help="Also identify inputs by their contents; required if the run used --strict.")
files_argument = click.argument("files", nargs=-1, metavar="[FILE...]")


def surveyed(path: str, files: tuple[str, ...], *, strict: bool = False
             ) -> tuple[Recipe, Survey] | None:
    """Return a recipe and the survey of its inputs, or print all mistakes and return None."""
    recipe, survey, mistakes = examine(path, files, strict=strict)
    if recipe is not None and survey is not None and not mistakes:
        return recipe, survey
    for line in mistakes:
        common.say(line)
    return None


def examine(path: str, files: tuple[str, ...] = (), *, strict: bool = False
            ) -> tuple[Recipe | None, Survey | None, list[str]]:
    """Return a recipe, the survey of its inputs, and one line for each mistake.

    Recipe or survey is None if mistakes prevent it.
    """
    from fastsig.batch.api import Recipe
    from fastsig.batch.recipe.model import RecipeError
    from fastsig.batch.tasks.survey import survey, wrong_inputs

    try:
        recipe = Recipe.read(path)
    except RecipeError as error:
        return None, None, list(error.problems)
    if recipe.problems:
        return recipe, None, [*recipe.problems, *wrong_inputs(recipe, files or None)]
    result = survey(recipe, files or None, strict=strict)
    return recipe, result, result.wrong
