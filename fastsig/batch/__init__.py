"""Recipes: command lines, many times, and what becomes of them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastsig.batch.engines.dask_engine import DaskEngine as DaskEngine
    from fastsig.batch.engines.jobs import Limits as Limits
    from fastsig.batch.ledger.status import Status as Status
    from fastsig.batch.ledger.status import status as status
    from fastsig.batch.ledger.status import verify as verify
    from fastsig.batch.planning.plan import Plan as Plan
    from fastsig.batch.planning.plan import plan as plan
    from fastsig.batch.recipe.parsing import Recipe as Recipe
    from fastsig.batch.recipe.parsing import RecipeError as RecipeError
    from fastsig.batch.report.page import write_report as write_report
    from fastsig.batch.running.run import Summary as Summary
    from fastsig.batch.running.run import Watcher as Watcher
    from fastsig.batch.running.run import run as run
    from fastsig.batch.tasks.shards import of_shard as of_shard
    from fastsig.batch.tasks.survey import Step as Step
    from fastsig.batch.tasks.survey import Task as Task

_INDEX = {
    "DaskEngine": "engines.dask_engine",
    "Limits": "engines.jobs",
    "Plan": "planning.plan",
    "Recipe": "recipe.parsing",
    "RecipeError": "recipe.parsing",
    "Status": "ledger.status",
    "Step": "tasks.survey",
    "Summary": "running.run",
    "Task": "tasks.survey",
    "Watcher": "running.run",
    "of_shard": "tasks.shards",
    "plan": "planning.plan",
    "run": "running.run",
    "status": "ledger.status",
    "verify": "ledger.status",
    "write_report": "report.page",
}

__all__ = ["DaskEngine", "Limits", "Plan", "Recipe", "RecipeError", "Status", "Step", "Summary",
           "Task", "Watcher", "of_shard", "plan", "run", "status", "verify", "write_report"]


def __getattr__(name: str) -> Any:
    if name not in _INDEX:
        raise AttributeError(f"module 'fastsig.batch' has no attribute {name!r}")
    value = getattr(import_module(f"fastsig.batch.{_INDEX[name]}"), name)
    globals()[name] = value
    return value
