"""The writer of native files: contiguous samples, valid spans, checksums.

HDF5 creates the file and allocates the samples, which are then written by positioned writes.
"""

from __future__ import annotations

import errno
import os
import zlib
from collections.abc import Mapping
from typing import Any, ClassVar

import h5py
import numpy as np
from numpy.typing import NDArray

from fastsig.axes import validity
from fastsig.axes.validity import Spans
from fastsig.errors import UsageError
from fastsig.io.files.outputs import Writer, output_names
from fastsig.io.files.positioned import octets, write_from
from fastsig.io.files.room import has_room, margin
from fastsig.io.files.safe import SafeOutput
from fastsig.io.hdf5 import metadata
from fastsig.io.hdf5.announced import AnnouncedFile
from fastsig.io.hdf5.shortened import Place, punch, shorten
from fastsig.io.native.reader import CLASS, CRC_BLOCK, DTYPES, VERSION
from fastsig.io.voltages.writing import VoltageWriter
from fastsig.stream import Block
from fastsig.stream.header import Header

__all__ = ["NativeTarget", "NativeWriter"]

_TABLES = 2**18  # bytes of the spans and of the headers of tables


class NativeWriter(AnnouncedFile, Writer):
    """Write a native voltage file, rows in order, crash-safe.

    A context manager: the file gets its name if the block ends without an error, and is removed
    otherwise.

    Parameters
    ----------
    path : path
        Final name.
    header : Header
        `n_bits` 8 or 16 (integers) or 32 (float32).
    n_time : int
        Number of rows to be written.
    truth : mapping, optional
        JSON-ready record of a simulator.
    provenance : mapping, optional
        JSON-ready record of how the samples were made.
    overwrite : bool
        Whether an existing file may be replaced.
    early : bool
        Whether the file may end early (`end_at`). No space is then reserved for the rows, and a
        disk without more room than the margin for other products (`room.margin`) only ends the
        file: `is_full` is true, and further rows are left out.

    Raises
    ------
    OutputError
        If the file exists or cannot be written.
    """

    def __init__(
        self, path: str | os.PathLike[str], header: Header, n_time: int, *,
        truth: Mapping[str, Any] | None = None, provenance: Mapping[str, Any] | None = None,
        overwrite: bool = False, early: bool = False,
    ) -> None:
        if header.n_bits not in DTYPES:
            raise UsageError(f"native files have 8, 16 or 32 bits, not {header.n_bits}")
        axis = header.channels
        chan = (axis.n_chan,) if axis is not None and axis.n_chan > 1 else ()
        self._raw = DTYPES[header.n_bits]
        self._shape = (n_time, *chan, *((2,) if header.is_complex else ()))
        self._row = int(np.prod(self._shape[1:])) * self._raw.itemsize
        n_pol = header.polarization.n_pol
        self._header, self._n_time, self._written = header, n_time, 0
        self._announced = n_time
        self._spans: list[list[Spans]] = [[] for _ in range(n_pol)]
        self._crc = [[0] for _ in range(n_pol)]
        # Length and last number of each table before the rows appended last.
        self._before = [(1, 0)] * n_pol
        size = n_time * self._row * n_pol + 2**16
        self._early, self.is_full = early, False
        self._output = SafeOutput(path, overwrite=overwrite, reserve=0 if early else size)
        self._margin = margin(self._output.descriptor)
        try:
            self._file = self._create(n_pol, {"truth": truth, "provenance": provenance})
        except (OSError, RuntimeError, ValueError) as error:
            self._output.discard()
            raise self._output.error(error, poisoned=True) from error
        except BaseException:
            self._output.discard()
            raise
        if early:
            self._reserve_tables(size - 2**16)
        else:
            metadata.reserve(self._output, size)

    def _reserve_tables(self, n_byte: int) -> None:
        """Reserve space for what is written when the file ends, even if the disk is full then."""
        try:
            self._file.flush()
            os.posix_fallocate(self._output.descriptor, n_byte, _TABLES + n_byte // CRC_BLOCK * 8)
        except (OSError, RuntimeError, ValueError) as error:
            raise self._fail(error) from error

    def _create(self, n_pol: int, records: Mapping[str, Any]) -> h5py.File:
        file = h5py.File(self._output.temporary, "w", libver=("v110", "v110"), locking=False)
        file.attrs.create("CLASS", np.bytes_(CLASS))
        file.attrs.create("VERSION", np.bytes_(".".join(map(str, VERSION))))
        metadata.write_json(file, "header", metadata.header_record(self._header))
        for name, record in records.items():
            if record is not None:
                metadata.write_json(file, name, record)
        early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        early.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        early.set_obj_track_times(False)
        group = file.create_group("voltage")
        space = h5py.h5s.create_simple(self._shape)
        self._offsets = []
        for pol in range(n_pol):
            made = h5py.h5d.create(group.id, str(pol).encode(), h5py.h5t.py_create(self._raw),
                                   space, dcpl=early)
            self._offsets.append(made.get_offset() or 0)
        return file

    def append(self, data: NDArray[Any], valid: tuple[Spans, ...] | None = None) -> None:
        """Write the next rows.

        Parameters
        ----------
        data : ndarray, shape (n, pol[, chan][, 2])
            Integers (or float32) as recorded.
        valid : tuple of Spans, optional
            Absolute valid spans of each polarisation within these rows; by default, all are valid.
        """
        n = len(data)
        expected = (n, len(self._offsets), *self._shape[1:])
        if data.shape != expected or data.dtype != self._raw:
            raise UsageError(f"rows of {data.dtype} {data.shape}, not {self._raw} {expected}")
        if self._written + n > self._n_time:
            raise UsageError(f"more rows than the {self._n_time} announced")
        if self._early and not has_room(self._output.descriptor, data.nbytes + self._margin):
            self.is_full = True
        if self.is_full:
            return
        start = self._written
        for pol, offset in enumerate(self._offsets):
            samples = np.ascontiguousarray(data[:, pol])
            spans = validity.full(start, start + n) if valid is None else valid[pol]
            self._spans[pol].append(validity.clip(spans, start, start + n))
            self._checksum(pol, samples)
            try:
                write_from(self._output.descriptor, samples, offset + start * self._row)
            except OSError as error:
                if self._early and error.errno in (errno.ENOSPC, errno.EDQUOT):
                    self._forget_rows(pol)
                    return
                raise self._fail(error) from error
        self._written += n

    @property
    def n_written(self) -> int:
        """Number of rows that have been written."""
        return self._written

    def _forget_rows(self, last: int) -> None:
        """Leave out the rows that are being appended, as the disk is full."""
        self.is_full = True
        for pol in range(last + 1):
            self._spans[pol].pop()
            length, self._crc[pol][self._before[pol][0] - 1] = self._before[pol]
            del self._crc[pol][length:]

    def _checksum(self, pol: int, samples: NDArray[Any]) -> None:
        view = octets(samples)
        table, place = self._crc[pol], self._written * self._row
        self._before[pol] = len(table), table[-1]
        while len(view):
            left = CRC_BLOCK - place % CRC_BLOCK
            table[-1] = zlib.crc32(view[:left], table[-1])
            place += min(left, len(view))
            view = view[left:]
            if place % CRC_BLOCK == 0:
                table.append(0)

    def end_at(self, n_time: int) -> None:
        """Accept that there are only `n_time` rows, all of which have been appended.

        If the disk was full, there are only those that were written before.
        """
        n_time = min(n_time, self._written)
        self._places = [Place(h5py.h5o.get_info(self._file["voltage"][str(pol)].id).addr, offset)
                        for pol, offset in enumerate(self._offsets)]
        self._announced, self._n_time = self._n_time, n_time

    def _closed(self) -> None:
        """Shorten the samples of a file that ended early, which the library has closed."""
        if self._n_time == self._announced:
            return
        size, room = self._n_time * self._row, self._announced * self._row
        for place in self._places:
            shorten(self._output.descriptor, self._output.path, place, self._n_time, size)
            punch(self._output.descriptor, place.data + size, room - size)

    def close(self) -> None:
        """Finish the file and give it its name."""
        with self._finishing(self._written, self._n_time):
            self._write_tables()

    def _write_tables(self) -> None:
        size = self._n_time * self._row
        for pol, table in enumerate(self._crc):
            crc = np.array(table[: -(-size // CRC_BLOCK)], np.uint32)
            spans = validity.as_spans(np.concatenate([validity.full(0, 0), *self._spans[pol]]))
            metadata.create(self._file, f"crc32/{pol}", crc, (max(1, len(crc)),))
            metadata.create(self._file, f"valid/{pol}", spans, (max(1, len(spans)), 2))


class NativeTarget(VoltageWriter):
    """Writer of any voltages in a native file of 8, 16 or 32 bits, which loses nothing."""

    NAME = "native"
    OFFERS: ClassVar = {8: None, 16: None, 32: None}
    OPEN_END = True
    ENDS_WHEN_FULL = True

    def _carried(self) -> frozenset[str]:
        return frozenset(("channels", "telescope", "receiver", "backend", "source", "beam",
                          "ra_deg", "feed", "diode", "cards"))

    def _check(self) -> None:
        if self.recording.n_chan > 1:
            self.recording.header.require_channels(self.recording.path)

    def _lay_out(self, file_bytes: int | None) -> None:
        if file_bytes is not None:
            raise UsageError("native files are not split; allowed: no file size")
        recording = self.recording
        n = recording.shape[0]
        self._shape = (*recording.shape[1:], *((2,) if recording.header.is_complex else ()))
        row = int(np.prod(self._shape)) * self.n_bits // 8
        self.rows, self.piece = (0, n), max(1, 2**22 // row)
        self.files = [(output_names(self.path, 1)[0], n * row + 2**16)]

    def _begin(self, overwrite: bool) -> None:
        recording = self.recording
        self._writer = NativeWriter(
            self.files[0][0], recording.header.replace(n_bits=self.n_bits), recording.shape[0],
            overwrite=overwrite, early=recording.early, **(recording.records or {}),
        )

    def encode(self, block: Block) -> tuple[NDArray[Any], tuple[Spans, ...]]:
        """Return rows for `NativeWriter.append`, each polarisation contiguous."""
        numbers = self.codes(self.numbers(block), DTYPES[self.n_bits])
        each = np.ascontiguousarray(numbers.swapaxes(0, 1)).swapaxes(0, 1)
        return each.reshape(len(numbers), *self._shape), block.valid

    def write(self, piece: tuple[NDArray[Any], tuple[Spans, ...]]) -> None:
        """Write rows."""
        self._writer.append(*piece)
        self.is_full = self._writer.is_full

    def end_at(self, n_row: int) -> None:
        """Accept that there are only `n_row` rows, all of which have been written."""
        self._writer.end_at(n_row)
        self.is_empty = self.is_full and not self._writer.n_written

    def close(self) -> None:
        """Finish the file and give it its name."""
        self._writer.close()

    def discard(self) -> None:
        """Remove the file."""
        self._writer.discard()

    def abandon(self) -> None:
        """Give up if HDF5 cannot be called again."""
        self._writer.abandon()
