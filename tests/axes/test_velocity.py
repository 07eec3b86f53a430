"""Rest frequencies and conventions of velocity, against astropy's equivalencies."""

import astropy.units as u
import numpy as np
import pytest

from fastsig.axes.velocity import CONVENTIONS, LINES, frequency, line, velocity
from fastsig.errors import UsageError


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_conventions_are_those_of_astropy_both_ways(convention):
    rest = LINES["HI"].rest
    found = np.linspace(1250, 1450, 21) << u.MHz
    doppler = getattr(u, f"doppler_{convention}")(rest)
    speeds = velocity(found, "HI", convention)
    expected = found.to(u.km / u.s, equivalencies=doppler)
    assert np.abs(speeds - expected).max() < 1e-6 * u.m / u.s
    back = frequency(speeds, rest, convention)
    assert np.abs(back / found - 1).max() < 1e-14
    assert speeds[0] > 0 * u.km / u.s > speeds[-1]  # positive recedes


def test_lines():
    assert line("hi").mhz == 1420.405751768
    assert line("HI").hz == 1420405751.768
    assert line(" OH1667 ").rest == 1667.3590 * u.MHz
    # Lilley and Palmer 1968, ApJS 16, 143: H166a 1424.734 MHz, C166a 1425.444 MHz.
    assert line("H166a").mhz == pytest.approx(1424.734, abs=5e-4)
    assert line("C166alpha").mhz == pytest.approx(1425.444, abs=1e-3)
    assert line("H209b").mhz < line("H208b").mhz
    assert line("1.42GHz").mhz == 1420
    assert line(3 * u.GHz).source == "given"
    assert all(each.source for each in LINES.values())


@pytest.mark.parametrize("wrong", ["CO", "1420", 1420.4, "-3MHz", "3km/s", "0MHz", 2 * u.s])
def test_no_line(wrong):
    with pytest.raises(UsageError):
        line(wrong)


def test_no_convention():
    with pytest.raises(UsageError, match="radio, optical, relativistic"):
        velocity(1420 * u.MHz, "HI", "redshift")
