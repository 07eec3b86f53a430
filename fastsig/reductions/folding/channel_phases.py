r"""Phases of a pulsar in the channels of a stream, in the form that the kernel needs.

A pulse that is at the frequency of the predictor at time t is in channel f of the data at

.. math:: t + K [(DM - h) f^{-2} + h f_h^{-2} - DM f_p^{-2}]

where h is the dispersion measure that was removed from the data, :math:`f_h` the frequency to which
their times then refer, and :math:`f_p` that of the predictor. All times are those of the centres of
rows.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.dispersion import constant_of, dm_of
from fastsig.errors import PlanError
from fastsig.pulsar.predictors import Predictor
from fastsig.stream import Stream

__all__ = ["ChannelPhases", "reference_of"]

Array = NDArray[np.float64]
Turns = tuple[NDArray[np.int64], Array]

#: Longest piece of a phase that is a parabola: even in an orbit of 2 h, it is right to 1e-9 turn.
_PIECE_S = Fraction(1, 4)
_MOST_PIECE = 2**16
_ITERATIONS = 4
_N_TIME = 65  # at which frequencies are compared
_N_JUMP = 4097  # at which phases are compared
_MOST_TURNS = 1e-3
_BELOW_ONE = 1 - 2.0**-53


class ChannelPhases:
    """Phases in the channels of a stream, for one predictor.

    Parameters
    ----------
    stream : Stream
        Spectra with known frequencies.
    predictor : Predictor
    dm : float, str or Quantity, optional
        Dispersion measure, pc cm^-3; by default, that of the predictor, or else the one that was
        removed from the data, between channels or within them.
    constant : optional
        Dispersion constant; by default, that of the header.

    Raises
    ------
    UsageError
        If the dispersion measure or the constant is not allowed.
    PlanError
        If the channels have dispersion and are not above 0 MHz.
    """

    def __init__(self, stream: Stream, predictor: Predictor, dm: Any = None, constant: Any = None
                 ) -> None:
        header = stream.header
        axis = header.require_channels(stream.path)
        self.predictor, self._start = predictor, header.start_time
        self._rate = header.sample_rate
        given = next((each for each in (dm, predictor.dm, header.dm, header.coherent_dm)
                      if each is not None), None)
        #: Dispersion measure, pc cm^-3; None if unknown.
        self.dm = None if given is None else float(dm_of(given))
        removed = Fraction(header.dm or 0)
        self.constant = header.dispersion_constant if constant is None else constant_of(constant)
        #: Frequency to which the profiles refer, Hz.
        self.reference_hz = reference_of(stream)
        #: Whether channels are aligned, by the fold or before it.
        self.aligned = bool(self.dm or removed)
        #: How much later pulses are at the reference frequency than at that of the predictor, s.
        self.late_s = 0.0
        self._delays = np.zeros(axis.n_chan)
        if self.aligned:
            if axis.first_hz <= 0:
                raise PlanError(f"{stream.path}: the lowest channel is at "
                                f"{float(axis.first_hz) / 1e6:g} MHz; allowed: above 0")
            self._disperse(Fraction(self.dm or 0), removed, header.dm_reference_hz, axis)

    def _disperse(self, dm: Fraction, removed: Fraction, removed_hz: Fraction | None, axis: Any
                  ) -> None:
        """Set the delays of the reference frequency, and of channels after it, s."""
        def unit(hz: Fraction | None) -> Fraction:
            return Fraction(0) if hz is None else self.constant * 10**12 / Fraction(hz) ** 2

        mhz = self.predictor.reference_mhz
        at = dm * unit(self.reference_hz)
        if mhz is not None:
            pulse = Fraction(0) if np.isinf(mhz) else dm * unit(Fraction(repr(float(mhz))) * 10**6)
            self.late_s = float(at - pulse)
        left = dm - removed
        beyond = removed * unit(removed_hz) - at if removed else -at
        self._delays = np.array([float(left * unit(axis.first_hz + k * axis.step_hz) + beyond)
                                 for k in range(axis.n_chan)])

    @property
    def shifted(self) -> bool:
        """Whether channels have phases of their own."""
        return bool((self._delays != 0).any())

    def at(self, seconds: Array) -> Turns:
        """Return the phase at the reference frequency, some seconds after the start of row 0."""
        return self.predictor.phase(self._start, seconds - self.late_s)

    def frequency(self, seconds: Array) -> Array:
        """Return the frequency of the pulses, Hz, at the times of `at`."""
        return self.predictor.frequency(self._start, seconds - self.late_s)

    def pieces(self, first: int, n: int) -> tuple[NDArray[np.uint64], int]:
        """Return the pieces of the phase of `n` rows, (piece, 3), and the rows in each piece.

        They are in the form that `Folder.process` needs.
        """
        from fastsig_kernels import phase_pieces

        longest = max(1, min(_MOST_PIECE, int(_PIECE_S * self._rate)))
        count = -(-n // longest)
        piece = -(-n // count)
        starts = first + piece * np.arange(-(-n // piece))
        rows = starts[:, np.newaxis] + np.array([0, piece / 2, piece]) + 0.5
        seconds, rest = self._times(rows)
        turns, fraction = self.at(seconds)
        fraction = fraction + rest * self.frequency(seconds[:1, :1])
        return phase_pieces(turns, fraction, piece), piece

    def _times(self, rows: Array) -> tuple[Array, Array]:
        """Return the times of rows, s, and by how much more they are if they are not rounded."""
        rate = np.longdouble(self._rate.numerator) / np.longdouble(self._rate.denominator)
        exact = rows / rate
        seconds = exact.astype(np.float64)
        return seconds, (exact - seconds).astype(np.float64)

    def offset(self, row: float) -> NDArray[np.uint64]:
        """Return what is added to the phase in each channel at a row, (chan,), 2^-64 turn."""
        seconds = (row + 0.5) / float(self._rate)
        turns, fraction = self.at(seconds - self._delays)
        here, part = self.at(np.array([seconds]))
        apart = (turns - here) + (fraction - part)
        return (np.minimum(apart - np.floor(apart), _BELOW_ONE) * 2.0**64).astype(np.uint64)

    def stretch(self, n_rows: int) -> int:
        """Return for how many of `n_rows` rows the offsets of their middle hold, to 0.001 turn.

        The frequency of the pulses changes, as in an orbit, and the delays of channels are then
        other parts of a turn.
        """
        times = np.linspace(0, n_rows / float(self._rate), _N_TIME)
        apart = np.abs(np.diff(self.frequency(times))).max() * np.abs(self._delays).max()
        half = float(apart) * (_N_TIME - 1) / 2  # turns that offsets differ at the ends of all rows
        return n_rows if half <= _MOST_TURNS else max(1, int(n_rows * _MOST_TURNS / half))

    def jump(self, n_rows: int) -> tuple[float, float]:
        """Return the largest jump of the phase within `n_rows` rows, turns, and its time, s.

        Where blocks of a polyco meet, their phases may differ, even by whole turns.
        """
        times = np.linspace(0, n_rows / float(self._rate), _N_JUMP)
        turns, fraction = self.at(times)
        frequency = self.frequency(times)
        smooth = (frequency[1:] + frequency[:-1]) / 2 * np.diff(times)
        apart = np.diff(turns - turns[0]) + np.diff(fraction) - smooth
        worst = int(np.abs(apart).argmax())
        return float(apart[worst]), float(times[worst : worst + 2].mean())

    def zero_before(self, seconds: float) -> float:
        """Return the last time before another at which the phase is 0, s."""
        turns, _ = self.at(np.array([seconds]))
        return float(self.times_of(turns, np.array([seconds]))[0])

    def times_of(self, turns: NDArray[np.int64], guess: Array) -> Array:
        """Return the times at which whole turns begin, s after the start of row 0."""
        times = np.array(guess, np.float64)
        for _ in range(_ITERATIONS):
            whole, fraction = self.at(times)
            times -= ((whole - turns) + fraction) / self.frequency(times)
        return times


def reference_of(stream: Stream) -> Fraction:
    """Return the frequency to which the profiles of a stream refer, Hz.

    It is that of the times of dedispersed data, or else the centre of the band.
    """
    header = stream.header
    edges = header.require_channels(stream.path).edges_hz
    return header.dm_reference_hz or sum(edges, Fraction(0)) / 2
