"""Steps by which levels and noise of channels are measured, and how one follows from another."""

import math

import numpy as np

from ._jit import jit_strict

FIRST_ROWS = 63  # from which the first level and noise are measured
RUN = 64  # rows that are added in float32
REACH = np.float32(3.0)  # standard deviations up to which values are included
_WITHIN = 0.986578  # standard deviation of a Gaussian that is truncated there


@jit_strict
def renew_nb(level, sigma, sums, n):
    """Replace levels and noise by those of the values that were summed; keep them if none was."""
    for c in range(n):
        if sums[0, c] > 0:
            mean = sums[1, c] / sums[0, c]
            variance = max(0.0, sums[2, c] / sums[0, c] - mean * mean)
            level[c] = np.float32(np.float64(level[c]) + mean)
            sigma[c] = np.float32(math.sqrt(variance) / _WITHIN)
