"""LWA DRX: frames of 4096 complex samples of 4 + 4 bits, of up to two tunings and polarisations.

A file contains one beam. A tuning is a separate band; its two polarisations form a stream.

References
----------
LWA Software Library, https://github.com/lwa-project/lsl (``lsl.reader.drx``): frame format; time
tags count a clock of 196 MHz from 1970, the time of a sample is ``(tag - offset) / 196e6``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PolBasis
from fastsig.axes.time import time_from_unix
from fastsig.errors import FormatError, UsageError
from fastsig.io.probe import Probe
from fastsig.io.voltages.frame_files import FrameFiles, Heads
from fastsig.io.voltages.framed import FramedVoltages
from fastsig.io.voltages.segments import RawFiles
from fastsig.stream import VoltageStream
from fastsig.stream.header import Header, split_overrides
from fastsig.stream.raw_voltages import PackedCodes

__all__ = ["KINDS", "MANY", "NAME", "DrxStream", "cards", "open", "sniff"]

NAME, KINDS = "drx", ("voltage",)

#: Whether `open` accepts several files of one recording.
MANY = True

_SYNC = b"\xde\xc0\xde\x5c"
_CLOCK = 196_000_000
_MAX_SECONDS = 4102444800  # the year 2100
_HEAD, _N_TIME = 32, 4096
_FRAME = _HEAD + _N_TIME
_FIELDS = np.dtype([("sync", "S4"), ("id", "u1"), ("count", "u1", 3), ("second", ">u4"),
                    ("decimation", ">u2"), ("offset", ">u2"), ("tag", ">u8"), ("tuning", ">u4"),
                    ("flags", ">u4")])


def sniff(probe: Probe) -> bool:
    """Whether a file begins with the synchronisation word of a frame and a second one follows."""
    if not probe.head.startswith(_SYNC) or os.path.getsize(probe.path) < _FRAME:
        return False
    raw = RawFiles([probe.path])
    word = np.empty(4, np.uint8)
    if os.path.getsize(probe.path) >= _FRAME + 4:
        raw.read_into(0, word, _FRAME)
        return word.tobytes() == _SYNC
    return True


def cards(path: str) -> dict[str, Any]:
    """Return all fields of the header of the first frame."""
    raw = RawFiles([path])
    try:
        head = np.empty(_HEAD, np.uint8)
        raw.read_into(0, head, 0)
    finally:
        raw.close()
    first = head.view(_FIELDS)[0]
    return {name: int.from_bytes(bytes(first[name]), "big") if name == "count"
            else bytes(first[name]).hex() if name == "sync" else int(first[name])
            for name in _FIELDS.names or ()}


def open(path: str | os.PathLike[str] | Sequence[str], **overrides: Any) -> DrxStream:
    """Open the files of one DRX recording as a stream of one tuning.

    Parameters
    ----------
    path : path or sequence of path
        The files, in any order.
    tuning : int, optional
        The band, 1 or 2; needed if there are two.
    **overrides
        The common options of `fastsig.open`.

    Raises
    ------
    FormatError
        If no frame can be read.
    UsageError
        If an override is unknown, or the file does not have the tuning.
    """
    paths = [os.fspath(path)] if isinstance(path, (str, os.PathLike)) else [*map(os.fspath, path)]
    common, own = split_overrides(overrides, ("tuning",), NAME)
    raw = RawFiles(paths)
    frames = _Frames(raw)
    tunings = sorted({thread // 2 for thread in frames.threads})
    tuning = _tuning(own.get("tuning"), tunings, paths[0])
    picks = [(thread, 0) for thread in frames.threads if thread // 2 == tuning]
    first = frames.first_of(tuning)
    rate = Fraction(_CLOCK, int(first["decimation"]))
    center = Fraction(int(first["tuning"]) * _CLOCK, 2**32)
    name = os.path.basename(paths[0])
    header = Header(
        start_time=time_from_unix(Fraction(frames.zero, _CLOCK) + frames.begin * _N_TIME / rate),
        sample_rate=rate, channels=ChannelAxis.band(center, rate) if center else None,
        polarization=PolBasis("linear", tuple("XY"[thread % 2] for thread, _ in picks)),
        n_bits=4, is_complex=True, telescope="LWA", beam=int(first["id"]) & 7,
        extra={"tuning": tuning, "tunings": tunings, "decimation": int(first["decimation"]),
               "time_offset": int(first["offset"])},
        origin=dict.fromkeys(("start_time", "sample_rate", "beam"), f"{name}:frame 0"),
    )
    return DrxStream(header.overridden(common), np.complex64, paths[0], frames, _N_TIME, picks,
                     payload_at=_HEAD)


def _tuning(value: Any, there: list[int], path: str) -> int:
    if value is None and len(there) == 1:
        return there[0]
    if value is None:
        raise FormatError(path, "has tunings " + " and ".join(map(str, there))
                          + "; give --set tuning=" + str(there[0]))
    if str(value) not in map(str, there):
        raise UsageError(f"tuning = {value!r}; allowed: {', '.join(map(str, there))}")
    return int(value)


class _Frames(FrameFiles):
    """The frames with the beam and rate of the first; a thread is 2 tuning + polarisation."""

    def __init__(self, raw: RawFiles) -> None:
        head = np.empty(_HEAD, np.uint8)
        if os.path.getsize(raw.paths[0]) < _FRAME:
            raise FormatError(raw.paths[0], "shorter than a DRX frame")
        raw.read_into(0, head, 0)
        first = head.view(_FIELDS)[0]
        if first["sync"] != _SYNC or not first["decimation"]:
            raise FormatError(raw.paths[0], "does not begin with a DRX frame")
        if int(first["tag"]) >= _CLOCK * _MAX_SECONDS:
            raise FormatError(raw.paths[0], f"frame 0 has time tag {first['tag']}, after 2100")
        self._first = first
        self.zero = int(first["tag"]) - int(first["offset"])
        super().__init__(raw, _FRAME, _HEAD)

    def sound(self, raw: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Whether frames begin with the synchronisation word."""
        fields = np.ascontiguousarray(raw[:, :_HEAD]).view(_FIELDS)[:, 0]
        return np.asarray(fields["sync"] == _SYNC)

    def parsed(self, raw: NDArray[np.uint8]) -> Heads:
        """Parse headers; frames are counted from the first one of the file."""
        fields = np.ascontiguousarray(raw[:, :_HEAD]).view(_FIELDS)[:, 0]
        ticks = _N_TIME * int(self._first["decimation"])
        tags = fields["tag"].astype(np.int64) - fields["offset"].astype(np.int64) - self.zero
        good = (fields["sync"] == _SYNC) & (fields["decimation"] == self._first["decimation"])
        good &= (fields["id"] & 7) == (self._first["id"] & 7)
        good &= (tags % ticks == 0) & (np.abs(tags) < _CLOCK * 86400 * 366)
        thread = (fields["id"] >> 3 & 7).astype(np.int64) * 2 + (fields["id"] >> 7)
        return Heads(tags // ticks, thread, good)

    def first_of(self, tuning: int) -> Any:
        """Return the header of the first frame of a tuning."""
        for frame in range(min(self.counts[0], 1024)):
            head = np.empty(_HEAD, np.uint8)
            self.raw.read_into(0, head, frame * _FRAME)
            fields = head.view(_FIELDS)[0]
            if fields["sync"] == _SYNC and fields["id"] >> 3 & 7 == tuning:
                return fields
        return self._first


class DrxStream(FramedVoltages):
    """The voltages of one tuning: complex64 (time, pol), with integer parts from -8 to 7."""

    def as_recorded(self) -> VoltageStream:
        """Return the packed codes."""
        return PackedCodes(self, 4, _PARTS, order="msb")

    def _decoded(self, frames: NDArray[np.uint8]) -> NDArray[Any]:
        return _TABLE[frames[:, _HEAD:]].reshape(-1, 1)

    def _decode_into(self, frames: NDArray[np.uint8], out: NDArray[Any]) -> None:
        np.take(_TABLE, frames[:, _HEAD:], out=out, mode="clip")  # "raise" would make a copy


def _table() -> NDArray[np.complex64]:
    """Return the sample for each byte value: real part in the high bits, two's complement."""
    byte = np.arange(256)
    real, imaginary = ((part ^ 8) - 8 for part in (byte >> 4, byte & 15))
    return (real + 1j * imaginary).astype(np.complex64)


_TABLE = _table()
_PARTS = tuple(float((code ^ 8) - 8) for code in range(16))
