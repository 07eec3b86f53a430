"""Fractions of spectra without weight: in total, for each product and channel, and over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import PlanError
from fastsig.run.engine import run
from fastsig.stream import Block, Sink, SpectrumStream, Stream, spectra_of
from fastsig.work.shown import Shown

__all__ = ["FlagShares", "ShareCounter", "flag_shares"]

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
        Fractions of each product and of each channel.
    time : ndarray, float64
        Fractions of successive groups of `n_rows` rows, at most 4096 values; the last group may be
        shorter.
    n_rows : int
        Rows in each value of `time`: 1 for up to 4096 rows, else a power of two.
    """

    names: tuple[str, ...]
    total: float
    product: NDArray[np.float64]
    channel: NDArray[np.float64]
    time: NDArray[np.float64]
    n_rows: int

    def record(self) -> dict[str, Any]:
        """Return the fractions with six decimals, for JSON."""
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
    """A sink that counts samples without weight; its product is `FlagShares`.

    Parameters
    ----------
    stream : SpectrumStream

    Raises
    ------
    PlanError
        If the stream contains no spectra.
    """

    name = "count"

    def __init__(self, stream: Stream) -> None:
        if not isinstance(stream, SpectrumStream):
            raise PlanError(f"{stream.path}: contains {stream.kind}; allowed: spectra")
        super().__init__(stream)
        self._names = tuple(stream.polarization.names)
        self._lost = np.zeros((len(self._names), stream.shape[2]), np.int64)
        self._times = _Times()

    def work_bytes(self, n: int) -> int:
        """Memory that `partial` needs."""
        return n * self._lost.size

    def part_bytes(self, n: int) -> int:
        """Memory of the counts."""
        return 8 * (n + self._lost.size)

    def partial(self, block: Block) -> _Counts:
        """Count a block."""
        lost = np.broadcast_to(~(block.valid > 0), (block.n, *self._lost.shape))
        return _Counts(lost.sum(axis=0), lost.sum(axis=(1, 2)))

    def merge(self, part: _Counts) -> None:
        """Add the counts of the next rows."""
        self._lost += part.lost
        self._times.add(part.rows)

    def finish(self, n_rows: int) -> FlagShares:
        """Return the fractions that follow from the counts."""
        share = self._lost / max(1, self._times.rows)
        return FlagShares(self._names, float(share.mean()) if share.size else 0.0,
                          share.mean(axis=1), share.mean(axis=0),
                          self._times.means() / max(1, self._lost.size), self._times.n_rows)


def flag_shares(product: Any, *, workers: int | None = None) -> FlagShares:
    """Return the fractions of samples of spectra with weight 0. All rows are read.

    Parameters
    ----------
    product : chain or SpectrumStream
        Spectra: a chain, a file or a stage.
    workers : int, optional
        Number of threads; by default as many as the process may use.

    Raises
    ------
    PlanError
        If `product` contains no spectra.
    """
    shares: FlagShares = run([ShareCounter(spectra_of(product))],
                             workers=workers)[0]
    return shares
