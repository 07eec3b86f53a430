"""Polarisation of a burst: its rotation measure, and L, V and PA after the rotation is removed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.pulsar.polarization_profile import (
    PolarizationProfile,
    pa_error,
    polarization_profile,
)
from fastsig.pulsar.rotation_measure import (
    RotationMeasure,
    derotate,
    fit_rm,
    synthesize_rm,
)
from fastsig.work.shown import Shown

__all__ = ["BurstPolarization", "measure_polarization"]

F8 = NDArray[np.float64]

_MOST_BINS = 16  # across the burst, from which the rotation measure is measured
_WHOLE = 0.5  # valid share of the samples of a channel, and of the channels of a sample
_LEAST_SIGMA = 5.0  # of the rotation measure; below it, no rotation is removed


@dataclass(frozen=True, repr=False)
class BurstPolarization(Shown):
    """Polarisation of a burst.

    Parameters
    ----------
    profile : PolarizationProfile
        Stokes parameters, L, V and PA of the samples in which at least half of the channels are
        valid, averaged over the band; in units of the noise of I in a channel.
    rotation : RotationMeasure
        The best rotation measure.
    is_rotated : bool
        Whether the rotation measure is significant; if it is, the rotation was removed.
    linear, circular, absolute : (float, float)
        L/I, V/I and abs(V)/I of the samples of the burst, with their errors.
    pa_deg, pa_error_deg : float
        Position angle of the whole burst, at the reference wavelength of the rotation measure if
        the rotation was removed.
    """

    profile: PolarizationProfile
    rotation: RotationMeasure
    is_rotated: bool
    linear: tuple[float, float]
    circular: tuple[float, float]
    absolute: tuple[float, float]
    pa_deg: float
    pa_error_deg: float


def measure_polarization(iquv: F8, freq_mhz: F8, on: NDArray[np.bool_], off: NDArray[np.bool_], *,
                         channel_mhz: float = 0.0, most_rm: float | None = None
                         ) -> BurstPolarization:
    """Return the polarisation of a burst.

    Parameters
    ----------
    iquv : ndarray, shape (4, chan, time)
        I, Q, U, V, aligned; NaN where nothing is valid.
    freq_mhz : ndarray, shape (chan,)
    on, off : ndarray, shape (time,), bool
        Samples of the burst, and samples off it.
    channel_mhz : float
        Width of a channel.
    most_rm : float, optional
        Largest rotation measure to try; see `synthesize_rm`.

    Raises
    ------
    UsageError
        If fewer than 3 channels have data, or `most_rm` is out of range.
    """
    valid: NDArray[np.bool_] = np.asarray(np.isfinite(iquv).all(axis=0))
    good = (valid[:, off].mean(axis=1) >= _WHOLE) & (valid[:, on].mean(axis=1) >= _WHOLE)
    data, there, freq = np.where(valid, iquv, 0.0)[:, good], valid[good], freq_mhz[good]
    data, scatter = _above_level(data, there, off)
    if (scatter > 0).sum() < 3:
        raise UsageError(f"{int((scatter > 0).sum())} channels have four products with noise; "
                         "allowed: 3 or more")
    data, there, freq = (each[..., scatter > 0, :] if each.ndim > 1 else each[scatter > 0]
                         for each in (data, there, freq))
    data = data / scatter[scatter > 0, np.newaxis]
    rotation = _rotation(data, freq, on, off, channel_mhz, most_rm)
    linear = data[1] + 1j * rotation.sign_u * data[2]
    is_rotated = rotation.sigma >= _LEAST_SIGMA
    if is_rotated:
        linear = derotate(linear, freq, rotation.rm, rotation.lambda0_sq)
    counts = there.sum(axis=0)
    used = counts >= _WHOLE * len(freq)
    sums = np.stack([data[0].sum(axis=0), linear.sum(axis=0).real, linear.sum(axis=0).imag,
                     data[3].sum(axis=0)])
    profile = polarization_profile((sums[:, used] / counts[used]), ~on[used])
    q, u = float(profile.q[on[used]].sum()), float(profile.u[on[used]].sum())
    noise = float(np.hypot(*profile.sigma[1:3]) / np.sqrt(2) * np.sqrt(on[used].sum()))
    ratio = np.sqrt(max(0.0, (np.hypot(q, u) / noise) ** 2 - 1))
    return BurstPolarization(
        profile, rotation, is_rotated, profile.fraction("linear"), profile.fraction("circular"),
        profile.fraction("absolute"), float(np.degrees(np.arctan2(u, q)) / 2),
        float(np.degrees(pa_error(ratio))))


def _above_level(data: F8, valid: NDArray[np.bool_], off: NDArray[np.bool_]) -> tuple[F8, F8]:
    """Return products above their level off the burst, and the noise of I in each channel."""
    beside = valid & off
    counts = np.maximum(beside.sum(axis=1), 1)
    level = np.where(beside, data, 0.0).sum(axis=2) / counts
    above = np.where(valid, data - level[..., np.newaxis], 0.0)
    return above, np.sqrt(np.where(beside, above[0] ** 2, 0.0).sum(axis=1) / counts)


def _rotation(data: F8, freq: F8, on: NDArray[np.bool_], off: NDArray[np.bool_],
              channel_mhz: float, most_rm: float | None) -> RotationMeasure:
    """Return the rotation measure of the samples of a burst, averaged to a few bins."""
    at = np.flatnonzero(on)
    edges = np.unique(np.linspace(0, len(at), min(_MOST_BINS, len(at)), endpoint=False).astype(int))
    counts = np.diff(np.append(edges, len(at)))
    q, u = (np.add.reduceat(each[:, at], edges, axis=1) / np.sqrt(counts) for each in data[1:3])
    sigma = np.sqrt((data[1][:, off].var(axis=1) + data[2][:, off].var(axis=1)) / 2)
    found = synthesize_rm(q, u, freq, np.where(sigma > 0, sigma, np.inf), most_rm=most_rm)
    if found.sigma < _LEAST_SIGMA:
        return found
    return fit_rm(q, u, freq, np.where(sigma > 0, sigma, np.inf), start=found,
                  channel_mhz=channel_mhz)
