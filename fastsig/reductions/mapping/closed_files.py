"""Files that are open only while they are read: a map may have thousands of input files."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import PlanError
from fastsig.io.opening import open_stream
from fastsig.stages.select import SelectSpectra
from fastsig.stream import Block, SpectrumStream, Sums, sums

__all__ = ["ClosedFile"]

F8 = NDArray[np.float64]
# HiFAST's names of columns that have other names here.
_MARKS = {"extrapolated": "is_extrapo", "diode_on": "is_on"}


class ClosedFile(SpectrumStream):
    """The spectra of a file, which every `read_block` opens and closes.

    Each open file costs a descriptor and memory for unpacked data.

    Parameters
    ----------
    path : path
    **overrides
        As in `fastsig.open`.

    Raises
    ------
    PlanError
        If the file does not contain spectra.
    """

    def __init__(self, path: str | os.PathLike[str], **overrides: Any) -> None:
        self._name, self._given = os.fspath(path), overrides
        stream: Any = open_stream(self._name, **overrides)
        try:
            if not isinstance(stream, SpectrumStream):
                raise PlanError(f"{stream.path}: contains {stream.kind}; a map needs spectra")
            super().__init__(stream.header, stream.shape, stream.dtype, stream.path)
            self.format_name, self.overrides = stream.format_name, stream.overrides
            self._files = list(stream.files)
            record = getattr(stream, "provenance", None)
            if record:
                self.provenance = record
            self._units = dict(stream.columns)
            self._columns = stream.read_columns(0, stream.shape[0])
            self._mark(stream)
            self._weight_channels = stream.weight_channels
            self._band: tuple[int, int] | None = None
            self._narrows = stream.narrowed(0, 1) is not None
            self._each = max(1, stream.work_bytes(1000) - stream.work_bytes(0)) / 1000
            self._fixed = stream.work_bytes(0)
        finally:
            stream.close()

    def _mark(self, stream: Any) -> None:
        """Add the marks of rows in a HiFAST file as columns; rows not in the file are unmarked."""
        fields = getattr(stream, "fields", None)
        if fields is None:
            return
        slots = stream.slots
        for name, field in _MARKS.items():
            if name not in self._columns and fields.get(field) == (len(slots),):
                self._columns[name], self._units[name] = np.zeros(self.shape[0]), ""
                self._columns[name][slots] = stream.read_field(field)

    @property
    def files(self) -> list[str]:
        """Paths of the files that contain the rows."""
        return self._files

    @property
    def columns(self) -> Mapping[str, str]:
        """The columns of the file, with their units."""
        return self._units

    def read_columns(self, start: int, n: int) -> dict[str, F8]:
        """Return rows of the file's columns."""
        self._check_range(start, n)
        return {name: values[start : start + n] for name, values in self._columns.items()}

    @property
    def weight_channels(self) -> int:
        """1 if the file has one weight for all channels, otherwise the number of channels."""
        return 1 if self._weight_channels == 1 else self.shape[2]

    def narrowed(self, first: int, stop: int) -> SpectrumStream | None:
        """Return a stream of some channels, or None if the format cannot read them alone."""
        if not self._narrows:
            return None
        part = copy.copy(self)
        low = 0 if self._band is None else self._band[0]
        part._band, part.shape = (low + first, low + stop), (*self.shape[:2], stop - first)
        axis = self.header.channels
        part.header = self.header.replace(channels=axis.sliced(first, stop) if axis else None)
        return part

    def work_bytes(self, n: int) -> int:
        """Memory that the file needs for `n` rows, with all its channels."""
        return int(self._fixed + n * self._each)

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Open the file, read a block and close it."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # shown when it was first opened
            stream: Any = open_stream(self._name, **self._given)
        try:
            if self._band is not None:
                stream = SelectSpectra(stream, (0, stream.shape[0]), self._band)
            return stream.read_block(start, n, out)  # type: ignore[no-any-return]
        finally:
            stream.close()

    def read_sums(self, start: int, n: int) -> Sums:
        """Return the means times their weights, float64."""
        return sums(self.read_block(start, n), self.header.n_sum, self.weight_channels)
