"""The reader of DM-time planes: info, validate and view, and faults in one line."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from dispersed import chain, values

import fastsig as fs
from fastsig.io.planes.reader import read_plane
from fastsig.products.validate import validate
from fastsig.products.view import Wanted, draw_file


@pytest.fixture
def plane(tmp_path: Path) -> Path:
    data = values(lost=0)
    shift = chain(data).dedisperse(8).stream.shift  # type: ignore[attr-defined]
    data[150 + shift, :, np.arange(24)] += 8
    path = tmp_path / "plane.h5"
    chain(data).planes("0:12:0.5").write(path)
    return path


def test_a_plane_is_read_as_it_was_written(plane: Path) -> None:
    found = read_plane(plane)
    assert found.values.shape == found.weight.shape == (2, 25, 700)
    assert np.nanargmax(found.values[0].max(axis=1)) == 16 and found.dms[16] == 8
    assert found.header.dm_reference_hz == 411.5e6


def test_info_and_validate(plane: Path) -> None:
    fields = fs.info(plane, deep=True)
    assert (fields["kind"], fields["n_dm"], fields["dm_range"]) == ("planes", 25, [0, 12])
    assert fields["dm_reference_mhz"] == 411.5 and 0.97 < fields["valid_fraction"] < 1
    assert validate(plane)["valid"] and validate(plane)["checksums"]
    raw = bytearray(plane.read_bytes())
    with h5py.File(plane) as file:
        at = file["data"].id.get_chunk_info(0).byte_offset
    raw[at + 5] ^= 1
    plane.write_bytes(raw)
    record = validate(plane)
    assert not record["valid"] and "plane.h5: cannot read /data" in record["error"]


def test_a_picture_shows_the_pulse(plane: Path, tmp_path: Path) -> None:
    draw_file(plane, str(tmp_path / "a.png"), Wanted(product="BB"))
    assert (tmp_path / "a.png").stat().st_size > 10_000
    with pytest.raises(fs.UsageError, match="no product 'Q'; allowed: AA, BB"):
        draw_file(plane, str(tmp_path / "b.png"), Wanted(product="Q"))
    with pytest.raises(fs.UsageError, match="--at has no meaning for a DM-time plane|at= has no"):
        draw_file(plane, str(tmp_path / "b.png"), Wanted(at="1,2"))


@pytest.mark.parametrize("broken", ["dm", "weights", "provenance"])
def test_files_that_are_not_planes(broken: str, plane: Path) -> None:
    with h5py.File(plane, "a") as file:
        del file[broken]
    with pytest.raises(fs.FormatError, match=r"plane.h5: "):
        fs.info(plane)
    with pytest.raises(fs.FormatError, match="contains a DM-time plane; allowed here: a stream"):
        fs.open(plane)
