"""Time series for many dispersion measures: .dat and .inf files named as by prepsubband."""

from __future__ import annotations

import os
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.io.files.leftovers import sweep_names, writer_id
from fastsig.io.files.outputs import Writer, commit_together
from fastsig.io.files.safe import SafeOutput
from fastsig.io.presto.writer import PrestoWriter
from fastsig.stream.header import Header

__all__ = ["SeriesWriter", "series_names"]

_LEAST_DIGITS, _MOST_DIGITS = 2, 9


class SeriesWriter(Writer):
    """Write a time series for each dispersion measure; all files get their names, or none does.

    Two files are open at a time, and those of the first series.

    Parameters
    ----------
    path : path
        Name such as ``scan.dat``, from which ``scan_DM12.50.dat`` and ``.inf`` are made.
    header : Header
        Header of the series, without a dispersion measure.
    n_time : int
    dms : ndarray, shape (n_dm,), float64
        Dispersion measures, pc cm^-3.
    overwrite : bool
        Whether existing files may be replaced.

    Raises
    ------
    OutputError, PlanError, UsageError
        As for `PrestoWriter`.
    """

    def __init__(self, path: str | os.PathLike[str], header: Header, n_time: int,
                 dms: NDArray[np.float64], *, overwrite: bool = False) -> None:
        names = series_names(os.fspath(path), dms)
        self.files = [each for name in names for each in (name, f"{name[:-4]}.inf")]
        sweep_names(map(os.path.realpath, self.files))
        self._writers: list[PrestoWriter] = []
        writer = writer_id()
        try:
            for name, dm in zip(names, dms.tolist(), strict=True):
                self._writers.append(PrestoWriter(
                    name, header.replace(dm=dm), (n_time, 1, 1), overwrite=overwrite,
                    writer=writer))
                self._rest(self._writers[-1])
        except BaseException:
            self.discard()
            raise

    def _rest(self, writer: PrestoWriter) -> None:
        if writer is not self._writers[0]:  # which keeps the temporary files from being removed
            writer.rest()

    def append(self, data: NDArray[np.float32], weight: NDArray[np.float32]) -> None:
        """Write the next times: (n, 1, dm) values, and weights that broadcast to them."""
        wide = np.broadcast_to(weight, data.shape)
        for k, writer in enumerate(self._writers):
            writer.wake()
            writer.append(data[:, :, k : k + 1], wide[:, :, k : k + 1])
            self._rest(writer)

    def close(self) -> None:
        """Finish the files and give them their names."""
        outputs: list[SafeOutput] = []
        try:
            for writer in self._writers:
                writer.wake()
                outputs += writer.finished()
                self._rest(writer)
        except BaseException:
            self.discard()
            raise
        commit_together(outputs)

    def discard(self) -> None:
        """Give up, and leave no file under the final names or any other."""
        for writer in self._writers[::-1]:
            writer.discard()


def series_names(path: str, dms: NDArray[np.float64]) -> list[str]:
    """Return the names of .dat files: two decimals, or as many as distinguish the numbers.

    Raises
    ------
    UsageError
        If two of them are equal.
    """
    stem = path.removesuffix(".dat")
    digits = next((n for n in range(_LEAST_DIGITS, _MOST_DIGITS) if all(
        float(f"{dm:.{n}f}") == dm for dm in dms.tolist())), _MOST_DIGITS)
    names = [f"{stem}_DM{dm:.{digits}f}.dat" for dm in dms.tolist()]
    same = next((a for a, b in pairwise(names) if a == b), None)
    if same is not None:
        raise UsageError(f"{same}: the name of two series; allowed: dispersion measures that "
                         f"differ in the first {_MOST_DIGITS} decimals")
    return names

