"""A folded cube as weighted harmonics, rotated to other frequencies, derivatives and DMs.

`fastsig.pulsar.improving` states the formulae.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.pulsar.harmonics import checked, n_harmonic_of
from fastsig.pulsar.off_pulse import boxcar_widths
from fastsig.pulsar.spin import Spin

__all__ = ["FoldedCube"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
C16 = NDArray[np.complex128]

_SLAB = 32  # frequencies of the map computed at a time
_COARSE_HARMONICS = 8


class FoldedCube:
    """Weighted harmonics of a cube, and its rotations; arguments as for `improving.improve`."""

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

    def steps(self, turns: float) -> tuple[float, float, float]:
        """Return the offsets of frequency, derivative and DM that rotate the ends by `turns`."""
        span, far = np.ptp(self.time), float(np.abs(self.time).max())
        band = float(np.ptp(self.delay))
        if span == 0 or band == 0:
            raise UsageError("cube: two subintegrations and two channels with data are needed")
        return turns / span, 2 * turns / far**2, turns / band

    def ramp(self, turns: F8, n: int | None = None) -> C16:
        """Return ramps of rotations for the first n harmonics, (harmonic, ...)."""
        return np.asarray(np.exp(-2j * np.pi * np.multiply.outer(self.h[:n], turns)))

    def over_dm(self, offsets: list[F8], best: tuple[int, ...]) -> C16:
        """Return S at all DMs, (harmonic, dm), for the frequency and derivative of a trial."""
        turns = offsets[0][best[0]] * self.time + offsets[1][best[1]] * self.time**2 / 2
        by_chan = np.einsum("hi,hic->hc", self.ramp(turns), self.parts)
        ramp = self.ramp(np.outer(offsets[2], self.delay))
        return np.asarray(np.einsum("hdc,hc->hd", ramp, by_chan), np.complex128)

    def dedispersed(self, dm: float, n: int | None = None) -> C16:
        """Return the sums over channels at an offset of DM, (harmonic, subint)."""
        ramp = self.ramp(dm * self.delay, n)
        return np.asarray((self.parts[:n] @ ramp[:, :, np.newaxis])[..., 0])

    def chi2_of(self, sums: C16) -> F8:
        """Return chi^2 of sums S, (harmonic, ...)."""
        return np.asarray(2 / (self.n_bin * self.total) * (np.abs(sums) ** 2).sum(axis=0))

    def coarse_map(self, dm: float, coarse: list[F8]) -> F4:
        """Return chi^2 by harmonic at frequencies and derivatives, (harmonic, trial)."""
        n = min(_COARSE_HARMONICS, self.n_harmonic)
        few = self.dedispersed(dm, n)[:, :, np.newaxis] * self.ramp(
            np.outer(self.time**2 / 2, coarse[1]), n)
        sums = (self.ramp(np.outer(coarse[0], self.time), n) @ few).reshape(n, -1)
        return np.asarray(2 / (self.n_bin * self.total) * np.abs(sums) ** 2, np.float32)

    def map_of(self, by_time: C16, offsets: list[F8], snr: bool = False) -> tuple[F4, F4]:
        """Return chi^2, and if requested S/N, at all frequencies and derivatives."""
        chi2 = np.empty((offsets[0].size, offsets[1].size), np.float32)
        ratio = np.empty_like(chi2)
        curved = by_time[:, :, np.newaxis] * self.ramp(
            np.outer(self.time**2 / 2, offsets[1]))
        for rows in _slabs(offsets[0].size):
            sums = self.ramp(np.outer(offsets[0][rows], self.time)) @ curved
            chi2[rows] = self.chi2_of(sums)
            if snr:
                ratio[rows] = self.boxcars(sums.reshape(self.n_harmonic, -1)).reshape(
                    -1, chi2.shape[1])
        return chi2, ratio

    def boxcars(self, sums: C16) -> F4:
        """Return the S/N of the best boxcar for each column of S, (harmonic, trial)."""
        scale = 1 / (self.n_bin * np.sqrt(self.total))
        both = np.concatenate([sums.real, sums.imag]).astype(np.float32) * np.float32(scale)
        return _best_boxcars(_inverse(self.n_bin, self.n_harmonic) @ both)

    def profile_of(self, sums: C16) -> F8:
        """Return the mean profile of sums S, (harmonic,), with its level."""
        return np.asarray(
            self.level + np.fft.irfft(np.concatenate([[0], sums, np.zeros(
                self.n_bin // 2 - self.n_harmonic)]), self.n_bin) / self.total, np.float64)

    def sums_at(self, where: F8, n_kept: int | None = None) -> tuple[C16, C16]:
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
