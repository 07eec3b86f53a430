"""The base class of objects that are notified of the progress of a run."""

from __future__ import annotations

from collections.abc import Sequence

from fastsig.batch.engines.jobs import Job
from fastsig.batch.ledger.records import Record
from fastsig.batch.running.choosing import Choice
from fastsig.batch.tasks.model import Task

__all__ = ["Watcher"]


class Watcher:
    """Receives the events of a run, from several threads; the methods here do nothing."""

    def planned(self, choice: Choice, stale: Sequence[str]) -> None:
        """Receive the selected tasks before the first begins.

        `stale` names products that no task makes.
        """

    def came(self, tasks: Sequence[Task], choice: Choice) -> None:
        """When new recordings have arrived, receive all tasks, and the selected new ones."""

    def begun(self, job: Job) -> None:
        """Receive a job that begins."""

    def ended(self, job: Job, record: Record, again: bool) -> None:
        """Receive a job that has ended; if `again` is true, it is repeated."""

    def note(self, text: str) -> None:
        """Receive a line to be reported."""
