"""Time series that are summed from spectra, at the telescope or at the barycentre."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastsig.pulsar.plan import DMPlan
from fastsig.reductions.periodic.sink import Series
from fastsig.reductions.periodic.spool import Spool
from fastsig.search.pulsars.engine import Read, Trials
from fastsig.search.pulsars.series import lengths_of
from fastsig.stages.to_barycenter import BarycentricRows
from fastsig.stream import SpectrumStream

if TYPE_CHECKING:
    from fastsig.telescopes.barycentric_clock import BarycentricClock

__all__ = ["SummedSeries"]


class SummedSeries:
    """The series of the dispersion measures of a plan.

    Parameters
    ----------
    stream : SpectrumStream
        Spectra of one product.
    plan : DMPlan
        A plan for these spectra.
    clock : BarycentricClock, optional
        With it, series are sampled evenly at the barycentre: as in `ToBarycenter`, a few samples
        are left out or repeated.

    Raises
    ------
    PlanError
        If the largest delay is half of the data or more.
    """

    def __init__(self, stream: SpectrumStream, plan: DMPlan, clock: BarycentricClock | None = None
                 ) -> None:
        self.streams, self._plan = [stream], plan
        self._lengths = lengths_of(plan.stretches, stream.shape[0])
        self._rows = None if clock is None else [
            BarycentricRows(clock, stream.start_time,
                            stream.header.sample_rate / Fraction(each.downsampling), n)
            for each, (_, n) in zip(plan.stretches, self._lengths, strict=True)]

    @property
    def constant(self) -> float:
        """Dispersion constant, MHz^2 pc^-1 cm^3 s."""
        return self._plan.recording.constant

    @property
    def trials(self) -> tuple[Trials, ...]:
        """The stretches of the plan."""
        lengths = [n for _, n in self._lengths] if self._rows is None else [
            each.n_row for each in self._rows]
        return tuple(Trials(n, each.sample_s, each.dms, stretch=k)
                     for k, (each, n) in enumerate(zip(self._plan.stretches, lengths, strict=True)))

    @property
    def held_bytes(self) -> int:
        """Memory needed for all series, with weights."""
        return sum(4 * n_dm * n for n_dm, n in self._lengths) * 5 // 4

    @property
    def read_bytes(self) -> int:
        """Memory needed for a series at the barycentre and its weights while it is searched."""
        return 0 if self._rows is None else 8 * max(n for _, n in self._lengths)

    def sink(self, folder: str | None, *, threads: int, in_memory: bool) -> Series:
        """Return the sink that sums the spectra; its product is a `Spool`."""
        return Series(self.streams[0], self._plan, threads=threads, folder=folder,
                      in_memory=in_memory)

    def reader(self, spool: Spool) -> Read:
        """Return the function that reads the series of a spool."""
        if self._rows is None:
            return spool.read
        runs = [each.runs() for each in self._rows]

        def read(stretch: int, row: int) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
            values, weight = spool.read(stretch, row)
            return (_moved(values, runs[stretch]),
                    None if weight is None else _moved(weight, runs[stretch]))

        return read


def _moved(values: NDArray[Any], runs: list[tuple[int, int, int]]) -> NDArray[Any]:
    """Return values at runs of rows."""
    out = np.empty(runs[-1][0] + runs[-1][2], values.dtype)
    for here, there, n in runs:
        out[here : here + n] = values[there : there + n]
    return out
