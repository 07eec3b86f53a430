"""Loops of fast folding: a tree of sums of turns, and boxcars on the profiles at its root.

Samples are specified by address (int64), and nothing is checked here. After a profile, a row of the
tree repeats its first samples, so that vectors that begin at its end can be read. More than these
may be written to a row, and read after the last turn.
"""

import numpy as np

from ._ffa_vectors import (
    LEAF,
    PHASES,
    add_as_floats,
    add_lines,
    add_turns,
    best_boxcars,
    best_weighted_boxcars,
    copy_line,
    line_of,
    running_sums,
    size_of,
)
from ._jit import jit_inner, jit_strict, jit_strict_inner
from ._simd import address_of, load, store

#: Drifts for which sums of halves are made at a time, and the rows that these need: half as many
#: drifts of each half, rounded.
BLOCK, FEW = 32, 38
#: Parts that wait at the same time, at most: four for each factor of 4 of the turns.
MOST_OPEN = 128


@jit_strict
def halve_nb(x, n, out):
    """Write the sums of `n` pairs of samples; `out` may be `x`."""
    for i in range(n):
        out[i] = x[2 * i] + x[2 * i + 1]


@jit_strict
def all_whole_nb(x, weight, is_weighted):
    """Return whether all samples are finite and, if `is_weighted`, have a weight of 1."""
    for i in range(x.shape[0]):
        if not np.isfinite(x[i]) or (is_weighted and weight[i] != 1):
            return False
    return True


@jit_strict
def clean_nb(x, weight, out, out_weight):
    """Copy samples and weights; both are 0 where a sample is not finite or has no weight."""
    for i in range(x.shape[0]):
        good = weight[i] > 0 and np.isfinite(x[i])
        out[i] = x[i] if good else np.float32(0)
        out_weight[i] = weight[i] if good else np.float32(0)


@jit_strict
def downsample_nb(x, factor, n, out):
    """Write `n` sums over `factor` samples; those at the ends are divided in proportion."""
    first, start = 0, 0.0
    for k in range(n):
        end = (k + 1) * factor
        stop = int(end)
        total = np.float32(first + 1 - start) * x[first]
        for i in range(first + 1, min(stop, x.shape[0])):
            total += x[i]
        if stop < x.shape[0]:
            total += np.float32(end - stop) * x[stop]
        out[k] = total
        first, start = stop, end


@jit_strict
def quantize_nb(x, n, scale, out):
    """Write `n` samples times a scale, rounded to int16; return the largest magnitude.

    Magnitudes above 32000 are limited.
    """
    most = np.float32(0)
    for i in range(n):
        value = x[i] * scale
        size = min(abs(value), np.float32(32000))
        most = max(most, size)
        whole = np.int32(size + np.float32(0.5))
        out[i] = np.int16(whole if value >= 0 else -whole)
    return most


@jit_strict
def largest_nb(rows, n):
    """Return the largest magnitude of the first `n` int16 of each row."""
    low, high = np.int16(0), np.int16(0)
    for k in range(rows.shape[0]):
        x = rows[k]
        for i in range(n):
            low, high = min(low, x[i]), max(high, x[i])
    return max(-np.int64(low), np.int64(high))


@jit_strict_inner
def _add_pair(spec, lanes, head, tail, shift, n, n_line, out):
    """Write the sum of a row and of another one that is rotated back by `shift`, less than `n`."""
    line, turn = line_of(spec), size_of(spec) * n
    tail += size_of(spec) * shift
    end, at = n_line * line, 0
    turned = turn - size_of(spec) * shift
    while at < turned:
        add_lines(spec, head + at, tail + at, out + at)
        at += line
    tail -= turn
    while at < end:
        add_lines(spec, head + at, tail + at, out + at)
        at += line


@jit_strict_inner
def _add_pair_as_floats(spec, lanes, head, tail, shift, n, out):
    """Write the same as float32, without what follows the profile."""
    size = size_of(spec)
    line, place, turn = size * lanes, size * shift, size * n
    for _ in range(-(-n // lanes)):
        add_as_floats(spec, head, tail + place, out)
        head, out, place = head + line, out + 4 * lanes, place + line
        place = place - turn if place >= turn else place


@jit_strict_inner
def _leaf(spec, n_row, y, n, step, out, ends):
    """Write the sums of `n_row` turns, a constant up to `LEAF`, for all drifts.

    `ends` is memory for the end and the beginning of each turn: beyond the end of a turn is not its
    beginning, but the next turn.
    """
    line, turn = line_of(spec), size_of(spec) * n
    end = max(line, LEAF * size_of(spec))
    at, last = 0, turn - end
    while at < last:
        add_turns(spec, n_row, y + at, turn, out + at, step)
        at += line
    for k in range(n_row):
        for at in range(0, end, line):
            copy_line(spec, y + k * turn + last + at, ends + 2 * k * end + at)
            copy_line(spec, y + k * turn + at, ends + (2 * k + 1) * end + at)
    for at in range(0, end, line):
        add_turns(spec, n_row, ends + at, 2 * end, out + last + at, step)
    for k in range(n_row):
        copy_line(spec, out + k * step, out + k * step + turn)


@jit_strict_inner
def _lines_of(spec, n):
    """Return the vectors of a row: a turn, and what is needed to read a vector at its end."""
    each = line_of(spec) // size_of(spec)
    return -(-(n + each - 1) // each)


@jit_strict_inner
def _row_of(n, lanes):
    """Return the float32 of a profile, in whole vectors."""
    return -(-n // lanes) * lanes


@jit_strict_inner
def _part(drift, part, whole):
    """Return the drift of `part` turns of `whole`, rounded."""
    return int((part - 1) / (whole - 1) * drift + 0.5)


@jit_strict_inner
def _modulo(value, n):
    """Return the rest of a division, for values from 0 on; much faster than the instruction."""
    return value - n * int((value + 0.5) * (1.0 / n))


@jit_strict_inner
def _pairs(spec, lanes, below, n, step, n_row, n_line, first, stop, out):
    """Write sums of both halves of `n_row` turns for drifts from `first` to before `stop`.

    Those of the halves are in rows from `below` on.
    """
    n_head = n_row // 2
    for drift in range(first, stop):
        i, j = _part(drift, n_head, n_row), _part(drift, n_row - n_head, n_row)
        _add_pair(spec, lanes, below + i * step, below + (n_head + j) * step,
                  _modulo(drift - j, n), n, n_line, out)
        out += step


@jit_strict_inner
def _halves(spec, lanes, below, n, step, n_row, first, stop, few):
    """Write sums of both halves, of those of quarters, that at most `BLOCK` drifts need.

    They are in `few`, in the nearest cache; other caches limit the speed. Return the address at
    which the sums of each half would be for a drift of 0.
    """
    n_line, n_head = _lines_of(spec, n), n_row // 2
    n_tail = n_row - n_head
    low, high = _part(first, n_head, n_row), _part(stop - 1, n_head, n_row)
    _pairs(spec, lanes, below, n, step, n_head, n_line, low, high + 1, few)
    head, tail = few - low * step, few + (high + 1 - low) * step
    low, high = _part(first, n_tail, n_row), _part(stop - 1, n_tail, n_row)
    _pairs(spec, lanes, below + n_head * step, n, step, n_tail, n_line, low, high + 1, tail)
    return head, tail - low * step


@jit_strict_inner
def _block(spec, lanes, below, n, step, n_row, first, stop, few, out):
    """Write the same from sums of the quarters, for at most `BLOCK` drifts."""
    n_line, n_head = _lines_of(spec, n), n_row // 2
    head, tail = _halves(spec, lanes, below, n, step, n_row, first, stop, few)
    for drift in range(first, stop):
        i, j = _part(drift, n_head, n_row), _part(drift, n_row - n_head, n_row)
        _add_pair(spec, lanes, head + i * step, tail + j * step, _modulo(drift - j, n), n, n_line,
                  out)
        out += step


@jit_strict_inner
def _sums(spec, lanes, y, n, step, n_row, here, other, few):
    """Write the sums of `n_row` turns for all drifts to rows from `here` on.

    The sums of their parts are in rows from `other` on.
    """
    if n_row == 1:
        _leaf(spec, 1, y, n, step, here, few)
    elif n_row == 2:
        _leaf(spec, 2, y, n, step, here, few)
    elif n_row == 3:
        _leaf(spec, 3, y, n, step, here, few)
    elif n_row == 4:
        _leaf(spec, 4, y, n, step, here, few)
    elif n_row == 5:
        _leaf(spec, 5, y, n, step, here, few)
    elif n_row == 6:
        _leaf(spec, 6, y, n, step, here, few)
    elif n_row == 7:
        _leaf(spec, 7, y, n, step, here, few)
    elif n_row == LEAF:
        _leaf(spec, LEAF, y, n, step, here, few)
    else:
        for drift in range(0, n_row, BLOCK):
            _block(spec, lanes, other, n, step, n_row, drift, min(n_row, drift + BLOCK), few,
                   here + drift * step)


@jit_strict_inner
def _push_parts(stack, n_open, turn, step, n_row, y, here, other):
    """Put the parts of `n_row` turns on the stack, the last first; return its new height."""
    n_head = n_row // 2
    done = n_row
    for half in range(1, -1, -1):
        size = n_row - n_head if half else n_head
        n_part = 1 if n_row <= LEAF else 2
        for quarter in range(n_part - 1, -1, -1):
            part = size if n_part == 1 else (size - size // 2 if quarter else size // 2)
            done -= part
            stack[n_open, 0], stack[n_open, 1] = part, 0 if part > LEAF else 1
            stack[n_open, 2], stack[n_open, 3] = y + turn * done, here + step * done
            stack[n_open, 4] = other + step * done
            n_open += 1
    return n_open


@jit_strict
def fold_nb(spec, lanes, y, n, step, n_row, here, other, few, stack):
    """Compute the sums of the parts of `n_row` turns, in rows from `here` on.

    `other` is as much memory. Parts are computed depth first, with a stack, because calls of a
    function by itself cannot be kept in a cache.
    """
    turn = size_of(spec) * n
    n_open = _push_parts(stack, 0, turn, step, n_row, y, here, other)
    while n_open:
        size, ready, first, to, work = stack[n_open - 1]
        if ready:
            _sums(spec, lanes, first, n, step, size, to, work, few)
            n_open -= 1
        else:
            stack[n_open - 1, 1] = 1
            n_open = _push_parts(stack, n_open, turn, step, size, first, work, to)


@jit_strict_inner
def _root(spec, lanes, parts, n, step, n_row, first, stop, few, group, sums,
          n_more):
    """Write the running sums of profiles `first` to `stop`, one in each lane."""
    n_head, row = n_row // 2, 4 * _row_of(n, lanes)
    if n_row <= LEAF:
        head, tail = parts, parts + n_head * step
    else:
        head, tail = _halves(spec, lanes, parts, n, step, n_row, first, stop, few)
    for drift in range(first, stop):
        i, j = _part(drift, n_head, n_row), _part(drift, n_row - n_head, n_row)
        _add_pair_as_floats(spec, lanes, head + i * step, tail + j * step, _modulo(drift - j, n),
                            n, group + (drift - first) * row)
    running_sums(spec, group, row, -(-n // lanes), sums)
    # Boxcars that begin in a turn end in the next one.
    line = 4 * lanes
    whole = load(spec, sums + n * line)
    for k in range(1, n_more + PHASES):
        store(whole + load(spec, sums + k * line), sums + (n + k) * line)


@jit_strict
def search_nb(spec, lanes, parts, n, step, n_row, first, stop, few, group, sums, n_more, gains,
              best, snr, width):
    """Write the S/N of the best boxcar of drifts `first` to `stop`, and the number of its width."""
    for drift in range(first, stop, lanes):
        _root(spec, lanes, parts, n, step, n_row, drift, min(stop, drift + lanes), few,
              group, sums, n_more)
        best_boxcars(spec, sums, n, address_of(gains), address_of(best))
        for k in range(min(lanes, stop - drift)):
            snr[drift - first + k] = best[k]
            width[drift - first + k] = np.uint8(best[lanes + k])


@jit_inner
def _root_of(square):
    return np.sqrt(square) if square >= 0 else -np.sqrt(-square)


@jit_strict
def search_weighted_nb(spec, lanes, parts, weights, n, step, n_row, first, stop, few, group, sums,
                       weight_sums, n_more, shared, least, best, snr, width):
    """Write the same for series with gaps; 0 where no boxcar has enough weight."""
    for drift in range(first, stop, lanes):
        _root(spec, lanes, parts, n, step, n_row, drift, min(stop, drift + lanes), few,
              group, sums, n_more)
        _root(spec, lanes, weights, n, step, n_row, drift, min(stop, drift + lanes), few,
              group, weight_sums, n_more)
        best_weighted_boxcars(spec, sums, weight_sums, n, shared, address_of(least),
                              address_of(best))
        for k in range(min(lanes, stop - drift)):
            square = best[k]
            good = square > np.float32(-1e20)
            snr[drift - first + k] = _root_of(square) if good else np.float32(0)
            width[drift - first + k] = np.uint8(best[lanes + k]) if good else np.uint8(0)
