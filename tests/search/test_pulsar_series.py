"""Search of time series in files: many dispersion measures at once, spectra, hostile series."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli import fastsig
from recordings import recorded
from search.spectra_made import MHZ, K, chain, noise

import fastsig as fs
from fastsig.errors import FastsigWarning, PlanError
from fastsig.search.pulsars import refining
from fastsig.search.pulsars.engine import varies

N, PERIOD, DM = 2**14, 0.3137, 40.0
DMS = (20.0, 36.0, 40.0, 44.0, 60.0)
OPTIONS: dict[str, Any] = {"period": None, "harmonics": 8}


def _spectra(dm: float = DM) -> np.ndarray:
    late = K * dm * (MHZ**-2 - MHZ.max() ** -2)
    turns = ((np.arange(N)[:, np.newaxis] * 1e-3 - late) / PERIOD + 0.5) % 1 - 0.5
    return noise(N) + 3 * np.exp(-0.5 * (turns / 0.02) ** 2).astype(np.float32)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Series named as by prepsubband."""
    folder = tmp_path_factory.mktemp("series")
    spectra = chain(_spectra())
    made = [folder / f"scan_DM{dm:.2f}.dat" for dm in DMS]
    for dm, path in zip(DMS, made, strict=True):
        spectra.dedisperse(dm, last="drop").to_series().write(path, lossy=True)
    return made


def _rows(found: fs.PulsarCandidates) -> list[tuple[Any, ...]]:
    names = ("period", "dm", "sigma", "snr", "n_member", "dm_low", "dm_high")
    return [tuple(found.values(name)[k] for name in names) for k in range(len(found))]


def test_series_of_many_dispersion_measures_are_one_search(files: Sequence[Path], tmp_path: Path
                                                           ) -> None:
    table = tmp_path / "a.ecsv"
    options = ["--period", "none", "--harmonics", "8", "-q"]
    plan = fastsig("search", "pulsars", *files, "-o", table, *options, "--dry-run").stdout
    assert "read from files" in plan and "DM 20 to 20 in 1 series" in plan
    fastsig("search", "pulsars", *files[::-1], "-o", table, *options)
    made = fs.read_pulsars(table)
    assert made.values("period")[0] == pytest.approx(PERIOD, rel=2e-4)
    assert abs(made.values("dm")[0] - DM) <= 2
    assert made.values("n_member")[0] >= 3
    assert (made.meta["n_dm"], len(made.meta["provenance"]["inputs"])) == (5, 5)
    # Each trial counts: series that are searched alone have more significance, and the same S/N.
    several = [fs.open(path) for path in files]
    alone = max((each.pulsars(**OPTIONS) for each in several), key=lambda of: of.values("sigma")[0])
    assert alone.values("sigma")[0] > made.values("sigma")[0]
    assert alone.values("snr")[0] == made.values("snr")[0]
    assert _rows(several[0].pulsars(others=several[1:], workers=2, **OPTIONS)) == _rows(made)


def test_rounding_does_not_choose_the_frequency(files: Sequence[Path],
                                                monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums of NumPy differ in their last bits with the place of arrays in memory."""
    exact, rng = refining._derivatives, np.random.default_rng(0)
    series = fs.open(files[2])
    found = [_rows(series.pulsars(**OPTIONS))]
    monkeypatch.setattr(refining, "_derivatives", lambda *given: [
        each * (1 + 1e-15 * rng.normal()) for each in exact(*given)])
    found += [_rows(series.pulsars(**OPTIONS)) for _ in range(8)]
    assert all(each == found[0] for each in found)


def test_series_that_do_not_belong_together_are_refused(files: Sequence[Path], tmp_path: Path
                                                        ) -> None:
    other, late = tmp_path / "other_DM40.00.dat", tmp_path / "late_DM41.00.dat"
    for path, spectra, dm in ((other, chain(_spectra()), DM), (late, chain(_spectra())[9:], 41.0)):
        spectra.dedisperse(dm, last="drop").to_series().write(path, lossy=True)
    for wrong, why in ((other, "other_DM40.00.dat: has the dispersion measure of"),
                       (late, "late_DM41.00.dat: begins at")):
        done = fastsig("search", "pulsars", files[2], wrong, "-o", tmp_path / "a.ecsv", code=2)
        assert why in done.stderr and len(done.stderr.splitlines()) == 1
    with pytest.raises(PlanError, match="has 64 channels; allowed: one"):
        fs.open(files[0]).pulsars(others=[chain(_spectra())])
    assert not (tmp_path / "a.ecsv").exists()


def test_folding_of_series_is_refused_before_the_search(files: Sequence[Path], tmp_path: Path
                                                        ) -> None:
    done = fastsig("search", "pulsars", files[2], "-o", tmp_path / "a.ecsv", "--fold", "1", code=2)
    assert "has one channel; allowed: spectra" in done.stderr


def test_the_spectrum_of_a_series_is_searched_as_the_series(tmp_path: Path) -> None:
    found = []
    for ending in ("dat", "fft"):
        with fs.open(recorded(f"sigpyproc/GBT_J1807-0847.{ending}")) as source:
            found.append(source.pulsars(**OPTIONS))
    assert found[0].values("period")[0] == pytest.approx(0.163713, rel=5e-5)
    assert found[1].values("snr")[0] == pytest.approx(found[0].values("snr")[0], rel=1e-4)


# Hostile series.

def _written(folder: Path, x: np.ndarray, like: Path) -> Path:
    """A series of other samples with the header of another one."""
    path = folder / "hostile.dat"
    path.write_bytes(np.asarray(x, "<f4").tobytes())
    n = (like.stat().st_size) // 4
    text = like.with_suffix(".inf").read_text().replace(f"=  {n}", f"=  {len(x)}")
    path.with_suffix(".inf").write_text(text)
    return path


@pytest.mark.parametrize("x", [np.full(5000, 7.5), np.zeros(5000), np.full(5000, np.nan),
                               np.full(5000, np.inf)])
def test_a_series_that_does_not_vary_is_reported_in_one_line(
        x: np.ndarray, files: Sequence[Path], tmp_path: Path) -> None:
    path = _written(tmp_path, x, files[0])
    done = fastsig("search", "pulsars", path, "-o", tmp_path / "a.ecsv", "-q")
    assert done.stderr.splitlines() == [
        f"fastsig: warning: {path}: all samples of the series are lost or equal: nothing "
        "can be found in them"]
    assert not len(fs.read_pulsars(tmp_path / "a.ecsv"))


@pytest.mark.parametrize("n", [1, 2, 63])
def test_a_short_series_is_refused_in_one_line(n: int, files: Sequence[Path], tmp_path: Path
                                               ) -> None:
    path = _written(tmp_path, np.arange(n), files[0])
    done = fastsig("search", "pulsars", files[1], path, "-o", tmp_path / "a.ecsv", code=2)
    assert done.stderr.splitlines() == [
        f"fastsig: {path}: a series of {n} samples; allowed: 64 to 2147483648"]
    assert not (tmp_path / "a.ecsv").exists()


def test_samples_that_are_not_finite_have_no_weight(files: Sequence[Path], tmp_path: Path) -> None:
    x = np.fromfile(files[2], "<f4")
    x[1000:3000], x[7] = np.nan, -np.inf
    with fs.open(_written(tmp_path, x, files[2])) as source, fs.open(files[2]) as whole:
        made, full = (each.pulsars(**OPTIONS) for each in (source, whole))
    assert made.values("period")[0] == pytest.approx(PERIOD, rel=2e-4)
    share = 1 - 2001 / len(x)
    assert made.values("snr")[0] == pytest.approx(full.values("snr")[0] * share**0.5, rel=0.03)


def test_some_dead_series_are_counted(files: Sequence[Path], tmp_path: Path) -> None:
    with fs.open(_written(tmp_path, np.zeros(5000), files[0])) as dead, fs.open(files[2]) as good, \
            pytest.warns(FastsigWarning, match="1 of 2 series are lost or equal"):
        made = good.pulsars(others=[dead], **OPTIONS)
    assert made.values("period")[0] == pytest.approx(PERIOD, rel=2e-4)


def test_a_series_varies_if_valid_samples_differ() -> None:
    x = np.full(50_000, 1e7, np.float32)
    weight = np.linspace(0, 1, 50_000, dtype=np.float32)
    assert not varies(x, None)
    assert not varies(x * weight, weight)
    x[49_999] += 1
    assert varies(x, None)
    x[49_999] = np.nan
    assert not varies(x, None)
    x[40_000] = 0
    assert varies(x * weight, weight)


def test_the_plan_of_series_as_json(files: Sequence[Path], tmp_path: Path) -> None:
    plan = json.loads(fastsig("search", "pulsars", *files, "-o", tmp_path / "a.ecsv", "--dry-run",
                              "--json").stdout)
    assert plan["n_dm"] == 5
