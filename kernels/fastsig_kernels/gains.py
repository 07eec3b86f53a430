"""Application of receiver gains to spectra: real factors for powers, complex for cross products."""

import numpy as np

from . import _check
from ._jit import jit_strict


def apply_gain(
    values: np.ndarray,
    gain: np.ndarray,
    *,
    cross: np.ndarray | None = None,
    row: np.ndarray | None = None,
    weight: np.ndarray | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Multiply spectra by the gains of each channel, in one pass.

    Powers become ``out[t, p, c] = (values[t, p, c] gain[p, c]) row[t, p]``. A final pair CR and CI
    becomes ``out[t, 2] + i out[t, 3] = ((values[t, 2] + i values[t, 3]) cross) row[t, 2 and 3]``.
    Each operation is rounded to float32, in this order.

    Parameters
    ----------
    values : ndarray, shape (n_time, n_product, n_chan), float32, any unit
        One or two powers, followed by CR and CI if `cross` is given; fastest if channels are
        contiguous.
    gain : ndarray, shape (n_power, n_chan), float32, any unit
        Factors of the powers.
    cross : ndarray, shape (n_chan,), complex64, unit of gain, optional
        Factor of CR + i CI.
    row : ndarray, shape (n_time, n_product), float32, dimensionless, optional
        Factors of whole spectra.
    weight : ndarray, shape (n_time, 1 or n_product, 1 or n_chan), float32, dimensionless, optional
        Values of weight 0 become NaN.
    out : ndarray, shape of values, float32, optional
        Receives the products; may be `values`.

    Returns
    -------
    ndarray, shape (n_time, n_product, n_chan), float32
        `out`, or a new array.

    Raises
    ------
    TypeError
        If an array is an ndarray subclass or has the wrong dtype.
    ValueError
        If a shape is wrong.

    Notes
    -----
    A call allocates nothing of the data's size when `out` is given. NaN propagates, also from
    gains, and the GIL is released. `out` may be `values` itself, but must not overlap it otherwise.

    References
    ----------
    J. P. Hamaker, J. D. Bregman and R. J. Sault, A&AS 117 (1996) 137: a diagonal Jones matrix.
    """
    _check.array("values", values, ("float32",), 3)
    n_time, n_product, n_chan = values.shape
    n_power = n_product if cross is None else n_product - 2
    _check.array("gain", gain, ("float32",), 2)
    _check.shape("gain", gain, (max(n_power, 0), n_chan))
    if cross is None:
        cross = np.empty(0, np.complex64)
    else:
        _check.array("cross", cross, ("complex64",), 1)
        _check.shape("cross", cross, (n_chan,))
    if row is None:
        row = np.ones((1, n_product), np.float32)
    else:
        _check.array("row", row, ("float32",), 2)
        _check.shape("row", row, (n_time, n_product))
    if weight is None:
        weight = np.empty((0, 0, 0), np.float32)
    else:
        _check.array("weight", weight, ("float32",), 3)
        _spreads("weight", weight, values.shape)
    out = _check.output("out", out, values.shape, "float32", gain, cross, row, weight)
    _check.apart_or_same("out", out, values)
    re, im = np.ascontiguousarray(cross.real), np.ascontiguousarray(cross.imag)
    apply_gain_nb(values, gain, re, im, row, weight, out)
    return out


def _spreads(name, value, shape):
    """Refuse an array that does not broadcast over products and channels."""
    allowed = (shape[0],), (1, shape[1]), (1, shape[2])
    if any(n not in each for n, each in zip(value.shape, allowed, strict=True)):
        raise ValueError(f"{name}: found shape {value.shape}, allowed {shape}, 1 for the last two")


@jit_strict
def apply_gain_nb(values, gain, re, im, row, weight, out):
    """Fill `out` as `apply_gain` does; arguments are not checked.

    `re` and `im` are the parts of `cross`, with length 0 if there is none. `row` may have a single
    row, and `weight` may have length 0.
    """
    n_power = gain.shape[0]
    for t in range(values.shape[0]):
        factor = row[min(t, row.shape[0] - 1)]
        for p in range(n_power):
            _scale(values[t, p], gain[p], factor[p], out[t, p])
        if n_power < values.shape[1]:
            _turn(values[t, n_power], values[t, n_power + 1], re, im, factor[n_power],
                  factor[n_power + 1], out[t, n_power], out[t, n_power + 1])
        if weight.shape[0] > 0:
            _blank(weight[t], out[t])


@jit_strict
def _scale(x, gain, factor, out):
    """Scale one spectrum of one power."""
    for c in range(x.shape[0]):
        out[c] = x[c] * gain[c] * factor


@jit_strict
def _turn(x, y, re, im, first, second, out_x, out_y):
    """Multiply one spectrum of CR and CI by the complex gain."""
    for c in range(x.shape[0]):
        a, b = x[c], y[c]
        out_x[c] = (a * re[c] - b * im[c]) * first
        out_y[c] = (a * im[c] + b * re[c]) * second


@jit_strict
def _blank(weight, out):
    """Write NaN where the weight is 0; products and channels may share weights."""
    for p in range(out.shape[0]):
        w = weight[min(p, weight.shape[0] - 1)]
        if w.shape[0] == out.shape[1]:
            for c in range(out.shape[1]):
                out[p, c] = out[p, c] if w[c] != 0 else np.float32(np.nan)
        elif w[0] == 0:
            out[p, :] = np.float32(np.nan)
