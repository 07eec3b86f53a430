"""Scans of FAST's 19 beams over a known sky: drifting, tracking, on and off a source."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import astropy.units as u
from astropy.coordinates import SkyCoord
from astropy.time import Time

from fastsig.axes.time import parse_time
from fastsig.errors import UsageError
from fastsig.simulate import scan_truth
from fastsig.simulate.beams import N_BEAM
from fastsig.simulate.checks import positive, seed_of
from fastsig.simulate.receiver import GainDrift
from fastsig.simulate.scene import BeamScene, Sky
from fastsig.simulate.sky import Continuum, degrees
from fastsig.simulate.spectra import FastSpectra
from fastsig.simulate.spectra_output import INTEGRATION, spectral
from fastsig.simulate.track import Horizon, Track
from fastsig.simulate.values import scalar

__all__ = ["FastScan", "beam_numbers"]

_SEED_STEP = 0x9E3779B97F4A7C15  # odd, so that different beams never share a seed
_GOLDEN_DEG = Fraction("137.5")  # keeps the phases of the drifts of a few beams far apart
_INTEGRATIONS = {"spectral": INTEGRATION, "psrfits": Fraction("0.000049152")}
_OTHERS = {"spectral": ("bandwidth", "shift"), "psrfits": ("mode",)}
DRIFT_ROTATION_DEG = Fraction("23.4")  # of CRAFTS: spreads the beams' declinations evenly


def beam_numbers(beams: str | Iterable[Any]) -> tuple[int, ...]:
    """Return numbers of beams, given ``"1-19"``, ``"1+8-10"`` or numbers, each once, ascending.

    Raises
    ------
    UsageError
        If the values are not numbers of beams.
    """
    items: list[str] = beams.split("+") if isinstance(beams, str) else [str(b) for b in beams]
    found: set[int] = set()
    for item in items:
        first, dash, last = item.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UsageError(f"beams = {beams!r}; allowed: numbers such as 1-19 or 1+8-10")
        found.update(range(int(first), int(last if dash else first) + 1))
    if not found or min(found) < 1 or max(found) > N_BEAM:
        raise UsageError(f"beams = {beams!r}; allowed: from 1 to {N_BEAM}")
    return tuple(sorted(found))


def _check_backend(backend: str, parameters: dict[str, Any]) -> None:
    if backend not in _OTHERS:
        raise UsageError(f"backend = {backend!r}; allowed: {', '.join(_OTHERS)}")
    for name in _OTHERS[backend]:
        if name in parameters:
            raise UsageError(f"{name} = {parameters[name]!r}; allowed with backend {backend}: none")


def _number(value: Any, unit: str, name: str) -> float:
    return float(scalar(value, unit, name))


class FastScan:
    """A simultaneous scan of several beams.

    It consists of the spectra of each beam, the track of the feed cabin, and the truth record.

    Parameters
    ----------
    duration : value, s
        Duration, rounded to whole spectra.
    beams : text or sequence of int
        Beams, such as ``"1-19"``, the default, or ``"1+8"``.
    observing : {"drifting", "tracking", "onoff"}
        "drifting": the cabin is at rest, and the target is in beam M01 in the middle of the scan;
        "tracking": the cabin follows the target; "onoff": the cabin alternates between the target
        and the off position, beginning with the target.
    ra, dec : angle
        The target, ICRS; by default, the right ascension on the meridian in the middle of the scan,
        and the declination of the zenith.
    rotation : value, deg
        Rotation of the beams on the sky, from east to north: M02 is east of M01 at 0 deg, and north
        of it at 90 deg. By default, 23.4 deg for drift scans, otherwise 0.
    feed_angle : value, deg
        Position angle of A's axis minus that of the line from M01 to M02, north through east. Its
        value at FAST is not published.
    yaw : value, deg
        Yaw of the cabin.
    off_ra, off_dec : value, arcmin
        Offset of the off position towards east and north.
    dwell, slew : value, s
        Time on each position with "onoff", and time between positions.
    refraction : bool
        Whether there is refraction, for a pressure of 925 hPa, a temperature of 15 deg C, a
        relative humidity of 0.8 and a wavelength of 0.3 m.
    ambient : value, deg_C
        Ambient temperature, on which the gain depends.
    backend : {"spectral", "psrfits"}
        Whether the recordings are made by `spectral` or by `FastSpectra`.
    sky : sequence of PointSource, HIDisk and SkyPulsar
        Sources on the sky.
    continuum : Continuum, optional
        Uniform emission from the sky.
    drift : GainDrift, optional
        Drift of the gain. Its phase applies to M01, and increases by 137.5 deg for each further
        beam.
    start_time, seed, integration, **parameters
        As for `spectral` or `FastSpectra`, the same for all beams; each beam has its own noise.

    Raises
    ------
    UsageError
        If a parameter is out of range, or the zenith angle exceeds 40 deg.
    """

    def __init__(
        self, *, duration: Any, beams: str | Iterable[Any] = "1-19", observing: str = "drifting",
        ra: Any = None, dec: Any = None, rotation: Any = None, feed_angle: Any = 0, yaw: Any = 0,
        off_ra: Any = "30arcmin", off_dec: Any = 0, dwell: Any = "60s", slew: Any = "30s",
        refraction: bool = False, ambient: Any = "15deg_C", backend: str = "spectral",
        sky: Sequence[Any] = (), continuum: Continuum | None = None,
        drift: GainDrift | None = None, start_time: Time | str = "2026-01-01T00:00:00",
        integration: Any = None, seed: Any = 1, **parameters: Any,
    ) -> None:
        _check_backend(backend, parameters)
        self.backend, self.observing = backend, observing
        self.mode = parameters.get("mode", "W") if backend == "spectral" else None
        given = integration if integration is not None else _INTEGRATIONS[backend]
        self.integration = step = positive(given, "s", "integration")
        start = (start_time if isinstance(start_time, Time) else parse_time(start_time)).utc
        length = float(step * max(1, round(scalar(duration, "s", "duration") / step)))
        self.horizon = Horizon(start, refraction)
        self.target = self._target(ra, dec, length)
        if rotation is None:
            rotation = DRIFT_ROTATION_DEG if observing == "drifting" else 0
        self.track = Track(
            self.horizon, observing, self.target, length,
            rotation_deg=_number(rotation, "deg", "rotation"), yaw_deg=_number(yaw, "deg", "yaw"),
            off_deg=(_number(off_ra, "arcmin", "off_ra") / 60,
                     _number(off_dec, "arcmin", "off_dec") / 60),
            dwell_s=float(positive(dwell, "s", "dwell")),
            slew_s=float(positive(slew, "s", "slew")))
        self.sky = Sky(self.track, sky, continuum)
        self.feed_angle_deg = _number(feed_angle, "deg", "feed_angle")
        self.ambient_c = _number(ambient, "deg_C", "ambient")
        self._seed, self._drift = seed_of(seed), drift
        make = spectral if backend == "spectral" else FastSpectra
        common = {**parameters, "duration": duration, "start_time": start, "integration": step}
        self.recordings: dict[int, FastSpectra] = {
            beam: make(beam=beam, **self._own(beam), **common) for beam in beam_numbers(beams)}
        if backend == "psrfits":  # FAST's spectral files contain no position
            for each in self.recordings.values():
                each.header = each.header.replace(ra_deg=float(self.target.ra.deg),
                                                  dec_deg=float(self.target.dec.deg))

    def _target(self, ra: Any, dec: Any, length: float) -> SkyCoord:
        high = None if dec is None else degrees(dec, "dec")
        if high is not None and not abs(high) <= 90:
            raise UsageError(f"dec = {high:g} deg; allowed: -90 to 90")
        passes = self.horizon.transit(high, length / 2)
        return passes if ra is None else SkyCoord(degrees(ra, "ra") * u.deg, passes.dec)

    def _own(self, beam: int) -> dict[str, Any]:
        """Return the parameters that differ between beams."""
        scene = BeamScene(self.sky, beam, self.integration, feed_angle_deg=self.feed_angle_deg,
                          ambient_c=self.ambient_c)
        own: dict[str, Any] = {"scene": scene,
                               "seed": (self._seed + (beam - 1) * _SEED_STEP) % 2**64}
        if self._drift:
            phase = self._drift.phase + (beam - 1) * _GOLDEN_DEG
            own["drift"] = replace(self._drift, phase=phase)
        return own

    @property
    def n_time(self) -> int:
        """Number of spectra of each beam."""
        return next(iter(self.recordings.values())).n_time

    @cached_property
    def truth(self) -> dict[str, Any]:
        """The truth record: the contents of the scan as plain data, ready for JSON."""
        return scan_truth.record(self)
