"""Wait for something to become true, and no longer than is sensible."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any


def wait_for(true: Callable[[], Any], seconds: float = 60, *, every: float = 0.02) -> Any:
    """What `true` gives, once that is something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = true()
        if found:
            return found
        time.sleep(every)
    raise AssertionError("waited in vain")


def wait_for_files(
    folder: Path, process: subprocess.Popen[Any], n: int = 1, *, before: Iterable[str] = ()
) -> None:
    """Wait until a process has made so many files in a folder, or has ended."""
    old = set(before)
    wait_for(lambda: process.poll() is not None or len(set(os.listdir(folder)) - old) >= n,
             every=0.001)
