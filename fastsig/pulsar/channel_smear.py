r"""Smear of profiles by the dispersion within the channels that were folded.

A channel of width B at f spreads the pulse evenly over :math:`w = 2 K\,|DM - DM_c|\,B / f^3`, where
:math:`DM_c` is the dispersion measure that was removed coherently. Harmonic h of a profile is
multiplied by :math:`\sin(\pi h w) / (\pi h w)`, with w in turns; for a mean over channels, the
factor is the mean of those of the channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastsig.pulsar.smearing import smear_s

if TYPE_CHECKING:
    from fastsig.pulsar.profile_data import ProfileData

__all__ = ["Smear", "smear_of", "transfer"]

F8 = NDArray[np.float64]

#: Widths in turns and their weights.
Smear = tuple[tuple[float, float], ...]

_N_PART = 8  # parts of a channel, because the smear differs between its ends
_MOST = 32  # widths for a mean over channels


def smear_of(profiles: ProfileData, n_chan: int = 1) -> list[Smear] | None:
    """Return the smear of the means over groups of neighbouring channels; None if it is not known.

    Parameters
    ----------
    profiles : Profiles
    n_chan : int
        Number of channels after averaging.
    """
    widths = _widths(profiles)
    if widths is None:
        return None
    weight = profiles.weight[:, 0].mean(axis=2).sum(axis=0)
    each = profiles.n_chan // n_chan
    return [_merged(widths[k : k + each], weight[k : k + each])
            for k in range(0, profiles.n_chan, each)]


def transfer(smear: Smear, n_harmonic: int) -> F8:
    """Return the factors of harmonics 1 to `n_harmonic`."""
    width, weight = np.array(smear, np.float64).T
    h = np.arange(1, n_harmonic + 1)
    return np.asarray((weight @ np.sinc(np.outer(width, h))) / weight.sum(), np.float64)


def _widths(profiles: ProfileData) -> F8 | None:
    """Return the widths of the smear in parts of each channel, turns, (chan, part)."""
    header, period = profiles.header, profiles.period
    if profiles.folded_mhz is None or profiles.dm is None or not period > 0:
        return None
    centers = profiles.frequency.value
    low, high = header.require_channels(profiles.path).edges_hz
    step = float(high - low) / 1e6 / profiles.n_chan
    part = ((np.arange(_N_PART) + 0.5) / _N_PART - 0.5) * step
    left = abs(profiles.dm - (header.coherent_dm or 0.0))
    return np.array([[smear_s(left, profiles.folded_mhz, mhz, float(header.dispersion_constant))
                      for mhz in center + part] for center in centers]) / period


def _merged(widths: F8, weights: F8) -> Smear:
    """Return the widths of a group of channels with their weights, merged to `_MOST` or fewer."""
    if not weights.sum() > 0:
        weights = np.ones_like(weights)
    flat, weight = widths.reshape(-1), np.repeat(weights, widths.shape[1])
    order = np.argsort(flat)
    groups: Sequence[NDArray[np.int64]] = np.array_split(order, min(_MOST, len(order)))
    return tuple((float((flat[each] * weight[each]).sum() / weight[each].sum()),
                  float(weight[each].sum())) for each in groups if weight[each].sum() > 0)
