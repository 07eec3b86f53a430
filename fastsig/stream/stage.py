"""Stage: a stream that is made of others, and what it says of itself to whoever runs it.

A stage states its output (header, shape), which rows of its input they are made of (`needs`), and
how it is best run (`align`, `overlap`). Everything else comes from its source. It keeps no result:
a stage can be rebuilt on another source, run in pieces, or in another process.
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

_RUN_HALOS = 4  # what is read beside a run is then a fifth of it
_LONG_RUN_BYTES = 2**28


class Stage(Stream):
    """A stream made of the rows of another, `source`.

    A subclass is one of `VoltageStage`, `FrameStage` and `SpectraStage`. It takes its source as the
    first argument of its constructor, and everything else in ways that pickle.

    Parameters
    ----------
    source : Stream
        What it reads.
    header : Header, optional
        Of the output; the source's by default.
    shape : tuple of int, optional
        Likewise.
    dtype : dtype, optional
        Likewise.
    """

    #: Name in the registry, in `--explain` and in provenance, which never changes.
    name: ClassVar[str] = ""
    #: Version of this interface; a plug-in's stage declares it too.
    api: ClassVar[int] = 1
    #: Whether products record the stage; not where it changes no number.
    recorded: ClassVar[bool] = True

    #: Whether it cannot be made of a stream whose end is not known.
    needs_end: ClassVar[bool] = False

    #: Names of the stages that it stands for; those of a fused form are several, from the first on.
    stands_for: tuple[str, ...] = ()

    #: Bytes of input that it reads at a time at best; 0 where it does not matter.
    read_bytes = 0

    #: Rows of the source before and after that rows are made of; fixed once it is constructed.
    overlap: tuple[int, int] = (0, 0)

    _given: tuple[tuple[Any, ...], dict[str, Any]]

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        if "name" in cls.__dict__ and "stands_for" not in cls.__dict__:
            cls.stands_for = (cls.name,)

    def __new__(cls, *args: Any, **options: Any) -> Self:
        """Remember the arguments, which rebuild the stage."""
        self = super().__new__(cls)
        source = args[0] if args else options.get("source")
        if cls.needs_end and isinstance(source, Stream) and source.endless:
            raise PlanError(f"{source.path}: {cls.name} needs to know where the stream ends; "
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
        """The source."""
        return (self.source,)

    def needs(self, start: int, n: int) -> tuple[int, int]:
        """Rows of the source that rows are made of: themselves, and their overlap."""
        if not n:
            return start, 0
        before, after = self.overlap
        first, stop = max(0, start - before), min(self.source.shape[0], start + n + after)
        return first, stop - first

    def arguments(self) -> dict[str, Any]:
        """Arguments of the constructor but the source, by name: what rebuilds the stage."""
        bound = signature(type(self)).bind(None, *self._given[0], **self._given[1]).arguments
        values = dict(list(bound.items())[1:])
        for parameter in signature(type(self)).parameters.values():
            if parameter.kind is parameter.VAR_KEYWORD:
                values |= values.pop(parameter.name, {})
        return values

    def parameters(self) -> Mapping[str, Any]:
        """What decides the numbers, for provenance: plain values."""
        return {key: _plain(value) for key, value in self.arguments().items()}

    def on(self, *sources: Stream) -> Stream:
        """The stage rebuilt on another source by its constructor."""
        return type(self)(*sources, *self._given[0], **self._given[1])

    def with_source(self, *sources: Stream) -> Self:
        """The same stage reading an equal source in place of its own, as a fused one.

        Raises
        ------
        PlanError
            Where the source has another header or shape.
        """
        for old, new in zip(self.inputs(), sources, strict=True):
            if new.shape != old.shape or not _equal(new.header, old.header):
                raise PlanError(f"{self.path}: {self.name} cannot read {new.kind} {new.shape} in "
                                f"place of {old.kind} {old.shape}: header or shape differ")
        other = copy(self)
        other._replace(*sources)
        return other

    def _replace(self, *sources: Stream) -> None:
        """Take equal sources; what is derived from them or locked is made anew here."""
        self.source, = sources

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _rebuilt, (type(self), self.inputs(), *self._given)

    def work_bytes(self, n: int) -> int:
        """Memory that a thread takes to make `n` rows."""
        return int(self.source.work_bytes(self.needs(0, n)[1])) + n * self.row_bytes

    @property
    def halo(self) -> Fraction:
        """Rows, in this stage's count, that a block takes from beside its own, all stages below."""
        below = max((getattr(each, "halo", Fraction(0)) * self._ratio(each)
                     for each in self.inputs()), default=Fraction(0))
        return below + Fraction(sum(self.overlap)) * self._ratio(self.inputs()[0])

    def _ratio(self, source: Stream) -> Fraction:
        """Rows of this stage for one of a source's."""
        return self.header.sample_rate / source.header.sample_rate


def _rebuilt(kind: type[Stage], sources: tuple[Stream, ...], args: tuple[Any, ...],
             options: dict[str, Any]) -> Stream:
    return kind(*sources, *args, **options)


def _equal(one: Header, other: Header) -> bool:
    return one is other or bool(one == other)


def _plain(value: Any) -> Any:
    """A value as JSON has it; what it does not have as text."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


class VoltageStage(Stage, VoltageStream):
    """Voltages made of voltages; samples, levels and what is known of losses are the source's."""

    def __init__(self, source: VoltageStream, **changes: Any) -> None:
        super().__init__(source, **changes)
        self.may_have_nan, self.levels, self.zero = source.may_have_nan, source.levels, source.zero

    def valid_spans(self) -> tuple[Spans, ...] | None:
        """Those of the source, whose rows these are."""
        return cast("tuple[Spans, ...] | None", self.source.valid_spans())

    def valid_fraction(self) -> float | None:
        """Share of valid samples where headers alone tell; else None."""
        same = self.source.shape[0] == self.shape[0]
        return cast("float | None", self.source.valid_fraction()) if same else None


class SameSamples(VoltageStage):
    """Voltages that lie in memory as their source's do."""

    @property
    def row_step(self) -> int:  # type: ignore[override]
        """As of the source."""
        return int(self.source.row_step)

    @property
    def blanked(self) -> bool:  # type: ignore[override]
        """As of the source."""
        return bool(self.source.blanked)

    @property
    def layout(self) -> dict[str, Any]:
        """As of the source."""
        return cast("dict[str, Any]", self.source.layout)

    @property
    def row_bytes(self) -> int:
        """As of the source."""
        return int(self.source.row_bytes)

    def work_bytes(self, n: int) -> int:
        """As of the source, whose own blocks these are."""
        return int(self.source.work_bytes(n))

    def empty(self, n: int) -> NDArray[Any]:
        """A buffer for `n` rows, as the source has it."""
        return cast("NDArray[Any]", self.source.empty(n))

    def _read(self, start: int, n: int, out: NDArray[Any]) -> tuple[Spans, ...]:
        return cast("tuple[Spans, ...]", self.read_block(start, n, out).valid)


class FrameStage(Stage, FrameStream):
    """Frames of voltages, or made of frames."""


class SpectraStage(Stage, SpectrumStream):
    """Spectra made of frames or spectra; columns and the axis of weights are the source's."""

    #: Whether it reads its source by `group_sums`.
    sums_groups: ClassVar[bool] = False

    #: Whether a row is made of segments that are summed side by side, as those of `Integrate` are.
    is_long = False

    def __init__(self, source: Stream, **changes: Any) -> None:
        super().__init__(source, **{"dtype": np.float32, **changes})

    @property
    def sum_dtype(self) -> Any:  # type: ignore[override]
        """Type of sums: the source's where these are passed on, else float64."""
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
        """Names and units of what is known of each row, of the source where it has these rows."""
        return self.source.columns if self._same_rows else {}

    def read_columns(self, start: int, n: int) -> dict[str, NDArray[np.float64]]:
        """What `columns` names of rows `start` to ``start + n - 1``, each (n,), at their middle."""
        return self.source.read_columns(start, n) if self._same_rows else {}

    @property
    def run_rows(self) -> int:
        """Rows that are read at a time to be added up: long against what is read beside them."""
        longest = _LONG_RUN_BYTES // max(1, self.row_bytes)
        return max(super().run_rows, min(int(_RUN_HALOS * self.halo), longest))


class PassedSpectra(SpectraStage):
    """Spectra whose values are the source's own, whole numbers and weights of 1 among them."""

    def codes(self) -> Codes | None:
        """As of the source."""
        return cast("Codes | None", self.source.codes())

    def all_valid(self) -> bool | None:
        """Whether all of the source is valid; else only reading tells."""
        return self.source.all_valid() or None

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """The source's own block."""
        return cast(Block, self.source.read_block(start, n, out))
