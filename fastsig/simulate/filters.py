"""Responses in frequency: the bandpass, lines, polarisation and dispersion.

All are functions of sky frequency, as an offset from the band's lower edge. A recording of a
lower sideband is the complex conjugate, with the order reversed.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.frequency import Sideband

__all__ = ["BANDPASSES", "Band", "bandpass", "box", "chirp", "chirp_turns", "coherency_factor",
           "gaussian"]

BANDPASSES = ("fast", "flat")
EDGE = 0.1  # share of the band in each edge, as in FAST's nominal 1.05-1.45 GHz of 1.0-1.5
FLOOR = 0.01  # power that remains at the very edge, relative to the middle
RIPPLES = ((0.10, 1.5, 0.10), (0.03, 9.0, 0.35))  # (share of power, cycles per band, turns)

F8 = NDArray[np.float64]
C8 = NDArray[np.complex64]


@dataclass(frozen=True)
class Band:
    """A recorded band of real samples.

    Parameters
    ----------
    low_hz, width_hz : Fraction
        Lower edge and width, Hz. The sample rate is twice the width.
    sideband : {"upper", "lower"}
        Whether recorded frequency increases with sky frequency.
    """

    low_hz: Fraction
    width_hz: Fraction
    sideband: Sideband = "upper"

    @property
    def high_hz(self) -> Fraction:
        """Upper edge, Hz."""
        return self.low_hz + self.width_hz

    @property
    def rate(self) -> Fraction:
        """Sample rate, Hz."""
        return 2 * self.width_hz

    @property
    def is_lower(self) -> bool:
        """Whether the recording is the conjugate of the sky."""
        return self.sideband == "lower"

    def offsets(self, n_fft: int) -> F8:
        """Return the sky frequency of ``rfft`` bins minus the lower edge, Hz, (n_fft // 2 + 1,)."""
        recorded = np.arange(n_fft // 2 + 1, dtype=np.float64) * (float(self.rate) / n_fft)
        return float(self.width_hz) - recorded if self.is_lower else recorded

    def recorded(self, response: NDArray[np.complexfloating]) -> NDArray[np.complexfloating]:
        """Convert a complex response on the sky to the sense of the recording."""
        return response.conj() if self.is_lower else response


def _shape(x: F8) -> F8:
    edge = np.clip(np.minimum(x, 1 - x) / EDGE, 0, 1)
    power = FLOOR + (1 - FLOOR) * np.sin(np.pi / 2 * edge) ** 2
    ripple = [size * np.sin(2 * np.pi * (cycles * x + turn)) for size, cycles, turn in RIPPLES]
    return np.asarray(power * (1 + sum(ripple)))


@cache
def norm() -> float:
    """Return the mean over the band of the model before it is normalised."""
    return float(_shape((np.arange(2**14) + 0.5) / 2**14).mean())


def bandpass(x: F8, model: str = "fast") -> F8:
    """Return the power response of the receiver, with mean 1 over the band.

    ``(floor + (1 - floor) sin^2(pi/2 min(1, d / edge))) (1 + sum a sin 2 pi (c x + p)) / norm``
    with d the distance from the nearer edge. This is a model of this project: FAST's own bandpass
    differs, and differs between beams and days.

    Parameters
    ----------
    x : ndarray, float64
        Position in the band, 0 at the lower edge of sky frequency, 1 at the upper.
    model : {"fast", "flat"}
        "flat" is 1 everywhere.
    """
    return np.ones_like(x) if model == "flat" else _shape(x) / norm()


def gaussian(offset: F8, center: float, fwhm: float) -> F8:
    """Return a Gaussian of height 1 with a given full width at half height."""
    return np.asarray(np.exp(-4 * np.log(2) * ((offset - center) / fwhm) ** 2))


def box(offset: F8, low: float, high: float, taper: float) -> F8:
    """Return power 1 from `low` to `high`, with sin^2 slopes of width `taper` about both ends."""
    inside = np.minimum(offset - low, high - offset) / taper + 0.5
    return np.asarray(np.sin(np.pi / 2 * np.clip(inside, 0, 1)) ** 2)


def chirp(offset: F8, low_hz: float, reference_hz: float, dm_hz: float) -> C8:
    """Return the response of cold plasma, ``exp(-2 pi i integral of delay)`` from the reference.

    The delay at frequency f is ``dm_hz (f^-2 - ref^-2)``; its integral is
    ``-dm_hz (f - ref)^2 / (f ref^2)`` cycles, reduced to one turn in double precision.

    Parameters
    ----------
    offset : ndarray, shape (bin,), float64, Hz
        Sky frequency minus `low_hz`.
    low_hz, reference_hz : float, Hz
        Lower edge of the band, and the frequency that is not delayed.
    dm_hz : float, Hz
        Dispersion constant times dispersion measure, MHz^2 s times 1e12.

    Returns
    -------
    ndarray, shape (bin,), complex64

    References
    ----------
    Hankins & Rickett 1975, Methods in Computational Physics 14, 55, eq. 10.
    """
    out = np.empty(offset.shape, np.complex64)
    for first in range(0, len(offset), 2**20):  # the tables may be large, the scratch must not be
        part = offset[first : first + 2**20]
        turns = chirp_turns(part, low_hz, reference_hz, dm_hz)
        out[first : first + 2**20] = np.exp(2j * np.pi * (turns % 1.0))
    return out


def chirp_turns(offset: F8, low_hz: float, reference_hz: float, dm_hz: float) -> F8:
    """Return the phase of `chirp` in turns, not reduced."""
    below = offset + (low_hz - reference_hz)
    return np.asarray(dm_hz * below**2 / ((offset + low_hz) * reference_hz**2))


def coherency_factor(
    i: F8 | float, q: F8 | float, u: F8 | float, v: F8 | float
) -> tuple[F8, NDArray[np.complex128], F8]:
    """Return L of ``A = L11 n1``, ``B = L21 n1 + L22 n2`` for given Stokes parameters.

    ``|L11|^2 = (I + Q) / 2``, ``L11 L21 = <A* B> = (U + i V) / 2``,
    ``|L21|^2 + |L22|^2 = (I - Q) / 2`` for independent n1, n2 of unit power.
    """
    aa, bb = np.atleast_1d((i + q) / 2), np.atleast_1d((i - q) / 2)
    l11 = np.sqrt(np.maximum(aa, 0))
    l21 = np.divide((u + 1j * v) / 2, l11, out=np.zeros(l11.shape, np.complex128), where=l11 > 0)
    l22 = np.sqrt(np.maximum(bb - np.abs(l21) ** 2, 0))  # rounding may leave it just below 0
    return l11, l21, l22
