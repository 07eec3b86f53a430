"""Search of spectra and series for pulsars: what is found, sameness, gaps, files, refusals."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli import fastsig
from recordings import recorded
from search.pulsars_made import pulsars
from search.spectra_made import MHZ, K, chain, noise

import fastsig as fs
from fastsig.errors import FastsigWarning, OutputError, PlanError, UsageError
from fastsig.reductions.periodic import spool as spool_module
from fastsig.reductions.periodic.folding import fold_candidates
from fastsig.reductions.periodic.request import Request, settings_of
from fastsig.reductions.periodic.searching import found_pulsars
from fastsig.search.pulsars.candidates import PulsarCandidates

N, PERIOD, DM, SNR = 2**14, 0.3137, 40.0, 60.0
#: S/N of the best boxcar, of 6 % of a turn, relative to the level of the rest.
BOXCAR = 0.943 * np.sqrt(0.94) * SNR
OPTIONS: dict[str, Any] = {"period": "0.25s:0.9s", "harmonics": 8, "loss": 0.3}
DMS = "34:46"


def _spectra(snr: float = SNR, n: int = N) -> np.ndarray:
    """Noise, and a pulsar of 5 % duty cycle whose S/N of all channels is given."""
    data = noise(n)
    late = K * DM * (MHZ**-2 - MHZ.max() ** -2)
    turns = ((np.arange(n)[:, np.newaxis] * 1e-3 - late) / PERIOD + 0.5) % 1 - 0.5
    pulse = np.exp(-0.5 * (turns / (0.05 / 2.355)) ** 2)
    return data + (10 * snr / np.sqrt((pulse**2).sum()) * pulse).astype(np.float32)


@pytest.fixture(scope="module")
def spectra() -> np.ndarray:
    return _spectra()


@pytest.fixture(scope="module")
def found(spectra: np.ndarray) -> PulsarCandidates:
    return chain(spectra).pulsars(DMS, **OPTIONS)


def _rows(found: PulsarCandidates) -> list[tuple[Any, ...]]:
    return [tuple(found.values(name)[k] for name in ("period", "dm", "sigma", "snr", "n_member"))
            for k in range(len(found))]


def test_a_pulsar_is_first_with_its_period_dispersion_measure_and_snr(
        found: PulsarCandidates) -> None:
    value = {name: found.values(name)[0] for name in found.names[:-1] if name != "epoch"}
    assert value["period"] == pytest.approx(PERIOD, rel=2e-4)
    assert abs(value["dm"] - DM) <= 6
    assert 0.85 * BOXCAR < value["snr"] < 1.1 * BOXCAR  # steps of the dispersion measure are coarse
    assert value["duty"] == pytest.approx(0.05, rel=0.35)
    assert value["dm_low"] <= DM <= value["dm_high"]
    assert value["n_member"] > 3
    assert abs(1 / PERIOD - value["frequency"]) < 5 * value["frequency_error"]
    # What else is found belongs to it, and has far less significance.
    assert (found.values("sigma")[1:] < 0.5 * value["sigma"]).all()
    assert found.meta["n_time"] * found.meta["sample_s"] == pytest.approx(N * 1e-3, rel=0.01)
    assert found["epoch"][0].isot == found.meta["start_time"][:29].rstrip("Z")


def test_the_snr_of_a_very_bright_pulsar_is_in_proportion_and_it_is_the_only_candidate() -> None:
    """Side lobes of its harmonics neither raise the level of the noise nor are they signals."""
    options = {"period": None, "harmonics": 8}
    snr = []
    for strength in (150.0, 600.0):
        made = chain(_spectra(strength)).pulsars("20:60", **options)
        assert len(made) == 1 and abs(made.values("dm")[0] - DM) < 3
        assert made.values("period")[0] == pytest.approx(PERIOD, rel=2e-4)
        snr.append(made.values("snr")[0])
    assert 3.6 < snr[1] / snr[0] < 4.4


def test_both_searches_find_it_alone(spectra: np.ndarray) -> None:
    few = "39:41"
    fourier = chain(spectra).pulsars(few, period=None, harmonics=8)
    folded = chain(spectra).pulsars(few, period="0.3s:0.5s", harmonics=0)
    assert (fourier.values("method")[0], folded.values("method")[0]) == ("fourier", "ffa")
    for each, least in ((fourier, 0.6), (folded, 0.9)):  # 8 harmonics have a part of the power
        assert each.values("period")[0] == pytest.approx(PERIOD, rel=2e-4)
        assert least * BOXCAR < each.values("snr")[0] < 1.1 * BOXCAR


def test_the_table_does_not_depend_on_threads_or_on_where_series_are(
        spectra: np.ndarray, found: PulsarCandidates, tmp_path: Path) -> None:
    settings = settings_of(8, 0, "0.25s:0.9s", (1 / 240, 0.2), 6.0, (), None)
    request = Request.of([chain(spectra).stream], DMS, settings, loss=0.3, workers=3)
    assert request.in_memory
    for in_memory, workers in ((True, 1), (False, 3)):
        made = Request(**{**vars(request), "in_memory": in_memory, "workers": workers})
        assert _rows(found_pulsars(made, folder=str(tmp_path))) == _rows(found)
    assert not list(tmp_path.iterdir())


def test_lost_spectra_have_no_weight(spectra: np.ndarray, found: PulsarCandidates) -> None:
    lost = spectra.copy()
    lost[(np.arange(N) // 3000) % 4 == 1] = np.nan
    lost[:, 5:8] = np.nan
    share = np.isfinite(lost).mean()
    made = chain(lost).pulsars("39:41", **OPTIONS)
    assert made.values("period")[0] == pytest.approx(PERIOD, rel=2e-4)
    assert made.values("snr")[0] == pytest.approx(found.values("snr")[0] * np.sqrt(share), rel=0.06)


def test_noise_has_no_candidates() -> None:
    assert not len(chain(noise(2**14, 5)).pulsars("0:3", **OPTIONS))


def test_hostile_spectra_have_no_candidates_or_are_refused() -> None:
    few: dict[str, Any] = {**OPTIONS, "harmonics": 2}
    for value in (3.0, np.nan, 0.0):
        dead = chain(np.full((4000, 64), value, np.float32))
        with pytest.warns(FastsigWarning, match="memory: all samples of the series are lost or"):
            assert not len(dead.pulsars("0:1", **few))
    with pytest.raises(UsageError, match="a series of 28 samples; allowed: 64 to 2147483648"):
        chain(noise(30)).pulsars("0:1", **few)
    with pytest.raises(PlanError, match="delays the lowest channel"):
        chain(noise(2)).pulsars("0:1", **few)


def test_a_series_is_searched_at_its_dispersion_measure(spectra: np.ndarray, tmp_path: Path
                                                        ) -> None:
    path = tmp_path / "a_DM40.00.dat"
    chain(spectra).dedisperse(DM).to_series().write(path, lossy=True)
    with fs.open(path) as source:
        made = source.pulsars(**OPTIONS)
    assert made.values("period")[0] == pytest.approx(PERIOD, rel=2e-4)
    assert made.values("dm").tolist() == [DM] * len(made)
    assert made.meta["n_dm"] == 1


def test_the_command_writes_the_same_table(spectra: np.ndarray, tmp_path: Path) -> None:
    path, table = tmp_path / "a.fil", tmp_path / "a.ecsv"
    chain(spectra[: N // 2]).write(path, bits=32, lossy=True)
    (tmp_path / "known.csv").write_text(f"name,period,dm\nJ1,{2 * PERIOD},{DM}\n")
    plan = json.loads(fastsig("search", "pulsars", path, "-o", table, "--dm", "0:50", "--dry-run",
                              "--json").stdout)
    assert plan["series_in_memory"] and not table.exists()
    assert "series of" in fastsig("search", "pulsars", path, "-o", table, "--dry-run").stdout
    options = ["--dm", "39:41", "--period", "0.25s:0.9s", "--harmonics", "4", "--known",
               tmp_path / "known.csv", "--zap", "300Hz:310Hz", "--json", "-q", "--fold", "1"]
    about = json.loads(fastsig("search", "pulsars", path, "-o", table, *options).stdout)
    made = fs.read_pulsars(table)
    assert (about["n_candidate"], about["candidates"][0]["method"]) == (
        len(made), made.values("method")[0])
    assert made.values("name")[0] == "J1 x 2"
    assert made.meta["zapped_hz"] == [[300, 310]]
    assert about["pictures"] == [str(tmp_path / "a.1.png")]
    assert (tmp_path / "a.1.png").read_bytes()[:4] == b"\x89PNG"
    assert abs(made.values("fold_period")[0] - PERIOD) < 5 * made.values("fold_period_error")[0]


def test_the_best_are_folded_in_one_read_and_improved(
        spectra: np.ndarray, found: PulsarCandidates) -> None:
    made, folded = fold_candidates(chain(spectra), found, 2)
    assert [each.row for each in folded] == list(range(min(2, len(found))))
    value = {name: made.values(name)[0] for name in made.names if name.startswith("fold")}
    for name, truth in (("period", PERIOD), ("dm", DM)):
        assert abs(value[f"fold_{name}"] - truth) < 5 * value[f"fold_{name}_error"]
    assert abs(value["fold_pdot"]) < 5 * value["fold_pdot_error"]
    assert value["fold_period_error"] < 2e-4 * PERIOD
    assert value["fold_snr"] == pytest.approx(BOXCAR, rel=0.06)
    assert np.isnan(made.values("fold_snr")[2:]).all()
    none, empty = fold_candidates(chain(spectra), found[:0], 2)
    assert (len(none), empty) == (0, [])


def test_what_cannot_be_searched_is_refused(spectra: np.ndarray, tmp_path: Path) -> None:
    few = chain(spectra[:4000])
    with pytest.raises(PlanError, match="delays the lowest channel"):
        few.pulsars("0:3000")
    with pytest.raises(UsageError, match="period = '5s:1s'"):
        few.pulsars("0:10", period="5s:1s")
    with pytest.raises(UsageError, match="neither harmonics nor periods"):
        few.pulsars("0:10", period=None, harmonics=0)
    with pytest.raises(PlanError, match="this search requires"):
        few.pulsars("0:10", memory=10**6)
    with pytest.raises(UsageError, match="threshold"):
        few.pulsars("0:10", threshold=0)
    with pytest.raises(PlanError, match="has one channel"):
        fold_candidates(few.to_series(), pulsars(1))
    with pytest.raises(UsageError, match="1 or more candidates"):
        fold_candidates(few, pulsars(1), 0)


def test_a_full_disk_is_reported(spectra: np.ndarray, tmp_path: Path,
                                 monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(spool_module, "write_from", full)
    settings = settings_of(1, 0, None, (1 / 240, 0.2), 6.0, (), None)
    request = Request.of([chain(spectra[:4000]).stream], "0:10", settings)
    on_disk = Request(**{**vars(request), "in_memory": False})
    with pytest.raises(OutputError, match="no space left"):
        found_pulsars(on_disk, folder=str(tmp_path))


def test_a_recorded_pulsar_is_first() -> None:
    with fs.open(recorded("sigpyproc/GBT_J1807-0847.dat")) as source:
        for options in ({"period": "0.1s:1s", "harmonics": 0}, {"period": None}):
            made = source.pulsars(**options)
            assert made.values("period")[0] == pytest.approx(0.163713, rel=5e-5)
    with fs.open(recorded("sigpyproc/tutorial.fil")) as source:
        made = source.pulsars("22:38", period="0.24s:0.26s", harmonics=0)
    assert made.values("period")[0] == pytest.approx(0.25, rel=5e-5)
    step = np.ptp([made.meta["stretches"][0][name] for name in ("low_dm", "high_dm")]) / (
        made.meta["n_dm"] - 1)
    assert abs(made.values("dm")[0] - 30) <= step
