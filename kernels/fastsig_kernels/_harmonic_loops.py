"""Loops of the search for sums of harmonics: blocks of half bins, and the best of their groups."""

import numpy as np

from ._harmonic_vectors import BLOCK, half_bin_block, harmonic_block
from ._jit import jit, jit_inner
from ._passes import block_lanes
from ._periodic_tables import GROUP
from ._simd import address_of


@jit
def half_bins_nb(spec, x, n_side, table, factor, out):
    """Fill the powers of bins and half bins; `x` are pairs of float32, `out` twice as many bins.

    Amplitudes beyond both ends are 0.
    """
    lanes, n = block_lanes(spec), x.size // 2
    first = min(n, n_side)
    last = max(first, n - n_side - lanes)
    stop = first + (last - first) // lanes * lanes
    _edge_nb(x, n, 0, first, table, factor, out)
    place, coefficients, result = address_of(x), address_of(table), address_of(out)
    for k in range(first, stop, lanes):
        half_bin_block(spec, place + 8 * k, coefficients, factor, result + 8 * k)
    _edge_nb(x, n, stop, n, table, factor, out)


@jit_inner
def _edge_nb(x, n, first, stop, table, factor, out):
    for k in range(first, stop):
        re, im = np.float32(0), np.float32(0)
        for j in range(1, table.size + 1):
            if k + 1 - j >= 0:
                re += table[j - 1] * x[2 * (k + 1 - j)]
                im += table[j - 1] * x[2 * (k + 1 - j) + 1]
            if k + j < n:
                re -= table[j - 1] * x[2 * (k + j)]
                im -= table[j - 1] * x[2 * (k + j) + 1]
        out[2 * k] = x[2 * k] * x[2 * k] + x[2 * k + 1] * x[2 * k + 1]
        out[2 * k + 1] = (re * re + im * im) * factor


@jit
def fill_invalid_nb(valid, value, power):
    """Give bins that are not valid, and the half bins beside them, a power."""
    for k in range(valid.size):
        if not valid[k]:
            power[2 * k] = power[2 * k + 1] = value
            if k > 0:
                power[2 * k - 1] = value


@jit
def search_nb(spec, power, valid, first, last, limits, thresholds, tops, place, values, n_found):
    """Search blocks from half bin `first` to `last`; return the first that there was no room for.

    `limits` are the sums of each stage above which a block is examined, `thresholds` those of each
    number of valid powers, and `tops` the first half bin and the one after the last of each stage.
    Results are appended to `place` (half bin, stage, number of valid powers) and `values` (sum, and
    its excess over the threshold); their number is in `n_found`.
    """
    powers, levels = address_of(power), address_of(limits)
    at = first
    while at < last:
        if n_found[0] + tops.shape[0] * (BLOCK // GROUP) > place.shape[0]:
            return at
        found = harmonic_block(spec, at, powers, levels)
        if found:
            for k in range(tops.shape[0]):
                if found >> k & 1:
                    for group in range(at, at + BLOCK, GROUP):
                        _best_nb(power, valid, group, k, thresholds, tops, place, values, n_found)
        at += BLOCK
    return at


@jit_inner
def _best_nb(power, valid, group, stage, thresholds, tops, place, values, n_found):
    """Append the best sum of a group, if it is not below the threshold."""
    n, best = 1 << stage, n_found[0]
    excess = -np.inf
    for i in range(max(group, tops[stage, 0]), min(group + GROUP, tops[stage, 1])):
        total, count = np.float64(0), 0
        for part in range(1, n + 1):
            at = (2 * i * part + n) // (2 * n)
            if is_valid_nb(valid, at):
                total += power[at]
                count += 1
        if count > 0 and total - thresholds[count - 1] > excess:
            excess = total - thresholds[count - 1]
            place[best, 0], place[best, 1], place[best, 2] = i, stage, count
            values[best, 0], values[best, 1] = total, excess
    if excess >= 0:
        n_found[0] += 1


@jit_inner
def is_valid_nb(valid, at):
    """Return whether a half bin is valid: between two bins, if both are."""
    if valid.size == 0:
        return True
    k = at >> 1
    return valid[k] and (at & 1 == 0 or k + 1 >= valid.size or valid[k + 1])


@jit
def prune_nb(place, values, n_found, most):
    """Keep the `most` sums with the largest excess, in their order; return how many were dropped.

    Of equal ones, those that came first are kept.
    """
    n = n_found[0]
    if n <= most:
        return 0
    least = np.sort(values[:n, 1])[n - most]
    equal = most
    for i in range(n):
        equal -= values[i, 1] > least
    kept = 0
    for i in range(n):
        if values[i, 1] > least or (values[i, 1] == least and equal > 0):
            equal -= values[i, 1] == least
            place[kept], values[kept] = place[i], values[i]
            kept += 1
    n_found[0] = kept
    return n - kept
