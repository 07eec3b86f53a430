"""Digital RF's files: their places, and the samples in each file."""

from __future__ import annotations

import math
import os
import re
import warnings
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from fastsig.axes.time import parse_rate, time_from_unix
from fastsig.errors import FastsigWarning, FormatError, UsageError, users_line
from fastsig.io.hdf5.opening import cards_of, numbers, open_file, reading
from fastsig.stream.header import Header

PROPERTIES = ("drf_properties.h5", "metadata.h5")  # the second before version 2.5

_RF_FILE = re.compile(r"rf@(\d+)\.(\d{3})\.h5")
_SUBFOLDER = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d")
_MAX_ROWS = 2**24  # values; anything larger is not an index


@dataclass(frozen=True)
class Layout:
    """Type of the samples: `real` type of a number, width of a row, and the fill value.

    Only channels written as continuous have fill values. Gapped channels leave out lost samples,
    and the smallest integer is a sample like any other.
    """

    real: np.dtype[Any]
    is_complex: bool
    n_sub: int
    fill: int | None


@dataclass(frozen=True)
class DataFile:
    """A file, with `segments` as int64 rows of first sample, stop, and row of rf_data."""

    path: str
    segments: NDArray[np.int64]
    layout: Layout
    attrs: dict[str, Any]


def properties_file(folder: str) -> str | None:
    """Return the properties file, which marks a folder as a channel; None where there is none."""
    paths = (os.path.join(folder, name) for name in PROPERTIES)
    return next((path for path in paths if os.path.isfile(path)), None)


def channels(folder: str) -> list[str]:
    """Return the folder itself if it is a channel, otherwise the channels in it."""
    if properties_file(folder):
        return [folder]
    with reading(folder, "the folder"):
        return [os.path.join(folder, name) for name in sorted(os.listdir(folder))
                if properties_file(os.path.join(folder, name))]


def one_channel(folder: str) -> str:
    """Return the only channel of a folder; a `FormatError` lists them if there are several."""
    found = channels(folder)
    if len(found) == 1:
        return found[0]
    names = ", ".join(os.path.basename(path) for path in found)
    fault = f"contains {len(found)} channels ({names}): give the path of one" if found else (
        f"not a Digital RF channel: no {PROPERTIES[0]} here or one folder below")
    raise FormatError(folder, fault)


def stamped(folder: str, pattern: re.Pattern[str]) -> list[str]:
    """Return the files in time-stamped subfolders that match `pattern`, sorted by number."""
    found = []
    with reading(folder, "the folder"):
        for sub in filter(_SUBFOLDER.fullmatch, os.listdir(folder)):
            for name in os.listdir(os.path.join(folder, sub)):
                if match := pattern.fullmatch(name):
                    number = tuple(int(part) for part in match.groups())
                    found.append((number, os.path.join(folder, sub, name)))
    return [path for _, path in sorted(found)]


def _positive(attrs: dict[str, Any], key: str, path: str) -> int:
    value = attrs.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise FormatError(path, f"{key} = {value!r}; allowed: a positive integer")
    return value


def rate_of(attrs: dict[str, Any], path: str, override: Any = None) -> Fraction:
    """Return the sample rate; the override is used if the file has none."""
    keys = "sample_rate_numerator", "sample_rate_denominator"
    if any(key in attrs for key in keys):
        return Fraction(*(_positive(attrs, key, path) for key in keys))
    value = attrs.get("samples_per_second", override)
    if value is None:
        raise FormatError(path, f"no {keys[0]} and {keys[1]}; give --set sample_rate=RATE")
    try:
        if value is override:
            bare = Header(time_from_unix(0), Fraction(1))
            return bare.overridden({"sample_rate": override}).sample_rate
        return parse_rate(value)
    except (UsageError, TypeError, OverflowError) as error:
        if value is override:
            raise
        raise FormatError(path, f"samples_per_second = {value!r}: {error}") from error


def _layout(data: h5py.Dataset, attrs: dict[str, Any], path: str) -> Layout:
    dtype = data.dtype
    is_complex = dtype.kind == "c" or dtype.names == ("r", "i")
    real = np.zeros(0, dtype).real.dtype if dtype.kind == "c" else dtype
    if dtype.names == ("r", "i"):
        real = dtype["r"] if dtype["r"] == dtype["i"] else dtype
    if real.kind not in "iuf" or real.shape or data.ndim not in (1, 2) or not data.size:
        raise FormatError(path, f"rf_data is {data.dtype} of shape {data.shape}; allowed: integers "
                          "or floats, real or (r, i), of shape (sample,) or (sample, subchannel)")
    n_sub = data.shape[1] if data.ndim == 2 else 1
    for key, found in (("num_subchannels", n_sub), ("is_complex", int(is_complex))):
        if attrs.get(key, found) != found:
            raise FormatError(path, f"{key} = {attrs[key]!r}, but rf_data has {found}")
    filled = real.kind != "f" and attrs.get("is_continuous", 1) != 0
    return Layout(real, is_complex, n_sub, int(np.iinfo(real).min) if filled else None)


def _segments(rows: NDArray[Any], length: int, path: str) -> NDArray[np.int64]:
    """Return rows of (first sample, stop, row of rf_data) from the rows of rf_data_index."""
    if rows.ndim != 2 or rows.shape[1:] != (2,) or not len(rows) or rows.dtype.kind not in "iu":
        raise FormatError(path, f"rf_data_index is {rows.dtype} of shape {rows.shape}; allowed: "
                          "integers of shape (segment, 2)")
    if rows.max() > 2**62 or rows.min() < 0 or rows[0, 1]:
        raise FormatError(path, "rf_data_index has numbers out of range")
    starts, offsets = rows.astype(np.int64).T
    stops = starts + np.diff(offsets, append=length)
    if (stops <= starts).any() or (starts[1:] < stops[:-1]).any():
        raise FormatError(path, f"rf_data_index does not ascend within {length} rows of rf_data")
    return np.stack([starts, stops, offsets], axis=1)


def _check_window(file: DataFile, rate: Fraction) -> None:
    """Raise an error if sample numbers are outside the time in the file's name."""
    match, cadence = _RF_FILE.fullmatch(os.path.basename(file.path)), file.attrs.get(
        "file_cadence_millisecs")
    if match is None or not isinstance(cadence, int) or cadence < 1:
        return
    begin = int(match[1]) * 1000 + int(match[2])
    low, high = begin * rate / 1000 - 1, (begin + cadence) * rate / 1000 + 1
    first, stop = int(file.segments[0, 0]), int(file.segments[-1, 1])
    if first < low or stop > high:
        raise FormatError(file.path, f"rf_data_index lists samples {first} to {stop}; the "
                          f"file's name allows {math.ceil(low)} to {math.floor(high)}")


def scan(path: str, rate: Fraction | None = None, override: Any = None) -> DataFile:
    """Index one file; its rate must be `rate` if that is given."""
    with open_file(path) as file, reading(path, "rf_data and rf_data_index"):
        data = numbers(file, "rf_data", path, kinds="iufcV")
        index = numbers(file, "rf_data_index", path, kinds="iu")
        attrs = cards_of(data.attrs)
        if index.size > _MAX_ROWS:
            raise FormatError(path, f"rf_data_index has {index.size} values")
        segments = _segments(np.asarray(index[()]), data.shape[0], path)
        found = DataFile(path, segments, _layout(data, attrs, path), attrs)
    own = rate_of(attrs, path, override if rate is None else rate)
    if rate is not None and own != rate:
        raise FormatError(path, f"sample rate {own} Hz, but the channel's is {rate} Hz")
    _check_window(found, own)
    return found


def scan_all(folder: str, rate: Fraction) -> list[DataFile]:
    """Index the files of a channel; unusable files cause a warning and are left out."""
    paths = stamped(folder, _RF_FILE)
    files: list[DataFile] = []
    lost: list[FormatError] = []
    for path in paths:
        try:
            file = scan(path, rate)
            if files and file.layout != files[0].layout:
                raise FormatError(path, f"{file.layout} differs from {files[0].layout} of earlier "
                                  "files")
            files.append(file)
        except FormatError as error:
            lost.append(error)
    if not files:
        reason = f"; {lost[0]}" if lost else ""
        raise FormatError(folder, f"none of its {len(paths)} rf files can be used{reason}")
    for cause in lost:
        warnings.warn(f"{cause}: its samples are taken as missing", FastsigWarning,
                      stacklevel=users_line())
    return files


def table_of(files: list[DataFile]) -> NDArray[np.int64]:
    """Return the segments of all files by time: first sample, stop, row of rf_data, file number."""
    parts = [np.insert(file.segments, 3, number, axis=1) for number, file in enumerate(files)]
    table = np.concatenate(parts)
    table = table[np.argsort(table[:, 0], kind="stable")]
    overlaps = np.flatnonzero(table[1:, 0] < table[:-1, 1])
    if len(overlaps):
        row = overlaps[0]
        before, after = files[table[row, 3]].path, files[table[row + 1, 3]].path
        raise FormatError(after, f"sample {table[row + 1, 0]} is also in {before}")
    return table
