"""SDFITS as written by the Green Bank Telescope: tables named SINGLE DISH, one spectrum per row.

A file contains rows of many scans, windows, polarisations, feeds and switching states, in tables of
different width. `table` returns all of them; `open` returns those of one state as a stream.

References
----------
H. S. Liszt (1995), A FITS binary table convention for interchange of single dish data; GBT, SDFITS
files (GBTIDL user's guide); GreenBankObservatory/dysh issue 492 (DATE-OBS is the start of a row).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PolBasis
from fastsig.axes.time import elapsed, sample_time, time_from_mjd
from fastsig.errors import FormatError, UsageError
from fastsig.io.fast import spectral
from fastsig.io.fits.single_dish import RowSpectra, column_names, runs
from fastsig.io.hdf5.json_values import json_value
from fastsig.io.probe import Probe
from fastsig.io.sdfits.tables import SDFITSTable
from fastsig.io.spectra.row_clock import NOTABLE, RowClock, fit, given_step
from fastsig.io.voltages.segments import incomplete
from fastsig.stream.header import Header, split_overrides
from fastsig.telescopes.velocity_frames import known_frame

__all__ = ["KINDS", "NAME", "SDFITSTable", "header_of", "open", "sniff", "states", "table",
           "verify_rows"]

NAME, KINDS = "sdfits", ("spectra",)

#: Keys by which rows are selected, and their columns.
_PICKS = {"scan": "SCAN", "ifnum": "IFNUM", "plnum": "PLNUM", "fdnum": "FDNUM", "cal": "CAL",
          "sig": "SIG", "subref": "SUBREF_STATE"}
# FITS codes of the Stokes axis: kind of feed, name of the product.
_STOKES = {1: ("unknown", "I"), 2: ("unknown", "Q"), 3: ("unknown", "U"), 4: ("unknown", "V"),
           -1: ("circular", "RR"), -2: ("circular", "LL"), -3: ("circular", "RL"),
           -4: ("circular", "LR"), -5: ("linear", "AA"), -6: ("linear", "BB"),
           -7: ("linear", "XY"), -8: ("linear", "YX")}
_TELESCOPES = {"NRAO_GBT": "GBT"}
_YEAR_S, _MOST_S = 366 * 86400, 10**5
#: Labels that move by more than this fraction of a channel are reported.
_MOVED = Fraction(1, 10)
# Values of the first row that are added to `extra` of the header.
_KEPT = ("SCAN", "IFNUM", "PLNUM", "FDNUM", "CAL", "SIG", "OBSMODE", "PROCSEQN", "PROCSCAN",
         "CTYPE1", "CRVAL4", "VELDEF", "VFRAME", "RVSYS", "VELOCITY", "RESTFREQ", "EXPOSURE",
         "DURATION", "TSYS", "TCAL", "SAMPLER", "SIDEBAND", "EQUINOX", "RADESYS")


def sniff(probe: Probe) -> bool:
    """Return whether a file begins with a table SINGLE DISH that is not FAST's own."""
    return "DATA" in column_names(probe) and not spectral.sniff(probe)


def table(path: str | os.PathLike[str]) -> SDFITSTable:
    """Return all rows of an SDFITS file, for reductions that select and combine them."""
    return SDFITSTable(os.fspath(path))


def header_of(found: SDFITSTable, rows: Sequence[int]) -> Header:
    """Return the header of a product of some rows; the rate follows from their start times.

    For a single row, or rows of one time, the rate is 1 / DURATION.

    Parameters
    ----------
    found : SDFITSTable
        The table.
    rows : sequence of int
        Rows in order of time.

    Raises
    ------
    FormatError
        If the rows are tuned differently, or columns have invalid values.
    """
    axis, moved = _axis(found, rows, found.field(rows[0]).n_chan)
    days = [found.start(row) for row in rows]
    span = _seconds(days)[-1] - _seconds(days)[0]
    step = span / (len(rows) - 1) if span else found.number(rows[0], "DURATION")
    if not 0 < step <= _YEAR_S:
        raise FormatError(found.path, f"rows of {float(step):g} s by DATE-OBS or DURATION; "
                          "allowed: above 0 and up to a year")
    header = _header(found, rows, axis)
    return header.replace(
        start_time=time_from_mjd(*days[0]), sample_rate=1 / step,
        n_bits=8 * found.field(rows[0]).dtype.itemsize,
        extra={**header.extra, "frequency_moves_channels": moved})


def open(path: str | os.PathLike[str], **overrides: Any) -> RowSpectra:
    """Open the rows of one state as a stream of spectra of one product.

    The rows are placed on a regular clock according to DATE-OBS. A scan that is not on the clock of
    the previous one is moved to the nearest step. If there is no regular clock, rows are
    consecutive at their mean cadence. Warnings report both cases, and the recorded times remain in
    `times`.

    Parameters
    ----------
    path : path
        The file.
    **overrides
        The common options of `fastsig.open`, and keys that select rows: ``table`` (the first table
        of the file is 1), ``scan``, ``ifnum``, ``plnum``, ``fdnum``, ``cal``, ``sig``, ``subref``
        (SUBREF_STATE, 0 while the subreflector moves). Each accepts one value or several, separated
        by commas. All keys except ``scan`` must have a single value in the selected rows.

    Raises
    ------
    FormatError
        If rows of several states are selected (the message lists them), or columns have invalid
        values.
    UsageError
        If no row has a requested value.
    """
    common, own = split_overrides(overrides, ("table", *_PICKS), NAME)
    found = table(path)
    try:
        return _opened(found, common, own)
    finally:
        found.close()


def states(path: str | os.PathLike[str], **overrides: Any) -> list[dict[str, Any]]:
    """List the states of rows between which `open` would have to choose.

    The list is empty if there is only one state.

    Parameters
    ----------
    path, **overrides
        As for `open`.

    Returns
    -------
    list of dict
        For each state, the keys that select it, its scans, the number of its rows and channels, its
        sources and its telescope.
    """
    _, own = split_overrides(overrides, ("table", *_PICKS), NAME)
    found = table(path)
    try:
        rows, values = _asked(found, own)
        if not _several(values, rows):
            return []
        groups: dict[tuple[Any, ...], list[int]] = {}
        for row in rows:
            groups.setdefault(tuple(each[row] for key, each in values.items() if key != "scan"),
                              []).append(row)
        return [_state(found, values, group) for group in groups.values()]
    finally:
        found.close()


def verify_rows(path: str | os.PathLike[str], **overrides: Any) -> None:
    """Read all rows of all states, with their times and frequencies; the selection is optional.

    Parameters
    ----------
    path, **overrides
        As for `open`.

    Raises
    ------
    DataError
        If a row cannot be read.
    FormatError
        If a column has an invalid value.
    """
    _, own = split_overrides(overrides, ("table", *_PICKS), NAME)
    found = table(path)
    try:
        for row in _asked(found, own)[0]:
            found.start(row)
            found.line(row)
            found.spectra(row)
    finally:
        found.close()


def _state(found: SDFITSTable, values: Mapping[str, list[Any]], rows: list[int]
           ) -> dict[str, Any]:
    """Describe the rows of a state for `states`."""
    def each(of: Sequence[Any]) -> str:
        return ", ".join(dict.fromkeys(str(one) for one in of if one is not None))

    picks = {key: json_value(of[rows[0]]) if key != "scan" else each([of[row] for row in rows])
             for key, of in values.items() if of[rows[0]] is not None}
    telescope = _word(found, rows[0], "TELESCOP")
    return {**picks, "n_time": len(rows), "n_chan": found.field(rows[0]).n_chan,
            "source": each([found.value(row, "OBJECT") for row in rows]),
            "telescope": _TELESCOPES.get(telescope or "", telescope)}


def _opened(found: SDFITSTable, common: Mapping[str, Any], own: Mapping[str, Any]) -> RowSpectra:
    rows, days = _in_time(found, _picked(found, own), own)
    field = found.field(rows[0])
    axis, moved = _axis(found, rows, field.n_chan)
    seconds = _seconds(days)
    clock, mean = _clock(found, rows, seconds, common)
    slots = clock.slots[0]
    if (int(slots[-1]) + 1) * clock.step > _YEAR_S:
        raise FormatError(found.path, "DATE-OBS: the rows span more than a year")
    anchor = clock.anchor[1]
    start = sample_time(time_from_mjd(*days[anchor]), -int(slots[anchor]), 1 / clock.step)
    extra = {"clock": "mean cadence" if mean else "regular", "frequency_moves_channels": moved}
    header = _header(found, rows, axis).replace(start_time=start, sample_rate=1 / clock.step)
    header = header.replace(n_bits=8 * field.dtype.itemsize, extra={**header.extra, **extra})
    row_at = np.array([found.row_at(row) for row in rows], np.int64)
    times = np.array([each[0] + float(each[1] / 86400) for each in days])
    return RowSpectra(header.overridden(common), found.path, [found.path],
                      runs(slots, 0, row_at, found.row_bytes(rows[0])), field, slots, times,
                      _places(found, rows))


def _places(found: SDFITSTable, rows: Sequence[int]) -> dict[str, NDArray[np.float64]]:
    """Return the positions of the rows, if all rows have them."""
    out = {}
    for name, kind, value in (("ra_deg", "RA", "2"), ("dec_deg", "DEC", "3")):
        each = [_angle(found, row, f"CTYPE{value}", kind, f"CRVAL{value}") for row in rows]
        if all(angle is not None for angle in each):
            out[name] = np.array(each, np.float64)
    return out if len(out) == 2 else {}


def _picked(found: SDFITSTable, own: Mapping[str, Any]) -> list[int]:
    """Return the requested rows, all of one state."""
    rows, values = _asked(found, own)
    many = _several(values, rows)
    if many:
        picks = " ".join(f"--set {key}={values[key][rows[0]]}" for key in many)
        raise FormatError(found.path, f"contains rows of several states: {_listed(values, rows)}; "
                          f"select one, for example by {picks}")
    return rows


def _several(values: Mapping[str, list[Any]], rows: list[int]) -> list[str]:
    """Return the keys by which the states of these rows differ."""
    return [key for key in values if key != "scan" and len({values[key][row] for row in rows}) > 1]


def _asked(found: SDFITSTable, own: Mapping[str, Any]
           ) -> tuple[list[int], dict[str, list[Any]]]:
    """Return the requested rows, of any state, and the selection keys of all rows."""
    if not len(found):
        raise FormatError(found.path, "contains no complete row")
    rows = list(range(len(found)))
    values = {"table": [found.place(row)[0] for row in rows],
              **{key: found.values(name) for key, name in _PICKS.items()}}
    for key, asked in own.items():
        wanted = {each.strip().upper() for each in str(asked).split(",")}
        left = [row for row in rows if str(values[key][row]).upper() in wanted]
        if not left:
            raise UsageError(f"{found.path}: no row has {key} = {asked!r}; allowed: "
                             f"{_listed(values, rows)}")
        rows = left
    return rows, values


def _listed(values: Mapping[str, list[Any]], rows: Sequence[int]) -> str:
    """List the values that can be selected, as ``scan 152, 153; ifnum 0; cal T, F``."""
    parts = []
    for key, each in values.items():
        some = list(dict.fromkeys(str(each[row]) for row in rows if each[row] is not None))
        if some and (key != "subref" or len(some) > 1):
            shown = some if len(some) <= 20 else [*some[:19], f"... ({len(some)})"]
            parts.append(f"{key} {', '.join(shown)}")
    return "; ".join(parts)


def _in_time(found: SDFITSTable, rows: Sequence[int], own: Mapping[str, Any]
             ) -> tuple[list[int], list[tuple[int, Fraction]]]:
    """Return rows in order of time, and their days and seconds of day."""
    starts = {row: found.start(row) for row in rows}
    ordered = sorted(rows, key=lambda row: starts[row])
    for before, after in pairwise(ordered):
        if starts[before] == starts[after]:
            where = "table {}, row {}".format(*found.place(before))
            raise FormatError(found.path, f"{where} and row {found.place(after)[1]} have the same "
                              f"DATE-OBS; selected by {dict(own) or 'nothing'}; allowed: one row "
                              "per time, for example by --set scan=...; "
                              "fastsig.io.sdfits.reader.table returns all rows")
    return ordered, [starts[row] for row in ordered]


def _seconds(days: Sequence[tuple[int, Fraction]]) -> list[Fraction]:
    """Return exact seconds (TAI) from the first day, for days and seconds of day."""
    first = days[0][0]
    begin = {day: elapsed(time_from_mjd(first), time_from_mjd(day)) if day != first else Fraction(0)
             for day in {each[0] for each in days}}
    return [begin[day] + rest for day, rest in days]


def _clock(found: SDFITSTable, rows: Sequence[int], seconds: Sequence[Fraction],
           common: Mapping[str, Any]) -> tuple[RowClock, bool]:
    """Return the clock of the rows, and whether its step is the mean of irregular rows."""
    given = given_step(common)
    if given is None and len(rows) == 1:
        given = found.number(rows[0], "DURATION")
        if not 0 < given <= _MOST_S:
            raise FormatError(found.path, f"DURATION = {float(given):g} s of a single row; "
                              "allowed: above 0; give --set sample_rate=0.5")
    clock = fit([np.array([float(each - seconds[0]) for each in seconds])], given,
                fixed=given is not None)
    if clock.most_off <= NOTABLE:
        return clock, False
    steady = float(np.median(np.abs(np.diff(clock.off[0])))) <= NOTABLE  # except where scans begin
    if given is not None or steady:
        incomplete(found.path, f"DATE-OBS of {clock.n_off} of {len(rows)} rows deviates from a "
                   f"clock of {float(clock.step):.9g} s, by up to {clock.most_off:.3g} rows; "
                   "`times` has the recorded times")
        return clock, False
    step = (seconds[-1] - seconds[0]) / (len(rows) - 1)
    incomplete(found.path, f"rows are irregular in time; they are placed at their mean cadence of "
               f"{float(step):.9g} s, and `times` has the recorded times")
    slots = np.arange(len(rows), dtype=np.int64)
    turns = np.array([float((each - seconds[0]) / step) for each in seconds])
    off = np.subtract(turns, slots, dtype=np.float64)
    return RowClock(step, (slots,), (off,), (0, 0)), True


def _axis(found: SDFITSTable, rows: Sequence[int], n_chan: int) -> tuple[ChannelAxis, float]:
    """Return the channels of the first row, and the largest offset of other rows in channels."""
    first, step = found.line(rows[0])
    most = Fraction(0)
    for row in rows[1:]:
        other, width = found.line(row)
        if found.field(row).n_chan != n_chan or width != step:
            raise FormatError(found.path, "table {}, row {}: its channels differ from those of "
                              "the first selected row; allowed: one set".format(*found.place(row)))
        most = max(most, abs((other - first) / step))
    if most > Fraction(n_chan, 2):
        raise FormatError(found.path, f"the selected rows are tuned up to {float(most):.4g} "
                          "channels apart; allowed: half of the band; select a scan")
    if most > _MOVED:
        incomplete(found.path, f"labels of channels move by up to {float(most):.3g} channels; "
                   "those of the first row are used")
    if step < 0:
        first, step = first + (n_chan - 1) * step, -step
    return ChannelAxis(first, step, n_chan), float(most)


def _header(found: SDFITSTable, rows: Sequence[int], axis: ChannelAxis) -> Header:
    """Return the header of rows without the clock."""
    first = rows[0]
    extra = found.cards(first)
    for name in _KEPT:
        value = found.value(first, name)
        if value is not None:
            extra[name] = json_value(value)
    unit = _unit(found, rows)
    if unit[1]:
        extra["TUNIT"] = unit[1]
    sources = list(dict.fromkeys(str(found.value(row, "OBJECT") or "") for row in rows))
    if len(sources) > 1:
        extra["OBJECT"] = ", ".join(sources)
    kind = str(found.value(first, "CTYPE1")).strip()
    frame = "topocentric" if kind in ("FREQ", "FREQ-OBS") else kind.partition("-")[2]
    extra["frame"] = frame
    origin = {"start_time": "DATE-OBS", "sample_rate": "DATE-OBS" if len(rows) > 1 else "DURATION",
              "channels": "CRVAL1, CRPIX1, CDELT1", "source": "OBJECT", "polarization": "CRVAL4",
              "unit": "TUNIT of DATA"}
    telescope = _word(found, first, "TELESCOP")
    return Header(
        start_time=time_from_mjd(50000), sample_rate=Fraction(1), channels=axis,
        polarization=_products(found, rows),
        telescope=_TELESCOPES.get(telescope or "", telescope),
        receiver=_word(found, first, "FRONTEND"), backend=_word(found, first, "BACKEND"),
        source=sources[0] or None if len(sources) == 1 else None,
        ra_deg=_angle(found, first, "CTYPE2", "RA", "CRVAL2"),
        dec_deg=_angle(found, first, "CTYPE3", "DEC", "CRVAL3"), extra=extra,
        unit=unit[0], specsys=known_frame(frame) or frame.casefold(), rest_hz=_rest(found, first),
        origin={key: f"{os.path.basename(found.path)}:{value}" for key, value in origin.items()},
    )


def _unit(found: SDFITSTable, rows: Sequence[int]) -> tuple[str | None, str]:
    """Return the common unit of all rows, and its text in the file."""
    first = found.unit(rows[0])
    for row in rows[1:]:
        other = found.unit(row)
        if other[0] != first[0]:
            raise FormatError(found.path, "table {}, row {}: values in {}, but in {} in the first "
                              "selected row; allowed: one unit".format(
                                  *found.place(row), other[1] or "counts", first[1] or "counts"))
    return first


def _products(found: SDFITSTable, rows: Sequence[int]) -> PolBasis:
    codes = {found.value(row, "CRVAL4") for row in rows}
    try:
        (code,) = codes
        kind, name = _STOKES[int(float(code))]
    except (KeyError, TypeError, ValueError, OverflowError):
        return PolBasis("unknown", ("unknown",))
    return PolBasis(kind, (name,))  # type: ignore[arg-type]


def _rest(found: SDFITSTable, row: int) -> float | None:
    """Return the rest frequency, Hz, or None if there is none."""
    try:
        value = float(found.value(row, "RESTFREQ"))
    except (TypeError, ValueError):
        return None
    return value if 0 < value < 1e15 else None


def _word(found: SDFITSTable, row: int, name: str) -> str | None:
    return str(found.value(row, name) or "").strip() or None


def _angle(found: SDFITSTable, row: int, axis: str, kind: str, name: str) -> float | None:
    """Return the degrees of a direction if the axis is of that kind, else None."""
    if _word(found, row, axis) != kind:
        return None
    try:
        value = float(found.value(row, name))
    except (TypeError, ValueError):
        return None
    return value if np.isfinite(value) else None
