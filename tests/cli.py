"""Run the command line as a user does: in a process of its own, forked where nothing forbids."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from forks import SERVER, Forked

ROOT = Path(__file__).resolve().parent.parent
CODE = "from fastsig.cli.main import main; main()"
#: Python that has `fastsig warmup` compile one form of one group; `make site` compiles all.
ONE_FORM = """
from fastsig.cli import warming
warming.GROUPS = {"banks": warming.GROUPS["banks"]}
warming.LAYOUTS, warming.CHANNELS, warming.PRODUCTS = warming.LAYOUTS[:1], (1024,), ("I",)
"""


def limiting(size: int) -> str:
    """Python that limits the size of files, as a quota does: writes beyond it fail."""
    return (f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))\n"
            "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n")


def command(*arguments: Any, before: str = "") -> list[str]:
    """The words of a ``fastsig`` call; `before` is Python that runs first."""
    return [sys.executable, "-W", "error::ResourceWarning", "-c", before + CODE,
            *map(str, arguments)]


def environment() -> dict[str, str]:
    """This process's environment, with the checkout importable."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "kernels")])
    return {**os.environ, "PYTHONPATH": path}


def begin(*arguments: Any, cwd: Path | None = None) -> Forked:
    """Begin ``fastsig`` and go on."""
    process = SERVER.begin([*map(str, arguments)], environment(), cwd)
    assert process is not None
    return process


def piped(data: bytes | IO[bytes], *arguments: Any, code: int = 0, cwd: Path | None = None) -> str:
    """Run ``fastsig`` with standard input from a pipe, or from a file; returns its messages."""
    with contextlib.ExitStack() as stack:
        if isinstance(data, bytes):
            readable, writable = os.pipe()
            stack.callback(os.close, readable)
            thread = threading.Thread(target=_write, args=(writable, data))
            thread.start()
        else:
            readable = data.fileno()
        done = SERVER.run([*map(str, arguments)], cwd, environment(), stdin=readable)
    if isinstance(data, bytes):
        thread.join()
    assert done is not None and done.returncode == code, done
    assert "Traceback" not in done.stderr
    return done.stderr + done.stdout


def _write(descriptor: int, data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), os.fdopen(descriptor, "wb") as file:
        file.write(data)


def fastsig(
    *arguments: Any, code: int = 0, cwd: Path | None = None, before: str = "",
    preexec: Callable[[], None] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run ``fastsig`` and hold its exit code against `code`."""
    done = None
    if preexec is None and "NUMBA_" not in before:  # which is read when numba is imported
        done = SERVER.run([*map(str, arguments)], cwd, environment(), before=before)
    if done is None:
        done = subprocess.run(
            command(*arguments, before=before), capture_output=True, text=True, cwd=cwd,
            env=environment(), timeout=240, preexec_fn=preexec,
        )
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done
