"""The search of many series: by Fourier transform and by fast folding, on threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.search.pulsars.ffa import FEWEST_TURNS, FoldingSearch
from fastsig.search.pulsars.fourier import FourierSearch
from fastsig.search.pulsars.sift import DETECTION, folded_detections, fourier_detections
from fastsig.work.scheduler import run

__all__ = ["Read", "Searches", "Settings", "Trials", "search_series", "searches_of"]

#: Samples that are compared at a time, and rounding error of those that are divided by weights.
_PIECE, _EQUAL = 2**14, 1e-6

#: Returns a series and its weights, None if all are 1, given the number of its stretch and its own.
Read = Callable[[int, int], tuple[NDArray[np.float32], NDArray[np.float32] | None]]

@dataclass(frozen=True)
class Settings:
    """Settings of a search of series.

    Parameters
    ----------
    threshold : float
        Least significance after all trials, in standard deviations.
    n_harmonic : int
        Largest number of harmonics that are summed; 0 for no Fourier search.
    z_max : float
        Largest drift of the highest harmonic, in bins.
    period : tuple of two floats, optional
        Shortest and longest period of fast folding, s; None for no fast folding.
    duty : tuple of two floats
        Least and largest width of a pulse of fast folding, as a share of the period.
    zapped : array, shape (n, 2), Hz
        Ranges of frequencies that are not used.
    """

    threshold: float = 6.0
    n_harmonic: int = 16
    z_max: float = 0.0
    period: tuple[float, float] | None = (0.5, 1800.0)
    duty: tuple[float, float] = (1 / 240, 0.2)
    zapped: Any = field(default_factory=lambda: np.empty((0, 2)))

    def __post_init__(self) -> None:
        if isinstance(self.threshold, bool) or not 3 <= self.threshold <= 100:
            raise UsageError(f"threshold = {self.threshold!r}; allowed: 3 to 100")
        if not self.n_harmonic and self.period is None:
            raise UsageError("neither harmonics nor periods are searched; allowed: one or both")


class Trials(NamedTuple):
    """Series of one stretch: their number of samples, their sample time, and DMs."""

    n_sample: int
    sample_s: float
    dms: NDArray[np.float64]


class Searches(NamedTuple):
    """Both searches of the series of a stretch; None for one that is not done."""

    fourier: FourierSearch | None
    folding: FoldingSearch | None

    @property
    def memory_bytes(self) -> int:
        """Memory of a thread, in bytes."""
        total = 0
        if self.fourier is not None:
            total += self.fourier.memory_bytes
        if self.folding is not None:
            total += self.folding.memory_bytes
        return total

    @property
    def snr_min(self) -> float:
        """Least S/N that both searches report."""
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


def searches_of(settings: Settings, trials: Sequence[Trials]) -> list[Searches]:
    """Return the searches of each stretch; the trials of all count.

    Raises
    ------
    UsageError
        If a setting is not allowed.
    """
    n_dm = float(sum(len(each.dms) for each in trials))
    return [_searches(settings, each, n_dm) for each in trials]


def _searches(settings: Settings, trials: Trials, n_dm: float) -> Searches:
    fourier = folding = None
    given: dict[str, Any] = {"threshold": settings.threshold, "trials": n_dm}
    if settings.n_harmonic:
        fourier = FourierSearch(trials.n_sample, trials.sample_s, z_max=settings.z_max,
                                n_harmonic=settings.n_harmonic, **given)
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

    Detections are in the order of the series; fields of `sift.DETECTION`.

    Parameters
    ----------
    read : callable
        A `Read`.
    trials : sequence of Trials
    searches : sequence of Searches
        As from `searches_of`.
    zapped : array, shape (n, 2), Hz
        Ranges of frequencies that are not used.
    workers : int
        Number of threads.
    progress : callable, optional
        Called with the name of the work, the number of series searched since the last call, and the
        number of all series.
    """
    units = [(stretch, row) for stretch, each in enumerate(trials) for row in range(len(each.dms))]
    local = threading.local()
    found: list[NDArray[Any]] = [np.empty(0, DETECTION)]
    dead: list[bool] = []

    def work(unit: tuple[int, int]) -> tuple[NDArray[Any], bool]:
        stretch, row = unit
        if getattr(local, "stretch", None) != stretch:  # a thread keeps one work space
            local.stretch, local.searches = stretch, searches[stretch].copy()
        series, weight = read(stretch, row)
        if not varies(series, weight):
            return np.empty(0, DETECTION), True
        made: NDArray[Any] = local.searches.detections(
            series, weight, float(trials[stretch].dms[row]), zapped)
        return made, False

    def consume(unit: tuple[int, int], result: tuple[NDArray[Any], bool]) -> None:
        found.append(result[0])
        dead.append(result[1])
        if progress is not None:
            progress("periods", 1, len(units))

    run(units, work, consume, workers=workers, in_flight=workers + 1,
        describe=lambda unit: f"series {unit[1]} of stretch {unit[0]}")
    return np.concatenate(found), sum(dead)


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
