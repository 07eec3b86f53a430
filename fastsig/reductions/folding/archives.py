"""Profiles of a fold with their times: epochs, periods, and the header of the archive."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.time import mjd_and_seconds, sample_time
from fastsig.pulsar.polyco_rows import rows_of
from fastsig.pulsar.profiles import Profiles
from fastsig.reductions.folding.channel_phases import ChannelPhases
from fastsig.reductions.folding.reference_polyco import blocks_of
from fastsig.stream import Stream

__all__ = ["archive_of"]


def archive_of(stream: Stream, phases: ChannelPhases, edges: NDArray[np.int64],
               data: NDArray[np.float32], weights: NDArray[np.float64],
               provenance: Mapping[str, Any]) -> Profiles:
    """Return the profiles of a fold.

    Parameters
    ----------
    stream : Stream
    phases : ChannelPhases
    edges : ndarray, shape (subint + 1,), int64
        First row of each subintegration, and the end.
    data, weights : ndarray, shape (subint, product, chan, bin)
    provenance : mapping
        What determines the profiles.
    """
    header = stream.header
    rate = header.sample_rate
    offsets = np.array([phases.zero_before(float(Fraction(int(low + high), 2) / rate))
                        for low, high in pairwise(edges)])
    day, seconds = mjd_and_seconds(header.start_time)
    axis = header.require_channels(stream.path)
    removed: dict[str, Any] = {"dm": phases.dm, "dm_reference_hz": phases.reference_hz}
    if not phases.aligned:
        removed = {"dm": None, "dm_reference_hz": None}
    if header.barycentric:  # as the card is called in archives
        removed["extra"] = {**header.extra, "barycentric": 1}
    return Profiles(
        data=data, weights=weights, reference=(day, seconds), offsets=offsets,
        durations=np.diff(edges) / float(rate), periods=1 / phases.frequency(offsets),
        header=header.later(
            sample_time(header.start_time, int(edges[0]), rate), int(edges[0]) / rate).replace(
            channels=axis.averaged(axis.n_chan // data.shape[2]), n_bits=32,
            source=phases.predictor.source or header.source,
            dispersion_constant=phases.constant, **removed),
        dm=phases.dm, reference_mhz=float(phases.reference_hz / 10**6),
        folded_mhz=float(axis.step_hz / 10**6),
        predictor=rows_of(blocks_of(phases, header.start_time, offsets[0], offsets[-1])),
        provenance=provenance, path=stream.path)
