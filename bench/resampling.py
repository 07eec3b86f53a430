"""Cases: spectra resampled to the channels of another frame, compared with NumPy and SciPy."""

from __future__ import annotations

from functools import partial

import numpy as np
import scipy.fft
from fastsig_kernels import resample

from bench.data import MEGA
from bench.timing import Case, Mark, Scale, Task

INTERP = "np.interp"
FFT = "FFT shift"
_N_CHAN = 65536
_STEP = 1.0001  # for a site that recedes from the source at 30 km/s


def _interpolated(x: np.ndarray, position: np.ndarray, out: np.ndarray) -> None:
    """Interpolate linearly between channels: not band-limited, and lines become wider."""
    old, new = np.arange(x.shape[2]), np.arange(out.shape[2]) * _STEP
    for row, at, values in zip(x[:, 0], position, out[:, 0], strict=True):
        values[:] = np.interp(at + new, old, row)


def _shifted(x: np.ndarray, position: np.ndarray, out: np.ndarray) -> None:
    """Apply a phase ramp to each row: the same shift for all channels, and no lost channels."""
    turn = np.arange(x.shape[2] // 2 + 1, dtype=np.float32) * np.float32(2 * np.pi / x.shape[2])
    for row, at, values in zip(x[:, 0], position, out[:, 0], strict=True):
        spectrum = scipy.fft.rfft(row) * np.exp(1j * turn * np.float32(at))
        values[:] = scipy.fft.irfft(spectrum, x.shape[2])


def _task(scale: Scale, *, lost: bool) -> Task:
    n, n_chan = scale.pick(64, 4), scale.pick(_N_CHAN, 512)
    rng = np.random.default_rng(8)
    x = rng.random((n, 1, n_chan), np.float32)
    if lost:  # runs of channels that were flagged, 5 % of all
        for first in range(20, n_chan - 10, 200):
            x[:, :, first : first + 10] = np.nan
    position, step = rng.random(n) * 40, np.full(n, _STEP)
    out, weight = np.empty_like(x), np.empty_like(x)
    others = {} if lost else {FFT: partial(_shifted, x, position, out)}
    return Task(x.size / MEGA, partial(resample, x, position, step, n_chan, out=out,
                                       out_weight=weight),
                {INTERP: partial(_interpolated, x, position, out), **others})


CASES = [
    Case("resample", "Mvalues", partial(_task, lost=False),
         "spectra of 65536 channels, each with its own shift: 96 taps, weights",
         ((Mark(1.5, (FFT,)),),)),
    Case("resample-lost", "Mvalues", partial(_task, lost=True),
         "the same with 5 % of the channels lost, in runs of 10",
         ((Mark(0.2, (INTERP,)),),)),
]
