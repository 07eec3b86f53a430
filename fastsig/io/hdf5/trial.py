"""A trial of HDF5 files in a child process, before the library opens them in this process.

The structure of files in HDF5's older layout has no checksums, and damaged bytes in it can make the
library loop forever or crash. The child walks through these files first, and its end becomes an
error here. It is started with the first file that needs it (0.2 s) and then takes 1 or 2 ms per
file.
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
_OLD = (0, 1)  # versions of the superblock; files with later versions have checksums

Identity = tuple[int, int, int, int]


class _Child:
    """The child process, and the files that it has passed."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.process: subprocess.Popen[str] | None = None
        self.owner = 0
        self.others: list[Any] = []  # children of processes that this one was forked from
        self.n_tried = 0
        self.sound: dict[Identity, None] = {}

    def verdict(self, path: str, size: int) -> int:
        """Return 0 if the child passed a file, otherwise the code with which it ended.

        A crash counts only in a new process, because an earlier file may have damaged an old one.
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
            self.stop()  # on Ctrl-C; its answer would be taken for the answer on the next file
            raise
        return process.wait() or -signal.SIGABRT

    def _running(self) -> subprocess.Popen[str]:
        if self.owner != os.getpid():  # a forked process starts its own child
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
        """End the child."""
        if self.process is not None and self.owner == os.getpid():
            with contextlib.suppress(OSError):
                self.process.kill()
            self.process.communicate()
        self.process = None


_child = _Child()
atexit.register(_child.stop)
os.register_at_fork(after_in_child=lambda: setattr(_child, "lock", threading.Lock()))


def try_file(path: str, head: bytes) -> None:
    """Let the child walk through a file, if the library can fail on files of its layout.

    Parameters
    ----------
    path : str
        An HDF5 file.
    head : bytes
        At least the first nine bytes of the file.

    Raises
    ------
    FormatError
        Where the child hung or crashed.
    """
    if head[8] not in _OLD or not sys.executable:
        return
    status = os.stat(path)
    identity = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    with _child.lock:
        if identity in _child.sound:
            return
        try:
            code = _child.verdict(path, status.st_size)
        except OSError as error:
            raise FormatError(path, f"cannot start a process to try it: {error.strerror}"
                              ) from error
        if code == 0:
            if len(_child.sound) >= _MOST_KNOWN:
                _child.sound.clear()
            _child.sound[identity] = None
            return
    what = ("hangs" if code == -signal.SIGPROF
            else f"crashes (signal {-code})" if code < 0 else f"ends with {code}")
    raise FormatError(path, f"corrupt: the HDF5 library {what} on its structure")
