"""Signals as layers: each makes fixed segments counted from sample 0, and adds their samples.

A segment depends on the parameters and its number alone, so any part of a recording, made by any
number of workers, has the same bits. Filtered noise is made by overlap-save: a segment with a
halo on both sides, long enough for the response, is transformed by one FFT.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import ceil
from typing import Any

import numpy as np
from fastsig_kernels.noise import gaussian
from numpy.typing import NDArray
from scipy import fft

from fastsig.errors import UsageError
from fastsig.simulate import components as parts
from fastsig.simulate import filters
from fastsig.simulate.filters import Band

__all__ = ["CarrierLayer", "DiodeLayer", "FilteredLayer", "Layer", "RfiLayer", "StationaryLayer"]

F4 = NDArray[np.float32]
SEGMENT = 2**18
HALO = 2**12  # samples; the bandpass's response has decayed by then, at any bandwidth
MAX_FFT = 2**26
BLOCK = 2**16

# Numbers of the noise streams of each layer; polarisations use consecutive ones.
STREAM_STATIONARY, STREAM_DIODE, STREAM_PULSAR, STREAM_BURST, STREAM_RFI = 0, 2, 4, 6, 16


class Layer(ABC):
    """One signal, in units of the last place of the samples.

    Parameters
    ----------
    size : int
        Samples of a segment, a power of two.
    """

    size = SEGMENT

    @abstractmethod
    def segment(self, first: int) -> F4 | None:
        """Make float32 (2, size) from sample `first` on; None if all are 0."""

    def add(self, out: F4, start: int) -> None:
        """Add the samples from `start` on to `out`, float32 (2, n)."""
        stop = start + out.shape[1]
        for first in range(start - start % self.size, stop, self.size):
            made = self.segment(first)
            if made is not None:
                low, high = max(first, start), min(first + self.size, stop)
                out[:, low - start : high - start] += made[:, low - first : high - first]


class FilteredLayer(Layer):
    """Noise filtered by responses; `left` and `right` are the halos in samples."""

    def __init__(self, seed: int, stream: int, size: int, left: int, right: int) -> None:
        self.size, self._left, self._right = size, left, right
        self._seed, self._stream = seed, stream
        self._n_fft = int(fft.next_fast_len(size + left + right, real=True))

    def _noise(self, first: int, pol: int) -> NDArray[np.complex64]:
        """Return the spectrum of the window of the segment at `first`."""
        window = np.empty(self._n_fft, np.float32)
        self._fill(first - self._left, pol, window)
        return np.asarray(fft.rfft(window, overwrite_x=True))

    def _fill(self, start: int, pol: int, out: F4) -> None:
        gaussian(start, len(out), seed=self._seed, stream=self._stream + pol, out=out)

    def _back(self, spectrum: NDArray[np.complexfloating]) -> F4:
        whole = fft.irfft(spectrum, self._n_fft, overwrite_x=True)
        return np.asarray(whole[self._left : self._left + self.size])

    def _mix(
        self, first: int, l11: NDArray[Any], l21: NDArray[Any] | None, l22: NDArray[Any]
    ) -> F4:
        """Return both polarisations: ``A = l11 n1``, ``B = l21 n1 + l22 n2``."""
        out = np.empty((2, self.size), np.float32)
        one, two = self._noise(first, 0), self._noise(first, 1)
        two *= l22
        if l21 is not None:
            two += l21 * one
        one *= l11
        out[0], out[1] = self._back(one), self._back(two)
        return out


def _sizes(option: str, response: int) -> tuple[int, int]:
    """Return the segment and halo for a response of `response` samples on either side."""
    halo = max(HALO, response)
    size = SEGMENT
    while size < 2 * halo and size + 2 * halo < MAX_FFT // 2:
        size *= 2
    if size + 2 * halo > MAX_FFT:
        raise UsageError(f"{option} needs an FFT of {size + 2 * halo} samples; "
                         f"allowed: up to {MAX_FFT}; widen it or narrow the band")
    return size, halo


class StationaryLayer(FilteredLayer):
    """Receiver noise, continuum source and line together, under the bandpass.

    A stationary Gaussian signal is defined by its coherency matrix at each frequency, so one pair
    of noise streams, mixed by the matrix's Cholesky factor, represents all three.
    """

    def __init__(
        self, band: Band, response: str, gain: float, seed: int, *, kelvin: float,
        source: parts.Source | None, line: parts.Line | None,
    ) -> None:
        reach = 0 if line is None else ceil(2 * band.rate / line.fwhm)
        size, halo = _sizes("line fwhm", reach)
        super().__init__(seed, STREAM_STATIONARY, size, halo, halo)
        offset = band.offsets(self._n_fft)
        total = np.full(offset.shape, 2 * kelvin)
        if line is not None:
            total += 2 * float(line.peak) * filters.gaussian(
                offset, float(line.sky_hz - band.low_hz), float(line.fwhm))
        i, q, u, v = (float(getattr(source, name)) if source else 0.0 for name in "iquv")
        l11, l21, l22 = filters.coherency_factor(total + i, q, u, v)
        scale = gain * np.sqrt(filters.bandpass(offset / float(band.width_hz), response))
        self._l11, self._l22 = ((scale * part).astype(np.float32) for part in (l11, l22))
        mixed = band.recorded(scale * l21).astype(np.complex64)
        self._l21 = mixed if mixed.any() else None

    def segment(self, first: int) -> F4:
        """See `Layer`."""
        return self._mix(first, self._l11, self._l21, self._l22)


class DiodeLayer(FilteredLayer):
    """Noise common to both polarisations, gated exactly at the samples of its ticks."""

    def __init__(
        self, band: Band, response: str, gain: float, seed: int, diode: parts.Diode, ticks: int
    ) -> None:
        super().__init__(seed, STREAM_DIODE, SEGMENT, HALO, HALO)
        x = band.offsets(self._n_fft) / float(band.width_hz)
        power = filters.bandpass(x, response) * float(diode.temperature)
        self._response = (gain * np.sqrt(power)).astype(np.float32)
        self._diode, self._per_tick = diode, band.rate / ticks

    def on_spans(self, start: int, stop: int) -> list[tuple[int, int]]:
        """List samples in [start, stop) that belong to ticks in which the diode is on."""
        diode, per_tick = self._diode, self._per_tick
        first = max(0, int(start / per_tick - diode.first) // diode.period - 1)
        spans = []
        tick = diode.first + first * diode.period
        while tick * per_tick < stop:
            low, high = ceil(tick * per_tick), ceil((tick + diode.on) * per_tick)
            if max(low, start) < min(high, stop):
                spans.append((max(low, start), min(high, stop)))
            tick += diode.period
        return spans

    def segment(self, first: int) -> F4 | None:
        """See `Layer`."""
        spans = self.on_spans(first, first + self.size)
        if not spans:
            return None
        signal = self._back(self._noise(first, 0) * self._response)
        out = np.zeros((2, self.size), np.float32)
        for low, high in spans:
            out[:, low - first : high - first] = signal[low - first : high - first]
        return out


class RfiLayer(FilteredLayer):
    """Unpolarised noise in a span of frequency, gated to a span of time."""

    def __init__(
        self, band: Band, response: str, gain: float, seed: int, burst: parts.RfiBurst, index: int
    ) -> None:
        low, high = float(burst.low - band.low_hz), float(burst.high - band.low_hz)
        taper = min(high - low, float(band.width_hz) / 256)
        size, halo = _sizes("rfi low, high", ceil(8 * float(band.rate) / taper))
        super().__init__(seed, STREAM_RFI + 2 * index, size, halo, halo)
        offset = band.offsets(self._n_fft)
        power = filters.bandpass(offset / float(band.width_hz), response)
        power *= float(burst.temperature) * filters.box(offset, low, high, taper)
        self._response = (gain * np.sqrt(power)).astype(np.float32)
        self.span = ceil(burst.start * band.rate), ceil((burst.start + burst.duration) * band.rate)

    def segment(self, first: int) -> F4 | None:
        """See `Layer`."""
        low, high = (min(max(edge - first, 0), self.size) for edge in self.span)
        if low >= high:
            return None
        out = self._mix(first, self._response, None, self._response)
        out[:, :low] = 0
        out[:, high:] = 0
        return out


class CarrierLayer(Layer):
    """A cosine of quadratic phase; the phase at the start of each segment is exact."""

    size = BLOCK

    def __init__(self, band: Band, rms: float, carrier: parts.Carrier) -> None:
        sign = -1 if band.is_lower else 1
        edge = band.high_hz if band.is_lower else band.low_hz
        self._start = sign * (carrier.frequency - edge) / band.rate  # turns per sample
        self._drift = sign * carrier.drift / band.rate**2
        self._phase = carrier.phase
        angle = np.deg2rad(float(carrier.angle))
        peak = np.sqrt(2) * float(carrier.level) * rms
        self._jones = (peak * np.array([[np.cos(angle)], [np.sin(angle)]])).astype(np.float32)

    def segment(self, first: int) -> F4 | None:
        """See `Layer`."""
        rate = self._start + self._drift * first
        phase = float((self._phase + first * (self._start + self._drift * first / 2)) % 1)
        n = np.arange(self.size, dtype=np.float64)
        local = float(rate) + float(self._drift) * n
        inside = (local >= 0) & (local <= 0.5)
        if not inside.any():
            return None
        turns = phase + (float(rate) + float(self._drift) / 2 * n) * n
        wave = np.where(inside, np.cos(2 * np.pi * turns), 0)
        return np.asarray(self._jones * wave.astype(np.float32))
