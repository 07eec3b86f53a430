"""Noise of the gain in a spectrum, as a covariance of its channels.

With the fractional error e of the gain (`fastsig.axes.gain_noise`) and the temperature T of the
channels, that of the receiver included, the values are ``T + n - T e``, and

    cov(i, k) = f^2 T_i T_k rho(d) - c (T_i + T_k) box(d)

is added to that of the noise n of the channels, where d is their distance, f the standard deviation
of e, ``rho = 1 - d / width`` and ``box = 1`` for d up to half of the width. The second term is that
of n with e: both are measured in the same rows.

On a line, n and f increase with T. Before smoothing, f is proportional to T, to a good
approximation for a diode that is weak compared with the receiver; channels with a line have less
weight in the smoothing.

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
        Channels of the arrays that methods take and return.
    """

    def __init__(self, spectrum: SkySpectrum, used: NDArray[np.bool_]) -> None:
        self._used, self._gain = used, spectrum.gain_noise
        self._rho = self._box = np.zeros(0)
        self._width = self._rest = 0.0
        if self._gain is None:
            return
        step = float(np.median(np.abs(np.diff(spectrum.frequency.to_value(u.Hz)))))
        self._width = width = self._gain.width_hz / step
        self._rest = max(0.0, 1 - spectrum.apart / width)  # correlation of what `noise` lacks
        if width > spectrum.apart:
            reach = min(int(width), len(used) - 1)
            away = np.abs(np.arange(-reach, reach + 1))
            measured = [0, *(k for k, each in enumerate(spectrum.correlation, 1) if each)]
            away = np.where(np.isin(away, measured), np.maximum(away, spectrum.apart), away)
            self._rho, self._box = 1 - away / width, (away <= width / 2).astype(np.float64)

    def excess(self, lines: F8, noise: F8) -> F8:
        """Return the noise of channels over that without lines; 1 if nothing is known of it.

        Parameters
        ----------
        lines : ndarray, shape (chan,)
            Sum of the lines in the channels that are used.
        noise : ndarray, shape (chan,)
            Noise without lines, of which that of the gain may be a part.
        """
        ratio = self._ratio(lines)
        if self._gain is None or not self._receiver > 0:
            return ratio
        alone = (self._gain.fraction * self._receiver) ** 2 * (1 - self._rest) / noise**2
        alone = np.minimum(alone, 1.0)
        return np.asarray(ratio * np.sqrt(1 - alone + alone * ratio**2))

    def times(self, columns: F8, base: F8, lines: F8) -> F8:
        """Return the covariance times columns.

        Parameters
        ----------
        columns : ndarray, shape (chan, n)
            Columns for the channels that are used.
        base, lines : ndarray, shape (chan,)
            Values of these channels without noise: the baseline, and the sum of the lines.
        """
        if not self._rho.size or self._gain is None:
            return np.zeros_like(columns)
        total = (base + lines + self._gain.removed)[:, np.newaxis]
        error = self._fraction(lines)[:, np.newaxis] * total
        return np.asarray(error * self._along(error * columns, self._rho) - self._gain.common * (
            total * self._along(columns, self._box) + self._along(total * columns, self._box)))

    def variance(self, base: F8, lines: F8) -> F8:
        """Return the variance of each channel."""
        if not self._rho.size or self._gain is None:
            return np.zeros(len(base))
        total, middle = base + lines + self._gain.removed, len(self._rho) // 2
        return np.asarray((self._fraction(lines) * total) ** 2 * self._rho[middle]
                          - 2 * self._gain.common * total * self._box[middle])

    def variance_of_mean(self, n: int, level: float) -> float:
        """Return the variance of the mean of `n` neighbouring channels with the value `level`."""
        if not self._rho.size or self._gain is None:
            return 0.0
        total = level + self._gain.removed
        some = ((self._gain.fraction * total) ** 2 * self._rho
                - 2 * self._gain.common * total * self._box)[len(self._rho) // 2 :][:n]
        pairs = 2.0 * (n - np.arange(len(some)))
        pairs[0] = n
        return float((pairs * some).sum()) / n**2

    @property
    def _receiver(self) -> float:
        """Temperature of the receiver; 0 if it is not known."""
        return 0.0 if self._gain is None else self._gain.level + self._gain.removed

    def _ratio(self, lines: F8) -> F8:
        """Return the temperature of channels over that of the receiver."""
        found = 1 + lines / self._receiver if self._receiver > 0 else np.ones(len(lines))
        return np.asarray(np.maximum(found, 0.1))

    def _fraction(self, lines: F8) -> F8:
        """Return the standard deviation of e: channels with lines count less in the smoothing."""
        from scipy.ndimage import uniform_filter1d

        if self._gain is None:
            return np.zeros(len(lines))
        band = np.ones(len(self._used))
        band[self._used] = self._ratio(lines) ** -2
        mean = uniform_filter1d(band, max(1, round(self._width)), mode="nearest")
        return np.asarray(self._gain.fraction / np.sqrt(mean[self._used]))

    def _along(self, columns: F8, correlation: F8) -> F8:
        """Multiply by the correlation, by the distance of channels in the whole band."""
        from scipy.signal import fftconvolve

        band = np.zeros((len(self._used), columns.shape[1]))
        band[self._used] = columns
        found = fftconvolve(band, correlation[:, np.newaxis], "same", axes=0)
        return np.asarray(found[self._used])
