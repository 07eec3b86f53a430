"""Rings of PSRDADA, against another implementation, and against its programs where they are."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from psrdada_peer import CLEAR, CONNECTED, FULL, READ, Peer, Sync, SyncWithDevice

import fastsig as fs
from fastsig.errors import DataError, UsageError
from fastsig.io.live.psrdada import Blocks, key_of, read_ring, writing_ring

HEADER = b"HEADER DADA\nHDR_SIZE 4096\nNBIT 8\n"
TOOLS = ("dada_db", "dada_diskdb", "dada_dbdisk")


def until(seconds: float = 20) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def some(n: int, seed: int = 1) -> bytes:
    return np.random.default_rng(seed).integers(0, 256, n).astype(np.uint8).tobytes()


def key_for() -> int:
    """Return a key of this process, so that tests can run side by side."""
    return 0x4000 + os.getpid() % 0x4000 * 2


@pytest.fixture(params=[Sync, SyncWithDevice])
def ring(request: Any) -> Iterator[tuple[str, Peer, Peer]]:
    """A ring of three blocks of 1000 bytes for two readers, and its header."""
    key = key_for()
    made = Peer(key, 3, 1000, 2, request.param), Peer(key + 1, 8, 4096, 2, request.param)
    try:
        yield f"psrdada:{key:x}", *made
    finally:
        for each in made:
            each.destroy()


def in_thread(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    return thread, found


@pytest.mark.parametrize("n", [1, 999, 1000, 3000, 12_345])
def test_transfers_are_read(ring: tuple[str, Peer, Peer], n: int) -> None:
    """Nine of them, as eight are described at a time; the other reader reads them as well."""
    name, data, header = ring
    for number in range(9):
        thread, found = in_thread(lambda: b"".join(
            each.tobytes() for each in read_ring(name, until())))
        other, others = in_thread(lambda: data.read(1))
        while data.value(data.data[0], CONNECTED):
            time.sleep(0.001)
        header.write(HEADER.ljust(4096, b"\0"), last=False)
        data.write(some(n, number), last=True)
        thread.join()
        other.join()
        assert found[0] == HEADER.ljust(4096, b"\0") + some(n, number)
        assert others[0] == some(n, number)
        assert data.value(data.connect, READ) == 2


@pytest.mark.parametrize("n", [0, 1, 999, 1000, 3000, 12_345])
def test_transfers_are_written(ring: tuple[str, Peer, Peer], n: int) -> None:
    name, data, header = ring
    for number in range(9):
        readers = [in_thread(partial(data.read, reader)) for reader in (0, 1)]
        raw = np.frombuffer(some(n, number), np.uint8)
        with writing_ring(name, HEADER, until()) as write:
            for first in range(0, n, 321):
                write(raw[first : first + 321])
        for thread, found in readers:
            thread.join()
            assert found[0] == raw.tobytes()
        for reader in header.data:  # a header of a whole block does not end a transfer
            header.add(reader, FULL, -1)
            header.add(reader, CLEAR, 1)
        assert bytes(header.buffers[number % 8])[: len(HEADER)] == HEADER


def test_a_reader_that_stops_leaves_the_ring_to_others(ring: tuple[str, Peer, Peer]) -> None:
    name, data, header = ring
    header.write(HEADER.ljust(4096, b"\0"), last=False)
    data.write(some(2000), last=False)
    pieces = read_ring(name, until(0.3))
    assert [len(each) for each in pieces] == [4096, 1000, 1000]  # and then it is stopped
    assert data.value(data.connect, READ) == 2
    assert data.value(data.data[0], CLEAR) == 2 and data.value(data.data[0], FULL) == 0
    other = read_ring(name, until(0.3))
    next(other)
    next(other)
    other.close()  # a block that was begun is cleared
    assert data.value(data.data[1], CLEAR) == 1 and data.value(data.data[1], FULL) == 1


def test_what_is_no_ring(ring: tuple[str, Peer, Peer]) -> None:
    name, data, header = ring
    with pytest.raises(UsageError, match="hexadecimal key of a ring"):
        key_of("psrdada:xyz")
    with pytest.raises(DataError, match="psrdada:3fff: no ring has this key"):
        next(read_ring("psrdada:3fff", until()))
    with pytest.raises(DataError, match="has 5000 bytes; the ring has room for 4096"), \
            writing_ring(name, bytes(5000), until()):
        pass
    header.write(b"HDR_SIZE 10\nNBIT 8\n".ljust(4096, b"\0"), last=False)
    with pytest.raises(DataError, match="its header is longer than HDR_SIZE = 10"):
        next(read_ring(name, until()))
    for wrong in (0, 2**40, 4):
        data.sync.nbufs = wrong
        with pytest.raises(DataError, match="is not a PSRDADA ring buffer"):
            Blocks(key_of(name), name, until())
    data.sync.nbufs, data.sync.bufsz = 3, 2**40
    with pytest.raises(DataError, match="too short"):
        Blocks(key_of(name), name, until())


@pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason="no programs of PSRDADA")
def test_programs_of_psrdada(tmp_path: Path) -> None:
    """``dada_diskdb`` writes to a ring what is read here, and ``dada_dbdisk`` reads from one."""
    key, file = f"{key_for():x}", tmp_path / "x.dada"
    head = (HEADER + b"UTC_START 2026-01-01-00:00:00\nOBS_OFFSET 0\nTSAMP 1\nNCHAN 1\nNPOL 2\n"
            b"NDIM 1\nBW 1\nFREQ 1\nFILE_SIZE 700001\n").ljust(4096, b"\0")
    file.write_bytes(head + some(700_001))
    subprocess.run(["dada_db", "-k", key, "-n", "4", "-b", "65536"], check=True)
    try:
        with subprocess.Popen(["dada_diskdb", "-k", key, "-f", file, "-s"]):
            found = b"".join(each.tobytes() for each in read_ring(f"psrdada:{key}", until()))
        assert found[4096:] == some(700_001) and found.startswith(HEADER[:12])
        for n in (300_000, 3 * 65536, 10):
            raw = np.frombuffer(some(n), np.uint8)
            with subprocess.Popen(["dada_dbdisk", "-k", key, "-D", tmp_path, "-s", "-W"]), \
                    writing_ring(f"psrdada:{key}", head, until()) as write:
                write(raw)
            made = next(tmp_path.glob("2026*.dada"))
            assert made.read_bytes()[4096:] == raw.tobytes()
            assert fs.open(made).shape[0] == n // 2
    finally:
        subprocess.run(["dada_db", "-k", key, "-d"], check=True)
