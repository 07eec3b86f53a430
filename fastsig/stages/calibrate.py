"""Calibrate: convert recorded powers to antenna temperatures with the noise diode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from fastsig_kernels import apply_gain
from numpy.typing import NDArray

from fastsig.axes.time import elapsed, iso
from fastsig.axes.units import exact
from fastsig.calibration.diode.cycle import classify, on_share
from fastsig.calibration.diode.solution import DiodeSolution
from fastsig.errors import PlanError, UsageError
from fastsig.stream import Block, SpectraStage, SpectrumStream, Stream

__all__ = ["Calibrate"]

_ON = ("subtract", "blank")


class Calibrate(SpectraStage):
    """Antenna temperatures in K; spectra during which the diode switches have weight 0.

    Parameters
    ----------
    source : SpectrumStream
        The spectra in which the diode was measured; their start time, channels and products must be
        unchanged.
    solution : DiodeSolution, or the result of `Chain.measure_diode`
        Solution with which the spectra are calibrated.
    on : {"subtract", "blank"}
        Whether the temperature of the diode is subtracted from rows in which it is on ("subtract"),
        or the weight of these rows is set to 0 ("blank").
    guard : Quantity, str or number of s
        Maximum error of the times at which the diode is switched.

    Raises
    ------
    PlanError
        If the source contains no spectra.
    UsageError
        If a parameter is not allowed, or the solution is for other products, other channels or
        spectra that begin at another time.
    """

    name = "calibrate"
    source: SpectrumStream

    def __init__(self, source: Stream, solution: Any, *, on: str = "subtract",
                 guard: Any = 0) -> None:
        if not isinstance(source, SpectrumStream):
            raise PlanError(f"calibrate requires spectra, not {source.kind}")
        if on not in _ON:
            raise UsageError(f"on = {on!r}; allowed: {', '.join(_ON)}")
        solution = getattr(solution, "solution", solution)
        if not isinstance(solution, DiodeSolution):
            raise UsageError(f"solution = {type(solution).__name__}; allowed: the result of "
                             "measure_diode")
        found = (solution.names, solution.kelvin.shape)
        if found != (source.polarization.names, source.shape[1:]):
            raise UsageError(f"{source.path}: the solution is for products "
                             f"{', '.join(solution.names)} and {solution.kelvin.shape[1]} channels")
        _check_source(source, solution)
        self.solution, self.diode_on = solution, on
        self.guard = exact(guard, "s", "guard")
        self._kelvin = solution.kelvin.astype(np.float32)
        self._diode = solution.diode.astype(np.float32)
        powers = min(2, len(solution.names))
        self._gain = np.ascontiguousarray(self._kelvin[:powers])
        self._cross = None
        if len(solution.names) == 4:
            turn = 0.0 if solution.phase is None else solution.phase
            self._cross = (solution.kelvin[2] * np.exp(-1j * turn)).astype(np.complex64)
        super().__init__(source, header=source.header.replace(
            unit="K", n_bits=32, gain_noise=solution.noise and solution.noise[on],
            polarization=replace(
                source.polarization, calibrated=_equalizes_feeds(solution))))

    def parameters(self) -> Mapping[str, Any]:
        """The origin of the solution, and the treatment of rows with the diode on."""
        return {**self.solution.facts, "diode_on": self.diode_on, "guard_s": str(self.guard)}

    @property
    def weight_channels(self) -> int:
        """Length of the weights' channel axis; channels without a diode solution have weight 0."""
        lost = not np.isfinite(self._kelvin).all()
        return self.shape[2] if lost else self.source.weight_channels

    @property
    def columns(self) -> Mapping[str, str]:
        """The columns of the source, and the fraction of each row with the diode on."""
        return {**self.source.columns, "diode_on": ""}

    def read_columns(self, start: int, n: int) -> dict[str, NDArray[np.float64]]:
        """Return the values of the columns listed in `columns`."""
        share = on_share(self.header.sample_rate, start, n, self.solution.cycle)
        return {**self.source.read_columns(start, n), "diode_on": share}

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Return temperatures, float32; NaN where the weight is 0."""
        self._check_range(start, n)
        block = self.source.read_block(start, n)
        rate = self.header.sample_rate
        state = classify(rate, start, n, self.solution.cycle, self.guard)
        middle = (start + 0.5 + np.arange(n, dtype=np.float64)) / float(rate)
        row = (1 / self.solution.gain_at(middle)).astype(np.float32)
        data = apply_gain(block.data, self._gain, cross=self._cross, row=row,
                          out=None if out is None else out[:n])
        lit = state == 1
        if self.diode_on == "subtract" and lit.any():
            data[lit] -= self._diode
        kept = state == 0 if self.diode_on == "blank" else state >= 0
        weight = np.where(kept[:, np.newaxis, np.newaxis], block.valid, np.float32(0))
        if self.weight_channels > weight.shape[2]:
            weight = np.repeat(weight, self.shape[2], axis=2)
        weight = np.where(np.isfinite(self._kelvin), weight, np.float32(0)) if (
            weight.shape[2] > 1) else weight
        if not weight.min(initial=1) > 0:
            np.copyto(data, np.float32(np.nan), where=~(weight > 0))
        view = data.view()
        view.flags.writeable = weight.flags.writeable = False
        return Block(view, weight, start, n)


def _check_source(source: SpectrumStream, solution: DiodeSolution) -> None:
    """Refuse spectra in which the diode was not measured; its times are counted from row 0."""
    allowed = "allowed: the spectra in which the diode was measured"
    if solution.channels not in (None, source.header.channels):
        raise UsageError(f"{source.path}: the solution is for channels of other frequencies; "
                         f"{allowed}")
    start = solution.start_time
    if start is not None and elapsed(start, source.start_time) != 0:
        raise UsageError(f"{source.path}: begins at {iso(source.start_time)}, and the solution is "
                         f"for spectra that begin at {iso(start)}; {allowed}")


def _equalizes_feeds(solution: DiodeSolution) -> bool:
    """Return whether a solution removes the differences between two feeds in all products."""
    n = len(solution.names)
    return n == 2 or (n == 4 and solution.phase is not None)
