"""The search of many series, by Fourier transform and by fast folding, on several threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.search.pulsars.ffa import FEWEST_TURNS, FoldingSearch
from fastsig.search.pulsars.fourier import LEAST_SAMPLES, FourierSearch
from fastsig.search.pulsars.sift import DETECTION, folded_detections, fourier_detections
from fastsig.work.scheduler import run

__all__ = ["Read", "Searches", "Settings", "Trials", "search_series", "searches_of",
           "with_segments"]

#: Samples that are compared at a time, and rounding error of those that are divided by weights.
_PIECE, _EQUAL = 2**14, 1e-6

#: Function that returns a series and its weights (None if all are 1), given the number of the
#: stretch and the number of the series in it.
Read = Callable[[int, int], tuple[NDArray[np.float32], NDArray[np.float32] | None]]

@dataclass(frozen=True)
class Settings:
    """Settings of a search of series.

    Parameters
    ----------
    threshold : float
        Lowest significance after all trials, in standard deviations.
    n_harmonic : int
        Largest number of harmonics that are summed; 0 for no Fourier search.
    z_max : float
        Largest drift of the highest harmonic, in bins.
    w_max : float
        Largest jerk of the highest harmonic, in bins.
    period : tuple of two floats, optional
        Shortest and longest period of fast folding, s; None for no fast folding.
    duty : tuple of two floats
        Smallest and largest width of a pulse in fast folding, as a fraction of the period.
    zapped : array, shape (n, 2), Hz
        Ranges of frequencies that are not used.
    """

    threshold: float = 6.0
    n_harmonic: int = 16
    z_max: float = 0.0
    w_max: float = field(default=0.0, kw_only=True)
    period: tuple[float, float] | None = (0.5, 1800.0)
    duty: tuple[float, float] = (1 / 240, 0.2)
    zapped: Any = field(default_factory=lambda: np.empty((0, 2)))

    def __post_init__(self) -> None:
        if isinstance(self.threshold, bool) or not 3 <= self.threshold <= 100:
            raise UsageError(f"threshold = {self.threshold!r}; allowed: 3 to 100")
        if not self.n_harmonic and self.period is None:
            raise UsageError("neither harmonics nor periods are searched; allowed: one or both")


class Trials(NamedTuple):
    """Series of one stretch, or segments of them, that are searched in the same way.

    Parameters
    ----------
    n_sample : int
        Number of samples of a series, or of a segment.
    sample_s : float
        Time from one sample to the next, s.
    dms : ndarray, shape (n,), float64, pc cm^-3
        Dispersion measures.
    starts : tuple of int
        Samples of a series at which segments begin; without segments, 0.
    stretch : int
        Number of the stretch.
    is_segment : bool
        Whether parts of series are searched, and not the whole.
    """

    n_sample: int
    sample_s: float
    dms: NDArray[np.float64]
    starts: tuple[int, ...] = (0,)
    stretch: int = 0
    is_segment: bool = False

    @property
    def duration_s(self) -> float:
        """Duration of a series, or of a segment, s."""
        return self.n_sample * self.sample_s


class Searches(NamedTuple):
    """Both searches of the series of a stretch; None for a search that is not made."""

    fourier: FourierSearch | None
    folding: FoldingSearch | None

    @property
    def memory_bytes(self) -> int:
        """Memory used by a thread, bytes."""
        total = 0
        if self.fourier is not None:
            total += self.fourier.memory_bytes
        if self.folding is not None:
            total += self.folding.memory_bytes
        return total

    @property
    def snr_min(self) -> float:
        """S/N above which both searches report a signal."""
        return max((each.snr_min for each in (self.fourier, self.folding) if each is not None),
                   default=0.0)

    def copy(self) -> Searches:
        """Return searches for another thread."""
        return Searches(None if self.fourier is None else self.fourier.copy(),
                        None if self.folding is None else self.folding.copy())

    def detections(self, series: Any, weight: Any, dm: float, zapped: Any) -> NDArray[Any]:
        """Return the detections in a series."""
        found = [np.empty(0, DETECTION)]
        if self.fourier is not None:
            found.append(fourier_detections(self.fourier.process(series, weight, zapped), dm))
        if self.folding is not None:
            found.append(folded_detections(self.folding.process(series, weight, zapped), dm,
                                           self.folding.duration_s))
        return np.concatenate(found)


def with_segments(trials: Sequence[Trials], length_s: float) -> list[Trials]:
    """Return stretches, and after them the segments of their series.

    Segments are equally long. They begin at equal steps of at most half their length, at the same
    times in all series. The first one begins with the series, and the last one ends with the
    shortest series.

    Raises
    ------
    UsageError
        If a segment has too few samples, or the series are no longer than a segment.
    """
    shortest = min(each.duration_s for each in trials)
    least = LEAST_SAMPLES * max(each.sample_s for each in trials)
    if not least <= length_s < shortest:
        raise UsageError(f"segment = {length_s:g} s; allowed: at least {least:.6g} s "
                         f"({LEAST_SAMPLES} samples), and less than the {shortest:.6g} s of the "
                         "series")
    n = int(np.ceil(2 * (shortest / length_s - 1) - 1e-9)) + 1
    starts = np.arange(n) * (shortest - length_s) / (n - 1)
    return [*trials, *(_segments(each, length_s, starts) for each in trials)]


def _segments(trials: Trials, length_s: float, starts: NDArray[np.float64]) -> Trials:
    """Return the segments of a stretch that begin at these times, s."""
    n = int(np.floor(length_s / trials.sample_s + 1e-9))
    first = np.minimum(np.rint(starts / trials.sample_s).astype(np.int64), trials.n_sample - n)
    return trials._replace(n_sample=n, starts=tuple(first.tolist()), is_segment=True)


def searches_of(settings: Settings, trials: Sequence[Trials]) -> list[Searches]:
    """Return the searches of each stretch and of its segments; the trials of all are counted.

    The number of trials of a search is in proportion to the duration of its series, so that each
    segment counts as its fraction of a whole series.

    Raises
    ------
    UsageError
        If a setting is not allowed.
    """
    n_dm = sum(len(each.dms) for each in trials if not each.is_segment)
    total: dict[int, float] = {}
    for each in trials:
        total[each.stretch] = total.get(each.stretch, 0.0) + len(each.starts) * each.duration_s
    return [_searches(settings, each, n_dm * total[each.stretch] / each.duration_s)
            for each in trials]


def _searches(settings: Settings, trials: Trials, n_trial: float) -> Searches:
    fourier = folding = None
    given: dict[str, Any] = {"threshold": settings.threshold, "trials": n_trial}
    if settings.n_harmonic:
        fourier = FourierSearch(trials.n_sample, trials.sample_s, z_max=settings.z_max,
                                w_max=settings.w_max, n_harmonic=settings.n_harmonic, **given)
    period = _period_of(settings, trials)
    if period is not None:
        folding = FoldingSearch(trials.n_sample, trials.sample_s, period=period,
                                duty=settings.duty, **given)
    return Searches(fourier, folding)


def _period_of(settings: Settings, trials: Trials) -> tuple[float, float] | None:
    """Return the periods of fast folding that a stretch can have; None if there are none."""
    if settings.period is None:
        return None
    least = int(1 / settings.duty[0] + 1e-9) * trials.sample_s
    low = max(settings.period[0], least)
    high = min(settings.period[1], trials.n_sample * trials.sample_s / FEWEST_TURNS)
    return (low, high) if low < high else None


def search_series(read: Read, trials: Sequence[Trials], searches: Sequence[Searches],
                 zapped: Any, *, workers: int = 1,
                 progress: Callable[[str, int, int], None] | None = None
                 ) -> tuple[NDArray[Any], int]:
    """Return the detections in all series, and the number of series that do not vary.

    Detections are in the order of the series, and have the fields of `sift.DETECTION`.

    Parameters
    ----------
    read : callable
        Function that returns a series and its weights, of type `Read`.
    trials : sequence of Trials
        Stretches, and their segments.
    searches : sequence of Searches
        Searches, as returned by `searches_of`.
    zapped : array, shape (n, 2), Hz
        Ranges of frequencies that are not used.
    workers : int
        Number of threads.
    progress : callable, optional
        Called with the name of the work, the number of series searched since the last call, and the
        total number of series. A series whose segments are also searched counts twice.
    """
    units = [(place, row) for place, each in enumerate(trials) for row in range(len(each.dms))]
    local = threading.local()
    found: list[NDArray[Any]] = [np.empty(0, DETECTION)]
    dead: list[bool] = []

    def work(unit: tuple[int, int]) -> tuple[NDArray[Any], bool]:
        place, row = unit
        if getattr(local, "place", None) != place:  # a thread keeps one work space
            local.place, local.searches = place, searches[place].copy()
        return _searched(trials[place], row, local.searches, read(trials[place].stretch, row),
                         zapped)

    def consume(unit: tuple[int, int], result: tuple[NDArray[Any], bool]) -> None:
        found.append(result[0])
        dead.append(result[1] and not trials[unit[0]].is_segment)
        if progress is not None:
            progress("periods", 1, len(units))

    run(units, work, consume, workers=workers, in_flight=workers + 1,
        describe=lambda unit: f"series {unit[1]} of stretch {trials[unit[0]].stretch}")
    return np.concatenate(found), sum(dead)


def _searched(trials: Trials, row: int, searches: Searches, series: tuple[Any, Any], zapped: Any
              ) -> tuple[NDArray[Any], bool]:
    """Return the detections in a series, or in its segments, and whether all do not vary."""
    found: list[NDArray[Any]] = [np.empty(0, DETECTION)]
    is_dead = True
    for number, start in enumerate(trials.starts, 1):
        part = slice(start, start + trials.n_sample)
        values, weight = series[0][part], None if series[1] is None else series[1][part]
        if not varies(values, weight):
            continue
        is_dead = False
        made = searches.detections(values, weight, float(trials.dms[row]), zapped)
        if trials.is_segment:
            made["segment"], made["start"] = number, start * trials.sample_s
            made["length"] = trials.duration_s
        found.append(made)
    return np.concatenate(found), is_dead


def varies(series: NDArray[np.float32], weight: NDArray[np.float32] | None) -> bool:
    """Return whether the valid samples of a series differ; those of a dead receiver do not."""
    low, high, equal = np.inf, -np.inf, 0.0 if weight is None else _EQUAL
    for at in range(0, len(series), _PIECE):
        x = series[at : at + _PIECE]
        good = np.isfinite(x)
        if weight is not None:
            share = weight[at : at + _PIECE]
            good &= share > 0
            # Samples are sums of what is valid.
            x = np.divide(x, share, where=good, out=np.zeros_like(x))
        low = min(low, float(x.min(where=good, initial=np.inf)))
        high = max(high, float(x.max(where=good, initial=-np.inf)))
        if high - low > equal * max(abs(low), abs(high)):
            return True
    return False
