"""Cases: recorded powers to kelvin, compared with one multiplication of as many numbers."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from bench.data import MEGA
from bench.timing import Case, Mark, Scale, Task
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PRODUCTS, PolBasis
from fastsig.axes.time import parse_time
from fastsig.calibration.diode.cycle import DiodeCycle
from fastsig.calibration.diode.solution import DiodeSolution
from fastsig.stages.calibrate import Calibrate
from fastsig.stream import Block, SpectrumStream, Sums
from fastsig.stream.header import Header

MULTIPLY = "np.multiply"
_N_CHAN = 65536


class _Recorded(SpectrumStream):
    """Spectra in memory."""

    def __init__(self, data: np.ndarray) -> None:
        axis = ChannelAxis(Fraction(10**9), Fraction(500_000_000, _N_CHAN), data.shape[2])
        head = Header(parse_time("2026-01-01T00:00:00"), Fraction(1), axis,
                      polarization=PolBasis("linear", PRODUCTS["AABBCRCI"]))
        super().__init__(head, data.shape, np.float32, "memory")
        self.data, self.weight = data, np.ones((len(data), 4, 1), np.float32)

    def read_block(self, start: int, n: int, out: Any = None) -> Block:
        rows = slice(start, start + n)
        return Block(self.data[rows], self.weight[rows], start, n)

    def read_sums(self, start: int, n: int) -> Sums:
        raise NotImplementedError


def calibrating(scale: Scale) -> Task:
    """Spectra of mode W with four products and a diode that is on for one spectrum in eight."""
    n, n_chan = scale.pick(128, 4), scale.pick(_N_CHAN, 256)
    data = np.random.default_rng(7).random((n, 4, n_chan), np.float32) + 1
    kelvin = np.full((4, n_chan), 2.0)
    solution = DiodeSolution(
        DiodeCycle(Fraction(8), Fraction(1), Fraction(0)), PRODUCTS["AABBCRCI"],
        np.array([0.0, float(n)]), np.ones((2, 2)), kelvin, kelvin)
    stage, out = Calibrate(_Recorded(data), solution), np.empty_like(data)
    factors = kelvin.astype(np.float32)
    return Task(data.size / MEGA, partial(stage.read_block, 0, n, out),
                {MULTIPLY: partial(np.multiply, data, factors, out=out)})


CASES = [
    Case("calibrate", "Mvalues", calibrating,
         "spectra of mode W, 4 products, to kelvin: gains of rows and channels, diode subtracted",
         ((Mark(0.3, (MULTIPLY,)),),)),
]
