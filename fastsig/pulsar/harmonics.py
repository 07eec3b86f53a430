"""Pulse profiles as Fourier series: checks, rotation, and the number of significant harmonics.

A profile has `n_bin` equal bins of a turn. Its harmonic h, counted from 1, is
``P_h = sum_k p_k exp(-2 pi i h k / n_bin)``. White noise of standard deviation sigma per bin adds
noise of variance ``n_bin sigma^2 / 2`` to the real and to the imaginary part of each harmonic. The
mean (h = 0) and, for an even number of bins, the harmonic n_bin / 2, whose phase is not determined,
are not used.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError

__all__ = ["LEAST_BINS", "checked", "harmonics", "n_harmonic_of", "n_significant", "rotate",
           "series"]

F8 = NDArray[np.float64]
C16 = NDArray[np.complex128]

#: Fewest bins of a profile that can be measured.
LEAST_BINS = 8


def checked(values: Any, name: str, n_dim: int | None = None) -> F8:
    """Return profiles as float64, with bins on the last axis.

    Raises
    ------
    UsageError
        If the values are not numbers, or have the wrong number of axes or too few bins.
    """
    if hasattr(values, "periods"):
        raise UsageError(f"{name}: Profiles; allowed: numbers, such as those of one profile, "
                         'profiles.mean("time", "frequency").data[0, 0, 0]')
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name}: not an array of numbers: {error}") from error
    if found.ndim == 0 or (n_dim is not None and found.ndim != n_dim):
        raise UsageError(f"{name}: shape {found.shape}; allowed: {n_dim or '1 or more'} axes, "
                         f"the last of which is the bins")
    if found.shape[-1] < LEAST_BINS:
        raise UsageError(f"{name}: {found.shape[-1]} bins; at least {LEAST_BINS} are needed")
    return found


def n_harmonic_of(n_bin: int) -> int:
    """Return the number of harmonics with a phase: ``floor((n_bin - 1) / 2)``."""
    return (n_bin - 1) // 2


def harmonics(profiles: F8) -> C16:
    """Return harmonics 1 to `n_harmonic_of`, shape (..., harmonic), for profiles (..., bin)."""
    stop = n_harmonic_of(profiles.shape[-1]) + 1
    return np.asarray(np.fft.rfft(profiles, axis=-1)[..., 1:stop], np.complex128)


def series(parts: C16, n_point: int, n_bin: int, first: float = 0.0) -> F8:
    """Return the profile of harmonics at `n_point` equal steps of a turn, without its mean.

    Parameters
    ----------
    parts : ndarray, shape (..., harmonic), complex
        Harmonics from 1, of a profile of `n_bin` bins.
    n_point : int
        Number of points, more than twice the number of harmonics.
    n_bin : int
        Number of bins of the profile that the harmonics belong to.
    first : float
        Phase of the first point, in turns; 0 is the position of bin 0.
    """
    n = parts.shape[-1]
    full = np.zeros((*parts.shape[:-1], n_point // 2 + 1), np.complex128)
    full[..., 1 : n + 1] = parts
    if first:
        full[..., 1 : n + 1] *= np.exp(2j * np.pi * first * np.arange(1, n + 1))
    return np.asarray(np.fft.irfft(full, n_point, axis=-1) * (n_point / n_bin), np.float64)


def rotate(profiles: Any, turns: Any) -> F8:
    """Return profiles shifted later by a number of turns: ``out(phase) = p(phase - turns)``.

    Parameters
    ----------
    profiles : array, shape (..., bin), any unit
        Profiles.
    turns : float or array, shape that broadcasts with (...)
        Shifts, in turns, which may be any fraction of a bin.

    Returns
    -------
    ndarray, shape (..., bin), float64
        For an even number of bins, only the part of harmonic n_bin / 2 that has a phase is kept.
    """
    values = checked(profiles, "profiles")
    n_bin = values.shape[-1]
    parts = np.fft.rfft(values, axis=-1)
    ramp = np.exp(-2j * np.pi * np.asarray(turns, np.float64)[..., np.newaxis]
                  * np.arange(parts.shape[-1]))
    return np.asarray(np.fft.irfft(parts * ramp, n_bin, axis=-1), np.float64)


def n_significant(profile: F8, sigma: float, penalty: float = 4.0) -> int:
    """Return the number of harmonics that makes a profile most significant, at least 1.

    The result is the m that maximises ``Z_m^2 - penalty m``, where
    ``Z_m^2 = (2 / (n_bin sigma^2)) sum_(h <= m) |P_h|^2`` has a chi^2 distribution of 2 m degrees
    of freedom for noise alone. With a penalty of 4, this is the H test.

    References
    ----------
    O. C. de Jager, B. C. Raubenheimer and J. W. H. Swanepoel, A&A 221 (1989) 180, eqs. 10 and 11.
    """
    power = np.abs(harmonics(profile)) ** 2 * (2 / (profile.size * sigma**2))
    return 1 + int(np.argmax(np.cumsum(power) - penalty * np.arange(1, power.size + 1)))
