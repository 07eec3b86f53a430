"""Synthesis banks against a slow analysis in float64, and what they say of themselves."""

import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from fastsig_kernels import prototype
from fastsig_kernels.synthesis import Synthesizer
from kernel_layouts import COMPLEX, floats

RATIOS = [2, "4/3", "32/27", "8/7"]


def analyse(x, plan, dtype="complex64"):
    """Spectra of all whole frames of x, phases from its first sample."""
    taps = plan.taps.astype(float)
    frames = range((x.size - taps.size) // plan.hop + 1)
    folded = np.empty((len(frames), plan.n_fft), dtype=x.dtype)
    for m in frames:
        part = x[m * plan.hop : m * plan.hop + taps.size].reshape(taps.shape)
        folded[m] = np.roll((taps * part).sum(axis=0), m * plan.hop % plan.n_fft)
    spectra = np.fft.fft(folded, axis=1)
    # Zero frequency to the middle, or the upper half and Nyquist away.
    half = plan.n_fft // 2
    spectra = np.roll(spectra, half, axis=1) if plan.layout.is_complex else spectra[:, :half]
    return (spectra[:, ::-1].conj() if plan.lower_sideband else spectra).astype(dtype)


def voltages(plan, n_sample, seed=1, tones=()):
    """Noise of unit variance, below 92 % of the band if real, and tones of amplitude 3."""
    rng = np.random.default_rng(seed)
    n = (plan.n_frame(n_sample) - 1) * plan.hop + plan.taps.size
    i = np.arange(n)
    if plan.layout.is_complex:
        x = (rng.standard_normal(n) + 1j * rng.standard_normal(n)) / np.sqrt(2)
        return x + sum(3 * np.exp(2j * np.pi * f * i + 1j) for f in tones)
    spectrum = np.fft.rfft(rng.standard_normal(n))
    spectrum[int(0.92 * spectrum.size) :] = 0
    return np.fft.irfft(spectrum, n) + sum(3 * np.cos(2 * np.pi * f * i + 1) for f in tones)


def error(found, plan, x):
    """Relative rms error of samples found from the spectra of x, in dB."""
    expected = x[plan.first_sample :][: found.size]
    assert found.size == expected.size
    return 20 * np.log10(np.linalg.norm(found - expected) / np.linalg.norm(expected))


@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("oversample", [1, "4/3"])
def test_twin_of_the_formula(is_complex, oversample):
    # The slow analysis above, against the sum that defines it.
    plan = Synthesizer(8, oversample=oversample, n_tap=2, layout=floats(is_complex))
    x = voltages(plan, 1)[: 3 * plan.hop + plan.taps.size]
    h, i = plan.taps.astype(float).ravel(), np.arange(plan.taps.size)
    bins = np.arange(-4, 4) if is_complex else np.arange(8)
    expected = [
        [
            (h * x[m * plan.hop + i] * np.exp(-2j * np.pi * k * (m * plan.hop + i) / plan.n_fft))
            for k in bins
        ]
        for m in range(4)
    ]
    np.testing.assert_allclose(analyse(x, plan, complex), np.sum(expected, axis=2), atol=1e-12)


@pytest.mark.parametrize("oversample", RATIOS)
@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("lower", [False, True])
def test_oversampled_reconstruction(oversample, is_complex, lower):
    plan = Synthesizer(64, oversample=oversample, layout=floats(is_complex), lower_sideband=lower)
    x = voltages(plan, 5000, tones=(0.0312, 0.11, 0.2503, 0.4))
    found = plan.process(analyse(x, plan))
    assert found.dtype == (np.complex64 if is_complex else np.float32)
    assert error(found, plan, x) < -110
    assert 20 * np.log10(plan.residual) < -115
    assert plan.condition < 2.1 and plan.noise_gain < 1


@pytest.mark.parametrize("oversample", RATIOS)
@pytest.mark.parametrize(
    ("n_tap", "window"),
    [
        (1, "none"),
        (2, "rect"),
        (4, "hann"),
        (4, "hamming"),
        (8, "rect"),
        (8, "kaiser:9"),
        (12, "kaiser:9"),
        (16, "hamming"),
    ],
)
def test_prototypes(oversample, n_tap, window):
    plan = Synthesizer(64, oversample=oversample, n_tap=n_tap, window=window, layout=COMPLEX)
    x = voltages(plan, 3000, tones=(0.11,))
    reached = error(plan.process(analyse(x, plan)), plan, x)
    # Single precision hides what is below -130 dB.
    assert reached < -105
    assert reached < max(20 * np.log10(plan.residual + 1e-20), -130) + 5


def test_given_taps_of_any_scale_and_shape():
    # Neither symmetric nor normalised, with a passband wider than half a channel.
    rng = np.random.default_rng(5)
    taps = (prototype(60, 6, "hamming").ravel() * 40 + rng.standard_normal(360)).reshape(6, 60)
    plan = Synthesizer(60, oversample=(3, 2), taps=taps, layout=COMPLEX)
    assert plan.oversample == Fraction(3, 2) and plan.hop == 40
    np.testing.assert_array_equal(plan.taps, taps.astype("float32"))
    x = voltages(plan, 3000)
    assert error(plan.process(analyse(x, plan)), plan, x) < -80


@pytest.mark.parametrize("n_chan", [2, 6, 1000])
@pytest.mark.parametrize("oversample", [2, 1])
def test_sizes_of_the_transform(n_chan, oversample):
    # 1000: strips and frames of other than a power of 2.
    plan = Synthesizer(n_chan, oversample=oversample, n_tap=4, layout=COMPLEX)
    x = voltages(plan, 20 * n_chan)
    limit = -110 if oversample == 2 else -20
    assert error(plan.process(analyse(x, plan)), plan, x) < limit


@pytest.mark.parametrize("where", [0, 2048, 3000, 5461])
def test_strips_run_over_the_end_of_a_frame(where):
    plan = Synthesizer(4096, oversample="4/3", n_tap=4)
    assert plan.hop > 2 * 2048
    x = np.zeros(plan.n_lag * plan.hop + plan.taps.size)
    # At the edges of strips and hops, where real voltages are smooth below Nyquist.
    at = plan.first_sample + where
    x[at - 3 : at + 4] = np.hamming(7)
    found = plan.process(analyse(x, plan))
    expected = x[plan.first_sample :][: found.size]
    np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("oversample", [1, "4/3", "32/27"])
@pytest.mark.parametrize("is_complex", [False, True])
def test_blocks_of_a_stream(oversample, is_complex):
    plan = Synthesizer(64, oversample=oversample, n_tap=4, layout=floats(is_complex), noise=1e-2)
    x = voltages(plan, 80 * plan.hop)
    spectra = analyse(x, plan)
    whole = plan.process(spectra)
    parts, first = [], 0
    for n_new in (1, 2, 5, 17, 20, 3, 32):
        block = spectra[first : first + n_new + plan.history]
        parts.append(plan.process(block, first_frame=first))
        first += n_new
    assert np.concatenate(parts).tobytes() == whole.tobytes()


def test_a_stream_far_from_its_start():
    plan = Synthesizer(64, oversample="32/27", layout=COMPLEX)
    x = voltages(plan, 1000)
    spectra = analyse(x, plan)
    far = 32 * 10**12
    assert plan.process(spectra, first_frame=far).tobytes() == plan.process(spectra).tobytes()
    wrong = plan.process(spectra, first_frame=far + 1)
    assert error(wrong, plan, x) > -10


@pytest.mark.parametrize("oversample", [1, "8/7"])
def test_frames_that_a_sample_depends_on(oversample):
    plan = Synthesizer(32, oversample=oversample, n_tap=4, layout=COMPLEX, noise=1e-2)
    n_frame = plan.n_lag + 9
    spectra = analyse(voltages(plan, 10 * plan.hop), plan)[:n_frame]
    assert plan.n_sample(n_frame) == 10 * plan.hop
    for bad in (0, 4, plan.n_lag, n_frame - 1):
        spoiled = spectra.copy()
        spoiled[bad, 3] = np.nan
        found = np.isnan(plan.process(spoiled))
        first = plan.first_sample
        expected = [bad in plan.frames(n, n + 1) for n in range(first, first + found.size)]
        np.testing.assert_array_equal(found, expected)
    assert plan.frames(first, first + found.size) == range(n_frame)


@pytest.mark.parametrize("oversample", [1, "4/3"])
def test_sizes(oversample):
    plan = Synthesizer(32, oversample=oversample, n_tap=4, noise=0.1)
    assert (plan.n_chan, plan.n_fft, plan.n_tap, plan.noise) == (32, 64, 4, 0.1)
    assert plan.hop == (64 if oversample == 1 else 48)
    assert plan.history == plan.n_lag - 1
    n = plan.n_lag
    assert [plan.n_sample(f) for f in (0, n - 1, n, n + 2)] == [0, 0, plan.hop, 3 * plan.hop]
    assert [plan.n_frame(s) for s in (0, 1, plan.hop, plan.hop + 1)] == [0, n, n, n + 1]
    # What a call of n_frame frames has seen of the input, and what it returns.
    for n_frame in (n, n + 5):
        seen = (n_frame - 1) * plan.hop + plan.taps.size
        assert seen - (plan.first_sample + plan.n_sample(n_frame)) == plan.latency
    with pytest.raises(AttributeError):
        plan.hop = 5


@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("lower", [False, True])
def test_out_and_strides(is_complex, lower):
    plan = Synthesizer(
        16, oversample="4/3", n_tap=4, layout=floats(is_complex), lower_sideband=lower
    )
    spectra = analyse(voltages(plan, 100), plan)
    expected = plan.process(spectra)
    wide = np.zeros((len(spectra), 16, 2), dtype="complex64")
    wide[:, :, 1] = spectra
    many = np.zeros((expected.size, 2), dtype=expected.dtype)
    out = many[:, 1]
    assert plan.process(wide[:, :, 1], out=out) is out
    assert out.tobytes() == expected.tobytes() and not many[:, 0].any()


@pytest.mark.parametrize(("noise", "limit"), [(1e-1, -15.5), (1e-2, -26), (1e-3, -36)])
def test_critical_reconstruction(noise, limit):
    plan = Synthesizer(64, layout=COMPLEX, noise=noise)
    x = voltages(plan, 400_000)
    reached = error(plan.process(analyse(x, plan)), plan, x)
    assert abs(reached - 20 * np.log10(plan.residual)) < 0.5
    assert reached < limit


@pytest.mark.parametrize("lower", [False, True])
def test_critical_real_voltages(lower):
    plan = Synthesizer(64, lower_sideband=lower)
    x = voltages(plan, 200_000)
    assert plan.noise == 1e-3
    assert error(plan.process(analyse(x, plan)), plan, x) < -35


@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize(
    ("oversample", "noise"), [(1, 1e-1), (1, 1e-2), (1, 1e-3), ("4/3", None), (2, None)]
)
def test_noise_gain(is_complex, oversample, noise):
    plan = Synthesizer(128, oversample=oversample, layout=floats(is_complex), noise=noise)
    rng = np.random.default_rng(3)
    n_frame = plan.history + 4000
    shape = (n_frame, plan.n_chan, 2)
    spectra = rng.standard_normal(shape, dtype="float32").view("complex64")[..., 0]
    found = plan.process(spectra)
    # Noise of variance 2 in the spectra, of a bank that keeps the variance of voltages.
    measured = np.mean(np.abs(found.astype(complex)) ** 2) / 2
    assert abs(measured / plan.noise_gain - 1) < 0.03
    worst = (np.abs(found.reshape(-1, plan.hop)) ** 2).mean(axis=0).max() / 2
    assert abs(10 * np.log10(worst) - plan.noise_gain_worst) < 0.8


def test_noise_gain_does_not_depend_on_the_scale_of_the_taps():
    taps = prototype(64, 4)
    one, other = (Synthesizer(64, taps=a * taps, layout=COMPLEX) for a in (1, 1000))
    assert abs(other.noise_gain / one.noise_gain - 1) < 1e-6
    assert abs(other.residual / one.residual - 1) < 1e-6
    assert one.condition > 1000


def test_wiener_is_best_at_its_own_noise():
    x = voltages(Synthesizer(32, layout=COMPLEX, n_tap=4, noise=1e-6), 20_000)
    errors = []
    for noise in (1e-3, 1e-2, 1e-1):
        plan = Synthesizer(32, layout=COMPLEX, n_tap=4, noise=noise)
        spectra = analyse(x, plan)
        rng = np.random.default_rng(8)
        added = rng.standard_normal((*spectra.shape, 2), dtype="float32").view("complex64")
        spectra += np.float32(0.005**0.5) * added[..., 0]
        errors.append(error(plan.process(spectra), plan, x))
        total = plan.residual**2 + 0.01 * plan.noise_gain
        assert abs(errors[-1] - 10 * np.log10(total)) < 0.5
    assert errors[1] < min(errors[0], errors[2]) - 0.3


@pytest.mark.parametrize("oversample", [2, "4/3", "32/27"])
def test_loss_at_the_nyquist_channel(oversample):
    # Half of its channel is lost, what lies some channels below is not.
    plan = Synthesizer(64, oversample=oversample)
    i = np.arange((plan.n_frame(4000) - 1) * plan.hop + plan.taps.size)
    reached = {}
    for below in (0.3, 1.0, 2.3, 5.3):
        x = np.cos(np.pi * (64 - below) / 64 * i + 0.3)
        reached[below] = error(plan.process(analyse(x, plan)), plan, x)
    assert reached[0.3] > -3 and reached[1.0] < -60
    assert reached[2.3] < -80 and reached[5.3] < -95


def test_channel_zero_is_kept():
    plan = Synthesizer(32, oversample="4/3")
    x = np.full((plan.n_frame(500) - 1) * plan.hop + plan.taps.size, 7.0)
    assert error(plan.process(analyse(x, plan)), plan, x) < -110


def test_inf_is_data():
    plan = Synthesizer(16, oversample=2, n_tap=2, layout=COMPLEX)
    spectra = np.ones((plan.n_lag + 3, 16), dtype="complex64")
    spectra[1, 2] = np.inf
    assert not np.isfinite(plan.process(spectra)).all()


@pytest.mark.parametrize("is_complex", [False, True])
def test_given_arrays_nothing_large_is_allocated(is_complex):
    plan = Synthesizer(1024, oversample="4/3", n_tap=4, layout=floats(is_complex))
    n_frame = plan.n_lag + 50
    spectra = np.ones((n_frame, 1024), dtype="complex64")
    out = plan.process(spectra)
    tracemalloc.start()
    plan.process(spectra, out=out)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150_000


def test_refused_plans():
    for n_chan in (0, 1, 7):
        with pytest.raises(ValueError, match="n_chan"):
            Synthesizer(n_chan)
    for ratio in ("3/5", "17", "x", "3/0", (3, 0), "6/5", "7/5"):
        with pytest.raises(ValueError, match="oversample: found"):
            Synthesizer(32, oversample=ratio)
    for ratio in (1.5, True, None):
        with pytest.raises(TypeError, match="oversample: found"):
            Synthesizer(32, oversample=ratio)
    for noise in (0, -1, 2, np.nan):
        with pytest.raises(ValueError, match="noise: found"):
            Synthesizer(32, noise=noise)
    for noise in ("0.1", True):
        with pytest.raises(TypeError, match="noise: found"):
            Synthesizer(32, noise=noise)
    with pytest.raises(TypeError, match="layout: found int"):
        Synthesizer(32, layout=1)
    with pytest.raises(ValueError, match="taps: found shape"):
        Synthesizer(16, taps=np.ones((3, 16)))
    with pytest.raises(ValueError, match="taps: .*finite"):
        Synthesizer(16, taps=np.full((3, 32), np.nan))
    with pytest.raises(ValueError, match="taps: found a mean power of 0"):
        Synthesizer(16, taps=np.zeros((3, 32)))
    with pytest.raises(TypeError, match="taps: found"):
        Synthesizer(16, taps=np.ma.ones((3, 32)))


def test_refused_calls():
    plan = Synthesizer(16, oversample=2, n_tap=2)
    x = np.zeros((plan.n_lag + 1, 16), dtype="complex64")
    with pytest.raises(ValueError, match=f"spectra: found {plan.history} frames"):
        plan.process(x[:-2])
    with pytest.raises(ValueError, match="spectra: found shape"):
        plan.process(x[:, :15])
    with pytest.raises(TypeError, match="spectra: found dtype complex128"):
        plan.process(x.astype(complex))
    with pytest.raises(TypeError, match="spectra: found .*allowed numpy.ndarray; a subclass"):
        plan.process(np.ma.masked_array(x))
    with pytest.raises(ValueError, match="first_frame"):
        plan.process(x, first_frame=-1)
    with pytest.raises(ValueError, match="out: found shape"):
        plan.process(x, out=np.zeros(3, dtype="float32"))
    with pytest.raises(TypeError, match="out: found"):
        plan.process(x, out=np.ma.zeros(2 * plan.hop, dtype="float32"))
    with pytest.raises(ValueError, match="stop"):
        plan.frames(5, 5)
