"""Cases: dedispersion of spectra and of voltages, compared with real transforms alone."""

from __future__ import annotations

from functools import partial

import numpy as np
from fastsig_kernels import FDMT, CoherentDedispersion

from bench import peers
from bench.data import MEGA, random_bytes
from bench.timing import Case, Mark, Scale, Task

_N_CHAN, _N_DELAY = 4096, 2048
_SAMPLE = 49.152e-6  # s
K = 1 / 2.41e-4  # MHz^2 pc^-1 cm^3 s


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


def few(scale: Scale, dms: np.ndarray, track: str) -> Task:
    """Bytes in memory to time series of some dispersion measures of FAST's band."""
    n = scale.pick(2**13, 2**8)
    per_dm = K * (1000.0**-2 - 1500.0**-2) / _SAMPLE
    plan = FDMT(curve(_N_CHAN), per_dm * dms, track=track)
    x = random_bytes(n * _N_CHAN).reshape(n, _N_CHAN)
    # With the plan's history in the past, weights take no time.
    for _ in range(1 if scale.quick else -(-plan.history // n) + 1):
        out = plan.process(x)
    return Task(x.size / MEGA, partial(plan.process, x, out=out),
                peers.transforms("real", 8192, scale, (peers.SCIPY,)))


def coherent(scale: Scale, dm: float) -> Task:
    """Two polarisations of 500 MHz, real bytes, to four products of 128 channels in 1 ms."""
    n_chan = scale.pick(128, 4)
    plan = CoherentDedispersion(n_chan, start=2.0, dispersion=1e6 * K * scale.pick(dm, 0.01) / 500,
                                n_pol=2, products="AABBCRCI", n_int=scale.pick(3906, 16))
    unit = 2 * n_chan
    x = random_bytes(2 * plan.n_point * unit).view(np.int8).reshape(2, -1)
    plan.process(x)
    block = x[:, : plan.hop * unit]
    return Task(block.size / MEGA, partial(plan.process, block),
                peers.transforms("real", 8192, scale, (peers.SCIPY,)))


def in_threads(scale: Scale) -> Task:
    """Two threads compared with one."""
    n = scale.pick(2**13, 2**8)
    x = random_bytes(n * _N_CHAN).reshape(n, _N_CHAN)
    one, two = (FDMT(curve(_N_CHAN), np.arange(float(scale.pick(_N_DELAY, 64))), threads=threads)
                for threads in (1, 2))
    out = one.process(x)
    two.process(x)
    return Task(x.size / MEGA, partial(two.process, x, out=out),
                {"one thread": partial(one.process, x, out=out)})


def _marked(least: float) -> tuple[tuple[Mark, ...], ...]:
    return ((Mark(least, (peers.SCIPY,)),),)


CASES = [
    Case("fdmt", "MS", tree, "4096 channels of 8 bits, 2048 delays", _marked(1.2)),
    Case("fdmt-lost", "MS", partial(tree, lost=0.1), "the same, 10 % of the samples lost",
         _marked(0.6)),
    Case("fdmt-2", "MS", in_threads, "4096 channels, 2048 delays, two threads",
         ((Mark(1.85, ("one thread",)),),)),
    Case("dedisperse-1", "MS", partial(few, dms=np.array([475.0]), track="exact"),
         "4096 channels of 8 bits to one series", _marked(4.0)),
    Case("dedisperse-200", "MS", partial(few, dms=400 + 0.02 * np.arange(200), track="sample"),
         "4096 channels of 8 bits to 200 series in fine steps", _marked(2.0)),
    Case("coherent-100", "MS", partial(coherent, dm=100.0),
         "500 MHz of two polarisations to 128 channels, DM 100", _marked(0.4)),
    Case("coherent-500", "MS", partial(coherent, dm=500.0), "the same, DM 500", _marked(0.33)),
]
