"""Who hears of a run as it goes on."""

from __future__ import annotations

from collections.abc import Sequence

from fastsig.batch.engines.jobs import Job
from fastsig.batch.ledger.records import Record
from fastsig.batch.running.choosing import Choice
from fastsig.batch.tasks.model import Task

__all__ = ["Watcher"]


class Watcher:
    """Hears of a run as it goes on; no method does anything here. Called from several threads."""

    def planned(self, choice: Choice, stale: Sequence[str]) -> None:
        """What is to be done, before the first task; `stale`: products that no task has."""

    def came(self, tasks: Sequence[Task], choice: Choice) -> None:
        """New recordings were found: all tasks that there are now, and what becomes of the new."""

    def begun(self, job: Job) -> None:
        """A task begins."""

    def ended(self, job: Job, record: Record, again: bool) -> None:
        """A task ended; `again`: it is tried once more."""

    def note(self, text: str) -> None:
        """Something to know, one line."""
