"""Channelize: split voltages into channels with a polyphase filter bank."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, cast

import numpy as np
from fastsig_kernels import (
    Channelizer,
    Layout,
    cumulative_energy,
    frame_correlation,
    frame_energy,
)
from numpy.typing import NDArray

from fastsig.axes import validity
from fastsig.axes.frequency import channelized_axis
from fastsig.axes.time import sample_time
from fastsig.axes.validity import Spans
from fastsig.errors import PlanError, UsageError
from fastsig.stages.select import SelectChannels
from fastsig.stream import Block, FrameStage, FrameStream, Scratch, Stream, VoltageStream
from fastsig.stream.header import FilterBank

__all__ = ["Channelize"]


class Channelize(FrameStage):
    """Voltages split into channels: frames of complex numbers.

    ``X[m, k] = sum_i h[i] x[m n_fft + i] exp(-2 pi i k i / n_fft)`` over a frame of ``n_tap n_fft``
    samples, with one frame every ``n_fft`` samples; ``n_fft`` is ``2 n_chan`` for real input
    (channel 0 is kept, the Nyquist channel is dropped) and ``n_chan`` for complex input. Channels
    ascend in sky frequency; a lower sideband is reversed and conjugated, so that cross products
    keep their sign. White noise of variance s^2 has a mean ``|X|^2`` of s^2 in every channel. An
    oversampled bank has one frame every ``n_fft / oversample`` samples.

    Lost samples are replaced by 0. The energy of a frame is ``sum(h^2 valid) / sum(h^2)``; if it is
    below `min_valid`, it is set to 0.

    Parameters
    ----------
    source : VoltageStream
        Real (int8, int16, float32) or complex (complex64) voltages, in one or several channels.
    n_chan : int
        Number of channels per input channel, an even number.
    n_tap : int
        Length of the prototype filter in units of n_fft.
    window : str
        Window of the prototype's sinc function: see `fastsig_kernels.filters`.
    min_valid : float
        Smallest energy with which a frame is used, above 0 and at most 1; with 1, no sample of the
        frame may be lost.
    oversample : Fraction, str or int
        n_fft divided by the hop: 1 (critically sampled), "4/3", "32/27", ...

    Raises
    ------
    PlanError
        If the source contains no voltages or is shorter than one frame.
    UsageError
        If a parameter is not allowed.
    """

    name = "channelize"
    source: VoltageStream

    def __init__(
        self, source: Stream, n_chan: int, *, n_tap: int = 8, window: str = "hamming",
        min_valid: float = 0.9, oversample: Fraction | str | int = 1,
    ) -> None:
        if not isinstance(source, VoltageStream):
            raise PlanError(f"channelize requires voltages, not {source.kind}")
        if not 0 < min_valid <= 1:
            raise UsageError(f"min_valid = {min_valid}; allowed: above 0, at most 1")
        self.min_valid, self.window = float(min_valid), window
        header = source.header
        axis = header.require_channels(source.path)
        try:
            self.bank = Channelizer(
                n_chan, n_tap=n_tap, window=window, layout=Layout(**source.layout),
                lower_sideband=header.sideband == "lower", oversample=oversample,
            )
        except (TypeError, ValueError) as error:
            raise UsageError(str(error)) from error
        self.n_chan, self.n_fft, self.n_tap = n_chan, self.bank.n_fft, n_tap
        self.hop = self.bank.hop
        self.overlap = 0, self.bank.history
        n_frame = self.bank.n_frame(source.shape[0])
        if n_frame < 1:
            raise PlanError(
                f"{source.path}: a frame of {n_tap} taps and {n_chan} channels needs "
                f"{n_tap * self.n_fft} samples; the stream has {source.shape[0]}"
            )
        self._cumulative = cumulative_energy(self.bank.taps)
        self._banks = Scratch(self.bank.copy)
        middle = Fraction(self.bank.history, 2)
        super().__init__(
            source, header=header.later(
                sample_time(header.start_time, 1, header.sample_rate / middle)
                if middle else header.start_time, middle / header.sample_rate
            ).replace(
                sample_rate=header.sample_rate / self.hop,
                channels=channelized_axis(axis, n_chan, is_complex=header.is_complex,
                                          sideband=header.sideband),
                sideband="upper", is_complex=True, n_bits=32,
                bank=FilterBank(n_tap, window, self.bank.oversample),
            ),
            shape=(n_frame, source.shape[1], axis.n_chan * n_chan), dtype=np.complex64,
        )

    def _replace(self, *sources: Stream) -> None:
        super()._replace(*sources)
        self._banks = Scratch(self.bank.copy)

    def parameters(self) -> Mapping[str, Any]:
        """Parameters that determine the values."""
        return {"n_chan": self.n_chan, "n_tap": self.n_tap, "window": self.window,
                "min_valid": self.min_valid, "oversample": str(self.bank.oversample),
                "scale": "white noise keeps its variance"}

    def work_bytes(self, n: int) -> int:
        """Memory that a thread needs to compute `n` frames."""
        samples = self.needs(0, n)[1]
        return self.source.work_bytes(samples) + n * self.row_bytes + self.scratch_bytes

    @property
    def scratch_bytes(self) -> int:
        """Memory for the results of filter and transform, for the frames in flight."""
        return 64 * self.n_fft + 2**20

    def needs(self, start: int, n: int) -> tuple[int, int]:
        """Return the first sample, and the number of samples, for the given frames."""
        return start * self.hop, (n - 1) * self.hop + self.n_tap * self.n_fft if n else 0

    def covering(self, first: int, stop: int) -> tuple[FrameStream, int] | None:
        """Return the filter bank on only those input channels that contain the given channels."""
        low, high = first // self.n_chan, -(-stop // self.n_chan)
        if len(self.source.shape) < 3 or (low, high) == (0, self.source.shape[2]):
            return None
        part = cast(FrameStream, self.on(SelectChannels(self.source, (low, high))))
        return part, low * self.n_chan

    @property
    def hop_bytes(self) -> int:
        """Bytes of new voltages that are read for each frame."""
        return self.hop * self.source.row_bytes

    def correlation(self) -> NDArray[np.float64]:
        """Return the correlation of the powers of white noise 1, 2, ... frames apart."""
        found: NDArray[np.float64] = frame_correlation(self.bank.taps, self.hop)
        return found

    def gamma_shape(self) -> NDArray[np.float64]:
        """Return the shape of each channel's gamma distribution.

        It is 1, or 1/2 in the channel at 0 Hz of real voltages.
        """
        shape = np.ones(self.shape[2])
        if not self.source.header.is_complex:
            edge = self.n_chan - 1 if self.source.header.sideband == "lower" else 0
            shape[edge :: self.n_chan] = 0.5
        return shape

    def energy(self, valid: tuple[Spans, ...], start: int, n: int) -> NDArray[np.float64]:
        """Return the energies of frames, (n, 1), or (n, 3) for A, B, and samples valid in both."""
        sets = list(valid)
        if len(sets) == 2:
            sets.append(sets[0] if sets[0] is sets[1] else validity.intersect(*sets))
        energy = np.empty((n, len(sets)))
        for column, spans in enumerate(sets):
            energy[:, column] = frame_energy(spans, start * self.hop, n, self._cumulative,
                                             self.hop)
        energy[energy < self.min_valid] = 0
        return energy

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Return frames, complex64 (n, pol, chan), with their energies."""
        self._check_range(start, n)
        block = self.source.read_block(*self.needs(start, n))
        data = np.empty((n, *self.shape[1:]), np.complex64) if out is None else out[:n]
        self.transform(block.data, start, data)
        view, energy = data.view(), self.energy(block.valid, start, n)
        view.flags.writeable = energy.flags.writeable = False
        return Block(view, energy, start, n)

    def transform(
        self, voltages: NDArray[Any], start: int, out: NDArray[np.complex64]
    ) -> None:
        """Channelise the samples of frames from `start` on, in all polarisations and channels."""
        inputs = voltages if voltages.ndim == 3 else voltages[:, :, np.newaxis]
        bank = self._banks.take()
        try:
            for pol, chan in np.ndindex(inputs.shape[1:]):
                part = out[:, pol, chan * self.n_chan : (chan + 1) * self.n_chan]
                bank.process(inputs[:, pol, chan], first_frame=start, out=part)
        finally:
            self._banks.give(bank)
