"""A last integration that spectra do not fill: kept with its weight, or dropped and recorded."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import h5py
import numpy as np
import pytest
from cli import fastsig
from streams import MemorySpectra
from streams import header as voltages_header

import fastsig as fs
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PRODUCTS, PolBasis

N_CHAN = 8


def source(n: int = 50) -> fs.Chain:
    data = np.random.default_rng(3).normal(10, 1, (n, 1, N_CHAN)).astype("f4")
    about = voltages_header(Fraction(1000)).replace(
        channels=ChannelAxis(Fraction(10**9), Fraction(10**6), N_CHAN),
        polarization=PolBasis("linear", PRODUCTS["I"]), unit="K", source="B0531+21")
    return fs.Chain(MemorySpectra(data, about))


def as_blimpy_reads(path: Path) -> np.ndarray:
    """All rows of /data: blimpy and turboSETI know no weights."""
    with h5py.File(path) as file:
        return file["data"][:]


def record(path: Path) -> dict:
    with h5py.File(path) as file:
        return json.loads(file["provenance"][()].tobytes())["stages"][-1]["parameters"]


def test_the_last_is_kept_or_dropped(tmp_path: Path) -> None:
    kept, dropped = source().integrate(n_int=16), source().integrate(n_int=16, last="drop")
    assert (kept.shape[0], dropped.shape[0]) == (4, 3)
    for name, chain in (("k.h5", kept), ("d.h5", dropped)):
        chain.write(tmp_path / name, workers=2)
    whole = source().read().values.reshape(50, 1, N_CHAN)[:48].reshape(3, 16, 1, N_CHAN)
    np.testing.assert_allclose(as_blimpy_reads(tmp_path / "d.h5"), whole.mean(axis=1), rtol=1e-6)
    assert len(as_blimpy_reads(tmp_path / "k.h5")) == 4
    assert "last" not in record(tmp_path / "k.h5")
    told = record(tmp_path / "d.h5")
    assert (told["last"], told["n_dropped"]) == ("drop", 2)


def test_nothing_is_recorded_where_nothing_is_dropped() -> None:
    for last in ("keep", "drop"):
        assert "last" not in source(48).integrate(n_int=16, last=last).stream.parameters()


def test_long_integrations_and_channels(tmp_path: Path) -> None:
    kept = source(700).integrate(n_int=300, n_freq=2).read()
    dropped = source(700).integrate(n_int=300, n_freq=2, last="drop").read()
    np.testing.assert_array_equal(dropped.values, kept.values[:2])
    np.testing.assert_array_equal(dropped.weight, kept.weight[:2])


def test_what_is_refused() -> None:
    with pytest.raises(fs.UsageError, match="last = 'half'; allowed: keep, drop"):
        source().integrate(n_int=16, last="half")
    with pytest.raises(fs.UsageError, match="leaves nothing of 50 spectra"):
        source().integrate(n_int=51, last="drop")


def test_command(samples: Path, tmp_path: Path) -> None:
    call = ("spectra", samples / "pulsar_lower_8MHz.h5", "--n-chan", 64, "--n-int", 1000, "-o")
    fastsig(*call, "k.h5", cwd=tmp_path)
    fastsig(*call, "d.h5", "--last", "drop", cwd=tmp_path)
    kept, dropped = (as_blimpy_reads(tmp_path / name) for name in ("k.h5", "d.h5"))
    np.testing.assert_array_equal(kept[:-1], dropped)
    assert record(tmp_path / "d.h5")["last"] == "drop"


def test_xarray_keeps_what_the_header_holds() -> None:
    table = source().to_xarray()
    assert table["data"].attrs["units"] == "K" and table["frequency"].attrs["units"] == "MHz"
    assert table.attrs["source"] == "B0531+21" and table.attrs["telescope"] == "FAST"
    assert (table.attrs["ra_deg"], table.attrs["dec_deg"]) == (123.5, -12.25)
    assert table.attrs["start_time"] == "2021-03-04T05:06:07.123456789"
    assert table.attrs["sample_rate_hz"] == "1000" and "receiver" not in table.attrs
    raw = fs.Chain(MemorySpectra(np.ones((4, 1, N_CHAN)), source().header.replace(unit=None)))
    assert "units" not in raw.to_xarray()["data"].attrs
