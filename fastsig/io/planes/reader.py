"""The reader of DM-time planes, for pictures, descriptions and checks."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from fastsig.axes.time import iso
from fastsig.errors import DataError, FormatError
from fastsig.io.hdf5 import metadata
from fastsig.io.hdf5.opening import numbers, open_file, reading
from fastsig.io.probe import Probe
from fastsig.stream.header import Header, split_overrides

__all__ = ["KINDS", "NAME", "NO_STREAM", "Plane", "info", "read_plane", "sniff", "verify"]

NAME, KINDS = "planes", ("planes",)

#: The error where a stream in time is needed.
NO_STREAM = ("contains a DM-time plane; allowed here: a stream in time. For planes use fastsig "
             "info, validate and view, and fastsig.io.planes.reader.read_plane")

_ROWS = 2**22  # values that are read at a time


@dataclass(frozen=True)
class Plane:
    """A DM-time plane.

    Parameters
    ----------
    header : Header
        Header; `start_time` is that of the first time.
    dms : ndarray, shape (n_dm,), float64
        Dispersion measures, pc cm^-3.
    values, weight : ndarray, shape (product, n_dm, time), float32
        Means of the channels (NaN where the weight is 0), and their weights.
    """

    header: Header
    dms: NDArray[np.float64]
    values: NDArray[np.float32]
    weight: NDArray[np.float32]


def sniff(probe: Probe) -> bool:
    """Whether the class of the root group is that of this format."""
    return probe.is_hdf5 and probe.root[0].get("CLASS") == "DM_TIME"


def read_plane(path: str | os.PathLike[str]) -> Plane:
    """Read a whole DM-time plane.

    Raises
    ------
    FormatError
        If the file is not such a plane.
    DataError
        If the plane cannot be read, or a checksum fails.
    """
    name = os.fspath(path)
    with open_file(name) as file:
        data, weights, dms, header = _parts(file, name)
        with reading(name, "/data and /weights", DataError):
            return Plane(header, dms, data[()], weights[()])


def info(path: str | os.PathLike[str], *, deep: bool = False, **overrides: Any) -> dict[str, Any]:
    """Return the fields of ``fastsig info --json``; `deep` reads all weights.

    Raises
    ------
    FormatError, DataError
        As for `read_plane`.
    UsageError
        If an override is given: planes have none.
    """
    split_overrides(overrides, (), NAME)
    name = os.fspath(path)
    with open_file(name) as file:
        data, weights, dms, header = _parts(file, name)
        share = None
        if deep:
            with reading(name, "/weights", DataError):
                share = float(np.mean([each[:].mean(dtype="f8") for each in weights]))
    axis, reference = header.channels, header.dm_reference_hz
    return {
        "path": name, "format": NAME, "kind": KINDS[0], "n_time": data.shape[2],
        "n_pol": data.shape[0], "n_chan": None, "n_dm": len(dms), "n_bits": 32, "complex": False,
        "sample_rate_hz": None, "tsamp_s": float(1 / header.sample_rate),
        "start_time": iso(header.start_time),
        "duration_s": float(data.shape[2] / header.sample_rate),
        "frequency_mhz": axis and [float(edge / 10**6) for edge in axis.edges_hz],
        "dm_range": [float(dms[0]), float(dms[-1])],
        "dm_constant": float(header.dispersion_constant),
        "dm_reference_mhz": "infinity" if reference is None else float(reference / 10**6),
        "polarization": list(header.polarization.names), "telescope": header.telescope,
        "source": header.source, "beam": header.beam, "unit": header.unit,
        "ra_deg": header.ra_deg, "dec_deg": header.dec_deg, "valid_fraction": share,
    }


def verify(path: str | os.PathLike[str], **overrides: Any) -> bool:
    """Read a whole plane, so that HDF5 verifies its checksums; return whether it has any.

    Raises
    ------
    FormatError, DataError
        As for `read_plane`.
    UsageError
        If an override is given: planes have none.
    """
    split_overrides(overrides, (), NAME)
    name = os.fspath(path)
    with open_file(name) as file:
        data, weights, _, _ = _parts(file, name)
        step = max(1, _ROWS // max(1, data.shape[0] * data.shape[1]))
        with reading(name, "/data and /weights", DataError):
            for dataset in (data, weights):
                for start in range(0, data.shape[2], step):
                    dataset[:, :, start : start + step]
        return bool(data.fletcher32)


def _parts(file: h5py.File, path: str) -> tuple[Any, Any, NDArray[np.float64], Header]:
    """Return /data, /weights, the dispersion measures and the header, checked for consistency."""
    with reading(path, "/data, /weights and /dm"):
        data, weights, dms = (numbers(file, name, path) for name in ("data", "weights", "dm"))
        if data.ndim != 3 or weights.shape != data.shape or dms.shape != data.shape[1:2] or (
                not dms.size):
            raise FormatError(path, f"/data {data.shape}, /weights {weights.shape} and /dm "
                              f"{dms.shape} are not a plane and its axis")
        measures = np.asarray(dms[()], np.float64)
    record = metadata.read_json(file, "provenance", path)
    own = record.get("header") if isinstance(record, dict) else None
    if not isinstance(own, dict):
        raise FormatError(path, "/provenance has no header")
    return data, weights, measures, metadata.header_from_record(own, path)
