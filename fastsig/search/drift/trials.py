r"""False alarms of a search for drifting carriers: hits that noise is expected to cause.

The sum of a boxcar of w channels along a track of N spectra has a gamma distribution with the
shape N w k if each sample has the shape k, which is half of its degrees of freedom and is measured.
Such a sum exceeds ten times its noise far more often than a Gaussian does.

Boxcars at neighbouring channels, drifts and widths are correlated; of those above the threshold
x, one is a hit. As for `fastsig.search.bursts.trials`, the factors of clusters are multiplied: for
distances in channel and in drift, in which the correlation falls by a share :math:`\beta / w` for
each channel, and for the logarithm of the width. A hit is refined, so that all drifts in steps of a
channel and all first channels are tried, those of fast octaves too. ``python -m bench drift``
determines the four constants from searches of noise, and compares the formula with searches of
other noise: they agree to 25 %.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from fastsig.search.bursts.trials import chance, clusters
from fastsig.search.drift.plan import DriftPlan, Octave

__all__ = ["CONSTANTS", "false_alarms", "trials"]

#: Slopes of the correlation with channel, drift and width, and the factor of all.
CONSTANTS = (0.559, 0.571, 0.233, 1.3)
_ALONE = 10.0  # distance of a width that has no neighbours


def trials(plan: DriftPlan, threshold: float,
           constants: tuple[float, float, float, float] = CONSTANTS) -> dict[int, float]:
    """Return the independent trials for each channel of the band, by the width in channels.

    Parameters
    ----------
    plan : DriftPlan
    threshold : float
        S/N.
    constants : tuple of float
        Constants, in the order of `CONSTANTS`.
    """
    found: dict[int, float] = {}
    for octave in plan.octaves:
        for width, n in _of_octave(octave, threshold, constants):
            found[width] = found.get(width, 0.0) + n
    return found


def _of_octave(octave: Octave, x: float, constants: tuple[float, float, float, float]
               ) -> Iterable[tuple[int, float]]:
    by_channel, by_drift, by_width, factor = constants
    widths = octave.n_sum * np.array(octave.widths, np.float64)
    gaps = np.diff(np.log(widths)) if len(widths) > 1 else np.array([_ALONE])
    apart = (np.append(gaps[:1], gaps) + np.append(gaps, gaps[-1:]))[: len(widths)] / 2
    drifts = octave.n_row * octave.n_sum  # and half a step more on either side
    made = (factor * clusters(x, by_channel / widths) * clusters(x, by_width * apart)
            * (1 + drifts * clusters(x, by_drift / widths)))
    return zip(widths.astype(int).tolist(), made.tolist(), strict=True)


def false_alarms(plan: DriftPlan, threshold: float, pieces: Iterable[tuple[int, float]]) -> float:
    """Return the number of hits that noise is expected to cause.

    Parameters
    ----------
    plan : DriftPlan
    threshold : float
        S/N.
    pieces : iterable of (int, float)
        For each piece of the band, its number of channels and the shape of the gamma distribution
        of a sample; infinite for Gaussian noise.
    """
    made = trials(plan, threshold)
    widths, each = np.array(list(made), np.float64), np.array(list(made.values()))
    return float(sum(n_chan * (each * chance(threshold, plan.n_spectrum * widths * shape)).sum()
                     for n_chan, shape in pieces))
