"""Templates: smoothed profiles, fitted Gaussians, other numbers of bins, files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pulses_made import FWHM, gaussian, scaled

from fastsig.errors import FormatError, OutputError, UsageError
from fastsig.io.ecsv.tables import read_table, write_table
from fastsig.pulsar.arrival import match_template
from fastsig.pulsar.templates import (
    Template,
    fit_gaussians,
    smooth_savgol,
    smooth_wiener,
)
from fastsig.run.template_files import read_template, write_template

F8 = NDArray[np.float64]


def _fine(n_bin: int) -> F8:
    """Three Gaussians, averaged over each bin."""
    n = 64
    fine = np.arange(n_bin * n) / (n_bin * n) + 0.5 / (n_bin * n)
    made = sum(h * np.exp(-((fine - p + turn) / w) ** 2 / 2) for p, w, h in
               ((0.3, 0.02, 1.0), (0.38, 0.04, 0.5), (0.8, 0.015, 0.3)) for turn in (-1, 0, 1))
    return np.asarray(made).reshape(n_bin, n).mean(axis=1)


def _noisy(n_bin: int, snr: float, seed: int = 0) -> F8:
    return 9 + scaled(_fine(n_bin), snr) + np.random.default_rng(seed).normal(size=n_bin)


def test_gaussians_are_found_with_their_values() -> None:
    found = fit_gaussians(_noisy(256, 2000))
    assert len(found.components) == 3
    for part, (phase, sigma, height) in zip(found.components, (
            (0.3, 0.02, 1.0), (0.38, 0.04, 0.5), (0.8, 0.015, 0.3)), strict=True):
        assert part.phase == pytest.approx(phase, abs=2e-3)
        assert part.fwhm == pytest.approx(sigma * FWHM, rel=0.03)
        assert part.height / found.components[0].height == pytest.approx(height, rel=0.05)


@pytest.mark.parametrize("make", [fit_gaussians, smooth_wiener,
                                  lambda x: smooth_savgol(x, 0.06, 3)])
def test_templates_are_nearer_to_the_truth_than_profiles(make: Any) -> None:
    truth = _fine(128)
    for seed in range(3):
        profile = _noisy(128, 60, seed)
        raw, made = (match_template(each, truth) for each in (profile, make(profile).profile))
        assert made.snr > 1.3 * raw.snr
    assert make(profile).profile.max() == 1


def test_number_of_components_can_be_given() -> None:
    assert len(fit_gaussians(_noisy(64, 100), 1).components) == 1


@pytest.mark.parametrize("make", [fit_gaussians, smooth_wiener])
@pytest.mark.parametrize("n_bin", [64, 100, 1024])
def test_templates_with_other_numbers_of_bins_have_the_same_phase(make: Any, n_bin: int) -> None:
    made = make(_noisy(256, 1e5))
    found = match_template(_fine(n_bin) + 1e-9 * np.arange(n_bin), made.sampled(n_bin))
    assert abs(found.shift) < 2e-5
    assert found.snr > 1000
    assert made.sampled(256) is made.profile


@pytest.mark.parametrize("make", [fit_gaussians, smooth_wiener])
def test_templates_survive_a_file(make: Any, tmp_path: Path) -> None:
    made = make(_noisy(64, 100))
    write_template(made, tmp_path / "t.ecsv", inputs=["/data/a.ar"])
    found = read_template(tmp_path / "t.ecsv")
    np.testing.assert_array_equal(found.profile, made.profile)
    assert (found.method, found.components) == (made.method, made.components)
    with pytest.raises(OutputError, match="exists"):
        write_template(made, tmp_path / "t.ecsv")


def test_other_tables_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    table = smooth_wiener(_noisy(64, 100)).table()
    write_table(table, tmp_path / "other.ecsv", kind="something else", provenance={})
    with pytest.raises(FormatError, match="other.ecsv"):
        read_template(tmp_path / "other.ecsv")
    for name, change in (("flat", lambda t: t["profile"].fill(1.0)),
                         ("meta", lambda t: t.meta.pop("components"))):
        bad = table.copy()
        change(bad)
        write_table(bad, tmp_path / f"{name}.ecsv", kind="pulse template", provenance={})
        with pytest.raises(FormatError, match=f"{name}.ecsv"):
            read_template(tmp_path / f"{name}.ecsv")
    assert read_table(tmp_path / "flat.ecsv").meta["method"] == "wiener"


@pytest.mark.parametrize(("call", "message"), [
    (lambda: fit_gaussians(np.random.default_rng(0).normal(size=64)), "no significant"),
    (lambda: smooth_wiener(np.random.default_rng(1).normal(size=64)), "no significant"),
    (lambda: fit_gaussians(gaussian(64, 0.5, 0.1), 0), "n_component"),
    (lambda: smooth_savgol(gaussian(64, 0.5, 0.1), 0.01, 3), "order"),
    (lambda: smooth_savgol(gaussian(64, 0.5, 0.1), np.nan), "width"),
    (lambda: Template(np.arange(64.0), "wiener").sampled(4), "n_bin")])
def test_bad_input_is_refused(call: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call()
