"""Subintegrations of a fold: which rows belong to each."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.units import exact
from fastsig.errors import PlanError, UsageError
from fastsig.reductions.folding.channel_phases import ChannelPhases
from fastsig.stream import Stream

__all__ = ["MOST_JUMP", "edges_of_times", "edges_of_turns"]

#: Largest jump of the phase that makes no difference, turns.
MOST_JUMP = 0.02

_MOST = 2**20
_GRID = 4096  # times between which turns are interpolated, before they are computed


def edges_of_times(stream: Stream, length: Any) -> NDArray[np.int64]:
    """Return the first row of each subintegration of a given duration, and the end.

    The last one is shorter; one that would have less than half of the duration is joined to the one
    before it.

    Raises
    ------
    UsageError
        If the duration is not above that of a row, or there are too many.
    """
    rate, n = stream.header.sample_rate, stream.shape[0]
    each = exact(length, "s", "subint") * rate
    if each < 1:
        raise UsageError(f"subint = {length}; allowed: one spectrum ({float(1 / rate):.9g} s) or "
                         "more")
    count = max(1, round(Fraction(n) / each))
    if count > _MOST:
        raise UsageError(f"subint = {length}: {count} subintegrations; allowed: {_MOST}")
    edges = [round(k * each) for k in range(count)]
    return np.array([*edges, n], np.int64)


def edges_of_turns(stream: Stream, phases: ChannelPhases) -> NDArray[np.int64]:
    """Return the first row of each turn, and the end of the last one; only complete turns count.

    Raises
    ------
    PlanError
        If channels are not aligned, there is no complete turn, or the phase jumps.
    UsageError
        If there are too many turns.
    """
    if phases.shifted:
        raise PlanError(f"{stream.path}: single turns need channels that are aligned, by "
                        f"dedisperse with DM {phases.dm:.9g}")
    rate, n = float(stream.header.sample_rate), stream.shape[0]
    jump, seconds = phases.jump(n)
    if abs(jump) > MOST_JUMP:
        raise PlanError(f"{stream.path}: the predicted phase jumps by {jump:+.3g} turns at "
                        f"{seconds:.4g} s, where blocks of the polyco meet; allowed for single "
                        "turns: a predictor without jumps")
    grid = np.linspace(0.5, n - 0.5, min(_GRID, n)) / rate
    turns, fraction = phases.at(grid)
    row = phases.frequency(grid[[0, -1]]) / rate  # turns; a turn may begin or end half a row away
    first = int(turns[0]) + bool(fraction[0] > row[0])
    stop = int(turns[-1]) + 1 + bool(1 - fraction[-1] <= row[1])
    if stop - first > _MOST:
        raise UsageError(f"{stop - first} turns; allowed: {_MOST}")
    wanted = np.arange(first, stop)
    guess = np.interp((wanted - turns[0]).astype(np.float64), (turns - turns[0]) + fraction, grid)
    edges = np.ceil(phases.times_of(wanted, guess) * rate - 0.5).astype(np.int64)
    edges = edges[(edges >= 0) & (edges <= n)]
    if len(edges) < 2:
        raise PlanError(f"{stream.path}: contains no complete turn")
    return edges
