"""Streams of rows in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.axes import validity
from fastsig.axes.validity import Spans
from fastsig.stream.base import Block
from fastsig.stream.header import Header
from fastsig.stream.spectra import SpectrumStream
from fastsig.stream.voltages import VoltageStream

__all__ = ["HeldSpectra", "HeldVoltages"]

_PATH = "data in memory"


class HeldSpectra(SpectrumStream):
    """Spectra and their weights in memory.

    Parameters
    ----------
    header : Header
    values : ndarray, shape (time, product, chan), float32
        Mean spectra, NaN where the weight is 0.
    weight : ndarray
        Weights that broadcast against `values`.
    columns : mapping of str to ndarray, shape (time,)
        Further quantities of each row.
    """

    def __init__(self, header: Header, values: NDArray[Any], weight: NDArray[Any],
                 columns: Mapping[str, NDArray[np.float64]]) -> None:
        self._values, self._weight, self._columns = values, weight, columns
        super().__init__(header, values.shape, np.float32, _PATH)

    @property
    def files(self) -> list[str]:
        """No files."""
        return []

    @property
    def weight_channels(self) -> int:
        """Length of the weights' channel axis."""
        return int(self._weight.shape[2])

    @property
    def columns(self) -> Mapping[str, str]:
        """Names of the further quantities of each row; units are not known here."""
        return dict.fromkeys(self._columns, "")

    def read_columns(self, start: int, n: int) -> dict[str, NDArray[np.float64]]:
        """Return the columns of some rows."""
        return {key: each[start : start + n] for key, each in self._columns.items()}

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Return views of the rows."""
        self._check_range(start, n)
        rows, weight = (each[start : start + n].view() for each in (self._values, self._weight))
        rows.flags.writeable = weight.flags.writeable = False
        return Block(rows, weight, start, n)


class HeldVoltages(VoltageStream):
    """Voltages and their valid spans in memory.

    Parameters
    ----------
    header : Header
    values : ndarray, shape (time, pol[, chan])
    valid : tuple of Spans
        Valid spans of each polarisation.
    """

    def __init__(self, header: Header, values: NDArray[Any], valid: tuple[Spans, ...]) -> None:
        super().__init__(header, values.shape, values.dtype, _PATH)
        self._values, self._valid = values, valid

    @property
    def files(self) -> list[str]:
        """No files."""
        return []

    def valid_spans(self) -> tuple[Spans, ...]:
        """Return the valid spans of each polarisation."""
        return self._valid

    def _read(self, start: int, n: int, out: NDArray[Any]) -> tuple[Spans, ...]:
        out[...] = self._values[start : start + n]
        return tuple(validity.clip(spans, start, start + n) for spans in self._valid)
