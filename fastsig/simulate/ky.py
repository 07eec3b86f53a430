"""The file with the positions of FAST's feed cabin: a sheet of an xlsx workbook, a row per sample.

SysTime is Beijing time (UTC + 8 h) as text. Positions are those of the middle feed's phase centre
relative to the sphere's centre: east, north and up. The pose is that of the cabin, and AngleM is
the rotation of the receiver in it.
"""

from __future__ import annotations

import io
import os
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import numpy as np

from fastsig.axes.time import iso
from fastsig.errors import UsageError
from fastsig.io.files.positioned import write_from
from fastsig.io.files.safe import SafeOutput
from fastsig.simulate.track import Track

__all__ = ["COLUMNS", "SHEET", "ky_name", "ky_rows", "write_ky"]

SHEET = "整控-馈源舱数据"
ABOUT = "fastsig"  # a sheet that FAST's files lack, with what readers need besides
COLUMNS = ("SysTime", "SDP_PhaPos_X", "SDP_PhaPos_Y", "SDP_PhaPos_Z", "SDP_SwtDPose_Y",
           "SDP_SwtDPose_P", "SDP_SwtDPose_R", "SDP_AngleM")
_BEIJING = timedelta(hours=8)
MARGIN_S = 3
MOST_ROWS = 2**20 - 1  # of a sheet, without the row of names


def ky_rows(track: Track, step: Fraction) -> tuple[list[datetime], np.ndarray[Any, Any]]:
    """Return Beijing times and numbers, (row, 7), from 3 s before a scan to 3 s after it.

    Parameters
    ----------
    track : Track
    step : Fraction
        Time between rows, s; whole milliseconds.

    Raises
    ------
    UsageError
        If the step is not allowed, or there are more rows than a sheet can have.
    """
    if step <= 0 or (step * 1000).denominator != 1:
        raise UsageError(f"ky_step = {float(step):g} s; allowed: whole milliseconds from 1 ms")
    start = datetime.fromisoformat(iso(track.horizon.start)[:19])
    fraction = Fraction("0." + iso(track.horizon.start)[20:])  # SysTime begins at a whole second
    count = int((Fraction(track.duration_s) + 2 * MARGIN_S + 1) / step) + 1
    if count > MOST_ROWS:
        raise UsageError(f"ky_step = {float(step):g} s makes {count} rows; allowed: {MOST_ROWS} in "
                         "a sheet")
    ticks = [timedelta(milliseconds=int(row * step * 1000)) for row in range(count)]
    seconds = np.array([float(row * step - MARGIN_S - fraction) for row in range(count)])
    first = start + _BEIJING - timedelta(seconds=MARGIN_S)
    numbers = np.column_stack([track.phase_center_m(seconds), track.pose(seconds),
                               track.angle_m(seconds)])
    return [first + tick for tick in ticks], numbers


def ky_name(name: str, track: Track) -> str:
    """Return the file's name as at FAST: ``NAME_YYYY_MM_DD_hh_mm_ss_000.xlsx``, its first time."""
    start = datetime.fromisoformat(iso(track.horizon.start)[:19])
    first = start + _BEIJING - timedelta(seconds=MARGIN_S)
    return f"{name}_{first:%Y_%m_%d_%H_%M_%S}_000.xlsx"


def write_ky(track: Track, path: str | os.PathLike[str], step: Fraction = Fraction(1, 5), *,
             overwrite: bool = False) -> None:
    """Write the track of the feed cabin in FAST's format; identical tracks give identical files.

    A second sheet, named fastsig, states the refraction.

    Raises
    ------
    UsageError
        If `step`, the time between rows in s, is not a positive whole number of milliseconds, if
        there are more rows than a sheet can have, or if the package XlsxWriter is missing.
    OutputError
        If the file exists or cannot be written.
    """
    whole = _workbook(*ky_rows(track, step), track.horizon.air_text)
    with SafeOutput(path, overwrite=overwrite) as output:
        write_from(output.descriptor, np.frombuffer(whole, np.uint8), 0)


def _workbook(times: list[datetime], numbers: np.ndarray[Any, Any], air: str) -> bytes:
    try:
        import xlsxwriter
    except ImportError as error:
        raise UsageError("the file of the feed cabin needs the package XlsxWriter: "
                         f'pip install "fastsig[spectral]" ({error})') from error
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, {"in_memory": True})
    book.set_properties({"created": times[0]})  # otherwise the clock
    sheet = book.add_worksheet(SHEET)
    sheet.write_row(0, 0, COLUMNS)
    for row, (time, values) in enumerate(zip(times, numbers.tolist(), strict=True), 1):
        sheet.write_string(row, 0, f"{time:%Y-%m-%d %H:%M:%S}.{time.microsecond // 1000:03d}")
        sheet.write_row(row, 1, values)
    book.add_worksheet(ABOUT).write_row(0, 0, ("refraction", air))
    book.close()
    return buffer.getvalue()
