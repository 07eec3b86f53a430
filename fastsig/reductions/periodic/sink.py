"""Series: a sink that sums spectra for many dispersion measures."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fastsig.pulsar.plan import DMPlan
from fastsig.reductions.periodic.spool import Spool
from fastsig.search.pulsars.series import SeriesMaker, lengths_of
from fastsig.stages.delay_sums import kind_of
from fastsig.stream import Block, Sink, SpectrumStream

__all__ = ["Series"]

#: Spectra whose weight is smaller are not used.
_LEAST_WEIGHT = 0.5
_MOST_THREADS = 64


class Series(Sink):
    """A sink that sums spectra for the dispersion measures of a plan; its product is a `Spool`.

    It opens the spool, and closes it after an error.

    Parameters
    ----------
    stream : SpectrumStream
        Spectra of one product.
    plan : DMPlan
        A plan for these spectra.
    threads : int
        Number of threads that share the sums, in addition to those that read.
    folder : str, optional
        Folder for series that do not fit into memory.
    in_memory : bool
        Whether the series fit into memory.

    Raises
    ------
    PlanError
        If the largest delay is half of the data or more.
    """

    name = "series"
    ordered = True

    def __init__(self, stream: SpectrumStream, plan: DMPlan, *, threads: int = 1,
                 folder: str | None = None, in_memory: bool = True) -> None:
        super().__init__(stream)
        self.stream: SpectrumStream = stream
        lengths = lengths_of(plan.stretches, stream.shape[0])
        self.spool = Spool(lengths, folder=folder, in_memory=in_memory)
        self._kind = kind_of(stream)
        self.maker = SeriesMaker(plan.recording, plan.stretches, lengths, self.spool.put,
                                 dtype=self._kind, threads=min(threads, _MOST_THREADS))

    def __enter__(self) -> Self:
        self.spool.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if error is not None:
            self.spool.__exit__(kind, error, trace)

    @property
    def held_bytes(self) -> int:  # type: ignore[override]
        """Memory needed for the sums and for the series, bytes."""
        return self.maker.memory_bytes + self.spool.held_bytes

    def work_bytes(self, n: int) -> int:
        """Memory needed for the values as they are summed, bytes."""
        return n * self.stream.shape[2] * (np.dtype(self._kind).itemsize + 1)

    def part_bytes(self, n: int) -> int:
        """Memory needed for the values that are waiting, bytes."""
        return self.work_bytes(n)

    def partial(self, block: Block) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Return the values in the type in which they are summed, and which of them are valid."""
        weight = np.asarray(block.valid)[:, 0]
        valid = None if (weight >= _LEAST_WEIGHT).all() else np.broadcast_to(
            weight >= _LEAST_WEIGHT, block.data[:, 0].shape)
        data = block.data[:, 0]
        if self._kind == "float32":
            return data, valid
        with np.errstate(invalid="ignore"):  # NaN, which is not valid
            return data.astype(self._kind), valid

    def merge(self, part: tuple[NDArray[Any], NDArray[np.bool_] | None]) -> None:
        """Sum the next spectra."""
        self.maker.process(*part)

    def finish(self, n_rows: int) -> Spool:
        """Sum the remaining spectra, and return the spool, which the caller closes."""
        self.maker.complete()
        return self.spool
