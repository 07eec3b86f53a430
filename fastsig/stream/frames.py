"""FrameStream: channelised voltages, with an energy for each frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsig.stream.base import Stream

__all__ = ["FrameStream"]


class FrameStream(Stream):
    """Channelised voltages: complex64 (frame, pol, chan) with an energy for each frame."""

    kind = "frames"

    @property
    def row_bytes(self) -> int:
        """Bytes of one frame in memory."""
        return int(np.prod(self.shape[1:])) * 8

    def covering(self, first: int, stop: int) -> tuple[FrameStream, int] | None:
        """Frames of fewer channels that hold channels `first` to ``stop - 1``, and their first.

        None where those cannot be made without all others.
        """
        return None

    @property
    def hop_bytes(self) -> int:
        """Bytes of input that are read anew for each frame."""
        return 0

    def correlation(self) -> NDArray[np.float64]:
        """Correlation of the powers of white noise in frames 1, 2, ... apart; (0,) for none."""
        return np.empty(0)

    def gamma_shape(self) -> NDArray[np.float64]:
        """Shape of the Gamma law of each channel's power, (chan,): 1, or 1/2 of real voltages."""
        return np.ones(self.shape[2])
