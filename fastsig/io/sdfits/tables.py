"""All rows of an SDFITS file: columns are read at once, spectra on demand."""

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
    """All rows of the tables SINGLE DISH of a file; spectra are read on demand.

    Parameters
    ----------
    path : str
        The file.

    Attributes
    ----------
    rows : astropy.table.Table
        All columns except DATA, in the order of the file; masked where the table of a row lacks a
        column. TABLE is the number of the table (the first after the primary header is 1), and ROW
        is the row in this table.

    Raises
    ------
    FormatError
        If the file has no such table.
    """

    def __init__(self, path: str) -> None:
        found, self._primary = single_dish_tables(path)
        self.path, self._tables = path, dict(found)
        self._columns = {number: read_rows(path, each) for number, each in found}
        # The column TDIMn or the card of this name gives the shape of DATA, the column n.
        self._data_index = {number: next(n for n in range(1, 1000) if (
            each.cards.text(f"TTYPE{n}") or "").upper() == "DATA") for number, each in found}
        self._raw = RawFiles([path])
        self._places = [(number, row) for number, each in found for row in range(each.n_row)]
        self._rows: astropy.table.Table | None = None

    def __len__(self) -> int:
        return len(self._places)

    @property
    def rows(self) -> astropy.table.Table:
        """All columns except DATA."""
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
        """Return a value of a row, from its column, a card of its table or a card of the file."""
        number, at = self._places[row]
        columns = self._columns[number]
        if name in columns:
            value = columns[name][at]
            return _text(value) if isinstance(value, bytes) else value
        cards = self._tables[number].cards
        return cards.get(name, self._primary.cards.get(name))

    def number(self, row: int, name: str) -> Fraction:
        """Return a number of a row exactly; raise `FormatError` if there is none."""
        value = self.value(row, name)
        try:
            if isinstance(value, np.floating):
                return exact_float(float(value))
            return Fraction(value if isinstance(value, str) else int(value))
        except (TypeError, ValueError, OverflowError, ZeroDivisionError):
            raise FormatError(self.path, f"{self._where(row)}: {name} = {value}; allowed: a number"
                              ) from None

    def field(self, row: int) -> Field:
        """Return the layout of the spectrum in a row."""
        number, _ = self._places[row]
        data = self._tables[number].columns["DATA"]
        if data.code not in "ED" or not data.count:
            raise FormatError(self.path, f"table {number}: DATA is {data.count}{data.code}; "
                              "allowed: numbers of type E or D")
        index = self._data_index[number]
        dims = re.findall(r"\d+", str(self.value(row, f"TDIM{index}") or data.dim))
        if dims and int(dims[0]) != data.count:
            raise FormatError(self.path, f"{self._where(row)}: TDIM{index} = ({', '.join(dims)}) "
                              f"of {data.count} numbers; allowed: one spectrum per row")
        return Field(data.count, 1, data.dtype, data.scale, data.zero,
                     self.number(row, "CDELT1") < 0)

    def unit(self, row: int) -> tuple[str | None, str]:
        """Return the unit of the spectrum of a row, None for counts, and its text in the file.

        It is in the card TUNITn of the column DATA. Files of the GBT have a column of this name
        instead, with the kind of temperature: Ta means K.
        """
        text = str(self.value(row, f"TUNIT{self._data_index[self._places[row][0]]}") or "").strip()
        return _unit(text), text

    def spectra(self, rows: Any) -> NDArray[Any]:
        """Read the spectra of some rows, with channels in the order of the file.

        Parameters
        ----------
        rows : int, sequence of int, or ndarray of bool
            Rows of the attribute `rows`, whose spectra have the same number of channels.

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
            raise UsageError(f"{self.path}: the spectra of these rows have {fields[0].n_chan} and "
                             "other numbers of channels; allowed: rows of one table")
        out = np.empty((len(index), fields[0].n_chan), fields[0].dtype)
        for row, target in zip(index.tolist(), out, strict=True):
            self._raw.read_into(0, target, self.row_at(row))
        native = out.astype(out.dtype.newbyteorder("="))
        scale, zero = fields[0].scale, fields[0].zero
        native = native if (scale, zero) == (1.0, 0.0) else native * scale + zero
        return native[0] if asked.ndim == 0 else native

    def row_at(self, row: int) -> int:
        """Return the byte of the file at which the spectrum of a row begins."""
        number, at = self._places[row]
        return self._tables[number].at(at, "DATA")

    def frequencies(self, row: int) -> NDArray[np.float64]:
        """Return the channel centres of a row, Hz, in the order of the file, as given by CTYPE1."""
        first, step = self.line(row)
        return float(first) + float(step) * np.arange(self.field(row).n_chan, dtype=np.float64)

    def line(self, row: int) -> tuple[Fraction, Fraction]:
        """Return the exact centre of channel 0 of a row and the step to the next, Hz.

        The frequencies are ``f(i) = CRVAL1 + (i + 1 - CRPIX1) CDELT1``, for i from 0.
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
        """Return the start of a row, from DATE-OBS: day (MJD) and seconds of the day, UTC."""
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
        """Return the UTC times of the starts of some rows."""
        return Time([time_from_mjd(*self.start(int(row))) for row in rows])

    def close(self) -> None:
        """Close the file; reading opens it again."""
        self._raw.close()

    def _where(self, row: int) -> str:
        return "table {}, row {}".format(*self._places[row])

    def values(self, name: str) -> list[Any]:
        """Return a value of every row, as returned by `value`."""
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
        """Return the number of the table of a row, and the row in it."""
        return self._places[row]

    def cards(self, row: int) -> dict[str, Any]:
        """Return the cards of a row's table, and those of the primary header on the observation."""
        return kept(self._tables[self._places[row][0]].cards, self._primary.cards)

    def row_bytes(self, row: int) -> int:
        """Return the bytes from a row to the next one of its table."""
        return self._tables[self._places[row][0]].row_bytes


def _unit(text: str) -> str | None:
    """Return ``K`` for ``Ta``; None for counts, and for text that is not a unit of astropy."""
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
    """Return texts as strings without padding."""
    if values.dtype.kind != "S":
        return values
    flat = [_text(value) for value in values.reshape(-1).tolist()]
    return np.array(flat, dtype=np.str_).reshape(values.shape)
