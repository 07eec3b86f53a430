"""Angles of headers."""

from __future__ import annotations

import warnings

import pytest
from astropy.coordinates import Angle
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastsig.io.files.cards import Cards

WHOLE = st.integers(0, 400).flatmap(lambda n: st.sampled_from([str(n), f"{n:02d}", f"{n:03d}"]))
PART = st.integers(0, 61).flatmap(lambda n: st.sampled_from([str(n), f"{n:02d}"]))
TAIL = st.sampled_from(["", "."]) | st.from_regex(r"\.[0-9]{1,9}", fullmatch=True)


@settings(deadline=None)
@example("", "18", "10", "37", ".28", "hourangle")
@example("-", "0", "00", "01", ".5", "deg")
@example("-", "24", "00", "00", "", "hourangle")
@given(st.sampled_from(["", "+", "-", " ", " -"]), WHOLE, PART, PART, TAIL,
       st.sampled_from(["hourangle", "deg"]))
def test_sexagesimal_texts_are_read_as_by_astropy(sign: str, whole: str, minutes: str, seconds: str,
                                                  tail: str, unit: str) -> None:
    text = f"{sign}{whole}:{minutes}:{seconds}{tail}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of 60 minutes
        found = Cards({"RA": text}, "file").angle("RA", unit)
        try:
            expected = float(Angle(text, unit=unit).deg)
        except ValueError:
            expected = None
    assert found == expected and repr(found) == repr(expected)  # the sign of 0, too


@pytest.mark.parametrize("text, degrees", [
    ("18h10m37.28s", 272.65533333333332), ("12.5", 12.5), ("1:2", 1 + 2 / 60), ("", None),
    ("*", None), ("1:2:3:4", None), ("25:00:00h", None)])
def test_other_texts_are_left_to_astropy(text: str, degrees: float | None) -> None:
    found = Cards({"RA": text}, "file").angle("RA", "deg")
    assert found is None if degrees is None else found == pytest.approx(degrees)
