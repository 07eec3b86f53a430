"""The status of tasks, for people and programs: totals, and one row per task."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fastsig.batch.ledger.claims import living
from fastsig.batch.ledger.folder import log_path
from fastsig.batch.ledger.journal import Ledger
from fastsig.batch.ledger.standing import standing
from fastsig.batch.ledger.states import STATES
from fastsig.batch.tasks import products
from fastsig.batch.tasks.model import Task
from fastsig.batch.tasks.products import Product

__all__ = ["Row", "Status", "stale_products", "status"]


@dataclass(frozen=True)
class Row:
    """The state of a task; fields that are empty or 0 are unknown or do not apply."""

    task: str
    name: str
    state: str
    error: str = ""
    step: str = ""
    attempt: int = 0
    deaths: int = 0
    at: float = 0.0
    host: str = ""
    seconds: float = 0.0
    peak_bytes: int = 0
    outputs: tuple[Product, ...] = ()
    inputs: tuple[str, ...] = ()
    log: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Status:
    """Rows of tasks, products on the disk that no task makes, and runs in progress in the folder.

    After a verification, `unverified` contains the names of tasks whose products could not be
    verified, and `signal_code` is 130, 143 or 129 if a signal stopped it, otherwise 0.
    """

    rows: tuple[Row, ...]
    stale: tuple[str, ...] = ()
    workers: tuple[str, ...] = ()
    signal_code: int = 0
    unverified: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """The number of tasks in each state, in the order of `STATES`."""
        counts = Counter(row.state for row in self.rows)
        return {state: counts[state] for state in STATES if counts[state]}

    @property
    def code(self) -> int:
        """The exit code: 0 if all tasks are done, otherwise 1."""
        return int(any(row.state != "done" for row in self.rows))

    @property
    def warned(self) -> int:
        """The number of tasks with warnings."""
        return sum(bool(row.warnings) for row in self.rows)

    def record(self) -> dict[str, Any]:
        """Return the status as plain data, for JSON."""
        return {
            "totals": {"tasks": len(self.rows), **self.counts},
            "seconds": round(sum(row.seconds for row in self.rows), 3),
            "bytes": sum(max(0, size) for row in self.rows if row.state == "done"
                         for _, size, _ in row.outputs),
            "stale": list(self.stale), "at_work": list(self.workers),
            "tasks": [_plain(row) for row in self.rows]}


def _plain(row: Row) -> dict[str, Any]:
    return {**asdict(row), "outputs": [
        {"name": name, "bytes": size} for name, size, _ in row.outputs if size >= 0]}


def status(tasks: Sequence[Task], folder: str | os.PathLike[str], *,
           every: Sequence[Task] | None = None) -> Status:
    """Return the state of tasks from the ledger and the disk; nothing is claimed or changed.

    Parameters
    ----------
    tasks : sequence of Task
        Tasks whose state is returned.
    folder : path
        The output folder.
    every : sequence of Task, optional
        All tasks of the recipe, to list products that none of them makes; `tasks` by default.
    """
    base = os.path.abspath(folder)
    ledger, holders = Ledger(base), living(base)
    alive = {(holder.host, holder.pid) for holder in holders}
    stale = stale_products(tasks if every is None else every, ledger, base)
    return Status(tuple(_row(task, ledger, alive) for task in tasks),
                  tuple(stale), tuple(map(str, holders)))


def _row(task: Task, ledger: Ledger, alive: Collection[tuple[str, int]]) -> Row:
    state, error = standing(task, ledger, alive)
    last = ledger.records.get(task.id)
    if last is None:
        return Row(task.id, task.name, state, error=error, inputs=task.inputs)
    log = log_path(task.folder, task.name, task.id)
    return Row(task.id, task.name, state, error, last.step, last.attempt, last.deaths, last.at,
               last.host, last.seconds, last.peak_bytes, last.outputs, task.inputs,
               log if os.path.exists(log) else "", last.warnings)


def stale_products(tasks: Iterable[Task], ledger: Ledger, folder: str) -> list[str]:
    """Return the names of products on the disk that a batch made and none of these tasks makes."""
    current = {name for task in tasks for name in products.names_of(task, kept=False)}
    ids = {task.id for task in tasks}
    return sorted(
        name for name, owner in ledger.products().items()
        if owner.task not in ids and owner.state == "done" and name not in current
        and os.path.lexists(os.path.join(folder, name)))
