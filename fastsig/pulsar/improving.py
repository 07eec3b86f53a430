"""Improvement of period, derivative and dispersion measure (DM) by rotating a folded cube.

A cube (subint, chan, bin) that was folded with frequency f_0 and derivative f_1 at a time t_c, and
dedispersed at a DM, is rotated to trial values. A pulse of another frequency drifts; the rotation

    ``df (t - t_c) + df1 (t - t_c)^2 / 2 - K dDM (nu^-2 - nu_ref^-2) f_0``  turns

aligns it again. With weights w over the noise of a bin of unit weight, ``g = w / sigma^2``, and
harmonics X_h of each cell, ``S_h = sum g X_h exp(-2 pi i h rotation)``, the statistic is

    ``chi^2 = 2 / (n_bin sum g) sum_h |S_h|^2``,

which for noise alone has a chi^2 distribution of 2 n_harmonic degrees of freedom (Parseval; noise
that is white within a cell). It is also twice the logarithm of the likelihood ratio of a pulse of
any shape, so values where it is 1 below its maximum are a standard deviation off, and half of its
second derivatives, with the sign changed, is the inverse of the covariance of the parameters.

For frequency and derivative the rotation is a sum, so the map is a product of matrices for each
harmonic.

References
----------
S. M. Ransom, PhD thesis, Harvard University (2001): prepfold's search. D. R. Lorimer and M. Kramer,
Handbook of Pulsar Astronomy (2005), sect. 7.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.pulsar.chi2 import log_probability, sigma_of
from fastsig.pulsar.harmonics import checked, n_harmonic_of, n_significant
from fastsig.pulsar.significance import boxcar_widths
from fastsig.pulsar.spin import Spin

__all__ = ["Improvement", "Trials", "improve"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
C16 = NDArray[np.complex128]

_MOST_ROUNDS = 20
_PENALTY = 12.0  # chi^2 that a harmonic must contribute to be used for errors; noise has 2
_COARSE = 33  # trials of each parameter in the first, joint search
_COARSE_HARMONICS = 8
_SLAB = 32  # frequencies of the map computed at a time


@dataclass(frozen=True)
class Trials:
    """Maps of the last round, around the initial values.

    Parameters
    ----------
    frequency_hz, derivative_hz_s, dm : ndarray
        Trial frequencies at the time of the result, derivatives, and DMs, pc cm^-3.
    chi2_dm, snr_dm : ndarray, shape (dm,)
        chi^2 and S/N of the best boxcar at each DM, at the best frequency and derivative.
    chi2, snr : ndarray, shape (frequency, derivative), float32
        The same at each frequency and derivative, at the best DM.
    """

    frequency_hz: F8
    derivative_hz_s: F8
    dm: F8
    chi2_dm: F8
    snr_dm: F4
    chi2: F4
    snr: F4

    @property
    def n_trial(self) -> int:
        """Number of trials: of DM plus of frequency times derivative."""
        return self.dm.size + self.chi2.size


@dataclass(frozen=True)
class Improvement:
    """Improved parameters, with errors, and how significant the pulse is.

    Parameters
    ----------
    spin : Spin
        Frequency and derivative at `Spin.time_s`, the weighted mean of the times, with errors.
    dm, dm_error : float
        Dispersion measure and its error, pc cm^-3.
    covariance : ndarray, shape (3, 3)
        Of frequency (Hz), derivative (Hz/s) and DM.
    chi2, dof : float, int
        chi^2 of the aligned profile, and its degrees of freedom.
    snr : float
        S/N of the best boxcar on the aligned profile.
    sigma_single, sigma : float
        Gaussian equivalents of the probability of chi^2 for noise alone: for a single trial, and
        for `Trials.n_trial` independent ones. Neighbouring trials are not independent, so `sigma`
        is a lower limit.
    at_edge : bool
        Whether the best trial is at the edge of a range, so that the maximum may be outside.
    n_round : int
        Number of times that DM, and frequency with derivative, were searched in turn.
    profile : ndarray, shape (bin,)
        Aligned profile, weighted mean of the cells.
    trials : Trials
    """

    spin: Spin
    dm: float
    dm_error: float
    covariance: F8
    chi2: float
    dof: int
    snr: float
    sigma_single: float
    sigma: float
    at_edge: bool
    n_round: int
    profile: F8
    trials: Trials


def improve(
    cube: Any, times_s: Any, freq_mhz: Any, *, period_s: float, derivative: float = 0.0,
    dm: float = 0.0, constant: float = 1 / 2.41e-4, weights: Any = None, noise: Any = None,
    n_trial: int = 257, turns: float = 1.0,
) -> Improvement:
    """Return the period, derivative and DM of the highest chi^2, with maps and errors.

    A coarse, joint search of all three by the lowest harmonics yields a start. From there, DM is
    searched at the best frequency and derivative, and these at the best DM, in turn, until
    the best trial remains the same; from it, Newton's method on the likelihood yields the result.

    Parameters
    ----------
    cube : array, shape (subint, chan, bin), any unit
        Total intensity, folded.
    times_s : array, shape (subint,), s
        Middles of the subintegrations, after the epoch of `period_s`.
    freq_mhz : array, shape (chan,), MHz
        Centres of the channels.
    period_s, derivative : float
        Period and derivative with which the cube was folded, s and s/s.
    dm : float
        DM at which it was dedispersed, pc cm^-3; 0 if it was not.
    constant : float
        Dispersion constant, MHz^2 pc^-1 cm^3 s.
    weights : array, shape (subint, chan), optional
        Weights, proportional to the number of valid samples.
    noise : array, shape (chan,), optional
        Noise of a bin of weight 1; by default from the upper half of the harmonics.
    n_trial : int
        Odd number of trials of each parameter.
    turns : float
        The ranges are chosen so that the rotation at their ends changes by this many turns over
        the scan, for frequency and derivative alone, and over the band, for DM.

    Raises
    ------
    UsageError
        If shapes do not match, a value is out of range, or there are fewer than two subintegrations
        and channels with data.
    """
    made = _Cube(cube, times_s, freq_mhz, weights, noise,
                 Spin.of_period(period_s, derivative), float(dm), constant)
    return made.improved(_odd(n_trial), turns)


def _odd(n_trial: int) -> int:
    if not (isinstance(n_trial, int | np.integer) and 3 <= n_trial <= 4097 and n_trial % 2):
        raise UsageError(f"n_trial = {n_trial}; allowed: odd, 3 to 4097")
    return int(n_trial)


class _Cube:
    """Weighted harmonics of a cube, and its rotations."""

    def __init__(self, cube: Any, times_s: Any, freq_mhz: Any, weights: Any, noise: Any,
                 spin: Spin, dm: float, constant: float) -> None:
        values = checked(cube, "cube", 3)
        self.n_bin, self.dm = values.shape[2], dm
        times, freq = _axis(times_s, "times_s", len(values)), _axis(
            freq_mhz, "freq_mhz", values.shape[1])
        weight = _cell_weights(values, weights)
        parts = np.fft.rfft(np.where(weight[..., np.newaxis] > 0, values, 0.0), axis=-1)
        parts = parts[..., : n_harmonic_of(self.n_bin) + 1]
        gain = weight / _channel_noise(parts, weight, noise, self.n_bin) ** 2
        self.total = float(gain.sum())
        self.parts: C16 = (gain[..., np.newaxis] * parts).transpose(2, 0, 1)[1:]
        self.level = float((gain * parts[..., 0].real).sum()) / self.total / self.n_bin
        self.centre = float((gain.sum(axis=1) * times).sum()) / self.total
        self.spin = spin.at(self.centre)
        self.time = times - self.centre
        self.delay = _delays(freq, gain.sum(axis=0), constant, self.spin.frequency_hz)
        self.n_harmonic = len(self.parts)
        self.h = np.arange(1, self.n_harmonic + 1)

    def improved(self, n_trial: int, turns: float) -> Improvement:
        """Search in turn until nothing changes, then refine."""
        if not (np.isfinite(turns) and 0 < turns <= self.n_bin):
            raise UsageError(f"turns = {turns}; allowed: above 0, up to {self.n_bin}")
        offsets = [np.linspace(-step, step, n_trial) for step in self._steps(turns)]
        best = self._start(offsets)
        n_round = 0
        while n_round < _MOST_ROUNDS:
            n_round += 1
            i_dm = int(np.argmax(self._chi2(self._over_dm(offsets, best))))
            by_time = self._dedispersed(offsets[2][i_dm])
            chi2 = self._map(by_time, offsets)[0]
            new = (*(int(i) for i in np.unravel_index(np.argmax(chi2), chi2.shape)), i_dm)
            if new == best:
                break
            best = new
        trials = self._trials(offsets, best)
        return self._refined(offsets, best, trials, n_round)

    def _start(self, offsets: list[F8]) -> tuple[int, ...]:
        """Return the best trial of a coarse, joint search of all three by the H test.

        Searched in turn from their initial values, faint pulses that are smeared by two parameters
        at once would be missed.
        """
        every = max(1, (offsets[0].size - 1) // (_COARSE - 1))
        coarse = [axis[axis.size // 2 % every :: every] for axis in offsets]
        found = [(*_best_h(self._coarse(dm, coarse)), i) for i, dm in enumerate(coarse[2])]
        _, place, i_dm = max(found)
        where = (*divmod(place, coarse[1].size), i_dm)
        return tuple(axis.size // 2 % every + every * i
                     for axis, i in zip(offsets, where, strict=True))

    def _coarse(self, dm: float, coarse: list[F8]) -> F4:
        """Return chi^2 by harmonic at frequencies and derivatives, (harmonic, trial)."""
        n = min(_COARSE_HARMONICS, self.n_harmonic)
        few = self._dedispersed(dm, n)[:, :, np.newaxis] * self._ramp(
            np.outer(self.time**2 / 2, coarse[1]), n)
        sums = (self._ramp(np.outer(coarse[0], self.time), n) @ few).reshape(n, -1)
        return np.asarray(2 / (self.n_bin * self.total) * np.abs(sums) ** 2, np.float32)

    def _steps(self, turns: float) -> tuple[float, float, float]:
        span, far = np.ptp(self.time), float(np.abs(self.time).max())
        band = float(np.ptp(self.delay))
        if span == 0 or band == 0:
            raise UsageError("cube: two subintegrations and two channels with data are needed")
        return turns / span, 2 * turns / far**2, turns / band

    def _ramp(self, turns: F8, n: int | None = None) -> C16:
        """Return ramps of rotations for the first n harmonics, (harmonic, ...)."""
        return np.asarray(np.exp(-2j * np.pi * np.multiply.outer(self.h[:n], turns)))

    def _over_dm(self, offsets: list[F8], best: tuple[int, ...]) -> C16:
        """Return S at all DMs, (harmonic, dm), for the frequency and derivative of a trial."""
        turns = offsets[0][best[0]] * self.time + offsets[1][best[1]] * self.time**2 / 2
        by_chan = np.einsum("hi,hic->hc", self._ramp(turns), self.parts)
        ramp = self._ramp(np.outer(offsets[2], self.delay))
        return np.asarray(np.einsum("hdc,hc->hd", ramp, by_chan), np.complex128)

    def _dedispersed(self, dm: float, n: int | None = None) -> C16:
        """Return the sums over channels at an offset of DM, (harmonic, subint)."""
        ramp = self._ramp(dm * self.delay, n)
        return np.asarray((self.parts[:n] @ ramp[:, :, np.newaxis])[..., 0])

    def _chi2(self, sums: C16) -> F8:
        return np.asarray(2 / (self.n_bin * self.total) * (np.abs(sums) ** 2).sum(axis=0))

    def _map(self, by_time: C16, offsets: list[F8], snr: bool = False) -> tuple[F4, F4]:
        """Return chi^2, and if requested S/N, at all frequencies and derivatives."""
        chi2 = np.empty((offsets[0].size, offsets[1].size), np.float32)
        ratio = np.empty_like(chi2)
        curved = by_time[:, :, np.newaxis] * self._ramp(
            np.outer(self.time**2 / 2, offsets[1]))
        for rows in _slabs(offsets[0].size):
            sums = self._ramp(np.outer(offsets[0][rows], self.time)) @ curved
            chi2[rows] = self._chi2(sums)
            if snr:
                ratio[rows] = self._boxcars(sums.reshape(self.n_harmonic, -1)).reshape(
                    -1, chi2.shape[1])
        return chi2, ratio

    def _boxcars(self, sums: C16) -> F4:
        """Return the S/N of the best boxcar for each column of S, (harmonic, trial)."""
        scale = 1 / (self.n_bin * np.sqrt(self.total))
        both = np.concatenate([sums.real, sums.imag]).astype(np.float32) * np.float32(scale)
        return _best_boxcars(_inverse(self.n_bin, self.n_harmonic) @ both)

    def _trials(self, offsets: list[F8], best: tuple[int, ...]) -> Trials:
        by_dm = self._over_dm(offsets, best)
        chi2, snr = self._map(self._dedispersed(offsets[2][best[2]]), offsets, snr=True)
        return Trials(self.spin.frequency_hz + offsets[0], self.spin.derivative_hz_s + offsets[1],
                      self.dm + offsets[2], self._chi2(by_dm), self._boxcars(by_dm), chi2, snr)

    def _refined(self, offsets: list[F8], best: tuple[int, ...], trials: Trials, n_round: int
                 ) -> Improvement:
        start = np.array([axis[i] for axis, i in zip(offsets, best, strict=True)])
        step = np.array([axis[1] - axis[0] for axis in offsets])
        n_kept = self._n_kept(self._sums(start)[0][0])
        where, covariance = self._newton(start, step, n_kept)
        sums = self._sums(where)[0][0]
        covariance *= self._by_noise(sums[:n_kept])
        chi2, dof = float(self._chi2(sums[:, np.newaxis])[0]), 2 * self.n_harmonic
        log_p = log_probability(chi2, dof)
        errors = np.sqrt(np.diag(covariance))
        spin = Spin(self.spin.frequency_hz + where[0], self.spin.derivative_hz_s + where[1],
                    self.centre, errors[0], errors[1], float(covariance[0, 1]))
        edge = any(i in (0, axis.size - 1) for axis, i in zip(offsets, best, strict=True))
        return Improvement(
            spin, self.dm + where[2], float(errors[2]), covariance, chi2, dof,
            float(self._boxcars(sums[:, np.newaxis])[0]), sigma_of(log_p),
            sigma_of(log_p, trials.n_trial), edge, n_round, self._profile(sums), trials)

    def _profile(self, sums: C16) -> F8:
        return np.asarray(
            self.level + np.fft.irfft(np.concatenate([[0], sums, np.zeros(
                self.n_bin // 2 - self.n_harmonic)]), self.n_bin) / self.total, np.float64)

    def _n_kept(self, sums: C16) -> int:
        """Return the number of harmonics for the last step.

        A harmonic is of use only if the pulse has far more power in it than noise: the maximum
        adapts to the noise of the others, and the errors would be too small.
        """
        return n_significant(self._profile(sums), 1 / np.sqrt(self.total), _PENALTY)

    def _sums(self, where: F8, n_kept: int | None = None) -> tuple[C16, C16]:
        """Return S with its first and second derivatives, (1 + 3, harmonic), (3, 3, harmonic)."""
        turns = (where[0] * self.time + where[1] * self.time**2 / 2)[:, np.newaxis] + (
            where[2] * self.delay)
        basis = np.stack(np.broadcast_arrays(
            self.time[:, np.newaxis], (self.time**2 / 2)[:, np.newaxis], self.delay)).reshape(3, -1)
        n = self.n_harmonic if n_kept is None else n_kept
        cells = (self.parts[:n] * np.exp(-2j * np.pi * np.multiply.outer(self.h[:n], turns))
                 ).reshape(n, -1)
        slope = -2j * np.pi * self.h[:n]
        first = np.concatenate([cells.sum(axis=1)[np.newaxis], slope * (basis @ cells.T)])
        return first, np.stack([slope**2 * ((basis * row) @ cells.T) for row in basis])

    def _by_noise(self, sums: C16) -> float:
        """Return the variance with noise in the profile that is matched, relative to without."""
        h, power = self.h[: sums.size], 2 / (self.n_bin * self.total) * np.abs(sums) ** 2
        return float((h**2 * power).sum() / (h**2 * np.maximum(power - 2, power / 4)).sum())

    def _newton(self, start: F8, step: F8, n_kept: int) -> tuple[F8, F8]:
        """Return the maximum of the likelihood near a trial, and the covariance."""
        where, scale = start, 2 / (self.n_bin * self.total)
        for _ in range(30):
            sums, second = self._sums(where, n_kept)
            slope = 2 * scale * (sums[1:].conj() @ sums[0]).real
            bend = 2 * scale * ((sums[1:].conj() @ sums[1:].T) + second @ sums[0].conj()).real
            inverse = _inverse_of(bend * np.outer(step, step))
            change = np.clip(-(inverse @ (slope * step)), -1, 1)
            where = where + change * step
            if np.abs(change).max() < 1e-9:
                break
        return where, -2 * inverse * np.outer(step, step)


def _best_h(power: F4) -> tuple[float, int]:
    """Return the highest statistic of the H test and its trial, for chi^2 (harmonic, trial)."""
    total, best = np.zeros(power.shape[1], np.float32), np.full(power.shape[1], -np.inf, np.float32)
    for m, each in enumerate(power):
        total += each
        np.maximum(best, total - np.float32(4 * m), out=best)
    place = int(np.argmax(best))
    return float(best[place]), place


def _inverse_of(bend: F8) -> F8:
    """Return the inverse of second derivatives at a maximum; curvatures are limited from below."""
    values, vectors = np.linalg.eigh(bend)
    values = np.minimum(-np.abs(values), -1e-9)
    return np.asarray((vectors / values) @ vectors.T, np.float64)


def _axis(values: Any, name: str, n: int) -> F8:
    found = np.asarray(values, np.float64)
    if found.shape != (n,) or not np.isfinite(found).all():
        raise UsageError(f"{name}: shape {found.shape}; allowed: finite numbers, ({n},)")
    return found


def _cell_weights(values: F8, weights: Any) -> F8:
    """Return the weights of cells, 0 for those without data in all bins."""
    weight = np.ones(values.shape[:2]) if weights is None else np.asarray(weights, np.float64)
    if weight.shape != values.shape[:2] or not (np.isfinite(weight) & (weight >= 0)).all():
        raise UsageError(f"weights: shape {weight.shape}; allowed: numbers from 0, "
                         f"{values.shape[:2]}")
    weight = np.where(np.isfinite(values).all(axis=2) & (np.ptp(values, axis=2) > 0), weight, 0.0)
    if (weight > 0).any(axis=1).sum() < 2 or (weight > 0).any(axis=0).sum() < 2:
        raise UsageError("cube: two subintegrations and two channels with data are needed")
    return weight


def _channel_noise(parts: C16, weight: F8, noise: Any, n_bin: int) -> F8:
    """Return the noise of a bin of weight 1 in each channel.

    The median of the power of the upper half of the harmonics in all subintegrations, divided by
    ln 2, is the mean for noise; pulses barely contribute to it.
    """
    if noise is not None:
        found = _axis(noise, "noise", weight.shape[1])
        if not (found > 0).all():
            raise UsageError("noise: allowed: above 0")
        return found
    half = parts[..., parts.shape[-1] // 2 :]
    power = np.where(weight[..., np.newaxis] > 0,
                     np.abs(half) ** 2 * weight[..., np.newaxis], np.nan)
    used = (weight > 0).any(axis=0)
    result = np.ones(weight.shape[1])
    result[used] = np.sqrt(np.nanmedian(
        power[:, used].transpose(1, 0, 2).reshape(used.sum(), -1), axis=1) / np.log(2) / n_bin)
    return result


def _delays(freq: F8, gain: F8, constant: float, frequency_hz: float) -> F8:
    """Return the rotation, in turns, for a DM offset of 1, about its weighted mean."""
    if not (freq > 0).all():
        raise UsageError("freq_mhz: allowed: above 0")
    if not (np.isfinite(constant) and constant > 0):
        raise UsageError(f"constant = {constant}; allowed: above 0")
    turns = -constant * frequency_hz / freq**2
    return np.asarray(turns - (gain * turns).sum() / gain.sum(), np.float64)


def _slabs(n: int) -> Iterator[slice]:
    for first in range(0, n, _SLAB):
        yield slice(first, min(n, first + _SLAB))


def _inverse(n_bin: int, n_harmonic: int) -> F4:
    """Return the matrix from real and imaginary parts of harmonics to bins."""
    turns = 2 * np.pi / n_bin * (np.outer(np.arange(n_bin), np.arange(1, n_harmonic + 1)) % n_bin)
    return np.concatenate([2 * np.cos(turns), -2 * np.sin(turns)], axis=1).astype(np.float32)


def _best_boxcars(profiles: F4) -> F4:
    """Return the S/N of the best boxcar, for columns with noise 1 in each bin and mean 0."""
    n_bin = len(profiles)
    sums = np.zeros((2 * n_bin + 1, profiles.shape[1]), np.float32)
    np.cumsum(np.concatenate([profiles, profiles]), axis=0, out=sums[1:])
    best = np.full(profiles.shape[1], -np.inf, np.float32)
    for width in boxcar_widths(n_bin):
        norm = np.float32(1 / np.sqrt(width * (1 - width / n_bin)))
        np.maximum(best, norm * (sums[width : width + n_bin] - sums[:n_bin]).max(axis=0), out=best)
    return best
