"""Times of arrival (TOAs) of pulses: a template is matched to profiles in the Fourier domain.

A profile is the template t, shifted later by a phase tau, scaled by b and raised by a constant,
plus white noise of unknown standard deviation. With the harmonics P_h of the profile and T_h of the
template, and n_bin bins, the correlation C of the two and the power E_T of the template are

    ``C(tau) = (2 / n_bin) sum_h Re(P_h T_h* exp(2 pi i h tau))``,
    ``E_T = (2 / n_bin) sum_h |T_h|^2``.

The best shift maximises C, the best scale is ``b = C / E_T``, and the residual is ``R = E_P - C^2 /
E_T``. The usual error is derived from the curvature of C at its maximum (Taylor 1992), which
assumes that the likelihood is a Gaussian in tau. Here the probability of every shift in a turn is
computed, with flat priors for tau and b > 0, and with a prior of 1 / sigma for the noise, over
which it is integrated:

    ``p(tau) ~ R(tau)^(-nu / 2) S_nu(C / sqrt(E_T R / nu))``, ``nu = 2 n_harmonic - 1``,

where S_nu is the cumulative distribution of Student's t. The error of a TOA is the root mean square
of this distribution about the best shift, so that reduced chi^2 is 1 on average, even where noise
may be mistaken for a pulse at a low S/N.

References
----------
J. H. Taylor, Phil. Trans. R. Soc. A 341 (1992) 117: matching of templates in the Fourier domain.
Z. Arzoumanian et al. (NANOGrav), ApJ 813 (2015) 65, app. B: integrated likelihood at a low S/N.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.pulsar.harmonics import checked, harmonics, n_harmonic_of, series
from fastsig.work.shown import Shown

__all__ = ["Shifts", "match_template"]

F8 = NDArray[np.float64]
C16 = NDArray[np.complex128]

_OVERSAMPLE = 4  # points per bin of the grid over the whole turn
_REACH = 8.0  # curvature errors on either side of the best shift, on a fine grid
_HALF = 40  # points of the fine grid on either side; a step is then 0.2 curvature errors
_FAINT = 1e-7  # harmonics of the template below this share of the strongest do not matter
_BLOCK = 2**21  # largest number of points of the fine grid times harmonics at a time
_CENTRAL = 0.682689492137086


@dataclass(frozen=True, repr=False)
class Shifts(Shown):
    """Phases at which a template matches profiles, with one entry for each profile.

    Parameters
    ----------
    shift : ndarray, shape of the profiles without bins
        Delay of each profile relative to the template, in turns, from -0.5 to 0.5. NaN for a
        profile in which a bin has no data.
    error : ndarray
        Root mean square deviation from `shift` under its probability distribution, in turns.
    error68 : ndarray
        Half width of the interval about `shift` with a probability of 68.27 per cent.
    error_curvature : ndarray
        Error derived only from the curvature at the maximum, for comparison.
    scale, scale_error : ndarray
        Scale of the template, and its error.
    sigma : ndarray
        Noise of a bin, from the residual.
    """

    shift: F8
    error: F8
    error68: F8
    error_curvature: F8
    scale: F8
    scale_error: F8
    sigma: F8

    @property
    def snr(self) -> F8:
        """S/N of each profile: `scale` divided by `scale_error`."""
        return np.asarray(self.scale / self.scale_error, np.float64)

    @property
    def reliable(self) -> NDArray[np.bool_]:
        """Whether the probability has a single, nearly Gaussian peak."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.error < 1.25 * self.error_curvature, np.bool_)


def match_template(profiles: Any, template: Any) -> Shifts:
    """Return the shifts of profiles relative to a template, with errors.

    Parameters
    ----------
    profiles : array, shape (..., bin), any unit
        Profiles with white noise of equal standard deviation in all bins of a profile.
    template : array, shape (bin,), any unit
        Template without noise. A template made from the same profiles leads to shifts that are
        biased towards 0 and to errors that are too small.

    Returns
    -------
    Shifts

    Raises
    ------
    UsageError
        If the shapes do not match, or the template is constant or not finite.
    """
    values, shape_ = checked(profiles, "profiles"), checked(template, "template", 1)
    if values.shape[-1] != shape_.size:
        raise UsageError(f"template: {shape_.size} bins; the profiles have {values.shape[-1]}")
    if not np.isfinite(shape_).all() or np.ptp(shape_) == 0:
        raise UsageError("template: it is constant, or not finite")
    rows = values.reshape(-1, values.shape[-1])
    with np.errstate(invalid="ignore"):
        good = np.isfinite(rows).all(axis=1) & (np.ptp(rows, axis=1) > 0)
    found = np.full((7, len(rows)), np.nan)
    if good.any():
        found[:, good] = _Matching(rows[good], shape_).results()
    return Shifts(*found.reshape(7, *values.shape[:-1]))


class _Matching:
    """Correlation of several profiles with a template, and the probability of shifts."""

    def __init__(self, profiles: F8, template: F8) -> None:
        self.n_bin = template.size
        parts, model = harmonics(profiles), harmonics(template)
        strong = np.abs(model) > _FAINT * np.abs(model).max()
        self.n = int(np.flatnonzero(strong)[-1]) + 1
        self.turn = 2 * np.pi * np.arange(1, self.n + 1)
        self.cross = (2 / self.n_bin) * parts[:, : self.n] * model[: self.n].conj()
        self.of_template = 2 / self.n_bin * float((np.abs(model) ** 2).sum())
        self.of_profile = 2 / self.n_bin * (np.abs(parts) ** 2).sum(axis=1)
        self.nu = 2 * n_harmonic_of(self.n_bin) - 1
        self.shift = self._best()
        self.peak = self._moved().real.sum(axis=1)
        self.rest = self.of_profile - self.peak**2 / self.of_template

    def results(self) -> F8:
        """Return the columns of `Shifts`, shape (7, profile)."""
        sigma = np.sqrt(self.rest / (self.nu - 1))
        scale_error = sigma / np.sqrt(self.of_template)
        scale = self.peak / self.of_template
        curvature = (self._moved().real * self.turn**2).sum(axis=1)
        usual = sigma / np.sqrt(scale * curvature)
        error, error68 = self._spread(np.minimum(0.5, _REACH * usual))
        return np.stack([(self.shift + 0.5) % 1 - 0.5, error, error68, usual, scale, scale_error,
                         sigma])

    def _moved(self) -> C16:
        """Return the terms of C at the best shifts."""
        return np.asarray(self.cross * np.exp(1j * self.turn * self.shift[:, np.newaxis]))

    def _best(self) -> F8:
        """Return the shifts that maximise C: on a grid, then by Newton's method."""
        n_grid = _OVERSAMPLE * self.n_bin
        self.grid = series(self.cross, n_grid, 2)
        self.shift = np.argmax(self.grid, axis=1) / n_grid
        for _ in range(6):
            terms = self._moved()
            slope, bend = -(terms.imag * self.turn).sum(1), -(terms.real * self.turn**2).sum(1)
            self.shift = self.shift - np.clip(slope / bend, -0.5 / n_grid, 0.5 / n_grid)
        return self.shift

    def _density(self, c: F8) -> F8:
        """Return the probability at values of C (profile, point), not normalised."""
        from scipy.special import stdtr

        rest = self.of_profile[:, np.newaxis] - c**2 / self.of_template
        student = c / np.sqrt(self.of_template * rest / self.nu)
        ratio = np.log(rest / self.rest[:, np.newaxis])
        return np.asarray(np.exp(-self.nu / 2 * ratio) * stdtr(self.nu, student), np.float64)

    def _spread(self, reach: F8) -> tuple[F8, F8]:
        """Return the rms about the best shift, and the half width of the central 68 per cent."""
        fine = reach[:, np.newaxis] * np.linspace(-1, 1, 2 * _HALF + 1)
        near = self._density(self._near(fine)) * (fine[:, 1:2] - fine[:, :1])
        near[:, [0, -1]] /= 2
        n_grid = self.grid.shape[1]
        off = (np.arange(n_grid) / n_grid - self.shift[:, np.newaxis] + 0.5) % 1 - 0.5
        far = self._density(self.grid) / n_grid * (np.abs(off) > reach[:, np.newaxis])
        total = near.sum(axis=1) + far.sum(axis=1)
        error = np.sqrt(((near * fine**2).sum(axis=1) + (far * off**2).sum(axis=1)) / total)
        return error, np.array([
            _central(*each) for each in zip(near, fine, far, off, total, strict=True)])

    def _near(self, fine: F8) -> F8:
        """Return C at offsets (profile, point) from the best shifts."""
        moved = self._moved()
        return np.concatenate([
            np.einsum("ph,pxh->px", moved[rows],
                      np.exp(1j * fine[rows, :, np.newaxis] * self.turn)).real
            for rows in _blocks(len(moved), max(1, _BLOCK // (fine.shape[1] * self.n)))])


def _blocks(n: int, size: int) -> Iterator[slice]:
    for first in range(0, n, size):
        yield slice(first, min(n, first + size))


def _central(near: F8, fine: F8, far: F8, off: F8, total: float) -> float:
    """Return the distance from the best shift that contains 68.27 per cent."""
    both = near[_HALF:].copy()
    both[1:] += near[_HALF - 1 :: -1]
    # A point stands for half a step on either side, so the sum up to it ends half a step later.
    inner = np.cumsum(both) / total
    edges = fine[_HALF:] + (fine[_HALF + 1] - fine[_HALF]) / 2
    if inner[-1] >= _CENTRAL:
        return float(np.interp(_CENTRAL, inner, edges))
    order = np.argsort(np.abs(off))
    outer = inner[-1] + np.cumsum(far[order]) / total
    return float(np.interp(_CENTRAL, outer, np.abs(off[order])))
