"""FAST's spectral files: a table SINGLE DISH with a spectrum of four products per row.

The files of one scan form one stream. UTOBS places the rows on a clock of the integration time; the
recorded times remain available as `times`, which belong to the spectra `slots`.

References
----------
P. Jiang et al. 2020, RAA 20, 064 (FAST's backends); Y. Jing et al. 2024, arXiv:2401.17364 (HiFAST,
which reads the same files).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PRODUCTS, PolBasis
from fastsig.axes.time import sample_time, time_from_mjd
from fastsig.errors import FormatError
from fastsig.io.files.cards import FIRST_DAY, LAST_DAY
from fastsig.io.fits.layout import Table
from fastsig.io.fits.single_dish import (
    Field,
    RowSpectra,
    beam_of_name,
    choice,
    column_names,
    exact_float,
    kept,
    read_rows,
    runs,
    single_dish_tables,
)
from fastsig.io.hdf5.json_values import json_value
from fastsig.io.probe import Probe
from fastsig.io.spectra.row_clock import (
    FAST_STEPS,
    RowClock,
    exact_step,
    exact_time,
    fit,
    given_step,
    seconds_of,
)
from fastsig.io.voltages.segments import incomplete
from fastsig.stream.header import Header, split_overrides

__all__ = ["F_WIDTH", "KINDS", "MANY", "MARKS", "MODES", "NAME", "open", "sniff"]

NAME, KINDS = "fast_spectral", ("spectra",)

#: Whether `open` accepts several files of one scan.
MANY = True

_COLUMNS = ("UTOBS", "EXPOSURE", "NCHAN", "FREQ", "CHAN_BW", "DATA")
#: Width of a channel in mode F, Hz; HiFAST assumes labels half of it below the centres.
F_WIDTH = Fraction(500 * 10**6, 2**20)
#: Number and width (Hz) of the channels in each mode of the backend.
MODES = {"F": (2**20, F_WIDTH), "W": (2**16, 16 * F_WIDTH), "N": (2**16, F_WIDTH)}
_LABELS = {"header": Fraction(0), "half-channel": F_WIDTH / 2}
#: The instants of a row that a time may record, in halves of a row from its start.
MARKS = {"start": 0, "middle": 1, "end": 2}
_LEAST_S, _MOST_S, _YEAR_S = Fraction(1, 10**6), 10**5, 366 * 86400
_PRODUCTS = {2: PRODUCTS["AABB"], 4: PRODUCTS["AABBCRCI"]}

# Ambiguities of the files, noted in every header.
_NOTES = {
    "frame": "topocentric, whatever SPECSYS states (as SSYSOBS states)",
    "products": "XX, YY, Re, Im taken as AA, BB, CR, CI; whether Im is that of <A* B> or of "
                "<A B*> is not documented",
}


class _File(NamedTuple):
    path: str
    table: Table
    field: Field
    columns: Mapping[str, NDArray[Any]]
    cards: Mapping[str, Any]

    @property
    def row_at(self) -> NDArray[np.int64]:
        """Byte offsets of the spectra of the rows."""
        table = self.table
        begin = table.data_offset + table.columns["DATA"].offset
        return begin + table.row_bytes * np.arange(table.n_row, dtype=np.int64)


def sniff(probe: Probe) -> bool:
    """Whether a file begins with a table SINGLE DISH that has FAST's columns."""
    return column_names(probe).issuperset(_COLUMNS)


def open(path: str | os.PathLike[str] | Sequence[str], **overrides: Any) -> RowSpectra:
    """Open the files of one scan of one beam as a stream of spectra.

    Parameters
    ----------
    path : path or sequence of path
        The files, in any order.
    **overrides
        The common options of `fastsig.open`, and

        label : {"header", "half-channel"}
            Whether FREQ is the centre of channel 0, as the header states (the default), or half a
            channel of mode F (238.4 Hz) below it, as HiFAST assumes. Sources conflict.
        utobs : {"start", "middle", "end"}
            The instant of a row that UTOBS records. It is not documented. By default, UTOBS is used
            unchanged, as the start of the row, which is the time of a row in fastsig.

    Raises
    ------
    FormatError
        If the files have no such table, or do not belong to one scan. Truncated rows, and times
        that deviate from the clock by more than a tenth of a row, cause a `FastsigWarning`.
    """
    paths = [os.fspath(path)] if isinstance(path, (str, os.PathLike)) else [*map(os.fspath, path)]
    common, own = split_overrides(overrides, ("label", "utobs"), NAME)
    label = choice(own, "label", _LABELS)
    mark = choice(own, "utobs", MARKS)
    files = [_file(each) for each in paths]
    files = [each for each in files if each.table.n_row]
    if not files:
        raise FormatError(paths[0], "contains no complete row")
    _same(files)
    files, clock, zero = _on_clock(files, common)
    if zero is None:
        start = time_from_mjd(FIRST_DAY)  # replaced by the start given by the user
    else:
        back = 2 * int(clock.slots[clock.anchor[0]][clock.anchor[1]]) + MARKS[mark]
        start = sample_time(zero, -back, 2 / clock.step)
    header = _header(files[0], start, 1 / clock.step, label)
    extra = {**header.extra, "label": label, "utobs": mark, **_NOTES}
    header = header.replace(extra=extra).overridden(common)
    segments = [run for number, (each, slots) in enumerate(zip(files, clock.slots, strict=True))
                for run in runs(slots, number, each.row_at, each.table.row_bytes)]
    times = np.concatenate([_utobs(each) for each in files])
    return RowSpectra(header, files[0].path, [each.path for each in files], segments,
                      files[0].field, np.concatenate(clock.slots), times)


def _file(path: str) -> _File:
    found, primary = single_dish_tables(path)
    _, table = found[0]
    table.require(path, *_COLUMNS)
    for name in _COLUMNS[:-1]:
        column = table.columns[name]
        if column.code not in "IJKED" or column.count != 1:
            raise FormatError(path, f"the column {name} is {column.count}{column.code}; allowed: "
                              "one number")
    columns = read_rows(path, table)
    cards = kept(table.cards, primary.cards)
    if not table.n_row:
        return _File(path, table, Field(1, 1, np.dtype(">f4")), columns, cards)
    return _File(path, table, _field(path, table, columns), columns, cards)


def _field(path: str, table: Table, columns: Mapping[str, NDArray[Any]]) -> Field:
    """Return the layout of the spectra in the rows of a file."""
    for name in ("NCHAN", "FREQ", "CHAN_BW"):
        values = columns[name]
        other = np.flatnonzero(values != values[0])
        if len(other):
            raise FormatError(path, f"row {other[0]}: {name} = {values[other[0]]}; allowed: as in "
                              f"row 0, {values[0]}")
    n_chan, data = int(columns["NCHAN"][0]), table.columns["DATA"]
    if data.code not in "ED":
        raise FormatError(path, f"DATA is of type {data.code}; allowed: E, D")
    n_product, rest = divmod(data.count, n_chan) if n_chan > 0 else (0, 0)
    if rest or n_product not in _PRODUCTS:
        raise FormatError(path, f"NCHAN = {n_chan}; DATA has {data.count} numbers per row; "
                          "allowed: 2 or 4 products of NCHAN channels")
    if data.shape != (n_chan, n_product):
        if len(data.shape) > 1 or data.dim:
            raise FormatError(path, f"DATA has TDIM {data.dim!r}; allowed: ({n_product},{n_chan})")
        incomplete(path, f"DATA has no TDIM; taken as ({n_product},{n_chan})")
    width = float(columns["CHAN_BW"][0])
    if not (np.isfinite(width) and width):
        raise FormatError(path, f"CHAN_BW = {width}; allowed: a number of MHz other than 0")
    if not 0 < float(columns["FREQ"][0]) < 1e9:
        raise FormatError(path, f"FREQ = {columns['FREQ'][0]}; allowed: MHz above 0")
    return Field(n_chan, n_product, data.dtype, data.scale, data.zero, width < 0)


def _same(files: Sequence[_File]) -> None:
    """Raise `FormatError` if files have different beams or bands."""
    first = files[0]
    for other in files[1:]:
        same = other.field == first.field and all(
            other.columns[name][0] == first.columns[name][0] for name in ("FREQ", "CHAN_BW"))
        if not same:
            raise FormatError(other.path, f"its channels differ from those of {first.path}")
        beams = {beam_of_name(first.path), beam_of_name(other.path)} - {None}
        if len(beams) > 1:
            raise FormatError(other.path, f"the beam in its name is not that of {first.path}")


def _utobs(file: _File) -> NDArray[np.float64]:
    """Return the times as recorded; NaN for times outside 1970 to 2100."""
    mjd = file.columns["UTOBS"].astype(np.float64)
    return np.where((mjd >= FIRST_DAY) & (mjd < LAST_DAY), mjd, np.nan)


def _on_clock(files: Sequence[_File], common: Mapping[str, Any]
              ) -> tuple[list[_File], RowClock, Time | None]:
    """Return the files in order of time, their clock, and its anchor time, None if unknown."""
    times = [_utobs(each) for each in files]
    known = [mjd[np.isfinite(mjd)] for mjd in times]
    nominal, given = _nominal(files[0], common)
    if not any(len(each) for each in known):
        if "start_time" not in common:
            value = files[0].columns["UTOBS"][0]
            raise FormatError(files[0].path, f"UTOBS = {value} is not a UTC MJD; give "
                              "--set start_time=2021-03-04T05:06:07.5")
        if nominal is None:
            raise _no_rate(files[0])
        bounds = np.cumsum([0, *(len(mjd) for mjd in times)])
        slots = tuple(np.arange(bounds[i], bounds[i + 1]) for i in range(len(files)))
        return list(files), RowClock(nominal, slots, tuple(times), (0, 0)), None
    order = sorted(range(len(files)),
                   key=lambda i: float(np.median(known[i])) if len(known[i]) else np.inf)
    files, times = [files[i] for i in order], [times[i] for i in order]
    day = int(next(each[0] for i in order if len(each := known[i])))
    seconds = [seconds_of(mjd, day) for mjd in times]
    if nominal is None and sum(len(each) for each in known) < 2:
        raise _no_rate(files[0])
    clock = fit(seconds, nominal, fixed=given, usual=FAST_STEPS)
    _check(files, clock, nominal)
    return files, clock, exact_time(times[clock.anchor[0]][clock.anchor[1]])


def _nominal(file: _File, common: Mapping[str, Any]) -> tuple[Fraction | None, bool]:
    """Return the seconds per row, and whether the user specified them."""
    step = given_step(common)
    if step is not None:
        return step, True
    exposure = float(np.median(file.columns["EXPOSURE"].astype(np.float64)))
    if not _LEAST_S <= exposure <= _MOST_S:  # NaN too
        return None, False
    return exact_step(exposure) or exact_float(exposure), False


def _no_rate(file: _File) -> FormatError:
    return FormatError(file.path, f"EXPOSURE = {file.columns['EXPOSURE'][0]}; allowed: seconds; "
                       "give --set sample_rate=0.9934")


def _check(files: Sequence[_File], clock: RowClock, nominal: Fraction | None) -> None:
    """Warn of irregular times; raise `FormatError` if files cannot be one scan."""
    for before, after in pairwise(range(len(files))):
        if clock.slots[after][0] <= clock.slots[before][-1]:
            raise FormatError(files[after].path, f"its rows begin before those of "
                              f"{files[before].path} end; allowed: files of one scan of one beam, "
                              "each once")
    n_row = sum(map(len, clock.slots))
    if (int(clock.slots[-1][-1]) + 1) * clock.step > _YEAR_S:
        raise FormatError(files[0].path, "UTOBS: the rows span more than a year")
    name = files[0].path
    if nominal is not None and clock.step != nominal:
        incomplete(name, f"UTOBS has a row every {float(clock.step):.9g} s, EXPOSURE = "
                   f"{float(nominal):.9g} s; UTOBS is used")
    if clock.n_off:
        incomplete(name, f"UTOBS of {clock.n_off} of {n_row} rows deviates from a clock of "
                   f"{float(clock.step):.9g} s, by up to {clock.most_off:.3g} rows; rows keep "
                   "their order")


def _header(file: _File, start: Time, rate: Fraction, label: str) -> Header:
    columns, cards, field = file.columns, file.cards, file.field
    width = exact_float(columns["CHAN_BW"][0]) * 10**6
    first = exact_float(columns["FREQ"][0]) * 10**6 + _LABELS[label]
    if width < 0:
        first, width = first + (field.n_chan - 1) * width, -width
    extra = dict(cards)
    mode = next((name for name, (n_chan, step) in MODES.items()
                 if field.n_chan == n_chan and abs(width / step - 1) < 1e-6), None)
    for name in ("OBSNUM", "SCAN", "OBSTYPE", "DATE-OBS", "EXPOSURE"):
        if name in columns:
            extra[name] = json_value(columns[name][0])
    if mode:
        extra["mode"] = mode
    name = os.path.basename(file.path)
    keys = {"start_time": "UTOBS", "sample_rate": "EXPOSURE", "channels": "FREQ, CHAN_BW",
            "telescope": "TELESCOP", "backend": "INSTRUME"}
    beam = beam_of_name(file.path)
    origin = {key: f"{name}:{value}" for key, value in keys.items()}
    return Header(
        start_time=start, sample_rate=rate, channels=ChannelAxis(first, width, field.n_chan),
        polarization=PolBasis("linear", _PRODUCTS[field.n_product]),
        n_bits=8 * field.dtype.itemsize, telescope=_text(cards, "TELESCOP"),
        backend=_text(cards, "INSTRUME"), source=_text(cards, "OBJECT"), beam=beam, extra=extra,
        specsys="topocentric",
        origin={**origin, **({"beam": "the file's name"} if beam else {})},
    )


def _text(cards: Mapping[str, Any], key: str) -> str | None:
    return str(cards.get(key, "")).strip() or None
