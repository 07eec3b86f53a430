"""Noise of powers with few degrees of freedom, in 8 bits, that is computed as it is read."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from bench.injections import Band, Losses
from fastsig.io.spectra.segments import FileSpectra

__all__ = ["Powers"]

_DEGREES, _MEAN = 24, 64.0
_CHUNK, _KEPT = 4096, 2**28  # spectra that are computed at a time, and bytes that are kept


class Powers(FileSpectra):
    """Powers with 24 degrees of freedom, rounded to 8 bits, of which some are lost.

    Parameters
    ----------
    band : Band
    n : int
        Number of spectra.
    seed : int
    losses : Losses
        They have the length of the spectra.
    """

    #: Standard deviation.
    sigma = _MEAN * (2 / _DEGREES) ** 0.5

    def __init__(self, band: Band, n: int, seed: int, losses: Losses) -> None:
        super().__init__(band.header.replace(n_bits=8), (n, 1, band.n_chan), "noise",
                         weight_channels=1 if losses.is_none else band.n_chan)
        self._losses = losses
        n_kept = max(4, _KEPT // (4 * _CHUNK * band.n_chan))
        self._chunk = lru_cache(n_kept)(lambda k: _codes(seed, k, band.n_chan))

    @property
    def files(self) -> list[str]:
        """None: the spectra are computed."""
        return []

    def _values(self, start: int, n: int) -> tuple[Any, Any]:
        chunks = range(start // _CHUNK, -(-(start + n) // _CHUNK))
        data = np.concatenate([self._chunk(k) for k in chunks])[start % _CHUNK :][:n].copy()
        if self._losses.is_none:
            return data[:, np.newaxis], None
        valid = self._losses.rows[start : start + n, np.newaxis] & self._losses.channels
        return data[:, np.newaxis], valid[:, np.newaxis].astype(np.float32)


def _codes(seed: int, k: int, n_chan: int) -> Any:
    random = np.random.default_rng([seed, k])
    powers = random.standard_gamma(_DEGREES / 2, (_CHUNK, n_chan), dtype=np.float32)
    return np.clip(np.rint(powers * np.float32(2 * _MEAN / _DEGREES)), 0, 255)
