"""Lines of a spectrum: velocity, width and flux from a least-squares fit, with their errors.

The solver is SciPy's. The models here are means over channels, and errors must include noise that
channels share. The fitters of specutils, which use astropy's models with one weight per channel,
support neither of these. Channels are weighted by 1 / noise^2; with J the derivatives, W the
weights and C the covariance of the channels, the parameters have

    cov = (J' W J)^-1  J' W C W J  (J' W J)^-1,

which is the usual ``(J' W J)^-1`` if channels share no noise. The noise is used as given, and is
not scaled to the residuals of the fit; `LineFit.chi2` divided by `LineFit.dof` shows whether the
noise and the residuals agree.

The noise of the gain of calibrated spectra, which channels share, is added to C. The noise of the
channels is higher on a line, according to the ratio of the temperatures of the line and the
receiver (`fastsig.reductions.sources.shared_noise`).

The shape of a profile is loosely constrained, since a faint line does not determine it: the ratio
of edge to half width is assumed to be 0.2 within a factor of e^2, and slope, bend and horn are
assumed to be 0 within three times the level. These priors act like measurements in the fit and in
its errors, and lose their influence if the spectrum constrains the shape better.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from astropy import units as u
from numpy.typing import NDArray

from fastsig.axes.units import number, whole
from fastsig.errors import DataError, FastsigWarning, UsageError, users_line
from fastsig.io.fits.cube import mad
from fastsig.reductions.sources.fitted_lines import (
    HI_MASS,
    Line,
    LineFit,
    Measured,
    hi_mass,
    rounded,
)
from fastsig.reductions.sources.line_models import (
    Channels,
    gaussian,
    polynomial_terms,
    profile,
    profile_numbers,
)
from fastsig.reductions.sources.shared_noise import SharedNoise
from fastsig.reductions.sources.sky_spectrum import SkySpectrum
from fastsig.work.arguments import checked, shown

__all__ = ["HI_MASS", "Line", "LineFit", "Measured", "fit_gaussians", "fit_profile", "hi_mass",
           "rounded"]

F8 = NDArray[np.float64]

_SHAPE = {"gaussian": 3, "profile": 7}
# Priors of a profile: of log(edge / half width), and of its terms over the level.
_EDGE, _EDGE_WIDTH, _TERM_WIDTH = math.log(0.2), 2.0, 3.0
_CLIPS = 5
_LEAST_SNR = 4.0  # of the strongest feature, however few channels are searched
_FALSE_ALARMS = 0.01  # share of spectra of noise in which a line is found
_TRIALS = 12  # independent boxes of all places and widths, for each channel
_MOST_LINES, _MOST_ORDER = 10, 10
_EXCESS, _SURE = 2.0, 5.0  # of chi-squared over what is expected, and in sigmas
#: Flux of a Gaussian over peak times full width.
_AREA = math.sqrt(math.pi / (4 * math.log(2)))


@checked
def fit_gaussians(spectrum: Any, n: int = 1, *, product: str | None = None, window: Any = None,
                  baseline: int | None = 0, convention: str = "radio", rest: Any = None,
                  sigma: Any = None, correlation: Sequence[float] | None = None) -> LineFit:
    """Return Gaussians and a baseline fitted to a spectrum, with errors.

    The spectra of a chain are first averaged over all rows, weighted by their weights. To fit only
    part of the rows or channels, use a slice: ``scan["00:10:00":, "1419MHz":"1421MHz"]`` excludes
    the band edges. Velocities are those of the channel centres, in the frame of the spectra (which
    the verb `frame` can change), and are positive for recession. The models are averaged over each
    channel.

    The noise of a channel is ``sigma / sqrt(weight)``, with the weight of the mean spectrum. Unless
    `sigma` is given, it is measured from differences between channels that are four channels apart,
    and is measured again without the channels of the fitted lines. The correlation between channels
    that are closer together, such as that from Hann smoothing, is measured if it is significant. If
    there are fewer than 200 channels, the channels are assumed to be independent.

    The errors include the noise of the gain (``header.gain_noise``), which all spectra and
    neighbouring channels share, and the higher noise on a line. If the spectra do not record the
    noise of their gain, the noise is assumed to be the same on and off the line, although a line as
    bright as the system temperature doubles it. A `FastsigWarning` is issued if the noise does not
    explain the differences between the spectrum and the fit.

    Parameters
    ----------
    spectrum : chain, SpectrumStream, Data or SkySpectrum
        Spectra with known frequencies, such as those of a chain, of `on_off` or of a cube.
    n : int
        Number of lines, 1 to 10.
    product : str, optional
        The product to fit; by default, I, or the only product.
    window : pair of Quantity, optional
        Range of velocities in which to fit; all velocities by default.
    baseline : int or None
        Order of the polynomial that is fitted together with the lines; None for no polynomial.
    convention : {"radio", "optical", "relativistic"}
        Convention in which velocities are computed.
    rest : str or Quantity, optional
        Rest frequency, instead of that of the spectrum: "HI", another line, or a frequency.
    sigma : Quantity, optional
        Noise of a channel with weight 1 in the mean spectrum, instead of the measured noise.
    correlation : sequence of float, optional
        Correlation of the noise of channels that are 1, 2, ... channels apart, instead of the
        measured correlation.

    Raises
    ------
    DataError
        If there is no line, the noise cannot be measured, or the fit does not converge.
    UsageError
        If an option is not valid, or the product, the rest frequency or the frequencies are not
        known.
    """
    if not 1 <= whole("n", n) <= _MOST_LINES:
        raise UsageError(f"n = {n}; allowed: 1 to {_MOST_LINES}")

    def fitted(given: SkySpectrum) -> LineFit:
        return _gaussians(_Task(given, window, baseline, convention, rest, correlation), n)

    return _fitted(fitted, spectrum, product, sigma)


@checked
def fit_profile(spectrum: Any, *, product: str | None = None, window: Any = None,
                baseline: int | None = 0, convention: str = "radio", rest: Any = None,
                sigma: Any = None, correlation: Sequence[float] | None = None) -> LineFit:
    """Fit the profile of a galaxy: two edges with a parabola between them, and a baseline.

    The parameters and errors are those of `fit_gaussians`, but there is no parameter `n`.
    """
    def fitted(given: SkySpectrum) -> LineFit:
        return _profile(_Task(given, window, baseline, convention, rest, correlation))

    return _fitted(fitted, spectrum, product, sigma)


def _fitted(fitted: Callable[[SkySpectrum], LineFit], spectrum: Any, product: str | None,
            sigma: Any) -> LineFit:
    """Fit a spectrum; warn if its noise does not explain what the fit leaves."""
    fit = _best(fitted, spectrum, product, sigma)
    expected, error = _expected_chi2(fit)
    if fit.chi2 > max(_EXCESS * expected, expected + _SURE * error):
        warnings.warn(
            f"{fit.spectrum.path or 'spectrum'}: chi-squared is {fit.chi2:.4g} where noise gives "
            f"{expected:.4g}: the spectrum contains more than the lines and the baseline, and the "
            "errors are too small", FastsigWarning, stacklevel=users_line())
    return replace(fit, expected_chi2=expected)


def _expected_chi2(fit: LineFit) -> tuple[float, float]:
    """Return chi-squared of a good fit, with the noise of the gain, and its standard deviation."""
    spectrum, used = fit.spectrum, np.isfinite(fit.model.value)
    base, noise = fit.baseline.value[used], spectrum.noise.value[used]
    lines, gain = fit.model.value[used] - base, spectrum.gain_noise
    both = SharedNoise(spectrum, used)
    shared = float((both.variance(base, lines) / noise**2).sum())
    on_lines = float((both.excess(lines, noise) ** 2 - 1).sum())
    if gain is None:
        return fit.dof, math.sqrt(2 * fit.dof)
    # The noise of the gain has one degree of freedom in each width.
    band = abs(float((spectrum.frequency[-1] - spectrum.frequency[0]).to_value(u.Hz)))
    variance = 2 * (fit.dof + shared**2 * min(1, gain.width_hz / band))
    return fit.dof + on_lines + shared, math.sqrt(variance)


def _best(fitted: Callable[[SkySpectrum], LineFit], spectrum: Any, product: str | None,
          sigma: Any) -> LineFit:
    """Fit a spectrum, and again with the noise beside the lines where the noise is measured."""
    if isinstance(spectrum, SkySpectrum):
        for name, value in (("product", product), ("sigma", sigma)):
            if value is not None:
                raise UsageError(f"{name} = {shown(value)}; allowed: with a chain, a stream or "
                                 "Data. The spectrum of a cube has one product, and its noise")
        return fitted(spectrum)
    from fastsig.reductions.sources.mean_spectrum import mean_of, with_noise  # loads the engine

    given = mean_of(spectrum, product, sigma)
    first = fitted(given)
    return first if sigma is not None else fitted(with_noise(given, *first.beside()))


def _gaussians(task: _Task, n: int) -> LineFit:
    shapes: list[F8] = []
    found = np.zeros(0)
    for _ in range(n):
        left = task.flux - (task.model(found, gaussian, 3, len(shapes)) if shapes else 0.0)
        peak, middle, width, base = task.guess(left)
        start = np.concatenate([*shapes, [peak, middle, math.log(width)],
                                found[3 * len(shapes):] if shapes else base])
        found = task.solve([start], gaussian, 3, len(shapes) + 1)
        shapes = [found[3 * k : 3 * k + 3] for k in range(len(shapes) + 1)]
    return task.result("gaussian", found, gaussian, _gaussian_numbers, n)


def _profile(task: _Task) -> LineFit:
    peak, middle, width, base = task.guess(task.flux, tapered=False)
    starts = [np.array([peak, middle, math.log(width / 2), math.log(width * part), 0.0, 0.0, 0.0,
                        *base]) for part in (0.1, 0.4)]
    found = task.solve(starts, profile, 7, 1)
    return task.result("profile", found, profile, profile_numbers, 1)


def _gaussian_numbers(parameters: F8) -> F8:
    """Return peak, velocity, W50, W20 and flux."""
    peak, middle, width = parameters[0], parameters[1], math.exp(parameters[2])
    fifth = math.sqrt(math.log(5) / math.log(2))
    return np.array([peak, middle, width, width * fifth, peak * width * _AREA])


class _Task:
    """A fit to the channels of a window."""

    def __init__(self, spectrum: SkySpectrum, window: Any, baseline: int | None,
                 convention: str, rest: Any, correlation: Sequence[float] | None) -> None:
        if baseline is not None and not 0 <= whole("baseline", baseline) <= _MOST_ORDER:
            raise UsageError(f"baseline = {baseline}; allowed: 0 to {_MOST_ORDER}, or none")
        self.spectrum, self.convention = spectrum, convention
        self.rest_hz = spectrum.require_rest(rest)
        self.velocity = spectrum.velocity(convention, rest)
        self.path = spectrum.path or "spectrum"
        noise = spectrum.noise.value
        flux = spectrum.flux.value
        self.used = np.isfinite(flux) & np.isfinite(noise) & (noise > 0) & self._within(window)
        order = 0 if baseline is None else baseline + 1
        if self.used.sum() < order + 8:
            raise DataError(self.path, f"{int(self.used.sum())} channels to fit in; allowed: "
                            f"{order + 8} or more")
        edges = _edges(self.velocity.value)
        width = np.abs(np.diff(edges))
        self.channels = Channels(self.velocity.value[self.used], width[self.used])
        self.flux, self.noise = flux[self.used], noise[self.used]
        self.terms = polynomial_terms(self.channels, baseline)
        self.correlation = tuple(spectrum.correlation if correlation is None else correlation)
        if any(not abs(each) < 1 for each in self.correlation):
            raise UsageError(f"correlation = {self.correlation}; allowed: numbers between -1 and 1")
        self.shared = SharedNoise(spectrum, self.used)

    def _within(self, window: Any) -> NDArray[np.bool_]:
        if window is None:
            return np.ones(len(self.velocity), bool)
        try:
            low, high = sorted(number(each, "km/s", "window") for each in window)
        except (TypeError, ValueError) as error:
            raise UsageError(f"window = {window!r}; allowed: two velocities") from error
        found: NDArray[np.bool_] = (self.velocity.value >= low) & (self.velocity.value <= high)
        return found

    def flat(self, flux: F8) -> F8:
        """Return a first baseline, fitted to values within three sigma of it; a constant is 0."""
        found: F8 = np.zeros(len(self.terms))
        used = np.ones(len(flux), bool)
        for _ in range(_CLIPS if len(found) > 1 else 0):
            solved = np.linalg.lstsq(self.terms[:, used].T, flux[used], rcond=None)[0]
            found = np.asarray(solved, np.float64)
            left = flux - found @ self.terms
            used = np.abs(left - np.median(left)) <= 3 * max(mad(left), float(self.noise.min()))
        return found

    def guess(self, flux: F8, *, tapered: bool = True) -> tuple[float, float, float, F8]:
        """Return peak, velocity and width of the most significant box of channels; and a baseline.

        With a baseline, a box is compared with the channels beside it, however few these are.
        """
        base = self.flat(flux)
        level = float(np.median(self.flux))
        weight = 1 / self.noise**2
        sums, weights = (np.concatenate([[0.0], np.cumsum(each)])
                         for each in ((flux - base @ self.terms) * weight, weight))
        best, snr, peak = (0, 1), 0.0, 0.0
        n, most = 1, max(1, len(flux) * 9 // 10)
        spread = max(1 + 2 * sum(self.correlation), 0.1)
        while n <= most:
            inside, below = sums[n:] - sums[:-n], weights[n:] - weights[:-n]
            mean, variance = inside / below, (spread if n > 1 else 1.0) / below
            variance = variance + self.shared.variance_of_mean(n, level)
            if len(base):
                mean = mean - (sums[-1] - inside) / (weights[-1] - below)
                variance = (variance + spread / (weights[-1] - below)
                            + self.shared.variance_of_mean(len(flux) - n, level))
            found = mean / np.sqrt(variance)
            at = int(np.argmax(np.abs(found)))
            if abs(found[at]) > snr:
                best, snr, peak = (at, n), float(abs(found[at])), float(mean[at])
            n = max(n + 1, n * 5 // 4)
        at, n = best
        least = least_snr(len(flux))
        if snr < least:
            raise DataError(self.path, f"no line: the strongest feature in {len(flux)} channels "
                            f"has {snr:.1f} sigma; allowed: {least:.1f} or more, which noise "
                            "exceeds in 1 of 100 spectra; a narrower window needs less")
        part = slice(at, at + n)
        width = float(self.channels.width[part].sum())
        middle = float((self.channels.center * weight)[part].sum() / weight[part].sum())
        if len(base):
            base[0] += ((sums[-1] - sums[at + n] + sums[at])
                        / (weights[-1] - weights[at + n] + weights[at]))
        return (peak * (1.2 if tapered else 1), middle, width * (0.9 if tapered else 1), base)

    def model(self, parameters: F8, shape: Callable[[F8, Channels], F8], size: int, n: int) -> F8:
        """Return the sum of lines and baseline, (chan,)."""
        found = parameters[size * n :] @ self.terms
        for k in range(n):
            found = found + shape(parameters[size * k : size * k + size], self.channels)
        result: F8 = found
        return result

    def solve(self, starts: list[F8], shape: Callable[[F8, Channels], F8], size: int, n: int
              ) -> F8:
        """Return the best parameters found from several starting points."""
        from scipy.optimize import least_squares

        def residual(parameters: F8) -> F8:
            bounded = _bounded(parameters, size, n)
            found = (self.model(bounded, shape, size, n) - self.flux) / self.noise
            return np.concatenate([found, known @ (bounded - middle)])

        known, middle = _known(starts[0], size)
        tries = []
        for start in starts:
            found = least_squares(residual, start, method="lm", max_nfev=60 * (len(start) + 1),
                                  x_scale=self._scales(start, size, n))
            if found.status > 0:
                tries.append(found)
        if not tries:
            raise DataError(self.path, "the fit does not converge; try a window, or fewer lines")
        return _bounded(min(tries, key=lambda each: float(each.cost)).x, size, n)

    def _scales(self, start: F8, size: int, n: int) -> F8:
        """Return typical changes of the parameters: peaks, widths of the line, ratios."""
        scales = np.full(len(start), float(np.median(self.noise)))
        for k in range(n):
            peak, width = abs(start[size * k]) or 1.0, math.exp(start[size * k + 2])
            scales[size * k : size * k + size] = [peak, width, 1, 1, peak, peak, peak][:size]
        return scales

    def covariance(self, parameters: F8, shape: Callable[[F8, Channels], F8], size: int, n: int
                   ) -> F8:
        """Return the covariance of the parameters; see the module's docstring."""
        step = 1e-5 * self._scales(parameters, size, n)
        jacobian = np.empty((len(self.flux), len(parameters)))
        for k in range(len(parameters)):
            move = np.zeros(len(parameters))
            move[k] = step[k]
            jacobian[:, k] = (self.model(parameters + move, shape, size, n)
                              - self.model(parameters - move, shape, size, n)) / (2 * step[k])
        scaled = jacobian / self.noise[:, np.newaxis]
        known = _known(parameters, size)[0]
        before = known.T @ known
        unit = np.diag(1 / np.sqrt(np.diag(scaled.T @ scaled + before)))
        inverse = unit @ np.linalg.pinv(unit @ (scaled.T @ scaled + before) @ unit, rcond=1e-12,
                                        hermitian=True) @ unit
        base = parameters[size * n :] @ self.terms
        noise = self._correlated(scaled, base, self.model(parameters, shape, size, n) - base)
        found: F8 = inverse @ (scaled.T @ noise + before) @ inverse
        return found

    def _correlated(self, columns: F8, base: F8, lines: F8) -> F8:
        """Multiply columns by the channels' covariance, by the channels' distance in the file.

        Columns and covariance are in units of the noise of the channels.
        """
        excess = self.shared.excess(lines, self.noise)[:, np.newaxis]
        whole_band = np.zeros((len(self.used), columns.shape[1]))
        whole_band[self.used] = excess * columns
        found = whole_band.copy()
        for away, each in enumerate(self.correlation, 1):
            if away < len(found):
                found[away:] += each * whole_band[:-away]
                found[:-away] += each * whole_band[away:]
        noise = self.noise[:, np.newaxis]
        gains = self.shared.times(columns / noise, base, lines)
        return np.asarray(excess * found[self.used] + gains / noise)

    def result(self, kind: str, found: F8, shape: Callable[[F8, Channels], F8],
               numbers: Callable[[F8], F8], n: int) -> LineFit:
        """Return the fit with the values of its lines and their errors."""
        size = _SHAPE[kind]
        found = _bounded(found, size, n)
        covariance = self.covariance(found, shape, size, n)
        model = self.model(found, shape, size, n)
        unit = self.spectrum.flux.unit
        lines = []
        for k in range(n):
            part = slice(size * k, size * k + size)
            values, errors = _derived(found[part], covariance[part, part], numbers)
            units = (unit, u.km / u.s, u.km / u.s, u.km / u.s, unit * u.km / u.s)
            lines.append(Line(*(Measured(value << each, error << each) for value, error, each
                                in zip(values, errors, units, strict=True))))
        if not all(np.isfinite([each.error.value for each in line]).all() for line in lines):
            raise DataError(self.path, "the fit has no errors: too little of the line is visible")
        base = found[size * n :] @ self.terms
        return LineFit(
            kind, tuple(sorted(lines, key=lambda line: float(line.velocity.value.value))),
            self._spread(model) << unit, self._spread(base) << unit, self.velocity,
            self.convention, self.spectrum.frame, self.rest_hz,
            float((((self.flux - model) / self.noise) ** 2).sum()), len(self.flux) - len(found),
            self._sum(lines, base, model), found, covariance, self.spectrum)

    def _spread(self, values: F8) -> F8:
        found = np.full(len(self.used), np.nan)
        found[self.used] = values
        return found

    def _sum(self, lines: list[Line], base: F8, model: F8) -> Measured:
        """Sum the channels around the lines."""
        inside = np.zeros(len(self.flux), bool)
        for line in lines:
            inside |= line.covers(self.channels.center)
        width = np.where(inside, self.channels.width, 0.0)
        amounts = (width * self.noise)[:, np.newaxis]
        variance = float((amounts * self._correlated(amounts, base, model - base)).sum())
        unit = self.spectrum.flux.unit * u.km / u.s
        return Measured(float((width * (self.flux - base)).sum()) << unit,
                        math.sqrt(max(variance, 0.0)) << unit)


def least_snr(n_chan: int) -> float:
    """Return the significance that the strongest box of channels exceeds by chance in 1 % of cases.

    Boxes of n channels have about ``n_chan / n`` independent places; with all widths there are
    several times as many as channels. The noise is measured from the channels as well, with about
    ``n_chan / 3`` degrees of freedom.
    """
    from scipy.special import stdtrit

    tail = _FALSE_ALARMS / (2 * _TRIALS * n_chan)  # of either sign
    return max(_LEAST_SNR, -float(stdtrit(max(2, n_chan / 3), tail)))


def _bounded(parameters: F8, size: int, n: int) -> F8:
    """Limit logarithms of widths to a range in which their exponentials are finite."""
    found = parameters.copy()
    for k in range(n):
        places = slice(size * k + 2, size * k + (3 if size == 3 else 4))
        found[places] = np.clip(found[places], -12, 12)
    return found


def _known(parameters: F8, size: int) -> tuple[F8, F8]:
    """Return the priors as rows of a linear system divided by their errors, and their centre."""
    rows, middle = np.zeros((0, len(parameters))), np.zeros(len(parameters))
    if size == _SHAPE["profile"]:
        rows = np.zeros((4, len(parameters)))
        rows[0, 2:4] = -1 / _EDGE_WIDTH, 1 / _EDGE_WIDTH
        middle[3] = _EDGE
        for k in range(3):
            rows[k + 1, 4 + k] = 1 / (_TERM_WIDTH * (abs(parameters[0]) or 1.0))
    return rows, middle


def _derived(parameters: F8, covariance: F8, numbers: Callable[[F8], F8]) -> tuple[F8, F8]:
    """Return values derived from parameters, and errors by differences over a part of an error."""
    sigma = np.sqrt(np.clip(np.diag(covariance), 0, None))
    gradient = np.empty((len(numbers(parameters)), len(parameters)))
    for k, each in enumerate(sigma):
        move = np.zeros(len(parameters))
        move[k] = max(0.02 * each, 1e-9 * abs(parameters[k]), 1e-12)
        gradient[:, k] = (numbers(parameters + move) - numbers(parameters - move)) / (2 * move[k])
    variance = np.einsum("ik,kl,il->i", gradient, covariance, gradient)
    return numbers(parameters), np.sqrt(np.clip(variance, 0, None))


def _edges(centers: F8) -> F8:
    """Return the edges of channels, halfway between their centres."""
    between = (centers[1:] + centers[:-1]) / 2
    return np.concatenate([[2 * centers[0] - between[0]], between, [2 * centers[-1] - between[-1]]])
