"""Reading of rows of HDF5 datasets by any number of threads at once.

HDF5 runs one operation at a time, and therefore unpacks one chunk after another. If the packing of
a dataset's chunks is known here, HDF5 only reports where they lie, and each thread reads, checks
and unpacks the chunks that it needs. All other datasets are read through HDF5.
"""

from __future__ import annotations

import threading

import h5py
import numpy as np

from fastsig.io.hdf5.direct_rows import DirectRows, Packing, grid_of
from fastsig.io.hdf5.rows import Rows

__all__ = ["open_rows", "packing"]

_BITSHUFFLE, _LZ4 = 32008, 2
_FLETCHER = 3
_LEAST = 2**15  # bytes of a chunk; HDF5 reads many smaller chunks in the time that one takes here


def packing(dataset: h5py.Dataset) -> Packing | None:
    """Return the packing of a dataset's chunks; None if it is not one that is known here."""
    plist = dataset.id.get_create_plist()
    if plist.get_layout() != h5py.h5d.CHUNKED:
        return None
    filters = [plist.get_filter(i) for i in range(plist.get_nfilters())]
    shuffled = bool(filters) and filters[0][0] == _BITSHUFFLE
    if shuffled:
        options = filters.pop(0)[2]
        if len(options) < 5 or options[2] != dataset.dtype.itemsize or options[4] != _LZ4:
            return None
    checked = bool(filters) and filters[0][0] == _FLETCHER
    return Packing(shuffled, checked) if len(filters) == checked else None


def open_rows(dataset: h5py.Dataset, path: str, lock: threading.Lock) -> Rows:
    """Return the rows of a dataset, to be read in the fastest way that is known for it."""
    kind = packing(dataset)
    if kind is None or not _readable(dataset):
        return Rows(dataset, path, lock)
    return DirectRows(dataset, path, lock, kind)


def _readable(dataset: h5py.Dataset) -> bool:
    """Whether unpacked chunks contain plain numbers, and lie where HDF5 reports."""
    kind, file = dataset.dtype, dataset.file
    return (
        kind.kind in "uif" and kind.isnative and kind.itemsize in (1, 2, 4, 8)
        and dataset.id.get_type().equal(h5py.h5t.py_create(kind))
        and file.driver == "sec2" and file.userblock_size == 0
        and kind.itemsize * int(np.prod(dataset.chunks)) >= _LEAST
        and _count(grid_of(dataset)) < 2**62
    )


def _count(grid: tuple[int, ...]) -> int:
    return int(grid[0]) * int(grid[1]) * int(grid[2])
