"""Known pulsars: a table of them, and the candidates that they may be.

A candidate of frequency f may be a pulsar of frequency f0 if three conditions are met: f is
``(a / b) f0``, with a and b up to 8, to within 2e-4 of it (because of the motion of the Earth) or
1.5 bins of the spectrum, whichever is more; the dispersion measures agree to within 3 pc cm^-3 or a
tenth of that of the pulsar, whichever is more, or that of the pulsar lies in the range of the
candidate's detections; and the positions, where both are known, agree to within the given radius.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import FormatError, UsageError
from fastsig.search.pulsars.candidates import PulsarCandidates

__all__ = ["Pulsar", "names_of", "read_known"]

_DOPPLER, _BINS = 2e-4, 1.5
_DM_SHARE, _DM = 0.1, 3.0
_RATIOS = sorted(((a, b) for a in range(1, 9) for b in range(1, 9) if gcd(a, b) == 1),
                 key=lambda pair: (sum(pair), pair))
#: Names of columns, in lower case; the first is that of a period or frequency.
_NAMES = {"name": ("name", "psrj", "jname", "psr", "psrb"), "period": ("period", "p0", "p"),
          "frequency": ("frequency", "f0"), "dm": ("dm",), "ra": ("ra", "raj", "rajd", "ra_deg"),
          "dec": ("dec", "decj", "decjd", "dec_deg")}


@dataclass(frozen=True)
class Pulsar:
    """A pulsar: name, period (s), DM (pc cm^-3) and position (deg; NaN if unknown)."""

    name: str
    period_s: float
    dm: float
    ra_deg: float = np.nan
    dec_deg: float = np.nan


def read_known(path: str | os.PathLike[str]) -> list[Pulsar]:
    """Read a table of pulsars: ECSV, or text with names of columns in its first line.

    Columns are ``name``, ``period`` or ``frequency`` (``p0``, ``f0``), ``dm`` and, where they are
    known, ``ra`` and ``dec``. Without units, they are in s, Hz, pc cm^-3 and degrees; positions may
    be sexagesimal text.

    Raises
    ------
    FormatError
        If the file cannot be read as a table, or lacks a column.
    """
    from astropy.table import Table

    try:
        table = Table.read(path, format="ascii.ecsv" if str(path).endswith(".ecsv") else "ascii")
    except Exception as error:  # anything that its readers raise
        raise FormatError(path, f"not a table of pulsars: {str(error).splitlines()[0]}") from error
    names = {each.lower(): each for each in table.colnames}
    column = {key: next((names[each] for each in words if each in names), None)
              for key, words in _NAMES.items()}
    lacking = [key for key in ("name", "dm") if column[key] is None]
    if lacking or (column["period"] is None and column["frequency"] is None):
        raise FormatError(path, f"has the columns {', '.join(table.colnames)}; allowed: with "
                          "name, period or frequency, and dm")
    try:
        return [_pulsar(row, column) for row in table]
    except (TypeError, ValueError) as error:
        raise FormatError(path, f"a value is not valid: {error}") from error


def _pulsar(row: Any, column: dict[str, str | None]) -> Pulsar:
    def value(key: str, unit: str) -> float:
        name = column[key]
        if name is None or np.ma.is_masked(row[name]):
            return np.nan
        of_column = row.table[name].unit
        return float(row[name]) * (1.0 if of_column is None else float(of_column.to(unit)))

    period = value("period", "s") if column["period"] else 1 / value("frequency", "Hz")
    if not period > 0:
        raise ValueError(f"period = {period}; allowed: above 0")
    return Pulsar(str(row[column["name"]]), period, value("dm", "pc / cm3"),
                  _angle(row, column["ra"], 15.0), _angle(row, column["dec"], 1.0))


def _angle(row: Any, name: str | None, per_hour: float) -> float:
    """Return an angle in degrees: a number, or sexagesimal text in hours or degrees."""
    if name is None or np.ma.is_masked(row[name]):
        return np.nan
    text = str(row[name])
    if ":" not in text:
        unit = row.table[name].unit
        return float(row[name]) * (1.0 if unit is None else float(unit.to("deg")))
    parts = [float(each) for each in text.lstrip("+-").split(":")]
    size = float(sum(each / 60**k for k, each in enumerate(parts))) * per_hour
    return -size if text.startswith("-") else size


def names_of(candidates: PulsarCandidates, known: Sequence[Pulsar], *, radius_deg: float = 1.0
             ) -> list[str]:
    """Return the name of the known pulsar that each candidate may be, or empty text.

    The ratio of the frequencies follows the name if it is not 1, as in ``J0534+2200 x 3/2``.

    Parameters
    ----------
    candidates : PulsarCandidates
        Candidates to name.
    known : sequence of Pulsar
        Known pulsars.
    radius_deg : float
        Largest distance on the sky, degrees.

    Raises
    ------
    UsageError
        If the radius is not above 0.
    """
    if not 0 < radius_deg <= 180:
        raise UsageError(f"radius = {radius_deg:g} deg; allowed: above 0, up to 180")
    if not known:
        return [""] * len(candidates)
    frequency = np.array([1 / each.period_s for each in known])
    dm = np.array([each.dm for each in known])
    return [_name(candidates, k, known, frequency, dm, radius_deg)
            for k in range(len(candidates))]


def _name(candidates: PulsarCandidates, k: int, known: Sequence[Pulsar],
          frequency: NDArray[np.float64], dm: NDArray[np.float64], radius_deg: float) -> str:
    value = {name: candidates.values(name)[k] for name in (
        "frequency", "dm", "dm_low", "dm_high", "ra", "dec", "r")}
    far = np.maximum(_DM_SHARE * dm, _DM)
    near = (np.abs(dm - value["dm"]) <= far) | ((dm >= value["dm_low"]) & (dm <= value["dm_high"]))
    near &= np.array([not _apart(each, value["ra"], value["dec"], radius_deg) for each in known])
    bins = _BINS * value["frequency"] / max(abs(value["r"]), 1.0)
    for a, b in _RATIOS:
        expected = frequency * a / b
        off = np.abs(value["frequency"] - expected) - np.maximum(_DOPPLER * expected, bins)
        good = np.flatnonzero(near & (off <= 0))
        if good.size:
            best = known[int(good[np.argmin(off[good])])].name
            return best if a == b else f"{best} x {a}/{b}" if b > 1 else f"{best} x {a}"
    return ""


def _apart(pulsar: Pulsar, ra: float, dec: float, radius_deg: float) -> bool:
    """Whether both positions are known, and farther from each other than the radius."""
    if not np.isfinite([pulsar.ra_deg, pulsar.dec_deg, ra, dec]).all():
        return False
    a, b = np.radians([pulsar.dec_deg, dec])
    half = np.sin((a - b) / 2) ** 2 + np.cos(a) * np.cos(b) * np.sin(
        np.radians(pulsar.ra_deg - ra) / 2) ** 2
    return bool(2 * np.degrees(np.arcsin(min(1.0, np.sqrt(half)))) > radius_deg)
