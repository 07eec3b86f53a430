"""Times of arrival as they are written to .tim files, in tempo2's format 1.

A line has a name, the frequency in MHz (0 for infinite frequency), the time as a UTC day number
(MJD) with its fraction, the error in us, the code of the observatory, and flags. The fraction of a
day is its exact seconds divided by 86400, as TEMPO, tempo2 and PINT expect, also on days with a
leap second.

References
----------
G. B. Hobbs, R. T. Edwards and R. N. Manchester, MNRAS 369 (2006) 655: tempo2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from fastsig.errors import UsageError
from fastsig.work.shown import Shown

__all__ = ["Toa", "mjd_text", "tim_text"]

#: Decimals of the fraction of a day: 1e-16 day is 9 ps.
_DECIMALS = 16
_WORD = re.compile(r"[^\s#]+")


@dataclass(frozen=True, repr=False)
class Toa(Shown):
    """A time of arrival at an observatory.

    Parameters
    ----------
    day : int
        UTC day number (MJD).
    seconds : Fraction
        Exact seconds of that day.
    error_us : float
        Standard error, us.
    freq_mhz : float
        Frequency to which the time refers, MHz; infinity is allowed.
    site : str
        Code of the observatory, such as ``fast``.
    name : str
        First word of the line: the file that the time comes from.
    flags : mapping of str to str
        Names, without a hyphen, and values; neither may contain spaces.
    """

    day: int
    seconds: Fraction
    error_us: float
    freq_mhz: float
    site: str
    name: str
    flags: Mapping[str, str] = field(default_factory=dict)

    def _fields(self) -> Mapping[str, Any]:
        """What the repr shows."""
        return {**super()._fields(), "seconds": f"{float(self.seconds):.9f}"}

    def line(self) -> str:
        """Return the line of a .tim file.

        Raises
        ------
        UsageError
            If a word contains spaces or is empty, a number is not finite, or the time is within a
            leap second, which has no MJD.
        """
        words = {"name": self.name, "site": self.site}
        words |= {f"flag -{key}": value for key, value in self.flags.items()}
        for what, word in [*words.items(), *(("flag", key) for key in self.flags)]:
            if not _WORD.fullmatch(word):
                raise UsageError(f"{what} = {word!r}; allowed in a .tim file: a word without "
                                 f"spaces or #")
        if not (np.isfinite(self.error_us) and self.error_us > 0 and self.freq_mhz > 0):
            raise UsageError(f"error_us = {self.error_us}, freq_mhz = {self.freq_mhz}; allowed: "
                             f"above 0")
        freq = "0.000000" if np.isinf(self.freq_mhz) else f"{self.freq_mhz:.6f}"
        flags = "".join(f" -{key} {value}" for key, value in self.flags.items())
        return (f" {self.name} {freq} {mjd_text(self.day, self.seconds)} {self.error_us:.6g} "
                f"{self.site}{flags}")


def mjd_text(day: int, seconds: Fraction) -> str:
    """Return a day number with its fraction, to 9 ps.

    Raises
    ------
    UsageError
        If the seconds are not between 0 and 86400, as happens within a leap second.
    """
    if not 0 <= seconds < 86400:
        raise UsageError(f"{float(seconds)} s of day {day}: MJD has no fraction for leap seconds; "
                         f"allowed: from 0, below 86400")
    total = day * 10**_DECIMALS + round(seconds / 86400 * 10**_DECIMALS)
    return f"{total // 10**_DECIMALS}.{total % 10**_DECIMALS:0{_DECIMALS}d}"


def tim_text(toas: Iterable[Toa]) -> str:
    """Return the text of a .tim file.

    Raises
    ------
    UsageError
        If there are no times, or one of them cannot be written.
    """
    lines = [each.line() for each in toas]
    if not lines:
        raise UsageError("no time of arrival to write")
    return "\n".join(["FORMAT 1", *lines]) + "\n"
