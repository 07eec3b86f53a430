"""Simulated voltages of one beam of FAST, made sample by sample; their contents are known."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np
from astropy.time import Time
from fastsig_kernels.noise import uniform
from fastsig_kernels.packing import quantize
from numpy.typing import NDArray

from fastsig.axes import validity
from fastsig.axes.constants import DISPERSION_CONSTANT
from fastsig.axes.diode_schedule import DiodeSchedule
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.time import parse_time
from fastsig.axes.validity import Spans
from fastsig.errors import UsageError
from fastsig.simulate import components as parts
from fastsig.simulate import layers, truth
from fastsig.simulate.checks import (
    MAX_BANDWIDTH,
    band_of,
    check_band,
    check_times,
    positive,
    seed_of,
)
from fastsig.simulate.dispersed import dispersed
from fastsig.simulate.filters import BANDPASSES, Band
from fastsig.simulate.rotation import rotation_of
from fastsig.simulate.values import scalar
from fastsig.stream.header import Header

__all__ = ["FastVoltage", "Made", "check_range", "in_order", "kept_spans"]

STREAM_LOSS = 0

# Data, valid spans and clipped counts of X and Y.
Made = tuple[NDArray[np.int8], tuple[Spans, Spans], tuple[int, int]]
M = TypeVar("M")


class FastVoltage:
    """Simulated voltages of one beam: 8-bit real samples of X and Y.

    Sample n of a polarisation depends only on the parameters and on n. A part of the recording is
    therefore the same regardless of which other parts are made, and of the thread that makes it.

    Parameters
    ----------
    duration : value, s
        Duration, rounded to whole samples.
    fstart, bandwidth : value, Hz
        Lower edge of the band on the sky and its width, up to 500 MHz; the sample rate is twice
        the width.
    sideband : {"upper", "lower"}
        Whether the recorded frequency increases ("upper") or decreases ("lower") with the sky
        frequency.
    start_time : Time or ISO text
        UTC of sample 0.
    seed : int
        Seed of the random numbers, from 0 to 2**64 - 1.
    level : value
        Rms of the receiver noise, in quantisation steps of the 8-bit samples; this determines the
        gain.
    tsys : value, K
        Receiver noise of each polarisation.
    noise : bool
        False omits the receiver noise; the gain does not change.
    bandpass : {"fast", "flat"}
        Response that shapes everything except carriers; "fast" is a model, not FAST's measured
        bandpass.
    dispersion_constant : value, MHz^2 cm^3 s / pc
        The delay is this constant times DM times ``f^-2 - ref^-2``, where ``ref`` is the top of the
        band.
    diode, source, line, pulsar, burst, loss : component, optional
        See `fastsig.simulate.components`.
    carriers, rfi : sequence of components
        Any number of each.

    Raises
    ------
    UsageError
        If a parameter is out of range, or a line or interference needs an FFT of more than 2**26
        samples.

    Notes
    -----
    Pulses are dispersed coherently. If the delay across the band is longer than 2**22 samples for
    a burst, or 2**25 for a pulsar, the band is divided into subbands with smooth edges, whose
    responses add up to 1 and each of which is dispersed separately. For a burst, this takes a few
    times as long as simulating noise for the duration of the delay. For a pulsar, the time per
    sample is multiplied by the ratio of the delay to 2**24 samples.
    """

    def __init__(
        self, *, duration: Any, fstart: Any = Fraction(10**9), bandwidth: Any = MAX_BANDWIDTH,
        sideband: str = "upper", start_time: Time | str = "2026-01-01T00:00:00", seed: int = 1,
        level: Any = 20, tsys: Any = "20K", noise: bool = True, bandpass: str = "fast",
        dispersion_constant: Any = DISPERSION_CONSTANT, diode: parts.Diode | None = None,
        source: parts.Source | None = None, line: parts.Line | None = None,
        pulsar: parts.Pulsar | None = None, burst: parts.Burst | None = None,
        carriers: Sequence[parts.Carrier] = (), rfi: Sequence[parts.RfiBurst] = (),
        loss: parts.Loss | None = None,
    ) -> None:
        self.band = band_of(fstart, bandwidth, sideband)
        self.n_time = max(0, round(scalar(duration, "s", "duration") * self.band.rate))
        if not self.n_time:
            raise UsageError(f"duration = {duration!r} is less than one sample of "
                             f"{float(1 / self.band.rate):g} s")
        self._seed = seed_of(seed)
        self._level, self._tsys = positive(level, "", "level"), positive(tsys, "K", "tsys")
        if bandpass not in BANDPASSES:
            raise UsageError(f"bandpass = {bandpass!r}; allowed: {', '.join(BANDPASSES)}")
        self._bandpass, self._noise = bandpass, noise
        self._dm_constant = positive(dispersion_constant, "", "dispersion_constant")
        self._components: dict[str, Any] = {
            "diode": diode, "source": source, "line": line, "pulsar": pulsar, "burst": burst,
            "carriers": tuple(carriers), "rfi": tuple(rfi), "loss": loss,
        }
        check_band(self.band, self._components)
        check_times(self.band, self.n_time / self.band.rate, self._dm_constant, self._components)
        start = start_time if isinstance(start_time, Time) else parse_time(start_time)
        self.header = _header(self.band, start.utc, diode)
        self.truth = truth.record(
            band=self.band, n_time=self.n_time, seed=self._seed, tsys=self._tsys,
            level=self._level, noise=noise, response=bandpass, dm_constant=self._dm_constant,
            components=self._components)
        self._layers = tuple(self._make_layers())

    def _make_layers(self) -> Iterator[layers.Layer]:
        given, band, seed = self._components, self.band, self._seed
        gain = float(self._level) / float(self._tsys) ** 0.5  # LSB of a signal of 1 K
        common = (band, self._bandpass, gain, seed)
        if self._noise or given["source"] or given["line"]:
            yield layers.StationaryLayer(
                *common, kelvin=float(self._tsys) if self._noise else 0.0,
                source=given["source"], line=given["line"])
        if given["diode"]:
            ticks = DiodeSchedule(1, 1).ticks_per_second
            yield layers.DiodeLayer(*common, given["diode"], ticks)
        for name in ("pulsar", "burst"):
            if given[name]:
                yield dispersed(*common, self._dm_constant, given[name],
                                rotation_of(given[name], self.header.start_time,
                                            self.n_time / band.rate))
        for index, burst in enumerate(given["rfi"]):
            yield layers.RfiLayer(*common, burst, index)
        for carrier in given["carriers"]:
            yield layers.CarrierLayer(band, float(self._level), carrier)

    @property
    def block(self) -> int:
        """Number of samples for which `generate` is fastest if `start` is a multiple of it."""
        return max([layers.SEGMENT, *(layer.size for layer in self._layers)])

    def generate(self, start: int, n: int) -> tuple[NDArray[np.int8], tuple[Spans, Spans]]:
        """Make samples `start` to ``start + n - 1``.

        Returns
        -------
        data : ndarray, shape (n, 2), int8
            X and Y, each contiguous; lost samples are 0.
        valid : tuple of Spans
            Spans of the samples of X and of Y that were not lost, counted from the start of the
            recording.

        Raises
        ------
        UsageError
            If the samples are not in the recording.
        """
        data, valid, _ = self._make(start, n)
        return data, valid

    def signal(self, start: int, n: int) -> NDArray[np.float32]:
        """Return voltages without rounding, clipping and loss; `start` may be negative.

        Returns
        -------
        ndarray, shape (2, n), float32, quantisation steps of the 8-bit samples
            X and Y.
        """
        out = np.zeros((2, n), np.float32)
        for layer in self._layers:
            layer.add(out, start)
        return out

    def _make(self, start: int, n: int) -> Made:
        check_range(start, n, self.n_time)
        signal = self.signal(start, n)
        data = np.empty((2, n), np.int8)
        clipped = [quantize(signal[pol], out=data[pol])[1] for pol in range(2)]
        valid = self._valid(0, start, n), self._valid(1, start, n)
        for samples, spans in zip(data, valid, strict=True):
            validity.zero_invalid(samples, spans, start)
        return data.T, valid, (clipped[0], clipped[1])

    def valid(self, start: int = 0, n: int | None = None) -> tuple[Spans, Spans]:
        """Return the spans of samples of X and of Y that are not lost.

        By default, these are the spans in the whole recording.
        """
        count = self.n_time - start if n is None else n
        return self._valid(0, start, count), self._valid(1, start, count)

    def _valid(self, pol: int, start: int, n: int) -> Spans:
        return kept_spans(self._components["loss"], pol, parts.PACKET, start, n,
                          seed=self._seed, stream=STREAM_LOSS + pol)

    def blocks(self, workers: int = 1) -> Iterator[Made]:
        """Yield all samples in order, made in `workers` threads.

        Each item consists of the data, the valid spans, and the numbers of clipped samples.
        """
        return in_order(self._make, self.n_time, self.block, workers)


def check_range(start: int, n: int, n_time: int) -> None:
    """Refuse samples that are not in a recording of `n_time`."""
    if start < 0 or n < 0 or start + n > n_time:
        raise UsageError(f"samples {start} to {start + n} are outside the {n_time} recorded")


def kept_spans(
    loss: parts.Loss | None, pol: int, packet: int, start: int, n: int, *, seed: int, stream: int
) -> Spans:
    """Return the spans of samples `start` to ``start + n - 1`` in packets that are not lost."""
    if loss is None or not n:
        return validity.full(start, start + n)
    first = start // packet
    count = -(-(start + n) // packet) - first
    kept = uniform(first, count, seed=seed, stream=stream) >= float(loss.fraction)
    for name, low, high in loss.packets:
        if "XY".index(name) == pol:
            kept[max(0, low - first) : max(0, high + 1 - first)] = False
    spans = validity.from_mask(kept, first) * np.int64(packet)
    return validity.clip(spans, start, start + n)


def in_order(
    make: Callable[[int, int], M], n_time: int, block: int, workers: int
) -> Iterator[M]:
    """Call `make` for all samples, `block` at a time in `workers` threads; yield in order."""
    waiting: deque[Future[M]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for first in range(0, n_time, block):
                waiting.append(pool.submit(make, first, min(block, n_time - first)))
                if len(waiting) >= workers + 2:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _header(band: Band, start: Time, diode: parts.Diode | None) -> Header:
    schedule = None if diode is None else DiodeSchedule(diode.period, diode.on, diode.first)
    return Header(
        start_time=start, sample_rate=band.rate,
        channels=ChannelAxis.band(band.low_hz + band.width_hz / 2, band.width_hz),
        sideband=band.sideband, telescope="FAST", receiver="19-beam L-band (simulated)",
        backend="fastsig simulate", beam=1, source="SIMULATED", diode=schedule)
