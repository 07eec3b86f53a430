"""Mark 5B: frames of 10 000 bytes of samples, each with its own time; decoded by `baseband`.

A header contains the last three digits of the day (MJD), the second, and the number of the frame in
that second, but not the number of channels and bits.

References
----------
"Mark 5B User's Manual", MIT Haystack Observatory (2006), section "Mark 5B data format": words 0
to 3 of a header, after the VLBA's time code with its checksum.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import partial
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

__all__ = ["KINDS", "MANY", "NAME", "Mark5BStream", "open", "sniff"]

NAME, KINDS = "mark5b", ("voltage",)

#: Whether `open` accepts several files of one recording.
MANY = True

_OWN = ("nchan", "bps", "kday", "ref_time", "input")
_SYNC = 0xABADDEED
_HEAD, _PAYLOAD = 16, 10_000
_BITS = _PAYLOAD * 8
_RATES = tuple(25 << k for k in range(12))  # frames per second at 2 Mb/s to 4 Gb/s
_FIRST = 1024  # headers from which the rate is determined


class Fields(NamedTuple):
    """The fields of headers, and whether they can be headers."""

    sound: NDArray[np.bool_]
    day: NDArray[np.int64]
    second: NDArray[np.int64]
    fraction: NDArray[np.int64]
    frame: NDArray[np.int64]


def _crc_table() -> NDArray[np.int64]:
    """Return the remainders of a byte and 16 zero bits, divided by x^16 + x^15 + x^2 + 1."""
    table = np.arange(256) << 8
    for _ in range(8):
        table = (table << 1 ^ np.where(table & 0x8000, 0x18005, 0)) & 0xFFFF
    return table


_CRC = _crc_table()


def _fields(raw: NDArray[np.uint8]) -> Fields:
    """Return the fields of the headers at the start of the rows of `raw`.

    The checksum covers day, second and fraction; some recorders leave it 0.
    """
    words = raw[:, :_HEAD].copy().view("<u4").astype(np.int64)
    (day, is_day), (second, is_second), (fraction, is_fraction) = (
        bcd(words[:, 2] >> 20, 3), bcd(words[:, 2] & 0xFFFFF, 5), bcd(words[:, 3] >> 16, 4))
    crc = np.zeros(len(words), np.int64)
    for word, shift in ((2, 24), (2, 16), (2, 8), (2, 0), (3, 24), (3, 16)):
        crc = _CRC[crc >> 8 ^ words[:, word] >> shift & 255] ^ crc << 8 & 0xFFFF
    stated = words[:, 3] & 0xFFFF
    sound = (words[:, 0] == _SYNC) & is_day & is_second & is_fraction & (second <= 86400)
    return Fields(sound & ((stated == crc) | (stated == 0)), day, second, fraction,
                  words[:, 1] & 0x7FFF)


_MARK = Mark("Mark 5B", _HEAD + _PAYLOAD, _HEAD, _SYNC.to_bytes(4, "little"), 0,
             lambda raw: _fields(raw).sound)


def sniff(probe: Probe) -> bool:
    """Whether the first frames of a file contain two headers at the distance of a frame."""
    return recognized(probe, (_MARK,)) is not None


def open(path: str | os.PathLike[str] | Sequence[str], **overrides: Any) -> Mark5BStream:
    """Open the files of one Mark 5B recording as a stream; channels are its inputs.

    Parameters
    ----------
    path : path or sequence of path
        The files, in any order.
    nchan : int
        Number of channels, which headers do not contain.
    bps : int, optional
        Bits per sample, 1 or 2; 2 by default.
    ref_time : Time or str
        A time within 500 days of the recording, because headers contain only the last three digits
        of the day. `start_time` serves the same purpose.
    kday : int
        The day without these digits, instead of `ref_time`: 56000 for MJD 56821.
    input : int or str, optional
        Channels to read, such as ``0`` or ``"0,1"``; all by default.
    **overrides
        The common overrides of `fastsig.open`; `sample_rate` is needed if the rate follows neither
        from fractions of seconds nor from a change of the second.

    Raises
    ------
    FormatError
        Where no frame can be read, a required option is missing, or `baseband` is not installed.
        A truncated file causes a `FastsigWarning`.
    UsageError
        Where an override is unknown or has no meaning.
    """
    paths = [os.fspath(path)] if isinstance(path, (str, os.PathLike)) else [*map(os.fspath, path)]
    common, own = split_overrides(overrides, _OWN, NAME)
    module = package(NAME, paths[0])
    bps = integer(own, "bps", (1, 2), "1, 2") or 2
    n_chan = integer(own, "nchan", tuple(1 << k for k in range(7) if bps << k <= 64),
                     "powers of 2, up to 64 bits for all channels")
    if n_chan is None:
        raise FormatError(paths[0], "the headers do not state the number of channels; give --set "
                          "nchan=8 (and --set bps=1 unless samples have 2 bits)")
    n_time = _BITS // (n_chan * bps)
    raw = Pieces(paths, _MARK)
    fields = _fields(raw.first_heads(_FIRST))
    day = _first_day(fields, own, common, paths[0])
    per_second = _per_second(raw, fields, given_rate(common), n_time)
    frames = _Frames(raw, fields, day, per_second)
    columns = choose(own.get("input"), n_chan)
    with decoding(paths[0], "its first header"):
        words = words_of(module.Mark5BHeader(_first_words(raw, fields)))
    rate = Fraction(per_second * n_time)
    header = Header(
        start_time=start_of(frames, n_time, rate), sample_rate=rate,
        polarization=PolBasis(kind="unknown", names=tuple(f"c{c}" for c in columns)), n_bits=bps,
        extra={**words, "nchan": n_chan, "frames_per_second": per_second},
        origin={"start_time": "words 1 and 2, " + ("kday" if "kday" in own else "ref_time"),
                "sample_rate": "frames a second", "n_bits": "bps" if "bps" in own else "assumed"},
    )
    return Mark5BStream(header.overridden(common), paths[0], frames, n_time, columns, module,
                        n_chan, bps)


def _first_words(raw: Pieces, fields: Fields) -> tuple[int, ...]:
    first = int(np.flatnonzero(fields.sound)[0])
    return tuple(raw.first_heads(first + 1)[first].view("<u4").tolist())


def _first_day(fields: Fields, own: Mapping[str, Any], common: Mapping[str, Any], path: str) -> int:
    """Return the day (MJD) of the first header."""
    if not fields.sound.any():
        raise FormatError(path, "contains no valid frame")
    part = int(fields.day[fields.sound][0])
    kday = integer(own, "kday", range(44000, 88001, 1000), "thousands from 44000 to 88000")
    if kday is not None:
        return kday + part
    near = reference(own, common)
    if near is None:
        raise FormatError(path, "the headers contain only the last digits of the day, "
                          f"{part:03d}; give a time within 500 days of it, --set "
                          "ref_time=2014-06-13, or the thousands, --set kday=56000")
    return int(nearest(part, 1000, float(near.mjd)))


def _per_second(raw: Pieces, fields: Fields, rate: Fraction | None, n_time: int) -> int:
    """Return the number of frames per second."""
    path = raw.paths[0]
    if rate is None:
        found = _from_fractions(fields) or _from_second(raw)
        if found is None:
            raise FormatError(path, "the headers do not state the sample rate; give --set "
                              "sample_rate=32MHz")
        return found
    if rate % n_time:
        raise FormatError(path, f"sample_rate = {rate} Hz is not a whole number of frames of "
                          f"{n_time} samples per second")
    number = int(np.median(fields.frame[fields.sound]))
    if number >= rate / n_time:
        raise FormatError(path, f"sample_rate = {rate} Hz is {rate / n_time} frames of {n_time} "
                          f"samples per second, but headers count to {number}")
    return int(rate / n_time)


def _from_fractions(fields: Fields) -> int | None:
    """Return the frames per second from the fractions of seconds, truncated to 0.1 ms."""
    use = fields.sound & (fields.frame > 0)
    if not fields.fraction[use].any():
        return None
    fits = [int((fields.frame[use] * 10000 // rate == fields.fraction[use]).sum())
            for rate in _RATES]
    best = max(fits)
    if 2 * best <= use.sum() or fits.count(best) > 1:
        return None
    return _RATES[fits.index(best)]


def _from_second(raw: Pieces) -> int | None:
    """Return the frames per second from the last frame number before the second changes."""
    def at(i: int, n: int = 1) -> Fields:
        heads = np.empty((n, _HEAD), np.uint8)
        for k, head in enumerate(heads):
            raw.read_into(0, head, (i + k) * raw.mark.frame_bytes)
        return _fields(heads)

    low, high = 0, raw.heads[0] - 1
    second = at(0).second[0]
    if high < 1 or at(high).second[0] == second:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if at(middle).second[0] == second else (low, middle)
    first = max(0, high - 32)
    there = at(first, high - first)
    last = int(there.frame[there.sound].max(initial=0))
    rate = next((rate for rate in _RATES if rate > last), None)
    # Frames may be lost before the second changes, but not many.
    return rate if rate is not None and last >= 0.9 * rate - 1 else None


class _Frames(TapeFrames):
    """Frames that are numbered from the start of the day of the first frame."""

    def __init__(self, raw: Pieces, fields: Fields, day: int, per_second: int) -> None:
        self.day, self.per_second = day, per_second
        with_fraction = self._fits(fields)[fields.sound & (fields.frame > 0)]
        self._check = bool(len(with_fraction)) and with_fraction.mean() > 0.9
        super().__init__(raw, time_from_mjd(day))

    def _fits(self, fields: Fields) -> NDArray[np.bool_]:
        """Whether the fraction of the second, which the checksum covers, confirms the number."""
        off = fields.frame * 10000 - fields.fraction * self.per_second
        fits: NDArray[np.bool_] = np.abs(off) <= self.per_second
        return fits

    def parsed(self, raw: NDArray[np.uint8]) -> Heads:
        """Return the numbers of frames; frames with contradictory number and time are left out."""
        fields = _fields(raw[:, : self.head_bytes])
        good = fields.sound & (fields.frame < self.per_second)
        if self._check:
            good &= self._fits(fields)
        days = nearest(np.where(good, fields.day, self.day % 1000), 1000, self.day)
        seconds = day_seconds(days) - day_seconds(np.array([self.day])) + fields.second
        return Heads(seconds * self.per_second + fields.frame, np.zeros(len(raw), np.int64), good)


class Mark5BStream(TapeVoltages):
    """Voltages of a Mark 5B recording: float32 (time, channel)."""

    def __init__(self, header: Header, path: str, frames: _Frames, n_time: int,
                 columns: list[int], module: Any, n_chan: int, bps: int) -> None:
        self._payload = partial(module.Mark5BPayload, sample_shape=(n_chan,), bps=bps)
        super().__init__(header, path, frames, n_time, columns)

    def _samples(self, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        stored = frame[_HEAD:]
        samples: NDArray[np.float32] = self._payload(stored.view("<u4")).data
        blank(samples, stored)
        return samples
