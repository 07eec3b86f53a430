"""``python -m bench pulsars``: periodic signals in noise, found of hundreds that are injected.

Each has a period, a duty cycle and, for every fourth, a drift, drawn at random, in a series of its
own. Noise is red, a quarter of the time is lost in gaps, and the mains have a line, which is left
out by weight. Signals are as strong as the expected significance of the Fourier search requires:
that of the number of harmonics that suits it best, after trials, with the mean losses between
steps. The series is searched as `fastsig search pulsars` does: by Fourier transform and by fast
folding, and sifted. The chance by theory is that of the best of all numbers of harmonics.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import machine
from fastsig.search.pulsars import birds, significance
from fastsig.search.pulsars.engine import Searches, Settings, Trials, searches_of
from fastsig.search.pulsars.fourier import FourierSearch
from fastsig.search.pulsars.sift import METHODS, mean_turns, sift

__all__ = ["Injected", "Night", "completeness", "inject", "run"]

F8 = NDArray[np.float64]

_DUTY = 0.01, 0.3
_KNEE_HZ = 1.0  # below, noise is red
_MAINS_HZ = 50.02
_RATIOS = [(p, q) for p in range(1, 9) for q in range(1, 9) if np.gcd(p, q) == 1]
_THRESHOLD = 6.0
_PERIOD = 0.5, 60.0  # of fast folding, s


@dataclass(frozen=True)
class Night:
    """Series of one length.

    Parameters
    ----------
    n_sample : int
    sample_s : float
    n_harmonic : int
    z_max : float
        Largest drift that is searched, for every fourth signal.
    """

    n_sample: int = 2**21
    sample_s: float = 256e-6
    n_harmonic: int = 32
    z_max: float = 200.0

    @property
    def duration_s(self) -> float:
        """Length of a series, s."""
        return self.n_sample * self.sample_s

    def searches(self) -> tuple[Searches, Searches]:
        """Return the searches without and with drift."""
        trials = Trials(self.n_sample, self.sample_s, np.zeros(1))
        still, drifting = (searches_of(Settings(
            _THRESHOLD, self.n_harmonic, z, _PERIOD), [trials])[0] for z in (0.0, self.z_max))
        return still, drifting


@dataclass(frozen=True)
class Injected:
    """A signal, and whether it was found.

    Parameters
    ----------
    period_s, duty, z : float
        Period, full width at half maximum over it, and drift of the fundamental in bins.
    snr : float
        S/N of the folded profile, over the noise around each harmonic.
    expected : float
        Significance that is expected.
    chance : float
        Chance to find it, by theory.
    found : float
        Significance of the best candidate of this signal; 0 if there is none.
    method : str
        Search that found it: fourier or ffa; empty if there is no candidate.
    """

    period_s: float
    duty: float
    z: float
    snr: float
    expected: float
    chance: float
    found: float
    method: str


def inject(night: Night, seed: int, wanted: float = 8.0, *, drifts: bool = False,
           searches: Searches | None = None) -> Injected:
    """Search a series with one signal whose expected significance is `wanted`."""
    rng = np.random.default_rng(seed)
    searches = searches or night.searches()[drifts]
    search = searches.fourier
    assert search is not None
    zapped = birds.mains(50, 0.5 / night.sample_s)
    share = np.zeros(0)
    while not share.any():  # signals whose harmonics are all left out cannot be found
        r = night.duration_s / np.exp(rng.uniform(np.log(max(1.5e-3, 4 * night.sample_s)), np.log(
            min(20.0, night.duration_s / 20))))
        duty = np.exp(rng.uniform(*np.log(_DUTY)))
        share = harmonic_shares(night, r, duty, zapped)
    best, total = suited(search, share, wanted)
    z = rng.uniform(-1, 1) * night.z_max / best if drifts else 0.0
    series, weight = made(night, rng, r, z, duty, share.size, total)
    found = sift(searches.detections(series, weight, 0.0, zapped), night.duration_s).best
    own = [each for each in found if is_same(each, r, z, night)]
    return Injected(night.duration_s / r, float(duty), float(z), float(np.sqrt(2 * total)), wanted,
                    chance_of(search, share, total, seed), float(own[0]["sigma"]) if own else 0.0,
                    METHODS[own[0]["method"]] if own else "")


def harmonic_shares(night: Night, r: float, duty: float, zapped: F8) -> F8:
    """Return the share of each harmonic in the summed power, over the noise around it."""
    number = np.arange(1, int(night.n_sample / 2 / r) + 1)[:512]
    frequency = number * r / night.duration_s
    power = np.exp(-((np.pi * number * duty / 2.3548) ** 2) * 4)
    power /= 1 + (_KNEE_HZ / frequency) ** 2
    lost = ((frequency[:, np.newaxis] >= zapped[:, 0])
            & (frequency[:, np.newaxis] <= zapped[:, 1])).any(axis=1)
    power[lost | (frequency >= 0.5 / night.sample_s)] = 0
    return np.asarray(power / (power.sum() or 1.0))


def suited(search: FourierSearch, share: F8, wanted: float) -> tuple[int, float]:
    """Return the best number of harmonics, and the power of all harmonics that it needs."""
    found = []
    for n in search.stages:
        power = significance.power_of_sigma(wanted, n, search.n_trial)
        kept = float((share[:n] * kept_between_steps(n, bool(search.drift))[: share.size]).sum())
        if kept > 0 and n <= share.size:  # the highest is below half the sample rate
            found.append(((power - n) / kept, n))
    total, n = min(found)
    return n, total


def kept_between_steps(n: int, drifts: bool) -> F8:
    """Return the mean share of the power of each of n harmonics that the steps of a search keep."""
    part = np.arange(1, n + 1) / n
    off = (part**2 + (part < 1)) / 48  # mean square, in bins: of the highest, and of rounding
    bend = (1 / 3 + (part < 1) / 3) * np.pi**2 * (1 / 80 - 1 / 144) if drifts else 0.0
    return np.asarray(1 - np.pi**2 / 3 * off - bend)


def chance_of(search: FourierSearch, share: F8, total: float, seed: int, n_draw: int = 4000
              ) -> float:
    """Return the chance that any of the sums of harmonics is above the threshold."""
    found = np.zeros(n_draw, bool)
    most = min(search.n_harmonic, share.size)
    noise = np.random.default_rng(seed).standard_normal((2, n_draw, most))
    for n in (each for each in search.stages if each <= most):
        kept = total * share[:n] * kept_between_steps(n, bool(search.drift))
        power = ((noise[0, :, :n] + np.sqrt(2 * kept)) ** 2 + noise[1, :, :n] ** 2).sum(axis=1) / 2
        found |= power >= significance.power_of_sigma(search.threshold, n, search.n_trial)
    return float(found.mean())


def made(night: Night, rng: np.random.Generator, r: float, z: float, duty: float, n_share: int,
         total: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return a series and its weights."""
    n = night.n_sample
    spectrum = np.fft.rfft(rng.standard_normal(n))
    frequency = np.maximum(np.arange(spectrum.size), 1) / night.duration_s
    spectrum *= np.sqrt(1 + (_KNEE_HZ / frequency) ** 2)
    weight = np.ones(n, np.float32)
    for start in rng.choice(8, 2, replace=False):
        weight[int((start + 0.1) * n / 8) : int((start + 1.1) * n / 8)] = 0
    u = (np.arange(n) + 0.5) / n
    turns = r * u + z * (u**2 - u) / 2 + rng.random()
    wave = profile(turns, duty)
    wave -= wave.mean()
    t = night.sample_s * np.arange(n)
    valid = weight.sum()
    # Sum of |a_h|^2 over the noise around each harmonic, for this wave of amplitude 1.
    number = np.arange(1, n_share + 1)
    own = np.abs(np.fft.rfft(profile(np.arange(4096) / 4096, duty))[1 : n_share + 1] / 4096) ** 2
    level = 1 + (_KNEE_HZ * night.duration_s / (r * number[: own.size])) ** 2
    fits = number[: own.size] * r < n / 2
    unit = valid * float((own / level)[fits].sum())
    x = np.fft.irfft(spectrum, n) + np.sqrt(total / unit) * wave + 0.05 * np.sin(
        2 * np.pi * _MAINS_HZ * t)
    return np.asarray(np.where(weight > 0, x, 0), np.float32), weight


def profile(turns: F8, duty: float) -> F8:
    """Return Gaussian pulses of a full width at half maximum of a share of a turn."""
    phase = (turns + 0.5) % 1 - 0.5
    return np.asarray(np.exp(-0.5 * (phase * 2.3548 / duty) ** 2))


def is_same(candidate: Any, r: float, z: float, night: Night) -> bool:
    """Return whether a candidate has the frequency of a signal, or a simple ratio to it."""
    own = float(mean_turns(candidate, night.duration_s))
    return any(abs(own * q - r * p) < 1.0 * q + abs(z) * p / 2 * 0.1 for p, q in _RATIOS)


def completeness(night: Night, n: int, seed: int, wanted: float = 8.0) -> list[Injected]:
    """Inject `n` signals, every fourth with a drift."""
    searches = night.searches()
    return [inject(night, seed + k, wanted, drifts=k % 4 == 3, searches=searches[k % 4 == 3])
            for k in range(n)]


def run(*, quick: bool = False, keep: bool = True, levels: Sequence[float] = (5, 6, 7, 8, 9),
        n: int | None = None) -> list[Injected]:
    """Print how many signals are found, for several significances, and save the record.

    By default, `n` is 200 at the expected significance 8, and 60 at the others.
    """
    some = None if n is None else f"{n} each"
    record = machine.start_record(quick=quick, pattern=some, repeats=1, kind="pulsars")
    print(machine.headline(record))
    night = Night(2**16, 1e-3, 16, 50.0) if quick else Night()
    every: list[Injected] = []
    for wanted in levels:
        n_each = n or (8 if quick else 200 if wanted == 8 else 60)
        found = completeness(night, n_each, int(1000 * (wanted - 5)), wanted)
        share = np.mean([each.found >= _THRESHOLD for each in found])
        theory = np.mean([each.chance for each in found])
        print(f"expected significance {wanted:g}: S/N {np.median([e.snr for e in found]):.1f}, "
              f"{share:.1%} of {len(found)} found, {theory:.1%} by theory, mean significance of "
              f"those {np.mean([e.found for e in found if e.found] or [0.0]):.2f}", flush=True)
        for each in found:
            if each.found < _THRESHOLD:
                print(f"  missed: period {each.period_s:.6g} s, duty cycle {each.duty:.3f}, drift "
                      f"{each.z:.1f}, S/N {each.snr:.1f}, chance {each.chance:.2f}", flush=True)
        every += found
    if keep:
        print(f"wrote {machine.save(record, [asdict(each) for each in every])}", file=sys.stderr)
    return every
