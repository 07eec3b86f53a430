"""Chains: an open file and the verbs done to it, nothing computed until asked.

The verbs of a `Chain` are the stages of the registry, each of which returns a new chain, and its
measurements, which read the chain and return what they found::

    spec = fs.open("night.h5").channelize(4096).detect("IQUV").integrate(1 * u.ms)
"""

from __future__ import annotations

import inspect
import operator
import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.time import Time

from fastsig import registry
from fastsig.axes.time import elapsed, iso
from fastsig.axes.units import exact
from fastsig.errors import PlanError, UsageError
from fastsig.io.files.scan import Paths
from fastsig.io.opening import describe, open_stream
from fastsig.stages.integrate import Integrate
from fastsig.stream import Stream, VoltageStream
from fastsig.stream.data import Data

if TYPE_CHECKING:
    import specutils
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

__all__ = ["Chain", "open_chain"]


def open_chain(path: Paths, **overrides: Any) -> Chain:
    """Open a file, whatever its format, as the start of a chain.

    Parameters
    ----------
    path : path or iterable of path
        File, or folder of a format that is one; or the files of one scan, by their names, a
        pattern (``"night.*.raw"``) or what their names begin with (``"night"``).
    overrides
        Values in place of the header's: `sample_rate`, `frequency`, `sideband`, `start_time`,
        `telescope`, `source`, `feed`, and what the format adds.

    Raises
    ------
    FormatError
        Where the file cannot be understood; the message names file and cause.
    UsageError
        Where an override is unknown or has no meaning.
    """
    return Chain(open_stream(path, **overrides))


class Chain:
    """A stream with the verbs of the registry.

    Parameters
    ----------
    stream : Stream
        A file or the last stage.
    """

    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if not name.startswith("_") and registry.is_stage(name):
            return _verb(name, registry.stage(name), self.stream, Chain)
        if not name.startswith("_") and name in registry.measurements():
            return _verb(name, registry.measurement(name), self.stream, None)
        raise AttributeError(f"a chain has no {name!r}; its verbs are "
                             f"{', '.join([*registry.stages(), *registry.measurements()])}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *registry.stages(), *registry.measurements()]

    @property
    def header(self) -> Any:
        """The typed header."""
        return self.stream.header

    @property
    def shape(self) -> tuple[int, ...]:
        """(row, pol or product[, chan])."""
        return self.stream.shape

    @property
    def start_time(self) -> Time:
        """UTC of row 0."""
        return self.stream.start_time

    @property
    def sample_rate(self) -> Any:
        """Rows a second, Hz."""
        return self.stream.sample_rate

    @property
    def frequency(self) -> Any:
        """Channel centres, MHz."""
        return self.stream.frequency

    @property
    def polarization(self) -> Any:
        """Meaning of the polarisation axis."""
        return self.stream.polarization

    def read(self, start: int = 0, n: int | None = None) -> Data:
        """Compute rows and return them with their axes; all rows by default."""
        from fastsig.run.fusing import fuse, narrowed

        count = self.shape[0] - start if n is None else n
        return Data.of(self.stream, fuse(narrowed(self.stream)).read_block(start, count))

    def __iter__(self) -> Iterator[Data]:
        rows = max(1, 2**24 // self.stream.row_bytes)
        for start in range(0, self.shape[0], rows):
            yield self.read(start, min(rows, self.shape[0] - start))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Chain:
        """Slice by row or time, and by channel or frequency: ``chain[t0:t1, f0:f1]``.

        Times are row numbers, `Time` or Quantities from the start; frequencies are channel
        numbers or Quantities, of channel centres, both ends included.
        """
        parts = key if isinstance(key, tuple) else (key, slice(None))
        if len(parts) != 2:
            raise UsageError("slice a chain as chain[t0:t1] or chain[t0:t1, f0:f1]")
        rows, channels = parts
        for part in (rows, channels):
            if not isinstance(part, slice) or part.step is not None:
                raise UsageError("slice a chain as chain[t0:t1] or chain[t0:t1, f0:f1], no step")
        found = self._rows(rows)
        if channels == slice(None):
            return self if found == (0, self.shape[0]) else self._selected(rows=found)
        return self._selected(rows=found, channels=self._channels(channels))

    def _selected(self, **ranges: tuple[int, int]) -> Chain:
        return Chain(registry.stage("select")(self.stream, **ranges))

    def _rows(self, span: slice) -> tuple[int, int]:
        first = 0 if span.start is None else self._row(span.start)
        stop = self.shape[0] if span.stop is None else self._row(span.stop)
        first, stop = max(0, first), min(stop, self.shape[0])
        if first >= stop:
            raise UsageError(
                f"no rows {_between(span)}: the stream runs from "
                f"{iso(self.start_time)} to {iso(self.stream.stop_time)}"
            )
        return first, stop

    def _row(self, at: Any) -> int:
        """First row that starts at or after a time."""
        if isinstance(at, (int, np.integer)):
            row = operator.index(at)
            return row if row >= 0 else self.shape[0] + row
        if isinstance(at, float):
            raise UsageError(f"{at!r} is neither a row number nor a time with a unit")
        seconds = (
            elapsed(self.start_time, at) if isinstance(at, Time) else exact(at, "s", "time")
        )
        rows = seconds * self.header.sample_rate
        # A time has steps of 5 ps: allow 0.1 ns, and a millionth of a row at the least.
        slack = min(Fraction(1, 4), max(Fraction(1, 10**6), self.header.sample_rate / 10**10))
        return -int(-(rows - slack) // 1)

    def _channels(self, span: slice) -> tuple[int, int]:
        axis = self.header.channels
        ends = (span.start, span.stop)
        if axis is None or len(self.shape) < 3:
            raise PlanError(f"{self.stream.path}: a band can be selected from channels only: "
                            "channelise and detect first")
        if all(end is None or isinstance(end, (int, np.integer)) for end in ends):
            first, stop, _ = span.indices(axis.n_chan)
        else:
            low, high = (None if end is None else exact(end, "Hz", "frequency") for end in ends)
            first, stop = axis.slice_of(low, high)
        if first >= stop:
            low_hz, high_hz = (float(edge) / 1e6 for edge in axis.edges_hz)
            raise UsageError(
                f"no channels {_between(span)}: the band runs from {low_hz:g} to {high_hz:g} MHz"
            )
        return first, stop

    def write(self, path: str | os.PathLike[str], **options: Any) -> Any:
        """Compute all rows and write them, in the format of `to` or of the ending of `path`.

        Options and what is returned, an object with `losses` and `n_bits`, are those of
        `fastsig.run.products.write`.
        """
        from fastsig.run.products import write

        return write(self.stream, path, **options)

    def explain(self, *, workers: int | None = None, memory: int | None = None,
                fused: bool = True) -> str:
        """How writing the chain would run, as text; options as of `write`."""
        from fastsig.run.products import plan_products, products

        made = products([self.stream], ["product.h5"], workers=workers, memory=memory)
        return plan_products(made, workers=workers, memory=memory, fused=fused).explain()

    def plot(self, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False,
             product: str | None = None, what: str | None = None, ax: Axes | None = None,
             cmap: str | Colormap | None = None, vmin: Any = None, vmax: Any = None,
             scale: str | None = None, percent: float | None = None) -> Figure:
        """Draw the stream; save where `path` is given; options as of `fastsig.view.draw`."""
        from fastsig.view import draw

        return draw(self.stream, path, overwrite=overwrite, product=product, what=what, ax=ax,
                    cmap=cmap, vmin=vmin, vmax=vmax, scale=scale, percent=percent)

    def to_xarray(self, rest: Any = None, convention: str = "radio") -> xarray.Dataset:
        """All rows as an xarray Dataset (needs xarray); options as of `Data.to_xarray`."""
        return self.read().to_xarray(rest, convention)

    def to_specutils(self, rest: Any = None, convention: str = "radio", *, sigma: Any = None
                     ) -> specutils.Spectrum:
        """All rows as a specutils Spectrum (needs specutils); options as of `Data.to_specutils`."""
        return self.read().to_specutils(rest, convention, sigma=sigma)

    def verify(self) -> None:
        """Read all of the file and compare its checksums."""
        self.stream.verify()

    def close(self) -> None:
        """Close the file."""
        self.stream.close()

    def __enter__(self) -> Chain:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def _facts(self) -> dict[str, Any]:
        fields = describe(self.stream, "")
        fields.pop("format")
        return {key: value for key, value in fields.items() if value is not None}

    def __repr__(self) -> str:
        facts = self._facts()
        low, high = facts.get("frequency_mhz", (None, None))
        band = "" if low is None else f", {low:.6g} to {high:.6g} MHz"
        return (f"<Chain of {self.stream.kind} {self.shape} from {facts['start_time']}, "
                f"{facts['duration_s']:.6g} s{band}>")

    def _repr_html_(self) -> str:
        from html import escape

        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(key)}</th><td>{escape(str(value))}</td></tr>"
            for key, value in self._facts().items()
        )
        return f"<table><caption>{escape(self.stream.kind)} {self.shape}</caption>{rows}</table>"


def _verb(name: str, work: Callable[..., Any], stream: Stream, wrap: Callable[[Any], Any] | None
          ) -> Callable[..., Any]:
    """A stage or a measurement as a method, with its own signature but for the stream."""
    def verb(*args: Any, **options: Any) -> Any:
        made = work(stream, *args, **options)
        return made if wrap is None else wrap(made)

    own = inspect.signature(work)
    parameters = list(own.parameters.values())[1:]
    verb.__signature__ = own.replace(  # type: ignore[attr-defined]
        parameters=parameters, return_annotation=own.return_annotation if wrap is None else Chain)
    verb.__doc__, verb.__name__ = work.__doc__, name
    return verb


def _between(span: slice) -> str:
    first = "the start" if span.start is None else span.start
    return f"from {first} to {'the end' if span.stop is None else span.stop}"


def spectra(
    stream: VoltageStream, n_chan: int, *, n_tap: int = 8, window: str = "hamming",
    min_valid: float = 0.9, oversample: Fraction | str | int = 1, products: str = "I",
    time: Any = None, n_int: int | None = None, n_freq: int = 1, flag: str | None = None,
    flag_sigma: float | None = None, sign_q: int = 1, sign_v: int = 1,
) -> Chain:
    """The chain of ``fastsig spectra``: channelise, detect, integrate."""
    sigma = _flag_sigma(flag, flag_sigma, integrated=time is not None or n_int is not None)
    chain = Chain(stream).channelize(n_chan, n_tap=n_tap, window=window, min_valid=min_valid,
                                     oversample=oversample)
    detected: Chain = chain.detect(products, sign_q=sign_q, sign_v=sign_v)
    if time is None and n_int is None and n_freq == 1:
        return detected
    return Chain(Integrate(detected.stream, time, n_int=n_int, n_freq=n_freq, flag_sigma=sigma))


def _flag_sigma(flag: str | None, sigma: float | None, *, integrated: bool) -> float | None:
    """The thresholds of spectral kurtosis, in sigmas; None for no flags."""
    if flag is None:
        if sigma is not None:
            raise UsageError(f"flag_sigma = {sigma} without a flag; allowed: with flag = 'sk'")
        return None
    if flag != "sk":
        raise UsageError(f"flag = {flag!r}; allowed: 'sk'")
    if not integrated:
        raise UsageError(
            f"flag = {flag!r} without an integration; allowed: with an integration "
            "(--integrate, --n-int)"
        )
    return 3.0 if sigma is None else sigma
