"""Statistics of `Flag`: find the samples of a segment of spectra that are interference.

This module does not use streams: its inputs are arrays of one product, and its outputs are flags.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from fastsig_kernels import (
    group_median,
    moving_median,
    running_median,
    sum_threshold,
    sum_thresholds,
    through_knots,
)
from numpy.typing import NDArray

from fastsig.stages.flag_noise import (
    SIGMA,
    Level,
    Noise,
    constant,
    gaussian,
    level_of,
    noise_of,
    share_of_noise,
    straight,
    student,
    unrounded,
)

__all__ = ["LEAST_CHANNELS", "LEAST_ROWS", "Settings", "judge"]

F4 = NDArray[np.float32]
Flags = NDArray[np.bool_]
States = NDArray[np.int8]

#: Smallest number of rows of a state that are tested together over time; fewer are tested singly.
LEAST_ROWS = 8

#: Smallest number of channels for a running median over frequency.
LEAST_CHANNELS = 16

_TWICED = 2  # running medians, the second of the residual of the first (Tukey 1977)
_ROUNDS = 2  # rounds of levels and flags, each with the flags of the previous one
_STRONG = (np.float32(8), np.float32(1))  # the strongest first: they bias their neighbours' levels
_LEVELLED = 16  # factor of samples below the radiometer equation: levels were set, not measured
_FOLLOWS = 4  # errors by which levels must vary, and the slope of noise over level differ from 1
_FREEDOM = 2.7  # values per degree of freedom in a median absolute deviation
_GROUPS = 32  # groups of channels in a window of the level that changes


@dataclass(frozen=True)
class Settings:
    """The settings that define interference.

    Parameters
    ----------
    clip : float or None
        Largest deviation of a sample, in standard deviations.
    sum_threshold : float or None
        Threshold of SumThreshold for one sample, in standard deviations.
    max_window : int
        Longest window of SumThreshold, samples.
    width : int
        Window of the running median over frequency for steady levels, channels, odd.
    smooth : int
        Window over frequency for changes that are smooth and not interference, channels.
    protected : ndarray, shape (chan,), bool
        Channels that are never flagged. They are still used to measure levels.
    samples : float or None
        Independent samples in a value, from channel width and time; None if not known.
    """

    clip: float | None
    sum_threshold: float | None
    max_window: int
    width: int
    smooth: int

    protected: Flags
    samples: float | None = None

    def beyond(self, residual: F4, axes: tuple[int, ...], most: int,
               channels: slice = slice(None)) -> Flags:
        """Return flags of samples with residuals, in standard deviations, that are too large.

        NaN is never flagged. Runs over frequency are at most `most` channels long: the residual has
        no wider structure. `channels` are those of the residual.
        """
        if self.protected[channels].any():
            residual = np.where(self.protected[channels], np.float32(np.nan), residual)
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
    def noise_share(self) -> float:
        """Share of noise that is expected to be flagged in each product that is tested."""
        if self.clip is None and self.sum_threshold is None:
            return 0.0
        runs = np.empty(0) if self.sum_threshold is None else sum_thresholds(
            self.sum_threshold, self.max_window)[1:]
        return share_of_noise(np.append(float(self.single), runs))

    def at_share(self, wanted: float) -> Settings:
        """Return settings with thresholds scaled so that the share `wanted` of noise is flagged."""
        low, high = 0.1, 10.0
        for _ in range(50):
            factor = (low + high) / 2
            made = self._times(factor)
            low, high = (factor, high) if made.noise_share > wanted else (low, factor)
        return self._times(round(high, 6))

    def _times(self, factor: float) -> Settings:
        clip, runs = (None if limit is None else round(limit * factor, 6)
                      for limit in (self.clip, self.sum_threshold))
        return replace(self, clip=clip, sum_threshold=runs)

    @property
    def single(self) -> np.float32:
        """Largest deviation of a single sample."""
        return np.float32(min(limit for limit in (self.clip, self.sum_threshold)
                              if limit is not None))


def judge(x: F4, states: States, *, power: bool, settings: Settings) -> Flags:
    """Return the flags of a segment of one product.

    The rows of each state are tested separately. Steady interference is found in the median
    spectrum of the state, over frequency; interference that changes is found in the residuals, over
    time and frequency.

    Parameters
    ----------
    x : ndarray, shape (n_time, n_chan), float32
        Spectra; NaN is ignored and not flagged.
    states : ndarray, shape (n_time,), int8
        Number of the state of each row.
    power : bool
        Whether values are powers, with noise proportional to the values.
    settings : Settings

    Returns
    -------
    ndarray, shape (n_time, n_chan), bool
    """
    flags = np.zeros(x.shape, np.bool_)
    if settings.clip is None and settings.sum_threshold is None:
        return flags
    with np.errstate(all="ignore"):  # NaN and a noise of 0 are expected
        dead = constant(x)
        kept = np.where(dead, np.float32(np.nan), x) if dead.any() else x
        for state in np.unique(states):
            rows = np.flatnonzero(states == state)
            part = kept if len(rows) == len(x) else kept[rows]
            flags[rows] = _state(np.ascontiguousarray(part), power, settings)
    return flags | (dead & ~settings.protected)


def _state(x: F4, power: bool, settings: Settings) -> Flags:
    if len(x) < LEAST_ROWS:
        return _steady(_Levels(x, power=power), settings)
    lost = np.isnan(x)
    noise = noise_of(x, lost)
    level = level_of(x, lost, noise)
    power = power and _is_positive(level.value)
    were_set = power and _levelled(level, noise.sigma, settings)
    levels = _Levels(level.value[np.newaxis], power=power, error=level.error, n_mean=len(x),
                     least=noise.sigma if were_set else None)
    steady = _steady(levels, settings)
    kept = np.where(steady, np.float32(np.nan), x) if steady.any() else x
    return steady | _changing(kept, level.value, noise, power and not were_set, settings)


@dataclass(frozen=True)
class _Levels:
    """Spectra of levels that are tested over frequency.

    Parameters
    ----------
    values : ndarray, shape (n, chan), float32
    power : bool
        Whether the values are powers.
    error : ndarray, shape (chan,), float32, optional
        Noise of the values, if it is known.
    least : ndarray, shape (chan,), float32, optional
        Smallest deviation by which a channel must stand out in addition.
    n_mean : int
        Number of rows of which each spectrum is the level.
    """

    values: F4
    power: bool
    error: F4 | None = None
    least: F4 | None = None
    n_mean: int = 1

    def part(self, channels: slice, width: int) -> _Levels:
        """Return the levels of some channels, with noise smoothed over each one's neighbours."""
        error, least = (None if x is None else x[channels] for x in (self.error, self.least))
        if error is not None:
            wide = _odd(4 * width + 1, len(error))
            error = running_median(error[np.newaxis], wide)[0][0]
        return replace(self, values=np.ascontiguousarray(self.values[:, channels]), error=error,
                       least=least)

    def unit(self, curve: F4) -> F4:
        """Return the quantity to which the noise of the values is proportional."""
        return curve if self.power and _is_positive(curve) else np.ones_like(curve)

    def noise(self, left: F4, unit: F4, wide: int) -> F4:
        """Return the noise of the residuals in this unit: as known, or measured over channels."""
        if self.error is not None:
            return self.error / unit
        return np.float32(student(wide / _FREEDOM)) * _noise_along(left)

    def compared(self, residual: F4, left: F4) -> F4:
        """Return residuals without skewness, and 0 where `left` is below the smallest deviation."""
        even = straight(residual, self.n_mean)
        if self.least is None:
            return even
        return np.where(np.abs(left) < self.least, np.float32(0), even)


def _levelled(level: Level, sigma: F4, settings: Settings) -> bool:
    """Return whether levels were set, as for a recording with few bits, and are not true powers.

    In that case noise is far above that of the radiometer equation and not proportional to the
    levels, which show no interference weaker than the noise of a single sample.
    """
    known = (level.value > 0) & (sigma > 0)
    if settings.samples is None or not known.any():
        return False
    value, sigma, error = level.value[known], sigma[known], level.error[known]
    if _LEVELLED * float(np.median((value / sigma) ** 2)) > settings.samples:
        return False
    x, y = _logarithm(value), _logarithm(sigma)
    if np.std(x) < _FOLLOWS * np.median(error / value):
        return False
    slope = np.mean(x * y) / np.var(x)
    return bool(1 - slope > _FOLLOWS * np.std(y - slope * x) / np.sqrt(len(x) * np.var(x)))


def _logarithm(x: F4) -> F4:
    """Return the logarithm of positive values, minus its mean, limited to a factor of e."""
    found = np.clip(np.log(x / np.median(x)), -1, 1)
    return np.asarray(found - np.mean(found), np.float32)


def _odd(width: int, most: int) -> int:
    """Return the odd window closest to `width` that is not longer than `most`."""
    width = min(width, most)
    return max(1, width - 1 + width % 2)


def _steady(levels: _Levels, settings: Settings) -> Flags:
    """Return flags of channels that stand out from their neighbours, (n, chan).

    A wide gap of channels without values ends a band, and another band begins after it.
    """
    flags = np.zeros(levels.values.shape, np.bool_)
    held = np.logical_or.reduce(np.isfinite(levels.values), axis=0)
    for first, stop in _stretches(held, settings.width // 4):
        if stop - first >= LEAST_CHANNELS:
            part = slice(first, stop)
            flags[:, part] = _outstanding(levels.part(part, settings.width), settings, part)
    return flags


def _stretches(held: NDArray[np.bool_], gap: int) -> list[tuple[int, int]]:
    """Return (first, stop) of runs of channels with values, ignoring gaps of up to `gap`."""
    edges = np.flatnonzero(np.diff(held, prepend=False, append=False)).reshape(-1, 2)
    runs: list[tuple[int, int]] = []
    for first, stop in edges.tolist():
        if runs and first - runs[-1][1] <= gap:
            runs[-1] = runs[-1][0], stop
        else:
            runs.append((first, stop))
    return runs


def _outstanding(levels: _Levels, settings: Settings, channels: slice) -> Flags:
    """Do the work of `_steady` for channels without a wide gap, which are `channels` of all."""
    spectra = levels.values
    flags = np.zeros(spectra.shape, np.bool_)
    n_chan = spectra.shape[1]
    narrow, wide = _odd(settings.width, n_chan // 2), _odd(4 * settings.width + 1, n_chan)
    size, strong = max(1, narrow // 6), flags
    few = np.float32(student(wide / _FREEDOM))
    curve = _through(spectra, np.isnan(spectra), size, 3, even=True)

    def residual() -> tuple[F4, F4]:
        unit = levels.unit(curve)
        left = (spectra - curve) / unit
        noise = levels.noise(left, unit, wide)
        for _ in range(_TWICED):
            left = left - running_median(left, narrow, flags=flags | strong)[0]
        scale = few * running_median(left, wide, flags=flags | strong, even=False)[1]
        return _over(left, np.fmax(scale, noise)), left * unit

    for factor in _STRONG:
        # Strong values are replaced by the curve: without them the medians would be those of fewer
        # channels, and on a slope those of another place.
        strong = np.abs(residual()[0]) > factor * settings.single
        clean = np.where(strong, curve, spectra)
        curve = _through(clean, np.isnan(clean), size, 3, even=True)
    for _ in range(_ROUNDS):
        compared = levels.compared(*residual())
        found = settings.beyond(compared, (1,), narrow // 4, channels)
        if np.array_equal(found, flags):
            break
        flags = found
    return flags


def _noise_along(x: F4) -> F4:
    """Measure the noise of rows from the differences of neighbouring channels, (n, 1).

    With few channels, too many lie exactly on their running median for a noise from the residuals.
    """
    steps = np.abs(x[:, 1:] - x[:, :-1])
    return group_median(steps, steps.shape[1]) * (SIGMA / np.float32(np.sqrt(2)))


def _is_positive(level: F4) -> bool:
    """Return whether levels may be those of powers, with noise proportional to them."""
    known = level[np.isfinite(level)]
    return bool((known >= 0).all() and (known > 0).any())


def _over(residual: F4, scale: F4) -> F4:
    """Return residuals divided by their scale; NaN where it is 0, as there is no noise."""
    return np.divide(residual, np.where(scale > 0, scale, np.float32(np.nan)), dtype=np.float32)


def _changing(x: F4, level: F4, noise: Noise, power: bool, settings: Settings) -> Flags:
    """Return flags of samples that stand out from the other times of their channel, (n, chan).

    Powers are divided by the level of the channel: a change of gain is then the same in all
    channels, whatever the bandpass, and so is the noise (radiometer equation). A first round finds
    the strongest samples, so that the second measures levels and noise without them.
    """
    unit = np.ones_like(level)
    if power:
        np.copyto(unit, np.where(level > 0, level, np.median(level[level > 0])))
    change, lost = (x - level) / unit, np.isnan(x)
    noise = Noise(noise.sigma / unit, noise.step / unit)
    residual = _residual(change, lost, noise, settings)
    strong = np.abs(residual) > settings.single
    if strong.any():
        lost |= strong
        touched = strong.any(axis=0)
        noise.sigma[touched] = noise_of(change[:, touched], lost[:, touched]).sigma
        residual = _residual(change, lost, noise, settings)
    return settings.beyond(residual, (0, 1), settings.smooth // 2)


def _residual(change: F4, lost: Flags, noise: Noise, settings: Settings) -> F4:
    """Return changes, minus their smooth part over frequency and each channel's level, in sigmas.

    The noise of a channel is that of its neighbours: interference that fills a channel must not
    raise the noise with which it is compared.

    Parameters
    ----------
    change : ndarray, shape (n, chan), float32
    lost : ndarray, shape (n, chan), bool
        Samples that are excluded from levels and noise.
    noise : Noise
        The noise of every channel, in the unit of the changes.
    """
    n_chan = change.shape[1]
    sigma, residual = noise.sigma, change
    if n_chan >= LEAST_CHANNELS:
        size = max(1, settings.smooth // _GROUPS)
        residual = change - _through(unrounded(change, noise), lost, size,
                                     settings.smooth // size | 1, even=False)
        sigma = running_median(sigma[np.newaxis], _odd(4 * settings.width + 1, n_chan))[0][0]
    # Levels of channels that drift are poor; here the drift has been removed.
    residual = _over(residual - level_of(residual, lost, Noise(sigma, noise.step)).value, sigma)
    return gaussian(residual, lost, noise.step / sigma)


def _through(x: F4, lost: Flags, size: int, width: int, *, even: bool) -> F4:
    """Return the part of rows that is smooth over frequency.

    It is a curve through the running median of `width` medians, those of groups of `size` channels
    of which at least half have values. `even` is that of `running_median`; with it, the curve is
    cubic, not linear, and other groups are bridged.
    """
    groups = group_median(x, size, flags=lost)
    _leave_poor(groups, lost, size, bridge=even)
    if even:
        medians = running_median(groups, width)[0]
    else:
        slope = _robust_line(groups)
        medians = moving_median(groups - slope, width) + slope
    if size == 1 or groups.shape[1] == 1:
        return np.broadcast_to(medians, x.shape)
    place = (np.arange(x.shape[1]) - (size - 1) / 2) / size
    return _between(medians, place, 4 if even and groups.shape[1] >= 4 else 2)


def _robust_line(groups: F4) -> F4:
    """Fit a line to rows that almost half of the values cannot spoil (Siegel 1982), without level.

    Without it, windows that end at the edge of the band would leave a residual of a slope there.
    """
    n = groups.shape[1]
    size = -(-n // _GROUPS)
    coarse = group_median(groups, size)
    place = np.arange(coarse.shape[1], dtype=np.float32) * size
    apart = place[:, np.newaxis] - place
    apart[apart == 0] = np.nan
    slopes = (coarse[:, :, np.newaxis] - coarse[:, np.newaxis]) / apart
    each = group_median(slopes.reshape(-1, len(place)), len(place)).reshape(coarse.shape)
    slope: F4 = np.nan_to_num(group_median(each, len(place)))
    line: F4 = slope * (np.arange(n, dtype=np.float32) - np.float32((n - 1) / 2))
    return line


def _between(knots: F4, place: NDArray[np.float64], n: int) -> F4:
    """Interpolate at places between knots, (row, place), by polynomials through `n` knots."""
    first = np.clip(np.floor(place).astype(np.int64) - (n // 2 - 1), 0, knots.shape[1] - n)
    weight = np.array([np.prod([(place - first - j) / (k - j) for j in range(n) if j != k], axis=0)
                       for k in range(n)], np.float32)
    found: F4 = through_knots(knots, first, weight)
    return found


def _leave_poor(groups: F4, lost: Flags, size: int, *, bridge: bool) -> None:
    """Remove groups of which less than half have values; interpolate them if `bridge` is set."""
    if not lost.any():
        return
    starts = np.arange(0, lost.shape[1], size)
    held = np.add.reduceat(~lost, starts, axis=1, dtype=np.int64)
    poor = 2 * held < np.diff(np.append(starts, lost.shape[1]))
    groups[poor] = np.nan
    for row in np.flatnonzero(poor.any(axis=1)) if bridge else ():
        good = np.isfinite(groups[row])
        if np.count_nonzero(good) > 1:
            _bridge(groups[row], good)


def _bridge(values: F4, good: Flags) -> None:
    """Replace values that are not good by the line through the two good ones nearest to them."""
    known, poor = np.flatnonzero(good), np.flatnonzero(~good)
    right = np.clip(np.searchsorted(known, poor), 1, len(known) - 1)
    first, second = known[right - 1], known[right]
    slope = (values[second] - values[first]) / (second - first)
    values[poor] = slope * (poor - first) + values[first]
