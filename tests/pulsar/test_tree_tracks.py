"""S/N of pulses summed along the tracks of trees, for FAST's band, against exact delays."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from fastsig_kernels import FDMT
from scipy.special import ndtr

import fastsig as fs
from fastsig.pulsar.stretches import Recording, Stretch

FAST = Recording.of_band("1GHz", "500MHz", 4096, "49.152us")
#: Delays and smears of the channels for a dispersion measure of 1, s.
MHZ = np.linspace(FAST.low_mhz, FAST.high_mhz, FAST.n_chan)
DELAY = FAST.constant * (MHZ**-2 - MHZ[-1] ** -2)
SMEAR = 2 * FAST.constant * FAST.chan_mhz / MHZ**3
PHASES = (np.arange(3) + 0.5) / 3


@cache
def octaves() -> dict[int, Stretch]:
    """The first stretch of a plan to DM 3000 with each downsampling."""
    found: dict[int, Stretch] = {}
    for each in fs.dm_plan(FAST, (0, 3000)):
        found.setdefault(each.downsampling, each)
    return found


def best(late: np.ndarray, width: np.ndarray) -> float:
    """S/N of the best boxcar of Gaussians with these rms, and delays that remain, in samples."""
    edges = np.arange(-12.0, 13)
    found = []
    for phase in PHASES:
        x = (edges - phase - late[:, np.newaxis]) / width[:, np.newaxis]
        total = np.concatenate([[0], np.cumsum(np.diff(ndtr(x), axis=1).sum(axis=0))])
        found.append(max((total[n:] - total[:-n]).max() / np.sqrt(n) for n in range(1, 24)))
    return float(np.mean(found))


def kept(dm: float, sample_s: float, width_s: float, track: np.ndarray) -> float:
    """S/N along a track relative to that at the samples nearest to the exact delays."""
    exact = DELAY * (dm / sample_s)
    width = np.hypot(width_s, SMEAR * dm / np.sqrt(12 / (8 * np.log(2)))) / sample_s
    width /= np.sqrt(8 * np.log(2))
    late = exact + track
    return (best(late - np.round(late.mean()), width)
            / best(exact - np.round(exact), width))


@pytest.mark.parametrize("n", [1, 2, 4, 8, 16])
def test_narrow_pulses_keep_94_percent_and_those_of_6_samples_98(n: int) -> None:
    """At 0.1 ms, and at 0.3 ms times the downsampling, which is 6.1 spectra, in each octave."""
    stretch = octaves()[n]
    # Not the first, of DM 0 where n is 1. Tracks do not depend on the other rows.
    rows = np.linspace(0, stretch.n_dm - 1, 5).astype(int)[1:]
    tracks = FDMT(FAST.curve, stretch.delays[rows], dtype="float32").channel_delays()
    for width_s, least in ((1e-4, 0.94), (3e-4 * n, 0.98)):
        found = [kept(stretch.dms[row], stretch.sample_s, width_s, track)
                 for row, track in zip(rows, tracks, strict=True)]
        assert min(found) > least
