"""Signals in the beams of a receiver: the beams, the verdicts and the positions on the sky."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from fastsig.axes.units import number
from fastsig.errors import UsageError
from fastsig.search.bursts.beam_source import Geometry
from fastsig.search.bursts.beams import Group
from fastsig.search.findings import Findings
from fastsig.telescopes.receiver import Receiver

__all__ = ["beam_numbers", "geometry_of", "of_beams", "with_verdicts"]

F8 = NDArray[np.float64]
Found = TypeVar("Found", bound=Findings)

_FREQUENCIES = 32  # at which the width of a beam is asked for
_GAIN_AT_DEG = 15.0  # zenith angle of the ratios of gains, which depend on it by a few per cent


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
                             f"{low_mhz:g} to {high_mhz:g} MHz; allowed: with hpbw")
    gain = receiver.gain(beams[:, np.newaxis], mhz, _GAIN_AT_DEG * u.deg, outside="nan")
    known = np.isfinite(gain).all(axis=0)
    ratios = gain[:, known].mean(axis=1).value if known.any() else np.ones(len(beams))
    return Geometry(tuple(map(int, beams)), receiver.offsets(beams, angle).to_value(u.arcmin),
                    width, ratios / ratios.max(), shape_error, side_lobe)


def of_beams(tables: Sequence[Found], beams: Sequence[int] | None) -> list[Found]:
    """Return tables with the numbers of their beams."""
    if beams is None:
        return list(tables)
    if len(beams) != len(tables):
        raise UsageError(f"table_beams: {len(beams)} numbers for {len(tables)} tables; allowed: "
                         "one number for each table")
    return [each.with_columns(beam=np.full(len(each), beam, np.int32))
            for each, beam in zip(tables, beams, strict=True)]


def beam_numbers(made: Findings, beams: Sequence[int] | None) -> tuple[int, ...]:
    """Return the numbers of all beams that were searched.

    Raises
    ------
    UsageError
        If a table does not state its beam, or `beams` lacks one of them.
    """
    stated = set(map(int, made.values("beam")))
    if any(number < 1 for number in stated):
        raise UsageError(f"a table does not state the beam of its {made.rows_are}; allowed: with "
                         "table_beams, the number of the beam of each table")
    numbers = set(map(int, beams or ())) or stated
    if not stated <= numbers or not numbers:
        raise UsageError(f"beams = {sorted(numbers)}; allowed: all beams of the tables, "
                         f"{sorted(stated)}")
    return tuple(sorted(numbers))


def with_verdicts(made: Found, groups: Sequence[Group], geometry: Geometry, about: dict[str, Any],
                  *, position: str, count: str) -> Found:
    """Return one row for each group, with its verdict and its position.

    Parameters
    ----------
    made : Findings
        All rows of all beams.
    groups : sequence of Group
    geometry : Geometry
    about : dict
        How they were compared, for the meta.
    position : str
        Beginning of the names of the columns of right ascension and declination.
    count : str
        Name of the number of groups in the meta.
    """
    rows: Found = made[np.array([int(each.members[0]) for each in groups], int)]
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
        chance=[each.chance for each in groups],
        **{f"{position}_ra": [each[0] for each in sky],
           f"{position}_dec": [each[1] for each in sky]},
    ).with_meta(comparison={**about, "n_candidate": len(made), count: len(groups),
                            "n_accepted": counts[0], "n_doubtful": counts[1],
                            "n_interference": counts[2]})


def _on_sky(group: Group, rows: Findings, k: int, offsets: dict[int, F8]) -> tuple[float, float]:
    """Return right ascension and declination of a position, from those of the brightest beam."""
    ra, dec = (np.radians(float(rows.values(name)[k])) for name in ("ra", "dec"))
    own = offsets[int(rows.values("beam")[k])]
    east, north = np.radians((np.array([group.source.east, group.source.north]) - own) / 60)
    # Inverse of the gnomonic projection about the beam.
    down = np.cos(dec) - north * np.sin(dec)
    found = ra + np.arctan2(east, down)
    height = np.arctan2(np.sin(dec) + north * np.cos(dec), np.hypot(east, down))
    return float(np.degrees(found) % 360), float(np.degrees(height))
