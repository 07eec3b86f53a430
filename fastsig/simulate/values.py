"""Values with units in the fields of components: exact, within limits, read from text."""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import field
from fractions import Fraction
from typing import Any, TypeVar

from fastsig.axes import units
from fastsig.errors import UsageError

__all__ = ["from_text", "scalar", "settle", "value_field", "whole"]

C = TypeVar("C")

_BARE = ("", "pc / cm3", "rad / m2")  # units of values that may be plain numbers


def scalar(value: Any, unit: str, name: str) -> Fraction:
    """Return the exact number in `unit` of text or a Quantity; a `Fraction` is already in it.

    Dispersion measures and rotation measures need no unit, because they are always written as
    numbers.

    Raises
    ------
    UsageError
        If the value is not finite and in that unit, or has no unit; 0 needs none.
    """
    if isinstance(value, Fraction):
        return value
    if unit in _BARE and not isinstance(value, bool):
        with contextlib.suppress(TypeError, ValueError, ArithmeticError):
            return units.fraction(value.strip() if isinstance(value, str) else str(value))
    try:
        return units.exact(value, unit, name)
    except UsageError:
        raise
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{name} = {value!r} is not a finite value"
                         f"{' in ' + unit if unit else ''}") from error


def whole(value: Any, name: str, minimum: int) -> int:
    """Read an integer of at least `minimum` from a number or its text."""
    number = scalar(value, "", name)
    if number.denominator != 1 or number < minimum:
        raise UsageError(f"{name} = {value!r}; allowed: whole numbers from {minimum}")
    return int(number)


def value_field(
    unit: str, default: Any = dataclasses.MISSING, low: Any = None, high: Any = None,
    *, positive: bool = False, recorded: bool = True,
) -> Any:
    """Make a field that `settle` converts to a Fraction in `unit` and checks against limits.

    Without `recorded`, the truth record leaves it out if it has its default.
    """
    if isinstance(default, int):
        default = Fraction(default)
    limits = {"unit": unit, "low": low, "high": high, "positive": positive,
              "recorded": recorded}
    return field(default=default, metadata=limits)


def settle(component: Any, option: str) -> None:
    """Replace the fields of a new component with exact values."""
    for item in dataclasses.fields(component):
        if "unit" in item.metadata:
            name = f"{option} {item.name}"
            value = scalar(getattr(component, item.name), item.metadata["unit"], name)
            _check(value, name, item.metadata)
            object.__setattr__(component, item.name, value)


def _check(value: Fraction, name: str, limits: Any) -> None:
    low, high, unit = limits["low"], limits["high"], limits["unit"]
    if limits["positive"] and value <= 0:
        raise UsageError(f"{name} = {float(value):g} {unit}; allowed: above 0")
    if (low is not None and value < low) or (high is not None and value > high):
        upper = "" if high is None else f" to {high}"
        raise UsageError(f"{name} = {float(value):g} {unit}; allowed: from {low}{upper}")


def from_text(kind: type[C], option: str, text: str) -> C:
    """Make a component from ``KEY=VALUE,KEY=VALUE`` text.

    Raises
    ------
    UsageError
        For an unknown, repeated, missing or badly valued key; it names `option`.
    """
    known = {item.name: item for item in dataclasses.fields(kind)}  # type: ignore[arg-type]
    values: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or key not in known or key in values:
            raise UsageError(f"{option} {pair!r}; allowed: KEY=VALUE,... with each of "
                             f"{', '.join(known)} at most once")
        values[key] = value
    missing = [name for name, item in known.items()
               if item.default is dataclasses.MISSING and name not in values]
    if missing:
        raise UsageError(f"{option} {text!r} lacks {', '.join(missing)}; allowed: "
                         f"{', '.join(known)}")
    return kind(**values)
