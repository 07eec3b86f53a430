"""``fastsig warmup``: compile the kernels ahead of their first use."""

from __future__ import annotations

import time

import click

from fastsig.cli import common

_DTYPES = ("int8", "int16", "float32", "complex64")
_PRODUCTS = ((1, "I"), (2, "I"), (2, "AABB"), (2, "AABBCRCI"), (2, "IQUV"))  # after n_pol


def is_cold() -> bool:
    """Whether the cache lacks compiled forms of the loop that every fast path uses."""
    import os

    from fastsig_kernels._bank_loops import integrate_nb

    try:
        return not os.path.exists(integrate_nb._cache._cache_file._index_path)
    except AttributeError:  # this numba keeps its cache elsewhere: report nothing
        return False


@click.command()
@common.quiet_options
@common.debug_option
def warmup(quiet: bool, debug: bool) -> None:
    """Compile the kernels in advance to save time in later runs.

    The kernels for 8 taps are compiled. Kernels for other numbers of taps, and for some sample
    formats, are compiled when they are first used, and a message is then printed.
    """
    from fastsig_kernels import _cache
    from numba.core import event

    begin = time.perf_counter()
    with event.install_recorder("numba:compile") as recorder:
        compile_all()
    made = "compiled and cached" if _cache.is_kept() else "compiled, but could not be cached"
    state = made if recorder.buffer else "were in the cache already"
    common.say(f"kernels {state} ({time.perf_counter() - begin:.1f} s)", quiet)


def compile_all() -> None:
    """Compile the main path for each kind of input and product, and the packing of FBH5."""
    import numpy as np
    from fastsig_kernels import (
        Channelizer,
        Layout,
        Spectrometer,
        compress_planes,
        cumulative_energy,
        detect,
        detect_accumulate,
        expand_planes,
        fletcher32,
        frame_energy,
    )

    for dtype in _DTYPES:
        is_complex = dtype == "complex64"
        layout = Layout("float32" if is_complex else dtype, is_complex=is_complex)
        for n_pol, products in _PRODUCTS:
            Spectrometer(1024, layout=layout, n_pol=n_pol, products=products).compile()
        Channelizer(1024, layout=layout).compile()
    bank = Channelizer(6, n_tap=2)
    frames, energy = np.zeros((3, 2, 6), np.complex64), np.ones((3, 3))
    for pol in range(2):
        bank.process(np.zeros(bank.n_sample(3), np.int8), out=frames[:, pol])
    spans = np.array([[0, bank.n_sample(3)]], np.int64)
    frame_energy(spans, 0, 3, cumulative_energy(bank.taps), bank.hop, out=energy[:, 0].copy())
    for products, n in (("I", 1), ("AABB", 2), ("IQUV", 4)):
        detect(frames, energy, products)
        detect_accumulate(frames, energy, products, np.zeros((n, 6), np.float32), np.zeros(n))
    for number in (np.float32, np.uint8):
        packed = compress_planes(np.zeros(8, number))
        expand_planes(packed, np.dtype(number).itemsize)
        fletcher32(packed)
