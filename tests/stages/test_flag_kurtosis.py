"""Flags by spectral kurtosis and skewness: noise goes as stated, interference wholly."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stage_checks import check_rows
from streams import MemorySpectra, MemoryVoltages, noise
from streams import header as voltages_header

import fastsig as fs
from fastsig.axes.diode_schedule import DiodeSchedule
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PolBasis
from fastsig.stages.flag_kurtosis import FlagKurtosis

EXAMPLE: dict[str, Any] = {"n_sum": 6}
N = 6  # frames of FAST at 49.152 us


def head(n_chan: int, names: tuple[str, ...] = ("I",)) -> Any:
    """FAST's channels and spectra."""
    axis = ChannelAxis(Fraction(10**9), Fraction(122_070_3125, 10**4), n_chan)
    return voltages_header(1 / Fraction(49_152, 10**9)).replace(
        channels=axis, polarization=PolBasis("linear", names), n_bits=8)


def powers(n: int, n_chan: int, shape: float, seed: int = 1) -> np.ndarray:
    """Noise under a bandpass."""
    level = np.linspace(20, 60, n_chan)
    return np.asarray(level * np.random.default_rng(seed).gamma(shape, 1 / shape, (n, n_chan)))


def stage(data: np.ndarray, names: tuple[str, ...] = ("I",), **options: Any) -> FlagKurtosis:
    data = data if data.ndim == 3 else data[:, np.newaxis]
    return FlagKurtosis(MemorySpectra(data, head(data.shape[2], names)), **options)


def lost(made: FlagKurtosis) -> np.ndarray:
    """What is flagged, (time, product, chan)."""
    block = made.read_block(0, made.shape[0])
    return np.broadcast_to(block.valid == 0, block.data.shape)


@pytest.mark.parametrize("skewness", [False, True])
@pytest.mark.parametrize("share", [0.01, 0.001])
def test_the_share_of_noise_is_as_stated(share: float, skewness: bool) -> None:
    """The two tests have common false alarms, so that together it is 0.5 to 1 of the sum."""
    n_chan = 4000
    flagged = [lost(stage(powers(256, n_chan, 2 * N, seed), noise_share=share,
                          skewness=skewness)).mean() for seed in range(6)]
    error = 4 * np.sqrt(share / (6 * n_chan))
    low = 0.5 if skewness else 1.0
    assert low * share - error < np.mean(flagged) < share + error


def test_samples_of_a_value_are_those_of_the_header() -> None:
    for names, n in ((("I",), 1), (("AA", "BB"), 2)):
        made = stage(np.ones((40, n, 64)), names)
        assert made.n_sum == pytest.approx(N) and made.parameters()["n_sum"] == made.n_sum
    other = head(64).replace(n_eff=0.5)
    assert FlagKurtosis(MemorySpectra(np.ones((40, 1, 64)), other)).n_sum == pytest.approx(3)


@pytest.mark.parametrize("n_pol", [1, 2])
def test_intensity_of_one_or_two_polarisations(n_pol: int, tmp_path: Path,
                                               rng: np.random.Generator) -> None:
    """How many were recorded is kept in the file of spectra."""
    source = MemoryVoltages(noise(rng, 2**21, n_pol), voltages_header(n_pol=n_pol))
    path = tmp_path / "i.h5"
    fs.Chain(source).channelize(64).detect("I").integrate(n_int=8).write(path)
    assert fs.open(path).polarization.n_recorded == n_pol
    flagged = lost(fs.open(path).flag_kurtosis(
        noise_share=0.01, n_segment=64).stream).mean()
    assert 0.001 < flagged < 0.015


@pytest.mark.parametrize("half", [0, 7])
def test_a_half_channel_has_half_the_samples(half: int) -> None:
    """That of real input is the first one, or the last one of an inverted band."""
    shape = np.full(8, 2.0 * N)
    shape[half] /= 2
    data = np.random.default_rng(4).gamma(shape, 1 / shape, (256 * 500, 8))
    source = MemorySpectra(data[:, np.newaxis], head(8).replace(
        channels=ChannelAxis(Fraction(10**9), Fraction(122_070), 8, half_channel=half)))
    found = lost(FlagKurtosis(source, n_segment=256, noise_share=0.01))[:, 0].mean(axis=0)
    assert (found < 0.01 + 4 * np.sqrt(0.01 / 500)).all()


def test_interference_goes() -> None:
    data = powers(1024, 512, 2 * N)
    data[100:150, 40] *= 4  # a pulse
    data[::16, 80] *= 2  # pulsed, weakly
    data[:, 200] += 10 * data[:, 200].mean()  # a carrier
    found = lost(stage(data, n_segment=1024))[:, 0]
    assert found[:, [40, 80, 200]].all()
    assert np.delete(found, [40, 80, 200], axis=1).mean() < 0.01
    kept = lost(stage(data, n_segment=1024, protect="1004.8MHz-1005MHz"))
    assert not kept[:, 0, 40].any() and kept[:, 0, 80].all()


@pytest.mark.parametrize("factor", [0.0, 2.0, 20.0])
@pytest.mark.parametrize("n_sum", [N, "measured"])
def test_impulses_of_all_channels_cost_their_spectra_alone(factor: float, n_sum: Any) -> None:
    """Those of lightning and radar, and spectra that were recorded as 0."""
    data = powers(512, 256, 2 * N)
    data[100:110] *= factor
    data[300, 100:] *= factor  # more than half of the channels
    data[400, 180:] *= factor  # less
    data[::16, 80] *= 3
    found = lost(stage(data, n_segment=512, n_sum=n_sum, protect="1001MHz-1001.1MHz"))[:, 0]
    assert found[:, 80].all() and not found[:, 8].any()
    rows = np.delete(found, [8, 9, 80], axis=1)
    assert list(np.flatnonzero(rows.all(axis=1))) == [*range(100, 110), 300]
    assert np.delete(rows, [*range(100, 110), 300, 400], axis=0).mean() < 0.02 or factor == 20


def test_dispersed_pulses_and_noise_are_no_impulses() -> None:
    """A pulse that is brighter than the receiver in each channel, but not in many at a time."""
    data = powers(1024, 256, 2 * N)
    channel = np.arange(256)
    for k in range(4):
        data[800 - 3 * channel + k, channel] *= 3
    found = lost(stage(data, n_segment=1024))[:, 0]
    assert ((found.mean(axis=0) == 0) | (found.mean(axis=0) == 1)).all()
    few = lost(stage(powers(4000, 32, 2.0), n_segment=1000, n_sum=1))[:, 0]
    assert not few.all(axis=1).any()


def test_values_with_an_offset_need_a_measured_number() -> None:
    """As in a recording whose levels were set."""
    data = np.round(powers(512, 256, 2 * N) / np.linspace(2, 6, 256) + 100)
    assert lost(stage(data)).mean() > 0.9
    data[::16, 80] += 40
    found = lost(stage(data, n_sum="measured"))
    assert found[:, 0, 80].all() and found.mean() < 0.02


def test_gaps_and_products() -> None:
    data = np.stack([powers(300, 200, N), powers(300, 200, N, 2)], axis=1)
    data[::2, :, 10:60] = np.nan
    data[:250, :, 60:70] = np.nan
    data[::20, 0, 150] *= 5
    made = stage(data, ("AA", "BB"), n_segment=300)
    found = lost(made) & ~np.isnan(data)
    assert found[:, :, 150].all() and found.mean() < 0.01
    each = lost(stage(data, ("AA", "BB"), n_segment=300, together=False))
    assert each[:, 0, 150].all() and not each[:, 1, 150].any()
    cross = np.concatenate([data, np.random.default_rng(3).normal(size=data.shape)], axis=1)
    four = lost(stage(cross, ("AA", "BB", "CR", "CI"), together=False, n_segment=300))
    assert list(four[:, :, 150].all(axis=0)) == [True, False, True, True]
    check_rows(stage(data, ("AA", "BB"), n_segment=70))


def test_the_diode_is_not_flagged() -> None:
    diode = DiodeSchedule(period_ticks=12_288 * 10, on_ticks=12_288 * 5)  # ten spectra
    data = powers(1000, 200, 2 * N)
    data[np.arange(1000) % 10 < 5] *= 2
    data[::20, 150] *= 4
    source = MemorySpectra(data[:, np.newaxis], head(200).replace(diode=diode))
    found = lost(FlagKurtosis(source, n_segment=1000))[:, 0]
    assert found[:, 150].all() and found.mean() < 0.03
    assert lost(stage(data)).mean() > 0.9


def test_shapes_that_have_no_thresholds() -> None:
    flat = np.full((64, 20), 7.0)  # constant: unlike noise
    assert lost(stage(flat)).all() and not lost(stage(flat[:15])).any()
    assert not lost(stage(flat, n_sum="measured")).any()
    assert lost(stage(np.zeros((64, 20)))).all()


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "share": ({"noise_share": 0.5}, "noise_share = 0.5; allowed: 1e-08 to 0.1"),
    "samples": ({"n_sum": 0.2}, "n_sum = 0.2 samples in a value; allowed: 1 to"),
    "text": ({"n_sum": "six"}, "n_sum = 'six'; allowed: a number, or measured"),
    "segment": ({"n_segment": 8}, "n_segment = 8; allowed: 16 or more"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str) -> None:
    options, text = REFUSED[name]
    with pytest.raises(fs.UsageError, match=text):
        stage(np.ones((40, 64)), **options)


def test_sources_that_are_refused() -> None:
    with pytest.raises(fs.PlanError, match="products Q, V; allowed: powers, AA, BB, I"):
        stage(np.ones((40, 2, 64)), ("Q", "V"))
    unknown = MemorySpectra(np.ones((40, 1, 64)), head(64).replace(channels=None))
    with pytest.raises(fs.FormatError, match="give n_sum"):
        FlagKurtosis(unknown)
