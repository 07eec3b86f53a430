"""Who works in a folder: one parent, or one of each shard, and nobody once they are dead."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cli import environment
from waiting import wait_for

from fastsig.batch.ledger import claims
from fastsig.batch.ledger.claims import Claim, living
from fastsig.batch.ledger.folder import FOLDER
from fastsig.errors import OutputError

HOLD = """
import sys, time
from fastsig.batch.ledger.claims import Claim
claim = Claim(sys.argv[1])
print("held", flush=True)
time.sleep(100)
"""


def path_of(folder: Path, scope: str = "all") -> Path:
    return folder / FOLDER / "claims" / scope


def elsewhere(folder: Path, scope: str, age: float) -> None:
    """The claim of another machine, whose heart beat last `age` s ago."""
    path = path_of(folder, scope)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"host": "node7", "pid": 123, "boot": "other", "start": "5"}))
    os.utime(path, (time.time() - age,) * 2)


def test_one_at_a_time_and_none_once_it_is_killed(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], text=True,
                               stdout=subprocess.PIPE, env=environment())
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    with pytest.raises(OutputError, match=rf"process {process.pid} on .* is at work here"):
        Claim(os.fspath(tmp_path))
    assert [holder.pid for holder in living(os.fspath(tmp_path))] == [process.pid]
    process.kill()
    process.communicate()
    assert living(os.fspath(tmp_path)) == []
    with Claim(os.fspath(tmp_path)) as claim:
        assert claim.alone() and [holder.pid for holder in living(claim.folder)] == [os.getpid()]
    assert living(os.fspath(tmp_path)) == []


@pytest.mark.parametrize("one, other, together", [
    ((1, 3), (2, 3), True), ((1, 3), (1, 3), False), ((1, 3), (2, 4), False), (None, (1, 3), False),
    ((1, 3), None, False), ((1, 3), (2, 3), True)])
def test_shards(tmp_path: Path, one: Any, other: Any, together: bool) -> None:
    folder = os.fspath(tmp_path)
    with Claim(folder, one) as first:
        if together:
            with Claim(folder, other) as second:
                assert not first.alone() and not second.alone()
        else:
            with pytest.raises(OutputError, match="is at work here"):
                Claim(folder, other)
        assert first.alone()
    Claim(folder, other).release()


def test_another_machine_is_told_by_its_heartbeat(tmp_path: Path) -> None:
    """There a lock may not be seen from here: a claim counts as long as its heart beats."""
    elsewhere(tmp_path, "all", 20)
    for shard in (None, (1, 2)):
        with pytest.raises(OutputError, match="process 123 on node7 is at work here"):
            Claim(os.fspath(tmp_path), shard)
    elsewhere(tmp_path, "all", 100)
    Claim(os.fspath(tmp_path)).release()
    elsewhere(tmp_path, "shard-2-of-2", 20)
    Claim(os.fspath(tmp_path), (1, 2)).release()
    assert path_of(tmp_path, "shard-1-of-2").read_text() == ""  # nobody's


def test_a_refused_claim_does_not_look_alive_from_elsewhere(tmp_path: Path) -> None:
    elsewhere(tmp_path, "shard-2-of-2", 20)
    with pytest.raises(OutputError):
        Claim(os.fspath(tmp_path))
    assert path_of(tmp_path).read_text() == ""


def test_file_systems_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(claims.fcntl, "flock", refuse)
    with Claim(os.fspath(tmp_path)), pytest.raises(OutputError, match=f"process {os.getpid()}"):
        Claim(os.fspath(tmp_path))
    path_of(tmp_path).write_text(json.dumps(  # a process of this machine that is dead
        {"host": "here", "pid": 2**22 + 1, "boot": claims._boot(), "start": "5"}))
    Claim(os.fspath(tmp_path)).release()
    assert fcntl.flock is refuse


def test_the_heart_beats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "_BEAT", 0.01)
    with Claim(os.fspath(tmp_path)):
        os.utime(path_of(tmp_path), (0, 0))
        wait_for(lambda: path_of(tmp_path).stat().st_mtime > 1)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        Claim(os.fspath(tmp_path / "file"))
