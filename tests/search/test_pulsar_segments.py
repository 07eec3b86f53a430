"""Search of segments of long scans: which they are, which signals are one, what folding uses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli import fastsig
from search.pulsars_made import pulsars
from search.spectra_made import MHZ, K, chain, noise

import fastsig as fs
from fastsig.errors import UsageError
from fastsig.reductions.periodic.beams import compare_pulsar_beams
from fastsig.reductions.periodic.folding import fold_candidates
from fastsig.search.pulsars.engine import Settings, Trials, searches_of, with_segments
from fastsig.search.pulsars.segments import sift_segments
from fastsig.search.pulsars.sift import DETECTION, sift

T, PART = 100.0, 20.0
DM = np.array([0.0, 10.0])


def _found(*rows: tuple[float, ...]) -> np.ndarray:
    """Detections of given segment (0: the whole), frequency at its middle, DM, sigma and fdot."""
    made = np.zeros(len(rows), DETECTION)
    for one, (segment, frequency, dm, sigma, *rest) in zip(made, rows, strict=True):
        length = PART if segment else T
        one["segment"], one["dm"], one["sigma"], one["snr"] = segment, dm, sigma, sigma
        one["fdot"] = rest[0] if rest else 0
        one["start"], one["length"] = (segment - 1) * PART / 2 if segment else 0, length
        one["frequency"] = frequency - one["fdot"] * length / 2
        one["z"], one["r"] = one["fdot"] * length**2, frequency * length
    made["width"], made["duty"] = np.nan, np.nan
    return made


def test_segments_are_equal_overlap_by_half_or_more_and_end_with_the_shortest_series() -> None:
    whole = [Trials(10_000, 1e-3, DM), Trials(2400, 4e-3, DM, stretch=1)]
    made = with_segments(whole, 2.0)
    assert made[:2] == whole and all(each.is_segment for each in made[2:])
    fine, coarse = made[2:]
    assert (fine.n_sample, coarse.n_sample, len(fine.starts)) == (2000, 500, 9)
    steps = np.diff(fine.starts)
    assert fine.starts[0] == 0 and steps.min() > 0 and steps.max() <= 1000
    assert coarse.starts[-1] + coarse.n_sample == 2400
    assert np.allclose(np.array(fine.starts) * 1e-3, np.array(coarse.starts) * 4e-3, atol=2.1e-3)
    assert with_segments([Trials(1000, 1e-3, DM)], 0.999)[1].starts == (0, 1)
    for length in (1.0, 0.06, 0.0, np.nan):
        with pytest.raises(UsageError, match="allowed: at least 0.064 s .64 samples., and less"):
            with_segments([Trials(1000, 1e-3, DM)], length)


def test_trials_are_those_of_all_segments_and_of_the_whole() -> None:
    settings, whole = Settings(n_harmonic=4, period=None), [Trials(10_000, 1e-3, DM)]
    alone, = searches_of(settings, whole)
    trials = with_segments(whole, 2.0)  # 9 segments of a fifth of the series
    first, part = searches_of(settings, trials)
    one, = searches_of(settings, [Trials(2000, 1e-3, DM[:1])])
    assert first.fourier and part.fourier and alone.fourier and one.fourier
    assert first.fourier.n_trial == pytest.approx(alone.fourier.n_trial * (1 + 9 / 5))
    assert part.fourier.n_trial == pytest.approx(one.fourier.n_trial * 2 * (9 + 5))


def test_a_pulsar_in_several_segments_is_one_row() -> None:
    made = sift_segments(_found((0, 10.0, 30, 12), (1, 10.02, 29, 8), (2, 9.98, 31, 7),
                                (5, 10.03, 35, 7.5), (3, 20.0, 30, 7), (6, 11.0, 30, 6.5)), T)
    assert made.best["frequency"].tolist() == [10.0, 11.0]
    assert (made.n_member.tolist(), made.n_segment.tolist()) == ([4, 1], [4, 1])
    assert (made.dm_low[0], made.dm_high[0]) == (29, 35)
    assert (made.harmonics, made.n_harmonic) == (["2", ""], 1)


def test_drifts_predict_the_frequency_in_other_segments() -> None:
    fdot = 0.02  # 1 bin of a segment in 2.5 s
    rows = [(k, 10 + fdot * 10 * (k - 1), 30, 9 + k, fdot) for k in range(1, 10)]
    made = sift_segments(_found(*rows), T)
    assert (len(made.best), made.n_segment.tolist()) == (1, [9])
    assert made.best["segment"].tolist() == [9]
    still = [(k, 10 + fdot * 10 * (k - 1), 30, 9 + k) for k in range(1, 10)]
    assert len(sift_segments(_found(*still), T).best) == 9


def test_an_orbit_is_followed_from_segment_to_segment() -> None:
    k = np.arange(1, 10)
    turn = 2 * np.pi * (k - 1) * PART / 2 / T
    rows: Any = zip(k, 10 + 1.5 * np.cos(turn), np.full(9, 30.0), 9.0 + k,
                    -1.5 * 2 * np.pi / T * np.sin(turn), strict=True)
    made = sift_segments(_found(*rows), T)
    assert (len(made.best), made.n_segment.tolist()) == (1, [9])


def test_harmonics_in_other_segments_are_left_out() -> None:
    found = _found((0, 50.0, 30, 20), (4, 25.01, 30, 8), (5, 150.1, 30, 7.5), (6, 100.0, 80, 7),
                   (3, 150.4, 30, 6.4))
    made = sift_segments(found, T)
    # 100 is at another dispersion measure, and 150.4 is 8 bins from 150.
    assert made.best["frequency"].tolist() == [50.0, 100.0, 150.4]
    assert (made.harmonics, made.n_segment.tolist()) == (["1/2, 3", "", ""], [2, 1, 1])


def test_fractions_in_other_segments_are_harmonics_of_much_stronger_signals() -> None:
    found = _found((0, 50.0, 30, 20), (4, 75.0, 30, 7), (5, 75.0, 80, 6.5), (3, 59.375, 30, 6))
    made = sift_segments(found, T)
    assert (made.best["dm"].tolist(), made.harmonics) == ([30, 80], ["3/2, 19/16", ""])
    found["snr"][3] = 14
    assert sift_segments(found, T).harmonics == ["3/2", "", ""]
    slow = _found((0, 5.0, 30, 20), (4, 7.5, 30, 7), (6, 5 * 8 / 7, 30, 6.5))
    # Multiples of 5 / 7 are only 14 bins of a segment apart.
    assert sift_segments(slow, T).harmonics == ["3/2", ""]


def test_without_segments_the_rules_are_those_of_the_whole() -> None:
    found = _found((0, 10.0, 30, 12), (0, 10.01, 30, 9), (0, 20.0, 30, 7), (0, 13.3, 80, 7))
    one, other = sift_segments(found, T), sift(found, T)
    assert one.best["frequency"].tolist() == other.best["frequency"].tolist() == [10.0, 13.3]
    assert one.harmonics == other.harmonics == ["2", ""]
    assert one.n_segment.tolist() == [0, 0]
    assert len(sift_segments(_found(), T).best) == 0


N, PERIOD = 2**14, 0.0731


def _made() -> np.ndarray:
    """Noise, a pulsar that is bright in a fifth of the time, and a faint one in all of it."""
    data = noise(N)
    late = K * 40.0 * (MHZ**-2 - MHZ.max() ** -2)
    time = np.arange(N)[:, np.newaxis] * 1e-3 - late
    for period, snr, first, stop in ((PERIOD, 40.0, 6.0, 9.0), (0.1277, 60.0, 0.0, 20.0)):
        turns = (time / period + 0.5) % 1 - 0.5
        pulse = np.exp(-0.5 * (turns / (0.1 / 2.355)) ** 2) * ((time > first) & (time < stop))
        data += (10 * snr / np.sqrt((pulse**2).sum()) * pulse).astype(np.float32)
    return data


@pytest.fixture(scope="module")
def spectra() -> np.ndarray:
    return _made()


@pytest.fixture(scope="module")
def found(spectra: np.ndarray) -> fs.PulsarCandidates:
    return chain(spectra).pulsars("30:50", period=None, harmonics=8, segment="3s")


def _row(found: fs.PulsarCandidates, period: float) -> dict[str, Any]:
    off = np.abs(found.values("period") / period - 1)
    k = int(np.argmin(off))
    assert off[k] < 1e-3
    return {name: found.values(name)[k] for name in found.names if name != "epoch"} | {
        "epoch": found["epoch"][k], "row": k}


def test_a_pulsar_of_a_part_of_a_scan_is_found_in_its_segment(
        spectra: np.ndarray, found: fs.PulsarCandidates) -> None:
    assert len(found) == 2
    one = _row(found, PERIOD)
    assert one["segment"] > 0 and one["segment_length"] == pytest.approx(3, abs=0.01)
    assert abs(one["segment_start"] - 6.0) < 0.8 and 1 <= one["n_segment"] <= 5
    start = (one["epoch"] - found["epoch"][1 - one["row"]]).to_value("s")
    assert start == pytest.approx(one["segment_start"], abs=1e-9)
    other = _row(found, 0.1277)
    assert (other["segment"], other["segment_start"]) == (0, 0)
    assert other["segment_length"] == pytest.approx(N * 1e-3, rel=0.02)
    assert other["n_segment"] == found.meta["n_segment"]
    whole = chain(spectra).pulsars("30:50", period=None, harmonics=8)
    near = np.abs(whole.values("period") / PERIOD - 1) < 2e-3
    assert one["sigma"] > 2 * max(whole.values("sigma")[near], default=0)
    assert "segment" not in whole


def test_the_table_does_not_depend_on_threads(spectra: np.ndarray, found: fs.PulsarCandidates
                                              ) -> None:
    again = chain(spectra).pulsars("30:50", period=None, harmonics=8, segment="3s", workers=3)
    for name in found.names:
        np.testing.assert_array_equal(again.values(name), found.values(name), err_msg=name)


def test_candidates_of_segments_are_folded_over_their_segments(
        spectra: np.ndarray, found: fs.PulsarCandidates) -> None:
    made, folded = fold_candidates(chain(spectra), found, 2)
    one = _row(made, PERIOD)
    assert one["fold_snr"] == pytest.approx(0.943 * 0.95 * 40.0, rel=0.12)
    assert abs(one["fold_period"] - PERIOD) < 5 * one["fold_period_error"]
    assert _row(made, 0.1277)["fold_snr"] == pytest.approx(0.943 * 0.95 * 60.0, rel=0.08)
    assert [each.row for each in folded] == [0, 1]


def test_the_command_searches_segments(spectra: np.ndarray, tmp_path: Path) -> None:
    path, table = tmp_path / "a.fil", tmp_path / "a.ecsv"
    chain(spectra).write(path, bits=32, lossy=True)
    common = ["search", "pulsars", path, "--dm", "39:41", "--period", "none", "--harmonics", "4"]
    plan = fastsig(*common, "-o", table, "--segment", "3s", "--dry-run").stdout
    assert "10 segments of 3 s, each 1.4" in plan
    about = json.loads(fastsig(*common, "-o", table, "--segment", "3s", "--json", "-q").stdout)
    made = fs.read_pulsars(table)
    assert about["n_candidate"] == len(made)
    assert {"segment_start", "segment_length", "n_segment"} <= set(made.names)
    for option, message in (("20s", "segment = 20 s; allowed: at least 0.064 s"),
                            ("x", "segment")):
        done = fastsig(*common, "-o", tmp_path / "b.ecsv", "--segment", option, code=2)
        assert message in done.stderr and len(done.stderr.splitlines()) == 1
    done = fastsig(*common, "-o", tmp_path / "b.accel", "--segment", "3s", code=2)
    assert "candidates of segments: ACCEL files state one length" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.glob("b*"))


def test_beams_are_not_compared_in_segments() -> None:
    table = pulsars(2, segment=np.array([1, 0]), beam=np.full(2, 1)).with_meta(
        least_snr=6.0, frequency_mhz=[1000.0, 1500.0])
    with pytest.raises(UsageError, match="candidates of segments"):
        compare_pulsar_beams([table, table], table_beams=[1, 2])
