"""Which samples of a segment of spectra are interference: the statistics of `Flag`.

Nothing here knows of streams: arrays of one product come in, flags go out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from fastsig_kernels import (
    group_median,
    running_median,
    sum_threshold,
    sum_thresholds,
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

#: Rows of a state that are judged together over time; fewer are judged one by one.
LEAST_ROWS = 8

#: Channels from which there is a running median over frequency.
LEAST_CHANNELS = 16

_TWICED = 2  # running medians, the second of what the first left (Tukey 1977)
_ROUNDS = 2  # of levels and flags, each seeing what the one before found
_STRONG = (np.float32(8), np.float32(1))  # the strongest first: they pull what is beside them
_LEVELLED = 16  # times fewer samples than the radiometer's: levels that were set, not measured
_FOLLOWS = 4  # errors by which levels and the slope of noise over levels are known to differ
_FREEDOM = 2.7  # values in a median absolute deviation for a degree of freedom
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
    samples : float or None
        Independent samples in a value by width of the channels and time, where they are known.
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
        """Samples whose residual, in standard deviations, is too large; NaN never is.

        Runs over frequency are `most` long: there is nothing wider in the residual. `channels`
        are those of the residual.
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
        """Share of noise that is expected to go, of each product that is judged."""
        if self.clip is None and self.sum_threshold is None:
            return 0.0
        runs = np.empty(0) if self.sum_threshold is None else sum_thresholds(
            self.sum_threshold, self.max_window)[1:]
        return share_of_noise(np.append(float(self.single), runs))

    def at_share(self, wanted: float) -> Settings:
        """The same, with thresholds in the same proportion that take a share of noise."""
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
    """Spectra that are judged over frequency.

    Parameters
    ----------
    values : ndarray, shape (n, chan), float32
    power : bool
        Whether they are powers.
    error : ndarray, shape (chan,), float32, optional
        Their noise, where it is known.
    least : ndarray, shape (chan,), float32, optional
        What a channel must stand out by besides.
    n_mean : int
        Rows of spectra that each is the level of.
    """

    values: F4
    power: bool
    error: F4 | None = None
    least: F4 | None = None
    n_mean: int = 1

    def part(self, channels: slice, width: int) -> _Levels:
        """Those of some channels, with the noise of all about each of them."""
        error, least = (None if x is None else x[channels] for x in (self.error, self.least))
        if error is not None:
            wide = _odd(4 * width + 1, len(error))
            error = running_median(error[np.newaxis], wide)[0][0]
        return replace(self, values=np.ascontiguousarray(self.values[:, channels]), error=error,
                       least=least)

    def unit(self, curve: F4) -> F4:
        """What their noise is in proportion to."""
        return curve if self.power and _is_positive(curve) else np.ones_like(curve)

    def noise(self, left: F4, unit: F4, wide: int) -> F4:
        """Noise of what is left of them in that unit: what is known, or by few channels."""
        if self.error is not None:
            return self.error / unit
        return np.float32(student(wide / _FREEDOM)) * _noise_along(left)

    def compared(self, residual: F4, left: F4) -> F4:
        """Residuals without skewness, and 0 where what is left is less than it must be."""
        even = straight(residual, self.n_mean)
        if self.least is None:
            return even
        return np.where(np.abs(left) < self.least, np.float32(0), even)


def _levelled(level: Level, sigma: F4, settings: Settings) -> bool:
    """Whether levels were set, as for a recording in few bits, and are not those of powers.

    Noise is far above that of the radiometer equation then, and does not follow the levels, which
    say nothing of interference weaker than the noise of a single sample.
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
    """Of what is above 0, over its mean, within a factor of e."""
    found = np.clip(np.log(x / np.median(x)), -1, 1)
    return np.asarray(found - np.mean(found), np.float32)


def _odd(width: int, most: int) -> int:
    """The odd window closest to `width` that is no longer than `most`."""
    width = min(width, most)
    return max(1, width - 1 + width % 2)


def _steady(levels: _Levels, settings: Settings) -> Flags:
    """Channels of spectra that stand out from their neighbours, (n, chan).

    Where many channels count for nothing a band ends, and another begins behind them.
    """
    flags = np.zeros(levels.values.shape, np.bool_)
    held = np.logical_or.reduce(np.isfinite(levels.values), axis=0)
    for first, stop in _stretches(held, settings.width // 4):
        if stop - first >= LEAST_CHANNELS:
            part = slice(first, stop)
            flags[:, part] = _outstanding(levels.part(part, settings.width), settings, part)
    return flags


def _stretches(held: NDArray[np.bool_], gap: int) -> list[tuple[int, int]]:
    """First and stop of runs of channels that are held, over gaps of up to `gap`."""
    edges = np.flatnonzero(np.diff(held, prepend=False, append=False)).reshape(-1, 2)
    runs: list[tuple[int, int]] = []
    for first, stop in edges.tolist():
        if runs and first - runs[-1][1] <= gap:
            runs[-1] = runs[-1][0], stop
        else:
            runs.append((first, stop))
    return runs


def _outstanding(levels: _Levels, settings: Settings, channels: slice) -> Flags:
    """`_steady` of channels without a wide gap; `channels` is where these are among all."""
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
        # In the place of what is strong stands the curve: without it the medians would be those
        # of fewer channels, and of another place on a slope.
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
    """Noise of rows by the differences of neighbouring channels, (n, 1).

    Few channels are on their running median too often for a noise by what is left of them.
    """
    steps = np.abs(x[:, 1:] - x[:, :-1])
    return group_median(steps, steps.shape[1]) * (SIGMA / np.float32(np.sqrt(2)))


def _is_positive(level: F4) -> bool:
    """Whether levels may be those of powers, so that noise is in proportion to them."""
    known = level[np.isfinite(level)]
    return bool((known >= 0).all() and (known > 0).any())


def _over(residual: F4, scale: F4) -> F4:
    """Residuals in units of their scale; NaN where that is 0: there is no noise to judge by."""
    return np.divide(residual, np.where(scale > 0, scale, np.float32(np.nan)), dtype=np.float32)


def _changing(x: F4, level: F4, noise: Noise, power: bool, settings: Settings) -> Flags:
    """Samples that stand out from their channel's other times, (n, chan).

    Of powers all is relative to the level of the channel: a change of gain is the same in all
    channels then, whatever the bandpass, and so is the noise (the radiometer equation). A first
    look finds the strongest, so that the second measures levels and noise without them.
    """
    unit = np.ones_like(level)
    if power:
        np.copyto(unit, np.where(level > 0, level, np.median(level[level > 0])))
    change, lost = (x - level) / unit, np.isnan(x)
    noise = Noise(noise.sigma / unit, noise.step / unit)
    strong = np.abs(_residual(change, lost, noise, settings)) > settings.single
    if strong.any():
        lost |= strong
        touched = strong.any(axis=0)
        noise.sigma[touched] = noise_of(change[:, touched], lost[:, touched]).sigma
    return settings.beyond(_residual(change, lost, noise, settings), (0, 1), settings.smooth // 2)


def _residual(change: F4, lost: Flags, noise: Noise, settings: Settings) -> F4:
    """What of changes is not smooth over frequency and not that channel's always, in sigmas.

    The noise of a channel is that of its neighbours: one that is full of interference must not
    hide behind a noise of its own.

    Parameters
    ----------
    change : ndarray, shape (n, chan), float32
    lost : ndarray, shape (n, chan), bool
        What counts for no level and no noise.
    noise : Noise
        Of every channel, in the unit of the changes.
    """
    n_chan = change.shape[1]
    sigma, residual = noise.sigma, change
    if n_chan >= LEAST_CHANNELS:
        size = max(1, settings.smooth // _GROUPS)
        residual = change - _through(unrounded(change, noise), lost, size,
                                     settings.smooth // size | 1, even=False)
        sigma = running_median(sigma[np.newaxis], _odd(4 * settings.width + 1, n_chan))[0][0]
    # Levels of what has drifted are poor; here the drift is gone.
    residual = _over(residual - level_of(residual, lost, Noise(sigma, noise.step)).value, sigma)
    return gaussian(residual, lost, noise.step / sigma)


def _through(x: F4, lost: Flags, size: int, width: int, *, even: bool) -> F4:
    """What of rows is smooth over frequency: through the running median of `width` medians.

    The medians are those of groups of `size` channels, at least half of which count. `even` is
    that of `running_median`; it has cubic curves in place of lines, and bridges for other groups.
    """
    groups = group_median(x, size, flags=lost)
    _leave_poor(groups, lost, size, bridge=even)
    slope = np.zeros_like(groups) if even else _robust_line(groups)
    medians = running_median(groups - slope, width, even=even)[0] + slope
    if size == 1 or groups.shape[1] == 1:
        return np.broadcast_to(medians, x.shape)
    place = (np.arange(x.shape[1]) - (size - 1) / 2) / size
    return _between(medians, place, 4 if even and groups.shape[1] >= 4 else 2)


def _robust_line(groups: F4) -> F4:
    """A line through rows that half of the values may not spoil (Siegel 1982), without its level.

    Windows that end with the band would else leave what is left of a slope there.
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
    """Values at places among knots, (row, place), by the polynomial through the `n` about each."""
    first = np.clip(np.floor(place).astype(np.int64) - (n // 2 - 1), 0, knots.shape[1] - n)
    values = np.zeros((len(knots), len(place)), np.float32)
    for k in range(n):
        others = [j for j in range(n) if j != k]
        weight = np.prod([(place - first - j) / (k - j) for j in others], axis=0)
        part = np.take(knots, first + k, axis=1, mode="clip")
        part *= weight.astype(np.float32)
        values += part
    return values


def _leave_poor(groups: F4, lost: Flags, size: int, *, bridge: bool) -> None:
    """Take out groups less than half of which count; put on a line between others if asked."""
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
    """Put what is not good on the line through the two that are beside it, or nearest to it."""
    known, poor = np.flatnonzero(good), np.flatnonzero(~good)
    right = np.clip(np.searchsorted(known, poor), 1, len(known) - 1)
    first, second = known[right - 1], known[right]
    slope = (values[second] - values[first]) / (second - first)
    values[poor] = slope * (poor - first) + values[first]
