"""Batches for tests: a format whose files misbehave as their text says, and recipes on them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cli import CODE, environment
from forks import SERVER, Forked
from waiting import wait_for as wait_for

from fastsig.batch.api import Recipe
from fastsig.batch.ledger.status import status
from fastsig.batch.tasks.model import Task

# A plug-in of the worker processes: files that begin with TRY tell in JSON what opening them does.
FORMAT = '''
import json, os, signal, sys, time, warnings
import numpy as np
from fastsig.errors import FastsigWarning
from streams import MemoryVoltages, header

if os.environ.get("TRY_UNRESERVED"):  # so that the write itself fails
    os.posix_fallocate = lambda *a: None

api = 1
NAME = "try"


class Tried(MemoryVoltages):
    @property
    def files(self):
        return [self.path]


def sniff(probe):
    return probe.head.startswith(b"TRY")


def open(path, **overrides):
    import builtins
    with builtins.open(path) as file:
        deed = json.loads(file.read()[3:])
    once = deed.get("once")
    if once is None or not os.path.exists(once):
        if once is not None:
            builtins.open(once, "w").close()
        if "sleep" in deed:
            time.sleep(deed["sleep"])
        if "hang" in deed:  # as a C library that holds the interpreter and hears no signal
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
            time.sleep(1000)
        if "allocate" in deed:
            kept = [np.ones(10**7) for _ in range(int(deed["allocate"] / 8e7))]
            time.sleep(1)
        for line in deed.get("warn", ()):
            warnings.warn(line, FastsigWarning)
        if "die" in deed:
            os.kill(os.getpid(), deed["die"])
            time.sleep(10)
    rows = deed.get("rows", 1000)
    rng = np.random.default_rng(deed.get("seed", 0))
    stream = Tried(rng.integers(-100, 100, (rows, 2), dtype=np.int8), header())
    stream.path = path
    return stream
'''


def install(folder: Path) -> str:
    """The plug-in as an installed package; returns the ``PYTHONPATH`` that offers it."""
    folder.mkdir(exist_ok=True)
    (folder / "tried_format.py").write_text(FORMAT)
    info = folder / "tried_format-1.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tried_format\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[fastsig.formats]\ntry = tried_format\n")
    tests = Path(__file__).resolve().parent
    return os.pathsep.join([str(folder), str(tests), environment()["PYTHONPATH"]])


def deed(path: Path, **what: Any) -> Path:
    """A file of that format."""
    path.write_text("TRY" + json.dumps(what))
    return path


RECIPE = """version = 1
[inputs]
files = ["in/*.try"]
[output]
folder = "out"
[[step]]
command = "cut"
to = "native"
output = "{stem}.h5"
"""


def recipe(folder: Path, deeds: dict[str, dict[str, Any]], text: str = RECIPE) -> Path:
    """A recipe in a folder, and its inputs by name."""
    (folder / "in").mkdir(parents=True, exist_ok=True)
    for number, (name, what) in enumerate(deeds.items()):
        deed(folder / "in" / f"{name}.try", **{"seed": number, **what})
    (folder / "r.toml").write_text(text)
    return folder / "r.toml"


def tasks(path: Path) -> list[Task]:
    """The tasks of a recipe."""
    return Recipe.read(path).tasks()


def begin(path: Path, *options: Any, command: str = "run", plugin: str, before: str = ""
          ) -> subprocess.Popen[str] | Forked:
    """``fastsig batch`` in a process of its own; `before` is Python that runs first."""
    words = ["batch", command, "-c", str(path), *map(str, options)]
    if command in ("run", "retry"):
        words += ["--no-warmup", "--no-plan"]
    variables = {**environment(), "PYTHONPATH": plugin}
    return SERVER.begin(words, variables, before=before) or subprocess.Popen(
        [sys.executable, "-c", before + CODE, *words], env=variables, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def batch(path: Path, *options: Any, command: str = "run", plugin: str, code: int = 0,
          before: str = "") -> subprocess.CompletedProcess[str]:
    """Run ``fastsig batch`` to its end and hold its exit code against `code`."""
    process = begin(path, *options, command=command, plugin=plugin, before=before)
    out, errors = process.communicate(timeout=120)
    assert process.returncode == code, f"exit {process.returncode}\n{out}\n{errors}"
    assert "Traceback" not in errors, errors
    return subprocess.CompletedProcess([], code, out, errors)


def states(path: Path) -> dict[str, str]:
    """State of each task by its name."""
    told = Recipe.read(path)
    return {row.name: row.state for row in status(told.tasks(), told.output).rows}


def products(folder: Path) -> dict[str, bytes]:
    """All files of an output folder but the ledger's and the report, temporary ones too."""
    return {path.name: path.read_bytes() for path in folder.iterdir()
            if path.is_file() and path.name != "report.html"}


def children(pid: int) -> list[int]:
    """Processes that a process started and that live."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] not in "ZX" and int(fields[1]) == pid:
            found.append(int(name))
    return found


def has_begun(folder: Path, names: Iterable[str]) -> bool:
    """Whether the logs tell that the tasks of these names were begun."""
    logs = folder / ".fastsig-batch" / "logs"
    found = [path for path in logs.glob("*.log") if path.stat().st_size] if logs.exists() else []
    return all(any(path.name.startswith(f"{name}-") for path in found) for name in names)
