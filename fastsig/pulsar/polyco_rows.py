"""Rows of PSRFITS' table POLYCO for TEMPO's polynomials, with numbers that doubles hold exactly.

TEMPO's text states the middle of a block with 11 decimals, in steps of 0.9 us, and its phase with
6; PSRFITS has doubles for both, and some programs read one and write the other. A middle that is a
multiple of 1/1024 day is exact in both, and so is a whole phase. The rest is in the coefficients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.pulsar.phases import Instant, PhasePolynomial, moved
from fastsig.pulsar.polyco_text import Block

__all__ = ["block_of", "phases_by", "rows_of"]

F8 = NDArray[np.float64]

_STEPS = 1024  # of a day
_DAY_S = 86400


def rows_of(blocks: Sequence[Block]) -> tuple[dict[str, Any], ...]:
    """Return the rows of POLYCO for blocks, such as those of a `Polyco`.

    A phase computed from a row differs from that of its block only by the rounding of coefficients
    to doubles, 1e-16 turn for the first.
    """
    return tuple(_row(block, len(blocks)) for block in blocks)


def _row(block: Block, n_block: int) -> dict[str, Any]:
    day_part = Fraction(round(block.day_part * _STEPS), _STEPS)
    terms = [each * 60**k for k, each in enumerate(
        moved(block.turns, (day_part - block.day_part) * _DAY_S))]
    phase, frequency = floor(terms[0]), float(block.frequency)
    rest = [terms[0] - phase, terms[1] - 60 * Fraction(frequency), *terms[2:]]
    return {
        "DATE_PRO": "", "POLYVER": "", "NSPAN": block.span_min, "NCOEF": len(rest),
        "NPBLK": n_block, "NSITE": block.site, "REF_FREQ": block.mhz, "PRED_PHS": 0.0,
        "REF_MJD": float(block.day + day_part), "REF_PHS": float(phase), "REF_F0": frequency,
        "LGFITERR": block.log_rms, "COEFF": tuple(map(float, rest)),
    }


def block_of(row: Mapping[str, Any], source: str = "", dm: float | None = None) -> Block:
    """Return the block of a row of POLYCO, without rounding."""
    middle = Fraction(row["REF_MJD"])
    return Block(
        source=source, day=floor(middle), day_part=middle - floor(middle), dm=dm or 0.0,
        doppler=0.0, log_rms=float(row.get("LGFITERR", 0.0)), phase=Fraction(row["REF_PHS"]),
        frequency=Fraction(row["REF_F0"]), site=str(row.get("NSITE", "")),
        span_min=int(row["NSPAN"]), mhz=float(row.get("REF_FREQ", 0.0)),
        coefficients=tuple(map(Fraction, row["COEFF"])))


def phases_by(row: Mapping[str, Any], reference: tuple[int, Fraction], seconds: F8
              ) -> tuple[F8, F8]:
    """Return phases computed from a row, within (-0.5, 0.5] turns, and frequencies, Hz.

    Parameters
    ----------
    row : mapping
    reference : (int, Fraction)
        UTC day number, and seconds of that day.
    seconds : ndarray, float64
        Times after the reference, s.
    """
    block, start = block_of(row), Instant(*reference)
    polynomial = PhasePolynomial(Instant(block.day, block.day_part * _DAY_S), block.turns)
    _, fraction = polynomial.phase(start, seconds)
    return fraction - (fraction > 0.5), polynomial.frequency(start, seconds)
