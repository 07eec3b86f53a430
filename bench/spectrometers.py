"""Cases: voltages in memory to integrated spectra, compared with transforms alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from bench import idioms, peers
from bench.data import MEGA, N_CHAN, N_FFT, N_TAP, Fused, InThreads, layout_of
from bench.timing import Case, Mark, Scale, Task, Yardstick

#: Libraries whose fastest transform of real samples is the reference.
REAL = (peers.SCIPY, peers.FFTW, peers.MKL)
IDIOM, TUNED = "NumPy + SciPy spectrometer", "the same, tuned to the cache"
ONE_THREAD, UNFLAGGED = "one thread", "without flags"


def fused(scale: Scale, names: Sequence[str] = peers.TRANSFORMS, **options: Any) -> Task:
    """One thread compared with transforms alone of the same length; all polarisations count."""
    call = Fused(scale, **options)
    kind = "complex" if call.plan.layout.is_complex else "real"
    return Task(call.work, call, peers.transforms(kind, call.plan.n_fft, scale, names))


def fused_i(scale: Scale) -> Task:
    """The main case, compared also with NumPy and SciPy, and with transforms within the cache."""
    call = Fused(scale)
    return Task(call.work, call, {
        **peers.transforms("real", N_FFT, scale),
        **peers.transforms("real", N_FFT, scale, (peers.FFTW, peers.MKL), kept=False),
        IDIOM: idiom(scale, call, idioms.plain_spectrometer),
        TUNED: idiom(scale, call, idioms.spectrometer),
    })


def idiom(scale: Scale, call: Fused, function: Callable[..., None]) -> Yardstick:
    """Return a yardstick that makes the same spectra from fewer samples, as it is slow."""
    plan = call.plan
    n_out = scale.pick(16, 1)
    x = call.x[0, : (n_out * plan.n_int + N_TAP - 1) * N_FFT]
    out = np.empty((n_out, N_CHAN), np.float32)
    return Yardstick(partial(function, x, plan.taps, plan.n_int, out),
                     n_out * plan.n_int * N_FFT / MEGA)


def in_threads(scale: Scale, **options: Any) -> Task:
    """Two threads compared with one."""
    one = Fused(scale, **options)
    two = InThreads(one)
    return Task(two.work, two, {ONE_THREAD: Yardstick(one, one.work)}, two.close)


def by_itself(scale: Scale, **options: Any) -> Task:
    """A plan with two threads compared with one thread."""
    one, two = Fused(scale, **options), Fused(scale, threads=2, **options)
    return Task(two.work, two, {ONE_THREAD: Yardstick(one, one.work)})


def flagged(scale: Scale) -> Task:
    """Spectra with spectral kurtosis, compared with those without."""
    options: dict[str, Any] = {"n_pol": 2, "products": "IQUV", "n_int": 256, "n_inner": 256}
    call, plain = Fused(scale, flag_sigma=3.0, **options), Fused(scale, **options)
    return Task(call.work, call, {UNFLAGGED: Yardstick(plain, plain.work)})


def _two(products: str) -> dict[str, Any]:
    """Return options for both polarisations of a beam, in spectra of 49.152 us at 1 GS/s."""
    return {"n_pol": 2, "products": products, "n_int": 6}


def _fused(name: str, about: str, least: float, fastest: tuple[str, ...], **options: Any) -> Case:
    return Case(name, "MS", partial(fused, **options), about, ((Mark(least, fastest),),))


#: Rate of one beam, MS/s: two polarisations at 1 GS/s.
BEAM = 2000.0

CASES = [
    Case("fused-i", "MS", fused_i, "int8, 8 taps, 4096 channels, one polarisation to I in 1 ms",
         ((Mark(2.3, REAL),), (Mark(7.0, (IDIOM,)),))),
    Case("fused-i-2", "MS", in_threads, "the same in two threads", ((Mark(1.6, (ONE_THREAD,)),),)),
    _fused("fused-aabbcrci", "two polarisations to AA, BB, CR, CI in 49.152 us", 2.0, REAL,
           **_two("AABBCRCI")),
    _fused("fused-iquv", "two polarisations to I, Q, U, V in 49.152 us", 2.0, REAL,
           **_two("IQUV")),
    Case("fused-iquv-2", "MS", partial(in_threads, **_two("IQUV")),
         "the same in two threads; a beam is 2000 MS/s", ((Mark(BEAM),),)),
    Case("fused-iquv-threads", "MS", partial(by_itself, **_two("IQUV")),
         "the same with a plan of two threads", ((Mark(1.9, (ONE_THREAD,)),),)),
    Case("fused-flag", "MS", flagged, "I, Q, U, V of 256 frames with spectral kurtosis",
         ((Mark(0.9, (UNFLAGGED,)),),)),
    _fused("fused-1024", "as fused-i, 1024 channels", 2.3, REAL, n_chan=2**10),
    _fused("fused-65536", "as fused-i, 65536 channels", 1.9, REAL, n_chan=2**16),
    _fused("fused-1M", "as fused-i, 2^20 channels", 1.25, REAL, n_chan=2**20),
    _fused("fused-complex", "as fused-i, complex int8", 1.6, peers.TRANSFORMS,
           layout=layout_of(8, is_complex=True)),
]
