"""Input and output of a worker process: the log of a task, and the pipes to its supervisor."""

from __future__ import annotations

import contextlib
import io
import json
import os
import queue
import signal
import threading
from typing import Any

__all__ = ["Link", "Log"]

_LONGEST = 4000  # characters of an error
_MOST_LOG = 2**20  # bytes of a log that one attempt may write
_ERROR, _WARNING = b"fastsig: ", b"fastsig: warning: "  # how lines begin


class Log(io.RawIOBase):
    """Standard output and error of the commands: a log that does not fail on a full disk.

    Lines of errors and warnings are passed on, so that they survive the process.

    Parameters
    ----------
    said, warned : callable
        Called with the text of each line of an error, and of each warning.
    """

    def __init__(self, said: Any, warned: Any) -> None:
        self._said, self._warned = said, warned
        self._line = b""
        self._left = 0

    def start(self, path: str) -> None:
        """Write to another file from now on; to none if it cannot be opened."""
        descriptor = -1
        with contextlib.suppress(OSError):
            descriptor = os.open(path or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND
                                 | os.O_NOCTTY | os.O_NOFOLLOW, 0o666)
        if descriptor < 0:
            descriptor = os.open(os.devnull, os.O_WRONLY)
        for number in (1, 2):  # C libraries write there
            os.dup2(descriptor, number)
        os.close(descriptor)
        self._left = _MOST_LOG

    def writable(self) -> bool:
        """Return True: the log can be written."""
        return True

    def write(self, data: Any) -> int:
        """Write; discard what does not fit on the disk or into the log."""
        text = bytes(data)
        if self._left > 0:
            cut = b"\n[the log ends here: it is too long]\n" if len(text) > self._left else b""
            with contextlib.suppress(OSError):
                os.write(1, text[: self._left] + cut)
            self._left -= len(text)
        *lines, self._line = (self._line[-_LONGEST:] + text).split(b"\n")
        for line in lines:
            for start, heard in ((_WARNING, self._warned), (_ERROR, self._said)):
                if line.startswith(start):
                    heard(line[len(start) :][:_LONGEST].decode(errors="replace"))
                    break
        return len(text)


class Link:
    """The pipes to the supervisor."""

    def __init__(self) -> None:
        self._input = os.fdopen(os.dup(0), "rb")
        self._output = os.dup(1)
        with open(os.devnull) as empty:
            os.dup2(empty.fileno(), 0)
        os.dup2(2, 1)
        self.orders: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self.busy = False
        threading.Thread(target=self._listen, name="fastsig-orders", daemon=True).start()

    def _listen(self) -> None:
        """Receive orders; when they end during a job, kill the process and its children."""
        for line in self._input:
            self.orders.put(json.loads(line))
        self.orders.put(None)
        if self.busy:
            own = os.getpgrp() == os.getpid()
            (os.killpg if own else os.kill)(os.getpid(), signal.SIGKILL)

    def send(self, message: dict[str, Any]) -> None:
        """Send a message as a line of JSON."""
        line = json.dumps(message).encode() + b"\n"
        with contextlib.suppress(BrokenPipeError):
            while line:
                line = line[os.write(self._output, line) :]
