"""Coincidences of candidates in 19 beams, against the beams of the simulator."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from cli import fastsig
from search.candidates_made import candidates
from thorough import many

from fastsig import telescopes
from fastsig.errors import UsageError
from fastsig.pulsar.stretches import Recording
from fastsig.reductions.beams import geometry_of
from fastsig.run.candidate_files import read_candidates, write_candidates
from fastsig.search.bursts.beam_source import Geometry, fit_source
from fastsig.search.bursts.beams import (
    Detections,
    chance_of,
    compare,
    friends_of_beams,
)
from fastsig.search.bursts.plan import search_plan
from fastsig.simulate import beams as simulated

F8 = Any
THRESHOLD, DURATION = 7.0, 3600.0
FREQ = np.linspace(1060e6, 1440e6, 39)
#: Offsets on the sky of the simulator's beams, arcmin: a feed looks across the reflector's centre.
CENTRES = np.array([-np.degrees(simulated.feed_m(beam)[:2] / simulated.FOCAL_RADIUS_M) * 60
                    for beam in range(1, 20)])


def truth_snr(place: F8, peak: float) -> F8:
    """S/N in each beam, without noise, of a source with the S/N `peak` in the middle of M01."""
    reference = simulated.gain(1, 1250e6, 20)
    snr = np.empty(19)
    for beam in range(1, 20):
        width = np.degrees(simulated.hpbw_rad(beam, FREQ)) * 60
        apart = ((place - CENTRES[beam - 1]) ** 2).sum()
        snr[beam - 1] = peak * np.mean(np.exp(-4 * np.log(2) * apart / width**2)) * (
            simulated.gain(beam, 1250e6, 20) / reference)
    return snr


class Night:
    """Candidates of a simulated night."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.rows: list[tuple[float, ...]] = []
        self.owner: list[int] = []

    def add(self, owner: int, time: float, dm: float, width: float, snr: F8) -> bool:
        """Add what the beams find of an event; whether any does."""
        seen = snr + self.rng.normal(size=19)
        for beam in np.flatnonzero(seen >= THRESHOLD):
            error = width / LATE * 2 / seen[beam]
            self.rows.append((time + self.rng.normal(0, width / seen[beam]),
                              dm + self.rng.normal(0, error), error,
                              width * self.rng.choice([0.8, 1, 1.25]), seen[beam], beam + 1))
            self.owner.append(owner)
        return bool((seen >= THRESHOLD).any())

    def detections(self) -> Detections:
        time, dm, error, width, snr, beam = np.array(self.rows).T
        return Detections(time, dm, error, width, snr, beam.astype(np.int64),
                          np.full(len(time), LATE))


LATE = 4149.378 * (1050.0**-2 - 1450.0**-2)


def geometry() -> Geometry:
    return geometry_of(telescopes.get("FAST").receiver(), range(1, 20), 1050, 1450)


def places(rng: Any) -> list[F8]:
    """In one beam, between two or three, and in an outer beam."""
    inner = [CENTRES[rng.integers(0, 7)] + rng.uniform(-1, 1, 2) for _ in range(8)]
    between = [(CENTRES[0] + CENTRES[k]) / 2 + rng.uniform(-0.5, 0.5, 2) for k in range(1, 7)]
    outer = [CENTRES[rng.integers(7, 19)] + rng.uniform(-1, 1, 2) for _ in range(6)]
    return [*inner, *between, *outer]


def test_bursts_are_kept_and_interference_is_not() -> None:
    night = Night(1)
    truth = places(night.rng)
    for k, place in enumerate(truth):
        peak = 25.0
        while not night.add(k, *night.rng.uniform((10, 20), (3590, 2000)),
                            night.rng.uniform(0.5e-3, 5e-3), truth_snr(place, peak)):
            peak *= 1.5
    for k in range(many(40, 200)):
        level = night.rng.uniform(8, 60)
        snr = level * night.rng.lognormal(0, 0.3, 19) * (night.rng.random(19) < 0.8)
        night.add(100 + k, *night.rng.uniform((10, 0), (3590, 50)),
                  night.rng.uniform(0.5e-3, 20e-3), snr)
    found = night.detections()
    groups = compare(found, geometry(), THRESHOLD, DURATION)
    owner = np.array(night.owner)
    assert sum(len(each.members) for each in groups) == len(found)
    kept, accepted, pulls = set(), 0, []
    for group in groups:
        owners = set(owner[group.members])
        for k in owners & set(range(20)):
            assert group.verdict.name == "accepted", group.verdict
            kept.add(k)
            off = truth[k] - (group.source.east, group.source.north)
            pulls.append(off / (group.source.east_error, group.source.north_error))
        accepted += group.verdict.name == "accepted" and max(owners) >= 100
    assert kept == set(range(20))
    assert accepted < 2
    assert np.sqrt(np.mean(np.square(pulls))) < 1.3
    assert np.abs(pulls).max() < 3.5


def test_positions_have_the_errors_that_are_stated() -> None:
    rng, made, pulls = np.random.default_rng(7), geometry(), []
    for _ in range(many(60, 600)):
        place = rng.uniform(-11, 11, 2)
        seen = truth_snr(place, 12 * rng.uniform(0.02, 1) ** (-1 / 1.5)) + rng.normal(size=19)
        snr = {beam + 1: float(seen[beam]) for beam in np.flatnonzero(seen >= THRESHOLD)}
        if not snr:
            continue
        source = fit_source(made, snr, THRESHOLD)
        pulls.append((place - (source.east, source.north))
                     / (source.east_error, source.north_error))
    assert len(pulls) > 10
    assert 0.6 < np.sqrt(np.mean(np.square(pulls))) < 1.3


@pytest.mark.parametrize(("beams", "most"), [((1, 2, 3), (0.2, 0.2)), ((1, 2), (0.15, 1.0))])
def test_a_bright_burst_is_placed_along_the_lines_between_beams(beams: tuple[int, ...],
                                                                most: tuple[float, float]) -> None:
    place = np.mean([CENTRES[beam - 1] for beam in beams], axis=0) + (0.1, -0.05)
    snr = truth_snr(place, 600)
    seen = {k + 1: float(value) for k, value in enumerate(snr) if value >= THRESHOLD}
    assert set(seen) == set(beams)
    source = fit_source(geometry(), seen, THRESHOLD)
    assert (np.array([source.east_error, source.north_error]) < most).all()
    assert (np.abs(place - (source.east, source.north)) < most).all()
    assert source.chi2 < 10


def detections(rows: list[tuple[float, ...]]) -> Detections:
    time, dm, width, snr, beam = np.array(rows, float).T
    return Detections(time, dm, np.full(len(time), 0.5), width, snr, beam.astype(np.int64),
                      np.full(len(time), LATE))


def test_friends_agree_in_time_and_dispersion_measure() -> None:
    found = detections([(10, 100, 1e-3, 20, 1), (10.0005, 100.5, 1e-3, 9, 2),
                        (10, 300, 1e-3, 9, 3), (10.1, 100, 1e-3, 9, 4),
                        (20, 100, 1e-3, 9, 1)])
    labels = friends_of_beams(found)
    assert labels[0] == labels[1] and len(set(labels)) == 4
    assert list(friends_of_beams(Detections(*(each[::-1] for each in vars(found).values())))[::-1]
                ) == list(labels)


@pytest.mark.parametrize(("seen", "want"), [
    ({1: 20.0}, "accepted"), ({1: 30.0, 2: 8.0}, "accepted"), ({1: 20.0, 8: 18.0}, "doubtful"),
    ({1: 20.0, 8: 18.0, 14: 19.0}, "interference"), ({1: 400.0, 12: 8.0}, "accepted")])
def test_verdicts_have_reasons(seen: dict[int, float], want: str) -> None:
    rows = [(5.0, 50.0, 2e-3, snr, beam) for beam, snr in seen.items()]
    (group,) = compare(detections(rows), geometry(), THRESHOLD, DURATION)
    assert group.verdict.name == want, group.verdict
    assert all(str(beam) in group.verdict.reason for beam in seen)


def test_the_rate_of_chance_coincidences_is_that_of_random_candidates() -> None:
    rng, n = np.random.default_rng(3), 4000
    found = Detections(np.sort(rng.uniform(0, 3600, n)), rng.uniform(0, 100, n), np.full(n, 2.0),
                       np.full(n, 20e-3), np.full(n, 8.0), rng.integers(1, 20, n),
                       np.full(n, LATE))
    labels = friends_of_beams(found)
    sizes = np.bincount(labels)
    expected = float(chance_of(found, 3600).sum())
    together = int((sizes[labels] > 1).sum())
    assert together == pytest.approx(expected, rel=0.25)
    with pytest.raises(UsageError, match="duration"):
        chance_of(found, 0)


def test_beams_that_are_not_known_are_refused() -> None:
    with pytest.raises(UsageError, match="from 1"):
        detections([(1, 2, 1e-3, 9, -1)])
    with pytest.raises(UsageError, match="beam = 25"):
        compare(detections([(1, 2, 1e-3, 9, 25)]), geometry(), THRESHOLD, DURATION)
    with pytest.raises(UsageError, match="allowed"):
        fit_source(geometry(), {}, 7)


def table(beam: int, **columns: Any) -> Any:
    n = len(columns["snr"])
    made = {"low_mhz": np.full(n, 1050.0), "high_mhz": np.full(n, 1450.0), "beam": [beam] * n,
            "ra": np.full(n, 30.0 + beam / 100), "dec": np.full(n, 41.0)}
    return candidates(n, **{**made, **columns})


def test_one_row_for_each_burst_with_a_position_on_the_sky() -> None:
    from fastsig.reductions.bursts.beams import compare_beams

    # Three candidates of beam 1, at 1, 2 and 3 s; the first also in beam 2, the second in M08, M14.
    tables = [table(1, snr=[30.0, 20.0, 10.0], dm=[100.0, 50.0, 300.0]),
              table(2, snr=[20.0], dm=[100.1]),
              *(candidates(2, low_mhz=[1050.0] * 2, high_mhz=[1450.0] * 2, beam=[beam] * 2,
                           snr=[0.1, 19.0], dm=[900.0 + beam, 50.0])[1:] for beam in (8, 14))]
    made = compare_beams(tables, angle="0deg", beams=range(1, 20))
    assert list(made["verdict"]) == ["accepted", "interference", "accepted"]
    assert list(made["n_beam"]) == [2, 3, 1]
    assert made["beams"][0] == "1: 30.0, 2: 20.0"
    east = made.values("east")[0]
    assert 2.5 < east < 3.3  # between M01 and M02, nearer to M01
    # M01 is at (-0.04, -0.02).
    assert (made.values("burst_ra")[0] - 30.01) * np.cos(np.radians(41)) * 60 == pytest.approx(
        east + 0.04, abs=0.01)
    assert made.values("burst_dec")[0] == pytest.approx(
        41 + (made.values("north")[0] + 0.02) / 60, abs=1e-4)
    comparison = made.meta["comparison"]
    assert (comparison["n_accepted"], comparison["n_interference"]) == (2, 1)
    assert comparison["n_candidate"] == 6 and 0 < comparison["expected_by_chance"] < 1
    with pytest.raises(UsageError, match="does not state the beam"):
        compare_beams([table(-1, snr=[9.0])])
    assert len(compare_beams([table(-1, snr=[9.0])], table_beams=[3])) == 1
    with pytest.raises(UsageError, match="2 numbers for 1 tables"):
        compare_beams([table(-1, snr=[9.0])], table_beams=[3, 4])
    with pytest.raises(UsageError, match="all beams of the tables"):
        compare_beams(tables, beams=[1, 2])


def test_tables_with_different_dispersion_constants_are_refused() -> None:
    from fastsig.reductions.bursts.beams import compare_beams

    band = Recording.of_band("1GHz", "500MHz", 128, "1ms")
    one, other = (table(1, snr=[9.0], meta=search_plan(band, (0, 500), constant=constant).record())
                  for constant in (None, 4148.808))
    with pytest.raises(UsageError, match=r"dispersion constants \[4148\.808, 4149\.37"):
        compare_beams([one, other])
    assert len(compare_beams([one, one])) == 1


def test_tables_that_were_joined_have_the_facts_of_their_searches() -> None:
    from fastsig.reductions.bursts.beams import compare_beams

    meta = {"threshold": 7.5, "duration_s": 1800.0, "dispersion_constant": 4149.0}
    parts = [table(beam, snr=[9.0], meta=meta) for beam in (1, 2)]
    single, joined = compare_beams(parts), compare_beams([parts[0].join(parts)])
    for name in ("threshold", "duration_s", "expected_by_chance"):
        assert joined.meta["comparison"][name] == single.meta["comparison"][name]
    assert joined.meta["comparison"]["threshold"] == 7.5


def test_the_command_reports_verdicts(tmp_path: Any) -> None:
    names = []
    for beam, snr in ((1, [30.0, 20.0]), (8, [19.0]), (14, [18.0])):
        rows = table(beam, snr=snr) if beam == 1 else candidates(
            2, beam=[beam] * 2, snr=[0.0, *snr], dm=[900.0 + beam, 110.0])[1:]
        names.append(str(tmp_path / f"M{beam:02}.ecsv"))
        write_candidates(rows, names[-1])
    out = str(tmp_path / "night.ecsv")
    report = json.loads(fastsig("search", "beams", *names, "-o", out, "--beams", "1-19", "--keep",
                              "possible", "--json", code=0).stdout)
    assert (report["n_accepted"], report["n_interference"], report["n_row"]) == (1, 1, 1)
    made = read_candidates(out)
    assert made["verdict"][0] == "accepted" and made.meta["comparison"]["n_burst"] == 2
    for bad in ("0-3", "3-1", "x", "1-", "-3"):
        assert "such as 1-19" in fastsig("search", "beams", *names, "-o", out, "--overwrite",
                                         "--beams", bad, code=2).stderr
