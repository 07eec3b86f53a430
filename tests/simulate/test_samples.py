"""Each sample file is what its command in the README makes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from fastsig.cli.main import cli
from fastsig.io._metadata import header_record
from fastsig.io.native import NativeVoltages
from fastsig.io.native import open as open_native

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


def test_every_sample_has_a_command() -> None:
    assert sorted(names()) == sorted(path.name for path in SAMPLES.glob("*.h5"))
    assert sum(path.stat().st_size for path in SAMPLES.iterdir()) < 10**7


@pytest.mark.parametrize("command", COMMANDS, ids=names())
def test_command_makes_the_sample(command: list[str], tmp_path: Path) -> None:
    made = tmp_path / "made.h5"
    arguments = command[1:] + ["--quiet"]
    arguments[target(command) - 1] = str(made)
    cli.main(arguments, standalone_mode=False)
    kept = open_native(SAMPLES / command[target(command)])
    new = open_native(made)
    try:
        kept.verify()
        compare(kept, new)
    finally:
        kept.close()
        new.close()


def compare(kept: NativeVoltages, new: NativeVoltages) -> None:
    """Hold a new file against the one that is kept."""
    assert header_record(new.header) == header_record(kept.header)
    assert new.truth == kept.truth
    assert new.shape == kept.shape
    first, second = (stream.read_block(0, stream.shape[0]) for stream in (kept, new))
    for one, two in zip(first.valid, second.valid, strict=True):
        np.testing.assert_array_equal(one, two)
    # Logarithms, cosines and FFTs differ in their last bits between machines; rounding to 8 bits
    # makes whole steps of these in some 4e-6 of the samples (float64 FFTs against float32). The 5
    # allow for chance in the smallest file.
    step = np.abs(first.data.astype(np.int16) - second.data)
    assert step.max() <= 1
    assert np.count_nonzero(step) <= 1e-5 * step.size
