"""Signals that wait: Ctrl-C and SIGTERM at a moment of our choosing.

A signal's handler runs between any two instructions of the main thread, and an exception that it
raises inside a callback of a C library (h5py has many) is swallowed: the run would go on as if
nothing had happened. While a product is written, signals are therefore noted and raised by
`check`, which writers and the scheduler call between blocks.
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
    """Raise what a signal that arrived meanwhile would have raised."""
    if _arrived and threading.current_thread() is threading.main_thread():
        handler, number, frame = _arrived.pop()
        handler(number, frame)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Hold signals back until `check` is called or the block ends; a second one goes through.

    Only signals with a Python handler are held, and only by the main thread, which alone gets
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
