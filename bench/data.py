"""Random voltages in every format, and spectrometers that process them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from fastsig_kernels import PRODUCTS, Layout, Spectrometer

from bench import peers
from bench.timing import Scale

N_CHAN, N_FFT, N_TAP = 4096, 8192, 8
MEGA = 1e6
BYTES = 2**26

_TILE = 2**22


def random_bytes(n: int) -> np.ndarray:
    """Return random bytes: 4 MB, repeated."""
    tile = np.frombuffer(np.random.default_rng(1).bytes(min(n, _TILE)), np.uint8)
    return np.resize(tile, n)


def gaussian(n: int) -> np.ndarray:
    """Return Gaussian random float32: 4 MB, repeated."""
    tile = np.random.default_rng(2).standard_normal(min(n, _TILE // 4), dtype=np.float32)
    return np.resize(tile, n)


def layout_of(bits: int, *, is_complex: bool = False) -> Layout:
    """Return the format for this number of bits: packed, integers, or float32 for 32 bits."""
    if bits < 8:
        levels = tuple(np.arange(2**bits) - (2**bits - 1) / 2)
        return Layout("packed", bits, is_complex, levels=levels)
    return Layout({8: "int8", 16: "int16", 32: "float32"}[bits], is_complex=is_complex)


def voltages(layout: Layout, n_pol: int, n_sample: int) -> np.ndarray:
    """Return random voltages, (pol, time), or in the shape that the layout requires."""
    n_byte = n_sample * layout.sample_bits // 8
    if layout.kind == "float32":
        x = gaussian(n_pol * n_byte // 4)
    else:
        x = random_bytes(n_pol * n_byte).view(layout.dtype)
    whole = layout.is_complex and layout.kind != "packed"
    return x.reshape(n_pol, -1, 2) if whole else x.reshape(n_pol, -1)


class Fused:
    """A spectrometer for voltages in memory, which keeps its output; one call processes all.

    Parameters
    ----------
    scale : Scale
    n_chan : int
    layout : Layout
    n_int : int, optional
        By default 1 ms at 1 GS/s, but at least 8.
    n_byte : int
        Bytes of the voltages of all polarisations.
    options
        Options of `fastsig_kernels.Spectrometer`.
    """

    def __init__(self, scale: Scale, n_chan: int = N_CHAN, layout: Layout | None = None, *,
                 n_int: int | None = None, n_tap: int = N_TAP, n_pol: int = 1,
                 n_byte: int = BYTES, products: str = "I", **options: Any) -> None:
        layout = Layout() if layout is None else layout
        n_fft = n_chan if layout.is_complex else 2 * n_chan
        n_int = max(8, 10**6 // n_fft) if n_int is None else n_int
        # At least one integration for each of two threads, and four windows if timings count.
        least = n_fft * max(2 * (n_int + n_tap), 0 if scale.quick else 4 * n_tap)
        full = n_byte * 8 // (n_pol * layout.sample_bits)
        n = max(scale.pick(full, 0), least)
        self.x = voltages(layout, n_pol, n // n_fft * n_fft)
        self.plan = Spectrometer(
            n_chan, layout=layout, n_int=n_int, n_tap=n_tap, n_pol=n_pol, products=products,
            **options)
        self.plan.compile()
        self._layout, self._n_pol, self._n_product = layout, n_pol, len(PRODUCTS[products])
        self._run = self.part(0, 1)

    def __call__(self) -> None:
        self._run()

    @property
    def work(self) -> float:
        """Samples of all polarisations in whole frames, in 1e6."""
        return self._work(self._layout.n_time(self.x.shape))

    def _work(self, n: int) -> float:
        plan = self.plan
        return ((n - plan.taps.size) // plan.hop + 1) * plan.hop * self._n_pol / MEGA

    def part(self, i: int, n: int) -> Callable[[], None]:
        """Return a call that processes part i of n with its own plan."""
        plan, length = self.plan.copy(), self._layout.n_time(self.x.shape) // n
        length = length // plan.hop * plan.hop
        x = self._layout.cut(self.x, i * length, (i + 1) * length)
        shape = plan.n_output(length), self._n_product, plan.n_chan
        out = peers.aligned(shape, plan.out_dtype)

        def run() -> None:
            plan.reset()
            plan.process(x, out=out)

        return run


class InThreads:
    """`Fused` in threads, each with its part of the data and a copy of the plan."""

    def __init__(self, fused: Fused, n: int = 2) -> None:
        self._parts = [fused.part(i, n) for i in range(n)]
        self._pool = ThreadPoolExecutor(n)
        length = fused._layout.n_time(fused.x.shape) // n // fused.plan.hop * fused.plan.hop
        self.work = n * fused._work(length)

    def __call__(self) -> None:
        for future in [self._pool.submit(part) for part in self._parts]:
            future.result()

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()
