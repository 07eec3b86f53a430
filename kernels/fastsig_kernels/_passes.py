"""Passes of a transform over memory: codelets as intrinsics, and the loops around them.

A transform of N complex points is stored as blocks of `lanes` points, real parts before
imaginary parts ("split blocks"). It is decimated in frequency: a pass of radix r converts N
points to r transforms of N / r points, until ``lanes``^2 points are left. This last piece,
the *leaf*, consists of two transforms of `lanes` points with a transposition between them, all
in registers. Point ``k = kb + n_leaf (k2 + lanes k3)`` ends up in leaf number `kb` (its
place is `kb` with digits reversed), vector k3, lane k2.

Memory is specified by address (int64), and nothing is checked here. ``spec`` arguments specify
the variant that is compiled. The order of all sums is explicit, so the bits of a transform
depend neither on where it starts nor on what is computed at the same time.
"""

from collections.abc import Callable, Sequence
from typing import Any, overload

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.extending import intrinsic

from ._codelets import DFT, Complex, deinterleave, in_steps, interleave, transpose
from ._jit import jit_strict_inner
from ._simd import Emitter, finish_stores
from ._sources import load_alternate, load_numbers

_I64 = ir.IntType(64)
_i = types.int64


class _Lazy(Sequence[Complex]):
    """Points that are loaded only when they are used, which keeps few registers busy."""

    def __init__(self, loads: Sequence[Callable[[], Complex]]) -> None:
        self._loads = loads

    @overload
    def __getitem__(self, index: int) -> Complex: ...
    @overload
    def __getitem__(self, index: slice) -> list[Complex]: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [load() for load in self._loads[index]]
        return self._loads[index]()

    def __len__(self) -> int:
        return len(self._loads)


def _block(emit: Emitter, address: Any, offset: int = 0) -> Complex:
    """Load a split block."""
    return Complex(emit.load(address, offset), emit.load(address, offset + 4 * emit.lanes))


def _put_block(emit: Emitter, x: Complex, address: Any, offset: int = 0) -> None:
    emit.store(x.re, address, offset)
    emit.store(x.im, address, offset + 4 * emit.lanes)


def _pairs(emit: Emitter, address: Any, offset: int = 0) -> Complex:
    """Load complex numbers that are stored as in NumPy."""
    return deinterleave(emit, *_block(emit, address, offset))


def _put_pairs(emit: Emitter, x: Complex, address: Any, offset: int = 0) -> None:
    _put_block(emit, Complex(*interleave(emit, x)), address, offset)


def _multiple(emit: Emitter, address: Any, stride: Any, n: int) -> Any:
    """Return the address of element `n`, for a stride known only when the code runs."""
    if n == 0:
        return address
    return emit.builder.add(address, emit.builder.mul(stride, ir.Constant(_I64, n)))


def _points(load: Callable[[Emitter, Any], Complex], emit: Emitter, source: Any, step: Any,
            n: int) -> _Lazy:
    """Return `n` points to be loaded, `step` bytes apart."""

    def loader(j: int) -> Callable[[], Complex]:
        return lambda: load(emit, _multiple(emit, source, step, j))

    return _Lazy([loader(j) for j in range(n)])


def _prefetch(builder: Any, address: Any, write: bool = False, *, near: bool = False) -> None:
    """Prefetch a cache line; any address is allowed.

    The line is fetched into the second-level cache or, if `near`, into the first-level cache.
    """
    pointer = builder.inttoptr(address, ir.IntType(8).as_pointer())
    i32 = ir.IntType(32)
    function = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(ir.VoidType(), [pointer.type, i32, i32, i32]),
        "llvm.prefetch.p0",
    )
    numbers = [ir.Constant(i32, n) for n in (int(write), 3 if near else 2, 1)]  # 1: data
    builder.call(function, [pointer, *numbers])


@intrinsic
def column(typingctx, spec, source, source_step, target, target_step, twiddles):
    """Transform `radix` blocks, multiply by ``radix - 1`` twiddle blocks, and store.

    Items of `spec`: lanes; radix; past_cache, whether stores bypass the cache.
    """

    def codegen(context, builder, signature, args):
        emit, radix = Emitter(builder, spec.items["lanes"]), spec.items["radix"]
        emit.align_stack()
        source, source_step, target, target_step, twiddles = args[1:]
        points = _points(_block, emit, source, source_step, radix)
        store = emit.store_past_cache if spec.items["past_cache"] else emit.store
        for k, y in in_steps(points):
            if k:
                y = y.times(_block(emit, twiddles, (k - 1) * 8 * emit.lanes))
            place = _multiple(emit, target, target_step, k)
            store(y.re, place)
            store(y.im, place, 4 * emit.lanes)
        return context.get_dummy_value()

    return types.void(spec, _i, _i, _i, _i, _i), codegen


@intrinsic(prefer_literal=True)
def leaf(typingctx, spec, mirrored, source, twiddles, target):
    """Transform ``lanes``^2 points in registers; `target` may be `source`.

    With `mirrored`, lane ``lanes - 1 - k2`` receives point k2. Items of `spec`: lanes.
    """
    if not isinstance(mirrored, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, spec.items["lanes"], balanced=True)
        emit.align_stack()
        n = emit.lanes
        block = 8 * n
        source, twiddles, target = args[2:]
        points = _points(_block, emit, source, ir.Constant(_I64, block), n)
        rows = DFT[n](points)
        for k in range(1, n):
            rows[k] = rows[k].times(_block(emit, twiddles, (k - 1) * block))
        if mirrored.literal_value:
            rows.reverse()
        re = transpose(emit, [row.re for row in rows])
        im = transpose(emit, [row.im for row in rows])
        for k, y in enumerate(DFT[n]([Complex(*pair) for pair in zip(re, im, strict=True)])):
            _put_block(emit, y, target, k * block)
        return context.get_dummy_value()

    return types.void(spec, mirrored, _i, _i, _i), codegen


def steps_from_middle(lanes: int, pair: int) -> list[float]:
    """Return the distance of each number from the middle of a vector, in samples.

    A sample has `pair` numbers.
    """
    n = lanes // pair
    return [lane // pair - (n - 1) / 2 for lane in range(lanes)]


def _tap(emit: Emitter, items: dict[str, Any], taps: Any, place: int) -> Any:
    """Return the coefficients for a vector of numbers."""
    if not items["smooth"]:
        return emit.load(taps, 4 * emit.lanes * place)
    middle, slope = emit.load_scalar(taps, 8 * place), emit.load_scalar(taps, 8 * place + 4)
    return slope.fma(emit.constant(steps_from_middle(emit.lanes, items["pair"])), middle)


def filtered(emit: Emitter, items: dict[str, Any], rows: Any, offset: Any, levels: Any,
             phase: Any, taps: Any) -> list[list[Any]]:
    """Return the two vectors of neighbouring numbers of each frame of one polarisation."""
    pointers = _row_pointers(emit, items, rows, offset)

    def load(j: int, half: int) -> list[Any]:
        return [load_numbers(emit, items, pointers[j], half, levels, phase)]

    return _filtered(emit, items, load, 1, taps)[0]


def filtered_pair(emit: Emitter, items: dict[str, Any], rows: Any, offset: Any, taps: Any
                  ) -> list[list[list[Any]]]:
    """Return for each of two polarisations that alternate what `filtered` returns for one.

    Their samples and the taps are loaded only once.
    """
    pointers = _row_pointers(emit, items, rows, offset)

    def load(j: int, half: int) -> list[Any]:
        return load_alternate(emit, items, pointers[j], half)

    return _filtered(emit, items, load, 2, taps)


def _row_pointers(emit: Emitter, items: dict[str, Any], rows: Any, offset: Any) -> list[Any]:
    """Return the addresses of the samples in all rows that the frames use."""
    n_row = items["frames"] + items["n_tap"] - 1
    loads = (emit.builder.load(emit.pointer(rows, _I64, 8 * j), align=8) for j in range(n_row))
    return [emit.builder.add(row, offset) for row in loads]


def prefetch_frames(emit: Emitter, items: dict[str, Any], ahead: Any) -> None:
    """Prefetch as many bytes of a stream as one call of the filter adds."""
    size = items["frames"] * 2 * emit.lanes * items["bits"] * items["step"] // 8
    for line in range(0, size, 64):
        _prefetch(emit.builder, emit.at(ahead, line))


def _filtered(emit: Emitter, items: dict[str, Any], load: Callable[[int, int], list[Any]],
              n_pol: int, taps: Any) -> list[list[list[Any]]]:
    """Return filtered vectors, ``[pol][half][frame]``, of rows that ``load(row, half)`` loads."""
    n_tap, frames = items["n_tap"], items["frames"]
    out: list[list[list[Any]]] = [[] for _ in range(n_pol)]
    for half in range(2):
        sums: list[list[Any]] = [[None] * frames for _ in range(n_pol)]
        h = [_tap(emit, items, taps, half * n_tap + t) for t in range(n_tap)]
        for j in range(frames + n_tap - 1):
            for x, of_pol in zip(load(j, half), sums, strict=True):
                for t in range(max(0, j - frames + 1), min(n_tap, j + 1)):
                    r = j - t
                    of_pol[r] = x * h[t] if of_pol[r] is None else x.fma(h[t], of_pol[r])
        for halves, of_pol in zip(out, sums, strict=True):
            halves.append(of_pol)
    return out


@intrinsic
def fir(typingctx, spec, rows, offset, levels, taps, target, target_step, target_pol, ahead):
    """Filter ``2 lanes`` neighbouring numbers of `frames` frames, giving one split block per frame.

    Frame r uses the numbers at `offset` bytes in rows r ... r + n_tap - 1 of the table
    of addresses `rows`; even numbers are written to the real part. Of two polarisations, which
    alternate, the second is written `target_pol` bytes further on. Taps are stored in order of use,
    ``[2][n_tap][lanes]``, or, if `smooth`, as straight lines: ``[2][n_tap][2]``, the value in the
    middle and the slope from one sample to the next. As many bytes as this call adds are prefetched
    from `ahead`.
    Items of `spec`: lanes, n_tap, frames, n_pol, smooth and `_sources.SOURCE_ITEMS`.
    """

    def codegen(context, builder, signature, args):
        items = spec.items
        emit = Emitter(builder, items["lanes"])
        emit.align_stack()
        rows, offset, levels, taps, target, target_step, target_pol, ahead = args[1:]
        prefetch_frames(emit, items, ahead)
        found = (filtered_pair(emit, items, rows, offset, taps) if items["n_pol"] == 2 else
                 [filtered(emit, items, rows, offset, levels, None, taps)])
        for pol, halves in enumerate(found):
            place = builder.add(target, target_pol) if pol else target
            for r in range(items["frames"]):
                _put_block(emit, deinterleave(emit, halves[0][r], halves[1][r]),
                           _multiple(emit, place, target_step, r))
        return context.get_dummy_value()

    return types.void(spec, _i, _i, _i, _i, _i, _i, _i, _i), codegen


@jit_strict_inner
def leaf_nb(spec, source, twiddles, target):
    """Run `leaf` in a separate function, since its code is long."""
    leaf(spec, 0, source, twiddles, target)


@jit_strict_inner
def mirrored_leaf_nb(spec, source, twiddles, target):
    """Run `leaf` with lanes reversed."""
    leaf(spec, 1, source, twiddles, target)


# Each loop around a codelet is a separate function. Next to other loops, the compiler keeps more
# values alive than there are registers, and the code takes up to twice the time.


@jit_strict_inner
def columns_nb(spec, n, source, source_step, source_next, target, target_step, target_next,
               twiddles, twiddles_next):
    """Process `n` neighbouring columns of a pass, as `column` does; steps are in bytes."""
    for c in range(n):
        column(spec, source + c * source_next, source_step, target + c * target_next, target_step,
               twiddles + c * twiddles_next)


@jit_strict_inner
def place_rows_nb(bases, offsets, rows):
    """Fill `rows` (pol, row) with the addresses of a stream's rows."""
    for pol in range(rows.shape[0]):
        for i in range(rows.shape[1]):
            rows[pol, i] = bases[pol] + offsets[i]


@jit_strict_inner
def clear_nb(address, size):
    """Set memory to 0; `size` is a multiple of 8."""
    for at in range(0, size, 8):
        store_integer(0, address + at)


@intrinsic
def store_integer(typingctx, value, address):
    """Write an int64 to an address."""

    def codegen(context, builder, signature, args):
        builder.store(args[0], builder.inttoptr(args[1], _I64.as_pointer()), align=8)
        return context.get_dummy_value()

    return types.void(_i, _i), codegen


@intrinsic
def load_address(typingctx, place):
    """Load the int64 at an address."""

    def codegen(context, builder, signature, args):
        return builder.load(builder.inttoptr(args[0], _I64.as_pointer()), align=8)

    return _i(_i), codegen


@intrinsic
def block_lanes(typingctx, spec):
    """Return the lanes of a spec, as a constant."""

    def codegen(context, builder, signature, args):
        return ir.Constant(_I64, spec.items["lanes"])

    return _i(spec), codegen


@intrinsic(prefer_literal=True)
def gather(typingctx, spec, streamed, source, offsets, flips, target, target_step, divisor):
    """Put points into natural order: one vector from each leaf of a group.

    The vector of leaf g is at ``source + offsets[g]``, with its lanes reversed if flips[g] is
    1. The same number of vectors is written to `target`, `target_step` bytes apart. Items of
    `spec`: lanes; group, the number of leaves; descending, whether vectors are written with lanes
    reversed; mirrored, whether the lanes of any source vector are reversed; pairs, whether
    points are complex (with imaginary parts `part_step` bytes further on), and in that case
    conjugated. Real points are divided by `divisor` and, if `streamed` is 1, bypass the cache on
    the way to addresses that are multiples of a vector's size.
    """
    if not isinstance(streamed, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        items = spec.items
        emit = Emitter(builder, items["lanes"])
        emit.align_stack()
        source, offsets, flips, target, target_step, divisor = args[2:]
        put = emit.store_past_cache if streamed.literal_value else emit.store
        places, turned = [], []
        for g in range(items["group"]):
            offset = builder.load(emit.pointer(offsets, _I64, 8 * g), align=8)
            flip = builder.load(emit.pointer(flips, _I64, 8 * g), align=8)
            places.append(builder.add(source, offset))
            turned.append(builder.icmp_signed("!=", flip, ir.Constant(_I64, 0)))

        def take(part: int) -> list[Any]:
            vectors = [emit.load(place, part) for place in places]
            if items["mirrored"]:
                vectors = [emit.select(turn, _reversed(emit, vector), vector)
                           for turn, vector in zip(turned, vectors, strict=True)]
            return interleave(emit, vectors)

        if items["pairs"]:
            imaginary = take(items["part_step"])
            if items["conjugated"]:
                imaginary = [-vector for vector in imaginary]
            out = list(zip(take(0), imaginary, strict=True))
        else:
            below = emit.broadcast(divisor)
            out = [(vector / below,) for vector in take(0)]
        for g, vectors in enumerate(out):
            place = _multiple(emit, target, target_step, g)
            if items["descending"]:
                vectors = [_reversed(emit, vector) for vector in vectors]
            if items["pairs"]:
                _put_pairs(emit, Complex(*vectors), place)
            else:
                put(vectors[0], place)
        return context.get_dummy_value()

    return types.void(spec, streamed, _i, _i, _i, _i, _i, types.float32), codegen


def _reversed(emit: Emitter, x: Any) -> Any:
    return emit.shuffle(x, x, range(emit.lanes - 1, -1, -1))


@intrinsic
def _order_of(typingctx, spec):
    """Return the leaves gathered at a time, bytes of a point, and whether channels descend."""
    items = spec.items
    values = items["group"], 8 if items["pairs"] else 4, int(items["descending"])
    kind = types.UniTuple(_i, 3)

    def codegen(context, builder, signature, args):
        constants = [ir.Constant(_I64, value) for value in values]
        return context.make_tuple(builder, kind, constants)

    return kind(spec), codegen


@jit_strict_inner
def gather_nb(spec, n_leaf, source, offsets, flips, target, wanted, divisor, streamed):
    """Put a transform, or a part of it, into natural order.

    `offsets` has a row of `n_leaf` entries for each k3; the points of one k3 are a run of
    ``n_leaf lanes`` neighbours. `wanted` lists the k3 to write, in this order. Real points are
    divided by `divisor`, and `streamed` is 1 if they bypass the cache.
    """
    lanes = block_lanes(spec)
    group, size, descending = _order_of(spec)
    row = n_leaf * lanes
    n_point = wanted.size * row
    step = (n_leaf if group == lanes else lanes) * size
    for first in range(0, n_leaf, group):
        for r in range(wanted.size):
            k = r * row + first
            here = offsets + (wanted[r] * n_leaf + first) * 8
            place = target + (n_point - lanes - k if descending else k) * size
            place_step = -step if descending else step
            if streamed:
                gather(spec, 1, source, here, flips + first * 8, place, place_step, divisor)
            else:
                gather(spec, 0, source, here, flips + first * 8, place, place_step, divisor)
    if streamed:
        finish_stores(spec)
