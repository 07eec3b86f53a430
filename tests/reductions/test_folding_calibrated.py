"""Folds of spectra that are calibrated first: Stokes parameters through an uneven receiver."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from cli import fastsig
from diode_scans import Made, spectra

import fastsig as fs
from fastsig import simulate
from fastsig.chain import Chain
from fastsig.errors import PlanError, UsageError
from fastsig.pulsar.profile_values import profile_values
from fastsig.pulsar.profiles import Profiles
from fastsig.reductions.diode.calibration import calibrated, solve

PERIOD, DUTY, PEAK = "89.3ms", 0.1, 4.0
#: Stokes parameters of the pulsar: 60 % linear at 20 degrees, -30 % circular.
WANTED = PEAK * np.array([2, 1.2 * np.cos(np.radians(40)), 1.2 * np.sin(np.radians(40)), -0.6])
TCAL = "13.125K,11.875K"


def recording(**more: Any) -> Any:
    """A pulsar through unequal feeds, and FAST's diode for pulsars, which is uneven, too."""
    return spectra(**{
        "duration": "6s", "n_chan": 32, "bandwidth": "62.5MHz", "integration": "0.786432ms",
        "diode": simulate.Diode("12.5K", period=50331648, on=25165824),
        "jones": simulate.Jones(ratio=1.3, phase="50deg", delay="2ns"),
        "tcal": simulate.Tcal(q=0.05), "level": 1e6,
        "pulsar": simulate.Pulsar(period=PERIOD, dm=0, duty=DUTY, peak=f"{PEAK}K", linear=0.6,
                                  angle="20deg", circular=-0.3)} | more)


@pytest.fixture(scope="module")
def made() -> Made:
    return Made(recording())


def folded(made: Made, **options: Any) -> Profiles:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found: Profiles = Chain(made).fold(period=PERIOD, dm=0, n_bin=64, subint=None, **options)
    return found


def pulse(found: Profiles) -> tuple[np.ndarray, np.ndarray]:
    """The pulse of I, Q, U, V over the one that is wanted, K or Jy, and errors."""
    mean = found.stokes("IQUV").mean("frequency").data[0, :, 0].astype(float)
    turns = (found.phase + 0.5) % 1 - 0.5
    shape = np.exp(-4 * np.log(2) * (turns / DUTY) ** 2)
    off = np.abs(turns) > 0.2
    level, noise = mean[:, off].mean(axis=1), mean[:, off].std(axis=1)
    height = ((mean - level[:, np.newaxis]) * shape).sum(axis=1) / (shape**2).sum()
    return height, noise / np.sqrt((shape**2).sum())


def test_stokes_parameters_in_kelvin(made: Made) -> None:
    found = folded(made, tcal=TCAL)
    assert found.names == ("AA", "BB", "CR", "CI") and found.header.unit == "K"
    assert found.header.polarization.calibrated and found.header.polarization.frame == "receiver"
    height, error = pulse(found)
    # The error of the scale, 1 %, and of the phase, 0.4 degrees, besides that of the profile.
    assert (np.abs(height - WANTED) < 3 * error + 0.01 * WANTED[0]).all(), (height, error)
    level = found.stokes("I").data[0, 0, :, 20:44].mean()
    assert abs(level / 40 - 1) < 0.01  # the system temperature, without the diode
    stages = found.provenance["inputs"][0]["stages"] if "stages" in found.provenance["inputs"][0] \
        else found.provenance["stages"]
    facts = next(each["parameters"] for each in stages if each["stage"] == "calibrate")
    assert facts["tcal"] == TCAL and facts["phase_corrected"]


def test_the_receiver_would_have_spoilt_them(made: Made) -> None:
    """The calibration is not idle: V differs by far more than its error without it."""
    height, error = pulse(folded(made))
    assert abs(height[3] / height[0] - WANTED[3] / WANTED[0]) > max(0.3, 5 * error[3] / height[0])


def test_jansky_by_a_gain(made: Made) -> None:
    kelvin, jansky = folded(made, tcal=TCAL), folded(made, tcal=TCAL, gain="16K/Jy")
    assert jansky.names == ("I", "Q", "U", "V") and jansky.header.unit == "Jy"
    np.testing.assert_allclose(jansky.data, kelvin.stokes("IQUV").data / 32, rtol=1e-4, atol=1e-5)


def test_two_products_and_one() -> None:
    for products, names in ((slice(0, 2), ("AA", "BB")), (slice(0, 1), ("AA",))):
        part = Made(recording(duration="2s"), products)
        found = folded(part, tcal="12.5K")
        assert found.names == names and found.header.unit == "K"
        assert found.header.polarization.calibrated == (len(names) == 2)
        flux = folded(part, tcal="12.5K", gain="16K/Jy")
        assert flux.names == (("I",) if len(names) == 2 else names) and flux.header.unit == "Jy"


def test_what_is_refused(made: Made) -> None:
    for options in ({"gain": "16K/Jy"}, {"diode": "mode=pulsar"}, {"beam": 1}):
        with pytest.raises(UsageError, match="no effect without tcal"):
            folded(made, **options)
    with pytest.raises(PlanError, match="calibrated already"):
        folded(Made(recording(duration="1s"), unit="K"), tcal=TCAL)


def test_the_command_and_the_archive(tmp_path: Path) -> None:
    """Cards of the diode and PSRCHIVE's name of the calibration are written, and read again."""
    path = tmp_path / "a.fits"
    fastsig("simulate", "fast-psrfits", "-o", path, "--duration", "2s", "--integration",
            "0.786432ms", "--n-chan", "16", "--fstart", "1400MHz", "--bandwidth", "31.25MHz",
            "--bandpass", "flat", "--bits", "16", "--n-block", "256", "--diode",
            "temperature=high", "--pulsar",
            "period=89.3ms,dm=10,duty=0.1,peak=4K,linear=0.6,angle=20deg,circular=-0.3")
    done = fastsig("fold", path, "-o", tmp_path / "a.ar", "--period", PERIOD, "--dm", "10",
                   "--n-bin", "64", "--tcal", "12.5K", "--diode", "mode=pulsar,first=0s")
    assert "noise diode: period" in done.stderr + done.stdout
    found = fs.open_profiles(tmp_path / "a.ar")
    assert found.header.unit == "K" and found.header.polarization.calibrated
    with fits.open(tmp_path / "a.ar") as file:
        cards, last = file[0].header, file["HISTORY"].data[-1]
        assert cards["CAL_FREQ"] == pytest.approx(1 / 0.201326592) and cards["CAL_DCYC"] == 0.5
        assert cards["CAL_PHS"] == 0 and file["SUBINT"].header["UNIT"] == "K"
        assert last["CAL_MTHD"] == "SingleAxis" and last["PR_CORR"] == 0
    fastsig("fold", path, "-o", tmp_path / "b.ar", "--period", PERIOD, "--dm", "10", "--tcal",
            "12.5K", "--gain", "16K/Jy", "--n-chan", "1", "--feed-angle", "12deg", "--set",
            "ra=155deg", "--set", "dec=41deg", "-q")
    with fits.open(tmp_path / "b.ar") as file:
        assert file["SUBINT"].header["SCALE"] == "Jansky"
    sky = fs.open_profiles(tmp_path / "b.ar")
    assert sky.header.polarization.frame == "sky" and sky.names == ("I", "Q", "U", "V")
    before = sorted(tmp_path.iterdir())
    for options, words in (((), "requires the position"),
                           (("--products", "I", "--set", "ra=1deg", "--set", "dec=1deg"),
                            "requires AA, BB, CR, CI"), (("--feed-angle", "12s"), "feed_angle")):
        done = fastsig("fold", path, "-o", tmp_path / "c.ar", "--period", PERIOD, "--feed-angle",
                       "12deg", *options, "--dry-run", code=2)
        assert words in done.stderr
    fastsig("fold", path, "-o", tmp_path / "c.ar", "--period", PERIOD, "--dm", "10", "--tcal",
            "12.5K", "--dry-run", "--json")
    done = fastsig("fold", path, "-o", tmp_path / "c.ar", "--period", PERIOD, "--gain", "16K/Jy",
                   code=2)
    assert "--gain: has no effect without --tcal" in done.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_position_angles_on_the_sky_by_a_track_and_by_the_parallactic_angle(tmp_path: Path) -> None:
    """Through unequal feeds at an angle and an uneven diode, both ways give that of the pulsar."""
    scan = simulate.FastScan(
        duration="2s", beams="1", observing="tracking", backend="psrfits", ra="83.63deg",
        dec="22.01deg", rotation="30deg", feed_angle="12deg", n_chan=8, fstart="1400MHz",
        bandwidth="15.625MHz", integration="0.786432ms", bandpass="flat", level=1e6,
        start_time="2023-12-01T17:00:00",
        sky=[simulate.SkyPulsar("83.63deg", "22.01deg", "3Jy", period=PERIOD, dm=10, duty=DUTY,
                                linear=0.6, angle="25deg", circular=-0.3)],
        diode=simulate.Diode("12.5K", period=50331648, on=25165824), tcal=simulate.Tcal(q=0.05),
        jones=simulate.Jones(ratio=1.3, phase="50deg"))
    simulate.write_scan(scan, tmp_path)
    path, track = (str(next(tmp_path.glob(each))) for each in ("*.fits", "*.xlsx"))
    feed = scan.truth["angle_a_deg"][0] - scan.truth["parallactic_deg"][0]
    options = {"period": PERIOD, "dm": 10, "n_bin": 64, "subint": None}
    with fs.open(path, position=("83.63deg", "22.01deg")) as chain:
        vertical = chain.fold(tcal=TCAL, diode="mode=pulsar,first=0s", **options).to_sky(
            f"{feed}deg")
        found = solve(chain.stream, TCAL, diode="mode=pulsar,first=0s", phase=True)
        tracked = Chain(calibrated(chain.stream, found, stokes="IQUV", ky=track,
                                   feed_angle="12deg")).fold(**options)
    for each in (vertical, tracked):
        assert each.header.polarization.frame == "sky"
        values = profile_values(each)
        assert abs(values["pa"] - 25) < 4 * values["pa_error"] + 0.4, values  # of the scale
        assert abs(values["linear"] - 0.6) < 4 * values["linear_error"] + 0.01
        assert abs(values["circular"] + 0.3) < 4 * values["circular_error"] + 0.01
