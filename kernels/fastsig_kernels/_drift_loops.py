"""Loops of the search with drift: rows of powers of one drift, and sums of their harmonics.

A tile is a range of frequencies of the highest harmonic. For each drift of it, there is one row of
powers for each harmonic, at its own frequencies and its own drift; when the drift of the highest
harmonic rises, those rows are computed anew whose drift does. Both signs are computed in turn.
"""

import numpy as np

from ._drift_vectors import drifting_block, joined_column, power_column, product_column
from ._fft_loops import inner_levels_nb, transform_rows
from ._harmonic_loops import is_valid_nb, prune_nb
from ._harmonic_vectors import BLOCK
from ._jit import jit, jit_inner
from ._order import PAD
from ._passes import block_lanes
from ._periodic_tables import GROUP
from ._simd import address_of


@jit
def load_pieces_nb(spec, x, first_bin, pieces, plans, levels, starts, segment, work, ramps, jerks,
                   jerk, spectra):
    """Transform what each piece of a tile needs, and keep the conjugates as split blocks.

    Each is multiplied by the transform of the template of its jerk: `jerk` are the steps of the row
    of each harmonic, of either sign, and `jerks` the transforms of each length for those above 0.

    Rows of `pieces`: row of the tile, first bin in it, number of bins, plan of the transform, bins
    on each side, and offset of its two spectra, in float32. Those of the second are multiplied by
    the ramp that moves results by half a bin.
    """
    lanes = block_lanes(spec)
    for p in range(pieces.shape[0]):
        row, begin, _, plan, side, place = pieces[p]
        n = plans[plan, 0]
        _alternating_nb(x, first_bin[row] + begin - side, n, segment)
        transform_rows(spec, address_of(segment), 8 * n, address_of(segment), 8 * n, 1,
                       plans[plan, 1], levels[plan, : plans[plan, 2]], plans[plan, 3],
                       starts[plan, : plans[plan, 4]], plans[plan, 5], address_of(work), 0,
                       np.float32(1))
        if jerk[row] != 0:
            _turn_nb(segment, n, jerks[plan, abs(jerk[row])], np.sign(jerk[row]))
        _split_nb(segment, n, lanes, ramps[plan], spectra[place : place + 4 * n])


@jit_inner
def _alternating_nb(x, first, n, out):
    """Copy bins with alternating signs; those beyond both ends are 0."""
    for m in range(n):
        k = first + m
        if k >= 0 and 2 * k < x.size:
            sign = np.float32(1 - 2 * (k & 1))
            out[2 * m], out[2 * m + 1] = sign * x[2 * k], sign * x[2 * k + 1]
        else:
            out[2 * m] = out[2 * m + 1] = 0


@jit_inner
def _turn_nb(pairs, n, template, sign):
    """Multiply by a template, or by its conjugate if `sign` is below 0."""
    for t in range(n):
        re, im = pairs[2 * t], pairs[2 * t + 1]
        c, s = template[2 * t], np.float32(sign) * template[2 * t + 1]
        pairs[2 * t], pairs[2 * t + 1] = re * c - im * s, re * s + im * c


@jit_inner
def _split_nb(pairs, n, lanes, ramp, out):
    """Write conjugates as split blocks, and behind them the conjugates of products with a ramp."""
    for t in range(n):
        at = t // lanes * 2 * lanes + t % lanes
        re, im = pairs[2 * t], pairs[2 * t + 1]
        c, s = ramp[2 * t], ramp[2 * t + 1]
        out[at], out[at + lanes] = re, -im
        out[2 * n + at], out[2 * n + at + lanes] = re * c - im * s, -(re * s + im * c)


@jit
def search_tile_nb(spec, sums, pieces, plans, levels, starts, kernels, scales, spectra, work, whole,
                   spare, planes, margin, steps, jerk, top_bin, n_block, invalid, n_invalid, bonus,
                   valid, limits, thresholds, tops, place, values, n_found, most):
    """Search a tile; return the number of sums that were dropped because there was no room.

    `planes`, of shape (sign, row, half bin), have `margin` half bins before those of a row. `steps`
    are the drifts of the row of each harmonic for each of the highest, in steps of 2 bins. Results
    are as those of `_harmonic_loops.search_nb`, with the steps of drift and of jerk, which `jerk`
    is for all.
    """
    dropped = 0
    room = place.shape[0] - tops.shape[0] * n_block * (BLOCK // GROUP)
    for z in range(steps.shape[0]):
        for sign in range(2):
            for p in range(pieces.shape[0]):
                row = pieces[p, 0]
                if z == 0 or steps[z, row] != steps[z - 1, row]:
                    _row_nb(spec, sign, steps[z, row], pieces[p], plans, levels, starts, kernels,
                            scales[sign], spectra, work, whole, spare, planes[sign, row], margin)
                    if p + 1 == pieces.shape[0] or pieces[p + 1, 0] != row:
                        for i in range(n_invalid[row]):
                            planes[sign, row, margin + invalid[row, i]] = bonus
            if z == 0 and sign == 1:
                continue
            if n_found[0] > room:
                dropped += prune_nb(place, values, n_found, most)
            _sums_nb(sums, planes[sign], margin, 1 - 2 * sign, z, jerk, top_bin, n_block, valid,
                     limits, thresholds, tops, place, values, n_found)
    return dropped


@jit_inner
def _row_nb(spec, sign, z, piece, plans, levels, starts, kernels, scales, spectra, work, whole,
            spare, plane, margin):
    """Compute the powers of a piece for one drift: at bins, and then between them."""
    n, plan = plans[piece[3], 0], piece[3]
    first = address_of(spectra) + 4 * piece[5]
    template = address_of(kernels) + 4 * (plans[plan, 6] + z * 4 * n)
    factor, target = scales[plan, z], address_of(plane) + 4 * (margin - 2 * piece[4])
    table, groups = levels[plan, : plans[plan, 2]], starts[plan, : plans[plan, 4]]
    if piece[1] > 0:
        target = address_of(spare)
    _columns_nb(spec, sign, first, template, plans[plan], table, address_of(work))
    _power_nb(spec, plans[plan, 3], groups, address_of(work), address_of(whole), factor[0])
    _columns_nb(spec, sign, first + 8 * n, template + 8 * n, plans[plan], table, address_of(work))
    _joined_nb(spec, plans[plan, 3], groups, address_of(work), address_of(whole), target, factor[1])
    if piece[1] > 0:
        begin, made = margin + 2 * piece[1], spare[2 * piece[4] : 2 * (piece[4] + piece[2])]
        _copy_nb(made, plane[begin : begin + made.size])


@jit_inner
def _copy_nb(x, out):
    for i in range(x.size):
        out[i] = x[i]


@jit_inner
def _columns_nb(spec, sign, source, other, plan, levels, work):
    """Do all passes of the transform of a product but the last; see `_fft_loops.transform_rows`."""
    lanes = block_lanes(spec)
    block, n_inner = 8 * lanes, plan[1]
    n_part = levels[0, 0] if levels.shape[0] > 0 else 1
    part = n_inner // n_part
    n_group = part // lanes
    for p in range(n_part):
        here = p * n_group * block
        there, twiddles = work + p * (part * block + PAD), plan[5] + here * (lanes - 1)
        if sign:
            _product_conjugate_nb(spec, n_group, source + here, other + here, 8 * n_inner, twiddles,
                                  there)
        else:
            _product_nb(spec, n_group, source + here, other + here, 8 * n_inner, twiddles, there)
    inner_levels_nb(spec, work, n_inner, levels)


@jit_inner
def _product_nb(spec, n, source, other, step, twiddles, target):
    lanes = block_lanes(spec)
    block = 8 * lanes
    for c in range(n):
        product_column(spec, 0, source + c * block, other + c * block, step,
                       twiddles + c * (lanes - 1) * block, target + c * lanes * block)


@jit_inner
def _product_conjugate_nb(spec, n, source, other, step, twiddles, target):
    lanes = block_lanes(spec)
    block = 8 * lanes
    for c in range(n):
        product_column(spec, 1, source + c * block, other + c * block, step,
                       twiddles + c * (lanes - 1) * block, target + c * lanes * block)


@jit_inner
def _power_nb(spec, radix, starts, work, target, scale):
    block = 4 * block_lanes(spec)
    if radix == 16:
        for i in range(starts.size):
            power_column(spec, 16, work + starts[i], target + i * block, starts.size * block, scale)
    else:
        for i in range(starts.size):
            power_column(spec, 8, work + starts[i], target + i * block, starts.size * block, scale)


@jit_inner
def _joined_nb(spec, radix, starts, work, whole, target, scale):
    block = 4 * block_lanes(spec)
    if radix == 16:
        for i in range(starts.size):
            joined_column(spec, 16, work + starts[i], whole + i * block, target + 2 * i * block,
                          starts.size * block, scale)
    else:
        for i in range(starts.size):
            joined_column(spec, 8, work + starts[i], whole + i * block, target + 2 * i * block,
                          starts.size * block, scale)


@jit_inner
def _sums_nb(spec, plane, margin, sign, z, jerk, top_bin, n_block, valid, limits, thresholds, tops,
             place, values, n_found):
    """Search the sums of one drift of the highest harmonic."""
    rows, step, levels = address_of(plane) + 4 * margin, 4 * plane.shape[1], address_of(limits)
    for b in range(n_block):
        found = drifting_block(spec, b, rows, step, levels)
        if found:
            for k in range(tops.shape[0]):
                if found >> k & 1:
                    for group in range(b * BLOCK, (b + 1) * BLOCK, GROUP):
                        _best_nb(plane, margin, sign * z, jerk, group, 2 * top_bin, k, valid,
                                 thresholds, tops, place, values, n_found)


@jit_inner
def _best_nb(plane, margin, z, jerk, group, first, stage, valid, thresholds, tops, place, values,
             n_found):
    """Append the best sum of a group, if it is not below the threshold."""
    n, most, best = 1 << stage, plane.shape[0], n_found[0]
    excess = -np.inf
    begin, stop = max(group, tops[stage, 0] - first), min(group + GROUP, tops[stage, 1] - first)
    for i in range(begin, stop):
        total, count = np.float64(0), 0
        for part in range(1, n + 1):
            at = (2 * i * part + n) // (2 * n)
            if is_valid_nb(valid, at + first // n * part):
                total += plane[part * most // n - 1, margin + at]
                count += 1
        if count > 0 and total - thresholds[count - 1] > excess:
            excess = total - thresholds[count - 1]
            place[best, 0], place[best, 1] = first + i, stage
            place[best, 2], place[best, 3], place[best, 4] = count, z, jerk
            values[best, 0], values[best, 1] = total, excess
    if excess >= 0:
        n_found[0] += 1


@jit
def invalid_places_nb(valid, first_bin, n_bin, invalid, n_invalid):
    """Fill the half bins of each row of a tile that are not valid, and their numbers."""
    for row in range(first_bin.size):
        n = 0
        for i in range(2 * n_bin[row]):
            k = first_bin[row] + (i >> 1)
            if k < valid.size and not is_valid_nb(valid, 2 * first_bin[row] + i):
                invalid[row, n] = i
                n += 1
        n_invalid[row] = n
