"""A signal that a search found in a piece of the band."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

__all__ = ["Signal"]


@dataclass(frozen=True)
class Signal:
    """A drifting carrier in a piece of the band.

    Parameters
    ----------
    start : float
        First channel of its boxcar at the centre of the first spectrum.
    drift : float
        Channels that it drifts to the centre of the last spectrum.
    width : int
        Width of the boxcar, channels.
    snr : float
        Sum of its samples over their noise.
    excess : float
        Mean of its samples over the level, 1 for as much power again as the noise.
    valid_share : float
        Share of its samples that is valid.
    leak : int
        Channels on either side that contain its power too.
    """

    start: float
    drift: float
    width: int
    snr: float
    excess: float
    valid_share: float
    leak: int = 1

    def limits(self, n_spectrum: int) -> NDArray[np.int64]:
        """Return the first channel in each spectrum, (n_spectrum,) int64."""
        return np.floor(self.start + self.drift * _phase(n_spectrum) + 0.5).astype(np.int64)

    def span(self) -> tuple[int, int]:
        """Return the first channel that it needs, and the one after the last."""
        ends = self.start, self.start + self.drift
        return int(min(ends)) - self.leak, ceil(max(ends)) + self.width + self.leak


def _phase(n_spectrum: int) -> NDArray[np.float64]:
    return np.arange(n_spectrum) / max(1, n_spectrum - 1)
