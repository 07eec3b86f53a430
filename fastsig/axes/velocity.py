r"""Velocities of lines: rest frequencies, and the radio, optical and relativistic conventions.

.. math:: v_{radio} = c (1 - f/f_0), \quad v_{optical} = c (f_0/f - 1), \quad
    v_{relativistic} = c \frac{f_0^2 - f^2}{f_0^2 + f^2}

Positive velocities mean recession. The conventions agree to first order; at 10,000 km/s, radio and
optical velocities differ by about 330 km/s, so a velocity must be stated with its convention.

References
----------
E. W. Greisen, M. R. Calabretta, F. G. Valdes and S. L. Allen, A&A 446 (2006) 747, section 3.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import astropy.constants as const
import astropy.units as u
import numpy as np

from fastsig.axes.constants import HI_REST_HZ
from fastsig.axes.units import number
from fastsig.errors import UsageError

__all__ = ["CONVENTIONS", "LINES", "Line", "frequency", "line", "velocity"]

#: Names of the conventions.
CONVENTIONS = ("radio", "optical", "relativistic")

_HELLWIG = "H. Hellwig et al. 1970, IEEE Trans. Instrum. Meas. 19, 200"
_OH = "J. J. ter Meulen and A. Dymanus 1972, ApJ 172, L21, to 100 Hz"


class Line(NamedTuple):
    """A line: its name, its rest frequency in MHz, and the source of the frequency."""

    name: str
    mhz: float
    source: str

    @property
    def rest(self) -> u.Quantity:
        """Rest frequency, MHz."""
        return self.mhz << u.MHz

    @property
    def hz(self) -> float:
        """Rest frequency, Hz: the float nearest to the exact value of `mhz`."""
        return round(self.mhz * 1e6, 4)


#: Lines by name; recombination lines (``H166a``, ``He166a``, ``C166a``) are computed.
LINES = {each.name: each for each in (
    Line("HI", float(HI_REST_HZ / 10**6), _HELLWIG),
    Line("OH1612", 1612.2310, _OH), Line("OH1665", 1665.4018, _OH),
    Line("OH1667", 1667.3590, _OH), Line("OH1720", 1720.5300, _OH),
)}

_RECOMBINATION = re.compile(r"(He|H|C)(\d{2,3})(alpha|beta|gamma|a|b|g)")
_STEPS = {"a": 1, "b": 2, "g": 3}
# Masses of the nuclei in electron masses: CODATA 2018; for carbon, 12 u minus six electrons.
_NUCLEI = {"H": 1836.15267343, "He": 7294.29954142, "C": 21868.6618}
_RYDBERG = "Rydberg's formula, with CODATA 2018's constants"


def line(name: Any) -> Line:
    """Return a line by its name or by a frequency.

    Parameters
    ----------
    name : str, Quantity or Line
        ``"HI"`` or ``"OH1667"``; ``"H166a"`` for the transition of hydrogen from level 167 to 166
        (``b`` and ``g`` from 168 and 169; also ``He`` and ``C``); or a frequency such as
        ``"1420.40575MHz"``.

    Raises
    ------
    UsageError
        If `name` is neither a known line nor a frequency above 0.
    """
    if isinstance(name, Line):
        return name
    if isinstance(name, str):
        key = name.strip()
        known = {each.casefold(): value for each, value in LINES.items()}
        if key.casefold() in known:
            return known[key.casefold()]
        if found := _RECOMBINATION.fullmatch(key):
            return _recombination(key, found[1], int(found[2]), _STEPS[found[3][0]])
        if not key[-1:].isalpha() or not key[:1].isdigit():
            raise UsageError(f"rest = {name!r}; allowed: {', '.join(LINES)}, H166a and the like, "
                             "or a frequency such as 1420.405751768MHz")
    elif not isinstance(name, u.Quantity):
        raise UsageError(f"rest = {name!r}; allowed: the name of a line or a frequency with its "
                         "unit")
    value = number(name, "MHz", "rest")
    if not 0 < value < np.inf:
        raise UsageError(f"rest = {name}; allowed: above 0 MHz")
    return Line("", value, "given")


def _recombination(name: str, nucleus: str, level: int, step: int) -> Line:
    reduced = const.Ryd * const.c / (1 + 1 / _NUCLEI[nucleus])
    mhz = (reduced * (level**-2 - (level + step) ** -2)).to_value(u.MHz)
    return Line(name, float(mhz), _RYDBERG)


def velocity(frequency: Any, rest: Any, convention: str = "radio") -> u.Quantity:
    """Convert frequencies of a line to velocities, km/s.

    Parameters
    ----------
    frequency : Quantity
        Frequencies in the frame in which velocities are wanted.
    rest : str, Quantity or Line
        The line, as `line` accepts it.
    convention : {"radio", "optical", "relativistic"}
        Convention of the velocities.

    Raises
    ------
    UsageError
        If there is no such line or convention.
    """
    ratio = u.Quantity(frequency).to_value(u.MHz) / line(rest).mhz
    beta = {"radio": lambda: 1 - ratio, "optical": lambda: 1 / ratio - 1,
            "relativistic": lambda: (1 - ratio**2) / (1 + ratio**2)}[convention_of(convention)]()
    return (beta * const.c).to(u.km / u.s)


def frequency(velocity: Any, rest: Any, convention: str = "radio") -> u.Quantity:
    """Convert velocities of a line to frequencies, MHz: the inverse of `velocity`."""
    beta = (u.Quantity(velocity) / const.c).to_value(u.dimensionless_unscaled)
    ratio = {"radio": lambda: 1 - beta, "optical": lambda: 1 / (1 + beta),
             "relativistic": lambda: np.sqrt((1 - beta) / (1 + beta))}[convention_of(convention)]()
    return (ratio * line(rest).mhz) << u.MHz


def convention_of(name: str) -> str:
    """Return the name of a convention after checking that it exists.

    Raises
    ------
    UsageError
        If the convention does not exist.
    """
    if name not in CONVENTIONS:
        raise UsageError(f"convention = {name!r}; allowed: {', '.join(CONVENTIONS)}")
    return name
