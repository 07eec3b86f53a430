"""Polycos: TEMPO's polynomials of the phase of a pulsar at a telescope.

A block counts SI minutes from its middle. TEMPO counts minutes of UTC days of 1440 minutes, which
is the same except beyond a leap second; there, a block is not used: see `Polyco`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from os import PathLike, fspath
from typing import Any

import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from fastsig.errors import FormatError, UsageError
from fastsig.pulsar.phases import Instant, PhasePolynomial, midnight_s
from fastsig.pulsar.polyco_text import Block, blocks_of, text_of

__all__ = ["Polyco"]

Array = NDArray[np.float64]
Turns = tuple[NDArray[np.int64], Array]

#: A block is used for this much more than its span, so that a leap second is covered.
_MARGIN_S = 1
#: Times are rounded: a block is used for this much beyond a leap second.
_ROUNDED_S = 1e-6


class Polyco:
    """The phase of a pulsar from polynomials, each for a span of minutes or hours.

    For each time, the block with the nearest middle is used, among those whose span covers the
    time; spans are extended by 1 s at either end. A block is not used beyond a leap second, where
    TEMPO and other programs would count a second less: times beyond it need a block whose middle is
    on the same side. The leap second itself belongs to the side before it.

    Parameters
    ----------
    blocks : sequence of Block
        Blocks for one pulsar, observing frequency and site.
    path : str
        File of the blocks, for messages.
    made : mapping, optional
        How the blocks were made, for provenance.

    Raises
    ------
    UsageError
        If there are no blocks, or they are for several pulsars, frequencies or sites.
    """

    def __init__(self, blocks: Sequence[Block], path: str = "", *,
                 made: Mapping[str, Any] | None = None) -> None:
        if not blocks:
            raise UsageError(f"{path or 'polyco'}: no blocks")
        names = sorted({block.source for block in blocks})
        if len(names) > 1:
            raise UsageError(f"{path or 'polyco'}: {', '.join(names)}: give the source")
        for what, found in (("frequencies", {f"{block.mhz:g} MHz" for block in blocks}),
                            ("sites", {block.site for block in blocks})):
            if len(found) > 1:
                raise UsageError(f"{path or 'polyco of ' + names[0]}: blocks of several {what}: "
                                 f"{', '.join(sorted(found))}; allowed: one")
        self.blocks = tuple(sorted(blocks, key=lambda block: (block.day, block.day_part)))
        self.path, self.made = path, dict(made or {})
        self._polynomials = [PhasePolynomial(_middle(block), block.turns) for block in self.blocks]

    @classmethod
    def read(cls, path: str | PathLike[str], source: str | None = None) -> Polyco:
        """Read a polyco file.

        Parameters
        ----------
        path : path
            The file.
        source : str, optional
            Name of the pulsar, for a file with blocks of several pulsars.

        Raises
        ------
        FormatError
            If the file is not a polyco file, or contains no block of the source.
        """
        blocks = blocks_of(path)
        if source is not None:
            names = sorted({block.source for block in blocks})
            blocks = [block for block in blocks if block.source == source]
            if not blocks:
                raise FormatError(path, f"no polyco of {source}; the file has {', '.join(names)}")
        return cls(blocks, fspath(path))

    @property
    def source(self) -> str:
        """Name of the pulsar, as in the file."""
        return self.blocks[0].source

    @property
    def dm(self) -> float | None:
        """Dispersion measure, pc cm^-3; None if the file contains 0, which means unknown."""
        return self.blocks[0].dm or None

    @property
    def reference_mhz(self) -> float:
        """Frequency to which the phases refer, MHz; ``inf`` for infinite frequency."""
        return self.blocks[0].mhz or float("inf")

    @property
    def site(self) -> str:
        """TEMPO's code of the telescope, as in the file."""
        return self.blocks[0].site

    @property
    def span(self) -> tuple[Time, Time]:
        """First and last time of the blocks; there may be gaps between them."""
        first = min(p.epoch.later(low) for p, (low, _) in self._with_limits(0))
        last = max(p.epoch.later(high) for p, (_, high) in self._with_limits(0))
        return first.time, last.time

    def phase(self, start: Time, seconds: Array) -> Turns:
        """Return whole turns and the fraction of a turn at given SI seconds after `start`.

        Raises
        ------
        UsageError
            If no block covers one of the times.
        """
        turns, fraction = self._evaluated(PhasePolynomial.phase, (np.int64, np.float64), start,
                                          seconds)
        return turns, fraction

    def frequency(self, start: Time, seconds: Array) -> Array:
        """Return the pulse frequency at the telescope, Hz, at given SI seconds after `start`.

        Raises
        ------
        UsageError
            If no block covers one of the times.
        """
        found, = self._evaluated(lambda *each: (PhasePolynomial.frequency(*each),), (np.float64,),
                                 start, seconds)
        return found

    def parameters(self) -> Mapping[str, Any]:
        """Return a hash of the text of the blocks, and how they were made."""
        text = text_of(self.blocks)
        return {"predictor": "polyco", "source": self.source, "n_block": len(self.blocks),
                "reference_mhz": self.blocks[0].mhz or "infinity",
                "sha256": hashlib.sha256(text.encode()).hexdigest(), **self.made}

    def _evaluated(self, how: Any, types: Sequence[Any], start: Time, seconds: Array
                   ) -> tuple[NDArray[Any], ...]:
        at, x = Instant.of(start), np.asarray(seconds, np.float64)
        used = self._chosen(at, x)
        found = tuple(np.zeros(x.shape, each) for each in types)
        for number in np.unique(used):
            here, near = used == number, self._near(number, at)
            values = how(self._polynomials[number], at.later(Fraction(near)), x[here] - near)
            for out, part in zip(found, values, strict=True):
                out[here] = part
        return found

    def _near(self, number: int, at: Instant) -> int:
        """Return whole seconds from `at` to the end of a block that is nearer; 0 if it is within.

        A polynomial of 15 terms overflows if it is moved by many times its span. All times of the
        block are at least as far from `at`, so that their differences from this number are exact.
        """
        reach = 30 * self.blocks[number].span_min + _MARGIN_S
        middle = self._polynomials[number].epoch.since(at)
        return int(middle - reach) if middle > reach else min(int(middle + reach), 0)

    def _chosen(self, at: Instant, x: Array) -> NDArray[np.intp]:
        """Return the number of the block for each time."""
        if not np.isfinite(x).all():
            raise UsageError("seconds after the start must be finite numbers")
        best, nearest = np.full(x.shape, -1, np.intp), np.full(x.shape, np.inf)
        for number, (polynomial, (low, high)) in enumerate(self._with_limits(_MARGIN_S)):
            offset = x + float(at.since(polynomial.epoch))
            better = (offset >= low) & (offset <= high) & (np.abs(offset) < nearest)
            best[better], nearest[better] = number, np.abs(offset[better])
        if (best < 0).any():
            self._refuse(at.later(Fraction(float(x[best < 0].flat[0]))))
        return best

    def _refuse(self, at: Instant) -> None:
        first, last = (each.iso[:19] for each in self.span)
        raise UsageError(f"{self.path or 'polyco of ' + self.source}: does not cover "
                         f"{at.time.iso[:19]}; it has {len(self.blocks)} blocks from {first} to "
                         f"{last}")

    def _with_limits(self, margin: int) -> list[tuple[PhasePolynomial, tuple[Any, Any]]]:
        return [(polynomial, (max(low - margin, before), min(high + margin, after)))
                for polynomial, (low, high, before, after)
                in zip(self._polynomials, self._limits, strict=True)]

    @cached_property
    def _limits(self) -> list[tuple[Any, ...]]:
        """Ends of each span, and the leap seconds around it, in s from its middle."""
        return [(-30 * block.span_min, 30 * block.span_min,
                 *_leaps(polynomial.epoch, 30 * block.span_min + _MARGIN_S))
                for block, polynomial in zip(self.blocks, self._polynomials, strict=True)]


def _middle(block: Block) -> Instant:
    return Instant(block.day, block.day_part * 86400)


def _leaps(middle: Instant, reach_s: int) -> tuple[Any, Any]:
    """Return the ends of the last leap second before the middle, and of the first one after it."""
    before, after = -np.inf, np.inf
    n = reach_s // 86400 + 1
    for day in range(middle.day - n + 1, middle.day + n + 1):  # a leap second ends before `day`
        if midnight_s(day) - midnight_s(day - 1) != 86400:
            end = float(Instant(day).since(middle))
            before, after = (max(before, end), after) if end <= 0 else (before, min(after, end))
    return before - _ROUNDED_S, after + _ROUNDED_S
