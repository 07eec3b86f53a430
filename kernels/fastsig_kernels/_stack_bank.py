"""Tables and work space of the stacked bank, for transforms of any length; see `_stack_loops`.

It serves what the vector code of `_bank` does not: lengths with factors 3, 5 and 7, transforms of
a few points, and frames that are rotated by less than a vector.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ._bank import frame_factors
from ._bank_setup import call_with, frame_rows, frame_turns
from ._detect import n_sum
from ._linking import Linked
from ._order import address, roots
from ._pages import aligned
from ._simd import Spec, host_lanes
from ._stack_loops import (
    DETECT,
    FOLD,
    PUT,
    detect_points_nb,
    fold_nb,
    put_points_nb,
    stack_integrate_nb,
    stack_spectra_nb,
)
from ._stack_order import StackOrder, radices
from .layout import Layout

_FRAMES = 8  # filtered together: their samples are converted once
_TILE_NUMBERS = 128  # filtered before they are transposed, in the first-level cache
_LANES = 8  # frames in a stack: with 16 it is twice as large, and no faster


def stacks(n_fft: int, hop: int, layout: Layout) -> bool:
    """Whether the stacked bank supports this bank.

    It supports even lengths with no prime factor above 7, whose frames begin at whole bytes.
    """
    n_number = n_fft * (2 if layout.is_complex else 1)
    if n_number % 2 or n_number < 4 or radices(n_number // 2) is None:
        return False
    step = 2 if layout.interleaved else 1
    bits = layout.bits * step
    wide = _wide(n_number)
    if layout.interleaved and 2 * layout.sample_bits > 64:
        return False
    return (hop * layout.sample_bits * step % 8 == 0 and n_fft * layout.sample_bits * step % 8 == 0
            and wide * bits % 8 == 0 and (n_number - wide) * bits % 8 == 0)


def _wide(n_number: int) -> int:
    """Return how many numbers are filtered at a time: two vectors."""
    wide = 2 * host_lanes()
    while wide > n_number:
        wide //= 2
    return wide


class Stack:
    """Immutable tables of a bank of any length for one layout of samples."""

    def __init__(self, taps: np.ndarray, layout: Layout, *, hop: int, lower_sideband: bool,
                 n_pol: int = 1) -> None:
        self.n_tap, self.n_fft = taps.shape
        self.hop, self.layout, self.lower_sideband = hop, layout, lower_sideband
        self.real = not layout.is_complex
        pair = 1 if self.real else 2
        self.n_number = self.n_fft * pair
        self.n_point = self.n_number // 2
        self.lanes = min(_LANES, host_lanes())
        self.spec = Spec(lanes=self.lanes)
        self.step = 2 if layout.interleaved else 1
        self.wide = _wide(self.n_number)
        self.taps = self._taps_in_order(np.repeat(taps, pair, axis=1))
        taps_bytes = 4 * self.wide * self.n_tap
        whole = self.hop == self.n_fft
        n_group = self.n_number // self.wide
        at_once = min(n_group, max(1, _TILE_NUMBERS // self.wide)) if whole else n_group
        # Before a row lies room for the group that overlaps the one before it.
        self.margin = 4 * self.wide
        self.row_bytes = (self.margin + 4 * (at_once + 1) * self.wide + 12 * self.lanes + 63) \
            // 64 * 64 + 64
        self.order = order = StackOrder(self.n_point, self.lanes)
        bits = layout.bits * self.step
        self.shape = np.array([
            self.n_number, self.wide, at_once, taps_bytes, _FRAMES, self.row_bytes, order.part,
            order.pad, (self.n_number - self.wide) * bits // 8], np.int64)
        self.levels_of_packed = np.zeros(16, np.float32)
        if layout.levels is not None:
            self.levels_of_packed[: len(layout.levels)] = layout.levels
        self.source = np.array([(self.wide * bits // 8, address(self.levels_of_packed), pol)
                                for pol in range(2)], np.int64)
        self.low, self.high = self._offsets()
        self.twiddles = aligned(8 * (len(self.low) + 1)).view(np.float32)
        values = -1j * roots(2 * self.n_point, np.arange(len(self.low)))
        self.twiddles.reshape(-1, 2)[: len(values), 0] = values.real
        self.twiddles.reshape(-1, 2)[: len(values), 1] = values.imag
        #: Addresses of the tables: taps, twiddles of real input.
        self.at = address(self.taps), address(self.twiddles)

    def _taps_in_order(self, numbers: np.ndarray) -> np.ndarray:
        """Return the taps in order of use: (group, half, tap, lane); the last group overlaps."""
        lanes = self.wide // 2
        starts = list(range(0, self.n_number - self.wide + 1, self.wide))
        if self.n_number % self.wide:
            starts.append(self.n_number - self.wide)
        out = aligned(4 * len(starts) * self.wide * self.n_tap).view(np.float32)
        table = out.reshape(len(starts), 2, self.n_tap, lanes)
        scale = np.float32(0.5 if self.real else 1)
        for i, start in enumerate(starts):
            part = scale * numbers[:, start : start + self.wide]
            table[i] = part.reshape(self.n_tap, 2, lanes).transpose(1, 0, 2)
        return out

    def _offsets(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the offsets of the points k, and of their mirror images."""
        offsets = self.order.offsets()
        if not self.real:
            return offsets, offsets
        low = np.arange(self.n_point // 2 + 1)
        return offsets[low % self.n_point].copy(), offsets[-low % self.n_point].copy()

    @property
    def memory_bytes(self) -> int:
        """Size of the tables, in bytes."""
        return self.order.memory_bytes + sum(table.nbytes for table in (self.taps,
            self.twiddles, self.low, self.high))

    @property
    def z_bytes(self) -> int:
        """Size of the stack of one polarisation, in bytes."""
        return self.order.stack_bytes

    def fold(self) -> int:
        """Return the address of the filter."""
        layout = self.layout
        items = {"lanes": self.wide // 2, "n_tap": self.n_tap, "smooth": False,
                 "kind": layout.kind, "bits": layout.bits, "pair": layout.pair,
                 "step": self.step, "msb_first": layout.order == "msb"}
        return FOLD.address(fold_nb, Spec(frames=_FRAMES, **items), Spec(frames=1, **items))

    def segments(self, band: tuple[int, int]) -> np.ndarray:
        """Return the runs of channels of a band: first channel, side, first k, step, length."""
        n, half = self.n_point, self.n_point // 2
        if self.real:
            runs = [(0, 0, 0, 1, half + 1), (half + 1, 1, (n - 1) // 2, -1, n - half - 1)]
        else:  # zero frequency is in the middle of the band
            runs = [(0, 0, half, 1, half), (half, 0, 0, 1, half)]
        if self.lower_sideband:
            runs = [(n - at - count, side, start + step * (count - 1), -step, count)
                    for at, side, start, step, count in reversed(runs)]
        out = []
        for at, side, start, step, count in runs:
            first, stop = max(at, band[0]), min(at + count, band[1])
            if first < stop:
                out.append((first - band[0], side, start + step * (first - at), step, stop - first))
        return np.array(out, np.int64).reshape(-1, 5)

    def turns(self, first_frame: int, n_frame: int) -> np.ndarray:
        """Return the rotation of each frame, in numbers; none if there is no rotation."""
        if self.hop == self.n_fft:
            return np.empty(0, np.int64)
        return frame_turns(self.n_fft, self.hop, first_frame, n_frame) * (1 if self.real else 2)


class StackWork:
    """Work space of one worker: stacks, a tile, terms, and the sums so far."""

    def __init__(self, stack: Stack, n_pol: int, n_term: int, places: int, n_stream: int = 1
                 ) -> None:
        lanes, sides = stack.lanes, 2 if stack.real else 1
        self.z = aligned(n_pol * stack.z_bytes)
        self.tile = aligned(stack.row_bytes * lanes + stack.margin)
        self.table = np.zeros(lanes, np.int64)
        self.terms = aligned(2 * sides * max(n_term, 2) * 4 * lanes**2)
        self.row = -(-len(stack.low) // lanes) * lanes
        self.spectra = np.zeros((lanes if places == 1 else 0, sides, self.row), np.complex64)
        self.sums = aligned(4 * n_stream * places * sides * n_term * self.row).view(
            np.float32).reshape(n_stream, -1)
        self.sizes = np.array([sides, n_term, self.row, places], np.int64)
        self.state = np.empty((n_stream, 2), np.int64)
        #: Addresses of the memory, in the order of the loops' arguments.
        self.at = (address(self.z), address(self.tile) + stack.margin, address(self.table),
                   address(self.terms))
        self.reset()

    def reset(self) -> None:
        """Discard the sums of all streams."""
        self.state[:] = 0, 1

    @property
    def memory_bytes(self) -> int:
        """Total size of the work space, in bytes."""
        return sum(a.nbytes for a in (self.z, self.tile, self.terms, self.sums))


class StackIntegrator(Linked):
    """The equivalent of `_bank.Integrator` for a `Stack`."""

    streams = False

    def __init__(self, stack: Stack, n_pol: int, products: tuple[str, ...], kurtosis: bool,
                 band: tuple[int, int]) -> None:
        self.stack, self.n_pol = stack, n_pol
        items = {"lanes": stack.lanes, "n_pol": n_pol, "products": products,
                 "kurtosis": kurtosis, "real": stack.real}
        self.n_out, self._spec = n_sum(items), Spec(**items)
        self.first, self.width = band[0], band[1] - band[0]
        self._segments = stack.segments(band)

    @property
    def memory_bytes(self) -> int:
        """Size of the tables, in bytes."""
        return self.stack.memory_bytes

    def work(self, least: int = 1, n_stream: int = 1) -> StackWork:
        """Return the work space of one worker, for sums of `least` frames or more."""
        places = 2 + -(-self.stack.lanes // least)
        return StackWork(self.stack, self.n_pol, self.n_out, places, n_stream)

    def call(self, x: np.ndarray, start: int, first_frame: int, ends: np.ndarray,
             energy: np.ndarray, signs: tuple[int, int], divisors: np.ndarray, work: StackWork,
             out: np.ndarray) -> Callable[[], object]:
        """Return a call that integrates frames, as `_bank.Integrator.call` does."""
        stack = self.stack
        bases, offsets, row_step, samples = frame_rows(stack, x, self.n_pol, start, len(ends))
        factors = frame_factors(energy, *signs, -1 if stack.lower_sideband else 1)
        fold, detect, *_ = parts = self.parts()
        (taps, twiddles), (z, *memory) = stack.at, work.at
        return partial(call_with, samples, stack_integrate_nb, (
            stack.spec, (fold, detect), bases, offsets, row_step,
            stack.turns(first_frame, len(ends)), len(ends), ends, factors, stack.source,
            taps, stack.shape, parts[2], stack.low, stack.high, twiddles, z, stack.z_bytes, *memory,
            work.sums, work.sizes, work.state, self._segments, divisors, out,
        ))

    def _link(self) -> tuple[Any, ...]:
        return (self.stack.fold(), DETECT.address(detect_points_nb, self._spec),
                self.stack.order.levels())

    def unfinished(self, work: StackWork) -> np.ndarray:
        """Return the sums so far, (stream, product, chan), float32."""
        out = np.zeros((len(work.state), self.n_out, self.width), np.float32)
        place, fresh = work.state[0].tolist()  # those of all streams
        if not fresh:
            sides, terms, row, places = work.sizes.tolist()
            sums = work.sums.reshape(-1, places, sides, terms, row)[:, place]
            for at, side, start, step, n in self._segments.tolist():
                out[:, :, at : at + n] = sums[:, side][:, :, start + step * np.arange(n)]
        return out


class StackTransformer(Linked):
    """The equivalent of `_bank.Transformer` for a `Stack`."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._spec = Spec(lanes=stack.lanes, real=stack.real)
        self._segments = stack.segments((0, stack.n_point))

    @property
    def memory_bytes(self) -> int:
        """Size of the tables, in bytes."""
        return self.stack.memory_bytes

    def work(self) -> StackWork:
        """Return the work space of one worker."""
        return StackWork(self.stack, 1, 1, 1)

    def run(self, x: np.ndarray, start: int, first_frame: int, work: StackWork, out: np.ndarray
            ) -> None:
        """Write the spectra of the frames of `x` (1, 1, time) from sample `start` on to `out`."""
        stack = self.stack
        bases, offsets, row_step, samples = frame_rows(stack, x, 1, start, len(out))
        fold, put, levels = self.parts()
        (taps, twiddles), (z, *memory) = stack.at, work.at
        target = out if out.flags.c_contiguous else np.empty(out.shape, np.complex64)
        stack_spectra_nb(
            stack.spec, (fold, put), bases[0, 0] + offsets, row_step,
            stack.turns(first_frame, len(out)), len(out), stack.source[0], taps, stack.shape,
            levels, stack.low, stack.high, twiddles, z, *memory, work.spectra, self._segments,
            stack.lower_sideband, target,
        )
        if target is not out:
            out[...] = target
        del samples  # the rows lie in their memory

    def _link(self) -> tuple[Any, ...]:
        return (self.stack.fold(), PUT.address(put_points_nb, self._spec),
                self.stack.order.levels())
