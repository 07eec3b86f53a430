"""Masks of PRESTO's rfifind (``.mask``): channels and intervals of time without use.

A file consists of little-endian numbers: six float64 (thresholds in time and frequency, MJD of the
first sample, seconds of an interval, centre of the lowest channel and width of a channel in MHz);
int32 numbers of channels, of intervals and of samples in an interval; the channels that are bad at
all times, preceded by their number; the intervals in which all channels are bad, preceded by their
number; the number of bad channels of each interval; and their numbers for each interval in which
some are good and some bad. Channels are counted from the lowest frequency. This is what
``write_mask`` of PRESTO's ``mask.c`` writes.
"""

from __future__ import annotations

import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from fastsig.axes.regions import Regions
from fastsig.axes.time import time_from_mjd
from fastsig.axes.validity import from_mask
from fastsig.errors import FormatError

__all__ = ["parsed"]

_MOST_CHANNELS, _MOST_INTERVALS = 2**24, 2**28
_DAYS = 15020, 100_000  # of the years 1900 to 2132
_HZ = 10**6


class _Numbers:
    """The numbers of a file, in order."""

    def __init__(self, data: bytes, path: str) -> None:
        self._data, self._path, self._at = data, path, 0

    def take(self, kind: str, n: int) -> NDArray[np.float64]:
        """Return the next numbers."""
        size = n * np.dtype(kind).itemsize
        if self._at + size > len(self._data):
            raise FormatError(self._path, "is too short for a mask of PRESTO, or is not one")
        found = np.frombuffer(self._data, kind, n, self._at)
        self._at += size
        return found

    def listed(self, name: str, below: int) -> NDArray[np.int64]:
        """Return a list that is preceded by its length, of numbers from 0 to ``below - 1``."""
        n = self.number(f"number of {name}", 0, below)
        return self.within(name, n, below)

    def within(self, name: str, n: int, below: int) -> NDArray[np.int64]:
        """Return the next `n` int32, from 0 to ``below - 1``."""
        found = self.take("<i4", n).astype(np.int64)
        if n and not (found.min() >= 0 and found.max() < below):
            raise FormatError(self._path, f"{name}: {found.min()} to {found.max()}; allowed: 0 to "
                              f"{below - 1}")
        return found

    def number(self, name: str, least: int, most: int) -> int:
        """Return the next int32."""
        found = int(self.take("<i4", 1)[0])
        if not least <= found <= most:
            raise FormatError(self._path, f"{name} = {found}; allowed: {least} to {most}")
        return found

    def finish(self) -> None:
        """Refuse further bytes."""
        if self._at != len(self._data):
            raise FormatError(self._path, f"{len(self._data) - self._at} bytes follow the mask")


def parsed(data: bytes, path: str) -> Regions:
    """Return the regions of a mask.

    Parameters
    ----------
    data : bytes
        Contents of the file.
    path : str
        The file, for errors.

    Raises
    ------
    FormatError
        If the file is truncated or has impossible values.
    """
    numbers = _Numbers(data, path)
    _, _, mjd, interval_s, low_mhz, step_mhz = numbers.take("<f8", 6).tolist()
    if not (_DAYS[0] < mjd < _DAYS[1] and 0 < interval_s < 10**6
            and 0 < low_mhz < 10**9 and 0 < step_mhz < 10**6):
        raise FormatError(path, f"MJD {mjd:.9g}, intervals of {interval_s:.6g} s, channels of "
                          f"{step_mhz:.6g} MHz from {low_mhz:.9g} MHz on; allowed: a mask of "
                          "PRESTO, with a date, and with numbers above 0")
    n_chan = numbers.number("number of channels", 1, _MOST_CHANNELS)
    n_interval = numbers.number("number of intervals", 1, _MOST_INTERVALS)
    numbers.number("number of samples in an interval", 1, 2**31 - 1)
    always = numbers.listed("channels", n_chan)
    whole = numbers.listed("intervals", n_interval)
    counts = numbers.within("numbers of channels in an interval", n_interval, n_chan + 1)
    rows = [_runs(always, n_chan, -1), *(np.array([[k, 0, n_chan]]) for k in whole)]
    for k, n in enumerate(counts.tolist()):
        bad = numbers.within("channels", n, n_chan) if 0 < n < n_chan else np.arange(n)
        rows.append(_runs(bad, n_chan, k))
    numbers.finish()
    which, first, stop = np.concatenate(rows).T.astype(np.float64)
    start = np.where(which < 0, -np.inf, which * interval_s)
    end = np.where(which < 0, np.inf, (which + 1) * interval_s)
    edge = low_mhz - step_mhz / 2
    return Regions((edge + first * step_mhz) * _HZ, (edge + stop * step_mhz) * _HZ, start, end,
                   _time(mjd))


def _runs(channels: NDArray[np.int64], n_chan: int, interval: int) -> NDArray[np.int64]:
    """Return the number of an interval, and first and stop of each run of channels, (n, 3)."""
    bad = np.zeros(n_chan, np.bool_)
    bad[channels] = True
    runs = np.array(from_mask(bad), np.int64).reshape(-1, 2)
    return np.column_stack([np.full(len(runs), interval), runs])


def _time(mjd: float) -> Time:
    day = int(mjd)
    return time_from_mjd(day, (mjd - day) * 86400)
