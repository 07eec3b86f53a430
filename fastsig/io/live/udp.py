"""Packets from the network: a socket, and the loop that puts what it receives into a ring.

A socket listens to this machine alone unless another address is specified. The memory for packets
that wait is requested as large as possible, and `Socket` states how much was granted. Compiled code
receives many packets by one call of the system, without the GIL.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import struct
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from types import TracebackType
from typing import Self

import numpy as np
from fastsig_kernels._order import address
from fastsig_kernels._ring_words import COUNTER_AT, STATE_AT
from numpy.typing import NDArray

from fastsig.axes.time import sample_time, time_from_unix
from fastsig.errors import DataError, UsageError
from fastsig.io.live.layouts import PacketLayout
from fastsig.io.live.writer import RingWriter

__all__ = ["Receiver", "Socket", "address_of"]

_ADDRESS = re.compile(r"udp://(?:([A-Za-z0-9.-]+)?:)?([0-9]{1,5})")
_LOOPBACK = "127.0.0.1"
_RCVBUFFORCE, _RXQ_OVFL = 33, 40  # SO_RCVBUFFORCE and SO_RXQ_OVFL of Linux
_WAIT_S = 0.1  # for packets, before the receiver looks whether it should stop
_MOST_PACKET = 65_535
_BUFFER = 2**26
_BATCH = 64
_LIMIT_S = 0.05  # in compiled code
_PAUSE_US, _FASTEST = 2000, 2 * 10**9  # longest pause; bytes per second for which memory is needed
_PASSING = {errno.EAGAIN, errno.EINTR, errno.ECONNREFUSED, errno.ENOBUFS, errno.ENOMEM}


def address_of(text: str) -> tuple[str, int]:
    """Return host and port of text such as ``udp://127.0.0.1:60000`` or ``udp://:60000``.

    Raises
    ------
    UsageError
        If the text is not of this form.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None or not int(match[2]) < 2**16:
        raise UsageError(f"{text!r}; allowed: udp://HOST:PORT, such as udp://127.0.0.1:60000")
    return match[1] or _LOOPBACK, int(match[2])


class Socket:
    """A socket that receives packets.

    Parameters
    ----------
    host : str
        Address to listen to: by default only this machine. 0.0.0.0 means all networks.
    port : int
        0 means a free port.
    buffer_bytes : int
        Memory for waiting packets that is requested.

    Attributes
    ----------
    port : int
    granted : int
        Memory that the system granted, bytes.
    forced : bool
        Whether it was granted beyond the limit of the system, which needs CAP_NET_ADMIN.

    Raises
    ------
    DataError
        If the address cannot be listened to.
    """

    def __init__(self, host: str = _LOOPBACK, port: int = 0, *, buffer_bytes: int = _BUFFER
                 ) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self.label = f"udp://{host}:{port}"
        self.forced = self._ask(buffer_bytes)
        self.granted = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, _RXQ_OVFL, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO,
                               struct.pack("@ll", 0, int(_WAIT_S * 1e6)))
        try:
            self.socket.bind((host, port))
        except (OSError, OverflowError) as error:
            self.socket.close()
            raise DataError(self.label, f"cannot listen: {error}") from error
        self.port = int(self.socket.getsockname()[1])
        self.label = f"udp://{host}:{self.port}"

    def _ask(self, n_bytes: int) -> bool:
        """Request memory for packets; return whether the limit of the system was overridden."""
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, n_bytes)
        except OSError:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, n_bytes)
            return False
        return True

    def first(self, n: int, timeout: float) -> list[bytes]:
        """Return up to `n` packets, which are then no longer received by others.

        Parameters
        ----------
        n : int
        timeout : float
            Seconds after which fewer are returned.
        """
        found: list[bytes] = []
        until = time.monotonic() + timeout
        while len(found) < n and time.monotonic() < until:
            with contextlib.suppress(BlockingIOError, ConnectionError):
                found.append(self.socket.recv(_MOST_PACKET))
        return found

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()


class Receiver:
    """Receive packets from a socket into a ring, in a thread (`start`) or here (`run`).

    Parameters
    ----------
    source : Socket
    layout : PacketLayout
    ring_bytes : int
        Bytes of samples that the ring holds; the ring is made here.
    name : str, optional
        Name of the ring.
    idle_s : float
        Seconds without packets after which all that has come may be read, and after which the time
        of the last packet is that of the last row.
    batch : int
        Packets received by one call of the system, at most.

    Attributes
    ----------
    ring : RingWriter
        Its counters are those of the receiver.
    """

    def __init__(self, source: Socket, layout: PacketLayout, ring_bytes: int, *,
                 name: str | None = None, idle_s: float = 0.5, batch: int = _BATCH) -> None:
        least = 4 * layout.form.reorder
        if ring_bytes // layout.ring.slot_bytes < least:
            raise UsageError(f"a ring of {ring_bytes} bytes; allowed: {least} slots or more for a "
                             f"reordering of {layout.form.reorder}, "
                             f"{least * layout.ring.slot_bytes} bytes")
        self.source, self.layout, self._idle_ns = source, layout, int(idle_s * 1e9)
        self._batch = batch
        self.ring = RingWriter.create(layout.ring, layout.header, ring_bytes, label=source.label,
                                      name=name)
        self.ring.describe(port=source.port, buffer_bytes=source.granted,
                           buffer_forced=source.forced, layout=layout.name)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._receive: Callable[[], tuple[int, int]] | None = None
        #: The error that ended the loop, if one did.
        self.error: OSError | None = None

    def start(self) -> Self:
        """Receive in a thread of its own, until `stop`; packets that come from now on are kept."""
        self._receive = self.prepared()
        self._thread = threading.Thread(target=self.run, name="fastsig-udp", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """End the stream, within a fraction of a second."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def run(self) -> None:
        """Receive until `stop` is called in another thread, or until the counter begins again."""
        from fastsig_kernels._packet_loops import RESTARTED

        receive, words = self._receive or self.prepared(), self.ring.memory.words
        last = time.monotonic_ns()
        reason = "stopped"
        while not self._stopping.is_set():
            placed, begun = int(words[COUNTER_AT["placed"]]), time.monotonic_ns()
            _, status = receive()
            self.ring.beat()
            if words[COUNTER_AT["placed"]] > placed:
                last = words[STATE_AT["last"]] = time.monotonic_ns()
                self._timed()
            elif begun - last > self._idle_ns:  # this process may have waited, not the packets
                self.flush()
            if status == RESTARTED:
                reason = "restarted"
                break
            if status < 0 and -status not in _PASSING:
                self.error, reason = OSError(-status, os.strerror(-status)), "failed"
                break
        self._give_up()
        self.ring.end(reason)

    def prepared(self, limit_s: float = _LIMIT_S) -> Callable[[], tuple[int, int]]:
        """Return a function that receives packets for some time, and returns number and status."""
        from fastsig_kernels._socket_loops import Messages, prepare_nb, receive_packets_nb

        form, memory = self.layout.form, self.ring.memory
        messages = Messages(self._batch, form.packet_bytes)
        messages.receive()
        prepare_nb(messages.headers, self._batch)
        held, held_raw, todo = form.held()
        self._held = held
        clock, pacing = np.zeros(2, np.int64), self._pacing()
        arguments = (
            self.source.socket.fileno(), messages.place, messages.headers, messages.names,
            messages.control, messages.sizes, np.zeros(self._batch, np.int64),
            np.zeros(1, np.int64), address(clock), pacing, form.table(), messages.raw,
            messages.stride, held, held_raw, todo, memory.words, memory.numbers,
            memory.payload.reshape(-1))
        self._kept = messages, clock, arguments  # the system writes to their memory
        receive_packets_nb(*arguments)  # for no time: this only compiles it, if necessary
        self.flush()
        pacing[0] = int(limit_s * 1e9)
        return lambda: receive_packets_nb(*arguments)  # type: ignore[no-any-return]

    def _pacing(self) -> NDArray[np.int64]:
        """Return how long calls take, 0, and pauses for an eighth of the memory of the socket.

        The system counts more memory for a packet than its bytes.
        """
        most = int(min(_PAUSE_US, self.source.granted / 8 / _FASTEST * 1e6))
        return np.array([0, 0, most], np.int64)

    def _timed(self) -> None:
        """Let row 0 have the time at which it came, if that of the counter is not known."""
        if self.ring.state("started") != 2:
            return
        rows = self.ring.state("highest") * self.layout.ring.slot_rows
        now = time_from_unix(Fraction(time.time_ns(), 10**9))
        self.ring.start(self.ring.state("first"),
                        start_time=sample_time(now, -rows, self.ring.rate))

    def flush(self, *, at_end: bool = False) -> None:
        """Let readers read all that has come, and count what is missing there.

        Unless it is the end, the newest slot waits until all of its packets have come.
        """
        from fastsig_kernels._packet_loops import flush_packets_nb

        flush_packets_nb(self.ring.memory.words, self.ring.memory.numbers, self._held, int(at_end))

    def _give_up(self) -> None:
        """Count what is still held back, and what is missing at the end."""
        self.ring.count("unconfirmed", int(self._held[0]))
        self._held[0] = 0
        self.flush(at_end=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.stop()
        self.ring.close()
        self.source.close()
