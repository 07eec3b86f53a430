"""Whether a rate that the user tells is that of the frames of a VDIF file.

Frames are numbered within each second, so where a second ends the frames tell how many it has.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import FormatError
from fastsig.io.voltages.segments import RawFiles

__all__ = ["check_rate"]

_WINDOW = 1024  # frames that are looked at around the end of a second
_RUN = 4  # frames on either side that no loss may have touched
_LIKELY = 0.9  # of a second: one that ends before may have been cut by a loss


class _Heads(NamedTuple):
    second: NDArray[np.int64]
    frame: NDArray[np.int64]
    thread: NDArray[np.int64]


def check_rate(raw: RawFiles, geometry: Any, per_second: int) -> None:
    """Refuse a rate that the frames' numbers contradict.

    Parameters
    ----------
    raw : RawFiles
        The files.
    geometry : Geometry
        Of the frames.
    per_second : int
        Frames of a thread in a second, as the rate has it.

    Raises
    ------
    FormatError
        If frames have higher numbers, or seconds end with other ones.
    """
    for file, path in enumerate(raw.paths):
        count = os.path.getsize(path) // geometry.frame_bytes
        ends = [_heads(raw, file, geometry, low, min(_RUN, count))
                for low in (0, max(0, count - _RUN))]
        if not all(len(heads.second) for heads in ends):
            continue
        first, last = (int(np.median(heads.second)) for heads in ends)
        told = [n for second in sorted({first, (first + last) // 2, last - 1})
                if first <= second < last
                and (n := _at_end(raw, file, geometry, count, second)) is not None]
        seen = max(int(np.median(heads.frame)) + 1 for heads in ends)
        if seen <= per_second and not _contradict(told, per_second):
            continue
        n, least = max([seen, *told]), "" if told else " at least"
        raise FormatError(
            path, f"sample_rate = {per_second * geometry.n_time} Hz is {per_second} frames of "
            f"{geometry.n_time} samples a second; the frames' numbers tell of{least} {n}: "
            f"{n * geometry.n_time} Hz")


def _contradict(told: list[int], per_second: int) -> bool:
    """Whether ends of seconds speak against a number of frames; a loss may end one too early."""
    if not told or max(told) == per_second:
        return False
    if max(told) > per_second:
        return True
    if len(told) == 1:
        return told[0] < _LIKELY * per_second
    return min(told) == max(told)


def _at_end(raw: RawFiles, file: int, g: Any, count: int, second: int) -> int | None:
    """Frames of a second, where those around its end are all there."""
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
    told = []
    for thread in np.unique(heads.thread):
        mine = heads.thread == thread
        numbers = np.unique(heads.frame[mine & (heads.second == second)])
        after = np.unique(heads.frame[mine & (heads.second == second + 1)])
        if (len(numbers) >= _RUN and numbers[-1] - numbers[-_RUN] == _RUN - 1
                and after[:_RUN].tolist() == list(range(_RUN))):
            told.append(int(numbers[-1]) + 1)
    return max(told, default=None)


def _heads(raw: RawFiles, file: int, g: Any, first: int, n: int) -> _Heads:
    """Fields of frames that have the length of the recording's."""
    words = np.empty((n, 4), "<u4")
    for i in range(n):
        raw.read_into(file, words[i], (first + i) * g.frame_bytes)
    words = words[words[:, 2] & 0xFFFFFF == g.frame_bytes // 8].astype(np.int64)
    return _Heads(words[:, 0] & 0x3FFFFFFF, words[:, 1] & 0xFFFFFF, words[:, 3] >> 16 & 0x3FF)
