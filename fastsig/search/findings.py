"""Findings: the product of a search, which is a table with a row for each signal that was found."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np
from astropy import units as u
from astropy.time import Time
from numpy.typing import NDArray

from fastsig import registry
from fastsig.errors import UsageError
from fastsig.work.shown import table as html_table

if TYPE_CHECKING:
    from astropy.table import QTable

__all__ = ["Column", "Findings"]

_ROWS = 10  # that a repr shows


class Column(NamedTuple):
    """A column: NumPy type, unit, description, and number of decimal places.

    The type is ``"time"`` for UTC times, and ``"epoch"`` for times in UTC or in TDB; the unit is
    None for whole numbers, text and times.
    """

    dtype: str
    unit: str | None
    text: str
    #: Number of decimals: further ones would be noise, or depend on the processor; None for all.
    decimals: int | None = None


class Findings:
    """Signals that a search found, the strongest first.

    ``found["snr"]`` is a column, with its unit; ``found[:10]`` and ``found[mask]`` are subsets of
    the rows.

    Parameters
    ----------
    columns : mapping
        Values of the columns, with the names as keys. Values are a `Time`, arrays of numbers in the
        unit of the column, or arrays of text.
    meta : mapping
        How the signals were found, in types that JSON can store.

    Raises
    ------
    UsageError
        If a column is missing or not known, or lengths differ.
    """

    #: Columns of every table, in their order.
    required: ClassVar[Mapping[str, Column]]
    #: Columns that some tables have, after the others.
    optional: ClassVar[Mapping[str, Column]] = {}
    #: Word for the rows, in the plural.
    rows_are: ClassVar[str]
    #: The function that writes them, as `fastsig.registry.finding_writer` accepts it.
    writer: ClassVar[str]

    def __init__(self, columns: Mapping[str, Any], meta: Mapping[str, Any] | None = None) -> None:
        known = self.known()
        lacking = [name for name in self.required if name not in columns]
        other = [name for name in columns if name not in known]
        if lacking or other:
            raise UsageError(f"{self.rows_are} {'lack' if lacking else 'have'} the column "
                             f"{(lacking or other)[0]!r}; allowed: {', '.join(known)}")
        if len({len(values) for values in columns.values()}) > 1:
            raise UsageError(f"columns of {self.rows_are} have different lengths; allowed: equal "
                             "ones")
        self._columns = {name: _values(name, columns[name], known[name]) for name in known
                         if name in columns}
        self.meta = dict(meta or {})

    @classmethod
    def known(cls) -> dict[str, Column]:
        """Return all columns that a table may have, in their order."""
        return {**cls.required, **cls.optional}

    @abstractmethod
    def order(self) -> NDArray[np.int64]:
        """Return the numbers of the rows, the strongest first."""

    @abstractmethod
    def described(self, row: int) -> tuple[str, str]:
        """Return the name and the properties of a row as text for readers."""

    def write(self, path: str | os.PathLike[str], *, to: str | None = None,
              overwrite: bool = False) -> None:
        """Write the table as ECSV, or in the format of another program.

        Parameters
        ----------
        path : path
            The extension selects the format if `to` does not.
        to : str, optional
            A format that ``fastsig convert`` writes for such tables.
        overwrite : bool
            Whether an existing file may be replaced.

        Raises
        ------
        UsageError
            If the format is not known or cannot contain the rows.
        OutputError
            If the file exists or cannot be written.
        """
        registry.finding_writer(self.writer)(self, path, to=to, overwrite=overwrite)

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

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
            raise UsageError(f"{self.rows_are} have no column {key!r}; allowed: "
                             f"{', '.join(self._columns)}")
        unit, found = self.known()[key].unit, self._columns[key]
        return found if unit is None else found << u.Unit(unit)

    def values(self, name: str) -> NDArray[Any]:
        """Return the values of a column, without its unit."""
        found: NDArray[Any] = self._columns[name]
        return found

    def _part(self, key: Any) -> Self:
        index = np.atleast_1d(np.arange(len(self))[key])
        return type(self)({name: each[index] for name, each in self._columns.items()}, self.meta)

    def with_columns(self, **columns: Any) -> Self:
        """Return a copy with some columns replaced or added."""
        return type(self)({**self._columns, **columns}, self.meta)

    def with_meta(self, **meta: Any) -> Self:
        """Return a copy with some entries of the meta replaced or added."""
        return type(self)(self._columns, {**self.meta, **meta})

    def sorted(self) -> Self:
        """Return the same rows, the strongest first."""
        return self._part(self.order())

    def table(self) -> QTable:
        """Return the rows as a table, with units and descriptions."""
        from astropy.table import QTable

        made = QTable(meta=dict(self.meta))
        for name in self.names:
            made[name] = self[name]
            made[name].info.description = self.known()[name].text
        return made

    @classmethod
    def from_table(cls, table: QTable) -> Self:
        """Return the rows of a table that `table` returned.

        Raises
        ------
        UsageError
            If a column is missing, or has another unit or type.
        """
        barycentric = table.meta.get("frame") == "barycentric"
        return cls({name: _of_column(name, table[name], column, barycentric)
                    for name, column in cls.known().items() if name in table.colnames},
                   dict(table.meta))

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Return the rows of several searches in one table, the strongest first.

        Columns that are not in all tables are left out. The entry ``searches`` of the meta is the
        list of the metas of all tables.
        """
        names = [name for name in parts[0].names if all(name in each for each in parts)]
        columns = {name: _joined([each._columns[name] for each in parts]) for name in names}
        return cls(columns, {"searches": [each.meta for each in parts]}).sorted()

    def __repr__(self) -> str:
        lines = [f"<{type(self).__name__}: {len(self)}"]
        lines += ["  " + "  ".join(self.described(k)) for k in range(min(len(self), _ROWS))]
        if len(self) > _ROWS:
            lines.append(f"  and {len(self) - _ROWS} more")
        return "\n".join(lines) + ">"

    def _repr_html_(self) -> str:
        shown = dict(self.described(k) for k in range(min(len(self), _ROWS)))
        return html_table(f"{len(self)} {self.rows_are}", shown)


def _values(name: str, values: Any, column: Column) -> Any:
    """Return the values of a column in its own type, rounded."""
    if column.dtype in ("time", "epoch"):
        if not isinstance(values, Time):
            raise UsageError(f"{name}: not a Time; allowed: an astropy Time")
        barycentric = column.dtype == "epoch" and values.scale == "tdb"
        return Time(values if barycentric else values.utc, format="isot", precision=9)
    if column.dtype == "U":
        return np.asarray(values, dtype=np.str_)
    found = np.asarray(values, np.dtype(column.dtype))
    return found if column.decimals is None else np.round(found, column.decimals)


def _of_column(name: str, values: Any, column: Column, barycentric: bool) -> Any:
    """Return the numbers of a table's column in the unit of this one."""
    if column.dtype in ("time", "epoch"):
        scale = "tdb" if barycentric and column.dtype == "epoch" else "utc"
        return values if isinstance(values, Time) else Time(list(map(str, values)), scale=scale)
    if isinstance(values, u.Quantity):
        try:
            return values.to_value(column.unit or "")
        except u.UnitConversionError as error:
            raise UsageError(f"{name} is in {values.unit}; allowed: {column.unit}") from error
    if column.dtype == "U":
        return [str(each) for each in values]
    return np.asarray(values)


def _joined(parts: list[Any]) -> Any:
    if isinstance(parts[0], Time):
        scales = {each.scale for each in parts}
        scale = scales.pop() if len(scales) == 1 else "utc"
        parts = [getattr(each, scale) for each in parts]
        return Time(np.concatenate([each.jd1 for each in parts]),
                    np.concatenate([each.jd2 for each in parts]), format="jd", scale=scale)
    return np.concatenate(parts)
