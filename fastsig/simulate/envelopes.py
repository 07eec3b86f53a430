"""Powers averaged over the time of a spectrum and the width of a channel, in closed form."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from math import lcm, log, pi, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from fastsig.simulate import components as parts
from fastsig.simulate.rotation import Rotation

__all__ = ["box_mean", "burst_envelope", "diode_share", "line_profile", "overlap",
           "pulsar_envelope", "rotation_envelope"]

F8 = NDArray[np.float64]

_ROOT = sqrt(4 * log(2))  # of a Gaussian of FWHM 1: exp(-(root x)^2)
_AREA = sqrt(pi) / _ROOT
_CUT = 3.0  # FWHM from the peak, where 1.5e-11 of the height is left
_LEAST = 1e-3  # FWHM; narrower boxes would lose digits, and make no difference above 2e-7


def _twice(x: F8) -> F8:
    """Return the second integral of a Gaussian of height 1 and FWHM 1."""
    scaled = _ROOT * x
    return np.asarray((x * erf(scaled) + np.exp(-scaled**2) / (_ROOT * sqrt(pi))) * (_AREA / 2))


def box_mean(center: F8, first: F8 | float, second: F8 | float) -> F8:
    """Return the mean of a Gaussian of height and FWHM 1 at 0 over the convolution of two boxes.

    Parameters
    ----------
    center : ndarray, float64
        Middle of the boxes, in FWHM.
    first, second : ndarray or float
        Their widths: the time of a spectrum, and the delay across a channel.
    """
    one, two = np.maximum(first, _LEAST), np.maximum(second, _LEAST)
    reach = _CUT + (one + two) / 2
    x = np.clip(center, -reach, reach)
    ends = (_twice(x + (one + two) / 2) - _twice(x + (one - two) / 2)
            - _twice(x - (one - two) / 2) + _twice(x - (one + two) / 2))
    return np.where(np.abs(center) < reach, np.maximum(ends, 0) / (one * two), 0)


def line_profile(low: F8, high: F8, center: float, fwhm: float) -> F8:
    """Return the mean of a Gaussian line of height 1 over each span `low` to `high`, Hz."""
    ends = [erf(_ROOT * (edge - center) / fwhm) for edge in (low, high)]
    return np.asarray((ends[1] - ends[0]) * (_AREA / 2 * fwhm) / (high - low))


def _steps(start: int, n: int, step: Fraction, zero: Fraction, turn: bool) -> F8:
    """Return ``row step - zero`` of `n` rows, each rounded once; of turns the fractional part."""
    scale = lcm(step.denominator, zero.denominator)
    each, none = int(step * scale), int(zero * scale)
    found = ((row * each - none) % scale if turn else row * each - none
             for row in range(start, start + n))
    return np.array([value / scale for value in found])


def burst_envelope(
    burst: parts.Burst, start: int, n: int, step: Fraction, delay: F8, smear: F8
) -> F8:
    """Return the power of a burst relative to its peak, in the mean of each spectrum, (n, chan).

    `step` is the time of a spectrum, `delay` the delay of each channel, `smear` the delay across
    each channel, s.
    """
    fwhm = float(burst.fwhm)
    begin = _steps(start, n, step / burst.fwhm, burst.time / burst.fwhm, turn=False)
    middle = begin + float(step / burst.fwhm) / 2
    return box_mean(middle[:, np.newaxis] - delay / fwhm, float(step) / fwhm, smear / fwhm)


def pulsar_envelope(
    pulsar: parts.Pulsar, start: int, n: int, step: Fraction, delay: F8, smear: F8
) -> F8:
    """Like `burst_envelope` for periodic pulses: whole periods in a box count as their mean."""
    turns = step / pulsar.period
    begin = _steps(start, n, turns, pulsar.time / pulsar.period, turn=True)
    rest = float(turns % 1)
    center = (begin + rest / 2)[:, np.newaxis] - delay / float(pulsar.period)
    return _periodic(pulsar, center, turns, smear, None)


def rotation_envelope(
    pulsar: parts.Pulsar, rotation: Rotation, seed: int, start: int, n: int, step: Fraction,
    delay: F8, smear: F8
) -> F8:
    """Like `pulsar_envelope` for a pulsar that is not steady.

    The phase of a channel is that at the time before its delay. A spectrum has the mean period.
    """
    middle = (start + Fraction(1, 2)) * step
    phase, whole = rotation.phases(middle, step, n)
    hertz, slope = (each[:, np.newaxis] for each in rotation.rates(middle, step, n))
    center = phase[:, np.newaxis] - hertz * delay + slope * delay**2 / 2
    turns = step / pulsar.period
    if turns >= 1:  # several pulses in a spectrum
        center -= float(turns // 1 % 2) / 2
    number = whole[:, np.newaxis] + np.rint(center).astype(np.int64)
    return _periodic(pulsar, center, turns, smear,
                     lambda turn: rotation.shines(number + turn, seed))


def _periodic(pulsar: parts.Pulsar, center: F8, turns: Fraction, smear: F8,
              shines: Callable[[int], NDArray[np.bool_]] | None) -> F8:
    """Return the mean power of pulses in spectra of a number of turns, (n, chan).

    `center` are the phases of the middles of the spectra, without whole turns of their length;
    `shines` returns where there is a pulse, for the turn that is nearest and its neighbours.
    """
    duty, period = float(pulsar.duty), float(pulsar.period)
    rest, many = float(turns % 1), np.floor(smear / period)
    over = smear / period - many
    center = center + many / 2
    center -= np.rint(center)
    near = int(_CUT * duty + 0.5 + (rest + float(over.max())) / 2)
    pulses = np.zeros(center.shape)
    for turn in range(-near, near + 1):
        part = box_mean((center - turn) / duty, rest / duty, over / duty)
        pulses += part if shines is None else part * shines(turn)
    mean = duty * _AREA
    share = np.where(many > 0, over / np.maximum(many + over, 1), 1)
    pulses = share * pulses + (1 - share) * mean
    return np.asarray((turns // 1 * mean + rest * pulses) / float(turns))


def diode_share(diode: parts.Diode, start: int, n: int, step: Fraction, ticks: int) -> F8:
    """Return the share of each spectrum's time in which the diode is on, (n,)."""
    edges = [_ticks_on(diode, row * step * ticks) for row in range(start, start + n + 1)]
    return np.array([float(b - a) for a, b in pairwise(edges)]) / float(step * ticks)


def _ticks_on(diode: parts.Diode, tick: Fraction) -> Fraction:
    """Return the number of ticks before `tick` in which the diode was on."""
    since = max(tick - diode.first, Fraction(0))
    whole = since // diode.period
    return whole * diode.on + min(since - whole * diode.period, Fraction(diode.on))


def overlap(low: F8, high: F8, first: float, last: float) -> F8:
    """Return the share of each span `low` to `high` that lies within `first` to `last`."""
    inside = np.minimum(high, last) - np.maximum(low, first)
    return np.asarray(np.maximum(inside, 0) / (high - low))
