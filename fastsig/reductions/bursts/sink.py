"""Bursts: a sink that searches spectra for single pulses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import PlanError
from fastsig.search.bursts.engine import BurstSearch
from fastsig.search.bursts.events import Events
from fastsig.search.bursts.plan import SearchPlan
from fastsig.stages.delay_sums import kind_of
from fastsig.stream import Block, Sink, SpectrumStream, Stream

__all__ = ["Bursts"]

#: Spectra whose weight is smaller are not used.
_LEAST_WEIGHT = 0.5
_MOST_THREADS = 64


class Bursts(Sink):
    """A sink that searches spectra for bursts; its product is the `Events` that it found.

    Parameters
    ----------
    stream : SpectrumStream
        Spectra of one product.
    plan : SearchPlan
        A plan for these spectra.
    threads : int
        Number of threads that share the search, in addition to those that read.
    most : int, optional
        Largest number of events that are kept; these are the brightest.

    Raises
    ------
    PlanError
        If these are not spectra of one product.
    """

    name = "search"
    ordered = True
    takes_endless = True

    def __init__(self, stream: Stream, plan: SearchPlan, *, threads: int = 1,
                 most: int | None = None) -> None:
        if not isinstance(stream, SpectrumStream):
            raise PlanError(f"{stream.path}: contains {stream.kind}; allowed: spectra")
        if stream.shape[1] != 1:
            raise PlanError(f"{stream.path}: has the products "
                            f"{', '.join(stream.polarization.names)}; allowed: one")
        super().__init__(stream)
        self.plan, self._kind = plan, kind_of(stream)
        #: Called whenever spectra have been searched, as by `follow`.
        self.on_merged: Callable[[], None] | None = None
        options = {} if most is None else {"most": most}
        self.search = BurstSearch(plan, dtype=self._kind, threads=min(threads, _MOST_THREADS),
                                  **options)

    @property
    def held_bytes(self) -> int:  # type: ignore[override]
        """Memory of the search: trees, boxcars and events."""
        return self.search.memory_bytes

    def work_bytes(self, n: int) -> int:
        """Memory of the values as they are searched."""
        return n * self.stream.shape[2] * (np.dtype(self._kind).itemsize + 1)

    def part_bytes(self, n: int) -> int:
        """Memory of the values while they wait."""
        return self.work_bytes(n)

    def partial(self, block: Block) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Return the values in the type in which they are searched, and which of them are valid."""
        weight = np.asarray(block.valid)[:, 0]
        valid = None if (weight >= _LEAST_WEIGHT).all() else np.broadcast_to(
            weight >= _LEAST_WEIGHT, block.data[:, 0].shape)
        data = block.data[:, 0]
        if self._kind == "float32":
            return data, valid
        with np.errstate(invalid="ignore"):  # NaN, which is not valid
            return data.astype(self._kind), valid

    def merge(self, part: tuple[NDArray[Any], NDArray[np.bool_] | None]) -> None:
        """Search the next spectra."""
        self.search.process(*part)
        self._merged()

    def finish(self, n_rows: int) -> Events:
        """Return the events of all spectra."""
        found = self.search.finish()
        self._merged()
        return found

    def _merged(self) -> None:
        if self.on_merged is not None:
            self.on_merged()

    def record(self) -> Mapping[str, Any]:
        """Return what determines the events."""
        return {"search": self.plan.record()}
