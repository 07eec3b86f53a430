"""Dispersed Gaussian pulses without noise, and their S/N by brute force in float64.

Nothing here uses the delays, tracks or sums of fastsig. White noise has the standard deviation 1
in each valid sample of a channel, so that a sum over n samples has the noise sqrt(n): the S/N of a
boxcar follows from its signal and its number of valid samples, without a trial.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numba import njit
from scipy.special import ndtr

from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PolBasis
from fastsig.axes.time import parse_time
from fastsig.io.spectra.segments import FileSpectra
from fastsig.stream.header import Header

__all__ = ["Band", "Injected", "Losses", "Pulse", "best_boxcar", "brute_force", "centroid"]

K = 1 / 2.41e-4  # MHz^2 pc^-1 cm^3 s
_FWHM = np.sqrt(8 * np.log(2))
_REACH = 5.0  # standard deviations of a pulse that are injected, on each side
_EVERY, _RATIO = 64, 1.002  # boxcars up to 64 samples; longer ones 0.2 % apart
_LEVEL = 1e3  # of samples that are not valid, which must not contribute


@dataclass(frozen=True)
class Band:
    """Channels of ascending frequency and the time of a spectrum.

    Parameters
    ----------
    n_chan : int
    sample_s : float
    low_mhz, width_mhz : float
        Lower edge and width.
    """

    n_chan: int = 4096
    sample_s: float = 49.152e-6
    low_mhz: float = 1000.0
    width_mhz: float = 500.0

    @cached_property
    def mhz(self) -> np.ndarray:
        """Centres of the channels."""
        step = self.width_mhz / self.n_chan
        return self.low_mhz + (np.arange(self.n_chan) + 0.5) * step

    def delays(self, dm: float) -> np.ndarray:
        """Delays after the highest channel, in spectra."""
        found: np.ndarray = K * dm / self.sample_s * (self.mhz**-2 - self.mhz[-1] ** -2)
        return found

    def smears(self, dm: float) -> np.ndarray:
        """Delays across the channels, in spectra."""
        half = self.width_mhz / self.n_chan / 2
        found: np.ndarray = K * dm / self.sample_s * (
            (self.mhz - half) ** -2 - (self.mhz + half) ** -2)
        return found

    @property
    def header(self) -> Header:
        """The header of float32 spectra of this band."""
        low, width, time = (Fraction(repr(each)) for each in (
            self.low_mhz, self.width_mhz, self.sample_s))
        step = width * 10**6 / self.n_chan
        return Header(parse_time("2026-03-04T00:00:00"), 1 / time, ChannelAxis(
            low * 10**6 + step / 2, step, self.n_chan), n_bits=32, is_complex=False,
            polarization=PolBasis("unknown", ("I",)))


@dataclass(frozen=True)
class Pulse:
    """A Gaussian pulse of fluence 1 in each channel.

    Parameters
    ----------
    dm : float
        Dispersion measure, pc cm^-3.
    at : float
        When it passes the highest channel, in spectra after the beginning of the first one.
    width_s : float
        Full width at half maximum, s.
    """

    dm: float
    at: float
    width_s: float

    def reach(self, band: Band) -> int:
        """Number of spectra on each side that contain it, in any channel."""
        sigma = self.width_s / _FWHM / band.sample_s
        return int(np.ceil(_REACH * sigma + band.smears(self.dm)[0] / 2)) + 1

    def profiles(self, band: Band) -> tuple[np.ndarray, np.ndarray]:
        """Return the first spectrum of each channel, and what the channel has from there on.

        Each channel smears the pulse by the delay across it: a convolution with a top hat.
        """
        return _profiles(self, band)


@lru_cache(64)
def _profiles(pulse: Pulse, band: Band) -> tuple[np.ndarray, np.ndarray]:
    sigma, reach = pulse.width_s / _FWHM / band.sample_s, pulse.reach(band)
    middle = pulse.at + band.delays(pulse.dm)
    first = np.floor(middle).astype(np.int64) - reach
    edges = (first - middle)[:, np.newaxis] + np.arange(2 * reach + 2)
    return first, np.diff(_rise(edges / sigma, band.smears(pulse.dm) / sigma), axis=1)


def _rise(x: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Return the share of the pulses before x; the widths of boxes (chan,) are in sigma."""
    half = np.maximum(box, 1e-3)[:, np.newaxis] / 2
    found: np.ndarray = (_integral(x + half) - _integral(x - half)) / (2 * half)
    return found


def _integral(x: np.ndarray) -> np.ndarray:
    found: np.ndarray = x * ndtr(x) + np.exp(-x * x / 2) / np.sqrt(2 * np.pi)
    return found


@dataclass(frozen=True)
class Losses:
    """Which spectra and which channels are valid.

    Parameters
    ----------
    rows : ndarray, shape (n_time,), bool
    channels : ndarray, shape (n_chan,), bool
    """

    rows: np.ndarray
    channels: np.ndarray

    @classmethod
    def none(cls, band: Band, n: int) -> Losses:
        """Return losses of which there are none."""
        return cls(np.ones(n, bool), np.ones(band.n_chan, bool))

    @classmethod
    def random(cls, band: Band, n: int, seed: int, longest: int = 200) -> Losses:
        """Return losses of 20 % of the channels, and of 10 % of the time in random pieces."""
        rng = np.random.default_rng(seed)
        channels = np.ones(band.n_chan, bool)
        channels[rng.permutation(band.n_chan)[: band.n_chan // 5]] = False
        rows = np.ones(n, bool)
        while rows.mean() > 0.9:
            first = rng.integers(n)
            rows[first : first + rng.integers(1, longest + 1)] = False
        return cls(rows, channels)

    @property
    def is_none(self) -> bool:
        """Whether everything is valid."""
        return bool(self.rows.all() and self.channels.all())


class Injected(FileSpectra):
    """Spectra that contain pulses, 0 elsewhere; lost samples have a high level and the weight 0.

    Parameters
    ----------
    band : Band
    pulses : sequence of Pulse
    losses : Losses
        They have the length of the spectra.
    """

    def __init__(self, band: Band, pulses: Sequence[Pulse], losses: Losses) -> None:
        super().__init__(band.header, (len(losses.rows), 1, band.n_chan), "injected",
                         weight_channels=1 if losses.is_none else band.n_chan)
        self._losses = losses
        self._pulses = [each.profiles(band) for each in pulses]

    @property
    def files(self) -> list[str]:
        """None: the spectra are computed."""
        return []

    def _values(self, start: int, n: int) -> tuple[Any, Any]:
        data = np.zeros((n, self.shape[2]), np.float32)
        for first, profile in self._pulses:
            _add(data, first - start, profile)
        if self._losses.is_none:
            return data[:, np.newaxis], None
        valid = self._losses.rows[start : start + n, np.newaxis] & self._losses.channels
        data[~valid] = _LEVEL
        return data[:, np.newaxis], valid[:, np.newaxis].astype(np.float32)


@njit
def _add(data: np.ndarray, first: np.ndarray, profile: np.ndarray) -> None:
    """Add what each channel has from a row on; the parts before and after the data are left out."""
    n, n_chan = data.shape
    for c in range(n_chan):
        for k in range(max(0, -first[c]), min(profile.shape[1], n - first[c])):
            data[first[c] + k, c] += profile[c, k]


def brute_force(band: Band, pulse: Pulse, n_sum: int, losses: Losses
                ) -> tuple[int, np.ndarray, np.ndarray]:
    """Sum the channels at the samples nearest to their exact delays, in float64.

    Parameters
    ----------
    band, pulse : Band, Pulse
    n_sum : int
        Number of spectra that are summed before.
    losses : Losses

    Returns
    -------
    start : int
        The first row, in sums of `n_sum` spectra.
    signal, count : ndarray, shape (n,), float64
        Sums of the signal, and numbers of valid samples.
    """
    first, profile = pulse.profiles(band)
    reach = -(-pulse.reach(band) // n_sum) + 3
    start, n = int(pulse.at // n_sum) - reach, 2 * reach + 1
    shift = np.round(band.delays(pulse.dm) / n_sum).astype(np.int64)
    rows = first[:, np.newaxis] + np.arange(profile.shape[1])
    profile = profile * losses.rows[rows]
    place = rows // n_sum - shift[:, np.newaxis] - start
    keep = losses.channels[:, np.newaxis] & (place >= 0) & (place < n)
    signal = np.bincount(place[keep], profile[keep], n)
    whole = losses.rows[: len(losses.rows) // n_sum * n_sum].reshape(-1, n_sum).sum(axis=1)
    count = np.zeros(n)
    for later, many in zip(*np.unique(shift[losses.channels], return_counts=True), strict=True):
        count += many * whole[start + later : start + later + n]
    return start, signal, count


def best_boxcar(signal: np.ndarray, count: np.ndarray) -> float:
    """Return the highest S/N of a boxcar: its signal by the root of its valid samples."""
    sums = np.concatenate(([0.0], np.cumsum(signal)))
    counts = np.concatenate(([0.0], np.cumsum(count)))
    best = 0.0
    for n in _widths(len(signal)):
        valid = counts[n:] - counts[:-n]
        snr = (sums[n:] - sums[:-n]) / np.sqrt(np.maximum(valid, 1))
        best = max(best, float(snr.max()))
    return best


def _widths(most: int) -> list[int]:
    found = list(range(1, min(most, _EVERY) + 1))
    while found[-1] * _RATIO < most:
        found.append(int(np.ceil(found[-1] * _RATIO)))
    return [each for each in found if each <= most]


def centroid(signal: np.ndarray) -> float:
    """Return the mean position of the signal, from the beginning of the first sample on."""
    return float(np.average(np.arange(len(signal)) + 0.5, weights=signal))
