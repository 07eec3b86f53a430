"""Flux densities of calibrators."""

from __future__ import annotations

import json

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from recordings import recorded

import fastsig as fs
from fastsig.telescopes import calibrators

VARIABLE = {"3C48", "3C138", "3C147"}


def test_3c286() -> None:
    # log10 S at 1 GHz is the first coefficient; at 10 GHz their sum.
    found = calibrators.flux("3c 286", [1, 10] * u.GHz)
    assert found.unit == u.Jy
    total = 1.2481 - 0.4507 - 0.1798 + 0.0357
    assert np.log10(found.value) == pytest.approx([1.2481, total], abs=1e-12)
    assert calibrators.flux("J1331+3030", 1400 * u.MHz).value == pytest.approx(15.08, abs=0.01)


@pytest.mark.recorded
def test_all_are_those_of_the_paper() -> None:
    path = recorded("fast_hifast_ref/cbr/data/PerleyButler2017.0.json")
    table = json.loads(path.read_text())
    for name in calibrators.names():
        each, row = calibrators.get(name), table[name]
        published = np.round(row["coeff"], 4)
        ours = np.pad(each.coefficients, (0, 6 - len(each.coefficients)))
        assert ours.tolist() == published.tolist()
        place = SkyCoord(row["ra"] * u.deg, row["dec"] * u.deg)
        assert each.position.separation(place) < 3 * u.arcsec  # seconds with one decimal there


@pytest.mark.parametrize("name", calibrators.names())
def test_what_varies_is_told(name: str) -> None:
    if name in VARIABLE:
        with pytest.warns(fs.FastsigWarning, match=f"{name}: it varies"):
            calibrators.flux(name, 1.4 * u.GHz)
    else:
        calibrators.flux(name, 1.4 * u.GHz)  # warnings are errors


def test_3c48_has_flared() -> None:
    with pytest.warns(fs.FastsigWarning, match="flared since about 2018; prefer 3C286"):
        calibrators.flux("3C48", 1.4 * u.GHz)


def test_outside_of_their_range() -> None:
    with pytest.raises(fs.UsageError, match=r"3C380 is known from 0\.05 to 4 GHz, not at 5 GHz"):
        calibrators.flux("3C380", [1, 5] * u.GHz)
    found = calibrators.flux("3C380", [1, 5] * u.GHz, outside="nan")
    assert np.isnan(found.value).tolist() == [False, True]
    with pytest.raises(fs.UsageError, match="'3C1'; there are 3C48, 3C123"):
        calibrators.get("3C1")
