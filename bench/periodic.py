"""Cases: Fourier searches of a series for pulsars, compared with transforms of rows alone.

PRESTO's `accelsearch` took 1.06 s for 2^24 samples without drift, and 83 s (2^22: 18 s) for drifts
up to 200 bins, with 8 harmonics, on a machine where SciPy transformed rows of 8192 real samples at
592 MS/s. The marks are 3 and 4 times its rates, relative to such transforms.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from bench import peers
from bench.data import MEGA
from bench.timing import Case, Mark, Scale, Task
from fastsig.search.pulsars.fourier import FourierSearch

__all__ = ["CASES"]

_ROWS_MS = 592.0


def fourier(scale: Scale, n: int, z_max: float) -> Task:
    """A series in memory, to candidates, with 8 harmonics."""
    n = scale.pick(n, 2**14)
    # Noise that is repeated would be a signal in every few bins.
    series = np.random.default_rng(2).standard_normal(n, dtype=np.float32)
    search = FourierSearch(n, 64e-6, n_harmonic=8, z_max=z_max)
    return Task(n / MEGA, partial(search.process, series),
                peers.transforms("real", 8192, scale, (peers.SCIPY,)))


def _case(log2: int, z_max: float, presto_s: float, least: float) -> Case:
    share = least * 2**log2 / 1e6 / presto_s / _ROWS_MS
    return Case(f"fourier-{log2}-{z_max:g}", "MS", partial(fourier, n=2**log2, z_max=z_max),
                f"Fourier search of 2^{log2} samples, drifts up to {z_max:g} bins",
                ((Mark(share, (peers.SCIPY,)),),))


CASES = [_case(24, 0.0, 1.06, 3.0), _case(22, 200.0, 18.0, 4.0), _case(24, 200.0, 83.0, 4.0)]
