"""Time series in files: one for each dispersion measure, read as a whole when it is searched."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.time import elapsed, iso
from fastsig.errors import PlanError
from fastsig.search.pulsars.engine import Trials
from fastsig.stream import SpectrumStream

__all__ = ["SeriesFiles"]

F4 = NDArray[np.float32]

_PIECE = 2**22  # samples that are read at a time


class SeriesFiles:
    """Time series of one scan at different dispersion measures.

    Parameters
    ----------
    streams : sequence of SpectrumStream
        Spectra of one product and one channel, in any order.

    Raises
    ------
    PlanError
        If one of them has several channels, two have the same dispersion measure, or they begin at
        different times.
    """

    def __init__(self, streams: Sequence[SpectrumStream]) -> None:
        #: The series in the order of their dispersion measures.
        self.streams = sorted(streams, key=_dm)
        for each in self.streams:
            if each.shape[2] != 1:
                raise PlanError(f"{each.path}: has {each.shape[2]} channels; allowed: one, as the "
                                "other files are time series")
        for before, after in zip(self.streams, self.streams[1:], strict=False):
            _check_together(before, after)
        self._groups = [list(some) for _, some in groupby(self.streams, key=_shape)]

    @property
    def trials(self) -> tuple[Trials, ...]:
        """The stretches: neighbouring series of equal lengths and sample times."""
        return tuple(Trials(some[0].shape[0], float(1 / some[0].header.sample_rate),
                            np.array([_dm(each) for each in some]), stretch=k)
                     for k, some in enumerate(self._groups))

    #: Memory of series that are not being searched, and the dispersion constant, which files do not
    #: state.
    held_bytes, constant = 0, None

    @property
    def read_bytes(self) -> int:
        """Memory needed for a series and its weights while it is read and searched."""
        return max(8 * each.shape[0] + each.work_bytes(min(each.shape[0], _PIECE))
                   for each in self.streams)

    def read(self, stretch: int, row: int) -> tuple[F4, F4 | None]:
        """Return a series, sums of what is valid, and its weights, None if all are 1."""
        stream = self._groups[stretch][row]
        n = stream.shape[0]
        values, weight = np.empty(n, np.float32), np.empty(n, np.float32)
        for first in range(0, n, _PIECE):
            block = stream.read_block(first, min(_PIECE, n - first))
            part = slice(first, first + block.n)
            values[part] = block.data[:, 0, 0]
            weight[part] = np.broadcast_to(block.valid, block.data.shape)[:, 0, 0]
        stream.close()  # there may be more series than files that can be open
        weight[~np.isfinite(values)] = 0
        if (weight == 1).all():
            return values, None
        np.clip(weight, 0, 1, out=weight)
        values[weight == 0] = 0
        values *= weight
        return values, weight


def _dm(stream: SpectrumStream) -> float:
    return float(stream.header.dm or 0)


def _shape(stream: SpectrumStream) -> tuple[int, float]:
    return stream.shape[0], float(stream.header.sample_rate)


def _check_together(before: SpectrumStream, after: SpectrumStream) -> None:
    """Refuse two series that do not belong to one search."""
    if _dm(before) == _dm(after):
        raise PlanError(f"{after.path}: has the dispersion measure of {before.path}, "
                        f"{_dm(after):g}; allowed: one series for each dispersion measure")
    late = abs(elapsed(after.header.start_time, before.header.start_time))
    if late > max(1 / each.header.sample_rate for each in (before, after)):
        raise PlanError(f"{after.path}: begins at {iso(after.header.start_time)}, {before.path} at "
                        f"{iso(before.header.start_time)}; allowed: series of one scan")
    if bool(after.header.barycentric) != bool(before.header.barycentric):
        at = [path.path for path in (after, before) if path.header.barycentric]
        raise PlanError(f"{at[0]}: its times are those of the barycentre, unlike those of other "
                        "files; allowed: all or none")
