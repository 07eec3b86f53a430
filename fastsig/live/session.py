"""The session: a supervisor that starts a process for each source and sink, and watches them."""

from __future__ import annotations

import gc
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from fastsig.errors import FastsigError, UsageError
from fastsig.io.live.memory import sweep
from fastsig.io.live.reader_state import readers
from fastsig.io.live.ring import Ring
from fastsig.live.children import Child, share_heap, start
from fastsig.live.clock import Clock
from fastsig.live.levels import Levels
from fastsig.live.receivers import (
    check_source,
    has_packets,
    has_receiver,
    is_udp,
    receive,
)
from fastsig.live.rehearsal import rehearse
from fastsig.live.settings import Settings, Source
from fastsig.live.work import work

__all__ = ["Beam", "Session"]

_GLANCE = 0.05
_GRACE_S = 0.4  # for sinks to process what has come, before they are stopped
_STALLED_S = 5.0  # after which a sink that has not ended is given up
# Seconds of data after which their rate is checked once, and of silence while they come; ratio of
# the duration of data to the time in which they come that is reported.
_TIMED_S, _STILL_S, _MOST_RATIO = 10.0, 1.0, 2.0
_LAGS = 0.5  # part of the ring, beyond which a lag is reported
_QUIET_S = 5.0  # between reports of the same kind
_MOST_AGAIN, _AGAIN_S = 20, 3600.0  # a process is not started more often in this time
_CLEAR_S = 20.0


class Beam:
    """A source with its processes.

    Parameters
    ----------
    source : Source
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.receiver: Child | None = None
        self.sinks: dict[str, Child] = {}
        #: What each sink has reported last, and the facts of the receiver.
        self.said: dict[str, dict[str, Any]] = {}
        self.ring: Ring | None = None
        self._levels: Levels | None = None
        self.counts = {"receivers_begun": 1, "receiver_deaths": 0, "sink_deaths": 0}
        self._begun_again: dict[str, list[float]] = {}
        #: Time and place of the first data, and whether their rate has been checked.
        self.first: tuple[float, int] | None = None
        self.is_timed = False
        #: Whether its receiver has begun again too often.
        self.given_up = False

    @property
    def children(self) -> list[Child]:
        """All processes."""
        return [*([self.receiver] if self.receiver else []), *self.sinks.values()]

    def may_begin(self, name: str) -> bool:
        """Whether a process may begin again: one that dies at once is not started for ever."""
        now = time.monotonic()
        recent = [at for at in self._begun_again.get(name, []) if at > now - _AGAIN_S]
        self._begun_again[name] = recent
        return len(recent) < _MOST_AGAIN

    def note_begun(self, name: str) -> None:
        """Note that a process has begun again."""
        self._begun_again.setdefault(name, []).append(time.monotonic())

    def attach(self) -> None:
        """Attach to the ring, as soon as it is there."""
        if self.ring is None:
            try:
                self.ring = Ring.attach(self.source.ring)
            except FastsigError:
                self.ring = None

    def forget(self) -> None:
        """Forget the ring, as another one begins."""
        if self._levels is not None:
            self._levels.close()
        self.ring, self._levels, self.said, self.first = None, None, {}, None

    def status(self) -> dict[str, Any]:
        """Describe the source, the ring and the sinks, as plain data."""
        record: dict[str, Any] = {
            "source": self.source.url, "label": self.source.label.rstrip("-"), **self.counts,
            "receiver": {**({"pid": self.receiver.pid} if self.receiver else {}),
                         **self.said.get("receiver", {})}}
        if self.ring is not None:
            ring = self.ring
            record["ring"] = {
                "name": ring.name, "bytes": ring.n_slot * ring.layout.slot_bytes,
                "started": ring.started, "ended": ring.reason, "silent_s": ring.silent_s(),
                "slots": ring.head, **ring.counters()}
            record["levels"] = self._read_levels(ring)
        record["sinks"] = {kind: self._sink(kind) for kind in self.sinks}
        return record

    def _read_levels(self, ring: Ring) -> dict[str, dict[str, float]]:
        """Return the levels of packets; readers of other rings would be waited for."""
        if not is_udp(self.source) or not ring.rows:
            return {}
        self._levels = self._levels or Levels(ring)
        return self._levels.read()

    def _sink(self, kind: str) -> dict[str, Any]:
        said, child = self.said.get(kind, {}), self.sinks[kind]
        state = {None: "running", 0: "ended"}.get(child.ended, "failed")
        found = {"state": state, "pid": child.pid, "rows": 0, "weight": None, "files": 0, **said}
        mine = None if self.ring is None else next(
            (each for each in readers(self.ring.memory) if each.pid == child.pid), None)
        if mine is not None and self.ring is not None:
            behind = max(0, self.ring.head - mine.done)
            found |= {"lag": behind / self.ring.n_slot, "overwritten": mine.overwritten,
                      "lag_s": self._seconds(behind, said)}
        return found

    def _seconds(self, slots: int, said: dict[str, Any]) -> float | None:
        if self.ring is None or not said.get("rate"):
            return None
        if has_packets(self.source):
            return float(slots * self.ring.layout.slot_rows / said["rate"])
        return float(slots * self.ring.layout.slot_bytes / (said["rate"] * said["row_bytes"]))


class Session:
    """The supervisor.

    Parameters
    ----------
    sources : list of Source
    settings : Settings
    say : callable
        ``say(text)`` shows a line to the operator.
    watch : callable
        ``watch(status)`` is called once a second, and at the end.
    answer : callable, optional
        Called about 20 times a second, to answer requests.
    clock : Clock, optional
        The clock of the machine.
    """

    def __init__(self, sources: list[Source], settings: Settings, say: Callable[[str], None],
                 watch: Callable[[dict[str, Any]], None],
                 answer: Callable[[], None] = lambda: None, clock: Clock | None = None) -> None:
        self.settings, self._say, self._watch, self._answer = settings, say, watch, answer
        self.kinds = settings.kinds()
        for source in sources:
            check_source(source, settings)
        if settings.cpus is not None and len(settings.cpus) < len(sources):
            raise UsageError(f"cpus = {','.join(map(str, settings.cpus))} for {len(sources)} "
                             "sources; allowed: a processor or more for each source")
        self.beams = [Beam(source) for source in sources]
        self._clock, self._begun = clock or Clock(), time.monotonic()
        self._stopped: float | None = None
        self._told_to_end = False
        self._failed = self._outputs_failed = False
        self._said: dict[str, float] = {}
        self._lags: dict[str, float] = {}
        self._overwritten: dict[str, int] = {}

    # Signals.

    def stop(self, *_: Any) -> None:
        """End the session: nothing more is received, and all files are completed."""
        if self._stopped is None:
            self._stopped = time.monotonic()
            for beam in self.beams:
                if beam.receiver is not None:
                    beam.receiver.send(signal.SIGTERM)
                else:
                    self._tell(beam, signal.SIGTERM)

    def roll(self, *_: Any) -> None:
        """Begin new files."""
        for beam in self.beams:
            self._tell(beam, signal.SIGHUP)

    def _tell(self, beam: Beam, number: int) -> None:
        for child in beam.sinks.values():
            child.send(number)

    # The loop.

    def run(self) -> int:
        """Run until all sources have ended or `stop` is called; return an exit code."""
        sweep()  # rings that killed receivers left
        share_heap()
        for source in {has_packets(beam.source): beam.source for beam in self.beams}.values():
            rehearse(source, self.settings)
        for beam in self.beams:
            self._begin(beam)
        before = {number: signal.signal(number, handler) for number, handler in (
            (signal.SIGTERM, self.stop), (signal.SIGINT, self.stop), (signal.SIGHUP, self.roll))}
        try:
            self._loop()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self._end(self.beams)
        self._watch(self.status())
        return 4 if self._outputs_failed else 1 if self._failed else 0

    def _loop(self) -> None:
        last = cleared = 0.0
        while self._is_running():
            if time.monotonic() > cleared + _CLEAR_S:
                cleared = time.monotonic()
                gc.collect()
            if self._stopped is not None and time.monotonic() > self._stopped + _GRACE_S:
                self._finish()
            if time.monotonic() > last + 1:
                last = time.monotonic()
                self._look_at_clock()
                self._watch(self.status())
            self._answer()
            time.sleep(_GLANCE)
        for beam in self.beams:
            self._look(beam)

    def _is_running(self) -> bool:
        """Attend to all sources; return whether any has a process that still makes something."""
        for beam in self.beams:
            self._look(beam)
            if self._is_over(beam):
                self._renew(beam)
        return any(not child.look() for beam in self.beams for child in beam.sinks.values())

    def _begin(self, beam: Beam) -> None:
        """Start the processes of a source."""
        source, settings = beam.source, self.settings
        if has_receiver(source):
            own = self._cpus(beam)
            beam.receiver = start("receiver", lambda report: receive(source, settings, report),
                                  own and own[:1])
        for kind in self.kinds:
            self._begin_sink(beam, kind, again=False)

    def _begin_sink(self, beam: Beam, kind: str, *, again: bool) -> None:
        source, settings, own = beam.source, self.settings, self._cpus(beam)
        beam.sinks[kind] = start(kind, lambda report: work(
            kind, source, settings, report, again=again),
            own and (own[1:] if has_receiver(source) and len(own) > 1 else own))

    def _cpus(self, beam: Beam) -> tuple[int, ...] | None:
        """Return the processors of a source, of which the receiver has the first for itself."""
        cpus, at, n = self.settings.cpus, self.beams.index(beam), len(self.beams)
        return None if cpus is None else cpus[at * len(cpus) // n : (at + 1) * len(cpus) // n]

    def _is_over(self, beam: Beam) -> bool:
        """Whether a stream of packets has ended although the session goes on."""
        receiver = beam.receiver
        if receiver is None or not is_udp(beam.source) or self._stopped is not None:
            return False
        restarted = beam.said.get("receiver", {}).get("ended") == "restarted"
        killed = receiver.look() and (receiver.ended or 0) < 0
        if not (restarted or killed) or not all(child.look() for child in beam.sinks.values()):
            return False
        if beam.may_begin("receiver"):
            return True
        if not beam.given_up:
            beam.given_up = self._failed = True
            self._say(f"{self._name(beam, 'receiver')}: has begun again {_MOST_AGAIN} times within "
                      "an hour; the source is given up")
        return False

    def _renew(self, beam: Beam) -> None:
        """Begin again with a source: its receiver died, or its counter begins again."""
        self._end([beam])
        beam.forget()
        beam.counts["receivers_begun"] += 1
        beam.note_begun("receiver")
        beam.source = beam.source.with_ring(beam.counts["receivers_begun"])
        self._begin(beam)
        self._say(f"{self._name(beam, 'receiver')}: started again")

    def _look(self, beam: Beam) -> None:
        """Read the reports of the processes of a source, and attend to those that died."""
        beam.attach()
        for child in beam.children:
            gone = child.look()
            for each in child.reports():
                self._hear(beam, child.name, each)
            if gone and child.ended and not child.attended:
                child.attended = True
                self._mourn(beam, child)
        self._look_at_lags(beam)
        self._look_at_rate(beam)

    def _hear(self, beam: Beam, name: str, said: dict[str, Any]) -> None:
        known = beam.said.setdefault(name, {"files": 0} if name != "receiver" else {})
        if "wrote" in said:
            known["files"] += 1
            self._say(f"wrote {said['wrote']} ({said['file_rows']} rows)")
        elif "error" in said:
            known["error"] = said["error"]
            self._say(f"{self._name(beam, name)}: {said['error']}")
        elif "nothing" in said or "note" in said:
            self._say(f"{self._name(beam, name)}: {said.get('nothing') or said['note']}")
        else:
            known.update(said)
            self._failed |= said.get("ended") == "failed"
            if "port" in said:
                more = "" if said["forced"] else ", the limit of the operating system"
                self._say(f"{beam.source.url}: port {said['port']}; a buffer of "
                          f"{said['buffer_bytes']} bytes for packets{more}")

    def _name(self, beam: Beam, name: str) -> str:
        return f"{beam.source.label}{name}" if beam.source.label else name

    def _mourn(self, beam: Beam, child: Child) -> None:
        """Report a process that ended with an error or a signal; begin it again if that helps."""
        killed = child.ended is not None and child.ended < 0
        name = self._name(beam, child.name)
        if killed:
            self._say(f"{name}: the process was ended by "
                      f"{signal.Signals(-int(child.ended or 0)).name}; its unfinished file is lost")
        self._failed = True
        self._outputs_failed |= child.ended == 4
        if child is beam.receiver:
            beam.counts["receiver_deaths"] += 1
            if not killed:  # it could not even begin
                self._tell(beam, signal.SIGTERM)
            return
        beam.counts["sink_deaths"] += 1
        again = killed and self._stopped is None and beam.may_begin(child.name)
        if again and (is_udp(beam.source) or not has_receiver(beam.source)) and (
                beam.ring is not None and not beam.ring.ended):
            beam.note_begun(child.name)
            self._begin_sink(beam, child.name, again=True)
            self._say(f"{name}: started again")

    def _look_at_rate(self, beam: Beam) -> None:
        """Report once if the packets of some seconds contain data of another duration."""
        ring = beam.ring
        if ring is None or beam.is_timed or not is_udp(beam.source) or not ring.rows:
            return
        now = time.monotonic()
        if beam.first is None or ring.silent_s() > _STILL_S:
            beam.first = now, ring.head
        elif now > beam.first[0] + _TIMED_S:
            beam.is_timed = True
            took = now - beam.first[0]
            came = float((ring.head - beam.first[1]) * ring.layout.slot_rows
                         / ring.header.sample_rate)
            if not took / _MOST_RATIO < came < took * _MOST_RATIO:
                self._say(f"{beam.source.url}: data of {came:.3g} s have arrived in {took:.3g} s; "
                          "unless they are sent at another speed, specify --set sample_rate=")

    def _look_at_clock(self) -> None:
        """Report a step of the clock; rows have the times that follow from the first one."""
        if by := self._clock.step():
            self._say(f"the clock of this machine stepped by {by:+.3g} s; times of rows do not "
                      "change, except those of sources that begin again without --epoch")

    def _look_at_lags(self, beam: Beam) -> None:
        if beam.ring is None or beam.ring.ended or not is_udp(beam.source):
            return
        for kind, child in beam.sinks.items():
            if child.ended is not None:
                continue
            found = beam._sink(kind)
            self._report_overwritten(beam, kind, found.get("overwritten", 0))
            self._report_lag(beam, kind, found.get("lag", 0.0))

    def _report_overwritten(self, beam: Beam, kind: str, n_row: int) -> None:
        """Report rows that were overwritten since the last report, from time to time."""
        key = f"{beam.source.url} {kind}"
        if n_row > self._overwritten.get(key, 0) and self._often(key):
            self._overwritten[key] = n_row
            self._say(f"{self._name(beam, kind)}: too slow: {n_row} rows were overwritten before "
                      "they were read; their weight is 0")

    def _report_lag(self, beam: Beam, kind: str, lag: float) -> None:
        """Report a lag when it begins, when it has doubled, and when it has ended."""
        key = f"{beam.source.url} {kind}"
        before = self._lags.get(key, 0.0)
        if lag > _LAGS and lag > 2 * before:
            self._lags[key] = lag
            self._say(f"{self._name(beam, kind)}: lags by {100 * lag:.0f} % of the ring")
        elif before and lag < _LAGS / 2:
            del self._lags[key]
            self._say(f"{self._name(beam, kind)}: no longer lags")

    def _often(self, what: str) -> bool:
        """Whether something is due to be reported again."""
        if time.monotonic() < self._said.get(what, -_QUIET_S) + _QUIET_S:
            return False
        self._said[what] = time.monotonic()
        return True

    def _finish(self) -> None:
        """Stop sinks; give up those that do not end."""
        if self._stopped is None:
            return
        for beam in self.beams:
            for kind, child in beam.sinks.items():
                if child.look() or child.attended:
                    continue
                if not self._told_to_end:
                    child.send(signal.SIGTERM)
                elif child.idle_s() > _STALLED_S:
                    self._say(f"{self._name(beam, kind)}: has not completed its file, and has done "
                              f"nothing for {_STALLED_S:g} s: is the disk stalled? The file is "
                              "lost")
                    self._outputs_failed = child.attended = True
                    child.send(signal.SIGKILL)
        self._told_to_end = True

    def _end(self, beams: list[Beam]) -> None:
        """End the processes of some sources, all at the same time."""
        for beam in beams:
            for child in beam.children:
                child.send(signal.SIGTERM)
            if beam.receiver is not None:
                beam.receiver.send(signal.SIGUSR1)
        children = [(beam, child) for beam in beams for child in beam.children]
        until = time.monotonic() + 2
        while not all(child.look() for _, child in children) and time.monotonic() < until:
            time.sleep(_GLANCE / 5)
        for beam, child in children:
            child.send(signal.SIGKILL)
            child.look()
            for each in child.reports():
                self._hear(beam, child.name, each)
            child.close()
        sweep()

    def status(self) -> dict[str, Any]:
        """Describe the session as plain data."""
        return {"pid": os.getpid(), "running_s": time.monotonic() - self._begun,
                "clock_steps": self._clock.steps, "stopping": self._stopped is not None,
                "folder": self.settings.folder, "sources": [beam.status() for beam in self.beams]}
