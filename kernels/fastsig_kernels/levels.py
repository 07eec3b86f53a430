"""Levels and noise of channels over time, and deviations from them, converted to Gaussian ones."""

import math
from typing import Any

import numpy as np

from . import _check
from ._jit import jit_strict
from ._level_steps import FIRST_ROWS, REACH, RUN, renew_nb
from .medians import MAD_SIGMA, column_median_nb

#: Types of spectra from which a series may be subtracted as they are read.
KINDS = ("float32", "uint8")

_TILE = 64  # channels that are processed together
BEND = np.float32(0.8)  # cube root below which its tangent takes its place
LEAST = BEND * BEND * BEND  # the value of this root
SLOPE = np.float32(1) / (np.float32(3) * BEND * BEND)  # of the tangent
THIRD = np.float32(1 / 3)
CUBE_ROOT = np.int32(709_921_077)  # with a third of a float's bits, the bits of about its root


def channel_levels(
    x: np.ndarray, *, series: np.ndarray | None = None, out: np.ndarray | None = None,
    out_sigma: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the standard deviation of each channel, without outliers.

    The first estimates are the median and the median absolute deviation of up to 63 rows that are
    spread over all rows; the second and third estimates are the mean and the standard deviation of
    the values within three standard deviations of the previous mean. The standard deviation is
    divided by 0.986578, which corrects it for Gaussian noise. The second estimate uses 64 rows or
    more that are spread over all rows, and the third estimate uses all rows.

    Parameters
    ----------
    x : ndarray, shape (n_time, n_chan), float32 or uint8, any unit
        Spectra, with any strides; NaN is ignored.
    series : ndarray, shape (n_time,), float32, unit of x, optional
        Values that are first subtracted from all channels, as by `subtract_series`.
    out, out_sigma : ndarray, shape (n_chan,), float32, unit of x, optional
        Receive the mean and the standard deviation, which are NaN where no value is valid. The
        standard deviation is 0 for channels that are constant.

    Returns
    -------
    out, out_sigma : ndarray
        As above; new arrays if none were given.

    Raises
    ------
    TypeError, ValueError
        If an array has the wrong type, dtype or shape.

    Notes
    -----
    A call allocates a few lines of working memory when both outputs are given, and a copy of x if
    its channels are not neighbours in memory. NaN is ignored, and the GIL is released. Differences
    are added in float32 over 64 rows, and these sums in float64.
    """
    _check.array("x", x, KINDS, 2)
    check_series(x, series)
    out = _check.output("out", out, x.shape[1:], "float32", x, series)
    out_sigma = _check.output("out_sigma", out_sigma, x.shape[1:], "float32", x, series, out)
    if x.size:
        _levels(x, np.zeros(len(x), np.float32) if series is None else series, out, out_sigma)
    else:
        out.fill(np.nan)
        out_sigma.fill(np.nan)
    return out, out_sigma


def _levels(x: np.ndarray, series: np.ndarray, out: np.ndarray, out_sigma: np.ndarray) -> None:
    from ._level_loops import LANES, levels_nb
    from ._simd import Spec

    if x.strides[1] != x.itemsize:
        x = np.ascontiguousarray(x)
    spec, floats = (Spec(kind=kind, lanes=LANES) for kind in (x.dtype.str[1:], "f4"))
    levels_nb(spec, floats, x, np.ascontiguousarray(series), out, out_sigma)


def check_series(x: Any, series: Any) -> None:
    """Refuse `series` unless it has a value for each row of x, or is None."""
    if series is not None:
        _check.array("series", series, ("float32",), 1)
        _check.shape("series", series, x.shape[:1])


@jit_strict
def channel_levels_nb(x, series, out, out_sigma):
    """Fill the outputs as `channel_levels` does; nothing is checked."""
    n_time, n_chan = x.shape
    step = max(1, -(-n_time // FIRST_ROWS))
    some = np.empty((-(-n_time // step), n_chan), np.float32)
    for k in range(some.shape[0]):
        _take(x[k * step], series[k * step], some[k])
    none = np.empty((0, 0), np.bool_)
    column_median_nb(some, none, out)
    for k in range(some.shape[0]):
        for c in range(n_chan):
            some[k, c] = abs(some[k, c] - out[c])
    column_median_nb(some, none, out_sigma)
    for c in range(n_chan):
        out_sigma[c] *= np.float32(MAD_SIGMA)
    sums, part = np.empty((3, _TILE)), np.empty((3, _TILE), np.float32)
    row = np.empty(_TILE, np.float32)
    low, high = np.empty(_TILE, np.float32), np.empty(_TILE, np.float32)
    for first in range(0, n_chan, _TILE):
        n = min(_TILE, n_chan - first)
        level, sigma = out[first : first + n], out_sigma[first : first + n]
        for every in (max(1, n_time // RUN), 1):
            for c in range(n):
                low[c] = level[c] - REACH * sigma[c]
                high[c] = level[c] + REACH * sigma[c]
            sums[:] = 0.0
            for begin in range(0, n_time, RUN * every):
                part[:] = np.float32(0)
                for t in range(begin, min(begin + RUN * every, n_time), every):
                    _take(x[t, first : first + n], series[t], row[:n])
                    _add_within(row, low, high, level, part, n)
                for k in range(3):
                    for c in range(n):
                        sums[k, c] += part[k, c]
            renew_nb(level, sigma, sums, n)


@jit_strict
def _take(x, base, out):
    for c in range(x.size):
        out[c] = np.float32(x[c]) - base


@jit_strict
def _add_within(row, low, high, level, sums, n):
    """Add differences from the level, and their squares, of values within limits."""
    count, first, second = sums[0], sums[1], sums[2]
    for c in range(n):
        value = row[c]
        inside = (value >= low[c]) & (value <= high[c])
        apart = value - level[c] if inside else np.float32(0)
        count[c] += np.float32(1) if inside else np.float32(0)
        first[c] += apart
        second[c] += apart * apart


def deviations(
    x: np.ndarray, level: np.ndarray, sigma: np.ndarray, *, middle: float = 0.0,
    unit: float = math.inf, scale: float = 1.0, offset: float = 0.0,
    out: np.ndarray | None = None
) -> np.ndarray:
    """Return how far values are from their level, as standard deviations of a Gaussian.

    With ``r = (x - level) / sigma``, the deviation is ``scale (r - middle) - offset`` if `unit` is
    infinite, and otherwise ``scale (cbrt(1 + (r - middle) / unit) - 1) - offset``, the root that
    makes powers of few samples nearly Gaussian (Wilson and Hilferty 1931). Where the root is below
    0.8, its tangent at 0.8 is used instead.

    Parameters
    ----------
    x : ndarray, shape (n_time, n_chan), float32, any unit
        Spectra, with any strides.
    level, sigma : ndarray, shape (n_chan,), float32, unit of x
        Levels and noise of the channels, as from `channel_levels`.
    middle, unit, scale, offset : float, dimensionless
        Parameters of the distribution; `unit` is not 0.
    out : ndarray, shape (n_time, n_chan), float32, dimensionless, optional
        Receives the deviations; NaN where x is not finite or sigma is not above 0. It may be `x`
        itself.

    Returns
    -------
    ndarray, shape (n_time, n_chan), float32
        `out`, or a new array.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, dtype or shape, or is not allowed.

    Notes
    -----
    A call allocates memory for one row when `out` is given. NaN propagates, and the GIL is
    released. Cube roots have a relative error of up to 2e-5.
    """
    check_deviations(x, level, sigma, middle, unit, scale, offset, kinds=("float32",))
    if out is None:
        out = np.empty(x.shape, np.float32)
    else:
        _check.target("out", out, x.shape, "float32", level, sigma)
        _check.apart_or_same("out", out, x)
    deviations_nb(x, level, sigma, float(middle), float(unit), float(scale), float(offset), out)
    return out


def check_deviations(x: Any, level: Any, sigma: Any, middle: Any, unit: Any, scale: Any,
                     offset: Any, series: Any = None, kinds: tuple[str, ...] = KINDS) -> None:
    """Refuse arguments that `deviations` and functions like it do not accept."""
    _check.array("x", x, kinds, 2)
    check_series(x, series)
    for name, array in (("level", level), ("sigma", sigma)):
        _check.array(name, array, ("float32",), 1)
        _check.shape(name, array, x.shape[1:])
    for name, value in (("middle", middle), ("scale", scale), ("offset", offset)):
        if not math.isfinite(_check.number(name, value)):
            raise ValueError(f"{name}: found {value}, allowed finite numbers")
    if not abs(_check.number("unit", unit)) > 0 or unit == -math.inf:
        raise ValueError(f"unit: found {unit}, allowed numbers other than 0, or inf")


@jit_strict
def deviations_nb(x, level, sigma, middle, unit, scale, offset, out):
    """Fill `out` as `deviations` does; nothing is checked."""
    n_chan = x.shape[1]
    factor, base, row = (np.empty(n_chan, np.float32), np.empty(n_chan, np.float32),
                         np.empty(n_chan, np.float32))
    bits = np.empty(n_chan, np.int32)
    size, less = deviation_factors_nb(level, sigma, middle, unit, scale, offset, factor, base)
    for t in range(x.shape[0]):
        row[:] = x[t]
        for c in range(n_chan):
            row[c] = row[c] * factor[c] + base[c]
        finish_deviations_nb(row, bits, np.isfinite(unit), size, less)
        out[t] = row


@jit_strict
def deviation_factors_nb(level, sigma, middle, unit, scale, offset, factor, base):
    """Fill `factor` and `base` so that ``x factor + base`` is what `finish_deviations_nb` accepts.

    The function returns the last two arguments of `finish_deviations_nb`.
    """
    curved = np.isfinite(unit)
    for c in range(level.size):
        per = 1.0 / (np.float64(sigma[c]) * (unit if curved else 1.0)) if sigma[c] > 0 else np.nan
        factor[c] = np.float32(per)
        base[c] = np.float32((1.0 if curved else 0.0) - np.float64(level[c]) * per
                             - middle / (unit if curved else 1.0))
    return np.float32(scale), np.float32(scale + offset if curved else offset)


@jit_strict
def finish_deviations_nb(values, bits, curved, size, less):
    """Convert values to deviations, in place; `bits` (n,) int32 is working memory."""
    if curved:
        _roots(values, bits)
    for k in range(values.size):
        value = values[k] * size - less
        values[k] = value if abs(value) < np.inf else np.float32(np.nan)


@jit_strict
def _roots(row, bits):
    """Replace values by their cube roots, or by the tangent; one step of Halley's iteration."""
    two, root, n = np.float32(2), bits.view(np.float32), row.size
    for c in range(n):
        root[c] = max(row[c], LEAST)
    for c in range(n):
        bits[c] = np.int32(np.float32(bits[c]) * THIRD) + CUBE_ROOT
    for c in range(n):
        value, y = max(row[c], LEAST), root[c]
        cube = y * y * y
        better = y * (cube + two * value) / (two * cube + value)
        line = (row[c] - LEAST) * SLOPE + BEND
        row[c] = better if row[c] > LEAST else line
