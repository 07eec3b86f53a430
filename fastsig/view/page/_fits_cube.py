"""A cube of FITS as arrays: (chan, y, x) with weights, celestial and spectral axes.

Planes are read as they are asked for: a cube may be larger than the memory.
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import FormatError

__all__ = ["FitsCube", "is_cube"]

_SPECTRAL = ("FREQ", "VRAD", "VOPT", "VELO", "WAVE", "AWAV", "ZOPT", "BETA", "ENER", "WAVN")


def is_cube(path: str | os.PathLike[str]) -> bool:
    """Whether a file is FITS whose primary array has three axes or more, as no format of spectra."""
    try:
        with open(path, "rb") as file:
            head = file.read(2880).decode("latin-1")
    except OSError:
        return False
    cards = {head[at : at + 8].strip(): head[at + 10 : at + 30].strip()
             for at in range(0, len(head), 80)}
    axes = cards.get("NAXIS", "")
    return head.startswith("SIMPLE  =") and axes.isdigit() and int(axes) >= 3


class FitsCube:
    """An open cube.

    Parameters
    ----------
    path : str
        FITS whose primary array is (chan, y, x); a leading axis of length 1 is left out. An
        extension WEIGHT of the same shape, or of (y, x), holds weights; without it what is finite
        has weight 1.

    Raises
    ------
    FormatError
        Where the array is none of a cube, or its axes are not known.
    """

    def __init__(self, path: str) -> None:
        from astropy.io import fits

        self.path = path
        try:
            self._file = fits.open(path, memmap=True, ignore_missing_simple=False)
            self.header = self._file[0].header
            self._data = self._file[0].data
            self._weight = self._file["WEIGHT"].data if "WEIGHT" in self._file else None
        except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
            raise FormatError(path, f"cannot be read as FITS: {error}") from error
        if self._data is None:
            self._refuse("has no primary array")
        while self._data.ndim > 3 and self._data.shape[0] == 1:
            self._data = self._data[0]
        if self._weight is not None and self._weight.ndim > 3 and self._weight.shape[0] == 1:
            self._weight = self._weight[0]
        self.shape: tuple[int, int, int] = self._data.shape
        if self._data.ndim != 3 or 0 in self.shape:
            self._refuse(f"its array is {self._data.shape}; allowed: (chan, y, x)")
        if self._weight is not None and self._weight.shape not in (self.shape, self.shape[1:]):
            self._refuse(f"WEIGHT is {self._weight.shape}; allowed: {self.shape}")
        self._axes()

    def _refuse(self, text: str) -> None:
        self.close()
        raise FormatError(self.path, text)

    def _axes(self) -> None:
        from astropy.wcs import WCS

        try:
            wcs = WCS(self.header, self._file, fix=False)
            self.celestial, self.spectral = wcs.celestial, wcs.spectral
        except Exception as error:  # wcslib raises what is no ValueError, and header text is hostile
            self._refuse(f"its coordinates cannot be used: {error}")
        kinds = [str(kind)[:4] for kind in wcs.wcs.ctype[:3]]
        if self.celestial.naxis != 2 or self.spectral.naxis != 1 or kinds[2] not in _SPECTRAL:
            self._refuse(f"its axes are {', '.join(wcs.wcs.ctype) or 'not told'}; allowed: "
                         "longitude, latitude and frequency or velocity, in this order")

    def plane(self, channel: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Values and weights (y, x) of a channel; weight 0 where a value is not finite."""
        values = np.asarray(self._data[channel], np.float64)
        good = np.isfinite(values)
        if self._weight is None:
            return values, good.astype(np.float64)
        weight = self._weight[channel] if self._weight.ndim == 3 else self._weight
        weight = np.asarray(weight, np.float64)
        return values, np.where(good & (weight > 0), weight, 0.0)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def cards(self) -> list[tuple[str, Any]]:
        """Cards of the primary header, in their order; comments and history too."""
        return [(card.keyword or " ", card.value) for card in self.header.cards if card.keyword]
