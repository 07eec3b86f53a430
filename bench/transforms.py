"""Cases: complex transforms of many lengths, from memory to memory."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from fastsig_kernels import fft_plan

from bench import peers
from bench.data import BYTES, MEGA, gaussian
from bench.timing import Case, Mark, Scale, Task

COPY = "np.copyto"


def transforming(scale: Scale, n: int, names: Sequence[str] = peers.TRANSFORMS) -> Task:
    """Transforms of 64 MB, compared with other libraries and a copy."""
    rows = max(1, scale.pick(BYTES, 2**20) // (8 * n))
    x, out = (peers.aligned((rows, n), np.complex64) for _ in range(2))
    x.view(np.float32)[:] = gaussian(2 * rows * n).reshape(rows, -1)
    plan = fft_plan(n)
    return Task(
        x.size / MEGA, partial(plan.process, x, out=out),
        {**peers.transforms("complex", n, scale, names), COPY: partial(np.copyto, out, x)},
    )


def _case(n: int) -> Case:
    least = 1.2 if n == 2**20 else 1.5
    return Case(f"fft-{n}", "MS", partial(transforming, n=n), f"complex transforms of {n} points",
                ((Mark(least, peers.TRANSFORMS), Mark(0.75, (COPY,))),))


CASES = [_case(n) for n in (2**8, 2**10, 2**12, 2**14, 2**16, 2**20)]
