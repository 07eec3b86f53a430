"""The data of the page of a cube: all channels, reduced until they fit, with their axes."""

from __future__ import annotations

import math
from typing import Any

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from fastsig.axes.polarization import SIGNED
from fastsig.axes.velocity import velocity as line_velocity
from fastsig.errors import FormatError, UsageError
from fastsig.io.fits.cube import CubeFile
from fastsig.view.page.colors import color_maps
from fastsig.view.page.html import bytes_block, json_block
from fastsig.view.page.waterfall import blocks, page_room
from fastsig.work.counted import counted

__all__ = ["cube_blocks", "cube_factors", "reduced_cube"]

_NODES = 41  # of the grid of sky positions, between which the page interpolates
_BYTES = 1.2  # per voxel in the page, about the minimum: 8 bits of noise deflated, then base64
_NAMES = {"VRAD": "radio velocity", "VOPT": "optical velocity", "FREQ": "radio velocity"}


def cube_blocks(cube: CubeFile, product: str | None, page_size: int, header: int) -> str:
    """Return the data blocks of the page of a cube, for a page of at most `page_size` bytes.

    Parameters
    ----------
    cube : CubeFile
    product : str or None
        The Stokes parameter that is shown first; the page contains all.
    page_size, header : int
        Bytes of the page, and of its header and provenance.
    """
    names = cube.header.stokes
    if product is not None and product not in names:
        raise UsageError(f"product = {product!r}; this file has {', '.join(names)}")
    room, shape = page_room(page_size, header), cube.shape[1:]
    n_chan, n_pixel = cube_factors(shape, int(room / _BYTES / len(names)))
    while True:
        values, weights = reduced_cube(cube, n_chan, n_pixel)
        rows = (len(names), values.shape[1], -1)
        found = blocks(values.reshape(rows), weights.reshape(rows), room)
        if found is not None:
            break
        if values[0].size == 1:
            raise UsageError(f"page_size = {page_size} bytes; the cube does not fit")
        n_chan, n_pixel = _coarser(values.shape[1:], n_chan, n_pixel)
    model, text = found
    for each, name in zip(model["products"], names, strict=True):
        each |= {"name": name, "unit": cube.header.unit or "recorded units",
                 "signed": name in SIGNED}
    sky, positions = _sky(cube, n_pixel)
    return json_block("model", {
        **model, "shape": values.shape[1:], "kind": "cube", "maps": color_maps(), "sky": sky,
        "first": 0 if product is None else names.index(product),
        "weight_unit": "s" if cube.weight_image is not None else "",
        "spectral": _spectral(cube, n_chan), "beam": _beam(cube, n_pixel),
        "end": [shape[2] / n_pixel, shape[1] / n_pixel],
        "description": _described(shape, n_chan, n_pixel),
    }) + bytes_block("sky", positions) + text


def cube_factors(shape: tuple[int, ...], most: int) -> tuple[int, int]:
    """Return how many channels, and pixels along x and y, to average for at most `most` voxels."""
    n_chan = n_pixel = 1
    while True:
        left = _shape(shape, n_chan, n_pixel)
        if math.prod(left) <= most or math.prod(left) == 1:
            return n_chan, n_pixel
        # Twice as many channels as pixels along a side show as much detail.
        n_chan, n_pixel = _coarser(left, n_chan, n_pixel)


def _coarser(left: tuple[int, ...], n_chan: int, n_pixel: int) -> tuple[int, int]:
    spectral = left[0] > 2 * max(left[1:]) or max(left[1:]) == 1
    return (n_chan + 1, n_pixel) if spectral else (n_chan, n_pixel + 1)


def _shape(shape: tuple[int, ...], n_chan: int, n_pixel: int) -> tuple[int, int, int]:
    return -(-shape[0] // n_chan), -(-shape[1] // n_pixel), -(-shape[2] // n_pixel)


def reduced_cube(
    cube: CubeFile, n_chan: int, n_pixel: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return weighted means (stokes, chan, y, x) of blocks of voxels, and the mean weights."""
    whole = cube.shape[1:]
    shape = (cube.shape[0], *_shape(whole, n_chan, n_pixel))
    values, weights = np.empty(shape, np.float32), np.empty(shape, np.float32)
    pixels = _summed(np.ones(whole[1:]), n_pixel)
    for stokes, channel in np.ndindex(shape[:2]):
        planes = range(channel * n_chan, min(whole[0], (channel + 1) * n_chan))
        total, weight = np.zeros(shape[2:]), np.zeros(shape[2:])
        for number in planes:
            plane, counts = _plane(cube, stokes, number)
            total += _summed(np.where(counts > 0, plane, 0) * counts, n_pixel)
            weight += _summed(counts, n_pixel)
        with np.errstate(invalid="ignore", divide="ignore"):
            values[stokes, channel] = total / weight
        weights[stokes, channel] = weight / pixels / len(planes)
    return values, weights


def _plane(cube: CubeFile, stokes: int, channel: int
           ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return values and weights of a channel: 0 where there is no value, 1 if none are stored."""
    where = slice(channel, channel + 1)
    values = cube.read(where, stokes=stokes)[0].astype(np.float64)
    stored = cube.read_weight(where, stokes=stokes)
    weight = 1.0 if stored is None else stored[0].astype(np.float64)
    return values, np.where(np.isfinite(values), weight, 0.0)


def _summed(plane: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    if n == 1:
        return plane
    rows, columns = (np.arange(0, size, n) for size in plane.shape)
    found: NDArray[np.float64] = np.add.reduceat(np.add.reduceat(plane, rows, axis=0), columns,
                                                 axis=1)
    return found


def _sky(cube: CubeFile, n_pixel: int) -> tuple[dict[str, Any], bytes]:
    """Return sky positions on an even grid over the map: longitude without jumps, and latitude."""
    height, width = cube.shape[2:]
    celestial = cube.header.celestial
    y, x = (np.linspace(0, size, _NODES) - 0.5 for size in (height, width))
    columns, rows = np.meshgrid(x, y)
    lon, lat = celestial.wcs_pix2world(columns, rows, 0)
    middle = lon[_NODES // 2, _NODES // 2]
    if not np.isfinite(middle):
        middle = np.nanmedian(lon) if np.isfinite(lon).any() else 0.0
    lon = middle + (lon - middle + 180) % 360 - 180
    # Around a pole longitude takes all values: no graticule is drawn then.
    steps = [np.abs(np.diff(lon, axis=axis)) for axis in (0, 1)]
    polar = any(bool(np.any(step[np.isfinite(step)] > 90)) for step in steps)
    across, up = cube.pixel_deg
    model = {
        "nodes": _NODES, "polar": polar, "equatorial": celestial.wcs.lngtyp.strip() == "RA",
        "names": [celestial.wcs.lngtyp.strip(), celestial.wcs.lattyp.strip()],
        "frame": cube.header.radesys or "frame not known",
        "end": [width / n_pixel, height / n_pixel],
        "aspect": up / across if across > 0 and up > 0 else 1.0,
        "pixel_arcsec": [across * n_pixel * 3600, up * n_pixel * 3600],
    }
    return model, np.stack([lon, lat]).astype("<f8").tobytes()


def _spectral(cube: CubeFile, n_chan: int) -> dict[str, Any]:
    """Return frequency (MHz) and velocity (km/s) at the centres of channels, as far as known."""
    head = cube.header
    groups = np.arange(0, cube.shape[1], n_chan)
    counts = np.diff(np.append(groups, cube.shape[1]))

    def centers(values: NDArray[np.float64]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.add.reduceat(values, groups) / counts
        return found

    found: dict[str, Any] = {"frame": head.frame or "frame not known",
                             "name": _NAMES.get(head.ctype, "velocity"),
                             "first": "frequency" if head.ctype in ("FREQ", "WAVE") else "velocity"}
    frequency, velocity = _frequency(cube), None
    if head.ctype in ("VRAD", "VOPT", "VELO"):
        velocity = head.axis
    elif head.ctype == "FREQ" and head.rest_hz:
        velocity = line_velocity(head.axis << u.Hz, head.rest_hz << u.Hz).to_value(u.m / u.s)
    if frequency is not None:
        found["frequency"] = centers(frequency) / 1e6
    if velocity is not None:
        found["velocity"] = centers(velocity) / 1e3
    if frequency is None and velocity is None:
        found |= {"channel": centers(np.arange(cube.shape[1], dtype=float)), "first": "channel"}
    return found


def _frequency(cube: CubeFile) -> NDArray[np.float64] | None:
    try:
        return cube.header.frequency_hz(cube.path)
    except FormatError:  # no rest frequency, or no spectral axis at all
        return None


def _beam(cube: CubeFile, n_pixel: int) -> list[list[float]] | None:
    """Return the beam's half-power ellipse about (0, 0) in cells, at the middle of the map."""
    beam = cube.header.beam
    if beam is None:
        return None
    angle, turn = np.radians(beam.pa), np.linspace(0, 2 * np.pi, 73)
    along, aside = beam.major / 2 * np.cos(turn), beam.minor / 2 * np.sin(turn)
    # The angle is counted from north through east.
    east = along * np.sin(angle) + aside * np.cos(angle)
    north = along * np.cos(angle) - aside * np.sin(angle)
    matrix = _sky_per_pixel(cube)
    if not np.all(np.isfinite(matrix)) or np.linalg.det(matrix) == 0:
        return None
    cells = np.linalg.solve(matrix, np.stack([east, north])) / n_pixel
    return [[round(float(value), 4) for value in line] for line in cells]


def _sky_per_pixel(cube: CubeFile) -> NDArray[np.float64]:
    """Return degrees east and north for a step along x and along y, at the middle."""
    y, x = ((size - 1) / 2 for size in cube.shape[2:])
    columns, rows = [x - 0.5, x + 0.5, x, x], [y, y, y - 0.5, y + 0.5]
    lon, lat = cube.header.celestial.wcs_pix2world(columns, rows, 0)
    around = (np.diff(lon)[::2] + 180) % 360 - 180
    return np.stack([around * np.cos(np.radians(np.mean(lat))), np.diff(lat)[::2]])


def _described(shape: tuple[int, ...], n_chan: int, n_pixel: int) -> str:
    n, height, width = shape
    text = f"{counted(n, 'channel', 'channels')} of {width} x {height} pixels"
    if n_chan * n_pixel == 1:
        return text + "; each voxel is a value of the file"
    return text + (f"; each voxel is the weighted mean of {counted(n_chan, 'channel', 'channels')} "
                   f"x {n_pixel} x {n_pixel} pixels")
