"""Rows of POLYCO for polynomials with the decimals of TEMPO's text."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from pulsar.profiles_made import profiles

from fastsig.axes.time import time_from_mjd
from fastsig.pulsar.polyco import Polyco
from fastsig.pulsar.polyco_rows import block_of, phases_by, rows_of
from fastsig.pulsar.polyco_text import Block

# The text of a block: eleven decimals of the middle, six of the phase, twelve of the frequency.
BLOCK = Block(
    "J0000+00", 58245, Fraction("0.37512345678"), 30.0, 0.0, -6.1,
    Fraction("146774936445.058162"), Fraction("641.973647812571"), "3", 60, 327.0,
    (Fraction("-3.7e-7"), Fraction("0.91806768412345678"), Fraction("7.44e-5"),
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
        (found,), (frequency,) = phases_by(row, (BLOCK.day, seconds), np.zeros(1))
        want = _phase(Fraction(minutes))
        assert -0.5 < found <= 0.5
        assert abs(Fraction(found) - (want - round(want))) < Fraction(1, 10**12)
        slope = 60 * float(BLOCK.frequency) + sum(
            k * float(c) * minutes ** (k - 1) for k, c in enumerate(BLOCK.coefficients) if k)
        assert frequency == pytest.approx(slope / 60, rel=1e-14)


def test_a_block_of_a_row_is_exact() -> None:
    row, = rows_of([BLOCK])
    assert rows_of([block_of(row)]) == (row,)
    assert block_of(row).site == "3" and block_of(row).span_min == 60


def test_the_polyco_of_profiles_is_that_of_the_fold() -> None:
    made = profiles(predictor=rows_of([BLOCK]))
    start = time_from_mjd(58245, 32000)
    seconds = np.array([0.0, 700.25])
    turns, fraction = made.polyco().phase(start, seconds)
    want = Polyco([BLOCK]).phase(start, seconds)
    np.testing.assert_array_equal(turns, want[0])
    np.testing.assert_allclose(fraction, want[1], atol=1e-12)
    assert profiles().polyco() is None
