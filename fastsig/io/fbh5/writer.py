"""The writer of FBH5, readable by blimpy, xarray and sigpyproc, with checksums and crash-safe."""

from __future__ import annotations

import os
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.io.fbh5.codes import RECORD, CodeWriter, Encoded
from fastsig.io.fbh5.columns import write_columns
from fastsig.io.fbh5.reader import TELESCOPES
from fastsig.io.fbh5.sizes import (
    WEIGHT_ROWS,
    chunks_of,
    estimate_bytes,
    packed_ahead,
    weight_chunks,
    writer_bytes,
)
from fastsig.io.files.safe import SafeOutput
from fastsig.io.hdf5 import metadata
from fastsig.io.hdf5.announced import AnnouncedFile
from fastsig.io.hdf5.chunk_writer import Line, Packed, RowsWriter
from fastsig.io.spectra.writing import Sizes, SpectraWriter
from fastsig.stream import ENDLESS, SpectrumStream
from fastsig.stream.header import Header
from fastsig.telescopes.velocity_frames import SPECSYS

__all__ = ["BITS", "BLANKS", "COMPRESSIONS", "FBH5Writer"]

BITS = (8, 32)
COMPRESSIONS = ("bitshuffle", "gzip", "none")
BLANKS = ("nan", "mean")
_TIMES = 2**16  # rows per chunk of the axis of time, if their number is not known


class _Job(NamedTuple):
    """Rows to write: the first row, their number, and their buffers."""

    first: int
    n: int
    buffer: NDArray[np.float32]
    weight_buffer: NDArray[np.float32]


class _Prepared(NamedTuple):
    """Rows as prepared for HDF5."""

    values: NDArray[Any]
    data: Packed | None
    weight: Packed | None
    sums: tuple[NDArray[np.float64], NDArray[np.float64]] | None
    encoded: Encoded | None


class FBH5Writer(AnnouncedFile, SpectraWriter):
    """Write an FBH5 file row by row.

    A context manager: the file gets its name if the block ends without an error, and is removed
    otherwise.

    Parameters
    ----------
    path : path
        Final name.
    header : Header
        Header of the spectra; its channels must be known.
    shape : tuple of int
        (time, product, chan) of the spectra to be written. The first number is `ENDLESS` if it is
        not known; the file then grows, and no space is reserved.
    weight_channels : int
        Channels of the weights: 1 or chan.
    provenance : mapping
        JSON-ready record; the header is added to it.
    overwrite : bool
        Whether an existing file may be replaced.
    compression : {"bitshuffle", "gzip", "none"}
        Readers of this format expect bitshuffle with LZ4.
    blank : {"nan", "mean"}
        Value written if the weight is 0: NaN, or the weighted mean of the channel over the product,
        for tools that cannot handle NaN; the header records which. 8-bit products have the code of
        the mean of their segment there, and accept only "nan".
    bits : {32, 8}
        Bits of /data: float32, or codes with /scale and /offset.
    reserve : bool
        Whether to claim the space of the uncompressed product before the work starts.

    Raises
    ------
    OutputError
        If the file exists or cannot be written, or the disk is too small.
    """

    NAME = "fbh5"
    OFFERS = BITS

    def __init__(
        self, path: str | os.PathLike[str], header: Header, shape: tuple[int, ...], *,
        weight_channels: int = 1, provenance: Mapping[str, Any], overwrite: bool = False,
        compression: str = "bitshuffle", blank: str = "nan", bits: int = 32,
        reserve: bool = True,
    ) -> None:
        _check_options(compression, blank, bits)
        self._shape, self._chunks, self._bits = shape, chunks_of(shape, bits), bits
        self._blank = blank if bits == 32 else "level"
        self._tsamp = float(1 / header.sample_rate)
        self._codes: CodeWriter | None = None
        self._sums = np.zeros((2, *shape[1:])) if blank == "mean" else None
        self._rows, self._held = 0, 0
        self._open_end = shape[0] >= ENDLESS
        if self._open_end and bits != 32:
            raise UsageError(f"bits = {bits} and rows whose number is not known; allowed: 32")
        self._weight_shape = (shape[0], shape[1], weight_channels)
        self._free: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
        self._buffer, self._weight_buffer = self._buffers()
        self._line = Line(self._prepare, self._store, packed_ahead(shape, bits))
        size = 0 if self._open_end or not reserve else estimate_bytes(shape, weight_channels, bits)
        self.files = [os.fspath(path)]
        self._output = SafeOutput(path, overwrite=overwrite, reserve=size)
        try:
            self._file = self._create(header.replace(n_bits=bits), provenance, compression)
        except (OSError, RuntimeError, ValueError) as error:
            raise self._fail(error) from error
        except BaseException:
            self._output.discard()
            raise
        metadata.reserve(self._output, size)

    def _create(self, header: Header, provenance: Mapping[str, Any], compression: str) -> h5py.File:
        file = h5py.File(self._output.temporary, "w", libver=("v110", "v110"), locking=False)
        file.attrs.create("CLASS", np.bytes_("FILTERBANK"))
        file.attrs.create("VERSION", np.bytes_("1.0"))
        record = {**provenance, "header": metadata.header_record(header)}
        if self._bits == 8:
            record["quantization"] = RECORD
        metadata.write_json(file, "provenance", record)
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_attr_phase_change(1000, 0)  # compact: the checksum of the object header covers it
        n_row = 0 if self._open_end else self._shape[0]
        self._data = file.create_dataset(
            "data", shape=(n_row, *self._shape[1:]), maxshape=(None, *self._shape[1:]),
            chunks=self._chunks, dtype="<f4" if self._bits == 32 else "u1", dcpl=plist,
            **_filters(compression), **metadata.creation(),
        )
        cards = {**_cards(header, self._shape), "blank": np.bytes_(self._blank)}
        for key, value in cards.items():
            self._data.attrs.create(key, value)
        if self._bits == 8:
            self._codes = CodeWriter(file, self._data)
        _write_axes(file, self._data, header)
        self._data.flush()
        rows = min(max(1, self._shape[0]), WEIGHT_ROWS) if self._weight_shape[2] == 1 else None
        self._weights = file.create_dataset(
            "weights", shape=(n_row, *self._weight_shape[1:]),
            maxshape=(None, *self._weight_shape[1:]), chunks=(rows, *self._weight_shape[1:]) if rows
            else weight_chunks(self._shape, self._bits), dtype="<f4",
            **({} if rows else _filters(compression)), **metadata.creation(),
        )
        self._data_rows = RowsWriter(self._data, self._shape[0])
        self._weight_rows = RowsWriter(self._weights, self._shape[0])
        return file

    def _buffers(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return buffers for values and weights of the rows that are written together."""
        if self._free:
            return self._free.pop()
        shapes = self._shape, self._weight_shape
        data, weight = (np.empty((self._chunks[0], *shape[1:]), np.float32) for shape in shapes)
        return data, weight

    @classmethod
    def losses(cls, header: Header, shape: tuple[int, ...], weights_vary: bool,
               **options: Any) -> list[str]:
        """Return no losses: the format can store everything."""
        _check_options(options.get("compression", "bitshuffle"), options.get("blank", "nan"),
                       options.get("bits", 32))
        return []

    @classmethod
    def open_end(cls, **options: Any) -> bool:
        """Whether rows may end early: with 32 bits, as codes have levels for whole segments."""
        return bool(options.get("bits", 32) == 32)

    @classmethod
    def sizes(cls, shape: tuple[int, ...], *, weight_channels: int = 1, bits: int = 32,
              **options: Any) -> Sizes:
        """Return the sizes: uncompressed samples, weights, axes, records; memory of the filters."""
        return Sizes(estimate_bytes(shape, weight_channels, bits),
                     writer_bytes(shape, weight_channels, bits))

    def append(self, data: NDArray[np.float32], weight: NDArray[np.float32]) -> None:
        """Write the next rows: (n, product, chan) means and weights that broadcast to them."""
        n = len(data)
        if self._rows + self._held + n > self._shape[0]:
            raise UsageError(f"more rows than the {self._shape[0]} announced")
        weight = np.broadcast_to(weight, (n, *self._weight_shape[1:]))
        done = 0
        while done < n:
            count = min(n - done, len(self._buffer) - self._held)
            place = slice(self._held, self._held + count)
            self._buffer[place] = data[done : done + count]
            self._weight_buffer[place] = weight[done : done + count]
            self._held += count
            done += count
            if self._held == len(self._buffer):
                self._flush()

    def _flush(self) -> None:
        job = _Job(self._rows, self._held, self._buffer, self._weight_buffer)
        try:
            self._line.put(job)
        except (OSError, RuntimeError, ValueError) as error:
            raise self._fail(error) from error
        self._buffer, self._weight_buffer = self._buffers()
        self._rows += self._held
        self._held = 0

    def _prepare(self, job: _Job) -> _Prepared:
        """Do everything that does not need HDF5."""
        values, weight, sums = job.buffer[: job.n], job.weight_buffer[: job.n], None
        if self._sums is not None:
            wide = weight.astype(np.float64)
            sums = (np.where(wide > 0, values, 0) * wide).sum(axis=0), wide.sum(axis=0)
        encoded = None if self._codes is None else self._codes.encode(values)
        data = values if encoded is None else encoded.codes
        return _Prepared(data, self._data_rows.pack(job.first, data),
                         self._weight_rows.pack(job.first, weight), sums, encoded)

    def _store(self, job: _Job, prepared: _Prepared) -> None:
        if job.first + job.n > self._data.shape[0]:
            self._resize(job.first + job.n)
        if self._sums is not None and prepared.sums is not None:
            for total, part in zip(self._sums, prepared.sums, strict=True):
                total += part
        if self._codes is not None and prepared.encoded is not None:
            self._codes.store(job.first, prepared.encoded)
        self._data_rows.store(job.first, prepared.values, prepared.data)
        self._weight_rows.store(job.first, job.weight_buffer[: job.n], prepared.weight)
        self._free.append((job.buffer, job.weight_buffer))

    def _resize(self, n_row: int) -> None:
        for dataset in (self._data, self._weights):
            dataset.resize(n_row, axis=0)

    def end_at(self, n_row: int) -> None:
        """Accept that there are only `n_row` rows, which have all been appended."""
        if self._codes is not None and n_row != self._shape[0]:
            raise UsageError(f"bits = {self._bits} and {n_row} of {self._shape[0]} rows; allowed: "
                             "32, if rows may end early")
        self._shape = (n_row, *self._shape[1:])

    def add_columns(self, stream: SpectrumStream) -> None:
        """Write the columns of a stream as datasets of the group /rows."""
        try:
            write_columns(self._file, stream)
        except (OSError, RuntimeError, ValueError) as error:
            raise self._fail(error) from error

    def _fill_blanks(self) -> None:
        """Replace values without valid samples by the means of channels, chunk by chunk."""
        if self._sums is None:
            return
        with np.errstate(invalid="ignore"):
            means = (self._sums[0] / self._sums[1]).astype(np.float32)
        for first in range(0, self._shape[0], self._chunks[0]):
            rows = slice(first, min(first + self._chunks[0], self._shape[0]))
            lost = self._weights[rows] == 0
            if lost.any():
                self._data[rows] = np.where(lost, means, self._data[rows])

    def _stop(self) -> None:
        self._line.close()

    def close(self) -> None:
        """Finish the file and give it its name."""
        if self._held:
            self._flush()
        with self._finishing(self._rows, self._shape[0]):
            self._line.drain()
            self._line.close()
            if self._data.shape[0] != self._rows:
                self._resize(self._rows)
            if self._file["time"].shape[0] != self._rows:
                _write_times(self._file["time"], self._rows, self._tsamp)
            self._fill_blanks()
            levels = () if self._codes is None else self._codes.datasets
            if self._codes is not None:
                self._codes.finish()
            for dataset in (self._data, self._weights, *levels):
                dataset.flush()  # in this order, so that equal inputs give equal bytes


def _filters(compression: str) -> dict[str, Any]:
    if compression == "bitshuffle":
        import hdf5plugin

        return dict(hdf5plugin.Bitshuffle(nelems=0, cname="lz4"))
    return {"compression": "gzip", "shuffle": True} if compression == "gzip" else {}


def _check_options(compression: str, blank: str, bits: int) -> None:
    if compression not in COMPRESSIONS:
        raise UsageError(f"compression = {compression!r}; allowed: {', '.join(COMPRESSIONS)}")
    if blank not in BLANKS:
        raise UsageError(f"blank = {blank!r}; allowed: {', '.join(BLANKS)}")
    if bits not in BITS:
        raise UsageError(f"bits = {bits!r}; allowed: {', '.join(map(str, BITS))}")
    if bits == 8 and blank != "nan":
        raise UsageError(f"blank = {blank!r} with bits = 8; allowed: nan, written as the code of "
                         "the segment's mean")


def _cards(header: Header, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return the SIGPROC attributes of /data, and exact values in addition to rounded ones."""
    axis = header.channels
    if axis is None:
        raise UsageError("spectra need a frequency axis to be written")
    start, rest = metadata.exact_start(header.start_time)
    pol = header.polarization
    numbers = {name: number for number, name in TELESCOPES.items()}
    half = -1 if axis.half_channel is None else axis.half_channel
    cards = {
        "nchans": shape[2], "nifs": shape[1], "nbits": header.n_bits, "data_type": 1, "nbeams": 1,
        "machine_id": 0, "telescope_id": numbers.get(header.telescope or "Fake", 0),
        "ibeam": -1 if header.beam is None else header.beam,
        "fch1": float(axis.first_hz / 10**6), "foff": float(axis.step_hz / 10**6),
        "tstart": _day_and_part(start), "tsamp": float(1 / header.sample_rate),
        "source_name": header.source or "unknown", "rawdatafile": "",
        "telescope": header.telescope or "", "receiver": header.receiver or "",
        "backend": header.backend or "",
        "start_time": start, "start_time_rest_s": rest, "sample_rate_hz": str(header.sample_rate),
        "fch1_hz": str(axis.first_hz), "foff_hz": str(axis.step_hz),
        "n_sum": header.n_sum, "half_channel": half,
        "products": ",".join(pol.names), "feed": pol.kind, "handedness": pol.handedness,
        "frame": pol.frame, "sign_q": pol.sign_q, "sign_v": pol.sign_v,
        "cross_products": "CR + i CI = <A* B>",
        "scale": "white noise of variance s^2 gives a mean power of s^2",
    }
    if header.unit is not None:
        cards["units"] = header.unit
    if header.specsys is not None:
        cards["specsys"] = SPECSYS.get(header.specsys, header.specsys)
    if header.rest_hz is not None:
        cards["rest_frequency_hz"] = header.rest_hz
    if header.dm is not None:
        reference = header.dm_reference_hz
        cards |= {"refdm": header.dm, "dispersion_constant": float(header.dispersion_constant),
                  "dm_reference_mhz": np.inf if reference is None else float(reference / 10**6)}
    if header.coherent_dm is not None:
        cards |= {"coherent_dm": header.coherent_dm,
                  "dispersion_constant": float(header.dispersion_constant)}
    # turboSETI requires both: 0 and 0 mean no position, as in SIGPROC's programs.
    cards |= {"src_raj": 0.0, "src_dej": 0.0}
    if header.ra_deg is not None and header.dec_deg is not None:
        cards |= {"src_raj": header.ra_deg / 15, "src_dej": header.dec_deg,
                  "ra_deg": header.ra_deg, "dec_deg": header.dec_deg}
    return {key: np.bytes_(value.encode()) if isinstance(value, str) and value
            else (np.bytes_(b" ") if value == "" else value) for key, value in cards.items()}


def _day_and_part(start: str) -> float:
    """Return the MJD as day number plus seconds of day / 86400, from ISO text.

    SIGPROC's readers expect this. astropy's own MJD stretches a day with a leap second, which would
    shift the start by up to a second on such a day.
    """
    day, clock = start.split("T")
    hours, minutes, seconds = clock.split(":")
    part = Fraction(seconds) + 60 * int(minutes) + 3600 * int(hours)
    midnight = np.datetime64(day, "D") - np.datetime64("1858-11-17", "D")
    return float(int(midnight.astype(int)) + part / 86400)


def _times(n_row: int, tsamp: float) -> NDArray[np.float64]:
    return np.arange(n_row, dtype=np.float64) * tsamp


def _write_times(dataset: h5py.Dataset, n_row: int, tsamp: float) -> None:
    """Write the axis of time of as many rows as came."""
    dataset.resize(n_row, axis=0)
    for first in range(0, n_row, _TIMES):
        stop = min(first + _TIMES, n_row)
        dataset[first:stop] = np.arange(first, stop, dtype=np.float64) * tsamp
    dataset.flush()


def _write_axes(file: h5py.File, data: h5py.Dataset, header: Header) -> None:
    """Write dimension scales of all three axes, with the labels that other readers expect."""
    axis = header.channels
    centers = np.arange(data.shape[2]) if axis is None else axis.centers.value
    start, _ = metadata.exact_start(header.start_time)
    names = np.array([name.encode() for name in header.polarization.names])
    seconds = _times(data.shape[0], float(1 / header.sample_rate))
    axes = {
        "time": (seconds, f"seconds since {start.replace('T', ' ')}"),
        "feed_id": (names, ""),
        "frequency": (centers, "MHz"),
    }
    for index, (name, (values, unit)) in enumerate(axes.items()):
        chunk = max(1, min(len(values) or _TIMES, 2**18))
        scale = metadata.create(file, name, values, (chunk,), extendable=index == 0)
        if unit:
            scale.attrs.create("units", np.bytes_(unit))
        scale.make_scale(name)
        data.dims[index].attach_scale(scale)
        # HDF5 crashes on labels of fixed length: only these are variable-length strings. They
        # are stored in a heap without checksums, so our reader never reads them.
        data.dims[index].label = name
