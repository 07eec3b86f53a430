"""Tape formats: frames found by their own headers, samples decoded by the package `baseband`.

`baseband` is under the GPL, so it is optional, and loaded when a file is opened. Its stream readers
keep a position, so serve one thread; they stop at a repeated frame or at some frames of junk, and
take a frame that is filled in part for data. Hence only its headers and payloads are used. Where
frames lie, and what time they have, is found here: what no frame holds is invalid, and what follows
a loss keeps its time.

References
----------
A. R. Whitney, "Mark 5 memo 230.3" (Mark 4 format); "Mark 5B User's Manual" (MIT Haystack), which
also tells of the word that stands for lost data.
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
from fastsig.errors import DataError, FormatError, InputError, UsageError
from fastsig.io.probe import Probe
from fastsig.io.voltages.frame_files import FrameFiles
from fastsig.io.voltages.framed import FramedVoltages
from fastsig.io.voltages.segments import RawFiles, incomplete
from fastsig.stream.header import Header

_FILLS = (0x11223344, 0x44112233, 0x33441122, 0x22334411)  # in whatever step with samples
_FILL_WORDS = 4  # that follow one another: 128 bits are no chance
_SLACK = 32  # frames that one may come late or early
_SEARCHED = 2**26  # bytes after a loss that frames are looked for in from end to end
_NEVER = 2**62
_DAY_ZERO = 41317  # 1972-01-01: from then on UTC is off TAI by whole seconds
_YEARS = (1980, 2100)


def package(name: str, path: str) -> Any:
    """A module of `baseband`.

    Raises
    ------
    FormatError
        Where the package is not there.
    """
    try:
        return importlib.import_module(f"baseband.{name}")
    except ImportError as error:
        raise FormatError(path, f"is a {name} file, which the package `baseband` decodes; "
                          f'pip install "fastsig[baseband]" ({error})') from error


@contextmanager
def decoding(path: str, what: str, kind: type[InputError] = FormatError) -> Iterator[None]:
    """Turn whatever `baseband` raises, assertions included, into an error that names the file."""
    try:
        yield
    except Exception as error:
        text = str(error) or type(error).__name__
        raise kind(path, f"baseband cannot read {what}: {text}") from error


@dataclass(frozen=True)
class Mark:
    """What frames of a format are known by.

    Parameters
    ----------
    name : str
        Of the format.
    frame_bytes, head_bytes : int
        Bytes of a frame, and those of its beginning that `sound` looks at.
    pattern, place : bytes, int
        What every frame holds, and where.
    sound : callable
        Which rows of uint8, shape (n, head_bytes), are headers.
    """

    name: str
    frame_bytes: int
    head_bytes: int
    pattern: bytes
    place: int
    sound: Callable[[NDArray[np.uint8]], NDArray[np.bool_]]

    def places(self, data: bytes) -> Iterator[int]:
        """Where headers are."""
        found = data.find(self.pattern)
        while found >= 0:
            if found >= self.place and self._sound(data, found - self.place):
                yield found - self.place
            found = data.find(self.pattern, found + 1)

    def first(self, data: bytes, *, at_end: bool) -> int | None:
        """Place of the first frame that another follows, or, `at_end` of a file, could follow."""
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
    """The one of `marks` that is in the first frames of a file."""
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
    """Files in pieces, within which frames follow one another without a byte between them.

    There are several of a file where bytes were lost or added: frames then go on at other places.
    """

    def __init__(self, paths: Sequence[str], mark: Mark) -> None:
        super().__init__(paths)
        self.mark = mark
        self.pieces: list[tuple[int, int, int]] = []  # file, first byte, frames
        self.heads: list[int] = []  # headers of a piece: a last one may lack its frame's end
        self._sizes = [_size(path) for path in paths]
        for file in range(len(paths)):
            self._cut(file)

    def read_into(self, index: int, out: NDArray[Any], offset: int) -> None:
        """Fill `out` from byte `offset` of a piece on."""
        file, begin, _ = self.pieces[index]
        super().read_into(file, out, begin + offset)

    def scatter_into(self, index: int, places: NDArray[np.int64], offset: int) -> bool:
        """Likewise, to many places."""
        file, begin, _ = self.pieces[index]
        return super().scatter_into(file, places, begin + offset)

    def first_heads(self, n: int) -> NDArray[np.uint8]:
        """The first `n` headers, or as many as there are."""
        places = itertools.islice(((piece, i) for piece, count in enumerate(self.heads)
                                   for i in range(count)), n)
        out = [np.empty((0, self.mark.head_bytes), np.uint8)]
        for piece, i in places:
            out.append(np.empty((1, self.mark.head_bytes), np.uint8))
            self.read_into(piece, out[-1], i * self.mark.frame_bytes)
        return np.concatenate(out)

    def slips(self, piece: int, frame: int) -> bool:
        """Whether a header is out of step within the next four frames' bytes."""
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
            raise FormatError(path, f"holds no whole frame, which takes {step} bytes")
        self._add(file, start, count, rest)
        if rest:
            incomplete(path, f"the last {rest} bytes are no whole frame")

    def _add(self, file: int, start: int, count: int, rest: int) -> None:
        self.pieces.append((file, start, count))
        self.heads.append(count + (rest >= self.mark.head_bytes))

    def _next(self, file: int, at: int, stop: int) -> int | None:
        """Place of the first frame from `at` on; those from `stop` on may be left out."""
        mark, size = self.mark, self._sizes[file]
        width = 3 * mark.frame_bytes + mark.head_bytes
        while at < min(stop, size):
            data = self._window(file, at, width)
            found = mark.first(data, at_end=at + width >= size)
            if found is not None:
                return at + found
            at += 2 * mark.frame_bytes  # later ones had no room for a second header
        return None

    def _end(self, file: int, first: int) -> int:
        """Place of the last frame of a file, or of the last that is easily found."""
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
        """Where frames that are in step with `start` end, and the next ones begin."""
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
            # A frame counts where one follows it in step: the one that the slip is in does not.
            after = self._next(file, low + 1, low + _SEARCHED)
            if after is None:
                after = self._resumes(file, low + _SEARCHED, last)
            if (after - start) % step:
                return low + step, after
            low = after

    def _resumes(self, file: int, low: int, high: int) -> int:
        """Where frames begin again after what is too long to look through; `high` is one."""
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
        raise FormatError(path, error.strerror or str(error)) from error


class TapeFrames(FrameFiles):
    """Frames of the files of one recording, in pieces.

    Parameters
    ----------
    raw : Pieces
        The files.
    zero : Time
        Of the frame numbered 0.
    """

    def __init__(self, raw: Pieces, zero: Time) -> None:
        # Not that of `FrameFiles`, for which a file begins with a frame and has no slips.
        self.raw, self.pieces, self.zero = raw, raw, zero
        self.frame_bytes, self.head_bytes = raw.mark.frame_bytes, raw.mark.head_bytes
        self.counts = [count for _, _, count in raw.pieces]
        self.threads, self.per_time = [0], 1
        self._early = [0] * len(self.counts)
        self._starts = begins = [self._begin(i) for i in range(len(self.counts))]
        self.begin = min(begins)
        if self.begin == _NEVER:
            raise FormatError(raw.paths[0], "holds no whole valid frame")
        self.stop = 1 + max(self._last(i) for i in range(len(self.counts)))
        self.order = sorted(range(len(begins)), key=begins.__getitem__)

    def _begin(self, piece: int) -> int:
        if not self.counts[piece]:  # lost bytes follow one another within a frame
            return _NEVER
        heads = self.heads(piece, 0, min(_SLACK, self.counts[piece]))
        return int(heads.number[heads.good].min()) if heads.good.any() else self._at(piece, 0)


class TapeVoltages(FramedVoltages):
    """Voltages of a recording in frames that `baseband` decodes: float32 (time, input).

    A format implements `_samples`.
    """

    may_have_nan = True

    def __init__(self, header: Header, path: str, frames: TapeFrames, n_time: int,
                 columns: list[int]) -> None:
        super().__init__(header, np.float32, path, frames, n_time, [(0, c) for c in columns])
        self._pieces, self._columns = frames.pieces, columns
        levels = package("base.encoding", path).decoder_levels[header.n_bits]
        self.levels = tuple(levels.tolist())

    def valid_spans(self) -> tuple[Spans, ...] | None:
        """None: within frames, only the samples tell."""
        return None

    @abstractmethod
    def _samples(self, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Samples (time, channel) of a frame, its header included; NaN where there are none."""

    def _decoded(self, frames: NDArray[np.uint8]) -> NDArray[Any]:
        with decoding(self.path, "a frame", DataError):
            return np.concatenate([self._samples(frame) for frame in frames])

    def _read(self, start: int, n: int, out: NDArray[Any]) -> tuple[Spans, ...]:
        """Headers first, then frames one by one: samples take 16 times the room of 2 bits."""
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
        """Put samples, which begin at `at`, into rows that begin at `start`."""
        low, high = max(at, start), min(at + len(samples), start + len(out))
        out[low - start : high - start] = samples[low - at : high - at, self._columns]
        return validity.full(low, high)


def blank(samples: NDArray[np.float32], stored: NDArray[np.uint8]) -> None:
    """Set to NaN the samples whose place a disk that failed left to the fill word.

    Parameters
    ----------
    samples : ndarray, shape (time, channel), float32
    stored : ndarray, shape (byte,), uint8
        What they were decoded from; all of them take the same number of bits.
    """
    words = stored.view("<u4")
    if not np.isin(words[::_FILL_WORDS], _FILLS).any():  # a quarter of the time
        return
    lost = np.isin(words, _FILLS)
    for first, stop in validity.from_mask(lost).tolist():
        if stop - first >= _FILL_WORDS:
            low, high = first * len(samples) // len(lost), -(-stop * len(samples) // len(lost))
            samples[low:high] = np.nan


def bcd(fields: NDArray[np.int64], digits: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Numbers that are written by four bits a digit, and whether all digits are."""
    places = np.arange(digits)[::-1]
    each = fields[:, np.newaxis] >> 4 * places & 15
    good: NDArray[np.bool_] = np.all(each <= 9, axis=1)
    return each @ 10**places, good


@cache
def _day_second(day: int) -> int:
    return round(elapsed(time_from_mjd(_DAY_ZERO), time_from_mjd(day)))


def day_seconds(days: NDArray[np.int64]) -> NDArray[np.int64]:
    """Seconds from 1972 to the beginnings of days (MJD), leap seconds among them."""
    each, which = np.unique(days, return_inverse=True)
    return np.array([_day_second(day) for day in each.tolist()], np.int64)[which]


def nearest(part: Any, period: int, near: float | int) -> Any:
    """The numbers nearest to one of them of which the last digits, below `period`, are known."""
    return part + period * np.round((near - part) / period).astype(np.int64)


def reference(own: Mapping[str, Any], common: Mapping[str, Any]) -> Time | None:
    """A time near the recording that the user gave: `ref_time`, or its very start."""
    value = own.get("ref_time", common.get("start_time"))
    if value is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # astropy doubts years to come; so do we, by an error
        time = value.utc if isinstance(value, Time) else parse_time(str(value))
        year = float(time.decimalyear)
    if not _YEARS[0] <= year < _YEARS[1]:
        raise UsageError(f"ref_time = {str(value)!r}; allowed: times from {_YEARS[0]} to "
                         f"{_YEARS[1]}")
    return time


def integer(own: Mapping[str, Any], name: str, allowed: Sequence[int], said: str) -> int | None:
    """A whole number that the user gave; None where they did not.

    Raises
    ------
    UsageError
        Where it is not one of those allowed.
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
    """Samples a second that the user gave."""
    if "sample_rate" not in common:
        return None
    text = str(common["sample_rate"]).strip()
    return parse_rate(exact(text, "Hz", "sample_rate") if text[-1:].isalpha() else text)


def start_of(frames: TapeFrames, n_time: int, rate: Fraction) -> Time:
    """UTC of the first sample of the first frame."""
    return sample_time(frames.zero, frames.begin * n_time, rate)


def words_of(header: Any) -> dict[str, Any]:
    """Fields of a header of `baseband`, a list where tracks differ; texts of decimal digits."""
    out: dict[str, Any] = {}
    for key in list(header.keys()):
        values = np.atleast_1d(np.asarray(header[key])).astype(int).tolist()
        if key.startswith("bcd_"):
            values = [f"{value:x}" for value in values]
        if not key.startswith("_") and key not in ("sync_pattern", "crc"):
            out[key] = values[0] if len(set(values)) == 1 else values
    return out
