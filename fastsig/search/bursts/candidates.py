"""Candidates: the product of a search for bursts, a table with a row for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from astropy import units as u
from astropy.time import Time
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.search.bursts.columns import COLUMNS, OPTIONAL
from fastsig.work.shown import table as html_table

if TYPE_CHECKING:
    from astropy.table import QTable

__all__ = ["Candidates"]

#: Decimals of columns: more would be noise, and digits that depend on the processor.
_DECIMALS = {"time_s": 9, "dm": 4, "dm_error": 4, "width": 9, "snr": 3, "valid_share": 4,
             "low_mhz": 6, "high_mhz": 6, "ra": 7, "dec": 7, "dm_low": 4, "dm_high": 4,
             "mjd_bary": 11}
_ROWS = 10  # that a repr shows


class Candidates:
    """Burst candidates, the brightest first.

    ``candidates["dm"]`` is a column, with its unit; ``candidates[:10]`` and ``candidates[mask]``
    are some of the candidates.

    Parameters
    ----------
    columns : mapping
        Values of the columns of `fastsig.search.bursts.columns`, by name: `Time`, arrays of
        numbers in the unit of the column, and text.
    meta : mapping
        How they were found, for JSON: threshold, plan, widths, false alarms expected and more.

    Raises
    ------
    UsageError
        If a column is missing or not known, or lengths differ.
    """

    def __init__(self, columns: Mapping[str, Any], meta: Mapping[str, Any] | None = None) -> None:
        known = {**COLUMNS, **OPTIONAL}
        lacking = [name for name in COLUMNS if name not in columns]
        other = [name for name in columns if name not in known]
        if lacking or other:
            raise UsageError(f"candidates {'lack' if lacking else 'have'} the column "
                             f"{(lacking or other)[0]!r}; allowed: {', '.join(known)}")
        if len({len(values) for values in columns.values()}) > 1:
            raise UsageError("columns of candidates have different lengths; allowed: equal ones")
        self._columns = {name: _values(name, columns[name]) for name in known if name in columns}
        self.meta = dict(meta or {})

    def __len__(self) -> int:
        return len(self._columns["dm"])

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self._columns)

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, str):
            return self._part(key)
        if key not in self._columns:
            raise UsageError(f"candidates have no column {key!r}; allowed: "
                             f"{', '.join(self._columns)}")
        unit = {**COLUMNS, **OPTIONAL}[key].unit
        found = self._columns[key]
        return found if unit is None else found << u.Unit(unit)

    def values(self, name: str) -> NDArray[Any]:
        """Return a column of numbers or text without its unit."""
        found: NDArray[Any] = self._columns[name]
        return found

    def _part(self, key: Any) -> Candidates:
        index = np.atleast_1d(np.arange(len(self))[key])
        return Candidates({name: each[index] for name, each in self._columns.items()}, self.meta)

    def with_columns(self, **columns: Any) -> Candidates:
        """Return a copy with some columns replaced or added."""
        return Candidates({**self._columns, **columns}, self.meta)

    def with_meta(self, **meta: Any) -> Candidates:
        """Return a copy with some entries of the meta replaced or added."""
        return Candidates(self._columns, {**self.meta, **meta})

    def sorted(self) -> Candidates:
        """Return the candidates with the brightest first; of equal ones, the earliest."""
        times = self._columns["time"].tai
        order = np.lexsort((self.values("dm"), times.jd2, times.jd1, -self.values("snr")))
        return self._part(order)

    def table(self) -> QTable:
        """Return the candidates as a table, with units and descriptions."""
        from astropy.table import QTable

        made = QTable(meta=dict(self.meta))
        for name in self.names:
            made[name] = self[name]
            made[name].info.description = {**COLUMNS, **OPTIONAL}[name].text
        return made

    @classmethod
    def from_table(cls, table: QTable) -> Self:
        """Return the candidates of a table that `table` returned.

        Raises
        ------
        UsageError
            If a column is missing, or has another unit or type.
        """
        known = {**COLUMNS, **OPTIONAL}
        return cls({name: _of_column(name, table[name]) for name in known
                    if name in table.colnames}, dict(table.meta))

    @classmethod
    def join(cls, parts: Sequence[Candidates]) -> Candidates:
        """Return the candidates of several searches in one table, the brightest first.

        Columns that only some have are left out. The meta is a list of the meta of each.
        """
        names = [name for name in parts[0].names if all(name in each for each in parts)]
        columns = {name: _joined([each._columns[name] for each in parts]) for name in names}
        return cls(columns, {"searches": [each.meta for each in parts]}).sorted()

    def __repr__(self) -> str:
        lines = [f"<Candidates: {len(self)}"]
        for k in range(min(len(self), _ROWS)):
            lines.append(f"  {self._columns['time'][k].isot}  DM {self.values('dm')[k]:.2f}  "
                         f"S/N {self.values('snr')[k]:.1f}  "
                         f"width {1e3 * self.values('width')[k]:.3g} ms")
        if len(self) > _ROWS:
            lines.append(f"  and {len(self) - _ROWS} more")
        return "\n".join(lines) + ">"

    def _repr_html_(self) -> str:
        return html_table(f"{len(self)} candidates", {
            self._columns["time"][k].isot: f"DM {self.values('dm')[k]:.2f}, S/N "
            f"{self.values('snr')[k]:.1f}, {1e3 * self.values('width')[k]:.3g} ms"
            for k in range(min(len(self), _ROWS))})


def _values(name: str, values: Any) -> Any:
    """Return the values of a column in its own type, rounded."""
    kind = {**COLUMNS, **OPTIONAL}[name].dtype
    if kind == "time":
        if not isinstance(values, Time):
            raise UsageError(f"{name}: not a Time; allowed: an astropy Time")
        return Time(values.utc, format="isot", precision=9)
    if kind == "U":
        return np.asarray(values, dtype=np.str_)
    found = np.asarray(values, np.dtype(kind))
    return np.round(found, _DECIMALS[name]) if name in _DECIMALS else found


def _of_column(name: str, column: Any) -> Any:
    """Return the numbers of a table's column in the unit of this one."""
    wanted = {**COLUMNS, **OPTIONAL}[name]
    if wanted.dtype == "time":
        return column if isinstance(column, Time) else Time(list(map(str, column)), scale="utc")
    if isinstance(column, u.Quantity):
        try:
            return column.to_value(wanted.unit or "")
        except u.UnitConversionError as error:
            raise UsageError(f"{name} is in {column.unit}; allowed: {wanted.unit}") from error
    if wanted.dtype == "U":
        return [str(each) for each in column]
    return np.asarray(column)


def _joined(parts: list[Any]) -> Any:
    if isinstance(parts[0], Time):
        return Time(np.concatenate([each.jd1 for each in parts]),
                    np.concatenate([each.jd2 for each in parts]), format="jd", scale="utc")
    return np.concatenate(parts)
