"""Resampling of spectra to other channels: band-limited, flux-conserving, with lost channels.

Positions are in input channels: ``k`` is the centre of channel k, and its edges are at
``k -+ 1/2``. Values are densities (means over a channel), so the flux of a line is the sum of its
values times the width of a channel. The kernel is a sinc with a Kaiser window and extends ``lobes``
channels to either side. If output channels are wider than input channels, the kernel is stretched
by the ratio of the widths, which suppresses aliases. Its coefficients are divided by their sum for
every output channel, so a constant is preserved.

References
----------
J. F. Kaiser, in: System Analysis by Digital Computer, Wiley (1966) 218: the window.
T. I. Laakso et al., IEEE Signal Processing Magazine 13 (1996) 30: filters of a fractional delay.
"""

from functools import lru_cache

import numpy as np

from . import _check
from ._host import host_spec
from ._jit import jit_inner, jit_strict, jit_strict_inner, jit_strict_inner_arrays
from ._passes import block_lanes
from ._simd import address_of, fma, load, splat, store

#: Lobes of the sinc to either side: a line of one channel keeps its width within 1 %.
LOBES = 47
_NEAR_BETA = 2.0  # gives the sharpest edge of the band that leaves the band flat
_FAR_BETA = 6.0  # aliases in the sum over output channels, the flux, are below 1e-4
_DENSITY = 256  # table entries per channel or lobe; interpolation errors are 6e-6
_BLOCK = 64  # coefficients are interpolated over this many channels
_DRIFT = 0.02  # largest change of a position's fraction in a block; errors are 2e-4 of a line
_MOST_STEP = 10_000.0
_MOST_INDEX = 2**40
_MOST_LAGS = 1000
_MARGIN = 8  # rows of a table beyond the fractions 0 and 1, to allow for that change


def resample(
    x: np.ndarray,
    position: np.ndarray,
    step: np.ndarray,
    n_out: int,
    *,
    weight: np.ndarray | None = None,
    first_in: int = 0,
    first_out: int = 0,
    lobes: int = LOBES,
    min_valid: float = 0.9,
    out: np.ndarray | None = None,
    out_weight: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Resample spectra to other channels, which may differ from row to row.

    The values are ``out[t, p, k] = sum_j c_j x[t, p, j] / sum_j c_j`` over valid channels j, with
    ``c_j = h((j - q) / s) / s``, ``q = position[t] + (first_out + k) step[t]``,
    ``s = max(1, step[t])`` and ``h(d) = sinc(d) kaiser(d / lobes)``. The weights are
    ``out_weight = sum_j c_j^2 w_j / sum_j c_j^2``, where the last sum includes lost channels. If
    the step is within 3.1e-4 of 1, the window has ``beta = 2`` and s is 1. The spectrum is then
    only shifted, and a line of one channel keeps its width to within 1 %. Otherwise ``beta = 6``,
    which preserves the flux of any line to 1e-4.

    Parameters
    ----------
    x : ndarray, shape (n_time, n_product, n_chan), float32, any unit
        Input channels `first_in` to ``first_in + n_chan - 1``. All others count as lost, so a slice
        of a band needs ``(lobes + 1) max(1, step)`` additional channels at either end. NaN and
        infinite values also count as lost.
    position : ndarray, shape (n_time,), float64, input channels
        Position of the centre of output channel 0, in input channels.
    step : ndarray, shape (n_time,), float64, input channels
        Spacing and width of output channels; above 0.
    n_out : int
        Number of output channels.
    weight : ndarray, shape (n_time, 1 or n_product, 1 or n_chan), float32, dimensionless, optional
        Weights of the channels, all 1 by default. Channels with weight 0 (or NaN) are lost; other
        weights do not affect the values.
    first_in, first_out : int
        Index of the first channel of `x` and of `out` in the whole axes, in which positions are
        counted; up to 2**40 on either side of 0.
    lobes : int
        Length of the kernel to either side, in input or output channels, whichever are wider; 2 to
        100.
    min_valid : float
        Minimum fraction of the kernel's energy, ``sum c^2`` over valid channels, for an output
        channel; above 0.5 and at most 1. Below this minimum, the value is NaN and its weight is 0.
    out : ndarray, shape (n_time, n_product, n_out), float32, unit of x, optional
        Receives the values.
    out_weight : ndarray, shape of out, float32, dimensionless, optional
        Receives the weights.

    Returns
    -------
    out, out_weight : ndarray
        As above; new arrays if none were given.

    Raises
    ------
    TypeError
        If an array is an ndarray subclass or has the wrong dtype.
    ValueError
        If a shape or a number is not allowed.

    Notes
    -----
    A call allocates 20 bytes per input channel of one spectrum and 0.1 MiB, but nothing of the
    data's size when both outputs are given. The GIL is released. NaN does not propagate, since it
    marks lost channels. A row is NaN if its position or step is not finite. The bits of an output
    channel depend neither on `first_out` and `n_out` nor on where a slice begins, if the slice
    contains everything that its kernel spans. Steps within 3.1e-4 of 1 are fastest. The noise of
    output channels is correlated; `resampling_covariance` returns the covariance.
    """
    _check.array("x", x, ("float32",), 3)
    n_time, n_product = x.shape[:2]
    for name, each in (("position", position), ("step", step)):
        _check.array(name, each, ("float64",), 1)
        _check.shape(name, each, (n_time,))
    if np.any((step <= 0) | (step > _MOST_STEP)):
        raise ValueError(f"step: found {np.nanmin(step)} to {np.nanmax(step)}, allowed above 0, up "
                         f"to {_MOST_STEP:g}")
    if weight is None:
        weight = np.ones((1, 1, 1), np.float32)
    else:
        _check.array("weight", weight, ("float32",), 3)
        _spreads(weight, x.shape)
    lobes = _lobes(lobes)
    min_valid = _check.number("min_valid", min_valid)
    if not 0.5 < min_valid <= 1:
        raise ValueError(f"min_valid: found {min_valid}, allowed above 0.5, up to 1")
    shape = n_time, n_product, _check.count("n_out", n_out)
    inputs = x, position, step, weight
    out = _check.output("out", out, shape, "float32", *inputs)
    out_weight = _check.output("out_weight", out_weight, shape, "float32", *inputs, out)
    first_in, first_out = (_check.count(name, value, -_MOST_INDEX, _MOST_INDEX) for name, value in
                           (("first_in", first_in), ("first_out", first_out)))
    resample_nb(x, weight, position, step, first_in, first_out, lobes, min_valid,
                *_tables(lobes), out, out_weight)
    return out, out_weight


def resampling_covariance(
    step: float = 1.0,
    n_lag: int = 8,
    *,
    fraction: float | None = None,
    lobes: int = LOBES,
    correlation: np.ndarray | None = None,
) -> np.ndarray:
    """Return the covariance of the noise of output channels at each lag, for unit input variance.

    ``cov[l] = sum_ij c_i(q) c_j(q + l step) r[|i - j|]``, with the coefficients of `resample`. The
    weight of an output channel does not include this covariance. If a kernel is stretched,
    ``cov[0]`` is about 1 / step.

    Parameters
    ----------
    step : float
        As for `resample`, but constant; the position advances by one step at each lag.
    n_lag : int
        Number of lags beyond 0, up to 1000.
    fraction : float, optional
        Fractional part of the position of the first of the two channels, 0 to 1. By default, the
        result is the mean over all fractions, which is the mean over the channels of a band (or
        over many spectra).
    lobes : int
        As for `resample`.
    correlation : ndarray, shape (n,), float64, optional
        Correlation of input channels, starting with r[0] = 1; white noise by default.

    Returns
    -------
    ndarray, shape (n_lag + 1,), float64
        Covariance, in units of the variance of an input channel.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.
    """
    n_lag, lobes = _check.count("n_lag", n_lag, 0, _MOST_LAGS), _lobes(lobes)
    if correlation is not None:
        _check.array("correlation", correlation, ("float64",), 1)
        if correlation.size == 0:
            raise ValueError("correlation: found no values, allowed 1 or more")
    step = _check.number("step", step)
    if not 0 < step <= _MOST_STEP:
        raise ValueError(f"step: found {step}, allowed above 0, up to {_MOST_STEP:g}")
    fraction = None if fraction is None else _check.number("fraction", fraction)
    if fraction is not None and not 0 <= fraction <= 1:
        raise ValueError(f"fraction: found {fraction}, allowed 0 to 1")
    rows = np.arange(64) / 64 if fraction is None else np.array([fraction])
    reach = int(np.ceil((lobes + 1) * max(1.0, step)))
    span = int(np.ceil(n_lag * step)) + 1
    first = np.arange(-reach, reach + span + 1)
    found = np.zeros(n_lag + 1)
    for row in rows:
        each = [_spread(row + lag * step, step, lobes, first) for lag in range(n_lag + 1)]
        correlated = _correlated(each[0], correlation)
        found += [correlated @ other for other in each]
    return found / len(rows)


def _correlated(c, correlation):
    """Convolve coefficients with the correlation of the input channels."""
    if correlation is None:
        return c
    both = np.convolve(c, np.concatenate([correlation[:0:-1], correlation]))
    return both[len(correlation) - 1 : len(correlation) - 1 + len(c)]


def _spread(q, step, lobes, channels):
    """Return the coefficients of one output channel at position q, for given input channels."""
    near, far = _tables(lobes)
    base = int(np.floor(q))
    if _is_near(step):
        c, reach = np.empty(near.shape[1], np.float32), lobes
        _blend(near, (q - base) * _DENSITY + _MARGIN, c)
    else:
        table, reach = _far_table(step, lobes, far), _reach(step, lobes)
        c = np.empty(table.shape[1], np.float32)
        _blend(table, (q - base) * (table.shape[0] - 1), c)
    found = np.zeros(len(channels))
    first = base - reach - channels[0]
    found[first : first + len(c)] = c
    return found


def resampling_tables(lobes: int = LOBES) -> tuple[np.ndarray, np.ndarray]:
    """Return the coefficients for `resample_nb`: by fraction and channel, and by distance.

    Parameters
    ----------
    lobes : int
        As for `resample`.

    Returns
    -------
    near : ndarray, shape (272, n_tap), float32
        Row m is for the fraction ``(m - 8) / 256``; tap j is for the channel that is j - lobes
        above the channel just below the position. The sum of each row is 1.
    far : ndarray, shape (256 lobes + 2,), float32
        ``h`` at multiples of 1 / 256 lobe, starting from 0.

    Raises
    ------
    TypeError, ValueError
        If `lobes` is not allowed.

    Notes
    -----
    The tables are read-only. Calls with the same `lobes` return the same arrays.
    """
    return _tables(_lobes(lobes))


@lru_cache(maxsize=8)
def _tables(lobes: int) -> tuple[np.ndarray, np.ndarray]:
    n_tap = -(-(2 * lobes + 2) // 8) * 8
    fraction = np.arange(-_MARGIN, _DENSITY + _MARGIN) / _DENSITY
    near = _kernel(np.arange(n_tap) - lobes - fraction[:, np.newaxis], lobes, _NEAR_BETA)
    near = (near / near.sum(axis=1, keepdims=True)).astype(np.float32)
    far = _kernel(np.arange(lobes * _DENSITY + 2) / _DENSITY, lobes, _FAR_BETA).astype(np.float32)
    near.flags.writeable = far.flags.writeable = False
    return near, far


def _kernel(distance, lobes, beta):
    """Return ``sinc(d) kaiser(d / lobes)``, 0 beyond its ends."""
    inside = np.sqrt(np.clip(1 - (distance / lobes) ** 2, 0, None))
    window = np.where(np.abs(distance) < lobes, np.i0(beta * inside) / np.i0(beta), 0)
    return np.sinc(distance) * window


def _lobes(lobes):
    lobes = _check.count("lobes", lobes, 2)
    if lobes > 100:
        raise ValueError(f"lobes: found {lobes}, allowed 2 to 100")
    return lobes


def _spreads(weight, shape):
    """Refuse weights that do not broadcast over times, products and channels."""
    allowed = (1, shape[0]), (1, shape[1]), (1, shape[2])
    if any(n not in each for n, each in zip(weight.shape, allowed, strict=True)):
        raise ValueError(f"weight: found shape {weight.shape}, allowed {shape}, 1 for any")


@jit_strict
def resample_nb(x, weight, position, step, first_in, first_out, lobes, min_valid, near, far,
                out, out_weight):
    """Fill both outputs as `resample` does; arguments are not checked.

    `near` and `far` are from `resampling_tables`. Weights have three axes, each of which may have
    length 1.
    """
    spec = host_spec()
    pad = near.shape[1] + _BLOCK
    for t in range(x.shape[0]):
        if _known(position[t], step[t]):
            pad = max(pad, 2 * _reach(step[t], lobes) + 2)
    n = x.shape[2] + 2 * pad
    clean, valid = np.zeros(n, np.float32), np.zeros(n, np.float32)
    weights = np.zeros(n, np.float32)
    lost, changes = np.zeros(n + 1, np.int32), np.zeros(n + 1, np.int32)
    origin = first_in - pad  # the channel of the first element of these arrays
    table, table_step = near, 0.0
    for t in range(x.shape[0]):
        q, s = position[t], step[t]
        if not _known(q, s):
            out[t] = np.float32(np.nan)
            out_weight[t] = np.float32(0)
            continue
        if not _is_near(s) and s != table_step:
            table, table_step = _far_table(s, lobes, far), s
        for p in range(x.shape[1]):
            w = weight[min(t, weight.shape[0] - 1), min(p, weight.shape[1] - 1)]
            _prepare(x[t, p], w, pad, clean, valid, weights, lost, changes)
            if _is_near(s):
                _near_row(spec, clean, valid, weights, lost, changes, origin, q, s, first_out,
                          lobes, min_valid, near, out[t, p], out_weight[t, p])
            else:
                _far_row(clean, valid, weights, lost, changes, origin, q, s, first_out,
                         _reach(s, lobes), min_valid, table, out[t, p], out_weight[t, p])


@jit_strict_inner
def _known(position, step):
    """Whether a row has a valid geometry; NaN is not valid."""
    return abs(position) < 1e12 and 0 < step <= _MOST_STEP


@jit_strict
def _is_near(step):
    """Whether fractions change so slowly that a block can be interpolated between its ends."""
    return abs(step - 1.0) * _BLOCK <= _DRIFT


@jit_strict
def _reach(step, lobes):
    """Return the number of channels that the kernel spans on either side."""
    return np.int64(np.ceil(lobes * max(1.0, step)))


@jit_strict_inner
def _prepare(x, w, pad, clean, valid, weights, lost, changes):
    """Copy a spectrum with 0 for lost channels, and count lost channels and changes of weight."""
    n = x.shape[0]
    inner, good = clean[pad : pad + n], valid[pad : pad + n]
    kept = weights[pad : pad + n]
    if w.shape[0] == n:
        for c in range(n):
            kept[c] = w[c] if w[c] > 0 and np.isfinite(x[c]) else np.float32(0)
    else:
        one = w[0] if w[0] > 0 else np.float32(0)
        for c in range(n):
            kept[c] = one if np.isfinite(x[c]) else np.float32(0)
    for c in range(n):
        good[c] = np.float32(1) if kept[c] > 0 else np.float32(0)
        inner[c] = x[c] if kept[c] > 0 else np.float32(0)
    before = weights[0]
    for c in range(weights.shape[0]):
        lost[c + 1] = lost[c] + (1 if weights[c] == 0 else 0)
        changes[c + 1] = changes[c] + (1 if weights[c] != before else 0)
        before = weights[c]


@jit_strict_inner_arrays
def _near_row(spec, clean, valid, weights, lost, changes, origin, position, step, first_out, lobes,
              min_valid, near, out, out_weight):
    """Resample one spectrum at a step of about 1, in blocks counted from output channel 0."""
    n_tap = near.shape[1]
    ends = np.empty((4, n_tap), np.float32)  # coefficients at both ends of a block, and squares
    sums = np.empty((6, _BLOCK), np.float32)
    for block in range(first_out // _BLOCK, (first_out + out.shape[0] - 1) // _BLOCK + 1):
        at = position + block * _BLOCK * step
        base = np.int64(np.floor(at))
        begin = max(block * _BLOCK, first_out) - block * _BLOCK
        stop = min(block * _BLOCK + _BLOCK, first_out + out.shape[0]) - block * _BLOCK
        done = block * _BLOCK - first_out
        values = out[done + begin : done + stop]
        found = out_weight[done + begin : done + stop]
        first = base - lobes - origin
        end = first + _BLOCK - 1 + n_tap
        if first < 0 or end > clean.shape[0] or lost[end] - lost[first] == end - first:
            values[:] = np.float32(np.nan)
            found[:] = np.float32(0)
            continue
        _blend(near, (at - base) * _DENSITY + _MARGIN, ends[0])
        _blend(near, (at + _BLOCK * step - (base + _BLOCK)) * _DENSITY + _MARGIN, ends[1])
        _filter(spec, clean[first:end], ends[0], ends[1], sums[0], sums[1], sums[2])
        for i in range(begin, stop):  # the assignment of an array takes a second to compile
            values[i - begin] = sums[2, i]
        if lost[end] == lost[first] and changes[end] == changes[first + 1]:
            found[:] = weights[first]
            continue
        for j in range(n_tap):
            ends[2, j], ends[3, j] = ends[0, j] * ends[0, j], ends[1, j] * ends[1, j]
        _filter(spec, valid[first:end], ends[0], ends[1], sums[0], sums[1], sums[3])
        _filter(spec, valid[first:end], ends[2], ends[3], sums[0], sums[1], sums[4])
        _filter(spec, weights[first:end], ends[2], ends[3], sums[0], sums[1], sums[5])
        low, high = _sum(ends[2]), _sum(ends[3])
        for i in range(begin, stop):
            energy = low + np.float32(i) / np.float32(_BLOCK) * (high - low)
            a, b = first + i, first + i + n_tap
            values[i - begin], found[i - begin] = _judged(
                sums[2, i], sums[3, i], sums[4, i], sums[5, i], energy, min_valid,
                lost[b] == lost[a], changes[b] == changes[a + 1], weights[a])


@jit_strict_inner
def _judged(value, total, kept, weighted, energy, min_valid, whole, even, weight):
    """Return the value and weight of a channel from its sums; without losses both are unchanged."""
    if whole:
        return value, weight if even else weighted / energy
    if kept >= np.float32(min_valid) * energy * np.float32(0.999999):
        return value / total, weighted / energy
    return np.float32(np.nan), np.float32(0)


@jit_strict_inner
def _sum(x):
    total = np.float32(0)
    for j in range(x.shape[0]):
        total += x[j]
    return total


@jit_strict
def _blend(table, place, out):
    """Interpolate coefficients between two rows of a table."""
    row = min(max(np.int64(place), 0), table.shape[0] - 2)
    part = np.float32(place - row)
    below, above = table[row], table[row + 1]
    for j in range(out.shape[0]):
        out[j] = below[j] + part * (above[j] - below[j])


@jit_strict_inner
def _filter(spec, x, low, high, out_low, out_high, out):
    """Compute a block of ``sum_j c[j] x[i + j]``, with c changing from `low` to `high` in it."""
    size = 4 * block_lanes(spec)
    at_low, at_high = address_of(out_low), address_of(out_high)
    zero = splat(spec, np.float32(0))
    for group in range(0, 4 * _BLOCK, 4 * size):
        at = address_of(x) + group
        a0, a1, a2, a3 = zero, zero, zero, zero
        b0, b1, b2, b3 = zero, zero, zero, zero
        for j in range(low.shape[0]):
            a, b = splat(spec, low[j]), splat(spec, high[j])
            x0, x1 = load(spec, at), load(spec, at + size)
            x2, x3 = load(spec, at + 2 * size), load(spec, at + 3 * size)
            a0, a1, a2, a3 = fma(x0, a, a0), fma(x1, a, a1), fma(x2, a, a2), fma(x3, a, a3)
            b0, b1, b2, b3 = fma(x0, b, b0), fma(x1, b, b1), fma(x2, b, b2), fma(x3, b, b3)
            at += 4
        store(a0, at_low + group)
        store(a1, at_low + group + size)
        store(a2, at_low + group + 2 * size)
        store(a3, at_low + group + 3 * size)
        store(b0, at_high + group)
        store(b1, at_high + group + size)
        store(b2, at_high + group + 2 * size)
        store(b3, at_high + group + 3 * size)
    for i in range(_BLOCK):
        part = np.float32(i) / np.float32(_BLOCK)
        out[i] = out_low[i] + part * (out_high[i] - out_low[i])


@jit_strict
def _far_table(step, lobes, far):
    """Return the coefficients for one step: a row for each fraction, 0 to 1, with a sum of 1."""
    width = max(1.0, step)
    reach = _reach(step, lobes)
    n_row = np.int64(np.ceil(_DENSITY / width)) + 1
    table = np.empty((n_row, 2 * reach + 2), np.float32)
    for m in range(n_row):
        total = 0.0
        for j in range(table.shape[1]):
            place = abs(j - reach - m / (n_row - 1)) * (_DENSITY / width)
            row = min(np.int64(place), far.shape[0] - 2)
            part = min(place - row, 1.0)
            table[m, j] = far[row] + part * (far[row + 1] - far[row])
            total += table[m, j]
        for j in range(table.shape[1]):
            table[m, j] = np.float32(table[m, j] / total)
    return table


@jit_strict_inner_arrays
def _far_row(clean, valid, weights, lost, changes, origin, position, step, first_out, reach,
             min_valid, table, out, out_weight):
    """Resample one spectrum at any step."""
    n_tap = table.shape[1]
    c = np.empty(n_tap, np.float32)
    for k in range(out.shape[0]):
        q = position + (first_out + k) * step
        base = np.int64(np.floor(q))
        first = base - reach - origin
        end = first + n_tap
        out[k], out_weight[k] = np.float32(np.nan), np.float32(0)
        if first < 0 or end > clean.shape[0] or lost[end] - lost[first] == n_tap:
            continue
        _blend(table, (q - base) * (table.shape[0] - 1), c)
        value = _dot(c, clean[first:end])
        if lost[end] == lost[first] and changes[end] == changes[first + 1]:
            out[k], out_weight[k] = value, weights[first]
            continue
        total = _dot(c, valid[first:end])
        for j in range(n_tap):
            c[j] *= c[j]
        out[k], out_weight[k] = _judged(
            value, total, _dot(c, valid[first:end]), _dot(c, weights[first:end]), _sum(c),
            min_valid, lost[end] == lost[first], changes[end] == changes[first + 1],
            weights[first])


@jit_inner
def _dot(a, b):
    """Return the sum of products, in an order that depends only on the length."""
    total = np.float32(0)
    for j in range(a.shape[0]):
        total += a[j] * b[j]
    return total
