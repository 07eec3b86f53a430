"""Shared by all tests: recorded files, the folder of compiled kernels, random numbers."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

# Of bench, `make site` and worker processes too.
os.environ.setdefault("NUMBA_CACHE_DIR", str(ROOT / ".kernel-cache"))
os.environ.setdefault("MPLBACKEND", "agg")
# A shell that starts the tests in the background has them ignore Ctrl-C, and nohup the end of a
# session, children included.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

import numpy as np  # noqa: E402 - numba reads the variable when it is imported
import pytest  # noqa: E402

# Files that take a minute or more: first, so that two processes end at about the same time.
_LONG = {"test_docs", "test_cli", "test_kernel_spectrometer", "test_kernel_haswell"}


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Let every second process import the files of tests from the last to the first.

    All processes collect all tests. Each file that one process has compiled for pytest, the others
    load: two that went in the same order would compile every file twice.
    """
    report = yield
    last_first = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 2
    if last_first and isinstance(collector, pytest.Session | pytest.Directory):
        report.result.reverse()
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest; the order is the same in all processes."""
    items.sort(key=lambda item: (item.path.stem not in _LONG, item.path))


# numba makes objects by the million, few of which are garbage.
gc.set_threshold(100_000, 50, 50)


@pytest.fixture(scope="module", autouse=True)
def few_collected_objects() -> Iterator[None]:
    """Take what a module leaves behind out of the garbage collector's sight.

    numba keeps its compiler's objects, by the million: each collection would take a second.
    """
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of the project's own sample files."""
    return ROOT / "data" / "samples"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    from browser import chromium

    with chromium() as started:
        yield started


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers, the same in every run."""
    return np.random.default_rng(20260101)


@pytest.fixture(autouse=True)
def no_figures_left() -> Iterator[None]:
    """Close pyplot's figures: it warns of more than twenty."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
