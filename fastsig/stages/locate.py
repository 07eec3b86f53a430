"""Locate: add the position of the beam to spectra."""

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
    """The same spectra, with columns for the position of the beam at the middle of each spectrum.

    ``ra_deg`` and ``dec_deg`` are ICRS; ``zenith_deg`` and ``parallactic_deg`` are apparent angles;
    ``receiver_deg`` is the position angle of the receiver's Y axis, north through east; and
    ``extrapolated`` is 1 if the track has no row within 1 s.

    Parameters
    ----------
    source : SpectrumStream
        Spectra of a known beam.
    track : CabinTrack
        The track of the feed cabin, as returned by `fastsig.io.fast.ky.read`.
    beam : int, optional
        Number of the beam; by default, that in the header.
    refraction : Refraction or str, optional
        Atmospheric conditions for refraction, instead of those in the track; also as text, such as
        ``"925,15,0.8,0.3m"`` (pressure in hPa, temperature in deg C, relative humidity,
        wavelength), or ``"none"`` for no refraction.
    record : mapping, optional
        Description of the file of the track for the provenance; by default, its name.

    Raises
    ------
    PlanError
        If the source contains no spectra.
    UsageError
        If the track or the refraction is of another type, or the beam is not known.
    """

    name = "locate"
    needs_end = True  # to refuse a track of another scan at once
    source: SpectrumStream

    def __init__(self, source: Stream, track: CabinTrack, *, beam: int | None = None,
                 refraction: Refraction | str | None = None,
                 record: Mapping[str, Any] | None = None) -> None:
        if not isinstance(source, SpectrumStream):
            raise PlanError(f"locate requires spectra, not {source.kind}")
        if not isinstance(track, CabinTrack):
            raise UsageError(f"track = {track!r}; allowed: a CabinTrack, as returned by "
                             "fastsig.io.fast.ky.read")
        self.track, self.refraction = track, refraction
        #: Atmospheric conditions for which positions are computed, or None.
        self.air = Refraction.of(refraction, track.air)
        self.record = dict(record or {"name": track.path.rpartition("/")[2]})
        beam = source.header.beam if beam is None else beam
        if beam is None:
            raise UsageError(f"{source.path}: the file does not state the beam; give --beam 1")
        super().__init__(source, header=source.header.replace(beam=beam), dtype=source.dtype)
        self.beam = beam
        ends = mid_times(source.start_time, self.header.sample_rate, self.shape[0])[
            [0, self.shape[0] // 2, -1]]
        track.positions(ends, beam)  # a track of another scan is refused here

    def positions(self, start: int, n: int) -> BeamPositions:
        """Return the position of the beam in rows `start` to ``start + n - 1``."""
        times = mid_times(self.source.start_time, self.header.sample_rate, n, start)
        return self.track.positions(times, self.beam, refraction=self.refraction)

    def parameters(self) -> Mapping[str, Any]:
        """Parameters that determine the positions."""
        return {"track": self.record, "beam": self.beam,
                "refraction": None if self.air is None else asdict(self.air)}

    @property
    def columns(self) -> Mapping[str, str]:
        """The columns of the source, and those of the position."""
        return {**self.source.columns, **_NAMES}

    def read_columns(self, start: int, n: int) -> dict[str, NDArray[np.float64]]:
        """Return the values of the columns listed in `columns`."""
        self._check_range(start, n)
        found = self.positions(start, n)
        return {**self.source.read_columns(start, n),
                "ra_deg": found.ra.value[:, 0], "dec_deg": found.dec.value[:, 0],
                "zenith_deg": found.zenith_distance.value[:, 0],
                "parallactic_deg": found.parallactic_angle.value[:, 0],
                "receiver_deg": self.track.receiver_angle(found.time).value,
                "extrapolated": found.extrapolated.astype(np.float64)}

    def work_bytes(self, n: int) -> int:
        """Same as for the source."""
        return self.source.work_bytes(n)

    def read_sums(self, start: int, n: int) -> Sums:
        """Return the sums of the source."""
        return self.source.read_sums(start, n)
