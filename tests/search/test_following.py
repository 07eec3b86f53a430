"""Candidates of a running search: the rows of the final table, soon after their bursts."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from cli import fastsig
from search.spectra_made import MHZ, SAMPLE_S, K, chain, noise, with_bursts

import fastsig as fs
from fastsig.reductions.bursts.following import follow
from fastsig.reductions.bursts.sink import Bursts
from fastsig.reductions.bursts.table import candidates_of
from fastsig.search.bursts.candidates import Candidates
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


def _searched(data: np.ndarray, block: int, **options: float
              ) -> tuple[list[tuple[int, Candidates]], Candidates]:
    """What is reported, each with the number of spectra before, and the final table."""
    source = chain(data)
    plan = search_plan(source, DMS, widths="1ms:30ms", switch=10.0, **options)
    sink, reported, n_time = Bursts(source.stream, plan), [], 0
    follow([sink], lambda rows: reported.append((n_time, rows)))
    for n_time in range(block, len(data) + block, block):
        first = n_time - block
        sink.merge(sink.partial(source.stream.read_block(first, min(block, len(data) - first))))
    return reported, candidates_of([source.stream], [sink.finish(len(data))], [plan])


@pytest.mark.parametrize("threshold", [7.0, 5.5])
def test_all_reported_candidates_are_rows_of_the_final_table(
        data: np.ndarray, threshold: float) -> None:
    reported, table = _searched(data, 997, threshold=threshold)
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
