"""Sums over the channels of spectra for dispersion delays, read at any row.

The kernel keeps the state of a stream. Blocks can be read in any order and on any thread; a block
that continues another one takes over its state, and waits for it if it is being computed. Without a
state to take over, sums begin at the first row of the block. The bits are the same in any case.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.stream import Block, SpectrumStream

__all__ = ["ChannelSums", "DelaySums"]

_MOST_STATES = 2  # states that no block has taken over yet
_RUN_BYTES = 2**24  # rows of the source that are read at a time


def _plan(curve: NDArray[np.float64], delays: NDArray[np.float64], track: str) -> Any:
    from fastsig_kernels import FDMT

    return FDMT(curve, delays, dtype="float32", track=track)


class ChannelSums:
    """Sums over the channels of spectra as they are, in the order of a binary tree.

    Parameters
    ----------
    n_chan : int
    """

    def __init__(self, n_chan: int) -> None:
        self._n_chan = n_chan
        self._free: list[Any] = []

    def __call__(self, data: NDArray[np.float32], weight: NDArray[np.float32]
                 ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return sums of values times weights, and of weights, (n,), of rows (n, chan)."""
        try:
            plan = self._free.pop()
        except IndexError:
            plan = _plan(np.linspace(1, 0, self._n_chan), np.zeros(1), "exact")
        total = plan.process(_weighted(data, weight))[0]
        counts = (np.full(len(data), self._n_chan, np.float32) if _all_one(weight)
                  else plan.process(np.ascontiguousarray(weight))[0])
        self._free.append(plan)
        return total, counts


def _all_one(weight: NDArray[np.float32]) -> bool:
    return bool((weight == 1).all())


def _weighted(data: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return values times weights, 0 where the weight is 0."""
    if _all_one(weight):
        return data
    product: NDArray[np.float32] = np.where(weight > 0, data * weight, np.float32(0))
    return product


class _State:
    """The sums of a stream at work: the next row of the source, and results not returned yet.

    Parameters
    ----------
    owner : DelaySums
    start : int
        First row of the results, and of the source that is read.
    by_weight : bool
        Whether weights are summed in float32, or the valid samples counted.
    """

    def __init__(self, owner: DelaySums, start: int, *, by_weight: bool) -> None:
        self.owner, self.by_weight = owner, by_weight
        self.plans = owner.plans(weights=by_weight)
        self.base = self.next = start
        shape = (owner.source.shape[1], len(owner.offsets), 0)
        self.total, self.weight = np.empty(shape, np.float32), np.empty(shape, np.float32)

    def widen(self, n: int) -> None:
        """Make space for the results of `n` rows and what follows in rows of smaller delays."""
        more = n + self.owner.spread - self.total.shape[2]
        if more > 0:
            empty = np.zeros((*self.total.shape[:2], more), np.float32)
            self.total, self.weight = (
                np.concatenate([each, empty], axis=2) for each in (self.total, self.weight))

    def take(self, data: NDArray[np.float32], weight: NDArray[np.float32]) -> None:
        """Add rows of the source, (n, product, chan); weights broadcast to them."""
        n = len(data)
        for p in range(data.shape[1]):
            sums, counts = self._sum(p, data[:, p], np.broadcast_to(weight, data.shape)[:, p])
            for d, offset in enumerate(self.owner.offsets):
                to = self.next - int(offset) - self.base
                first, stop = max(0, -to), min(n, self.total.shape[2] - to)
                if first < stop:
                    self.total[p, d, to + first : to + stop] = sums[d, first:stop]
                    self.weight[p, d, to + first : to + stop] = counts[d, first:stop]
        self.next += n

    def _sum(self, p: int, data: NDArray[np.float32], weight: NDArray[np.float32]
             ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if self.by_weight:
            sums = self.plans[p].process(_weighted(data, weight))
            return sums, self.plans[len(self.plans) // 2 + p].process(
                np.ascontiguousarray(weight, np.float32))
        valid = None if _all_one(weight) else weight > 0
        return self.plans[p].process(data, valid=valid), self.plans[p].weight

    def release(self, n: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the next `n` results, (n, product, delay), and forget them."""
        found = [np.ascontiguousarray(np.moveaxis(each[:, :, :n], 2, 0))
                 for each in (self.total, self.weight)]
        self.total, self.weight = (each[:, :, n:].copy() for each in (self.total, self.weight))
        self.base += n
        return found[0], found[1]


class _FractionalError(Exception):
    """A weight is neither 0 nor 1, so that weights have to be summed."""


class DelaySums:
    """Sums over the channels of a stream for delays.

    Parameters
    ----------
    source : SpectrumStream
        Spectra with two or more channels.
    curve : ndarray, shape (n_chan,), float64
        Delays of the channels relative to that of channel 0: 1 to 0.
    delays : ndarray, shape (n_delay,), float64, samples
        Delays of channel 0, ascending.
    track : str
        As for `fastsig_kernels.FDMT`.
    """

    def __init__(self, source: SpectrumStream, curve: NDArray[np.float64],
                 delays: NDArray[np.float64], track: str) -> None:
        self.source = source
        self._arguments = curve, delays, track
        #: Rows of the source after a row of the results that its sums extend to, (n_delay,).
        self.offsets = np.floor(delays + 0.5).astype(np.int64)
        #: Results of the smallest delay that are known before those of the largest.
        self.spread = int(self.offsets[-1] - self.offsets[0])
        self._free: list[Any] = []
        self._states: dict[int, _State] = {}
        self._running: dict[int, threading.Event] = {}
        self._lock = threading.Lock()
        self._fractional = False

    def plans(self, *, weights: bool) -> list[Any]:
        """Return plans for all products, and for their weights if these are summed."""
        wanted = self.source.shape[1] * (1 + weights)
        with self._lock:
            taken, self._free = self._free[:wanted], self._free[wanted:]
        for plan in taken:
            plan.reset()
        return taken + [_plan(*self._arguments) for _ in range(wanted - len(taken))]

    def work_bytes(self, n: int) -> int:
        """Memory that a thread needs for `n` rows: results, plans, and the rows of the source."""
        rows = min(n + int(self.offsets[-1]), self._run)
        results = (n + self.spread) * len(self.offsets) * self.source.shape[1]
        return (self.source.work_bytes(rows) + 2 * rows * self.source.row_bytes
                + 16 * results + self._plan_bytes())

    def _plan_bytes(self) -> int:
        with self._lock:
            some = self._free[:1]
        if not some:
            some = [_plan(*self._arguments)]
            with self._lock:
                self._free += some
        return int(2 * self.source.shape[1] * some[0].memory_bytes)

    @property
    def _run(self) -> int:
        """Number of rows of the source that are read at a time."""
        rows = max(1, _RUN_BYTES // max(1, self.source.row_bytes))
        return max(rows, self.source.run_rows)

    def read(self, start: int, n: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return sums of values times weights, and of weights, (n, product, delay)."""
        done = threading.Event()
        with self._lock:
            before = self._running.get(start)
            mine = self._running.setdefault(start + n, done) is done
        try:
            ahead = self._ahead(start, n) if before is not None else []
            if before is not None:
                before.wait()
            with self._lock:
                state = self._states.pop(start, None)
            try:
                return self._finish(state, start, n, ahead)
            except _FractionalError:
                self._fractional = True
                return self._finish(None, start, n, [])
        finally:
            if mine:
                with self._lock:
                    del self._running[start + n]
                done.set()

    def _ahead(self, start: int, n: int) -> list[Block]:
        """Read what another block leaves to be read, while that block is being computed."""
        last = int(self.offsets[-1])
        first, stop = start + last, min(start + n + last, self.source.shape[0])
        return [self.source.read_block(first, stop - first)] if stop - first in range(
            1, self._run + 1) else []

    def _finish(self, state: _State | None, start: int, n: int, ahead: list[Block]
                ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Add the rows of the source that are missing, return results, and keep the state."""
        if state is None or (self._fractional and not state.by_weight):
            state = _State(self, start, by_weight=self._fractional)
        state.widen(n)
        stop = start + n + int(self.offsets[-1])
        for block in ahead:
            if block.start == state.next:
                self._take(state, block)
        while state.next < stop:
            count = min(self._run, stop - state.next)
            there = min(count, max(0, self.source.shape[0] - state.next))
            if there:
                self._take(state, self.source.read_block(state.next, there))
            else:
                lost = np.zeros((count, *self.source.shape[1:]), np.float32)
                state.take(lost, lost)
        found = state.release(n)
        self._keep(state)
        return found

    def _take(self, state: _State, block: Block) -> None:
        weight = np.asarray(block.valid)
        if not state.by_weight and not _all_one(weight) and not ((weight == 0) | (weight == 1)
                                                                 ).all():
            raise _FractionalError
        state.take(block.data, weight)

    def _keep(self, state: _State) -> None:
        with self._lock:
            self._states[state.base] = state
            while len(self._states) > _MOST_STATES:
                old = self._states.pop(min(self._states))
                self._free += old.plans
