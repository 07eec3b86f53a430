"""Bursts that are found live: the table, the raw data that are cut, and the lines posted."""

from __future__ import annotations

import json
import os
import socket
import threading
import xml.etree.ElementTree as ET
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from astropy import units as u
from live_runs import Endless
from search.candidates_made import candidates
from streams import MemoryVoltages, noise

import fastsig as fs
from fastsig.axes import validity
from fastsig.errors import PlanError, UsageError
from fastsig.io.live.layouts import fast_adc
from fastsig.io.live.pipes import open_bytes
from fastsig.io.live.ring_bytes import RingBytes, RingFiles, byte_ring, fill
from fastsig.live import triggers
from fastsig.live.bursts import searching
from fastsig.live.receivers import ring_bytes
from fastsig.live.settings import Settings
from fastsig.live.sinks import _Spectra
from fastsig.live.triggers import post
from fastsig.live.voevent import check_stream, document
from fastsig.run.candidate_files import read_candidates

GIVEN = {"n_bits": 8, "n_pol": 2, "sample_rate": "32MHz", "start_time": "2026-01-01T00:00:00",
         "frequency": "1414MHz", "feed": "linear"}


def recorded(samples: Path) -> np.ndarray:
    """A burst, with noise instead of the samples that were lost."""
    stream = fs.open(samples / "frb_carrier_16MHz.h5").stream
    block, rng = stream.read_block(0, stream.shape[0]), np.random.default_rng(3)
    data = np.array(block.data)
    for pol, spans in enumerate(block.valid):
        lost = np.ones(len(data), bool)
        for first, stop in spans:
            lost[first:stop] = False
        data[lost, pol] = np.round(rng.normal(0, data[~lost, pol].std(), lost.sum()))
    return np.ascontiguousarray(np.concatenate([data, data]))


def test_a_burst_is_cut_out_of_the_ring(samples: Path, tmp_path: Path) -> None:
    data = recorded(samples)
    ring = byte_ring("a pipe", 2**25, n_readers=2)
    readable, writable = os.pipe()

    def feed() -> None:
        with open(writable, "wb") as pipe:
            pipe.write(data.tobytes())

    threads = [threading.Thread(target=feed), threading.Thread(target=fill, args=(ring, readable))]
    for each in threads:
        each.start()
    readers = [RingBytes(ring, name) for name in ("search", "cuts")]
    stream, raw = (open_bytes("a pipe", each, RingFiles(each), GIVEN) for each in readers)
    settings = Settings(str(tmp_path), bursts="0:600", n_chan=64, time="64us", threshold=20.0,
                        keep_s=Fraction(1, 8), around_s=Fraction(1, 100),
                        post=str(tmp_path / "alerts"))
    reports: list[dict[str, Any]] = []
    searching(_Spectra(settings, "").chain(stream), settings, "", reports.append, raw).run()
    for each in threads:
        each.join()
    os.close(readable)
    ring.close()
    assert "--keep 0.125s: a burst may be found" in reports[0]["note"]
    lines = [json.loads(line) for line in (tmp_path / "alerts").read_text().splitlines()]
    table = read_candidates(next(tmp_path.glob("bursts*.ecsv")))
    assert len(table) == len(lines) == 2 and not any("error" in each for each in reports)
    whole = fs.Chain(MemoryVoltages(data, stream.header)).channelize(64).detect("I").integrate(
        "64us").bursts("0:600", threshold=20.0).meta
    assert {name: whole[name] for name in table.meta} == {
        **table.meta, "provenance": whole["provenance"], "prompt": False}
    assert table.meta["prompt"]
    assert set(whole) - set(table.meta) == {"duration_s", "n_time", "n_event", "n_dropped",
                                             "n_candidate_dropped", "false_alarms"}
    assert table.meta["provenance"]["stages"] == whole["provenance"]["stages"]
    table.write(tmp_path / "a.cand")  # it has the numbers of dispersion measures of the plan
    for line, at in zip(lines, (0.040, 0.165), strict=True):
        assert abs(line["time_s"] - at) < 1e-3 and abs(line["dm"] - 299) < 12
        cut = fs.open(line["raw"])
        first = round((cut.stream.start_time - stream.start_time).sec * 32e6)
        assert first / 32e6 < line["time_s"] - 0.009
        np.testing.assert_array_equal(cut.read().values, data[first : first + cut.shape[0]])
        # The delay across 16 MHz is 13.9 ms, and 10 ms before and after it are copied as well.
        assert abs(cut.shape[0] / 32e6 - 0.0339) < 2e-3


def test_data_that_were_overwritten_before_they_were_copied(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Endless):
        reader = SimpleNamespace(overwritten=0)

        def _read(self, start: int, n: int, out: np.ndarray) -> Any:
            self.reader.overwritten += start < 500
            return tuple(validity.clip(spans, max(start, 500), start + n)
                         for spans in super()._read(start, n, out))

    monkeypatch.setattr(triggers, "_check_ring", lambda *_: None)
    reports: list[dict[str, Any]] = []
    cutter = triggers.Cutter(Slow(noise(np.random.default_rng(1), 5000)), Fraction(1),
                             reports.append)
    for name, rows in (("whole", (1000, 2000)), ("part", (400, 2000))):
        cutter.cut(str(tmp_path / f"{name}.h5"), rows)
    cutter.close()
    assert [list(each) for each in reports] == [["wrote", "file_rows"]] * 2 + [["error"]]
    assert "part.h5: some of its rows were overwritten" in reports[2]["error"]
    assert fs.open(tmp_path / "part.h5").read().valid[0].tolist() == [[100, 1600]]


def test_candidates_that_come_together_are_in_the_tables_of_their_times(
        samples: Path, tmp_path: Path) -> None:
    chain = fs.open(samples / "frb_carrier_16MHz.h5").channelize(64).detect("I").stream
    reports: list[dict[str, Any]] = []
    made = searching(chain, Settings(str(tmp_path), bursts="0:600", roll_s=Fraction(1, 100)), "",
                     reports.append, None)
    made._piece_start = chain.start_time
    seconds = [0.004, 0.005, 0.017]
    for n in (3, 1):  # of the second batch, only the last one is new
        made._tabulate(candidates(n, time=chain.start_time + np.array(seconds[-n:]) * u.s))
    tables = [read_candidates(path) for path in sorted(tmp_path.glob("bursts*.ecsv"))]
    assert [len(each) for each in tables] == [2, 2]
    assert [each["file_rows"] for each in reports] == [2, 1]


def test_events_that_were_left_out_are_reported(samples: Path, tmp_path: Path) -> None:
    chain = fs.open(samples / "frb_carrier_16MHz.h5").channelize(64).detect("I").stream
    reports: list[dict[str, Any]] = []
    made = searching(chain, Settings(str(tmp_path), bursts="0:600"), "", reports.append, None)
    made._sink(chain)
    made._follower.n_dropped = 3
    made._ended(None, None)
    assert "3 fainter events were left out" in reports[0]["note"]


def test_bursts_are_found_in_stokes_parameters(samples: Path, tmp_path: Path) -> None:
    live = Endless(recorded(samples), fs.open(samples / "frb_carrier_16MHz.h5").header)
    settings = Settings(str(tmp_path), bursts="0:600", n_chan=64, time="64us", threshold=20.0,
                        products="IQUV")
    reports: list[dict[str, Any]] = []
    made = searching(_Spectra(settings, "").chain(live), settings, "", reports.append, None)
    assert made.chain.endless and made.chain.polarization.names == ("I",)


def test_a_ring_that_does_not_keep_enough(tmp_path: Path) -> None:
    layout = fast_adc()
    keeping = Settings("x", bursts="0:1", keep_s=Fraction(20))
    with pytest.raises(PlanError, match=r"the ring requires 53\.3 GB; memory= is 8 GB"):
        ring_bytes(Settings(**{**vars(keeping), "memory": 8 * 10**9}), layout)
    with pytest.raises(PlanError, match=r"2 GB/s requires ring=.53334MB. or more; it is"):
        ring_bytes(Settings(**{**vars(keeping), "ring_bytes": 10**9}), layout)
    for second in (Fraction(1), Fraction(1, 3)):  # slots are whole
        n_bytes = ring_bytes(Settings("x", bursts="0:1", keep_s=20 * second), fast_adc(
            sample_rate="100MHz"))
        assert 0 <= n_bytes - 20 * second * 200_000_000 * 4 / 3 < 8192 and n_bytes % 8192 == 0
    ring = byte_ring("a pipe", 2**22)
    data = RingBytes(ring)
    ring.space()[: 2**12] = 0
    ring.advance(2**12)
    stream = open_bytes("a pipe", data, RingFiles(data), GIVEN)
    settings = Settings(str(tmp_path), bursts="0:600", n_chan=64, keep_s=Fraction(1))
    with pytest.raises(PlanError, match=r"of a pipe requires ring=.86MB. or more; .* has 4"):
        searching(_Spectra(settings, "").chain(stream), settings, "", print, stream)
    ring.close()


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_lines_go_to_a_socket(tmp_path: Path, kind: int) -> None:
    place = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX, kind) as server:
        server.bind(place)
        if kind == socket.SOCK_STREAM:
            server.listen()
        post('{"dm": 3}', place)
        connection = server.accept()[0] if kind == socket.SOCK_STREAM else server
        assert json.loads(connection.recv(100)) == {"dm": 3}
        connection.close()
    with pytest.raises(OSError):
        post('{"dm": 3}', place)


def test_a_fifo_that_nobody_reads_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError):
        post('{"dm": 3}', str(tmp_path / "fifo"))
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    post('{"dm": 3}', str(tmp_path / "fifo"))
    assert os.read(reader, 100) == b'{"dm": 3}\n'
    os.close(reader)


LINE = {"time": "2026-01-01T00:00:00.040012", "time_s": 0.040012, "dm": 299.25, "dm_error": 0.5,
        "width": 0.002, "snr": 31.5, "low_mhz": 1398.0, "high_mhz": 1414.0, "source": "udp://:1",
        "label": "s1", "beam": 3, "telescope": "FAST", "ra_deg": None, "dec_deg": -1.5, "raw": "<&"}


def test_a_burst_as_voevent() -> None:
    text = document(LINE, "ivo://example.org/bursts", "2026-01-01T00:00:01.234")
    assert "\n" not in text
    event = ET.fromstring(text)
    assert event.tag == "{http://www.ivoa.net/xml/VOEvent/v2.0}VOEvent"
    assert event.get("ivorn") == "ivo://example.org/bursts#s1-2026-01-01T00:00:00.040012-DM299.25"
    assert [each.tag for each in event] == ["Who", "What", "WhereWhen"]
    assert event.findtext("Who/AuthorIVORN") == "ivo://example.org"
    assert event.findtext("Who/Date") == "2026-01-01T00:00:01"
    found = {each.get("name"): (each.get("value"), each.get("unit"), each.get("dataType"))
             for each in event.iter("Param")}
    assert found["dm"] == ("299.25", "pc/cm^3", "float") and found["width"][:2] == ("2.0", "ms")
    assert found["centre_frequency"][:2] == ("1406.0", "MHz") and found["beam"][::2] == ("3", "int")
    assert found["dec"][0] == "-1.5" and "ra" not in found and found["raw_data"][0] == "<&"
    time = event.find("WhereWhen/ObsDataLocation/ObservationLocation/AstroCoords/Time")
    assert time is not None and time.findtext("TimeInstant/ISOTime") == LINE["time"]


def test_documents_are_valid() -> None:
    """They follow the schema of VOEvent 2.0, as another package states it."""
    peer = pytest.importorskip("voeventparse")
    text = document(LINE, "ivo://example.org/bursts", "2026-01-01T00:00:01.234")
    peer.assert_valid_as_v2_0(peer.loads(text.encode()))


@pytest.mark.parametrize("wrong", ["bursts", "ivo://x", "ivo://example.org/", "ivo://a.b/c#d"])
def test_streams_of_voevent(wrong: str) -> None:
    with pytest.raises(UsageError, match="allowed: ivo://AUTHORITY/STREAM"):
        check_stream(wrong)
