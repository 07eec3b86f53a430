"""What flag takes of pure noise, of any shape, and of pulses; dead channels."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pytest
from cli import fastsig
from recordings import recorded
from streams import MemorySpectra
from streams import header as voltages_header

import fastsig as fs
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PolBasis
from fastsig.reductions.sources.mean_spectrum import mean_of
from fastsig.stages.flag import Flag
from fastsig.stages.flag_noise import share_of_noise, student

#: Channels, their width in kHz, spectra, and degrees of freedom of a value: twice its samples.
SHAPES = [
    (16, 10_000, 64, 2000), (16, 1, 400, 4), (16, 1000, 1024, 200), (32, 10_000, 300, 2000),
    (64, 1000, 500, 64), (64, 100, 40, 2000), (128, 10, 500, 4), (128, 30, 500, 200),
    (128, 4000, 1000, 64), (256, 1000, 300, 20_000), (336, 1000, 500, 64), (512, 4000, 500, 2000),
    (512, 390, 200, 16), (1024, 250, 200, 64), (1024, 1, 100, 4), (2048, 30, 64, 2000),
    (4096, 122, 50, 200), (8192, 8, 32, 4), (16_384, 1, 20, 2), (65_536, 8, 8, 2000),
]


def head(n_chan: int, khz: float) -> Any:
    """Ten spectra a second of total power."""
    axis = ChannelAxis(Fraction(10**9), Fraction(1000 * khz), n_chan)
    return voltages_header(Fraction(10)).replace(
        channels=axis, polarization=PolBasis("linear", ("I",)), n_bits=32)


def powers(shape: tuple[int, int], freedom: int, seed: int = 1) -> np.ndarray:
    """Powers of means of samples under a bandpass."""
    x = np.linspace(0, 1, shape[1])
    noise = np.random.default_rng(seed).chisquare(freedom, shape) / freedom
    return (100 * (1 + x - 0.5 * x**2) * noise).astype(np.float32)


def flags(data: np.ndarray, khz: float, **options: Any) -> np.ndarray:
    """What is flagged, (time, chan)."""
    stage = Flag(MemorySpectra(data[:, np.newaxis], head(data.shape[1], khz)), **options)
    return np.asarray(stage.read_block(0, len(data)).valid[:, 0] == 0)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_little_of_noise_goes(shape: tuple[int, int, int, int]) -> None:
    n_chan, khz, n, freedom = shape
    lost = flags(powers((n, n_chan), freedom), khz)
    assert lost.mean() < 0.004
    assert lost.all(axis=0).mean() < 0.0005


@pytest.mark.parametrize("n", [1, 2, 7, 8, 12])
def test_little_of_few_spectra_goes(n: int) -> None:
    shares = [flags(powers((n, n_chan), freedom, seed), 100).mean() for n_chan in (16, 200)
              for freedom in (4, 200) for seed in range(20)]
    assert np.mean(shares) < 0.004


@pytest.mark.parametrize("n_bit", [1, 2, 3, 8])
def test_little_of_noise_in_few_bits_goes(n_bit: int) -> None:
    noise = np.random.default_rng(1).normal(2**n_bit / 2 - 0.4, max(0.6, 2**n_bit / 8), (1000, 96))
    assert flags(np.clip(np.round(noise), 0, 2**n_bit - 1), 50).mean() < 0.004


@pytest.mark.parametrize("wanted", [1e-3, 1e-2])
def test_no_more_of_noise_goes_than_is_stated(wanted: float) -> None:
    data = powers((1000, 512), 2000)
    stage = Flag(MemorySpectra(data[:, np.newaxis], head(512, 4000)), noise_share=wanted)
    assert stage.parameters()["noise_share"] == pytest.approx(wanted, rel=1e-3)
    assert stage.settings.sum_threshold == pytest.approx(1.2 * stage.settings.clip, rel=1e-5)
    assert wanted / 20 < flags(data, 4000, noise_share=wanted).mean() < wanted


def test_the_stated_share_against_a_simulation() -> None:
    """Of runs of 64 samples, and of one: others are between."""
    noise = np.random.default_rng(1).standard_normal(2**20)
    sums = np.convolve(noise, np.ones(64), "valid") / 8
    for b in (2.5, 3.0):
        over = np.convolve(np.abs(sums) > b, np.ones(64)) > 0
        runs = np.array([9, 99, 99, 99, 99, 99, b / 8])
        assert over.mean() < share_of_noise(runs) / 2 < 1.3 * over.mean()
        assert share_of_noise(runs[-1:] * 8) == pytest.approx((np.abs(noise) > b).mean(), rel=0.05)


def test_students_t_against_scipy() -> None:
    from scipy.stats import norm, t

    for freedom in (6, 30, 1000):
        assert student(freedom) == pytest.approx(t.isf(norm.sf(5), freedom) / 5, rel=0.06)


def pulse(n: int, n_chan: int, width: float) -> np.ndarray:
    """A dispersed pulse, (n, n_chan), whose sum of squares is 1."""
    when = n / 4 + n / 2 * (1 - np.arange(n_chan) / n_chan) ** 1.5
    shape = np.exp(-0.5 * ((np.arange(n)[:, np.newaxis] - when) / width) ** 2)
    return np.asarray(shape / np.sqrt((shape**2).sum()))


@pytest.mark.parametrize("width", [0.7, 5])
@pytest.mark.parametrize(("n_chan", "khz"), [(64, 1000), (128, 30), (512, 4000)])
def test_pulses_keep_their_signal_to_noise_ratio(n_chan: int, khz: float, width: float) -> None:
    freedom, ratio = 200, min(30, 2.5 * np.sqrt(n_chan))
    shape = pulse(600, n_chan, width)
    noise = np.random.default_rng(2).chisquare(freedom, shape.shape) / freedom
    data = 100 * (noise + ratio * np.sqrt(2 / freedom) * shape)
    kept = ~flags(data.astype(np.float32), khz)
    assert np.sqrt((shape**2 * kept).sum()) > 0.985  # of the ratio of a matched filter


RFI = {
    "a steady carrier": (slice(None), slice(100, 101), 2),
    "a steady carrier of three channels": (slice(None), slice(100, 103), 2),
    "a carrier for a fifth of the time": (slice(100, 200), slice(70, 71), 3),
    "an impulse of a tenth of the band": (slice(200, 201), slice(100, 125), 4),
    "a burst": (slice(200, 208), slice(100, 116), 3),
    "a satellite": (slice(None), slice(60, 64), 5),
    "a pulsed carrier": (slice(3, None, 10), slice(100, 101), 8),
}


@pytest.mark.parametrize("name", RFI)
@pytest.mark.parametrize("khz", [30, 4000])
def test_interference_is_caught_in_channels_of_any_width(name: str, khz: float) -> None:
    rows, channels, height = RFI[name]
    data = powers((500, 256), 2000)
    data[rows, channels] *= 1 + height * np.sqrt(2 / 2000)
    lost = flags(data, khz)
    assert lost[rows, channels].mean() > 0.9
    lost[rows, channels] = False
    assert lost.mean() < 0.03  # channels beside a satellite go with it, up to seven of 256


def test_channels_that_are_constant_go_unless_protected() -> None:
    data = powers((40, 200), 200)
    data[:, 30] = 0
    data[:, 31:34] = 7
    data[:, 90] = data[0, 90]
    data[:, 120] = np.where(np.arange(40) == 5, np.nan, 3)
    lost = flags(data, 100)
    assert list(np.flatnonzero(lost.all(axis=0))) == [30, 31, 32, 33, 90, 120]
    assert lost.mean() < 0.035  # what the channels beside them are judged by is not spoiled
    kept = flags(data, 100, protect="1002.95MHz-1003.35MHz")
    assert list(np.flatnonzero(kept.all(axis=0))) == [90, 120]
    assert not flags(data[:15], 100)[:, 90].any()


def test_levels_that_were_set_are_no_interference() -> None:
    """As in 8 bits with every channel's mean at 128, which drifts in some: noise stays."""
    data = np.random.default_rng(1).normal(128, 18, (1000, 336))
    data[:, 40:50] += 6
    data[:, 145:152] -= np.array([5, 10, 15, 16, 15, 10, 5])
    data[:, 250] += 60
    lost = flags(np.clip(np.round(data), 0, 255), 1000)
    assert lost[:, 250].all() and lost.mean() < 0.006
    data = powers((1000, 336), 100)  # powers, of which a drift is a change of noise too
    data[:, 40:43] *= 1.05
    assert flags(data, 1000)[:, 40:43].all()


def test_burst_of_a_recorded_file_is_kept() -> None:
    """FRB 180417 keeps 97 % of its S/N, and the recording most of its channels."""
    chain = fs.open(recorded("your/28.fil"))
    frequency = chain.stream.frequency.to_value("GHz")
    tsamp_s = float(1 / chain.stream.header.sample_rate)
    delay = 4.148808e-3 * 475 * (frequency**-2 - frequency.max() ** -2)
    row = round(2.0288829 / tsamp_s) + np.round(delay / tsamp_s).astype(int)
    data = chain.read().values[:, 0].astype(float)
    weight = chain.flag().read().weight[:, 0] > 0
    change = (data - np.median(data, axis=0)) / np.std(data, axis=0)

    def ratio(kept: np.ndarray) -> float:
        rows = row + np.arange(2)[:, np.newaxis]
        at = rows, np.arange(len(row))
        return float((change * kept)[at].sum() / np.sqrt(kept[at].sum()))

    assert ratio(np.ones_like(weight)) > 14
    assert ratio(weight) > 0.97 * ratio(np.ones_like(weight))
    assert (weight == 0).all(axis=0).mean() < 0.03


def test_warnings_where_whole_channels_and_much_went(tmp_path: Path) -> None:
    data = powers((64, 200), 2000)
    data[:, 30:33] = 1
    chain = fs.Chain(MemorySpectra(data[:, np.newaxis], head(200, 100)))
    chain.write(tmp_path / "s.h5")
    call = ("flag", "s.h5", "-o", "f.h5", "--overwrite", "-q", "--json")
    done = fastsig(*call, cwd=tmp_path)
    assert "warning: 3 of 200 channels were flagged throughout; --protect" in done.stderr
    (text,) = json.loads(done.stdout)["flagged"]["warnings"]
    assert text in done.stderr and json.loads(done.stdout)["flagged"]["noise_share"] < 0.002
    asked = fastsig(*call, "--bands", "1002MHz-1003.5MHz", cwd=tmp_path)
    assert not json.loads(asked.stdout)["flagged"]["warnings"]
    data[np.random.default_rng(3).random(data.shape) < 0.15] *= 3
    fs.Chain(MemorySpectra(data[:, np.newaxis], head(200, 100))).write(tmp_path / "s.h5",
                                                                       overwrite=True)
    much = fastsig(*call, cwd=tmp_path)
    assert "% of the samples outside --bands were flagged; --picture" in much.stderr


def test_python_warns_where_whole_channels_went(tmp_path: Path) -> None:
    """In the words of the command, in the rows that were needed, and once for each stage."""
    data = powers((64, 200), 2000)
    data[:, 30:33] = 1
    chain = fs.Chain(MemorySpectra(data[:, np.newaxis], head(200, 100)))
    words = r"3 of 200 channels were flagged throughout; protect= keeps channels with lines"
    flagged = chain.flag()
    with pytest.warns(fs.FastsigWarning, match=words) as given:
        flagged.integrate(n_int=8).write(tmp_path / "a.h5")
    assert len(given) == 1
    with pytest.warns(fs.FastsigWarning, match=words) as given:
        fs.write_many([flagged, flagged[:, :100]], [tmp_path / "b.h5", tmp_path / "c.h5"])
    assert len(given) == 1
    with pytest.warns(fs.FastsigWarning, match=words):
        shares = flagged[:32].flag_shares()
    assert shares.frequency.unit == u.MHz and shares.frequency.shape == shares.channel.shape
    np.testing.assert_array_equal(shares.frequency, chain.frequency)
    with pytest.warns(fs.FastsigWarning, match=words) as given:
        mean_of(flagged)
    assert len(given) == 1
    chain.flag(bands="1002MHz-1003.5MHz").write(tmp_path / "d.h5")  # warnings are errors


def test_python_warns_where_much_went() -> None:
    data = powers((64, 200), 2000)
    data[np.random.default_rng(3).random(data.shape) < 0.15] *= 3
    chain = fs.Chain(MemorySpectra(data[:, np.newaxis], head(200, 100)))
    with pytest.warns(fs.FastsigWarning, match="samples outside bands= were flagged; draw_flags"):
        chain.flag().flag_shares()


def test_flagged_samples_are_told_from_those_missing_before() -> None:
    data = powers((64, 200), 2000)
    data[:, 30] = 1
    data[:8] = np.nan
    chain = fs.Chain(MemorySpectra(data[:, np.newaxis], head(200, 100)))
    missing = chain.flag_shares()
    assert (missing.before, missing.new) == (missing.total, 0.0)
    assert missing.total == pytest.approx(8 / 64)
    shares = chain.flag(bands="1002.95MHz-1003.05MHz")[:32].flag_shares()
    assert shares.before == pytest.approx(8 / 32) and shares.new == shares.total - shares.before
    assert shares.new == pytest.approx(24 / 32 / 200, rel=0.5)


def test_warnings_point_to_the_line_of_the_user() -> None:
    data = powers((64, 200), 2000)
    data[:, 30:33] = 1
    flagged = fs.Chain(MemorySpectra(data[:, np.newaxis], head(200, 100))).flag()
    for call in (lambda: flagged.flag_shares(), lambda: mean_of(flagged),
                 lambda: flagged.integrate("1us")):
        with pytest.warns(fs.FastsigWarning) as given:
            call()
        assert {each.filename for each in given} == {__file__}


def test_shares_that_are_refused() -> None:
    stream = MemorySpectra(powers((20, 64), 200)[:, np.newaxis], head(64, 100))
    with pytest.raises(fs.UsageError, match=r"noise_share = 0.5; allowed: 1e-9 to 0.1"):
        Flag(stream, noise_share=0.5)
