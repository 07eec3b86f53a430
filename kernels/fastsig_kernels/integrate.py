"""Integration: sums over frames, averages over channels, and their means."""

import numpy as np

from . import _check
from ._jit import jit_strict

_FLOATS = ("float32", "float64")
_MOST = 2**62  # rows; sums with this number still fit into 64 bits


def accumulate(
    power: np.ndarray, weight: np.ndarray, total: np.ndarray, total_weight: np.ndarray
) -> None:
    """Add frames, in order, to the two sums of an integration.

    ``total += sum_m power[m]`` and ``total_weight += sum_m weight[m]``

    Parameters
    ----------
    power : ndarray, shape (n_frame, n_product, n_chan), float32, any unit
        Numerators, as from `detect`.
    weight : ndarray, shape (n_frame, n_product), float64, dimensionless
        Weights, as from `detect`.
    total : ndarray, shape (n_product, n_chan), float32, unit of power
        Modified in place.
    total_weight : ndarray, shape (n_product,), float64, dimensionless
        Modified in place.

    Raises
    ------
    TypeError, ValueError
        If an array has the wrong type, dtype or shape.

    Notes
    -----
    A call allocates nothing. NaN propagates, and the GIL is released. The bits do not depend on how
    frames are split into calls.
    """
    _check.array("power", power, ("float32",), 3)
    _check.array("weight", weight, ("float64",), 2)
    _check.shape("weight", weight, power.shape[:2])
    _check.target("total", total, power.shape[1:], "float32", power, weight)
    _check.target("total_weight", total_weight, power.shape[1:2], "float64", power, weight, total)
    accumulate_nb(power, weight, total, total_weight)


@jit_strict
def accumulate_nb(power, weight, total, total_weight):
    """Add frames as `accumulate` does; arguments are not checked."""
    for m in range(power.shape[0]):
        for p in range(power.shape[1]):
            row = power[m, p]
            sums = total[p]
            total_weight[p] += weight[m, p]
            for c in range(row.size):
                sums[c] += row[c]


def accumulate_groups(
    power: np.ndarray, weight: np.ndarray, total: np.ndarray, total_weight: np.ndarray,
    n_each: int, first: int = 0,
) -> None:
    """Add rows, in order, to the sums of their groups of `n_each` rows.

    ``total[(first + m) // n_each] += power[m]``, and the same for the weights.

    Parameters
    ----------
    power : ndarray, shape (n_row, n_product, n_chan), float32 or float64, any unit
        Numerators.
    weight : ndarray, shape (n_row, n_product, 1 or n_chan), float64, dimensionless
        Weights of the numerators.
    total : ndarray, shape (n_group, n_product, n_chan), dtype and unit of power
        Modified in place.
    total_weight : ndarray, shape (n_group, n_product, 1 or n_chan), float64, dimensionless
        Modified in place.
    n_each : int
        Number of rows in a group.
    first : int
        Index of the first row, counted from the first row of the first group.

    Raises
    ------
    TypeError, ValueError
        If an array has the wrong type, dtype or shape, or rows lie beyond the last group.

    Notes
    -----
    A call allocates nothing for C-contiguous arrays. NaN propagates, and the GIL is released. The
    bits do not depend on how rows are split into calls.
    """
    _check.array("power", power, _FLOATS, 3)
    _check.array("weight", weight, ("float64",), 3)
    wide = weight.shape[2]
    if wide not in (1, power.shape[2]):
        raise ValueError(f"weight: found {wide} channels, allowed 1 or {power.shape[2]}")
    _check.shape("weight", weight, (*power.shape[:2], wide))
    n_each = _check.count("n_each", n_each, maximum=_MOST)
    _check.array("total", total, (power.dtype.name,), 3)
    n_group = len(total)
    _check.target("total", total, (n_group, *power.shape[1:]), power.dtype.name, power, weight)
    _check.target("total_weight", total_weight, (n_group, power.shape[1], wide), "float64",
                  power, weight, total)
    first = _check.count("first", first, 0, _MOST)
    if first + len(power) > n_group * n_each:
        raise ValueError(f"first: found {first}, allowed 0 to {n_group * n_each - len(power)} of "
                         f"{len(power)} rows")
    accumulate_groups_nb(np.ascontiguousarray(power), np.ascontiguousarray(weight), total,
                         total_weight, n_each, first)


@jit_strict
def accumulate_groups_nb(power, weight, total, total_weight, n_each, first):
    """Add rows as `accumulate_groups` does; arguments are not checked."""
    for m in range(power.shape[0]):
        group = (first + m) // n_each
        for p in range(power.shape[1]):
            row = power[m, p]
            sums = total[group, p]
            weights = weight[m, p]
            weight_sums = total_weight[group, p]
            for c in range(weights.size):
                weight_sums[c] += weights[c]
            for c in range(row.size):
                sums[c] += row[c]


def average_channels(total: np.ndarray, n: int, *, out: np.ndarray | None = None) -> np.ndarray:
    """Average every `n` neighbouring channels.

    ``out[..., q] = (1 / n) sum_{i < n} total[..., q n + i]``, added in that order.

    Parameters
    ----------
    total : ndarray, shape (..., n_chan), float32 or float64, any unit
        Up to three axes, with any strides.
    n : int
        Number of channels to average; must divide n_chan.
    out : ndarray, shape (..., n_chan // n), float64, unit of total, optional
        Receives the result.

    Returns
    -------
    ndarray, shape (..., n_chan // n), float64, unit of total
        `out`, or a new array.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, or n does not divide n_chan.

    Notes
    -----
    A call allocates nothing when `out` is given. NaN propagates, and the GIL is released.
    """
    _check.array("total", total, _FLOATS, (1, 2, 3))
    n = _check.count("n", n)
    n_chan = total.shape[-1]
    if n_chan % n:
        raise ValueError(f"n: found {n}, allowed a divisor of n_chan = {n_chan}")
    out = _check.output("out", out, (*total.shape[:-1], n_chan // n), "float64", total)
    average_channels_nb(_as_3d(total), n, _as_3d(out))
    return out


@jit_strict
def average_channels_nb(total, n, out):
    """Fill `out` as `average_channels` does, for three axes; nothing is checked."""
    for i in range(out.shape[0]):
        for p in range(out.shape[1]):
            for q in range(out.shape[2]):
                group = total[i, p, q * n : (q + 1) * n]
                value = 0.0
                for c in range(n):
                    value += np.float64(group[c])
                out[i, p, q] = value / n


def normalize(
    total: np.ndarray,
    total_weight: np.ndarray,
    n_full: int,
    *,
    out: np.ndarray | None = None,
    out_weight: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the mean power and weight of integrations from their two sums.

    ``out = total / total_weight`` and ``out_weight = total_weight / n_full``

    Parameters
    ----------
    total : ndarray, shape (..., n_product, n_chan), float32 or float64, any unit
        Sums of numerators; two or three axes.
    total_weight : ndarray, shape (..., n_product), float64, dimensionless
        Sums of weights.
    n_full : int
        Number of frames in a whole integration.
    out : ndarray, shape of total, float32, unit of total, optional
        Receives the means: NaN where the weight is 0.
    out_weight : ndarray, shape of total_weight, float32, dimensionless, optional
        Receives the weights, 1 for a whole integration without losses.

    Returns
    -------
    out, out_weight : ndarray
        As above; new arrays if none were given.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, dtype or shape.

    Notes
    -----
    A call allocates nothing when both outputs are given. NaN propagates, and the GIL is released.
    """
    _check.array("total", total, _FLOATS, (2, 3))
    _check.array("total_weight", total_weight, ("float64",), total.ndim - 1)
    _check.shape("total_weight", total_weight, total.shape[:-1])
    n_full = _check.count("n_full", n_full, maximum=_MOST)
    out = _check.output("out", out, total.shape, "float32", total, total_weight)
    out_weight = _check.output("out_weight", out_weight, total_weight.shape, "float32",
                               total, total_weight, out)
    weights = _as_3d(total_weight)[0], _as_3d(out_weight)[0]
    normalize_nb(_as_3d(total), weights[0], n_full, _as_3d(out), weights[1])
    return out, out_weight


@jit_strict
def normalize_nb(total, total_weight, n_full, out, out_weight):
    """Fill both outputs as `normalize` does, for three axes; nothing is checked."""
    for i in range(total.shape[0]):
        for p in range(total.shape[1]):
            weight = total_weight[i, p]
            out_weight[i, p] = np.float32(weight / n_full)
            row = total[i, p]
            mean = out[i, p]
            single = np.float32(weight)
            if weight == 0:
                mean[:] = np.float32(np.nan)
            elif np.float64(single) == weight:
                # Gives the same bits as double precision, which rounds harmlessly, and is faster.
                _divide_nb(row, single, mean)
            else:
                _divide_nb(row, weight, mean)


@jit_strict
def _divide_nb(row, weight, mean):
    for c in range(row.size):
        mean[c] = np.float32(row[c] / weight)


@jit_strict
def outer_means_nb(total, weight, n_full, out, out_weight):
    """Compute the means and weights of one integration; nothing is checked.

    `total` is (product, chan) float64, `weight` (product, 1 or chan) float64; `out` and
    `out_weight` have the same shapes in float32.
    """
    for p in range(total.shape[0]):
        row, weights, mean = total[p], weight[p], out[p]
        for c in range(weights.size):
            out_weight[p, c] = np.float32(weights[c] / n_full)
        if weights.size == 1:
            one = weights[0]
            for c in range(row.size):
                mean[c] = np.float32(row[c] / one) if one > 0.0 else np.float32(np.nan)
        else:
            for c in range(row.size):
                w = weights[c]
                mean[c] = np.float32(row[c] / w) if w > 0.0 else np.float32(np.nan)


@jit_strict
def close_sums_nb(rows, weights, closes, n_full, means, outer, outer_weight, out, out_weight):
    """Add inner sums to outer ones, and finish those that end; nothing is checked.

    `rows` is (inner sum, stream, product or more, chan) float32, `weights` (inner sum, product)
    float64, and `closes` marks inner sums with which an outer one ends. `outer` is (stream,
    product, chan) and `outer_weight` (product, 1), float64, modified in place. `out` and
    `out_weight` receive `outer_means_nb` of each outer sum, or the sums and weights themselves if
    `means` is false.
    """
    done = 0
    for i in range(rows.shape[0]):
        for p in range(outer.shape[1]):
            for s in range(outer.shape[0]):
                row, sums = rows[i, s, p], outer[s, p]
                for c in range(row.size):
                    sums[c] += np.float64(row[c])
            outer_weight[p, 0] += weights[i, p]
        if closes[i]:
            if means:
                for s in range(outer.shape[0]):
                    outer_means_nb(outer[s], outer_weight, n_full, out[done, s], out_weight[done])
            else:
                out[done] = outer
                out_weight[done] = outer_weight
            outer[:] = 0.0
            outer_weight[:] = 0.0
            done += 1


@jit_strict
def add_kept_nb(total, weight, kept, outer, outer_weight):
    """Add an inner sum to an outer one where it is kept; nothing is checked.

    `total` is (product, chan) float32, `weight` (product,), `kept` (chan,) bool; `outer` and
    `outer_weight` are (product, chan) float64, and are modified in place.
    """
    for p in range(total.shape[0]):
        row, sums, weights = total[p], outer[p], outer_weight[p]
        one = weight[p]
        for c in range(row.size):
            # Select instead of multiplying, so that excluded NaN has no effect.
            sums[c] += np.float64(row[c]) if kept[c] else 0.0
            weights[c] += one if kept[c] else 0.0


@jit_strict
def sum_weights_nb(weight, ends, total, out):
    """Sum rows in order; a sum ends at each row where `ends` is set.

    `total` is the initial value of the first sum, and receives the unfinished last sum. `weight`
    is (frame, product) float64, `ends` (frame,) uint8, `total` (product,) float64, modified in
    place, and `out` (sum, product) float64.
    """
    done = 0
    for m in range(weight.shape[0]):
        for p in range(weight.shape[1]):
            total[p] += weight[m, p]
        if ends[m]:
            for p in range(weight.shape[1]):
                out[done, p] = total[p]
                total[p] = 0.0
            done += 1


def _as_3d(x: np.ndarray) -> np.ndarray:
    return x[(None,) * (3 - x.ndim)]
