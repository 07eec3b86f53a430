"""Bursts of known dispersion measure, width and S/N, to be added to recorded spectra.

The true values are computed independently: delays, smears and S/N are computed without the code of
the searches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

__all__ = ["Injection", "Injector", "drawn"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]

_FWHM = sqrt(8 * log(2))
_SIGMAS = 4.0  # a pulse ends this many standard deviations from its peak
_TAILS = 10.0  # and this many scattering times after it
_FINE = 8  # steps of a sample, for scattered pulses
_STEPS = 1024  # of a profile for which boxcars are tried


@dataclass(frozen=True)
class Injection:
    """A burst: a Gaussian pulse, dispersed within and between channels, and scattered.

    Parameters
    ----------
    time_s : float
        Time of the peak at the centre of the highest channel, s after the first spectrum.
    dm : float
        Dispersion measure, pc cm^-3.
    width_s : float
        Width (FWHM), s.
    snr : float
        Highest S/N of a boxcar of any width at any time, in the sum of all channels without
        dispersion between them; channels have equal weights in units of their noise.
    scatter_s : float
        Scattering time at the middle of the band, s; it varies as f^-4.
    """

    time_s: float
    dm: float
    width_s: float
    snr: float
    scatter_s: float = 0.0


class Injector:
    """Adds bursts to spectra.

    Parameters
    ----------
    bursts : sequence of Injection
        Bursts to add.
    mhz : ndarray, shape (n_chan,), float64
        Centres of the channels, MHz, ascending.
    sample_s : float
        Time from one spectrum to the next.
    sigma : ndarray, shape (n_chan,), float64
        Noise of a sample of each channel, in the unit of the spectra; 0 for channels without noise.
    constant : float
        Dispersion constant, MHz^2 pc^-1 cm^3 s.
    """

    def __init__(self, bursts: Sequence[Injection], mhz: F8, sample_s: float, sigma: F8,
                 constant: float) -> None:
        self.bursts = tuple(bursts)
        self._mhz, self._sample_s, self._sigma, self.constant = mhz, sample_s, sigma, constant
        self._chan_mhz = (mhz[-1] - mhz[0]) / (len(mhz) - 1)
        ends = [self._span(each) for each in self.bursts]
        self._first = np.array([first for first, _ in ends], np.int64)
        self._stop = np.array([stop for _, stop in ends], np.int64)
        #: Peaks of the bursts that have been computed, since spectra come in many calls.
        self._peaks: dict[int, float] = {}

    def delays_s(self, dm: float) -> F8:
        """Return the delay of each channel relative to the highest one, s."""
        found: F8 = self.constant * dm * (self._mhz**-2.0 - self._mhz[-1] ** -2.0)
        return found

    def smears_s(self, dm: float) -> F8:
        """Return the delay across each channel, s."""
        half = self._chan_mhz / 2
        found: F8 = self.constant * dm * ((self._mhz - half) ** -2.0 - (self._mhz + half) ** -2.0)
        return found

    def scatters_s(self, burst: Injection) -> F8:
        """Return the scattering time of each channel, s."""
        middle = (self._mhz[0] + self._mhz[-1]) / 2
        found: F8 = burst.scatter_s * (self._mhz / middle) ** -4.0
        return found

    def add(self, start: int, data: F4) -> None:
        """Add the bursts in place to the spectra from number `start` on, (n, n_chan) float32."""
        stop = start + len(data)
        for k in np.flatnonzero((self._first < stop) & (self._stop > start)):
            self._add(int(k), start, data)

    def _span(self, burst: Injection) -> tuple[int, int]:
        """Return the first row of a burst and the one after its last."""
        before, after = self._reach(burst)
        last = float(self.delays_s(burst.dm)[0])
        return (int(np.floor((burst.time_s - before) / self._sample_s)) - 1,
                int(np.ceil((burst.time_s + last + after) / self._sample_s)) + 2)

    def _reach(self, burst: Injection) -> tuple[float, float]:
        """Return how long a pulse in a channel lasts before and after its middle, s."""
        half = _SIGMAS * burst.width_s / _FWHM + float(self.smears_s(burst.dm).max()) / 2
        return half, half + _TAILS * float(self.scatters_s(burst).max())

    def _add(self, number: int, start: int, data: F4) -> None:
        burst = self.bursts[number]
        if number not in self._peaks:
            self._peaks[number] = self._amplitude(burst)
        before, after = self._reach(burst)
        n = int(np.ceil((before + after) / self._sample_s)) + 3
        middle = (burst.time_s + self.delays_s(burst.dm)) / self._sample_s
        first = np.floor(middle - before / self._sample_s).astype(np.int64) - 1
        values = self._pulses(burst, first - middle, n) * (self._peaks[number] * self._sigma)
        rows = first + np.arange(n)[:, np.newaxis] - start
        there = (rows >= 0) & (rows < len(data))
        channels = np.broadcast_to(np.arange(len(self._mhz)), rows.shape)
        data[rows[there], channels[there]] += values[there].astype(np.float32)

    def _pulses(self, burst: Injection, offset: F8, n: int) -> F8:
        """Return the mean of a pulse with a peak of 1 in `n` samples of each channel, (n, chan).

        `offset` is the beginning of the first sample after the middle of the pulse, in samples.
        """
        fine = _FINE if burst.scatter_s else 1
        step = self._sample_s / fine
        edges = offset * self._sample_s + step * np.arange(n * fine + 1)[:, np.newaxis]
        within = np.diff(_integral(edges, burst.width_s, self.smears_s(burst.dm)), axis=0) / step
        if burst.scatter_s:
            within = _scattered(within, self.scatters_s(burst) / step)
        found: F8 = within.reshape(n, fine, -1).mean(axis=1)
        return found

    def _amplitude(self, burst: Injection) -> float:
        """Return the peak of the pulse before it is smeared, in units of the noise of a sample."""
        live = self._sigma > 0
        before, after = self._reach(burst)
        step = (before + after) / _STEPS
        edges: F8 = -before + step * np.arange(_STEPS + 1, dtype=np.float64)[:, np.newaxis]
        profile = np.diff(_integral(edges, burst.width_s, self.smears_s(burst.dm)[live]), axis=0)
        if burst.scatter_s:
            profile = _scattered(profile, self.scatters_s(burst)[live] / step)
        total = profile.sum(axis=1)  # of all channels, times seconds
        noise = np.sqrt(self._sample_s * step * live.sum())
        return float(burst.snr / (_best(total) / noise))


def _integral(t: F8, width_s: float, smear_s: F8) -> F8:
    """Return the integral up to each time of a Gaussian smeared over a time, (n, chan)."""
    from scipy.special import erf

    sigma = width_s / _FWHM
    smear = np.maximum(smear_s, 1e-3 * sigma)

    def second(x: F8) -> F8:  # the integral of the integral of the Gaussian
        z = x / sigma
        part: F8 = sigma * (z * (1 + erf(z / sqrt(2))) / 2 + np.exp(-z * z / 2) / sqrt(2 * np.pi))
        return part

    area = sigma * sqrt(2 * np.pi)
    found: F8 = area * (second(t + smear / 2) - second(t - smear / 2)) / smear
    return found


def _scattered(values: F8, times: F8) -> F8:
    """Return samples after a one-sided exponential of some samples for each channel."""
    out = np.empty_like(values)
    keep = np.exp(-1 / np.maximum(times, 1e-9))
    state = np.zeros(values.shape[1])
    # The input is constant within a step; the mean of the response over the step is exact.
    for k, each in enumerate(values):
        out[k] = each + (state - each) * times * (1 - keep)
        state = each + (state - each) * keep
    return out


def _best(profile: F8) -> float:
    """Return the largest sum of neighbours divided by the root of their number."""
    total = np.concatenate([[0.0], np.cumsum(profile)])
    widths = np.unique(np.geomspace(1, len(profile), 200).astype(int))
    return max(float((total[w:] - total[:-w]).max()) / sqrt(w) for w in widths)


def drawn(n: int, *, duration_s: float, dms: tuple[float, float], widths_s: tuple[float, float],
          snrs: tuple[float, float], unit_s: float, seed: int, scatter: float = 0.0
          ) -> list[Injection]:
    """Draw random bursts that are separated in time, each within the data.

    Parameters
    ----------
    n : int
        Number of bursts.
    duration_s : float
        Length of the data.
    dms, widths_s, snrs : pair of float
        Ranges: dispersion measures and S/N are drawn uniformly, and widths uniformly in their
        logarithm.
    unit_s : float
        Delay across the band for a dispersion measure of 1.
    seed : int
        Seed of the random numbers.
    scatter : float
        Scattering time as a fraction of the width.
    """
    random = np.random.default_rng(seed)
    draws = random.random((n, 4))
    longest = duration_s / (8 * max(1, n))
    low, high = widths_s[0], max(widths_s[0], min(widths_s[1], longest))
    highest = max(dms[0], min(dms[1], duration_s / 2 / unit_s))
    found = []
    for k, (where, dm, width, snr) in enumerate(draws.tolist()):
        measure = dms[0] + dm * (highest - dms[0])
        wide = low * (high / low) ** width
        margin = 4 * wide
        room = duration_s - measure * unit_s - 2 * margin
        at = margin + room * (k + 0.25 + 0.5 * where) / n
        found.append(Injection(at, measure, wide, snrs[0] + snr * (snrs[1] - snrs[0]),
                               scatter * wide))
    return found
