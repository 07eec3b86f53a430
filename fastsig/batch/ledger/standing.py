"""The standing of a task: its state now, from the records and the files that exist."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from fastsig.batch.ledger.journal import Ledger
from fastsig.batch.ledger.records import Record
from fastsig.batch.ledger.states import STATES
from fastsig.batch.tasks import products
from fastsig.batch.tasks.model import Task

__all__ = ["Standing", "earlier_states", "obstacle", "standing"]


class Standing(NamedTuple):
    """The state of a task and the reason for it; the reason is empty if there is none."""

    state: str
    why: str = ""


def standing(task: Task, ledger: Ledger, alive: Collection[tuple[str, int]] = ()) -> Standing:
    """Return the state of a task; `alive` are host and process of the runs that are at work.

    A task that was refused may no longer be in anyone's way, and one without a record may be:
    both are compared with the files that exist.
    """
    last = ledger.records.get(task.id)
    if last is None or last.state in ("refused", "stale"):
        return _not_begun(task, ledger, last)
    if last.state == "running" and (last.host, last.pid) not in alive:
        return Standing("abandoned", f"process {last.pid} on {last.host} died while running it")
    if last.state == "done":
        change = products.changes(task.folder, last.outputs)
        return Standing("damaged", change) if change else Standing("done")
    return Standing(_known(last), last.error)


def _not_begun(task: Task, ledger: Ledger, last: Record | None) -> Standing:
    """Return the state of a task that no run has begun.

    A file that no batch made stands in its way only if a run has refused the task for it: the
    next run may have --overwrite.
    """
    if task.refused:
        return Standing("refused", task.refused)
    found, _ = obstacle(task, ledger)
    if found is None or (found.state == "refused" and last is None):
        return Standing("waiting")
    return found


def obstacle(task: Task, ledger: Ledger, *, overwrite: bool = False, replace_stale: bool = False
             ) -> tuple[Standing | None, bool]:
    """Return why a task may not make its products, and whether a file has the name of one.

    Parameters
    ----------
    task : Task
    ledger : Ledger
    overwrite, replace_stale : bool
        Whether files may be replaced that no batch made, or that another task made.
    """
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
                return Standing("refused", f"{present}: exists, and was not made by batch; "
                                           "--overwrite replaces it"), True
            if not replace_stale:
                return Standing("stale", f"{present}: stale: made by another recipe or another "
                                         "version of fastsig, or before the inputs changed; "
                                         "--replace-stale remakes it"), True
    return None, there


def earlier_states(task: Task, ledger: Ledger) -> set[str]:
    """Return the recorded state of a task that no run has begun, and that of its predecessor.

    The predecessor is the task that was last to make one of its products, before the inputs, the
    recipe or the version changed.
    """
    last = ledger.records.get(task.id)
    owners = [owner for name in products.names_of(task, kept=False)
              if (owner := ledger.owner(name)) is not None]
    before = [ledger.records[max(owners, key=lambda owner: (owner.seq, owner.at)).task]
              ] if owners else []
    return {"abandoned" if record.state == "running" else _known(record)
            for record in (*before, last) if record is not None}


def _known(last: Record) -> str:
    return last.state if last.state in STATES else "failed"
