"""A signal that a search found in a piece of the band."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

__all__ = ["Signal"]


@dataclass(frozen=True)
class Signal:
    """A drifting carrier in a piece of the band.

    Parameters
    ----------
    start : float
        First channel of the boxcar at the centre of the first spectrum.
    drift : float
        Number of channels that the carrier drifts until the centre of the last spectrum.
    width : int
        Width of the boxcar, channels.
    snr : float
        Sum of the samples in the boxcar, divided by the noise of this sum.
    excess : float
        Mean of these samples above the level, divided by the level; 1 if the carrier doubles the
        power.
    valid_share : float
        Fraction of these samples that are valid.
    leak : int
        Number of channels on each side that also contain power of the carrier.
    """

    start: float
    drift: float
    width: int
    snr: float
    excess: float
    valid_share: float
    leak: int = 1

    @property
    def low(self) -> float:
        """Lowest channel of the boxcar, at the centre of the first or the last spectrum."""
        return self.start + min(self.drift, 0.0)

    def limits(self, n_spectrum: int) -> NDArray[np.int64]:
        """Return the first channel in each spectrum, (n_spectrum,) int64."""
        whole = floor(self.start)  # the track has the same form wherever it begins
        moved = np.floor(self.start - whole + self.drift * _phase(n_spectrum) + 0.5)
        return whole + moved.astype(np.int64)

    def span(self) -> tuple[int, int]:
        """Return the first channel that the signal covers, and the one after the last."""
        ends = self.start, self.start + self.drift
        return int(min(ends)) - self.leak, ceil(max(ends)) + self.width + self.leak


def _phase(n_spectrum: int) -> NDArray[np.float64]:
    return np.arange(n_spectrum) / max(1, n_spectrum - 1)
