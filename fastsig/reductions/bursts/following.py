"""follow: candidates of a running search, each as soon as no later event can change it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

from fastsig.errors import FastsigWarning, users_line
from fastsig.reductions.bursts.sink import Bursts
from fastsig.reductions.bursts.table import place_of, rows_of
from fastsig.search.bursts.candidates import Candidates
from fastsig.search.bursts.following import Follower
from fastsig.stream import spectra_of

__all__ = ["follow", "left_out", "warn_of_dropped"]


def follow(sinks: Sequence[Bursts], on_candidates: Callable[[Candidates], None]) -> Follower:
    """Have the candidates of a search reported while it runs.

    The function is called with one or more candidates, in the order of their times, as soon as no
    later event can change them: at most `Follower.latency_s` after the burst has arrived at the
    reference frequency, except at the beginning, when the noise is not yet known.
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
        Its `n_dropped` is to be reported after the search, as by `warn_of_dropped`.
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


def left_out(follower: Follower) -> str | None:
    """Return what to say of the events that were left out while a search ran; None if none were."""
    if not follower.n_dropped:
        return None
    return (f"{follower.n_dropped} fainter events were left out of the candidates that were "
            "reported during the search, because too many were waiting: excise interference first")


def warn_of_dropped(follower: Follower) -> None:
    """Warn if candidates that were reported may differ from those of the final table."""
    if (text := left_out(follower)) is not None:
        warnings.warn(text, FastsigWarning, stacklevel=users_line())
