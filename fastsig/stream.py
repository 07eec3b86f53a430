"""What a file and a stage have in common: a header, a shape and blocks to read.

Three kinds of stream follow one another on the way from voltages to spectra::

    VoltageStream    (time, pol) or (time, pol, chan)   valid: spans of samples, per polarisation
    FrameStream      (frame, pol, chan), complex64      valid: energy of each frame
    SpectrumStream   (time, product, chan)              valid: weight of each spectrum

`read_block` is stateless and safe from any number of threads; `seek`, `tell` and `read` sit on
top. Blocks are read-only once handed on.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from astropy import units as u
from astropy.time import Time
from numpy.typing import DTypeLike, NDArray

from fastsig import validity
from fastsig.errors import UsageError
from fastsig.header import Header
from fastsig.polarization import PolBasis
from fastsig.time import sample_time
from fastsig.validity import Spans

__all__ = [
    "Block",
    "Codes",
    "FrameStream",
    "SpectrumStream",
    "Stream",
    "Sums",
    "VoltageStream",
]


@dataclass(frozen=True)
class Block:
    """A piece of a stream.

    Parameters
    ----------
    data : ndarray, shape (n, pol or product[, chan])
        Voltages as recorded (0 where invalid), complex64 frames, or float32 mean spectra (NaN
        where the weight is 0). Read-only.
    valid : tuple of Spans, or ndarray
        Voltages: one set of absolute sample spans a polarisation. Frames: float64 energies,
        (n, 1) or (n, 3) for A, B and both. Spectra: float32 weights that broadcast against data.
    start, n : int
        First row and number of rows.
    """

    data: NDArray[Any]
    valid: Any
    start: int
    n: int


@dataclass(frozen=True)
class Sums:
    """The additive form of spectra: mean = total / weight, whatever was added up.

    Parameters
    ----------
    total : ndarray, shape (n, product, chan), float32 or float64
        Sums over valid contributions; 0 where there are none.
    weight : ndarray, shape (n, product, 1 or chan), float64
        Sums of what the contributions count, at most the stream's ``header.n_sum``.
    """

    total: NDArray[Any]
    weight: NDArray[np.float64]


class Codes(NamedTuple):
    """The least and the most of the whole numbers that all values of a stream are."""

    low: int
    high: int


class Stream(ABC):
    """Rows on an exact clock; see the module's text for the kinds there are.

    Parameters
    ----------
    header : Header
        What the rows are.
    shape : tuple of int
        (row, pol or product[, chan]).
    dtype : dtype
        Type of the rows that `read_block` returns.
    path : str
        The file the rows come from in the end; what an error message begins with.
    overrides : mapping
        What the user gave in place of the file's own header.
    """

    kind = "stream"

    #: Name of the format of a file that `fastsig.open` opened; empty for stages.
    format_name = ""

    def __init__(
        self, header: Header, shape: tuple[int, ...], dtype: DTypeLike, path: str
    ) -> None:
        self.header = header
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.path = path
        self.overrides: Mapping[str, str] = {}
        self._position = 0

    @property
    def sample_rate(self) -> u.Quantity:
        """Rows a second, Hz; the exact rational is ``header.sample_rate``."""
        return float(self.header.sample_rate) << u.Hz

    @property
    def start_time(self) -> Time:
        """UTC of row 0."""
        return self.header.start_time

    @property
    def stop_time(self) -> Time:
        """UTC of the end of the last row."""
        return self.time_of(self.shape[0])

    @property
    def duration(self) -> u.Quantity:
        """Length in time, s."""
        return float(Fraction(self.shape[0]) / self.header.sample_rate) << u.s

    @property
    def frequency(self) -> u.Quantity | None:
        """Channel centres, MHz, ascending; None where the file does not tell."""
        return None if self.header.channels is None else self.header.channels.centers

    @property
    def polarization(self) -> PolBasis:
        """Meaning of the polarisation axis."""
        return self.header.polarization

    def time_of(self, row: int) -> Time:
        """UTC of the start of a row."""
        return sample_time(self.header.start_time, row, self.header.sample_rate)

    @property
    @abstractmethod
    def row_bytes(self) -> int:
        """Memory that reading one row costs, for the planner."""

    def work_bytes(self, n: int) -> int:
        """Memory that a thread takes to make `n` rows, for the planner."""
        return n * self.row_bytes

    @abstractmethod
    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Rows `start` to ``start + n - 1``, the same whatever was read before."""

    @property
    def segment_rows(self) -> int:
        """Rows that are best read together, beginning with a multiple of this."""
        return 1

    def inputs(self) -> tuple[Stream, ...]:
        """Streams that this one reads; none for a file."""
        return ()

    def needs(self, start: int, n: int) -> tuple[int, int]:
        """First row and number of rows of the input that rows from `start` on are made of."""
        return start, n

    def parameters(self) -> Mapping[str, Any]:
        """What decides this stage's numbers, for the product's provenance."""
        return {}

    #: Whether products tell of this stage; not where it changes no number.
    recorded = True

    #: Whether the file holds checksums of its samples.
    checksummed = False

    @property
    def files(self) -> list[str]:
        """Paths of the files that hold the rows."""
        return [self.path]

    def verify(self) -> None:
        """Read all of the file; raise `DataError` where it cannot be read or a checksum fails."""
        if self.inputs():
            for stream in self.inputs():
                stream.verify()
            return
        rows = max(1, 2**24 // max(1, self.row_bytes))
        for start in range(0, self.shape[0], rows):
            self.read_block(start, min(rows, self.shape[0] - start))

    def close(self) -> None:
        """Give back files; streams are also closed when collected."""
        for stream in self.inputs():
            stream.close()

    def seek(self, row: int) -> int:
        """Move to a row; negative counts from the end."""
        target = row + self.shape[0] if row < 0 else row
        if not 0 <= target <= self.shape[0]:
            raise UsageError(f"row {row} is outside a stream of {self.shape[0]} rows")
        self._position = target
        return target

    def tell(self) -> int:
        """The row that `read` starts at."""
        return self._position

    def read(self, n: int = -1) -> Block:
        """The next `n` rows (all that are left by default)."""
        left = self.shape[0] - self._position
        n = left if n < 0 else min(n, left)
        block = self.read_block(self._position, n)
        self._position += n
        return block

    def _check_range(self, start: int, n: int) -> None:
        if start < 0 or n < 0 or start + n > self.shape[0]:
            raise UsageError(
                f"rows {start} to {start + n} are outside a stream of {self.shape[0]} rows"
            )


class VoltageStream(Stream):
    """Voltages; a format implements `_read` alone.

    Integer real samples come as recorded; complex ones as complex64.
    """

    kind = "voltage"

    #: Whether floating-point samples may be other than finite: False where integers are decoded.
    may_have_nan = True

    #: Values of the parts of samples, where these are not the whole numbers of `header.n_bits`.
    levels: tuple[float, ...] | None = None

    @abstractmethod
    def _read(self, start: int, n: int, out: NDArray[Any]) -> tuple[Spans, ...]:
        """Fill `out` with rows and return the valid spans of each polarisation."""

    @property
    def row_bytes(self) -> int:
        """Bytes of one row in memory."""
        return int(np.prod(self.shape[1:])) * self.dtype.itemsize

    @property
    def n_pol(self) -> int:
        """Number of polarisations."""
        return self.shape[1]

    def empty(self, n: int) -> NDArray[Any]:
        """A buffer for `n` rows in which every polarisation is contiguous."""
        first = np.empty((self.shape[1], n, *self.shape[2:]), self.dtype)
        return first.swapaxes(0, 1)

    def as_recorded(self) -> VoltageStream:
        """The same voltages with complex samples as recorded, where a format can give those.

        Samples then are pairs of integers on a last axis, or codes packed in bytes, a quarter of
        the memory or less: for kernels that convert them in registers.
        """
        return self

    def narrowed(self, first: int, stop: int) -> VoltageStream | None:
        """Channels `first` to ``stop - 1`` alone, where a format can read these and no others."""
        return None

    @property
    def layout(self) -> dict[str, Any]:
        """How samples lie in the memory of `empty`: parameters of `fastsig_kernels.Layout`."""
        kind = "float32" if self.dtype.kind == "c" else self.dtype.name
        return {"kind": kind, "is_complex": self.header.is_complex}

    #: Rows that can be read begin at multiples of this.
    row_step = 1

    #: What stands for no signal.
    zero = 0

    #: Whether blocks have no signal where they are not valid.
    blanked = True

    def valid_fraction(self) -> float | None:
        """Share of valid samples where the file's headers alone tell; else None."""
        return None

    def valid_spans(self) -> tuple[Spans, ...] | None:
        """Valid spans of each polarisation where the file's headers alone tell; else None."""
        return None

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Rows and valid spans; non-finite samples are invalid and invalid samples are 0.

        `out`, of shape (n, pol[, chan]) and this stream's dtype, takes the rows where given.
        """
        self._check_range(start, n)
        data = self.empty(n) if out is None else out[:n]
        spans = list(self._read(start, n, data))
        for pol, valid in enumerate(spans):
            samples = data[:, pol]
            if self.may_have_nan and self.dtype.kind in "fc":
                finite = np.isfinite(samples)
                mask = finite if finite.ndim == 1 else finite.all(axis=1)
                if not mask.all():
                    valid = validity.intersect(valid, validity.from_mask(mask, start))
            validity.zero_invalid(samples, valid, start, self.zero)
            spans[pol] = valid
        view = data.view()
        view.flags.writeable = False
        return Block(view, tuple(spans), start, n)


class FrameStream(Stream):
    """Channelised voltages: complex64 (frame, pol, chan) with an energy for each frame."""

    kind = "frames"

    @property
    def row_bytes(self) -> int:
        """Bytes of one frame in memory."""
        return int(np.prod(self.shape[1:])) * 8


class SpectrumStream(Stream):
    """Spectra; a stage implements `read_sums`, a format `read_block`."""

    kind = "spectra"
    sum_dtype: type = np.float64

    @property
    def weight_channels(self) -> int:
        """Length of the weights' channel axis: 1, or the number of channels."""
        return 1

    def narrowed(self, first: int, stop: int) -> SpectrumStream | None:
        """Channels `first` to ``stop - 1`` alone, where a format can read these and no others."""
        return None

    @property
    def columns(self) -> Mapping[str, str]:
        """Names and units of what is known of each row beside its values, of `read_columns`.

        Those of the input, where that has as many rows.
        """
        source = self._same_rows()
        return {} if source is None else source.columns

    def read_columns(self, start: int, n: int) -> dict[str, NDArray[np.float64]]:
        """What `columns` names of rows `start` to ``start + n - 1``, each (n,), at their middle."""
        source = self._same_rows()
        return {} if source is None else source.read_columns(start, n)

    def _same_rows(self) -> SpectrumStream | None:
        inputs = self.inputs()
        if len(inputs) == 1 and isinstance(inputs[0], SpectrumStream) and (
                inputs[0].shape[0] == self.shape[0]):
            return inputs[0]
        return None

    def codes(self) -> Codes | None:
        """The range of the whole numbers that all values are; None where no header tells."""
        return None

    def all_valid(self) -> bool | None:
        """Whether all weights are 1; None where only reading everything tells."""
        return None

    @abstractmethod
    def read_sums(self, start: int, n: int) -> Sums:
        """Rows in their additive form, `total` in this stream's `sum_dtype`."""

    @property
    def row_bytes(self) -> int:
        """Bytes of one spectrum in memory, its sums included."""
        return int(np.prod(self.shape[1:])) * (4 + np.dtype(self.sum_dtype).itemsize)

    @property
    def rows_at_once(self) -> int:
        """Rows that `accumulate` reads at a time."""
        return max(1, 2**21 // max(1, self.row_bytes))

    @property
    def accumulate_bytes(self) -> int:
        """Memory that a thread takes to accumulate."""
        return self.work_bytes(self.rows_at_once)

    def accumulate(
        self, start: int, n: int, total: NDArray[Any], weight: NDArray[np.float64]
    ) -> None:
        """Add rows, in order, to `total` (product, chan) and `weight` (product, 1 or chan)."""
        from fastsig_kernels import accumulate

        for first in range(start, start + n, self.rows_at_once):
            sums = self.read_sums(first, min(self.rows_at_once, start + n - first))
            if sums.weight.shape[2] == 1 and sums.total.dtype == np.float32:
                accumulate(sums.total, sums.weight[:, :, 0], total, weight[:, 0])
            else:
                for row, row_weight in zip(sums.total, sums.weight, strict=True):
                    total += row
                    weight += row_weight

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Mean spectra (NaN where the weight is 0) and weights, both float32."""
        sums = self.read_sums(start, n)
        return means(sums, self.header.n_sum, start)


def means(sums: Sums, n_sum: int, start: int) -> Block:
    """The normalised form of sums: float32 means (NaN at weight 0) and weights in [0, 1]."""
    if sums.weight.shape[2] == 1:
        from fastsig_kernels import normalize

        data, each = normalize(sums.total, np.ascontiguousarray(sums.weight[:, :, 0]), n_sum)
        weight = each[:, :, np.newaxis]
    else:
        with np.errstate(invalid="ignore", divide="ignore"):
            data = np.where(sums.weight > 0, sums.total / sums.weight, np.nan).astype(np.float32)
        weight = (sums.weight / n_sum).astype(np.float32)
    data.flags.writeable = False
    weight.flags.writeable = False
    return Block(data, weight, start, len(data))


def sums(block: Block, n_sum: int, weight_channels: int) -> Sums:
    """The additive form of a block of mean spectra, float64: what `means` undoes."""
    weight = block.valid * np.float64(n_sum)
    weight = np.broadcast_to(weight, (block.n, block.data.shape[1], weight_channels))
    total = np.multiply(block.data, weight, dtype=np.float64)
    if weight.size and not weight.min() > 0:
        np.copyto(total, 0, where=~(weight > 0))
    return Sums(total, weight)


class Scratch:
    """Working arrays that threads borrow and give back, made when none is free."""

    def __init__(self, make: Any) -> None:
        self._make = make
        self._free: list[Any] = []
        self._lock = threading.Lock()

    def take(self) -> Any:
        """A free set of arrays, or a new one."""
        with self._lock:
            if self._free:
                return self._free.pop()
        return self._make()

    def give(self, item: Any) -> None:
        """Give a set back for the next to take."""
        with self._lock:
            self._free.append(item)
