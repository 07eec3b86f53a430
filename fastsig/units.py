"""Text with units in, numbers out: what options such as ``--integrate 1ms`` are read with."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import astropy.units as u

from fastsig.errors import UsageError

__all__ = ["exact", "quantity"]


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


def exact(value: Any, unit: str, name: str) -> Fraction:
    """As `quantity`, but the exact rational of the shortest decimal text of the number."""
    number = quantity(value, unit, name)
    if number.size != 1:
        raise UsageError(f"{name} = {value!r} is not a single value")
    return Fraction(repr(float(number.value)))
