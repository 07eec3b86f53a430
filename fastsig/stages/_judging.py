"""Which samples of a segment of spectra are interference: the statistics of `Flag`.

Nothing here knows of streams: arrays of one product come in, flags go out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from fastsig_kernels import (
    column_median,
    group_median,
    running_median,
    sum_threshold,
    sum_thresholds,
)
from numpy.typing import NDArray

__all__ = ["LEAST_CHANNELS", "LEAST_ROWS", "Settings", "judge"]

F4 = NDArray[np.float32]
Flags = NDArray[np.bool_]
States = NDArray[np.int8]

#: Rows of a state that are judged together over time; fewer are judged one by one.
LEAST_ROWS = 8

#: Channels from which there is a running median over frequency.
LEAST_CHANNELS = 16

_SIGMA = np.float32(1.482602218505602)  # of Gaussian noise, in median absolute deviations
_TWICED = 2  # running medians of what the ones before left: a bandpass is curved (Tukey 1977)
_ROUNDS = 3  # of levels and flags, each seeing the flags of the one before
_ENOUGH = 1024  # values that tell a row's noise to 4 %
_GROUPS = 32  # of channels in a window of the level that changes


@dataclass(frozen=True)
class Settings:
    """What counts as interference.

    Parameters
    ----------
    clip : float or None
        Largest deviation of a sample, in standard deviations.
    sum_threshold : float or None
        As `clip`, of the SumThreshold of one sample.
    max_window : int
        Longest window of SumThreshold, samples.
    width : int
        Window of the running median over frequency of what is steady, channels, odd.
    smooth : int
        Window over frequency of what changes and is no interference, channels.
    protected : ndarray, shape (chan,), bool
        Channels that are never flagged. Levels are taken from them as well.
    """

    clip: float | None
    sum_threshold: float | None
    max_window: int
    width: int
    smooth: int

    protected: Flags

    def beyond(self, residual: F4, axes: tuple[int, ...], most: int) -> Flags:
        """Samples whose residual, in standard deviations, is too large; NaN never is.

        Runs over frequency are `most` long: there is nothing wider in the residual.
        """
        if self.protected.any():
            residual = np.where(self.protected, np.float32(np.nan), residual)
        flags = np.zeros(residual.shape, np.bool_)
        if self.clip is not None:
            flags = np.abs(residual) > np.float32(self.clip)
        if self.sum_threshold is not None:
            for axis in axes:
                longest = min(residual.shape[axis], most if axis else residual.shape[0])
                window = min(self.max_window, 1 << (max(1, longest).bit_length() - 1))
                sum_threshold(residual, flags, sum_thresholds(self.sum_threshold, window), axis)
        return flags

    @property
    def single(self) -> np.float32:
        """Largest deviation of a single sample."""
        return np.float32(min(limit for limit in (self.clip, self.sum_threshold)
                              if limit is not None))


def judge(x: F4, states: States, *, power: bool, settings: Settings) -> Flags:
    """Flags of a segment of one product.

    Rows of each state are judged apart. What is steady in a state is judged by its median
    spectrum over frequency, what changes by the residuals over time and frequency.

    Parameters
    ----------
    x : ndarray, shape (n_time, n_chan), float32
        Spectra; NaN is what counts for nothing and is not flagged.
    states : ndarray, shape (n_time,), int8
        Number of the state that each row is in.
    power : bool
        Whether values are powers, whose noise is proportional to them.
    settings : Settings

    Returns
    -------
    ndarray, shape (n_time, n_chan), bool
    """
    flags = np.zeros(x.shape, np.bool_)
    if settings.clip is None and settings.sum_threshold is None:
        return flags
    with np.errstate(all="ignore"):  # NaN, and noise of 0, are part of it
        for state in np.unique(states):
            rows = np.flatnonzero(states == state)
            part = x if len(rows) == len(x) else x[rows]
            flags[rows] = _state(np.ascontiguousarray(part), power, settings)
    return flags


def _state(x: F4, power: bool, settings: Settings) -> Flags:
    if len(x) < LEAST_ROWS:
        return _steady(x, power, settings)
    steady = _steady(column_median(x)[np.newaxis], power, settings)
    kept = np.where(steady, np.float32(np.nan), x) if steady.any() else x
    return steady | _changing(kept, power, settings)


def _odd(width: int, most: int) -> int:
    """The odd window closest to `width` that is no longer than `most`."""
    width = min(width, most)
    return max(1, width - 1 + width % 2)


def _steady(spectra: F4, power: bool, settings: Settings) -> Flags:
    """Channels of spectra that stand out from their neighbours, (n, chan)."""
    flags = np.zeros(spectra.shape, np.bool_)
    n_chan = spectra.shape[1]
    if n_chan < LEAST_CHANNELS:
        return flags
    narrow, wide = _odd(settings.width, n_chan // 2), _odd(4 * settings.width + 1, n_chan)
    flat = _flattened(spectra, power, max(1, narrow // 4))
    for _ in range(_ROUNDS):
        residual = flat
        for _ in range(_TWICED):
            residual = residual - running_median(residual, narrow, flags=flags)[0]
        _, scale = running_median(residual, wide, flags=flags, even=False)
        found = settings.beyond(_over(residual, scale), (1,), narrow // 2)
        if np.array_equal(found, flags):
            break
        flags = found
    return flags


def _flattened(spectra: F4, power: bool, size: int) -> F4:
    """Spectra less a curve through them; of powers relative to the curve, as their noise is.

    A running median alone follows a slope that is steeper than the noise, and then hides it.
    """
    curve = _through(spectra, np.isnan(spectra), size, 5, even=True)
    flat: F4 = spectra - curve
    if _is_positive(curve, power):
        flat /= curve
    return flat


def _is_positive(level: F4, power: bool) -> bool:
    """Whether levels are those of powers, so that noise is in proportion to them."""
    return power and bool((level[np.isfinite(level)] > 0).all())


def _over(residual: F4, scale: F4) -> F4:
    """Residuals in units of their scale; NaN where that is 0: there is no noise to judge by."""
    return np.divide(residual, np.where(scale > 0, scale, np.float32(np.nan)), dtype=np.float32)


def _changing(x: F4, power: bool, settings: Settings) -> Flags:
    """Samples that stand out from their channel's other times, (n, chan).

    A first look finds the strongest, so that the second measures levels and noise without them.
    """
    level, noise = _levels(x)
    residual = _residual(x, x, level, noise, power, settings)
    strong = np.abs(residual) > settings.single
    if strong.any():
        clean = np.where(strong, np.float32(np.nan), x)
        touched = strong.any(axis=0)
        level[touched], noise[touched] = _levels(clean[:, touched])
        residual = _residual(x, clean, level, noise, power, settings)
    return settings.beyond(residual, (0, 1), settings.smooth // 2)


def _levels(x: F4) -> tuple[F4, F4]:
    """Median of every channel, and its noise by the differences of neighbouring rows.

    Slow changes leave differences alone.
    """
    steps = np.abs(x[1:] - x[:-1])
    return column_median(x), column_median(steps) * (_SIGMA / np.float32(np.sqrt(2)))


def _residual(x: F4, clean: F4, level: F4, noise: F4, power: bool, settings: Settings) -> F4:
    """Samples less their channel's level and what changes smoothly over frequency, in sigmas.

    Of powers all is relative to the level: a change of gain is the same in all channels then,
    whatever the bandpass, and so is the noise (the radiometer equation). It is taken from the
    neighbours: a channel full of interference must not hide behind a noise of its own.

    Parameters
    ----------
    x, clean : ndarray, shape (n, chan), float32
        Samples, and those that levels over frequency are taken from.
    level, noise : ndarray, shape (chan,), float32
        Of every channel.
    """
    unit = level if _is_positive(level, power) else np.ones_like(level)
    residual: F4 = (x - level) / unit
    ratio = noise / unit
    if x.shape[1] < LEAST_CHANNELS:
        return _over(residual, ratio)
    lost = np.isnan(clean)
    size = max(1, settings.smooth // _GROUPS)
    residual -= _through(residual, lost, size, settings.smooth // size | 1, even=False)
    wide = _odd(4 * settings.width + 1, x.shape[1])
    residual = _over(residual, running_median(ratio[np.newaxis], wide)[0])
    some = slice(None, None, max(1, x.shape[1] // _ENOUGH))
    spread = group_median(np.abs(residual[:, some]), x.shape[1], flags=lost[:, some])
    return _over(residual, spread * _SIGMA)


def _through(x: F4, lost: Flags, size: int, width: int, *, even: bool) -> F4:
    """What of rows is smooth over frequency: through the running median of `width` medians.

    The medians are those of groups of `size` channels, at least half of which count; where they
    do not, what lies between is taken. `even` is that of `running_median`, and has cubic curves
    in place of lines.
    """
    groups = group_median(x, size, flags=lost)
    _bridge(groups, lost, size)
    medians = running_median(groups, width, even=even)[0]
    if size == 1 or groups.shape[1] == 1:
        return np.broadcast_to(medians, x.shape)
    place = (np.arange(x.shape[1]) - (size - 1) / 2) / size
    return _between(medians, place, 4 if even and groups.shape[1] >= 4 else 2)


def _between(knots: F4, place: NDArray[np.float64], n: int) -> F4:
    """Values at places among knots, (row, place), by the polynomial through the `n` about each."""
    first = np.clip(np.floor(place).astype(np.int64) - (n // 2 - 1), 0, knots.shape[1] - n)
    values = np.zeros((len(knots), len(place)), np.float32)
    for k in range(n):
        others = [j for j in range(n) if j != k]
        weight = np.prod([(place - first - j) / (k - j) for j in others], axis=0)
        values += knots[:, first + k] * weight.astype(np.float32)
    return values


def _bridge(groups: F4, lost: Flags, size: int) -> None:
    """Put what lies between its neighbours where less than half of a group counts."""
    if not lost.any():
        return
    starts = np.arange(0, lost.shape[1], size)
    held = np.add.reduceat(~lost, starts, axis=1, dtype=np.int64)
    poor = 2 * held < np.diff(np.append(starts, lost.shape[1]))
    number = np.arange(len(starts))
    for row in np.flatnonzero(poor.any(axis=1)):
        good = ~poor[row] & np.isfinite(groups[row])
        if good.any():
            groups[row, ~good] = np.interp(number[~good], number[good], groups[row, good])
