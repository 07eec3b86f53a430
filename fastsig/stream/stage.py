"""Stage: a stream computed from others, with the information needed to run it.

A stage states its output (header, shape), the rows of its input from which output is computed
(`needs`), and how it is best run (`align`, `overlap`). Everything else comes from its source. It
keeps no results: a stage can be rebuilt on another source, run in pieces, or run in another
process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from fractions import Fraction
from inspect import signature
from typing import Any, ClassVar, Self, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastsig.axes.validity import Spans
from fastsig.errors import PlanError
from fastsig.stream.base import Block, Stream
from fastsig.stream.frames import FrameStream
from fastsig.stream.header import Header
from fastsig.stream.spectra import Codes, SpectrumStream
from fastsig.stream.voltages import VoltageStream

__all__ = ["FrameStage", "PassedSpectra", "SameSamples", "SpectraStage", "Stage", "VoltageStage"]

_RUN_HALOS = 4  # length of a run in halos: the halo is then a fifth of what is read
_LONG_RUN_BYTES = 2**28


class Stage(Stream):
    """A stream computed from the rows of another stream, `source`.

    Subclasses derive from `VoltageStage`, `FrameStage` or `SpectraStage`. The first argument of the
    constructor is the source; all other arguments must be picklable.

    Parameters
    ----------
    source : Stream
        The stream that is read.
    header : Header, optional
        Header of the output; by default, that of the source.
    shape : tuple of int, optional
        Shape of the output; by default, that of the source.
    dtype : dtype, optional
        Type of the output; by default, that of the source.
    """

    #: Name in the registry, in `--explain` and in provenance, which never changes.
    name: ClassVar[str] = ""
    #: Version of this interface, which stages of plug-ins declare as well.
    api: ClassVar[int] = 1
    #: Whether products record the stage; false if it changes no values.
    recorded: ClassVar[bool] = True

    #: Whether it requires a source with a known end.
    needs_end: ClassVar[bool] = False

    #: Names of the stages that it represents; a fused form has several, in order.
    stands_for: tuple[str, ...] = ()

    #: Best number of bytes of input to read at a time; 0 if it does not matter.
    read_bytes = 0

    #: Rows of the source before and after a row that are needed for it; fixed after construction.
    overlap: tuple[int, int] = (0, 0)

    _given: tuple[tuple[Any, ...], dict[str, Any]]

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        if "name" in cls.__dict__ and "stands_for" not in cls.__dict__:
            cls.stands_for = (cls.name,)

    def __new__(cls, *args: Any, **options: Any) -> Self:
        """Store the arguments, from which the stage can be rebuilt."""
        self = super().__new__(cls)
        source = args[0] if args else options.get("source")
        if cls.needs_end and isinstance(source, Stream) and source.endless:
            raise PlanError(f"{source.path}: {cls.name} needs to know the end of the stream; "
                            "select rows first")
        self._given = args[1:], {key: value for key, value in options.items() if key != "source"}
        return self

    def __init__(
        self, source: Stream, *, header: Header | None = None,
        shape: tuple[int, ...] | None = None, dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__(header or source.header, source.shape if shape is None else shape,
                         source.dtype if dtype is None else dtype, source.path)
        self.source: Any = source

    def inputs(self) -> tuple[Stream, ...]:
        """Return the source."""
        return (self.source,)

    def needs(self, start: int, n: int) -> tuple[int, int]:
        """Return the rows of the source needed for the given rows, including the overlap."""
        if not n:
            return start, 0
        before, after = self.overlap
        first, stop = max(0, start - before), min(self.source.shape[0], start + n + after)
        return first, stop - first

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the constructor, without the source, by name."""
        bound = signature(type(self)).bind(None, *self._given[0], **self._given[1]).arguments
        values = dict(list(bound.items())[1:])
        for parameter in signature(type(self)).parameters.values():
            if parameter.kind is parameter.VAR_KEYWORD:
                values |= values.pop(parameter.name, {})
        return values

    def parameters(self) -> Mapping[str, Any]:
        """Parameters that determine the values, as plain values for the provenance."""
        return {key: _plain(value) for key, value in self.arguments().items()}

    def on(self, *sources: Stream) -> Stream:
        """Rebuild the stage on another source with its constructor."""
        return type(self)(*sources, *self._given[0], **self._given[1])

    def with_source(self, *sources: Stream) -> Self:
        """Return the same stage with an equal source, such as a fused one.

        Raises
        ------
        PlanError
            If the source has another header or shape.
        """
        for old, new in zip(self.inputs(), sources, strict=True):
            if new.shape != old.shape or not _equal(new.header, old.header):
                raise PlanError(f"{self.path}: {self.name} cannot read {new.kind} {new.shape} "
                                f"instead of {old.kind} {old.shape}: header or shape differ")
        other = copy(self)
        other._replace(*sources)
        return other

    def _replace(self, *sources: Stream) -> None:
        """Use equal sources; subclasses renew everything that is derived from them, and locks."""
        self.source, = sources

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _rebuilt, (type(self), self.inputs(), *self._given)

    def work_bytes(self, n: int) -> int:
        """Memory that a thread needs to compute `n` rows."""
        return int(self.source.work_bytes(self.needs(0, n)[1])) + n * self.row_bytes

    @property
    def halo(self) -> Fraction:
        """Overlap of a block summed over this stage and all below, in rows of this stage."""
        below = max((getattr(each, "halo", Fraction(0)) * self._ratio(each)
                     for each in self.inputs()), default=Fraction(0))
        return below + Fraction(sum(self.overlap)) * self._ratio(self.inputs()[0])

    def _ratio(self, source: Stream) -> Fraction:
        """Return the number of rows of this stage for one row of a source."""
        return self.header.sample_rate / source.header.sample_rate


def _rebuilt(kind: type[Stage], sources: tuple[Stream, ...], args: tuple[Any, ...],
             options: dict[str, Any]) -> Stream:
    return kind(*sources, *args, **options)


def _equal(one: Header, other: Header) -> bool:
    return one is other or bool(one == other)


def _plain(value: Any) -> Any:
    """Convert a value for JSON; types that JSON does not have become text."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


class VoltageStage(Stage, VoltageStream):
    """Voltages computed from voltages, with the levels and the valid spans of the source."""

    def __init__(self, source: VoltageStream, **changes: Any) -> None:
        super().__init__(source, **changes)
        self.may_have_nan, self.levels, self.zero = source.may_have_nan, source.levels, source.zero

    def valid_spans(self) -> tuple[Spans, ...] | None:
        """Return the valid spans of the source, which has the same rows."""
        return cast("tuple[Spans, ...] | None", self.source.valid_spans())

    def valid_fraction(self) -> float | None:
        """Return the fraction of valid samples if known from headers alone; otherwise None."""
        same = self.source.shape[0] == self.shape[0]
        return cast("float | None", self.source.valid_fraction()) if same else None


class SameSamples(VoltageStage):
    """Voltages with the same layout in memory as those of the source."""

    @property
    def row_step(self) -> int:  # type: ignore[override]
        """Same as for the source."""
        return int(self.source.row_step)

    @property
    def blanked(self) -> bool:  # type: ignore[override]
        """Same as for the source."""
        return bool(self.source.blanked)

    @property
    def layout(self) -> dict[str, Any]:
        """Same as for the source."""
        return cast("dict[str, Any]", self.source.layout)

    @property
    def row_bytes(self) -> int:
        """Same as for the source."""
        return int(self.source.row_bytes)

    def work_bytes(self, n: int) -> int:
        """Same as for the source, which provides the blocks."""
        return int(self.source.work_bytes(n))

    def empty(self, n: int) -> NDArray[Any]:
        """Return a buffer for `n` rows, made by the source."""
        return cast("NDArray[Any]", self.source.empty(n))

    def _read(self, start: int, n: int, out: NDArray[Any]) -> tuple[Spans, ...]:
        return cast("tuple[Spans, ...]", self.read_block(start, n, out).valid)


class FrameStage(Stage, FrameStream):
    """Frames computed from voltages or frames."""


class SpectraStage(Stage, SpectrumStream):
    """Spectra computed from frames or spectra, with the source's columns and axis of weights."""

    #: Whether it reads its source with `group_sums`.
    sums_groups: ClassVar[bool] = False

    #: Whether a row has several segments that are summed in parallel, as in `Integrate`.
    is_long = False

    def __init__(self, source: Stream, **changes: Any) -> None:
        super().__init__(source, **{"dtype": np.float32, **changes})

    @property
    def sum_dtype(self) -> Any:  # type: ignore[override]
        """Type of sums: that of the source if its sums are passed on, otherwise float64."""
        made = type(self).read_sums is SpectrumStream.read_sums
        return np.float64 if made else getattr(self.source, "sum_dtype", np.float64)

    @property
    def weight_channels(self) -> int:
        """Length of the weights' channel axis."""
        return int(getattr(self.source, "weight_channels", 1))

    @property
    def _same_rows(self) -> bool:
        return (isinstance(self.source, SpectrumStream)
                and self.source.header.sample_rate == self.header.sample_rate
                and self.source.shape[0] == self.shape[0])

    @property
    def columns(self) -> Mapping[str, str]:
        """Names and units of columns: those of the source if it has the same rows."""
        return self.source.columns if self._same_rows else {}

    def read_columns(self, start: int, n: int) -> dict[str, NDArray[np.float64]]:
        """Return the columns of rows `start` to ``start + n - 1``, (n,), at the middle of rows."""
        return self.source.read_columns(start, n) if self._same_rows else {}

    @property
    def run_rows(self) -> int:
        """Number of rows read at a time and added: many compared with their overlap."""
        longest = _LONG_RUN_BYTES // max(1, self.row_bytes)
        return max(super().run_rows, min(int(_RUN_HALOS * self.halo), longest))


class PassedSpectra(SpectraStage):
    """Spectra with the values of the source, so that integers and weights of 1 are preserved."""

    def codes(self) -> Codes | None:
        """Same as for the source."""
        return cast("Codes | None", self.source.codes())

    def all_valid(self) -> bool | None:
        """Return True if the whole source is valid; otherwise None, as all rows must be read."""
        return self.source.all_valid() or None

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Return the block of the source."""
        return cast(Block, self.source.read_block(start, n, out))
