"""A headless Chromium, for the pages that the project writes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, Self

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


class Opened:
    """A page that is open, with what went wrong in it and what it asked for."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.path, self.content = path, path.read_bytes()
        self.page = browser.new_page(viewport={"width": 1300, "height": 950}, **options)
        self.troubles: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda each: self.troubles.append(f"{each.type}: {each.text}"))
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())

    def ready(self) -> Self:
        self.page.wait_for_selector("body[data-ready=yes]", state="attached", timeout=10_000)
        return self

    @property
    def state(self) -> dict[str, Any]:
        """What the page shows; NaN comes as NaN."""
        return self.page.evaluate("fastsigPage.state()")

    def wait(self, condition: Callable[[dict[str, Any]], bool]) -> None:
        """Until the page shows something; its policy forbids what playwright has for this."""
        for _ in range(200):
            if condition(self.state):
                return
            self.page.wait_for_timeout(20)
        pytest.fail(f"the page stays at {self.state['view']}")
