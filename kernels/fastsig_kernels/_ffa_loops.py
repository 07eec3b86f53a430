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
    add_shifted,
    add_shorts,
    add_turns,
    best_boxcars,
    best_short_boxcars,
    best_weighted_boxcars,
    copy_line,
    divided_sums,
    largest_of,
    line_of,
    running_short_sums,
    running_sums,
    size_of,
)
from ._jit import jit_inner, jit_strict, jit_strict_inner
from ._simd import address_of, load, store

#: Drifts whose sums are made at a time, and the rows that sums of parts need: half as many drifts
#: of each half, rounded, and likewise of two quarters and of two eighths.
BLOCK, FEW = 64, 70 + 38 + 22
#: Bytes of rows above which a tree has sixteen parts at its root instead of four: those of its
#: parts are then in the second nearest cache, and others are read and written only once.
MANY = 2**19
#: Turns up to which there are sixteen parts: sums of eight parts must not overflow.
MOST_TURNS = 2**14
#: Parts that wait at the same time, at most: sixteen for each factor of 16 of the turns.
MOST_OPEN = 192


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


@jit_strict_inner
def _downsample(spec, lanes, whole, x, factor, n, out):
    for k in range(0, n, lanes):
        divided_sums(spec, whole, x, k, factor, out + 4 * k)


@jit_strict
def downsample_nb(spec, lanes, x, factor, n, out):
    """Write `n` sums over `factor` samples, 1 to 8; those at the ends are divided in proportion."""
    # Vectors of 16 samples are read, of which sums need up to 9.
    n_safe = min(n, max(0, int((len(x) - 17) / factor))) // lanes * lanes
    to, of, whole = address_of(out), address_of(x), int(factor)
    if whole == 1:
        _downsample(spec, lanes, 1, of, factor, n_safe, to)
    elif whole == 2:
        _downsample(spec, lanes, 2, of, factor, n_safe, to)
    elif whole == 3:
        _downsample(spec, lanes, 3, of, factor, n_safe, to)
    elif whole == 4:
        _downsample(spec, lanes, 4, of, factor, n_safe, to)
    elif whole == 5:
        _downsample(spec, lanes, 5, of, factor, n_safe, to)
    elif whole == 6:
        _downsample(spec, lanes, 6, of, factor, n_safe, to)
    else:
        _downsample(spec, lanes, 7, of, factor, n_safe, to)
    for k in range(n_safe, n):
        start, end = k * factor, (k + 1) * factor
        first, stop = int(start), int(end)
        total = np.float32(first + 1 - start) * x[first]
        for i in range(first + 1, min(stop, len(x))):
            total += x[i]
        if stop < len(x):
            total += np.float32(end - stop) * x[stop]
        out[k] = total


@jit_strict
def quantize_nb(x, n, scale, out):
    """Write `n` samples times a scale, rounded to int16; return the largest magnitude.

    Magnitudes above 32000 are limited.
    """
    most = np.int32(0)
    for i in range(n):
        value = x[i] * scale
        whole = np.int32(min(abs(value), np.float32(32000)) + np.float32(0.5))
        most = max(most, whole)
        out[i] = np.int16(whole if value >= 0 else -whole)
    return most


@jit_strict_inner
def _add_span(spec, head, tail, out, at, end):
    """Write sums of vectors from byte `at` on that begin before `end`; return where they end."""
    line = line_of(spec)
    while at < end - line:
        add_lines(spec, 2, head + at, tail + at, out + at)
        at += 2 * line
    if at < end:
        add_lines(spec, 1, head + at, tail + at, out + at)
        at += line
    return at


@jit_strict_inner
def _add_pair(spec, lanes, head, tail, shift, n, n_line, out):
    """Write the sum of a row and of another one that is rotated back by `shift`, less than `n`."""
    turn, tail = size_of(spec) * n, tail + size_of(spec) * shift
    at = _add_span(spec, head, tail, out, 0, turn - size_of(spec) * shift)
    _add_span(spec, head, tail - turn, out, at, n_line * line_of(spec))


@jit_strict_inner
def _add_shifted_span(spec, head, tail, bits, out, at, end):
    """Write the same of int16, divided by a power of two."""
    line = line_of(spec)
    while at < end - line:
        add_shifted(spec, 2, head + at, tail + at, bits, out + at)
        at += 2 * line
    if at < end:
        add_shifted(spec, 1, head + at, tail + at, bits, out + at)
        at += line
    return at


@jit_strict_inner
def _add_pair_shifted(spec, head, tail, shift, n, n_line, bits, out):
    """Write the same, divided by a power of two."""
    turn, tail = size_of(spec) * n, tail + size_of(spec) * shift
    at = _add_shifted_span(spec, head, tail, bits, out, 0, turn - size_of(spec) * shift)
    _add_shifted_span(spec, head, tail - turn, bits, out, at, n_line * line_of(spec))


@jit_strict_inner
def _add_pair_as_floats(spec, lanes, head, tail, shift, n, bits, out):
    """Write the same as float32, without what follows the profile."""
    size = size_of(spec)
    line, place, turn = size * lanes, size * shift, size * n
    for _ in range(-(-n // lanes)):
        add_as_floats(spec, head, tail + place, bits, out)
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
def _pairs(spec, lanes, head, tail, n, step, n_row, first, stop, out):
    """Write sums of `n_row` turns for drifts from `first` to before `stop`.

    Those of its halves are at `head` and `tail` for a drift of 0. Return where its own would be.
    """
    n_head, n_line, row = n_row // 2, _lines_of(spec, n), out
    for drift in range(first, stop):
        i, j = _part(drift, n_head, n_row), _part(drift, n_row - n_head, n_row)
        _add_pair(spec, lanes, head + i * step, tail + j * step, _modulo(drift - j, n), n, n_line,
                  row)
        row += step
    return out - first * step


@jit_strict_inner
def _half(spec, lanes, below, n, step, n_part, n_row, first, stop, out):
    """Write sums of `n_part` of `n_row` turns that drifts from `first` to before `stop` need.

    Those of its halves are in rows from `below` on. Return where those for a drift of 0 would be,
    and the end of what was written.
    """
    low, high = _part(first, n_part, n_row), _part(stop - 1, n_part, n_row) + 1
    at = _pairs(spec, lanes, below, below + n_part // 2 * step, n, step, n_part, low, high, out)
    return at, out + (high - low) * step


@jit_strict_inner
def _halves(spec, lanes, below, n, step, n_row, first, stop, few):
    """Write sums of both halves, of those of quarters, that at most `BLOCK` drifts need.

    They are in `few`, in the nearest cache; other caches limit the speed. Return the addresses at
    which the sums of each half would be for a drift of 0, and the end of `few`.
    """
    n_head = n_row // 2
    head, end = _half(spec, lanes, below, n, step, n_head, n_row, first, stop, few)
    tail, end = _half(spec, lanes, below + n_head * step, n, step, n_row - n_head, n_row, first,
                      stop, end)
    return head, tail, end


@jit_strict_inner
def _quarter(spec, lanes, below, n, step, n_part, n_row, first, stop, few):
    """Write sums of `n_part` of `n_row` turns, of those of its quarters, at the beginning of `few`.

    Return as `_half`.
    """
    low, high = _part(first, n_part, n_row), _part(stop - 1, n_part, n_row) + 1
    end = few + (high - low) * step
    head, tail, _ = _halves(spec, lanes, below, n, step, n_part, low, high, end)
    return _pairs(spec, lanes, head, tail, n, step, n_part, low, high, few), end


@jit_strict_inner
def _half_of_eighths(spec, lanes, below, n, step, n_part, n_row, first, stop, few):
    """Write sums of `n_part` of `n_row` turns, of those of its eighths; return as `_half`."""
    low, high = _part(first, n_part, n_row), _part(stop - 1, n_part, n_row) + 1
    end, n_head = few + (high - low) * step, n_part // 2
    head, more = _quarter(spec, lanes, below, n, step, n_head, n_part, low, high, end)
    tail, _ = _quarter(spec, lanes, below + n_head * step, n, step, n_part - n_head, n_part, low,
                       high, more)
    return _pairs(spec, lanes, head, tail, n, step, n_part, low, high, few), end


@jit_strict
def levels_nb(n_row, step):
    """Return the levels of a tree at its root that are made at once."""
    if n_row <= LEAF:
        return 1
    return 4 if n_row * step > MANY and n_row <= MOST_TURNS else 2


@jit_strict_inner
def _part_size(n_row, n_level, k):
    """Return the turns of part `k` of a tree that has 2 to the power of `n_level` parts."""
    for level in range(n_level - 1, -1, -1):
        n_row = n_row - n_row // 2 if k >> level & 1 else n_row // 2
    return n_row


@jit_strict_inner
def _halves_of_parts(spec, lanes, below, n, step, n_row, first, stop, few):
    """Write sums of both halves, of those of four or sixteen parts; return as `_halves`."""
    if levels_nb(n_row, step) < 4:
        return _halves(spec, lanes, below, n, step, n_row, first, stop, few)
    n_head = n_row // 2
    head, end = _half_of_eighths(spec, lanes, below, n, step, n_head, n_row, first, stop, few)
    tail, end = _half_of_eighths(spec, lanes, below + n_head * step, n, step, n_row - n_head,
                                 n_row, first, stop, end)
    return head, tail, end


@jit_strict_inner
def _block(spec, lanes, below, n, step, n_row, first, stop, few, out):
    """Write sums of `n_row` turns, of those of its parts, for at most `BLOCK` drifts."""
    head, tail, _ = _halves_of_parts(spec, lanes, below, n, step, n_row, first, stop, few)
    _pairs(spec, lanes, head, tail, n, step, n_row, first, stop, out)


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
        size = BLOCK if levels_nb(n_row, step) == 4 else BLOCK // 2
        for drift in range(0, n_row, size):
            _block(spec, lanes, other, n, step, n_row, drift, min(n_row, drift + size), few,
                   here + drift * step)


@jit_strict_inner
def _push_parts(stack, n_open, turn, step, n_row, y, here, other, near):
    """Put the parts of `n_row` turns on the stack, the last first; return its new height.

    Their sums will be in rows from `here` on, and `other` is as much memory. Small parts of a large
    tree use `near` instead, so that it stays in a cache.
    """
    n_level = levels_nb(n_row, step)
    done = n_row
    for k in range(2**n_level - 1, -1, -1):
        size = _part_size(n_row, n_level, k)
        done -= size
        to = here + step * done
        stack[n_open, 0], stack[n_open, 1] = size, 0 if size > LEAF else 1
        stack[n_open, 2], stack[n_open, 3] = y + turn * done, to
        if n_level == 4 and size * step <= MANY:
            stack[n_open, 4], stack[n_open, 5] = near, near + step * size
        else:
            stack[n_open, 4], stack[n_open, 5] = other + step * done, to
        n_open += 1
    return n_open


@jit_strict
def fold_nb(spec, lanes, y, n, step, n_row, here, other, few, near, stack):
    """Compute the sums of the parts of `n_row` turns, in rows from `here` on.

    `other` is as much memory, and `near` twice `MANY`. Parts are computed depth first, with a
    stack, because calls of a function by itself cannot be kept in a cache. Return what sums of
    half of the turns cannot exceed in magnitude, if they are of int16; 0 for float32.
    """
    turn, largest = size_of(spec) * n, 0
    n_open = n_part = _push_parts(stack, 0, turn, step, n_row, y, here, other, near)
    while n_open:
        size, ready, first, to, work, next_work = stack[n_open - 1]
        if ready:
            _sums(spec, lanes, first, n, step, size, to, work, few)
            if n_open <= n_part:
                largest = max(largest, largest_of(spec, to, size, step,
                                                  -(-turn // line_of(spec))))
            n_open -= 1
        else:
            stack[n_open - 1, 1] = 1
            n_open = _push_parts(stack, n_open, turn, step, size, first, work, next_work, near)
    return largest * n_part // 2


@jit_strict_inner
def _root_halves(spec, lanes, parts, n, step, n_row, first, stop, few):
    """Return the addresses at which sums of both halves of all turns would be for a drift of 0."""
    if n_row <= LEAF:
        return parts, parts + n_row // 2 * step
    head, tail, _ = _halves_of_parts(spec, lanes, parts, n, step, n_row, first, stop, few)
    return head, tail


@jit_strict_inner
def _root(spec, lanes, head, tail, n, step, n_row, first, stop, bits, group, sums, n_more):
    """Write the running sums of profiles `first` to `stop`, one in each lane.

    The profiles, if of int16, are divided by 2 to the power of `bits`, and rounded down.
    """
    n_head, row = n_row // 2, 4 * _row_of(n, lanes)
    for drift in range(first, stop):
        i, j = _part(drift, n_head, n_row), _part(drift, n_row - n_head, n_row)
        _add_pair_as_floats(spec, lanes, head + i * step, tail + j * step, _modulo(drift - j, n),
                            n, bits, group + (drift - first) * row)
    running_sums(spec, group, row, -(-n // lanes), sums)
    # Boxcars that begin in a turn end in the next one.
    line = 4 * lanes
    whole = load(spec, sums + n * line)
    for k in range(1, n_more + PHASES):
        store(whole + load(spec, sums + k * line), sums + (n + k) * line)


@jit_strict_inner
def _short_root(spec, lanes, head, tail, n, step, n_row, first, stop, bits, group, sums, n_more):
    """Write the same as int16, of twice as many profiles; return whether they are in range."""
    n_head, n_line = n_row // 2, -(-n * size_of(spec) // line_of(spec))
    row = n_line * line_of(spec)
    for drift in range(first, stop):
        i, j = _part(drift, n_head, n_row), _part(drift, n_row - n_head, n_row)
        _add_pair_shifted(spec, head + i * step, tail + j * step, _modulo(drift - j, n), n,
                          n_line, bits, group + (drift - first) * row)
    if not running_short_sums(spec, group, row, -(-n // lanes), sums):
        return False
    line = 4 * lanes
    for k in range(1, n_more + PHASES):
        add_shorts(spec, sums + n * line, sums + k * line, sums + (n + k) * line)
    return True


@jit_strict_inner
def _search_floats(spec, lanes, head, tail, n, step, n_row, first, stop, bits, group, sums, n_more,
                   gains, best, snr, width, origin):
    """Write the results of drifts `first` to `stop`, those of `origin` at the beginning."""
    for drift in range(first, stop, lanes):
        _root(spec, lanes, head, tail, n, step, n_row, drift, min(stop, drift + lanes), bits,
              group, sums, n_more)
        best_boxcars(spec, sums, n, address_of(gains), address_of(best))
        for k in range(min(lanes, stop - drift)):
            snr[drift - origin + k] = best[k]
            width[drift - origin + k] = np.uint8(best[lanes + k])


@jit_strict
def search_nb(spec, lanes, parts, n, step, n_row, first, stop, few, group, sums, n_more, gains,
              best, snr, width):
    """Write the S/N of the best boxcar of drifts `first` to `stop`, and the number of its width."""
    for block in range(first, stop, BLOCK):
        end = min(stop, block + BLOCK)
        head, tail = _root_halves(spec, lanes, parts, n, step, n_row, block, end, few)
        _search_floats(spec, lanes, head, tail, n, step, n_row, block, end, 0, group, sums,
                       n_more, gains, best, snr, width, first)


@jit_strict
def search_short_nb(spec, lanes, parts, n, step, n_row, first, stop, few, group, sums, n_more,
                    bits, gains, best, snr, width):
    """Write the same of profiles divided by a power of two, so that int16 holds running sums.

    Where a pulse is too strong, sums are of float32. Both are exact, so that results are the same.
    """
    for block in range(first, stop, BLOCK):
        end = min(stop, block + BLOCK)
        head, tail = _root_halves(spec, lanes, parts, n, step, n_row, block, end, few)
        for drift in range(block, end, 2 * lanes):
            last = min(end, drift + 2 * lanes)
            if _short_root(spec, lanes, head, tail, n, step, n_row, drift, last, bits, group,
                           sums, n_more):
                best_short_boxcars(spec, sums, n, address_of(gains), address_of(best))
                for k in range(last - drift):
                    snr[drift - first + k] = best[k]
                    width[drift - first + k] = np.uint8(best[2 * lanes + k])
            else:
                _search_floats(spec, lanes, head, tail, n, step, n_row, drift, last, bits, group,
                               sums, n_more, gains, best, snr, width, first)


@jit_inner
def _root_of(square):
    return np.sqrt(square) if square >= 0 else -np.sqrt(-square)


@jit_strict
def search_weighted_nb(spec, lanes, parts, weights, n, step, n_row, first, stop, few, group, sums,
                       weight_sums, n_more, shared, least, best, snr, width):
    """Write the same for series with gaps; 0 where no boxcar has enough weight."""
    for drift in range(first, stop, lanes):
        end = min(stop, drift + lanes)
        for each, out in ((parts, sums), (weights, weight_sums)):
            head, tail = _root_halves(spec, lanes, each, n, step, n_row, drift, end, few)
            _root(spec, lanes, head, tail, n, step, n_row, drift, end, 0, group, out, n_more)
        best_weighted_boxcars(spec, sums, weight_sums, n, shared, address_of(least),
                              address_of(best))
        for k in range(min(lanes, stop - drift)):
            square = best[k]
            good = square > np.float32(-1e20)
            snr[drift - first + k] = _root_of(square) if good else np.float32(0)
            width[drift - first + k] = np.uint8(best[lanes + k]) if good else np.uint8(0)
