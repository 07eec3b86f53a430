"""The truth record of a simulated scan of several beams."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from fastsig.axes.time import iso
from fastsig.simulate import beams, receiver
from fastsig.simulate import sky as skies
from fastsig.simulate.scene import truth_of
from fastsig.simulate.track import Track
from fastsig.simulate.truth import decimal, fields_of, rounded

__all__ = ["record"]

F8 = NDArray[np.float64]
MOST_PLACES = 4096  # per beam; of more spectra, only some are listed
_KNOT_S = 10.0
_NOTES = {
    "flux": "S_I = (T_AA + T_BB) / (2 G R), K of one polarisation; R = exp(-4 ln 2 (d / HPBW)^2), "
            "mean over the time of a spectrum",
    "places": "ICRS, deg, of the middle of each beam at the middle of spectra `rows`; beams by "
              "feeds on a lattice of 0.27 m",
    "angles": "position angle of A's axis and parallactic angle at M01, north through east, deg; "
              "Q + i U of the feeds is that of the sky times exp(-2 i angle of A), V is the same",
    "gain": "K/Jy of a polarisation at the middle channel",
}


def record(scan: Any) -> dict[str, Any]:
    """Record the contents of a scan, with the values needed to check it."""
    rows = _rows(scan)
    seconds: F8 = (rows.astype(np.float64) + 0.5) * float(scan.integration)
    angle_a, parallactic = _angles(scan, seconds)
    return {
        "simulator": "fast-scan",
        "version": 1,
        "notes": _NOTES,
        "backend": scan.backend,
        "start_time": iso(scan.horizon.start),
        "integration_s": decimal(scan.integration),
        "n_time": scan.n_time,
        "site_itrf_m": list(beams.SITE_M),
        "ambient_c": scan.ambient_c,
        "track": _track(scan),
        "sky": [_source(scan, number) for number in range(len(scan.sky.sources))],
        "continuum": scan.sky.continuum and fields_of(scan.sky.continuum),
        "rows": rows.tolist(),
        "angle_a_deg": _list(angle_a),
        "parallactic_deg": _list(parallactic),
        "beams": {f"M{beam:02d}": _beam(scan, beam, seconds) for beam in scan.recordings},
    }


def _rows(scan: Any) -> NDArray[np.int64]:
    """Return the spectra for which positions are listed."""
    count = min(scan.n_time, MOST_PLACES)
    return np.unique(np.linspace(0, scan.n_time - 1, count).astype(np.int64))


def _list(values: Any, places: int = 10) -> list[float]:
    return [round(float(each), places) for each in np.ravel(values)]


def _track(scan: Any) -> dict[str, Any]:
    out = {**scan.track.parameters, "feed_angle_deg": scan.feed_angle_deg,
           "focal_radius_m": beams.FOCAL_RADIUS_M}
    if scan.observing == "onoff":
        rows = np.arange(scan.n_time)
        ends = [scan.track.on_target((rows + part) * float(scan.integration))
                for part in (0.0, 0.5, 1.0)]
        whole = [np.flatnonzero(np.all([end == kind for end in ends], axis=0)).tolist()
                 for kind in (1, 0)]
        out |= {"off_ra_deg": rounded(scan.track.off.ra.deg),
                "off_dec_deg": rounded(scan.track.off.dec.deg),
                "rows_on": whole[0], "rows_off": whole[1]}
    return out


def _source(scan: Any, number: int) -> dict[str, Any]:
    source = scan.sky.sources[number]
    out = truth_of(source)
    if number in scan.sky.disks:
        disk = scan.sky.disks[number]
        out |= {"flux_jy_km_s": rounded(source.flux_jy_km_s),
                "flux_jy_hz": rounded(source.flux_jy_hz * disk.factor),
                "frame_factor": rounded(disk.factor), "center_hz": rounded(disk.center_hz),
                "n_cell": skies.N_RING * skies.N_AZIMUTH}
    return out


def _angles(scan: Any, seconds: F8) -> tuple[F8, F8]:
    """Return the position angles of A's axis and of the zenith at M01, deg."""
    track: Track = scan.track

    def beside(when: F8) -> F8:
        moved = track.axis(when) + 1e-4 * track.feed_axis(when)
        return np.asarray(moved / np.linalg.norm(moved, axis=-1, keepdims=True))

    middle = _places(scan, track.axis, seconds)
    to_beam, to_zenith = (
        middle.position_angle(_places(scan, look, seconds)).deg
        for look in (beside, lambda when: np.tile([0.0, 0.0, 1.0], (len(when), 1))))
    return (np.mod(to_beam + scan.feed_angle_deg, 180.0),
            np.mod(to_zenith + 180.0, 360.0) - 180.0)


def _places(scan: Any, look: Callable[[F8], F8], seconds: F8) -> SkyCoord:
    """Return ICRS positions of directions; from a spline through knots if they move smoothly."""
    knots = np.linspace(seconds[0], seconds[-1],
                        max(5, int(np.ceil(np.ptp(seconds) / _KNOT_S)) + 1))
    if scan.observing == "onoff" or len(knots) >= len(seconds):
        return scan.horizon.places(look(seconds), seconds)
    vectors = scan.horizon.places(look(knots), knots).cartesian.xyz.value.T
    east, north, up = CubicSpline(knots, vectors)(seconds).T
    return SkyCoord(np.arctan2(north, east), np.arctan2(up, np.hypot(east, north)), unit="rad")


def _beam(scan: Any, beam: int, seconds: F8) -> dict[str, Any]:
    """Return the truth of a beam: its spectra, positions, width and gain."""
    recording = scan.recordings[beam]
    places = _places(scan, lambda when: scan.track.directions(beam, when), seconds)
    axis = recording.axis
    hertz = float(axis.first_hz + (axis.n_chan // 2) * axis.step_hz)
    za = scan.track.zenith_deg(beam, seconds)
    out = {
        "ra_deg": _list(places.ra.deg),
        "dec_deg": _list(places.dec.deg),
        "zenith_angle_deg": _list(za),
        "feed_m": _list(beams.feed_m(beam)),
        "middle_hz": rounded(hertz),
        "hpbw_arcmin": rounded(float(np.rad2deg(beams.hpbw_rad(beam, hertz))) * 60),
        "gain_k_jy": _list(beams.gain(beam, hertz, za, scan.ambient_c)),
        "spectra": recording.truth,
    }
    parts = recording.components
    if parts["drift"]:
        out["drift_gain"] = _list(receiver.drift_gain(
            parts["drift"], 0, recording.n_time, scan.integration)[_rows(scan)])
    if parts["diode"]:
        out["tcal_a_k"], out["tcal_b_k"] = (_list(each) for each in (
            parts["tcal"] or receiver.Tcal()).kelvin(
                float(parts["diode"].temperature), recording.place))
    return out
