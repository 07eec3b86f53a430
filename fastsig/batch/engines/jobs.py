"""What engines are given and give back: jobs, what workers are started with, outcomes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from fastsig.batch.tasks.model import Task
from fastsig.batch.tasks.products import Product

__all__ = ["Job", "Outcome", "Setup"]


@dataclass(frozen=True)
class Setup:
    """What worker processes are started with.

    Parameters
    ----------
    threads : int
        Processors that one may use.
    commands : tuple of str
        What the tasks will call, imported before the first.
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
        File that gets the commands' messages; empty for none.
    attempt, deaths : int
        Which time; how many workers died of it before.
    overwrite : bool
        Whether what stands under its names may be replaced.
    scratch : str
        Folder on a disk of the node that it is done in; empty for none.
    """

    task: Task
    log: str = ""
    attempt: int = 1
    deaths: int = 0
    overwrite: bool = False
    scratch: str = ""

    def plain(self) -> dict[str, Any]:
        """The job as plain data, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended; parameters as of `fastsig.batch.ledger.Record`."""

    state: str
    outputs: tuple[Product, ...] = ()
    error: str = ""
    step: str = ""
    code: int = 0
    seconds: float = 0.0
    peak_bytes: int = 0
