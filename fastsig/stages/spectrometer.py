"""Spectrometer: Channelize and Detect fused, to integrate without intermediate spectra."""

from __future__ import annotations

from typing import Any

import numpy as np
from fastsig_kernels import Layout, SpectrometerPlan
from numpy.typing import NDArray

from fastsig import registry
from fastsig.axes import validity
from fastsig.errors import PlanError
from fastsig.registry import CPU
from fastsig.stages.channelize import Channelize
from fastsig.stages.detect import DetectFrames
from fastsig.stream import Block, Scratch, SpectrumStream, Stream, Sums, VoltageStream

__all__ = ["Spectrometer"]

_MOST_OF_BAND = 0.75  # largest part of a band cut in the kernel; cutting more later is as fast
_READ_BYTES, _CHANNEL_BYTES, _MOST_BYTES = 2**23, 2**19, 2**25


def _forms(bank: Channelize) -> list[VoltageStream]:
    """Return the forms of voltages for kernels: as recorded and, where samples are lost, decoded.

    Packed codes have no zero, and can only be read from the beginning of a byte.
    """
    recorded = bank.source.as_recorded()
    if bank.hop % recorded.row_step or bank.n_fft % recorded.row_step:
        return [bank.source]
    return [recorded] if recorded.blanked else [recorded, bank.source]


class Spectrometer(DetectFrames):
    """The fused form of `Channelize` and `DetectFrames`: the same bits, summed in the cache."""

    source: Channelize
    stands_for = "channelize", "detect"

    @classmethod
    def fuse(cls, detect: DetectFrames) -> Spectrometer:
        """Return the fused form of a `DetectFrames` that reads a `Channelize`."""
        return cls(detect.source, detect.products, **detect.signs, engine=detect.engine)

    def __init__(self, source: Any, products: str = "I", *,
                 channels: tuple[int, int] | None = None, engine: str = CPU, **signs: int
                 ) -> None:
        super().__init__(source, products, engine=engine, **signs)
        self.channels = channels
        if channels is not None:
            axis = self.header.channels
            self.header = self.header.replace(channels=axis and axis.sliced(*channels))
            self.shape = (*self.shape[:2], channels[1] - channels[0])
        self._set_up()

    def narrowed(self, first: int, stop: int) -> SpectrumStream | None:
        """Return some of the channels: those of some inputs, or some that the kernel detects."""
        part = super().narrowed(first, stop) if self.channels is None else None
        if part is not None or (len(self.source.source.shape) == 3 and (
                self.source.source.shape[2] > 1)):
            return part
        if stop - first > _MOST_OF_BAND * self.shape[2]:
            return None
        low = 0 if self.channels is None else self.channels[0]
        return Spectrometer(self.source, self.products, channels=(low + first, low + stop),
                            engine=self.engine, **self.signs)

    def _replace(self, *sources: Stream) -> None:
        super()._replace(*sources)
        self._set_up()

    def _set_up(self) -> None:
        bank = self.source
        self._forms = _forms(bank)
        # Calling a kernel costs as much as some thousand samples: with many channels, more is read.
        self.read_bytes = min(_MOST_BYTES, max(_READ_BYTES, _CHANNEL_BYTES * self._n_input))
        self._tables: dict[tuple[VoltageStream, float | None], SpectrometerPlan] = {}
        self._kernels: dict[tuple[VoltageStream, int, float | None], Scratch] = {}

    def _table(self, form: VoltageStream, flag_sigma: float | None) -> SpectrometerPlan:
        """Return the kernel with the tables that all kernels for a form share."""
        key = form, flag_sigma
        if key not in self._tables:
            self._tables[key] = self._make(form, flag_sigma)
        return self._tables[key]

    def _make(self, form: VoltageStream, flag_sigma: float | None) -> SpectrometerPlan:
        bank = self.source
        header = bank.source.header
        make = registry.engine(self.engine)
        try:
            return make(
                bank.n_chan, taps=bank.bank.taps, layout=Layout(**form.layout),
                n_pol=bank.source.shape[1], n_stream=self._n_input,
                products=self.products, flag_sigma=flag_sigma, min_valid=bank.min_valid,
                lower_sideband=header.sideband == "lower", oversample=bank.bank.oversample,
                scale="sum", channels=self.channels, **self.signs,
            )
        except ValueError as error:
            raise PlanError(f"{self.path}: engine {self.engine!r}: {error}") from error

    def _rows_at_once(self, form: VoltageStream) -> int:
        """Return the number of rows that are read at a time."""
        step = form.row_step
        return max(step, min(self.read_bytes // form.row_bytes, form.shape[0]) // step * step)

    def kernels(self, form: VoltageStream, n_each: int, flag_sigma: float | None) -> Scratch:
        """Return kernels for rows of `n_each` frames, with input buffers, for threads to borrow."""
        key = form, n_each, flag_sigma
        if key not in self._kernels:
            table, length = self._table(form, flag_sigma), self._rows_at_once(form)
            # The buffer for samples is reused: fresh pages would double the cost of reading.
            self._kernels[key] = Scratch(lambda: (table.copy(n_int=n_each), form.empty(length)),
                                         thrifty=self.source.endless)
        return self._kernels[key]

    def work_bytes(self, n: int) -> int:
        """Memory that a thread needs to compute `n` spectra."""
        return self.group_bytes(n) + 2 * n * self.row_bytes

    def group_bytes(self, n: int, flag_sigma: float | None = None) -> int:
        """Memory that a thread needs for sums: tables, state, and the samples read at a time."""
        return sum(self._table(form, flag_sigma).memory_bytes + 2 * self.read_bytes
                   + 2 * form.work_bytes(self._rows_at_once(form)) for form in self._forms)

    def read_sums(self, start: int, n: int) -> Sums:
        """Return numerators (float32) and the energies that belong to them."""
        return self.group_sums(start, n, 1)

    def group_sums(self, start: int, n: int, n_each: int, flag_sigma: float | None = None
                   ) -> Sums:
        """Return the sums of every `n_each` of `n` frames; the last sum may have fewer."""
        self._check_range(start, n)
        made = (self._sums_of(form, start, n, n_each, flag_sigma) for form in self._forms)
        return next(sums for sums in made if sums is not None)

    def _sums_of(self, form: VoltageStream, start: int, n: int, n_each: int,
                 flag_sigma: float | None) -> Sums | None:
        """Return `group_sums` from one form of the voltages; None if it cannot represent losses."""
        kernels = self.kernels(form, n_each, flag_sigma)
        kernel, buffer = kernels.take()
        try:
            return self._row_sums(form, kernel, buffer, start, n, -(-n // n_each))
        finally:
            kernels.give((kernel, buffer))

    def _row_sums(
        self, form: VoltageStream, kernel: SpectrometerPlan, buffer: NDArray[Any], start: int,
        n: int, rows: int,
    ) -> Sums | None:
        length = self._rows_at_once(form)
        first, total_length = self.source.needs(start, n)
        # An oversampled bank rotates a frame according to its number in the stream.
        kernel.reset(first_frame=start)
        total = np.empty((rows, self.shape[1], self.shape[2]), kernel.out_dtype)
        out = total.reshape(rows, self.shape[1], self._n_input, -1).swapaxes(1, 2)
        weights, done = [], 0
        for at in range(first, first + total_length, length):
            count = min(length, first + total_length - at)
            block = form.read_block(at, count, out=buffer)
            if not form.blanked and any(validity.count(each) < count for each in block.valid):
                return None
            n_new = kernel.n_output(block.n)
            self._take(kernel, block, out[done : done + n_new])
            weights.append(kernel.weight)
            done += n_new
        if done < rows:
            out[done:] = kernel.flush()
            weights.append(kernel.weight)
        return Sums(total, self._weight_of(np.concatenate(weights)))

    def _take(self, kernel: SpectrometerPlan, block: Block, out: NDArray[Any]) -> None:
        """Pass a block to the kernel, which writes the finished rows of all input channels."""
        data = block.data.swapaxes(0, 1)
        x = np.moveaxis(data, 2, 0) if len(self.source.source.shape) == 3 else data[np.newaxis]
        valid = [np.asarray(spans, np.int64) - block.start for spans in block.valid]
        kernel.process(x, valid=valid, zeroed=True, out=out)

    def _weight_of(self, weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return weights as (row, product, 1 or chan)."""
        if weight.ndim == 3:  # the same in all channels
            return weight
        return weight.swapaxes(1, 2).reshape(len(weight), self.shape[1], -1)

    @property
    def _n_input(self) -> int:
        """Number of input channels."""
        shape = self.source.source.shape
        return shape[2] if len(shape) == 3 else 1
