"""Shared by all tests: recorded files, a kernel cache that follows the kernels, small streams."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def _kernel_cache() -> str:
    """A cache folder named by the kernels' text: numba does not see edits in other modules."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "kernels" / "fastsig_kernels").glob("*.py")):
        digest.update(path.read_bytes())
    return os.path.join(tempfile.gettempdir(), f"fastsig-numba-{digest.hexdigest()[:16]}")


os.environ.setdefault("NUMBA_CACHE_DIR", _kernel_cache())
os.environ.setdefault("MPLBACKEND", "agg")

import numpy as np  # noqa: E402 - numba reads the variable when it is imported
import pytest  # noqa: E402


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of the project's own sample files."""
    return ROOT / "data" / "samples"


@pytest.fixture(scope="session")
def recorded() -> Callable[[str], Path]:
    """Path of a recorded file; skips where there are none, fails where CI lacks one."""
    place = os.environ.get("FASTSIG_REAL_DATA")
    shared = ROOT.parent / "shared"
    folder = Path(place) if place else shared / "data" / "real"

    def find(name: str) -> Path:
        path = folder / name
        if path.exists():
            return path
        if os.environ.get("CI") and shared.exists():
            pytest.fail(f"the recorded file {path} is missing")
        pytest.skip(f"no recorded files here ({path}); FASTSIG_REAL_DATA tells where they are")

    return find


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers, the same in every run."""
    return np.random.default_rng(20260101)
