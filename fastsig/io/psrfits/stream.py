"""The stream of spectra in the rows of a PSRFITS scan."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fastsig.io.fits.layout import read_column
from fastsig.io.psrfits.headers import Doubt, Layout, SearchFile
from fastsig.io.psrfits.rows import TILE, RowReader, coding_of
from fastsig.io.spectra.segments import SegmentedSpectra
from fastsig.stream.header import Header

__all__ = ["PsrfitsSpectra"]

_PLACES = ("ra_deg", "dec_deg")
_MOVED_DEG = 1 / 3600
_NO_CHANCE = 64  # this many zero bits at the end are not there by chance


class PsrfitsSpectra(SegmentedSpectra):
    """Spectra of a PSRFITS scan.

    Spectra that no row contains, and channels with a DAT_WTS of 0, have the weight 0.

    Parameters
    ----------
    header : Header
    layout : Layout
        Layout of numbers in all files.
    files : sequence of SearchFile
    table : ndarray, shape (n, 5), int64
        First spectrum, stop, file, first row, and the first spectrum of this row.
    descending : bool
        Whether the files' channels are in descending order of frequency.
    chosen : mapping
        The format's overrides.
    """

    def __init__(self, header: Header, layout: Layout, files: Sequence[SearchFile],
                 table: NDArray[np.int64], descending: bool, chosen: Mapping[str, str]) -> None:
        shape = (int(table[:, 1].max()), layout.n_pol, layout.n_chan)
        super().__init__(header, shape, files[0].path, [file.path for file in files], table,
                         may_have_nan=layout.n_bits == 32)
        self._layout, self._band = layout, (0, layout.n_chan)
        self._units = [file.table for file in files]
        coding = coding_of(layout, chosen["zero_off"], chosen["signed"])
        self._reader = RowReader(self._raw, self._units, layout, coding, descending, self._band)
        self._uniform: bool | None = None
        self._scanning = threading.Lock()

    def band(self, start: int, stop: int) -> PsrfitsSpectra:
        """Return only the channels `start` to `stop` - 1.

        Other channels are not decoded. Their bytes are skipped if there are at least 64 KiB of
        them between one spectrum and the next; fewer bytes cost less to read than to skip.
        """
        part = copy.copy(self)
        part._position = 0
        part._band = self._band[0] + start, self._band[0] + stop
        part._reader = self._reader.banded(part._band)
        part._scanning = threading.Lock()
        part.shape = (*self.shape[:2], stop - start)
        axis = self.header.channels
        part.header = self.header.replace(channels=axis.sliced(start, stop) if axis else None)
        return part

    @property
    def weight_channels(self) -> int:
        """Length of the weights' channel axis: 1 if no row contains a weight of 0.

        On first use, the weights and scales of all rows are read to determine it.
        """
        with self._scanning:
            if self._uniform is None:
                self._uniform = not self.may_have_nan and all(
                    self._reader.is_whole(file, row) for file, row in self._rows())
        return 1 if self._uniform else self.shape[2]

    @property
    def columns(self) -> Mapping[str, str]:
        """Positions, if RA_SUB and DEC_SUB change during the scan; otherwise none."""
        return dict.fromkeys(_PLACES, "deg") if self._places is not None else {}

    def read_columns(self, start: int, n: int) -> dict[str, NDArray[np.float64]]:
        """Return the position at each spectrum's middle, interpolated linearly between rows."""
        self._check_range(start, n)
        if self._places is None:
            return {}
        at, *places = self._places
        middle = start + np.arange(n) + 0.5
        found = {name: np.interp(middle, at, values)
                 for name, values in zip(_PLACES, places, strict=True)}
        return found | {"ra_deg": found["ra_deg"] % 360}

    @cached_property
    def _places(self) -> tuple[NDArray[np.float64], ...] | None:
        """Middles of rows (in spectra), right ascensions without jumps of 360 deg, declinations."""
        if not all({"RA_SUB", "DEC_SUB"} <= set(table.columns) for table in self._units):
            return None
        rows, block = list(self._rows()), self._layout.n_block
        ends = [self._place(*row) for row in (rows[0], rows[-1])]
        moved = np.abs((np.diff(ends, axis=0)[0] + 180) % 360 - 180).max()
        if not (np.isfinite(ends).all() and moved > _MOVED_DEG):
            return None
        each = np.array([self._place(*row) for row in rows])
        if not np.isfinite(each).all():
            return None
        first = {(file, row): at for at, _, file, row, recorded in self._table.tolist()
                 if at == recorded}
        middles, last = [], (-1, -1, 0.0)
        for file, row in rows:
            begin = first.get((file, row), last[2] + block * (row - last[1]))
            last = (file, row, float(begin))
            middles.append(begin + block / 2)
        return np.array(middles), np.unwrap(each[:, 0], period=360), each[:, 1]

    def _place(self, file: int, row: int) -> list[float]:
        """Return the position of a row in degrees; NaN where there is none."""
        found = [read_column(self.files[file], self._units[file], name, row, row + 1)
                 for name in ("RA_SUB", "DEC_SUB")]
        return [float(each.flat[0]) if each.dtype.kind in "iuf" and each.size else np.nan
                for each in found]

    def _rows(self) -> Iterator[tuple[int, int]]:
        """Yield the file and row number of every row."""
        for first, stop, file, row, recorded in self._table.tolist():
            for index in range((first - recorded) // self._layout.n_block,
                               -(-(stop - recorded) // self._layout.n_block)):
                yield file, row + index

    def work_bytes(self, n: int) -> int:
        """Return the memory (bytes) that a thread needs to read `n` spectra."""
        return n * self.row_bytes + 16 * max(TILE, self.shape[1] * self._layout.n_chan)

    def _into(self, start: int, n: int, out: NDArray[np.float32]) -> NDArray[np.float32]:
        segments = self._segments(start, n)
        found = [self._reader.tables(file, row).weight for segment in segments
                 for file, row, *_ in self._pieces(segment, start, start + n)]
        shapes = [each.shape for each in found if each is not None]
        weight = np.zeros((n, *np.broadcast_shapes((1, 1), *shapes)), np.float32)
        done = start
        for segment in segments:
            low, high = max(segment[0], start), min(segment[1], start + n)
            out[done - start : low - start] = np.nan
            rows = slice(low - start, high - start)
            weight[rows] = 1
            self._fill(tuple(segment), low, high, out[rows], weight[rows])
            done = high
        out[done - start :] = np.nan
        return weight

    def _pieces(self, segment: Sequence[int], start: int, stop: int
                ) -> Iterator[tuple[int, int, int, int, int]]:
        """Yield the file, row, first spectrum in row and stream, and length of each row's part."""
        low, high, file, row, recorded = segment
        at, high = max(low, start), min(high, stop)
        while at < high:
            index, within = divmod(at - recorded, self._layout.n_block)
            count = min(high - at, self._layout.n_block - within)
            yield file, row + index, within, at, count
            at += count

    def _fill(self, segment: tuple[int, ...], first: int, stop: int, out: NDArray[np.float32],
              weight: NDArray[np.float32]) -> None:
        for file, row, within, at, count in self._pieces(segment, first, stop):
            part = slice(at - first, at - first + count)
            found = self._reader.fill(file, row, within, out[part])
            if found.weight is not None:
                weight[part] *= found.weight

    def padding(self) -> list[str]:
        """Return a note on zeros that may fill up the last row, in a list."""
        _, stop, file, row, recorded = self._table[int(self._table[:, 1].argmax())].tolist()
        if (stop - recorded) % self._layout.n_block:
            return []
        row += (stop - recorded) // self._layout.n_block - 1
        count = self._zeros(file, row)
        if count * self._layout.row_bits < _NO_CHANCE:
            return []
        return [Doubt(f"{self.files[file]}: the last {count} spectra of the last row are zeros, "
                      "which apparently fill it up; they are kept")]

    def _zeros(self, file: int, row: int) -> int:
        """Return the number of spectra at the end of a row that consist of zero bits only."""
        bits, stop = self._layout.row_bits, self._layout.n_block
        if self._reader.packed(file, row, stop - 1, 1).any():
            return 0
        step = max(1, 32 * TILE // bits)
        while stop > 0:
            first = max(0, stop - step)
            held = np.flatnonzero(self._reader.packed(file, row, first, stop - first))
            if len(held):
                last = (first * bits // 8 + int(held[-1])) * 8 + 7
                return self._layout.n_block - 1 - last // bits
            stop = first
        return self._layout.n_block
