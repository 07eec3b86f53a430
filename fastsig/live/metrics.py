"""The metrics of a session as Prometheus text: in a file, or served to this machine."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from fastsig.errors import OutputError, UsageError
from fastsig.io.files.safe import write_bytes

__all__ = ["Served", "metrics_text", "place_of", "write_metrics"]

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_MOST_REQUEST, _MOST_WAITING = 2**14, 8

#: Help texts of what comes from the ring and the sinks, by name.
_HELP = {
    "received": "Packets that the kernel delivered, or blocks read from a pipe.",
    "placed": "Packets that were written to the ring.",
    "lost": "Packets that did not arrive, or arrived too late.",
    "late": "Packets that arrived too late to be written to the ring.",
    "duplicate": "Packets that arrived more than once.",
    "bad_length": "Packets whose length is not the expected one.",
    "bad_header": "Packets whose header is not the expected one.",
    "other_beam": "Packets of other beams, which are left out.",
    "other_sender": "Packets of a second sender, which are left out.",
    "unconfirmed": "Packets whose counter jumped, and which no later packet confirmed.",
    "jumps": "Jumps of the counter that following packets confirmed.",
    "kernel_drops": "Packets that the kernel dropped because its buffer was full.",
    "ring_fill": "Fraction of the ring that the slowest sink has not read yet.",
    "level_rms": "Root mean square of the newest samples of a polarisation.",
    "level_clipped": "Fraction of the newest samples at the limits of their range.",
    "level_mean": "Mean of the newest spectra of a product.",
    "silent_seconds": "Time since the last packet.",
    "sink_rows": "Rows of the current file.",
    "sink_files": "Files that are complete.",
    "sink_weight": "Mean weight of the rows of the current file.",
    "sink_lag_seconds": "Time by which a sink lags behind the newest data.",
    "sink_overwritten": "Rows overwritten before a sink read them, once for each of their packets.",
    "sink_up": "Whether the process of a sink is running.",
    "receivers_begun": "Receivers that were started: more than one if a counter restarted.",
    "receiver_deaths": "Processes of receivers that died.",
    "sink_deaths": "Processes of sinks that died.",
    "clock_steps": "Steps of the clock of the machine.",
}
_GAUGES = ("level_rms", "level_clipped", "level_mean", "ring_fill", "silent_seconds",
           "sink_rows", "sink_weight", "sink_lag_seconds",
           "sink_up")


class _Sample(NamedTuple):
    name: str
    labels: Mapping[str, str]
    value: float


def metrics_text(status: Mapping[str, Any]) -> str:
    """Return the metrics of a status, in the text format of Prometheus."""
    samples: dict[str, list[_Sample]] = {}
    for sample in _samples(status):
        samples.setdefault(sample.name, []).append(sample)
    lines = []
    for name, some in samples.items():
        kind = "gauge" if name in _GAUGES else "counter"
        full = f"fastsig_{name}" + ("" if name in _GAUGES else "_total")
        text = _HELP.get(name, f"Packets counted as {name.replace('_', ' ')}.")
        lines += [f"# HELP {full} {text}", f"# TYPE {full} {kind}"]
        lines += [f"{full}{_labels(each.labels)} {each.value:.12g}" for each in some]
    return "\n".join([*lines, ""])


def _samples(status: Mapping[str, Any]) -> Iterator[_Sample]:
    yield _Sample("clock_steps", {}, status["clock_steps"])
    for each in status["sources"]:
        labels = {"source": str(each["source"])}
        ring = each.get("ring", {})
        for name, value in ring.items():
            if isinstance(value, int) and not isinstance(value, bool) and name not in (
                    "bytes", "slots"):
                yield _Sample(name, labels, value)
        if ring:
            lags = [sink["lag"] for sink in each["sinks"].values() if "lag" in sink]
            yield _Sample("ring_fill", labels, max(lags, default=0.0))
            yield _Sample("silent_seconds", labels, ring["silent_s"])
        for name, levels in each.get("levels", {}).items():
            for pol, value in levels.items():
                yield _Sample(f"level_{name}", {**labels, "pol": pol}, value)
        for name in ("receivers_begun", "receiver_deaths", "sink_deaths"):
            yield _Sample(name, labels, each[name])
        for kind, sink in each["sinks"].items():
            yield from _of_sink({**labels, "sink": kind}, sink)


def _of_sink(labels: Mapping[str, str], sink: Mapping[str, Any]) -> Iterator[_Sample]:
    yield _Sample("sink_up", labels, float(sink["state"] == "running"))
    for name, key in (("sink_rows", "rows"), ("sink_files", "files"), ("sink_weight", "weight"),
                      ("sink_lag_seconds", "lag_s"), ("sink_overwritten", "overwritten")):
        if sink.get(key) is not None:
            yield _Sample(name, labels, float(sink[key]))


def _labels(labels: Mapping[str, str]) -> str:
    text = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{text}}}" if text else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def place_of(text: str) -> tuple[str, int] | None:
    """Return the address of ``127.0.0.1:PORT``; None for a file.

    Raises
    ------
    UsageError
        If the text is an address, but not of this machine alone.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or "/" in host:
        return None
    if host not in _LOOPBACK or not int(port) < 2**16:
        raise UsageError(f"{text!r}; allowed: 127.0.0.1:PORT, or the name of a file")
    return host, int(port)


def write_metrics(status: Mapping[str, Any], path: str) -> None:
    """Replace a file of metrics."""
    write_bytes(metrics_text(status).encode(), path, overwrite=True)


class Served:
    """Answers requests from this machine, whenever `answer` is called.

    Parameters
    ----------
    place : (str, int)
        Host and port.
    pages : mapping of str to callable
        For each path, a function that returns the type of the content, and the content.

    Raises
    ------
    OutputError
        If the port is in use.
    """

    def __init__(self, place: tuple[str, int],
                 pages: Mapping[str, Callable[[], tuple[str, bytes]]]) -> None:
        self._pages = pages
        family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind(place)
            self._socket.listen(_MOST_WAITING)
        except OSError as error:
            self._socket.close()
            raise OutputError(f"{place[0]}:{place[1]}", f"cannot listen: {error}") from error
        self._socket.setblocking(False)
        #: The port, which the system chose if 0 was asked for.
        self.port = int(self._socket.getsockname()[1])

    def answer(self) -> None:
        """Answer the requests that wait; none of them is waited for."""
        for _ in range(_MOST_WAITING):
            try:
                connection, _address = self._socket.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError, ValueError):
                connection.settimeout(0.2)
                self._reply(connection)

    def _reply(self, connection: socket.socket) -> None:
        first, *fields = connection.recv(_MOST_REQUEST).split(b"\r\n")
        request, page = first.split(b" "), None
        if len(request) == 3 and request[0] == b"GET" and _is_from_here(fields):
            page = self._pages.get(request[1].decode("ascii").partition("?")[0])
        kind, content = ("text/plain", b"not found\n") if page is None else page()
        state = "404 Not Found" if page is None else "200 OK"
        head = (f"HTTP/1.0 {state}\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n"
                "Cache-Control: no-store\r\nConnection: close\r\n\r\n")
        connection.sendall(head.encode() + content)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def _is_from_here(fields: list[bytes]) -> bool:
    """Whether a request names this machine, so that no page from elsewhere can read the answer."""
    hosts = [value.strip().decode("ascii", "replace").rpartition(":")[0].strip("[]")
             for name, _, value in (field.partition(b":") for field in fields)
             if name.lower() == b"host"]
    return len(hosts) == 1 and hosts[0] in _LOOPBACK
