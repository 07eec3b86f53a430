"""Safe opening of HDF5 files: faults are reported in one line, not as a C stack."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

from fastsig.errors import DataError, FastsigError, FormatError, unreadable
from fastsig.io.files.causes import cause_of
from fastsig.io.files.containers import HDF5
from fastsig.io.hdf5.json_values import json_value
from fastsig.io.hdf5.trial import try_file

# Errors of h5py and NumPy on corrupt structure. Any other error is a bug of ours and shows as one.
CORRUPT = (OSError, KeyError, ValueError, TypeError, RuntimeError, IndexError, AttributeError,
           ArithmeticError, MemoryError, UnicodeError, struct.error)


@contextlib.contextmanager
def reading(path: str, what: str, error: type[FormatError] | type[DataError] = FormatError
            ) -> Iterator[None]:
    """Turn errors of h5py in the block into one that names the file and `what` was being read."""
    try:
        yield
    except FastsigError:
        raise
    except CORRUPT as cause:
        raise error(path, f"cannot read {what}: {cause_of(cause)}") from cause


def declared_size(head: bytes) -> int | None:
    """Return the file size in bytes that an HDF5 superblock states; None where it states none."""
    version = head[8] if len(head) > 8 else 255
    if version in (2, 3) and len(head) >= 36 and head[9] == 8:
        return int(struct.unpack_from("<Q", head, 28)[0])
    if version in (0, 1) and len(head) >= 56 and head[13] == 8:
        return int(struct.unpack_from("<Q", head, 40 if version == 0 else 44)[0])
    return None


def check_size(path: str) -> bytes:
    """Raise `FormatError` where a file is empty, is not HDF5, or is shorter than it states.

    Returns the first bytes of the file.
    """
    try:
        size = os.stat(path).st_size
        with open(path, "rb") as file:
            head = file.read(96)
    except OSError as error:
        raise unreadable(path, error) from error
    if not size:
        raise FormatError(path, "the file is empty")
    if not head.startswith(HDF5):
        raise FormatError(path, "not an HDF5 file")
    declared = declared_size(head)
    if declared is not None and size < declared:
        raise FormatError(path, f"truncated: {size} of {declared} bytes are present")
    return head


def open_file(path: str, **options: Any) -> h5py.File:
    """Open an HDF5 file for reading; a `FormatError` names the file and the cause."""
    head = check_size(path)
    if len(head) > 8:
        try_file(path, head)
    with reading(path, "its HDF5 structure"):
        return h5py.File(path, "r", **options)


def member(group: h5py.Group, name: str, path: str) -> h5py.Group | h5py.Dataset | None:
    """Return the group or dataset with a name such as ``valid/0``; None where there is none.

    Asking h5py whether a name exists would follow links, even into other files.

    Raises
    ------
    FormatError
        Where the name, or a part of it, is a link to this or another file.
    """
    place: Any = group
    for part in name.split("/"):
        with reading(path, name):
            there = isinstance(place, h5py.Group) and part in set(place)
            if not there:
                return None
            kind = place.get(part, getlink=True)
            if isinstance(kind, h5py.HardLink):
                place = place[part]
                continue
        raise FormatError(path, f"{part} of {name} is a {type(kind).__name__}; allowed: a member "
                          "of the file itself")
    return place  # type: ignore[no-any-return]


def lies_here(dataset: h5py.Dataset) -> bool:
    """Whether all bytes of a dataset lie in its own file."""
    raw = dataset.id.get_create_plist().get_external_count()
    return not dataset.is_virtual and not raw


def numbers(group: h5py.Group, name: str, path: str, *, kinds: str = "iuf",
            external: bool = False) -> h5py.Dataset:
    """Return a dataset of numbers that has all its bytes in the file itself.

    Parameters
    ----------
    group, name, path
        See `member`.
    kinds : str
        Allowed kinds of types, as in `numpy.dtype.kind`.
    external : bool
        Whether raw files beside it may contain the bytes; `fastsig.io.hdf5.external` reads these.

    Raises
    ------
    FormatError
        Where it is missing, a link or a group, has another type, or has its bytes in other files.
    """
    found = member(group, name, path)
    if found is None:
        raise FormatError(path, f"has no {name}")
    if not isinstance(found, h5py.Dataset):
        raise FormatError(path, f"{name} is a group; allowed: a dataset")
    with reading(path, name):
        dtype, shape = found.dtype, found.shape
        away = found.is_virtual if external else not lies_here(found)
    if dtype.kind not in kinds or shape is None:
        raise FormatError(path, f"{name} is {dtype}; allowed: numbers")
    if away:
        raise FormatError(path, f"{name} has its data in other files; allowed: in this one")
    return found


def text(value: Any) -> str:
    """Return the plain text of a string attribute, however it was stored."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def cards_of(attrs: Any) -> dict[str, Any]:
    """Return all attributes in a form that is ready for JSON."""
    return {plain(key): plain(value) for key, value in attrs.items()}  # keys not in UTF-8 are bytes


def plain(value: Any) -> Any:
    """Return an attribute's value ready for JSON, as in `json_value`; None where it is empty."""
    return None if isinstance(value, h5py.Empty) else json_value(value)
