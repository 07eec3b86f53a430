"""Voltages through a pipe: raw samples, GUPPI RAW, DADA or VDIF, processed as they come.

Headers are checked when they have come, before any sample. A thread reads the pipe into a ring of
memory, and waits when the ring is full: nothing is lost, and nothing is stored.
"""

from __future__ import annotations

import os
import threading
import warnings
import weakref
from typing import Any

import numpy as np

from fastsig.errors import DoubtWarning, FormatError, UsageError, users_line
from fastsig.io.live.growing import Bytes, growing
from fastsig.io.live.ring_bytes import RingBytes, RingFiles, byte_ring, fill
from fastsig.io.raw.reader import (
    described,
    descriptor_of,
    format_with_header,
    naming,
    no_sample,
)
from fastsig.io.voltages.interleaved import InterleavedVoltages
from fastsig.stream import VoltageStream
from fastsig.stream.header import override_text
from fastsig.work.threads import processors

__all__ = ["open_bytes", "open_pipe", "usual_bytes"]

_LEAST_BYTES, _UNIT_BYTES = 2**27, 2**24  # of a ring, and of what is processed at a time
_FIRST, _MOST_HEAD = 4096, 2**22  # bytes for which the format, and the headers, wait
_HEAD_S = 0.2  # s for which further headers are waited for
_ENOUGH = 2**18  # bytes that contain the first headers and some samples
_MOST_BLOCK = 2**41


def usual_bytes() -> int:
    """Return the bytes of the ring of a pipe, which contains all that threads work on."""
    return max(_LEAST_BYTES, (processors() + 4) * _UNIT_BYTES * 4 // 3)


def open_pipe(path: str, *, capacity: int | None = None, **overrides: Any) -> VoltageStream:
    """Open standard input, or a pipe with a name, as a stream without a known end.

    Parameters
    ----------
    path : str
        ``-``, or the name of the pipe.
    capacity : int, optional
        Bytes of the newest samples that are kept; `usual_bytes` by default.
    **overrides
        As for `fastsig.open`; for samples without a header, as for `fastsig.io.raw.reader.open`.

    Raises
    ------
    FormatError
        If the stream contains nothing that can be read, or a value is missing.
    UsageError
        If an override is unknown or has no meaning.
    DataError
        If standard input is closed.
    """
    if "n_bits" in overrides:
        described(path, overrides)
    descriptor = descriptor_of(path)
    ring = byte_ring(path, capacity or usual_bytes())
    threading.Thread(target=fill, args=(ring, descriptor), name="fastsig-pipe",
                     daemon=True).start()
    data = RingBytes(ring)
    ring.memory.unlink()  # no other process needs its name
    stream = open_bytes(path, data, RingFiles(data), overrides)
    weakref.finalize(stream, ring.memory.close, unlink=False)
    return stream


def open_bytes(path: str, data: Bytes, files: Any, overrides: dict[str, Any]) -> VoltageStream:
    """Open bytes that come, in the format of their first ones."""
    if "n_bits" in overrides:
        header, layout = described(path, overrides)
        data.wait(layout.row_bytes)
        if data.size < layout.row_bytes:
            raise FormatError(path, no_sample(path))
        stream: VoltageStream = InterleavedVoltages(
            header, layout, [path], np.array([[0, 1, 0, 0, 0]], np.int64))
        name = "raw"
    else:
        name, stream = _opened(path, data, overrides)
    stream.path, stream.format_name = path, name
    stream.overrides = {key: override_text(key, value) for key, value in overrides.items()}
    return growing(stream, data, files)


def _opened(path: str, data: Bytes, overrides: dict[str, Any]) -> tuple[str, VoltageStream]:
    """Open the head of the bytes as a file; return the name of its format, and the stream.

    As long as few bytes have come, the head may be refused only because it is not complete.
    """
    data.wait(_FIRST)
    while True:
        data.wait(_MOST_HEAD, _HEAD_S)
        is_last, n = data.over or data.size >= _ENOUGH, data.size
        try:
            return _opened_head(path, data.pread(min(n, _MOST_HEAD), 0), overrides)
        except (FormatError, UsageError):
            if is_last:
                raise
        data.wait(n + 1)


def _opened_head(path: str, head: bytes, overrides: dict[str, Any]) -> tuple[str, VoltageStream]:
    if not head:
        raise FormatError(path, no_sample(path))
    descriptor = os.memfd_create("head")
    stored = f"/proc/self/fd/{descriptor}"
    try:
        os.pwrite(descriptor, head, 0)
        found = format_with_header(stored)
        if found is None:
            described(path, overrides)  # raises the error that asks for a description
            raise FormatError(path, "contains no format that can be read from a pipe; allowed: "
                              "guppi, dada, vdif, and samples described with --set")
        if found[0] == "guppi":  # only the header of the first block has to be there
            os.ftruncate(descriptor, _MOST_BLOCK)
        with naming(path, stored):
            return found[0], _quietly(found[1].open, stored, overrides)
    finally:
        os.close(descriptor)


def _quietly(opening: Any, stored: str, overrides: dict[str, Any]) -> VoltageStream:
    """Open a head, without the warnings that it ends; doubts about its contents are passed on."""
    with warnings.catch_warnings(record=True) as issued:
        warnings.simplefilter("always")
        stream: VoltageStream = opening(stored, **overrides)
    for each in issued:
        if isinstance(each.message, DoubtWarning):
            warnings.warn(each.message, stacklevel=users_line())
    return stream
