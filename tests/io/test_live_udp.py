"""Packets come through a socket of this machine, and are read as from a file."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streams import noise

import fastsig as fs
from fastsig.axes.time import elapsed, parse_time, time_from_unix
from fastsig.io.hdf5.metadata import header_record
from fastsig.io.live import memory
from fastsig.io.live.layouts import PacketLayout, fast_adc, fast_spectra, vdif
from fastsig.io.live.streams import open_ring
from fastsig.io.live.udp import Receiver, Socket, address_of

EPOCH = "2026-01-02T03:04:05"


@pytest.fixture(autouse=True)
def nothing_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setattr(memory, "folder", lambda: str(tmp_path))
    yield
    assert not memory.ring_names()


def send(port: int, packets: Iterable[bytes], by: socket.socket | None = None) -> None:
    with by or socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for packet in packets:
            sender.sendto(packet, ("127.0.0.1", port))


def adc(data: np.ndarray, first: int, beam: int = 3) -> list[bytes]:
    """Return the packets of samples (time, pol)."""
    return [(1 << 63 | 1 << 62 | beam << 57 | pol << 56 | (first + slot)).to_bytes(8, "little")
            + data[slot * 4096 : (slot + 1) * 4096, pol].tobytes()
            for slot in range(len(data) // 4096) for pol in range(2)]


def until(met: Any, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < end
        time.sleep(0.001)


def since_epoch(stream: Any) -> Fraction:
    """Return the seconds from the epoch to row 0, to 0.1 ns."""
    return Fraction(round(elapsed(parse_time(EPOCH), stream.start_time) * 10**10), 10**10)


def receiver(layout: PacketLayout, n_slot: int = 1024, **options: Any) -> Receiver:
    return Receiver(Socket(buffer_bytes=2**23), layout, n_slot * layout.ring.slot_bytes,
                    **options)


def test_samples_come_at_the_time_of_their_counter() -> None:
    data = noise(np.random.default_rng(1), 20 * 4096)
    layout = fast_adc(beam=3, epoch=EPOCH, reorder=8, sample_rate="40MHz")
    with receiver(layout, idle_s=0.05).start() as source:
        send(source.source.port, adc(data, 1_000_000))
        stream = open_ring(source.ring.name, timeout=30)
        assert stream.arrived(20 * 4096) == 20 * 4096
        block = stream.read_block(0, 20 * 4096)
        assert [spans.tolist() for spans in block.valid] == [[[0, 81920]]] * 2
        np.testing.assert_array_equal(block.data, data)
        begun = time.monotonic()
        source.stop()
        assert time.monotonic() - begun < 1
        assert stream.arrived(10**9) == 81920 and source.ring.reason == "stopped"
        assert since_epoch(stream) == Fraction(4096 * 10**6, 40 * 10**6)
        assert (stream.header.beam, stream.path) == (3, f"udp://127.0.0.1:{source.source.port}")
        stream.close()


def test_slow_packets_do_not_keep_the_receiver_from_stopping() -> None:
    data = noise(np.random.default_rng(1), 20 * 4096)
    with receiver(fast_adc(reorder=8)).start() as source:
        stop = threading.Event()

        def send_slowly() -> None:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                for packet in adc(data, 5) * 9:
                    sender.sendto(packet, ("127.0.0.1", source.source.port))
                    if stop.wait(0.03):
                        return

        thread = threading.Thread(target=send_slowly)
        thread.start()
        until(lambda: source.ring.counters()["received"] > 2)
        begun = time.monotonic()
        source.stop()
        assert time.monotonic() - begun < 0.5
        stop.set()
        thread.join()


def test_without_an_epoch_the_first_packet_has_the_time_of_its_arrival() -> None:
    data = noise(np.random.default_rng(1), 20 * 4096)
    with receiver(fast_adc(reorder=8)).start() as source:
        before = Fraction(time.time_ns(), 10**9)
        send(source.source.port, adc(data, 2**56 - 30))
        stream = open_ring(source.ring.name, timeout=30)
        late = elapsed(time_from_unix(before), stream.start_time)
        assert -1 < late < 2
        assert stream.header.start_time == open_ring(source.ring).header.start_time


def test_times_of_rows_do_not_follow_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an epoch, the clock is read once; what it does later changes nothing."""
    packets = adc(noise(np.random.default_rng(1), 40 * 4096), 7)
    with receiver(fast_adc(reorder=8), idle_s=0.05).start() as source, socket.socket(
            socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", source.source.port))
        for packet in packets[:40]:
            sender.send(packet)
        stream = open_ring(source.ring.name, timeout=30)
        start, now = stream.header.start_time, time.time_ns()
        monkeypatch.setattr(time, "time_ns", lambda: now + 3600 * 10**9)
        for packet in packets[40:]:
            sender.send(packet)
        until(lambda: source.ring.rows == 40 * 4096)
        assert open_ring(source.ring).header.start_time == start
        stream.close()


def test_hostile_packets_are_counted() -> None:
    rng = np.random.default_rng(1)
    data = noise(rng, 40 * 4096)
    good = adc(data, 500)
    bad = [b"", b"x", good[0][:-1], good[0] + b"x", rng.bytes(65_000), rng.bytes(4104),
           *adc(data[:4096], 510, beam=4), *adc(data[:4096], 2**56 - 1), good[3]]
    with receiver(fast_adc(beam=3, epoch=EPOCH, reorder=8), 64).start() as source:
        port = source.source.port
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            for packet in good[:20] + bad + good[20:]:
                sender.sendto(packet, ("127.0.0.1", port))
            for packet in good[:5]:
                other.sendto(packet, ("127.0.0.1", port))
            sender.close()
        until(lambda: source.ring.counters()["received"] == 80 + len(bad) + 5)
        source.stop()
        count = source.ring.counters()
        wanted = {"placed": 80, "bad_length": 5, "other_beam": 2, "unconfirmed": 2,
                  "other_sender": 5, "lost": 0, "jumps": 0, "kernel_drops": 0}
        assert {key: count[key] for key in wanted} == wanted
        assert count["duplicate"] + count["late"] == 1
        assert count["bad_header"] + count["other_beam"] + count["unconfirmed"] == 5
        block = open_ring(source.ring).read_block(0, 40 * 4096)
        np.testing.assert_array_equal(block.data, data)


def test_a_counter_that_begins_again_ends_the_stream() -> None:
    data = noise(np.random.default_rng(1), 20 * 4096)
    with receiver(fast_adc(reorder=8), 64).start() as source:
        send(source.source.port, [*adc(data, 5000), *adc(data, 0)],
             socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        until(lambda: source.ring.ended)
        assert source.ring.reason == "restarted" and source.ring.rows == 20 * 4096
        assert source.ring.counters()["unconfirmed"] == 8


def test_packets_that_the_kernel_drops_are_counted() -> None:
    data = noise(np.random.default_rng(1), 64 * 4096)
    source = Socket(buffer_bytes=2**16)
    with Receiver(source, fast_adc(reorder=8), 2**20) as receiving:
        packets = adc(data, 7)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for packet in packets[:100]:
                sender.sendto(packet, ("127.0.0.1", source.port))
            receiving.start()
            until(lambda: receiving.ring.counters()["received"] > 8)
            time.sleep(0.02)
            send(source.port, [packets[100]], sender)
            until(lambda: sum(receiving.ring.counters()[key]
                              for key in ("kernel_drops", "received")) == 101)


def test_spectra_of_four_packets() -> None:
    rng = np.random.default_rng(1)
    raw = rng.integers(0, 256, (40, 2, 2, 2048, 2), np.uint8)  # spectrum, kind, half, chan, product
    packets = [(1 << 62 | 5 << 57 | kind << 56 | (200 + 2 * n + half)).to_bytes(8, "little")
               + raw[n, kind, half].tobytes()
               for n in range(40) for kind in range(2) for half in range(2)]
    del packets[41]  # BB and AA of the upper channels of spectrum 10
    with receiver(fast_spectra(beam=5, reorder=4, epoch=EPOCH), 64).start() as source:
        send(source.source.port, packets)
        until(lambda: source.ring.counters()["received"] == 159)
        source.stop()
        stream = open_ring(source.ring)
        block = stream.read_block(0, 40)
    values = raw.transpose(0, 1, 4, 2, 3).reshape(40, 4, 4096)
    wanted = values.astype(np.float32)
    wanted[:, 2:] = values[:, 2:].view(np.int8)
    wanted[10, :2, 2048:] = np.nan
    np.testing.assert_array_equal(block.data, wanted)
    np.testing.assert_array_equal(block.valid, np.isfinite(wanted))
    assert stream.header.polarization.names == ("AA", "BB", "CR", "CI")
    assert since_epoch(stream) == 100 * Fraction("0.000049152")


@pytest.mark.parametrize("bits", [2, 8])
def test_vdif_frames_as_from_a_file(bits: int, tmp_path: Path) -> None:
    path = str(tmp_path / "x.vdif")
    fs.simulate.fast_voltage(tmp_path / "x.h5", duration="1ms", bandwidth="16MHz")
    fs.open(tmp_path / "x.h5").write(path, bits=bits, lossy=True)
    file = fs.open(path).stream
    content = Path(path).read_bytes()
    size = file._frames.frame_bytes
    frames = [content[at : at + size] for at in range(0, len(content), size)]
    source = Socket()
    send(source.port, frames[:8])
    layout = vdif(source.first(8, 5), reorder=4)
    with Receiver(source, layout, 1024 * layout.ring.slot_bytes).start() as receiving:
        send(source.port, frames)
        until(lambda: receiving.ring.counters()["received"] == len(frames))
        receiving.stop()
        stream = open_ring(receiving.ring)
        n = file.shape[0]
        assert stream.arrived(10**9) == n
        one, two = stream.read_block(0, n), file.read_block(0, n)
        np.testing.assert_array_equal(one.data, two.data)
        one = stream.as_recorded().read_block(64, n - 64)
        np.testing.assert_array_equal(one.data, file.as_recorded().read_block(64, n - 64).data)
        assert json.dumps(header_record(stream.header)) == json.dumps(header_record(file.header))


def test_what_cannot_be_received() -> None:
    with pytest.raises(fs.FormatError, match="none of 2 packets is a VDIF frame"):
        vdif([b"x" * 40, bytes(5032)])
    for what, message in (({"beam": 20}, "beam = 20; allowed: 1 to 19"),
                          ({"n_pol": 3}, "n_pol = 3; allowed: 1, 2"),
                          ({"reorder": 0}, "reorder = 0; allowed"),
                          ({"start_time": EPOCH}, "allowed: epoch, the time of counter 0"),
                          ({"nbits": 8}, "unknown override 'nbits' for fast-adc")):
        with pytest.raises(fs.UsageError, match=message):
            fast_adc(**what)  # type: ignore[arg-type]
    first = Socket()
    with pytest.raises(fs.UsageError, match="a ring of 4096 bytes; allowed: 1024 slots or more"):
        Receiver(first, fast_adc(), 4096)
    with pytest.raises(fs.DataError, match="cannot listen"):
        Socket(port=first.port)
    first.close()


def test_addresses() -> None:
    assert address_of("udp://:60000") == address_of("udp://60000") == ("127.0.0.1", 60000)
    assert address_of("udp://0.0.0.0:1") == ("0.0.0.0", 1)
    for text in ("udp://", "udp://x:65536", "tcp://x:1", "udp://x:1/y", "udp://a b:1"):
        with pytest.raises(fs.UsageError, match="allowed: udp://HOST:PORT"):
            address_of(text)


def test_a_socket_listens_to_this_machine_and_states_its_memory() -> None:
    source = Socket(buffer_bytes=2**20)
    assert source.socket.getsockname()[0] == "127.0.0.1"
    assert source.granted == 2**20 or not source.forced
    source.close()
