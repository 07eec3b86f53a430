"""A Dask cluster of processes that tests and scripts may kill."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from batches import wait_for


class Cluster:
    """A Dask scheduler and workers, each a process of its own; workers come by `renew`."""

    def __init__(self, folder: Path, plugin: str) -> None:
        self._env = {**os.environ, "PYTHONPATH": plugin, "DASK_DISTRIBUTED__LOGGING": "",
                     "DASK_TEMPORARY_DIRECTORY": str(folder)}
        self.file = folder / "scheduler.json"
        self.scheduler = self._schedule()
        self.workers: list[subprocess.Popen[bytes]] = []

    def _schedule(self) -> subprocess.Popen[bytes]:
        self.file.unlink(missing_ok=True)
        made = self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
                           "--scheduler-file", self.file)
        wait_for(self.file.exists)
        return made

    def worker(self) -> subprocess.Popen[bytes]:
        return self._start("worker", "--scheduler-file", self.file, "--nthreads", "1",
                           "--no-dashboard", "--no-nanny", "--memory-limit", "0")

    def _start(self, *words: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_" + words[0], *map(str, words[1:])],
            env=self._env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def renew(self, workers: int) -> None:
        """Start what is missing of a scheduler that lives and so many workers."""
        if self.scheduler.poll() is not None:
            self.keep(0)
            self.scheduler = self._schedule()
        self.workers = [each for each in self.workers if each.poll() is None]
        self.workers += [self.worker() for _ in range(workers - len(self.workers))]

    def keep(self, workers: int) -> None:
        """End all workers but the first of them."""
        for process in self.workers[workers:]:
            process.kill()
            process.wait()
        del self.workers[workers:]

    def close(self) -> None:
        """End all of it."""
        self.keep(0)
        self.scheduler.kill()
        self.scheduler.wait()
