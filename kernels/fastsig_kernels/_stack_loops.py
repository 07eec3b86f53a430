"""Loops of the stacked bank: one frame in each lane of a vector, for transforms of any length.

The samples of `lanes` frames are filtered frame by frame into *rows* of float32, which are
transposed to the *stack*: point j of all frames is one split block, real parts before imaginary
parts. Lanes are then independent transforms, so that passes of any radix need no shuffles, and the
points of a transform may end up in any order. Detection reads them in natural order, `lanes`
points at a time, and transposes the products back to rows, which are added frame by frame.

Memory is specified by address (int64), as in `_passes`, and nothing is checked here.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.extending import intrinsic

from ._codelets import Complex, transpose
from ._detect import FACTORS, LEFT_OUT, Terms, spectra_of_pair
from ._jit import jit_strict, jit_strict_inner
from ._linking import INTEGER, ROW, Part
from ._passes import (
    _block,
    _put_block,
    block_lanes,
    clear_nb,
    filtered,
    load_address,
    place_rows_nb,
    prefetch_frames,
    store_integer,
)
from ._simd import Emitter, address_of, load, splat, store
from ._stack_passes import all_passes_nb, transpose_rows, transposed_nb

_I64 = ir.IntType(64)
_i = types.int64

#: `fold_nb`: specs of the filter for several frames and for one.
FOLD = Part(2, *[INTEGER] * 12)
#: `detect_points_nb`: a spec of the products.
DETECT = Part(1, INTEGER, INTEGER, ROW, ROW, *[INTEGER] * 5)
#: `put_points_nb`: a spec of the input.
PUT = Part(1, INTEGER, ROW, ROW, *[INTEGER] * 4)

_fold, _detect, _put = FOLD.call, DETECT.call, PUT.call


@intrinsic
def fir_rows(typingctx, spec, rows, offset, levels, phase, taps, target, target_step, ahead):
    """Filter ``2 lanes`` neighbouring numbers of `frames` frames, as `_passes.fir` does.

    The numbers are stored in their order, one row per frame.
    """

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, spec.items["lanes"])
        emit.align_stack()
        rows, offset, levels, phase, taps, target, target_step, ahead = args[1:]
        prefetch_frames(emit, spec.items, ahead)
        halves = filtered(emit, spec.items, rows, offset, levels, phase, taps)
        for r in range(spec.items["frames"]):
            place = builder.add(target, builder.mul(target_step, ir.Constant(_I64, r)))
            for half in range(2):
                emit.store(halves[half][r], place, 4 * emit.lanes * half)
        return context.get_dummy_value()

    return types.void(spec, _i, _i, _i, _i, _i, _i, _i, _i), codegen


class _StackTerms(Terms):
    """The products of a point of all frames; each lane has its own factors."""

    def factor(self, name: str) -> Any:
        """Return a factor of each frame."""
        return self.emit.load(self.factors, 4 * self.emit.lanes * FACTORS.index(name))


def _voltages(emit: Emitter, items: dict[str, Any], p: Any, q: Any, twiddle: Any) -> list[Complex]:
    """Return X[k] and, for real input, the conjugate of X[N-k]."""
    z = _block(emit, p)
    if not items["real"]:
        return [z]
    w = Complex(emit.load_scalar(twiddle), emit.load_scalar(twiddle, 4))
    return spectra_of_pair(z, _block(emit, q), w)


@intrinsic
def detect_point(typingctx, spec, p, q, z_pol, twiddle, factors, target, target_step):
    """Write the terms of one point (and of its mirror image) of all frames.

    The vector of term t of side s is written to ``target + (s n_term + t) target_step``.
    """

    def codegen(context, builder, signature, args):
        items = spec.items
        emit = Emitter(builder, items["lanes"])
        emit.align_stack()
        p, q, z_pol, twiddle, factors, target, target_step = args[1:]
        sides = []
        for pol in range(items["n_pol"]):
            if pol:
                p, q = (builder.add(at, z_pol) for at in (p, q))
            sides.append(_voltages(emit, items, p, q, twiddle))
        for side, voltages in enumerate(zip(*sides, strict=True)):
            terms = _StackTerms(emit, factors, list(voltages), side == 1)
            for term in terms.all_of(items):
                emit.store(term, target)
                target = builder.add(target, target_step)
        return context.get_dummy_value()

    return types.void(spec, _i, _i, _i, _i, _i, _i, _i), codegen


@intrinsic
def put_point(typingctx, spec, p, q, twiddle, target, target_step):
    """Write one point (and its mirror image) of all frames as two vectors per side."""

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, spec.items["lanes"])
        emit.align_stack()
        p, q, twiddle, target, target_step = args[1:]
        for side, x in enumerate(_voltages(emit, spec.items, p, q, twiddle)):
            _put_block(emit, Complex(x.re, -x.im if side else x.im), target)
            target = builder.add(target, target_step)
        return context.get_dummy_value()

    return types.void(spec, _i, _i, _i, _i, _i), codegen


@jit_strict_inner
def fold_nb(many, one, n_frame, n, rows, offset, offset_next, levels, phase, taps, taps_next,
            target, target_next, target_step):
    """Filter `n` groups of numbers of several frames, or of one if `n_frame` is 1."""
    ahead = load_address(rows) + offset
    # A function for the loop alone would take as long to compile as the filter: once for `many`,
    # once for `one`, for every layout of samples.
    if n_frame > 1:
        for j in range(n):
            fir_rows(many, rows, offset + j * offset_next, levels, phase, taps + j * taps_next,
                     target + j * target_next, target_step, ahead + j * offset_next)
    else:
        for j in range(n):
            fir_rows(one, rows, offset + j * offset_next, levels, phase, taps + j * taps_next,
                     target + j * target_next, target_step, ahead + j * offset_next)


@jit_strict_inner
def detect_points_nb(spec, z, z_pol, low, high, first, n, twiddles, factors, target):
    """Write the terms of `n` points from `first` on, the terms of one product together.

    `low` and `high` list the offsets of points and of their mirror images.
    """
    vector = 4 * block_lanes(spec)
    for i in range(n):
        k = first + i
        detect_point(spec, z + low[k], z + high[k], z_pol, twiddles + 8 * k, factors,
                     target + i * vector, vector * block_lanes(spec))


@jit_strict_inner
def put_points_nb(spec, z, low, high, first, n, twiddles, target):
    """Write `n` points from `first` on, those of a side together."""
    block = 8 * block_lanes(spec)
    for i in range(n):
        k = first + i
        put_point(spec, z + low[k], z + high[k], twiddles + 8 * k, target + i * block,
                  block * block_lanes(spec))


@jit_strict_inner
def fill_nb(spec, parts, rows, row_step, m, count, turns, left_out, source, taps, shape, levels, z,
            tile, table):
    """Filter `count` frames of one polarisation from frame `m` on, and transform them in `z`.

    `parts` are the addresses of the parts; the first is a `FOLD`. `rows` and `source` are the
    addresses of the table of rows, and of a row of `Stack.source`. `shape` is that of
    `stack_bank.Stack.shape`. `turns` lists the rotation of each frame in numbers; it is empty if
    there is none. Frames that `left_out` marks become 0. A row of `levels` lists the address of
    a `PASS`, the offset of its part in `z`, and its other arguments.
    """
    lanes = block_lanes(spec)
    n_number, wide, at_once, taps_bytes = shape[0], shape[1], shape[2], shape[3]
    row_bytes, part, pad = shape[5], shape[6], shape[7]
    n_group = n_number // wide
    rest = n_number % wide
    first = np.int64(0)
    while first < n_group:
        n = min(at_once, n_group - first)
        ends_here = first + n == n_group
        _fold_frames_nb(parts, rows, row_step, m, count, first, n, source,
                        taps + first * taps_bytes, shape, tile)
        if ends_here and rest:
            # The last group overlaps the one before it.
            _fold_frames_nb(parts, rows, row_step, m, count, np.int64(-1), np.int64(1), source,
                            taps + n_group * taps_bytes, shape,
                            tile + 4 * (n_number - wide - first * wide))
        for f in range(count):
            if left_out[f]:
                clear_nb(tile + f * row_bytes, 4 * n * wide + 4 * rest)
        if turns.size:
            _turned_nb(spec, count, turns, m, shape, tile, table, z)
        else:
            for f in range(lanes):
                store_integer(tile + min(f, count - 1) * row_bytes - 4 * wide * first,
                              table + 8 * f)
            stop = n_number if ends_here else (first + n) * wide
            for number in range(first * wide, stop, lanes):
                transpose_rows(spec, table, 4 * number,
                               z + 4 * lanes * number + number // part * pad)
        first += n
    all_passes_nb(z, levels)


@jit_strict_inner
def _fold_frames_nb(parts, rows, row_step, m, count, first, n, source, taps, shape, target):
    """Filter `n` groups from group `first` on, -1 for the last numbers, of `count` frames."""
    wide, taps_bytes, frames, row_bytes = shape[1], shape[3], shape[4], shape[5]
    group, levels, phase = load_address(source), load_address(source + 8), load_address(source + 16)
    offset = first * group if first >= 0 else shape[8]
    done = np.int64(0)
    while done < count:
        many = frames if row_step == 1 and count - done >= frames else np.int64(1)
        _fold(parts[0], many, n, rows + 8 * (m + done) * row_step, offset, group, levels, phase,
              taps, taps_bytes, target + done * row_bytes, 4 * wide, row_bytes)
        done += many


@jit_strict_inner
def _turned_nb(spec, count, turns, m, shape, tile, table, z):
    """Transpose whole rows, each rotated by the number of its frame."""
    lanes = block_lanes(spec)
    n_number, row_bytes, part, pad = shape[0], shape[5], shape[6], shape[7]
    for f in range(count):
        row = tile + f * row_bytes
        for at in range(0, 2 * lanes, 2):  # continue the row at its end, however short it is
            store_integer(load_address(row + 4 * at), row + 4 * (n_number + at))
    for number in range(0, n_number, lanes):
        for f in range(lanes):
            frame = min(f, count - 1)
            at = (number - turns[(m + frame) % turns.size]) % n_number
            store_integer(tile + frame * row_bytes + 4 * at, table + 8 * f)
        transpose_rows(spec, table, 0, z + 4 * lanes * number + number // part * pad)


@jit_strict_inner
def _add_runs_nb(spec, terms, n, runs, n_run, place, place_next):
    """Add rows of `n` transposed terms, frame by frame, to the sums of each run."""
    vector = 4 * block_lanes(spec)
    zero = splat(spec, np.float32(0))
    for t in range(n):
        rows = terms + t * vector * block_lanes(spec)
        for r in range(n_run):
            at = runs[r, 2] + place + t * place_next
            # A sum begins at zero, so that -0 becomes 0 as in `detect`.
            sums = zero if runs[r, 3] else load(spec, at)
            for f in range(runs[r, 0], runs[r, 1]):
                sums = sums + load(spec, rows + f * vector)
            store(sums, at)


@intrinsic
def _add_block(typingctx, spec, source, place, fresh):
    """Transpose `lanes` vectors, and add them in order to the sums at `place`.

    The sums begin at zero if `fresh` is not 0.
    """

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, spec.items["lanes"])
        emit.align_stack()
        source, place, fresh = args[1:]
        rows = transpose(emit, [emit.load(source, 4 * emit.lanes * r) for r in range(emit.lanes)])
        is_fresh = builder.icmp_signed("!=", fresh, ir.Constant(_I64, 0))
        total = emit.select(is_fresh, emit.splat(0.0), emit.load(place))
        for row in rows:
            total = total + row
        emit.store(total, place)
        return context.get_dummy_value()

    return types.void(spec, _i, _i, _i), codegen


@jit_strict_inner
def _finish_nb(sums, first, term_next, side_next, segments, divisors, out):
    """Copy finished sums to `out` (product, channel) in natural order, and divide them."""
    for p in range(out.shape[0]):
        below = divisors[p]
        for s in range(segments.shape[0]):
            place, side, start, step, n = segments[s]
            at = first + side * side_next + p * term_next + start
            # Slices and unsigned indices: indices that may be negative cost a gather per vector.
            row = out[p, place : place + n]
            if step == 1:
                values = sums[at : at + n]
                for i in range(n):
                    row[i] = values[i] / below
            else:
                values = sums[at - n + 1 : at + 1]
                for i in range(n):
                    row[i] = values[np.uint64(n - 1 - i)] / below


@jit_strict_inner
def _stack_integrate_nb(spec, parts, rows, row_step, turns, n_frame, ends, factors, source, taps,
                       shape, levels, low, high, twiddles, z, z_pol, tile, table, terms, sums,
                       sizes, state, segments, divisors, out, stream, runs, weights, left_out):
    """Filter, transform, detect and add up `n_frame` frames; return how many sums ended.

    Parameters
    ----------
    parts : tuple of int
        Addresses of a `FOLD` and a `DETECT`.
    rows, row_step, ends, factors, state, divisors
        As for `_bank_loops.integrate_nb`.
    low, high : ndarray, int64, bytes
        Offsets of the points k, and of their mirror images, in the stack.
    twiddles : int
        Address of the twiddles of real input, (k, 2) float32.
    terms : int
        Address of memory for two sets of the terms of `lanes` points.
    sums : ndarray, float32
        Sums in progress, (place, side, term, k).
    sizes : ndarray, int64
        Sides, terms, length of a row of sums, places.
    segments : ndarray, shape (n, 5), int64
        Runs of channels in `out`: first channel, side, first k, step, length.
    out : ndarray, shape (n_sum, n_stream, n_term, chan), float32
        Receives the finished sums of `stream`.
    runs, weights, left_out : ndarray
        Work space for the runs of `lanes` frames, their factors, and whether they are left out.
    """
    lanes = block_lanes(spec)
    n_pol, n_factor = rows.shape[0], factors.shape[1]
    n_side, n_term, row, places = sizes[0], sizes[1], sizes[2], sizes[3]
    place_size = n_side * n_term * row
    base = address_of(sums)
    block = 4 * lanes * lanes
    half = n_side * n_term * block
    done = np.int64(0)
    m = np.int64(0)
    while m < n_frame:
        count = min(lanes, n_frame - m)
        # As many sums may end as there are places; the others need the same places again.
        n_run = np.int64(0)
        first = np.int64(0)
        place = state[0]
        fresh = state[1]
        for f in range(count):
            if ends[m + f] or f == count - 1:
                runs[n_run, 0] = first
                runs[n_run, 1] = f + 1
                runs[n_run, 2] = base + 4 * place * place_size
                runs[n_run, 3] = fresh
                n_run += 1
                first = f + 1
                fresh = np.int64(0)
                if ends[m + f]:
                    place = (place + 1) % places
                    fresh = np.int64(1)
                    if n_run == places - 1:
                        count = f + 1
                        break
        for f in range(lanes):
            store_integer(address_of(factors) + 4 * n_factor * (m + min(f, count - 1)),
                          table + 8 * f)
        for i in range(0, n_factor, lanes):
            transpose_rows(spec, table, 4 * i, address_of(weights) + 4 * lanes * i)
        for pol in range(n_pol):
            for f in range(count):
                left_out[f] = factors[m + f, LEFT_OUT[pol]] == 0
            fill_nb(spec, parts, address_of(rows) + 8 * pol * rows.shape[1], row_step, m, count,
                    turns, left_out, address_of(source) + 8 * pol * source.shape[1], taps, shape,
                    levels, z + pol * z_pol, tile, table)
        for k in range(0, low.size, lanes):
            n = min(lanes, low.size - k)
            _detect(parts[1], z, z_pol, low, high, k, n, twiddles, address_of(weights), terms)
            if n_run == 1 and count == lanes:
                for t in range(n_side * n_term):
                    _add_block(spec, terms + t * block, runs[0, 2] + 4 * (k + t * row), runs[0, 3])
            else:
                transposed_nb(spec, terms, n_side * n_term, terms + half)
                _add_runs_nb(spec, terms + half, n_side * n_term, runs, n_run, 4 * k, 4 * row)
        for r in range(n_run):
            if ends[m + runs[r, 1] - 1]:
                _finish_nb(sums, (runs[r, 2] - base) // 4, row, n_term * row, segments,
                           divisors[done], out[done, stream])
                done += 1
        state[0] = place
        state[1] = fresh
        m += count
    return done


@jit_strict
def stack_integrate_nb(spec, parts, bases, offsets, row_step, turns, n_frame, ends, factors,
                       source, taps, shape, levels, low, high, twiddles, z, z_pol, tile, table,
                       terms, sums, sizes, state, segments, divisors, out):
    """Do `_stack_integrate_nb` for each stream; return how many sums ended.

    `bases` (stream, pol) are addresses to which the `offsets` of rows are added. The first axis of
    `sums` and of `state`, and the second of `out`, are streams.
    """
    lanes = block_lanes(spec)
    rows = np.empty((bases.shape[1], offsets.size), np.int64)
    runs = np.empty((lanes, 4), np.int64)
    weights = np.empty((factors.shape[1], lanes), np.float32)
    left_out = np.empty(lanes, np.uint8)
    done = np.int64(0)
    for s in range(bases.shape[0]):
        place_rows_nb(bases[s], offsets, rows)
        done = _stack_integrate_nb(
            spec, parts, rows, row_step, turns, n_frame, ends, factors, source, taps, shape, levels,
            low, high, twiddles, z, z_pol, tile, table, terms, sums[s], sizes, state[s], segments,
            divisors, out, s, runs, weights, left_out)
    return done


@jit_strict_inner
def _put_channels_nb(spectra, segments, conjugated, out):
    """Copy the spectrum of one frame, (side, k), to its channels in natural order."""
    for s in range(segments.shape[0]):
        place, side, start, step, n = segments[s]
        row = out[place : place + n]
        if step == 1:
            values = spectra[side, start : start + n]
            for i in range(n):
                row[i] = np.conj(values[i]) if conjugated else values[i]
        else:
            values = spectra[side, start - n + 1 : start + 1]
            for i in range(n):
                value = values[np.uint64(n - 1 - i)]
                row[i] = np.conj(value) if conjugated else value


@jit_strict
def stack_spectra_nb(spec, parts, rows, row_step, turns, n_frame, source, taps, shape, levels, low,
                     high, twiddles, z, tile, table, terms, spectra, segments, conjugated, out):
    """Write the spectra of one polarisation to `out` (frame, channel), complex64.

    `parts` are the addresses of a `FOLD` and a `PUT`; `spectra` is memory for the spectra of
    `lanes` frames, (frame, side, k); the rest is as for `stack_integrate_nb`.
    """
    lanes = block_lanes(spec)
    n_side = spectra.shape[1]
    left_out = np.zeros(lanes, np.uint8)
    block = 8 * lanes * lanes  # `lanes` complex points of `lanes` frames
    base = address_of(spectra)
    m = np.int64(0)
    while m < n_frame:
        count = min(lanes, n_frame - m)
        fill_nb(spec, parts, address_of(rows), row_step, m, count, turns, left_out,
                address_of(source), taps, shape, levels, z, tile, table)
        for k in range(0, low.size, lanes):
            n = min(lanes, low.size - k)
            _put(parts[1], z, low, high, k, n, twiddles, terms)
            transposed_nb(spec, terms, 2 * n_side, terms + n_side * block)
            for side in range(n_side):
                for f in range(count):
                    at = terms + (n_side + side) * block + 4 * lanes * f
                    to = base + 8 * ((f * n_side + side) * spectra.shape[2] + k)
                    store(load(spec, at), to)
                    store(load(spec, at + block // 2), to + 4 * lanes)
        for f in range(count):
            _put_channels_nb(spectra[f], segments, conjugated, out[m + f])
        m += count
