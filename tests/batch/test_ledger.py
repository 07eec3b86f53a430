"""Journals: whole lines only, merged by attempt and number, quick for ten thousand tasks."""

from __future__ import annotations

import errno
import json
import os
import re
import time
from pathlib import Path

import pytest

from fastsig.batch.ledger import journal as ledger
from fastsig.batch.ledger.folder import FOLDER, log_path
from fastsig.batch.ledger.journal import Ledger
from fastsig.batch.ledger.records import Record, read_records
from fastsig.batch.ledger.states import STATES, chosen_by, state_of
from fastsig.errors import OutputError


def opened(folder: Path) -> Ledger:
    book = Ledger(os.fspath(folder))
    book.begin(10)
    return book


def journals(folder: Path) -> list[Path]:
    return sorted((folder / FOLDER / "journal").glob("*"))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    with opened(tmp_path) as book:
        book.append(Record("a", "running", "näme\n\ud800", 1))
        book.append(Record("a", "done", "a", 1, outputs=(("x.h5", 3, 4),), seconds=1.5, deaths=2))
    last = Ledger(os.fspath(tmp_path)).records["a"]
    assert (last.state, last.outputs, last.seconds, last.deaths, last.seq) == (
        "done", (("x.h5", 3, 4),), 1.5, 2, 2)
    assert last.pid == os.getpid() and abs(last.at - time.time()) < 60
    assert [path.suffix for path in journals(tmp_path)] == [".jsonl"]  # nothing kept in reserve


def test_torn_and_foreign_lines_count_for_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as book:
        book.append(Record("a", "running", attempt=1))
        book.append(Record("a", "done", attempt=1))
    path = journals(tmp_path)[0]
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for cut in range(len(lines[0]), len(whole) + 1):
        path.write_bytes(whole[:cut])
        states = [record.state for record in read_records(os.fspath(tmp_path))]
        assert states == (["running", "done"] if cut == len(whole) else ["running"]), cut
    path.write_bytes(lines[0] + b'{"task": 3\n[]\n{"state":"x"}\n\0\0\n{"task":"b","state":"done",'
                     b'"from a later version":1}\n' + lines[1])
    found = {record.task: record.state for record in read_records(os.fspath(tmp_path))}
    assert found == {"a": "done", "b": "done"}


def test_later_is_by_attempt_and_number_not_by_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second host's clock is an hour behind."""
    with opened(tmp_path) as book:
        book.append(Record("a", "failed", attempt=1))
        book.append(Record("b", "done", attempt=1, outputs=(("b.h5", 1, 1),)))
    real = time.time
    monkeypatch.setattr(ledger.time, "time", lambda: real() - 3600)
    with opened(tmp_path) as book:
        book.append(Record("a", "done", attempt=2))
        book.append(Record("b2", "done", attempt=1, outputs=(("b.h5", 2, 2),)))
    for path in journals(tmp_path):  # whatever the order in which journals are read
        path.rename(path.with_name(f"{99 - journals(tmp_path).index(path)}.jsonl"))
    book = Ledger(os.fspath(tmp_path))
    assert book.records["a"].state == "done"
    owner = book.owner("b.h5")
    assert owner is not None and owner.task == "b2"


def test_one_write_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two writers side by side: no line of one is within a line of the other."""
    writes: list[bytes] = []
    real = os.write
    monkeypatch.setattr(ledger.os, "write", lambda fd, data: writes.append(data) or real(fd, data))
    with opened(tmp_path) as one, opened(tmp_path) as other:
        for number in range(50):
            one.append(Record(f"a{number}", "done"))
            other.append(Record(f"b{number}", "done"))
    assert len(writes) == 100 and all(
        line.endswith(b"\n") and line.count(b"\n") == 1 and json.loads(line) for line in writes)
    assert len(Ledger(os.fspath(tmp_path)).records) == 100


def test_a_full_disk_tears_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that takes half a line, or none, is done again once there is room."""
    room = [1000]
    real = os.write

    def write(descriptor: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        n = min(len(data), room[0])
        room[0] -= n
        return real(descriptor, data[:n])

    monkeypatch.setattr(ledger.os, "write", write)
    book = opened(tmp_path)
    for number in range(20):
        book.append(Record(f"task{number}", "done", "a name"))
    assert len(list(read_records(os.fspath(tmp_path)))) < 20
    room[0] = 10**6
    book.append(Record("last", "done"))
    book.close()
    names = [record.task for record in read_records(os.fspath(tmp_path))]
    assert names == [*(f"task{number}" for number in range(20)), "last"]
    book = opened(tmp_path)
    room[0] = 0
    book.append(Record("lost", "done"))
    with pytest.raises(OutputError, match="1 records could not be written"):
        book.close()


def test_many_journals_become_one(tmp_path: Path) -> None:
    for number in range(40):
        with opened(tmp_path) as book:
            book.append(Record("a", "failed", attempt=number))
            book.append(Record(f"b{number}", "done", outputs=((f"{number % 7}.h5", number, 1),)))
    assert len(journals(tmp_path)) == 40
    before = Ledger(os.fspath(tmp_path))
    book = opened(tmp_path)
    book.append(Record("c", "done"))
    book.close(alone=True)
    after = Ledger(os.fspath(tmp_path))
    assert len(journals(tmp_path)) == 1 and len(after.records) == 42
    assert {**before.records, "c": after.records["c"]} == after.records
    assert {name: record.task for name, record in after.products().items()} == {
        f"{number % 7}.h5": f"b{number}" for number in range(33, 40)}


def test_ten_thousand_records(tmp_path: Path) -> None:
    """Read in about 3 s at most; 0.2 s of processor time here."""
    with opened(tmp_path) as book:
        for number in range(10_000):
            name = f"{number:064x}"
            book.append(Record(name, "running", f"n{number}", 1, outputs=((f"{number}.h5", -1, -1),)
                               ), durable=False)
            book.append(Record(name, "done", f"n{number}", 1, outputs=((f"{number}.h5", 10, 20),)),
                        durable=False)
    begun = time.process_time()
    found = Ledger(os.fspath(tmp_path))
    assert len(found.records) == 10_000 and time.process_time() - begun < 3
    assert len(list((tmp_path / FOLDER).rglob("*"))) < 10


@pytest.mark.parametrize("name", ["../../etc/x", "a/b", ".hidden", "\n\0", "x" * 300, ""])
def test_logs_stay_in_their_folder(tmp_path: Path, name: str) -> None:
    path = Path(log_path(os.fspath(tmp_path), name, "f" * 64))
    assert path.parent == tmp_path / FOLDER / "logs" and not path.name.startswith(".")
    assert len(path.name) < 200 and path.name.endswith("-ffffffffffffffff.log")


@pytest.mark.parametrize("code, message, missing, state", [
    (3, "x.raw: truncated", [], "failed"),
    (3, "x.raw: No such file or directory", ["x.raw"], "vanished"),
    (2, "--memory 10MB is below the floor of this plan, 80MB", [], "memory"),
    (70, "out of memory: specify a lower --memory or fewer --workers", [], "memory"),
    (4, "x.h5: cannot be written: No space left on device", [], "disk-full"),
    (4, "x.h5: Disk quota exceeded: up to 3 bytes are needed, 1 are free", [], "disk-full"),
    (143, "terminated; nothing was left half-written", [], "preempted"),
])
def test_ends_are_told_apart(code: int, message: str, missing: list[str], state: str) -> None:
    assert state_of(code, message, missing) == state


def test_messages_of_the_commands_are_those_that_are_looked_for(
    samples: Path, tmp_path: Path
) -> None:
    """The texts come from elsewhere: whoever changes them there finds out here."""
    from cli import fastsig

    done = fastsig("cut", samples / "fast_band_1GSa.h5", "-o", tmp_path / "x.h5", "--memory", "1MB",
                   code=2)
    line = next(line for line in done.stderr.splitlines() if line.startswith("fastsig: "))
    assert state_of(2, line) == "memory"


def test_choices_of_retry() -> None:
    failed, killed = chosen_by(["failed"]), chosen_by(["killed"])
    assert not failed & killed
    assert failed | killed | {"waiting"} == chosen_by(["all"])
    assert {"failed", "timeout", "memory", "damaged"} <= failed and "poison" in killed
    assert not {"done", "running"} & chosen_by(["all"])
    assert not STATES["poison"].again and STATES["preempted"].again




def test_all_states_are_documented() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "batch-faults.md").read_text()
    rows = {row[0]: row[1:] for row in re.findall(
        r"^\| `([a-z-]+)` \| ([^|]*) \| ([^|]*) \| ([^|]*) \|", page, re.MULTILINE)}
    assert set(rows) == set(STATES)
    for name, state in STATES.items():
        meaning, again, retry = (cell.strip() for cell in rows[name])
        assert meaning == state.meaning and again.startswith("yes") == state.again, name
        assert not state.retry or retry == f"`--{state.retry}`", name
