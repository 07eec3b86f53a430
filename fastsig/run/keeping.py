"""Keeping: equal stages are merged, and rows that are read more than once are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from fastsig.run.chains import on_equal
from fastsig.run.fusing import form_of
from fastsig.stream import SpectraStage, SpectrumStream, Stage, Stream
from fastsig.stream.kept import Kept, keep

__all__ = ["Kept", "keepers", "kept", "unified"]

_LEAST_SHARE = 16  # reading again is cheaper than keeping for an overlap below 1/16 of a unit


def unified(streams: Sequence[Stream]) -> list[Stream]:
    """Return the same chains, with equal stages on one source merged to one object."""
    known: dict[tuple[Any, ...], list[Stream]] = {}
    return [_representative(stream, known) for stream in streams]


def _representative(stream: Stream, known: dict[tuple[Any, ...], list[Stream]]) -> Stream:
    """Return the first stream that is equal; `known` lists streams by type and sources."""
    if not stream.inputs():
        return stream
    sources = tuple(_representative(source, known) for source in stream.inputs())
    alike = known.setdefault((type(stream), *map(id, sources)), [])
    for other in alike:
        if other is stream or _is_equal(stream, sources, other):
            return other
    alike.append(on_equal(stream, sources))
    return alike[-1]


def _is_equal(stream: Stream, sources: tuple[Stream, ...], other: Stream) -> bool:
    """Return whether two stages were made with equal arguments on the same sources."""
    if (type(stream) is not type(other) or not isinstance(stream, Stage)
            or not isinstance(other, Stage) or len(sources) != len(other.inputs())):
        return False
    if any(one is not two for one, two in zip(sources, other.inputs(), strict=True)):
        return False
    one, two = stream.arguments(), other.arguments()
    return one.keys() == two.keys() and all(_same(one[key], two[key]) for key in one)


def _same(one: Any, two: Any) -> bool:
    if one is two:
        return True
    try:
        return type(one) is type(two) and bool(np.all(one == two))
    except (TypeError, ValueError):
        return False


@dataclass
class _Readers:
    """The number of times that the rows of a stream are read in a pass, and the reading stages."""

    times: int = 0
    stages: list[Stream | None] = field(default_factory=list)


def kept(streams: Sequence[Stream], unit_rows: Sequence[int]) -> list[Stream]:
    """Return the chains of a pass with a `Kept` wherever rows would be read more than once.

    Parameters
    ----------
    streams : sequence of Stream
        Chains returned by `unified`, not fused yet.
    unit_rows : sequence of int
        Number of rows in a unit of each chain.
    """
    readers: dict[int, _Readers] = {}
    for stream in streams:
        _reader(readers, stream, None, 1)
    overlapped = {id(source) for stream, rows in zip(streams, unit_rows, strict=True)
                  for source in _overlapped(stream, rows)}
    between: set[int] = set()
    for stream in reversed(_all(streams)):  # readers before their sources
        found = readers[id(stream)]
        read_again = id(stream) in overlapped
        if (found.times > 1 or read_again) and not _taken_whole(stream, found.stages):
            between.add(id(stream))
        for source in stream.inputs():
            _reader(readers, source, stream, _passed_on(stream, found, id(stream) in between))
    pages: dict[int, int] = {}
    for stream, rows in zip(streams, unit_rows, strict=True):
        _pages(stream, Fraction(rows), pages)
    make = {number: partial(keep, page_rows=pages[number],
                            recorded=_as_recorded(number, readers),
                            means_alone=_as_means(number, readers)) for number in between}
    made: dict[int, Any] = {}
    return [_rebuilt(stream, make, made) for stream in streams]


def _pages(stream: Stream, rows: Fraction, pages: dict[int, int]) -> None:
    """Find the rows by which units advance in every stream: pages are not longer than that."""
    pages[id(stream)] = min(max(1, int(rows)), pages.get(id(stream), 2**62))
    for source in stream.inputs():
        _pages(source, rows * source.header.sample_rate / stream.header.sample_rate, pages)


def _as_recorded(number: int, readers: dict[int, _Readers]) -> bool:
    """Return whether all readers of voltages will be fused, and thus accept recorded ones."""
    return all(reader is not None and all(
        above is not None and form_of(above) is not None for above in readers[id(reader)].stages)
        for reader in readers[number].stages)


def _as_means(number: int, readers: dict[int, _Readers]) -> bool:
    """Return whether all readers of spectra use means: sinks, and stages that pass no sums on."""
    return all(reader is None or (isinstance(reader, SpectraStage) and not reader.sums_groups
                                  and type(reader).read_sums is SpectrumStream.read_sums)
               for reader in readers[number].stages)


def _all(streams: Sequence[Stream]) -> list[Stream]:
    """Return all streams of chains once, sources before their readers."""
    order: dict[int, Stream] = {}
    for stream in streams:
        _visit(stream, order)
    return list(order.values())


def _visit(stream: Stream, order: dict[int, Stream]) -> None:
    if id(stream) in order:
        return
    for source in stream.inputs():
        _visit(source, order)
    order[id(stream)] = stream


def _reader(readers: dict[int, _Readers], stream: Stream, reader: Stream | None, times: int
            ) -> None:
    found = readers.setdefault(id(stream), _Readers())
    found.times += times
    found.stages.append(reader)


def _taken_whole(stream: Stream, stages: Sequence[Stream | None]) -> bool:
    """Return whether all readers run in one loop with a stream, which is faster than keeping."""
    return all(reader is not None and (_summed(stream, reader) or (form_of(reader) is not None
                                       and stream is reader.inputs()[0])) for reader in stages)


def _summed(stream: Stream, reader: Stream) -> bool:
    """Return whether a reader uses a stream's own method to sum groups."""
    return (isinstance(reader, SpectraStage) and reader.sums_groups
            and isinstance(stream, SpectrumStream)
            and type(stream).group_sums is not SpectrumStream.group_sums)


def _passed_on(stream: Stream, found: _Readers, is_kept: bool) -> int:
    """Return the number of times that the sources of a stream are read."""
    if not is_kept:
        return found.times
    sums = sum(reader is not None and _summed(stream, reader) for reader in found.stages)
    return sums + (sums < len(found.stages))


def _overlapped(stream: Stream, rows: int) -> list[Stream]:
    """Return sources of which adjacent units with this many rows read a considerable part twice."""
    found = []
    while isinstance(stream, Stage) and len(stream.inputs()) == 1:
        source = stream.inputs()[0]
        count = stream.needs(0, min(rows, stream.shape[0]))[1]
        if sum(stream.overlap) * _LEAST_SHARE > count - sum(stream.overlap):
            found.append(source)
        stream, rows = source, count
    return found


def _rebuilt(stream: Stream, make: Mapping[int, Callable[[Stream], Kept]], made: dict[int, Any]
             ) -> Stream:
    if id(stream) in made:
        return made[id(stream)]  # type: ignore[no-any-return]
    sources = tuple(_rebuilt(source, make, made) for source in stream.inputs())
    new = on_equal(stream, sources)
    made[id(stream)] = make[id(stream)](new) if id(stream) in make else new
    return made[id(stream)]  # type: ignore[no-any-return]


def keepers(streams: Sequence[Stream]) -> list[Kept]:
    """Return every `Kept` of the chains once."""
    return [stream for stream in _all(streams) if isinstance(stream, Kept)]
