"""From spectra to a time series for each dispersion measure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import PlanError
from fastsig.pulsar.stretches import Recording, Stretch
from fastsig.search.octaves import LEVELS, Octaves

if TYPE_CHECKING:
    from fastsig_kernels import FDMT

__all__ = ["SeriesMaker", "lengths_of"]

_TRACK = "half"


def lengths_of(stretches: Sequence[Stretch], n_time: int) -> list[tuple[int, int]]:
    """Return the number of series of each stretch, and the number of their samples.

    A series ends where, at the largest dispersion measure of its stretch, the data of the lowest
    channel end.

    Raises
    ------
    PlanError
        If half of the data or more are lost in this way.
    """
    found = []
    for each in stretches:
        n = n_time // each.downsampling
        lost = int(np.ceil(each.delays[-1])) + 2
        if 2 * lost >= n:
            raise PlanError(f"DM {each.high:g} delays the lowest channel by {lost} of {n} samples; "
                            "allowed: less than half of the data")
        found.append((each.n_dm, n - lost))
    return found


class SeriesMaker(Octaves):
    """Sums the channels of a stream of spectra for all dispersion measures.

    Values of a series are sums of normalised channels, divided by the noise that the sum of
    independent channels would have.

    Parameters
    ----------
    recording : Recording
        Properties of the spectra.
    stretches : sequence of Stretch
        Stretches of dispersion measure.
    lengths : sequence of (int, int)
        Lengths, as returned by `lengths_of`.
    put : callable
        Function that receives pieces of series: numbers of the stretch and of the series, first
        sample, values, and weights from 0 to 1, or None if all are 1.
    dtype : str
        Type of the spectra: uint8, int8, uint16, int16 or float32.
    threads : int
        Number of threads that share the work of a call.
    """

    def __init__(self, recording: Recording, stretches: Sequence[Stretch],
                 lengths: Sequence[tuple[int, int]], put: Callable[..., None], *,
                 dtype: str = "float32", threads: int = 1) -> None:
        from fastsig_kernels import FDMT

        super().__init__(recording, stretches, dtype=dtype, threads=threads)
        self._lengths, self._put = lengths, put
        self._trees = [FDMT(recording.curve, each.delays, dtype="int8", track=_TRACK,
                            threads=threads) for each in stretches]
        self._offsets = [_offsets(tree, recording, each)
                         for tree, each in zip(self._trees, stretches, strict=True)]
        self._columns = [0] * len(self._trees)

    @property
    def memory_bytes(self) -> int:
        """Memory used by tables, state and results, but not by the series, bytes."""
        size = self._normalizer.segment
        return int(self.waiting_bytes + sum(each.memory_bytes + 8 * size * each.n_delay
                                            for each in self._trees))

    def few_alive(self, share: float) -> None:
        """Do nothing: searches measure the noise of series."""

    def take(self, octave: int, x: NDArray[np.int8], valid: NDArray[np.bool_] | None) -> None:
        """Sum the next spectra of an octave."""
        for number in self.members[octave]:
            self._sum(number, x, valid)

    def _sum(self, number: int, x: NDArray[np.int8], valid: NDArray[np.bool_] | None) -> None:
        """Sum the next spectra of a stretch."""
        tree, first = self._trees[number], self._columns[number]
        sums = tree.process(x, valid=valid)
        self._columns[number] += len(x)
        scale = np.float32(1 / (LEVELS * np.sqrt(tree.n_chan)))
        weight = tree.weight if any(tree.weight.strides) else None
        length = self._lengths[number][1]
        for row, offset in enumerate(self._offsets[number].tolist()):
            start, stop = max(0, first - offset), min(length, first - offset + len(x))
            if start < stop:
                part = slice(start + offset - first, stop + offset - first)
                share = None if weight is None else self._share(weight[row, part], tree)
                self._put(number, row, start, sums[row, part] * scale, share)

    @staticmethod
    def _share(weight: NDArray[np.float32], tree: FDMT) -> NDArray[Any] | None:
        """Return weights 0 to 1, or None if all are 1."""
        share = weight / np.float32(tree.n_chan)
        return None if (share == 1).all() else share


def _offsets(tree: FDMT, recording: Recording, stretch: Stretch) -> NDArray[np.int64]:
    """Return the column of a tree's sums in which each series begins.

    The tracks of a tree differ from the curve by a constant, apart from less regular deviations.
    """
    found = np.empty(stretch.n_dm, np.int64)
    curve = recording.curve
    for first in range(0, stretch.n_dm, 64):
        rows = np.arange(first, min(first + 64, stretch.n_dm))
        wanted = stretch.delays[rows, np.newaxis] * curve
        found[rows] = np.floor((tree.channel_delays(rows) + wanted).mean(axis=1) + 0.5)
    return found
