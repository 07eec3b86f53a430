"""Search of drifting carriers in arrays: plan, noise, completeness, and what hides what."""

from itertools import pairwise

import numpy as np
import pytest
from carriers import SHAPE, spectra

from fastsig.errors import UsageError
from fastsig.search.drift.noise import flatten, gamma_shape, sum_noise
from fastsig.search.drift.plan import DriftPlan, kept_by_boxcar
from fastsig.search.drift.tile import Tile

CHAN_HZ, SAMPLE_S = 2.7939677, 18.253611


def plan_of(n_spectrum=16, low=-4.0, high=4.0, **options):
    return DriftPlan(n_spectrum, SAMPLE_S * 16 / max(1, n_spectrum), CHAN_HZ, low, high, **options)


def found_in(x, plan, threshold=10.0, window=256):
    signals, is_full, _ = Tile(plan, window, threshold).search(x)
    assert not is_full
    return signals


def nearest(signals, carrier, n_spectrum=16):
    """Return the signals at a carrier: within a channel (or half its smear) and a step of drift."""
    channel, drift, width, _ = carrier
    near = max(1.0, width / 2) + abs(drift) / max(1, n_spectrum - 1) / 2
    return [each for each in signals
            if abs(each.start + (each.width - 1) / 2 - channel) <= near
            and abs(each.drift - drift) <= 1 + near]


def test_steps_and_octaves():
    """The step is that of 16 spectra of Voyager 1; every drift of the range is in one octave."""
    plan = plan_of()
    assert plan.step == pytest.approx(0.0102043, abs=1e-7)
    assert plan.limits == (-391, 391)
    for sign in (1, -1):
        octaves = [each for each in plan.octaves if each.sign == sign]
        assert octaves[0].first == (0 if sign > 0 else 1)
        for slow, fast in pairwise(octaves):
            assert fast.n_sum == 2 * slow.n_sum
            assert fast.first * fast.n_sum == slow.last * slow.n_sum + fast.n_sum
        assert octaves[-1].last * octaves[-1].n_sum >= 391
    assert [each.n_row for each in plan_of(smeared=False).octaves] == [392, 391]


@pytest.mark.parametrize(("low", "high"), [(0.5, 2.0), (-2.0, -1.0), (0.0, 0.0), (-4.0, 0.3)])
def test_a_part_of_the_drifts(low, high):
    whole = {(each.sign, each.n_sum): set(range(each.first, each.last + 1))
             for each in plan_of().octaves}
    for each in plan_of(low=low, high=high).octaves:
        assert set(range(each.first, each.last + 1)) <= whole[each.sign, each.n_sum]


@pytest.mark.parametrize("arguments", [
    {"n_spectrum": 0}, {"n_spectrum": 5000}, {"low": 2.0, "high": 1.0}, {"high": np.nan},
    {"widest": 0}, {"high": 1e9},
])
def test_plans_that_are_refused(arguments):
    with pytest.raises(UsageError, match="allowed"):
        plan_of(**arguments)


def test_losses():
    """A boxcar that is centred keeps all of a carrier; one of twice its width 0.71 of its S/N."""
    assert kept_by_boxcar(0.0, 1) == 1
    assert kept_by_boxcar(0.0, 4) == pytest.approx(0.5)
    assert kept_by_boxcar(4.0, 8) == pytest.approx(8**-0.5)
    assert plan_of().kept(0.0) == 1
    # 26 channels: half or more of the best that a boxcar of 26 channels could keep.
    assert 0.7 * 26**-0.5 < plan_of().kept(4.0) < 26**-0.5


@pytest.mark.parametrize("shape", [1.0, 7.5, 51.0, 1e5])
def test_noise_of_gamma_laws(shape, rng):
    x = rng.gamma(shape, 3 / shape, (16, 2**14)).astype(np.float32)
    y, total, known, levels = flatten(x, 1024)
    assert known is None
    assert levels.shape == pytest.approx(shape, rel=0.05)
    # The mean of a sum is right to a twentieth of its noise.
    assert abs(y.mean()) * np.sqrt(16 * shape) < 0.05
    noise = sum_noise(total, None, (1, 2, 8), levels.shape * 16)
    np.testing.assert_allclose(noise, np.sqrt(16 / shape * np.array([1, 2, 8])), rtol=0.07)
    assert gamma_shape(0.48121182505960347 / 0.6931471805599453) == pytest.approx(1, rel=1e-6)


def test_completeness_drift_and_sign():
    """Carriers in all octaves, of which each one is found once, and nothing else."""
    plan = plan_of()
    rng = np.random.default_rng(3)
    carriers = []
    for k in range(40):
        drift, width = float(rng.uniform(-391, 391)), int(rng.choice([1, 2, 4, 8]))
        needed = 14 / min(1, plan.kept(drift * plan.step) * np.sqrt(max(width, 1)))
        carriers.append((1000 + 700 * k + rng.random(), drift, width, needed * 1.3))
    signals = found_in(spectra(16, 2**15, carriers), plan)
    assert sum(bool(nearest(signals, each)) for each in carriers) == 40
    assert len(signals) == 40


def test_snr_of_slow_carriers():
    """S/N within 3 % of the expected in the mean, for carriers in the middle of channels."""
    carriers = [(500.0 + 1000 * k, 0.0, width, 30.0)
                for k, width in enumerate([1, 2, 3, 4, 8] * 24)]
    carriers = [(at + (width % 2 == 0) / 2, drift, width, snr)
                for at, drift, width, snr in carriers]
    signals = found_in(spectra(16, 2**17, carriers), plan_of(low=0.0, high=0.0), window=4096)
    ratio = [nearest(signals, each)[0].snr / 30 for each in carriers]
    assert abs(np.mean(ratio) - 1) < 0.03
    assert len(signals) == len(carriers)


@pytest.mark.parametrize("snr", [100.0, 1000.0])
def test_a_strong_carrier_hides_none(snr):
    """A weak carrier that crosses a strong one, and others beside it, are found."""
    strong = (2000.0, 10.0, 1, snr)
    weak = [(1990.0, 30.0, 1, 30.0), (2040.0, 10.0, 1, 18.0), (1950.0, -8.0, 1, 18.0)]
    signals = found_in(spectra(16, 4096, [strong, *weak]), plan_of(low=-0.4, high=0.4))
    for each in (strong, *weak):
        assert nearest(signals, each), each
    assert len(signals) == 4


def test_a_wider_range_loses_no_hits():
    carriers = [(500.0 + 300 * k, 12.0 - 2 * k, 1, 20.0) for k in range(12)]
    x = spectra(16, 2**13, carriers)
    few, many = (found_in(x, plan_of(low=-limit, high=limit)) for limit in (0.2, 4.0))
    assert [(each.start, each.drift, each.width) for each in few] == [
        (each.start, each.drift, each.width) for each in many]
    assert len(few) == 12


@pytest.mark.parametrize("n_spectrum", [1, 2, 7, 33, 80, 150])
def test_any_number_of_spectra(n_spectrum):
    """Few spectra are summed directly and many by a tree, with weights or without."""
    plan = plan_of(n_spectrum, low=-1.0, high=1.0)
    carriers = [(600.0, 0.0, 1, 40.0)]
    if n_spectrum > 1:
        needed = 20 / plan.kept(plan.high)
        carriers += [(1500.0, plan.limits[1] / 2, 2, needed),
                     (2500.0, plan.limits[0] / 3, 1, needed)]
    x = spectra(n_spectrum, 4096, carriers)
    signals = found_in(x, plan)
    assert all(nearest(signals, each, n_spectrum) for each in carriers)
    assert len(signals) == len(carriers)
    valid = np.ones(x.shape, bool)
    valid[:, 3500] = False
    masked = found_in(np.where(valid, x, np.float32(np.nan)), plan)
    assert [(each.start, each.drift) for each in masked] == [
        (each.start, each.drift) for each in signals]


def test_lost_samples():
    """S/N is that of the valid samples: with a quarter of the spectra lost, 0.87 of it."""
    carriers = [(300.0 + 120 * k, 0.0, 1, 30.0) for k in range(60)]
    x = spectra(16, 2**13, carriers)
    x[3:7] = np.nan
    signals = found_in(x, plan_of(low=-0.1, high=0.1))
    assert len(signals) == 60
    assert all(each.valid_share == 0.75 for each in signals)
    assert np.mean([each.snr for each in signals]) == pytest.approx(30 * 0.75**0.5, rel=0.03)


@pytest.mark.parametrize("value", [0.0, 1.0, np.nan])
def test_nothing_in_constant_or_lost_spectra(value):
    x = np.full((16, 2048), value, np.float32)
    assert found_in(x, plan_of()) == []


def test_noise_alone():
    """No hit at S/N 10 in 2 million channels and spectra of noise."""
    assert found_in(spectra(16, 2**17, []), plan_of()) == [] and SHAPE == 51


def test_a_range_without_slow_drifts():
    """Boxcars of one channel are in no octave, but side lobes are measured in them."""
    plan = plan_of(low=2.0, high=4.0)
    assert min(each.n_sum for each in plan.octaves) > 1
    carrier = (2000.0, 300.0, 1, 150.0)
    signals = found_in(spectra(16, 4096, [carrier]), plan)
    assert len(signals) == 1 and nearest(signals, carrier)


def test_many_carriers_do_not_make_the_noise_larger():
    """A carrier that drifts is in hundreds of channels of the sum without drift."""
    plan = plan_of()
    snr = 40 / plan.kept(200 * plan.step)
    crowd = [(600.0 + 700 * k, 200.0, 1, snr) for k in range(20)]
    x = spectra(16, 2**14, crowd)
    alone = found_in(spectra(16, 2**14, crowd[:1]), plan)[0].snr
    found = [nearest(found_in(x, plan), each)[0].snr for each in crowd]
    assert np.median(found) == pytest.approx(alone, rel=0.06)


def test_any_bits_are_searched_without_an_error(rng):
    """Files may contain anything: numbers near the largest float, infinities and NaN."""
    plan = DriftPlan(16, 18.25, 2.8, -1.0, 1.0)
    for x in (rng.integers(0, 2**32, (16, 2**13), np.uint32).view(np.float32),
              np.full((16, 2**13), 3e38, np.float32), np.zeros((16, 2**13), np.float32),
              np.where(rng.random((16, 2**13)) < 0.5, np.inf, 1).astype(np.float32)):
        Tile(plan, 512, 10.0).search(x)
