"""On and off by the clock: simulated scans of known truth, which rows count, refusals."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pytest
from cli import fastsig
from streams import header as voltages_header

import fastsig as fs
from fastsig.axes.diode_schedule import DiodeSchedule
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PolBasis
from fastsig.errors import DataError, FastsigWarning, FormatError, PlanError, UsageError
from fastsig.io.fbh5.writer import FBH5Writer
from fastsig.reductions.switching.on_off import Schedule, on_off
from fastsig.reductions.switching.spectrum import average
from fastsig.simulate.components import Diode, RfiBurst
from fastsig.simulate.spectra_output import spectral, write_spectral

ROW = Fraction("1.00663296")
TICKS = 251_658_240  # of a row
BY_ROW = DiodeSchedule(2 * TICKS, TICKS, 0)
PERIOD = f"{float(20 * ROW)}s"
CONTINUUM, LINE = 5.0, 3.0


def seconds(rows: int) -> str:
    return f"{float(rows * ROW):.8f}s"


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three cycles of 10 rows on a source and 10 off it; the diode is on for every other row."""
    band = ("1419.01MHz", "1434.62MHz"), ("1425MHz", "1426MHz")
    bursts = [RfiBurst(start=seconds(20 * k), duration=seconds(10), low=low, high=high,
                       temperature=f"{temperature}K")
              for k in range(3) for (low, high), temperature in zip(band, (CONTINUUM, LINE),
                                                                    strict=True)]
    made = spectral(n_chan=2048, fstart="1419MHz", duration=seconds(60), rfi=bursts, seed=7,
                    diode=Diode(temperature="high", period=2 * TICKS, on=TICKS, first=0))
    path = tmp_path_factory.mktemp("onoff") / "S_onoff-M01_W_0001.fits"
    write_spectral(made, path)
    return path


def check(found: Any) -> None:
    """Continuum and line within their errors, noise as expected."""
    mean = average(found)
    mhz = mean.channels.centers.value
    line = (mhz > 1425.02) & (mhz < 1425.98)
    rest = (mhz > 1419.1) & (mhz < 1434.5) & ~((mhz > 1424.9) & (mhz < 1426.1))
    states = np.array([20, 32.5])  # with weights of their variances, those on the source too
    weight = 1 / (states**2 + (states + CONTINUUM) ** 2)
    tsys = np.sqrt((weight * states**2).sum() / weight.sum())
    for k in range(2):
        error = mean.expected[0, k] / np.sqrt(rest.sum())
        level = mean.values[0, k, rest].mean()
        # The diode's states give Tsys to 0.1 %, and so the temperature.
        assert level == pytest.approx(CONTINUUM, abs=5 * error + 0.002 * CONTINUUM)
        error = mean.expected[0, k] / np.sqrt(line.sum())
        assert mean.values[0, k, line].mean() - level == pytest.approx(LINE, abs=5 * error)
        assert mean.tsys[0, k] == pytest.approx(tsys, rel=0.01)
    # Chance is 1 % over 3 rows x 2 products x 1640 channels, which differences make dependent; the
    # line, 6 % of the channels, has 12 % more noise than the middle of the spectrum tells.
    assert found.ratio.mean() == pytest.approx(1, abs=0.04)
    assert mean.ratio.mean() == pytest.approx(1, abs=0.06)


def test_a_source_is_recovered_with_the_diode(scan: Path) -> None:
    found = on_off(fs.open(scan).stream, PERIOD, tcal="12.5K", diode=BY_ROW)
    assert found.values.shape == (3, 2, 2048) and found.header.unit == "K"
    assert found.header.polarization.names == ("AA", "BB")
    np.testing.assert_allclose(found.exposure, 5 * float(ROW), rtol=1e-6)
    assert found.header.sample_rate == 1 / (20 * ROW)
    check(found)


def test_a_source_is_recovered_without_the_first_rows(scan: Path) -> None:
    stream = fs.open(scan).stream
    found = on_off(stream, PERIOD, tcal=[12.5, 12.5] * u.K, diode=BY_ROW, settle=seconds(2))
    np.testing.assert_allclose(found.exposure, 4 * float(ROW), rtol=1e-6)
    check(found)
    shifted = on_off(fs.open(scan)[10:].stream, PERIOD, first=seconds(10), tcal="12.5K",
                     diode=DiodeSchedule(2 * TICKS, TICKS, 0))
    assert len(shifted.values) == 2  # the first cycle has lost its time on the source
    np.testing.assert_allclose(
        shifted.values, on_off(stream, PERIOD, tcal="12.5K", diode=BY_ROW).values[1:], atol=1e-9)


def test_the_projects_own_scan_has_the_source_on_throughout(samples: Path) -> None:
    """README of the samples: 20 K, a source of AA 2.5 K and BB 1.5 K, always there; rows lost."""
    stream = fs.open(sorted(samples.glob("SIMHI_onoff*.fits"))).stream
    diode = DiodeSchedule(2 * TICKS, TICKS, TICKS)
    found = average(on_off(stream, seconds(16), tcal="12.5K", diode=diode))
    error = found.expected[0] / np.sqrt(stream.shape[2])
    assert (np.abs(found.values[0].mean(axis=-1)) < 5 * error).all()
    with pytest.warns(FastsigWarning, match="1 cycles lack valid rows"):
        on_off(stream, seconds(8), tcal="12.5K", diode=diode)


def product(path: Path, values: np.ndarray, unit: str | None, weight: float = 1.0,
            names: tuple[str, ...] = ("AA",), n_recorded: int = 2) -> Any:
    axis = ChannelAxis(Fraction(1_400_000_000), Fraction(10_000), values.shape[2])
    about = voltages_header(Fraction(1, 2)).replace(
        channels=axis, polarization=PolBasis("linear", names, n_recorded=n_recorded),
        unit=unit, n_sum=1, diode=None)
    with FBH5Writer(path, about, values.shape, provenance={}, overwrite=True) as writer:
        writer.append(values.astype(np.float32),
                      np.full((*values.shape[:2], 1), weight, np.float32))
    return fs.open(path).stream


def test_rows_in_kelvin_are_subtracted(tmp_path: Path, rng: np.random.Generator) -> None:
    values = rng.normal(20, 20 / np.sqrt(2 * 10_000), (40, 1, 2000))
    values[np.arange(40) % 10 < 4] *= 1.5  # on for 8 of 20 s
    found = on_off(product(tmp_path / "k.h5", values, "K"), "20s", on="8s")
    assert found.values.shape == (4, 1, 2000)
    assert found.values.mean() == pytest.approx(10, abs=0.01)
    np.testing.assert_allclose(found.tsys, 20, rtol=1e-3)
    np.testing.assert_allclose(found.exposure, 8 * 12 / 20)
    noise = 20 / np.sqrt(10_000) * np.hypot(1.5 / np.sqrt(8), 1 / np.sqrt(12))
    np.testing.assert_allclose(found.expected, noise, rtol=2e-3)
    assert found.ratio.mean() == pytest.approx(1, abs=0.03)
    with pytest.raises(UsageError, match="rows in K need neither tsys nor tcal"):
        on_off(fs.open(tmp_path / "k.h5").stream, "20s", tsys="20K")
    again = on_off(fs.open(tmp_path / "k.h5").stream, "20s", on="8s", kelvin=False, tsys="20K")
    np.testing.assert_allclose(again.values.mean(), found.values.mean(), rtol=1e-3)


@pytest.mark.parametrize("n_pol", [1, 2])
def test_intensity_is_of_two_polarisations_or_one(n_pol: int, tmp_path: Path,
                                                  rng: np.random.Generator) -> None:
    values = rng.normal(40, 40 / np.sqrt(n_pol * 2 * 10_000), (80, 1, 1000))
    found = on_off(product(tmp_path / "i.h5", values, None, names=("I",), n_recorded=n_pol), "20s",
                   tsys="40K")
    assert found.ratio.mean() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize(("schedule", "on", "off"), [
    (Schedule(Fraction(10), Fraction(5)), range(5), range(5, 10)),
    (Schedule(Fraction(10), Fraction(9, 2)), range(4), range(5, 10)),  # row 4 is neither
    (Schedule(Fraction(10), Fraction(5), Fraction(1, 2)), range(1, 5), range(6, 10)),
    (Schedule(Fraction(10), Fraction(4), Fraction(-2), Fraction(1)), range(-1, 2), range(3, 8)),
])
def test_rows_that_are_wholly_in_a_phase(schedule: Schedule, on: range, off: range) -> None:
    assert schedule.rows(0, Fraction(1)) == (on, off)
    later = schedule.rows(3, Fraction(1))
    assert later == (range(on.start + 30, on.stop + 30), range(off.start + 30, off.stop + 30))


@pytest.mark.parametrize(("options", "error", "message"), [
    ({"period": "5s", "on": "5s"}, UsageError, "on = 5 s; allowed: above 0 and below the period"),
    ({"period": "4s", "settle": "2s"}, UsageError, "settle = 2 s; allowed: from 0 and below"),
    ({"period": "4kg"}, UsageError, "period = '4kg' is not a value in s"),
    ({"period": "9 h"}, PlanError, "contain no cycle of 32400 s"),
    ({"first": "61 s"}, PlanError, "contain no cycle of "),  # after the end
    ({"tcal": None}, UsageError, "need either tsys .* or tcal"),
    ({"tsys": "20K"}, UsageError, "need either tsys .* or tcal"),
    ({"diode": None}, FormatError, "the header does not state when the noise diode is on"),
    ({"diode": DiodeSchedule(2 * TICKS, TICKS, TICKS)}, DataError,
     "the power with the noise diode on is not above that with it off"),
    ({"tcal": "1K,2K,3K"}, UsageError, r"tcal has shape \(3,\); allowed"),
    ({"tcal": "-1K"}, UsageError, "tcal = -1K; allowed: K above 0"),
    ({"n_eff": 0.0}, UsageError, "n_eff = 0.0; allowed: above 0"),
    ({"n_eff": -1.0}, UsageError, "n_eff = -1.0; allowed: above 0"),
    ({"n_eff": np.nan}, UsageError, "n_eff = nan; allowed: above 0"),
])
def test_what_does_not_fit(scan: Path, options: dict[str, Any], error: Any, message: str) -> None:
    options = {"period": PERIOD, "tcal": "12.5K", "diode": BY_ROW} | options
    with pytest.raises(error, match=message) as caught:
        on_off(fs.open(scan).stream, options.pop("period"), **options)
    assert "\n" not in str(caught.value)


def test_a_diode_that_is_on_all_the_time(scan: Path) -> None:
    with pytest.warns(FastsigWarning, match="3 cycles lack valid rows"), pytest.raises(
            PlanError, match="contain no cycle"):
        on_off(fs.open(scan).stream, PERIOD, tcal="12.5K", diode=DiodeSchedule(TICKS, TICKS, 0))


def test_a_diode_that_is_first_switched_on_later(tmp_path: Path, rng: np.random.Generator) -> None:
    """In the first cycle, the diode is not on; these rows are not used as if it were."""
    values = rng.normal(20, 20 / np.sqrt(2 * 10_000), (40, 1, 2000))
    values[20::2] += 10
    values[np.arange(40) % 10 < 5] += 2
    row = 500_000_000  # ticks, 2 s
    with pytest.warns(FastsigWarning, match="2 cycles lack valid rows"):
        found = on_off(product(tmp_path / "d.h5", values, None), "20s", tcal="10K",
                       diode=DiodeSchedule(2 * row, row, 20 * row))
    assert found.values.shape == (2, 1, 2000)
    assert found.values.mean() == pytest.approx(2, rel=0.02)


def test_a_rounded_rate_of_rows(tmp_path: Path, rng: np.random.Generator) -> None:
    """Rows that are 1e-8 too long contain a part of the next state, which does not matter."""
    values = rng.normal(20, 20 / np.sqrt(2 * 10_000), (40, 1, 2000))
    values[::2] += 10
    row = 499_999_995
    found = on_off(product(tmp_path / "d.h5", values, None), "20s", tcal="10K",
                   diode=DiodeSchedule(2 * row, row, 0))
    assert found.values.shape == (4, 1, 2000)
    assert found.tsys.mean() == pytest.approx(np.sqrt(2 / (20**-2 + 30**-2)), rel=0.01)


def test_products_that_are_no_powers(tmp_path: Path) -> None:
    stream = product(tmp_path / "v.h5", np.ones((20, 1, 8)), "K", names=("V",))
    with pytest.raises(PlanError, match=r"products V; allowed: powers, as AA, BB, I"):
        on_off(stream, "20s")


def test_the_command_line(scan: Path, tmp_path: Path) -> None:
    call = ("switch", scan, "-o", "o.h5", "--mode", "onoff", "--period", PERIOD, "--tcal", "12.5K",
            "--diode", f"period={2 * TICKS},on={TICKS}", "--json", "--picture", "o.html")
    told = json.loads(fastsig(*call, cwd=tmp_path).stdout)
    assert told["shape"] == [1, 2, 2048] and told["unit"] == "K"
    expected = average(on_off(fs.open(scan).stream, PERIOD, tcal="12.5K", diode=BY_ROW))
    np.testing.assert_array_equal(fs.open(tmp_path / "o.h5").read().values,
                                  expected.values.astype(np.float32))
    page = (tmp_path / "o.html").read_text()
    assert "<img" in page and "polarization</th><td>AA, BB</td>" in page
    done = fastsig(*call[:-5], "--diode", "period=5", cwd=tmp_path, code=2)
    assert "is not period=TICKS,on=TICKS,first=TICKS, in ticks of 4 ns" in done.stderr
