"""Candidates of the beams of a receiver: one table of bursts, with verdicts and positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastsig import telescopes
from fastsig.axes.constants import DISPERSION_CONSTANT
from fastsig.axes.time import elapsed
from fastsig.axes.units import number
from fastsig.errors import UsageError
from fastsig.reductions.beams import beam_numbers, geometry_of, of_beams, with_verdicts
from fastsig.search.bursts.beams import Detections, chance_of, compare
from fastsig.search.bursts.candidates import Candidates
from fastsig.work.arguments import checked

__all__ = ["compare_beams"]


@checked
def compare_beams(
    tables: Sequence[Candidates], *, telescope: str = "FAST", receiver: str | None = None,
    angle: Any = "0deg", hpbw: Any = None, beams: Sequence[int] | None = None,
    table_beams: Sequence[int] | None = None, shape_error: float = 0.05, side_lobe: float = 0.01,
) -> Candidates:
    """Return one row for each burst of several beams, with a verdict and a position.

    Candidates that agree in time and dispersion measure are one burst. Its row is that of the beam
    with the highest S/N. The S/N in all beams are compared with those of a point source; see
    `fastsig.search.bursts.beams` for the verdicts.

    Parameters
    ----------
    tables : sequence of Candidates
        One or more tables for each beam, all of one observation, with times from one clock.
    telescope, receiver : str
        Names of the telescope and of the receiver; by default, the first receiver of the telescope.
    angle : Quantity or str
        Angle by which the receiver is rotated, from east towards north; 23.4 deg in FAST's drift
        scans.
    hpbw : Quantity or str, optional
        Half-power width of all beams; by default, those of the receiver, averaged over the band.
    beams : sequence of int, optional
        All beams that were searched, including those without candidates; by default, those of the
        candidates.
    table_beams : sequence of int, optional
        The beam of each table, instead of that of its candidates.
    shape_error, side_lobe : float
        Relative error of the shape and gain of a beam, and level of its sidelobes relative to the
        peak.

    Raises
    ------
    UsageError
        If tables do not state their beams or differ in their dispersion constants, or if the
        receiver's geometry is not known.
    """
    tables = of_beams(tables, table_beams)
    made = Candidates.join(list(tables)) if len(tables) != 1 else tables[0]
    numbers = beam_numbers(made, beams)
    low, high = (float(np.median(made.values(name))) for name in ("low_mhz", "high_mhz")
                 ) if len(made) else (1000.0, 1500.0)
    geometry = geometry_of(telescopes.get(telescope).receiver(receiver), numbers, low, high,
                           angle=angle, hpbw=hpbw, shape_error=shape_error, side_lobe=side_lobe)
    searches = [meta for each in tables for meta in each.meta.get("searches", [each.meta])]
    threshold = max(float(meta.get("threshold", 0.0)) for meta in searches)
    found, duration = _detections(made, _constant(searches)), _duration_s(made, searches)
    groups = compare(found, geometry, threshold, duration) if len(made) else []
    return with_verdicts(made, groups, geometry, {
        "threshold": threshold, "duration_s": duration, "telescope": telescope,
        "angle_deg": number(angle, "deg", "angle"), "beams": list(numbers),
        "beam_offsets_arcmin": geometry.offsets.round(4).tolist(),
        "hpbw_arcmin": geometry.hpbw.mean(axis=1).round(4).tolist(),
        "shape_error": shape_error, "side_lobe": side_lobe,
        "expected_by_chance": round(float(chance_of(found, duration).sum()), 4)},
        position="burst", count="n_burst")


def _constant(searches: Sequence[Mapping[str, Any]]) -> float:
    """Return the dispersion constant of all searches."""
    stated = {float(meta["dispersion_constant"]) for meta in searches
              if "dispersion_constant" in meta}
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


def _duration_s(made: Candidates, searches: Sequence[Mapping[str, Any]]) -> float:
    """Return the duration of the observation, or at least the interval of the candidates."""
    stated = [float(meta["duration_s"]) for meta in searches if "duration_s" in meta]
    between = float((made["time"].max() - made["time"].min()).sec) if len(made) else 0.0
    return max([between, *stated, 1e-3])
