"""Detection against its twin, exact cases and its contract."""

import numpy as np
import pytest
from fastsig_kernels import (
    PRODUCTS,
    accumulate,
    detect,
    detect_accumulate,
    detect_accumulate_nb,
    detect_nb,
    product_codes,
    reference,
)

KEYS = list(PRODUCTS)
SIGNS = [(1, 1), (-1, 1), (1, -1), (-1, -1)]


def spectra(n_frame=7, n_pol=2, n_chan=33, seed=1):
    rng = np.random.default_rng(seed)
    parts = rng.standard_normal((2, n_frame, n_pol, n_chan)).astype("float32")
    return (parts[0] + 1j * parts[1]).astype("complex64")


def energies(n_frame=7, seed=2):
    rng = np.random.default_rng(seed)
    ab = rng.uniform(0.85, 0.95, n_frame)
    energy = np.stack([rng.uniform(0.95, 1, n_frame), rng.uniform(0.95, 1, n_frame), ab], axis=1)
    energy[1::7] = 1
    energy[2::7] = 0
    energy[3::7, 1:] = 0
    energy[4::7, 2] = 0
    return energy


@pytest.mark.parametrize("products", KEYS)
@pytest.mark.parametrize(("sign_q", "sign_v"), SIGNS)
def test_twin(products, sign_q, sign_v):
    x, energy = spectra(), energies()
    out, weight = detect(x, energy, products, sign_q=sign_q, sign_v=sign_v)
    expected = reference.detect(x, energy, PRODUCTS[products], sign_q, sign_v)
    assert out.dtype == np.float32 and weight.dtype == np.float64
    np.testing.assert_array_equal(weight, expected[1])
    # Differences cancel: the error is that of the powers they are made of.
    scale = (np.abs(x.astype(complex)) ** 2).sum(axis=1).max()
    np.testing.assert_allclose(out, expected[0], rtol=0, atol=6 * 2.0**-24 * scale)


def test_one_polarisation():
    x = spectra(n_pol=1)
    energy = energies()[:, :1].copy()
    out, weight = detect(x, energy, "I")
    expected = reference.detect(x, energy, ("I",))
    np.testing.assert_allclose(out, expected[0], rtol=3e-7)
    np.testing.assert_array_equal(weight, energy)


@pytest.mark.parametrize("products", KEYS)
def test_python_function_gives_the_same_bits(products):
    x, energy, codes = spectra(n_chan=5), energies(), product_codes(products)
    out, weight = detect(x, energy, products, sign_q=-1, sign_v=-1)
    again, weight_again = np.empty_like(out), np.empty_like(weight)
    detect_nb.py_func(x, energy, codes, -1, -1, again, weight_again)
    assert again.tobytes() == out.tobytes() and weight_again.tobytes() == weight.tobytes()


def test_whole_frames_scale_by_exactly_one():
    x = spectra()
    power = x.real * x.real + x.imag * x.imag
    out, weight = detect(x, np.ones((7, 3)), "IQUV")
    np.testing.assert_array_equal(out[:, 0], power[:, 0] + power[:, 1])
    np.testing.assert_array_equal(out[:, 1], power[:, 0] - power[:, 1])
    cross, _ = detect(x, np.ones((7, 3)), "AABBCRCI")
    np.testing.assert_array_equal(cross[:, :2], power)
    np.testing.assert_array_equal(out[:, 2:], 2 * cross[:, 2:])
    assert (weight == 1).all()


@pytest.mark.parametrize(
    ("a", "b", "stokes"),
    [
        (1, 0, (1, 1, 0, 0)),
        (0, 1, (1, -1, 0, 0)),
        (1, 1, (2, 0, 2, 0)),
        (1, -1, (2, 0, -2, 0)),
        (1, 1j, (2, 0, 0, 2)),
        (1, -1j, (2, 0, 0, -2)),
    ],
)
def test_pure_states(a, b, stokes):
    x = np.array([[[a], [b]]], dtype="complex64") * np.complex64(np.exp(0.4j))
    out, _ = detect(x, np.ones((1, 3)), "IQUV")
    np.testing.assert_allclose(out[0, :, 0], stokes, atol=3e-7)
    out, _ = detect(x, np.ones((1, 3)), "IQUV", sign_q=-1, sign_v=-1)
    np.testing.assert_allclose(out[0, :, 0] * [1, -1, 1, -1], stokes, atol=3e-7)


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("products", KEYS)
def test_accumulation_has_the_bits_of_two_steps(products, seed):
    rng = np.random.default_rng(seed)
    n_frame, n_chan = rng.integers(1, 40, 2)
    x, energy = spectra(n_frame, 2, n_chan, seed), energies(n_frame, seed)
    if seed % 3 == 0:
        energy[:] = 1
    shape = (len(PRODUCTS[products]), n_chan)
    totals = [(np.zeros(shape, "float32"), np.zeros(shape[0])) for _ in range(3)]
    accumulate(*detect(x, energy, products, sign_v=-1), *totals[0])
    detect_accumulate(x, energy, products, *totals[1], sign_v=-1)
    for part in (slice(0, n_frame // 3), slice(n_frame // 3, None)):
        detect_accumulate(x[part], energy[part], products, *totals[2], sign_v=-1)
    assert totals[0][0].tobytes() == totals[1][0].tobytes() == totals[2][0].tobytes()
    assert totals[0][1].tobytes() == totals[1][1].tobytes() == totals[2][1].tobytes()


def test_accumulation_python_function():
    x, energy, codes = spectra(n_chan=5), energies(), product_codes("IQUV")
    totals = [(np.zeros((4, 5), "float32"), np.zeros(4)) for _ in range(2)]
    detect_accumulate(x, energy, "IQUV", *totals[0])
    detect_accumulate_nb.py_func(x, energy, codes, 1, 1, *totals[1])
    assert totals[0][0].tobytes() == totals[1][0].tobytes()


def test_accumulation_adds_to_what_is_there():
    x = spectra(n_frame=1)
    total, weight = np.full((1, 33), 5, "float32"), np.full(1, 2.0)
    detect_accumulate(x, np.ones((1, 3)), "I", total, weight)
    np.testing.assert_array_equal(total, 5 + detect(x, np.ones((1, 3)), "I")[0][0])
    assert weight[0] == 3


@pytest.mark.parametrize("products", KEYS)
def test_frames_without_weight_give_zero_whatever_they_hold(products):
    x = spectra()
    x[2] = complex(np.nan, np.inf)
    out, weight = detect(x, energies(), products)
    assert (out[2] == 0).all() and (weight[2] == 0).all()
    assert np.isfinite(out).all()


def test_weight_of_one_polarisation_alone():
    x = spectra(n_frame=1)
    x[0, 1] = np.nan
    # The last row is a caller's slip: common samples without any of B.
    for energy in ([[0.9, 0, 0]], [[0.9, 0, 0.8]]):
        out, weight = detect(x, np.array(energy), "AABBCRCI")
        assert weight.tolist() == [[0.9, 0, 0, 0]]
        assert np.isfinite(out[0, 0]).all() and (out[0, 1:] == 0).all()
        out, weight = detect(x, np.array(energy), "IQUV")
        assert (out == 0).all() and (weight == 0).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("products", KEYS)
def test_bad_values_propagate(products, bad):
    x = spectra()
    x[5, :, 3] = complex(bad, 1)
    out, _ = detect(x, np.ones((7, 3)), products)
    touched = ~np.isfinite(out)
    assert touched[5, :, 3].all() and touched.sum() == out.shape[1]


def test_out_and_strides():
    x, energy = spectra(), energies()
    expected = detect(x, energy, "IQUV")
    wide = np.zeros((7, 2, 66), "complex64")
    wide[:, ::-1, ::2] = x
    out = np.full((7, 5, 33), np.nan, "float32")[:, 1:]
    weight = np.full((7, 8), np.nan)[:, ::2]
    spread = np.asfortranarray(energy)
    found = detect(wide[:, ::-1, ::2], spread, "IQUV", out=out, out_weight=weight)
    assert found[0] is out and found[1] is weight
    assert out.tobytes() == expected[0].tobytes()
    assert weight.tobytes() == expected[1].tobytes()


def test_circular_basis():
    x, energy = spectra(), energies()
    for products in ("I", "AABB", "AABBCRCI"):
        found = detect(x, energy, products, basis="circular")
        assert found[0].tobytes() == detect(x, energy, products)[0].tobytes()
    for products in ("IQUV", "V"):
        with pytest.raises(ValueError, match="circular"):
            detect(x, energy, products, basis="circular")
    with pytest.raises(ValueError, match="basis: found 'round'"):
        detect(x, energy, "I", basis="round")


def test_refused():
    x, energy = spectra(), energies()
    with pytest.raises(ValueError, match="products: found 'XX', allowed I, AABB"):
        detect(x, energy, "XX")
    for products in ("AABB", "AABBCRCI", "IQUV", "V"):
        with pytest.raises(ValueError, match="1 polarisation"):
            detect(spectra(n_pol=1), energy[:, :1], products)
    with pytest.raises(ValueError, match="x: found 3 polarisations"):
        detect(spectra(n_pol=3), energy, "I")
    with pytest.raises(ValueError, match=r"energy: found shape \(7, 1\)"):
        detect(x, energy[:, :1], "I")
    with pytest.raises(TypeError, match="x: found dtype complex128"):
        detect(x.astype(complex), energy, "I")
    with pytest.raises(TypeError, match="x: found .*allowed numpy.ndarray"):
        detect(np.ma.masked_array(x), energy, "I")
    with pytest.raises(TypeError, match="energy: found"):
        detect(x, np.ma.masked_array(energy), "I")
    for name in ("sign_q", "sign_v"):
        with pytest.raises(ValueError, match=name):
            detect(x, energy, "IQUV", **{name: 0})
    with pytest.raises(ValueError, match="total: found shape"):
        detect_accumulate(x, energy, "I", np.zeros((2, 33), "float32"), np.zeros(1))
    with pytest.raises(TypeError, match="total_weight: found dtype float32"):
        detect_accumulate(x, energy, "I", np.zeros((1, 33), "float32"), np.zeros(1, "float32"))
    with pytest.raises(ValueError, match="n_pol"):
        product_codes("I", 3)
