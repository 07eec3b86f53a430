"""Pointing and the receiver's tables against the simulator, which shares no code with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pytest

from fastsig import telescopes
from fastsig.io.fast import ky
from fastsig.simulate import FastScan, beams, write_ky
from fastsig.telescopes.pointing import Refraction, mid_times


@pytest.mark.parametrize("parameters", [
    {"observing": "drifting", "yaw": "6deg", "rotation": "23.4deg"},
    {"observing": "tracking", "rotation": "60deg", "refraction": True,
     "yaw": "-3deg"},
    {"observing": "onoff", "dwell": "8s", "slew": "3s"},
])
def test_positions_of_a_simulated_scan(parameters: dict[str, Any], tmp_path: Path) -> None:
    scan = FastScan(duration="30s", n_chan=1, integration="0.50331648s", ra="5h0m0s", dec="20d",
                    start_time="2023-12-01T16:30:00.7", **parameters)
    write_ky(scan.track, tmp_path / "a.xlsx")
    track = ky.read(tmp_path / "a.xlsx")
    times = mid_times(scan.horizon.start, 1 / scan.integration, scan.n_time)
    assert track.air == (Refraction(925, 15, 0.8, 0.3) if "refraction" in parameters else None)
    found = track.positions(times)
    assert not found.extrapolated.any()
    for number, beam in enumerate(found.beams):
        told = scan.truth["beams"][f"M{beam:02d}"]
        ra, dec = (getattr(found, name).to_value("deg")[:, number] for name in ("ra", "dec"))
        apart = np.hypot((ra - told["ra_deg"]) * np.cos(np.deg2rad(dec)), dec - told["dec_deg"])
        # At 400 arcsec a second, rows 0.2 s apart cut the corner where it starts and stops.
        slews = parameters["observing"] == "onoff"
        assert np.quantile(apart, 0.9) < (0.01 if slews else 1e-4) / 3600
        assert apart.max() < (20 if slews else 1e-4) / 3600
    np.testing.assert_allclose(
        np.mod(track.receiver_angle(times).to_value("deg") + 90, 180), scan.truth["angle_a_deg"],
        atol=0.02)


def test_tables_of_the_receiver_agree() -> None:
    receiver = telescopes.get("FAST").receiver()
    mhz = np.array([1060.0, 1234.0, 1400.0, 1433.0])
    for beam in range(1, 20):
        for za in (0.0, 20.0, 26.4, 35.0):
            mine = beams.gain(beam, mhz * 1e6, za, 25)
            other = receiver.gain(beam, mhz * u.MHz, za * u.deg, 25 * u.deg_C)
            np.testing.assert_allclose(mine, other.to_value("K / Jy").ravel(), rtol=1e-9)
        other = receiver.hpbw(beam, mhz * u.MHz).to_value("rad").ravel()
        np.testing.assert_allclose(beams.hpbw_rad(beam, mhz * 1e6), other, rtol=1e-9)
