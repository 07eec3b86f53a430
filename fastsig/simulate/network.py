"""What happens to packets on their way: which are lost, repeated or late, and their counters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from fastsig_kernels.noise import uniform
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.simulate.checks import seed_of
from fastsig.simulate.values import scalar, settle, value_field, whole

__all__ = ["Events", "Network", "Span"]

_MOST_LATE = 2**16
_COUNTERS = 2**56
_LOSS, _LATE, _TWICE, _TWICE_LATE = range(100, 104)  # streams of random numbers


class Span(NamedTuple):
    """Consecutive steps of time whose slots are consecutive too.

    Parameters
    ----------
    step, slot, n : int
        First step and slot, and their number.
    silent : bool
    """

    step: int
    slot: int
    n: int
    silent: bool


class Events(NamedTuple):
    """Packets in the order in which they are sent.

    Parameters
    ----------
    when : ndarray, float64
        Time, in packets at the nominal rate.
    slot, part : ndarray, int64
    """

    when: NDArray[np.float64]
    slot: NDArray[np.int64]
    part: NDArray[np.int64]

    def chosen(self, which: NDArray[Any]) -> Events:
        """Return some of the packets."""
        return Events(self.when[which], self.slot[which], self.part[which])

    def with_more(self, other: Events) -> Events:
        """Return these packets and others."""
        return Events(np.concatenate([self.when, other.when]),
                      np.concatenate([self.slot, other.slot]),
                      np.concatenate([self.part, other.part]))

    def in_order(self) -> Events:
        """Return the packets in the order of their times."""
        return self.chosen(np.argsort(self.when, kind="stable"))


@dataclass(frozen=True)
class Network:
    """What happens to packets between a simulated backend and a receiver.

    Which packets are lost, late or repeated depends only on the parameters and the seed.

    Parameters
    ----------
    loss, duplicates : value
        Probabilities that a packet is lost, and that it arrives twice.
    reorder : int
        Largest number of packets by which a packet may be late.
    first : int
        Counter of the first packet; after ``2**56 - 1``, the counter continues at 0.
    beam : int, optional
        Number of the beam, 1 to 19; by default, that of the recording.
    jumps : sequence of (time, int), or text
        Times at which the counter jumps, and by how many steps: ``"2s:1000000+3s:-500"``. The
        samples are those of the time that the counter states.
    silences : sequence of (time, time), or text
        Times at which transmission stops, and for how long: ``"1s:3s"``.
    seed : int
        Seed of the random numbers.
    """

    loss: Any = value_field("", 0, low=0, high=1)
    duplicates: Any = value_field("", 0, low=0, high=1)
    reorder: Any = 0
    first: Any = 0
    beam: Any = None
    jumps: Any = ()
    silences: Any = ()
    seed: Any = 1

    def __post_init__(self) -> None:
        settle(self, "network")
        limits = {"reorder": (0, _MOST_LATE), "first": (0, _COUNTERS - 1), "beam": (1, 19)}
        for name, (low, high) in limits.items():
            if getattr(self, name) is None:
                continue
            value = whole(getattr(self, name), f"network {name}", low)
            if value > high:
                raise UsageError(f"network {name} = {value}; allowed: {low} to {high}")
            object.__setattr__(self, name, value)
        object.__setattr__(self, "seed", seed_of(whole(self.seed, "network seed", 0)))
        for name in ("jumps", "silences"):
            object.__setattr__(self, name, _pairs(getattr(self, name), name))

    def spans(self, n_slot: int, slots_per_second: Fraction, most: int) -> Iterator[Span]:
        """Yield the steps of a recording of `n_slot` slots, in spans of at most `most` steps.

        A slot is a part of the recording that is sent in one packet per polarisation or product. A
        step is the time in which one slot is sent; the slot of a step depends on the jumps.
        """
        at = sorted((round(time * slots_per_second), int(by)) for time, by in self.jumps)
        quiet = [(round(time * slots_per_second), round((time + long) * slots_per_second))
                 for time, long in self.silences]
        edges = sorted({0, *(step for step, _ in at), *(step for pair in quiet for step in pair)})
        slot = 0
        for step, following in zip(edges, [*edges[1:], 2**62], strict=True):
            slot += sum(by for when, by in at if when == step)
            silent = any(low <= step < high for low, high in quiet)
            while step < following and slot < n_slot:
                n = min(most, following - step, n_slot - slot % n_slot)
                yield Span(step, slot, n, silent)
                step, slot = step + n, slot + n
            if slot >= n_slot:
                return

    def order(self, spans: Iterable[Span], n_part: int, kept: Callable[[Span], NDArray[np.bool_]]
              ) -> Iterator[tuple[Span | None, Events]]:
        """Yield each span with the packets that are due by its end, and finally the remaining ones.

        `kept` is called with a span, and returns which packets are not already lost in the
        recording, (slot, part).
        """
        waiting = Events(np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))
        for span in spans:
            waiting = waiting.with_more(self._packets(span, n_part, kept(span)))
            due = waiting.when < (span.step + span.n) * n_part
            yield span, waiting.chosen(due).in_order()
            waiting = waiting.chosen(~due)
        yield None, waiting.in_order()

    def _packets(self, span: Span, n_part: int, kept: NDArray[np.bool_]) -> Events:
        """Return the packets of a span, those that come twice included, in no order."""
        first, n = span.step * n_part, span.n * n_part
        number = np.arange(first, first + n)
        kept = kept.reshape(-1) & (self._random(first, n, _LOSS) >= float(self.loss))
        if span.silent:
            kept[:] = False
        when = number + self.reorder * self._random(first, n, _LATE)
        again = kept & (self._random(first, n, _TWICE) < float(self.duplicates))
        later = when + (1 + self.reorder) * self._random(first, n, _TWICE_LATE)
        slot, part = number // n_part - span.step + span.slot, number % n_part
        once = Events(when, slot, part).chosen(kept)
        return once.with_more(Events(later, slot, part).chosen(again))

    def _random(self, first: int, n: int, stream: int) -> NDArray[np.float64]:
        return np.asarray(uniform(first, n, seed=self.seed, stream=stream), np.float64)


def _pairs(given: Any, name: str) -> tuple[tuple[Fraction, Any], ...]:
    """Return pairs of a time and a number of steps, or of two times."""
    items = given.split("+") if isinstance(given, str) and given else given or ()
    found = []
    for item in items:
        pair = item.split(":") if isinstance(item, str) else item
        if len(pair) != 2:
            example = "2s:1000000" if name == "jumps" else "1s:3s"
            raise UsageError(f"network {name} = {item!r}; allowed: pairs such as {example}")
        second = (int(scalar(pair[1], "", f"network {name}")) if name == "jumps"
                  else scalar(pair[1], "s", f"network {name}"))
        when = scalar(pair[0], "s", f"network {name}")
        if when < 0 or (name == "silences" and second < 0):
            raise UsageError(f"network {name} = {item!r}; allowed: times from 0")
        found.append((when, second))
    return tuple(found)
