"""drifting: the hits of a search of spectra for drifting carriers."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from astropy.time import Time, TimeDelta
from numpy.typing import NDArray

from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.time import iso, later
from fastsig.axes.units import number
from fastsig.errors import FastsigWarning, PlanError, UsageError, users_line
from fastsig.io.files.provenance import provenance
from fastsig.reductions.drifting.bands import bands_of
from fastsig.reductions.drifting.searching import Band, Found, Settings, search_band, search_bytes
from fastsig.reductions.intensity import intensity_of
from fastsig.run.chains import first_file, roots
from fastsig.run.engine import Progress
from fastsig.search.drift.hits import Hits
from fastsig.search.drift.plan import DriftPlan
from fastsig.search.drift.signal import Signal
from fastsig.search.drift.trials import false_alarms
from fastsig.stream import SpectrumStream, spectra_of
from fastsig.work.memory import resident_bytes
from fastsig.work.threads import processors

__all__ = ["Request", "drift_plan", "drifting", "found_hits", "hits_of"]

_GBT_COARSE_HZ = 187.5e6 / 64  # of Breakthrough Listen's recordings at Green Bank
_LOWEST_SNR = 5.0


def drifting(chain: Any, drift: Any = ("-4 Hz/s", "4 Hz/s"), *, snr: float = 10.0,
             width: Any = None, coarse: int | None = None, dc: bool = False, smeared: bool = True,
             folder: str | None = None, workers: int | None = None, memory: int | None = None,
             progress: Progress | None = None) -> Hits:
    """Return the hits of drifting carriers in spectra.

    Parameters
    ----------
    chain : Chain or stream
        Spectra with known frequencies. If there are several products, only I is searched; it is
        made from AA and BB if necessary.
    drift : pair of Quantity, or text such as "-4:4"
        Lowest and highest drift rate, Hz/s.
    snr : float
        Lowest S/N of a hit, 5 or more.
    width : Quantity or str, optional
        Widest boxcar for carriers that drift slowly, as a frequency; 8 channels by default.
    coarse : int, optional
        Number of coarse channels. By default, it is that of the voltages from which the spectra
        were made, or that of recordings of Breakthrough Listen at Green Bank if the band consists
        of a whole number of their coarse channels.
    dc : bool
        Whether the two central channels of each coarse channel are also searched. One of them
        contains the DC component.
    smeared : bool
        Whether carriers spread over the channels that they cross during a spectrum, as recorded
        carriers do; see `DriftPlan`.
    folder : str, optional
        Folder for a copy of the spectra, which is made if channels cannot be read separately; by
        default, the folder for temporary files.
    workers, memory : int, optional
        As for `fastsig.run.engine.run`.
    progress : callable, optional
        As for `fastsig.run.engine.run`.

    Returns
    -------
    Hits
        The hits, the strongest first.

    Raises
    ------
    UsageError
        If an argument is not allowed.
    PlanError
        If the chain does not contain spectra with known frequencies and one intensity.
    """
    request = Request.of(intensity_of(spectra_of(chain)), drift, snr=snr, width=width,
                         coarse=coarse, dc=dc, smeared=smeared, workers=workers, memory=memory)
    return found_hits(request, folder=folder, progress=progress)


@dataclass(frozen=True)
class Request:
    """A planned search: its input, its settings and its number of threads.

    Parameters
    ----------
    stream : SpectrumStream
        Spectra of one product.
    settings : Settings
        Settings of the search.
    n_coarse : int or None
        Number of coarse channels, if it is known.
    band : Band
        The band that is searched.
    workers : int
        Number of threads.
    memory : int or None
        Maximum memory of the process, bytes.
    """

    stream: SpectrumStream
    settings: Settings
    n_coarse: int | None
    band: Band
    workers: int
    memory: int | None

    @classmethod
    def of(cls, stream: SpectrumStream, drift: Any, *, snr: float = 10.0, width: Any = None,
           coarse: int | None = None, dc: bool = False, smeared: bool = True,
           workers: int | None = None, memory: int | None = None) -> Request:
        """Return the request for the arguments of `drifting`.

        Raises
        ------
        UsageError
            If an argument is not allowed.
        PlanError
            If the memory is too small for one thread.
        """
        plan = drift_plan(stream, drift, width=width, smeared=smeared)
        if isinstance(snr, bool) or not _LOWEST_SNR <= snr < np.inf:
            raise UsageError(f"snr = {snr!r}; allowed: {_LOWEST_SNR:g} or more")
        if workers is not None and workers < 1:
            raise UsageError(f"workers = {workers}; allowed: 1 or more")
        n_coarse = coarse_channels(stream, coarse)
        lost = lost_channels(stream.shape[2], n_coarse) if not dc else np.empty(0, np.int64)
        band = Band(stream.shape[2], lost, n_coarse)
        workers = _affordable(plan, band, stream.channel_run, workers or processors(), memory)
        return cls(stream, Settings(plan, float(snr)), n_coarse, band, workers, memory)

    @property
    def memory_bytes(self) -> int:
        """Approximate memory of the process, in bytes."""
        return resident_bytes() + search_bytes(
            self.settings.plan, self.band, self.workers, self.stream.channel_run)


def _affordable(plan: DriftPlan, band: Band, run: int, workers: int, memory: int | None) -> int:
    """Return the number of threads that a memory suffices for."""
    if memory is None:
        return workers
    floor = resident_bytes() + search_bytes(plan, band, 1, run)
    if memory < floor:
        raise PlanError(f"memory = {memory / 1e6:.0f} MB; this search requires {floor / 1e6:.0f} "
                        "MB")
    room = memory - resident_bytes()
    while workers > 1 and search_bytes(plan, band, workers, run) > room:
        workers -= 1
    return workers


def found_hits(request: Request, *, folder: str | None = None, like_turboseti: bool = False,
               progress: Progress | None = None, hash_inputs: bool = False) -> Hits:
    """Return the hits of a search, the strongest first.

    Parameters
    ----------
    request : Request
        The planned search.
    folder : str, optional
        Folder for a copy of the spectra, which is needed if channels cannot be read separately.
    like_turboseti : bool
        Whether the S/N is also measured as turboSETI defines it.
    progress : callable, optional
        As for `fastsig.run.engine.run`.
    hash_inputs : bool
        Whether the provenance contains hashes of entire input files.
    """
    stream, plan = request.stream, request.settings.plan
    if plan.limits == (0, 0) != (plan.low, plan.high):
        warnings.warn("only carriers without drift are searched for, because the step of the drift "
                      f"rate is {plan.step:.4g} Hz/s; use a wider --drift, a longer scan or "
                      "narrower channels", FastsigWarning, stacklevel=users_line())
    with bands_of(stream, folder=folder, workers=request.workers, memory=request.memory,
                  progress=progress) as bands:
        found = search_band(bands, request.band, request.settings, workers=request.workers,
                            progress=progress)
        hits = hits_of(stream, found, request.settings, n_coarse=request.n_coarse,
                       hash_inputs=hash_inputs)
        if not like_turboseti:
            return hits
        from fastsig.reductions.drifting.turboseti import snr_of

        return hits.with_columns(snr_turboseti=snr_of(bands, hits, request.band))


def drift_plan(stream: SpectrumStream, drift: Any, *, width: Any = None, smeared: bool = True
               ) -> DriftPlan:
    """Return the plan of a search of spectra.

    Raises
    ------
    UsageError
        If an argument is not allowed.
    FormatError
        If the frequencies of the channels are not known.
    """
    axis = stream.header.require_channels(stream.path)
    low, high = _limits(drift)
    chan_hz = float(axis.step_hz)
    widest = 8
    if width is not None:
        widest = int(number(width, "Hz", "width") / chan_hz + 0.5)
    return DriftPlan(stream.shape[0], float(1 / stream.header.sample_rate), chan_hz, low, high,
                     widest, smeared)


def _limits(drift: Any) -> tuple[float, float]:
    parts = drift.split(":") if isinstance(drift, str) else drift
    try:
        low, high = (float(each) if isinstance(drift, str) else number(each, "Hz/s", "drift")
                     for each in parts)
    except (TypeError, ValueError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"drift = {drift!r}; allowed: the lowest and the highest drift rate, such "
                         "as -4:4, in Hz/s") from error
    return low, high


def coarse_channels(stream: SpectrumStream, n: int | None) -> int | None:
    """Return the number of coarse channels; None if it is not known.

    Raises
    ------
    UsageError
        If the channels cannot be divided among `n` coarse ones.
    """
    axis = stream.header.require_channels(stream.path)
    if n is not None:
        if n < 1 or axis.n_chan % n:
            raise UsageError(f"coarse = {n}; allowed: a divisor of {axis.n_chan}, the number of "
                             "channels")
        return n
    recorded = _recorded_channels(stream)
    if recorded is not None:
        return recorded
    if stream.header.telescope != "GBT":
        return None
    ratio = float(axis.n_chan * axis.step_hz) / _GBT_COARSE_HZ
    whole = round(ratio)
    is_whole = whole >= 1 and abs(ratio - whole) < 1e-6 * whole and axis.n_chan % whole == 0
    return whole if is_whole else None


def _recorded_channels(stream: SpectrumStream) -> int | None:
    """Return the number of channels of the voltages of which spectra are made, if all are in them.

    None if they were recorded as spectra, without channels, or if a part of the band is left.
    """
    recorded = roots(stream)[0]
    axis, now = recorded.header.channels, stream.header.channels
    if recorded.kind != "voltage" or axis is None or now is None or axis.n_chan < 2:
        return None
    is_whole = now.n_chan * now.step_hz == axis.n_chan * axis.step_hz
    return axis.n_chan if is_whole and now.n_chan % axis.n_chan == 0 else None


def lost_channels(n_chan: int, n_coarse: int | None) -> NDArray[np.int64]:
    """Return the central channels of coarse channels, which contain their DC components.

    Of an even number of channels, DC is in the upper one of the two central channels if the band
    was recorded with ascending frequency, and otherwise in the lower one. Spectra do not state
    which of them it is.
    """
    if n_coarse is None or n_chan // n_coarse < 64:
        return np.empty(0, np.int64)
    wide = n_chan // n_coarse
    central = np.unique(np.array([(wide - 1) // 2, wide // 2]))
    lost: NDArray[np.int64] = np.arange(n_coarse)[:, np.newaxis] * wide + central
    return lost.ravel()


def hits_of(stream: SpectrumStream, found: Found, settings: Settings, *,
            n_coarse: int | None = None, hash_inputs: bool = False) -> Hits:
    """Return the hits of the signals that were found in a stream."""
    return Hits(_columns(stream, found.signals, n_coarse), {
        **_meta(stream, found, settings, n_coarse),
        "provenance": provenance(stream, hash_inputs=hash_inputs)}).sorted()


def _columns(stream: SpectrumStream, signals: list[Signal], n_coarse: int | None
             ) -> dict[str, Any]:
    header, n = stream.header, len(signals)
    axis = header.require_channels(stream.path)
    tsamp = float(1 / header.sample_rate)
    center = np.array([each.start + (each.width - 1) / 2 for each in signals])
    time = later(header.start_time, TimeDelta(tsamp / 2, format="sec")).utc
    steps = max(1, stream.shape[0] - 1) * tsamp
    channel = np.clip(np.floor(center + 0.5).astype(np.int64), 0, axis.n_chan - 1)
    coarse = (np.full(n, -1) if n_coarse is None else channel // (axis.n_chan // n_coarse))
    return {
        "time": Time(np.full(n, time.jd1), np.full(n, time.jd2), format="jd", scale="utc"),
        "frequency": _frequencies(axis, center),
        "drift": np.array([each.drift for each in signals]) * float(axis.step_hz) / steps,
        "snr": [each.snr for each in signals],
        "width": np.array([each.width for each in signals]) * float(axis.step_hz),
        "excess": [each.excess for each in signals],
        "valid_share": [each.valid_share for each in signals],
        "channel": channel, "coarse_channel": coarse,
        "product": [stream.polarization.names[0]] * n,
        "beam": np.full(n, -1 if header.beam is None else header.beam),
        "ra": np.full(n, np.nan if header.ra_deg is None else header.ra_deg),
        "dec": np.full(n, np.nan if header.dec_deg is None else header.dec_deg),
        "source": [header.source or ""] * n,
        "first_row": np.zeros(n, np.int64), "last_row": np.full(n, stream.shape[0] - 1),
        "file": [os.path.basename(first_file(stream))] * n,
    }


def _frequencies(axis: ChannelAxis, center: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return frequencies in MHz: the nearest doubles, from exact ones."""
    whole = np.floor(center).astype(np.int64)
    first, step = axis.first_hz / 10**6, axis.step_hz / 10**6
    return np.array([float(first + int(k) * step) + float(step) * rest
                     for k, rest in zip(whole, center - whole, strict=True)])


def _meta(stream: SpectrumStream, found: Found, settings: Settings, n_coarse: int | None
          ) -> Mapping[str, Any]:
    plan = settings.plan
    return {
        "threshold": settings.threshold, "drift_hz_s": [plan.low, plan.high],
        "drift_step_hz_s": plan.step, "n_spectrum": plan.n_spectrum, "sample_s": plan.sample_s,
        "channel_hz": plan.chan_hz, "n_chan": stream.shape[2], "n_coarse": n_coarse,
        "smeared": plan.smeared, "start": iso(stream.header.start_time),
        "widths_channels": list(plan.all_widths), "least_valid_share": settings.min_share,
        "kept_by_drift_hz_s": dict(_kept(plan)),
        "pieces_with_more_hits": found.n_full,
        "noise_shape": float(f"{np.median([each for _, each in found.noise]):.4g}")
        if found.noise else None,
        "false_alarms": float(f"{false_alarms(plan, settings.threshold, found.noise):.3g}"),
    }


@lru_cache(64)  # the files of a night have one plan
def _kept(plan: DriftPlan) -> tuple[tuple[str, float], ...]:
    """Return the fraction of the S/N that is kept at some drift rates, which are text, in Hz/s."""
    rates = {0.0, plan.step * (plan.n_spectrum - 1), max(abs(plan.low), abs(plan.high))}
    return tuple((f"{rate:g}", round(plan.kept(rate), 4)) for rate in sorted(rates))
