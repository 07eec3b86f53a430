"""Values in few bits each: whole numbers on a scale that is fine where most values are.

    value = center + spread sinh((code - 1 - top) step),   code = 1 ... 2 top + 1; 0: nothing valid

With the median as center and half the width of the middle two thirds as spread, a step is a fixed
fraction of the noise near the median and a fixed fraction of the value far from it. One burst of
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
    """The conversion between values and codes; see the docstring of the module."""

    center: float
    spread: float
    step: float
    top: int

    @classmethod
    def of(cls, values: NDArray[Any], bits: int) -> Scale:
        """Return the scale with this number of bits that covers all finite values."""
        top = 2 ** (bits - 1) - 1
        finite = values[np.isfinite(values)]
        if not finite.size:
            return cls(0.0, 1.0, 1e-12, top)
        low, center, high = (float(each) for each in np.percentile(finite, (16, 50, 84)))
        most = max(float(finite.max()) - center, center - float(finite.min()))
        spread = (high - low) / 2 or most or 1.0
        reach = float(np.arcsinh(most / spread))
        return cls(center, spread, reach / top or 1e-12, top)  # exact if the values are constant

    def codes(self, values: NDArray[Any]) -> NDArray[np.uint16]:
        """Return the codes of values, 0 where these are not finite."""
        good = np.isfinite(values)
        with np.errstate(invalid="ignore"):
            steps = np.arcsinh((values - self.center) / self.spread) / self.step
        steps = np.clip(np.rint(np.where(good, steps, 0)), -self.top, self.top)
        return np.where(good, steps + self.top + 1, 0).astype(np.uint16)

    def error(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Return the largest error of codes, half a step: (step / 2) sqrt(spread^2 + (v - c)^2)."""
        found: NDArray[np.float64] = self.step / 2 * np.hypot(self.spread, values - self.center)
        return found


def encode(values: NDArray[Any], scale: Scale) -> bytes:
    """Return codes, deflated: all high bytes before all low ones, as their statistics differ."""
    codes = scale.codes(values)
    planes = [(codes & 0xFF).astype(np.uint8)]
    if scale.top > 127:
        planes.insert(0, (codes >> 8).astype(np.uint8))
    return zlib.compress(b"".join(plane.tobytes() for plane in planes), 6)


def encode_weights(weights: NDArray[Any], most: float) -> bytes:
    """Return weights in steps of `most` / 255, deflated; only weight 0 has the code 0."""
    steps = np.rint(np.clip(weights / most, 0, 1) * 255)
    codes = np.where(weights > 0, np.maximum(steps, 1), 0).astype(np.uint8)
    return zlib.compress(codes.tobytes(), 6)


def fitted(products: Sequence[NDArray[Any]], budget: int
           ) -> tuple[list[Scale], list[bytes]] | None:
    """Return codes of as many bits as fit into `budget` bytes; None if the fewest do not fit."""
    cells, bits = sum(values.size for values in products), MOST_BITS
    while True:
        scales = [Scale.of(values, bits) for values in products]
        coded = [encode(values, scale) for values, scale in zip(products, scales, strict=True)]
        size = sum(map(len, coded))
        if size <= budget:
            return scales, coded
        if bits == LEAST_BITS:
            return None
        # A code of one bit less is about one bit shorter after deflation, too.
        bits = max(LEAST_BITS, bits - max(1, -(-(size - budget) * 8 // cells)))
