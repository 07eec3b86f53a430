"""Synthesize: join channels into the voltages of the whole band."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from hashlib import sha256
from typing import Any

import numpy as np
from fastsig_kernels import Layout, Synthesizer, cumulative_energy, frame_energy
from numpy.typing import NDArray

from fastsig.axes import validity
from fastsig.axes.frequency import Sideband
from fastsig.axes.time import sample_time
from fastsig.axes.units import whole
from fastsig.axes.validity import Spans
from fastsig.errors import PlanError, UsageError
from fastsig.stages.channelize import Channelize
from fastsig.stages.coarse_channels import Analysis, analysis_of_frames, analysis_of_voltages
from fastsig.stream import Block, Scratch, Stage, Stream, VoltageStream
from fastsig.stream.base import ENDLESS

__all__ = ["Synthesize"]

_ROOM = 2**6  # transforms that the plan has in memory beside those that overlap
_HOPS = 2**20  # energies that are computed at a time
_PIECE = 2**13  # samples that are turned at a time, in a cache


class Synthesize(Stage, VoltageStream):
    """Voltages of a band, computed from those of its channels with a polyphase synthesis bank.

    ``x[n] = (1/N) sum_m g[n - m H] sum_k X[m, k] exp(2 pi i k n / N)`` where N is the length of the
    transform of the analysis bank that made the channels, H is its hop, and g is the dual of its
    prototype h (see `fastsig_kernels.Synthesizer`). Frames of `channelize` give the voltages from
    which they were made, nearly exactly (to -118 dB) if the bank is oversampled, and with an error
    of about -37 dB, which depends on `noise`, if it is critically sampled.

    For recorded channels, the parameters must describe the prototype of the recorder (by default 8
    taps and a Hamming window) and, if the bank is oversampled, the origin of the phases
    (`first_frame`); the error is larger if these are not exactly those of the recorder. The
    channels are complex, with zero frequency at the centre of each channel, and the time of a
    sample is the middle of its window. The result is a complex band from the lower edge of the
    lowest channel to the upper edge of the highest one. Within half a channel of these edges the
    spectrum is incomplete, because neighbouring channels are missing.

    The result is shorter than the source, because each voltage is computed from all rows that
    contain a part of it.

    Lost samples of channels are replaced by 0. The H voltages of a hop have an energy: the sum of
    g^2 over the rows that are valid, divided by the sum over all rows. If it is below `min_valid`,
    they are invalid. A frame is valid if its energy is above 0.

    Parameters
    ----------
    source : VoltageStream or Channelize
        Complex voltages in several channels that abut or overlap, or frames of `channelize`.
    oversample : Fraction, str or int, optional
        Sample rate of a channel divided by the spacing of channels: 1, "4/3", "32/27", ...; by
        default, that of the header, which it must not contradict.
    n_tap : int, optional
        Length of the prototype of the analysis in units of N; by default, that of the bank that
        made the frames, or 8 for recorded channels.
    window : str, optional
        Window of the prototype's sinc function; by default, that of the bank that made the frames,
        or "hamming" for recorded channels.
    taps : ndarray, shape (n_tap, N), float32 or float64, optional
        The prototype itself, instead of `n_tap` and `window`, at the sample rate of the result.
        Phases refer to its first sample.
    real : bool, optional
        Whether the result is real, with the lowest channel (in a lower sideband the highest) at 0
        Hz. By default, frames of real voltages give real voltages, and all others complex ones.
    sideband : {"upper", "lower"}, optional
        Sideband of the result; by default, that of the voltages of the frames, or "upper".
    min_valid : float
        Smallest energy of valid voltages, above 0 and at most 1; with 1, none of the rows may be
        invalid.
    noise : float, optional
        Noise-to-signal power ratio for which g is optimal, 1e-12 to 1; by default 1e-3 for critical
        sampling, otherwise 1e-10. A smaller ratio gives a smaller error, a longer g and more noise.
    first_frame : int
        Number of the first sample of the recording, counted from a time at which the phases of all
        channels were 0. The number is used only for recorded channels that are oversampled.

    Raises
    ------
    PlanError
        If the source does not contain channels of one band, or is too short.
    UsageError
        If a parameter is not allowed.
    """

    name = "synthesize"

    def __init__(
        self, source: Stream, *, oversample: Fraction | str | int | None = None,
        n_tap: int | None = None, window: str | None = None,
        taps: NDArray[Any] | None = None, real: bool | None = None,
        sideband: Sideband | None = None, min_valid: float = 0.9, noise: float | None = None,
        first_frame: int = 0,
    ) -> None:
        if not 0 < min_valid <= 1:
            raise UsageError(f"min_valid = {min_valid}; allowed: above 0, at most 1")
        self.min_valid = float(min_valid)
        given = {"oversample": oversample, "n_tap": n_tap, "window": window, "taps": taps,
                 "real": real, "sideband": sideband}
        first_frame = whole("first_frame", first_frame)
        if first_frame < 0:
            raise UsageError(f"first_frame = {first_frame}; allowed: 0 or more")
        if isinstance(source, Channelize):
            analysis = analysis_of_frames(source, first_frame=first_frame, **given)
        elif isinstance(source, VoltageStream):
            analysis = analysis_of_voltages(source, first_frame=first_frame, **given)
        else:
            raise PlanError(f"{source.path}: synthesize requires voltages in several channels, or "
                            f"frames of channelize, not {source.kind}")
        self.analysis = analysis
        self.bank = _bank(analysis, source.shape[2], noise)
        self.hop = self.bank.hop
        self.overlap = 0, self.bank.history
        n_row = source.shape[0]
        if n_row < self.bank.n_lag:
            raise PlanError(f"{source.path}: a sample of the band needs {self.bank.n_lag} rows of "
                            f"{source.shape[2]} channels; the stream has {n_row}")
        header, rate = source.header, source.header.sample_rate * self.hop
        later = (self.bank.first_sample - analysis.middle) / rate
        super().__init__(
            source, header=header.later(
                sample_time(header.start_time, later.numerator, Fraction(later.denominator)), later
            ).replace(
                sample_rate=rate, sideband=analysis.sideband, is_complex=not analysis.real,
                channels=analysis.axis(header.require_channels(source.path), rate),
                n_bits=32, bank=None,
            ),
            shape=(min(self.bank.n_sample(n_row), ENDLESS), source.shape[1]),
            dtype=np.float32 if analysis.real else np.complex64,
        )
        self._turns = _half_turns(self.bank.n_fft) if analysis.between else None
        below = source.source if isinstance(source, Channelize) else source
        self.may_have_nan = bool(below.may_have_nan)
        self._renew()

    def _renew(self) -> None:
        self._banks = Scratch(self.bank.copy)
        self._cumulative: NDArray[np.float64] | None = None
        self._known: tuple[Spans, ...] | None = None

    def _replace(self, *sources: Stream) -> None:
        super()._replace(*sources)
        self._renew()

    def parameters(self) -> Mapping[str, Any]:
        """Parameters that determine the values."""
        known = self.analysis
        return {
            "n_chan": self.bank.n_chan, "oversample": str(known.oversample),
            "n_tap": known.n_tap, "window": known.window or None,
            "taps_sha256": sha256(self.bank.taps.tobytes()).hexdigest(),
            "real": known.real, "sideband": known.sideband, "min_valid": self.min_valid,
            "noise": self.bank.noise, "first_frame": known.first_frame,
        }

    @property
    def residual(self) -> float:
        """Relative rms error of the voltages for an analysis that is known exactly."""
        return float(self.bank.residual)

    @property
    def align(self) -> int:
        """Number of samples in a hop, which are computed together."""
        return int(self.hop)

    def needs(self, start: int, n: int) -> tuple[int, int]:
        """Return the first row and the number of rows for samples `start` to ``start + n - 1``."""
        first = start // self.hop
        return first, (start + n - 1) // self.hop - first + self.bank.n_lag if n else 0

    def work_bytes(self, n: int) -> int:
        """Memory that a thread needs to compute `n` samples."""
        rows, history = self.needs(self.hop - 1, n)[1], self.bank.history
        transforms = min(rows, 5 * history + _ROOM) * 16 * self.bank.n_fft
        copies = rows * 8 * (self.hop + (self.source.shape[2] if self.analysis.conjugate else 0))
        return int(self.source.work_bytes(rows)) + transforms + copies + n * self.row_bytes

    def valid_spans(self) -> tuple[Spans, ...] | None:
        """Return valid spans of each polarisation if headers alone state those of the rows."""
        if self._known is None and not self.endless:
            self._known = self._from_headers()
        return self._known

    def _from_headers(self) -> tuple[Spans, ...] | None:
        below: Any = self.source
        while below.kind != "voltage":
            below = below.inputs()[0]
        spans = below.valid_spans()
        if spans is None:
            return None
        if below is self.source:
            return tuple(self._valid(each, 0, self.shape[0] // self.hop) for each in spans)
        lost = any(validity.count(each) < below.shape[0] for each in spans)
        return None if lost else (validity.full(0, self.shape[0]),) * self.n_pol

    def _read(self, start: int, n: int, out: NDArray[Any]) -> tuple[Spans, ...]:
        if not n:
            return (validity.full(0, 0),) * self.n_pol
        first, n_row = self.needs(start, n)
        block = self.source.read_block(first, n_row)
        bank = self._banks.take()
        try:
            for pol in range(self.n_pol):
                self._process(bank, block.data[:, pol], first, start, out[:, pol])
        finally:
            self._banks.give(bank)
        return tuple(
            validity.clip(self._valid(each, first, n_row - self.bank.history), start, start + n)
            for each in _row_spans(block, self.n_pol))

    def _process(self, bank: Synthesizer, rows: NDArray[Any], first: int, start: int,
                 out: NDArray[Any]) -> None:
        """Compute the samples from `start` on from rows of one polarisation, from `first` on."""
        rows = np.conjugate(rows) if self.analysis.conjugate else rows
        number = self.analysis.first_frame + first
        turns, skip = self._turns, start - first * self.hop
        if turns is None and len(out) == bank.n_sample(len(rows)):
            bank.process(rows, first_frame=number, out=out)
            return
        samples = bank.process(rows, first_frame=number)[skip : skip + len(out)]
        if turns is None:
            out[...] = samples
        else:
            _turn(samples, turns, number * self.hop + bank.first_sample + skip, out)

    def _valid(self, rows: Spans, first: int, n_hop: int) -> Spans:
        """Return the valid samples of hops `first` to ``first + n_hop - 1``, given valid `rows`."""
        stop, history = first + n_hop, self.bank.history
        lost = validity.complement(rows, first, stop + history)
        reached = validity.clip(validity.as_spans(lost - [[history, 0]]), first, stop)
        found = [validity.complement(reached, first, stop)]
        for begin, end in reached:
            for low in range(begin, end, _HOPS):
                found.append(self._kept(rows, low, min(_HOPS, end - low)))
        return validity.as_spans(np.concatenate(found)) * self.hop

    def _kept(self, rows: Spans, first: int, n_hop: int) -> Spans:
        """Return the hops that have enough energy, of `n_hop` from `first` on."""
        if self._cumulative is None:
            self._cumulative = _cumulative(self.bank.copy())
        energy = frame_energy(rows, first, n_hop, self._cumulative, 1)
        return validity.from_mask(energy >= self.min_valid, first)


def _bank(analysis: Analysis, n_chan: int, noise: float | None) -> Synthesizer:
    try:
        return Synthesizer(
            n_chan, oversample=analysis.oversample, taps=analysis.taps, noise=noise,
            layout=Layout("float32", is_complex=not analysis.real),
            lower_sideband=analysis.sideband == "lower")
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from error


def _half_turns(n_fft: int) -> NDArray[np.float32]:
    """Return the real and imaginary parts of ``exp(pi i n / n_fft)``, for whole periods.

    Multiplication by them shifts a band by half a channel.
    """
    period = np.exp(1j * np.pi / n_fft * np.arange(2 * n_fft))
    turns = np.tile(period, -(-_PIECE // len(period)))
    return np.stack([turns.real, turns.imag]).astype(np.float32)


def _turn(samples: NDArray[np.complex64], turns: NDArray[np.float32], number: int,
          out: NDArray[np.complex64]) -> None:
    """Write samples to `out`, multiplied by phase factors; `number` is that of the first sample.

    Real and imaginary parts are computed separately: the last bits of NumPy's product of complex
    numbers depend on their place in the array.
    """
    number, done = number % turns.shape[1], 0
    while done < len(samples):
        part = samples[done : done + turns.shape[1] - number]
        cosine, sine = turns[:, number : number + len(part)]
        target = out[done : done + len(part)]
        np.subtract(part.real * cosine, part.imag * sine, out=target.real)
        np.add(part.real * sine, part.imag * cosine, out=target.imag)
        done, number = done + len(part), 0


def _row_spans(block: Block, n_pol: int) -> tuple[Spans, ...]:
    """Return the valid rows of each polarisation: spans of voltages, or frames with an energy."""
    if isinstance(block.valid, tuple):
        return block.valid
    last = block.valid.shape[1] - 1
    return tuple(validity.from_mask(block.valid[:, min(pol, last)] > 0, block.start)
                 for pol in range(n_pol))


def _cumulative(bank: Synthesizer) -> NDArray[np.float64]:
    """Return prefix sums of the energy of g in each hop, in the order of the rows of a hop.

    g is the response to a single row with a constant in the channel at zero frequency.
    """
    rows = np.zeros((2 * bank.n_lag - 1, bank.n_chan), np.complex64)
    zero = bank.n_chan // 2 if bank.n_fft == bank.n_chan else 0
    rows[bank.history, -1 - zero if bank.lower_sideband else zero] = bank.n_fft
    response = np.abs(bank.process(rows).astype(np.complex128)).reshape(bank.n_lag, bank.hop)
    # In the hop q after the first one, the row is the one numbered history - q.
    return cumulative_energy(np.sqrt((response[::-1] ** 2).sum(axis=1))[np.newaxis])
