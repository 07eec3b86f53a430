"""``python -m bench soak``: memory and open files of a long session of ``fastsig live``.

A beam is sent at a tenth of the rate of the telescope. Once a minute a file of spectra ends and
another one begins. After the first minutes, the memory of all processes, without the ring and
without files such as libraries, must not grow by a megabyte, and no more files may be open at the
end; the counters must add up to the packets that were sent. What processes work on at a time varies
by more, and for a moment after each file there is very little, so that the medians of the first and
of the last third of the time are compared.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench import live_beams, machine, sessions
from bench.sessions import Live, Usage

MOST_GROWTH = 2**20  # bytes
_EVERY_S, _FILE_S = 10.0, 60.0
_SETTLED_S, _WINDOW_S = 300.0, 120.0
_CYCLE = 16


def run(*, quick: bool, keep: bool, minutes: float, rate: float, folder: Path | None
        ) -> dict[str, Any]:
    """Run a session, print and save its figures; raise SystemExit(1) if it grows."""
    record = machine.start_record(quick=quick, pattern=None, repeats=1, kind="soak")
    print(machine.headline(record))
    if quick:
        minutes, rate = 0.1, 0.01
    with tempfile.TemporaryDirectory(prefix="fastsig-bench-", dir=folder) as place:
        found = soak(Path(place), rate, 60 * minutes)
    return sessions.concluded(record, found, lines(found), keep=keep)


def soak(place: Path, rate: float, seconds: float) -> dict[str, Any]:
    """Run a session; return what its processes used, and what is wrong."""
    used: list[Usage] = []

    def watch() -> None:
        used.append(sessions.usage(live.status()))
        for path in sorted((place / "session").glob("*.h5"))[:-1]:
            path.unlink()  # days of spectra fit no disk

    with Live(place / "session", 1, rate, _CYCLE, _FILE_S) as live:
        live.wait_until_ready()
        live.send(seconds, watch, min(_EVERY_S, seconds / 20))
        found = {"rate": rate, "seconds": seconds, "end_s": live.end(), "sent": live.sent,
                 "counts": sessions.counts(live.status()), "exit": live.process.returncode,
                 "lag_s": 0.0}
    found |= growth(used, min(_SETTLED_S, seconds / 2))
    found["faults"] = live_beams.faults(found) + _grown(found)
    return found


def growth(used: list[Usage], settled_s: float) -> dict[str, Any]:
    """Return how memory and open files changed after some seconds.

    The slope is that of the medians of each two minutes.
    """
    at = np.array([each.at for each in used]) - used[0].at
    private = np.array([each.private for each in used], np.float64)
    opened = np.array([each.descriptors for each in used])
    late = at >= settled_s
    thirds, windows = np.array_split(private[late], 3), (
        (at[late] - settled_s) / _WINDOW_S).astype(int)
    medians = [(np.median(at[late][windows == each]), np.median(private[late][windows == each]))
               for each in np.unique(windows)]
    slope = float(np.polyfit(*np.transpose(medians), 1)[0]) if len(medians) > 2 else 0.0
    return {"at_s": at.tolist(), "private": private.tolist(), "descriptors": opened.tolist(),
            "settled_s": settled_s, "spread": float(np.ptp(private[late])),
            "growth": float(np.median(thirds[2]) - np.median(thirds[0])) if late.sum() > 2 else 0.0,
            "slope_per_hour": 3600 * slope, "opened": int(opened[-1] - opened[late][0])}


def _grown(found: dict[str, Any]) -> list[str]:
    wrong = []
    if found["growth"] > MOST_GROWTH:
        wrong.append(f"memory has grown by {found['growth'] / 1e6:.2f} MB")
    if found["opened"] > 0:
        wrong.append(f"{found['opened']} more files are open at the end")
    return wrong


def lines(found: dict[str, Any]) -> list[str]:
    """Describe a session."""
    counts, slope = found["counts"][0], found["slope_per_hour"]
    return [
        f"{found['seconds'] / 60:.3g} minutes at {found['rate']:.3g} of the rate of the telescope; "
        f"{counts['files']} files of spectra",
        f"packets: {found['sent'][0]['packets']} sent; " + "; ".join(
            f"{counts[name]} {name.replace('_', ' ')}" for name in (
                "received", "placed", "kernel_drops", "lost", "late", "duplicate", "overwritten")),
        f"memory: {found['private'][0] / 1e6:.1f} MB at first, "
        f"{found['private'][-1] / 1e6:.1f} MB at the end; after {found['settled_s']:.0f} s it "
        f"grows by {found['growth'] / 1e6:.2f} MB and varies by {found['spread'] / 1e6:.2f} MB, "
        f"with a slope of {slope / 1e6:.3f} MB per hour, or {24 * slope / 1e6:.2f} MB in 24 hours",
        f"open files: {found['descriptors'][0]} at first, {found['descriptors'][-1]} at the end",
        f"end: {found['end_s']:.2f} s after SIGTERM; exit code {found['exit']}",
        *(f"FAULT {text}" for text in found["faults"])]
