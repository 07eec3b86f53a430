"""A diode is found at S/N 1 a cycle, for each of FAST's patterns and for unknown ones."""

from fractions import Fraction

import numpy as np
import pytest

from fastsig.axes.diode_schedule import DiodeSchedule
from fastsig.calibration.diode.search import find_cycle
from fastsig.errors import DataError, DoubtWarning
from fastsig.simulate import Diode, FastSpectra

SIGMA = 0.01
TICK = Fraction(1, 250_000_000)


def share(step, period, on, phase, n):
    """Time that the diode is on in each row, from the edges that lie in it; none of ours."""
    edges = np.arange(n + 1) * float(step) - float(phase)
    turns = np.floor(edges / float(period))
    lit = turns * float(on) + np.minimum(edges - turns * float(period), float(on))
    return np.diff(lit) / float(step)


def series(rng, step, period, on, phase, n_cycle, snr=1.0, columns=()):
    """Power with a drift of 6 %, three gaps and a diode of S/N `snr` in each cycle."""
    n = int(n_cycle * period / step)
    n_on, n_off = float(on / step), float((period - on) / step)
    height = snr * SIGMA * np.sqrt(1 / n_on + 1 / n_off)
    gain = 1 + 0.03 * np.sin(np.linspace(0.3, 8, n))
    power = 100 * gain * (1 + height * share(step, period, on, phase, n))
    power = power.reshape(n, *(1 for _ in columns)) * np.ones((n, *columns))
    power *= 1 + SIGMA * np.sqrt(np.prod(columns, initial=1)) * rng.normal(size=power.shape)
    weight = np.ones(n)
    for start in (0.2, 0.55, 0.8):
        weight[int(start * n) : int((start + 0.03) * n)] = 0
    power[int(0.55 * n) : int(0.58 * n)] = np.nan
    return power, weight


PATTERNS = {  # row, period, on, phase, cycles
    "pulsar": (64 * Fraction("49.152e-6"), Fraction("0.201326592"), Fraction("0.100663296"),
               Fraction("0.0512"), 400),
    "star": (512 * Fraction("196.608e-6"), Fraction("16.10612736"), Fraction("1.00663296"),
             Fraction("7.7"), 150),
    "spectral OTF, SI seconds": (Fraction("0.5"), Fraction(300), Fraction(2), Fraction(123), 90),
    "spectral OTF": (Fraction("0.50331648"), Fraction("301.989888"), Fraction("2.01326592"),
                     Fraction("123.3125376"), 90),
    "ON-OFF": (Fraction("0.100663296"), Fraction("2.01326592"), Fraction("1.00663296"),
               Fraction("1.61"), 150),
    "1 sample in 8": (Fraction("1.00663296"), Fraction("8.05306368"), Fraction("1.00663296"),
                      Fraction("5.0331648"), 150),
}


def rows_apart(found, phase, period, step):
    apart = (found.phase - phase) % period
    return float(min(apart, period - apart) / step)


@pytest.mark.parametrize("snr", [1, 50])
@pytest.mark.parametrize("name", PATTERNS)
def test_each_pattern_to_one_row(name, snr, rng):
    step, period, on, phase, n_cycle = PATTERNS[name]
    power, weight = series(rng, step, period, on, phase, n_cycle, snr)
    found = find_cycle(power, weight, step_s=step)
    assert (found.mode, found.period, found.on) == (name, period, on)
    assert rows_apart(found, phase, period, step) <= (1 if snr == 1 else 0.13)
    assert found.false_alarm < 1e-6 and found.significance > 7
    # Of one cycle, from n of them: right to sqrt(2 / n), and to the gaps.
    assert snr * 0.7 < found.snr_per_cycle < snr * 1.4


def test_polarisations_and_sub_bands_are_taken_together(rng):
    step, period, on, phase, n_cycle = PATTERNS["ON-OFF"]
    power, weight = series(rng, step, period, on, phase, n_cycle, columns=(2, 3))
    power[:, 1, 0] = np.nan
    power[100:140, 0, 1] = np.nan
    power[:, 0, :] *= 7  # another gain
    found = find_cycle(power, weight, step_s=float(step))
    assert found.mode == "ON-OFF" and rows_apart(found, phase, period, step) <= 1
    weak = find_cycle(power[:, :1, :1], weight, step_s=float(step))
    assert found.significance > 1.5 * weak.significance


@pytest.mark.parametrize("snr, drift_rows", [(1, 6), (50, 0.3)])
def test_an_unknown_pattern_is_found(snr, drift_rows, rng):
    step, period, on, phase = (Fraction(t) for t in ("0.01", "0.317", "0.08", "0.25"))
    power, weight = series(rng, step, period, on, phase, 250, snr)
    found = find_cycle(power, weight, step_s=step)
    assert found.mode is None
    # The period to far less than a row: this is what all its cycles add up to.
    assert abs(found.period - period) * 250 <= drift_rows * step
    assert abs(found.on - on) <= 2 * step
    assert rows_apart(found, phase, period, step) <= (2 if snr == 1 else 0.2)
    assert found.false_alarm < 1e-6


def test_a_known_period_with_another_on_time(rng):
    step, period, _, phase, n_cycle = PATTERNS["ON-OFF"]
    power, weight = series(rng, step, period, 5 * step, phase, n_cycle, 30)
    found = find_cycle(power, weight, step_s=step)
    assert found.mode is None and abs(found.period - period) * n_cycle <= step / 2
    assert abs(found.on - 5 * step) <= step / 4


def test_half_the_period_of_a_known_pattern_is_not_taken_for_it(rng):
    step, period, on, phase, _ = PATTERNS["star"]
    power, weight = series(rng, step, period / 2, on, phase / 3, 60, 20)
    found = find_cycle(power, weight, step_s=step)
    assert found.mode is None and abs(found.period - period / 2) * 60 <= step


def test_bursts_do_not_hide_it(rng):
    step, period, on, phase, n_cycle = PATTERNS["pulsar"]
    power, weight = series(rng, step, period, on, phase, n_cycle)
    power[rng.integers(0, len(power), 20)] *= 3
    assert rows_apart(find_cycle(power, weight, step_s=step), phase, period, step) <= 1


def test_in_simulated_spectra():
    """32 mK in each of four channels: S/N 1 a cycle."""
    made = FastSpectra(
        duration=400 * Fraction("0.201326592"), n_chan=4, bandwidth="3.90625MHz",
        fstart="1400MHz", integration=64 * Fraction("49.152e-6"), seed=5,
        diode=Diode("0.032K", first=13_000_000))
    power = made.generate(0, made.n_time)[0][:, :2]
    found = find_cycle(power, step_s=1 / made.header.sample_rate)
    assert found.mode == "pulsar" and 0.8 < found.snr_per_cycle < 1.2
    assert rows_apart(found, 13_000_000 * TICK, found.period, 64 * Fraction("49.152e-6")) <= 1
    kept = find_cycle(power, step_s=1 / made.header.sample_rate, hint=made.header.diode,
                      hint_from="user")
    assert kept.schedule() == made.header.diode


# What is no diode.


@pytest.mark.parametrize("ripple", [0, 0.01])
def test_no_diode(ripple, rng):
    step, period, on, phase, _ = PATTERNS["ON-OFF"]
    power, weight = series(rng, step, period, on, phase, 120, snr=0)
    power *= 1 + ripple * np.sin(np.arange(len(power)) / 9)
    with pytest.raises(DataError, match=r"^scan\.fits: no noise diode that switches in 2400 rows"):
        find_cycle(power, weight, step_s=step, path="scan.fits")


def test_noise_is_rarely_taken_for_a_diode():
    for seed in range(5):
        noise = 1 + 0.1 * np.random.default_rng(seed).normal(size=600)
        with pytest.raises(DataError, match="no noise diode"):
            find_cycle(noise, step_s="0.5")


def test_diode_on_during_the_whole_scan(rng):
    step, period, on, phase, _ = PATTERNS["ON-OFF"]
    power, weight = series(rng, step, period, on, phase, 60, snr=0)
    power *= 1.055
    always = DiodeSchedule(100, 100)
    with pytest.raises(DataError, match="on during the whole scan of .* by the header's schedule"):
        find_cycle(power, weight, step_s=step, hint=always)
    long = DiodeSchedule(10**12, 9 * 10**11)
    with pytest.raises(DataError, match="on during the whole scan of .* by the user's schedule"):
        find_cycle(power, weight, step_s=step, hint=long, hint_from="user")
    with pytest.raises(DataError, match="on during the whole scan of .* power with the diode off"):
        find_cycle(power, weight, step_s=step, off_level=100.0)
    with pytest.raises(DataError, match="no noise diode"):
        find_cycle(power, weight, step_s=step, off_level=105.0)


def test_input_that_tells_nothing():
    with pytest.raises(DataError, match="0 rows with power; allowed: 16"):
        find_cycle(np.full(100, np.nan), step_s=1)
    with pytest.raises(DataError, match="median power -1; allowed: above 0"):
        find_cycle(np.full(100, -1.0), step_s=1)
    with pytest.raises(DataError, match="weight has shape"):
        find_cycle(np.ones((100, 2)), np.ones((100, 3)), step_s=1)
    with pytest.raises(DataError, match="4 axes"):
        find_cycle(np.ones((10, 1, 1, 1)), step_s=1)


# Schedules of headers and users.


def ticks(period, on, phase):
    return DiodeSchedule(*(round(t / TICK) for t in (period, on, phase)))


@pytest.mark.parametrize("whose", ["header", "user"])
def test_a_schedule_that_is_right_is_kept_exactly(whose, rng):
    step, period, on, phase, n_cycle = PATTERNS["pulsar"]
    power, weight = series(rng, step, period, on, phase, n_cycle)
    found = find_cycle(power, weight, step_s=step, hint=ticks(period, on, phase),
                       hint_from=whose)
    assert (found.period, found.on, found.phase) == (period, on, phase)


@pytest.mark.parametrize("wrong", [
    (Fraction("0.4026531840"), Fraction("0.201326592"), Fraction("0.0512")),
    (Fraction("0.201326592"), Fraction("0.05"), Fraction("0.0512")),
    (Fraction("0.201326592"), Fraction("0.100663296"), Fraction("0.0812")),
    (Fraction("0.2013"), Fraction("0.100663296"), Fraction("0.0512")),
    (Fraction(1), Fraction(1), Fraction(0)),
])
def test_a_wrong_schedule_is_refused_and_the_right_one_named(wrong, rng):
    step, period, on, phase, n_cycle = PATTERNS["pulsar"]
    power, weight = series(rng, step, period, on, phase, n_cycle, 3)
    right = r"period 0\.201326592 s, on 0\.100663296 s, first on at 0\.05\d+ s"
    with pytest.raises(DataError, match=f"the user's noise diode .* in the data: {right}"):
        find_cycle(power, weight, step_s=step, hint=ticks(*wrong), hint_from="user")
    with pytest.warns(DoubtWarning, match=f"the header's noise diode .* in the data: {right}"):
        found = find_cycle(power, weight, step_s=step, hint=ticks(*wrong))
    assert found.period == period and rows_apart(found, phase, period, step) <= 1


def test_a_schedule_is_found_beneath_what_switches_more_strongly(rng):
    """A pulsar is stronger than the diode: with a schedule that does not matter."""
    step, period, on, phase, n_cycle = PATTERNS["pulsar"]
    power, weight = series(rng, step, period, on, phase, n_cycle, 3)
    pulse = (np.arange(len(power)) * float(step) % 0.0331) < 0.004
    power *= 1 + 0.02 * pulse
    assert find_cycle(power, weight, step_s=step).period != period
    for whose in ("header", "user"):
        found = find_cycle(power, weight, step_s=step, hint=ticks(period, on, phase),
                           hint_from=whose)
        assert (found.period, found.on, found.phase) == (period, on, phase)
    late = ticks(period, on, phase + Fraction("0.03"))
    with pytest.raises(DataError, match="the user's noise diode .* is not the one in the data"):
        find_cycle(power, weight, step_s=step, hint=late, hint_from="user")


def test_a_schedule_of_no_known_mode_helps(rng):
    step, period, on, phase = (Fraction(t) for t in ("0.05", "7.3", "0.3", "2.05"))
    power, weight = series(rng, step, period, on, phase, 60, 1)
    found = find_cycle(power, weight, step_s=step, hint=ticks(period, on, phase))
    assert found.mode == "header" and found.period == period and found.phase == phase


def test_outliers_of_one_pattern_are_the_diode_of_another() -> None:
    """Rows with the diode on are outliers to a pattern that switches more often: no good fit."""
    rng = np.random.default_rng(4)
    rows = np.arange(200)
    power = 1 + 0.6 * (rows % 8 == 0) + 0.2 * np.exp(-0.5 * ((rows - 140) / 5) ** 2)
    found = find_cycle(power * (1 + rng.normal(0, 1e-3, 200)), step_s=Fraction("1.00663296"))
    assert found.mode == "1 sample in 8" and found.phase == 0
