"""Flags applied to spectra: values become NaN, and weights 0."""

import numpy as np

from . import _check
from ._jit import jit_strict

_NAN = np.float32(np.nan)


def apply_flags(
    x: np.ndarray, weight: np.ndarray, flags: np.ndarray, *, out: np.ndarray | None = None,
    out_weight: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return values that are NaN where they are flagged, and weights that are 0 there.

    Parameters
    ----------
    x : ndarray, shape (n_time, n_product, n_chan), float32, any unit
        Spectra, with any strides.
    weight : ndarray, shape (n_time, 1 or n_product, 1 or n_chan), float32, dimensionless
        Weights.
    flags : ndarray, shape (1 or n_time, 1 or n_product, n_chan), bool
        Samples that are flagged.
    out : ndarray, shape of x, float32, unit of x, optional
        Receives the values.
    out_weight : ndarray, shape (n_time, 1 or n_product, n_chan), float32, optional
        Receives the weights; its second axis has the length n_product if that of `weight` or
        `flags` has.

    Returns
    -------
    out, out_weight : ndarray
        As above; new arrays if none were given.

    Raises
    ------
    TypeError, ValueError
        If an array has the wrong type, dtype or shape.

    Notes
    -----
    A call allocates nothing large when both outputs are given. NaN propagates, and the GIL is
    released.
    """
    _check.array("x", x, ("float32",), 3)
    _check.array("weight", weight, ("float32",), 3)
    _check.array("flags", flags, ("bool",), 3)
    n_time, n_product, n_chan = x.shape
    _broadcasts("weight", weight, (n_time,), n_product, (1, n_chan))
    _broadcasts("flags", flags, (1, n_time), n_product, (n_chan,))
    wide = max(min(weight.shape[1], n_product), min(flags.shape[1], n_product))
    out = _check.output("out", out, x.shape, "float32", x, weight, flags)
    out_weight = _check.output("out_weight", out_weight, (n_time, wide, n_chan), "float32", x,
                               weight, flags, out)
    apply_flags_nb(x, weight, flags, out, out_weight)
    return out, out_weight


def _broadcasts(name: str, x: np.ndarray, n_time: tuple[int, ...], n_product: int,
                n_chan: tuple[int, ...]) -> None:
    if x.shape[0] not in n_time or x.shape[1] not in (1, n_product) or x.shape[2] not in n_chan:
        raise ValueError(f"{name}: found shape {x.shape}, allowed "
                         f"({' or '.join(map(str, n_time))}, 1 or {n_product}, "
                         f"{' or '.join(map(str, n_chan))})")


@jit_strict
def apply_flags_nb(x, weight, flags, out, out_weight):
    """Fill the outputs as `apply_flags` does; nothing is checked."""
    n_time, n_product, n_chan = x.shape
    for t in range(n_time):
        at = min(t, flags.shape[0] - 1)
        for p in range(n_product):
            row, made, flagged = x[t, p], out[t, p], flags[at, min(p, flags.shape[1] - 1)]
            for c in range(n_chan):
                made[c] = _NAN if flagged[c] else row[c]
        for p in range(out_weight.shape[1]):
            row, made = weight[t, min(p, weight.shape[1] - 1)], out_weight[t, p]
            flagged = flags[at, min(p, flags.shape[1] - 1)]
            if row.size == 1:
                value = row[0]
                for c in range(n_chan):
                    made[c] = np.float32(0) if flagged[c] else value
            else:
                for c in range(n_chan):
                    made[c] = np.float32(0) if flagged[c] else row[c]
