"""The text of TEMPO's polyco files: two lines of numbers and the coefficients of each block.

All digits are kept exactly: reference phases of 1e11 turns with six decimal places do not fit into
a float64.

References
----------
TEMPO reference manual, tz and polyco files: https://tempo.sourceforge.net/ref_man_sections/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from math import floor, isfinite
from os import PathLike
from typing import Any

from fastsig.errors import FormatError, MissingFileError, unreadable
from fastsig.pulsar.phases import moved

__all__ = ["Block", "blocks_of", "text_of"]

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[EeDd][-+]?\d+)?"
_FIRST = re.compile(
    rf"\s*(?P<source>\S.*?)\s*(?P<date>\d{{1,2}}-[A-Za-z]{{3}}-\d{{2,4}})\s+(?P<utc>{_NUMBER})\s+"
    rf"(?P<mid>\d+(?:\.\d*)?)\s+(?P<dm>{_NUMBER}|\S+)(?:\s+(?P<doppler>{_NUMBER}))?"
    rf"(?:\s*(?P<rms>[-+]?(?:\d+\.?\d*|\.\d+)|\S+))?\s*")
_SECOND = re.compile(
    rf"\s*(?P<phase>{_NUMBER})\s*(?P<frequency>{_NUMBER})\s+(?P<site>\S+)\s+(?P<span>\d+)\s+"
    rf"(?P<n>\d+)(?:\s+(?P<mhz>{_NUMBER}))?(?P<orbit>.*)")
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_MOST_COEFFICIENTS = 99
_A_LINE = 3


@dataclass(frozen=True)
class Block:
    r"""A polynomial of the phase about the middle of a span.

    .. math:: \phi = \phi_0 + 60 f_0 \, dt + c_1 + c_2 dt + c_3 dt^2 + ...

    where dt is the time since the middle, in minutes.

    Parameters
    ----------
    source : str
        Name of the pulsar.
    day : int
        UTC day number of the middle, MJD.
    day_part : Fraction
        Fraction of that day, in units of 86400 s.
    dm : float
        Dispersion measure, pc cm^-3.
    doppler : float
        Doppler shift due to the Earth's motion, in units of 1e-4: 1e4 (1 - f / f_b), where f is the
        frequency at the telescope and f_b that at the barycentre; positive if the Earth moves away.
    log_rms : float
        Logarithm to base 10 of the rms of the fit, in turns.
    phase : Fraction
        Reference phase, turns.
    frequency : Fraction
        Reference frequency, Hz.
    site : str
        TEMPO's code of the telescope.
    span_min : int
        Length of the span, minutes.
    mhz : float
        Observing frequency to which the phases refer, MHz; 0 for infinite frequency.
    coefficients : tuple of Fraction
        c_1, c_2, ..., in turns per minute^k.
    orbit : str
        The rest of the second line: the phase of a binary orbit, turns, and the frequency of the
        orbit, 1/day.
    """

    source: str
    day: int
    day_part: Fraction
    dm: float
    doppler: float
    log_rms: float
    phase: Fraction
    frequency: Fraction
    site: str
    span_min: int
    mhz: float
    coefficients: tuple[Fraction, ...]
    orbit: str = ""

    @property
    def turns(self) -> tuple[Fraction, ...]:
        """Coefficients of the phase in turns per s^k, from k = 0 on."""
        found = [each / 60**k for k, each in enumerate(self.coefficients)]
        found += [Fraction(0)] * (2 - len(found))
        return (found[0] + self.phase, found[1] + self.frequency, *found[2:])


def blocks_of(path: str | PathLike[str]) -> list[Block]:
    """Read the blocks of a polyco file.

    Raises
    ------
    FormatError
        If the file is not a polyco file, or is incomplete.
    """
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            lines = [line.rstrip("\r\n") for line in file if line.strip()]
    except FileNotFoundError as error:
        raise MissingFileError(path) from error
    except OSError as error:
        raise unreadable(path, error) from error
    if not lines:
        raise FormatError(path, "contains no polyco")
    return list(_blocks(path, lines))


def _blocks(path: str | PathLike[str], lines: list[str]) -> Iterator[Block]:
    at = 0
    while at < len(lines):
        found = _head(path, at, lines[at:at + 2])
        n = int(found.pop("n"))
        n_line = -(-n // _A_LINE)
        values = _coefficients(path, lines[at + 2:at + 2 + n_line])
        if len(values) != n:
            raise FormatError(path, f"polyco of MJD {found['day']}: {len(values)} of {n} "
                                    "coefficients")
        yield Block(**found, coefficients=values)
        at += 2 + n_line


def _head(path: str | PathLike[str], at: int, lines: list[str]) -> dict[str, Any]:
    first = _FIRST.fullmatch(lines[0])
    second = _SECOND.fullmatch(lines[1]) if len(lines) > 1 else None
    if first is None or second is None:
        wrong = lines[0] if first is None else lines[-1] if len(lines) > 1 else "the end"
        raise FormatError(path, f"line {at + 1 + (first is not None)} of a polyco expected, not "
                                f"{wrong.strip()[:80]!r}")
    a, b = first.groupdict(), second.groupdict()
    middle = _exact(a["mid"])
    n = int(b["n"])
    if not 1 <= n <= _MOST_COEFFICIENTS or int(b["span"]) < 1:
        raise FormatError(path, f"polyco of MJD {a['mid']}: {n} coefficients for "
                                f"{b['span']} minutes")
    return {"source": a["source"], "day": floor(middle), "day_part": middle - floor(middle),
            "dm": _dm(path, a), "doppler": float(a["doppler"] or 0), "log_rms": _rms(a["rms"]),
            "phase": _exact(b["phase"]), "frequency": _frequency(path, a, b), "site": b["site"],
            "span_min": int(b["span"]), "mhz": float(b["mhz"] or 0), "n": n,
            "orbit": b["orbit"].strip()}


def _dm(path: str | PathLike[str], line: dict[str, str]) -> float:
    try:
        found = float(line["dm"].replace("D", "E"))
    except ValueError:
        found = float("nan")
    if not isfinite(found):
        raise FormatError(path, f"polyco of MJD {line['mid']}: DM = {line['dm']}")
    return found


def _frequency(path: str | PathLike[str], first: dict[str, str], second: dict[str, str]
               ) -> Fraction:
    found = _exact(second["frequency"])
    if found <= 0:
        raise FormatError(path, f"polyco of MJD {first['mid']}: frequency "
                                f"{second['frequency']} Hz; allowed: above 0")
    return found


def _rms(text: str | None) -> float:
    """Return the logarithm of the rms; files state an infinite one where a fit is perfect."""
    try:
        return float(text or 0)
    except ValueError:
        return 0.0


def _coefficients(path: str | PathLike[str], lines: list[str]) -> tuple[Fraction, ...]:
    found = []
    for line in lines:
        for word in line.split():
            if not re.fullmatch(_NUMBER, word):
                raise FormatError(path, f"a polyco's coefficient {word[:40]!r} is not a number")
            found.append(_exact(word))
    return tuple(found)


def _exact(text: str) -> Fraction:
    return Fraction(text.upper().replace("D", "E"))


def text_of(blocks: Sequence[Block]) -> str:
    """Write blocks as TEMPO does, so that reading the text yields the same phases.

    The reference phase has six decimal places, the reference frequency twelve, and the middle of
    the span, in days, eleven. The remainders are moved into the coefficients, which have 18 digits
    and are read to 1e-17 of their value.
    """
    return "".join(map(_text, blocks))


def _text(block: Block) -> str:
    day_part = _rounded(block.day_part, 11)
    turns = moved(block.turns, (day_part - block.day_part) * 86400)
    phase, frequency = _rounded(block.phase, 6), _rounded(block.frequency, 12)
    rest = (turns[0] - phase, turns[1] - frequency, *turns[2:])
    values = [f"{float(each * 60**k):25.17e}" for k, each in enumerate(rest)]
    lines = ["".join(values[at:at + _A_LINE]) for at in range(0, len(values), _A_LINE)]
    return "\n".join([_first_line(block, day_part), _second_line(block, phase, frequency), *lines,
                      ""])


def _first_line(block: Block, day_part: Fraction) -> str:
    day = date(1858, 11, 17) + timedelta(block.day)
    minutes, rest = divmod(round(day_part * 8640000), 6000)
    clock = f"{10000 * (minutes // 60) + 100 * (minutes % 60) + rest / 100:.2f}"
    text = f"{day.day:2d}-{_MONTHS[day.month - 1]}-{day.year % 100:02d}"
    return (f"{block.source:<10s} {text}{clock:>11s}{_decimal(block.day + day_part, 11):>20s}"
            f"{block.dm:21.6f} {block.doppler:6.3f}{block.log_rms:7.3f}")


def _second_line(block: Block, phase: Fraction, frequency: Fraction) -> str:
    line = (f"{_decimal(phase, 6):>20s}{_decimal(frequency, 12):>18s} {block.site:>4s}"
            f"{block.span_min:5d}{max(len(block.coefficients), 2):5d}{block.mhz:10.3f}")
    return f"{line} {block.orbit}".rstrip()


def _rounded(value: Fraction, decimals: int) -> Fraction:
    return Fraction(round(value * 10**decimals), 10**decimals)


def _decimal(value: Fraction, decimals: int) -> str:
    """Return the decimal text of a fraction that has at most that many decimals."""
    digits = abs(value) * 10**decimals
    whole, part = divmod(int(digits), 10**decimals)
    return f"{'-' if value < 0 else ''}{whole}.{part:0{decimals}d}"
