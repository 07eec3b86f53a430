"""Cases: excision of interference from spectra in memory, compared with real transforms alone.

The spectra are codes of 8 bits, and the results are these codes, the flags of all samples and the
mean over the band at each time, as a search for bursts takes them. Nothing is read from a file.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from bench import peers
from bench.data import MEGA
from bench.timing import Case, Mark, Scale, Task
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PolBasis
from fastsig.axes.time import parse_time
from fastsig.chain import Chain
from fastsig.stream import Block, CodedBlock, Codes, SpectrumStream
from fastsig.stream.header import Header

_N_CHAN = 4096
_BLOCK = 1024  # rows that are read at a time
_SHAPE = 12  # of the gamma distribution of I of 6 frames


class _Spectra(SpectrumStream):
    """FAST's spectra of I, 8 bits, 49.152 us, in memory."""

    def __init__(self, codes: np.ndarray) -> None:
        header = Header(
            parse_time("2026-01-01T00:00:00"), 1 / Fraction(49_152, 10**9),
            ChannelAxis(Fraction(10**9), Fraction(1_220_703_125, 10**4), codes.shape[1]),
            polarization=PolBasis("linear", ("I",)))
        super().__init__(header, (len(codes), 1, codes.shape[1]), np.float32, "memory")
        self._codes = codes

    def codes(self) -> Codes:
        return Codes(0, 255)

    @property
    def coded(self) -> bool:
        return True

    def read_coded(self, start: int, n: int) -> CodedBlock:
        return CodedBlock(self._codes[start : start + n], np.ones((n, 1, 1), np.float32), start, n)

    def read_block(self, start: int, n: int, out: Any = None) -> Block:
        data = self._codes[start : start + n, np.newaxis].astype(np.float32)
        weight = np.ones((n, 1, 1), np.float32)
        data.flags.writeable = weight.flags.writeable = False
        return Block(data, weight, start, n)


def _spectra(n: int) -> _Spectra:
    """Noise with a carrier, pulsed interference and impulses."""
    x = np.random.default_rng(1).gamma(_SHAPE, 60 / _SHAPE, (n, _N_CHAN)).astype(np.float32)
    x[:, ::500] += 40
    x[::16, 700] *= 2
    x[::200] += 20
    return _Spectra(np.clip(np.round(x), 0, 255).astype(np.uint8))


def _everything(chain: Chain) -> Chain:
    return chain.flag_kurtosis(n_segment=_BLOCK).iqrm(n_segment=_BLOCK).zero_dm().flag_runs()


def _excision(scale: Scale, excised: Callable[[Chain], Chain], form: str = "read_coded") -> Task:
    """All rows of a chain, a block at a time; a new chain each time, which keeps no results."""
    source = _spectra(scale.pick(4096, 64))

    def read() -> None:
        stream = excised(Chain(source)).stream
        for start in range(0, stream.shape[0], _BLOCK):
            getattr(stream, form)(start, min(_BLOCK, stream.shape[0] - start))

    return Task(int(np.prod(source.shape)) / MEGA, read,
                peers.transforms("real", 8192, scale, (peers.SCIPY,)))


def _marked(least: float) -> tuple[tuple[Mark, ...], ...]:
    return ((Mark(least, (peers.SCIPY,)),),)


CASES = [
    Case("excise", "MS", partial(_excision, excised=_everything),
         "8-bit spectra of 4096 channels: kurtosis, IQRM, zero-DM and SumThreshold",
         _marked(0.5)),
    Case("excise-floats", "MS", partial(_excision, excised=_everything, form="read_block"),
         "the same, with values and weights in float32"),
    *(Case(f"excise-{name}", "MS", partial(_excision, excised=excised), about)
      for name, excised, about in (
          ("kurtosis", lambda chain: chain.flag_kurtosis(n_segment=_BLOCK),
           "the same, spectral kurtosis and skewness alone"),
          ("iqrm", lambda chain: chain.iqrm(n_segment=_BLOCK), "the same, IQRM alone"),
          ("zero-dm", lambda chain: chain.zero_dm(), "the same, zero-DM alone"),
          ("runs", lambda chain: chain.flag_runs(),
           "the same, SumThreshold of flag_runs alone"))),
    Case("excise-flag", "MS", partial(_excision, excised=lambda chain: chain.flag(),
                                      form="read_block"),
         "the same, flag alone, at its defaults, with values and weights in float32"),
]
