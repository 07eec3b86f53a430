"""follow: candidates of a running search, each as soon as no later event can change it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fastsig.reductions.bursts.sink import Bursts
from fastsig.reductions.bursts.table import place_of, rows_of
from fastsig.search.bursts.candidates import Candidates
from fastsig.search.bursts.following import Follower
from fastsig.stream import spectra_of

__all__ = ["follow"]


def follow(sinks: Sequence[Bursts], on_candidates: Callable[[Candidates], None]) -> Follower:
    """Have the candidates of a search reported while it runs.

    The function is called with one or more candidates, in the order of their times, as soon as no
    later event can change them: after the last spectrum of the burst, this takes the delay of the
    largest dispersion measure, and the time that the search looks ahead (`BurstSearch.latency_s`).
    All candidates that it receives are the rows of the final table, without meta, as long as
    neither this nor `Follower.n_dropped` counts events that were left out.

    Parameters
    ----------
    sinks : sequence of Bursts
        The sinks of one recording, which have not received a block.
    on_candidates : callable
        It is called on the thread that merges the parts of the sinks.

    Returns
    -------
    Follower
        It need not be kept.
    """
    streams = [spectra_of(each.stream) for each in sinks]
    late_s, first_rows = zip(*map(place_of, streams), strict=True)
    follower = Follower([each.search for each in sinks], late_s, first_rows)

    def report() -> None:
        found = follower.completed()
        if found is not None and len(found):
            on_candidates(rows_of(streams[0], found, sinks[0].plan))

    for each in sinks:
        each.on_merged = report
    return follower
