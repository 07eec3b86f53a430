"""The commands ``fastsig batch run`` and ``retry``: run the tasks that are not done."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from fastsig.batch.commands.engine_options import engine_of, engine_options, shard_of
from fastsig.batch.commands.recipe_options import (
    files_argument,
    recipe_option,
    strict_option,
    surveyed,
)
from fastsig.batch.commands.report import title_of
from fastsig.cli import common
from fastsig.work.counted import counted

if TYPE_CHECKING:
    from fastsig.batch.recipe.model import Limits, ParsedRecipe
    from fastsig.batch.running.follow import Follow
    from fastsig.batch.tasks.shards import Shard

run_options: Callable[[Any], Any] = common.options(
    click.option("-j", "--workers", type=click.IntRange(1, 1024), metavar="N",
                 help="Use this many worker processes, among which the processors are divided; "
                      "with Dask, run at most this many tasks at a time.  [default: one per "
                      "processor or, with Dask, one per thread of its workers]"),
    click.option("--memory", metavar="SIZE",
                 help="Limit the memory used by each task, e.g. to 4GB; overrides limits.memory of "
                      "the recipe."),
    click.option("--time", "time_limit", metavar="TIME",
                 help="Limit the running time of each task, e.g. to 30min; overrides limits.time "
                      "of the recipe."),
    click.option("--retries", type=click.IntRange(0, 100), metavar="N",
                 help="Repeat a task up to this many times if its worker process dies; overrides "
                      "limits.retries of the recipe."),
    click.option("--overwrite", is_flag=True, help="Replace any existing file, except an input, "
                                                   "that has the name of a product."),
    click.option("--replace-stale", is_flag=True,
                 help="Replace products that were made by another recipe or another version of "
                      "fastsig, or from inputs that have changed since."),
    strict_option,
    click.option("--no-plan", is_flag=True,
                 help="Skip the check that the tasks fit in memory and on the disk."),
    click.option("--scratch", type=common.OutputPath(), metavar="DIR",
                 help="Run each task on copies of its inputs in DIR, a folder on the node's own "
                      "disk, and copy the products back."),
    click.option("--no-warmup", is_flag=True, help="Do not compile kernels before the first task."),
    click.option("--no-node-cache", is_flag=True,
                 help="Keep the compiled kernels with the package instead of in a folder on each "
                      "node; has no effect if NUMBA_CACHE_DIR is set."),
    click.option("--no-report", is_flag=True, help="Do not write report.html."),
    click.option("--report-every", type=click.FloatRange(min=1), metavar="SECONDS", default=30.0,
                 show_default=True, help="During the run, rewrite report.html at this interval, "
                                         "or less often if writing it takes a long time."),
    engine_options, common.json_option,
    common.message_options(verbose="Also print a line for each task that is done or has been "
                                   "stopped."),
    common.debug_option)


@click.command()
@recipe_option
@files_argument
@click.option("--verify", is_flag=True,
              help="First check the finished products as batch verify does, and remake the damaged "
                   "ones.")
@click.option("--dry-run", is_flag=True,
              help="Print the number of tasks and the expected time, memory and disk space; leave "
                   "the output folder unchanged.")
@click.option("--follow", is_flag=True,
              help="Keep looking for new inputs until Ctrl-C is pressed or --follow-stop takes "
                   "effect, and process each file once it has stopped changing.")
@click.option("--follow-every", type=click.FloatRange(min=0.1), metavar="SECONDS", default=10.0,
              show_default=True, help="With --follow, look for new inputs at this interval.")
@click.option("--follow-quiet", type=click.FloatRange(min=0), metavar="SECONDS", default=30.0,
              show_default=True, help="With --follow, process a file once it has not changed for "
                                      "this long.")
@click.option("--follow-stop", type=click.FloatRange(min=0), metavar="SECONDS",
              help="With --follow, stop when no file has appeared or changed, and no task has run, "
                   "for this long.")
@run_options
def run(path: str, files: tuple[str, ...], dry_run: bool, **options: Any) -> int:
    """Run the tasks of a recipe that are not done.

    Tasks that were set aside because their worker processes died repeatedly are left out. Tasks
    with stale products are refused unless --replace-stale or --overwrite is given. It is safe to
    repeat the command at any time. The files given as FILE replace the inputs that the recipe
    names.
    """
    if options["follow"] and (dry_run or options["verify"]):
        raise click.UsageError("--follow waits for new files; allowed: without --dry-run and "
                               "--verify")
    if options["follow_stop"] is not None and not options["follow"]:
        raise click.UsageError("--follow-stop without --follow; allowed: both together")
    return foresee(path, files, options) if dry_run else execute(path, files, options)


@click.command()
@recipe_option
@files_argument
@click.option("--failed", is_flag=True,
              help="Repeat tasks that failed for any reason or were refused, and tasks whose "
                   "products are damaged or, with --replace-stale or --overwrite, stale.")
@click.option("--killed", is_flag=True,
              help="Repeat tasks whose worker process or run died or was stopped, including tasks "
                   "that were set aside because their worker processes died repeatedly.")
@click.option("--all", "all_", is_flag=True, help="Run all tasks that are neither done nor "
                                                  "running, including those that were never "
                                                  "started.")
@run_options
def retry(path: str, files: tuple[str, ...], failed: bool, killed: bool, all_: bool,
          **options: Any) -> int:
    """Repeat tasks that failed or were interrupted.

    At least one of --failed, --killed and --all is required. Tasks that failed and whose inputs
    have been repaired since then are included by --failed and --all. Tasks that were set aside
    because their worker processes died repeatedly are included by --killed and --all.
    """
    chosen = [name for name, on in (("failed", failed), ("killed", killed), ("all", all_)) if on]
    if not chosen:
        raise click.UsageError("no tasks selected; allowed: --failed, --killed, --all")
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
    from fastsig.batch.tasks.survey import every_task

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
    every = tasks
    if files and follow is None and (options["as_json"] or not options["no_report"]):
        every = every_task(recipe, tasks, strict=options["strict"])
    limits, terminal = limits_of(recipe, options), TerminalWatcher(options["quiet"])
    scratch = options["scratch"] and os.path.abspath(options["scratch"])
    if follow is not None:
        stop = "" if follow.stop is None else (
            f" or until nothing new has appeared for {follow.stop:g} s")
        common.say("following: each file is processed once it has not changed for "
                   f"{follow.quiet:g} s; the run continues until Ctrl-C{stop}", options["quiet"])
    reporter = None if options["no_report"] else Reporter(
        every, recipe.output, terminal, title=title_of(path), every=options["report_every"],
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
    except WorkerError as error:  # the ledger has a record of all finished tasks
        common.say(str(error))
        return 1
    finally:
        terminal.close()
        if reporter is not None:
            reporter.close(hurry=summary is None or summary.signal_code > 0)
    if follow is not None:
        tasks = list(terminal.tasks)
        mine = tasks if shard is None else of_shard(tasks, shard)
        every = every_task(recipe, tasks, strict=options["strict"]) if files else tasks
    if options["as_json"]:
        common.print_json(status(mine, recipe.output, every=every).record())
    if terminal.n_warned:
        common.say(f"{counted(terminal.n_warned, 'task')} done with warnings; fastsig batch status "
                   "lists them", options["quiet"])
    common.say(total_line(summary), options["quiet"] and not summary.code)
    if shard is not None:
        common.say(shards_line(status(tasks, recipe.output), shard), options["quiet"])
    return summary.code


def followed(path: str, files: tuple[str, ...], options: dict[str, Any], shard: Shard | None
             ) -> Follow | None:
    """Return the inputs to follow; if the recipe has mistakes, print them and return None."""
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
    """Print the plan of a run; return the exit code with which it would be refused, otherwise 0."""
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
    for task, reason, _ in choice.refused:
        common.say(f"refused {task.name}: {reason}")
    common.say(f"{counted(len(choice.jobs), 'task')} to do, {len(choice.finished)} done "
               "before", options["quiet"])
    if not choice.jobs and not options["as_json"]:
        return 0
    tasks, sizes = [job.task for job in choice.jobs], dict(zip(
        (task.id for task in survey.tasks), survey.sizes, strict=True))
    n, setup = setup_of(tasks, len(tasks), options["workers"])
    engine = engine_of(options, lambda line: None)
    needs = plan(tasks, sizes=[sizes[task.id] for task in tasks], processes=n,
                 threads=setup.threads, memory=limits_of(recipe, options).memory,
                 folder=recipe.output, machine_bytes=None if getattr(engine, "here", True) else 0,
                 recorded=[(sizes[record.task], record.seconds) for record in choice.finished])
    if options["as_json"]:
        common.print_json(needs.to_json())
    else:
        click.echo(needs.summary())
    refusal = needs.refusal()
    return 0 if refusal is None else 4 if isinstance(refusal, OutputError) else 2


def limits_of(recipe: ParsedRecipe, options: dict[str, Any]) -> Limits:
    """Return the limits of a task: those of the recipe, overridden by the options."""
    from fastsig.batch.recipe.values import measured
    from fastsig.work.memory import parse_bytes

    limits = recipe.limits
    if options["memory"] is not None:
        limits = replace(limits, memory=parse_bytes(options["memory"]))
    if options["time_limit"] is not None:
        limits = replace(limits, time=float(measured(options["time_limit"], "s", "--time")))
    return limits if options["retries"] is None else replace(limits, retries=options["retries"])
