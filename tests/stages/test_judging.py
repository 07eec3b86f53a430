"""The statistics of interference, apart from streams."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import interp1d

from fastsig.stages.flag_statistics import _bridge


@settings(deadline=None)
@given(st.integers(3, 200), st.floats(0.02, 0.98), st.integers(-30, 30), st.integers(0, 2**32 - 1))
def test_bridges_are_scipys_lines_bit_for_bit(n: int, share: float, power: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    values = (random.normal(size=n) * 10.0**power + random.choice([0, 1000])).astype(np.float32)
    good = random.random(n) < share
    good[random.choice(n, 2, replace=False)] = True
    values[~good] = np.nan
    number, expected = np.arange(n), values.copy()
    line = interp1d(number[good], values[good], fill_value="extrapolate")
    expected[~good] = line(number[~good])
    _bridge(values, good)
    assert values.tobytes() == expected.tobytes()
