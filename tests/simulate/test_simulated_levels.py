"""Powers and Stokes parameters of simulated voltages, measured with plain NumPy."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from fastsig.simulate import Burst, Diode, FastVoltage, Line, Pulsar, RfiBurst, Source

LOW, WIDTH = 1404e6, 16e6
SMALL = {"fstart": "1404MHz", "bandwidth": "16MHz"}
ROUNDING = 1 / 12  # variance that rounding to whole steps adds
SIGMAS = 5
EDGE = 3  # channels left out at DC and at Nyquist
HANN = 0.514  # independent channels that a Hann window leaves of each


def make(duration: str, **parameters: Any) -> tuple[FastVoltage, np.ndarray]:
    """Make a recording and all of its samples, float64 (2, n), in units of sqrt(K)."""
    recording = FastVoltage(duration=duration, **{**SMALL, **parameters})
    data, _ = recording.generate(0, recording.n_time)
    return recording, data.T / np.sqrt(recording.truth["receiver"]["gain_lsb2_per_k"])


def products(x: np.ndarray, n_chan: int, sideband: str = "upper") -> dict[str, Any]:
    """Mean AA, BB, <A* B> of channels EDGE to n_chan - EDGE, ascending in sky frequency.

    A Hann window keeps steep bandpasses and the mirrored negative frequencies out.
    """
    n = x.shape[1] // (2 * n_chan) * 2 * n_chan
    window = np.hanning(2 * n_chan + 1)[:-1] / np.sqrt(3 / 8 * 2 * n_chan)
    rows = x[:, :n].reshape(2, -1, 2 * n_chan) * window
    a, b = np.fft.rfft(rows, axis=2)[:, :, EDGE : n_chan - EDGE + 1]
    out = {"AA": (abs(a) ** 2).mean(0), "BB": (abs(b) ** 2).mean(0), "AB": (a.conj() * b).mean(0)}
    if sideband == "lower":
        out = {name: np.conj(value[::-1]) for name, value in out.items()}
    return {"n": n // (2 * n_chan), **out}


def places(n_chan: int) -> np.ndarray:
    """Places 0 to 1 in the band of the channels of `products`."""
    return np.arange(EDGE, n_chan - EDGE + 1) / n_chan


def shape(recording: FastVoltage, x: np.ndarray) -> np.ndarray:
    """Interpolate the bandpass at places 0 to 1 of the band, from the truth's table alone."""
    table = recording.truth["bandpass"].get("power_at_equal_steps_of_sky_frequency", [1.0, 1.0])
    return np.interp(x, np.linspace(0, 1, len(table)), table)


@pytest.mark.parametrize("level", [8, 20])
def test_receiver_noise_has_the_level_asked_for(level: int) -> None:
    recording, x = make("100ms", level=level, tsys="24K")
    power = shape(recording, np.linspace(0, 1, 2001))
    n = x.shape[1] * power.mean() ** 2 / (power**2).mean()
    expected = 24 * (1 + ROUNDING / level**2)
    assert abs((x**2).mean(1) - expected).max() < SIGMAS * expected * np.sqrt(2 / n)
    assert abs(x.mean()) < SIGMAS * np.sqrt(24 / x.size)
    assert abs((x[0] * x[1]).mean()) < SIGMAS * 24 / np.sqrt(n)


@pytest.mark.parametrize("sideband", ["upper", "lower"])
def test_bandpass_follows_its_table_in_sky_frequency(sideband: str) -> None:
    recording, x = make("100ms", sideband=sideband)
    found = products(x, 128, sideband)
    place = places(128)
    expected = 20 * shape(recording, place) + 20 * ROUNDING / 400
    pull = (found["AA"] / expected - 1) * np.sqrt(found["n"])
    middle = abs(place - 0.5) < 0.39
    assert abs(pull[middle]).max() < SIGMAS
    assert abs(pull[~middle]).max() < SIGMAS + 0.1 * np.sqrt(found["n"])  # curved in a channel
    assert expected[0] < 0.2 * expected[60]


def test_the_table_of_the_bandpass_is_its_formula() -> None:
    told = FastVoltage(duration="1us").truth["bandpass"]
    x = np.linspace(0, 1, 257)
    inside = np.minimum(1, np.minimum(x, 1 - x) / told["edge"])
    power = told["floor"] + (1 - told["floor"]) * np.sin(np.pi / 2 * inside) ** 2
    power *= 1 + sum(a * np.sin(2 * np.pi * (c * x + p)) for a, c, p in told["ripples_a_c_p"])
    found = np.array(told["power_at_equal_steps_of_sky_frequency"])
    np.testing.assert_allclose(found, power / told["norm"], rtol=1e-10)
    assert abs(np.trapezoid(found, x) - 1) < 1e-4


@pytest.mark.parametrize("sideband", ["upper", "lower"])
@pytest.mark.parametrize("stokes", [(40, 12, -16, 20), (40, 0, 0, -40), (40, -40, 0, 0)])
@pytest.mark.parametrize("bandpass", ["flat", "fast"])
def test_source_has_its_stokes_parameters(
    sideband: str, stokes: tuple[int, int, int, int], bandpass: str
) -> None:
    recording, x = make("20ms", sideband=sideband, bandpass=bandpass, noise=False,
                        source=Source(*(f"{each}K" for each in stokes)))
    check_stokes(recording, products(x, 64, sideband), stokes)


@pytest.mark.parametrize("sideband", ["upper", "lower"])
@pytest.mark.parametrize("pulse", [Pulsar, Burst])
def test_pulses_have_their_stokes_parameters(sideband: str, pulse: Any) -> None:
    polarized = {"dm": 2, "peak": "20K", "linear": 0.6, "angle": "30deg", "circular": -0.7,
                 "time": "10ms"}
    if pulse is Pulsar:
        component = {"pulsar": Pulsar(period="1ms", duty=0.2, **polarized)}
    else:
        component = {"burst": Burst(fwhm="4ms", **polarized)}
    recording, x = make("20ms", sideband=sideband, bandpass="flat", noise=False, **component)
    told = next(iter(recording.truth["components"].values()))
    share = told["fluence_k_s"] / 20 / (0.001 if pulse is Pulsar else 0.02)
    np.testing.assert_allclose(
        told["peak_stokes_iquv_k"],
        [40, 24 * np.cos(np.pi / 3), 24 * np.sin(np.pi / 3), -28], rtol=1e-9)
    expected = tuple(share * value for value in told["peak_stokes_iquv_k"])
    check_stokes(recording, products(x, 64, sideband), expected, times=0.15)


def check_stokes(
    recording: FastVoltage, found: dict[str, np.ndarray], stokes: Any, times: float = 1.0
) -> None:
    """Hold band averages against the truth; `times`: share of independent spectra."""
    weight = shape(recording, places(64))
    rounding = ROUNDING / recording.truth["receiver"]["gain_lsb2_per_k"]
    total = {name: found[name].sum() / weight.sum() for name in ("AA", "BB", "AB")}
    extra = 2 * rounding * len(weight) / weight.sum()
    measured = [(total["AA"] + total["BB"]).real - extra, (total["AA"] - total["BB"]).real,
                2 * total["AB"].real, 2 * total["AB"].imag]
    count = found["n"] * times * HANN * weight.sum() ** 2 / (weight**2).sum()
    assert measured == pytest.approx(stokes, abs=SIGMAS * stokes[0] / np.sqrt(count) + 0.01)


@pytest.mark.parametrize("sideband", ["upper", "lower"])
@pytest.mark.parametrize(("fwhm", "velocity"), [("400kHz", 0), ("60km/s", "-1000km/s")])
def test_line_has_its_place_width_and_area(sideband: str, fwhm: str, velocity: Any) -> None:
    recording, x = make("60ms", sideband=sideband, bandpass="flat", fstart="1414MHz",
                        line=Line(peak="30K", fwhm=fwhm, velocity=velocity))
    told = recording.truth["components"]["line"]
    found = products(x, 512, sideband)
    width = WIDTH / 512
    place = 1414e6 + WIDTH * places(512)
    sky, fwhm_hz = float(Fraction(told["sky_frequency_hz"])), float(Fraction(told["fwhm_hz"]))
    excess = (found["AA"] + found["BB"]) / 2 - 20 * (1 + ROUNDING / 400)
    line = abs(place - sky) < 2 * fwhm_hz
    area, error = excess[line].sum() * width, 50 * width * np.sqrt(line.sum() / 2 / found["n"])
    assert abs(area - told["area_k_hz"]) < SIGMAS * error / np.sqrt(HANN)
    assert abs(excess[~line].mean()) < SIGMAS * 20 / np.sqrt(2 * found["n"] * 300 * HANN)
    center = np.average(place[line], weights=excess[line])
    assert abs(center - sky) < 0.05 * fwhm_hz
    assert excess.max() == pytest.approx(30, rel=0.15)
    assert (excess > 15).sum() * width == pytest.approx(fwhm_hz, rel=0.2)
    # v = c (rest - sky) / rest, so 1000 km/s towards us raises the frequency
    assert sky == pytest.approx(
        1420405751.768 * (1 + (1000 / 299792.458 if velocity else 0)), rel=1e-12)


RATES = [("500MHz", 1_000_000_000), ("150.35MHz", 300_700_000), ("16MHz", 32_000_000)]


@pytest.mark.parametrize(("bandwidth", "rate"), RATES)
@pytest.mark.parametrize(("period", "on", "first"), [(997, 311, 41), (100_003, 70_001, 11)])
def test_diode_edges_are_exact(
    bandwidth: str, rate: int, period: int, on: int, first: int
) -> None:
    # A gain that clips nearly everything leaves next to no zero in what is on. The long period
    # is on across the ends of segments.
    recording, x = make("700us", bandwidth=bandwidth, fstart="1GHz", noise=False, level=5000,
                        diode=Diode("high", period, on, first))
    tick = np.array([n * 250_000_000 // rate for n in range(x.shape[1])])
    expected = (tick >= first) & ((tick - first) % period < on)
    np.testing.assert_array_equal(x[0], x[1])
    assert not x[:, ~expected].any()
    assert (x[0, expected] != 0).mean() > 0.99
    rises = np.flatnonzero(np.diff(expected, prepend=False))
    assert (x[0, rises[::2]] != 0).mean() > 0.97
    assert (x[0, rises[1::2] - 1] != 0).mean() > 0.97
    schedule = recording.header.diode
    assert schedule is not None
    assert (schedule.period_ticks, schedule.on_ticks, schedule.first_tick) == (period, on, first)


def test_diode_adds_its_temperature_in_phase() -> None:
    recording, x = make("40ms", bandpass="flat", diode=Diode("high", 100_000, 50_000))
    tick = np.arange(x.shape[1]) * 250_000_000 // 32_000_000
    on = tick % 100_000 < 50_000
    n = on.sum()
    step = (x[:, on] ** 2).mean(1) - (x[:, ~on] ** 2).mean(1)
    assert step == pytest.approx(12.5, abs=SIGMAS * 38 * np.sqrt(2 / n))
    assert (x[0] * x[1])[on].mean() == pytest.approx(12.5, abs=SIGMAS * 38 / np.sqrt(n))
    assert recording.truth["components"]["diode"]["temperature_k"] == "12.5"


@pytest.mark.parametrize("sideband", ["upper", "lower"])
def test_rfi_stays_in_its_spans(sideband: str) -> None:
    burst = RfiBurst(start="3ms", duration="5ms", low="1407MHz", high="1409MHz", temperature="200K")
    _, x = make("12ms", sideband=sideband, bandpass="flat", noise=False, rfi=[burst])
    assert not x[:, :96_000].any()
    assert not x[:, 256_000:].any()
    found = products(x[:, 96_000:256_000], 128, sideband)
    place = 1404 + 16 * places(128)
    inside = (place > 1407.1) & (place < 1408.9)
    outside = (place < 1406.8) | (place > 1409.2)
    error = SIGMAS / np.sqrt(14 * HANN * found["n"])
    assert found["AA"][inside].mean() == pytest.approx(200, rel=error)
    assert found["BB"][outside].max() < 0.5
    power = (x[:, 96_000:256_000] ** 2).mean(1)
    assert power == pytest.approx(200 * 2 / 16, rel=SIGMAS / np.sqrt(2e6 * 0.005))
