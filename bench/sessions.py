"""Sessions of ``fastsig live`` that are watched: what is sent to them, and what they use.

A process sends the packets of all beams at a part of the rate of the telescope. The samples of a
beam are repeated after a whole number of spectra, so that the spectra that the reader of files
makes of a short file are also those of hours.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from fastsig_kernels._order import address
from fastsig_kernels._socket_loops import Outgoing, send_packets_nb
from numpy.typing import NDArray

import fastsig as fs
from bench import machine
from bench.commands import dada_head
from bench.data import N_CHAN, N_FFT, N_TAP
from fastsig.axes.time import elapsed, parse_time
from fastsig.errors import FastsigError
from fastsig.live.status import read_status
from fastsig.simulate import FastVoltage, Network
from fastsig.simulate.packets import HEAD, packets_of

__all__ = ["Compared", "Live", "Usage", "concluded", "end_with_parent", "environment",
           "free_ports", "reference", "usage"]

N_INT = 122  # 1 ms at 1 GS/s
PACKET = 4096  # samples
PACKETS_PER_SECOND = 2 * 10**9 / PACKET  # of a beam of the telescope
_BEAM_BYTES = 2 * 10**9  # per second
_EPOCH = "2026-01-01T00:00:00"
_RING_S, _LEAST_RING = 4.0, 2**25
_READY_S, _LONGEST_S, _STILL_S = 2.0, 60.0, 1.0
_MOST, _TICK_S = 256, 0.004  # packets of a beam that are sent together, and pauses
_UDP, _SEGMENT, _GROUP = 17, 103, 14  # SOL_UDP, UDP_SEGMENT, packets that the system divides
_ROWS = 256  # compared at a time
_PDEATHSIG = 1  # of prctl
_SENDER = "import sys; from bench.sessions import send_all; send_all(*sys.argv[1:])"


class Usage(NamedTuple):
    """What the processes of a session use.

    Parameters
    ----------
    at : float
        Time, s.
    private : int
        Bytes of memory without rings and files; those that processes share count once.
    descriptors : int
        Number of open files.
    seconds : dict
        Processor time of each process, s, by its name.
    """

    at: float
    private: int
    descriptors: int
    seconds: dict[str, float]


class Compared(NamedTuple):
    """Rows of spectra compared with those of the reader of files.

    Parameters
    ----------
    rows, equal : int
        All rows, and those of which every byte of the values and weights is equal.
    incomplete : int
        Rows with a weight below 1 that differ, as samples are missing.
    different : int
        Rows of weight 1 that differ.
    """

    rows: int
    equal: int
    incomplete: int
    different: int


class Live:
    """A session that makes spectra of four products of some beams, while packets are sent to it.

    Parameters
    ----------
    folder : Path
        Folder of the products.
    beams : int
    rate : float
        Part of the rate of the telescope at which each beam is sent.
    cycle : int
        Spectra after which the samples are repeated.
    roll_s : float
        Duration of a file, s.
    """

    def __init__(self, folder: Path, beams: int, rate: float, cycle: int, roll_s: float) -> None:
        self.folder, self.rate, self.cycle = folder, rate, cycle
        self.ports = free_ports(beams)
        ring = max(_LEAST_RING, int(_RING_S * rate * _BEAM_BYTES))
        self._log = (folder.parent / f"{folder.name}.log").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fastsig", "live",
             *(f"udp://127.0.0.1:{port}" for port in self.ports), "-o", str(folder), "--epoch",
             _EPOCH, "--spectra", "--n-chan", str(N_CHAN), "--products", "AABBCRCI",
             "--integrate", "1ms", "--roll", f"{rate * roll_s}s", "--ring", str(ring)],
            env=environment(), stderr=self._log, preexec_fn=end_with_parent)
        self.sent: list[dict[str, Any]] = []

    def wait_until_ready(self) -> None:
        """Wait until all rings are there, and their receivers listen."""
        until = time.monotonic() + _LONGEST_S
        while not all("ring" in each for each in self.status()["sources"]):
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the session did not begin:\n{self.messages()}")
            time.sleep(0.1)
        time.sleep(_READY_S)

    def status(self) -> dict[str, Any]:
        """Return what the session reports of itself."""
        with contextlib.suppress(FastsigError):
            return read_status(str(self.folder))
        return {"sources": [{}]}

    def send(self, seconds: float, watch: Callable[[], Any], every_s: float = 1.0) -> None:
        """Send packets for some seconds; call `watch` again and again meanwhile."""
        sender = subprocess.Popen(
            [sys.executable, "-c", _SENDER, json.dumps(self.ports), repr(self.rate),
             repr(seconds), str(self.cycle)], env=environment(), stdout=subprocess.PIPE,
            preexec_fn=end_with_parent)
        try:
            while sender.poll() is None:
                watch()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    sender.wait(every_s)
            out, _ = sender.communicate()
        finally:
            sender.kill()
        if sender.returncode:
            raise RuntimeError("the process that sends packets has failed")
        self.sent = json.loads(out)

    def end(self) -> float:
        """Wait until no more packets come, and end the session; return the seconds of its end."""
        before, still = -1, time.monotonic()
        while time.monotonic() < still + _STILL_S:
            received = sum(each["ring"]["received"] for each in self.status()["sources"])
            if received != before:
                before, still = received, time.monotonic()
            time.sleep(0.2)
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(_LONGEST_S)
        return time.monotonic() - begun

    def messages(self) -> str:
        """Return what the session has printed."""
        self._log.seek(0)
        return self._log.read()

    def __enter__(self) -> Live:
        return self

    def __exit__(self, *_: Any) -> None:
        self.process.kill()  # its processes receive SIGTERM then
        self.process.wait()
        self._log.close()


def concluded(record: dict[str, Any], found: dict[str, Any], lines: list[str], *, keep: bool
              ) -> dict[str, Any]:
    """Print and save the figures of a session; raise SystemExit(1) if it has faults."""
    print("\n".join(lines))
    if keep:
        print(f"wrote {machine.save(record, [found])}", file=sys.stderr)
    if found["faults"]:
        raise SystemExit(1)
    return found


def counts(status: dict[str, Any]) -> list[dict[str, int]]:
    """Return the counters of each source, and those of its spectra."""
    return [{**{name: value for name, value in each["ring"].items() if isinstance(value, int)},
             "overwritten": each["sinks"]["spectra"].get("overwritten", 0),
             "files": each["sinks"]["spectra"]["files"]} for each in status["sources"]]


def send_all(ports: str, rate: str, seconds: str, cycle: str) -> None:
    """Send a beam to each port, and print what was sent as JSON.

    One thread sends some packets of each beam in turn, so that many beams take it hardly more time
    than one of the same rate.
    """
    beams = [_Beam(port, number, int(cycle)) for number, port in enumerate(json.loads(ports), 1)]
    per_second = PACKETS_PER_SECOND * float(rate)
    total = int(per_second * float(seconds)) // 2 * 2
    late, begun, sent = 0.0, time.monotonic(), 0
    while sent < total:
        due = min(total, int((time.monotonic() - begun) * per_second) // 2 * 2)
        late = max(0.0, (due - sent - _MOST) / per_second)
        n = min(_MOST, due - sent)
        if n:
            for each in beams:
                each.send(sent, n)
            sent += n
        if n < _MOST:
            time.sleep(min(_TICK_S, _MOST / per_second / 2))
    seconds_taken = time.monotonic() - begun
    print(json.dumps([{"packets": sent, "late_s": late, "seconds": seconds_taken} for _ in beams]))


class _Beam:
    """Packets of a beam, again and again, and the socket through which they are sent."""

    def __init__(self, port: int, number: int, cycle: int) -> None:
        n = cycle * N_INT * N_FFT // PACKET
        recording = FastVoltage(duration=f"{n * PACKET}e-9 s", seed=number)
        self._packets, self._network = packets_of(recording, None), Network(beam=number)
        self._all = self._packets.made(0, n).reshape(2 * n, PACKET)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**22)
        self._socket.setsockopt(_UDP, _SEGMENT, HEAD + PACKET)
        self._socket.connect(("127.0.0.1", port))
        self._out = Outgoing(_MOST, HEAD, PACKET, _GROUP)

    def send(self, first: int, n: int) -> None:
        """Send packets from number `first` on."""
        number = np.arange(first, first + n)
        heads = self._packets.heads(number // 2, number % 2, self._network)
        self._out.heads[:n] = heads.astype("<u8").view(np.uint8).reshape(n, HEAD)
        count = self._out.prepare(address(self._all) + PACKET * (number % len(self._all)))
        sent, status = send_packets_nb(self._socket.fileno(), self._out.place, count)
        if sent < count:
            raise OSError(-status, "packets cannot be sent")


def reference(folder: Path, seed: int, cycle: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the spectra, and their weights, that the reader of files makes of a cycle of samples.

    As the filter bank continues, the spectra of the second time must be those of the first.
    """
    path = cycle_file(folder / "cycle.dada", seed, cycle, times=3)
    try:
        made = spectra_of(path).read()
    finally:
        path.unlink()
    if not np.array_equal(made.values[:cycle], made.values[cycle : 2 * cycle]):
        raise RuntimeError("the spectra are not repeated with the samples")
    return made.values[:cycle], made.weight[:cycle]


def cycle_file(path: Path, seed: int, cycle: int, times: int) -> Path:
    """Write the samples of a beam to a DADA file, some times one after the other."""
    n = cycle * N_INT * N_FFT
    data, _ = FastVoltage(duration=f"{n}e-9 s", seed=seed).generate(0, n)
    path.write_bytes(dada_head() + times * np.ascontiguousarray(data).tobytes())
    return path


def spectra_of(path: Path) -> fs.Chain:
    """Return the chain that makes of a file what a session makes of packets."""
    return fs.open(path).channelize(N_CHAN).detect("AABBCRCI").integrate("1ms")


def compare(files: list[Path], expected: tuple[NDArray[Any], NDArray[Any]]) -> Compared:
    """Compare the spectra of a beam with those of a cycle of its samples, byte for byte."""
    values, weight = expected
    rows = equal = incomplete = 0
    for path in files:
        stream: Any = fs.open(path).stream
        first = _row_of(stream, path)
        for start in range(0, stream.shape[0], _ROWS):
            block = stream.read_block(start, min(_ROWS, stream.shape[0] - start))
            at = (first + start + np.arange(block.n)) % len(values)
            same = np.array([
                block.data[row].tobytes() == values[of].tobytes()
                and bool((block.valid[row] == weight[of]).all()) for row, of in enumerate(at)])
            rows, equal = rows + block.n, equal + int(same.sum())
            incomplete += int((np.any(block.valid < 1, axis=(1, 2)) & ~same).sum())
    return Compared(rows, equal, incomplete, rows - equal - incomplete)


def _row_of(stream: Any, path: Path) -> int:
    """Return the number of the first row of a file, from counter 0 on."""
    # The time of a spectrum is the centre of its window, less half a hop.
    samples = elapsed(parse_time(_EPOCH), stream.start_time) * 10**9 - (N_TAP - 1) * N_FFT // 2
    row = round(samples / (N_INT * N_FFT))
    if abs(samples - row * N_INT * N_FFT) > 2:
        raise RuntimeError(f"{path}: begins {float(samples)} samples after counter 0, which is "
                           "no whole number of spectra")
    return row


def usage(status: dict[str, Any]) -> Usage:
    """Return what the processes of a session use now."""
    pids = {"supervisor": status["pid"]}
    for number, each in enumerate(status["sources"]):
        pids[f"receiver {number}"] = each["receiver"]["pid"]
        pids.update({f"{kind} {number}": one["pid"] for kind, one in each["sinks"].items()})
    return Usage(time.monotonic(), sum(_private(pid) for pid in pids.values()),
                 sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids.values()),
                 {name: _processor_s(pid) for name, pid in pids.items()})


def _private(pid: int) -> int:
    """Return the bytes of a process that are no file and no ring, each shared one in proportion.

    Pages of libraries and of code are left out: to how many processes they belong depends on the
    other programs that are running.
    """
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(r"^Pss_Anon: +(\d+) kB", text, re.MULTILINE)
    if found is None:
        raise RuntimeError("the kernel does not report Pss_Anon; Linux 5.9 or later does")
    return int(found[1]) * 1024


def _processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_ports(n: int) -> list[int]:
    """Return ports of this machine that no program uses."""
    with contextlib.ExitStack() as stack:
        taken = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                 for _ in range(n)]
        for each in taken:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in taken]


def end_with_parent() -> None:
    """Let the system send SIGTERM to this process when the benchmark ends, however it does."""
    ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGTERM)


def environment() -> dict[str, str]:
    """Return the environment in which a process imports what this one does."""
    folders = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    return {**os.environ, "PYTHONPATH": folders}
