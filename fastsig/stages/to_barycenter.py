"""ToBarycenter: spectra and time series sampled evenly at the solar system's barycentre."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from fastsig.axes.sky import place as sky_place
from fastsig.axes.time import time_from_mjd
from fastsig.errors import PlanError, UsageError
from fastsig.stream import Block, PassedSpectra, PlaneStream, SpectrumStream, Stage, Stream

if TYPE_CHECKING:
    from astropy.coordinates import EarthLocation

    from fastsig.telescopes.barycentric_clock import BarycentricClock

__all__ = ["BarycentricPlanes", "BarycentricRows", "BarycentricSpectra", "ToBarycenter",
           "clock_of"]

#: Number of rows between those whose times are computed: in between, clocks drift evenly.
_STEP = 1024
_PIECE = 2**20  # rows of which runs are found at a time
_LONGEST_ROW_S = 100


def ToBarycenter(  # noqa: N802 - used like the class of a stage, for all kinds of stream
    source: Stream, *, position: Any = None, location: EarthLocation | str | None = None,
    ephemeris: str | None = None,
) -> Stream:
    r"""Return rows that are evenly spaced in time at the solar system's barycentre.

    .. math:: n_k = \mathrm{round}(t_b^{-1}(t_b(0) + (k + 1/2) \Delta t) / \Delta t - 1/2)

    Row k of the result is row n_k of the source. About one row in 10000 is left out or repeated,
    where the clocks of the telescope and the barycentre have drifted apart by half a row. PRESTO's
    prepdata does the same, but inserts a mean value instead of repeating a row. The Einstein,
    Roemer and Shapiro delays are included. The start is a barycentric time (TDB), written as if it
    were UTC, and ``extra["barycentered"]`` is 1.

    Dispersion delays are not corrected to the barycentre: remove the dispersion first, at the
    frequencies of the telescope.

    Parameters
    ----------
    source : SpectrumStream or PlaneStream
        Spectra, time series or DM-time planes from a known telescope, of a source at a known
        position.
    position : SkyCoord, pair of Quantity, or str, optional
        Position of the source, ICRS, instead of that in the header.
    location : EarthLocation or str, optional
        Location of the telescope, or its name; by default, the telescope in the header.
    ephemeris : str, optional
        A JPL kernel (.bsp), or ``"erfa"`` for ERFA's series; by default, the kernel of the extra
        ``[pulsar]`` if it is installed, and otherwise ERFA's series. With a kernel, times agree
        with PINT's to 1 us. Times from the series differ from those of a kernel by up to 0.43 ms,
        and this difference changes by up to 0.03 ms per month.

    Raises
    ------
    PlanError
        If the source contains neither spectra nor planes, its times are already barycentric, or its
        rows are longer than 100 s.
    UsageError
        If the position or the telescope is not known.
    FormatError
        If the kernel does not exist, or does not cover the times.
    """
    options = {"position": position, "location": location, "ephemeris": ephemeris}
    if isinstance(source, SpectrumStream):
        return BarycentricSpectra(source, **options)
    if isinstance(source, PlaneStream):
        return BarycentricPlanes(source, **options)
    raise PlanError(f"to_barycenter requires spectra or planes, not {source.kind}")


class BarycentricRows:
    """The row of the source that is used for each row at the barycentre.

    Parameters
    ----------
    clock : BarycentricClock
        Clock at the barycentre.
    start : Time
        Time of the start of row 0 at the telescope.
    rate : Fraction
        Rows per second.
    n_row : int
        Number of rows of the source.
    """

    def __init__(self, clock: BarycentricClock, start: Time, rate: Fraction, n_row: int) -> None:
        self._clock, self._start, self._row_s, self._n_row = clock, start, float(1 / rate), n_row
        self._first = float(clock.ahead(start, np.zeros(1))[0])
        end = n_row + self._drift(np.array([n_row * self._row_s]))[0] / self._row_s
        self.n_row = max(1, int(end + 0.5))
        while self.n_row > 1 and self(self.n_row - 1, 1)[0] > n_row - 1:
            self.n_row -= 1

    def __call__(self, start: int, n: int) -> NDArray[np.int64]:
        """Return the rows of the source for rows `start` to ``start + n - 1``, ascending."""
        if not n:
            return np.zeros(0, np.int64)
        first, last = start // _STEP, (start + n - 1) // _STEP + 1
        nodes = np.arange(first, last + 1) * _STEP
        shifts = self._shift((nodes + 0.5) * self._row_s)
        rows = np.arange(start, start + n)
        return rows + np.floor(np.interp(rows, nodes, shifts) + 0.5).astype(np.int64)

    def runs(self) -> list[tuple[int, int, int]]:
        """Return runs of successive rows: first row, first row of the source, number of rows."""
        found: list[tuple[int, int, int]] = []
        for first in range(0, self.n_row, _PIECE):
            rows = self(first, min(_PIECE, self.n_row - first))
            for low, high in _stretches(rows):
                here, there, n = first + low, int(rows[low]), high - low
                if found and there == sum(found[-1][1:]):
                    here, there, n = *found[-1][:2], found[-1][2] + n
                    del found[-1]
                found.append((here, there, n))
        return found

    def _shift(self, barycentric_s: NDArray[Any]) -> NDArray[np.float64]:
        """Return by how many rows the row at a time after the start is later at the telescope."""
        here = barycentric_s
        for _ in range(4):  # each step is 10^4 times more accurate
            here = barycentric_s - self._drift(here)
        return np.asarray((here - barycentric_s) / self._row_s)

    def _drift(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return by how much the barycentre's clock is ahead, having agreed at the start, s."""
        return self._clock.ahead(self._start, seconds) - self._first


class _AtBarycenter(Stage):
    """What spectra and planes at the barycentre have in common."""

    name = "to_barycenter"
    needs_end = True

    def _prepare(self, source: Stream, position: Any, location: Any, ephemeris: str | None
                 ) -> dict[str, Any]:
        """Set the clock and the rows; return header, shape and type."""
        header = source.header
        if 1 / header.sample_rate > _LONGEST_ROW_S:
            raise PlanError(f"{source.path}: rows of {float(1 / header.sample_rate):g} s; allowed: "
                            f"up to {_LONGEST_ROW_S} s")
        self.clock = clock_of(source, position, location, ephemeris)
        self._rows = BarycentricRows(self.clock, source.start_time, header.sample_rate,
                                     source.shape[0])
        extra = {**header.extra, "barycentric": 1, "barycentered": 1}
        return {"header": header.replace(
                    start_time=time_from_mjd(*self.clock.start(source.start_time)), diode=None,
                    extra=extra),
                "shape": (self._rows.n_row, *source.shape[1:]), "dtype": source.dtype}

    def parameters(self) -> Mapping[str, Any]:
        """Parameters that determine the times, and how accurate these are."""
        return self.clock.parameters()

    def needs(self, start: int, n: int) -> tuple[int, int]:
        """Return the rows of the source among which are the given rows."""
        if not n:
            return start, 0
        rows = self._rows(start, n)
        return int(rows[0]), int(rows[-1] - rows[0]) + 1

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Return rows of the source with their weights."""
        self._check_range(start, n)
        rows = self._rows(start, n)
        first, count = self.needs(start, n)
        block = self.source.read_block(first, count)
        data = np.empty((n, *self.shape[1:]), block.data.dtype) if out is None else out[:n]
        _copy(data, block.data, rows - first)
        weight = block.valid
        if len(weight) == count and weight.strides[0]:
            weight = np.empty((n, *block.valid.shape[1:]), block.valid.dtype)
            _copy(weight, block.valid, rows - first)
        else:
            weight = np.broadcast_to(weight[:1], (n, *weight.shape[1:]))
        view = data.view()
        view.flags.writeable = False
        return Block(view, weight, start, n)


class BarycentricSpectra(_AtBarycenter, PassedSpectra):
    """Spectra or a time series at the barycentre: see `ToBarycenter`."""

    source: SpectrumStream

    def __init__(self, source: SpectrumStream, *, position: Any = None, location: Any = None,
                 ephemeris: str | None = None) -> None:
        PassedSpectra.__init__(self, source,
                               **self._prepare(source, position, location, ephemeris))

    @property
    def columns(self) -> Mapping[str, str]:
        """The columns of the source."""
        return self.source.columns

    def read_columns(self, start: int, n: int) -> dict[str, NDArray[np.float64]]:
        """Return the values of the source's columns for its rows."""
        first, count = self.needs(start, n)
        rows = self._rows(start, n) - first
        return {name: each[rows] for name, each in self.source.read_columns(first, count).items()}


class BarycentricPlanes(_AtBarycenter, PlaneStream):
    """DM-time planes at the barycentre: see `ToBarycenter`."""

    source: PlaneStream

    def __init__(self, source: PlaneStream, *, position: Any = None, location: Any = None,
                 ephemeris: str | None = None) -> None:
        Stage.__init__(self, source, **self._prepare(source, position, location, ephemeris))
        self.dms = source.dms

    @property
    def held_bytes(self) -> int:
        """Same as for the source."""
        return self.source.held_bytes

    def all_valid(self) -> bool | None:
        """Return True if the whole source is valid; otherwise None, as all rows must be read."""
        return self.source.all_valid() or None


def clock_of(source: Stream, position: Any = None, location: Any = None,
             ephemeris: str | None = None) -> BarycentricClock:
    """Return the clock at the barycentre; arguments and errors are those of `ToBarycenter`."""
    from fastsig.stages.barycenter import refuse_barycentric  # loads astropy.coordinates
    from fastsig.telescopes.barycenter import located
    from fastsig.telescopes.barycentric_clock import BarycentricClock
    from fastsig.telescopes.kernels import installed, kernel_of

    refuse_barycentric(source)
    header = source.header
    name = location if location is not None else header.telescope
    if name is None:
        raise UsageError(f"{source.path}: the telescope is not known; give location = 'FAST'")
    where = (header.ra_deg, header.dec_deg) if position is None else sky_place(position)
    if None in where:
        raise UsageError(f"{source.path}: the position is not known; --set ra=5h34m31.97s --set "
                         "dec=22.0145deg, or position = '187.5deg,12.4deg', supplies it")
    kernel = (installed() if ephemeris is None else None if ephemeris == "erfa"
              else kernel_of(ephemeris))
    return BarycentricClock(cast("tuple[float, float]", where), located(name), kernel)


def _copy(target: NDArray[Any], values: NDArray[Any], rows: NDArray[np.int64]) -> None:
    """Copy rows, ascending and mostly consecutive, stretch by stretch."""
    for low, high in _stretches(rows):
        target[low:high] = values[rows[low]:rows[low] + high - low]


def _stretches(rows: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    ends = [0, *(np.flatnonzero(np.diff(rows) != 1) + 1).tolist(), len(rows)]
    yield from pairwise(ends)
