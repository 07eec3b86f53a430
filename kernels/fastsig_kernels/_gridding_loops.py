"""Loops of `gridding`: kernel factors of a piece of samples, and weighted sums of its rows.

A tile of pixels processes the pieces of samples near it in a fixed order. For each piece, the
factors of all pixels in reach are computed first. Then, for `CHANNELS` channels at a time, its
rows are copied to the first-level cache, multiplied by their weights, and added to each pixel that
they contribute to. The sum over a piece is one chain of float32 additions per channel; these sums
are added in float64.
"""

import math

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.extending import intrinsic

from ._jit import jit_strict, jit_strict_inner
from ._simd import Emitter, Vector, address_of

PIECE = 64  # samples that are weighted together
CHANNELS = 64  # channels of a row in the first-level cache: 16 KiB per piece
TILE = 16  # pixels on a side
_I32 = ir.IntType(32)
_I64 = ir.IntType(64)


@intrinsic
def weigh_rows(typingctx, spec, rows, index, factor, n, out):
    """``out[c] = sum_i factor[i] rows[index[i], c]``, in order, for the channels of `spec`.

    `rows`, `index` (int32), `factor` and `out` are addresses; a row has `channels` float32 values.
    """
    items = spec.items
    lanes, n_vec = items["lanes"], items["channels"] // items["lanes"]

    def codegen(context, builder, signature, args):
        _, rows, index, factor, n, out = args
        emit = Emitter(builder, lanes)
        sums = [cgutils.alloca_once_value(builder, emit.splat(0.0).value) for _ in range(n_vec)]
        with cgutils.for_range(builder, n) as loop:
            place = builder.mul(loop.index, ir.Constant(_I64, 4))
            row = builder.load(builder.inttoptr(builder.add(index, place), _I32.as_pointer()))
            start = builder.add(rows, builder.mul(
                builder.zext(row, _I64), ir.Constant(_I64, 4 * lanes * n_vec)))
            weight = emit.load_scalar(builder.add(factor, place))
            for v, place in enumerate(sums):
                value = emit.load(start, 4 * lanes * v)
                builder.store(value.fma(weight, Vector(emit, builder.load(place))).value, place)
        for v, place in enumerate(sums):
            emit.store(Vector(emit, builder.load(place)), out, 4 * lanes * v)
        return context.get_dummy_value()

    return types.void(spec, *(types.int64,) * 5), codegen


@jit_strict_inner
def _factors_nb(x, y, z, narrow, px, py, pz, scale, table, index, factor, square, apart):
    """List the samples in reach of a pixel, with kernel values and their squares.

    Positions are in units of the radius of the widest kernel. `narrow` is the square of the ratio
    of that radius to the sample's own, and `scale` is the number of steps in the table.
    """
    for i in range(x.size):
        dx, dy, dz = x[i] - px, y[i] - py, z[i] - pz
        apart[i] = (dx * dx + dy * dy + dz * dz) * narrow[i]
    n = 0
    for i in range(x.size):
        if apart[i] < np.float32(1):
            at = apart[i] * scale
            low = np.uint64(at)
            part = at - np.float32(low)
            value = table[low] + part * (table[low + np.uint64(1)] - table[low])
            value *= narrow[i]
            index[n] = i
            factor[n] = value
            square[n] = value * value
            n += 1
    return n


@jit_strict_inner
def _load_nb(data, weight, samples, first, stop, rows, weights, alone):
    """Load rows of samples multiplied by their weights, and the weights.

    Values that are not finite, or have no weight above 0, become 0, and so do channels past
    `stop`. Returns whether the weights of each sample are the same in all channels.
    """
    same = True
    n = stop - first
    shared = weight.shape[1] == 1
    for i in range(samples.size):
        values, row = data[samples[i], first:stop], rows[i]
        given = weight[samples[i]] if shared else weight[samples[i], first:stop]
        bad, lost = _load_row_nb(values, given, row)
        lead = given[0]
        if lost == n:  # does not contribute at all
            lead, bad = np.float32(0), 0
        alone[i, :] = lead
        if bad > 0:
            same = False
            _weights_nb(values, given, weights[i])
        else:
            weights[i, :] = lead
    return same


@jit_strict_inner
def _load_row_nb(values, given, row):
    """Load a row multiplied by its weights.

    Returns the number of channels that differ from the first weight, and of those that are 0.
    """
    row[values.size:] = 0
    bad, lost = 0, 0
    lead = given[0]
    if given.size == 1:
        usable = lead > 0 and lead < np.inf
        for c in range(values.size):
            value = values[c] * lead
            fine = usable and abs(value) < np.inf
            lost += 0 if fine else 1
            row[c] = value if fine else np.float32(0)
        return lost, lost
    for c in range(values.size):
        w = given[c]
        value = values[c] * w
        fine = w > 0 and w < np.inf and abs(value) < np.inf
        lost += 0 if fine else 1
        bad += 0 if fine and w == lead else 1
        row[c] = value if fine else np.float32(0)
    return bad, lost


@jit_strict_inner
def _weights_nb(values, given, out):
    """Load the weights of one sample's channels, 0 where it does not contribute."""
    out[:] = 0
    shared = given.size == 1
    for c in range(values.size):
        w = given[0] if shared else given[c]
        if w > 0 and w < np.inf and abs(values[c] * w) < np.inf:
            out[c] = w


@jit_strict_inner
def _add_nb(total, part, n):
    for c in range(n):
        total[c] += np.float64(part[c])


@jit_strict_inner
def _add_same_nb(total, part, n):
    value = np.float64(part)
    for c in range(n):
        total[c] += value


@jit_strict_inner
def _piece_nb(spec, one, data, weight, samples, counts, pixels, lists, rows, weights, alone,
              part, sums):
    """Add a piece of samples, given its lists, to the sums of the pixels in reach."""
    index, factor, square = lists
    n_chan = data.shape[1]
    for first in range(0, n_chan, CHANNELS):
        stop = min(first + CHANNELS, n_chan)
        n = stop - first
        same = _load_nb(data, weight, samples, first, stop, rows, weights, alone)
        for k in range(pixels.size):
            m, to = counts[k], sums[pixels[k]]
            at, by, by2 = address_of(index[k]), address_of(factor[k]), address_of(square[k])
            weigh_rows(spec, address_of(rows), at, by, m, address_of(part))
            _add_nb(to[0, first:stop], part, n)
            if same:
                weigh_rows(one, address_of(alone), at, by, m, address_of(part))
                _add_same_nb(to[1, first:stop], part[0], n)
                weigh_rows(one, address_of(alone), at, by2, m, address_of(part))
                _add_same_nb(to[2, first:stop], part[0], n)
            else:
                weigh_rows(spec, address_of(weights), at, by, m, address_of(part))
                _add_nb(to[1, first:stop], part, n)
                weigh_rows(spec, address_of(weights), at, by2, m, address_of(part))
                _add_nb(to[2, first:stop], part, n)


@jit_strict_inner
def _in_reach_nb(place, centre, around, pixels):
    """List the pixels of a tile that are closer to a piece's centre than `around`."""
    n = 0
    limit = around * around
    for k in range(place.shape[0]):
        dx, dy, dz = place[k, 0] - centre[0], place[k, 1] - centre[1], place[k, 2] - centre[2]
        if dx * dx + dy * dy + dz * dz <= limit:  # False for pixels off the sky, which are NaN
            pixels[n] = k
            n += 1
    return n


@jit_strict_inner
def _visit_nb(spec, one, data, weight, order, span, geometry, place, sample, narrow, table,
              scratch):
    """Add one piece of samples to a tile."""
    centre, around, radius = geometry
    (pixels, counts, index, factor, square, apart, x, y, z, rows, weights, alone, part,
     sums) = scratch
    reach = _in_reach_nb(place, centre, around + radius, pixels)
    if reach == 0:
        return
    n = span[1] - span[0]
    for i in range(n):
        at = span[0] + i
        x[i] = (sample[at, 0] - centre[0]) / radius
        y[i] = (sample[at, 1] - centre[1]) / radius
        z[i] = (sample[at, 2] - centre[2]) / radius
    scale = np.float32(table.size - 2)
    kept = 0
    for k in range(reach):
        p = place[pixels[k]]
        m = _factors_nb(
            x[:n], y[:n], z[:n], narrow[span[0]:span[1]],
            np.float32((p[0] - centre[0]) / radius), np.float32((p[1] - centre[1]) / radius),
            np.float32((p[2] - centre[2]) / radius), scale, table, index[kept], factor[kept],
            square[kept], apart)
        if m > 0:
            pixels[kept], counts[kept] = pixels[k], m
            kept += 1
    if kept > 0:
        _piece_nb(spec, one, data, weight, order[span[0]:span[1]], counts, pixels[:kept],
                  (index, factor, square), rows, weights, alone, part, sums)


@jit_strict_inner
def _finish_nb(sums, rows, columns, mean, out_weight):
    """Write the means and weights of a tile's pixels to the planes."""
    for j in range(mean.shape[1]):
        for i in range(mean.shape[2]):
            total = sums[j * TILE + i]
            for c in range(mean.shape[0]):
                value, w = np.float32(np.nan), np.float32(0)
                if total[1, c] > 0:
                    value = np.float32(total[0, c] / total[1, c])
                    w = np.float32(total[1, c] * total[1, c] / total[2, c])
                mean[c, j, i] = value
                out_weight[c, j, i] = w


@jit_strict_inner
def _runs_nb(cells, band, low, high, runs):
    """Find the ranges of pieces in a band of declination between two right ascensions, deg.

    The interval may wrap. Writes the ranges to `runs` and returns their number.
    """
    offset, count, starts = cells
    n = count[band]
    width = 360.0 / n
    first, last = math.floor(low / width), math.floor(high / width)
    base = offset[band]
    if last - first + 1 >= n:
        runs[0, 0], runs[0, 1] = starts[base], starts[base + n]
        return 1
    a, b = first % n, last % n
    if a <= b:
        runs[0, 0], runs[0, 1] = starts[base + a], starts[base + b + 1]
        return 1
    runs[0, 0], runs[0, 1] = starts[base], starts[base + b + 1]
    runs[1, 0], runs[1, 1] = starts[base + a], starts[base + n]
    return 2


@jit_strict
def grid_tiles_nb(spec, one, data, weight, order, sample, narrow, pieces, cells, bands, tiles,
                  place, table, radius, first, stop, scratch, mean, out_weight):
    """Grid the tiles `first` to ``stop - 1``; arguments are not checked.

    Parameters
    ----------
    spec, one : Spec
        Lanes and channels of a row's vectors, and of a single vector.
    data, weight : ndarray, (sample, chan) and (sample, 1 or chan), float32
    order, sample : ndarray, (sample,) int64 and (sample, 3) float64
        Indices of the samples in sorted order, and unit vectors in that order.
    narrow : ndarray, (sample,), float32
        Square of the ratio of `radius` to the radius of a sample's own kernel; also the factor of
        that kernel.
    pieces : tuple of ndarray
        Spans (piece, 2), centres (piece, 3) and the largest distance of samples from these
        (piece,).
    cells : tuple of ndarray
        First cell and number of cells of each band of declination, first piece of each cell.
    bands : tuple of float
        Declination at which the first band begins, and the height of bands, deg.
    tiles : ndarray, (tile, 6), float64
        Right ascension, declination and radius, deg; 1 where there is sky; row and column.
    place : ndarray, (y, x, 3), float64
        Unit vectors of pixels; NaN off the sky.
    table : ndarray, float32
        The kernel at equal steps in the square of the distance, up to the radius, then 0.
    radius : float
        Chord of the radius of the widest kernel.
    first, stop : int
    scratch : tuple of ndarray
    mean, out_weight : ndarray, (chan, y, x), float32
    """
    spans, centres, arounds = pieces
    runs = np.empty((2, 2), np.int64)
    near = np.empty((TILE * TILE, 3))
    sums = scratch[13]
    n_band = cells[0].size - 1
    reach = math.degrees(2 * math.asin(min(1.0, radius / 2)))
    for t in range(first, stop):
        row, column = int(tiles[t, 4]), int(tiles[t, 5])
        bottom, right = min(row + TILE, place.shape[0]), min(column + TILE, place.shape[1])
        near[:] = np.nan
        for j in range(bottom - row):
            for i in range(right - column):
                for axis in range(3):
                    near[j * TILE + i, axis] = place[row + j, column + i, axis]
        sums[:] = 0
        if tiles[t, 3] > 0:
            around = tiles[t, 2] + reach + 1e-9
            lat = tiles[t, 1]
            low = max(0, math.floor((lat - around - bands[0]) / bands[1]))
            high = min(n_band - 1, math.floor((lat + around - bands[0]) / bands[1]))
            wide = 360.0
            if abs(lat) + around < 90:
                ratio = math.sin(math.radians(around)) / math.cos(math.radians(lat))
                wide = math.degrees(math.asin(min(1.0, ratio))) + 1e-9
            for band in range(low, high + 1):
                for r in range(_runs_nb(cells, band, tiles[t, 0] - wide, tiles[t, 0] + wide,
                                        runs)):
                    for piece in range(runs[r, 0], runs[r, 1]):
                        _visit_nb(spec, one, data, weight, order, spans[piece],
                                  (centres[piece], arounds[piece], radius), near, sample, narrow,
                                  table, scratch)
        _finish_nb(sums, row, column, mean[:, row:bottom, column:right],
                   out_weight[:, row:bottom, column:right])
