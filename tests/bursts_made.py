"""Simulated spectra with a burst, apart from the code under test."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from scipy.stats import exponnorm, norm
from streams import MemorySpectra, header

import fastsig as fs
from fastsig.axes.frequency import ChannelAxis

RATE, N_CHAN, N_TIME = 1000, 64, 1600
AXIS = ChannelAxis(Fraction(1202_500_000), Fraction(5_000_000), N_CHAN)
MHZ = 1202.5 + 5.0 * np.arange(N_CHAN)
K = 1 / 2.41e-4
LEVEL, SIGMA = 50.0, 3.0  # of a product
FULL = ("AA", "BB", "CR", "CI")


def profile(at_s: float, dm: float, sigma_s: float, tau_s: float = 0.0, index: float = 4.0,
            n_time: int = N_TIME) -> np.ndarray:
    """Densities (time, chan) of unit area in s, averaged over each sample.

    The scattering time is that at the band's centre in f^-2, as the tail's reference is.
    """
    edges = np.arange(n_time + 1) / RATE
    middle = 1 / np.sqrt(np.mean(MHZ**-2.0))
    found = np.empty((n_time, N_CHAN))
    for c, mhz in enumerate(MHZ):
        centre = at_s + K * dm * (mhz**-2 - MHZ[-1] ** -2)
        if tau_s:
            tail = tau_s * (mhz / middle) ** -index
            area = exponnorm.cdf(edges, tail / sigma_s, centre, sigma_s)
        else:
            area = norm.cdf(edges, centre, sigma_s)
        found[:, c] = np.diff(area) * RATE
    return found


def spectra(area: float = 1.0, *, at_s: float = 0.7, dm: float = 50.0, sigma_s: float = 4e-3,
            tau_s: float = 0.0, seed: int = 1, lost: float = 0.0, **changes: Any) -> fs.Chain:
    """Total intensity with a burst of this area in each channel (recorded unit times s)."""
    rng = np.random.default_rng(seed)
    data = rng.normal(LEVEL, SIGMA, (N_TIME, 1, N_CHAN))
    data[:, 0] += area * profile(at_s, dm, sigma_s, tau_s)
    data[rng.random(data.shape) < lost] = np.nan
    return chain(data, ("I",), **changes)


def polarized(area: float, *, linear: float, pa_deg: float, circular: float, rm: float,
              seed: int = 1, at_s: float = 0.7, dm: float = 50.0) -> fs.Chain:
    """AA, BB, CR and CI of linear feeds; the position angle is that at infinite frequency."""
    rng = np.random.default_rng(seed)
    burst = area * profile(at_s, dm, 4e-3)
    turn = 2 * (np.radians(pa_deg) + rm * (299.792458 / MHZ) ** 2)
    q, u, v = linear * np.cos(turn) * burst, linear * np.sin(turn) * burst, circular * burst
    data = rng.normal(0, SIGMA, (N_TIME, 4, N_CHAN)) * np.array([1, 1, 2**-0.5, 2**-0.5])[:, None]
    data[:, :2] += LEVEL
    data += np.stack([(burst + q) / 2, (burst - q) / 2, u / 2, v / 2], axis=1)
    return chain(data, FULL)


def chain(data: np.ndarray, names: tuple[str, ...], sign_q: Any = 1, sign_v: Any = 1,
          **changes: Any) -> fs.Chain:
    head = header(RATE)
    basis = replace(head.polarization, names=names, sign_q=sign_q, sign_v=sign_v)
    head = head.replace(channels=AXIS, is_complex=False, n_bits=32, polarization=basis, **changes)
    return fs.Chain(MemorySpectra(data, head))
