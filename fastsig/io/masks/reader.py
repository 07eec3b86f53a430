"""Read a mask from a file, whose contents decide the format."""

from __future__ import annotations

import os

from fastsig.axes.regions import Regions
from fastsig.errors import FormatError
from fastsig.io.masks import presto, text

__all__ = ["read_mask"]

_LARGEST = 2**30


def read_mask(path: str | os.PathLike[str]) -> tuple[tuple[Regions, ...], bytes]:
    """Return the regions of a mask, and the bytes of its file.

    Parameters
    ----------
    path : path
        A file of PRESTO's rfifind (``.mask``), or text as described in `fastsig.io.masks.text`.

    Raises
    ------
    FormatError
        If the file cannot be read or is neither.
    """
    name = os.fspath(path)
    try:
        if os.path.getsize(name) > _LARGEST:
            raise FormatError(name, f"is larger than {_LARGEST >> 20} MiB; allowed: a mask")
        with open(name, "rb") as file:
            data = file.read()
    except OSError as error:
        raise FormatError(name, error.strerror or str(error)) from error
    if b"\0" in data:
        return (presto.parsed(data, name),), data
    try:
        lines = data.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise FormatError(name, "is neither a mask of PRESTO nor text in UTF-8") from error
    return text.parsed(lines, name), data
