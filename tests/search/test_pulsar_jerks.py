"""A pulsar whose drift changes: its jerk, in the table, for any threads, and when it is folded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli import fastsig
from search.spectra_made import MHZ, K, chain, noise

import fastsig as fs
from fastsig.reductions.periodic.folding import fold_candidates
from fastsig.search.pulsars.candidates import PulsarCandidates

N, SAMPLE_S, DM, SNR = 2**14, 1e-3, 40.0, 25.0
T = N * SAMPLE_S
R, Z, W = 300.4, 12.0, 110.0  # mean frequency, mean drift and its change, in bins
FDDOT, FDOT, F = W / T**3, (Z - W / 2) / T**2, (R - Z / 2 + W / 12) / T
LIGHT = 299792458.0
GIVEN: dict[str, Any] = {"period": None, "harmonics": 4, "loss": 0.3, "accel": 60}
DMS = "39:41"


@pytest.fixture(scope="module")
def spectra() -> np.ndarray:
    """Noise, and a pulsar of 10 % duty cycle whose S/N of all channels is given."""
    data = noise(N)
    late = K * DM * (MHZ**-2 - MHZ.max() ** -2)
    t = np.arange(N)[:, np.newaxis] * SAMPLE_S - late
    turns = (F * t + FDOT * t**2 / 2 + FDDOT * t**3 / 6 + 0.5) % 1 - 0.5
    pulse = np.exp(-0.5 * (turns / (0.1 / 2.355)) ** 2)
    return data + (10 * SNR / np.sqrt((pulse**2).sum()) * pulse).astype(np.float32)


@pytest.fixture(scope="module")
def found(spectra: np.ndarray) -> PulsarCandidates:
    return chain(spectra).pulsars(DMS, jerk=460, workers=1, **GIVEN)


def test_jerk_brings_a_pulsar_back_that_drift_alone_loses(
        spectra: np.ndarray, found: PulsarCandidates) -> None:
    drifting = chain(spectra).pulsars(DMS, **GIVEN)
    assert "jerk" not in drifting and "w_max" not in drifting.meta["fourier"]
    assert found.meta["fourier"] == {"n_harmonic": 4, "z_max": 60, "w_max": 460}
    value = {name: found.values(name)[0] for name in ("frequency", "fdot", "fddot", "jerk", "w",
                                                      "z", "snr", "sigma")}
    assert value["snr"] > 0.7 * SNR
    assert not len(drifting) or drifting.values("snr")[0] < 0.7 * value["snr"]
    assert value["w"] == pytest.approx(W, abs=3)
    assert value["fddot"] == pytest.approx(FDDOT, abs=3 / T**3)
    assert value["fdot"] == pytest.approx(FDOT, abs=2 / T**2)
    assert value["frequency"] == pytest.approx(F, abs=0.5 / T)
    assert value["jerk"] == pytest.approx(LIGHT * value["fddot"] / value["frequency"])
    assert str(found["jerk"].unit) == "m / s3" and str(found["fddot"].unit) == "Hz / s2"
    assert len(found) == 1


def test_the_table_does_not_depend_on_threads(spectra: np.ndarray, found: PulsarCandidates
                                              ) -> None:
    made = chain(spectra).pulsars(DMS, jerk=460, workers=3, **GIVEN)
    for name in found.names:
        if name != "epoch":
            np.testing.assert_array_equal(made.values(name), found.values(name))


def test_a_candidate_is_folded_with_its_jerk(spectra: np.ndarray, found: PulsarCandidates) -> None:
    made, _ = fold_candidates(chain(spectra), found, 1)
    assert made.values("fold_snr")[0] > 0.85 * SNR
    assert made.values("fold_period")[0] == pytest.approx(1 / F, abs=0.5 / T / F**2)


def test_the_command_writes_the_jerk(spectra: np.ndarray, found: PulsarCandidates, tmp_path: Path
                                     ) -> None:
    path, table = tmp_path / "a.fil", tmp_path / "a.ecsv"
    chain(spectra).write(path, bits=32, lossy=True)
    fastsig("search", "pulsars", path, "-o", table, "--dm", DMS, "--period", "none", "-q",
            "--harmonics", "4", "--loss", "0.3", "--accel", "60", "--jerk", "460")
    made = fs.read_pulsars(table)
    assert made.values("w")[0] == pytest.approx(found.values("w")[0], abs=1e-3)
    assert made.meta["fourier"]["w_max"] == 460
    done = fastsig("search", "pulsars", path, "-o", table, "--overwrite", "--accel", "940",
                   "--jerk", "500", code=2)
    assert "z_max = 940.0; allowed: 0 to 909 for w_max = 500" in done.stderr
