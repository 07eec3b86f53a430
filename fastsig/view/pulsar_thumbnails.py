"""Small pictures of pulsar candidates: profiles folded from recordings, by time and channel."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import PlanError
from fastsig.pulsar.off_pulse import find_off_pulse
from fastsig.pulsar.profile_toas import intensity
from fastsig.pulsar.profiles import Profiles
from fastsig.reductions.periodic.folding import check_channels, clock_of_table, fold_candidates
from fastsig.search.pulsars.candidates import PulsarCandidates
from fastsig.stream import SpectrumStream
from fastsig.view.profile_images import by_frequency, by_time
from fastsig.view.thumbnails import SHAPE, Thumbnails, squeezed, stretched

__all__ = ["PulsarPictures"]

F8 = NDArray[np.float64]

_PROFILE, _TIMES, _CHANNELS = range(3)
#: Values of profiles that are in memory at once, and most candidates that one read folds.
_AT_ONCE, _MOST = 2**26, 64
_SUBINTS, _BINS = 32, 64


class PulsarPictures:
    """Draws the pictures of pulsar candidates for the layout `PULSARS`.

    One read folds up to 64 candidates of a recording, or fewer if it has many channels.

    Parameters
    ----------
    candidates : PulsarCandidates
    most : int
        Number of candidates that have pictures, the first ones.
    """

    def __init__(self, candidates: PulsarCandidates, most: int) -> None:
        self._candidates, self._most = candidates, min(most, len(candidates))
        self._folded: dict[int, Profiles] = {}

    def __call__(self, made: Thumbnails, k: int, stream: SpectrumStream) -> None:
        """Draw the pictures of a candidate."""
        if k not in self._folded:
            check_channels(stream)
            self._fold(k, stream)
        _draw(made, k, intensity(self._folded.pop(k)))

    def _fold(self, k: int, stream: SpectrumStream) -> None:
        """Fold a candidate, and the next ones of the same recording."""
        n = max(1, min(_MOST, _AT_ONCE // (_SUBINTS * _BINS * stream.shape[2])))
        rows = [row for row, _ in zip(self._next(k), range(n), strict=False)]
        table = self._candidates[np.array(rows)]
        _, folded = fold_candidates(stream, table, len(rows), improve=False,
                                    clock=clock_of_table(stream, table))
        self._folded = {rows[each.row]: each.profiles for each in folded}

    def _next(self, k: int) -> Iterator[int]:
        file = self._candidates.values("file")
        return (row for row in range(k, self._most) if file[row] == file[k])


def _draw(made: Thumbnails, k: int, profiles: Profiles) -> None:
    total = np.nanmean(np.nanmean(profiles.data[:, 0], axis=0), axis=0)
    if not np.isfinite(total).all():
        raise PlanError(f"{profiles.path}: some bins of the profile have no valid samples")
    turn = SHAPE[1] // 2 - int(np.argmax(total)) * SHAPE[1] // len(total)
    off = find_off_pulse(total)
    noise = float(total[off].std()) or 1.0
    made.draw(k, _PROFILE, np.roll(_wide((total - total[off].mean()) / noise), turn))
    times, channels = by_time(profiles, off), by_frequency(profiles, off)
    made.draw(k, _TIMES, np.roll(_image(times.values), turn, axis=-1), "0",
              f"{times.edges[1] - times.edges[0]:.4g} s, turns", "1")
    made.draw(k, _CHANNELS, np.roll(_image(channels.values), turn, axis=-1), "0",
              f"{channels.edges[0]:.5g} to {channels.edges[1]:.5g} MHz, turns", "1")


def _image(values: F8) -> F8:
    """Return the pixels of an image: sums of rows, in units of their noise."""
    if len(values) > SHAPE[0]:
        values = squeezed(values.T, SHAPE[0]).T
    return _wide(stretched(values, SHAPE[0]))


def _wide(values: F8) -> F8:
    """Return values of a turn at the columns of a picture."""
    return np.asarray(values[..., np.arange(SHAPE[1]) * values.shape[-1] // SHAPE[1]])
