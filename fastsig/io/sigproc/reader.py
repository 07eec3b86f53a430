"""SIGPROC filterbanks (.fil) and time series (.tim): one file, or the files of one scan.

Spectra follow the header without a gap; a spectrum has all channels of the first IF, then those of
the next. Codes below 8 bits begin in the lowest bits of a byte, and 32 bits are floats. `fch1` is
the centre of the first channel, and `tstart` the time of the first spectrum. The number of spectra
follows from the size of the file, not from the header.

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
from fastsig.errors import DoubtWarning, FastsigWarning, FormatError, users_line
from fastsig.io.probe import Probe
from fastsig.io.sigproc.fields import OWN, choice, fields
from fastsig.io.sigproc.header import START, START_BIG, Keywords, read_keywords
from fastsig.io.sigproc.samples import SampleLayout, SigprocSpectra
from fastsig.io.voltages.segments import disjoint, from_first, incomplete
from fastsig.stream.header import Header, split_overrides

__all__ = ["KINDS", "MANY", "NAME", "SigprocSpectra", "cards", "open", "sniff"]

NAME, KINDS = "sigproc", ("spectra",)

#: Whether `open` accepts several files of one scan.
MANY = True

# Upper limit of the rounding of the difference of two float64 day numbers, s.
_CLOCK_S = Fraction(2, 10**6)


class File(NamedTuple):
    """A file of a scan: its header, and its `n` rows, from byte `offset` on."""

    path: str
    header: Header
    layout: SampleLayout
    offset: int
    n: int


def sniff(probe: Probe) -> bool:
    """Whether a file begins with the keyword HEADER_START, in either byte order."""
    return probe.head.startswith((START, START_BIG))


def cards(path: str) -> dict[str, Any]:
    """Return all keywords of a header with their values; fchannel is the table of frequencies."""
    found = read_keywords(path)
    return {**found.values, **({"fchannel": found.table} if found.table else {})}


def open(path: str | os.PathLike[str] | Sequence[str], **overrides: Any) -> SigprocSpectra:
    """Open the files of one SIGPROC scan as a stream of spectra.

    Parameters
    ----------
    path : path or sequence of path
        The files, in any order: each is placed by its `tstart`, to the nearest spectrum.
    nchans, nbits, nifs, fch1, foff : optional
        Replacements of header values, in the units of the header (MHz).
    signed : {"yes", "no"}, optional
        Whether codes of 8 or 16 bits are in two's complement. By default, the header decides for 8
        bits, and 1 means signed, as in PRESTO, sigpyproc and riptide; SIGPROC's own programs
        write 1 with unsigned codes and -1 with signed ones. Codes of 16 bits are unsigned.
    products : str, optional
        Names of the IFs: ``IQUV``, ``AABBCRCI`` or names such as ``XX,YY``. The header has no
        keyword for them; fastsig writes them into `rawdatafile`. The default is I, AABB or
        AABBCRCI, by their number.
    trim : {"no", "yes"}, optional
        Whether files may share spectra, which then count once.
    **overrides
        The common options of `fastsig.open`.

    Raises
    ------
    FormatError
        If a header cannot be read or lacks a value that is needed, files do not belong to one scan,
        or there is no spectrum. Truncated spectra and ambiguous headers cause a `FastsigWarning`.
    UsageError
        If an override is unknown or has no meaning.
    """
    paths = [os.fspath(path)] if isinstance(path, (str, os.PathLike)) else [*map(os.fspath, path)]
    common, own = split_overrides(overrides, OWN, NAME)
    files = [_file(each, own, common) for each in paths]
    origin = files[0].header.start_time
    files.sort(key=lambda each: elapsed(origin, each.header.start_time))
    first = files[0]
    _warn_of_doubts(first, own)
    header = first.header.overridden(common)
    rows = _places(files, header.sample_rate, choice(own, "trim") is True)
    table, _ = from_first(rows, header.sample_rate, first.path)
    return SigprocSpectra(header, first.layout, [each.path for each in files], disjoint(table))


def _file(path: str, own: Mapping[str, Any], common: Mapping[str, Any]) -> File:
    keys = read_keywords(path)
    header, layout = fields(keys, own, common)
    return File(path, header, layout, keys.size, _rows(keys, layout))


def _rows(keys: Keywords, layout: SampleLayout) -> int:
    """Return the number of whole spectra after the header."""
    there, row_bytes = keys.file_size - keys.size, -(-layout.row_bits // 8)
    n, rest = divmod(8 * there, layout.row_bits)
    if not n:
        raise FormatError(keys.path, "no whole spectrum follows the header: only "
                          f"{there} of {row_bytes} bytes")
    if rest >= 8:
        incomplete(keys.path, f"the last spectrum has {rest // 8} of {row_bytes} bytes and is "
                   "left out")
    stated = keys.values.get("nsamples", 0)
    if stated > n:
        incomplete(keys.path, f"the header states {stated} spectra; the file has {n}")
    return n


def _warn_of_doubts(file: File, own: Mapping[str, Any]) -> None:
    """Warn of ambiguous header values, unless the user specified them."""
    extra, names = file.header.extra, file.header.polarization.names
    doubts = []
    if len(names) > 1 and file.header.origin["polarization"] == "default":
        doubts.append(f"the header does not name its {len(names)} products; taken as "
                      f"{', '.join(names)}; --set products=IQUV (or others) specifies them")
    if extra.get("signed", 0) > 0 and file.layout.n_bits == 8 and "signed" not in own:
        doubts.append("signed = 1 means signed codes in most programs, but unsigned ones in "
                      "SIGPROC's own; taken as signed; --set signed=no (or yes) specifies it")
    if 0 < (stated := extra.get("nsamples", 0)) < file.n:
        doubts.append(f"the file has {file.n} spectra; the header's nsamples = {stated} is "
                      "ignored, as in SIGPROC")
    for key in ("barycentric", "pulsarcentric"):
        if extra.get(key, 0):
            doubts.append(f"{key} = {extra[key]}: times are not those of a telescope's clock; "
                          "they are used unchanged, as if in UTC")
    for doubt in doubts:
        warnings.warn(DoubtWarning(f"{file.path}: {doubt}"), stacklevel=users_line())


def _places(files: Sequence[File], rate: Fraction, trim: bool) -> list[tuple[int, ...]]:
    """Return first row, stop, number and byte offset of every file, in order of time."""
    first, reach = files[0], 0
    rows: list[tuple[int, ...]] = []
    for number, each in enumerate(files):
        if _alike(each) != _alike(first):
            raise FormatError(each.path, f"does not belong to the scan of {first.path}: "
                              f"{_difference(each, first)}")
        exact = elapsed(first.header.start_time, each.header.start_time) * rate
        at = round(exact)
        if abs(exact - at) > max(Fraction(1, 10), _CLOCK_S * rate):
            warnings.warn(FastsigWarning(
                f"{each.path}: begins {float(exact - at):+.2f} spectra off those of "
                f"{first.path}; placed at the nearest"), stacklevel=users_line())
        if at < reach and not trim:
            raise FormatError(each.path, f"its first {reach - at} spectra are also in "
                              f"{files[number - 1].path}; --set trim=yes uses them once")
        rows.append((at, at + each.n, number, each.offset))
        reach = max(reach, at + each.n)
    return rows


def _difference(file: File, first: File) -> str:
    """Describe the first difference between a file and the first file."""
    def described(value: Any) -> str:
        if isinstance(value, ChannelAxis):
            low, high = (float(edge) / 1e6 for edge in value.edges_hz)
            return f"{value.n_chan} channels of {low:.9g} to {high:.9g} MHz"
        return str(value)

    names = ("layout", "channels", "sample rate, Hz", "telescope", "source", "beam")
    name, mine, other = next(parts for parts in zip(names, _alike(file), _alike(first), strict=True)
                             if parts[1] != parts[2])
    return f"{name}: {described(mine)}, not {described(other)}"


def _alike(file: File) -> tuple[Any, ...]:
    """Return the values that all files of one scan must share."""
    header = file.header
    return (file.layout, header.channels, header.sample_rate, header.telescope, header.source,
            header.beam)
