"""Cubes of maps as FITS images, written by fastsig or by other programs.

The image is mapped, not read, so only the requested parts are loaded from disk, however large the
image is. The axes are returned as (Stokes, channel, y, x), regardless of their order in the file.
An image WEIGHT may contain the effective integration time in s, with the shape of the image or (y,
x); the noise of a value is that of one second divided by the square root of its weight.
"""

from __future__ import annotations

import contextlib
import math
import os
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import (
    DoubtWarning,
    FastsigWarning,
    FormatError,
    UsageError,
    unreadable,
    users_line,
)
from fastsig.io.files.cards import Cards
from fastsig.io.fits.checksums import check_units
from fastsig.io.fits.layout import Table, read_column, tables
from fastsig.io.probe import Probe

if TYPE_CHECKING:
    from fastsig.io.fits.cube_header import CubeHeader

__all__ = ["KINDS", "NAME", "NO_STREAM", "CubeFile", "info", "sniff", "verify"]

NAME, KINDS = "fits_cube", ("cube",)

#: Error message where a stream in time is needed.
NO_STREAM = ("contains a cube of maps; allowed here: a stream in time. For cubes use fastsig "
             "extract, moment and view, and fastsig.open_cube")

_DTYPES = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
#: Number of bytes that `info` reads without `deep`, and the largest number of planes.
_LOOK, _PLANES = 2**26, 16
_OPTIONS = ("rest", "convention")


def sniff(probe: Probe) -> bool:
    """Return whether a file begins with a FITS image of two or more axes."""
    if probe.container != "fits":
        return False
    for at in range(80, len(probe.head) - 79, 80):
        card = probe.head[at : at + 80]
        if card.startswith(b"NAXIS   ="):
            number = card[10:30].strip()
            return number.isdigit() and int(number) >= 2
    return False


class _Image:
    """An image of the file, mapped."""

    def __init__(self, path: str, unit: Table) -> None:
        self.unit, self._path = unit, path
        cards = unit.cards
        bits = cards.integer("BITPIX", least=-64, most=64)
        if bits not in _DTYPES:
            raise cards.error("BITPIX", ", ".join(map(str, _DTYPES)))
        self.shape = tuple(cards.integer(f"NAXIS{axis}", least=1)
                           for axis in range(cards.integer("NAXIS", least=1, most=9), 0, -1))
        self.dtype, self.bits = np.dtype(_DTYPES[bits]), abs(bits)
        wanted = math.prod(self.shape) * self.dtype.itemsize
        there = os.path.getsize(path) - unit.data_offset
        if wanted > there:
            raise FormatError(path, f"{unit.name}: NAXIS1 to NAXIS{len(self.shape)} specify "
                              f"{wanted} bytes; {max(0, there)} are present: the file is truncated")
        scale, zero = cards.number("BSCALE"), cards.number("BZERO")
        self._scale, self._zero = 1.0 if scale is None else scale, zero or 0.0
        blank = cards.number("BLANK") if bits > 0 else None
        self._blank = blank
        try:
            self.mapped = np.memmap(path, self.dtype, "r", unit.data_offset, self.shape)
        except (OSError, ValueError) as error:
            raise FormatError(path, f"cannot be mapped: {error}") from error

    @property
    def plain(self) -> bool:
        """Whether the file contains floats without a scale."""
        return self.dtype.kind == "f" and (self._scale, self._zero) == (1.0, 0.0)

    def values(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Return the numbers of a part of the map in native byte order, scaled, NaN where blank.

        They are float32 if the file contains float32 without a scale.
        """
        found = np.array(raw, dtype=self.dtype.newbyteorder("=") if self.plain else np.float64)
        if not self.plain:
            found = found * self._scale + self._zero
        if self._blank is not None:
            found[np.asarray(raw) == self._blank] = np.nan
        return found


class CubeFile:
    """An open cube; see the docstring of the module.

    Parameters
    ----------
    path : path
        The file.
    rest : str or Quantity, optional
        Rest frequency, instead of that in the file: the name of a line, or a frequency.
    convention : {"radio", "optical"}, optional
        Velocity convention of a VELO axis; by default, that which the file states (VELREF).

    Attributes
    ----------
    header : CubeHeader
        Header of the cube.
    shape : tuple of int
        (stokes, chan, y, x).
    faults : list of str
        Faults after the image in the file, such as a truncated table.
    doubts : list of str
        Information that the file lacks, and values that were not read as written.

    Raises
    ------
    FormatError
        If the file is not an image of the sky, is truncated, or has an impossible header.
    """

    def __init__(self, path: str | os.PathLike[str], *, rest: Any = None,
                 convention: str | None = None) -> None:
        self.path = os.fspath(path)
        from fastsig.io.fits.cube_header import cube_header  # loads astropy's coordinates

        if convention not in (None, "radio", "optical"):
            raise UsageError(f"convention = {convention!r}; allowed: radio, optical")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.units = tables(self.path)
        self.faults = [str(each.message) for each in caught]
        if not self.units:
            raise FormatError(self.path, "the file is empty")
        first = self.units[0]
        self.image = _Image(self.path, first)
        self.header: CubeHeader = cube_header(
            self._raw_header(first), first.cards, self.path, rest_hz=rest_hz(rest),
            convention=convention)
        self.shape = self.header.shape
        self.doubts = list(self.header.notes)
        self._beams()
        self.weight_image = self._weight_image()
        lacks = self.header.lacks()
        if self.weight_image is None and "MOMENT" not in first.cards:  # moments have none
            lacks.append("weights (an image WEIGHT)")
        if lacks:
            self.doubts.append(f"does not state {', '.join(lacks)}")

    def _raw_header(self, unit: Table) -> bytes:
        with _opened(self.path) as file:
            raw = file.read(unit.data_offset)
        end = next((at for at in range(0, len(raw), 80) if raw[at : at + 8] == b"END     "),
                   len(raw))
        return bytes(raw[:end])

    def _beams(self) -> None:
        """Read the beam from a table BEAMS, which CASA writes if each channel has its own beam."""
        from fastsig.io.fits.cube_header import beam_of

        if self.header.beam is not None:
            return
        for unit in self.units[1:]:
            if unit.name == "BEAMS" and {"BMAJ", "BMIN", "BPA"} <= set(unit.columns) and unit.n_row:
                row = unit.n_row // 2
                beam = {name: _cell(self.path, unit, name, row) for name in ("BMAJ", "BMIN", "BPA")}
                self.header = replace(self.header, beam=beam_of(Cards(beam, self.path)))
                self.doubts.append(f"has a beam for each channel; that of channel {row} is used "
                                   "for all")
                return

    def _weight_image(self) -> _Image | None:
        """Return the image WEIGHT, if there is one; it must have a fitting shape."""
        for unit in self.units[1:]:
            if unit.name == "WEIGHT" and unit.kind == "IMAGE":
                image = _Image(self.path, unit)
                if image.shape not in (self.shape[2:], self.image_shape, self.shape[1:]):
                    raise FormatError(self.path, f"WEIGHT is {image.shape}; allowed: "
                                      f"{self.image_shape}, or {self.shape[2:]}")
                return image
        return None

    @property
    def image_shape(self) -> tuple[int, ...]:
        """NumPy shape of the image as stored in the file."""
        return self.image.shape

    @property
    def files(self) -> list[str]:
        """The path of the file, in a list."""
        return [self.path]

    def read(self, chan: Any = slice(None), y: Any = slice(None), x: Any = slice(None), *,
             stokes: int = 0) -> NDArray[Any]:
        """Return values (chan, y, x) in slices of channels, rows and columns; NaN without data."""
        found = self.image.values(self._ordered(self.image)[stokes, chan, y, x])
        found[~np.isfinite(found)] = np.nan
        return found

    def mapped(self, *, stokes: int = 0) -> NDArray[Any]:
        """Return all values (chan, y, x): the mapped file itself if it contains unscaled floats."""
        plane = self._ordered(self.image)[stokes]
        found: NDArray[Any] = plane if self.image.plain else self.image.values(plane)
        return found

    def read_weight(self, chan: Any = slice(None), y: Any = slice(None), x: Any = slice(None), *,
                    stokes: int = 0) -> NDArray[Any] | None:
        """Return weights (chan or 1, y, x) in s that broadcast against `read`, or None.

        Weights that are not positive numbers become 0.
        """
        image = self.weight_image
        if image is None:
            return None
        if image.shape == self.image_shape:
            planes = self._ordered(image)[stokes]
        else:
            planes = image.mapped if image.mapped.ndim == 3 else image.mapped[np.newaxis]
        found = image.values(planes[slice(None) if len(planes) == 1 else chan, y, x])
        found[~(np.isfinite(found) & (found > 0))] = 0
        return found

    def _ordered(self, image: _Image) -> NDArray[Any]:
        """Return the map with the axes (stokes, chan, y, x)."""
        kept = [axis for axis in self.header.order if axis >= 0]
        rest = [axis for axis in range(image.mapped.ndim) if axis not in kept]
        moved: NDArray[Any] = np.transpose(image.mapped, [*rest, *kept])[(0,) * len(rest)]
        for place, axis in enumerate(self.header.order):
            if axis < 0:
                moved = np.expand_dims(moved, place)
        return moved

    @property
    def pixel_deg(self) -> tuple[float, float]:
        """Width and height of a pixel at the centre of the projection, deg."""
        from astropy.wcs.utils import proj_plane_pixel_scales

        width, height = proj_plane_pixel_scales(self.header.celestial)
        return float(width), float(height)

    def tell(self) -> None:
        """Issue a warning for each fault, and a single warning for all doubts."""
        for fault in self.faults:
            warnings.warn(fault, FastsigWarning, stacklevel=users_line())
        if self.doubts:
            warnings.warn(f"{self.path}: {'; '.join(self.doubts)}", DoubtWarning,
                          stacklevel=users_line())


def rest_hz(rest: Any) -> float | None:
    """Return a rest frequency in Hz, from the name of a line or a frequency.

    Raises
    ------
    UsageError
        Where it is neither.
    """
    if rest is None:
        return None
    from fastsig.axes.velocity import line

    return float(line(rest).rest.to_value("Hz"))


def _cell(path: str, unit: Table, name: str, row: int) -> str:
    """Return a cell of the table BEAMS in deg, as text."""
    found = read_column(path, unit, name, row, row + 1).ravel()
    scale = 1 / 3600 if unit.columns[name].unit == "arcsec" else 1.0
    return repr(float(found[0]) * scale) if found.size else ""


def _opened(path: str) -> Any:
    try:
        return open(path, "rb")
    except OSError as error:
        raise unreadable(path, error) from error


def info(path: str | os.PathLike[str], *, deep: bool = False, **overrides: Any) -> dict[str, Any]:
    """Return the fields of ``fastsig info --json`` for a cube.

    The noise and the fraction of pixels with data are measured in up to 16 channels, or in all
    channels with `deep`.
    """
    cube = CubeFile(path, **checked(overrides))
    head, cards = cube.header, cube.header.cards
    noise, seen = _look(cube, deep)
    width, height = cube.pixel_deg
    sky = head.celestial.wcs_pix2world([[(cube.shape[3] - 1) / 2, (cube.shape[2] - 1) / 2]], 0)[0]
    equatorial = head.celestial.wcs.lngtyp.strip() == "RA"
    fields = {
        "path": cube.path, "format": NAME, "kind": KINDS[0], "n_time": None,
        "n_pol": cube.shape[0], "n_chan": cube.shape[1], "n_bits": cube.image.bits,
        "complex": False, "sample_rate_hz": None, "tsamp_s": None,
        "start_time": cards.text("DATE-OBS"), "duration_s": None, **_band(cube),
        "polarization": list(head.stokes), "telescope": cards.text("TELESCOP"),
        "source": cards.text("OBJECT"), "unit": head.unit or None,
        "ra_deg": _finite(sky[0]) if equatorial else None,
        "dec_deg": _finite(sky[1]) if equatorial else None, "valid_fraction": seen,
        "shape": list(cube.shape[1:] if cube.shape[0] == 1 else cube.shape),
        "pixel_arcsec": [width * 3600, height * 3600],
        "projection": head.celestial.wcs.ctype[0][-3:], "celestial_frame": head.radesys or None,
        "beam_arcsec": None if head.beam is None else [head.beam.major * 3600,
                                                       head.beam.minor * 3600],
        "beam_pa_deg": None if head.beam is None else head.beam.pa,
        "noise": noise, "weights": cube.weight_image is not None,
    }
    doubts = [f"{cube.path}: {each}" for each in cube.doubts]
    return fields | {"warnings": [*cube.faults, *doubts]}


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _band(cube: CubeFile) -> dict[str, Any]:
    """Return the edges of the band and of velocities, frame and rest frequency, where known."""
    head = cube.header
    fields: dict[str, Any] = {
        "frequency_mhz": None, "spectral_axis": head.ctype or None, "velocity_km_s": None,
        "spectral_frame": head.frame or None,
        "rest_frequency_mhz": head.rest_hz / 1e6 if head.rest_hz else None}
    if head.ctype in ("VRAD", "VOPT", "VELO"):
        fields["velocity_km_s"] = [each / 1e3 for each in _edges(head.axis)]
    with contextlib.suppress(FormatError):  # `lacks` reports the cause
        fields["frequency_mhz"] = [each / 1e6 for each in _edges(head.frequency_hz(cube.path))]
    return fields


def _edges(axis: NDArray[np.float64]) -> list[float]:
    if len(axis) < 2:
        return [float(axis[0]), float(axis[0])]
    ends = (axis[0] - (axis[1] - axis[0]) / 2, axis[-1] + (axis[-1] - axis[-2]) / 2)
    return [float(min(ends)), float(max(ends))]


def _look(cube: CubeFile, deep: bool) -> tuple[float | None, float | None]:
    """Return the noise, from differences between channels, and the fraction of finite values."""
    n_chan, plane = cube.shape[1], cube.shape[2] * cube.shape[3]
    most = n_chan if deep else max(2, min(_PLANES, _LOOK // (8 * plane)))
    picked = np.unique(np.linspace(0, n_chan - 1, min(n_chan, most)).round().astype(int))
    there, scatters, before = 0, [], None
    for chan in picked:
        values = cube.read(slice(chan, chan + 1))[0]
        there += int(np.isfinite(values).sum())
        if before is not None or n_chan == 1:
            scatter = mad(values if before is None else values - before)
            scatters.append(scatter if before is None else scatter / math.sqrt(2))
        before = values
    found = [each for each in scatters if math.isfinite(each)]
    return (float(np.median(found)) if found else None), there / (len(picked) * plane)


def mad(values: NDArray[Any]) -> float:
    """Return the standard deviation of Gaussian noise from the median absolute deviation.

    It is NaN if there are no finite values.
    """
    kept = values[np.isfinite(values)]
    if not kept.size:
        return math.nan
    return 1.482602218505602 * float(np.median(np.abs(kept - np.median(kept))))


def checked(overrides: dict[str, Any]) -> dict[str, Any]:
    """Return the overrides of a cube.

    Raises
    ------
    UsageError
        Where an override is unknown.
    """
    for name in overrides:
        if name not in _OPTIONS:
            raise UsageError(f"{name} is not an option of a cube; allowed: {', '.join(_OPTIONS)}")
    return overrides


def verify(path: str | os.PathLike[str], **overrides: Any) -> bool:
    """Read a cube and check CHECKSUM and DATASUM; return False if an HDU has no DATASUM.

    Raises
    ------
    DataError
        If a checksum is wrong.
    FormatError
        As for `CubeFile`.
    """
    cube = CubeFile(path, **checked(overrides))
    cube.tell()
    return check_units(cube.path, cube.units)
