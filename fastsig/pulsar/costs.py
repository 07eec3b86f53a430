"""What a plan costs: additions and memory of trees, and their measured rate on this machine."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from fastsig.pulsar.stretches import Recording, Stretch

__all__ = ["TreeCost", "measured_rate", "tree_cost"]

# The trial: channels, delays and spectra; long enough to be measured, short enough to wait for.
_N_CHAN, _N_DELAY, _N_TIME, _N_RUN = 1024, 512, 8192, 5


@dataclass(frozen=True)
class TreeCost:
    """The tree of a stretch.

    Parameters
    ----------
    n_addition : int
        Number of additions for each downsampled spectrum.
    memory_bytes : int
        Memory used by tables, work space and state, bytes.
    jitter : float
        Rms distance of its tracks from the exact delays after subtraction of the best constant for
        each row, in downsampled spectra.
    worst : float
        Rms distance of the worst row; each row has a different track.
    """

    n_addition: int
    memory_bytes: int
    jitter: float
    worst: float


def _plan(recording: Recording, delays: np.ndarray) -> Any:
    from fastsig_kernels import FDMT

    return FDMT(recording.curve, delays, dtype="float32")


@cache
def tree_cost(stretch: Stretch) -> TreeCost:
    """Return the cost and the accuracy of the tree of a stretch, from the tree itself."""
    plan = _plan(stretch.recording, stretch.delays)
    return TreeCost(plan.n_addition, plan.memory_bytes, float(np.sqrt(np.mean(plan.jitter**2))),
                    float(plan.jitter.max()))


@cache
def measured_rate() -> float:
    """Return the additions per second of one thread in a trial of the kernel.

    The trial sums 1024 channels for 512 delays and takes about 0.1 s after the kernel is compiled.
    """
    recording = Recording(1000.0, 1500.0, _N_CHAN, 1.0, 1.0)
    plan = _plan(recording, np.arange(_N_DELAY, dtype=np.float64))
    spectra = np.zeros((_N_TIME, _N_CHAN), np.float32)
    plan.process(spectra)
    times = []
    for _ in range(_N_RUN):
        begin = time.thread_time()
        plan.process(spectra)
        times.append(time.thread_time() - begin)
    return float(plan.n_addition * _N_TIME / np.median(times))
