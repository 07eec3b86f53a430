"""VDIF: frames of equal length, each with its own time and thread, in one file or several.

Frames may be missing, repeated or slightly out of order: each is placed by its header. Samples that
no frame contains, or that lie in a frame marked invalid, are invalid. Opening reads only a few
headers.

References
----------
VLBI Data Interchange Format, release 1.1.1 (2014): header words 0 to 3 in sections 5 and 6,
encoding in section 10. Extended data versions 1 to 4 and 0xAB: https://vlbi.org/vdif.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from fastsig.axes.polarization import PolBasis
from fastsig.axes.time import parse_rate, sample_time
from fastsig.axes.units import exact
from fastsig.axes.validity import Spans
from fastsig.errors import FormatError, UsageError
from fastsig.io.probe import Probe
from fastsig.io.vdif.rate import check_rate
from fastsig.io.voltages.frame_files import FrameFiles, Heads
from fastsig.io.voltages.framed import Column, FramedVoltages, choose
from fastsig.io.voltages.segments import RawFiles
from fastsig.stream import VoltageStream
from fastsig.stream.header import Header, split_overrides
from fastsig.stream.raw_voltages import IntegerPairs, PackedCodes

__all__ = ["KINDS", "MANY", "NAME", "Geometry", "VdifStream", "cards", "geometry_of", "header_of",
           "inputs_of", "is_channelized", "levels_of", "open", "rate_of", "sniff"]

NAME, KINDS = "vdif", ("voltage",)

#: Whether `open` accepts several files of one recording.
MANY = True

_SYNC = {1: 0xACABFEED, 3: 0xACABFEED, 4: 0xACABFEED}
_MARK5B = 0xAB  # frames of Mark 5B: the sign precedes the magnitude
_EDVS = (0, 1, 2, 3, 4, _MARK5B)
_MOST_BITS, _WORD = 16, 32
_MOST_INPUTS = 2**16
_BANK = 32  # least channels of a thread that are assumed to come from a filter bank
_CLOCKS_S = 3600  # largest difference between the starts of threads
# The bits of words 2 and 3 that all frames of a recording share.
_SHAPE_2, _SHAPE_3 = np.uint32(0x1FFFFFFF), np.uint32(0xFC000000)
# These bits, and those for an invalid frame, its second, number and thread, of words 0 to 3.
_FIELDS = (0xBFFFFFFF, 0xFFFFFF, int(_SHAPE_2), int(_SHAPE_3) | 0x3FF0000)
_NEXT = np.uint64(1 << 32)  # increment of words 0 and 1 together from frame to frame
# Mean of the part of a Gaussian above 1 sigma, in units of the mean of the part below.
_HIGH = 1 / ((math.sqrt(math.e) - 1) * (1 / math.erf(math.sqrt(0.5)) - 1))
#: Values of codes, for bits whose values differ from the code minus half the number of codes.
LEVELS = {1: (-1.0, 1.0), 2: (-_HIGH, -1.0, 1.0, _HIGH)}
_DTYPES: dict[int, np.dtype[Any]] = {8: np.dtype("i1"), 16: np.dtype("i2")}


class Geometry(NamedTuple):
    """The properties that all frames of a recording share."""

    frame_bytes: int
    header_bytes: int
    n_chan: int
    n_bits: int
    is_complex: bool

    @property
    def numbers(self) -> int:
        """Numbers per complete sample: all channels, real and imaginary parts."""
        return self.n_chan * (2 if self.is_complex else 1)

    @property
    def per_word(self) -> int:
        """Complete samples in a word of 32 bits, if numbers do not fill the word."""
        return _WORD // (self.numbers * self.n_bits)

    @property
    def is_whole(self) -> bool:
        """Whether numbers fill words to the last bit."""
        return self.n_bits & (self.n_bits - 1) == 0

    @property
    def n_time(self) -> int:
        """Samples per frame."""
        n_bit = (self.frame_bytes - self.header_bytes) * 8
        if self.is_whole:
            return n_bit // (self.numbers * self.n_bits)
        return n_bit // _WORD * self.per_word


def sniff(probe: Probe) -> bool:
    """Whether a file begins with a plausible header, followed by a similar one."""
    g = geometry_of(probe.head)
    if g is None or probe.is_hdf5:
        return False
    words = np.frombuffer(probe.head[:32], "<u4")
    edv = int(words[4] >> 24) if g.header_bytes == 32 else -1
    if edv >= 0 and (edv not in _EDVS or (edv in _SYNC and words[5] != _SYNC[edv])):
        return False
    size = os.path.getsize(probe.path)
    if size < 2 * g.frame_bytes:
        return size >= g.frame_bytes and edv in _SYNC
    with os.fdopen(os.open(probe.path, os.O_RDONLY | os.O_CLOEXEC), "rb") as file:
        file.seek(g.frame_bytes)
        return geometry_of(file.read(32)) == g


def geometry_of(head: bytes) -> Geometry | None:
    """Return the properties of a frame from its header; None if they are impossible."""
    if len(head) < 32:
        return None
    words = np.frombuffer(head[:16], "<u4").tolist()
    length, n_bits = (words[2] & 0xFFFFFF) * 8, (words[3] >> 26 & 31) + 1
    g = Geometry(length, 16 if words[0] >> 30 & 1 else 32, 1 << (words[2] >> 24 & 31), n_bits,
                 bool(words[3] >> 31))
    sound = (words[2] >> 29 <= 1 and not words[1] >> 30 and g.frame_bytes > g.header_bytes
             and n_bits <= _MOST_BITS and g.n_chan <= _MOST_INPUTS and g.n_time >= 1)
    return g if sound else None


def cards(path: str) -> dict[str, Any]:
    """Return all fields of the header of the first frame."""
    raw = RawFiles([path])
    try:
        head = np.empty(32, np.uint8)
        raw.read_into(0, head, 0)
    finally:
        raw.close()
    words = head.view("<u4").tolist()
    legacy = bool(words[0] >> 30 & 1)
    known = {
        "invalid_data": bool(words[0] >> 31), "legacy_mode": legacy,
        "seconds": words[0] & 0x3FFFFFFF, "ref_epoch": words[1] >> 24 & 63,
        "frame_nr": words[1] & 0xFFFFFF, "vdif_version": words[2] >> 29,
        "nchan": 1 << (words[2] >> 24 & 31), "frame_length": (words[2] & 0xFFFFFF) * 8,
        "complex_data": bool(words[3] >> 31), "bits_per_sample": (words[3] >> 26 & 31) + 1,
        "thread_id": words[3] >> 16 & 0x3FF, "station_id": words[3] & 0xFFFF}
    return known if legacy else {**known, "edv": words[4] >> 24, **{
        f"word {number}": f"0x{words[number]:08x}" for number in range(4, 8)}}


def open(path: str | os.PathLike[str] | Sequence[str], **overrides: Any) -> VdifStream:
    """Open the files of one VDIF recording as a stream.

    Each thread and channel is an input, and inputs are the polarisations of the stream. If the
    channels come from a filter bank, each thread is an input, and the channels are its band.

    Parameters
    ----------
    path : path or sequence of path
        The files, in any order.
    input : int or str, optional
        Inputs to return, such as ``0`` or ``"0,1"``; by default, all. Threads are in the order of
        their numbers, and the channels of a thread are consecutive.
    channelized : {"yes", "no"}, optional
        Whether the channels of a thread are neighbours in one band, made by a filter bank; by
        default, yes if complex samples have 32 channels or more.
    **overrides
        The common options of `fastsig.open`; `sample_rate` is needed if the headers have none
        (extended data versions 0, 2 and 0xAB, and legacy headers).

    Raises
    ------
    FormatError
        If no frame can be read, or the rate is not known.
    UsageError
        If an override is unknown or has no meaning.
    """
    paths = [os.fspath(path)] if isinstance(path, (str, os.PathLike)) else [*map(os.fspath, path)]
    common, own = split_overrides(overrides, ("input", "channelized"), NAME)
    raw = RawFiles(paths)
    geometry = _first_geometry(raw, 0)
    for number in range(1, len(paths)):
        if _first_geometry(raw, number) != geometry:
            raise FormatError(paths[number], f"its frames differ in shape from those of {paths[0]}")
    head = np.empty(32, np.uint8)
    raw.read_into(0, head, 0)
    rate = rate_of(head.view("<u4").tolist(), geometry, paths[0], common.get("sample_rate"))
    if rate % geometry.n_time:
        raise FormatError(paths[0], f"sample_rate = {rate} Hz is not a whole number of frames of "
                          f"{geometry.n_time} samples per second")
    if "sample_rate" in common:
        check_rate(raw, geometry, int(rate / geometry.n_time))
    frames = _Frames(raw, geometry, int(rate / geometry.n_time))
    if len(frames.threads) * geometry.n_chan > _MOST_INPUTS:
        raise FormatError(paths[0], f"{len(frames.threads)} threads of {geometry.n_chan} channels; "
                          f"allowed: {_MOST_INPUTS} inputs")
    bank = is_channelized(own, geometry)
    inputs = inputs_of(frames.threads, geometry, bank)
    picks = [inputs[i] for i in choose(own.get("input"), len(inputs))]
    if own.get("input") is not None:
        frames = frames.only({thread for thread, _ in picks})
    _check_clocks(frames, 1 if bank else geometry.n_chan, paths[0])
    header = header_of(head.view("<u4").tolist(), geometry, frames.threads, frames.begin, rate,
                       picks)
    n_chan = geometry.n_chan if bank else 1
    return VdifStream(header.overridden(common, n_chan), frames, picks, paths[0])


def is_channelized(own: Mapping[str, Any], g: Geometry) -> bool:
    """Whether the channels of a thread form one band."""
    chosen = str(own.get("channelized", "yes" if g.is_complex and g.n_chan >= _BANK else "no"))
    if chosen not in ("yes", "no"):
        raise UsageError(f"channelized = {chosen!r}; allowed: yes, no")
    return chosen == "yes" and g.n_chan > 1


def inputs_of(threads: list[int], g: Geometry, bank: bool) -> list[tuple[int, Column]]:
    """List the thread of every input, and its column or channels."""
    if bank:
        return [(thread, slice(0, g.n_chan)) for thread in threads]
    return [(thread, chan) for thread in threads for chan in range(g.n_chan)]


def _check_clocks(frames: _Frames, each: int, path: str) -> None:
    """Refuse threads, of `each` inputs, with unrelated times."""
    last = max(frames.begins)
    late = [i for i, begin in enumerate(frames.begins)
            if last - begin < _CLOCKS_S * frames.per_second]
    if len(late) < len(frames.threads):
        hours = (last - frames.begin) / frames.per_second / 3600
        inputs = ",".join(str(i * each + chan) for i in late for chan in range(each))
        raise FormatError(path, f"threads {', '.join(str(frames.threads[i]) for i in late)} begin "
                          f"{hours:.0f} h after others: a clock was not set; select inputs by "
                          f"--set input={inputs}")


def _first_geometry(raw: RawFiles, number: int) -> Geometry:
    head = np.empty(32, np.uint8)
    if os.path.getsize(raw.paths[number]) < len(head):
        raise FormatError(raw.paths[number], "shorter than a VDIF header")
    raw.read_into(number, head, 0)
    g = geometry_of(head.tobytes())
    if g is None:
        raise FormatError(raw.paths[number], "does not begin with a VDIF header")
    return g


def rate_of(words: list[int], g: Geometry, path: str, override: Any) -> Fraction:
    """Return the samples per second, given the words of a header."""
    if override is not None:
        text = str(override)
        return parse_rate(exact(text, "Hz", "sample_rate") if text[-1:].isalpha() else text)
    edv = words[4] >> 24 if g.header_bytes == 32 else -1
    field = words[4] & 0x7FFFFF
    if edv not in _SYNC or not field:
        raise FormatError(path, "the headers do not state the sample rate; give --set "
                          "sample_rate=32MHz")
    # The field is the rate of complex samples; that of real ones is twice as high.
    unit = 10**6 if words[4] >> 23 & 1 else 10**3
    return Fraction(field * unit * (1 if g.is_complex else 2))


class _Frames(FrameFiles):
    """The frames that have the properties of the first frame of the recording."""

    def __init__(self, raw: RawFiles, geometry: Geometry, per_second: int,
                 threads: frozenset[int] | None = None) -> None:
        self.geometry, self.per_second, self._threads = geometry, per_second, threads
        g = geometry
        self._shape = (np.uint32(g.frame_bytes // 8 | (g.n_chan.bit_length() - 1) << 24),
                       np.uint32((int(g.is_complex) << 5 | g.n_bits - 1) << 26))
        super().__init__(raw, geometry.frame_bytes, 16)

    def only(self, threads: set[int]) -> _Frames:
        """Return the frames of some threads."""
        frames = _Frames(self.raw, self.geometry, self.per_second, frozenset(threads))
        frames.per_time = self.per_time
        return frames

    def sound(self, raw: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Whether frames have the length, channels and bits of the first frame."""
        words = raw[:, :16].copy().view("<u4")
        return np.asarray((words[:, 2] & _SHAPE_2 == self._shape[0])
                          & (words[:, 3] & _SHAPE_3 == self._shape[1]))

    def parsed(self, raw: NDArray[np.uint8]) -> Heads:
        """Parse words 0 to 3; frames are counted from the reference epoch."""
        words = raw[:, :16].copy().view("<u4")
        frame = words[:, 1] & 0xFFFFFF
        # Length, channels, bits and type of the first header; not marked invalid.
        good = (words[:, 2] & _SHAPE_2 == self._shape[0]) & (words[:, 3] & _SHAPE_3
                                                               == self._shape[1])
        good &= (words[:, 0] < 2**31) & (frame < self.per_second)
        number = (words[:, 0] & 0x3FFFFFFF).astype(np.int64) * self.per_second + frame
        thread = words[:, 3] >> 16 & 0x3FF
        if self._threads is not None:
            good &= np.isin(thread, list(self._threads))
        return Heads(number, thread, good)

    def follow(self, raw: NDArray[np.uint8], numbers: list[int], threads: list[int]) -> bool:
        """Check in as few steps as possible: after a long read, each takes some microseconds."""
        period = len(numbers)
        times, rest = raw.view("<u8")[:, :2].T  # words 0 and 1, words 2 and 3
        if not ((times[period:] - times[:-period] == _NEXT).all()
                and (rest[period:] == rest[:-period]).all()):
            return super().follow(raw, numbers, threads)  # for example at the start of a second
        turns = (len(raw) - 1) // period
        words = raw[:period].view("<u4")[:, :4].tolist()
        for word, number, thread in zip(words, numbers, threads, strict=True):
            second, frame = divmod(number, self.per_second)
            if [each & mask for each, mask in zip(word, _FIELDS, strict=True)] != [
                    second, frame, self._shape[0], self._shape[1] | thread << 16
                    ] or frame + turns >= self.per_second:
                return super().follow(raw, numbers, threads)
        return True


class VdifStream(FramedVoltages):
    """The voltages of a VDIF recording: (time, input), or (time, thread, chan).

    Codes of 1 and 2 bits are the means of the parts of a Gaussian (the inner one being 1), others
    the code minus half the number of codes; real samples of 8 and 16 bits are integers.
    """

    def __init__(self, header: Header, frames: _Frames, picks: Sequence[tuple[int, Column]],
                 path: str) -> None:
        g = self._geometry = frames.geometry
        bank = isinstance(picks[0][1], slice)
        self._descending = bank and header.sideband == "lower"
        kind: np.dtype[Any] = (np.dtype(np.complex64) if g.is_complex
                               else _DTYPES.get(g.n_bits, np.dtype("f4")))
        super().__init__(header, kind, path, frames, g.n_time, picks, g.n_chan, g.header_bytes,
                         g.n_chan if bank else None)
        self.levels = levels_of(g.n_bits, header.extra["edv"])

    def as_recorded(self) -> VoltageStream:
        """Return the payloads of threads of one channel: packed codes, or bytes."""
        g = self._geometry
        if g.n_chan > 1 or not g.is_whole or g.n_bits == 16:
            return self
        if g.n_bits == 8:
            return IntegerPairs(self, np.uint8, zero=128)
        half = 2 ** (g.n_bits - 1)
        levels = self.levels or tuple(float(i - half) for i in range(2 * half))
        return PackedCodes(self, g.n_bits, levels)

    def _read_recorded(self, start: int, n: int, out: NDArray[Any]) -> tuple[Spans, ...]:
        if out.ndim == 2:
            return self._read_packed(start, n, out)
        pairs = out.swapaxes(0, 1).reshape(len(self._picks), -1)
        if not np.shares_memory(pairs, out):
            filled = np.empty_like(pairs)
            spans = self._read_packed(start, n, filled.T)
            out[...] = filled.reshape(len(self._picks), n, 2).swapaxes(0, 1)
            return spans
        return self._read_packed(start, n, pairs.T)

    def _decoded(self, frames: NDArray[np.uint8]) -> NDArray[Any]:
        made = _decoded(frames[:, self._geometry.header_bytes :], self._geometry, self.levels)
        return made[:, ::-1] if self._descending else made

    def _decode_into(self, frames: NDArray[np.uint8], out: NDArray[Any]) -> None:
        g, payload = self._geometry, frames[:, self._geometry.header_bytes :]
        if not g.is_whole or (g.n_bits == 16 and not g.is_complex):
            out[...] = _decoded(payload, g, self.levels).reshape(out.shape)
        elif out.dtype == np.int8:
            np.bitwise_xor(payload, 0x80, out=out.view(np.uint8))
        else:
            _unpack(payload, g.n_bits, self.levels, out.view(np.float32))


def levels_of(n_bits: int, edv: int | str) -> tuple[float, ...] | None:
    """Return the values of codes; None if they are the code minus half the number of codes."""
    if edv == _MARK5B and n_bits == 2:
        low, minus, plus, high = LEVELS[2]
        return low, plus, minus, high
    return LEVELS.get(n_bits)


def _decoded(payload: NDArray[np.uint8], g: Geometry, levels: tuple[float, ...] | None
             ) -> NDArray[Any]:
    """Decode consecutive frames to samples (time, chan): offset binary, low bits first."""
    raw = np.ascontiguousarray(payload).reshape(-1)
    if g.n_bits == 8:
        numbers: NDArray[Any] = (raw ^ 0x80).view(np.int8)
    elif g.n_bits == 16:
        numbers = (raw.view("<u2") ^ 0x8000).view(np.int16)
    else:
        numbers = _unpack(raw, g.n_bits, levels)
    if not g.is_whole:  # leave out the last, incomplete sample of each word
        each = numbers.reshape(-1, _WORD // g.n_bits)
        numbers = np.ascontiguousarray(each[:, : g.per_word * g.numbers]).reshape(-1)
    if not g.is_complex:
        return numbers.reshape(-1, g.n_chan)
    return numbers.astype(np.float32, copy=False).view(np.complex64).reshape(-1, g.n_chan)


def _unpack(payload: NDArray[np.uint8], n_bits: int, levels: tuple[float, ...] | None,
            out: NDArray[Any] | None = None) -> NDArray[np.float32]:
    """Return the values of packed codes."""
    from fastsig_kernels import unpack  # loads the compiler, which `info` does not need

    if levels is not None:
        return unpack(payload, n_bits, levels=np.array(levels, np.float32), out=out)
    return unpack(payload, n_bits, offset=2.0 ** (n_bits - 1), out=out)


def header_of(words: list[int], g: Geometry, threads: list[int], begin: int, rate: Fraction,
              picks: Sequence[tuple[int, Column]]) -> Header:
    """Return the header of a stream whose first frame, from the reference epoch, is `begin`."""
    names = tuple(f"t{thread}" if g.n_chan == 1 or isinstance(column, slice)
                  else f"t{thread}c{column}" for thread, column in picks)
    half_years = words[1] >> 24 & 63
    start = sample_time(epoch_time(half_years), begin * g.n_time, rate)
    station = words[3] & 0xFFFF
    legacy = g.header_bytes == 16
    edv = "legacy" if legacy else words[4] >> 24
    extra = {"edv": edv, "ref_epoch": half_years,
             "station": station, "frame_length": g.frame_bytes, "threads": threads,
             "encoding": "Mark 5B" if edv == _MARK5B else "offset binary",
             "levels": levels_of(g.n_bits, edv) or "code - middle"}
    return Header(
        start_time=start, sample_rate=rate, channels=None,
        polarization=PolBasis(kind="unknown", names=names), n_bits=g.n_bits,
        is_complex=g.is_complex, telescope=_station(station), extra=extra,
        origin={"start_time": "word 0", "sample_rate": "word 4", "n_bits": "word 3"},
    )


def epoch_time(half_years: int) -> Time:
    """Return the reference epoch for a number of half-years since 2000."""
    return Time(f"{2000 + half_years // 2}-{1 + half_years % 2 * 6:02d}-01T00:00:00", scale="utc")


def _station(code: int) -> str | None:
    """Return the two letters that the number of a station encodes, or None."""
    letters = bytes((code >> 8, code & 255))
    return letters.decode("ascii") if letters.isalnum() else None
