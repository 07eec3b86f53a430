"""Where the recorded files of other telescopes and projects are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def recorded(name: str) -> Path:
    """Path of a recorded file; skips where the folder is absent, fails in CI where it is there."""
    shared = ROOT.parent / "shared"
    folder = Path(os.environ.get("FASTSIG_REAL_DATA") or shared / "data" / "real")
    path = folder / name
    if path.exists():
        return path
    if os.environ.get("CI") and shared.exists():
        pytest.fail(f"the recorded file {path} is missing")
    pytest.skip(f"the recorded file {path} is not here; FASTSIG_REAL_DATA names their folder")
