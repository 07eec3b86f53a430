"""Channelised voltages of the simulator, measured with plain NumPy."""

from __future__ import annotations

import json
from fractions import Fraction
from math import erfc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastsig as fs
from fastsig.axes import validity
from fastsig.errors import UsageError
from fastsig.simulate import (
    Burst,
    Carrier,
    CoarseVoltage,
    Diode,
    FastVoltage,
    Line,
    Loss,
    Pulsar,
    RfiBurst,
    Source,
    write,
)

LOW, WIDTH, N_CHAN = 1404e6, 16e6, 8
STEP = WIDTH / N_CHAN
SMALL: dict[str, Any] = {"fstart": "1404MHz", "bandwidth": "16MHz", "bandpass": "flat"}
QUIET = {**SMALL, "noise": False}
SIDEBANDS = pytest.mark.parametrize("sideband", ["upper", "lower"])
SIGMAS = 5
ROUNDING = 1 / 6  # variance that rounding both parts adds


def samples(recording: CoarseVoltage, start: int = 0, n: int | None = None) -> np.ndarray:
    """Complex samples in the sense of the sky, complex128 (pol, chan, n)."""
    data, _ = recording.generate(start, recording.n_time if n is None else n)
    x = data[..., 0] + 1j * data[..., 1]
    x = x.conj() if recording.header.sideband == "lower" else x
    return x.transpose(1, 2, 0)


# MHz: centre and both halves of a channel, both outer channels; the neighbours stay at 0.
CARRIERS = [("1405", 0), ("1404.4", 0), ("1409.7", 2), ("1414.34567", 5), ("1419.6", 7)]


@SIDEBANDS
@pytest.mark.parametrize(("frequency", "chan"), CARRIERS)
@pytest.mark.parametrize("start", [0, 4_095, 10**9 + 1])
def test_carrier_has_its_channel_frequency_phase_and_strength(
    sideband: str, frequency: str, chan: int, start: int
) -> None:
    carrier = Carrier(f"{frequency}MHz", level=1, phase="0.2", angle="30deg")
    recording = CoarseVoltage(
        FastVoltage(duration="1000s", sideband=sideband, level=7, carriers=[carrier], **QUIET),
        N_CHAN, level=20)
    x = samples(recording, start, 100)
    # By the definition of a carrier and of a channel's baseband, whose oscillator has phase 0 at
    # sample 0. A real cosine of rms r is two exponentials; all of its power is in one channel of
    # N_CHAN, against noise of mean square 2 level^2 in each.
    center = Fraction("1404e6") + Fraction(STEP) * (2 * chan + 1) / 2
    offset = Fraction(frequency) * 10**6 - center
    sign = -1 if sideband == "lower" else 1  # the recorded wave has phase 0.2, not the sky's
    turns = [float((sign * Fraction(1, 5) + offset * n / Fraction(STEP)) % 1)
             for n in range(start, start + 100)]
    wave = np.sqrt(2 * N_CHAN) * 20 * np.exp(2j * np.pi * np.array(turns))
    for pol, share in enumerate((np.cos(np.pi / 6), np.sin(np.pi / 6))):
        error = x[pol, chan] - share * wave
        assert abs(error.real).max() < 0.5 + 0.1  # 0.1: the ripple of the prototype
        assert abs(error.imag).max() < 0.5 + 0.1
        assert not np.delete(x[pol], chan, axis=0)[:, 2:-2].any()
    told = recording.truth["components"]["carriers"][0]
    assert told["channel"] == chan
    assert Fraction(told["from_center_hz"]) == offset
    assert told["rms_lsb"] == pytest.approx(np.sqrt(2 * N_CHAN) * 20, rel=1e-3)


@SIDEBANDS
@pytest.mark.parametrize("n_chan", [1, 7, 64])
def test_carrier_in_noise_is_at_its_frequency(sideband: str, n_chan: int) -> None:
    recording = CoarseVoltage(
        FastVoltage(duration="20ms", sideband=sideband, level=10, **SMALL,
                    carriers=[Carrier("1406.3MHz", level=0.3, angle="45deg")]), n_chan)
    power = (abs(np.fft.fft(samples(recording), axis=2)) ** 2).sum(0)
    chan, fine = np.unravel_index(power.argmax(), power.shape)
    step = WIDTH / n_chan
    baseband = np.fft.fftfreq(power.shape[1], 1 / step)[fine]
    found = LOW + (chan + 0.5) * step + baseband
    assert found == pytest.approx(1406.3e6, abs=step / power.shape[1])


def test_carrier_on_an_edge_is_in_both_channels() -> None:
    recording = CoarseVoltage(FastVoltage(
        duration="1ms", carriers=[Carrier("1408MHz", level=1)], **QUIET), N_CHAN)
    strength = abs(samples(recording)[0]).mean(1)
    expected = np.sqrt(N_CHAN) * 20  # less than 1 off, by rounding
    assert strength == pytest.approx([0, expected, expected, 0, 0, 0, 0, 0], abs=0.75)


@SIDEBANDS
@pytest.mark.parametrize("at", [0, 1_600, 1_605, 1_609, 1_615, 262_143, 262_145, 319_992])
def test_impulse_is_within_half_a_sample(sideband: str, at: int) -> None:
    # The envelope of this burst holds one digitised sample only, of random height.
    source = FastVoltage(
        duration="10ms", sideband=sideband, **QUIET, level=1,
        burst=Burst(Fraction(at, 32_000_000), Fraction(1, 10**8), dm=0, peak="1e4K"))
    height = abs(source.signal(at, 1)[:, 0])
    recording = CoarseVoltage(source, N_CHAN, level=250 / height.max())
    assert recording.header.start_time == source.header.start_time
    hop = 2 * N_CHAN
    first = max(0, at // hop - 32)
    x = samples(recording, first, min(64, recording.n_time - first))[height.argmax()]
    power = (abs(x) ** 2).sum(0)
    assert 50 < np.sqrt(power.max() / N_CHAN) < 100
    assert abs(first + power.argmax() - at / hop) <= 0.5
    if first and x.shape[1] == 64:  # all of the response is in the recording
        # The phase falls along the middle of a channel by a turn a sample of delay.
        spectrum = np.fft.fftshift(np.fft.fft(x[1:-1], axis=1), axes=1)[:, 13:52]
        turns = np.unwrap(np.angle(spectrum * (-1.0) ** np.arange(39)))
        slopes = np.polyfit(np.arange(39), turns.T, 1)[0] * 64 / (2 * np.pi)
        assert first + 32 - slopes == pytest.approx(at / hop, abs=0.01)


@SIDEBANDS
def test_rfi_is_in_its_channels_and_its_time(sideband: str) -> None:
    burst = RfiBurst(start="2ms", duration="3ms", low="1408MHz", high="1410MHz", temperature="30K")
    recording = CoarseVoltage(FastVoltage(
        duration="8ms", sideband=sideband, rfi=[burst], **QUIET), N_CHAN)
    power = (abs(samples(recording)) ** 2).sum(0)
    assert power[2].sum() > 0.95 * power.sum()
    edges = np.flatnonzero(power[2] > 0.1 * power[2].max())[[0, -1]]
    assert edges == pytest.approx([4_000, 10_000], abs=6)
    inside = power[2, 4_020:9_980].mean() / 2 / recording.truth["receiver"]["gain_lsb2_per_k"]
    # What reaches beyond the edges is missing here; the rfi's own slopes take 1.6 % more.
    assert inside == pytest.approx(30 * (1 - 2 * beyond_an_edge(recording)), rel=0.04)


def beyond_an_edge(recording: CoarseVoltage) -> float:
    """Share of a channel's white noise that comes from beyond one of its edges."""
    table = recording.truth["filter_bank"]["power_at_equal_steps_of_0_to_1_channel_from_center"]
    return float(np.trapezoid(table[len(table) // 2 :]) / np.trapezoid(table) / 2)


@SIDEBANDS
@pytest.mark.parametrize("stokes", [(40, 12, -16, 20), (40, 0, 0, -40), (40, -40, 0, 0)])
def test_source_has_its_stokes_parameters(sideband: str, stokes: Any) -> None:
    recording = CoarseVoltage(
        FastVoltage(duration="20ms", sideband=sideband,
                    source=Source(*(f"{each}K" for each in stokes)), **QUIET), N_CHAN)
    a, b = samples(recording) / np.sqrt(recording.truth["receiver"]["gain_lsb2_per_k"])
    aa, bb, cross = ((x.conj() * y).mean(1) for x, y in ((a, a), (b, b), (a, b)))
    found = np.stack([(aa + bb).real, (aa - bb).real, 2 * cross.real, 2 * cross.imag])
    expected = np.repeat(np.array(stokes, float)[:, np.newaxis], N_CHAN, axis=1)
    # In the mirror image beyond the outer edges V has the other sign; it is not independent.
    expected[3, [0, -1]] *= 1 - 2 * beyond_an_edge(recording)
    error = SIGMAS * stokes[0] / np.sqrt(recording.n_time) + 0.02
    assert abs(found - expected).max() < 1.05 * error


@pytest.mark.parametrize("level", [6, 20])
def test_noise_has_its_level_and_is_flat_across_the_edges(level: int) -> None:
    recording = CoarseVoltage(FastVoltage(duration="100ms", level=11, **SMALL), N_CHAN, level=level)
    x = samples(recording)
    expected = 2 * level**2 + ROUNDING
    assert recording.truth["receiver"]["gain_lsb2_per_k"] == pytest.approx(2 * level**2 / 20)
    power = (abs(x) ** 2).mean(2)
    assert abs(power / expected - 1).max() < SIGMAS * 1.2 / np.sqrt(recording.n_time)
    parts = np.stack([x.real, x.imag]).var(axis=3)[:, :, 1:-1]
    assert abs(parts / (expected / 2) - 1).max() < SIGMAS * np.sqrt(2 / recording.n_time)
    fine = x[:, :, : recording.n_time // 64 * 64].reshape(2, N_CHAN, -1, 64)
    spectrum = (abs(np.fft.fft(fine, axis=3)) ** 2).mean(2) / 64 / expected
    error = SIGMAS / np.sqrt(fine.shape[2])
    assert abs(spectrum - 1).max() < 1.42 * error + 0.005  # 0.5 %: see the class
    assert abs(spectrum[:, 1:-1] - 1).max() < error + 0.005
    assert abs((x[0].conj() * x[1]).mean(1)).max() < SIGMAS * expected / np.sqrt(recording.n_time)


@SIDEBANDS
def test_bandpass_follows_its_table(sideband: str) -> None:
    recording = CoarseVoltage(FastVoltage(duration="30ms", sideband=sideband, **SMALL | {
        "bandpass": "fast"}), 32)
    power = (abs(samples(recording)) ** 2).mean((0, 2)) - ROUNDING
    table = recording.truth["bandpass"]["power_at_equal_steps_of_sky_frequency"]
    fine = np.interp((np.arange(3200) + 0.5) / 3200, np.linspace(0, 1, len(table)), table)
    expected = fine.reshape(32, 100).mean(1) * 2 * 20**2
    tolerance = SIGMAS / np.sqrt(2 * recording.n_time) + 0.01  # 1 %: curved within a channel
    assert abs(power / expected - 1)[1:-1].max() < tolerance
    assert power[0] == pytest.approx(expected[0], rel=0.1)
    assert power.sum() / 32 == pytest.approx(800, rel=0.01)


@SIDEBANDS
def test_pulse_sweeps_down_the_channels(sideband: str) -> None:
    dm, constant = 300.0, 1 / 2.41e-4
    recording = CoarseVoltage(
        FastVoltage(duration="40ms", sideband=sideband, **QUIET,
                    burst=Burst("10ms", "0.5ms", dm, peak="40K")), N_CHAN)
    power = (abs(samples(recording)) ** 2).sum(0)
    time = np.arange(recording.n_time) / STEP
    arrival = (power * time).sum(1) / power.sum(1)
    sky = (LOW + (np.arange(N_CHAN) + 0.5) * STEP) / 1e6
    expected = 0.01 + constant * dm * (sky**-2 - (LOW / 1e6 + 16) ** -2)
    assert abs(arrival - expected).max() < 30e-6


ALL: dict[str, Any] = {
    "fstart": "1404MHz", "bandwidth": "16MHz", "seed": 5,
    "diode": Diode("high", 100_000, 30_000, 17), "source": Source("6K", "1K", "-2K", "3K"),
    "line": Line("30K", "20km/s", velocity="200km/s"),
    "pulsar": Pulsar("3ms", 30, peak="40K", linear=0.5, angle="20deg", circular=0.2),
    "burst": Burst("4ms", "0.3ms", 60, peak="50K"),
    "carriers": [Carrier("1406MHz", 0.2, "1MHz/s", "30deg"), Carrier("1412MHz", 0.1)],
    "rfi": [RfiBurst("8ms", "1ms", "1415MHz", "1416MHz", "100K")],
}
LOSS = Loss(0.02, "X:10-20+Y:10-20")


@pytest.fixture(scope="module", params=[7, 8])
def recording(request: pytest.FixtureRequest) -> CoarseVoltage:
    """Make a recording with one of everything, of several blocks."""
    return CoarseVoltage(FastVoltage(duration="40ms", **ALL), request.param, loss=LOSS)


@pytest.fixture(scope="module")
def whole(recording: CoarseVoltage) -> tuple[np.ndarray, Any]:
    """All of its samples and their spans."""
    return recording.generate(0, recording.n_time)


@pytest.mark.parametrize(("start", "n"), [(0, 1), (4_095, 2), (16_383, 3), (65_000, 10_001),
                                          (79_999, 1)])
def test_any_part_has_the_same_bytes(
    recording: CoarseVoltage, whole: tuple[np.ndarray, Any], start: int, n: int
) -> None:
    data, valid = recording.generate(start, n)
    everything, full = whole
    assert data.shape == (n, 2, recording.n_chan, 2)
    assert data[:, 0].flags.c_contiguous
    np.testing.assert_array_equal(data, everything[start : start + n])
    for part, spans in zip(valid, full, strict=True):
        np.testing.assert_array_equal(part, validity.clip(spans, start, start + n))


@pytest.mark.parametrize("workers", [1, 3])
def test_blocks_are_the_recording(
    recording: CoarseVoltage, whole: tuple[np.ndarray, Any], workers: int
) -> None:
    made = list(recording.blocks(workers))
    assert len(made) == -(-recording.n_time // recording.block) > 1
    np.testing.assert_array_equal(np.concatenate([data for data, _, _ in made]), whole[0])


def test_no_samples_are_no_samples(recording: CoarseVoltage) -> None:
    data, valid = recording.generate(5, 0)
    assert data.shape == (0, 2, recording.n_chan, 2)
    assert [len(spans) for spans in valid] == [0, 0]


def test_samples_outside_are_refused(recording: CoarseVoltage) -> None:
    for start, n in ((-1, 5), (recording.n_time, 1), (0, recording.n_time + 1), (3, -1)):
        with pytest.raises(UsageError, match="outside"):
            recording.generate(start, n)


@pytest.mark.parametrize(("n_chan", "packet", "size"), [
    (8, None, 256), (512, None, 4), (3, None, 682), (4096, None, 1), (8, 100, 100)])
def test_packets_are_lost_whole_and_in_both(n_chan: int, packet: Any, size: int) -> None:
    made = CoarseVoltage(FastVoltage(duration="100ms", **SMALL), n_chan, packet=packet, level=50,
                         loss=Loss(0.1, "X:3+X:5-7+Y:3-3+Y:7+Y:5-6"))
    assert made.packet == size
    data, (first, second) = made.generate(0, made.n_time)
    np.testing.assert_array_equal(first, second)
    inside = np.zeros(made.n_time, bool)
    for low, high in first:
        inside[low:high] = True
        assert low % size == 0
        assert high % size == 0 or high == made.n_time
    assert not data[~inside].any()
    assert (data[inside] != 0).mean() > 0.9
    lost = ~inside[::size]
    assert lost[[3, 5, 6, 7]].all()
    others = np.delete(lost, [3, 5, 6, 7])
    assert abs(others.mean() - 0.1) < SIGMAS * np.sqrt(0.09 / len(others))
    told = made.truth["components"]["loss"]
    assert (told["packet_samples"], told["fraction"]) == (size, "0.1")


def test_no_loss_is_all_valid() -> None:
    made = CoarseVoltage(FastVoltage(duration="1ms", **SMALL), 8)
    assert [spans.tolist() for spans in made.generate(10, 20)[1]] == [[[10, 30]], [[10, 30]]]
    assert "loss" not in made.truth["components"]


def test_clipped_numbers_are_counted() -> None:
    made = CoarseVoltage(FastVoltage(duration="10ms", **SMALL), 8, level=60)
    (data, _, clipped), = made.blocks()
    assert (data.min(), data.max()) == (-128, 127)
    scale = 60 * 2**0.5
    expected = (erfc(127.5 / scale) + erfc(128.5 / scale)) / 2
    assert made.truth["quantisation"]["clipped_share_xy_expected"] == pytest.approx([expected] * 2)
    n = 16 * made.n_time
    for count in clipped:  # real and imaginary parts of the outer channels differ by some 6 %
        assert count / n == pytest.approx(expected, rel=0.01 + SIGMAS / np.sqrt(expected * n))


@SIDEBANDS
@pytest.mark.parametrize(("low", "width", "n_chan"), [
    ("1404", "16", 8), ("1000.1", "150.35", 7), ("1050", "400", 4096), ("1420", "8", 1)])
def test_channels_tile_the_band(sideband: str, low: str, width: str, n_chan: int) -> None:
    source = FastVoltage(duration="1ms", fstart=f"{low}MHz", bandwidth=f"{width}MHz",
                         sideband=sideband, start_time="2025-05-06T07:08:09.123456789")
    made = CoarseVoltage(source, n_chan)
    header, bottom = made.header, Fraction(low) * 10**6
    assert header.channels is not None
    assert header.channels.edges_hz == (bottom, bottom + Fraction(width) * 10**6)
    assert header.channels.step_hz == header.sample_rate == Fraction(width) * 10**6 / n_chan
    assert header.channels.n_chan == made.n_chan == n_chan
    assert header.channels.half_channel is None
    assert (header.is_complex, header.n_bits, header.sideband) == (True, 8, sideband)
    assert header.start_time == source.header.start_time
    assert made.n_time == source.n_time // (2 * n_chan)
    assert made.truth["n_time"] == made.n_time


def test_truth_is_that_of_the_recording_and_of_the_bank() -> None:
    source = FastVoltage(duration="40ms", **ALL)
    made = CoarseVoltage(source, 8, level="12.5", loss=LOSS)
    told = json.loads(json.dumps(made.truth))
    assert told == made.truth
    for name in ("seed", "band_hz", "sideband", "convention", "bandpass"):
        assert told[name] == source.truth[name]
    for name in ("source", "line", "pulsar", "burst", "rfi"):
        assert told["components"][name] == source.truth["components"][name]
    assert told["components"]["loss"]["packets"] == [["X", 10, 20], ["Y", 10, 20]]
    assert Fraction(told["components"]["diode"]["samples_per_tick"]) == Fraction(2, 250)
    assert told["receiver"]["level_lsb_rms"] == "12.5"
    scaled = np.array(source.truth["quantisation"]["variance_xy_lsb2_diode_on"]) * (12.5 / 20) ** 2
    assert told["quantisation"]["variance_xy_lsb2_diode_on"] == pytest.approx(scaled)
    # The response again, from what the truth tells of the prototype.
    bank = told["filter_bank"]
    half = bank["n_tap"] * bank["n_fft"] // 2
    j = np.arange(1 - half, half)
    window = np.i0(bank["kaiser_beta"] * np.sqrt(1 - (j / half) ** 2))
    taps = window * np.sinc(bank["cutoff"] * j / bank["n_fft"])
    table = np.array(bank["power_at_equal_steps_of_0_to_1_channel_from_center"])
    offset = np.linspace(0, 1, len(table))
    found = np.cos(2 * np.pi * np.outer(offset, j) / bank["n_fft"]) @ taps / taps.sum()
    np.testing.assert_allclose(table, found**2, atol=2e-9)
    assert abs(table[offset < 0.39] - 1).max() < 0.005
    assert abs(table + table[::-1] - 1).max() < 0.005
    assert table[-1] < 1e-7


@SIDEBANDS
def test_the_toolkit_agrees(sideband: str, tmp_path: Path) -> None:
    """Through a native file and the chain: header, channel order and conjugation fit together."""
    made = CoarseVoltage(FastVoltage(
        duration="20ms", sideband=sideband, source=Source("40K", 0, 0, "25K"), **SMALL,
        carriers=[Carrier("1409.3MHz", level=0.4, angle="90deg")]), N_CHAN, loss=Loss(0.02))
    path = tmp_path / "coarse.h5"
    report = write(made, path)
    assert report.n_time == made.n_time
    assert report.n_lost[0] == report.n_lost[1] > 0
    product = fs.open(path).channelize(64).detect("IQUV").integrate(n_int=512)
    data, freq = product.read(), product.stream.header.channels
    mean = np.nanmean(data.values, axis=0) / made.truth["receiver"]["gain_lsb2_per_k"]
    step = float(freq.step_hz)
    assert freq.n_chan == 64 * N_CHAN
    assert float(freq.first_hz) + mean[0].argmax() * step == pytest.approx(1409.3e6, abs=step)
    assert np.median(mean, axis=1) == pytest.approx([80, 0, 0, 25], abs=2)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"n_chan": 0}, "n_chan = 0; allowed: whole numbers from 1"),
    ({"n_chan": 2.5}, "n_chan = 2.5; allowed: whole"),
    ({"n_chan": 70_000}, "n_chan = 70000; allowed: up to 65536"),
    ({"n_chan": 20_000}, "n_chan = 20000 needs 40000 digitised samples; allowed: up to the 32000"),
    ({"level": 0}, "level = 0; allowed: above 0"),
    ({"level": "3K"}, "level"),
    ({"packet": 0}, "packet = 0; allowed: whole numbers from 1"),
    ({"loss": Loss(packets="X:3-4")}, "a packet contains both polarisations; allowed: the same"),
    ({"loss": Loss(packets="X:3-4+Y:3-5")}, "X:30-41[+]Y:30-41"),
]


@pytest.mark.parametrize(("parameters", "message"), BAD)
def test_bad_parameters_are_named(parameters: dict[str, Any], message: str) -> None:
    recording = FastVoltage(duration="1ms", **SMALL)
    with pytest.raises(UsageError, match=message):
        CoarseVoltage(recording, **{"n_chan": 8, **parameters})


def test_loss_of_the_digitiser_is_refused() -> None:
    recording = FastVoltage(duration="1ms", loss=Loss(0.1), **SMALL)
    with pytest.raises(UsageError, match="packets of its digitiser; allowed: loss of the channel"):
        CoarseVoltage(recording, 8)
