"""PSR B1821-24A in photons that Chandra recorded, as PRESTO's `prepfold` folded them."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
from astropy.time import Time
from recordings import recorded

from fastsig.pulsar.constant import ConstantPeriod

N_BIN = 64


def truth() -> tuple[float, float, np.ndarray]:
    """Period in ms, reduced chi-square and profile of PRESTO."""
    folder = "presto_prepfold/goodfolds"
    text = recorded(f"{folder}/M28A_bary_PSR_1824-2452A.pfd.bestprof").read_text()
    period = float(re.search(r"P_bary \(ms\) +=\s+([\d.]+)", text)[1])
    chi = float(re.search(r"Reduced chi-sqr +=\s+([\d.]+)", text)[1])
    return period, chi, np.loadtxt(text.splitlines(), usecols=1)


def seconds_of_events() -> np.ndarray:
    """Barycentric times after the first event, s: exact differences of the decimals."""
    words = recorded("presto_prepfold/M28A_bary.events").read_text().split()
    return np.array([float((Fraction(word) - Fraction(words[0])) * 86400) for word in words])


def profile(period_ms: str) -> np.ndarray:
    """Counts of the events in each bin of phase."""
    epoch = Time(52586.24269631531, format="mjd", scale="tdb")
    predictor = ConstantPeriod(period=f"{period_ms}ms", epoch=epoch)
    _, phase = predictor.phase(epoch, seconds_of_events())
    return np.bincount((phase * N_BIN).astype(int), minlength=N_BIN)


def chi_square(counts: np.ndarray) -> float:
    return float(((counts - counts.mean()) ** 2).sum() / counts.mean() / (N_BIN - 1))


def test_the_period_and_the_profile_are_those_of_presto() -> None:
    period, chi, known = truth()
    counts = profile(f"{period:.17g}")
    assert counts.sum() == 405
    # PRESTO divides an event between two bins, which changes its chi-square by little.
    assert abs(chi_square(counts) / chi - 1) < 0.02
    lags = [np.corrcoef(np.roll(counts, lag), known)[0, 1] for lag in range(N_BIN)]
    assert max(lags) > 0.99
    # The largest chi-square is at this period, to half a bin of phase in the 13.6 hours.
    steps = np.arange(-60, 61, 2) * 1e-10
    found = [chi_square(profile(f"{period + step:.17g}")) for step in steps]
    assert abs(steps[int(np.argmax(found))]) < period / N_BIN / 16_059_208 / 2
    assert min(found[0], found[-1]) < 0.95 * chi
