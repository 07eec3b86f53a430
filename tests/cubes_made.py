"""Cubes made by astropy's FITS and NumPy alone: what the code under test has to find is known.

Positions, beams and velocities are worked out here, apart from the code under test.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

C = 299_792_458.0
HI = 1_420_405_751.768
RA, DEC = 187.5, 12.3


def axis(kind: str, n: int, first_hz: float = 1.4185e9, step_hz: float = 30e3
         ) -> tuple[dict[str, Any], np.ndarray]:
    """Cards of a spectral axis 3, and the frequencies of its channels, Hz."""
    frequency = first_hz + step_hz * np.arange(n)
    if kind == "FREQ":
        return {"CTYPE3": "FREQ", "CRVAL3": first_hz, "CDELT3": step_hz, "CRPIX3": 1.0,
                "CUNIT3": "Hz", "RESTFRQ": HI}, frequency
    if kind == "VRAD":
        step = -C * step_hz / HI
        return {"CTYPE3": "VRAD", "CRVAL3": C * (1 - first_hz / HI) / 1e3, "CDELT3": step / 1e3,
                "CRPIX3": 1.0, "CUNIT3": "km/s", "RESTFRQ": HI}, frequency
    if kind == "VOPT-F2W":
        return {"CTYPE3": "VOPT-F2W", "CRVAL3": C * (HI / first_hz - 1),
                "CDELT3": -C * HI * step_hz / first_hz**2, "CRPIX3": 1.0, "CUNIT3": "m/s",
                "RESTFRQ": HI}, frequency
    # Evenly spaced in optical velocity: HiFAST's, and AIPS' VELO-LSR with VELREF 1.
    speed = C * (HI / first_hz - 1) + C * step_hz / HI * np.arange(n)
    cards: dict[str, Any] = {"CRVAL3": speed[0] / 1e3, "CDELT3": (speed[1] - speed[0]) / 1e3,
                             "CRPIX3": 1.0, "CUNIT3": "KM/S", "RESTFREQ": HI}
    if kind == "VELO-LSR":
        return {"CTYPE3": "VELO-LSR", "VELREF": 1, **cards}, HI / (1 + speed / C)
    return {"CTYPE3": "VOPT", **cards}, HI / (1 + speed / C)


def header(ny: int, nx: int, spectral: dict[str, Any], *, pixel: float = 1.0,
           beam: tuple[float, float, float] = (3.0, 3.0, 0.0), **more: Any) -> fits.Header:
    """Cards of a cube; `pixel` and the beam's widths in arcmin."""
    made = {"CTYPE1": "RA---TAN", "CRVAL1": RA, "CRPIX1": (nx + 1) / 2, "CDELT1": -pixel / 60,
            "CUNIT1": "deg", "CTYPE2": "DEC--TAN", "CRVAL2": DEC, "CRPIX2": (ny + 1) / 2,
            "CDELT2": pixel / 60, "CUNIT2": "deg", **spectral, "BUNIT": "Jy/beam",
            "BMAJ": beam[0] / 60, "BMIN": beam[1] / 60, "BPA": beam[2], "SPECSYS": "LSRK",
            "RADESYS": "ICRS", "TELESCOP": "FAST", "OBJECT": "MADE", **more}
    return fits.Header({key: value for key, value in made.items() if value is not None})


def point(head: fits.Header, ny: int, nx: int, east: float, north: float
          ) -> tuple[np.ndarray, SkyCoord]:
    """A point source's map at an offset in arcmin from the middle, peak 1; and where it is."""
    sky = WCS(fits.Header([card for card in head.cards if card.keyword[-1] not in "34"
                           and card.keyword != "VELREF"]))
    middle = SkyCoord(RA, DEC, unit="deg")
    at = middle.spherical_offsets_by(east / 60 * _deg(), north / 60 * _deg())
    y, x = np.mgrid[:ny, :nx]
    places = sky.pixel_to_world(x, y)
    # Offsets by the tangent plane about the source, by hand: within 1e-6 of a great circle's.
    ra, dec, ra0, dec0 = (np.radians(each) for each in (places.ra.deg, places.dec.deg, at.ra.deg,
                                                        at.dec.deg))
    bottom = np.sin(dec0) * np.sin(dec) + np.cos(dec0) * np.cos(dec) * np.cos(ra - ra0)
    dx = np.degrees(np.cos(dec) * np.sin(ra - ra0) / bottom)
    dy = np.degrees((np.cos(dec0) * np.sin(dec) - np.sin(dec0) * np.cos(dec) * np.cos(ra - ra0))
                    / bottom)
    turn = np.radians(head["BPA"])
    along, across = dx * np.sin(turn) + dy * np.cos(turn), dx * np.cos(turn) - dy * np.sin(turn)
    return np.exp(-4 * np.log(2) * ((along / head["BMAJ"]) ** 2 + (across / head["BMIN"]) ** 2)), at


def _deg() -> Any:
    import astropy.units as u

    return u.deg


def noise(rng: np.random.Generator, shape: tuple[int, int, int], kernel: float,
          weight: np.ndarray, one: float) -> np.ndarray:
    """Noise of weight 1 `one`, spread over pixels by a Gaussian of full width `kernel` pixels."""
    from scipy.ndimage import gaussian_filter

    sigma = kernel / 2.3548
    white = rng.normal(size=(shape[0], shape[1] + 20, shape[2] + 20))
    spread = gaussian_filter(white, (0, sigma, sigma), truncate=5)
    spread /= spread.std()
    with np.errstate(divide="ignore"):
        return np.asarray(spread[:, 10:-10, 10:-10] * one / np.sqrt(weight))


def write(path: Path, data: np.ndarray, head: fits.Header, weight: np.ndarray | None = None
          ) -> Path:
    """Write a cube, its weights beside it, with checksums."""
    units = [fits.PrimaryHDU(data, head)]
    if weight is not None:
        units.append(fits.ImageHDU(weight.astype(np.float32), name="WEIGHT"))
    fits.HDUList(units).writeto(path, overwrite=True, checksum=True)
    return path


def line(frequency: np.ndarray, peak: float, velocity: float, width: float) -> np.ndarray:
    """A Gaussian of radio velocity and full width in km/s, as means over channels."""
    step = abs(frequency[1] - frequency[0]) if len(frequency) > 1 else 0.0
    parts = (np.arange(40) + 0.5) / 40 - 0.5
    speed = C * (1 - (frequency + parts[:, np.newaxis] * step) / HI) / 1e3
    return peak * np.exp(-4 * np.log(2) * ((speed - velocity) / width) ** 2).mean(axis=0)
