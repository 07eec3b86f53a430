"""The request for a search for pulsars: its settings, series, threads and memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.time import Time
from numpy.typing import NDArray

from fastsig.axes.time import as_iso, mjd_and_seconds
from fastsig.axes.units import number
from fastsig.errors import PlanError, UsageError
from fastsig.pulsar.dm_plan import dm_plan
from fastsig.reductions.periodic.series_files import SeriesFiles
from fastsig.reductions.periodic.sink import Series
from fastsig.reductions.periodic.spool import Spool
from fastsig.reductions.periodic.summed_series import SummedSeries
from fastsig.run.engine import Progress
from fastsig.run.flag_shares import run_watched, watches
from fastsig.run.plan import plan
from fastsig.search.pulsars import birds
from fastsig.search.pulsars.engine import (
    Read,
    Searches,
    Settings,
    Trials,
    searches_of,
    with_segments,
)
from fastsig.search.pulsars.fourier import LEAST_SAMPLES, MOST_SAMPLES
from fastsig.stages.to_barycenter import ToBarycenter, clock_of
from fastsig.stream import SpectrumStream, spectra_of
from fastsig.work.arguments import shown
from fastsig.work.memory import available_bytes, resident_bytes
from fastsig.work.threads import processors

if TYPE_CHECKING:
    from fastsig.telescopes.barycentric_clock import BarycentricClock

__all__ = ["Request", "settings_of"]

#: Share of the memory that may be used for series, by default and if it is limited.
_SHARE = 0.5


def settings_of(harmonics: int, accel: float, period: Any, duty: Any, threshold: float, zap: Any,
                mains: float | None, of_birds: NDArray[np.float64] | None = None, *,
                jerk: float = 0.0) -> Settings:
    """Return the settings for arguments of `pulsars`, and ranges of the frequencies of birds.

    Raises
    ------
    UsageError
        If an argument is not allowed.
    """
    of_mains = [] if mains is None else [birds.mains(float(mains), 1e5)]
    zapped = birds.merged(_ranges(zap), *of_mains, *([] if of_birds is None else [of_birds]))
    return Settings(threshold, harmonics, float(accel),
                    None if period is None else _pair(period, "s", "period"),
                    _pair(duty, "", "duty"), zapped, w_max=float(jerk))


def _ranges(zap: Any) -> NDArray[np.float64]:
    """Return ranges of frequencies, (n, 2), Hz."""
    try:
        found = np.array([[number(each, "Hz", "zap") if isinstance(each, u.Quantity | str)
                           else float(each) for each in pair] for pair in zap], np.float64)
        if found.size and (found.ndim != 2 or found.shape[1] != 2 or not np.isfinite(found).all()):
            raise ValueError("not pairs of numbers")
    except (TypeError, ValueError) as error:
        raise UsageError(f"zap = {shown(zap)}; allowed: pairs of frequencies, Hz") from error
    return found.reshape(-1, 2)


def _pair(value: Any, unit: str, name: str) -> tuple[float, float]:
    """Return two ascending numbers of a pair or of text such as ``"0.5s:10s"``."""
    parts = value.split(":") if isinstance(value, str) else value
    try:
        low, high = (_number(each, unit, name) for each in parts)
    except (TypeError, ValueError, ZeroDivisionError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"{name} = {value!r}; allowed: two values, such as "
                         f"{'0.5s:10s' if unit else '0.5%:20%'}") from error
    if not 0 < low < high:
        raise UsageError(f"{name} = {value!r}; allowed: two ascending values above 0")
    return low, high


def _number(value: Any, unit: str, name: str) -> float:
    if isinstance(value, str) and not unit and value.strip().endswith("%"):
        return float(value.strip()[:-1]) / 100
    if unit:
        return number(value, unit, name)
    return float(Fraction(value)) if isinstance(value, str) else float(value)


@dataclass(frozen=True)
class Request:
    """A planned search: its input, its settings and its number of threads.

    Parameters
    ----------
    stream : SpectrumStream
        Spectra of one product, or the time series of the lowest dispersion measure.
    source : SummedSeries or SeriesFiles
        Source of the series.
    settings : Settings
        Settings of the search.
    searched : tuple of Trials
        The stretches of dispersion measures and, with segments, the segments of each.
    searches : tuple of Searches
        The searches of each element of `searched`.
    workers : int
        Number of threads.
    memory : int or None
        Maximum memory of the process, bytes.
    in_memory : bool
        Whether all series are in memory.
    clock : BarycentricClock or None
        Clock of spectra that are searched at the barycentre.
    """

    stream: SpectrumStream
    source: SummedSeries | SeriesFiles
    settings: Settings
    searched: tuple[Trials, ...]
    searches: tuple[Searches, ...]
    workers: int
    memory: int | None
    in_memory: bool
    clock: BarycentricClock | None = None

    @classmethod
    def of(cls, streams: Sequence[SpectrumStream], dms: Any, settings: Settings, *,
           loss: float = 0.1, constant: Any = None, barycenter: bool = False,
           ephemeris: str | None = None, segment: Any = None, workers: int | None = None,
           memory: int | None = None) -> Request:
        """Return the request for the arguments of `pulsars`.

        Raises
        ------
        UsageError
            If an argument is not allowed.
        PlanError
            If the memory is too small for one thread, the data are too short, or several streams
            are not time series of one scan.
        """
        if workers is not None and workers < 1:
            raise UsageError(f"workers = {workers}; allowed: 1 or more")
        if ephemeris is not None and not barycenter:
            raise UsageError("--ephemeris without --barycenter; allowed: with it")
        clock = None
        source: SummedSeries | SeriesFiles
        if len(streams) > 1 or streams[0].shape[2] == 1:
            if barycenter:
                streams = [spectra_of(ToBarycenter(each, ephemeris=ephemeris)) for each in streams]
            source = SeriesFiles(streams)
        else:
            clock = clock_of(streams[0], ephemeris=ephemeris) if barycenter else None
            source = SummedSeries(streams[0], dm_plan(streams[0], dms, loss=loss,
                                                      constant=constant), clock)
        _check_lengths(source)
        searched = source.trials if segment is None else tuple(with_segments(
            source.trials, number(segment, "s", "segment")))
        searches = tuple(searches_of(settings, searched))
        limit = memory - resident_bytes() if memory is not None else available_bytes()
        in_memory = source.held_bytes <= _SHARE * limit
        left = limit - (source.held_bytes if in_memory else 0)
        each = max(part.memory_bytes for part in searches) + source.read_bytes
        if left < each:
            given = "available" if memory is None else "memory"
            raise PlanError(f"{given} = {(memory or limit) / 1e6:.0f} MB; this search requires "
                            f"{(resident_bytes() if memory else 0) / 1e6 + each / 1e6:.0f} MB")
        wanted = min(workers or processors(), max(1, int(left // max(each, 1))))
        return cls(source.streams[0], source, settings, searched, searches, wanted, memory,
                   in_memory, clock)

    @property
    def trials(self) -> tuple[Trials, ...]:
        """The stretches of dispersion measure."""
        return self.source.trials

    @property
    def segments(self) -> tuple[Trials, ...]:
        """The segments of each stretch, if segments are searched."""
        return tuple(each for each in self.searched if each.is_segment)

    @property
    def n_dm(self) -> int:
        """Number of dispersion measures."""
        return sum(len(each.dms) for each in self.trials)

    @property
    def series_bytes(self) -> int:
        """Size of all series, in bytes."""
        return sum(4 * each.n_sample * len(each.dms) for each in self.trials)

    @property
    def series_are(self) -> str:
        """Text that states where the series are."""
        if isinstance(self.source, SeriesFiles):
            return "read from files"
        return "in memory" if self.in_memory else "in a temporary file beside the table"

    @property
    def memory_bytes(self) -> int:
        """Approximate memory of the process while it searches, in bytes."""
        each = max(part.memory_bytes for part in self.searches) + self.source.read_bytes
        return resident_bytes() + self.workers * each + (
            self.source.held_bytes if self.in_memory else 0)

    @property
    def start_time(self) -> Time:
        """Start of the series: UTC at the telescope, or TDB at the barycentre."""
        header = self.stream.header
        if self.clock is None and not header.barycentric:
            return header.start_time
        # Headers label all times as UTC, those at the barycentre as well.
        day, seconds = (mjd_and_seconds(header.start_time) if self.clock is None
                        else self.clock.start(header.start_time))
        return as_iso(Time(day, float(seconds / 86400), format="mjd", scale="tdb"))

    def check_memory(self) -> None:
        """Plan the series without making them.

        Raises
        ------
        PlanError
            If the memory is too small, as in `series`.
        """
        if isinstance(self.source, SummedSeries):
            sink = self._sink(None)
            counters = [one for each in watches([sink.stream]) for one in each.sinks]
            plan([sink, *counters], workers=self.workers, memory=self.memory)

    def _sink(self, folder: str | None) -> Series:
        assert isinstance(self.source, SummedSeries)
        return self.source.sink(folder, threads=self.workers, in_memory=self.in_memory)

    @contextmanager
    def series(self, folder: str | None = None, progress: Progress | None = None
               ) -> Iterator[Read]:
        """Make the series, and return the function that reads them."""
        if isinstance(self.source, SeriesFiles):
            yield self.source.read
            return
        spool: Spool
        spool, = run_watched([self._sink(folder)], workers=self.workers, memory=self.memory,
                             progress=progress)
        try:
            yield self.source.reader(spool)
        finally:
            spool.__exit__(None, None, None)


def _check_lengths(source: SummedSeries | SeriesFiles) -> None:
    """Refuse series that are too short or too long, by the names of their files."""
    paths = iter(source.streams) if isinstance(source, SeriesFiles) else None
    for each in source.trials:
        for _ in each.dms:
            path = source.streams[0].path if paths is None else next(paths).path
            if not LEAST_SAMPLES <= each.n_sample <= MOST_SAMPLES:
                raise PlanError(f"{path}: a series of {each.n_sample} samples; allowed: "
                                f"{LEAST_SAMPLES} to {MOST_SAMPLES}")
