"""A cube on the disk: its axes, and values with their weights, read when they are needed."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy import units as u
from astropy.wcs import WCS
from numpy.typing import NDArray

from fastsig.axes.units import number
from fastsig.axes.velocity import velocity
from fastsig.errors import UsageError
from fastsig.io.fits.cube import CubeFile, rest_hz
from fastsig.io.fits.cube_header import Beam

__all__ = ["Planes", "velocity_range"]

F8 = NDArray[np.float64]

_BLOCK = 2**26


class Planes:
    """The planes of a cube on the disk, one for each channel.

    Parameters
    ----------
    file : CubeFile
    stokes : str
        Stokes parameter to read.
    beam : Beam or None
        Beam instead of the file's.

    Raises
    ------
    UsageError
        If the file has no such Stokes parameter.
    """

    def __init__(self, file: CubeFile, *, stokes: str | None = None, beam: Beam | None = None
                 ) -> None:
        self.file, self.path = file, file.path
        names = file.header.stokes
        if stokes is not None and stokes not in names:
            raise UsageError(f"stokes = {stokes!r}; {self.path} has {', '.join(names)}")
        self.stokes = names[0] if stokes is None else stokes
        self._stokes = names.index(self.stokes)
        self._beam = beam or file.header.beam

    def __repr__(self) -> str:
        n_chan, ny, nx = self.shape
        return (f"<{type(self).__name__} {self.path}: {n_chan} channels, {nx} x {ny} pixels, "
                f"{self.unit or 'recorded units'}>")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Numbers of channels, rows and columns: (chan, y, x)."""
        return self.file.shape[1], self.file.shape[2], self.file.shape[3]

    @property
    def wcs(self) -> WCS:
        """Coordinates of right ascension (longitude), declination (latitude) and spectral axis."""
        return self.file.header.wcs

    @property
    def celestial(self) -> WCS:
        """Celestial coordinates of the maps."""
        return self.file.header.celestial

    @property
    def unit(self) -> str:
        """BUNIT as astropy writes it; "" if not known."""
        return self.file.header.unit

    @property
    def beam(self) -> Beam | None:
        """The effective beam; None if not known."""
        return self._beam

    @property
    def frame(self) -> str:
        """SPECSYS: LSRK, BARYCENT, ...; "" if not known."""
        return self.file.header.frame

    @property
    def rest_hz(self) -> float | None:
        """Rest frequency, Hz."""
        return self.file.header.rest_hz

    @property
    def frequency(self) -> u.Quantity:
        """Channel centres, Hz, in the order of the file.

        Raises
        ------
        FormatError
            If the file does not state them; the message names the options that do.
        """
        return self.file.header.frequency_hz(self.path) << u.Hz

    def velocity(self, convention: str = "radio", rest: Any = None) -> u.Quantity:
        """Return the velocities of the channel centres, km/s, in the frame and order of the file.

        Raises
        ------
        UsageError
            If there is no rest frequency, or no such convention.
        """
        found = rest_hz(rest) or self.rest_hz
        if not found:
            raise UsageError(f"{self.path}: has no rest frequency; give rest = HI, or a frequency")
        return velocity(self.frequency, found << u.Hz, convention)

    def read(self, chan: Any = slice(None), y: Any = slice(None), x: Any = slice(None)
             ) -> NDArray[Any]:
        """Read the values in slices of (chan, y, x), in `unit`; NaN where there are no data."""
        return self.file.read(chan, y, x, stokes=self._stokes)

    def read_weight(self, chan: Any = slice(None), y: Any = slice(None), x: Any = slice(None)
                    ) -> NDArray[Any] | None:
        """Read weights, s, (chan or 1, y, x); None if the file has none."""
        return self.file.read_weight(chan, y, x, stokes=self._stokes)

    def mapped(self) -> NDArray[Any]:
        """Return all values, (chan, y, x), mapped from the disk if the file contains floats."""
        return self.file.mapped(stokes=self._stokes)

    def coverage(self) -> NDArray[np.float64] | None:
        """Return the weight averaged over channels, s, (y, x); None if the file has no weights."""
        total, count = np.zeros(self.shape[1:]), 0
        for part in self._pieces():
            weight = self.read_weight(part)
            if weight is None:
                return None
            if len(weight) == 1:
                only: F8 = weight[0].astype(np.float64)
                return only
            total += weight.sum(axis=0, dtype=np.float64)
            count += len(weight)
        found: F8 = total / count
        return found

    def mean_spectrum(self) -> NDArray[np.float64]:
        """Return the weighted mean of all pixels, (chan,), in the order of the file."""
        found = np.full(self.shape[0], np.nan)
        for part in self._pieces():
            values, weight = self.weighted(part)
            total = np.nansum(np.where(weight > 0, values, 0) * weight, axis=(1, 2))
            below = weight.sum(axis=(1, 2))
            found[part] = np.divide(total, below, out=np.full(len(total), np.nan),
                                    where=below > 0)
        return found

    def _pieces(self) -> list[slice]:
        step = max(1, _BLOCK // (8 * self.shape[1] * self.shape[2]))
        return [slice(at, min(at + step, self.shape[0])) for at in range(0, self.shape[0], step)]

    def weighted(self, chan: Any = slice(None), y: Any = slice(None), x: Any = slice(None)
                  ) -> tuple[F8, F8]:
        """Read values and weights: 0 where there is no value, and 1 if the file has no weights."""
        values = self.read(chan, y, x).astype(np.float64)
        weight = self.read_weight(chan, y, x)
        whole = np.ones((1, 1, 1)) if weight is None else weight.astype(np.float64)
        return values, np.where(np.isfinite(values), whole, 0.0)

    def channels(self, vrange: Any = None, convention: str = "radio", rest: Any = None) -> slice:
        """Return the channels in a range of velocities; all channels if none is given.

        Raises
        ------
        UsageError
            If there is no channel in the range.
        """
        if vrange is None:
            return slice(0, self.shape[0])
        low, high = velocity_range(vrange)
        speeds = self.velocity(convention, rest).value
        inside = np.flatnonzero((speeds >= low) & (speeds <= high))
        if not inside.size:
            raise UsageError(f"no channel lies between {low:g} and {high:g} km/s; {self.path} has "
                             f"{speeds.min():.6g} to {speeds.max():.6g}")
        return slice(int(inside[0]), int(inside[-1]) + 1)


def velocity_range(value: Any) -> tuple[float, float]:
    """Return two velocities, km/s, in ascending order.

    Raises
    ------
    UsageError
        If the value is not two velocities.
    """
    try:
        first, second = value
    except (TypeError, ValueError) as error:
        raise UsageError(f"{value!r} is not two velocities") from error
    low, high = sorted(number(each, "km/s", "velocity") for each in (first, second))
    return low, high
