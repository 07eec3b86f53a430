"""8-bit spectra in FBH5: codes, with a scale and an offset for each segment and channel.

A value is ``offset + scale * code``. Segments are counted from the first spectrum of a product, so
codes depend on neither the blocks nor the threads that made them.
"""

from __future__ import annotations

import h5py
import numpy as np
from numpy.typing import NDArray

from fastsig.errors import FormatError
from fastsig.io import _metadata
from fastsig.io._hdf5 import numbers, reading

__all__ = ["CodeReader", "CodeWriter", "level_bytes", "open_codes", "segment_rows"]

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
                                chunks=_level_chunks(data.shape), **_metadata.creation())
            for name in ("scale", "offset")
        ]

    def encode(self, first: int, values: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Codes of rows from `first` on, where a segment begins; their levels are written."""
        from fastsig_kernels import requantize

        codes = np.empty(values.shape, np.uint8)
        for row in range(0, len(values), self.rows):
            part = slice(row, row + self.rows)
            _, *levels, clipped = requantize(values[part], out=codes[part])
            self._clipped += clipped
            for dataset, level in zip(self.datasets, levels, strict=True):
                dataset[(first + row) // self.rows] = level
        return codes

    def finish(self) -> None:
        """Record how many values were clipped."""
        self._data.attrs.modify("n_clipped", self._clipped)


class CodeReader:
    """Float32 values of the codes in /data."""

    def __init__(self, scale: h5py.Dataset, offset: h5py.Dataset, rows: int) -> None:
        self._scale, self._offset, self._rows = scale, offset, rows

    def decode(self, start: int, codes: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Values of rows from `start` on."""
        from fastsig_kernels import restore  # here, for `info` does without numba

        values = np.empty(codes.shape, np.float32)
        done = 0
        while done < len(codes):
            segment, place = divmod(start + done, self._rows)
            part = slice(done, min(len(codes), done + self._rows - place))
            restore(codes[part], self._scale[segment], self._offset[segment], out=values[part])
            done = part.stop
        return values


def open_codes(file: h5py.File, data: h5py.Dataset, path: str) -> CodeReader | None:
    """The scales of a file's codes; None for one that has none.

    Raises
    ------
    FormatError
        Where they are not what /data needs.
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
        return CodeReader(scale, offset, rows)
