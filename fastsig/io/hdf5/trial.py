"""A trial of HDF5 files in a child process, before the library opens them in this one.

The structure of files in HDF5's older layout carries no checksums, and where bytes of it are
damaged the library can spin for ever or crash. The child walks through such a file first: what
kills it becomes an error here. It is started with the first file that needs it (0.2 s) and then
takes 1 or 2 ms a file.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from fastsig.errors import FormatError

__all__ = ["try_file"]

_CHILD = Path(__file__).with_name("trial_child.py")
_MOST_KNOWN = 10_000
_OLD = (0, 1)  # versions of the superblock; later ones go with checksums

Identity = tuple[int, int, int, int]


class _Child:
    """The process, and which files it came through."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.process: subprocess.Popen[str] | None = None
        self.owner = 0
        self.others: list[Any] = []  # of processes that this one was forked from
        self.n_tried = 0
        self.sound: dict[Identity, None] = {}

    def verdict(self, path: str, size: int) -> int:
        """0 where it came through a file, else how it ended.

        A crash counts in a new process only: an earlier file may have damaged an old one.
        """
        code = self._ask(path, size)
        fresh = self.n_tried == 1
        if code:
            self.stop()
        return code if fresh or code in (0, -signal.SIGPROF) else self.verdict(path, size)

    def _ask(self, path: str, size: int) -> int:
        process = self._running()
        self.n_tried += 1
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps([os.path.abspath(path), size]) + "\n")
            process.stdin.flush()
            if process.stdout.readline():
                return 0
        except BrokenPipeError:
            pass
        except BaseException:
            self.stop()  # Ctrl-C: its answer would be taken for that of the next file
            raise
        return process.wait() or -signal.SIGABRT

    def _running(self) -> subprocess.Popen[str]:
        if self.owner != os.getpid():  # a fork has a child of its own
            self.others.append(self.process)
            self.process, self.owner = None, os.getpid()
        if self.process is not None and self.process.poll() is not None:
            self.stop()
        if self.process is None:
            self.n_tried = 0
            self.process = subprocess.Popen(
                [sys.executable, "-S", os.fspath(_CHILD)], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))})
        return self.process

    def stop(self) -> None:
        """End it."""
        if self.process is not None and self.owner == os.getpid():
            with contextlib.suppress(OSError):
                self.process.kill()
            self.process.communicate()
        self.process = None


_child = _Child()
atexit.register(_child.stop)
os.register_at_fork(after_in_child=lambda: setattr(_child, "lock", threading.Lock()))


def try_file(path: str, head: bytes) -> None:
    """Let the child walk through a file, where its layout is one that the library can fail on.

    Parameters
    ----------
    path : str
        An HDF5 file.
    head : bytes
        Its first bytes, nine at least.

    Raises
    ------
    FormatError
        Where the child hung or crashed.
    """
    if head[8] not in _OLD or not sys.executable:
        return
    told = os.stat(path)
    identity = (told.st_dev, told.st_ino, told.st_size, told.st_mtime_ns)
    with _child.lock:
        if identity in _child.sound:
            return
        try:
            code = _child.verdict(path, told.st_size)
        except OSError as error:
            raise FormatError(path, f"cannot start a process to try it: {error.strerror}"
                              ) from error
        if code == 0:
            if len(_child.sound) >= _MOST_KNOWN:
                _child.sound.clear()
            _child.sound[identity] = None
            return
    what = ("does not come to an end" if code == -signal.SIGPROF
            else f"crashes (signal {-code})" if code < 0 else f"ends with {code}")
    raise FormatError(path, f"corrupt: the HDF5 library {what} on its structure")
