"""A cube of maps: spectra at positions, sources, moments.

The cube stays on the disk, and only the necessary parts are read. `fastsig.reductions` computes
with arrays; this module adds positions, units and frames.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from numpy.typing import NDArray

from fastsig.axes.sky import place as sky_place
from fastsig.axes.units import width_deg
from fastsig.cubes.planes import Planes
from fastsig.errors import DataError, FastsigError, FormatError, UsageError
from fastsig.io.files.provenance import file_record
from fastsig.io.fits.cube import KINDS as CUBE_KINDS
from fastsig.io.fits.cube import CubeFile
from fastsig.io.fits.cube_header import Beam
from fastsig.reductions.mapping.noise import MapNoise, measure, sum_noise
from fastsig.reductions.sources.point_source import fit_point
from fastsig.reductions.sources.position import (
    PositionSpectrum,
    aperture,
    in_beam,
    to_jansky,
    with_scatter,
)
from fastsig.work.arguments import checked

__all__ = ["Cube", "Source", "open_cube"]

F8 = NDArray[np.float64]

_NOISE_SIZE, _NOISE_CHANNELS = 48, 192  # most pixels and channels in which noise is measured
_REACH = 1.5  # full widths of the beam over which pixels may share noise


class Source(NamedTuple):
    """Position and flux density of a point source, with errors.

    Parameters
    ----------
    at : SkyCoord
        Position.
    ra_error, dec_error : Quantity
        Standard errors along east and north, arcsec, from the noise and from misfits of the beam;
        errors of pointing are not included.
    flux, flux_error : Quantity
        Flux density, Jy (K if the cube is in K).
    offset : Quantity
        Level of the map around the source.
    chi2, n_pixel : float, int
        chi2 and number of pixels of the fit. Errors are scaled by the square root of chi2 over the
        degrees of freedom if this ratio is above 1.
    channels : int
        Number of channels averaged.
    """

    at: SkyCoord
    ra_error: u.Quantity
    dec_error: u.Quantity
    flux: u.Quantity
    flux_error: u.Quantity
    offset: u.Quantity
    chi2: float
    n_pixel: int
    channels: int


@dataclass(frozen=True)
class _Part:
    """Pixels around a position."""

    y: slice
    x: slice
    east: F8
    north: F8


class Cube(Planes):
    """A cube of maps, stored in a file.

    Parameters
    ----------
    file : CubeFile
        The open file.
    stokes : str
        Stokes parameter to read.
    beam : Beam or None
        Beam, instead of that in the file.

    Raises
    ------
    UsageError
        If the file has no such Stokes parameter.
    """

    # Spectra

    @checked
    def spectrum(self, at: Any, radius: Any = None, *, noise: str = "measured",
                 kelvin: Any = None) -> PositionSpectrum:
        """Return the spectrum at a position.

        Parameters
        ----------
        at : SkyCoord or str
            Position: ``12h30m49.4s,+12d23m28s``, ``12:30:49.4,+12:23:28`` (hours and degrees), or
            degrees, ``187.7,12.39``.
        radius : Quantity or str, optional
            Radius of the circle over which to sum; by default, and with "beam", the spectrum is
            that of a point source. The formulae are in `fastsig.reductions.sources.position`.
        noise : {"measured", "weights"}
            Whether the noise is scaled to the scatter of the spectrum ("measured"), or follows from
            the weights alone ("weights").
        kelvin : "brightness" or Quantity, optional
            How a cube in K is converted to Jy: from the brightness temperature in the beam, or with
            the gain of the telescope in K/Jy (in cubes written by fastsig, BEAMSCAL records the
            effect of gridding on this gain).

        Raises
        ------
        UsageError
            If the position is off the map, if a circle around it leaves the map, or if an option
            is not valid.
        DataError
            If there are no data at the position.
        """
        place = _position(at, "at")
        frequency = self.frequency.value
        circle = None if radius is None or (isinstance(radius, str) and radius == "beam") else (
            width_deg(radius, "radius"))
        scale, unit = to_jansky(self.unit, frequency, self._beam, kelvin, self.path,
                                widened=self._widened)
        if circle is not None and unit != "Jy":
            raise UsageError(f"{self.path} is in {self.unit}: a sum in an aperture is in Jy; give "
                             "kelvin = brightness, or a gain such as 16K/Jy")
        beam = self._required_beam()
        if circle is not None:
            self._check_inside(place, circle)
        part = self._part(place, circle if circle is not None else beam.major)
        values, weight = self.weighted(slice(None), part.y, part.x)
        if circle is None:
            flux, amounts, relative = in_beam(values, weight, part.east, part.north, beam)
        else:
            flux, amounts, relative = aperture(values, weight, part.east, part.north, circle,
                                               self._per_beam(beam))
        if not np.isfinite(flux).any():
            raise DataError(self.path, "nothing was observed at the position, or the aperture is "
                            "not completely covered")
        found = self._noise(place)
        shared = self._shared(amounts, weight, found.rho)
        expected = found.unit_noise * shared * relative * scale
        order = np.argsort(frequency)
        spectrum = PositionSpectrum(
            frequency[order] << u.Hz, (flux * scale)[order] << u.Unit(unit),
            expected[order] << u.Unit(unit), expected[order] << u.Unit(unit), 1.0, place,
            "beam" if circle is None else "aperture", circle, self.rest_hz, self.frame,
            found.channels, self._facts(part, shared, found, circle, beam), self.path)
        return with_scatter(spectrum, noise)

    def _facts(self, part: _Part, shared: float, noise: MapNoise, circle: float | None, beam: Beam
               ) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "input": file_record(self.path),
            "beam_arcsec": [beam.major * 3600, beam.minor * 3600], "beam_pa_deg": beam.pa,
            "stokes": self.stokes, "noise_of_one_second": float(noise.unit_noise),
            "noise_unit": self.unit, "weights": "WEIGHT" if self.file.weight_image else "none",
            "noise_over_independent_pixels": float(shared),
            "pixels": [part.y.start, part.y.stop, part.x.start, part.x.stop]}
        if circle is not None and beam.major == beam.minor:
            facts["point_source_share"] = 1 - 2 ** (-4 * (circle / beam.major) ** 2)
        return facts

    @property
    def _widened(self) -> float:
        """Solid angle of the map's beam divided by the telescope's (BEAMSCAL); 1 if not stated."""
        found = self.file.header.cards.number("BEAMSCAL")
        return found if found is not None and found > 0 else 1.0

    def _required_beam(self) -> Beam:
        if self._beam is None:
            raise UsageError(f"{self.path}: has no beam (BMAJ); give beam = its full width, such "
                             "as 2.9arcmin")
        return self._beam

    def _per_beam(self, beam: Beam) -> float:
        """Return the solid angle of a pixel divided by that of the beam."""
        width, height = self.file.pixel_deg
        return math.radians(width) * math.radians(height) / beam.solid_angle

    def _pixel(self, place: SkyCoord) -> tuple[float, float]:
        """Return a position on the map, in pixels along x and y.

        Raises
        ------
        UsageError
            If the position is off the map.
        """
        try:
            x, y = (float(each) for each in self.celestial.world_to_pixel(place))
        except Exception:  # beyond the projection: wcslib raises many kinds of errors
            x = y = math.nan
        if not (-0.5 <= x <= self.shape[2] - 0.5 and -0.5 <= y <= self.shape[1] - 0.5):
            given = place.icrs.to_string("hmsdms", precision=1)
            raise UsageError(f"{given} lies off the map of {self.path}")
        return x, y

    def _check_inside(self, place: SkyCoord, circle: float) -> None:
        """Refuse an aperture that leaves the map, where a part of its flux would be missing."""
        x, y = self._pixel(place)
        width, height = self.file.pixel_deg
        most = min(width * min(x + 0.5, self.shape[2] - 0.5 - x),
                   height * min(y + 0.5, self.shape[1] - 0.5 - y))
        if circle > most * (1 + 1e-6):
            raise UsageError(f"radius = {circle * 60:.4g} arcmin: the aperture leaves the map of "
                             f"{self.path}; allowed here: up to {most * 60:.4g} arcmin")

    def _part(self, place: SkyCoord, reach: float) -> _Part:
        """Return the pixels within a distance of a position, deg, with their offsets on the sky."""
        x, y = self._pixel(place)
        width, height = self.file.pixel_deg
        spans = []
        for at, step, n in ((y, height, self.shape[1]), (x, width, self.shape[2])):
            half = math.ceil(reach / step) + 1
            spans.append(slice(max(0, round(at) - half), min(n, round(at) + half + 1)))
        grid = np.mgrid[spans[0], spans[1]]
        sky = self.celestial.pixel_to_world(grid[1], grid[0])
        east, north = place.spherical_offsets_to(sky.transform_to(place.frame))
        return _Part(spans[0], spans[1], east.to_value(u.deg), north.to_value(u.deg))

    def _noise(self, place: SkyCoord) -> MapNoise:
        """Measure the noise and its correlation between pixels and channels around a position."""
        x, y = self._pixel(place)
        spans = []
        for at, n in ((y, self.shape[1]), (x, self.shape[2])):
            start = int(np.clip(round(at) - _NOISE_SIZE // 2, 0, max(0, n - _NOISE_SIZE)))
            spans.append(slice(start, min(n, start + _NOISE_SIZE)))
        n_chan = self.shape[0]
        start = max(0, (n_chan - _NOISE_CHANNELS) // 2)
        values, weight = self.weighted(slice(start, min(n_chan, start + _NOISE_CHANNELS)), *spans)
        beam = self._required_beam()
        reach = max(1, math.ceil(_REACH * beam.major / min(self.file.pixel_deg)))
        return measure(values, weight, min(reach, _NOISE_SIZE // 3))

    @staticmethod
    def _shared(amounts: F8, weight: F8, rho: F8) -> float:
        """Return the noise of a sum relative to that of independent pixels."""
        mean = weight.mean(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            noise = np.where(mean > 0, amounts / np.sqrt(mean), 0.0)
        alone = math.sqrt(float((noise**2).sum()))
        return sum_noise(noise, rho) / alone if alone else 1.0

    # Sources

    @checked
    def source(self, near: Any, *, radius: Any = None, vrange: Any = None,
               convention: str = "radio", rest: Any = None, kelvin: Any = None) -> Source:
        """Fit the position and flux density of a point source in the mean over the band.

        Parameters
        ----------
        near : SkyCoord or str
            Approximate position.
        radius : Quantity or str, optional
            Radius within which pixels are fitted; by default, one and a half times the full width
            of the beam.
        vrange : pair of Quantity, optional
            Range of velocities to average over; all channels by default.
        convention, rest
            Convention and rest frequency of the velocities in `vrange`.
        kelvin
            As in `spectrum`; the flux density is that at the mean frequency.

        Raises
        ------
        DataError
            If no source is found.
        UsageError
            If the position is off the map, or an option is not valid.
        """
        place, beam = _position(near, "near"), self._required_beam()
        reach = 1.5 * beam.major if radius is None else width_deg(radius, "radius")
        chosen = self.channels(vrange, convention, rest)
        plane, sigma, rho, part, n = self._mean_plane(place, reach, chosen)
        found = fit_point(plane, sigma, part.east, part.north, beam, rho, reach, self.path)
        frequency = np.array([self.frequency.value[chosen].mean()])
        scale, unit = to_jansky(self.unit, frequency, beam, kelvin, self.path,
                                widened=self._widened)
        amplitude, east, north, offset = found.values
        errors = np.sqrt(np.diag(found.covariance))
        at = place.spherical_offsets_by(east * u.deg, north * u.deg)
        return Source(at, (errors[1] * u.deg).to(u.arcsec), (errors[2] * u.deg).to(u.arcsec),
                      amplitude * scale[0] << u.Unit(unit), errors[0] * scale[0] << u.Unit(unit),
                      offset * scale[0] << u.Unit(unit), found.chi2, found.n, n)

    def _mean_plane(self, place: SkyCoord, reach: float, chosen: slice
                    ) -> tuple[F8, F8, F8, _Part, int]:
        """Return the mean of channels, its noise, the correlation, the pixels and channel count."""
        noise = self._noise(place)
        if not noise.unit_noise > 0:
            raise DataError(self.path, "too few channels and pixels to measure the noise")
        part = self._part(place, reach)
        values, weight = self.weighted(chosen, part.y, part.x)
        total = weight.sum(axis=0)
        shared = 1 + 2 * sum(noise.channels)
        with np.errstate(divide="ignore", invalid="ignore"):
            plane = np.nansum(values * weight, axis=0) / total
            sigma = noise.unit_noise * np.sqrt(max(shared, 0.01) / total)
        return plane, sigma, noise.rho, part, len(values)

    # Moments, other programs

    @checked
    def moment(self, order: int, *, vrange: Any = None, sigma: float | None = None,
               convention: str = "radio", rest: Any = None) -> Any:
        """Compute a moment of the spectra with spectral-cube; see `fastsig.cubes.moments`."""
        from fastsig.cubes.moments import moment

        return moment(self, order, vrange=vrange, sigma=sigma, convention=convention, rest=rest)

    def to_spectral_cube(self) -> Any:
        """Return a `spectral_cube.SpectralCube` with values mapped from the disk.

        Raises
        ------
        UsageError
            If spectral-cube is not installed.
        """
        from fastsig.cubes.moments import to_spectral_cube

        return to_spectral_cube(self)


@checked
def open_cube(path: str | os.PathLike[str], *, stokes: str | None = None, rest: Any = None,
              convention: str | None = None, beam: Any = None) -> Cube:
    """Open a FITS cube of maps, written by fastsig or another program.

    A single `DoubtWarning` lists the information that the file does not contain; nothing is
    guessed.

    Parameters
    ----------
    path : path
        The file.
    stokes : str, optional
        Stokes parameter; the first by default.
    rest : str or Quantity, optional
        Rest frequency, instead of that in the file: HI, or a frequency.
    convention : {"radio", "optical"}, optional
        Velocity convention of a VELO axis; by default, that which the file states (VELREF).
    beam : Quantity or str, optional
        Full width at half maximum of a circular beam, instead of the beam in the file.

    Raises
    ------
    FormatError
        If the file is not a cube of maps, or is damaged.
    UsageError
        If an option is not valid.
    """
    try:
        file = CubeFile(path, rest=rest, convention=convention)
    except FormatError:
        _refuse_streams(path)
        raise
    file.tell()
    width = None if beam is None else width_deg(beam, "beam")
    return Cube(file, stokes=stokes, beam=None if width is None else Beam(width, width, 0.0))


def _refuse_streams(path: str | os.PathLike[str]) -> None:
    """Raise `FormatError`, which states what a file contains, if it is a stream."""
    from fastsig.io.opening import detect_files

    try:
        kinds = detect_files(path).kinds
    except FastsigError:
        return
    if not set(kinds) & set(CUBE_KINDS):
        raise FormatError(os.fspath(path), f"contains {' or '.join(kinds)}; allowed: a cube of maps"
                          ) from None


def _position(at: Any, name: str) -> SkyCoord:
    """Return a position; numbers without a unit, in text, are degrees."""
    if isinstance(at, SkyCoord) and at.isscalar:
        return at  # in its own frame
    ra, dec = sky_place(at, name, bare_degrees=True)
    return SkyCoord(ra * u.deg, dec * u.deg)
