"""Cases: folding of spectra and of voltages, compared with real transforms alone."""

from __future__ import annotations

from functools import partial

import numpy as np
from fastsig_kernels import Folder, phase_pieces

from bench import peers
from bench.data import MEGA, random_bytes
from bench.dispersion import K
from bench.stages import voltage_file
from bench.timing import Case, Mark, Scale, Task
from fastsig.chain import open_chain
from fastsig.reductions.folding.coherent import coherent_spectra
from fastsig.reductions.folding.folding import folds_of
from fastsig.reductions.folding.predictors import constant_period

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


def coherent(scale: Scale) -> Task:
    """Half a second of 500 MHz, two polarisations of real bytes in a file, to folded products.

    128 channels at DM 100 and a period of 5 ms, by the whole chain of `fold`, on one thread.
    """
    n = scale.pick(2**29, 2**21)
    source = open_chain(voltage_file(scale.folder, n))
    dm, n_chan = scale.pick(100.0, 0.1), scale.pick(128, 16)
    predictor = constant_period(source.stream, "5ms", dm=dm)
    made, n_bin = coherent_spectra(source.stream, [predictor], n_chan)
    return Task(2 * n / MEGA, lambda: folds_of(made, [predictor], n_bin=n_bin, subint=None,
                                               workers=1),
                peers.transforms("real", 8192, scale, (peers.SCIPY,)), source.close)


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
    Case("fold-coherent", "MS", coherent,
         "500 MHz of two polarisations to 128 channels at DM 100, folded: AA, BB, CR and CI",
         _marked(0.35)),
]
