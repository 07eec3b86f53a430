"""Input and output of engines: jobs, the settings of workers, outcomes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from fastsig.batch.tasks.model import Task
from fastsig.batch.tasks.products import Product

__all__ = ["Job", "Outcome", "Setup"]


@dataclass(frozen=True)
class Setup:
    """The settings of worker processes.

    Parameters
    ----------
    threads : int
        Number of processors that one worker may use.
    commands : tuple of str
        Commands of the tasks, which are imported before the first task.
    node_cache : bool
        Whether compiled kernels are kept in a folder of this node.
    """

    threads: int = 1
    commands: tuple[str, ...] = ()
    node_cache: bool = True


@dataclass(frozen=True)
class Job:
    """An attempt at a task.

    Parameters
    ----------
    task : Task
    log : str
        File to which the commands' messages are written; empty for none.
    attempt, deaths : int
        Number of the attempt; number of workers that have died while running the task.
    overwrite : bool
        Whether existing files with the names of its products may be replaced.
    scratch : str
        Folder on a disk of the node in which the job runs; empty for none.
    """

    task: Task
    log: str = ""
    attempt: int = 1
    deaths: int = 0
    overwrite: bool = False
    scratch: str = ""

    def plain(self) -> dict[str, Any]:
        """Return the job as plain data, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Outcome:
    """The outcome of an attempt; parameters as for `fastsig.batch.ledger.records.Record`."""

    state: str
    outputs: tuple[Product, ...] = ()
    error: str = ""
    step: str = ""
    code: int = 0
    seconds: float = 0.0
    peak_bytes: int = 0
    warnings: tuple[str, ...] = ()
