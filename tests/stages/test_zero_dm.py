"""Zero-DM: broadband interference goes, dispersed pulses lose what theory states."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from excised import N_CHAN, TSAMP_S, chain, head, noise
from stage_checks import check_rows

import fastsig as fs
from fastsig.axes.dispersion import delay_s

EXAMPLE: dict[str, Any] = {}

def pulse(n: int, at: int, dm: float, width: int) -> np.ndarray:
    """A dispersed box of `width` samples and height 1."""
    axis = head().channels
    mhz = axis.centers.to_value("MHz")
    delay = np.array([float(delay_s(Fraction(str(dm)), Fraction(f * 1e6), None)
                            - delay_s(Fraction(str(dm)), Fraction(mhz[-1] * 1e6), None))
                      for f in mhz])
    first = at + np.round(delay / TSAMP_S).astype(int)
    rows = np.arange(n)[:, np.newaxis]
    return np.asarray((rows >= first) & (rows < first + width), float)


@pytest.mark.parametrize("method", ["mean", "zdot"])
def test_broadband_interference_goes_and_dispersed_pulses_stay(method: str) -> None:
    n, clean = 2000, noise(2000)
    track = pulse(n, 700, 80, 4)
    burst = np.random.default_rng(2).random(n) < 0.05
    strength = np.ones(N_CHAN) if method == "mean" else np.linspace(0.2, 3, N_CHAN)
    data = clean + 10 * track + 100 * burst[:, np.newaxis] * strength
    left = chain(data).zero_dm(method=method).read().values[:, 0]
    assert np.abs(left.mean(axis=1)).max() < 1e-3
    # Of the interference nothing is left above the noise; the noise itself stays.
    apart = left - left[~burst].mean(axis=0)
    assert np.std(apart[burst]) < 5.5 and 4.8 < np.std(apart[~burst]) < 5.2
    signal = (left * track).sum() - (left * track.mean(axis=0)).sum()
    assert signal / track.sum() == pytest.approx(10, rel=0.12)


@pytest.mark.parametrize(("dm", "width"), [(2.0, 8), (5.0, 8), (50.0, 8)])
def test_response_to_pulses_is_that_of_theory(dm: float, width: int) -> None:
    """Of a straight sweep of delay T, fluctuations at f keep 1 - sinc(f T)^2 of their amplitude."""
    n = 4096
    lag = np.round(np.linspace(dm * 2, 0, N_CHAN)).astype(int)  # a straight sweep, in samples
    rows = np.arange(n)[:, np.newaxis] - lag
    data = np.exp(-0.5 * ((rows - n / 2) / width) ** 2)
    left = chain(data).zero_dm().read().values[:, 0]
    aligned = np.mean([np.roll(left[:, c], -lag[c]) for c in range(N_CHAN)], axis=0)
    wanted = np.mean([np.roll(data[:, c], -lag[c]) for c in range(N_CHAN)], axis=0)
    f = np.fft.rfftfreq(n)
    # The mean over the band is the pulse times the transform of the sweep; aligned again, it is
    # multiplied by it once more.
    sweep = np.mean(np.exp(-2j * np.pi * f * lag[:, np.newaxis]), axis=0)
    expected = np.fft.irfft(np.fft.rfft(wanted) * (1 - np.abs(sweep) ** 2), n)
    np.testing.assert_allclose(aligned, expected, atol=1e-5)
    sinc = np.sinc(f * (lag[0] + 1 if dm > 2 else lag[0]))
    low = f < 0.02
    np.testing.assert_allclose(np.abs(sweep[low]) ** 2, sinc[low] ** 2, atol=0.12)
    assert expected.max() / wanted.max() > {2.0: 0.0, 5.0: 0.02, 50.0: 0.8}[dm]


def test_mean_is_the_plain_mean_and_weights_are_kept() -> None:
    data = noise(300)
    left = chain(data).zero_dm().read()
    single = data.astype(np.float32)
    np.testing.assert_allclose(left.values[:, 0], single - single.mean(axis=1)[:, np.newaxis],
                               atol=1e-4)
    assert (left.weight == 1).all()
    data[100:200, 30:90] = np.nan
    gaps = chain(data).zero_dm().read()
    np.testing.assert_array_equal(gaps.weight[:, 0] == 0, np.isnan(data))
    # The levels of the channels stay where they are: the mean is that of the same channels.
    jump = np.nanmean(gaps.values[100:200, 0] - left.values[100:200, 0])
    assert abs(jump) < 0.1
    assert np.isnan(chain(np.full((20, N_CHAN), np.nan)).zero_dm().read().values).all()


@pytest.mark.parametrize("method", ["mean", "zdot"])
def test_any_rows_products_and_the_header(method: str) -> None:
    data = np.stack([noise(150), noise(150, 2)], axis=1)
    data[20:30, 0, 5] = np.nan
    data[40, 1] += 50
    made = chain(data, ("AA", "BB")).zero_dm(method=method, n_segment=40)
    check_rows(made.stream)
    assert made.stream.header.zero_dm == method
    one = chain(data[:, 1:], ("BB",)).zero_dm(method=method, n_segment=40)
    np.testing.assert_array_equal(made.read().values[:, 1], one.read().values[:, 0])
    with pytest.raises(fs.PlanError, match="flag_kurtosis before zero_dm"):
        made.flag_kurtosis()


def test_refusals(tmp_path: Any) -> None:
    with pytest.raises(fs.UsageError, match="method = 'median'; allowed: mean, zdot"):
        chain(noise(20)).zero_dm(method="median")
    with pytest.raises(fs.PlanError, match="requires two or more channels"):
        chain(noise(20))[:, 3:4].zero_dm()
    chain(noise(20)).zero_dm().write(tmp_path / "z.h5")
    again = fs.open(tmp_path / "z.h5").stream
    assert again.header.zero_dm == "mean" and fs.info(tmp_path / "z.h5")["zero_dm"] == "mean"
    with pytest.raises(fs.PlanError, match="the removal of the mean over the band"):
        fs.open(tmp_path / "z.h5").write(tmp_path / "z.fil")
