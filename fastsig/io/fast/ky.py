"""FAST's pointing tables (KY files): xlsx, with a row for each position of the feed cabin.

The columns are SysTime (Beijing time); SDP_PhaPos_X, _Y and _Z (metres east, north and up from the
centre of the sphere); SDP_SwtDPose_Y, _P and _R (yaw, pitch and roll in radians); and SDP_AngleM
(the rotation of the receiver in radians).
"""

from __future__ import annotations

import datetime
import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from fastsig.axes.time import as_iso
from fastsig.axes.units import number
from fastsig.errors import FastsigWarning, FormatError, UsageError, unreadable, users_line
from fastsig.telescopes.pointing import CabinTrack, Refraction

__all__ = ["SHEET", "SIMULATED", "read"]

SHEET = "整控-馈源舱数据"
#: A sheet that fastsig's simulator adds, with names and values that FAST's tables do not have.
SIMULATED = "fastsig"

_TIME = "SysTime"
_PLACE = ("SDP_PhaPos_X", "SDP_PhaPos_Y", "SDP_PhaPos_Z")
_POSE = ("SDP_SwtDPose_Y", "SDP_SwtDPose_P", "SDP_SwtDPose_R")
_ANGLE = "SDP_AngleM"
_NUMBERS = (*_PLACE, *_POSE, _ANGLE)

_TITLE_ROWS = 20
_RADIUS_M = (100.0, 200.0)  # the cabin is 160 m from the centre of the sphere
_TURNS_RAD = 4 * np.pi


def read(path: str | os.PathLike[str], *, utc_offset: Any = "8h") -> CabinTrack:
    """Read a KY file.

    Rows that lack a number or repeat a time are left out, with one warning. Directions in recorded
    tables are affected by refraction, which by default is that assumed by HiFAST; tables of the
    simulator state the refraction, or that there was none.

    Parameters
    ----------
    path : path
        The file.
    utc_offset : Quantity or str
        Hours by which the clock of the table is ahead of UTC.

    Raises
    ------
    FormatError
        If the file is not a workbook, lacks a column, or contains impossible positions.
    UsageError
        If the package that reads xlsx is not installed.
    """
    name = os.fspath(path)
    rows, about = _rows(name)
    start, places = _columns(rows, name)
    body = [row for row in rows[start:] if any(cell not in ("", None) for cell in row)]
    ahead = number(utc_offset, "h", "utc_offset")
    stamps = _stamps([row[places[_TIME]] for row in body], name)
    stamps = stamps - np.timedelta64(round(ahead * 3600e9), "ns")
    numbers = _numbers(body, [places[column] for column in _NUMBERS])
    stamps, numbers = _sound(stamps, numbers, name)
    _check(numbers, name)
    time = as_iso(Time(stamps, format="datetime64", scale="utc"))
    return CabinTrack(name, time, numbers[:, :3], numbers[:, 3:6], numbers[:, 6], _air(about, name))


def _air(about: Sequence[Sequence[Any]], path: str) -> Refraction | None:
    """Return the refraction stated in a simulated track, or else that of a recorded one."""
    stated = {str(row[0]): str(row[1]) for row in about if len(row) > 1}
    if "refraction" not in stated:
        return Refraction()
    try:
        return Refraction.parse(stated["refraction"])
    except UsageError as error:
        raise FormatError(path, f"sheet {SIMULATED}: {error}") from None


def _rows(path: str) -> tuple[list[list[Any]], list[list[Any]]]:
    """Return the cells of the cabin's sheet, by default the first one, and of the simulator's."""
    try:
        from python_calamine import CalamineError, CalamineWorkbook
    except ImportError as error:
        raise UsageError(f"{path}: reading xlsx files needs python-calamine: "
                         "pip install 'fastsig[spectral]'") from error
    try:
        with open(path, "rb"):  # so that a missing file is reported as for other formats
            pass
        book = CalamineWorkbook.from_path(path)
        names = book.sheet_names
        if not names:
            raise FormatError(path, "the workbook has no sheet")
        sheet = book.get_sheet_by_name(SHEET if SHEET in names else names[0])
        rows: list[list[Any]] = sheet.to_python()
        about = book.get_sheet_by_name(SIMULATED).to_python() if SIMULATED in names else []
    except OSError as error:
        raise unreadable(path, error) from error
    except CalamineError as error:
        raise FormatError(path, f"not a readable workbook (xlsx): {error}") from error
    return rows, about


def _columns(rows: Sequence[Sequence[Any]], path: str) -> tuple[int, dict[str, int]]:
    """Return the number of the row after the titles, and the places of the columns."""
    for index, row in enumerate(rows[:_TITLE_ROWS]):
        titles = [str(cell).strip() for cell in row]
        if _TIME in titles:
            missing = [name for name in _NUMBERS if name not in titles]
            if missing:
                raise FormatError(path, f"the table lacks {', '.join(missing)}; it has "
                                  f"{', '.join(title for title in titles if title)}")
            return index + 1, {name: titles.index(name) for name in (_TIME, *_NUMBERS)}
    raise FormatError(path, f"no column {_TIME}: not a table of FAST's feed cabin (KY)")


def _stamps(cells: Sequence[Any], path: str) -> NDArray[np.datetime64]:
    """Return the times by the clock of the table; NaT for empty cells."""
    texts = [cell.isoformat() if isinstance(cell, datetime.datetime)
             else str(cell).strip().replace("/", "-") or "NaT" for cell in cells]
    try:
        return np.array(texts, "datetime64[ns]")
    except ValueError:
        bad = next(text for text in texts if not _is_time(text))
        raise FormatError(path, f"{_TIME} = {bad!r}; allowed: times such as "
                          "2023-03-05 21:30:00.200") from None


def _is_time(text: str) -> bool:
    try:
        np.datetime64(text, "ns")
    except ValueError:
        return False
    return True


def _numbers(rows: Sequence[Sequence[Any]], places: Sequence[int]) -> NDArray[np.float64]:
    """Return cells as numbers, shape (row, column); NaN if they are not numbers."""
    found = np.full((len(rows), len(places)), np.nan)
    for index, row in enumerate(rows):
        for column, place in enumerate(places):
            try:
                found[index, column] = float(row[place])
            except (TypeError, ValueError, IndexError):
                continue
    return found


def _sound(stamps: NDArray[np.datetime64], numbers: NDArray[np.float64], path: str
           ) -> tuple[NDArray[np.datetime64], NDArray[np.float64]]:
    """Return the complete rows in order of time, without repeated times."""
    whole = ~np.isnat(stamps) & np.isfinite(numbers).all(axis=1)
    if not whole.any():
        raise FormatError(path, "no row of the table has a time and all numbers")
    kept, index = np.unique(stamps[whole], return_index=True)
    if len(kept) < len(stamps):
        warnings.warn(FastsigWarning(
            f"{path}: {len(stamps) - len(kept)} of {len(stamps)} rows lack a number or repeat a "
            "time; they are left out"), stacklevel=users_line())
    return kept, numbers[whole][index]


def _check(numbers: NDArray[np.float64], path: str) -> None:
    radius = np.sqrt(np.sum(numbers[:, :3] ** 2, axis=1))
    bad = (radius < _RADIUS_M[0]) | (radius > _RADIUS_M[1]) | (numbers[:, 2] >= 0)
    if bad.any():
        x, y, z = numbers[bad][0, :3]
        low, high = _RADIUS_M
        raise FormatError(path, f"SDP_PhaPos = {x:g}, {y:g}, {z:g}; the cabin hangs {low:g} to "
                          f"{high:g} m below the centre of the sphere")
    turned = np.abs(numbers[:, 3:]).max(axis=1)
    if (turned > _TURNS_RAD).any():
        row = numbers[turned > _TURNS_RAD][0, 3:]
        raise FormatError(path, f"yaw, pitch, roll, angle = {', '.join(f'{v:g}' for v in row)}; "
                          "allowed: radians within two turns")
