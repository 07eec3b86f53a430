"""Rotation measure (RM) of a pulsar, by synthesis and by a fit to Q and U.

The linear polarisation of a channel is ``Q + i U = A exp(2 i RM (lambda^2 - lambda_0^2))``, with a
different complex A for each bin, so that a swing of the position angle over the pulse does not
depolarise. For weights ``g = 1 / sigma^2``, ``F_b(RM) = sum_c g_c (Q + i U)_cb exp(-2 i RM
(lambda_c^2 - lambda_0^2))``, and

    ``chi^2(RM) = sum_b |F_b|^2 / sum_c g_c``

has, for noise alone, a chi^2 distribution of two degrees of freedom for each bin, and is twice the
logarithm of the likelihood ratio for any A. Its maximum is the result of the synthesis; the error
is the distance from the maximum at which chi^2 is 1 lower. The fit also takes into account that a
channel of finite width depolarises, and that the polarised flux density depends on frequency.

RM is positive for a magnetic field towards the observer, and PA increases from north to east. If U
of a receiver has the opposite sign, so does RM; see `sign_u`.

References
----------
M. A. Brentjens and A. G. de Bruyn, A&A 441 (2005) 1217: synthesis.
A. Noutsos et al., MNRAS 386 (2008) 1881: RM of pulsars.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.pulsar.chi2 import log_probability, sigma_of
from fastsig.work.shown import Shown

__all__ = ["RotationMeasure", "derotate", "fit_rm", "synthesize_rm"]

F8 = NDArray[np.float64]
C16 = NDArray[np.complex128]

_LIGHT = 299792458.0
_PER_BEAM = 10  # trials in the width of the response to a single RM
_MOST_TRIALS = 2**20
_LEAST_RATIO = 4.0  # bins whose L, at the best RM, is below this many sigma are not used
_BLOCK = 2**22


@dataclass(frozen=True, repr=False)
class RotationMeasure(Shown):
    """Rotation measure with its error.

    Parameters
    ----------
    rm, error : float
        RM and standard error, rad m^-2. The contribution of the ionosphere is included. If the
        residuals of the bins that determine the RM are larger than sigma, for example because of
        the noise of a bright pulsar itself, the error is larger in proportion.
    method : {"synthesis", "fit"}
        Method by which the RM was measured.
    lambda0_sq : float
        Reference wavelength squared, m^2: the weighted mean, so that PA there and RM are
        independent.
    pa_deg : ndarray, shape (bin,)
        Position angles at the reference wavelength, from -90 to 90.
    linear : ndarray, shape (bin,)
        Linear polarisation after the rotation was removed, not corrected for its bias.
    used : ndarray, shape (bin,), bool
        Bins from which the RM was measured.
    sigma_single, sigma : float
        Gaussian equivalents of the probability of the maximum for noise alone: for one trial, and
        for as many independent trials as the range contains widths of the response.
    width : float
        Width (FWHM) of the response, rad m^-2: 3.79 divided by the range of lambda^2.
    reduced_chi2 : float
        chi^2 of the residual per degree of freedom; well above 1 if one RM does not describe the
        data.
    sign_u : {1, -1}
        Sign with which U was multiplied.
    trials, chi2 : ndarray, shape (trial,)
        Trial RMs and their chi^2.
    """

    rm: float
    error: float
    method: str
    lambda0_sq: float
    pa_deg: F8
    linear: F8
    used: NDArray[np.bool_]
    sigma_single: float
    sigma: float
    width: float
    reduced_chi2: float
    sign_u: int
    trials: F8
    chi2: F8


def derotate(linear: Any, freq_mhz: Any, rm: float, lambda0_sq: float = 0.0) -> C16:
    """Return ``Q + i U`` (chan, bin) with Faraday rotation removed, as at a reference wavelength.

    Parameters
    ----------
    linear : array, shape (chan, bin), complex
        ``Q + i U``.
    freq_mhz : array, shape (chan,), MHz
        Centres of channels.
    rm : float
        Rotation measure, rad m^-2.
    lambda0_sq : float
        Reference wavelength squared, m^2; 0 for infinite frequency.
    """
    turn = np.exp(-2j * rm * (_lambda_sq(freq_mhz) - lambda0_sq))
    return np.asarray(linear * turn[:, np.newaxis], np.complex128)


def synthesize_rm(q: Any, u: Any, freq_mhz: Any, sigma: Any, *, most_rm: float | None = None,
                  sign_u: int = 1) -> RotationMeasure:
    """Return the RM at which the on-pulse bins are most strongly polarised.

    Parameters
    ----------
    q, u : array, shape (chan, bin)
        On-pulse bins above their baselines; channels with a value that is not finite are ignored.
    freq_mhz : array, shape (chan,), MHz
        Centres of channels.
    sigma : array, shape (chan,)
        Noise of Q and U; infinite for channels to ignore.
    most_rm : float, optional
        Largest absolute value of RM to try, rad m^-2. By default, the value that rotates PA by 0.87
        rad across a channel in the middle of the band.
    sign_u : {1, -1}
        -1 if the sign of U is opposite to that in the IAU's definition of position angles.

    Raises
    ------
    UsageError
        If shapes do not match, a value is out of range, or there are fewer than 3 channels.
    """
    return _Faraday(q, u, freq_mhz, sigma, sign_u).synthesis(most_rm)


def fit_rm(q: Any, u: Any, freq_mhz: Any, sigma: Any, *, start: RotationMeasure,
           channel_mhz: float = 0.0, spectrum: Any = None) -> RotationMeasure:
    """Return the RM of a least-squares fit to Q and U near a result of `synthesize_rm`.

    The model is ``A_b s_c (sin(x) / x) exp(2 i RM (lambda_c^2 - lambda_0^2))``, where x is RM times
    the range of lambda^2 of a channel.

    Parameters
    ----------
    q, u, freq_mhz, sigma
        As for `synthesize_rm`.
    start : RotationMeasure
        Result of `synthesize_rm` for the same data; its `sign_u` and bins are used.
    channel_mhz : float
        Width of a channel; 0 to neglect depolarisation within it.
    spectrum : array, shape (chan,), optional
        Relative polarised flux density s of channels; by default, it is the same in all channels.

    Raises
    ------
    UsageError
        As for `synthesize_rm`.
    """
    made = _Faraday(q, u, freq_mhz, sigma, start.sign_u)
    return made.fit(start, channel_mhz, spectrum)


def _lambda_sq(freq_mhz: Any) -> F8:
    freq = np.asarray(freq_mhz, np.float64)
    if freq.ndim != 1 or not (np.isfinite(freq) & (freq > 0)).all():
        raise UsageError("freq_mhz: allowed: one axis of numbers above 0")
    return (_LIGHT / (freq * 1e6)) ** 2


class _Faraday:
    """Linear polarisation by channel and bin, with weights."""

    def __init__(self, q: Any, u: Any, freq_mhz: Any, sigma: Any, sign_u: int) -> None:
        if sign_u not in (1, -1):
            raise UsageError(f"sign_u = {sign_u}; allowed: 1, -1")
        real, imag = np.asarray(q, np.float64), np.asarray(u, np.float64)
        lambda_sq, noise = _lambda_sq(freq_mhz), np.asarray(sigma, np.float64)
        n_chan = lambda_sq.size
        if real.ndim != 2 or len(real) != n_chan or imag.shape != real.shape or (
                noise.shape != (n_chan,)):
            raise UsageError(f"q, u, sigma: shapes {real.shape}, {imag.shape}, {noise.shape}; "
                             f"allowed: ({n_chan}, bin), ({n_chan}, bin), ({n_chan},)")
        linear = real + 1j * sign_u * imag
        if linear.shape[1] == 0 or not (noise > 0).all():
            raise UsageError("q, u: at least one on-pulse bin is needed, and sigma above 0")
        used = np.isfinite(linear).all(axis=1) & np.isfinite(noise)
        if used.sum() < 3:
            raise UsageError(f"q, u: {used.sum()} channels with data; at least 3 are needed")
        self.used, self.sign_u, self.lambda_sq = used, sign_u, lambda_sq[used]
        self.linear, self.gain = linear[used], 1 / noise[used] ** 2
        self.lambda0_sq = float((self.gain * self.lambda_sq).sum() / self.gain.sum())
        self.x = self.lambda_sq - self.lambda0_sq
        if np.ptp(self.x) == 0:
            raise UsageError("freq_mhz: the channels have the same frequency")
        self.width = 3.79 / float(np.ptp(self.x))

    def synthesis(self, most_rm: float | None) -> RotationMeasure:
        """Return the maximum over a range of RM."""
        most = self._most() if most_rm is None else most_rm
        if not (np.isfinite(most) and most > 0):
            raise UsageError(f"most_rm = {most}; allowed: above 0")
        n_half = int(np.ceil(most / (self.width / _PER_BEAM)))
        if n_half > _MOST_TRIALS:
            raise UsageError(f"most_rm = {most:g}: {2 * n_half + 1} trials; allowed: "
                             f"{_MOST_TRIALS * 2}")
        trials = np.linspace(-most, most, 2 * n_half + 1)
        weight = np.ones(self.x.size)
        chi2 = self._chi2(trials, weight)
        rm = float(trials[np.argmax(chi2)])
        log_p = log_probability(float(chi2.max()), 2 * self.linear.shape[1])
        found = self._result(rm, weight, "synthesis", trials[1] - trials[0])
        return replace(found, sigma_single=sigma_of(log_p), sigma=sigma_of(
            log_p, max(1, round(2 * most / self.width))), trials=trials, chi2=chi2)

    def fit(self, start: RotationMeasure, channel_mhz: float, spectrum: Any) -> RotationMeasure:
        """Return the maximum of the likelihood with depolarisation and a spectrum."""
        shape = np.ones(self.used.size) if spectrum is None else np.asarray(spectrum, np.float64)
        if shape.shape != self.used.shape or not np.isfinite(shape[self.used]).all() or not (
                shape[self.used].any()):
            raise UsageError(f"spectrum: shape {shape.shape}; allowed: finite numbers, "
                             f"{self.used.shape}")
        if not (np.isfinite(channel_mhz) and channel_mhz >= 0):
            raise UsageError(f"channel_mhz = {channel_mhz}; allowed: from 0")
        within = 2 * self.lambda_sq * channel_mhz * 1e6 * np.sqrt(self.lambda_sq) / _LIGHT
        shape = shape[self.used] * np.sinc(start.rm * within / np.pi)
        found = self._result(start.rm, shape, "fit", self.width / _PER_BEAM, start.used)
        return replace(found, sigma_single=start.sigma_single, sigma=start.sigma,
                       trials=start.trials, chi2=start.chi2)

    def _most(self) -> float:
        """Return the RM that turns PA by 0.87 rad across a channel in the middle of the band."""
        steps = np.abs(np.diff(np.sort(self.lambda_sq)))
        return float(np.sqrt(3) / 2 / np.median(steps[steps > 0]))

    def _sums(self, trials: F8, weight: F8) -> C16:
        """Return F at trials, (trial, bin)."""
        ramp = np.exp(-2j * np.outer(trials, self.x)) * (self.gain * weight)
        return np.asarray(ramp @ self.linear)

    def _chi2(self, trials: F8, weight: F8, bins: NDArray[np.bool_] | None = None) -> F8:
        chosen = slice(None) if bins is None else bins
        norm = float((self.gain * weight**2).sum())
        rows = max(1, _BLOCK // self.x.size)
        return np.concatenate([
            (np.abs(self._sums(trials[i : i + rows], weight)[:, chosen]) ** 2).sum(axis=1) / norm
            for i in range(0, trials.size, rows)])

    def _result(self, rm: float, weight: F8, method: str, step: float,
                bins: NDArray[np.bool_] | None = None) -> RotationMeasure:
        norm = float((self.gain * weight**2).sum())
        if bins is None:
            ratio = np.abs(self._sums(np.array([rm]), weight)[0]) / np.sqrt(norm)
            bins = ratio >= min(_LEAST_RATIO, float(ratio.max()))
        rm, error = self._maximum(rm, step, lambda x: self._chi2(x, weight, bins))
        total = float(self._chi2(np.array([rm]), weight, bins)[0])
        # Noise in A adds to the variance as much as it adds to chi^2.
        error *= float(np.sqrt(total / max(total - 2 * bins.sum(), total / 4)))
        parts = self._sums(np.array([rm]), weight)[0] / norm
        model = np.outer(weight * np.exp(2j * rm * self.x), parts)
        rest = (self.gain[:, np.newaxis] * np.abs(self.linear - model) ** 2).sum(axis=0)[bins]
        dof = 2 * int(bins.sum()) * (self.x.size - 1) - 1
        error *= self._excess(rest, np.abs(parts[bins]) ** 2)
        return RotationMeasure(
            rm, error, method, self.lambda0_sq, np.degrees(np.angle(parts)) / 2, np.abs(parts),
            bins, 0.0, 0.0, self.width, float(rest.sum()) / dof, self.sign_u, np.empty(0),
            np.empty(0))

    def _excess(self, rest: F8, power: F8) -> float:
        """Return by how much bins are noisier than sigma, weighted as they determine the RM.

        A bright pulsar has noise of its own. The factor is at least 1.
        """
        ratio = rest / (2 * (self.x.size - 1))
        return float(np.sqrt(max(1.0, np.average(ratio, weights=power))))

    def _maximum(self, rm: float, step: float, chi2: Callable[[F8], F8]) -> tuple[float, float]:
        """Return where chi^2 is highest, from parabolas, and the error from the curvature."""
        for _ in range(4):
            low, middle, high = chi2(rm + step * np.array([-1.0, 0.0, 1.0]))
            bend = (high - 2 * middle + low) / step**2
            if bend >= 0:
                return rm, np.inf
            rm -= float(np.clip((high - low) / (2 * step * bend), -step, step))
            # Parabolas over a standard deviation are exact enough, and rounding does not matter.
            step = min(step, float(np.sqrt(-2 / bend)))
        return rm, float(np.sqrt(-2 / bend))
