"""``python -m bench trigger``: how soon a live session reports bursts, and copies their raw data.

Packets with a burst of a known dispersion measure are sent to ``fastsig live`` in real time, again
and again. The time of a burst is when it arrives at the upper edge of the band; its line must come,
and its raw data must be in a file, within the delay across the band and two seconds. Dispersion is
then removed coherently from the copies, in which the burst must be what was simulated.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

from astropy import units as u

import fastsig as fs
from bench import machine, sessions
from bench.sessions import end_with_parent, environment, free_ports
from fastsig.axes.dispersion import delay_s
from fastsig.axes.time import parse_time
from fastsig.live.status import read_status

MOST_S = 2.0  # after the delay across the band
_LOW, _WIDTH, _DM, _FWHM_MS = 1000, 50, 500.0, 1.0  # MHz, MHz, pc cm^-3
_CYCLE_S, _AT_S = 3, 1.0
_N_CHAN, _N_COHERENT = 512, 64
_LONGEST_S = 60.0


def run(*, quick: bool, keep: bool, bursts: int, folder: Path | None) -> dict[str, Any]:
    """Run a session, print and save its figures; raise SystemExit(1) if a burst is late or lost."""
    record = machine.start_record(quick=quick, pattern=None, repeats=1, kind="trigger")
    print(machine.headline(record))
    with tempfile.TemporaryDirectory(prefix="fastsig-bench-", dir=folder) as place:
        found = session(Path(place), 2 if quick else bursts)
    return sessions.concluded(record, found, lines(found), keep=keep)


def session(place: Path, bursts: int) -> dict[str, Any]:
    """Run a session to which some bursts are sent; return when each came, and what it is."""
    port, = free_ports(1)
    source, alerts, products = f"udp://127.0.0.1:{port}", place / "alerts", place / "session"
    posted: list[tuple[float, dict[str, Any]]] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(alerts))
        server.settimeout(0.5)
        over = threading.Event()
        thread = threading.Thread(target=_listen, args=(server, posted, over))
        thread.start()
        live = _fastsig(
            "live", source, "-o", products, "--bursts", "0:600", "--n-chan", _N_CHAN, "--integrate",
            "250us", "--keep", "4s", "--around", "0.2s", "--post", alerts, "--set",
            f"sample_rate={2 * _WIDTH}MHz", "--set", f"frequency={_LOW + _WIDTH / 2}MHz", "-q")
        try:
            _wait_for_ring(live, products)
            sender = _fastsig(
                "simulate", "fast-voltage", "--to", source, "--fstart", f"{_LOW}MHz", "--bandwidth",
                f"{_WIDTH}MHz", "--duration", f"{bursts * _CYCLE_S}s", "--cycle", f"{_CYCLE_S}s",
                "--burst", f"time={_AT_S}s,fwhm={_FWHM_MS}ms,dm={_DM},peak=60K", "-q")
            code = sender.wait(_LONGEST_S + 2 * bursts * _CYCLE_S)
            time.sleep(1.0)
        finally:
            live.terminate()
            ended = live.wait(_LONGEST_S)
            over.set()
            thread.join()
    delay = float(delay_s(Fraction(_DM), Fraction(_LOW * 10**6), Fraction((_LOW + _WIDTH) * 10**6)))
    found: dict[str, Any] = {
        "sent": bursts, "dm": _DM, "delay_s": delay, "exit": ended, "sender_exit": code,
        "bursts": [_measured(came, line) for came, line in posted if line["raw"]]}
    found["faults"] = faults(found)
    return found


def _listen(server: socket.socket, posted: list[tuple[float, dict[str, Any]]],
            over: threading.Event) -> None:
    """Keep the lines that come, and when."""
    while not over.is_set():
        try:
            line = server.recv(2**16)
        except TimeoutError:
            continue
        posted.append((time.time(), json.loads(line)))


def _fastsig(*arguments: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "fastsig", *map(str, arguments)],
                            env=environment(), preexec_fn=end_with_parent)


def _wait_for_ring(live: subprocess.Popen[bytes], folder: Path) -> None:
    """Wait until packets can be received, and the search can begin."""
    until = time.monotonic() + _LONGEST_S
    while time.monotonic() < until and live.poll() is None:
        time.sleep(0.2)
        if (folder / "live-status.json").exists() and all(
                "ring" in each for each in read_status(str(folder))["sources"]):
            time.sleep(2.0)
            return
    raise RuntimeError("the session did not begin")


def _measured(came: float, line: dict[str, Any]) -> dict[str, Any]:
    """Return how late a burst was reported and copied, s, and what is in the copy."""
    at = parse_time(line["time"])
    copied = os.path.getmtime(line["raw"])
    late = (at.unix - fs.open(line["raw"]).stream.start_time.unix) * u.s
    burst = fs.measure_burst(fs.open(line["raw"]), late, _DM, coherent=_N_COHERENT)
    return {"posted_s": came - at.unix, "copied_s": copied - at.unix, "dm": line["dm"],
            "snr": line["snr"], "coherent_dm": burst.dm, "coherent_snr": burst.boxcar.snr,
            "fwhm_ms": 1e3 * burst.fit.fwhm_s}


def faults(found: dict[str, Any]) -> list[str]:
    """Return what is wrong with a session."""
    wrong = [f"exit code {found[name]}" for name in ("exit", "sender_exit") if found[name]]
    if len(found["bursts"]) != found["sent"]:
        wrong.append(f"{len(found['bursts'])} bursts found; {found['sent']} were sent")
    latest = found["delay_s"] + MOST_S
    for number, each in enumerate(found["bursts"], 1):
        if max(each["posted_s"], each["copied_s"]) > latest:
            wrong.append(f"burst {number}: reported after {each['posted_s']:.2f} s and copied "
                         f"after {each['copied_s']:.2f} s; allowed: {latest:.2f} s")
        if abs(each["coherent_dm"] - _DM) > 0.1 or abs(each["fwhm_ms"] - _FWHM_MS) > 0.1:
            wrong.append(f"burst {number}: DM {each['coherent_dm']:.3f}, FWHM "
                         f"{each['fwhm_ms']:.3f} ms after coherent dedispersion")
    return wrong


def lines(found: dict[str, Any]) -> list[str]:
    """Describe a session."""
    return [
        f"{found['sent']} bursts sent, {len(found['bursts'])} found; DM {_DM:g}, {_LOW} to "
        f"{_LOW + _WIDTH} MHz, delay across the band {found['delay_s']:.3f} s",
        *(f"reported after {each['posted_s']:.2f} s, copied after {each['copied_s']:.2f} s; DM "
          f"{each['dm']:.2f}, S/N {each['snr']:.0f}; coherently DM {each['coherent_dm']:.3f}, S/N "
          f"{each['coherent_snr']:.0f}, FWHM {each['fwhm_ms']:.3f} ms"
          for each in found["bursts"]),
        *(f"FAULT {text}" for text in found["faults"])]
