"""Levels of what comes, for the operator: rms and clipping of voltages, means of spectra."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastsig.io.live.ring import Ring
from fastsig.io.live.streams import open_ring
from fastsig.stream import VoltageStream

__all__ = ["Levels"]

_ROWS, _SPECTRA = 8192, 16  # newest samples and spectra that are looked at


class Levels:
    """Levels of the newest rows in a ring of packets.

    Parameters
    ----------
    ring : Ring
        A ring in which something has come.
    """

    def __init__(self, ring: Ring) -> None:
        self._ring, self._stream = ring, open_ring(ring, "status", timeout=0)

    def read(self) -> dict[str, dict[str, float]]:
        """Return ``rms`` and ``clipped`` of each polarisation, or ``mean`` of each product."""
        voltages = isinstance(self._stream, VoltageStream)
        rows = self._ring.rows
        n = min(rows, _ROWS if voltages else _SPECTRA)
        block = self._stream.read_block(rows - n, n)
        names = self._stream.polarization.names
        if not voltages:
            weight = np.broadcast_to(block.valid, block.data.shape)
            return {"mean": {name: float(np.average(block.data[:, k], weights=weight[:, k]))
                             for k, name in enumerate(names) if weight[:, k].any()}}
        found: dict[str, dict[str, float]] = {"rms": {}, "clipped": {}}
        for pol, (name, spans) in enumerate(zip(names, block.valid, strict=True)):
            parts = [block.data[low - block.start : high - block.start, pol]
                     for low, high in spans.tolist()]
            if parts:
                self._add(found, name, np.concatenate(parts))
        return found

    def _add(self, found: dict[str, dict[str, float]], name: str, samples: Any) -> None:
        values = np.abs(samples.astype(np.complex64 if samples.dtype.kind == "c" else np.float32))
        found["rms"][name] = float(np.sqrt(np.mean(values.astype(np.float64) ** 2)))
        most = 2 ** (self._stream.header.n_bits - 1) - 1
        if samples.dtype.kind == "i":
            found["clipped"][name] = float(np.mean(values >= most))
        elif samples.dtype.kind == "c" and self._stream.header.n_bits < 32:
            parts = samples.view(np.float32)
            found["clipped"][name] = float(np.mean(np.abs(parts) >= most))

    def close(self) -> None:
        """Detach from the ring."""
        self._stream.close()
