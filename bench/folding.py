"""Cases: folding of spectra, compared with real transforms alone."""

from __future__ import annotations

from functools import partial

import numpy as np
from fastsig_kernels import Folder, phase_pieces

from bench import peers
from bench.data import MEGA, random_bytes
from bench.dispersion import K
from bench.timing import Case, Mark, Scale, Task

_N_CHAN, _N_BIN = 4096, 128
_SAMPLE = 49.152e-6  # s
_PIECE = 2**13


def fold(scale: Scale, period: float, n_ephemeris: int = 1, dtype: str = "uint8",
         dm: float | None = None) -> Task:
    """Spectra in memory to profiles of ephemerides near a period, in s.

    With a dispersion measure, channels are aligned by their delays.
    """
    n = scale.pick(2**14, 2**9) // np.dtype(dtype).itemsize
    x = random_bytes(n * _N_CHAN).reshape(n, 1, _N_CHAN).astype(dtype)
    turns = np.array([0, _PIECE / 2, _PIECE]) * _SAMPLE / period
    ends = np.outer(1 + 1e-4 * np.arange(n_ephemeris), turns)[:, np.newaxis]
    phase = phase_pieces(ends.astype(np.int64), ends % 1, _PIECE).repeat(-(-n // _PIECE), axis=1)
    offset = None
    if dm is not None:
        freq_mhz = 1000 + (np.arange(_N_CHAN) + 0.5) * 500 / _N_CHAN
        turns = K * dm * freq_mhz**-2 / period
        offset = np.tile((turns % 1 * 2.0**64).astype(np.uint64), (n_ephemeris, 1))
    plan = Folder(_N_BIN, _N_CHAN, n_ephemeris=n_ephemeris, dtype=dtype)
    out, out_weight = plan.process(x, phase, _PIECE, offset=offset)
    return Task(x.size / MEGA, partial(plan.process, x, phase, _PIECE, offset=offset, out=out,
                                       out_weight=out_weight),
                peers.transforms("real", 8192, scale, (peers.SCIPY,)))


def _marked(least: float) -> tuple[tuple[Mark, ...], ...]:
    return ((Mark(least, (peers.SCIPY,)),),)


CASES = [
    Case("fold", "MS", partial(fold, period=0.7), "4096 channels of 8 bits, 128 bins of 0.7 s",
         _marked(2.0)),
    Case("fold-5ms", "MS", partial(fold, period=0.005), "the same, a period of 5 ms",
         _marked(2.0)),
    Case("fold-10", "MS", partial(fold, period=0.7, n_ephemeris=10),
         "the same, ten ephemerides near 0.7 s in one pass", _marked(0.5)),
    Case("fold-10-5ms", "MS", partial(fold, period=0.005, n_ephemeris=10),
         "the same, ten ephemerides near 5 ms in one pass", _marked(0.5)),
    Case("fold-float", "MS", partial(fold, period=0.005, dtype="float32"),
         "4096 channels of float32, a period of 5 ms", _marked(1.0)),
    Case("fold-aligned", "MS", partial(fold, period=0.7, dm=30.0),
         "4096 channels of 8 bits aligned for DM 30, a period of 0.7 s", _marked(2.0)),
    Case("fold-aligned-5ms", "MS", partial(fold, period=0.005, dm=100.0),
         "the same for DM 100, a period of 5 ms", _marked(2.0)),
    Case("fold-aligned-10", "MS", partial(fold, period=0.7, n_ephemeris=10, dm=30.0),
         "4096 channels of 8 bits aligned for DM 30, ten ephemerides near 0.7 s in one pass",
         _marked(0.5)),
    Case("fold-aligned-10-5ms", "MS", partial(fold, period=0.005, n_ephemeris=10, dm=100.0),
         "the same for DM 100, ten ephemerides near 5 ms", _marked(0.5)),
    Case("fold-aligned-float", "MS", partial(fold, period=0.005, dtype="float32", dm=100.0),
         "4096 channels of float32 aligned for DM 100, a period of 5 ms", _marked(1.0)),
]
