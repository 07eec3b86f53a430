"""A constant period with derivatives."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from astropy.time import Time

from fastsig.errors import UsageError
from fastsig.pulsar.constant import ConstantPeriod
from fastsig.pulsar.predictors import check_sampling

EPOCH = Time("2020-01-01T00:00:00", scale="utc")


def test_phase_of_a_period_far_from_its_epoch():
    start = Time("2017-03-04T00:00:00", scale="utc")
    pulsar = ConstantPeriod(period="0.0015578s", pdot=1e-19, epoch=EPOCH)
    turns, part = pulsar.phase(start, np.array([0.0, 100.25]))
    t = -Fraction(1033 * 86400)  # no leap second in between
    p, dp = Fraction("0.0015578"), Fraction("1e-19")
    truth = t / p - dp / p**2 * t**2 / 2 + 2 * dp**2 / p**3 * t**3 / 6
    assert int(turns[0]) + Fraction(part[0]) - truth == pytest.approx(0, abs=1e-12)
    assert pulsar.frequency(start, np.zeros(1))[0] == pytest.approx(
        float(1 / p - dp / p**2 * t), rel=1e-15)


def test_a_leap_second_counts():
    pulsar = ConstantPeriod(period="0.7s", epoch=Time("2016-12-31T23:59:59", scale="utc"))
    turns, part = pulsar.phase(Time("2017-01-01T00:00:00", scale="utc"), np.zeros(1))
    assert (turns[0] + part[0]) * 0.7 == pytest.approx(2)


def test_acceleration_towards_us_raises_the_frequency():
    pulsar = ConstantPeriod(frequency="100Hz", fdot="-1e-9 Hz/s", acceleration="20 m/s2",
                            epoch=EPOCH, dm=30.0, source="J0000+00")
    assert pulsar.frequency(EPOCH, np.array([1000.0]))[0] == pytest.approx(
        100 + 1000 * (20 * 100 / 299792458 - 1e-9), abs=1e-12)
    assert (pulsar.dm, pulsar.source, pulsar.span, pulsar.reference_mhz) == (
        30.0, "J0000+00", None, None)
    assert pulsar.parameters()["frequency_hz"] == 100


def test_fractions_stay_below_one():
    pulsar = ConstantPeriod(period="1s", epoch=EPOCH)
    turns, part = pulsar.phase(EPOCH, np.array([-1e-30, 0.0, 1 - 2**-53, 1.0]))
    assert part.tolist() == [0.0, 0.0, 1 - 2**-53, 0.0]
    assert turns.tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize(("arguments", "message"), [
    ({}, "either a period or a frequency"),
    ({"period": "1s", "frequency": "1Hz"}, "either a period or a frequency"),
    ({"period": "-1s"}, "period = '-1s'; allowed: above 0"),
    ({"period": 0.7}, "period = 0.7 has no unit"),
    ({"period": "nan s"}, "period"),
    ({"period": "1s", "fdot": "1 Hz/s"}, "a period has derivatives pdot"),
    ({"period": "1s", "dm": float("nan")}, "dm = nan"),
    ({"period": "1s", "pdot": "x"}, "pdot = 'x'"),
])
def test_bad_values_are_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        ConstantPeriod(epoch=EPOCH, **arguments)


def test_a_period_below_two_samples_is_refused():
    pulsar = ConstantPeriod(period="1ms", epoch=EPOCH)
    check_sampling(pulsar, EPOCH, 60.0, 0.5e-3)
    with pytest.raises(UsageError, match=r"period 0.001 s is below two samples of 0.000501 s"):
        check_sampling(pulsar, EPOCH, 60.0, 0.501e-3)
    with pytest.raises(UsageError, match="finite"):
        pulsar.phase(EPOCH, np.array([np.nan]))
