"""Dispersion longer than a transform: subbands against one long transform in float64."""

from __future__ import annotations

import tracemalloc
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from fastsig.axes.constants import DISPERSION_CONSTANT
from fastsig.errors import UsageError
from fastsig.simulate import Burst, FastSpectra, FastVoltage, Pulsar, dispersed, filters
from fastsig.simulate.filters import Band
from fastsig.simulate.pulses import dispersion_delay
from fastsig.simulate.subbands import SubbandLayer, divided

K = float(DISPERSION_CONSTANT)
MHZ = 10**6
POLARISED = {"linear": 0.5, "circular": 0.3, "angle": "20deg"}
SMALL = {"fstart": "1404MHz", "bandwidth": "16MHz", "noise": False}


def small(sideband: str) -> Band:
    """A band of 32 million samples per second."""
    return Band(Fraction(1404 * MHZ), Fraction(16 * MHZ), "lower" if sideband == "lower"
                else "upper")


@pytest.mark.parametrize("sideband", ["upper", "lower"])
def test_windows_add_up_and_begin_and_end_when_the_plasma_says(sideband: str) -> None:
    band, dm = small(sideband), 3000
    made = divided(band, DISPERSION_CONSTANT * dm, 24)
    offset = np.linspace(0, 16e6, 5001)
    total = sum(made.window(index, offset) for index in range(24))
    np.testing.assert_allclose(total, 1, atol=1e-12)
    for index in range(24):
        low, high = made.span(index)
        outside = made.window(index, offset)[(offset < low) | (offset > high)]
        assert (outside < 2e-10).all()
        mhz = 1404 + np.array([low, high]) / 1e6
        late, early = K * dm * (mhz**-2 - 1420.0**-2) * 32e6
        assert made.delays[index] == pytest.approx(early, abs=1.01)
        assert late - made.delays[index] <= made.length + 1e-3
    assert made.length < 1.6 * float(dispersion_delay(band, DISPERSION_CONSTANT * dm)) * 32e6 / 24


def exact(layer: SubbandLayer, band: Band, dm: int, start: int, n_fft: int) -> np.ndarray:
    """A and B by one transform of everything from sample `start` on, in float64."""
    noise = np.zeros((2, n_fft), np.float32)
    for pol in range(2):
        layer._fill(start, pol, noise[pol])
    one, two = np.fft.rfft(noise.astype(np.float64), axis=1)
    recorded = np.fft.rfftfreq(n_fft, 1 / 32e6)
    sky = 1404e6 + (16e6 - recorded if band.is_lower else recorded)
    turns = K * 1e12 * dm * (sky - 1420e6) ** 2 / (sky * 1420e6**2)
    response = np.exp(2j * np.pi * turns) * 20 * np.sqrt(
        filters.bandpass((sky - 1404e6) / 16e6, "fast"))
    response = response.conj() if band.is_lower else response
    response[[0, -1]] = response[[0, -1]].real
    a = np.fft.irfft(response * layer._l11 * one, n_fft)
    b = np.fft.irfft(response * (layer._l21 * one + layer._l22 * two), n_fft)
    return np.array([a, b])


@pytest.mark.parametrize("sideband", ["upper", "lower"])
def test_subbands_make_the_same_samples_as_one_transform(sideband: str) -> None:
    band, dm, start = small(sideband), 400, -(2**17)
    burst = Burst(time="1ms", fwhm="30us", dm=dm, peak="60K", **POLARISED)
    layer = SubbandLayer(band, "fast", 20.0, 1, DISPERSION_CONSTANT, burst, 2**19)
    assert len(layer._subbands.delays) >= 4
    found = np.zeros((2, 2**20), np.float32)
    layer.add(found, 0)
    wanted = exact(layer, band, dm, start, 2**21)[:, -start : -start + 2**20]
    assert wanted.std() > 0.5
    # What remains is the response of the sharp edges of the band, beyond the halo.
    assert np.sqrt(((found - wanted) ** 2).mean()) < 2e-4 * wanted.std()


@pytest.mark.parametrize("sideband", ["upper", "lower"])
@pytest.mark.parametrize("sample", [0, 262_143])
def test_shortest_pulse_is_at_its_sample_after_subbands(
    sideband: str, sample: int, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dispersed, "MAX_FFT", 2**19)
    dm, n = 200, 2**20
    recording = FastVoltage(
        duration="40ms", sideband=sideband, bandpass="flat", seed=9, level=100, **SMALL,
        burst=Burst(time=Fraction(sample, 32_000_000), fwhm=Fraction(1, 10**8), dm=dm, peak="1e5K"))
    assert isinstance(recording._layers[0], SubbandLayer)
    x = recording.signal(0, n)
    recorded = np.fft.rfftfreq(n, 1 / 32)
    sky = 1404 + recorded if sideband == "upper" else 1420 - recorded
    turns = K * dm * 1e6 * (sky - 1420) ** 2 / (sky * 1420.0**2)
    sign = -1 if sideband == "upper" else 1
    restored = np.fft.irfft(np.fft.rfft(x) * np.exp(2j * np.pi * sign * turns), n)
    power = (restored**2).sum(0)
    assert power.argmax() == sample
    assert power[sample] > 0.98 * power.sum()


def test_pieces_of_any_length_have_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispersed, "MAX_FFT", 2**19)
    recording = FastVoltage(duration="30ms", bandpass="flat", **SMALL, burst=Burst(
        time="1ms", fwhm="20us", dm=300, peak="200K", **POLARISED))
    assert isinstance(recording._layers[0], SubbandLayer)
    whole = recording.generate(0, recording.n_time)[0]
    assert whole.any()
    cuts = [0, 1, 99_999, 262_144, 262_145, 700_001, recording.n_time]
    pieces = [recording.generate(low, high - low)[0]
              for low, high in pairwise(cuts)]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)
    made = [data for data, _, _ in recording.blocks(workers=2)]
    np.testing.assert_array_equal(np.concatenate(made), whole)


def test_pulsar_in_subbands_arrives_when_it_should(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispersed, "MAX_FFT", 2**19)
    recording = FastVoltage(duration="30ms", bandpass="flat", **SMALL, pulsar=Pulsar(
        period="4ms", dm=200, duty=0.03, time="0.7ms", peak="60K"))
    layer = recording._layers[0]
    assert isinstance(layer, SubbandLayer)
    n = 2**19
    x = recording.signal(2**18, n)
    power = abs(np.fft.rfft(x.reshape(2, -1, 128), axis=2)[:, :, 1:64]) ** 2
    time = (2**18 + (np.arange(n // 128) + 0.5) * 128 - 0.5) / 32e6
    turn = np.einsum("ptc,t->c", power, np.exp(2j * np.pi * time / 4e-3))
    sky = 1404 + np.arange(1, 64) / 4
    wanted = 0.7e-3 + K * 200 * (sky**-2 - 1420.0**-2)
    off = (np.angle(turn) / (2 * np.pi) * 4e-3 - wanted + 2e-3) % 4e-3 - 2e-3
    assert abs(off).max() < 0.1e-3
    assert abs(off.mean()) < 0.02e-3


def test_whole_band_of_fast_at_dm_3000_is_where_it_should_be_in_bounded_memory() -> None:
    """A piece of 0.13 ms within a sweep of 6.9 s."""
    dm = 3000
    recording = FastVoltage(duration="10s", noise=False, burst=Burst(
        time="1ms", fwhm="10us", dm=dm, peak="60K"))
    layer = recording._layers[0]
    assert isinstance(layer, SubbandLayer)
    start = int((1e-3 + K * dm * (1250.0**-2 - 1500.0**-2)) * 1e9) - 2**16
    tracemalloc.start()
    x = recording.signal(start, 2**17)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30 * layer._n_fft < 300e6
    power = abs(np.fft.rfft(x[0].reshape(-1, 4096) * np.hanning(4096), axis=1)) ** 2
    mhz = 1000 + np.arange(2049) * 1000 / 4096
    found = (power * mhz).sum(axis=1) / power.sum(axis=1)
    time = (start + (np.arange(32) + 0.5) * 4096) * 1e-9
    wanted = ((time - 1e-3) / (K * dm) + 1500.0**-2) ** -0.5
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-3)  # MHz; it sweeps 10 kHz


@pytest.mark.parametrize("dm", [10_000, 100_000])
def test_spectra_have_any_dm(dm: int) -> None:
    made = FastSpectra(duration="100s", n_chan=1024, integration="0.001048576s", noise=False,
                       bandpass="flat", burst=Burst(time="1s", fwhm="2ms", dm=dm, peak="20K"))
    late = 1 + K * dm * (1200.0**-2 - 1500.0**-2)
    if late > 99:
        late = 1 + K * dm * (1480.0**-2 - 1500.0**-2)
    row = int(late / 0.001048576)
    data, _ = made.generate(row, 1)
    mhz = made.header.channels.centers.value
    power = data[0, 0].astype(np.float64)
    found = (power * mhz).sum() / power.sum()
    time = (row + 0.5) * 0.001048576
    assert found == pytest.approx(((time - 1) / (K * dm) + 1500.0**-2) ** -0.5, abs=0.25)


@pytest.mark.parametrize("pulse", [
    {"pulsar": Pulsar(period="5ms", dm=10**8)}, {"burst": Burst(time=0, fwhm="1ms", dm=10**8)}])
def test_dispersion_beyond_all_subbands_is_refused(pulse: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"dm = 1e\+08 .*67108864 samples.*allowed: dm up to"):
        FastVoltage(duration="1ms", **pulse)


def test_the_dm_that_the_refusal_names_is_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispersed, "MAX_FFT", 2**20)
    common = {"duration": "1ms", "bandwidth": "64MHz", "fstart": "1GHz", "noise": False}
    with pytest.raises(UsageError) as caught:
        FastVoltage(**common, burst=Burst(time=0, fwhm="1ms", dm=10**8))
    most = float(str(caught.value).split("dm up to ")[1].split()[0])
    assert most > 3000
    FastVoltage(**common, burst=Burst(time=0, fwhm="1ms", dm=0.999 * most))
    with pytest.raises(UsageError):
        FastVoltage(**common, burst=Burst(time=0, fwhm="1ms", dm=1.001 * most))
