"""The choice of tasks for a run: missing, changed and failed ones that replace no other's file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from fastsig.batch.engines.jobs import Job
from fastsig.batch.ledger.folder import log_path
from fastsig.batch.ledger.journal import Ledger
from fastsig.batch.ledger.records import Record
from fastsig.batch.ledger.states import STATES
from fastsig.batch.tasks import products
from fastsig.batch.tasks.model import Task

__all__ = ["Choice", "choose"]


@dataclass
class Choice:
    """The decision about each task of a run.

    Parameters
    ----------
    jobs : list of Job
        Tasks to do.
    finished : list of Record
        Tasks that are done, whose products are unchanged.
    changed : list of str
        Products that have changed since they were made, and are made again: one line for each.
    refused : list of (Task, str)
        Tasks that may not run, as a name is taken, and the reason.
    left : list of Record
        Tasks that are not to be repeated without being asked (poison), or were not selected.
    """

    jobs: list[Job] = field(default_factory=list)
    finished: list[Record] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    refused: list[tuple[Task, str]] = field(default_factory=list)
    left: list[Record] = field(default_factory=list)


def choose(
    tasks: Sequence[Task], ledger: Ledger, *, states: Iterable[str] | None = None,
    overwrite: bool = False, replace_stale: bool = False,
) -> Choice:
    """Choose the tasks that a run does.

    Parameters
    ----------
    tasks : sequence of Task
    ledger : Ledger
    states : iterable of str, optional
        Only tasks in these states; by default all that are not done and not set aside.
    overwrite, replace_stale : bool
        Whether files may be replaced that no batch made, or that another task made.
    """
    choice = Choice()
    wanted = None if states is None else frozenset(states)
    for task in tasks:
        last = ledger.records.get(task.id)
        state = _state(task, last, choice)
        if state == "done":
            choice.finished.append(last or Record(task.id, state, task.name))
        elif not (STATES[state].again if wanted is None else state in wanted):
            choice.left.append(last or Record(task.id, state, task.name))
        else:
            _add(task, last, ledger, choice, (overwrite, replace_stale))
    return choice


def _state(task: Task, last: Record | None, choice: Choice) -> str:
    """Return the state of a task from its record and products, with no other run at work."""
    if last is None:
        return "waiting"
    if last.state == "running":
        return "abandoned"
    if last.state != "done":
        return last.state if last.state in STATES else "failed"
    change = products.changes(task.folder, last.outputs)
    if change:
        choice.changed.append(change)
    return "damaged" if change else "done"


def _add(task: Task, last: Record | None, ledger: Ledger, choice: Choice,
         may: tuple[bool, bool]) -> None:
    reason, there = (task.refused, False) if task.refused else _taken(task, ledger, *may)
    if reason:
        choice.refused.append((task, reason))
        return
    deaths = last.deaths if last is not None and last.state in ("killed", "running") else 0
    choice.jobs.append(Job(task, log_path(task.folder, task.name, task.id),
                           1 if last is None else last.attempt + 1, deaths, there))


def _taken(task: Task, ledger: Ledger, overwrite: bool, replace_stale: bool) -> tuple[str, bool]:
    """Return why a task may not make its products, and whether it replaces any."""
    there, kept = False, set(products.names_of(task))
    for name in products.names_of(task, kept=False):
        for present in products.existing(task.folder, name):
            there = True
            owner = ledger.owner(present) or ledger.owner(name)
            if overwrite or (owner is not None and owner.task == task.id):
                continue
            if owner is not None and name not in kept:
                continue  # a run that died between two steps left it
            if owner is None:
                return (f"{present}: exists, and was not made by batch; --overwrite replaces "
                        "it"), True
            if not replace_stale:
                return (f"{present}: stale: made by another recipe, version or state of the "
                        "inputs; --replace-stale remakes it"), True
    return "", there
