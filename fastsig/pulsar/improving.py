"""Improvement of period, derivative and dispersion measure (DM) by rotating a folded cube.

A cube (subint, chan, bin) that was folded with frequency f_0 and derivative f_1 at a time t_c, and
dedispersed at a DM, is rotated to trial values. A pulse of another frequency drifts; the rotation

    ``df (t - t_c) + df1 (t - t_c)^2 / 2 - K dDM (nu^-2 - nu_ref^-2) f_0``  turns

aligns it again. With weights ``g = w / sigma^2``, where sigma is the noise of a bin of unit weight
w, and with sums over the cells of their harmonics X_h, ``S_h = sum g X_h exp(-2 pi i h rotation)``,
the statistic is

    ``chi^2 = (2 / (n_bin sum g)) sum_h |S_h|^2``,

which has a chi^2 distribution of 2 n_harmonic degrees of freedom for noise alone, if this is white
within a cell. The statistic is also twice the logarithm of the likelihood ratio of a pulse of any
shape. Parameters at which it is 1 below its maximum are therefore one standard deviation from the
best ones. The inverse of the covariance of the parameters is half of the matrix of its second
derivatives, with the sign changed.

For frequency and derivative the rotation is a sum, so the map is a product of matrices for each
harmonic.

References
----------
S. M. Ransom, PhD thesis, Harvard University (2001): prepfold's search. D. R. Lorimer and M. Kramer,
Handbook of Pulsar Astronomy (2005), sect. 7.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.pulsar.chi2 import log_probability, sigma_of
from fastsig.pulsar.folded_cube import FoldedCube
from fastsig.pulsar.harmonics import n_significant
from fastsig.pulsar.spin import Spin
from fastsig.work.shown import Shown

__all__ = ["Improvement", "Trials", "improve"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
C16 = NDArray[np.complex128]

_MOST_ROUNDS = 20
_PENALTY = 12.0  # chi^2 that a harmonic must contribute to be used for errors; noise has 2
_COARSE = 33  # trials of each parameter in the first, joint search


@dataclass(frozen=True, repr=False)
class Trials(Shown):
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
        """Number of trials: those of DM, plus those of frequency times those of derivative."""
        return self.dm.size + self.chi2.size


@dataclass(frozen=True, repr=False)
class Improvement(Shown):
    """Improved parameters, with their errors, and the significance of the pulse.

    Parameters
    ----------
    spin : Spin
        Frequency and derivative at `Spin.time_s`, the weighted mean of the times, with errors.
    dm, dm_error : float
        Dispersion measure and its error, pc cm^-3.
    covariance : ndarray, shape (3, 3)
        Covariance of frequency (Hz), derivative (Hz/s) and DM.
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
        Number of times that DM, and frequency with derivative, were searched alternately.
    profile : ndarray, shape (bin,)
        Aligned profile: the weighted mean of the cells.
    trials : Trials
        Maps of the last round.
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

    A coarse, joint search of all three with the lowest harmonics yields a starting point. From
    there, the DM is searched at the best frequency and derivative, and these are searched at the
    best DM, alternately, until the best trial remains the same. Newton's method on the likelihood
    then refines that trial.

    Parameters
    ----------
    cube : array, shape (subint, chan, bin), any unit
        Folded total intensity.
    times_s : array, shape (subint,), s
        Middles of the subintegrations, after the epoch of `period_s`.
    freq_mhz : array, shape (chan,), MHz
        Centres of the channels.
    period_s, derivative : float
        Period and derivative with which the cube was folded, s and s/s.
    dm : float
        DM at which the cube was dedispersed, pc cm^-3; 0 if it was not dedispersed.
    constant : float
        Dispersion constant, MHz^2 pc^-1 cm^3 s.
    weights : array, shape (subint, chan), optional
        Weights, proportional to the number of valid samples.
    noise : array, shape (chan,), optional
        Noise of a bin of weight 1; by default measured from the upper half of the harmonics.
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
    made = _Search(cube, times_s, freq_mhz, weights, noise,
                   Spin.of_period(period_s, derivative), float(dm), constant)
    return made.improved(_odd(n_trial), turns)


def _odd(n_trial: int) -> int:
    if not (isinstance(n_trial, int | np.integer) and 3 <= n_trial <= 4097 and n_trial % 2):
        raise UsageError(f"n_trial = {n_trial}; allowed: odd, 3 to 4097")
    return int(n_trial)


class _Search(FoldedCube):
    """Search over a cube: rounds of DM, and of frequency with derivative, then Newton's method."""

    def improved(self, n_trial: int, turns: float) -> Improvement:
        """Search in turn until nothing changes, then refine."""
        if not (np.isfinite(turns) and 0 < turns <= self.n_bin):
            raise UsageError(f"turns = {turns}; allowed: above 0, up to {self.n_bin}")
        offsets = [np.linspace(-step, step, n_trial) for step in self.steps(turns)]
        best = self._start(offsets)
        n_round, mapped = 0, -1
        while n_round < _MOST_ROUNDS:
            n_round += 1
            i_dm = int(np.argmax(self.chi2_of(self.over_dm(offsets, best))))
            if i_dm != mapped:  # a map belongs to a DM alone
                chi2 = self.map_of(self.dedispersed(offsets[2][i_dm]), offsets)[0]
                mapped = i_dm
            new = (*(int(i) for i in np.unravel_index(np.argmax(chi2), chi2.shape)), i_dm)
            if new == best:
                break
            best = new
        trials = self._trials(offsets, best)
        return self._refined(offsets, best, trials, n_round)

    def _start(self, offsets: list[F8]) -> tuple[int, ...]:
        """Return the best trial of a coarse, joint search of all three by the H test.

        If the parameters were searched in turn from their initial values, faint pulses that are
        smeared by two of them at once would be missed.
        """
        every = max(1, (offsets[0].size - 1) // (_COARSE - 1))
        coarse = [axis[axis.size // 2 % every :: every] for axis in offsets]
        found = [(*_best_h(self.coarse_map(dm, coarse)), i) for i, dm in enumerate(coarse[2])]
        _, place, i_dm = max(found)
        where = (*divmod(place, coarse[1].size), i_dm)
        return tuple(axis.size // 2 % every + every * i
                     for axis, i in zip(offsets, where, strict=True))

    def _trials(self, offsets: list[F8], best: tuple[int, ...]) -> Trials:
        by_dm = self.over_dm(offsets, best)
        chi2, snr = self.map_of(self.dedispersed(offsets[2][best[2]]), offsets, snr=True)
        return Trials(self.spin.frequency_hz + offsets[0], self.spin.derivative_hz_s + offsets[1],
                      self.dm + offsets[2], self.chi2_of(by_dm), self.boxcars(by_dm), chi2, snr)

    def _refined(self, offsets: list[F8], best: tuple[int, ...], trials: Trials, n_round: int
                 ) -> Improvement:
        start = np.array([axis[i] for axis, i in zip(offsets, best, strict=True)])
        step = np.array([axis[1] - axis[0] for axis in offsets])
        n_kept = self._n_kept(self.sums_at(start)[0][0])
        where, covariance = self._newton(start, step, n_kept)
        sums = self.sums_at(where)[0][0]
        covariance *= self._by_noise(sums[:n_kept])
        chi2, dof = float(self.chi2_of(sums[:, np.newaxis])[0]), 2 * self.n_harmonic
        log_p = log_probability(chi2, dof)
        errors = np.sqrt(np.diag(covariance))
        spin = Spin(self.spin.frequency_hz + where[0], self.spin.derivative_hz_s + where[1],
                    self.centre, errors[0], errors[1], float(covariance[0, 1]))
        edge = any(i in (0, axis.size - 1) for axis, i in zip(offsets, best, strict=True))
        return Improvement(
            spin, self.dm + where[2], float(errors[2]), covariance, chi2, dof,
            float(self.boxcars(sums[:, np.newaxis])[0]), sigma_of(log_p),
            sigma_of(log_p, trials.n_trial), edge, n_round, self.profile_of(sums), trials)

    def _n_kept(self, sums: C16) -> int:
        """Return the number of harmonics for the last step.

        A harmonic is of use only if the pulse has far more power in it than noise: the maximum
        adapts to the noise of the others, and the errors would be too small.
        """
        return n_significant(self.profile_of(sums), 1 / np.sqrt(self.total), _PENALTY)

    def _by_noise(self, sums: C16) -> float:
        """Return the variance with noise in the profile that is matched, relative to without."""
        h, power = self.h[: sums.size], 2 / (self.n_bin * self.total) * np.abs(sums) ** 2
        return float((h**2 * power).sum() / (h**2 * np.maximum(power - 2, power / 4)).sum())

    def _newton(self, start: F8, step: F8, n_kept: int) -> tuple[F8, F8]:
        """Return the maximum of the likelihood near a trial, and the covariance."""
        where, scale = start, 2 / (self.n_bin * self.total)
        for _ in range(30):
            sums, second = self.sums_at(where, n_kept)
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
