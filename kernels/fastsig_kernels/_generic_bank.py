"""A polyphase bank of any length, using `numpy.fft`, for cases without vector code."""

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ._bank_setup import float32_taps
from .detection import detect_accumulate
from .fir import polyphase_fir
from .layout import Layout
from .products import product_codes

_TILE_BYTES = 2**19  # frames in progress stay in the second-level cache


class Space(NamedTuple):
    """Work space of one worker: filtered frames and their transforms."""

    filtered: np.ndarray
    spectrum: np.ndarray

    @property
    def memory_bytes(self) -> int:
        """Total size, in bytes."""
        return self.filtered.nbytes + self.spectrum.nbytes


class GenericBank:
    """Immutable tables of a bank; the caller owns the work space."""

    def __init__(self, taps: np.ndarray, *, hop: int, is_complex: bool,
                 lower_sideband: bool, band: tuple[int, int] | None = None) -> None:
        self.n_tap, self.n_fft = taps.shape
        self.hop, self.is_complex, self.lower_sideband = hop, is_complex, lower_sideband
        # NumPy's forward transform runs in single precision without temporaries only if it
        # scales. The factor is 1 / n_fft rounded, and is undone here (exactly for powers of 2).
        factor = np.reciprocal(np.float32(self.n_fft))
        self._taps = float32_taps(taps / np.float64(factor), self.n_fft)
        self.n_chan = self.n_fft if is_complex else self.n_fft // 2
        n_bin = self.n_fft if is_complex else self.n_chan + 1
        self.n_bin = n_bin
        self.band = (0, self.n_chan) if band is None else band
        self.tile = max(1, min(64, _TILE_BYTES // (8 * self.n_fft)))

    @property
    def memory_bytes(self) -> int:
        """Size of the tables, in bytes."""
        return self._taps.nbytes

    def work(self) -> Space:
        """Return the work space of one worker."""
        kind = np.complex64 if self.is_complex else np.float32
        return Space(np.empty((self.tile, self.n_fft), kind),
                     np.empty((self.tile, self.n_bin), np.complex64))

    def run(self, x: np.ndarray, first_frame: int, work: Space, out: np.ndarray) -> None:
        """Write the spectra (frame, chan of `band`) of the frames that begin with `x` to `out`.

        `x` has a dtype that `fir` accepts.
        """
        for first in range(0, len(out), self.tile):
            part = out[first : first + self.tile]
            filtered, spectrum = work.filtered[: len(part)], work.spectrum[: len(part)]
            self._fold(x[first * self.hop :], first_frame + first, filtered)
            transform = np.fft.fft if self.is_complex else np.fft.rfft
            # Inf in the samples is data and must not raise a warning here.
            with np.errstate(all="ignore"):
                transform(filtered, axis=-1, norm="forward", out=spectrum)
                self._store(spectrum, part)

    def _fold(self, x: np.ndarray, first_frame: int, out: np.ndarray) -> None:
        length = self.n_tap * self.n_fft
        # Use one kind of array, so that the filter is compiled once.
        x = np.require(x[: length + (len(out) - 1) * self.hop], requirements="CAW")
        if self.hop == self.n_fft:
            polyphase_fir(x, self._taps, out=out)
            return
        ratio = Fraction(self.n_fft, self.hop)
        unit = self.n_fft // ratio.numerator
        for m in range(len(out)):
            frame = polyphase_fir(x[m * self.hop : m * self.hop + length], self._taps)[0]
            # For absolute phase, sample n belongs at n modulo n_fft.
            turn = (first_frame + m) * ratio.denominator % ratio.numerator * unit
            out[m, turn:], out[m, :turn] = frame[: self.n_fft - turn], frame[self.n_fft - turn :]

    def _store(self, spectrum: np.ndarray, out: np.ndarray) -> None:
        first, stop = self.band
        view = out
        if self.lower_sideband:
            first, stop, view = self.n_chan - stop, self.n_chan - first, out[:, ::-1]
        # With complex input, the halves of the band are interchanged.
        half = self.n_chan // 2 if self.is_complex else 0
        middle = min(max(half, first), stop)
        self._copy(spectrum[:, first + half : middle + half], view[:, : middle - first])
        self._copy(spectrum[:, middle - half : stop - half], view[:, middle - first :])

    def _copy(self, spectrum: np.ndarray, out: np.ndarray) -> None:
        if self.lower_sideband:
            np.conjugate(spectrum, out=out)
        else:
            np.copyto(out, spectrum)  # a tenth of the time that np.positive takes


class GenericTransformer:
    """The equivalent of `_bank.Transformer` for a `GenericBank`."""

    def __init__(self, bank: GenericBank, layout: Layout) -> None:
        self.bank, self._layout = bank, layout

    @property
    def memory_bytes(self) -> int:
        """Size of the tables, in bytes."""
        return self.bank.memory_bytes

    def work(self) -> Space:
        """Return the work space of one worker."""
        return self.bank.work()

    def run(self, x: np.ndarray, start: int, first_frame: int, work: Space, out: np.ndarray
            ) -> None:
        """Write the spectra of the frames of `x` (1, 1, time) from sample `start` on to `out`."""
        bank, layout = self.bank, self._layout
        for first in range(0, len(out), bank.tile):
            part = out[first : first + bank.tile]
            begin = start + first * bank.hop
            stop = begin + (len(part) - 1) * bank.hop + bank.n_tap * bank.n_fft
            skipped = begin % 8  # packed samples are cut at whole bytes
            voltages = layout.to_float(layout.cut(x[0, 0], begin - skipped, stop + -stop % 8))
            bank.run(voltages[skipped:], first_frame + first, work, part)


class GenericIntegrator:
    """The equivalent of `_bank.Integrator` that computes complex spectra frame by frame."""

    streams = False

    def __init__(self, bank: GenericBank, layout: Layout, n_pol: int, products: str,
                 kurtosis: bool) -> None:
        self.bank, self._layout, self._n_pol, self._products = bank, layout, n_pol, products
        self._kurtosis = kurtosis
        self._n_product = len(product_codes(products, n_pol))
        self.first, self.width = bank.band[0], bank.band[1] - bank.band[0]
        self.n_out = self._n_product + (2 * n_pol if kurtosis else 0)

    @property
    def memory_bytes(self) -> int:
        """Size of the tables, in bytes."""
        return self.bank.memory_bytes

    def work(self, least: int = 1, n_stream: int = 1) -> "GenericWork":
        """Return the work space of one worker."""
        return GenericWork(self.bank, self._n_pol, self.n_out, n_stream)

    def call(self, x: np.ndarray, *arguments: Any) -> Callable[[], object]:
        """Return a call that integrates frames, as `_bank.Integrator.call` does."""
        return partial(self._integrate, x, *arguments)

    def _integrate(self, x: np.ndarray, start: int, first_frame: int, ends: np.ndarray,
                   energy: np.ndarray, signs: tuple[int, int], divisors: np.ndarray,
                   work: "GenericWork", out: np.ndarray) -> None:
        for i, stream in enumerate(x):
            self._add_stream(stream, start, first_frame, ends, energy, signs, divisors, work,
                             work.sums[i], out[:, i])

    def _add_stream(self, x: np.ndarray, start: int, first_frame: int, ends: np.ndarray,
                    energy: np.ndarray, signs: tuple[int, int], divisors: np.ndarray,
                    work: "GenericWork", sums: np.ndarray, out: np.ndarray) -> None:
        bank, layout, done = self.bank, self._layout, 0
        for first in range(0, len(ends), bank.tile):
            n = min(bank.tile, len(ends) - first)
            begin = start + first * bank.hop
            stop = begin + (n - 1) * bank.hop + bank.n_tap * bank.n_fft
            frames = work.frames[:n]
            for pol in range(self._n_pol):
                voltages = layout.to_float(layout.cut(x[pol], begin, stop))
                bank.run(voltages, first_frame + first, work.space, frames[:, pol])
            done = self._add(frames, energy[first : first + n], ends[first : first + n],
                             signs, divisors, sums, out, done)

    def unfinished(self, work: "GenericWork") -> np.ndarray:
        """Return the sums so far, (stream, product, chan)."""
        return work.sums.copy()

    def _add(self, frames: np.ndarray, energy: np.ndarray, ends: np.ndarray,
             signs: tuple[int, int], divisors: np.ndarray, sums: np.ndarray,
             out: np.ndarray, done: int) -> int:
        first = 0
        while first < len(frames):
            stops = np.flatnonzero(ends[first:])
            stop = first + int(stops[0]) + 1 if stops.size else len(frames)
            self._add_run(frames[first:stop], energy[first:stop], signs, sums)
            if stops.size:
                np.divide(sums, divisors[done][:, np.newaxis], out=out[done])
                sums[:] = 0
                done += 1
            first = stop
        return done

    def _add_run(self, frames: np.ndarray, energy: np.ndarray, signs: tuple[int, int],
                 sums: np.ndarray) -> None:
        detect_accumulate(frames, energy, self._products, sums[: self._n_product],
                          np.zeros(self._n_product), sign_q=signs[0], sign_v=signs[1])
        if self._kurtosis:
            for m, pol in np.ndindex(frames.shape[0], self._n_pol):
                if energy[m, pol] > 0:
                    x = frames[m, pol]
                    power = np.float32(1 / energy[m, pol]) * (x.real * x.real + x.imag * x.imag)
                    place = self._n_product + 2 * pol
                    sums[place] += power
                    sums[place + 1] += power * power


class GenericWork:
    """Frames in progress and the sums of all streams so far."""

    def __init__(self, bank: GenericBank, n_pol: int, n_out: int, n_stream: int) -> None:
        self.space = bank.work()
        width = bank.band[1] - bank.band[0]
        self.frames = np.empty((bank.tile, n_pol, width), np.complex64)
        self.sums = np.zeros((n_stream, n_out, width), np.float32)

    @property
    def memory_bytes(self) -> int:
        """Total size, in bytes."""
        return self.space.memory_bytes + self.frames.nbytes + self.sums.nbytes

    def reset(self) -> None:
        """Discard the sums."""
        self.sums[:] = 0
