"""Errors of lines in calibrated spectra, against the scatter of many simulated observations."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diode_scans import Made, spectra
from thorough import many

import fastsig as fs
from fastsig import simulate
from fastsig.axes.gain_noise import GainNoise
from fastsig.reductions.diode.calibration import calibrated, solve
from fastsig.reductions.sources.fitted_lines import LineFit
from fastsig.reductions.switching.on_off import on_off

TSYS, TCAL, N = 20.0, 12.5, many(60, 200)
LINE = simulate.Line(peak="1K", fwhm="0.25MHz", frequency="1420MHz")  # 16 channels; smooth over 33
Make = Callable[[fs.Chain], Any]


@cache
def observed(seed: int, line: simulate.Line = LINE, tcal: str = "12.5K") -> Made:
    """Forty seconds of 1024 channels, with the diode on for every other second."""
    return Made(spectra(
        duration="40s", n_chan=1024, fstart="1412MHz", bandwidth="16MHz", integration="1s",
        diode=simulate.Diode(tcal, period=5 * 10**8, on=25 * 10**7), line=line,
        seed=seed), slice(0, 2))


def in_kelvin(seed: int, smooth: str | None = None, **more: Any) -> fs.Chain:
    made = observed(seed)
    return fs.Chain(calibrated(made, solve(made, "12.5K", smooth=smooth), **more))


def pulls(fits: list[LineFit]) -> np.ndarray:
    """Return peak, velocity, widths, flux and sum minus their means, over their errors."""
    each = [[*fit.lines[0], fit.flux_sum] for fit in fits]
    values, errors = (np.array([[pair[k].value for pair in row] for row in each]) for k in (0, 1))
    return np.asarray((values - values.mean(axis=0)) / errors)


def fitted(spectra: fs.Chain, **options: Any) -> list[LineFit]:
    names = spectra.polarization.names
    return [spectra.fit_gaussians(baseline=1, rest="1420MHz", product=name, **options)
            for name in names]


KINDS: dict[str, Callable[[int], list[LineFit]]] = {
    "not calibrated": lambda seed: fitted(fs.Chain(observed(seed))),
    "not smoothed": lambda seed: fitted(in_kelvin(seed, "0Hz")),
    "smoothed": lambda seed: fitted(in_kelvin(seed)),
    "smoothed over 65 channels": lambda seed: fitted(in_kelvin(seed, "1MHz")),
    "without the diode": lambda seed: fitted(in_kelvin(seed, on="blank")),
    "after a baseline": lambda seed: fitted(
        in_kelvin(seed).baseline(protect="1419.3MHz-1420.7MHz")),
    "in jansky, of I": lambda seed: fitted(in_kelvin(seed, stokes="I", gain="16K/Jy")),
    "of half the rows": lambda seed: fitted(in_kelvin(seed)[10:30]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_errors_are_the_scatter(kind: str) -> None:
    fits = [KINDS[kind](seed) for seed in range(N)]
    scatter = np.sqrt(np.mean([pulls(list(each)) ** 2 for each in zip(*fits, strict=True)],
                              axis=(0, 1)))
    n = len(fits) * len(fits[0])
    np.testing.assert_allclose(scatter, 1, atol=max(0.12, 3.2 / np.sqrt(2 * n)))
