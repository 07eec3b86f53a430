"""Maps: spectra of any beams and scans, averaged on the pixels of a cube.

`fastsig_kernels.Gridder` computes the means of pixels over the spectra, in the order in which these
are given. Channels are gridded in blocks that fit into memory. The bytes of a map depend neither on
the blocks nor on the number of threads.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig._version import __version__
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.units import exact, quantity
from fastsig.axes.velocity import line
from fastsig.errors import FastsigWarning, PlanError, UsageError, users_line
from fastsig.io.files.provenance import chain_record, input_files, input_record
from fastsig.io.files.safe import check_output
from fastsig.reductions.mapping.bands import common_band, common_frame, framed
from fastsig.reductions.mapping.block_plan import MapPlan, plan_blocks
from fastsig.reductions.mapping.blocks import grid_channels, read_channels
from fastsig.reductions.mapping.header import AXES, map_header, velocity_band
from fastsig.reductions.mapping.pixels import beams_of, kernel_of, pixels
from fastsig.reductions.mapping.rows import PRODUCTS, Rows, as_streams, check_alike, rows_of
from fastsig.reductions.mapping.sampling import point_source_error, vectors
from fastsig.stream import SpectrumStream, Stream, stream_of
from fastsig.work.arguments import check_options
from fastsig.work.counted import counted
from fastsig.work.shown import Shown
from fastsig.work.signals import held

__all__ = ["Map", "MapData", "MapPlan", "grid"]

F4 = NDArray[np.float32]

#: The level of each input's channels is kept, or its median over time is subtracted.
ZEROS = ("keep", "median")
_MOST_ERROR = 0.03  # of a point source, by sampling; tracks 0.4 beams apart give half of it
_STOKES = {"I": (1,), "IQUV": (1, 2, 3, 4), "V": (4,)}


@dataclass(frozen=True, repr=False)
class MapData(Shown):
    """A map in memory.

    Parameters
    ----------
    values : ndarray, shape (chan, y, x) or (stokes, chan, y, x), float32
        Values; NaN where there are no data.
    weight : ndarray, shape of values, float32
        Effective integration time, s. The noise is that of a spectrum of 1 s, divided by the
        square root of the weight.
    header : astropy.io.fits.Header
        The header of the file.
    """

    values: F4
    weight: F4
    header: Any

    @property
    def wcs(self) -> Any:
        """World coordinates of the axes."""
        from astropy.wcs import WCS, FITSFixedWarning

        with warnings.catch_warnings():  # about the observatory's place in other coordinates
            warnings.simplefilter("ignore", FITSFixedWarning)
            return WCS(self.header)


class Map:
    """A map that has been laid out but not yet computed.

    Parameters
    ----------
    inputs : sequence
        Paths, chains or streams of spectra in K or Jy with positions, for all beams and scans.
    kernel : angle, optional
        Full width of the Gaussian kernel; half the telescope's beam by default.
    radius : angle, optional
        Radius at which the kernel ends; by default, 1.5 times its full width.
    pixel : angle, optional
        Side of a pixel; a third of the effective beam, in whole arcseconds, by default.
    projection : str
        Code of a projection that astropy.wcs knows.
    center : SkyCoord or str, optional
        Centre in ICRS; the middle of the positions by default.
    size : angle, or two, optional
        Width, or width and height; by default, large enough for all positions.
    beam_size : angle, optional
        Full width of the telescope's beam; by default, that of the receiver.
    products : {"I", "IQUV", "V"}
        Products of the map; I is the mean of AA and BB if the spectra have these.
    frame : {"topocentric", "geocentric", "barycentric", "heliocentric", "lsrk"}, optional
        Frame of the channels, to which each spectrum is shifted and resampled, as in
        `fastsig.stages.velocity_frame.VelocityFrame`; by default, the channels are not shifted.
    axis : {"FREQ", "VRAD", "VOPT"}
        The spectral axis; channels are evenly spaced in frequency in all of them.
    rest : str or Quantity, optional
        Line, as in `fastsig.axes.velocity.line`; by default, the line in the spectra's headers, if
        there is one.
    fstart, fstop : frequency, optional
        Lowest and highest channel centre.
    vstart, vstop : velocity, optional
        Lowest and highest channel centre as velocities, in the optical convention if the axis is
        VOPT and otherwise in the radio convention.
    zero : {"keep", "median"}
        "median" subtracts the median over time of each input, product and channel before channels
        are shifted. The median is that of all rows that could be used, whatever the size of the
        map. This removes the level of the system from drift scans that mostly cover empty sky.
        "keep" subtracts nothing.
    keep : sequence of {"extrapolated", "diode"}
        Rows to include that are left out by default.
    min_weight : value, s
        Smallest weight; pixels with a smaller weight become NaN.

    Raises
    ------
    UsageError
        If an option is not allowed.
    PlanError
        If the spectra cannot be combined in one map, or if the map would be empty.
    """

    def __init__(
        self, inputs: Sequence[Any], *, kernel: Any = None, radius: Any = None, pixel: Any = None,
        projection: str = "TAN", center: Any = None, size: Any = None, beam_size: Any = None,
        products: str = "I", frame: str | None = None, axis: str = "FREQ", rest: Any = None,
        fstart: Any = None, fstop: Any = None, vstart: Any = None, vstop: Any = None,
        zero: str = "keep", keep: Sequence[str] = (), min_weight: Any = 0,
    ) -> None:
        if products not in PRODUCTS:
            raise UsageError(f"products = {products!r}; allowed: {', '.join(PRODUCTS)}")
        if axis not in AXES:
            raise UsageError(f"axis = {axis!r}; allowed: {', '.join(AXES)}")
        if zero not in ZEROS:
            raise UsageError(f"zero = {zero!r}; allowed: {', '.join(ZEROS)}")
        self.products, self.kind = products, axis
        given = as_streams(inputs)
        check_alike(given, products)
        self.streams = framed(given, frame)
        self.frame = common_frame(self.streams)
        self.rest_hz = _rest(rest, self.streams)
        self.axis, self._cuts = self._band(fstart, fstop, vstart, vstop)
        rows = [rows_of(stream, keep) for stream in self.streams]
        self._check_any(rows)
        self.beam = beams_of(rows, self.axis.centers.value, beam_size)
        self.kernel = kernel_of(self.beam, kernel, radius)
        self.unit = str(self.streams[0].header.unit)
        self._stretch = self.kernel.fitted(self.beam)
        self.pixel_deg = step = self._step(pixel)
        self.min_weight_s = float(quantity(min_weight, "s", "min_weight").value)
        self._facts: dict[str, Any] = {
            "kernel_deg": self.kernel.fwhm_deg, "radius_deg": self.kernel.radius_deg,
            "beam_deg": self.beam.fwhm_deg, "beams_deg": sorted(set(self.beam.each_deg)),
            "pixel_deg": step, "products": products, "axis": axis,
            "rest_hz": None if self.rest_hz is None else float(self.rest_hz), "frame": self.frame,
            "zero": zero, "keep": sorted(keep), "min_weight_s": float(
                quantity(min_weight, "s", "min_weight").value)}
        ra, dec = (np.concatenate([getattr(each, name) for each in rows]) for name in ("ra", "dec"))
        self.celestial, plane = pixels(ra, dec, step, projection=projection, center=center,
                                       size=size)
        self._place = self._pixel_places(plane)
        self.rows = [replace(self._near(each, stretch),
                             level=each.kept if zero == "median" else None)
                     for each, stretch in zip(rows, self._stretch, strict=True)]
        self._check_any(self.rows)
        self._check_sampling()
        self.stokes = _STOKES[products]
        n_chan = self.axis.n_chan
        self.shape = (*((len(self.stokes),) if len(self.stokes) > 1 else ()), n_chan, *plane)
        self.header = map_header(
            self.celestial, self.axis, axis, self.rest_hz, self.stokes, self.unit, self.beam,
            self.kernel, self.frame, self.streams)
        if len(self.stokes) == 1 and self.stokes != (1,):
            self.header["BTYPE"] = ("Intensity", "Stokes V")
        self._gridder: Any = None

    def _step(self, pixel: Any) -> float:
        width = self.beam.fwhm_deg * math.sqrt(self.kernel.scale(self.beam.fwhm_deg))
        if pixel is None:
            return max(1, math.floor(width / 3 * 3600 + 1e-9)) / 3600
        step = float(quantity(pixel, "deg", "pixel").value)
        if not 0 < step <= width:
            raise UsageError(f"pixel = {pixel}; allowed: above 0, up to the effective beam's "
                             f"width, {width * 3600:.1f} arcsec")
        return step

    def _band(self, fstart: Any, fstop: Any, vstart: Any, vstop: Any
              ) -> tuple[ChannelAxis, list[tuple[int, int]]]:
        """Return the channels of the map, and their range in each stream."""
        low, high = (None if end is None else exact(end, "Hz", name)
                     for end, name in ((fstart, "fstart"), (fstop, "fstop")))
        if (vstart is None) != (vstop is None):
            raise UsageError("vstart and vstop: one is missing; allowed: both, or none")
        if vstart is not None:
            if self.rest_hz is None:
                raise UsageError("vstart and vstop need a rest frequency (--rest HI)")
            if low is not None or high is not None:
                raise UsageError("vstart with fstart or fstop; allowed: velocities or frequencies")
            low, high = velocity_band(exact(vstart, "m/s", "vstart"), exact(vstop, "m/s", "vstop"),
                                      self.rest_hz, self.kind)
        return common_band(self.streams, low, high)

    def _check_any(self, rows: Sequence[Rows]) -> None:
        if any(len(each.kept) for each in rows):
            return
        reasons = ", ".join(f"{n} of them: {why}" for why, n in _left_out(rows).items())
        raise PlanError(f"{self.streams[0].path}: no spectrum can be used for the map"
                        + (f"; {reasons}" if reasons else ""))

    def _pixel_places(self, plane: tuple[int, int]) -> NDArray[np.float64]:
        """Return right ascension and declination of the centres of pixels, (2, y, x), deg."""
        y, x = np.indices(plane, dtype=np.float64)
        ra, dec = self.celestial.all_pix2world(x, y, 0)
        seen = np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90)
        return np.stack([np.where(seen, ra, np.nan), np.where(seen, dec, np.nan)])

    def _near(self, rows: Rows, stretch: float) -> Rows:
        """Return the rows within the radius of their kernel of a circle around all pixels."""
        known = np.isfinite(self._place[0])
        pixels_at = vectors(self._place[0][known], self._place[1][known])
        middle = pixels_at.mean(axis=0)
        if not known.any() or np.linalg.norm(middle) < 0.1:
            return rows
        middle /= np.linalg.norm(middle)
        apart = 2 * np.arcsin(np.clip(
            np.sqrt(((pixels_at - middle) ** 2).sum(axis=1).max()) / 2, 0, 1))
        limit = min(math.pi, apart + math.radians(self.kernel.stretched(stretch).radius_deg))
        chord = np.sqrt(((vectors(rows.ra, rows.dec) - middle) ** 2).sum(axis=1))
        return rows.only(chord <= 2 * math.sin(limit / 2), "outside of the map")

    def _check_sampling(self) -> None:
        """Warn if spectra are too far apart for the kernel."""
        ra, dec = (np.concatenate([getattr(each, name) for each in self.rows])
                   for name in ("ra", "dec"))
        error = point_source_error(ra, dec, self.kernel, self.beam.fwhm_deg)
        if error > _MOST_ERROR:
            wider = self.kernel.stretched(max(1.4, 0.7 * self.beam.fwhm_deg / self.kernel.fwhm_deg))
            helps = point_source_error(ra, dec, wider, self.beam.fwhm_deg) < error
            warnings.warn(
                f"{self.streams[0].path}: the tracks are too sparse for a kernel of "
                f"{self.kernel.fwhm_deg * 60:.3g} arcmin: a point source on a track is "
                f"{error * 100:.0f} % too bright in the map, and one between tracks is too faint; "
                f"space the tracks at most 0.4 beamwidths ({self.beam.fwhm_deg * 24:.2g} arcmin) "
                "apart" + (", or use a wider kernel (--kernel)" if helps else ""),
                FastsigWarning, stacklevel=users_line())

    @property
    def left_out(self) -> dict[str, int]:
        """Number of spectra that are left out, for each reason."""
        return _left_out(self.rows)

    @property
    def n_spectra(self) -> int:
        """Number of spectra used for the map."""
        return sum(len(each.kept) for each in self.rows)

    @property
    def _scales(self) -> list[float]:
        """Factors for the values of each input: from Jy in its beam to Jy/beam of the map."""
        if self.unit != "Jy":
            return [1.0] * len(self.streams)
        return [self.kernel.stretched(ratio).scale(width) for ratio, width in zip(
            self._stretch, self.beam.each_deg, strict=True)]

    @property
    def gridder(self) -> Any:
        """The plan of the kernel, computed when it is first needed."""
        if self._gridder is None:
            from fastsig_kernels import Gridder, gaussian_table

            ra, dec = (np.concatenate([getattr(each, name) for each in self.rows])
                       for name in ("ra", "dec"))
            width, radius = self.kernel.fwhm_deg, self.kernel.radius_deg
            stretch = np.repeat(self._stretch, [len(each.kept) for each in self.rows])
            self._gridder = Gridder(ra, dec, *self._place, radius=radius, stretch=stretch,
                                    table=gaussian_table(width, radius))
        return self._gridder

    def provenance(self, *, hash_inputs: bool = False) -> dict[str, Any]:
        """Return a record of everything that determines the values."""
        import astropy

        return {
            "fastsig": __version__, "numpy": np.__version__, "astropy": astropy.__version__,
            "inputs": [{**input_record(_file(stream), whole=hash_inputs),
                        "stages": chain_record(stream), "spectra": len(rows.kept),
                        "left_out": rows.left_out}
                       for stream, rows in zip(self.streams, self.rows, strict=True)],
            "map": self._facts,
            "conventions": {
                "mean": "sum(w K v) / sum(w K); w = weight times integration time; for Jy/beam v "
                        "is multiplied by r, the solid angle of the map's beam over that of the "
                        "spectrum's, and w divided by r^2",
                "weight": "(sum w K)^2 / sum(w K^2), s",
                "kernel": "k_b^2 + b^2 is the same for all beams b",
                "i": "mean of AA and BB",
            },
        }

    def plan(self, *, workers: int | None = None, memory: int | None = None) -> MapPlan:
        """Choose numbers of threads and of channels per block that fit into `memory`.

        Raises
        ------
        PlanError
            If `memory` is below the minimum, which the message states.
        """
        _ = self.gridder  # so that the gridder and the compiler are resident
        return plan_blocks(self._bytes, self.axis.n_chan, workers, memory)

    def _bytes(self, threads: int, n_chan: int) -> int:
        """Memory for a block of channels."""
        wide = n_chan if self._weights_vary else 1
        plane = math.prod(self.shape[-2:])
        planes = 4 * plane * n_chan * (2 * len(self.stokes) + 1) + 8 * plane
        each = max(max(rows.piece_bytes(n_chan) for rows in self.rows),
                   256 * 24 * n_chan + 2**19)
        return int(4 * self.n_spectra * len(self.stokes) * (n_chan + wide) + planes
                   + threads * each)

    @property
    def _weights_vary(self) -> bool:
        return any(stream.weight_channels > 1 for stream in self.streams)

    def explain(self, *, workers: int | None = None, memory: int | None = None) -> str:
        """Describe in text how the map would be computed."""
        ready = self.plan(workers=workers, memory=memory)
        low, high = (float(edge) / 1e6 for edge in self.axis.edges_hz)
        head, beam = self.header, self.beam
        return "\n".join([
            ready.text(),
            f"{_spectra(self.n_spectra)} of {counted(len(self.streams), 'file', 'files')}",
            *(f"left out: {_spectra(count)}, {why}" for why, count in self.left_out.items()),
            f"{self.shape[-1]} x {self.shape[-2]} pixels of {self.pixel_deg * 3600:g} arcsec, "
            f"{head['CTYPE1'][-3:]} about {head['CRVAL1']:.4f}, {head['CRVAL2']:+.4f} deg",
            f"{counted(self.axis.n_chan, 'channel', 'channels')}, {low:.6g} to {high:.6g} MHz, "
            f"{head['SPECSYS']}",
            f"beam {beam.fwhm_deg * 60:.3f} arcmin ({beam.origin}), kernel "
            f"{self.kernel.fwhm_deg * 60:.3f} arcmin: effective {head['BMAJ'] * 60:.3f} arcmin, "
            f"{head['BUNIT']}",
        ])

    def _blocks(self, ready: MapPlan, progress: Callable[[int], Any] | None
                ) -> Iterator[tuple[int, F4, F4]]:
        """Yield the first channel, the map and the weights (product, chan, y, x) of each block."""
        plane, n_product = self.shape[-2:], len(self.stokes)
        for first in range(0, self.axis.n_chan, ready.n_chan):
            n = min(ready.n_chan, self.axis.n_chan - first)
            data, weight = read_channels(
                self.rows, self._cuts, self._scales, self.products, first, n,
                len(self.stokes), n if self._weights_vary else 1, ready.threads)
            mean = np.empty((n_product, n, *plane), np.float32)
            out = np.empty_like(mean)
            for product in range(n_product):
                grid_channels(self.gridder, data[product], weight[product], mean[product],
                              out[product], ready.threads)
            del data, weight
            self._finish(mean, out)
            yield first, mean, out
            if progress is not None:
                progress(n)

    def _finish(self, mean: F4, weight: F4) -> None:
        """Set pixels with too little weight to NaN."""
        if self.min_weight_s > 0:
            mean[weight < self.min_weight_s] = np.nan

    def read(self, *, workers: int | None = None, memory: int | None = None) -> MapData:
        """Compute the map."""
        values = np.empty((len(self.stokes), self.axis.n_chan, *self.shape[-2:]), np.float32)
        weight = np.empty_like(values)
        for first, mean, each in self._blocks(self.plan(workers=workers, memory=memory), None):
            values[:, first : first + mean.shape[1]] = mean
            weight[:, first : first + mean.shape[1]] = each
        return MapData(values.reshape(self.shape), weight.reshape(self.shape), self.header.copy())

    def write(
        self, path: str | os.PathLike[str], *, workers: int | None = None,
        memory: int | None = None, overwrite: bool = False, hash_inputs: bool = False,
        progress: Callable[[int], Any] | None = None,
    ) -> None:
        """Compute the map and write it as a FITS cube.

        Parameters
        ----------
        path : path
            Final name.
        workers : int, optional
            Number of threads; by default, as many as the process may use.
        memory : int, optional
            Largest number of bytes that the process may use.
        overwrite : bool
            Whether an existing file may be replaced.
        hash_inputs : bool
            Whether to hash every input completely for the provenance, instead of only its ends.
        progress : callable, optional
            Called with the number of channels written since the last call.

        Raises
        ------
        PlanError
            If `memory` is below the minimum.
        OutputError
            If the file exists or cannot be written.
        DataError
            If an input cannot be read to its end.
        """
        from fastsig.io.fits.cube_writer import CubeWriter

        self.check(path, overwrite=overwrite)
        ready = self.plan(workers=workers, memory=memory)
        record = self.provenance(hash_inputs=hash_inputs)
        with held(), CubeWriter(path, self.header, self.shape, record,
                                overwrite=overwrite) as writer:
            for first, mean, weight in self._blocks(ready, progress):
                for product, planes in enumerate(mean):
                    writer.write(product * self.axis.n_chan + first, planes, weight[product])

    def check(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Raise `OutputError` if the map cannot be written under a name."""
        inputs = [name for stream in self.streams for name in input_files(stream)]
        check_output(path, overwrite=overwrite, inputs=inputs)

    @property
    def disk_bytes(self) -> int:
        """Largest possible size of the file, in bytes."""
        return 8 * int(math.prod(self.shape)) + 2**16

    def __repr__(self) -> str:
        return f"<Map of {_spectra(self.n_spectra)}, {self.shape}, {self.header['BUNIT']}>"


def _spectra(n: int) -> str:
    return counted(n, "spectrum", "spectra")


def grid(inputs: Any, **options: Any) -> Map:
    """Lay out a map of spectra; nothing is computed until the map is written or read.

    Parameters
    ----------
    inputs : path, chain, or sequence of them
        Spectra in K or Jy with positions, of all beams and scans.
    **options
        As in `Map`.
    """
    one = isinstance(inputs, (str, bytes, os.PathLike, Stream)) or hasattr(inputs, "stream")
    try:
        listed = [inputs] if one else list(inputs)
    except TypeError:
        listed = [inputs]
    for each in listed:
        if not isinstance(each, (str, os.PathLike)):
            stream_of(each)
    check_options("grid", Map, options)
    return Map(listed, **options)


def _left_out(rows: Sequence[Rows]) -> dict[str, int]:
    out: dict[str, int] = {}
    for each in rows:
        for why, n in each.left_out.items():
            out[why] = out.get(why, 0) + n
    return out


def _file(stream: SpectrumStream) -> Any:
    root: Any = stream
    while root.inputs():
        root = root.inputs()[0]
    return root


def _rest(rest: Any, streams: Sequence[SpectrumStream]) -> Fraction | None:
    """Return the rest frequency, Hz: the given one, or the one on which all headers agree."""
    if rest is not None:
        return Fraction(repr(line(rest).hz))
    stated = {stream.header.rest_hz for stream in streams}
    found = stated.pop() if len(stated) == 1 else None
    return None if found is None else Fraction(repr(found))
