"""``fastsig batch run`` and ``retry``: do what is not done."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from fastsig.batch.commands.engine_options import engine_of, engine_options, shard_of
from fastsig.batch.commands.recipe_options import files_argument, recipe_option, surveyed
from fastsig.batch.commands.report import title_of
from fastsig.cli import common

if TYPE_CHECKING:
    from fastsig.batch.recipe.model import Limits, ParsedRecipe
    from fastsig.batch.running.follow import Follow
    from fastsig.batch.tasks.shards import Shard

run_options: Callable[[Any], Any] = common.options(
    click.option("-j", "--workers", type=click.IntRange(1, 1024), metavar="N",
                 help="Worker processes; one a processor by default. They share the processors."),
    click.option("--memory", metavar="SIZE",
                 help="Most memory of a task, e.g. 4GB, in place of limits.memory."),
    click.option("--time", "time_limit", metavar="TIME",
                 help="Longest time of a task, e.g. 30min, in place of limits.time."),
    click.option("--retries", type=click.IntRange(0, 100), metavar="N",
                 help="How often a task is tried again whose worker died, in place of "
                 "limits.retries."),
    click.option("--overwrite", is_flag=True, help="Replace whatever has a product's name."),
    click.option("--replace-stale", is_flag=True,
                 help="Replace products of another recipe, version or state of the inputs."),
    click.option("--strict", is_flag=True,
                 help="Tell inputs apart by their content too: reads all of them."),
    click.option("--no-plan", is_flag=True,
                 help="Do not ask before whether the tasks fit into memory and disk."),
    click.option("--scratch", type=common.OutputPath(), metavar="DIR",
                 help="Do each task on copies of its inputs in DIR, a folder on the node's own "
                 "disk, and copy the products back."),
    click.option("--no-warmup", is_flag=True, help="Do not compile kernels before the first task."),
    click.option("--no-node-cache", is_flag=True,
                 help="Keep compiled kernels beside the package, not in a folder of this node."),
    click.option("--no-report", is_flag=True, help="Write no report.html."),
    click.option("--report-every", type=click.FloatRange(min=1), metavar="SECONDS", default=30.0,
                 help="How often report.html is rewritten while the run is at work; 30."),
    engine_options, common.json_option, common.quiet_options, common.debug_option)


@click.command()
@recipe_option
@files_argument
@click.option("--verify", is_flag=True,
              help="Read finished products whole first, and make damaged ones again.")
@click.option("--dry-run", is_flag=True,
              help="Print what would be done, and what it takes by a trial; write nothing.")
@click.option("--follow", is_flag=True,
              help="Look for more inputs again and again, and take files that have become quiet, "
              "until Ctrl-C.")
@click.option("--follow-every", type=click.FloatRange(min=0.1), metavar="SECONDS", default=10.0,
              show_default=True, help="Between looks.")
@click.option("--follow-quiet", type=click.FloatRange(min=0), metavar="SECONDS", default=30.0,
              show_default=True, help="For which a file must not have changed.")
@click.option("--follow-stop", type=click.FloatRange(min=0), metavar="SECONDS",
              help="End where nothing came or changed, and nothing ran, for so long.")
@run_options
def run(path: str, files: tuple[str, ...], dry_run: bool, **options: Any) -> int:
    """Do what is missing, changed or failed; safe to give again at any time.

    FILES stand in place of the recipe's inputs.
    """
    if options["follow"] and (dry_run or options["verify"]):
        raise click.UsageError("--follow takes what comes; allowed: without --dry-run and --verify")
    if options["follow_stop"] is not None and not options["follow"]:
        raise click.UsageError("--follow-stop ends --follow; allowed: with it")
    return foresee(path, files, options) if dry_run else execute(path, files, options)


@click.command()
@recipe_option
@files_argument
@click.option("--failed", is_flag=True, help="Tasks that failed, whatever the cause.")
@click.option("--killed", is_flag=True,
              help="Tasks whose worker or run died or was stopped, and those set aside.")
@click.option("--all", "all_", is_flag=True, help="All tasks that are not done.")
@run_options
def retry(path: str, files: tuple[str, ...], failed: bool, killed: bool, all_: bool,
          **options: Any) -> int:
    """Do tasks of some states again, those that were set aside too."""
    chosen = [name for name, on in (("failed", failed), ("killed", killed), ("all", all_)) if on]
    if not chosen:
        raise click.UsageError("which tasks? allowed: --failed, --killed, --all")
    from fastsig.batch.ledger.states import chosen_by

    return execute(path, files, {**options, "verify": False, "follow": False},
                   states=chosen_by(chosen))


def execute(path: str, files: tuple[str, ...], options: dict[str, Any],
            states: frozenset[str] | None = None) -> int:
    """Run the tasks of a recipe, report on the terminal, and return the exit code."""
    from fastsig.batch.commands.terminal import TerminalWatcher, shards_line, total_line
    from fastsig.batch.engines.supervisor import WorkerError
    from fastsig.batch.ledger.status import status
    from fastsig.batch.report.live import Reporter
    from fastsig.batch.running.run import run as run_tasks
    from fastsig.batch.tasks.shards import of_shard

    shard = shard_of(options)
    follow = followed(path, files, options, shard) if options["follow"] else None
    known = None if options["follow"] else surveyed(path, files, strict=options["strict"])
    recipe: ParsedRecipe
    if follow is not None:
        recipe, tasks = follow.recipe, []
    elif known is not None:
        recipe, tasks = known[0], known[1].tasks
    else:
        return 2
    mine = tasks if shard is None else of_shard(tasks, shard)
    limits, terminal = limits_of(recipe, options), TerminalWatcher(options["quiet"])
    scratch = options["scratch"] and os.path.abspath(options["scratch"])
    if follow is not None:
        stop = "" if follow.stop is None else f", or {follow.stop:g} s without anything new"
        common.say(f"following: files are taken once they are quiet for {follow.quiet:g} s; "
                   f"until Ctrl-C{stop}", options["quiet"])
    reporter = None if options["no_report"] else Reporter(
        tasks, recipe.output, terminal, title=title_of(path), every=options["report_every"],
        live=shard is None or shard[0] == 1, follow=follow is not None)
    summary = None
    try:
        summary = run_tasks(
            mine, recipe.output, engine=engine_of(options, terminal.note),
            workers=options["workers"], limits=limits, shard=shard,
            states=states, every=None if files or follow else tasks, scratch=scratch,
            follow=follow, overwrite=options["overwrite"],
            replace_stale=options["replace_stale"], verify=options["verify"],
            plan=not options["no_plan"], warm=not options["no_warmup"],
            node_cache=not options["no_node_cache"], watcher=reporter or terminal)
    except WorkerError as error:  # what was done is in the ledger
        common.say(str(error))
        return 1
    finally:
        terminal.close()
        if reporter is not None:
            reporter.close(hurry=summary is None or summary.signal_code > 0)
    if follow is not None:
        tasks = list(terminal.tasks)
        mine = tasks if shard is None else of_shard(tasks, shard)
    if options["as_json"]:
        common.print_json(status(mine, recipe.output).record())
    common.say(total_line(summary), options["quiet"] and not summary.code)
    if shard is not None:
        common.say(shards_line(status(tasks, recipe.output), shard), options["quiet"])
    return summary.code


def followed(path: str, files: tuple[str, ...], options: dict[str, Any], shard: Shard | None
             ) -> Follow | None:
    """What is to be followed; None, with all mistakes said, where the recipe cannot be."""
    from fastsig.batch.api import Recipe
    from fastsig.batch.recipe.model import RecipeError
    from fastsig.batch.running.follow import Follow
    from fastsig.batch.tasks.shards import of_shard

    try:
        recipe = Recipe.read(path)
        if recipe.problems:
            raise RecipeError(recipe.problems)
    except RecipeError as error:
        for line in error.problems:
            common.say(line)
        return None
    only = None if shard is None else lambda tasks: of_shard(tasks, shard)
    return Follow(recipe, files or None, options["follow_every"], options["follow_quiet"],
                  options["follow_stop"], options["strict"], only)


def foresee(path: str, files: tuple[str, ...], options: dict[str, Any]) -> int:
    """Print what a run would do and take; the exit code it would be refused with, else 0."""
    from fastsig.batch.ledger.journal import Ledger
    from fastsig.batch.planning.plan import plan
    from fastsig.batch.running.choosing import choose
    from fastsig.batch.running.run import setup_of
    from fastsig.batch.tasks.shards import of_shard
    from fastsig.errors import OutputError

    known = surveyed(path, files, strict=options["strict"])
    if known is None:
        return 2
    recipe, survey = known
    shard, ledger = shard_of(options), Ledger(recipe.output)
    mine = survey.tasks if shard is None else of_shard(survey.tasks, shard)
    choice = choose(mine, ledger, overwrite=options["overwrite"],
                    replace_stale=options["replace_stale"])
    for task, reason in choice.refused:
        common.say(f"refused {task.name}: {reason}")
    common.say(f"{common.plural(len(choice.jobs), 'task')} to do, {len(choice.finished)} done "
               "before", options["quiet"])
    if not choice.jobs:
        return 0
    tasks, sizes = [job.task for job in choice.jobs], dict(zip(
        (task.id for task in survey.tasks), survey.sizes, strict=True))
    n, setup = setup_of(tasks, len(tasks), options["workers"])
    needs = plan(tasks, sizes=[sizes[task.id] for task in tasks], processes=n,
                 threads=setup.threads, memory=limits_of(recipe, options).memory,
                 recorded=[(sizes[record.task], record.seconds) for record in choice.finished])
    if options["as_json"]:
        common.print_json(needs.to_json())
    else:
        click.echo(needs.summary())
    refusal = needs.refusal()
    return 0 if refusal is None else 4 if isinstance(refusal, OutputError) else 2


def limits_of(recipe: ParsedRecipe, options: dict[str, Any]) -> Limits:
    """Bounds of a task: the recipe's, and in their place what options say."""
    from fastsig.batch.recipe.values import measured
    from fastsig.work.memory import parse_bytes

    limits = recipe.limits
    if options["memory"] is not None:
        limits = replace(limits, memory=parse_bytes(options["memory"]))
    if options["time_limit"] is not None:
        limits = replace(limits, time=float(measured(options["time_limit"], "s", "--time")))
    return limits if options["retries"] is None else replace(limits, retries=options["retries"])
