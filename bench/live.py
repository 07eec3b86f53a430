"""The receive path: packets put into a ring, compared with packets that are only received.

A process sends as fast as it can to one socket. Both ways of receiving take turns of 20 ms, and the
rate is that of bits per second of processor time of the receiving thread: it hardly depends on
whether the sender can keep up, nor on what else the machine does.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from fastsig_kernels._socket_loops import Messages, drain_packets_nb, prepare_nb

from bench import machine
from fastsig.io.live.layouts import fast_adc
from fastsig.io.live.udp import Receiver, Socket

_BATCH, _CALLS = 64, 16
_TURN_S = 0.02
_RING_BYTES = 2**28
_SENDER = """
import sys
from fastsig.simulate import FastVoltage, send
recording = FastVoltage(duration="1000s")
send(recording, sys.argv[1], speed=0, cycle=sys.argv[2])
"""


class Turn(NamedTuple):
    """Packets received in one turn, in seconds of processor time."""

    packets: int
    seconds: float


def run(*, quick: bool, keep: bool) -> list[dict[str, Any]]:
    """Compare, print and save."""
    record = machine.start_record(quick=quick, pattern=None, repeats=1, kind="live")
    print(machine.headline(record))
    seconds, rounds = (0.2, 1) if quick else (4.0, 5)
    cells = [_cell(seconds) for _ in range(rounds)]
    for name in ("floor", "placed"):
        rates = [each[name] for each in cells]
        print(f"{name:<7} {statistics.median(rates):6.2f} Gb/s a core, from {min(rates):.2f} to "
              f"{max(rates):.2f}")
    ratios = [each["placed"] / each["floor"] for each in cells]
    print(f"ratio   {statistics.median(ratios):6.2f}, from {min(ratios):.2f} to {max(ratios):.2f}")
    if keep:
        print(f"wrote {machine.save(record, cells)}", file=sys.stderr)
    return cells


def _cell(seconds: float) -> dict[str, Any]:
    """Return the rates of both ways, in gigabits of samples per second of processor time."""
    with Receiver(Socket(), fast_adc(), _RING_BYTES) as receiver:
        sender = _sending(receiver.source.port)
        try:
            turns = _in_a_thread(receiver, seconds)
        finally:
            sender.terminate()
            sender.wait()
    return {name: 8 * 4096e-9 * sum(turn.packets for turn in each) / sum(
        turn.seconds for turn in each) for name, each in turns.items()}


def _sending(port: int) -> subprocess.Popen[bytes]:
    """Start a process that sends to a port."""
    return subprocess.Popen([sys.executable, "-c", _SENDER, f"udp://127.0.0.1:{port}", "0.2ms"])


def _in_a_thread(receiver: Receiver, seconds: float) -> dict[str, list[Turn]]:
    found: dict[str, list[Turn]] = {"floor": [], "placed": []}
    thread = threading.Thread(target=_take_turns, args=(receiver, seconds, found))
    thread.start()
    thread.join()
    return found


def _take_turns(receiver: Receiver, seconds: float, found: dict[str, list[Turn]]) -> None:
    """Receive in both ways in turn."""
    ways = {"floor": _draining(receiver.source), "placed": receiver.prepared(_TURN_S)}
    until = time.monotonic() + 60
    while receiver.ring.counters()["placed"] < 20_000:  # until the sender is at its full rate
        ways["placed"]()
        if time.monotonic() > until:
            raise RuntimeError("no packets came within 60 s")
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for name, receive in ways.items():
            spent = time.thread_time()
            packets = receive()[0]
            found[name].append(Turn(packets, time.thread_time() - spent))


def _draining(source: Socket) -> Callable[[], tuple[int, int]]:
    """Return a function that receives packets for some time and does nothing with them."""
    messages = Messages(_BATCH, 4104)
    messages.receive()
    prepare_nb(messages.headers, _BATCH)

    def drain() -> tuple[int, int]:
        total, until = 0, time.monotonic() + _TURN_S
        while time.monotonic() < until:
            total += drain_packets_nb(source.socket.fileno(), messages.place, messages.headers,
                                      _CALLS)[0]
        return total, len(messages.raw)

    return drain
