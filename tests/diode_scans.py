"""Simulated recordings with a noise diode, in memory, and what a test makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastsig import simulate
from fastsig.simulate import FastSpectra
from fastsig.stream import Block, SpectrumStream, sums


class Made(SpectrumStream):
    """A simulated recording in memory, perhaps of some products or with values changed."""

    def __init__(self, recording: FastSpectra, products: slice = slice(None),
                 change: Any = None, **header: Any) -> None:
        data, weight = recording.generate(0, recording.n_time)
        self.values, self.weight = data[:, products].copy(), weight
        pol = recording.header.polarization
        names = pol.names[products]
        head = recording.header.replace(
            diode=None, polarization=type(pol)("linear", names)).replace(**header)
        super().__init__(head, self.values.shape, np.float32, "made")
        if change is not None:
            change(self.values)

    files: Any = ()
    weight_channels = 1

    def read_block(self, start: int, n: int, out: Any = None) -> Block:
        rows = slice(start, start + n)
        return Block(self.values[rows], self.weight[rows], start, n)

    def read_sums(self, start: int, n: int) -> Any:
        return sums(self.read_block(start, n), self.header.n_sum, 1)


def spectra(**more: Any) -> FastSpectra:
    """A narrow band about 1400 MHz with a diode on for one spectrum of eight."""
    usual: dict[str, Any] = {
        "duration": "400s", "n_chan": 64, "fstart": "1399MHz", "bandwidth": "1.92MHz",
        "integration": "0.5s", "bandpass": "flat", "level": 1e9, "tsys": "20K", "seed": 5,
        "diode": simulate.Diode("12.5K", period=10**9, on=125 * 10**6, first=0)}
    return FastSpectra(**(usual | more))
