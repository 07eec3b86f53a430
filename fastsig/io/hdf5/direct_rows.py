"""Rows of HDF5 datasets with chunks that are read by position and unpacked by our own kernels."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from fastsig.errors import DataError
from fastsig.io.files.positioned import read_into
from fastsig.io.hdf5.opening import reading
from fastsig.io.hdf5.rows import Convert, Rows, assign
from fastsig.work.threads import spread

__all__ = ["DirectRows", "Packing", "grid_of"]

_KERNELS = "fastsig_kernels.bitshuffle"
_PAYS = 2**28  # bytes; HDF5 unpacks fewer in the time that it takes to load the kernels


class Packing(NamedTuple):
    """The packing of a dataset's chunks: whether they are bitshuffled, and have checksums."""

    shuffled: bool
    checked: bool


def grid_of(dataset: h5py.Dataset) -> tuple[int, ...]:
    """Return the number of chunks along each axis."""
    return tuple(-(-n // step) for n, step in zip(dataset.shape, dataset.chunks, strict=True))


@dataclass
class _Scratch:
    """Memory of one thread: a packed chunk and its number, values, and room for unpacking."""

    held: int = -1
    length: int = 0
    packed: NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, np.uint8))
    values: NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, np.uint8))
    work: NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, np.uint8))

    def room(self, name: str, n: int) -> NDArray[np.uint8]:
        """Return `n` bytes of the memory `name`."""
        found: NDArray[np.uint8] = getattr(self, name)
        if found.size < n:
            found = np.empty(n, np.uint8)
            setattr(self, name, found)
        return found[:n]


class _Descriptor:
    """A file descriptor for several threads, which is closed when no thread uses it any more."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor
        self._users, self._changed = 0, threading.Condition()

    @contextlib.contextmanager
    def use(self, path: str) -> Iterator[int]:
        """Provide the descriptor, which stays open until the block ends."""
        with self._changed:
            if self._descriptor is None:
                raise DataError(path, "the stream is closed")
            descriptor, self._users = self._descriptor, self._users + 1
        try:
            yield descriptor
        finally:
            with self._changed:
                self._users -= 1
                self._changed.notify_all()

    def close(self) -> None:
        """Close the descriptor once no thread uses it."""
        with self._changed:
            self._changed.wait_for(lambda: not self._users)
            if self._descriptor is not None:
                os.close(self._descriptor)
            self._descriptor = None

    __del__ = close


class _Piece(NamedTuple):
    """The requested rows, products and channels of a chunk."""

    number: int
    region: tuple[slice, slice, slice]
    corner: tuple[int, int, int]


class DirectRows(Rows):
    """Rows of a dataset with chunks that are read by position and unpacked here."""

    direct = True

    def __init__(self, dataset: h5py.Dataset, path: str, lock: threading.Lock,
                 kind: Packing) -> None:
        super().__init__(dataset, path, lock)
        self._kind, self._chunks, self._grid = kind, dataset.chunks, grid_of(dataset)
        self._bytes = self.dtype.itemsize * int(np.prod(self._chunks))
        self._file = _Descriptor(os.dup(dataset.file.id.get_vfd_handle()))
        self._table: NDArray[np.int64] | None = None
        self._listing = threading.Lock()
        self._scratch: list[_Scratch] = []
        self._by_library = 0

    def close(self) -> None:
        """Close the descriptor, after reads in progress have ended."""
        self._file.close()
        self._scratch.clear()

    def _read(self, start: int, channels: slice, out: NDArray[Any], convert: Convert) -> None:
        if not self._pays(out.nbytes):
            super()._read(start, channels, out, convert)
            return
        at = start, channels.start
        with self._file.use(self._path) as descriptor:
            table = self._listed()
            spread(lambda piece: self._put(descriptor, table, piece, at, out, convert),
                   self._pieces(start, start + len(out), channels))

    def _pays(self, n_byte: int) -> bool:
        """Whether kernels are loaded, or enough has been read to be worth half a second."""
        loaded = _KERNELS in sys.modules
        if not loaded:
            self._by_library += n_byte
        return loaded or self._by_library > _PAYS

    def _pieces(self, start: int, stop: int, band: slice) -> list[_Piece]:
        """Return the parts of chunks that contain rows `start` to `stop` - 1 of a band."""
        rows, products, channels = self._chunks
        found = []
        for place in product(range(start // rows, -(-stop // rows)), range(self._grid[1]),
                             range(band.start // channels, -(-band.stop // channels))):
            first = place[0] * rows, place[1] * products, place[2] * channels
            ends = (min(end, limit) for end, limit in zip(
                (a + step for a, step in zip(first, self._chunks, strict=True)),
                (stop, self.shape[1], band.stop), strict=True))
            begins = max(first[0], start), first[1], max(first[2], band.start)
            region = tuple(slice(a, b) for a, b in zip(begins, ends, strict=True))
            number = (place[0] * self._grid[1] + place[1]) * self._grid[2] + place[2]
            found.append(_Piece(number, region, first))  # type: ignore[arg-type]
        return found

    def _listed(self) -> NDArray[np.int64]:
        """Return index, offset, size and mask of each existing chunk, sorted by index."""
        with self._listing:
            if self._table is None:
                with reading(self._path, f"the chunks of {self.name}", DataError), self._lock:
                    if not self._dataset:
                        raise DataError(self._path, "the stream is closed")
                    self._table = _list_chunks(self._dataset, self._grid)
            return self._table

    def _put(self, descriptor: int, table: NDArray[np.int64], piece: _Piece, at: tuple[int, int],
             out: NDArray[Any], convert: Convert) -> None:
        """Unpack one piece to its place in `out`, which begins at this row and channel."""
        rows, products, channels = piece.region
        target = out[rows.start - at[0] : rows.stop - at[0], products,
                     channels.start - at[1] : channels.stop - at[1]]
        row = int(np.searchsorted(table[:, 0], piece.number))
        there = row < len(table) and table[row, 0] == piece.number
        if not there or table[row, 3] or self._unfiltered(piece, int(table[row, 2])):
            convert(rows.start, products, channels, self._library(piece.region), target)
            return
        scratch = self._take(piece.number)
        try:
            packed = self._packed(descriptor, scratch, piece, *table[row, 1:3].tolist())
            self._unpack(packed, scratch, piece, target, convert)
        finally:
            self._scratch.append(scratch)

    def _unfiltered(self, piece: _Piece, size: int) -> bool:
        """Whether a chunk at the edge may be unpacked, which is an option of HDF5."""
        edge = any(corner + step > n for corner, step, n in
                   zip(piece.corner, self._chunks, self.shape, strict=True))
        return edge and size == self._bytes

    def _take(self, index: int) -> _Scratch:
        """Return scratch that no other thread uses, if possible one that contains the chunk."""
        for i, scratch in enumerate(list(self._scratch)):
            if scratch.held == index:
                with contextlib.suppress(IndexError, ValueError):
                    taken = self._scratch.pop(i)  # a different one if other threads were quicker
                    return taken
        try:
            return self._scratch.pop()
        except IndexError:
            return _Scratch()

    def _packed(self, descriptor: int, scratch: _Scratch, piece: _Piece, offset: int, size: int
                ) -> NDArray[np.uint8]:
        """Return the checked bytes of a chunk, without their checksum."""
        if scratch.held != piece.number:
            scratch.held = -1
            if size > 2 * self._bytes + 2**12:
                raise self._error(piece, offset, f"has {size} bytes, for {self._bytes} unpacked")
            whole = scratch.room("packed", size)
            read_into(descriptor, whole, offset, self._path)
            scratch.length = self._checked(whole, piece, offset) if self._kind.checked else size
            scratch.held = piece.number
        return scratch.packed[: scratch.length]

    def _checked(self, whole: NDArray[np.uint8], piece: _Piece, offset: int) -> int:
        """Check the checksum of a chunk, and return its length without the checksum."""
        from fastsig_kernels import fletcher32

        n = whole.size - 4
        if n < 0:
            raise self._error(piece, offset, f"has {whole.size} bytes, checksum included")
        stated, found = int.from_bytes(whole[n:].tobytes(), "little"), fletcher32(whole[:n])
        # HDF5 before 1.6.3 swapped the bytes of each half.
        if stated not in (found, (found & 0xFF00FF) << 8 | found >> 8 & 0xFF00FF):
            raise self._error(piece, offset, f"has the checksum {found:08x}, not {stated:08x}")
        return n

    def _unpack(self, packed: NDArray[np.uint8], scratch: _Scratch, piece: _Piece,
                target: NDArray[Any], convert: Convert) -> None:
        rows, (_, *wide) = piece.region[0], self._chunks
        n = rows.stop - rows.start
        row_bytes = self._bytes // self._chunks[0]
        straight = (convert is assign and target.dtype == self.dtype
                    and target.flags.c_contiguous and target.shape == (n, *wide))
        room = (target.reshape(-1).view(np.uint8) if straight
                else scratch.room("values", n * row_bytes))
        try:
            self._expand(packed, (rows.start - piece.corner[0]) * row_bytes, room, scratch)
        except ValueError as error:
            raise self._error(piece, None, f"cannot be unpacked: {error}") from error
        if not straight:
            values = room.view(self.dtype).reshape(n, *wide)
            first, (products, channels) = piece.region[2].start - piece.corner[2], target.shape[1:]
            convert(rows.start, *piece.region[1:],
                    values[:, :products, first : first + channels], target)

    def _expand(self, packed: NDArray[np.uint8], first: int, out: NDArray[np.uint8],
                scratch: _Scratch) -> None:
        """Fill `out` with a chunk's unpacked bytes from `first` on; may raise `ValueError`."""
        from fastsig_kernels import expand_planes, expand_work_bytes

        stated = int.from_bytes(packed[:8].tobytes(), "big") if self._kind.shuffled else packed.size
        if stated != self._bytes:
            raise ValueError(f"{stated} bytes; allowed: {self._bytes}")
        if not self._kind.shuffled:
            out[...] = packed[first : first + out.size]
            return
        item = self.dtype.itemsize
        work = scratch.room("work", expand_work_bytes(packed, item))
        expand_planes(packed, item, first=first, out=out, work=work)

    def _error(self, piece: _Piece, offset: int | None, what: str) -> DataError:
        place = "" if offset is None else f" at byte {offset}"
        rows = piece.region[0]
        return DataError(self._path, f"{self.name}, spectra {rows.start} to {rows.stop}: the chunk"
                         f"{place} {what}")


def _list_chunks(dataset: h5py.Dataset, grid: tuple[int, ...]) -> NDArray[np.int64]:
    """Return index, offset, size and mask of every stored chunk of the grid, sorted by index."""
    numbers, most = array("q"), 2**62

    def add(found: Any) -> None:
        place = [at // step for at, step in
                 zip(found.chunk_offset, dataset.chunks, strict=True)]
        if all(0 <= at < n for at, n in zip(place, grid, strict=True)):
            index = (place[0] * grid[1] + place[1]) * grid[2] + place[2]
            numbers.extend((index, min(found.byte_offset, most), min(found.size, most),
                            found.filter_mask))

    if hasattr(dataset.id, "chunk_iter"):
        dataset.id.chunk_iter(add)
    else:  # an HDF5 before 1.12.3
        for index in range(dataset.id.get_num_chunks()):
            add(dataset.id.get_chunk_info(index))
    table = np.frombuffer(numbers, np.int64).reshape(-1, 4)
    return table[np.argsort(table[:, 0], kind="stable")]
