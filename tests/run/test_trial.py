"""The time of a run, extrapolated from its first units."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastsig_kernels import _cache
from numba.core import event
from streams import MemorySpectra, header

from fastsig.cli.cut import cut
from fastsig.run import trial
from fastsig.run.flag_shares import ShareCounter
from fastsig.run.plan import plan

ROW_S = 0.01


class Slow(MemorySpectra):
    """Spectra that take a known time on a clock of their own."""

    now = 0.0

    def read_block(self, start: int, n: int, out: Any = None) -> Any:
        Slow.now += n * ROW_S
        return super().read_block(start, n)


@pytest.mark.parametrize("n_time, rows, workers, seconds", [
    (1000, 10, 2, 5.0), (1000, 10, 1, 10.0), (1000, 300, 2, 5.0), (7, 10, 2, 0.07), (0, 10, 2, 0.0),
])
def test_the_time_is_that_of_all_units(n_time: int, rows: int, workers: int, seconds: float,
                                       monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "time", types.SimpleNamespace(perf_counter=lambda: Slow.now))
    stream = Slow(np.ones((n_time, 1, 8), np.float32), header())
    ready = plan([ShareCounter(stream)], workers=workers)
    for lane in ready.lanes:
        lane.rows = rows
    assert trial.expected_time(ready) == (pytest.approx(seconds), 0.0, True)


@pytest.mark.parametrize("compiles, kept, expected", [
    (False, True, (10, 0.0, True)),  # the kernels are loaded from the cache
    (True, True, (10, 3.0, True)), (True, False, (10 + 3, 3.0, False))])
def test_what_the_first_unit_takes_longer(compiles: bool, kept: bool,
                                          expected: tuple[float, float, bool],
                                          monkeypatch: pytest.MonkeyPatch) -> None:
    class Starting(Slow):
        def read_block(self, start: int, n: int, out: Any = None) -> Any:
            if start == 0:
                Slow.now += 3
                if compiles:
                    with event.trigger_event("numba:compile"):
                        pass
            return super().read_block(start, n)

    monkeypatch.setattr(trial, "time", types.SimpleNamespace(perf_counter=lambda: Slow.now))
    monkeypatch.setattr(_cache, "is_kept", lambda: kept)
    ready = plan([ShareCounter(Starting(np.ones((1000, 1, 8), np.float32), header()))], workers=1)
    for lane in ready.lanes:
        lane.rows = 10
    assert trial.expected_time(ready) == pytest.approx(expected)


@pytest.mark.parametrize("expected, text", [
    (trial.Expected(1, 0, True), "not included\n"),
    (trial.Expected(1, 12, True), "; the trial took about 12 s more to compile the kernels, which "
                                  "the run loads from the cache\n"),
    (trial.Expected(13, 12, False), "about 12 s of it for compiling kernels, which are not cached"),
])
def test_a_dry_run_states_the_time_of_compiling(
        expected: trial.Expected, text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
        samples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(trial, "expected_time", lambda ready: expected)
    cut.main([str(samples / "pulsar_lower_8MHz.h5"), "-o", str(tmp_path / "x.h5"), "--dry-run"],
             standalone_mode=False)
    assert text in capsys.readouterr().out
