"""Recipes: the same commands for many recordings, with a ledger of the results."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastsig.batch.api import Recipe as Recipe
    from fastsig.batch.engines.dask_engine import DaskEngine as DaskEngine
    from fastsig.batch.ledger.status import Status as Status
    from fastsig.batch.ledger.status import status as status
    from fastsig.batch.planning.plan import Plan as Plan
    from fastsig.batch.planning.plan import plan as plan
    from fastsig.batch.recipe.model import Limits as Limits
    from fastsig.batch.recipe.model import RecipeError as RecipeError
    from fastsig.batch.report.page import write_report as write_report
    from fastsig.batch.running.run import Summary as Summary
    from fastsig.batch.running.run import run as run
    from fastsig.batch.running.verification import verify as verify
    from fastsig.batch.running.watcher import Watcher as Watcher
    from fastsig.batch.tasks.model import Step as Step
    from fastsig.batch.tasks.model import Task as Task
    from fastsig.batch.tasks.shards import of_shard as of_shard

_INDEX = {
    "DaskEngine": "engines.dask_engine",
    "Limits": "recipe.model",
    "Plan": "planning.plan",
    "Recipe": "api",
    "RecipeError": "recipe.model",
    "Status": "ledger.status",
    "Step": "tasks.model",
    "Summary": "running.run",
    "Task": "tasks.model",
    "Watcher": "running.watcher",
    "of_shard": "tasks.shards",
    "plan": "planning.plan",
    "run": "running.run",
    "status": "ledger.status",
    "verify": "running.verification",
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
