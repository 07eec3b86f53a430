"""Another process's side of a ring of PSRDADA, from its structures: to create, write and read it.

It is written on its own, with C structures, and shares nothing with `fastsig.io.live.psrdada`.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.shmat.restype = ctypes.c_void_p
LIBC.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
LIBC.shmdt.argtypes = [ctypes.c_void_p]
CREATE, REMOVE, UNDO = 0o1666 | 0o2000, 0, 0o10000
STEP = 0x10000  # between keys
WRITE, READ = 0, 1
SODACK, EODACK, FULL, CLEAR, CONNECTED = range(5)


class Sync(ctypes.Structure):
    """``ipcsync_t`` without the number of a GPU."""

    _fields_ = (
        ("semkey_connect", ctypes.c_int), ("semkey_data", ctypes.c_int * 8),
        ("nbufs", ctypes.c_uint64), ("bufsz", ctypes.c_uint64),
        ("w_buf_next", ctypes.c_uint64), ("w_buf_curr", ctypes.c_uint64),
        ("w_state", ctypes.c_int), ("w_xfer", ctypes.c_uint64),
        ("r_bufs", ctypes.c_uint64 * 8), ("r_states", ctypes.c_int * 8),
        ("r_xfers", ctypes.c_uint64 * 8), ("n_readers", ctypes.c_uint),
        ("s_buf", ctypes.c_uint64 * 8), ("s_byte", ctypes.c_uint64 * 8), ("eod", ctypes.c_int8 * 8),
        ("e_buf", ctypes.c_uint64 * 8), ("e_byte", ctypes.c_uint64 * 8))


class SyncWithDevice(Sync):
    """``ipcsync_t`` of later versions."""

    _fields_ = (("on_device_id", ctypes.c_int),)  # type: ignore[assignment]


class Peer:
    """A ring that this process creates, for `n_readers` readers."""

    def __init__(self, key: int, nbufs: int, bufsz: int, n_readers: int, kind: Any = SyncWithDevice
                 ) -> None:
        self._made: list[tuple[str, int]] = []
        self.sync, place = self._memory(key, ctypes.sizeof(kind) + 5 * nbufs, kind)
        self.counts = (ctypes.c_uint8 * nbufs).from_address(place + ctypes.sizeof(kind))
        self.keys = (ctypes.c_int * nbufs).from_address(place + ctypes.sizeof(kind) + nbufs)
        self.sync.nbufs, self.sync.bufsz, self.sync.n_readers = nbufs, bufsz, n_readers
        self.sync.semkey_connect = key + STEP
        for number in range(8):
            self.sync.semkey_data[number] = key + (2 + number) * STEP
            self.sync.eod[number] = 1
        self.buffers = []
        for number in range(nbufs):
            self.keys[number] = key + (10 + number) * STEP
            self.buffers.append(self._memory(self.keys[number], bufsz, ctypes.c_uint8 * bufsz)[0])
        self.connect = self._semaphores(self.sync.semkey_connect, 2)
        self.data = [self._semaphores(self.sync.semkey_data[i], 5) for i in range(n_readers)]
        self.add(self.connect, WRITE, 1)
        self.add(self.connect, READ, n_readers)
        for each in self.data:
            for number, by in ((SODACK, 8), (EODACK, 8), (CONNECTED, 1)):
                self.add(each, number, by)

    def _memory(self, key: int, n: int, kind: Any) -> Any:
        number = LIBC.shmget(key, ctypes.c_size_t(n), CREATE)
        assert number >= 0, os.strerror(ctypes.get_errno())
        self._made.append(("shm", number))
        place = LIBC.shmat(number, None, 0)
        return kind.from_address(place), place

    def _semaphores(self, key: int, n: int) -> int:
        number = int(LIBC.semget(key, n, CREATE))
        assert number >= 0, os.strerror(ctypes.get_errno())
        self._made.append(("sem", number))
        return number

    def add(self, group: int, semaphore: int, by: int) -> None:
        operation, limit = (ctypes.c_short * 3)(semaphore, by, 0), (ctypes.c_long * 2)(20, 0)
        assert LIBC.semtimedop(group, operation, ctypes.c_size_t(1), limit) == 0, os.strerror(
            ctypes.get_errno())

    def value(self, group: int, semaphore: int) -> int:
        return int(LIBC.semctl(group, semaphore, 12))  # GETVAL

    def destroy(self) -> None:
        for kind, number in self._made:
            if kind == "shm":
                LIBC.shmctl(number, REMOVE, None)
            else:
                LIBC.semctl(number, 0, REMOVE)

    def write(self, data: bytes, *, last: bool) -> None:
        """Write the whole blocks of a transfer, and the last one if `last`."""
        sync, size = self.sync, self.sync.bufsz
        if sync.w_state == 0:
            for each in self.data:
                self.add(each, SODACK, -1)
            xfer = sync.w_xfer % 8
            sync.s_buf[xfer], sync.s_byte[xfer] = sync.w_buf_curr, 0
            if sync.w_buf_curr == 0:
                sync.eod[xfer] = 0
            sync.w_state = 3
        pieces = [data[first : first + size] for first in range(0, len(data), size)]
        for number, piece in enumerate(pieces, 1):
            at = sync.w_buf_next % sync.nbufs
            while self.counts[at]:
                for each in self.data:
                    self.add(each, CLEAR, -1)
                self.counts[at] -= 1
            sync.w_buf_next += 1
            ctypes.memmove(self.buffers[at], piece, len(piece))
            if last and number == len(pieces):
                for each in self.data:
                    self.add(each, EODACK, -1)
                xfer = sync.w_xfer % 8
                sync.e_buf[xfer], sync.e_byte[xfer] = sync.w_buf_curr, len(piece)
                sync.eod[xfer] = 1
                sync.w_xfer += 1
                sync.w_state = 0
            self.counts[sync.w_buf_curr % sync.nbufs] += 1
            sync.w_buf_curr += 1
            for each in self.data:
                self.add(each, FULL, 1)

    def read(self, reader: int) -> bytes:
        """Read the next transfer as one of the readers."""
        sync, group, found = self.sync, self.data[reader], b""
        while True:
            self.add(group, FULL, -1)
            xfer, first = sync.r_xfers[reader] % 8, 0
            if sync.r_states[reader] == 0:
                sync.r_states[reader], first = 6, sync.s_byte[xfer]
                sync.r_bufs[reader] = sync.s_buf[xfer]
                self.add(group, SODACK, 1)
            over = sync.eod[xfer] and sync.r_bufs[reader] == sync.e_buf[xfer]
            block = bytes(self.buffers[sync.r_bufs[reader] % sync.nbufs])
            found += block[first : sync.e_byte[xfer] if over else sync.bufsz]
            self.add(group, CLEAR, 1)
            if over:
                sync.r_states[reader] = 0
                sync.r_xfers[reader] += 1
                self.add(group, EODACK, 1)
                return found
            sync.r_bufs[reader] += 1
