"""The diode's power is parted into gain and shape, and temperatures come out with their errors."""

import numpy as np
import pytest

from fastsig.calibration.diode.gain import antenna_temperature, combine, fit_diode, on_minus_off
from fastsig.errors import DataError, UsageError

N_CHAN, WIDTH = 256, 0.25e6  # 64 MHz
TIMES = np.arange(120) * 10.0


def truth(n_pol=2):
    """Gain (cycle, pol) of median about 1, shape (pol, chan) without structure below 5 MHz."""
    phase = np.arange(n_pol)
    gain = 1 + 0.03 * np.sin(TIMES[:, None] / 250 + phase)
    x = np.linspace(-1, 1, N_CHAN)
    return gain, 40 * (1 + 0.3 * x - 0.1 * phase[:, None] + 0.2 * x**2)


def spectra(rng, sigma=0.5, n_pol=2):
    gain, shape = truth(n_pol)
    clean = gain[:, :, None] * shape
    return clean + sigma * rng.normal(size=clean.shape), clean


def fitted(d, weight=None, **changes):
    told = {"times_s": TIMES[: len(d)], "chan_width_hz": WIDTH, "gain_s": 60.0} | changes
    return fit_diode(d, weight, **told)


def test_gain_and_shape_are_parted(rng):
    d, clean = spectra(rng)
    model = fitted(d)
    assert not model.bad.any()
    gain, error = model.gain_at(TIMES)
    np.testing.assert_allclose(gain[:, :, None] * model.shape, clean, rtol=4e-3)
    assert np.median(model.gain[:, 0]) == pytest.approx(1, abs=1e-9)
    # Errors are those seen: gain of a cycle is sigma / sqrt(sum of shape^2).
    _, shape = truth()
    np.testing.assert_allclose(np.nanmedian(model.gain_error, axis=0),
                               0.5 / np.sqrt((shape**2).sum(axis=1)), rtol=0.1)
    product = gain[:, :, None] * model.shape / clean - 1
    expected = np.sqrt(np.mean(error**2) + np.nanmean((model.shape_error / model.shape) ** 2))
    assert 0.6 < product.std() / expected < 1.5
    assert model.gain_at([-1e5])[0][0, 0] == model.knot_gain[0, 0]


def test_weights_and_masked_channels(rng):
    d, clean = spectra(rng)
    weight = np.ones(d.shape)
    d[:, :, 40:60] += 1e4 * rng.normal(size=(120, 2, 20))
    mask = np.zeros(N_CHAN, bool)
    mask[40:60] = True
    d[10:20, 1, :100], weight[10:20, 1, :100] = 1e6, 0
    d[50, 0], d[:, 1, 200] = np.nan, np.nan
    model = fitted(d, weight, mask=mask)
    gain, _ = model.gain_at(TIMES)
    # The smooth shape runs through what is masked, less well where a whole window is.
    np.testing.assert_allclose(gain[:, :, None] * model.shape, clean, rtol=6e-3)
    assert np.isnan(model.gain[50, 0]) and np.isfinite(model.gain[50, 1])
    wide = np.zeros(N_CHAN, bool)
    wide[40:90] = True
    shape = fitted(d, weight, mask=wide).shape
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(shape[0])), np.arange(50, 80))


def test_bad_cycles_are_left_out(rng):
    d, clean = spectra(rng)
    d[30] *= 1.2  # a jump of the gain
    d[60, 1, 100:104] += 300  # interference in a few channels
    d[90] = 0
    model = fitted(d)
    np.testing.assert_array_equal(np.flatnonzero(model.bad), [30, 60, 90])
    gain, _ = model.gain_at(TIMES)
    np.testing.assert_allclose(gain[:, :, None] * model.shape, clean, rtol=4e-3)


def test_smoothing_of_the_shape(rng):
    d, _ = spectra(rng, sigma=8)
    _, shape = truth()
    errors = [np.std(fitted(d, smooth_hz=hz).shape[0] / shape[0]) for hz in (0, 5e6)]
    # 21 channels: a straight line over n points has a variance of 1/n in the middle.
    assert errors[1] == pytest.approx(errors[0] / np.sqrt(21), rel=0.4)


def test_one_polarisation_and_a_missing_one(rng):
    d, clean = spectra(rng)
    one = fitted(d[:, :1])
    d[:, 1] = np.nan
    both = fitted(d)
    np.testing.assert_array_equal(one.shape[0], both.shape[0])
    assert np.isnan(both.shape[1]).all() and np.isfinite(both.shape[0]).all()
    np.testing.assert_allclose(one.gain_at(TIMES)[0] * one.shape[0], clean[:, 0], rtol=4e-3)


def test_gaps_in_time_are_bridged(rng):
    d, clean = spectra(rng)
    kept = np.r_[0:50, 80:120]
    model = fitted(d[kept], times_s=TIMES[kept])
    gain, _ = model.gain_at(TIMES)
    np.testing.assert_allclose(gain[:50, 0] * model.shape[0, 9], clean[:50, 0, 9], rtol=5e-3)
    straight = np.interp(TIMES[50:80], TIMES[[49, 80]], gain[[49, 80], 0])
    assert np.abs(gain[50:80, 0] - straight).max() < 0.03


def test_files_of_a_scan_are_combined(rng):
    d, clean = spectra(rng)
    whole = fitted(d)
    parts = [fitted(d[a:b], times_s=TIMES[a:b]) for a, b in ((60, 120), (0, 60))]
    both = combine(parts)
    np.testing.assert_array_equal(both.times_s, TIMES)
    for model in (whole, both):
        gain, _ = model.gain_at(TIMES)
        np.testing.assert_allclose(gain[:, :, None] * model.shape, clean, rtol=5e-3)
    np.testing.assert_allclose(both.shape_error / both.shape, whole.shape_error / whole.shape,
                               rtol=0.1)
    with pytest.raises(UsageError, match="diode models of shapes"):
        combine([whole, fitted(d[:, :1])])


def rows(rng, n_cycle=40, n_average=1e4):
    """Powers of a source over a receiver, with a diode of 10 K on for 5 of 20 rows."""
    kelvin = np.array([20.0, 24.0])[:, None] * np.ones(N_CHAN)
    state = np.tile(np.r_[np.zeros(8), -1, np.ones(4), -1, np.zeros(6)], n_cycle).astype(np.int8)
    share = np.where(state == -1, 0.4, state)
    gain = 1 + 0.02 * np.sin(np.arange(len(state)) / 200)
    _, shape = truth()
    noise = 1 + rng.normal(size=(len(state), 2, N_CHAN)) / np.sqrt(n_average)
    power = gain[:, None, None] * shape / 10 * (kelvin + 10 * share[:, None, None]) * noise
    return power, state, np.arange(len(state)) // 20, kelvin


def test_temperatures_and_their_errors(rng):
    power, state, number, kelvin = rows(rng)
    power[3, 0, 5] = np.nan
    weight = np.ones(power.shape, np.float32)
    weight[7, 1, 6], weight[8, 1, 6] = 0, 0.25
    found = on_minus_off(power, weight, state, number, n_average=1e4)
    model = fit_diode(found.power, found.weight, times_s=found.rows, chan_width_hz=WIDTH,
                      gain_s=100)
    t, error = antenna_temperature(power, model, np.arange(len(state)), 10.0, state=state,
                                   weight=weight, n_average=1e4)
    assert np.isnan(t[3, 0, 5]) and np.isnan(t[7, 1, 6]) and np.isnan(t[state == -1]).all()
    known = np.isfinite(t)
    np.testing.assert_array_equal(known, np.isfinite(error))
    pull = ((t - kelvin) / error)[known]
    assert pull.std() == pytest.approx(1, abs=0.1)
    for lit, total in ((0, kelvin), (1, kelvin + 10)):  # on rows are noisier
        scatter = np.nanstd(t[state == lit] - np.nanmean(t[state == lit], axis=0), axis=0)
        np.testing.assert_allclose(np.median(scatter, 1), total[:, 0] / 100, rtol=0.1)
    mean = np.nanmean(t, axis=(0, 2))
    np.testing.assert_allclose(mean, kelvin[:, 0], rtol=3e-3)
    factor = model.kelvin_per_count([100.0], np.full((2, N_CHAN), 10.0))
    np.testing.assert_allclose(factor[0] * power[100], t[100], rtol=1e-12)


def test_differences_are_weighed_by_the_radiometer(rng):
    power, state, number, _ = rows(rng, n_cycle=200, n_average=1e3)
    found = on_minus_off(power, None, state, number, n_average=1e3)
    pull = (found.power - found.power.mean(axis=0)) * np.sqrt(found.weight)
    # Beside the noise there is the gain, which goes by 2 % of a step of 10 of 24 K.
    assert pull.std() == pytest.approx(1, abs=0.1)
    np.testing.assert_array_equal(found.rows[:2], [10.5, 30.5])
    state[20:40] = 0
    without = on_minus_off(power, None, state, number)
    assert np.isnan(without.power[1]).all() and not without.weight[1].any()


def test_unknown_tcal_is_an_unknown_temperature(rng):
    power, state, number, _ = rows(rng)
    found = on_minus_off(power, None, state, number)
    model = fit_diode(found.power, found.weight, times_s=found.rows, chan_width_hz=WIDTH)
    tcal = np.full(N_CHAN, 10.0)
    tcal[:3] = np.nan
    t, _ = antenna_temperature(power[:4], model, np.arange(4), tcal)
    assert np.isnan(t[:, :, :3]).all() and np.isfinite(t[:, :, 3:]).all()


def test_what_is_not_allowed(rng):
    d, _ = spectra(rng)
    model = fitted(d)
    with pytest.raises(DataError, match="no cycle of 120 has on and off rows"):
        fitted(np.full(d.shape, np.nan))
    with pytest.raises(DataError, match="no more power than the others"):
        fitted(-d)
    with pytest.raises(UsageError, match="times"):
        fitted(d, times_s=TIMES[:-1])
    with pytest.raises(UsageError, match="have 2 axes"):
        fitted(d[:, 0])
    with pytest.raises(UsageError, match="Tcal has shape"):
        model.kelvin_per_count([0.0], np.ones(7))
    with pytest.raises(UsageError, match="as in the diode's model"):
        antenna_temperature(np.ones((1, 1, N_CHAN)), model, [0.0], 10.0)
    with pytest.raises(UsageError, match=r"power \(4,\)"):
        on_minus_off(np.ones(4), None, np.ones(4, np.int8), np.zeros(4, np.int64))
