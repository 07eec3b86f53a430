"""Sessions of ``fastsig live`` in tests: what is sent to them, and what they report."""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from streams import MemoryVoltages, header

from fastsig.stream import ENDLESS
from fastsig.stream.header import Header

WORDS = ("--set", "n_bits=8", "--set", "n_pol=2", "--set", "sample_rate=1MHz", "--set",
         "start_time=2026-01-02T00:00:00", "--set", "frequency=1400.25MHz")
SPECTRA = ("--spectra", "--n-chan", 16, "--integrate", "1ms", "--products", "AABB")


@contextmanager
def feeding(path: Path, data: bytes, *, paced: bool = True) -> Iterator[threading.Event]:
    """Write data into a pipe again and again, 0.1 s of 2 MB/s at a time; once if not `paced`."""
    os.mkfifo(path)
    stop = threading.Event()

    def work() -> None:
        with open(path, "wb", buffering=0) as pipe:
            if not paced:
                pipe.write(data)
                return
            try:
                while not stop.wait(0.1):
                    pipe.write(data[:200_000])
            except BrokenPipeError:
                pass

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join()


def until(true: Callable[[], Any], seconds: float = 30) -> Any:
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "it did not become true in time"
        time.sleep(0.02)
    return found


def errors_of(process: Any, seconds: float = 60) -> str:
    """Wait until a process ends; return its messages."""
    _, errors = process.communicate(seconds)
    process.stdout.close()
    process.stderr.close()
    return str(errors)


def status(folder: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((folder / "live-status.json").read_text())
    except FileNotFoundError:
        return {"sources": [{"sinks": {}}]}
    return found


def sink(folder: Path, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = status(folder)["sources"][0]["sinks"].get(kind, {})
    return found


def files(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.glob(pattern))


class Sender:
    """Sends FAST's packets of samples, both polarisations of a beam, from a thread."""

    def __init__(self, port: int, data: np.ndarray, seconds: float = 0.01) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send, args=(port, data, seconds))
        self._thread.start()

    def _send(self, port: int, data: np.ndarray, seconds: float) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            counter = 1000
            while not self._stop.wait(seconds):
                for _ in range(4):
                    first = counter * 4096 % (len(data) - 4096)
                    for pol in (0, 1):
                        head = 1 << 63 | 1 << 57 | pol << 56 | counter
                        samples = data[first : first + 4096, pol].tobytes()
                        out.sendto(struct.pack("<Q", head) + samples, ("127.0.0.1", port))
                    counter += 1

    def close(self) -> None:
        self._stop.set()
        self._thread.join()


class Endless(MemoryVoltages):
    """Samples of which nobody knows that no more come."""

    endless = True

    def __init__(self, data: np.ndarray, head: Header | None = None, valid: Any = None) -> None:
        super().__init__(data, head or header(), valid)
        self.shape = (ENDLESS, *data.shape[1:])

    def arrived(self, stop: int) -> int:
        return min(stop, len(self.samples))

    def come(self, stop: int, seconds: float) -> bool:
        return True

    def release(self, row: int) -> None:
        """Keep all."""
