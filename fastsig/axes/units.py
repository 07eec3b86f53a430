"""Read values with units from text, as for options such as ``--integrate 1ms``."""

from __future__ import annotations

import operator
import re
from datetime import timedelta
from fractions import Fraction
from typing import Any

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.work.arguments import shown

__all__ = ["exact", "fraction", "kelvins", "number", "parts_of", "quantity", "whole", "width_deg"]

_LARGEST = 10**100
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([^\d\s.].*)?")
_FAR = re.compile(r"[eE][+-]?[\d_]{4}")
_BETWEEN = re.compile(r"(?<![eE])-|–|\bto\b")  # two values


def fraction(value: Any) -> Fraction:
    """Return the exact value of text or of a number.

    Raises
    ------
    ValueError
        If the value is not a number, or is larger or smaller than any number in physics. Powers of
        ten with four or more digits are refused without computing them, which would take minutes.
    """
    if isinstance(value, str) and _FAR.search(value):
        raise ValueError(f"{value!r} has a power of ten with too many digits")
    number = Fraction(value)
    if abs(number) > _LARGEST or 0 < abs(number) < 1 / Fraction(_LARGEST):
        raise ValueError(f"{value!r} is too large or too small")
    return number


def quantity(value: Any, unit: str, name: str) -> u.Quantity:
    """Return text or a Quantity as a Quantity in `unit`; 0 is the only number allowed without unit.

    Raises
    ------
    UsageError
        If the text cannot be read, has no unit, or has a unit of another physical type; the message
        mentions `name`.
    """
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError("a truth value is not a quantity")
        if (seconds := _interval_s(value)) is not None:
            value = float(seconds) << u.s
        parsed = u.Quantity(value.strip() if isinstance(value, str) else value)
        if parsed.unit != u.dimensionless_unscaled or u.Unit(unit) == u.dimensionless_unscaled:
            return parsed.to(unit)
        if not np.any(parsed.value):
            return parsed.value << u.Unit(unit)
    except (TypeError, ValueError, ArithmeticError, u.UnitConversionError) as error:
        raise UsageError(f"{name} = {shown(value)} is not a value in {unit or 'plain numbers'}"
                         ) from error
    raise UsageError(f"{name} = {shown(value)} has no unit; allowed: a value in {unit} or another "
                     f"unit of its kind, as in {_example(value, unit)}")


def _interval_s(value: Any) -> Fraction | None:
    """Return a `TimeDelta`, timedelta64 or timedelta in exact seconds; None for anything else."""
    if isinstance(value, np.timedelta64) and not np.isnat(value):
        return Fraction(int(value.astype("timedelta64[ns]").astype(np.int64)), 10**9)
    if isinstance(value, timedelta):
        return Fraction(value // timedelta(microseconds=1), 10**6)
    if hasattr(value, "jd1") and hasattr(value, "to") and np.isfinite(value.jd1).all() and (
            np.ndim(value.jd1) == 0):
        return (Fraction(float(value.jd1)) + Fraction(float(value.jd2))) * 86400
    return None


def parts_of(text: str) -> list[str]:
    """Return the parts of text such as ``1419MHz-1421MHz`` or ``1419 to 1421 MHz``: two, or others.

    If the first of two has no unit, it has that of the second.
    """
    parts = [part.strip() for part in _BETWEEN.split(text)]
    if len(parts) == 2 and parts[0] and not parts[0][-1].isalpha():
        parts[0] += re.sub(r"^[\d.eE+-]*", "", parts[1])
    return parts


def number(value: Any, unit: str, name: str) -> float:
    """Return the value of `exact` in floating point."""
    return float(exact(value, unit, name))


def kelvins(value: Any, name: str) -> NDArray[np.float64]:
    """Return temperatures in K, with the shape of the input; text may list several with commas."""
    if isinstance(value, str):
        found = [number(part, "K", name) for part in value.split(",")]
        return np.array(found if len(found) > 1 else found[0])
    if isinstance(value, (list, tuple)) and any(isinstance(each, str) for each in value):
        return np.array([number(each, "K", name) for each in value])
    return np.asarray(quantity(value, "K", name).value, np.float64)


def _example(value: Any, unit: str) -> str:
    """Return an example for error messages: the number with the unit that it lacks."""
    digits = str(value).strip() if np.ndim(value) == 0 else "1"
    return f"'{digits} {unit.replace(' / ', '/')}'"


def width_deg(value: Any, name: str) -> float:
    """Return a width on the sky, such as that of a beam, in degrees.

    Raises
    ------
    UsageError
        If the value is not an angle, has no unit, or is not between 0 and 90 deg.
    """
    found = float(quantity(value, "deg", name).value)
    if not 0 < found < 90:
        raise UsageError(f"{name} = {value}; allowed: an angle above 0, below 90 deg, such as "
                         "3arcmin")
    return found


def exact(value: Any, unit: str, name: str) -> Fraction:
    """Return the exact value, in `unit`, of the arguments that `quantity` accepts.

    Text has the value of its decimal number as written, and a Quantity that of its shortest decimal
    representation. Times may also be a `TimeDelta`, a timedelta64 or a timedelta.
    """
    if isinstance(value, str) and (match := _NUMBER.fullmatch(value.strip())):
        return _within(_of_text(value, match, unit, name), value, name)
    if unit == "s" and (seconds := _interval_s(value)) is not None:
        return seconds
    found = quantity(value, unit, name)
    if found.size != 1 or not np.isfinite(found.value).all():
        raise UsageError(f"{name} = {shown(value)} is not a single finite value; allowed: one "
                         f"{'value in ' + unit if unit else 'number'}")
    return _within(Fraction(repr(float(found.value.item()))), value, name)


def _of_text(value: str, match: re.Match[str], unit: str, name: str) -> Fraction:
    """Return the exact value, in `unit`, of text: a number, usually followed by a unit."""
    digits, given = match.groups()
    try:
        scale = quantity(f"1 {given}", unit, name).value if given else 1.0
    except UsageError as error:
        raise UsageError(f"{name} = {value!r} is not a value in {unit}") from error
    if not given:
        quantity(value, unit, name)
    try:
        return fraction(digits) * Fraction(repr(float(scale)))
    except ValueError as error:
        raise UsageError(f"{name} = {value!r} is too large or too small") from error


def _within(number: Fraction, value: Any, name: str) -> Fraction:
    """Return the number, unless it is too large to be safe in floating point."""
    if abs(number) > _LARGEST:
        raise UsageError(f"{name} = {value!r} is too large")
    return number


def whole(name: str, value: Any) -> int:
    """Return an integer of any type as int; numbers are never rounded.

    Raises
    ------
    UsageError
        If the value is not an integer.
    """
    try:
        if isinstance(value, bool):
            raise TypeError("a truth value is not a number")
        return operator.index(value)
    except TypeError as error:
        raise UsageError(f"{name} = {shown(value)} is not a whole number") from error
