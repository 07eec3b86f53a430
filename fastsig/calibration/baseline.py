"""Baselines of spectra: orthogonal polynomials, and asymmetrically reweighted smoothing."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastsig.calibration.lines import Windows, chunks, prepared
from fastsig.errors import UsageError

__all__ = ["MOST_ORDER", "Smooth", "arpls", "polynomial"]

F8 = NDArray[np.float64]

#: Highest order of a polynomial: beyond it the recurrence loses orthogonality.
MOST_ORDER = 40


class Smooth(NamedTuple):
    """The result of `arpls`.

    Parameters
    ----------
    model : ndarray, shape (..., chan), float64
        Baselines in the unit of the spectra.
    converged : ndarray, shape (...,), bool
        Whether the weights converged; if not, the baseline is that of the last iteration.
    """

    model: F8
    converged: NDArray[np.bool_]


def polynomial(
    values: ArrayLike, x: ArrayLike, weight: ArrayLike | None = None, order: int = 3,
    include: Windows = (), protect: Windows = (),
) -> F8:
    """Fit a weighted least-squares polynomial to each spectrum, ``sum_k <y, p_k> p_k(x)``.

    The polynomials p_k are orthogonal over the channels that count, with their weights. They are
    computed with a three-term recurrence, as in GBTIDL.

    Parameters
    ----------
    values : array_like, shape (..., chan)
        Spectra, of any unit; NaN does not count.
    x : array_like, shape (chan,)
        Axis, such as channel numbers or MHz.
    weight : array_like, optional
        Inverse variances up to a factor, which broadcast against `values`. Channels of weight 0 do
        not count.
    order : int
        Order of the polynomial, 0 to 40.
    include : sequence of (low, high)
        Windows of `x`, both ends included, that are fitted; all channels by default.
    protect : sequence of (low, high)
        Windows of `x` that are not fitted.

    Returns
    -------
    ndarray, shape (..., chan), float64
        The polynomial in every channel; NaN for spectra with fewer than ``order + 1`` channels that
        count.

    Raises
    ------
    UsageError
        If the order is not allowed or shapes do not match.

    References
    ----------
    G. E. Forsythe 1957, J. SIAM 5, 74, equations (8) to (12).
    """
    if not 0 <= order <= MOST_ORDER:
        raise UsageError(f"order = {order}; allowed: 0 to {MOST_ORDER}")
    y, w = prepared(values, x, weight, protect, include)
    return fitted(y, w, unit_axis(x), order)


def unit_axis(x: ArrayLike) -> F8:
    """Scale an axis to the range from -1 to 1."""
    axis = np.asarray(x, np.float64)
    low, high = axis.min(), axis.max()
    scaled: F8 = (axis - (low + high) / 2) / (max(high - low, np.finfo(float).tiny) / 2)
    return scaled


def fitted(y: F8, w: F8, t: F8, order: int) -> F8:
    """Fit polynomials to prepared spectra over an axis from -1 to 1."""
    rows, weights = y.reshape(-1, t.size), w.reshape(-1, t.size)
    model = np.empty_like(rows)
    for part in chunks(len(rows), t.size):
        model[part] = _fit_rows(rows[part], weights[part], t, order)
    model[np.count_nonzero(weights, axis=1) <= order] = np.nan
    return model.reshape(y.shape)


def _fit_rows(y: F8, w: F8, t: F8, order: int) -> F8:
    """Fit polynomials to some rows, (row, chan).

    Rows of equal weights share the polynomials p_k. Sums run along a row, in an order that depends
    only on its length, so the result of a row has the same bits whichever rows are beside it.
    """
    if len(w) > 1 and (w[1:] == w[:1]).all():
        w = w[:1]
    before, p = np.zeros_like(w), _unit(np.ones_like(w), w)
    rest, model = y.copy(), np.zeros_like(y)
    for k in range(order + 1):
        step = _dot(w, rest, p) * p
        model += step
        rest -= step
        if k < order:
            q = t * p
            q -= _dot(w, q, p) * p
            q -= _dot(w, q, before) * before
            before, p = p, _unit(q, w)
    return model


def _dot(w: F8, a: F8, b: F8) -> F8:
    total: F8 = (w * a * b).sum(axis=-1, keepdims=True)
    return total


def _unit(q: F8, w: F8) -> F8:
    norm = np.sqrt(_dot(w, q, q))
    return np.divide(q, norm, out=np.zeros_like(q), where=norm > 0)


def arpls(
    values: ArrayLike, weight: ArrayLike | None = None, *, lam: float = 1e8, ratio: float = 0.01,
    max_iter: int = 100, x: ArrayLike | None = None, protect: Windows = (),
) -> Smooth:
    """Fit baselines that stay below lines: asymmetrically reweighted penalised least squares.

    The baseline z minimises ``sum w (y - z)^2 + lam sum (D^2 z)^2``. The weight of a channel then
    becomes ``1 / (1 + exp(2 (d - (2 s - m)) / s))``, where d is its residual y - z, and m and s are
    the mean and the standard deviation of the negative residuals. Both steps are repeated until the
    weights change by less than `ratio`. Channels that do not count or are protected have weight 0
    throughout, and the baseline passes smoothly through them.

    Parameters
    ----------
    values : array_like, shape (..., chan)
        Spectra with evenly spaced channels; NaN does not count.
    weight : array_like, optional
        Factors of the weights above, which broadcast against `values`.
    lam : float
        Smoothness; the baseline does not follow structure shorter than about ``6 lam**0.25``
        channels.
    ratio : float
        Relative change of the weights that ends the iteration.
    max_iter : int
        Largest number of iterations.
    x : array_like, shape (chan,), optional
        Axis of `protect`; channel numbers by default.
    protect : sequence of (low, high)
        Windows of `x` with weight 0.

    Returns
    -------
    Smooth
        The baselines, and whether their weights converged. Spectra with fewer than 3 channels that
        count have a baseline of NaN.

    Raises
    ------
    UsageError
        If a parameter is not allowed, or pybaselines is not installed.

    References
    ----------
    S.-J. Baek, A. Park, Y.-J. Ahn, J. Choo 2015, Analyst 140, 250, equations (9) to (12). The
    defaults are those of HiFAST (arXiv:2401.17364).
    """
    if not lam > 0 or not 0 < ratio < 1 or max_iter < 1:
        raise UsageError(f"lam = {lam}, ratio = {ratio}, max_iter = {max_iter}; allowed: above 0, "
                         "0 to 1, 1 or more")
    smooth = _smoother()
    axis = np.arange(np.shape(values)[-1]) if x is None else x
    y, w = prepared(values, axis, weight, protect)
    model, converged = np.full(y.shape, np.nan), np.ones(y.shape[:-1], bool)
    for row in np.ndindex(*y.shape[:-1]):
        if np.count_nonzero(w[row]) >= 3:
            model[row], converged[row] = _settled(y[row], w[row], lam, ratio, max_iter, smooth)
    return Smooth(model, converged)


def _settled(
    y: F8, given: F8, lam: float, ratio: float, max_iter: int, smooth: Callable[..., F8]
) -> tuple[F8, bool]:
    """Return the baseline of one spectrum, and whether it converged."""
    w, used = given, given > 0
    for _ in range(max_iter):
        z = smooth(y, lam, 2, w, check_finite=False)
        new = given * _below(y - z, used)
        if np.sqrt(((new - w) ** 2).sum()) < ratio * np.sqrt((w**2).sum()):
            return z, True
        w = new
    return z, False


def _below(d: F8, used: NDArray[np.bool_]) -> F8:
    """Return weights from residuals: 1 for scatter around the baseline, 0 for values far above."""
    low = d[used & (d < 0)]
    if low.size < 2 or not (s := low.std(ddof=1)) > 0:
        return np.ones_like(d)
    scaled = 2 * (d - (2 * s - low.mean())) / s
    weight: F8 = 1 / (1 + np.exp(np.clip(scaled, -500, 500)))
    return weight


def _smoother() -> Callable[..., F8]:
    """Return Whittaker's smoother of pybaselines, loaded when it is needed."""
    try:
        found: Callable[..., F8] = importlib.import_module("pybaselines.utils").whittaker_smooth
    except ImportError as error:
        raise UsageError("arpls needs the package pybaselines: pip install \"fastsig[spectral]\" "
                         f"({error})") from error
    return found
