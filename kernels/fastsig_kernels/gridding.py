"""Gridding: spectra at arbitrary positions to planes of pixels, weighted by their distance."""

import math
from typing import Any

import numpy as np

from . import _check
from ._jit import jit_strict
from ._plan import Plan

_STEPS = 2048  # of the table; interpolated linearly, a Gaussian of 3.5 sigma is accurate to 1e-6
_FILL = 48  # intended number of samples in a cell
_MOST_STEPS = 2**24
_MOST_CELLS = 2**25
_OF_A_COPY = ("_work", "_most_channels")  # attributes that are not tables


def gaussian_table(fwhm: float, radius: float, n: int = _STEPS) -> np.ndarray:
    """Return a Gaussian at equal steps in the square of the distance, up to `radius`.

    ``K = exp(-4 ln 2 (theta / fwhm)^2)``. The steps are equal in the square of the chord of the
    angle theta.

    Parameters
    ----------
    fwhm, radius : float, deg
        Full width at half maximum, and radius at which the kernel ends.
    n : int
        Number of steps.

    Returns
    -------
    ndarray, shape (n + 1,), float32, dimensionless

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.
    """
    n = _check.count("n", n, maximum=_MOST_STEPS)
    fwhm, radius = _angle("fwhm", fwhm, 90.0), _angle("radius", radius, 90.0)
    chord = 2 * math.sin(math.radians(radius) / 2) * np.sqrt(np.arange(n + 1) / n)
    theta = np.degrees(2 * np.arcsin(np.minimum(chord / 2, 1.0)))
    return np.exp(-4 * math.log(2) * (theta / fwhm) ** 2).astype(np.float32)


class Gridder(Plan):
    r"""Means of the samples near each pixel, weighted by a kernel of the angle between them.

    .. math:: V_p = \frac{\sum_s w_s K(\theta_{ps}) v_s}{\sum_s w_s K(\theta_{ps})}, \quad
              W_p = \frac{(\sum_s w_s K)^2}{\sum_s w_s K^2}

    If w is the inverse variance of a sample in some unit, then W is the inverse variance of the
    mean. Angles are true angles on the sphere, for any projection of the pixels. Right ascension
    may wrap, and the poles are treated like other positions. The constructor computes everything
    that depends only on positions, once for all channels.

    Parameters
    ----------
    lon, lat : ndarray, shape (n_sample,), float64, deg
        Positions of the samples.
    pixel_lon, pixel_lat : ndarray, shape (n_y, n_x), float64, deg
        Positions of the centres of pixels; NaN off the sky.
    radius : float, deg
        Radius at which the kernel ends.
    table : ndarray, shape (n + 1,), float32, dimensionless
        The kernel at equal steps in the square of the chord, up to `radius`, as from
        `gaussian_table`; interpolated linearly.
    stretch : ndarray, shape (n_sample,), float64, dimensionless, optional
        Factor by which the kernel of each sample is widened, for samples observed with beams of
        different widths. Its height is divided by the square of this factor, which preserves the
        volume of the kernel.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.

    Notes
    -----
    Tiles of 16 x 16 pixels may be processed in any order, and by several threads, each with its own
    `copy`, which shares the tables. The sums of a pixel follow the order of the sorted samples, in
    a chain of float32 for each piece of up to 64 samples and in float64 over pieces. The bits
    therefore depend neither on tiles, nor on the channels of a call, nor on threads. A plan is
    pickled with its tables, which contain no addresses, but without its arguments, which it does
    not keep.

    References
    ----------
    B. Winkel, D. Lenz and L. Floer (2016), A&A 591, A12: gridding by convolution, cygrid.
    """

    def __init__(
        self, lon: np.ndarray, lat: np.ndarray, pixel_lon: np.ndarray, pixel_lat: np.ndarray, *,
        radius: float, table: np.ndarray, stretch: np.ndarray | None = None,
    ) -> None:
        for name, value, axes in (("lon", lon, 1), ("lat", lat, 1), ("pixel_lon", pixel_lon, 2),
                                  ("pixel_lat", pixel_lat, 2)):
            _check.array(name, value, ("float64",), axes)
        _check.shape("lat", lat, lon.shape)
        _check.shape("pixel_lat", pixel_lat, pixel_lon.shape)
        _check.array("table", table, ("float32",), 1)
        if table.size < 2:
            raise ValueError(f"table: found {table.size} values, allowed 2 or more")
        self.radius = _angle("radius", radius, 90.0)
        if not (np.isfinite(lon).all() and np.all(np.abs(lat) <= 90)):
            raise ValueError("lon, lat: found an invalid position, allowed finite angles and "
                             "latitudes of -90 to 90 deg")
        self.n_sample, self.shape = lon.size, pixel_lon.shape
        self._table = np.append(table, np.float32(0))
        widest = 1.0
        if stretch is not None:
            _check.array("stretch", stretch, ("float64",), 1)
            _check.shape("stretch", stretch, lon.shape)
            if not np.all((stretch > 0) & (stretch < np.inf)):
                raise ValueError("stretch: found a ratio that is not finite or not above 0, "
                                 "allowed finite ratios above 0")
            widest = float(stretch.max(initial=0.0)) or 1.0
        self._reach = self.radius * widest
        _angle("radius times stretch", self._reach, 90.0)
        self._chord = 2 * math.sin(math.radians(self._reach) / 2)
        self._sort(np.mod(lon, 360.0), lat)
        self._narrow = np.ones(lon.size, np.float32)
        if stretch is not None:
            self._narrow = ((widest / stretch[self._order]) ** 2).astype(np.float32)
        self._lay_tiles(pixel_lon, pixel_lat)
        self._own_state()

    def _record(self, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        """Record no arguments: they are as large as the tables."""
        super()._record((), {})

    def __reduce__(self) -> Any:
        """Return the class and the tables."""
        tables = {name: value for name, value in vars(self).items() if name not in _OF_A_COPY}
        return _with_tables, (type(self), tables)

    def _own_state(self) -> None:
        self._work: tuple[np.ndarray, ...] = ()
        self._most_channels = 0  # for which there is work space

    def _sort(self, lon, lat):
        """Sort samples into cells of bands of declination, and into pieces of up to 64."""
        from ._gridding_loops import PIECE

        height = self._height(lon, lat)
        low, count, offset = _bands(lat, height)
        cell = _cells_nb(lon, lat, low, height, count, offset)
        n_cell = int(offset[-1])
        starts = np.zeros(n_cell + 1, np.int64)
        np.cumsum(np.bincount(cell, minlength=n_cell), out=starts[1:])
        self._order = _counting_sort_nb(cell, starts[:-1].copy())
        self._sample = _unit_vectors(lon[self._order], lat[self._order])
        per_cell = -(-np.diff(starts) // PIECE)
        first = np.zeros(n_cell + 1, np.int64)
        np.cumsum(per_cell, out=first[1:])
        spans = _spans_nb(starts, first, PIECE)
        centres, around = _centres_nb(self._sample, spans)
        self._pieces = (spans, centres, around)
        self._cells = (offset, count, first)
        self._bands = (low, height)

    def _height(self, lon, lat):
        """Return the height of cells, deg, for about `_FILL` samples per cell.

        It is limited to between 1/8 of the radius and the radius.
        """
        least = _least_height(lat)
        height = max(self._reach, least)
        for _ in range(2):
            low, count, offset = _bands(lat, height)
            filled = len(np.unique(_cells_nb(lon, lat, low, height, count, offset)))
            height *= math.sqrt(_FILL * max(1, filled) / max(1, lon.size))
            height = min(max(height, self._reach / 8), self._reach)
            if height == self._reach:
                break
        return max(height, least)

    def _lay_tiles(self, lon, lat):
        from ._gridding_loops import TILE

        self._place = _unit_vectors(lon, lat)
        rows, columns = (range(0, n, TILE) for n in self.shape)
        tiles = np.zeros((len(rows) * len(columns), 6))
        for t, (row, column) in enumerate((r, c) for r in rows for c in columns):
            tiles[t, 4:] = row, column
            place = self._place[row : row + TILE, column : column + TILE].reshape(-1, 3)
            place = place[np.isfinite(place[:, 0])]
            if len(place):
                tiles[t, :4] = _circle(place)
        self._tiles = tiles

    @property
    def n_tile(self) -> int:
        """Number of tiles of 16 x 16 pixels; tiles are numbered row by row."""
        return len(self._tiles)

    @property
    def memory_bytes(self) -> int:
        """Size of tables and work space, in bytes; it grows with the number of channels."""
        held = (self._order, self._sample, self._narrow, *self._pieces, *self._cells, self._tiles,
                self._place, *self._work)
        return sum(each.nbytes for each in held)

    def compile(self) -> None:
        """Compile everything that `process` needs."""
        data = np.zeros((self.n_sample, 1), np.float32)
        self.process(data, data, stop=0)

    def process(
        self, data: np.ndarray, weight: np.ndarray, *, first: int = 0, stop: int | None = None,
        out: np.ndarray | None = None, out_weight: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Grid some channels: fill the pixels of tiles `first` to ``stop - 1`` (all by default).

        Parameters
        ----------
        data : ndarray, shape (n_sample, n_chan), float32, any unit
            Values; those that are not finite are ignored.
        weight : ndarray, shape (n_sample, 1 or n_chan), float32
            Weights w; samples whose weight is not above 0 are ignored.
        first, stop : int
            First tile, and the tile after the last.
        out, out_weight : ndarray, shape (n_chan, n_y, n_x), float32, optional
            Receive V and W, in the units of data and weight; NaN and 0 where no sample is in reach.
            Other tiles are left as they are. These arrays must not overlap each other or the
            inputs.

        Returns
        -------
        out, out_weight : ndarray
            As above; new arrays, with NaN and 0 in other tiles, if none were given.

        Raises
        ------
        TypeError, ValueError
            If an argument is not allowed.
        RuntimeError
            If another call of this plan is in progress.

        Notes
        -----
        All arrays must be C-contiguous. A call allocates nothing of the data's size when both
        outputs are given, except that the work space grows in the first call and in calls with more
        channels. NaN is ignored, and the GIL is released.
        """
        from ._gridding_loops import CHANNELS, grid_tiles_nb
        from ._simd import Spec, host_lanes

        _check.array("data", data, ("float32",), 2)
        n_chan = data.shape[1]
        _check.shape("data", data, (self.n_sample, max(1, n_chan)))
        _check.array("weight", weight, ("float32",), 2)
        _check.shape("weight", weight,
                     (self.n_sample, 1 if weight.shape[1] == 1 else n_chan))
        out = self._planes("out", out, np.nan, n_chan, data, weight)
        out_weight = self._planes("out_weight", out_weight, 0, n_chan, data, weight, out)
        for name, each in (("data", data), ("weight", weight)):
            _check.c_contiguous(name, each)
        stop = self.n_tile if stop is None else _check.count("stop", stop, 0)
        first = _check.count("first", first, 0, self.n_tile)
        if stop > self.n_tile:
            raise ValueError(f"stop: found {stop}, allowed {self.n_tile} or less")
        lanes = host_lanes()
        with self._alone():
            grid_tiles_nb(
                Spec(lanes=lanes, channels=CHANNELS), Spec(lanes=lanes, channels=lanes),
                _as_compiled(data), _as_compiled(weight), self._order, self._sample, self._narrow,
                self._pieces, self._cells, self._bands, self._tiles, self._place, self._table,
                self._chord, first, stop, self._room(n_chan), out, out_weight)
        return out, out_weight

    def _planes(self, name: str, out: np.ndarray | None, empty: float, n_chan: int,
                *others: Any) -> np.ndarray:
        """Return an output after checking it, or new planes that are filled with `empty`."""
        shape = n_chan, *self.shape
        if out is None:
            return np.full(shape, empty, np.float32)
        _check.target(name, out, shape, "float32", *others)
        _check.c_contiguous(name, out)
        return out

    def _room(self, n_chan: int) -> tuple[np.ndarray, ...]:
        """Return the work space for a number of channels; it grows."""
        from ._gridding_loops import CHANNELS, PIECE, TILE
        from ._simd import host_lanes

        if n_chan > self._most_channels:
            n, one = TILE * TILE, np.float32
            self._work = (
                np.empty(n, np.int64), np.empty(n, np.int64), np.empty((n, PIECE), np.int32),
                np.empty((n, PIECE), one), np.empty((n, PIECE), one), np.empty(PIECE, one),
                np.empty(PIECE, one), np.empty(PIECE, one), np.empty(PIECE, one),
                np.empty((PIECE, CHANNELS), one), np.empty((PIECE, CHANNELS), one),
                np.empty((PIECE, host_lanes()), one), np.empty(CHANNELS, one),
                np.empty((n, 3, n_chan), np.float64))
            self._most_channels = n_chan
        return self._work


class _Memory:
    """The memory of an array as another array of the same type, which may be written to."""

    def __init__(self, x: np.ndarray) -> None:
        interface = x.__array_interface__
        self.__array_interface__ = {**interface, "data": (interface["data"][0], False)}
        self._owner = x


def _as_compiled(x: np.ndarray) -> np.ndarray:
    """Return an input of compiled code, which would be compiled again for read-only arrays."""
    return x if x.flags.writeable else np.asarray(_Memory(x))


def _with_tables(kind: type[Gridder], tables: dict[str, Any]) -> Gridder:
    """Return a plan with the tables of another."""
    plan = kind.__new__(kind)
    vars(plan).update(tables)
    plan._own_state()
    return plan


def _least_height(lat):
    """Return the height h of cells, deg, with which their number reaches its limit.

    This is the solution of ``(range / h + 1) (360 / h) = limit``.
    """
    extent = float(np.ptp(lat)) if lat.size else 0.0
    return (180 + math.sqrt(180**2 + 360 * extent * _MOST_CELLS)) / _MOST_CELLS


def _angle(name, value, most):
    value = _check.number(name, value)
    if not 0 < value <= most:
        raise ValueError(f"{name}: found {value}, allowed above 0, up to {most:g} deg")
    return value


def _unit_vectors(lon, lat):
    lon, lat = np.radians(lon), np.radians(lat)
    level = np.cos(lat)
    return np.stack([level * np.cos(lon), level * np.sin(lon), np.sin(lat)], axis=-1)


def _circle(place):
    """Return right ascension, declination and radius, deg, of a circle around positions, and 1."""
    middle = place.mean(axis=0)
    length = np.linalg.norm(middle)
    middle = place[0] if length < 1e-9 else middle / length
    chord = np.sqrt(((place - middle) ** 2).sum(axis=1).max())
    return (math.degrees(math.atan2(middle[1], middle[0])) % 360,
            math.degrees(math.asin(min(1.0, max(-1.0, middle[2])))),
            math.degrees(2 * math.asin(min(1.0, chord / 2))), 1.0)


def _bands(lat, height):
    """Return the lowest declination, the number of cells in each band, and their first cells.

    The array of first cells has one more entry than there are bands.
    """
    low = math.floor(lat.min() / height) * height if lat.size else 0.0
    n = math.floor((lat.max() - low) / height) + 1 if lat.size else 1
    edges = np.radians(np.abs(low + height * np.arange(n + 1)).clip(max=90))
    # The longest parallel in a band is at its edge nearer to the equator.
    level = np.cos(np.minimum(edges[:-1], edges[1:]))
    count = np.maximum(1, np.floor(360 * level / height)).astype(np.int64)
    offset = np.zeros(n + 1, np.int64)
    np.cumsum(count, out=offset[1:])
    return low, count, offset


@jit_strict
def _cells_nb(lon, lat, low, height, count, offset):
    """Return the cell of each position."""
    out = np.empty(lon.size, np.int64)
    for i in range(lon.size):
        band = min(count.size - 1, max(0, math.floor((lat[i] - low) / height)))
        n = count[band]
        out[i] = offset[band] + min(n - 1, math.floor(lon[i] / (360.0 / n)))
    return out


@jit_strict
def _counting_sort_nb(cell, at):
    """Return the indices of the samples sorted by cell, stably; `at` is overwritten."""
    order = np.empty(cell.size, np.int64)
    for i in range(cell.size):
        order[at[cell[i]]] = i
        at[cell[i]] += 1
    return order


@jit_strict
def _spans_nb(starts, first, most):
    """Return the first sample of each piece, and the sample after its last."""
    spans = np.empty((first[first.size - 1], 2), np.int64)
    for cell in range(starts.size - 1):
        for k in range(first[cell + 1] - first[cell]):
            spans[first[cell] + k, 0] = starts[cell] + k * most
            spans[first[cell] + k, 1] = min(starts[cell] + (k + 1) * most, starts[cell + 1])
    return spans


@jit_strict
def _centres_nb(sample, spans):
    """Return the mean position of each piece, and the greatest distance from it (chord)."""
    centres, around = np.zeros((spans.shape[0], 3)), np.zeros(spans.shape[0])
    for k in range(spans.shape[0]):
        centre = centres[k]
        for i in range(spans[k, 0], spans[k, 1]):
            for axis in range(3):
                centre[axis] += sample[i, axis] / (spans[k, 1] - spans[k, 0])
        for i in range(spans[k, 0], spans[k, 1]):
            far = 0.0
            for axis in range(3):
                far += (sample[i, axis] - centre[axis]) ** 2
            around[k] = max(around[k], math.sqrt(far))
    return centres, around
