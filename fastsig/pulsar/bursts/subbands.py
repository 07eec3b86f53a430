"""A burst in subbands: normalised by the noise beside it, and shifted to trial measures.

Each channel is reduced to its level and its noise off the burst: ``z = (x - level) / sigma``. A
profile is the sum of z over the channels divided by the square root of their number, so that its
noise is 1 if the noise of the channels is independent.

For trial dispersion measures the subbands are shifted with the shift theorem of the Fourier
transform, also by fractions of a sample; the ends of the window are joined, so the window must
extend beyond the burst by more than the largest shift.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import PlanError
from fastsig.work.shown import Shown

__all__ = ["Boxcar", "Normalized", "Subbands", "best_boxcar", "boxcar_sums", "grouped",
           "normalized"]

F8 = NDArray[np.float64]
C16 = NDArray[np.complex128]

_LEAST_OFF = 16  # samples off the burst from which level and noise of a channel are measured
_RATIO = 1.2  # of neighbouring widths: a top hat between two rungs loses up to 4.5 % of its S/N


@dataclass(frozen=True, repr=False)
class Boxcar(Shown):
    """A boxcar: its S/N, its first sample and its width in samples."""

    snr: float
    start: int
    width: int

    @property
    def centre(self) -> float:
        """Middle of the boxcar, in samples from the beginning of the first sample."""
        return self.start + self.width / 2


@dataclass(frozen=True)
class Subbands:
    """Normalised subbands of a burst.

    Parameters
    ----------
    values : ndarray, shape (subband, time)
        Sums of z over the channels of a subband, 0 where nothing is valid.
    counts : ndarray, shape (subband,)
        Number of channels with data in each subband.
    inverse_sq : ndarray, shape (subband,), MHz^-2
        Mean of ``f^-2`` of these channels.
    freq_mhz : ndarray, shape (subband,)
        Mean frequency of these channels.
    share : ndarray, shape (time,)
        Valid share of the samples of these channels.
    step_s : float
        Interval between samples.
    constant : float
        Dispersion constant, MHz^2 pc^-1 cm^3 s.
    reference_mhz : float
        The frequency at which times do not change with the dispersion measure.
    """

    values: F8
    counts: F8
    inverse_sq: F8
    freq_mhz: F8
    share: F8
    step_s: float
    constant: float
    reference_mhz: float

    def delays_s(self, dm: float) -> F8:
        """Return the delays of subbands after the reference frequency, s, shape (subband,)."""
        return self.constant * dm * (self.inverse_sq - self.reference_mhz**-2)

    def sweep_s(self, dm: float = 1.0) -> float:
        """Return the delay of the lowest subband after the highest one, s."""
        delays = self.delays_s(dm)
        return float(delays.max() - delays.min())

    def shifted(self, dms: F8) -> F8:
        """Return profiles at changes of the dispersion measure, shape (dm, time)."""
        spectra: C16 = np.fft.rfft(self.values)
        n_time = self.values.shape[1]
        turns = np.outer(dms, self.delays_s(1.0)) / (n_time * self.step_s)  # of the first harmonic
        step = np.exp(2j * np.pi * turns)
        total = np.empty((len(dms), spectra.shape[1]), np.complex128)
        phase, by_harmonic = np.ones_like(step), np.ascontiguousarray(spectra.T)
        for k, values in enumerate(by_harmonic):
            total[:, k] = phase @ values
            phase *= step
        return np.asarray(np.fft.irfft(total, n_time) / np.sqrt(self.counts.sum()))

    def profile(self) -> F8:
        """Return the profile at the present dispersion measure, shape (time,)."""
        return np.asarray(self.values.sum(axis=0) / np.sqrt(self.counts.sum()))

    def merged(self, n: int) -> Subbands:
        """Return fewer subbands, with about equal numbers of channels."""
        total = np.cumsum(self.counts)
        edges = np.searchsorted(total - self.counts / 2, np.arange(n) * total[-1] / n)
        edges = np.unique(np.minimum(edges, len(self.counts) - 1))
        counts = np.add.reduceat(self.counts, edges)
        inverse, freq = (np.add.reduceat(each * self.counts, edges) / counts
                         for each in (self.inverse_sq, self.freq_mhz))
        return Subbands(np.add.reduceat(self.values, edges), counts, inverse, freq, self.share,
                        self.step_s, self.constant, self.reference_mhz)


class Normalized(NamedTuple):
    """Channels reduced to their level and noise off a burst.

    Parameters
    ----------
    z : ndarray, shape (time, good chan)
        ``(x - level) / sigma`` times the valid share; 0 where nothing is valid.
    share : ndarray, shape (time, good chan)
        Valid share of the samples.
    level, sigma : ndarray, shape (good chan,)
        Level and noise of each channel, in the unit of the values.
    good : ndarray, shape (good chan,), int
        Numbers of the channels that have noise.
    """

    z: F8
    share: F8
    level: F8
    sigma: F8
    good: NDArray[np.int64]


def normalized(values: NDArray[np.float32], weights: NDArray[np.float32],
               off: NDArray[np.bool_]) -> Normalized:
    """Return channels normalised by their samples off the burst.

    Parameters
    ----------
    values, weights : ndarray, shape (time, chan)
    off : ndarray, shape (time,), bool
        Samples off the burst.

    Raises
    ------
    PlanError
        If no channel has enough valid samples with noise.
    """
    valid = (weights > 0) & np.isfinite(values)
    data = np.where(valid, values, 0).astype(np.float64)
    share = np.where(valid, weights, 0).astype(np.float64)
    beside, count = share[off], (valid[off]).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        level = (data[off] * beside).sum(axis=0) / beside.sum(axis=0)
        # A value with the weight w has the variance sigma^2 / w.
        variance = (beside * (data[off] - level) ** 2).sum(axis=0) / (count - 1)
    good = np.flatnonzero((count >= min(_LEAST_OFF, off.sum())) & (variance > 0) & (count > 1))
    if not good.size:
        raise PlanError("no channel has valid data with noise beside the burst")
    sigma = np.sqrt(variance[good])
    z = (data[:, good] - level[good]) / sigma * share[:, good]
    return Normalized(z, share[:, good], level[good], sigma, good)


def grouped(made: Normalized, freq_mhz: F8, most: int, step_s: float, constant: float,
            reference_mhz: float) -> Subbands:
    """Return at most `most` subbands of neighbouring channels.

    Parameters
    ----------
    made : Normalized
    freq_mhz : ndarray, shape (chan,)
        Centres of all channels.
    most : int
    step_s, constant, reference_mhz
        As for `Subbands`.
    """
    freq = freq_mhz[made.good]
    edges = np.unique(np.linspace(0, len(freq), min(most, len(freq)), endpoint=False).astype(int))
    counts = np.diff(np.append(edges, len(freq))).astype(np.float64)
    inverse, mean = (np.add.reduceat(each, edges) / counts for each in (freq**-2.0, freq))
    return Subbands(np.add.reduceat(made.z, edges, axis=1).T, counts, inverse, mean,
                    made.share.mean(axis=1), step_s, constant, reference_mhz)


def boxcar_sums(profile: F8, width: int) -> F8:
    """Return sums of `width` samples that begin at each sample, without incomplete ones."""
    total = np.concatenate([[0.0], np.cumsum(profile)])
    return np.asarray(total[width:] - total[:-width])


def best_boxcar(profile: F8, share: F8, off: NDArray[np.bool_], *, widths: list[int] | None = None,
                within: tuple[int, int] | None = None) -> Boxcar:
    """Return the boxcar with the highest S/N on a normalised profile.

    The noise is that of the samples off the burst, and that of a boxcar grows with the square root
    of its valid samples.

    Parameters
    ----------
    profile, share : ndarray, shape (time,)
        Values times the share that was valid, and this share.
    off : ndarray, shape (time,), bool
        Samples from which level and noise are measured.
    widths : list of int, optional
        By default from 1 to a quarter of the samples.
    within : pair of int, optional
        Samples in which the middle of the boxcar must lie.
    """
    level = (profile[off].sum() / share[off].sum()) if share[off].any() else 0.0
    rest = profile - level * share
    there = off & (share > 0)
    sigma = float(np.sqrt((rest[there] ** 2 / share[there]).mean())) if there.any() else 1.0
    best = Boxcar(-np.inf, 0, 1)
    for width in widths or _ladder(len(profile) // 4):
        sums, counts = boxcar_sums(rest, width), boxcar_sums(share, width)
        snr = np.where(counts > 0.3 * width, sums / np.sqrt(np.maximum(counts, 1e-9)), -np.inf)
        if within is not None:
            middle = np.arange(len(snr)) + width / 2
            snr = np.where((middle >= within[0]) & (middle <= within[1]), snr, -np.inf)
        start = int(np.argmax(snr)) if snr.size else 0
        if snr.size and snr[start] / sigma > best.snr:
            best = Boxcar(float(snr[start] / sigma), start, width)
    return best


def _ladder(longest: int) -> list[int]:
    found = [1]
    while (wider := max(found[-1] + 1, round(found[-1] * _RATIO))) <= max(1, longest):
        found.append(wider)
    return found
