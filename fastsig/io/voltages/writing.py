"""Voltages into files: what a format can carry, in what pieces, under which names.

A writer is made from a `Recording`, which tells all but the samples. It then says what it would
lose (`losses`), which rows it writes in what pieces, and what its files will be called, before it
makes any. Entered as a context, it takes the pieces in order; the files get their names when the
context ends well.
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
from fastsig.io.files.outputs import Writer
from fastsig.stream import Block
from fastsig.stream.header import Header

__all__ = ["Recording", "VoltageWriter", "divisors", "exact_rows", "frame_length",
           "frame_runs", "listed", "lost_in_frames"]

Levels = tuple[float, ...]

_SAME_LEVEL = 1e-6
_NAMES_TOLD = 8

# Header fields that not every format has a place for, and what they are called.
_FIELDS = {
    "channels": "the sky frequency", "telescope": "the telescope", "receiver": "the receiver",
    "backend": "the backend", "source": "the source", "beam": "the beam number",
    "ra_deg": "the position", "diode": "the schedule of the noise diode",
}


@dataclass(frozen=True)
class Recording:
    """What a writer is told of voltages before the first of them.

    Parameters
    ----------
    header : Header
    shape : tuple of int
        (time, pol[, chan]).
    valid : tuple of Spans
        Of each polarisation.
    levels : tuple of float, optional
        Values of the parts of samples where they are not the whole numbers of the header's bits.
    path : str
        Where they come from, for errors.
    records : mapping
        JSON-ready records of a name each (``truth``, ``provenance``), for formats that keep them.
    """

    header: Header
    shape: tuple[int, ...]
    valid: tuple[Spans, ...]
    levels: Levels | None = None
    path: str = "the recording"
    records: Mapping[str, Any] | None = None

    @property
    def n_chan(self) -> int:
        """Channels of a polarisation."""
        return self.shape[2] if len(self.shape) == 3 else 1

    @property
    def parts(self) -> int:
        """Numbers in a sample."""
        return 2 if self.header.is_complex else 1

    @property
    def any_valid(self) -> Spans:
        """Where some polarisation is valid."""
        return validity.as_spans(np.concatenate(self.valid))

    def edges(self, start: int, stop: int) -> set[int]:
        """Samples of `start` to `stop` at which validity changes, both ends left out."""
        inside = [validity.clip(spans, start, stop) for spans in self.valid]
        return {int(edge) for spans in inside for edge in spans.flat} - {start, stop}


class VoltageWriter(Writer):
    """A format's files, before and while they are written.

    Parameters
    ----------
    recording : Recording
    path : path
        Name of the file; where there are several, with ``{file}`` in it, for their numbers.
    n_bits : int, optional
        Of the numbers in the file; as recorded by default, or the fewest that carry these.
    scale : float
        What samples are multiplied by before they are rounded.
    file_bytes : int, optional
        Most bytes of samples in a file, for formats whose recordings may be parted.

    Raises
    ------
    PlanError
        If the format cannot hold such voltages at all.
    UsageError
        If an option is not allowed.
    """

    NAME: ClassVar[str]
    #: Numbers that the format holds: levels by bits, None for whole numbers; 32 are floats.
    OFFERS: ClassVar[Mapping[int, Levels | None]]
    #: Options that the format has besides.
    OWN: ClassVar[tuple[str, ...]] = ()

    def __init__(self, recording: Recording, path: str | os.PathLike[str], *,
                 n_bits: int | None = None, scale: float = 1.0, file_bytes: int | None = None
                 ) -> None:
        self.recording, self.path = recording, os.fspath(path)
        self.losses: list[str] = []
        #: What other programs will take wrongly in the files.
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

    # What a format says of itself.

    @abstractmethod
    def _carried(self) -> frozenset[str]:
        """Fields of the header that the format has a place for, of `_FIELDS`, and "cards"."""

    @abstractmethod
    def _check(self) -> None:
        """Raise `PlanError` where the format cannot hold such voltages at all."""

    @abstractmethod
    def _lay_out(self, file_bytes: int | None) -> None:
        """Decide `rows`, `piece` and `files`; note what that loses."""

    @abstractmethod
    def encode(self, block: Block) -> Any:
        """A piece as it will lie in the file; called by any thread."""

    @abstractmethod
    def write(self, piece: Any) -> None:
        """Write what `encode` made; called in order."""

    @abstractmethod
    def _begin(self, overwrite: bool) -> None:
        """Make the files, under temporary names."""

    #: First row that is written, and the one after the last.
    rows: tuple[int, int]
    #: Rows of a piece; pieces follow one another from the first row that is written.
    piece: int
    #: Spans of rows that the files hold something of; all by default. Others are not read.
    kept: Spans | None = None
    #: Names of the files, and bytes of each.
    files: list[tuple[str, int]]

    # What all have in common.

    @property
    def work_bytes(self) -> int:
        """Memory that a piece takes, as it was read and as it is written."""
        sample = int(np.prod(self.recording.shape[1:])) * self.recording.parts
        return self.piece * sample * (8 + max(1, self.n_bits // 8))

    def pieces(self) -> Iterator[tuple[int, int]]:
        """First row and number of rows of every piece; a long gap has none."""
        start, stop = self.rows
        kept = validity.full(start, stop) if self.kept is None else self.kept
        done = start
        for low, high in kept.tolist():
            begin = max(done, low - (low - start) % self.piece)
            for first in range(begin, high, self.piece):
                yield first, min(self.piece, stop - first)
                done = first + self.piece

    def create(self, *, overwrite: bool = False) -> VoltageWriter:
        """Make the files; to be used as a context afterwards."""
        self._begin(overwrite)
        return self

    def _note_fields(self) -> None:
        header, carried = self.recording.header, self._carried()
        missing = [text for field, text in _FIELDS.items()
                   if field not in carried and getattr(header, field) is not None]
        if header.extra and "cards" not in carried:
            missing.append(f"{len(header.extra)} more values of the header")
        if missing:
            self.losses.append(f"{self.NAME} has no place for {', '.join(missing)}")

    def _choose_bits(self, asked: int | None) -> int:
        """Bits of the numbers in the file; what these cannot hold is noted."""
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
            told = "floating-point numbers" if _is_float(header) else f"{header.n_bits} bits"
            values = f" ({', '.join(f'{x:g}' for x in levels)})" if levels else ""
            self.losses.append(f"{told}{values} are rounded to {bits} bits")
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
        """Names of the header that text of `most` characters holds; others are noted as lost."""
        found: dict[str, str | None] = {}
        for field in ("telescope", "receiver", "backend", "source"):
            text = getattr(self.recording.header, field)
            fits = text is not None and is_plain(text, most)
            if text is not None and not fits:
                self.losses.append(f"{self.NAME} cannot hold the {field} {text!r}")
            found[field] = text if fits else None
        return found

    def numbers(self, block: Block) -> NDArray[Any]:
        """The parts of samples, (n, pol, chan, part): int8, int16 or float32."""
        data, recording = block.data, self.recording
        if data.dtype.kind == "c":
            data = np.ascontiguousarray(data, np.complex64).view(np.float32)
        return data.reshape(len(data), recording.shape[1], recording.n_chan, recording.parts)

    def codes(self, numbers: NDArray[Any], dtype: Any) -> NDArray[Any]:
        """Numbers as those of the file.

        Floats of 32 bits, integers of 8 and 16; of fewer bits the codes of the levels offered, or
        of whole numbers in offset binary.
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
            raise DataError(self.recording.path, f"{n_inexact} numbers are none of "
                            f"{self.recording.header.n_bits} bits, unlike the header says")
        found: NDArray[Any] = codes.reshape(numbers.shape).astype(dtype, copy=False)
        return found

    def _levels(self) -> NDArray[np.float32] | None:
        offered, half = self.OFFERS[self.n_bits], 2 ** (self.n_bits - 1)
        if offered is None:
            return np.arange(-half, half, dtype=np.float32) if self.n_bits < 8 else None
        levels = np.array(offered, np.float32)
        if self._fits(self.n_bits):  # the recording's own, which may differ in the last bit
            levels[np.argsort(levels)] = np.sort(np.array(self.recording.levels, np.float32))
        return levels

    def _note_frames(self, frame: int, what: str, *, together: bool) -> None:
        """Note samples that fill no frame, and lost ones in frames that hold valid ones as well.

        `together` says that a frame holds all polarisations.
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


def _is_float(header: Header) -> bool:
    return header.n_bits >= 32


def lost_in_frames(recording: Recording, start: int, stop: int, frame: int, *, together: bool
                   ) -> int:
    """Lost samples in frames from `start` up to `stop` that hold valid ones as well.

    `together` says that a frame holds all polarisations.
    """
    held = recording.any_valid
    return sum(validity.count(frame_runs(held if together else spans, start, stop, frame)) * frame
               - validity.count(validity.clip(spans, start, stop)) for spans in recording.valid)


def frame_runs(spans: Spans, start: int, stop: int, frame: int) -> Spans:
    """Runs of frames, counted from `start` up to `stop`, that hold something of `spans`."""
    inside = validity.clip(spans, start, stop) - start
    inside[:, 0] //= frame
    inside[:, 1] = -(-inside[:, 1] // frame)
    return validity.as_spans(inside)


def listed(names: Iterable[str]) -> str:
    """Names with commas between: the first few, and how many more there are."""
    each = list(names)
    more = len(each) - _NAMES_TOLD
    return ", ".join(each) if more < 2 else f"{', '.join(each[:_NAMES_TOLD])} and {more} more"


def divisors(number: int, most: int) -> Iterator[int]:
    """Divisors of a number up to `most`, the largest first."""
    number = abs(number)
    if number == 0:
        yield from range(most, 0, -1)
        return
    root = int(number**0.5) + 1
    small = [d for d in range(1, min(root, most) + 1) if number % d == 0]
    each = {*small, *(number // d for d in small)}
    yield from sorted((d for d in each if d <= most), reverse=True)


def frame_length(lengths: Iterable[int], most: int, prefer: int | None, good: Any) -> int | None:
    """Longest frame that divides all `lengths` and is `good`; `prefer` where that is one."""
    common = gcd(*lengths)
    if prefer and prefer <= most and common % prefer == 0 and good(prefer):
        return prefer
    return next((d for d in divisors(common, most) if good(d)), None)


def exact_rows(seconds: Fraction, rate: Fraction) -> int | None:
    """Samples in a time, where that is a whole number of them to 0.1 ns; else None."""
    rows = round(seconds * rate)
    return rows if abs(Fraction(rows) / rate - seconds) < Fraction(1, 10**10) else None
