"""Triggers: raw data around a burst, cut from the ring in time, and a line of text for others."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import queue
import socket
import stat
import threading
from fractions import Fraction
from typing import Any

from fastsig.axes import validity
from fastsig.axes.dispersion import delay_s
from fastsig.errors import FastsigError, PlanError
from fastsig.live.rolling import Report
from fastsig.run.engine import run
from fastsig.run.spectra_file import SpectraFile
from fastsig.run.voltage_file import VoltageFile
from fastsig.stages.select import Select
from fastsig.stream import Stream, VoltageStream

__all__ = ["Cutter", "post", "span_of"]

_MOST_WAITING = 16


def post(line: str, place: str) -> None:
    """Post a line of text to a file, which grows, a FIFO or a local socket.

    Nobody is waited for: a FIFO that nobody reads does not get the line.

    Raises
    ------
    OSError
        If the line cannot be posted.
    """
    text = line.encode() + b"\n"
    mode = os.stat(place).st_mode if os.path.exists(place) else 0
    if stat.S_ISSOCK(mode):
        _send(text, place)
        return
    flags = os.O_WRONLY | os.O_NONBLOCK if stat.S_ISFIFO(mode) else (
        os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    descriptor = os.open(place, flags | os.O_CLOEXEC, 0o644)
    try:
        os.write(descriptor, text)
    finally:
        os.close(descriptor)


def _send(text: bytes, place: str) -> None:
    """Send text to a local socket, of datagrams or of a stream."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_UNIX, kind) as made:
            made.settimeout(0.2)
            with contextlib.suppress(ProtocolError):
                _sent(made, text, place)
                return
    raise OSError(f"{place}: is a socket of another kind")


class ProtocolError(Exception):
    """A socket is not of this kind."""


def _sent(made: socket.socket, text: bytes, place: str) -> None:
    try:
        made.connect(place)
        made.sendall(text)
    except OSError as error:
        if error.errno == errno.EPROTOTYPE:
            raise ProtocolError from error
        raise


def span_of(stream: Stream, time_s: float, dm: float, constant: Any, edges_hz: Any,
            around_s: Fraction) -> tuple[int, int]:
    """Return the rows that contain a burst, with a margin.

    Parameters
    ----------
    stream : Stream
        Raw data.
    time_s : float
        Time of the burst at the upper edge of the band, from row 0 of the stream, s.
    dm, constant
        Dispersion measure, and constant.
    edges_hz : pair
        Edges of the band.
    around_s : Fraction
        Time before the burst at the upper edge and after it at the lower one.
    """
    rate, (low, high) = stream.header.sample_rate, edges_hz
    delay = delay_s(Fraction(dm), low, high, constant)
    at = Fraction(time_s)
    return (max(0, math.floor((at - around_s) * rate)),
            max(1, math.ceil((at + delay + around_s) * rate)))


class Cutter:
    """Cuts raw data out of a ring, in a thread of its own.

    Parameters
    ----------
    stream : Stream
        Raw data in a ring.
    keep_s : Fraction
        Time for which they are kept behind what has been searched.
    report : callable

    Raises
    ------
    PlanError
        If the ring is too small for this.
    """

    def __init__(self, stream: Any, keep_s: Fraction, report: Report) -> None:
        self.stream, self._report = stream, report
        self._keep = math.ceil(keep_s * stream.header.sample_rate)
        self._counts = hasattr(stream, "reader")  # bytes of a pipe cannot be read too late
        _check_ring(stream, keep_s)
        self._jobs: queue.Queue[tuple[str, tuple[int, int]] | None] = queue.Queue(_MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name="fastsig-cut", daemon=True)
        self._thread.start()
        self.n_cut = self.n_dropped = 0

    def cut(self, path: str, rows: tuple[int, int]) -> bool:
        """Cut rows, as soon as they have come; return False if too many cuts wait."""
        try:
            self._jobs.put_nowait((path, rows))
        except queue.Full:
            self.n_dropped += 1
            self._report({"error": f"{path}: not written, because {_MOST_WAITING} other "
                                   "bursts are waiting to be written"})
            return False
        return True

    def searched(self, row: int) -> None:
        """Note that rows of the stream before this one have been searched."""
        self.stream.release(max(0, row - self._keep))

    def close(self) -> None:
        """Complete the cuts that wait."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                self._write(*job)
            except (FastsigError, OSError) as error:
                self._report({"error": str(error)})

    def _write(self, path: str, rows: tuple[int, int]) -> None:
        stop = self.stream.arrived(rows[1])
        if stop <= rows[0]:
            self._report({"error": f"{path}: the source ended before the burst"})
            return
        part: Any = Select(self.stream, rows=(rows[0], stop))
        before = self.stream.reader.overwritten if self._counts else 0
        if isinstance(part, VoltageStream):
            whole = tuple(validity.full(0, part.shape[0]) for _ in range(part.n_pol))
            run([VoltageFile(part, path, to="native", surveyed=whole)], workers=1)
        else:
            run([SpectraFile(part, path, to="fbh5")], workers=1)
        self.n_cut += 1
        self._report({"wrote": path, "file_rows": stop - rows[0]})
        if self._counts and self.stream.reader.overwritten > before:
            self._report({"error": f"{path}: some of its rows were overwritten before they were "
                                   "copied, and are invalid; allowed: a longer --keep"})


def _check_ring(stream: Any, keep_s: Fraction) -> None:
    """Refuse a ring that does not hold what is to be kept."""
    ring, rate = stream.ring, stream.header.sample_rate
    needed = ring.layout.bytes_to_keep(keep_s * rate * stream.bytes_of_row)
    there = ring.n_slot * ring.layout.slot_bytes
    if needed > there:
        raise PlanError(f"--keep {float(keep_s):g}s of {stream.path} requires --ring "
                        f"{math.ceil(needed / 1e6)}MB or more; the ring has {there / 1e6:.0f} MB")
