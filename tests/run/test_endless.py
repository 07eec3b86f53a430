"""Streams whose end is not known: rows come while a pass runs, and the products are a file's."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from dispersed import head, values
from streams import Collected, MemorySpectra, MemoryVoltages, header, noise

import fastsig as fs
from fastsig.axes import validity
from fastsig.axes.polarization import PRODUCTS, PolBasis
from fastsig.io.hdf5.shortened import lookup3
from fastsig.io.native.writer import NativeWriter
from fastsig.reductions.folding.predictors import constant_period
from fastsig.reductions.folding.sink import Fold
from fastsig.run import fitting
from fastsig.run.engine import run
from fastsig.run.products import products
from fastsig.run.spectra_file import SpectraFile
from fastsig.run.voltage_file import VoltageFile
from fastsig.stages.flag import Flag
from fastsig.stages.integrate import Integrate
from fastsig.stages.piece import Piece
from fastsig.stages.velocity_frame import VelocityFrame
from fastsig.stream import ENDLESS, Aligned, Stream


class Arriving:
    """Rows that come from another thread, some at a time, until it says that there are no more."""

    def begin(self, total: int) -> None:
        self._total, self._come, self._over = total, 0, False
        self._news = threading.Condition()
        self.shape = (ENDLESS, *self.shape[1:])  # type: ignore[has-type]

    @property
    def endless(self) -> bool:
        return True

    def send(self, step: int) -> threading.Thread:
        def work() -> None:
            while self._come < self._total:
                with self._news:
                    self._come = min(self._total, self._come + step)
                    self._over = self._come == self._total
                    self._news.notify_all()

        thread = threading.Thread(target=work)
        thread.start()
        return thread

    def arrived(self, stop: int) -> int:
        with self._news:
            assert self._news.wait_for(lambda: self._come >= stop or self._over, timeout=60)
            return min(stop, self._come)


class LiveVoltages(Arriving, MemoryVoltages):
    def __init__(self, data: np.ndarray) -> None:
        MemoryVoltages.__init__(self, data, header())
        self.begin(len(data))

    def _read(self, start: int, n: int, out: np.ndarray) -> Any:
        assert start + n <= self._come, "rows are read before they have come"
        return super()._read(start, n, out)


class LiveSpectra(Arriving, MemorySpectra):
    def __init__(self, data: np.ndarray, about: Any) -> None:
        MemorySpectra.__init__(self, data, about)
        self.begin(len(data))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_UNIT_BYTES", 20_000)


def same(found: Any, expected: Any) -> None:
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("n_int", [1, 7, 300])
@pytest.mark.parametrize("step", [999, 50_000])
def test_voltages_to_spectra_as_from_a_file(n_int: int, step: int) -> None:
    data = noise(np.random.default_rng(1), 50_001)

    def chain(source: Stream) -> Stream:
        return fs.Chain(source).channelize(16).detect("AABB").integrate(n_int=n_int).stream

    live = LiveVoltages(data)
    sender = live.send(step)
    found, = run([Collected(chain(live))], workers=2)
    sender.join()
    same(found, run([Collected(chain(MemoryVoltages(data, header())))])[0])


def test_voltages_of_channels_as_from_a_file() -> None:
    data = noise(np.random.default_rng(1), 20_001)

    class Samples(Collected):
        def finish(self, n_rows: int) -> Any:
            assert sum(block.n for block in self.blocks) == n_rows
            return (np.concatenate([block.data for block in self.blocks]),)

    def chain(source: Stream) -> Stream:
        return fs.Chain(source).channelize(16, oversample="4/3").synthesize().stream

    live = LiveVoltages(data)
    sender = live.send(999)
    found, = run([Samples(chain(live))], workers=2)
    sender.join()
    same(found, run([Samples(chain(MemoryVoltages(data, header())))])[0])


@pytest.mark.parametrize("n_rows", [1000, 1010, 1049, 1050, 1099])
def test_segments_of_flags_as_from_a_file(n_rows: int) -> None:
    """The last segment takes a rest of less than half: it waits for what comes."""
    rng = np.random.default_rng(3)
    data = rng.normal(100, 1, (n_rows, 1, 32)).astype(np.float32)
    data[-30:, 0, 5] += 40
    about = header(1000, n_chan=32).replace(polarization=PolBasis("linear", PRODUCTS["I"]),
                                            n_bits=32)

    def chain(source: Stream) -> Stream:
        return Integrate(Flag(source, n_segment=100, width=9), n_int=3)

    live = LiveSpectra(data, about)
    sender = live.send(17)
    found, = run([Collected(chain(live))], workers=2)
    sender.join()
    same(found, run([Collected(chain(MemorySpectra(data, about)))])[0])


def test_aligned_beams_that_end_apart() -> None:
    rng = np.random.default_rng(3)
    about = header(1000, n_chan=4).replace(polarization=PolBasis("linear", PRODUCTS["I"]),
                                           n_bits=32)
    beams = [rng.normal(100, 1, (n, 1, 4)).astype(np.float32) for n in (4000, 2500)]

    class Rows(Collected):
        def finish(self, n_rows: int) -> Any:
            return n_rows, np.concatenate([block.valid[1] for block in self.blocks])

    live = [LiveSpectra(data, about) for data in beams]
    senders = [stream.send(13) for stream in live]
    n_rows, weight = run([Rows(Aligned(live))], workers=2)[0]
    for sender in senders:
        sender.join()
    assert n_rows == 4000 and (weight[:2500] == 1).all() and (weight[2500:] == 0).all()


def test_who_needs_an_end_says_so(tmp_path: Path) -> None:
    live = LiveVoltages(noise(np.random.default_rng(1), 5000))
    chain = fs.Chain(live).channelize(16).detect("I")
    assert chain.stream.endless and np.isinf(chain.stream.duration.value)
    with pytest.raises(fs.UsageError, match="not known"):
        _ = chain.stream.stop_time
    with pytest.raises(fs.PlanError, match="write needs the number of rows; select rows first"):
        run(products([chain], [tmp_path / "x.fits"], lossy=True))
    with pytest.raises(fs.PlanError, match="frame needs to know the end of the stream"):
        VelocityFrame(chain.stream, "lsrk")
    sender = live.send(100)
    chain.select(rows=(0, 20)).write(tmp_path / "x.h5")  # rows that end
    sender.join()
    assert fs.open(tmp_path / "x.h5").shape == (20, 1, 16)


@pytest.mark.parametrize("kind", ["aligned", "series", "planes"])
def test_dispersion_is_removed_as_from_a_file(kind: str) -> None:
    def chain(source: Stream) -> Stream:
        made = fs.Chain(source)
        return {"aligned": lambda: made.dedisperse(8), "planes": lambda: made.planes("0:8:0.3"),
                "series": lambda: made.dedisperse(8).to_series()}[kind]().stream

    data = values(900)
    live = LiveSpectra(data, head())
    sender = live.send(77)
    found, = run([Collected(chain(live))], workers=2)
    sender.join()
    expected, = run([Collected(chain(MemorySpectra(data, head())))], workers=1)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(np.broadcast_to(found[1], found[0].shape),
                                  np.broadcast_to(expected[1], found[0].shape))


def spectra_chain(source: Stream) -> Stream:
    return fs.Chain(source).channelize(16).detect("AABB").integrate(n_int=7).stream


@pytest.mark.parametrize("name", ["x.h5", "x.fil"])
def test_spectra_are_written_as_they_come(tmp_path: Path, name: str) -> None:
    data = noise(np.random.default_rng(1), 50_001)
    live = LiveVoltages(data)
    sender = live.send(999)
    run([SpectraFile(spectra_chain(live), tmp_path / name, lossy=True)], workers=2)
    sender.join()
    (tmp_path / "file").mkdir()
    chain = spectra_chain(MemoryVoltages(data, header()))
    run([SpectraFile(chain, tmp_path / "file" / name, lossy=True)])
    found, expected = (fs.open(each / name) for each in (tmp_path, tmp_path / "file"))
    assert found.shape == expected.shape and found.stream.header == expected.stream.header
    same((found.stream.read().data,), (expected.stream.read().data,))
    if name == "x.fil":
        assert (tmp_path / name).read_bytes() == (tmp_path / "file" / name).read_bytes()


@pytest.mark.parametrize("n", [3000, 2000])
def test_pieces_are_the_files_of_their_rows(tmp_path: Path, n: int) -> None:
    """A piece that came whole is that of a recording, byte for byte; the last ends early."""
    data = noise(np.random.default_rng(1), 90_001)
    live, whole = LiveVoltages(data), MemoryVoltages(data, header())
    sender, first, made = live.send(999), 0, []
    while not made or made[-1] == n:
        piece = Piece(spectra_chain(live), first, n)
        name = tmp_path / f"{first}.h5"
        run([SpectraFile(piece, name)], workers=2)
        made.append(fs.open(name).shape[0])
        chain = fs.Chain(spectra_chain(whole)).select(rows=(first, first + made[-1]))
        run([SpectraFile(chain.stream, tmp_path / "file.h5", overwrite=True)])
        if made[-1] == n:
            assert name.read_bytes() == (tmp_path / "file.h5").read_bytes()
        found, expected = fs.open(name), fs.open(tmp_path / "file.h5")
        assert found.stream.header == expected.stream.header
        same((found.stream.read().data,), (expected.stream.read().data,))
        first += n
    sender.join()
    assert sum(made) == spectra_chain(whole).shape[0]


def test_voltages_are_recorded_in_pieces(tmp_path: Path) -> None:
    data = noise(np.random.default_rng(1), 50_001)
    lost = (np.array([[0, 30_000], [41_000, 50_001]]), np.array([[0, 50_001]]))
    live, whole = LiveVoltages(data), MemoryVoltages(data, header(), lost)
    live.spans = lost
    sender = live.send(999)
    for first in (0, 20_000, 40_000):
        run([VoltageFile(Piece(live, first, 20_000), tmp_path / "x.h5", overwrite=True)])
        n = min(20_000, 50_001 - first)
        expected = fs.Chain(whole).select(rows=(first, first + n))
        known = (validity.full(0, n),) * 2
        run([VoltageFile(expected.stream, tmp_path / "y.h5", surveyed=known, overwrite=True)])
        if n == 20_000:
            assert (tmp_path / "x.h5").read_bytes() == (tmp_path / "y.h5").read_bytes()
        found, expected = (fs.open(tmp_path / name).stream for name in ("x.h5", "y.h5"))
        assert found.header == expected.header and found.shape == expected.shape
        for one, two in zip(*(each.read_block(0, n).valid for each in (found, expected)),
                            strict=True):
            np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(found.read().data, expected.read().data)
        found.verify()  # all checksums
    sender.join()


def test_a_piece_is_folded_to_its_end() -> None:
    rng = np.random.default_rng(3)
    about = header(1000, n_chan=8).replace(polarization=PolBasis("linear", PRODUCTS["I"]),
                                           n_bits=32)
    data = rng.normal(100, 1, (4300, 1, 8)).astype(np.float32)
    live, whole = LiveSpectra(data, about), MemorySpectra(data, about)
    sender = live.send(77)
    for first, n in ((0, 2000), (2000, 2000), (4000, 300)):
        by = [constant_period(whole, "0.1s", dm=10)]
        found, = run([Fold(Piece(live, first, 2000), by, n_bin=32, subint="0.5s")])[0]
        chain = fs.Chain(whole).select(rows=(first, first + n)).stream
        expected, = run([Fold(chain, by, n_bin=32, subint="0.5s")])[0]
        np.testing.assert_array_equal(found.data, expected.data)
        np.testing.assert_array_equal(found.weights, expected.weights)
        assert found.header == expected.header and found.provenance == expected.provenance
    sender.join()


@pytest.mark.parametrize("n_time", [0, 1, 700_000, 1_000_000])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_native_file_that_ends_early(tmp_path: Path, n_time: int, channels: int) -> None:
    about = header(is_complex=True, n_chan=channels)
    rng = np.random.default_rng(1)
    data = rng.integers(-100, 100, (n_time, 2, *([channels] if channels > 1 else []), 2), np.int8)
    path = tmp_path / "x.h5"
    with NativeWriter(path, about, 1_000_000) as writer:
        for first in range(0, n_time, 300_000):
            writer.append(data[first : first + 300_000])
        writer.end_at(n_time)
    stream = fs.open(path).stream
    assert stream.shape[0] == n_time
    stream.verify()
    with h5py.File(path, "r") as file:  # as any other program reads it
        np.testing.assert_array_equal(file["voltage/1"], data[:, 1])
    assert os.stat(path).st_blocks * 512 < 4 * max(1, channels) * n_time + 2**17


def test_the_checksum_of_headers() -> None:
    """Values of Jenkins' own program."""
    assert lookup3(b"") == 0xDEADBEEF
    assert lookup3(b"Four score and seven years ago") == 0x17770551


def test_voltages_are_recorded_as_dada(tmp_path: Path) -> None:
    data = noise(np.random.default_rng(1), 50_001)
    live, whole = LiveVoltages(data), MemoryVoltages(data, header())
    sender = live.send(999)
    for first in (0, 40_000):
        n = min(40_000, 50_001 - first)
        known = (validity.full(0, 40_000),) * 2
        run([VoltageFile(Piece(live, first, 40_000), tmp_path / "x.dada", lossy=True,
                         surveyed=known, overwrite=True)])
        chain = fs.Chain(whole).select(rows=(first, first + n))
        chain.write(tmp_path / "y.dada", lossy=True, overwrite=True)
        assert (tmp_path / "x.dada").read_bytes() == (tmp_path / "y.dada").read_bytes()
    sender.join()


def test_a_full_disk_ends_a_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written before is complete, checksums included."""
    from fastsig.io.native import reader
    from fastsig.io.native import writer as module

    data, written = noise(np.random.default_rng(1), 3_000_000), []
    original = module.write_from

    def write_from(descriptor: int, samples: np.ndarray, offset: int) -> None:
        written.append(samples.nbytes)
        if len(written) == 6:  # of the second polarisation of the third piece
            raise OSError(errno.ENOSPC, "full")
        original(descriptor, samples, offset)

    monkeypatch.setattr(module, "write_from", write_from)
    for each in (module, reader):
        monkeypatch.setattr(each, "CRC_BLOCK", 100_000)
    writer = NativeWriter(tmp_path / "x.h5", header(), 10**12, early=True)
    with writer:
        for first in range(0, 3_000_000, 700_001):
            writer.append(data[first : first + 700_001])
        assert writer.is_full
        writer.end_at(3_000_000)
        assert [len(table) for table in writer._crc] == [15, 15]
    found = fs.open(tmp_path / "x.h5")
    found.stream.verify()
    np.testing.assert_array_equal(found.read().values, data[:1_400_002])
    for pol, spans in enumerate(found.stream.read_block(0, 1_400_002).valid):
        assert spans.tolist() == [[0, 1_400_002]], pol
