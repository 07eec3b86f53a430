"""Cases: spectra to sums for many delays, compared with real transforms alone."""

from __future__ import annotations

from functools import partial

import numpy as np
from fastsig_kernels import FDMT

from bench import peers
from bench.data import MEGA, random_bytes
from bench.timing import Case, Mark, Scale, Task

_N_CHAN, _N_DELAY = 4096, 2048


def curve(n_chan: int, low: float = 1000.0, high: float = 1500.0) -> np.ndarray:
    """Return the delay of channels of ascending frequency, in MHz, relative to the whole delay."""
    f = low + (np.arange(n_chan) + 0.5) * (high - low) / n_chan
    delays: np.ndarray = (f**-2 - f[-1]**-2) / (f[0]**-2 - f[-1]**-2)
    return delays


def tree(scale: Scale, lost: float = 0.0) -> Task:
    """Bytes in memory to the sums of all delays, with the given share of spectra and channels lost.

    What is lost is random, in time and in frequency.
    """
    n = scale.pick(2**13, 2**8)
    plan = FDMT(curve(_N_CHAN), np.arange(float(scale.pick(_N_DELAY, 64))))
    x = random_bytes(n * _N_CHAN).reshape(n, _N_CHAN)
    out = plan.process(x)  # the beginning of a stream has weights of its own
    valid = None
    if lost:
        rng = np.random.default_rng(3)
        valid = (rng.random((n, 1)) > lost / 2) & (rng.random((n, _N_CHAN)) > lost / 2)
    return Task(x.size / MEGA, partial(plan.process, x, valid=valid, out=out),
                peers.transforms("real", 8192, scale, (peers.SCIPY,)))


CASES = [
    Case("fdmt", "MS", tree, "4096 channels of 8 bits, 2048 delays",
         ((Mark(1.2, (peers.SCIPY,)),),)),
    Case("fdmt-lost", "MS", partial(tree, lost=0.1), "the same, 10 % of the samples lost",
         ((Mark(0.6, (peers.SCIPY,)),),)),
]
