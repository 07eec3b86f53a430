"""Delay signals: handle Ctrl-C and SIGTERM between blocks.

The handler of a signal runs between any two instructions of the main thread, and an exception that
it raises inside a callback of a C library (h5py has many) is swallowed: the run would continue as
if nothing had happened. While a product is written, signals are therefore recorded; `check`, which
writers and the scheduler call between blocks, calls their handlers.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

__all__ = ["check", "held"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_arrived: list[tuple[Any, int, FrameType | None]] = []
_holding = False


def check() -> None:
    """Call the handler of a signal that has arrived in the meantime."""
    if _arrived and threading.current_thread() is threading.main_thread():
        handler, number, frame = _arrived.pop()
        handler(number, frame)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Hold signals back until `check` is called or the block ends; a second signal acts at once.

    Only signals with a Python handler are held, and only on the main thread, which alone receives
    them.
    """
    global _holding
    if _holding or threading.current_thread() is not threading.main_thread():
        yield
        return
    _holding = True
    before: dict[int, Any] = {number: signal.getsignal(number) for number in _SIGNALS}

    def note(number: int, frame: FrameType | None) -> None:
        if _arrived:
            _arrived.clear()
            before[number](number, frame)
        _arrived.append((before[number], number, frame))

    try:
        for number, handler in before.items():
            if callable(handler):
                signal.signal(number, note)
        yield
    finally:
        for number, handler in before.items():
            if callable(handler):
                signal.signal(number, handler)
        _holding = False
    check()
