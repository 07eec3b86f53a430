"""The shape of a burst: a Gaussian, or a Gaussian with the tail of scattering.

In a subband at frequency f, the model of a burst is

    ``A_j g(t - t_0 - K dDM (f^-2 - f_ref^-2); sigma_j) * exp(-t / tau_j) / tau_j + B_j``,

with ``tau_j = tau (f_j / f_0)^-alpha``. ``sigma_j^2`` is that of the burst plus the variances of
what widens it in the recording: the dispersion within a channel, and the time of a spectrum and the
alignment to whole spectra. A sample contains the mean of the model over its duration. Amplitudes
and levels enter linearly, and are solved for each choice of the other parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import PlanError
from fastsig.pulsar.bursts.subbands import Boxcar, Subbands
from fastsig.work.shown import Shown

__all__ = ["BurstFit", "FWHM", "cumulative", "fit_shape"]

F8 = NDArray[np.float64]

FWHM = 2 * np.sqrt(2 * np.log(2))
#: The index of the scattering time is 4.4 for Kolmogorov turbulence, and 4 for a thin screen.
_INDEX = 4.0
_MOST_BANDS, _LEAST_SNR = 8, 6.0


@dataclass(frozen=True, repr=False)
class BurstFit(Shown):
    """The fit of a burst.

    Parameters
    ----------
    centre_s, centre_error_s : float
        Centre of the Gaussian, s, on the axis of times that was given, at the reference frequency.
    fwhm_s, fwhm_error_s : float
        Full width at half maximum of the Gaussian, before the recording widens it.
    tau_s, tau_error_s : float or None
        Time constant of the tail at `tau_mhz`; None for a Gaussian without one.
    tau_mhz, index : float
        The frequency of the time constant, and alpha.
    dm_change, dm_error : float
        Change of the dispersion measure that was fitted, pc cm^-3.
    chi2 : float
    dof : int
    amplitude : ndarray, shape (subband,)
        Areas under the model in units of the noise of a sample times s.
    model : ndarray, shape (time,)
        The model summed over the band, in the unit of `Subbands.profile`.
    """

    centre_s: float
    centre_error_s: float
    fwhm_s: float
    fwhm_error_s: float
    tau_s: float | None
    tau_error_s: float | None
    tau_mhz: float
    index: float
    dm_change: float
    dm_error: float
    chi2: float
    dof: int
    amplitude: F8
    model: F8


def fit_shape(bands: Subbands, seconds: F8, boxcar: Boxcar, *, scattered: bool,
              smear_s: F8 | None = None, rounding_s: float = 0.0, index: float = _INDEX
              ) -> BurstFit:
    """Return the least-squares fit of a burst in its subbands.

    Parameters
    ----------
    bands : Subbands
    seconds : ndarray, shape (time,)
        Centres of the samples, s.
    boxcar : Boxcar
        The burst in the profile.
    scattered : bool
        Whether the model has a tail.
    smear_s : ndarray, shape (subband,), optional
        Delay across a channel, s, by which the recording widens the burst.
    rounding_s : float
        Interval to which the channels were aligned, s.
    index : float
        Exponent alpha of the scattering time.

    Raises
    ------
    PlanError
        If the fit does not converge.
    """
    from scipy.optimize import least_squares

    n = int(np.clip((boxcar.snr / _LEAST_SNR) ** 2, 1, min(_MOST_BANDS, len(bands.counts))))
    few = bands.merged(n)
    smear = np.zeros(len(bands.counts)) if smear_s is None else smear_s
    wide = np.interp(few.freq_mhz, bands.freq_mhz, smear)
    problem = _Problem(few, seconds, np.sqrt((wide**2 + rounding_s**2) / 12), scattered, index,
                       boxcar)
    starts = problem.starts()
    found = min((least_squares(problem.residual, start, bounds=problem.bounds, max_nfev=200)
                 for start in starts), key=lambda each: float(each.cost))
    if not (found.success and np.isfinite(found.x).all()):
        raise PlanError("the fit of the burst's shape does not converge")
    return problem.result(found)


class _Problem:
    """Residuals of a model whose linear parameters are solved for.

    The other parameters are the centre, sigma, the change of the dispersion measure in the delay
    across the band, if there are several subbands, and tau; all in units of the width of the
    boxcar.
    """

    def __init__(self, bands: Subbands, seconds: F8, sigma_s: F8, scattered: bool, index: float,
                 boxcar: Boxcar) -> None:
        self.unit = boxcar.width * bands.step_s
        self.begin = seconds[0] + (boxcar.start - 0.5) * bands.step_s
        self.bands, self.seconds, self.scattered, self.index = bands, seconds, scattered, index
        self.variance = sigma_s**2
        self.late = bands.delays_s(1.0)
        self.mhz = float(np.sqrt(1 / np.average(bands.inverse_sq, weights=bands.counts)))
        self.share = np.sqrt(np.maximum(bands.share, 1e-6))
        # The noise of a subband is the square root of its number of channels.
        self.values = bands.values / np.sqrt(bands.counts)[:, np.newaxis] / self.share
        self.fits_dm = len(bands.counts) > 1
        self.per_dm = bands.sweep_s() / self.unit if self.fits_dm else 1.0

    @property
    def bounds(self) -> tuple[list[float], list[float]]:
        """Lower and upper limits of the parameters."""
        reach = len(self.seconds) * self.bands.step_s / self.unit
        low, high = [-reach, 1e-3], [reach, reach]
        if self.fits_dm:
            low, high = [*low, -reach], [*high, reach]
        return ([*low, 0.0], [*high, reach]) if self.scattered else (low, high)

    def starts(self) -> list[F8]:
        """Return where the search for the minimum begins."""
        middle = [0.0] if self.fits_dm else []
        if not self.scattered:
            return [np.array([0.5, 1 / 2.8, *middle])]
        return [np.array([centre, sigma, *middle, tau])
                for centre, sigma, tau in ((0.4, 0.25, 0.2), (0.2, 0.12, 0.5), (0.45, 0.35, 0.05))]

    def shapes(self, x: F8) -> F8:
        """Return models of unit area, (subband, time), in units of 1/s."""
        dm = x[2] / self.per_dm if self.fits_dm else 0.0
        sigma = np.sqrt((x[1] * self.unit) ** 2 + self.variance)
        tau = np.zeros(len(sigma)) if not self.scattered else (
            x[-1] * self.unit * (self.bands.freq_mhz / self.mhz) ** -self.index)
        half, centre = self.bands.step_s / 2, self.begin + x[0] * self.unit
        edges = np.append(self.seconds - half, self.seconds[-1] + half)
        area = np.stack([cumulative(edges - centre - dm * late, each, tail)
                         for late, each, tail in zip(self.late, sigma, tau, strict=True)])
        return np.diff(area, axis=1) / self.bands.step_s

    def solved(self, x: F8) -> tuple[F8, F8]:
        """Return residuals, and areas of the subbands."""
        shapes, rest, areas = self.shapes(x) * self.share, [], []
        for shape, value in zip(shapes, self.values, strict=True):
            design = np.stack([shape, self.share], axis=1)
            scale = np.sqrt((design**2).sum(axis=0)) + 1e-300
            answer, *_ = np.linalg.lstsq(design / scale, value, rcond=None)
            rest.append(value - design @ (answer / scale))
            areas.append(answer[0] / scale[0])
        return np.concatenate(rest), np.array(areas)

    def residual(self, x: F8) -> F8:
        """Return residuals in units of the noise."""
        return self.solved(x)[0]

    def result(self, found: Any) -> BurstFit:
        """Return the parameters with their errors."""
        x, errors = found.x, _errors(found.jac, found.active_mask == 0)
        rest, areas = self.solved(x)
        scale = np.full(len(x), self.unit)
        if self.fits_dm:
            scale[2] = 1 / self.per_dm
        value, error = x * scale, errors * scale
        dm, dm_error = (value[2], error[2]) if self.fits_dm else (0.0, np.nan)
        area = (areas * np.sqrt(self.bands.counts))[:, np.newaxis]
        return BurstFit(
            self.begin + float(value[0]), float(error[0]), FWHM * float(value[1]),
            FWHM * float(error[1]), float(value[-1]) if self.scattered else None,
            float(error[-1]) if self.scattered else None, self.mhz, self.index, float(dm),
            float(dm_error), float((rest**2).sum()), rest.size - 2 * len(areas) - len(x), areas,
            (self.shapes(x) * area).sum(axis=0) / np.sqrt(self.bands.counts.sum()))


def _errors(jac: F8, is_free: NDArray[np.bool_]) -> F8:
    """Return standard errors; NaN for parameters at their limits, or that change nothing."""
    errors = np.full(jac.shape[1], np.nan)
    length = np.sqrt((jac**2).sum(axis=0))
    used = is_free & (length > 1e-6 * length.max(initial=0.0))
    ratio = jac[:, used] / length[used]
    with np.errstate(invalid="ignore"):
        errors[used] = np.sqrt(np.diag(np.linalg.pinv(ratio.T @ ratio))) / length[used]
    return errors


def cumulative(t: F8, sigma: float, tau: float) -> F8:
    """Return the integral, up to t, of a Gaussian of unit area convolved with a decay.

    ``Phi(t / sigma) - exp(-t^2 / 2 sigma^2) erfcx((sigma / tau - t / sigma) / sqrt 2) / 2``, which
    does not overflow; without the second term for tau = 0.
    """
    from scipy.special import erfcx, ndtr

    x = t / sigma
    whole = ndtr(x)
    if tau <= 1e-4 * sigma:
        return np.asarray(whole)
    z = (sigma / tau - x) / np.sqrt(2)
    # erfcx overflows far behind the peak, where the tail is exp(-t/tau + sigma^2 / 2 tau^2).
    behind = z < -5
    tail = np.where(behind, np.exp(np.minimum(sigma**2 / (2 * tau**2) - t / tau, 0.0)),
                    np.exp(-(x**2) / 2) * erfcx(np.where(behind, 0, z)) / 2)
    return np.asarray(whole - tail)
