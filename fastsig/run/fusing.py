"""Fusing: runs of stages for which there is one kernel are replaced by its stage.

A fused stage gives the same bits as the stages it stands for. It is used wherever in a chain its
run stands: what is above reads it as it would read them.
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

#: Types of stages that follow one another, the last first, and what makes their fused form.
FORMS: dict[tuple[type, ...], Callable[[Any], Stream]] = {
    (Detect, Channelize): Spectrometer.fuse,
}


def form_of(stream: Stream) -> Callable[[Any], Stream] | None:
    """What makes the fused form of the run of stages that ends with this one; None without one."""
    for types, make in FORMS.items():
        run: list[Stream] = [stream]
        while len(run) < len(types) and len(run[-1].inputs()) == 1:
            run.append(run[-1].inputs()[0])
        if tuple(map(type, run)) == types:
            return make
    return None


def narrowed(stream: Stream) -> Stream:
    """The chain with selected channels made alone, where every stage below allows that."""
    form = stream.as_read()
    if form is not stream:
        return narrowed(form)
    sources = tuple(narrowed(source) for source in stream.inputs())
    return on_equal(stream, sources)


def fuse(stream: Stream, made: dict[int, Stream] | None = None) -> Stream:
    """The chain with every run of stages that has a fused form replaced by it.

    `made` remembers what became of streams, so that chains keep what they share.
    """
    made = {} if made is None else made
    if id(stream) not in made:
        new = on_equal(stream, tuple(fuse(source, made) for source in stream.inputs()))
        make = form_of(new)
        made[id(stream)] = narrowed(new if make is None else make(new))
    return made[id(stream)]
