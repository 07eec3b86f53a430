"""Frame: shift each spectrum to one frequency axis in another velocity frame."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import EarthLocation
from numpy.typing import NDArray

from fastsig import telescopes
from fastsig.axes.constants import SPEED_OF_LIGHT
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.sky import place as sky_place
from fastsig.axes.units import exact
from fastsig.axes.velocity import line
from fastsig.errors import PlanError, UsageError
from fastsig.stream import Block, SpectraStage, SpectrumStream, Stream
from fastsig.telescopes.pointing import mid_times
from fastsig.telescopes.velocity_frames import SPECSYS, factor, frame_of, known_frame

__all__ = ["VelocityFrame"]

_COLUMN = "frame_m_s"
_LAGS = 4
_MOST_MOVED = 0.1  # channels
_WIDEST, _MOST_CHANNELS = 10_000, 2**26
_SEGMENT = 128  # rows
_TRIED = 5  # number of rows for which the shift is computed in advance


class VelocityFrame(SpectraStage):
    r"""Spectra as seen by an observer at rest in another frame.

    .. math:: f_{out} = F f_{in}, \quad F = \sqrt{(1 + \beta) / (1 - \beta)}

    where `fastsig.telescopes.velocity_frames.factor` computes F for the time of the middle of each
    row, its position, and the telescope. `fastsig_kernels.resample` resamples all rows to one
    evenly spaced frequency axis; the interpolation is band-limited and conserves flux. Values are
    not scaled: a spectral density still refers to its own channel, which has become wider or
    narrower (F differs from 1 by less than 2e-4). The column ``frame_m_s`` contains c (F - 1) for
    every row.

    Parameters
    ----------
    source : SpectrumStream
        Spectra from a known telescope, with known frequencies, and with positions in the columns
        ``ra_deg`` and ``dec_deg`` or one position in the header.
    to : {"topocentric", "geocentric", "barycentric", "heliocentric", "lsrk"}
        The new frame.
    rest : str or Quantity, optional
        The line that was observed (`fastsig.axes.velocity.line`), or its rest frequency, for the
        header of the product.
    source_frame : str, optional
        Frame of the source, instead of that in the header; topocentric if both are missing.
    position : SkyCoord or pair of Quantity, optional
        Position of all rows, ICRS, instead of that in the source.
    location : EarthLocation or str, optional
        Location of the telescope, or its name; by default, the telescope in the header.
    width : Quantity, optional
        Width of output channels; by default, that of the source.
    band : pair of Quantity, optional
        Lowest and highest centre of output channels, in the new frame.
    lobes, min_valid
        As for `fastsig_kernels.resample`.

    Notes
    -----
    The centres of output channels are integer multiples of their width, so products with the same
    width in the same frame share their channels, whatever their sources. By default, the number of
    channels is that which fills the band of the source. The first output channel is the one nearest
    to the first channel of the source after a shift by the mean of the smallest and the largest
    shift among five evenly spaced rows. Rows with other shifts lack a few channels at one end;
    these have weight 0.

    Raises
    ------
    PlanError
        If the source contains no spectra, has no frequencies, or is already in the new frame.
    UsageError
        If the position, the telescope or the frame of the source is not known, or a parameter is
        not allowed.
    """

    name = "frame"
    needs_end = True  # its axis covers the shifts of all rows
    source: SpectrumStream

    def __init__(
        self, source: Stream, to: str, *, rest: Any = None, source_frame: str | None = None,
        position: Any = None, location: EarthLocation | str | None = None, width: Any = None,
        band: Any = None, lobes: int | None = None, min_valid: float = 0.9,
    ) -> None:
        from fastsig_kernels.resampling import LOBES

        if not isinstance(source, SpectrumStream):
            raise PlanError(f"frame requires spectra, not {source.kind}")
        if source.header.channels is None:
            raise PlanError(f"{source.path}: a frame needs the frequency of channels; give "
                            "--set frequency=1420MHz (centre of the band)")
        _check_labels(source)
        self.source, self.axis = source, source.header.channels
        self.to, self.min_valid = frame_of(to), _share(min_valid)
        self.lobes = _lobes(LOBES if lobes is None else lobes)
        self.source_frame, self.frame_from = _source_frame(source, source_frame)
        if self.to == self.source_frame and width is None and band is None:
            raise PlanError(f"{source.path}: the spectra are already {self.to}")
        self.position = None if position is None else sky_place(position)
        self._factors: dict[int, NDArray[np.float64]] = {}
        self.location = self._located(location)
        self._check_position()
        self.rest = None if rest is None else line(rest)
        self.out_axis = self._axis(width, band)
        extra = {key: value for key, value in source.header.extra.items() if key != "frame"}
        header = source.header.replace(
            channels=self.out_axis, specsys=self.to, extra=extra,
            rest_hz=source.header.rest_hz if self.rest is None else self.rest.hz,
            origin={**source.header.origin, "channels": "frame", "specsys": "frame"})
        super().__init__(source, header=header, shape=(*source.shape[:2], self.out_axis.n_chan))

    def _located(self, location: EarthLocation | str | None) -> EarthLocation | None:
        """Return the location of the telescope; None if it does not matter."""
        if isinstance(location, EarthLocation):
            return location
        if {self.to, self.source_frame} <= {"barycentric", "lsrk"}:
            return None
        name = location or self.source.header.telescope
        if name is None:
            raise UsageError(f"{self.source.path}: the telescope is not known; give --site FAST")
        return telescopes.get(name).location

    def _check_position(self) -> None:
        header = self.source.header
        if self.position is None and "ra_deg" not in self.source.columns and (
                header.ra_deg is None or header.dec_deg is None):
            raise UsageError(f"{self.source.path}: the position is not known; give --position "
                             "187.5deg,12.4deg, or spectra with columns ra_deg and dec_deg")

    def _axis(self, width: Any, band: Any) -> ChannelAxis:
        """Return channels with centres at integer multiples of their width."""
        step = self.axis.step_hz if width is None else exact(width, "Hz", "width")
        if not 0 < step / self.axis.step_hz <= _WIDEST:
            raise UsageError(f"width = {width}; allowed: above 0, up to {_WIDEST} channels of "
                             f"{float(self.axis.step_hz):g} Hz")
        low, high = self._reach()
        if band is None:
            first = round(Fraction((low + high) / 2) * self.axis.first_hz / step)
            n_chan = round(self.axis.n_chan * self.axis.step_hz / step)
        else:
            ends = [exact(each, "Hz", "band") for each in _pair(band)]
            first = -((-ends[0]) // step)
            n_chan = int(ends[1] // step) - first + 1
        if not 1 <= n_chan <= _MOST_CHANNELS:
            raise UsageError(f"{n_chan} channels of {float(step):g} Hz from {_shown(band)}; "
                             f"allowed: 1 to {_MOST_CHANNELS}")
        found = ChannelAxis(first * step, step, int(n_chan))
        there = [Fraction(edge) * at for edge, at in zip((low, high), self.axis.edges_hz,
                                                          strict=True)]
        if found.edges_hz[0] >= there[1] or found.edges_hz[1] <= there[0]:
            raise UsageError(f"band = {_shown(band)}: the spectra run from "
                             f"{float(there[0]) / 1e6:.9g} to {float(there[1]) / 1e6:.9g} MHz in "
                             f"the {self.to} frame")
        return found

    def _reach(self) -> tuple[float, float]:
        """Return the smallest and the largest factor of a few rows."""
        rows = sorted({round(part * (self.source.shape[0] - 1))
                       for part in np.linspace(0, 1, _TRIED)}) if self.source.shape[0] else []
        found = np.concatenate([self.factors(row, 1) for row in rows] or [np.ones(1)])
        found = found[np.isfinite(found)]
        if not found.size:
            raise UsageError(f"{self.source.path}: the position is not known in any row; give "
                             "--position 187.5deg,12.4deg")
        return float(found.min()), float(found.max())

    def factors(self, start: int, n: int) -> NDArray[np.float64]:
        """Return frequencies in the new frame divided by those in the source, for each row.

        The factors are NaN where the position is not known. They are computed in segments counted
        from row 0, so that they have the same bits regardless of which rows are requested.
        """
        first = start // _SEGMENT
        parts = [self._segment(k) for k in range(first, max(start, start + n - 1) // _SEGMENT + 1)]
        return np.concatenate(parts)[start - first * _SEGMENT :][:n]

    def _segment(self, number: int) -> NDArray[np.float64]:
        """Return the factors of a segment of rows, which are kept: 8 bytes per row."""
        if number not in self._factors:
            start = number * _SEGMENT
            self._factors[number] = self._made(start, min(_SEGMENT, self.source.shape[0] - start))
        return self._factors[number]

    def _made(self, start: int, n: int) -> NDArray[np.float64]:
        header = self.source.header
        times = mid_times(self.source.start_time, header.sample_rate, n, start)
        if self.position is not None:
            ra, dec = (np.full(n, each) for each in self.position)
        elif "ra_deg" in self.source.columns:
            columns = self.source.read_columns(start, n)
            ra, dec = columns["ra_deg"], columns["dec_deg"]
        else:
            ra, dec = np.full(n, header.ra_deg), np.full(n, header.dec_deg)
        where = self.location if self.location is not None else EarthLocation(0, 0, 0, unit="m")
        both = [factor(frame, ra << u.deg, dec << u.deg, times, where)
                for frame in (self.to, self.source_frame)]
        return np.asarray(both[0] / both[1])

    def parameters(self) -> Mapping[str, Any]:
        """Parameters that determine the values, and the covariance of their noise."""
        from fastsig_kernels import resampling_covariance

        ratio = float(self.out_axis.step_hz / self.axis.step_hz)
        noise = resampling_covariance(ratio, _LAGS, lobes=self.lobes)
        place = self.location
        return {
            "to": self.to, "from": self.source_frame, "from_source": self.frame_from,
            "label": self.source.header.extra.get("label"),
            "position_deg": None if self.position is None else list(self.position),
            "site_m": None if place is None else [round(float(each.to_value("m")), 4)
                                                  for each in place.geocentric],
            "rest_hz": self.header.rest_hz,
            "axis": {"first_hz": str(self.out_axis.first_hz), "step_hz": str(self.out_axis.step_hz),
                     "n_chan": self.out_axis.n_chan},
            "doppler": "sqrt((1 + b) / (1 - b)), b = (v_frame - v_site) . n / c; lsrk: 20 km/s "
                       "towards 18h, +30 deg of 1900",
            "kernel": {"name": "kaiser sinc", "lobes": self.lobes, "min_valid": self.min_valid},
            "noise_covariance": [round(float(each), 6) for each in noise],
        }

    @property
    def columns(self) -> Mapping[str, str]:
        """The columns of the source, and that of the shift."""
        return {**self.source.columns, _COLUMN: "m/s"}

    def read_columns(self, start: int, n: int) -> dict[str, NDArray[np.float64]]:
        """Return the values of the columns listed in `columns`."""
        self._check_range(start, n)
        return {**self.source.read_columns(start, n),
                _COLUMN: (self.factors(start, n) - 1) * SPEED_OF_LIGHT}

    @property
    def weight_channels(self) -> int:
        """All channels: some rows lack channels at the ends of the band."""
        return self.shape[2]

    def work_bytes(self, n: int) -> int:
        """Memory that a thread needs to compute `n` rows."""
        half = 4 * n * self.source.shape[1] * self.source.shape[2]
        return (self.source.work_bytes(n) + 2 * n * self.row_bytes + half
                + 24 * (self.source.shape[2] + 2**12))

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Return spectra in the new frame, float32, and weights; NaN where the weight is 0."""
        from fastsig_kernels import resample

        block = self.source.read_block(start, n)
        factors = self.factors(start, n)
        first = float(self.out_axis.first_hz) / factors - float(self.axis.first_hz)
        step = float(self.out_axis.step_hz / self.axis.step_hz) / factors
        data, weight = resample(
            np.asarray(block.data, np.float32), first / float(self.axis.step_hz),
            step, self.shape[2], weight=self._weight(block), lobes=self.lobes,
            min_valid=self.min_valid, out=None if out is None else out[:n])
        view = data.view()
        view.flags.writeable = weight.flags.writeable = False
        return Block(view, weight, start, n)

    def _weight(self, block: Block) -> NDArray[np.float32]:
        """Return the weights of the source, with 0 for a half channel, which has another scale."""
        weight = np.asarray(block.valid, np.float32)
        half = self.axis.half_channel
        if half is None:
            return weight
        wide = np.array(np.broadcast_to(weight, (*weight.shape[:2], self.source.shape[2])))
        wide[:, :, half] = 0
        return wide


def _check_labels(source: SpectrumStream) -> None:
    """Refuse rows that are tuned differently: the header has only the labels of the first row."""
    moved = source.header.extra.get("frequency_moves_channels", 0)
    if isinstance(moved, (int, float)) and moved > _MOST_MOVED:
        raise PlanError(f"{source.path}: labels of channels move by {moved:.3g} channels between "
                        f"rows; allowed: {_MOST_MOVED}; select rows with one tuning, for example "
                        "by --set scan=152")


def _source_frame(source: SpectrumStream, given: str | None) -> tuple[str, str]:
    """Return the frame of spectra, and the source of this information."""
    if given is not None:
        return frame_of(given), "option"
    header = source.header
    if header.specsys is not None:
        found = known_frame(header.specsys)
        if found is None:
            raise UsageError(f"{source.path}: the frame is {header.specsys!r}; allowed: "
                             f"{', '.join(SPECSYS)}; specify it with --from")
        return found, "header"
    card = header.barycentric_card
    if card is not None:
        raise UsageError(f"{source.path}: {card} = {header.extra[card]}: it is not known "
                         "whether frequencies are barycentric too; give --from barycentric, or "
                         "topocentric")
    return "topocentric", "assumed"


def _pair(value: Any) -> tuple[Any, Any]:
    if isinstance(value, str):
        value = value.split("-")
    try:
        first, second = value
    except (TypeError, ValueError) as error:
        raise UsageError(f"{value!r}; allowed: two values") from error
    return first, second


def _shown(band: Any) -> str:
    return "end to end" if band is None else " to ".join(str(each) for each in _pair(band))


def _share(value: float) -> float:
    if not 0.5 < value <= 1:
        raise UsageError(f"min_valid = {value}; allowed: above 0.5, up to 1")
    return float(value)


def _lobes(value: int) -> int:
    if not 2 <= value <= 100:
        raise UsageError(f"lobes = {value}; allowed: 2 to 100")
    return int(value)
