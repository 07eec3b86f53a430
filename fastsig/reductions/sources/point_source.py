"""A point source in a map: fit its flux density and position with a Gaussian of the known beam.

``A b(r - r0) + offset`` is fitted by least squares with the pixels' weights. Pixels share noise, so
errors are ``H J' W C W J H`` with ``H = (J' W J)^-1`` and C the measured covariance of the pixels
(`fastsig.reductions.mapping.noise`). If the map differs from the model by more than its noise, as
it does for a bright source in a beam that is not Gaussian, errors are scaled by the square root of
chi2 over the degrees of freedom. Errors of pointing and of the flux scale are not included.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import DataError
from fastsig.io.fits.cube_header import Beam

__all__ = ["PointFit", "fit_point"]

F8 = NDArray[np.float64]

_LEAST = 6


class PointFit(NamedTuple):
    """Values and covariance of a fit's (amplitude, east, north, offset), offsets in deg."""

    values: F8
    covariance: F8
    chi2: float
    n: int


def fit_point(plane: F8, sigma: F8, east: F8, north: F8, beam: Beam, rho: F8, radius: float,
              path: str) -> PointFit:
    """Fit a point source near the position from which offsets are measured.

    Parameters
    ----------
    plane, sigma, east, north : ndarray, shape (y, x)
        Values, their noise (infinite or NaN where there are no values), and offsets in deg.
    beam : Beam
    rho : ndarray, shape (2 m + 1, 2 m + 1)
        Correlation of pixels.
    radius : float
        Radius within which pixels are fitted, deg.
    path : str
        Path for error messages.

    Raises
    ------
    DataError
        If there are too few pixels, or no source within `radius`.
    """
    from scipy.optimize import least_squares

    used = (np.hypot(east, north) <= radius) & np.isfinite(plane) & np.isfinite(sigma) & (sigma > 0)
    if used.sum() < _LEAST:
        raise DataError(path, f"{int(used.sum())} pixels of the map within {radius * 60:.3g}' of "
                        f"the position; allowed: {_LEAST} or more")
    values, noise, x, y = plane[used], sigma[used], east[used], north[used]

    def model(parameters: F8) -> F8:
        found: F8 = parameters[3] + parameters[0] * beam.response(
            x - parameters[1], y - parameters[2])
        return found

    level = float(np.median(values))
    top = int(np.argmax(np.abs(values - level) * beam.response(x, y) ** 0.25))
    start = np.array([values[top] - level, x[top], y[top], level])
    scale = np.array([abs(start[0]) or 1.0, beam.minor, beam.minor, abs(start[0]) or 1.0])
    found = least_squares(lambda p: (model(p) - values) / noise, start, method="lm", x_scale=scale)
    if found.status <= 0 or not math.hypot(*found.x[1:3]) <= radius:
        raise DataError(path, f"no point source within {radius * 60:.3g}' of the position: the fit "
                        "moves outside")
    covariance = _covariance(found.x, model, scale, noise, _places(used), rho)
    if not found.x[0] ** 2 > 9 * covariance[0, 0]:
        raise DataError(path, f"no point source: its amplitude is {found.x[0]:.3g} +- "
                        f"{math.sqrt(covariance[0, 0]):.2g}")
    chi2 = 2 * float(found.cost)
    return PointFit(found.x, covariance * max(1.0, chi2 / (len(values) - 4)), chi2, len(values))


def _places(used: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.argwhere(used)


def _covariance(parameters: F8, model: Callable[[F8], F8], scale: F8, noise: F8,
                places: NDArray[np.int64], rho: F8) -> F8:
    jacobian = np.empty((len(noise), len(parameters)))
    for k, step in enumerate(1e-5 * scale):
        move = np.zeros(len(parameters))
        move[k] = step
        jacobian[:, k] = (model(parameters + move) - model(parameters - move)) / (2 * step)
    scaled = jacobian / noise[:, np.newaxis]
    inverse = np.linalg.inv(scaled.T @ scaled)
    reach = len(rho) // 2
    shared = np.zeros((len(places), len(places)))
    away = places[:, np.newaxis] - places
    near = (np.abs(away) <= reach).all(axis=2)
    shared[near] = rho[away[near][:, 0] + reach, away[near][:, 1] + reach]
    found: F8 = inverse @ (scaled.T @ shared @ scaled) @ inverse
    return found
