"""Tables and work space of the polyphase bank that `Channelizer` and `Spectrometer` share."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np

from ._bank_loops import (
    ADD_LEAVES,
    COLUMNS,
    FILTER,
    FIR,
    GATHER,
    INNER,
    PUT_LEAVES,
    RADICES,
    filter_narrow_nb,
    filter_wide_nb,
    fir_nb,
    inner_nb,
    integrate_nb,
    spectra_nb,
)
from ._bank_setup import call_with, frame_rows, frame_turns
from ._detect import (
    ADD_OWN,
    ADD_PAIR,
    FACTORS,
    LEAF,
    LEAF_FRAMES,
    add_leaves_nb,
    add_own_nb,
    add_pair_nb,
    leaf_groups,
    leaf_pairs,
    n_side,
    n_sum,
    put_leaves_nb,
)
from ._linking import Linked
from ._order import (
    PAD,
    STREAMED_BYTES,
    address,
    inner_levels,
    leaf_numbers,
    leaf_offsets,
    leaf_twiddles,
    pass_twiddles,
    roots,
    shape,
)
from ._pages import aligned
from ._passes import columns_nb, gather_nb, leaf_nb, mirrored_leaf_nb
from ._simd import Spec, host_lanes
from .energy import is_whole
from .layout import Layout

#: Number of float32 values in a frame's row of factors.
N_FACTOR = 16

# At this length and above, the rows that are folded into a frame lie so far apart that they
# map to the same set of a second-level cache.
_LONG_ROWS = 2**15

# Largest size, in bytes, of the frames in progress that leaves room for the taps in that cache.
_WORK_IN_CACHE = 2**19

# A table of taps of this size or more is compressed, which is faster than reading it in full.
_TAPS_IN_CACHE = 2**20

_FEW = 256  # frames whose factors are kept for calls without losses

#: Longest and shortest transform, in complex points.
LONGEST, SHORTEST = 2**21, 2**4


def serves(n_fft: int, unit: int, layout: Layout) -> bool:
    """Whether the vector code supports this bank.

    It supports lengths that are powers of two, frames that are rotated by multiples of `unit`
    samples if these are whole vectors, and rows that begin at a whole byte.
    """
    points = n_fft if layout.is_complex else n_fft // 2
    if points & (points - 1) or n_fft % 2 or not SHORTEST <= points <= LONGEST:
        return False
    lanes = shape(points, host_lanes()).lanes
    if layout.interleaved and 2 * layout.sample_bits > 64:
        return False
    whole = unit % (lanes if layout.is_complex else 2 * lanes) == 0
    return whole and (unit or n_fft) * layout.sample_bits % 8 == 0


class Bank:
    """Immutable tables of a bank of a power-of-two length for one layout of samples."""

    def __init__(self, taps: np.ndarray, layout: Layout, *, hop: int, lower_sideband: bool,
                 n_pol: int = 1) -> None:
        n_tap, n_fft = taps.shape
        self.n_tap, self.n_fft, self.hop, self.layout = n_tap, n_fft, hop, layout
        self.n_pol = n_pol
        self.step = step = 2 if layout.interleaved else 1
        self.real = not layout.is_complex
        self.lower_sideband = lower_sideband
        n_point = n_fft // 2 if self.real else n_fft
        self.shape = shape(n_point, host_lanes())
        lanes = self.shape.lanes
        self.spec = Spec(lanes=lanes)
        radix = self.shape.n_part
        self.taps, self.smooth = _taps_in_order(taps, lanes, radix, self.real)
        self.taps_bytes = 4 * 2 * n_tap * (2 if self.smooth else lanes)
        self.inner, self._tables = inner_levels(self.shape)
        self.leaf_twiddles = leaf_twiddles(lanes)
        self.first_twiddles = (pass_twiddles(n_point, radix, lanes) if radix > 1
                               else self.leaf_twiddles)
        numbers, offsets = leaf_numbers(self.shape), leaf_offsets(self.shape)
        pairs = leaf_pairs(numbers, offsets, self.real)
        self.groups = np.array([[0, 0, 0, len(pairs)]], np.int64)
        if len(self.inner):
            pairs, self.groups = leaf_groups(pairs, radix, self.real)
        self.leaves = np.ascontiguousarray(pairs[:, :3])
        self._numbers = pairs[:, 3:]
        self.real_twiddles = (_real_twiddles(self.shape, pairs[:, 3]) if self.real
                              else self.leaf_twiddles)
        number_bits = 2 * lanes * layout.bits * step
        self.levels = np.zeros(16, np.float32)
        if layout.levels is not None:
            self.levels[: len(layout.levels)] = layout.levels
        #: Polarisations that are filtered together, since their samples are loaded together.
        self.n_joint = n_pol if layout.interleaved else 1
        self.source = np.array([number_bits // 8, address(self.levels), self.n_joint], np.int64)
        self.wide = self._columns_at_once(n_point, radix)
        # Each sample is converted once for all frames that are filtered together, and taps are
        # fetched once. 8 frames are 5 % faster where they stay in the second-level cache.
        short = 8 * n_pol * self.z_frame <= _WORK_IN_CACHE
        self.frames = 8 if short else 4
        self.numbers = np.array([n_point, radix, self.wide, n_tap, self.frames], np.int64)
        #: Addresses of the tables: taps, twiddles of the first pass, of leaves, of real input.
        self.at = tuple(map(address, (self.taps, self.first_twiddles, self.leaf_twiddles,
                                      self.real_twiddles)))

    def _columns_at_once(self, n_point: int, radix: int) -> int:
        """Number of columns that are collected before they are filtered; 1 if none are."""
        if n_point < _LONG_ROWS or self.hop != self.n_fft:
            return 1
        return 16 if self.layout.bits * self.step == 1 else 8

    @property
    def local_bytes(self) -> int:
        """Size of the collected numbers, in bytes."""
        return (self.frames + self.n_tap) * self.wide * int(self.source[0])

    @property
    def memory_bytes(self) -> int:
        """Size of the tables, in bytes."""
        tables = (*self._tables, self.taps, self.first_twiddles, self.real_twiddles, self.leaves)
        return sum(table.nbytes for table in tables)

    @property
    def z_frame(self) -> int:
        """Size of one frame in progress, in bytes."""
        return self.shape.work_bytes + 2 * PAD

    def table(self, leaves: int, gather: int, pair: int = 0, own: int = 0) -> np.ndarray:
        """Return the addresses of a loop's parts: those given, and those of the bank."""
        layout, spec = self.layout, self.spec
        items = {"lanes": self.shape.lanes, "n_tap": self.n_tap, "smooth": self.smooth,
                 "n_pol": self.n_joint, "kind": layout.kind, "bits": layout.bits,
                 "pair": layout.pair, "step": self.step, "msb_first": layout.order == "msb"}
        # The filter is compiled for several frames and for one.
        firs = (FIR.address(fir_nb, Spec(frames=n, **items)) for n in (self.frames, 1))
        function = filter_wide_nb if self.wide > 1 else filter_narrow_nb
        # What this length does not need is not compiled.
        columns = (self._columns(radix) if radix in self.shape.radices else 0 for radix in RADICES)
        large = self.n_pol * self.frames * self.z_frame >= STREAMED_BYTES
        first = self._columns(self.shape.n_part, large) if self.shape.radices else 0
        return np.array([
            LEAF.address(leaf_nb, spec), LEAF.address(mirrored_leaf_nb, spec) if self.real else 0,
            pair, own, FILTER.address(function, spec),
            INNER.address(inner_nb, spec) if len(self.inner) else 0, leaves, gather, *firs,
            first, *columns])

    def _columns(self, radix: int, past_cache: bool = False) -> int:
        """Return the address of a pass."""
        return COLUMNS.address(columns_nb, Spec(lanes=self.shape.lanes, radix=radix,
                                                past_cache=past_cache))

    def sum_order(self, n_slot: int, vectors: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the offsets (k3, kb) and flips (kb) of sums, in the order they are computed.

        `n_slot` vectors are contiguous for each vector of a leaf; `vectors` is 1, or 2 where
        the second belongs to the partner leaf.
        """
        lanes, n_leaf = self.shape.lanes, self.shape.n_leaf
        offsets, flips = np.empty((lanes, n_leaf), np.int64), np.zeros(n_leaf, np.int64)
        k3 = np.arange(lanes)
        for i, (number, partner) in enumerate(self._numbers.tolist()):
            offsets[:, number] = (i * lanes + k3) * n_slot * 4 * lanes
            if partner != number:
                mirrored = (i * lanes + lanes - 1 - k3) * n_slot * 4 * lanes
                offsets[:, partner] = mirrored + 4 * lanes
                flips[partner] = 1
        return offsets, flips

    def turns(self, first_frame: int, n_frame: int) -> np.ndarray:
        """Return the rotation of each folded frame, in blocks: m hop modulo n_fft."""
        if self.hop == self.n_fft:
            return np.zeros(1, np.int64)
        samples = frame_turns(self.n_fft, self.hop, first_frame, n_frame)
        return samples // (self.shape.lanes * (2 if self.real else 1))


def _taps_in_order(taps: np.ndarray, lanes: int, radix: int, real: bool
                   ) -> tuple[np.ndarray, bool]:
    """Return the taps in the order in which the filter uses them, and whether they are smooth.

    The table is aligned float32, (column, row, half, tap, lane) or, if smooth, (column, row,
    half, tap, 2). The prototype of a long bank is so close to a straight line over the samples of
    one vector that its middle and slope are sufficient, with an eighth of the memory.
    """
    pair = 1 if real else 2
    n_column = taps.shape[1] * pair // (2 * lanes * radix)
    lines = _lines(taps, lanes // pair) if taps.nbytes * pair > _TAPS_IN_CACHE else None
    width = lanes if lines is None else 2
    out = aligned(4 * n_column * radix * 2 * len(taps) * width).view(np.float32)
    table = out.reshape(n_column, radix, 2, len(taps), width)
    scale = np.float32(0.5 if real else 1)
    for t, row in enumerate(taps):
        numbers = np.repeat(row, pair).reshape(-1, lanes) if lines is None else lines[t]
        numbers = numbers.reshape(radix, n_column, 2, width)
        table[:, :, :, t] = scale * numbers.transpose(1, 0, 2, 3)
    return out, lines is not None


def _lines(taps: np.ndarray, n: int) -> np.ndarray | None:
    """Return the middle and slope of each `n` neighbouring coefficients.

    Returns None if any coefficient lies off its line by more than the rounding of both.
    """
    steps = np.arange(n) - (n - 1) / 2
    bound = 2.0**-22 * np.abs(taps).max()
    out = np.empty((*taps.shape[:-1], taps.shape[-1] // n, 2), np.float32)
    for row, line in zip(taps, out, strict=True):
        values = row.astype(np.float64).reshape(-1, n)
        line[:, 0], line[:, 1] = values.mean(axis=1), values @ steps / (steps @ steps)
        fit = line[:, :1] + line[:, 1:].astype(np.float64) * steps
        if np.abs(fit - values).max() > bound:
            return None
    return out


def _real_twiddles(shape: Any, numbers: np.ndarray) -> np.ndarray:
    """Return ``-i exp(-pi i k / N)`` for the points of the leaves `numbers`, as split blocks."""
    lanes, n_leaf = shape.lanes, shape.n_leaf
    k3, k2 = np.arange(lanes)[:, np.newaxis], np.arange(lanes)
    out = aligned(8 * len(numbers) * lanes**2).view(np.float32)
    blocks = out.reshape(len(numbers), lanes, 2, lanes)
    for i, number in enumerate(numbers):
        values = -1j * roots(2 * shape.n_point, number + n_leaf * (k2 + lanes * k3))
        blocks[i, :, 0], blocks[i, :, 1] = values.real, values.imag
    return out


class Work:
    """Work space of one worker: frames in progress, a tile, leaves, and the sums so far."""

    def __init__(self, bank: Bank, n_pol: int, n_slot: int, places: int, n_stream: int = 1
                 ) -> None:
        lanes, n_part = bank.shape.lanes, bank.shape.n_part
        frames = bank.frames
        self.z = aligned(n_pol * frames * bank.z_frame)
        self.tile = aligned(8 * bank.n_joint * frames * n_part * lanes * bank.wide)
        self.local = aligned(bank.local_bytes)
        row = bank.wide * int(bank.source[0])
        self.table = address(self.local) + row * np.arange(frames + bank.n_tap)
        self.buffer = aligned(n_pol * LEAF_FRAMES * 16 * lanes**2)
        self.sums_bytes = len(bank.leaves) * lanes * n_slot * 4 * lanes + PAD
        self.sums = aligned(n_stream * places * self.sums_bytes)
        self.places = places
        self.state = np.empty((n_stream, 2), np.int64)
        self.runs = np.empty((frames, 4), np.int64)
        #: Addresses of the memory, in the order of the loops' arguments.
        self.at = tuple(map(address, (self.z, self.tile, self.local, self.table, self.buffer,
                                      self.sums)))
        self.reset()

    def reset(self) -> None:
        """Discard the sums of all streams."""
        self.state[:] = 0, 1

    @property
    def memory_bytes(self) -> int:
        """Total size of the work space, in bytes."""
        return sum(a.nbytes for a in (self.z, self.tile, self.local, self.buffer, self.sums))


class _Order:
    """Order of finished sums: all channels, or the `parts` of the band, one part per lane."""

    def __init__(self, bank: Bank, n_slot: int, sides: int, pairs: bool,
                 parts: tuple[int, int] | None = None) -> None:
        lanes, n_leaf = bank.shape.lanes, bank.shape.n_leaf
        group = min(lanes, n_leaf)
        self.offsets, self.flips = bank.sum_order(n_slot, sides)
        first, stop = (0, lanes) if parts is None else parts
        if bank.lower_sideband:
            first, stop = lanes - stop, lanes - first
        # Zero frequency is in the middle of complex input's band.
        self.wanted = (np.arange(first, stop) + (0 if bank.real else lanes // 2)) % lanes
        self.spec = Spec(
            lanes=lanes, mirrored=bank.real, pairs=pairs, part_step=4 * lanes * sides, group=group,
            descending=bank.lower_sideband, conjugated=pairs and bank.lower_sideband,
        )
        self._bank = bank
        self.numbers = (n_leaf, 4 * lanes * sides, address(self.offsets), address(self.flips),
                        self.wanted)

    @property
    def index(self) -> np.ndarray:
        """Position of each channel's first sum, counted in float32 numbers."""
        lanes = self._bank.shape.lanes
        lane = np.arange(lanes)[:, np.newaxis]
        lane = np.where(self.flips == 1, lanes - 1 - lane, lane)
        # (k3, k2, kb) is the order of k.
        index = (self.offsets[:, np.newaxis] // 4 + lane).reshape(-1)
        if not self._bank.real:
            index = np.roll(index, len(index) // 2)
        return index[::-1] if self._bank.lower_sideband else index


class Integrator(Linked):
    """A bank that detects and integrates channels `band`, in whole parts (one part per lane)."""

    #: Whether `run` can write sums that bypass the cache.
    streams = True

    def __init__(self, bank: Bank, n_pol: int, products: tuple[str, ...], kurtosis: bool,
                 band: tuple[int, int]) -> None:
        self.bank, self.n_pol = bank, n_pol
        items = {"lanes": bank.shape.lanes, "n_pol": n_pol, "products": products,
                 "kurtosis": kurtosis, "real": bank.real}
        self.n_out = n_sum(items)
        self._n_slot = n_sum(items) * n_side(items)
        self._spec = Spec(**items)
        part = bank.shape.n_point // bank.shape.lanes
        parts = band[0] // part, -(-band[1] // part)
        self.first, self.width = parts[0] * part, (parts[1] - parts[0]) * part
        self._order = _Order(bank, self._n_slot, n_side(items), False, parts)
        wanted = self._order.wanted
        # With real input, a vector is detected together with its mirror image in the partner.
        images = bank.shape.lanes - 1 - wanted if bank.real else wanted
        self._vectors = np.union1d(wanted, images)

    @property
    def memory_bytes(self) -> int:
        """Size of the tables, in bytes."""
        return self.bank.memory_bytes

    def work(self, least: int = 1, n_stream: int = 1) -> Work:
        """Return the work space of one worker, for sums of `least` frames or more."""
        frames = self.bank.frames
        places = -(-frames // least) + 1
        return Work(self.bank, self.n_pol, self._n_slot, places, n_stream)

    def call(self, x: np.ndarray, start: int, first_frame: int, ends: np.ndarray,
             energy: np.ndarray, signs: tuple[int, int], divisors: np.ndarray, work: Work,
             out: np.ndarray, *, streamed: bool = False) -> Callable[[], object]:
        """Return a call that integrates ``len(ends)`` frames of `x` from sample `start` on.

        `x` is (stream, pol, time). The call is compiled code alone: threads that make several
        calls at the same time do not wait for each other.

        A sum ends where `ends` is 1. Sums are divided by `divisors` (sum, product), float32, and
        written to `out` (sum, stream, product, chan), float32, contiguous, with `width` channels
        starting at `first`; if `streamed`, they bypass the cache if their alignment allows it.
        Energies are as for `detect`, and `signs` are those of Q and V. In any ``bank.frames``
        neighbouring frames, fewer sums may end than the work space has places.
        """
        bank = self.bank
        lanes = bank.shape.lanes
        bases, offsets, row_step, samples = frame_rows(bank, x, self.n_pol, start, len(ends))
        turns = bank.turns(first_frame, len(ends))
        factors = frame_factors(energy, *signs, -1 if bank.lower_sideband else 1)
        taps, first_twiddles, leaf_twiddles, real_twiddles = bank.at
        z, *memory, sums = work.at
        rows = np.empty((self.n_pol, len(offsets)), np.int64)
        return partial(call_with, samples, integrate_nb, (
            self.parts(), bases, offsets, rows, row_step, turns, len(ends), ends, factors,
            bank.source, taps, bank.taps_bytes, bank.numbers, bank.inner, first_twiddles,
            bank.leaves, bank.groups, leaf_twiddles, real_twiddles, z, bank.z_frame, *memory,
            work.runs, sums, work.sums_bytes, work.places,
            self._n_slot * 4 * lanes, work.state, self._vectors, self._order.numbers,
            address(out), 4 * out.shape[1] * out.shape[2] * self.width, 4 * self.width, divisors,
            int(streamed and address(out) % (4 * lanes) == 0),
        ))

    def _link(self) -> np.ndarray:
        # Only real input has leaves that are their own partners.
        own = ADD_OWN.address(add_own_nb, self._spec) if self.bank.real else 0
        return self.bank.table(
            ADD_LEAVES.address(add_leaves_nb, self.bank.spec),
            GATHER.address(gather_nb, self._order.spec),
            ADD_PAIR.address(add_pair_nb, self._spec), own)

    def unfinished(self, work: Work) -> np.ndarray:
        """Return the sums so far, (stream, product, chan), float32."""
        place, fresh = work.state[0].tolist()  # those of all streams
        if fresh:
            return np.zeros((len(work.state), self.n_out, self.width), np.float32)
        index = self._order.index[self.first : self.first + self.width]
        sums = work.sums.view(np.float32).reshape(len(work.state), work.places, -1)[:, place]
        return np.stack([sums[:, index + p * self._order.numbers[1] // 4]
                         for p in range(self.n_out)], axis=1)


class Transformer(Linked):
    """A bank that returns complex spectra."""

    def __init__(self, bank: Bank) -> None:
        self.bank = bank
        items = {"lanes": bank.shape.lanes, "real": bank.real}
        self._sides = n_side(items)
        self._spec = Spec(**items)
        self._order = _Order(bank, 2 * self._sides, self._sides, True)

    @property
    def memory_bytes(self) -> int:
        """Size of the tables, in bytes."""
        return self.bank.memory_bytes

    def work(self) -> Work:
        """Return the work space of one worker."""
        return Work(self.bank, 1, 2 * self._sides, 1)

    def run(self, x: np.ndarray, start: int, first_frame: int, work: Work, out: np.ndarray
            ) -> None:
        """Write the spectra of the frames of `x` (1, 1, time) from sample `start` on to `out`.

        Rows of `out` (frame, chan), complex64, are contiguous.
        """
        bank = self.bank
        lanes = bank.shape.lanes
        bases, offsets, row_step, samples = frame_rows(bank, x, 1, start, len(out))
        turns = bank.turns(first_frame, len(out))
        taps, first_twiddles, leaf_twiddles, real_twiddles = bank.at
        z, *memory = work.at
        spectra_nb(
            self.parts(), bases[0, 0] + offsets, row_step, turns, len(out), bank.source,
            taps, bank.taps_bytes, bank.numbers, bank.inner, first_twiddles, bank.leaves,
            leaf_twiddles, real_twiddles, z, bank.z_frame, *memory,
            8 * lanes * self._sides,
            self._order.numbers, address(out), out.strides[0],
        )
        del samples  # the rows lie in their memory

    def _link(self) -> np.ndarray:
        return self.bank.table(PUT_LEAVES.address(put_leaves_nb, self._spec),
                               GATHER.address(gather_nb, self._order.spec))


def frame_factors(energy: np.ndarray, sign_q: int, sign_v: int, sign: int = 1) -> np.ndarray:
    """Return the factors of each frame's powers, from energies (n, 1) or (n, 3) as for `detect`.

    `sign` is -1 for a lower sideband, where spectra are conjugated.

    Returns
    -------
    ndarray, shape (n, 16), float32, dimensionless
        Factors in the order of `_detect.FACTORS`; 0 excludes a frame from a product.
    """
    if is_whole(energy):
        n, width = energy.shape
        few = _whole_factors(width, sign_q, sign_v, sign)
        return few[:n] if n <= _FEW else np.repeat(few[:1], n, axis=0)
    return _factors(energy, sign_q, sign_v, sign)


@lru_cache(maxsize=16)
def _whole_factors(width: int, sign_q: int, sign_v: int, sign: int) -> np.ndarray:
    """Return the factors of some frames without losses, which nothing may change."""
    return np.repeat(_factors(np.ones((1, width)), sign_q, sign_v, sign), _FEW, axis=0)


def _factors(energy: np.ndarray, sign_q: int, sign_v: int, sign: int) -> np.ndarray:
    out = np.zeros((len(energy), N_FACTOR), np.float32)
    place = {name: i for i, name in enumerate(FACTORS)}
    e_a, e_b, e_ab = energy[:, 0], energy[:, energy.shape[1] // 2], energy[:, -1]
    both = (e_a > 0) & (e_b > 0) & (e_ab > 0)
    safe_a, safe_b = np.where(e_a > 0, e_a, 1), np.where(e_b > 0, e_b, 1)
    out[:, place["AA"]], out[:, place["BB"]] = e_a > 0, e_b > 0
    out[:, place["CR"]], out[:, place["CI"]] = both, sign * both
    out[:, place["IA"]] = np.where(both, e_ab / safe_a, 0)
    out[:, place["IB"]] = np.where(both, e_ab / safe_b, 0)
    out[:, place["QA"]] = sign_q * out[:, place["IA"]]
    out[:, place["QB"]] = -sign_q * out[:, place["IB"]]
    out[:, place["U"]], out[:, place["V"]] = 2 * both, 2 * sign * sign_v * both
    out[:, place["SA"]] = np.where(e_a > 0, 1 / safe_a, 0)
    out[:, place["SB"]] = np.where(e_b > 0, 1 / safe_b, 0)
    return out
