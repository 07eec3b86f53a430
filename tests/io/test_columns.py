"""What is known of each row beside its values, and the unit of these, from stream to file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from streams import header

import fastsig as fs
from fastsig.axes.polarization import PolBasis
from fastsig.chain import Chain
from fastsig.errors import DataError, PlanError
from fastsig.stream import SpectrumStream, Sums

N_ROW, N_CHAN = 70_001, 4  # more rows than a chunk of columns has


class Known(SpectrumStream):
    """Kelvins of rows that know where they were."""

    def __init__(self, n_row: int = N_ROW) -> None:
        head = header(1000, n_chan=N_CHAN).replace(
            unit="K", polarization=PolBasis("linear", ("AA", "BB")), n_bits=32)
        super().__init__(head, (n_row, 2, N_CHAN), np.float32, "known")
        self.columns_read = {"ra_deg": (359.9 + 0.1 * np.arange(n_row) / 1000) % 360,
                             "dec_deg": -np.arange(n_row) / 1e4, "share": np.arange(n_row) / 7}

    files: Any = ()

    @property
    def columns(self) -> dict[str, str]:
        return {"ra_deg": "deg", "dec_deg": "deg", "share": ""}

    def read_columns(self, start: int, n: int) -> dict[str, np.ndarray]:
        return {name: each[start : start + n] for name, each in self.columns_read.items()}

    def read_sums(self, start: int, n: int) -> Sums:
        total = np.arange(start, start + n, dtype=np.float64)[:, None, None] + np.zeros(
            (1, 2, N_CHAN))
        return Sums(total, np.ones((n, 2, 1)))


def test_product_keeps_columns_and_unit(tmp_path: Path) -> None:
    known = Known()
    path = tmp_path / "known.h5"
    Chain(known).write(path)
    with fs.open(path) as chain:
        assert chain.header.unit == "K"
        assert chain.stream.columns == known.columns
        found = chain.read(65_530, 20).columns
        for name, values in known.columns_read.items():
            np.testing.assert_array_equal(found[name], values[65_530:65_550])
        part = chain[10:30, 1:3].read().to_xarray()
        np.testing.assert_array_equal(part["ra_deg"], known.columns_read["ra_deg"][10:30])
    with h5py.File(path) as file:
        assert file["data"].attrs["units"] == b"K"
        assert file["rows/ra_deg"].attrs["units"] == b"deg"
    fs.open(path).verify()


def test_means_of_columns_go_the_short_way_round() -> None:
    known = Known(2500)
    mean = Chain(known).integrate(n_int=1000).read().columns
    np.testing.assert_allclose(mean["ra_deg"][0], (359.9 + 0.1 * 499.5 / 1000) % 360, atol=1e-9)
    np.testing.assert_allclose(mean["ra_deg"][1], (359.9 + 0.1 * 1499.5 / 1000) % 360, atol=1e-9)
    np.testing.assert_allclose(mean["dec_deg"], -np.array([499.5, 1499.5, 2249.5]) / 1e4)
    np.testing.assert_allclose(mean["share"], np.array([499.5, 1499.5, 2249.5]) / 7)


def test_other_formats_tell_what_they_leave_out(tmp_path: Path) -> None:
    chain = Chain(Known(10))
    lost = r"the unit of values, K.*these columns: ra_deg, dec_deg, share"
    with pytest.raises(PlanError, match=lost):
        chain.write(tmp_path / "known.fil")
    chain.write(tmp_path / "known.hdf5", to="hifast", lossy=True)
    with h5py.File(tmp_path / "known.hdf5") as file:
        assert file["S/Ta"].shape == (2, 10, N_CHAN)
        np.testing.assert_array_equal(file["S/ra"], Known(10).columns_read["ra_deg"])
    again = fs.open(tmp_path / "known.hdf5")
    assert again.header.unit == "K"
    np.testing.assert_array_equal(again.read().columns["dec_deg"], -np.arange(10) / 1e4)


def test_a_flip_in_a_column_is_found(tmp_path: Path) -> None:
    path = tmp_path / "known.h5"
    Chain(Known(100)).write(path)
    with h5py.File(path) as file:
        place = file["rows/share"].id.get_chunk_info(0).byte_offset
    raw = bytearray(path.read_bytes())
    raw[place + 30] ^= 4
    path.write_bytes(raw)
    with pytest.raises(DataError, match="cannot read /rows"):
        fs.open(path).verify()


def test_columns_of_another_length_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "known.h5"
    Chain(Known(100)).write(path)
    with h5py.File(path, "a") as file:
        file["rows/share"].resize((99,))
    with pytest.raises(fs.FormatError, match=r"/rows/share has the shape \(99,\)"):
        fs.open(path)
