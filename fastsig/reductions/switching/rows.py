"""Scans of an SDFITS file: their rows by switching state, their partners and their powers."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.calibration import switching
from fastsig.errors import DataError, FastsigWarning, FormatError, UsageError, users_line
from fastsig.io.sdfits import reader as sdfits

__all__ = ["Power", "Scans", "Selection"]

_SUB_BEAM_NOD = "SubBeamNod"
_PICKS = {"scan": "SCAN", "ifnum": "IFNUM", "plnum": "PLNUM", "fdnum": "FDNUM"}


class Selection(NamedTuple):
    """Rows to select from a file, and parameters of their calibration.

    Parameters
    ----------
    scan, ifnum, plnum, fdnum : int
        Values in the columns with these names.
    integrations : sequence of int, optional
        Integrations of the scan, from 0; all by default.
    tsys : float, optional
        System temperature, K, instead of the value measured with the noise diode.
    tcal : float, optional
        Temperature of the diode, K, instead of TCAL.
    smooth_ref : int
        Number of channels over which references are smoothed.
    n_eff : float
        Independent samples of a channel, divided by bandwidth times time.
    """

    scan: int
    ifnum: int = 0
    plnum: int = 0
    fdnum: int = 0
    integrations: Sequence[int] | None = None
    tsys: float | None = None
    tcal: float | None = None
    smooth_ref: int = 1
    n_eff: float = 1.0


class Power(NamedTuple):
    """The power of an integration in one switching state.

    Parameters
    ----------
    values : ndarray, shape (chan,), float64
        Mean of the noise diode's two states, or the spectrum of the only state.
    tsys : float
        System temperature, K; NaN if neither the diode nor the user provides it.
    tcal : float
        Temperature of the diode, K, if both its states are present, otherwise 0.
    exposure : float
        Total exposure of all states, s.
    row : int
        One of its rows.
    """

    values: NDArray[np.float64]
    tsys: float
    tcal: float
    exposure: float
    row: int


class Scans:
    """The rows of an SDFITS file, by scan and state.

    Parameters
    ----------
    path : path
        The file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.table = sdfits.table(path)
        self.path = self.table.path
        self._columns = {name: self.table.values(name)
                         for name in (*_PICKS.values(), "CAL", "SIG")}
        self._said: set[int] = set()
        self._mirror = self.table.values("SUBREF_STATE")
        for name, values in self._columns.items():
            if all(each is None for each in values):
                raise FormatError(self.path, f"has no column {name}; allowed: SDFITS as written by "
                                  "the GBT")

    def rows(self, scan: int, picks: Selection, sig: str | None = None) -> list[int]:
        """Return the rows of a scan in the file's order; raise `UsageError` if there are none."""
        rows = list(range(len(self.table)))
        for key, name in _PICKS.items():
            asked = scan if key == "scan" else getattr(picks, key)
            values = self._columns[name]
            left = [row for row in rows if values[row] == asked]
            if not left:
                there = _listed(values[row] for row in rows)
                of = "" if key == "scan" else f" of scan {scan}"
                raise UsageError(f"{self.path}: no row{of} has {key} = {asked}; allowed: {there}")
            rows = left
        rows = self._at_rest(scan, rows)
        return rows if sig is None else [row for row in rows if self._columns["SIG"][row] == sig]

    def _at_rest(self, scan: int, rows: list[int]) -> list[int]:
        """Return the rows in which the subreflector is at rest; refuse a scan in which it nods."""
        name, states = self.procedure(rows[0])[0], {self._mirror[row] for row in rows}
        if name == _SUB_BEAM_NOD or {1, -1} <= states:
            raise FormatError(self.path, f"scan {scan} is {_SUB_BEAM_NOD}: the subreflector nods "
                              "between two feeds (SUBREF_STATE 1 and -1, and 0 where it moves); no "
                              "mode of switch reduces it")
        left = [row for row in rows if self._mirror[row] != 0]
        if not left:
            raise FormatError(self.path, f"scan {scan}: the subreflector moves in all rows "
                              "(SUBREF_STATE 0)")
        if len(left) < len(rows) and scan not in self._said:
            self._said.add(scan)
            warnings.warn(f"{self.path}: scan {scan}: {len(rows) - len(left)} of {len(rows)} rows "
                          "are left out: the subreflector moves (SUBREF_STATE 0)", FastsigWarning,
                          stacklevel=users_line())
        return left

    def all_of(self, name: str, scan: int, **picks: int) -> list[Any]:
        """Return the distinct values of a column in the rows of a scan, in the file's order."""
        rows = (row for row in range(len(self.table)) if self._columns["SCAN"][row] == scan
                and all(self._columns[_PICKS[key]][row] == value for key, value in picks.items()))
        return list(dict.fromkeys(self._columns[name][row] for row in rows))

    def procedure(self, row: int) -> tuple[str, str, int, int]:
        """Return procedure, switching state (`PSWITCHON` ...), scan's number in it and count."""
        mode = str(self.table.value(row, "OBSMODE") or "").strip()
        name, _, state = mode.partition(":")
        number, size = (self._count(row, key) for key in ("PROCSEQN", "PROCSIZE"))
        return name, state.partition(":")[0], number, size

    def _count(self, row: int, name: str) -> int:
        """Return a column's value as a whole number; 0 if there is none."""
        try:
            return int(self.table.value(row, name))
        except (TypeError, ValueError, OverflowError):
            return 0

    def partner(self, scan: int, row: int, names: Sequence[str]) -> int:
        """Return the other scan of a pair; `row` is a row of `scan`.

        Raises
        ------
        FormatError
            If the scan belongs to another procedure, or its partner is not in the file.
        """
        name, _, number, size = self.procedure(row)
        if name not in names or size != 2 or number not in (1, 2):
            raise FormatError(self.path, f"scan {scan} is {number} of {size} of {name!r} (OBSMODE, "
                              f"PROCSEQN, PROCSIZE); allowed: of 2 of {' or '.join(names)}")
        other = scan + (1 if number == 1 else -1)
        if other not in self._columns["SCAN"]:
            raise FormatError(self.path, f"scan {scan} is {number} of 2 of {name}; its partner, "
                              f"scan {other}, is missing; the file has scans "
                              f"{_listed(self._columns['SCAN'])}")
        found = self.procedure(self._columns["SCAN"].index(other))
        if (found[0], found[2]) != (name, 3 - number):
            raise FormatError(self.path, f"scan {other} is {found[2]} of {found[0]!r}; allowed as "
                              f"partner of scan {scan}: {3 - number} of {name}")
        return other

    def powers(self, scan: int, picks: Selection, sig: str = "T", *, diode: bool = True
               ) -> list[Power]:
        """Return the powers of the integrations of a scan, in order of time.

        Raises
        ------
        FormatError
            If a diode state needed for Tsys is missing, or TCAL is not a temperature.
        DataError
            If a spectrum contains only NaN, or the diode is not seen in it.
        """
        rows = self.rows(scan, picks, sig)
        if not rows:
            raise FormatError(self.path, f"scan {scan} has no rows with SIG = {sig!r}; it has "
                              f"{_listed(self._columns['SIG'][r] for r in self.rows(scan, picks))}")
        pairs = self._pairs(scan, rows, needed=diode and picks.tsys is None)
        chosen = range(len(pairs)) if picks.integrations is None else picks.integrations
        for number in chosen:
            if not 0 <= number < len(pairs):
                raise UsageError(f"{self.path}: scan {scan} has no integration {number}; allowed: "
                                 f"0 to {len(pairs) - 1}")
        return [self._power(*pairs[number], picks) for number in chosen]

    def _pairs(self, scan: int, rows: Sequence[int], needed: bool
               ) -> list[tuple[int, int | None]]:
        """Return the rows with the diode off and on of each integration; None without a diode."""
        states: dict[str, dict[tuple[int, Fraction], int]] = {"T": {}, "F": {}}
        for row in rows:
            cal, start = str(self._columns["CAL"][row]), self.table.start(row)
            if cal not in states:
                raise FormatError(self.path, f"scan {scan}: CAL = {cal!r}; allowed: T, F")
            if start in states[cal]:
                raise FormatError(self.path, "table {}, row {}: a second row with CAL = {!r} and "
                                  "the same DATE-OBS".format(*self.table.place(row), cal))
            states[cal][start] = row
        on, off = states["T"], states["F"]
        both = sorted(set(on) & set(off))
        if both and len(both) < max(len(on), len(off)):
            warnings.warn(f"{self.path}: scan {scan}: {max(len(on), len(off)) - len(both)} "
                          "integrations lack a state of the noise diode and are left out",
                          FastsigWarning, stacklevel=users_line())
        if both:
            return [(off[start], on[start]) for start in both]
        has = " and ".join(f"CAL = {key}" for key, each in states.items() if each)
        if not needed and not off:
            raise FormatError(self.path, f"scan {scan} has only {has}; allowed: rows with the "
                              "noise diode off (CAL = F), or with both states")
        if needed:
            raise FormatError(self.path, f"scan {scan} has only {has}; Tsys needs the noise diode "
                              "on and off (CAL = T and F), or specify it: --tsys 20K")
        return [(off[start], None) for start in sorted(off)]

    def _power(self, off: int, on: int | None, picks: Selection) -> Power:
        low = self._spectrum(off)
        exposure, given = self._exposure(off), np.nan if picks.tsys is None else picks.tsys
        if on is None:
            return Power(low, given, 0.0, exposure, off)
        high, tcal = self._spectrum(on), picks.tcal
        if tcal is None:
            tcal = self._positive(off, "TCAL")
        found = self._tsys(off, on, low, high, tcal) if picks.tsys is None else given
        return Power(switching.total_power(high, low), found, tcal,
                     exposure + self._exposure(on), off)

    def _tsys(self, off: int, on: int, low: NDArray[np.float64], high: NDArray[np.float64],
              tcal: float) -> float:
        found = float(switching.tsys(high, low, tcal))
        if not 0 < found < np.inf:
            raise DataError(self.path, f"{self.where(off)} and row {self.table.place(on)[1]}: the "
                            "power with the noise diode on is not above that with it off (Tsys "
                            f"{found:.4g} K); are CAL's states right?")
        return found

    def _spectrum(self, row: int) -> NDArray[np.float64]:
        values = np.asarray(self.table.spectra(row), np.float64)
        values = np.where(np.isfinite(values), values, np.nan)
        if np.isnan(values).all():
            raise DataError(self.path, f"{self.where(row)}: the spectrum contains only NaN; "
                            "leave out its integration with --integrations")
        return values

    def _exposure(self, row: int) -> float:
        return self._positive(row, "EXPOSURE")

    def _positive(self, row: int, name: str) -> float:
        value = float(self.table.number(row, name))
        if not value > 0:
            raise FormatError(self.path, f"{self.where(row)}: {name} = {value:g}; allowed: above 0")
        return value

    def width(self, row: int) -> float:
        """Return the noise bandwidth of a channel, Hz, which is the channel spacing.

        FREQRES is the width at half maximum. For a correlator without taper it is 1.21 times the
        noise bandwidth, as recorded spectra confirm.
        """
        return float(abs(self.table.line(row)[1]))

    def where(self, row: int) -> str:
        """Return a row's table and number for error messages."""
        return "table {}, row {}".format(*self.table.place(row))

    def close(self) -> None:
        """Close the file."""
        self.table.close()


def _listed(values: Iterable[Any]) -> str:
    """List the distinct values, as in ``152, 153``."""
    some = [str(each) for each in dict.fromkeys(values)]
    return ", ".join(some if len(some) <= 20 else [*some[:19], f"... ({len(some)})"])
