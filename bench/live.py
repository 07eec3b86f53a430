"""The receive path: packets put into a ring, compared with packets that are only received.

A process sends as fast as it can. Both ways of receiving take turns, on sockets of their own, and
the rate is that of bits per second of processor time of the receiving thread: it does not depend on
whether the sender can keep up.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import threading
import time
from typing import Any, NamedTuple

from fastsig_kernels._socket_loops import Messages, drain_packets_nb, prepare_nb

from bench import machine
from fastsig.io.live.layouts import fast_adc
from fastsig.io.live.udp import Receiver, Socket

_BATCH, _CALLS = 64, 64
_SENDER = """
import sys
from fastsig.simulate import FastVoltage, send
recording = FastVoltage(duration="1000s")
send(recording, sys.argv[1], speed=0, cycle=sys.argv[2])
"""


class Rate(NamedTuple):
    """Packets received in a time.

    Parameters
    ----------
    gbit_core : float
        Gigabits of samples per second of processor time.
    gbit : float
        Gigabits of samples per second.
    dropped : float
        Share of packets that the kernel dropped.
    """

    gbit_core: float
    gbit: float
    dropped: float


def run(*, quick: bool, keep: bool) -> list[dict[str, Any]]:
    """Compare, print and save."""
    record = machine.start_record(quick=quick, pattern=None, repeats=1, kind="live")
    print(machine.headline(record))
    seconds, rounds = (0.2, 1) if quick else (2.0, 5)
    pairs = [(_drained(seconds), _placed(seconds)) for _ in range(rounds)]
    ratios = [placed.gbit_core / floor.gbit_core for floor, placed in pairs]
    for name, rates in zip(("received alone", "put into a ring"), zip(*pairs, strict=True),
                           strict=True):
        best = max(rates)
        print(f"{name:<16} {best.gbit_core:6.2f} Gb/s a core, {best.gbit:6.2f} Gb/s, "
              f"{100 * best.dropped:.0f} % dropped by the kernel")
    print(f"ratio {statistics.median(ratios):.2f}, from {min(ratios):.2f} to {max(ratios):.2f}")
    cells = [{"floor": floor._asdict(), "placed": placed._asdict()} for floor, placed in pairs]
    if keep:
        print(f"wrote {machine.save(record, cells)}", file=sys.stderr)
    return cells


def _sending(port: int) -> subprocess.Popen[bytes]:
    """Start a process that sends to a port; on more than one core, receive on another."""
    cores = sorted(os.sched_getaffinity(0))
    command = [sys.executable, "-c", _SENDER, f"udp://127.0.0.1:{port}", "0.2ms"]
    process = subprocess.Popen(command)
    if len(cores) > 1:
        os.sched_setaffinity(process.pid, {cores[-1]})
    return process


def _measured(source: Socket, begin: Any, seconds: float) -> Rate:
    """Receive for some time by calling the function that `begin` returns."""
    sender = _sending(source.port)
    found: list[Rate] = []

    def work() -> None:
        receive, n_packet, dropped = begin()
        _wait(receive, n_packet)
        counts = n_packet(), dropped()
        at, spent = time.monotonic(), time.thread_time()
        while time.monotonic() < at + seconds:
            receive()
        wall, spent = time.monotonic() - at, time.thread_time() - spent
        n, lost = n_packet() - counts[0], dropped() - counts[1]
        bits = 8 * 4096 * n / 1e9
        found.append(Rate(bits / spent, bits / wall, lost / max(1, n + lost)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    sender.terminate()
    sender.wait()
    return found[0]


def _wait(receive: Any, n_packet: Any) -> None:
    """Receive until the sender is at its full rate."""
    until = time.monotonic() + 60
    while n_packet() < 20_000:
        receive()
        if time.monotonic() > until:
            raise RuntimeError("no packets came within 60 s")


def _placed(seconds: float) -> Rate:
    source = Socket()
    layout = fast_adc()
    with Receiver(source, layout, 2**28) as receiver:

        def begin() -> Any:
            receive = receiver.prepared()
            count = receiver.ring.counters
            return receive, lambda: count()["placed"], lambda: count()["kernel_drops"]

        return _measured(source, begin, seconds)


def _drained(seconds: float) -> Rate:
    source = Socket()

    def begin() -> Any:
        messages = Messages(_BATCH, 4104)
        messages.receive()
        prepare_nb(messages.headers, _BATCH)
        total = [0]

        def receive() -> None:
            total[0] += drain_packets_nb(source.socket.fileno(), messages.place,
                                         messages.headers, _CALLS)[0]

        return receive, lambda: total[0], lambda: 0

    try:
        return _measured(source, begin, seconds)
    finally:
        source.close()
