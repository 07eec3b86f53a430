"""The spectrum at a position of a map: that of a point source, or the sum in an aperture.

The spectrum of a point source is the amplitude of the beam b fitted to each channel,

    F = sum(b W d) / sum(b^2 W),

over the pixels within one full width of the position, with their weights W. The amplitude is
unbiased even if neighbouring pixels share noise. The spectrum of an aperture is ``sum(a d)
omega_pixel / omega_beam``, with the fraction a of each pixel that lies inside. The noise is
explained in `fastsig.reductions.mapping.noise`.
"""

from __future__ import annotations

import math
import os
from dataclasses import replace
from typing import Any

import numpy as np
from astropy import constants
from astropy import units as u
from numpy.typing import NDArray

from fastsig.errors import FormatError, UsageError
from fastsig.io.fits.cube_header import Beam
from fastsig.reductions.mapping.noise import LEAST_BENDS, bends, clipped_scatter
from fastsig.reductions.sources.sky_spectrum import SkySpectrum

__all__ = ["PositionSpectrum", "aperture", "in_beam", "to_jansky"]

F8 = NDArray[np.float64]

_FINE = 10  # subdivisions of a pixel along each side, for its fraction inside an aperture


class PositionSpectrum(SkySpectrum):
    """A spectrum with its noise, with methods to fit lines and to write it.

    `SkySpectrum` describes its fields.
    """

    def fit(self, lines: int | str = 1, **options: Any) -> Any:
        """Fit `lines` Gaussians, or a "profile"; the options are those of `fit_gaussians`."""
        from fastsig.reductions.sources.line_fit import fit_gaussians, fit_profile

        if isinstance(lines, str):
            if lines != "profile":
                raise UsageError(f"lines = {lines!r}; allowed: a number of Gaussians, or profile")
            return fit_profile(self, **options)
        return fit_gaussians(self, lines, **options)

    def write(self, path: str | os.PathLike[str], *, fit: Any = None, convention: str = "radio",
              overwrite: bool = False) -> None:
        """Write the spectrum as ECSV, with a fit if one is given.

        The velocities are those of the fit. Without a fit, they are in `convention`: radio,
        optical or relativistic.

        Raises
        ------
        OutputError
            If the file exists or cannot be written.
        """
        from fastsig.reductions.sources.spectrum_file import write_spectrum

        write_spectrum(self, path, fit=fit, convention=convention, overwrite=overwrite)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> PositionSpectrum:
        """Read a spectrum written by `write`."""
        return cls.read_with_fit(path)[0]

    @classmethod
    def read_with_fit(cls, path: str | os.PathLike[str]) -> tuple[PositionSpectrum, dict[str, Any]]:
        """Read a spectrum written by `write`, and its fit.

        The fit consists of ``velocity``, ``fit``, ``baseline`` and ``record``, as far as the file
        contains them. Without a record, ``convention`` is that of the velocities.

        Raises
        ------
        FormatError
            If the file was not written by `write`.
        """
        from fastsig.reductions.sources.spectrum_file import read_spectrum

        values, fit = read_spectrum(path)
        return cls(**values), fit


def in_beam(values: F8, weight: F8, east: F8, north: F8, beam: Beam) -> tuple[F8, F8, F8]:
    """Fit the amplitude of a beam in each channel.

    Parameters
    ----------
    values, weight : ndarray, shape (chan, y, x) and (chan or 1, y, x)
        Values, NaN where there are none, and weights.
    east, north : ndarray, shape (y, x)
        Offsets from the position, deg.
    beam : Beam
        The beam.

    Returns
    -------
    flux : ndarray, shape (chan,)
        Amplitudes; NaN where no pixel counts.
    amounts : ndarray, shape (y, x)
        ``b W / sum(b^2 W)`` with the channels' mean weight.
    relative : ndarray, shape (chan,)
        ``sqrt(sum a_i^2 / W_i)`` for each channel: the noise of the amplitude for independent
        pixels, in units of the noise at weight 1.
    """
    profile = beam.response(east, north)
    profile = np.where(profile >= 1 / 16, profile, 0.0)  # one full width away
    used = np.where(np.isfinite(values), weight, 0.0)
    good = np.where(np.isfinite(values), values, 0.0)
    below = (profile**2 * used).sum(axis=(1, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        flux = np.where(below > 0, (profile * used * good).sum(axis=(1, 2)) / below, np.nan)
        relative = np.where(below > 0, 1 / np.sqrt(below), np.nan)
    mean = used.mean(axis=0)
    total = float((profile**2 * mean).sum())
    return flux, profile * mean / total if total > 0 else profile * 0, relative


def aperture(values: F8, weight: F8, east: F8, north: F8, radius: float, per_beam: float
             ) -> tuple[F8, F8, F8]:
    """Return the sum of the pixels within a circle, divided by the number of pixels in a beam.

    Parameters
    ----------
    values, weight, east, north
        As in `in_beam`.
    radius : float
        Radius of the circle, deg.
    per_beam : float
        Solid angle of a pixel divided by that of the beam.

    Returns
    -------
    flux, amounts, relative
        As in `in_beam`; NaN in channels in which a pixel inside the circle is missing.
    """
    inside = _inside(east, north, radius)
    amounts = inside * per_beam
    there = np.isfinite(values) & (weight > 0)
    whole = (there | (inside == 0)).all(axis=(1, 2))
    sums = (amounts * np.where(there, values, 0.0)).sum(axis=(1, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.where((weight > 0) & (inside > 0), amounts**2 / weight, 0.0).sum(axis=(1, 2))
    return (np.where(whole, sums, np.nan), amounts,
            np.where(whole, np.sqrt(np.broadcast_to(variance, whole.shape)), np.nan))


def _inside(east: F8, north: F8, radius: float) -> F8:
    """Return the fraction of each pixel that lies within a circle, (y, x)."""
    parts = (np.arange(_FINE) + 0.5) / _FINE - 0.5
    found = np.zeros(east.shape)
    steps = [np.gradient(each, axis=axis) if each.shape[axis] > 1 else np.zeros(each.shape)
             for each in (east, north) for axis in (0, 1)]
    for dy in parts:
        for dx in parts:
            found += np.hypot(east + dy * steps[0] + dx * steps[1],
                              north + dy * steps[2] + dx * steps[3]) <= radius
    return found / _FINE**2


def to_jansky(unit: str, frequency_hz: F8, beam: Beam | None, kelvin: Any, path: str, *,
              widened: float = 1.0) -> tuple[F8, str]:
    """Return the factor of each channel that converts values to Jy in a beam, and the unit.

    Parameters
    ----------
    kelvin : None, "brightness" or Quantity
        Meaning of a kelvin: None leaves values in K; "brightness" uses
        ``S = (2 k nu^2 / c^2) omega T`` in the beam; a Quantity is a gain of the telescope in K/Jy.
    widened : float
        Solid angle of the map's beam divided by that of the telescope's beam, which is the factor
        by which gridding lowers the peak of a point source in K.

    Raises
    ------
    FormatError
        If the unit is not one of a map.
    UsageError
        If `kelvin` is none of these, or if a beam is needed but not known.
    """
    one = np.ones(len(frequency_hz))
    try:
        own = u.Unit(unit) if unit else None
        if own is None:
            raise ValueError
        if own.is_equivalent(u.Jy / u.beam) or own.is_equivalent(u.Jy):
            scale = own.to(u.Jy / u.beam) if own.is_equivalent(u.Jy / u.beam) else own.to(u.Jy)
            return one * scale, "Jy"
        if own.is_equivalent(u.Jy / u.sr):
            return one * own.to(u.Jy / u.sr) * _needed(beam, path).solid_angle, "Jy"
        scale = own.to(u.K)
    except (ValueError, u.UnitConversionError) as error:
        raise FormatError(path, f"BUNIT = {unit!r}; allowed: Jy/beam, Jy/sr, K and their multiples"
                          ) from error
    if kelvin is None:
        return one * scale, "K"
    if isinstance(kelvin, str) and kelvin == "brightness":
        ratio = 2 * constants.k_B * (frequency_hz * u.Hz) ** 2 / constants.c**2 * u.K
        jansky = (ratio * _needed(beam, path).solid_angle).to_value(u.Jy)
        return np.asarray(scale * jansky), "Jy"
    from fastsig.axes.units import number

    gain = number(kelvin, "K/Jy", "kelvin")
    if not (math.isfinite(gain) and gain > 0):
        raise UsageError(f"kelvin = {kelvin!r}; allowed: brightness, or a gain such as 16K/Jy")
    return one * scale * widened / gain, "Jy"


def _needed(beam: Beam | None, path: str) -> Beam:
    if beam is None:
        raise UsageError(f"{path}: has no beam (BMAJ); give beam = its full width, such as "
                         "2.9arcmin")
    return beam


def with_scatter(spectrum: PositionSpectrum, kind: str) -> PositionSpectrum:
    """Scale a spectrum's noise to its own scatter (`kind` "measured"), or not ("weights").

    Raises
    ------
    UsageError
        If `kind` is neither.
    """
    if kind not in ("measured", "weights"):
        raise UsageError(f"noise = {kind!r}; allowed: measured, weights")
    scatter, n = clipped_scatter(bends(
        spectrum.flux.value, spectrum.expected.value, spectrum.correlation))
    known = n >= LEAST_BENDS and scatter > 0
    if kind == "weights" or not known:
        return replace(spectrum, scatter=scatter if known else 1.0)
    return replace(spectrum, scatter=scatter, noise=spectrum.expected * scatter)
