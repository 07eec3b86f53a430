"""One spectrum, or several in time, from an axis and values: of text, tables and specutils."""

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

#: Overrides beside the common ones.
OWN = ("columns", "exposure", "frequency_unit", "rest", "unit")

_UNEVEN = 0.05  # of a channel
#: Columns that are no spectra, by how their names begin.
_BESIDE = ("noise", "error", "err", "sigma", "uncertainty", "weight", "flag", "mask", "expected",
           "baseline", "fit", "model", "velocity", "channel")
_PRODUCTS = {"xx": "AA", "yy": "BB", "ll": "AA", "rr": "BB", "aa": "AA", "bb": "BB", "cr": "CR",
             "ci": "CI", "i": "I", "q": "Q", "u": "U", "v": "V"}
# Fields of the header, and what tables call them.
_KEYS = {"start_time": ("start_time", "date-obs", "date_obs"),
         "exposure": ("exposure", "exptime", "exposure_s"), "telescope": ("telescope", "telescop"),
         "source": ("source", "object"), "ra_deg": ("ra_deg",), "dec_deg": ("dec_deg",),
         "rest": ("rest_frequency_hz", "restfrq", "restfreq"),
         "specsys": ("specsys", "frame")}


class Pieces(NamedTuple):
    """What a table or an object gives.

    Parameters
    ----------
    axis : ndarray, shape (chan,), float64
    axis_unit : str or None
    values : ndarray, shape (time, product, chan)
        NaN where nothing is known.
    names : sequence of str
        Of the products.
    unit : str or None
        Of the values; None for counts.
    meta : mapping
        By key: what is known beside.
    header : Header, optional
        Of spectra that were fastsig's; `meta` then counts for nothing.
    """

    axis: NDArray[np.float64]
    axis_unit: str | None
    values: NDArray[Any]
    names: Sequence[str]
    unit: str | None
    meta: Mapping[str, Any]
    header: Header | None = None


class HeldSpectra(FileSpectra):
    """Spectra in memory, float32 (time, product, chan); NaN is what is lost.

    Parameters
    ----------
    header : Header
    values : ndarray, shape (time, product, chan)
    path : str
        What they are called in messages.
    files : sequence of str
        What they were read from, if from anything.
    """

    def __init__(self, header: Header, values: NDArray[Any], path: str,
                 files: Sequence[str] = ()) -> None:
        super().__init__(header, values.shape, path, weight_channels=values.shape[2],
                         may_have_nan=True)
        self._held, self._files = np.asarray(values, np.float32), list(files)
        self.reopening = HeldSpectra, (header, self._held, path, self._files)

    @property
    def files(self) -> list[str]:
        """Absolute paths of the files; none where there are none."""
        return [os.path.abspath(each) for each in self._files]

    def _values(self, start: int, n: int) -> tuple[NDArray[np.float32], None]:
        return self._held[start : start + n].copy(), None


def held(pieces: Pieces, path: str, files: Sequence[str], overrides: Mapping[str, Any],
         format_name: str) -> HeldSpectra:
    """Spectra of what a table gives and the user adds.

    Raises
    ------
    FormatError
        If the axis is not even, or something that is needed is not stated.
    UsageError
        If an override is unknown or has no meaning.
    """
    common, own = split_overrides(overrides, OWN, format_name)
    known = {field: pieces.meta[key] for field, keys in _KEYS.items()
             for key in reversed(keys) if key in pieces.meta}
    if _is_number(known.get("exposure")):
        known["exposure"] = f"{known['exposure']} s"  # as tables state it; a user names the unit
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
    """What is known by key: what the user gives comes before what a table states."""

    path: str
    stated: Mapping[str, Any]
    given: Mapping[str, Any]

    def has(self, key: str) -> bool:
        """Whether anyone says it."""
        return (key in self.given and self.given[key] != "") or (
            self.stated.get(key) not in (None, ""))

    def of(self, key: str, made: Callable[[Any], Any]) -> Any:
        """What a value means, None where there is none.

        Raises
        ------
        UsageError, FormatError
            If the user's, or the table's, makes no sense.
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
        raise UsageError(f"unit = {text!r}; allowed: one of astropy's, such as K or Jy") from error


def _axis_unit(text: Any) -> Any:
    unit = _unit(text)
    if not (unit.is_equivalent(u.Hz) or unit.is_equivalent(u.m / u.s)):
        raise UsageError(f"frequency_unit = {text}; allowed: of frequency or velocity")
    return unit


def _channels(axis: NDArray[np.float64], said: _Said) -> tuple[ChannelAxis, bool]:
    """The axis of channels, and whether the values run down in frequency."""
    path, unit = said.path, said.of("frequency_unit", _axis_unit)
    if unit is None:
        raise FormatError(path, f"the unit of the axis, {axis[0]:.9g} to {axis[-1]:.9g}, is not "
                          "stated; give --set frequency_unit=MHz")
    axis = _frequencies(axis, unit, said)
    if len(axis) < 2 or not np.isfinite(axis).all() or axis[0] == axis[-1]:
        raise FormatError(path, f"the axis of {len(axis)} channels is none; allowed: 2 or more "
                          "frequencies that differ")
    first, last = (Fraction(repr(float(each))) for each in (axis[0], axis[-1]))
    step = (last - first) / (len(axis) - 1)
    off = np.abs(axis - (axis[0] + np.arange(len(axis)) * float(step))) / abs(float(step))
    if off.max() > _UNEVEN:
        raise FormatError(path, f"channel {int(off.argmax())} is {off.max():.2g} channels from "
                          f"where even steps have it; allowed: {_UNEVEN}")
    if min(first, last) <= 0:
        raise FormatError(path, f"the axis begins at {float(min(first, last)):g} MHz; allowed: "
                          "above 0")
    ascending = step > 0
    return ChannelAxis((first if ascending else last) * 10**6, abs(step) * 10**6, len(axis)
                       ), not ascending


def _frequencies(axis: NDArray[np.float64], unit: Any, said: _Said) -> NDArray[np.float64]:
    """Frequencies, MHz; of velocities those of a line, by the radio convention."""
    if unit.is_equivalent(u.Hz):
        # By a whole power of ten: text as written, not its product with a rounded factor.
        scale = unit.to(u.MHz)
        return np.asarray(axis / round(1 / scale) if scale < 1 else axis * scale)
    rest = said.of("rest", _line)
    if rest is None:
        raise FormatError(said.path, "the axis is of velocities, and the line is not stated; give "
                          "--set rest=HI")
    return np.asarray(frequency_of(axis * unit, rest).value)


def _line(rest: Any) -> Any:
    """A line by its name or frequency; a number of a table is in Hz."""
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
                          f"does not state when; give {' '.join(missing)}")
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
    """Sort of feeds and names of products, by the names of columns."""
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
    """Which columns of a table are spectra, of those that follow its axis.

    Raises
    ------
    UsageError
        If one that is given is none of them.
    """
    if given is None:
        found = [i for i, name in enumerate(names)
                 if not name.casefold().startswith(_BESIDE)]
        return found or list(range(len(names)))
    asked = [each.strip() for each in str(given).split(",")]
    for each in asked:
        if each not in names:
            raise UsageError(f"columns = {given!r}; allowed: of {', '.join(names)}")
    return [list(names).index(each) for each in asked]
