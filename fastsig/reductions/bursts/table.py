"""Tables of candidates: what a search found, with the times, files and position of a recording."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from astropy import units as u
from astropy.time import TimeDelta
from numpy.typing import NDArray

from fastsig.axes.time import elapsed, iso, later
from fastsig.calibration.radiometer import n_eff
from fastsig.errors import FastsigWarning, UsageError, users_line
from fastsig.io.files.provenance import provenance
from fastsig.run.chains import roots
from fastsig.search.bursts.candidates import Candidates
from fastsig.search.bursts.columns import COLUMNS
from fastsig.search.bursts.events import Events
from fastsig.search.bursts.gather import gather
from fastsig.search.bursts.groups import Gathered, Searched
from fastsig.search.bursts.plan import SearchPlan, joined_record
from fastsig.search.bursts.trials import degrees_of, false_alarms
from fastsig.stream import SpectrumStream, Stream

__all__ = ["candidates_of", "late_of", "place_of", "rows_of", "running_meta"]

_FEW = 0.2  # share of the samples below which a search deserves a warning


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
    share = max((each.live_share * each.valid_share for each in events), default=1.0)
    if share < _FEW:
        warnings.warn(f"{streams[0].path}: only {100 * share:.3g} % of the samples were searched; "
                      "all others are lost or flagged", FastsigWarning, stacklevel=users_line())
    found, n_dropped = gather([_placed(*each) for each in zip(streams, events, plans, strict=True)])
    return rows_of(streams[0], found, plans[0]).with_meta(
        **_meta(streams, plans, events), n_candidate_dropped=n_dropped,
        provenance=provenance(streams[0], hash_inputs=hash_inputs)).sorted()


def rows_of(stream: SpectrumStream, found: Gathered, plan: SearchPlan) -> Candidates:
    """Return candidates as a table without meta, in the order given.

    Parameters
    ----------
    stream : SpectrumStream
        A stream that was searched.
    found : Gathered
    plan : SearchPlan
    """
    columns = _columns(stream, found)
    return Candidates({**columns, **_at_barycenter(stream, columns, plan)})


def running_meta(streams: Sequence[SpectrumStream], plans: Sequence[SearchPlan]) -> dict[str, Any]:
    """Return the meta of a table of candidates as far as it is known while the search runs.

    Numbers of spectra and events, and of false alarms, are those of a whole search.

    Parameters
    ----------
    streams, plans : sequence
        As for `candidates_of`.
    """
    return {**_meta(streams, plans), "provenance": provenance(streams[0])}


def late_of(stream: Stream) -> Fraction:
    """Return the time from the start of the recording to that of a stream, exact, s."""
    return elapsed(roots(stream)[0].header.start_time, stream.header.start_time)


def place_of(stream: Stream) -> tuple[float, int]:
    """Return the time and the number of the first spectrum of a stream in the recording."""
    late = late_of(stream)
    return float(late), round(late * stream.header.sample_rate)


def _placed(stream: SpectrumStream, events: Events, plan: SearchPlan) -> Searched:
    return Searched(events, plan, *place_of(stream))


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


def _false_alarms(stream: SpectrumStream, plan: SearchPlan, events: Events) -> float:
    """Return the candidates that the noise of a stream is expected to cause."""
    header = stream.header
    axis = header.require_channels(stream.path)
    n_pol = header.polarization.n_added(header.polarization.names[0])
    degrees = degrees_of(float(axis.step_hz), 1 / float(header.sample_rate), n_pol, n_eff(header))
    return false_alarms(plan, float(stream.duration.value) * events.live_share,
                        degrees=degrees * events.valid_share)


def _meta(streams: Sequence[SpectrumStream], plans: Sequence[SearchPlan],
          events: Sequence[Events] | None = None) -> Mapping[str, Any]:
    """Return the meta of a table; without events, only what does not depend on them."""
    header = streams[0].header
    known: dict[str, Any] = {
        "source": header.source, "telescope": header.telescope, "receiver": header.receiver,
        "beam": header.beam, "start_time": iso(roots(streams[0])[0].header.start_time)}
    if events is not None:
        known |= {
            "duration_s": float(streams[0].duration.value), "n_time": events[0].n_time,
            "n_event": sum(len(each.rows) for each in events),
            "n_dropped": sum(each.n_dropped for each in events)}
    known |= joined_record(plans)
    if events is not None:
        known["false_alarms"] = float(f"{sum(map(_false_alarms, streams, plans, events)):.3g}")
    coherent = [each.header.coherent_dm for each in streams]
    if coherent[0] is not None:
        known["coherent_dms"] = coherent
    return {key: value for key, value in known.items() if value is not None}
