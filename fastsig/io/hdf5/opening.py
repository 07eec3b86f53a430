"""Opening HDF5 files with care: what is wrong with one is said in a line, not in a C stack."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

from fastsig.errors import DataError, FastsigError, FormatError
from fastsig.io.files.containers import HDF5
from fastsig.io.hdf5.json_values import json_value
from fastsig.io.hdf5.trial import try_file

# What h5py and NumPy raise on corrupt structure; anything else is a bug of ours and shows as one.
CORRUPT = (OSError, KeyError, ValueError, TypeError, RuntimeError, IndexError, AttributeError,
           ArithmeticError, MemoryError, UnicodeError, struct.error)


@contextlib.contextmanager
def reading(path: str, what: str, error: type[FormatError] | type[DataError] = FormatError
            ) -> Iterator[None]:
    """Turn what h5py raises inside into one error that names the file and `what` was read."""
    try:
        yield
    except FastsigError:
        raise
    except CORRUPT as cause:
        raise error(path, f"cannot read {what}: {_first_line(cause)}") from cause


def _first_line(cause: BaseException) -> str:
    return (str(cause).splitlines() or [type(cause).__name__])[0]


def declared_size(head: bytes) -> int | None:
    """Bytes that an HDF5 superblock says its file holds; None where it does not tell."""
    version = head[8] if len(head) > 8 else 255
    if version in (2, 3) and len(head) >= 36 and head[9] == 8:
        return int(struct.unpack_from("<Q", head, 28)[0])
    if version in (0, 1) and len(head) >= 56 and head[13] == 8:
        return int(struct.unpack_from("<Q", head, 40 if version == 0 else 44)[0])
    return None


def check_size(path: str) -> bytes:
    """Raise `FormatError` where a file is empty, no HDF5 file or shorter than it says.

    Returns its first bytes.
    """
    try:
        size = os.stat(path).st_size
        with open(path, "rb") as file:
            head = file.read(96)
    except OSError as error:
        raise FormatError(path, error.strerror or str(error)) from error
    if not size:
        raise FormatError(path, "the file is empty")
    if not head.startswith(HDF5):
        raise FormatError(path, "not an HDF5 file")
    declared = declared_size(head)
    if declared is not None and size < declared:
        raise FormatError(path, f"truncated: {size} of {declared} bytes are there")
    return head


def open_file(path: str, **options: Any) -> h5py.File:
    """Open an HDF5 file to read; `FormatError` names the file and the cause."""
    head = check_size(path)
    if len(head) > 8:
        try_file(path, head)
    with reading(path, "its HDF5 structure"):
        return h5py.File(path, "r", **options)


def member(group: h5py.Group, name: str, path: str) -> h5py.Group | h5py.Dataset | None:
    """The group or dataset of a name such as ``valid/0``; None where there is none.

    Asking h5py whether a name is there would follow links, also into other files.

    Raises
    ------
    FormatError
        Where the name, or a part of it, is a link, to this file or another.
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
    """A dataset of numbers, all of whose bytes lie in the file itself.

    Parameters
    ----------
    group, name, path
        As of `member`.
    kinds : str
        Kinds of types that are allowed, as of `numpy.dtype.kind`.
    external : bool
        Whether raw files beside may hold the bytes; `fastsig.io.hdf5.external` looks at these.

    Raises
    ------
    FormatError
        Where it is missing, a link, a group, of another type, or has its bytes in other files.
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
    """Plain text of a string attribute, whichever way it was stored."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def cards_of(attrs: Any) -> dict[str, Any]:
    """JSON-ready form of all attributes."""
    return {plain(key): plain(value) for key, value in attrs.items()}  # keys: bytes if no UTF-8


def plain(value: Any) -> Any:
    """A JSON-ready form of an attribute's value, as of `json_value`; None where it is empty."""
    return None if isinstance(value, h5py.Empty) else json_value(value)
