"""The writer of HiFAST's files, with which one of HiFAST's steps can be replaced.

Datasets that HiFAST's steps added to a file (``is_on``, ``ra``, ``Tcal`` and others) are passed as
`fields`; a stream of `fastsig.io.hifast.reader` supplies them.

References
----------
Y. Jing et al. 2024, SCPMA 67, 259514 (arXiv:2401.17364); HiFAST's public source.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from fastsig.axes.time import elapsed, mjd_and_seconds, time_from_mjd
from fastsig.errors import PlanError, UsageError
from fastsig.io.files.safe import SafeOutput
from fastsig.io.hdf5 import metadata
from fastsig.io.hdf5.announced import AnnouncedFile
from fastsig.io.hifast.group import FIELDS, UNITS
from fastsig.io.spectra.writing import Sizes, SpectraWriter
from fastsig.stream.header import Header
from fastsig.telescopes.velocity_frames import SPECSYS

__all__ = ["HiFASTWriter"]

#: Sets of products that can be stored, and numbers of those that are written.
_PLACES: dict[tuple[str, ...], tuple[int, ...]] = {
    ("AA", "BB"): (0, 1), ("AA", "BB", "CR", "CI"): (0, 1), ("mean",): (0,), ("I",): (0,),
}
_MOST_HEADER = 2**20
_NOT_CARRIED = {
    "receiver": "the receiver", "backend": "the backend", "source": "the source",
    "beam": "the beam, which HiFAST takes from the name of the file (...-M01...)",
    "ra_deg": "the position of the source", "diode": "the schedule of the noise diode",
    "dm": "the dispersion measure that was removed, and its reference frequency",
    "coherent_dm": "the dispersion measure that was removed within channels",
    "zero_dm": "the removal of the mean over the band",
}
# The field for values of a unit.
_FIELD_OF = {"K": "Ta", "Jy": "flux"}
# Keys that the reader adds to `extra`.
_OWN = ("field", "utobs", "rfi")


class HiFASTWriter(AnnouncedFile, SpectraWriter):
    """Write a HiFAST file row by row.

    A context manager: the file gets its name if the block ends without an error, and is removed
    otherwise.

    Parameters
    ----------
    path : path
        Final name. HiFAST reads the beam from it, as in ``src_drift-M01_W-20210808.hdf5``.
    header : Header
        Header of the spectra: AA and BB (CR and CI are left out), the mean of two polarisations,
        or I, which is written as this mean: I / 2, or I if the unit is Jy. The ``mjd`` of a row
        is its start.
    shape : tuple of int
        (time, product, chan) of the spectra to be written.
    overwrite : bool
        Whether an existing file may be replaced.
    n_bits : {32}
        HiFAST has only float32.
    field : {"T", "Ta", "Power", "flux"}, optional
        Name of the spectra; by default, that in the HiFAST file they come from, else Power.
    fields : mapping of str to ndarray, optional
        Other datasets of the group S, such as ``is_on`` (time,), ``ra`` (time,), ``is_rfi``
        (time, chan). ``mjd`` (time,) replaces the times of the stream.
    provenance : mapping, optional
        JSON-ready record, stored as the attribute HISTORY-fastsig of Header.

    Raises
    ------
    PlanError
        If the format cannot store such spectra.
    OutputError
        If the file exists or cannot be written, or the disk is too small.
    """

    NAME = "hifast"
    OFFERS = (32,)

    def __init__(self, path: str | os.PathLike[str], header: Header, shape: tuple[int, ...], *,
                 overwrite: bool = False, n_bits: int = 32, field: str | None = None,
                 fields: Mapping[str, NDArray[Any]] | None = None,
                 provenance: Mapping[str, Any] | None = None) -> None:
        if n_bits != 32:
            raise UsageError(f"n_bits = {n_bits!r}; allowed: 32")
        self._rows_of, self._factor = _place(header)
        self._name = _field(header, field)
        others = _checked(fields or {}, shape)
        self._shape, self._rows = shape, 0
        self.files = [os.fspath(path)]
        size = 4 * len(self._rows_of) * shape[0] * shape[2]
        size += sum(each.nbytes for each in others.values()) + 8 * (shape[0] + shape[2])
        size += _MOST_HEADER
        self._output = SafeOutput(path, overwrite=overwrite, reserve=size)
        try:
            self._file = self._create(header, others, provenance)
        except (OSError, RuntimeError, ValueError) as error:
            raise self._fail(error) from error
        except BaseException:
            self._output.discard()
            raise
        metadata.reserve(self._output, size)

    @classmethod
    def losses(cls, header: Header, shape: tuple[int, ...], weights_vary: bool, *,
               field: str | None = None, fields: Mapping[str, Any] | None = None,
               **options: Any) -> list[str]:
        """Describe what would be left out."""
        _, factor = _place(header)
        name = _field(header, field)
        there, names = fields or {}, header.polarization.names
        out = []
        if len(names) == 4:
            out.append("hifast has two polarisations: CR and CI are left out")
        if names == ("I",):
            out.append("hifast has the mean of both polarisations instead of I" + (
                ": I / 2 is written" if factor != 1 else ""))
        if header.unit not in (None, UNITS.get(name)):
            out.append(f"hifast has no place for the unit of values, {header.unit}")
        if weights_vary:
            out.append("hifast has no weights: values of weight 0 become NaN, other weights are "
                       "left out")
        if "mjd" not in there:
            out.append("hifast stores times as days in float64: they are rounded to 0.3 us")
        if header.telescope not in (None, "FAST"):
            out.append("hifast has no place for the telescope")
        out += [f"hifast has no place for {text}" for key, text in _NOT_CARRIED.items()
                if getattr(header, key) is not None]
        axis = header.channels
        if axis is not None and axis.half_channel is not None:
            out.append("hifast has no place for the number of the channel that is only half "
                       "inside the band")
        if header.n_sum != 1:
            out.append("hifast has no place for the number of samples averaged in a value")
        _, left = _attributes(header.extra)
        if left:
            out.append(f"hifast has no attribute for {', '.join(left)}")
        return out

    @classmethod
    def sizes(cls, shape: tuple[int, ...], *, fields: Mapping[str, Any] | None = None,
              **options: Any) -> Sizes:
        """Return the sizes: floats of up to two polarisations, and the other datasets."""
        others = sum(np.asarray(each).nbytes for each in (fields or {}).values())
        size = 8 * shape[0] * shape[2] + 8 * (shape[0] + shape[2]) + others + _MOST_HEADER
        return Sizes(size, 16 * shape[1] * shape[2] + 2**22)

    def append(self, data: NDArray[np.float32], weight: NDArray[np.float32]) -> None:
        """Write the next rows: (n, product, chan) means and weights that broadcast to them."""
        n = len(data)
        if self._rows + n > self._shape[0]:
            raise UsageError(f"more rows than the {self._shape[0]} announced")
        lost = np.broadcast_to(weight, data.shape) == 0
        values = np.where(lost, np.float32(np.nan), data)[:, self._rows_of]
        if self._factor != 1:
            values = values * np.float32(self._factor)
        rows = slice(self._rows, self._rows + n)
        try:
            self._data[:, rows] = values.astype(np.float32, copy=False).transpose(1, 0, 2)
        except (OSError, RuntimeError, ValueError) as error:
            raise self._fail(error) from error
        self._rows += n

    def close(self) -> None:
        """Finish the file and give it its name."""
        with self._finishing(self._rows, self._shape[0]):
            pass  # nothing is left to write

    def _create(self, header: Header, others: Mapping[str, NDArray[Any]],
                provenance: Mapping[str, Any] | None) -> h5py.File:
        file = h5py.File(self._output.temporary, "w", libver=("v110", "v110"), locking=False)
        about = file.create_group("Header")
        for key, value in _attributes(header.extra)[0].items():
            about.attrs[key] = value
        if header.specsys is not None:
            about.attrs["frame"] = SPECSYS.get(header.specsys, header.specsys)
        if header.rest_hz is not None:
            about.attrs["rest_frequency_hz"] = header.rest_hz
        if provenance is not None:
            about.attrs["HISTORY-fastsig"] = json.dumps(
                provenance, sort_keys=True, ensure_ascii=False, allow_nan=False)
        group = file.create_group("S")
        axis = header.require_channels(self._output.path)
        small = {"mjd": _mjd(header, self._shape[0]), "freq": axis.centers.value, **others}
        for name, values in small.items():
            group.create_dataset(name, data=values, track_times=False).flush()
        self._data = group.create_dataset(
            self._name, (len(self._rows_of), self._shape[0], self._shape[2]), "<f4",
            track_times=False)
        return file


def _place(header: Header) -> tuple[tuple[int, ...], float]:
    names = header.polarization.names
    if names not in _PLACES:
        raise PlanError(f"products {', '.join(names)} do not fit into hifast; allowed: "
                        f"{'; '.join(', '.join(each) for each in _PLACES)}")
    # I is the sum of AA and BB in K, and their mean in Jy.
    in_jansky = (header.unit or "").startswith("Jy")
    return _PLACES[names], 1.0 if in_jansky else 1 / header.polarization.n_added(names[0])


def _field(header: Header, field: str | None) -> str:
    recorded = header.extra.get("field")
    kept = recorded if recorded in FIELDS and UNITS.get(recorded) == header.unit else None
    name = field or kept or _FIELD_OF.get(header.unit or "", "Power")
    if name not in FIELDS:
        raise UsageError(f"field = {name!r}; allowed: {', '.join(FIELDS)}")
    return str(name)


def _checked(fields: Mapping[str, NDArray[Any]], shape: tuple[int, ...]
             ) -> dict[str, NDArray[Any]]:
    """Return the other datasets as arrays; refuse those that do not fit."""
    out = {}
    rows = ("mjd", "is_on", "is_delay", "next_to_cal", "is_extrapo", "ra", "dec")
    wanted = {**dict.fromkeys(rows, shape[:1]), "vel": shape[2:],
              **dict.fromkeys(("is_rfi", "is_excluded"), (shape[0], shape[2]))}
    for name, given in fields.items():
        values = np.asarray(given)
        if name in (*FIELDS, "freq") or not name or set(name) & set("/.\0"):
            raise UsageError(f"fields: {name!r} is set by the stream, or is not a name")
        if values.dtype.kind not in "biufS":
            raise UsageError(f"fields: {name} is of type {values.dtype}; allowed: numbers")
        if name in wanted and values.shape != wanted[name]:
            raise UsageError(f"fields: {name} has the shape {values.shape}; allowed: "
                             f"{wanted[name]}")
        if name == "mjd" and not np.isfinite(values.astype(np.float64)).all():
            raise UsageError("fields: mjd; allowed: finite days")
        out[name] = values
    return out


def _mjd(header: Header, n_row: int) -> NDArray[np.float64]:
    """Return the starts of rows as MJD: the day plus seconds of the day / 86400."""
    day, begin = mjd_and_seconds(header.start_time)
    seconds = float(begin) + np.arange(n_row) * float(1 / header.sample_rate)
    first, days = time_from_mjd(day), [0.0]
    while days[-1] <= seconds[-1:].max(initial=0):  # with leap seconds
        days.append(float(elapsed(first, time_from_mjd(day + len(days)))))
    number = np.searchsorted(days, seconds, side="right") - 1
    return np.asarray(day + number + (seconds - np.array(days)[number]) / 86400)


def _attributes(extra: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the values of a header that attributes can store, and the keys of the others."""
    kept, left = {}, []
    for key, value in extra.items():
        if key in _OWN:
            continue
        fits = isinstance(value, (bool, float)) or (
            isinstance(value, int) and -(2**63) <= value < 2**63) or (
            isinstance(value, str) and _is_text(value))
        if fits and key and _is_text(key):
            kept[key] = value
        else:
            left.append(key)
    return kept, left


def _is_text(value: str) -> bool:
    return "\0" not in value and not any("\ud800" <= char <= "\udfff" for char in value)
