"""Loops over frames, from samples to integrated or complex spectra.

The loops call their parts by address, so that each part is compiled only for its own specs.
"""

import numpy as np

from ._detect import LEFT_OUT
from ._jit import jit_strict, jit_strict_inner
from ._linking import FLOAT, INTEGER, ROW, TABLE, Part
from ._order import PAD
from ._passes import block_lanes, clear_nb, fir, load_address
from ._simd import address_of, load, store

#: `filter_wide_nb` and `filter_narrow_nb`: a spec of the transform.
FILTER = Part(1, ROW, *[INTEGER] * 4, ROW, INTEGER, INTEGER, ROW, *[INTEGER] * 7)
#: `fir_nb`: a spec of the filter.
FIR = Part(1, *[INTEGER] * 14)
#: `_passes.columns_nb`: a spec of the transform, with the radix and whether results are streamed.
COLUMNS = Part(1, *[INTEGER] * 9)
#: `inner_nb`: a spec of the transform.
INNER = Part(1, ROW, TABLE, *[INTEGER] * 6)
#: `_detect.add_leaves_nb`: a spec of the transform.
ADD_LEAVES = Part(1, ROW, *[INTEGER] * 5, TABLE, *[INTEGER] * 5, TABLE, INTEGER, INTEGER, ROW,
                  INTEGER)
#: `_detect.put_leaves_nb`: a spec of the spectra.
PUT_LEAVES = Part(1, ROW, INTEGER, TABLE, *[INTEGER] * 5)
#: `_passes.gather_nb`: a spec of the order.
GATHER = Part(1, *[INTEGER] * 5, ROW, FLOAT, INTEGER)

_filter, _fir, _columns, _inner = FILTER.call, FIR.call, COLUMNS.call, INNER.call
_add_leaves, _put_leaves, _gather = ADD_LEAVES.call, PUT_LEAVES.call, GATHER.call

#: Places of addresses in the table of a loop's parts; those of `_detect` come before these, and
#: `COLUMNS_AT` is followed by the addresses for each of `RADICES`.
FILTER_AT, INNER_AT, LEAVES_AT, GATHER_AT, MANY_AT, ONE_AT, FIRST_AT, COLUMNS_AT = range(4, 12)
RADICES = 2, 4, 8, 16


@jit_strict_inner
def fir_nb(spec, n, first, rows, offset, offset_next, levels, taps, taps_next, target,
           target_next, target_step, target_pol, ahead, ahead_next):
    """Filter `n` groups of numbers, from group `first` to the last, then those before `first`.

    Steps are in bytes.
    """
    place, taps_place = offset + first * offset_next, taps + first * taps_next
    for j in range(n):
        fir(spec, rows, place, levels, taps_place, target + j * target_next, target_step,
            target_pol, ahead + j * ahead_next)
        place += offset_next
        taps_place += taps_next
        if first + j + 1 == n:
            place, taps_place = offset, taps


@jit_strict_inner
def _collect_nb(spec, rows, n_row, offset, size, local):
    """Copy `size` bytes of each row, a multiple of a vector, into contiguous memory."""
    vector = 4 * block_lanes(spec)
    for r in range(n_row):
        for at in range(0, size, vector):
            store(load(spec, load_address(rows + 8 * r) + offset + at), local + r * size + at)


@jit_strict_inner
def filter_narrow_nb(spec, parts, rows, ahead, n_frame, shift, source, taps, taps_bytes,
                     shape, first_twiddles, z, z_pol, z_frame, tile, local, table):
    """Filter `n_frame` frames and do the first pass of the transform.

    This is done for one polarisation, or for both if these alternate.

    `parts` contains the addresses of the filter for several frames, and for one; `n_frame` is the
    number of the former, or 1. `rows` is the address of a table of row addresses. `ahead`
    is the address of the samples that the next frames add, which are prefetched. `shift`, in
    blocks, rotates the folded frame. `source` contains the bytes of a block's numbers, the address
    of the levels of packed numbers, and the number of polarisations at a time.
    `shape` contains the number of points, the first radix (1 for none), the number of columns
    that `filter_wide_nb` processes at a time, the number of taps, and the number of frames that
    are filtered together. `local` is memory for the columns of `filter_wide_nb`, and `table` the
    addresses of its rows.
    """
    block = 8 * block_lanes(spec)
    n_point, radix = shape[0], shape[1]
    n_column = n_point * 8 // block // radix
    part = n_column * block + PAD
    group, levels, n_pol = source[0], source[1], source[2]
    new_bytes = n_frame * group
    turn_column, turn_row = shift % n_column, shift // n_column
    filter_at = parts[MANY_AT if n_frame > 1 else ONE_AT]
    if radix == 1:
        first = n_column - turn_column if turn_column else 0
        _fir(filter_at, n_column, first, rows, 0, group, levels, taps, taps_bytes, z,
             block, z_frame, z_pol, ahead, new_bytes)
        return
    tile_pol = n_frame * radix * block
    for c in range(n_column):
        column = c - turn_column
        row = -turn_row
        if column < 0:
            column += n_column
            row -= 1
        if row < 0:
            row += radix
        # Rows of the rotated folded frame begin with `row`.
        _fir(filter_at, radix, row, rows, column * group, n_column * group, levels,
             taps + column * radix * taps_bytes, taps_bytes, tile, block, radix * block, tile_pol,
             ahead, new_bytes)
        ahead += radix * new_bytes
        for pol in range(n_pol):
            _columns(parts[FIRST_AT], n_frame, tile + pol * tile_pol, block, radix * block,
                     z + pol * z_pol + c * block, part, z_frame,
                     first_twiddles + c * (radix - 1) * block, 0)


@jit_strict_inner
def filter_wide_nb(spec, parts, rows, ahead, n_frame, shift, source, taps, taps_bytes,
                   shape, first_twiddles, z, z_pol, z_frame, tile, local, table):
    """Do as `filter_narrow_nb`, on several columns at a time; the frames do not rotate.

    This is for rows so long that they map to the same few sets of a cache. The numbers of these
    columns are collected first.
    """
    block = 8 * block_lanes(spec)
    n_point, radix, wide = shape[0], shape[1], shape[2]
    n_column = n_point * 8 // block // radix
    part = n_column * block + PAD
    group, levels, n_pol = source[0], source[1], source[2]
    n_row = n_frame + shape[3] - 1
    filter_at = parts[MANY_AT if n_frame > 1 else ONE_AT]
    tile_pol = wide * n_frame * radix * block
    for first in range(0, n_column, wide):
        for j in range(radix):
            _collect_nb(spec, rows, n_row, (j * n_column + first) * group, wide * group, local)
            _fir(filter_at, wide, 0, table, 0, group, levels,
                 taps + (first * radix + j) * taps_bytes, radix * taps_bytes, tile + j * block,
                 n_frame * radix * block, radix * block, tile_pol, local, 0)
        for pol in range(n_pol):
            place = tile + pol * tile_pol
            for c in range(wide):
                _columns(parts[FIRST_AT], n_frame, place + c * n_frame * radix * block, block,
                         radix * block, z + pol * z_pol + (first + c) * block, part, z_frame,
                         first_twiddles + (first + c) * (radix - 1) * block, 0)


@jit_strict_inner
def inner_nb(spec, parts, levels, first, second, n_frame, z, z_frame, part):
    """Do the passes between the first and the leaves, on one or two parts of every frame.

    They are done in place, level by level. A row of `levels` lists the radix, the size of a
    sub-transform in bytes, the number of sub-transforms, and the address of the twiddles.
    """
    block = 8 * block_lanes(spec)
    for f in range(n_frame):
        for which in range(2 if second != first else 1):
            here = z + f * z_frame + (second if which else first) * part
            for i in range(levels.shape[0]):
                radix, size, count, twiddles = levels[i]
                step = size // radix
                columns_at = parts[COLUMNS_AT + (radix > 2) + (radix > 4) + (radix > 8)]
                for s in range(count):
                    base = here + s * size
                    _columns(columns_at, step // block, base, step, block, base, step, block,
                             twiddles, (radix - 1) * block)


@jit_strict
def integrate_nb(parts, bases, offsets, rows, row_step, shifts, n_frame, ends, factors, source,
                 taps, taps_bytes, shape, inner, first_twiddles, leaves, groups, leaf_twiddles,
                 real_twiddles, z, z_frame, tile, local, table_local, buffer, runs, sums,
                 sums_bytes, places, sum_bytes, state, vectors, order, out, out_row, out_sum,
                 divisors, streamed):
    """Filter, transform, detect and add up `n_frame` frames of each stream.

    Returns how many sums of a stream ended.

    Parameters
    ----------
    parts : ndarray, int64
        Addresses of parts, at the places listed above and in `_detect`.
    bases : ndarray, shape (n_stream, n_pol), int64, bytes
        Addresses to which the offsets of rows are added.
    offsets : ndarray, shape (n,), int64, bytes
        Offsets of the rows of samples; frame m begins at ``row_step m``.
    rows : ndarray, shape (n_pol, n), int64
        Work space: the addresses of the rows of a stream.
    shifts : ndarray, shape (n_frame,) or (1,), int64, blocks
        Rotation of each folded frame.
    ends : ndarray, shape (n_frame,), uint8
        1 where a sum ends with this frame.
    factors : ndarray, shape (n_frame, 16), float32
        See `_detect.FACTORS`.
    groups : ndarray, shape (n, 4), int64
        Two parts with leaves that pair up (the same part twice if it pairs with itself), and
        their rows in `leaves`: first, stop.
    runs : ndarray, shape (frames filtered together, 4), int64
        Work space: see `_detect.add_leaves_nb`.
    state : ndarray, shape (n_stream, 2), int64
        Index of the place of sums in use, among `places`, and whether it is empty.
    vectors : ndarray, int64
        Vectors of each leaf that are summed.
    out, out_row, out_sum : int
        Address of finished sums in natural order, bytes from one sum to the next, and from
        one product, or one stream after the last product, to the next.
    divisors : ndarray, shape (n_sum, n_product), float32
        Divisor of each finished sum.
    streamed : int
        1 if finished sums bypass the cache, else 0; they are then aligned to vectors.
    """
    n_pol, n_row = rows.shape
    frames = shape[4]
    z_pol = frames * z_frame
    part = shape[0] * 8 // shape[1] + PAD
    done = 0
    for s in range(bases.shape[0]):
        for pol in range(n_pol):
            for i in range(n_row):
                rows[pol, i] = bases[s, pol] + offsets[i]
        done = 0
        m = 0
        while m < n_frame:
            count = frames if shifts.size == 1 and n_frame - m >= frames else 1
            shift = shifts[m] if m < shifts.size else 0
            for pol in range(0, n_pol, source[2]):
                table = address_of(rows) + 8 * (pol * n_row + m * row_step)
                last = m * row_step + count + shape[3] - 1
                ahead = rows[pol, last if last < n_row else n_row - 1]
                _filter(parts[FILTER_AT], parts, table, ahead, count, shift, source, taps,
                        taps_bytes, shape, first_twiddles, z + pol * z_pol, z_pol, z_frame, tile,
                        local, table_local)
            for pol in range(n_pol):
                for f in range(count):
                    # A frame that is left out adds 0, even where its samples are not finite.
                    if factors[m + f, LEFT_OUT[pol]] == 0:
                        clear_nb(z + pol * z_pol + f * z_frame, z_frame)
            n_run = 0
            first = 0
            for f in range(count):
                if ends[m + f] or f == count - 1:
                    runs[n_run, 0] = first
                    runs[n_run, 1] = f + 1
                    runs[n_run, 2] = sums + (s * places + state[s, 0]) * sums_bytes
                    runs[n_run, 3] = state[s, 1]
                    n_run += 1
                    first = f + 1
                    state[s, 1] = 0
                    if ends[m + f]:
                        state[s, 0] = (state[s, 0] + 1) % places
                        state[s, 1] = 1
            weights = address_of(factors) + 4 * m * factors.shape[1]
            # Process parts with leaves that pair up together: the output of the inner passes is
            # then still in the cache.
            for g in range(groups.shape[0]):
                if inner.shape[0] > 0:
                    for pol in range(n_pol):
                        _inner(parts[INNER_AT], parts, inner, groups[g, 0], groups[g, 1], count,
                               z + pol * z_pol, z_frame, part)
                _add_leaves(parts[LEAVES_AT], parts, z, z_pol, z_frame, n_pol, count, leaves,
                            groups[g, 2], groups[g, 3], leaf_twiddles, real_twiddles, weights,
                            runs, n_run, sum_bytes, vectors, buffer)
            for r in range(n_run):
                if ends[m + runs[r, 1] - 1]:
                    for p in range(divisors.shape[1]):
                        place = out + done * out_row + (s * divisors.shape[1] + p) * out_sum
                        _gather(parts[GATHER_AT], order[0], runs[r, 2] + p * order[1], order[2],
                                order[3], place, order[4], divisors[done, p], streamed)
                    done += 1
            m += count
    return done


@jit_strict
def spectra_nb(parts, rows, row_step, shifts, n_frame, source, taps, taps_bytes, shape, inner,
               first_twiddles, leaves, leaf_twiddles, real_twiddles, z, z_frame, tile, local,
               table_local, buffer, sums, sum_bytes, order, out, out_row):
    """Filter and transform frames of one polarisation into rows of complex spectra.

    `rows` (n,) are the addresses of the rows of samples; the rest is as for `integrate_nb`.
    """
    frames = shape[4]
    part = shape[0] * 8 // shape[1] + PAD
    m = 0
    while m < n_frame:
        count = frames if shifts.size == 1 and n_frame - m >= frames else 1
        shift = shifts[m] if m < shifts.size else 0
        last = m * row_step + count + shape[3] - 1
        _filter(parts[FILTER_AT], parts, address_of(rows) + 8 * m * row_step,
                rows[last if last < rows.size else rows.size - 1], count, shift, source, taps,
                taps_bytes, shape, first_twiddles, z, 0, z_frame, tile, local, table_local)
        for f in range(count):
            if inner.shape[0] > 0:
                for p in range(shape[1]):
                    _inner(parts[INNER_AT], parts, inner, p, p, 1, z + f * z_frame, z_frame, part)
            _put_leaves(parts[LEAVES_AT], parts, z + f * z_frame, leaves, leaf_twiddles,
                        real_twiddles, sum_bytes, buffer, sums)
            _gather(parts[GATHER_AT], order[0], sums, order[2], order[3], out + (m + f) * out_row,
                    order[4], np.float32(1), 0)
        m += count
