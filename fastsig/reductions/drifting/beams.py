"""Hits of the beams of a receiver: one table of carriers, with verdicts and positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastsig import telescopes
from fastsig.axes.units import number
from fastsig.errors import UsageError
from fastsig.reductions.beams import beam_numbers, geometry_of, of_beams, with_verdicts
from fastsig.search.bursts.beams import Detections, chance_of, compare
from fastsig.search.drift.hits import Hits
from fastsig.work.arguments import checked

__all__ = ["compare_hit_beams"]

_MEGA = 1e6


@checked
def compare_hit_beams(
    tables: Sequence[Hits], *, telescope: str = "FAST", receiver: str | None = None,
    angle: Any = "0deg", hpbw: Any = None, beams: Sequence[int] | None = None,
    table_beams: Sequence[int] | None = None, shape_error: float = 0.05, side_lobe: float = 0.01,
) -> Hits:
    """Return one row for each carrier of several beams, with a verdict and a position.

    Hits that agree in frequency, in the middle of the scan, and in drift rate are one carrier,
    whose row is that of the beam with the highest S/N. The S/N of all beams are compared with those
    of a point source, as by `fastsig.reductions.bursts.beams.compare_beams`.

    Parameters
    ----------
    tables : sequence of Hits
        One table for each beam, all of the same scan.
    telescope, receiver, angle, hpbw, beams, table_beams, shape_error, side_lobe
        As for `compare_beams`.

    Raises
    ------
    UsageError
        If tables do not state their beams or are not of one scan, or if the receiver's geometry is
        not known.
    """
    tables = of_beams(tables, table_beams)
    chan_hz, span_s, band_hz = _scan_of(tables)
    made = Hits.join(list(tables)) if len(tables) != 1 else tables[0]
    numbers = beam_numbers(made, beams)
    mhz = made.values("frequency") if len(made) else np.array([1000.0, 1500.0])
    geometry = geometry_of(telescopes.get(telescope).receiver(receiver), numbers, float(mhz.min()),
                           float(mhz.max()), angle=angle, hpbw=hpbw, shape_error=shape_error,
                           side_lobe=side_lobe)
    threshold = max((each.threshold for each in tables if each.threshold is not None), default=0.0)
    found = _detections(made, chan_hz, span_s)
    groups = compare(found, geometry, threshold, band_hz) if len(made) else []
    return with_verdicts(made, groups, geometry, {
        "threshold": threshold, "telescope": telescope, "angle_deg": number(angle, "deg", "angle"),
        "beams": list(numbers), "shape_error": shape_error, "side_lobe": side_lobe,
        "expected_by_chance": round(float(chance_of(found, band_hz).sum()), 4)},
        position="signal", count="n_signal")


def _scan_of(tables: Sequence[Hits]) -> tuple[float, float, float]:
    """Return the width of a channel, the length of the scan and the width of the band."""
    facts = ("channel_hz", "sample_s", "n_spectrum")
    for k, each in enumerate(tables, 1):
        if any(name not in each.meta for name in facts):
            raise UsageError(f"table {k} contains hits of several searches; allowed: the hits "
                             "of one scan in each table")
    known = {tuple(each.meta[name] for name in facts) for each in tables}
    if len(known) > 1:
        raise UsageError(f"the tables are of spectra with {len(known)} different resolutions; "
                         "allowed: tables of the beams of one scan")
    chan_hz, sample_s, n_spectrum = known.pop()
    n_chan = max(int(each.meta.get("n_chan", 1)) for each in tables)
    return chan_hz, max(1, n_spectrum - 1) * sample_s, n_chan * chan_hz


def _detections(made: Hits, chan_hz: float, span_s: float) -> Detections:
    """Return the hits as signals in frequency, at half time, and drift rate.

    Their roles are those of the time and the dispersion measure of bursts: a boxcar of the width w
    is displaced by w in the last spectrum, relative to the first, if the rate is w / span off.
    """
    width = np.maximum(made.values("width"), chan_hz)
    middle = made.values("frequency") * _MEGA + made.values("drift") * span_s / 2
    start = middle.min() if len(made) else 0.0
    none = np.zeros(len(made))
    return Detections(middle - start, made.values("drift"), none, 2 * width, made.values("snr"),
                      made.values("beam").astype(np.int64), np.full(len(made), span_s))
