"""The states of a task: one table, and the state that follows from an error message."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["STATES", "State", "chosen_by", "state_of"]


@dataclass(frozen=True)
class State:
    """A state of a task.

    Parameters
    ----------
    meaning : str
        Meaning for people, one line.
    again : bool
        Whether a run repeats tasks in this state without being asked.
    retry : str
        Option of ``batch retry`` that selects the state, besides ``--all``: failed, killed, or
        none.
    recorded : bool
        Whether journals record the state; the other states are derived from the records and the
        disk.
    """

    meaning: str
    again: bool = True
    retry: str = "failed"
    recorded: bool = True


#: All states, in the order in which they are reported.
STATES = {
    "waiting": State("not started", retry="", recorded=False),
    "running": State("a run is processing the task", again=False, retry=""),
    "done": State("all products exist and are recorded", again=False, retry=""),
    "failed": State("a command refused an input or ended with an error"),
    "vanished": State("an input no longer exists"),
    "timeout": State("the task took longer than the time limit"),
    "memory": State("the task needed more than the memory limit"),
    "disk-full": State("there was no room for a product, or for the inputs on the scratch disk, "
                       "because the disk was full or because a quota or a size limit was "
                       "reached"),
    "damaged": State("a product is missing, has been changed since it was made, or is corrupt"),
    "stale": State("a product was made by another recipe or another version of fastsig, or "
                   "before the inputs changed"),
    "refused": State("the name of a product cannot be formed, or is the name of another task's "
                     "product, of an input, or of a file that batch did not make"),
    "killed": State("the worker process of the task died", retry="killed"),
    "preempted": State("the run was stopped (SIGTERM, Ctrl-C)", retry="killed"),
    "abandoned": State("the run itself died", retry="killed", recorded=False),
    "poison": State("the worker processes of the task died repeatedly", again=False,
                    retry="killed"),
}

_NO_ROOM = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT), os.strerror(errno.EFBIG))
_NO_MEMORY = ("is below the floor", "out of memory", os.strerror(errno.ENOMEM))


def state_of(code: int, message: str, missing: Iterable[str] = ()) -> str:
    """Return the state of a task whose command ended with `code` and `message`.

    Parameters
    ----------
    code : int
        Exit code, not 0.
    message : str
        Last line of the command's error.
    missing : iterable of str
        Inputs that do not exist now.
    """
    if code in (130, 143, 129):
        return "preempted"
    if any(text in message for text in _NO_MEMORY):
        return "memory"
    if any(text in message for text in _NO_ROOM):
        return "disk-full"
    return "vanished" if any(missing) else "failed"


def chosen_by(choices: Iterable[str]) -> frozenset[str]:
    """Return the states that ``batch retry`` selects with ``failed``, ``killed`` or ``all``."""
    taken = set(choices)
    return frozenset(
        name for name, state in STATES.items()
        if state.retry in taken or ("all" in taken and name not in ("done", "running")))
