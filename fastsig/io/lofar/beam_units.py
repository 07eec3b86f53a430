"""Quantities that LOFAR's beam-formed files state more than once, in units that may be wrong.

Some writers pair values in Hz with the unit MHz, and seconds with us. The value on which the
attributes and the telescope's range agree best is used. An attribute that agrees only in another
unit is read in that unit; one that agrees in no unit is ignored. Both cases are noted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

__all__ = ["Stated", "agreed", "number", "stated"]

_POWER = {"hz": 0, "khz": 1, "mhz": 2, "ghz": 3, "s": 0, "ms": -1, "us": -2, "ns": -3}
_NAMES = {"hz": {0: "Hz", 1: "kHz", 2: "MHz", 3: "GHz"},
          "s": {0: "s", -1: "ms", -2: "us", -3: "ns"}}
_STEPS = (0, -1, 1, -2, 2)
# Costs of a wrong unit, of a value outside the telescope's range, and of a value that agrees with
# no other.
_WRONG_UNIT, _OUT_OF_RANGE, _ALONE = 1, 2, 3


class Stated(NamedTuple):
    """The value that one attribute states for a quantity.

    Parameters
    ----------
    key : str
        The attribute.
    value : Fraction
        The value in Hz, if the unit that the file states is right.
    unit : str
        The unit that the file states.
    tolerance : float
        Relative tolerance of a comparison.
    inverse : bool
        Whether the attribute is a time.
    firm : bool
        Whether the value may be used, rather than only compared with.
    """

    key: str
    value: Fraction
    unit: str
    tolerance: float = 1e-6
    inverse: bool = False
    firm: bool = True

    def step_to(self, value: Fraction) -> int | None:
        """Return the smallest power of 1000 that scales this to a value; None if none does."""
        for step in _STEPS:
            if math.isclose(self.value * Fraction(1000) ** step, value, rel_tol=self.tolerance):
                return step
        return None

    def unit_after(self, step: int) -> str:
        """Return the attribute's unit if its value in Hz is larger by 1000 to the power `step`."""
        names = _NAMES["s" if self.inverse else "hz"]
        power = _POWER[self.unit.lower()] + (-step if self.inverse else step)
        return names.get(power, f"10^{3 * power} {names[0]}")


def number(value: Any) -> Fraction | None:
    """Return an attribute that is a positive number, exactly as its decimals; None otherwise."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if type(value) not in (int, float) or not 1e-30 < value < 1e30:
        return None
    return Fraction(repr(value))


def stated(cards: dict[str, Any], key: str, notes: list[str], *, unit: str,
           scale: Fraction | int = 1, unit_key: str | None = None, inverse: bool = False,
           tolerance: float = 1e-6) -> list[Stated]:
    """Return the value of an attribute, times `scale`, in a list.

    The list is empty where the attribute is missing or is not a positive number.
    """
    if cards.get(key) is None:
        return []
    value = number(cards[key])
    if value is None:
        notes.append(f"{key} = {cards[key]!r:.40} is not a positive number")
        return []
    found = cards.get(unit_key or f"{key}_UNIT")
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    if str(found).strip().lower() in _POWER and (
            str(found).strip().lower().endswith("hz") is not inverse):
        unit = str(found).strip()
    value *= Fraction(1000) ** _POWER[unit.lower()]
    return [Stated(key, (1 / value if inverse else value) * scale, unit, tolerance, inverse)]


def agreed(what: str, given: Sequence[Stated], low: float, high: float, notes: list[str]
           ) -> Fraction | None:
    """Return the value that agrees best with all stated values; None where there are none.

    Parameters
    ----------
    what : str
        Name of the quantity, for notes.
    given : sequence of Stated
        Stated values, best first: the first is used of values that agree equally well.
    low, high : float
        Range of the telescope's values, Hz.
    notes : list of str
        A note is appended for each value that is read in another unit or ignored.
    """
    firm = [each for each in given if each.firm]
    best: tuple[int, Fraction] | None = None
    for value in (each.value * Fraction(1000) ** step for step in _STEPS for each in firm):
        cost = sum(_cost(other.step_to(value)) for other in given)
        cost += 0 if low <= value <= high else _OUT_OF_RANGE
        if best is None or cost < best[0]:
            best = cost, value
        if not best[0]:
            break
    if best is None:
        return None
    _note(what, given, best[1], notes)
    return best[1]


def _cost(step: int | None) -> int:
    return _ALONE if step is None else _WRONG_UNIT * (step != 0)


def _note(what: str, given: Iterable[Stated], value: Fraction, notes: list[str]) -> None:
    for each in given:
        step = each.step_to(value)
        if step is None:
            notes.append(f"{each.key} states {float(each.value):.9g} Hz; "
                         f"{what} of {float(value):.9g} Hz is used")
        elif step:
            notes.append(f"the unit of {each.key} is {each.unit}, but {what} agrees in "
                         f"{each.unit_after(step)} alone: read so")
