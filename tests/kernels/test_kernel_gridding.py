"""Gridding: against the twin and cygrid, on the sphere, the same bits however it is cut."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.wcs import WCS
from fastsig_kernels import Gridder, gaussian_table, reference
from fastsig_kernels._gridding_loops import grid_tiles_nb

FWHM, RADIUS = 1.5 / 60, 2.25 / 60


def plane(n: int, lon: float, lat: float, step: float = 1 / 60, code: str = "TAN"
          ) -> tuple[np.ndarray, np.ndarray]:
    """Places of n x n pixels."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [f"RA---{code}", f"DEC--{code}"]
    wcs.wcs.cdelt = [-step, step]
    wcs.wcs.crpix = [(n + 1) / 2, (n + 1) / 2]
    wcs.wcs.crval = [lon, lat]
    y, x = np.indices((n, n), dtype=float)
    found: tuple[np.ndarray, np.ndarray] = wcs.all_pix2world(x, y, 0)
    return found


def places(rng: np.random.Generator, n: int, lon: float, lat: float, side: float
           ) -> tuple[np.ndarray, np.ndarray]:
    """Random places of a square of `side` deg, also over a pole."""
    east, north = np.radians(rng.uniform(-side / 2, side / 2, (2, n)))
    a, d = np.radians(lon), np.radians(lat)
    x = np.cos(d) - north * np.sin(d)
    vector = np.stack([x * np.cos(a) - east * np.sin(a), x * np.sin(a) + east * np.cos(a),
                       np.sin(d) + north * np.cos(d)])
    vector /= np.linalg.norm(vector, axis=0)
    return (np.degrees(np.arctan2(vector[1], vector[0])) % 360, np.degrees(np.arcsin(vector[2])))


def gridded(gridder: Gridder, data: np.ndarray, weight: np.ndarray, **options: Any
            ) -> tuple[np.ndarray, np.ndarray]:
    shape = (data.shape[1], *gridder.shape)
    mean, total = np.full(shape, 7, np.float32), np.full(shape, 7, np.float32)
    gridder.process(data, weight, out=mean, out_weight=total, **options)
    return mean, total


def plan(lon: np.ndarray, lat: np.ndarray, pixels: tuple[np.ndarray, np.ndarray],
         **options: Any) -> Gridder:
    return Gridder(lon, lat, *pixels, radius=RADIUS, table=gaussian_table(FWHM, RADIUS), **options)


def close(found: tuple[np.ndarray, ...], expected: tuple[np.ndarray, ...]) -> None:
    np.testing.assert_array_equal(np.isnan(found[0]), np.isnan(expected[0]))
    # Positions of float32 within a kernel's radius, a table of 2048 steps, sums of float32.
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=1e-5)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-5)


@pytest.mark.parametrize("lon, lat", [(180, 25), (0.02, -40), (80, 89.95), (10, -90)])
@pytest.mark.parametrize("n, n_chan, lost", [(3000, 70, True), (400, 1, False)])
def test_against_the_twin(rng: np.random.Generator, lon: float, lat: float, n: int, n_chan: int,
                          lost: bool) -> None:
    at = places(rng, n, lon, lat, 0.4)
    data = rng.standard_normal((n, n_chan)).astype(np.float32)
    weight = rng.uniform(0.5, 2, (n, n_chan if lost else 1)).astype(np.float32)
    if lost:
        data[rng.random(data.shape) < 0.02] = np.nan
        weight[rng.random(data.shape) < 0.02] = 0
        weight[:50] = weight[:50, :1]  # rows of one weight
        weight[50:60], data[60:70], data[70, 3], weight[71, 0] = 0, np.nan, np.inf, np.nan
    pixels = plane(21, lon, lat)
    close(gridded(plan(*at, pixels), data, weight),
          reference.grid(*at, *pixels, data, weight, fwhm=FWHM, radius=RADIUS))


def test_samples_of_wider_beams(rng: np.random.Generator) -> None:
    at, pixels = places(rng, 2000, 30, 50, 0.4), plane(17, 30, 50)
    data, weight = rng.standard_normal((2000, 5)).astype(np.float32), np.ones((2000, 1), np.float32)
    stretch = rng.choice([0.8, 1.0, 1.3], 2000)
    close(gridded(plan(*at, pixels, stretch=stretch), data, weight),
          reference.grid(*at, *pixels, data, weight, fwhm=FWHM, radius=RADIUS, stretch=stretch))


def test_a_constant_stays_and_a_source_is_widened(rng: np.random.Generator) -> None:
    """Dense samples of a Gaussian of width b: one of width sqrt(b^2 + k^2), its volume kept."""
    step = np.arange(-20, 20.01, 0.25) / 60
    lon, lat = (each.ravel() for each in np.meshgrid(40 + step, step))
    beam = 3 / 60
    seen = np.exp(-4 * np.log(2) * ((lon - 40) ** 2 + lat**2) / beam**2)
    data = np.stack([np.full(lon.size, 3.0), seen], axis=1).astype(np.float32)
    pixels = plane(33, 40, 0)
    mean, weight = gridded(plan(lon, lat, pixels), data, np.full((lon.size, 1), 2, np.float32))
    assert np.abs(mean[0] - 3).max() < 3e-6  # 3 times weights, rounded to float32
    both = np.hypot(beam, FWHM)
    expected = (beam / both) ** 2 * np.exp(
        -4 * np.log(2) * ((pixels[0] - 40) ** 2 + pixels[1] ** 2) / both**2)
    # The kernel ends at 1.5 widths, which leaves 0.2 % of its volume out.
    assert np.abs(mean[1] - expected).max() < 1.5e-3
    # 2 s a sample; pi k^2 / (2 ln 2) is (int K)^2 over int K^2.
    n = 2 * np.pi * FWHM**2 / (2 * np.log(2)) / (0.25 / 60) ** 2
    np.testing.assert_allclose(weight[0, 16, 16], n, rtol=5e-3)  # as before: the kernel's end


def test_same_bits_however_it_is_cut(rng: np.random.Generator) -> None:
    n, n_chan = 5000, 130
    at, pixels = places(rng, n, 100, 10, 0.7), plane(37, 100, 10)
    data = rng.standard_normal((n, n_chan)).astype(np.float32)
    weight = np.ones((n, n_chan), np.float32)
    weight[rng.random(n) < 0.1] = 0
    weight[rng.random((n, n_chan)) < 1e-3] = 0  # some pieces are whole in some blocks alone
    gridder = plan(*at, pixels)
    whole = gridded(gridder, data, weight)
    for first, stop in ((0, 1), (5, 64), (63, 130), (100, 117)):
        part = gridded(gridder, data[:, first:stop].copy(), weight[:, first:stop].copy())
        np.testing.assert_array_equal(part[0], whole[0][first:stop])
        np.testing.assert_array_equal(part[1], whole[1][first:stop])
    mean, total = (np.full_like(each, 5) for each in whole)
    for tile in reversed(range(gridder.n_tile)):
        gridder.process(data, weight, first=tile, stop=tile + 1, out=mean, out_weight=total)
    np.testing.assert_array_equal(mean, whole[0])
    np.testing.assert_array_equal(total, whole[1])


def test_one_weight_for_all_channels_is_as_one_each(rng: np.random.Generator) -> None:
    at, pixels = places(rng, 700, 5, 5, 0.4), plane(11, 5, 5)
    data = rng.standard_normal((700, 9)).astype(np.float32)
    data[rng.random(data.shape) < 0.05] = np.nan
    weight = rng.uniform(0, 1, (700, 1)).astype(np.float32)
    gridder = plan(*at, pixels)
    one = gridded(gridder, data, weight)
    each = gridded(gridder, data, np.repeat(weight, 9, axis=1))
    for a, b in zip(one, each, strict=True):
        np.testing.assert_array_equal(a, b)


def test_pixels_off_the_sky_and_far_away(rng: np.random.Generator) -> None:
    at = places(rng, 300, 0, 0, 0.3)
    pixels = plane(40, 0, 0, step=10, code="AIT")  # of which corners are off the sky
    mean, weight = gridded(plan(*at, pixels), np.ones((300, 2), np.float32),
                           np.ones((300, 1), np.float32))
    off = np.isnan(pixels[0])
    assert off.any() and np.isnan(mean[:, off]).all() and not weight[:, off].any()
    assert np.isnan(mean).sum() > mean.size - 20  # few pixels are near the samples


def test_no_samples() -> None:
    none = np.empty(0)
    mean, weight = gridded(plan(none, none, plane(5, 0, 0)), np.empty((0, 3), np.float32),
                           np.empty((0, 1), np.float32))
    assert np.isnan(mean).all() and not weight.any()


def test_many_samples_in_one_place(rng: np.random.Generator) -> None:
    """A telescope that tracks: sums stay right to float32."""
    n = 200_000
    at = np.full(n, 50.0), np.full(n, 20.0)
    data = (1000 + rng.standard_normal((n, 1))).astype(np.float32)
    mean, weight = gridded(plan(*at, plane(3, 50, 20)), data, np.ones((n, 1), np.float32))
    # Products and chains of up to 64 sums round to float32: a few units of the level.
    np.testing.assert_allclose(mean[0], data.astype(np.float64).mean(), rtol=1e-6)
    # A square over a sum of squares of kernel values: three times as many roundings.
    np.testing.assert_allclose(weight[0], n, rtol=3e-6)


def test_arguments(rng: np.random.Generator) -> None:
    at, pixels = places(rng, 10, 0, 0, 0.1), plane(4, 0, 0)
    table = gaussian_table(FWHM, RADIUS)
    assert table[0] == 1 and table.dtype == np.float32 and len(table) == 2049
    for change in ({"lat": np.full(10, 91.0)}, {"lon": at[0][:5]}, {"radius": 0.0},
                   {"table": table[:1]}, {"stretch": np.zeros(10)}):
        given = {"lon": at[0], "lat": at[1], "radius": RADIUS, "table": table, **change}
        with pytest.raises(ValueError, match="allowed"):
            Gridder(given.pop("lon"), given.pop("lat"), *pixels, **given)
    gridder = plan(*at, pixels)
    data, weight = np.ones((10, 2), np.float32), np.ones((10, 1), np.float32)
    out = np.empty((2, 4, 4), np.float32)
    with pytest.raises(TypeError, match="float64"):
        gridder.process(data.astype(float), weight)
    with pytest.raises(ValueError, match="shape"):
        gridder.process(data[:9], weight)
    with pytest.raises(ValueError, match="C-contiguous"):
        gridder.process(np.ones((2, 10), np.float32).T, weight)
    with pytest.raises(ValueError, match="out_weight: found memory"):
        gridder.process(data, weight, out=out, out_weight=out)
    with pytest.raises(ValueError, match="out: found strides"):
        gridder.process(data, weight, out=np.empty((4, 4, 2), np.float32).T)
    with pytest.raises(ValueError, match="stop"):
        gridder.process(data, weight, stop=9)
    assert gridder.memory_bytes > 0


def test_read_only_arrays_are_not_compiled_for(rng: np.random.Generator, tmp_path: Path) -> None:
    """Such as those of mapped files."""
    at, pixels = places(rng, 50, 0, 0, 0.1), plane(4, 0, 0)
    gridder = plan(*at, pixels)
    gridder.compile()
    before = len(grid_tiles_nb.signatures)
    data, weight = rng.standard_normal((50, 3)).astype(np.float32), np.ones((50, 1), np.float32)
    data.tofile(tmp_path / "data")
    mapped = np.memmap(tmp_path / "data", np.float32, "r", shape=data.shape)
    found = gridder.process(mapped, weight)
    assert len(grid_tiles_nb.signatures) == before
    for a, b in zip(found, gridder.process(data, weight), strict=True):
        np.testing.assert_array_equal(a, b)


def cygrid() -> Any:
    """The peer, where it can be imported: its wheels are made for NumPy 1."""
    try:
        return importlib.import_module("cygrid")
    except (ImportError, ValueError) as error:
        pytest.skip(f"cygrid cannot be imported: {error}")


@pytest.mark.filterwarnings("ignore")
def test_against_cygrid(rng: np.random.Generator) -> None:
    peer = cygrid()
    n, side, sigma = 20_000, 40, FWHM / np.sqrt(8 * np.log(2))
    lon, lat = places(rng, n, 180, 25, side / 60)
    data = rng.standard_normal((n, 64)).astype(np.float32)
    weight = rng.uniform(0.5, 1, (n, 64)).astype(np.float32)
    header = {"NAXIS": 3, "NAXIS1": side, "NAXIS2": side, "NAXIS3": 64, "CTYPE1": "RA---TAN",
              "CTYPE2": "DEC--TAN", "CUNIT1": "deg", "CUNIT2": "deg", "CDELT1": -1 / 60,
              "CDELT2": 1 / 60, "CRPIX1": (side + 1) / 2, "CRPIX2": (side + 1) / 2, "CRVAL1": 180.0,
              "CRVAL2": 25.0}
    grid = peer.WcsGrid(header)
    # It takes the samples of whole cells of a sphere, so ends are compared where K is 3e-6.
    grid.set_kernel("gauss1d", (sigma,), 5 * sigma, sigma / 2)
    grid.grid(lon, lat, data, weight)
    radius = 5 * sigma
    ours = Gridder(lon, lat, *plane(side, 180, 25), radius=radius,
                   table=gaussian_table(FWHM, radius, 4096))
    mean, _ = gridded(ours, data, weight)
    theirs = grid.get_datacube()
    assert np.isfinite(mean).all() and np.abs(mean - theirs).max() < 1e-5
