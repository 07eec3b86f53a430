"""Values of options: converted to texts of the command line, and checked by their unit."""

from __future__ import annotations

import datetime
import difflib
import re
from typing import Any

from fastsig.errors import UsageError

__all__ = ["check_unit", "measured", "plain", "text_of"]

_UNITS = {"TIME": "s", "FREQ": "Hz", "ANGLE": "deg", "K/JY": "K / Jy"}
_KNOWN_UNITS = {
    "s": ("s", "ms", "us", "ns", "min", "h"), "Hz": ("Hz", "kHz", "MHz", "GHz"),
    "deg": ("deg", "arcmin", "arcsec", "rad"), "K / Jy": ("K/Jy",), "K": ("K", "mK"),
    "bytes": ("B", "kB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB"),
}
_ENDS = ("tstart", "tstop")


def text_of(value: Any) -> str:
    """Return a TOML value as it is written on the command line."""
    if isinstance(value, datetime.datetime):
        if value.tzinfo is not None:
            value = value.astimezone(datetime.UTC).replace(tzinfo=None)
        return str(value.isoformat())
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise UsageError("allowed: a string or a number")
    text = value if isinstance(value, str) else repr(value)
    if not text.strip() or "\0" in text:
        raise UsageError("allowed: a string that is not empty")
    return text


def measured(text: str, unit: str, name: str) -> Any:
    """Return the value of a text in a unit, or in bytes.

    Raises
    ------
    UsageError
        If the text is not such a value; the message suggests the most similar unit.
    """
    from fastsig.axes import units
    from fastsig.work.memory import parse_bytes

    try:
        return parse_bytes(text) if unit == "bytes" else units.exact(text, unit, name)
    except UsageError:
        number, given = re.fullmatch(r"\s*([-+\d.eE]*)\s*(.*?)\s*", text, re.DOTALL).groups()  # type: ignore[union-attr]
        known = _KNOWN_UNITS[unit]
        near = difflib.get_close_matches(given, known, 1, 0.5)
        hint = f"did you mean {number}{near[0]}?" if number and near else (
            f"allowed: a number with {', '.join(known)}")
        raise UsageError(f"not a value in {unit}; {hint}") from None


def check_unit(name: str, metavar: str, text: str) -> None:
    """Parse a text as the command will."""
    if name in _ENDS:
        _check_end(text)
    elif metavar == "SIZE":
        measured(text, "bytes", name)
    elif metavar == "FREQ|N":
        if not text.isdecimal():
            measured(text, "Hz", name)
    elif metavar in ("FREQ-FREQ", "NAME|FREQ-FREQ", "WINDOW"):
        _check_intervals(name, metavar, text)
    elif metavar == "K|TABLE":
        _check_tcal(name, text)
    elif metavar == "KEY=VALUE" and not re.fullmatch(r"[^=]*[^=\s][^=]*=.+", text, re.DOTALL):
        raise UsageError("allowed: KEY=VALUE")
    elif metavar in _UNITS:
        measured(text, _UNITS[metavar], name)


def _check_end(text: str) -> None:
    from fastsig.cli.common import parse_end

    end = parse_end(text)
    if isinstance(end, str):
        measured(end, "s", "time")


def _check_intervals(name: str, metavar: str, text: str) -> None:
    from fastsig.axes import interference
    from fastsig.calibration.windows import window_mhz

    if metavar == "WINDOW":
        if (name, text) != ("protect", "auto"):
            window_mhz(text)
    elif name == "bands":
        interference.bands(text)
    else:
        interference.intervals(text, name)


def _check_tcal(name: str, text: str) -> None:
    try:
        for part in text.split(","):
            measured(part, "K", name)
    except UsageError:
        raise UsageError("neither temperatures such as 1.1K nor an existing table") from None


def plain(error: BaseException, text: str) -> str:
    """Return the message of an error without name and value, which the report states anyway."""
    return re.sub(rf"^(?:[\w -]+ = |[\w -]+ )?(?:{re.escape(repr(text))}|{re.escape(text)})"
                  r"(?:[;:] | is | )", "", str(error))
