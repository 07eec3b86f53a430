"""Coherent dedispersion against the analytic chirp, and what a stream promises."""

from itertools import pairwise

import fastsig_kernels as fk
import numpy as np
import pytest
from fastsig_kernels import CoherentDedispersion, Layout, _fft_rows, coherent
from fastsig_kernels._coherent_loops import channel_spectra_nb
from fastsig_kernels._order import address

START, DISPERSION, N = 2.0, 3000.0, 2**14  # an octave and a half above one bandwidth


def layout_of(is_complex, kind="float32"):
    return Layout(kind, is_complex=is_complex)


def dispersed(n_chan, *, is_complex, lower, at, dispersion=DISPERSION, n=N):
    """Voltages of one pulse at sample `at` of the band, dispersed within each channel.

    The spectrum of the sky is a pulse times the medium's phase; the voltages follow from it by the
    definitions of sidebands and of real signals.
    """
    u = START + np.arange(n) / n
    channel = np.minimum((np.arange(n) * n_chan) // n, n_chan - 1)
    centre = START + (channel + 0.5) / n_chan
    turns = dispersion * (u - centre) ** 2 / (u * centre**2)
    sky = np.exp(2j * np.pi * (turns - (u - START) * at))
    if is_complex:
        x = np.fft.ifft(np.fft.ifftshift(sky))
        x = np.conj(x) if lower else x
        return np.stack([x.real, x.imag], axis=-1).astype("f4")
    spectrum = np.zeros(n + 1, complex)
    if lower:
        spectrum[n - np.arange(n)] = np.conj(sky)
    else:
        spectrum[:n] = sky
    return np.fft.irfft(spectrum, 2 * n).astype("f4")


CASES = [(n_chan, is_complex, lower) for n_chan in (1, 3, 4) for is_complex in (True, False)
         for lower in (False, True)]


@pytest.mark.parametrize(("n_chan", "is_complex", "lower"), CASES)
def test_a_dispersed_pulse_is_one_again(n_chan, is_complex, lower):
    at = N // 2 // n_chan * n_chan  # on the grid of the channels
    x = dispersed(n_chan, is_complex=is_complex, lower=lower, at=at)
    plan = CoherentDedispersion(n_chan, start=START, dispersion=DISPERSION, min_valid=0.1,
                                layout=layout_of(is_complex), lower_sideband=lower)
    found = plan.process(np.concatenate([x, np.zeros_like(x)]))[0]
    power = np.abs(np.nan_to_num(found)) ** 2
    assert (power.argmax(axis=1) == at // n_chan).all()
    # Rectangular passbands: the rest is in their side lobes, and beyond the ends of transforms.
    assert (power[:, at // n_chan - 1 : at // n_chan + 2].sum(axis=1)
            > 0.98 * power.sum(axis=1)).all()
    # Undone by nothing else: without dispersion the pulse lasts for hundreds of samples.
    plain = CoherentDedispersion(n_chan, start=START, dispersion=0.0, n_point=plan.n_point,
                                 layout=layout_of(is_complex), lower_sideband=lower)
    smeared = np.abs(plain.process(np.concatenate([x, np.zeros_like(x)]))[0]) ** 2
    assert smeared.max() < 0.3 * power.max()


def convolved(plan, x, start):
    """The voltages of each channel by one transform of the whole stream, in float64."""
    n = len(x)
    assert n % plan.n_chan == 0
    spectrum = np.fft.fftshift(np.fft.fft(x.astype(complex)))
    m = n // plan.n_chan
    out = np.empty((plan.n_chan, m), complex)
    for chan in range(plan.n_chan):
        f = start + (chan * m + np.arange(m)) / n
        centre = start + (chan + 0.5) / plan.n_chan
        turns = DISPERSION * (f - centre) ** 2 / (f * centre**2)
        part = spectrum[chan * m : (chan + 1) * m] * np.exp(-2j * np.pi * turns)
        out[chan] = np.fft.ifft(np.fft.ifftshift(part)) / np.sqrt(plan.n_chan)
    return out


@pytest.mark.parametrize("kind", ["float32", "int8", "uint8", "int16"])
def test_noise_is_that_of_one_long_convolution(kind):
    rng = np.random.default_rng(3)
    x = rng.integers(-100, 101, (N, 2))
    samples = (x + 128 if kind == "uint8" else x).astype(kind)
    plan = CoherentDedispersion(4, start=START, dispersion=DISPERSION, margin=3.0,
                                layout=layout_of(True, kind), n_point=2048)
    found = plan.process(samples)[0]
    expected = convolved(plan, x[:, 0] + 1j * x[:, 1], START)[:, : found.shape[1]]
    inside = slice(plan.before, None)
    # The side lobes of a rectangular passband leave the ends of a transform at a level of 1 / n.
    scale = np.sqrt((np.abs(expected) ** 2).mean())
    error = np.abs(found[:, inside] - expected[:, inside]) / scale
    assert np.sqrt((error**2).mean()) < 0.02
    assert abs(scale / np.sqrt((x**2).sum(axis=1).mean()) - 1) < 0.05  # the power of the input


@pytest.mark.parametrize(("n_chan", "n_point", "dispersion", "lower"), [
    (4, 4096, 3000.0, False), (128, 2**12, 2e7, False), (3, 1000, 500.0, True),
    (1, 2**16, 2e4, True), (7, 256, 100.0, False), (2, 90, 10.0, False)])
def test_chirps_are_exact(n_chan, n_point, dispersion, lower):
    plan = CoherentDedispersion(n_chan, start=START, dispersion=dispersion, n_point=n_point,
                                layout=layout_of(True), lower_sideband=lower)
    total, half = n_point * n_chan, n_point // 2
    # What it does to a flat spectrum, in the order of the frequency of the voltages.
    flat, out = np.ones(total, np.complex64), np.empty((n_chan, n_point), np.complex64)
    channel_spectra_nb(*plan._specs, half, total, 0, 0, n_chan, address(flat), 0, plan._length,
                       plan._chirps, plan._scale, address(out), 0)
    k = np.arange(total).reshape(n_chan, n_point)
    sign, edge = (-1, START + 1) if lower else (1, START)
    u, centre = edge + sign * k / total, edge + sign * (np.arange(n_chan)[:, None] + 0.5) / n_chan
    turns = -sign * dispersion * (u - centre) ** 2 / (u * centre**2)
    expected = np.roll(np.exp(2j * np.pi * turns), half, axis=1) / np.sqrt(n_chan)
    assert np.abs(out - expected).max() < 1e-6 / np.sqrt(n_chan)


def test_stretches_of_chirps_lie_within_channels():
    # In the middle of a longer one, this plan's frequency is 0.
    plan = CoherentDedispersion(2, start=1.0, dispersion=0.0, n_point=64, lower_sideband=True)
    assert np.isfinite(plan._chirps).all()


@pytest.mark.parametrize("is_complex", [True, False])
def test_there_and_back(is_complex):
    x = np.random.default_rng(4).standard_normal((2**15, 2)).astype("f4")
    x = x if is_complex else x.reshape(-1)
    plans = [CoherentDedispersion(1, start=START, dispersion=sign * 40.0, margin=10.0,
                                  layout=layout_of(is_complex or step == 1)) for step, sign in
             enumerate((1, -1))]
    once = plans[0].process(x)[0, 0]
    again = plans[1].process(np.nan_to_num(once))[0, 0]
    n = slice(300, again.size - 300)
    plain = CoherentDedispersion(1, start=START, dispersion=0.0, layout=layout_of(is_complex),
                                 n_point=2**14)
    expected = plain.process(x)[0, 0][n]
    # The two transforms end at other places, and a rectangular band rings there.
    assert np.linalg.norm(again[n][: expected.size] - expected[: again[n].size]) < (
        0.1 * np.linalg.norm(expected))


@pytest.mark.parametrize(("kind", "is_complex", "n_chan", "lower"), [
    ("int8", False, 4, False), ("uint8", False, 2, True), ("int16", True, 4, False),
    ("float32", False, 1, False)])
def test_long_transforms(kind, is_complex, n_chan, lower, monkeypatch):
    # They read the samples as they are, and join mirror images as they multiply by chirps.
    monkeypatch.setattr(_fft_rows, "LONG", 2**16)
    total, rng = 2**16, np.random.default_rng(6)
    plan = CoherentDedispersion(n_chan, start=START, dispersion=1e3, n_point=total // n_chan,
                                layout=layout_of(is_complex, kind), n_pol=2, min_valid=0.1,
                                lower_sideband=lower)
    unit = n_chan if is_complex else 2 * n_chan
    n = (plan.n_point - plan.before) * unit
    x = rng.integers(-100, 101, (2, n, 2) if is_complex else (2, n), np.int16)
    found = plan.process((x + 128 if kind == "uint8" else x).astype(kind))[1]
    samples = np.concatenate([np.zeros((plan.before * unit, *x.shape[2:])), x[1]])
    if is_complex:
        spectrum = np.fft.fftshift(np.fft.fft(samples[:, 0] + 1j * samples[:, 1]))
    else:
        spectrum = np.fft.rfft(samples)[:total]
    for chan in {0, n_chan // 2, n_chan - 1}:
        k = chan * plan.n_point + np.arange(plan.n_point)
        f = START + (1 - k / total if lower else k / total)
        centre = START + ((n_chan - chan if lower else chan) + (-0.5 if lower else 0.5)) / n_chan
        turns = (1 if lower else -1) * 1e3 * (f - centre) ** 2 / (f * centre**2)
        part = np.fft.ifftshift(spectrum[k] * np.exp(2j * np.pi * turns))
        expected = np.fft.ifft(part)[plan.before : plan.before + plan.hop] / np.sqrt(unit)
        expected *= (-1) ** plan.before  # phases refer to the first sample of the stream
        got = found[n_chan - 1 - chan].conj() if lower else found[chan]
        there = ~np.isnan(got)
        assert there.mean() > 0.95
        assert np.abs(got - expected)[there].max() < 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("is_complex", [True, False])
def test_compile(is_complex):
    layout = layout_of(is_complex, "int8")
    CoherentDedispersion(n_chan=2, start=START, dispersion=10.0, layout=layout, n_pol=2,
                         products="AABBCRCI", n_int=100).compile()


def test_bits_do_not_depend_on_the_pieces():
    rng = np.random.default_rng(5)
    x = rng.integers(-100, 101, (2, 20_000), np.int8)
    valid = [np.array([[0, 5000], [5001, 20_000]]), np.array([[100, 20_000]])]
    plan = CoherentDedispersion(4, start=START, dispersion=500.0, n_pol=2, n_point=128)
    expected, weight = plan.process(x, valid=valid), plan.weight
    for _ in range(5):
        made, weights, other = [], [], plan.copy()
        cuts = [0, *np.sort(rng.choice(20_000, 6)).tolist(), 20_000]
        for start, stop in pairwise(cuts):
            here = [np.clip(each - start, 0, stop - start) for each in valid]
            here = [each[each[:, 1] > each[:, 0]] for each in here]
            made.append(other.process(x[:, start:stop], valid=here))
            weights.append(other.weight)
        assert np.concatenate(made, axis=2).tobytes() == expected.tobytes()
        np.testing.assert_array_equal(np.concatenate(weights, axis=2), weight)


def test_a_plan_continues_at_any_block_with_the_same_bits():
    x = np.random.default_rng(8).integers(-100, 101, (2, 40_000), np.int8)
    valid = np.array([[0, 11_000], [11_040, 40_000]])
    options = {"start": START, "dispersion": 500.0, "n_pol": 2, "n_point": 128}
    plan = CoherentDedispersion(4, **options)
    expected, weight = plan.process(x, valid=valid), plan.weight
    for block in (0, 1, 2, 17):
        first = plan.reset(block=block)
        spans = np.clip(valid - first, 0, None)
        made = plan.process(x[:, first:], valid=spans[spans[:, 1] > 0])
        assert made.tobytes() == expected[..., block * plan.hop :].tobytes()
        np.testing.assert_array_equal(plan.weight, weight[..., block * plan.hop :])
    plan = CoherentDedispersion(4, **options, products="IQUV", n_int=300)
    whole, whole_weight = plan.process(x, valid=valid), plan.weight
    for block in (3, 9):
        at = -(-block * plan.hop // 300) * 300  # a sum that begins within the block
        first = plan.reset(block=block, first_sum=at)
        spans = np.clip(valid - first, 0, None)
        made = plan.process(x[:, first:], valid=spans[spans[:, 1] > 0])
        before = int(at > block * plan.hop)
        np.testing.assert_array_equal(made[before:], whole[at // 300 :])
        np.testing.assert_array_equal(plan.weight[before:], whole_weight[at // 300 :])


@pytest.mark.parametrize(("n_chan", "is_complex"), [(4, False), (3, False), (4, True), (3, True)])
def test_phases_do_not_depend_on_what_is_discarded(n_chan, is_complex):
    x = np.random.default_rng(9).integers(-100, 101, (20_000, 2)[: 1 + is_complex], np.int8)
    options = {"start": START, "dispersion": 100.0, "n_point": 512,
               "layout": layout_of(is_complex, "int8")}
    made = [CoherentDedispersion(n_chan, **options, discarded=(before, 60)).process(x)[0, :, 60:900]
            for before in (60, 61)]
    assert np.linalg.norm(made[0] - made[1]) < 0.2 * np.linalg.norm(made[0])


def test_plans_of_several_bands_keep_step():
    low = CoherentDedispersion(4, start=START, dispersion=500.0, n_point=128)
    high = CoherentDedispersion(4, start=3 * START, dispersion=500.0, n_point=128,
                                discarded=(low.before, low.after))
    assert (high.before, high.after, high.hop) == (low.before, low.after, low.hop)
    assert CoherentDedispersion(4, start=3 * START, dispersion=500.0, n_point=128).hop > low.hop
    for wrong, match in [((0, 100), "discarded: found .*allowed .*or more"),
                         ([90, 90], "discarded: found"), ((9.0, 90), "discarded: found")]:
        with pytest.raises((TypeError, ValueError), match=match):
            CoherentDedispersion(4, start=START, dispersion=500.0, n_point=128, discarded=wrong)


def test_losses_weigh_what_is_left_of_a_pulse():
    plan = CoherentDedispersion(4, start=START, dispersion=DISPERSION, min_valid=0.01)
    x = np.random.default_rng(6).integers(-100, 101, 2**15, np.int8)
    plan.process(x)
    unit, n = 2 * plan.n_chan, plan.n_output(2**15)
    valid = np.array([[0, 9000], [9400, 2**15]])
    found = plan.process(x, valid=valid)
    weight = plan.weight[0]
    assert found.shape == (1, 4, n) and weight.shape == (4, n)
    # The lost samples are in the pulses of as many samples as the dispersion within a channel.
    width = plan._smears[0] + plan._smears[1] + 1
    lost = (1 - weight).sum(axis=1)
    np.testing.assert_allclose(lost, 400 / unit * np.ones(4), rtol=0.01)
    reached = (weight < 1).sum(axis=1)
    assert (np.abs(reached - (width + 400 / unit)) < 3).all()
    lower = CoherentDedispersion(4, start=START, dispersion=DISPERSION, min_valid=0.99)
    lower.process(x)
    found = lower.process(x, valid=valid)
    assert (np.isnan(found[0]) == (lower.weight[0] == 0)).all() and np.isnan(found).any()
    # Before the stream, nothing is valid.
    plan.reset()
    plan.process(x)
    assert (plan.weight[0, :, 0] < 1).all() and (plan.weight[0, :, plan.before + 1] == 1).all()


def test_lost_samples_do_not_count():
    plan = CoherentDedispersion(2, start=START, dispersion=100.0, n_point=256)
    x = np.random.default_rng(7).integers(-100, 101, 4096, np.int8)
    valid = np.array([[0, 1000], [1200, 4096]])
    spoilt = x.copy()
    spoilt[1000:1200] = 77
    zeroed = x.copy()
    zeroed[1000:1200] = 0
    expected = plan.copy().process(zeroed, valid=valid)
    assert plan.process(spoilt, valid=valid).tobytes() == expected.tobytes()


def test_the_transform_is_chosen():
    plan = CoherentDedispersion(128, start=2.0, dispersion=1e6 / 2.41e-4 * 100 / 500)
    # FAST's band at DM 100: 13,850 samples of 3.9 MHz are lost, with the margin of a tenth.
    assert 12_500 < plan.before + plan.after < 14_500 and plan.n_point >= 4 * plan.before
    assert plan.n_output(plan.latency) == plan.hop and plan.n_output(plan.latency - 1) == 0


def test_refused():
    good = {"n_chan": 4, "start": 2.0, "dispersion": 100.0}
    for wrong, match in [({"n_chan": 0}, "n_chan: found 0"), ({"n_chan": 2.0}, "n_chan: found"),
                         ({"start": 0.0}, "start: found 0"), ({"start": np.nan}, "start: found"),
                         ({"start": "2"}, "start: found str"),
                         ({"dispersion": np.inf}, "dispersion: found inf"),
                         ({"dispersion": 1e15}, "dispersion: found .* samples within a channel"),
                         ({"n_point": 7}, "n_point: found 7"), ({"n_point": 2}, "n_point: found 2"),
                         ({"margin": -1.0}, "margin: found"), ({"min_valid": 0.0}, "min_valid"),
                         ({"n_pol": 3}, "n_pol: found 3"),
                         ({"lower_sideband": 1}, "lower_sideband: found"),
                         ({"layout": Layout("packed", 2, levels=(-3, -1, 1, 3))}, "found packed")]:
        with pytest.raises((TypeError, ValueError), match=match):
            CoherentDedispersion(**{**good, **wrong})
    plan, x = CoherentDedispersion(**good), np.zeros(2000, np.int8)
    for wrong, match in [({"x": x.astype("i2")}, "x: found dtype"),
                         ({"valid": np.array([[0, 2001]])}, "valid: found spans outside"),
                         ({"out": np.zeros((1, 4, 5), "c8")}, "out: found shape")]:
        with pytest.raises((TypeError, ValueError), match=match):
            plan.process(**{"x": x, **wrong})
    assert fk.CoherentDedispersion is CoherentDedispersion


def powers(plan, voltages, weight, n_int, products):
    """The same means and weights from voltages, in float64: (n_out, n_product, n_chan)."""
    used = np.where(weight > 0, weight, 0)
    both = used.min(axis=0)
    x = np.nan_to_num(voltages.astype(complex)) / np.sqrt(np.where(used > 0, used, 1))
    a, b = x[0], x[-1]
    common = both > 0
    terms = {"AA": (np.abs(a) ** 2, used[0]), "BB": (np.abs(b) ** 2, used[-1]),
             "CR": ((a.conj() * b).real, both), "CI": ((a.conj() * b).imag, both),
             "I": (np.abs(a) ** 2 + np.abs(b) ** 2, both),
             "Q": (np.abs(a) ** 2 - np.abs(b) ** 2, both),
             "U": (2 * (a.conj() * b).real, both), "V": (2 * (a.conj() * b).imag, both)}
    names = {"AABBCRCI": ("AA", "BB", "CR", "CI"), "IQUV": tuple("IQUV"), "I": ("I",)}[products]
    if len(x) == 1:
        terms["I"] = terms["AA"]
    n_out = a.shape[1] // n_int
    means, weights = np.empty((2, n_out, len(names), plan.n_chan))
    for p, name in enumerate(names):
        power, energy = terms[name]
        keep = energy > 0
        for i in range(n_out):
            here = slice(i * n_int, (i + 1) * n_int)
            count = keep[:, here].sum(axis=1)
            own = keep & (common | (name in ("AA", "BB")))
            total = np.where(own, power, 0)[:, here].sum(axis=1)
            means[i, p] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
            weights[i, p] = energy[:, here].sum(axis=1) / n_int
    return means, weights


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize(("n_pol", "products", "n_int"), [
    (2, "AABBCRCI", 7), (2, "IQUV", 100), (1, "I", 1), (1, "I", 1000), (2, "I", 33)])
def test_powers_are_those_of_the_voltages(n_pol, products, n_int, lower):
    rng = np.random.default_rng(8)
    x = rng.integers(-100, 101, (n_pol, 30_000), np.int8)
    x[-1, 1:] += x[0, :-1] // 4
    valid = [np.array([[0, 9000], [9300, 30_000]]), np.array([[0, 20_000], [25_000, 30_000]])]
    options = {"start": START, "dispersion": 800.0, "n_pol": n_pol, "n_point": 256,
               "lower_sideband": lower}
    plain = CoherentDedispersion(4, **options)
    voltages = plain.process(x, valid=valid[:n_pol])
    plan = CoherentDedispersion(4, **options, products=products, n_int=n_int)
    means, weights = powers(plan, voltages, plain.weight, n_int, products)
    made, found = [], []
    for start, stop in pairwise([0, 1000, 12_345, 12_346, 30_000]):
        here = [np.clip(each - start, 0, stop - start) for each in valid[:n_pol]]
        n_out = plan.n_output(stop - start)
        made.append(plan.process(x[:, start:stop], valid=[e[e[:, 1] > e[:, 0]] for e in here]))
        found.append(plan.weight)
        assert len(made[-1]) == n_out
    np.testing.assert_allclose(np.concatenate(made), means, rtol=2e-5,
                               atol=2e-5 * np.nanmax(np.abs(means)))
    np.testing.assert_allclose(np.concatenate(found), weights, atol=1e-6)


def test_powers_of_noise_are_those_of_a_filter_bank():
    x = np.random.default_rng(9).integers(-100, 101, (2, 2**17), np.int8)
    plan = CoherentDedispersion(16, start=START, dispersion=0.0, n_pol=2, products="AABB",
                                n_int=2**11)
    bank = fk.Spectrometer(16, n_pol=2, products="AABB", n_int=2**11)
    one, other = plan.process(x), bank.process(x)
    # 10^5 independent powers for each polarisation; channel 0 of real voltages is half a channel.
    np.testing.assert_allclose(one[..., 1:].mean(axis=(0, 2)), other[..., 1:].mean(axis=(0, 2)),
                               rtol=0.015)


def test_products_are_written_in_groups_of_channels():
    """Channels come from both ends of the band, some at a time, and groups are not all full."""
    from fastsig_kernels._coherent_products import Products

    n_chan, n_out = 37, 5
    mixing = np.array([[1, 0, 0, 0], [1, -1, 0, 0], [0, 0, 2, 0]], float)
    powers = np.random.default_rng(6).normal(size=(n_chan, 4, n_out))
    powers[7, 1, 2] = np.nan  # only where it belongs
    out = np.zeros((n_out + 2, 3, n_chan), np.float32)
    products = Products(mixing, n_chan)
    for first, stop in ((0, 3), (30, 37), (3, 9), (21, 30), (9, 20), (20, 21)):
        products.put(powers[first:stop], first, out[1:])
    expected = np.stack([powers[:, 0], powers[:, 0] - powers[:, 1], 2 * powers[:, 2]])
    np.testing.assert_array_equal(out[1:-1], expected.transpose(2, 0, 1).astype("f4"))
    assert not out[0].any() and not out[-1].any()


def at_full_length(plan, x):
    """The voltages of a plan's first block, one channel, by transforms in float64."""
    n, lower = plan.n_point, plan._lower_sideband
    x = np.concatenate([np.zeros((plan.before * plan._unit, *x.shape[1:])), x])
    spectrum = (np.fft.fftshift(np.fft.fft(x[:, 0] + 1j * x[:, 1])) if plan.layout.is_complex
                else np.fft.rfft(x)[:n])
    f = START + (1 - np.arange(n) / n if lower else np.arange(n) / n)
    turns = plan._dispersion * (f - START - 0.5) ** 2 / (f * (START + 0.5) ** 2)
    part = np.fft.ifftshift(spectrum * np.exp((2j if lower else -2j) * np.pi * turns))
    voltages = np.fft.ifft(part)[plan.before : plan.before + plan.hop] / np.sqrt(plan._unit)
    # Phases of real signals refer to the first sample of the stream.
    sign = 1 if plan.layout.is_complex else (-1) ** plan.before
    return sign * (voltages.conj() if lower else voltages)


@pytest.mark.parametrize(("kind", "is_complex", "lower", "n_point"), [
    ("int8", True, False, 5 * 2**15), ("uint8", False, False, 5 * 2**15),
    ("float32", True, True, 3 * 2**16), ("uint8", True, False, 3 * 2**16),
    ("int16", False, True, 3 * 2**16)])
def test_one_channel_in_the_memory_of_its_spectrum(kind, is_complex, lower, n_point):
    rng = np.random.default_rng(7)
    plan = CoherentDedispersion(1, start=START, dispersion=1e5, n_point=n_point, n_pol=2,
                                layout=layout_of(is_complex, kind), lower_sideband=lower,
                                min_valid=0.01)
    n = plan.latency
    x = rng.integers(-100, 101, (2, n, 2) if is_complex else (2, n), np.int16)
    found = plan.process((x + 128 if kind == "uint8" else x).astype(kind))
    for got, samples in zip(found[:, 0], x, strict=True):
        expected, there = at_full_length(plan, samples), ~np.isnan(got)
        assert there.mean() > 0.99
        assert np.abs(got - expected)[there].max() < 2e-6 * np.abs(expected).max()
    # What is held, one spectrum, a part of it, the voltages that are kept, and tables.
    pair, part = 2 * np.dtype(kind).itemsize, n_point // (3 if n_point % 3 == 0 else 5)
    most = n_point * (2 * pair + 8) + 8 * part + 2 * 8 * plan.hop
    assert plan.memory_bytes < 1.02 * most + 2 * fk.fft_plan(part).memory_bytes


def test_the_shortest_transform_that_gives_a_fifth_is_chosen_for_one_wide_channel(monkeypatch):
    # As for 500 MHz at DM 500, in 2,000 times fewer points.
    monkeypatch.setattr(coherent, "_LONGEST", 2**14)
    monkeypatch.setattr(coherent, "_MOST_POINTS", 2**19)
    plan = CoherentDedispersion(1, start=2.0, dispersion=1e6 / 2.41e-4 * 500 / 500 / 2000,
                                layout=layout_of(True, "int8"))
    lost = plan.before + plan.after
    assert plan.n_point == 3 * 2**17 and 310_000 < lost < 320_000
    assert lost < 5 * 2**16  # of which nine tenths would be lost
    plan.compile()


@pytest.mark.parametrize("is_complex", [True, False])
def test_a_pulse_of_one_sample_in_one_wide_channel(is_complex):
    """At DM 500, of 1000 to 1500 MHz, in 4,000 times fewer points, back to one sample."""
    dispersion, n = 1e6 / 2.41e-4 * 500 / 500 / 4000, 2**19
    at = n // 2
    x = dispersed(1, is_complex=is_complex, lower=False, at=at, dispersion=dispersion, n=n)
    plan = CoherentDedispersion(1, start=START, dispersion=dispersion, n_point=5 * 2**16,
                                layout=layout_of(is_complex), min_valid=0.1)
    power = np.abs(np.nan_to_num(plan.process(x)[0, 0])) ** 2
    assert power.argmax() == at
    assert power[at - 1 : at + 1].sum() > 0.98 * power.sum()
