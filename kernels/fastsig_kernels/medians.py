"""Medians of groups, columns and running windows, ignoring flagged and non-finite values."""

import numpy as np

from . import _check
from ._jit import jit_strict

#: A median absolute deviation times this is the standard deviation of Gaussian noise:
#: 1 / Phi^-1(3/4).
MAD_SIGMA = 1.482602218505602

_TILE = 64  # columns processed together, so that the counts for each stay in the cache
_GROUPS = 256  # groups that are sorted together
_SORTED = 32  # values of a group up to which that is faster than halving the range
_LONG = 2**18  # keys that stay in the cache while they are counted many times
_CROWD = 4  # times more keys than are still possible, from which those are moved together
_FEW = 8  # up to this many values, sorting is faster than halving the range
_ZERO = np.int64(0)  # a literal would have functions compiled once more
_MOST, _LEAST = np.int32(2**31 - 1), np.int32(-(2**31))
_EXPONENT = np.int32(0x7F800000)  # bits of a float's exponent


def group_median(
    x: np.ndarray, n: int, *, flags: np.ndarray | None = None, out: np.ndarray | None = None
) -> np.ndarray:
    """Return the median of the valid values in each group of `n` neighbours.

    ``out[i, q] = median of x[i, q n : (q + 1) n]``; for an even number of values, the mean of
    the middle two.

    Parameters
    ----------
    x : ndarray, shape (n_row, n_value), float32, any unit
        Values, with any strides.
    n : int
        Number of neighbours in a group; the last group of a row may have fewer.
    flags : ndarray, shape of x, bool, optional
        Values to ignore, in addition to those that are not finite.
    out : ndarray, shape (n_row, ceil(n_value / n)), float32, unit of x, optional
        Receives the medians; NaN where no value is valid.

    Returns
    -------
    ndarray, shape (n_row, ceil(n_value / n)), float32, unit of x
        `out`, or a new array.

    Raises
    ------
    TypeError, ValueError
        If an array has the wrong type, dtype or shape, or n is below 1.

    Notes
    -----
    A call allocates memory for one group when `out` is given. NaN is ignored, and the GIL is
    released.
    """
    _check.array("x", x, ("float32",), 2)
    n = _check.count("n", n)
    flags = _flags(flags, x)
    out = _check.output("out", out, (x.shape[0], -(-x.shape[1] // n)), "float32", x, flags)
    group_median_nb(x, n, flags, out)
    return out


@jit_strict
def group_median_nb(x, n, flags, out):
    """Fill `out` as `group_median` does; `flags` may be of shape (0, 0); nothing is checked."""
    values = np.empty(min(n, x.shape[1]), np.float32)
    whole = x.shape[1] // n if 1 < n <= _SORTED else 0
    if whole > 0:
        _sorted_groups(x, n, flags, whole, out)
    for i in range(x.shape[0]):
        for q in range(whole, out.shape[1]):
            out[i, q] = _group(x, flags, i, q, n, values)


@jit_strict
def _group(x, flags, i, q, n, values):
    """Return the median of the valid values of a group."""
    some = flags.size > 0
    first, stop = q * n, min((q + 1) * n, x.shape[1])
    if not some:  # most groups are valid as a whole, which vector code finds out
        row, is_whole = x[i, first:stop], True
        for c in range(row.size):
            values[c] = row[c]
        for value in values[: row.size]:  # a loop of its own, which is vector code for any stride
            is_whole &= abs(value) < np.float32(np.inf)
        if is_whole:
            return median_nb(values, row.size)
    count = _ZERO
    for c in range(first, stop):
        values[count] = x[i, c]
        count += np.isfinite(x[i, c]) and not (some and flags[i, c])
    return median_nb(values, count)


@jit_strict
def _sorted_groups(x, n, flags, whole, out):
    """Fill `out` for groups of `n` values, many of which are sorted together."""
    many = np.empty((n, _GROUPS), np.float32)
    made, values, good = np.empty(_GROUPS, np.float32), np.empty(n, np.float32), np.empty(
        _GROUPS, np.bool_)
    some, total = flags.size > 0, x.shape[0] * whole
    for first in range(0, total, _GROUPS):
        count = min(_GROUPS, total - first)
        i, q = first // whole, first % whole
        for g in range(count):
            valid = True
            for k in range(n):
                value = x[i, q * n + k]
                many[k, g] = value
                valid &= abs(value) < np.inf
                valid &= not (some and flags[i, q * n + k])
            good[g] = valid
            q += 1
            i, q = (i + 1, _ZERO) if q == whole else (i, q)
        _sort_groups(many, n, count, made)
        i, q = first // whole, first % whole
        for g in range(count):
            out[i, q] = made[g] if good[g] else _group(x, flags, i, q, n, values)
            q += 1
            i, q = (i + 1, _ZERO) if q == whole else (i, q)


@jit_strict
def _sort_groups(many, n, count, out):
    """Sort groups by exchanging neighbours, all groups at once; return their medians."""
    for turn in range(n):
        for k in range(turn % 2, n - 1, 2):
            one, two = many[k], many[k + 1]
            for g in range(count):
                a, b = one[g], two[g]
                one[g] = a if a < b else b
                two[g] = b if a < b else a
    low, high = many[(n - 1) // 2], many[n // 2]
    for g in range(count):
        out[g] = np.float32(0.5 * (np.float64(low[g]) + np.float64(high[g])))


@jit_strict
def median_nb(values, n):
    """Return the median of the first `n` float32 values, which must be contiguous and not NaN.

    The values are overwritten. The bits of floats, interpreted as integers, are in the order of the
    floats except for the sign. Counting the values below a limit is vector code without
    unpredictable branches, so narrowing the range of integers is about ten times faster than
    sorting the values. The limit is where the median would be if the values were evenly distributed
    in the range. After a limit that left more than half of the values, it is the middle of the
    range. If the values exceed the cache, those outside the range are removed when few are left in
    it.
    """
    if n == 0:
        return np.float32(np.nan)
    if n <= _FEW:
        return _sorted_median(values, n)
    keys = values[:n].view(np.int32)
    low = high = key_nb(keys[0])
    for i in range(n):
        keys[i] = key_nb(keys[i])
        low, high = min(low, keys[i]), max(high, keys[i])
    half, some, other = n // 2, keys, _LEAST  # `other` is the greatest key that was removed below
    below, upto = 0, n  # keys below `low`, and up to `high`
    before = n  # keys in the range before it was narrowed last
    while low < high:  # find the greatest key with `half` or fewer keys below it
        if below == half:
            low = _least_from_nb(some, low)
            break
        if upto == half + 1:
            low = _greatest_to_nb(some, high)
            break
        span, inside = np.int64(high) - np.int64(low), upto - below
        if 2 * inside > before:
            middle = np.int32(high - span // 2)
        else:
            part = np.int64(span * ((half - below + 0.5) / inside))
            middle = np.int32(low + 1 + min(part, span - 1))
        count, before = count_below_nb(some, middle), inside
        if count <= half:
            low, below = middle, count
        else:
            high, upto = np.int32(middle - 1), count
        if some.size > _LONG and _CROWD * (upto - below) < some.size:
            other = max(other, _greatest_below_nb(some, low))
            some = some[: _keep_nb(some, low, high)]
            half, upto, below = half - below, upto - below, 0
    if n % 2 == 0 and count_below_nb(some, low) == half:
        other = max(other, _greatest_below_nb(some, low))
    else:
        other = low
    keys[0] = key_nb(low)
    upper = np.float64(values[0])
    keys[0] = key_nb(other)
    return np.float32(0.5 * (np.float64(values[0]) + upper))


@jit_strict
def _greatest_below_nb(keys, limit):
    """Return the greatest key below a limit, or the least integer."""
    greatest = _LEAST
    for i in range(keys.size):
        greatest = max(greatest, keys[i] if keys[i] < limit else _LEAST)
    return greatest


@jit_strict
def _greatest_to_nb(keys, limit):
    """Return the greatest key that is not above a limit; there is one."""
    greatest = _LEAST
    for i in range(keys.size):
        greatest = max(greatest, keys[i] if keys[i] <= limit else _LEAST)
    return greatest


@jit_strict
def _least_from_nb(keys, limit):
    """Return the least key that is not below a limit; there is one."""
    least = _MOST
    for i in range(keys.size):
        least = min(least, keys[i] if keys[i] >= limit else _MOST)
    return least


@jit_strict
def _keep_nb(keys, low, high):
    """Move the keys from `low` to `high` to the front; return their number."""
    n = 0
    for i in range(keys.size):
        key = keys[i]
        keys[n] = key
        n += np.int64(key >= low) & np.int64(key <= high)
    return n


@jit_strict
def _sorted_median(values, n):
    for i in range(1, n):
        value = values[i]
        j = i
        while j > 0 and values[j - 1] > value:
            values[j] = values[j - 1]
            j -= 1
        values[j] = value
    return np.float32(0.5 * (np.float64(values[(n - 1) // 2]) + np.float64(values[n // 2])))


@jit_strict
def key_nb(bits):
    """Convert a float's bits to an integer that sorts in the order of floats, and back."""
    return np.int32(bits ^ ((bits >> 31) & 0x7FFFFFFF))


@jit_strict
def count_below_nb(keys, limit):
    """Return how many keys are below a limit."""
    count = np.int32(0)
    for i in range(keys.size):
        count = np.int32(count + (keys[i] < limit))
    return count


def column_median(
    x: np.ndarray, *, flags: np.ndarray | None = None, out: np.ndarray | None = None
) -> np.ndarray:
    """Return the median of the valid values in each column.

    ``out[c] = median of x[:, c]``; for an even number of values, the mean of the middle two.

    Parameters
    ----------
    x : ndarray, shape (n_row, n_column), float32, any unit
        Values, with any strides; fastest if columns are neighbours in memory.
    flags : ndarray, shape of x, bool, optional
        Values to ignore, in addition to those that are not finite.
    out : ndarray, shape (n_column,), float32, unit of x, optional
        Receives the medians; NaN where no value is valid.

    Returns
    -------
    ndarray, shape (n_column,), float32, unit of x
        `out`, or a new array.

    Raises
    ------
    TypeError, ValueError
        If an array has the wrong type, dtype or shape.

    Notes
    -----
    A call allocates memory for 64 columns when `out` is given. NaN is ignored, and the GIL is
    released.
    """
    _check.array("x", x, ("float32",), 2)
    flags = _flags(flags, x)
    out = _check.output("out", out, (x.shape[1],), "float32", x, flags)
    column_median_nb(x, flags, out)
    return out


@jit_strict
def column_median_nb(x, flags, out):
    """Fill `out` as `column_median` does; `flags` may be of shape (0, 0); nothing is checked."""
    keys = np.empty((max(1, x.shape[0]), _TILE), np.int32)
    valid, count = np.empty(_TILE, np.int32), np.empty(_TILE, np.int32)
    low, high, middle = (np.empty(_TILE, np.int32), np.empty(_TILE, np.int32),
                         np.empty(_TILE, np.int32))
    for first in range(0, x.shape[1], _TILE):
        width = min(_TILE, x.shape[1] - first)
        _take_keys(x, flags, first, width, keys, valid, low, high)
        _halve(keys[: x.shape[0]], valid, low, high, middle, count, width)
        _lower_middle(keys[: x.shape[0]], valid, low, middle, count, width)
        for c in range(width):
            low[c], middle[c] = key_nb(low[c]), key_nb(middle[c])
        one, two = low.view(np.float32), middle.view(np.float32)
        for c in range(width):
            mean = np.float32(0.5 * (np.float64(one[c]) + np.float64(two[c])))
            out[first + c] = mean if valid[c] > 0 else np.float32(np.nan)


@jit_strict
def _take_keys(x, flags, first, width, keys, valid, low, high):
    """Compute the keys of a tile of columns, and their range; invalid values get the top key."""
    floats = keys.view(np.float32)
    some = flags.size > 0
    valid[:], low[:], high[:] = 0, _MOST, _LEAST
    for m in range(x.shape[0]):
        row, line, part = floats[m], keys[m], x[m, first : first + width]
        for c in range(width):
            row[c] = part[c]
        if some:
            lost = flags[m, first : first + width]
            for c in range(width):
                row[c] = np.float32(np.nan) if lost[c] else row[c]
        for c in range(width):
            bits = line[c]
            # Exponents of finite values are not all ones; integers are compared faster.
            good = (bits & _EXPONENT) != _EXPONENT
            key = np.int32(bits ^ ((bits >> 31) & 0x7FFFFFFF))
            line[c] = key if good else _MOST
            low[c] = min(low[c], key if good else _MOST)
            high[c] = max(high[c], key if good else _LEAST)
            valid[c] += np.int32(good)


@jit_strict
def _halve(keys, valid, low, high, middle, count, width):
    """Raise `low` to the greatest key with at most half of the column's valid keys below it."""
    left = True
    while left:
        left = False
        for c in range(width):
            span = (np.int64(high[c]) - np.int64(low[c])) // 2
            middle[c] = np.int32(high[c] - span) if high[c] > low[c] else low[c]
            count[c] = 0
        _count_each(keys, middle, count, width)
        for c in range(width):
            if low[c] < high[c]:
                if count[c] <= valid[c] // 2:
                    low[c] = middle[c]
                else:
                    high[c] = np.int32(middle[c] - 1)
                left |= low[c] < high[c]


@jit_strict
def _count_each(keys, limit, count, width):
    """Add the number of keys below the limit of each column, eight rows at a time."""
    whole = keys.shape[0] // 8 * 8
    for m in range(0, whole, 8):
        a, b, c, d = keys[m], keys[m + 1], keys[m + 2], keys[m + 3]
        e, f, g, h = keys[m + 4], keys[m + 5], keys[m + 6], keys[m + 7]
        for k in range(width):
            most = limit[k]
            count[k] += np.int32(
                np.int32(np.int32(a[k] < most) + np.int32(b[k] < most))
                + np.int32(np.int32(c[k] < most) + np.int32(d[k] < most))
                + np.int32(np.int32(e[k] < most) + np.int32(f[k] < most))
                + np.int32(np.int32(g[k] < most) + np.int32(h[k] < most)))
    for m in range(whole, keys.shape[0]):
        for k in range(width):
            count[k] += np.int32(keys[m, k] < limit[k])


@jit_strict
def _lower_middle(keys, valid, upper, lower, count, width):
    """Find the lower of a column's middle two keys; for an odd number both are the same."""
    for c in range(width):
        lower[c], count[c] = _LEAST, 0
    _count_each(keys, upper, count, width)
    for m in range(keys.shape[0]):
        for c in range(width):
            lower[c] = max(lower[c], keys[m, c] if keys[m, c] < upper[c] else _LEAST)
    for c in range(width):
        if valid[c] % 2 == 1 or count[c] < valid[c] // 2:
            lower[c] = upper[c]


def running_median(
    x: np.ndarray, width: int, *, flags: np.ndarray | None = None, even: bool = True,
    out: np.ndarray | None = None, out_scale: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the median, and the scale, of the valid values in a window around each value.

    ``out[i, c] = median of x[i, c - h : c + h + 1]`` and ``out_scale[i, c] = 1.4826 median of
    |x - out[i, c]|`` over the same window, with h = (width - 1) / 2. For an even number of
    values, the median is the mean of the middle two.

    Parameters
    ----------
    x : ndarray, shape (n_row, n_value), float32, any unit
        Values, with any strides; windows lie along rows.
    width : int
        Length of the window, an odd number. Beyond a few hundred values, the time is proportional
        to it.
    flags : ndarray, shape of x, bool, optional
        Values to ignore, in addition to those that are not finite.
    even : bool
        Whether windows at the ends of a row shrink on both sides, so that a slope leaves no
        residual. Otherwise they keep their length and are moved to fit into the row.
    out, out_scale : ndarray, shape of x, float32, unit of x, optional
        Receive the median and the scale; NaN where no value is valid.

    Returns
    -------
    out, out_scale : ndarray
        As above; new arrays if none were given.

    Raises
    ------
    TypeError, ValueError
        If an array has the wrong type, dtype or shape, or the width is even.

    Notes
    -----
    A call allocates one window when both outputs are given. NaN is ignored, and the GIL is
    released.
    """
    _check.array("x", x, ("float32",), 2)
    width = _check.count("width", width)
    if width % 2 == 0:
        raise ValueError(f"width: found {width}, allowed an odd number")
    flags, even = _flags(flags, x), _check.flag("even", even)
    out = _check.output("out", out, x.shape, "float32", x, flags)
    out_scale = _check.output("out_scale", out_scale, x.shape, "float32", x, flags, out)
    running_median_nb(x, width, flags, even, out, out_scale)
    return out, out_scale


@jit_strict
def running_median_nb(x, width, flags, even, out, out_scale):
    """Fill the outputs as `running_median` does; `flags` may be (0, 0); nothing is checked."""
    n = x.shape[1]
    half = min(width // 2, n)
    window = np.empty(min(width, n) + 1, np.float32)
    for i in range(x.shape[0]):
        first, stop, count = _ZERO, _ZERO, _ZERO
        for c in range(n):
            if even:
                reach = min(half, min(c, n - 1 - c))
                begin, end = c - reach, c + reach + 1
            else:
                begin = max(0, min(c - half, n - width))
                end = min(n, begin + width)
            while stop < end:
                count = _enter(window, count, x, flags, i, stop)
                stop += 1
            while first < begin:
                count = _leave(window, count, x, flags, i, first)
                first += 1
            out[i, c], out_scale[i, c] = _middle(window, count)


@jit_strict
def _valid(x, flags, i, c):
    return np.isfinite(x[i, c]) and not (flags.size > 0 and flags[i, c])


@jit_strict
def _enter(window, count, x, flags, i, c):
    """Insert a value, if it is valid, into a sorted window; return the new count."""
    if not _valid(x, flags, i, c):
        return count
    value = x[i, c]
    place = place_nb(window, count, value)
    for k in range(count, place, -1):
        window[k] = window[k - 1]
    window[place] = value
    return count + 1


@jit_strict
def _leave(window, count, x, flags, i, c):
    """Remove a value, if it is valid, from a sorted window; return the new count."""
    if not _valid(x, flags, i, c):
        return count
    for k in range(place_nb(window, count, x[i, c]), count - 1):
        window[k] = window[k + 1]
    return count - 1


@jit_strict
def place_nb(window, count, value):
    """Return the index of the first of `count` ascending values that is not below `value`."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if window[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@jit_strict
def _middle(window, count):
    """Return the median of a sorted window, and 1.4826 times its median absolute deviation."""
    if count == 0:
        return np.float32(np.nan), np.float32(np.nan)
    low, high = np.float64(window[(count - 1) // 2]), np.float64(window[count // 2])
    median = np.float32(0.5 * (low + high))
    center = np.float64(median)
    wanted = count // 2
    # Deviations increase from the middle to both sides. The search determines how many of the
    # `rank` + 1 smallest lie above the median.
    one = _deviation(window, count, center, wanted)
    if count % 2 == 0:
        one = 0.5 * (one + _deviation(window, count, center, wanted - 1))
    return median, np.float32(MAD_SIGMA * one)


@jit_strict
def _deviation(window, count, center, rank):
    """Return the deviation of a given rank, counted from 0, of a sorted window from `center`."""
    split = count // 2
    # `taken` of the rank + 1 smallest are at or above `split`, the others below it.
    low, high = max(0, rank + 1 - split), min(rank + 1, count - split)
    while low < high:
        taken = (low + high) // 2
        left = split - 1 - (rank - taken)
        if np.float64(window[split + taken]) - center < center - np.float64(window[left]):
            low = taken + 1
        else:
            high = taken
    most = 0.0
    if low > 0:
        most = max(most, abs(np.float64(window[split + low - 1]) - center))
    if low < rank + 1:
        most = max(most, abs(center - np.float64(window[split - (rank + 1 - low)])))
    return most


def _flags(flags: np.ndarray | None, x: np.ndarray) -> np.ndarray:
    if flags is None:
        return np.empty((0, 0), np.bool_)
    _check.array("flags", flags, ("bool",), 2)
    _check.shape("flags", flags, x.shape)
    return flags
