"""The reader of FBH5 spectra, written by fastsig, blimpy or rawspec.

References
----------
Breakthrough Listen filterbank HDF5, version 1.0 (Lebofsky et al. 2019, PASP 131, 124505).
"""

from __future__ import annotations

import copy
import os
import threading
import warnings
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PRODUCTS, PolBasis
from fastsig.axes.time import time_from_mjd
from fastsig.errors import DataError, DoubtWarning, FormatError, users_line
from fastsig.io.fbh5.codes import open_codes
from fastsig.io.fbh5.columns import Columns
from fastsig.io.hdf5 import metadata
from fastsig.io.hdf5.chunks import open_rows
from fastsig.io.hdf5.opening import member, numbers, open_file, plain, reading, text
from fastsig.io.probe import Probe
from fastsig.io.sigproc.numbers import TELESCOPES, day_of
from fastsig.io.spectra.segments import FileSpectra
from fastsig.stream.header import Header, split_overrides

__all__ = ["KINDS", "NAME", "TELESCOPES", "FBH5Spectra", "open", "sniff"]

NAME, KINDS = "fbh5", ("spectra",)

_OWN_CARDS = (
    "nchans", "nifs", "nbits", "fch1", "foff", "tsamp", "tstart", "telescope_id", "source_name",
    "src_raj", "src_dej", "ibeam", "DIMENSION_LABELS", "DIMENSION_LIST", "CLASS",
)


def sniff(probe: Probe) -> bool:
    """Whether the class of the root group is that of this format."""
    return probe.is_hdf5 and probe.root[0].get("CLASS") == "FILTERBANK"


def open(path: str | os.PathLike[str], **overrides: Any) -> FBH5Spectra:
    """Open an FBH5 file as a stream of spectra.

    Raises
    ------
    FormatError
        If the file is truncated, corrupt or lacks required values.
    """
    common, _ = split_overrides(overrides, (), NAME)
    return FBH5Spectra(os.fspath(path), common)


class FBH5Spectra(FileSpectra):
    """The spectra of an FBH5 file; `provenance` is the record of fastsig's writer, or None.

    The codes of fastsig's 8-bit products are converted to values.
    """

    @property
    def checksummed(self) -> bool:  # type: ignore[override]
        """Whether HDF5 stores a checksum of every chunk of /data."""
        return bool(self._data.fletcher32)

    def __init__(self, path: str, overrides: Mapping[str, Any]) -> None:
        import hdf5plugin  # noqa: F401 - registers the bitshuffle filter

        self._file = open_file(path)
        self._lock = threading.Lock()
        try:
            self._data, self._weights, cards = _datasets(self._file, path)
            self._codes = open_codes(self._file, self._data, path, self._lock)
            self.provenance = metadata.read_optional_json(self._file, "provenance", path)
            self._has_weights = self.provenance is not None and self._weights is not None
            header = self._header(cards, path)
            self._columns = Columns(self._file, self._data.shape[0], path, self._lock)
            with reading(path, "its axes"):
                self._descending = float(cards.get("foff", 1)) < 0
                self._rows = open_rows(self._data, path, self._lock)
                self._weight_rows = None if self._weights is None else open_rows(
                    self._weights, path, self._lock)
        except BaseException:
            self._file.close()
            raise
        # Files of other writers have no weights: only NaN marks lost values.
        channels = int(self._weights.shape[2]) if self._has_weights else self._data.shape[2]
        super().__init__(header.overridden(overrides), self._data.shape, path,
                         weight_channels=channels, may_have_nan=not self._has_weights)
        #: Channels of this stream, in the order of ascending frequency.
        self._band = slice(0, self._data.shape[2])

    def band(self, start: int, stop: int) -> FBH5Spectra:
        """Return a stream of the channels `start` to `stop` - 1; other chunks are not read.

        It shares the file, and is not closed by itself.
        """
        part = copy.copy(self)
        part._position = 0
        part._band = slice(self._band.start + start, self._band.start + stop)
        part.shape = (*self.shape[:2], stop - start)
        part._weight_channels = stop - start if self._weight_channels > 1 else 1
        axis = self.header.channels
        part.header = self.header.replace(channels=axis.sliced(start, stop) if axis else None)
        return part

    @property
    def channel_run(self) -> int:
        """Number of channels of a chunk, which are unpacked together."""
        return int(self._data.chunks[2] if self._data.chunks else 1)

    def _header(self, cards: dict[str, Any], path: str) -> Header:
        shape = self._data.shape
        own = (self.provenance or {}).get("header")
        header = (
            metadata.header_from_record(own, path)
            if own else _header_from_cards(cards, shape, path)
        )
        with reading(path, "the record of its stages"):
            header = header.replace(bank=metadata.bank_of(self.provenance))
        axis = header.channels
        if axis is not None and (header.polarization.n_pol, axis.n_chan) != shape[1:]:
            raise FormatError(
                path, f"/data has the shape {shape}; its header states "
                f"{header.polarization.n_pol} products and {axis.n_chan} channels"
            )
        return header

    def _values(self, start: int, n: int) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        data, weight = self._read(start, n)
        return (data[:, :, ::-1] if self._descending else data), weight

    def _into(self, start: int, n: int, out: NDArray[np.float32]) -> NDArray[np.float32] | None:
        if self._descending:  # reversed rows are copied in any case
            return super()._into(start, n, out)
        return self._read(start, n, out)[1]

    def _read(self, start: int, n: int, out: NDArray[np.float32] | None = None
              ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Read rows in the order of the file, and weights in order of ascending frequency."""
        convert = None if self._codes is None else self._codes.decode
        band = self._stored
        data = self._rows.read(start, n, convert=convert, out=out, channels=band)
        weight = None
        if self._weight_rows is not None:
            every = self._weight_rows.shape[2] > 1
            weight = self._weight_rows.read(start, n, channels=band if every else None)
        if self._descending and weight is not None and weight.shape[2] > 1:
            weight = weight[:, :, ::-1]
        return data, weight

    @property
    def _stored(self) -> slice:
        """The channels of this stream in the order of the file."""
        n_chan, band = self._data.shape[2], self._band
        return slice(n_chan - band.stop, n_chan - band.start) if self._descending else band

    @property
    def columns(self) -> Mapping[str, str]:
        """Names and units of the datasets of /rows."""
        return self._columns.units

    def read_columns(self, start: int, n: int) -> dict[str, NDArray[np.float64]]:
        """Read the datasets of /rows."""
        self._check_range(start, n)
        return self._columns.read(start, n)

    def work_bytes(self, n: int) -> int:
        """Return the memory that a thread needs to read `n` spectra, with decompressed chunks."""
        parts = (self._rows, self._weight_rows)
        return super().work_bytes(n) + sum(part.work_bytes for part in parts if part is not None)

    def all_valid(self) -> bool | None:
        """Whether all /weights are 1; None for files of other writers, where NaN marks losses."""
        if not self._has_weights:
            return None
        with reading(self.path, "/weights", DataError), self._lock:
            every = self._weights.shape[2] > 1
            return bool((self._weights[:, :, self._stored if every else slice(None)] == 1).all())

    def verify(self) -> None:
        """Read every dataset, so that HDF5 verifies the checksums."""
        super().verify()
        with self._lock:
            for name in sorted(set(self._file) - {"data"}):
                with reading(self.path, f"/{name}", DataError):
                    item = member(self._file, name, self.path)
                    if isinstance(item, h5py.Dataset):
                        item[()]
        self._columns.read(0, self.shape[0])

    def close(self) -> None:
        """Close the file, after current reads have finished."""
        for part in (self._rows, self._weight_rows, self._codes):
            if part is not None:
                part.close()
        with self._lock:
            self._file.close()


def _datasets(file: h5py.File, path: str) -> tuple[Any, Any, dict[str, Any]]:
    with reading(path, "/data and /weights"):
        data = numbers(file, "data", path)
        if data.ndim != 3:
            raise FormatError(path, "/data is not a (time, feed_id, frequency) array of numbers")
        weights = numbers(file, "weights", path) if "weights" in set(file) else None
        if weights is not None and not _broadcasts(weights.shape, data.shape):
            raise FormatError(path, f"/weights {weights.shape} do not fit /data {data.shape}")
        cards = {key: plain(data.attrs[key]) for key in data.attrs
                 if key not in ("DIMENSION_LIST", "DIMENSION_LABELS")}
    return data, weights, cards


def _broadcasts(shape: tuple[int, ...], data: tuple[int, ...]) -> bool:
    return len(shape) == 3 and shape[0] == data[0] and all(
        have in (1, want) for have, want in zip(shape[1:], data[1:], strict=True)
    )


def _header_from_cards(cards: dict[str, Any], shape: tuple[int, ...], path: str) -> Header:
    """Return the header of a file of another program, which has only SIGPROC cards."""
    for key in ("fch1", "foff", "tsamp", "tstart"):
        if key not in cards:
            raise FormatError(path, f"/data lacks the attribute {key}")
    with reading(path, "the attributes of /data"):
        first, step = (Fraction(repr(float(cards[key]))) * 10**6 for key in ("fch1", "foff"))
        tsamp = Fraction(repr(float(cards["tsamp"])))
        if step == 0 or tsamp <= 0:
            raise FormatError(path, f"foff = {cards['foff']}, tsamp = {cards['tsamp']}")
        if step < 0:
            first, step = first + (shape[2] - 1) * step, -step
        start = day_of(cards["tstart"])
        if "nchans" in cards and int(cards["nchans"]) != shape[2]:
            raise FormatError(path, f"nchans = {cards['nchans']}; /data has {shape[2]} channels")
        telescope = TELESCOPES.get(int(cards.get("telescope_id", -1)))
        hours, degrees = cards.get("src_raj"), cards.get("src_dej")
        if hours == degrees == 0:  # written by programs for an unknown position
            hours = degrees = None
        beam = int(cards.get("ibeam", -1))
        return Header(
            start_time=time_from_mjd(int(start // 1), (start % 1) * 86400),
            sample_rate=1 / tsamp,
            channels=ChannelAxis(first, step, shape[2]),
            polarization=_products(shape[1], path),
            n_bits=int(cards.get("nbits", 32)),
            telescope=telescope,
            source=text(cards["source_name"]) if "source_name" in cards else None,
            beam=beam if beam > 0 else None,
            ra_deg=None if hours is None else float(hours) * 15,
            dec_deg=None if degrees is None else float(degrees),
            extra={key: value for key, value in cards.items() if key not in _OWN_CARDS},
            origin={"start_time": "data@tstart", "sample_rate": "data@tsamp",
                    "channels": "data@fch1, foff"},
        )


def _products(n: int, path: str) -> PolBasis:
    names = {1: PRODUCTS["I"], 2: PRODUCTS["AABB"], 4: PRODUCTS["AABBCRCI"]}.get(n)
    if n in (2, 4):
        warnings.warn(
            DoubtWarning(f"{path}: the file does not name its {n} products; taken as "
                           f"{', '.join(names or ())}"), stacklevel=users_line(),
        )
    return PolBasis("unknown", names or tuple(f"IF{index}" for index in range(n)))
