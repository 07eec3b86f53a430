"""Coherent dedispersion of the voltages of a stream, starting at any sample.

The kernel works in blocks that overlap and are numbered from the beginning of the stream, so that
its bits do not depend on where a run begins. A run that continues another one takes over its state;
otherwise, it starts afresh and computes one additional block.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from fastsig_kernels import Layout
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.stream import VoltageStream

__all__ = ["Bands", "Kind", "Runs", "is_one"]

_PIECE_BYTES = 2**24  # voltages that are read at a time


class Kind(NamedTuple):
    """Results of a run: voltages ("V"), or powers of `products` summed over `n_each` samples."""

    products: str = "V"
    n_each: int = 1
    sign_q: int = 1
    sign_v: int = 1


class Bands:
    """The kernel's plans for the channels of a source; all of them return samples at a time.

    Parameters
    ----------
    source : VoltageStream
        Voltages with a known frequency.
    dm_constant : float
        Dispersion measure times dispersion constant, MHz^2 s.
    n_chan : int
        Number of channels per channel of the source.
    min_valid : float
        As for the kernel.
    """

    def __init__(self, source: VoltageStream, dm_constant: float, n_chan: int, min_valid: float
                 ) -> None:
        self.source = source
        header, axis = source.header, source.header.require_channels(source.path)
        #: The voltages in a form that the kernel reads.
        self.form = source if source.as_recorded().layout["kind"] == "packed" else (
            source.as_recorded())
        width = float(header.sample_rate if header.is_complex else header.sample_rate / 2)
        centers = [float(axis.first_hz + chan * axis.step_hz) for chan in range(axis.n_chan)]
        self._starts = [center / width - 0.5 for center in centers]
        if self._starts[0] <= 0:
            raise UsageError(f"{source.path}: the band begins at "
                             f"{self._starts[0] * width / 1e6:.6g} MHz; allowed: above 0 for "
                             "dedispersion")
        self._options: dict[str, Any] = {
            "dispersion": dm_constant * 1e12 / width, "layout": Layout(**self.form.layout),
            "n_pol": source.shape[1], "lower_sideband": header.sideband == "lower",
            "min_valid": min_valid}
        self.n_chan, self.n_band = n_chan, axis.n_chan
        # The lowest channel has the largest dispersion, which determines the lengths of all.
        first = self._plan(0, Kind())
        self.hop, self.n_point = int(first.hop), int(first.n_point)
        self.before, self.after = int(first.before), int(first.after)
        #: Samples of the source in the time of one sample of a channel.
        self.unit = n_chan * (1 if header.is_complex else 2)
        self.plan_bytes = int(first.memory_bytes) * axis.n_chan
        #: Rows of the source that are read at a time.
        self.piece_rows = max(1, _PIECE_BYTES // max(1, self.form.row_bytes))
        self._options |= {"n_point": first.n_point, "discarded": (first.before, first.after)}

    def _plan(self, band: int, kind: Kind) -> Any:
        from fastsig_kernels import CoherentDedispersion

        return CoherentDedispersion(
            self.n_chan, start=self._starts[band], products=kind.products, n_int=kind.n_each,
            sign_q=kind.sign_q, sign_v=kind.sign_v, **self._options)

    def plans(self, kind: Kind) -> list[Any]:
        """Return new plans, one for each channel of the source."""
        return [self._plan(band, kind) for band in range(self.n_band)]

    def needs(self, start: int, n: int) -> tuple[int, int]:
        """Return the first sample and the number of samples of the source for the given samples."""
        if not n:
            return start * self.unit, 0
        first, last = start // self.hop, (start + n - 1) // self.hop
        begin = max(0, (first * self.hop - self.before) * self.unit)
        return begin, (last * self.hop - self.before + self.n_point) * self.unit - begin


class Runs:
    """Runs through a stream, for threads to borrow.

    Parameters
    ----------
    bands : Bands
    """

    def __init__(self, bands: Bands) -> None:
        self.bands = bands
        self._free: list[_Run] = []
        self._lock = threading.Lock()

    @property
    def work_bytes(self) -> int:
        """Memory used by a run: its plans, and the voltages that are read at a time."""
        bands = self.bands
        return int(bands.plan_bytes + 2 * bands.form.work_bytes(bands.piece_rows)
                   + 2 * _PIECE_BYTES)

    @property
    def block_bytes(self) -> int:
        """Memory used by the voltages and weights of a block, which powers do not need."""
        bands = self.bands
        return 12 * bands.hop * bands.n_band * bands.n_chan * bands.source.shape[1]

    def read(self, kind: Kind, start: int, n: int) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Return results and their weights, of shape (n, product or pol, chan).

        Parameters
        ----------
        kind : Kind
        start : int
            Sample of the channels with which the first result begins.
        n : int
            Number of results; where samples are missing at the end, the last ones have less weight.
        """
        run = self._take(kind, start)
        found = run.take(n)  # a run that fails is not used again
        with self._lock:
            self._free.append(run)
        return found

    def _take(self, kind: Kind, start: int) -> _Run:
        """Return a run at a sample: one already there, one that can move there, or a new one."""
        with self._lock:
            alike = [run for run in self._free if run.kind == kind]
            run = next((each for each in alike if each.at == start), alike[0] if alike else None)
            if run is not None:
                self._free.remove(run)
        run = _Run(self.bands, kind) if run is None else run
        if run.at != start:
            run.seek(start)
        return run


class _Run:
    """Plans at a place in the stream, and results that have not been returned yet."""

    def __init__(self, bands: Bands, kind: Kind) -> None:
        self.kind, self._bands = kind, bands
        self._plans = bands.plans(kind)
        self._ready: list[tuple[NDArray[Any], NDArray[np.float32]]] = []
        #: Sample of the channels with which the next result begins.
        self.at = -1
        self._next = self._drop = 0

    def seek(self, start: int) -> None:
        """Go to a sample of the channels; results begin with it."""
        block = start // self._bands.hop
        self._next, *_ = [plan.reset(block=block, first_sum=start) for plan in self._plans]
        self._ready, self.at = [], start
        # Results of the block that end before the sample are left out.
        self._drop = -((block * self._bands.hop - start) // self.kind.n_each)

    def take(self, n: int) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Return the next results and weights."""
        while sum(len(data) for data, _ in self._ready) < n or not self._ready:
            self._ready = [*(each for each in self._ready if len(each[0])), self._more()]
        data, weight = (_stacked(column) for column in zip(*self._ready, strict=True))
        self._ready = [(data[n:], weight[n:])] if len(data) > n else []
        self.at += n * self.kind.n_each
        return data[:n], weight[:n]

    def _more(self) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Process further voltages; return the results, without those before the first one."""
        x, valid = self._voltages()
        made, weights = [], []
        for band, plan in enumerate(self._plans):
            made.append(plan.process(x[:, :, band] if self._is_channelized else x, valid=valid))
            weights.append(plan.weight)
        data, weight = (self._joined(each) for each in (made, weights))
        dropped, self._drop = self._drop, max(0, self._drop - len(data))
        return data[dropped:], weight[dropped:]

    @property
    def _is_channelized(self) -> bool:
        return len(self._bands.source.shape) == 3

    def _voltages(self) -> tuple[NDArray[Any], list[NDArray[np.int64]]]:
        """Return the next voltages, with polarisations first, and their valid spans."""
        form, first = self._bands.form, self._next
        rows = self._bands.piece_rows
        there = min(rows, max(0, form.shape[0] - first))
        self._next += there or rows
        if there:
            block = form.read_block(first, there)
            return block.data.swapaxes(0, 1), [
                np.asarray(spans, np.int64) - first for spans in block.valid]
        lost = form.empty(rows)  # beyond the end of the stream
        lost[...] = 0
        return lost.swapaxes(0, 1), [np.empty((0, 2), np.int64)] * form.n_pol

    def _joined(self, parts: list[NDArray[Any]]) -> NDArray[Any]:
        """Return the results of all channels of the source as (n, product or pol, chan)."""
        is_power = self.kind.products != "V"
        whole = _stacked(parts, 2 if is_power else 1)
        return whole if is_power else np.moveaxis(whole, 2, 0)


def is_one(values: NDArray[Any]) -> bool:
    """Whether an array is a single 1 that stands for all values, as weights without losses are."""
    return values.size > 0 and not any(values.strides) and bool(values.flat[0] == 1)


def _stacked(parts: Sequence[NDArray[Any]], axis: int = 0) -> NDArray[Any]:
    """Return arrays as one; a single 1 continues to stand for all values."""
    if len(parts) == 1:
        return parts[0]
    if not all(map(is_one, parts)):
        return np.concatenate(parts, axis)
    shape = list(parts[0].shape)
    shape[axis] = sum(part.shape[axis] for part in parts)
    return np.broadcast_to(parts[0].flat[0], shape)
