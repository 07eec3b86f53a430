"""Data: the result of `read`, arrays with their axes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from fastsig import registry
from fastsig.axes import validity
from fastsig.axes.time import iso, sample_time, sample_times
from fastsig.axes.units import quantity
from fastsig.axes.velocity import convention_of, line, velocity
from fastsig.errors import PlanError, UsageError
from fastsig.stream import Block, SpectrumStream, Stream
from fastsig.stream.header import Header
from fastsig.stream.held import HeldSpectra, HeldVoltages
from fastsig.stream.slices import channel_span, key_parts, product_indices, row_span
from fastsig.work.arguments import check_options, checked
from fastsig.work.shown import table

if TYPE_CHECKING:
    import specutils
    import xarray
    from astropy.table import QTable
    from matplotlib.figure import Figure

__all__ = ["Data"]

_LEAST = 8  # smallest number of differences from which a scatter is computed


@dataclass(frozen=True, repr=False)
class Data:
    """Rows of a stream in memory, with their axes.

    Parameters
    ----------
    values : ndarray, shape (time, pol[, chan])
        Voltages, frames or mean spectra (NaN where the weight is 0).
    valid : tuple of Spans or ndarray
        Valid spans of voltages, counted from the first row of `values`; energies of frames; or
        weights of spectra.
    header : Header
        Header, in which `start_time` is that of the first row of `values`.
    kind : {"voltage", "frames", "spectra", "planes"}
        Kind of the values.
    columns : dict of str to ndarray, shape (time,), float64
        Further quantities of each spectrum, such as ``ra_deg``.
    """

    values: NDArray[Any]
    valid: Any
    header: Header
    kind: str
    columns: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    @classmethod
    def of(cls, stream: Stream, block: Block) -> Data:
        """Return the data of a block of a stream; rows are counted from the start of the block."""
        rows = Fraction(block.start)
        header = stream.header.later(stream.time_of(block.start), rows / stream.header.sample_rate)
        columns = stream.read_columns(block.start, block.n) if isinstance(
            stream, SpectrumStream) else {}
        valid = block.valid if stream.kind != "voltage" else tuple(
            validity.shift(spans, -block.start) for spans in block.valid)
        return cls(block.data, valid, header, stream.kind, columns)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the values, (time, pol or product[, chan])."""
        return self.values.shape

    def __len__(self) -> int:
        return len(self.values)

    @property
    def unit(self) -> u.UnitBase:
        """Unit of the values; dimensionless if they are in the recorder's units."""
        return u.Unit(self.header.unit or "", parse_strict="silent")

    @property
    def quantity(self) -> u.Quantity:
        """The values with their unit."""
        return self.values << self.unit

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return the values."""
        return np.array(self.values, dtype=dtype, copy=copy)

    def copy(self) -> Data:
        """Return a copy with its own arrays, which may be modified."""
        valid = tuple(map(np.array, self.valid)) if isinstance(self.valid, tuple) else (
            np.array(self.valid))
        return replace(self, values=np.array(self.values), valid=valid,
                       columns={key: np.array(each) for key, each in self.columns.items()})

    def __getitem__(self, key: Any) -> Data:
        """Slice as in `Chain`: ``data[t0:t1, f0:f1, "I"]``; times count from the first row.

        The arrays are views.
        """
        rows, channels, names = key_parts(key, self)
        first, stop = row_span(self, rows)
        rate = self.header.sample_rate
        header = self.header.later(sample_time(self.header.start_time, first, rate),
                                   Fraction(first) / rate)
        some = slice(None)
        if channels != slice(None):
            some = slice(*channel_span(self, channels, self.kind))
            header = header.replace(
                channels=None if header.channels is None else header.channels.sliced(
                    some.start, some.stop))
        products: Any = slice(None)
        if names is not None:
            if self.kind != "spectra":
                raise PlanError(f"{self.kind} have no products; allowed: slices of spectra")
            products = product_indices(names, header.polarization.names, self.kind)
            header = header.replace(polarization=replace(header.polarization, names=names))
        return replace(
            self, values=_cut(self.values, slice(first, stop), products, some), header=header,
            valid=self._valid(slice(first, stop), products, some),
            columns={key: each[first:stop] for key, each in self.columns.items()})

    def _valid(self, rows: slice, products: Any, channels: slice) -> Any:
        if isinstance(self.valid, tuple):
            return tuple(validity.shift(validity.clip(each, rows.start, rows.stop), -rows.start)
                         for each in self.valid)
        return _cut(self.valid, rows, products, channels)

    def plot(self, path: str | os.PathLike[str] | None = None, **options: Any) -> Figure:
        """Draw the data, and save them if `path` is given; options as for `fastsig.view.draw`."""
        draw = registry.drawing()
        check_options("plot", draw, options)
        figure: Figure = draw(self.stream(), path, **options)
        return figure

    def stream(self) -> Stream:
        """Return the data as a stream in memory, from which a `Chain` can start.

        Raises
        ------
        PlanError
            If the data are frames.
        """
        if self.kind == "spectra":
            return HeldSpectra(self.header, self.values, self.valid, self.columns)
        if self.kind == "voltage":
            return HeldVoltages(self.header, self.values, self.valid)
        advice = ("allowed: chain.planes(...).plot(), or fastsig view with the .h5 file"
                  if self.kind == "planes" else "detect first")
        raise PlanError(f"{self.kind} cannot start a chain or be drawn: {advice}")

    @checked
    def to_table(self, rest: Any = None, convention: str = "radio") -> QTable:
        """Return an astropy table with one row for each spectrum or sample.

        The columns are ``time``, the start of the row; for spectra, ``frequency`` in MHz and, if a
        rest frequency is known, ``velocity``; the products in their unit, each with a column of
        weights, ``weight_NAME``; and the further columns of the data. In a table of spectra, each
        value of a product is an array over channels. ``meta`` contains the fields of the header as
        numbers and text and, once, ``frequency``.

        Parameters
        ----------
        rest, convention
            As for `velocity`; by default, the rest frequency in the header.
        """
        from astropy.table import QTable

        table = QTable({"time": self.time}, meta={"header": _plain(vars(self.header))})
        for name, axis in self._axes(rest, convention).items():
            table[name] = np.broadcast_to(axis, (len(self), len(axis)), subok=True)
        for k, name in enumerate(self.header.polarization.names):
            table[name] = self.quantity[:, k]
            if self.kind == "spectra":
                weight = np.broadcast_to(self.valid, self.values.shape)[:, k]
                table[f"weight_{name}"] = np.array(weight)
        for key, each in self.columns.items():
            unit = _unit_of(key).get("units")
            table[key] = each if unit is None else each << u.Unit(unit)
        if self.frequency is not None:
            table.meta["frequency"] = self.frequency
        return table

    def _axes(self, rest: Any, convention: str) -> dict[str, u.Quantity]:
        """Return the frequencies of channels, and their velocities if the line is known."""
        convention_of(convention)
        if self.kind != "spectra" or self.frequency is None:
            return {}
        known = rest is not None or self.header.rest_hz is not None
        speeds = {"velocity": self.velocity(rest, convention)} if known else {}
        return {"frequency": self.frequency, **speeds}

    def __repr__(self) -> str:
        line = self._facts()
        return (f"<Data of {self.kind} {self.shape}, {self.values.dtype}"
                + "".join(f", {value}" for value in line.values()) + ">")

    def _facts(self) -> dict[str, str]:
        header = self.header
        edges = None if header.channels is None else " to ".join(
            f"{float(edge) / 1e6:.6g}" for edge in header.channels.edges_hz) + " MHz"
        seconds = f"{float(Fraction(len(self.values)) / header.sample_rate):.6g} s"
        given = {"start": f"from {iso(header.start_time)}", "duration": seconds, "band": edges,
                 "products": "/".join(header.polarization.names), "unit": header.unit}
        return {key: value for key, value in given.items() if value}

    def _repr_html_(self) -> str:
        return table(f"{self.kind} {self.shape}", {**self._facts(), "type": self.values.dtype})

    @property
    def weight(self) -> NDArray[np.float32]:
        """Weights of spectra and planes, 0 to 1."""
        if self.kind not in ("spectra", "planes"):
            raise AttributeError(f"{self.kind} have valid spans or energies, not weights")
        weights: NDArray[np.float32] = self.valid
        return weights

    @property
    def time(self) -> Time:
        """Start time of every row, UTC, shape (time,)."""
        numbers = range(len(self.values))
        return sample_times(self.header.start_time, numbers, self.header.sample_rate)

    @property
    def frequency(self) -> u.Quantity | None:
        """Channel centres, MHz, shape (chan,)."""
        return None if self.header.channels is None else self.header.channels.centers

    def _civil_times(self) -> NDArray[np.datetime64]:
        """Return the start in UTC plus the elapsed time, as in the time axis of a product.

        datetime64 has no leap seconds: a leap second within the data is not counted.
        """
        text = iso(self.header.start_time)
        minute = np.datetime64(text[:16], "ns")
        seconds = Fraction(text[17:])  # up to 60.999999999
        steps = [(seconds + n / self.header.sample_rate) * 10**9 for n in range(len(self.values))]
        elapsed = np.array([round(step) for step in steps], "timedelta64[ns]")
        times: NDArray[np.datetime64] = minute + elapsed
        return times

    @checked
    def velocity(self, rest: Any = None, convention: str = "radio") -> u.Quantity:
        """Return the velocities of the channels, km/s, (chan,), in the frame of the frequencies.

        Parameters
        ----------
        rest : str or Quantity, optional
            The line, as `fastsig.axes.velocity.line` accepts it; by default, the rest frequency in
            the header.
        convention : {"radio", "optical", "relativistic"}
            Convention in which the velocities are computed.

        Raises
        ------
        UsageError
            If the frequencies or the rest frequency are not known.
        """
        if self.frequency is None:
            raise UsageError("velocities need the frequency of channels")
        return velocity(self.frequency, self._rest(rest), convention)

    def _rest(self, rest: Any) -> u.Quantity:
        if rest is None and self.header.rest_hz is not None:
            return (self.header.rest_hz / 1e6) << u.MHz
        if rest is None:
            raise UsageError("the header has no rest frequency; give rest = 'HI', or a frequency")
        return line(rest).rest

    @checked
    def to_specutils(self, rest: Any = None, convention: str = "radio", *, sigma: Any = None
                     ) -> specutils.Spectrum:
        """Return a specutils Spectrum of all rows and products (needs specutils).

        Its uncertainty is the inverse variance ``weight / sigma^2`` of each channel, its mask is
        true where the weight is 0, and ``meta["header"]`` is the header.

        Parameters
        ----------
        rest, convention
            As for `velocity`; without a rest frequency, that of the axis is not set.
        sigma : Quantity, optional
            Noise of a channel with weight 1. By default, it is measured for each spectrum from the
            scatter between neighbouring channels (1.48 times the median of their absolute
            differences, scaled to one channel); this value is too large if lines fill the band.

        Raises
        ------
        PlanError
            If the data are not spectra with known frequencies.
        """
        from astropy.nddata import InverseVariance
        from specutils import Spectrum

        if self.kind != "spectra" or self.frequency is None:
            raise PlanError(f"{self.kind} cannot become a Spectrum; allowed: spectra with known "
                            "frequencies")
        unit = u.Unit(self.header.unit or "")
        weight = np.broadcast_to(self.valid, self.values.shape)
        noise = scatter(self.values, weight) if sigma is None else (
            quantity(sigma, self.header.unit or "", "sigma").value)
        with np.errstate(divide="ignore", invalid="ignore"):
            inverse = np.where(weight > 0, weight / np.asarray(noise, np.float64) ** 2, 0)
        known = rest is not None or self.header.rest_hz is not None
        about = {"rest_value": self._rest(rest), "velocity_convention":
                 convention_of(convention)} if known else {}
        return Spectrum(flux=np.asarray(self.values) << unit, spectral_axis=self.frequency,
                        uncertainty=InverseVariance(inverse, unit=unit**-2), mask=weight == 0,
                        meta={"header": self.header, "frame": self.header.specsys}, **about)

    @checked
    def to_xarray(self, rest: Any = None, convention: str = "radio") -> xarray.Dataset:
        """Return an xarray Dataset with the same axis names as a product (needs xarray).

        If a rest frequency is known, from the header or `rest`, the Dataset has a coordinate
        ``velocity`` (km/s, in `convention`) in addition to ``frequency``; its attributes state the
        frame and the rest frequency. The attributes of ``data`` are its unit and a description. The
        attributes of the Dataset contain other values of the header: source, telescope, position,
        the start to 1 ns, and the exact sample rate.
        """
        import xarray

        if self.kind != "spectra" or self.frequency is None:
            raise PlanError(f"{self.kind} cannot become a Dataset; allowed: spectra with known "
                            "frequencies")
        dims = ("time", "feed_id", "frequency")
        frame = {} if self.header.specsys is None else {"specsys": self.header.specsys}
        speeds = {}
        if rest is not None or self.header.rest_hz is not None:
            about = {"units": "km/s", "convention": convention, **frame,
                     "rest_frequency_mhz": float(self._rest(rest).value)}
            speeds["velocity"] = (
                "frequency", self.velocity(rest, convention).to_value(u.km / u.s), about)
        weights = np.broadcast_to(self.valid, self.values.shape)
        return xarray.Dataset(
            {"data": (dims, self.values, self._about()),
             "weights": (dims, weights, {"long_name": "valid share", "units": "1"})},
            coords={
                "time": self._civil_times(),
                "feed_id": list(self.header.polarization.names),
                "frequency": ("frequency", self.frequency.value, {"units": "MHz", **frame}),
                **speeds,
                **{name: ("time", values, _unit_of(name)) for name, values in
                   self.columns.items()},
            },
            attrs=self._attributes(),
        )

    def _about(self) -> dict[str, str]:
        """Return attributes of the values; without a unit, values are in the recorder's units."""
        if self.header.unit is None:
            return {"long_name": "power in the recorder's units"}
        return {"long_name": "mean power", "units": self.header.unit}

    def _attributes(self) -> dict[str, Any]:
        """Return the header, except axes and unit, with the names of ``fastsig info``."""
        header = self.header
        found = {
            "source": header.source, "telescope": header.telescope, "receiver": header.receiver,
            "backend": header.backend, "beam": header.beam, "ra_deg": header.ra_deg,
            "dec_deg": header.dec_deg, "start_time": iso(header.start_time),
            "tsamp_s": float(1 / header.sample_rate), "sample_rate_hz": str(header.sample_rate),
            "feed": header.polarization.kind, "frame": header.polarization.frame,
            "specsys": header.specsys, "dm": header.dm}
        return {name: value for name, value in found.items() if value is not None}


def _unit_of(column: str) -> dict[str, str]:
    """Return the unit of a column according to the end of its name."""
    unit = column.rpartition("_")[2]
    return {"units": unit} if unit in ("deg", "m", "s", "K") else {}


def _cut(array: NDArray[Any], rows: slice, products: Any, channels: slice) -> NDArray[Any]:
    """Return part of an array of rows; its axes of products and channels may have length 1."""
    part = array[rows]
    if array.shape[1] > 1:
        part = part[:, products]
    return part[:, :, channels] if part.ndim > 2 and part.shape[2] > 1 else part


def scatter(values: NDArray[Any], weight: NDArray[Any]) -> NDArray[np.float64]:
    """Return the noise of a channel of weight 1 in each spectrum, (time, product, 1).

    ``1.4826 median |x[k + 1] - x[k]| / sqrt(1 / w[k] + 1 / w[k + 1])``; NaN if too few channels
    have weight.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.sqrt(1 / weight[..., 1:] + 1 / weight[..., :-1])
        steps = np.abs(np.diff(values.astype(np.float64), axis=-1)) / spread
    found = np.full((*values.shape[:-1], 1), np.nan)
    for place in np.ndindex(values.shape[:-1]):
        some = steps[place][np.isfinite(steps[place])]
        if some.size >= _LEAST:
            found[place] = 1.4826 * np.median(some)
    return found


def _plain(value: Any) -> Any:
    """Return a value as numbers and text, which every table format can store."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items() if each is not None}
    if isinstance(value, Time):
        return str(value.isot)
    if isinstance(value, (bool, int, float, str)):
        return value
    return str(value)
