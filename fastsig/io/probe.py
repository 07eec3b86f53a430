"""A first look at a path, shared by the `sniff` functions of all formats."""

from __future__ import annotations

import os
from functools import cached_property
from typing import Any

from fastsig.errors import ForbiddenFileError, FormatError, unreadable
from fastsig.io.files.containers import ECSV, FITS, HDF5

__all__ = ["Probe"]


class Probe:
    """The part of a file that a format may use to recognise it, such as its first bytes.

    Parameters
    ----------
    path : str
        File or folder.

    Raises
    ------
    FormatError
        If the path does not exist, cannot be read or is empty.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.is_folder = os.path.isdir(self.path)
        self.head = b""
        if self.is_folder:
            if not os.access(self.path, os.R_OK | os.X_OK):
                raise ForbiddenFileError(self.path)
            return
        if os.path.exists(self.path) and not os.path.isfile(self.path):
            raise FormatError(self.path, "not a regular file")
        try:
            with open(self.path, "rb") as file:
                self.head = file.read(4096)
        except OSError as error:
            raise unreadable(self.path, error) from error
        if not self.head:
            raise FormatError(self.path, "the file is empty")

    @property
    def is_hdf5(self) -> bool:
        """Whether the file begins with the signature of HDF5."""
        return self.head.startswith(HDF5)

    @property
    def container(self) -> str:
        """The container of the data: ``folder``, ``hdf5``, ``fits``, ``ecsv``, or ``other``."""
        if self.is_folder:
            return "folder"
        begins = {"hdf5": HDF5, "fits": FITS, "ecsv": ECSV}
        return next((name for name, mark in begins.items() if self.head.startswith(mark)), "other")

    @cached_property
    def root(self) -> tuple[dict[str, Any], tuple[str, ...]]:
        """The attributes and member names of the root group of an HDF5 file."""
        from fastsig.io.hdf5.opening import cards_of, open_file, reading

        with open_file(self.path) as file, reading(self.path, "its root group"):
            return cards_of(file.attrs), tuple(file)
