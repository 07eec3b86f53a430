"""Resampling of spectra onto other channels: band-limited, conserving flux, past lost channels.

Positions count input channels: ``k`` is the centre of channel k, its edges lie at ``k -+ 1/2``.
Values are densities (means over a channel), so the flux of a line is the sum of its channels times
their width. The kernel is a sinc under a Kaiser window, ``lobes`` channels to either side; for
output channels wider than the input's it is stretched by their ratio, which keeps aliases out. Its
coefficients are divided by their sum for every output channel, so a constant stays as it is.

References
----------
J. F. Kaiser, in: System Analysis by Digital Computer, Wiley (1966) 218: the window.
T. I. Laakso et al., IEEE Signal Processing Magazine 13 (1996) 30: filters of a fractional delay.
"""

from functools import lru_cache

import numpy as np

from . import _check
from ._jit import jit_strict

#: Lobes of the sinc to either side: a line of one channel keeps its width within 1 %.
LOBES = 39
_BETA = 2.0
_DENSITY = 256  # of tables, a channel or lobe: interpolation in them errs by 6e-6
_BLOCK = 64  # channels between which coefficients are interpolated
_DRIFT = 0.02  # most that a position's fraction may change in a block: errs by 2e-4 of a line
_MARGIN = 8  # rows of a table beyond the fractions 0 and 1, for that change


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
    """Spectra at other channels, each row at its own.

    ``out[t, p, k] = sum_j c_j x[t, p, j] / sum_j c_j`` over valid channels j, with
    ``c_j = h((j - q) / s) / s``, ``q = position[t] + (first_out + k) step[t]``,
    ``s = max(1, step[t])`` and ``h(d) = sinc(d) kaiser(d / lobes)``; and
    ``out_weight = sum_j c_j^2 w_j / sum_j c_j^2``, where the last sum takes lost channels too.

    Parameters
    ----------
    x : ndarray, shape (n_time, n_product, n_chan), float32, any unit
        Input channels `first_in` to ``first_in + n_chan - 1``; all others count as lost, so a slice
        of a band needs ``(lobes + 1) max(1, step)`` channels more at either end. NaN and infinite
        values are lost, too.
    position : ndarray, shape (n_time,), float64, input channels
        Where output channel 0 lies, as the index of the input channel whose centre that is.
    step : ndarray, shape (n_time,), float64, input channels
        Distance, and width, of output channels; above 0.
    n_out : int
        Output channels to make.
    weight : ndarray, shape (n_time, 1 or n_product, 1 or n_chan), float32, dimensionless, optional
        All 1 by default. Channels of weight 0 (or NaN) are lost; beyond that weights do not change
        the values.
    first_in, first_out : int
        Index of the first channel of `x` and of `out` in the whole axes, by which positions count.
    lobes : int
        Length of the kernel to either side, in channels (the wider ones); 2 to 100.
    min_valid : float
        Least share of the kernel's energy, ``sum c^2`` over valid channels, that an output channel
        needs; above 0.5, and 1 at most. With less it is NaN and its weight 0.
    out : ndarray, shape (n_time, n_product, n_out), float32, unit of x, optional
        Receives the values.
    out_weight : ndarray, shape of out, float32, dimensionless, optional
        Receives the weights.

    Returns
    -------
    out, out_weight : ndarray
        As above; new arrays where none were given.

    Raises
    ------
    TypeError
        If an array is an ndarray subclass or of another dtype.
    ValueError
        If a shape or a number is not allowed.

    Notes
    -----
    Takes 16 bytes an input channel of one spectrum besides; nothing of the data's size when both
    outputs are given. The GIL is released. NaN does not propagate: it is what is lost. A row of
    which position or step is not finite is NaN. An output channel's bits do not depend on
    `first_out`, `n_out` nor on where a slice begins, if all that its kernel spans is in it. Where
    steps are within 3e-4 of 1 it is about 20 times as fast as elsewhere. Noise of output channels
    is correlated: `resampling_covariance` tells how.
    """
    _check.array("x", x, ("float32",), 3)
    n_time, n_product, n_chan = x.shape
    for name, each in (("position", position), ("step", step)):
        _check.array(name, each, ("float64",), 1)
        _check.shape(name, each, (n_time,))
    if np.any(step <= 0):
        raise ValueError(f"step: found {step.min()}, allowed above 0")
    if weight is None:
        weight = np.ones((1, 1, 1), np.float32)
    else:
        _check.array("weight", weight, ("float32",), 3)
        _spreads(weight, x.shape)
    lobes = _lobes(lobes)
    if not 0.5 < min_valid <= 1:
        raise ValueError(f"min_valid: found {min_valid}, allowed above 0.5, up to 1")
    shape = n_time, n_product, _check.count("n_out", n_out)
    out = _check.output("out", out, shape, "float32")
    out_weight = _check.output("out_weight", out_weight, shape, "float32")
    near, far = kernel_tables(lobes)
    resample_nb(x, weight, position, step, first_in, first_out, lobes, float(min_valid), near, far,
                out, out_weight)
    return out, out_weight
