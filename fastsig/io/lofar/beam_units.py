"""Quantities that LOFAR's beam-formed files tell more than once, in units that may be wrong.

Writers have put Hz where the unit says MHz and seconds where it says us. What several attributes
and the telescope's range agree on stands; an attribute that agrees in another unit alone is read in
that, and what agrees in none is left out. Both are noted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

__all__ = ["Stated", "agreed", "number", "told"]

_POWER = {"hz": 0, "khz": 1, "mhz": 2, "ghz": 3, "s": 0, "ms": -1, "us": -2, "ns": -3}
_NAMES = {"hz": {0: "Hz", 1: "kHz", 2: "MHz", 3: "GHz"},
          "s": {0: "s", -1: "ms", -2: "us", -3: "ns"}}
_STEPS = (0, -1, 1, -2, 2)
# A unit that is wrong, a value out of the telescope's range, a value that nothing agrees with.
_WRONG_UNIT, _OUT_OF_RANGE, _ALONE = 1, 2, 3


class Stated(NamedTuple):
    """What one attribute tells of a quantity.

    Parameters
    ----------
    key : str
        The attribute.
    value : Fraction
        In Hz, by the unit that the file tells.
    unit : str
        That unit.
    tolerance : float
        Relative.
    inverse : bool
        Whether the attribute is a time.
    firm : bool
        Whether the value may be used, not just be compared with.
    """

    key: str
    value: Fraction
    unit: str
    tolerance: float = 1e-6
    inverse: bool = False
    firm: bool = True

    def step_to(self, value: Fraction) -> int | None:
        """Power of 1000 that brings this to a value, the smallest; None where there is none."""
        for step in _STEPS:
            if math.isclose(self.value * Fraction(1000) ** step, value, rel_tol=self.tolerance):
                return step
        return None

    def unit_after(self, step: int) -> str:
        """The unit that the attribute has if its value in Hz is so many powers of 1000 larger."""
        names = _NAMES["s" if self.inverse else "hz"]
        power = _POWER[self.unit.lower()] + (-step if self.inverse else step)
        return names.get(power, f"10^{3 * power} {names[0]}")


def number(value: Any) -> Fraction | None:
    """A positive number of an attribute, exact in its decimal text; None for anything else."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if type(value) not in (int, float) or not 1e-30 < value < 1e30:
        return None
    return Fraction(repr(value))


def told(cards: dict[str, Any], key: str, notes: list[str], *, unit: str, scale: Fraction | int = 1,
         unit_key: str | None = None, inverse: bool = False, tolerance: float = 1e-6
         ) -> list[Stated]:
    """What an attribute tells, times `scale`; nothing where it is missing or no positive number."""
    if cards.get(key) is None:
        return []
    value = number(cards[key])
    if value is None:
        notes.append(f"{key} = {cards[key]!r:.40} is no positive number")
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
    """The value that most agrees with all that is told; None where nothing is.

    Parameters
    ----------
    what : str
        Name of the quantity, for notes.
    given : sequence of Stated
        Best first: of values that agree as well as others the first stands.
    low, high : float
        Range in which the telescope's values lie, Hz.
    notes : list of str
        Gets what was read in another unit, or left out.
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
            notes.append(f"{each.key} tells {float(each.value):.9g} Hz; "
                         f"{what} of {float(value):.9g} Hz is used")
        elif step:
            notes.append(f"the unit of {each.key} is {each.unit}, but {what} agrees in "
                         f"{each.unit_after(step)} alone: read so")
