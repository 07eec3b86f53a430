"""Bands of a map's channels, from spectra as they are or in another frame of velocity."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.frequency import ChannelAxis
from fastsig.errors import PlanError, UsageError
from fastsig.stages.select import SelectSpectra
from fastsig.stages.velocity_frame import VelocityFrame
from fastsig.stream import Block, SpectrumStream
from fastsig.telescopes.velocity_frames import frame_of, known_frame

__all__ = ["Band", "common_band", "common_frame", "framed", "input_channels", "levelled"]


def common_frame(streams: Sequence[SpectrumStream]) -> str:
    """Return the frame that all spectra are in; topocentric if the files do not state it.

    Raises
    ------
    PlanError
        If the spectra are in several frames, or in an unknown one.
    """
    found: dict[str, str] = {}
    for stream in streams:
        stated = stream.header.specsys
        frame = "topocentric" if stated is None else known_frame(stated)
        if frame is None:
            raise PlanError(f"{stream.path}: the frame is {stated!r}, which is not known")
        found.setdefault(frame, stream.path)
    if len(found) > 1:
        frames = ", ".join(f"{path} in {frame}" for frame, path in found.items())
        raise PlanError("all spectra of a map must be in one frame; found "
                        f"{frames}; give --frame lsrk")
    return next(iter(found))


def framed(streams: Sequence[SpectrumStream], to: str | None) -> list[SpectrumStream]:
    """Return the spectra in a frame; unchanged if it is None or they are already in it."""
    if to is None:
        return list(streams)
    name = frame_of(to)
    return [stream if _is_in(stream, name) else VelocityFrame(stream, name) for stream in streams]


def _is_in(stream: SpectrumStream, name: str) -> bool:
    stated = stream.header.specsys
    return name == ("topocentric" if stated is None else known_frame(stated))


def common_band(streams: Sequence[SpectrumStream], low_hz: Fraction | None,
                high_hz: Fraction | None) -> tuple[ChannelAxis, list[tuple[int, int]]]:
    """Return the channels that all streams share between two centres, and their place in each.

    Raises
    ------
    PlanError
        If the channels differ, or have several widths.
    UsageError
        If there are no such channels.
    """
    axes = [stream.header.require_channels(stream.path) for stream in streams]
    first = axes[0]
    offsets = []
    for axis, stream in zip(axes, streams, strict=True):
        away = (axis.first_hz - first.first_hz) / first.step_hz
        if axis.step_hz != first.step_hz or away.denominator != 1:
            raise PlanError(
                f"{stream.path}: its channels ({float(axis.first_hz) / 1e6:.9g} MHz and steps of "
                f"{float(axis.step_hz):.9g} Hz) are not those of {streams[0].path} "
                f"({float(first.first_hz) / 1e6:.9g} MHz, {float(first.step_hz):.9g} Hz); allowed: "
                "the same channels, or spectra with one channel width in a frame (--frame lsrk)")
        offsets.append(int(away))
    start, stop = max(offsets), min(at + axis.n_chan for at, axis in zip(offsets, axes,
                                                                        strict=True))
    if start >= stop:
        raise PlanError(f"{streams[0].path} and others have no channel in common")
    band = first.sliced(0, 1)
    whole = ChannelAxis(band.first_hz + start * first.step_hz, first.step_hz, stop - start)
    cut = whole.slice_of(low_hz, high_hz)
    if cut[0] >= cut[1]:
        edges = [float(edge) / 1e6 for edge in whole.edges_hz]
        raise UsageError(f"no channel in the band; the spectra cover {edges[0]:.9g} to "
                         f"{edges[1]:.9g} MHz")
    spans = [(start - at + cut[0], start - at + cut[1]) for at in offsets]
    return whole.sliced(*cut), spans


def input_channels(stream: SpectrumStream, n_chan: int) -> tuple[SpectrumStream, int]:
    """Return the stream to read for `n_chan` channels of `stream`, and its number of channels."""
    if not isinstance(stream, VelocityFrame):
        return stream, n_chan
    ratio = float(stream.out_axis.step_hz / stream.axis.step_hz)
    more = int(2 * (stream.lobes + 2) * max(1.0, ratio)) + 64
    return stream.source, min(stream.source.shape[2], int(n_chan * ratio) + more)


class Band:
    """Some channels of rows of a stream.

    In another frame, only the input channels that the resampling kernels span are read.

    Parameters
    ----------
    stream : SpectrumStream
    channels : (int, int)
        First channel, and the one after the last.
    rows : ndarray of int
        Numbers of the rows to read.
    """

    def __init__(self, stream: SpectrumStream, channels: tuple[int, int], rows: NDArray[np.int64]
                 ) -> None:
        self._stream, self._channels = stream, channels
        if isinstance(stream, VelocityFrame):
            first, n = int(rows[0]), int(rows[-1] - rows[0]) + 1
            factors = stream.factors(first, n)[rows - first]
            read, source = _spanned(stream, *_positions(stream, factors), channels), stream.source
        else:
            read, source = channels, stream
        self._low, whole = read[0], read == (0, source.shape[2])
        #: The stream that is read.
        self.source: SpectrumStream = source if whole else SelectSpectra(
            source, (0, source.shape[0]), read)

    def made(self, block: Block) -> Block:
        """Return the channels, computed from a block of `source`."""
        stream = self._stream
        if not isinstance(stream, VelocityFrame):
            return block
        from fastsig_kernels import resample

        low, n_chan = self._low, block.data.shape[2]
        position, step = _positions(stream, stream.factors(block.start, block.n))
        weight = np.asarray(block.valid, np.float32)
        half = stream.axis.half_channel
        if half is not None and low <= half < low + n_chan:
            weight = np.array(np.broadcast_to(weight, (*weight.shape[:2], n_chan)))
            weight[:, :, half - low] = 0
        first, stop = self._channels
        data, out_weight = resample(
            np.asarray(block.data, np.float32), position, step, stop - first, weight=weight,
            first_in=low, first_out=first, lobes=stream.lobes, min_valid=stream.min_valid)
        return Block(data, out_weight, block.start, block.n)


def levelled(block: Block, level: NDArray[np.int64], start: int, stop: int) -> Block:
    """Return some rows of a block, minus the median of the rows `level` of the block.

    The median is subtracted from each product and channel of a band before its channels are
    shifted, because signals of the receiver stay in the same channels.

    Parameters
    ----------
    block : Block
    level : ndarray of int
        Rows, counted from the first row of the block.
    start, stop : int
        The rows that are returned, counted from the first row of the stream.
    """
    from fastsig_kernels import column_median

    part = slice(start - block.start, stop - block.start)
    data = np.array(block.data[part], np.float32)
    for product in range(data.shape[1]):
        values = block.data[level, product].astype(np.float32, copy=False)
        weight = block.valid[level, min(product, block.valid.shape[1] - 1)]
        lost = np.ascontiguousarray(np.broadcast_to(~(weight > 0), values.shape))
        data[:, product] -= column_median(values, flags=lost)
    return Block(data, block.valid[part], start, stop - start)


def _positions(stream: VelocityFrame, factors: NDArray[np.float64]
               ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the first output channel's place among the input channels, and the step, by row."""
    first = float(stream.out_axis.first_hz) / factors - float(stream.axis.first_hz)
    position = first / float(stream.axis.step_hz)
    return position, float(stream.out_axis.step_hz / stream.axis.step_hz) / factors


def _spanned(stream: VelocityFrame, position: np.ndarray, step: np.ndarray,
             channels: tuple[int, int]
             ) -> tuple[int, int]:
    """Return the input channels that the kernels of the output channels reach in any row."""
    n_chan = stream.source.shape[2]
    known = np.isfinite(position) & np.isfinite(step)
    if not known.any():
        return 0, n_chan
    position, step = position[known], step[known]
    margin = (stream.lobes + 1) * max(1.0, float(step.max())) + 1
    low = np.floor((position + channels[0] * step).min() - margin)
    high = np.ceil((position + (channels[1] - 1) * step).max() + margin) + 1
    first = int(np.clip(low, 0, n_chan - 1))
    return first, int(np.clip(high, first + 1, n_chan))
