"""The kernels that commands use at their defaults, in groups that are compiled independently."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

#: Formats of voltages: numbers, complex or real, polarisations sample by sample.
LAYOUTS = (("int8", False, False), ("int8", True, True), ("uint8", False, False),
           ("int16", False, False), ("float32", False, False), ("float32", True, False))
#: Numbers of channels that need different forms: one for each group of leaves that is sorted
#: together, and with few and many frames filtered together.
CHANNELS = (256, 512, 1024, 2048, 8192, 4096)
PRODUCTS = ("I", "AABB", "AABBCRCI", "IQUV")
_MOST = 4  # processes: each prepares the compiler, and shared parts are compiled in several


def banks() -> None:
    """Spectra of 8-bit voltages of two polarisations, real and in coarse channels."""
    _spectra(LAYOUTS[:2])


def other_banks() -> None:
    """Spectra of one polarisation, and of voltages with other numbers."""
    from fastsig_kernels import Spectrometer

    Spectrometer(1024).compile()
    _spectra(LAYOUTS[2:], PRODUCTS[:1])


def _spectra(layouts: Any, products: tuple[str, ...] = PRODUCTS) -> None:
    from fastsig_kernels import Layout, Spectrometer

    for kind, is_complex, interleaved in layouts:
        layout = Layout(kind, is_complex=is_complex, interleaved=interleaved)
        for n_chan in CHANNELS:
            Spectrometer(n_chan, layout=layout, n_pol=2, products=products[0], n_int=2).compile()
        for each in products[1:]:
            Spectrometer(CHANNELS[-1], layout=layout, n_pol=2, products=each, n_int=2).compile()
        for lower in (False, True):
            Spectrometer(64, layout=layout, n_pol=2, products=products[-1], n_int=2,
                         lower_sideband=lower).compile()


def pictures() -> None:
    """Complex spectra of voltages, which `view` computes with 4 taps."""
    from fastsig_kernels import Channelizer, Layout

    for n_tap in (4, 8):
        for n_chan in (256, 512):
            for lower in (False, True):
                Channelizer(n_chan, n_tap=n_tap, lower_sideband=lower, layout=Layout()).compile()
            Channelizer(n_chan, n_tap=n_tap, layout=Layout("float32", is_complex=True)).compile()


def voltages() -> None:
    """What simulates voltages, and finds the lost ones."""
    from fastsig_kernels import (
        cumulative_energy,
        frame_energy,
        gaussian,
        intersect_spans,
        prototype,
        quantize,
    )

    quantize(gaussian(0, 8, seed=1, stream=0), out=np.empty(8, np.int8))
    spans = np.array([[0, 64]], np.int64)
    frame_energy(spans, 0, 3, cumulative_energy(prototype(8, 4)), 8)
    intersect_spans(spans, spans)


def files() -> None:
    """What packs and unpacks the spectra of FBH5 and PSRFITS."""
    from fastsig_kernels import (
        apply_scales,
        compress_planes,
        expand_planes,
        fit_scales,
        fletcher32,
        gamma,
        requantize,
    )

    for number in (np.float32, np.uint8):
        packed = compress_planes(np.zeros(8, number))
        expand_planes(packed, np.dtype(number).itemsize)
        fletcher32(packed)
    values = gamma(0, 64, 2.0, seed=1, stream=0).astype(np.float32).reshape(8, 2, 4)
    codes, scale, offset = fit_scales(values, 8)
    for each in (codes, values):
        apply_scales(each, scale, offset, out=np.empty_like(values))
    requantize(values)


def sums() -> None:
    """Detection and integration of frames, where they are separate stages."""
    from fastsig_kernels import (
        accumulate,
        accumulate_groups,
        detect,
        detect_accumulate,
        normalize,
    )

    frames, energy = np.zeros((3, 2, 6), np.complex64), np.ones((3, 3))
    for products, n in (("I", 1), ("AABB", 2), ("IQUV", 4)):
        power, weight = detect(frames, energy, products)
        detect_accumulate(frames, energy, products, np.zeros((n, 6), np.float32), np.zeros(n))
        accumulate(power, weight, np.zeros((n, 6), np.float32), np.zeros(n))
        for total in (power, power.astype(np.float64)):
            normalize(total, weight, 3)
            accumulate_groups(total, weight[:, :, np.newaxis], np.zeros_like(total[:1]),
                              np.zeros((1, n, 1)), 3)


def flags() -> None:
    """What `flag` needs."""
    from fastsig_kernels import (
        column_median,
        group_median,
        running_median,
        sum_threshold,
        sum_thresholds,
    )

    x, flagged = np.ones((32, 16), np.float32), np.zeros((32, 16), bool)
    column_median(x)
    column_median(np.asfortranarray(x))
    group_median(x, 4)
    running_median(x, 5)
    for axis in (0, 1):
        sum_threshold(x, flagged, sum_thresholds(6.0, 4), axis)


def reductions() -> None:
    """What `calibrate` and `frame` need."""
    from fastsig_kernels import apply_gain, resample, resampling_covariance

    values = np.ones((2, 4, 64), np.float32)
    weight = np.ones((2, 4, 1), np.float32)
    values.flags.writeable = weight.flags.writeable = False
    apply_gain(values, np.ones((2, 64), np.float32), cross=np.ones(64, np.complex64),
               row=np.ones((2, 4), np.float32))
    resample(values, np.zeros(2), np.ones(2), 64, weight=weight)
    resampling_covariance(1.0, n_lag=2)


def maps() -> None:
    """What `grid` needs."""
    from fastsig_kernels import Gridder, gaussian_table

    lon, lat = np.mgrid[0:2, 0:2].astype(np.float64)
    Gridder(lon.ravel(), lat.ravel(), lon, lat, radius=1.5, stretch=np.ones(4),
            table=gaussian_table(1.0, 1.5)).compile()


class Group(NamedTuple):
    """Kernels that are compiled one after the other."""

    compile: Callable[[], None]
    seconds: float  #: that it takes, for the division among processes


#: The groups by name, those that take longest first.
GROUPS = {
    each.compile.__name__: each
    for each in (Group(banks, 9), Group(files, 9), Group(flags, 7), Group(reductions, 7),
                 Group(maps, 6), Group(other_banks, 4), Group(sums, 4), Group(pictures, 3),
                 Group(voltages, 2))
}


def compile_all() -> None:
    """Compile all groups, or load them from the cache; other processes help if it is empty."""
    shares = _shares(len(os.sched_getaffinity(0)) if is_cold() else 1)
    helpers = [_begin(share) for share in shares[1:]]
    try:
        compile_groups(shares[0])
        for helper in helpers:
            helper.wait()
    finally:
        for helper in helpers:
            helper.kill()
            helper.wait()
    # They are in the cache now; what a helper could not save is compiled here.
    compile_groups([name for share in shares[1:] for name in share])


def compile_groups(names: list[str]) -> None:
    """Compile some groups, in this process."""
    for name in names:
        GROUPS[name].compile()


def is_cold() -> bool:
    """Whether the cache lacks compiled forms of the loop that every fast path uses."""
    from fastsig_kernels._bank_loops import integrate_nb

    try:
        return not os.path.exists(integrate_nb._cache._cache_file._index_path)
    except AttributeError:  # this numba keeps its cache elsewhere: report nothing
        return False


def _shares(n: int) -> list[list[str]]:
    """Divide the groups among up to `n` processes that finish at about the same time."""
    shares: list[list[str]] = [[] for _ in range(max(1, min(n, _MOST)))]
    for name in GROUPS:
        min(shares, key=_seconds).append(name)
    return [share for share in shares if share]


def _seconds(share: list[str]) -> float:
    return sum(GROUPS[name].seconds for name in share)


def _begin(share: list[str]) -> subprocess.Popen[bytes]:
    """Begin to compile groups in another process."""
    code = f"from fastsig.cli.warming import compile_groups; compile_groups({share!r})"
    path = os.pathsep.join([each or os.getcwd() for each in sys.path])
    return subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path},
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)
