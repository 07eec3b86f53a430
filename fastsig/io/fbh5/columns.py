"""The columns of spectra, with one value per row, as datasets of the group /rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import h5py
import numpy as np
from numpy.typing import NDArray

from fastsig.errors import DataError, FormatError
from fastsig.io.hdf5 import metadata
from fastsig.io.hdf5.opening import member, numbers, plain, reading, text
from fastsig.stream import SpectrumStream

__all__ = ["Columns", "write_columns"]

_GROUP = "rows"
_PIECE = 2**16  # rows per chunk


def write_columns(file: h5py.File, stream: SpectrumStream) -> None:
    """Write all columns of a stream, piece by piece; without columns there is no group."""
    if not stream.columns:
        return
    group = file.create_group(_GROUP)
    n_row = stream.shape[0]
    datasets = {}
    for name, unit in stream.columns.items():
        datasets[name] = group.create_dataset(
            name, (n_row,), "<f8", chunks=(max(1, min(n_row, _PIECE)),), maxshape=(None,),
            **metadata.creation())
        if unit:
            datasets[name].attrs.create("units", np.bytes_(unit))
    for start in range(0, n_row, _PIECE):
        stop = min(start + _PIECE, n_row)
        for name, values in stream.read_columns(start, stop - start).items():
            datasets[name][start:stop] = values
            datasets[name].flush()  # in this order, so that equal inputs give equal bytes


class Columns:
    """The datasets of the group /rows of a file.

    Parameters
    ----------
    file : h5py.File
        The file.
    n_row : int
        Number of rows of its spectra.
    path : str
        Name of the file, for messages.
    lock : Lock
        Lock for access to the file by the HDF5 library.

    Raises
    ------
    FormatError
        If the datasets do not fit the spectra.
    """

    def __init__(self, file: h5py.File, n_row: int, path: str, lock: Lock) -> None:
        self._path, self._lock = path, lock
        self._datasets: dict[str, h5py.Dataset] = {}
        self.units: dict[str, str] = {}
        with reading(path, f"/{_GROUP}"):
            group = member(file, _GROUP, path) if _GROUP in set(file) else None
            for name in sorted(group) if isinstance(group, h5py.Group) else ():
                dataset = numbers(group, name, path, kinds="f")
                if dataset.shape != (n_row,):
                    raise FormatError(path, f"/{_GROUP}/{name} has the shape {dataset.shape}; "
                                      f"the spectra need ({n_row},)")
                self._datasets[name] = dataset
                self.units[name] = text(plain(dataset.attrs.get("units", b"")))

    def read(self, start: int, n: int) -> dict[str, NDArray[np.float64]]:
        """Read rows of all columns."""
        with self._reading():
            return {name: np.asarray(dataset[start : start + n], np.float64)
                    for name, dataset in self._datasets.items()}

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with reading(self._path, f"/{_GROUP}", DataError), self._lock:
            yield
