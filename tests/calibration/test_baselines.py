"""Baselines: polynomials against GBTIDL and NumPy, arPLS against pybaselines, lines found."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from astropy.io import fits
from recordings import recorded

from fastsig.calibration import lines
from fastsig.calibration.baseline import arpls, polynomial
from fastsig.calibration.lines import find_lines, inside
from fastsig.errors import UsageError

GBT = "dysh/AGBT17A_404_01/AGBT17A_404_01_scan_19_"


@pytest.mark.recorded
@pytest.mark.parametrize(("name", "include"), [
    ("bmodel", [(100, 380), (450, 720)]), ("noregion_bmodel", [])])
def test_cubic_is_that_of_gbtidl(name: str, include: list) -> None:
    before, model = (fits.getdata(recorded(f"{GBT}{each}.fits"), 1)["DATA"][0].ravel()
                     for each in ("prebaseline", name))
    found = polynomial(before, np.arange(820), order=3, include=include)
    assert before.std() > 0.02  # K: what is compared is not zero
    assert np.abs(found - model).max() < 1e-8
    other = polynomial(before, np.arange(820), order=3, include=[(100, 380), (450, 719)])
    assert include == [] or np.abs(found - other).max() > 1e-8  # the ends of windows count


@pytest.mark.parametrize("order", [0, 3, 12])
def test_polynomial_is_the_weighted_least_squares_one(order: int) -> None:
    rng = np.random.default_rng(order)
    x = np.linspace(1405, 1436, 301)
    values, weight = rng.normal(5, 1, (4, 2, 301)), rng.uniform(0.2, 3, (4, 2, 301))
    weight[0, 1, 40:60] = 0
    values[2, 0, 100:120] = np.nan
    values[0, 1, 50] = np.inf
    found = polynomial(values, x, weight, order, protect=[(1420, 1421)])
    assert found.dtype == np.float64 and found.shape == values.shape
    for place in np.ndindex(4, 2):
        w = np.where(np.isfinite(values[place]) & ~inside(x, [(1420, 1421)]), weight[place], 0)
        y = np.where(w > 0, values[place], 0)
        fit = np.polynomial.Polynomial.fit(x, y, order, w=np.sqrt(w))  # NumPy weighs residuals
        np.testing.assert_allclose(found[place], fit(x), rtol=0, atol=1e-11)


def test_high_orders_stay_orthogonal() -> None:
    t = np.linspace(-1, 1, 4096)
    truth = np.polynomial.chebyshev.chebval(t, np.random.default_rng(1).normal(0, 1, 41))
    found = polynomial(truth, t, order=40, protect=[(-0.1, 0.1)])
    np.testing.assert_allclose(found, truth, rtol=0, atol=1e-10)


def test_a_row_is_the_same_whatever_is_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(0, 1, (9, 1, 257)).astype(np.float32)
    values[4, 0, :30] = np.nan
    whole = polynomial(values, np.arange(257), order=5)
    monkeypatch.setattr(lines, "_CHUNK", 600)
    assert (polynomial(values, np.arange(257), order=5) == whole).all()
    for row in range(9):
        assert (polynomial(values[row], np.arange(257), order=5) == whole[row]).all()


def test_too_few_channels_give_nan_alone_where_they_are() -> None:
    values = np.ones((2, 50))
    values[0, 3:] = np.nan
    found = polynomial(values, np.arange(50), order=3)
    assert np.isnan(found[0]).all() and np.allclose(found[1], 1)


@pytest.mark.parametrize(("options", "text"), [
    ({"order": 41}, "order = 41"), ({"order": -1}, "0 to 40"),
    ({"include": [(5, 4)]}, "window 5 to 4"), ({"x": np.arange(9)}, "axis"),
])
def test_polynomial_refuses(options: dict, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        polynomial(np.ones(10), **{"x": np.arange(10), **options})


def spectrum(n: int = 2048) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A curved baseline, a line upon it, and noise of 1."""
    k = np.arange(n)
    smooth = 50 + 4 * np.sin(k / 500)
    line = 25 * np.exp(-4 * np.log(2) * ((k - 1100) / 120) ** 2)
    return smooth, line, np.random.default_rng(5).normal(0, 1, n)


def test_arpls_is_that_of_pybaselines() -> None:
    pybaselines = pytest.importorskip("pybaselines")
    smooth, line, noise = spectrum()
    values = np.stack([smooth + line + noise, smooth - noise])
    found = arpls(values, lam=1e7)
    for row, model in zip(values, found.model, strict=True):
        theirs, _ = pybaselines.Baseline().arpls(row, 1e7, tol=0.01, max_iter=100)
        np.testing.assert_allclose(model, theirs, rtol=0, atol=1e-9)
    assert found.converged.tolist() == [True, True]


def test_arpls_looks_at_no_lost_or_protected_channel() -> None:
    pytest.importorskip("pybaselines")
    smooth, line, noise = spectrum()
    values = smooth + line + noise
    protect = [(900, 1300)]
    found = arpls(values, protect=protect, lam=1e7).model
    moved = values.copy()
    moved[1000:1200] += 1000
    moved[300:320] = np.nan
    weight = np.ones(2048)
    weight[1500] = 0
    moved[1500] = 1e6
    again = arpls(moved, weight, protect=protect, lam=1e7).model
    assert np.abs(again - found).max() < 0.2  # 21 of 2048 channels fewer
    faint = smooth + 0.06 * line + noise  # a line below the noise of a channel
    kept, eaten = (faint - arpls(faint, lam=1e7, **more).model
                   for more in ({"protect": protect}, {}))
    flux = [(left[900:1301] - np.delete(left, np.s_[900:1301]).mean()).sum() / line.sum() / 0.06
            for left in (kept, eaten)]
    scatter = np.sqrt(401) / line.sum() / 0.06
    assert abs(flux[0] - 1) < 2 * scatter and flux[1] < flux[0] - scatter


def test_arpls_tells_what_did_not_settle() -> None:
    pytest.importorskip("pybaselines")
    smooth, line, noise = spectrum()
    found = arpls(np.stack([smooth + line + noise, np.full(2048, np.nan)]), max_iter=2)
    assert found.converged.tolist() == [False, True]
    assert np.isfinite(found.model[0]).all() and np.isnan(found.model[1]).all()
    with pytest.raises(UsageError, match="ratio = 0"):
        arpls(smooth, ratio=0)


def test_without_pybaselines_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pybaselines.utils", None)
    with pytest.raises(UsageError, match=r"fastsig\[spectral\]"):
        arpls(np.ones(100))


def test_lines_are_found_and_nothing_else() -> None:
    rng = np.random.default_rng(11)
    x = 1405 + np.arange(4096) * 0.00763
    for _ in range(20):
        assert find_lines(rng.normal(7, 1, 4096), x) == []
    values = rng.normal(0, 1, 4096)
    values[700] += 12  # a narrow one, a broad faint one, absorption
    values[2000:2100] += 2
    values[3000:3040] -= 4
    found = find_lines(values, x)
    for low, high in ((x[700], x[700]), (x[2005], x[2095]), (x[3001], x[3038])):
        assert any(a <= low and high <= b for a, b in found), (low, high, found)
    assert len(found) == 3 and sum(b - a for a, b in found) < 4 * 141 * 0.00763
    weight = np.ones(4096)
    weight[690:710] = 0
    values[690:710] = np.nan
    assert len(find_lines(values, x, weight)) == 2
    with pytest.raises(UsageError, match="sigma = 0"):
        find_lines(values, x, sigma=0)
