"""The shared memory of a ring: a file in ``/dev/shm`` that several processes map.

The writer holds a lock on the file for as long as it lives. The kernel releases the lock even if
the writer is killed, so that readers notice, and so that later writers remove what was left.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import json
import os
import re
import secrets
import tempfile
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from fastsig_kernels._ring_words import N_WORD, STATE_AT
from numpy.typing import NDArray

from fastsig.errors import DataError, OutputError, UsageError, unreadable
from fastsig.io.files.positioned import scatter_into
from fastsig.io.live.mapping import HUGE, allocate, mapped

__all__ = ["N_READER", "READER_WORDS", "SharedMemory", "folder", "path_of", "ring_names", "sweep"]

#: Most readers of a ring, and int64 words of each.
N_READER, READER_WORDS = 64, 16

_MAGIC = b"fastsig ring 1\n"
_JSON_AT, _WORDS_AT, _READERS_AT, _NUMBERS_AT = 64, 2**16, 2**16 + 2**12, 2**17
_PAGE = 4096
_PREFIX = "fastsig-ring-"
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")


def folder() -> str:
    """Return the folder of rings: in memory where the system has one."""
    return "/dev/shm" if os.path.isdir("/dev/shm") else tempfile.gettempdir()


def path_of(name: str) -> str:
    """Return the path of the ring `name`.

    Raises
    ------
    UsageError
        If the name is not valid.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"ring = {name!r}; allowed: letters, digits and the characters . _ -")
    return os.path.join(folder(), _PREFIX + name)


def ring_names() -> list[str]:
    """Return the names of all rings of this machine, whether their writers live or not."""
    found = glob.glob(os.path.join(glob.escape(folder()), f"{_PREFIX}*"))
    return sorted(os.path.basename(path)[len(_PREFIX):] for path in found)


def sweep() -> list[str]:
    """Remove the rings whose writers are dead; return their names."""
    return [name for name in ring_names() if _removed(path_of(name))]


def _removed(path: str) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


class SharedMemory:
    """The mapped file: JSON text, and arrays of numbers and bytes.

    Parameters
    ----------
    path : str
    descriptor : int
        Of the open file, which this object closes.
    writes : bool
        Whether this is the writer.

    Attributes
    ----------
    words : ndarray, (64,), int64
        State and counters (`fastsig_kernels._ring_words`).
    readers : ndarray, (64, 16), int64
    numbers : ndarray, (slot, part), int64
        The slot whose packet is in each place; -1 if there is none.
    payload : ndarray, (slot, part, byte), uint8
    """

    words: NDArray[np.int64]
    readers: NDArray[np.int64]
    numbers: NDArray[np.int64]
    payload: NDArray[np.uint8]

    def __init__(self, path: str, descriptor: int, *, writes: bool) -> None:
        self.path, self._descriptor, self.writes = path, descriptor, writes
        self._thread = threading.Lock()
        self._map = mapped(descriptor)
        self.words = self._array(np.int64, _WORDS_AT, (N_WORD,))
        self.readers = self._array(np.int64, _READERS_AT, (N_READER, READER_WORDS))

    @classmethod
    def create(cls, name: str | None, shape: tuple[int, int, int], record: Mapping[str, Any], *,
               huge: bool = True) -> SharedMemory:
        """Create the memory of a ring of the shape (slot, part, byte), in huge pages if possible.

        Raises
        ------
        OutputError
            If a ring of this name exists, or there is not enough memory.
        """
        path = path_of(name or f"{os.getpid()}-{secrets.token_hex(4)}")
        n_bytes = _payload_at(shape) + shape[0] * shape[1] * shape[2]
        room = os.statvfs(folder())
        if n_bytes > room.f_bavail * room.f_frsize:
            raise OutputError(path, f"the ring takes {n_bytes / 1e9:.3g} GB; "
                              f"{room.f_bavail * room.f_frsize / 1e9:.3g} GB are free there")
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise OutputError(path, error.strerror or str(error)) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, n_bytes)
            memory = cls(path, descriptor, writes=True)
            allocate(memory._map, descriptor, huge=huge)
        except OSError as error:
            os.unlink(path)
            os.close(descriptor)
            raise OutputError(path, error.strerror or str(error)) from error
        memory._lay_out(shape)
        memory.numbers[...] = -1
        memory.write(record)
        memory._map[: len(_MAGIC)] = list(_MAGIC)  # last: readers now find the rest complete
        return memory

    @classmethod
    def attach(cls, name: str) -> SharedMemory:
        """Map the memory of a ring that exists.

        Raises
        ------
        FormatError
            If there is no such ring.
        DataError
            If the file is not a ring, or its writer has not completed it.
        """
        path = path_of(name)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise unreadable(path, error) from error
        if os.fstat(descriptor).st_size <= _NUMBERS_AT:
            os.close(descriptor)
            raise DataError(path, "is not a ring, or is not complete yet")
        memory = cls(path, descriptor, writes=False)
        if memory._map[: len(_MAGIC)].tobytes() != _MAGIC:
            raise DataError(path, "is not a ring, or is not complete yet")
        layout = memory.read()["layout"]
        memory._lay_out((layout["n_slot"], layout["n_part"], layout["part_bytes"]))
        return memory

    def _array(self, dtype: Any, at: int, shape: tuple[int, ...]) -> NDArray[Any]:
        return np.frombuffer(self._map, dtype, int(np.prod(shape)), at).reshape(shape)

    def _lay_out(self, shape: tuple[int, int, int]) -> None:
        if min(shape) < 1 or _payload_at(shape) + int(np.prod(shape)) > len(self._map):
            raise DataError(self.path, f"is too short for a ring of the shape {shape}")
        self.numbers = self._array(np.int64, _NUMBERS_AT, shape[:2])
        self.payload = self._array(np.uint8, _payload_at(shape), shape)

    def write(self, record: Mapping[str, Any]) -> None:
        """Replace the JSON text.

        Raises
        ------
        UsageError
            If the text is too long.
        """
        text = json.dumps(record).encode() + b"\0"
        if len(text) > _WORDS_AT - _JSON_AT:
            raise UsageError(f"the header of a ring takes {len(text)} bytes; allowed: "
                             f"{_WORDS_AT - _JSON_AT}")
        self._map[_JSON_AT : _JSON_AT + len(text)] = np.frombuffer(text, np.uint8)

    def read(self) -> dict[str, Any]:
        """Return what the JSON text contains."""
        text = self._map[_JSON_AT:_WORDS_AT].tobytes().partition(b"\0")[0]
        try:
            record: dict[str, Any] = json.loads(text)
        except ValueError as error:
            raise DataError(self.path, "the header of the ring cannot be read") from error
        return record

    def scatter_into(self, places: NDArray[np.int64], at: int) -> bool:
        """Copy contiguous bytes of the payload, from byte `at` on, into many places of memory.

        The operating system copies them from the file, which takes far less time than one call for
        each place. `places` and the result are those of `positioned.scatter_into`.
        """
        return scatter_into(self._descriptor, places, _payload_at(self.payload.shape) + at)

    def writer_lives(self) -> bool:
        """Whether the process that writes the ring still runs."""
        if self.writes:
            return True
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        return False

    def claim(self) -> int:
        """Return the number of a reader that is free, which then belongs to this process.

        Raises
        ------
        UsageError
            If there are too many readers.
        """
        with self._thread:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX, 1)
            try:
                for number, words in enumerate(self.readers):
                    if not words[0] or not lives(int(words[0])):
                        words[1:] = 0
                        words[0] = os.getpid()
                        self.words[STATE_AT["n_attached"]] += 1
                        return number
            finally:
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1)
        raise UsageError(f"{self.path}: has {N_READER} readers already")

    def unlink(self) -> None:
        """Remove the name, unless it is another ring's by now."""
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(self.path), os.fstat(self._descriptor)):
                os.unlink(self.path)

    def close(self, *, unlink: bool) -> None:
        """Close the file, and remove its name; arrays stay mapped while they are used."""
        if self._descriptor < 0:
            return
        if unlink:
            self.unlink()
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)


def lives(pid: int) -> bool:
    """Whether a process runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _payload_at(shape: tuple[int, int, int]) -> int:
    """Return the byte at which payloads begin: the start of a huge page if that costs little."""
    end = _NUMBERS_AT + 8 * shape[0] * shape[1]
    page = HUGE if shape[0] * shape[1] * shape[2] > 16 * HUGE else _PAGE
    return -(-end // page) * page
