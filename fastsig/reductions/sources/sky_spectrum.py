"""Spectra of positions on the sky, with their noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord

from fastsig.axes.gain_noise import GainNoise
from fastsig.axes.velocity import convention_of, velocity
from fastsig.errors import UsageError
from fastsig.reductions.mapping.noise import APART
from fastsig.work.shown import Shown

__all__ = ["SkySpectrum"]


@dataclass(frozen=True, repr=False)
class SkySpectrum(Shown):
    """A spectrum with its noise; channels ascend in frequency.

    Parameters
    ----------
    frequency : Quantity, shape (chan,), Hz
        Channel centres.
    flux : Quantity, shape (chan,)
        Flux density in Jy, or in K if the cube is in K and no conversion of kelvins is specified;
        NaN where nothing was observed.
    noise : Quantity, shape (chan,)
        Standard deviation of a channel, used by fits: `expected` times `scatter`.
    expected : Quantity, shape (chan,)
        Noise computed from the weights and the correlation of pixels.
    scatter : float
        Noise of the spectrum itself divided by `expected`, measured from the difference of each
        channel from the mean of its neighbours; 1 if there are too few channels to measure it.
    at : SkyCoord or None
        Position, if it is known.
    method : {"beam", "aperture", "mean"}
        How the spectrum was made: from a map, with the beam or in an aperture, or as the mean of
        spectra.
    radius_deg : float or None
        Radius of the aperture.
    rest_hz : float or None
        Rest frequency, Hz; None if it is not known.
    frame : str
        SPECSYS; "" if not known.
    correlation : tuple of float
        Correlation of the noise of channels that are 1, 2, ... channels apart.
    facts : mapping
        Further values of the extraction, ready for JSON.
    gain_noise : GainNoise or None
        Noise of the gain. `noise` contains only the part of it that differs between channels that
        are `apart` channels apart.
    apart : int
        Distance, in channels, to which the noise of the gain in `noise` applies.
    """

    frequency: u.Quantity
    flux: u.Quantity
    noise: u.Quantity
    expected: u.Quantity
    scatter: float
    at: SkyCoord | None
    method: str
    radius_deg: float | None = None
    rest_hz: float | None = None
    frame: str = ""
    correlation: tuple[float, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    path: str = ""
    gain_noise: GainNoise | None = None
    apart: int = APART

    def velocity(self, convention: str = "radio", rest: Any = None) -> u.Quantity:
        """Return the velocities of the channel centres, km/s, in the frame of the spectrum.

        Raises
        ------
        UsageError
            If there is no rest frequency.
        """
        return velocity(self.frequency, self.require_rest(rest) << u.Hz, convention)

    def require_rest(self, rest: Any = None) -> float:
        """Return the rest frequency, Hz: `rest` if given, otherwise that of the spectrum."""
        from fastsig.io.fits.cube import rest_hz

        found = rest_hz(rest) or self.rest_hz
        if not found:
            raise UsageError(f"{self.path or 'the spectrum'}: no rest frequency (RESTFRQ) is "
                             "stated; give rest = 'HI', or a frequency")
        return found

    def to_specutils(self, rest: Any = None, convention: str = "radio") -> Any:
        """Return a `specutils.Spectrum`, with the noise as its uncertainty (needs specutils)."""
        from astropy.nddata import StdDevUncertainty
        from specutils import Spectrum

        given = {} if rest is None and not self.rest_hz else {
            "rest_value": self.require_rest(rest) << u.Hz,
            "velocity_convention": convention_of(convention)}
        return Spectrum(
            flux=self.flux, spectral_axis=self.frequency, mask=~np.isfinite(self.flux.value),
            uncertainty=StdDevUncertainty(self.noise), meta={"frame": self.frame}, **given)
