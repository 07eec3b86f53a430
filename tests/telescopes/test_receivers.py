"""FAST's 19 beams and GBT's L band through one interface."""

from __future__ import annotations

import csv
import json
from fractions import Fraction

import astropy.units as u
import numpy as np
import pytest
from recordings import recorded

import fastsig as fs
from fastsig import telescopes

L19 = telescopes.get("FAST").receiver()
GBT = telescopes.get("GBT").receiver()


def test_gain_of_the_central_beam_at_1400_mhz() -> None:
    gain = L19.gain(1, 1400 * u.MHz, [10, 26.4, 40] * u.deg)
    assert gain.unit == u.K / u.Jy
    assert gain.value == pytest.approx([15.92, 16.25, 11.58], abs=0.006)
    for full in (25.2 * u.K / u.Jy, "25.2K/Jy", 25200 * u.mK / u.Jy):
        other = telescopes.get("FAST").receiver(full_gain=full).gain(1, 1400 * u.MHz, 10 * u.deg)
        assert other.value == pytest.approx(15.92 * 25.2 / 25.6, abs=0.006)


@pytest.mark.parametrize("full", [0 * u.K / u.Jy, "25.2K", 25.2 * u.Jy, [1, 2] * u.K / u.Jy,
                                  "100K/Jy", None, "much"])
def test_what_is_no_full_gain(full: object) -> None:
    with pytest.raises(fs.UsageError, match="full_gain"):
        telescopes.get("FAST").receiver(full_gain=full)


@pytest.mark.recorded
def test_gain_of_every_beam_and_frequency() -> None:
    rows = list(csv.reader(recorded("fast_after/gain_para.csv").read_text().splitlines()))
    megahertz = [float(cell) for cell in rows[1][3:12]]
    table = {(row[0], row[1]): np.array(row[3:12], float) * float(row[2]) for row in rows[2:]}
    assert len(table) == 57
    for beam in L19.beams:
        a, b, c = (table[f"M{beam:02d}", name] for name in "abc")
        low = L19.gain(beam, megahertz * u.MHz, 20 * u.deg)
        high = L19.gain(beam, megahertz * u.MHz, 35 * u.deg)
        assert low.value == pytest.approx(25.6 * (20 * a + b), rel=1e-12)
        assert high.value == pytest.approx(25.6 * (35 * c + b + 26.4 * (a - c)), rel=1e-12)


@pytest.mark.recorded
def test_widths_of_every_beam_and_frequency() -> None:
    table = json.loads(recorded("fast_hifast_ref/core/data/beam_size.json").read_text())
    for beam in L19.beams:
        row = table[f"M{beam:02d}"]
        found = L19.hpbw(beam, [float(mhz) for mhz in row] * u.MHz)
        assert found.to_value(u.arcmin) == pytest.approx(list(row.values()), abs=1e-9)


def test_between_the_frequencies_of_the_table() -> None:
    ends = L19.gain(4, [1350, 1400] * u.MHz, 5 * u.deg).value
    inside = L19.gain(4, 1.36 * u.GHz, 5 * u.deg).value
    assert inside == pytest.approx(0.8 * ends[0] + 0.2 * ends[1], rel=1e-12)
    assert L19.hpbw(1, 1410 * u.MHz).value == pytest.approx(2.82)
    assert L19.hpbw(1, 1220 * u.MHz).value == pytest.approx(3.15)  # half way from 3.29 to 3.01


def test_beams_times_and_channels_at_once() -> None:
    beams = np.arange(1, 20)[:, None, None]
    angles = np.linspace(0, 40, 5)[None, :, None] * u.deg
    gain = L19.gain(beams, np.linspace(1050, 1450, 7) * u.MHz, angles)
    assert gain.shape == (19, 5, 7)
    assert gain[8, 2, 3] == L19.gain(9, 1250 * u.MHz, 20 * u.deg)
    knee = L19.gain(beams, 1234 * u.MHz, [26.4, 26.4 + 1e-9] * u.deg)
    assert np.ptp(knee.value, axis=-1).max() < 1e-6  # no step where the slope changes


def test_warm_air_raises_the_gain() -> None:
    cool = L19.gain(1, 1400 * u.MHz, 10.15 * u.deg)
    warm = L19.gain(1, 1400 * u.MHz, 10.15 * u.deg, 25 * u.deg_C)
    assert (warm - cool).value == pytest.approx((4.7e-5 * 1400 - 1.4e-3) * 10, rel=1e-9)
    assert L19.gain(1, 1400 * u.MHz, 10.15 * u.deg, 298.15 * u.K).value == pytest.approx(warm.value)
    with pytest.raises(fs.UsageError, match="temperature"):
        L19.gain(1, 1400 * u.MHz, 10 * u.deg, 3 * u.m)


def test_outside_of_what_is_known() -> None:
    with pytest.raises(fs.UsageError, match="1050 to 1450 MHz, not at 1460"):
        L19.gain(1, [1400, 1460] * u.MHz, 10 * u.deg)
    found = L19.gain(1, [1040, 1400, 1460] * u.MHz, 10 * u.deg, outside="nan")
    assert np.isnan(found.value).tolist() == [True, False, True]
    wide = L19.hpbw(1, [1440, 1441] * u.MHz, outside="nan")
    assert np.isnan(wide.value).tolist() == [False, True]
    for angle in (40.01, -1):
        with pytest.raises(fs.UsageError, match="0 to 40 deg"):
            L19.gain(1, 1400 * u.MHz, angle * u.deg, outside="nan")
    for beam in (0, 20, 1.5):
        with pytest.raises(fs.UsageError, match="beams 1 to 19"):
            L19.gain(beam, 1400 * u.MHz, 10 * u.deg)
    with pytest.raises(fs.UsageError, match="allowed: raise, nan"):
        L19.hpbw(1, 1400 * u.MHz, outside="clip")


def test_offsets_and_their_turn() -> None:
    assert L19.offsets().shape == (19, 2)
    assert L19.offsets(8).to_value(u.arcmin).tolist() == [11.55, -0.02]
    # A quarter turn from east towards north.
    assert L19.offsets(8, 90 * u.deg).value == pytest.approx([0.02, 11.55])
    turned = L19.offsets([2, 5], 23.4 * u.deg).value
    assert np.hypot(*turned.T) == pytest.approx([5.76, 5.78], abs=1e-3)
    assert np.degrees(np.arctan2(turned[0, 1], turned[0, 0])) == pytest.approx(23.4, abs=0.11)


def test_horns_lie_across_from_their_beams() -> None:
    feeds = L19.feeds.to_value(u.m)
    assert feeds[[1, 2, 7, 10]] == pytest.approx(
        np.array([[-0.27, 0], [-0.135, 0.2338], [-0.54, 0], [0, 0.4677]]), abs=1e-4)
    # One pitch is what 5.75 arcmin are at the focal sphere; the beams lie there to 0.2 arcmin.
    assert -feeds / 0.27 * 5.77 == pytest.approx(L19.offsets().value, abs=0.2)


def test_patterns_of_the_diode_in_ticks() -> None:
    second = 251658240  # ticks: 1.00663296 s
    assert Fraction(second, 250_000_000) == Fraction("1.00663296")
    ticks = {name: mode.schedule() for name, mode in L19.diode_modes.items() if mode.ticks}
    assert {name: (each.on_ticks, each.period_ticks) for name, each in ticks.items()} == {
        "pulsar": (25165824, 50331648), "pulsar_star": (second, 16 * second),
        "otf": (2 * second, 300 * second), "onoff": (second, 2 * second)}
    assert Fraction(50331648, 250_000_000) == Fraction("0.201326592")
    drift = L19.diode_modes["drift"]
    each = drift.schedule(Fraction("0.100663296"), first_tick=5)
    assert (each.on_ticks, each.period_ticks, each.first_tick) == (25165824, 201326592, 5)
    assert drift.schedule(0.100663296 * u.s) == drift.schedule(Fraction("0.100663296"))
    with pytest.raises(fs.UsageError, match="needs sample_time"):
        drift.schedule()
    with pytest.raises(fs.UsageError, match="4 ns"):
        drift.schedule(Fraction(1, 3))


def test_the_same_questions_to_gbt() -> None:
    assert GBT.beams == (1,) and GBT.diode_modes == {}
    gain = GBT.gain(1, [1.4, 1.5] * u.GHz, [[10], [70]] * u.deg, 20 * u.deg_C)
    assert gain.unit == u.K / u.Jy and gain.value.tolist() == [[2, 2], [2, 2]]
    # 0.72 of an aperture of 100 m: 2 k / A.
    assert gain.value[0, 0] == pytest.approx(0.72 * np.pi * 50**2 / 2 / 1380.649, rel=0.03)
    assert GBT.hpbw(1, 1.4 * u.GHz).to_value(u.arcmin) == pytest.approx(9.0)
    assert GBT.offsets(1, 30 * u.deg).value.tolist() == [0, 0]
    assert np.isnan(GBT.gain(1, 1.8 * u.GHz, 10 * u.deg, outside="nan"))
    with pytest.raises(fs.UsageError, match="beams 1 to 1"):
        GBT.hpbw(2, 1.4 * u.GHz)
    with pytest.raises(fs.UsageError, match="0 to 85 deg"):
        GBT.gain(1, 1.4 * u.GHz, 86 * u.deg)
