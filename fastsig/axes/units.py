"""Text with units in, numbers out: what options such as ``--integrate 1ms`` are read with."""

from __future__ import annotations

import operator
import re
from fractions import Fraction
from typing import Any

import astropy.units as u
import numpy as np

from fastsig.errors import UsageError

__all__ = ["exact", "fraction", "quantity", "whole", "width_deg"]

_LARGEST = 10**100
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([^\d\s].*)?")
_FAR = re.compile(r"[eE][+-]?[\d_]{4}")


def fraction(value: Any) -> Fraction:
    """The exact number that a text or a number is.

    Raises
    ------
    ValueError
        Where it is none, or so large or small that it is none of physics. A power of ten with four
        digits or more is not even raised: that would take minutes.
    """
    if isinstance(value, str) and _FAR.search(value):
        raise ValueError(f"{value!r} has a power of ten with too many digits")
    number = Fraction(value)
    if abs(number) > _LARGEST or 0 < abs(number) < 1 / Fraction(_LARGEST):
        raise ValueError(f"{value!r} is too large or too small")
    return number


def quantity(value: Any, unit: str, name: str) -> u.Quantity:
    """Quantity from text or a Quantity, in `unit`; a bare number is taken to be in `unit`.

    Raises
    ------
    UsageError
        Where the text does not parse or has another physical type; the message names `name`.
    """
    try:
        parsed = u.Quantity(value.strip() if isinstance(value, str) else value)
        if parsed.unit == u.dimensionless_unscaled:
            parsed = parsed.value << u.Unit(unit)
        return parsed.to(unit)
    except (TypeError, ValueError, u.UnitConversionError) as error:
        raise UsageError(f"{name} = {value!r} is not a value in {unit}") from error


def width_deg(value: Any, name: str) -> float:
    """Degrees of a width on the sky, such as a beam's; a bare number is taken to be in deg.

    Raises
    ------
    UsageError
        Where it is no angle, or not between 0 and 90 deg.
    """
    found = float(quantity(value, "deg", name).value)
    if not 0 < found < 90:
        raise UsageError(f"{name} = {value}; allowed: an angle above 0, below 90 deg, such as "
                         "3arcmin")
    return found


def exact(value: Any, unit: str, name: str) -> Fraction:
    """As `quantity`, but exact: of text the decimal number as written.

    A number of a Quantity stands for its shortest decimal text.
    """
    if isinstance(value, str) and (match := _NUMBER.fullmatch(value.strip())):
        try:
            scale = quantity(f"1 {match.group(2)}", unit, name).value if match.group(2) else 1.0
        except UsageError as error:
            raise UsageError(f"{name} = {value!r} is not a value in {unit}") from error
        try:
            number = fraction(match.group(1))
        except ValueError as error:
            raise UsageError(f"{name} = {value!r} is too large or too small") from error
        return _within(number * Fraction(repr(float(scale))), value, name)
    number = quantity(value, unit, name)
    if number.size != 1 or not np.isfinite(number.value):
        raise UsageError(f"{name} = {value!r} is not a single finite value")
    return _within(Fraction(repr(float(number.value))), value, name)


def _within(number: Fraction, value: Any, name: str) -> Fraction:
    """The number, unless it is beyond what floating point holds with room to spare."""
    if abs(number) > _LARGEST:
        raise UsageError(f"{name} = {value!r} is too large")
    return number


def whole(name: str, value: Any) -> int:
    """An integer, of whatever type; never a rounded number.

    Raises
    ------
    UsageError
        Where the value is no integer.
    """
    try:
        return operator.index(value)
    except TypeError as error:
        raise UsageError(f"{name} = {value!r} is not a whole number") from error
