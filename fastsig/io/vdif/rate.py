"""Check of a rate specified by the user against the frames of a VDIF file.

Frames are numbered within each second, so the last number shows how many a second has.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import FormatError
from fastsig.io.voltages.segments import RawFiles

__all__ = ["check_rate"]

_WINDOW = 1024  # frames that are examined around the end of a second
_RUN = 4  # frames on either side of it that must be complete
_LIKELY = 0.9  # fraction of a second; one that ends earlier may have been truncated by a loss


class _Heads(NamedTuple):
    second: NDArray[np.int64]
    frame: NDArray[np.int64]
    thread: NDArray[np.int64]


def check_rate(raw: RawFiles, geometry: Any, per_second: int) -> None:
    """Refuse a rate that contradicts the numbers of frames.

    Parameters
    ----------
    raw : RawFiles
        The files.
    geometry : Geometry
        Geometry of the frames.
    per_second : int
        Frames of a thread per second according to the rate.

    Raises
    ------
    FormatError
        If frames have higher numbers, or seconds end with other numbers.
    """
    for file, path in enumerate(raw.paths):
        count = os.path.getsize(path) // geometry.frame_bytes
        ends = [_heads(raw, file, geometry, low, min(_RUN, count))
                for low in (0, max(0, count - _RUN))]
        if not all(len(heads.second) for heads in ends):
            continue
        first, last = (int(np.median(heads.second)) for heads in ends)
        counted = [n for second in sorted({first, (first + last) // 2, last - 1})
                   if first <= second < last
                   and (n := _at_end(raw, file, geometry, count, second)) is not None]
        seen = max(int(np.median(heads.frame)) + 1 for heads in ends)
        if seen <= per_second and not _contradict(counted, per_second):
            continue
        n, least = max([seen, *counted]), "" if counted else " at least"
        raise FormatError(
            path, f"sample_rate = {per_second * geometry.n_time} Hz means {per_second} frames of "
            f"{geometry.n_time} samples per second; the numbers of the frames show{least} {n}: "
            f"{n * geometry.n_time} Hz")


def _contradict(counted: list[int], per_second: int) -> bool:
    """Whether the ends of seconds contradict a number of frames; losses may end one too early."""
    if not counted or max(counted) == per_second:
        return False
    if max(counted) > per_second:
        return True
    if len(counted) == 1:
        return counted[0] < _LIKELY * per_second
    return min(counted) == max(counted)


def _at_end(raw: RawFiles, file: int, g: Any, count: int, second: int) -> int | None:
    """Count the frames of a second, if those around its end are complete; else None."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        heads = _heads(raw, file, g, middle, min(_RUN, count - middle))
        if len(heads.second) and int(np.median(heads.second)) > second:
            high = middle
        else:
            low = middle + 1
    begin = max(0, low - _WINDOW)
    heads = _heads(raw, file, g, begin, min(2 * _WINDOW, count - begin))
    counted = []
    for thread in np.unique(heads.thread):
        mine = heads.thread == thread
        numbers = np.unique(heads.frame[mine & (heads.second == second)])
        after = np.unique(heads.frame[mine & (heads.second == second + 1)])
        if (len(numbers) >= _RUN and numbers[-1] - numbers[-_RUN] == _RUN - 1
                and after[:_RUN].tolist() == list(range(_RUN))):
            counted.append(int(numbers[-1]) + 1)
    return max(counted, default=None)


def _heads(raw: RawFiles, file: int, g: Any, first: int, n: int) -> _Heads:
    """Return the fields of frames with the frame length of the recording."""
    words = np.empty((n, 4), "<u4")
    for i in range(n):
        raw.read_into(file, words[i], (first + i) * g.frame_bytes)
    words = words[words[:, 2] & 0xFFFFFF == g.frame_bytes // 8].astype(np.int64)
    return _Heads(words[:, 0] & 0x3FFFFFFF, words[:, 1] & 0xFFFFFF, words[:, 3] >> 16 & 0x3FF)
