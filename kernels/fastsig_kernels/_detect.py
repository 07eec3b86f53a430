"""Detection and integration of leaves while they are in the cache.

Real input is processed as complex input of half the length: even samples are the real parts,
odd samples the imaginary parts. If Z is its transform, the spectrum of the real signal is

    X[k]       =  S + w D,    S = (Z[k] + Z*[N-k]) / 2,
    X[N-k]     = (S - w D)*,  D = (Z[k] - Z*[N-k]) / 2,    w = -i exp(-pi i k / N)

(the factors 1/2 are included in the taps). Points k and N - k lie in two leaves, at mirrored
positions. The second leaf is computed with its lanes reversed, so that vectors pair up. There are
these kinds of leaves: a *pair* of two, a leaf that is its *own* partner (mirrored within itself),
and the *first* leaf, with k = 0, where the partner is offset by one point. With complex input,
each leaf stands alone.

Each sum consists of a multiplication, an addition and another addition, which are not fused.
`detect` does the same, so results are bit-identical whether or not spectra are stored in between.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.extending import intrinsic

from ._codelets import Complex
from ._jit import jit_strict_inner
from ._linking import INTEGER, ROW, TABLE, Part
from ._passes import _block, block_lanes
from ._simd import Emitter, Vector, VectorType

PAIR, OWN, FIRST, ALONE = 0, 1, 2, 3

#: Order of a frame's factors, float32, which multiply its powers. A factor of 0 excludes the frame.
FACTORS = ("AA", "BB", "CR", "CI", "IA", "IB", "QA", "QB", "U", "V", "SA", "SB")
FACTOR_BYTES = 64

#: Index of the factor, one per polarisation, that is 0 where the frame is left out.
LEFT_OUT = (FACTORS.index("SA"), FACTORS.index("SB"))

#: Number of frames with leaves in the first-level cache at the same time.
LEAF_FRAMES = 4

#: `_passes.leaf_nb` and `mirrored_leaf_nb`: a spec of the transform.
LEAF = Part(1, *[INTEGER] * 3)
#: `add_pair_nb`: a spec of the products.
ADD_PAIR = Part(1, *[INTEGER] * 7, TABLE, *[INTEGER] * 3, ROW)
#: `add_own_nb`: a spec of the products.
ADD_OWN = Part(1, *[INTEGER] * 8, TABLE, *[INTEGER] * 3, ROW)

_leaf, _add_pair, _add_own = LEAF.call, ADD_PAIR.call, ADD_OWN.call

#: Places of addresses in the table of a loop's parts, before those of `_bank_loops`.
LEAF_AT, MIRRORED_AT, PAIR_AT, OWN_AT = range(4)

_i = types.int64


def n_sum(items: dict[str, Any]) -> int:
    """Return the number of sums: the products of a spec, and S1 and S2 for each polarisation."""
    return len(items["products"]) + (2 * items["n_pol"] if items["kurtosis"] else 0)


def n_side(items: dict[str, Any]) -> int:
    """Return the number of vectors of a sum that one step computes: from two leaves, or one."""
    return 2 if items["real"] else 1


def _tuple(spec: Any) -> Any:
    count = n_sum(spec.items) * n_side(spec.items)
    return types.UniTuple(VectorType(spec.items["lanes"]), count)


def _pack(builder: Any, context: Any, kind: Any, values: list[Any]) -> Any:
    return context.make_tuple(builder, kind, values)


@intrinsic
def sums_from(typingctx, spec, address, fresh):
    """Load the sums so far from memory, or return zeros if `fresh` is not 0."""
    kind = _tuple(spec)

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, spec.items["lanes"])
        is_fresh = builder.icmp_signed("!=", args[2], ir.Constant(args[2].type, 0))
        zero = emit.splat(0.0)
        values = [
            emit.select(is_fresh, zero, emit.load(args[1], 4 * emit.lanes * i)).value
            for i in range(kind.count)
        ]
        return _pack(builder, context, kind, values)

    return kind(spec, _i, _i), codegen


@intrinsic
def sums_to(typingctx, sums, address):
    """Write sums to memory."""

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, sums.dtype.lanes)
        for i, value in enumerate(cgutils.unpack_tuple(builder, args[0], sums.count)):
            emit.store(Vector(emit, value), args[1], 4 * emit.lanes * i)
        return context.get_dummy_value()

    return types.void(sums, _i), codegen


def _spectra(emit: Emitter, kind: int, p: Any, q: Any, q_first: Any, twiddle: Any) -> list[Complex]:
    """Return X[k] of one polarisation and, for a pair, the conjugate of X[N-k]."""
    z = _block(emit, p)
    if kind == ALONE:
        return [z]
    partner = _block(emit, q)
    if kind == FIRST:
        first = _block(emit, q_first)
        mask = [emit.lanes, *range(emit.lanes - 1, 0, -1)]
        partner = Complex(emit.shuffle(partner.re, first.re, mask),
                          emit.shuffle(partner.im, first.im, mask))
    both = spectra_of_pair(z, partner, _block(emit, twiddle))
    return both if kind == PAIR else both[:1]


def spectra_of_pair(z: Complex, partner: Complex, w: Complex) -> list[Complex]:
    """Return X[k] and the conjugate of X[N-k] from Z[k] and Z[N-k]."""
    s = Complex(z.re + partner.re, z.im - partner.im)
    d = Complex(z.re - partner.re, z.im + partner.im)
    plus = Complex((-d.im).fma(w.im, d.re.fma(w.re, s.re)),
                   d.re.fma(w.im, d.im.fma(w.re, s.im)))
    minus = Complex(d.im.fma(w.im, (-d.re).fma(w.re, s.re)),
                    (-d.re).fma(w.im, (-d.im).fma(w.re, s.im)))
    return [plus, minus]


def _power(x: Complex) -> Any:
    return x.re * x.re + x.im * x.im


class Terms:
    """The terms that one frame adds to the sums of one side."""

    def __init__(self, emit: Emitter, factors: Any, voltages: list[Complex],
                 conjugated: bool) -> None:
        self.emit, self.factors = emit, factors
        self._x, self._conjugated = voltages, conjugated
        self.powers = [_power(x) for x in voltages]

    def factor(self, name: str) -> Any:
        """Return the factor of the frame, in every lane."""
        return self.emit.load_scalar(self.factors, 4 * FACTORS.index(name))

    def product(self, name: str) -> Any:
        """Return the numerator of a product."""
        if name in ("AA", "BB"):
            return self.factor(name) * self.powers["AB".index(name[0])]
        if name in ("I", "Q"):
            return (self.factor(name + "A") * self.powers[0]
                    + self.factor(name + "B") * self.powers[1])
        a, b = self._x
        if name in ("CR", "U"):
            return self.factor(name) * (a.re * b.re + a.im * b.im)
        if self._conjugated:
            return self.factor(name) * (a.im * b.re - a.re * b.im)
        return self.factor(name) * (a.re * b.im - a.im * b.re)

    def moments(self) -> list[Any]:
        """Return the power and its square for each polarisation."""
        out = []
        for name, power in zip(("SA", "SB"), self.powers, strict=False):
            scaled = self.factor(name) * power
            out += [scaled, scaled * scaled]
        return out

    def all_of(self, items: dict[str, Any]) -> list[Any]:
        """Return the terms of a spec's products and, for kurtosis, the moments."""
        terms = [self.product(name) for name in items["products"]]
        return terms + self.moments() if items["kurtosis"] else terms


@intrinsic(prefer_literal=True)
def add_frames(typingctx, spec, kind, count, sums, p, q, q_first, step, pol_step, twiddle,
               factors):
    """Add `count` frames in order to the sums of one vector of a leaf and of its partner.

    `kind` is PAIR also for leaves that stand alone, since `spec` specifies whether they do.
    `p`, `q`, `q_first` are the addresses of the first frame's blocks of polarisation A. Blocks of
    the next frame are `step` bytes further on, those of polarisation B `pol_step` bytes.
    """
    if not isinstance(kind, types.IntegerLiteral) or not isinstance(count, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        items, which = spec.items, kind.literal_value
        if not items["real"]:
            if which != PAIR:
                return args[3]  # never runs: this input has no such leaves
            which = ALONE
        emit = Emitter(builder, items["lanes"])
        emit.align_stack()
        old, p, q, q_first, step, pol_step, twiddle, factors = args[3:]
        values = [Vector(emit, v) for v in cgutils.unpack_tuple(builder, old, sums.count)]
        for frame in range(count.literal_value):
            if frame:
                p, q, q_first = (builder.add(at, step) for at in (p, q, q_first))
            here = p, q, q_first
            sides: list[list[Complex]] = []
            for pol in range(items["n_pol"]):
                if pol:
                    here = tuple(builder.add(at, pol_step) for at in here)
                sides.append(_spectra(emit, which, *here, twiddle))
            row = emit.at(factors, frame * FACTOR_BYTES)
            _add_terms(emit, items, values, sides, row)
        return _pack(builder, context, sums, [value.value for value in values])

    return sums(spec, kind, count, sums, _i, _i, _i, _i, _i, _i, _i), codegen


def _add_terms(emit: Emitter, items: dict[str, Any], values: list[Any],
               sides: list[list[Complex]], factors: Any) -> None:
    """Add one frame's products (and moments) to each side's sums."""
    for side, voltages in enumerate(zip(*sides, strict=True)):
        terms = Terms(emit, factors, list(voltages), side == 1)
        for i, term in enumerate(terms.all_of(items)):
            place = i * n_side(items) + side
            values[place] = values[place] + term


@intrinsic(prefer_literal=True)
def put_spectra(typingctx, spec, kind, p, q, q_first, twiddle, target):
    """Store X[k] (and X[N-k]) of one polarisation: the sides of re, then those of im.

    `kind` is the same as for `add_frames`.
    """
    if not isinstance(kind, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        which = kind.literal_value
        if not spec.items["real"]:
            if which != PAIR:
                return context.get_dummy_value()  # never runs: this input has no such leaves
            which = ALONE
        emit = Emitter(builder, spec.items["lanes"])
        emit.align_stack()
        p, q, q_first, twiddle, target = args[2:]
        n, sides = 4 * emit.lanes, n_side(spec.items)
        for side, x in enumerate(_spectra(emit, which, p, q, q_first, twiddle)):
            emit.store(x.re, target, side * n)
            emit.store(-x.im if side else x.im, target, (sides + side) * n)
        return context.get_dummy_value()

    return types.void(spec, kind, _i, _i, _i, _i, _i), codegen


@jit_strict_inner
def add_pair_nb(spec, buffer, step, pol_step, begin, n, twiddles, factors, runs, n_run, place,
                sum_bytes, vectors):
    """Add the wanted vectors of a pair of leaves, or of a leaf that stands alone, of `n` frames.

    The first of them is frame `begin`, as counted in `runs` and `factors`.
    """
    lanes = block_lanes(spec)
    block = 8 * lanes
    for v in range(vectors.size):
        k3 = vectors[v]
        p = buffer + k3 * block
        q = buffer + (2 * lanes - 1 - k3) * block
        twiddle = twiddles + k3 * block
        for r in range(n_run):
            first, stop, base, fresh = runs[r]
            f = first - begin if first > begin else 0
            stop = stop - begin if stop - begin < n else n
            if f >= stop:
                continue
            address = base + place + k3 * sum_bytes
            sums = sums_from(spec, address, fresh if first >= begin else 0)
            # Four frames at a time where possible, to avoid jumps.
            while stop - f >= 4:
                sums = add_frames(spec, 0, 4, sums, p + f * step, q + f * step, q, step, pol_step,
                                  twiddle, factors + f * FACTOR_BYTES)
                f += 4
            if stop - f >= 2:
                sums = add_frames(spec, 0, 2, sums, p + f * step, q + f * step, q, step, pol_step,
                                  twiddle, factors + f * FACTOR_BYTES)
                f += 2
            if stop > f:
                sums = add_frames(spec, 0, 1, sums, p + f * step, q + f * step, q, step, pol_step,
                                  twiddle, factors + f * FACTOR_BYTES)
            sums_to(sums, address)


@jit_strict_inner
def add_own_nb(spec, is_first, buffer, step, pol_step, begin, n, twiddles, factors, runs, n_run,
               place, sum_bytes, vectors):
    """Add the wanted vectors of a leaf that is its own partner, or of the first leaf."""
    lanes = block_lanes(spec)
    block = 8 * lanes
    for v in range(vectors.size):
        k3 = vectors[v]
        p = buffer + k3 * block
        mirror = buffer + (lanes - 1 - k3) * block
        first_point = buffer + (lanes - k3) % lanes * block
        twiddle = twiddles + k3 * block
        for r in range(n_run):
            first, stop, base, fresh = runs[r]
            start = first - begin if first > begin else 0
            stop = stop - begin if stop - begin < n else n
            if start >= stop:
                continue
            address = base + place + k3 * sum_bytes
            sums = sums_from(spec, address, fresh if first >= begin else 0)
            for f in range(start, stop):
                here = factors + f * FACTOR_BYTES
                if is_first:
                    sums = add_frames(spec, 2, 1, sums, p + f * step, mirror + f * step,
                                      first_point + f * step, step, pol_step, twiddle, here)
                else:
                    q = mirror + lanes * block + f * step
                    sums = add_frames(spec, 1, 1, sums, p + f * step, q, q, step, pol_step,
                                      twiddle, here)
            sums_to(sums, address)


@jit_strict_inner
def add_leaves_nb(spec, parts, z, z_pol, z_frame, n_pol, n_frame, leaves, start, stop,
                  leaf_twiddles, real_twiddles, factors, runs, n_run, sum_bytes, vectors, buffer):
    """Transform the leaves of `n_frame` frames and add the products to the sums.

    A row of `leaves` lists the offset of a leaf, the offset of its partner, and the kind; rows
    `start` up to `stop` are used. A row of `runs` lists the first frame, stop, the address of the
    sums, and whether they begin at zero. `vectors` are the vectors of each leaf that are summed.
    """
    lanes = block_lanes(spec)
    block = 8 * lanes
    leaf_bytes = block * lanes
    step = 2 * leaf_bytes
    for i in range(start, stop):
        kind = leaves[i, 2]
        twiddles = real_twiddles + i * leaf_bytes
        place = i * lanes * sum_bytes
        # Process as many frames at a time as fit into the first-level cache.
        for begin in range(0, n_frame, LEAF_FRAMES):
            n = n_frame - begin if n_frame - begin < LEAF_FRAMES else LEAF_FRAMES
            pol_step = n * step
            weights = factors + begin * FACTOR_BYTES
            # The second leaf of a pair, or of its own partner, is mirrored.
            for side in range(2 if kind == 0 or kind == 1 else 1):
                for pol in range(n_pol):
                    here = z + begin * z_frame + leaves[i, side] + pol * z_pol
                    target = buffer + side * leaf_bytes + pol * pol_step
                    for frame in range(n):
                        _leaf(parts[MIRRORED_AT if side else LEAF_AT], here + frame * z_frame,
                              leaf_twiddles, target + frame * step)
            if kind == 0 or kind == 3:
                _add_pair(parts[PAIR_AT], buffer, step, pol_step, begin, n, twiddles, weights,
                          runs, n_run, place, sum_bytes, vectors)
            else:
                _add_own(parts[OWN_AT], kind // 2, buffer, step, pol_step, begin, n, twiddles,
                         weights, runs, n_run, place, sum_bytes, vectors)


@jit_strict_inner
def put_leaves_nb(spec, parts, z, leaves, leaf_twiddles, real_twiddles, sum_bytes, buffer, target):
    """Transform the leaves of one frame and polarisation and store its spectrum, unsorted."""
    lanes = block_lanes(spec)
    block = 8 * lanes
    leaf_bytes = block * lanes
    for i in range(leaves.shape[0]):
        kind = leaves[i, 2]
        _leaf(parts[LEAF_AT], z + leaves[i, 0], leaf_twiddles, buffer)
        if kind == 0 or kind == 1:
            _leaf(parts[MIRRORED_AT], z + leaves[i, 1], leaf_twiddles, buffer + leaf_bytes)
        for k3 in range(lanes):
            number = i * lanes + k3
            twiddle = real_twiddles + number * block
            p = buffer + k3 * block
            mirror = buffer + (lanes - 1 - k3) * block
            q = mirror + leaf_bytes
            place = target + number * sum_bytes
            if kind == 0 or kind == 3:
                put_spectra(spec, 0, p, q, q, twiddle, place)
            elif kind == 1:
                put_spectra(spec, 1, p, q, q, twiddle, place)
            else:
                put_spectra(spec, 2, p, mirror, buffer + (lanes - k3) % lanes * block, twiddle,
                            place)


def leaf_pairs(numbers: np.ndarray, offsets: np.ndarray, real: bool) -> np.ndarray:
    """Return rows (offset of a leaf, offset of its partner, kind, number, partner's number).

    `numbers` and `offsets` are indexed by place, as from `_order`.
    """
    n = len(numbers)
    by_number = np.empty(n, np.int64)
    by_number[numbers] = offsets
    if not real:
        return np.array([(o, o, ALONE, k, k) for k, o in zip(numbers, offsets, strict=True)],
                        dtype=np.int64)
    rows = []
    for k, offset in zip(numbers.tolist(), offsets.tolist(), strict=True):
        partner = -k % n
        if k == 0:
            rows.append((offset, offset, FIRST, 0, 0))
        elif partner == k:
            rows.append((offset, offset, OWN, k, k))
        # If k lies in leaf kb, N - k lies in leaf n - kb.
        elif k < partner:
            rows.append((offset, by_number[partner], PAIR, k, partner))
    return np.array(rows, dtype=np.int64)


def leaf_groups(pairs: np.ndarray, n_part: int, real: bool) -> tuple[np.ndarray, np.ndarray]:
    """Group the rows of `leaf_pairs` by the two parts that contain their leaves.

    Returns
    -------
    pairs : ndarray
        The same rows, with rows of the same two parts together.
    groups : ndarray, shape (n, 4), int64
        Part, the other part (or the same), first row, stop.
    """
    first = pairs[:, 3] % n_part  # the first pass takes the lowest digit
    other = -first % n_part if real else first
    low, high = np.minimum(first, other), np.maximum(first, other)
    order = np.argsort(low, kind="stable")
    groups = []
    for part in np.unique(low).tolist():
        place = np.flatnonzero(low[order] == part)
        groups.append((part, high[order][place[0]], place[0], place[-1] + 1))
    return pairs[order], np.array(groups, dtype=np.int64)
