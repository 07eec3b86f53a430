"""Run the command line as a user does: in a process of its own, forked where nothing forbids."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from forks import SERVER

ROOT = Path(__file__).resolve().parent.parent
CODE = "from fastsig.cli.main import main; main()"
#: Python that has `fastsig warmup` compile one form for 20, which `make site` compiles.
ONE_FORM = """
from fastsig.cli import warmup
warmup._DTYPES, warmup._PRODUCTS = ("int8",), ((1, "I"),)
"""


def command(*arguments: Any, before: str = "") -> list[str]:
    """The words of a ``fastsig`` call; `before` is Python that runs first."""
    return [sys.executable, "-W", "error::ResourceWarning", "-c", before + CODE,
            *map(str, arguments)]


def environment() -> dict[str, str]:
    """This process's environment, with the checkout importable."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "kernels")])
    return {**os.environ, "PYTHONPATH": path}


def fastsig(
    *arguments: Any, code: int = 0, cwd: Path | None = None, before: str = "",
    preexec: Callable[[], None] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run ``fastsig`` and hold its exit code against `code`."""
    done = None
    if not before and preexec is None:
        done = SERVER.run([*map(str, arguments)], cwd, environment())
    if done is None:
        done = subprocess.run(
            command(*arguments, before=before), capture_output=True, text=True, cwd=cwd,
            env=environment(), timeout=240, preexec_fn=preexec,
        )
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done
