"""SIGPROC filterbanks (.fil) and time series (.tim): one file, or the files of one scan.

Spectra follow the header without a gap: of each, all channels of the first IF, then of the next.
Codes below 8 bits begin in the lowest bits of a byte, 32 bits are floats. `fch1` is the centre of
the first channel, and `tstart` the time of the first spectrum. How many spectra there are is told
by the size of the file, not by the header.

References
----------
D. R. Lorimer, SIGPROC: (Pulsar) Signal Processing Programs, section on header information and data
format; read_block.c for the order of bits.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.time import elapsed
from fastsig.errors import DoubtWarning, FastsigWarning, FormatError
from fastsig.io.probe import Probe
from fastsig.io.sigproc.fields import OWN, choice, fields
from fastsig.io.sigproc.header import START, START_BIG, Keywords, read_keywords
from fastsig.io.sigproc.samples import SampleLayout, SigprocSpectra
from fastsig.io.voltages.segments import disjoint, from_first, incomplete
from fastsig.stream.header import Header, split_overrides

__all__ = ["KINDS", "MANY", "NAME", "SigprocSpectra", "open", "sniff"]

NAME, KINDS = "sigproc", ("spectra",)

#: Whether `open` takes several files of one scan.
MANY = True

# Seconds that two float64 day numbers are off each other at most, a rounding each, and some.
_CLOCK_S = Fraction(2, 10**6)


class File(NamedTuple):
    """A file of a scan: its header, and the rows that it holds, from byte `offset` on."""

    path: str
    header: Header
    layout: SampleLayout
    offset: int
    n: int


def sniff(probe: Probe) -> bool:
    """Whether a file begins with the keyword HEADER_START, in either order of bytes."""
    return probe.head.startswith((START, START_BIG))


def open(path: str | os.PathLike[str] | Sequence[str], **overrides: Any) -> SigprocSpectra:
    """Open the files of one SIGPROC scan as a stream of spectra.

    Parameters
    ----------
    path : path or sequence of path
        The files, in any order: each goes where its `tstart` says, to the nearest spectrum.
    nchans, nbits, nifs, fch1, foff : optional
        In place of the header's, in its units (MHz).
    signed : {"yes", "no"}, optional
        Whether codes of 8 or 16 bits are in two's complement. By default what the header says of
        8 bits, where 1 is taken as PRESTO, sigpyproc and riptide take it; SIGPROC's own programs
        write 1 with unsigned codes and -1 with the others. Codes of 16 bits are unsigned.
    products : str, optional
        What the IFs are: ``IQUV``, ``AABBCRCI`` or names such as ``XX,YY``. The header never
        tells; by default I, AABB or AABBCRCI by their number.
    trim : {"no", "yes"}, optional
        Whether files may share spectra, which count once.
    **overrides
        The common ones of `fastsig.open`.

    Raises
    ------
    FormatError
        If a header cannot be read or lacks what is needed, files do not belong to one scan, or
        there is no spectrum. Spectra that are cut short, and what a header leaves open, is a
        `FastsigWarning`.
    UsageError
        If an override is unknown or has no meaning.
    """
    paths = [os.fspath(path)] if isinstance(path, (str, os.PathLike)) else [*map(os.fspath, path)]
    common, own = split_overrides(overrides, OWN, NAME)
    files = [_file(each, own, common) for each in paths]
    origin = files[0].header.start_time
    files.sort(key=lambda each: elapsed(origin, each.header.start_time))
    first = files[0]
    _tell_doubts(first, own)
    header = first.header.overridden(common)
    rows = _places(files, header.sample_rate, choice(own, "trim") is True)
    table, _ = from_first(rows, header.sample_rate, first.path)
    return SigprocSpectra(header, first.layout, [each.path for each in files], disjoint(table))


def _file(path: str, own: Mapping[str, Any], common: Mapping[str, Any]) -> File:
    keys = read_keywords(path)
    header, layout = fields(keys, own, common)
    return File(path, header, layout, keys.size, _rows(keys, layout))


def _rows(keys: Keywords, layout: SampleLayout) -> int:
    """Whole spectra behind the header."""
    there, row_bytes = keys.file_size - keys.size, -(-layout.row_bits // 8)
    n, rest = divmod(8 * there, layout.row_bits)
    if not n:
        raise FormatError(keys.path, f"no whole spectrum follows the header: {there} bytes of the "
                          f"{row_bytes} of one")
    if rest >= 8:
        incomplete(keys.path, f"the last spectrum holds {rest // 8} of {row_bytes} bytes and is "
                   "left out")
    told = keys.values.get("nsamples", 0)
    if told > n:
        incomplete(keys.path, f"the header tells of {told} spectra; {n} are there")
    return n


def _tell_doubts(file: File, own: Mapping[str, Any]) -> None:
    """Warn of what the header leaves open, unless the user said it."""
    extra, names = file.header.extra, file.header.polarization.names
    doubts = []
    if len(names) > 1 and "products" not in own:
        doubts.append(f"the header does not name its {len(names)} products; taken as "
                      f"{', '.join(names)}; --set products=IQUV (or others) tells")
    if extra.get("signed", 0) > 0 and file.layout.n_bits == 8 and "signed" not in own:
        doubts.append("signed = 1 stands for signed codes in most programs, for unsigned ones in "
                      "SIGPROC's own; taken as signed; --set signed=no (or yes) tells")
    if 0 < (stated := extra.get("nsamples", 0)) < file.n:
        doubts.append(f"{file.n} spectra are there; the header's nsamples = {stated} is not "
                      "followed, as in SIGPROC")
    for key in ("barycentric", "pulsarcentric"):
        if extra.get(key, 0):
            doubts.append(f"{key} = {extra[key]}: times are not those of a telescope's clock; "
                          "taken as they are, as if in UTC")
    for doubt in doubts:
        warnings.warn(DoubtWarning(f"{file.path}: {doubt}"), stacklevel=4)


def _places(files: Sequence[File], rate: Fraction, trim: bool) -> list[tuple[int, ...]]:
    """First row, stop, number and byte offset of every file, in the order of time."""
    first, reach = files[0], 0
    rows: list[tuple[int, ...]] = []
    for number, each in enumerate(files):
        if _alike(each) != _alike(first):
            raise FormatError(each.path, f"is of another scan than {first.path}: "
                              f"{_difference(each, first)}")
        exact = elapsed(first.header.start_time, each.header.start_time) * rate
        at = round(exact)
        if abs(exact - at) > max(Fraction(1, 10), _CLOCK_S * rate):
            warnings.warn(FastsigWarning(
                f"{each.path}: begins {float(exact - at):+.2f} spectra beside those of "
                f"{first.path}; put at the nearest"), stacklevel=4)
        if at < reach and not trim:
            raise FormatError(each.path, f"its first {reach - at} spectra are those of "
                              f"{files[number - 1].path} too; --set trim=yes takes them once")
        rows.append((at, at + each.n, number, each.offset))
        reach = max(reach, at + each.n)
    return rows


def _difference(file: File, first: File) -> str:
    """What sets a file apart from the first."""
    def told(value: Any) -> str:
        if isinstance(value, ChannelAxis):
            low, high = (float(edge) / 1e6 for edge in value.edges_hz)
            return f"{value.n_chan} channels of {low:.9g} to {high:.9g} MHz"
        return str(value)

    names = ("layout", "channels", "sample rate, Hz", "telescope", "source", "beam")
    name, mine, other = next(parts for parts in zip(names, _alike(file), _alike(first), strict=True)
                             if parts[1] != parts[2])
    return f"{name}: {told(mine)}, not {told(other)}"


def _alike(file: File) -> tuple[Any, ...]:
    """What files of one scan have in common."""
    header = file.header
    return (file.layout, header.channels, header.sample_rate, header.telescope, header.source,
            header.beam)
