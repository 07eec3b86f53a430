"""Spectra in memory from an axis and values: from text, tables and specutils."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PRODUCTS, PolBasis
from fastsig.axes.time import parse_time
from fastsig.axes.units import exact
from fastsig.axes.velocity import frequency as frequency_of
from fastsig.axes.velocity import line
from fastsig.errors import FormatError, UsageError
from fastsig.io.spectra.segments import FileSpectra
from fastsig.stream.header import Header, split_overrides
from fastsig.telescopes.velocity_frames import known_frame

__all__ = ["OWN", "HeldSpectra", "Pieces", "held", "wanted"]

#: Overrides in addition to the common ones.
OWN = ("columns", "exposure", "frequency_unit", "rest", "unit")

_UNEVEN = 0.05  # largest deviation from even spacing, in channels
#: Beginnings of the names of columns that are not spectra.
_BESIDE = ("noise", "error", "err", "sigma", "uncertainty", "weight", "flag", "mask", "expected",
           "baseline", "fit", "model", "velocity", "channel")
_PRODUCTS = {"xx": "AA", "yy": "BB", "ll": "AA", "rr": "BB", "aa": "AA", "bb": "BB", "cr": "CR",
             "ci": "CI", "i": "I", "q": "Q", "u": "U", "v": "V"}
# Fields of the header, and their names in tables.
_KEYS = {"start_time": ("start_time", "date-obs", "date_obs"),
         "exposure": ("exposure", "exptime", "exposure_s"), "telescope": ("telescope", "telescop"),
         "source": ("source", "object"), "ra_deg": ("ra_deg",), "dec_deg": ("dec_deg",),
         "rest": ("rest_frequency_hz", "restfrq", "restfreq"),
         "specsys": ("specsys", "frame")}


class Pieces(NamedTuple):
    """The contents of a table or an object.

    Parameters
    ----------
    axis : ndarray, shape (chan,), float64
        The axis of frequency or velocity.
    axis_unit : str or None
        Unit of the axis.
    values : ndarray, shape (time, product, chan)
        NaN for unknown values.
    names : sequence of str
        Names of the products.
    unit : str or None
        Unit of the values; None for counts.
    meta : mapping
        Other values by key.
    header : Header, optional
        Header of spectra made by fastsig, which replaces `meta`.
    """

    axis: NDArray[np.float64]
    axis_unit: str | None
    values: NDArray[Any]
    names: Sequence[str]
    unit: str | None
    meta: Mapping[str, Any]
    header: Header | None = None


class HeldSpectra(FileSpectra):
    """Spectra in memory, float32 (time, product, chan); lost values are NaN.

    Parameters
    ----------
    header : Header
        Header of the spectra.
    values : ndarray, shape (time, product, chan)
        The spectra.
    path : str
        Name of the spectra in messages.
    files : sequence of str
        Files from which they were read, if any.
    """

    def __init__(self, header: Header, values: NDArray[Any], path: str,
                 files: Sequence[str] = ()) -> None:
        super().__init__(header, values.shape, path, weight_channels=values.shape[2],
                         may_have_nan=True)
        self._held, self._files = np.asarray(values, np.float32), list(files)
        self.reopening = HeldSpectra, (header, self._held, path, self._files)

    @property
    def files(self) -> list[str]:
        """The absolute paths of the files; empty if there are none."""
        return [os.path.abspath(each) for each in self._files]

    def _values(self, start: int, n: int) -> tuple[NDArray[np.float32], None]:
        return self._held[start : start + n].copy(), None


def held(pieces: Pieces, path: str, files: Sequence[str], overrides: Mapping[str, Any],
         format_name: str) -> HeldSpectra:
    """Return the spectra of a table, with the values that the user adds.

    Raises
    ------
    FormatError
        If the axis is not even, or a required value is not stated.
    UsageError
        If an override is unknown or has no meaning.
    """
    common, own = split_overrides(overrides, OWN, format_name)
    known = {field: pieces.meta[key] for field, keys in _KEYS.items()
             for key in reversed(keys) if key in pieces.meta}
    if _is_number(known.get("exposure")):
        known["exposure"] = f"{known['exposure']} s"  # unit in tables; users specify it
    said = _Said(path, {**known, "frequency_unit": pieces.axis_unit, "unit": pieces.unit},
                 {**common, **own})
    channels, descending = _channels(pieces.axis, said)
    values = np.asarray(pieces.values)[..., ::-1] if descending else np.asarray(pieces.values)
    if pieces.header is not None:
        header = pieces.header.replace(channels=channels)
    else:
        header = _header(pieces.names, channels, said)
    unit = said.of("unit", _unit)
    header = header.replace(unit=None if unit is None else unit.to_string())
    return HeldSpectra(header.overridden(common), values, path, files)


class _Said(NamedTuple):
    """Known values by key; those of the user have precedence over those of the table."""

    path: str
    stated: Mapping[str, Any]
    given: Mapping[str, Any]

    def has(self, key: str) -> bool:
        """Whether the user or the table has a value."""
        return (key in self.given and self.given[key] != "") or (
            self.stated.get(key) not in (None, ""))

    def of(self, key: str, made: Callable[[Any], Any]) -> Any:
        """Return a value converted by `made`, or None if there is none.

        Raises
        ------
        UsageError, FormatError
            If the value of the user, or of the table, is not valid.
        """
        if not self.has(key):
            return None
        if key in self.given:
            return made(self.given[key])
        try:
            return made(self.stated[key])
        except UsageError as error:
            raise FormatError(self.path, f"{key}: {error}") from error


def _unit(text: Any) -> Any:
    try:
        return u.Unit(str(text))
    except (ValueError, TypeError) as error:
        raise UsageError(f"unit = {text!r}; allowed: a unit of astropy, such as K or Jy") from error


def _axis_unit(text: Any) -> Any:
    unit = _unit(text)
    if not (unit.is_equivalent(u.Hz) or unit.is_equivalent(u.m / u.s)):
        raise UsageError(f"frequency_unit = {text}; allowed: units of frequency or velocity")
    return unit


def _channels(axis: NDArray[np.float64], said: _Said) -> tuple[ChannelAxis, bool]:
    """Return the axis of channels, and whether the values descend in frequency."""
    path, unit = said.path, said.of("frequency_unit", _axis_unit)
    if unit is None:
        raise FormatError(path, f"the unit of the axis, {axis[0]:.9g} to {axis[-1]:.9g}, is not "
                          "stated; give --set frequency_unit=MHz")
    axis = _frequencies(axis, unit, said)
    if len(axis) < 2 or not np.isfinite(axis).all() or axis[0] == axis[-1]:
        raise FormatError(path, f"the axis has {len(axis)} channels; allowed: 2 or more "
                          "different finite frequencies")
    first, last = (Fraction(repr(float(each))) for each in (axis[0], axis[-1]))
    step = (last - first) / (len(axis) - 1)
    off = np.abs(axis - (axis[0] + np.arange(len(axis)) * float(step))) / abs(float(step))
    if off.max() > _UNEVEN:
        raise FormatError(path, f"channel {int(off.argmax())} is {off.max():.2g} channels off "
                          f"an even spacing; allowed: {_UNEVEN}")
    if min(first, last) <= 0:
        raise FormatError(path, f"the axis begins at {float(min(first, last)):g} MHz; allowed: "
                          "above 0")
    ascending = step > 0
    return ChannelAxis((first if ascending else last) * 10**6, abs(step) * 10**6, len(axis)
                       ), not ascending


def _frequencies(axis: NDArray[np.float64], unit: Any, said: _Said) -> NDArray[np.float64]:
    """Return frequencies, MHz; velocities are converted with a line, in the radio convention."""
    if unit.is_equivalent(u.Hz):
        # Divide by a whole power of ten, which is exact; do not multiply by a rounded factor.
        scale = unit.to(u.MHz)
        return np.asarray(axis / round(1 / scale) if scale < 1 else axis * scale)
    rest = said.of("rest", _line)
    if rest is None:
        raise FormatError(said.path, "the axis is a velocity, and the line is not stated; give "
                          "--set rest=HI")
    return np.asarray(frequency_of(axis * unit, rest).value)


def _line(rest: Any) -> Any:
    """Return a line by its name or frequency; a bare number is in Hz."""
    try:
        number = float(rest)
    except (TypeError, ValueError):
        return line(rest)
    return line(number * u.Hz)


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _seconds(exposure: Any) -> Fraction:
    found = exact(str(exposure), "s", "exposure")
    if not 0 < found < 10**9:
        raise UsageError(f"exposure = {exposure}; allowed: above 0 s, below 10^9 s")
    return found


def _degrees(limit: float) -> Callable[[Any], float]:
    def made(value: Any) -> float:
        try:
            if -limit <= float(value) <= limit:
                return float(value)
        except (TypeError, ValueError):
            pass
        raise UsageError(f"{value!r}; allowed: degrees, {-limit:g} to {limit:g}")
    return made


def _header(names: Sequence[str], channels: ChannelAxis, said: _Said) -> Header:
    missing = [text for text, there in (
        ("--set start_time=2026-01-01T00:00:00", said.has("start_time")),
        ("--set exposure=60s", said.has("exposure") or said.has("sample_rate"))) if not there]
    if missing:
        raise FormatError(said.path, f"is a table of {', '.join(names)} against frequency, and "
                          f"does not state its time; give {' '.join(missing)}")
    rest, frame = said.of("rest", _line), said.of("specsys", str)
    return Header(
        start_time=said.of("start_time", lambda value: parse_time(str(value))),
        sample_rate=1 / (said.of("exposure", _seconds) or Fraction(1)), channels=channels,
        polarization=PolBasis(*_products(names, said.path)), n_bits=32,
        telescope=said.of("telescope", str), source=said.of("source", str),
        ra_deg=said.of("ra_deg", _degrees(360)), dec_deg=said.of("dec_deg", _degrees(90)),
        rest_hz=None if rest is None else rest.hz,
        specsys=None if frame is None else known_frame(frame) or frame,
        origin={"start_time": "table", "sample_rate": "exposure", "channels": "axis"})


def _products(names: Sequence[str], path: str) -> tuple[Any, tuple[str, ...]]:
    """Return the kind of feeds and the names of products, from the names of columns."""
    called = [name.casefold() for name in names]
    found = tuple(_PRODUCTS.get(each, "") for each in called)
    kind = ("linear" if {"xx", "yy"} & set(called) else
            "circular" if {"ll", "rr"} & set(called) else "unknown")
    if len(names) == 1:
        return kind, (found[0] or "I",)
    if found in PRODUCTS.values():
        return kind, found
    raise FormatError(path, f"columns {', '.join(names)}: which of them are spectra? Give "
                      "--set columns=NAME; allowed: one, XX,YY, or I,Q,U,V")


def wanted(names: Sequence[str], given: Any) -> list[int]:
    """Return the numbers of the columns after the axis that are spectra.

    Raises
    ------
    UsageError
        If a requested column is not in the table.
    """
    if given is None:
        found = [i for i, name in enumerate(names)
                 if not name.casefold().startswith(_BESIDE)]
        return found or list(range(len(names)))
    asked = [each.strip() for each in str(given).split(",")]
    for each in asked:
        if each not in names:
            raise UsageError(f"columns = {given!r}; allowed: names out of {', '.join(names)}")
    return [list(names).index(each) for each in asked]
