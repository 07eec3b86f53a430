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
        """Return frames of fewer channels, including channels `first` to ``stop - 1``.

        Also return the number of the first of these channels. The result is None if these channels
        cannot be computed without all others.
        """
        return None

    @property
    def hop_bytes(self) -> int:
        """Bytes of new input that are read for each frame."""
        return 0

    def correlation(self) -> NDArray[np.float64]:
        """Return the correlation of powers of white noise 1, 2, ... frames apart; (0,) for none."""
        return np.empty(0)

    def gamma_shape(self) -> NDArray[np.float64]:
        """Return the shape of the gamma distribution of powers, (chan,).

        It is 1, or 1/2 in the channel at 0 Hz of real voltages.
        """
        return np.ones(self.shape[2])
