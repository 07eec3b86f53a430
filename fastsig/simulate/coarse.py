"""Channelised complex voltages: the simulated signal behind a receiver's coarse filter bank."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import erfc, sqrt
from typing import Any

import numpy as np
from fastsig_kernels.packing import quantize
from numpy.typing import NDArray

from fastsig.axes import validity
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.validity import Spans
from fastsig.errors import UsageError
from fastsig.simulate import bank
from fastsig.simulate import components as parts
from fastsig.simulate.bank import N_TAP
from fastsig.simulate.engine import FastVoltage, Made, check_range, in_order, kept_spans
from fastsig.simulate.truth import decimal, rounded
from fastsig.simulate.values import scalar, whole

__all__ = ["PACKET_BYTES", "CoarseVoltage"]

F4 = NDArray[np.float32]
C8 = NDArray[np.complex64]

MAX_CHAN = 2**16
PACKET_BYTES = 8192  # samples of all channels and polarisations in a packet, as for GUPPI
STEP = 2**16  # samples of the digitiser that are filtered at a time
MAX_BLOCK = 2**22
STREAM_LOSS = 2  # X and Y of the digitiser use 0 and 1


class CoarseVoltage:
    """A recording of `FastVoltage` in adjacent complex 8-bit channels that fill its band.

    ``y[m, k] = sum_j h[j] x[m + j] exp(-2 pi i (k + 1/2) (m + j) / N)`` at every N-th m, with ``N =
    2 n_chan`` and h symmetric about j = 0. Channel k of the recorded band is centred at ``(k + 1/2)
    sample_rate / N``. Sample m / N has the time of digitised sample m, the middle of the window
    from which it is computed, so the first sample has the start time of the recording. The signal
    extends beyond the first and the last digitised sample, so windows are complete at both ends.

    The prototype filter is a sinc function with a width of 1.05815 channels, multiplied by a Kaiser
    window (beta = 7) that spans 16 samples of a channel. Relative to the centre of a channel, its
    power is constant to within 0.5 % up to 0.39 channels from the centre, 1/2 at the edge, -21 dB
    at 0.6 channels, below -60 dB from 0.67 channels on, and below -70 dB from 1 channel on. Because
    channels are sampled critically, power beyond one edge is aliased to the other edge; the two
    powers add up to 1 to within 0.5 %, so a flat noise spectrum stays flat across edges. As with
    any real-valued samples, the mirror image of the band, with V of opposite sign, is beyond its
    outer edges; it contributes about 1.7 % of the noise in an outer channel.

    A lower sideband is not converted to an upper sideband, and the header states that the sideband
    is lower: channels are in order of ascending sky frequency, but the baseband frequency within a
    channel decreases with sky frequency.

    Sample n depends only on the parameters and on n. A part of the recording is therefore the same
    regardless of which other parts are made.

    Parameters
    ----------
    recording : FastVoltage
        The recording to channelise; its samples are used before they are rounded. It must not have
        a `loss`, because packets are lost after the filter bank.
    n_chan : int
        Number of channels, up to 65536.
    level : value, optional
        Rms of the receiver noise in each real or imaginary part, averaged over the band, in
        quantisation steps of the 8-bit samples; by default, that of the recording.
    loss : Loss, optional
        Lost packets, counted from sample 0. A packet contains both polarisations.
    packet : int, optional
        Number of samples in a packet; by default, as many as fit into 8192 bytes, but at least one.

    Raises
    ------
    UsageError
        If a parameter is out of range, if the recording is shorter than a sample or has a `loss`,
        or if `loss` lists different packets for X and Y.
    """

    def __init__(
        self, recording: FastVoltage, n_chan: Any, *, level: Any = None,
        loss: parts.Loss | None = None, packet: Any = None,
    ) -> None:
        self.n_chan = whole(n_chan, "n_chan", 1)
        if self.n_chan > MAX_CHAN:
            raise UsageError(f"n_chan = {n_chan!r}; allowed: up to {MAX_CHAN}")
        self._recording, self._hop = recording, 2 * self.n_chan
        self.n_time = recording.n_time // self._hop
        if not self.n_time:
            raise UsageError(f"n_chan = {n_chan!r} needs {self._hop} digitised samples; allowed: "
                             f"up to the {recording.n_time} of the recording")
        own = recording.truth["components"].get("loss")
        if own is not None:
            raise UsageError("the recording loses packets of its digitiser; allowed: loss of the "
                             "channelised voltages alone")
        _check_both(loss)
        self._loss, self._seed = loss, recording.truth["seed"]
        default = max(1, PACKET_BYTES // (4 * self.n_chan))
        self.packet = default if packet is None else whole(packet, "packet", 1)
        recorded = Fraction(recording.truth["receiver"]["level_lsb_rms"])
        self._level = recorded if level is None else scalar(level, "", "level")
        if self._level <= 0:
            raise UsageError(f"level = {level!r}; allowed: above 0")
        self._ratio = float(self._level / recorded)
        width = recording.band.width_hz / self.n_chan
        self.axis = ChannelAxis(recording.band.low_hz + width / 2, width, self.n_chan)
        self.header = recording.header.replace(sample_rate=width, channels=self.axis,
                                               is_complex=True)
        self._taps, self._turn = self._filter()
        self.truth = self._truth()

    def _filter(self) -> tuple[F4, C8]:
        """Return the taps, (N_TAP, hop), with the oscillator's sign, and its turns within a row."""
        taps = (bank.prototype(self.n_chan) * self._ratio).reshape(N_TAP, self._hop)
        taps[(np.arange(N_TAP) - N_TAP // 2) % 2 == 1] *= -1
        turn = np.exp(-1j * np.pi * np.arange(self._hop) / self._hop)
        return taps.astype(np.float32), turn.astype(np.complex64)

    @property
    def _step(self) -> int:
        return max(1, STEP // self._hop)

    @property
    def block(self) -> int:
        """Number of samples for which `generate` is fastest if `start` is a multiple of it."""
        longest = self._recording.block
        digitised = max(longest, min(4 * longest, MAX_BLOCK))  # the halo needs two more segments
        return self._step * max(1, digitised // (self._step * self._hop))

    def generate(self, start: int, n: int) -> tuple[NDArray[np.int8], tuple[Spans, Spans]]:
        """Make samples `start` to ``start + n - 1``.

        Returns
        -------
        data : ndarray, shape (n, 2, n_chan, 2), int8
            Real and imaginary parts of the channels of X and Y, in order of ascending sky
            frequency; each polarisation is contiguous. Lost samples are 0.
        valid : tuple of Spans
            Spans of the samples that were not lost, counted from the start of the recording; the
            same for X and Y.

        Raises
        ------
        UsageError
            If the samples are not in the recording.
        """
        data, valid, _ = self._make(start, n)
        return data, valid

    def blocks(self, workers: int = 1) -> Iterator[Made]:
        """Yield all samples in order, made in `workers` threads.

        Each item consists of the data, the valid spans, and the numbers of clipped samples.
        """
        return in_order(self._make, self.n_time, self.block, workers)

    def _make(self, start: int, n: int) -> Made:
        check_range(start, n, self.n_time)
        data = np.empty((2, n, self.n_chan, 2), np.int8)
        clipped = np.zeros(2, np.int64)
        if n:
            self._fill(start, data, clipped)
        spans = self._valid(start, n)
        for samples in data:
            validity.zero_invalid(samples, spans, start)
        return data.swapaxes(0, 1), (spans, spans), (int(clipped[0]), int(clipped[1]))

    def valid(self) -> tuple[Spans, Spans]:
        """Return the spans of all samples that are not lost, the same for X and Y."""
        return (self._valid(0, self.n_time),) * 2

    def _valid(self, start: int, n: int) -> Spans:
        return kept_spans(self._loss, 0, self.packet, start, n, seed=self._seed,
                          stream=STREAM_LOSS)

    def _fill(self, start: int, data: NDArray[np.int8], clipped: NDArray[np.int64]) -> None:
        """Filter the fixed steps that contain the samples, and round the samples requested."""
        step, stop = self._step, start + data.shape[1]
        first = start - start % step
        count = -(-(stop - first) // step) * step
        rows = self._recording.signal((first - N_TAP // 2) * self._hop,
                                      (count + N_TAP - 1) * self._hop)
        rows = rows.reshape(2, count + N_TAP - 1, self._hop)
        for at in range(first, stop, step):
            low, high = max(at, start), min(at + step, stop)
            for pol in range(2):
                made = self._filtered(at, rows[pol, at - first : at - first + step + N_TAP - 1])
                integers, n_clipped = quantize(
                    made[low - at : high - at].view(np.float32).reshape(-1))
                data[pol, low - start : high - start] = integers.reshape(
                    high - low, self.n_chan, 2)
                clipped[pol] += n_clipped

    def _filtered(self, first: int, rows: F4) -> C8:
        """Return the samples of the step at `first`, given its windows, (step, n_chan)."""
        step = self._step
        folded = np.zeros((step, self._hop), np.float32)
        for tap, weights in enumerate(self._taps):
            folded += weights * rows[tap : tap + step]
        out = np.fft.fft(folded * self._turn)[:, : self.n_chan]
        out[(first + np.arange(step)) % 2 == 1] *= -1  # the oscillator's half turn per row
        order = -1 if self._recording.band.is_lower else 1
        return np.ascontiguousarray(out[:, ::order])

    def _truth(self) -> dict[str, Any]:
        truth, axis = self._recording.truth, self.axis
        tsys = Fraction(truth["receiver"]["tsys_k"])
        lost = {"loss": self._lost(self._loss)} if self._loss else {}
        return {
            **truth,
            "simulator": "coarse-voltage",
            "version": 1,
            "n_time": self.n_time,
            "sample_rate_hz": decimal(self.header.sample_rate),
            "duration_s": decimal(self.n_time / self.header.sample_rate),
            "channels": {"n_chan": self.n_chan, "width_hz": decimal(axis.step_hz),
                         "first_center_hz": decimal(axis.first_hz),
                         "order": "ascending on the sky"},
            "filter_bank": bank.described(self.n_chan),
            "receiver": {
                **truth["receiver"],
                "level_lsb_rms": decimal(self._level),
                "gain_lsb2_per_k": rounded(float(2 * self._level**2 / tsys)),
                "note": "level is the rms of a real or imaginary part, mean over the band; gain "
                        "is the mean square of the complex samples",
            },
            "quantisation": self._quantisation(),
            "components": {name: self._component(name, part)
                           for name, part in truth["components"].items()} | lost,
        }

    def _quantisation(self) -> dict[str, Any]:
        """Return variances of a real number and shares clipped, averaged over the channels."""
        truth = self._recording.truth
        channels = bank.channel_power(self.n_chan, truth["bandpass"]["model"])
        variances, shares = [], []
        for recorded in truth["quantisation"]["variance_xy_lsb2_diode_on"]:
            variance = recorded * self._ratio**2
            scales = np.sqrt(2 * variance * channels)
            clipped = sum(erfc(127.5 / each) + erfc(128.5 / each) for each in scales if each)
            variances.append(rounded(variance))
            shares.append(rounded(clipped / 2 / self.n_chan))
        return {
            **truth["quantisation"],
            "variance_xy_lsb2_diode_on": variances,
            "clipped_share_xy_expected": shares,
            "parts": "real and imaginary, each on its own; means over the channels",
        }

    def _component(self, name: str, truth: Any) -> Any:
        """Return the truth of a component in terms of the channelised samples."""
        if name == "diode":
            per_tick = self.header.sample_rate / truth["ticks_per_second"]
            return truth | {"samples_per_tick": decimal(per_tick)}
        return [self._carrier(each) for each in truth] if name == "carriers" else truth

    def _carrier(self, truth: dict[str, Any]) -> dict[str, Any]:
        """Add the rms of a carrier at a channel's centre, and its position at sample 0."""
        frequency, axis = Fraction(truth["frequency_hz"]), self.axis
        chan = min(int((frequency - axis.edges_hz[0]) // axis.step_hz), self.n_chan - 1)
        offset = frequency - axis.first_hz - chan * axis.step_hz
        gain = bank.prototype(self.n_chan).sum() / sqrt(2)  # of the amplitude, given a cosine's rms
        rms = float(Fraction(truth["level"]) * self._level) * gain
        return truth | {"rms_lsb": rounded(rms), "channel": chan,
                       "from_center_hz": decimal(offset)}

    def _lost(self, loss: parts.Loss) -> dict[str, Any]:
        return {"fraction": decimal(loss.fraction), "packet_samples": self.packet,
                "packets": [list(item) for item in loss.packets],
                "note": "packets of the channelised samples, both polarisations together"}


def _check_both(loss: parts.Loss | None) -> None:
    """Refuse packets that are lost in only one polarisation."""
    if loss is None:
        return
    lost = [validity.as_spans([(low, high + 1) for name, low, high in loss.packets if name == pol])
            for pol in "XY"]
    if not np.array_equal(lost[0], lost[1]):
        raise UsageError(f"loss packets = {loss.packets!r}: a packet contains both polarisations; "
                         "allowed: the same packets for X and for Y, such as X:30-41+Y:30-41")
