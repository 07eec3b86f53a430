"""Fractions of the samples of spectra that have weight 0.

The fractions are those of all samples, of each product, of each channel, and over time.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from astropy import units as u
from numpy.typing import NDArray

from fastsig.errors import FastsigWarning, PlanError, users_line
from fastsig.run.engine import run
from fastsig.stages.flag import Flag
from fastsig.stages.flagging import FlaggedSpectra
from fastsig.stages.select import Select
from fastsig.stream import Block, Sink, SpectrumStream, Stage, Stream, spectra_of
from fastsig.work.shown import Shown

__all__ = ["FlagShares", "ShareCounter", "Watch", "excesses", "flag_shares",
           "run_watched", "warn_of", "watches"]

_MUCH = 0.1  # largest share of the samples outside the bands that is flagged without a warning

_MOST_TIMES = 4096  # values over time: more than a picture has pixels, for files of any length


@dataclass(frozen=True, repr=False)
class FlagShares(Shown):
    """Fractions of samples with weight 0, from 0 to 1.

    Parameters
    ----------
    names : tuple of str
        Names of the products.
    total : float
        Fraction of all samples.
    product, channel : ndarray, float64
        Fractions of the samples of each product and of each channel.
    frequency : Quantity, shape (chan,), or None
        Channel centres, MHz, if they are known.
    time : ndarray, float64
        Fractions of successive groups of `n_rows` rows, at most 4096 values; the last group may be
        shorter.
    n_rows : int
        Number of rows in each value of `time`: 1 for up to 4096 rows, otherwise a power of two.
    before : float or None
        Fraction of all samples that would have weight 0 without the stages of the chain that flag;
        None if it was not counted.
    """

    names: tuple[str, ...]
    total: float
    product: NDArray[np.float64]
    channel: NDArray[np.float64]
    frequency: u.Quantity | None
    time: NDArray[np.float64]
    n_rows: int
    before: float | None = None

    @property
    def new(self) -> float | None:
        """Fraction of all samples that the stages of the chain flagged.

        It is None if `before` is None.
        """
        return None if self.before is None else max(0.0, self.total - self.before)

    def record(self) -> dict[str, Any]:
        """Return the fractions, rounded to six decimal places, for JSON."""
        return {
            "share": round(self.total, 6),
            "product": dict(zip(self.names, np.round(self.product, 6).tolist(), strict=True)),
            "channel": np.round(self.channel, 6).tolist(),
            "time": np.round(self.time, 6).tolist(),
            "rows_of_a_time": self.n_rows,
        }


class _Counts(NamedTuple):
    """Numbers of samples without weight in a block, by product and channel, and by row."""

    lost: NDArray[np.int64]
    rows: NDArray[np.int64]


class _Times:
    """Sums over successive groups of rows, which are long enough to keep their number small."""

    def __init__(self) -> None:
        self.n_rows, self.rows = 1, 0
        self._sums = np.zeros(2 * _MOST_TIMES, np.int64)

    def add(self, counts: NDArray[np.int64]) -> None:
        """Add the counts of the next rows."""
        stop = self.rows + len(counts)
        while stop > self.n_rows * _MOST_TIMES:
            self._sums[:_MOST_TIMES] = self._sums.reshape(-1, 2).sum(axis=1)
            self._sums[_MOST_TIMES:] = 0
            self.n_rows *= 2
        np.add.at(self._sums, np.arange(self.rows, stop) // self.n_rows, counts)
        self.rows = stop

    def means(self) -> NDArray[np.float64]:
        """Return every sum divided by its number of rows."""
        first = np.arange(0, self.rows, self.n_rows)
        sums = self._sums[: len(first)]
        return sums / np.minimum(self.n_rows, self.rows - first)


class ShareCounter(Sink):
    """A sink that counts samples with weight 0; its product is `FlagShares`.

    Parameters
    ----------
    stream : SpectrumStream
        Spectra whose samples are counted.
    products : sequence of int, optional
        Indices of the products that are counted; by default, all.

    Raises
    ------
    PlanError
        If the stream contains no spectra.
    """

    name = "count"

    def __init__(self, stream: Stream, products: Sequence[int] | None = None) -> None:
        if not isinstance(stream, SpectrumStream):
            raise PlanError(f"{stream.path}: contains {stream.kind}; allowed: spectra")
        super().__init__(stream)
        names = stream.polarization.names
        self._picks = list(range(len(names)) if products is None else products)
        self._names = tuple(names[index] for index in self._picks)
        self._n_product = len(names)
        self._lost = np.zeros((len(self._names), stream.shape[2]), np.int64)
        self._times = _Times()
        axis = stream.header.channels
        self._frequency = None if axis is None else axis.centers

    def work_bytes(self, n: int) -> int:
        """Memory needed by `partial`."""
        return n * self._n_product * int(self._lost.shape[1])

    def part_bytes(self, n: int) -> int:
        """Memory needed for the counts."""
        return 8 * (n + self._lost.size)

    def partial(self, block: Block) -> _Counts:
        """Count the samples with weight 0 in a block."""
        shape = block.n, self._n_product, self._lost.shape[1]
        lost = np.broadcast_to(~(block.valid > 0), shape)
        if len(self._picks) < self._n_product:
            lost = lost[:, self._picks]
        return _Counts(lost.sum(axis=0), lost.sum(axis=(1, 2)))

    def merge(self, part: _Counts) -> None:
        """Add the counts of the next rows."""
        self._lost += part.lost
        self._times.add(part.rows)

    def finish(self, n_rows: int) -> FlagShares:
        """Return the fractions that follow from the counts."""
        share = self._lost / max(1, self._times.rows)
        return FlagShares(self._names, float(share.mean()) if share.size else 0.0,
                          share.mean(axis=1), share.mean(axis=0), self._frequency,
                          self._times.means() / max(1, self._lost.size), self._times.n_rows)


def flag_shares(product: Any, *, workers: int | None = None) -> FlagShares:
    """Return the fractions of the samples that have weight 0. All rows are read.

    ``total`` is the sum of two fractions: ``new``, that of the samples to which the flagging stages
    of the chain gave weight 0, and ``before``, that of the samples that have weight 0 without these
    stages, such as samples flagged in the file.

    A `FastsigWarning` is issued if a stage `flag` of the chain flagged whole channels, or more
    than a tenth of the samples outside the requested bands.

    Parameters
    ----------
    product : chain or SpectrumStream
        Spectra in any unit, from a chain, a file or a stage.
    workers : int, optional
        Number of threads; by default, as many as the process may use.

    Raises
    ------
    PlanError
        If the chain contains no spectra.
    """
    stream = spectra_of(product)
    without = _unflagged(stream)
    streams = [stream] if without is stream else [stream, without]
    shares: list[FlagShares] = run_watched(list(map(ShareCounter, streams)), workers=workers)
    return replace(shares[0], before=shares[-1].total)


def _unflagged(stream: Stream) -> Stream:
    """Return a chain without its stages that flag."""
    source = getattr(stream, "source", None)
    if not isinstance(stream, Stage) or not isinstance(source, Stream):
        return stream
    below = _unflagged(source)
    if isinstance(stream, FlaggedSpectra):
        return below
    return stream if below is source else stream.with_source(below)


def run_watched(sinks: Sequence[Sink], **options: Any) -> list[Any]:
    """Run chains into sinks as `fastsig.run.engine.run` does, and warn of excessive flagging."""
    watched = watches([sink.stream for sink in sinks])
    counters = [sink for each in watched for sink in each.sinks]
    results = run([*sinks, *counters], **options)
    warn_of(watched, results[len(sinks):])
    return results[: len(sinks)]


def warn_of(watched: Sequence[Watch], results: Sequence[FlagShares]) -> None:
    """Warn of excessive flagging, given the results of the sinks of all watches, in order."""
    for each, after, before in zip(watched, results[::2], results[1::2], strict=True):
        each.warn(after, before)


class Watch(NamedTuple):
    """A stage `Flag` of a chain, and those of its rows that a pass over the chain needs."""

    flag: Flag
    first: int
    stop: int

    @property
    def sinks(self) -> tuple[ShareCounter, ShareCounter]:
        """Sinks that count the samples with weight 0 after and before the stage."""
        return ShareCounter(self._rows(self.flag)), ShareCounter(self._rows(self.flag.source))

    def _rows(self, stream: Stream) -> Stream:
        whole = (self.first, self.stop) == (0, stream.shape[0])
        return stream if whole else Select(stream, rows=(self.first, self.stop))

    def warn(self, after: FlagShares, before: FlagShares) -> None:
        """Warn if the stage flagged too much.

        This is the case if whole channels were flagged, or more than a tenth of the samples outside
        the requested bands.
        """
        for text in excesses(self.flag, after, before, "draw_flags"):
            warnings.warn(f"{self.flag.path}: {text}", FastsigWarning, stacklevel=users_line())


def watches(streams: Sequence[Stream]) -> list[Watch]:
    """Return the `Flag` stages of chains whose end is known, each once."""
    found: dict[int, Watch] = {}
    for stream in streams:
        for each in () if stream.endless else _flags(stream, 0, stream.shape[0]):
            other = found.get(id(each.flag), each)
            found[id(each.flag)] = Watch(each.flag, min(each.first, other.first),
                                         max(each.stop, other.stop))
    return list(found.values())


def _flags(stream: Stream, start: int, n: int) -> Iterator[Watch]:
    if isinstance(stream, Flag) and n:
        yield Watch(stream, max(0, start), min(start + n, stream.shape[0]))
    for index, source in enumerate(stream.inputs()):
        yield from _flags(source, *stream.needs_of(index, start, n))


def excesses(flag: Stream, after: FlagShares, before: FlagShares, shows: str) -> list[str]:
    """Return warnings if more than expected was flagged outside the requested bands.

    Parameters
    ----------
    flag : Stream
        The last stage that flags.
    after, before : FlagShares
        Fractions with weight 0 after and before the stage.
    shows : str
        Option or function that draws the flags.
    """
    asked = flag.banned if isinstance(flag, Flag) else np.zeros(len(after.channel), np.bool_)
    whole = int(((after.channel >= 1) & (before.channel < 1) & ~asked).sum())
    others = (after.channel - before.channel)[~asked]
    share = float(others.mean()) if len(others) else 0.0
    found = []
    if whole:
        found.append(f"{whole} of {len(asked)} channels {'was' if whole == 1 else 'were'} flagged "
                     "throughout; --protect keeps channels with lines")
    if share > _MUCH:
        found.append(f"{100 * share:.3g} % of the samples outside --bands were flagged; {shows} "
                     "shows which")
    return found
