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

__all__ = ["ChannelSums", "DelayPlans", "DelaySums", "kind_of"]

_MOST_STATES = 2  # states that no block has taken over yet
_RUN_BYTES = 2**24  # rows of the source that are read at a time
_MANY, _MANY_ROWS = 64, 2048  # with many delays, runs are long compared with the work per delay
_MOST_CODES = 2**16  # channels of codes whose sums are exact in float32
_ROWS_AT_A_TIME = 64  # delays for which tracks are compared at a time


def _plan(curve: NDArray[np.float64], delays: NDArray[np.float64], track: str,
          kind: str = "float32") -> Any:
    from fastsig_kernels import FDMT

    return FDMT(curve, delays, dtype=kind, track=track)


def kind_of(source: SpectrumStream) -> str:
    """Return the type in which values are summed: that of 8-bit codes, if their sums are exact."""
    codes = source.codes()
    if codes is None or source.shape[2] >= _MOST_CODES:
        return "float32"
    return next((kind for kind in ("uint8", "int8") if np.iinfo(kind).min <= codes.low
                 and codes.high <= np.iinfo(kind).max), "float32")


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


class _Ring:
    """Results of each product and delay, from a row on that moves, in memory that is used in turns.

    Parameters
    ----------
    shape : tuple of int
        (product, delay).
    base : int
        First row.
    """

    def __init__(self, shape: tuple[int, int], base: int) -> None:
        self._data = np.empty((*shape, 0), np.float32)
        self.base = self._origin = base

    def hold(self, n: int, fill: float) -> None:
        """Make space for `n` rows; those that are new have the value `fill`."""
        have = self._data.shape[2]
        if n <= have:
            return
        larger = np.full((*self._data.shape[:2], n), fill, np.float32)
        if have:
            self._copy(larger[:, :, :have])
        self._data, self._origin = larger, self.base

    def _copy(self, out: NDArray[np.float32]) -> None:
        """Copy the first rows."""
        n, first = out.shape[2], (self.base - self._origin) % self._data.shape[2]
        head = min(n, self._data.shape[2] - first)
        out[:, :, :head] = self._data[:, :, first : first + head]
        out[:, :, head:] = self._data[:, :, : n - head]

    def put(self, product: int, row: int, values: NDArray[np.float32],
            offsets: NDArray[np.int64]) -> None:
        """Put results for rows from ``row - offsets`` on, (delay, n); earlier rows are left out."""
        from fastsig_kernels import shift_rows

        turn, size = row - self._origin, self._data.shape[2]
        turn -= (self.base - self._origin) // size * size
        for first in (turn, turn - size):
            shift_rows(values, offsets, first, self._data[product])

    def is_all(self, value: float) -> bool:
        """Whether all rows have one value, also those that were taken last."""
        return bool((self._data == value).all())

    def take(self, n: int) -> NDArray[np.float32]:
        """Return the first `n` rows, (n, product, delay), and forget them."""
        out = np.empty((*self._data.shape[:2], n), np.float32)
        if n:
            self._copy(out)
        self.base += n
        return np.moveaxis(out, 2, 0)


class _State:
    """The sums of a stream at work: the next row of the source, and results not returned yet.

    Parameters
    ----------
    owner : DelaySums
    start : int
        First row of the results.
    by_weight : bool
        Whether weights are summed in float32, or the valid samples counted.
    """

    def __init__(self, owner: DelaySums, start: int, *, by_weight: bool) -> None:
        self._shared, self.by_weight = owner.plans, by_weight
        n_product, offsets = owner.source.shape[1], owner.plans.offsets
        self.kind = "float32" if by_weight else owner.kind
        self.plans = owner.plans.take(n_product * (1 + by_weight), self.kind)
        self.next = max(0, start - owner.plans.lead)
        self._shape = n_product, len(offsets)
        self._total, self._size = _Ring(self._shape, start), 0
        self._is_settled = False
        #: None while all samples are valid.
        self._weight = _Ring(self._shape, start) if (
            by_weight or start < owner.plans.lead) else None

    @property
    def base(self) -> int:
        """The next row of the results."""
        return self._total.base

    def hold(self, n: int) -> None:
        """Make space for the results of `n` rows and what follows in rows of smaller delays."""
        self._size = max(self._size, n + self._shared.spread)
        self._total.hold(self._size, 0)
        if self._weight is not None:
            self._weight.hold(self._size, self._shared.n_chan)

    def add(self, data: NDArray[np.float32], weight: NDArray[np.float32]) -> None:
        """Add rows of the source, (n, product, chan); weights broadcast to them."""
        is_whole = _all_one(weight)
        if self._weight is None and not is_whole:
            self._weight = _Ring(self._shape, self.base)
            self._weight.hold(self._size, self._shared.n_chan)
        wide = np.broadcast_to(weight, data.shape)
        self._is_settled = True
        for p in range(data.shape[1]):
            sums, counts = self._sum(p, data[:, p], wide[:, p], is_whole=is_whole)
            self._is_settled &= not any(counts.strides)  # one number: nothing lost is in reach
            self._total.put(p, self.next, sums, self._shared.offsets)
            if self._weight is not None:
                self._weight.put(p, self.next, counts, self._shared.offsets)
        self.next += len(data)

    def _sum(self, p: int, data: NDArray[np.float32], weight: NDArray[np.float32], *,
             is_whole: bool) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if self.by_weight:
            sums = self.plans[p].process(_weighted(data, weight))
            return sums, self.plans[len(self.plans) // 2 + p].process(
                np.ascontiguousarray(weight, np.float32))
        with np.errstate(invalid="ignore"):  # NaN, which is not valid
            values = data.astype(self.kind, copy=False)
        valid = None if is_whole else weight > 0
        return self.plans[p].process(values, valid=valid), self.plans[p].weight

    def take(self, n: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the next `n` results, (n, product, delay), and forget them."""
        total = self._total.take(n)
        if self._weight is None:
            return total, np.broadcast_to(np.float32(self._shared.n_chan), total.shape)
        weight = self._weight.take(n)
        if self._is_settled and self._weight.is_all(self._shared.n_chan):
            self._weight = None
        return total, weight


class _FractionalError(Exception):
    """A weight is neither 0 nor 1, so that weights have to be summed."""


class DelayPlans:
    """Plans of the kernel for delays, which streams and threads share by turns.

    Parameters
    ----------
    curve : ndarray, shape (n_chan,), float64
        Delays of the channels relative to that of channel 0: 1 to 0.
    delays : ndarray, shape (n_delay,), float64, samples
        Delays of channel 0, ascending.
    track : str
        As for `fastsig_kernels.FDMT`.
    kind : str
        Type of the values that are usually summed, as returned by `kind_of`.
    """

    def __init__(self, curve: NDArray[np.float64], delays: NDArray[np.float64], track: str,
                 kind: str) -> None:
        self._arguments = curve, delays, track
        self._lock = threading.Lock()
        first = _plan(*self._arguments, kind)
        self._free: dict[str, list[Any]] = {kind: [first]}
        self.n_chan, self.plan_bytes = len(curve), int(first.memory_bytes)
        #: Column of a plan's sums minus the row of the results, (n_delay,) int64.
        self.offsets, self.lead = _places(first, curve, delays)
        #: Results of the smallest delay that are known before those of the largest.
        self.spread = int(self.offsets.max() - self.offsets.min())
        #: Rows of the source after a row of the results that are needed for it.
        self.reach = int(self.offsets.max())

    def take(self, n: int, kind: str) -> list[Any]:
        """Return plans for `n` streams of a type, at their beginning."""
        with self._lock:
            free = self._free.setdefault(kind, [])
            taken, self._free[kind] = free[:n], free[n:]
        for plan in taken:
            plan.reset()
        return taken + [_plan(*self._arguments, kind) for _ in range(n - len(taken))]

    def give_back(self, plans: list[Any], kind: str) -> None:
        """Take back plans that are no longer used."""
        with self._lock:
            self._free[kind] += plans


class DelaySums:
    """Sums over the channels of a stream for delays.

    Parameters
    ----------
    source : SpectrumStream
        Spectra with two or more channels.
    plans : DelayPlans
    """

    def __init__(self, source: SpectrumStream, plans: DelayPlans) -> None:
        self.source, self.plans, self.kind = source, plans, kind_of(source)
        self._states: dict[int, _State] = {}
        self._running: dict[int, threading.Event] = {}
        self._lock = threading.Lock()
        self._fractional = False

    @property
    def held_bytes(self) -> int:
        """Memory needed for a state: plans for values and weights, and incomplete results."""
        plans, n_product = self.plans, self.source.shape[1]
        results = plans.spread * len(plans.offsets) * n_product
        return int(8 * results + 2 * n_product * plans.plan_bytes)

    def work_bytes(self, n: int) -> int:
        """Memory that a thread needs for `n` rows: results, and the rows of the source."""
        plans, n_product = self.plans, self.source.shape[1]
        rows = min(n + plans.reach, self._run)
        results = 2 * n * len(plans.offsets) * n_product
        return int(self.source.work_bytes(rows) + 2 * rows * self.source.row_bytes + 8 * results)

    @property
    def _run(self) -> int:
        """Number of rows of the source that are read at a time."""
        rows = max(1, _RUN_BYTES // max(1, self.source.row_bytes))
        return max(rows, self.source.run_rows, _MANY_ROWS if len(self.plans.offsets) > _MANY else 0)

    def read(self, start: int, n: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return sums of values times weights, and of weights, (n, product, delay)."""
        if not n:
            empty = np.empty((0, self.source.shape[1], len(self.plans.offsets)), np.float32)
            return empty, empty
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
        first = start + self.plans.reach
        stop = min(first + n, self.source.shape[0])
        return [self.source.read_block(first, stop - first)] if stop - first in range(
            1, self._run + 1) else []

    def _finish(self, state: _State | None, start: int, n: int, ahead: list[Block]
                ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Add the rows of the source that are missing, return results, and keep the state."""
        if state is None or (self._fractional and not state.by_weight):
            state = _State(self, start, by_weight=self._fractional)
        state.hold(n)
        stop = start + n + self.plans.reach
        for block in ahead:
            if block.start == state.next:
                self._add(state, block)
        while state.next < stop:
            count = min(self._run, stop - state.next)
            there = min(count, max(0, self.source.shape[0] - state.next))
            if there:
                self._add(state, self.source.read_block(state.next, there))
            else:
                lost = np.zeros((count, *self.source.shape[1:]), np.float32)
                state.add(lost, lost)
        found = state.take(n)
        self._keep(state)
        return found

    def _add(self, state: _State, block: Block) -> None:
        weight = np.asarray(block.valid)
        if not state.by_weight and not _all_one(weight) and not ((weight == 0) | (weight == 1)
                                                                 ).all():
            raise _FractionalError
        state.add(block.data, weight)

    def _keep(self, state: _State) -> None:
        with self._lock:
            self._states[state.base] = state
            while len(self._states) > _MOST_STATES:
                old = self._states.pop(min(self._states))
                self.plans.give_back(old.plans, old.kind)


def _places(plan: Any, curve: NDArray[np.float64], delays: NDArray[np.float64]
            ) -> tuple[NDArray[np.int64], int]:
    """Return the column of a plan's sums minus the row of the results, for each delay.

    The tracks of a tree differ from the curve by a constant, apart from less regular deviations;
    the mean deviation over the channels is then less than half a sample. Also return the number
    of rows before a row of the results that its sums include, at most.
    """
    offsets = np.empty(len(delays), np.int64)
    lead = 0
    for first in range(0, len(delays), _ROWS_AT_A_TIME):
        rows = np.arange(first, min(first + _ROWS_AT_A_TIME, len(delays)))
        tracks = plan.channel_delays(rows)
        wanted = delays[rows, np.newaxis] * curve
        offsets[rows] = np.floor((tracks + wanted).mean(axis=1) + 0.5)
        lead = max(lead, int((tracks.max(axis=1) - offsets[rows]).max()))
    return offsets, lead
