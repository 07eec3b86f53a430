"""Units of FITS files that are written whole: binary tables with checksums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from fastsig.io.fits.checksums import add_words, finished, padded
from fastsig.io.psrfits.written_header import card_unit

__all__ = ["Column", "dtype_of", "sealed", "table_head", "table_unit"]


@dataclass(frozen=True)
class Column:
    """A column: name, TFORM, type of its elements, their number, and unit."""

    name: str
    form: str
    dtype: str
    count: int = 1
    unit: str = ""


def dtype_of(columns: Sequence[Column]) -> np.dtype[Any]:
    """Return the type of a row, without gaps."""
    return np.dtype([(each.name, each.dtype, (each.count,) if each.count > 1 else ())
                     for each in columns])


def sealed(cards: bytes, data_sum: int = 0) -> bytes:
    """Return a header unit with its checksums, for data with a certain sum of words."""
    return finished(fits.Header.fromstring(cards.decode("ascii")), data_sum)


def table_head(name: str, columns: Sequence[Column], n_row: int, cards: Mapping[str, object],
               data_sum: int = 0) -> bytes:
    """Return the header of a table, with checksums for data with a certain sum of words."""
    own: dict[str, object] = {
        "XTENSION": "BINTABLE", "BITPIX": 8, "NAXIS": 2, "NAXIS1": dtype_of(columns).itemsize,
        "NAXIS2": n_row, "PCOUNT": 0, "GCOUNT": 1, "TFIELDS": len(columns)}
    for number, column in enumerate(columns, 1):
        own |= {f"TTYPE{number}": column.name, f"TFORM{number}": column.form}
        if column.unit:
            own[f"TUNIT{number}"] = column.unit
    return sealed(card_unit({**own, "EXTNAME": name, **cards}), data_sum)


def table_unit(name: str, columns: Sequence[Column], rows: NDArray[Any]) -> bytes:
    """Return a table: its header with checksums, its rows, and the filling of the last block."""
    raw = rows.view(np.uint8).reshape(-1)
    head = table_head(name, columns, len(rows), {}, add_words(0, raw))
    return head + raw.tobytes() + bytes(padded(raw.size) - raw.size)
