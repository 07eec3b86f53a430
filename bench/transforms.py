"""Cases: complex transforms of many lengths, forward and back, from memory to memory."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from fastsig_kernels import fft_plan

from bench import peers
from bench.data import BYTES, MEGA, gaussian
from bench.timing import Case, Mark, Scale, Task

COPY = "np.copyto"


def transforming(scale: Scale, n: int, direction: str = "forward",
                 names: Sequence[str] = peers.TRANSFORMS) -> Task:
    """Transforms of 64 MB or one, compared with forward transforms of others, and a copy."""
    rows = max(1, scale.pick(BYTES, 2**20) // (8 * n))
    x, out = (peers.aligned((rows, n), np.complex64) for _ in range(2))
    numbers = gaussian(2 * min(rows * n, 2**22))
    x.view(np.float32).reshape(-1)[:] = np.resize(numbers, 2 * rows * n)
    plan = fft_plan(n, direction=direction)
    return Task(
        x.size / MEGA, partial(plan.process, x, out=out),
        {**peers.transforms("complex", n, scale, names), COPY: partial(np.copyto, out, x)},
    )


def _case(n: int, direction: str = "forward") -> Case:
    name = {"forward": "fft", "inverse": "ifft"}[direction]
    least = 1.5 if n < 2**18 else 1.2
    # FFTW needs minutes to measure plans of these lengths.
    names = peers.TRANSFORMS if n <= 2**20 else (peers.MKL, peers.DUCC)
    words = "complex" if direction == "forward" else "inverse complex"
    return Case(f"{name}-{n}", "MS",
                partial(transforming, n=n, direction=direction, names=names),
                f"{words} transforms of {n} points", ((Mark(least, names), Mark(0.75, (COPY,))),))


_LONG = (2**18, 2**20, 2**22, 2**24, 2**26)
CASES = [*(_case(n) for n in (2**8, 2**10, 2**12, 2**14, 2**16, *_LONG)),
         *(_case(n, "inverse") for n in _LONG)]
