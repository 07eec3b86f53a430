"""Channels within intervals of frequency, such as those of `bands` and `protect`."""

from __future__ import annotations

import warnings
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from fastsig.axes import interference
from fastsig.axes.interference import Interval
from fastsig.errors import FastsigWarning, UsageError, users_line
from fastsig.stream import SpectrumStream

__all__ = ["banned_channels", "channels_of", "in_mhz", "protected_channels"]

Flags = NDArray[np.bool_]


def channels_of(stream: SpectrumStream, spans: tuple[Interval, ...]) -> Flags:
    """Return a mask of the channels that overlap with an interval, (chan,)."""
    found = np.zeros(stream.shape[2], np.bool_)
    if not spans:
        return found
    axis = stream.header.require_channels(stream.path)
    edge = axis.edges_hz[0]
    for low, high in spans:
        first, stop = (low - edge) // axis.step_hz, -((edge - high) // axis.step_hz)
        found[max(0, int(first)) : max(0, int(stop))] = True
    return found


def protected_channels(stream: SpectrumStream, spans: tuple[Interval, ...]) -> Flags:
    """Return a mask of the channels of `protect`, (chan,); refuse intervals that contain none."""
    for low, high in spans:
        if not channels_of(stream, ((low, high),)).any():
            raise UsageError(_outside(stream, "protect", low, high))
    return channels_of(stream, spans)


def banned_channels(stream: SpectrumStream, spans: tuple[Interval, ...]) -> Flags:
    """Return a mask of the channels of `bands`, (chan,); warn of specified bands without any."""
    for low, high in spans:
        if not (interference.is_listed((low, high)) or channels_of(stream, ((low, high),)).any()):
            warnings.warn(_outside(stream, "bands", low, high), FastsigWarning,
                          stacklevel=users_line())
    return channels_of(stream, spans)


def _outside(stream: SpectrumStream, name: str, low: Fraction, high: Fraction) -> str:
    """Return the text about an interval that contains no channel of a stream."""
    edges = [f"{float(edge) / 1e6:g}"
             for edge in stream.header.require_channels(stream.path).edges_hz]
    return (f"{stream.path}: {name} = {float(low) / 1e6:g} to {float(high) / 1e6:g} MHz: no "
            f"channel lies within; the band runs from {' to '.join(edges)} MHz")


def in_mhz(spans: tuple[Interval, ...]) -> list[list[float]]:
    """Return intervals in MHz, for the provenance."""
    return [[float(edge / 10**6) for edge in span] for span in spans]
