"""Fitted lines: values with errors, the record of a fit, its table and its picture."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from astropy import units as u
from numpy.typing import NDArray

from fastsig import registry
from fastsig.axes.units import number
from fastsig.errors import UsageError
from fastsig.reductions.sources.line_models import FWHM
from fastsig.reductions.sources.sky_spectrum import SkySpectrum
from fastsig.work.arguments import checked
from fastsig.work.shown import Shown

if TYPE_CHECKING:
    from astropy.table import QTable
    from matplotlib.figure import Figure

__all__ = ["HI_MASS", "Line", "LineFit", "Measured", "hi_mass", "rounded"]

F8 = NDArray[np.float64]

#: Solar masses of 1 Jy km/s at 1 Mpc, for optically thin HI.
HI_MASS = 2.356e5

_ABOUT = {"peak": "Peak of the line", "velocity": "Velocity of the centre",
          "w50": "Full width at half of the peak", "w20": "Full width at a fifth of the peak",
          "flux": "Integral over velocity"}


class Measured(NamedTuple):
    """A value with its standard error, as Quantities of one unit."""

    value: u.Quantity
    error: u.Quantity

    def __str__(self) -> str:
        unit = self.value.unit.to_string()
        return f"{rounded(self.value.value, self.error.value)} {unit}".rstrip()


class Line(NamedTuple):
    """A fitted line.

    Parameters
    ----------
    peak : Measured
        Peak, Jy or K.
    velocity : Measured
        Velocity of the centre, km/s; for a profile, the centre of W50.
    w50, w20 : Measured
        Full widths, km/s, at half and a fifth of the peak.
    flux : Measured
        Integral, Jy km/s (K km/s).
    """

    peak: Measured
    velocity: Measured
    w50: Measured
    w20: Measured
    flux: Measured

    @property
    def sigma(self) -> Measured:
        """Standard deviation of a Gaussian with this W50, km/s: W50 / 2.3548."""
        return Measured(self.w50.value / FWHM, self.w50.error / FWHM)

    def __repr__(self) -> str:
        return "<Line of velocity {}, peak {}>".format(*self.texts())

    def texts(self) -> tuple[str, str]:
        """Return a text with velocity and width, and a text with peak and flux."""
        return (f"{self.velocity}, W50 {self.w50}".replace(" / ", "/"),
                f"{self.peak}, flux {self.flux}".replace(" / ", "/"))

    def covers(self, speeds: F8) -> NDArray[np.bool_]:
        """Return whether velocities, km/s, lie within W20, plus half of W50 on each side."""
        reach = self.w20.value.value / 2 + self.w50.value.value / 2
        found: NDArray[np.bool_] = np.abs(speeds - self.velocity.value.value) <= reach
        return found

    def record(self) -> dict[str, float]:
        """Return the values by name, ready for JSON."""
        found = {}
        for name, each in zip(self._fields, self, strict=True):
            unit = each.value.unit.to_string().replace(" / ", "_").replace(" ", "_").lower()
            found[f"{name}_{unit}".rstrip("_")] = float(each.value.value)
            found[f"{name}_error_{unit}".rstrip("_")] = float(each.error.value)
        return found


@dataclass(frozen=True, repr=False)
class LineFit(Shown):
    """A fit of lines to a spectrum.

    Parameters
    ----------
    kind : {"gaussian", "profile"}
        Kind of the fitted lines.
    lines : tuple of Line
        Lines in the order of their velocities.
    model, baseline : Quantity, shape (chan,)
        The whole fit, and only its polynomial; NaN in channels that were not fitted.
    velocity : Quantity, shape (chan,), km/s
        Velocities of the channels.
    convention, frame : str
        Convention and frame of the velocities.
    rest_hz : float
        Rest frequency, Hz.
    chi2 : float
        Sum of the squares of the differences from the fit, each divided by the noise of its
        channel. Without noise of the gain, it is about `dof` for a good fit.
    dof : int
        Number of degrees of freedom.
    flux_sum : Measured
        Sum of the channels minus the baseline, without a model. Around each line, it covers W20
        plus half of W50 on each side. Its error includes only the noise.
    parameters : ndarray, shape (n,)
        Parameters as `fastsig.reductions.sources.line_models` accepts them, line by line, followed
        by those of the baseline.
    covariance : ndarray, shape (n, n)
        Covariance of the parameters.
    spectrum : SkySpectrum
        The spectrum that was fitted, with its noise.
    expected_chi2 : float, optional
        `chi2` of a good fit: `dof`, and what the noise of the gain adds.
    """

    kind: str
    lines: tuple[Line, ...]
    model: u.Quantity
    baseline: u.Quantity
    velocity: u.Quantity
    convention: str
    frame: str
    rest_hz: float
    chi2: float
    dof: int
    flux_sum: Measured
    parameters: F8
    covariance: F8
    spectrum: SkySpectrum
    expected_chi2: float | None = None

    def _fields(self) -> dict[str, Any]:
        """What the repr shows."""
        about = f"{self.convention} velocities, {self.frame or 'frame not known'}, rest frequency "
        noise = float(np.nanmedian(self.spectrum.noise.value)) << self.spectrum.noise.unit
        shown = {}
        for k, line in enumerate(self.lines, 1):
            shown[f"line {k}"], shown[f"peak {k}"] = line.texts()
        return {"kind": self.kind, **shown, "axis": f"{about}{self.rest_hz / 1e6:.9g} MHz",
                "flux_sum": str(self.flux_sum).replace(" / ", "/"),
                "noise": f"{noise:.4g} per channel",
                "chi2": self.chi2_text()}

    def chi2_text(self) -> str:
        """Return chi^2, the degrees of freedom and, if it is another number, what is expected."""
        text, expected = f"{self.chi2:.4g} for {self.dof} degrees of freedom", self.expected_chi2
        return text if expected in (None, self.dof) else f"{text} ({expected:.4g} expected)"

    @property
    def flux(self) -> Measured:
        """Total flux of all lines."""
        return _added([line.flux for line in self.lines]) if len(self.lines) > 1 else (
            self.lines[0].flux)

    def record(self) -> dict[str, Any]:
        """Return the results, ready for JSON."""
        return {"kind": self.kind, "convention": self.convention, "frame": self.frame or None,
                "rest_frequency_mhz": self.rest_hz / 1e6, "chi2": self.chi2, "dof": self.dof,
                "lines": [line.record() for line in self.lines],
                "flux_sum": [float(each.value) for each in self.flux_sum]}

    def beside(self) -> tuple[F8, NDArray[np.bool_]]:
        """Return channel values minus the fitted lines, and a mask of channels off the lines."""
        speeds, inside = self.velocity.value, np.zeros(len(self.velocity), bool)
        for line in self.lines:
            inside |= line.covers(speeds)
        fitted = np.isfinite(self.model.value)
        lines = np.where(fitted, self.model.value - self.baseline.value, 0.0)
        return self.spectrum.flux.value - lines, ~inside

    def to_table(self) -> QTable:
        """Return the lines as an astropy table, one row for each, with errors and units.

        Its ``meta`` contains the convention, frame and rest frequency of the velocities, chi2 and
        dof.
        """
        from astropy.table import QTable

        table = QTable(meta={key: value for key, value in self.record().items()
                             if key not in ("lines", "flux_sum")})
        for k, name in enumerate(Line._fields):
            for part, about in enumerate(("", ", standard error")):
                values = [line[k][part] for line in self.lines]
                key = f"{name}_error" if part else name
                table[key] = u.Quantity(values)
                table[key].info.description = f"{_ABOUT[name]}{about}"
        return table

    @checked
    def plot(self, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False
             ) -> Figure:
        """Draw the spectrum with its noise, the fit and the residual; save it if `path` is given.

        Extensions of `path` are those of `fastsig.view.draw`.
        """
        shown = {"velocity": self.velocity, "fit": self.model, "baseline": self.baseline,
                 "record": self.record()}
        figure: Figure = registry.drawing("draw_position")(self.spectrum, path, fit=shown,
                                                           overwrite=overwrite)
        return figure


def hi_mass(flux: Measured, distance: Any) -> Measured:
    """Return the mass of optically thin HI, ``2.356e5 D^2 S`` solar masses.

    D is in Mpc and S in Jy km/s. The error of the mass includes only that of the flux.

    Parameters
    ----------
    flux : Measured
        Flux in Jy km/s.
    distance : Quantity or str
        Distance; numbers without a unit are in Mpc.

    Raises
    ------
    UsageError
        If the flux is not in Jy km/s, or the distance is not allowed.
    """
    far = number(distance, "Mpc", "distance")
    if not (math.isfinite(far) and far > 0):
        raise UsageError(f"distance = {distance!r}; allowed: above 0, such as 12.3Mpc")
    if not flux.value.unit.is_equivalent(u.Jy * u.km / u.s):
        raise UsageError(f"a flux in {flux.value.unit} gives no mass; allowed: Jy km/s (for a cube "
                         "in K, specify the conversion to Jy)")
    scale = HI_MASS * far**2
    value, error = (each.to_value(u.Jy * u.km / u.s) * scale << u.M_sun for each in flux)
    return Measured(value, error)


def _added(parts: list[Measured]) -> Measured:
    value = sum((each.value for each in parts[1:]), parts[0].value)
    return Measured(value, np.sqrt(sum((each.error**2 for each in parts[1:]), parts[0].error**2)))


def rounded(value: float, error: float) -> str:
    """Format a value as ``1234.567 ± 0.012``, with the error rounded to two digits."""
    if not (math.isfinite(error) and error > 0):
        return f"{value:.6g}"
    digits = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{digits}f} ± {error:.{digits}f}"
