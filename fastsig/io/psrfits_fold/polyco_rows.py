"""Rows of POLYCO for blocks of TEMPO's polynomials, whose numbers doubles hold exactly.

TEMPO's text has 11 decimals of the middle of a block, steps of 0.9 us, and 6 of its phase; PSRFITS
has doubles for both, and some programs read one and write the other. A middle that is a multiple of
1/1024 day is exact in both, and so is a whole phase. The rest is in the coefficients.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import comb, floor
from typing import Any, Protocol

__all__ = ["Block", "block_of", "rows_of"]

_STEPS = 1024  # of a day
_DAY_MIN = 1440


class Block(Protocol):
    """A polynomial of phase: ``phase + 60 frequency dt + c1 + c2 dt + ...``, dt in minutes."""

    @property
    def day(self) -> int:
        """UTC day number of the middle."""

    @property
    def day_part(self) -> Fraction:
        """Part of that day."""

    @property
    def phase(self) -> Fraction:
        """Reference phase, turns."""

    @property
    def frequency(self) -> Fraction:
        """Reference frequency, Hz."""

    @property
    def coefficients(self) -> tuple[Fraction, ...]:
        """c1 and on, turns per minute^k."""

    @property
    def site(self) -> str:
        """TEMPO's code of the telescope."""

    @property
    def span_min(self) -> int:
        """Length of the span, minutes."""

    @property
    def mhz(self) -> float:
        """Frequency to which the phases refer, MHz."""

    @property
    def log_rms(self) -> float:
        """Logarithm to base 10 of the rms of the fit, turns."""


def rows_of(blocks: Sequence[Block]) -> tuple[dict[str, Any], ...]:
    """Return the rows of POLYCO for blocks, for the field `predictor` of profiles.

    A phase by a row differs from that of the block by the rounding of coefficients to doubles,
    1e-16 turn for the first.
    """
    return tuple(_row(block, len(blocks)) for block in blocks)


def _row(block: Block, n_block: int) -> dict[str, Any]:
    day_part = Fraction(round(block.day_part * _STEPS), _STEPS)
    terms = _moved(block, (day_part - block.day_part) * _DAY_MIN)
    phase, frequency = floor(terms[0]), float(block.frequency)
    rest = [terms[0] - phase, terms[1] - 60 * Fraction(frequency), *terms[2:]]
    return {
        "DATE_PRO": "", "POLYVER": "", "NSPAN": block.span_min, "NCOEF": len(rest),
        "NPBLK": n_block, "NSITE": block.site, "REF_FREQ": block.mhz, "PRED_PHS": 0.0,
        "REF_MJD": float(block.day + day_part), "REF_PHS": float(phase), "REF_F0": frequency,
        "LGFITERR": block.log_rms, "COEFF": tuple(map(float, rest)),
    }


def _moved(block: Block, minutes: Fraction) -> list[Fraction]:
    """Return all coefficients, turns per minute^k, about a later middle; exact."""
    terms = [*block.coefficients, *[Fraction(0)] * (2 - len(block.coefficients))]
    terms[0] += block.phase
    terms[1] += 60 * block.frequency
    return [sum((comb(j, k) * terms[j] * minutes ** (j - k) for j in range(k, len(terms))),
                Fraction(0)) for k in range(len(terms))]


def block_of(row: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a block for a row of POLYCO, by name, without rounding."""
    middle = Fraction(row["REF_MJD"])
    return {
        "day": floor(middle), "day_part": middle - floor(middle), "phase": Fraction(row["REF_PHS"]),
        "frequency": Fraction(row["REF_F0"]), "site": str(row.get("NSITE", "")),
        "span_min": int(row["NSPAN"]), "mhz": float(row.get("REF_FREQ", 0.0)),
        "log_rms": float(row.get("LGFITERR", 0.0)),
        "coefficients": tuple(map(Fraction, row["COEFF"])),
    }
