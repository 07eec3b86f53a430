"""S/N of hits as turboSETI defines it, from the spectra of their coarse channels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsig.reductions.drifting.bands import Bands
from fastsig.reductions.drifting.searching import Band
from fastsig.search.drift.hits import Hits
from fastsig.search.drift.turboseti import trimmed_noise

__all__ = ["snr_of"]

_WIDE = 2**20  # channels that are compared, if coarse channels are not known


def snr_of(bands: Bands, hits: Hits, band: Band) -> NDArray[np.float64]:
    """Return the S/N of each hit: the sum in one channel along its track, minus the median.

    Median and standard deviation are those of the sums without drift in its coarse channel, by
    `trimmed_noise`. All sums are those of the samples that are not lost, scaled to the number of
    spectra.
    """
    meta = hits.meta
    wide = min(band.n_chan, _WIDE) if meta["n_coarse"] is None else band.n_chan // meta["n_coarse"]
    found = np.full(len(hits), np.nan)
    group = hits.values("channel") // wide
    drifts = hits.values("drift") / meta["channel_hz"] * meta["sample_s"]
    for number in np.unique(group):
        first, stop = int(number) * wide, min(band.n_chan, (int(number) + 1) * wide)
        values = bands.read(first, stop)
        lost = band.lost[(band.lost >= first) & (band.lost < stop)] - first
        total = np.delete(_sum(values), lost)
        median, noise = trimmed_noise(total)
        for k in np.flatnonzero(group == number):
            at = hits.values("channel")[k] - first + drifts[k] * np.arange(len(values))
            track = np.floor(at + 0.5).astype(np.int64)
            inside = (track >= 0) & (track < values.shape[1])
            power = float(_sum(values[inside, track[inside]]))
            if inside.all() and noise > 0:
                found[k] = (power - median) / noise
    return found


def _sum(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the sum over spectra of the valid samples, scaled to all; NaN if there is none."""
    valid = ~np.isnan(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        total: NDArray[np.float64] = values.sum(axis=0, dtype=np.float64, where=valid) * (
            len(values) / valid.sum(axis=0))
    return total
