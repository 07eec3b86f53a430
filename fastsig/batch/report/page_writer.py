"""Writes the pages during a run: ``python -m fastsig.batch.report.page_writer``.

The process has the lowest priority and pauses for 25 times the time that a page takes: the tasks
keep the processors, and a product that makes a library hang affects only this process.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import select
import signal
import sys
import time
import warnings
from typing import Any

from fastsig.batch.report.page import NAME, write_report
from fastsig.batch.report.thumbnails import Thumbnails
from fastsig.batch.tasks.model import task_from
from fastsig.errors import FastsigError

__all__ = ["main"]

_REST = 25  # pause, in units of the time that a page takes
_PICTURES = 2.0  # s for new thumbnails of one page during the run
_LAST = 60.0  # s for new thumbnails of the last page
_DEATH_OF_PARENT = 1  # PR_SET_PDEATHSIG
#: Modules that a page needs: imported before the first page, whose time determines the pause.
_NEEDED = ("fastsig.io.files.safe", "fastsig.view.page.html")


def _lines() -> Any:
    """Generate the messages on standard input; each `send` waits for as long as it states.

    A message is empty after a time-out. The generator returns when the input ends.
    """
    rest = b""
    wait = yield
    while True:
        end = None if wait is None else time.monotonic() + wait
        while b"\n" not in rest:
            left = None if end is None else max(0.0, end - time.monotonic())
            if not select.select([0], [], [], left)[0]:
                break
            data = os.read(0, 2**20)
            if not data:
                return
            rest += data
        line, end_of_line, after = rest.partition(b"\n")
        rest = after if end_of_line else rest
        wait = yield json.loads(line) if end_of_line else {}


def main() -> None:
    """Write pages until the run ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the run determines when to exit
    os.nice(19)
    warnings.simplefilter("ignore")
    for name in _NEEDED:
        importlib.import_module(name)
    lines = _lines()
    next(lines)
    try:
        _report(lines.send(None), lines)
    except StopIteration:  # the run died; the page is as it was
        return
    except FastsigError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


def _report(request: dict[str, Any], lines: Any) -> None:
    ctypes.CDLL(None).prctl(_DEATH_OF_PARENT, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != request["parent"]:
        return
    tasks, folder = [task_from(values) for values in request["tasks"]], request["folder"]
    known = Thumbnails(os.path.join(folder, NAME))
    order: dict[str, Any] = {}
    while request["live"] and not order:
        begun = time.monotonic()
        write_report(tasks, folder, title=request["title"], reload=request["every"],
                     thumbnails=known, seconds=_PICTURES)
        rest = begun + max(request["every"], (_REST + 1) * (time.monotonic() - begun))
        while not order and (left := rest - time.monotonic()) > 0:
            order = lines.send(left)
            if "tasks" in order:  # more tasks came; the next page shows them
                tasks, order = [task_from(values) for values in order["tasks"]], {}
    if not request["live"]:
        order = lines.send(None)
    write_report(tasks, folder, title=request["title"], thumbnails=known,
                 pictures=order["pictures"], seconds=_LAST)


if __name__ == "__main__":
    main()
