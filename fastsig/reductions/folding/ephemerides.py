"""Par files in the archives of folds: their text, and the position of the pulsar."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from os import PathLike, fspath

import numpy as np
from astropy import units as u

from fastsig import telescopes
from fastsig.errors import DoubtWarning, UsageError, users_line
from fastsig.pulsar.par_position import par_position, separation_deg
from fastsig.pulsar.profiles import Profiles

__all__ = ["with_ephemerides"]

#: Beam of a telescope whose receivers are not known, deg.
_USUAL_BEAM_DEG = 0.5


def with_ephemerides(archives: Sequence[Profiles], pars: Sequence[str | PathLike[str]]
                     ) -> list[Profiles]:
    """Return profiles with the texts and positions of the par files, which belong to the last ones.

    The position of a par file replaces that of the data. If these are farther apart than the beam,
    or 0.5 deg if the beam is not known, a warning is given.
    """
    first = len(archives) - len(pars)
    return [*archives[:first], *(_with_par(each, fspath(path)) for each, path in zip(
        archives[first:], pars, strict=True))]


def _with_par(profiles: Profiles, path: str) -> Profiles:
    with open(path, encoding="ascii", errors="replace") as file:
        text = file.read()
    header, position = profiles.header, par_position(text)
    if position is not None:
        _compare(profiles, position, path)
        origin = {**header.origin, **dict.fromkeys(("ra_deg", "dec_deg"), "par file")}
        header = header.replace(ra_deg=position[0], dec_deg=position[1], origin=origin)
    return profiles.replace(ephemeris=text, header=header)


def _compare(profiles: Profiles, position: tuple[float, float], path: str) -> None:
    """Warn if the telescope pointed elsewhere."""
    header = profiles.header
    if header.ra_deg is None or header.dec_deg is None:
        return
    apart, beam = separation_deg((header.ra_deg, header.dec_deg), position), _beam_deg(profiles)
    if apart > beam:
        warnings.warn(DoubtWarning(
            f"{profiles.path}: the position in its header, {header.ra_deg:.5f} "
            f"{header.dec_deg:+.5f} deg, is {_angle_text(apart)} from that of {path}, which is "
            f"written to the archive; the beam is {_angle_text(beam)} wide"),
            stacklevel=users_line())


def _beam_deg(profiles: Profiles) -> float:
    """Return the half-power width of the beam at the centre of the band."""
    header = profiles.header
    try:
        receiver = telescopes.get(header.telescope or "").receiver()
        width = receiver.hpbw(header.beam or 1, profiles.frequency.mean(), outside="nan")
    except UsageError:
        return _USUAL_BEAM_DEG
    found = float(width.to_value(u.deg))
    return found if np.isfinite(found) else _USUAL_BEAM_DEG


def _angle_text(degrees: float) -> str:
    return f"{degrees:.3g} deg" if degrees >= 1 else f"{60 * degrees:.3g} arcmin"
