"""A Dask cluster of processes that tests and scripts may kill."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from batches import wait_for


class Cluster:
    """A Dask scheduler and workers, each a process of its own."""

    def __init__(self, folder: Path, plugin: str, workers: int) -> None:
        self._env = {**os.environ, "PYTHONPATH": plugin, "DASK_DISTRIBUTED__LOGGING": "",
                     "DASK_TEMPORARY_DIRECTORY": str(folder)}
        self.file = folder / "scheduler.json"
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", "0",
                                     "--no-dashboard", "--scheduler-file", self.file)
        wait_for(self.file.exists)
        self.workers = [self.worker() for _ in range(workers)]

    def worker(self) -> subprocess.Popen[bytes]:
        return self._start("worker", "--scheduler-file", self.file, "--nthreads", "1",
                           "--no-dashboard", "--no-nanny", "--memory-limit", "0")

    def _start(self, *words: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_" + words[0], *map(str, words[1:])],
            env=self._env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def renew(self) -> None:
        """Start a worker in the place of each that is dead."""
        self.workers = [each if each.poll() is None else self.worker() for each in self.workers]

    def close(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()
