"""Text headers: cards of 80 characters (GUPPI) and lines of KEY VALUE (DADA), and their values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction

from fastsig.errors import FormatError

__all__ = ["FIRST_DAY", "LAST_DAY", "Cards", "cards_80", "lines"]

#: Days (MJD) on which a recording may begin: from 1970 up to 2100.
FIRST_DAY, LAST_DAY = 40587, 88069

_LARGEST = 2**62


class Cards(Mapping[str, str]):
    """Values of a text header by key, as text; typed where asked for.

    Parameters
    ----------
    values : mapping
        Text by key; quotes are gone.
    path, where : str
        The file and the place in it, for errors.
    """

    def __init__(self, values: Mapping[str, str], path: str, where: str = "header") -> None:
        self._values, self._path, self._where = dict(values), path, where

    def __getitem__(self, key: str) -> str:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def error(self, key: str, allowed: str) -> FormatError:
        """The error of a value that is not allowed."""
        return FormatError(self._path, f"{self._where}: {key} = {self.get(key)!r}; "
                           f"allowed: {allowed}")

    def exact(self, key: str, default: str | None = None) -> Fraction:
        """A decimal number, exactly as written."""
        text = self.get(key, default)
        if text is None:
            raise FormatError(self._path, f"{self._where} has no {key}")
        try:
            value = Fraction(text)
        except (ValueError, ZeroDivisionError):
            raise self.error(key, "a number") from None
        if abs(value) > _LARGEST:
            raise self.error(key, f"a number up to {_LARGEST}")
        return value

    def integer(self, key: str, default: int | None = None, *, least: int = 0,
                most: int = _LARGEST) -> int:
        """A whole number within limits; ``128.0`` is one."""
        value = self.exact(key, None if default is None else str(default))
        if value.denominator != 1 or not least <= value <= most:
            raise self.error(key, f"a whole number from {least} to {most}")
        return int(value)

    def number(self, key: str) -> float | None:
        """A finite number, or None where there is none to be read."""
        try:
            value = float(self[key])
        except (KeyError, ValueError):
            return None
        return value if math.isfinite(value) else None

    def angle(self, key: str, unit: str) -> float | None:
        """Degrees from ``18:10:37.28`` and the like, or None where that cannot be read."""
        from astropy.coordinates import Angle  # takes as long to load as all else together

        try:
            return float(Angle(self[key], unit=unit).deg)
        except (KeyError, ValueError):
            return None

    def text(self, key: str) -> str | None:
        """Text that is not empty, or None."""
        return self.get(key, "").strip() or None


def cards_80(raw: bytes, path: str, where: str) -> Cards:
    """Values of FITS-like cards, ``KEY     = VALUE``, numbers quoted or not; the first one counts.

    Text that is no ASCII comes with its odd bytes escaped.
    """
    values: dict[str, str] = {}
    for at in range(0, len(raw) - len(raw) % 80, 80):
        card = raw[at : at + 80].decode("ascii", "backslashreplace")
        key, equals, value = card[:8].strip(), card[8:9], card[9:].strip()
        if equals != "=" or not key:
            continue
        quoted = value.startswith("'")
        values.setdefault(key, (value[1:].partition("'") if quoted else value.partition(" /"))[0]
                          .strip())
    return Cards(values, path, where)


def lines(raw: bytes, path: str, where: str) -> Cards:
    """Values of lines ``KEY VALUE  # comment``; the first one of a key counts."""
    values: dict[str, str] = {}
    for line in raw.partition(b"\0")[0].decode("ascii", "backslashreplace").splitlines():
        key, _, value = line.partition("#")[0].strip().replace("\t", " ").partition(" ")
        if key:
            values.setdefault(key, value.strip())
    return Cards(values, path, where)
