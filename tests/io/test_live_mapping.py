"""Files mapped at multiples of a huge page stay mapped while they are used."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import numpy as np
import pytest

from fastsig.io.live.mapping import HUGE, allocate, mapped


def test_a_part_keeps_the_whole_mapped(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(bytes(range(200)) * 100)
    with path.open("r+b") as file:
        memory = mapped(file.fileno())
    assert memory.ctypes.data % HUGE == 0 and len(memory) == 20_000
    part = memory[100:].view(np.int32)[::2]
    kept = part.copy()
    del memory
    gc.collect()
    np.testing.assert_array_equal(part, kept)
    part[0] = 7
    assert path.read_bytes()[100:104] == b"\7\0\0\0"
    before = lines(path)
    del part
    gc.collect()
    assert before and not lines(path)


def lines(path: Path) -> list[str]:
    """Return the mappings of a file in this process."""
    return [line for line in Path("/proc/self/maps").read_text().splitlines() if str(path) in line]


def test_all_pages_are_there(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with path.open("x+b") as file:
        os.ftruncate(file.fileno(), 2 * HUGE + 5000)
        memory = mapped(file.fileno())
        allocate(memory, file.fileno(), huge=True)
        assert not memory.any() and os.fstat(file.fileno()).st_blocks * 512 >= len(memory)


def test_what_cannot_be_mapped(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"x" * 5000)
    with path.open("rb") as file, pytest.raises(OSError, match="Permission denied"):
        mapped(file.fileno())
