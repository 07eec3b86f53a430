"""Statistics and components of simulated spectra, against formulas and brute force in NumPy."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from fastsig.errors import UsageError
from fastsig.simulate import (
    Burst,
    Carrier,
    Diode,
    FastSpectra,
    Line,
    LostSpectra,
    Pulsar,
    RfiBurst,
    Source,
    spectral,
)

DM = 1 / 2.41e-4  # MHz^2 cm^3 s / pc
SIGMAS = 5
ALL: dict[str, Any] = {
    "n_chan": 33, "bandwidth": "33MHz", "fstart": "1400MHz", "integration": "96us", "seed": 7,
    "diode": Diode("high", 60_000, 17_000, 31), "source": Source("6K", "1K", "-2K", "3K"),
    "line": Line("30K", "200km/s", velocity="-1000km/s"),
    "pulsar": Pulsar("3ms", 30, peak="40K", linear=0.5, angle="20deg", circular=0.2),
    "burst": Burst("40ms", "0.3ms", 60, peak="50K"),
    "carriers": [Carrier("1406MHz", 0.2, "20MHz/s", "30deg"), Carrier("1412MHz", 0.1)],
    "rfi": [RfiBurst("8ms", "1.05ms", "1415MHz", "1416.3MHz", "100K")],
    "loss": LostSpectra(0.05, "10-20+3"),
}
FLAT: dict[str, Any] = {"bandpass": "flat", "tsys": "20K", "level": 20}


def one_channel(samples: int, rows: int, **parameters: Any) -> np.ndarray:
    """Spectra of one channel in K, float64 (rows, 4), each of so many samples of 1 MHz."""
    made = FastSpectra(duration=Fraction(rows * samples, 10**6), n_chan=1, bandwidth="1MHz",
                       fstart="1400MHz", integration=Fraction(samples, 10**6),
                       **{**FLAT, **parameters})
    assert made.truth["statistics"]["samples"] == samples
    return made.generate(0, rows)[0][:, :, 0].astype(float)


@pytest.mark.parametrize("samples", [1, 2, 6, 7680])
def test_products_follow_the_wishart_distribution(samples: int) -> None:
    n = 100_000
    x = one_channel(samples, n, source=Source("40K", "10K", "30K", "20K"), seed=samples)
    a, b, c = 20 + 25, 20 + 15, 15 + 10j
    mean = np.array([a, b, c.real, c.imag])
    # Cov(sum w* x, ...) of complex normal samples, by Isserlis' theorem.
    upper = np.array([[a * a, abs(c)**2, a * c.real, a * c.imag],
                      [0, b * b, b * c.real, b * c.imag],
                      [0, 0, (a * b + (c * c).real) / 2, (c * c).imag / 2],
                      [0, 0, 0, (a * b - (c * c).real) / 2]])
    expected = (np.triu(upper) + np.triu(upper, 1).T) / samples
    spread = np.sqrt(np.diag(expected))
    assert abs((x.mean(0) - mean) / spread).max() < SIGMAS / np.sqrt(n)
    # Kurtosis 6 / samples widens the error of a variance.
    error = np.outer(spread, spread) * np.sqrt((2 + 6 / samples) / n)
    assert (abs(np.cov(x.T) - expected) < SIGMAS * error).all()


def test_one_sample_is_fully_polarised_and_more_are_not() -> None:
    for samples, (least, most) in {1: (0, 1e-5), 2: (0.1, 1)}.items():
        aa, bb, cr, ci = one_channel(samples, 20_000, source=Source("40K", "10K", "30K", "20K")).T
        determinant = (aa * bb - cr**2 - ci**2) / (aa * bb)
        assert least <= np.abs(determinant).max() <= most
        assert determinant.min() > -1e-5


def test_spectra_and_channels_are_independent() -> None:
    made = FastSpectra(duration="98.304ms", n_chan=64, **FLAT)
    x = made.generate(0, 2000)[0].astype(float) - np.array([20, 20, 0, 0])[:, np.newaxis]
    for first, second in ((x[1:], x[:-1]), (x[4:], x[:-4]), (x[:, :, 1:], x[:, :, :-1]),
                          (x[:, :, 4:], x[:, :, :-4])):
        for product in range(4):
            one, two = first[:, product].ravel(), second[:, product].ravel()
            assert abs(np.corrcoef(one, two)[0, 1]) < SIGMAS / np.sqrt(one.size)
    other = FastSpectra(duration="98.304ms", n_chan=64, seed=2, **FLAT).generate(0, 2000)[0]
    assert abs(np.corrcoef(x[:, 0].ravel(), other[:, 0].ravel())[0, 1]) < SIGMAS / 357


def test_bandpass_and_level() -> None:
    made = FastSpectra(duration="0.2s", n_chan=50, integration="0.4ms", level=36, tsys="18K")
    power = made.generate(0, made.n_time)[0][:, 0].mean(0) / 36
    told = np.array(made.truth["bandpass"]["power_at_equal_steps_of_sky_frequency"])
    place = (np.arange(50 * 64) + 0.5) / (50 * 64)
    expected = np.interp(place, np.linspace(0, 1, len(told)), told).reshape(50, 64).mean(1)
    error = 1 / np.sqrt(made.n_time * made.n_sum)
    # The table's steps are coarse on the slopes: h^2 / 12 of the second derivative.
    np.testing.assert_allclose(power, expected, rtol=SIGMAS * error, atol=8e-4)
    assert made.truth["receiver"]["gain_per_k"] == 2


@pytest.fixture(scope="module")
def recording() -> FastSpectra:
    """Make a recording with one of everything, in several blocks."""
    made = FastSpectra(duration=Fraction(5000 * 96, 10**6), **ALL)
    assert made.block < made.n_time / 1.2
    return made


@pytest.fixture(scope="module")
def whole(recording: FastSpectra) -> tuple[np.ndarray, np.ndarray]:
    """All of its spectra."""
    return recording.generate(0, recording.n_time)


@pytest.mark.parametrize(("start", "n"), [
    (0, 1), (4999, 1), (17, 40), (3970, 5), (1, 4999), (7, 0)])
def test_any_part_has_the_same_bytes(
    recording: FastSpectra, whole: tuple[np.ndarray, np.ndarray], start: int, n: int
) -> None:
    for part, all_of_it in zip(recording.generate(start, n), whole, strict=True):
        assert part.tobytes() == all_of_it[start : start + n].tobytes()


@pytest.mark.parametrize("workers", [1, 3])
def test_any_number_of_workers(
    recording: FastSpectra, whole: tuple[np.ndarray, np.ndarray], workers: int
) -> None:
    blocks = list(recording.blocks(workers))
    assert len(blocks) > 1
    for number in range(2):
        found = np.concatenate([block[number] for block in blocks])
        assert found.tobytes() == whole[number].tobytes()


def test_spectra_outside_are_refused(recording: FastSpectra) -> None:
    for start, n in ((-1, 5), (5000, 1), (0, 5001), (3, -1)):
        with pytest.raises(UsageError, match="outside"):
            recording.generate(start, n)


def test_lost_spectra(recording: FastSpectra, whole: tuple[np.ndarray, np.ndarray]) -> None:
    data, weight = whole
    lost = weight[:, 0, 0] == 0
    assert lost[10:21].all() and lost[3]
    assert abs(lost[21:].mean() - 0.05) < SIGMAS * np.sqrt(0.05 * 0.95 / len(lost))
    assert np.isnan(data[lost]).all() and np.isfinite(data[~lost]).all()
    assert recording.n_lost() == lost.sum()
    assert set(np.unique(weight)) == {0, 1} and weight.shape == (5000, 1, 1)


def test_the_mean_is_that_of_all_components(
    recording: FastSpectra, whole: tuple[np.ndarray, np.ndarray]
) -> None:
    """All at once against a sum of brute force; carriers are left to a test of their own."""
    data = whole[0][2000:3000]
    powers = np.array(np.broadcast_arrays(*recording._powers.stokes(2000, 1000)))
    i, q, u, v = powers * recording._powers.bandpass * 2  # K to units: level / tsys
    expected = np.stack([i + q, i - q, u, v], axis=1) / 2
    pull = (data - expected) / np.sqrt(expected[:, :1] * expected[:, 1:2] / recording.n_sum)
    quiet = np.r_[0:9, 13:33]  # no carrier is there then
    for product in range(4):
        found = pull[:, product, quiet]
        assert abs(np.nanmean(found)) < SIGMAS / np.sqrt(found.size)


def test_diode_by_ticks() -> None:
    diode = Diode("high", 60_000, 17_000, 31)
    made = FastSpectra(duration="9.6ms", noise=False, n_chan=2, integration="96us", diode=diode,
                       bandpass="flat")
    tick = np.arange(100 * 24_000) - 31
    on = (tick >= 0) & (tick % 60_000 < 17_000)
    i, q, u, v = made._powers.stokes(0, 100)
    expected = 25 * on.reshape(100, 24_000).mean(1)
    for found in (i, u):
        np.testing.assert_allclose(found, np.broadcast_to(expected[:, None], found.shape),
                                   rtol=1e-12, atol=1e-12)
    assert not np.any(q) and not np.any(v)
    assert made.header.diode is not None and made.header.diode.first_tick == 31


def brute(pulse: Any, width: float, period: float | None, step: float, rows: np.ndarray,
          n_chan: int, dm: float) -> np.ndarray:
    """Power over its peak in channels of 1 MHz from 1400 MHz, by sampling time and frequency."""
    fine_t = (np.arange(300) + 0.5) / 300 * step
    fine_f = (np.arange(60) + 0.5) / 60
    out = np.empty((len(rows), n_chan))
    for chan in range(n_chan):
        f = 1400 + chan + fine_f
        delay = DM * dm * (f**-2 - (1400.0 + n_chan)**-2)
        t = (rows[:, None] * step + fine_t)[..., None] - float(pulse.time) - delay
        if period:
            t = (t + period / 2) % period - period / 2
        total = np.exp(-4 * np.log(2) * (t / width) ** 2)
        if period:
            for turn in (-1, 1):
                total += np.exp(-4 * np.log(2) * ((t + turn * period) / width) ** 2)
        out[:, chan] = total.mean(axis=(1, 2))
    return out


@pytest.mark.parametrize(("dm", "period", "duty", "step"), [
    (30, "3ms", 0.05, "0.1ms"), (0, "3ms", 0.3, "0.1ms"), (300, "3ms", 0.5, "1ms"),
    (30, "3ms", 0.02, "7.7ms"), (3000, "3ms", 0.2, "0.7ms")])
def test_pulsar_is_the_mean_over_spectrum_and_channel(
    dm: float, period: str, duty: float, step: str
) -> None:
    pulsar = Pulsar(period, dm, duty, peak="1K", time="1.1ms")
    made = FastSpectra(duration="1s", noise=False, n_chan=4, bandwidth="4MHz", fstart="1400MHz",
                       integration=step, pulsar=pulsar)
    expected = brute(pulsar, 0.003 * duty, 0.003, float(step[:-2]) / 1e3, np.arange(40), 4, dm)
    found = made._powers.stokes(0, 40).i / 2
    # Delay is taken as linear across a channel.
    np.testing.assert_allclose(found, expected, atol=3e-3)
    assert np.ptp(expected) > 0.005


@pytest.mark.parametrize(("dm", "fwhm", "step"), [
    (50, "0.5ms", "0.1ms"), (0, "0.5ms", "2ms"), (500, "0.1ms", "0.5ms")])
def test_burst_is_the_mean_over_spectrum_and_channel(dm: float, fwhm: str, step: str) -> None:
    burst = Burst("4ms", fwhm, dm, peak="1K")
    made = FastSpectra(duration="1s", noise=False, n_chan=4, bandwidth="4MHz", fstart="1400MHz",
                       integration=step, burst=burst)
    expected = brute(burst, float(burst.fwhm), None, float(step[:-2]) / 1e3, np.arange(200), 4, dm)
    np.testing.assert_allclose(made._powers.stokes(0, 200).i / 2, expected, atol=2e-3)
    assert expected.max() > 0.02


def test_pulses_keep_their_phase_after_years() -> None:
    row = 10**13 + 7
    made = FastSpectra(duration=Fraction(row + 10) * Fraction("0.000049152"), n_chan=2,
                       noise=False, bandpass="flat", pulsar=Pulsar("5ms", 0, 0.02, peak="1K"))
    phase = float((row + Fraction(1, 2)) * Fraction("0.000049152") / Fraction("0.005") % 1)
    x = (phase - round(phase)) / 0.02
    found = made._powers.stokes(row, 1).i[0, 0] / 2
    assert found == pytest.approx(np.exp(-4 * np.log(2) * x**2), rel=0.02, abs=1e-9)


def test_polarised_pulse() -> None:
    made = FastSpectra(duration="1s", n_chan=1, bandwidth="1MHz", integration="1s", noise=False,
                       bandpass="flat", level=20, pulsar=Pulsar(
                           "1s", 0, 0.5, peak="20K", linear=0.6, angle="30deg", circular=-0.7))
    told = made.truth["components"]["pulsar"]
    data = made.generate(0, 1)[0][0, :, 0]
    stokes = np.array([data[0] + data[1], data[0] - data[1], 2 * data[2], 2 * data[3]])
    expected = np.array(told["peak_stokes_iquv_k"]) * told["mean_k"] / 20
    np.testing.assert_allclose(stokes, expected, rtol=0.02)


@pytest.mark.parametrize("fwhm", ["20kHz", "3MHz"])
def test_line_keeps_its_area(fwhm: str) -> None:
    line = Line("5K", fwhm, velocity="-200km/s")
    made = FastSpectra(duration="1ms", n_chan=64, bandwidth="32MHz", fstart="1405MHz",
                       integration="10us", noise=False, line=line)
    profile = made._powers.stokes(0, 1).i.reshape(-1) / 2
    told = made.truth["components"]["line"]
    centers = made.axis.centers.to_value("Hz")
    assert profile.sum() * 5e5 == pytest.approx(told["area_k_hz"], rel=1e-6)
    middle = (profile * centers).sum() / profile.sum()
    assert abs(middle - float(Fraction(told["sky_frequency_hz"]))) < 2.5e5


def test_rfi_is_sharp_in_time_and_frequency() -> None:
    made = FastSpectra(duration="10ms", n_chan=10, bandwidth="10MHz", fstart="1400MHz", tsys="1K",
                       integration="100us", noise=False,
                       rfi=[RfiBurst("2.05ms", "1ms", "1402.25MHz", "1404MHz", "8K")])
    found = np.broadcast_to(made._powers.stokes(0, 100).i, (100, 10)) / 2
    expected = np.zeros((100, 10))
    expected[20:31, 2:4] = 8
    expected[[20, 30]] /= 2
    expected[:, 2] *= 0.75
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_carrier_drifts_with_its_power_and_beats_with_the_noise() -> None:
    made = FastSpectra(
        duration="0.4s", n_chan=40, bandwidth="40MHz", fstart="1400MHz", integration="50us",
        carriers=[Carrier("1402.5MHz", 0.5, "50MHz/s", "30deg")], **FLAT)
    told = made.truth["components"]["carriers"][0]
    data = made.generate(0, made.n_time)[0].astype(float)
    seconds = (np.arange(made.n_time) + 0.5) * 50e-6
    chan = np.floor(2.5 + 50 * seconds).astype(int)
    total = (data[:, :2] - 20).sum(axis=1)
    assert (total.argmax(axis=1) == chan).mean() > 0.99
    power = told["stokes_i_k_in_its_channel"]
    assert power == 0.25 * 20 * 40
    inside = np.flatnonzero(np.abs((2.5 + 50 * seconds) % 1 - 0.5) < 0.49)
    at = data[inside, :, chan[inside]]
    n, size = made.n_sum, np.sqrt(len(inside))
    part = power * np.array([0.75, 0.25])
    # Noise alone has 20^2 / n; a wave of power P in it adds 2 P 20 / n.
    spread = np.sqrt((400 + 40 * part) / n)
    assert (abs(at[:, :2].mean(0) - 20 - part) < SIGMAS * spread / size).all()
    np.testing.assert_allclose(at[:, :2].std(0), spread, rtol=SIGMAS / size / 2**0.5 * 1.2)
    cross = power * np.sqrt(0.75 * 0.25)
    assert abs(at[:, 2].mean() - cross) < SIGMAS * spread[0] / size
    assert abs(at[:, 3].mean()) < SIGMAS * spread[0] / size


@pytest.mark.parametrize("samples", [2, 3])
def test_carriers_without_power_leave_the_noise_as_it_is(samples: int) -> None:
    n = 50_000
    x = one_channel(samples, n, source=Source("40K", "10K", "30K", "20K"),
                    carriers=[Carrier("1400.2MHz", 0), Carrier("1400.9MHz", 0)])
    a, b, c = 45, 35, 15 + 10j
    spread = np.sqrt(np.array([a * a, b * b, (a * b + (c * c).real) / 2,
                               (a * b - (c * c).real) / 2]) / samples)
    assert (abs(x.mean(0) - [a, b, c.real, c.imag]) < SIGMAS * spread / np.sqrt(n)).all()
    error = np.sqrt((2 + 6 / samples) / n)
    np.testing.assert_allclose(x.var(0), spread**2, rtol=SIGMAS * error)
    assert abs(np.cov(x.T)[0, 3] - a * c.imag / samples) < SIGMAS * spread[0] * spread[3] * error


@pytest.mark.parametrize(("mode", "width", "first"), [
    ("W", 500e6 / 65536, 1000.0035762786865), ("F", 500e6 / 2**20, 1000.0),
    ("N", 500e6 / 2**20, 1000.0)])
def test_modes_of_the_spectral_backend(mode: str, width: float, first: float) -> None:
    made = spectral(mode, n_chan=8, duration="3s")
    assert float(made.axis.step_hz) == width
    assert float(made.axis.first_hz / 10**6) == first
    assert 1 / made.header.sample_rate == Fraction("1.00663296") and made.n_time == 3
    assert made.n_sum == (7680 if mode == "W" else 480)


@pytest.mark.parametrize(("change", "told"), [
    ({"duration": "1us"}, "duration = .* less than one spectrum"),
    ({"duration": "nan"}, "duration"), ({"duration": "-3s"}, "duration"),
    ({"n_chan": 0}, "n_chan = 0"), ({"n_chan": 2**21}, "up to 1048576"),
    ({"n_chan": "7.5"}, "n_chan"), ({"n_chan": 1000}, "samples; allowed: whole numbers from 1"),
    ({"integration": 0}, "integration"), ({"integration": "1us"}, "samples; allowed"),
    ({"bandwidth": "501MHz"}, "bandwidth"), ({"fstart": "-1MHz"}, "fstart"),
    ({"level": 0}, "level"), ({"tsys": "-20K"}, "tsys"), ({"seed": 2**64}, "seed"),
    ({"bandpass": "square"}, "bandpass"), ({"beam": 20}, "beam = 20"), ({"beam": 0}, "beam"),
    ({"name": "a/b"}, "name"), ({"name": ""}, "name"), ({"name": "x" * 33}, "name"),
    ({"carriers": [Carrier("1200MHz")] * 7}, "7 carriers; allowed: up to the 6"),
    ({"carriers": [Carrier("1600MHz")]}, "within the band"),
    ({"fstart": 0, "pulsar": Pulsar("1ms", 10)}, "above 0 with dispersion"),
    ({"start_time": "yesterday"}, "UTC"),
])
def test_refused(change: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        FastSpectra(**{"duration": "1ms", **change})


@pytest.mark.parametrize("rows", ["5-3", "x", "-1", "1.5", "1-2-3"])
def test_rows_of_a_loss_are_checked(rows: str) -> None:
    with pytest.raises(UsageError, match="loss rows"):
        LostSpectra(rows=rows)


def test_modes_are_checked() -> None:
    for mode, n_chan, told in (("X", 8, "mode = 'X'"), ("W", 65537, "in mode W: up to 65536")):
        with pytest.raises(UsageError, match=told):
            spectral(mode, n_chan=n_chan, duration="3s")
