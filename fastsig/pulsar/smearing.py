"""The effects that widen a dispersed pulse, and the S/N that remains.

Widths are full widths at half maximum; frequencies are in MHz, dispersion measures (DM) in
pc cm^-3. The dispersion constant K, in MHz^2 pc^-1 cm^3 s, is an argument of each function.

References
----------
J. M. Cordes and M. A. McLaughlin, Searches for fast radio transients, ApJ 596 (2003) 1142, eqs. 12
and 13.
"""

from __future__ import annotations

from math import erf, hypot, log, pi, sqrt

import numpy as np
from numpy.typing import NDArray

__all__ = ["kept_by_bins", "kept_by_jitter", "kept_off_dm", "off_dm", "smear_s",
           "total_s"]

F8 = NDArray[np.float64]

_ROOT_LN2 = sqrt(log(2))
#: FWHM of a Gaussian divided by its standard deviation.
_FWHM = sqrt(8 * log(2))
_N_PHASE = 16
_LONGEST = 4.0  # FWHM; longer boxcars are not the best ones of a Gaussian


def smear_s(dm: F8 | float, width_mhz: float, center_mhz: float, constant: float) -> F8 | float:
    """Return the delay across a narrow band, ``2 K DM width / center^3``, s."""
    return 2 * constant * dm * width_mhz / center_mhz**3


def kept_off_dm(smear: float, width: float) -> float:
    """Return the S/N of a pulse at a wrong DM, divided by that at its own DM.

    The result is ``(sqrt(pi) / 2) erf(z) / z`` with ``z = sqrt(ln 2) smear / width``. For
    dispersion, ``z = 6.91e-3 dDM bandwidth_MHz / (width_ms center_GHz^3)``.

    Parameters
    ----------
    smear : float
        Delay across the band for the error of the DM, as from `smear_s`.
    width : float
        Width of the pulse at its own DM, in the same unit.
    """
    z = _ROOT_LN2 * smear / width
    return sqrt(pi) / 2 * erf(z) / z if z > 1e-6 else 1.0


def off_dm(kept: float) -> float:
    """Return the smear, in widths of the pulse, at which `kept_off_dm` has a given value."""
    low, high = 0.0, 1.0
    while kept_off_dm(high, 1) > kept:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if kept_off_dm(middle, 1) > kept else (low, middle)
    return low


def kept_by_jitter(width: float, rms: float) -> float:
    """Return the S/N of a pulse in channels misaligned by `rms`, divided by that in aligned ones.

    It is ``(1 + (rms / sigma)^2)^(-1/4)``, the square root of the ratio of the widths before and
    after the misalignment.
    """
    return float((1 + (_FWHM * rms / width) ** 2) ** -0.25)


def kept_by_bins(width: float, coarse: float, fine: float) -> float:
    """Return the S/N of a Gaussian pulse in coarse samples, divided by that in fine samples.

    In both cases the S/N is that of the best boxcar of whole samples, averaged over the positions
    of the pulse in a sample.
    """
    return min(1.0, _best_boxcar(width, coarse) / _best_boxcar(width, fine))


def _best_boxcar(width: float, sample: float) -> float:
    """Return the S/N of the best boxcar, averaged over positions, for white noise of density 1."""
    sigma = width / _FWHM
    longest = max(2, int(np.ceil(_LONGEST * width / sample)) + 1)
    if longest > 64:  # then the sample makes no difference
        return _best_boxcar(width, _LONGEST * width / 62)
    first = -(longest // 2) - 1
    edges = (np.arange(first, first + 2 * longest + 2)
             + (np.arange(_N_PHASE)[:, np.newaxis] + 0.5) / _N_PHASE) * (sample / sigma)
    below = np.array([[erf(x / sqrt(2)) / 2 for x in row] for row in edges])
    best = [((below[:, n:] - below[:, :-n]) / sqrt(n * sample)).max(axis=1)
            for n in range(1, longest + 1)]
    return float(np.max(best, axis=0).mean())


def total_s(*widths: float) -> float:
    """Return the square root of the sum of the squares of widths."""
    return hypot(*widths)
