"""The example of `to_series`; its tests are those of `test_dedisperse.py`."""

from __future__ import annotations

from typing import Any

import numpy as np
from dispersed import head
from streams import MemorySpectra

import fastsig as fs
from fastsig.axes.frequency import ChannelAxis
from fastsig.verbs import without_stream

EXAMPLE: dict[str, Any] = {}


def test_a_verb_without_arguments_has_no_section_of_parameters() -> None:
    text = fs.Chain.to_series.__doc__ or ""
    assert "Parameters" not in text and "\n\nRaises\n" in text
    assert without_stream("A.\n\nParameters\n----------\nsource : x\n    A.\n") == "A."


def test_a_series_of_many_channels_and_rows() -> None:
    """More channels than a subtree of the sums, and more rows than a run."""
    data = np.random.default_rng(2).normal(10, 1, (3000, 1, 1200)).astype(np.float32)
    axis = ChannelAxis.around(400 * 10**6, 10**4, 1200)
    chain = fs.Chain(MemorySpectra(data, head(axis, n_product=1)))
    expected = data.mean(axis=2, dtype=np.float64)
    for made in (chain.to_series(), chain.dedisperse(0).to_series()):
        np.testing.assert_allclose(made.read().values[:, :, 0], expected, rtol=3e-7)
