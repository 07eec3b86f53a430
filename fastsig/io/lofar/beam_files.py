"""The files of a LOFAR beam: their clock, their channels and the meaning of their attributes.

References
----------
A. Alexov et al., "LOFAR Data Format ICD: Beam-Formed Data" (LOFAR-USG-ICD-003).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from fastsig.axes.time import elapsed, parse_time, time_from_mjd
from fastsig.errors import FastsigError, FormatError
from fastsig.io.files.cards import FIRST_DAY, LAST_DAY
from fastsig.io.fits.single_dish import exact_float
from fastsig.io.hdf5.opening import cards_of, open_file, reading
from fastsig.io.lofar.beam_parts import (
    COMPLEX,
    MOST_CHANNELS,
    Part,
    coordinates,
    numbered,
    parts_of,
)
from fastsig.io.lofar.beam_units import Stated, agreed, stated

__all__ = ["BeamFile", "read_file"]

_YEAR_S = 366 * 86400
_FASTEST = 10**9  # Hz; LOFAR's clock is 200 MHz
_SUBBAND = 2e4, 2e6  # Hz; at clocks of 160 and 200 MHz a sub-band is 156.25 and 195.3125 kHz wide
_BAND = 5e6, 5e8  # Hz; LOFAR observes from 10 to 250 MHz
_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d*)?Z?")
_LAYOUT = ("GROUPTYPE", "NOF_CHANNELS", "FILENAME", "FILEDATE")


@dataclass(frozen=True)
class BeamFile:
    """A file of one beam.

    Parameters
    ----------
    path : str
        The HDF5 file.
    identity : tuple
        Observation, pointing and beam, which are the same in all files of a stream.
    parts : dict
        Parts by component.
    n_chan, n_sub : int
        Number of channels in all, and in a sub-band.
    rate, width : Fraction
        Rows per second, and width of a channel, Hz.
    first : Fraction or None
        Centre of the lowest channel, Hz; None where the file does not state it.
    slots : ndarray, shape (chan,), int64
        Distance of each of the file's channels above the lowest one, in channel widths.
    start : Time
        Time of the first row.
    cards, notes : dict, list of str
        Attributes by their place, and remarks on the doubtful ones.
    root, sap, beam : dict
        Attributes of the three groups.
    """

    path: str
    identity: tuple[str, str, str]
    parts: dict[str, Part]
    n_chan: int
    n_sub: int
    rate: Fraction
    width: Fraction
    first: Fraction | None
    slots: NDArray[np.int64]
    start: Time
    cards: dict[str, Any]
    notes: list[str]
    root: dict[str, Any]
    sap: dict[str, Any]
    beam: dict[str, Any]


def read_file(path: str, choice: Mapping[str, Any], given: Mapping[str, Any]) -> BeamFile:
    """Read the header of a file and interpret it.

    Parameters
    ----------
    path : str
        The file.
    choice : mapping
        ``sap`` and ``beam`` where the user chooses them.
    given : mapping
        Header fields that the user sets. ``sample_rate`` (Fraction) and ``start_time`` (Time)
        are used instead of the file's own, which are then not read.

    Raises
    ------
    FormatError
        Where something is missing, has no meaning, or lies outside the folder.
    """
    with open_file(path) as file:
        with reading(path, "its root attributes"):
            root = cards_of(file.attrs)
        if str(root.get("FILETYPE")).strip().lower() != "bf":
            raise FormatError(path, f"FILETYPE is {root.get('FILETYPE')!r}; allowed: 'bf'")
        sap, sap_name = numbered(file, "SUB_ARRAY_POINTING", "sap", choice, path)
        group, beam_name = numbered(sap, "BEAM", "beam", choice, path)
        with reading(path, f"the attributes of {beam_name}"):
            sap_cards, beam_cards = cards_of(sap.attrs), cards_of(group.attrs)
        axes = coordinates(group, path)
        cards = {**root, **sap_cards, **beam_cards}
        if cards.get("FOLDED_DATA") in (1, True):
            raise FormatError(path, "FOLDED_DATA is 1: folded profiles; allowed: 0")
        notes: list[str] = []
        parts = parts_of(group, cards, path, notes)
    return _understood(path, (root, sap_cards, beam_cards), (sap_name, beam_name), axes, parts,
                       given, notes)


def _understood(path: str, groups: tuple[dict[str, Any], ...], names: tuple[str, str],
                axes: dict[str, dict[str, Any]], parts: dict[str, Part],
                given: Mapping[str, Any], notes: list[str]) -> BeamFile:
    root, sap, beam = groups
    cards = {**root, **sap, **beam}
    n_chan = next(iter(parts.values())).n_chan
    spectral, times = axes.get("Spectral", {}), axes.get("Time", {})
    n_sub = _channels_per_subband(cards, n_chan, notes)
    table = _table(spectral, n_chan, notes)
    width = _width(cards, table, n_sub, path, notes)
    is_complex = any(name in COMPLEX for name in parts)
    rate = given.get("sample_rate") or _rate(cards, times, width, is_complex, path, notes)
    longest = max(part.n_row for part in parts.values())
    if not 0 < rate < _FASTEST or longest / rate > _YEAR_S:
        raise FormatError(path, f"{longest} rows at {float(rate):.6g} Hz; allowed: below "
                          f"{_FASTEST:.0e} Hz, and a year")
    first, slots = _channels(cards, spectral, table, width, n_chan, path,
                             [] if "frequency" in given else notes)
    start = given.get("start_time") or _start(sap, root, path, notes)
    places = ("", f"{names[0]}/", f"{names[0]}/{names[1]}/")
    kept = {f"{place}{key}": value for place, each in zip(places, groups, strict=True)
            for key, value in each.items() if key not in _LAYOUT}
    identity = (str(root.get("OBSERVATION_ID")), *names)
    return BeamFile(path, identity, parts, n_chan, n_sub, rate, width, first, slots, start, kept,
                    notes, root, sap, beam)


def _whole(value: Any) -> int | None:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value if type(value) is int and 0 < value <= MOST_CHANNELS else None


def _channels_per_subband(cards: Mapping[str, Any], n_chan: int, notes: list[str]) -> int:
    n = _whole(cards.get("CHANNELS_PER_SUBBAND"))
    if n is None or n_chan % n:
        notes.append(f"CHANNELS_PER_SUBBAND is {cards.get('CHANNELS_PER_SUBBAND')!r:.40}; the "
                     f"datasets have {n_chan} channels: taken as sub-bands of one channel")
        return 1
    return n


def _table(spectral: dict[str, Any], n_chan: int, notes: list[str]) -> NDArray[np.float64] | None:
    """Return AXIS_VALUES_WORLD if it lists a frequency for each channel."""
    values = spectral.get("AXIS_VALUES_WORLD")
    if not isinstance(values, list):
        return None
    table = np.array([each if type(each) in (int, float) else np.nan for each in values], "f8")
    if table.shape != (n_chan,) or not np.isfinite(table).all() or table.min() <= 0 or (
            table.max() > 1e30):
        notes.append(f"AXIS_VALUES_WORLD is not a table of {n_chan} frequencies")
        return None
    return table


def _axis_unit(spectral: Mapping[str, Any], table: NDArray[np.float64]) -> list[Stated]:
    """Return the mean of the table; the unit that files state is often wrong."""
    mean = {"AXIS_VALUES_WORLD": float(table.mean()), "UNIT": spectral.get("AXIS_UNITS")}
    return stated(mean, "AXIS_VALUES_WORLD", [], unit="Hz", unit_key="UNIT")


def _width(cards: dict[str, Any], table: NDArray[np.float64] | None, n_sub: int, path: str,
           notes: list[str]) -> Fraction:
    """Return the width of a channel (Hz), from the width of a sub-band."""
    clock = "CLOCK_FREQUENCY" if "CLOCK_FREQUENCY" in cards else "CLOCK_RATE"
    given = [*stated(cards, "SUBBAND_WIDTH", notes, unit="Hz"),
             *stated(cards, "CHANNEL_WIDTH", notes, unit="Hz", scale=n_sub),
             *stated(cards, clock, notes, unit="MHz", scale=Fraction(1, 1024))]
    if not given and table is not None and len(table) > 1:
        step = {"AXIS_VALUES_WORLD": float(np.diff(np.sort(table)).min())}
        given = stated(step, "AXIS_VALUES_WORLD", notes, unit="Hz", scale=n_sub)
    width = agreed("the width of a sub-band", given, *_SUBBAND, notes)
    if width is None:
        raise FormatError(path, "has none of SUBBAND_WIDTH, CHANNEL_WIDTH, CLOCK_FREQUENCY and "
                          "AXIS_VALUES_WORLD that specifies the width of a channel")
    return width / n_sub


def _rate(cards: dict[str, Any], times: dict[str, Any], width: Fraction, is_complex: bool,
          path: str, notes: list[str]) -> Fraction:
    """Return the rows per second.

    The rate is exactly the channel width over an integer where the two agree within 1e-9.
    """
    increment = {"INCREMENT": times.get("INCREMENT"), "UNIT": times.get("AXIS_UNITS")}
    given = [*stated(cards, "SAMPLING_RATE", notes, unit="Hz"),
             *stated(cards, "SAMPLING_TIME", notes, unit="s", inverse=True),
             *stated(increment, "INCREMENT", notes, unit="s", unit_key="UNIT", inverse=True)]
    if is_complex:
        given.append(Stated("CHANNEL_WIDTH of complex voltages", width, "Hz"))
    rows = _whole_rows(cards)
    if rows:
        span = stated(cards, "TOTAL_INTEGRATION_TIME", [], unit="s", inverse=True, scale=rows)
        given += [each._replace(firm=False, tolerance=0.1) for each in span]
    rate = agreed("the rate of samples", given, 1e-2, 1.001 * float(width), notes)
    if rate is None:
        raise FormatError(path, "has none of SAMPLING_RATE, SAMPLING_TIME and INCREMENT; give "
                          "--set sample_rate=RATE")
    part = round(width / rate)
    near = part >= 1 and abs(width / part / rate - 1) < Fraction(1, 10**9)
    return width / part if near else rate


def _whole_rows(cards: Mapping[str, Any]) -> int:
    value = cards.get("NOF_SAMPLES")
    return value if type(value) is int and value > 0 else 0


def _channels(cards: dict[str, Any], spectral: dict[str, Any], table: NDArray[np.float64] | None,
              width: Fraction, n_chan: int, path: str, notes: list[str]
              ) -> tuple[Fraction | None, NDArray[np.int64]]:
    """Return the lowest channel's centre (Hz) and each channel's distance from it in widths."""
    given = _axis_unit(spectral, table) if table is not None else []
    middle = stated(cards, "BEAM_FREQUENCY_CENTER", notes, unit="MHz", tolerance=2e-3)
    center = agreed("the centre of the band", [*given, *middle], *_BAND, notes)
    step = given[0].step_to(center) if given and center is not None else None
    if table is None or step is None:
        if center is None:
            return None, np.arange(n_chan)
        notes.append("has no table of frequencies: its channels are taken as neighbours around "
                     f"{float(center / 10**6):.9g} MHz")
        return center - (n_chan - 1) * width / 2, np.arange(n_chan)
    scale = Fraction(1000) ** step * (given[0].value / Fraction(repr(float(table.mean()))))
    offsets = (table - table.min()) * float(scale / width)
    slots = np.rint(offsets)
    if slots.max() >= MOST_CHANNELS or np.abs(offsets - slots).max() > 0.05 or (
            len(np.unique(slots)) < len(slots)):
        raise FormatError(path, f"AXIS_VALUES_WORLD does not step by {float(width):.9g} Hz; "
                          "allowed: each channel once, at a distance of whole steps")
    return exact_float(table.min()) * scale, slots.astype(np.int64)


def _start(sap: Mapping[str, Any], root: Mapping[str, Any], path: str, notes: list[str]) -> Time:
    """Return the UTC of the first row: exact from a text, to 1 us from a day that is a float."""
    places = ((sap, "EXPTIME_START"), (root, "OBSERVATION_START"))
    texts = [(f"{key}_UTC", _utc(cards.get(f"{key}_UTC"))) for cards, key in places]
    days = [(f"{key}_MJD", _mjd(cards.get(f"{key}_MJD"))) for cards, key in places]
    found = [(key, time) for key, time in (*texts, *days) if time is not None]
    if not found:
        raise FormatError(path, "has none of EXPTIME_START_UTC, OBSERVATION_START_UTC and their "
                          "MJD that is a time; give --set start_time=2018-08-31T13:31:08")
    key, start = found[0]
    if key.endswith("_MJD"):
        notes.append(f"the start is that of {key}, known to 1 us")
    for other, time in found[1:]:
        off = abs(float(elapsed(start, time)))
        if off > 1e-3 and other[:3] == key[:3]:
            notes.append(f"{other} is {off:.6g} s from {key}, which is used")
    return start


def _utc(value: Any) -> Time | None:
    text = value.strip() if isinstance(value, str) else ""
    if not _UTC.fullmatch(text) or not "1990" < text[:4] < "2100":
        return None
    try:
        return parse_time(text)
    except FastsigError:
        return None


def _mjd(value: Any) -> Time | None:
    if type(value) is not float or not FIRST_DAY <= value < LAST_DAY:
        return None
    day = Fraction(repr(value))
    return time_from_mjd(int(day), day % 1 * 86400)
