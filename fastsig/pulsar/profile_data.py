"""The values, axes and facts of pulse profiles, without the verbs that change them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Self

import numpy as np
from astropy import units as u
from astropy.time import Time, TimeDelta
from numpy.typing import NDArray

from fastsig.axes.time import as_iso, day_and_seconds, iso, later
from fastsig.errors import UsageError
from fastsig.stream.header import Header
from fastsig.work.shown import table

__all__ = ["ProfileData"]


@dataclass(frozen=True, repr=False, eq=False)
class ProfileData:
    """Pulse profiles with their axes: the fields of `fastsig.pulsar.profiles.Profiles`."""

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
    folded_mhz: float | None = None
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
        """Number of bins in a period."""
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

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed."""
        return replace(self, **changes)

    @property
    def dispersion_reference_hz(self) -> Fraction | None:
        """Frequency to which dispersion refers, Hz; None if it is infinite."""
        if self.header.dm is not None:
            return self.header.dm_reference_hz
        if self.reference_mhz is not None:
            return Fraction(repr(self.reference_mhz)) * 10**6
        low, high = self.header.require_channels(self.path).edges_hz
        return (low + high) / 2

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
        return (f"<{type(self).__name__} (subint, product, chan, bin) {self.shape}"
                + "".join(f", {value}" for value in self._facts().values()) + ">")

    def _repr_html_(self) -> str:
        return table(f"profiles (subint, product, chan, bin) {self.shape}", self._facts())
