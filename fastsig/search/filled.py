"""Spectra that hold no data: those that a recorder or an excision filled with a constant.

Dropped packets leave spectra of zeros, or repeat the last one; excision, as with rfifind, leaves
the mean of each channel for a whole row of a PSRFITS file. With a weight of 1, such spectra would
count as data without noise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Filled"]

#: Smallest number of channels: noise in fewer, of one or two bits, may repeat by chance. This
#: many, which are in a few cache lines, are compared first.
_LEAST = 64


class Filled:
    """Finds, in a stream, spectra with one value in all channels, and those equal to the last one.

    The first of several equal spectra counts as data, since whether it will be repeated is not
    known when it arrives.
    """

    def __init__(self) -> None:
        self._last: NDArray[Any] | None = None

    def rows(self, x: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which of the next spectra are filled.

        Parameters
        ----------
        x : ndarray, shape (n_time, n_chan)
            Spectra. NaN equals NaN.

        Returns
        -------
        ndarray of bool, shape (n_time,)
        """
        n, n_chan = x.shape
        found = np.zeros(n, bool)
        if n_chan < _LEAST or not n:
            return found
        bits = x.view(f"u{x.dtype.itemsize}")
        before = self._last if self._last is not None else ~bits[0]
        self._last = bits[-1].copy()
        middle = (n_chan - _LEAST) // 2
        some = np.ascontiguousarray(bits[:, middle : middle + _LEAST])
        likely = (some == some[:, :1]).all(axis=1)
        likely[1:] |= (some[1:] == some[:-1]).all(axis=1)
        likely[0] |= bool((bits[0] == before).all())
        for row in np.flatnonzero(likely).tolist():
            here, last = bits[row], bits[row - 1] if row else before
            found[row] = (here == last).all() or (here == here[0]).all()
        return found
