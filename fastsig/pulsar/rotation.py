"""Rotation of pulse profiles by any part of a turn.

A profile is a periodic function of phase, known at its bins. Whole bins are moved; the rest of a
shift is a phase ramp over the harmonics of the profile (the Fourier shift theorem), which loses
nothing except the imaginary part of the highest harmonic of an even number of bins.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["rotated"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]

_SMALLEST = 1e-9  # of a bin; smaller rests of a shift are rounding errors


def rotated(data: F4, weights: F8, turns: Any) -> tuple[F4, F8]:
    """Return profiles and their weights, moved to later phases: ``out(phase) = in(phase - turns)``.

    A bin is NaN, with weight 0, if either of the two bins that it comes from is NaN. Weights
    of bins are interpolated linearly.

    Parameters
    ----------
    data : ndarray, shape (subint, product, chan, bin), float32
        Profiles, NaN where the weight is 0.
    weights : ndarray, float64
        Weights, with the same number of axes; an axis may have length 1.
    turns : float or ndarray
        The shift of each profile, in turns; any shape that can be broadcast to (subint, product,
        chan).
    """
    n_bin = data.shape[-1]
    shift = np.broadcast_to(np.asarray(turns, np.float64) % 1.0 * n_bin, data.shape[:-1])
    out = np.empty_like(data)
    for row in range(len(data)):
        out[row] = _moved_row(data[row], shift[row])
    if weights.shape[-1] == 1:
        return out, weights
    lead = tuple(1 if one == 1 and _same(shift, axis) else full for axis, (one, full) in
                 enumerate(zip(weights.shape[:-1], data.shape[:-1], strict=True)))
    few = shift[tuple(slice(0, n) for n in lead)]
    return out, _moved_weights(np.broadcast_to(weights, (*lead, n_bin)), few)


def _same(shift: F8, axis: int) -> bool:
    return bool((shift == shift.take([0], axis)).all())


def _moved_row(data: F4, shift: F8) -> F4:
    """Return the profiles (product, chan, bin) of a subintegration, moved by `shift` bins."""
    lost = np.isnan(data)
    whole, rest = _split(shift)
    if not rest.any():
        found: F4 = _rolled(data, whole)
        return found
    full = data.astype(np.float64)
    if lost.any():
        count = np.maximum((~lost).sum(axis=-1, keepdims=True), 1)
        full = np.where(lost, np.where(lost, 0, full).sum(axis=-1, keepdims=True) / count, full)
    n_bin = data.shape[-1]
    ramp = np.exp(-2j * np.pi / n_bin * shift[..., None] * np.arange(n_bin // 2 + 1))
    out: F4 = np.fft.irfft(np.fft.rfft(full) * ramp, n_bin).astype(np.float32)
    exact = rest == 0
    if exact.any():
        out[exact] = _rolled(full[exact].astype(np.float32), whole[exact])
    if lost.any():
        out[_rolled(lost, whole) | _rolled(lost, whole + _side(rest))] = np.nan
    return out


def _split(shift: F8) -> tuple[NDArray[np.int64], F8]:
    """Return the nearest whole number of bins, and the rest."""
    whole = np.rint(shift)
    rest = shift - whole
    return whole.astype(np.int64), np.where(np.abs(rest) < _SMALLEST, 0.0, rest)


def _side(rest: F8) -> NDArray[np.int64]:
    """Return the direction, in bins, of the second of the bins between which a shift ends."""
    return np.sign(rest).astype(np.int64)


def _rolled(values: Any, whole: NDArray[np.int64]) -> Any:
    """Return values moved by a whole number of bins for each profile."""
    n_bin = values.shape[-1]
    places = (np.arange(n_bin) - whole[..., None]) % n_bin
    return np.take_along_axis(values, places, axis=-1)


def _moved_weights(weights: F8, shift: F8) -> F8:
    """Return weights of bins moved by `shift` bins: those of two bins, unless one of them is 0."""
    whole, rest = _split(shift)
    near, beside = _rolled(weights, whole), _rolled(weights, whole + _side(rest))
    part = np.abs(rest)[..., None]
    return np.where((near == 0) | (beside == 0), 0.0, (1 - part) * near + part * beside)
