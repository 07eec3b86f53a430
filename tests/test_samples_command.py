"""``fastsig samples`` copies the recordings that the documents use."""

from __future__ import annotations

from pathlib import Path

from cli import ROOT, fastsig

SOURCE = ROOT / "data" / "samples"


def test_samples_are_copied_once(tmp_path: Path) -> None:
    done = fastsig("samples", cwd=tmp_path)
    copied = tmp_path / "data" / "samples"
    assert {path.name: path.read_bytes() for path in copied.iterdir()} == {
        path.name: path.read_bytes() for path in SOURCE.iterdir()}
    assert done.stderr == f"{len(list(SOURCE.iterdir()))} files in data/samples\n"
    times = {path: path.stat().st_mtime_ns for path in copied.iterdir()}
    fastsig("samples", "-q", cwd=tmp_path)
    assert {path: path.stat().st_mtime_ns for path in copied.iterdir()} == times


def test_a_file_that_differs_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    done = fastsig("samples", tmp_path, code=4)
    assert "README.md: exists; give --overwrite" in done.stderr
    assert (tmp_path / "README.md").read_text() == "mine" and len(list(tmp_path.iterdir())) == 1
    fastsig("samples", tmp_path, "--overwrite", "-q")
    assert (tmp_path / "README.md").read_bytes() == (SOURCE / "README.md").read_bytes()


def test_samples_are_listed(tmp_path: Path) -> None:
    lines = fastsig("samples", "--list", cwd=tmp_path).stdout.splitlines()
    assert len(lines) == len(list(SOURCE.iterdir())) and list(tmp_path.iterdir()) == []
