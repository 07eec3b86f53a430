"""bursts: the candidates of a search of spectra for single pulses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastsig.errors import PlanError, UsageError
from fastsig.reductions.bursts.coherent import Coarse, coarse_searches
from fastsig.reductions.bursts.following import follow, warn_of_dropped
from fastsig.reductions.bursts.sink import Bursts
from fastsig.reductions.bursts.table import candidates_of
from fastsig.reductions.intensity import intensity_of
from fastsig.run.flag_shares import run_watched
from fastsig.search.bursts.candidates import Candidates
from fastsig.search.bursts.events import Events
from fastsig.search.bursts.plan import SEARCH_SWITCH, search_plan
from fastsig.stream import Stream, VoltageStream, spectra_of, stream_of
from fastsig.work.threads import processors

__all__ = ["bursts", "searches_of"]


def bursts(chain: Any, dms: Any = (0, 3000), *, width: Any = None, threshold: float = 7.0,
           loss: Any = 0.05, constant: Any = None, switch: float = SEARCH_SWITCH,
           n_chan: int | None = None, time: Any = None, workers: int | None = None,
           memory: int | None = None,
           on_candidates: Callable[[Candidates], None] | None = None) -> Candidates:
    """Return the single pulses and bursts that are found in spectra or voltages.

    Voltages are divided into channels, in which the dispersion is removed coherently at widely
    spaced dispersion measures. Around each of these dispersion measures, the powers are searched in
    the same way as spectra.

    Channels are normalised, the sampling rate is halved where the dispersion within channels allows
    it, spectra are summed for all dispersion measures by a tree algorithm, and boxcars of many
    widths are applied to each time series. Boxcars above the threshold that are neighbours in
    dispersion measure and time form one candidate.

    Parameters
    ----------
    chain : Chain or stream
        Voltages, or spectra with known frequencies. If there are several products, only I is
        searched; it is made from AA and BB if necessary.
    dms : pair, or text such as "0:3000"
        Lowest and highest dispersion measure, pc cm^-3.
    width : pair of Quantity, or text such as "0.1ms:100ms", optional
        Shortest and longest width; from one sample to 100 ms by default.
    threshold : float
        Lowest S/N of a candidate.
    loss : float or str
        Largest fraction of its S/N, such as 0.05 or ``"5%"``, that a pulse may lose between two
        widths, or halfway between two dispersion measures.
    constant : value, optional
        Dispersion constant, MHz^2 pc^-1 cm^3 s; by default, that of the spectra, or 1/2.41e-4.
    switch : float
        The sampling rate is halved where the smearing within a channel is at least `switch` times
        the smearing that the plan adds, and a pulse of ten spectra (or of the shortest width, if
        this is longer), widened by the smearing within a channel, still spans at least ``2 switch``
        samples. With smaller values, the search takes less time, but short pulses lose more S/N.
    n_chan : int, optional
        Number of channels into which each channel of voltages is divided; required for voltages.
    time : Quantity or str, optional
        Integration time of the powers of voltages; by default, half of the shortest width in
        `width`, or one sample of a channel if no width is given.
    workers, memory : int, optional
        As for `fastsig.run.engine.run`.
    on_candidates : callable, optional
        Function that is called during the search with each group of candidates, as soon as no later
        spectrum can change them.

    Returns
    -------
    Candidates
        The candidates, the brightest first.

    Raises
    ------
    UsageError
        If an argument is not allowed, or the dispersion has already been removed.
    PlanError
        If the chain contains neither voltages nor spectra with known frequencies and one intensity,
        or if the data are too short.
    """
    options = {"widths": width, "threshold": threshold, "loss": loss, "constant": constant,
               "switch": switch}
    made = searches_of(stream_of(chain), dms, n_chan=n_chan, time=time, **options)
    if workers is not None and workers < 1:
        raise UsageError(f"workers = {workers}; allowed: 1 or more")
    sinks = [Bursts(each.stream, each.plan, threads=workers or processors()) for each in made]
    follower = None if on_candidates is None else follow(sinks, on_candidates)
    found: list[Events] = run_watched(sinks, workers=workers, memory=memory)
    if follower is not None:
        warn_of_dropped(follower)
    return candidates_of([each.stream for each in made], found, [each.plan for each in made])


def searches_of(stream: Stream, dms: Any, *, n_chan: int | None = None, time: Any = None,
                **options: Any) -> list[Coarse]:
    """Return the searches: one of spectra, or one for each coarse dispersion measure of voltages.

    Parameters
    ----------
    stream : Stream
        Spectra or voltages.
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
