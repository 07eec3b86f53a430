"""Rotation of simulated pulsars: phases of a spin-down, an orbit or a polyco, at the telescope.

This module computes phases by itself, in extended precision and by direct evaluation, so that the
code that folds can be tested with it.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from astropy.time import Time
from fastsig_kernels.noise import uniform
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.simulate import components as parts
from fastsig.simulate.polycos import Block, polyco_blocks

__all__ = ["Rotation", "rotation_of"]

F8 = NDArray[np.float64]
_NODES = 5  # of the polynomial through the phases of a short time
_PIECE_S = 0.02  # longest time of such a polynomial
STREAM_NULLS = 8  # of random numbers


class Rotation:
    """The phase of a pulsar at the top of the band, at times after the start of a recording.

    Parameters
    ----------
    pulsar : Pulsar
    start_time : Time
        UTC of the start; only a polyco depends on it.
    duration : Fraction
        Length of the recording, s; a polyco must cover it.

    Notes
    -----
    With an orbit, ``t' = t - time - size sin(2 pi (t - node) / orbit)`` and the phase is
    ``t' / period - pdot t'^2 / (2 period^2)``: the delay by the orbit is that at the time of
    arrival.
    """

    def __init__(self, pulsar: parts.Pulsar, start_time: Time, duration: Fraction) -> None:
        self._pulsar = pulsar
        self._blocks: list[Block] = []
        if pulsar.polyco:
            self._blocks = polyco_blocks(pulsar.polyco)[0]
            utc = start_time.utc
            # A day is 86400 s for a polyco; that of a leap second is not supported.
            self._start = (Fraction(float(utc.jd1)) + Fraction(float(utc.jd2))
                           - Fraction(4800001, 2))
            for at in (Fraction(0), duration):
                self._block(at)

    def _block(self, seconds: Fraction) -> Block:
        """Return the nearest block, which must cover a time."""
        mjd = self._start + seconds / 86400
        block = min(self._blocks, key=lambda each: abs(each.middle - mjd))
        if abs(block.middle - mjd) * 1440 > block.half_span + 1:
            raise UsageError(f"pulsar polyco = {self._pulsar.polyco!r} does not cover MJD "
                             f"{float(mjd):.6f}; allowed: times within "
                             f"{float(block.half_span):g} minutes of the middle of a block")
        return block

    def phase(self, seconds: Fraction) -> Fraction:
        """Return the phase in turns at a time after the start."""
        if self._blocks:
            block = self._block(seconds)
            minutes = (self._start - block.middle) * 1440 + seconds / 60
            total = Fraction(0)
            for coefficient in block.coefficients[::-1]:
                total = total * minutes + coefficient
            return block.phase + 60 * minutes * block.hertz + total
        pulsar = self._pulsar
        since: Fraction = seconds - pulsar.time
        if pulsar.orbit:
            angle = 2 * np.pi * float((seconds - pulsar.node) / pulsar.orbit % 1)
            since -= pulsar.size * Fraction(float(np.sin(angle)))
        turns: Fraction = since / pulsar.period
        return turns - Fraction(pulsar.pdot) * turns * turns / 2

    def phases(self, start: Fraction, step: Fraction, n: int) -> tuple[F8, NDArray[np.int64]]:
        """Return phases from -1/2 to 1/2 turn at times ``start + step k``, and numbers of turns."""
        fraction, number = np.empty(n), np.empty(n, np.int64)
        piece = max(1, min(n, int(Fraction(_PIECE_S) / step)))
        for first in range(0, n, piece):
            count = min(piece, n - first)
            if count <= _NODES:
                exact = [self.phase(start + step * k) for k in range(first, first + count)]
                base, rest = exact[0], np.array([float(each - exact[0]) for each in exact])
            else:
                base, rest = self._smooth(start + step * first, step, count)
            near = round(base)
            turns = float(base - near) + rest
            whole = np.rint(turns)
            fraction[first : first + count] = turns - whole
            number[first : first + count] = near + whole.astype(np.int64)
        return fraction, number

    def _smooth(self, start: Fraction, step: Fraction, n: int) -> tuple[Fraction, F8]:
        """Return the first phase, and the phases of `n` times relative to it."""
        nodes = [n * k // (_NODES - 1) for k in range(_NODES)]
        exact = [self.phase(start + step * node) for node in nodes]
        x = np.array(nodes) / n
        y = np.array([float(each - exact[0]) for each in exact])
        # Newton's form: its terms after the second are small, so that few digits are lost.
        table = y.copy()
        for order in range(1, _NODES):
            table[order:] = (table[order:] - table[order - 1 : -1]) / (x[order:] - x[:-order])
        places = np.arange(n) / n
        out = np.full(n, table[-1])
        for order in range(_NODES - 2, -1, -1):
            out = out * (places - x[order]) + table[order]
        return exact[0], out

    def shines(self, number: NDArray[np.int64], seed: int) -> NDArray[np.bool_]:
        """Return whether there is a pulse in the turns with the given numbers."""
        share = float(self._pulsar.nulls)
        if not share or not number.size:
            return np.ones(number.shape, bool)
        first = int(number.min())
        draws = uniform(first % 2**48, int(number.max()) - first + 1, seed=seed,
                        stream=STREAM_NULLS)
        return np.asarray(draws >= share)[number - first]

    def rates(self, start: Fraction, step: Fraction, n: int) -> tuple[F8, F8]:
        """Return the frequency, Hz, and its derivative, Hz/s, at times ``start + step k``."""
        h = Fraction(1, 8)
        nodes = np.unique(np.append(np.arange(0, n, max(1, int(h / step))), n - 1)).tolist()
        near = [[self.phase(start + step * node + k * h) for k in (-1, 0, 1)] for node in nodes]
        first = [float((c - a) / (2 * h)) for a, _, c in near]
        second = [float((a - 2 * b + c) / h**2) for a, b, c in near]
        rows = np.arange(n)
        return np.interp(rows, nodes, first), np.interp(rows, nodes, second)


def rotation_of(pulse: parts.Pulsar | parts.Burst | None, start_time: Time, duration: Fraction
                ) -> Rotation | None:
    """Return the rotation of a pulsar that is not steady; None for others."""
    if not isinstance(pulse, parts.Pulsar) or pulse.is_steady:
        return None
    return Rotation(pulse, start_time, duration)
