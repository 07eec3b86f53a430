"""Polycos from a par file, for a scan at a telescope: `from_par`."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import inf, isfinite, log10
from os import PathLike
from typing import Any

import numpy as np
from astropy.time import Time
from numpy.polynomial import Chebyshev, Polynomial
from numpy.typing import NDArray

from fastsig import telescopes
from fastsig.axes.time import time_from_mjd
from fastsig.errors import FastsigWarning, PlanError, UsageError, users_line
from fastsig.pulsar.phases import Instant
from fastsig.pulsar.polyco import Polyco
from fastsig.pulsar.polyco_text import Block
from fastsig.pulsar.timing_model import TimingModel
from fastsig.telescopes import Telescope
from fastsig.telescopes.kernels import kernel_of

__all__ = ["from_par"]

Array = NDArray[np.float64]

#: Middles of blocks are multiples of 1/1024 day: exact in a float64 and in TEMPO's decimals.
_GRID = 1024
_GRID_S = Fraction(86400, _GRID)
#: Lengths of blocks in these units, from 45 to 2.8 minutes.
_LENGTHS = (32, 16, 8, 4, 2)
_N_COEFFICIENT = 15
_N_NODE = 2 * _N_COEFFICIENT
#: Largest error of a fit, turns. PINT rounds times to 0.3 ns, which is 2e-7 turn at 600 Hz.
_MOST_TURNS = 1e-6
_LONGEST_S = 30 * 86400


def from_par(path: str | PathLike[str], telescope: str | Telescope, first: Time, last: Time, *,
             mhz: float = inf, kernel: str | PathLike[str] | None = None,
             clock_dir: str | PathLike[str] | None = None) -> Polyco:
    """Return polycos of a par file that cover a scan, fitted to PINT's phases.

    Blocks begin and end at fixed times of the day, so that they do not depend on the scan. They are
    45 minutes long, or shorter where an orbit requires it. At times between those of the fit, the
    phases agree with those of PINT to 1e-6 turn; ``parameters()`` of the result contains the
    largest difference.

    Parameters
    ----------
    path : path
        Par file of TEMPO, tempo2 or PINT.
    telescope : str or Telescope
        Telescope, or its name.
    first, last : Time
        Times to cover.
    mhz : float
        Frequency at the telescope to which the phases refer, MHz; infinite by default. A pulse at
        another frequency is dispersed. Specify the frequency to which the data are dedispersed.
    kernel : path, optional
        Ephemeris of the solar system (.bsp); by default that of the installed package. If this is
        not the ephemeris named in the par file, a warning is issued.
    clock_dir : path, optional
        Folder of clock files; by default, a telescope's clock is taken to be UTC, and terrestrial
        time to be TT(TAI).

    Raises
    ------
    UsageError
        If PINT or a kernel is not installed, or the arguments are not valid.
    FormatError
        If a file cannot be read, or is missing.
    PlanError
        If the phases cannot be fitted to 1e-6 turn.
    """
    if not mhz > 0:
        raise UsageError(f"mhz = {mhz!r}; allowed: a frequency above 0 MHz, or inf")
    site = telescope if isinstance(telescope, Telescope) else telescopes.get(telescope)
    start, length = Instant.of(first), Instant.of(last).since(Instant.of(first))
    if not 0 <= length <= _LONGEST_S:
        raise UsageError(f"polycos from {first.iso} to {last.iso}; allowed: 0 to 30 days")
    model = TimingModel(path, site, kernel_of(kernel), clock_dir)
    _warn_of_kernel(model)
    fit = _fitted(model, start, start.later(length), mhz)
    return Polyco(_blocks(model, fit, mhz), made=_made(model, fit, last))


@dataclass(frozen=True)
class _Fit:
    """Polynomials of the phases of blocks, and by how much they differ from PINT's, turns."""

    middles: list[tuple[int, int]]
    length: int
    times: Time
    turns: list[int]
    fractions: Array
    coefficients: list[Array]
    errors: list[Array]

    @property
    def worst(self) -> float:
        return float(max(np.abs(each).max() for each in self.errors))


def _fitted(model: TimingModel, first: Instant, last: Instant, mhz: float) -> _Fit:
    """Fit with the longest blocks that are accurate enough."""
    for length in _LENGTHS:
        fit = _fit(model, first, last, mhz, length)
        if fit.worst <= _MOST_TURNS:
            return fit
    raise PlanError(f"{model.path}: polycos of {float(length * _GRID_S / 60):.1f} minutes differ "
                    f"from PINT by {fit.worst:.1e} turn; allowed: {_MOST_TURNS:.0e}")


def _fit(model: TimingModel, first: Instant, last: Instant, mhz: float, length: int) -> _Fit:
    middles = list(_middles(first, last, length))
    half = float(length * _GRID_S / 2)
    nodes = half * np.cos(np.pi * (np.arange(_N_NODE) + 0.5) / _N_NODE)
    between = np.linspace(-half, half, _N_NODE)
    offsets = np.round(np.concatenate([[0.0], nodes, between]) * 1024) / 1024
    times = _times(middles, offsets)
    turns, fractions = model.phases(times, mhz)
    n = len(offsets)
    found, errors = [], []
    for at in range(0, n * len(middles), n):
        rest = _rest(_reference(model), turns[at:at + n], fractions[at:at + n], offsets)
        fit = Chebyshev.fit(offsets[1:_N_NODE + 1], rest[1:_N_NODE + 1], _N_COEFFICIENT - 1,
                            domain=[-half, half])
        polynomial = fit.convert(kind=Polynomial, domain=[-60, 60], window=[-1, 1])
        found.append(np.asarray(polynomial.coef, np.float64))
        errors.append(np.asarray(rest - polynomial(offsets), np.float64))
    return _Fit(middles, length, times[::n], turns[::n], fractions[::n], found, errors)


def _middles(first: Instant, last: Instant, length: int) -> Iterable[tuple[int, int]]:
    """Return day and number of grid steps of the middles of blocks that cover a scan.

    A block begins at midnight, so that a leap second is always at an end of one.
    """
    step = length * _GRID_S
    begin = Instant.of(first.time)
    day = begin.day
    while True:
        for k in range(_GRID // length):
            low = Instant(day).later(k * step)
            if low.since(last) > 0:
                return
            if low.later(step + 1).since(first) >= 0:
                yield day, k * length + length // 2
        day += 1


def _times(middles: list[tuple[int, int]], offsets: Array) -> Time:
    """Return the times of all blocks in one array: SI seconds after each middle."""
    midnights = [time_from_mjd(day).tai for day, _ in middles]
    first = np.repeat([each.jd1 for each in midnights], len(offsets))
    second = np.repeat([each.jd2 for each in midnights], len(offsets))
    seconds = np.concatenate([float(step * _GRID_S) + offsets for _, step in middles])
    return Time(first, second + seconds / 86400, format="jd", scale="tai").utc


def _rest(frequency: Fraction, turns: list[int], fractions: Array, offsets: Array) -> Array:
    """Return phases relative to the first, without the turns of the reference frequency."""
    return np.array([float(each - turns[0] + Fraction(float(part)) - Fraction(float(fractions[0]))
                           - frequency * Fraction(float(offset)))
                     for each, part, offset in zip(turns, fractions, offsets, strict=True)])


def _reference(model: TimingModel) -> Fraction:
    """Return F0 with the twelve decimals that TEMPO writes."""
    return Fraction(np.format_float_positional(model.model.F0.value, precision=12))


def _blocks(model: TimingModel, fit: _Fit, mhz: float) -> list[Block]:
    dopplers, orbits = model.dopplers(fit.times), model.orbits(fit.times)
    found = []
    for k, (day, step) in enumerate(fit.middles):
        exact = fit.turns[k] + Fraction(float(fit.fractions[k]))
        phase = Fraction(round(exact * 10**6), 10**6)
        coefficients = [Fraction(float(each)) for each in fit.coefficients[k]]
        coefficients[0] = Fraction(float(coefficients[0] + exact - phase))
        found.append(Block(
            model.source, day, Fraction(step, _GRID), model.dm or 0.0, float(dopplers[k]) * 1e4,
            log10(max(float(np.std(fit.errors[k])), 1e-12)), phase, _reference(model),
            model.telescope.tempo or model.telescope.name, -(-fit.length * 1440 // _GRID),
            mhz if isfinite(mhz) else 0.0, tuple(coefficients),
            "" if orbits is None else f"{orbits[0][k] % 1:.4f}{orbits[1]:9.4f}"))
    return found


def _made(model: TimingModel, fit: _Fit, last: Time) -> dict[str, Any]:
    with open(model.path, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    return {"par_sha256": digest, "largest_error_turns": float(f"{fit.worst:.2g}"),
            **model.parameters(last)}


def _warn_of_kernel(model: TimingModel) -> None:
    wanted = model.model.EPHEM.value
    if wanted is not None and wanted.upper() != model.kernel.name:
        warnings.warn(FastsigWarning(
            f"{model.path}: EPHEM {wanted}; {model.kernel.name} of {model.kernel.origin} is used. "
            "Give the kernel for phases that agree with the par file"), stacklevel=users_line())
