"""Mark 4: frames of 20 000 bits per track, each with its own time; decoded by `baseband`.

A file contains the bits of 16, 32 or 64 tracks side by side. Headers replace samples, so the first
160 bits of a track in every frame are invalid, and a recording may begin anywhere.

References
----------
A. R. Whitney, "Mark IIIA/IV/VLBA Tape Formats, Recording Modes and Compatibility" (Mark 5 memo
230.3, 1995): header of a track, words 0 to 4; time code in table 2.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.polarization import PolBasis
from fastsig.axes.time import time_from_mjd
from fastsig.errors import FormatError
from fastsig.io.probe import Probe
from fastsig.io.tape.decoding import (
    Mark,
    Pieces,
    TapeFrames,
    TapeVoltages,
    bcd,
    blank,
    day_seconds,
    decoding,
    given_rate,
    integer,
    nearest,
    package,
    recognized,
    reference,
    start_of,
    words_of,
)
from fastsig.io.voltages.frame_files import Heads
from fastsig.io.voltages.framed import choose
from fastsig.stream.header import Header, split_overrides

__all__ = ["KINDS", "MANY", "NAME", "Mark4Stream", "open", "sniff"]

NAME, KINDS = "mark4", ("voltage",)

#: Whether `open` accepts several files of one recording.
MANY = True

_OWN = ("ntrack", "decade", "ref_time", "input")
_TRACK_BITS, _HEAD_BITS = 20_000, 160
_TICKS = 800  # per second: times are recorded in steps of 1.25 ms
_FIRST = 64  # headers from which the rate is determined
_TRIED = 8  # headers to try until one specifies the layout of samples


class Fields(NamedTuple):
    """The fields of headers, whether they can be headers, and whether they report an error."""

    sound: NDArray[np.bool_]
    error: NDArray[np.bool_]
    year: NDArray[np.int64]
    day: NDArray[np.int64]
    second: NDArray[np.int64]
    tick: NDArray[np.int64]


def _remainders() -> list[NDArray[np.intp]]:
    """Return the bits of a track's header that contribute to each bit of its remainder.

    The divisor is x^12 + x^11 + x^3 + x^2 + x + 1; bits are in the order of transmission, with the
    12 check bits last.
    """
    remainder, each = 1, []
    for _ in range(_HEAD_BITS):
        each.append(remainder)
        remainder = remainder << 1 ^ (0x180F if remainder & 0x800 else 0)
    table = np.array(each[::-1])
    return [np.flatnonzero(table >> bit & 1) for bit in range(12)]


_REMAINDERS = _remainders()


def _checked(raw: NDArray[np.uint8], n_track: int) -> NDArray[np.bool_]:
    """Whether the check bits of most tracks are right."""
    words = np.ascontiguousarray(raw).view(f"<u{n_track // 8}")
    wrong = np.zeros(len(words), words.dtype)
    for bits in _REMAINDERS:
        wrong |= np.bitwise_xor.reduce(words[:, bits], axis=1)
    right: NDArray[np.bool_] = 2 * np.bitwise_count(wrong).astype(np.int64) < n_track
    return right


def _fields(raw: NDArray[np.uint8]) -> Fields:
    """Return the fields of the headers at the start of rows; tracks decide each bit by majority."""
    counts = np.bitwise_count(raw.reshape(len(raw), _HEAD_BITS, -1)).sum(axis=2, dtype=np.int64)
    n_track = raw.shape[1] * 8 // _HEAD_BITS
    # The edges of the ones must be sharp, as a shift of one byte is only an eighth of 64 tracks.
    sharp = (counts[:, 63] == 0) & (counts[:, [64, 95]] == n_track).all(axis=1)
    sound = sharp & (counts[:, 64:96].sum(axis=1) > 0.9 * 32 * n_track)
    sound &= _checked(raw, n_track)
    time = (2 * counts[:, 96:148] > n_track) @ (1 << np.arange(52, dtype=np.int64)[::-1])
    each = [bcd(time >> shift & (1 << 4 * digits) - 1, digits)
            for shift, digits in ((48, 1), (36, 3), (28, 2), (20, 2), (12, 2), (0, 3))]
    year, day, hour, minute, second, part = (number for number, _ in each)
    sound &= np.all([good for _, good in each], axis=0)
    sound &= (day >= 1) & (day <= 366) & (hour < 24) & (minute < 60) & (second <= 60)
    # The last digit of the milliseconds codes 0, 1.25, 2.5, 3.75, 5, ... 8.75: never 4 or 9.
    sound &= part % 5 != 4
    return Fields(sound, counts[:, 48:52].any(axis=1), year, day,
                  hour * 3600 + minute * 60 + second, (4 * part + part % 5) // 5)


def _mark(n_track: int) -> Mark:
    """Return the mark of a format; a zero precedes the 32 ones of each track."""
    word = n_track // 8
    return Mark(f"Mark 4 ({n_track} tracks)", _TRACK_BITS * word, _HEAD_BITS * word,
                bytes(word) + b"\xff" * (32 * word), 63 * word, lambda raw: _fields(raw).sound)


# The most tracks come first, because their pattern contains that of fewer tracks.
_MARKS = {n_track: _mark(n_track) for n_track in (64, 32, 16)}


def sniff(probe: Probe) -> bool:
    """Whether the first frames of a file contain two headers at the distance of a frame."""
    return recognized(probe, _MARKS.values()) is not None


def open(path: str | os.PathLike[str] | Sequence[str], **overrides: Any) -> Mark4Stream:
    """Open the files of one Mark 4 recording as a stream; channels are its inputs.

    Parameters
    ----------
    path : path or sequence of path
        The files, in any order.
    ref_time : Time or str
        A time within 4 years of the recording, because headers contain only the last digit of the
        year. `start_time` serves the same purpose.
    decade : int
        The year without its last digit, instead of `ref_time`: 2010 for 2014.
    ntrack : int, optional
        Number of tracks, 16, 32 or 64; determined from the file by default.
    input : int or str, optional
        Channels to read, such as ``0`` or ``"0,1"``; all by default.
    **overrides
        The common overrides of `fastsig.open`; `sample_rate` is needed if there is only one header.

    Raises
    ------
    FormatError
        Where no frame can be read, a required option is missing, `baseband` does not know the
        mode, or it is not installed. A truncated file causes a `FastsigWarning`.
    UsageError
        Where an override is unknown or has no meaning.
    """
    paths = [os.fspath(path)] if isinstance(path, (str, os.PathLike)) else [*map(os.fspath, path)]
    common, own = split_overrides(overrides, _OWN, NAME)
    module = package(NAME, paths[0])
    n_track = integer(own, "ntrack", tuple(_MARKS), "16, 32, 64")
    mark = _MARKS[n_track] if n_track else recognized(Probe(paths[0]), _MARKS.values())
    if mark is None:
        raise FormatError(paths[0], "does not begin with Mark 4 frames")
    raw = Pieces(paths, mark)
    heads = raw.first_heads(_FIRST)
    fields = _fields(heads)
    if not fields.sound.any():
        raise FormatError(paths[0], "contains no valid frame")
    geometry = _geometry(module, heads, fields, paths[0])
    n_time = int(geometry.samples_per_frame)
    ticks = _ticks(fields, given_rate(common), n_time, paths[0])
    frames = _Frames(raw, fields, _year(fields, own, common, paths[0]), ticks)
    columns = choose(own.get("input"), int(geometry.nchan))
    rate = Fraction(_TICKS * n_time, ticks)
    header = Header(
        start_time=start_of(frames, n_time, rate), sample_rate=rate,
        polarization=PolBasis(kind="unknown", names=tuple(f"c{c}" for c in columns)),
        n_bits=int(geometry.bps),
        extra={**words_of(geometry), "ntrack": int(geometry.ntrack),
               "fanout": int(geometry.fanout), "nchan": int(geometry.nchan),
               "converters": [[int(c), bool(lsb)] for c, lsb in geometry.converters.tolist()]},
        origin={"start_time": "words 3 and 4, " + ("decade" if "decade" in own else "ref_time"),
                "sample_rate": "time between headers", "n_bits": "word 1"},
    )
    return Mark4Stream(header.overridden(common), paths[0], frames, n_time, columns, module,
                       geometry)


def _geometry(module: Any, heads: NDArray[np.uint8], fields: Fields, path: str) -> Any:
    """Return the first header from which `baseband` can decode samples."""
    usable = fields.sound & ~fields.error
    candidates = heads[usable if usable.any() else fields.sound][:_TRIED]
    for number, head in enumerate(candidates, 1):
        try:
            return _decodable(module, head, path)
        except FormatError:  # a track of this header may be wrong
            if number == len(candidates):
                raise
    return None


def _decodable(module: Any, head: NDArray[np.uint8], path: str) -> Any:
    """Return a header of `baseband`; raise an error if there is no decoder for it."""
    n_track = len(head) * 8 // _HEAD_BITS
    with decoding(path, "its first header"):
        geometry = module.Mark4Header.fromfile(io.BytesIO(head.tobytes()), n_track)
    what = f"samples of {geometry.bps} bits in {n_track} tracks, fan-out {geometry.fanout}"
    with decoding(path, what):
        stored = np.zeros(geometry.payload_nbytes, np.uint8).view(geometry.stream_dtype)
        module.Mark4Payload(stored, geometry)[:1]
        geometry.converters  # noqa: B018  raises if the order of tracks is unknown
    return geometry


def _year(fields: Fields, own: Mapping[str, Any], common: Mapping[str, Any], path: str) -> int:
    """Return the year of the first header."""
    part = int(fields.year[fields.sound][0])
    decade = integer(own, "decade", range(1980, 2091, 10), "decades from 1980 to 2090")
    if decade is not None:
        return decade + part
    near = reference(own, common)
    if near is None:
        raise FormatError(path, f"the headers contain only the last digit of the year, {part}; "
                          "give a time within 4 years of it, --set ref_time=2014-01-01, or the "
                          "decade, --set decade=2010")
    return int(nearest(part, 10, float(near.decimalyear)))


def _ticks(fields: Fields, rate: Fraction | None, n_time: int, path: str) -> int:
    """Return the length of a frame in steps of 1.25 ms: the common divisor of header intervals."""
    places = np.flatnonzero(fields.sound)
    frames, steps = np.diff(places), np.diff((fields.second * _TICKS + fields.tick)[places])
    # Headers in between may be damaged; if frames are lost, there are none in between.
    found = int(np.gcd.reduce(np.where(steps % frames, steps, steps // frames), initial=0))
    if rate is None:
        if not found or _TICKS % found:
            raise FormatError(path, "the headers do not state the sample rate; give --set "
                              "sample_rate=32MHz")
        return found
    ticks = _TICKS * n_time / rate
    if ticks.denominator > 1 or (found and found % ticks.numerator):
        apart = f", and headers are {1.25 * found} ms apart" if found else ""
        raise FormatError(path, f"with sample_rate = {rate} Hz a frame of {n_time} samples lasts "
                          f"{float(ticks) * 1.25:g} ms{apart}; allowed: whole steps of 1.25 ms")
    return ticks.numerator


class _Frames(TapeFrames):
    """Frames that are numbered from the day of the first; their length is in steps of 1.25 ms."""

    def __init__(self, raw: Pieces, fields: Fields, year: int, ticks: int) -> None:
        self.year, self.ticks = year, ticks
        first = int(np.flatnonzero(fields.sound)[0])
        self.day = int(_days(np.array([year]), fields.day[first : first + 1])[0])
        self.rest = (int(fields.second[first]) * _TICKS + int(fields.tick[first])) % ticks
        super().__init__(raw, time_from_mjd(self.day, Fraction(self.rest, _TICKS)))

    def parsed(self, raw: NDArray[np.uint8]) -> Heads:
        """Return the numbers of frames; frames that report an error are left out."""
        fields = _fields(raw[:, : self.head_bytes])
        year = nearest(fields.year, 10, self.year)
        days = np.where(fields.sound, _days(year, fields.day), self.day)
        seconds = day_seconds(days) - day_seconds(np.array([self.day])) + fields.second
        number, rest = np.divmod(seconds * _TICKS + fields.tick - self.rest, self.ticks)
        return Heads(number, np.zeros(len(raw), np.int64),
                     fields.sound & ~fields.error & (rest == 0))


def _days(year: NDArray[np.int64], day: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the MJD of days of years, where the first day of a year is 1."""
    first = (year - 1970).astype("M8[Y]").astype("M8[D]").astype(np.int64)
    return first + 40587 + day - 1


class Mark4Stream(TapeVoltages):
    """Voltages of a Mark 4 recording: float32 (time, channel), invalid at headers."""

    def __init__(self, header: Header, path: str, frames: _Frames, n_time: int,
                 columns: list[int], module: Any, geometry: Any) -> None:
        self._payload, self._geometry = module.Mark4Payload, geometry
        super().__init__(header, path, frames, n_time, columns)

    def _samples(self, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        # All frames use the first header, so that a changed bit in another cannot change channels.
        stored = frame[len(frame) * _HEAD_BITS // _TRACK_BITS :]
        found = self._payload(stored.view(self._geometry.stream_dtype), self._geometry).data
        samples = np.empty((self._n_time, found.shape[1]), np.float32)
        begin = self._n_time - len(found)
        samples[:begin], samples[begin:] = np.nan, found
        blank(samples[begin:], stored)
        return samples
