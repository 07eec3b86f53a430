"""Cases: spectra at positions along tracks, gridded by fastsig and by cygrid on two threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from astropy.wcs import WCS
from fastsig_kernels import Gridder, gaussian_table

from bench import peers
from bench.data import MEGA
from bench.timing import Call, Case, Mark, Scale, Task, Yardstick

CYGRID, FEW = "cygrid", "fastsig, 10^5 samples"
_N_CHAN, _SIDE, _THREADS = 64, 100, 2
_PIXEL, _FWHM = 1 / 60, 1.45 / 60  # deg: FAST's beam and half of it
_RADIUS = 1.5 * _FWHM


def samples(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return positions of samples on the map, in the order of a scan, and their spectra."""
    rng = np.random.default_rng(1)
    half = _SIDE * _PIXEL / 2
    east, north = rng.uniform(-half, half, (2, n))
    order = np.lexsort((east, np.floor(north / (0.2 * _PIXEL))))  # track by track
    east, north = east[order], north[order]
    return (180 + east / np.cos(np.radians(25)), 25 + north,
            rng.standard_normal((n, _N_CHAN), np.float32))


def _header() -> dict[str, Any]:
    middle = (_SIDE + 1) / 2
    return {"NAXIS": 3, "NAXIS1": _SIDE, "NAXIS2": _SIDE, "NAXIS3": _N_CHAN, "CTYPE1": "RA---TAN",
            "CTYPE2": "DEC--TAN", "CUNIT1": "deg", "CUNIT2": "deg", "CDELT1": -_PIXEL,
            "CDELT2": _PIXEL, "CRPIX1": middle, "CRPIX2": middle, "CRVAL1": 180.0, "CRVAL2": 25.0}


def ours(lon: np.ndarray, lat: np.ndarray, data: np.ndarray) -> Call:
    """Return a call that plans and grids all channels, as cygrid does."""
    wcs = WCS(naxis=2)
    card = _header()
    wcs.wcs.ctype = [card["CTYPE1"], card["CTYPE2"]]
    wcs.wcs.cdelt, wcs.wcs.crval = [-_PIXEL, _PIXEL], [180.0, 25.0]
    wcs.wcs.crpix = [card["CRPIX1"], card["CRPIX2"]]
    y, x = np.indices((_SIDE, _SIDE), dtype=np.float64)
    places = wcs.all_pix2world(x, y, 0)
    weight = np.ones((len(data), 1), np.float32)
    mean = np.empty((_N_CHAN, _SIDE, _SIDE), np.float32)
    out = np.empty_like(mean)
    table = gaussian_table(_FWHM, _RADIUS)
    pool = ThreadPoolExecutor(_THREADS)

    def call() -> None:
        plan = Gridder(lon, lat, *places, radius=_RADIUS, table=table)
        free = [plan.copy() for _ in range(_THREADS)]

        def work(tile: int) -> None:
            mine = free.pop()
            mine.process(data, weight, first=tile, stop=tile + 1, out=mean, out_weight=out)
            free.append(mine)

        list(pool.map(work, range(plan.n_tile)))

    return call


def _cygrid(lon: np.ndarray, lat: np.ndarray, data: np.ndarray) -> Call:
    module = import_module("cygrid")
    sigma = _FWHM / np.sqrt(8 * np.log(2))

    def call() -> None:
        grid = module.WcsGrid(_header())
        grid.set_num_threads(_THREADS)
        grid.set_kernel("gauss1d", (sigma,), _RADIUS, sigma / 2)
        grid.grid(lon, lat, data)
        grid.get_datacube()

    return call


def gridding(scale: Scale, n: int) -> Task:
    """Samples with 64 channels on 100 x 100 pixels of one arcminute."""
    large, n = n > 10**5, scale.pick(n, 2000)
    given = samples(n)
    yardsticks: dict[str, Yardstick | Call] = {}
    missing = {}
    if large:
        few = scale.pick(10**5, 1000)
        part = tuple(np.ascontiguousarray(each[:few]) for each in given)
        yardsticks[FEW] = Yardstick(ours(*part), few * _N_CHAN / MEGA)
        return Task(n * _N_CHAN / MEGA, ours(*given), yardsticks)
    try:
        yardsticks[CYGRID] = _cygrid(*given)
    except (ImportError, ValueError) as error:  # its wheels are built for NumPy 1
        if not scale.quick:
            raise peers.PeerMissingError(f"cygrid cannot be imported ({error}): see "
                                         "bench/README.md") from error
        missing[CYGRID] = "not installed, or built for another NumPy: see bench/README.md"
    return Task(n * _N_CHAN / MEGA, ours(*given), yardsticks, missing=missing)


CASES = [
    Case("grid-100k", "Mvalues", partial(gridding, n=10**5),
         "10^5 spectra of 64 channels on 100 x 100 pixels, kernel of 1.45 arcmin, two threads",
         ((Mark(3, (CYGRID,)),),)),
    Case("grid-1M", "Mvalues", partial(gridding, n=10**6), "the same, 10^6 spectra",
         ((Mark(0.8, (FEW,)),),)),
    Case("grid-10M", "Mvalues", partial(gridding, n=10**7), "the same, 10^7 spectra (2.6 GB)",
         ((Mark(0.8, (FEW,)),),)),
]
