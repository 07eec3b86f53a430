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
        """Return ``rms`` and ``clipped`` of each polarisation, or ``mean`` of each product.

        There is no ``clipped`` for samples of 1 bit, which are always at a limit, and for floats.
        """
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
        return {what: values for what, values in found.items() if values}

    def _add(self, found: dict[str, dict[str, float]], name: str, samples: Any) -> None:
        parts = samples.view(np.float32) if samples.dtype.kind == "c" else samples
        values = np.abs(parts.astype(np.float64))
        found["rms"][name] = float(np.sqrt(values.size / samples.size * np.mean(values**2)))
        if (most := self._most()) is not None:
            found["clipped"][name] = float(np.mean(values >= most))

    def _most(self) -> float | None:
        """Return the largest value of samples; None if they have no limit, or only two values."""
        layout = self._ring.layout
        if layout.bits:
            return float(np.float32(max(layout.levels))) if layout.bits > 1 else None
        return None if layout.dtype == "<f4" else 2 ** (self._stream.header.n_bits - 1) - 1

    def close(self) -> None:
        """Detach from the ring."""
        self._stream.close()
