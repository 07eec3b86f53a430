r"""False alarms that noise is expected to cause: candidates above a threshold.

Boxcars at neighbouring times, widths and dispersion measures are correlated, and those of one
candidate count once. If the correlation of boxcars decreases as :math:`1 - \beta |k|` with their
distance k, the number of clusters above a threshold x, relative to that of independent boxcars, is

.. math:: f = x^2 \beta\, \nu(x \sqrt{2 \beta}) \le 1, \quad
          \nu(y) \approx \frac{(2 / y) (\Phi(y/2) - 1/2)}{(y/2) \Phi(y/2) + \phi(y/2)}

(Siegmund and Yakir). The factors for distances in time, in dispersion measure and in the logarithm
of the width are multiplied. For boxcars of w samples, with steps of t samples between starts and s
samples between delays, :math:`\beta` is proportional to t / w, to s / w and to the logarithm of the
ratio of neighbouring widths, respectively. ``python -m bench trials`` determines the three
constants of proportionality and a common factor (`CONSTANTS`) from searches of noise, and compares
the formula with searches of other noise; the two agree to within 20 %.

Powers have a distribution with a longer tail than a Gaussian: a sum of N powers, with d degrees of
freedom each, has a gamma distribution with the shape N d / 2.

References
----------
D. Siegmund and B. Yakir, The Statistics of Gene Mapping (2007), chapter 5: the function nu.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastsig.pulsar.stretches import Stretch
from fastsig.search.bursts.plan import SearchPlan

if TYPE_CHECKING:
    from fastsig_kernels import Ladder

__all__ = ["CONSTANTS", "chance", "clusters", "degrees_of", "false_alarms", "trials"]

F8 = NDArray[np.float64]

#: Slopes of the correlation with time, dispersion measure and width, and a common factor.
CONSTANTS = (0.258, 0.185, 0.74, 1.18)
_ALONE = 10.0  # distance of a width that has no neighbours


def trials(step: float, n_dm: int, ladder: Ladder, threshold: float,
           constants: tuple[float, float, float, float] = CONSTANTS) -> F8:
    """Return the number of independent trials of each width per sample of a series.

    Parameters
    ----------
    step : float
        Difference of neighbouring delays, samples.
    n_dm : int
        Number of dispersion measures.
    ladder : Ladder
        Widths of boxcars.
    threshold : float
        Threshold of the S/N.
    constants : tuple of float
        Constants, in the order of `CONSTANTS`.
    """
    by_time, by_dm, by_width, factor = constants
    w, t = ladder.widths.astype(np.float64), ladder.steps.astype(np.float64)
    gaps = np.diff(np.log(w)) if len(w) > 1 else np.array([_ALONE])
    apart = (np.concatenate([gaps[:1], gaps]) + np.concatenate([gaps, gaps[-1:]]))[: len(w)] / 2
    found: F8 = (factor * clusters(threshold, by_time * t / w) / t
                 * clusters(threshold, by_width * apart)
                 * (1 + (n_dm - 1) * clusters(threshold, by_dm * step / w)))
    return found


def clusters(x: float, slope: F8) -> F8:
    """Return the number of clusters above a threshold `x`, relative to that of independent values.

    The correlation of the values decreases as ``1 - slope |k|`` with their distance k.
    """
    from scipy.special import ndtr

    half = x * np.sqrt(slope / 2)
    nu = (ndtr(half) - 0.5) / half / (half * ndtr(half) + np.exp(-half**2 / 2) / np.sqrt(2 * np.pi))
    found: F8 = np.minimum(1.0, x * x * slope * nu)
    return found


def chance(threshold: float, shape: F8 | float) -> F8:
    """Return the probability that the mean of powers exceeds a threshold in units of its noise.

    Parameters
    ----------
    threshold : float
        Threshold of the S/N.
    shape : float or ndarray
        Shape of the gamma distribution; infinite for Gaussian noise.
    """
    from scipy.special import gammaincc, ndtr

    k = np.asarray(shape, np.float64)
    with np.errstate(invalid="ignore"):
        tail = gammaincc(k, k + threshold * np.sqrt(k))
    found: F8 = np.where(np.isfinite(k) & (k < _LARGE), tail, ndtr(-threshold))
    return found


#: Shapes from here on are as good as Gaussian, and too large for the function.
_LARGE = 1e9


def false_alarms(plan: SearchPlan, duration_s: float, *, degrees: float | None = None,
                 threshold: float | None = None) -> float:
    """Return the number of candidates that noise is expected to cause.

    Parameters
    ----------
    plan : SearchPlan
        Plan of the search.
    duration_s : float
        Duration of the data, without spectra that are lost, s.
    degrees : float, optional
        Degrees of freedom of a power, for one channel and spectrum, multiplied by the fraction of
        the samples that are valid: sums of fewer samples have longer tails. By default, the noise
        is Gaussian.
    threshold : float, optional
        S/N; by default, that of the plan.
    """
    x = plan.threshold if threshold is None else threshold
    return sum(_of_stretch(each, ladder, x, duration_s, degrees)
               for each, ladder in zip(plan.stretches, plan.ladders, strict=True))


def _of_stretch(stretch: Stretch, ladder: Ladder, threshold: float, duration_s: float,
                degrees: float | None) -> float:
    recording = stretch.recording
    step = stretch.step * recording.unit_s / stretch.sample_s
    shape = (np.full(len(ladder.widths), np.inf) if degrees is None else
             degrees / 2 * recording.n_chan * stretch.downsampling * ladder.widths)
    made = trials(step, stretch.n_dm, ladder, threshold) * chance(threshold, shape)
    return float(made.sum() * duration_s / stretch.sample_s)


def degrees_of(chan_hz: float, sample_s: float, n_pol: int, n_eff: float = 1.0) -> float:
    """Return the degrees of freedom of a power: two for each independent complex sample."""
    return max(1.0, 2 * n_pol * n_eff * chan_hz * sample_s)
