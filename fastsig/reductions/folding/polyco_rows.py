"""The phase of a fold as rows of POLYCO, from which other programs know the period and its phase.

TEMPO's text has 11 decimals of a day, 0.4 us. A row has its middle as a double, and what a double
does not hold of phase and frequency is in the first two coefficients. The rows refer to the
frequency of the profiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, floor
from typing import Any

import numpy as np
from astropy.time import Time

from fastsig.pulsar.phases import Instant, moved
from fastsig.pulsar.polyco import Polyco
from fastsig.reductions.folding.channel_phases import ChannelPhases

__all__ = ["rows_of"]

_SPAN_MIN = 60
_TERMS = 12
_LEAST_ERROR = 1e-12


def rows_of(phases: ChannelPhases, start: Time, first_s: float, last_s: float
            ) -> tuple[dict[str, Any], ...]:
    """Return the rows that cover the time between two epochs, s after the start.

    Blocks of a polyco are moved exactly; polynomials are fitted to other predictors.
    """
    at = Instant.of(start)
    low, high = (at.later(Fraction(each)) for each in (first_s, last_s))
    if isinstance(phases.predictor, Polyco):
        return tuple(_of_blocks(phases, phases.predictor, low, high))
    count = max(1, ceil((last_s - first_s) / (60 * _SPAN_MIN)))
    length = max((last_s - first_s) / count, 1.0)
    return tuple(_fitted(phases, at, first_s + (k + 0.5) * length, length) for k in range(count))


def _of_blocks(phases: ChannelPhases, polyco: Polyco, low: Instant, high: Instant
               ) -> list[dict[str, Any]]:
    """Return the blocks of a polyco that are needed between two times."""
    late, rows = Fraction(phases.late_s), []
    for block in polyco.blocks:
        middle = Instant(block.day, block.day_part * 86400)
        half = 30 * block.span_min
        if middle.since(high) > half or low.since(middle) > half:
            continue
        mjd, reference = _double_day(middle)
        turns = moved(block.turns, reference.since(middle) - late)
        rows.append({**_row(phases, mjd, turns, block.span_min), "NSITE": block.site,
                     "LGFITERR": block.log_rms})
    return rows


def _fitted(phases: ChannelPhases, start: Instant, middle_s: float, length_s: float
            ) -> dict[str, Any]:
    """Return the row of a polynomial through the phases of a span."""
    mjd, reference = _double_day(start.later(Fraction(middle_s)))
    zero = float(reference.since(start))
    half = length_s / 2 + 1
    nodes = np.cos(np.pi * (np.arange(2 * _TERMS) + 0.5) / (2 * _TERMS)) * half
    turns, fraction = phases.at(zero + np.append(nodes, 0.0))
    frequency = float(phases.frequency(np.array([zero]))[0])
    rest = (turns - turns[-1]) + fraction - frequency * np.append(nodes, 0.0)
    fit = np.polynomial.Chebyshev.fit(nodes, rest[:-1], _TERMS - 1, domain=[-half, half])
    error = float(np.abs(fit(nodes) - rest[:-1]).std()) + _LEAST_ERROR
    found = [Fraction(float(each)) for each in fit.convert(
        kind=np.polynomial.Polynomial, domain=[-1, 1], window=[-1, 1]).coef]
    found += [Fraction(0)] * (2 - len(found))
    whole = (found[0] + int(turns[-1]), found[1] + Fraction(frequency), *found[2:])
    return {**_row(phases, mjd, whole, ceil(2 * half / 60)), "LGFITERR": float(np.log10(error))}


def _double_day(at: Instant) -> tuple[float, Instant]:
    """Return a day number that a double holds exactly, near a time, and that time."""
    mjd = float(at.day + at.seconds / 86400)
    return mjd, Instant(floor(mjd), (Fraction(mjd) - floor(mjd)) * 86400)


def _row(phases: ChannelPhases, mjd: float, turns: Sequence[Fraction], span_min: int
         ) -> dict[str, Any]:
    """Return the row of a polynomial of turns per s^k."""
    whole, frequency = floor(turns[0]), float(turns[1])
    coefficients = [turns[0] - whole, 60 * (turns[1] - Fraction(frequency)),
                    *(each * 60**k for k, each in enumerate(turns[2:], 2))]
    return {"NSPAN": span_min, "REF_FREQ": float(phases.reference_hz / 10**6), "REF_MJD": mjd,
            "REF_PHS": float(whole), "REF_F0": frequency, "POLYVER": "fastsig",
            "COEFF": tuple(float(each) for each in coefficients)}
