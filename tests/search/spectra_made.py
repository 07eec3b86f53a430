"""Noise in few channels, with bursts of known S/N in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
from streams import MemorySpectra, header

import fastsig as fs
from fastsig.axes.frequency import ChannelAxis
from fastsig.simulate.injections import Injection, Injector

N_CHAN, SAMPLE_S = 64, 1e-3
AXIS = ChannelAxis.around(Fraction(1200 * 10**6), Fraction(4 * 10**6), N_CHAN)
MHZ = AXIS.centers.to_value("MHz")
K = 4149.377593360996


def noise(n: int, seed: int = 1, degrees: float = 0.0) -> np.ndarray:
    """Noise of mean 100 and sigma 10; with degrees of freedom, that of powers."""
    rng = np.random.default_rng(seed)
    if degrees:
        shape = degrees / 2
        z = (rng.gamma(shape, size=(n, N_CHAN)) - shape) / np.sqrt(shape)
    else:
        z = rng.normal(size=(n, N_CHAN))
    return (100 + 10 * z).astype(np.float32)


def with_bursts(data: np.ndarray, bursts: Sequence[Injection]) -> np.ndarray:
    """Add bursts to noise."""
    Injector(bursts, MHZ, SAMPLE_S, np.full(N_CHAN, 10.0), K).add(0, data)
    return data


def chain(data: np.ndarray) -> fs.Chain:
    """Spectra of one product; NaN is what is lost."""
    head = header(100)
    head = head.replace(sample_rate=Fraction(1000), channels=AXIS, is_complex=False, n_bits=32,
                        polarization=replace(head.polarization, names=("I",)))
    return fs.Chain(MemorySpectra(data[:, np.newaxis], head))
