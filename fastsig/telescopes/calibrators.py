"""Flux densities of calibration sources.

References
----------
R. A. Perley, B. J. Butler (2017), An accurate flux density scale from 50 MHz to 50 GHz, ApJS 230,
7.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord

from fastsig.axes.units import quantity
from fastsig.errors import FastsigWarning, UsageError, users_line
from fastsig.telescopes.receiver import Outside, read_table

__all__ = ["Calibrator", "flux", "get", "names"]


@dataclass(frozen=True)
class Calibrator:
    """A source of known flux density.

    Parameters
    ----------
    name : str
        Name of the source.
    aliases : tuple of str
        Other names of the source.
    coefficients : tuple of float
        Coefficients of log10 of the flux density in Jy, in ascending powers of log10 of the
        frequency in GHz.
    range_ghz : tuple of float
        Lowest and highest frequency, GHz, for which the coefficients are valid.
    position : SkyCoord
        Position, ICRS.
    variable : str or None
        Remark on the variability of the source.
    """

    name: str
    aliases: tuple[str, ...]
    coefficients: tuple[float, ...]
    range_ghz: tuple[float, float]
    position: SkyCoord
    variable: str | None = None

    def flux(self, frequency: Any, *, outside: Outside = "raise") -> u.Quantity:
        r"""Return the flux density at frequencies.

        .. math:: \log_{10} S = \sum_i a_i (\log_{10} \nu_{GHz})^i

        Parameters
        ----------
        frequency : Quantity
            Frequencies.
        outside : {"raise", "nan"}
            Result for frequencies outside the valid range: an error, or NaN.

        Returns
        -------
        Quantity
            Flux density, Jy, float64.

        Warns
        -----
        FastsigWarning
            If the source is known to vary.

        Raises
        ------
        UsageError
            If a frequency is outside the valid range.
        """
        ghz = np.asarray(quantity(frequency, "GHz", "frequency").value, np.float64)
        low, high = self.range_ghz
        bad = ~((ghz >= low) & (ghz <= high))
        if bad.any() and outside != "nan":
            raise UsageError(f"the flux density of {self.name} is known from {low:g} to {high:g} "
                             f"GHz, not at {ghz[bad].flat[0]:g} GHz")
        if self.variable:
            warnings.warn(FastsigWarning(f"{self.name}: {self.variable}"), stacklevel=users_line())
        powers = np.polynomial.polynomial.polyval(np.log10(np.where(bad, np.nan, ghz)),
                                                  self.coefficients)
        return 10.0**powers << u.Jy


@cache
def _calibrators() -> dict[str, Calibrator]:
    table = read_table("calibrators.toml")
    return {name: Calibrator(name, tuple(row["aliases"]), tuple(row["coefficients"]),
                             tuple(row["range_ghz"]), SkyCoord(row["position"], frame="icrs"),
                             row.get("variable"))
            for name, row in table.items() if isinstance(row, dict)}


def names() -> tuple[str, ...]:
    """Return the names of all calibrators."""
    return tuple(_calibrators())


def get(name: str) -> Calibrator:
    """Return a calibrator by its name: ``3C286``, ``3c 286``, ``J1331+3030``.

    Case, spaces and underscores do not matter.

    Raises
    ------
    UsageError
        If there is no calibrator of that name.
    """
    asked = _folded(name)
    for each in _calibrators().values():
        if asked in (_folded(each.name), *map(_folded, each.aliases)):
            return each
    raise UsageError(f"no calibrator is called {name!r}; there are {', '.join(names())}")


def flux(name: str, frequency: Any, *, outside: Outside = "raise") -> u.Quantity:
    """Return the flux density of a calibrator, Jy; see `get` and `Calibrator.flux`."""
    return get(name).flux(frequency, outside=outside)


def _folded(name: str) -> str:
    return "".join(str(name).casefold().split()).replace("_", "")
