"""How much of spectra has no weight: of all, of each product, channel and row."""

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


@dataclass(frozen=True, repr=False)
class FlagShares(Shown):
    """Shares of samples with weight 0, from 0 to 1.

    Parameters
    ----------
    names : tuple of str
        Names of the products.
    total : float
        Of all samples.
    product, channel, row : ndarray, float64
        Of each product, each channel and each row.
    """

    names: tuple[str, ...]
    total: float
    product: NDArray[np.float64]
    channel: NDArray[np.float64]
    row: NDArray[np.float64]

    def record(self) -> dict[str, Any]:
        """The shares as numbers of six digits, for JSON."""
        return {
            "share": round(self.total, 6),
            "product": dict(zip(self.names, np.round(self.product, 6).tolist(), strict=True)),
            "channel": np.round(self.channel, 6).tolist(),
            "row": np.round(self.row, 6).tolist(),
        }


class _Counts(NamedTuple):
    """Samples without weight of a block: of each product and channel, and the share of each row."""

    lost: NDArray[np.int64]
    rows: NDArray[np.float64]


class ShareCounter(Sink):
    """Counts samples without weight: a sink whose product is `FlagShares`.

    Parameters
    ----------
    stream : SpectrumStream

    Raises
    ------
    PlanError
        Where the stream holds no spectra.
    """

    name = "count"

    def __init__(self, stream: Stream) -> None:
        if not isinstance(stream, SpectrumStream):
            raise PlanError(f"{stream.path}: holds {stream.kind}; allowed: spectra")
        super().__init__(stream)
        self._names = tuple(stream.polarization.names)
        self._lost = np.zeros((len(self._names), stream.shape[2]), np.int64)
        self._rows: list[NDArray[np.float64]] = []

    def work_bytes(self, n: int) -> int:
        """Memory that `partial` takes."""
        return n * self._lost.size

    def part_bytes(self, n: int) -> int:
        """Memory of the counts."""
        return 8 * (n + self._lost.size)

    def partial(self, block: Block) -> _Counts:
        """Count a block."""
        lost = np.broadcast_to(~(block.valid > 0), (block.n, *self._lost.shape))
        return _Counts(lost.sum(axis=0), lost.mean(axis=(1, 2)))

    def merge(self, part: _Counts) -> None:
        """Take the counts of the next rows."""
        self._lost += part.lost
        self._rows.append(part.rows)

    def finish(self, n_rows: int) -> FlagShares:
        """Shares of what was counted."""
        row = np.concatenate([np.empty(0), *self._rows])
        share = self._lost / max(1, len(row))
        return FlagShares(self._names, float(share.mean()) if share.size else 0.0,
                          share.mean(axis=1), share.mean(axis=0), row)


def flag_shares(product: Any, *, workers: int | None = None) -> FlagShares:
    """Shares of samples with weight 0 of spectra: a chain, a file or a stage. Reads all rows.

    Parameters
    ----------
    product : chain or SpectrumStream
        Spectra.
    workers : int, optional
        Threads; as many as the process may use by default.

    Raises
    ------
    PlanError
        Where there are no spectra.
    """
    shares: FlagShares = run([ShareCounter(spectra_of(product))],
                             workers=workers)[0]
    return shares
