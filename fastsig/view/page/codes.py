"""Values as few bits each: whole numbers on a scale that is fine where most values are.

    value = center + spread sinh((code - 1 - top) step),   code = 1 ... 2 top + 1; 0: nothing valid

With the median as center and half the width of the middle two thirds as spread, a step is the same
share of the noise near the median and the same share of the value far from it: one burst of
interference does not cost the noise its bits, as it would on an even scale.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Scale", "encode", "encode_weights", "fitted"]

MOST_BITS, LEAST_BITS = 16, 8


@dataclass(frozen=True)
class Scale:
    """Between values and codes; see the module's text."""

    center: float
    spread: float
    step: float
    top: int

    @classmethod
    def of(cls, values: NDArray[Any], bits: int) -> Scale:
        """The scale of that many bits that holds all finite values."""
        top = 2 ** (bits - 1) - 1
        finite = values[np.isfinite(values)]
        if not finite.size:
            return cls(0.0, 1.0, 1e-12, top)
        low, center, high = (float(each) for each in np.percentile(finite, (16, 50, 84)))
        most = max(float(finite.max()) - center, center - float(finite.min()))
        spread = (high - low) / 2 or most or 1.0
        reach = float(np.arcsinh(most / spread))
        return cls(center, spread, reach / top or 1e-12, top)  # of a constant: exact

    def codes(self, values: NDArray[Any]) -> NDArray[np.uint16]:
        """Codes of values, 0 where these are not finite."""
        good = np.isfinite(values)
        with np.errstate(invalid="ignore"):
            steps = np.arcsinh((values - self.center) / self.spread) / self.step
        steps = np.clip(np.rint(np.where(good, steps, 0)), -self.top, self.top)
        return np.where(good, steps + self.top + 1, 0).astype(np.uint16)

    def error(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """The most that codes are off by, half a step: (step / 2) sqrt(spread^2 + (v - c)^2)."""
        found: NDArray[np.float64] = self.step / 2 * np.hypot(self.spread, values - self.center)
        return found


def encode(values: NDArray[Any], scale: Scale) -> bytes:
    """Codes, deflated: all high bytes before all low ones, as their statistics differ."""
    codes = scale.codes(values)
    planes = [(codes & 0xFF).astype(np.uint8)]
    if scale.top > 127:
        planes.insert(0, (codes >> 8).astype(np.uint8))
    return zlib.compress(b"".join(plane.tobytes() for plane in planes), 6)


def encode_weights(weights: NDArray[Any], most: float) -> bytes:
    """Weights in steps of `most` / 255, deflated; 0 is weight 0 alone."""
    steps = np.rint(np.clip(weights / most, 0, 1) * 255)
    codes = np.where(weights > 0, np.maximum(steps, 1), 0).astype(np.uint8)
    return zlib.compress(codes.tobytes(), 6)


def fitted(products: Sequence[NDArray[Any]], budget: int
           ) -> tuple[list[Scale], list[bytes]] | None:
    """Codes of as many bits as fit into that many bytes; None where the fewest do not."""
    cells, bits = sum(values.size for values in products), MOST_BITS
    while True:
        scales = [Scale.of(values, bits) for values in products]
        coded = [encode(values, scale) for values, scale in zip(products, scales, strict=True)]
        size = sum(map(len, coded))
        if size <= budget:
            return scales, coded
        if bits == LEAST_BITS:
            return None
        # A bit less is about a bit of each value less.
        bits = max(LEAST_BITS, bits - max(1, -(-(size - budget) * 8 // cells)))
