"""Delays of cold plasma against published numbers and exact fractions."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import astropy.units as u
import numpy as np
import pytest

import fastsig as fs
from fastsig.axes.dispersion import (
    channel_delays,
    constant_of,
    delay_s,
    dm_of,
    reference_of,
)
from fastsig.axes.frequency import ChannelAxis

MHZ = 10**6
# FAST: 1000 to 1500 MHz, 4096 channels, 49.152 us.
FAST = ChannelAxis.around(Fraction(1250 * MHZ), Fraction(500 * MHZ, 4096), 4096)
RATE = Fraction(10**9, 49152)


def test_the_delay_of_the_band_of_fast() -> None:
    edges = delay_s(Fraction(1), Fraction(1000 * MHZ), Fraction(1500 * MHZ))
    assert float(edges) * 1e3 == pytest.approx(2.30521, abs=5e-6)
    assert 49.152e-3 / (float(edges) * 1e3) == pytest.approx(0.02132, abs=1e-5)  # DM of a sample


def test_the_two_constants_differ_by_what_is_published() -> None:
    high, low = Fraction(1500 * MHZ), Fraction(1000 * MHZ)
    both = [delay_s(Fraction(1000), low, high, constant_of(each)) for each in (None, 4148.808)]
    assert float(both[0] - both[1]) * 1e3 == pytest.approx(0.32, abs=0.005)
    assert constant_of() == 1 / Fraction("2.41e-4")
    assert constant_of("4148.808") == Fraction("4148.808")


def test_delays_of_channels_are_the_exact_ones() -> None:
    found = channel_delays(FAST)
    for chan in (0, 1, 2048, 4094, 4095):
        frequency = FAST.first_hz + chan * FAST.step_hz
        exact = delay_s(Fraction(3000), frequency, FAST.first_hz + 4095 * FAST.step_hz)
        assert found.seconds(3000)[chan] == pytest.approx(float(exact), rel=1e-12, abs=1e-15)
        assert found.samples(3000, RATE)[chan] == round(exact * RATE)
    assert found.curve[0] == 1 and found.curve[-1] == 0
    assert (np.diff(found.curve) < 0).all()


def test_a_narrow_band_loses_no_digits() -> None:
    axis = ChannelAxis(Fraction(1400 * MHZ), Fraction(1), 3)  # 1 Hz apart
    exact = [delay_s(Fraction(1), axis.first_hz + k, axis.first_hz + 2) for k in range(3)]
    np.testing.assert_allclose(channel_delays(axis).seconds(1), [float(each) for each in exact],
                               rtol=1e-6)


@pytest.mark.parametrize(("value", "found"), [
    (475, 475), ("56.77", Fraction("56.77")), (12.5, Fraction("12.5")),
    ("475 pc/cm3", 475), (475 * u.pc / u.cm**3, 475), (np.float32(2), 2),
])
def test_dispersion_measures(value: Any, found: Any) -> None:
    assert dm_of(value) == found


@pytest.mark.parametrize("value", [
    np.nan, np.inf, "nan", -1, "-1", 1e9, "1e9", [1, 2], True, None, "5 MHz", 3 * u.s, "x"])
def test_dispersion_measures_that_are_refused(value: Any) -> None:
    with pytest.raises(fs.UsageError, match="dm"):
        dm_of(value)


def test_a_negative_dispersion_measure_only_if_it_is_allowed() -> None:
    assert dm_of(-5, allow_negative=True) == -5
    with pytest.raises(fs.UsageError, match="allowed: -1000000 to 1000000"):
        dm_of(-1e9, allow_negative=True)


@pytest.mark.parametrize(("value", "found"), [
    ("top", FAST.first_hz + 4095 * FAST.step_hz), ("infinity", None), (np.inf * u.MHz, None),
    ("1.4GHz", 1400 * MHZ), (1400 * u.MHz, 1400 * MHZ),
])
def test_reference_frequencies(value: Any, found: Any) -> None:
    assert reference_of(value, FAST) == found


@pytest.mark.parametrize("value", [0, 1400, "1400", "bottom", "-1MHz", np.nan * u.MHz, None])
def test_reference_frequencies_that_are_refused(value: Any) -> None:
    with pytest.raises(fs.UsageError, match="ref"):
        reference_of(value, FAST)


@pytest.mark.parametrize("value", [0, 1, np.nan, "x", 4.15e3 * u.MHz])
def test_constants_that_are_refused(value: Any) -> None:
    with pytest.raises(fs.UsageError, match="constant"):
        constant_of(value)


def test_bands_that_are_refused() -> None:
    with pytest.raises(fs.UsageError, match="one channel"):
        channel_delays(ChannelAxis.band(Fraction(1400 * MHZ), Fraction(MHZ)))
    with pytest.raises(fs.UsageError, match="0 MHz; allowed: above 0"):
        channel_delays(ChannelAxis(Fraction(0), Fraction(MHZ), 4))
