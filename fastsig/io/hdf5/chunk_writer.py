"""Writing of rows to chunks of HDF5 datasets, packed on a thread and stored in order.

HDF5 packs one chunk after another on the writing thread. Here a separate thread packs chunks while
the caller computes the next ones, and HDF5 only stores the bytes. The calls of HDF5 and their
order, and therefore the bytes of the file, depend neither on time nor on the number of threads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import product
from typing import Any, Generic, TypeVar

import h5py
import numpy as np
from numpy.typing import NDArray

from fastsig.io.hdf5.chunks import packing

__all__ = ["Line", "RowsWriter"]

_PAYS = 2**27  # bytes; HDF5 packs fewer in the time that it takes to load the kernels

Job = TypeVar("Job")
Packed = list[tuple[tuple[int, ...], NDArray[np.uint8]]]


def _pays(dataset: h5py.Dataset, n_row: int) -> bool:
    """Whether a dataset is worth the kernels; only its size decides, as its bytes depend on it."""
    return n_row * int(np.prod(dataset.shape[1:])) * int(dataset.dtype.itemsize) >= _PAYS


class RowsWriter:
    """Writes rows of a dataset, as many at a time as its chunks contain.

    Parameters
    ----------
    dataset : h5py.Dataset
        A three-dimensional, chunked dataset of a file that is being written.
    n_row : int, optional
        Number of rows that it will have, if it grows; it may be larger than any number.
    """

    def __init__(self, dataset: h5py.Dataset, n_row: int | None = None) -> None:
        kind = packing(dataset)
        self._dataset, self._chunks, self._shape = dataset, dataset.chunks, dataset.shape
        self._checked = kind is not None and kind.checked
        self._direct = kind is not None and kind.shuffled and _pays(
            dataset, dataset.shape[0] if n_row is None else n_row)
        self._dtype = dataset.dtype
        self._rooms: list[NDArray[np.uint8]] = []
        self._work: NDArray[np.uint8] | None = None

    def pack(self, first: int, values: NDArray[Any]) -> Packed | None:
        """Return the packed chunks of rows from `first` on; None where HDF5 packs them.

        `first` is a multiple of the rows in a chunk, and `values` has this number of rows, or
        fewer at the end. Any thread may call this, but only one at a time.
        """
        if not self._direct:
            return None
        return [(place, self._packed(part)) for place, part in self._parts(first, values)]

    def store(self, first: int, values: NDArray[Any], packed: Packed | None) -> None:
        """Write rows from `first` on, using the result of `pack` for them."""
        if packed is None:
            self._dataset[first : first + len(values)] = values
            return
        for place, data in packed:
            self._dataset.id.write_direct_chunk(place, data)
            self._rooms.append(data.base)  # type: ignore[arg-type]

    def _parts(self, first: int, values: NDArray[Any]
               ) -> Iterator[tuple[tuple[int, ...], NDArray[Any]]]:
        """Yield the place and the values of each whole chunk; beyond the edge they are 0."""
        _, *steps = self._chunks
        for place in product(*(range(0, n, step) for n, step in
                               zip(self._shape[1:], steps, strict=True))):
            region = tuple(slice(at, at + step) for at, step in zip(place, steps, strict=True))
            part = values[(slice(None), *region)]
            if part.shape != self._chunks:
                whole = np.zeros(self._chunks, self._dtype)
                whole[tuple(map(slice, part.shape))] = part
                part = whole
            yield (first, *place), np.ascontiguousarray(part, self._dtype)

    def _packed(self, part: NDArray[Any]) -> NDArray[np.uint8]:
        from fastsig_kernels import (
            compress_planes,
            compress_work_bytes,
            compressed_bound,
            fletcher32,
        )

        if self._work is None:
            self._work = np.empty(compress_work_bytes(part.itemsize), np.uint8)
        try:
            room = self._rooms.pop()
        except IndexError:
            room = np.empty(compressed_bound(part.nbytes, part.itemsize) + 4, np.uint8)
        n = len(compress_planes(part, out=room[:-4], work=self._work))
        if self._checked:
            check = fletcher32(room[:n]).to_bytes(4, "little")
            room[n : n + 4] = np.frombuffer(check, np.uint8)
            n += 4
        return room[:n]


class Line(Generic[Job]):
    """Jobs that a separate thread prepares, and the caller's thread finishes in order.

    Parameters
    ----------
    prepare : callable
        ``prepare(job)`` runs on the separate thread, or on the caller's thread if `depth` is 0.
    finish : callable
        ``finish(job, prepared)`` runs on the caller's thread.
    depth : int
        Largest number of unfinished jobs when `put` returns. It decides the order of calls, so it
        may depend only on the data that are written.
    """

    def __init__(self, prepare: Callable[[Job], Any], finish: Callable[[Job, Any], None],
                 depth: int) -> None:
        self._prepare, self._finish, self._depth = prepare, finish, depth
        self._pool = ThreadPoolExecutor(1, "fastsig-write") if depth else None
        self._begun: deque[tuple[Job, Future[Any]]] = deque()

    def put(self, job: Job) -> None:
        """Begin a job, and finish earlier jobs until no more than `depth` are unfinished."""
        if self._pool is None:
            self._finish(job, self._prepare(job))
            return
        self._begun.append((job, self._pool.submit(self._prepare, job)))
        while len(self._begun) > self._depth:
            self._finish_first()

    def _finish_first(self) -> None:
        job, future = self._begun.popleft()
        self._finish(job, future.result())

    def drain(self) -> None:
        """Finish all jobs."""
        while self._begun:
            self._finish_first()

    def close(self) -> None:
        """End the thread; jobs that it has not begun are dropped."""
        self._begun.clear()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
