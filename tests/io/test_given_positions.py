"""Positions that the user gives, in every form, and what products make of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import astropy.units as u
import h5py
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from cli import fastsig
from foreign_readers import presto_psrfits, sigproc_header
from streams import header, write_native

import fastsig as fs
from fastsig.axes import sky

RA, DEC = 83.63321, 22.0145


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Voltages whose header has no position."""
    data = np.random.default_rng(1).integers(-60, 60, (20_000, 1)).astype("i1")
    about = header(n_pol=1).replace(ra_deg=None, dec_deg=None)
    return write_native(tmp_path / "v.h5", data, about)


@pytest.mark.parametrize("given", [
    {"position": SkyCoord(RA, DEC, unit="deg")},
    {"position": SkyCoord(RA, DEC, unit="deg").galactic},
    {"position": (RA * u.deg, DEC * u.deg)},
    {"position": "5h34m31.9704s, +22d00m52.2s"},
    {"ra": "5h34m31.9704s", "dec": "22.0145deg"}, {"ra": "05:34:31.9704", "dec": "+22:00:52.2"},
    {"ra": "83.63321 deg", "dec": DEC * u.deg},
])
def test_forms(recording: Path, given: dict[str, Any]) -> None:
    chain = fs.open(recording, **given)
    assert chain.header.ra_deg == pytest.approx(RA, abs=1e-9)
    assert chain.header.dec_deg == pytest.approx(DEC, abs=1e-9)
    assert chain.header.origin["ra_deg"] == chain.header.origin["dec_deg"] == "override"
    assert all("SkyCoord" not in text for text in chain.stream.overrides.values())


@pytest.mark.parametrize(("given", "match"), [
    ({"ra": "83.6", "dec": "22deg"}, "ra = '83.6'; allowed: a right ascension such as 5h34m31"),
    ({"ra": 83.6, "dec": "22deg"}, "ra = 83.6; allowed"),
    ({"ra": "5h", "dec": "95deg"}, "dec = 95deg; allowed: -90 to 90 deg"),
    ({"ra": "5h"}, "ra without dec"), ({"dec": "5deg"}, "dec without ra|dec, or dec without ra"),
    ({"position": "5h"}, "position = '5h'; allowed: a SkyCoord"),
    ({"position": "5h,4deg", "ra": "5h"}, "position beside ra"),
    ({"position": SkyCoord([1, 2], [3, 4], unit="deg")}, "2 places; allowed: one"),
    ({"ra": "5MHz", "dec": "2deg"}, "ra = '5MHz'"), ({"ra": "nan deg", "dec": "2deg"}, "ra = 'nan"),
])
def test_what_is_refused(recording: Path, given: dict[str, Any], match: str) -> None:
    with pytest.raises(fs.UsageError, match=match):
        fs.open(recording, **given)


def test_hours_and_turns() -> None:
    assert sky.right_ascension("-1h") == 345 and sky.right_ascension("24h") == 0
    assert sky.declination("-0:30:00") == -0.5


def test_products_have_it(recording: Path, tmp_path: Path) -> None:
    chain = fs.open(recording, position="5h34m31.9704s,22.0145deg").channelize(16).detect("I")
    for name in ("a.h5", "a.fil", "a.fits"):
        chain.write(tmp_path / name, lossy=True)
    seen = presto_psrfits(tmp_path / "a.fits")
    assert (seen.ra_deg, seen.dec_deg) == pytest.approx((RA, DEC), abs=1e-8)
    head, _ = sigproc_header(tmp_path / "a.fil")
    assert (head["src_raj"], head["src_dej"]) == pytest.approx((53431.9704, 220052.2), abs=1e-6)
    with h5py.File(tmp_path / "a.h5") as file:
        cards = file["data"].attrs
        assert (cards["src_raj"] * 15, cards["src_dej"]) == pytest.approx((RA, DEC), abs=1e-9)


def test_turboseti_opens_a_product_without(recording: Path, tmp_path: Path) -> None:
    fs.open(recording).channelize(16).detect("I").write(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:  # both are asked for, whatever they hold
        assert (file["data"].attrs["src_raj"], file["data"].attrs["src_dej"]) == (0, 0)
    assert fs.open(tmp_path / "a.h5").header.ra_deg is None
    given = fs.open(tmp_path / "a.h5", ra="1h", dec="2deg").header
    assert (given.ra_deg, given.dec_deg) == (15, 2)


def test_command(recording: Path, tmp_path: Path) -> None:
    call = ("spectra", recording, "-o", "a.fits", "--n-chan", 16, "--lossy")
    done = fastsig(*call, cwd=tmp_path)
    assert "RA and DEC are written as 0; --set ra=" in done.stderr
    done = fastsig(*call, "--overwrite", "--set", "ra=5h34m31.9704s", "--set", "dec=22.0145deg",
                   cwd=tmp_path)
    assert "note" not in done.stderr
    assert presto_psrfits(tmp_path / "a.fits").ra_deg == pytest.approx(RA, abs=1e-8)
