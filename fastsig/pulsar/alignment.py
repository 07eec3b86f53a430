"""Rotation of profiles by given turns, and by the dispersion between channels."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.dispersion import constant_of, delay_s, dm_of, reference_of
from fastsig.errors import PlanError, UsageError
from fastsig.pulsar.profile_data import ProfileData
from fastsig.pulsar.rotation import rotated

__all__ = ["aligned", "turned"]

P = TypeVar("P", bound=ProfileData)

F8 = NDArray[np.float64]


def turned(profiles: P, turns: Any, keep_times: bool) -> P:
    """Return the profiles that `Profiles.rotate` describes."""
    shift = np.asarray(turns, np.float64)
    if shift.ndim == 1:
        shift = shift[:, None, None]
    full = profiles.shape[:3]
    if shift.ndim not in (0, 3) or not np.isfinite(shift).all() or any(
            one not in (1, all_) for one, all_ in zip(shift.shape, full, strict=False)):
        raise UsageError(f"turns of shape {np.shape(turns)}; allowed: finite numbers, one or "
                         f"({full[0]},), ({full[0]}, 1, {full[2]}) or {full}")
    offsets = profiles.offsets
    if keep_times:
        if shift.ndim and shift.shape[1:] != (1, 1):
            raise UsageError("keep_times requires one shift for each subintegration")
        offsets = offsets - shift.reshape(-1) * _known_periods(profiles)
    data, weights = rotated(profiles.data, profiles.weights, shift)
    return replace(profiles, data=data, weights=weights, offsets=offsets)


def aligned(profiles: P, dm: Any, ref: Any, constant: Any) -> P:
    """Return the profiles that `Profiles.dedisperse` describes."""
    header = profiles.header
    if dm is None and profiles.dm is None:
        raise UsageError(f"{profiles.path}: its dispersion measure is not known; allowed: dm")
    new = dm_of(profiles.dm if dm is None else dm, allow_negative=True)
    at = profiles.dispersion_reference_hz if ref is None else reference_of(
        ref, header.require_channels(profiles.path))
    k = header.dispersion_constant if constant is None else constant_of(constant)
    late = _delays(profiles, new, at, k)
    if header.dm is not None:
        late = late - _delays(profiles, Fraction(header.dm), header.dm_reference_hz,
                              header.dispersion_constant)
    turns = -late[None, None, :] / _known_periods(profiles)[:, None, None]
    data, weights = rotated(profiles.data, profiles.weights, turns)
    if not new:  # restored
        return replace(profiles, data=data, weights=weights,
                       header=header.replace(dm=None, dm_reference_hz=None))
    return replace(
        profiles, data=data, weights=weights, dm=float(new),
        reference_mhz=None if at is None else float(at / 10**6),
        header=header.replace(dispersion_constant=k, dm=float(new), dm_reference_hz=at))


def _known_periods(profiles: P) -> F8:
    if not (np.isfinite(profiles.periods) & (profiles.periods > 0)).all():
        raise PlanError(f"{profiles.path}: the folding period is not known; give "
                        "--set period=0.7s")
    return profiles.periods


def _delays(profiles: P, dm: Fraction, reference: Fraction | None, constant: Fraction) -> F8:
    """Return the delays of channels after the reference frequency, s."""
    mhz = profiles.frequency.value
    if not (mhz > 0).all():
        raise PlanError(f"{profiles.path}: the lowest channel is at {mhz[0]:g} MHz; allowed: above "
                        "0")
    return np.array([float(delay_s(dm, Fraction(float(each)) * 10**6, reference, constant))
                     for each in mhz])
