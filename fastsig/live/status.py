"""The status of a session: a line for a terminal, a file for other programs, and its text."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from typing import Any

from fastsig.errors import DataError, FormatError, unreadable
from fastsig.io.files.safe import write_bytes

__all__ = ["FILE", "lines", "one_line", "read_status", "write_status"]

#: Name of the file in the folder of the products.
FILE = "live-status.json"

_SHOWN = ("lost", "late", "duplicate", "kernel_drops")
_MOST_BYTES = 2**24


def write_status(status: Mapping[str, Any]) -> None:
    """Replace the file of the status."""
    path = os.path.join(str(status["folder"]), FILE)
    write_bytes(json.dumps(status, indent=1).encode() + b"\n", path, overwrite=True)


def read_status(folder: str) -> dict[str, Any]:
    """Read the status of the session that writes to a folder.

    Raises
    ------
    FormatError, DataError
        If there is no status, or it cannot be understood.
    """
    path = os.path.join(folder, FILE)
    try:
        with open(path, "rb") as file:
            text = file.read(_MOST_BYTES)
    except OSError as error:
        raise unreadable(path, error) from error
    try:
        found = json.loads(text)
        found["sources"] = [dict(each) for each in found["sources"]]
        found["pid"] = int(found["pid"])
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(path, "is not the status of a session") from error
    if not isinstance(found, dict):
        raise DataError(path, "is not the status of a session")
    found["alive"] = _lives(found["pid"])
    return found


def _lives(pid: int) -> bool:
    with contextlib.suppress(PermissionError):
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, OverflowError):
            return False
    return True


def one_line(status: Mapping[str, Any]) -> str:
    """Describe a session on one line: the sum of what came, and the worst of each sink."""
    rings = [each["ring"] for each in status["sources"] if "ring" in each]
    came = sum(ring["placed"] for ring in rings)
    parts = [f"{status['running_s']:.0f} s", f"{came} placed"]
    parts += [f"{total} {name.replace('_', ' ')}" for name in _SHOWN
              if (total := sum(ring.get(name, 0) for ring in rings))]
    for kind in dict.fromkeys(kind for each in status["sources"] for kind in each["sinks"]):
        sinks = [each["sinks"][kind] for each in status["sources"] if kind in each["sinks"]]
        parts.append(_sink_text(kind, sinks))
    return "; ".join(parts)


def _sink_text(kind: str, sinks: list[Mapping[str, Any]]) -> str:
    text = f"{kind}: {sum(each['files'] for each in sinks)} files, {_rows_text(sinks)} in progress"
    lags = [each["lag_s"] for each in sinks if each.get("lag_s") is not None]
    weights = [each["weight"] for each in sinks if each["weight"] is not None]
    if weights:
        text += f", weight {min(weights):.3f}"
    if lags:
        text += f", lag {max(lags):.2f} s"
    lost = sum(each.get("overwritten", 0) for each in sinks)
    failed = sum(each["state"] == "failed" for each in sinks)
    return text + (f", {lost} overwritten" if lost else "") + (
        f", {failed} failed" if failed else "")


def _rows_text(sinks: list[Mapping[str, Any]]) -> str:
    """Return the length of the files that are being written: of the shortest, if it is known."""
    lengths = [each["file_s"] for each in sinks if each.get("file_s") is not None]
    return f"{min(lengths):.1f} s" if lengths else "none"


def lines(status: Mapping[str, Any]) -> list[str]:
    """Describe a session in full."""
    state = "has ended" if not status.get("alive", True) else (
        "is ending" if status["stopping"] else "is running")
    out = [f"process {status['pid']} {state}, {status['running_s']:.0f} s, to {status['folder']}"]
    if status.get("clock_steps"):
        out.append(f"the clock of the machine has stepped {status['clock_steps']} times")
    for each in status["sources"]:
        out.append(each["source"])
        for name, value in {**each.get("receiver", {}), **each.get("ring", {})}.items():
            out.append(f"  {name:<22}{_number(value)}")
        for name, levels in each.get("levels", {}).items():
            text = ", ".join(f"{pol} {value:.4g}" for pol, value in levels.items())
            out.append(f"  {name:<22}{text}")
        for kind, sink in each["sinks"].items():
            out.append(f"  {kind}")
            out += [f"    {name:<20}{_number(value)}" for name, value in sink.items()]
        out += [f"  {name:<22}{each[name]}" for name in ("receiver_deaths", "sink_deaths")
                if each[name]]
    return out


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
