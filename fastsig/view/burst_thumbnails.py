"""Small pictures of bursts: profile, aligned spectra, and S/N against time and DM."""

from __future__ import annotations

import numpy as np

from fastsig.reductions.bursts.measurement import Burst, find_burst
from fastsig.reductions.bursts.window import seconds_of
from fastsig.search.bursts.candidates import Candidates
from fastsig.stream import SpectrumStream
from fastsig.view.burst import bow_tie, shown_samples
from fastsig.view.thumbnails import SHAPE, Thumbnails, highest, squeezed, stretched

__all__ = ["BurstPictures"]

_PROFILE, _ALIGNED, _TIE = range(3)


class BurstPictures:
    """Draws the pictures of candidates for the layout `BURSTS`.

    Parameters
    ----------
    candidates : Candidates
    """

    def __init__(self, candidates: Candidates) -> None:
        self._candidates = candidates

    def __call__(self, made: Thumbnails, k: int, stream: SpectrumStream) -> None:
        """Draw the pictures of a candidate."""
        found = self._candidates
        width = f"{float(found.values('width')[k])!r} s"
        burst = find_burst(stream, seconds_of(stream, found["time"][k]),
                           float(found.values("dm")[k]), width=width)
        _draw(made, k, burst)


def _draw(made: Thumbnails, k: int, burst: Burst) -> None:
    part, seconds = shown_samples(burst)
    ms = f"{-1e3 * seconds[0]:.3g} ms"
    bands = burst.bands.merged(SHAPE[0])
    image = squeezed(bands.values[:, part] / np.sqrt(bands.counts)[:, np.newaxis], SHAPE[1])
    window = burst.window
    half = window.channel_mhz / 2
    band = f"{window.freq_mhz[0] - half:.5g} to {window.freq_mhz[-1] + half:.5g} MHz"
    snr, half_dm = bow_tie(burst, SHAPE[0])
    made.draw(k, _PROFILE, squeezed(burst.bands.profile()[part][np.newaxis], SHAPE[1])[0])
    made.draw(k, _ALIGNED, stretched(image, SHAPE[0]), f"\u2212{ms}", band, ms)
    made.draw(k, _TIE, highest(snr, SHAPE[1]), f"\u2212{ms}", f"DM {window.dm:.6g} ± {half_dm:.3g}",
              ms)
