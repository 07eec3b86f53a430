"""How much of spectra has no weight: of all, of each product, channel and row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import PlanError
from fastsig.stream import Block, SpectrumStream

__all__ = ["FlagShares", "ShareCounter", "flag_shares"]

_BYTES = 2**24


@dataclass(frozen=True)
class FlagShares:
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


class ShareCounter:
    """Counts samples without weight in blocks that come in order.

    Parameters
    ----------
    names : sequence of str
        Names of the products.
    n_chan : int
    """

    def __init__(self, names: Sequence[str], n_chan: int) -> None:
        self._names = tuple(names)
        self._counts = np.zeros((len(self._names), n_chan), np.int64)
        self._rows: list[NDArray[np.float64]] = []

    def add(self, block: Block) -> None:
        """Count the next rows."""
        shape = (block.n, *self._counts.shape)
        lost = np.broadcast_to(~(block.valid > 0), shape)
        self._counts += lost.sum(axis=0)
        self._rows.append(lost.mean(axis=(1, 2)))

    def shares(self) -> FlagShares:
        """What has been counted."""
        row = np.concatenate([np.empty(0), *self._rows])
        share = self._counts / max(1, len(row))
        return FlagShares(self._names, float(share.mean()) if share.size else 0.0,
                          share.mean(axis=1), share.mean(axis=0), row)


def flag_shares(product: Any) -> FlagShares:
    """Shares of samples with weight 0 of spectra: a chain, a file or a stage. Reads all rows.

    Raises
    ------
    PlanError
        Where there are no spectra.
    """
    stream = getattr(product, "stream", product)
    if not isinstance(stream, SpectrumStream):
        raise PlanError(f"{stream.path}: holds {stream.kind}; allowed: spectra")
    counter = ShareCounter(stream.polarization.names, stream.shape[2])
    rows = max(stream.segment_rows, _BYTES // max(1, stream.row_bytes))
    for start in range(0, stream.shape[0], rows):
        counter.add(stream.read_block(start, min(rows, stream.shape[0] - start)))
    return counter.shares()
