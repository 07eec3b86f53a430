"""The coarse filter bank of a simulated receiver: its prototype filter and its response."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.simulate import filters

__all__ = ["N_TAP", "channel_power", "described", "prototype", "response"]

F8 = NDArray[np.float64]

N_TAP = 16  # length of the prototype in samples of a channel, even
BETA = 7.0  # of the prototype's Kaiser window
CUTOFF = 1.05815  # width of the prototype's sinc, in channels: half the power at a channel's edge
TABLE = 41


def prototype(n_chan: int) -> F8:
    """Return the prototype filter, (N_TAP 2 n_chan,).

    It keeps the variance of white noise in the real and in the imaginary part. The middle is at
    index ``N_TAP n_chan``; index 0, which has no counterpart, is 0. The squares add up to 2,
    because the two parts share the power.
    """
    half = N_TAP * n_chan
    offset = np.arange(-half, half)
    taps = np.kaiser(2 * half + 1, BETA)[:-1] * np.sinc(CUTOFF * offset / (2 * n_chan))
    taps[0] = 0
    return np.asarray(taps * np.sqrt(2 / (taps**2).sum()))


def response(n_chan: int, offset: F8) -> F8:
    """Return the power of the prototype at `offset` channels from a channel's centre, 1 there."""
    taps = prototype(n_chan)
    phase = np.pi / n_chan * np.arange(-len(taps) // 2, len(taps) // 2)
    amplitude = np.array([taps @ np.cos(each * phase) for each in offset])
    return np.asarray((amplitude / taps.sum()) ** 2)


def described(n_chan: int) -> dict[str, Any]:
    """Return the description of the bank for the truth record."""
    table = response(n_chan, np.linspace(0, 1, TABLE))
    return {
        "formula": "y[m, k] = sum_j h[j] x[m + j] exp(-2 pi i (k + 1/2) (m + j) / N) at every N-th "
                   "m, channel k counted in recorded frequency; h[j] = c kaiser(beta, |j| / "
                   "(n_tap N / 2)) sinc(cutoff j / N), |j| < n_tap N / 2, sum h^2 = 2",
        "n_fft": 2 * n_chan,
        "n_tap": N_TAP,
        "kaiser_beta": BETA,
        "cutoff": CUTOFF,
        "note": "critically sampled; baseband frequency rises with recorded frequency; the time "
                "of a sample is the middle of its window",
        "power_at_equal_steps_of_0_to_1_channel_from_center": [
            round(float(value), 9) for value in table],
    }


def channel_power(n_chan: int, model: str) -> F8:
    """Return the power of each channel under the bandpass relative to the mean, (n_chan,)."""
    offset = (np.arange(2 * TABLE) + 0.5) / TABLE - 1  # up to a channel's width on either side
    weight = response(min(n_chan, 64), offset)  # the same for any number of channels
    place = (np.arange(n_chan)[:, np.newaxis] + 0.5 + offset) / n_chan
    mirrored = 1 - abs(1 - abs(place))
    return np.asarray(filters.bandpass(mirrored, model) @ (weight / weight.sum()))
