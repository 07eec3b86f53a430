"""Spectra of positions on the sky, with their noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord

from fastsig.axes.velocity import convention_of, velocity
from fastsig.errors import UsageError
from fastsig.work.shown import Shown

__all__ = ["SkySpectrum"]


@dataclass(frozen=True, repr=False)
class SkySpectrum(Shown):
    """A spectrum with its noise; channels ascend in frequency.

    Parameters
    ----------
    frequency : Quantity, shape (chan,), Hz
    flux : Quantity, shape (chan,)
        Flux density, Jy; K where the cube is in K and nothing tells what a kelvin is. NaN where
        nothing was seen.
    noise : Quantity, shape (chan,)
        Standard deviation of a channel, which fits go by: `expected` times `scatter`.
    expected : Quantity, shape (chan,)
        What weights and pixels that share noise give.
    scatter : float
        Noise of the spectrum itself over `expected`, by each channel's difference to the mean of
        its neighbours; 1 where there are too few channels to tell.
    at : SkyCoord
    method : {"beam", "aperture"}
    radius_deg : float or None
        Of the aperture.
    rest_hz : float or None
    frame : str
        SPECSYS; "" where not known.
    correlation : tuple of float
        Of the noise of channels 1, 2, ... apart.
    facts : mapping
        More of how it was made; JSON-ready.
    """

    frequency: u.Quantity
    flux: u.Quantity
    noise: u.Quantity
    expected: u.Quantity
    scatter: float
    at: SkyCoord
    method: str
    radius_deg: float | None = None
    rest_hz: float | None = None
    frame: str = ""
    correlation: tuple[float, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    path: str = ""

    def velocity(self, convention: str = "radio", rest: Any = None) -> u.Quantity:
        """Velocities of the channel centres, km/s, in the frame of the cube.

        Raises
        ------
        UsageError
            Where there is no rest frequency.
        """
        return velocity(self.frequency, self.require_rest(rest) << u.Hz, convention)

    def require_rest(self, rest: Any = None) -> float:
        """The rest frequency, Hz; `rest` in its place where given."""
        from fastsig.io.fits.cube import rest_hz

        found = rest_hz(rest) or self.rest_hz
        if not found:
            raise UsageError("the cube has no rest frequency (RESTFRQ); give rest = HI, or a "
                             "frequency")
        return found

    def to_specutils(self, rest: Any = None, convention: str = "radio") -> Any:
        """A `specutils.Spectrum`, with the noise as its uncertainty (needs specutils)."""
        from astropy.nddata import StdDevUncertainty
        from specutils import Spectrum

        told = {} if rest is None and not self.rest_hz else {
            "rest_value": self.require_rest(rest) << u.Hz,
            "velocity_convention": convention_of(convention)}
        return Spectrum(
            flux=self.flux, spectral_axis=self.frequency, mask=~np.isfinite(self.flux.value),
            uncertainty=StdDevUncertainty(self.noise), meta={"frame": self.frame}, **told)
