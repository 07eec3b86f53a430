"""Surveys: passes that find what bits and losses of a format depend on, if headers lack it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastsig.axes import validity
from fastsig.axes.validity import Spans
from fastsig.stream import Block, Codes, Sink, SpectrumStream, VoltageStream

__all__ = ["SpectraSurvey", "Surveyed", "ValidSpans"]


class Surveyed(NamedTuple):
    """Whether weights vary, and the range of values if all are integers."""

    weights_vary: bool
    codes: Codes | None


class _Range(NamedTuple):
    """The result for a part: whether weights vary, whether values are integers, their range."""

    varies: bool
    whole: bool
    low: float
    high: float


class SpectraSurvey(Sink):
    """A sink that finds whether the weights of spectra vary, and the range of their values.

    Parameters
    ----------
    stream : SpectrumStream
    whole : bool
        Whether the range is needed; for codes it is already known.
    """

    name = "survey"

    def __init__(self, stream: SpectrumStream, *, whole: bool) -> None:
        super().__init__(stream)
        self._full, self._codes = stream.all_valid(), stream.codes()
        self._asked = whole and self._codes is None
        self._sum = _Range(self._full is False, True, np.inf, -np.inf)

    @property
    def from_headers(self) -> Surveyed | None:
        """The result known from headers alone; None if they do not suffice."""
        if self._full is None or self._asked:
            return None
        return Surveyed(not self._full, self._codes)

    @property
    def best(self) -> Surveyed:
        """The result with the fewest losses, before anything is read."""
        return Surveyed(self._full is False, self._codes or (Codes(0, 0) if self._asked else None))

    @property
    def satisfied(self) -> bool:  # type: ignore[override]
        """Whether further blocks change nothing; for floats, usually after the first block."""
        known = self._sum.varies or self._full is not None
        return known and not (self._asked and self._sum.whole)

    def part_bytes(self, n: int) -> int:
        """Memory needed for a result, which is very small."""
        return 64

    def partial(self, block: Block) -> _Range:
        """Return the result for a block."""
        varies = bool((block.valid != 1).any())
        if not self._asked:
            return _Range(varies, False, np.inf, -np.inf)
        weight = np.broadcast_to(block.valid, block.data.shape)
        values = block.data[weight > 0] if varies else block.data
        whole = bool((np.isfinite(values) & (values == np.rint(values))).all())
        if not whole:
            return _Range(varies, False, np.inf, -np.inf)
        return _Range(varies, True, float(values.min(initial=np.inf)),
                      float(values.max(initial=-np.inf)))

    def merge(self, part: _Range) -> None:
        """Add the result for the next block."""
        varies, whole, low, high = self._sum
        self._sum = _Range(varies or part.varies, whole and part.whole, min(low, part.low),
                           max(high, part.high))

    def finish(self, n_rows: int) -> Surveyed:
        """Return the result for all blocks."""
        varies, whole, low, high = self._sum
        found = Codes(int(low), int(high)) if self._asked and whole and low <= high else None
        return Surveyed(varies, self._codes or found)


class ValidSpans(Sink):
    """A sink that finds the valid spans of each polarisation, if no header states them."""

    name = "survey"

    def __init__(self, stream: VoltageStream) -> None:
        super().__init__(stream)
        self._found: list[list[Spans]] = [[validity.full(0, 0)] for _ in range(stream.n_pol)]

    def part_bytes(self, n: int) -> int:
        """Memory needed for the spans."""
        return 2**16

    def partial(self, block: Block) -> tuple[Spans, ...]:
        """Return the spans of a block."""
        spans: tuple[Spans, ...] = block.valid
        return spans

    def merge(self, part: tuple[Spans, ...]) -> None:
        """Add the spans of the next block."""
        for found, spans in zip(self._found, part, strict=True):
            found.append(spans)

    def finish(self, n_rows: int) -> tuple[Spans, ...]:
        """Return the spans of all rows."""
        return tuple(validity.as_spans(np.concatenate(found)) for found in self._found)
