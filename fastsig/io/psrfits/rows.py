"""Rows of PSRFITS tables: codes, and the scales, offsets and weights that they share.

Values are ``(code - ZERO_OFF) DAT_SCL + DAT_OFFS``, with each operation in float32. Codes below 8
bits are packed with the first in the highest bits.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import FormatError
from fastsig.io.fits.layout import Column, Table
from fastsig.io.psrfits.headers import Doubt, Layout
from fastsig.io.voltages.segments import RawFiles

__all__ = ["TILE", "Coding", "RowReader", "RowTables", "check_tables", "coding_of"]

F4 = NDArray[np.float32]

#: How many numbers are read and decoded at a time: few enough to stay in the cache.
TILE = 2**18

_SEEK = 2**16  # bytes; pieces of a band that are at least this far apart are read separately
_KEPT = 2**25  # bytes of tables that are kept for later rows


class Coding(NamedTuple):
    """The meaning of codes.

    Parameters
    ----------
    zero : ndarray, shape (product,), float32
        Value that is subtracted from numbers as `RowReader` decodes them.
    signed : tuple of bool
        Whether the codes of each product are in two's complement.
    """

    zero: F4
    signed: tuple[bool, ...]


class RowTables(NamedTuple):
    """The scales, offsets and weights of a row.

    Parameters
    ----------
    scale, offset : ndarray, shape (product, chan), float32
        Scales and offsets, with channels in the file's order; NaN where the weight is 0.
    weight : ndarray, shape (1 or product, chan), float32, or None
        Weights of 0 and 1, with channels in ascending order; None where all are 1.
    """

    scale: F4
    offset: F4
    weight: F4 | None


def coding_of(layout: Layout, zero_off: str, signed: str) -> Coding:
    """Return the meaning of codes, from the header and the overrides ``zero_off``, ``signed``."""
    header = layout.signed if layout.n_bits <= 8 else True
    each = {"header": [bool(header)] * layout.n_pol, "yes": [True] * layout.n_pol,
            "no": [False] * layout.n_pol,
            "cross": [name not in ("AA", "BB", "I") for name in layout.names]}[signed]
    zero = {"signed": layout.zero_off, "absolute": abs(layout.zero_off), "none": 0.0}[zero_off]
    zero -= layout.shift
    if layout.n_bits == 16:  # decoded as signed; unsigned codes get their top bit inverted
        shift = [0.0 if sign else -32768.0 for sign in each]
    else:
        half = 2.0 ** (layout.n_bits - 1)
        shift = [half if sign and layout.n_bits <= 8 and not all(each) else 0.0 for sign in each]
    return Coding(np.array([zero + more for more in shift], np.float32), tuple(each))


class RowReader:
    """Reads and decodes the spectra of a scan's rows; several threads may use one reader.

    Parameters
    ----------
    raw : RawFiles
        The files.
    tables : sequence of Table
        The table SUBINT of each file.
    layout : Layout
    coding : Coding
    descending : bool
        Whether the file's channels are in descending order of frequency.
    band : (int, int)
        First requested channel, in ascending order, and the channel after the last.
    """

    def __init__(self, raw: RawFiles, tables: Sequence[Table], layout: Layout, coding: Coding,
                 descending: bool, band: tuple[int, int]) -> None:
        self._raw, self._tables, self._layout, self._coding = raw, tables, layout, coding
        self._descending = descending
        n = layout.n_chan
        self._low, self._high = (n - band[1], n - band[0]) if descending else band
        self._kept: OrderedDict[tuple[int, int], RowTables] = OrderedDict()
        self._lock = threading.Lock()

    def banded(self, band: tuple[int, int]) -> RowReader:
        """Return a reader of other channels of the same files."""
        return RowReader(self._raw, self._tables, self._layout, self._coding, self._descending,
                         band)

    def tables(self, file: int, row: int) -> RowTables:
        """Return the scales, offsets and weights of a row."""
        with self._lock:
            found = self._kept.get((file, row))
            if found is not None:
                self._kept.move_to_end((file, row))
                return found
        found = self._read_tables(file, row)
        size = 2 * found.scale.nbytes + 1
        with self._lock:
            self._kept[file, row] = found
            while len(self._kept) > max(1, min(64, _KEPT // size)):
                self._kept.popitem(last=False)
        return found

    def is_whole(self, file: int, row: int) -> bool:
        """Whether no weight of a row is 0."""
        return self._read_tables(file, row).weight is None

    def _read_tables(self, file: int, row: int) -> RowTables:
        layout = self._layout
        scale = self._field(file, row, "DAT_SCL", layout.n_pol, 1)
        offset = self._field(file, row, "DAT_OFFS", layout.n_pol, 0)
        weight = self._field(file, row, "DAT_WTS", 1, 1)
        with np.errstate(over="ignore", invalid="ignore"):
            # The largest code, or 1 for floats. Values beyond float32 are lost, as at weight 0.
            peak = np.float32(2.0**layout.n_bits) if layout.n_bits <= 16 else np.float32(1)
            largest = np.abs(scale) * (peak + np.abs(self._coding.zero)[:, np.newaxis])
            lost = ~np.isfinite(largest + np.abs(offset)) | ~np.isfinite(weight) | (weight == 0)
        if not lost.any():
            return RowTables(scale, offset, None)
        scale[lost] = offset[lost] = np.nan
        if (lost == lost[:1]).all():
            lost = lost[:1]
        kept = np.where(lost, np.float32(0), np.float32(1))
        kept = np.ascontiguousarray(kept[:, ::-1] if self._descending else kept)
        return RowTables(scale, offset, kept)

    def _field(self, file: int, row: int, name: str, n_pol: int, default: float) -> F4:
        """Return a column's numbers for the band, (product, chan), or the default without it."""
        table, n_chan = self._tables[file], self._layout.n_chan
        column = table.columns.get(name)
        n = self._high - self._low
        if column is None:
            return np.full((n_pol, n), default, np.float32)
        at, shared = table.at(row, name), column.count == n_chan
        out = np.empty((1 if shared else n_pol, n), column.dtype)
        for pol, target in enumerate(out):
            place = (pol * n_chan + self._low) * column.dtype.itemsize
            self._raw.read_into(file, target, at + place)
        values = out if (column.scale, column.zero) == (1.0, 0.0) else (
            out * column.scale + column.zero)
        with np.errstate(over="ignore", invalid="ignore"):
            return np.array(np.broadcast_to(values, (n_pol, n)), np.float32)

    def fill(self, file: int, row: int, low: int, out: F4) -> RowTables:
        """Write the spectra of a row, from spectrum `low` on, to `out`, (time, product, chan)."""
        from fastsig_kernels import apply_scales

        found = self.tables(file, row)
        n_pol, n_band = out.shape[1:]
        each = n_pol * (n_band if self._apart else self._layout.n_chan)
        step = max(1, min(len(out), TILE // each))
        room = np.empty(4 * (step * each + 16), np.uint8)  # large enough for floats
        for first in range(0, len(out), step):
            part = out[first : first + step]
            codes = self._codes(file, row, low + first, len(part), room)
            apply_scales(codes, found.scale, found.offset, zero=self._coding.zero,
                         reverse=self._descending, out=part)
        return found

    @property
    def _apart(self) -> bool:
        """Whether the pieces of a band are read separately.

        They are if skipping the bytes between them saves more than separate reads cost: disks and
        the page cache read at least 4 KiB at a time.
        """
        n_chan, n_bits = self._layout.n_chan, self._layout.n_bits
        gap = (n_chan - (self._high - self._low)) * n_bits // 8
        return gap >= _SEEK and n_chan * n_bits % 8 == 0

    def packed(self, file: int, row: int, low: int, n: int, room: NDArray[np.uint8] | None = None
               ) -> NDArray[np.uint8]:
        """Return the bytes of spectra as they are in the file, at the end of `room` if given."""
        bits = self._layout.row_bits
        first, stop = low * bits // 8, -(-(low + n) * bits // 8)
        raw = np.empty(stop - first, np.uint8) if room is None else room[first - stop :]
        self._raw.read_into(file, raw, self._tables[file].at(row, "DATA") + first)
        return raw

    def _codes(self, file: int, row: int, low: int, n: int, room: NDArray[np.uint8]
               ) -> NDArray[np.generic]:
        """Return the numbers of `n` spectra for the kernel, (time, product, chan of the band)."""
        layout = self._layout
        bits, n_pol, n_chan = layout.n_bits, layout.n_pol, layout.n_chan
        if not self._apart:
            raw = self.packed(file, row, low, n, room)
            skip = low * layout.row_bits % 8 // bits
            numbers = self._numbers(raw)[skip : skip + n * n_pol * n_chan]
            codes = numbers.reshape(n, n_pol, n_chan)[:, :, self._low : self._high]
        else:
            first, stop = self._low * bits // 8, -(-self._high * bits // 8)
            pieces = np.empty((n * n_pol, stop - first), np.uint8)
            at, line = self._tables[file].at(row, "DATA"), n_chan * bits // 8
            for index, target in enumerate(pieces, low * n_pol):
                self._raw.read_into(file, target, at + index * line + first)
            skip = self._low * bits % 8 // bits
            numbers = self._numbers(pieces.reshape(-1)).reshape(n, n_pol, -1)
            codes = numbers[:, :, skip : skip + self._high - self._low]
        return self._with_signs(np.ascontiguousarray(codes))

    def _numbers(self, raw: NDArray[np.uint8]) -> NDArray[np.generic]:
        """Return all numbers that are packed in `raw`."""
        bits, signed = self._layout.n_bits, self._coding.signed
        if bits == 8:
            return raw.view(np.int8) if all(signed) else raw
        if bits == 16:
            return raw.view(">i2").astype(np.int16)
        if bits == 32:
            return raw.view(">f4").astype(np.float32)
        from fastsig_kernels import unpack

        levels = np.arange(2.0**bits, dtype=np.float32)
        if all(signed):
            levels[len(levels) // 2 :] -= len(levels)
        return unpack(raw, bits, order="msb", levels=levels)

    def _with_signs(self, codes: NDArray[np.generic]) -> NDArray[np.generic]:
        """Change numbers so that `Coding.zero` fits all products, where their signs differ."""
        bits, signed = self._layout.n_bits, self._coding.signed
        if bits == 32 or (all(signed) and bits <= 16) or not (any(signed) or bits == 16):
            return codes
        if bits < 8:
            half = np.float32(2 ** (bits - 1))
            turned = np.where(codes >= half, codes - half, codes + half)  # type: ignore[operator]
            return np.where(np.array(signed)[:, np.newaxis], turned, codes).astype(np.float32)
        turn = np.array([sign == (bits == 8) for sign in signed])
        top = codes.dtype.type(128 if bits == 8 else -32768)  # type: ignore[call-overload]
        return np.where(turn[:, np.newaxis], codes ^ top, codes)  # type: ignore[operator]


def check_tables(path: str, columns: Mapping[str, Column], layout: Layout, notes: list[str]
                 ) -> None:
    """Compare the columns of scales, offsets and weights with the shape of a row.

    Raises
    ------
    FormatError
        Where the number of elements of a column does not fit.
    """
    n = layout.n_pol * layout.n_chan
    for name, allowed in (("DAT_SCL", (n, layout.n_chan)), ("DAT_OFFS", (n, layout.n_chan)),
                          ("DAT_WTS", (layout.n_chan,))):
        column = columns.get(name)
        if column is None:
            notes.append(Doubt(f"{path}: no column {name}; taken as "
                               f"{0 if name == 'DAT_OFFS' else 1}"))
        elif column.count not in allowed or column.code not in "EDIJKB":
            raise FormatError(path, f"{name} has {column.count} elements of TFORM code "
                              f"{column.code}; allowed: {allowed[0]} numbers")
        elif column.count != allowed[0]:
            notes.append(f"{path}: {name} has {column.count} elements for {layout.n_pol} "
                         "polarisations, which share them")
