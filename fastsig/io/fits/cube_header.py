"""The header of a FITS cube: its axes, its beam, its unit and its frame.

Headers of other programs are read as their authors intended, where that is certain: CASA's order of
axes, AIPS' CTYPEs that name a frame (``VELO-LSR``), kilometres per second, ``JY/BEAM``. Missing
values are None, and `lacks` lists them; nothing is guessed.

References
----------
Greisen & Calabretta 2002, A&A 395, 1061 (celestial axes: Calabretta & Greisen, 1077); Greisen et
al. 2006, A&A 446, 747 (spectral axes; AIPS' own: its section 4.1 and VELREF).
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field

import numpy as np
from astropy import constants
from astropy import units as u
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray

from fastsig.axes import velocity
from fastsig.errors import FormatError
from fastsig.io.files.cards import Cards

__all__ = ["Beam", "CubeHeader", "beam_of", "cube_header"]

C = constants.c.to_value(u.m / u.s)

_FRAMES = {"LSR": "LSRK", "LSK": "LSRK", "LSD": "LSRD", "HEL": "BARYCENT", "BAR": "BARYCENT",
           "OBS": "TOPOCENT", "TOP": "TOPOCENT", "GEO": "GEOCENTR", "GAL": "GALACTOC"}
_SPECTRAL = ("FREQ", "VRAD", "VOPT", "VELO", "FELO", "WAVE", "ZOPT")
_STOKES = {1: "I", 2: "Q", 3: "U", 4: "V", -1: "RR", -2: "LL", -3: "RL", -4: "LR", -5: "XX",
           -6: "YY", -7: "XY", -8: "YX"}
_MOST_STOKES = 16


@dataclass(frozen=True)
class Beam:
    """An elliptic Gaussian beam.

    Parameters
    ----------
    major, minor : float
        Full widths at half maximum, deg.
    pa : float
        Position angle of the major axis, from north through east, deg.
    """

    major: float
    minor: float
    pa: float

    @property
    def solid_angle(self) -> float:
        """``pi major minor / (4 ln 2)``, sr."""
        return math.pi * math.radians(self.major) * math.radians(self.minor) / (4 * math.log(2))

    def response(self, east: NDArray[np.float64], north: NDArray[np.float64]
                 ) -> NDArray[np.float64]:
        """Return the power response at offsets in deg, 1 at the centre."""
        turn = math.radians(self.pa)
        along = east * math.sin(turn) + north * math.cos(turn)
        across = east * math.cos(turn) - north * math.sin(turn)
        found: NDArray[np.float64] = np.exp(
            -4 * math.log(2) * ((along / self.major) ** 2 + (across / self.minor) ** 2))
        return found


@dataclass(frozen=True)
class CubeHeader:
    """The axes of a cube and the meaning of its numbers.

    Parameters
    ----------
    order : tuple of int
        NumPy axes of the array in the file for (Stokes, spectral, latitude, longitude); -1 for a
        missing axis.
    shape : tuple of int
        Lengths of these four axes, 1 for a missing axis.
    celestial : WCS
        Coordinates of longitude and latitude.
    wcs : WCS
        Coordinates of longitude, latitude and, if present, the spectral axis.
    ctype : str
        CTYPE of the spectral axis, "" without one.
    axis : ndarray, shape (n_chan,)
        Values of the spectral axis, in Hz, m/s or m.
    rest_hz : float or None
    unit : str
        Unit as astropy writes it, "" if unknown.
    beam : Beam or None
    frame, observed, radesys : str
        SPECSYS, SSYSOBS, RADESYS; "" if unknown.
    stokes : tuple of str
    cards : Cards
    header : fits.Header
    notes : tuple of str
        Remarks on values that were not read as written.
    """

    order: tuple[int, ...]
    shape: tuple[int, ...]
    celestial: WCS
    wcs: WCS
    ctype: str
    axis: NDArray[np.float64]
    rest_hz: float | None
    unit: str
    beam: Beam | None
    frame: str
    observed: str
    radesys: str
    stokes: tuple[str, ...]
    cards: Cards
    header: fits.Header
    notes: tuple[str, ...] = field(default=())

    def lacks(self) -> list[str]:
        """Return the names of missing values that results depend on."""
        needed = [(self.unit, "a unit (BUNIT)"), (self.beam, "a beam (BMAJ, BMIN)"),
                  (self.frame or not self.ctype, "a frame of its velocities (SPECSYS)"),
                  (self.rest_hz or self.ctype == "FREQ", "a rest frequency (RESTFRQ)"),
                  (self.ctype != "VELO" or not self.ctype,
                   "whether VELO is radio or optical velocity"),
                  (self.radesys, "a celestial frame (RADESYS)")]
        return [what for found, what in needed if not found]

    def frequency_hz(self, path: str) -> NDArray[np.float64]:
        """Return channel centres in Hz, in the order of the file.

        Raises
        ------
        FormatError
            Where the axis is a velocity of unknown kind, or without a rest frequency.
        """
        if not self.ctype:
            raise FormatError(path, "has no spectral axis; allowed: a cube with one")
        if self.ctype == "FREQ":
            return self.axis
        if self.ctype == "WAVE":
            return np.asarray(C / self.axis, np.float64)
        if self.ctype == "VELO":
            raise FormatError(path, "its axis VELO may be radio or optical velocity; give "
                              "convention = radio or optical (on the command line, --velo)")
        if not self.rest_hz:
            raise FormatError(path, f"its axis {self.ctype} has no rest frequency; give one, "
                              "rest = HI or 1420.405751768MHz")
        kind = "radio" if self.ctype.startswith("VRAD") else "optical"
        found = velocity.frequency(self.axis << u.m / u.s, self.rest_hz << u.Hz, kind)
        return np.asarray(found.to_value(u.Hz), np.float64)


def cube_header(raw: bytes, cards: Cards, path: str, *, rest_hz: float | None = None,
                convention: str | None = None) -> CubeHeader:
    """Interpret a header.

    Parameters
    ----------
    raw : bytes
        The cards, up to END.
    cards : Cards
        Values of the cards, as text.
    path : str
    rest_hz : float, optional
        Rest frequency instead of RESTFRQ, Hz.
    convention : {"radio", "optical"}, optional
        Velocity convention of a VELO axis; by default, that which the header states (VELREF).

    Raises
    ------
    FormatError
        Where there are no celestial axes, or the axes are invalid.
    """
    notes: list[str] = []
    header = _parsed(raw, path)
    n_axis = cards.integer("NAXIS", least=0, most=9)
    lengths = [cards.integer(f"NAXIS{axis + 1}", least=1) for axis in range(n_axis)]
    frame = _plain_spectral(header, n_axis, convention, notes)
    _units_of_axes(header, n_axis)
    if rest_hz is not None:
        header["RESTFRQ"] = rest_hz
        for key in ("RESTFREQ", "RESTWAV"):
            header.remove(key, ignore_missing=True)
    full = _wcs(header, path)
    places = _places(full, lengths, path)
    lon, lat, spectral, stokes = places
    shape = tuple(1 if axis < 0 else lengths[axis] for axis in (stokes, spectral, lat, lon))
    order = tuple(axis if axis < 0 else n_axis - 1 - axis for axis in (stokes, spectral, lat, lon))
    wcs = full.sub([axis + 1 for axis in (lon, lat, spectral) if axis >= 0])
    ctype, axis, rest = _spectral(full, spectral, shape[1], path)
    return CubeHeader(
        order, shape, full.sub([lon + 1, lat + 1]), wcs, ctype, axis, rest,
        _unit(cards, notes), beam_of(cards), (cards.text("SPECSYS") or frame).upper(),
        (cards.text("SSYSOBS") or "").upper(), _radesys(cards, full),
        _stokes(full, stokes, shape[0], path), cards, header, tuple(notes))


def _parsed(raw: bytes, path: str) -> fits.Header:
    """Return the cards that can be parsed; other cards are ignored."""
    header = fits.Header()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for at in range(0, len(raw) - 79, 80):
            text = raw[at : at + 80].decode("ascii", "replace").replace("�", "?")
            try:
                card = fits.Card.fromstring(text)
                card.verify("silentfix")
                if card.keyword in ("COMMENT", "HISTORY", "", "CONTINUE") or (
                        card.keyword in header):
                    continue
                header.append((card.keyword, card.value, card.comment), end=True)
            except Exception:  # damaged cards make astropy raise errors of many kinds
                continue
    return header


def _plain_spectral(header: fits.Header, n_axis: int, convention: str | None, notes: list[str]
                    ) -> str:
    """Change AIPS' CTYPEs to those of FITS; return the frame that a CTYPE names."""
    for number in range(1, n_axis + 1):
        text = str(header.get(f"CTYPE{number}", "")).upper().strip()
        kind, _, after = text.partition("-")
        if kind not in _SPECTRAL:
            continue
        frame = _FRAMES.get(after, "")
        plain = kind + ("" if frame or not after else f"-{after}")
        if kind == "FELO":  # optical velocity, regular in frequency
            plain = "VOPT-F2W"
        elif kind == "VELO":
            code = header.get("VELREF", 0)
            code = code if isinstance(code, int) else 0
            named = convention or ("radio" if code > 256 else "optical" if code > 0 else None)
            plain = {"radio": "VRAD", "optical": "VOPT"}.get(named or "", "VELO")
        if plain != text:
            notes.append(f"CTYPE{number} = {text} is read as {plain}"
                         + (f" in {frame}" if frame else ""))
            header[f"CTYPE{number}"] = plain
        if frame and "SPECSYS" not in header:
            header["SPECSYS"] = frame
        return frame
    return ""


def _units_of_axes(header: fits.Header, n_axis: int) -> None:
    """Correct units such as ``KM/S``, which wcslib does not accept."""
    for number in range(1, n_axis + 1):
        text = str(header.get(f"CUNIT{number}", "")).strip()
        plain = {"km/s": "km/s", "kms-1": "km/s", "km s-1": "km/s", "m/s": "m/s", "hz": "Hz",
                 "mhz": "MHz", "ghz": "GHz", "degree": "deg", "degrees": "deg"}.get(text.lower())
        if plain:
            header[f"CUNIT{number}"] = plain


def _wcs(header: fits.Header, path: str) -> WCS:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on corrected dates, which are not used here
            return WCS(header)
    except Exception as error:  # wcslib raises errors of many kinds
        text = " ".join(str(error).split())
        raise FormatError(path, f"its coordinates cannot be read: {text}") from error


def _places(wcs: WCS, lengths: list[int], path: str) -> tuple[int, int, int, int]:
    """Return the FITS axes, from 0, of longitude, latitude, spectrum and Stokes; -1 for none."""
    kinds = [str(each["coordinate_type"]) for each in wcs.get_axis_types()]
    spectral = wcs.wcs.spec
    lon, lat = wcs.wcs.lng, wcs.wcs.lat
    if lon < 0 or lat < 0:
        found = ", ".join(wcs.wcs.ctype) or "none"
        raise FormatError(path, f"an image without celestial axes (CTYPE: {found}); allowed: maps "
                          "and cubes of the sky")
    stokes = kinds.index("stokes") if "stokes" in kinds else -1
    for axis, length in enumerate(lengths):
        if axis not in (lon, lat, spectral, stokes) and length > 1:
            name = wcs.wcs.ctype[axis] if axis < len(kinds) else ""
            raise FormatError(path, f"axis {axis + 1} ({name or 'without CTYPE'}) of {length} "
                              "values is not longitude, latitude, spectrum or Stokes")
    if max(lon, lat, spectral, stokes) >= len(lengths):
        raise FormatError(path, f"NAXIS = {len(lengths)}; its coordinates have more axes")
    return lon, lat, spectral, stokes


def _spectral(wcs: WCS, axis: int, n_chan: int, path: str
              ) -> tuple[str, NDArray[np.float64], float | None]:
    """Return CTYPE, values in SI units and rest frequency of the spectral axis."""
    rest = float(wcs.wcs.restfrq) or (C / wcs.wcs.restwav if wcs.wcs.restwav else 0.0)
    rest_hz = rest if math.isfinite(rest) and rest > 0 else None
    if axis < 0:
        return "", np.zeros(0), rest_hz
    line = wcs.sub([axis + 1])
    try:
        values = np.asarray(line.wcs_pix2world(np.arange(n_chan, dtype=np.float64), 0)[0])
    except Exception as error:
        text = " ".join(str(error).split())
        raise FormatError(path, f"its spectral axis cannot be read: {text}") from error
    steps = np.diff(values)
    if not np.isfinite(values).all() or (steps.size and not ((steps > 0).all()
                                                             or (steps < 0).all())):
        raise FormatError(path, f"CDELT{axis + 1} = {wcs.wcs.cdelt[axis]:g}: its spectral axis "
                          "neither ascends nor descends")
    kind = wcs.wcs.ctype[axis].split("-")[0]
    if kind in ("FREQ", "WAVE") and not (values > 0).all():
        raise FormatError(path, f"its spectral axis {kind} goes below 0")
    if kind == "ZOPT":
        return "VOPT", values * C, rest_hz
    return kind, values, rest_hz


def _unit(cards: Cards, notes: list[str]) -> str:
    text = cards.text("BUNIT")
    if text is None:
        return ""
    plain = {"JY/BEAM": "Jy/beam", "MJY/BEAM": "mJy/beam", "JY BEAM-1": "Jy/beam",
             "KELVIN": "K"}.get(text.upper() if text != "mJy/beam" else "", text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return str(u.Unit(plain).to_string())
    except (ValueError, TypeError, AttributeError):
        notes.append(f"BUNIT = {text!r} is not a unit")
        return ""


def beam_of(cards: Cards) -> Beam | None:
    """Return the beam from BMAJ, BMIN and BPA; None if they do not specify one."""
    major, minor, pa = (cards.number(key) for key in ("BMAJ", "BMIN", "BPA"))
    if major is None or not 0 < major < 180:
        return None
    minor = major if minor is None or not 0 < minor < 180 else minor
    return Beam(major, minor, pa if pa is not None and abs(pa) <= 360 else 0.0)


def _radesys(cards: Cards, wcs: WCS) -> str:
    """Return RADESYS, or the frame that the axes and the equinox imply."""
    if wcs.wcs.lngtyp.strip() == "GLON":
        return "GALACTIC"
    text = (cards.text("RADESYS") or cards.text("RADECSYS") or "").upper()
    equinox = cards.number("EQUINOX") or cards.number("EPOCH")
    if text or equinox is None:
        return text
    return "FK5" if equinox >= 1984 else "FK4"


def _stokes(wcs: WCS, axis: int, n: int, path: str) -> tuple[str, ...]:
    if axis < 0:
        return ("I",)
    if n > _MOST_STOKES:
        raise FormatError(path, f"a STOKES axis of {n} values; allowed: up to {_MOST_STOKES}")
    first, step, at = wcs.wcs.crval[axis], wcs.wcs.cdelt[axis], wcs.wcs.crpix[axis]
    codes = [first + step * (number + 1 - at) for number in range(n)]
    names = [_STOKES.get(round(code) if math.isfinite(code) else 0, "?") for code in codes]
    if "?" in names:
        raise FormatError(path, f"STOKES codes {', '.join(f'{code:g}' for code in codes)}; "
                          "allowed: 1 to 4 and -1 to -8")
    return tuple(names)
