"""Mask: give weight 0 to regions of time and frequency that are known beforehand."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig import registry
from fastsig.axes import interference
from fastsig.axes.regions import Regions, rectangles
from fastsig.errors import FastsigWarning, PlanError, UsageError, users_line
from fastsig.stages.channel_masks import in_mhz, protected_channels
from fastsig.stages.flagging import FlaggedSpectra
from fastsig.stream import Block, CodedBlock, SpectrumStream, Stream

__all__ = ["Mask"]

_ROWS = 4096  # that are masked at a time


class Mask(FlaggedSpectra):
    """Spectra in which the regions of a mask have weight 0.

    A sample is masked if a region covers a twentieth or more of it both in time and in frequency.

    Parameters
    ----------
    source : SpectrumStream
        Spectra in any unit.
    mask : path, or sequence of str
        A file, or the lines of a text file. The times and frequencies of a ``.mask`` file of PRESTO
        are used, regardless of the channels of the spectra. In a text file, each line contains an
        interval of frequency, or ``*`` for all channels, and optionally an interval of time:
        ``1378MHz-1385MHz 3.2s-5s``, counted from the first spectrum, or ``*
        2023-12-01T16:30:03/2023-12-01T16:30:05``. Text after ``#`` is ignored.
    protect : str or sequence, optional
        Frequency intervals that are not masked.

    Raises
    ------
    PlanError
        If the source contains no spectra.
    UsageError
        If the mask is neither a file nor a sequence of lines.
    FormatError
        If the file cannot be read, or frequencies are given for a source without frequencies.
    """

    name = "mask"

    def __init__(self, source: Stream, mask: Any, *, protect: Any = None) -> None:
        if not isinstance(source, SpectrumStream):
            raise PlanError(f"mask requires spectra, not {source.kind}")
        super().__init__(source)
        regions, data, self._file = _read(mask)
        self._record = {"file": self._file, "sha256": hashlib.sha256(data).hexdigest()}
        self.protect = interference.intervals(protect, "protect")
        self._protected = protected_channels(source, self.protect)
        limited = any(np.isfinite(each.low_hz).any() for each in regions)
        axis = self.header.require_channels(self.path) if limited else None
        self._rectangles = rectangles(regions, self.header.start_time, self.header.sample_rate,
                                      self.shape[0], axis, self.shape[2])
        if not len(self._rectangles.first):
            warnings.warn(f"{self.path}: the mask {self._file or ''} covers none of its times and "
                          "frequencies", FastsigWarning, stacklevel=users_line())

    def parameters(self) -> Mapping[str, Any]:
        """Name and hash of the file, or hash of the lines.

        The parameters also include the number of regions that lie within the spectra.
        """
        return {**self._record, "n_region": len(self._rectangles.first),
                "protect_mhz": in_mhz(self.protect)}

    def work_bytes(self, n: int) -> int:
        """Memory that a thread needs for `n` rows: the result, the source, and flags."""
        return int(self.source.work_bytes(n)) + n * self.row_bytes + _ROWS * self.shape[2]

    def _parts(self, start: int, n: int, block: Block | CodedBlock | None
               ) -> list[tuple[int, int, int, NDArray[np.bool_]]]:
        found = []
        for first in range(start, start + n, _ROWS):
            stop = min(start + n, first + _ROWS)
            flags = self._rectangles.flags(first, stop - first, self.shape[2])
            flags[:, self._protected] = False
            found.append((first, stop, first, flags[:, np.newaxis]))
        return found


def _read(mask: Any) -> tuple[tuple[Regions, ...], bytes, str | None]:
    """Return the regions of a mask, the data for its hash, and the name of its file."""
    if isinstance(mask, (str, os.PathLike)):
        regions, data = registry.mask_function("reader:read_mask")(mask)
        return regions, data, os.path.basename(os.fspath(mask))
    if isinstance(mask, (list, tuple)) and mask and all(isinstance(line, str) for line in mask):
        return (registry.mask_function("text:parsed")(mask, "mask"),
                "\n".join(mask).encode(), None)
    raise UsageError(f"mask = {mask!r}; allowed: a file, or lines such as '1378MHz-1385MHz 3s-5s'")
