"""Chains: an open file and the stages applied to it; nothing is computed until it is needed.

The verbs of a `Chain` are the stages of the registry, each of which returns a new chain, and its
measurements, which read the chain and return their results::

    spec = fs.open("night.h5").channelize(4096).detect("IQUV").integrate(1 * u.ms)
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from fastsig import registry
from fastsig.axes.dispersion import dm_of
from fastsig.errors import UsageError
from fastsig.io.files.scan import Paths
from fastsig.io.opening import open_stream
from fastsig.own_verbs import OwnVerbs
from fastsig.stages.integrate import Integrate
from fastsig.stream import Stream, VoltageStream
from fastsig.stream.data import Data
from fastsig.stream.slices import channel_span, key_parts, row_span
from fastsig.verbs import verb
from fastsig.work.arguments import checked, shown
from fastsig.work.memory import available_bytes, parse_bytes

if TYPE_CHECKING:
    import specutils
    import xarray
    from astropy.table import QTable
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

__all__ = ["Chain", "from_specutils", "from_table", "open_chain"]


def open_chain(path: Paths, **overrides: Any) -> Chain:
    """Open a file of any format as the start of a chain.

    Parameters
    ----------
    path : path or iterable of path
        A file, or a folder if the format stores a recording as a folder; or the files of one scan,
        given as a list of names, a pattern (``"night.*.raw"``) or the beginning of the names
        (``"night"``).
    overrides
        Values that replace those in the header: `sample_rate`, `frequency`, `sideband`,
        `start_time`, `telescope`, `source`, `feed`, `position` (a SkyCoord, or a pair of angles) or
        `ra` and `dec`, and the overrides that the format adds.

    Raises
    ------
    FormatError
        If the file cannot be understood; the message names the file and the cause.
    UsageError
        If an override is unknown or has no meaning.
    """
    return Chain(open_stream(path, **overrides))


def from_table(table: Any, **overrides: Any) -> Chain:
    """Begin a chain with the spectrum in an astropy table.

    Parameters
    ----------
    table : Table, QTable or mapping
        A table, or columns by their names: one of frequencies, or of velocities in the radio
        convention, in equal steps, and others of values. The ``meta`` of a table may contain header
        values, such as ``start_time`` and ``exposure``.
    overrides
        The overrides of `open` for text: `start_time`, `exposure`, `unit`, `frequency_unit`,
        `columns`, `rest`, `telescope`, `source` and more.

    Raises
    ------
    FormatError
        If a required value is missing, or the steps are not even.
    UsageError
        If no column is an axis of frequency or velocity, or an override is unknown or has no
        meaning.
    """
    from fastsig.io.text.objects import pieces_of_table
    from fastsig.io.text.spectrum import held

    if isinstance(table, Mapping):
        from astropy.table import QTable

        try:
            table = QTable(dict(table))
        except Exception as error:  # of many kinds
            raise UsageError(f"table: not columns of equal length: {error}") from error
    elif not hasattr(table, "colnames"):
        raise UsageError(f"table = {shown(table)}; allowed: an astropy table, or a mapping of "
                         "names to columns")
    pieces = pieces_of_table(table, overrides)
    if pieces is None:
        raise UsageError("no column of the table has a unit of frequency or velocity; give "
                         "frequency_unit = 'MHz' if the first column is such an axis")
    return Chain(held(pieces, "table", [], overrides, "a table"))


def from_specutils(spectrum: specutils.Spectrum, **overrides: Any) -> Chain:
    """Begin a chain with a specutils spectrum, or with several spectra at successive times.

    A spectrum made by `Data.to_specutils` keeps its header.

    Parameters
    ----------
    spectrum : specutils.Spectrum
        Its flux has the shape (chan,), (time, chan) or (time, product, chan), on an axis with equal
        steps in frequency.
    overrides
        As for `from_table`; `start_time` and the `exposure` of one row are required if ``meta``
        does not contain them.

    Raises
    ------
    FormatError
        If a required value is missing, or the steps are not even.
    UsageError
        If the argument is not a spectrum, or an override is unknown or has no meaning.
    """
    from fastsig.io.text.objects import pieces_of_spectrum
    from fastsig.io.text.spectrum import held

    return Chain(held(pieces_of_spectrum(spectrum), "spectrum", [], overrides, "a spectrum"))


class Chain(OwnVerbs):
    """A stream, with the stages and measurements of fastsig as methods (verbs).

    Parameters
    ----------
    stream : Stream
        An open file, or the last stage that has been applied to it.
    """

    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if not name.startswith("_") and registry.is_stage(name):  # a plug-in's
            return verb(name, self)
        known = [each for each, value in vars(Chain).items() if isinstance(value, property)]
        raise AttributeError(
            f"a chain has no {name!r}; its attributes are {', '.join(['stream', *known])}, and its "
            f"verbs {', '.join([*registry.stages(), *registry.measurements()])}")

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *registry.stages()})

    @property
    def header(self) -> Any:
        """The header, with typed fields."""
        return self.stream.header

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the stream, (row, pol or product[, chan])."""
        return self.stream.shape

    @property
    def start_time(self) -> Time:
        """Start time of row 0, UTC."""
        return self.stream.start_time

    @property
    def sample_rate(self) -> Any:
        """Rows per second, Hz."""
        return self.stream.sample_rate

    @property
    def duration(self) -> Any:
        """Length in time, s; infinite if the end is not known."""
        return self.stream.duration

    @property
    def frequency(self) -> Any:
        """Channel centres, MHz."""
        return self.stream.frequency

    @property
    def polarization(self) -> Any:
        """Meaning of the polarisation axis."""
        return self.stream.polarization

    @checked
    def read(self, start: int = 0, n: int | None = None) -> Data:
        """Compute `n` rows from row `start`, all by default, and return them with their axes."""
        from fastsig.run.fusing import fuse, narrowed

        if n is None and self.stream.endless:
            raise UsageError(f"{self.stream.path}: the end of the stream is not known; give n")
        count = self.shape[0] - start if n is None else n
        if not 0 <= start <= start + count <= self.shape[0]:
            raise UsageError(f"start = {start}, n = {count}: outside a stream of {self.shape[0]} "
                             "rows")
        return Data.of(self.stream, fuse(narrowed(self.stream)).read_block(start, count))

    def __iter__(self) -> Iterator[Data]:
        rows = max(1, 2**24 // self.stream.row_bytes)
        for start in range(0, self.shape[0], rows):
            yield self.read(start, min(rows, self.shape[0] - start))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Chain:
        """Slice by row or time, channel or frequency, and product: ``chain[t0:t1, f0:f1, "I"]``.

        Integers are row or channel numbers. Dates and times are given as `Time`, datetime64 or ISO
        text; Quantities, `TimeDelta` and other text are times from the start. Frequencies are given
        as Quantities or text and refer to channel centres; both ends are included. ``chain["I"]``
        selects only products.
        """
        rows, channels, names = key_parts(key, self.stream)
        span = row_span(self.stream, rows)
        found: dict[str, Any] = {} if span == (0, self.shape[0]) else {"rows": span}
        if channels != slice(None):
            found = {"rows": span,
                     "channels": channel_span(self.stream, channels, self.stream.path)}
        if names is not None:
            found["products"] = names
        return Chain(registry.stage("select")(self.stream, **found)) if found else self

    def write(self, path: str | os.PathLike[str], **options: Any) -> Any:
        """Compute all rows and write them, in the format given by `to` or the extension of `path`.

        The options and the returned object, which has `losses` and `n_bits`, are those of
        `fastsig.run.products.write`.
        """
        from fastsig.run.products import write

        return write(self.stream, path, **options)

    @checked
    def explain(self, *, workers: int | None = None, memory: int | str | None = None,
                fused: bool = True) -> str:
        """Return a text that describes how the chain would be written; options as for `write`."""
        from fastsig.run.flag_shares import watches
        from fastsig.run.products import plan_products, products

        memory = parse_bytes(memory) if isinstance(memory, str) else memory
        made = products([self.stream], ["product.h5"], workers=workers, memory=memory)
        counters = [sink for each in watches([self.stream]) for sink in each.sinks]
        return plan_products(made, *counters, workers=workers, memory=memory, fused=fused
                             ).explain()

    @checked
    def plot(self, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False,
             product: str | None = None, what: str | None = None, ax: Axes | None = None,
             cmap: str | Colormap | None = None, vmin: Any = None, vmax: Any = None,
             scale: str | None = None, percent: float | None = None) -> Figure:
        """Draw the stream, and save it if `path` is given; options as for `fastsig.view.draw`."""
        from fastsig.view import draw

        return draw(self.stream, path, overwrite=overwrite, product=product, what=what, ax=ax,
                    cmap=cmap, vmin=vmin, vmax=vmax, scale=scale, percent=percent)

    @checked
    def to_table(self, rest: Any = None, convention: str = "radio") -> QTable:
        """Return all rows as an astropy table; columns and options as for `Data.to_table`."""
        return self.read().to_table(rest, convention)

    @checked
    def to_xarray(self, rest: Any = None, convention: str = "radio") -> xarray.Dataset:
        """Return all rows as an xarray Dataset (needs xarray); options as for `Data.to_xarray`."""
        return self.read().to_xarray(rest, convention)

    @checked
    def to_specutils(self, rest: Any = None, convention: str = "radio", *, sigma: Any = None
                     ) -> specutils.Spectrum:
        """Return all rows as a specutils Spectrum; see `Data.to_specutils` (needs specutils)."""
        return self.read().to_specutils(rest, convention, sigma=sigma)

    def verify(self) -> None:
        """Read the whole file and verify its checksums."""
        self.stream.verify()

    def close(self) -> None:
        """Close the file."""
        self.stream.close()

    def __enter__(self) -> Chain:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return the values of all rows, if they fit into memory."""
        if self.stream.endless:
            raise UsageError(f"{self.stream.path}: the end of the stream is not known; read a "
                             "slice")
        if copy is False:
            raise ValueError("the values of a chain are computed: copy=False is not possible")
        size, free = math.prod(self.shape) * self.stream.dtype.itemsize, available_bytes()
        if size > free // 2:
            raise UsageError(f"{self.stream.path}: the values take {size / 1e9:.3g} GB, more than "
                             f"half of the {free / 1e9:.3g} GB of memory that is free; slice the "
                             "chain, or iterate over it")
        return np.array(self.read().values, dtype=dtype)

    def __repr__(self) -> str:
        return self.stream.line("Chain")

    def _repr_html_(self) -> str:
        return self.stream._repr_html_()


def spectra(
    stream: VoltageStream, n_chan: int, *, n_tap: int = 8, window: str = "hamming",
    min_valid: float = 0.9, oversample: Fraction | str | int = 1, products: str = "I",
    time: Any = None, n_int: int | None = None, n_freq: int = 1, flag: str | None = None,
    flag_sigma: float | None = None, sign_q: int = 1, sign_v: int = 1, last: str = "keep",
    dm: Any = None, constant: Any = None,
) -> Chain:
    """Return the chain of ``fastsig spectra``: channelise, detect, integrate.

    With a dispersion measure above 0, `dedisperse` makes the channels instead of `channelize`.
    """
    sigma = _flag_sigma(flag, flag_sigma, integrated=time is not None or n_int is not None)
    if dm is None or dm_of(dm) == 0:
        chain = Chain(stream).channelize(n_chan, n_tap=n_tap, window=window, min_valid=min_valid,
                                         oversample=oversample)
    else:
        chain = Chain(stream).dedisperse(dm, n_chan=n_chan, constant=constant, min_valid=min_valid)
    detected: Chain = chain.detect(products, sign_q=sign_q, sign_v=sign_v)
    if time is None and n_int is None and n_freq == 1 and last == "keep":
        return detected
    return Chain(Integrate(detected.stream, time, n_int=n_int, n_freq=n_freq, flag_sigma=sigma,
                           last=last))


def _flag_sigma(flag: str | None, sigma: float | None, *, integrated: bool) -> float | None:
    """Return the threshold of spectral kurtosis, in sigmas; None for no flags."""
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
