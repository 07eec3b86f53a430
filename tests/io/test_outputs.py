"""Several files of one product: all names or none, few descriptors, leftovers of dead writers."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastsig.errors import OutputError, UsageError
from fastsig.io.files.causes import cause_of
from fastsig.io.files.leftovers import sweep
from fastsig.io.files.outputs import OutputFiles, commit_together, output_names
from fastsig.io.files.safe import SafeOutput, check_output

BYTES = np.arange(8, dtype=np.uint8)


def files_of(folder: Path, n: int, **options: Any) -> OutputFiles:
    pattern = f"{folder}/x.{{file}}.raw"
    made = OutputFiles([(name, 8) for name in output_names(pattern, n)], pattern=pattern, **options)
    for number in range(n):
        made.write(number, BYTES + number, 0)
    return made


@pytest.mark.parametrize("moment", ["before", "between"])
def test_a_name_that_is_taken_meanwhile(moment: str, tmp_path: Path,
                                        monkeypatch: pytest.MonkeyPatch) -> None:
    made = files_of(tmp_path, 4)
    taken = tmp_path / "x.0002.raw"
    if moment == "before":
        taken.write_text("another's")
    else:  # after all were found to be free
        give_name = SafeOutput.give_name

        def late(output: SafeOutput, **options: bool) -> None:
            if output.path == os.fspath(taken):
                taken.write_text("another's")
            give_name(output, **options)

        monkeypatch.setattr(SafeOutput, "give_name", late)
    with pytest.raises(OutputError, match="x.0002.raw: was created by another program"):
        made.commit()
    assert os.listdir(tmp_path) == ["x.0002.raw"] and taken.read_text() == "another's"


def test_what_was_replaced_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (0, 1, 3):
        (tmp_path / f"x.{number:04d}.raw").write_text(f"old {number}")
    made = files_of(tmp_path, 4, overwrite=True)
    give_name = SafeOutput.give_name

    def fails(output: SafeOutput, **options: bool) -> None:
        give_name(output, **options)
        if output.path.endswith("x.0003.raw"):
            raise output.error(OSError(5, "Input/output error"))

    monkeypatch.setattr(SafeOutput, "give_name", fails)
    with pytest.raises(OutputError, match=r"x.0003.raw: cannot be written"):
        made.commit()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        f"x.{number:04d}.raw": f"old {number}" for number in (0, 1, 3)}
    monkeypatch.undo()
    files_of(tmp_path, 4, overwrite=True).commit()
    for number in range(4):
        path = tmp_path / f"x.{number:04d}.raw"
        np.testing.assert_array_equal(np.fromfile(path, np.uint8), BYTES + number)
    assert len(os.listdir(tmp_path)) == 4


def test_what_another_put_there_stays(tmp_path: Path) -> None:
    output = SafeOutput(tmp_path / "x", overwrite=True)
    output.give_name(keep_old=True)
    os.unlink(tmp_path / "x")
    (tmp_path / "x").write_text("another's")
    output.discard()
    assert (tmp_path / "x").read_text() == "another's" and os.listdir(tmp_path) == ["x"]


def test_more_files_than_may_be_open(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    n, room = 120, len(os.listdir("/proc/self/fd")) + 24
    resource.setrlimit(resource.RLIMIT_NOFILE, (room, before[1]))
    try:
        made = files_of(tmp_path, n)
        made.write(3, BYTES[:2], 6)
        assert len(os.listdir(tmp_path)) == n
        # While the writer lives, another one takes none of its files for leftovers.
        for name in ("x.{file}.raw", "x.0000.raw", "x.0050.raw"):
            assert sweep(f"{tmp_path}/{name}") == []
        made.commit()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert sorted(os.listdir(tmp_path)) == [f"x.{number:04d}.raw" for number in range(n)]
    assert (tmp_path / "x.0003.raw").read_bytes() == bytes([3, 4, 5, 6, 7, 8, 0, 1])
    assert (tmp_path / "x.0119.raw").read_bytes() == (BYTES + 119).tobytes()


def test_leftovers_of_any_number_are_swept(tmp_path: Path) -> None:
    dead = [f".x.{number}.raw.host-1-abcd.part" for number in ("0000", "0007", "12345")]
    dead.append(".x.0001.raw.host-1-abcd-old.part")
    other = [".x.001.raw.host-1-abcd.part", ".x.0000.dada.host-1-abcd.part", ".x.raw.h-1-a.part"]
    for name in (*dead, *other):
        (tmp_path / name).write_text("")
    made = files_of(tmp_path, 2)
    assert set(os.listdir(tmp_path)) & {*dead, *other} == set(other)
    made.discard()
    assert set(os.listdir(tmp_path)) == set(other)


def test_pairs_of_files_appear_together(tmp_path: Path) -> None:
    pair = [SafeOutput(tmp_path / name) for name in ("x.dat", "x.inf")]
    (tmp_path / "x.inf").write_text("another's")
    with pytest.raises(OutputError, match=r"x\.inf: was created"):
        commit_together(pair)
    assert os.listdir(tmp_path) == ["x.inf"]


def test_names_that_one_file_cannot_have(tmp_path: Path) -> None:
    for name in ("x.{file}.h5", "-", ""):
        with pytest.raises(UsageError, match="allowed: a name without {file}|needs the name of"):
            check_output(tmp_path / name if name.startswith("x") else name)
    with pytest.raises(UsageError, match="needs 100001 files; allowed: 100000"):
        output_names("x.{file}.raw", 100_001)


@pytest.mark.parametrize(("error", "text"), [
    (OSError(28, "x"), "No space left on device"),
    (RuntimeError("Unable to flush dataset (file write failed: time = Fri Nov 27 20:06:37 2026\n"
                  ", filename = '/x/.o.h5.part', file descriptor = 6, errno = 28, error message = "
                  "'No space left on device', buf = 0x7f, total write size = 64)"),
     "No space left on device"),
    (RuntimeError("no such\nthing, errno = 0"), "no such"), (KeyError(), "KeyError"),
    (OSError("errno = 99999999999999999999"), "errno = 99999999999999999999"),
])
def test_causes_of_errors_are_the_system_s_words(error: Exception, text: str) -> None:
    assert cause_of(error) == text
