"""The files of a CHIME/FRB event: their contents, and the choice of channels for a stream."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import h5py
import numpy as np

from fastsig.axes.frequency import Sideband
from fastsig.errors import FastsigWarning, FormatError, UsageError, users_line
from fastsig.io.hdf5.opening import cards_of, open_file, plain, reading

__all__ = ["DATASETS", "RATE", "Channel", "Dump", "Layout", "check_clocks", "chosen", "common_span",
           "read_dump", "runs_text"]

DATASETS = ("tiedbeam_baseband", "baseband")  # a file with both is a file of beams
RATE = Fraction(390625)  # Hz, sample rate and spacing of channels: 800 MHz / 2048

_AXES = {2: ("time", "input"), 3: ("freq", "input", "time")}  # if a file does not specify them
_CARDS = ("freq_id", "freq", "time0_fpga_count", "time0_ctime", "time0_ctime_offset")
_FREQ, _TIME0 = ("id", "centre"), ("fpga_count", "ctime", "ctime_offset")
_MOST = 2**16  # inputs, and rows of a table; CHIME has 2048 inputs and 1024 channels
_DAY = 86400 * 390625  # samples; the telescope's buffer holds half a minute
_YEAR_2100 = 4102444800


class Layout(NamedTuple):
    """Properties that the files of an event have in common.

    `beams` lists (right ascension, declination, polarisation[, source]) of each beam, if recorded.
    """

    name: str
    dtype: np.dtype[Any]
    n_input: int
    sideband: Sideband
    serials: tuple[str, ...]
    beams: tuple[tuple[Any, ...], ...]


class Dump(NamedTuple):
    """A file; `rows` are unchecked: number, MHz, first sample, s and fraction of each channel."""

    path: str
    absolute: str
    layout: Layout
    axes: tuple[str, ...]
    n_time: int
    rows: list[tuple[Any, ...]]
    cards: dict[str, Any]


class Channel(NamedTuple):
    """A channel: its place, number, centre (Hz), first sample and Unix time of this sample (s)."""

    dump: Dump
    row: int
    number: int
    center_hz: Fraction
    first: int
    start: Fraction

    @property
    def stop(self) -> int:
        """The sample after the last one."""
        return self.first + self.dump.n_time


# A file


def read_dump(path: str, rate_is_given: bool) -> Dump:
    """Interpret a file; if `rate_is_given` by the user, the file's own rate is not checked.

    Raises
    ------
    FormatError
        Where something is missing, has no meaning, or lies in another file.
    """
    with open_file(path) as file, reading(path, "its structure"):
        name = next((each for each in DATASETS if each in set(file)), None)
        if name is None:
            raise FormatError(path, f"contains neither {' nor '.join(DATASETS)}")
        dataset, cards = _dataset(file, name, path), cards_of(file.attrs)
        axes = _axes(dataset, name, path)
        size = dict(zip(axes, dataset.shape, strict=True))
        if not (1 <= size["time"] <= _DAY and 1 <= size["input"] <= _MOST):
            raise FormatError(path, f"{name} has the shape {dataset.shape}; allowed: 1 to {_DAY} "
                              f"samples of 1 to {_MOST} inputs")
        if not rate_is_given:
            _check_interval(cards.get("delta_time"), path)
        own = cards_of(dataset.attrs)
        inverted = name == "baseband" or own.get("conjugate_beamform") == 1
        layout = Layout(name, dataset.dtype, size["input"], "lower" if inverted else "upper",
                        _serials(file, path), _beams(file, name, size["input"], path))
        rows = _rows(file, cards, size.get("freq"), path)
    cards |= {f"{name}/{key}": value for key, value in own.items()}
    return Dump(path, os.path.abspath(path), layout, axes, size["time"], rows, cards)


def _check_interval(value: Any, path: str) -> None:
    expected = float(1 / RATE)
    if type(value) is not float or not math.isclose(value, expected, rel_tol=1e-6):
        found = "missing" if value is None else repr(value)
        raise FormatError(path, f"delta_time is {found}; allowed: {expected}. If the samples have "
                          f"this interval, give --set sample_rate={RATE}Hz")


def _member(file: h5py.File, name: str, path: str) -> Any:
    """Return a member by its path; None where there is none. Links raise an error.

    Asking h5py whether a name exists would follow links, even into other files.
    """
    place: Any = file
    for part in name.split("/"):
        if not isinstance(place, h5py.Group) or part not in set(place):
            return None
        if place.id.links.get_info(part.encode()).type != h5py.h5l.TYPE_HARD:
            raise FormatError(path, f"{part} of {name} is a link; allowed: a member of its own")
        place = place[part]
    return place


def _dataset(file: h5py.File, name: str, path: str) -> h5py.Dataset:
    """Return a dataset that has its bytes in this file."""
    found = _member(file, name, path)
    if not isinstance(found, h5py.Dataset):
        raise FormatError(path, f"{name} is {'missing' if found is None else 'a group'}; allowed: "
                          "a dataset")
    if found.is_virtual or found.id.get_create_plist().get_external_count():
        raise FormatError(path, f"{name} has its data in other files; allowed: in this one")
    return found


def _axes(dataset: h5py.Dataset, name: str, path: str) -> tuple[str, ...]:
    """Return the names of the axes; beams count as inputs."""
    packed = name == "baseband" and dataset.dtype == np.uint8
    if not packed and dataset.dtype.kind != "c":
        raise FormatError(path, f"{name} is {dataset.dtype}; allowed: complex floats"
                          + (", uint8" if name == "baseband" else ""))
    stated = plain(dataset.attrs.get("axis"))
    names = _AXES.get(dataset.ndim, ()) if stated is None else tuple(
        "input" if axis == "beam" else str(axis) for axis in stated)
    if len(names) != dataset.ndim or set(names) not in map(set, _AXES.values()):
        raise FormatError(path, f"{name} of shape {dataset.shape} has the axes {stated!r}; "
                          "allowed: time and input or beam, and freq")
    return names


def _table(file: h5py.File, name: str, fields: Sequence[str], path: str) -> list[tuple[Any, ...]]:
    """Return the rows of a table, with only the given fields."""
    dataset = _dataset(file, name, path)
    dtype = dataset.dtype
    sound = set(fields) <= set(dtype.names or ()) and all(
        dtype[field].kind in "iufS" for field in fields)
    if not sound or dataset.ndim != 1 or dataset.size > _MOST:
        raise FormatError(path, f"{name} is {dtype} of shape {dataset.shape}; allowed: up to "
                          f"{_MOST} rows of {', '.join(fields)}")
    values = dataset[()]
    return list(zip(*(values[field].tolist() for field in fields), strict=True))


def _rows(file: h5py.File, cards: dict[str, Any], n_freq: int | None, path: str
          ) -> list[tuple[Any, ...]]:
    """Return the records of a file's channels, from tables or, for a single one, attributes."""
    if n_freq is None:
        return [tuple(cards.get(key) for key in _CARDS)]
    freq = _table(file, "index_map/freq", _FREQ, path)
    time0 = _table(file, "time0", _TIME0, path)
    if not len(freq) == len(time0) == n_freq:
        raise FormatError(path, f"samples of {n_freq} channels, but index_map/freq has {len(freq)} "
                          f"rows and time0 {len(time0)}; allowed: the same number")
    return [(*names, *times) for names, times in zip(freq, time0, strict=True)]


def _serials(file: h5py.File, path: str) -> tuple[str, ...]:
    """Return the serial numbers of the inputs; none if the file does not contain them."""
    if _member(file, "index_map/input", path) is None:
        return ()
    rows = _table(file, "index_map/input", ("correlator_input",), path)
    return tuple(str(plain(row[0])) for row in rows)


def _beams(file: h5py.File, name: str, n: int, path: str) -> tuple[tuple[Any, ...], ...]:
    """Return the pointings of a file's beams; none if the file does not contain them."""
    if name == "baseband" or _member(file, "tiedbeam_locations", path) is None:
        return ()
    names = _dataset(file, "tiedbeam_locations", path).dtype.names or ()
    fields = ("ra", "dec", "pol", *(each for each in names if each == "source_name"))
    rows = _table(file, "tiedbeam_locations", fields, path)
    if len(rows) != n:
        raise FormatError(path, f"tiedbeam_locations has {len(rows)} rows; allowed: {n}, the "
                          "number of beams")
    return tuple(tuple(plain(value) for value in row) for row in rows)


# Channels


def chosen(dumps: list[Dump], value: Any) -> list[Channel]:
    """Return the channels that `value` names, or all channels, in ascending order of frequency.

    Raises
    ------
    FormatError
        Where a channel is present twice, or the channels of the files are not adjacent.
    UsageError
        Where `value` names channels that are missing or not adjacent.
    """
    held: dict[int, tuple[Dump, int]] = {}
    for dump in dumps:
        for row, values in enumerate(dump.rows):
            number = int(_number(values[0], 0, _MOST, "the frequency ID", dump.path, whole=True))
            if number in held:
                raise FormatError(dump.path, f"contains channel {number}, as does "
                                  f"{held[number][0].path}; allowed: each channel once")
            held[number] = dump, row
    numbers = sorted(held) if value is None else _wanted(value, held)
    runs = _runs(numbers)
    if len(runs) > 1 and value is not None:
        raise UsageError(f"channel = {value!r}: {runs_text(numbers)}; allowed: adjacent channels")
    if len(runs) > 1:
        low, high = max(runs, key=lambda run: run[1] - run[0])
        raise FormatError(dumps[0].path, f"channels {runs_text(numbers)} are not all adjacent; "
                          f"choose adjacent ones, such as channel={low}-{high}")
    channels = sorted((_channel(*held[number]) for number in numbers), key=lambda c: c.center_hz)
    for index, channel in enumerate(channels):
        expected = channels[0].center_hz + index * RATE
        if abs(channel.center_hz - expected) > 1:
            raise FormatError(channel.dump.path, f"channel {channel.number} is centred at "
                              f"{float(channel.center_hz / 10**6)} MHz; allowed next to the other "
                              f"channels: {float(expected / 10**6)} MHz")
    return channels


def _wanted(value: Any, held: dict[int, Any]) -> list[int]:
    """Return the numbers in a text such as ``5`` or ``5-9,10``, or in a list of these."""
    items = value if isinstance(value, (list, tuple)) else str(value).split(",")
    found: set[int] = set()
    for item in items:
        low, dash, high = str(item).partition("-")
        try:
            numbers = range(int(low), int(high if dash else low) + 1)
        except ValueError:
            numbers = range(0)
        if not 0 < len(numbers) <= len(held) or not all(number in held for number in numbers):
            break
        found.update(numbers)
    else:
        if found:
            return sorted(found)
    raise UsageError(f"channel = {value!r}; allowed: frequency IDs of {runs_text(sorted(held))}, "
                     "such as 5 or 5-9, separated by commas")


def _runs(numbers: list[int]) -> list[tuple[int, int]]:
    """Return the first and last number of every run of neighbours in ascending numbers."""
    breaks = np.flatnonzero(np.diff(numbers) != 1).tolist()
    firsts, lasts = [0, *(at + 1 for at in breaks)], [*breaks, len(numbers) - 1]
    return [(numbers[low], numbers[high]) for low, high in zip(firsts, lasts, strict=True)]


def runs_text(numbers: list[int]) -> str:
    """Format ascending numbers for a message, such as ``5-9, 11``."""
    runs = _runs(numbers)
    texts = [str(low) if low == high else f"{low}-{high}" for low, high in runs[:6]]
    return ", ".join(texts) + (f" and {len(runs) - 6} more runs" if len(runs) > 6 else "")


def _channel(dump: Dump, row: int) -> Channel:
    number, center, first, seconds, rest = dump.rows[row]
    of, path = f"of channel {number}", dump.path
    start = (_number(seconds, 0, _YEAR_2100, f"ctime {of}", path)
             + _number(rest, -1, 1, f"ctime_offset {of}", path))
    return Channel(dump, row, number, _number(center, 1, 10**5, f"frequency {of}", path) * 10**6,
                   int(_number(first, 0, 2**62, f"fpga_count {of}", path, whole=True)), start)


def _number(value: Any, low: int, high: int, what: str, path: str, *, whole: bool = False
            ) -> Fraction:
    if type(value) not in ((int,) if whole else (int, float)) or not low <= value <= high:
        found = "missing" if value is None else repr(value)
        raise FormatError(path, f"{what} is {found}; allowed: a {'whole ' if whole else ''}number "
                          f"from {low} to {high}")
    return Fraction(value)


def common_span(channels: list[Channel]) -> tuple[int, int]:
    """Return the first sample that all channels contain, and the sample after the last.

    Raises
    ------
    FormatError
        Where the channels have no sample in common.
    """
    first, stop = max(c.first for c in channels), min(c.stop for c in channels)
    if first >= stop:
        numbers = [channel.number for channel in channels]
        spread = float((first - min(c.first for c in channels)) / RATE)
        raise FormatError(channels[0].dump.path, f"channels {min(numbers)}-{max(numbers)} have no "
                          f"time in common: their starts are up to {spread:.6g} s apart; choose "
                          "fewer with channel=FIRST-LAST")
    return first, stop


def check_clocks(channels: list[Channel], reference: Channel) -> None:
    """Compare the starts of channels by their times with those by their counters.

    Raises
    ------
    FormatError
        Where they are more than a minute apart, as there must be two counters. A smaller
        difference causes a `FastsigWarning`.
    """
    for channel in channels:
        counted = (channel.first - reference.first) / RATE
        error = abs(channel.start - reference.start - counted)
        text = (f"by its time, channel {channel.number} starts {float(error):.3g} s from its start "
                f"by fpga_count, relative to channel {reference.number}")
        if error > 60:
            raise FormatError(channel.dump.path, f"{text}; allowed: channels of one event")
        if error > 1 / (2 * RATE):
            warnings.warn(f"{channel.dump.path}: {text}; the latter is used", FastsigWarning,
                          stacklevel=users_line())
