"""fastsig's own voltage files: HDF5 with contiguous samples (layout in docs/native-format.md).

Samples are read by positioned reads at the offsets that HDF5 chose; HDF5 itself is used only for
the header, the valid spans and the checksums.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from fastsig.axes import validity
from fastsig.axes.validity import Spans
from fastsig.errors import DataError, FormatError, unreadable
from fastsig.io.files.positioned import octets, read_into
from fastsig.io.hdf5 import metadata
from fastsig.io.hdf5.opening import numbers, open_file, reading, text
from fastsig.io.probe import Probe
from fastsig.stream import VoltageStream
from fastsig.stream.header import Header, split_overrides
from fastsig.stream.raw_voltages import IntegerPairs

__all__ = ["CLASS", "CRC_BLOCK", "DTYPES", "KINDS", "NAME", "VERSION", "NativeVoltages", "open",
           "sniff"]

NAME, KINDS = "native", ("voltage",)
CLASS = "FASTSIG_VOLTAGE"
VERSION = (1, 1)
CRC_BLOCK = 2**23
DTYPES: dict[int, np.dtype[Any]] = {8: np.dtype("<i1"), 16: np.dtype("<i2"), 32: np.dtype("<f4")}


def sniff(probe: Probe) -> bool:
    """Whether the class of the root group is that of this format."""
    return probe.is_hdf5 and probe.root[0].get("CLASS") == CLASS


def open(path: str | os.PathLike[str], **overrides: Any) -> NativeVoltages:
    """Open a native voltage file as a stream.

    Raises
    ------
    FormatError
        If the file is truncated, corrupt, or of another major version.
    """
    common, _ = split_overrides(overrides, (), NAME)
    return NativeVoltages(os.fspath(path), common)


class NativeVoltages(VoltageStream):
    """The voltages of a native file.

    `truth` is the record of a simulator, `provenance` that of the inputs of a file.
    """

    checksummed = True

    def __init__(self, path: str, overrides: Mapping[str, Any]) -> None:
        with open_file(path) as file:
            _check_version(file, path)
            header = metadata.header_from_record(metadata.read_json(file, "header", path), path)
            self.truth = metadata.read_optional_json(file, "truth", path)
            self.provenance = metadata.read_optional_json(file, "provenance", path)
            with reading(path, "the voltage datasets"):
                parts = [_part(file, pol, header, path)
                         for pol in range(header.polarization.n_pol)]
        if not parts:
            raise FormatError(path, "the header names no polarisation")
        self._offsets = [part[1] for part in parts]
        self._spans = [part[2] for part in parts]
        self._crc = [part[3] for part in parts]
        shape = parts[0][0]
        if any(part[0] != shape for part in parts):
            raise FormatError(path, f"polarisations differ in shape: {[p[0] for p in parts]}")
        self._raw = DTYPES[header.n_bits]
        self._row_items = int(np.prod(shape[1:]))
        rows = shape[:-1] if header.is_complex else shape
        dtype = np.dtype("c8") if header.is_complex else self._raw
        super().__init__(header.overridden(overrides), (rows[0], len(parts), *rows[1:]), dtype,
                         path)
        try:
            self._descriptor = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise unreadable(path, error) from error
        size = os.fstat(self._descriptor).st_size
        if any(offset + self._bytes(shape[0]) > size for offset in self._offsets):
            self.close()
            raise FormatError(path, f"truncated: samples reach beyond its {size} bytes")

    def _bytes(self, n: int) -> int:
        return int(n * self._row_items * self._raw.itemsize)

    def valid_spans(self) -> tuple[Spans, ...] | None:
        """Return the spans in the file; None for float samples."""
        return None if self._raw.kind == "f" else tuple(self._spans)

    def valid_fraction(self) -> float | None:
        """Return the share of valid samples from the spans in the file; None for float samples."""
        if self._raw.kind == "f" or not self.shape[0]:
            return None
        valid = sum(validity.count(spans) for spans in self._spans)
        return valid / (self.shape[0] * self.shape[1])

    def _read(self, start: int, n: int, out: NDArray[Any]) -> tuple[Spans, ...]:
        descriptor = self._open_descriptor()
        for pol, offset in enumerate(self._offsets):
            samples = out[:, pol]
            place = offset + self._bytes(start)
            if not self.header.is_complex and samples.flags.c_contiguous:
                read_into(descriptor, samples, place, self.path)
                continue
            raw = np.empty((n, self._row_items), self._raw)
            read_into(descriptor, raw, place, self.path)
            if self.header.is_complex:
                pairs = raw.reshape(*samples.shape, 2)
                samples.real, samples.imag = pairs[..., 0], pairs[..., 1]
            else:
                samples[...] = raw.reshape(samples.shape)
        return tuple(validity.clip(spans, start, start + n) for spans in self._spans)

    def as_recorded(self) -> VoltageStream:
        """Return complex integers as pairs of integers."""
        pairs = self.header.is_complex and self._raw.kind == "i"
        return IntegerPairs(self, self._raw) if pairs else self

    def _read_recorded(self, start: int, n: int, out: NDArray[Any]) -> tuple[Spans, ...]:
        for pol, offset in enumerate(self._offsets):
            samples = out[:, pol]
            whole = samples.flags.c_contiguous
            raw = samples if whole else np.empty(samples.shape, self._raw)
            read_into(self._open_descriptor(), raw, offset + self._bytes(start), self.path)
            if not whole:
                samples[...] = raw
        return tuple(validity.clip(spans, start, start + n) for spans in self._spans)

    def _open_descriptor(self) -> int:
        if self._descriptor < 0:
            raise DataError(self.path, "the stream is closed")
        return self._descriptor

    def verify(self) -> None:
        """Compare every block of samples with its CRC-32."""
        total = self._bytes(self.shape[0])
        for pol, (offset, expected) in enumerate(zip(self._offsets, self._crc, strict=True)):
            for index, first in enumerate(range(0, total, CRC_BLOCK)):
                block = np.empty(min(CRC_BLOCK, total - first), np.uint8)
                read_into(self._descriptor, block, offset + first, self.path)
                if zlib.crc32(octets(block)) != expected[index]:
                    row = self._bytes(1)
                    raise DataError(
                        self.path,
                        f"checksum of polarisation {pol} fails somewhere in samples "
                        f"{first // row} to {(first + len(block)) // row}",
                    )

    def close(self) -> None:
        """Close the file."""
        descriptor, self._descriptor = getattr(self, "_descriptor", -1), -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()


def _check_version(file: h5py.File, path: str) -> None:
    with reading(path, "its version"):
        found = text(file.attrs["VERSION"])
        major = int(found.split(".")[0])
    if major != VERSION[0]:
        raise FormatError(path, f"version {found}; this release reads {VERSION[0]}.x")


def _part(
    file: h5py.File, pol: int, header: Header, path: str
) -> tuple[tuple[int, ...], int, Spans, NDArray[np.uint32]]:
    """Return shape, byte offset, valid spans and CRC table of one polarisation."""
    dataset = numbers(file, f"voltage/{pol}", path)
    channels = header.channels.n_chan if header.channels is not None else 1
    ndim = 1 + (channels > 1) + header.is_complex
    if header.n_bits not in DTYPES or dataset.dtype != DTYPES[header.n_bits]:
        raise FormatError(path, f"/voltage/{pol} is {dataset.dtype}, not {header.n_bits} bits")
    if dataset.ndim != ndim or (header.is_complex and dataset.shape[-1] != 2) or (
            channels > 1 and dataset.shape[1] != channels):
        raise FormatError(path, f"/voltage/{pol} has the shape {dataset.shape}")
    offset = dataset.id.get_offset()
    if dataset.chunks is not None or (offset is None and dataset.size):
        raise FormatError(path, f"/voltage/{pol} is not contiguous")
    spans = numbers(file, f"valid/{pol}", path)[()]
    if spans.ndim != 2 or spans.shape[1:] != (2,) or not _in_order(spans, dataset.shape[0]):
        raise FormatError(path, f"/valid/{pol} does not contain sorted spans of the samples")
    crc = numbers(file, f"crc32/{pol}", path)[()]
    if crc.shape != (-(-dataset.nbytes // CRC_BLOCK),):
        raise FormatError(path, f"/crc32/{pol} has the shape {crc.shape}")
    return dataset.shape, offset or 0, spans.astype(np.int64), crc


def _in_order(spans: NDArray[np.int64], n: int) -> bool:
    flat = spans.ravel()
    inside = not flat.size or bool(flat[0] >= 0 and flat[-1] <= n)
    return inside and bool(np.all(np.diff(flat) >= 0))
