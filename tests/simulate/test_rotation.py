"""Simulated pulsars that slow down, orbit, follow a polyco, miss pulses, or are rotated."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from astropy.time import Time

from fastsig.axes.constants import SPEED_OF_LIGHT
from fastsig.errors import FormatError, UsageError
from fastsig.simulate import FastSpectra, FastVoltage, Pulsar
from fastsig.simulate.rotation import Rotation

START = Time("2026-01-01T00:00:00")
BINARY = {"period": "1.5ms", "dm": 30, "pdot": "1e-10", "orbit": "900s", "size": "1.2s",
          "node": "100s"}


def test_phases_are_those_of_the_formula() -> None:
    rotation = Rotation(Pulsar(**BINARY, time="0.2ms"), START, Fraction(100))
    step = Fraction(1, 10**6)
    found, number = rotation.phases(Fraction(7), step, 30_001)
    t = np.longdouble(7) + np.arange(30_001) * np.longdouble(1e-6)
    since = t - np.longdouble("0.0002") - np.longdouble("1.2") * np.sin(
        2 * np.pi * (t - 100) / 900)
    turns = since / np.longdouble("0.0015")
    turns -= np.longdouble("1e-10") * turns**2 / 2
    assert np.abs(found + number - turns).max() < 1e-10
    assert np.abs(found).max() <= 0.5
    hertz, slope = rotation.rates(Fraction(7), step, 1)
    assert hertz[0] == pytest.approx((turns[10] - turns[0]) / 1e-5, rel=1e-6)
    assert slope[0] == pytest.approx(
        -1.2 * np.sin(2 * np.pi * 93 / 900) * (2 * np.pi / 900) ** 2 / 1.5e-3, rel=0.01)


def polyco(path: Path) -> Path:
    """A period of 5 ms: phase 0.25 at the middle, two coefficients."""
    path.write_text(
        "J0000+00    1-JAN-26   5000.00   61041.00347222222            30.000000  0.000  0.000\n"
        "        1000000.250000  200.000000000000    k   30    3  1400.000\n"
        "  0.00000000000000000D+00  6.00000000000000000D-01  0.00000000000000000D+00\n")
    return path


def test_a_polyco_is_followed(tmp_path: Path) -> None:
    pulsar = Pulsar(polyco=str(polyco(tmp_path / "p.dat")))
    assert pulsar.period == Fraction(1, 200) and pulsar.dm == 30
    rotation = Rotation(pulsar, START, Fraction(60))
    middle = (Fraction("0.00347222222") * 86400)
    assert abs(rotation.phase(middle) - Fraction("1000000.25")) < Fraction(1, 10**4)
    assert float(rotation.phase(middle + 60) - rotation.phase(middle)) == pytest.approx(12000.6)
    with pytest.raises(UsageError, match="does not cover MJD 61041"):
        Rotation(pulsar, START, Fraction(3600))
    (tmp_path / "bad.dat").write_text("not a polyco\n")
    with pytest.raises(FormatError, match=r"bad\.dat.*is not a polyco"):
        Pulsar(polyco=str(tmp_path / "bad.dat"))


def folded(phase: np.ndarray, values: np.ndarray, n: int = 32) -> np.ndarray:
    bins = ((phase % 1) * n).astype(int)
    return np.bincount(bins, values, n) / np.bincount(bins, minlength=n)


@pytest.mark.parametrize("dm", [0, 5])
def test_voltages_and_spectra_have_the_phase(dm: float) -> None:
    pulsar = Pulsar("4ms", dm, duty="0.1", peak="500K", orbit="40s", size="0.05s", time="1ms",
                    pdot="1e-6")
    made = FastVoltage(duration="400ms", fstart="1400MHz", bandwidth="0.5MHz",
                             pulsar=pulsar, noise=False, start_time=START)
    rotation = Rotation(pulsar, START, Fraction(1))
    data, _ = made.generate(0, 400_000)
    power = (data.astype(float) ** 2).sum(axis=1)
    delay = 0.5 * dm / 2.41e-4 * (1400.0**-2 - 1400.5**-2)
    t = np.arange(400_000) * 1e-6 - delay
    late = np.array([float(rotation.phase(Fraction(int(1e9 * each), 10**9)) % 1)
                     for each in t[::500]])
    phase = np.interp(t, t[::500], np.unwrap(late, period=1))
    profile = folded(phase, power)
    assert profile.argmax() in (0, 31) and profile.max() > 20 * np.median(profile)
    spectra = FastSpectra(duration="400ms", n_chan=16, fstart="1400MHz", bandwidth="0.5MHz",
                               integration="64us", pulsar=pulsar, noise=False, start_time=START)
    rows = spectra.n_time
    mean = np.asarray(spectra._powers.stokes(0, rows).i).mean(axis=1)
    at = (np.arange(rows) + 0.5) * 64e-6 - delay
    profile = folded(np.interp(at, t[::500], np.unwrap(late, period=1)), mean)
    assert profile.argmax() in (0, 31) and profile.max() > 20 * np.median(profile)


def test_nulls_miss_whole_pulses() -> None:
    pulsar = Pulsar("4ms", 0, duty="0.1", peak="500K", nulls="0.4")
    made = FastVoltage(duration="800ms", fstart="1400MHz", bandwidth="0.5MHz",
                             pulsar=pulsar, noise=False)
    data, _ = made.generate(0, 800_000)
    pulses = (data.astype(float) ** 2).sum(axis=1)[2000:-2000].reshape(-1, 4000).sum(axis=1)
    on = pulses > 0.2 * pulses.max()
    assert 0.4 < on.mean() < 0.8 and not pulses[~on].any()


def test_rotation_measures_turn_the_angle() -> None:
    pulsar = Pulsar("4ms", 0, duty="0.1", peak="20K", linear="0.8", rm=100)
    spectra = FastSpectra(duration="8ms", n_chan=32, fstart="1000MHz", bandwidth="500MHz",
                               integration="64us", pulsar=pulsar, noise=False)
    found = spectra._powers.stokes(0, spectra.n_time)
    row = int(np.asarray(found.i)[:, 0].argmax())
    angle = np.unwrap(np.angle(found.q[row] + 1j * found.u[row])) / 2
    squared = (SPEED_OF_LIGHT / spectra.axis.centers.to_value("Hz")) ** 2
    slope = np.polyfit(squared, angle, 1)[0]
    assert slope == pytest.approx(100, rel=1e-6)
    share = np.hypot(found.q[row], found.u[row]) / found.i[row]
    assert (share < 0.8).all() and share[-1] > 0.78  # less in a channel across which it turns
    steep = Pulsar("4ms", 0, duty="0.5", peak="40K", linear="0.7", rm=2000)
    made = FastVoltage(duration="16ms", fstart="1400MHz", bandwidth="16MHz", pulsar=steep,
                             noise=False)
    data, _ = made.generate(0, made.n_time // 256 * 256)
    a, b = np.moveaxis(np.fft.rfft(data.reshape(-1, 256, 2).astype(float), axis=1), 2, 0)
    q, u = (np.abs(a) ** 2 - np.abs(b) ** 2).sum(0), 2 * (a.conj() * b).real.sum(0)
    angle = np.unwrap(np.angle(q + 1j * u)[4:-4]) / 2
    hertz = 1.4e9 + np.arange(129)[4:-4] * 125e3
    assert np.polyfit((SPEED_OF_LIGHT / hertz) ** 2, angle, 1)[0] == pytest.approx(2000, rel=0.01)


@pytest.mark.parametrize(("given", "message"), [
    ({"period": "1ms"}, "pulsar lacks dm"), ({"dm": 3}, "pulsar lacks period"),
    ({"period": "1ms", "dm": 3, "size": "1s"}, "size without orbit"),
    ({"period": "1ms", "dm": 3, "size": "1s", "orbit": "10s"}, "size = 1 s; allowed: below 1/63"),
    ({"period": "1ms", "dm": 3, "nulls": 2}, "pulsar nulls = 2"),
    ({"period": "1ms", "dm": 3, "polyco": "x"}, "polyco with period"),
    ({"polyco": "missing.dat"}, "No such file")])
def test_refused(given: dict, message: str) -> None:
    with pytest.raises((UsageError, FormatError), match=message):
        Pulsar(**given)
