"""The writer of DM-time planes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.io.files.outputs import Writer
from fastsig.io.files.safe import SafeOutput
from fastsig.io.hdf5 import metadata
from fastsig.io.hdf5.announced import AnnouncedFile
from fastsig.io.planes.chunks import CHUNK_DMS, SEGMENT, plane_bytes
from fastsig.stream.header import Header

__all__ = ["PlaneWriter"]

class PlaneWriter(AnnouncedFile, Writer):
    """Write a DM-time plane, times in order.

    Parameters
    ----------
    path : path
        Final name.
    header : Header
        Header of the plane.
    shape : tuple of int
        (time, product, dm).
    dms : ndarray, shape (n_dm,), float64
        Dispersion measures, pc cm^-3.
    provenance : mapping
        JSON-ready record; the header is added to it.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    OutputError
        If the file exists or cannot be written, or the disk is too small.
    """

    def __init__(self, path: str | os.PathLike[str], header: Header, shape: tuple[int, ...],
                 dms: NDArray[np.float64], *, provenance: Mapping[str, Any],
                 overwrite: bool = False) -> None:
        self._shape, self._rows = shape, 0
        self.files = [os.fspath(path)]
        size = plane_bytes(shape)
        self._output = SafeOutput(path, overwrite=overwrite, reserve=size)
        try:
            self._file = self._create(header, dms, provenance)
        except (OSError, RuntimeError, ValueError) as error:
            raise self._fail(error) from error
        except BaseException:
            self._output.discard()
            raise
        metadata.reserve(self._output, size)

    def _create(self, header: Header, dms: NDArray[np.float64], provenance: Mapping[str, Any]
                ) -> h5py.File:
        file = h5py.File(self._output.temporary, "w", libver=("v110", "v110"), locking=False)
        file.attrs.create("CLASS", np.bytes_("DM_TIME"))
        file.attrs.create("VERSION", np.bytes_("1.0"))
        record = {**provenance, "header": metadata.header_record(header)}
        metadata.write_json(file, "provenance", record)
        n_time, n_product, n_dm = self._shape
        shape = n_product, n_dm, n_time
        chunks = 1, min(CHUNK_DMS, n_dm), min(SEGMENT, max(1, n_time))
        self._data, self._weights = (file.create_dataset(
            name, shape=shape, chunks=chunks, dtype="<f4", **more, **metadata.creation())
            for name, more in (("data", {}), ("weights", {
                "fillvalue": 1.0, "compression": "gzip", "compression_opts": 1})))
        for key, value in _cards(header).items():
            self._data.attrs.create(key, np.bytes_(value) if isinstance(value, str) else value)
        start, _ = metadata.exact_start(header.start_time)
        seconds = np.arange(n_time) * float(1 / header.sample_rate)
        for name, values, unit in (
                ("feed_id", np.array([each.encode() for each in header.polarization.names]), ""),
                ("dm", np.asarray(dms, np.float64), "pc cm-3"),
                ("time", seconds, f"seconds since {start.replace('T', ' ')}")):
            axis = metadata.create(file, name, values, (max(1, min(len(values), 2**18)),),
                                   extendable=False)
            if unit:
                axis.attrs.create("units", np.bytes_(unit))
        return file

    def append(self, data: NDArray[np.float32], weight: NDArray[np.float32]) -> None:
        """Write the next times: (n, product, dm) values, and weights that broadcast to them."""
        n = len(data)
        if self._rows + n > self._shape[0]:
            raise UsageError(f"more rows than the {self._shape[0]} announced")
        rows = slice(self._rows, self._rows + n)
        try:
            self._data[:, :, rows] = np.ascontiguousarray(np.moveaxis(data, 0, 2))
            if not _all_one(weight):  # otherwise the fill value
                whole = np.broadcast_to(weight, data.shape)
                self._weights[:, :, rows] = np.ascontiguousarray(np.moveaxis(whole, 0, 2))
        except (OSError, RuntimeError, ValueError) as error:
            raise self._fail(error) from error
        self._rows += n

    def close(self) -> None:
        """Finish the file and give it its name."""
        with self._finishing(self._rows, self._shape[0]):
            for dataset in (self._data, self._weights):
                dataset.flush()  # in this order, so that equal inputs give equal bytes


def _all_one(weight: NDArray[np.float32]) -> bool:
    one = weight[:1, :1, :1] if not any(weight.strides) else weight
    return bool((one == 1).all())


def _cards(header: Header) -> dict[str, Any]:
    """Return the attributes of /data; exact numbers as text."""
    start, rest = metadata.exact_start(header.start_time)
    reference = header.dm_reference_hz
    return {
        "start_time": start, "start_time_rest_s": rest, "tsamp": float(1 / header.sample_rate),
        "sample_rate_hz": str(header.sample_rate),
        "reference_mhz": np.inf if reference is None else float(reference) / 1e6,
        "reference_hz": "infinity" if reference is None else str(reference),
        "dispersion_constant": float(header.dispersion_constant),
        "dispersion_constant_exact": str(header.dispersion_constant),
        "source_name": header.source or "unknown", "telescope": header.telescope or "unknown",
        **({} if header.unit is None else {"units": header.unit}),
    }
