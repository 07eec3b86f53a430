"""Position angles on the sky: parallactic angles as astropy has them, and a rotating receiver."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import AltAz, SkyCoord
from astropy.io import fits
from cli import fastsig
from pulsar.profiles_made import profiles

import fastsig as fs
from fastsig import telescopes
from fastsig.axes.polarization import PolBasis
from fastsig.errors import FastsigWarning, PlanError, UsageError
from fastsig.pulsar.profile_values import profile_values
from fastsig.pulsar.profiles import Profiles
from fastsig.pulsar.sky_frame import parallactic_deg

STOKES, PA, FEED = (1.0, 0.4, 0.3, -0.1), 25.0, 12.0
N, STEP_S = 25, 600.0  # 4 h, over the meridian


def angles(made: Any) -> np.ndarray:
    """Position angles of the zenith as astropy computes them: great circles in the ICRS, deg."""
    place = telescopes.get("FAST").location
    source = SkyCoord(made.header.ra_deg, made.header.dec_deg, unit="deg")
    zenith = SkyCoord(AltAz(alt=90 * u.deg, az=0 * u.deg, obstime=made.epochs, location=place))
    return source.position_angle(zenith.icrs).deg


def seen(n: int = N, dec: float = 41.0, sign_q: int = 1, **fields: Any) -> Profiles:
    """Profiles of a pulsar of position angle `PA`, through a feed at `FEED` from the vertical."""
    made = profiles(n, names=tuple("IQUV"), offsets=STEP_S * np.arange(n), **fields)
    made = made.replace(header=made.header.replace(
        ra_deg=155.0, dec_deg=dec,
        polarization=PolBasis("linear", tuple("IQUV"), sign_q=sign_q)))
    turn = np.exp(2j * np.radians(PA - FEED - angles(made)))
    shape = (made.data[:, :1] - 5) / (made.data[0, 0, 0, 19] - 5)
    noise = 1e-3 * np.random.default_rng(1).normal(size=made.data.shape)
    parts = np.stack([np.full(n, 1.0), sign_q * 0.5 * turn.real, 0.5 * turn.imag,
                      np.full(n, -0.1)], axis=1)
    return made.replace(data=(shape * parts[:, :, None, None] + noise).astype(np.float32))


@pytest.mark.parametrize("dec", [-10.0, 25.6, 41.0, 62.0])
def test_parallactic_angles_are_those_of_astropy(dec: float) -> None:
    """To 0.002 deg: aberration and the deflection of light change angles by about 20 arcsec."""
    made = seen(dec=dec)
    apart = parallactic_deg(made, made.epochs) - angles(made)
    near = np.abs((apart + 180) % 360 - 180)
    # Near the zenith, where its direction is not known as well: by 20 arcsec / sin z.
    place = telescopes.get("FAST").location
    high = SkyCoord(155.0, dec, unit="deg").transform_to(AltAz(
        obstime=made.epochs, location=place)).zen.rad
    assert (near < 0.01 + 0.006 / np.sin(high)).all(), near.max()


@pytest.mark.parametrize("sign_q", [1, -1])
def test_a_rotating_receiver_is_derotated(sign_q: int) -> None:
    made = seen(sign_q=sign_q)
    swing = angles(made)
    assert np.ptp(np.unwrap(np.radians(2 * swing))) > np.radians(60)
    assert profile_values(made)["linear"] < 0.45  # it is depolarised
    found = made.to_sky(f"{FEED}deg")
    basis = found.header.polarization
    assert basis.frame == "sky" and basis.names == tuple("IQUV") and basis.sign_q == sign_q
    each = found.data[:, :, :, 19].mean(axis=2)
    pa = np.degrees(np.arctan2(each[:, 2], sign_q * each[:, 1])) / 2
    np.testing.assert_allclose(pa, PA, atol=0.12)  # the noise: 0.03 deg
    np.testing.assert_array_equal(found.data[:, [0, 3]], made.data[:, [0, 3]])
    assert found.provenance["stages"][-1]["parameters"]["feed_angle_deg"] == FEED
    values = profile_values(made, feed_angle="12deg")
    assert values["frame"] == "sky" and values["linear"] == pytest.approx(0.5, abs=0.002)
    assert abs(values["pa"] - PA) < 0.02 and 0 < values["pa_error"] < 0.02


def test_the_frame_is_written_and_read(tmp_path: Path) -> None:
    seen(4).to_sky("12deg").write(tmp_path / "sky.ar")
    found = fs.open_profiles(tmp_path / "sky.ar")
    assert found.header.polarization.frame == "sky"
    with fits.open(tmp_path / "sky.ar", "update") as file:
        assert file["HISTORY"].data[-1]["PR_CORR"] == 1
        del file["SUBINT"].header["POLFRAME"]  # as PSRCHIVE writes it
    assert fs.open_profiles(tmp_path / "sky.ar").header.polarization.frame == "sky"
    seen(4).write(tmp_path / "a.ar")
    rows = []
    for name, options in (("a", ()), ("a", ("--feed-angle", "12deg")), ("sky", ())):
        fastsig("measure", tmp_path / f"{name}.ar", "-o", tmp_path / "x.ecsv", "--overwrite",
                *options)
        from astropy.table import QTable

        rows.append(QTable.read(tmp_path / "x.ecsv")[0])
    assert [row["frame"] for row in rows] == ["receiver", "sky", "sky"]
    assert abs(rows[1]["pa"].value - PA) < 0.1 and abs(rows[0]["pa"].value - PA) > 1
    assert abs(rows[2]["pa"].value - rows[1]["pa"].value) < 0.01


def test_what_has_no_angle() -> None:
    made = seen(3)
    for header, words in (({"ra_deg": None}, "requires the position"),
                          ({"telescope": None}, "requires the telescope"),
                          ({"extra": {"barycentric": 1}}, "those of the barycentre")):
        with pytest.raises(PlanError, match=words):
            made.replace(header=made.header.replace(**header)).to_sky("12deg")
    with pytest.raises(PlanError, match="already in the frame of the sky"):
        made.to_sky("12deg").to_sky("12deg")
    with pytest.raises(PlanError, match="requires AA, BB, CR, CI"):
        made["I"].to_sky("12deg")
    with pytest.raises(UsageError, match="feed_angle"):
        made.to_sky("12s")


def test_a_long_subintegration_is_reported() -> None:
    made = seen(3).replace(durations=np.full(3, 9000.0))
    with pytest.warns(FastsigWarning, match=r"rotates by .* within a subintegration"):
        made.to_sky("12deg")


def test_position_angle_at_the_centre_of_the_band() -> None:
    """With Faraday rotation: the angle at the mean frequency, and its error."""
    rng = np.random.default_rng(5)
    made = profiles(1, names=tuple("IQUV"), n_chan=32, n_bin=128, header={})
    mhz = made.frequency.value
    turn = np.exp(2j * (np.radians(PA) + 80 * ((299.792458 / mhz) ** 2
                                                - (299.792458 / mhz.mean()) ** 2)))
    shape = (made.data[:, :1, :1] - 5) / (made.data[0, 0, 0].max() - 5)
    parts = np.stack([np.ones(32), 0.5 * turn.real, 0.5 * turn.imag, np.zeros(32)])
    found = []
    for _ in range(40):
        data = shape * parts[None, :, :, None] + 0.3 * rng.normal(size=made.data.shape)
        values = profile_values(made.replace(data=data.astype(np.float32), dm=None))
        found.append((values["pa"] - PA) / values["pa_error"])
    assert values["frame"] == "receiver" and abs(np.mean(found)) < 3 / np.sqrt(40)
    assert 0.7 < np.std(found) < 1.4
