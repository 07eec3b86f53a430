"""Templates of pulse profiles: smoothed profiles, and sums of Gaussians that are fitted.

A template has no baseline and a peak of 1. It may be sampled with any number of bins: components
are averaged over each bin, and smoothed profiles are resampled by their harmonics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.pulsar.channel_smear import Smear, transfer
from fastsig.pulsar.harmonics import checked, harmonics, n_harmonic_of, series
from fastsig.pulsar.significance import baseline, best_boxcar
from fastsig.work.shown import Shown

if TYPE_CHECKING:
    from astropy.table import QTable

__all__ = ["Component", "Template", "fit_gaussians", "smooth_savgol", "smooth_wiener"]

F8 = NDArray[np.float64]
C16 = NDArray[np.complex128]

_FWHM = float(np.sqrt(8 * np.log(2)))
_MOST_COMPONENTS = 12
_LEAST_TRANSFER = 0.2  # of a harmonic that can be given another smear
#: Decrease of chi^2 by a further component, of three parameters, that noise does not reach.
_LEAST_GAIN = 25.0


@dataclass(frozen=True)
class Component:
    """A Gaussian component: the phase of its centre, its FWHM (both in turns) and its height."""

    phase: float
    fwhm: float
    height: float


@dataclass(frozen=True, repr=False)
class Template(Shown):
    """A pulse profile without noise.

    Parameters
    ----------
    profile : ndarray, shape (bin,), float64
        Values above the baseline, with a peak of 1.
    method : str
        How the template was made: "wiener", "savgol" or "gaussians".
    components : tuple of Component
        Components, if the template is a sum of Gaussians.
    smear : tuple of (float, float)
        Widths, in turns, and weights of the smear in the template, which is due to dispersion
        within channels; empty if it is not known.
    """

    profile: F8
    method: str
    components: tuple[Component, ...] = ()
    smear: Smear = ()

    def sampled(self, n_bin: int) -> F8:
        """Return the template with `n_bin` bins.

        Raises
        ------
        UsageError
            If there are fewer than 8 bins.
        """
        if n_bin == self.profile.size:
            return self.profile
        if n_bin < 8:
            raise UsageError(f"n_bin = {n_bin}; allowed: 8 or more")
        if self.components:
            return _unit(_sum_of(self.components, n_bin))
        return _unit(_resampled(self.profile, n_bin))

    def smeared(self, n_bin: int, smear: Smear) -> F8:
        """Return the template with `n_bin` bins, and with another smear instead of its own.

        Harmonics that its own smear has weakened to less than a fifth, and those above them, are
        left out. If its own smear is not known, the template keeps it.
        """
        profile = self.sampled(n_bin)
        if not self.smear or smear == self.smear:
            return profile
        parts = harmonics(profile)
        own, other = (transfer(each, parts.size) for each in (self.smear, smear))
        weak = own < _LEAST_TRANSFER
        stop = int(np.argmax(weak)) if weak.any() else parts.size
        return series(parts[:stop] * other[:stop] / own[:stop], n_bin, n_bin)

    def table(self) -> QTable:
        """Return a table with the profile; its meta contains the components and the smear."""
        from astropy import units as u
        from astropy.table import QTable

        n_bin = self.profile.size
        table = QTable()
        table["phase"] = (np.arange(n_bin) + 0.5) / n_bin * u.cycle
        table["phase"].info.description = "centre of the bin"
        table["profile"] = self.profile << u.one
        table["profile"].info.description = "profile above the baseline, peak 1"
        table.meta.update(method=self.method, components=[
            {"phase": c.phase, "fwhm": c.fwhm, "height": c.height} for c in self.components])
        if self.smear:
            table.meta["smear"] = [list(each) for each in self.smear]
        return table

    @classmethod
    def from_table(cls, table: QTable) -> Template:
        """Return the template from a table that `table` returned.

        Raises
        ------
        UsageError
            If the values are invalid.
        KeyError
            If a column or an entry of the meta is missing.
        """
        from astropy import units as u

        values = checked(u.Quantity(table["profile"], u.one).value, "profile", 1)
        if not np.isfinite(values).all() or np.ptp(values) == 0:
            raise UsageError("profile: it is constant, or not finite")
        found = tuple(Component(float(c["phase"]), float(c["fwhm"]), float(c["height"]))
                      for c in table.meta["components"])
        if not all(c.fwhm > 0 and np.isfinite([c.phase, c.fwhm, c.height]).all() for c in found):
            raise UsageError("components: phases and heights must be finite, and widths above 0")
        return cls(values, str(table.meta["method"]), found, _smear(table.meta.get("smear", ())))


def _smear(rows: Any) -> Smear:
    """Return the smear in the meta of a table.

    Raises
    ------
    UsageError
        If a width or a weight is not valid.
    """
    found = tuple((float(width), float(weight)) for width, weight in rows)
    if not all(0 <= width < np.inf and 0 < weight < np.inf for width, weight in found):
        raise UsageError("smear: widths must be 0 or more, and weights above 0")
    return found


def smooth_wiener(profile: Any, off: Any = None) -> Template:
    """Return a profile whose harmonics are multiplied by the fraction of signal in their power.

    The fraction is ``max(0, 1 - noise / power)``, with the power averaged over five neighbouring
    harmonics and the noise from off-pulse bins. Beyond the first harmonic without signal, all
    harmonics are 0, so that no isolated harmonics of noise remain.

    Parameters
    ----------
    profile : array, shape (bin,), any unit
        Profile.
    off : array, shape (bin,), bool, optional
        Off-pulse bins; by default, those of `find_off_pulse`.

    Raises
    ------
    UsageError
        If the profile has no significant signal.
    """
    values = checked(profile, "profile", 1)
    base = baseline(values, off)
    parts = harmonics(values)
    power = np.abs(parts) ** 2 / (values.size * base.sigma**2)
    share = np.maximum(0, 1 - 1 / np.maximum(_mean_of_five(power), 1e-300))
    # The mean of five powers of noise exceeds 1 by three of its standard deviations at 2.3.
    without = np.flatnonzero(_mean_of_five(power) < 2.3)
    share[without[0] if without.size else share.size :] = 0
    if not share.any():
        raise UsageError("profile: no significant signal to make a template from")
    return Template(_unit(series(parts * share, values.size, values.size)), "wiener")


def smooth_savgol(profile: Any, width: float = 0.05, order: int = 3) -> Template:
    """Return a profile smoothed by local polynomials (Savitzky-Golay), as a periodic function.

    Parameters
    ----------
    profile : array, shape (bin,), any unit
        Profile.
    width : float
        Width of the window, in turns; rounded to an odd number of bins, more than `order`.
    order : int
        Order of the polynomials.

    Raises
    ------
    UsageError
        If the window does not fit.
    """
    from scipy.signal import savgol_filter

    values = checked(profile, "profile", 1)
    n_window = 2 * round((width * values.size - 1) / 2) + 1 if np.isfinite(width) else 0
    if not (0 <= order < n_window <= values.size) or not np.isfinite(values).all():
        raise UsageError(f"width = {width}, order = {order}: a window of {n_window} bins; allowed: "
                         f"more than the order, up to {values.size}, and finite profiles")
    made = np.asarray(savgol_filter(values, n_window, order, mode="wrap"), np.float64)
    return Template(_unit(made), "savgol")


def fit_gaussians(profile: Any, n_component: int | None = None, off: Any = None) -> Template:
    """Return a sum of Gaussians fitted to a profile by least squares.

    Components are added at the best boxcar of the residual, and all are fitted again.

    Parameters
    ----------
    profile : array, shape (bin,), any unit
        Profile.
    n_component : int, optional
        Number of components; by default, they are added until chi^2 decreases by less than 25, or
        there are 12.
    off : array, shape (bin,), bool, optional
        Off-pulse bins, for the noise; by default, those of `find_off_pulse`.

    Raises
    ------
    UsageError
        If n_component is out of range, or no component is significant.
    """
    values = checked(profile, "profile", 1)
    most = _MOST_COMPONENTS if n_component is None else n_component
    if not 1 <= most <= _MOST_COMPONENTS:
        raise UsageError(f"n_component = {most}; allowed: 1 to {_MOST_COMPONENTS}")
    sigma = baseline(values, off).sigma
    scaled = (values - values.mean()) / sigma
    found, chi2 = np.empty((0, 3)), float((scaled**2).sum())
    for _ in range(most):
        new, new_chi2 = _with_one_more(scaled, found)
        if n_component is None and chi2 - new_chi2 < _LEAST_GAIN:
            break
        found, chi2 = new, new_chi2
    if not len(found):
        raise UsageError("profile: no significant signal to make a template from")
    peak = _sum_of(_components(found), values.size).max()
    parts = tuple(Component(c.phase, c.fwhm, float(c.height / peak))
                  for c in sorted(_components(found), key=lambda c: -c.height))
    return Template(_unit(_sum_of(parts, values.size)), "gaussians", parts)


def _with_one_more(values: F8, found: F8) -> tuple[F8, float]:
    """Return components with another one, rows of phase, log of FWHM and height, and chi^2."""
    from scipy.optimize import least_squares

    n_bin = values.size

    def rest(x: F8) -> F8:
        made = _sum_of(_components(x.reshape(-1, 3)), n_bin)
        return np.asarray(values - made + made.mean(), np.float64)

    residual = rest(found.ravel()) if len(found) else values
    box = best_boxcar(residual, 1.0)
    width = min(box.width, n_bin // 4) / n_bin
    phase = (box.first + box.width / 2) / n_bin
    start = np.vstack([found, [phase, np.log(width), box.snr / np.sqrt(box.width)]])
    low = np.tile([-np.inf, np.log(0.2 / n_bin), -np.inf], len(start))
    high = np.tile([np.inf, np.log(0.7), np.inf], len(start))
    x = np.clip(start.ravel(), low + 1e-6, high - 1e-6)
    made = least_squares(rest, x, bounds=(low, high), x_scale=np.tile(
        [width, 0.3, 1.0], len(start)))
    return made.x.reshape(-1, 3), float(2 * made.cost)


def _components(rows: F8) -> tuple[Component, ...]:
    return tuple(Component(float(p % 1), float(np.exp(w)), float(h)) for p, w, h in rows)


def _sum_of(components: tuple[Component, ...], n_bin: int) -> F8:
    """Return Gaussians, averaged over each bin; turns before and after add up."""
    from scipy.special import erf

    edges = np.arange(n_bin + 1) / n_bin
    total = np.zeros(n_bin)
    for c in components:
        sigma = c.fwhm / _FWHM
        turns = np.arange(-3, 4)[:, np.newaxis]
        steps = erf((edges - c.phase - turns) / (np.sqrt(2) * sigma)).sum(axis=0)
        total += c.height * sigma * np.sqrt(np.pi / 2) * n_bin * np.diff(steps)
    return total


def _resampled(profile: F8, n_bin: int) -> F8:
    """Return a profile with other bins; averages over the old bins become those over the new."""
    parts, old = harmonics(profile), profile.size
    h = np.arange(1, min(parts.size, n_harmonic_of(n_bin)) + 1)
    ramp = np.exp(1j * np.pi * h * (1 / n_bin - 1 / old)) * np.sinc(h / n_bin) / np.sinc(h / old)
    return series(parts[: h.size] * ramp, n_bin, old)


def _mean_of_five(power: F8) -> F8:
    wide = np.pad(power, 2, mode="reflect")
    return np.asarray(np.convolve(wide, np.ones(5) / 5, "valid"), np.float64)


def _unit(values: F8) -> F8:
    """Return a profile with its lowest eighth of a turn at 0 and its peak at 1."""
    width = max(1, values.size // 8)
    sums = np.cumsum(np.concatenate([[0.0], values, values[:width]]))
    level = float((sums[width:] - sums[:-width]).min()) / width
    return np.asarray((values - level) / (values.max() - level), np.float64)
