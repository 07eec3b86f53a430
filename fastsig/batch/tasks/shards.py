"""Shards: a batch in N parts that need nothing of one another but the output folder.

A task belongs to a shard by its id alone, so that shards that begin at different times agree,
however many files have come or gone meanwhile.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping

from fastsig.batch.tasks.model import Task
from fastsig.errors import UsageError

__all__ = ["Shard", "from_environment", "of_shard", "parse"]

#: K and N of shard K of N; K counts from 1.
Shard = tuple[int, int]

_ALLOWED = "allowed: K/N with 1 <= K <= N"


def parse(text: str) -> Shard:
    """``2/3`` as (2, 3)."""
    numbers = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text.strip())
    if numbers is None or not 1 <= int(numbers[1]) <= int(numbers[2]):
        raise UsageError(f"--shard {text}: {_ALLOWED}")
    return int(numbers[1]), int(numbers[2])


def from_environment(values: Mapping[str, str] | None = None) -> Shard | None:
    """The shard of a task of a Slurm array; None outside of one.

    The array's numbers may begin anywhere, in equal steps: ``--array=1-8``, ``0-30:10``.

    Raises
    ------
    UsageError
        Where they are in no equal steps, so that the N shards are not known.
    """
    values = os.environ if values is None else values
    if "SLURM_ARRAY_TASK_ID" not in values:
        return None
    number, first, count, last = (_number(values, name) for name in ("ID", "MIN", "COUNT", "MAX"))
    step = (last - first) // (count - 1) if count > 1 else 1
    index = (number - first) // max(1, step)
    if count < 1 or step < 1 or first + (count - 1) * step != last or not 0 <= index < count or (
            first + index * step != number):
        raise UsageError(f"SLURM_ARRAY_TASK_ID={number} of {count} from {first} to {last}: no "
                         "equal steps; allowed: an array such as 1-8, or --shard K/N")
    return index + 1, count


def _number(values: Mapping[str, str], name: str) -> int:
    text = values.get(f"SLURM_ARRAY_TASK_{name}", "")
    if re.fullmatch(r"\d{1,9}", text) is None:
        raise UsageError(f"SLURM_ARRAY_TASK_{name}={text!r}: no number, in a Slurm array; allowed: "
                         "--shard K/N in its place")
    return int(text)


def of_shard(tasks: Iterable[Task], shard: Shard) -> list[Task]:
    """The tasks of shard K of N; each task is in exactly one."""
    return [task for task in tasks if int(task.id[:16], 16) % shard[1] == shard[0] - 1]
