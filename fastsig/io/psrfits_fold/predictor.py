"""The table POLYCO of an archive: rows of TEMPO's polynomials of phase.

``phase = REF_PHS + 60 DT REF_F0 + c1 + c2 DT + c3 DT^2 + ...``, with DT in minutes after REF_MJD.
Numbers are kept as the file has them; `fastsig.pulsar.polyco_rows` computes phases from them.

References
----------
J. H. Taylor and J. M. Weisberg, TEMPO, tz.txt; PSRFITS definition, version 5.4: POLYCO.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import FormatError
from fastsig.io.files.cards import FIRST_DAY, LAST_DAY
from fastsig.io.fits.layout import Table, read_column
from fastsig.pulsar.polyco_rows import phases_by

__all__ = ["COLUMNS", "by_polyco", "read_polyco"]

Row = Mapping[str, Any]
F8 = NDArray[np.float64]

#: Columns: letter of TFORM, type, and unit.
COLUMNS: dict[str, tuple[str, str, str]] = {
    "DATE_PRO": ("24A", "S24", ""), "POLYVER": ("16A", "S16", ""), "NSPAN": ("1I", ">i2", ""),
    "NCOEF": ("1I", ">i2", ""), "NPBLK": ("1I", ">i2", ""), "NSITE": ("8A", "S8", ""),
    "REF_FREQ": ("1D", ">f8", "MHz"), "PRED_PHS": ("1D", ">f8", ""),
    "REF_MJD": ("1D", ">f8", ""), "REF_PHS": ("1D", ">f8", ""), "REF_F0": ("1D", ">f8", "Hz"),
    "LGFITERR": ("1D", ">f8", ""), "COEFF": ("", ">f8", ""),
}

_NEEDED = ("NSPAN", "REF_MJD", "REF_PHS", "REF_F0", "COEFF")
_SLACK = 0.1  # of a span; PSRCHIVE uses a polynomial as far beyond its ends
_MOST_ROWS, _MOST_TERMS = 10**4, 30
_MOST_TURNS = 1e15


def read_polyco(path: str, table: Table) -> tuple[dict[str, Any], ...]:
    """Return the rows of POLYCO by the names of columns: numbers, texts, and COEFF as a tuple.

    Raises
    ------
    FormatError
        If a column is missing, or has values that are not a polynomial.
    """
    table.require(path, *_NEEDED)
    n_row = min(table.n_row, _MOST_ROWS)
    names = [name for name in COLUMNS if name in table.columns and _is_usual(table, name)]
    for name in _NEEDED:
        if name not in names:
            raise FormatError(path, f"{name} of POLYCO is of another type; allowed: numbers")
    values = {name: read_column(path, table, name, 0, n_row) for name in names}
    rows = [{name: _plain(values[name][k]) for name in names} for k in range(n_row)]
    for number, row in enumerate(rows):
        row["COEFF"] = np.atleast_1d(row["COEFF"])[:_MOST_TERMS]
        row["COEFF"] = tuple(map(float, row["COEFF"][: max(0, int(row.get("NCOEF", _MOST_TERMS)))]))
        if not _is_sound(row):
            raise FormatError(path, f"row {number} of POLYCO has NSPAN = {row['NSPAN']}, REF_MJD = "
                              f"{row['REF_MJD']}, REF_PHS = {row['REF_PHS']}, REF_F0 = "
                              f"{row['REF_F0']}; allowed: finite numbers, NSPAN and REF_F0 above "
                              f"0, and phases up to {_MOST_TURNS:g} turns")
    return tuple(rows)


def _is_usual(table: Table, name: str) -> bool:
    """Whether a column has texts or numbers as usual, and one number in a row except for COEFF."""
    column = table.columns[name]
    if COLUMNS[name][0].endswith("A"):
        return column.code == "A"
    return column.code in "BIJKED" and (column.count == 1 or (name == "COEFF" and column.count > 1))


def _is_sound(row: Row) -> bool:
    """Whether a row is a polynomial whose phases within its span can be computed."""
    known = (*(row[name] for name in _NEEDED[:-1]), *row["COEFF"])
    if not all(isinstance(each, (int, float)) and np.isfinite(each) for each in known):
        return False
    reach = row["NSPAN"] * (0.5 + _SLACK)
    terms = [row["REF_PHS"], 60 * row["REF_F0"] * reach,
             *(each * reach**k for k, each in enumerate(row["COEFF"]))]
    return bool(row["NSPAN"] > 0 and row["REF_F0"] > 0 and FIRST_DAY <= row["REF_MJD"] <= LAST_DAY
                and all(abs(each) < _MOST_TURNS for each in terms))


def _plain(value: Any) -> Any:
    if isinstance(value, (bytes, np.bytes_)):
        return value.decode("ascii", "replace").strip("\0 ")
    return value.item() if isinstance(value, np.generic) else value


def by_polyco(rows: Sequence[Row], reference: tuple[int, Fraction], seconds: F8
              ) -> tuple[F8, F8]:
    """Return phases, within (-0.5, 0.5] turns, and frequencies, Hz; NaN where no row has the time.

    A time uses the row whose middle is nearest.

    Parameters
    ----------
    rows : sequence of mapping
    reference : (int, Fraction)
        UTC day number, and seconds of that day.
    seconds : ndarray, shape (time,), float64
        Times after the reference, s.
    """
    phases, frequencies = np.full((2, len(seconds)), np.nan)
    if not rows:
        return phases, frequencies
    day, first = reference
    minutes = np.array([(day - row["REF_MJD"]) * 1440 + float(first) / 60 for row in rows])
    away = np.abs(minutes[:, None] + seconds / 60)
    used = away.argmin(axis=0)
    half = np.array([row["NSPAN"] * (0.5 + _SLACK) for row in rows])
    covered = away[used, np.arange(len(seconds))] <= half[used]
    for number in np.unique(used[covered]):
        here = covered & (used == number)
        phases[here], frequencies[here] = phases_by(rows[number], reference, seconds[here])
    return phases, frequencies
