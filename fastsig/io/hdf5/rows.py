"""Rows of HDF5 datasets, read through HDF5."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastsig.errors import DataError
from fastsig.io.hdf5.opening import reading

__all__ = ["Convert", "Rows", "assign"]

#: ``convert(row, products, channels, values, out)`` writes values of rows from `row` on to `out`.
Convert = Callable[[int, slice, slice, NDArray[Any], NDArray[Any]], None]


class Rows:
    """Rows of a three-dimensional dataset, read through HDF5.

    Parameters
    ----------
    dataset : h5py.Dataset
    path : str
        Name of the file, for messages.
    lock : Lock
        Lock that is held during calls of HDF5, so that the file is not closed meanwhile.
    """

    #: Whether chunks are unpacked here rather than by HDF5.
    direct = False

    def __init__(self, dataset: h5py.Dataset, path: str, lock: threading.Lock) -> None:
        self._dataset, self._path, self._lock = dataset, path, lock
        self.shape, self.dtype, self.name = dataset.shape, dataset.dtype, dataset.name

    @property
    def work_bytes(self) -> int:
        """Bytes that a reading thread needs besides the result: packed and unpacked chunks."""
        return int(2 * self.dtype.itemsize * np.prod(self._dataset.chunks or (0,), dtype=int))

    def read(self, start: int, n: int, dtype: DTypeLike = np.float32,
             convert: Convert | None = None, out: NDArray[Any] | None = None,
             channels: slice | None = None) -> NDArray[Any]:
        """Return rows `start` to ``start + n - 1``, in `out` or in a new array of type `dtype`.

        Only some channels are returned, and chunks with none of them are not read, if `channels` is
        a slice with a beginning and an end.

        Raises
        ------
        DataError
            Where they cannot be read, or a checksum is wrong.
        """
        with reading(self._path, f"{self.name}, spectra {start} to {start + n}", DataError):
            channels = slice(0, self.shape[2]) if channels is None else channels
            shape = n, self.shape[1], channels.stop - channels.start
            out = np.empty(shape, dtype) if out is None else out
        self._read(start, channels, out, convert or assign)
        return out

    def _read(self, start: int, channels: slice, out: NDArray[Any], convert: Convert) -> None:
        part = slice(0, self.shape[1]), channels
        convert(start, *part, self._library((slice(start, start + len(out)), *part)), out)

    def _library(self, region: tuple[slice, slice, slice]) -> NDArray[Any]:
        what = f"{self.name}, spectra {region[0].start} to {region[0].stop}"
        with reading(self._path, what, DataError), self._lock:
            if not self._dataset:
                raise DataError(self._path, "the stream is closed")
            values: NDArray[Any] = self._dataset[region]
        return values

    def close(self) -> None:
        """Release the resources that are held besides the dataset."""


def assign(row: int, products: slice, channels: slice, values: NDArray[Any],
            out: NDArray[Any]) -> None:
    """Copy rows, as they were read, to the array `out`."""
    out[...] = values
