"""The band around the track of a hit, cut out of spectra or of voltages in channels."""

from __future__ import annotations

from math import ceil, floor
from typing import Any

from astropy.time import Time

from fastsig.axes.units import number
from fastsig.errors import DataError, FormatError, UsageError
from fastsig.search.drift.hits import Hits
from fastsig.stream import stream_of

__all__ = ["around_hit"]

_SIDE = 100  # widths of a hit on both sides of its track
_MEGA = 1e6


def around_hit(chain: Any, hits: Hits, row: int = 0, *, side: Any = None) -> Any:
    """Return the channels of a recording that a carrier crosses, and those beside them.

    Parameters
    ----------
    chain : Chain
        Spectra, or voltages that are divided into channels. They may be of another time, to which
        the track is extrapolated.
    hits : Hits
        The hits of a search.
    row : int
        Number of the hit, from 0.
    side : Quantity or str, optional
        Width of the band on either side of the track, such as "200Hz"; 100 times the width of the
        hit by default.

    Returns
    -------
    Chain
        The part of `chain`.

    Raises
    ------
    UsageError
        If there is no such hit.
    FormatError
        If the recording has no channels, or their frequencies are not known.
    DataError
        If the carrier is outside the band of the recording.
    """
    if not 0 <= row < len(hits):
        raise UsageError(f"row = {row + 1}; allowed: 1 to {len(hits)}, the number of hits")
    stream = stream_of(chain)
    if len(stream.shape) < 3:
        raise FormatError(stream.path, "its voltages are not divided into channels")
    axis = stream.header.require_channels(stream.path)
    step, first_hz = float(axis.step_hz), float(axis.first_hz)
    low, high = _track(hits, row, stream)
    beside = (_SIDE * float(hits.values("width")[row]) if side is None
              else number(side, "Hz", "side"))
    first = max(0, floor((low - beside - first_hz) / step + 0.5))
    stop = min(axis.n_chan, ceil((high + beside - first_hz) / step + 0.5))
    if high < first_hz - step / 2 or low > first_hz + (axis.n_chan - 0.5) * step or first >= stop:
        raise DataError(stream.path, f"the carrier at {low / _MEGA:.6f} to {high / _MEGA:.6f} MHz "
                                     "is outside its band")
    return chain[:, first:stop]


def _track(hits: Hits, row: int, stream: Any) -> tuple[float, float]:
    """Return the lowest and the highest frequency of a carrier during a recording, Hz."""
    begin = float((stream.header.start_time - Time(hits["time"][row])).to_value("s"))
    end = begin + stream.shape[0] / float(stream.header.sample_rate)
    at = [float(hits.values("frequency")[row]) * _MEGA + float(hits.values("drift")[row]) * each
          for each in (begin, end)]
    return min(at), max(at)
