"""Shares without weight: right over time, and small however many rows there are."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from streams import MemorySpectra, header

from fastsig.axes.polarization import PRODUCTS, PolBasis
from fastsig.run.engine import run
from fastsig.run.flag_shares import FlagShares, ShareCounter
from fastsig.stages.flag import Flag


def spectra(n: int, n_chan: int = 8) -> MemorySpectra:
    """Spectra of which a share without weight grows over time."""
    rng = np.random.default_rng(5)
    weight = (rng.random((n, 1, n_chan)) > np.linspace(0, 0.9, n)[:, None, None])
    data = np.where(weight, np.float32(1), np.float32(np.nan))
    head = header(1000, n_chan=n_chan).replace(polarization=PolBasis("linear", PRODUCTS["I"]))
    return MemorySpectra(data, head)


@pytest.mark.parametrize(("n", "each"), [(1, 1), (4096, 1), (4097, 2), (50_001, 16)])
@pytest.mark.parametrize("workers", [1, 2])
def test_shares_over_time(n: int, each: int, workers: int) -> None:
    stream = spectra(n)
    shares: FlagShares = run([ShareCounter(stream)], workers=workers)[0]
    lost = (stream.read_block(0, n).valid == 0).mean(axis=(1, 2))
    expected = [lost[first : first + each].mean() for first in range(0, n, each)]
    assert shares.n_rows == each
    np.testing.assert_allclose(shares.time, expected)
    assert shares.total == pytest.approx(lost.mean())
    assert shares.record()["rows_of_a_time"] == each


def test_what_is_held_does_not_grow_with_rows() -> None:
    """An hour of a thin band has more rows than memory has room for lists of numbers."""
    sinks = [ShareCounter(spectra(n)) for n in (8192, 80_000)]
    for sink in sinks:
        for first in range(0, sink.stream.shape[0], 1000):
            n = min(1000, sink.stream.shape[0] - first)
            sink.merge(sink.partial(sink.stream.read_block(first, n)))
    few, many = ({key: value for key, value in vars(sink).items() if key != "stream"}
                 for sink in sinks)
    assert len(pickle.dumps(many)) <= len(pickle.dumps(few)) + 64


def test_the_plan_has_the_flags_that_are_kept() -> None:
    stage = Flag(spectra(100_000, 64), n_segment=1000)
    for first in range(0, 100_000, 1000):
        stage.read_block(first, 1000)
    held = sum(made.result().nbytes for made in stage._results.values())
    assert 4 * 64_000 <= held <= stage.work_bytes(1) - stage.source.work_bytes(1)
