"""What became of tasks, for people and programs: totals, and a row a task."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fastsig.batch.ledger.claims import living
from fastsig.batch.ledger.folder import log_path
from fastsig.batch.ledger.journal import Ledger
from fastsig.batch.ledger.records import Record
from fastsig.batch.ledger.states import STATES
from fastsig.batch.tasks import products
from fastsig.batch.tasks.model import Task
from fastsig.batch.tasks.products import Product

__all__ = ["Row", "Status", "stale_products", "status"]


@dataclass(frozen=True)
class Row:
    """A task; what is empty or 0 is not known or does not apply."""

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


@dataclass(frozen=True)
class Status:
    """Rows of tasks, products on the disk that none of them has, and who is at work there.

    `signal_code` is 130, 143 or 129 where a verification was stopped by a signal, else 0.
    """

    rows: tuple[Row, ...]
    stale: tuple[str, ...] = ()
    workers: tuple[str, ...] = ()
    signal_code: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """Tasks by state, in the order of `STATES`."""
        counts = Counter(row.state for row in self.rows)
        return {state: counts[state] for state in STATES if counts[state]}

    @property
    def code(self) -> int:
        """0 where all tasks are done, else 1."""
        return int(any(row.state != "done" for row in self.rows))

    def record(self) -> dict[str, Any]:
        """All of it as plain data, for JSON."""
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
    """State of tasks by the ledger and the disk; takes no claim and changes nothing.

    Parameters
    ----------
    tasks : sequence of Task
    folder : path
        The output folder.
    every : sequence of Task, optional
        All tasks of the recipe, to name products that none of them has; `tasks` by default.
    """
    base = os.path.abspath(folder)
    ledger, holders = Ledger(base), living(base)
    alive = {(holder.host, holder.pid) for holder in holders}
    stale = stale_products(tasks if every is None else every, ledger, base)
    return Status(tuple(_row(task, ledger.records.get(task.id), alive) for task in tasks),
                  tuple(stale), tuple(map(str, holders)))


def _row(task: Task, last: Record | None, alive: Iterable[tuple[str, int]]) -> Row:
    log = log_path(task.folder, task.name, task.id)
    if last is None:
        state = "refused" if task.refused else "waiting"
        return Row(task.id, task.name, state, error=task.refused, inputs=task.inputs)
    state, error = last.state if last.state in STATES else "failed", last.error
    if state == "running" and (last.host, last.pid) not in alive:
        state, error = "abandoned", f"process {last.pid} on {last.host} died in it"
    elif state == "done":
        error = products.changes(task.folder, last.outputs)
        state = "damaged" if error else "done"
    return Row(task.id, task.name, state, error, last.step, last.attempt, last.deaths, last.at,
               last.host, last.seconds, last.peak_bytes, last.outputs, task.inputs,
               log if os.path.exists(log) else "")


def stale_products(tasks: Iterable[Task], ledger: Ledger, folder: str) -> list[str]:
    """Names of products on the disk that no task of these has, and that a batch made."""
    current = {name for task in tasks for name in products.names_of(task, kept=False)}
    ids = {task.id for task in tasks}
    return sorted(
        name for name, owner in ledger.products().items()
        if owner.task not in ids and owner.state == "done" and name not in current
        and os.path.lexists(os.path.join(folder, name)))
