"""Numbers of switched spectra: against plain loops, exact cases and the radiometer equation."""

from __future__ import annotations

import numpy as np
import pytest

from fastsig.calibration import switching as sw
from fastsig.errors import UsageError


def test_tsys_takes_the_middle_with_both_ends() -> None:
    off = np.arange(1.0, 21.0)
    on = off + np.linspace(1, 3, 20)
    part = slice(2, 19)  # 20 // 10 to 20 - 20 // 10, both included
    assert sw.inner_channels(20) == part and sw.inner_channels(5) == slice(0, 5)
    expected = 1.5 * off[2:19].mean() / (on - off)[2:19].mean() + 0.75
    assert sw.tsys(on, off, 1.5) == pytest.approx(expected, rel=1e-14)
    assert sw.tsys(on, off, 1.5, slice(3, 9)) != pytest.approx(expected, rel=1e-3)
    off[4] = np.nan  # left out of both means
    kept = np.r_[2:4, 5:19]
    assert sw.tsys(on, off, 1.5) == pytest.approx(
        1.5 * off[kept].mean() / (on - off)[kept].mean() + 0.75, rel=1e-14)
    assert np.isnan(sw.tsys(np.full(20, np.nan), off, 1.5))
    assert sw.tsys(off - 1, off, 1.5) < 0


def test_tsys_is_that_of_both_states() -> None:
    gain, system, diode = 7.0, 20.0, np.array([1.0, 12.5])
    off = np.full((2, 100), gain * system)
    on = off + gain * diode[:, np.newaxis]
    np.testing.assert_allclose(sw.tsys(on, off, diode), system + diode / 2, rtol=1e-13)


def test_position_switch_gives_the_source(rng: np.random.Generator) -> None:
    gain, source = rng.uniform(1, 9, 64), rng.normal(0, 5, 64)
    source[7] = np.nan
    found = sw.position_switch(gain * (20 + source), gain * 20, 20)
    np.testing.assert_allclose(found, source, rtol=0, atol=1e-12)
    assert np.isnan(sw.position_switch([1.0, 2.0], [0.0, 1.0], 3.0)[0])  # no power, no reference


@pytest.mark.parametrize("width", [1, 3, 4, 15])
def test_smoothing_against_a_loop(rng: np.random.Generator, width: int) -> None:
    values = rng.normal(5, 1, (2, 40))
    values[0, 9] = values[1, 20:40] = np.nan
    half = width // 2
    wide = np.pad(values, ((0, 0), (half, half)), mode="edge")
    expected = np.full_like(values, np.nan)
    for row in range(2):
        for at in range(40):
            part = wide[row, at : at + 2 * half + 1]
            if np.isfinite(part).any():
                expected[row, at] = np.nanmean(part)
    np.testing.assert_allclose(sw.smoothed(values, width), expected, rtol=1e-12)
    with pytest.raises(UsageError, match="smooth_ref = 41; allowed: 1 to 40"):
        sw.smoothed(values, 41)


@pytest.mark.parametrize("by", [0, 5, -7, 40, -41])
def test_whole_shifts(rng: np.random.Generator, by: int) -> None:
    values = rng.normal(0, 1, 40)
    expected = np.full(40, np.nan)
    for at in range(40):
        if 0 <= at - by < 40:
            expected[at] = values[at - by]
    np.testing.assert_array_equal(sw.shifted(values, by), expected)
    np.testing.assert_array_equal(sw.shifted(values, by + 0.004), expected)


@pytest.mark.parametrize("by", [0.4, -3.3, 8.5])
def test_shifts_by_parts_of_a_channel(by: float) -> None:
    at = np.arange(400.0)
    bump = np.exp(-0.5 * ((at - 200) / 6) ** 2) + 3
    found = sw.shifted(bump, by)
    expected = np.exp(-0.5 * ((at - 200 - by) / 6) ** 2) + 3
    kept = np.isfinite(found)
    assert (~kept).sum() in (int(abs(by)), int(np.ceil(abs(by))))
    np.testing.assert_allclose(found[kept], expected[kept], atol=1e-6)
    bump[50] = np.nan
    moved = sw.shifted(bump, by)
    assert (~np.isfinite(moved)).sum() == (~kept).sum() + 1
    assert np.isnan(moved[50 + int(np.rint(by))])


@pytest.mark.parametrize("shift", [30, -30, 30.4])
def test_folding(shift: float) -> None:
    """A line at one sky frequency, seen in two places of the band."""
    at, system, gain = np.arange(256.0), np.array([20.0, 22.0]), 1 + 0.3 * np.cos(np.arange(256))
    def line(center: float) -> np.ndarray:
        return 4 * np.exp(-0.5 * ((at - center) / 3) ** 2)
    # f(i) = f0 + i step; the second state's f0 is `shift` steps up, so the line is lower down.
    sig, ref = (gain * (20 + line(center)) for center in (120, 120 - shift))
    folded, tsys = sw.frequency_switch(sig, ref, 20, 20, shift)
    assert np.isnan(folded).sum() == round(abs(shift)) and tsys == pytest.approx(20)
    assert folded[120] == pytest.approx(4, abs=0.01)
    for ghost in (120 - shift, 120 + shift):
        near = folded[round(ghost) - 2 : round(ghost) + 3]
        assert near.min() == pytest.approx(-4 / 2 / 1.2, rel=0.02)
    assert float(sw.frequency_switch(sig, ref, *system, shift)[1]) == pytest.approx(
        np.sqrt(2 / (system**-2.0).sum()))
    with pytest.raises(UsageError, match="256 channels apart; allowed: less than the 256"):
        sw.frequency_switch(sig, ref, 20, 20, 256)


def test_nodding() -> None:
    gains, source = np.array([3.0, 5.0]), np.linspace(1, 2, 32)
    on, off = gains[:, np.newaxis] * (20 + source), gains[:, np.newaxis] * np.full(32, 20)
    found, tsys = sw.nod(on[0], off[0], 20, on[1], off[1], 20)
    np.testing.assert_allclose(found, source, rtol=1e-12)
    found, tsys = sw.nod(on[0], off[0], 20, on[1], off[1], 40, exposures=(1.0, 4.0))
    np.testing.assert_allclose(found, 1.5 * source, rtol=1e-12)  # equal weights
    assert tsys == pytest.approx(np.sqrt((20**2 + 40**2) / 2))


def test_effective_exposure() -> None:
    assert sw.effective_exposure(4, 4) == 2
    assert sw.effective_exposure(4, 4, 10**9) == pytest.approx(4)
    assert sw.effective_exposure(1, 3, 2) == pytest.approx(6 / 7)


def test_a_mean_has_the_noise_of_its_tsys_and_exposure(rng: np.random.Generator) -> None:
    system, exposure, width = np.array([18.0, 25.0, 60.0]), np.array([2.0, 5.0, 1.0]), 1e4
    noise = sw.radiometer(system, width, exposure)
    spectra = noise[:, np.newaxis] * rng.normal(0, 1, (3, 200_000))
    weight = sw.weights(exposure, -width, system)
    np.testing.assert_allclose(weight, noise**-2, rtol=1e-12)
    mean, share = sw.average(spectra, weight)
    expected = sw.radiometer(sw.average_tsys(system, weight), width, exposure.sum())
    assert mean.std() == pytest.approx(expected, rel=0.01) and (share == 1).all()
    spectra[0, 3] = spectra[:, 4] = np.nan
    mean, share = sw.average(spectra, weight)
    assert mean[3] == pytest.approx(np.average(spectra[1:, 3], weights=weight[1:]))
    assert share[3] == pytest.approx(weight[1:].sum() / weight.sum())
    assert np.isnan(mean[4]) and share[4] == 0


def test_radiometer() -> None:
    assert sw.radiometer(20, 1e4, 1) == pytest.approx(0.2)
    assert sw.radiometer(20, 1e4, 1, n_pol=2, n_eff=0.5) == pytest.approx(0.2)
    # States of 20 K and 30 K, half of the time each, averaged.
    assert sw.switched_noise(25, 10) == pytest.approx(np.sqrt((20**2 + 30**2) / 2))


def test_scatter_is_the_noise_alone(rng: np.random.Generator) -> None:
    at = np.arange(65536.0)
    values = rng.normal(0, 0.3, (2, 65536)) + 50 * np.sin(at / 9000)
    values += 8 * np.exp(-0.5 * ((at - 30000) / 40) ** 2)
    values[0, 40000], values[1, 9000:9100] = 1e6, np.nan
    np.testing.assert_allclose(sw.scatter(values), 0.3, rtol=0.01)
    assert np.isnan(sw.scatter(np.full(40, np.nan)))
    assert sw.scatter(np.ones(64)) == 0
