"""The page of folded profiles."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from overlaps import collisions
from pulsar.profiles_made import PERIOD, profiles, pulse

from fastsig.axes.frequency import ChannelAxis
from fastsig.errors import PlanError, UsageError
from fastsig.pulsar.off_pulse import find_off_pulse, off_pulse_or_lowest
from fastsig.pulsar.profiles import Profiles
from fastsig.view import draw_profiles
from fastsig.view.profile_facts import all_facts
from fastsig.view.profile_images import by_frequency, by_time
from fastsig.view.profiles import Trials, draw_page

FULL = ("AA", "BB", "CR", "CI")


def polarized(noise: float = 0.02) -> Profiles:
    """A pulse that is linearly polarised by 60 % at a position angle of 30 deg, V 20 %."""
    made = profiles(names=FULL, header={"dm": 30.0, "dm_reference_hz": Fraction(1250 * 10**6)})
    one = pulse(made.phase, 0.4)
    q, u = 0.6 * np.cos(np.radians(60)), 0.6 * np.sin(np.radians(60))
    parts = [(1 + q) / 2, (1 - q) / 2, u / 2, 0.1]
    data = np.array(parts)[None, :, None, None] * one + np.random.default_rng(1).normal(
        0, noise, made.shape)
    return made.replace(data=data.astype(np.float32))


def test_the_bar_of_an_image_in_decibels_says_so() -> None:
    made = profiles(names=("I",), header={"unit": None})
    labels = [axes.get_xlabel() for axes in draw_profiles(made, scale="db").axes]
    assert any(label.endswith("dB") or "(dB" in label for label in labels)
    assert not any("dB" in axes.get_xlabel() for axes in draw_profiles(made).axes)


@pytest.mark.parametrize("sign", [1, -1])
def test_polarisation_of_a_known_pulse(sign: Any) -> None:
    made = polarized()
    if sign < 0:  # Q and V as stored, with the signs that the header states
        basis = replace(made.header.polarization, sign_q=sign, sign_v=sign)
        made = made.replace(header=made.header.replace(polarization=basis)).stokes("IQUV")
    figure = draw_page(made)
    angle, profile = (next(axes for axes in figure.axes if label in axes.get_ylabel())
                      for label in ("PA", "I ("))
    lines = {line.get_label(): line.get_ydata() for line in profile.lines}
    at = int(0.4 * 64)
    for name, want in (("I", 1), ("L", 0.6), ("V", 0.2)):
        assert len(lines[name]) == 128  # two turns
        assert lines[name][at] == pytest.approx(want, abs=0.05)
        assert lines[name][at + 64] == lines[name][at]
    off = off_pulse_or_lowest(lines["I"][:64])
    assert (lines["L"][:64][off] < 0.05).all()  # without its bias
    points = angle.containers[0].lines[0].get_xydata()
    on = points[np.abs(points[:, 0] - 0.4) < 0.03]
    assert len(on) > 2 and np.abs(on[:, 1] - 30).max() < 5
    assert (np.abs(points[:, 0] % 1 - 0.4) < 0.15).all()


def test_channels_are_aligned_and_pulses_in_their_places() -> None:
    made = profiles()
    late = 30.0 / 2.41e-4 * (1 / made.frequency.value**2 - 1 / 1250.0**2) / PERIOD
    figure = draw_page(made.rotate(np.tile(late, (3, 1))[:, None]))
    images = [axes.images[0] for axes in figure.axes if axes.images]
    assert len(images) == 2
    for image, rows in zip(images, (3, 4), strict=True):
        values = np.asarray(image.get_array())
        assert values.shape == (rows, 128)
        assert set(values[:, :64].argmax(axis=1)) == {int(0.3 * 64)}
    assert images[0].get_extent() == pytest.approx([0, 2, 0, 30], abs=1e-9)
    assert images[1].get_extent() == [0, 2, 1050, 1450]


def test_gaps_and_lost_channels_are_blank() -> None:
    weights = np.full((6, 1, 4, 1), 10.0)
    weights[2], weights[:, 0, 1] = 0, 0
    offsets = 5 + 10.0 * np.arange(6)
    offsets[3:] += 60
    made = profiles(n_subint=6, weights=weights, offsets=offsets, dm=None)
    off = off_pulse_or_lowest(made.mean("time", "frequency").data[0, 0, 0])
    image = by_time(made, off)
    assert image.edges == pytest.approx((0, 120), abs=1e-6)
    seconds = (np.arange(len(image.values)) + 0.5) * 120 / len(image.values)
    lost = np.isnan(image.values).all(axis=1)
    np.testing.assert_array_equal(lost, (seconds > 20) & (seconds < 90))
    image = by_frequency(made, off)
    assert np.isnan(image.values).all(axis=1).tolist() == [False, True, False, False]


@pytest.mark.parametrize("what", ["full", "one", "unit", "trials", "plane"])
def test_texts_are_legible(what: str) -> None:
    made, trials = polarized(), None
    if what == "one":
        made = made.stokes("I").mean("time", "frequency")
    elif what == "unit":
        axis = ChannelAxis(Fraction(1100 * 10**6), Fraction(10**5), 4)
        made = made.replace(header=made.header.replace(unit="mJy", channels=axis), rm=12.5)
    elif what in ("trials", "plane"):
        tried = np.linspace(-1, 1, 21)
        chi2 = 30 * np.exp(-((tried / 0.3) ** 2))
        trials = Trials(
            {"dm": (30 + tried, chi2), "period": (PERIOD * (1 + 1e-6 * tried), chi2),
             "pdot": (1e-12 * tried, chi2)},
            (PERIOD * (1 + 1e-6 * tried), 1e-12 * tried, chi2[:, None] * chi2)
            if what == "plane" else None)
    figure = draw_page(made, trials=trials)
    assert collisions(figure) == []


def test_trials_of_an_improvement() -> None:
    frequency = 80 + 0.01 * np.arange(-5, 6)
    derivative = 1e-6 * np.arange(-3, 4)
    chi2 = np.ones((11, 7))
    chi2[8, 2] = 63.0  # at a shorter period, with a longer period later
    made = Trials.of(SimpleNamespace(dof=63, trials=SimpleNamespace(
        frequency_hz=frequency, derivative_hz_s=derivative, dm=np.arange(3.0),
        chi2_dm=np.array([63.0, 126, 63]), chi2=chi2)))
    assert made.curves["dm"][1].tolist() == [1, 2, 1] and made.plane is not None
    periods, pdots, plane = made.plane
    row, column = np.unravel_index(plane.argmax(), plane.shape)
    assert periods[column] == 1 / frequency[8] and plane.max() == 1
    assert pdots[row] == pytest.approx(1e-6 / 80**2)
    assert (np.diff(periods) > 0).all() and (np.diff(pdots) > 0).all()
    assert made.curves["period"][1].argmax() == column


def test_a_picture_in_python() -> None:
    made = profiles()
    with pytest.raises(UsageError, match="plot has no parameter 'colour'"):
        made.plot(colour=1)
    with pytest.raises(UsageError, match="no product 'Q'"):
        draw_profiles(made, product="Q")
    with pytest.raises(PlanError, match="no profile has data"):
        draw_page(profiles(weights=np.zeros((3, 1, 4, 1))))
    assert len(draw_page(made.replace(periods=np.full(3, np.nan)), "I").axes) == 6


@pytest.mark.parametrize("n_bin", [2, 6, 9, 16, 64])
def test_the_off_pulse_bins_are_those_of_the_measurements(n_bin: int) -> None:
    """With too few bins to measure, they are the lowest quarter of the turn."""
    shape = 5 + 20 * np.exp(-((np.arange(n_bin) / n_bin - 0.3) / 0.1) ** 2)
    shape += np.random.default_rng(n_bin).normal(0, 0.1, n_bin)
    off = off_pulse_or_lowest(shape)
    if n_bin >= 10:
        np.testing.assert_array_equal(off, find_off_pulse(shape))
    else:
        assert off.sum() == max(1, n_bin // 4) and not off[shape.argmax()]
    shape[0] = np.nan
    assert off_pulse_or_lowest(shape).any() and off_pulse_or_lowest(np.zeros(64)).sum() == 16


def test_a_page_lists_what_the_picture_has_no_room_for() -> None:
    made = polarized()
    made = made.replace(
        folded_mhz=0.25, ephemeris="PSR X\nF0 1\n", history=(("2020", "psradd"),),
        provenance={"inputs": [{"files": [{"name": "a.ar"}], "made_by": {
            "inputs": [{"files": [{"name": "a.fits"}]}], "fold": {"n_bin": 64, "predictor": {}}}}],
            "stages": [{"stage": "select", "parameters": {"rows": [0, 1], "channels": None}}]})
    found = all_facts(made)
    assert found["channels that were folded"] == "0.25 MHz" and found["inputs"] == "a.ar\na.fits"
    assert found["steps"] == "fold: n_bin = 64\nselect: rows = [0, 1]"
    assert found["par file"] == "PSR X\nF0 1" and found["history"] == "2020 psradd"
    assert found["differences of the feeds"] == "not removed" and "DM" in found
