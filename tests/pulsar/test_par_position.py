"""Positions of par files, and their way into archives."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import BarycentricMeanEcliptic, SkyCoord
from pulsar.profiles_made import profiles

from fastsig.errors import DoubtWarning
from fastsig.pulsar.par_position import par_position, separation_deg
from fastsig.reductions.folding.ephemerides import with_ephemerides

CRAB = "PSR J0534+2200\nRAJ 05:34:31.97 1 0.005\nDECJ -22:00:52.5\nF0 30\n"


def test_equatorial_and_ecliptic_positions() -> None:
    ra, dec = par_position(CRAB)
    assert ra == pytest.approx(83.633208, abs=1e-6) and dec == pytest.approx(-22.014583, abs=1e-6)
    truth = SkyCoord(ra, dec, unit="deg")
    there = truth.transform_to(BarycentricMeanEcliptic(equinox="J2000"))
    for names in (("ELONG", "ELAT"), ("LAMBDA", "BETA")):
        found = par_position(f"{names[0]} {there.lon.deg:.12f}\n{names[1]} {there.lat.deg:.12f} 1")
        assert separation_deg(found, (ra, dec)) < 0.05 / 3600  # of another obliquity, 0.04 arcsec
    assert par_position("PSR X\nF0 1\n") is None and par_position("RAJ x\nDECJ 1\n") is None


def test_separations_are_those_of_astropy() -> None:
    rng = np.random.default_rng(1)
    for _ in range(5):
        (a, b), (c, d) = rng.uniform(0, 360, 2), rng.uniform(-90, 90, 2)
        apart = SkyCoord(a, c, unit="deg").separation(SkyCoord(b, d, unit="deg")).to_value(u.deg)
        assert separation_deg((a, c), (b, d)) == pytest.approx(apart, abs=1e-10)


def test_the_position_of_the_par_file_is_in_the_archive(tmp_path: Path) -> None:
    """One warning if the telescope pointed elsewhere, by more than a beam: 3 arcmin of FAST."""
    (tmp_path / "a.par").write_text(CRAB)
    near = (83.64, -22.02)  # 0.5 arcmin away
    for place, telescope, warned in (
            (near, "FAST", ""), ((None, None), "FAST", ""), ((83.7, -22.02), "FAST", "arcmin wide"),
            ((83.7, -22.02), "Parkes", ""), ((85.0, -22.02), "Parkes", "30 arcmin wide")):
        made = profiles(header={"telescope": telescope, "ra_deg": place[0], "dec_deg": place[1]})
        first = profiles()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            same, found = with_ephemerides([first, made], [tmp_path / "a.par"])
        assert same is first and found.ephemeris == CRAB
        assert found.header.ra_deg == pytest.approx(83.633208, abs=1e-6)
        assert [each.category for each in caught] == [DoubtWarning] * bool(warned), telescope
        assert all(warned in str(each.message) for each in caught)
