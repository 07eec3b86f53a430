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

N = many(80, 200)


def recording(seed: int, peak: str = "1K", bandpass: str = "flat") -> simulate.FastSpectra:
    """Forty spectra of 1024 channels, every other one with the diode; a line of 16 channels."""
    return spectra(
        duration="40s", n_chan=1024, fstart="1412MHz", bandwidth="16MHz", integration="1s",
        diode=simulate.Diode("12.5K", period=5 * 10**8, on=25 * 10**7), seed=seed,
        bandpass=bandpass, line=simulate.Line(peak=peak, fwhm="0.25MHz", frequency="1420MHz"))


@cache
def observed(seed: int, peak: str = "1K", bandpass: str = "flat") -> Made:
    return Made(recording(seed, peak, bandpass), slice(0, 2))


def in_kelvin(seed: int, smooth: str | None = None, peak: str = "1K", bandpass: str = "flat",
              **more: Any) -> fs.Chain:
    made = observed(seed, peak, bandpass)
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
    "after a baseline": lambda seed: fitted(
        in_kelvin(seed).baseline(protect="1419.3MHz-1420.7MHz")),
    "a line as bright as the receiver": lambda seed: fitted(in_kelvin(seed, peak="20K")),
    "a bent band, smoothed twice": lambda seed: fitted(
        in_kelvin(seed, bandpass="fast")[:, "1416MHz":"1424MHz"]),
    "a line as bright, not smoothed": lambda seed: fitted(in_kelvin(seed, "0Hz", "20K")),
    "smoothed over 65 channels": lambda seed: fitted(in_kelvin(seed, "1MHz")),
    "without the diode": lambda seed: fitted(in_kelvin(seed, on="blank")),
    "in jansky, of I": lambda seed: fitted(in_kelvin(seed, stokes="I", gain="16K/Jy")),
    "of half the rows": lambda seed: fitted(in_kelvin(seed)[10:30]),
}


@pytest.mark.parametrize("kind", many(list(KINDS)[:5], list(KINDS)))
def test_errors_are_the_scatter(kind: str) -> None:
    """Before, after smoothing, the scatter was more than twice the errors."""
    fits = [KINDS[kind](seed) for seed in range(N)]
    scatter = np.sqrt(np.mean([pulls(list(each)) ** 2 for each in zip(*fits, strict=True)],
                              axis=(0, 1)))
    # The scatter of 160 values has an error of 6 %, and that of 400 values 3.5 %.
    np.testing.assert_allclose(scatter, 1, atol=many(0.17, 0.15))


def test_the_noise_of_the_gain_is_carried(tmp_path: Path) -> None:
    """Through files, slices, means and everything that changes the unit or removes the receiver."""
    kelvin = in_kelvin(1)
    noise = kelvin.header.gain_noise["AA"]
    assert noise.fraction == pytest.approx(0.00545 / 33**0.5, rel=0.05)
    assert noise.width_hz == pytest.approx(33 * 15625, rel=0.02)
    assert noise.level == pytest.approx(20, abs=0.1) and noise.removed == pytest.approx(6.25)
    kelvin[:, 100:, "AA"].integrate(n_int=2, n_freq=4).write(tmp_path / "a.h5")
    back = fs.open(tmp_path / "a.h5")
    assert back.header.gain_noise["AA"] == noise
    flat = kelvin.baseline(order=1).header.gain_noise["AA"]
    assert flat == noise._replace(level=0, removed=noise.removed + noise.level)
    ripple = kelvin.baseline("ripple-sine", period="2MHz").header.gain_noise["AA"]
    assert ripple == noise
    jansky = kelvin.flux(gain="16K/Jy").header.gain_noise["AA"]
    assert jansky.removed == pytest.approx(6.25 / 16) and jansky.fraction == noise.fraction
    both = kelvin.stokes("I").header.gain_noise["I"]
    assert both.fraction == pytest.approx(noise.fraction / 2**0.5, rel=0.02)
    assert both.removed == pytest.approx(12.5) and both.level == pytest.approx(40, abs=0.2)
    switched = on_off(kelvin.stream, "20s").header.gain_noise["AA"]
    assert switched == noise._replace(level=0, removed=0, common=0)


@pytest.mark.parametrize("record", [{"fraction": 1}, {"fraction": -1, "width_hz": 1, "level": 0,
                                                      "removed": 0, "common": 0}, 3])
def test_records_that_are_refused(record: Any) -> None:
    with pytest.raises(fs.UsageError, match="gain_noise = .*; allowed: "):
        GainNoise.of(record)


def test_a_fit_that_leaves_more_than_noise_is_doubtful() -> None:
    def stepped(values: np.ndarray) -> None:
        values[:, :, 400:500] *= 1.02

    chain = fs.Chain(Made(recording(2), slice(0, 1), stepped))
    with pytest.warns(fs.FastsigWarning, match="chi-squared is .* where noise gives") as given:
        chain.fit_gaussians(rest="1420MHz")
    assert given[0].filename == __file__
