"""Cases: the search for pulses, compared with real transforms alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from fastsig_kernels import Boxcars, Normalizer, boxcar_ladder

from bench import peers
from bench.data import MEGA, gaussian
from bench.timing import Case, Mark, Scale, Task
from fastsig.pulsar.stretches import Recording
from fastsig.search.bursts.engine import BurstSearch
from fastsig.search.bursts.plan import search_plan

_N_CHAN = 4096
_LOSS, _LONGEST = 0.05, 2048  # 100 ms


def beam(scale: Scale, threads: int = 1) -> tuple[Callable[[np.ndarray], None], np.ndarray]:
    """Return the search of 8-bit spectra of FAST by its default plan, and spectra.

    With the longest delay in the past, weights take no time.
    """
    band = Recording.of_band("1GHz", "500MHz", _N_CHAN, "49.152us")
    plan = search_plan(band, scale.pick((0, 3000), (0, 10)))
    search = BurstSearch(plan, dtype="uint8", threads=threads)
    n = scale.pick(2**15, 2**12)
    rng = np.random.default_rng(1)
    tile = np.clip(np.rint(rng.normal(100, 20, (2**12, _N_CHAN))), 0, 255).astype("u1")
    x = np.concatenate([tile] * (n // len(tile)))
    for _ in range(1 if scale.quick else int(plan.reach_s / band.sample_s) // n + 4):
        search.process(x)
    return search.process, x


def whole(scale: Scale) -> Task:
    """Bytes in memory to events, in the middle of a stream."""
    search, x = beam(scale)
    return Task(x.size / MEGA, partial(search, x),
                peers.transforms("real", 8192, scale, (peers.SCIPY,)))


def in_threads(scale: Scale) -> Task:
    """Two threads compared with one."""
    (one, x), (two, _) = beam(scale), beam(scale, threads=2)
    return Task(x.size / MEGA, partial(two, x), {"one thread": partial(one, x)})


def boxcars(scale: Scale, *, lost: bool = False) -> Task:
    """Values of a plane in memory to events; with weights if some values are lost."""
    n_row, n = scale.pick(512, 32), scale.pick(2**15, 2**12)
    x = gaussian(n_row * n).reshape(n_row, n)
    weight = None
    if lost:
        weight = np.ones(x.shape, np.float32)
        weight[:, ::100] = 0
    plan = Boxcars(n_row, boxcar_ladder(_LOSS, _LONGEST), threshold=7.0)
    plan.process(x, weight=weight)
    return Task(x.size / MEGA, partial(plan.process, x, weight=weight), {})


def normalizer(scale: Scale) -> Task:
    """Bytes in memory to normalised codes."""
    n = scale.pick(2**13, 2**9)
    plan = Normalizer(_N_CHAN, segment=256 if scale.quick else 4096)
    x = np.clip(np.rint(100 + 20 * gaussian(n * _N_CHAN)), 0, 255).astype("u1")
    x = x.reshape(n, _N_CHAN)
    for _ in range(10):
        plan.process(x)
    return Task(x.size / MEGA, partial(plan.process, x),
                peers.transforms("real", 8192, scale, (peers.SCIPY,)))


CASES = [
    Case("bursts", "MS", whole, "8-bit spectra of a beam to events, DM 0-3000, widths to 100 ms",
         ((Mark(0.14, (peers.SCIPY,)),),)),
    Case("bursts-2", "MS", in_threads, "the same in two threads", ((Mark(1.8, ("one thread",)),),)),
    Case("boxcars", "Mvalues", boxcars, "a plane of DM and time to events, widths to 2048",
         ((Mark(300),),)),
    Case("boxcars-lost", "Mvalues", partial(boxcars, lost=True), "the same with weights"),
    Case("normalize-spectra", "MS", normalizer, "8-bit spectra to normalised codes",
         ((Mark(1.0, (peers.SCIPY,)),),)),
]
