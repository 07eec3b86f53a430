"""Candidates of a search for pulsars, folded in one pass and improved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from fastsig.axes.dispersion import channel_delays, constant_of
from fastsig.axes.time import mjd_and_seconds
from fastsig.errors import PlanError, UsageError
from fastsig.pulsar.constant import ConstantPeriod
from fastsig.pulsar.improving import Improvement
from fastsig.pulsar.profile_measurements import corrected, folding_spin, improved
from fastsig.pulsar.profiles import Profiles
from fastsig.pulsar.spin import Spin
from fastsig.reductions.folding.sink import Fold
from fastsig.reductions.intensity import intensity_of
from fastsig.run.flag_shares import run_watched
from fastsig.search.pulsars.candidates import PulsarCandidates
from fastsig.stages.select import SelectSpectra
from fastsig.stages.to_barycenter import clock_of
from fastsig.stream import SpectrumStream, spectra_of

if TYPE_CHECKING:
    from fastsig.telescopes.barycentric_clock import BarycentricClock

__all__ = ["FoldedPulsar", "check_channels", "clock_of_table", "fold_candidates"]

_MOST_BINS, _SUBINTS, _N_TRIAL = 64, 32, 129
_COLUMNS = ("fold_period", "fold_period_error", "fold_pdot", "fold_pdot_error", "fold_dm",
            "fold_dm_error", "fold_snr", "fold_sigma")


@dataclass(frozen=True)
class FoldedPulsar:
    """A folded candidate.

    Parameters
    ----------
    row : int
        Row of the candidate in the table.
    profiles : Profiles
        Profiles folded with the values of the search.
    improvement : Improvement or None
        Period, derivative and dispersion measure of the highest significance.
    """

    row: int
    profiles: Profiles
    improvement: Improvement | None

    @property
    def best(self) -> Profiles:
        """Profiles with the improved values, if there are any."""
        return (self.profiles if self.improvement is None else
                corrected(self.profiles, self.improvement))


def fold_candidates(chain: Any, candidates: PulsarCandidates, n: int = 10, *,
                    clock: BarycentricClock | None = None, improve: bool = True,
                    workers: int | None = None, memory: int | None = None, progress: Any = None
                    ) -> tuple[PulsarCandidates, list[FoldedPulsar]]:
    """Fold the first candidates of a table in one pass, and improve period, derivative and DM.

    Parameters
    ----------
    chain : Chain or stream
        The spectra that were searched, with two channels or more.
    candidates : PulsarCandidates
        Candidates of the search.
    n : int
        Number of candidates.
    clock : BarycentricClock, optional
        The clock of a search at the barycentre.
    improve : bool
        Whether to improve the values; otherwise the table is returned as it is.
    workers, memory, progress : optional
        As for `fastsig.run.engine.run`.

    Returns
    -------
    candidates : PulsarCandidates
        The same rows. If values are improved, the table also has the columns ``fold_...``, which
        are NaN where a candidate was not folded.
    folded : list of FoldedPulsar

    Raises
    ------
    UsageError
        If the number is below 1.
    PlanError
        If there is only one channel.
    """
    if isinstance(n, bool) or n < 1:
        raise UsageError(f"n = {n!r}; allowed: 1 or more candidates")
    stream = intensity_of(spectra_of(chain))
    check_channels(stream)
    found: list[FoldedPulsar] = []
    values = {name: np.full(len(candidates), np.nan) for name in _COLUMNS}
    for part, rows in _by_segment(stream, candidates, min(n, len(candidates))):
        made = _folded(part, candidates, rows, clock, improve,
                       {"workers": workers, "memory": memory, "progress": progress})
        _fill(values, part, candidates, made)
        found += made
    found.sort(key=lambda each: each.row)
    return candidates.with_columns(**values) if improve else candidates, found


def _folded(stream: SpectrumStream, candidates: PulsarCandidates, rows: Sequence[int],
            clock: BarycentricClock | None, improve: bool, options: dict[str, Any]
            ) -> list[FoldedPulsar]:
    """Fold rows of a table in one pass."""
    groups = _by_shape(stream, candidates, rows)
    sinks = [Fold(stream, [_predictor(stream, candidates, k, clock) for k in some], n_bin=n_bin,
                  subint=f"{float(stream.duration.value) / n_subint!r}s",
                  constant=candidates.meta.get("dispersion_constant"))
             for (n_bin, n_subint), some in groups.items()]
    made: list[Sequence[Profiles]] = run_watched(sinks, **options)
    return [FoldedPulsar(k, profiles, improved(profiles, n_trial=_N_TRIAL) if improve else None)
            for some, several in zip(groups.values(), made, strict=True)
            for k, profiles in zip(some, several, strict=True)]


def check_channels(stream: SpectrumStream) -> None:
    """Refuse to fold candidates of a time series.

    Raises
    ------
    PlanError
        If there is only one channel.
    """
    if stream.shape[2] < 2:
        raise PlanError(f"{stream.path}: has one channel; allowed: spectra, whose channels show "
                        "the dispersion")


def _by_segment(stream: SpectrumStream, candidates: PulsarCandidates, n: int
                ) -> Iterator[tuple[SpectrumStream, list[int]]]:
    """Yield the spectra of each segment of the first rows, and the rows."""
    number = (candidates.values("segment")[:n] if "segment" in candidates else
              np.zeros(n, np.int32))
    for each in dict.fromkeys(number.tolist()):
        rows = np.flatnonzero(number == each)
        yield stream if each == 0 else _segment(stream, candidates, rows), rows.tolist()


def _segment(stream: SpectrumStream, candidates: PulsarCandidates, rows: NDArray[np.int64]
             ) -> SpectrumStream:
    """Return the spectra of a segment, to the end of the lowest channel of its candidates."""
    start_s, length_s = (float(candidates.values(f"segment_{name}")[rows[0]])
                         for name in ("start", "length"))
    rate, axis = float(stream.header.sample_rate), stream.header.channels
    assert axis is not None  # of candidates with a dispersion measure
    delays = channel_delays(axis, constant_of(candidates.meta.get("dispersion_constant")))
    late = float(delays.span(candidates.values("dm")[rows].max(), 1))
    first = round(start_s * rate)
    stop = min(first + int(np.ceil((length_s + late) * rate)), stream.shape[0])
    return SelectSpectra(stream, (first, stop), (0, stream.shape[2]))


def _by_shape(stream: SpectrumStream, candidates: PulsarCandidates, rows: Sequence[int]
              ) -> dict[tuple[int, int], list[int]]:
    """Return rows by the numbers of bins and subintegrations, powers of two.

    A turn has as many samples as bins or more, and a subintegration 4 turns or more.
    """
    groups: dict[tuple[int, int], list[int]] = {}
    for k in rows:
        period = float(candidates.values("period")[k])
        samples = period * float(stream.header.sample_rate)
        turns = float(stream.duration.value) / period
        shape = (min(_MOST_BINS, 2 ** int(np.log2(max(samples, 2)))),
                 min(_SUBINTS, 2 ** int(np.log2(max(turns / 4, 2)))))
        groups.setdefault(shape, []).append(k)
    return groups


def _predictor(stream: SpectrumStream, candidates: PulsarCandidates, k: int,
               clock: BarycentricClock | None) -> ConstantPeriod:
    value = {name: float(candidates.values(name)[k]) for name in ("frequency", "fdot", "dm")}
    return ConstantPeriod(epoch=_epoch(candidates, k), clock=clock,
                          frequency=f"{value['frequency']!r}Hz", fdot=f"{value['fdot']!r}Hz/s",
                          fddot=_fddot(candidates, k),
                          dm=value["dm"], source=stream.header.source or "")


def _fddot(candidates: PulsarCandidates, k: int) -> str | None:
    return f"{float(candidates.values('fddot')[k])!r}Hz/s2" if "fddot" in candidates else None


def _epoch(candidates: PulsarCandidates, k: int) -> Time:
    """Return the epoch in the scale of its predictor.

    Without a clock, this is the UTC with which the headers of spectra label all times, even those
    of files at the barycentre.
    """
    epoch = candidates["epoch"][k]
    scale = "tdb" if candidates.meta.get("barycenter") else "utc"
    return Time(epoch.jd1, epoch.jd2, format="jd", scale=scale)


def clock_of_table(stream: SpectrumStream, candidates: PulsarCandidates) -> BarycentricClock | None:
    """Return the clock at the barycentre with which a table was made; None if there was none.

    Raises
    ------
    UsageError
        If the telescope or the position is not known.
    """
    about = candidates.meta.get("barycenter")
    if about is None:
        return None
    erfa = str(about.get("ephemeris", "")).startswith("ERFA")
    return clock_of(stream, ephemeris="erfa" if erfa else None)


def _fill(columns: dict[str, NDArray[np.float64]], stream: SpectrumStream,
          candidates: PulsarCandidates, found: Sequence[FoldedPulsar]) -> None:
    """Put improved values into the rows of candidates that were folded."""
    for each in found:
        if (made := each.improvement) is None:
            continue
        spin = _spin(stream, candidates, each, made)
        values = (spin.period_s, spin.period_error_s, spin.period_derivative,
                  spin.period_derivative_error, made.dm, made.dm_error, made.snr, made.sigma)
        for name, value in zip(_COLUMNS, values, strict=True):
            columns[name][each.row] = value


def _spin(stream: SpectrumStream, candidates: PulsarCandidates, folded: FoldedPulsar,
          improvement: Improvement) -> Spin:
    """Return the improved spin at the epoch: that of the candidate, corrected.

    Profiles have frequencies at the telescope, and those of candidates may be at the barycentre;
    the corrections differ by 1e-4 of themselves.
    """
    late = _late(stream, folded.profiles)
    here = folding_spin(folded.profiles).at(late)
    best = improvement.spin.at(late)
    value = {name: float(candidates.values(name)[folded.row]) for name in ("frequency", "fdot")}
    return replace(best,
                   frequency_hz=value["frequency"] + best.frequency_hz - here.frequency_hz,
                   derivative_hz_s=value["fdot"] + best.derivative_hz_s - here.derivative_hz_s)


def _late(stream: SpectrumStream, profiles: Profiles) -> float:
    """Return the time from the reference of profiles to the start of the stream, s."""
    day, seconds = mjd_and_seconds(stream.header.start_time)
    of_day, of_seconds = profiles.reference
    return float((day - of_day) * 86400 + seconds - of_seconds)
