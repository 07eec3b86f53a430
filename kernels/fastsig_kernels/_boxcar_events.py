"""What searches for pulses by boxcars have in common: their times, noise and events. NumPy only.

All work is done in chunks that are counted from the first sample of a stream, so that its events
do not depend on how it is split into calls. Level k of a `Ladder` has samples of 2^k samples; it is
searched whenever `Times.chunk` of its samples are new, for boxcars that begin up to `Times.halo` of
them before. A boxcar belongs to the segment of time in which it is searched.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ._noise_widths import leveled, scale, steadied
from .ladder import Ladder

#: Samples of a tile, which is searched at once, unless requested; samples of a level that begin a
#: vector.
TILE, LANES = 2048, 16
#: Neighbouring rows whose noise is measured together; one row in `EVERY` of these is measured.
GROUP, EVERY = 64, 16
#: Samples of a row of which a level is the median, at most; tiles over which levels are averaged;
#: errors by which a level must be below 0.
_SAMPLED, _AVERAGED, _SURE = 1024, 8, 6.0
#: Standard deviations above the median beyond which samples are pulses; shares of the samples that
#: are more than one, and two, below it; how often these are determined.
_CLIP, _LOW, _ROUNDS = 2.5, (0.1587, 0.02275), 4
#: Largest ratio of the distances between the median, the first and the second of these values, for
#: a skewness of 0.62; variance of a level for one Gaussian value.
_MOST_RATIO, _VARIANCE = 1.3, 2.5
#: Least weight of a sample, and fewest samples, for a level.
_LEAST_WEIGHT, _FEWEST = 0.25, 64
#: Share of the threshold above which boxcars are kept until their noise is known.
RAW_SHARE = 0.8
#: Widths of the longest boxcar in a segment, at least.
_SEGMENT_WIDTHS = 8

EVENT = np.dtype([("row", np.int32), ("time", np.int64), ("width", np.int32),
                  ("snr", np.float32), ("weight", np.float32)])
#: Boxcars before their noise is known: row, first sample, index of the width, sum, and weight.
RAW = np.dtype([("row", np.int32), ("time", np.int64), ("index", np.int32),
                ("sum", np.float32), ("weight", np.float32)])


@dataclass(frozen=True)
class Times:
    """Numbers of samples in which a stream is searched."""

    halo: int
    longest: int
    segment: int
    tile: int = TILE

    @classmethod
    def of(cls, ladder: Ladder, segment: int = 0, tile: int = TILE) -> "Times":
        """Return the times for a ladder; a segment of 0 is chosen by its longest boxcar."""
        halo = -(-max(*ladder.first, *ladder.later) // LANES) * LANES
        longest = max(tile, LANES << (ladder.n_level - 1))
        least = segment or _SEGMENT_WIDTHS * int(ladder.widths[-1])
        return cls(halo, longest, -(-least // longest) * longest, tile)

    def ends(self, n: int) -> np.ndarray:
        """Return the ends of the segments of `n` samples, a multiple of `tile`.

        The first ones are shorter, the first of all a tile, so that noise is soon known.
        """
        short = self.tile << np.arange(64 - self.tile.bit_length())
        whole = np.arange(self.segment, n + self.segment, self.segment)
        ends = np.concatenate([short[short < self.segment], whole])
        return np.append(ends[ends < n], n) if n else ends[:0]

    def is_end(self, n: int) -> bool:
        """Whether a segment ends with sample `n`, a multiple of `tile`."""
        tiles = n // self.tile
        return n % self.segment == 0 or (n < self.segment and tiles & (tiles - 1) == 0)

    def chunk(self, level: int) -> int:
        """Return the number of samples of a level that are searched at once."""
        return max(self.tile >> level, LANES)


class Levels:
    """Levels of groups of rows in the tiles of a stream.

    A mean that is subtracted from channels includes bright pulses, so that the samples between the
    pulses of a bright pulsar are below 0. Level and noise of boxcars, which are measured within a
    cut around 0, would then be those of the flanks of its pulses. Levels above 0 are left: they are
    wide pulses.

    Parameters
    ----------
    n_row : int
        Number of rows.
    times : Times
    """

    def __init__(self, n_row: int, times: Times) -> None:
        first = np.arange(0, n_row, GROUP)[:, np.newaxis]
        rows = first + np.arange(0, GROUP, EVERY)
        self._rows = np.where(rows < n_row, rows, first)
        step = max(1, times.tile // _SAMPLED)
        self._halo, self._samples = times.halo, slice(times.halo + step // 2, None, step)
        self.reset()

    def reset(self) -> None:
        """Begin a stream."""
        #: Of the last tiles: whether levels are known, levels, and their variances; else 0.
        self._last = np.zeros((_AVERAGED, 3, len(self._rows)))
        self._tile = -1

    def advance(self) -> None:
        """Begin a tile."""
        self._tile = (self._tile + 1) % _AVERAGED

    def subtract(self, x: np.ndarray, weight: np.ndarray | None, rows: slice = slice(None)) -> None:
        """Subtract the levels below 0 from some rows of a tile; past samples precede it in memory.

        Parameters
        ----------
        x : ndarray, shape (n_row, halo + tile), float32
        weight : ndarray, shape of x, float32, or None
            Weights of the samples; 1 by default.
        rows : slice
            Whole groups of rows; several threads may have different ones.
        """
        first, stop, _ = rows.indices(len(x))
        groups = slice(first // GROUP, -(-stop // GROUP))
        self._last[self._tile, :, groups] = self._measured(x, weight, groups)
        number, total, variance = self._last[:, :, groups].sum(axis=0)
        for k in np.flatnonzero(total < -_SURE * np.sqrt(variance)):
            row, level = GROUP * (groups.start + k), total[k] / number[k]
            there = slice(row, row + GROUP), slice(self._halo, None)
            x[there] -= np.float32(level) * (1 if weight is None else weight[there])

    def _measured(self, x: np.ndarray, weight: np.ndarray | None, groups: slice) -> np.ndarray:
        """Return the level of some groups in a tile: known or not, level, variance of the level.

        The shape is (3, n_group).
        """
        measured = self._rows[groups]
        n_group = len(measured)
        some = x[measured, self._samples].reshape(n_group, -1)
        number = np.full(n_group, some.shape[1])
        if weight is not None:
            of = weight[measured, self._samples].reshape(n_group, -1)
            valid = of >= _LEAST_WEIGHT
            some = np.where(valid, some / np.where(valid, of, 1), np.inf)  # last in order
            number = valid.sum(axis=1)
        found = np.zeros((3, n_group))
        found[0] = number >= _FEWEST
        # Rows of a group may be similar, so that those of one row are independent. Where there are
        # no more samples below 0 than chance explains (2 sigma), the level is 0 or above.
        n_row = measured.shape[1]
        low = (some < 0).sum(axis=1) - number / 2 > np.sqrt(n_row * number)
        for group in np.flatnonzero(low & (number >= _FEWEST)):
            level, variance = _location(np.sort(some[group]), int(number[group]))
            found[1:, group] = level, n_row * variance
        return found


def _location(ordered: np.ndarray, n: int) -> tuple[float, float]:
    """Return the mean of the noise among `n` ascending values, and its variance.

    Values far above the others, which are pulses, are left out. The median of noise that is skewed,
    such as powers, is below its mean: by a sixth of its skewness, which the lower quantiles show,
    times its standard deviation (Cornish and Fisher 1938). Much more skewness, as of sums of few
    values, is no sign of pulses; 0 is then returned.
    """
    for _ in range(_ROUNDS):
        level, low, lowest = (float(ordered[int(share * n)]) for share in (0.5, *_LOW))
        n = int(np.searchsorted(ordered, level + _CLIP * (level - low)))
    if not level - low < _MOST_RATIO * (low - lowest):  # or there are few different values
        return 0.0, 0.0
    ratio = (level - low) / (low - lowest)
    skewness = max(0.0, (ratio - 1) / (ratio / 2 - 1 / 6))
    sigma = (level - low) / (1 - skewness / 6)
    return level + sigma * skewness / 6, _VARIANCE * sigma**2 / max(n, 1)


class Statistics(NamedTuple):
    """Noise and level of each group of rows and width, (n_group, n_width) float64.

    The noise of a boxcar is in units of that expected of independent samples, and the level is the
    mean of a sample in units of the noise expected of it.
    """

    noise: np.ndarray
    level: np.ndarray


def statistics_of(sums: Sequence[np.ndarray], ladder: Ladder, n_row: int,
                  scale: Callable[..., np.ndarray] = scale) -> Statistics:
    """Return the noise and the level of each group of rows and width.

    Parameters
    ----------
    sums : list of six ndarray, shape (n_segment, n_group, n_width), float64
        Of the values within the cut, squares, numbers, sums and weights; numbers of all values; and
        cuts, of segments.
    ladder : Ladder
        Widths.
    n_row : int
        Number of rows of the plane.
    scale : callable
        Computes the noise from squares, numbers and cuts.
    """
    square, within, total, weight, every, cut = sums
    rows = np.minimum(GROUP, n_row - np.arange(0, n_row, GROUP))
    measured = -(-rows // EVERY)[:, np.newaxis]
    number = every.sum(axis=0) / measured * (ladder.steps / ladder.widths)
    noise = scale(square, within, every, cut)
    noise, level = leveled(noise, within.sum(axis=0), total.sum(axis=0), weight.sum(axis=0), number)
    return Statistics(steadied(noise, number), level)


def final_events(raw: np.ndarray, found_of: Statistics, ladder: Ladder, threshold: float,
                 delay: np.ndarray | None = None) -> np.ndarray:
    """Return the events among boxcars whose noise and level are known, in the order of time.

    An event is above the threshold, and no better one of the same row overlaps it in time.
    """
    found = np.zeros(len(raw), EVENT)
    found["row"], found["time"] = raw["row"], raw["time"]
    place, weight = (raw["row"] // GROUP, raw["index"]), raw["weight"].astype(np.float64)
    found["snr"] = (raw["sum"] - found_of.level[place] * weight) / (
        found_of.noise[place] * np.sqrt(weight))
    found["width"] = ladder.widths[raw["index"]]
    found["weight"] = raw["weight"] / found["width"]
    found = found[found["snr"] >= threshold]
    found = found[np.lexsort([found[name] for name in ("width", "time", "row")])]
    found = found[_is_best(found)]
    if delay is not None:
        found["time"] -= delay[found["row"]]
    return found[np.lexsort([found[name] for name in ("width", "row", "time")])]


def _is_best(events: np.ndarray) -> np.ndarray:
    """Return whether events, in the order of rows and times, are better than what they overlap."""
    best, end = np.ones(len(events), bool), events["time"] + events["width"]
    for apart in range(1, len(events)):
        a, b = slice(None, -apart), slice(apart, None)
        near = (events["row"][a] == events["row"][b]) & (events["time"][b] < end[a])
        if not near.any():
            break
        first = events["snr"][a] >= events["snr"][b]
        best[a] &= ~(near & ~first)
        best[b] &= ~(near & first)
    return best
