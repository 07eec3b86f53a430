"""Faraday rotation of simulated pulsars."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.constants import SPEED_OF_LIGHT
from fastsig.simulate import components as parts
from fastsig.simulate.filters import Band

__all__ = ["faraday"]

F8 = NDArray[np.float64]


def faraday(pulsar: parts.Pulsar, band: Band, offset: F8, width_hz: float = 0.0
            ) -> NDArray[np.complex128]:
    """Return the factor of ``Q + i U`` relative to the top of the band.

    Parameters
    ----------
    pulsar : Pulsar
    band : Band
    offset : ndarray, float64, Hz
        Frequencies above the lower edge of the band.
    width_hz : float
        Width of channels, across which the rotation reduces the mean linear polarisation.

    Returns
    -------
    ndarray, complex128
        ``exp(2 i rm (lambda^2 - lambda_top^2))``, times ``sin(x) / x`` for a rotation by 2 x across
        a channel.
    """
    low, high = float(band.low_hz), float(band.high_hz)
    hertz = np.maximum(low + offset, 1.0)
    squared = SPEED_OF_LIGHT**2 * (high - hertz) * (high + hertz) / (hertz * high) ** 2
    across = 2 * SPEED_OF_LIGHT**2 * width_hz / hertz**3
    rm = float(pulsar.rm)
    return np.asarray(np.exp(2j * rm * squared) * np.sinc(rm * across / np.pi))
