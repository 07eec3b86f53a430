"""Verification: products are read in full, and damage is recorded in the ledger."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from fastsig.batch.engines.job_queue import Stop
from fastsig.batch.ledger.claims import Claim
from fastsig.batch.ledger.journal import Ledger
from fastsig.batch.ledger.status import Status, status
from fastsig.batch.recipe.model import Limits
from fastsig.batch.running.damage import verify_products
from fastsig.batch.running.signals import stopping
from fastsig.batch.running.watcher import Watcher
from fastsig.batch.tasks.model import Task

__all__ = ["verify"]


def verify(tasks: Sequence[Task], folder: str | os.PathLike[str], *, workers: int | None = None,
           limits: Limits | None = None, node_cache: bool = True,
           every: Sequence[Task] | None = None, watcher: Watcher | None = None) -> Status:
    """Read the products of finished tasks in full, and mark damaged products in the ledger.

    Parameters
    ----------
    tasks : sequence of Task
        Tasks whose output folder is `folder`.
    folder : path
        The output folder.
    workers : int, optional
        Number of processes that read products; by default one per processor.
    limits : Limits, optional
        Only `time` is used: the maximum time for reading the products of one task, in seconds.
    node_cache : bool
        Whether to keep compiled kernels in a folder of this node, unless ``NUMBA_CACHE_DIR``
        specifies another.
    every : sequence of Task, optional
        All tasks of the recipe, as for `fastsig.batch.status`.
    watcher : Watcher, optional
        Receives a line for each task with a damaged product, and for each task whose products
        could not be verified.

    Returns
    -------
    Status
        The state of the tasks after the verification.

    Raises
    ------
    OutputError
        If a run is using the folder.
    """
    base, stop, watcher = os.path.abspath(folder), Stop(), watcher or Watcher()
    with stopping(stop, watcher), Claim(base) as claim:
        ledger = Ledger(base)
        ledger.begin(len(tasks))
        try:
            unverified = verify_products(tasks, ledger, watcher.note, workers=workers,
                                         limits=limits, node_cache=node_cache, stop=stop)
        finally:
            ledger.close(alone=claim.alone())
    return replace(status(tasks, base, every=every), signal_code=stop.code, unverified=unverified)
