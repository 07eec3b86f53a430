"""Fusing: successive stages for which there is one kernel are replaced by a fused stage.

A fused stage returns the same bits as the stages that it replaces. It can be used at any place in a
chain, since stages above read it in the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastsig.run.chains import on_equal
from fastsig.stages.channelize import Channelize
from fastsig.stages.detect import Detect
from fastsig.stages.spectrometer import Spectrometer
from fastsig.stream import Stream

__all__ = ["FORMS", "form_of", "fuse", "narrowed"]

#: Types of successive stages, the last first, and the function that returns their fused form.
FORMS: dict[tuple[type, ...], Callable[[Any], Stream]] = {
    (Detect, Channelize): Spectrometer.fuse,
}


def form_of(stream: Stream) -> Callable[[Any], Stream] | None:
    """Return the function that fuses the stages ending with this one; None if there is none."""
    for types, make in FORMS.items():
        run: list[Stream] = [stream]
        while len(run) < len(types) and len(run[-1].inputs()) == 1:
            run.append(run[-1].inputs()[0])
        if tuple(map(type, run)) == types:
            return make
    return None


def narrowed(stream: Stream) -> Stream:
    """Return a chain that computes only selected channels, if every stage below allows it."""
    form = stream.as_read()
    if form is not stream:
        return narrowed(form)
    sources = tuple(narrowed(source) for source in stream.inputs())
    return on_equal(stream, sources)


def fuse(stream: Stream, made: dict[int, Stream] | None = None) -> Stream:
    """Return the chain with successive stages replaced by their fused form, where there is one.

    `made` records the replacements of streams, so that chains still share what they shared.
    """
    made = {} if made is None else made
    if id(stream) not in made:
        new = on_equal(stream, tuple(fuse(source, made) for source in stream.inputs()))
        make = form_of(new)
        made[id(stream)] = narrowed(new if make is None else make(new))
    return made[id(stream)]
