"""Stages that give weight 0 to flagged samples, however these are found."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.diode_schedule import DiodeSchedule
from fastsig.axes.polarization import SIGNED
from fastsig.calibration.diode.cycle import scheduled
from fastsig.stages.segments import SegmentStage
from fastsig.stream import Block, CodedBlock, Codes, SpectraStage, SpectrumStream, Sums
from fastsig.stream.header import Header

__all__ = ["EDGE", "OFF", "ON", "FlagStage", "FlaggedSpectra", "diode_states", "rows_of_states",
           "shared"]

#: Rows with the diode off throughout, on throughout, and switched within the row.
OFF, ON, EDGE = 0, 1, 2

Flags = NDArray[np.bool_]


def shared(flags: Flags, names: Sequence[str], *, together: bool) -> Flags:
    """Return the flags of all products together, or those of each product.

    A product of two polarisations is flagged where either of these is flagged.

    Parameters
    ----------
    flags : ndarray, shape (n, product, chan)
        The flags of each product, which may be changed.
    names : sequence of str
        Names of the products.
    together : bool
        Whether what is flagged in one product is flagged in all, shape (n, 1, chan).
    """
    if together:
        every: Flags = np.logical_or.reduce(flags, axis=1, keepdims=True)
        return every
    mixed = [k for k, name in enumerate(names) if name in SIGNED]
    flags[:, mixed] |= np.delete(flags, mixed, axis=1).any(axis=1, keepdims=True)
    return flags


class FlaggedSpectra(SpectraStage):
    """Spectra in which flagged samples have weight 0; a subclass defines `_parts`."""

    source: SpectrumStream

    @property
    def weight_channels(self) -> int:
        """Length of the weights' channel axis."""
        return self.shape[2]

    def codes(self) -> Codes | None:
        """Same as for the source: flagged values are NaN, and have the weight 0."""
        return self.source.codes()

    @property
    def row_bytes(self) -> int:
        """Bytes of one spectrum and its weights in memory."""
        return self.shape[1] * self.shape[2] * 8

    @property
    def _flag_products(self) -> int:
        """Products that have flags of their own: 1 if flags are those of all products."""
        return 1

    def _parts(self, start: int, n: int, block: Block | CodedBlock | None
               ) -> list[tuple[int, int, int, Flags]]:
        """Return flags of parts of rows: first row, row after the last, row of the first flags.

        Flags have the shape (n or 1, product or 1, chan), where 1 stands for all. `block` are the
        rows of the source, if they were read.
        """
        raise NotImplementedError

    def _coded_parts(self, block: CodedBlock
                     ) -> tuple[CodedBlock, list[tuple[int, int, int, Flags]]]:
        """Return rows of the source, without those that are flagged entirely, and flags of parts.

        By default, all flags are flags of parts.
        """
        return block, self._parts(block.start, block.n, block)

    @property
    def coded(self) -> bool:
        """Same as for the source."""
        return self.source.coded

    def read_coded(self, start: int, n: int) -> CodedBlock:
        """Return the codes of the source, with further flags."""
        self._check_range(start, n)
        return self._flagged(*self._coded_parts(self.source.read_coded(start, n)))

    def _flagged(self, block: CodedBlock, parts: list[tuple[int, int, int, Flags]]) -> CodedBlock:
        """Return rows with the flags of parts."""
        start, before = block.start, block.flags
        steady = all(len(flags) == 1 for *_, flags in parts)
        if steady and len(parts) < 2:
            own = parts[0][3][:, 0] if parts else np.zeros((1, self.shape[2]), np.bool_)
            return block.flagged(own if before is None else own | before, ())
        found = np.empty(block.codes.shape, np.bool_)
        for begin, end, first, flags in parts:
            there = slice(begin - start, end - start)
            own = flags[:, 0] if len(flags) == 1 else flags[begin - first : end - first, 0]
            if before is None:
                found[there] = own
            else:
                np.logical_or(own, before if len(before) == 1 else before[there],
                              out=found[there])
        return block.flagged(found, tuple(begin for begin, *_ in parts) if steady else None)

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Return mean spectra (NaN where the weight is 0) and weights, both float32."""
        from fastsig_kernels import apply_flags

        if self.coded:
            return self.read_coded(start, n).block(out)
        self._check_range(start, n)
        block = self.source.read_block(start, n)
        data = np.empty(block.data.shape, np.float32) if out is None else out[:n]
        parts = self._parts(start, n, block)
        one = _steady(block.valid) if len(parts) == 1 and len(parts[0][3]) == 1 else None
        if one is not None:
            return self._with_channels(block, data, one, parts[0][3])
        weight = np.empty((n, max(block.valid.shape[1], self._flag_products), self.shape[2]),
                          np.float32)
        valid = np.asarray(block.valid, np.float32)
        for begin, end, first, flags in parts:
            rows = slice(begin - start, end - start)
            flags = flags if len(flags) == 1 else flags[begin - first : end - first]
            apply_flags(block.data[rows], valid[rows], flags, out=data[rows],
                        out_weight=weight[rows])
        return _block(data, weight, start)

    def _with_channels(self, block: Block, data: NDArray[np.float32], valid: NDArray[np.float32],
                       flags: Flags) -> Block:
        """Return rows with the same flags and weights; weights are then stored once."""
        np.copyto(data, block.data)
        for p in range(data.shape[1]):
            data[:, p, flags[0, min(p, flags.shape[1] - 1)]] = np.nan
        weight = np.where(flags, np.float32(0), valid).astype(np.float32)
        return _block(data, np.broadcast_to(weight, (block.n, *weight.shape[1:])), block.start)

    def read_sums(self, start: int, n: int) -> Sums:
        """Return rows in their additive form."""
        self._check_range(start, n)
        sums = self.source.read_sums(start, n)
        total = np.array(sums.total)
        weight = np.array(np.broadcast_to(sums.weight, total.shape))
        for begin, end, first, flags in self._parts(start, n, None):
            rows = slice(begin - start, end - start)
            flags = flags if len(flags) == 1 else flags[begin - first : end - first]
            np.copyto(total[rows], total.dtype.type(0), where=flags)
            np.copyto(weight[rows], 0.0, where=flags)
        return Sums(total, weight)


def diode_states(diode: DiodeSchedule | None, sample_rate: Fraction, first: int, n: int
                 ) -> NDArray[np.int8]:
    """Return whether the noise diode is on in rows: `OFF`, `ON`, or `EDGE` for part of a row.

    Parameters
    ----------
    diode : DiodeSchedule or None
        The schedule, counted from row 0; without a schedule, the diode is taken to be off in all
        rows.
    sample_rate : Fraction
        Rows per second, Hz.
    first, n : int
        First row and number of rows.

    Returns
    -------
    ndarray, shape (n,), int8
    """
    if diode is None:
        return np.full(n, OFF, np.int8)
    return np.choose(scheduled(diode, sample_rate, first, n) + 1, [EDGE, OFF, ON]).astype(np.int8)


def rows_of_states(header: Header, first: int, n: int) -> list[Any]:
    """Return the rows in each state of the diode, from row `first` on, as slices or indices."""
    if header.diode is None:
        return [slice(0, n)]
    states = diode_states(header.diode, header.sample_rate, first, n)
    return [np.flatnonzero(states == state) for state in np.unique(states)]


def _steady(valid: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Return the weights of one row if they are those of all rows; None if they may differ."""
    same = valid.strides[0] == 0 or (valid.shape[2] == 1 and (valid == valid[:1]).all())
    return valid[:1] if len(valid) and same else None


def _block(data: NDArray[np.float32], weight: NDArray[np.float32], start: int) -> Block:
    view = data.view()
    view.flags.writeable = False
    if weight.flags.writeable:
        weight.flags.writeable = False
    return Block(view, weight, start, len(data))


class FlagStage(SegmentStage, FlaggedSpectra):
    """Spectra with flags that are found in segments; a subclass defines `_result`, the flags."""

    @property
    def _result_bytes(self) -> int:
        return self.shape[1] * self.shape[2]  # flags of channels
