"""Filter banks against their twin and against analytic truth."""

import tracemalloc

import numpy as np
import pytest
from fastsig_kernels import Channelizer, gaussian, reference, response
from kernel_layouts import COMPLEX, FLOATS, layout_of

REAL = ["int8", "int16", "float32"]


def samples(n, dtype, seed=1):
    rng = np.random.default_rng(seed)
    if dtype.startswith("int"):
        return rng.integers(-100, 101, n).astype(dtype)
    x = rng.standard_normal(n).astype("float32")
    return x if dtype == "float32" else (x + 1j * rng.standard_normal(n)).astype(dtype)


def plan_for(n_chan, dtype, **options):
    return Channelizer(n_chan, layout=layout_of(dtype), **options)


@pytest.mark.parametrize("dtype", [*REAL, "complex64"])
@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize(("n_chan", "n_tap"), [(2, 1), (2, 4), (14, 3), (64, 8), (1000, 4)])
def test_twin(dtype, lower, n_chan, n_tap):
    plan = plan_for(n_chan, dtype, n_tap=n_tap, lower_sideband=lower)
    x = samples(plan.n_sample(6) + 1, dtype)
    found = plan.process(x)
    expected = reference.channelize(
        x, plan.taps, is_complex=plan.layout.is_complex, lower_sideband=lower
    )
    assert found.shape == (6, n_chan) and found.dtype == np.complex64
    # The transform's own bound, and a rounding for each tap of the filter.
    unit = 2.0**-24
    bound = unit * (np.sqrt(np.log2(plan.n_fft)) + np.sqrt(n_tap))
    assert np.linalg.norm(found - expected) <= bound * np.linalg.norm(expected)


@pytest.mark.parametrize("n_fft", [16, 1000, 1024, 6000, 8192, 2**17])
def test_transform_error(n_fft):
    # One row of taps, the third, among as many as other tests have compiled.
    taps = np.zeros((8, n_fft))
    taps[2] = 1
    plan = Channelizer(n_fft // 2, taps=taps, layout=FLOATS)
    x = samples(plan.n_sample(2), "float32")
    expected = np.fft.rfft(x.reshape(9, -1)[2:4].astype(float))[:, :-1]
    error = np.linalg.norm(plan.process(x) - expected) / np.linalg.norm(expected)
    assert error <= 2.0**-24 * np.sqrt(np.log2(n_fft))


@pytest.mark.parametrize("dtype", [*REAL, "complex64"])
@pytest.mark.parametrize("n_chan", [6, 32, 202])
def test_frames_do_not_depend_on_the_call(dtype, n_chan):
    # Of int16 what test_twin has compiled.
    vectors = dtype == "int16" and n_chan == 32
    plan = plan_for(64, dtype, n_tap=8) if vectors else plan_for(n_chan, dtype, n_tap=4)
    x = samples(plan.n_sample(17), dtype)
    whole = plan.process(x)
    for first in range(17):
        for n in (1, 2, 3, 8, 16):
            end = min(first + n, 17)
            part = x[first * plan.n_fft : end * plan.n_fft + plan.history]
            found = plan.process(part)
            assert found.tobytes() == whole[first:end].tobytes()


@pytest.mark.parametrize("dtype", ["int8", "complex64"])
@pytest.mark.parametrize("lower", [False, True])
def test_out_and_strides(dtype, lower):
    plan = plan_for(32, dtype, n_tap=4, lower_sideband=lower)
    x = samples(plan.n_sample(5), dtype)
    expected = plan.process(x)
    wide = np.full((5, 2, 32), np.nan, dtype="complex64")
    spread = np.zeros((x.size, 2), dtype=dtype)
    spread[:, 1] = x
    for pol in range(2):
        out = wide[:, pol]
        assert plan.process(spread[:, 1], out=out) is out
        assert out.tobytes() == expected.tobytes()


def test_sizes():
    plan = Channelizer(32, n_tap=4)
    assert (plan.n_chan, plan.n_fft, plan.n_tap, plan.history) == (32, 64, 4, 192)
    assert [plan.n_frame(n) for n in (0, 255, 256, 319, 320)] == [0, 0, 1, 1, 2]
    assert [plan.n_sample(n) for n in (0, 1, 5)] == [0, 256, 512]
    assert Channelizer(32, layout=COMPLEX).n_fft == 32
    assert plan.taps.dtype == np.float32 and not plan.taps.flags.writeable
    with pytest.raises(AttributeError):
        plan.n_tap = 5


@pytest.mark.parametrize("lower", [False, True])
def test_complex_tone_lands_with_its_amplitude_and_sign(lower):
    plan = Channelizer(32, n_tap=4, layout=COMPLEX, lower_sideband=lower)
    i = np.arange(plan.n_sample(3))
    for bin_ in range(-16, 16):
        x = (0.5 * np.exp(2j * np.pi * bin_ * i / 32 + 0.3j)).astype("complex64")
        found = plan.process(x)
        channel = 31 - (16 + bin_) if lower else 16 + bin_
        assert (np.abs(found).argmax(axis=1) == channel).all()
        # The taps are symmetric about the centre, half a sample off the grid.
        phase = 0.3 + 2 * np.pi * bin_ * (4 * 32 - 1) / 2 / 32
        value = 0.5 * response(plan.taps, 0.0).real * np.exp(1j * phase)
        # The frame's own phase origin is its first sample.
        value *= np.exp(-2j * np.pi * bin_ * (4 * 32 - 1) / 2 / 32)
        expected = np.conj(value) if lower else value
        np.testing.assert_allclose(found[:, channel], expected, rtol=2e-6)


@pytest.mark.parametrize("is_complex", [False, True])
def test_lower_sideband_reverses_and_conjugates(is_complex):
    dtype = "complex64" if is_complex else "float32"
    upper = plan_for(24, dtype, n_tap=3)
    lower = plan_for(24, dtype, n_tap=3, lower_sideband=True)
    x = samples(upper.n_sample(4), dtype)
    np.testing.assert_array_equal(lower.process(x), upper.process(x)[:, ::-1].conj())


@pytest.mark.parametrize("is_complex", [False, True])
def test_cross_products_keep_their_sign_in_a_lower_sideband(is_complex):
    # At the sky B lags A by a quarter turn. Mixing with an oscillator below the tone
    # records its phase; one above records the opposite of its frequency and phase.
    dtype = "complex64" if is_complex else "float32"
    for lower, sky, oscillator in ((False, 37, 32), (True, 37, 42)):
        bank = plan_for(32, dtype, n_tap=4, lower_sideband=lower)
        turns = 2 * np.pi * np.arange(bank.n_sample(3)) / bank.n_fft
        spectra = []
        for phase in (0.0, -np.pi / 2):
            mixed = np.exp(1j * ((sky - oscillator) * turns + phase))
            recorded = mixed.conj() if lower and is_complex else mixed
            recorded = recorded if is_complex else recorded.real
            spectra.append(bank.process(recorded.astype(dtype)))
        cross = np.conj(spectra[0]) * spectra[1]
        strongest = cross[0, np.abs(cross[0]).argmax()]
        assert strongest.imag < 0 and abs(strongest.real) < 1e-3 * abs(strongest.imag)


@pytest.mark.parametrize("where", [0, 37, 128 * 3 + 5, 1023])
def test_impulse_gives_the_taps(where):
    plan = Channelizer(64, layout=layout_of("int16"))
    x = np.zeros(plan.n_sample(1), dtype="int16")
    x[where] = 1
    k = np.arange(64)
    expected = plan.taps.ravel()[where] * np.exp(-2j * np.pi * k * where / 128)
    np.testing.assert_allclose(plan.process(x)[0], expected, atol=1e-8)


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_parseval(dtype):
    # One row of taps, the third, among as many as other tests have compiled.
    taps = np.zeros((8, 64 if dtype == "complex64" else 128))
    taps[3] = 1 / np.sqrt(taps.shape[1])
    plan = plan_for(64, dtype, taps=taps)
    x = samples(plan.n_sample(10), dtype)
    power = np.abs(plan.process(x).astype(complex)) ** 2
    frames = x.reshape(17, -1)[3:13].astype(complex)
    if dtype == "float32":
        nyquist = (frames * (-1.0) ** np.arange(128)).sum(axis=1).real ** 2 / 128
        energy = 2 * power.sum(axis=1) - power[:, 0] + nyquist
    else:
        energy = power.sum(axis=1)
    np.testing.assert_allclose(energy, (np.abs(frames) ** 2).sum(axis=1), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_white_noise_keeps_its_variance(dtype):
    plan = plan_for(64, dtype)
    n = plan.n_sample(4000)
    x = 3 * gaussian(0, n, seed=5, stream=0)
    if dtype == "complex64":
        x = (x + 3j * gaussian(0, n, seed=5, stream=1)).astype("complex64") / np.sqrt(2)
        x = x.astype("complex64")
    mean = (np.abs(plan.process(x)) ** 2).mean()
    # Five standard errors: 256 000 powers, some of them correlated.
    assert abs(mean / 9 - 1) < 5 * np.sqrt(2 / 256_000)


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_samples_spoil_their_frames_only(dtype, bad):
    plan = plan_for(32, dtype, n_tap=4)
    x = samples(plan.n_sample(9), dtype)
    x[5 * plan.n_fft + 2] = bad
    good = np.isfinite(plan.process(x)).all(axis=1)
    assert good.tolist() == [True] * 2 + [False] * 4 + [True] * 3


def test_given_taps():
    taps = np.random.default_rng(0).standard_normal((3, 32))
    plan = Channelizer(16, taps=taps)
    np.testing.assert_array_equal(plan.taps, taps.astype("float32"))
    taps[:] = 0
    assert plan.taps.any() and plan.n_tap == 3
    with pytest.raises(ValueError, match="taps: found shape"):
        Channelizer(16, taps=np.ones((3, 16)))
    with pytest.raises(ValueError, match="taps: .*finite"):
        Channelizer(16, taps=np.full((3, 32), np.nan))
    with pytest.raises(TypeError, match="taps: found"):
        Channelizer(16, taps=np.ma.ones((3, 32)))


def test_refused():
    for n_chan in (0, -2, 1, 7):
        with pytest.raises(ValueError, match="n_chan"):
            Channelizer(n_chan)
    with pytest.raises(TypeError, match="n_chan"):
        Channelizer(16.0)
    with pytest.raises(TypeError, match="lower_sideband"):
        Channelizer(16, lower_sideband="no")
    with pytest.raises(TypeError, match="layout: found str, allowed Layout"):
        Channelizer(16, layout="int8")
    plan = Channelizer(16, n_tap=4, layout=FLOATS)
    x = np.zeros(160, dtype="float32")
    with pytest.raises(ValueError, match="x: found 127 samples, allowed 128 or more"):
        plan.process(x[:127])
    with pytest.raises(TypeError, match="x: found dtype complex64"):
        plan.process(x.astype("complex64"))
    with pytest.raises(TypeError, match="x: found dtype float32, allowed int8"):
        Channelizer(16).process(x)
    with pytest.raises(TypeError, match="x: found .*allowed numpy.ndarray"):
        plan.process(np.ma.masked_array(x))
    with pytest.raises(ValueError, match="out: found shape"):
        plan.process(x, out=np.zeros((3, 16), dtype="complex64"))


@pytest.mark.parametrize("dtype", ["int8", "complex64"])
@pytest.mark.parametrize("lower", [False, True])
def test_given_arrays_nothing_large_is_allocated(dtype, lower):
    n_chan, n_frame = (4096, 64) if dtype == "int8" else (64, 4096)
    plan = plan_for(n_chan, dtype, n_tap=8, lower_sideband=lower)
    x = samples(plan.n_sample(n_frame), dtype)
    out = np.empty((n_frame, 2, n_chan), dtype="complex64")[:, 1]
    plan.process(x, out=out)
    tracemalloc.start()
    plan.process(x, out=out)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # NumPy's fixed buffer of 8192 elements, against 512 KiB and more of each array given.
    assert peak < 150_000
