"""8-bit spectra in FBH5: codes, with a scale and an offset for each segment and channel.

A value is ``offset + scale * code``. Segments are counted from the first spectrum of a product, so
that codes depend neither on blocks nor on threads.
"""

from __future__ import annotations

import threading
from typing import NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from fastsig.errors import FormatError
from fastsig.io.hdf5 import metadata
from fastsig.io.hdf5.chunks import open_rows
from fastsig.io.hdf5.opening import numbers, reading
from fastsig.io.hdf5.rows import Rows

__all__ = ["CodeReader", "CodeWriter", "Encoded", "level_bytes", "open_codes", "segment_rows"]

_SEGMENT, _LEAST_SEGMENT = 256, 16
_SEGMENT_BYTES = 2**26
_LEVEL_BYTES = 2**18

#: The definition of the codes, for the provenance of the product.
RECORD = {"bits": 8, "scale": "standard deviation / 11", "offset": "min(mean - 58 scale, least)",
          "code": "round((value - offset) / scale), 0 to 255; of the mean where the weight is 0"}


def segment_rows(shape: tuple[int, ...]) -> int:
    """Return the number of spectra that share scales: 256, or fewer in 64 MiB, but at least 16.

    The scales guarantee that any 256 values fit into the range of the codes.
    """
    row = 4 * shape[1] * shape[2]
    return max(_LEAST_SEGMENT, min(_SEGMENT, _SEGMENT_BYTES // row))


def _level_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    return -(-shape[0] // segment_rows(shape)), shape[1], shape[2]


def _level_chunks(shape: tuple[int, ...]) -> tuple[int, int, int]:
    n_segment, n_product, n_chan = _level_shape(shape)
    rows = max(1, min(n_segment, _LEVEL_BYTES // (4 * n_product * n_chan)))
    return rows, n_product, min(n_chan, 2**20)


def level_bytes(shape: tuple[int, ...]) -> int:
    """Return the greatest number of bytes of /scale and /offset on disk."""
    levels, chunks = _level_shape(shape), _level_chunks(shape)
    padded = [-(-n // chunk) * chunk for n, chunk in zip(levels, chunks, strict=True)]
    return 8 * int(np.prod(padded)) + 2**12


class Encoded(NamedTuple):
    """Codes of rows, scale and offset of each of their segments, and numbers of clipped values."""

    codes: NDArray[np.uint8]
    levels: list[tuple[NDArray[np.float32], NDArray[np.float32]]]
    clipped: NDArray[np.int64]


class CodeWriter:
    """The writer of /scale and /offset of a product, and the encoder of its codes.

    Parameters
    ----------
    file : h5py.File
        The file, to which the two datasets are added.
    data : h5py.Dataset
        /data, to which the attributes are added.
    """

    def __init__(self, file: h5py.File, data: h5py.Dataset) -> None:
        self._data, self.rows = data, segment_rows(data.shape)
        self._clipped = np.zeros(2, np.int64)
        data.attrs.create("segment_rows", self.rows)
        data.attrs.create("n_clipped", self._clipped)
        shape = _level_shape(data.shape)
        self.datasets = [
            file.create_dataset(name, shape=shape, maxshape=(None, *shape[1:]), dtype="<f4",
                                chunks=_level_chunks(data.shape), **metadata.creation())
            for name in ("scale", "offset")
        ]

    def encode(self, values: NDArray[np.float32]) -> Encoded:
        """Encode rows, of which the first begins a segment, and compute the levels of segments."""
        from fastsig_kernels import requantize

        codes, levels, clipped = np.empty(values.shape, np.uint8), [], np.zeros(2, np.int64)
        for row in range(0, len(values), self.rows):
            part = slice(row, row + self.rows)
            _, scale, offset, each = requantize(values[part], out=codes[part])
            levels.append((scale, offset))
            clipped += each
        return Encoded(codes, levels, clipped)

    def store(self, first: int, encoded: Encoded) -> None:
        """Write the levels of rows from `first` on."""
        self._clipped += encoded.clipped
        for segment, levels in enumerate(encoded.levels, first // self.rows):
            for dataset, level in zip(self.datasets, levels, strict=True):
                dataset[segment] = level

    def finish(self) -> None:
        """Record how many values were clipped."""
        self._data.attrs.modify("n_clipped", self._clipped)


class CodeReader:
    """The decoder of the codes in /data to float32 values.

    Parameters
    ----------
    levels : tuple of Rows
        /scale and /offset.
    rows : int
        Spectra of a segment.
    """

    def __init__(self, levels: tuple[Rows, Rows], rows: int) -> None:
        self._levels, self._rows = levels, rows

    def decode(self, row: int, products: slice, channels: slice, codes: NDArray[np.uint8],
               out: NDArray[np.float32]) -> None:
        """Decode codes of rows from `row` on, of some products and channels, into `out`."""
        from fastsig_kernels import restore  # here, as `info` does not need numba

        done = 0
        while done < len(codes):
            segment, place = divmod(row + done, self._rows)
            part = slice(done, min(len(codes), done + self._rows - place))
            scale, offset = (each.read(segment, 1)[0, products, channels]
                             for each in self._levels)
            restore(codes[part], scale, offset, out=out[part])
            done = part.stop

    def close(self) -> None:
        """Release the readers of /scale and /offset."""
        for each in self._levels:
            each.close()


def open_codes(file: h5py.File, data: h5py.Dataset, path: str, lock: threading.Lock
               ) -> CodeReader | None:
    """Return the decoder of the codes of a file; None if it has no codes.

    Raises
    ------
    FormatError
        If /scale and /offset do not fit /data.
    """
    with reading(path, "/scale and /offset"):
        if "segment_rows" not in data.attrs:
            return None
        rows = int(data.attrs["segment_rows"])
        scale, offset = (numbers(file, name, path) for name in ("scale", "offset"))
        shape = (-(-data.shape[0] // rows), *data.shape[1:]) if rows > 0 else None
        if data.dtype != np.uint8 or any(
            table.shape != shape or table.dtype != np.float32 for table in (scale, offset)
        ):
            raise FormatError(
                path, f"/scale {scale.shape} and /offset {offset.shape} do not fit /data "
                f"{data.shape} ({data.dtype}) in segments of {rows}"
            )
        return CodeReader((open_rows(scale, path, lock), open_rows(offset, path, lock)), rows)
