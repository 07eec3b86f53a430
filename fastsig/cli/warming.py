"""The kernels that commands use at their defaults, in groups that are compiled independently."""

from __future__ import annotations

import importlib
import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

#: Formats of voltages: numbers, complex or real, polarisations sample by sample.
LAYOUTS = (("int8", False, False), ("int8", True, True), ("int8", False, True),
           ("int8", True, False), ("uint8", False, False), ("int16", False, False),
           ("float32", False, False), ("float32", True, False))
#: Numbers of channels that need different forms: one for each group of leaves that is sorted
#: together, and with few and many frames filtered together.
CHANNELS = (256, 512, 1024, 2048, 8192, 4096)
PRODUCTS = ("I", "AABB", "AABBCRCI", "IQUV")
_MOST = 4  # processes: each prepares the compiler, and shared parts are compiled in several


def banks() -> None:
    """Spectra of 8-bit voltages, real and in coarse channels, and of other numbers."""
    from fastsig_kernels import Spectrometer

    _spectra(LAYOUTS[:2])
    _spectra(LAYOUTS[2:], PRODUCTS[:1])
    Spectrometer(1024).compile()  # of one polarisation


def _spectra(layouts: Any, products: tuple[str, ...] = PRODUCTS) -> None:
    from fastsig_kernels import Layout, Spectrometer

    for kind, is_complex, interleaved in layouts:
        layout = Layout(kind, is_complex=is_complex, interleaved=interleaved)
        for n_chan, lower in itertools.product(CHANNELS, (False, True)):
            Spectrometer(n_chan, layout=layout, n_pol=2, products=products[0], n_int=2,
                         lower_sideband=lower).compile()
        for each in products[1:]:
            Spectrometer(CHANNELS[-1], layout=layout, n_pol=2, products=each, n_int=2).compile()
        for each, lower in itertools.product(products, (False, True)):
            Spectrometer(64, layout=layout, n_pol=2, products=each, n_int=2,
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
    """What `flag` needs, and the other stages that excise interference."""
    from fastsig_kernels import (
        apply_flags,
        band_mean,
        channel_levels,
        column_median,
        deviations,
        flag_deviations,
        group_median,
        iqrm_mask,
        moving_median,
        power_sums,
        quantiles,
        running_median,
        series_gain,
        subtract_series,
        sum_threshold,
        sum_thresholds,
        through_knots,
    )

    x, flagged = np.ones((32, 16), np.float32), np.zeros((32, 16), bool)
    column_median(x)
    column_median(np.asfortranarray(x))
    group_median(x, 4)
    running_median(x, 5)
    for axis in (0, 1):
        sum_threshold(x, flagged, sum_thresholds(6.0, 4), axis)
    moving_median(x, 5)
    through_knots(x, np.zeros(4, np.int64), np.ones((2, 4), np.float32))
    deviations(x, x[0], x[1])
    iqrm_mask(np.ones(16), 2)
    weight = np.ones((32, 1, 1), np.float32)
    for each in (x, weight):
        each.flags.writeable = False  # as are the spectra of a file
    for valid in (weight, np.broadcast_to(weight, (32, 1, 16))):
        apply_flags(x[:, np.newaxis], valid, flagged[:, np.newaxis])
    for each in (x, x.copy()):
        series = band_mean(each)
        power_sums(each)
        subtract_series(each, series, gain=series_gain(each, series))
        flag_deviations(each, flagged, sum_thresholds(6.0, 4), *channel_levels(each))
    quantiles(x[:, 0].copy(), np.array([0.5]))
    codes = np.ones((32, 16), np.uint8)
    codes.flags.writeable = False
    power_sums(codes)
    flag_deviations(codes, flagged, sum_thresholds(6.0, 4), *channel_levels(codes),
                    series=band_mean(codes))


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


def dispersion() -> None:
    """What `dedisperse` needs."""
    from fastsig_kernels import FDMT, shift_channels, shift_rows

    for kind in ("float32", "uint8"):
        FDMT(np.linspace(1, 0, 512), np.arange(4.0), dtype=kind).compile()
    x, shift = np.ones((2, 1, 4), np.float32), np.zeros(4, np.int64)
    shift_channels(x, shift, 0, np.empty_like(x))
    shift_rows(x[0], shift[:1], 0, np.empty_like(x[0]))
    x.flags.writeable = False  # as are the spectra of a file
    shift_channels(x, shift, 0, np.empty_like(x))


def folding() -> None:
    """What `fold` needs."""
    from fastsig_kernels import Folder

    Folder(8, 64, dtype="float32").compile()


def pulses() -> None:
    """What `search bursts` needs."""
    from fastsig_kernels import Normalizer, PulseSearch, boxcar_ladder, friends, halve

    for kind in ("uint8", "float32"):
        Normalizer(64, dtype=kind).compile()
    codes = np.zeros((2, 64), np.uint8)
    codes.flags.writeable = False  # as are those of a file
    Normalizer(64).process(codes)
    PulseSearch(np.linspace(1, 0, 512), np.arange(4.0), boxcar_ladder(0.05, 2048)).compile()
    halve(np.zeros((2, 64), np.int8))
    one = np.ones(1, np.int64)
    friends(one, one, one, time_link=0, row_link=2)


def periods() -> None:
    """What `search pulsars` needs: series of spectra, and both searches of a series."""
    from fastsig_kernels import FDMT

    from fastsig.search.pulsars.ffa import FoldingSearch
    from fastsig.search.pulsars.fourier import FourierSearch

    FDMT(np.linspace(1, 0, 32), np.arange(3.0), dtype="int8", track="half").compile()
    FoldingSearch(2**14, 1e-3, period=(0.25, 1.0)).compile()
    for z_max in (0, 2):
        FourierSearch(2**12, 1e-3, z_max=z_max).compile()


def drifts() -> None:
    """What `search drift` needs: sums along tracks, and by a tree for many spectra."""
    from fastsig.search.drift.plan import DriftPlan
    from fastsig.search.drift.tile import Tile

    for n_spectrum in (16, 40):
        tile = Tile(DriftPlan(n_spectrum, 1.0, 1.0, -4.0, 4.0), 256, 10.0)
        x = np.random.default_rng(0).standard_gamma(50, (n_spectrum, 16384), dtype=np.float32)
        x[:, [700, 9000]] += 50  # carriers: the search is repeated around them
        lost = x.copy()
        lost[:, 2000] = np.nan
        x.flags.writeable = False  # as are the spectra of a file
        for each in (x, lost, x[:, :8192]):
            tile.search(each)


def packets() -> None:
    """What receives packets, and what sends simulated ones."""
    from fastsig_kernels import uniform
    from fastsig_kernels._socket_loops import Outgoing, send_packets_nb

    from fastsig.io.live.layouts import fast_adc
    from fastsig.io.live.udp import Receiver, Socket

    with Receiver(Socket(), fast_adc(reorder=8), 2**19) as receiver:
        receiver.prepared()
    send_packets_nb(-1, Outgoing(1, 8, 8).place, 0)
    uniform(0, 8, seed=1, stream=0)


class Group(NamedTuple):
    """Kernels that are compiled one after the other."""

    compile: Callable[[], None]
    seconds: float  #: that it takes, for the division among processes
    kernel: str  #: one of them; if it is in the cache, others are not looked for before


#: The groups by name, those that take longest first.
GROUPS = {
    each.compile.__name__: each
    for each in (
        Group(banks, 13, "_bank_loops.integrate_nb"),
        Group(files, 8, "bitshuffle.compress_planes_nb"),
        Group(flags, 6, "medians.running_median_nb"),
        Group(folding, 5, "_folding_shifts.add_groups_nb"),
        Group(reductions, 4, "resampling.resample_nb"),
        Group(maps, 4, "_gridding_loops.grid_tiles_nb"),
        Group(dispersion, 4, "shifting.shift_channels_nb"),
        Group(pulses, 10, "_boxcar_loops.search_rows_nb"),
        Group(periods, 8, "_ffa_loops.search_nb"),
        Group(drifts, 4, "_track_levels.level_maxima_nb"),
        Group(packets, 5, "_socket_loops.receive_packets_nb"),
        Group(sums, 3, "detection.detect_nb"),
        Group(pictures, 1.5, "_bank_loops.spectra_nb"),
        Group(voltages, 1, "noise.gaussian_nb"))
}


def compile_all() -> None:
    """Compile all groups, or load them from the cache; other processes help with missing ones."""
    missing = missing_groups()
    own, *others = _shares(missing, len(os.sched_getaffinity(0)))
    helpers = [_begin(share) for share in others]
    try:
        compile_groups(own)
        for helper in helpers:
            helper.wait()
    finally:
        for helper in helpers:
            helper.kill()
            helper.wait()
    # They are in the cache now; what a helper could not save is compiled here.
    compile_groups([name for name in GROUPS if name not in own])


def compile_groups(names: list[str]) -> None:
    """Compile some groups, in this process."""
    for name in names:
        GROUPS[name].compile()


def missing_groups() -> list[str]:
    """Return the groups of which no kernel was compiled; commands compile what they need."""
    return [name for name, group in GROUPS.items() if not _is_cached(group.kernel)]


def is_cold() -> bool:
    """Whether the cache lacks compiled forms of the loop that every fast path uses."""
    return not _is_cached("_bank_loops.integrate_nb")


def _is_cached(kernel: str) -> bool:
    """Whether the cache has any form of a kernel."""
    module, _, name = kernel.partition(".")
    function = getattr(importlib.import_module(f"fastsig_kernels.{module}"), name)
    try:
        return os.path.exists(function._cache._cache_file._index_path)
    except AttributeError:  # this numba keeps its cache elsewhere: report nothing
        return True


def _shares(names: list[str], n: int) -> list[list[str]]:
    """Divide groups among up to `n` processes that finish at about the same time."""
    shares: list[list[str]] = [[] for _ in range(max(1, min(n, _MOST, len(names))))]
    for name in names:
        min(shares, key=_seconds).append(name)
    return shares


def _seconds(share: list[str]) -> float:
    return sum(GROUPS[name].seconds for name in share)


def _begin(share: list[str]) -> subprocess.Popen[bytes]:
    """Begin to compile groups in another process."""
    code = f"from fastsig.cli.warming import compile_groups; compile_groups({share!r})"
    path = os.pathsep.join([each or os.getcwd() for each in sys.path])
    return subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path},
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)
