"""Interference in a search for pulsars: given, found at DM 0, and found across 19 beams."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli import fastsig
from search.spectra_made import MHZ, K, chain, noise
from streams import MemorySpectra

import fastsig as fs
from fastsig.errors import FormatError, PlanError, UsageError
from fastsig.reductions.periodic.beams import compare_pulsar_beams
from fastsig.reductions.periodic.birds import birds_of
from fastsig.run.pulsar_files import write_pulsars

N, PERIOD, DM, BIRD = 2**13, 0.3137, 40.0, 7.77
OPTIONS: dict[str, Any] = {"period": None, "harmonics": 8}


def _spectra(seed: int = 1, pulsar: float = 0.0, bird: float = 0.0) -> np.ndarray:
    """Noise of 10, and amplitudes of pulses and of a sine that is in all channels at once.

    Both are equally strong if used as below, so that neither counts as a harmonic of the other.
    """
    t = np.arange(N)[:, np.newaxis] * 1e-3
    late = K * DM * (MHZ**-2 - MHZ.max() ** -2)
    turns = ((t - late) / PERIOD + 0.5) % 1 - 0.5
    made = noise(N, seed) + pulsar * np.exp(-0.5 * (turns / 0.02) ** 2)
    return (made + bird * np.sin(2 * np.pi * BIRD * t)).astype(np.float32)


def _beam(number: int, **amplitudes: float) -> fs.Chain:
    made = chain(_spectra(seed=number, **amplitudes)).stream
    return fs.Chain(MemorySpectra(made.read_block(0, N).data.copy(),
                                  made.header.replace(beam=number)))


def _has(found: fs.PulsarCandidates, frequency: float) -> bool:
    return bool((np.abs(found.values("frequency") - frequency) < 0.15).any())


@pytest.fixture(scope="module")
def tables() -> list[fs.PulsarCandidates]:
    """A pulsar in beam 5 of 19, and interference in all."""
    return [_beam(k, pulsar=5.5 * (k == 5), bird=1.2).pulsars("30:50", **OPTIONS)
            for k in range(1, 20)]


def test_a_pulsar_in_one_of_19_beams_is_kept_and_interference_in_all_is_dropped(
        tables: list[fs.PulsarCandidates], tmp_path: Path) -> None:
    assert all(_has(each, BIRD) for each in tables)
    assert [_has(each, 1 / PERIOD) for each in tables] == [k == 5 for k in range(1, 20)]
    made = compare_pulsar_beams(tables)
    verdict = made.values("verdict")
    pulsar = np.flatnonzero(np.abs(made.values("frequency") - 1 / PERIOD) < 0.02)
    bird = np.flatnonzero(np.abs(made.values("frequency") - BIRD) < 0.05)
    assert verdict[pulsar].tolist() == ["accepted"] and made.values("beam")[pulsar[0]] == 5
    assert verdict[bird].tolist() == ["interference"] and made.values("n_beam")[bird[0]] == 19
    assert made.meta["comparison"]["n_accepted"] == 1
    # The command writes the same, and keeps what is possible.
    names = [tmp_path / f"M{k:02d}.ecsv" for k in range(1, 20)]
    for each, name in zip(tables, names, strict=True):
        write_pulsars(each, name)
    done = fastsig("search", "beams", *names, "-o", tmp_path / "all.ecsv")
    assert f"{sum(map(len, tables))} candidates of 19 beams: 1 accepted" in done.stderr
    fastsig("search", "beams", *names, "-o", tmp_path / "some.ecsv", "--keep", "accepted")
    assert fs.read_pulsars(tmp_path / "some.ecsv").values("beam").tolist() == [5]
    # Its rows of interference are birds of a further search.
    again = _beam(5, pulsar=5.5, bird=1.2).pulsars("30:50", birds=[tmp_path / "all.ecsv"],
                                                   **OPTIONS)
    assert _has(again, 1 / PERIOD) and not _has(again, BIRD)


def test_beams_of_different_scans_are_refused(tables: list[fs.PulsarCandidates]) -> None:
    other = tables[1].with_meta(n_time=5)
    with pytest.raises(UsageError, match="2 different lengths, sample times or bands"):
        compare_pulsar_beams([tables[0], other])
    joined = fs.PulsarCandidates.join(tables[:2])
    with pytest.raises(UsageError, match="a table has candidates of several searches"):
        compare_pulsar_beams([joined])
    with pytest.raises(UsageError, match="table_beams: 1 numbers for 2 tables"):
        compare_pulsar_beams(tables[:2], table_beams=[1])


def test_birds_found_at_zero_dm_are_not_used() -> None:
    source = chain(_spectra(pulsar=5.5, bird=1.2))
    found, without = (source.pulsars("0:60", birds=each, **OPTIONS) for each in ((), "find"))
    assert _has(found, BIRD) and _has(found, 1 / PERIOD)
    assert not _has(without, BIRD) and _has(without, 1 / PERIOD)
    # A pulsar so strong that it is seen at DM 0 too is no bird.
    assert found.values("dm_low")[np.abs(found.values("frequency") - 1 / PERIOD) < 0.02][0] == 0
    zapped = np.array(without.meta["zapped_hz"])
    assert ((zapped[:, 0] < BIRD) & (zapped[:, 1] > BIRD)).any()
    assert not ((zapped[:, 0] < 1 / PERIOD) & (zapped[:, 1] > 1 / PERIOD)).any()
    # Its S/N is that in spectra without the bird, whose power no longer counts.
    alone = chain(_spectra(pulsar=5.5)).pulsars("0:60", **OPTIONS)
    assert abs(alone.values("frequency")[0] - without.values("frequency")[0]) < 0.02
    assert without.values("snr")[0] == pytest.approx(alone.values("snr")[0], rel=0.1)


def test_without_dm_0_birds_cannot_be_found() -> None:
    with pytest.raises(PlanError, match="the lowest dispersion measure is 10"):
        chain(_spectra()).pulsars("10:20", birds="find", **OPTIONS)


def test_files_of_birds(tmp_path: Path) -> None:
    path = tmp_path / "birds.txt"
    path.write_text("# Freq Width\n7.77 0.3 2  # a motor\n\n100 1\n")
    np.testing.assert_allclose(birds_of([path, "find"]),
                               [(7.62, 7.92), (15.24, 15.84), (99.5, 100.5)])
    source = tmp_path / "a.fil"
    chain(_spectra(pulsar=5.5, bird=1.2)).write(source, bits=32, lossy=True)
    for given in (path, "find"):
        fastsig("search", "pulsars", source, "-o", tmp_path / "a.ecsv", "--overwrite", "--dm",
                "0:60", "--period", "none", "--harmonics", "8", "--birds", given, "-q")
        made = fs.read_pulsars(tmp_path / "a.ecsv")
        assert _has(made, 1 / PERIOD) and not _has(made, BIRD)


@pytest.mark.parametrize("text", ["7.7", "a 1", "7 1 x", "0 1", "5 nan", "1 1 0", "1 1 1 1",
                                  "-5 1"])
def test_wrong_files_of_birds_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "birds.txt"
    path.write_text(f"1 1\n{text}\n")
    with pytest.raises(FormatError, match="birds.txt: line 2: .* allowed: a frequency and a width"):
        birds_of([path])
    with pytest.raises(FormatError):
        birds_of([tmp_path / "none.txt"])
