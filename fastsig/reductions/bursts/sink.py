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
from fastsig.stream import Block, CodedBlock, Sink, SpectrumStream, Stream

__all__ = ["Bursts"]

#: Spectra whose weight is smaller are not used.
_LEAST_WEIGHT = 0.5
_MOST_THREADS = 64

#: Values, which of them are valid, and the series to subtract from all channels.
Part = tuple[NDArray[Any], NDArray[np.bool_] | None, NDArray[np.float32] | None]


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
        If the stream does not contain spectra of one product.
    """

    name = "search"
    ordered = True
    as_codes = True
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
        self.search = BurstSearch(plan, dtype="uint8" if stream.coded else self._kind,
                                  threads=min(threads, _MOST_THREADS), **options)

    @property
    def held_bytes(self) -> int:  # type: ignore[override]
        """Memory needed for the trees, boxcars and events of the search, bytes."""
        return self.search.memory_bytes

    def work_bytes(self, n: int) -> int:
        """Memory needed for the values as they are searched, bytes."""
        return n * self.stream.shape[2] * (np.dtype(self._kind).itemsize + 1)

    def part_bytes(self, n: int) -> int:
        """Memory needed for the values that are waiting, bytes."""
        return self.work_bytes(n)

    def partial(self, block: Block | CodedBlock) -> Part:
        """Return values, which of them are valid, and the series to subtract from all channels."""
        if isinstance(block, CodedBlock):
            return block.codes, _valid(block), block.series
        weight = np.asarray(block.valid)[:, 0]
        valid = None if (weight >= _LEAST_WEIGHT).all() else np.broadcast_to(
            weight >= _LEAST_WEIGHT, block.data[:, 0].shape)
        data = block.data[:, 0]
        if self._kind == "float32":
            return data, valid, None
        with np.errstate(invalid="ignore"):  # NaN, which is not valid
            return data.astype(self._kind), valid, None

    def merge(self, part: Part) -> None:
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
        """Return the parameters that determine the events."""
        return {"search": self.plan.record()}


def _valid(block: CodedBlock) -> NDArray[np.bool_] | None:
    """Return which samples of codes are valid, (n, chan); None if all are."""
    weight = block.weight[:, 0]
    valid = None if (weight >= _LEAST_WEIGHT).all() else weight >= _LEAST_WEIGHT
    if block.flags is not None:
        valid = ~block.flags if valid is None else valid & ~block.flags
    return None if valid is None else np.broadcast_to(valid, block.codes.shape)
