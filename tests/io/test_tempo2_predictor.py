"""The predictor of tempo2 in archives: phases of a series that is made here as tempo2 makes it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from psrfits_fold_made import folded

from fastsig.errors import DoubtWarning
from fastsig.io.psrfits_fold.predictor import by_polyco
from fastsig.io.psrfits_fold.reader import read_profiles

LD = np.longdouble
PI = 4 * np.arctan(LD(1))
F0, DAY, SPAN_D, LOW, HIGH = LD("81.30081300813"), 58000, LD("0.125"), LD(1000), LD(1500)
DISPERSION = LD(30) / LD("2.41e-4") * F0  # turns MHz^2


def phase(days: Any, mhz: Any) -> Any:
    """A pulsar in an orbit of 3 h, turns; `days` after MJD 58000."""
    t = 86400 * LD(days)
    return LD(10) ** 9 + F0 * t + LD("0.37") + LD(50) * np.sin(2 * PI * t / 10800) + (
        LD("1e-4") * (mhz - LOW))


def segment(begin: Any, n_time: int = 20, n_freq: int = 2) -> list[str]:
    """The lines of a segment: coefficients are 4 / (n m) times sums over the zeros of T_n."""
    x = np.cos(PI * (np.arange(n_time) + LD("0.5")) / n_time)
    y = np.cos(PI * (np.arange(n_freq) + LD("0.5")) / n_freq)
    values = phase(begin + (x[:, None] + 1) / 2 * SPAN_D, LOW + (y + 1) / 2 * (HIGH - LOW))
    t = np.cos(np.arange(n_time)[:, None] * np.arccos(x))
    u = np.cos(np.arange(n_freq)[:, None] * np.arccos(y))
    found = 4 * (t @ values @ u.T) / (n_time * n_freq)
    lines = ["ChebyModel BEGIN", "PSRNAME J0000+00", "SITENAME FAST",
             f"TIME_RANGE {Fraction(float(DAY + begin))} {Fraction(float(DAY + begin + SPAN_D))}",
             f"FREQ_RANGE {LOW:.4f} {HIGH:.4f}", f"DISPERSION_CONSTANT {DISPERSION}",
             f"NCOEFF_TIME {n_time}", f"NCOEFF_FREQ {n_freq}"]
    for row in found:
        words = [str(each) for each in row]
        lines.append(" ".join(["COEFFS", *words[:3]]))
        lines += [" ".join(words[k : k + 3]) for k in range(3, n_freq, 3)]
    return [*lines, "ChebyModel END"]


def unit(*segments: list[str]) -> fits.BinTableHDU:
    lines = [f"ChebyModelSet {len(segments)} segments", *(each for one in segments for each in one)]
    return fits.BinTableHDU.from_columns([fits.Column(name="PREDICT", format="128A", array=lines)],
                                         name="T2PREDICT")


@pytest.mark.parametrize("n_freq", [2, 5])
def test_phases_and_periods(n_freq: int, tmp_path: Path) -> None:
    path = folded(tmp_path / "a.ar", units=[unit(*(segment(LD(k) / 8, n_freq=n_freq)
                                                   for k in range(3)))],
                  subint={"REFFREQ": 1200.0}, primary={"STT_IMJD": DAY, "STT_SMJD": 3600})
    found = read_profiles(path)
    assert len(found.predictor) == 3 and found.predictor[0]["NSITE"] == "FAST"
    assert found.predictor[0]["REF_FREQ"] == 1200
    seconds = np.linspace(-3000, 22_000, 40)
    turns, hz = by_polyco(found.predictor, (DAY, Fraction(3600)), seconds)
    true = phase((3600 + LD(1) * seconds) / 86400, LD(1200)) + DISPERSION / LD(1200) ** 2
    apart = (true - np.round(true)) - turns
    assert np.abs(apart - np.round(apart)).max() < 2e-8
    step = LD("0.01")
    slope = (phase((3600 + seconds + step) / 86400, LD(1200))
             - phase((3600 + seconds - step) / 86400, LD(1200))) / (2 * step)
    np.testing.assert_allclose(hz, slope.astype(float), rtol=1e-9)
    assert np.isfinite(found.periods).all()


def test_what_is_no_predictor(tmp_path: Path) -> None:
    good = segment(LD(0))
    for number, (lines, words) in enumerate((
            (good[:-1], "0 segments"), ([*good[:3], *good[4:]], "TIME_RANGE"),
            ([*good[:-2], good[-1]], "of which there are 38"),
            ([each.replace("1500", "1100") for each in good], "covers 1000 to 1100 MHz"),
            ([each.replace("COEFFS", "COEFFS x") for each in good], "is not a predictor"))):
        path = folded(tmp_path / f"{number}.ar", units=[unit(lines)], period=0.0123,
                      subint={"REFFREQ": 1200.0})
        with pytest.warns(DoubtWarning, match=words):
            assert read_profiles(path).periods.tolist() == [0.0123] * 3
