"""Each sample file is what its command in the README makes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastsig as fs
from fastsig.cli.main import cli
from fastsig.io.hdf5.metadata import header_record

SAMPLES = Path(__file__).parents[2] / "data" / "samples"
README = (SAMPLES / "README.md").read_text()
COMMANDS = [shlex.split(block.replace("\\\n", " "))
            for block in re.findall(r"```console\n(fastsig simulate .*?)```", README, re.S)]


def target(command: list[str]) -> int:
    """Index of the name of the file that a command makes."""
    return command.index("-o") + 1


def names() -> list[str]:
    """Names of the files that the README has commands for."""
    return [command[target(command)] for command in COMMANDS]


def files(folder: Path, name: str) -> list[Path]:
    """The files that a name stands for."""
    return sorted(folder.glob(name.replace("{file}", "*")))


def test_every_sample_has_a_command() -> None:
    made = [path for name in names() for path in files(SAMPLES, name)]
    assert sorted(made) == sorted(path for path in SAMPLES.iterdir() if path.suffix != ".md")
    assert sum(path.stat().st_size for path in SAMPLES.iterdir()) < 1.2e7


@pytest.mark.parametrize("command", COMMANDS, ids=names())
def test_command_makes_the_sample(command: list[str], tmp_path: Path) -> None:
    name = command[target(command)]
    arguments = command[1:] + ["--quiet"]
    arguments[target(command) - 1] = str(tmp_path / name)
    cli.main(arguments, standalone_mode=False)
    assert [path.name for path in files(tmp_path, name)] == [
        path.name for path in files(SAMPLES, name)]
    assert [path.stat().st_size for path in files(tmp_path, name)] == [
        path.stat().st_size for path in files(SAMPLES, name)]
    with fs.open(files(SAMPLES, name)) as kept, fs.open(files(tmp_path, name)) as new:
        kept.verify()
        compare(kept.stream, new.stream)


def compare(kept: Any, new: Any) -> None:
    """Hold a new file against the one that is kept."""
    assert header_record(new.header) == header_record(kept.header)
    assert getattr(new, "truth", None) == getattr(kept, "truth", None)
    assert new.shape == kept.shape
    if kept.kind == "spectra":
        compare_spectra(kept, new)
        return
    first, second = (stream.read_block(0, stream.shape[0]) for stream in (kept, new))
    for one, two in zip(first.valid, second.valid, strict=True):
        np.testing.assert_array_equal(one, two)
    # Logarithms, cosines and FFTs differ in their last bits between machines; rounding to 8 bits
    # makes whole steps of these in some 4e-6 of the samples (float64 FFTs against float32). The 5
    # allow for chance in the smallest file.
    parts = [np.ascontiguousarray(block.data).view("f4") if block.data.dtype.kind == "c" else
             block.data.astype("f4") for block in (first, second)]
    step = np.abs(parts[0] - parts[1])
    assert step.max() <= 1
    assert np.count_nonzero(step) <= 1e-5 * step.size


def compare_spectra(kept: Any, new: Any) -> None:
    """As `compare`; last bits of logarithms may move codes of 8 bits by a step."""
    first, second = (stream.read_block(0, stream.shape[0]) for stream in (kept, new))
    np.testing.assert_array_equal(first.valid, second.valid)
    step = np.abs(first.data - second.data)
    code = np.nanmax(first.data, axis=0) - np.nanmin(first.data, axis=0)
    assert np.isnan(step).sum() == np.isnan(first.data).sum()
    assert np.nanmax(step / code) <= 1.01 / 255
    scale = np.nanmax(first.data[:, :2], axis=(0, 1))
    assert np.count_nonzero(step > 1e-6 * scale) <= 1e-4 * step.size
