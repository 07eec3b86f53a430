"""The time of a run, extrapolated from its first units."""

from __future__ import annotations

import types
from typing import Any

import numpy as np
import pytest
from streams import MemorySpectra, header

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
    assert trial.expected_seconds(ready) == pytest.approx(seconds)
