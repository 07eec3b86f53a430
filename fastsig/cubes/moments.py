"""Moments of a cube's spectra, computed with spectral-cube.

Order 0 is the integral ``sum(d dv)``, order 1 the mean velocity, and order 2 the dispersion, the
square root of the second moment about the mean; both are weighted by ``d dv``. Channels are
selected by velocity, and values can be cut at a multiple of their own noise. This cut makes orders
1 and 2 insensitive to noise, but biases order 0.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray

from fastsig._version import __version__
from fastsig.axes.units import whole
from fastsig.cubes.planes import Planes
from fastsig.errors import UsageError
from fastsig.io.files.provenance import file_record
from fastsig.io.fits.cube import rest_hz
from fastsig.reductions.mapping.noise import APART, LEAST, MapNoise, measure
from fastsig.work.shown import Shown

__all__ = ["Moment", "moment", "to_spectral_cube"]

F8 = NDArray[np.float64]

_ORDERS = (0, 1, 2)
_NOISE_CHANNELS, _NOISE_SIZE = 128, 64


@dataclass(frozen=True, repr=False)
class Moment(Shown):
    """A moment map.

    Parameters
    ----------
    order : int
        Order of the moment.
    values : ndarray, shape (y, x), float32
        Values in `unit`; NaN where there are none.
    error : ndarray, shape (y, x), float32, or None
        Standard error due to the noise of the channels added, for orders 0 and 1.
    count : ndarray, shape (y, x), int32
        Number of channels added.
    unit : str
        Unit of the values.
    header : fits.Header
        Celestial coordinates, beam, and parameters of the moment.
    """

    order: int
    values: NDArray[np.float32]
    error: NDArray[np.float32] | None
    count: NDArray[np.int32]
    unit: str
    header: fits.Header

    @property
    def wcs(self) -> WCS:
        """Celestial coordinates."""
        return WCS(self.header)

    def write(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the moment as FITS, with the errors as an image ERROR, and checksums.

        Raises
        ------
        OutputError
            If the file exists or cannot be written.
        """
        import io

        from fastsig.io.files.safe import write_bytes

        units = [fits.PrimaryHDU(self.values, self.header)]
        if self.error is not None:
            head = self.header.copy()
            units.append(fits.ImageHDU(self.error, head, name="ERROR"))
        units[0].header.set("EXTEND", True, after="NAXIS2")  # as written, otherwise checksums fail
        for unit in units:  # without the time of writing, so that equal inputs give equal bytes
            unit.add_datasum(when="")
            unit.add_checksum(when="")
        content = io.BytesIO()
        fits.HDUList(units).writeto(content)
        write_bytes(content.getvalue(), path, overwrite=overwrite)


def to_spectral_cube(cube: Planes) -> Any:
    """Return a `spectral_cube.SpectralCube` of a cube.

    Raises
    ------
    UsageError
        If spectral-cube is not installed.
    """
    spectral_cube = _imported()
    from radio_beam import Beam

    beam = None
    if cube.beam is not None:
        beam = Beam(cube.beam.major * u.deg, cube.beam.minor * u.deg, cube.beam.pa * u.deg)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about cards that it removes from the header
        return spectral_cube.SpectralCube(
            cube.mapped(), cube.wcs, meta={"BUNIT": cube.unit} if cube.unit else None,
            header=cube.wcs.to_header(), beam=beam)


def _imported() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # from the packages that it imports
            import spectral_cube
    except ImportError as error:
        raise UsageError("moments need spectral-cube: pip install 'fastsig[spectral]'") from error
    return spectral_cube


def moment(cube: Planes, order: int, *, vrange: Any = None, sigma: float | None = None,
           convention: str = "radio", rest: Any = None) -> Moment:
    """Compute a moment of a cube's spectra.

    Parameters
    ----------
    cube : Cube
        A cube, or a `fastsig.cubes.planes.Planes`.
    order : {0, 1, 2}
        Integral (in the cube's unit times km/s), mean velocity (km/s) or dispersion (km/s).
    vrange : pair of Quantity, optional
        Velocities to include; all channels by default.
    sigma : float, optional
        Values below this multiple of their noise are left out.
    convention : {"radio", "optical", "relativistic"}
        Convention of the velocities. A velocity axis of the cube is used as it is.
    rest : str or Quantity, optional
        Rest frequency, instead of that in the file.

    Raises
    ------
    UsageError
        If an option is not valid, or the noise that `sigma` refers to cannot be measured.
    """
    if whole("order", order) not in _ORDERS:
        raise UsageError(f"order = {order}; allowed: 0, 1, 2")
    if sigma is not None and not (math.isfinite(sigma) and sigma > 0):
        raise UsageError(f"sigma = {sigma}; allowed: above 0")
    chosen = cube.channels(vrange, convention, rest)
    velocity = cube.velocity(convention, rest).value
    noise = _noise(cube, chosen)
    kept = _Kept(cube, chosen, velocity, noise.unit_noise, sigma)
    if sigma is not None and not kept.noise > 0 and replace(kept, sigma=None).count().any():
        raise UsageError(f"sigma = {sigma:g}: the noise of {cube.path} cannot be measured from "
                         f"{noise.n} differences between channels {APART} apart in the middle of "
                         f"the map; allowed: at least {LEAST} that are not 0")
    values = (_by_spectral_cube(cube, order, kept, convention, rest) if _even(velocity)
              else kept.moment(order))
    error = kept.error(order, values)
    count = kept.count()
    values[count == 0] = np.nan
    unit = f"{cube.unit} km/s" if order == 0 else "km/s"
    header = _header(cube, order, unit, velocity[chosen], convention, rest, sigma)
    return Moment(order, values.astype(np.float32),
                  None if error is None else error.astype(np.float32), count, unit, header)


@dataclass(frozen=True)
class _Kept:
    """The values of a cube that contribute to a moment."""

    cube: Planes
    chosen: slice
    velocity: F8
    noise: float
    sigma: float | None

    def mask(self, chan: int) -> NDArray[np.bool_]:
        """Return the mask of a channel, (y, x)."""
        values = self.cube.read(slice(chan, chan + 1))[0]
        with np.errstate(invalid="ignore"):
            found: NDArray[np.bool_] = (np.isfinite(values) if self.sigma is None
                                        else values > self.sigma * self.error_of(chan))
        return found

    def error_of(self, chan: int) -> F8:
        """Return the noise of the values of a channel, (y, x)."""
        weight = self.cube.read_weight(slice(chan, chan + 1))
        if weight is None:
            return np.full(self.cube.shape[1:], self.noise)
        with np.errstate(divide="ignore"):
            found: F8 = self.noise / np.sqrt(weight[0].astype(np.float64))
        return found

    def masks(self) -> NDArray[np.bool_]:
        """Return the masks of the chosen channels, (chan, y, x)."""
        return np.array([self.mask(chan) for chan in range(self.chosen.start, self.chosen.stop)])

    def moment(self, order: int) -> F8:
        """Return a moment of channels that differ in width."""
        total = self._sum(lambda velocity: 1.0)
        if order == 0:
            return total
        with np.errstate(invalid="ignore", divide="ignore"):
            mean: F8 = self._sum(lambda velocity: velocity) / total
            if order == 1:
                return mean
            return _root(self._sum(lambda velocity: (velocity - mean) ** 2) / total)

    def _sum(self, factor: Callable[[float], Any]) -> F8:
        """Sum the values times the width of each channel and a factor of its velocity."""
        steps, found = np.abs(np.gradient(self.velocity)), np.zeros(self.cube.shape[1:])
        for chan in range(self.chosen.start, self.chosen.stop):
            plane = self.cube.read(slice(chan, chan + 1))[0].astype(np.float64)
            area = steps[chan] * plane * factor(self.velocity[chan])
            found += np.where(self.mask(chan), area, 0.0)
        return found

    def count(self) -> NDArray[np.int32]:
        """Count the channels used in each pixel."""
        found = np.zeros(self.cube.shape[1:], np.int32)
        for chan in range(self.chosen.start, self.chosen.stop):
            found += self.mask(chan)
        return found

    def error(self, order: int, values: F8) -> F8 | None:
        """Return the standard error of a moment due to the noise of the values added."""
        if order == 2 or not self.noise > 0:
            return None
        steps = np.abs(np.gradient(self.velocity)) if len(self.velocity) > 1 else np.ones(1)
        variance, total = np.zeros(values.shape), np.zeros(values.shape)
        for chan in range(self.chosen.start, self.chosen.stop):
            mask = self.mask(chan)
            arm = steps[chan] * (1.0 if order == 0 else self.velocity[chan] - values)
            variance += np.where(mask, (arm * self.error_of(chan)) ** 2, 0.0)
            plane = self.cube.read(slice(chan, chan + 1))[0]
            total += np.where(mask, steps[chan] * plane, 0.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            found = np.sqrt(variance) / (1.0 if order == 0 else np.abs(total))
        return np.where(np.isfinite(values), found, np.nan)


def _even(velocity: F8) -> bool:
    """Return whether channels have one width; spectral-cube uses the first channel's for all.

    Over 40 MHz of HI, the widths of channels in optical velocity differ by 6 %.
    """
    steps = np.diff(velocity)
    return len(steps) < 2 or bool(np.ptp(steps) <= 1e-6 * abs(steps[0]))


def _noise(cube: Planes, chosen: slice) -> MapNoise:
    """Measure the noise in the middle of the map."""
    spans = []
    for n in cube.shape[1:]:
        start = max(0, (n - _NOISE_SIZE) // 2)
        spans.append(slice(start, min(n, start + _NOISE_SIZE)))
    middle = (chosen.start + chosen.stop) // 2
    start = max(0, min(middle - _NOISE_CHANNELS // 2, cube.shape[0] - _NOISE_CHANNELS))
    part = slice(start, min(cube.shape[0], start + _NOISE_CHANNELS))
    values, weight = cube.weighted(part, *spans)
    return measure(values, weight, 0)


def _by_spectral_cube(cube: Planes, order: int, kept: _Kept, convention: str, rest: Any) -> F8:
    """Compute the moment with spectral-cube."""
    spectral_cube = _imported()
    found = to_spectral_cube(cube)
    rest_value = (rest_hz(rest) or cube.rest_hz or math.nan) * u.Hz
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # about slices of NaN, and about values cut
        found = found.with_spectral_unit(
            u.km / u.s, velocity_convention=convention, rest_value=rest_value)[kept.chosen]
        if kept.sigma is not None:
            found = found.with_mask(spectral_cube.BooleanArrayMask(
                kept.masks(), found.wcs, shape=found.shape))
        result = found.moment(order=order, axis=0, how="slice")
    values = np.asarray(result.to_value((u.km / u.s) ** order if order else result.unit))
    return _root(values) if order == 2 else values.astype(float)


def _root(variance: F8) -> F8:
    """Return the dispersion; NaN where noise makes the variance negative."""
    return np.sqrt(np.where(variance > 0, variance, np.nan))


def _ascii(text: str) -> str:
    return "".join(each if " " <= each <= "~" else "?" for each in text)[:60]


def _header(cube: Planes, order: int, unit: str, velocity: F8, convention: str, rest: Any,
            sigma: float | None) -> fits.Header:
    """Return the cards of a moment map."""
    cards = cube.file.header.cards
    header = cube.celestial.to_header()
    header["BUNIT"] = unit.replace(" ", "") if order else f"{cube.unit.replace(' ', '')}.km/s"
    if cube.beam is not None:
        header["BMAJ"], header["BMIN"], header["BPA"] = (cube.beam.major, cube.beam.minor,
                                                         cube.beam.pa)
    for key in ("OBJECT", "TELESCOP", "DATE-OBS", "RADESYS", "SPECSYS", "SSYSOBS"):
        text = cards.text(key)
        if text is not None and key not in header and text.isascii() and text.isprintable():
            header[key] = text
    header["RESTFRQ"] = rest_hz(rest) or cube.rest_hz
    source = file_record(cube.path)
    header["ORIGIN"] = f"fastsig {__version__}"
    header["INFILE"] = _ascii(source["name"])
    header["INSHA256"] = source["sha256"]  # of first and last MiB; no room for a card comment
    header["MOMENT"] = order, "0 integral, 1 mean velocity, 2 dispersion"
    header["VELCONV"] = convention, "convention of the velocities"
    header["VLOW"] = float(velocity.min()), "lowest channel added (km/s)"
    header["VHIGH"] = float(velocity.max()), "highest channel added (km/s)"
    if sigma is not None:
        header["CUTSIGMA"] = sigma, "values below this many sigma left out"
    return header
