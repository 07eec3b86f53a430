"""``python -m bench beams``: sessions of ``fastsig live`` on this machine, with all that is sent.

Beams are sent to a session at a part of the rate of the telescope, for some minutes. All packets
that the kernel delivered must be in the spectra, and the spectra must be those that the reader of
files makes of the same samples, byte for byte. Without a rate, the fastest one is looked for that
this machine carries beside the process that sends.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from bench import machine, sessions
from bench.data import N_FFT
from bench.sessions import PACKETS_PER_SECOND, Live

_TRIAL_S = 15.0
_SLOWEST, _STEP, _FASTEST = 0.05, 1.25, 1.0
_LATE_S, _LAG_S = 0.1, 1.0
_FILE_S = 60.0
_CYCLE = 16  # spectra; 32 MB of samples
_MANY = 4  # beams, beyond which a cycle is a quarter of it


def run(*, quick: bool, keep: bool, minutes: float, rate: float, beams: int,
        folder: Path | None) -> dict[str, Any]:
    """Run a session, print and save its figures; raise SystemExit(1) if something is missing."""
    record = machine.start_record(quick=quick, pattern=None, repeats=1,
                                  kind="beams" if beams == 1 else f"beams-{beams}")
    print(machine.headline(record))
    if quick:
        minutes, rate = 0.05, rate or 0.01
    with tempfile.TemporaryDirectory(prefix="fastsig-bench-", dir=folder) as place:
        found_rate = rate or fastest(Path(place), beams)
        found = session(Path(place), beams, found_rate, 60 * minutes)
    return sessions.concluded(record, found, lines(found), keep=keep)


def fastest(folder: Path, beams: int) -> float:
    """Return the fastest rate at which a short session loses nothing."""
    rate, best = _SLOWEST / beams, 0.0
    while rate <= _FASTEST:
        found = session(folder, beams, rate, _TRIAL_S, to_compare=False)
        if found["lag_s"] > _LAG_S:  # it would not last
            found["faults"].append(f"spectra lagged by {found['lag_s']:.2g} s")
        text = "; ".join(found["faults"]) or "all right"
        print(f"{rate:.3f} of the rate of the telescope: {text}", flush=True)
        if found["faults"]:
            break
        rate, best = rate * _STEP, rate
    if not best:
        raise SystemExit(f"bench: this machine does not carry {beams} beams at "
                         f"{_SLOWEST / beams:.2g} of the rate of the telescope")
    return best


def session(place: Path, beams: int, rate: float, seconds: float, *, to_compare: bool = True
            ) -> dict[str, Any]:
    """Run a session of some beams; return its counts, and what is wrong with them."""
    folder, cycle = place / "session", _CYCLE if beams <= _MANY else _CYCLE // 4
    lags = [0.0]
    used: list[sessions.Usage] = []

    def watch() -> None:
        status = live.status()
        lags.extend(each["sinks"]["spectra"].get("lag_s") or 0.0 for each in status["sources"])
        used.append(sessions.usage(status))

    with Live(folder, beams, rate, cycle, _FILE_S) as live:
        live.wait_until_ready()
        live.send(seconds, watch)
        end_s = live.end()
        counts, code, messages = sessions.counts(live.status()), live.process.returncode, (
            live.messages())
    found = {
        "beams": beams, "rate": rate, "seconds": seconds, "gbps": sum(
            8e-9 * sessions.PACKET * each["packets"] / each["seconds"] for each in live.sent),
        "sent": live.sent, "counts": counts, "exit": code, "end_s": end_s,
        "lag_s": max(lags) / rate, "processor_s": used[-1].seconds if used else {},
        "messages": messages.splitlines()}
    if to_compare:
        found["compared"] = [sessions.compare(
            files_of(folder, number, beams), sessions.reference(place, number, cycle))._asdict()
            for number in range(1, beams + 1)]
    found["faults"] = faults(found)
    shutil.rmtree(folder)
    return found


def files_of(folder: Path, number: int, beams: int) -> list[Path]:
    """Return the files of spectra of a beam, in the order of time."""
    label = "" if beams == 1 else f"s{number:0{len(str(beams))}d}-"
    return sorted(folder.glob(f"{label}spectra-*.h5"))


def faults(found: dict[str, Any]) -> list[str]:
    """Return what is wrong with a session."""
    wrong = [f"exit code {found['exit']}"] if found["exit"] else []
    for number, (sent, each) in enumerate(zip(found["sent"], found["counts"], strict=True), 1):
        delivered = sent["packets"] - each["kernel_drops"]
        checks = {
            f"{sent['packets']} packets sent, {each['received']} received, "
            f"{each['kernel_drops']} dropped by the kernel": each["received"] != delivered,
            f"{each['kernel_drops']} packets dropped by the kernel": each["kernel_drops"],
            f"{each['received']} packets received, {each['placed']} placed":
                each["received"] != each["placed"],
            f"{each['lost']} packets lost, {each['kernel_drops']} of them by the kernel":
                each["lost"] != each["kernel_drops"],
            f"{each['overwritten']} samples overwritten": each["overwritten"],
            f"the last packet was {sent['late_s']:.2g} s late": sent["late_s"] > _LATE_S}
        wrong += [f"beam {number}: {text}" for text, is_wrong in checks.items() if is_wrong]
    for number, each in enumerate(found.get("compared", ()), 1):
        # The last spectrum is made of the samples that there are.
        due = int(found["sent"][number - 1]["packets"] / PACKETS_PER_SECOND * 1e9
                  / (sessions.N_INT * N_FFT))
        if each["different"] or each["incomplete"] > 1 or each["rows"] < due:
            wrong.append(f"beam {number}: {each['rows']} spectra of {due}, of which "
                         f"{each['different']} differ and {each['incomplete']} are incomplete")
    return wrong


def lines(found: dict[str, Any]) -> list[str]:
    """Describe a session."""
    sent = sum(each["packets"] for each in found["sent"])
    total = {name: sum(each[name] for each in found["counts"]) for name in (
        "received", "placed", "kernel_drops", "lost", "late", "duplicate", "overwritten", "files")}
    compared = {name: sum(each[name] for each in found["compared"])
                for name in ("rows", "equal", "incomplete", "different")}
    busy: dict[str, float] = {}
    for process, seconds in found["processor_s"].items():
        name = process.split()[0]
        busy[name] = busy.get(name, 0.0) + seconds
    times = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in busy.items())
    return [
        f"{found['beams']} beam{'s' * (found['beams'] > 1)} at {found['rate']:.3g} of the rate of "
        "the telescope: "
        f"{found['gbps']:.2f} Gb/s of samples in all, for {found['seconds']:.0f} s",
        f"packets: {sent} sent; " + "; ".join(f"{total[name]} {name.replace('_', ' ')}"
                                              for name in total if name != "files"),
        f"spectra: {compared['rows']} in {total['files']} files; {compared['equal']} equal those "
        f"of the reader of files, byte for byte; {compared['incomplete']} are incomplete; "
        f"{compared['different']} differ",
        f"processor time: {times}",
        f"largest lag: {found['lag_s']:.2f} s; end: {found['end_s']:.2f} s after SIGTERM; exit "
        f"code {found['exit']}",
        *(f"FAULT {text}" for text in found["faults"])]
