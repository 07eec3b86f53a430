"""pulsars: the candidates of a search of spectra, or of a time series, for periodic signals."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from astropy import constants
from astropy.time import Time

from fastsig.axes.time import as_iso
from fastsig.axes.units import number
from fastsig.errors import FastsigWarning, UsageError, users_line
from fastsig.io.files.provenance import provenance
from fastsig.reductions.intensity import intensity_of
from fastsig.reductions.periodic.birds import FIND, birds_of, found_at_zero_dm
from fastsig.reductions.periodic.request import Request, settings_of
from fastsig.run.chains import first_file
from fastsig.run.engine import Progress
from fastsig.search.pulsars.birds import merged
from fastsig.search.pulsars.candidates import PulsarCandidates
from fastsig.search.pulsars.engine import search_series
from fastsig.search.pulsars.known import names_of, read_known
from fastsig.search.pulsars.segments import sift_segments
from fastsig.search.pulsars.sift import METHODS, Sifted
from fastsig.stream import spectra_of
from fastsig.work.arguments import shown

__all__ = ["found_pulsars", "pulsars"]

_LIGHT = float(constants.c.to_value("m/s"))


def pulsars(chain: Any, dms: Any = (0, 500), *, harmonics: int = 16, accel: float = 0.0,
            jerk: float = 0.0, period: Any = ("0.5s", "1800s"), duty: Any = (1 / 240, 0.2),
            threshold: float = 6.0, loss: float = 0.1, zap: Any = (), mains: float | None = None,
            birds: Any = (), known: Any = None, radius: Any = "1deg", constant: Any = None,
            barycenter: bool = False, ephemeris: str | None = None, segment: Any = None,
            others: Sequence[Any] = (), folder: str | None = None, workers: int | None = None,
            memory: int | None = None, progress: Progress | None = None) -> PulsarCandidates:
    """Return pulsar candidates that a Fourier search and fast folding find in spectra or series.

    One search uses the Fourier transform, and the other uses fast folding.

    Channels are normalised and summed for all dispersion measures. In each of these time series,
    sums of harmonics of the whitened Fourier spectrum, with and without a drift of the frequency,
    are compared with the noise. The series is also folded at all trial periods, and the profiles
    are matched with boxcars. Detections at neighbouring dispersion measures and frequencies, and
    their harmonics, form one candidate.

    Parameters
    ----------
    chain : Chain or stream
        Spectra with known frequencies, or a time series, such as that in a .dat or .fft file. For a
        time series, `dms` is ignored. If there are several products, only I is searched; it is made
        from AA and BB if necessary.
    dms : pair, or text such as "0:500"
        Lowest and highest dispersion measure, pc cm^-3.
    harmonics : int
        Largest number of harmonics that are summed: 1, 2, 4, 8, 16 or 32; 0 skips the Fourier
        search.
    accel : float
        Largest drift of the highest harmonic over the duration of the data, in Fourier bins.
    jerk : float
        Largest change of this drift over the duration of the data, in Fourier bins. The
        Fourier search then takes at least about 1 + jerk / 10 times as long.
    period : pair of Quantity, or text such as "0.5s:1800s", or None
        Shortest and longest period of fast folding; the longest is at most an eighth of the
        duration of the data. None skips fast folding.
    duty : pair of float, or text such as "0.5%:20%"
        Smallest and largest width of a pulse in fast folding, as a fraction of the period.
    threshold : float
        Lowest significance of a candidate, corrected for the number of trials, in standard
        deviations.
    loss : float
        Largest fraction of its S/N that a pulse as wide as one sample may lose halfway between two
        dispersion measures.
    zap : sequence of pairs
        Lower and upper edges, in Hz, of ranges of frequencies in which signals are left out.
    mains : float, optional
        Frequency of the mains, 50 or 60 Hz. Signals at this frequency and its harmonics are left
        out.
    birds : sequence of path or "find"
        Files of frequencies at which signals are left out. Each line of a text file contains a
        frequency and a full width in Hz and, optionally, a number of harmonics. If a file is a
        table made with `compare_pulsar_beams`, its rows of interference are used. With ``"find"``,
        signals that are strongest at DM 0 are left out.
    known : path or sequence of Pulsar, optional
        Known pulsars, or a table of them, after which candidates are named.
    radius : Quantity or str
        Largest angular distance of a known pulsar from the position of the data.
    constant : value, optional
        Dispersion constant, MHz^2 pc^-1 cm^3 s; by default, that of the spectra, or 1/2.41e-4.
    barycenter : bool
        Whether series are sampled evenly at the solar system's barycentre, as by `to_barycenter`.
    ephemeris : str, optional
        As for `to_barycenter`.
    segment : Quantity or str, optional
        Length of segments, such as ``"10min"``, that are searched in addition to the whole.
        Segments have the same length, and overlap by half or more.
    others : sequence of Chain or stream
        If the chain is a time series, the time series of the same scan at other dispersion
        measures.
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
        If the chain does not contain spectra with known frequencies and one intensity, if they are
        too short, or if `others` do not belong to the time series.
    """
    names = [birds] if isinstance(birds, str | os.PathLike) else birds
    if not isinstance(names, list | tuple) or not all(
            isinstance(each, str | os.PathLike) for each in names):
        raise UsageError(f"birds = {shown(birds)}; allowed: paths of files, and {FIND!r}")
    if not isinstance(others, list | tuple):
        raise UsageError(f"others = {shown(others)}; allowed: a list of time series")
    settings = settings_of(harmonics, accel, period, duty, threshold, zap, mains, birds_of(names),
                           jerk=jerk)
    streams = [intensity_of(spectra_of(each)) for each in (chain, *others)]
    request = Request.of(streams, dms, settings, loss=loss, constant=constant,
                         barycenter=barycenter, ephemeris=ephemeris, segment=segment,
                         workers=workers, memory=memory)
    return found_pulsars(request, find_birds=FIND in names, known=known, radius=radius,
                         folder=folder, progress=progress)


def found_pulsars(request: Request, *, find_birds: bool = False, known: Any = None,
                  radius: Any = "1deg", folder: str | None = None,
                  progress: Progress | None = None, hash_inputs: bool = False
                  ) -> PulsarCandidates:
    """Return the candidates of a search, the most significant first.

    Parameters
    ----------
    request : Request
        The planned search.
    find_birds : bool
        Whether to leave out periodic signals that are strongest at DM 0.
    known, radius, folder, progress
        As for `pulsars`.
    hash_inputs : bool
        Whether the provenance contains hashes of entire input files.
    """
    pulsars_known = read_known(known) if isinstance(known, str | os.PathLike) else known
    with request.series(folder, progress) as read:
        zapped = request.settings.zapped
        if find_birds:
            zapped = merged(zapped, found_at_zero_dm(request, read))
        detections, n_dead = search_series(read, request.searched, request.searches, zapped,
                                           workers=request.workers, progress=progress)
    _warn_of_dead(request, n_dead)
    sifted = sift_segments(detections, _duration(request))
    found = PulsarCandidates(_columns(request, sifted), {
        **_meta(request, zapped, sifted, len(detections)),
        "provenance": _provenance(request, hash_inputs)}).sorted()
    if pulsars_known is None:
        return found
    return found.with_columns(name=names_of(found, pulsars_known,
                                            radius_deg=number(radius, "deg", "radius")))


def _warn_of_dead(request: Request, n_dead: int) -> None:
    if n_dead:
        which = "the series" if request.n_dm == 1 else f"{n_dead} of {request.n_dm} series"
        warnings.warn(f"{request.stream.path}: all samples of {which} are lost or equal: nothing "
                      "can be found in them", FastsigWarning, stacklevel=users_line())


def _duration(request: Request) -> float:
    """Return the duration of the shortest series, s."""
    return min(each.n_sample * each.sample_s for each in request.trials)


def _provenance(request: Request, hash_inputs: bool) -> dict[str, Any]:
    """Return the provenance of a search, with the inputs of all its series."""
    found = [provenance(each, hash_inputs=hash_inputs) for each in request.source.streams]
    return {**found[0], "inputs": [each for part in found for each in part["inputs"]]}


def _columns(request: Request, sifted: Sifted) -> dict[str, Any]:
    stream = request.stream
    header, best, n = stream.header, sifted.best, len(sifted.best)
    start = request.start_time
    position = {"ra": header.ra_deg, "dec": header.dec_deg}
    return {
        **{name: best[name] for name in ("frequency", "frequency_error", "fdot", "dm", "sigma",
                                         "snr", "power", "n_harmonic", "r", "z", "width", "duty")},
        **{name: np.full(n, np.nan if value is None else value)
           for name, value in position.items()},
        "period": 1 / best["frequency"], "acceleration": _LIGHT * best["fdot"] / best["frequency"],
        "method": [METHODS[each] for each in best["method"]], "n_member": sifted.n_member,
        "dm_low": sifted.dm_low, "dm_high": sifted.dm_high, "harmonics": sifted.harmonics,
        "epoch": Time(np.full(n, start.jd1), start.jd2 + best["start"] / 86400, format="jd",
                      scale=start.scale),
        **(_jerk_columns(best) if request.settings.w_max else {}),
        **(_segment_columns(request, sifted) if request.segments else {}),
        "beam": np.full(n, -1 if header.beam is None else header.beam),
        "file": [os.path.basename(first_file(stream))] * n}


def _jerk_columns(best: Any) -> dict[str, Any]:
    return {"fddot": best["fddot"], "w": best["w"],
            "jerk": _LIGHT * best["fddot"] / best["frequency"]}


def _segment_columns(request: Request, sifted: Sifted) -> dict[str, Any]:
    best = sifted.best
    return {"segment": best["segment"], "segment_start": best["start"],
            "n_segment": sifted.n_segment,
            "segment_length": np.where(best["segment"] > 0, best["length"], _duration(request))}


def _meta(request: Request, zapped: Any, sifted: Sifted, n_detection: int) -> Mapping[str, Any]:
    header, settings, first = request.stream.header, request.settings, request.trials[0]
    folding = [each.folding for each in request.searches if each.folding is not None]
    known = {
        "source": header.source, "telescope": header.telescope, "receiver": header.receiver,
        "beam": header.beam, "start_time": as_iso(request.start_time).isot,
        "frame": "barycentric" if header.barycentric or request.clock else "topocentric",
        "barycenter": None if request.clock is None else dict(request.clock.parameters()),
        "n_time": first.n_sample, "sample_s": first.sample_s, "threshold": settings.threshold,
        "least_snr": round(max(each.snr_min for each in request.searches), 3),
        "frequency_mhz": None if header.channels is None else [
            float(edge / 10**6) for edge in header.channels.edges_hz],
        "n_dm": request.n_dm, "n_detection": n_detection, "n_dropped": sifted.n_dropped,
        "n_left_out_as_harmonic": sifted.n_harmonic,
        "dispersion_constant": request.source.constant,
        "stretches": [{"low_dm": float(each.dms[0]), "high_dm": float(each.dms[-1]),
                       "n_dm": len(each.dms), "n_time": each.n_sample, "sample_s": each.sample_s}
                      for each in request.trials],
        "segment_s": request.segments[0].duration_s if request.segments else None,
        "n_segment": len(request.segments[0].starts) if request.segments else None,
        "zapped_hz": np.asarray(zapped).tolist() or None,
        "fourier": {"n_harmonic": settings.n_harmonic, "z_max": settings.z_max,
                    **({"w_max": settings.w_max} if settings.w_max else {})}
        if settings.n_harmonic else None,
        "ffa": {"period_s": list(folding[0].period), "n_bin": [folding[0].n_bin],
                "widths": list(folding[0].widths)} if folding else None}
    return {key: value for key, value in known.items() if value is not None}
