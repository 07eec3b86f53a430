"""Temperatures of noise diodes, from the tables that observers exchange.

There are two kinds: text files with one number per line for 65536 channels from 1000 to 1500 MHz,
one file for each beam and polarisation (``m01_tc_low_pol_0.txt``); and NumPy archives with ``freq``
(chan), MHz, and ``tcal`` (chan, pol, beam), K.
"""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from fastsig.axes.frequency import ChannelAxis
from fastsig.errors import FormatError, UsageError, unreadable
from fastsig.work.shown import Shown

__all__ = ["TcalSet", "TcalTable", "masked", "read"]

_NAME = re.compile(r"m(\d\d)_tc_(low|high)_pol_([01])\.txt", re.IGNORECASE)
_DATE = re.compile(r"(?<!\d)(20\d\d)-?([01]\d)-?([0-3]\d)(?!\d)")

# The text tables have the channels of FAST's W mode; this is the label of the first channel.
_N_TEXT = 65536
_FIRST_MHZ, _STEP_MHZ = 1000.0035762786865, 500 / 65536

_EDGE = 64  # the range at either end is a 64th of the channels
_AROUND = 15
_SIGMAS = 6.0
_TO_SIGMA = 1.4826  # converts a median deviation to a standard deviation

Array = NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class TcalTable(Shown):
    """Temperatures of a noise diode on a date.

    Parameters
    ----------
    name : str
        Name by which the table is requested.
    frequency : ndarray
        Channel centres, MHz, ascending, shape (chan,), float64.
    values : mapping
        Temperatures, K, for each pair (beam, pol), where pol is 0 or 1: shape (chan,), float64; NaN
        where masked.
    date : Time or None
        Date of the measurement, if it is known.
    level : str or None
        "low" or "high".
    """

    name: str
    frequency: Array
    values: Mapping[tuple[int, int], Array]
    date: Time | None = None
    level: str | None = None

    @property
    def beams(self) -> tuple[int, ...]:
        """Beams with at least one polarisation."""
        return tuple(sorted({beam for beam, _ in self.values}))

    def masked_share(self, beam: int) -> float:
        """Return the fraction of a beam's temperatures that are masked."""
        return float(np.isnan([self._one(beam, pol) for pol in (0, 1)]).mean())

    def at(self, axis: ChannelAxis, beam: int, *, max_gap: float = 1.0, n_pol: int = 2
           ) -> u.Quantity:
        """Return temperatures of the polarisations in the channels of an axis.

        The table is interpolated linearly, and averaged over the width of each channel. For
        channels narrower than those of the table, the mean is practically the interpolated value at
        the centre of the channel.

        Parameters
        ----------
        axis : ChannelAxis
            The channels.
        beam : int
            Number of the beam.
        max_gap : float
            Channels for which the table has no temperature within this distance, MHz, become NaN.
        n_pol : int
            Number of polarisations to return, starting with polarisation 0.

        Returns
        -------
        Quantity
            Temperatures, K, shape (pol, chan), float64.

        Raises
        ------
        UsageError
            If the table lacks the beam, or a polarisation of it.
        """
        centers = axis.centers.to_value(u.MHz)
        width = float(axis.step_hz) / 1e6
        rows = [_mean_over(self.frequency, self._one(beam, pol), centers, width, max_gap)
                for pol in range(n_pol)]
        return np.stack(rows) << u.K

    def _one(self, beam: int, pol: int) -> Array:
        found = self.values.get((beam, pol))
        if found is None:
            listed = ", ".join(f"M{b:02d} pol {p}" for b, p in sorted(self.values))
            raise UsageError(f"Tcal table {self.name} has no M{beam:02d} pol {pol}; it has "
                             f"{listed}")
        return found


@dataclass(frozen=True, repr=False)
class TcalSet(Shown):
    """Tables of several dates."""

    tables: tuple[TcalTable, ...]

    def named(self, name: str) -> TcalTable:
        """Return the table with a name.

        Raises
        ------
        UsageError
            If there is no such table, or more than one.
        """
        found = [table for table in self.tables if table.name == name]
        if len(found) != 1:
            listed = ", ".join(table.name for table in self.tables)
            raise UsageError(f"{len(found)} Tcal tables are called {name!r}; there are {listed}")
        return found[0]

    def nearest(self, time: Time, level: str | None = None) -> TcalTable:
        """Return the table whose date is nearest to a time, or the earlier of two equally near.

        Raises
        ------
        UsageError
            If no table of that level has a date.
        """
        dated = [(abs(table.date.mjd - time.mjd), table.date.mjd, table) for table in self.tables
                 if table.date is not None and level in (None, table.level)]
        if not dated:
            kind = "" if level is None else f"{level} "
            raise UsageError(f"no {kind}Tcal table with a date; name one, or give date=...")
        return min(dated, key=lambda each: each[:2])[2]


def read(path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], *,
         date: Time | None = None, name: str | None = None) -> TcalTable:
    """Read the table of one date.

    Parameters
    ----------
    path : path or iterable of path
        An ``.npz`` file, text files of beams and polarisations, or the folder that contains them.
    date : Time, optional
        Date; by default, the date in the name of the ``.npz`` file or of the folder of the text
        files, written as 20201014 or 2020-10-14, if there is one.
    name : str, optional
        Name; by default, that of the ``.npz`` file, without the extension, or of the folder of the
        text files.

    Raises
    ------
    FormatError
        If a file is not such a table.
    UsageError
        If there are no files, or if they contain both levels, or the same beam and polarisation
        twice.
    """
    if isinstance(path, (str, os.PathLike)):
        whole = Path(path)
        if whole.suffix.lower() == ".npz":
            return _read_archive(whole, date, name)
        paths = sorted(whole.iterdir()) if whole.is_dir() else [whole]
    else:
        paths = [Path(each) for each in path]
    return _read_texts([each for each in paths if _NAME.fullmatch(each.name)], paths, date, name)


def masked(values: Array) -> Array:
    """Set impossible temperatures to NaN.

    These are temperatures that are not finite or not positive. In the first and in the last 64th of
    the channels, temperatures are also impossible if they are more than 6 robust standard
    deviations away from the median of the 15 channels around them.

    Parameters
    ----------
    values : ndarray
        Temperatures, shape (chan,).
    """
    from scipy.ndimage import median_filter

    found = np.where(np.isfinite(values) & (values > 0), values, np.nan)
    n = max(1, len(found) // _EDGE)
    for edge in (found[: 2 * n], found[-2 * n :][::-1]):  # views, from the end inwards
        good = np.isfinite(edge)
        if not good.any():
            continue
        filled = np.where(good, edge, np.median(edge[good]))
        off = np.abs(filled - median_filter(filled, _AROUND, mode="mirror"))
        edge[:n][off[:n] > _SIGMAS * _TO_SIGMA * np.median(off)] = np.nan
    return np.asarray(found)


def _read_texts(paths: list[Path], given: list[Path], date: Time | None, name: str | None
                ) -> TcalTable:
    if not paths:
        listed = ", ".join(str(each) for each in given[:3]) or "nothing"
        raise UsageError(f"no Tcal table among {listed}; allowed: files such as "
                         "m01_tc_low_pol_0.txt, their folder, or an .npz file")
    frequency = _FIRST_MHZ + _STEP_MHZ * np.arange(_N_TEXT, dtype=np.float64)
    values: dict[tuple[int, int], Array] = {}
    levels = set()
    for path in paths:
        beam, level, pol = _parts(path)
        if (beam, pol) in values:
            raise UsageError(f"two Tcal tables for M{beam:02d} pol {pol}: one is {path}")
        levels.add(level)
        values[beam, pol] = masked(_numbers(path))
    if len(levels) > 1:
        raise UsageError(f"Tcal tables of both levels in {paths[0].parent}; specify the files of "
                         "one level")
    folder = paths[0].resolve().parent
    return TcalTable(name or folder.name, frequency, values, date or _date_of(folder),
                     levels.pop())


def _parts(path: Path) -> tuple[int, str, int]:
    match = _NAME.fullmatch(path.name)
    if match is None:  # never: files are selected by this pattern
        raise UsageError(f"{path}: the name states no beam")
    return int(match[1]), match[2].lower(), int(match[3])


def _numbers(path: Path) -> Array:
    try:
        found = np.array(path.read_text(encoding="ascii").split(), np.float64)
    except OSError as error:
        raise unreadable(path, error) from error
    except ValueError as error:
        raise FormatError(path, f"not text with one number per line: {error}") from error
    if len(found) != _N_TEXT:
        raise FormatError(path, f"{len(found)} numbers; a Tcal table has {_N_TEXT}")
    return found


def _read_archive(path: Path, date: Time | None, name: str | None) -> TcalTable:
    frequency, tcal = _arrays(path)
    if frequency.ndim != 1 or tcal.ndim != 3 or tcal.shape[:2] != (len(frequency), 2):
        raise FormatError(path, f"freq {frequency.shape}, tcal {tcal.shape}; allowed: (chan,) and "
                          "(chan, 2, beam)")
    if len(frequency) < 2 or not np.all(np.diff(frequency) > 0):
        raise FormatError(path, "freq is not ascending")
    values = {(beam + 1, pol): masked(tcal[:, pol, beam])
              for beam in range(tcal.shape[2]) for pol in (0, 1)}
    level = next((each for each in ("low", "high") if each in path.name.lower()), None)
    return TcalTable(name or path.stem, frequency, values, date or _date_of(path), level)


def _arrays(path: Path) -> tuple[Array, Array]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [key for key in ("freq", "tcal") if key not in archive]
            if missing:
                raise FormatError(path, f"the archive lacks {', '.join(missing)}; it has "
                                  f"{', '.join(archive)}")
            return archive["freq"].astype(np.float64), archive["tcal"].astype(np.float64)
    except OSError as error:
        raise unreadable(path, error) from error
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise FormatError(path, f"not an archive of numbers (.npz): {error}") from error


def _date_of(path: Path) -> Time | None:
    match = _DATE.search(path.name)
    try:
        return Time("-".join(match.groups()), scale="utc") if match else None
    except ValueError:
        return None


def _mean_over(frequency: Array, values: Array, centers: Array, width: float, max_gap: float
               ) -> Array:
    """Return means over channels of the line through valid points; NaN far from any point."""
    good = np.isfinite(values)
    if not good.any():
        return np.full(len(centers), np.nan)
    x, y = frequency[good], values[good]
    # The line is constant beyond its ends; `area` is its integral up to each point.
    area = np.concatenate([[0.0], np.cumsum(np.diff(x) * (y[1:] + y[:-1]) / 2)])

    def integral(at: Array) -> Array:
        left = np.clip(np.searchsorted(x, at, "right") - 1, 0, len(x) - 1)
        inside = np.interp(at, x, y)
        return np.asarray(area[left] + (at - x[left]) * (y[left] + inside) / 2)

    mean = (integral(centers + width / 2) - integral(centers - width / 2)) / width
    right = np.clip(np.searchsorted(x, centers), 0, len(x) - 1)
    near = np.minimum(np.abs(centers - x[right]), np.abs(centers - x[np.maximum(right - 1, 0)]))
    return np.where(near <= max_gap, mean, np.nan)
