"""Cases: the search for pulses, compared with real transforms alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from fastsig_kernels import Boxcars, Normalizer, PulseSearch, boxcar_ladder, halve

from bench import peers
from bench.data import MEGA, gaussian
from bench.dispersion import curve
from bench.timing import Case, Mark, Scale, Task

_N_CHAN, _SAMPLE = 4096, 49.152e-6
_LOSS, _LONGEST = 0.05, 2048  # 100 ms
#: Delay from 1500 to 1000 MHz up to which spectra are searched at the full rate: DM 95.
_DELAYS, _OCTAVES = 4456, 6


def beam(n: int, threads: int = 1) -> tuple[Callable[[np.ndarray], int], np.ndarray]:
    """Return a search of 8-bit spectra for DMs from 0 to 3000, and spectra.

    It returns the number of events. The rate is halved for each octave of DMs above 95.
    """
    normalizer = Normalizer(_N_CHAN, segment=min(4096, n), half=2, threads=threads)
    searches = []
    for octave in range(_OCTAVES):
        delays = np.arange(_DELAYS / 2 if octave else 0.0, _DELAYS)
        searches.append(PulseSearch(curve(_N_CHAN), delays, threads=threads, threshold=7.0,
                                    ladder=boxcar_ladder(_LOSS, _LONGEST >> octave)))

    memory = [np.empty((n >> octave, _N_CHAN), np.int8) for octave in range(_OCTAVES)]

    def search(x: np.ndarray) -> int:
        codes, valid = normalizer.process(x, out=memory[0])
        found = 0
        for octave, each in enumerate(searches):
            if octave:
                codes, valid = halve(codes, valid, out=memory[octave][: len(codes) // 2],
                                     threads=threads)
            found += len(each.process(codes, valid=valid))
        return found

    rng = np.random.default_rng(1)
    tile = np.clip(np.rint(rng.normal(100, 20, (min(n, 2**12), _N_CHAN))), 0, 255).astype("u1")
    return search, np.concatenate([tile] * (n // len(tile)))


def whole(scale: Scale) -> Task:
    """Bytes in memory to events, in the middle of a stream."""
    n = scale.pick(2**15, 2**8)
    search, x = beam(n)
    # With the longest delay in the past, weights take no time.
    reach = _DELAYS << (_OCTAVES - 1)
    for _ in range(1 if scale.quick else reach // n + 2):
        search(x)
    return Task(x.size / MEGA, partial(search, x),
                peers.transforms("real", 8192, scale, (peers.SCIPY,)))


def in_threads(scale: Scale) -> Task:
    """Two threads compared with one."""
    n = scale.pick(2**15, 2**8)
    (one, x), (two, _) = beam(n), beam(n, threads=2)
    for _ in range(1 if scale.quick else (_DELAYS << (_OCTAVES - 1)) // n + 2):
        one(x)
        two(x)
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
