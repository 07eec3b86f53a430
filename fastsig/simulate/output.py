"""Write simulated voltages to native files."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastsig.axes import validity
from fastsig.io.native.writer import NativeWriter
from fastsig.simulate.coarse import CoarseVoltage
from fastsig.simulate.engine import FastVoltage
from fastsig.simulate.values import whole
from fastsig.work.shown import Shown
from fastsig.work.signals import check, held
from fastsig.work.threads import processors

__all__ = ["Report", "fast_voltage", "write"]


@dataclass(frozen=True, repr=False)
class Report(Shown):
    """The result of writing a file.

    Parameters
    ----------
    n_time : int
        Number of samples in each polarisation.
    n_clipped, n_lost : tuple of int
        Numbers of samples of X and of Y that were clipped, and that were lost.
    """

    n_time: int
    n_clipped: tuple[int, int]
    n_lost: tuple[int, int]


def fast_voltage(
    path: str | os.PathLike[str], *, duration: Any, workers: int | None = 1,
    overwrite: bool = False, progress: Callable[[int], None] | None = None, **parameters: Any,
) -> Report:
    """Write simulated voltages of one beam to a native file, with their truth record.

    Parameters
    ----------
    path : path
        File to write.
    duration : value, s
        Duration of the recording.
    workers : int or None
        Number of threads; None for one per core. The file is the same for any number of threads.
    overwrite : bool
        Whether an existing file may be replaced.
    progress : callable, optional
        Called with the number of bytes of each block that is written.
    **parameters
        As for `FastVoltage`.

    Raises
    ------
    UsageError
        As for `FastVoltage`.
    OutputError
        If the file exists or cannot be written.
    """
    recording = FastVoltage(duration=duration, **parameters)
    return write(recording, path, workers=workers, overwrite=overwrite, progress=progress)


def write(
    recording: FastVoltage | CoarseVoltage, path: str | os.PathLike[str], *,
    workers: int | None = 1, overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Report:
    """Write a recording to a native file; parameters and errors as for `fast_voltage`."""
    cores = processors()
    threads = cores if workers is None else whole(workers, "workers", 1)
    clipped, lost = np.zeros(2, np.int64), np.zeros(2, np.int64)
    with held(), NativeWriter(path, recording.header, recording.n_time, truth=recording.truth,
                              overwrite=overwrite) as file:
        for data, valid, counts in recording.blocks(threads):
            check()
            if isinstance(recording, CoarseVoltage) and recording.n_chan == 1:
                data = data[:, :, 0]
            file.append(data, valid)
            clipped += counts
            lost += [len(data) - validity.count(spans) for spans in valid]
            if progress is not None:
                progress(data.nbytes)
    return Report(recording.n_time, (int(clipped[0]), int(clipped[1])),
                  (int(lost[0]), int(lost[1])))
