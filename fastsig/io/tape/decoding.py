"""Tape formats: frames found by their own headers, samples decoded by the package `baseband`.

`baseband` is under the GPL, so it is optional, and loaded when a file is opened. Its stream readers
keep a position, so only one thread can use them. They stop at a repeated frame or at a few frames
of junk, and treat a partly filled frame as data. Therefore only its headers and payloads are used,
and the places and times of frames are determined here: samples that no frame contains are invalid,
and samples after a loss keep their times.

References
----------
A. R. Whitney, "Mark 5 memo 230.3" (Mark 4 format); "Mark 5B User's Manual" (MIT Haystack), which
also specifies the word that replaces lost data.
"""

from __future__ import annotations

import importlib
import itertools
import os
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from fastsig.axes import validity
from fastsig.axes.time import elapsed, parse_rate, parse_time, sample_time, time_from_mjd
from fastsig.axes.units import exact
from fastsig.axes.validity import Spans
from fastsig.errors import DataError, FormatError, InputError, UsageError, unreadable
from fastsig.io.probe import Probe
from fastsig.io.voltages.frame_files import FrameFiles
from fastsig.io.voltages.framed import FramedVoltages
from fastsig.io.voltages.segments import RawFiles, incomplete
from fastsig.stream.header import Header

_FILLS = (0x11223344, 0x44112233, 0x33441122, 0x22334411)  # at any byte offset within a word
_FILL_WORDS = 4  # consecutive words; 128 bits do not match by chance
_SLACK = 32  # a frame may come this many frames late or early
_SEARCHED = 2**26  # bytes after a loss that are searched completely for frames
_NEVER = 2**62
_DAY_ZERO = 41317  # 1972-01-01, from which on UTC differs from TAI by whole seconds
_YEARS = (1980, 2100)


def package(name: str, path: str) -> Any:
    """Import a module of `baseband`.

    Raises
    ------
    FormatError
        Where the package is not installed.
    """
    try:
        return importlib.import_module(f"baseband.{name}")
    except ImportError as error:
        raise FormatError(path, f"is a {name} file, which the package `baseband` decodes; "
                          f'pip install "fastsig[baseband]" ({error})') from error


@contextmanager
def decoding(path: str, what: str, kind: type[InputError] = FormatError) -> Iterator[None]:
    """Turn any exception of `baseband`, assertions included, into an error that names the file."""
    try:
        yield
    except Exception as error:
        text = str(error) or type(error).__name__
        raise kind(path, f"baseband cannot read {what}: {text}") from error


@dataclass(frozen=True)
class Mark:
    """The features by which frames of a format are recognised.

    Parameters
    ----------
    name : str
        Name of the format.
    frame_bytes, head_bytes : int
        Bytes of a frame, and bytes at its start that `sound` examines.
    pattern, place : bytes, int
        Bytes that every frame contains, and their place in it.
    sound : callable
        Function that returns which rows of uint8, shape (n, head_bytes), are headers.
    """

    name: str
    frame_bytes: int
    head_bytes: int
    pattern: bytes
    place: int
    sound: Callable[[NDArray[np.uint8]], NDArray[np.bool_]]

    def places(self, data: bytes) -> Iterator[int]:
        """Yield the places of headers."""
        found = data.find(self.pattern)
        while found >= 0:
            if found >= self.place and self._sound(data, found - self.place):
                yield found - self.place
            found = data.find(self.pattern, found + 1)

    def first(self, data: bytes, *, at_end: bool) -> int | None:
        """Return the place of the first frame that another follows or, `at_end`, could follow."""
        for at in self.places(data):
            follower = at + self.frame_bytes
            beyond = follower + self.head_bytes > len(data)
            if at_end if beyond else self._sound(data, follower):
                return at
        return None

    def _sound(self, data: bytes, at: int) -> bool:
        head = np.frombuffer(data[at : at + self.head_bytes], np.uint8)
        return len(head) == self.head_bytes and bool(self.sound(head[np.newaxis])[0])


def recognized(probe: Probe, marks: Iterable[Mark]) -> Mark | None:
    """Return the first of `marks` that is in the first frames of a file; None without any."""
    if probe.is_folder or probe.is_hdf5:
        return None
    with open(probe.path, "rb") as file:
        for mark in marks:
            wanted = 3 * mark.frame_bytes + mark.head_bytes
            file.seek(0)
            data = file.read(wanted)
            if mark.first(data, at_end=len(data) < wanted) is not None:
                return mark
    return None


class Pieces(RawFiles):
    """Files in pieces; within a piece, frames follow one another without any bytes between them.

    A file has several pieces where bytes were lost or added, which shifts the frames that follow.
    """

    def __init__(self, paths: Sequence[str], mark: Mark) -> None:
        super().__init__(paths)
        self.mark = mark
        self.pieces: list[tuple[int, int, int]] = []  # file, first byte, frames
        self.heads: list[int] = []  # headers of a piece; the last frame may be incomplete
        self._sizes = [_size(path) for path in paths]
        for file in range(len(paths)):
            self._cut(file)

    def read_into(self, index: int, out: NDArray[Any], offset: int) -> None:
        """Fill `out` with the bytes of a piece from `offset` on."""
        file, begin, _ = self.pieces[index]
        super().read_into(file, out, begin + offset)

    def scatter_into(self, index: int, places: NDArray[np.int64], offset: int) -> bool:
        """Read the bytes of a piece from `offset` on to many places."""
        file, begin, _ = self.pieces[index]
        return super().scatter_into(file, places, begin + offset)

    def first_heads(self, n: int) -> NDArray[np.uint8]:
        """Return the first `n` headers, or all headers if there are fewer."""
        places = itertools.islice(((piece, i) for piece, count in enumerate(self.heads)
                                   for i in range(count)), n)
        out = [np.empty((0, self.mark.head_bytes), np.uint8)]
        for piece, i in places:
            out.append(np.empty((1, self.mark.head_bytes), np.uint8))
            self.read_into(piece, out[-1], i * self.mark.frame_bytes)
        return np.concatenate(out)

    def slips(self, piece: int, frame: int) -> bool:
        """Whether a header is out of step within the bytes of the next four frames."""
        file, begin, _ = self.pieces[piece]
        at, step = begin + frame * self.mark.frame_bytes + 1, self.mark.frame_bytes
        data = self._window(file, at, 4 * step)
        return any((place + 1) % step for place in self.mark.places(data))

    def _window(self, file: int, at: int, n: int) -> bytes:
        window = np.empty(max(0, min(n, self._sizes[file] - at)), np.uint8)
        super().read_into(file, window, at)
        return window.tobytes()

    def _cut(self, file: int) -> None:
        path, step, size = self.paths[file], self.mark.frame_bytes, self._sizes[file]
        first = self._next(file, 0, 1)
        if first is None:
            raise FormatError(path, f"does not begin with {self.mark.name} frames")
        start, last = first % step, self._end(file, first)
        while (last - start) % step:
            stop, after = self._slip(file, start, last)
            self._add(file, start, (stop - start) // step, 0)
            incomplete(path, f"bytes are missing or added between {stop} and {after}; the frames "
                       "there are left out")
            start = after
        count, rest = divmod(size - start, step)
        if not count and start == first:
            raise FormatError(path, f"contains no complete frame, which has {step} bytes")
        self._add(file, start, count, rest)
        if rest:
            incomplete(path, f"the last {rest} bytes are not a complete frame")

    def _add(self, file: int, start: int, count: int, rest: int) -> None:
        self.pieces.append((file, start, count))
        self.heads.append(count + (rest >= self.mark.head_bytes))

    def _next(self, file: int, at: int, stop: int) -> int | None:
        """Return the place of the first frame from `at` on; frames after `stop` may be missed."""
        mark, size = self.mark, self._sizes[file]
        width = 3 * mark.frame_bytes + mark.head_bytes
        while at < min(stop, size):
            data = self._window(file, at, width)
            found = mark.first(data, at_end=at + width >= size)
            if found is not None:
                return at + found
            at += 2 * mark.frame_bytes  # after later frames, a second header would not have fitted
        return None

    def _end(self, file: int, first: int) -> int:
        """Return the place of the last frame of a file, or of the last that is easily found."""
        size, step, found = self._sizes[file], self.mark.frame_bytes, None
        back = 3 * step
        while found is None and size - back > first:
            found = self._next(file, size - back, size - back + 1)
            back *= 2
        last = first if found is None else found
        while (found := self._next(file, last + 1, last + step + 1)) is not None:
            last = found
        return last

    def _slip(self, file: int, start: int, last: int) -> tuple[int, int]:
        """Return where the frames in step with `start` end, and where the next frames begin."""
        step, low = self.mark.frame_bytes, start
        while True:
            high = last
            while high - low > 2 * step:
                middle = (low + high) // 2
                found = self._next(file, middle, middle + 1)
                if found is not None and (found - start) % step == 0:
                    low = found
                else:
                    high = middle
            # A frame counts if another follows it in step, so the frame with the slip does not.
            after = self._next(file, low + 1, low + _SEARCHED)
            if after is None:
                after = self._resumes(file, low + _SEARCHED, last)
            if (after - start) % step:
                return low + step, after
            low = after

    def _resumes(self, file: int, low: int, high: int) -> int:
        """Return where frames resume after a gap too long to search; a frame starts at `high`."""
        first = high
        while high - low > 2 * self.mark.frame_bytes:
            middle = (low + high) // 2
            found = self._next(file, middle, middle + 1)
            if found is None:
                low = middle
            else:
                first, high = found, middle
        return first


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError as error:
        raise unreadable(path, error) from error


class TapeFrames(FrameFiles):
    """Frames in the files of one recording, which are divided into pieces.

    Parameters
    ----------
    raw : Pieces
        The files.
    zero : Time
        Time of the frame numbered 0.
    """

    def __init__(self, raw: Pieces, zero: Time) -> None:
        # Not `FrameFiles.__init__`, which requires files that begin with a frame and have no slips.
        self.raw, self.pieces, self.zero = raw, raw, zero
        self.frame_bytes, self.head_bytes = raw.mark.frame_bytes, raw.mark.head_bytes
        self.counts = [count for _, _, count in raw.pieces]
        self.oldest = [0] * len(self.counts)
        self.threads, self.per_time = [0], 1
        self._early = [0] * len(self.counts)
        self._starts = begins = [self._begin(i) for i in range(len(self.counts))]
        self.begin = min(begins)
        if self.begin == _NEVER:
            raise FormatError(raw.paths[0], "contains no complete valid frame")
        self.stop = 1 + max(self._last(i) for i in range(len(self.counts)))
        self.order = sorted(range(len(begins)), key=begins.__getitem__)

    def _begin(self, piece: int) -> int:
        if not self.counts[piece]:  # two losses within one frame
            return _NEVER
        heads = self.heads(piece, 0, min(_SLACK, self.counts[piece]))
        return int(heads.number[heads.good].min()) if heads.good.any() else self._at(piece, 0)


class TapeVoltages(FramedVoltages):
    """Voltages of a recording in frames that `baseband` decodes: float32 (time, input).

    Each format implements `_samples`.
    """

    may_have_nan = True

    def __init__(self, header: Header, path: str, frames: TapeFrames, n_time: int,
                 columns: list[int]) -> None:
        super().__init__(header, np.float32, path, frames, n_time, [(0, c) for c in columns])
        self._pieces, self._columns = frames.pieces, columns
        levels = package("base.encoding", path).decoder_levels[header.n_bits]
        self.levels = tuple(levels.tolist())

    def valid_spans(self) -> tuple[Spans, ...] | None:
        """Return None: within frames, only the samples show whether they are valid."""
        return None

    @abstractmethod
    def _samples(self, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the samples (time, channel) of a frame that includes its header; NaN for none."""

    def _decoded(self, frames: NDArray[np.uint8]) -> NDArray[Any]:
        with decoding(self.path, "a frame", DataError):
            return np.concatenate([self._samples(frame) for frame in frames])

    def _read(self, start: int, n: int, out: NDArray[Any]) -> tuple[Spans, ...]:
        """Read headers, then frames one by one, as decoded samples need 16 times the space."""
        frames, valid = self._frames, [validity.full(0, 0)]
        first, stop = start // self._n_time, -(-(start + n) // self._n_time)
        frame = np.empty((1, frames.frame_bytes), np.uint8)
        for piece in frames.order:
            low, high = frames.span(piece, frames.begin + first, frames.begin + stop)
            if low >= high:
                continue
            heads = frames.heads(piece, low, high - low)
            begin = (heads.number - frames.begin) * self._n_time
            inside = heads.good & (begin < start + n) & (begin + self._n_time > start)
            for i in np.flatnonzero(inside).tolist():
                if not heads.good[i + 1 : i + 2].all() and self._pieces.slips(piece, low + i):
                    continue
                frames.raw.read_into(piece, frame, (low + i) * frames.frame_bytes)
                valid.append(self._put_frame(self._decoded(frame), int(begin[i]), start, out))
        return (validity.as_spans(np.concatenate(valid)),) * self.n_pol

    def _put_frame(self, samples: NDArray[np.float32], at: int, start: int, out: NDArray[Any]
                   ) -> Spans:
        """Copy samples, which begin at `at`, to rows that begin at `start`."""
        low, high = max(at, start), min(at + len(samples), start + len(out))
        out[low - start : high - start] = samples[low - at : high - at, self._columns]
        return validity.full(low, high)


def blank(samples: NDArray[np.float32], stored: NDArray[np.uint8]) -> None:
    """Set samples to NaN where a failed disk left the fill word.

    Parameters
    ----------
    samples : ndarray, shape (time, channel), float32
    stored : ndarray, shape (byte,), uint8
        The bytes that they were decoded from; all samples have the same number of bits.
    """
    words = stored.view("<u4")
    if not np.isin(words[::_FILL_WORDS], _FILLS).any():  # takes a quarter of the time
        return
    lost = np.isin(words, _FILLS)
    for first, stop in validity.from_mask(lost).tolist():
        if stop - first >= _FILL_WORDS:
            low, high = first * len(samples) // len(lost), -(-stop * len(samples) // len(lost))
            samples[low:high] = np.nan


def bcd(fields: NDArray[np.int64], digits: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return numbers that are coded with four bits per digit, and whether all digits are valid."""
    places = np.arange(digits)[::-1]
    each = fields[:, np.newaxis] >> 4 * places & 15
    good: NDArray[np.bool_] = np.all(each <= 9, axis=1)
    return each @ 10**places, good


@cache
def _day_second(day: int) -> int:
    return round(elapsed(time_from_mjd(_DAY_ZERO), time_from_mjd(day)))


def day_seconds(days: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the seconds from 1972 to the starts of days (MJD), leap seconds included."""
    each, which = np.unique(days, return_inverse=True)
    return np.array([_day_second(day) for day in each.tolist()], np.int64)[which]


def nearest(part: Any, period: int, near: float | int) -> Any:
    """Return the numbers nearest to `near` that are equal to `part` modulo `period`."""
    return part + period * np.round((near - part) / period).astype(np.int64)


def reference(own: Mapping[str, Any], common: Mapping[str, Any]) -> Time | None:
    """Return a time near the recording from the user: `ref_time`, or the start time."""
    value = own.get("ref_time", common.get("start_time"))
    if value is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # astropy warns of future years; an error is raised below
        time = value.utc if isinstance(value, Time) else parse_time(str(value))
        year = float(time.decimalyear)
    if not _YEARS[0] <= year < _YEARS[1]:
        raise UsageError(f"ref_time = {str(value)!r}; allowed: times from {_YEARS[0]} to "
                         f"{_YEARS[1]}")
    return time


def integer(own: Mapping[str, Any], name: str, allowed: Sequence[int], said: str) -> int | None:
    """Return a whole number that the user gave; None if they gave none.

    Raises
    ------
    UsageError
        Where it is not one of the allowed numbers.
    """
    if name not in own:
        return None
    try:
        value = int(str(own[name]))
    except ValueError:
        value = -1
    if value not in allowed:
        raise UsageError(f"{name} = {own[name]!r}; allowed: {said}")
    return value


def given_rate(common: Mapping[str, Any]) -> Fraction | None:
    """Return the sample rate that the user gave."""
    if "sample_rate" not in common:
        return None
    text = str(common["sample_rate"]).strip()
    return parse_rate(exact(text, "Hz", "sample_rate") if text[-1:].isalpha() else text)


def start_of(frames: TapeFrames, n_time: int, rate: Fraction) -> Time:
    """Return the UTC of the first sample of the first frame."""
    return sample_time(frames.zero, frames.begin * n_time, rate)


def words_of(header: Any) -> dict[str, Any]:
    """Return a `baseband` header's fields, a list where tracks differ; decimal codes as text."""
    out: dict[str, Any] = {}
    for key in list(header.keys()):
        values = np.atleast_1d(np.asarray(header[key])).astype(int).tolist()
        if key.startswith("bcd_"):
            values = [f"{value:x}" for value in values]
        if not key.startswith("_") and key not in ("sync_pattern", "crc"):
            out[key] = values[0] if len(set(values)) == 1 else values
    return out
