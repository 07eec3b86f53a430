"""Samples without a header, from standard input or a pipe; the user specifies their format.

If standard input is a file, it is read in place. For work that needs all of it, or its end, input
from a pipe is first stored in an unnamed file in the folder for temporary files (``TMPDIR``), so
that it can be read at any position.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from fastsig.axes.polarization import PolBasis
from fastsig.axes.time import parse_time
from fastsig.errors import DataError, FormatError, OutputError, UsageError
from fastsig.io.voltages.interleaved import ORDERS, InterleavedVoltages, Interleaving
from fastsig.io.voltages.segments import incomplete
from fastsig.stream import VoltageStream
from fastsig.stream.header import Header, split_overrides

__all__ = ["KINDS", "NAME", "STANDARD_INPUT", "described", "descriptor_of", "format_with_header",
           "is_pipe", "naming", "no_sample", "open"]

NAME, KINDS = "raw", ("voltage",)

#: The name of a file that means standard input.
STANDARD_INPUT = "-"

_OWN = ("n_bits", "complex", "n_pol", "n_chan", "order", "encoding", "byte_order")
_PIECE = 2**22


def open(path: str, **overrides: Any) -> VoltageStream:
    """Open headerless samples on standard input as a stream.

    Parameters
    ----------
    path : str
        ``-``, or the name of a pipe. Without `n_bits`, it may contain GUPPI RAW, DADA or VDIF.
    n_bits : int
        Bits of a number: 8, 16 (integers) or 32 (floats).
    complex : {"yes", "no"}
        Whether a sample consists of two numbers, the real part first; "no" by default.
    n_pol, n_chan : int
        Polarisations, 1 (the default) or 2, and channels, in the order of the file.
    order : {"TFP", "TPF"}
        Whether polarisation (the default) or channel varies faster.
    encoding : {"twos", "offset"}
        Encoding of integers: two's complement (the default), or offset binary.
    byte_order : {"little", "big"}
        Byte order of numbers of 16 and 32 bits; "little" by default.
    **overrides
        The common options of `fastsig.open`; `sample_rate` and `start_time` are needed.

    Raises
    ------
    FormatError
        If a required value is not specified, or there is no sample.
    OutputError
        If input from a pipe cannot be stored.
    UsageError
        If an override is unknown or has no meaning.
    """
    if "n_bits" in overrides:
        described(path, overrides)  # before anything is stored
    descriptor, first = _seekable(path)
    found: VoltageStream | None = (
        None if "n_bits" in overrides else _with_header(path, descriptor, overrides))
    if found is not None:
        return found
    header, layout = described(path, overrides)
    n, rest = divmod(max(0, os.fstat(descriptor).st_size - first), layout.row_bytes)
    if rest:
        incomplete(path, f"the last {rest} bytes are not a whole sample")
    if not n:
        raise FormatError(path, no_sample(path))
    stream = _StandardInput(header, layout, [f"/proc/self/fd/{descriptor}"],
                            np.array([[0, n, 0, first, 0]], np.int64))
    stream.path = path
    weakref.finalize(stream, os.close, descriptor)
    return stream


def described(path: str, overrides: Mapping[str, Any]) -> tuple[Header, Interleaving]:
    """Return the header and the layout of samples that the user describes.

    Raises
    ------
    FormatError
        If a required value is not specified.
    UsageError
        If an override is unknown or has no meaning.
    """
    common, own = split_overrides(overrides, _OWN, NAME)
    for key, example in (("n_bits", "8"), ("sample_rate", "1GHz"),
                         ("start_time", "2026-01-01T00:00:00")):
        if key not in overrides:
            raise FormatError(path, f"samples {_place(path)} have no header; give --set "
                              f"{key}={example}")
    layout = _layout(own)
    return _header(layout, common), layout


def no_sample(path: str) -> str:
    """Return the message that there is nothing."""
    return f"{'standard input' if path == STANDARD_INPUT else 'the pipe'} has no sample"


def _place(path: str) -> str:
    return "on standard input" if path == STANDARD_INPUT else "in a pipe"


def format_with_header(path: str) -> tuple[str, Any] | None:
    """Return the name and module of a format that pipes can contain, by its first bytes."""
    from fastsig.io.dada import reader as dada
    from fastsig.io.guppi import reader as guppi
    from fastsig.io.probe import Probe
    from fastsig.io.vdif import reader as vdif

    probe = Probe(path)
    return next(((module.NAME, module) for module in (guppi, dada, vdif) if module.sniff(probe)),
                None)


def _with_header(path: str, descriptor: int, overrides: Mapping[str, Any]) -> Any:
    """Open input whose first bytes are those of a format with headers; None for any other."""
    stored = f"/proc/self/fd/{descriptor}"
    found = format_with_header(stored) if os.fstat(descriptor).st_size else None
    if found is None:
        return None
    name, module = found
    with naming(path, stored):
        stream = module.open(stored, **overrides)
    stream.path, stream.format_name = path, name
    weakref.finalize(stream, os.close, descriptor)
    return stream


@contextlib.contextmanager
def naming(path: str, stored: str) -> Iterator[None]:
    """Let an error in the file `stored`, which contains bytes of a pipe, name the pipe."""
    try:
        yield
    except FormatError as error:
        if error.path != stored:
            raise
        raise FormatError(path, str(error).removeprefix(f"{stored}: ")) from error


class _StandardInput(InterleavedVoltages):
    """The voltages on standard input; `files` are paths through which this process can read it."""

    @property
    def files(self) -> list[str]:
        """The path of the descriptor, which is not the absolute name of a file."""
        return list(self._raw.paths)


def _seekable(path: str) -> tuple[int, int]:
    """Return a seekable descriptor of standard input, and the offset at which samples begin."""
    here = descriptor_of(path)
    status = os.fstat(here)
    if stat.S_ISREG(status.st_mode):
        return os.dup(here), os.lseek(here, 0, os.SEEK_CUR)
    if os.isatty(here):
        raise FormatError(path, "standard input is a terminal; allowed: a file or a pipe")
    kept = tempfile.TemporaryFile()  # noqa: SIM115 - kept for the whole process
    try:
        with os.fdopen(os.dup(here), "rb") as pipe:
            shutil.copyfileobj(pipe, kept, _PIECE)
        kept.flush()
    except OSError as error:
        kept.close()
        raise OutputError(tempfile.gettempdir(), f"standard input cannot be stored here: "
                          f"{error.strerror}; set TMPDIR to another folder") from error
    descriptor = os.dup(kept.fileno())
    kept.close()
    return descriptor, 0


def descriptor_of(path: str) -> int:
    """Return a descriptor of standard input, or of a pipe with a name.

    Raises
    ------
    DataError
        If the input is closed, or cannot be opened.
    """
    try:
        if path != STANDARD_INPUT:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        here = sys.stdin.fileno()
        os.fstat(here)
    except (AttributeError, OSError, ValueError) as error:
        raise DataError(path, "standard input is closed" if path == STANDARD_INPUT
                        else str(error)) from error
    return here


def is_pipe(path: Any) -> bool:
    """Whether a name is that of standard input, where this is not a file, or of a pipe."""
    if not isinstance(path, (str, os.PathLike)):
        return False
    if path == STANDARD_INPUT:
        try:
            mode = os.fstat(sys.stdin.fileno()).st_mode
        except (AttributeError, OSError, ValueError):
            return False
        return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def _layout(own: Mapping[str, Any]) -> Interleaving:
    n_bits = _number(own, "n_bits", 8, (8, 16, 32))
    is_complex = _choice(own, "complex", "no", ("no", "yes")) == "yes"
    offset = _choice(own, "encoding", "twos", ("twos", "offset")) == "offset"
    order = "<" if _choice(own, "byte_order", "little", ("little", "big")) == "little" else ">"
    if offset and n_bits == 32:
        raise UsageError("encoding = 'offset' with n_bits = 32; allowed: with 8 and 16")
    kind = "f" if n_bits == 32 else "u" if offset else "i"
    return Interleaving(
        _number(own, "n_chan", 1, range(1, 2**20)), _number(own, "n_pol", 1, (1, 2)),
        2 if is_complex else 1, np.dtype(f"{order}{kind}{n_bits // 8}"),
        _choice(own, "order", "TFP", ORDERS),
    )


def _choice(own: Mapping[str, Any], key: str, default: str, allowed: tuple[str, ...]) -> str:
    value = str(own.get(key, default))
    if value not in allowed:
        raise UsageError(f"{key} = {value!r}; allowed: {', '.join(allowed)}")
    return value


def _number(own: Mapping[str, Any], key: str, default: int, allowed: range | tuple[int, ...]
            ) -> int:
    text = str(own.get(key, default))
    if not (text.isascii() and text.isdigit() and len(text) < 10) or int(text) not in allowed:
        values = f"{allowed[0]} to {allowed[-1]}" if isinstance(allowed, range) else ", ".join(
            map(str, allowed))
        raise UsageError(f"{key} = {text!r}; allowed: {values}")
    return int(text)


def _header(layout: Interleaving, common: dict[str, Any]) -> Header:
    """Return a header with only the values specified by the user."""
    bare = Header(
        start_time=parse_time("2000-01-01"), sample_rate=Fraction(1), is_complex=layout.n_dim == 2,
        polarization=PolBasis("unknown", ("0", "1")[: layout.n_pol]),
        n_bits=8 * layout.dtype.itemsize,
    )
    return bare.overridden(common, layout.n_chan)
