"""Write simulated voltages to a PSRDADA ring buffer, for tests and rehearsals of what reads it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastsig.axes import validity
from fastsig.errors import UsageError
from fastsig.io.dada.writer import DadaWriter
from fastsig.io.live.psrdada import writing_ring
from fastsig.io.voltages.writing import Recording
from fastsig.simulate.engine import FastVoltage
from fastsig.simulate.values import scalar
from fastsig.work.signals import check

__all__ = ["Written", "write_ring"]

_BLOCK = 2**20  # samples made together


class Written(NamedTuple):
    """The result of writing a recording to a ring buffer.

    Parameters
    ----------
    bytes : int
        Number of bytes of samples that were written.
    seconds : float
        Time taken, s.
    late_s : float
        Time, s, by which the last block was late because this machine, or a program that reads the
        ring, is too slow.
    """

    bytes: int
    seconds: float
    late_s: float


def write_ring(recording: Any, to: str, *, speed: Any = 1, cycle: Any = None,
               progress: Callable[[int], Any] | None = None) -> Written:
    """Write a recording to a PSRDADA ring buffer as one transfer; wait for its readers.

    Parameters
    ----------
    recording : FastVoltage
        Lost samples are 0.
    to : str
        The ring, such as ``psrdada:dada``, which must exist.
    speed : value
        Number of seconds of the recording that are written in a second; 0 means as fast as
        possible.
    cycle : value, s, optional
        Make only a part of this duration, and write it repeatedly until the duration of the
        recording has passed.
    progress : callable, optional
        Called with the number of samples that were written since the last call.

    Raises
    ------
    UsageError
        If a value is not allowed.
    DataError
        If there is no such ring.
    """
    if not isinstance(recording, FastVoltage):
        raise UsageError("only real voltages can be written to a PSRDADA ring buffer")
    rate = float(scalar(speed, "", "speed")) * float(recording.header.sample_rate)
    if rate < 0:
        raise UsageError(f"speed = {speed!r}; allowed: from 0")
    made = None if cycle is None else _cycle(recording, cycle)
    whole = validity.full(0, recording.n_time)
    header = DadaWriter(Recording(recording.header, (recording.n_time, 2), (whole, whole)),
                        "ring.dada").header(0)

    def stopped() -> bool:
        check()
        return False

    begun, late = time.monotonic(), 0.0
    with writing_ring(to, header, stopped) as write:
        for first in range(0, recording.n_time, _BLOCK):
            n = min(_BLOCK, recording.n_time - first)
            data = recording.generate(first, n)[0] if made is None else made[
                np.arange(first, first + n) % len(made)]
            check()
            early = begun + first / rate - time.monotonic() if rate else 0.0
            late = max(0.0, -early)
            time.sleep(max(0.0, early))
            write(np.ascontiguousarray(data))
            if progress is not None:
                progress(n)
    return Written(2 * recording.n_time, time.monotonic() - begun, late)


def _cycle(recording: FastVoltage, cycle: Any) -> Any:
    """Return the samples of the beginning of a recording."""
    n = int(scalar(cycle, "s", "cycle") * recording.header.sample_rate)
    if n < 1:
        raise UsageError(f"cycle = {cycle!r} is shorter than a sample")
    return recording.generate(0, min(n, recording.n_time))[0]
