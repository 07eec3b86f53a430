"""pulsars: the candidates of a search of spectra, or of a time series, for periodic signals."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy import constants
from astropy import units as u
from astropy.time import Time
from numpy.typing import NDArray

from fastsig.axes.time import iso
from fastsig.axes.units import number
from fastsig.errors import PlanError, UsageError
from fastsig.io.files.provenance import provenance
from fastsig.pulsar.dm_plan import dm_plan
from fastsig.pulsar.plan import DMPlan
from fastsig.reductions.intensity import intensity_of
from fastsig.reductions.periodic.sink import Copied, Series
from fastsig.reductions.periodic.spool import Spool
from fastsig.run.chains import roots
from fastsig.run.engine import Progress
from fastsig.run.flag_shares import run_watched
from fastsig.search.pulsars import birds
from fastsig.search.pulsars.candidates import PulsarCandidates
from fastsig.search.pulsars.engine import Searches, Settings, Trials, search_series, searches_of
from fastsig.search.pulsars.known import names_of, read_known
from fastsig.search.pulsars.series import lengths_of
from fastsig.search.pulsars.sift import METHODS, Sifted, sift
from fastsig.stream import SpectrumStream, spectra_of
from fastsig.work.arguments import shown
from fastsig.work.memory import available_bytes, resident_bytes
from fastsig.work.threads import processors

__all__ = ["Request", "found_pulsars", "pulsars", "settings_of"]

#: Share of the memory that may be used for series, by default and if it is limited.
_SHARE = 0.5
_LIGHT = float(constants.c.to_value("m/s"))


def pulsars(chain: Any, dms: Any = (0, 500), *, harmonics: int = 16, accel: float = 0.0,
            period: Any = ("0.5s", "1800s"), duty: Any = (1 / 240, 0.2), threshold: float = 6.0,
            loss: float = 0.1, zap: Any = (), mains: float | None = None, known: Any = None,
            radius: Any = "1deg", constant: Any = None, folder: str | None = None,
            workers: int | None = None, memory: int | None = None,
            progress: Progress | None = None) -> PulsarCandidates:
    """Search spectra, or a time series, for pulsars, by Fourier transform and by fast folding.

    Channels are normalised and summed for all dispersion measures. In each of these time series,
    sums of harmonics of the whitened Fourier spectrum, with and without a drift of the frequency,
    are compared with the noise, and the profiles of all periods are compared with boxcars.
    Detections at neighbouring dispersion measures and frequencies, and their harmonics, form one
    candidate.

    Parameters
    ----------
    chain : Chain or stream
        Spectra with known frequencies: of one product, or with AA and BB, of which I is searched;
        or a time series, such as a .dat file, for which `dms` is ignored.
    dms : pair, or text such as "0:500"
        Lowest and highest dispersion measure, pc cm^-3.
    harmonics : int
        Largest number of harmonics that are summed: 1, 2, 4, 8, 16 or 32; 0 skips the Fourier
        search.
    accel : float
        Largest drift of the highest harmonic during the data, in Fourier bins.
    period : pair of Quantity, or text such as "0.5s:1800s", or None
        Shortest and longest period of fast folding; the longest is at most an eighth of the
        duration of the data. None skips fast folding.
    duty : pair of float, or text such as "0.5%:20%"
        Smallest and largest width of a pulse in fast folding, as a fraction of the period.
    threshold : float
        Lowest significance after all trials, in standard deviations.
    loss : float
        Largest fraction of its S/N that a pulse as wide as one sample may lose halfway between two
        dispersion measures.
    zap : sequence of pairs
        Lower and upper edges, in Hz, of ranges of frequencies in which signals are left out.
    mains : float, optional
        Frequency of the mains, 50 or 60 Hz. Signals at this frequency and its harmonics are left
        out.
    known : path or sequence of Pulsar, optional
        Known pulsars, or a table of them, after which candidates are named.
    radius : Quantity or str
        Largest angular distance of a known pulsar from the position of the data.
    constant : value, optional
        Dispersion constant, MHz^2 pc^-1 cm^3 s; 1/2.41e-4 by default.
    folder : str, optional
        Folder for series that do not fit into memory; by default, the folder for temporary files.
    workers, memory, progress : optional
        As for `fastsig.run.engine.run`.

    Returns
    -------
    PulsarCandidates
        The candidates, the most significant first.

    Raises
    ------
    UsageError
        If an argument is not allowed.
    PlanError
        If the chain does not contain spectra with known frequencies and one intensity, or if they
        are too short.
    """
    settings = settings_of(harmonics, accel, period, duty, threshold, zap, mains)
    request = Request.of(intensity_of(spectra_of(chain)), dms, settings, loss=loss,
                         constant=constant, workers=workers, memory=memory)
    return found_pulsars(request, known=known, radius=radius, folder=folder, progress=progress)


def settings_of(harmonics: int, accel: float, period: Any, duty: Any, threshold: float, zap: Any,
                mains: float | None) -> Settings:
    """Return the settings for arguments of `pulsars`.

    Raises
    ------
    UsageError
        If an argument is not allowed.
    """
    of_mains = [] if mains is None else [birds.mains(float(mains), 1e5)]
    zapped = birds.merged(_ranges(zap), *of_mains)
    return Settings(threshold, harmonics, float(accel),
                    None if period is None else _pair(period, "s", "period"),
                    _pair(duty, "", "duty"), zapped)


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
    except (TypeError, ValueError) as error:
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
    return number(value, unit, name) if unit else float(value)


@dataclass(frozen=True)
class Request:
    """A planned search: what is searched, how, and with how many threads.

    Parameters
    ----------
    stream : SpectrumStream
        Spectra of one product.
    plan : DMPlan or None
        None for a time series.
    settings : Settings
    trials : tuple of Trials
    searches : tuple of Searches
        Of each stretch of dispersion measures.
    workers : int
        Number of threads.
    memory : int or None
        Largest memory of the process, bytes.
    in_memory : bool
        Whether all series are in memory.
    """

    stream: SpectrumStream
    plan: DMPlan | None
    settings: Settings
    trials: tuple[Trials, ...]
    searches: tuple[Searches, ...]
    workers: int
    memory: int | None
    in_memory: bool

    @classmethod
    def of(cls, stream: SpectrumStream, dms: Any, settings: Settings, *, loss: float = 0.1,
           constant: Any = None, workers: int | None = None, memory: int | None = None) -> Request:
        """Return the request for the arguments of `pulsars`.

        Raises
        ------
        UsageError
            If an argument is not allowed.
        PlanError
            If the memory is too small for one thread, or the data are too short.
        """
        if workers is not None and workers < 1:
            raise UsageError(f"workers = {workers}; allowed: 1 or more")
        plan = None if stream.shape[2] == 1 else dm_plan(stream, dms, loss=loss, constant=constant)
        trials = _trials(stream, plan)
        searches = tuple(searches_of(settings, trials))
        series = sum(4 * each.n_sample * len(each.dms) for each in trials) * 5 // 4
        limit = memory - resident_bytes() if memory is not None else available_bytes()
        in_memory = series <= _SHARE * limit
        left = limit - (series if in_memory else 0)
        each = max(part.memory_bytes for part in searches)
        if memory is not None and left < each:
            raise PlanError(f"memory = {memory / 1e6:.0f} MB; this search requires "
                            f"{(resident_bytes() + each) / 1e6:.0f} MB")
        wanted = min(workers or processors(), max(1, int(left // max(each, 1))))
        return cls(stream, plan, settings, trials, searches, wanted, memory, in_memory)

    @property
    def n_dm(self) -> int:
        """Number of dispersion measures."""
        return sum(len(each.dms) for each in self.trials)

    @property
    def series_bytes(self) -> int:
        """Size of all series, in bytes."""
        return sum(4 * each.n_sample * len(each.dms) for each in self.trials)

    @property
    def memory_bytes(self) -> int:
        """Approximate memory of the process while it searches, in bytes."""
        each = max(part.memory_bytes for part in self.searches)
        return resident_bytes() + self.workers * each + (
            self.series_bytes * 5 // 4 if self.in_memory else 0)

    def sink(self, folder: str | None) -> Series | Copied:
        """Return the sink that makes the series."""
        options: dict[str, Any] = {"folder": folder, "in_memory": self.in_memory}
        if self.plan is None:
            return Copied(self.stream, **options)
        return Series(self.stream, self.plan, threads=self.workers, **options)


def _trials(stream: SpectrumStream, plan: DMPlan | None) -> tuple[Trials, ...]:
    if plan is None:
        dm = stream.header.dm or 0.0
        sample_s = float(1 / stream.header.sample_rate)
        return (Trials(stream.shape[0], sample_s, np.array([float(dm)])),)
    lengths = lengths_of(plan.stretches, stream.shape[0])
    return tuple(Trials(n, each.sample_s, each.dms)
                 for each, (_, n) in zip(plan.stretches, lengths, strict=True))


def found_pulsars(request: Request, *, known: Any = None, radius: Any = "1deg",
                  folder: str | None = None, progress: Progress | None = None,
                  hash_inputs: bool = False) -> PulsarCandidates:
    """Return the candidates of a search, the most significant first.

    Parameters
    ----------
    request : Request
    known, radius, folder, progress
        As for `pulsars`.
    hash_inputs : bool
        Whether the provenance contains hashes of entire input files.
    """
    pulsars_known = read_known(known) if isinstance(known, str | os.PathLike) else known
    spool: Spool
    spool, = run_watched([request.sink(folder)], workers=request.workers, memory=request.memory,
                         progress=progress)
    try:
        detections = search_series(spool.read, request.trials, request.searches,
                                   request.settings.zapped, workers=request.workers,
                                   progress=progress)
    finally:
        spool.__exit__(None, None, None)
    sifted = sift(detections, _duration(request))
    found = PulsarCandidates(_columns(request.stream, sifted), {
        **_meta(request, sifted, len(detections)),
        "provenance": provenance(request.stream, hash_inputs=hash_inputs)}).sorted()
    if pulsars_known is None:
        return found
    return found.with_columns(name=names_of(found, pulsars_known,
                                            radius_deg=number(radius, "deg", "radius")))


def _duration(request: Request) -> float:
    """Return the duration of the shortest series, s."""
    return min(each.n_sample * each.sample_s for each in request.trials)


def _columns(stream: SpectrumStream, sifted: Sifted) -> dict[str, Any]:
    header, best, n = stream.header, sifted.best, len(sifted.best)
    start = header.start_time.utc
    position = {"ra": header.ra_deg, "dec": header.dec_deg}
    return {
        **{name: best[name] for name in ("frequency", "frequency_error", "fdot", "dm", "sigma",
                                         "snr", "power", "n_harmonic", "r", "z", "width", "duty")},
        **{name: np.full(n, np.nan if value is None else value)
           for name, value in position.items()},
        "period": 1 / best["frequency"], "acceleration": _LIGHT * best["fdot"] / best["frequency"],
        "method": [METHODS[each] for each in best["method"]], "n_member": sifted.n_member,
        "dm_low": sifted.dm_low, "dm_high": sifted.dm_high, "harmonics": sifted.harmonics,
        "epoch": Time(np.full(n, start.jd1), np.full(n, start.jd2), format="jd", scale="utc"),
        "beam": np.full(n, -1 if header.beam is None else header.beam),
        "file": [os.path.basename(roots(stream)[0].path)] * n}


def _meta(request: Request, sifted: Sifted, n_detection: int) -> Mapping[str, Any]:
    header, settings, first = request.stream.header, request.settings, request.trials[0]
    folding = [each.folding for each in request.searches if each.folding is not None]
    known = {
        "source": header.source, "telescope": header.telescope, "receiver": header.receiver,
        "beam": header.beam, "start_time": iso(header.start_time),
        "frame": "barycentric" if header.barycentric else "topocentric",
        "n_time": first.n_sample, "sample_s": first.sample_s, "threshold": settings.threshold,
        "n_dm": request.n_dm, "n_detection": n_detection, "n_dropped": sifted.n_dropped,
        "n_left_out_as_harmonic": sifted.n_harmonic,
        "dispersion_constant": None if request.plan is None else request.plan.recording.constant,
        "stretches": [{"low_dm": float(each.dms[0]), "high_dm": float(each.dms[-1]),
                       "n_dm": len(each.dms), "n_time": each.n_sample, "sample_s": each.sample_s}
                      for each in request.trials],
        "zapped_hz": np.asarray(settings.zapped).tolist() or None,
        "fourier": {"n_harmonic": settings.n_harmonic, "z_max": settings.z_max}
        if settings.n_harmonic else None,
        "ffa": {"period_s": list(folding[0].period), "n_bin": [folding[0].n_bin],
                "widths": list(folding[0].widths)} if folding else None}
    return {key: value for key, value in known.items() if value is not None}
