"""Simulated pulse profiles with a known truth, apart from the code under test."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]

#: FWHM of a Gaussian divided by its standard deviation.
FWHM = float(np.sqrt(8 * np.log(2)))


def gaussian(n_bin: int, phase: F8 | float, sigma: float) -> F8:
    """Gaussians of height 1 around the turn, at the positions k / n_bin; (..., bin)."""
    offset = np.arange(n_bin) / n_bin - np.asarray(phase, float)[..., np.newaxis]
    return sum(np.exp(-((offset + turn) ** 2) / (2 * sigma**2)) for turn in range(-3, 4))


def scaled(profile: F8, snr: float) -> F8:
    """A profile whose matched filter has an S/N, for noise of 1 in each bin."""
    moved = profile - profile.mean(axis=-1, keepdims=True)
    return profile * snr / np.sqrt((moved**2).sum(axis=-1, keepdims=True))


def pulls(values: F8, truth: F8, errors: F8) -> F8:
    """Deviations in units of the errors."""
    return (np.asarray(values) - truth) / errors


def assert_calibrated(deviations: F8, *, cover: float = 0.6827, chi2: float = 1.0) -> None:
    """Mean, scatter and coverage of deviations are those of a unit Gaussian, to 4 sigma."""
    z = np.asarray(deviations).ravel()
    root_n = np.sqrt(z.size)
    assert abs(z.mean()) < 4 / root_n
    assert abs((z**2).mean() - chi2) < 4 * np.sqrt(2) / root_n
    assert abs((np.abs(z) < 1).mean() - cover) < 4 * np.sqrt(cover * (1 - cover)) / root_n
