"""8-bit spectra in FBH5: codes, with a scale and an offset for each segment and channel.

A value is ``offset + scale * code``. Segments are counted from the first spectrum of a product, so
codes depend on neither the blocks nor the threads that made them.
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

#: What decides the codes, for the product's provenance.
RECORD = {"bits": 8, "scale": "standard deviation / 11", "offset": "min(mean - 58 scale, least)",
          "code": "round((value - offset) / scale), 0 to 255; of the mean where the weight is 0"}


def segment_rows(shape: tuple[int, ...]) -> int:
    """Spectra that share scales: 256, or as many as 64 MiB of float32 hold, but 16 at least.

    256, because so many values fit into the range of the codes, whatever they are.
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
    """Bytes of /scale and /offset on disk, at most."""
    levels, chunks = _level_shape(shape), _level_chunks(shape)
    padded = [-(-n // chunk) * chunk for n, chunk in zip(levels, chunks, strict=True)]
    return 8 * int(np.prod(padded)) + 2**12


class Encoded(NamedTuple):
    """Codes of some rows, scale and offset of each of their segments, and how many were clipped."""

    codes: NDArray[np.uint8]
    levels: list[tuple[NDArray[np.float32], NDArray[np.float32]]]
    clipped: NDArray[np.int64]


class CodeWriter:
    """/scale and /offset of a product, and the codes that belong to them.

    Parameters
    ----------
    file : h5py.File
        Gets the two datasets.
    data : h5py.Dataset
        /data; gets the attributes.
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
        """Codes of rows, the first of which begins a segment, and the levels of each segment."""
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
    """Float32 values of the codes in /data.

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
        """Put values of codes of rows from `row` on, of some products and channels, into `out`."""
        from fastsig_kernels import restore  # here, for `info` does without numba

        done = 0
        while done < len(codes):
            segment, place = divmod(row + done, self._rows)
            part = slice(done, min(len(codes), done + self._rows - place))
            scale, offset = (each.read(segment, 1)[0, products, channels]
                             for each in self._levels)
            restore(codes[part], scale, offset, out=out[part])
            done = part.stop

    def close(self) -> None:
        """Give back what is held besides the file."""
        for each in self._levels:
            each.close()


def open_codes(file: h5py.File, data: h5py.Dataset, path: str, lock: threading.Lock
               ) -> CodeReader | None:
    """The scales of a file's codes; None for one that has none.

    Raises
    ------
    FormatError
        If they are not what /data needs.
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
