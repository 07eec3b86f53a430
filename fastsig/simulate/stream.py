"""A simulated recording as a stream, for stages, pictures and the writers of all formats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.axes import validity
from fastsig.axes.validity import Spans
from fastsig.io.spectra.segments import FileSpectra
from fastsig.simulate.coarse import CoarseVoltage
from fastsig.simulate.engine import FastVoltage
from fastsig.simulate.spectra import FastSpectra
from fastsig.stream import VoltageStream
from fastsig.stream.raw_voltages import IntegerPairs

__all__ = ["SimulatedSpectra", "SimulatedVoltages"]


class SimulatedVoltages(VoltageStream):
    """Voltages that are made when they are read; `truth` describes their contents."""

    may_have_nan = False

    def __init__(self, recording: FastVoltage | CoarseVoltage) -> None:
        self.recording, self.truth = recording, recording.truth
        header = recording.header
        shape: tuple[int, ...] = (recording.n_time, header.polarization.n_pol)
        if isinstance(recording, CoarseVoltage) and recording.n_chan > 1:
            shape += (recording.n_chan,)
        kind = np.complex64 if header.is_complex else np.int8
        super().__init__(header, shape, kind, "the simulation")

    @property
    def files(self) -> list[str]:
        """An empty list, because the samples are simulated."""
        return []

    def parameters(self) -> Mapping[str, Any]:
        """Return the parameters that determine the values of the samples."""
        return {"truth": self.truth}

    def valid_spans(self) -> tuple[Spans, ...]:
        """Return the spans of samples that are not lost."""
        return self.recording.valid()

    def valid_fraction(self) -> float:
        """Return the fraction of the samples that are not lost."""
        held = sum(validity.count(spans) for spans in self.valid_spans())
        return held / (self.shape[0] * self.shape[1])

    def _read(self, start: int, n: int, out: NDArray[Any]) -> tuple[Spans, ...]:
        return self._read_recorded(start, n, out)

    def as_recorded(self) -> VoltageStream:
        """Return the stream with complex samples as pairs of integers."""
        return IntegerPairs(self, np.int8) if self.header.is_complex else self

    def _read_recorded(self, start: int, n: int, out: NDArray[Any]) -> tuple[Spans, ...]:
        data, valid = self.recording.generate(start, n)
        if out.dtype.kind == "c":
            pairs = data.reshape(*out.shape, 2)
            out.real, out.imag = pairs[..., 0], pairs[..., 1]
        else:
            out[...] = data.reshape(out.shape)
        return valid


class SimulatedSpectra(FileSpectra):
    """Spectra that are made when they are read; `truth` describes their contents."""

    def __init__(self, recording: FastSpectra) -> None:
        self.recording, self.truth = recording, recording.truth
        super().__init__(recording.header, (recording.n_time, 4, recording.n_chan),
                         "the simulation")

    @property
    def files(self) -> list[str]:
        """An empty list, because the spectra are simulated."""
        return []

    def parameters(self) -> Mapping[str, Any]:
        """Return the parameters that determine the values of the samples."""
        return {"truth": self.truth}

    def _values(self, start: int, n: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        data, weight = self.recording.generate(start, n)
        return data, np.repeat(weight, 4, axis=1)
