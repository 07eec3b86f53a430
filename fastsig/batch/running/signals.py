"""Signals that end a run in an orderly way."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from fastsig.batch.engines.job_queue import Stop
from fastsig.batch.running.watcher import Watcher

__all__ = ["stopping"]


@contextlib.contextmanager
def stopping(stop: Stop, watcher: Watcher | None = None) -> Iterator[None]:
    """Let the first Ctrl-C request to finish; a second one, SIGTERM and SIGHUP request to stop.

    Has no effect outside the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal(number: int, frame: FrameType | None) -> None:
        handler = before[number]
        if not stop.n_working and callable(handler):
            handler(number, frame)
        elif number == signal.SIGINT and not stop.finishing.is_set():
            stop.finish()
            if watcher is not None:
                watcher.note("finishing the running tasks; Ctrl-C again stops now")
        else:
            stop.at_once(stop.code or 128 + number)

    numbers: tuple[int, ...] = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before: dict[int, Any] = {number: signal.getsignal(number) for number in numbers}
    try:
        for number in numbers:
            if before[number] is not signal.SIG_IGN:  # nohup ignores SIGHUP: continue
                signal.signal(number, on_signal)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
