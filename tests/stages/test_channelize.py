"""Impulses, tones and cross products through the filter bank, for every sideband."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from streams import MemoryVoltages, header
from thorough import thorough

from fastsig.axes.time import elapsed
from fastsig.errors import PlanError, UsageError
from fastsig.stages.channelize import Channelize
from fastsig.stages.detect import Detect

RATE, LOW = 2_000_000, 1_400_000_000
KINDS = {"real upper": ("upper", False), "real lower": ("lower", False),
         "complex upper": ("upper", True), "complex lower": ("lower", True)}


def baseband(sky_hz: float, sideband: str, is_complex: bool) -> float:
    """Where in the recording a sky frequency lies, Hz; of complex recordings from -rate/2."""
    width = RATE if is_complex else RATE / 2
    offset = sky_hz - LOW if sideband == "upper" else LOW + width - sky_hz
    return offset - width / 2 if is_complex else offset


def tone(sky_hz: float, n: int, kind: str, amplitude: complex = 1) -> np.ndarray:
    """A sky signal ``a exp(2 pi i f t)`` as this kind of recorder keeps it.

    A lower sideband records the conjugate, so the recorded phase of `amplitude` is reversed.
    """
    sideband, is_complex = KINDS[kind]
    value = amplitude if sideband == "upper" else np.conj(amplitude)
    phase = 2j * np.pi * baseband(sky_hz, sideband, is_complex) / RATE * np.arange(n)
    signal = value * np.exp(phase)
    return signal.astype(np.complex64) if is_complex else (2 * signal.real).astype(np.float32)


def stream(data: np.ndarray, kind: str) -> MemoryVoltages:
    sideband, is_complex = KINDS[kind]
    head = header(RATE, low_hz=LOW, sideband=sideband, is_complex=is_complex,
                  n_pol=data.shape[1], n_bits=32)
    return MemoryVoltages(data, head)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_chan", [64, 250])
def test_a_tone_appears_at_its_frequency(kind: str, n_chan: int) -> None:
    width = RATE if KINDS[kind][1] else RATE // 2
    step = width / n_chan
    for channel in (3, n_chan // 2, n_chan - 4):
        # A third of a channel off the centre: the channel's centre must not be what is measured.
        sky = LOW + (channel + 1 / 3) * step
        spectra = Channelize(stream(tone(sky, 40 * n_chan, kind)[:, None], kind), n_chan)
        power = (np.abs(spectra.read_block(0, 1).data[0, 0]) ** 2).astype(float)
        centers = spectra.frequency.to_value("Hz")
        peak = int(power.argmax())
        assert abs(centers[peak] - sky) <= step / 2 * 1.001
        # Frames a hop apart turn by the tone's offset from the channel: exact to 1e-3 channel.
        frames = spectra.read_block(0, 2).data[:, 0, peak]
        turn = np.angle(frames[1] * np.conj(frames[0])) / (2 * np.pi)
        assert abs(turn - (sky - centers[peak]) / step) < 1e-3


@pytest.mark.parametrize(("n_chan", "n_tap", "kind"), [
    *((n_chan, n_tap, kind) for kind in KINDS
      for n_chan, n_tap in ((64, 8), (250, 1), (250, 4), (250, 7), (250, 8))),
    # Vector code as for 64: each of these takes seconds to compile.
    pytest.param(32, 4, "real upper", marks=thorough), (32, 7, "complex lower")])
def test_an_impulse_appears_at_its_time(kind: str, n_chan: int, n_tap: int) -> None:
    is_complex = KINDS[kind][1]
    hop = n_chan if is_complex else 2 * n_chan
    n = 40 * hop
    for sample in (20 * hop + 1, 17 * hop + hop // 3, 25 * hop - 1):
        data = np.zeros((n, 1), np.complex64 if is_complex else np.float32)
        data[sample] = 1
        frames = Channelize(stream(data, kind), n_chan, n_tap=n_tap, window="hamming")
        power = (np.abs(frames.read_block(0, frames.shape[0]).data[:, 0]) ** 2).sum(axis=1)
        row = int(power.argmax())
        half = Fraction(hop, 2 * RATE)
        middle = elapsed(stream(data, kind).start_time, frames.time_of(row)) + half
        assert abs(middle - Fraction(sample, RATE)) <= half + Fraction(1, 10**11)


@pytest.mark.parametrize("kind", KINDS)
def test_cross_products_keep_their_sign(kind: str) -> None:
    n_chan, phase = 64, 0.7
    width = RATE if KINDS[kind][1] else RATE // 2
    sky = LOW + 11 * width / n_chan
    a = tone(sky, 40 * n_chan, kind)
    b = tone(sky, 40 * n_chan, kind, np.exp(1j * phase))
    chain = Detect(Channelize(stream(np.stack([a, b], axis=1), kind), n_chan), "AABBCRCI")
    at = int(np.abs(chain.frequency.to_value("Hz") - sky).argmin())
    aa, bb, cr, ci = chain.read_block(2, 1).data[0, :, at]
    # <A* B> of A = 1, B = exp(i phase): its phase, whatever the sideband.
    assert aa == pytest.approx(bb, rel=1e-5)
    assert np.angle(cr + 1j * ci) == pytest.approx(phase, abs=1e-5)
    iquv = Detect(chain.source, "IQUV").read_block(2, 1).data[0, :, at]
    assert iquv == pytest.approx([aa + bb, aa - bb, 2 * cr, 2 * ci], rel=1e-5, abs=1e-4 * float(aa))
    flipped = Detect(chain.source, "IQUV", sign_q=-1, sign_v=-1).read_block(2, 1).data[0, :, at]
    assert flipped == pytest.approx(iquv * [1, -1, 1, -1], rel=1e-6)


def test_start_moves_by_half_the_overlap() -> None:
    source = stream(np.zeros((10_000, 1), np.float32), "real upper")
    frames = Channelize(source, 32, n_tap=8)
    moved = float(elapsed(source.start_time, frames.start_time))
    # a two-part day number has steps of 5 ps
    assert moved == pytest.approx(7 * 64 / 2 / RATE, abs=1e-11)
    # 28.7 us at 4096 channels of the FAST band
    fast = MemoryVoltages(np.zeros((10**5, 1), np.int8), header(10**9, n_pol=1))
    moved = elapsed(fast.start_time, Channelize(fast, 4096).start_time)
    assert float(moved) == pytest.approx(28.672e-6, abs=1e-11)


def test_channels_of_channelised_voltages_join_into_one_axis(rng: np.random.Generator) -> None:
    n_coarse, n_chan, n = 4, 64, 4000
    data = (rng.normal(size=(n, 1, n_coarse)) + 1j * rng.normal(size=(n, 1, n_coarse)))
    head = header(RATE, low_hz=LOW, is_complex=True, n_pol=1, n_bits=32, n_chan=n_coarse)
    frames = Channelize(MemoryVoltages(data.astype(np.complex64), head), n_chan)
    assert frames.shape[2] == n_coarse * n_chan
    lower, upper = head.channels.edges_hz
    assert frames.header.channels.first_hz == lower
    assert frames.header.channels.step_hz * frames.shape[2] == upper - lower
    # A tone in coarse channel 2, 3 fine channels above its centre.
    data = np.zeros((n, 1, n_coarse), np.complex64)
    data[:, 0, 2] = np.exp(2j * np.pi * 3 / n_chan * np.arange(n))
    power = np.abs(Channelize(MemoryVoltages(data, head), n_chan).read_block(0, 1).data[0, 0])
    sky = float(head.channels.first_hz + 2 * head.channels.step_hz) + 3 * RATE / n_chan
    assert frames.frequency.to_value("Hz")[power.argmax()] == pytest.approx(sky)


def test_white_noise_keeps_its_variance(rng: np.random.Generator) -> None:
    for kind, dtype in (("real upper", np.float32), ("complex upper", np.complex64)):
        data = rng.normal(0, 3, (2**19, 1))
        if dtype == np.complex64:
            data = (data + 1j * rng.normal(0, 3, data.shape)) / np.sqrt(2)
        frames = Channelize(stream(data.astype(dtype), kind), 64)
        power = (np.abs(frames.read_block(0, frames.shape[0]).data[:, 0]) ** 2).mean(axis=0)
        error = 9 * np.sqrt(1.032 / frames.shape[0])  # PERFORMANCE of 8 taps: var 1.032 / n
        assert np.all(np.abs(power[1:] - 9) < 5 * error)


def test_refusals() -> None:
    source = stream(np.zeros((1000, 1), np.float32), "real upper")
    with pytest.raises(PlanError, match="needs 1024 samples; the stream has 1000"):
        Channelize(source, 64)
    for options in ({"n_chan": 33}, {"n_chan": 0}, {"n_chan": 32, "n_tap": 0},
                    {"n_chan": 32, "window": "triangle"}, {"n_chan": 32, "min_valid": 0},
                    {"n_chan": 32, "min_valid": 1.5}):
        with pytest.raises(UsageError):
            Channelize(source, **options)
    with pytest.raises(PlanError, match="requires voltages"):
        Channelize(Channelize(source, 8), 8)
    with pytest.raises(PlanError, match="requires channelised"):
        Detect(source)
    for products in ("IQUV", "AABB", "nonsense"):
        with pytest.raises(UsageError):
            Detect(Channelize(source, 8), products)
