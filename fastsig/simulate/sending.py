"""Send simulated recordings as packets, as FAST's backend sends them, for tests and rehearsals."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from fastsig_kernels._order import address
from fastsig_kernels._socket_loops import Outgoing, send_packets_nb
from numpy.typing import NDArray

from fastsig.errors import OutputError, UsageError
from fastsig.io.live.udp import address_of
from fastsig.simulate.engine import FastVoltage
from fastsig.simulate.network import Events, Network, Span
from fastsig.simulate.packets import HEAD, PAYLOAD, Packets, Repeated, packets_of
from fastsig.simulate.spectra import FastSpectra
from fastsig.simulate.values import scalar
from fastsig.work.signals import check

__all__ = ["Sent", "send"]

_BLOCK_BYTES = 2**22  # made together
_PIECE = 256  # most packets sent together
_PIECE_S = 0.001  # of packets sent together
_UDP, _SEGMENT, _MOST_MESSAGE = 17, 103, 60_000  # SOL_UDP, UDP_SEGMENT, bytes
_BUFFER = 2**22
_PASSING = {errno.ECONNREFUSED, errno.ENOBUFS, errno.EAGAIN, errno.EINTR}


class Sent(NamedTuple):
    """The result of sending a recording.

    Parameters
    ----------
    packets : int
        Number of packets that were sent.
    refused : int
        Number of replies that state that no program is listening on the port.
    seconds : float
        Duration of the transmission, s.
    late_s : float
        Time, s, by which the last packet was late because this machine cannot send faster.
    """

    packets: int
    refused: int
    seconds: float
    late_s: float


def send(recording: FastVoltage | FastSpectra, to: str, network: Network | None = None, *,
         speed: Any = 1, cycle: Any = None, progress: Callable[[int], Any] | None = None) -> Sent:
    """Send a recording as packets of FAST's backend.

    Parameters
    ----------
    recording : FastVoltage or FastSpectra
        Voltages are sent in packets of 4096 samples, and an incomplete last packet is left out.
        Spectra must have 4096 channels, and are rounded to 8 bits.
    to : str
        Receiver, such as ``udp://127.0.0.1:60000``.
    network : Network, optional
        What happens to packets on their way.
    speed : value
        Number of seconds of the recording that are sent in a second; 0 means as fast as possible.
    cycle : value, s, optional
        Make only a part of this duration, and send it repeatedly until the duration of the
        recording has passed.
    progress : callable, optional
        Called with the number of time steps that were sent since the last call.

    Raises
    ------
    UsageError
        If a value is not allowed.
    OutputError
        If packets cannot be sent.
    """
    network, rate = network or Network(), float(scalar(speed, "", "speed"))
    if rate < 0:
        raise UsageError(f"speed = {speed!r}; allowed: from 0")
    packets = packets_of(recording, cycle)
    network = replace(network, beam=network.beam or recording.header.beam)
    line = _Line(to, rate * float(packets.slots_per_second) * packets.n_part)
    try:
        for span, events, places in _placed(packets, network):
            line.send(packets.heads(events.slot, events.part, network), places, events.when)
            if progress is not None and span is not None:
                progress(span.n)
    finally:
        line.close()
    return line.report()


def _placed(packets: Packets, network: Network
            ) -> Iterator[tuple[Span | None, Events, NDArray[np.int64]]]:
    """Yield packets in the order in which they are sent, and the addresses of their samples."""
    most = max(1, _BLOCK_BYTES // (packets.n_part * PAYLOAD))
    spans = network.spans(packets.n_slot, packets.slots_per_second, most)

    if isinstance(packets, Repeated):
        turn = np.int64(len(packets.all))
        for span, events in network.order(spans, packets.n_part,
                                          lambda span: packets.kept(span.slot, span.n)):
            at = events.slot % turn * packets.n_part + events.part
            yield span, events, address(packets.all) + PAYLOAD * at
        return
    with ThreadPoolExecutor(1) as pool:
        yield from _made_ahead(packets, network, spans, pool)


def _made_ahead(packets: Packets, network: Network, spans: Iterator[Span],
                pool: ThreadPoolExecutor
                ) -> Iterator[tuple[Span | None, Events, NDArray[np.int64]]]:
    """As `_placed`, for samples that a thread makes while those before them are sent."""
    coming: deque[tuple[Span, Future[Any]]] = deque()
    blocks: list[tuple[Span, NDArray[np.uint8]]] = []  # those from which packets may still be sent

    def ahead() -> Iterator[Span]:
        for span in spans:
            coming.append((span, pool.submit(packets.made, span.slot % packets.n_slot, span.n)))
            if len(coming) > 2:
                yield coming[0][0]
        while coming:
            yield coming[0][0]

    def kept(span: Span) -> NDArray[np.bool_]:
        return packets.kept(span.slot % packets.n_slot, span.n)

    for span, events in network.order(ahead(), packets.n_part, kept):
        if span is not None:
            blocks.append((span, coming.popleft()[1].result()))
        places = np.zeros(len(events.slot), np.int64)
        for block, data in blocks:
            inside = (events.slot >= block.slot) & (events.slot < block.slot + block.n)
            at = (events.slot[inside] - block.slot) * packets.n_part + events.part[inside]
            places[inside] = address(data) + PAYLOAD * at
        yield span, events, places
        reach = 0 if span is None else span.step + span.n - (
            2 * network.reorder + 2) // packets.n_part - 2
        blocks = [each for each in blocks if each[0].step + each[0].n > reach]


class _Line:
    """A connected socket, through which packets are sent when they are due.

    Parameters
    ----------
    to : str
    rate : float
        Packets per second; 0 means as fast as possible.
    """

    def __init__(self, to: str, rate: float) -> None:
        host, port = address_of(to)
        self._to, self._rate = to, rate
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        try:
            self._socket.connect((host, port))
        except OSError as error:
            self._socket.close()
            raise OutputError(to, f"cannot send: {error}") from error
        self._out = Outgoing(_PIECE, HEAD, PAYLOAD, self._grouped())
        self._piece = int(min(_PIECE, max(1, rate * _PIECE_S))) if rate else _PIECE
        self._begun = time.monotonic()
        self._packets = self._refused = 0
        self._late = 0.0

    def _grouped(self) -> int:
        """Let the system divide long messages; return how many packets a message has.

        Networks may refuse it for packets longer than theirs.
        """
        if not self._socket.getpeername()[0].startswith("127."):
            return 1
        try:
            self._socket.setsockopt(_UDP, _SEGMENT, HEAD + PAYLOAD)
        except OSError:
            return 1
        return _MOST_MESSAGE // (HEAD + PAYLOAD)

    def send(self, heads: NDArray[np.uint64], places: NDArray[np.int64],
             when: NDArray[np.float64]) -> None:
        """Send packets with these headers and addresses, each at its time in packets."""
        for first in range(0, len(heads), self._piece):
            some = slice(first, first + self._piece)
            self._out.heads[: len(heads[some])] = heads[some].astype("<u8").view(np.uint8).reshape(
                -1, HEAD)
            count = self._out.prepare(places[some])
            self._wait(float(when[first]))
            self._send(count)
            self._packets += len(heads[some])

    def _wait(self, when: float) -> None:
        check()
        if not self._rate:
            return
        early = self._begun + when / self._rate - time.monotonic()
        self._late = max(0.0, -early)
        if early > 0:
            time.sleep(early)

    def _send(self, count: int) -> None:
        """Send messages; a telescope does not notice either that nobody listens."""
        place = self._out.place
        while count > 0:
            sent, status = send_packets_nb(self._socket.fileno(), place, count)
            count, place = count - sent, place + 64 * sent
            if status == -errno.ECONNREFUSED:
                self._refused += 1
            elif -status not in _PASSING and status:
                raise OutputError(self._to, f"cannot send: {os.strerror(-status)}")

    def report(self) -> Sent:
        """Return what was sent until now."""
        return Sent(self._packets, self._refused, time.monotonic() - self._begun, self._late)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
