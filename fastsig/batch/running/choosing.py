"""The choice of tasks for a run: those that are not done, and that replace no other's file."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from fastsig.batch.engines.jobs import Job
from fastsig.batch.ledger.folder import log_path
from fastsig.batch.ledger.journal import Ledger
from fastsig.batch.ledger.records import Record
from fastsig.batch.ledger.standing import earlier_states, obstacle, standing
from fastsig.batch.ledger.states import STATES
from fastsig.batch.tasks.model import Task

__all__ = ["Choice", "Refusal", "choose"]


class Refusal(NamedTuple):
    """A task that may not run, the reason, and its state: refused or stale."""

    task: Task
    reason: str
    state: str


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
    refused : list of Refusal
        Tasks that may not run, as a name is taken.
    left : list of Record
        Tasks that are not to be repeated without being asked (poison), or were not selected, with
        their states now.
    """

    jobs: list[Job] = field(default_factory=list)
    finished: list[Record] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    left: list[Record] = field(default_factory=list)


def choose(
    tasks: Sequence[Task], ledger: Ledger, *, states: Iterable[str] | None = None,
    overwrite: bool = False, replace_stale: bool = False,
) -> Choice:
    """Choose the tasks that a run does; no other run is at work.

    Parameters
    ----------
    tasks : sequence of Task
    ledger : Ledger
    states : iterable of str, optional
        Only tasks in these states, and those not begun whose predecessor is in one of these; by
        default, all that are not done and not set aside.
    overwrite, replace_stale : bool
        Whether files may be replaced that no batch made, or that another task made.
    """
    choice = Choice()
    wanted = None if states is None else frozenset(states)
    for task in tasks:
        last = ledger.records.get(task.id)
        state, why = standing(task, ledger)
        record = Record(task.id, state, task.name) if last is None else replace(last, state=state)
        if state == "done":
            choice.finished.append(record)
        elif not _selected(task, state, ledger, wanted):
            choice.left.append(record)
        else:
            if last is not None and last.state == "done":
                choice.changed.append(why)
            _add(task, last, ledger, choice, overwrite=overwrite, replace_stale=replace_stale)
    return choice


def _selected(task: Task, state: str, ledger: Ledger, wanted: Collection[str] | None) -> bool:
    if wanted is None:
        return STATES[state].again
    return state in wanted or (state in ("waiting", "stale") and not earlier_states(
        task, ledger).isdisjoint(wanted))


def _add(task: Task, last: Record | None, ledger: Ledger, choice: Choice, **may: bool) -> None:
    if task.refused:
        choice.refused.append(Refusal(task, task.refused, "refused"))
        return
    found, there = obstacle(task, ledger, **may)
    if found is not None:
        choice.refused.append(Refusal(task, found.why, found.state))
        return
    deaths = last.deaths if last is not None and last.state in ("killed", "running") else 0
    choice.jobs.append(Job(task, log_path(task.folder, task.name, task.id),
                           1 if last is None else last.attempt + 1, deaths, there))
