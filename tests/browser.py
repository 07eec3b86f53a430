"""A headless Chromium, for the pages that the project writes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import pytest

# Nothing that the browser itself would ask the network for.
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync")


@contextmanager
def chromium() -> Iterator[Any]:
    """Debian's Chromium under playwright; skips without them, fails in CI."""
    path = shutil.which("chromium")
    if path is None:
        _lack("there is no chromium; Debian's package of that name has it")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _lack("there is no playwright; the extra dev has it")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=list(QUIET))
        yield browser
        browser.close()


def _lack(text: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(text)
    pytest.skip(text)
