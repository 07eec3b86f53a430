"""Measurements of `Profiles`: improved parameters, polarisation, and rotation measure.

Each function prepares the arrays that the functions for NumPy arrays accept, with the weights,
times, frequencies, dispersion and signs of the profiles.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import PlanError
from fastsig.pulsar.improving import Improvement, improve
from fastsig.pulsar.off_pulse import find_off_pulse
from fastsig.pulsar.polarization_profile import PolarizationProfile, polarization_profile
from fastsig.pulsar.profile_toas import intensity
from fastsig.pulsar.rotation_measure import RotationMeasure, fit_rm, synthesize_rm
from fastsig.pulsar.significance import baseline
from fastsig.pulsar.spin import Spin
from fastsig.pulsar.stokes_profiles import defined_stokes

if TYPE_CHECKING:
    from fastsig.pulsar.profiles import Profiles

__all__ = ["corrected", "folding_spin", "four_stokes", "improved", "measured_rm", "polarization"]

F8 = NDArray[np.float64]
Mask = NDArray[np.bool_]


def improved(profiles: Profiles, *, n_trial: int = 257, turns: float = 1.0) -> Improvement:
    """Return the period, derivative and dispersion measure at which profiles are most significant.

    Parameters
    ----------
    profiles : Profiles
        Profiles of several subintegrations and channels. Their frequency and its derivative are
        those of a straight line through the folding periods; where a predictor changes the
        frequency in another way, the result is the correction to it.
    n_trial, turns
        As for `fastsig.pulsar.improving.improve`. `Spin.time_s` counts from the reference of the
        profiles, as their offsets do.

    Raises
    ------
    PlanError
        If the folding period is not known.
    UsageError
        As for `improve`.
    """
    total, spin = intensity(profiles), folding_spin(profiles)
    header = total.header
    return improve(
        total.data[:, 0], total.offsets, total.frequency.value, period_s=spin.period_s,
        derivative=spin.period_derivative, dm=float(header.dm or 0),
        constant=float(header.dispersion_constant), weights=_cells(total)[:, 0], n_trial=n_trial,
        turns=turns)


def corrected(profiles: Profiles, improvement: Improvement) -> Profiles:
    """Return profiles as if they had been folded with the values of an improvement, and aligned.

    Parameters
    ----------
    profiles : Profiles
        The profiles that were passed to `improved`. Their phases at `Spin.time_s` are kept.
    improvement : Improvement
        Period, derivative and dispersion measure.
    """
    best = improvement.spin
    folded = folding_spin(profiles).at(best.time_s)
    late = profiles.offsets - best.time_s
    change = best.derivative_hz_s - folded.derivative_hz_s
    faster = best.frequency_hz - folded.frequency_hz + change * late
    turns = (faster - change * late / 2) * late
    return profiles.rotate(turns).dedisperse(improvement.dm).replace(
        periods=1 / (1 / profiles.periods + faster))


def folding_spin(profiles: Profiles) -> Spin:
    """Return the frequency and derivative from a straight line through the folding periods.

    `Spin.time_s` is 0, the reference of the profiles.

    Raises
    ------
    PlanError
        If the folding period is not known.
    """
    periods = profiles.periods
    if not (np.isfinite(periods) & (periods > 0)).all() or not len(profiles):
        raise PlanError(f"{profiles.path}: the folding period is not known; give "
                        "--set period=0.7s")
    slope, start = _line(profiles.offsets, 1 / periods)
    return Spin(start, slope)


def four_stokes(profiles: Profiles) -> Profiles:
    """Return I, Q, U, V of profiles as they are defined, whatever signs the header states.

    Raises
    ------
    PlanError
        If products are missing.
    """
    header, basis = profiles.header, profiles.header.polarization
    data, weights = defined_stokes(profiles.data, profiles.weights, basis, profiles.path)
    return profiles.replace(data=data, weights=weights, header=header.replace(
        polarization=replace(basis, names=tuple("IQUV"), sign_q=1, sign_v=1)))


def polarization(profiles: Profiles, off: Any = None, *, convention: str = "PSR/IEEE",
                 parallactic_deg: float | None = None) -> PolarizationProfile:
    """Return the polarisation of the mean profile.

    Parameters
    ----------
    profiles : Profiles
        Profiles with four products. Channels are aligned first if the dispersion measure is known.
        Faraday rotation between channels is not removed.
    off, convention, parallactic_deg
        As for `fastsig.pulsar.polarization_profile.polarization_profile`.

    Raises
    ------
    PlanError
        If products are missing.
    UsageError
        As for `polarization_profile`.
    """
    mean = four_stokes(profiles).mean("time", "frequency")
    basis = profiles.header.polarization
    return polarization_profile(
        mean.data[0, :, 0], off, handedness=basis.handedness, convention=convention,
        frame=basis.frame, parallactic_deg=parallactic_deg)


def measured_rm(profiles: Profiles, off: Any = None, *, most_rm: float | None = None,
                sign_u: int = 1) -> RotationMeasure:
    """Return the rotation measure of profiles, by synthesis followed by a fit.

    Parameters
    ----------
    profiles : Profiles
        Profiles with four products and several channels, which are aligned first if the dispersion
        measure is known. If Faraday rotation was removed, the result is what remains of it.
    off : array, shape (bin,), bool, optional
        Off-pulse bins; by default, those of `find_off_pulse` for the mean total intensity.
    most_rm, sign_u
        As for `fastsig.pulsar.rotation_measure.synthesize_rm`.

    Raises
    ------
    PlanError
        If products are missing, or there is no on-pulse bin.
    UsageError
        As for `synthesize_rm`.
    """
    mean = four_stokes(profiles).mean("time")
    if mean.dm and not mean.dedispersed:
        mean = mean.dedisperse()
    values = mean.data[0].astype(np.float64)
    mask = find_off_pulse(mean.mean("frequency").data[0, 0, 0]) if off is None else np.asarray(off)
    if mask.all():
        raise PlanError(f"{profiles.path}: no bin is on-pulse; give off-pulse bins")
    q, u, sigma = _above(values, mask)
    freq = mean.frequency.value
    low, high = mean.header.require_channels(mean.path).edges_hz
    width = float(high - low) / 1e6 / mean.n_chan
    start = synthesize_rm(q, u, freq, sigma, most_rm=most_rm, sign_u=sign_u)
    return fit_rm(q, u, freq, sigma, start=start, channel_mhz=width)


def _line(times: F8, values: F8) -> tuple[float, float]:
    """Return the slope of a straight line, and its value at time 0."""
    if np.ptp(times) == 0:
        return 0.0, float(values.mean())
    middle = times.mean()
    slope = float(((times - middle) * values).sum() / ((times - middle) ** 2).sum())
    return slope, float(values.mean() - slope * middle)


def _cells(profiles: Profiles) -> F8:
    """Return weights by subintegration, product and channel: the smallest of the bins."""
    smallest = profiles.weights.min(axis=3)
    return np.asarray(np.broadcast_to(smallest, profiles.shape[:3]), np.float64)


def _above(values: F8, off: Mask) -> tuple[F8, F8, F8]:
    """Return Q and U above their baselines in on-pulse bins, and their noise, by channel."""
    n_chan = values.shape[1]
    q, u = (values[k][:, ~off].copy() for k in (1, 2))
    sigma = np.full(n_chan, np.inf)
    for chan in range(n_chan):
        if not np.isfinite(values[:3, chan]).all() or np.ptp(values[1, chan]) == 0:
            continue
        of_q, of_u = (baseline(values[k, chan], off) for k in (1, 2))
        q[chan] -= of_q.level
        u[chan] -= of_u.level
        sigma[chan] = np.hypot(of_q.sigma, of_u.sigma) / np.sqrt(2)
    return q, u, sigma
