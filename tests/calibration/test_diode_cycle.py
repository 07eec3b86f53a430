"""Rows under a diode's cycle, by exact counts of ticks."""

from fractions import Fraction

import numpy as np
import pytest

from fastsig.axes.diode_schedule import DiodeSchedule
from fastsig.calibration.diode.cycle import DiodeCycle, classify, cycle_number, on_share, scheduled
from fastsig.errors import UsageError

PULSAR = DiodeCycle(Fraction("0.201326592"), Fraction("0.100663296"), Fraction("0.05"))


def by_hand(rate, start, n, cycle, per_row=4000):
    """Share of rows by looking at many moments of each."""
    fine = (np.arange(n * per_row) + 0.5) / per_row + start
    turn = (fine / float(rate) - float(cycle.phase)) / float(cycle.period)
    lit = (turn - np.floor(turn)) * float(cycle.period) < float(cycle.on)
    return lit.reshape(n, per_row).mean(axis=1)


@pytest.mark.parametrize("rate", ["20", "1/3", "200/7", "2.5"])
def test_share_of_rows(rate):
    cycle = DiodeCycle(Fraction("1.7"), Fraction("0.45"), Fraction("1.1"))
    rate = Fraction(rate)
    found = on_share(rate, 5, 60, cycle)
    np.testing.assert_allclose(found, by_hand(rate, 5, 60, cycle), atol=2e-3)
    state = classify(rate, 5, 60, cycle)
    np.testing.assert_array_equal(state == 1, found == 1)
    np.testing.assert_array_equal(state == 0, found == 0)


def test_rows_that_end_at_an_edge_are_whole():
    rate = 1 / Fraction("49.152e-6")
    cycle = DiodeCycle(PULSAR.period, PULSAR.on, 3 / rate)
    state = classify(rate, 0, 8192, cycle)
    assert not (state == -1).any()
    np.testing.assert_array_equal(state[:4], [0, 0, 0, 1])
    assert state[2050] == 1 and state[2051] == 0 and state[4098] == 0 and state[4099] == 1
    late = DiodeCycle(PULSAR.period, PULSAR.on, 3 / rate + Fraction(1, 250_000_000))
    state = classify(rate, 0, 4096, late)
    np.testing.assert_array_equal(np.flatnonzero(state == -1), [3, 2051])  # 4 ns do tell


def test_guard():
    rate = 1 / Fraction("49.152e-6")
    cycle = DiodeCycle(PULSAR.period, PULSAR.on, 100 / rate)
    state = classify(rate, 0, 4096, cycle, guard=1 / rate)
    np.testing.assert_array_equal(np.flatnonzero(state == -1), [99, 100, 2147, 2148])


def test_rows_far_from_the_start_are_exact():
    rate, start = 1 / Fraction("49.152e-6"), 10**14 * 4096
    np.testing.assert_array_equal(on_share(rate, start, 5000, PULSAR),
                                  on_share(rate, 0, 5000, PULSAR))
    odd = DiodeCycle(Fraction(10**17 + 3, 10**17), Fraction(1, 3), Fraction(1, 7))
    assert odd.period.denominator > 10**16  # beyond 64 bits once multiplied
    np.testing.assert_allclose(on_share(40, 0, 200, odd), by_hand(40, 0, 200, odd), atol=2e-3)


def test_cycle_numbers_begin_in_the_middle_of_off_times():
    cycle = DiodeCycle(Fraction(10), Fraction(2), Fraction(5))
    numbers = cycle_number(1, 0, 30, cycle)
    np.testing.assert_array_equal(np.flatnonzero(np.diff(numbers)) + 1, [1, 11, 21])
    assert numbers[5] == 0 and numbers[0] == -1 and numbers[26] == 2


@pytest.mark.parametrize("first", [-3, 0, 40, 90])
def test_schedule_and_back(first):
    cycle = DiodeCycle.of_schedule(DiodeSchedule(100, 50, first))
    schedule = cycle.schedule()
    assert DiodeCycle.of_schedule(schedule) == cycle
    assert (schedule.period_ticks, schedule.on_ticks) == (100, 50)
    assert schedule.first_tick <= 0 or schedule.first_tick + 50 <= 100  # row 0 is covered
    later = cycle.shifted(Fraction(7, 250_000_000))
    np.testing.assert_array_equal(on_share(250_000_000, 0, 300, later),
                                  on_share(250_000_000, 7, 300, cycle))


def test_what_is_no_cycle():
    with pytest.raises(UsageError, match="on for 2 s of 2 s"):
        DiodeCycle(Fraction(2), Fraction(2), Fraction(0))
    with pytest.raises(UsageError, match="sample rate 0"):
        on_share(0, 0, 5, PULSAR)
    with pytest.raises(UsageError, match="guard -1"):
        classify(1, 0, 5, PULSAR, guard=-1)


def test_a_schedule_begins_with_its_first_tick(rng: np.random.Generator) -> None:
    """Row by row, against the ticks themselves."""
    for _ in range(60):
        period, first = int(rng.integers(2, 40)), int(rng.integers(-30, 60))
        schedule = DiodeSchedule(period, int(rng.integers(0, period + 1)), first, 10)
        row, start = int(rng.integers(1, 7)), int(rng.integers(0, 9))
        ticks = np.arange(start * row, (start + 30) * row) - first
        lit = ((ticks >= 0) & (ticks % period < schedule.on_ticks)).reshape(30, row).sum(axis=1)
        wanted = np.where(lit == 0, 0, np.where(lit == row, 1, -1))
        found = scheduled(schedule, Fraction(10, row), start, 30)
        np.testing.assert_array_equal(found, wanted, str(schedule))
        if row < 3 or not 2 <= schedule.on_ticks <= period - 2:
            continue
        wanted = np.where(lit <= 1, 0, np.where(lit >= row - 1, 1, -1))
        found = scheduled(schedule, Fraction(10, row), start, 30, slack="0.1")
        np.testing.assert_array_equal(found, wanted, str(schedule))
