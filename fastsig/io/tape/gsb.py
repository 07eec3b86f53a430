"""GMRT Software Backend: a text file of time stamps, and raw files that `baseband` decodes.

Each line of the text is the time of a frame. A frame is one block of a raw file ("rawdump"), or one
block from each of several raw files, which contain the polarisations and consecutive parts of the
frame ("phased"). Lines may be missing: a frame is placed at the time of its line.

References
----------
GMRT, "GSB rawdump data format" and "GSB beam timestamp note" (NCRA-TIFR): clocks keep Indian
Standard Time; a phased line contains the times of the computer and of the GPS, and two counters.
"""

from __future__ import annotations

import datetime
import glob
import os
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PolBasis
from fastsig.axes.time import sample_time, time_from_mjd
from fastsig.axes.validity import Spans
from fastsig.errors import DataError, FormatError, UsageError, unreadable
from fastsig.io.probe import Probe
from fastsig.io.tape.decoding import day_seconds, decoding, given_rate, integer, package
from fastsig.io.voltages.segments import SegmentedVoltages, disjoint, from_first, incomplete
from fastsig.stream.header import Header, split_overrides

__all__ = ["KINDS", "NAME", "GsbStream", "open", "sniff"]

NAME, KINDS = "gsb", ("voltage",)

_OWN = ("raw", "samples_per_frame", "nchan", "bps")
_STAMP = rb"(\d{4}) +(\d\d?) +(\d\d?) +(\d\d?) +(\d\d?) +(\d\d?) +(0\.\d{1,15})"
_RAWDUMP = re.compile(rb"\s*" + _STAMP + rb"\s*")
_PHASED = re.compile(rb"\s*" + _STAMP.replace(b"(", b"(?:") + rb" +" + _STAMP + rb" +\d+ +\d+\s*")
_MOST_TEXT, _MOST_LINES = 2**26, 2**20  # three days at 0.25 s per line; 0.7 kB of memory per line
_IST_S = 19800  # ahead of UTC
_BLOCK = 2**22  # bytes of a frame in each raw file
_FRAME_RATE = Fraction(10**8, 6 * _BLOCK)  # independent of the contents of a frame
_MOST_OFF = Fraction(1, 10)  # of a frame, largest difference of a time from the clock
_YEARS = range(1972, 2100)
_FORM = {False: "raw=FILE", True: "raw='L1,L2;R1,R2' (polarisations, and files of each)"}


class Stamp(NamedTuple):
    """A line: its number, which is also that of the block, its day (MJD) and second, IST."""

    line: int
    day: int
    second: Fraction


class Geometry(NamedTuple):
    """Layout of samples in the raw files; `paths` lists the parts of each polarisation."""

    paths: tuple[tuple[str, ...], ...]
    n_chan: int
    n_bits: int
    is_complex: bool
    n_time: int

    @property
    def sample_bits(self) -> int:
        """Number of bits of a sample of one polarisation."""
        return self.n_bits * self.n_chan * (2 if self.is_complex else 1)

    @property
    def part_time(self) -> int:
        """Number of samples of a frame in one raw file."""
        return self.n_time // len(self.paths[0])

    @property
    def block(self) -> int:
        """Number of bytes of a frame in one raw file."""
        return self.part_time * self.sample_bits // 8


def sniff(probe: Probe) -> bool:
    """Whether the first lines of a file are time stamps, all of one kind."""
    lines = [] if probe.is_folder else probe.head.split(b"\n", 2)[:2]
    lines = [line for line in lines if line.strip()]
    return bool(lines) and any(all(form.fullmatch(line) for line in lines)
                               for form in (_RAWDUMP, _PHASED))


def open(path: str | os.PathLike[str], **overrides: Any) -> GsbStream:
    """Open a time-stamp file of the GMRT Software Backend, and its raw files, as a stream.

    Parameters
    ----------
    path : path
        The time-stamp file.
    raw : str or sequence, optional
        The raw files, relative to the folder of `path`. For a phased recording use the form
        ``(("L1", "L2"), ("R1", "R2"))``, or the text ``"L1,L2;R1,R2"``, in which names may be
        patterns. The default for NAME.timestamp is NAME.dat, or NAME.Pol-L1.dat and so on.
    samples_per_frame : int, optional
        Number of samples in a frame; by default, the number in 4 MiB of each raw file.
    nchan : int, optional
        Number of channels; by default, 1 for a rawdump, 512 for a phased recording.
    bps : int, optional
        Bits per number; by default, 4 for a rawdump, 8 for a phased recording.
    **overrides
        The common overrides of `fastsig.open`; by default, a frame lasts 0.251658240 s, whatever
        its contents.

    Raises
    ------
    FormatError
        Where lines or raw files do not fit, or `baseband` is not installed. Losses cause a
        `FastsigWarning`.
    UsageError
        Where an override is unknown or has no meaning.
    """
    path = os.fspath(path)
    common, own = split_overrides(overrides, _OWN, NAME)
    module = package(NAME, path)
    phased, stamps, first = _stamps(path)
    g = _geometry(path, phased, own)
    rate = given_rate(common) or _FRAME_RATE * g.n_time
    numbers = _numbers(path, stamps, rate / g.n_time)
    table, begin = _table(path, stamps, numbers, g, rate)
    day, second = divmod(stamps[0].day * 86400 + stamps[0].second - _IST_S, 86400)
    header = Header(
        start_time=sample_time(time_from_mjd(int(day), second), begin, rate), sample_rate=rate,
        channels=_axis(g, rate) if "frequency" in common else None,
        polarization=_basis(g.paths), n_bits=g.n_bits, is_complex=g.is_complex, telescope="GMRT",
        backend="GSB",
        extra={"mode": "phased" if phased else "rawdump", "first_line": first,
               "samples_per_frame": g.n_time, "nchan": g.n_chan, "bps": g.n_bits,
               "raw": [[os.path.basename(each) for each in parts] for parts in g.paths]},
        origin={"start_time": f"line {stamps[0].line + 1}, IST",
                "sample_rate": "samples_per_frame in 0.25165824 s",
                "n_bits": "bps" if "bps" in own else "mode", "telescope": "format",
                "backend": "format"},
    )
    return GsbStream(header.overridden(common), path, g, table, module)


def _stamps(path: str) -> tuple[bool, list[Stamp], str]:
    """Return whether a recording is phased, its time stamps, and the text of its first line."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC), "rb") as file:
            text = file.read(_MOST_TEXT + 1)
    except OSError as error:
        raise unreadable(path, error) from error
    if len(text) > _MOST_TEXT or text.count(b"\n") > _MOST_LINES:
        raise FormatError(path, f"contains more than {_MOST_LINES} time stamps or {_MOST_TEXT} "
                          "bytes")
    lines = text.rstrip().split(b"\n")
    form = next((form for form in (_PHASED, _RAWDUMP) if form.fullmatch(lines[0])), None)
    if form is None:
        raise FormatError(path, "line 1 is not a time stamp such as 2015 04 27 18 45 00 "
                          "0.000000240")
    stamps = [_stamp(form, number, line) for number, line in enumerate(lines)]
    good = [stamp for stamp in stamps if stamp is not None]
    if not good:
        raise FormatError(path, "no line is a time stamp")
    if len(good) < len(lines):
        incomplete(path, f"line {stamps.index(None) + 1} is not a time stamp (lines of this kind: "
                   f"{len(lines) - len(good)}); their frames are left out")
    return form is _PHASED, good, lines[0].decode("ascii").strip()


def _stamp(form: re.Pattern[bytes], number: int, line: bytes) -> Stamp | None:
    match = form.fullmatch(line)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(text) for text in match.groups()[:6])
    try:
        date = datetime.date(year, month, day)
    except ValueError:
        return None
    if year not in _YEARS or hour > 23 or minute > 59 or second > 60:
        return None
    seconds = hour * 3600 + minute * 60 + second + Fraction(match.group(7).decode())
    return Stamp(number, date.toordinal() - datetime.date(1858, 11, 17).toordinal(), seconds)


def _geometry(path: str, phased: bool, own: Mapping[str, Any]) -> Geometry:
    paths = _raw_files(path, phased, own.get("raw"))
    n_chan = integer(own, "nchan", range(1, 2**16 + 1), "1 to 65536") or (512 if phased else 1)
    n_bits = integer(own, "bps", (4, 8), "4, 8") or (8 if phased else 4)
    n_time = integer(own, "samples_per_frame", range(1, 2**40), "1 or more")
    g = Geometry(paths, n_chan, n_bits, phased, n_time or 1)
    parts = len(paths[0])
    g = g._replace(n_time=n_time or _BLOCK * 8 // g.sample_bits * parts)
    if g.n_time % parts or g.part_time * g.sample_bits % 8:
        raise UsageError(f"samples_per_frame = {g.n_time}; allowed: a number that gives whole "
                         f"bytes in each of {parts} files")
    return g


def _raw_files(path: str, phased: bool, given: Any) -> tuple[tuple[str, ...], ...]:
    """Return the paths of the raw files: the parts of each polarisation."""
    folder = os.path.dirname(path)
    stem = os.path.splitext(path)[0]
    if given is None:
        names = sorted(glob.glob(glob.escape(stem) + ".Pol-[A-Z][0-9].dat")) if phased else [
            each for each in (stem + ".dat",) if os.path.exists(each)]
        if not names:
            raise FormatError(path, "its raw files are not beside it under its own name; give "
                              f"--set {_FORM[phased]}")
        letters = sorted({_letter(each) for each in names})
        found = [[each for each in names if _letter(each) == letter] for letter in letters]
    else:
        found = [[name for item in parts for name in _expand(os.path.join(folder, item))]
                 for parts in _nested(given)]
    if not found or not found[0] or len({len(parts) for parts in found}) > 1 or (
            not phased and (len(found), len(found[0])) != (1, 1)):
        raise UsageError(f"raw = {given!r}; allowed: {_FORM[phased]}, with the same number of "
                         "files for each polarisation")
    for name in (name for parts in found for name in parts):
        if not os.path.isfile(name):  # opening a pipe would block forever
            raise FormatError(path, f"raw file {name!r} is not a regular file")
    return tuple(tuple(parts) for parts in found)


def _nested(given: Any) -> list[list[str]]:
    """Return the names of each polarisation's parts, from text or one or two levels of sequence."""
    if isinstance(given, (str, os.PathLike)):
        return [[name.strip() for name in parts.split(",") if name.strip()]
                for parts in os.fspath(given).split(";")]
    items = list(given)
    if all(isinstance(item, (str, os.PathLike)) for item in items):
        return [[os.fspath(item) for item in items]]
    return [[os.fspath(item) for item in parts] for parts in items]


def _expand(name: str) -> list[str]:
    """Return the files that match a pattern, sorted by name; the name of a file matches itself."""
    return [name] if os.path.exists(name) else sorted(glob.glob(name)) or [name]


def _letter(name: str) -> str:
    """Return the polarisation in the name of a raw file."""
    match = re.search(r"Pol-([A-Z])", os.path.basename(name))
    return match.group(1) if match else ""


def _numbers(path: str, stamps: Sequence[Stamp], frame_rate: Fraction) -> list[int]:
    """Return the numbers of frames, counted from the time of the first line."""
    days = day_seconds(np.array([stamp.day for stamp in stamps])).tolist()
    seconds = [day + stamp.second for day, stamp in zip(days, stamps, strict=True)]
    places = [(second - seconds[0]) * frame_rate for second in seconds]
    numbers = [round(place) for place in places]
    if len(numbers) > 1 and float(np.median(np.diff(numbers))) != 1:
        step = float(np.median(np.diff([float(second - seconds[0]) for second in seconds])))
        raise FormatError(path, f"lines are {step:g} s apart, but frames {float(1 / frame_rate):g} "
                          "s; give a --set samples_per_frame=... or --set sample_rate=... that "
                          "fits")
    off = [abs(place - number) for place, number in zip(places, numbers, strict=True)]
    if max(off) > _MOST_OFF:
        worst = off.index(max(off))
        incomplete(path, f"line {stamps[worst].line + 1} is {float(max(off)):.2f} frames off the "
                   "clock; frames that are off are moved to the nearest place")
    return numbers


def _table(path: str, stamps: Sequence[Stamp], numbers: Sequence[int], g: Geometry, rate: Fraction
           ) -> tuple[NDArray[np.int64], int]:
    """Return segments: first sample, stop, number of the part, first byte in its raw files."""
    sizes = [os.path.getsize(each) for parts in g.paths for each in parts]
    held = min(sizes) // g.block
    if not held:
        raise FormatError(path, f"a raw file of {min(sizes)} bytes contains no frame, which has "
                          f"{g.block}; give --set samples_per_frame=... if frames are shorter")
    n_line = stamps[-1].line + 1
    if held < n_line:
        incomplete(path, f"raw files contain {held} complete frames, but there are {n_line} lines")
    elif max(sizes) >= (n_line + 1) * g.block:
        incomplete(path, f"there are {n_line} lines, but a raw file contains "
                   f"{max(sizes) // g.block} frames: frames without a line are left out")
    rows = []
    for stamp, number in zip(stamps, numbers, strict=True):
        for part in range(len(g.paths[0]) if stamp.line < held else 0):
            first = number * g.n_time + part * g.part_time
            rows.append((first, first + g.part_time, part, stamp.line * g.block))
    if not rows:
        raise FormatError(path, "no line belongs to a frame in the raw files")
    table, begin = from_first(rows, rate, path)
    return disjoint(table), begin


def _axis(g: Geometry, rate: Fraction) -> ChannelAxis | None:
    """Return channels around 0 Hz, which the frequency that the user gives will shift."""
    return ChannelAxis(-rate * (g.n_chan - 1) / 2, rate, g.n_chan) if g.n_chan > 1 else None


def _basis(paths: Sequence[Sequence[str]]) -> PolBasis:
    names = tuple(_letter(parts[0]) for parts in paths)
    if len(set(names)) == len(names) and set(names) <= {"L", "R"}:
        return PolBasis(kind="circular", names=names)
    return PolBasis(kind="unknown", names=tuple(f"p{i}" for i in range(len(paths))))


class GsbStream(SegmentedVoltages):
    """Voltages of a GSB recording: float32 (time, 1), or complex64 (time, pol, chan)."""

    may_have_nan = False

    def __init__(self, header: Header, path: str, g: Geometry, table: NDArray[np.int64],
                 module: Any) -> None:
        self._geometry, self._payload = g, module.GSBPayload
        shape = (int(table[:, 1].max()), len(g.paths), *((g.n_chan,) if g.n_chan > 1 else ()))
        super().__init__(header, shape, np.complex64 if g.is_complex else np.float32, path,
                         [each for parts in g.paths for each in parts], table)

    @property
    def files(self) -> list[str]:
        """Absolute paths of the time-stamp file and the raw files."""
        return [os.path.abspath(self.path), *super().files]

    def _fill(self, segment: tuple[int, ...], first: int, stop: int, out: NDArray[Any]
              ) -> tuple[Spans, ...] | None:
        g, (_, _, part, offset, begin) = self._geometry, segment
        low, high = (first - begin) * g.sample_bits, (stop - begin) * g.sample_bits
        for pol in range(self.n_pol):
            stored = np.empty(-(-high // 8) - low // 8, np.uint8)
            self._raw.read_into(pol * len(g.paths[0]) + part, stored, offset + low // 8)
            samples = self._decoded(stored)[low % 8 // g.sample_bits :][: stop - first]
            out[:, pol] = samples if out.ndim == 3 else samples[:, 0]
        return None

    def _decoded(self, stored: NDArray[np.uint8]) -> NDArray[Any]:
        """Return the samples (time, chan) in whole bytes."""
        g = self._geometry
        with decoding(self.path, "samples", DataError):
            samples: NDArray[Any] = self._payload(
                stored.view(np.int8), sample_shape=(g.n_chan,), bps=g.n_bits,
                complex_data=g.is_complex).data
        return samples
