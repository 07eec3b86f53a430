"""Arrival times and coherent dispersion of simulated pulses, with plain NumPy."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from fastsig.simulate import Burst, FastVoltage, Pulsar

LOW, TOP, RATE = 1404.0, 1420.0, 32e6
SMALL = {"fstart": "1404MHz", "bandwidth": "16MHz", "bandpass": "flat"}
CONSTANT = 1 / 2.41e-4


def samples(recording: FastVoltage) -> np.ndarray:
    """All samples, float64 (2, n)."""
    return recording.generate(0, recording.n_time)[0].T.astype(np.float64)


@pytest.mark.parametrize("sideband", ["upper", "lower"])
def test_pulsar_arrives_at_each_frequency_when_it_should(sideband: str) -> None:
    period, start, dm, n_chan = 2e-3, 0.7e-3, 10.0, 32
    recording = FastVoltage(
        duration="80ms", sideband=sideband, **SMALL,
        pulsar=Pulsar(period="2ms", dm=10, duty=0.05, peak="60K", time="0.7ms"))
    x = samples(recording)
    power = abs(np.fft.rfft(x.reshape(2, -1, 2 * n_chan), axis=2)[:, :, 1:n_chan]) ** 2
    time = ((np.arange(power.shape[1]) + 0.5) * 2 * n_chan - 0.5) / RATE
    turn = np.exp(2j * np.pi * time / period)
    first = np.einsum("ptc,t->c", power, turn)
    arrival = np.angle(first) / (2 * np.pi) * period
    recorded = np.arange(1, n_chan) * 16 / n_chan
    sky = LOW + recorded if sideband == "upper" else TOP - recorded
    expected = start + CONSTANT * dm * (sky**-2.0 - TOP**-2.0)
    off = (arrival - expected + period / 2) % period - period / 2
    scatter = off.std(ddof=1)
    assert scatter < 0.005 * period
    assert abs(off.mean()) < 5 * scatter / np.sqrt(n_chan - 1)
    slope, error = np.polyfit(CONSTANT * (sky**-2.0 - TOP**-2.0), off + expected, 1, cov=True)
    assert abs(slope[0] - dm) < 5 * np.sqrt(error[0, 0])
    assert np.sqrt(error[0, 0]) < 0.02 * dm


@pytest.mark.parametrize("sideband", ["upper", "lower"])
def test_conjugate_chirp_restores_the_pulse(sideband: str) -> None:
    dm, width, peak_time = 100.0, 40e-6, 3e-3
    recording = FastVoltage(duration="14ms", sideband=sideband, noise=False, **SMALL, level=30,
                            burst=Burst(time="3ms", fwhm="40us", dm=100, peak="60K"))
    x = samples(recording)
    told = recording.truth["components"]["burst"]
    delay = CONSTANT * dm * (LOW**-2 - TOP**-2)
    assert told["delay_across_band_s"] == pytest.approx(delay, rel=1e-9)
    assert delay > 100 * width
    time = np.arange(x.shape[1]) / RATE
    spread = (x**2).sum(0)
    assert np.average(time, weights=spread) == pytest.approx(peak_time + delay / 2, abs=delay / 20)
    restored = dedispersed(x, sideband, dm)
    power = (restored**2).sum(0)
    near = abs(time - peak_time) < 3 * width
    assert power[near].sum() > 0.98 * power.sum()
    center = np.average(time[near], weights=power[near])
    n = near.sum() / 3
    assert abs(center - peak_time) < 5 * width / 2.355 / np.sqrt(n)
    rms = np.sqrt(np.average((time[near] - center) ** 2, weights=power[near]))
    assert rms == pytest.approx(width / 2.3548, rel=0.06)


def dedispersed(x: np.ndarray, sideband: str, dm: float) -> np.ndarray:
    """Undo, by its conjugate, the dispersion that the truth tells of."""
    recorded = np.fft.rfftfreq(x.shape[1], 1 / RATE) / 1e6
    sky = LOW + recorded if sideband == "upper" else TOP - recorded
    # Cycles: the integral of the delay over frequency, MHz s, from the top of the band.
    turns = -CONSTANT * dm * 1e6 * (sky - TOP) ** 2 / (sky * TOP**2)
    response = np.exp(-2j * np.pi * turns)
    inverse = response if sideband == "lower" else response.conj()
    return np.fft.irfft(np.fft.rfft(x) * inverse, x.shape[1])


def test_fluence_is_that_of_the_truth() -> None:
    recording = FastVoltage(duration="14ms", noise=False, **SMALL, level=30,
                            burst=Burst(time="5ms", fwhm="2ms", dm=20, peak="20K"))
    x = samples(recording)
    told = recording.truth["components"]["burst"]
    gain = recording.truth["receiver"]["gain_lsb2_per_k"]
    n = 2e-3 * RATE * 2
    found = ((x**2).mean(0).sum() / gain) / RATE
    # Rounding adds nothing where there is no pulse and 1/12 where there is one.
    assert found == pytest.approx(told["fluence_k_s"], rel=5 * np.sqrt(2 / n) + 1e-3)


def test_no_dispersion_leaves_the_pulse_where_it_is() -> None:
    recording = FastVoltage(duration="3ms", noise=False, **SMALL,
                            burst=Burst(time="1ms", fwhm="10us", dm=0, peak="20K"))
    power = (samples(recording) ** 2).sum(0)
    time = np.arange(len(power)) / RATE
    assert np.average(time, weights=power) == pytest.approx(1e-3, abs=1e-6)
    assert power[abs(time - 1e-3) < 30e-6].sum() > 0.999 * power.sum()


@pytest.mark.parametrize("sideband", ["upper", "lower"])
@pytest.mark.parametrize("sample", [0, 1000, 262_143, 262_144])
@pytest.mark.parametrize("dm", [0, 5])
def test_shortest_pulse_is_at_its_sample(sideband: str, sample: int, dm: int) -> None:
    # The envelope holds one sample only; clipping spoils the dispersed wave a little.
    recording = FastVoltage(
        duration="9ms", sideband=sideband, noise=False, **SMALL, seed=9, level=100,
        burst=Burst(time=Fraction(sample, 32_000_000), fwhm=Fraction(1, 10**8), dm=dm, peak="1e5K"))
    x = samples(recording)
    power = (dedispersed(x, sideband, dm) ** 2).sum(0) if dm else (x**2).sum(0)
    assert power.argmax() == sample
    assert power[sample] > (0.95 if dm else 0.999) * power.sum()
