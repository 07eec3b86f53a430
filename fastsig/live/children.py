"""Processes of a session: each is forked, reports by lines of JSON, and ends with the session."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Collection
from typing import Any

__all__ = ["Child", "share_heap", "start", "trim_heap", "use_small_pages"]

_PDEATHSIG, _THP_DISABLE, _ARENA_MAX = 1, 41, -8
_MOST_LINE = 2**16
_TICKS = 5  # of 10 ms, as a process that waits for a disk takes a little time as well


class Child:
    """A process as its supervisor sees it.

    Parameters
    ----------
    name : str
    pid : int
    pipe : int
        Descriptor from which its reports are read.
    """

    def __init__(self, name: str, pid: int, pipe: int) -> None:
        self.name, self.pid, self._pipe = name, pid, pipe
        #: How it ended: None while it runs, its exit code, or minus the number of a signal.
        self.ended: int | None = None
        #: Whether the supervisor has done what its end requires.
        self.attended = False
        self._rest = b""
        self._work, self._worked = -1, time.monotonic()

    def idle_s(self) -> float:
        """Return the seconds since its processor time was last seen to grow."""
        work = _processor_ticks(self.pid)
        if work != self._work:
            self._work, self._worked = work, time.monotonic()
        return time.monotonic() - self._worked

    def reports(self) -> list[dict[str, Any]]:
        """Return what it has reported since the last call."""
        if self._pipe < 0:
            return []
        with contextlib.suppress(BlockingIOError):
            while more := os.read(self._pipe, _MOST_LINE):
                self._rest += more
        *lines, self._rest = self._rest.split(b"\n")
        return [json.loads(line) for line in lines]

    def look(self) -> bool:
        """Whether it has ended, as `ended` then says."""
        if self.ended is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.ended = os.waitstatus_to_exitcode(status)
        return self.ended is not None

    def send(self, number: int) -> None:
        """Send it a signal, if it has not ended."""
        if not self.look():
            os.kill(self.pid, number)

    def close(self) -> None:
        """Close the pipe of its reports."""
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1


def _processor_ticks(pid: int) -> int:
    """Return the processor time of a process in coarse steps; -1 if it has ended."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return -1
    return (int(fields[11]) + int(fields[12])) // _TICKS


def share_heap() -> None:
    """Let all threads of this process, and of those that it forks, allocate from one heap.

    Every file has new threads. With a heap of its own, each of them could keep what is freed, so
    that memory would grow by megabytes after many files.
    """
    with contextlib.suppress(AttributeError):  # another library than glibc
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


def use_small_pages() -> None:
    """Let no array of this process have pages of 2 MB, as NumPy asks for.

    How many of these an array fills depends on where it begins, so that the memory of equal files
    would vary by megabytes. The receiver, whose ring is in such pages, is another process.
    """
    _prctl(_THP_DISABLE, 1)


def trim_heap() -> None:
    """Return free memory to the system, also that of objects which refer to each other.

    The allocator itself returns only what is free at the end of the heap: whether that is much
    depends on what was allocated last.
    """
    gc.collect()  # a pass or a figure leaves cycles of megabytes, which would wait for long
    with contextlib.suppress(AttributeError):  # another library than glibc
        ctypes.CDLL(None).malloc_trim(0)


def start(name: str, work: Callable[[Callable[[dict[str, Any]], None]], int],
          cpus: Collection[int] | None = None) -> Child:
    """Fork a process that runs ``work(report)`` and ends with the code that this returns.

    It runs on any processor, or on those given by `cpus`.

    It receives SIGTERM if the supervisor dies, and does not see Ctrl-C, which is the supervisor's.
    """
    readable, writable = os.pipe2(os.O_CLOEXEC)
    sys.stdout.flush()
    sys.stderr.flush()
    parent, pid = os.getpid(), os.fork()
    if pid:
        os.close(writable)
        os.set_blocking(readable, False)
        return Child(name, pid, readable)
    os.close(readable)
    code = 70
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        _prctl(_PDEATHSIG, signal.SIGTERM)
        if cpus is not None:
            os.sched_setaffinity(0, cpus)
        if os.getppid() == parent:
            code = _worked(work, writable)
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, *map(ctypes.c_ulong, (value, 0, 0, 0)))


def _worked(work: Callable[[Callable[[dict[str, Any]], None]], int], pipe: int) -> int:
    from fastsig.errors import FastsigError

    def report(what: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):
            os.write(pipe, json.dumps(what).encode() + b"\n")

    try:
        return work(report)
    except Exception as error:
        known = isinstance(error, (FastsigError, MemoryError))
        text = str(error) if known else f"internal error: {type(error).__name__}: {error}"
        report({"error": text} if known else {"error": text, "trace": traceback.format_exc()})
        return _code(error)


def _code(error: BaseException) -> int:
    from fastsig.errors import InputError, OutputError, UsageError

    kinds = ((UsageError, 2), (InputError, 3), (OutputError, 4))
    return next((code for kind, code in kinds if isinstance(error, kind)), 70)
