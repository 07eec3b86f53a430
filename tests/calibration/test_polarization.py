"""Stokes parameters are recovered from voltages that went through a Jones matrix.

The simulation knows fields, matrices and angles only: e_x to the north, e_y to the east, products
by numpy. Its voltages are whitened together, so that their products are those of the ensemble.
"""

import numpy as np
import pytest

from fastsig.calibration.polarization import (
    IDEAL_DIODE,
    MuellerTable,
    apply_mueller,
    diode_products,
    products,
    rotate,
    solve_gain,
    stokes,
)
from fastsig.errors import DataError, UsageError

N_CHAN = 3
RATIO, PHASE = 1.20, np.deg2rad(60)
SOURCE = np.array([10.0, 2.5, -1.5, 1.2])  # on the sky: I, Q, U, V, IAU angles, PSR/IEEE
Q_DIODE = 0.05
DIODE = (1, Q_DIODE, np.sqrt(1 - Q_DIODE**2), 0)


def independent(rng, n_signal, n=4096):
    """Complex voltages (signal, n) whose sample covariance is the identity."""
    x = rng.normal(size=(n_signal, n)) + 1j * rng.normal(size=(n_signal, n))
    covariance = x @ x.conj().T / n
    return np.linalg.solve(np.linalg.cholesky(covariance), x)


def coherency(i, q, u, v):
    """<e_x e_x*>, <e_x e_y*>: by definition <e_x* e_y> = (U + i V) / 2."""
    return np.array([[i + q, u - 1j * v], [u + 1j * v, i - q]]) / 2


def field(noise, i, q, u, v):
    """Two components with these Stokes parameters, of two independent voltages."""
    values, vectors = np.linalg.eigh(coherency(i, q, u, v))
    return vectors @ (np.sqrt(np.maximum(values, 0))[:, None] * noise)


def measured(a, b):
    cross = (a.conj() * b).mean()
    return np.array([(abs(a) ** 2).mean(), (abs(b) ** 2).mean(), cross.real, cross.imag])


def jones(ratio=RATIO, phase=PHASE, scale=3.0):
    """diag(g_A, g_B) with |g_A|^2 / |g_B|^2 = ratio and arg g_A* g_B = phase."""
    return scale * np.diag([np.sqrt(ratio), np.exp(1j * phase)])


def turned(angle):
    """Components along axes that are turned by `angle` from north through east."""
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def observe(rng, *, angle=0.0, diode=DIODE, matrix=None,
            swapped=False, kelvin=4.0):
    """Products (4, chan) with the diode on and off: source, receiver noise, diode."""
    on, off = np.empty((4, N_CHAN)), np.empty((4, N_CHAN))
    for c in range(N_CHAN):
        g = jones(RATIO * (1 + 0.1 * c), PHASE - 0.3 * c) if matrix is None else matrix
        signals = independent(rng, 6)
        # Fields are in the order of rows: the axis that is turned has x in its first row.
        sky = turned(angle) @ field(signals[:2], *SOURCE)
        noise = 3 * signals[2:4]
        calibrator = field(signals[4:], *(2 * kelvin * np.asarray(diode) / diode[0]))
        for power, total in ((on, sky + noise + calibrator), (off, sky + noise)):
            a, b = g @ total
            power[:, c] = measured(*((b, a) if swapped else (a, b)))
    noise_products = np.array([9.0, 9.0, 0, 0])[:, None]
    return on, off, noise_products


def assert_recovered(found, expected):
    """0.2 % of I, and 0.2 deg in the angles of linear polarisation and of ellipticity."""
    expected = np.asarray(expected)[:, None]
    assert np.abs(found - expected).max() <= 2e-3 * expected[0, 0]
    angle = np.angle((found[1] + 1j * found[2]) / (expected[1] + 1j * expected[2])) / 2
    assert np.abs(np.rad2deg(angle)).max() <= 0.2
    flat = [np.arctan2(s[3], np.hypot(s[1], s[2])) / 2 for s in (found, expected)]
    assert np.abs(np.rad2deg(flat[0] - flat[1])).max() <= 0.2


def calibrated(on, off, model):
    gain = solve_gain(on, off, model)
    return gain, gain.apply(off[np.newaxis].astype(np.float32))[0].astype(float)


def test_ratio_and_phase_and_stokes_in_the_receiver_frame(rng):
    on, off, noise = observe(rng)
    model = diode_products(4.0, DIODE)
    gain, power = calibrated(on, off, model)
    np.testing.assert_allclose(gain.ratio, RATIO * (1 + 0.1 * np.arange(3)), rtol=1e-9)
    np.testing.assert_allclose(np.rad2deg(gain.phase), 60 - np.rad2deg([0, 0.3, 0.6]), atol=1e-6)
    assert_recovered(stokes(power - noise), SOURCE)


def test_a_diode_taken_for_ideal_is_seen(rng):
    on, off, noise = observe(rng)
    _, power = calibrated(on, off, diode_products(4.0))
    with pytest.raises(AssertionError):
        assert_recovered(stokes(power - noise), SOURCE)


@pytest.mark.parametrize("angle", [0.0, 0.4, -1.1, 2.0])
def test_stokes_in_the_sky_frame(angle, rng):
    on, off, noise = observe(rng, angle=angle)
    model = diode_products(4.0, DIODE)
    _, power = calibrated(on, off, model)
    seen = stokes(power - noise)
    assert_recovered(rotate(seen, angle), SOURCE)
    if angle:
        with pytest.raises(AssertionError):
            assert_recovered(rotate(seen, -angle), SOURCE)
    np.testing.assert_allclose(rotate(rotate(seen, angle), -angle), seen, atol=1e-12)


@pytest.mark.parametrize("sign_v", [1, -1])
@pytest.mark.parametrize("sign_q", [1, -1])
def test_signs(sign_q, sign_v, rng):
    on, off, noise = observe(rng)
    told = {"sign_q": sign_q, "sign_v": sign_v}
    # The diode is told in the same convention as the result.
    model = diode_products(4.0, (1, sign_q * Q_DIODE, np.sqrt(1 - Q_DIODE**2), 0), **told)
    _, power = calibrated(on, off, model)
    assert_recovered(stokes(power - noise, **told), SOURCE * [1, sign_q, 1, sign_v])
    np.testing.assert_allclose(products(stokes(power, **told), **told), power, atol=1e-12)


@pytest.mark.parametrize("angle", [0.0, 0.7])
def test_exchanged_feeds_are_both_signs(angle, rng):
    on, off, noise = observe(rng, angle=angle, swapped=True)
    told = {"sign_q": -1, "sign_v": -1}
    model = diode_products(4.0, DIODE, **told)
    gain, power = calibrated(on, off, model)
    assert gain.ratio[0] == pytest.approx(1 / RATIO)
    assert_recovered(rotate(stokes(power - noise, **told), angle), SOURCE)


def test_elliptical_diode(rng):
    diode = (1, 0.1, 0.6, -0.5)
    on, off, noise = observe(rng, diode=diode)
    _, power = calibrated(on, off, diode_products(np.full(N_CHAN, 4.0), diode))
    assert_recovered(stokes(power - noise), SOURCE)


def test_a_temperature_for_each_polarisation(rng):
    on, off, noise = observe(rng)
    tcal = 4 * np.array([1 + Q_DIODE, 1 - Q_DIODE])[:, None] * np.ones(N_CHAN)
    model = diode_products(tcal)
    np.testing.assert_allclose(
        model, np.tile(diode_products(4.0, DIODE), N_CHAN))
    _, power = calibrated(on, off, model)
    assert_recovered(stokes(power - noise), SOURCE)


def test_relation_to_gamma_and_phi(rng):
    """FAST.md's gamma = artanh(Q/I) / 2 and phi = atan2(-V, U) / 2, of an ideal diode."""
    on, off, _ = observe(rng, diode=IDEAL_DIODE)
    gain = solve_gain(on, off, diode_products(4.0))
    i, q, u, v = stokes(on - off)
    np.testing.assert_allclose(gain.gamma, np.arctanh(q / i) / 2, atol=1e-9)
    np.testing.assert_allclose(gain.phi, np.arctan2(-v, u) / 2, atol=1e-9)
    # As a Jones matrix: boost and rotation of van Straten (2004).
    single = np.diag(np.exp([gain.gamma[0] + 1j * gain.phi[0], -gain.gamma[0] - 1j * gain.phi[0]]))
    seen = single @ np.array([1.0, 1.0]) / np.sqrt(2)
    given = jones() @ np.array([1.0, 1.0]) / np.sqrt(2)
    for x in (seen, given):
        x /= np.sqrt((abs(x) ** 2).sum())
    np.testing.assert_allclose(measured(*seen[:, None]), measured(*given[:, None]), atol=1e-9)


def test_errors_are_those_of_the_noise():
    """Scatter of the gains of many short recordings."""
    rng, n, found = np.random.default_rng(3), 2000, []
    for _ in range(150):
        x = (rng.normal(size=(8, n)) + 1j * rng.normal(size=(8, n))) / np.sqrt(2)
        common = 2 * x[4]
        on = measured(*(jones() @ np.stack([common + x[0], common + x[1]])))
        off = measured(*(jones() @ x[2:4]))
        found.append(solve_gain(on[:, None], off[:, None], diode_products(4.0), n_on=n, n_off=n))
    for name, relative in (("aa", True), ("bb", True), ("phase", False)):
        values = np.array([getattr(gain, name)[0] for gain in found])
        told = np.mean([getattr(gain, name + "_error")[0] for gain in found])
        scatter = values.std() / (values.mean() if relative else 1)
        # The phase scatters less than AA BB / 2 n: what both feeds share has no phase noise.
        low, high = (0.8, 1.25) if relative else (0.3, 1.25)
        assert low < scatter / told < high


def test_mueller_matrix_of_leakage(rng):
    """Leaking feeds: the Mueller matrix of their Jones matrix takes the leakage off."""
    leak = np.array([[1, 0.03 + 0.02j], [-0.02 + 0.04j, 1]])
    _, off, noise = observe(rng, matrix=leak)
    mueller = np.empty((4, 4))
    for k in range(4):
        unit = np.eye(4)[k] + [2, 0, 0, 0]
        a, b = leak @ coherency(*unit) @ leak.conj().T
        base_a, base_b = leak @ coherency(2, 0, 0, 0) @ leak.conj().T
        (aa, ab), (_, bb) = a - base_a, b - base_b
        mueller[:, k] = [(aa + bb).real, (aa - bb).real, 2 * ab.real, -2 * ab.imag]
    seen = stokes(off)
    assert np.abs(seen - stokes(noise) - SOURCE[:, None]).max() > 0.3
    found = apply_mueller(seen, mueller)
    np.testing.assert_allclose(found - stokes(noise), np.tile(SOURCE[:, None], 3), atol=1e-9)
    assert apply_mueller(seen, mueller, out=seen) is seen
    np.testing.assert_allclose(seen, found)


def test_mueller_table_is_dated():
    matrix = np.arange(2 * 3 * 16, dtype=float).reshape(2, 3, 4, 4)
    table = MuellerTable(np.array([58000.0, 59000.0]), np.array([1.0e9, 1.2e9, 1.4e9]), matrix)
    found = table.at(58600, [1.1e9, 1.4e9, 1.5e9])
    np.testing.assert_array_equal(found[0], (matrix[1, 0] + matrix[1, 1]) / 2)
    np.testing.assert_array_equal(found[1], matrix[1, 2])
    assert np.isnan(found[2]).all()
    masked = apply_mueller(np.ones((4, 3)), np.stack([np.eye(4), np.eye(4), found[2]]))
    np.testing.assert_array_equal(np.isnan(masked), [[False, False, True]] * 4)
    with pytest.raises(UsageError, match="Mueller table"):
        MuellerTable(table.mjd, table.freq_hz[::-1], matrix)
    with pytest.raises(UsageError, match="no inverse"):
        apply_mueller(np.ones((4, 3)), np.zeros((4, 4)))


def test_in_place_and_types():
    x = np.random.default_rng(1).normal(size=(5, 4, 6)).astype(np.float32)
    expected = rotate(stokes(x), np.linspace(0, 1, 5))
    assert expected.dtype == np.float32
    y = x.copy()
    assert stokes(y, out=y) is y and rotate(y, np.linspace(0, 1, 5), out=y) is y
    np.testing.assert_array_equal(y, expected)


def test_masked_and_missing_channels(rng):
    on, off, _ = observe(rng)
    on[1, 1] = np.nan
    gain = solve_gain(on, off, diode_products(4.0), mask=[True, False, False])
    for each in (gain.aa, gain.bb, gain.phase):
        np.testing.assert_array_equal(np.isnan(each), [True, True, False])


def test_what_cannot_be_calibrated(rng):
    on, off, _ = observe(rng)
    with pytest.raises(DataError, match=r"^x\.fits: none of 3 channels has more power"):
        solve_gain(off, on, diode_products(4.0), path="x.fits")
    with pytest.raises(UsageError, match=r"shape \(1, 3\); allowed: \(..., 4, chan\): a stream of"):
        solve_gain(on[:1], off[:1], diode_products(4.0))
    with pytest.raises(UsageError, match="larger than its I"):
        diode_products(4.0, (1, 0.5, 1, 0))
    with pytest.raises(UsageError, match="Tcal has shape"):
        diode_products(np.ones((3, 5)))
    with pytest.raises(UsageError, match="signs of Q, V"):
        stokes(on, sign_q=0)
