"""``fastsig live``: products equal those of files, and what happens when processes end."""

from __future__ import annotations

import gc
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from astropy import units as u
from cli import begin as running
from cli import environment
from live_runs import (
    SPECTRA,
    WORDS,
    Endless,
    Sender,
    errors_of,
    feeding,
    files,
    sink,
    status,
    until,
)
from psrdada_peer import READ, Peer
from streams import Collected, MemoryVoltages, header, noise
from test_fold import polyco

import fastsig as fs
from fastsig.axes.polarization import PolBasis
from fastsig.axes.time import parse_time
from fastsig.errors import UsageError
from fastsig.io.live.layouts import fast_adc
from fastsig.io.live.memory import ring_names
from fastsig.live import rolling as files_of_a_session
from fastsig.live import session
from fastsig.live import work as process
from fastsig.live.children import start
from fastsig.live.receivers import _assumed
from fastsig.live.settings import Settings, Source, processors_of
from fastsig.live.sinks import rolling
from fastsig.pulsar.polyco import Polyco
from fastsig.reductions.folding.folding import fold


def test_products_are_those_of_a_file(tmp_path: Path) -> None:
    data = noise(np.random.default_rng(1), 50_000)
    with feeding(tmp_path / "pipe", data.tobytes(), paced=False):
        process = running("live", tmp_path / "pipe", "-o", tmp_path / "out", "--record", "native",
                        *SPECTRA, "--roll", "20ms", "--metrics", tmp_path / "metrics", *WORDS)
        errors = errors_of(process, 60)
    assert process.returncode == 0, errors
    voltages = [fs.open(each) for each in files(tmp_path / "out", "voltages*.h5")]
    np.testing.assert_array_equal(np.concatenate([each.read().values for each in voltages]), data)
    assert [each.shape[0] for each in voltages] == [20_000, 20_000, 10_000]
    whole = fs.Chain(MemoryVoltages(data, voltages[0].stream.header)).channelize(16).detect(
        "AABB").integrate("1ms").read()
    spectra = [fs.open(each) for each in files(tmp_path / "out", "spectra*.h5")]
    for name in ("values", "weight"):
        found = np.concatenate([getattr(each.read(), name) for each in spectra])
        np.testing.assert_array_equal(found, getattr(whole, name))
    assert spectra[0].stream.start_time.isclose(whole.time[0], 1 * u.ns)
    text = (tmp_path / "metrics").read_text()
    assert 'sink="spectra"} 1' in text and "# TYPE fastsig_lost_total counter" in text


def test_vdif_is_recorded_in_whole_frames(tmp_path: Path) -> None:
    """Files end and begin with frames of 8000 samples, the first of which begins after 300."""
    data = noise(np.random.default_rng(1), 60_000)
    words = [each.replace("00:00:00", "00:00:00.0397") for each in WORDS]
    with feeding(tmp_path / "pipe", data.tobytes(), paced=False):
        process = running("live", tmp_path / "pipe", "-o", tmp_path / "out", "--record", "vdif",
                          "--roll", "30ms", *words)
        errors = errors_of(process, 60)
    assert process.returncode == 0, errors
    made = [fs.open(each) for each in files(tmp_path / "out", "voltages*.vdif")]
    assert [each.shape[0] for each in made] == [24_000, 24_000, 8_000]
    found = np.concatenate([each.read().values for each in made])
    np.testing.assert_array_equal(found, data[300:56_300])
    begun = parse_time("2026-01-02T00:00:00.04")
    assert abs((made[0].stream.start_time - begun).sec) < 1e-9
    for before, after in itertools.pairwise(made):
        assert abs((after.stream.start_time - before.stream.stop_time).sec) < 1e-9


def test_vdif_marks_frames_that_were_lost(tmp_path: Path) -> None:
    """A frame without any sample of a polarisation is invalid; other lost samples are 0."""
    data = noise(np.random.default_rng(1), 40_000)
    valid = tuple(np.array(spans) for spans in (
        [[0, 9_000], [30_000, 40_000]], [[0, 16_000], [16_001, 40_000]]))
    live = Endless(data, header(start="2026-01-02T00:00:00"), valid)
    settings = Settings(str(tmp_path), record="vdif", roll_s=Fraction(1, 25))
    rolling("record", live, settings, "", lambda said: None, lambda: live).run()
    made = fs.open(files(tmp_path, "*.vdif")[0]).read()
    whole = np.array(data)
    whole[9_000:30_000, 0] = whole[16_000, 1] = 0
    np.testing.assert_array_equal(made.values, whole)
    np.testing.assert_array_equal(made.valid[0], [[0, 16_000], [24_000, 40_000]])
    np.testing.assert_array_equal(made.valid[1], [[0, 40_000]])


def test_a_ring_of_psrdada(tmp_path: Path) -> None:
    """What a simulation writes to a ring is recorded from it, and is the same as a file."""
    key = 0x4001 + os.getpid() % 0x4000 * 2
    made = Peer(key, 4, 65_536, 1), Peer(key + 1, 8, 4096, 1)
    try:
        process = running("live", f"psrdada:{key:x}", "-o", tmp_path / "out", "--record", "native",
                          *SPECTRA, "--roll", "20ms")
        until(lambda: not made[0].value(made[0].connect, READ))
        words = ("simulate", "fast-voltage", "--duration", "50ms", "--bandwidth", "0.5MHz")
        assert finished(*words, "--to", f"psrdada:{key:x}") == "wrote 100000 bytes"
        errors = errors_of(process, 60)
    finally:
        for each in made:
            each.destroy()
    assert process.returncode == 0, errors
    finished(*words, "-o", tmp_path / "x.h5")
    whole = fs.open(tmp_path / "x.h5")
    voltages = [fs.open(each) for each in files(tmp_path / "out", "voltages*.h5")]
    assert [each.shape[0] for each in voltages] == [20_000, 20_000, 10_000]
    np.testing.assert_array_equal(np.concatenate([each.read().values for each in voltages]),
                                  whole.read().values)
    assert voltages[0].stream.start_time == whole.stream.start_time
    assert len(files(tmp_path / "out", "spectra*.h5")) >= 2


def finished(*words: Any) -> str:
    """Run a command; return the beginning of its messages."""
    process = running(*words)
    errors = errors_of(process)
    assert process.returncode == 0, errors
    return errors.partition(" in ")[0].strip()


def test_a_file_is_followed_while_it_grows(tmp_path: Path) -> None:
    data, file = noise(np.random.default_rng(1), 60_000), tmp_path / "x.bin"
    raw = data.tobytes()
    file.write_bytes(raw[:50_001])
    process = running("live", file, "-o", tmp_path / "out", "--record", "native", *SPECTRA,
                    "--follow", "3s", "--roll", "20ms", *WORDS)
    until(lambda: files(tmp_path / "out", "voltages*.h5"))
    with open(file, "ab", buffering=0) as out:
        out.write(raw[50_001:])
    errors = errors_of(process, 60)
    assert process.returncode == 0, errors
    made = [fs.open(each).read() for each in files(tmp_path / "out", "voltages*.h5")]
    np.testing.assert_array_equal(np.concatenate([each.values for each in made]), data)
    assert len(files(tmp_path / "out", "spectra*.h5")) >= 3


def test_signals_end_and_roll(tmp_path: Path) -> None:
    out, data = tmp_path / "out", noise(np.random.default_rng(1), 100_000).tobytes()
    with feeding(tmp_path / "pipe", data):
        process = running("live", tmp_path / "pipe", "-o", out, "--record", "native", *SPECTRA,
                        *WORDS)
        until(lambda: all(sink(out, kind).get("rows") for kind in ("record", "spectra")))
        process.send_signal(signal.SIGHUP)
        until(lambda: all(sink(out, kind).get("files") for kind in ("record", "spectra")))
        until(lambda: sink(out, "record").get("rows", 0) > 100_000)
        process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        errors = errors_of(process, 30)
    assert process.returncode == 0 and time.monotonic() - begun < 3, errors
    for kind in ("voltages", "spectra"):
        made = [fs.open(each) for each in files(out, f"{kind}*.h5")]
        assert len(made) == 2 and all(each.shape[0] for each in made)
        assert abs((made[1].stream.start_time - made[0].stream.stop_time).sec) < 1e-9
    assert not files(out, ".*part")


def test_a_picture_goes_on_when_files_roll(tmp_path: Path) -> None:
    live = Endless(noise(np.random.default_rng(1), 20_000))
    for kind, ends in (("spectra", True), ("picture", False)):
        made = rolling(kind, live, Settings(str(tmp_path), spectra=True, n_chan=16, time="1ms",
                                            picture=True), "", lambda said: None, lambda: live)
        made._current = [Collected(made.chain)]
        made.roll()
        assert made._current[0].satisfied is ends
        made.stop()
        assert made._current[0].satisfied


def test_a_sink_that_is_killed_leaves_the_others(tmp_path: Path) -> None:
    out, data = tmp_path / "out", noise(np.random.default_rng(1), 100_000).tobytes()
    with feeding(tmp_path / "pipe", data):
        process = running("live", tmp_path / "pipe", "-o", out, "--record", "native", *SPECTRA,
                        "--roll", "200ms", *WORDS)
        until(lambda: all(sink(out, kind).get("files") for kind in ("record", "spectra")))
        os.kill(sink(out, "record")["pid"], signal.SIGKILL)
        there = sink(out, "spectra")["files"]
        until(lambda: sink(out, "spectra")["files"] > there + 2)
        assert status(out)["sources"][0]["sink_deaths"] == 1
        process.send_signal(signal.SIGTERM)
        errors = errors_of(process, 30)
    assert process.returncode == 1
    assert "record: the process was ended by SIGKILL; its unfinished file is lost" in errors
    for each in files(out, "*.h5"):
        assert fs.open(each).read().values.size


def test_a_receiver_that_is_killed_leaves_whole_files(tmp_path: Path) -> None:
    out, data = tmp_path / "out", noise(np.random.default_rng(1), 100_000)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = running("live", f"udp://:{port}", "-o", out, "--record", "native", "--beam", 1,
                    "--set", "sample_rate=1638400Hz", "--epoch", "2026-01-02T00:00:00")
    until(lambda: status(out)["sources"][0].get("receiver", {}).get("port"))
    sender = Sender(port, data)
    try:
        until(lambda: sink(out, "record").get("rows", 0) > 300_000, 120)  # it may compile
        found = status(out)["sources"][0]
        assert abs(found["levels"]["rms"]["X"] / data[:, 0].std() - 1) < 0.1
        pid = found["receiver"]["pid"]
        os.kill(pid, signal.SIGKILL)
        until(lambda: files(out, "voltages*.h5"))
        until(lambda: status(out)["sources"][0].get("receiver_deaths"))
        until(lambda: sink(out, "record").get("rows") and status(out)["sources"][0][
            "receivers_begun"] == 2 and status(out)["sources"][0].get("ring", {}).get("placed"))
        process.send_signal(signal.SIGTERM)
        errors = errors_of(process, 30)
    finally:
        sender.close()
    assert "receiver: the process was ended by SIGKILL" in errors
    assert not [name for name in ring_names() if f"-{process.pid}-" in name]
    made = fs.open(files(out, "voltages*.h5")[0])
    block = made.stream.read_block(0, made.shape[0])
    assert made.shape[0] > 300_000
    # The first packet that came, which says the time of row 0; a busy machine may lose others.
    zero = round((made.stream.start_time - parse_time("2026-01-02")).sec * 400)
    assert all((spans[:, 1] - spans[:, 0]).sum() > 300_000 for spans in block.valid)
    for pol, spans in enumerate(block.valid):
        for first, stop in spans.tolist():
            expected = np.concatenate([data[n * 4096 % (len(data) - 4096):][:4096, pol]
                                       for n in range(zero + first // 4096, zero + stop // 4096)])
            np.testing.assert_array_equal(block.data[first:stop, pol], expected)


def test_what_is_refused(tmp_path: Path) -> None:
    for words, code, text in (
            (("udp://x:1",), 2, "no product is requested"),
            (("a-file", "--spectra"), 2, "a-file: allowed"),
            (("-", "--record", "native", "--roll", "0s"), 2, "roll = 0s; allowed"),
            (("-", "-", "--spectra"), 2, "a source is named twice"),
            (("-", "--spectra", "--keep", "2s"), 2, "--keep without --bursts"),
            (("-", "--spectra", "--metrics", "0.0.0.0:9"), 2, "allowed: 127.0.0.1:PORT")):
        process = running("live", *words, "-o", tmp_path / "out")
        errors = errors_of(process, 30)
        assert process.returncode == code and text in errors, errors


@pytest.mark.parametrize("as_json", [False, True])
def test_the_status_is_reported(tmp_path: Path, as_json: bool) -> None:
    record = {"pid": os.getpid(), "running_s": 3.0, "clock_steps": 1, "stopping": False,
              "folder": "out",
              "sources": [{"source": "udp://x:1", "label": "", "receiver": {"port": 1},
                           "receivers_begun": 1, "receiver_deaths": 0, "sink_deaths": 2,
                           "ring": {"placed": 7},
                           "sinks": {"spectra": {"state": "running", "files": 3}}}]}
    (tmp_path / "live-status.json").write_text(json.dumps(record))
    process = running("live-status", tmp_path, *(("--json",) if as_json else ()))
    printed = process.stdout.read()
    errors_of(process)
    assert process.returncode == 0
    assert json.loads(printed)["alive"] if as_json else "placed                7" in printed
    (tmp_path / "live-status.json").write_text("{}")
    process = running("live-status", tmp_path)
    assert "is not the status of a session" in errors_of(process)


def test_a_port_that_is_in_use(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        process = running("live", f"udp://:{taken.getsockname()[1]}", "-o", tmp_path / "out",
                        "--record", "native")
        errors = errors_of(process, 30)
    assert process.returncode == 1 and "receiver: udp://127.0.0.1:" in errors
    assert "cannot listen" in errors


def test_how_packets_are_understood_is_reported() -> None:
    layout = fast_adc(sample_rate="32MHz", frequency="1008MHz")
    assert _assumed(fast_adc(), Settings("x")) == (
        "packets are read as samples at 1e+09 Hz, from 1000 to 1500 MHz; --set sample_rate= and "
        "--set frequency= change this")
    assert _assumed(layout, Settings("x", overrides={"sample_rate": "32MHz", "frequency": 1})) == (
        "packets are read as samples at 32000000 Hz, from 1000 to 1016 MHz")


@pytest.mark.parametrize(("seconds", "warned"), [(0.3, True), (9.0, False), (40.0, True)])
def test_a_wrong_sample_rate_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                        seconds: float, warned: bool) -> None:
    """Of data that come in ten seconds."""
    said: list[str] = []
    made = session.Session([Source("udp://:1", "", "none")], Settings(str(tmp_path), spectra=True),
                           said.append, lambda status: None)
    beam, layout = made.beams[0], fast_adc()
    ring = SimpleNamespace(rows=1, head=0, layout=layout.ring, header=layout.header,
                           silent_s=lambda: 0.0)
    now = [100.0]
    monkeypatch.setattr(session.time, "monotonic", lambda: now[0])
    beam.ring = ring
    for late, part in ((0, 0), (5, 0.5), (10.1, 1), (20, 2)):
        now[0] = 100.0 + late
        ring.head = int(seconds * part * 1e9 / layout.ring.slot_rows)
        made._look_at_rate(beam)
    assert len(said) == warned and ("data of" in "".join(said)) is warned


def test_processes_are_pinned(tmp_path: Path) -> None:
    """The only processor is that of the receiver and of the product; others are refused."""
    cpu, out = min(os.sched_getaffinity(0)), tmp_path / "out"
    with feeding(tmp_path / "pipe", noise(np.random.default_rng(1), 100_000).tobytes()):
        process = running("live", tmp_path / "pipe", "-o", out, "--record", "native", "--cpus",
                          cpu, *WORDS)
        until(lambda: sink(out, "record").get("rows"))
        pids = sink(out, "record")["pid"], status(out)["sources"][0]["receiver"]["pid"]
        assert [os.sched_getaffinity(pid) for pid in pids] == [{cpu}, {cpu}]
        process.send_signal(signal.SIGTERM)
        errors = errors_of(process, 30)
    assert process.returncode == 0, errors


def test_processors_of_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    assert processors_of("0,4-7") == (0, 4, 5, 6, 7)
    for wrong in ("", "a", "0-", "1,1", "8", "3-2", "-1"):
        with pytest.raises(UsageError, match=r"cpus = .*; allowed: "):
            processors_of(wrong)
    sources = [Source(f"udp://:{port}", "", "x") for port in (1, 2)]
    with pytest.raises(UsageError, match="cpus = 0 for 2 sources; allowed: a processor"):
        session.Session(sources, Settings("x", record="native", cpus=(0,)), print, print)
    made = session.Session(sources, Settings("x", record="native", cpus=(0, 1, 2, 5, 6)), print,
                           print)
    assert [made._cpus(each) for each in made.beams] == [(0, 1), (2, 5, 6)]


def test_ctrl_c_before_anything_came(tmp_path: Path) -> None:
    process = running("live", "udp://:0", "-o", tmp_path / "out", "--record", "native")
    until(lambda: status(tmp_path / "out")["sources"][0].get("ring"))
    process.send_signal(signal.SIGINT)
    errors = errors_of(process, 30)
    assert process.returncode == 0 and "record: udp://127.0.0.1:" in errors
    assert "nothing has been received" in errors and not files(tmp_path / "out", "*.h5")


def test_the_lag_counts_bytes_as_they_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch
                                           ) -> None:
    """A row of complex samples of 8 bits needs four times as much memory as its bytes."""
    class Row:
        bytes_of_row, row_bytes, header = Fraction(32), 128, header()

    class EnoughError(Exception):
        pass

    said: list[dict[str, Any]] = []

    def enough(*_: Any) -> None:
        raise EnoughError

    monkeypatch.setattr(process, "open_source", lambda *_: Row())
    monkeypatch.setattr(process, "rolling", enough)
    handlers = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP)}
    try:
        with pytest.raises(EnoughError):
            process.work("spectra", Source("-", "", "none"), Settings(str(tmp_path)), said.append,
                         again=False)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert said[0]["row_bytes"] == 32


def test_a_stalled_product_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has stopped, as one does that waits for a disk, is given up, and named."""
    monkeypatch.setattr(session, "_STALLED_S", 0.3)
    said: list[str] = []
    made = session.Session([Source("udp://:1", "", "none")], Settings(str(tmp_path), spectra=True),
                           said.append, lambda status: None)

    def stall(report: Any) -> int:
        os.kill(os.getpid(), signal.SIGSTOP)
        return 0

    child = start("spectra", stall)
    until(lambda: Path(f"/proc/{child.pid}/stat").read_text().rpartition(") ")[2][0] == "T")
    made.beams[0].sinks["spectra"] = child
    made._stopped = time.monotonic() - 1

    def ended() -> bool:
        made._finish()
        return child.look()

    until(ended, 10)
    child.close()
    assert len(said) == 1 and "spectra: has not completed its file" in said[0]
    assert child.ended == -signal.SIGKILL and made._outputs_failed


def test_profiles_are_those_of_a_file(tmp_path: Path) -> None:
    by = polyco(tmp_path / "x.polyco", period_s=0.01)
    data = noise(np.random.default_rng(1), 300_000)
    words = [word.replace("2026-01-02T00:00:00", "2017-08-22T12:00:01") for word in WORDS]
    with feeding(tmp_path / "pipe", data.tobytes(), paced=False):
        process = running("live", tmp_path / "pipe", "-o", tmp_path / "out", "--polyco", by,
                          "--n-chan", 16, "--integrate", "64us", "--products", "AABB",
                          "--n-bin", 32, "--subint", "50ms", "--roll", "200ms", *words)
        errors = errors_of(process, 60)
    assert process.returncode == 0, errors
    made = [fs.open_profiles(each) for each in files(tmp_path / "out", "profiles*.ar")]
    assert [each.n_subint for each in made] == [4, 2]
    about = header(low_hz=1_400_000_000, start="2017-08-22T12:00:01").replace(
        polarization=PolBasis("unknown", ("0", "1")))
    chain = fs.Chain(MemoryVoltages(data, about)).channelize(16).detect("AABB").integrate("64us")
    fold(chain.select(rows=(0, 3125)), Polyco.read(by), n_bin=32, subint="50ms").write(
        tmp_path / "x.ar")
    expected = fs.open_profiles(tmp_path / "x.ar")
    np.testing.assert_array_equal(made[0].data, expected.data)
    np.testing.assert_array_equal(made[0].weights, expected.weights)


def test_processes_load_nothing_when_data_come() -> None:
    """What a rehearsal has not loaded, each process would load while data wait."""
    done = subprocess.run([sys.executable, "-c", """
import sys, tempfile
import numpy as np
from fastsig.io.live.ring_bytes import RingBytes, RingFiles, byte_ring
from fastsig.io.live.pipes import open_bytes
from fastsig.live.rehearsal import rehearse
from fastsig.live.settings import Settings, Source, processors_of
from fastsig.live.sinks import rolling
given = {"n_bits": 8, "n_pol": 2, "sample_rate": "1MHz", "frequency": "1400.25MHz",
         "start_time": "2026-01-02T00:00:00"}
with tempfile.TemporaryDirectory() as place:
    settings = Settings(place, record="native", spectra=True, n_chan=16, time="1ms",
                        overrides=given, workers=1)
    rehearse(Source("-", "", "none"), settings)
    before = set(sys.modules)
    ring = byte_ring("x", 2**20)
    room = ring.space()[:40_000]
    room[:] = np.random.default_rng(1).integers(0, 255, len(room))
    ring.advance(len(room))
    ring.end()
    reports = []
    for kind in settings.kinds():
        data = RingBytes(ring)
        stream = open_bytes("x", data, RingFiles(data), given)
        rolling(kind, stream, settings, "", reports.append, lambda: stream).run(workers=1)
    ring.close()
    assert sum("wrote" in each for each in reports) == 2, reports
print(sorted(set(sys.modules) - before))
"""], capture_output=True, text=True, env=environment(), timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stdout + done.stderr


def test_files_leave_nothing_in_memory(tmp_path: Path) -> None:
    """Objects of a pass refer to each other: they do not wait for the collector."""
    live = MemoryVoltages(noise(np.random.default_rng(1), 300_000), header())
    settings = Settings(str(tmp_path), spectra=True, n_chan=16, time="1ms", products="AABB",
                        roll_s=Fraction(1, 50))
    counts: list[int] = []
    gc.disable()
    try:
        rolling("spectra", live, settings, "", lambda said: counts.append(
            len(gc.get_objects())) if "wrote" in said else None, lambda: live).run()
    finally:
        gc.enable()
    assert len(counts) == 16 and abs(counts[-1] - counts[4]) < 500


@pytest.mark.parametrize("kind", ["record", "spectra"])
def test_memory_does_not_grow_with_files(tmp_path: Path, kind: str) -> None:
    """A forked process, as in a session: it must not touch more pages with each of its files."""
    script = Path(__file__).parents[1] / "rolled_files.py"
    done = subprocess.run([sys.executable, script, kind, tmp_path], capture_output=True, text=True,
                          env=environment(), timeout=120)
    assert not done.stderr, done.stderr
    n_file, own_kb, allocated = map(int, done.stdout.split())
    assert n_file in (60, 61) and own_kb < 400 and allocated < 30_000


def test_free_memory_goes_back_to_the_system() -> None:
    """Also that below memory that is still used."""
    done = subprocess.run([sys.executable, "-c", """
from fastsig.live.children import share_heap, trim_heap

def private():
    with open("/proc/self/smaps_rollup") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Private_"))

share_heap()
trim_heap()
before = private()
held = [bytes([1]) * 100_000 for _ in range(500)]
last = held.pop()
del held
while_held = private()
trim_heap()
print(while_held - before > 40_000, private() - before < 5_000)
"""], capture_output=True, text=True, env=environment(), timeout=120)
    assert done.stdout.strip() == "True True", done.stdout + done.stderr


def test_a_file_of_known_length_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch
                                             ) -> None:
    """SIGTERM comes when the source has ended, before the last rows are processed."""
    ended = MemoryVoltages(noise(np.random.default_rng(1), 20_000), header())
    settings = Settings(str(tmp_path), spectra=True, n_chan=16, time="1ms", products="AABB")
    made = rolling("spectra", ended, settings, "", lambda said: None, lambda: ended)
    real = files_of_a_session.run

    def run(*given: Any, **options: Any) -> Any:
        made.stop()
        return real(*given, **options)

    monkeypatch.setattr(files_of_a_session, "run", run)
    assert made.run() == fs.open(files(tmp_path, "*.h5")[0]).shape[0] > 10


def test_the_first_burst_loads_no_tables_of_the_sky() -> None:
    """80 MB for a process that has them alone: after a rehearsal, all of them share these."""
    done = subprocess.run([sys.executable, "-c", """
import sys, tempfile
from fastsig.live.rehearsal import rehearse
from fastsig.live.settings import Settings, Source
given = {"n_bits": 8, "n_pol": 2, "sample_rate": "1MHz", "frequency": "1400.25MHz",
         "start_time": "2026-01-02T00:00:00"}
with tempfile.TemporaryDirectory() as place:
    rehearse(Source("-", "", "none"), Settings(place, bursts="0:10", n_chan=16, time="1ms",
                                               overrides=given, workers=1))
print("astropy.coordinates" in sys.modules)
"""], capture_output=True, text=True, env=environment(), timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, "True"), done.stdout + done.stderr
