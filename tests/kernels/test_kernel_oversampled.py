"""Oversampled banks: absolute phase, against the definition, tones, and back to voltages."""

from fractions import Fraction

import numpy as np
import pytest
from fastsig_kernels import Channelizer, Layout, response
from fastsig_kernels.spectrometer import Spectrometer
from fastsig_kernels.synthesis import Synthesizer
from kernel_layouts import floats

UNIT = 2.0**-24
RATIOS = ["4/3", "32/27", "8/7", 2]


def bank(n_chan, is_complex, oversample, **options):
    # One length for each kind of input: another takes seconds to compile.
    options = {"n_tap": 12 if is_complex else 8, "layout": floats(is_complex), **options}
    return Channelizer(n_chan, oversample=oversample, **options)


def noise(n, is_complex, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 2 if is_complex else 1)).astype("float32")
    return x.view("complex64" if is_complex else "float32")[:, 0]


def definition(x, plan, first_frame):
    """``sum_i h[i] x[m H + i] exp(-2 pi i k (m H + i) / N)``, as a sum, in float64.

    x begins with frame `first_frame`.
    """
    h = plan.taps.astype(float).ravel()
    k = np.arange(plan.n_chan) - (plan.n_chan // 2 if plan.layout.is_complex else 0)
    turns = np.exp(-2j * np.pi * np.arange(plan.n_fft) / plan.n_fft)
    i = np.arange(h.size)
    out = np.empty((plan.n_frame(x.size), plan.n_chan), complex)
    for m in range(len(out)):
        # The turn is exact: modulo N, in integers.
        turn = np.outer(k, ((first_frame + m) * plan.hop + i) % plan.n_fft) % plan.n_fft
        frame = h * x[m * plan.hop : m * plan.hop + h.size].astype(complex)
        out[m] = turns[turn] @ frame
    return out[:, ::-1].conj() if plan.lower_sideband else out


# 512 real channels: vectors of 16 lanes, and turns of whole vectors at all ratios. 64
# complex ones turn by 2 samples at 32/27, which goes through NumPy. 96: no power of two.
SIZES = [(n_chan, is_complex, ratio)
         for n_chan, is_complex in ((512, False), (64, True), (96, False), (96, True))
         for ratio in RATIOS]
sizes = pytest.mark.parametrize(("n_chan", "is_complex", "oversample"), SIZES)


@pytest.mark.parametrize("first_frame", [0, 29, 10**12 + 5])
@sizes
def test_definition(n_chan, is_complex, oversample, first_frame):
    plan = bank(n_chan, is_complex, oversample)
    assert plan.oversample == Fraction(oversample) and plan.hop * plan.oversample == plan.n_fft
    n_frame = 9 if n_chan < 512 else 2
    x = noise(plan.n_sample(n_frame) + plan.hop - 1, is_complex)
    found = plan.process(x, first_frame=first_frame)
    expected = definition(x, plan, first_frame)
    assert found.shape == expected.shape == (n_frame, n_chan)
    # As for critical sampling: the transform's bound, and a rounding for each tap.
    bound = UNIT * (np.sqrt(np.log2(plan.n_fft)) + np.sqrt(plan.n_tap))
    assert np.linalg.norm(found - expected) <= bound * np.linalg.norm(expected)


@pytest.mark.parametrize("oversample", [2, "4/3"])
@pytest.mark.parametrize("n_chan", [16, 30])
def test_definition_of_one_tap(n_chan, oversample):
    # Rows of samples then are one a frame, as if the bank was critically sampled.
    plan = bank(n_chan, False, oversample, n_tap=1, layout=Layout())
    x = np.random.default_rng(4).integers(-100, 101, plan.n_sample(21), "int8")
    found, expected = plan.process(x, first_frame=3), definition(x, plan, 3)
    assert np.linalg.norm(found - expected) <= 3 * UNIT * np.linalg.norm(expected)


@pytest.mark.parametrize("is_complex", [False, True])
def test_lower_sideband(is_complex):
    upper, lower = (bank(96, is_complex, "4/3", lower_sideband=low) for low in (False, True))
    x = noise(upper.n_sample(5), is_complex)
    found = lower.process(x, first_frame=2)
    np.testing.assert_array_equal(found, upper.process(x, first_frame=2)[:, ::-1].conj())
    expected = definition(x, lower, 2)
    assert np.linalg.norm(found - expected) <= 1e-6 * np.linalg.norm(expected)


@sizes
def test_frames_do_not_depend_on_the_call(n_chan, is_complex, oversample):
    plan = bank(n_chan, is_complex, oversample)
    x = noise(plan.n_sample(40), is_complex)
    whole = plan.process(x)
    first = 0
    for n in (1, 2, 3, 8, 5, 21):
        part = x[first * plan.hop : first * plan.hop + plan.n_sample(n)]
        found = plan.process(part, first_frame=first)
        assert found.tobytes() == whole[first : first + n].tobytes()
        first += n
    # A stream repeats after as many frames as turn it round.
    around = plan.oversample.numerator
    again = plan.process(x, first_frame=around * 10**9)
    assert again.tobytes() == whole.tobytes()
    out = np.full((40, 2, n_chan), np.nan, "c8")[:, 1]
    assert plan.process(x, out=out) is out and out.tobytes() == whole.tobytes()


def test_sizes():
    plan = bank(64, False, "32/27", n_tap=4)
    assert (plan.n_fft, plan.hop, plan.history) == (128, 108, 512 - 108)
    assert [plan.n_frame(n) for n in (0, 511, 512, 619, 620)] == [0, 0, 1, 1, 2]
    assert [plan.n_sample(n) for n in (0, 1, 3)] == [0, 512, 512 + 2 * 108]
    for ratio in (Fraction(4, 3), (4, 3), "4/3", "8/6"):
        assert bank(64, False, ratio).hop == 96
    with pytest.raises(ValueError, match="oversample: found 5/4, .* divides 128"):
        bank(64, False, "5/4")
    with pytest.raises(ValueError, match="oversample: found 3/4"):
        bank(96, False, "3/4")
    with pytest.raises(ValueError, match="first_frame: found -1"):
        plan.process(noise(600, False), first_frame=-1)


# Tones.


@pytest.mark.parametrize("offset", [0.0, 0.31, -0.47])
@sizes
def test_phase_of_a_tone_runs_on(n_chan, is_complex, oversample, offset):
    plan = bank(n_chan, is_complex, oversample)
    channel = 5 if is_complex else n_chan // 3
    bin_ = channel + offset  # in units of the channels' width, from zero frequency
    i = np.arange(plan.n_sample(40))
    turns = bin_ / plan.n_fft
    if is_complex:
        x = np.exp(2j * np.pi * (turns * i % 1) + 0.4j).astype("complex64")
    else:
        x = np.cos(2 * np.pi * (turns * i % 1) + 0.4).astype("float32")
    found = plan.process(x)[:, channel + (n_chan // 2 if is_complex else 0)].astype(complex)
    # exp(2 pi i f n) at the middle of a frame, as seen from the channel's centre.
    middle = plan.hop * np.arange(40) + (plan.taps.size - 1) / 2
    gain = response(plan.taps, -offset).real
    expected = (1 if is_complex else 0.5) * gain * np.exp(
        2j * np.pi * offset * middle / plan.n_fft + 0.4j)
    # The image of a real tone leaks in below -100 dB here.
    np.testing.assert_allclose(np.unwrap(np.angle(found)), np.unwrap(np.angle(expected)),
                               rtol=0, atol=1e-5)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), rtol=1e-5)


def test_prototype_of_green_bank():
    # VEGAS: 12 taps, a sinc of 0.95 of a channel, a Hamming window not quite symmetric.
    n = 12 * 64
    sinc = np.sinc(12 * 0.95 * np.linspace(-0.5, 0.5, n, endpoint=False))
    taps = (sinc * np.hamming(n)).reshape(12, 64)
    for oversample in (1, "4/3"):
        plan = bank(64, True, oversample, taps=taps)
        i = np.arange(plan.n_sample(5))
        offsets = np.linspace(-1.5, 1.5, 61)
        channel, measured = 37, []
        for offset in offsets:
            f = (channel - 32 + offset) / 64
            found = plan.process(np.exp(2j * np.pi * (f * i % 1)).astype("c8"))[:, channel]
            np.testing.assert_allclose(np.abs(found), np.abs(found[0]), rtol=0, atol=1e-4)
            measured.append(np.abs(found).mean())
        expected = np.abs(response(plan.taps, -offsets))
        # Relative to the centre of the channel.
        peak = np.abs(response(plan.taps, 0.0))
        np.testing.assert_allclose(measured / peak, expected / peak, rtol=0, atol=1e-5)
        # Half a channel from its centre, and beyond: what that filter is for.
        assert 20 * np.log10(measured[40] / peak) < -3 and expected[[0, -1]].max() / peak < 1e-3


# There and back.


def in_band(n, is_complex, tones):
    """Noise and tones; if real, below 0.46 of the rate, as the Nyquist channel is dropped."""
    rng = np.random.default_rng(2)
    i = np.arange(n)
    if is_complex:
        x = (rng.standard_normal(n) + 1j * rng.standard_normal(n)) / np.sqrt(2)
        return x + sum(3 * np.exp(2j * np.pi * f * i) for f in (*tones, -tones[0]))
    spectrum = np.fft.rfft(rng.standard_normal(n))
    spectrum[int(0.92 * spectrum.size) :] = 0
    return np.fft.irfft(spectrum, n) + sum(3 * np.cos(2 * np.pi * f * i) for f in tones)


@pytest.mark.parametrize("lower", [False, True])
@sizes
def test_analysis_and_synthesis(n_chan, is_complex, oversample, lower):
    options = {"n_tap": 12 if is_complex else 8, "layout": floats(is_complex),
               "oversample": oversample, "lower_sideband": lower}
    if lower and (n_chan, oversample) != (96, "4/3"):
        return  # the order of channels is the same at any ratio
    plan, back = Channelizer(n_chan, **options), Synthesizer(n_chan, **options)
    assert plan.hop == back.hop and plan.taps.tobytes() == back.taps.tobytes()
    n_frame = back.n_frame(30 * plan.n_fft)
    x = in_band(plan.n_sample(n_frame), is_complex, (0.0313, 0.11, 0.4))
    spectra = plan.process(x.astype("complex64" if is_complex else "float32"))
    for first in (0, 7):  # a stream that begins in its middle
        part = x[first * plan.hop :]
        found = back.process(spectra[first:], first_frame=first)
        expected = part[back.first_sample :][: found.size]
        residual = np.linalg.norm(found - expected) / np.linalg.norm(expected)
        assert found.size > 10 * plan.n_fft and 20 * np.log10(residual) < -80


@pytest.mark.parametrize("oversample", [2, "4/3"])
@pytest.mark.parametrize("n_chan", [16, 30])
def test_spectrometer(n_chan, oversample):
    # Powers do not know of phases: what is left is where frames begin.
    plan = Spectrometer(n_chan, n_tap=1, oversample=oversample, n_int=4)
    twin = bank(n_chan, False, oversample, n_tap=1, layout=Layout())
    x = np.random.default_rng(4).integers(-100, 101, plan.n_fft * 20, "int8")
    assert plan.hop == twin.hop and plan.history == twin.history
    parts = [plan.process(part) for part in np.array_split(x, 7)]
    spectra = twin.process(x)
    power = spectra.real * spectra.real + spectra.imag * spectra.imag
    power = power[: len(power) // 4 * 4].reshape(-1, 4, n_chan)
    total = ((power[:, 0] + power[:, 1]) + power[:, 2]) + power[:, 3]
    assert np.concatenate(parts)[:, 0].tobytes() == (total / 4).tobytes()
