"""Rows of POLYCO for polynomials with the decimals of TEMPO's text."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace

import pytest

from fastsig.io.psrfits_fold.polyco_rows import block_of, rows_of
from fastsig.io.psrfits_fold.predictor import turns

# The text of a block: eleven decimals of the middle, six of the phase, twelve of the frequency.
BLOCK = SimpleNamespace(
    day=58245, day_part=Fraction("0.37512345678"), phase=Fraction("146774936445.058162"),
    frequency=Fraction("641.973647812571"), site="3", span_min=60, mhz=327.0, log_rms=-6.1,
    coefficients=(Fraction("-3.7e-7"), Fraction("0.91806768412345678"), Fraction("7.44e-5"),
                  Fraction("-1.5e-8"), Fraction("4.1e-10")))


def _phase(minutes: Fraction) -> Fraction:
    return BLOCK.phase + 60 * BLOCK.frequency * minutes + sum(
        c * minutes**k for k, c in enumerate(BLOCK.coefficients))


def test_rows_hold_the_phase_of_a_block() -> None:
    row, = rows_of([BLOCK])
    middle = Fraction(row["REF_MJD"])
    assert middle * 1024 == int(middle * 1024)  # exact in a double
    assert Fraction(f"{row['REF_MJD']:.11f}") == middle  # and in TEMPO's text
    assert row["REF_PHS"] == int(row["REF_PHS"]) and 0 <= row["COEFF"][0] < 1
    for minutes in (-29, 0, 0.125, 28):
        seconds = BLOCK.day_part * 86400 + Fraction(minutes) * 60
        found, frequency = turns(row, BLOCK.day, seconds)
        assert abs(found - _phase(Fraction(minutes))) < Fraction(1, 10**12)
        slope = 60 * float(BLOCK.frequency) + sum(
            k * float(c) * minutes ** (k - 1) for k, c in enumerate(BLOCK.coefficients) if k)
        assert frequency == pytest.approx(slope / 60, rel=1e-14)


def test_a_block_of_a_row_is_exact() -> None:
    row, = rows_of([BLOCK])
    again, = rows_of([SimpleNamespace(**block_of(row))])
    assert again == row
    assert block_of(row)["site"] == "3" and block_of(row)["span_min"] == 60
