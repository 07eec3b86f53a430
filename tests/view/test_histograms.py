"""Histograms of voltages count every sample, whatever the recorder's levels are."""

from __future__ import annotations

import numpy as np
import pytest
from recordings import recorded
from streams import MemoryVoltages, header

import fastsig as fs
from fastsig import view
from fastsig.view.histograms import histogram

HIGH = 3.3359


@pytest.mark.parametrize(("n_bits", "levels"), [
    (1, (-1, 1)), (2, (-HIGH, -1, 1, HIGH)), (2, (-3, -1, 1, 3)), (2, (-1, 1)), (2, (-2, -1, 0, 1)),
    (4, tuple(range(-8, 8))), (4, tuple(np.arange(-15, 16, 2))), (8, tuple(range(-128, 128))),
    (8, tuple(range(256))), (16, (-32768, 0, 5, 32767)), (16, (0, 70000)),
])
def test_every_sample_is_in_a_bin(n_bits: int, levels: tuple[float, ...]) -> None:
    samples = np.repeat(np.array(levels, np.float32), 5)
    found = histogram(samples, n_bits)
    assert found.counts.sum() == samples.size and found.outside == 0
    if len(levels) < 300 and n_bits <= 8:
        assert np.count_nonzero(found.counts) == len(levels)


def test_a_bin_contains_its_level() -> None:
    found = histogram(np.array([-1, 1, 1, 1], np.float32), 1)
    assert found.counts.tolist() == [1, 3] and found.edges.tolist() == [-2, 0, 2]
    assert found.at_limits is None  # of 1 bit all samples are
    found = histogram(np.array([-HIGH, -1, 1, 1, 1, HIGH], np.float32), 2)
    assert found.counts.tolist() == [1, 1, 3, 1]
    assert found.at_limits == pytest.approx(2 / 6)


def test_what_lies_beyond_the_axis_is_stated(rng: np.random.Generator) -> None:
    samples = rng.normal(0, 1, 10_000).astype(np.float32)
    samples[:7] = 1e6
    found = histogram(samples, 32)
    assert found.outside == pytest.approx(0.002, abs=2e-4)
    assert found.counts.sum() + round(found.outside * samples.size) == samples.size
    figure = view.draw(MemoryVoltages(samples[:, np.newaxis], header(n_pol=1, n_bits=32)),
                       what="histogram")
    assert "0.2 % beyond the axis" in figure.axes[0].get_legend().get_texts()[0].get_text()


@pytest.mark.recorded
def test_recorded_1_bit_samples_have_both_levels() -> None:
    stream = fs.open(recorded("baseband/sample.m5b"), nchan=8, bps=1, kday=56000).stream
    figure = view.draw(stream)
    for step in figure.axes[0].patches:
        counts = step.get_data().values
        assert len(counts) == 2 and counts.min() > 0.3 * counts.sum()
