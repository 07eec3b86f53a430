"""Candidates of a running search: the rows of the final table, soon after their bursts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli import fastsig
from search.spectra_made import MHZ, SAMPLE_S, K, chain, noise, with_bursts

import fastsig as fs
from fastsig.pulsar.stretches import Recording
from fastsig.reductions.bursts.following import follow
from fastsig.reductions.bursts.sink import Bursts
from fastsig.reductions.bursts.table import candidates_of
from fastsig.search.bursts.candidates import Candidates
from fastsig.search.bursts.engine import BurstSearch
from fastsig.search.bursts.following import Follower
from fastsig.search.bursts.plan import search_plan
from fastsig.simulate.injections import Injection, drawn

DMS, N_TIME = (0, 100), 60000
PER_DM = K * (MHZ[0] ** -2 - MHZ[-1] ** -2)


@pytest.fixture(scope="module")
def data() -> np.ndarray:
    """Noise with bursts, a storm of interference, and what is faint around the threshold."""
    bursts = drawn(14, duration_s=60.0, dms=DMS, widths_s=(2e-3, 20e-3), snrs=(6.0, 40.0),
                   unit_s=PER_DM, seed=3)
    made = with_bursts(noise(N_TIME), [*bursts, Injection(40.0, 50.0, 10e-3, 300.0)])
    hits = np.random.default_rng(1).integers(48000, 51000, 60)
    made[hits, 5:50] += 40
    return made


def _searched(data: np.ndarray, block: int, **options: Any
              ) -> tuple[list[tuple[int, Candidates]], Candidates]:
    """What is reported, each with the number of spectra before, and the final table."""
    source = chain(data)
    plan = search_plan(source, DMS, **{"widths": "1ms:30ms", "switch": 10.0, **options})
    sink, reported, n_time = Bursts(source.stream, plan), [], 0
    follow([sink], lambda rows: reported.append((n_time, rows)))
    for n_time in range(block, len(data) + block, block):
        first = n_time - block
        sink.merge(sink.partial(source.stream.read_block(first, min(block, len(data) - first))))
    return reported, candidates_of([source.stream], [sink.finish(len(data))], [plan])


@pytest.mark.parametrize(("threshold", "prompt"), [(7.0, False), (5.5, False), (5.5, True)])
def test_all_reported_candidates_are_rows_of_the_final_table(
        data: np.ndarray, threshold: float, prompt: bool) -> None:
    reported, table = _searched(data, 997, threshold=threshold, prompt=prompt)
    rows = [each for _, each in reported]
    assert len(table) == sum(map(len, rows)) > 15
    found = Candidates({name: np.concatenate([each.values(name) for each in rows])
                        for name in table.names if name != "time"}
                       | {"time": table["time"][:0].insert(0, [
                           time for each in rows for time in each["time"]])}).sorted()
    for name in table.names[1:]:
        np.testing.assert_array_equal(found.values(name), table.values(name))
    assert (found["time"] == table["time"]).all()
    for each in rows:
        assert (np.diff(each.values("time_s")) >= 0).all()


def test_candidates_are_reported_soon(data: np.ndarray) -> None:
    reported, table = _searched(data, 500, threshold=7.0)
    tile = 2048  # spectra that are searched at once
    delay = PER_DM * max(table.meta["high_dm"], 1)
    late = [n * SAMPLE_S - each.values("time_s")[0] for n, each in reported
            if 16 * tile < each.values("first_row")[0] and n < N_TIME]
    assert len(late) > 4
    assert max(late) < delay + (2 * tile + 500) * SAMPLE_S


def test_candidates_of_a_prompt_search_are_reported_sooner(data: np.ndarray) -> None:
    block = 100
    reported, table = _searched(data, block, threshold=7.0, prompt=True)
    usual, expected = _searched(data, block, threshold=7.0)
    times, wanted = table.values("time_s"), expected.values("time_s")
    quiet = np.flatnonzero(wanted < 46)  # before the storm of interference
    assert abs(len(table) - len(expected)) <= 2 and len(quiet) > 8
    near = np.argmin(abs(times - wanted[quiet, np.newaxis]), axis=1)
    np.testing.assert_allclose(times[near], wanted[quiet], atol=5e-3)
    ratio = table.values("snr")[near] / expected.values("snr")[quiet]
    # Near the brightest, whose sides are noise for longer in the usual search, it is 1.06.
    assert ratio.min() > 0.95 and ratio.max() < 1.1 and abs(np.median(ratio) - 1) < 0.01
    plan = search_plan(chain(data), DMS, widths="1ms:30ms", switch=10.0, prompt=True)
    latest = Follower([BurstSearch(plan)], [0.0], [0]).latency_s
    late = [n * SAMPLE_S - each.values("time_s")[0] for n, each in reported
            if 2.0 < each.values("time_s")[0] < 46]
    assert len(late) > 8 and max(late) < latest + block * SAMPLE_S
    assert min(n for n, _ in reported) < min(n for n, _ in usual) / 2


@pytest.mark.parametrize(("band", "n_chan", "sample"), [
    ("500MHz", 4096, "49.152us"), ("500MHz", 4096, "1ms"), ("500MHz", 1024, "0.25ms"),
    ("50MHz", 64, "0.3ms"), ("500MHz", 512, "8us")])
def test_how_soon_candidates_of_a_prompt_search_are_reported(
        band: str, n_chan: int, sample: str) -> None:
    recording = Recording.of_band("1250MHz", band, n_chan, sample)
    plan = search_plan(recording, (0, 300), prompt=True)
    latest = Follower([BurstSearch(plan)], [0.0], [0]).latency_s
    assert plan.reach_s + 0.6 < latest < plan.reach_s + 1.6
    assert search_plan(recording, (0, 300)).record() == {**plan.record(), "prompt": False}


@pytest.mark.parametrize("lossy", [False, True])
def test_events_of_a_prompt_search_do_not_depend_on_blocks_and_threads(lossy: bool) -> None:
    rng = np.random.default_rng(3)
    data = rng.standard_normal((24_000, 48), dtype=np.float32) + 20
    data[12_000:12_040] += 0.5
    valid = None
    if lossy:
        valid = rng.random(data.shape) < 0.97
        valid[8000:9600], valid[:5000, 5:10] = False, False
    recording = Recording.of_band("1250MHz", "300MHz", 48, "0.25ms")
    plan = search_plan(recording, (0, 500), prompt=True, threshold=5.5)
    found = []
    for block, threads in ((1000, 1), (77, 1), (24_000, 2)):
        search = BurstSearch(plan, threads=threads)
        for first in range(0, len(data), block):
            rows = slice(first, first + block)
            search.process(data[rows], None if valid is None else valid[rows])
        found.append(search.finish().rows)
    assert len(found[0]) > 100 and found[0]["snr"].max() > 20
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


def test_what_waits_is_bounded(data: np.ndarray) -> None:
    source = chain(data)
    sink = Bursts(source.stream, search_plan(source, DMS, widths="1ms:30ms", switch=10.0,
                                             threshold=5.0))
    follower = Follower([sink.search], [0.0], [0], most=20)
    for first in range(0, N_TIME, 8192):
        block = source.stream.read_block(first, min(8192, N_TIME - first))
        sink.merge(sink.partial(block))
        follower.completed()
        assert sum(map(len, follower._waiting)) <= 20
    assert follower.n_dropped > 0


def test_what_is_left_out_is_warned_of(
        data: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = r"[1-9]\d* fainter events were left out of the candidates that were reported"
    monkeypatch.setitem(Follower.__init__.__kwdefaults__, "most", 20)
    with pytest.warns(fs.FastsigWarning, match=text):
        chain(data).bursts(DMS, width="1ms:30ms", threshold=5.0, on_candidates=len)
    chain(data).write(tmp_path / "a.h5")
    done = fastsig("search", "bursts", tmp_path / "a.h5", "-o", tmp_path / "a.ecsv", "--dm",
                   "0:100", "--width", "1ms:30ms", "--threshold", 5, "--json-lines", "-q",
                   before="from fastsig.search.bursts.following import Follower\n"
                          "Follower.__init__.__kwdefaults__['most'] = 20\n")
    assert re.search(f"fastsig: warning: {text}", done.stderr)
