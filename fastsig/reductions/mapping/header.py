"""Cards of a map's header: axes, beam, frame, place and time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from astropy.io import fits
from astropy.time import Time
from astropy.wcs import WCS

from fastsig._version import __version__
from fastsig.axes.constants import SPEED_OF_LIGHT
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.time import iso
from fastsig.errors import UsageError
from fastsig.reductions.mapping.pixels import Beams, Kernel
from fastsig.stream import SpectrumStream
from fastsig.telescopes.velocity_frames import SPECSYS

__all__ = ["AXES", "map_header", "velocity_band"]

#: Spectral axes by option: CTYPE, and velocity convention.
AXES = {"FREQ": "FREQ", "VRAD": "VRAD", "VOPT": "VOPT-F2W"}

def velocity_band(low_ms: Fraction, high_ms: Fraction, rest_hz: Fraction, kind: str
                  ) -> tuple[Fraction, Fraction]:
    """Return the lowest and highest frequency, Hz, between two velocities in m/s."""
    low, high = sorted((low_ms, high_ms))
    if kind == "VOPT":
        return rest_hz / (1 + high / SPEED_OF_LIGHT), rest_hz / (1 + low / SPEED_OF_LIGHT)
    return rest_hz * (1 - high / SPEED_OF_LIGHT), rest_hz * (1 - low / SPEED_OF_LIGHT)


def spectral_cards(axis: ChannelAxis, kind: str, rest_hz: Fraction | None, number: int
                   ) -> list[tuple[str, Any, str]]:
    """Return the cards of the spectral axis: evenly spaced in frequency, labelled by `kind`.

    A velocity axis of the optical convention is regular in frequency. FITS Paper III calls it
    VOPT-F2W; its reference value and increment apply at channel 1.
    """
    first, step, c = axis.first_hz, axis.step_hz, SPEED_OF_LIGHT
    if kind == "FREQ":
        value, delta, unit = first, step, "Hz"
    elif rest_hz is None:
        raise UsageError(f"axis = {kind}: velocities need a rest frequency (--rest HI); allowed "
                         "without one: FREQ")
    elif kind == "VRAD":
        value, delta, unit = c * (1 - first / rest_hz), -c * step / rest_hz, "m/s"
    else:
        value, delta, unit = c * (rest_hz / first - 1), -c * rest_hz * step / first**2, "m/s"
    what = {"FREQ": "frequency", "VRAD": "radio velocity",
            "VOPT": "optical velocity, even in frequency"}[kind]
    return [(f"CTYPE{number}", AXES[kind], what), (f"CRVAL{number}", float(value), "channel 1"),
            (f"CDELT{number}", float(delta), ""), (f"CRPIX{number}", 1.0, ""),
            (f"CUNIT{number}", unit, "")]


def map_header(
    wcs: WCS, axis: ChannelAxis, kind: str, rest_hz: Fraction | None, stokes: Sequence[int],
    unit: str, beam: Beams, kernel: Kernel, frame: str, streams: Sequence[SpectrumStream],
) -> fits.Header:
    """Return all cards of a map except those of its structure."""
    header = fits.Header()
    scale = kernel.scale(beam.fwhm_deg)
    width = beam.fwhm_deg * scale**0.5
    header["BUNIT"] = ("Jy/beam" if unit == "Jy" else unit, "of the effective beam" if unit == "Jy"
                       else "mean of two polarisations")
    header["BTYPE"] = "Intensity"
    header["BMAJ"] = (width, "deg, FWHM: telescope's beam and kernel")
    header["BMIN"], header["BPA"] = width, 0.0
    header["WCSAXES"] = 3 + (len(stokes) > 1)
    for key, value in wcs.to_header().items():
        if key not in ("WCSAXES", "MJDREF", "DATEREF", "RADESYS", "EQUINOX"):
            header[key] = value
    for card in spectral_cards(axis, kind, rest_hz, 3):
        header.append(card)
    if len(stokes) > 1:
        for card in (("CTYPE4", "STOKES", ", ".join("IQUV"[code - 1] for code in stokes)),
                     ("CRVAL4", float(stokes[0]), ""), ("CDELT4", 1.0, ""), ("CRPIX4", 1.0, ""),
                     ("CUNIT4", "", "")):
            header.append(card)
    header["RADESYS"] = "ICRS"
    if rest_hz is not None:
        header["RESTFRQ"] = (float(rest_hz), "Hz")
    header["SPECSYS"] = (SPECSYS[frame], "frame of the spectral axis")
    header["SSYSOBS"] = ("TOPOCENT", "frame of the receiver's tuning")
    for key, value, text in (*_observed(streams), *_gridding(beam, kernel, scale)):
        header[key] = (value, text)
    return header


def _gridding(beam: Beams, kernel: Kernel, scale: float) -> list[tuple[str, Any, str]]:
    return [("TELFWHM", beam.fwhm_deg, "deg, FWHM of the telescope's beam"),
            ("GRDFWHM", kernel.fwhm_deg, "deg, Gaussian kernel"),
            ("GRDRAD", kernel.radius_deg, "deg, where the kernel ends"),
            ("BEAMSCAL", scale, "solid angle of the beam over TELFWHM's"),
            ("ORIGIN", f"fastsig {__version__}", "")]


def _observed(streams: Sequence[SpectrumStream]) -> list[tuple[str, Any, str]]:
    """Return cards for the object, the telescope, its place, and the times."""
    heads = [stream.header for stream in streams]
    out: list[tuple[str, Any, str]] = []
    for key, names in (("OBJECT", {h.source for h in heads}), ("TELESCOP", {h.telescope
                                                                           for h in heads}),
                       ("INSTRUME", {h.receiver or h.backend for h in heads})):
        if len(names) == 1 and (name := names.pop()):
            out.append((key, _ascii(name), ""))
    first = min((stream.start_time for stream in streams), key=_moment)
    last = max((stream.stop_time for stream in streams), key=_moment)
    out += [("TIMESYS", "UTC", ""), ("DATE-OBS", iso(first), "first spectrum"),
            ("MJD-OBS", float(first.utc.mjd), ""), ("DATE-BEG", iso(first), ""),
            ("MJD-BEG", float(first.utc.mjd), ""), ("DATE-END", iso(last), "last spectrum's end"),
            ("MJD-END", float(last.utc.mjd), "")]
    return [*out, *_site(heads)]


def _moment(time: Time) -> tuple[float, float]:
    utc = time.utc
    return float(utc.jd1), float(utc.jd2)


def _ascii(text: str) -> str:
    return "".join(each if " " <= each <= "~" else "?" for each in text)[:60]


def _site(heads: Sequence[Any]) -> list[tuple[str, Any, str]]:
    from fastsig import telescopes

    names = {head.telescope for head in heads}
    name = names.pop() if len(names) == 1 else None
    try:
        place = telescopes.get(name or "").itrf_m
    except UsageError:  # a telescope without coordinates here
        return []
    return [(f"OBSGEO-{axis}", metres, "m, ITRF") for axis, metres in zip("XYZ", place,
                                                                        strict=True)]


def described(header: fits.Header) -> Mapping[str, Any]:
    """Return the values of cards, for JSON."""
    return {card.keyword: card.value for card in header.cards if card.keyword}
