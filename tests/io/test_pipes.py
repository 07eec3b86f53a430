"""Voltages through pipes: the products are those of files, and nothing waits for the end."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streams import MemoryVoltages, header, noise

import fastsig as fs
from fastsig.io.live.pipes import open_pipe
from fastsig.run import fitting
from fastsig.run.engine import run
from fastsig.run.spectra_file import SpectraFile
from fastsig.stream import Block, Sink, Stream

RAW = {"n_bits": 8, "n_pol": 2, "sample_rate": "1MHz", "start_time": "2026-01-02T00:00:00",
       "frequency": "1400.25MHz"}


def chain(stream: Stream) -> Stream:
    return fs.Chain(stream).channelize(16).detect("AABB").integrate(n_int=7).stream


def feeding(path: Path, pieces: Callable[[], Any]) -> threading.Thread:
    """Write pieces into a pipe, on a thread."""
    os.mkfifo(path)

    def work() -> None:
        with open(path, "wb", buffering=0) as pipe:
            for piece in pieces():
                pipe.write(piece)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def in_pieces(data: bytes, step: int = 70_001) -> Callable[[], Any]:
    return lambda: (data[first : first + step] for first in range(0, len(data), step))


@pytest.mark.parametrize("name", ["x.bin", "x.dada", "x.vdif", "x.raw"])
def test_products_are_those_of_files(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
                                     ) -> None:
    monkeypatch.setattr(fitting, "_UNIT_BYTES", 40_000)
    rng = np.random.default_rng(1)
    data = noise(rng, 60_000) if name != "x.raw" else (
        noise(rng, 2 * 20_000 * 8).reshape(-1, 2, 8, 2) @ np.array([1, 1j])).astype(np.complex64)
    file = tmp_path / name
    about = header(is_complex=name == "x.raw", n_chan=8 if name == "x.raw" else 1,
                   start="2026-01-02T00:00:00")
    if name == "x.bin":
        data.tofile(file)
    else:
        fs.Chain(MemoryVoltages(data, about)).write(file, lossy=True, file_bytes=None)
    given = RAW if name == "x.bin" else {"frequency": "1400.25MHz"} if name == "x.vdif" else {}
    feeder = feeding(tmp_path / "pipe", in_pieces(file.read_bytes()))
    stream = open_pipe(str(tmp_path / "pipe"), **given)
    assert stream.endless and stream.format_name == {"x.bin": "raw", "x.raw": "guppi"}.get(
        name, name[2:])
    run([SpectraFile(chain(stream), tmp_path / "pipe.h5")], workers=2)
    feeder.join()
    whole = MemoryVoltages(data, stream.header) if name == "x.bin" else fs.open(
        file, **given).stream
    run([SpectraFile(chain(whole), tmp_path / "file.h5")])
    found, expected = (fs.open(tmp_path / each).stream for each in ("pipe.h5", "file.h5"))
    assert found.header == expected.header and found.shape == expected.shape
    np.testing.assert_array_equal(found.read().data, expected.read().data)


class Counted(Sink):
    """Counts rows, and notes when the first came."""

    name = "count"
    takes_endless = True
    rows, first = 0, 0.0

    def merge(self, part: Block) -> None:
        self.first = self.first or time.monotonic()
        self.rows += part.n

    def finish(self, n_rows: int) -> int:
        return n_rows

    @property
    def satisfied(self) -> bool:  # type: ignore[override]
        return self.rows > 5000


def test_spectra_do_not_wait_for_more(tmp_path: Path) -> None:
    """A pipe without an end, which sends less than a unit and then pauses."""
    begun, paused, data = [], threading.Event(), noise(np.random.default_rng(1), 300_000).tobytes()

    def pieces() -> Any:
        begun.append(time.monotonic())
        yield data
        assert paused.wait(30)

    feeder = feeding(tmp_path / "pipe", pieces)
    stream = open_pipe(str(tmp_path / "pipe"), **RAW)
    sink = Counted(fs.Chain(stream).channelize(16).detect("AABB").stream)
    run([sink])
    paused.set()
    feeder.join()
    assert sink.rows < 300_000 / 32 and sink.first - begun[0] < 5


def test_an_endless_pipe_takes_constant_memory(tmp_path: Path) -> None:
    """The ring is a hundredth of what comes, and rows that were processed make room."""
    piece = noise(np.random.default_rng(1), 2**20).tobytes()
    feeder = feeding(tmp_path / "pipe", lambda: (piece for _ in range(32)))
    stream = open_pipe(str(tmp_path / "pipe"), capacity=2**23, **RAW)
    assert run([Total(stream)], workers=1) == [32 * 2**20]
    feeder.join()


class Total(Sink):
    """Counts rows."""

    name = "count"
    takes_endless = True

    def merge(self, part: Block) -> None:
        assert all(spans.tolist() == [[part.start, part.start + part.n]] for spans in part.valid)

    def finish(self, n_rows: int) -> int:
        return n_rows


def test_what_cannot_be_read(tmp_path: Path) -> None:
    for data, given, text in (
            (b"", {}, "the pipe has no sample"),
            (b"x" * 5000, {}, "samples in a pipe have no header; give n_bits=8"),
            (b"x" * 5000, {"n_bits": 8}, "give sample_rate='1GHz'")):
        feeder = feeding(tmp_path / "pipe", in_pieces(data)) if "n_bits" not in given else None
        with pytest.raises(fs.FormatError, match=text):
            open_pipe(str(tmp_path / "pipe"), **given)
        if feeder is not None:
            feeder.join()
            (tmp_path / "pipe").unlink()


def test_a_ring_that_is_too_small(tmp_path: Path) -> None:
    feeder = feeding(tmp_path / "pipe", in_pieces(bytes(2**20)))
    stream = open_pipe(str(tmp_path / "pipe"), capacity=2**18, **RAW)
    with pytest.raises(fs.PlanError, match="bytes are needed at a time; the ring has 262144"):
        stream.come(200_000, 0.1)
    stream.release(190_000)
    assert stream.come(200_000, 5)
    stream.release(2**19)
    feeder.join()
