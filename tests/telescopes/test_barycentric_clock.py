"""The barycentric clock against PINT."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.time import Time, TimeDelta
from ephemerides import DATA, needs_kernel

from fastsig import telescopes
from fastsig.axes.time import time_from_mjd
from fastsig.errors import FormatError, MissingFileError, UsageError
from fastsig.telescopes import kernels
from fastsig.telescopes.barycentric_clock import BarycentricClock
from fastsig.telescopes.kernels import installed, kernel_of


def differences(kernel) -> list[float]:
    """By how much the clock differs from PINT, s."""
    found = []
    for line in (DATA / "pint_barycentre.txt").read_text().splitlines():
        if line.startswith("#"):
            continue
        name, *numbers = line.split()
        ra, dec, day, seconds, truth = map(float, numbers)
        clock = BarycentricClock((ra, dec), telescopes.get(name).location, kernel)
        time = time_from_mjd(int(day), round(seconds * 1000) / 1000)
        found.append(clock.ahead(time, np.zeros(1))[0] - truth)
    assert len(found) == 30
    return found


@needs_kernel
def test_with_the_kernel_times_are_those_of_pint():
    assert np.abs(differences(installed())).max() < 1e-10


def test_with_the_series_of_erfa_times_are_within_what_is_stated():
    assert np.abs(differences(None)).max() < 3e-4


def test_times_are_interpolated_and_continuous():
    clock = BarycentricClock((83.6, 22.0), telescopes.get("FAST").location)
    start = Time("2024-05-06T07:08:09.25", scale="utc")
    seconds = np.linspace(-50, 500, 23)
    found = clock.ahead(start, seconds)
    alone = [BarycentricClock(clock.position, clock.location).ahead(
        start + TimeDelta(each, format="sec"), np.zeros(1))[0] for each in seconds]
    np.testing.assert_allclose(found, alone, rtol=0, atol=2e-11)
    assert np.abs(np.diff(found, 3)).max() < 2e-10  # times have steps of 5 ps


def test_a_leap_second_is_no_step():
    clock = BarycentricClock((83.6, 22.0), telescopes.get("FAST").location)
    before = Time("2016-12-31T23:59:58.5", scale="utc")
    after = clock.ahead(Time("2017-01-01T00:00:01.5", scale="utc"), np.zeros(1))
    np.testing.assert_allclose(clock.ahead(before, np.array([4.0])), after, rtol=0, atol=2e-11)
    day, seconds = clock.start(before)
    later, rest = clock.start(Time("2017-01-01T00:00:01.5", scale="utc"))
    assert (later - day) * 86400 + float(rest - seconds) == pytest.approx(4, abs=1e-3)


def test_the_start_is_the_barycentric_day():
    clock = BarycentricClock((83.6, 22.0), telescopes.get("FAST").location)
    time = Time("2024-05-06T07:08:09.25", scale="utc")
    day, seconds = clock.start(time)
    truth = time.tt.mjd + clock.ahead(time, np.zeros(1))[0] / 86400
    assert day + float(seconds) / 86400 == pytest.approx(truth, abs=2e-11)


def test_a_missing_kernel_is_refused_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(kernels, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"requires jplephem: pip install \"fastsig\[pulsar\]\""):
        kernel_of()
    assert installed() is None
    monkeypatch.setattr(kernels, "find_spec", lambda name: name == "jplephem" or None)
    with pytest.raises(UsageError, match="no ephemeris of the solar system is installed"):
        kernel_of()
    with pytest.raises(MissingFileError, match="de999.bsp"):
        kernel_of(tmp_path / "de999.bsp")
    (tmp_path / "text.bsp").write_text("no kernel")
    with pytest.raises(FormatError, match="text.bsp: is not a JPL kernel"):
        kernel_of(tmp_path / "text.bsp")


@needs_kernel
def test_a_damaged_kernel_and_a_far_time_are_refused(tmp_path):
    where = telescopes.get("FAST").location
    (tmp_path / "de1.bsp").write_bytes(b"DAF/SPK " + bytes(2000))
    with pytest.raises(FormatError, match="de1.bsp: does not have the Earth"):
        BarycentricClock((0.0, 0.0), where, kernel_of(tmp_path / "de1.bsp")).ahead(
            Time(60000, format="mjd"), np.zeros(1))
