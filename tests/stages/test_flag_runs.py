"""Flags of runs: noise goes as stated, interference goes, pulses stay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from excised import N_CHAN, chain, head, noise
from stage_checks import check_rows
from streams import MemorySpectra

import fastsig as fs
from fastsig.axes.diode_schedule import DiodeSchedule

EXAMPLE: dict[str, Any] = {}


def lost(data: np.ndarray, **options: Any) -> np.ndarray:
    """What is flagged, (time, chan)."""
    made = chain(data).flag_runs(**options).read()
    np.testing.assert_array_equal(np.isnan(made.values), made.weight == 0)
    return np.asarray(made.weight[:, 0] == 0)


@pytest.mark.parametrize("shape", [1, 2, 12, 1000])
@pytest.mark.parametrize("share", [None, 0.01, 1e-4])
def test_no_more_of_noise_goes_than_is_stated(shape: int, share: float | None) -> None:
    level = np.linspace(50, 150, N_CHAN)
    data = level * np.random.default_rng(shape).gamma(shape, 1 / shape, (4096, N_CHAN))
    made = chain(data).flag_runs(noise_share=share)
    stated = made.stream.parameters()["noise_share"]
    assert stated == pytest.approx(0.00154 if share is None else share, rel=0.01)
    gone = lost(data, noise_share=share).mean()
    assert stated / 100 < gone + 2e-5 and gone < 1.1 * stated + 2e-5


@pytest.mark.parametrize("sigma", [0.8, 2.0, 10.0])
def test_integers_of_few_levels(sigma: float) -> None:
    data = np.round(np.random.default_rng(1).normal(30, sigma, (1024, N_CHAN)))
    assert lost(data).mean() < 0.003


RFI = {
    "a sample": (slice(300, 301), slice(40, 41), 9),
    "a carrier for a while": (slice(300, 364), slice(40, 41), 2),
    "an impulse": (slice(300, 301), slice(40, 72), 2.5),
    "a burst": (slice(300, 308), slice(40, 56), 2),
}


@pytest.mark.parametrize("name", RFI)
def test_interference_goes(name: str) -> None:
    rows, channels, height = RFI[name]
    data = noise(1024)
    data[rows, channels] += 5 * height
    found = lost(data)
    assert found[rows, channels].mean() > 0.85
    found[rows, channels] = False
    assert found.mean() < 0.003


def test_pulses_stay() -> None:
    """A dispersed pulse of three times the square root of the number of channels keeps its S/N."""
    n, width = 1500, 6
    first = 300 + np.round(600 * (1 - np.arange(N_CHAN) / N_CHAN) ** 1.5).astype(int)
    rows = np.arange(n)[:, np.newaxis]
    track = (rows >= first) & (rows < first + width)
    height = 2.5 * np.sqrt(N_CHAN) / np.sqrt(N_CHAN * width)
    data = noise(n) + 5 * height * track
    found = lost(data)
    kept = (track & ~found).sum() / track.sum()
    assert np.sqrt(kept) > 0.985


def test_products_protection_gaps_and_any_rows() -> None:
    data = np.stack([noise(200), noise(200, 2)], axis=1)
    data[50, 0, 30] += 100
    data[100:120, 1, 60:70] = np.nan
    data[:, :, 90] = 7
    source = chain(data, ("AA", "BB"))
    both, each = source.flag_runs().read(), source.flag_runs(together=False).read()
    assert (both.weight[50, :, 30] == 0).all() and list(each.weight[50, :, 30]) == [0, 1]
    assert each.weight[:, :, 90].all()
    assert (each.weight[100:120, 0, 60:70] > 0).mean() > 0.99
    assert source.flag_runs(protect="1118MHz-1122MHz").read().weight[50, :, 30].all()
    check_rows(source.flag_runs(n_segment=64, together=False).stream)
    four = np.concatenate([data, data - data.mean(axis=0)], axis=1)
    cross = chain(four, ("AA", "BB", "CR", "CI"))
    assert list(cross.flag_runs(together=False).read().weight[50, :, 30]) == [0, 1, 0, 0]
    assert chain(np.full((40, N_CHAN), np.nan)).flag_runs().read().weight.sum() == 0
    assert not lost(noise(12)).any()


def test_the_diode_is_not_flagged() -> None:
    diode = DiodeSchedule(period_ticks=25_000_000 // 10, on_ticks=25_000_000 // 20)  # 10 ms
    data = noise(400)
    data[np.arange(400) % 10 < 5] *= 1.5
    data[203, 40] += 100
    source = MemorySpectra(data[:, np.newaxis], head().replace(diode=diode))
    found = fs.Chain(source).flag_runs().read().weight[:, 0] == 0
    assert found[203, 40] and found.mean() < 0.003
    assert lost(data).mean() > 0.01


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "threshold": ({"threshold": 0.0}, "threshold = 0.0; allowed: standard deviations above 0"),
    "window": ({"max_window": 48}, "max_window = 48; allowed: powers of two"),
    "share": ({"noise_share": 0.5}, "noise_share = 0.5; allowed: 1e-09 to 0.1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str) -> None:
    options, text = REFUSED[name]
    with pytest.raises(fs.UsageError, match=text):
        chain(noise(20)).flag_runs(**options)
