"""Raw files with the samples of an HDF5 dataset, which must be in the folder of the HDF5 file.

HDF5 resolves the names of raw files from the working directory and follows them anywhere. Here a
name is looked up in the folder of the HDF5 file, and a name that leads out of it is an error.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from fastsig.errors import DataError, FormatError
from fastsig.io.files.positioned import octets, read_into
from fastsig.io.hdf5.opening import reading

_PAGE = 4096


@dataclass(frozen=True)
class RawPiece:
    """A piece of a raw file: real path, offset and number of bytes that are present."""

    path: str
    offset: int
    size: int


def external_pieces(dataset: h5py.Dataset, path: str) -> tuple[tuple[RawPiece, ...], int]:
    """Return the pieces with a dataset's bytes, in order, and the number of bytes present.

    Parameters
    ----------
    dataset : h5py.Dataset
        A dataset with external storage.
    path : str
        Path of its HDF5 file.

    Raises
    ------
    FormatError
        Where a name leads out of the folder, or a raw file is missing or contains no sample.

    References
    ----------
    The HDF Group, H5Pset_external.
    """
    expected = int(dataset.size) * dataset.dtype.itemsize
    pieces: list[RawPiece] = []
    found = 0
    with reading(path, f"the external files of {dataset.name}"):
        plist = dataset.id.get_create_plist()
        listed = [plist.get_external(n) for n in range(plist.get_external_count())]
    for name, offset, size in listed:
        wanted = min(int(size), expected - found)
        piece = _piece(path, os.fsdecode(name), int(offset), wanted)
        pieces.append(piece)
        found += piece.size
        if piece.size < wanted or found == expected:
            break
    if found < dataset.dtype.itemsize:
        raise FormatError(path, f"raw file {os.fsdecode(listed[0][0])!r} of {dataset.name} is too "
                          f"short: expected {expected} bytes, found {found}")
    return tuple(pieces), found


def _piece(path: str, name: str, offset: int, wanted: int) -> RawPiece:
    real = resolve_beside(path, name)
    try:
        status = os.stat(real)
    except OSError as error:
        raise FormatError(path, f"raw file {name!r}: {error.strerror}; expected {wanted} bytes, "
                          "found none") from error
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would block forever
        raise FormatError(path, f"raw file {name!r} is not a regular file")
    if offset < 0:
        raise FormatError(path, f"raw file {name!r} at offset {offset}; allowed: 0 or more")
    return RawPiece(real, offset, max(0, min(wanted, status.st_size - offset)))


def resolve_beside(path: str, name: str) -> str:
    """Return the real path of the file `name` in the folder of `path`.

    Raises
    ------
    FormatError
        Where the name is absolute, contains ``..``, or is a link out of the folder.
    """
    folder = os.path.realpath(os.path.dirname(path) or ".")
    if not name or "\0" in name or os.path.isabs(name) or ".." in name.split("/"):
        raise FormatError(path, f"raw file {name!r}; allowed: a name within the file's folder")
    real = os.path.realpath(os.path.join(folder, name))
    if os.path.commonpath([folder, real]) != folder:
        raise FormatError(path, f"raw file {name!r} is a link out of the file's folder")
    return real


def read_external(
    pieces: tuple[RawPiece, ...], dtype: np.dtype[Any], start: int, n: int, path: str
) -> NDArray[Any]:
    """Return samples `start` to ``start + n - 1``, using positioned reads.

    Raises
    ------
    DataError
        Where the raw files have been shortened since they were opened.
    """
    out = np.empty(n, dtype)
    with _Opened(pieces, path) as files:
        files.read(start * dtype.itemsize, out)
    return out


def read_external_rows(
    pieces: tuple[RawPiece, ...], dtype: np.dtype[Any], width: int, start: int, n: int,
    columns: tuple[int, int], path: str,
) -> NDArray[Any]:
    """Return columns of the consecutive rows `start` to ``start + n - 1``, each of `width` samples.

    Bytes of other columns are not read if they amount to a page or more per row.

    Parameters
    ----------
    pieces, dtype, path
        See `external_pieces`.
    columns : tuple of int
        First column, and the column after the last.

    Raises
    ------
    DataError
        Where the raw files have been shortened since they were opened.
    """
    low, high = columns
    begin = start * width * dtype.itemsize
    with _Opened(pieces, path) as files:
        if (width - (high - low)) * dtype.itemsize < _PAGE:
            whole = np.empty((n, width), dtype)
            files.read(begin, whole)
            return whole[:, low:high]
        out = np.empty((n, high - low), dtype)
        files.read_rows(begin + low * dtype.itemsize, width * dtype.itemsize, out)
    return out


class _Opened:
    """Raw files that are opened once for many reads."""

    def __init__(self, pieces: tuple[RawPiece, ...], path: str) -> None:
        self._pieces, self._path = pieces, path
        self._handles: dict[str, int] = {}

    def __enter__(self) -> _Opened:
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles.values():
            os.close(handle)

    def read(self, first: int, out: NDArray[Any]) -> None:
        """Fill an array with the bytes of the pieces from byte `first` on."""
        view, done = out.reshape(-1).view(np.uint8), 0
        for piece in self._pieces:
            skip = min(first, piece.size)
            take = min(piece.size - skip, len(view) - done)
            first -= skip
            if take:
                read_into(self._handle(piece.path), view[done : done + take], piece.offset + skip,
                          piece.path)
            done += take
        if done < len(view):
            raise DataError(self._path, f"{len(view) - done} bytes are beyond the raw files")

    def read_rows(self, first: int, step: int, out: NDArray[Any]) -> None:
        """Fill the rows of an array with bytes from `first` on; rows start `step` bytes apart."""
        if len(self._pieces) > 1:
            for row, target in enumerate(out):
                self.read(first + row * step, target)
            return
        (piece,) = self._pieces
        handle, view = self._handle(piece.path), octets(out)
        size = len(view) // max(1, len(out))
        for row in range(len(out)):  # many short reads, so little is done besides the calls
            place = first + row * step
            target = view[row * size : (row + 1) * size]
            if place + size > piece.size or not _filled(handle, target, piece.offset + place):
                self.read(place, out[row])  # raises an error that states the fault

    def _handle(self, real: str) -> int:
        if real not in self._handles:
            try:
                # The path is real: a link that has replaced the file since is not followed.
                self._handles[real] = os.open(real, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            except OSError as error:
                raise DataError(real, error.strerror or str(error)) from error
        return self._handles[real]


def _filled(handle: int, target: memoryview, place: int) -> bool:
    """Fill `target` with one call if possible; return whether it is full."""
    try:
        return os.preadv(handle, [target], place) == len(target)
    except OSError:
        return False
