"""PlaneStream: time series for many dispersion measures, which are an axis of their own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsig.stream.base import Stream

__all__ = ["PlaneStream"]


class PlaneStream(Stream):
    """DM-time planes: float32 (time, product, dm), with a weight for each value.

    Times are those at the reference frequency in the header.
    """

    kind = "planes"

    #: Dispersion measures, (n_dm,) float64, pc cm^-3, ascending.
    dms: NDArray[np.float64]

    @property
    def held_bytes(self) -> int:
        """Memory that is held from block to block while the rows are read in order."""
        return 0

    @property
    def least_held_bytes(self) -> int:
        """A lower limit of `held_bytes`, which takes no time and no memory."""
        return 0

    def all_valid(self) -> bool | None:
        """Return whether all weights are 1; None if everything must be read to know it."""
        return None

    @property
    def row_bytes(self) -> int:
        """Bytes of the values and weights of one time."""
        return int(np.prod(self.shape[1:])) * 8
