"""Files of simulated scans, their truth records, the command line and wrong use."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastsig as fs
from fastsig.cli.main import cli
from fastsig.errors import OutputError, UsageError
from fastsig.simulate import (
    Continuum,
    Diode,
    FastScan,
    GainDrift,
    HIDisk,
    Jones,
    PointSource,
    Ripple,
    SkyPulsar,
    Tcal,
    write_ky,
    write_scan,
)

START = "2023-12-01T16:30:00"  # 5h +20d is 11 deg from the zenith
TARGET = {"ra": "5h0m0s", "dec": "20d"}
SMALL = {"duration": "6s", "n_chan": 8, "fstart": "1400MHz", "start_time": START,
         "sky": [PointSource("5h0m0s", "+20d", "5Jy", index="-0.7")], **TARGET}


def test_files_of_a_spectral_scan(tmp_path: Path) -> None:
    scan = FastScan(name="SKY", diode=Diode("high"), **SMALL)
    names = write_scan(scan, tmp_path)
    assert sorted(Path(name).name for name in names) == sorted(
        path.name for path in tmp_path.iterdir())
    told = json.loads((tmp_path / "SKY_drifting_truth.json").read_text())
    assert told == json.loads(json.dumps(scan.truth))
    assert sorted(told["beams"]) == [f"M{beam:02d}" for beam in range(1, 20)]
    seeds = {each["spectra"]["seed"] for each in told["beams"].values()}
    assert len(seeds) == 19 and told["beams"]["M01"]["spectra"]["seed"] == 1
    for beam in (1, 19):
        chain = fs.open(tmp_path / f"SKY_drifting-M{beam:02d}_W_0001.fits")
        assert chain.header.beam == beam and chain.shape == (6, 4, 8)
        np.testing.assert_array_equal(
            chain.read().values, scan.recordings[beam].generate(0, 6)[0])
    write_ky(scan.track, tmp_path / "again.xlsx")
    assert (tmp_path / "again.xlsx").read_bytes() == (
        tmp_path / "SKY_2023_12_02_00_29_57_000.xlsx").read_bytes()
    with pytest.raises(OutputError, match="exists"):
        write_scan(scan, tmp_path)
    write_scan(scan, tmp_path, overwrite=True)


def test_files_of_a_pulsar_scan(tmp_path: Path) -> None:
    scan = FastScan(duration="20ms", backend="psrfits", beams="7", n_chan=16, start_time=START,
                    observing="tracking", **TARGET)
    names = write_scan(scan, tmp_path, n_bits=32, n_block=64)
    assert write_scan(scan, tmp_path, n_bits=32, n_block=64, overwrite=True) == names
    assert [Path(name).name for name in names] == [
        "SIMULATED_tracking-M07_0001.fits", "SIMULATED_2023_12_02_00_29_57_000.xlsx",
        "SIMULATED_tracking_truth.json"]
    chain = fs.open(names[0])
    assert (chain.header.ra_deg, chain.header.dec_deg) == pytest.approx((75, 20))
    data, _ = scan.recordings[7].generate(0, scan.n_time)
    np.testing.assert_array_equal(chain.read().values[: len(data)], data)


def test_scan_of_the_command_line(tmp_path: Path) -> None:
    words = ["simulate", "fast-scan", "-o", str(tmp_path), "-q", "--beams", "1+3", "--duration",
             "3s", "--n-chan", "4", "--ra", "5h0m0s", "--dec", "20d", "--start-time", START,
             "--point", "ra=5h0m0s,dec=20d,flux=3Jy,q=0.1", "--disk", "ra=75deg,dec=20deg,mass=1e9",
             "--pulsar", "ra=75deg,dec=20deg,flux=1Jy,period=1s,dm=3",
             "--continuum", "temperature=1K",
             "--diode", "temperature=high", "--tcal", "q=0.05", "--drift", "amplitude=0.02",
             "--ripple", "amplitude=1K", "--jones", "ratio=1.2,phase=60deg", "--fstart", "1400MHz",
             "--yaw", "3deg", "--refraction", "--ky-step", "0.5s", "--feed-angle", "10deg"]
    cli.main(words, standalone_mode=False)
    told = json.loads((tmp_path / "SIMULATED_drifting_truth.json").read_text())
    scan = FastScan(
        duration="3s", n_chan=4, beams=[1, 3], start_time=START, fstart="1400MHz", yaw="3deg",
        refraction=True, feed_angle="10deg", diode=Diode("high"), tcal=Tcal(q=0.05),
        drift=GainDrift(0.02), ripples=[Ripple("1K")], jones=Jones(1.2, "60deg"),
        continuum=Continuum("1K"), sky=[PointSource("75deg", "20deg", "3Jy", q="0.1"),
                                     HIDisk("75deg", "20deg", 10**9),
                                     SkyPulsar("75deg", "20deg", "1Jy", "1s", 3)], **TARGET)
    same = json.loads(json.dumps(scan.truth))
    for key in told:
        assert told[key] == same[key]
    assert [each["kind"] for each in told["sky"]] == ["PointSource", "HIDisk", "SkyPulsar"]


def test_default_target_is_at_the_zenith() -> None:
    scan = FastScan(duration="10s", beams="1", n_chan=1)
    assert scan.track.zenith_deg(1, np.array([5.0]))[0] < 1e-3


@pytest.mark.parametrize(("wrong", "match"), [
    ({"dec": "70d"}, r"zenith angle of 44\.\d+ deg; allowed: up to 40"),
    ({"beams": "0-3"}, "beams = '0-3'; allowed: from 1 to 19"), ({"beams": "x"}, "1-19 or"),
    ({"beams": []}, "from 1 to 19"), ({"observing": "staring"}, "drifting, tracking, onoff"),
    ({"ra": "noon"}, "ra = 'noon'"), ({"dec": "100d"}, "-90 to 90"),
    ({"backend": "voltages"}, "spectral, psrfits"), ({"bandwidth": "1MHz"}, "backend spectral"),
    ({"backend": "psrfits", "mode": "W"}, "backend psrfits"), ({"dwell": "0s"}, "dwell"),
    ({"rotation": "3s"}, "rotation"), ({"seed": -1}, "seed"), ({"beams": "3-1"}, "from 1 to 19"),
])
def test_wrong_scans(wrong: dict[str, Any], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        FastScan(**{**SMALL, **wrong})


@pytest.mark.parametrize(("make", "match"), [
    (lambda: PointSource("x", "1deg", "1Jy"), "point ra"),
    (lambda: PointSource("1deg", "91deg", "1Jy"), "point dec"),
    (lambda: PointSource("1deg", "1deg", "1Jy", q=0.8, u=0.8), "q, u, v"),
    (lambda: PointSource("1deg", "1deg", "1K"), "point flux"),
    (lambda: PointSource("1deg", "1deg", "-1Jy"), "point flux"),
    (lambda: HIDisk("1deg", "1deg", frame="cmb"), "topocentric, barycentric, lsrk"),
    (lambda: HIDisk("1deg", "1deg", inclination="100deg"), "inclination"),
    (lambda: SkyPulsar("1deg", "1deg", "1Jy", "1s", 1, linear=0.9, circular=0.9), "q, u, v"),
    (lambda: PointSource(["1deg", "2deg"], "1deg", "1Jy"), "single"),
    (lambda: PointSource("1Jy", "1deg", "1Jy"), "point ra"),
])
def test_wrong_skies(make: Any, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        make()


def test_wrong_steps_of_the_cabin_file(tmp_path: Path) -> None:
    scan = FastScan(**SMALL)
    for step in ("0s", "0.1ms"):
        with pytest.raises(UsageError, match="ky_step"):
            write_scan(scan, tmp_path, ky_step=step)
    assert not list(tmp_path.iterdir())
    with pytest.raises(OutputError, match="is not a folder"):
        write_scan(scan, tmp_path / "none")


def test_the_simulator_knows_no_code_that_reduces() -> None:
    # The contract of import-linter can name only modules that are there.
    apart = ("stages", "plan", "chain", "reduce", "reductions", "telescopes", "pointing",
             "calibration")
    found = set()
    for path in (Path(__file__).parents[2] / "fastsig" / "simulate").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {name.name for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                found |= {f"{node.module}.{name.name}" for name in node.names} | {node.module or ""}
    assert "fastsig.simulate.beams" in found
    assert not [name for name in found if name.startswith(tuple(f"fastsig.{x}" for x in apart))]
