"""Hits are the same, bit for bit, for any range of drifts, units, threads and coarse channels."""

import numpy as np
import pytest
from carriers import spectra

from fastsig.reductions.drifting import searching
from fastsig.reductions.drifting.searching import Band, Settings, search_band
from fastsig.search.drift.plan import DriftPlan

CHAN_HZ, SAMPLE_S = 2.7939677, 18.253611
NONE = np.empty(0, np.int64)


class Memory:
    """Pieces of a band in memory."""

    run = 1

    def __init__(self, x):
        self.x = x

    def read_rows(self, first, stop, row, out):
        out[:] = self.x[row : row + len(out), first:stop]


def found(x, low, high, *, workers=1, n_coarse=None, lost=NONE):
    """Return the signals of a search for drifts in channels during the scan."""
    step = CHAN_HZ / ((len(x) - 1) * SAMPLE_S)
    plan = DriftPlan(len(x), SAMPLE_S, CHAN_HZ, low * step, high * step)
    return search_band(Memory(x), Band(x.shape[1], lost, n_coarse), Settings(plan, 10.0),
                       workers=workers).signals


def crowd(rng, n_time, n_chan, n, fastest):
    """Return spectra with carriers at random places, many of which cross, and lost samples."""
    carriers = []
    for _ in range(n):
        drift = float(rng.uniform(-fastest, fastest))
        snr = float(np.exp(rng.uniform(np.log(10), np.log(80)))) * max(
            1, abs(drift) / (n_time - 1)) ** 0.5
        carriers.append((float(rng.uniform(0, n_chan)), drift, int(rng.choice([1, 2, 4, 8])), snr))
    x = spectra(n_time, n_chan, carriers, seed=int(rng.integers(1000)))
    if rng.random() < 0.5:
        x[rng.random(x.shape) < 0.01] = np.nan
        x[1, 5000:9000] = 0
    return x


@pytest.fixture
def small(monkeypatch):
    """Make tiles and windows small, so that there are many borders."""
    monkeypatch.setattr(searching, "_TILE", (2**12, 2**12))
    monkeypatch.setattr(searching, "_WINDOW", 256)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n_time", [5, 16, 40, 140])
def test_the_same_hits_for_any_range_units_and_threads(seed, n_time, small, monkeypatch):
    """Those of a narrow range of drifts are those of any wider one whose drifts are within it."""
    rng = np.random.default_rng([seed, n_time])
    fastest = float(rng.uniform(5, 120))
    x = crowd(rng, n_time, 2**14 + int(rng.integers(2000)), 20, fastest)
    # Beside its limits, a range contains only a part of the tracks of a carrier.
    narrow = [fastest + 30 + float(rng.uniform(0, 30)) for _ in range(2)]
    own = found(x, -narrow[0], narrow[1])
    assert len(own) > 10
    for more in (0.0, 20.0, 70.0, 300.0):
        monkeypatch.setattr(searching, "_UNIT_VALUES", 2 ** int(rng.integers(12, 22)))
        low, high = (limit + more * float(rng.uniform(0.5, 1)) for limit in narrow)
        other = found(x, -low, high, workers=int(rng.integers(1, 4)))
        inside = [[each for each in some if abs(each.drift) < fastest + 10]
                  for some in (own, other)]
        assert inside[0] == inside[1]


def test_the_same_hits_for_any_coarse_channels_that_are_wide_enough(small):
    """Narrower ones have narrower windows, in which the level follows their bandpass."""
    x = crowd(np.random.default_rng(7), 16, 2**16, 40, 60.0)
    whole = found(x, -90, 90)
    assert len(whole) > 20
    for n_coarse in (1, 2, 4):  # 64 windows or more
        assert found(x, -90, 90, n_coarse=n_coarse) == whole
    narrow = found(x, -90, 90, n_coarse=8)
    assert narrow != whole
    near = {(each.start, each.drift) for each in narrow}
    assert sum((each.start, each.drift) in near for each in whole) > 0.9 * len(whole)
    # Their DC is left out: what is not beside it remains as it is.
    dc = np.array([2**14 + 2**13], np.int64)
    others = [each for each in whole if abs(each.low - dc[0]) > 1000]
    assert [each for each in found(x, -90, 90, lost=dc) if abs(each.low - dc[0]) > 1000] == others


def test_equal_carriers_beside_each_other_are_two_hits(small):
    """A signal that two tiles have found is one hit; two signals of one tile remain two."""
    places = [700.0, 4095.6, 4096.0, 6000.0, 8192.4, 12288.0]
    x = spectra(16, 2**14, [(at + more, 6.0, 1, 40.0) for at in places[::2] for more in (0.0, 5.0)])
    signals = found(x, -20, 20)
    assert len(signals) == 6
    assert [round(each.start) for each in signals] == [700, 705, 4096, 4101, 8192, 8197]


def test_zeros_in_a_part_of_the_band_are_lost_samples(small):
    """Recorders write zeros where data are lost: the level beside them is not lower."""
    x = spectra(16, 2**14, [(3000.0, 0.0, 1, 60.0), (9000.0, 3.0, 1, 40.0)])
    x[4:8, 2816:3072] = 0
    signals = found(x, -20, 20)
    assert [round(each.start) for each in signals] == [3000, 9000]
    assert [each.valid_share for each in signals] == [0.75, 1.0]
    assert signals[0].snr == pytest.approx(60 * 0.75**0.5, rel=0.08)
