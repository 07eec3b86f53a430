"""FBH5 read and written chunk by chunk, on threads: what HDF5 reads, whatever the packing."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fastsig_kernels.bitshuffle  # noqa: F401 - without, HDF5 reads small files
import h5py
import hdf5plugin
import numpy as np
import pytest
from streams import header

import fastsig as fs
from fastsig.axes.polarization import PolBasis
from fastsig.io.fbh5.sizes import packed_ahead, writer_bytes
from fastsig.io.fbh5.writer import FBH5Writer
from fastsig.io.hdf5 import chunk_writer, direct_rows
from fastsig.io.hdf5.chunk_writer import RowsWriter
from fastsig.io.hdf5.chunks import open_rows
from fastsig.io.hdf5.direct_rows import DirectRows
from fastsig.work import threads

PACKED = dict(hdf5plugin.Bitshuffle())
SHAPE = (100, 2, 1500)


def numbers(kind: str, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    values = np.random.default_rng(2).gamma(40, 2.5, shape)
    return np.minimum(values, 127).astype(kind)


def written(path: Path, data: np.ndarray, **options: Any) -> Path:
    """A file of another program, with HDF5's own filters."""
    with h5py.File(path, "w") as file:
        file.attrs["CLASS"], file.attrs["VERSION"] = "FILTERBANK", "1.0"
        made = file.create_dataset("data", data=data, **options)
        described(made)
    return path


def described(dataset: h5py.Dataset) -> None:
    for key, value in {"fch1": 1500.0, "foff": 0.5, "tsamp": 0.001, "tstart": 57753.5}.items():
        dataset.attrs[key] = value


def check_rows(path: Path, data: np.ndarray, *, direct: bool) -> None:
    """Any rows, in threads of the call and without."""
    with fs.open(path) as chain:
        assert chain.stream._rows.direct is direct
        for start, n in ((0, len(data)), (0, 1), (15, 2), (16, 16), (17, 50), (len(data) - 1, 1),
                         (40, 0)):
            block = chain.stream.read_block(start, n)
            np.testing.assert_array_equal(block.data, data[start : start + n].astype(np.float32))
            assert block.data.dtype == np.float32
        check_bands(chain.stream)


def check_bands(stream: Any) -> None:
    """Some channels alone are those of all channels, weights included."""
    whole, n_chan = stream.read_block(0, stream.shape[0]), stream.shape[2]
    for first, stop in ((0, 1), (n_chan // 3, n_chan // 2 + 7), (n_chan - 5, n_chan)):
        part = stream.narrowed(first, stop)
        block = part.read_block(0, stream.shape[0])
        np.testing.assert_array_equal(block.data, whole.data[:, :, first:stop])
        weight = np.broadcast_to(whole.valid, whole.data.shape)[:, :, first:stop]
        np.testing.assert_array_equal(np.broadcast_to(block.valid, block.data.shape), weight)
        assert part.header.channels == stream.header.channels.sliced(first, stop)


@pytest.mark.filterwarnings("ignore:.*does not name its 2 products")
@pytest.mark.parametrize("fletcher32", [False, True])
@pytest.mark.parametrize("filters", [{}, PACKED, dict(hdf5plugin.Bitshuffle(nelems=64))],
                         ids=["none", "bitshuffle", "blocks of 64"])
@pytest.mark.parametrize(("chunks", "kind"), [
    ((16, 2, 1500), "f4"), ((16, 1, 1024), "f4"), ((1, 1, 16384), "u1"), ((16, 2, 1500), "u1"),
    ((7, 2, 1500), "u2"), ((101, 2, 700), "f8"),
])
def test_chunks_of_any_shape(tmp_path: Path, chunks: tuple[int, ...], kind: str,
                             filters: dict[str, Any], fletcher32: bool) -> None:
    if chunks[2] > SHAPE[2]:
        chunks, data = (1, 1, 32768), numbers(kind, (20, 2, 40_000))
    else:
        data = numbers(kind)
    maxshape = (None,) * 3
    path = written(tmp_path / "x.h5", data, chunks=chunks, maxshape=maxshape,
                   fletcher32=fletcher32, **filters)
    with fs.open(path) as chain:
        np.testing.assert_array_equal(chain.read().values, data.astype(np.float32))
    if len(data) == len(numbers("u1")):
        check_rows(path, data, direct=True)


@pytest.mark.filterwarnings("ignore:.*does not name its 2 products")
@pytest.mark.parametrize(("kind", "options"), [
    ("f4", {"compression": "gzip"}), ("f4", {"compression": "lzf", "shuffle": True}),
    ("f4", dict(hdf5plugin.Bitshuffle(cname="zstd"))), ("f4", dict(hdf5plugin.Bitshuffle(
        cname="none"))), (">f4", PACKED), ("i2", {"scaleoffset": 0}),
    ("f2", {"compression": "gzip"}),
], ids=["gzip", "lzf", "zstd", "no LZ4", "big endian", "scale-offset", "half"])
def test_other_packings_go_through_hdf5(tmp_path: Path, kind: str, options: dict[str, Any]) -> None:
    data = numbers(kind)
    path = written(tmp_path / "x.h5", data, chunks=(16, 2, 1500), **options)
    check_rows(path, data, direct=False)


def test_places_that_are_not_those_of_bytes(tmp_path: Path) -> None:
    """Behind a user block, and in memory."""
    for options in ({"userblock_size": 512}, {"driver": "core"}):
        with h5py.File(tmp_path / "x.h5", "w", **options) as file:
            data = file.create_dataset("x", data=numbers("f4"), chunks=(16, 2, 1500), **PACKED)
            rows = open_rows(data, "x.h5", threading.Lock())
            assert not rows.direct
            np.testing.assert_array_equal(rows.read(0, 100), numbers("f4"))


@pytest.mark.filterwarnings("ignore:.*does not name its 2 products")
def test_contiguous(tmp_path: Path) -> None:
    data = numbers("f4")
    check_rows(written(tmp_path / "x.h5", data), data, direct=False)


@pytest.mark.filterwarnings("ignore:.*does not name its 2 products")
def test_chunks_that_are_missing_or_not_packed(tmp_path: Path) -> None:
    """Fill values, and a mask that tells which filters were left out."""
    data = numbers("f4")
    path = written(tmp_path / "x.h5", data[:0], chunks=(16, 2, 1500), maxshape=(None, 2, 1500),
                   fillvalue=7, fletcher32=True, **PACKED)
    with h5py.File(path, "a") as file:
        file["data"].resize(SHAPE)
        file["data"][32:] = data[32:]
        file["data"].id.write_direct_chunk((16, 0, 0), data[16:32].tobytes(), filter_mask=3)
        data[:16] = 7
        np.testing.assert_array_equal(file["data"][()], data)
    check_rows(path, data, direct=True)


@pytest.mark.filterwarnings("ignore:.*does not name its 2 products")
def test_a_flip_anywhere_in_a_chunk_is_told(tmp_path: Path) -> None:
    data = numbers("f4")
    path = written(tmp_path / "x.h5", data, chunks=(16, 2, 1500), fletcher32=True, **PACKED)
    with h5py.File(path) as file:
        info = file["data"].id.get_chunk_info(2)
    whole, rng = path.read_bytes(), np.random.default_rng(1)
    ends = [info.byte_offset, info.byte_offset + info.size - 1]
    for place in [*ends, *rng.integers(*ends, 20)]:
        changed = bytearray(whole)
        changed[place] ^= 1 << rng.integers(8)
        path.write_bytes(changed)
        with fs.open(path) as chain:
            np.testing.assert_array_equal(chain.stream.read_block(0, 32).data, data[:32])
            with pytest.raises(fs.DataError,
                               match=rf"x\.h5: /data, spectra 40 to 48: .*{info.byte_offset} has "
                               "the checksum"):
                chain.stream.read_block(40, 10)


@pytest.mark.filterwarnings("ignore:.*does not name its 2 products")
def test_without_checksums_as_hdf5_or_an_error(tmp_path: Path) -> None:
    path = written(tmp_path / "x.h5", numbers("f4"), chunks=(100, 2, 1500), **PACKED)
    with h5py.File(path) as file:
        info = file["data"].id.get_chunk_info(0)
    whole, rng, errors = path.read_bytes(), np.random.default_rng(1), 0
    for _ in range(60):
        changed = bytearray(whole)
        first = info.byte_offset if rng.random() < 0.9 else info.byte_offset + info.size - 200
        changed[rng.integers(first, first + 200)] ^= 1 << rng.integers(8)
        path.write_bytes(changed)
        try:
            with fs.open(path) as chain:
                found = chain.stream.read_block(0, 100).data
        except fs.DataError as error:
            assert "x.h5: /data, spectra 0 to 100: the chunk cannot be unpacked" in str(error)
            errors += 1
            continue
        with h5py.File(path) as file:
            np.testing.assert_array_equal(found, file["data"][()])
    assert 5 < errors < 55


@pytest.mark.filterwarnings("ignore:.*does not name its 2 products")
def test_a_place_beyond_the_end(tmp_path: Path) -> None:
    path = written(tmp_path / "x.h5", numbers("f4"), chunks=(100, 2, 1500), **PACKED)
    with h5py.File(path) as file:
        rows = open_rows(file["data"], str(path), threading.Lock())
        assert isinstance(rows, DirectRows)
        table = rows._listed().copy()
        for column, value, told in ((1, 2**62, "x.h5: "), (2, 2**62, "has 4611686018427387904"),
                                    (1, path.stat().st_size - 5, "ends at byte"),
                                    (2, 3, "cannot be unpacked")):
            rows._table = table.copy()
            rows._table[0, column] = value
            with pytest.raises(fs.DataError, match=told):
                rows.read(0, 10)
        rows.close()


@pytest.mark.filterwarnings("ignore:.*does not name its 2 products")
def test_many_threads_and_closing(tmp_path: Path) -> None:
    data = numbers("f4")
    path = written(tmp_path / "x.h5", data, chunks=(8, 2, 1500), fletcher32=True, **PACKED)
    chain = fs.open(path)

    def read(start: int) -> None:
        n = min(23, len(data) - start)
        np.testing.assert_array_equal(chain.stream.read_block(start, n).data,
                                      data[start : start + n])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(read, [7 * i % 90 for i in range(200)]))
        futures = [pool.submit(read, i % 90) for i in range(200)]
        chain.close()
        told = [str(error) for future in futures if (error := future.exception())]
    assert told and all(text.endswith("x.h5: the stream is closed") for text in told)
    with pytest.raises(fs.DataError, match="the stream is closed"):
        read(0)


@pytest.mark.filterwarnings("ignore:.*does not name its 2 products")
def test_small_files_do_not_wait_for_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch
                                              ) -> None:
    data = numbers("f4")
    path = written(tmp_path / "x.h5", data, chunks=(16, 2, 1500), **PACKED)
    monkeypatch.delitem(sys.modules, direct_rows._KERNELS)
    monkeypatch.setattr(direct_rows, "_PAYS", 2 * data.nbytes)
    calls: list[int] = []
    real = DirectRows._put
    monkeypatch.setattr(DirectRows, "_put",
                        lambda *args: (calls.append(1), real(*args)))
    with fs.open(path) as chain:
        for expected in (0, 0, 7):
            np.testing.assert_array_equal(chain.read().values, data)
            assert len(calls) == expected


def test_spread_over_threads() -> None:
    names: set[str] = set()
    both = threading.Barrier(2)

    def work(item: int) -> None:
        names.add(threading.current_thread().name)
        if item < 2 and len(names) <= 2:
            both.wait(20)

    real = threads.os.sched_getaffinity
    threads.os.sched_getaffinity = lambda pid: {0, 1}  # type: ignore[assignment]
    try:
        threads.spread(work, range(2))
        assert len(names) == 2 and threading.current_thread().name not in names
        begun = []

        def fails(item: int) -> None:
            begun.append(item)
            time.sleep(0.001)
            if item == 3:
                raise ValueError("third")

        with pytest.raises(ValueError, match="third"):
            threads.spread(fails, range(1000))
        assert len(begun) < 20
        names.clear()
        with ThreadPoolExecutor(1, "pooled", threads.enter_pool) as pool:
            pool.submit(threads.spread, lambda _: names.add(threading.current_thread().name),
                        range(9)).result()
        assert names == {"pooled_0"}
    finally:
        threads.os.sched_getaffinity = real


# Writing.

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write spectra, some at a time, packed here however few they are."""
    monkeypatch.setattr(chunk_writer, "_PAYS", 0)

    def make(data: np.ndarray, weight: np.ndarray, step: int, name: str = "a.h5",
             **options: Any) -> Path:
        names = ("I", "Q", "U", "V")[: data.shape[1]]
        head = header(n_pol=1, n_chan=data.shape[2]).replace(
            polarization=PolBasis("linear", names))
        with FBH5Writer(tmp_path / name, head, data.shape, weight_channels=weight.shape[2],
                        provenance={}, **options) as writer:
            for start in range(0, len(data), step):
                writer.append(data[start : start + step], weight[start : start + step])
        return tmp_path / name

    return make


@pytest.mark.parametrize("bits", [32, 8])
@pytest.mark.parametrize(("shape", "ahead"), [
    ((700, 4, 1024), 2), ((5, 1, 2**19 + 3), 2), ((3, 2, 2**21 + 5), 1),
])
def test_hdf5_reads_what_was_packed_here(shape: tuple[int, ...], ahead: int, bits: int,
                                         write: Write, rng: np.random.Generator) -> None:
    data = 6 * rng.standard_normal(shape, np.float32) + 40
    weight = rng.integers(1, 5, shape, np.int8).astype(np.float32) / 4
    path = write(data, weight, 13, bits=bits)
    assert packed_ahead(shape, bits) == (ahead if bits == 32 or ahead == 2 else 0)
    with h5py.File(path) as file, fs.open(path) as chain:
        np.testing.assert_array_equal(file["weights"][()], weight)
        codes = file["data"][()]
        block = chain.read()
        check_bands(chain.stream)
        if bits == 8:
            segments = np.arange(len(codes)) // file["data"].attrs["segment_rows"]
            codes = codes * file["scale"][()].astype(float)[segments] + file["offset"][()][segments]
        for name in ("data", "weights"):
            info = file[name].id.get_chunk_info(0)
            assert info.filter_mask == 0 and file[name].fletcher32
    np.testing.assert_array_equal(block.weight, weight)
    np.testing.assert_array_equal(block.values, codes.astype(np.float32))
    np.testing.assert_allclose(block.values, data, rtol=0, atol=0 if bits == 32 else 2)


@pytest.mark.parametrize("options", [{}, {"bits": 8}, {"blank": "mean"}])
def test_equal_bytes_however_rows_come(options: dict[str, Any], write: Write,
                                       rng: np.random.Generator) -> None:
    data = rng.gamma(40, 1, (900, 4, 1024)).astype(np.float32)
    weight = (rng.random((900, 4, 1)) > 0.1).astype(np.float32)
    data[np.broadcast_to(weight == 0, data.shape)] = np.nan
    one, other = (write(data, weight, step, name, **options).read_bytes()
                  for step, name in ((900, "a.h5"), (37, "b.h5")))
    assert one == other


def test_what_fails_on_the_thread_is_told(write: Write, tmp_path: Path,
                                          monkeypatch: pytest.MonkeyPatch) -> None:
    import fastsig_kernels

    def fails(*args: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fastsig_kernels, "compress_planes", fails)
    data, weight = np.ones((4000, 1, 1024), np.float32), np.ones((4000, 1, 1), np.float32)
    with pytest.raises(fs.OutputError, match="No space left") as told:
        write(data, weight, 50)
    assert told.value.poisoned and not list(tmp_path.iterdir())
    assert not [t for t in threading.enumerate() if t.name.startswith("fastsig-write")]


def test_size_alone_decides_who_packs(tmp_path: Path) -> None:
    """Not what the process did before: equal products have equal bytes."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for n, direct in ((2**13, True), (2**13 - 1, False)):
            made = file.create_dataset(str(n), (n, 1, 2**12), "f4", chunks=(256, 1, 2**12),
                                       **PACKED)
            assert (RowsWriter(made).pack(0, np.zeros((256, 1, 2**12), "f4")) is not None) is direct


def test_memory_of_a_writer() -> None:
    """Three buffers of 4 MiB, and three packed chunks; large buffers are not doubled."""
    assert writer_bytes((10_000, 4, 1024)) == (3 + 4) * 2**22
    assert writer_bytes((16, 1, 2**20), bits=8) == 2**26 + 3 * 2**24 + 2**24
