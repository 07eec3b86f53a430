"""Locate: spectra that know where their beam pointed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import PlanError, UsageError
from fastsig.stream import PassedSpectra, SpectrumStream, Stream, Sums
from fastsig.telescopes.pointing import BeamPositions, CabinTrack, Refraction, mid_times

__all__ = ["Locate"]

_NAMES = {"ra_deg": "deg", "dec_deg": "deg", "zenith_deg": "deg", "parallactic_deg": "deg",
          "receiver_deg": "deg", "extrapolated": ""}


class Locate(PassedSpectra):
    """The same spectra, with the position of the beam at the middle of each as columns.

    ``ra_deg``, ``dec_deg`` are ICRS; ``zenith_deg`` and ``parallactic_deg`` as seen;
    ``receiver_deg`` is the position angle of the receiver's Y axis, north through east; and
    ``extrapolated`` is 1 where the track has no row within 1 s.

    Parameters
    ----------
    source : SpectrumStream
        Spectra of one beam.
    track : CabinTrack
        Of `fastsig.io.fast.ky.read`.
    beam : int, optional
        By default the header's.
    refraction : Refraction or str, optional
        In place of the track's own air: also as text, ``"925,15,0.8,0.3m"``, or ``"none"``.
    record : mapping, optional
        Description of the track's file for the provenance; its name by default.

    Raises
    ------
    PlanError
        Where the source holds no spectra.
    UsageError
        Where the track is none, the beam is not known, or the refraction is none.
    """

    name = "locate"
    needs_end = True  # a track of another scan is refused at once
    source: SpectrumStream

    def __init__(self, source: Stream, track: CabinTrack, *, beam: int | None = None,
                 refraction: Refraction | str | None = None,
                 record: Mapping[str, Any] | None = None) -> None:
        if not isinstance(source, SpectrumStream):
            raise PlanError(f"locate takes spectra, not {source.kind}")
        if not isinstance(track, CabinTrack):
            raise UsageError(f"track = {track!r}; allowed: a CabinTrack, as "
                             "fastsig.io.fast.ky.read gives it")
        self.track, self.refraction = track, refraction
        #: The air by which positions are made, or None.
        self.air = Refraction.of(refraction, track.air)
        self.record = dict(record or {"name": track.path.rpartition("/")[2]})
        beam = source.header.beam if beam is None else beam
        if beam is None:
            raise UsageError(f"{source.path}: the file tells no beam; give --beam 1")
        super().__init__(source, header=source.header.replace(beam=beam), dtype=source.dtype)
        self.beam = beam
        ends = mid_times(source.start_time, self.header.sample_rate, self.shape[0])[
            [0, self.shape[0] // 2, -1]]
        track.positions(ends, beam)  # one of another scan is refused at once

    def positions(self, start: int, n: int) -> BeamPositions:
        """Where the beam points in rows `start` to ``start + n - 1``."""
        times = mid_times(self.source.start_time, self.header.sample_rate, n, start)
        return self.track.positions(times, self.beam, refraction=self.refraction)

    def parameters(self) -> Mapping[str, Any]:
        """What decides the positions."""
        return {"track": self.record, "beam": self.beam,
                "refraction": None if self.air is None else asdict(self.air)}

    @property
    def columns(self) -> Mapping[str, str]:
        """Those of the source, and positions."""
        return {**self.source.columns, **_NAMES}

    def read_columns(self, start: int, n: int) -> dict[str, NDArray[np.float64]]:
        """What `columns` names."""
        self._check_range(start, n)
        found = self.positions(start, n)
        return {**self.source.read_columns(start, n),
                "ra_deg": found.ra.value[:, 0], "dec_deg": found.dec.value[:, 0],
                "zenith_deg": found.zenith_distance.value[:, 0],
                "parallactic_deg": found.parallactic_angle.value[:, 0],
                "receiver_deg": self.track.receiver_angle(found.time).value,
                "extrapolated": found.extrapolated.astype(np.float64)}

    def work_bytes(self, n: int) -> int:
        """As of the source."""
        return self.source.work_bytes(n)

    def read_sums(self, start: int, n: int) -> Sums:
        """The source's own."""
        return self.source.read_sums(start, n)
