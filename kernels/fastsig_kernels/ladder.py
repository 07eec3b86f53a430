"""Widths of boxcars that find pulses of any width with a stated loss; needs only NumPy."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from . import _check

__all__ = ["Ladder", "boxcar_ladder"]

_BASES = (8, 10, 12, 14, 16, 20, 24, 32, 48, 64)
_LEAST_LOSS, _MOST_LOSS = 0.01, 0.2
_MOST_WIDTH, _MOST_BASE, _MOST_LEVEL = 2**20, 64, 20
#: Points for which losses are computed: between neighbouring widths, and phases of a step, for
#: a choice of widths and for a table.
_BETWEEN, _PHASES, _MANY_PHASES = 32, 32, 256
#: Part of the loss that is not used, for pulses between these points.
_MARGIN = 0.01


@dataclass(frozen=True)
class Ladder:
    """Widths of boxcars, in levels: the boxcars of a level begin at multiples of the same step.

    The step of level k is 2^k samples. Level 0 has the widths `first`; each further level has the
    widths `later` times its step, all of which are `base` steps or more and less than twice that.

    Parameters
    ----------
    base : int
        Smallest width of a level, in steps.
    first, later : tuple of int
        Widths of level 0, in samples, and of the others, in steps; both ascending.
    n_level : int
        Number of levels.
    loss : float
        Largest loss of S/N, for pulses of `holds_from` samples or more.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.
    """

    base: int
    first: tuple[int, ...]
    later: tuple[int, ...]
    n_level: int
    loss: float

    def __post_init__(self) -> None:
        """Refuse arguments that are not a ladder."""
        base = _check.count("base", self.base, maximum=_MOST_BASE)
        loss = _check.number("loss", self.loss)
        made = {"base": base, "first": _widths("first", self.first, 1, base),
                "later": _widths("later", self.later, base, base), "loss": loss,
                "n_level": _check.count("n_level", self.n_level, maximum=_MOST_LEVEL)}
        if not 0 < loss < 1:
            raise ValueError(f"loss: found {self.loss}, allowed above 0, below 1")
        # Numbers of NumPy become those of Python, which do not overflow.
        for name, value in made.items():
            object.__setattr__(self, name, value)

    @property
    def widths(self) -> np.ndarray:
        """Widths in ascending order: (n_width,) int64, samples."""
        later = [m << k for k in range(1, self.n_level) for m in self.later]
        return np.array([*self.first, *later], np.int64)

    @property
    def levels(self) -> np.ndarray:
        """Level of each width: (n_width,) int64."""
        return np.repeat(np.arange(self.n_level), [len(self.first)]
                         + [len(self.later)] * (self.n_level - 1))

    @property
    def steps(self) -> np.ndarray:
        """Step with which the boxcars of each width begin: (n_width,) int64, samples."""
        return np.left_shift(1, self.levels)

    @property
    def holds_from(self) -> float:
        """Smallest width of pulses for which the loss is at most `loss`, in samples."""
        width = np.arange(8.0, 16 * self.base + 1) / 8
        lossy = width[self.losses(width) > self.loss]
        return float(lossy[-1]) + 0.125 if lossy.size else 1.0

    def losses(self, width: np.ndarray) -> np.ndarray:
        """Return the loss of S/N for rectangular pulses, in the worst phase.

        The reference is a boxcar with the width and the time of the pulse, which may lie anywhere
        between samples.

        Parameters
        ----------
        width : ndarray, shape (n,), float64, samples
            Widths of pulses.

        Returns
        -------
        ndarray, shape (n,), float64, as a fraction
        """
        _check.array("width", width, ("float64",), 1)
        widths, steps = self.widths.astype(float), self.steps.astype(float)
        out = np.empty(len(width))
        for i, each in enumerate(width):
            near = (widths >= each / 2) & (widths <= each * 2)
            near[0 if each < widths[0] else -1] |= not near.any()
            out[i] = _worst(np.array([each]), widths[near], steps[near], _MANY_PHASES)
        return out


def _widths(name: str, widths: Any, least: int, base: int) -> tuple[int, ...]:
    """Return the widths of a level, in its steps; refuse others than a tuple or list of them."""
    if not isinstance(widths, (tuple, list)):
        raise TypeError(f"{name}: found {type(widths).__name__}, allowed a tuple of integers")
    found = tuple(_check.count(name, width, least, 2 * base - 1) for width in widths)
    if not found or any(a >= b for a, b in pairwise(found)):
        raise ValueError(f"{name}: found {found}, allowed one or more in ascending order")
    return found


def _kept(pulse: np.ndarray, phase: np.ndarray, width: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Return the share of S/N in the best boxcar of each width, for pulses that begin at `phase`.

    The boxcar and the pulse are nested if the former begins between `latest` - |difference| and
    `latest`; otherwise they miss as many samples of each other as it begins outside of that.
    """
    latest = np.where(width >= pulse, phase, phase + pulse - width)
    earliest = latest - np.abs(width - pulse)
    before = np.floor(latest / step) * step
    missed = np.minimum(np.maximum(earliest - before, 0), before + step - latest)
    return np.maximum(np.minimum(width, pulse) - missed, 0) / np.sqrt(width * pulse)


def _worst(pulse: np.ndarray, width: np.ndarray, step: np.ndarray, n: int = _PHASES) -> float:
    """Return the largest loss of any pulse in any of `n` phases."""
    phase = np.arange(n)[:, np.newaxis] * step.max() / n
    kept = _kept(pulse[:, np.newaxis, np.newaxis], phase, width, step)
    return 1 - float(kept.max(axis=2).min())


def _between(a: tuple[int, int], b: tuple[int, int]) -> float:
    """Return the largest loss of pulses with widths between those of two (width, step)."""
    width, step = (np.array(pair, float) for pair in zip(a, b, strict=True))
    return _worst(np.linspace(width[0], width[1], _BETWEEN + 1), width, step)


def _climb(first: int, base: int, loss: float) -> list[int]:
    """Return widths from `first` on in the widest allowed steps, to twice `base`, exclusive.

    Where the loss is larger than allowed in any case, no width is left out.
    """
    rungs, top = [first], (2 * base, 2)
    while _between((rungs[-1], 1), top) > loss and rungs[-1] < 2 * base - 1:
        after = rungs[-1] + 1
        while after + 1 < 2 * base and _between((rungs[-1], 1), (after + 1, 1)) <= loss:
            after += 1
        rungs.append(after)
    return rungs


def boxcar_ladder(loss: float, longest: int) -> Ladder:
    """Return widths of boxcars that find pulses of any width and phase with a stated loss.

    Parameters
    ----------
    loss : float
        Largest loss of S/N allowed, 0.01 to 0.2. It holds for rectangular pulses of
        `Ladder.holds_from` samples or more; shorter pulses are divided among samples in a way for
        which no set of boxcars can make up, and for these, all widths are searched. `Ladder.losses`
        returns the loss for each width.
    longest : int
        Longest pulse to search for, in samples; the last width is no shorter.

    Returns
    -------
    Ladder

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.
    """
    loss = _check.number("loss", loss)
    if not _LEAST_LOSS <= loss <= _MOST_LOSS:
        raise ValueError(f"loss: found {loss}, allowed {_LEAST_LOSS} to {_MOST_LOSS}")
    longest = _check.count("longest", longest, maximum=_MOST_WIDTH)
    base, first, later = _rungs(loss * (1 - _MARGIN))
    n_level = 1
    while max(first if n_level == 1 else later) << (n_level - 1) < longest:
        n_level += 1
    if n_level == 1:
        first = first[: int(np.searchsorted(first, longest)) + 1]
    return Ladder(base, first, later, n_level, loss)


@lru_cache(maxsize=16)
def _rungs(loss: float) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """Return base and widths of the ladder with the fewest boxcars for each sample."""
    best = None
    for base in _BASES:
        later = tuple(_climb(base, base, loss))
        levels = [*((m, 1) for m in later), (2 * base, 2)]
        if max(_between(*pair) for pair in pairwise(levels)) > loss:
            continue
        first = tuple(_climb(1, base, loss))
        if best is None or len(first) + len(later) < len(best[1]) + len(best[2]):
            best = base, first, later
    assert best is not None
    return best
