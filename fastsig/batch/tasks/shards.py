"""Shards: a batch in N parts that share nothing except the output folder.

The id of a task alone determines its shard, so that shards that begin at different times agree,
even if files have appeared or disappeared meanwhile.
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
    """Parse ``2/3`` as (2, 3)."""
    numbers = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text.strip())
    if numbers is None or not 1 <= int(numbers[1]) <= int(numbers[2]):
        raise UsageError(f"--shard {text}: {_ALLOWED}")
    return int(numbers[1]), int(numbers[2])


def from_environment(values: Mapping[str, str] | None = None) -> Shard | None:
    """Return the shard of a task of a Slurm array; None outside an array.

    The array's numbers may begin anywhere, in equal steps: ``--array=1-8``, ``0-30:10``.

    Raises
    ------
    UsageError
        If the steps are not equal, so that the N shards are unknown.
    """
    values = os.environ if values is None else values
    if "SLURM_ARRAY_TASK_ID" not in values:
        return None
    number, first, count, last = (_number(values, name) for name in ("ID", "MIN", "COUNT", "MAX"))
    step = (last - first) // (count - 1) if count > 1 else 1
    index = (number - first) // max(1, step)
    if count < 1 or step < 1 or first + (count - 1) * step != last or not 0 <= index < count or (
            first + index * step != number):
        raise UsageError(f"SLURM_ARRAY_TASK_ID={number} of {count} from {first} to {last}: not in "
                         "equal steps; allowed: an array such as 1-8, or --shard K/N")
    return index + 1, count


def _number(values: Mapping[str, str], name: str) -> int:
    text = values.get(f"SLURM_ARRAY_TASK_{name}", "")
    if re.fullmatch(r"\d{1,9}", text) is None:
        raise UsageError(f"SLURM_ARRAY_TASK_{name}={text!r}: not a number, in a Slurm array; "
                         "allowed: --shard K/N instead")
    return int(text)


def of_shard(tasks: Iterable[Task], shard: Shard) -> list[Task]:
    """Return the tasks of shard K of N; each task is in exactly one shard."""
    return [task for task in tasks if int(task.id[:16], 16) % shard[1] == shard[0] - 1]
