"""Copies of files between disks, each compared with the bytes that were read."""

from __future__ import annotations

import hashlib
import os
from typing import BinaryIO

from fastsig.batch.tasks.products import NO_ROOM
from fastsig.errors import FastsigError, OutputError
from fastsig.io.files.room import claim
from fastsig.io.files.safe import SafeOutput

__all__ = ["StagingError", "check_same", "claim_space", "copy", "digest_of", "write_product"]

_PIECE = 2**22


class StagingError(FastsigError):
    """A task that cannot be staged; `state` is its resulting state."""

    def __init__(self, message: str, state: str = "failed") -> None:
        super().__init__(message)
        self.state = state


def write_product(source: str, output: SafeOutput) -> None:
    """Write the bytes of a product, sync them to disk, and compare them when read back."""
    with open(source, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        output.reserve(size)
        try:
            _, digest = copy(file, output.descriptor, source, size)
            output.flush(size)
            os.posix_fadvise(output.descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            same = digest_of(output.descriptor) == digest
        except OSError as error:
            raise output.error(error) from error
    if not same:
        raise OutputError(output.path, "the bytes read back are not those written: is the disk "
                          "failing?")


def check_same(source: str, before: os.stat_result, after: os.stat_result, n: int) -> None:
    """Refuse a file that was not read in full, or that changed while it was read.

    Parameters
    ----------
    source : str
    before, after : os.stat_result
        State of the file before and after it was read.
    n : int
        Number of bytes read.

    Raises
    ------
    StagingError
    """
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or (
            n != before.st_size):
        raise StagingError(f"{source}: changed while it was copied to the scratch: "
                           f"{before.st_size} bytes, then {max(n, after.st_size)}; is it still "
                           "being written?")


def claim_space(descriptor: int, size: int) -> None:
    """Reserve disk space for a file, if the file system supports it."""
    if size:
        try:
            claim(descriptor, size)
        except OSError as error:
            if error.errno in NO_ROOM:
                raise


def copy(file: BinaryIO, target: int, source: str, size: int) -> tuple[int, bytes]:
    """Copy a file; return the number of bytes and their hash.

    A file that grows is read at most one piece beyond its size.
    """
    total, n = hashlib.blake2b(), 0
    while n <= size:
        try:
            piece = file.read(_PIECE)
        except OSError as error:
            raise StagingError(f"{source}: {error.strerror}") from error
        if not piece:
            break
        total.update(piece)
        done = 0
        while done < len(piece):
            done += os.pwrite(target, piece[done:], n + done)
        n += len(piece)
    return n, total.digest()


def digest_of(descriptor: int) -> bytes:
    """Return the hash of the current content of a file."""
    total, n = hashlib.blake2b(), 0
    while piece := os.pread(descriptor, _PIECE, n):
        total.update(piece)
        n += len(piece)
    return total.digest()
