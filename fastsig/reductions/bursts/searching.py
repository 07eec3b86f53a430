"""bursts: the candidates of a search of spectra for single pulses."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from astropy import units as u
from astropy.time import TimeDelta
from numpy.typing import NDArray

from fastsig.axes.time import elapsed, iso, later
from fastsig.calibration.radiometer import n_eff
from fastsig.errors import PlanError, UsageError
from fastsig.io.files.provenance import provenance
from fastsig.reductions.bursts.coherent import Coarse, coarse_searches
from fastsig.reductions.bursts.sink import Bursts
from fastsig.reductions.intensity import intensity_of
from fastsig.run.chains import roots
from fastsig.run.flag_shares import run_watched
from fastsig.search.bursts.candidates import Candidates
from fastsig.search.bursts.columns import COLUMNS
from fastsig.search.bursts.events import Events
from fastsig.search.bursts.gather import Gathered, Searched, gather
from fastsig.search.bursts.plan import SEARCH_SWITCH, SearchPlan, search_plan
from fastsig.search.bursts.trials import degrees_of, false_alarms
from fastsig.stream import SpectrumStream, Stream, VoltageStream, spectra_of, stream_of
from fastsig.work.threads import processors

__all__ = ["bursts", "candidates_of", "late_of", "searches_of"]


def bursts(chain: Any, dms: Any = (0, 3000), *, width: Any = None, threshold: float = 7.0,
           loss: Any = 0.05, constant: Any = None, switch: float = SEARCH_SWITCH,
           n_chan: int | None = None, time: Any = None, workers: int | None = None,
           memory: int | None = None) -> Candidates:
    """Search spectra or voltages for single pulses and bursts.

    Voltages are divided into channels, in which the dispersion is removed coherently at widely
    spaced dispersion measures; the powers are then searched, like spectra, around each of these.

    Channels are normalised, the rate is halved where the dispersion within channels allows it,
    spectra are summed for all dispersion measures by a tree, and boxcars of many widths slide over
    each time series. Boxcars above the threshold that are neighbours in dispersion measure and time
    form one candidate.

    Parameters
    ----------
    chain : Chain or stream
        Spectra with known frequencies: of one product, or with AA and BB, of which I is searched;
        or voltages.
    dms : pair, or text such as "0:3000"
        Lowest and highest dispersion measure, pc cm^-3.
    width : pair of Quantity, or text such as "0.1ms:100ms", optional
        Shortest and longest width; from one sample to 100 ms by default.
    threshold : float
        Lowest S/N.
    loss : float or str
        Largest fraction of its S/N that a pulse may lose between two widths, and half a step from
        the nearest dispersion measure, such as ``"5%"``.
    constant : value, optional
        Dispersion constant, MHz^2 pc^-1 cm^3 s; 1/2.41e-4 by default.
    switch : float
        The rate is halved where the smear of a channel is this many times the smearing that the
        plan adds. Smaller values take less time, but pulses narrower than this smear lose more S/N.
    n_chan : int, optional
        Channels into which each channel of voltages is divided; required for voltages.
    time : Quantity or str, optional
        Integration time of the powers of voltages; half of the shortest width by default.
    workers, memory : int, optional
        As for `fastsig.run.engine.run`.

    Returns
    -------
    Candidates
        The candidates, the brightest first.

    Raises
    ------
    UsageError
        If an argument is not allowed, or the dispersion was removed before.
    PlanError
        If these are not spectra with known frequencies and one intensity, or they are too short.
    """
    options = {"widths": width, "threshold": threshold, "loss": loss, "constant": constant,
               "switch": switch}
    made = searches_of(stream_of(chain), dms, n_chan=n_chan, time=time, **options)
    if workers is not None and workers < 1:
        raise UsageError(f"workers = {workers}; allowed: 1 or more")
    sinks = [Bursts(each.stream, each.plan, threads=workers or processors()) for each in made]
    found: list[Events] = run_watched(sinks, workers=workers, memory=memory)
    return candidates_of([each.stream for each in made], found, [each.plan for each in made])


def searches_of(stream: Stream, dms: Any, *, n_chan: int | None = None, time: Any = None,
                **options: Any) -> list[Coarse]:
    """Return the search of spectra, or the searches of voltages, one for each coherent measure.

    Parameters
    ----------
    stream : Stream
    dms, n_chan, time
        As for `bursts`.
    **options
        As for `search_plan`.

    Raises
    ------
    UsageError, PlanError
        As for `bursts`.
    """
    if isinstance(stream, VoltageStream):
        if n_chan is None:
            raise PlanError(f"{stream.path}: contains voltages; allowed: spectra, or voltages with "
                            "n_chan, the number of channels")
        return coarse_searches(stream, dms, n_chan, time=time, **options)
    if n_chan is not None or time is not None:
        raise UsageError(f"{stream.path}: n_chan and time have no meaning for {stream.kind}; "
                         "allowed: with voltages")
    spectra = intensity_of(spectra_of(stream))
    return [Coarse(spectra, search_plan(spectra, dms, **options))]


def candidates_of(streams: Sequence[SpectrumStream], events: Sequence[Events],
                  plans: Sequence[SearchPlan], *, hash_inputs: bool = False) -> Candidates:
    """Return the candidates of the events that were found in streams of one recording.

    Parameters
    ----------
    streams : sequence of SpectrumStream
        The streams that were searched: one, or one for each dispersion measure at which voltages
        were dedispersed coherently.
    events, plans : sequence
        The events and the plan of each.
    hash_inputs : bool
        Whether the provenance contains hashes of entire input files.
    """
    found, n_dropped = gather([_placed(*each) for each in zip(streams, events, plans, strict=True)])
    columns = _columns(streams[0], found)
    columns |= _at_barycenter(streams[0], columns, plans[0])
    return Candidates(columns, {
        **_meta(streams, events, plans), "n_candidate_dropped": n_dropped,
        "provenance": provenance(streams[0], hash_inputs=hash_inputs)}).sorted()


def late_of(stream: Stream) -> Fraction:
    """Return the time from the start of the recording to that of a stream, exact, s."""
    return elapsed(roots(stream)[0].header.start_time, stream.header.start_time)


def _placed(stream: SpectrumStream, events: Events, plan: SearchPlan) -> Searched:
    late = late_of(stream)
    return Searched(events, plan, float(late), round(late * stream.header.sample_rate))


def _columns(stream: SpectrumStream, found: Gathered) -> dict[str, Any]:
    header, n = stream.header, len(found)
    low, high = (float(edge) / 1e6 for edge in header.require_channels(stream.path).edges_hz)
    same = {"low_mhz": low, "high_mhz": high, "ra": header.ra_deg, "dec": header.dec_deg}
    return {
        **{name: values for name, values in vars(found).items() if name in COLUMNS},
        **{name: np.full(n, np.nan if value is None else value) for name, value in same.items()},
        "time": later(roots(stream)[0].header.start_time,
                      TimeDelta(found.time_s, format="sec", scale="tai")),
        "beam": np.full(n, -1 if header.beam is None else header.beam),
        "file": _files(stream, found.first_row)}


def _at_barycenter(stream: SpectrumStream, columns: Mapping[str, Any], plan: SearchPlan
                   ) -> dict[str, Any]:
    """Return the column of barycentric times, if the position and the telescope are known."""
    header, recording = stream.header, plan.dm_plan.recording
    if None in (header.ra_deg, header.dec_deg, header.telescope):
        return {}
    from fastsig.telescopes.barycenter import barycentric_times, located

    try:
        place = located(str(header.telescope))
    except UsageError:  # a telescope whose position is not known
        return {}
    late = recording.constant * columns["dm"] / recording.high_mhz**2
    times = later(columns["time"], TimeDelta(-late, format="sec", scale="tai"))
    position = header.ra_deg << u.deg, header.dec_deg << u.deg
    found = barycentric_times(times, position, place) if len(times) else times.tdb
    return {"mjd_bary": found.mjd}


def _files(stream: Stream, rows: NDArray[np.int64]) -> list[str]:
    """Return the name of the file that contains each row of the scan."""
    root = roots(stream)[0]
    ratio = root.header.sample_rate / stream.header.sample_rate
    return [os.path.basename(root.file_of(int(row * ratio))) for row in rows.tolist()]


def _false_alarms(stream: SpectrumStream, plan: SearchPlan) -> float:
    """Return the candidates that the noise of a stream is expected to cause."""
    header = stream.header
    axis = header.require_channels(stream.path)
    n_pol = 2 if header.polarization.kind in ("linear", "circular") and (
        header.polarization.names == ("I",)) else 1
    degrees = degrees_of(float(axis.step_hz), 1 / float(header.sample_rate), n_pol, n_eff(header))
    return false_alarms(plan, float(stream.duration.value), degrees=degrees)


def _meta(streams: Sequence[SpectrumStream], events: Sequence[Events],
          plans: Sequence[SearchPlan]) -> Mapping[str, Any]:
    header = streams[0].header
    known = {
        "source": header.source, "telescope": header.telescope, "receiver": header.receiver,
        "beam": header.beam, "start_time": iso(header.start_time),
        "duration_s": float(streams[0].duration.value), "n_time": events[0].n_time,
        "n_event": sum(len(each.rows) for each in events),
        "n_dropped": sum(each.n_dropped for each in events), **plans[0].record(),
        "low_dm": plans[0].dm_plan.dms[0], "high_dm": plans[-1].dm_plan.dms[1],
        "stretches": [row for each in plans for row in each.record()["stretches"]]}
    known["false_alarms"] = float(f"{sum(map(_false_alarms, streams, plans)):.3g}")
    coherent = [each.header.coherent_dm for each in streams]
    if coherent[0] is not None:
        known["coherent_dms"] = coherent
    return {key: value for key, value in known.items() if value is not None}
