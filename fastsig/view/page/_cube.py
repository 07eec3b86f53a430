"""A cube as what its page is made of: all channels, reduced until they fit, with their axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.view._common import counted
from fastsig.view.page._colors import color_maps
from fastsig.view.page._fits_cube import FitsCube
from fastsig.view.page._html import bytes_block, json_block
from fastsig.view.page._waterfall import blocks, page_room

__all__ = ["cube_blocks", "cube_factors", "reduced_cube"]

_LIGHT = 299_792_458.0
_NODES = 41  # of the grid of sky positions: between them the page interpolates
_BYTES = 1.2  # of a voxel in the page, about the least: 8 bits of noise deflated, then base64


def cube_blocks(cube: FitsCube, page_size: int) -> str:
    """Data blocks of the page of a cube, in pages of at most so many bytes."""
    room = page_room(page_size)
    n_chan, n_pixel = cube_factors(cube.shape, int(room / _BYTES))
    while True:
        values, weights = reduced_cube(cube, n_chan, n_pixel)
        found = blocks(values.reshape(1, len(values), -1), weights.reshape(1, len(values), -1), room)
        if found is not None:
            break
        if values.size == 1:
            raise UsageError(f"page_size = {page_size} bytes; the cube does not fit")
        n_chan, n_pixel = _coarser(values.shape, n_chan, n_pixel)
    model, text = found
    sky, positions = _sky(cube, n_pixel)
    unit = str(cube.header.get("BUNIT", "")).strip() or "recorded units"
    model["products"][0] |= {"name": str(cube.header.get("BTYPE", "")).strip() or "value",
                             "unit": unit, "signed": False}
    return json_block("model", {
        **model, "shape": values.shape, "kind": "cube", "maps": color_maps(), "sky": sky,
        "spectral": _spectral(cube, n_chan), "beam": _beam(cube, n_pixel),
        "end": [size / n_pixel for size in cube.shape[:0:-1]], "told": _told(cube, n_chan, n_pixel),
    }) + bytes_block("sky", positions) + text


def cube_factors(shape: tuple[int, int, int], most: int) -> tuple[int, int]:
    """Channels, and pixels along x and y, to average so that at most so many voxels are left."""
    n_chan = n_pixel = 1
    while True:
        left = _shape(shape, n_chan, n_pixel)
        if math.prod(left) <= most or math.prod(left) == 1:
            return n_chan, n_pixel
        # Twice as many channels as pixels along a side tell as much.
        n_chan, n_pixel = _coarser(left, n_chan, n_pixel)


def _coarser(left: tuple[int, ...], n_chan: int, n_pixel: int) -> tuple[int, int]:
    spectral = left[0] > 2 * max(left[1:]) or max(left[1:]) == 1
    return (n_chan + 1, n_pixel) if spectral else (n_chan, n_pixel + 1)


def _shape(shape: tuple[int, int, int], n_chan: int, n_pixel: int) -> tuple[int, int, int]:
    return -(-shape[0] // n_chan), -(-shape[1] // n_pixel), -(-shape[2] // n_pixel)


def reduced_cube(
    cube: FitsCube, n_chan: int, n_pixel: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weighted means (chan, y, x) of blocks of voxels, and the mean weights."""
    shape = _shape(cube.shape, n_chan, n_pixel)
    values, weights = np.empty(shape, np.float32), np.empty(shape, np.float32)
    for channel in range(shape[0]):
        planes = range(channel * n_chan, min(cube.shape[0], (channel + 1) * n_chan))
        total, weight = np.zeros(shape[1:]), np.zeros(shape[1:])
        for number in planes:
            plane, counts = cube.plane(number)
            total += _summed(np.where(counts > 0, plane, 0) * counts, n_pixel)
            weight += _summed(counts, n_pixel)
        with np.errstate(invalid="ignore", divide="ignore"):
            values[channel] = total / weight
        weights[channel] = weight / _summed(np.ones(cube.shape[1:]), n_pixel) / len(planes)
    return values, weights


def _summed(plane: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    if n == 1:
        return plane
    rows, columns = (np.arange(0, size, n) for size in plane.shape)
    found: NDArray[np.float64] = np.add.reduceat(np.add.reduceat(plane, rows, axis=0), columns,
                                                 axis=1)
    return found


def _sky(cube: FitsCube, n_pixel: int) -> tuple[dict[str, Any], bytes]:
    """Sky positions on an even grid of nodes over the map: longitude without a jump, latitude."""
    height, width = cube.shape[1:]
    y, x = (np.linspace(0, size, _NODES) - 0.5 for size in (height, width))
    columns, rows = np.meshgrid(x, y)
    lon, lat = cube.celestial.all_pix2world(columns, rows, 0)
    middle = lon[_NODES // 2, _NODES // 2]
    if not np.isfinite(middle):
        middle = np.nanmedian(lon) if np.isfinite(lon).any() else 0.0
    lon = middle + (lon - middle + 180) % 360 - 180
    # Around a pole longitude goes round: there is no graticule then, but positions are read.
    polar = bool(np.nanmax(np.abs(np.diff(lon)), initial=0) > 90)
    kinds = [str(kind)[:4].strip("-") for kind in cube.celestial.wcs.ctype]
    frame = str(cube.celestial.wcs.radesys).strip()
    return ({"nodes": _NODES, "polar": polar, "equatorial": kinds[0] == "RA", "names": kinds,
             "frame": frame, "end": [width / n_pixel, height / n_pixel],
             "aspect": _aspect(cube)},
            np.stack([lon, lat]).astype("<f8").tobytes())


def _aspect(cube: FitsCube) -> float:
    """Height of a pixel in the sky over its width."""
    from astropy.wcs.utils import proj_plane_pixel_scales

    width, height = proj_plane_pixel_scales(cube.celestial)
    return float(height / width) if width > 0 and height > 0 else 1.0


def _spectral(cube: FitsCube, n_chan: int) -> dict[str, Any]:
    """Frequency in MHz and velocity in km/s at the channels' centres, as far as they are known."""
    wcs = cube.spectral.wcs
    world = cube.spectral.all_pix2world(np.arange(cube.shape[0], dtype=float), 0)[0]
    kind, rest = str(wcs.ctype[0])[:4], float(wcs.restfrq)
    if not rest > 0 and float(wcs.restwav) > 0:
        rest = _LIGHT / float(wcs.restwav)
    frequency, velocity, name = _both(kind, np.asarray(world, float), rest)
    groups = np.arange(0, cube.shape[0], n_chan)
    counts = np.diff(np.append(groups, cube.shape[0]))
    found: dict[str, Any] = {"frame": str(wcs.specsys).strip() or "frame not known", "name": name,
                             "first": "frequency" if kind == "FREQ" else "velocity"}
    for key, values, scale in (("frequency", frequency, 1e6), ("velocity", velocity, 1e3)):
        if values is not None:
            found[key] = np.add.reduceat(values, groups) / counts / scale
    if len(groups) == 0 or not ("frequency" in found or "velocity" in found):
        found |= {"channel": np.add.reduceat(np.arange(cube.shape[0], dtype=float), groups) / counts,
                  "first": "channel"}
    return found


def _both(
    kind: str, world: NDArray[np.float64], rest: float
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None, str]:
    """Frequency (Hz) and velocity (m/s) of an axis of either, and the velocity's convention."""
    known = rest > 0
    if kind == "FREQ":
        return world, _LIGHT * (1 - world / rest) if known else None, "radio velocity"
    if kind == "VRAD":
        return rest * (1 - world / _LIGHT) if known else None, world, "radio velocity"
    if kind == "VOPT":
        return rest / (1 + world / _LIGHT) if known else None, world, "optical velocity"
    if kind == "VELO":
        beta = world / _LIGHT
        return (rest * np.sqrt((1 - beta) / (1 + beta)) if known else None, world,
                "relativistic velocity")
    if kind == "WAVE":
        return _LIGHT / world, None, ""
    return None, None, ""


def _beam(cube: FitsCube, n_pixel: int) -> list[list[float]] | None:
    """The beam's half-power ellipse about (0, 0) in cells, at the map's middle."""
    major, minor, angle = (_number(cube, key) for key in ("BMAJ", "BMIN", "BPA"))
    if major is None or not major > 0:
        return None
    minor, angle = minor if minor and minor > 0 else major, np.radians(angle or 0.0)
    turn = np.linspace(0, 2 * np.pi, 73)
    along, aside = major / 2 * np.cos(turn), minor / 2 * np.sin(turn)
    # The angle counts from north through east.
    east = along * np.sin(angle) + aside * np.cos(angle)
    north = along * np.cos(angle) - aside * np.sin(angle)
    matrix = _sky_per_pixel(cube)
    if not np.all(np.isfinite(matrix)) or np.linalg.det(matrix) == 0:
        return None
    cells = np.linalg.solve(matrix, np.stack([east, north])) / n_pixel
    return [[round(float(value), 4) for value in line] for line in cells]


def _number(cube: FitsCube, key: str) -> float | None:
    try:
        value = float(cube.header[key])
    except (KeyError, TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _sky_per_pixel(cube: FitsCube) -> NDArray[np.float64]:
    """Degrees to the east and to the north of a step along x and along y, at the middle."""
    y, x = ((size - 1) / 2 for size in cube.shape[1:])
    lon, lat = cube.celestial.all_pix2world([x - 0.5, x + 0.5, x, x], [y, y, y - 0.5, y + 0.5], 0)
    around = (np.diff(lon)[::2] + 180) % 360 - 180
    return np.stack([around * np.cos(np.radians(np.mean(lat))), np.diff(lat)[::2]])


def _told(cube: FitsCube, n_chan: int, n_pixel: int) -> str:
    n, height, width = cube.shape
    text = f"{counted(n, 'channel', 'channels')} of {width} x {height} pixels"
    if n_chan * n_pixel == 1:
        return text + "; each voxel is a value of the file"
    return text + (f"; each voxel is the weighted mean of {counted(n_chan, 'channel', 'channels')} "
                   f"x {n_pixel} x {n_pixel} pixels")
