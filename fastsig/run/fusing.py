"""Fusing: successive stages for which there is one kernel are replaced by a fused stage.

A fused stage returns the same bits as the stages that it replaces. It can be used at any place in a
chain, since stages above read it in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from fastsig.run.chains import on_equal
from fastsig.stages.channelize import Channelize
from fastsig.stages.dedisperse import DedisperseSpectra
from fastsig.stages.detect import DetectFrames
from fastsig.stages.series import FusedSeries, Series
from fastsig.stages.spectrometer import Spectrometer
from fastsig.stream import Stream

__all__ = ["FORMS", "STREAMING", "form_of", "fuse", "narrowed"]

#: Types of successive stages, the last first, and the function that returns their fused form.
FORMS: dict[tuple[type, ...], Callable[[Any], Stream]] = {
    (DetectFrames, Channelize): Spectrometer.fuse,
    (Series, DedisperseSpectra): FusedSeries.fuse,
}

#: Those of `FORMS` that pass on their state from block to block: their input is read once, so that
#: nothing is kept for them, and they are fused before that is decided.
STREAMING: tuple[tuple[type, ...], ...] = ((Series, DedisperseSpectra),)


def form_of(stream: Stream, among: Iterable[tuple[type, ...]] | None = None
            ) -> Callable[[Any], Stream] | None:
    """Return the function that fuses the stages ending with this one; None if there is none."""
    for types in FORMS if among is None else among:
        run: list[Stream] = [stream]
        while len(run) < len(types) and len(run[-1].inputs()) == 1:
            run.append(run[-1].inputs()[0])
        if tuple(map(type, run)) == types:
            return FORMS[types]
    return None


def narrowed(stream: Stream) -> Stream:
    """Return a chain that computes only selected channels, if every stage below allows it."""
    form = stream.as_read()
    if form is not stream:
        return narrowed(form)
    sources = tuple(narrowed(source) for source in stream.inputs())
    return on_equal(stream, sources)


def fuse(stream: Stream, made: dict[int, Stream] | None = None,
         among: Iterable[tuple[type, ...]] | None = None) -> Stream:
    """Return the chain with successive stages replaced by their fused form, where there is one.

    `made` records the replacements of streams, so that chains still share what they shared;
    `among` lists the forms of `FORMS` that are allowed, by default all.
    """
    made = {} if made is None else made
    if id(stream) not in made:
        new = on_equal(stream, tuple(fuse(source, made, among) for source in stream.inputs()))
        make = form_of(new, among)
        made[id(stream)] = narrowed(new if make is None else make(new))
    return made[id(stream)]
