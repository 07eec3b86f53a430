"""Carriers that spread over many channels during a spectrum, where boxcars are coarse."""

import numpy as np
import pytest

from fastsig.search.drift.plan import DriftPlan
from fastsig.search.drift.tile import Tile


def smeared(n_chan, start, drift, snr, rng):
    """Noise of 16 spectra, in which a carrier spreads evenly over the channels that it crosses."""
    x = rng.standard_gamma(51, (16, n_chan)).astype(np.float32) / np.float32(51)
    spread = abs(drift) / 15
    power = snr * np.sqrt(spread / 16 / 51)
    edges = np.arange(n_chan + 1) - 0.5
    for row in range(16):
        low = start + drift * row / 15 - spread / 2
        x[row] += power * np.diff(np.clip((edges - low) / spread, 0, 1))
    return x


@pytest.mark.parametrize("drift", [-262.4, 248.0, 130.0])
def test_carriers_between_two_octaves_are_found(drift, rng):
    """Just above a doubling of the drift, boxcars are nearly twice as wide as the carrier."""
    tile = Tile(DriftPlan(16, 18.253611, 2.7939677, -4.0, 4.0), 4096, 10.0)
    found = 0
    for start in 6000 + np.arange(8) * 2.3:
        signals = tile.search(smeared(2**13 + 4096, start, drift, 13.5, rng)).signals
        found += any(abs(each.drift - drift) < 20 and abs(each.start - start) < 30
                     for each in signals)
    assert found == 8
