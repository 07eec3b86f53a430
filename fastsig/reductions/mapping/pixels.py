"""The pixels of a map: projection, centre and size; and the beam of the telescope."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import Angle, SkyCoord
from astropy.wcs import WCS
from numpy.typing import NDArray

from fastsig.axes.units import quantity, width_deg
from fastsig.errors import UsageError
from fastsig.reductions.mapping.rows import Rows
from fastsig.work.shown import Shown

__all__ = ["Beams", "Kernel", "beams_of", "center_of", "kernel_of", "pixels"]

F8 = NDArray[np.float64]

#: Projections whose reference latitude is the equator, so that rows are parallels.
_EQUATOR = ("CYP", "CEA", "CAR", "MER", "SFL", "PAR", "MOL", "AIT", "TSC", "CSC", "QSC", "HPX")
_CONIC = ("COP", "COE", "COD", "COO", "BON")
_SUPPORT = 1.5  # radius of the kernel in full widths at half maximum
_MOST_PIXELS = 2**28


@dataclass(frozen=True, repr=False)
class Beams(Shown):
    """Widths of the telescope's beams, and their origin.

    Parameters
    ----------
    fwhm_deg : float
        Mean full width at half maximum.
    each_deg : tuple of float
        Full width at half maximum for each input.
    origin : str
        Origin of the mean, for the user.
    """

    fwhm_deg: float
    each_deg: tuple[float, ...]
    origin: str


@dataclass(frozen=True)
class Kernel:
    """A Gaussian that ends at a radius.

    Parameters
    ----------
    fwhm_deg, radius_deg : float
    """

    fwhm_deg: float
    radius_deg: float

    def scale(self, beam_deg: float) -> float:
        """Return the factor by which a point source is lower in the map than in a beam's centre.

        It is ``int K / int K B``, which is also the ratio of the solid angles of the effective beam
        and the telescope's beam, since gridding preserves the sum over pixels.
        """
        a, b = (4 * math.log(2) / width**2 for width in (self.fwhm_deg, beam_deg))

        def inside(c: float) -> float:
            return -math.expm1(-c * self.radius_deg**2) / c

        return inside(a) / inside(a + b)

    def fitted(self, beams: Beams) -> list[float]:
        """Return the kernel's width for each input over its own, so that all beams become equal.

        ``k_b^2 + b^2`` is the same for all beams b. Otherwise a source between tracks of wide and
        narrow beams would shift and its flux would change, by 1.5 arcsec and 2 % with FAST's beams.
        """
        both = self.fwhm_deg**2 + beams.fwhm_deg**2
        widest = max(beams.each_deg)
        if widest**2 > both - self.fwhm_deg**2 / 4:
            least = math.sqrt((widest**2 - beams.fwhm_deg**2) * 4 / 3) * 60
            raise UsageError(f"kernel = {self.fwhm_deg * 60:.3g} arcmin: beams of up to "
                             f"{widest * 60:.4g} arcmin and {beams.fwhm_deg * 60:.4g} on average "
                             f"cannot be brought to one width with it; allowed: {least:.3g} arcmin "
                             "or more")
        return [math.sqrt(both - each**2) / self.fwhm_deg for each in beams.each_deg]

    def stretched(self, ratio: float) -> Kernel:
        """Return a kernel wider by a ratio."""
        return Kernel(self.fwhm_deg * ratio, self.radius_deg * ratio)


def beams_of(rows: Sequence[Rows], centers_mhz: F8, given: Any = None) -> Beams:
    """Return the telescope's beam: as given, or the receiver's mean over spectra and channels.

    Raises
    ------
    UsageError
        If the telescope or beam is not known, or the band lies outside the receiver's table.
    """
    if given is not None:
        width = width_deg(given, "beam_size")
        return Beams(width, (width,) * len(rows), "as given")
    from fastsig import telescopes

    ends = np.linspace(centers_mhz[0], centers_mhz[-1], 16)
    widths, numbers = [], set()
    for each in rows:
        header = each.stream.header
        if header.telescope is None or header.beam is None:
            lacks = "telescope" if header.telescope is None else "beam"
            raise UsageError(f"{each.stream.path}: the file states no {lacks}; give the beam's "
                             "width (--beam-size 2.9arcmin)")
        receiver = telescopes.get(header.telescope).receiver()
        width = receiver.hpbw(header.beam, ends << u.MHz, outside="nan").to_value(u.deg)
        if not np.isfinite(width).all():
            raise UsageError(f"{each.stream.path}: the width of the beam is not known from "
                             f"{ends[0]:g} to {ends[-1]:g} MHz; specify it, "
                             "e.g. --beam-size 2.9arcmin")
        widths.append(float(width.mean()))
        numbers.add(header.beam)
    mean = float(np.average(widths, weights=[len(each.kept) for each in rows]))
    what = f"beam {min(numbers)}" if len(numbers) == 1 else f"{len(numbers)} beams"
    return Beams(mean, tuple(widths), f"mean over spectra of {what} and the band")


def kernel_of(beam: Beams, width: Any = None, radius: Any = None) -> Kernel:
    """Return the kernel: by default half the beam's width, with a radius of 1.5 own widths."""
    fwhm = beam.fwhm_deg / 2 if width is None else width_deg(width, "kernel")
    end = _SUPPORT * fwhm if radius is None else width_deg(radius, "radius")
    if end < fwhm / 2:
        raise UsageError(f"radius = {end * 3600:g} arcsec; allowed: half the kernel's width, "
                         f"{fwhm * 1800:g} arcsec, or more")
    return Kernel(fwhm, end)


def center_of(text: Any) -> tuple[float, float]:
    """Return right ascension and declination, deg, of a `SkyCoord` or text as ``12h30m,+12d``.

    Raises
    ------
    UsageError
        If the text does not specify a position.
    """
    if isinstance(text, SkyCoord):
        return float(text.icrs.ra.deg), float(text.icrs.dec.deg)
    parts = [each for each in str(text).replace(",", " ").split() if each] if (
        isinstance(text, str)) else list(text)
    try:
        ra, dec = (Angle(part) if isinstance(part, u.Quantity) or str(part)[-1:].isalpha()
                   else Angle(part, "deg") for part in parts)
        if abs(dec.deg) > 90 or not np.isfinite(ra.deg):
            raise ValueError
    except (ValueError, TypeError, u.UnitsError) as error:
        raise UsageError(f"center = {text!r} is not a place such as 12h30m49s,+12d23m28s or "
                         "187.70deg,12.39deg") from error
    return float(ra.deg) % 360, float(dec.deg)


def pixels(ra: F8, dec: F8, step_deg: float, *, projection: str = "TAN", center: Any = None,
           size: Any = None) -> tuple[WCS, tuple[int, int]]:
    """Return the projection of a map, and its numbers of rows and columns.

    Parameters
    ----------
    ra, dec : ndarray, deg
        Positions of the spectra, from which the default centre and size are computed.
    step_deg : float
        Side of a pixel.
    projection : str
        Code of a projection that astropy.wcs knows.
    center : SkyCoord, (ra, dec) or str, optional
        The middle of the positions by default.
    size : Quantity, pair of them, or str, optional
        Width, or width and height; large enough for all positions by default.

    Raises
    ------
    UsageError
        If the projection is unknown or cannot show the positions, or if there would be too many
        pixels.
    """
    place = _middle(ra, dec) if center is None else center_of(center)
    wcs = _projection(projection.upper(), place, step_deg)
    at = np.array(wcs.all_world2pix([place], 0)[0])
    if size is None:
        x, y = wcs.all_world2pix(ra, dec, 0)
        inside = np.isfinite(x) & np.isfinite(y)
        if not inside.all():
            raise UsageError(f"projection = {projection}: cannot show {int((~inside).sum())} of "
                             f"{len(ra)} positions; allowed: one that can, such as SFL, or a size")
        low = np.floor([x.min(), y.min()])
        n = np.ceil([x.max(), y.max()]) - low + 1
        if center is not None:  # the same distance to either side
            half = np.maximum(np.abs(low - at), np.abs(low + n - 1 - at))
            low, n = at - np.ceil(half), 2 * np.ceil(half) + 1
    else:
        n = np.array([max(1, math.ceil(side / step_deg - 1e-9)) for side in _sides(size)])
        low = at - (n - 1) / 2
    if not 0 < n[0] * n[1] <= _MOST_PIXELS:
        raise UsageError(f"{n[0]:.0f} x {n[1]:.0f} pixels; allowed: {_MOST_PIXELS} in total: give "
                         "--center and --size, or larger pixels")
    wcs.wcs.crpix -= low
    return wcs, (int(n[1]), int(n[0]))


def _sides(size: Any) -> tuple[float, float]:
    parts = [part for part in size.replace(",", " ").split() if part] if (
        isinstance(size, str)) else size
    each = [parts] if isinstance(parts, u.Quantity) and parts.isscalar else list(parts)
    if len(each) not in (1, 2):
        raise UsageError(f"size = {size!r}; allowed: a width, or a width and a height")
    sides = [float(quantity(part, "deg", "size").value) for part in each]
    if not all(0 < side <= 360 for side in sides):
        raise UsageError(f"size = {size!r}; allowed: above 0, up to 360 deg")
    return sides[0], sides[-1]


def _middle(ra: F8, dec: F8) -> tuple[float, float]:
    """Return the middle of positions, rounded to whole arcseconds."""
    lon, lat = np.radians(ra), np.radians(dec)
    vector = np.array([(np.cos(lat) * np.cos(lon)).mean(), (np.cos(lat) * np.sin(lon)).mean(),
                       np.sin(lat).mean()])
    high = math.degrees(math.atan2(vector[2], math.hypot(vector[0], vector[1])))
    around = math.degrees(math.atan2(vector[1], vector[0])) % 360
    return round(around * 3600) / 3600, round(high * 3600) / 3600


def _projection(code: str, place: tuple[float, float], step_deg: float) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [f"RA---{code}", f"DEC--{code}"]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.cdelt = [-step_deg, step_deg]
    wcs.wcs.crval = [place[0], 0.0 if code in _EQUATOR else place[1]]
    wcs.wcs.crpix = [1.0, 1.0]
    wcs.wcs.radesys = "ICRS"
    if code in _CONIC:
        wcs.wcs.set_pv([(2, 1, place[1])])
    try:
        if len(code) != 3:
            raise ValueError("its code has three letters")
        wcs.wcs.set()
        if "-" + code not in wcs.wcs.ctype[0] or not wcs.has_celestial:
            raise ValueError("it is not a projection of the sky")
        wcs.all_world2pix([place], 0)
    except Exception as error:
        cause = str(error).splitlines()[-1] if str(error) else type(error).__name__
        raise UsageError(f"projection = {code!r} cannot be used here: {cause}; allowed: one that "
                         "astropy.wcs knows, such as TAN, SIN, SFL, CAR") from error
    return wcs
