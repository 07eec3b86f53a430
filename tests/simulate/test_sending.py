"""Simulated packets, with what happens to them on their way, come as from a file with gaps."""

from __future__ import annotations

import re
import socket
import threading
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli import fastsig
from streams import Collected

import fastsig as fs
from fastsig.axes import validity
from fastsig.io.live import memory
from fastsig.io.live.layouts import PacketLayout, fast_adc, fast_spectra
from fastsig.io.live.streams import open_ring
from fastsig.io.live.udp import Receiver, Socket
from fastsig.io.native.writer import NativeWriter
from fastsig.run.engine import run
from fastsig.simulate import FastSpectra, FastVoltage, Loss, Network, send

N = 300  # slots
VOLTAGES: dict[str, Any] = {"bandwidth": "500kHz", "duration": Fraction(N * 4096 + 99, 10**6)}


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "folder", lambda: str(tmp_path))


def sent_packets(network: Network, n_slot: int, rate: Fraction = Fraction(10**6, 4096),
                 n_part: int = 2) -> list[tuple[int, int]]:
    """Return slot and part of all packets that are sent."""
    def kept(span: Any) -> Any:
        return np.ones((span.n, n_part), bool)

    events = [each for _, each in network.order(network.spans(n_slot, rate, 50), n_part, kept)]
    return [pair for each in events
            for pair in zip(each.slot.tolist(), each.part.tolist(), strict=True)]


def received(layout: PacketLayout, what: Any, network: Network | None, n_slot: int = 2048,
             **options: Any) -> tuple[Any, dict[str, int], Any, Any]:
    """Send to a receiver; return the stream of its ring, the counters, and what was sent."""
    with Receiver(Socket(buffer_bytes=2**24), layout, n_slot * layout.ring.slot_bytes).start(
            ) as source:
        made = send(what, f"udp://127.0.0.1:{source.source.port}", network, speed=0, **options)
        end = time.monotonic() + 30
        while source.ring.counters()["received"] < made.packets and time.monotonic() < end:
            time.sleep(0.001)
        source.stop()
        stream = open_ring(source.ring, timeout=0)
        block = stream.read_block(0, stream.arrived(10**9))
        return stream.header, source.ring.counters(), block, made


def test_a_quiet_network() -> None:
    recording = FastVoltage(**VOLTAGES, loss=Loss(packets="X:3-5+Y:290"))
    layout = fast_adc(beam=1, epoch="2026-01-01T00:00:00", reorder=8, sample_rate="1MHz",
                      frequency="1000.25MHz")
    header, count, block, made = received(layout, recording, None)
    data, valid = recording.generate(0, N * 4096)
    np.testing.assert_array_equal(block.data, data)
    for one, two in zip(block.valid, valid, strict=True):
        np.testing.assert_array_equal(one, two)
    assert (made.packets, count["placed"], count["lost"]) == (2 * N - 4, 2 * N - 4, 4)
    assert header.start_time == recording.header.start_time
    assert header.channels == recording.header.channels


def test_losses_silence_and_a_jump_are_gaps_as_in_a_file() -> None:
    """Weights and times are exact whatever the order is in which packets come."""
    network = Network(loss="0.05", duplicates="0.05", reorder=20, first=1000, silences="0.2s:0.1s",
                      jumps="0.5s:60", seed=3, beam=7)
    recording = FastVoltage(**VOLTAGES)
    layout = fast_adc(beam=7, epoch="2026-01-01T00:00:00", reorder=32, sample_rate="1MHz")
    header, count, block, made = received(layout, recording, network)
    came = sent_packets(network, N)
    assert made.packets == len(came) == count["received"] and came != sorted(came)
    first = min(slot for slot, _ in came)
    data = recording.generate(0, N * 4096)[0]
    for pol in range(2):
        slots = sorted({slot for slot, part in came if part == pol})
        valid = validity.as_spans([(4096 * slot, 4096 * slot + 4096) for slot in slots])
        expected = data[:, pol].copy()
        validity.zero_invalid(expected, valid, 0)
        np.testing.assert_array_equal(block.valid[pol] + 4096 * first, valid)
        np.testing.assert_array_equal(block.data[:, pol], expected[4096 * first :][: block.n])
    assert count["jumps"] == 1 and count["unconfirmed"] == count["late"] == 0
    assert count["duplicate"] == len(came) - len(set(came)) > 0
    assert count["lost"] == 2 * block.n // 4096 - count["placed"]
    start = fs.axes.time.parse_time("2026-01-01T00:00:00")
    late = fs.axes.time.elapsed(start, header.start_time)
    assert abs(late - Fraction((1000 + first) * 4096, 10**6)) < Fraction(1, 10**9)


def write_gaps(path: Path, recording: FastVoltage, came: list[tuple[int, int]], first: int) -> Path:
    """Write the samples of packets of slots from `first` on to a native file."""
    n = 1 + max(slot for slot, _ in came) - first
    valid = tuple(validity.as_spans([(4096 * (slot - first), 4096 * (slot - first + 1))
                                     for slot, part in came if part == pol and slot >= first])
                  for pol in range(2))
    data = recording.generate(4096 * first, 4096 * n)[0].copy()
    for pol in range(2):
        validity.zero_invalid(data[:, pol], valid[pol], 0)
    header = recording.header
    start = fs.axes.time.sample_time(header.start_time, 4096 * first, header.sample_rate)
    with NativeWriter(path, header.replace(start_time=start), len(data)) as file:
        file.append(data, valid)
    return path


def test_spectra_of_packets_are_those_of_a_file_with_the_same_gaps(tmp_path: Path) -> None:
    """Rows are processed while packets come, and the file has what came."""
    network = Network(loss="0.02", duplicates="0.02", reorder=30, silences="0.3s:0.2s",
                      jumps="0.6s:40", seed=6)
    recording = FastVoltage(**VOLTAGES)

    def chain(source: Any) -> Any:
        return fs.Chain(source).channelize(64).detect("AABBCRCI").integrate(n_int=25).stream

    layout = fast_adc(epoch="2026-01-01T00:00:00", reorder=32, sample_rate="1MHz",
                      frequency="1000.25MHz")
    with Receiver(Socket(buffer_bytes=2**24), layout, 2**24).start() as source:
        def work() -> None:
            made = send(recording, source.source.label, network, speed=4)
            end = time.monotonic() + 30
            while source.ring.counters()["received"] < made.packets and time.monotonic() < end:
                time.sleep(0.001)
            source.stop()

        thread = threading.Thread(target=work)
        thread.start()
        stream = open_ring(source.ring, timeout=30)
        found, = run([Collected(chain(stream))], workers=2)
        thread.join()
    file_stream = fs.open(write_gaps(tmp_path / "x.h5", recording, sent_packets(network, N),
                                     source.ring.state("first"))).stream
    expected, = run([Collected(chain(file_stream))], workers=2)
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, two)
    assert 0 < found[1].mean() < 1
    assert stream.start_time == file_stream.start_time
    assert stream.header.channels == file_stream.header.channels


def test_a_counter_that_begins_again_after_the_largest_one() -> None:
    network = Network(first=2**56 - 100)
    recording = FastVoltage(**VOLTAGES)
    _, count, block, _ = received(fast_adc(reorder=8, sample_rate="1MHz"), recording, network)
    np.testing.assert_array_equal(block.data, recording.generate(0, N * 4096)[0])
    assert count["lost"] == count["jumps"] == 0


def test_the_order_does_not_depend_on_blocks() -> None:
    network = Network(loss="0.1", duplicates="0.1", reorder=50, jumps="0.3s:-500+0.9s:20")
    kept = [[pair for _, each in network.order(network.spans(N, Fraction(10**6, 4096), most), 2,
                                               lambda span: np.ones((span.n, 2), bool))
             for pair in zip(each.slot.tolist(), each.part.tolist(), strict=True)]
            for most in (7, 100, 1000)]
    assert kept[0] == kept[1] == kept[2]
    assert kept[0] != sent_packets(Network(loss="0.1", seed=2), N)


def test_a_cycle_is_sent_again_and_again() -> None:
    recording = FastVoltage(**VOLTAGES)
    layout = fast_adc(reorder=8, sample_rate="1MHz", epoch="2026-01-01T00:00:00")
    _, count, block, made = received(layout, recording, Network(reorder=3), cycle="0.05s")
    data = recording.generate(0, 12 * 4096)[0]
    np.testing.assert_array_equal(block.data, np.tile(data, (25, 1)))
    assert made.packets == 2 * N and count["placed"] == 2 * N


def test_spectra_are_sent_in_four_packets() -> None:
    recording = FastSpectra(duration=Fraction(20 * 49152, 10**9), loss=None)
    layout = fast_spectra(reorder=8, epoch="2026-01-01T00:00:00")
    header, count, block, made = received(layout, recording, Network(reorder=9, first=50), 64)
    values = np.rint(recording.generate(0, 20)[0])
    expected = values.clip([[0], [0], [-128], [-128]], [[255], [255], [127], [127]])
    first = round(float(20 - block.n))
    np.testing.assert_array_equal(block.data, expected[first:])
    assert made.packets == 80 and count["lost"] == 0
    assert header.channels == recording.header.channels


def test_the_rate_is_the_one_requested() -> None:
    """20 ms of a recording at a tenth of its rate take 0.2 s."""
    recording = FastVoltage(duration="20ms", bandwidth="10MHz")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        at: list[float] = []

        def listen() -> None:
            while len(at) < 194:
                receiver.recv(5000)
                at.append(time.monotonic())

        thread = threading.Thread(target=listen)
        thread.start()
        made = send(recording, f"udp://127.0.0.1:{receiver.getsockname()[1]}", speed="0.1",
                    cycle="2ms")
        thread.join()
    assert 0.17 < made.seconds < 0.6 and 0.15 < at[-1] - at[0] < 0.6


def test_nobody_listens() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made = send(FastVoltage(**VOLTAGES), f"udp://127.0.0.1:{port}", speed=0, cycle="10ms")
    assert made.packets == 600 and made.refused > 0


@pytest.mark.parametrize(("what", "message"), [
    ({"loss": 2}, "network loss = 2 ; allowed: from 0 to 1"),
    ({"reorder": 10**6}, "network reorder = 1000000; allowed: 0 to 65536"),
    ({"first": 2**56}, "network first"), ({"beam": 20}, "network beam = 20; allowed: 1 to 19"),
    ({"jumps": "2s"}, "network jumps = '2s'; allowed: pairs such as 2s:1000000"),
    ({"silences": "1s:-2s"}, "network silences = '1s:-2s'; allowed: times from 0"),
    ({"seed": -1}, "seed")])
def test_networks_that_cannot_be(what: dict[str, Any], message: str) -> None:
    with pytest.raises(fs.UsageError, match=message):
        Network(**what)


def test_recordings_that_cannot_be_sent() -> None:
    to = "udp://127.0.0.1:9"
    with pytest.raises(fs.UsageError, match="shorter than a packet of 4096 samples"):
        send(FastVoltage(duration="1us"), to)
    with pytest.raises(fs.UsageError, match="spectra of 16 channels; allowed in packets: 4096"):
        send(FastSpectra(n_chan=16, duration="1ms"), to)
    with pytest.raises(fs.UsageError, match="speed = -1; allowed: from 0"):
        send(FastVoltage(**VOLTAGES), to, speed=-1)
    with pytest.raises(fs.UsageError, match="cycle = '1us' is shorter than a packet"):
        send(FastVoltage(**VOLTAGES), to, cycle="1us")


def said(*arguments: Any, code: int = 0) -> str:
    done = fastsig(*arguments, code=code)
    return done.stderr + done.stdout


def test_the_commands_send(tmp_path: Path) -> None:
    truth = tmp_path / "truth.json"
    layout = fast_adc(reorder=8, sample_rate="1MHz", beam=3)
    with Receiver(Socket(), layout, 2**24).start() as source:
        text = said("simulate", "fast-voltage", "--to", source.source.label, "--duration", "0.1s",
                    "--bandwidth", "500kHz", "--network", "loss=0.1,reorder=3,beam=3",
                    "--speed", "0", "--cycle", "10ms", "--truth", truth)
        assert re.fullmatch(r"sent 4\d packets in \S+ s\nwrote .*truth.json\n", text), text
        end = time.monotonic() + 30
        while source.ring.counters()["received"] < int(text.split()[1]):
            assert time.monotonic() < end
            time.sleep(0.01)
    assert truth.exists()
    assert not said("simulate", "fast-psrfits", "--to", "udp://127.0.0.1:9", "-q",
                    "--duration", "0.2ms")


@pytest.mark.parametrize(("arguments", "message"), [
    (["--to", "udp://x"], "allowed: udp://HOST:PORT, such as"),
    (["--to", "udp://127.0.0.1:9", "-o", "x"], "-o with --to udp://127.0.0.1:9, which writes no"),
    (["--to", "udp://127.0.0.1:9", "--file-size", "1GB"], "--file-size with --to udp"),
    (["--speed", "1", "-o", "x"], "--speed without --to udp://HOST:PORT or psrdada:KEY"),
    (["--network", "loss=0.1", "-o", "x"], "--network without --to udp://HOST:PORT"),
    ([], "Missing option '-o' / '--output', or --to udp://HOST:PORT or psrdada:KEY"),
    (["--to", "fits"], "'fits' is not one of")])
def test_what_the_command_refuses(arguments: list[str], message: str) -> None:
    assert message in said("simulate", "fast-voltage", *arguments, code=2)


@pytest.mark.parametrize("option", ["--file-rows", "--bits", "--n-block"])
def test_options_of_files_are_refused_where_spectra_are_sent(option: str) -> None:
    assert f"{option} with --to udp://127.0.0.1:9, which writes no file" in said(
        "simulate", "fast-psrfits", "--to", "udp://127.0.0.1:9", option, 8, code=2)
