"""The signal of a known sky in one beam: Stokes parameters in K by spectrum and channel.

A source of flux S, seen through a beam of gain G (K/Jy of each polarisation) and Gaussian response
R, gives ``T_AA + T_BB = 2 G R S``, so that ``S = (T_AA + T_BB) / (2 G R)``. R is averaged over the
time of a spectrum. Q and U rotate from the sky to the feeds by twice the position angle of A's
axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import log, sqrt
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import FK4, SkyCoord
from numpy.typing import NDArray
from scipy.special import ndtr

from fastsig.axes.constants import HI_REST_HZ, SPEED_OF_LIGHT
from fastsig.simulate import beams, sky
from fastsig.simulate import components as parts
from fastsig.simulate.track import Horizon, Moving, Track, offline
from fastsig.simulate.truth import fields_of

__all__ = ["BeamScene", "Sky", "frame_factor", "shares", "truth_of"]

F8 = NDArray[np.float64]
# Positions and weights of Gauss's rule over a spectrum's time.
_NODES = (np.array([-sqrt(0.6), 0.0, sqrt(0.6)]) + 1) / 2
_WEIGHTS = np.array([5.0, 8.0, 5.0]) / 18
_CUT = 3.0  # FWHM from the middle of a beam, where 1.5e-11 is left
_LINE_CUT = 8.0  # standard deviations from the edges of a line
_CONTINUUM_HZ = Fraction(14 * 10**8)
# Standard solar motion of the LSRK: 20 km/s towards 18h +30d of 1900.
_SOLAR_KM_S = 20.0
_APEX = (270.0, 30.0)


def frame_factor(horizon: Horizon, place: SkyCoord, seconds: float, frame: str) -> float:
    """Return the frequency seen at the site over that in a frame, at a time."""
    if frame == "topocentric":
        return 1.0
    with offline():
        speed = place.radial_velocity_correction(
            "barycentric", obstime=horizon.times(seconds), location=horizon.site).to_value("km/s")
    factor = 1 + float(speed) * 1000 / SPEED_OF_LIGHT
    if frame == "lsrk":
        apex = SkyCoord(*_APEX, unit="deg", frame=FK4(equinox="B1900")).icrs
        factor *= 1 + _SOLAR_KM_S * 1000 * np.cos(apex.separation(place).rad) / SPEED_OF_LIGHT
    return float(factor)


@dataclass(frozen=True)
class _Disk:
    disk: sky.HIDisk
    factor: float
    cells: sky.Cells

    @property
    def center_hz(self) -> float:
        """Frequency of the middle of the disk at the site."""
        return self.factor * float(HI_REST_HZ) * (1 - float(self.disk.velocity) * 1000
                                                  / SPEED_OF_LIGHT)


class Sky:
    """The sources, moving over the site during a scan.

    Parameters
    ----------
    track : Track
    sources : sequence of PointSource, HIDisk or SkyPulsar
    continuum : Continuum, optional
    """

    def __init__(self, track: Track, sources: Sequence[Any],
                 continuum: sky.Continuum | None = None) -> None:
        self.track, self.sources, self.continuum = track, tuple(sources), continuum
        middle, horizon = track.duration_s / 2, track.horizon
        self.moving: Moving | None = None
        self.disks: dict[int, _Disk] = {}
        if not sources:
            return
        places = SkyCoord([each.ra for each in sources] * u.deg,
                          [each.dec for each in sources] * u.deg)
        self.moving = Moving(horizon, places, *track.span)
        for number, each in enumerate(sources):
            if isinstance(each, sky.HIDisk):
                factor = frame_factor(horizon, places[number], middle, each.frame)
                self.disks[number] = _Disk(each, factor, sky.disk_cells(each))


class BeamScene:
    """The signal of a `Sky` in beam `beam`, in spectra of `step` s."""

    def __init__(self, seen: Sky, beam: int, step: Fraction, *, feed_angle_deg: float = 0.0,
                 ambient_c: float = 15.0) -> None:
        self._sky, self._beam, self._step = seen, beam, step
        self._feed_angle, self._ambient = np.deg2rad(feed_angle_deg), ambient_c

    def record(self) -> dict[str, Any]:
        """Return the parameters of the signal, except the channels and times."""
        continuum = self._sky.continuum
        return {"track": self._sky.track.parameters, "ambient_c": self._ambient,
                "feed_angle_deg": round(float(np.rad2deg(self._feed_angle)), 12),
                "sky": [truth_of(each) for each in self._sky.sources],
                "continuum": continuum and fields_of(continuum)}

    def bound(self, powers: Any) -> BoundScene:
        """Return the scene for the channels of a recording."""
        return BoundScene(self._sky, self._beam, self._step, self._feed_angle, self._ambient,
                          powers)


class BoundScene:
    """See `BeamScene`; `powers` provides the channels and the envelopes of pulses."""

    def __init__(self, seen: Sky, beam: int, step: Fraction, feed_angle: float, ambient: float,
                 powers: Any) -> None:
        self._sky, self._beam, self._step = seen, beam, float(step)
        self._feed_angle, self._ambient, self._powers = feed_angle, ambient, powers
        self._narrow = 1 / beams.hpbw_rad(beam, powers.hertz) ** 2
        self._reach = _CUT / sqrt(float(self._narrow.min()))
        self._fluxes: dict[int, Any] = {}
        self._pulses: dict[int, Any] = {}
        for number, each in enumerate(seen.sources):
            self._settle(number, each)

    def _settle(self, number: int, source: Any) -> None:
        """Compute the spectrum of a source in Jy by channel, or of a disk by cell and channel."""
        hertz = self._powers.hertz
        if number in self._sky.disks:
            self._fluxes[number] = self._line(self._sky.disks[number])
            return
        reference = getattr(source, "frequency", _CONTINUUM_HZ)
        self._fluxes[number] = float(source.flux) * sky.spectrum(source.index, reference, hertz)
        if isinstance(source, sky.SkyPulsar):
            self._pulses[number] = self._powers.delays(parts.Pulsar(
                period=source.period, dm=source.dm, duty=source.duty, time=source.time))

    def _line(self, found: _Disk) -> tuple[slice, F8]:
        """Return the channels of a line, and the mean flux of cells in them, (cell, chan), Jy."""
        scale = found.factor * float(HI_REST_HZ) * 1000 / SPEED_OF_LIGHT
        centers = found.factor * float(HI_REST_HZ) - scale * found.cells.velocity
        sigma = scale * float(found.disk.dispersion)
        hertz = self._powers.hertz
        low, high = self._powers.edges()
        half = (high - low) / 2
        near = np.flatnonzero((hertz + half > centers.min() - _LINE_CUT * sigma)
                              & (hertz - half < centers.max() + _LINE_CUT * sigma))
        span = slice(near[0], near[-1] + 1) if len(near) else slice(0, 0)
        upper, lower = (ndtr((hertz[span] + sign * half[span] - centers[:, np.newaxis]) / sigma)
                        for sign in (1, -1))
        each = found.disk.flux_jy_hz * found.factor / len(centers)
        return span, (upper - lower) * each / (2 * half[span])

    def gain(self, start: int, n: int) -> F8:
        """Return the gain in the middle of the beam, (n, chan), K/Jy."""
        middle: F8 = (start + np.arange(n, dtype=np.float64) + 0.5) * self._step
        za = self._sky.track.zenith_deg(self._beam, middle)
        return beams.gain(self._beam, self._powers.hertz, za[:, np.newaxis], self._ambient)

    def stokes(self, start: int, n: int) -> list[F8]:
        """Return I, Q, U, V of spectra from `start` on, (n, chan) each, K."""
        hertz = self._powers.hertz
        total = self._flux(start, n)
        if any(np.any(each) for each in total):
            gain = 2 * self.gain(start, n)
            total = [each * gain for each in total]
        if continuum := self._sky.continuum:
            total[0] += 2 * float(continuum.temperature) * sky.spectrum(
                continuum.index, _CONTINUUM_HZ, hertz)
        return total

    def _flux(self, start: int, n: int) -> list[F8]:
        """Return the same for the sources, in Jy as attenuated by the beam."""
        total = [np.zeros((n, len(self._powers.hertz))) for _ in range(4)]
        if self._sky.moving is None:
            return total
        rows = np.arange(start, start + n, dtype=np.float64)
        nodes = ((rows[:, np.newaxis] + _NODES) * self._step).ravel()
        middle, north, east = self._sky.moving.axes(nodes)
        looks = self._sky.track.directions(self._beam, nodes)
        away = np.linalg.norm(middle - looks[:, np.newaxis], axis=-1).reshape(n, 3, -1)
        line = self._sky.track.feed_axis(nodes[1::3])[:, np.newaxis]
        angle = np.arctan2((line * east[1::3]).sum(axis=-1), (line * north[1::3]).sum(axis=-1))
        for number, source in enumerate(self._sky.sources):
            if number in self._sky.disks:
                axes = [each[:, number] for each in (middle, north, east)]
                self._add_disk(total[0], number, looks, *axes)
            elif away[:, :, number].min() < self._reach:
                power = self._response(away[:, :, number]) * self._fluxes[number]
                if number in self._pulses:
                    power *= self._powers.pulses(self._pulses[number], start, n)
                turn = np.exp(-2j * (angle[:, number] + self._feed_angle))[:, np.newaxis]
                _add(total, power, shares(source), turn)
        return total

    def _response(self, away: F8) -> F8:
        """Return the mean response in each spectrum at distances (n, 3), rad: (n, chan)."""
        squares = (2 * np.arcsin(np.minimum(away / 2, 1))) ** 2
        return np.asarray(sum(
            weight * np.exp(-4 * log(2) * np.outer(squares[:, node], self._narrow))
            for node, weight in enumerate(_WEIGHTS)))

    def _add_disk(self, total: F8, number: int, looks: F8, middle: F8, north: F8,
                  east: F8) -> None:
        """Add a disk, with its cells seen through the beam at the middle of its line."""
        disk, (span, fluxes) = self._sky.disks[number], self._fluxes[number]
        if span.stop == span.start:
            return
        x, y = ((looks * axis).sum(axis=-1)[:, np.newaxis] for axis in (east, north))
        ahead = (looks * middle).sum(axis=-1) > 0
        square = (x - disk.cells.east) ** 2 + (y - disk.cells.north) ** 2
        width = float(beams.hpbw_rad(self._beam, disk.center_hz))
        response = np.exp(-4 * log(2) * square / width**2) * ahead[:, np.newaxis]
        mean = np.einsum("k,nkc->nc", _WEIGHTS, response.reshape(len(total), 3, -1))
        total[:, span] += mean @ fluxes


def truth_of(source: Any) -> dict[str, Any]:
    """Return the fields of a source for a truth record."""
    out = {"kind": type(source).__name__, **fields_of(source)}
    out["ra_deg"], out["dec_deg"] = out.pop("ra"), out.pop("dec")
    return out


def shares(source: Any) -> tuple[float, complex, float]:
    """Return the polarised shares of a source on the sky: 1, ``Q + i U`` and V."""
    if isinstance(source, sky.SkyPulsar):
        return 1.0, float(source.linear) * np.exp(2j * np.deg2rad(float(source.angle))), float(
            source.circular)
    return 1.0, complex(source.q, source.u), float(source.v)


def _add(total: list[F8], power: F8, stokes: tuple[float, complex, float], turn: Any) -> None:
    """Add a source of Stokes I `power`, with Q and U rotated to the feeds."""
    linear = stokes[1] * turn
    for out, share in zip(total, (stokes[0], linear.real, linear.imag, stokes[2]), strict=True):
        out += power * share
