"""Base of the writers of voltages: what a format can store, in which pieces and files.

A writer is made from a `Recording`, which contains everything except the samples. Before it
creates any file, it states what would be lost (`losses`), which rows it writes in which pieces,
and the names of its files. Used as a context, it accepts the pieces in order; the files get their
names when the context ends without an error.
"""

from __future__ import annotations

import os
import threading
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import gcd
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fastsig.axes import validity
from fastsig.axes.validity import Spans
from fastsig.errors import DataError, UsageError
from fastsig.io.files.cards import is_plain
from fastsig.io.files.outputs import Writer, more_values
from fastsig.stream import Block
from fastsig.stream.header import Header

__all__ = ["Recording", "VoltageWriter", "divisors", "exact_rows", "frame_length",
           "frame_runs", "listed", "lost_in_frames"]

Levels = tuple[float, ...]

_SAME_LEVEL = 1e-6
_NAMES_LISTED = 8

# Header fields that some formats cannot store, with their names in messages.
_FIELDS = {
    "channels": "the sky frequency", "telescope": "the telescope", "receiver": "the receiver",
    "backend": "the backend", "source": "the source", "beam": "the beam number",
    "ra_deg": "the position", "feed": "the type of feed",
    "diode": "the schedule of the noise diode",
}


@dataclass(frozen=True)
class Recording:
    """The description of voltages that a writer needs before the first sample.

    Parameters
    ----------
    header : Header
    shape : tuple of int
        (time, pol[, chan]).
    valid : tuple of Spans
        Valid spans of each polarisation.
    levels : tuple of float, optional
        Values of the parts of samples, if they are not whole numbers of the header's bits.
    path : str
        The source of the voltages, for errors.
    early : bool
        Whether the recording may end early.
    records : mapping
        JSON-ready records by name (``truth``, ``provenance``), for formats that store them.
    """

    header: Header
    shape: tuple[int, ...]
    valid: tuple[Spans, ...]
    levels: Levels | None = None
    path: str = "the recording"
    records: Mapping[str, Any] | None = None
    early: bool = False

    @property
    def n_chan(self) -> int:
        """The number of channels of a polarisation."""
        return self.shape[2] if len(self.shape) == 3 else 1

    @property
    def parts(self) -> int:
        """The number of numbers in a sample: 2 if complex, else 1."""
        return 2 if self.header.is_complex else 1

    @property
    def any_valid(self) -> Spans:
        """The spans in which at least one polarisation is valid."""
        return validity.as_spans(np.concatenate(self.valid))

    def edges(self, start: int, stop: int) -> set[int]:
        """Return the samples strictly between `start` and `stop` at which validity changes."""
        inside = [validity.clip(spans, start, stop) for spans in self.valid]
        return {int(edge) for spans in inside for edge in spans.flat} - {start, stop}


class VoltageWriter(Writer):
    """The files of a format, before and while they are written.

    Parameters
    ----------
    recording : Recording
    path : path
        Name of the file; a name for several files contains ``{file}`` for their numbers.
    n_bits : int, optional
        Bits of the numbers in the file; by default, those recorded, or the fewest that suffice.
    scale : float
        Factor by which samples are multiplied before they are rounded.
    file_bytes : int, optional
        Greatest number of bytes of samples in a file, for formats that can split recordings.

    Raises
    ------
    PlanError
        If the format cannot store such voltages at all.
    UsageError
        If an option is not allowed.
    """

    NAME: ClassVar[str]
    #: Numbers that the format can store: levels by bits, None for whole numbers; 32 means floats.
    OFFERS: ClassVar[Mapping[int, Levels | None]]
    #: Further options of the format.
    OWN: ClassVar[tuple[str, ...]] = ()
    #: Whether voltages may end early, and validity need not be known: `end_at` reports the end.
    OPEN_END: ClassVar[bool] = False
    #: Whether a file that may end early does so when the disk is full: no space is then claimed.
    ENDS_WHEN_FULL: ClassVar[bool] = False

    def __init__(self, recording: Recording, path: str | os.PathLike[str], *,
                 n_bits: int | None = None, scale: float = 1.0, file_bytes: int | None = None
                 ) -> None:
        self.recording, self.path = recording, os.fspath(path)
        self.losses: list[str] = []
        #: Properties of the files that other programs will misinterpret.
        self.cautions: list[str] = []
        self.n_clipped = self.n_inexact = 0
        self._lock = threading.Lock()
        if not 1e-30 < scale < 1e30:
            raise UsageError(f"scale = {scale}; allowed: above 1e-30, below 1e30")
        self._scale = float(scale)
        self._note_fields()
        self._check()
        self.n_bits = self._choose_bits(n_bits)
        if scale != 1:
            self.losses.append(f"samples are multiplied by {scale:g}")
        self._lay_out(file_bytes)

    # To be defined by each format.

    @abstractmethod
    def _carried(self) -> frozenset[str]:
        """Return the fields of `_FIELDS`, and "cards", that the format can store."""

    @abstractmethod
    def _check(self) -> None:
        """Raise `PlanError` if the format cannot store these voltages at all."""

    @abstractmethod
    def _lay_out(self, file_bytes: int | None) -> None:
        """Determine `rows`, `piece` and `files`, and record the losses that they imply."""

    @abstractmethod
    def encode(self, block: Block) -> Any:
        """Encode a piece for the file; may be called from any thread."""

    @abstractmethod
    def write(self, piece: Any) -> None:
        """Write the result of `encode`; called in order."""

    def end_at(self, n_row: int) -> None:
        """Accept that there are only `n_row` rows, all of which have been written.

        Formats whose `OPEN_END` is true define it.
        """
        raise UsageError(f"{self.NAME} needs the number of rows; allowed: recordings")

    @abstractmethod
    def _begin(self, overwrite: bool) -> None:
        """Create the files, under temporary names."""

    #: First row that is written, and the row after the last one.
    rows: tuple[int, int]
    #: Rows per piece; pieces are contiguous from the first row that is written.
    piece: int
    #: Rows of the smallest unit of the format: it stores whole units only.
    frame: int = 1
    #: Spans of rows that have samples in the files; all by default. Other rows are not read.
    kept: Spans | None = None
    #: Whether the disk is full, so that a file that may end early has ended.
    is_full = False
    #: Whether it was full before the first row could be written.
    is_empty = False
    #: Names and sizes (bytes) of the files.
    files: list[tuple[str, int]]

    # Common to all formats.

    @property
    def work_bytes(self) -> int:
        """Memory that a piece needs, both as read and as written."""
        sample = int(np.prod(self.recording.shape[1:])) * self.recording.parts
        return self.piece * sample * (8 + max(1, self.n_bits // 8))

    def pieces(self) -> Iterator[tuple[int, int]]:
        """Yield the first row and number of rows of every piece; long gaps are skipped."""
        start, stop = self.rows
        kept = validity.full(start, stop) if self.kept is None else self.kept
        done = start
        for low, high in kept.tolist():
            begin = max(done, low - (low - start) % self.piece)
            for first in range(begin, high, self.piece):
                yield first, min(self.piece, stop - first)
                done = first + self.piece

    def create(self, *, overwrite: bool = False) -> VoltageWriter:
        """Create the files, and return the writer for use as a context."""
        self._begin(overwrite)
        return self

    def _note_fields(self) -> None:
        header, carried = self.recording.header, self._carried()
        missing = [text for field, text in _FIELDS.items()
                   if field not in carried and _states(header, field)]
        if "cards" not in carried:
            missing += more_values(header.extra)
        if missing:
            self.losses.append(f"{self.NAME} has no place for {', '.join(missing)}")

    def _choose_bits(self, asked: int | None) -> int:
        """Choose the bits of the numbers in the file, and record a loss if they are too few."""
        header, levels = self.recording.header, self.recording.levels
        whole = isinstance(asked, (int, np.integer)) and not isinstance(asked, bool)
        if asked is not None and not (whole and asked in self.OFFERS):
            raise UsageError(f"bits = {asked!r}; allowed for {self.NAME}: "
                             f"{', '.join(map(str, self.OFFERS))}")
        fitting = [bits for bits in self.OFFERS if self._fits(bits)]
        if asked is None and fitting:
            return header.n_bits if header.n_bits in fitting else fitting[0]
        bits = asked or (header.n_bits if header.n_bits in self.OFFERS else 8)
        if bits not in fitting:
            kind = "floating-point numbers" if _is_float(header) else f"{header.n_bits} bits"
            values = f" ({', '.join(f'{x:g}' for x in levels)})" if levels else ""
            self.losses.append(f"{kind}{values} are rounded to {bits} bits")
        return bits

    def _fits(self, bits: int) -> bool:
        header, levels = self.recording.header, self.recording.levels
        offered = self.OFFERS[bits]
        if bits == 32:
            return True
        if _is_float(header):
            return False
        if offered is not None:
            return levels is not None and len(levels) == len(offered) and np.allclose(
                np.sort(offered), np.sort(levels), rtol=_SAME_LEVEL)
        if levels is None:
            return header.n_bits <= bits
        return all(x == round(x) and -(2 ** (bits - 1)) <= x < 2 ** (bits - 1) for x in levels)

    def _names(self, most: int) -> dict[str, str | None]:
        """Return the names in the header that fit into `most` characters; record others as lost."""
        found: dict[str, str | None] = {}
        for field in ("telescope", "receiver", "backend", "source"):
            text = getattr(self.recording.header, field)
            fits = text is not None and is_plain(text, most)
            if text is not None and not fits:
                self.losses.append(f"{self.NAME} cannot store the {field} {text!r}")
            found[field] = text if fits else None
        return found

    def numbers(self, block: Block) -> NDArray[Any]:
        """Return the parts of samples, (n, pol, chan, part): int8, int16 or float32."""
        data, recording = block.data, self.recording
        if data.dtype.kind == "c":
            data = np.ascontiguousarray(data, np.complex64).view(np.float32)
        return data.reshape(len(data), recording.shape[1], recording.n_chan, recording.parts)

    def codes(self, numbers: NDArray[Any], dtype: Any) -> NDArray[Any]:
        """Convert numbers to those of the file.

        They are floats for 32 bits and integers for 8 and 16; for fewer bits, the codes of the
        levels that the format offers, or of whole numbers in offset binary.
        """
        if self.n_bits == 32:
            return np.asarray(numbers * np.float32(self._scale) if self._scale != 1 else numbers,
                              dtype)
        if self._scale == 1 and numbers.dtype == dtype and self.OFFERS[self.n_bits] is None and (
                self.n_bits >= 8 * numbers.itemsize):
            return numbers
        from fastsig_kernels import to_codes

        flat = np.ascontiguousarray(numbers).reshape(-1)
        if self._scale != 1:
            flat = flat * np.float32(self._scale)
        codes, n_clipped, n_inexact = to_codes(flat, self.n_bits, levels=self._levels())
        with self._lock:
            self.n_clipped += n_clipped
            self.n_inexact += n_inexact
        if n_inexact and not self.losses:
            raise DataError(self.recording.path, f"{n_inexact} numbers are not values of "
                            f"{self.recording.header.n_bits} bits, contrary to the header")
        found: NDArray[Any] = codes.reshape(numbers.shape).astype(dtype, copy=False)
        return found

    def _levels(self) -> NDArray[np.float32] | None:
        offered, half = self.OFFERS[self.n_bits], 2 ** (self.n_bits - 1)
        if offered is None:
            return np.arange(-half, half, dtype=np.float32) if self.n_bits < 8 else None
        levels = np.array(offered, np.float32)
        if self._fits(self.n_bits):  # those of the recording may differ in the last bit
            levels[np.argsort(levels)] = np.sort(np.array(self.recording.levels, np.float32))
        return levels

    def _note_frames(self, frame: int, what: str, *, together: bool) -> None:
        """Record samples that fill no frame, and lost samples in frames that are partly valid.

        `together` means that a frame contains all polarisations.
        """
        start, stop = self.rows
        held = self.recording.any_valid
        left = max(0, start - int(held[0, 0])), max(0, int(held[-1, 1]) - stop)
        if any(left):
            self.losses.append(f"the first {left[0]} and the last {left[1]} samples fill no {what} "
                               "and are left out")
        lost = lost_in_frames(self.recording, start, stop, frame, together=together)
        if lost:
            self.losses.append(f"{lost} lost samples lie in {what}s that are valid otherwise: "
                               "they become 0 and count as valid")


def _states(header: Header, field: str) -> bool:
    if field == "feed":
        return header.polarization.kind != "unknown"
    return getattr(header, field) is not None


def _is_float(header: Header) -> bool:
    return header.n_bits >= 32


def lost_in_frames(recording: Recording, start: int, stop: int, frame: int, *, together: bool
                   ) -> int:
    """Count the lost samples in frames from `start` up to `stop` that are partly valid.

    `together` means that a frame contains all polarisations.
    """
    held = recording.any_valid
    return sum(validity.count(frame_runs(held if together else spans, start, stop, frame)) * frame
               - validity.count(validity.clip(spans, start, stop)) for spans in recording.valid)


def frame_runs(spans: Spans, start: int, stop: int, frame: int) -> Spans:
    """Return the runs of frames, counted from `start` up to `stop`, that overlap `spans`."""
    inside = validity.clip(spans, start, stop) - start
    inside[:, 0] //= frame
    inside[:, 1] = -(-inside[:, 1] // frame)
    return validity.as_spans(inside)


def listed(names: Iterable[str]) -> str:
    """Join names by commas: the first eight, and the number of the others."""
    each = list(names)
    more = len(each) - _NAMES_LISTED
    return ", ".join(each) if more < 2 else f"{', '.join(each[:_NAMES_LISTED])} and {more} more"


def divisors(number: int, most: int) -> Iterator[int]:
    """Yield the divisors of a number up to `most`, the largest first."""
    number = abs(number)
    if number == 0:
        yield from range(most, 0, -1)
        return
    root = int(number**0.5) + 1
    small = [d for d in range(1, min(root, most) + 1) if number % d == 0]
    each = {*small, *(number // d for d in small)}
    yield from sorted((d for d in each if d <= most), reverse=True)


def frame_length(lengths: Iterable[int], most: int, prefer: int | None, good: Any) -> int | None:
    """Return the longest frame that divides all `lengths` and is `good`, or `prefer` if it is."""
    common = gcd(*lengths)
    if prefer and prefer <= most and common % prefer == 0 and good(prefer):
        return prefer
    return next((d for d in divisors(common, most) if good(d)), None)


def exact_rows(seconds: Fraction, rate: Fraction) -> int | None:
    """Return the samples in a time if they are a whole number to 0.1 ns; else None."""
    rows = round(seconds * rate)
    return rows if abs(Fraction(rows) / rate - seconds) < Fraction(1, 10**10) else None
