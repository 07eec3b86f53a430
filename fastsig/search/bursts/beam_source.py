"""The position of a point source from its S/N in several beams.

A beam is a Gaussian of the receiver's half-power width, averaged over the band. A source at x with
the S/N s in the middle of a beam has in beam b the S/N ``m_b = s g_b P_b(x)``, with the variance
``1 + (e m_b)^2 + (l s)^2``: the noise, the error e of the shape and gain of the beams, and side
lobes up to l, but at most 0.04 of the highest S/N. Without this limit, a source far from all beams
would explain interference that is equally bright in all of them. A beam in which nothing was found
has an S/N below the threshold. With sources spread evenly over the sky and a number of brighter
ones proportional to ``s^-1.5``, the mean and the standard deviation of the posterior are the
position and its error, also for a burst in one beam.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError

__all__ = ["BeamSource", "Geometry", "fit_source"]

F8 = NDArray[np.float64]

_SLOPE = 2.5  # of the numbers of bursts against S/N: -2.5 in a Euclidean universe
_REACH = 1.5  # beam widths from the brightest beam, within which the source is looked for
_MOST_LOBE = 0.04  # sidelobes relative to the highest S/N
_CELLS = 15, 21  # on a side of the first and of the second grid
_DEPTH = 10.0  # of the logarithm of the posterior: the second grid covers what is higher
_STEPS = np.linspace(-3.2, 3.2, 9)  # standard deviations of the S/N of the brightest beam
_LOG_4 = 4 * np.log(2)


@dataclass(frozen=True)
class Geometry:
    """Beams of a receiver.

    Parameters
    ----------
    numbers : tuple of int
        Numbers of the beams that were searched.
    offsets : ndarray, shape (beam, 2), arcmin
        Offsets east and north of the telescope's pointing position.
    hpbw : ndarray, shape (beam, frequency), arcmin
        Half-power widths at some frequencies of the band, over which a beam is averaged.
    gains : ndarray, shape (beam,), optional
        Relative S/N in the middle of each beam; by default, equal.
    shape_error, side_lobe : float
        Relative error of the beam's shape and gain, and sidelobes relative to the middle.
    """

    numbers: tuple[int, ...]
    offsets: F8
    hpbw: F8
    gains: F8 | None = None
    shape_error: float = 0.05
    side_lobe: float = 0.01

    def __post_init__(self) -> None:
        n = len(self.numbers)
        if self.offsets.shape != (n, 2) or self.hpbw.ndim != 2 or len(self.hpbw) != n:
            raise UsageError(f"beams: offsets {self.offsets.shape}, widths {self.hpbw.shape}; "
                             f"allowed: ({n}, 2) and ({n}, frequency)")
        if not (np.isfinite(self.hpbw).all() and (self.hpbw > 0).all()):
            raise UsageError("beams: the width of a beam is not known; allowed: above 0 arcmin")

    def pattern(self, places: F8) -> F8:
        """Return the response of beams at places (place, 2), arcmin: shape (place, beam)."""
        apart = ((places[:, np.newaxis] - self.offsets) ** 2).sum(axis=2)
        power = np.exp(-_LOG_4 * apart[..., np.newaxis] / self.hpbw**2).mean(axis=2)
        return power if self.gains is None else np.asarray(power * self.gains)


@dataclass(frozen=True)
class BeamSource:
    """A point source.

    Parameters
    ----------
    east, north : float
        Position relative to the telescope's pointing position, arcmin.
    east_error, north_error : float
        Standard errors, arcmin.
    snr : float
        S/N that the source has in the middle of a beam.
    expected, scatter : dict
        Most probable S/N in each beam, and its standard deviation.
    chi2 : float
        Twice the difference between the logarithms of the likelihood of a perfect fit and of this
        one.
    """

    east: float
    north: float
    east_error: float
    north_error: float
    snr: float
    expected: dict[int, float]
    scatter: dict[int, float]
    chi2: float


def fit_source(geometry: Geometry, snr: Mapping[int, float], threshold: float) -> BeamSource:
    """Return the point source that best explains the S/N in beams.

    Parameters
    ----------
    geometry : Geometry
        All beams that were searched.
    snr : mapping
        S/N in each beam, with the numbers of the beams as keys; nothing was found in the others.
    threshold : float
        S/N from which candidates were reported.

    Raises
    ------
    UsageError
        If there is no S/N, or a beam is not in the geometry.
    """
    if not snr or not set(snr) <= set(geometry.numbers):
        raise UsageError(f"snr of beams {', '.join(map(str, snr)) or '(none)'}; allowed: of one or "
                         f"more of {', '.join(map(str, geometry.numbers))}")
    seen = np.array([snr.get(number, np.nan) for number in geometry.numbers])
    brightest = int(np.nanargmax(seen))
    reach = _REACH * float(geometry.hpbw[brightest].max())
    middle = geometry.offsets[brightest]
    places = _grid(middle - reach, middle + reach, _CELLS[0])
    posterior, _ = _posterior(geometry, places, seen, brightest, threshold)
    high = places[posterior > posterior.max() - _DEPTH]
    step = 2 * reach / (_CELLS[0] - 1)
    places = _grid(high.min(axis=0) - step, high.max(axis=0) + step, _CELLS[1])
    posterior, best = _posterior(geometry, places, seen, brightest, threshold)
    weight = np.exp(posterior - posterior.max())
    weight /= weight.sum()
    mean = weight @ places
    cell = (places[-1] - places[0]) / (_CELLS[1] - 1)
    error = np.sqrt(weight @ (places - mean) ** 2 + cell**2 / 12)
    place, s, chi2 = best
    expected = s * geometry.pattern(places[place : place + 1])[0]
    scatter = np.sqrt(_variance(geometry, expected, np.asarray(s), seen[brightest]))
    return BeamSource(float(mean[0]), float(mean[1]), float(error[0]), float(error[1]), s,
                      _by_beam(geometry, expected), _by_beam(geometry, scatter), chi2)


def _by_beam(geometry: Geometry, values: F8) -> dict[int, float]:
    return dict(zip(geometry.numbers, values.tolist(), strict=True))


def _grid(low: F8, high: F8, n: int) -> F8:
    """Return n x n places between two corners, shape (place, 2)."""
    east, north = np.meshgrid(*(np.linspace(*ends, n) for ends in zip(low, high, strict=True)),
                              indexing="ij")
    return np.stack([east.ravel(), north.ravel()], axis=1)


def _variance(geometry: Geometry, expected: F8, s: F8, highest: float) -> F8:
    lobe = np.minimum(geometry.side_lobe * s, _MOST_LOBE * highest)
    return np.asarray(1 + (geometry.shape_error * expected) ** 2 + lobe**2)


def _posterior(geometry: Geometry, places: F8, seen: F8, brightest: int, threshold: float
               ) -> tuple[F8, tuple[int, float, float]]:
    """Return the logarithm of the posterior of places, and the best place, S/N and chi^2."""
    from scipy.special import log_ndtr, logsumexp

    pattern = np.maximum(geometry.pattern(places), 1e-12)
    own = seen[brightest] + _STEPS * np.hypot(1, geometry.shape_error * seen[brightest])
    own = own[own > 0]
    s = own[np.newaxis] / pattern[:, brightest, np.newaxis]  # (place, step)
    found = np.isfinite(seen)
    order = np.concatenate([np.flatnonzero(found), np.flatnonzero(~found)])
    n = int(found.sum())
    expected = s[..., np.newaxis] * pattern[:, np.newaxis, order]
    sigma = np.sqrt(_variance(geometry, expected, s[..., np.newaxis], seen[brightest]))
    off = ((seen[order[:n]] - expected[..., :n]) / sigma[..., :n]) ** 2
    below = log_ndtr((threshold - expected[..., n:]) / sigma[..., n:]).sum(axis=2)
    likelihood = below - (off / 2 + np.log(sigma[..., :n])).sum(axis=2)
    # Prior s^-2.5 ds = own^-2.5 P^1.5 d(own).
    prior = -_SLOPE * np.log(own)[np.newaxis] + (_SLOPE - 1) * np.log(
        pattern[:, brightest, np.newaxis])
    posterior = likelihood + prior
    best = np.unravel_index(int(np.argmax(posterior)), posterior.shape)
    misfit = off[best].sum() - 2 * below[best]
    return np.asarray(logsumexp(posterior, axis=1)), (int(best[0]), float(s[best]), float(misfit))
