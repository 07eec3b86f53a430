"""Barycenter: add times at the solar system's barycentre to spectra."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.sky import place as sky_place
from fastsig.errors import PlanError, UsageError
from fastsig.stream import PassedSpectra, SpectrumStream, Stream, Sums
from fastsig.telescopes.pointing import mid_times

if TYPE_CHECKING:
    from astropy.coordinates import EarthLocation

__all__ = ["Barycenter", "refuse_barycentric"]

_NAMES = {"barycentric_mjd": "d", "barycentric_s": "s"}


class Barycenter(PassedSpectra):
    r"""The same spectra, with columns for the barycentric time of the middle of each spectrum.

    .. math:: t_b = t_{TDB} + r \cdot n / c

    ``barycentric_mjd`` is this time in TDB as a float64 day number, with a resolution of 0.6 us;
    ``barycentric_s`` is the light-travel time r . n / c alone, interpolated to better
    than 1 ns. `fastsig.telescopes.barycenter` describes which terms are included, and how closely
    the times agree with those of TEMPO.

    Parameters
    ----------
    source : SpectrumStream
        Spectra from a known telescope, with positions in the columns ``ra_deg`` and ``dec_deg`` or
        one position in the header.
    position : SkyCoord, pair of Quantity, or str, optional
        Position of all rows, ICRS, instead of that in the source.
    location : EarthLocation or str, optional
        Location of the telescope, or its name; by default, the telescope in the header.

    Raises
    ------
    PlanError
        If the source contains no spectra, or its times are already barycentric.
    UsageError
        If the position or the telescope is not known.
    """

    name = "barycenter"
    source: SpectrumStream

    def __init__(self, source: Stream, *, position: Any = None,
                 location: EarthLocation | str | None = None) -> None:
        from fastsig.telescopes.barycenter import located

        if not isinstance(source, SpectrumStream):
            raise PlanError(f"barycenter requires spectra, not {source.kind}")
        refuse_barycentric(source)
        super().__init__(source)
        self.position = None if position is None else sky_place(position)
        name = location if location is not None else source.header.telescope
        if name is None:
            raise UsageError(f"{source.path}: the telescope is not known; give location = 'FAST'")
        self.location = located(name)
        header = source.header
        if self.position is None and "ra_deg" not in source.columns and None in (
                header.ra_deg, header.dec_deg):
            raise UsageError(f"{source.path}: the position is not known; --set "
                             "ra=5h34m31.97s --set dec=22.0145deg, or position = "
                             "'187.5deg,12.4deg', supplies it, or columns ra_deg and dec_deg")

    def parameters(self) -> Mapping[str, Any]:
        """Parameters that determine the times."""
        return {"position_deg": None if self.position is None else list(self.position),
                "site_m": [round(float(each.to_value("m")), 4)
                           for each in self.location.geocentric],
                "ephemeris": "ERFA epv00", "scale": "TDB"}

    @property
    def columns(self) -> Mapping[str, str]:
        """The columns of the source, and those of the barycentric times."""
        return {**self.source.columns, **_NAMES}

    def read_columns(self, start: int, n: int) -> dict[str, NDArray[np.float64]]:
        """Return the values of the columns listed in `columns`."""
        from fastsig.telescopes.barycenter import day_numbers, light_travel_times

        self._check_range(start, n)
        found = self.source.read_columns(start, n)
        times = mid_times(self.source.start_time, self.header.sample_rate, n, start)
        late = light_travel_times(times, *self._direction(found), self.location)
        return {**found, "barycentric_mjd": day_numbers(times, late, self.location),
                "barycentric_s": late}

    def _direction(self, columns: Mapping[str, NDArray[np.float64]]) -> tuple[Any, Any]:
        if self.position is not None:
            return self.position
        if "ra_deg" in columns:
            return columns["ra_deg"], columns["dec_deg"]
        return self.header.ra_deg, self.header.dec_deg

    def work_bytes(self, n: int) -> int:
        """Same as for the source."""
        return self.source.work_bytes(n)

    def read_sums(self, start: int, n: int) -> Sums:
        """Return the sums of the source."""
        return self.source.read_sums(start, n)


def refuse_barycentric(source: Stream) -> None:
    """Refuse a source whose times are barycentric.

    Raises
    ------
    PlanError
        If the header states that its times are barycentric.
    """
    card = source.header.barycentric_card
    if card is not None:
        raise PlanError(f"{source.path}: {card} = {source.header.extra[card]}: its times are "
                        "barycentric already")
