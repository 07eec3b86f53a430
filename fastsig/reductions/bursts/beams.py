"""Candidates of the beams of a receiver: one table of bursts, with verdicts and positions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from fastsig import telescopes
from fastsig.axes.constants import DISPERSION_CONSTANT
from fastsig.axes.time import elapsed
from fastsig.axes.units import number
from fastsig.errors import UsageError
from fastsig.search.bursts.beam_source import Geometry
from fastsig.search.bursts.beams import Detections, Group, chance_of, compare
from fastsig.search.bursts.candidates import Candidates
from fastsig.telescopes.receiver import Receiver
from fastsig.work.arguments import checked

__all__ = ["compare_beams", "geometry_of"]

F8 = NDArray[np.float64]

_FREQUENCIES = 32  # at which the width of a beam is asked for
_GAIN_AT_DEG = 15.0  # zenith angle of the ratios of gains, which depend on it by a few per cent


@checked
def compare_beams(
    tables: Sequence[Candidates], *, telescope: str = "FAST", receiver: str | None = None,
    angle: Any = "0deg", hpbw: Any = None, beams: Sequence[int] | None = None,
    table_beams: Sequence[int] | None = None, shape_error: float = 0.05, side_lobe: float = 0.01,
) -> Candidates:
    """Return the bursts of several beams, one row each, with a verdict and a position.

    Candidates that agree in time and dispersion measure are one burst, whose row is that of the
    beam with the highest S/N. The S/N of all beams are compared with those of a point source; see
    `fastsig.search.bursts.beams` for the verdicts.

    Parameters
    ----------
    tables : sequence of Candidates
        One or more tables for each beam, all of one observation and with times of one clock.
    telescope, receiver : str
        Names; by default the first receiver of the telescope.
    angle : Quantity or str
        Rotation of the receiver, from east towards north; 23.4 deg in FAST's drift scans.
    hpbw : Quantity or str, optional
        Half-power width of all beams; by default that in the table of the receiver.
    beams : sequence of int, optional
        All beams that were searched, including those without candidates; by default those of the
        tables.
    table_beams : sequence of int, optional
        The beam of each table, instead of that of its candidates.
    shape_error, side_lobe : float
        Relative error of the shape and gain of a beam, and its side lobes relative to the middle.

    Raises
    ------
    UsageError
        If tables do not state their beams, differ in their dispersion constants, or the receiver's
        geometry is not known.
    """
    tables = _of_beams(tables, table_beams)
    made = Candidates.join(list(tables)) if len(tables) != 1 else tables[0]
    numbers = _numbers(made, beams)
    low, high = (float(np.median(made.values(name))) for name in ("low_mhz", "high_mhz")
                 ) if len(made) else (1000.0, 1500.0)
    geometry = geometry_of(telescopes.get(telescope).receiver(receiver), numbers, low, high,
                           angle=angle, hpbw=hpbw, shape_error=shape_error, side_lobe=side_lobe)
    threshold = max(float(each.meta.get("threshold", 0.0)) for each in tables)
    found, duration = _detections(made, _constant(tables)), _duration_s(made, tables)
    groups = compare(found, geometry, threshold, duration) if len(made) else []
    return _table(made, groups, geometry, {
        "threshold": threshold, "duration_s": duration, "telescope": telescope,
        "angle_deg": number(angle, "deg", "angle"), "beams": list(numbers),
        "beam_offsets_arcmin": geometry.offsets.round(4).tolist(),
        "hpbw_arcmin": geometry.hpbw.mean(axis=1).round(4).tolist(),
        "shape_error": shape_error, "side_lobe": side_lobe,
        "expected_by_chance": round(float(chance_of(found, duration).sum()), 4)})


def geometry_of(receiver: Receiver, numbers: Iterable[int], low_mhz: float, high_mhz: float, *,
                angle: Any = 0.0, hpbw: Any = None, shape_error: float = 0.05,
                side_lobe: float = 0.01) -> Geometry:
    """Return the beams of a receiver, averaged over the part of a band where they are known.

    Parameters
    ----------
    receiver : Receiver
    numbers : iterable of int
        Beams.
    low_mhz, high_mhz : float
    angle : Quantity or float
        Rotation of the receiver, degrees.
    hpbw : Quantity or str, optional
        Width of all beams.
    shape_error, side_lobe : float
        As for `Geometry`.

    Raises
    ------
    UsageError
        If there is no such beam, or its width is not known anywhere in the band.
    """
    beams = np.array(sorted(set(numbers)), np.int64)
    mhz = np.linspace(low_mhz, high_mhz, _FREQUENCIES) << u.MHz
    if hpbw is not None:
        width = np.full((len(beams), 1), number(hpbw, "arcmin", "hpbw"))
    else:
        width = receiver.hpbw(beams[:, np.newaxis], mhz, outside="nan").to_value(u.arcmin)
        width = width[:, np.isfinite(width).all(axis=0)]
        if not width.size:
            raise UsageError(f"the widths of the beams of {receiver.title} are not known from "
                             f"{low_mhz:g} to {high_mhz:g} MHz; give hpbw")
    gain = receiver.gain(beams[:, np.newaxis], mhz, _GAIN_AT_DEG * u.deg, outside="nan")
    known = np.isfinite(gain).all(axis=0)
    ratios = gain[:, known].mean(axis=1).value if known.any() else np.ones(len(beams))
    return Geometry(tuple(map(int, beams)), receiver.offsets(beams, angle).to_value(u.arcmin),
                    width, ratios / ratios.max(), shape_error, side_lobe)


def _of_beams(tables: Sequence[Candidates], beams: Sequence[int] | None) -> list[Candidates]:
    """Return tables with the numbers of their beams."""
    if beams is None:
        return list(tables)
    if len(beams) != len(tables):
        raise UsageError(f"table_beams: {len(beams)} numbers for {len(tables)} tables; allowed: "
                         "one for each")
    return [each.with_columns(beam=np.full(len(each), beam, np.int32))
            for each, beam in zip(tables, beams, strict=True)]


def _numbers(made: Candidates, beams: Sequence[int] | None) -> tuple[int, ...]:
    stated = set(map(int, made.values("beam")))
    if any(number < 1 for number in stated):
        raise UsageError("a table does not state the beam of its candidates; give table_beams")
    numbers = set(map(int, beams or ())) or stated
    if not stated <= numbers or not numbers:
        raise UsageError(f"beams = {sorted(numbers)}; allowed: all beams of the tables, "
                         f"{sorted(stated)}")
    return tuple(sorted(numbers))


def _constant(tables: Sequence[Candidates]) -> float:
    """Return the dispersion constant of all tables."""
    stated = {float(each.meta["constant"]) for each in tables if "constant" in each.meta}
    if len(stated) > 1:
        raise UsageError(f"the tables have the dispersion constants {sorted(stated)}; allowed: one")
    return stated.pop() if stated else float(DISPERSION_CONSTANT)


def _detections(made: Candidates, constant: float) -> Detections:
    """Return the candidates on a clock that begins with the first of them."""
    time = made["time"]
    first = time.min() if len(made) else None
    seconds = np.array([float(elapsed(first, each)) for each in time])
    late = constant * (made.values("low_mhz") ** -2.0 - made.values("high_mhz") ** -2.0)
    return Detections(seconds, made.values("dm"), made.values("dm_error"), made.values("width"),
                      made.values("snr"), made.values("beam").astype(np.int64), late)


def _duration_s(made: Candidates, tables: Sequence[Candidates]) -> float:
    """Return the duration of the observation, or at least the interval of the candidates."""
    stated = [float(each.meta["duration_s"]) for each in tables if "duration_s" in each.meta]
    between = float((made["time"].max() - made["time"].min()).sec) if len(made) else 0.0
    return max([between, *stated, 1e-3])


def _table(made: Candidates, groups: Sequence[Group], geometry: Geometry, about: dict[str, Any]
           ) -> Candidates:
    """Return one row for each group."""
    rows: Candidates = made[np.array([int(each.members[0]) for each in groups], int)]
    numbers = dict(zip(geometry.numbers, geometry.offsets, strict=True))
    sky = [_on_sky(each, rows, k, numbers) for k, each in enumerate(groups)]
    counts = [sum(each.verdict.name == name for each in groups)
              for name in ("accepted", "doubtful", "interference")]
    return rows.with_columns(
        verdict=[each.verdict.name for each in groups],
        reason=[each.verdict.reason for each in groups],
        n_beam=[len(each.snr) for each in groups],
        beams=[", ".join(f"{beam}: {value:.1f}" for beam, value in each.snr.items())
               for each in groups],
        east=[each.source.east for each in groups], north=[each.source.north for each in groups],
        east_error=[each.source.east_error for each in groups],
        north_error=[each.source.north_error for each in groups],
        burst_ra=[each[0] for each in sky], burst_dec=[each[1] for each in sky],
        chance=[each.chance for each in groups],
    ).with_meta(comparison={**about, "n_candidate": len(made), "n_burst": len(groups),
                            "n_accepted": counts[0], "n_doubtful": counts[1],
                            "n_interference": counts[2]})


def _on_sky(group: Group, rows: Candidates, k: int, offsets: dict[int, F8]) -> tuple[float, float]:
    """Return right ascension and declination of a position, from those of the brightest beam."""
    ra, dec = (np.radians(float(rows.values(name)[k])) for name in ("ra", "dec"))
    own = offsets[int(rows.values("beam")[k])]
    east, north = np.radians((np.array([group.source.east, group.source.north]) - own) / 60)
    # Inverse of the gnomonic projection about the beam.
    down = np.cos(dec) - north * np.sin(dec)
    found = ra + np.arctan2(east, down)
    height = np.arctan2(np.sin(dec) + north * np.cos(dec), np.hypot(east, down))
    return float(np.degrees(found) % 360), float(np.degrees(height))
