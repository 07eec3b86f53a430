r"""The table T2PREDICT of an archive: tempo2's predictor, as rows of polynomials in time.

A segment has Chebyshev coefficients :math:`c_{ij}` in time and frequency, scaled to -1 to 1:

.. math:: \phi(x, y) = {\sum_i}' {\sum_j}' c_{ij} T_i(x) T_j(y) + D / f^2

where the terms with i = 0 and with j = 0 are halved. At one frequency, this is a polynomial in
time, which is expanded exactly to a row as in POLYCO.

References
----------
G. B. Hobbs, R. T. Edwards and R. N. Manchester, MNRAS 369 (2006) 655, section 7: prediction mode.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from math import ceil, isfinite
from typing import Any

from fastsig.errors import FormatError
from fastsig.io.files.cards import FIRST_DAY, LAST_DAY
from fastsig.io.fits.layout import Table, read_column

__all__ = ["read_tempo2"]

_MOST_LINES, _MOST_TERMS, _MOST_SEGMENTS = 10**5, 30, 10**4
#: Middles of spans are multiples of ``1 / _GRID`` day, which a double holds exactly.
_GRID = 1024
_MINUTES = 1440


def read_tempo2(path: str, table: Table, mhz: float) -> tuple[dict[str, Any], ...]:
    """Return the rows of T2PREDICT at a frequency, with the names of the columns of POLYCO.

    Raises
    ------
    FormatError
        If the table is not a predictor, or does not cover the frequency.
    """
    table.require(path, "PREDICT")
    lines = [bytes(each).decode("ascii", "replace").strip("\0 ") for each in
             read_column(path, table, "PREDICT", 0, _MOST_LINES)]
    try:
        segments = list(_segments(lines))
        if not 1 <= len(segments) <= _MOST_SEGMENTS:
            raise ValueError(f"{len(segments)} segments")
        return tuple(_row(each, mhz) for each in segments)
    except (KeyError, ValueError, IndexError, ZeroDivisionError, OverflowError) as error:
        raise FormatError(path, f"T2PREDICT is not a predictor of tempo2: {error}") from error


def _segments(lines: Sequence[str]) -> Iterator[dict[str, list[str]]]:
    """Yield the words of each segment by keyword; the words of all COEFFS lines are joined."""
    found: dict[str, list[str]] | None = None
    key = ""
    for line in lines:
        words = line.split()
        if not words or words[0].startswith("#") or words[0] == "ChebyModelSet":
            continue
        if words[0] == "ChebyModel":
            if words[1:] == ["END"] and found is not None:
                yield found
            found = {"COEFFS": []} if words[1:] == ["BEGIN"] else None
        elif found is not None:
            if words[0][0].isalpha():
                key, words = words[0], words[1:]
            if key == "COEFFS":  # a row of coefficients may have several lines
                found[key] += words
            else:
                found[key] = words


def _row(segment: Mapping[str, list[str]], mhz: float) -> dict[str, Any]:
    begin, end = map(Fraction, segment["TIME_RANGE"])
    low, high = map(Fraction, segment["FREQ_RANGE"])
    n_time, n_freq = (int(segment[f"NCOEFF_{name}"][0]) for name in ("TIME", "FREQ"))
    if not (FIRST_DAY <= begin < end <= LAST_DAY and low < high and 1 <= n_time <= _MOST_TERMS
            and 1 <= n_freq <= _MOST_TERMS and len(segment["COEFFS"]) == n_time * n_freq):
        raise ValueError(f"a segment from {float(begin)} to {float(end)} with {n_time} x {n_freq} "
                         f"coefficients, of which there are {len(segment['COEFFS'])}")
    frequency = Fraction(mhz)
    if not low <= frequency <= high:
        raise ValueError(f"it covers {float(low):g} to {float(high):g} MHz, and the profiles refer "
                         f"to {mhz:g} MHz")
    y = _chebyshev(n_freq, 2 * (frequency - low) / (high - low) - 1)
    values = [Fraction(word) for word in segment["COEFFS"]]
    series = [sum((c * t for c, t in zip(values[k * n_freq : (k + 1) * n_freq], y, strict=True)),
                  Fraction(0)) / (1 if k else 2) for k in range(n_time)]
    middle = Fraction(round((begin + end) / 2 * _GRID), _GRID)
    half = (end - begin) / 2
    terms = _expanded(series, (middle - (begin + end) / 2) / half, half * _MINUTES)
    terms[0] += Fraction(segment["DISPERSION_CONSTANT"][0]) / frequency**2
    return _as_polyco(terms, middle, ceil((end - begin) * _MINUTES), mhz,
                      " ".join(segment.get("SITENAME", ())))


def _chebyshev(n: int, x: Fraction) -> list[Fraction]:
    """Return 1/2, T_1, T_2, ... at x."""
    found = [Fraction(1), x]
    while len(found) < n:
        found.append(2 * x * found[-1] - found[-2])
    return [Fraction(1, 2), *found[1:n]]


def _expanded(series: Sequence[Fraction], offset: Fraction, half_min: Fraction) -> list[Fraction]:
    """Return the coefficients of powers of minutes, with ``x = offset + minutes / half_min``."""
    x = [offset, 1 / half_min]
    before, here = [Fraction(1)], list(x)
    total = [Fraction(0)] * max(2, len(series))
    for number, factor in enumerate(series):
        if number == 0:
            basis = before
        elif number == 1:
            basis = here
        else:
            twice = [Fraction(0)] * (len(here) + 1)
            for k, each in enumerate(here):
                twice[k] += 2 * each * x[0]
                twice[k + 1] += 2 * each * x[1]
            for k, each in enumerate(before):
                twice[k] -= each
            before, here = here, twice
            basis = here
        for k, each in enumerate(basis):
            total[k] += factor * each
    return total


def _as_polyco(terms: list[Fraction], middle: Fraction, span: int, mhz: float, site: str
               ) -> dict[str, Any]:
    phase, frequency = float(round(terms[0])), float(terms[1] / 60)
    rest = [terms[0] - Fraction(phase), terms[1] - 60 * Fraction(frequency), *terms[2:]]
    coefficients = tuple(float(each) for each in rest)
    if not (frequency > 0 and all(map(isfinite, (phase, *coefficients)))):
        raise ValueError(f"a frequency of rotation of {frequency} Hz")
    return {"NSPAN": span, "NSITE": site, "REF_FREQ": mhz, "REF_MJD": float(middle),
            "REF_PHS": phase, "REF_F0": frequency, "COEFF": coefficients}
