"""Spectra for tests of dispersion, and twins in float64 and exact fractions."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
from streams import MemorySpectra, header

import fastsig as fs
from fastsig.axes.frequency import ChannelAxis
from fastsig.stream.header import Header

RATE = 1000
AXIS = ChannelAxis.around(Fraction(400 * 10**6), Fraction(10**6), 24)
N = 700


def head(axis: ChannelAxis = AXIS, n_product: int = 2) -> Header:
    found = header(RATE)
    return found.replace(channels=axis, is_complex=False, n_bits=32, polarization=replace(
        found.polarization, names=("AA", "BB", "CR", "CI")[:n_product]))


def values(n: int = N, n_product: int = 2, *, lost: float = 0.05) -> np.ndarray:
    rng = np.random.default_rng(3)
    data = rng.normal(10, 1, (n, n_product, AXIS.n_chan)).astype(np.float32)
    data[rng.random(data.shape) < lost] = np.nan
    return data


def chain(data: np.ndarray | None = None, made: type[MemorySpectra] = MemorySpectra) -> fs.Chain:
    data = values() if data is None else data
    return fs.Chain(made(data, head(n_product=data.shape[1])))


def shifts(dm: float, axis: ChannelAxis = AXIS) -> np.ndarray:
    """Delays in whole samples, from exact fractions."""
    mhz = [(axis.first_hz + k * axis.step_hz) / 10**6 for k in range(axis.n_chan)]
    exact = [Fraction(dm) / Fraction("2.41e-4") * (1 / f**2 - 1 / mhz[-1] ** 2) * RATE for f in mhz]
    return np.array([int((each + Fraction(1, 2)) // 1) for each in exact])


def twin(data: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Shifted rows in float64; NaN where there are none."""
    out = np.full(data.shape, np.nan)
    for c, d in enumerate(shift):
        rows = np.arange(len(data)) + d
        there = (rows >= 0) & (rows < len(data))
        out[there, :, c] = data[rows[there], :, c]
    return out
