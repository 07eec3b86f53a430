"""fastsig measure: values of simulated archives with their errors, as a table and as JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli import fastsig
from pulsar.profiles_made import PERIOD, profiles
from pulses_made import FWHM, gaussian

from fastsig.axes.polarization import PolBasis
from fastsig.errors import PlanError
from fastsig.io.ecsv.tables import read_table
from fastsig.pulsar.profile_values import profile_values
from fastsig.pulsar.profiles import Profiles

SIGMA = 0.03
STOKES = ("I", "Q", "U", "V")


def _archive(names: tuple[str, ...] = STOKES, noise: float = 0.1, rm: float = 80.0, **fields: Any
             ) -> Profiles:
    """Aligned pulses with 50 per cent of linear polarisation and 20 per cent of V."""
    made = profiles(4, names=names, n_chan=16, n_bin=128, dm=None, **fields)
    turn = np.exp(2j * rm * (299.792458 / made.frequency.value) ** 2)
    parts = {"I": np.ones(16), "Q": 0.5 * turn.real, "U": 0.5 * turn.imag, "V": np.full(16, 0.2)}
    data = np.stack([parts[name] for name in names])[:, :, np.newaxis] * gaussian(128, 0.4, SIGMA)
    data = data + noise * np.random.default_rng(5).normal(size=made.shape)
    return made.replace(data=data.astype(np.float32))


def test_values_are_those_of_the_pulsar() -> None:
    found = profile_values(_archive(), sefd_jy=1.2)
    truth = {"w50": FWHM * SIGMA * PERIOD * 1e3, "linear": 0.5, "circular": 0.2, "rm": 80.0,
             "w_equivalent": np.sqrt(2 * np.pi) * SIGMA * PERIOD * 1e3}
    for name, value in truth.items():
        assert abs(found[name] - value) < 4 * found[f"{name}_error"], name
    assert found["rm_sigma"] > 20
    # Noise of a bin of the mean, in units of the pulse's height, and in mJy.
    sigma = 0.1 / np.sqrt(4 * 16)
    expected = 1.2e3 / np.sqrt(2 * 40 * 1600e6 / 128) * gaussian(128, 0.4, SIGMA).mean() / sigma
    assert abs(found["mean_flux"] - expected) < 4 * found["mean_flux_error"]
    assert found["snr"] > 100 and found["snr_boxcar"] > 150


def test_signs_are_those_of_the_convention() -> None:
    plain, iau = profile_values(_archive()), profile_values(_archive(), convention="IAU")
    assert iau["circular"] == -plain["circular"]
    assert np.isnan(plain["mean_flux"])


def test_total_intensity_has_no_polarisation_and_noise_no_width() -> None:
    found = profile_values(_archive(("I",)))
    assert np.isnan([found[name] for name in ("linear", "circular", "rm")]).all()
    assert found["snr"] > 100
    rng = np.random.default_rng(1)
    noise = _archive().replace(data=rng.normal(size=(4, 4, 16, 128)).astype("f4"))
    assert abs(profile_values(noise)["snr"]) < 6
    values = profile_values(noise)
    assert np.isnan([values[name] for name in ("w50", "w_equivalent", "w_equivalent_error")]).all()


def test_unknown_feeds_have_no_polarisation() -> None:
    """Total intensity needs no feeds; all else of the polarisation is NaN."""
    made = _archive()
    i, q, u, v = made.data.swapaxes(0, 1)
    basis = PolBasis("unknown", ("AA", "BB", "CR", "CI"))
    products = np.stack([(i + q) / 2, (i - q) / 2, u / 2, v / 2], axis=1)
    unknown = made.replace(data=products, header=made.header.replace(polarization=basis))
    found, whole = profile_values(unknown), profile_values(made)
    assert np.isnan([found[name] for name in ("linear", "circular", "pa", "rm")]).all()
    assert found["snr"] == pytest.approx(whole["snr"], rel=1e-3)
    known = replace(basis, kind="linear")
    found = profile_values(unknown.replace(header=made.header.replace(polarization=known)))
    assert found["rm"] == pytest.approx(whole["rm"], rel=1e-3)


def test_lost_cells_reduce_the_exposure() -> None:
    weights = np.full((4, 1, 16, 1), 800.0)
    weights[:, :, ::2] = 0
    made = _archive(weights=weights)
    made = made.replace(data=np.where(weights > 0, made.data, np.nan).astype(np.float32))
    found, whole = profile_values(made, sefd_jy=1.2), profile_values(_archive(), sefd_jy=1.2)
    assert abs(found["mean_flux"] - whole["mean_flux"]) < 4 * found["mean_flux_error"]
    assert abs(found["rm"] - 80) < 4 * found["rm_error"]


def test_command_writes_the_table(tmp_path: Path) -> None:
    for name in ("a.ar", "b.ar"):
        _archive().write(tmp_path / name)
    out = tmp_path / "x.ecsv"
    done = fastsig("measure", tmp_path / "a.ar", tmp_path / "b.ar", "-o", out, "--sefd", "1.2Jy",
                   "--json")
    rows = json.loads(done.stdout)["rows"]
    table = read_table(out, kind="profile measurements")
    assert list(table["file"]) == ["a.ar", "b.ar"]
    assert table["w50"].unit == "ms" and table.meta["convention"] == "PSR/IEEE"
    assert table["rm"][1].value == pytest.approx(rows[1]["rm"])
    assert "a.ar: S/N" in done.stderr
    fastsig("measure", tmp_path / "a.ar", "-o", out, code=4)


def test_bad_input_is_one_line(tmp_path: Path, samples: Path) -> None:
    _archive().write(tmp_path / "a.ar")
    for arguments, code in (([samples / "SIMPSR_tracking-M01_0001.fits"], 3),
                            ([tmp_path / "a.ar", "--sefd", "1.2K"], 2),
                            ([tmp_path / "a.ar", "--sefd", "0Jy"], 2)):
        done = fastsig("measure", *arguments, "-o", tmp_path / "x.ecsv", code=code)
        assert len(done.stderr.strip().splitlines()) == 1
    for name in ("x.fits", "x.tim", "x.csv", "x.PNG"):  # the table would be under a false name
        done = fastsig("measure", tmp_path / "a.ar", "-o", tmp_path / name, code=2)
        assert "its extension indicates another format; allowed: .ecsv" in done.stderr
    few = _archive().grouped(n_bin=32).replace(path="few.ar")
    with pytest.raises(PlanError, match=r"few.ar: profile: 4 bins; at least 8"):
        profile_values(few)
    lost = _archive()
    lost.data[..., 7] = np.nan
    with pytest.raises(PlanError, match="bins without data"):
        profile_values(lost)
