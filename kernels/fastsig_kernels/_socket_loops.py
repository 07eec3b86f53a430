"""Many packets are received or sent by one call of the system, in loops without the GIL."""

import numpy as np
from numba.core import types

from ._jit import jit_strict
from ._memory import _load
from ._order import address
from ._packet_loops import place_packets_nb
from ._ring_words import COUNTER_AT

#: int64 words of a ``struct mmsghdr``, of the address of a sender, and of a control message.
HEADER_WORDS, NAME_WORDS, CONTROL_WORDS = 8, 4, 4
(_NAME, _NAME_BYTES, _IOV, _N_IOV, _CONTROL, _CONTROL_BYTES, _FLAGS, _SIZE) = range(HEADER_WORDS)
_LOW = 2**32 - 1
#: Positions in the table that governs how long a call takes.
LIMIT_NS, PAUSE, MOST_PAUSE = range(3)

_WAIT_FOR_ONE, _TRUNCATED = 0x10000, 0x20
_RXQ_OVFL, _SOCKET = 40, 1
_KERNEL_DROPS = COUNTER_AT["kernel_drops"]

_i32, _i64 = types.int32, types.int64
_recvmmsg = types.ExternalFunction("recvmmsg", _i32(_i32, _i64, _i32, _i32, _i64))
_sendmmsg = types.ExternalFunction("sendmmsg", _i32(_i32, _i64, _i32, _i32))
_usleep = types.ExternalFunction("usleep", _i32(_i32))
_clock_gettime = types.ExternalFunction("clock_gettime", _i32(_i32, _i64))
_MONOTONIC = 1
_errno_at = types.ExternalFunction("__errno_location", _i64())


class Messages:
    """Tables with which the system receives or sends `n` packets at once.

    Parameters
    ----------
    n : int
    packet_bytes : int
        Most bytes of a packet.
    """

    def __init__(self, n: int, packet_bytes: int) -> None:
        #: Distance of packets in memory.
        self.stride = -(-packet_bytes // 64) * 64
        self.raw = np.zeros(n * self.stride, np.uint8)
        self.headers = np.zeros((n, HEADER_WORDS), np.int64)
        self.parts = np.zeros((n, 2), np.int64)
        self.names = np.zeros((n, NAME_WORDS), np.int64)
        self.control = np.zeros((n, CONTROL_WORDS), np.int64)
        self.sizes = np.zeros(n, np.int64)
        self.parts[:, 0] = address(self.raw) + self.stride * np.arange(n)
        self.parts[:, 1] = packet_bytes
        self.headers[:, _IOV] = address(self.parts) + 16 * np.arange(n)
        self.headers[:, _N_IOV] = 1
        #: Address of the table of headers.
        self.place = address(self.headers)

    def receive(self) -> None:
        """Ask for the senders and for the number of packets that the kernel dropped."""
        n = len(self.headers)
        self.headers[:, _NAME] = address(self.names) + 8 * NAME_WORDS * np.arange(n)
        self.headers[:, _CONTROL] = address(self.control) + 8 * CONTROL_WORDS * np.arange(n)


@jit_strict
def _dropped(headers, control, i):
    """Return the number of packets dropped by the kernel that packet `i` states, or -1."""
    if headers[i, _CONTROL_BYTES] < 20 or control[i, 1] != _RXQ_OVFL << 32 | _SOCKET:
        return -1
    return control[i, 2] & _LOW


@jit_strict
def _now_ns(place):
    """Return the time of the monotonic clock; `place` is the address of two int64 of scratch."""
    _clock_gettime(_MONOTONIC, place)
    return _load(64, place) * 1_000_000_000 + _load(64, place + 8)


@jit_strict
def _rest(pacing, got, n):
    """Wait until about half as many packets may have come as a call can receive."""
    if got == n:
        pacing[PAUSE] = pacing[PAUSE] * 3 // 4
        return
    if 2 * got < n:
        pacing[PAUSE] = min(pacing[MOST_PAUSE], pacing[PAUSE] * 5 // 4 + 1)
    if pacing[PAUSE] > 0:
        _usleep(pacing[PAUSE])


@jit_strict
def receive_packets_nb(descriptor, place, headers, names, control, sizes, senders, drops, clock,
                       pacing, form, raw, stride, held, held_raw, todo, words, numbers,
                       payload):
    """Receive packets for some time, and put them into a ring.

    Parameters
    ----------
    descriptor : int
        Of a socket with a time-out.
    place, headers, names, control, sizes, raw, stride
        As in `Messages`.
    senders : ndarray, (n,), int64
        Scratch.
    drops : ndarray, (1,), int64
        The number of dropped packets that the kernel stated last.
    clock : int
        Address of two int64 of scratch.
    pacing : ndarray, (3,), int64
        Time after which this function returns, ns; microseconds of the current pause between calls,
        and of the longest one.
    form, held, held_raw, todo, words, numbers, payload
        As for `place_packets_nb`.

    Returns
    -------
    n_packet, status : int
        The status is 0, that of `place_packets_nb`, or minus the number of an error of the system
        (that of a time-out is EAGAIN).
    """
    n_packet, n = 0, len(headers)
    until = _now_ns(clock) + pacing[LIMIT_NS]
    while _now_ns(clock) < until:
        got = _recvmmsg(descriptor, place, n, _WAIT_FOR_ONE, 0)
        if got < 0:
            return n_packet, -_errno()
        for i in range(got):
            truncated = headers[i, _FLAGS] & _TRUNCATED
            sizes[i] = -1 if truncated else headers[i, _SIZE] & _LOW
            senders[i] = names[i, 0]
        stated = _dropped(headers, control, got - 1) if got > 0 else -1
        if stated >= 0:
            words[_KERNEL_DROPS] += (stated - drops[0]) & _LOW
            drops[0] = stated
        prepare_nb(headers, got)
        status = place_packets_nb(form, raw, stride, sizes, senders, got, held, held_raw, todo,
                                  words, numbers, payload)
        n_packet += got
        if status != 0:
            return n_packet, status
        _rest(pacing, got, n)
    return n_packet, 0


@jit_strict
def drain_packets_nb(descriptor, place, headers, n_call):
    """Receive packets and do nothing with them: the floor that benchmarks compare with."""
    n_packet = 0
    for _ in range(n_call):
        got = _recvmmsg(descriptor, place, len(headers), _WAIT_FOR_ONE, 0)
        if got < 0:
            return n_packet, -_errno()
        n_packet += got
    return n_packet, 0


@jit_strict
def prepare_nb(headers, n):
    """Restore the lengths in the first `n` headers, which the kernel has replaced."""
    for i in range(n):
        headers[i, _NAME_BYTES] = 8 * NAME_WORDS
        headers[i, _CONTROL_BYTES] = 8 * CONTROL_WORDS


@jit_strict
def _errno():
    return _load(32, _errno_at())


class Outgoing:
    """Tables with which the system sends up to `n` packets: a header and samples for each.

    Parameters
    ----------
    n : int
    header_bytes, payload_bytes : int
    group : int
        Packets that the system receives as one message, which it divides (UDP_SEGMENT).
    """

    def __init__(self, n: int, header_bytes: int, payload_bytes: int, group: int = 1) -> None:
        self.group = group
        #: Headers of packets, to be filled.
        self.heads = np.zeros((n, header_bytes), np.uint8)
        self._parts = np.zeros((n, 2, 2), np.int64)
        self._parts[:, 0, 0] = address(self.heads) + header_bytes * np.arange(n)
        self._parts[:, :, 1] = header_bytes, payload_bytes
        self._headers = np.zeros((-(-n // group), HEADER_WORDS), np.int64)
        self._headers[:, _IOV] = address(self._parts) + 32 * group * np.arange(len(self._headers))
        #: Address of the table of messages.
        self.place = address(self._headers)

    def prepare(self, places: np.ndarray) -> int:
        """Send the samples at these addresses; return the number of messages."""
        n = len(places)
        self._parts[:n, 1, 0] = places
        count = -(-n // self.group)
        self._headers[:count, _N_IOV] = 2 * self.group
        self._headers[count - 1, _N_IOV] = 2 * (n - (count - 1) * self.group)
        return count


@jit_strict
def send_packets_nb(descriptor, place, n):
    """Send the first `n` messages; return how many were sent, and 0 or minus an error's number."""
    sent = 0
    while sent < n:
        now = _sendmmsg(descriptor, place + 8 * HEADER_WORDS * sent, min(n - sent, 1024), 0)
        if now < 0:
            return sent, -_errno()
        sent += now
    return sent, 0
