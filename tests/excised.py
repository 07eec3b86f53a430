"""Spectra of noise in memory, on which interference is put."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from streams import MemorySpectra
from streams import header as voltages_header

import fastsig as fs
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PolBasis
from fastsig.stream import CodedBlock, Codes

N_CHAN, TSAMP_S = 128, 1e-3


def head(names: tuple[str, ...] = ("I",)) -> Any:
    """Channels from 1000 to 1512 MHz, 1000 spectra a second."""
    axis = ChannelAxis(Fraction(10**9), Fraction(4 * 10**6), N_CHAN)
    return voltages_header(Fraction(1000)).replace(
        channels=axis, polarization=PolBasis("linear", names), n_bits=8)


class FloatSpectra(MemorySpectra):
    """Spectra of codes, of which some rows are lost, read as float32 only."""

    def __init__(self, numbers: np.ndarray, lost: slice, header: Any) -> None:
        data = numbers.astype(np.float32)[:, np.newaxis]
        data[lost] = np.nan
        super().__init__(data, header)
        self.numbers, self.lost = numbers, np.zeros((len(numbers), 1, 1), np.bool_)
        self.lost[lost] = True

    def codes(self) -> Codes:
        return Codes(0, 255)


class CodedSpectra(FloatSpectra):
    """The same, read as codes too."""

    coded = True

    def read_coded(self, start: int, n: int) -> CodedBlock:
        weight = (~self.lost[start : start + n]).astype(np.float32)
        return CodedBlock(self.numbers[start : start + n], weight, start, n)


def chain(data: np.ndarray, names: tuple[str, ...] = ("I",)) -> fs.Chain:
    """A chain of spectra (time, chan) or (time, product, chan)."""
    made = data if data.ndim == 3 else data[:, np.newaxis]
    return fs.Chain(MemorySpectra(made, head(names)))


def noise(n: int, seed: int = 1) -> np.ndarray:
    """Noise of sigma 5 under a bandpass, (n, chan)."""
    bandpass = 60 + 40 * np.sin(np.arange(N_CHAN) / 20)
    return np.asarray(bandpass + np.random.default_rng(seed).normal(0, 5, (n, N_CHAN)))
