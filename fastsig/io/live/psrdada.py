"""Rings of PSRDADA: blocks of shared memory, and semaphores that count the full and empty ones.

A ring with the key K has two control blocks, one for the samples (key K) and one for the header
(key K + 1), each with data blocks of its own. One process writes. Each of up to eight readers has
semaphores of its own, and the writer waits for all readers. Several transfers, each of which is an
observation, may follow one another.

References
----------
PSRDADA, https://psrdada.sourceforge.net: the structure ``ipcsync_t``, and the order in which its
functions operate on semaphores.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import DataError, UsageError

__all__ = ["PREFIX", "Blocks", "StoppedError", "key_of", "read_ring", "writing_ring"]

#: Beginning of the name of a ring, before its key.
PREFIX = "psrdada:"

_XFERS = _READERS = 8  # transfers that are described, and readers
_CONTROL = np.dtype([
    ("semkey_connect", "i4"), ("semkey_data", "i4", _READERS), ("nbufs", "u8"), ("bufsz", "u8"),
    ("w_buf_next", "u8"), ("w_buf_curr", "u8"), ("w_state", "i4"), ("w_xfer", "u8"),
    ("r_bufs", "u8", _READERS), ("r_states", "i4", _READERS), ("r_xfers", "u8", _READERS),
    ("n_readers", "u4"), ("s_buf", "u8", _XFERS), ("s_byte", "u8", _XFERS),
    ("eod", "i1", _XFERS), ("e_buf", "u8", _XFERS), ("e_byte", "u8", _XFERS)], align=True)
_DEVICE_BYTES = 8  # the number of a GPU, which later versions have at the end
_KEY_BYTES = 4
_WRITE, _READ, _N_CONNECT = 0, 1, 2  # semaphores of the connection
_SODACK, _EODACK, _FULL, _CLEAR, _READER_CONN, _N_DATA = 0, 1, 2, 3, 4, 5  # of a reader
_WRITING, _READING = 3, 6  # states
_STAT, _NO_WAIT, _UNDO = 2, 0o4000, 0o10000
_LOOK_S = 0.2  # s between looks at whether to stop
_MOST_BLOCKS, _FAILED = 2**20, 2**64 - 1
_HEADER_SIZE = b"HDR_SIZE"


class StoppedError(Exception):
    """Waiting for another process was stopped."""


class _Segment(ctypes.Structure):
    """The beginning of ``struct shmid_ds``, of which only the size is used."""

    _fields_ = (("permission", ctypes.c_uint8 * 48), ("size", ctypes.c_size_t),
                ("rest", ctypes.c_uint8 * 200))


class _Operation(ctypes.Structure):
    _fields_ = (("number", ctypes.c_ushort), ("by", ctypes.c_short), ("flags", ctypes.c_short))


class _Time(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


@cache
def _system() -> Any:
    """Return the library with the types of its functions."""
    library = ctypes.CDLL(None, use_errno=True)
    library.shmget.argtypes = [ctypes.c_int, ctypes.c_size_t, ctypes.c_int]
    library.shmat.restype = ctypes.c_size_t
    library.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
    library.shmdt.argtypes = [ctypes.c_size_t]
    library.shmctl.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p]
    library.semtimedop.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t,
                                   ctypes.c_void_p]
    return library


def key_of(name: str) -> int:
    """Return the key of a ring from a name such as ``psrdada:dada``.

    Raises
    ------
    UsageError
        If the key is not a hexadecimal number.
    """
    try:
        key = int(name.removeprefix(PREFIX), 16)
    except ValueError:
        key = 0
    if not 0 < key < 2**31:
        raise UsageError(f"{name}: allowed: {PREFIX}KEY with the hexadecimal key of a ring, such "
                         f"as {PREFIX}dada")
    return key


class Blocks:
    """A control block and its data blocks, for a process that reads or writes them.

    Parameters
    ----------
    key : int
        Key of the control block.
    name : str
        Name of the ring, for errors.
    stopped : callable
        Called several times a second while this process waits for others; the waiting ends when
        it returns True.

    Raises
    ------
    DataError
        If there is no ring of this key, or it is of another kind.
    """

    def __init__(self, key: int, name: str, stopped: Callable[[], bool]) -> None:
        self._name, self._stopped = name, stopped
        self._places: list[int] = []
        self._blocks: list[NDArray[np.uint8]] = []
        try:
            self._attach(key)
        except BaseException:
            self.close()
            raise
        self._reader, self._xfer = -1, 0
        self._in_transfer = False
        #: Whether the last block of a transfer was read.
        self.ended = False

    def _attach(self, key: int) -> None:
        raw = self._segment(key, "no ring has this key; dada_db creates rings")
        if len(raw) < _CONTROL.itemsize:
            raise DataError(self._name, "is not a PSRDADA ring buffer")
        control: Any = raw[: _CONTROL.itemsize].view(_CONTROL)[0]
        n = int(control["nbufs"])
        # The last member of the structure depends on the version, and the size is exact.
        start = len(raw) - n * (1 + _KEY_BYTES)
        if not (0 < n < _MOST_BLOCKS and 0 < control["n_readers"] <= _READERS and start in (
                _CONTROL.itemsize, _CONTROL.itemsize + _DEVICE_BYTES)):
            raise DataError(self._name, "is not a PSRDADA ring buffer, or is of another version")
        self._control = control
        self._counts = raw[start : start + n]
        # Keys follow the bytes that count, whether that is a multiple of four bytes or not.
        keys = np.frombuffer(raw[start + n :].tobytes(), np.int32)
        self._blocks = [self._segment(int(each), "a block of it is missing") for each in keys]
        if any(len(each) < control["bufsz"] for each in self._blocks):
            raise DataError(self._name, "a block of it is too short")
        self._connect = self._semaphores(int(control["semkey_connect"]), _N_CONNECT)
        self._each = [self._semaphores(int(each), _N_DATA)
                      for each in control["semkey_data"][: int(control["n_readers"])]]

    @property
    def block_bytes(self) -> int:
        """Bytes of a block."""
        return int(self._control["bufsz"])

    def _segment(self, key: int, missing: str) -> NDArray[np.uint8]:
        system, about = _system(), _Segment()
        number = system.shmget(key, 0, 0)
        place = _FAILED if number < 0 else int(system.shmat(number, None, 0))
        if place == _FAILED:
            code = ctypes.get_errno()
            raise DataError(self._name, missing if code == errno.ENOENT else os.strerror(code))
        self._places.append(place)
        if system.shmctl(number, _STAT, ctypes.byref(about)):
            raise DataError(self._name, os.strerror(ctypes.get_errno()))
        return np.ctypeslib.as_array((ctypes.c_uint8 * about.size).from_address(place))

    def _semaphores(self, key: int, n: int) -> int:
        number = int(_system().semget(key, n, 0))
        if number < 0:
            raise DataError(self._name, "its semaphores are missing")
        return number

    def _add(self, group: int, semaphore: int, by: int, flags: int = 0) -> bool:
        """Add to a semaphore, waiting while it would become negative; False if it must not wait."""
        operation, time = _Operation(semaphore, by, flags), _Time(0, int(_LOOK_S * 10**9))
        while _system().semtimedop(group, ctypes.byref(operation), 1, ctypes.byref(time)):
            code = ctypes.get_errno()
            if code == errno.EAGAIN and flags & _NO_WAIT:
                return False
            if code not in (errno.EAGAIN, errno.EINTR):
                raise DataError(self._name, "the ring was removed" if code in (
                    errno.EIDRM, errno.EINVAL) else os.strerror(code))
            if self._stopped():
                raise StoppedError
        return True

    def close(self) -> None:
        """Detach from the memory; arrays that were returned must no longer be used."""
        self._blocks = []
        while self._places:
            _system().shmdt(self._places.pop())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Reading.

    def lock_read(self) -> None:
        """Become one of the readers, the one that has read least; wait until one is free."""
        self._add(self._connect, _READ, -1, _UNDO)
        done = self._control["r_bufs"][: len(self._each)]
        for reader in np.argsort(done, kind="stable").tolist():
            if self._add(self._each[reader], _READER_CONN, -1, _UNDO | _NO_WAIT):
                self._reader = reader
                break
        else:
            self._add(self._connect, _READ, 1, _UNDO)
            raise DataError(self._name, "has no free reader")
        self._in_transfer = bool(self._control["r_states"][self._reader])
        self._xfer = int(self._control["r_xfers"][self._reader]) % _XFERS

    def unlock_read(self) -> None:
        """Let another process be this reader."""
        self._add(self._each[self._reader], _READER_CONN, 1, _UNDO)
        self._add(self._connect, _READ, 1, _UNDO)
        self._reader = -1

    def next_read(self) -> NDArray[np.uint8]:
        """Wait for the next full block; return its bytes, until `cleared` is called."""
        control, reader, first = self._control, self._reader, 0
        self._add(self._each[reader], _FULL, -1)
        if not self._in_transfer:
            self._xfer = int(control["r_xfers"][reader]) % _XFERS
            self._in_transfer, control["r_states"][reader] = True, _READING
            control["r_bufs"][reader] = control["s_buf"][self._xfer]
            first = int(control["s_byte"][self._xfer])
            self._add(self._each[reader], _SODACK, 1)
        stop = int(control["e_byte"][self._xfer]) if self._is_last() else self.block_bytes
        return self._blocks[int(control["r_bufs"][reader]) % len(self._blocks)][first:stop]

    def _is_last(self) -> bool:
        control = self._control
        return bool(control["eod"][self._xfer]) and int(
            control["r_bufs"][self._reader]) == int(control["e_buf"][self._xfer])

    def cleared(self) -> None:
        """Let the writer fill the block of `next_read` again; `ended` is then up to date."""
        control, reader = self._control, self._reader
        self._add(self._each[reader], _CLEAR, 1)
        if self._is_last():
            self.ended, self._in_transfer = True, False
            control["r_states"][reader] = 0
            control["r_xfers"][reader] += 1
            self._add(self._each[reader], _EODACK, 1)
        else:
            control["r_bufs"][reader] += 1

    # Writing.

    def lock_write(self) -> None:
        """Become the writer; wait until there is no other."""
        self._add(self._connect, _WRITE, -1, _UNDO)
        self._in_transfer = bool(self._control["w_state"])
        self._xfer = int(self._control["w_xfer"]) % _XFERS

    def unlock_write(self) -> None:
        """Let another process be the writer."""
        self._add(self._connect, _WRITE, 1, _UNDO)

    def next_write(self) -> NDArray[np.uint8]:
        """Wait until all readers have cleared the next block; return its memory."""
        control = self._control
        if not self._in_transfer:
            self._begin_transfer()
        at = int(control["w_buf_next"]) % len(self._blocks)
        while self._counts[at]:
            self._for_all(_CLEAR, -1)
            self._counts[at] -= 1
        control["w_buf_next"] += 1
        return self._blocks[at][: self.block_bytes]

    def _begin_transfer(self) -> None:
        control = self._control
        self._for_all(_SODACK, -1)
        self._xfer = int(control["w_xfer"]) % _XFERS
        control["s_buf"][self._xfer], control["s_byte"][self._xfer] = control["w_buf_curr"], 0
        if control["w_buf_curr"] == 0:  # that of later transfers has another last block
            control["eod"][self._xfer] = 0
        self._in_transfer, control["w_state"] = True, _WRITING

    def _for_all(self, semaphore: int, by: int) -> None:
        """Add to a semaphore of every reader, or to none if the waiting is stopped."""
        for number, group in enumerate(self._each):
            try:
                self._add(group, semaphore, by)
            except StoppedError:
                for done in self._each[:number]:
                    self._add(done, semaphore, -by)
                raise

    def filled(self, n_bytes: int, *, last: bool = False) -> None:
        """Pass the block of `next_write` on to readers; a block that is not full is the last."""
        control = self._control
        if last or n_bytes < self.block_bytes:
            self._for_all(_EODACK, -1)
            control["e_buf"][self._xfer] = control["w_buf_curr"]
            control["e_byte"][self._xfer] = n_bytes
            control["eod"][self._xfer] = 1
            control["w_xfer"] += 1
            self._in_transfer, control["w_state"] = False, 0
        self._counts[int(control["w_buf_curr"]) % len(self._blocks)] += 1
        control["w_buf_curr"] += 1
        self._for_all(_FULL, 1)


def read_ring(name: str, stopped: Callable[[], bool]
              ) -> Generator[NDArray[np.uint8], None, None]:
    """Yield the header of the next transfer in a ring, as in a DADA file, and its blocks.

    The memory of a block is valid until the next one is asked for, which the writer can then fill.

    Parameters
    ----------
    name : str
        Such as ``psrdada:dada``.
    stopped : callable
        Called while the writer is waited for; when it returns True, nothing more is yielded.

    Raises
    ------
    UsageError, DataError
        If there is no such ring, or it has no free reader.
    """
    key = key_of(name)
    with (suppress(StoppedError), Blocks(key + 1, name, stopped) as header,
          Blocks(key, name, stopped) as data, _locked(header), _locked(data)):
        text = header.next_read().tobytes()
        with _clearing(header):
            yield np.frombuffer(text.ljust(_size_of(text, name), b"\0"), np.uint8)
            while not data.ended:
                block = data.next_read()
                with _clearing(data):
                    yield block


@contextmanager
def _locked(blocks: Blocks) -> Iterator[None]:
    blocks.lock_read()
    try:
        yield
    finally:
        blocks.unlock_read()


@contextmanager
def _clearing(blocks: Blocks) -> Iterator[None]:
    """Clear a block that was read, also if the reading ends early: the writer waits for it."""
    try:
        yield
    finally:
        blocks.cleared()


def _size_of(text: bytes, name: str) -> int:
    """Return the size of a header that it states, or else that of its block."""
    for line in text.partition(b"\0")[0].splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == _HEADER_SIZE and words[1].isdigit():
            if int(words[1]) < len(text.rstrip(b"\0")):
                raise DataError(name, f"its header is longer than HDR_SIZE = {words[1].decode()}")
            return int(words[1])
    return len(text)


@contextmanager
def writing_ring(name: str, header: bytes, stopped: Callable[[], bool]
                 ) -> Iterator[Callable[[NDArray[np.uint8]], None]]:
    """Begin a transfer to a ring; give a function that writes bytes, and end it.

    Parameters
    ----------
    name : str
        Such as ``psrdada:dada``.
    header : bytes
        Header of a DADA file.
    stopped : callable
        Called while readers are waited for; when it returns True, `StoppedError` is raised.

    Raises
    ------
    UsageError, DataError
        If there is no such ring, or the header does not fit.
    """
    key = key_of(name)
    with Blocks(key + 1, name, stopped) as head, Blocks(key, name, stopped) as data:
        if len(header) > head.block_bytes:
            raise DataError(name, f"the header has {len(header)} bytes; the ring has room for "
                            f"{head.block_bytes}")
        head.lock_write()
        data.lock_write()
        block = head.next_write()
        block[: len(header)] = np.frombuffer(header, np.uint8)
        block[len(header) :] = 0
        head.filled(head.block_bytes)
        out = _Out(data)
        try:
            yield out.write
        finally:
            out.end()
            data.unlock_write()
            head.unlock_write()


class _Out:
    """Bytes that are put into blocks; the last one is kept back until it is known to be the last.

    Parameters
    ----------
    data : Blocks
    """

    def __init__(self, data: Blocks) -> None:
        self._data, self._block, self._n = data, data.next_write(), 0

    def write(self, some: NDArray[np.uint8]) -> None:
        """Write bytes."""
        flat = some.reshape(-1).view(np.uint8)
        while len(flat):
            if self._n == len(self._block):
                self._data.filled(self._n)
                self._block, self._n = self._data.next_write(), 0
            n = min(len(flat), len(self._block) - self._n)
            self._block[self._n : self._n + n] = flat[:n]
            self._n, flat = self._n + n, flat[n:]

    def end(self) -> None:
        """Pass the last block on, and end the transfer."""
        self._data.filled(self._n, last=True)
