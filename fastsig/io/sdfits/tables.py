"""All rows of an SDFITS file: columns at once, spectra when they are asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from fastsig.axes.time import time_from_mjd
from fastsig.errors import FormatError, UsageError
from fastsig.io.fits.single_dish import Field, exact_float, kept, read_rows, single_dish_tables
from fastsig.io.voltages.segments import RawFiles

if TYPE_CHECKING:
    import astropy.table

__all__ = ["SDFITSTable"]

_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d(?:\.\d{0,12})?)Z?", re.ASCII)
_TEMPERATURES = ("ta", "tr", "tmb", "tb")
_MJD_0 = date(1858, 11, 17).toordinal()


class SDFITSTable:
    """All rows of the tables SINGLE DISH of a file; spectra are read when they are asked for.

    Parameters
    ----------
    path : str
        The file.

    Attributes
    ----------
    rows : astropy.table.Table
        All columns but DATA, in the order of the file; masked where a row's table lacks one. TABLE
        is the number of its table (the first after the primary header is 1), ROW its row there.

    Raises
    ------
    FormatError
        If the file has no such table.
    """

    def __init__(self, path: str) -> None:
        found, self._primary = single_dish_tables(path)
        self.path, self._tables = path, dict(found)
        self._columns = {number: read_rows(path, each) for number, each in found}
        # The column TDIMn or the card tells how DATA, the column n, lies.
        self._data_index = {number: next(n for n in range(1, 1000) if (
            each.cards.text(f"TTYPE{n}") or "").upper() == "DATA") for number, each in found}
        self._raw = RawFiles([path])
        self._places = [(number, row) for number, each in found for row in range(each.n_row)]
        self._rows: astropy.table.Table | None = None

    def __len__(self) -> int:
        return len(self._places)

    @property
    def rows(self) -> astropy.table.Table:
        """All columns but DATA."""
        if self._rows is None:
            from astropy.table import Table as AstropyTable
            from astropy.table import vstack

            made = []
            for number, columns in self._columns.items():
                n = self._tables[number].n_row
                named = {"TABLE": np.full(n, number), "ROW": np.arange(n)}
                named |= {name: _decoded(values) for name, values in columns.items()}
                made.append(AstropyTable(named))
            self._rows = vstack(made, metadata_conflicts="silent")
        return self._rows

    def value(self, row: int, name: str) -> Any:
        """A value of a row: of its column, else of a card of its table, else of the file's."""
        number, at = self._places[row]
        columns = self._columns[number]
        if name in columns:
            value = columns[name][at]
            return _text(value) if isinstance(value, bytes) else value
        cards = self._tables[number].cards
        return cards.get(name, self._primary.cards.get(name))

    def number(self, row: int, name: str) -> Fraction:
        """A number of a row, exactly; `FormatError` where there is none."""
        value = self.value(row, name)
        try:
            if isinstance(value, np.floating):
                return exact_float(float(value))
            return Fraction(value if isinstance(value, str) else int(value))
        except (TypeError, ValueError, OverflowError, ZeroDivisionError):
            raise FormatError(self.path, f"{self._where(row)}: {name} = {value}; allowed: a number"
                              ) from None

    def field(self, row: int) -> Field:
        """How the spectrum of a row lies in it."""
        number, _ = self._places[row]
        data = self._tables[number].columns["DATA"]
        if data.code not in "ED" or not data.count:
            raise FormatError(self.path, f"table {number}: DATA is {data.count}{data.code}; "
                              "allowed: numbers of type E or D")
        index = self._data_index[number]
        dims = re.findall(r"\d+", str(self.value(row, f"TDIM{index}") or data.dim))
        if dims and int(dims[0]) != data.count:
            raise FormatError(self.path, f"{self._where(row)}: TDIM{index} = ({', '.join(dims)}) "
                              f"of {data.count} numbers; allowed: one spectrum a row")
        return Field(data.count, 1, data.dtype, data.scale, data.zero,
                     self.number(row, "CDELT1") < 0)

    def unit(self, row: int) -> tuple[str | None, str]:
        """Unit of the spectrum of a row, None of a recorder's counts; and as the file states it.

        It stands in the card TUNITn of the column DATA. GBT's files have a column of that name
        instead, with what a temperature is of: Ta is K.
        """
        text = str(self.value(row, f"TUNIT{self._data_index[self._places[row][0]]}") or "").strip()
        return _unit(text), text

    def spectra(self, rows: Any) -> NDArray[Any]:
        """Spectra of some rows, channels in the order of the file.

        Parameters
        ----------
        rows : int, sequence of int, or ndarray of bool
            Rows of `rows`, of one width.

        Returns
        -------
        ndarray, shape (n, chan) or (chan,), float32 or float64 as recorded
        """
        asked = np.asarray(rows)
        index = np.flatnonzero(asked) if asked.dtype == bool else np.atleast_1d(asked)
        if not len(index):
            return np.empty((0, 0), np.float32)
        fields = [self.field(int(row)) for row in index]
        if len({(each.n_chan, each.dtype) for each in fields}) > 1:
            raise UsageError(f"{self.path}: the rows' spectra have {fields[0].n_chan} and other "
                             "channels; allowed: rows of one table")
        out = np.empty((len(index), fields[0].n_chan), fields[0].dtype)
        for row, target in zip(index.tolist(), out, strict=True):
            self._raw.read_into(0, target, self.row_at(row))
        native = out.astype(out.dtype.newbyteorder("="))
        scale, zero = fields[0].scale, fields[0].zero
        native = native if (scale, zero) == (1.0, 0.0) else native * scale + zero
        return native[0] if asked.ndim == 0 else native

    def row_at(self, row: int) -> int:
        """Byte of the file at which the spectrum of a row begins."""
        number, at = self._places[row]
        return self._tables[number].at(at, "DATA")

    def frequencies(self, row: int) -> NDArray[np.float64]:
        """Channel centres of a row, Hz, in the order of the file, as CTYPE1 tells."""
        first, step = self.line(row)
        return float(first) + float(step) * np.arange(self.field(row).n_chan, dtype=np.float64)

    def line(self, row: int) -> tuple[Fraction, Fraction]:
        """Centre of channel 0 of a row and step to the next, exactly, Hz.

        ``f(i) = CRVAL1 + (i + 1 - CRPIX1) CDELT1``, i from 0.
        """
        kind = str(self.value(row, "CTYPE1") or "").strip()
        if not kind.startswith("FREQ"):
            raise FormatError(self.path, f"{self._where(row)}: CTYPE1 = {kind!r}; allowed: FREQ, "
                              "FREQ-OBS")
        step = self.number(row, "CDELT1")
        if not step:
            raise FormatError(self.path, f"{self._where(row)}: CDELT1 = 0; allowed: Hz, not 0")
        return self.number(row, "CRVAL1") + (1 - self.number(row, "CRPIX1")) * step, step

    def start(self, row: int) -> tuple[int, Fraction]:
        """Day (MJD) and seconds of day, UTC, of the start of a row: DATE-OBS as written."""
        text = str(self.value(row, "DATE-OBS") or "").strip()
        found = _DATE.fullmatch(text)
        try:
            if found is None:
                raise ValueError(text)
            day = date(*map(int, found.groups()[:3])).toordinal() - _MJD_0
            hours, minutes, seconds = int(found[4]), int(found[5]), Fraction(found[6])
            if hours > 23 or minutes > 59 or seconds >= 61:
                raise ValueError(text)
        except ValueError:
            raise FormatError(self.path, f"{self._where(row)}: DATE-OBS = {text!r}; allowed: UTC "
                              "such as 2021-02-10T07:38:37.50") from None
        return day, 3600 * hours + 60 * minutes + seconds

    def times(self, rows: Sequence[int]) -> Time:
        """UTC of the starts of some rows."""
        return Time([time_from_mjd(*self.start(int(row))) for row in rows])

    def close(self) -> None:
        """Close the file; reading opens it again."""
        self._raw.close()

    def _where(self, row: int) -> str:
        return "table {}, row {}".format(*self._places[row])

    def values(self, name: str) -> list[Any]:
        """A value of every row, as `value` gives it."""
        out: list[Any] = []
        for number, columns in self._columns.items():
            n = self._tables[number].n_row
            if name in columns:
                out += _decoded(columns[name]).tolist()
            else:
                cards = self._tables[number].cards
                out += [cards.get(name, self._primary.cards.get(name))] * n
        return out

    def place(self, row: int) -> tuple[int, int]:
        """Number of a row's table, and the row there."""
        return self._places[row]

    def cards(self, row: int) -> dict[str, Any]:
        """Cards of a row's table and of the primary header that tell of the observation."""
        return kept(self._tables[self._places[row][0]].cards, self._primary.cards)

    def row_bytes(self, row: int) -> int:
        """Bytes from a row to the next of its table."""
        return self._tables[self._places[row][0]].row_bytes


def _unit(text: str) -> str | None:
    """``K`` of ``Ta``; None of counts, and of what astropy does not know as a unit."""
    import astropy.units as u

    if text.casefold().rstrip("*'") in _TEMPERATURES:
        return "K"
    try:
        unit = u.Unit(text)
    except ValueError:
        return None
    if unit in (u.dimensionless_unscaled, u.count):
        return None
    return text if unit != u.K else "K"


def _text(value: bytes) -> str:
    return value.partition(b"\0")[0].decode("ascii", "replace").strip()


def _decoded(values: NDArray[Any]) -> NDArray[Any]:
    """Texts as such, without what pads them."""
    if values.dtype.kind != "S":
        return values
    flat = [_text(value) for value in values.reshape(-1).tolist()]
    return np.array(flat, dtype=np.str_).reshape(values.shape)
