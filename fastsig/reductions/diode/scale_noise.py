"""Noise of the scale of calibrated spectra, which neighbouring channels share; see `GainNoise`.

The diode and the spectra are measured in the same rows: a channel that is too high by chance while
the diode is on also makes the diode too strong, and the scale too small. With the mean power P of
all rows, and the power of the diode, ``on - off``, in N samples and smoothed over n channels,

    cov(P, on - off) = (T_on^2 - T_off^2) / (N n),

in K^2, if rows with the diode on are kept, and ``-T_off^2 / (N_off n)`` if they are not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.gain_noise import GainNoise, Noises

__all__ = ["scale_noise"]

F8 = NDArray[np.float64]


def scale_noise(names: Sequence[str], pairs: Sequence[tuple[int, int]], *, fraction: F8,
                channels: F8, level: F8, diode: F8, share: float, samples: F8, step_hz: float
                ) -> dict[str, Noises] | None:
    """Return the noise of products whose rows with the diode on are kept, or left out.

    Parameters
    ----------
    names, pairs
        Products, and the two polarisations of each.
    fraction : ndarray, shape (pol,)
        Standard error of the power of the diode, over this power.
    channels : ndarray, shape (pol,)
        Channels over which the noise of the power of the diode was averaged.
    level, diode : ndarray, shape (pol,), K
        Temperatures of the receiver and of the diode.
    share : float
        Share of time in which the diode is on.
    samples : ndarray, shape (pol,)
        Independent samples of a channel in the whole scan.
    step_hz : float
        Distance between channels, Hz.

    Returns
    -------
    dict or None
        By "subtract" and "blank"; None if the errors are not known.
    """
    if not all(np.isfinite(each).all() for each in (fraction, channels, level, diode)):
        return None
    number = samples * channels
    each = {"subtract": (share * diode, (2 * level + diode) / number),
            "blank": (0 * diode, -(level**2) / (diode * (1 - share) * number))}
    return {on: {name: _of(a, b, fraction, channels * step_hz, level, *parts)
                 for name, (a, b) in zip(names, pairs, strict=True)}
            for on, parts in each.items()}


def _of(a: int, b: int, fraction: F8, width_hz: F8, *levels: F8) -> GainNoise:
    """Return the noise of a product; the receiver makes no level in a cross product."""
    if a == b:
        return GainNoise(*(float(each[a]) for each in (fraction, width_hz, *levels)))
    return GainNoise(math.hypot(fraction[a], fraction[b]) / 2,
                     float(width_hz[a] + width_hz[b]) / 2, 0.0, 0.0, 0.0)
