"""Spectra in memory that know where they point, for tests of maps."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from streams import MemorySpectra

from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PolBasis
from fastsig.axes.time import parse_time
from fastsig.stream.header import Header

N_CHAN = 6


class Pointed(MemorySpectra):
    """Spectra in memory that know where they point."""

    def __init__(self, data: np.ndarray, head: Header, columns: Mapping[str, Any]) -> None:
        super().__init__(data, head)
        self.known = {name: np.asarray(values, float) for name, values in columns.items()}

    @property
    def columns(self) -> Mapping[str, str]:
        return dict.fromkeys(self.known, "")

    def read_columns(self, start: int, n: int) -> dict[str, np.ndarray]:
        return {name: values[start : start + n] for name, values in self.known.items()}


def head(**more: Any) -> Header:
    given = {"unit": "Jy", "telescope": "FAST", "beam": 1, "source": "FIELD",
             "polarization": PolBasis("linear", ("AA", "BB")), **more}
    axis = ChannelAxis(Fraction(1_420_000_000), Fraction(10_000), N_CHAN)
    given.setdefault("channels", axis)
    return Header(parse_time("2023-12-01T16:30:00"), Fraction(1, 2), **given)


def drift(ra: float = 50.0, dec: float = 20.0, *, rows: int = 17, step: float = 0.6,
          n: int = 60, value: Any = None, columns: Mapping[str, Any] | None = None, **more: Any
          ) -> Pointed:
    """Rows of a raster, `step` arcmin apart; AA and BB are 1 Jy, or functions of the places."""
    across = (np.arange(rows) - (rows - 1) / 2) * step / 60
    along = (np.arange(n) - (n - 1) / 2) * 0.25 / 60
    east, north = (each.ravel() for each in np.meshgrid(along, across))
    places = {"ra_deg": (ra + east / np.cos(np.radians(dec))) % 360, "dec_deg": dec + north}
    info = head(**more)
    shape = (east.size, info.polarization.n_pol, N_CHAN)
    data = np.ones(shape) if value is None else np.broadcast_to(
        np.asarray(value(east, north)).reshape(-1, 1, 1), shape)
    return Pointed(data, info, {**places, **(columns or {})})
