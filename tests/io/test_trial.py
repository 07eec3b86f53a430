"""HDF5 files that the library fails on are met by a child first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from waiting import wait_for

import fastsig as fs
from fastsig.errors import FormatError
from fastsig.io.hdf5 import trial, trial_child
from fastsig.io.hdf5.opening import open_file


@pytest.fixture(autouse=True)
def child(monkeypatch: pytest.MonkeyPatch):
    """A child of the test's own."""
    made = trial._Child()
    monkeypatch.setattr(trial, "_child", made)
    yield made
    made.stop()


def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> None:
    """A child that does otherwise."""
    path = tmp_path / "other.py"
    path.write_text(text)
    monkeypatch.setattr(trial, "_CHILD", path)


@pytest.fixture
def old(tmp_path: Path) -> str:
    """A file of the older layout."""
    path = tmp_path / "old.h5"
    with h5py.File(path, "w") as file:
        file["a/b"] = np.arange(100)
        file["a"].attrs["c"] = "d"
        file["loop"] = h5py.SoftLink("/loop")
        file["hard"] = file["a"]
        file.create_dataset("chunked", (1000, 10), "f4", chunks=(10, 10))[:] = 1
    return str(path)


def test_a_sound_file_is_tried_once(old: str, child: trial._Child) -> None:
    for _ in range(3):
        open_file(old).close()
    assert child.n_tried == 1
    os.utime(old, ns=(1, 1))  # another file, as far as one can tell
    open_file(old).close()
    assert child.n_tried == 2


def test_the_newer_layout_needs_no_child(tmp_path: Path, child: trial._Child) -> None:
    with h5py.File(tmp_path / "new.h5", "w", libver=("v110", "v110")) as file:
        file["a"] = 1
    open_file(str(tmp_path / "new.h5")).close()
    assert child.process is None


HANG = """
import json, signal, sys
signal.setitimer(signal.ITIMER_PROF, 0.05)
sys.stdin.readline()
while True: pass
"""


@pytest.mark.parametrize("text, what", [
    (HANG, "hangs on its structure"),
    ("import os, sys; sys.stdin.readline(); os.abort()", f"crashes .signal {signal.SIGABRT}"),
    ("import os; os.abort()", "crashes"),
    ("raise SystemExit(7)", "ends with 7"),
])
def test_what_kills_the_child_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, old: str,
                                          text: str, what: str) -> None:
    script(monkeypatch, tmp_path, text)
    with pytest.raises(FormatError, match=f"old.h5: corrupt: the HDF5 library {what}"):
        fs.open(old)


def test_a_child_that_died_between_files_is_replaced(old: str, child: trial._Child) -> None:
    open_file(old).close()
    assert child.process is not None
    child.process.kill()
    os.utime(old, ns=(1, 1))
    open_file(old).close()


def test_damage_by_an_earlier_file_is_not_held_against_the_next(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path, old: str) -> None:
    script(monkeypatch, tmp_path, "import os, sys; sys.stdin.readline(); print(flush=True); "
                                  "sys.stdin.readline(); os.abort()")
    for stamp in (1, 2, 3):
        os.utime(old, ns=(stamp, stamp))
        open_file(old).close()


def test_all_is_looked_at_though_a_place_is_not_known(monkeypatch: pytest.MonkeyPatch,
                                                      old: str) -> None:
    looked: list[str] = []
    monkeypatch.setattr(trial_child.signal, "setitimer", lambda *_: None)
    monkeypatch.setattr(trial_child, "_attributes", lambda item: looked.append(item.name))
    trial_child.walk(old, 1)
    assert sorted(looked) == ["/", "/a", "/a/b", "/chunked"]
    looked.clear()
    monkeypatch.setattr(h5py.h5o, "get_info", lambda _: [][0])
    trial_child.walk(old, 1)
    assert sorted(looked) == ["/", "/a", "/chunked", "/hard"]


PARENT = """
import sys
from fastsig.io.hdf5 import trial as _trial
from fastsig.io.hdf5.opening import open_file
open_file(sys.argv[1]).close()
print(_trial._child.process.pid, flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("how", ["end", "kill"])
def test_the_child_goes_with_its_parent(old: str, how: str) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, old], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    assert parent.stdin is not None and parent.stdout is not None
    pid = int(parent.stdout.readline())
    os.kill(pid, signal.SIGINT)  # Ctrl-C reaches all of a terminal: it leaves that to the parent
    if how == "kill":
        parent.kill()
    parent.communicate("\n" if how == "end" else None)
    wait_for(lambda: is_gone(pid))


def is_gone(pid: int) -> bool:
    """Whether a process has ended, waited for or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
