"""``fastsig warmup``: compile the kernels ahead of their first use."""

from __future__ import annotations

import time

import click

from fastsig.cli import common


def is_cold() -> bool:
    """Whether the filter bank, which every path runs through, has no compiled form in the cache."""
    import os

    from fastsig_kernels import polyphase_fir_complex_nb, polyphase_fir_nb

    try:
        indices = [kernel._cache._cache_file._index_path
                   for kernel in (polyphase_fir_nb, polyphase_fir_complex_nb)]
    except AttributeError:  # a numba that keeps its cache elsewhere: say nothing
        return False
    return not any(map(os.path.exists, indices))


@click.command()
@common.quiet_options
@common.debug_option
def warmup(quiet: bool, debug: bool) -> None:
    """Compile and cache the kernels, so that no later run has to wait."""
    begin = time.perf_counter()
    cold = is_cold()
    compile_all()
    state = "compiled and cached" if cold else "were in the cache already"
    common.say(f"kernels {state} ({time.perf_counter() - begin:.1f} s)", quiet)


def compile_all() -> None:
    """Run every kernel of the main path once, for each kind of input."""
    import numpy as np
    from fastsig_kernels import (
        Channelizer,
        cumulative_energy,
        detect,
        detect_accumulate,
        frame_energy,
    )

    for dtype in ("int8", "int16", "float32", "complex64"):
        bank = Channelizer(4, n_tap=2, complex_input=dtype == "complex64")
        samples = np.zeros((bank.n_sample(3), 2), dtype, order="F")
        frames = np.zeros((3, 2, 4), np.complex64)
        for pol in range(2):
            bank.process(samples[:, pol], out=frames[:, pol])
    spans = np.array([[0, len(samples)]], np.int64)
    energy = np.ones((3, 3))
    frame_energy(spans, 0, 3, cumulative_energy(bank.taps), bank.n_fft, out=energy[:, 0].copy())
    for products, n in (("I", 1), ("AABB", 2), ("IQUV", 4)):
        detect(frames, energy, products)
        detect_accumulate(frames, energy, products, np.zeros((n, 4), np.float32), np.zeros(n))
    detect(frames[:, :1], energy[:, :1], "I")
