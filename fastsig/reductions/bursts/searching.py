"""bursts: the candidates of a search of spectra for single pulses."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from astropy.time import TimeDelta
from numpy.typing import NDArray

from fastsig.axes.time import elapsed, iso, later
from fastsig.errors import PlanError, UsageError
from fastsig.io.files.provenance import provenance
from fastsig.pulsar.stretches import SWITCH
from fastsig.reductions.bursts.sink import Bursts
from fastsig.run.chains import roots
from fastsig.run.flag_shares import run_watched
from fastsig.search.bursts.candidates import Candidates
from fastsig.search.bursts.events import Events
from fastsig.search.bursts.gather import Gathered, gather
from fastsig.search.bursts.plan import SearchPlan, search_plan
from fastsig.stages.stokes import Stokes
from fastsig.stream import SpectrumStream, Stream, spectra_of
from fastsig.work.threads import processors

__all__ = ["bursts", "candidates_of", "searched"]


def bursts(chain: Any, dms: Any = (0, 3000), *, width: Any = None, threshold: float = 7.0,
           loss: Any = 0.05, constant: Any = None, switch: float = SWITCH,
           workers: int | None = None, memory: int | None = None) -> Candidates:
    """Search spectra for single pulses and bursts.

    Channels are normalised, the rate is halved where the dispersion within channels allows it,
    spectra are summed for all dispersion measures by a tree, and boxcars of many widths slide over
    each time series. Boxcars above the threshold that are neighbours in dispersion measure and time
    are one candidate.

    Parameters
    ----------
    chain : Chain or stream
        Spectra with known frequencies: of one product, or with AA and BB, of which I is searched.
    dms : pair, or text such as "0:3000"
        Lowest and highest dispersion measure, pc cm^-3.
    width : pair of Quantity, or text such as "0.1ms:100ms", optional
        Shortest and longest width; from one sample to 100 ms by default.
    threshold : float
        Lowest S/N.
    loss : float or str
        Largest share of S/N that a pulse may lose between two widths, and half a step off in
        dispersion measure, such as ``"5%"``.
    constant : value, optional
        Dispersion constant, MHz^2 pc^-1 cm^3 s; 1/2.41e-4 by default.
    switch : float
        The rate is halved where a pulse in a channel is this many times wider than all that the
        plan adds to it. Smaller values take less time, and lose more of the narrowest pulses.
    workers, memory : int, optional
        As for `fastsig.run.engine.run`.

    Returns
    -------
    Candidates
        The brightest first.

    Raises
    ------
    UsageError
        If an argument is not allowed, or the dispersion was removed before.
    PlanError
        If these are not spectra with known frequencies and one intensity, or they are too short.
    """
    stream = searched(spectra_of(chain))
    plan = search_plan(stream, dms, widths=width, threshold=threshold, loss=loss,
                       constant=constant, switch=switch)
    if workers is not None and workers < 1:
        raise UsageError(f"workers = {workers}; allowed: 1 or more")
    sink = Bursts(stream, plan, threads=workers or processors())
    found: Events = run_watched([sink], workers=workers, memory=memory)[0]
    return candidates_of(stream, found, plan)


def searched(stream: SpectrumStream) -> SpectrumStream:
    """Return the intensity of spectra: of a single product, or of AA and BB.

    Raises
    ------
    PlanError
        If there are several products, and neither I nor both AA and BB among them; or the end of
        the stream is not known.
    """
    if stream.endless or not stream.shape[0]:
        raise PlanError(f"{stream.path}: " + (
            "the end of the data is not known; allowed: recordings" if stream.endless
            else "contains no spectra"))
    names = stream.polarization.names
    if len(names) == 1:
        return stream
    if "I" in names:
        from fastsig.stages.select import Select

        return spectra_of(Select(stream, products="I"))
    if names[:2] == ("AA", "BB"):
        return Stokes(stream, "I")
    raise PlanError(f"{stream.path}: has the products {', '.join(names)}; allowed: one, or AA and "
                    "BB, so select one with --products")


def candidates_of(stream: SpectrumStream, events: Events, plan: SearchPlan, *,
                  hash_inputs: bool = False) -> Candidates:
    """Return the candidates of the events that were found in a stream.

    Parameters
    ----------
    stream : SpectrumStream
        The stream that was searched.
    events : Events
    plan : SearchPlan
    hash_inputs : bool
        Whether the provenance contains hashes of entire input files.
    """
    found = gather(events, plan)
    return Candidates(_columns(stream, found), {
        **_meta(stream, events, plan),
        "provenance": provenance(stream, hash_inputs=hash_inputs)}).sorted()


def _columns(stream: SpectrumStream, found: Gathered) -> dict[str, Any]:
    scan = roots(stream)[0].header.start_time
    late = elapsed(scan, stream.header.start_time)
    first = round(late * stream.header.sample_rate)
    time_s = found.time_s + float(late)
    low, high = (float(edge) / 1e6 for edge in stream.header.require_channels(stream.path).edges_hz)
    header = stream.header
    same = {"low_mhz": low, "high_mhz": high, "ra": header.ra_deg, "dec": header.dec_deg}
    columns = {name: np.full(len(found), np.nan if value is None else value)
               for name, value in same.items()}
    mine = {name: values for name, values in vars(found).items() if name != "time_s"}
    return {
        **mine, **columns, "time_s": time_s,
        "time": later(scan, TimeDelta(time_s, format="sec", scale="tai")),
        "beam": np.full(len(found), -1 if header.beam is None else header.beam),
        "first_row": found.first_row + first, "last_row": found.last_row + first,
        "file": _files(stream, found.first_row + first)}


def _files(stream: Stream, rows: NDArray[np.int64]) -> list[str]:
    """Return the name of the file that contains each row of the scan."""
    root = roots(stream)[0]
    ratio = root.header.sample_rate / stream.header.sample_rate
    return [os.path.basename(root.file_of(int(row * ratio))) for row in rows.tolist()]


def _meta(stream: SpectrumStream, events: Events, plan: SearchPlan) -> Mapping[str, Any]:
    header = stream.header
    known = {
        "source": header.source, "telescope": header.telescope, "receiver": header.receiver,
        "beam": header.beam, "start_time": iso(header.start_time),
        "duration_s": float(stream.duration.value), "n_time": events.n_time,
        "n_event": len(events.rows), "n_dropped": events.n_dropped, **plan.record()}
    return {key: value for key, value in known.items() if value is not None}
