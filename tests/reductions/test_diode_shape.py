"""The spectrum of the diode's power follows bands of any width, with lines and noise in them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from diode_scans import Made, spectra

from fastsig import simulate
from fastsig.axes.frequency import ChannelAxis
from fastsig.reductions.diode import options
from fastsig.reductions.diode.calibration import calibrated, solve
from fastsig.reductions.diode.measurement import DiodePowers
from fastsig.reductions.diode.shape import diode_shape
from fastsig.simulate import filters

TCAL, TSYS = 12.5, 20.0


def measured(band_hz: int, n_chan: int, *, line_k: float = 0.0, n: float = np.inf, seed: int = 1
             ) -> tuple[np.ndarray, np.ndarray]:
    """The measured over the true power of the diode at the default smoothing, and its error."""
    axis = ChannelAxis(Fraction(1_400_000_000), Fraction(band_hz, n_chan), n_chan)
    over = options.smoothing(None, axis)
    width, wide = (options.channels(each, axis) for each in (over, options.band_width(over, axis)))
    place = (np.arange(n_chan) + 0.5) / n_chan
    band = 1e3 * filters.bandpass(place, "fast")
    line = line_k * filters.gaussian(place * band_hz, 0.45 * band_hz, 118e3)
    noise = 1 + np.random.default_rng(seed).standard_normal((2, 1, n_chan)) / n**0.5
    on, off = band * (TSYS + TCAL + line) * noise[0], band * (TSYS + line) * noise[1]
    ones = np.ones((1, n_chan))
    shape, error = diode_shape(DiodePowers(on, off, ones, ones, off, ones), np.ones(1), ((0, 0),),
                               min(n, 1e9), width, wide)
    return shape[0] / (band * TCAL), error[0] / (band * TCAL)


@pytest.mark.parametrize("band_hz, n_chan", [
    (2_000_000, 64), (2_000_000, 256), (2_000_000, 4096), (8_000_000, 512), (31_250_000, 1024),
    (125_000_000, 4096), (500_000_000, 4096)])
def test_the_band_leaves_no_ripple(band_hz: int, n_chan: int) -> None:
    # Before, the corners of the running median left up to 2.4 %.
    ratio, _ = measured(band_hz, n_chan)
    middle = ratio[n_chan // 10 : -n_chan // 10]
    assert np.abs(middle - 1).max() < 0.0065 and middle.std() < 0.0016
    assert np.abs(ratio - 1).max() < 0.0105  # at the ends too, where the band rises from 1 %
    with_line, _ = measured(band_hz, n_chan, line_k=12.0)
    assert np.abs(with_line - ratio).max() < 0.0035  # before: 1 %


@pytest.mark.parametrize("n", [1e3, 1e6])
def test_errors_are_those_of_the_noise(n: float) -> None:
    # A weak diode is smoothed once: the ripple, 0.3 %, is below the noise that twice would add.
    found = [measured(8_000_000, 512, n=n, seed=seed) for seed in range(40)]
    ratio, error = (np.stack(each)[:, 60:-60] for each in zip(*found, strict=True))
    assert abs(np.mean((ratio - ratio.mean(axis=0)) ** 2 / error**2) - 1) < 0.06
    assert np.abs(ratio.mean(axis=0) - 1).std() < (0.006 if n == 1e3 else 0.0016)


@pytest.mark.parametrize("bandwidth, n_chan", [("1.92MHz", 256), ("30.72MHz", 512)])
def test_the_calibrated_spectrum_is_flat(bandwidth: str, n_chan: int) -> None:
    made = Made(spectra(duration="400s", n_chan=n_chan, bandwidth=bandwidth, integration="1s",
                        bandpass="fast", diode=simulate.Diode(
                            "12.5K", period=500 * 10**6, on=250 * 10**6)))
    found = solve(made, "12.5K")
    level = calibrated(made, found).read_block(0, 400).data[:, :2].mean(axis=(0, 1))[26:-26]
    runs = level[: len(level) // 8 * 8].reshape(-1, 8).mean(axis=1)  # noise is below 0.1 %
    assert np.abs(runs / 20 - 1).max() < 0.009
