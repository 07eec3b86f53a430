"""Block and Stream: rows on an exact clock, which any thread can read at any position."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self

import numpy as np
from astropy import units as u
from astropy.time import Time
from numpy.typing import DTypeLike, NDArray

from fastsig.axes.polarization import PolBasis
from fastsig.axes.time import iso, sample_time
from fastsig.errors import UsageError
from fastsig.stream.header import Header
from fastsig.work.shown import table

__all__ = ["ENDLESS", "Block", "Stream", "stream_of"]

#: Number of rows of a stream without a known end: more than any stream with an end has.
ENDLESS = 2**62


@dataclass(frozen=True)
class Block:
    """A piece of a stream.

    Parameters
    ----------
    data : ndarray, shape (n, pol or product[, chan])
        Voltages as recorded (0 where they are invalid), complex64 frames, or float32 mean spectra
        (NaN where the weight is 0). The array is read-only.
    valid : tuple of Spans, or ndarray
        For voltages, one set of absolute sample spans per polarisation; for frames, float64
        energies, (n, 1), or (n, 3) for A, B and both; for spectra, float32 weights that can be
        broadcast against `data`.
    start, n : int
        First row and number of rows.
    """

    data: NDArray[Any]
    valid: Any
    start: int
    n: int


class Stream(ABC):
    """Rows on an exact clock; `fastsig.stream` describes the kinds of stream.

    Parameters
    ----------
    header : Header
        Description of the rows.
    shape : tuple of int
        (row, pol or product[, chan]).
    dtype : dtype
        Type of the rows that `read_block` returns.
    path : str
        The file from which the rows ultimately come; error messages begin with it.
    overrides : mapping
        Values given by the user instead of those in the header of the file.
    """

    kind = "stream"

    #: Name of the format of a file opened by `fastsig.open`; empty for stages.
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

    def facts(self) -> dict[str, Any]:
        """Return the main facts by name, for a repr; unknown facts are left out."""
        header, axis = self.header, self.header.channels
        edges = None if axis is None else " to ".join(
            f"{float(edge) / 1e6:.6g}" for edge in axis.edges_hz) + " MHz"
        given = {
            "path": self.path, "start": iso(header.start_time),
            "duration": "not known" if self.endless else f"{self.duration.value:.6g} s",
            "rows per second": f"{float(header.sample_rate):.9g}", "band": edges,
            "channels": None if len(self.shape) < 3 else self.shape[2],
            "products": ", ".join(header.polarization.names), "unit": header.unit,
            "telescope": header.telescope, "source": header.source, "beam": header.beam}
        return {key: value for key, value in given.items() if value is not None}

    def __repr__(self) -> str:
        return self.line(getattr(self, "name", "") or type(self).__name__)

    def line(self, name: str) -> str:
        """Describe the stream on one line, under the given name."""
        facts = self.facts()
        step = f"{float(1 / self.header.sample_rate):.9g} s a row"
        rest = ", ".join([facts["duration"], step, *([facts["band"]] if "band" in facts else [])])
        rows = "..." if self.endless else self.shape[0]
        shape = f"({', '.join(map(str, (rows, *self.shape[1:])))})"
        return f"<{name} of {self.kind} {shape} from {facts['start']}, {rest}>"

    def _repr_html_(self) -> str:
        return table(f"{self.kind} {self.shape}", self.facts())

    @property
    def sample_rate(self) -> u.Quantity:
        """Rows per second, Hz; the exact fraction is ``header.sample_rate``."""
        return float(self.header.sample_rate) << u.Hz

    @property
    def start_time(self) -> Time:
        """UTC of row 0."""
        return self.header.start_time

    @property
    def stop_time(self) -> Time:
        """UTC of the end of the last row.

        Raises
        ------
        UsageError
            If the end is not known.
        """
        if self.endless:
            raise UsageError(f"{self.path}: the end of the stream is not known")
        return self.time_of(self.shape[0])

    @property
    def duration(self) -> u.Quantity:
        """Length in time, s; infinite if the end is not known."""
        if self.endless:
            return np.inf << u.s
        return float(Fraction(self.shape[0]) / self.header.sample_rate) << u.s

    @property
    def frequency(self) -> u.Quantity | None:
        """Channel centres, MHz, ascending; None if the file does not state them."""
        return None if self.header.channels is None else self.header.channels.centers

    @property
    def polarization(self) -> PolBasis:
        """Meaning of the polarisation axis."""
        return self.header.polarization

    def time_of(self, row: int) -> Time:
        """Return the UTC of the start of a row."""
        return sample_time(self.header.start_time, row, self.header.sample_rate)

    @property
    @abstractmethod
    def row_bytes(self) -> int:
        """Memory needed to read one row, for the planner."""

    def work_bytes(self, n: int) -> int:
        """Memory that a thread needs to compute `n` rows, for the planner."""
        return n * self.row_bytes

    @abstractmethod
    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Return rows `start` to ``start + n - 1``, independently of what was read before."""

    @property
    def align(self) -> int:
        """Number of rows that are best read together, beginning at a multiple of this number."""
        return 1

    @property
    def endless(self) -> bool:
        """Whether the number of rows is not known yet; ``shape[0]`` is then `ENDLESS` or less."""
        return any(stream.endless for stream in self.inputs())

    @property
    def most_rows(self) -> int | None:
        """Largest number of rows that the stream can have; None if no limit is known."""
        return None if self.endless else self.shape[0]

    def arrived(self, stop: int) -> int:
        """Wait for row ``stop - 1`` or the end; return `stop`, or the number of rows if smaller.

        A stream with a known end returns at once.
        """
        return min(stop, self.shape[0])

    def come(self, stop: int, seconds: float) -> bool:
        """Wait for at most `seconds`; return whether `arrived` would return at once."""
        return True

    def release(self, row: int) -> None:
        """State that a pass needs no row before `row`: a source may make room for later rows."""
        return

    def inputs(self) -> tuple[Stream, ...]:
        """Return the streams that this one reads; none for a file."""
        return ()

    def needs(self, start: int, n: int) -> tuple[int, int]:
        """Return the first row and the number of rows of the input needed for the given rows."""
        return start, n

    def needs_of(self, index: int, start: int, n: int) -> tuple[int, int]:
        """Return `needs` for one of several inputs."""
        return self.needs(start, n)

    def as_read(self) -> Stream:
        """Return the form in which a plan reads these rows: with fewer channels, if sufficient."""
        return self

    #: How to rebuild the stream of a file in another process: a function and its arguments.
    reopening: tuple[Callable[..., Any], tuple[Any, ...]] | None = None

    def __copy__(self) -> Self:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        if self.reopening is None:
            raise TypeError(f"{type(self).__name__} of {self.path} cannot be pickled: it was not "
                            "opened by fastsig.open")
        return self.reopening

    #: Whether the file contains checksums of its samples.
    checksummed = False

    @property
    def files(self) -> list[str]:
        """Paths of the files that contain the rows."""
        return [self.path]

    def content_records(self, *, whole: bool = False) -> list[dict[str, Any]] | None:
        """Return records of the content of a source that is not a file; None for files."""
        return None

    def file_of(self, row: int) -> str:
        """Return the path of the file that contains a row, or of the first if it is not known."""
        return self.files[0] if self.files else self.path

    def verify(self) -> None:
        """Read the whole file; raise `DataError` if it cannot be read or a checksum fails."""
        if self.inputs():
            for stream in self.inputs():
                stream.verify()
            return
        rows = max(1, 2**24 // max(1, self.row_bytes))
        for start in range(0, self.shape[0], rows):
            self.read_block(start, min(rows, self.shape[0] - start))

    def close(self) -> None:
        """Close the files; streams are also closed when they are garbage-collected."""
        for stream in self.inputs():
            stream.close()

    def seek(self, row: int) -> int:
        """Move to a row; a negative number counts from the end."""
        target = row + self.shape[0] if row < 0 else row
        if not 0 <= target <= self.shape[0]:
            raise UsageError(f"row {row} is outside a stream of {self.shape[0]} rows")
        self._position = target
        return target

    def tell(self) -> int:
        """Return the row at which `read` starts."""
        return self._position

    def read(self, n: int = -1) -> Block:
        """Return the next `n` rows, by default all remaining rows."""
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


def stream_of(what: Any) -> Stream:
    """Return the stream of a chain, or a stream itself; every public function accepts both.

    Raises
    ------
    UsageError
        If the argument is neither of these.
    """
    stream = getattr(what, "stream", what)
    if not isinstance(stream, Stream):
        raise UsageError(f"a {type(what).__name__} is neither a chain nor a stream; open files "
                         "with fastsig.open")
    return stream
