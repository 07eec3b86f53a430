"""Lines of .tim files: digits, flags, refusals."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from fastsig.errors import UsageError
from fastsig.pulsar.toas import Toa, mjd_text, tim_text

TOA = Toa(58245, Fraction(32400) + Fraction(123456789012, 10**12), 1.23456, 1250.0, "fast",
          "a.ar", {"fe": "L19", "snr": "12.3"})


def test_lines_have_the_columns_of_format_1() -> None:
    lines = tim_text([TOA, replace(TOA, freq_mhz=np.inf, flags={})]).splitlines()
    assert lines[0] == "FORMAT 1"
    assert lines[1].split() == ["a.ar", "1250.000000", mjd_text(TOA.day, TOA.seconds), "1.23456",
                                "fast", "-fe", "L19", "-snr", "12.3"]
    assert lines[2].split()[1] == "0.000000"


def test_mjd_has_enough_digits_for_a_nanosecond_and_carries() -> None:
    text = mjd_text(TOA.day, TOA.seconds)
    exact = 58245 + TOA.seconds / 86400
    assert abs(Fraction(text) - exact) * 86400 < Fraction(5, 10**12)
    assert mjd_text(59000, 86400 - Fraction(1, 10**13)) == "59001.0000000000000000"
    assert mjd_text(59000, Fraction(0)) == "59000.0000000000000000"


def test_leap_seconds_have_no_mjd() -> None:
    with pytest.raises(UsageError, match="leap second"):
        mjd_text(57753, Fraction(86400))


@pytest.mark.parametrize("change", [
    {"site": ""}, {"name": "a b"}, {"flags": {"fe": "L 19"}}, {"flags": {"f e": "1"}},
    {"error_us": 0.0}, {"error_us": np.inf}, {"freq_mhz": -1.0}, {"name": "a#b"}])
def test_what_a_line_cannot_hold_is_refused(change: dict) -> None:
    with pytest.raises(UsageError):
        replace(TOA, **change).line()


def test_no_toas_make_no_file() -> None:
    with pytest.raises(UsageError, match="no time"):
        tim_text([])
