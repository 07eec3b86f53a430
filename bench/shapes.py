"""Cases: spectrometers off the beaten path, compared with the usual ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from fastsig_kernels import Layout, Spectrometer

from bench import idioms
from bench.data import MEGA, Fused, random_bytes
from bench.spectrometers import TUNED
from bench.timing import Case, Mark, Scale, Task, Yardstick

POWER, WIDE, PLAIN, WHOLE = ("the next power of two", "one stream of 4096 channels",
                             "contiguous samples", "without losses")
_STOKES: dict[str, Any] = {"n_pol": 2, "products": "IQUV"}
_COMPLEX = Layout("int8", is_complex=True)


def length(scale: Scale, n_chan: int, **options: Any) -> Task:
    """Another number of channels, compared with NumPy and SciPy, and with a power of two."""
    call = Fused(scale, n_chan, **options)
    power = Fused(scale, 2 ** (n_chan - 1).bit_length(), **options)
    return Task(call.work, call, {TUNED: _idiom(scale, call), POWER: Yardstick(power, power.work)})


def _idiom(scale: Scale, call: Fused) -> Yardstick:
    """Return the idiom for the plan's length."""
    plan = call.plan
    n_out = scale.pick(max(1, 2**21 // (plan.n_int * plan.n_fft)), 1)
    x = call.x[0, : (n_out * plan.n_int + len(plan.taps) - 1) * plan.n_fft]
    out = np.empty((n_out, plan.n_chan), np.float32)
    return Yardstick(partial(idioms.spectrometer, x, plan.taps, plan.n_int, out),
                     n_out * plan.n_int * plan.n_fft / MEGA)


def oversampled(scale: Scale) -> Task:
    """An oversampled bank of few channels, compared with a critically sampled one."""
    call, plain = (Fused(scale, 64, n_int=256, oversample=ratio, **_STOKES)
                   for ratio in ("32/27", 1))
    return Task(call.work, call, {POWER: Yardstick(plain, plain.work)})


def streams(scale: Scale, n_chan: int, *, alternate: bool = False) -> Task:
    """1024 complex streams of few channels each, compared with one of many channels."""
    n_stream = scale.pick(1024, 16)
    n = scale.pick(2**13, 2**10)
    x = random_bytes(n_stream * 4 * n).view(np.int8)
    shape = (n, n_stream, 2, 2) if alternate else (n_stream, 2, n, 2)
    x = x.reshape(shape)
    x = x.transpose(1, 2, 0, 3) if alternate else x
    plan = Spectrometer(n_chan, n_stream=n_stream, n_int=32, layout=_COMPLEX, **_STOKES)
    call = _from_start(plan, x)
    wide = Fused(scale, layout=_COMPLEX, n_int=32, **_STOKES)
    return Task(2 * n_stream * n / MEGA, call, {WIDE: Yardstick(wide, wide.work)})


def _from_start(plan: Spectrometer, x: np.ndarray, **options: Any) -> Callable[[], None]:
    """Return a call that processes a stream from its start."""
    plan.compile()

    def run() -> None:
        plan.reset()
        plan.process(x, **options)

    return run


def strided(scale: Scale) -> Task:
    """Every other sample of an array, compared with contiguous samples."""
    plain = Fused(scale, n_int=128, n_pol=2, products="IQUV")
    x = np.repeat(plain.x, 2, axis=1)[:, ::2]
    return Task(plain.work, _from_start(plain.plan.copy(), x),
                {PLAIN: Yardstick(plain, plain.work)})


def interleaved(scale: Scale, kind: str, *, is_complex: bool) -> Task:
    """Two polarisations that alternate, compared with separate ones."""
    layout = Layout(kind, is_complex=is_complex)
    plain = Fused(scale, layout=layout, n_int=128, **_STOKES)
    x = np.ascontiguousarray(plain.x.swapaxes(0, 1)).swapaxes(0, 1)
    plan = Spectrometer(plain.plan.n_chan, n_int=128, **_STOKES,
                        layout=replace(layout, interleaved=True))
    return Task(plain.work, _from_start(plan, x), {PLAIN: Yardstick(plain, plain.work)})


def flagged_losses(scale: Scale) -> Task:
    """Spectral kurtosis where 5 % of the samples are lost in gaps, compared with no losses."""
    plain = Fused(scale, n_int=256, flag_sigma=3.0, **_STOKES)
    n = plain.x.shape[1]
    starts = np.arange(20_000, n, 20_000)
    edges = np.concatenate([[0], np.stack([starts, starts + 1000], axis=1).ravel(), [n]])
    valid = edges[: len(edges) // 2 * 2].reshape(-1, 2)
    return Task(plain.work, _from_start(plain.plan.copy(), plain.x, valid=valid),
                {WHOLE: Yardstick(plain, plain.work)})


def _length(n_chan: int, **options: Any) -> Case:
    about = f"as fused-i, {n_chan} channels" + (
        f", sums of {options['n_int']}" if "n_int" in options else "")
    name = f"shape-{n_chan}" + ("-short" if "n_int" in options else "")
    marks = ((Mark(3.0, (TUNED,)),), (Mark(0.5, (POWER,)),))
    return Case(name, "MS", partial(length, n_chan=n_chan, **options), about, marks)


CASES = [
    _length(1000), _length(1536), _length(3000), _length(6000), _length(10_000),
    _length(100_000), _length(3000, n_int=1),
    Case("shape-8", "MS", partial(length, n_chan=8, n_int=256), "8 channels, sums of 256",
         ((Mark(3.0, (TUNED,)),),)),
    Case("oversampled-64", "MS", oversampled, "64 channels at 32/27, I, Q, U, V",
         ((Mark(0.4, (POWER,)),),)),
    Case("streams-16", "MS", partial(streams, n_chan=16), "1024 streams of 16 channels, IQUV",
         ((Mark(0.6, (WIDE,)),),)),
    Case("streams-8", "MS", partial(streams, n_chan=8), "1024 streams of 8 channels, IQUV",
         ((Mark(0.6, (WIDE,)),),)),
    Case("streams-16-alternate", "MS", partial(streams, n_chan=16, alternate=True),
         "the same with 16 channels, sample by sample", ((Mark(0.3, (WIDE,)),),)),
    Case("strided", "MS", strided, "every other sample", ((Mark(0.5, (PLAIN,)),),)),
    Case("interleaved", "MS", partial(interleaved, kind="float32", is_complex=True),
         "two polarisations alternate, complex float32", ((Mark(0.5, (PLAIN,)),),)),
    Case("interleaved-int8", "MS", partial(interleaved, kind="int8", is_complex=False),
         "the same, int8, as in native files", ((Mark(0.9, (PLAIN,)),),)),
    Case("flag-losses", "MS", flagged_losses, "kurtosis with 5 % of the samples lost",
         ((Mark(0.6, (WHOLE,)),),)),
]
