"""Tables in FITS files with one spectrum per row, the common ground of FAST's files and SDFITS.

References
----------
H. S. Liszt (1995), A FITS binary table convention for interchange of single dish data; FITS
Standard 4.0, section 7.3.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import DataError, FormatError, UsageError, unreadable
from fastsig.io.files.positioned import read_into
from fastsig.io.fits.layout import Table, tables
from fastsig.io.probe import Probe
from fastsig.io.spectra.segments import SegmentedSpectra
from fastsig.stream.header import Header

__all__ = ["Field", "RowSpectra", "beam_of_name", "choice", "column_names", "exact_float", "kept",
           "read_rows", "runs", "single_dish_tables"]

_NAME = "SINGLE DISH"
_SNIFFED = 2**18
_FEW_BITS = 2**32

# Cards that describe the layout of the file rather than the observation.
_LAYOUT = re.compile(r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|TFIELDS|EXTNAME|END|"
                     r"CHECKSUM|DATASUM|T(TYPE|FORM|UNIT|DIM|SCAL|ZERO|NULL|DISP)\d+")


class Field(NamedTuple):
    """The layout of spectra in the rows of a table.

    Parameters
    ----------
    n_chan, n_product : int
        Numbers of channels and products; the products of a channel are adjacent.
    dtype : dtype
        Type of a number, big-endian.
    scale, zero : float
        Factor of the numbers, and the offset that is added to the product.
    descending : bool
        Whether channels are in descending order of sky frequency.
    """

    n_chan: int
    n_product: int
    dtype: np.dtype[Any]
    scale: float = 1.0
    zero: float = 0.0
    descending: bool = False

    @property
    def channel_bytes(self) -> int:
        """Number of bytes of a channel."""
        return self.n_product * self.dtype.itemsize

    def channels(self, start: int, stop: int) -> tuple[int, int]:
        """Return the file's channels for the channels `start` to `stop` - 1 in ascending order."""
        return (self.n_chan - stop, self.n_chan - start) if self.descending else (start, stop)


def column_names(probe: Probe) -> frozenset[str]:
    """Return the columns of single-dish tables at the start of a file; none for other files."""
    if probe.container != "fits":
        return frozenset()
    try:
        with open(probe.path, "rb") as file:
            raw = file.read(_SNIFFED)
    except OSError as error:
        raise unreadable(probe.path, error) from error
    if not re.search(rb"EXTNAME *= *'SINGLE DISH *'", raw):
        return frozenset()
    found = re.findall(rb"TTYPE\d+ *= *'([^']{1,68}?) *'", raw)
    return frozenset(name.decode("ascii", "replace").upper() for name in found)


def single_dish_tables(path: str) -> tuple[list[tuple[int, Table]], Table]:
    """Return tables of spectra with their numbers in the file (from 1), and the primary header.

    Raises
    ------
    FormatError
        Where there is no table of spectra.
    """
    units = tables(path)
    found = [(number, unit) for number, unit in enumerate(units)
             if unit.kind == "BINTABLE" and unit.name == _NAME and "DATA" in unit.columns]
    if not found:
        raise FormatError(path, f"no table is named {_NAME} and has a column DATA")
    for number, table in found:
        if not table.columns["DATA"].n_byte:
            raise FormatError(path, f"table {number}: DATA is empty; allowed: one spectrum per row")
    return found, units[0]


def read_rows(path: str, table: Table) -> dict[str, NDArray[Any]]:
    """Read all columns except DATA.

    Returns
    -------
    dict
        Arrays by column, with one entry per row, in native byte order, with TSCAL and TZERO
        applied. Texts are bytes. Columns in the heap are left out.

    Raises
    ------
    DataError
        Where the file cannot be read.
    """
    data = table.columns["DATA"]
    gap = data.offset, data.offset + data.n_byte
    first = np.empty((table.n_row, gap[0]), np.uint8)
    last = np.empty((table.n_row, table.row_bytes - gap[1]), np.uint8)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise DataError(path, error.strerror or str(error)) from error
    try:
        for row in range(table.n_row):
            begin = table.data_offset + row * table.row_bytes
            for part, at in ((first, 0), (last, gap[1])):
                if part.shape[1]:
                    read_into(descriptor, part[row], begin + at, path)
    finally:
        os.close(descriptor)
    out = {}
    for name, column in table.columns.items():
        if name == "DATA" or column.code in "PQ" or not column.n_byte:
            continue
        part, at = (first, 0) if column.offset < gap[0] else (last, gap[1])
        raw = np.ascontiguousarray(
            part[:, column.offset - at : column.offset - at + column.n_byte])
        values = raw.view(column.dtype).reshape(table.n_row, *column.shape)
        if (column.scale, column.zero) != (1.0, 0.0) and column.code not in "ALX":
            values = values * column.scale + column.zero
        out[name] = values.astype(values.dtype.newbyteorder("="), copy=False)
    return out


def beam_of_name(path: str) -> int | None:
    """Return the beam from a name such as ``N_tracking-M01_W_0001.fits``; headers lack it."""
    found = re.search(r"-M(\d\d)(?!\d)", os.path.basename(path))
    return int(found[1]) if found else None


def choice(own: Mapping[str, Any], key: str, allowed: Mapping[str, Any]) -> str:
    """Return the value of an override that has a few allowed values; the first by default."""
    value = str(own.get(key, next(iter(allowed))))
    if value not in allowed:
        raise UsageError(f"{key} = {value!r}; allowed: {', '.join(allowed)}")
    return value


def exact_float(value: float) -> Fraction:
    """Return a number of a column of floats exactly.

    This is the float itself if it has few bits (as a channel width of 500 MHz / 2^20 has).
    Otherwise it is the shortest decimal text of the float, because a decimal number was rounded.
    """
    exact = Fraction(float(value))
    return exact if exact.denominator <= _FEW_BITS else Fraction(repr(float(value)))


def kept(*cards: Mapping[str, str]) -> dict[str, Any]:
    """Return the cards that describe the observation; of several with the same key, the first."""
    out: dict[str, Any] = {}
    for each in cards:
        for key, value in each.items():
            if not _LAYOUT.fullmatch(key):
                out.setdefault(key, value)
    return out


def runs(slots: NDArray[np.int64], file: int, row_at: NDArray[np.int64], row_bytes: int
         ) -> list[tuple[int, int, int, int, int, int]]:
    """Return segments of rows that are consecutive in the stream and in the file.

    Parameters
    ----------
    slots : ndarray, shape (row,), int64
        Places in the stream, ascending.
    file : int
        Number of the file.
    row_at : ndarray, shape (row,), int64
        First byte of each row's spectrum.
    row_bytes : int
        Bytes from one row to the next.

    Returns
    -------
    list of tuple
        First place, the place after the last, file, byte of the first spectrum, bytes from one row
        to the next, first place again.
    """
    new = (np.diff(slots) != 1) | (np.diff(row_at) != row_bytes)
    begins = np.concatenate([[0], np.flatnonzero(new) + 1]).astype(int)
    stops = [*begins[1:].tolist(), len(slots)]
    return [(int(slots[b]), int(slots[e - 1]) + 1, file, int(row_at[b]), row_bytes, int(slots[b]))
            for b, e in zip(begins.tolist(), stops, strict=True)]


class RowSpectra(SegmentedSpectra):
    """Spectra of tables with one spectrum per row.

    Parameters
    ----------
    header : Header
        Header with the channels of the spectra.
    path, paths
        See `SegmentedSpectra`.
    segments : sequence of tuple
        Segments from `runs`.
    field : Field
        Layout of spectra in a row.
    slots : ndarray, shape (row,), int64
        Place in the stream of each of the files' rows; other places are gaps.
    times : ndarray, shape (row,), float64
        Recorded times of the files' rows, UTC as MJD; NaN where there is no time.
    places : mapping of str to ndarray, shape (row,), float64
        Positions of the files' rows, in degrees, which become columns of the stream.
    """

    def __init__(self, header: Header, path: str, paths: Sequence[str],
                 segments: Sequence[tuple[int, ...]], field: Field, slots: NDArray[np.int64],
                 times: NDArray[np.float64],
                 places: Mapping[str, NDArray[np.float64]] | None = None) -> None:
        shape = (int(slots[-1]) + 1, field.n_product, field.n_chan)
        super().__init__(header, shape, path, paths, np.array(segments, np.int64),
                         weight_channels=field.n_chan, may_have_nan=True)
        self._field, self._band = field, (0, field.n_chan)
        self.slots, self.times, self._places = slots, times, dict(places or {})
        self.slots.flags.writeable = self.times.flags.writeable = False

    @property
    def columns(self) -> Mapping[str, str]:
        """Positions, if the files contain them."""
        return dict.fromkeys(self._places, "deg")

    def read_columns(self, start: int, n: int) -> dict[str, NDArray[np.float64]]:
        """Return positions; NaN where there is no row."""
        self._check_range(start, n)
        first, stop = np.searchsorted(self.slots, (start, start + n)).tolist()
        out = {}
        for name, values in self._places.items():
            out[name] = np.full(n, np.nan)
            out[name][self.slots[first:stop] - start] = values[first:stop]
        return out

    def band(self, start: int, stop: int) -> RowSpectra:
        """Return only the channels `start` to `stop` - 1; no other bytes are read."""
        part = copy.copy(self)
        part._position = 0
        part._band = self._band[0] + start, self._band[0] + stop
        part.shape = (*self.shape[:2], stop - start)
        part._weight_channels = stop - start
        axis = self.header.channels
        part.header = self.header.replace(channels=axis.sliced(start, stop) if axis else None)
        return part

    def _fill(self, segment: tuple[int, ...], first: int, stop: int, out: NDArray[np.float32],
              weight: NDArray[np.float32]) -> None:
        _, _, file, offset, row_bytes, recorded = segment
        field = self._field
        low, high = field.channels(*self._band)
        raw = np.empty((high - low, field.n_product), field.dtype)
        begin = offset + low * field.channel_bytes
        for row, target in enumerate(out, first - recorded):
            self._raw.read_into(file, raw, begin + row * row_bytes)
            values = raw if (field.scale, field.zero) == (1.0, 0.0) else (
                raw * field.scale + field.zero)
            with np.errstate(over="ignore", invalid="ignore"):  # beyond float32: infinite
                target[...] = (values[::-1] if field.descending else values).T
