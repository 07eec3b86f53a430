"""Dispersion that is longer than a transform: subbands, each with its own part of the delay.

The response of the whole band is ``H(f)``. Subband k has the response ``W_k(f) H(f)``, where the
smooth windows W_k add up to 1. It lasts from the delay of the upper edge of W_k to that of the
lower edge, and a little longer because of the transform of the edges. Each subband is therefore
filtered with samples that begin earlier by the delay of its upper edge, and needs a halo only for
the rest. The phase of this shift is exact, since it is that of a whole number of samples.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from fastsig.errors import UsageError
from fastsig.simulate import components as parts
from fastsig.simulate import filters
from fastsig.simulate.filters import Band
from fastsig.simulate.layers import HALO, SEGMENT
from fastsig.simulate.pulses import CUT, PulseLayer, dispersion_delay
from fastsig.simulate.rotation import Rotation

__all__ = ["SubbandLayer", "Subbands", "divided"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
C8 = NDArray[np.complex64]

#: Edges of the windows are ``(1 + erf(x / sigma)) / 2``, cut where 1e-10 is left.
EDGE = 4.5
#: Sigma of an edge, at most, in widths of the narrower of its subbands.
SIGMA = 1 / 18
#: Length of the transform of an edge, in 1 / sigma: 2e-9 of its height is left.
RINGING = 1.45
#: Number of subbands, at most.
MOST = 2**17


class Subbands(NamedTuple):
    """Subbands from the top of the band to its bottom.

    Parameters
    ----------
    edges : ndarray, shape (n + 1,), Hz
        Edges above the lower edge of the band, descending.
    sigmas : ndarray, shape (n + 1,), Hz
        Widths of the edges; 0 at the edges of the band, which are sharp.
    delays : ndarray, shape (n,), int64, samples
        Delay with which each subband begins.
    length : int
        Samples by which the longest subband is longer than an impulse, without `ringing`.
    ringing : int
        Samples by which edges extend a response on either side.
    """

    edges: F8
    sigmas: F8
    delays: NDArray[np.int64]
    length: int
    ringing: int

    def span(self, index: int) -> tuple[float, float]:
        """Return the lowest and highest frequency in a window above the band's edge, Hz."""
        low = self.edges[index + 1] - EDGE * self.sigmas[index + 1]
        high = self.edges[index] + EDGE * self.sigmas[index]
        return float(low), float(high)

    def window(self, index: int, offset: F8) -> F8:
        """Return the window of a subband at frequencies above the band's edge."""
        return np.asarray(self._above(index + 1, offset) - self._above(index, offset))

    def _above(self, edge: int, offset: F8) -> F8:
        if edge == 0:
            return np.zeros_like(offset)
        if edge == len(self.edges) - 1:
            return np.ones_like(offset)
        return np.asarray((1 + erf((offset - self.edges[edge]) / self.sigmas[edge])) / 2)


def divided(band: Band, dm_mhz: Fraction, n: int) -> Subbands:
    """Divide a band into `n` subbands with equal shares of the delay.

    `dm_mhz` is the dispersion constant times DM, MHz^2 s.
    """
    low, high, rate = float(band.low_hz), float(band.high_hz), float(band.rate)
    squares = high**-2 + (low**-2 - high**-2) * np.arange(n + 1) / n
    edges = squares**-0.5 - low
    edges[[0, -1]] = high - low, 0
    widths = -np.diff(edges)
    sigmas = np.zeros(n + 1)
    sigmas[1:-1] = SIGMA * np.minimum(widths[:-1], widths[1:])
    begin = low + edges[:-1] + EDGE * sigmas[:-1]
    end = low + edges[1:] - EDGE * sigmas[1:]
    early, late = (float(dm_mhz * 10**12) * rate * (high - f) * (high + f) / (f * high) ** 2
                   for f in (begin, end))
    delays = np.floor(early).astype(np.int64)
    ringing = ceil(RINGING * rate / sigmas[1:-1].min()) if n > 1 else 0
    return Subbands(edges, sigmas, delays, int(np.ceil(late - delays).max()), ringing)


def _planned(band: Band, dm_mhz: Fraction, size: int, max_fft: int) -> Subbands | None:
    """Return subbands for segments of `size` samples; None if they need too long transforms."""
    total = float(dispersion_delay(band, dm_mhz) * band.rate)
    n = max(2, ceil(2 * total / size))
    if n > MOST:
        return None
    made = divided(band, dm_mhz, n)
    needed = size + made.length + 2 * made.ringing + 2 * HALO
    return made if made.ringing <= size // 8 and needed <= max_fft else None


def _least(pulse: parts.Pulsar | parts.Burst, band: Band, max_fft: int) -> int:
    """Return the size of the smallest segments worth trying.

    A burst is in few segments, so short ones save memory at no cost. A pulsar is in all of them:
    the longer they are, the fewer subbands are needed.
    """
    if isinstance(pulse, parts.Pulsar):
        return max_fft // 2
    size, duration = SEGMENT, 2 * CUT * float(pulse.fwhm * band.rate)
    while size < duration and 4 * size <= max_fft:
        size *= 2
    return size


def _fitted(pulse: parts.Pulsar | parts.Burst, band: Band, dm_mhz: Fraction, max_fft: int
            ) -> tuple[int, Subbands] | None:
    """Return the size of segments and the subbands; None if no size fits."""
    size = _least(pulse, band, max_fft)
    while size <= max_fft // 2:
        if made := _planned(band, dm_mhz, size, max_fft):
            return size, made
        size *= 2
    return None


class SubbandLayer(PulseLayer):
    """Polarised noise under a pulse envelope, dispersed by the phase of cold plasma in subbands."""

    def __init__(
        self, band: Band, response: str, gain: float, seed: int, dm_constant: Fraction,
        pulse: parts.Pulsar | parts.Burst, max_fft: int, rotation: Rotation | None = None,
    ) -> None:
        fitted = _fitted(pulse, band, dm_constant * pulse.dm, max_fft)
        if fitted is None:
            raise UsageError(_too_long(pulse, band, dm_constant, max_fft))
        size, self._subbands = fitted
        right = self._subbands.ringing + HALO
        super().__init__(band, seed, pulse, size, self._subbands.length + right, right,
                         rotation=rotation)
        self._band, self._response, self._gain = band, response, gain
        self._dm_hz = float(dm_constant * pulse.dm * 10**12)

    def segment(self, first: int) -> F4 | None:
        """See `Layer`."""
        indices = np.flatnonzero(self._sounds(first))
        if not len(indices):
            return None
        one, two = (np.zeros(self._n_fft // 2 + 1, np.complex64) for _ in range(2))
        for index in indices:
            self._add(first, int(index), one, two)
        out = np.empty((2, self.size), np.float32)
        out[0], out[1] = self._back(one), self._back(two)
        return out

    def _sounds(self, first: int) -> NDArray[np.bool_]:
        """Whether the pulse is on in the window of each subband of the segment at `first`."""
        pulse = self._pulse
        if self._rotation is not None:
            return np.ones(len(self._subbands.delays), np.bool_)
        starts = first - self._left - self._subbands.delays
        reach = CUT * float(pulse.fwhm if isinstance(pulse, parts.Burst)
                            else pulse.duty * pulse.period)
        begin = starts / float(self._rate) - float(pulse.time) - reach
        end = begin + self._n_fft / float(self._rate) + 2 * reach
        if isinstance(pulse, parts.Burst):
            return np.asarray((begin <= 0) & (end >= 0))
        period = float(pulse.period)
        return np.asarray(np.floor(end / period) >= np.ceil(begin / period))

    def _add(self, first: int, index: int, one: C8, two: C8) -> None:
        """Add a subband to the spectra of A and B, transformed from the window of `first`."""
        start = first - int(self._subbands.delays[index])
        bins = self._bins(index)
        response = self.response(index, np.arange(bins.start, bins.stop))
        l11, l21, l22 = self._factor_at(bins)
        for pol, to_a, to_b in ((0, l11, l21), (1, None, l22)):
            if to_a is None and not np.any(to_b):
                continue
            part = self._noise(start, pol)[bins] * response
            if to_a is not None:
                one[bins] += to_a * part
            if np.any(to_b):
                two[bins] += to_b * part

    def _factor_at(self, bins: slice) -> tuple[Any, Any, Any]:
        """Return the factor of the coherency at bins of the transform; scalars without rotation."""
        if not self.is_rotated:
            return self._l11, self._l21, self._l22
        recorded = np.arange(bins.start, bins.stop) * (float(self._band.rate) / self._n_fft)
        return self.factor(float(self._band.width_hz) - recorded if self._band.is_lower
                           else recorded)

    def _bins(self, index: int) -> slice:
        """Return the bins of a window of samples in which a subband has power."""
        low, high = self._subbands.span(index)
        if self._band.is_lower:
            low, high = (float(self._band.width_hz) - edge for edge in (high, low))
        per_hz = self._n_fft / float(self._band.rate)
        return slice(max(0, floor(low * per_hz)),
                     min(self._n_fft // 2, ceil(high * per_hz)) + 1)

    def response(self, index: int, bins: NDArray[np.int64]) -> C8:
        """Return the response of a subband, earlier by its delay, at bins of the transform.

        Parameters
        ----------
        index : int
        bins : ndarray, shape (n,), int64

        Returns
        -------
        ndarray, shape (n,), complex64
        """
        band = self._band
        recorded = bins.astype(np.float64) * (float(band.rate) / self._n_fft)
        offset = float(band.width_hz) - recorded if band.is_lower else recorded
        turns = filters.chirp_turns(offset, float(band.low_hz), float(band.high_hz), self._dm_hz)
        delay = int(self._subbands.delays[index]) % self._n_fft
        earlier = bins * delay % self._n_fft / self._n_fft  # exact
        turns = (-turns if band.is_lower else turns) % 1.0 + earlier
        power = filters.bandpass(offset / float(band.width_hz), self._response)
        amplitude = self._gain * np.sqrt(power) * self._subbands.window(index, offset)
        return np.asarray((amplitude * np.exp(2j * np.pi * turns)).astype(np.complex64))


def _too_long(pulse: parts.Pulsar | parts.Burst, band: Band, dm_constant: Fraction, max_fft: int
              ) -> str:
    """Return the message that a dispersion measure is too large, and the largest that is not."""
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        fits = _planned(band, dm_constant * pulse.dm * Fraction(middle), max_fft // 2, max_fft)
        low, high = (middle, high) if fits else (low, middle)
    return (f"{type(pulse).__name__.lower()} dm = {float(pulse.dm):g} pc/cm3 is too large for FFTs "
            f"of up to {max_fft} samples in the band {float(band.low_hz) / 1e6:g}-"
            f"{float(band.high_hz) / 1e6:g} MHz; allowed: dm up to {low * float(pulse.dm):.4g} "
            "pc/cm3 in this band, or a narrower or higher band")
