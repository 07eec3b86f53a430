"""Profiles in memory: axes, slices, rotation, means, Stokes parameters and tables."""

from fractions import Fraction

import numpy as np
import pytest
from pulsar.profiles_made import DAY, PERIOD, SECONDS, profiles, pulse

from fastsig.axes.time import elapsed, time_from_mjd
from fastsig.errors import PlanError, UsageError

PHASE = (np.arange(64) + 0.5) / 64


def test_epochs_are_exact_and_count_leap_seconds():
    made = profiles(reference=(57753, Fraction(86399)), offsets=np.array([0.25, 1.5, 2.75]))
    assert made.exact_epochs() == [(57753, Fraction("86399.25")), (57753, Fraction("86400.5")),
                                   (57754, Fraction("0.75"))]
    assert [each.iso[-18:] for each in made.epochs] == [
        "23:59:59.250000000", "23:59:60.500000000", "00:00:00.750000000"]
    made = profiles()
    for time, (day, seconds) in zip(made.epochs, made.exact_epochs(), strict=True):
        assert abs(elapsed(time_from_mjd(day, seconds), time)) < Fraction(1, 10**11)


@pytest.mark.parametrize("turns", [0.25, 1 / 128, -0.1037, 3.4])
def test_rotation_moves_a_pulse_to_later_phases(turns):
    made = profiles()
    moved = made.rotate(turns)
    height = 1 + 0.1 * np.arange(4)[:, None]
    want = height * pulse(PHASE, 0.3 + turns) + 5
    np.testing.assert_allclose(moved.data[0, 0], want, atol=2e-6)
    np.testing.assert_allclose(moved.rotate(-turns).data, made.data, atol=3e-6)
    assert moved.offsets is made.offsets
    kept = made.rotate(turns, keep_times=True)
    np.testing.assert_allclose(kept.offsets, made.offsets - turns * PERIOD, rtol=0, atol=1e-15)


def test_rotation_by_whole_bins_is_exact_and_moves_weights():
    weights = np.full((3, 1, 4, 64), 10.0)
    weights[1, 0, 2, 5], weights[1, 0, 2, 6] = 0, 4
    made = profiles(weights=weights)
    moved = made.rotate(3 / 64)
    np.testing.assert_array_equal(moved.data, np.roll(made.data, 3, axis=-1))
    np.testing.assert_array_equal(moved.weights, np.roll(weights, 3, axis=-1))
    moved = made.rotate(np.array([0, 3.25 / 64, 0]))
    lost = np.isnan(moved.data[1, 0, 2])
    assert np.flatnonzero(lost).tolist() == [8, 9]
    np.testing.assert_array_equal(moved.weights[1, 0, 2] == 0, lost)
    assert moved.weights[1, 0, 2, 10] == pytest.approx(0.75 * 10 + 0.25 * 4)
    np.testing.assert_array_equal(moved.data[0], made.data[0])


def test_dedispersion_aligns_channels_and_is_undone():
    made = profiles()
    delays = 30.0 / 2.41e-4 * (1 / made.frequency.value**2 - 1 / 1250.0**2)
    late = made.rotate(np.tile(delays / PERIOD, (3, 1))[:, None, :])
    aligned = late.dedisperse()
    np.testing.assert_allclose(aligned.data, made.data, atol=5e-6)
    assert aligned.dedispersed and aligned.header.dm == 30.0
    assert aligned.header.dm_reference_hz == 1250 * 10**6
    np.testing.assert_allclose(aligned.dedisperse(0).data, late.data, atol=5e-6)
    assert not aligned.dedisperse(0).dedispersed and aligned.dedisperse(0).dm == 30.0
    np.testing.assert_allclose(aligned.dedisperse().data, aligned.data, atol=5e-6)
    top = aligned.dedisperse(ref="top")
    shift = 30.0 / 2.41e-4 * (1 / 1400.0**2 - 1 / 1250.0**2) / PERIOD
    np.testing.assert_allclose(top.data, aligned.rotate(shift).data, atol=5e-6)
    np.testing.assert_allclose(late.mean("frequency").data[0, 0, 0], 1.15 * pulse(PHASE, 0.3) + 5,
                               atol=5e-6)


def test_means_are_weighted_and_weights_add_up():
    weights = np.ones((3, 1, 4, 1))
    weights[:, 0, :, 0] = [[1, 2, 0, 3], [0, 0, 0, 0], [5, 1, 1, 1]]
    made = profiles(weights=weights, dm=None)
    found = made.mean("time", "frequency")
    assert found.shape == (1, 1, 1, 64) and found.weights.item() == 14
    want = np.nansum(made.data.astype(float) * weights, axis=(0, 2)) / 14
    np.testing.assert_allclose(found.data[0, :, 0], want, rtol=1e-6)
    assert found.offsets.tolist() == [15.0] and found.durations.tolist() == [30.0]
    assert found.header.channels.n_chan == 1 and found.frequency.value == [1250.0]
    pairs = made.grouped(n_subint=2, n_chan=2, n_bin=4)
    assert pairs.shape == (2, 1, 2, 16) and pairs.durations.tolist() == [20.0, 10.0]
    assert pairs.weights[0, 0, :, 0].tolist() == [12, 12]
    empty = made.grouped(n_chan=2)
    assert np.isnan(empty.data[1]).all() and (empty.weights[1] == 0).all()


def test_levels_of_channels_do_not_leak_into_means_where_weights_vary():
    rng = np.random.default_rng(4)
    made = profiles(dm=None)
    pulse_alone = made.data.astype(float)
    levels = 100.0 * rng.normal(size=(*made.shape[:3], 1))
    weights = rng.integers(4, 6, made.shape).astype(float)  # four or five turns
    weights[0, 0, 1, 10:20] = 0  # a loss
    data = np.where(weights > 0, pulse_alone + levels, np.nan).astype(np.float32)
    found = made.replace(data=data, weights=weights).mean("time", "frequency").data[0, 0, 0]
    want = (pulse_alone * weights).sum(axis=(0, 1, 2)) / weights.sum(axis=(0, 1, 2))
    off = found - want
    assert np.ptp(off) < 1e-3
    share = weights.sum(axis=-1) / weights.sum()
    assert off.mean() == pytest.approx((levels[..., 0] * share).sum(), abs=1e-3)


def test_stokes_of_linear_and_circular_feeds():
    names = ("AA", "BB", "CR", "CI")
    made = profiles(names=names)
    aa, bb, cr, ci = np.moveaxis(made.data, 1, 0)
    for kind, want in (("linear", (aa - bb, 2 * cr, 2 * ci)),
                       ("circular", (2 * cr, 2 * ci, aa - bb))):
        basis = made.header.polarization.__class__(kind, names, sign_v=-1)
        found = made.replace(header=made.header.replace(polarization=basis)).stokes()
        assert found.names == ("I", "Q", "U", "V")
        np.testing.assert_array_equal(found.data[:, 0], aa + bb)
        np.testing.assert_array_equal(found.data[:, 1], want[0])
        np.testing.assert_array_equal(found.data[:, 2], want[1])
        np.testing.assert_array_equal(found.data[:, 3], -want[2])
    np.testing.assert_array_equal(made[["CI", "BB", "CR", "AA"]].stokes().data, made.stokes().data)
    assert made.stokes("I").names == ("I",) == made.stokes().stokes("I").names
    with pytest.raises(PlanError, match="Stokes V requires AA, BB, CR, CI"):
        profiles().stokes("V")


def test_slices_by_number_time_frequency_and_name():
    made = profiles(names=("AA", "BB"))
    part = made[1:, 1:3, "BB"]
    assert part.shape == (2, 1, 2, 64) and part.names == ("BB",)
    np.testing.assert_array_equal(part.data, made.data[1:, 1:, 1:3])
    assert part.offsets.tolist() == [15.0, 25.0] and part.weights.shape == (2, 1, 2, 1)
    assert elapsed(made.header.start_time, part.header.start_time) == pytest.approx(10, abs=1e-9)
    assert made["10 s":"30 s", "1150 MHz":].shape == (2, 2, 3, 64)
    assert made[made.epochs[1]:].n_subint == 2
    with pytest.raises(UsageError, match="numbered from 0 to 2"):
        made[5:]
    with pytest.raises(UsageError, match="no product 'X'"):
        made["X"]


def test_a_table_has_a_row_for_every_bin():
    made = profiles(names=("AA", "BB"), n_bin=8)
    table = made.to_table()
    assert len(table) == 3 * 4 * 8 and table.meta["n_bin"] == 8
    row = table[2 * 32 + 3 * 8 + 5]
    assert (row["subint"], row["channel"], row["bin"]) == (2, 3, 5)
    assert row["BB"] == made.data[2, 1, 3, 5] and row["weight_BB"] == 800
    assert row["frequency"].value == 1400 and row["phase"] == 5.5 / 8
    day, seconds = table.meta["epochs"][2]
    assert day == DAY and Fraction(seconds) == pytest.approx(SECONDS + 25, abs=1e-14)


def test_repr_and_axes_that_do_not_agree():
    assert repr(profiles()) == (
        "<Profiles (subint, product, chan, bin) (3, 1, 4, 64), J0000+00, FAST, from "
        "2017-09-04T01:00:00.333333333, 30 s, 1050 to 1450 MHz, I, period 0.0123 s, DM 30 (not "
        "removed)>")
    assert "<table>" in profiles()._repr_html_()
    with pytest.raises(UsageError, match="do not agree"):
        profiles(offsets=np.zeros(2))
    with pytest.raises(UsageError, match="the products X, Y"):
        made = profiles()
        basis = made.header.polarization.__class__()
        made.replace(header=made.header.replace(polarization=basis))


def test_an_end_that_is_not_given_is_named_in_the_message():
    with pytest.raises(UsageError, match="no subintegrations from 900s to the end: they are"):
        profiles()["900s":]
