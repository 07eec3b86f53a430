"""The dispersion that was removed, in files of each format and back."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from recordings import recorded
from streams import MemorySpectra, header

import fastsig as fs
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PolBasis
from fastsig.errors import PlanError, UsageError
from fastsig.io.presto.inf import parse_inf
from fastsig.io.sigproc.header import read_keywords

AXIS = ChannelAxis(Fraction(1000 * 10**6), Fraction(10**6), 64)
TOP = 1063 * 10**6
N = 500


class Complete(MemorySpectra):
    """Spectra that are known to be complete."""

    def all_valid(self) -> bool:
        return True


@pytest.fixture
def source() -> fs.Chain:
    head = header(1000, start="2026-03-04T00:00:00").replace(
        channels=AXIS, polarization=PolBasis("unknown", ("I",)), n_bits=32, is_complex=False,
        beam=None)
    data = np.random.default_rng(1).normal(10, 1, (N, 1, 64))
    return fs.Chain(Complete(data, head))


def written(chain: fs.Chain, path: Path, **options: Any) -> fs.Chain:
    chain.write(path, **options)
    return fs.open(path)


def test_aligned_spectra_in_sigproc(source: fs.Chain, tmp_path: Path) -> None:
    made = source.dedisperse(50, last="drop")
    with written(made, tmp_path / "a.fil") as again:
        assert (again.header.dm, again.header.dm_reference_hz) == (50, TOP)
        np.testing.assert_array_equal(again.read().values, made.read().values)
        info = fs.info(tmp_path / "a.fil")
        assert (info["dm"], info["dm_reference_mhz"]) == (50, 1063)
        twice = again.dedisperse(20)
        assert twice.header.dm == 70 and twice.header.start_time == again.start_time
    values = read_keywords(str(tmp_path / "a.fil")).values
    assert (values["data_type"], values["refdm"], values["fch1"]) == (6, 50.0, 1063.0)


def test_a_filterbank_with_the_measure_of_its_source_is_not_dedispersed(
        source: fs.Chain, tmp_path: Path) -> None:
    source.stream.header = source.header.replace(extra={"refdm": 26.8})
    with written(source, tmp_path / "a.fil") as again:
        assert again.header.dm is None and again.header.extra["refdm"] == 26.8


def test_a_plane_is_not_read(source: fs.Chain, tmp_path: Path) -> None:
    source.planes([0, 50]).write(tmp_path / "a.h5")
    with pytest.raises(fs.FormatError, match="contains a DM-time plane; allowed here: a stream"):
        fs.open(tmp_path / "a.h5")


@pytest.mark.parametrize(("options", "message"), [
    ({"ref": "infinity"}, "an infinite reference frequency"),
    ({"ref": "1GHz"}, "the reference frequency 1000 MHz, other than that of the highest"),
    ({"constant": 4148.808}, "the dispersion constant 4148.808")])
def test_what_sigproc_cannot_store(source: fs.Chain, tmp_path: Path, options: Any, message: str
                                   ) -> None:
    with pytest.raises(fs.UsageError, match=message):
        source.dedisperse(50, last="drop", **options).write(tmp_path / "a.fil")


def test_a_series_of_sigproc_is_like_those_of_its_own_programs(source: fs.Chain, tmp_path: Path
                                                               ) -> None:
    made = source.dedisperse(50, last="drop").to_series()
    with written(made, tmp_path / "a.tim") as again:
        assert (again.header.dm, again.header.dm_reference_hz) == (50, TOP)
        assert again.header.channels is None
        np.testing.assert_array_equal(again.read().values, made.read().values)
    values = read_keywords(str(tmp_path / "a.tim")).values
    assert (values["data_type"], values["refdm"], values["fch1"]) == (2, 50.0, 1063.0)
    assert "foff" not in values and values["nchans"] == values["nifs"] == 1


def test_sigpyproc_reads_our_series(source: fs.Chain, tmp_path: Path) -> None:
    pytest.importorskip("sigpyproc", reason="sigpyproc needs Python 3.12 or newer")
    timeseries = pytest.importorskip("sigpyproc.timeseries")
    made = source.dedisperse(50, last="drop").to_series()
    made.write(tmp_path / "a.tim")
    found = timeseries.TimeSeries.from_tim(str(tmp_path / "a.tim"))
    np.testing.assert_array_equal(found.data, made.read().values[:, 0, 0])
    assert found.header.dm == 50 and found.header.tsamp == 1e-3


def test_a_series_of_presto(source: fs.Chain, tmp_path: Path) -> None:
    made = source.dedisperse(50, last="drop").to_series()
    with written(made, tmp_path / "a.dat") as again:
        assert (again.header.dm, again.header.dm_reference_hz) == (50, TOP)
        assert again.header.channels == made.header.channels
        np.testing.assert_array_equal(again.read().values, made.read().values)
    cards = parse_inf(str(tmp_path / "a.inf")).cards
    assert {key: cards[key] for key in ("DM", "low_mhz", "channels", "channel_mhz",
                                        "bandwidth_mhz", "bins", "breaks", "band")} == {
        "DM": "50", "low_mhz": "1000", "channels": "64", "channel_mhz": "1",
        "bandwidth_mhz": "64", "bins": str(len(made)), "breaks": "0", "band": "Radio"}
    with pytest.raises(fs.UsageError, match="the reference frequency of times, infinity, other"):
        source.dedisperse(50, ref="infinity", last="drop").to_series().write(tmp_path / "b.dat")


def test_spectra_in_psrfits(source: fs.Chain, tmp_path: Path) -> None:
    made = source.dedisperse(50, ref="1020.5MHz", last="drop")
    with written(made, tmp_path / "a.fits", lossy=True) as again:
        assert (again.header.dm, again.header.dm_reference_hz) == (50, 1020_500_000)
    with pytest.raises(fs.UsageError, match="no place for an infinite reference frequency"):
        source.dedisperse(50, ref="infinity", last="drop").write(tmp_path / "b.fits")


@pytest.mark.recorded
def test_recorded_series_state_their_measure(tmp_path: Path) -> None:
    with fs.open(recorded("sigpyproc/GBT_J1807-0847.tim"), fch1=820, foff=200) as series:
        assert series.header.dm == 112.3802
    for name in ("dat", "inf"):
        shutil.copy(recorded(f"sigpyproc/GBT_J1807-0847.{name}"), tmp_path / f"a.{name}")
    with fs.open(tmp_path / "a.dat") as series:
        assert series.header.dm == 112.3802
        low, n, step = (float(str(series.header.extra[key])) for key in (
            "low_mhz", "channels", "channel_mhz"))
        assert float(series.header.dm_reference_hz) / 1e6 == pytest.approx(low + (n - 1) * step)


@pytest.mark.parametrize("name", ["a.fits", "a.h5"])
def test_dispersion_that_was_removed_within_channels(name: str, tmp_path: Path) -> None:
    head = header(1000, start="2026-03-04T00:00:00").replace(
        channels=AXIS, polarization=PolBasis("linear", ("I",)), n_bits=32, is_complex=False,
        coherent_dm=56.75)
    chain = fs.Chain(Complete(np.ones((N, 1, 64)), head))
    with written(chain, tmp_path / name, lossy=True) as again:
        assert again.header.coherent_dm == 56.75 and again.header.dm is None
    assert fs.info(tmp_path / name)["coherent_dm"] == 56.75
    assert "coherent_dm" not in fs.info(written_without(chain, tmp_path / f"b{name}"))
    with pytest.raises(UsageError, match=r"removed at DM 56\.75 .* allowed: a list of"):
        fs.dm_plan(chain, (0, 100), width="1ms")
    with pytest.raises(PlanError, match="the dispersion measure that was removed within channels"):
        chain.write(tmp_path / "a.fil")


def test_the_constant_with_which_it_was_removed(tmp_path: Path) -> None:
    head = header(1000, start="2026-03-04T00:00:00").replace(
        channels=AXIS, polarization=PolBasis("linear", ("I",)), n_bits=32, is_complex=False,
        coherent_dm=56.75, dispersion_constant=Fraction("4148.808"))
    chain = fs.Chain(Complete(np.ones((N, 1, 64)), head))
    with written(chain, tmp_path / "a.h5") as again:
        assert again.header.dispersion_constant == Fraction("4148.808")
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["data"].attrs["dispersion_constant"] == 4148.808
    with pytest.raises(PlanError, match=r"no place for the dispersion constant 4148\.808"):
        chain.write(tmp_path / "a.fits")


def written_without(chain: fs.Chain, path: Path) -> Path:
    """Write the same spectra without that dispersion measure."""
    stream = Complete(np.ones((N, 1, 64)), chain.header.replace(coherent_dm=None))
    fs.Chain(stream).write(path, lossy=True)
    return path
