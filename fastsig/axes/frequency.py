"""Frequency axes: evenly spaced channels, labelled by their centres, ascending."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

import astropy.units as u
import numpy as np

from fastsig.errors import UsageError

__all__ = ["ChannelAxis", "Sideband", "channelized_axis", "synthesized_axis"]

Sideband = Literal["upper", "lower"]


@dataclass(frozen=True)
class ChannelAxis:
    """Evenly spaced channels that ascend in sky frequency.

    Parameters
    ----------
    first_hz : Fraction
        Centre of channel 0, Hz.
    step_hz : Fraction
        Spacing and width of the channels, Hz; positive.
    n_chan : int
        Number of channels. An unchannelised band is one channel as wide as the band.
    half_channel : int or None
        Index of a channel that contains only half a channel's band, if there is one. This is
        channel 0 of real input, whose other half lies beyond the edge of the band.
    """

    first_hz: Fraction
    step_hz: Fraction
    n_chan: int
    half_channel: int | None = None

    def __post_init__(self) -> None:
        if self.step_hz <= 0 or self.n_chan < 1:
            raise UsageError(
                f"a channel axis needs a positive step and at least one channel, not "
                f"{float(self.step_hz)} Hz and {self.n_chan}"
            )

    @classmethod
    def band(cls, center_hz: Fraction, bandwidth_hz: Fraction) -> ChannelAxis:
        """Return the axis of an unchannelised band, which has one channel."""
        return cls(center_hz, bandwidth_hz, 1)

    @classmethod
    def around(cls, center_hz: Fraction, step_hz: Fraction, n_chan: int) -> ChannelAxis:
        """Return the channels of a band with a given centre."""
        return cls(center_hz - step_hz * (n_chan - 1) / 2, step_hz, n_chan)

    @property
    def centers(self) -> u.Quantity:
        """Channel centres, MHz, shape (chan,), float64."""
        steps = np.arange(self.n_chan, dtype=np.float64)
        return (float(self.first_hz / 10**6) + steps * float(self.step_hz / 10**6)) << u.MHz

    @property
    def edges_hz(self) -> tuple[Fraction, Fraction]:
        """Lower edge of the first channel and upper edge of the last channel, Hz."""
        lower = self.first_hz - self.step_hz / 2
        return lower, lower + self.n_chan * self.step_hz

    @property
    def bandwidth(self) -> u.Quantity:
        """Width from edge to edge, MHz."""
        return float(self.n_chan * self.step_hz / 10**6) << u.MHz

    def averaged(self, n: int) -> ChannelAxis:
        """Return the axis after averaging every `n` neighbouring channels."""
        first = self.first_hz + self.step_hz * (n - 1) / 2
        half = self.half_channel if n == 1 else None  # a mean contains whole channels too
        return ChannelAxis(first, self.step_hz * n, self.n_chan // n, half)

    def sliced(self, start: int, stop: int) -> ChannelAxis:
        """Return the axis of channels `start` to `stop` - 1."""
        half = self.half_channel
        kept = half is not None and start <= half < stop
        return replace(
            self,
            first_hz=self.first_hz + start * self.step_hz,
            n_chan=stop - start,
            half_channel=half - start if kept and half is not None else None,
        )

    def slice_of(self, low_hz: Fraction | None, high_hz: Fraction | None) -> tuple[int, int]:
        """Return the channels with centres in [low, high], as (start, stop), possibly none."""
        start, stop = 0, self.n_chan
        if low_hz is not None:
            start = max(0, -((self.first_hz - low_hz) // self.step_hz))
        if high_hz is not None:
            stop = min(self.n_chan, (high_hz - self.first_hz) // self.step_hz + 1)
        return int(start), max(int(start), int(stop))


def channelized_axis(
    axis: ChannelAxis, n_chan: int, *, is_complex: bool, sideband: Sideband
) -> ChannelAxis:
    """Return the axis of the channels into which a filter bank splits the channels of `axis`.

    The channels ascend in frequency. For real input, channel k lies k steps from the band edge that
    is at 0 Hz in the recording, which is the lower edge of an upper sideband. For complex input, DC
    lies at ``n_chan / 2``. In both cases an upper sideband begins at the lower edge itself, and a
    lower sideband one step above it.
    """
    step = axis.step_hz / n_chan
    first = axis.first_hz - axis.step_hz / 2 + (step if sideband == "lower" else 0)
    total = axis.n_chan * n_chan
    half = None
    if not is_complex and axis.n_chan == 1:
        half = total - 1 if sideband == "lower" else 0
    return ChannelAxis(first, step, total, half)


def synthesized_axis(
    axis: ChannelAxis, rate: Fraction, *, is_complex: bool, sideband: Sideband
) -> ChannelAxis:
    """Return the axis of a band synthesised from channels: the inverse of `channelized_axis`.

    Parameters
    ----------
    axis : ChannelAxis
        Axis of the channels, whose number is even.
    rate : Fraction
        Sample rate of the band, Hz.
    is_complex : bool
        Whether the voltages of the band are complex.
    sideband : {"upper", "lower"}
        Sideband of the band.
    """
    last = axis.n_chan - 1
    if is_complex:
        half = axis.n_chan // 2
        zero_hz = axis.first_hz + axis.step_hz * (half if sideband == "upper" else last - half)
        return ChannelAxis.band(zero_hz, rate)
    width = rate / 2
    if sideband == "upper":
        return ChannelAxis.band(axis.first_hz + width / 2, width)
    return ChannelAxis.band(axis.first_hz + last * axis.step_hz - width / 2, width)
