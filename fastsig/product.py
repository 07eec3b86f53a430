"""What `read` returns: arrays with their axes."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from fastsig.header import Header
from fastsig.stream import Block, SpectrumStream, Stream
from fastsig.time import iso, sample_times

if TYPE_CHECKING:
    import xarray

__all__ = ["Data"]


@dataclass(frozen=True)
class Data:
    """A piece of a stream in memory.

    Parameters
    ----------
    values : ndarray, shape (time, pol[, chan])
        Voltages, frames or mean spectra (NaN where the weight is 0).
    valid : tuple of Spans or ndarray
        Valid sample spans of voltages, energies of frames, weights of spectra.
    header : Header
        Its `start_time` is that of the first row here.
    kind : {"voltage", "frames", "spectra"}
        What the values are.
    columns : dict of str to ndarray, shape (time,), float64
        What is known of each spectrum beside its values, such as ``ra_deg``.
    """

    values: NDArray[Any]
    valid: Any
    header: Header
    kind: str
    columns: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    @classmethod
    def of(cls, stream: Stream, block: Block) -> Data:
        """The data of a block of a stream."""
        header = stream.header.replace(start_time=stream.time_of(block.start))
        columns = stream.read_columns(block.start, block.n) if isinstance(
            stream, SpectrumStream) else {}
        return cls(block.data, block.valid, header, stream.kind, columns)

    @property
    def weight(self) -> NDArray[np.float32]:
        """Weights of spectra, 0 to 1."""
        if self.kind != "spectra":
            raise AttributeError(f"{self.kind} have valid spans or energies, not weights")
        weights: NDArray[np.float32] = self.valid
        return weights

    @property
    def time(self) -> Time:
        """UTC of every row's start, shape (time,)."""
        numbers = range(len(self.values))
        return sample_times(self.header.start_time, numbers, self.header.sample_rate)

    @property
    def frequency(self) -> u.Quantity | None:
        """Channel centres, MHz, shape (chan,)."""
        return None if self.header.channels is None else self.header.channels.centers

    def _civil_times(self) -> NDArray[np.datetime64]:
        """Start on the UTC clock and elapsed time from there, as in the product's time axis.

        datetime64 knows no leap seconds: one that passes within the data is not counted.
        """
        text = iso(self.header.start_time)
        minute = np.datetime64(text[:16], "ns")
        seconds = Fraction(text[17:])  # up to 60.999999999
        steps = [(seconds + n / self.header.sample_rate) * 10**9 for n in range(len(self.values))]
        elapsed = np.array([round(step) for step in steps], "timedelta64[ns]")
        times: NDArray[np.datetime64] = minute + elapsed
        return times

    def to_xarray(self) -> xarray.Dataset:
        """An xarray Dataset with the names of the file's own axes (needs xarray)."""
        import xarray

        if self.kind != "spectra" or self.frequency is None:
            raise TypeError(f"only spectra become a Dataset, not {self.kind}")
        dims = ("time", "feed_id", "frequency")
        weights = np.broadcast_to(self.valid, self.values.shape)
        return xarray.Dataset(
            {"data": (dims, self.values), "weights": (dims, weights)},
            coords={
                "time": self._civil_times(),
                "feed_id": list(self.header.polarization.names),
                "frequency": ("frequency", self.frequency.value, {"units": "MHz"}),
                **{name: ("time", values) for name, values in self.columns.items()},
            },
        )
