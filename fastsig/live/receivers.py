"""The process that receives: from packets or a pipe to a ring in shared memory."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from fastsig.errors import DataError, InputError, PlanError, UsageError
from fastsig.io.live.file_bytes import FileBytes
from fastsig.io.live.layouts import PacketLayout, fast_adc, fast_spectra, vdif
from fastsig.io.live.pipes import open_bytes, usual_bytes
from fastsig.io.live.psrdada import PREFIX, Blocks, key_of, read_ring
from fastsig.io.live.ring import Ring
from fastsig.io.live.ring_bytes import RingBytes, RingFiles, byte_ring, fill, pour
from fastsig.io.live.streams import open_ring
from fastsig.io.live.udp import Receiver, Socket, address_of
from fastsig.io.raw.reader import STANDARD_INPUT, descriptor_of, is_pipe
from fastsig.io.voltages.segments import RawFiles
from fastsig.live.rolling import Report
from fastsig.live.settings import Settings, Source
from fastsig.stream import Stream
from fastsig.work.memory import available_bytes

__all__ = ["PACKETS", "check_source", "has_packets", "has_receiver", "is_udp", "layout_of",
           "open_source", "receive", "ring_bytes"]

#: Names of the packets that can be received.
PACKETS = ("fast-adc", "fast-spectra", "vdif")

_GLANCE = 0.05
_FRAMES, _FRAMES_S = 64, 1.0
_USUAL_S = 1  # of data in a ring, if there is enough memory


def is_udp(source: Source) -> bool:
    """Whether a source sends packets."""
    return source.url.startswith("udp:")


def has_packets(source: Source) -> bool:
    """Whether the ring of a source contains packets, and not a stream of bytes."""
    return is_udp(source) or source.url.startswith("ring:")


def has_receiver(source: Source) -> bool:
    """Whether a session receives a source itself, unlike a ring of another program or a file."""
    return not source.url.startswith("ring:") and not is_file(source)


def is_psrdada(source: Source) -> bool:
    """Whether a source is a PSRDADA ring buffer."""
    return source.url.startswith(PREFIX)


def is_file(source: Source) -> bool:
    """Whether a source is a file, which may grow."""
    return os.path.isfile(source.url)


def check_source(source: Source, settings: Settings) -> None:
    """Refuse anything that is not a source.

    Raises
    ------
    UsageError
        If the source is neither an address, nor a ring, nor a pipe.
    DataError
        If there is no such PSRDADA ring buffer.
    """
    if is_udp(source):
        address_of(source.url)
    elif is_psrdada(source):
        Blocks(key_of(source.url), source.url, lambda: False).close()
    elif is_file(source):
        if settings.follow_s is None:
            raise UsageError(f"{source.url}: is a file; allowed: with --follow, or with the other "
                             "commands")
        if settings.keep_s is not None:
            raise UsageError(f"--keep with {source.url}, which is a file; allowed: other sources")
    elif has_receiver(source) and source.url != STANDARD_INPUT and not is_pipe(source.url):
        raise UsageError(f"{source.url}: allowed: udp://HOST:PORT, ring:NAME, psrdada:KEY, a pipe, "
                         "a file with --follow, or -")


def receive(source: Source, settings: Settings, report: Report) -> int:
    """Receive until SIGTERM or the end; then keep the ring until SIGUSR1, or the parent's end."""
    stopping, released, parent = [False], [False], os.getppid()
    signal.signal(signal.SIGUSR1, lambda *_: released.__setitem__(0, True))

    def stop(*_: Any) -> None:
        stopping[0] = True
        released[0] = released[0] or os.getppid() != parent

    signal.signal(signal.SIGTERM, stop)
    ring = (_packets if is_udp(source) else _piped)(source, settings, report, stopping)
    while ring is not None and not released[0] and os.getppid() == parent:
        time.sleep(_GLANCE)
    if ring is not None:
        ring.close()
    return 0


def _piped(source: Source, settings: Settings, report: Report, stopping: list[bool]) -> Any:
    descriptor = -1 if is_psrdada(source) else descriptor_of(source.url)
    ring = byte_ring(source.url, settings.ring_bytes or usual_bytes(), name=source.ring,
                     n_readers=settings.n_readers)

    def stopped() -> bool:
        ring.beat()
        return stopping[0]

    if is_psrdada(source):
        pour(ring, read_ring(source.url, stopped), stopped)
    else:
        fill(ring, descriptor, lambda: stopping[0])
    report({"ended": ring.reason})
    return ring


def _packets(source: Source, settings: Settings, report: Report, stopping: list[bool]) -> Any:
    host, port = address_of(source.url)
    opened = Socket(host, port, buffer_bytes=settings.buffer_bytes)
    report({"port": opened.port, "buffer_bytes": opened.granted, "forced": opened.forced})
    layout = _layout(opened, settings, stopping)
    if layout is None:
        opened.close()
        return None
    if layout_of(settings) is not None:
        report({"note": _assumed(layout, settings)})
    receiver = Receiver(opened, layout, ring_bytes(settings, layout), name=source.ring)
    before = signal.getsignal(signal.SIGTERM)

    def stop(number: int, frame: Any) -> None:
        receiver.stop()
        before(number, frame)  # type: ignore[operator, misc]

    signal.signal(signal.SIGTERM, stop)
    if not stopping[0]:
        receiver.run()
    if receiver.error is not None:
        report({"error": f"packets can no longer be received: {receiver.error.strerror}"})
    report({"ended": receiver.ring.reason})
    return receiver.ring


def _assumed(layout: PacketLayout, settings: Settings) -> str:
    """Return how packets are understood: those of FAST do not state their rate or their band."""
    header = layout.header
    what = "samples" if layout.ring.kind == "voltage" else "spectra"
    text = f"packets are read as {what} at {float(header.sample_rate):.9g} Hz"
    if header.channels is not None:
        low, high = (float(edge) / 1e6 for edge in header.channels.edges_hz)
        text += f", from {low:.9g} to {high:.9g} MHz"
    others = [f"--set {name}=" for name in ("sample_rate", "frequency")
              if name not in settings.overrides]
    return f"{text}; {' and '.join(others)} change this" if others else text


def _attached(source: Source, stopped: Callable[[], bool]) -> Ring:
    """Wait for the ring of a source, and attach to it."""
    until = 0.0 if not has_receiver(source) else math.inf
    begun = time.monotonic()
    while True:
        try:
            return Ring.attach(source.ring)
        except UsageError:
            raise
        except InputError as error:
            if stopped():
                raise DataError(source.url, "nothing has been received") from error
            if time.monotonic() > begun + until:
                raise
        time.sleep(_GLANCE)


def ring_bytes(settings: Settings, layout: PacketLayout) -> int:
    """Return the size of the ring of packets: as requested, or what is to be kept, or a second.

    Raises
    ------
    PlanError
        If the ring cannot hold what is to be kept, or is larger than the memory allowed.
    """
    ring = layout.ring
    per_second = layout.header.sample_rate * ring.slot_bytes / ring.slot_rows
    needed = 0 if settings.keep_s is None else ring.bytes_to_keep(settings.keep_s * per_second)
    least = max(usual_bytes(), 4 * layout.form.reorder * ring.slot_bytes)
    usual = max(least, min(math.ceil(_USUAL_S * per_second), available_bytes() // 4))
    n_bytes = settings.ring_bytes or max(needed, usual)
    if n_bytes < needed:
        raise PlanError(f"--keep {float(settings.keep_s or 0):g}s of {float(per_second) / 1e9:.3g} "
                        f"GB/s requires --ring {math.ceil(needed / 1e6)}MB or more; it is "
                        f"{n_bytes / 1e6:.0f} MB")
    if settings.memory is not None and n_bytes > settings.memory:
        raise PlanError(f"the ring requires {n_bytes / 1e9:.3g} GB; --memory is "
                        f"{settings.memory / 1e9:.3g} GB")
    return n_bytes


def _layout(opened: Socket, settings: Settings, stopping: list[bool]) -> Any:
    """Return the layout of packets; of VDIF frames, when the first have come."""
    if (known := layout_of(settings)) is not None:
        return known
    frames: list[bytes] = []
    while not frames and not stopping[0]:
        frames = opened.first(_FRAMES, _FRAMES_S)
    return vdif(frames, **settings.overrides) if frames else None


def layout_of(settings: Settings) -> PacketLayout | None:
    """Return the layout of packets; None if they must be seen first."""
    if settings.packets == "vdif":
        return None
    own: dict[str, Any] = {"beam": settings.beam, "epoch": settings.epoch}
    made = fast_adc if settings.packets == "fast-adc" else fast_spectra
    return made(**own, **settings.overrides)


def open_source(source: Source, settings: Settings, label: str,
                stopped: Callable[[], bool] = lambda: False) -> Stream:
    """Attach to the ring of a source as its reader, and wait for what comes first.

    Raises
    ------
    DataError
        If nothing comes before the source ends, or `stopped` is true.
    """
    if is_file(source):
        grown = FileBytes(source.url, settings.follow_s or 0)
        return open_bytes(source.url, grown, RawFiles([source.url]), dict(settings.overrides))
    ring = _attached(source, stopped)
    if has_packets(source):
        return open_ring(ring, label)
    data = RingBytes(ring, label)
    return open_bytes(source.url, data, RingFiles(data), dict(settings.overrides))
