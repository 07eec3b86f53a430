"""Messages of errors are lines that a terminal can show."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import fastsig as fs
from fastsig.calibration.stokes import MuellerTable
from fastsig.errors import ForbiddenFileError, FormatError, MissingFileError, unreadable


def test_what_a_file_says_cannot_break_the_line_or_the_terminal() -> None:
    error = FormatError("x.fil", "source is J0534\n+2200\x1b[2J\x00µ, not \x7fB")
    assert str(error) == r"x.fil: source is J0534\n+2200\x1b[2J\x00µ, not \x7fB"


def test_a_long_message_lacks_its_middle() -> None:
    text = str(FormatError("x.fil", "a" * 5000 + "b"))
    assert len(text) < 1100 and text.startswith("x.fil: aaa") and text.endswith("ab")


@pytest.mark.parametrize("read", [fs.open, fs.info, fs.open_cube, MuellerTable.read])
def test_a_missing_file_is_an_error_of_fastsig_and_of_python(
        read: Callable[[Path], object], tmp_path: Path) -> None:
    path = tmp_path / "x.fil"
    with pytest.raises(FormatError, match="No such file") as caught:
        read(path)
    error = caught.value
    assert isinstance(error, FileNotFoundError) and error.filename == error.path == str(path)
    assert str(error) == f"{path}: No such file or directory"
    assert (error.errno, error.strerror) == (2, "No such file or directory")


def test_a_stem_of_unknown_files_is_missing_too(tmp_path: Path) -> None:
    for ending in ("a", "b"):
        (tmp_path / f"x.{ending}").write_text("nothing")
    with pytest.raises(FileNotFoundError, match="x: No such file; 2 files"):
        fs.open(tmp_path / "x")


def test_a_file_that_may_not_be_read_is_a_permission_error(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_, **__: False)  # root may read everything
    with pytest.raises(PermissionError, match="Permission denied") as caught:
        fs.open(tmp_path)
    assert isinstance(caught.value, ForbiddenFileError) and isinstance(caught.value, FormatError)


def test_the_cause_decides_on_the_error() -> None:
    for kind, cause in ((MissingFileError, FileNotFoundError(2, "none")),
                        (ForbiddenFileError, PermissionError(13, "none")),
                        (FormatError, IsADirectoryError(21, "none"))):
        error = unreadable("x", cause)
        assert type(error) is kind and str(error) == "x: none"
