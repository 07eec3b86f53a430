"""Phase, frequency and drift of simulated carriers."""

from __future__ import annotations

from fractions import Fraction
from math import cos, pi, sin
from typing import Any

import numpy as np
import pytest

from fastsig.simulate import Carrier, FastVoltage

GIGA = {"duration": "2000s", "noise": False, "level": 20}


def predicted(
    recording: FastVoltage, carrier: Carrier, numbers: range
) -> np.ndarray:
    """Voltages of X by exact arithmetic, float64 (n,), unrounded."""
    low, high = (Fraction(edge) for edge in recording.truth["band_hz"])
    rate = Fraction(recording.truth["sample_rate_hz"])
    lower = recording.truth["sideband"] == "lower"
    start = high - carrier.frequency if lower else carrier.frequency - low
    drift = -carrier.drift if lower else carrier.drift
    told = recording.truth["components"]["carriers"][0]
    assert Fraction(told["recorded_frequency_hz"]) == start
    peak = 2**0.5 * float(Fraction(told["rms_lsb"]))
    out = []
    for n in numbers:
        time = n / rate
        turns = (carrier.phase + start * time + drift * time * time / 2) % 1
        out.append(peak * cos(2 * pi * float(turns)))
    return np.array(out)


PLACES = [0, 65_536 - 50, 262_144 - 50, 3 * 262_144 - 50, 10**12 - 64, 10**12 + 12_345]


@pytest.mark.parametrize("sideband", ["upper", "lower"])
@pytest.mark.parametrize("start", PLACES)
def test_phase_is_exact_at_any_sample(sideband: str, start: int) -> None:
    carrier = Carrier("1200.0001MHz", level=3, drift="20012.3Hz/s", angle="25deg", phase="0.3")
    recording = FastVoltage(**GIGA, sideband=sideband, carriers=[carrier])
    data, _ = recording.generate(start, 100)
    exact = predicted(recording, carrier, range(start, start + 100))
    turned = np.stack([exact * cos(pi * 25 / 180), exact * sin(pi * 25 / 180)], axis=1)
    assert abs(data - turned).max() < 0.5 + 1e-4
    assert abs(data - turned).std() < 0.2


@pytest.mark.parametrize("sideband", ["upper", "lower"])
def test_frequency_and_slope(sideband: str) -> None:
    recording = FastVoltage(
        duration="100ms", fstart="1404MHz", bandwidth="16MHz", sideband=sideband,
        carriers=[Carrier("1408.25MHz", level=0.5, drift="30MHz/s")])
    x = recording.generate(0, recording.n_time)[0].astype(float).sum(1)
    n = 4096
    spectrum = abs(np.fft.rfft(x[: len(x) // n * n].reshape(-1, n), axis=1)[:, 8:-8]) ** 2
    found = (spectrum.argmax(1) + 8) * 32e6 / n
    sky = 1404e6 + found if sideband == "upper" else 1420e6 - found
    time = (np.arange(len(sky)) + 0.5) * n / 32e6
    slope, start = np.polyfit(time, sky, 1)
    step = 32e6 / n / np.sqrt(12)
    assert start == pytest.approx(1408.25e6, abs=5 * step / np.sqrt(len(sky)) * 2)
    assert slope == pytest.approx(30e6, abs=5 * step / np.sqrt(len(sky)) * 3.5 / 0.1)


def test_level_is_relative_to_the_receiver_noise() -> None:
    recording = FastVoltage(duration="4ms", fstart="1404MHz", bandwidth="16MHz", noise=False,
                            level=16, carriers=[Carrier("1410MHz", level=2, angle="60deg")])
    x = recording.generate(0, recording.n_time)[0].astype(float)
    # Rounding a sampled tone can beat with it: allow 1 % besides.
    assert (x**2).sum(1).mean() == pytest.approx((2 * 16) ** 2, rel=0.01)
    assert (x[:, 1] ** 2).mean() / (x**2).sum(1).mean() == pytest.approx(0.75, rel=0.01)
    told = recording.truth["components"]["carriers"][0]
    assert told["power_stokes_i_k_hz"] == pytest.approx(4 * 20 * 16e6)


@pytest.mark.parametrize(("drift", "last"), [("16MHz/s", 0.75), ("-8MHz/s", 0.5)])
def test_carrier_ends_at_the_band_edge(drift: Any, last: float) -> None:
    recording = FastVoltage(duration="1s", fstart="1404MHz", bandwidth="16MHz", noise=False,
                            carriers=[Carrier("1408MHz", level=2, drift=drift)])
    edge = round(last * 32e6)
    before = recording.generate(edge - 1000, 1000)[0]
    after = recording.generate(edge + 1, 1000)[0]
    assert before.any()
    assert not after.any()
    assert not before[:, 1].any()


def test_many_carriers_add() -> None:
    carriers = [Carrier(f"{frequency}MHz", level=1) for frequency in (1405, 1410, 1415)]
    recording = FastVoltage(duration="1ms", fstart="1404MHz", bandwidth="16MHz", noise=False,
                            carriers=carriers)
    power = abs(np.fft.rfft(recording.generate(0, 32_000)[0][:, 0])) ** 2
    assert sorted(np.argsort(power)[-3:]) == [1000, 6000, 11000]
