"""Pulsar candidates of the beams of a receiver: a table of signals with verdicts and positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastsig import telescopes
from fastsig.axes.units import number
from fastsig.errors import UsageError
from fastsig.reductions.beams import beam_numbers, geometry_of, of_beams, with_verdicts
from fastsig.search.bursts.beams import Detections, chance_of, compare
from fastsig.search.pulsars.candidates import PulsarCandidates
from fastsig.search.pulsars.sift import TOLERANCE, mean_turns
from fastsig.work.arguments import checked

__all__ = ["compare_pulsar_beams"]

_FACTS = ("n_time", "sample_s", "least_snr", "frequency_mhz")


@checked
def compare_pulsar_beams(
    tables: Sequence[PulsarCandidates], *, telescope: str = "FAST", receiver: str | None = None,
    angle: Any = "0deg", hpbw: Any = None, beams: Sequence[int] | None = None,
    table_beams: Sequence[int] | None = None, shape_error: float = 0.05, side_lobe: float = 0.01,
) -> PulsarCandidates:
    """Return one row for each periodic signal of several beams, with a verdict and a position.

    Candidates whose mean frequencies agree within 1.1 bins of the spectrum are one signal, at any
    dispersion measure. Its row is that of the beam with the highest S/N. The S/N in all beams are
    compared with those of a point source, as in `fastsig.reductions.bursts.beams.compare_beams`.

    Parameters
    ----------
    tables : sequence of PulsarCandidates
        One table for each beam, all of the same scan and of searches with the same settings.
    telescope, receiver, angle, hpbw, beams, table_beams, shape_error, side_lobe
        As for `compare_beams`.

    Raises
    ------
    UsageError
        If tables do not state their beams or are not of one scan, or if the receiver's geometry is
        not known.
    """
    tables = of_beams(tables, table_beams)
    length_s, sample_s, least, band = _scan_of(tables)
    made = PulsarCandidates.join(list(tables)) if len(tables) != 1 else tables[0]
    numbers = beam_numbers(made, beams)
    geometry = geometry_of(telescopes.get(telescope).receiver(receiver), numbers, *band,
                           angle=angle, hpbw=hpbw, shape_error=shape_error, side_lobe=side_lobe)
    found, highest = _detections(made, length_s), 0.5 / sample_s
    groups = compare(found, geometry, least, highest) if len(made) else []
    return with_verdicts(made, groups, geometry, {
        "least_snr": least, "telescope": telescope, "angle_deg": number(angle, "deg", "angle"),
        "beams": list(numbers), "shape_error": shape_error, "side_lobe": side_lobe,
        "expected_by_chance": round(float(chance_of(found, highest).sum()), 4)},
        position="pulsar", count="n_signal")


def _scan_of(tables: Sequence[PulsarCandidates]) -> tuple[float, float, float, tuple[float, float]]:
    """Return length and sample time of series, the least S/N, and the band."""
    if any(name not in each.meta for each in tables for name in _FACTS):
        raise UsageError("a table has candidates of several searches, or of series of an unknown "
                         "band; allowed: one search of spectra in each")
    if any("segment" in each for each in tables):
        raise UsageError("a table has candidates of segments, in which beams cannot be compared; "
                         "allowed: tables of searches without segments")
    known = {(each.meta["n_time"], each.meta["sample_s"], *each.meta["frequency_mhz"])
             for each in tables}
    if len(known) > 1:
        raise UsageError(f"the tables are of series with {len(known)} different lengths, sample "
                         "times or bands; allowed: all beams of one scan")
    n_time, sample_s, low, high = known.pop()
    return (n_time * sample_s, sample_s, max(float(each.meta["least_snr"]) for each in tables),
            (low, high))


def _detections(made: PulsarCandidates, length_s: float) -> Detections:
    """Return the candidates as signals at mean frequencies, whose role is that of times of bursts.

    The dispersion measure of interference means nothing, so all are taken to be equal.
    """
    none = np.zeros(len(made))
    columns = {"fddot": none, **{name: made.values(name) for name in (
        "frequency", "fdot", "fddot") if name in made}}
    middle = mean_turns(columns, length_s) / length_s
    return Detections(middle, none, none, np.full(len(made), TOLERANCE / length_s),
                      made.values("snr"), made.values("beam").astype(np.int64),
                      np.ones(len(made)))
