"""Spectra around a burst, aligned by its dispersion measure, at a resolution that suits it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from fastsig.axes import dispersion
from fastsig.axes.time import elapsed, parse_time, sample_time
from fastsig.axes.units import exact
from fastsig.errors import DataError, PlanError, UsageError
from fastsig.run.waterfalls import Cells, reduced
from fastsig.stages.dedisperse import DedisperseSpectra
from fastsig.stages.select import SelectProducts, SelectSpectra
from fastsig.stages.stokes import Stokes
from fastsig.stream import SpectrumStream, Stream, stream_of
from fastsig.stream.header import Header

__all__ = ["BurstWindow", "read_again", "read_window", "seconds_of", "total_power",
           "unaligned_cells"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]

_MOST_VALUES = 2**26  # that a window holds: 256 MB


@dataclass(frozen=True)
class BurstWindow:
    """Spectra around a burst.

    Parameters
    ----------
    values, weights : ndarray, shape (product, time, chan), float32
        Weighted means of `n_int` spectra, and their mean weights.
    stream : SpectrumStream
        The spectra from which the window was read, before they were aligned.
    dm : float
        Dispersion measure by which the channels are aligned, pc cm^-3; the total, if dispersion was
        removed from the stream before.
    at_s : float
        The time of the burst, seconds after the start of the stream, at the reference frequency.
    first : int
        Row of the stream with which the first mean begins, at the highest channel.
    n_int : int
    header : Header
        That of the aligned spectra: start time, dispersion constant, reference frequency.
    """

    values: F4
    weights: F4
    stream: SpectrumStream
    dm: float
    at_s: float
    first: int
    n_int: int
    header: Header

    @property
    def step_s(self) -> float:
        """Interval between means, s."""
        return float(self.n_int / self.stream.header.sample_rate)

    @property
    def seconds(self) -> F8:
        """Centres of the means after the time of the burst, s; exact for bursts late in a scan."""
        start = self.first / self.stream.header.sample_rate - Fraction(self.at_s)
        return np.asarray(float(start) + self.step_s * (np.arange(self.values.shape[1]) + 0.5))

    @cached_property
    def freq_mhz(self) -> F8:
        """Centres of the channels, MHz."""
        axis = self.stream.header.require_channels(self.stream.path)
        step = float(axis.step_hz / 10**6)
        return np.asarray(float(axis.first_hz / 10**6) + step * np.arange(axis.n_chan))

    @property
    def channel_mhz(self) -> float:
        """Width of a channel, MHz."""
        return float(self.stream.header.require_channels(self.stream.path).step_hz) / 1e6

    def time(self, seconds: float) -> Time:
        """Return a time, given in seconds after the time of the burst."""
        late = Fraction(self.at_s) + Fraction(seconds)
        start = self.header.start_time
        return start if not late else sample_time(start, 1, 1 / late)

    @property
    def constant(self) -> float:
        """Dispersion constant, MHz^2 pc^-1 cm^3 s."""
        return float(self.header.dispersion_constant)

    @property
    def reference_mhz(self) -> float:
        """Reference frequency of times, MHz; infinity is possible."""
        reference = self.header.dm_reference_hz
        return float(reference) / 1e6 if reference is not None else np.inf


def seconds_of(stream: Stream, at: Any) -> float:
    """Return a time of a burst in seconds after the start of a stream.

    Parameters
    ----------
    stream : Stream
    at : Time, Quantity or str
        A date and time, as `Time` or ISO text, or a time after the start, such as ``"2.028s"``.

    Raises
    ------
    UsageError
        If `at` is not a time, or lies outside the stream.
    """
    if isinstance(at, str) and re.match(r"\s*\d{4}-\d\d", at):
        at = parse_time(at)
    found = (elapsed(stream.header.start_time, at) if isinstance(at, Time) and at.isscalar
             else exact(at, "s", "at"))
    length = stream.shape[0] / stream.header.sample_rate
    if not 0 <= found <= length:
        raise UsageError(f"at = {at}: {float(found):.9g} s after the start; allowed: from 0 to "
                         f"{float(length):.9g} s")
    return float(found)


def total_power(chain: Any) -> SpectrumStream:
    """Return the total intensity of spectra: I, or AA + BB, or the only product.

    Raises
    ------
    PlanError
        If the chain does not contain spectra, or none of its products is an intensity.
    """
    stream = stream_of(chain)
    if not isinstance(stream, SpectrumStream):
        raise PlanError(f"{stream.path}: contains {stream.kind}; a burst is measured on spectra: "
                        "detect first")
    names = stream.polarization.names
    if names[:2] == ("AA", "BB"):
        return Stokes(stream, "I")
    if len(names) > 1 and "I" not in names:
        raise PlanError(f"{stream.path}: contains {', '.join(names)}; allowed: spectra with I, "
                        "or with AA and BB")
    return stream if len(names) == 1 else SelectProducts(stream, ("I",))


def read_window(stream: SpectrumStream, at_s: float, dm: float, *, before_s: float,
                after_s: float, n_int: int = 1, n_freq: int = 1, constant: Any = None
                ) -> BurstWindow:
    """Read spectra around a burst, aligned by a dispersion measure.

    Parameters
    ----------
    stream : SpectrumStream
    at_s : float
        Time of the burst at the highest channel, seconds after the start.
    dm : float
        Dispersion measure, pc cm^-3.
    before_s, after_s : float
        Times to read before and after this time, s; less is read at the ends of the stream.
    n_int, n_freq : int
        Numbers of spectra and of channels in a mean.
    constant : float or str, optional
        Dispersion constant.

    Raises
    ------
    PlanError
        If the stream is shorter than the delay, or the window has too many values.
    DataError
        If no value of the window is valid.
    """
    rows = _rows(stream, at_s - before_s, at_s + after_s, n_int)
    return _window(stream, at_s, dm, rows, n_int, n_freq, constant)


def read_again(window: BurstWindow, stream: SpectrumStream, dm: float, constant: Any = None
               ) -> BurstWindow:
    """Read the same rows from another stream of the same scan, such as all its products."""
    rows = window.first, window.first + window.n_int * window.values.shape[1]
    return _window(stream, window.at_s, dm, rows, window.n_int, 1, constant)


def _window(stream: SpectrumStream, at_s: float, dm: float, rows: tuple[int, int], n_int: int,
            n_freq: int, constant: Any) -> BurstWindow:
    aligned, (first, stop) = _aligned(stream, dm, constant), rows
    n_values = math.prod(stream.shape[1:]) * (stop - first) // (n_int * n_freq)
    if n_values > _MOST_VALUES:
        raise PlanError(f"{stream.path}: {n_values} values around the burst; allowed: up to "
                        f"{_MOST_VALUES}. Choose a smaller window, or a coarser resolution")
    cells = _cells(aligned, first, stop, n_int, n_freq)
    if not (cells.weights > 0).any():
        raise DataError(stream.path, f"no value near {at_s:.6g} s is valid at DM {dm:.6g}")
    return BurstWindow(*cells, stream, dm, at_s, first, n_int, aligned.header)


def unaligned_cells(stream: SpectrumStream, begin_s: float, end_s: float, n_time: int, n_chan: int
                    ) -> tuple[Cells, float, float, int]:
    """Return means of spectra as they were recorded, in at most this many cells.

    Returns
    -------
    Cells
    float, float
        Times of the edges of the first and the last cell, seconds after the start.
    int
        Number of channels in a cell.
    """
    rate = stream.header.sample_rate
    first, stop = _rows(stream, begin_s, end_s, 1)
    n_int, n_freq = (max(1, -(-n // most)) for n, most in ((stop - first, n_time),
                                                           (stream.shape[2], n_chan)))
    stop = first + max(n_int, (stop - first) // n_int * n_int)
    cells = _cells(stream, first, min(stop, stream.shape[0]), n_int, n_freq)
    return cells, float(first / rate), float((first + n_int * cells.values.shape[1]) / rate), n_freq


def _aligned(stream: SpectrumStream, dm: float, constant: Any) -> SpectrumStream:
    """Return a stream aligned by a total dispersion measure."""
    before = Fraction(repr(stream.header.dm or 0.0))
    rest = dispersion.dm_of(repr(float(dm))) - before
    return DedisperseSpectra(stream, float(rest), constant=constant, allow_negative=True)


def _rows(stream: SpectrumStream, begin_s: float, end_s: float, n_int: int) -> tuple[int, int]:
    """Return the first row of a span and that after the last, a whole number of means apart."""
    rate, n = stream.header.sample_rate, stream.shape[0]
    first = min(max(0, math.floor(Fraction(begin_s) * rate)), max(0, n - n_int))
    stop = min(n, max(first + n_int, math.ceil(Fraction(end_s) * rate)))
    return first, first + (stop - first) // n_int * n_int


def _cells(stream: SpectrumStream, first: int, stop: int, n_int: int, n_freq: int) -> Cells:
    part = stream if (first, stop) == (0, stream.shape[0]) else SelectSpectra(
        stream, (first, stop), (0, stream.shape[2]))
    return reduced(part, range(stream.shape[1]), n_int, n_freq)
