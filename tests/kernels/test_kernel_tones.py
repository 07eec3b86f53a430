"""A tone at the centre of every channel of a large plan comes back with its power."""

import numpy as np
import pytest
from fastsig_kernels import Channelizer, response
from kernel_layouts import FLOATS
from thorough import many

N_CHAN = 4096
N_FFT = 2 * N_CHAN
AMPLITUDE = 3.0
PHASE = 0.7

# The promise: filter and transform in single precision leave a tenth of this.
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def plan():
    return Channelizer(N_CHAN, n_tap=8, window="hamming", layout=FLOATS)


def tone_powers(plan, channels, phase):
    """Power in each tone's channel; every tone must be strongest there."""
    table = AMPLITUDE * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT + phase)
    table = table.astype("float32")
    turns = np.arange(N_FFT)
    x = np.empty(plan.n_sample(1), dtype="float32")
    out = np.empty((1, N_CHAN), dtype="complex64")
    powers = np.empty(len(channels))
    for n, k in enumerate(channels):
        x.reshape(plan.n_tap, N_FFT)[:] = table[(int(k) * turns) % N_FFT]
        plan.process(x, out=out)
        power = out.real**2 + out.imag**2
        assert power[0].argmax() == k
        powers[n] = power[0, k]
    return powers


def image_response(plan, channels):
    """Response to the tone's negative frequency, its phase that of the first sample."""
    centre = (plan.taps.size - 1) / 2
    return response(plan.taps, 2.0 * channels) * np.exp(-4j * np.pi * channels * centre / N_FFT)


def test_every_channel(plan):
    channels = np.arange(1, N_CHAN)
    direct = response(plan.taps, 0.0).real
    image = image_response(plan, channels)
    cosine = tone_powers(plan, channels, PHASE)
    turn = np.exp(1j * PHASE)
    expected = AMPLITUDE**2 / 4 * np.abs(direct * turn + image * np.conj(turn)) ** 2
    np.testing.assert_allclose(cosine, expected, rtol=TOLERANCE)

    # Over two phases in quadrature the interference with the image cancels; it is large in the
    # lowest and highest channels.
    some = many(np.r_[:32, 32 : N_CHAN - 33 : 16, N_CHAN - 33 : N_CHAN - 1], slice(None))
    sine = tone_powers(plan, channels[some], PHASE + np.pi / 2)
    scale = AMPLITUDE**2 / 4 * direct**2
    np.testing.assert_allclose((cosine[some] + sine) / 2, scale, rtol=TOLERANCE)


def test_channel_zero(plan):
    # A constant is its own image: twice the amplitude of half a tone.
    found = tone_powers(plan, [0], 0.0)
    np.testing.assert_allclose(
        found, AMPLITUDE**2 * response(plan.taps, 0.0).real ** 2, rtol=TOLERANCE
    )


def test_image_matters_in_the_lowest_channel(plan):
    # Otherwise the exact prediction above would be tested by nothing.
    image = np.abs(image_response(plan, np.array([1, N_CHAN - 1])))
    assert (image / response(plan.taps, 0.0).real > TOLERANCE).all()
