"""Recipes: command lines, many times, and what becomes of them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastsig.batch.dask_engine import DaskEngine as DaskEngine
    from fastsig.batch.jobs import Limits as Limits
    from fastsig.batch.planning import Plan as Plan
    from fastsig.batch.planning import plan as plan
    from fastsig.batch.recipe import Recipe as Recipe
    from fastsig.batch.recipe import RecipeError as RecipeError
    from fastsig.batch.report import write_report as write_report
    from fastsig.batch.running import Summary as Summary
    from fastsig.batch.running import Watcher as Watcher
    from fastsig.batch.running import run as run
    from fastsig.batch.shards import of_shard as of_shard
    from fastsig.batch.tally import Status as Status
    from fastsig.batch.tally import status as status
    from fastsig.batch.tally import verify as verify
    from fastsig.batch.tasks import Step as Step
    from fastsig.batch.tasks import Task as Task

_INDEX = {"Plan": "planning", "Recipe": "recipe", "RecipeError": "recipe", "Step": "tasks",
          "Task": "tasks", "plan": "planning", "Limits": "jobs", "Status": "tally",
          "Summary": "running", "Watcher": "running", "run": "running", "status": "tally",
          "verify": "tally", "DaskEngine": "dask_engine", "of_shard": "shards",
          "write_report": "report"}

__all__ = ["DaskEngine", "Limits", "Plan", "Recipe", "RecipeError", "Status", "Step", "Summary",
           "Task", "Watcher", "of_shard", "plan", "run", "status", "verify", "write_report"]


def __getattr__(name: str) -> Any:
    if name not in _INDEX:
        raise AttributeError(f"module 'fastsig.batch' has no attribute {name!r}")
    value = getattr(import_module(f"fastsig.batch.{_INDEX[name]}"), name)
    globals()[name] = value
    return value
