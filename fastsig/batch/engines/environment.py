"""The environment of worker processes: limited threads, kernels cached on the node."""

from __future__ import annotations

import os
import select
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable

from fastsig._version import __version__
from fastsig.batch.engines.job_queue import Stop
from fastsig.batch.engines.jobs import Setup
from fastsig.batch.ledger.folder import host_name

__all__ = ["environment", "warm", "worker_words"]

_PINNED = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS",
           "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def worker_words(*options: str) -> list[str]:
    """Return the command line of a worker process."""
    return [sys.executable, "-m", "fastsig.batch.engines.worker", *options]


def environment(setup: Setup) -> dict[str, str]:
    """Return the environment variables of a worker process."""
    values = {**os.environ, **dict.fromkeys(_PINNED, "1"), "MPLBACKEND": "agg",
              "NUMBA_NUM_THREADS": str(setup.threads), "PYTHONIOENCODING": "utf-8",
              # the packages of this process, from the same folders
              "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    if setup.node_cache and "NUMBA_CACHE_DIR" not in os.environ:
        folder = _node_cache()
        if folder is not None:
            values["NUMBA_CACHE_DIR"] = folder
    return values


def _node_cache() -> str | None:
    """Return a folder on this node that nobody else can write: files in it are executed."""
    name = f"fastsig-kernels-{os.getuid()}-{host_name()}-{__version__}"
    path = os.path.join(tempfile.gettempdir(), name)
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        status = os.lstat(path)
    except OSError:
        return None
    safe = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not (
        status.st_mode & 0o077)
    return path if safe else None


def warm(setup: Setup, stop: Stop, say: Callable[[str], None]) -> None:
    """Compile the kernels in a separate process if the cache is empty, and report this."""
    process = subprocess.Popen(
        worker_words("--warm"), env=environment(setup), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
    assert process.stdout is not None
    poll = select.poll()
    poll.register(process.stdout, select.POLLIN)
    try:
        while not stop.finishing.is_set():
            if not poll.poll(200):
                continue
            if not os.read(process.stdout.fileno(), 100):  # it has ended
                return
            say("compiling kernels; once for this node and version")
    finally:
        process.kill()
        process.communicate()
