"""Polarisation of a profile: linear polarisation without bias, V, and position angles with errors.

Noise makes the measured ``sqrt(Q^2 + U^2)`` too large. The estimate without this bias is
``L = sigma sqrt((L_measured / sigma)^2 - 1)`` if L_measured is 1.57 sigma or more, and otherwise 0
(Everett & Weisberg 2001, eq. 11), where sigma is the off-pulse noise of Q and U.

The position angle (PA) is ``atan2(U, Q) / 2``. Its probability about the true angle, for a true
``p = L / sigma``, is (Naghizadeh-Khouei & Clarke 1993)

    ``G(d; p) = exp(-p^2 / 2) (1 / sqrt(pi) + e exp(e^2) (1 + erf(e))) / sqrt(pi)``,
    ``e = p cos(2 d) / sqrt(2)``,

which is not a Gaussian at a low S/N. The error is the half width of the interval that contains
68.27 per cent, with the estimate L instead of the true value; it tends to ``1 / (2 p)`` rad for
large p.

References
----------
J. E. Everett and J. M. Weisberg, ApJ 553 (2001) 341.
J. Naghizadeh-Khouei and D. Clarke, A&A 274 (1993) 968.
W. van Straten et al., PASA 27 (2010) 104: signs of Stokes parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.pulsar.harmonics import checked
from fastsig.pulsar.significance import baseline
from fastsig.work.shown import Shown

__all__ = ["CONVENTIONS", "PolarizationProfile", "debiased", "pa_error", "polarization_profile",
           "to_sky"]

F8 = NDArray[np.float64]
C16 = NDArray[np.complex128]

#: Sign of V relative to PSR/IEEE, where V is positive if left-hand circular polarisation (IEEE) is
#: stronger. Position angles increase from north to east in both.
CONVENTIONS = {"PSR/IEEE": 1, "IAU": -1}

_LEAST = 1.57
_CENTRAL = 0.682689492137086
_FAR = 20.0  # beyond, the error is 1 / (2 p) rad to 0.1 per cent


@dataclass(frozen=True, repr=False)
class PolarizationProfile(Shown):
    """Stokes parameters above their baselines, L, V and PA for each bin.

    Parameters
    ----------
    i, q, u, v : ndarray, shape (bin,)
        Stokes parameters, in the unit of the profile.
    linear : ndarray, shape (bin,)
        Linear polarisation without bias.
    pa_deg, pa_error_deg : ndarray, shape (bin,)
        Position angle, from -90 to 90, and its error; 61.4 degrees means that it is not known.
    sigma : tuple of float
        Off-pulse noise of a bin of I, Q, U, V.
    off : ndarray, shape (bin,), bool
        Off-pulse bins.
    convention : {"PSR/IEEE", "IAU"}
        Sign of V.
    frame : {"receiver", "sky"}
        Whether angles are relative to the receiver or to north.
    """

    i: F8
    q: F8
    u: F8
    v: F8
    linear: F8
    pa_deg: F8
    pa_error_deg: F8
    sigma: tuple[float, float, float, float]
    off: NDArray[np.bool_]
    convention: str
    frame: str

    def fraction(self, which: Literal["linear", "circular", "absolute"]) -> tuple[float, float]:
        """Return L/I, V/I or abs(V)/I of the on-pulse bins, and its error.

        The mean of abs(V) of noise, ``sigma sqrt(2 / pi)``, is subtracted.
        """
        on = ~self.off
        total, n_on = float(self.i[on].sum()), int(on.sum())
        if total <= 0:
            return np.nan, np.nan
        noise = {"linear": self._of_linear, "circular": self.sigma[3], "absolute": self.sigma[3]}
        if which not in noise:
            raise UsageError(f"which = {which!r}; allowed: {', '.join(noise)}")
        part = {"linear": self.linear, "circular": self.v,
                "absolute": np.abs(self.v) - self.sigma[3] * np.sqrt(2 / np.pi)}[which]
        ratio = float(part[on].sum()) / total
        scatter = np.hypot(noise[which], ratio * self.sigma[0]) * np.sqrt(
            n_on * (1 + n_on / self.off.sum()))
        return ratio, float(scatter) / total

    def mean_pa_deg(self) -> tuple[float, float]:
        """Return the position angle of the sum of Q and U of the on-pulse bins, and its error.

        The angle is NaN if there is no on-pulse bin.
        """
        on = ~self.off
        total, n_on = complex((self.q + 1j * self.u)[on].sum()), int(on.sum())
        if n_on == 0:
            return np.nan, np.nan
        noise = self._of_linear * np.sqrt(n_on * (1 + n_on / self.off.sum()))
        true = float(debiased(abs(total), noise)) if noise > 0 else abs(total)
        error = float(pa_error(true / noise)) if noise > 0 else 0.0
        return float(np.degrees(np.angle(total)) / 2), float(np.degrees(error))

    @property
    def _of_linear(self) -> float:
        return float(np.hypot(self.sigma[1], self.sigma[2]) / np.sqrt(2))

    def significant(self, n_sigma: float = 3.0) -> NDArray[np.bool_]:
        """Return the bins with linear polarisation above a number of standard deviations."""
        return self.linear > n_sigma * self._of_linear


def polarization_profile(
    iquv: Any, off: Any = None, *, handedness: str = "PSR/IEEE", convention: str = "PSR/IEEE",
    frame: str = "receiver", parallactic_deg: float | None = None,
) -> PolarizationProfile:
    """Return L, V and PA of a profile of four Stokes parameters.

    Parameters
    ----------
    iquv : array, shape (4, bin), any unit
        I, Q, U, V.
    off : array, shape (bin,), bool, optional
        Off-pulse bins; by default, those of `find_off_pulse` for I.
    handedness, convention : {"PSR/IEEE", "IAU"}
        Sign of V of the input, and of the result.
    frame : {"receiver", "sky"}
        Frame of the input.
    parallactic_deg : float, optional
        Parallactic angle plus that of the receiver; the result is then in the frame of the sky.

    Raises
    ------
    UsageError
        If an option is not allowed, the shape is not (4, bin), or the frame is already that of the
        sky.
    """
    values = checked(iquv, "iquv", 2)
    if len(values) != 4 or not np.isfinite(values).all():
        raise UsageError(f"iquv: shape {values.shape}; allowed: (4, bin), without missing bins")
    sign = _sign(handedness, "handedness") * _sign(convention, "convention")
    if frame not in ("receiver", "sky"):
        raise UsageError(f"frame = {frame!r}; allowed: receiver, sky")
    if parallactic_deg is not None and frame == "sky":
        raise UsageError("parallactic_deg: the profile is already in the frame of the sky")
    bases = [baseline(values[0], off)]
    bases += [baseline(each, bases[0].off) for each in values[1:]]
    i, q, u, v = (each - base.level for each, base in zip(values, bases, strict=True))
    if parallactic_deg is not None:
        turned, frame = to_sky(q + 1j * u, parallactic_deg), "sky"
        q, u = turned.real, turned.imag
    noise = (bases[0].sigma, bases[1].sigma, bases[2].sigma, bases[3].sigma)
    sigma = float(np.hypot(noise[1], noise[2]) / np.sqrt(2))
    linear = debiased(np.hypot(q, u), sigma)
    return PolarizationProfile(
        i, q, u, sign * v, linear, np.degrees(np.arctan2(u, q)) / 2,
        np.degrees(pa_error(linear / sigma)), noise, bases[0].off, convention, frame)


def _sign(name: str, argument: str) -> int:
    if name not in CONVENTIONS:
        raise UsageError(f"{argument} = {name!r}; allowed: {', '.join(CONVENTIONS)}")
    return CONVENTIONS[name]


def to_sky(linear: Any, parallactic_deg: Any) -> C16:
    """Return ``Q + i U`` in the frame of the sky: PA increases by the parallactic angle."""
    return np.asarray(linear * np.exp(2j * np.radians(parallactic_deg)), np.complex128)


def debiased(linear: Any, sigma: float) -> F8:
    """Return linear polarisation without the bias due to noise.

    Parameters
    ----------
    linear : array
        ``sqrt(Q^2 + U^2)``.
    sigma : float
        Noise of Q and of U.

    Raises
    ------
    UsageError
        If sigma is not above 0.
    """
    if not (np.isfinite(sigma) and sigma > 0):
        raise UsageError(f"sigma = {sigma}; allowed: above 0")
    ratio = np.asarray(linear, np.float64) / sigma
    return np.where(ratio >= _LEAST, sigma * np.sqrt(np.maximum(ratio**2 - 1, 0)), 0.0)


def pa_error(ratio: Any) -> F8:
    """Return the error of position angles, rad, given L divided by the noise of Q and U.

    Parameters
    ----------
    ratio : array
        L without bias divided by sigma.
    """
    p = np.asarray(ratio, np.float64)
    grid, errors = _table()
    with np.errstate(divide="ignore"):
        return np.where(p > _FAR, 0.5 / p, np.interp(p, grid, errors))


@lru_cache(maxsize=1)
def _table() -> tuple[F8, F8]:
    """Return the errors for p from 0 to `_FAR`: 68.27 per cent of G within them."""
    from scipy.special import erfcx

    grid = np.linspace(0, _FAR, 801)
    angle = np.linspace(0, 1, 4001) ** 2 * np.pi / 2  # finer where G is narrow
    errors = np.empty_like(grid)
    for k, p in enumerate(grid):
        e = p * np.cos(2 * angle) / np.sqrt(2)
        # exp(e^2 - p^2/2) (1 + erf(e)) without overflow: 1 + erf(e) = exp(-e^2) erfcx(-e)
        tail = np.where(e < 0, np.exp(-p**2 / 2) * erfcx(np.maximum(-e, 0)),
                        2 * np.exp(e**2 - p**2 / 2) - np.exp(-p**2 / 2) * erfcx(np.maximum(e, 0)))
        density = np.exp(-p**2 / 2) / np.pi + e * tail / np.sqrt(np.pi)
        steps = (density[1:] + density[:-1]) / 2 * np.diff(angle)
        errors[k] = np.interp(_CENTRAL, np.concatenate([[0], 2 * np.cumsum(steps)]), angle)
    return grid, errors
