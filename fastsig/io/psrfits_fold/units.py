"""Units of FITS files that are written whole: binary tables with checksums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from fastsig.io.fits.checksums import add_words, finished, padded
from fastsig.io.psrfits.written_header import card_unit

__all__ = ["Column", "dtype_of", "sealed", "table_unit"]


class Column(NamedTuple):
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


def table_unit(name: str, columns: Sequence[Column], rows: NDArray[Any],
               cards: Mapping[str, object] | None = None) -> bytes:
    """Return a table: its header with checksums, its rows, and the filling of the last block."""
    own: dict[str, object] = {
        "XTENSION": "BINTABLE", "BITPIX": 8, "NAXIS": 2, "NAXIS1": rows.dtype.itemsize,
        "NAXIS2": len(rows), "PCOUNT": 0, "GCOUNT": 1, "TFIELDS": len(columns)}
    for number, column in enumerate(columns, 1):
        own |= {f"TTYPE{number}": column.name, f"TFORM{number}": column.form}
        if column.unit:
            own[f"TUNIT{number}"] = column.unit
    head = card_unit({**own, "EXTNAME": name, **(cards or {})})
    raw = rows.view(np.uint8).reshape(-1) if len(rows) else np.empty(0, np.uint8)
    return sealed(head, add_words(0, raw)) + raw.tobytes() + bytes(padded(raw.size) - raw.size)
