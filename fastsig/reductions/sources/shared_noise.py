"""Noise of the gain in a spectrum, as a covariance of its channels.

With the fractional error e of the gain (`fastsig.axes.gain_noise`) and the temperature T of the
channels, that of the receiver included, the values are ``T + n - T e``, and

    cov(i, k) = f^2 T_i T_k rho(d) - c (T_i + T_k) box(d)

is added to that of the noise n of the channels, where d is their distance, f the standard deviation
of e, ``rho = 1 - d / width`` and ``box = 1`` for d up to half of the width. The second term is that
of n with e: both are measured in the same rows.

The noise of the channels is measured from the differences of channels that are `apart` channels
apart. Their variance contains what the gain makes of these differences, so that the variance that
is added is only the covariance of channels that are `apart` channels apart. The same applies to
distances at which a correlation was measured.
"""

from __future__ import annotations

import numpy as np
from astropy import units as u
from numpy.typing import NDArray

from fastsig.reductions.sources.sky_spectrum import SkySpectrum

__all__ = ["SharedNoise"]

F8 = NDArray[np.float64]


class SharedNoise:
    """Covariance of channels due to their gain; zero if the spectrum states no noise of the gain.

    Parameters
    ----------
    spectrum : SkySpectrum
    used : ndarray of bool, shape (chan,)
        Channels for which `times` multiplies.
    """

    def __init__(self, spectrum: SkySpectrum, used: NDArray[np.bool_]) -> None:
        self._used, self._gain = used, spectrum.gain_noise
        self._rho = self._box = np.zeros(0)
        if self._gain is None:
            return
        step = float(np.median(np.abs(np.diff(spectrum.frequency.to_value(u.Hz)))))
        width = self._gain.width_hz / step
        if width > spectrum.apart:
            reach = min(int(width), len(used) - 1)
            away = np.abs(np.arange(-reach, reach + 1))
            measured = [0, *(k for k, each in enumerate(spectrum.correlation, 1) if each)]
            away = np.where(np.isin(away, measured), np.maximum(away, spectrum.apart), away)
            self._rho, self._box = 1 - away / width, (away <= width / 2).astype(np.float64)

    def __bool__(self) -> bool:
        return len(self._rho) > 0

    def excess(self, lines: F8) -> F8:
        """Return the noise of channels with lines over that without: ``1 + line / receiver``.

        It is 1 where the temperature of the receiver is not known.
        """
        receiver = 0.0 if self._gain is None else self._gain.level + self._gain.removed
        return np.ones(len(lines)) if not receiver > 0 else np.maximum(0.0, 1 + lines / receiver)

    def times(self, columns: F8, values: F8) -> F8:
        """Return the covariance times columns.

        Parameters
        ----------
        columns : ndarray, shape (chan, n)
            Columns for the channels that are used.
        values : ndarray, shape (chan,)
            Values of these channels without noise, as fitted.
        """
        if not self._rho.size or self._gain is None:
            return np.zeros_like(columns)
        total = self._gain.fraction * (values + self._gain.removed)[:, np.newaxis]
        common = self._gain.common / self._gain.fraction
        return np.asarray(
            total * self._along(total * columns, self._rho)
            - common * (total * self._along(columns, self._box)
                        + self._along(total * columns, self._box)))

    def variance(self, values: F8) -> F8:
        """Return the variance of each channel."""
        return self._of(values, self._rho, self._box)

    def variance_of_mean(self, n: int, values: F8) -> float:
        """Return the variance of the mean of `n` neighbouring channels with these values."""
        rho, box = (part[len(part) // 2 :][:n] for part in (self._rho, self._box))
        pairs = 2.0 * (n - np.arange(len(rho)))
        pairs[:1] = n
        return float(np.median(self._of(values, np.atleast_1d((pairs * rho).sum()),
                                        np.atleast_1d((pairs * box).sum())))) / n**2

    def _of(self, values: F8, rho: F8, box: F8) -> F8:
        """Return the variance for sums of both correlations, of which the middle one is taken."""
        if not self._rho.size or self._gain is None:
            return np.zeros(len(values))
        total, middle = values + self._gain.removed, len(rho) // 2
        return np.asarray((self._gain.fraction * total) ** 2 * rho[middle]
                          - 2 * self._gain.common * total * box[middle])

    def _along(self, columns: F8, correlation: F8) -> F8:
        """Multiply by the correlation, by the distance of channels in the whole band."""
        from scipy.signal import fftconvolve

        band = np.zeros((len(self._used), columns.shape[1]))
        band[self._used] = columns
        found = fftconvolve(band, correlation[:, np.newaxis], "same", axes=0)
        return np.asarray(found[self._used])
