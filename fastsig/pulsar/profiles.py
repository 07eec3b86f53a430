"""Profiles: what a fold makes, pulse profiles by time, product, channel and phase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.time import Time, TimeDelta
from numpy.typing import NDArray

from fastsig import registry
from fastsig.axes.time import as_iso, day_and_seconds, iso, later
from fastsig.errors import UsageError
from fastsig.pulsar.alignment import aligned, turned
from fastsig.pulsar.averages import averaged
from fastsig.pulsar.profile_slices import sliced
from fastsig.pulsar.stokes_profiles import stokes_of
from fastsig.stream.header import Header
from fastsig.work.arguments import check_options, checked
from fastsig.work.shown import table

if TYPE_CHECKING:
    import os

    from astropy.table import QTable
    from matplotlib.figure import Figure

__all__ = ["Profiles"]

_AXES = ("time", "frequency")


@dataclass(frozen=True, repr=False, eq=False)
class Profiles:
    """Pulse profiles in memory, with their axes: the contents of a fold-mode archive.

    The phase of bin k runs from ``k / n_bin`` to ``(k + 1) / n_bin`` turns, so that phase 0 is the
    beginning of bin 0. The epoch of a subintegration is a time, near its middle, at which the
    phase is 0.

    Parameters
    ----------
    data : ndarray, shape (subint, product, chan, bin), float32
        Mean values; NaN where the weight is 0. Channels ascend in frequency.
    weights : ndarray, float64
        Weights with the same number of axes as `data`, of which each may have length 1: 0 where
        there are no data, and otherwise proportional to the number of samples in a value (of a
        fold, that number). Weights add up where values are averaged. A file in PSRFITS has them
        only by subintegration and channel.
    reference : (int, Fraction)
        UTC from which `offsets` count: day number (MJD), and exact seconds of that day.
    offsets : ndarray, shape (subint,), float64
        Epochs of the subintegrations, s after `reference`; elapsed seconds, leap seconds included.
    durations : ndarray, shape (subint,), float64
        Time that was observed in each subintegration, s.
    periods : ndarray, shape (subint,), float64
        Folding period at each epoch, s; NaN if it is not known.
    header : Header
        Source, telescope, band, and polarisation with the names and signs of products;
        ``start_time`` is that of the first subintegration, and ``sample_rate`` that of the folded
        samples. ``dm``, ``dm_reference_hz`` and ``dispersion_constant`` are those of the
        dispersion between channels that was removed; ``dm`` is None if the channels are not
        aligned.
    dm : float or None
        Dispersion measure of the pulsar, pc cm^-3, whether or not it was removed.
    rm : float or None
        Rotation measure of the pulsar, rad m^-2.
    rm_removed : bool
        Whether the rotation of the plane of polarisation between channels was removed.
    reference_mhz : float or None
        Frequency to which a file refers its dispersion, MHz; that of the band's centre if None.
    centers_mhz : ndarray, shape (chan,), float64, or None
        Centres of channels if they are not evenly spaced, as after a weighted mean over channels;
        otherwise those of ``header.channels`` are exact.
    predictor : tuple of mapping
        Rows of the polyco of the fold, by the names of the columns of PSRFITS: ``NSPAN`` (min),
        ``NSITE``, ``REF_FREQ`` (MHz), ``REF_MJD``, ``REF_PHS`` (turns), ``REF_F0`` (Hz),
        ``COEFF``, and others.
    ephemeris : str
        Text of the par file.
    history : tuple of (str, str)
        Steps that made the profiles: dates and commands, as written by the programs that took them.
    provenance : mapping
        Versions, inputs and parameters of the fold.
    path : str
        The file that the profiles were read from, for messages.
    """

    data: NDArray[np.float32]
    weights: NDArray[np.float64]
    reference: tuple[int, Fraction]
    offsets: NDArray[np.float64]
    durations: NDArray[np.float64]
    periods: NDArray[np.float64]
    header: Header
    dm: float | None = None
    rm: float | None = None
    rm_removed: bool = False
    reference_mhz: float | None = None
    centers_mhz: NDArray[np.float64] | None = None
    predictor: tuple[Mapping[str, Any], ...] = ()
    ephemeris: str = ""
    history: tuple[tuple[str, str], ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    path: str = "profiles"

    kind = "profiles"

    def __post_init__(self) -> None:
        n = self.data.shape[0] if self.data.ndim == 4 else -1
        axis = self.header.channels
        agree = self.data.ndim == 4 and self.weights.ndim == 4 and all(
            one in (1, full) for one, full in zip(self.weights.shape, self.data.shape, strict=True))
        if not agree or any(each.shape != (n,) for each in (
                self.offsets, self.durations, self.periods)):
            raise UsageError(f"data {self.data.shape}, weights {self.weights.shape}, offsets "
                             f"{self.offsets.shape}, durations {self.durations.shape} and periods "
                             f"{self.periods.shape} do not agree; allowed: data (subint, product, "
                             "chan, bin)")
        if axis is None or axis.n_chan != self.n_chan or (
                self.header.polarization.n_pol != self.n_product):
            raise UsageError(f"data {self.data.shape}: the header has "
                             f"{axis.n_chan if axis else 'no'} channels and the products "
                             f"{', '.join(self.header.polarization.names)}")

    @property
    def shape(self) -> tuple[int, ...]:
        """(subint, product, chan, bin)."""
        return self.data.shape

    @property
    def n_subint(self) -> int:
        """Number of subintegrations."""
        return int(self.data.shape[0])

    @property
    def n_product(self) -> int:
        """Number of products."""
        return int(self.data.shape[1])

    @property
    def n_chan(self) -> int:
        """Number of channels."""
        return int(self.data.shape[2])

    @property
    def n_bin(self) -> int:
        """Number of bins of a turn."""
        return int(self.data.shape[3])

    def __len__(self) -> int:
        return len(self.data)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the products."""
        return self.header.polarization.names

    @property
    def phase(self) -> NDArray[np.float64]:
        """Phases of the centres of bins, turns, shape (bin,)."""
        return (np.arange(self.n_bin) + 0.5) / self.n_bin

    @property
    def frequency(self) -> u.Quantity:
        """Centres of channels, MHz, shape (chan,)."""
        if self.centers_mhz is not None:
            return self.centers_mhz << u.MHz
        return self.header.require_channels(self.path).centers

    @property
    def epochs(self) -> Time:
        """Epochs of the subintegrations, UTC, shape (subint,); rounded to 5 ps."""
        day, seconds = self.reference
        whole = np.floor(self.offsets)
        rest = (self.offsets - whole) + float(seconds % 1)
        delta = TimeDelta(whole + int(seconds), rest, format="sec", scale="tai")
        return later(as_iso(Time(day, format="mjd", scale="utc")), delta)

    def exact_epochs(self) -> list[tuple[int, Fraction]]:
        """Return the epochs without rounding: UTC day numbers (MJD), and seconds of those days."""
        day, seconds = self.reference
        return [day_and_seconds(day, seconds + Fraction(float(each))) for each in self.offsets]

    @property
    def duration(self) -> float:
        """Time that was observed, s."""
        return float(self.durations.sum())

    @property
    def period(self) -> float:
        """Folding period of the middle subintegration, s."""
        return float(self.periods[self.n_subint // 2]) if self.n_subint else float("nan")

    @property
    def dedispersed(self) -> bool:
        """Whether the dispersion between channels was removed."""
        return self.header.dm is not None

    @property
    def weight(self) -> NDArray[np.float64]:
        """Weights of all values, with the shape of `data`; a view that cannot be written to."""
        return np.broadcast_to(self.weights, self.data.shape)

    @property
    def unit(self) -> u.UnitBase:
        """Unit of the values; dimensionless if they are in the recorder's units."""
        return u.Unit(self.header.unit or "", parse_strict="silent")

    def replace(self, **changes: Any) -> Profiles:
        """Return a copy with some fields changed."""
        return replace(self, **changes)

    def __getitem__(self, key: Any) -> Profiles:
        """Slice as data of streams: ``profiles[t0:t1, f0:f1, "I"]``; arrays are views.

        Subintegrations are chosen by number, or by the time of their epochs: times of day, or
        seconds after the start.
        """
        return sliced(self, key)

    @checked
    def rotate(self, turns: Any, *, keep_times: bool = False) -> Profiles:
        """Move the profiles to later phases by a part of a turn.

        Parameters
        ----------
        turns : float or ndarray
            The shift, in turns: one number, or an array of shape (subint,), (subint, 1, chan) or
            (subint, product, chan).
        keep_times : bool
            Whether the epochs move by as much the other way, so that every bin keeps its time.
            This requires one shift for each subintegration. By default the epochs remain, and the
            profiles have another phase 0.
        """
        return turned(self, turns, keep_times)

    @checked
    def dedisperse(self, dm: Any = None, ref: Any = None, *, constant: Any = None) -> Profiles:
        """Align the channels by rotation, and return the aligned profiles.

        Parameters
        ----------
        dm : float, str or Quantity, optional
            The total dispersion measure to remove, pc cm^-3; by default `dm` of the profiles. 0
            restores the dispersion.
        ref : str or Quantity, optional
            Reference frequency: ``"top"`` for the centre of the highest channel, ``"infinity"``, or
            a frequency such as ``"1500MHz"``. By default that of the dispersion that was removed
            before, or else `reference_mhz`, or the centre of the band.
        constant : float or str, optional
            Dispersion constant, MHz^2 pc^-1 cm^3 s; by default that of the header.
        """
        return aligned(self, dm, ref, constant)

    @property
    def dispersion_reference_hz(self) -> Fraction | None:
        """Frequency to which dispersion refers, Hz; None if it is infinite."""
        if self.header.dm is not None:
            return self.header.dm_reference_hz
        if self.reference_mhz is not None:
            return Fraction(repr(self.reference_mhz)) * 10**6
        low, high = self.header.require_channels(self.path).edges_hz
        return (low + high) / 2

    @checked
    def mean(self, *axes: str) -> Profiles:
        """Return weighted means over all subintegrations, all channels, or both.

        Parameters
        ----------
        *axes : {"time", "frequency"}
            Axes to average. Channels are aligned first, as by `dedisperse`, if they are not yet
            and a dispersion measure is known.
        """
        unknown = [each for each in axes if each not in _AXES]
        if unknown or not axes:
            raise UsageError(f"mean over {', '.join(map(repr, axes)) or 'nothing'}; allowed: "
                             f"{', '.join(_AXES)}")
        return self.grouped(n_subint=max(1, self.n_subint) if "time" in axes else 1,
                            n_chan=self.n_chan if "frequency" in axes else 1)

    @checked
    def grouped(self, *, n_subint: int = 1, n_chan: int = 1, n_bin: int = 1) -> Profiles:
        """Return weighted means of neighbouring subintegrations, channels or bins.

        Parameters
        ----------
        n_subint : int
            Number of subintegrations to average; the last mean may have fewer. Its epoch is one of
            theirs, the nearest to the middle.
        n_chan, n_bin : int
            Number of channels and of bins to average; they divide those of the profiles. Channels
            are aligned first, as by `dedisperse`, if they are not yet and a dispersion measure is
            known.
        """
        return averaged(self, n_subint, n_chan, n_bin)

    @checked
    def stokes(self, products: str = "IQUV") -> Profiles:
        """Return Stokes parameters of the products AA, BB, CR and CI.

        ``I = AA + BB``; for linear feeds ``Q = AA - BB``, ``U = 2 CR``, ``V = 2 CI``; for circular
        ones ``Q = 2 CR``, ``U = 2 CI``, ``V = AA - BB``; Q and V with the signs in the header.

        Parameters
        ----------
        products : {"IQUV", "I", "V"}
            The Stokes parameters to compute.

        Raises
        ------
        PlanError
            If the profiles lack the products that are required.
        """
        if products not in ("IQUV", "I", "V"):
            raise UsageError(f"products = {products!r}; allowed: IQUV, I, V")
        basis = self.header.polarization
        data, weights = stokes_of(self.data, self.weights, basis, products, self.path)
        return replace(self, data=data, weights=weights, header=self.header.replace(
            polarization=replace(basis, names=tuple(products))))

    @checked
    def to_table(self) -> QTable:
        """Return an astropy table with a row for each subintegration, channel and bin."""
        from fastsig.pulsar.profile_table import profile_table

        return profile_table(self)

    def write(self, path: str | os.PathLike[str], **options: Any) -> None:
        """Write the profiles as a file, with `fastsig.run.profile_files.write_profiles`.

        Parameters
        ----------
        path : path
            The file: PSRFITS for .ar and .fits, a table for .ecsv.
        **options
            ``to``, ``overwrite``, ``bits``.
        """
        write = registry.profile_function("write_profiles")
        check_options("write", write, options)
        write(self, path, **options)

    def plot(self, path: str | os.PathLike[str] | None = None, **options: Any) -> Figure:
        """Draw the profiles, and save the picture if `path` is given."""
        draw = registry.drawing("draw_profiles")
        check_options("plot", draw, options)
        figure: Figure = draw(self, path, **options)
        return figure

    def _facts(self) -> dict[str, str]:
        header = self.header
        low, high = (float(edge) / 1e6 for edge in header.require_channels(self.path).edges_hz)
        removed = "removed" if self.dedispersed else "not removed"
        given = {
            "source": header.source, "telescope": header.telescope,
            "start": f"from {iso(header.start_time)}", "duration": f"{self.duration:.6g} s",
            "band": f"{low:.6g} to {high:.6g} MHz", "products": "/".join(self.names),
            "period": f"period {self.period:.12g} s" if np.isfinite(self.period) else None,
            "dm": None if self.dm is None else f"DM {self.dm:.9g} ({removed})",
            "unit": header.unit}
        return {key: value for key, value in given.items() if value}

    def __repr__(self) -> str:
        return (f"<Profiles (subint, product, chan, bin) {self.shape}"
                + "".join(f", {value}" for value in self._facts().values()) + ">")

    def _repr_html_(self) -> str:
        return table(f"profiles (subint, product, chan, bin) {self.shape}", self._facts())
