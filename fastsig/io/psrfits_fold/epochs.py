"""Epochs, durations and folding periods of an archive."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from astropy.time import Time, TimeDelta
from numpy.typing import NDArray

from fastsig.axes.time import later, mjd_and_seconds, time_from_mjd
from fastsig.axes.units import exact
from fastsig.errors import FormatError, UsageError
from fastsig.io.fits.layout import read_column
from fastsig.io.psrfits.headers import Doubt, start_of
from fastsig.io.psrfits_fold.headers import FoldFile
from fastsig.io.psrfits_fold.predictor import by_polyco, read_polyco
from fastsig.io.psrfits_fold.tempo2_predictor import read_tempo2

__all__ = ["Clock", "clock_of", "column", "ephemeris"]

_LONGEST_S = 1e9

F8 = NDArray[np.float64]


class Clock(NamedTuple):
    """Epochs, durations and periods of the subintegrations of a file.

    Parameters
    ----------
    reference : (int, Fraction)
        UTC from which offsets count: day number, and seconds of the day.
    offsets, durations, periods : ndarray, shape (subint,), float64
        As in `Profiles`, s.
    rows : tuple of mapping
        Rows of POLYCO.
    tbin : Fraction or None
        Interval of the folded samples, s.
    first : Fraction
        Start of the first subintegration, s after the reference.
    """

    reference: tuple[int, Fraction]
    offsets: F8
    durations: F8
    periods: F8
    rows: tuple[Mapping[str, Any], ...]
    tbin: Fraction | None
    first: Fraction

    @property
    def start(self) -> Time:
        """Start of the first subintegration."""
        day, seconds = self.reference
        if 0 <= seconds + self.first < 86400:
            return time_from_mjd(day, seconds + self.first)
        first = TimeDelta(float(self.first), format="sec", scale="tai")
        return later(time_from_mjd(*self.reference), first)

    def starting(self, time: Time) -> Clock:
        """Return the clock moved to another start of the first subintegration."""
        return self._replace(reference=mjd_and_seconds(time), first=Fraction(0),
                             offsets=self.offsets - float(self.first))

    def rate(self, n_bin: int) -> Fraction:
        """Return the rate of the folded samples, Hz; that of the bins if it is not known."""
        if self.tbin is not None:
            return 1 / self.tbin
        period = self.periods[0] if np.isfinite(self.periods[0]) else self.durations[0] or 1.0
        return n_bin / Fraction(repr(float(period)))


def clock_of(file: FoldFile, common: Mapping[str, Any], special: Mapping[str, Any],
             mhz: Fraction | None, notes: list[str]) -> Clock:
    """Return the clock of a file; `common` and `special` are overrides.

    `mhz` is the frequency to which the profiles refer.

    Raises
    ------
    FormatError
        If the file contradicts itself, or has no times.
    UsageError
        If the given period is not above 0.
    """
    reference = start_of(file.primary, file.path, common)
    offsets, durations = _times(file, notes)
    rows = _predictor(file, mhz, notes)
    if rows and (file.table.cards.text("EPOCHS") or "").upper() != "VALID":
        offsets = _at_phase_zero(file, rows, reference, offsets, notes)
    periods = _periods(file, rows, reference, offsets, special, notes)
    interval = file.table.cards.number("TBIN")
    known = interval is not None and 1e-12 < interval < 1e6
    return Clock(reference, offsets, durations, periods, rows,
                 file.table.cards.exact("TBIN") if known else None,
                 _first(file, offsets, durations, periods))


def _predictor(file: FoldFile, mhz: Fraction | None, notes: list[str]
               ) -> tuple[Mapping[str, Any], ...]:
    """Return the rows of POLYCO, or of T2PREDICT if there is none, as PSRCHIVE does."""
    if "POLYCO" in file.others:
        return read_polyco(file.path, file.others["POLYCO"])
    if "T2PREDICT" not in file.others:
        return ()
    try:
        return read_tempo2(file.path, file.others["T2PREDICT"], float(mhz or 0))
    except FormatError as error:
        notes.append(Doubt(str(error)))
        return ()


def _first(file: FoldFile, offsets: F8, durations: F8, periods: F8) -> Fraction:
    """Return the start of the first subintegration, s after STT_*.

    An epoch is at a phase of 0, up to a turn before the middle of its subintegration. If the
    subintegration may therefore begin at STT_*, as the first one of an observation does, it is
    taken to begin there.
    """
    stated = file.table.cards.number("SUBSTART")
    if stated is not None and abs(stated) < _LONGEST_S:
        return file.table.cards.exact("SUBSTART")
    early = float(offsets[0] - durations[0] / 2)
    return Fraction(0) if abs(early) <= periods[0] else Fraction(early)


def column(file: FoldFile, name: str) -> F8 | None:
    """Return a column as numbers, a row for each subintegration; None if it is missing."""
    if name not in file.table.columns:
        return None
    return np.asarray(read_column(file.path, file.table, name), np.float64).reshape(
        file.table.n_row, -1)


def _times(file: FoldFile, notes: list[str]) -> tuple[F8, F8]:
    """Return epochs after STT_* and durations, s."""
    found, lengths = column(file, "OFFS_SUB"), column(file, "TSUBINT")
    n = file.table.n_row
    durations = np.zeros(n) if lengths is None else lengths[:, 0]
    if not (np.isfinite(durations) & (durations >= 0) & (durations < _LONGEST_S)).all():
        raise FormatError(file.path, "TSUBINT is not a time in some rows; allowed: 0 to 1e9 s")
    if found is None:
        notes.append(f"{file.path}: no column OFFS_SUB; subintegrations follow one another")
        return np.cumsum(durations) - durations / 2, durations
    offsets = found[:, 0]
    if not (np.isfinite(offsets) & (np.abs(offsets) < _LONGEST_S)).all():
        raise FormatError(file.path, "OFFS_SUB is not a time in some rows; allowed: up to 1e9 s")
    return offsets, durations


def _at_phase_zero(file: FoldFile, rows: Any, reference: tuple[int, Fraction], offsets: F8,
                   notes: list[str]) -> F8:
    """Return epochs moved to the nearest phase 0 of the polyco, where the file has other times."""
    phases, frequencies = by_polyco(rows, reference, offsets)
    known = frequencies > 0
    moved = offsets - np.divide(phases, frequencies, out=np.zeros(len(offsets)), where=known)
    notes.append(Doubt(f"{file.path}: EPOCHS = {file.table.cards.text('EPOCHS')!r}: the epochs are "
                       "not times of phase 0; the nearest ones by POLYCO are used"))
    return moved


def _periods(file: FoldFile, rows: Any, reference: tuple[int, Fraction], offsets: F8,
             special: Mapping[str, Any], notes: list[str]) -> F8:
    """Return the folding period at each epoch, s: by POLYCO, PERIOD or CAL_FREQ, or by F0."""
    if "period" in special:
        period = float(exact(special["period"], "s", "period"))
        if not 0 < period < _LONGEST_S:
            raise UsageError(f"period = {special['period']}; allowed: above 0 s")
        return np.full(len(offsets), period)
    stated = column(file, "PERIOD")
    found = np.full(len(offsets), np.nan) if stated is None else stated[:, 0].copy()
    found[~((found > 0) & (found < _LONGEST_S))] = np.nan
    _, frequencies = by_polyco(rows, reference, offsets)
    with np.errstate(divide="ignore"):
        found = np.where(frequencies > 0, 1 / frequencies, found)
    calibration = file.primary.number("CAL_FREQ") or 0
    if np.isnan(found).any() and calibration > 0 and "CAL" in (file.primary.text("OBS_MODE") or ""):
        found[np.isnan(found)] = 1 / calibration
    lost = np.isnan(found)
    if lost.any():
        own, words = _spin(file), "not known; --set period=0.7s supplies it"
        if own is not None:
            found[lost] = own
            words = "taken from the pulsar's parameters, without the Doppler shift"
        kept = "POLYCO" if "POLYCO" in file.others else "T2PREDICT"
        where = f"{kept} does not cover all epochs" if rows else "no POLYCO"
        notes.append(Doubt(f"{file.path}: {where}; the folding period is {words}"))
    return found


def _spin(file: FoldFile) -> float | None:
    """Return the period by F0 or P0 of PSRPARAM, s."""
    for line in ephemeris(file).splitlines():
        key, *rest = line.split()
        if key.upper() in ("F0", "F", "P0", "P", "PERIOD") and rest:
            try:
                value = float(rest[0].upper().replace("D", "E"))
            except ValueError:
                continue
            if 1e-6 < value < 1e6:
                return 1 / value if key.upper() in ("F0", "F") else value
    return None


def ephemeris(file: FoldFile) -> str:
    """Return the lines of PSRPARAM."""
    table = file.others.get("PSRPARAM")
    if table is None or "PARAM" not in table.columns or table.columns["PARAM"].code != "A":
        return ""
    lines = [bytes(each).decode("ascii", "replace").strip("\0 ") for each in
             read_column(file.path, table, "PARAM", 0, 10**4)]
    return "\n".join(filter(None, lines))
