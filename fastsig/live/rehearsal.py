"""A rehearsal: what processes of a session load, and the plans of their chains, before data come.

The supervisor makes each product once, of some zeros and in a temporary folder. Its processes are
forked after that: they have all modules and compiled kernels, and share the memory of these.
"""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from astropy import units as u

from fastsig.errors import FastsigError
from fastsig.io.live.memory import folder
from fastsig.io.live.pipes import open_bytes
from fastsig.io.live.ring_bytes import RingBytes, RingFiles, byte_ring
from fastsig.io.live.streams import open_ring
from fastsig.io.live.udp import Receiver, Socket
from fastsig.io.live.writer import RingWriter
from fastsig.live.receivers import has_packets, layout_of
from fastsig.live.settings import Settings, Source
from fastsig.live.sinks import rolling
from fastsig.stream import Stream
from fastsig.telescopes.barycenter import barycentric_times

__all__ = ["rehearse"]

_WINDOWS, _MOST_ROWS = 10, 2**23  # of a filter bank; samples
_SAMPLE_BYTES = 4  # of all polarisations, or fewer
#: What a pipe is taken to contain if its header is still to come.
_USUAL = {"n_bits": 8, "n_pol": 2, "sample_rate": "1GHz", "frequency": "1250MHz",
          "start_time": "2026-01-01T00:00:00", "feed": "linear"}


def rehearse(source: Source, settings: Settings) -> None:
    """Make the products of a source of zeros, and forget them.

    Nothing is reported: what cannot be made is reported when data have come.
    """
    with warnings.catch_warnings(), tempfile.TemporaryDirectory(
            prefix="fastsig-live-", dir=folder()) as place, contextlib.suppress(FastsigError):
        warnings.simplefilter("ignore")
        short = replace(settings, folder=place, post=None, keep_s=None)
        with _zeros(source, settings) as opened:
            for kind in settings.kinds():
                with contextlib.suppress(FastsigError):
                    _make(kind, opened(), short)


def _make(kind: str, stream: Any, settings: Settings) -> None:
    given = replace(settings, roll_s=stream.ring.rows / stream.header.sample_rate)
    rolling(kind, stream, given, "", lambda said: None, lambda: stream).run(
        workers=settings.workers, memory=settings.memory)
    stream.close()
    if kind == "bursts":  # the tables of the Earth's orbit, which only a burst would load
        barycentric_times(stream.header.start_time, (0 * u.deg, 0 * u.deg), "FAST")


@contextlib.contextmanager
def _zeros(source: Source, settings: Settings) -> Iterator[Callable[[], Stream]]:
    """Give a function that opens zeros in a ring, like those of a source, for another reader."""
    layout = layout_of(settings) if has_packets(source) else None
    if layout is None:
        given = dict(settings.overrides)
        about = given if "n_bits" in given else {**_USUAL, **given}
        n_bytes = _SAMPLE_BYTES * _rows(settings)
        ring: Any = byte_ring("zeros", max(2**20, 2 * n_bytes))
        with ring:
            _put_bytes(ring, n_bytes)
            yield lambda: _of_bytes(ring, about)
    else:
        n_slot = max(4 * layout.form.reorder, -(-_rows(settings) // layout.ring.slot_rows))
        with Receiver(Socket(), layout, n_slot * layout.ring.slot_bytes) as receiver:
            receiver.prepared()
            _put_packets(receiver.ring, n_slot)
            yield lambda: open_ring(receiver.ring)


def _of_bytes(ring: RingWriter, about: dict[str, Any]) -> Stream:
    data = RingBytes(ring)
    return open_bytes("zeros", data, RingFiles(data), about)


def _put_bytes(ring: RingWriter, n: int) -> None:
    while n > 0:
        room = ring.space()[:n]
        room[:] = 0
        ring.advance(len(room))
        n -= len(room)
    ring.end()


def _put_packets(ring: RingWriter, n_slot: int) -> None:
    zeros = np.zeros(ring.layout.part_bytes, np.uint8)
    ring.start()
    for slot in range(n_slot):
        for part in range(ring.layout.n_part):
            ring.put(slot, part, zeros)
    ring.end()


def _rows(settings: Settings) -> int:
    """Return the samples of a few windows, or fewer if they would be many."""
    return min(_WINDOWS * 2 * (settings.n_chan or 1), _MOST_ROWS)
