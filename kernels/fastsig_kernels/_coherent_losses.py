"""Loops of coherent dedispersion for lost samples: the weights of samples, and what they change."""

import numpy as np

from ._jit import jit_strict


@jit_strict
def fractions_nb(spans, first, step, upper, lower, least, out):
    """Write the fraction of a sample's signal that is valid, (chan, n); 0 if it is below `least`.

    Sample i of a channel is dispersed over the input samples from ``first + i step - upper`` to
    ``first + (i + 1) step + lower``; `spans` are the valid ones.
    """
    m = len(spans)
    for c in range(out.shape[0]):
        length = upper[c] + step + lower[c]
        start = first - upper[c]
        # The spans that may contain the ends, and the valid samples before these spans.
        low, high, before_low, before_high = 0, 0, 0, 0
        i, n = 0, out.shape[1]
        while i < n:
            stop = start + length
            while low < m and spans[low, 1] <= start:
                before_low += spans[low, 1] - spans[low, 0]
                low += 1
            while high < m and spans[high, 1] <= stop:
                before_high += spans[high, 1] - spans[high, 0]
                high += 1
            count = before_high - before_low
            if high < m:
                count += max(0, stop - spans[high, 0])
            if low < m:
                count -= max(0, start - spans[low, 0])
            many = 1
            if count == length and low == high:  # as are all that end in the same span
                many = min(n - i, max(1, (spans[low, 1] - stop) // step))
                out[c, i : i + many] = 1.0
            else:
                share = count / length
                out[c, i] = share if share >= least else 0.0
            i += many
            start += many * step


@jit_strict
def shares_nb(used, codes, edges, total):
    """Write how many samples each product uses between edges, and the sum of their weights.

    `total` has the shape (2, product, chan, edge - 1). Codes 0 and 1 are the power of one
    polarisation; others use the samples of both, with the smaller weight.
    """
    last = used.shape[0] - 1
    for c in range(used.shape[1]):
        for e in range(len(edges) - 1):
            count_a, count_b, count, sum_a, sum_b, sum_both = 0, 0, 0, 0.0, 0.0, 0.0
            for i in range(edges[e], edges[e + 1]):
                a, b = used[0, c, i], used[last, c, i]
                both = min(a, b)
                count_a += a > 0
                count_b += b > 0
                count += both > 0
                sum_a += a
                sum_b += b
                sum_both += both
            for p in range(len(codes)):
                if codes[p] == 0:
                    total[0, p, c, e], total[1, p, c, e] = count_a, sum_a
                elif codes[p] == 1:
                    total[0, p, c, e], total[1, p, c, e] = count_b, sum_b
                else:
                    total[0, p, c, e], total[1, p, c, e] = count, sum_both


@jit_strict
def make_up_nb(voltages, used, together):
    """Divide voltages by the root of their weights; those that are not used become 0.

    If `together`, a sample is used in both polarisations or in none.
    """
    last = used.shape[0] - 1
    for c in range(used.shape[1]):
        for i in range(used.shape[2]):
            both = used[0, c, i] > 0 and used[last, c, i] > 0
            for pol in range(used.shape[0]):
                weight = used[pol, c, i]
                if weight == 1 and (both or not together):
                    continue
                scale = 1 / np.sqrt(weight) if (both if together else weight > 0) else 0.0
                x = voltages[pol, c, i]
                voltages[pol, c, i] = np.complex64(complex(x.real * scale, x.imag * scale))
