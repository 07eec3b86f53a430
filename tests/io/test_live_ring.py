"""Rings in shared memory: rows come, are read as from a file, are lost, and are overwritten."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from streams import Collected, MemoryVoltages, header, noise

import fastsig as fs
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PRODUCTS, PolBasis
from fastsig.axes.time import elapsed
from fastsig.io.live import memory as shared
from fastsig.io.live.pipes import open_bytes
from fastsig.io.live.reader_state import readers
from fastsig.io.live.ring import Ring
from fastsig.io.live.ring_bytes import RingBytes, RingFiles, byte_ring, pour
from fastsig.io.live.ring_layout import RingLayout
from fastsig.io.live.streams import RingSpectra, RingVoltages, open_ring
from fastsig.io.live.writer import RingWriter
from fastsig.run import fitting
from fastsig.run.engine import run
from fastsig.run.products import write
from fastsig.stream import Stream

PAIR = RingLayout("voltage", slot_rows=64, n_part=2, part_bytes=64)
RAW = RingLayout("voltage", slot_rows=64, n_part=1, part_bytes=128, n_pol=2)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setattr(fitting, "_UNIT_BYTES", 20_000)
    monkeypatch.setattr(shared, "folder", lambda: str(tmp_path))
    yield
    assert not shared.ring_names(), "a ring was left"


def made(layout: RingLayout = PAIR, n_slot: int = 1024, **about: Any) -> RingWriter:
    return RingWriter.create(layout, about.pop("head", header()), n_slot * layout.slot_bytes,
                       label="udp://here", **about)


def send(ring: RingWriter, data: np.ndarray, first: int = 0) -> None:
    """Put samples (time, pol) into slots from `first` on."""
    rows = ring.layout.slot_rows
    for slot in range(len(data) // rows):
        for part in range(ring.layout.n_part):
            raw = np.ascontiguousarray(data[slot * rows : (slot + 1) * rows, part])
            ring.put(first + slot, part, raw.view(np.uint8))


def test_samples_are_those_that_came_and_time_is_that_of_the_counter() -> None:
    data = noise(np.random.default_rng(1), 64 * 20)
    with made() as ring:
        other = Ring.attach(ring.name)
        assert not other.wait_started(0)
        with pytest.raises(fs.DataError, match="udp://here: nothing has been received"):
            _ = other.header
        ring.start(7_000_000_001)
        send(ring, data)
        ring.publish(18)
        stream = open_ring(other)
        assert isinstance(stream, RingVoltages) and stream.endless
        seconds = elapsed(header().start_time, stream.start_time)
        assert abs(seconds - Fraction(7_000_000_001 * 64, 10**6)) < Fraction(1, 10**9)
        assert stream.arrived(18 * 64) == 18 * 64
        for start, n in ((0, 1152), (5, 1000), (64, 64), (100, 3), (63, 2), (1, 64)):
            block = stream.read_block(start, n)
            np.testing.assert_array_equal(block.data, data[start : start + n])
            assert [spans.tolist() for spans in block.valid] == [[[start, start + n]]] * 2
        ring.end()
        assert stream.arrived(10**6) == 20 * 64 and other.reason == "ended"
        stream.close()
        other.close()


def test_lost_packets_are_invalid_rows_of_their_polarisation() -> None:
    data = noise(np.random.default_rng(1), 64 * 6)
    with made() as ring:
        ring.start()
        send(ring, data)
        ring.memory.numbers[2, 0] = -1
        ring.memory.numbers[4, 1] = 4 - ring.n_slot  # left from one turn before
        ring.end()
        block = open_ring(ring).read_block(10, 370)
        assert [spans.tolist() for spans in block.valid] == [
            [[10, 128], [192, 380]], [[10, 256], [320, 380]]]
        assert not block.data[118:182, 0].any() and block.data[118:182, 1].any()


def test_rows_that_were_overwritten_are_invalid_and_counted() -> None:
    data = noise(np.random.default_rng(1), 64 * 24)
    with made(n_slot=16) as ring:
        ring.start()
        send(ring, data)
        ring.publish(24)
        stream = open_ring(ring, "slow")
        block = stream.read_block(0, 20 * 64)
        assert [spans.tolist() for spans in block.valid] == [[[512, 1280]]] * 2
        np.testing.assert_array_equal(block.data[512:], data[512:1280])
        state, = readers(ring.memory)
        assert (state.label, state.overwritten, state.done) == ("slow", 2 * 512, 20)
        # Half the ring is then left out, so that the next rows come in one piece.
        assert not stream.read_block(640, 64).valid[0].size
        assert stream.read_block(1100, 10).valid[0].size


@pytest.mark.parametrize("layout", [PAIR, RAW])
def test_spectra_as_from_a_file(layout: RingLayout) -> None:
    data = noise(np.random.default_rng(1), 64 * 781 + 17)

    def chain(source: Stream) -> Stream:
        return fs.Chain(source).channelize(16).detect("AABB").integrate(n_int=7).stream

    def write() -> None:
        if layout is RAW:
            pipe(ring, data.tobytes(), 5000)
            return
        for slot in range(0, 781, 10):
            send(ring, data[slot * 64 : (slot + 10) * 64], slot)
            ring.publish(slot + 8)
        ring.end()

    with made(layout, n_readers=1) as ring:
        ring.start()
        stream = open_ring(ring.name)
        thread = threading.Thread(target=write)
        thread.start()
        found, = run([Collected(chain(stream))], workers=2)
        thread.join()
        stream.close()
        stream.ring.close()
    samples = data if layout is RAW else data[: 64 * 781]
    expected, = run([Collected(chain(MemoryVoltages(samples, header())))])
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, two)


def pipe(ring: RingWriter, text: bytes, most: int) -> None:
    """Write bytes in pieces, as from a pipe."""
    stop = threading.Event()
    while text:
        space = ring.space()
        n = min(len(space), most, len(text))
        space[:n] = np.frombuffer(text[:n], np.uint8)
        if n:
            ring.advance(n)
        else:
            stop.wait(0.001)
        text = text[n:]
    ring.end()


def test_a_pipe_waits_for_readers_and_a_small_ring_loses_nothing() -> None:
    data = noise(np.random.default_rng(1), 64 * 500)
    with made(RAW, n_slot=400, n_readers=1) as ring:
        ring.start()
        thread = threading.Thread(target=pipe, args=(ring, data.tobytes(), 10**6))
        thread.start()
        stream = open_ring(ring)
        for start in range(0, len(data), 4000):
            assert stream.arrived(start + 4000) == start + 4000
            block = stream.read_block(start, 4000)
            np.testing.assert_array_equal(block.data, data[start : start + 4000])
        thread.join()
        assert stream.reader.overwritten == 0 and stream.arrived(10**7) == len(data)


def test_a_reader_that_leaves_rows_out_does_not_stop_the_pipe() -> None:
    data = noise(np.random.default_rng(1), 64 * 100)
    with made(RAW, n_slot=40, n_readers=1) as ring:
        ring.start()
        thread = threading.Thread(target=pipe, args=(ring, data.tobytes(), 10**6))
        thread.start()
        stream = open_ring(ring)
        assert stream.arrived(64 * 90) == 64 * 90
        assert stream.read_block(64 * 80, 640).valid[0].tolist() == [[64 * 80, 64 * 90]]
        stream.close()
        ring._set("n_expected", 0)
        thread.join()


@pytest.mark.parametrize("dtype", ["u1", "<i2", "<u2", "<f4"])
@pytest.mark.parametrize("order", ["TFP", "TPF"])
def test_numbers_of_all_kinds(dtype: str, order: str) -> None:
    rng = np.random.default_rng(1)
    wanted = rng.integers(-100, 100, (160, 2, 3, 2))  # time, pol, chan, part
    stored = wanted + (2 ** (8 * np.dtype(dtype).itemsize - 1) if "u" in dtype else 0)
    turned = stored.swapaxes(1, 2) if order == "TFP" else stored
    layout = RingLayout("voltage", 16, 1, 16 * 12 * np.dtype(dtype).itemsize, dtype=dtype,
                        n_chan=3, n_pol=2, order=order)
    head = header(is_complex=True, n_chan=3)
    with made(layout, 16, head=head) as ring:
        ring.start()
        pipe(ring, turned.astype(dtype).tobytes(), 10**6)
        found = open_ring(ring).read_block(7, 150).data
        np.testing.assert_array_equal(found.real, wanted[7:157, ..., 0])
        np.testing.assert_array_equal(found.imag, wanted[7:157, ..., 1])


def test_packed_codes_and_pairs_as_recorded() -> None:
    rng = np.random.default_rng(1)
    levels = (-3.0, -1.0, 1.0, 3.0)
    raw = rng.integers(0, 256, (2, 160), np.uint8)
    layout = RingLayout("voltage", 64, 2, 16, bits=2, levels=levels, dtype="u1")
    codes = (raw[:, :, np.newaxis] >> np.array([0, 2, 4, 6], np.uint8)) & 3
    wanted = np.array(levels)[codes.reshape(2, -1)].T
    with made(layout, 16, head=header(n_bits=2)) as ring:
        ring.start()
        for slot in range(10):
            for part in range(2):
                ring.put(slot, part, raw[part, slot * 16 : (slot + 1) * 16])
        ring.end()
        stream = open_ring(ring)
        np.testing.assert_array_equal(stream.read_block(3, 501).data, wanted[3:504])
        form = stream.as_recorded()
        assert form.endless and form.arrived(10**6) == 640
        np.testing.assert_array_equal(form.read_block(4, 600).data, raw[:, 1:151].T)
    pairs = RingLayout("voltage", 16, 2, 32)
    with made(pairs, 16, head=header(is_complex=True)) as ring:
        ring.start()
        ring.put(0, 0, np.arange(32, dtype=np.uint8))
        ring.end()
        block = open_ring(ring).as_recorded().read_block(3, 10)
        np.testing.assert_array_equal(block.data[:, 0].reshape(-1), np.arange(6, 26))
        assert [len(spans) for spans in block.valid] == [1, 0] and not block.data[:, 1].any()


def spectra_head() -> Any:
    axis = ChannelAxis(Fraction(10**9), Fraction(10**6), 8)
    return header(1000).replace(channels=axis, n_bits=8,
                                polarization=PolBasis("linear", PRODUCTS["AABBCRCI"]))


def test_spectra_of_four_packets_with_weights_of_channels() -> None:
    raw = np.random.default_rng(1).integers(0, 256, (30, 4, 4, 2), np.uint8)
    layout = RingLayout("spectra", 1, 4, 8, dtype="u1", n_chan=8, n_pol=2,
                        signed=(False, False, True, True))
    with made(layout, 64, head=spectra_head()) as ring:
        ring.start()
        for slot in range(30):
            for part in range(4):
                if (slot, part) not in ((5, 1), (9, 2), (9, 3)):
                    ring.put(slot, part, raw[slot, part].reshape(-1))
        ring.end()
        stream = open_ring(ring)
        assert isinstance(stream, RingSpectra) and stream.weight_channels == 8
        block = stream.read_block(0, 30)
        whole = stream.read_block(10, 20)
    halves = raw.reshape(30, 2, 2, 4, 2).transpose(0, 1, 4, 2, 3).reshape(30, 4, 8)
    wanted = halves.astype(np.float32)
    wanted[:, 2:] = halves[:, 2:].view(np.int8)
    wanted[5, :2, 4:] = wanted[9, 2:] = np.nan
    np.testing.assert_array_equal(block.data, wanted)
    np.testing.assert_array_equal(block.valid, np.isfinite(wanted))
    assert whole.valid.shape == (20, 4, 1) and (whole.valid == 1).all()


def test_rings_that_cannot_be() -> None:
    with pytest.raises(fs.UsageError, match="has 7 slots of 128 bytes; allowed: 8 or more"):
        made(n_slot=7)
    with pytest.raises(fs.OutputError, match="the ring takes .* GB are free there"):
        made(n_slot=10**11)
    with pytest.raises(fs.UsageError, match="allowed: letters, digits"):
        Ring.attach("../x")
    with pytest.raises(fs.FormatError, match="No such file"):
        Ring.attach("nobody-made-it")
    with made(name="one-of-it") as ring:
        with pytest.raises(fs.OutputError, match="File exists"):
            made(name="one-of-it")
        assert ring.name == "one-of-it"
        with pytest.raises(fs.DataError, match="nothing has been received within 0 s"):
            open_ring(ring, timeout=0)
    with open(shared.path_of("junk"), "wb") as file:
        file.write(b"x" * 200_000)
    with pytest.raises(fs.DataError, match="is not a ring"):
        Ring.attach("junk")
    os.unlink(shared.path_of("junk"))


def test_a_dead_writer_ends_the_stream_and_its_ring_is_removed() -> None:
    data = noise(np.random.default_rng(1), 64 * 20)
    ring = made(name="dies")
    other = Ring.attach("dies")
    ring.start()
    send(ring, data)
    ring.publish(18)
    assert not other.ended and other.rows == 18 * 64 and shared.sweep() == []
    fcntl.flock(ring.memory._descriptor, fcntl.LOCK_UN)  # as when a process is killed
    stream = open_ring(other)
    assert other.reason == "writer died" and stream.arrived(10**6) == 20 * 64
    assert shared.sweep() == ["dies"]
    np.testing.assert_array_equal(stream.read_block(0, 1280).data, data)


def test_pieces_are_poured_into_a_ring_and_read_in_place() -> None:
    """They come in pieces of any length; only those that cross the end of the ring are copied."""
    rng = np.random.default_rng(1)
    raw = rng.integers(0, 256, 300_000).astype(np.uint8)
    ring = byte_ring("x", 2**16)
    data = RingBytes(ring)
    found, reader = [], RingFiles(data)
    pieces = np.split(raw, np.sort(rng.integers(0, len(raw), 50)))
    thread = threading.Thread(target=pour, args=(ring, pieces, lambda: False))
    thread.start()
    in_place = 0
    for first in range(0, len(raw), 7000):
        part = reader.read(0, min(7000, len(raw) - first), first)
        in_place += np.shares_memory(part, ring.memory.payload)
        found.append(part.copy())
        data.release(first)
    thread.join()
    np.testing.assert_array_equal(np.concatenate(found), raw)
    assert len(found) - 5 <= in_place < len(found) and data.over
    with pytest.raises(fs.DataError, match="ends at byte 300000; 1 bytes more"):
        reader.read(0, 1, len(raw))
    with pytest.raises(fs.DataError, match="byte 0 is no longer there"):
        reader.read(0, 10, 0)
    ring.close()


def test_bytes_of_a_ring_go_to_many_places() -> None:
    """Pieces that cross the end of the ring are parted; equal distances are read at once."""
    rng = np.random.default_rng(1)
    raw = rng.integers(0, 256, 150_000).astype(np.uint8)
    ring = byte_ring("x", 2**16)
    data = RingBytes(ring)
    reader = RingFiles(data)
    thread = threading.Thread(target=pour, args=(ring, [raw], lambda: False))
    thread.start()
    for first in range(0, 140_000, 3500):
        sizes = rng.integers(0, 2000, 5)
        out = [np.zeros(n, np.uint8) for n in sizes]
        places = np.array([[each.ctypes.data, each.size] for each in out])
        assert reader.scatter_into(0, places, first)
        np.testing.assert_array_equal(np.concatenate(out), raw[first : first + sizes.sum()])
        heads = np.zeros((4, 16), np.uint8)
        reader.read_each(0, heads, first, 1000)
        np.testing.assert_array_equal(heads, [raw[at : at + 16] for at in range(
            first, first + 4000, 1000)])
        data.release(first)
    with pytest.raises(fs.DataError, match="byte 5 is no longer there"):
        reader.scatter_into(0, places, 5)
    with pytest.raises(fs.DataError, match="ends at byte 150000"):
        reader.scatter_into(0, places, 149_990)
    thread.join()
    ring.close()


@pytest.mark.parametrize("to", ["dada", "vdif"])
@pytest.mark.parametrize("n", [100, 4096, 5000])
def test_a_head_that_comes_in_two_parts(to: str, n: int, tmp_path: Path) -> None:
    """A program may write the header long before the first samples: these are waited for."""
    path = tmp_path / f"x.{to}"
    write(MemoryVoltages(noise(np.random.default_rng(1), 60_000), header(
        start="2026-01-02T00:00:00")), path, lossy=True)
    raw = np.fromfile(path, np.uint8)

    def parts() -> Iterator[NDArray[np.uint8]]:
        yield raw[:n]
        time.sleep(0.5)
        yield raw[n:]

    ring = byte_ring("x", 2**23)
    thread = threading.Thread(target=pour, args=(ring, parts(), lambda: False))
    thread.start()
    data = RingBytes(ring)
    given = {"frequency": "1400MHz"} if to == "vdif" else {}
    stream = open_bytes("x", data, RingFiles(data), given)
    assert stream.format_name == to and stream.arrived(60_000) == 60_000
    np.testing.assert_array_equal(stream.read_block(0, 60_000).data,
                                  fs.open(path, **given).stream.read_block(0, 60_000).data)
    thread.join()
    ring.close()


@pytest.mark.parametrize(("n", "message"), [
    (3000, "truncated: 3000 bytes, but its header alone has 4096"), (4096, "contains no samples"),
    (0, "have no header")])
def test_a_head_that_remains_incomplete(n: int, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.dada"
    write(MemoryVoltages(noise(np.random.default_rng(1), 100), header(
        start="2026-01-02T00:00:00")), path, lossy=True)
    raw = np.fromfile(path, np.uint8)[:n] if n else np.arange(5000).astype(np.uint8)
    ring = byte_ring("a pipe", 2**23)
    pour(ring, [raw], lambda: False)
    data = RingBytes(ring)
    with pytest.raises(fs.FormatError, match=f"^a pipe: .*{message}"):
        open_bytes("a pipe", data, RingFiles(data), {})
    ring.close()


def test_pouring_stops() -> None:
    ring = byte_ring("x", 2**16)
    stopped: list[bool] = []
    thread = threading.Thread(target=pour, args=(
        ring, [np.zeros(2**18, np.uint8)], lambda: bool(stopped)))
    thread.start()
    while ring.rows < 2**15:
        time.sleep(0.001)
    stopped.append(True)
    thread.join()
    assert ring.reason == "stopped"
    ring.close()
