"""Digital RF: recorded truths, the format's own package as oracle, gaps, fills and damage."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import h5py
import numpy as np
import pytest
from recordings import recorded
from thorough import many
from writers import (
    NONSENSE,
    complex_int,
    write_digital_metadata,
    write_digital_rf,
)

from fastsig.axes.time import iso
from fastsig.axes.validity import count, from_mask
from fastsig.errors import DataError, FastsigError, FastsigWarning, FormatError, UsageError
from fastsig.io.digital_rf import reader as digital_rf
from fastsig.io.probe import Probe

START = 1_400_000_000 * 1000  # of a channel at 1 kHz


def _ramp(n: int, n_sub: int = 1) -> np.ndarray:
    number = np.arange(n)[:, None] + 1000 * np.arange(n_sub)
    return complex_int(number, -number)


def _truth(samples: np.ndarray) -> np.ndarray:
    """The samples as a stream presents them."""
    if samples.dtype.names:
        samples = samples["r"] + np.complex64(1j) * samples["i"]
    return samples.reshape(len(samples), -1)


def _attributes(path: Path, **changes: object) -> None:
    """Change attributes of rf_data, or of the root of a file of properties; None deletes."""
    with h5py.File(path, "a") as file:
        target = file.get("rf_data", file)
        for key, value in changes.items():
            del target.attrs[key]
            if value is not None:
                target.attrs[key] = value


# Recorded files


@pytest.mark.recorded
@pytest.mark.parametrize("name", ["example", "example/ch0", "example/ch0/drf_properties.h5",
                                  "example/ch0/2019-08-29T19-00-00/rf@1567105700.000.h5"])
def test_recorded_example(name: str) -> None:
    path = recorded(f"digital_rf/{name}")
    assert digital_rf.sniff(Probe(path))
    stream = digital_rf.open(path)
    block = stream.read()
    assert stream.shape == (10000, 1)
    assert stream.dtype == np.complex64
    assert iso(stream.start_time) == "2019-08-29T19:08:20.000000000"
    assert stream.header.sample_rate == 10000
    assert stream.header.n_bits == 16
    assert stream.header.is_complex
    # The metadata has the tuner's exact value.
    assert stream.header.channels.first_hz == Fraction("439999999.9999068")
    assert stream.header.channels.step_hz == 10000
    assert stream.header.receiver == "UHD USRP source using GNU Radio"
    assert stream.header.backend == "B210"
    assert block.valid[0].tolist() == [[1, 10000]]
    assert block.data[0, 0] == 0
    assert stream.valid_fraction() is None
    json.dumps(stream.header.extra, allow_nan=False)


@pytest.mark.recorded
def test_recorded_example_samples() -> None:
    channel = recorded("digital_rf/example/ch0")
    (path,) = channel.glob("2019*/rf@*.h5")
    with h5py.File(path) as file:
        raw = file["rf_data"][()]
    assert (raw["r"][0, 0], raw["i"][0, 0]) == (-32768, -32768)
    np.testing.assert_array_equal(digital_rf.open(channel).read().data[1:], _truth(raw)[1:])


@pytest.mark.recorded
def test_recorded_synthetic() -> None:
    stream = digital_rf.open(recorded("digital_rf/synthetic/fc32_x8_n200_d3_10s_1000ms_c1"))
    block = stream.read()
    assert stream.header.sample_rate == Fraction(200, 3)
    assert stream.shape == (1000, 8)
    assert stream.header.polarization.names == tuple(f"ch{n}" for n in range(8))
    assert iso(stream.start_time) == "2014-03-09T12:30:30.000000000"
    assert iso(stream.stop_time) == "2014-03-09T12:30:45.000000000"
    assert stream.header.channels is None
    gap = 92957882334 - 92957882000, 92957882400 - 92957882000
    held = np.zeros((1000, 8), bool)
    for path in sorted(Path(stream.path).glob("2014*/rf@*.h5")):
        with h5py.File(path) as file:
            first = int(file["rf_data_index"][0, 0]) - 92957882000
            rows = file["rf_data"][()]
        held[first : first + len(rows)] = np.isfinite(rows)
    assert not held[gap[0] : gap[1]].any()
    for pol in range(8):
        np.testing.assert_array_equal(block.valid[pol], from_mask(held[:, pol]))
    assert (block.data[~held] == 0).all()
    assert np.isfinite(block.data).all()


# The format's own package

_WRITE = """
import itertools, os, sys, numpy as np, digital_rf as drf
def made(folder, kind, continuous, gaps):
    rng = np.random.default_rng(3)
    n, start = 2500, 1_400_000_000 * 1000 + 123
    complex_ = kind.startswith("c")
    if kind == "ci2":
        data = np.zeros((n, 2), [("r", "<i2"), ("i", "<i2")])
        data["r"], data["i"] = rng.integers(-2000, 2000, (2, n, 2))
    elif kind == "i1":
        data = rng.integers(-100, 100, (n, 2)).astype("i1")
    else:
        data = (rng.normal(size=(n, 2)) + 1j * rng.normal(size=(n, 2))).astype("c8")
    writer = drf.DigitalRFWriter(folder, data.dtype, 3600, 500, start, 1000, 1, "u", 0, False,
        is_complex=complex_, num_subchannels=2, is_continuous=continuous, marching_periods=False)
    pieces = [(0, 700), (1100, 1300), (2600, 1600)] if gaps else [(0, 2500)]
    done = 0
    for at, size in pieces:
        size = min(size, n - done)
        writer.rf_write(data[done : done + size], at)
        done += size
    writer.close()
    top, _, name = folder.rpartition("/")
    reader = drf.DigitalRFReader(top)
    bounds = reader.get_bounds(name)
    blocks = reader.read(bounds[0], bounds[1], name)
    np.savez(top + "/truth.npz", bounds=np.array(bounds),
             **{str(int(key)): value for key, value in blocks.items()})
for kind, continuous, gaps in itertools.product(("ci2", "i1", "c8"), (0, 1), (0, 1)):
    folder = f"{sys.argv[1]}/{kind}-{continuous}-{gaps}/ch"
    os.makedirs(folder)
    made(folder, kind, bool(continuous), bool(gaps))
"""


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of what the package writes of each kind, and what it reads of it."""
    folder = tmp_path_factory.mktemp("theirs")
    subprocess.run([sys.executable, "-c", _WRITE, folder], check=True, capture_output=True)
    return folder


@pytest.mark.skipif(importlib.util.find_spec("digital_rf") is None,
                    reason="the package digital_rf is not installed")
@pytest.mark.parametrize("kind", ["ci2", "i1", "c8"])
@pytest.mark.parametrize(("continuous", "gaps"), [(1, 0), (1, 1), (0, 0), (0, 1)])
def test_against_digital_rf(theirs: Path, kind: str, continuous: int, gaps: int) -> None:
    channel = theirs / f"{kind}-{continuous}-{gaps}" / "ch"
    truth = np.load(channel.parent / "truth.npz")
    first, last = (int(bound) for bound in truth["bounds"])
    stream = digital_rf.open(channel)
    assert stream.shape == (last - first + 1, 2)
    seconds, rest = divmod(first, 1000)
    assert stream.start_time.unix == pytest.approx(seconds + rest / 1000, abs=1e-6)
    block = stream.read()
    want = np.zeros(stream.shape, stream.dtype)
    held = np.zeros(stream.shape, bool)
    for key in truth.files:
        if key != "bounds":
            rows = truth[key]
            at = slice(int(key) - first, int(key) - first + len(rows))
            want[at], held[at] = _truth(rows), ~_lost(rows, bool(continuous))
    want[~held] = 0
    np.testing.assert_array_equal(block.data, want)
    assert count(block.valid[0]) == held[:, 0].sum() == 2500
    np.testing.assert_array_equal(block.valid[0], from_mask(held[:, 0]))


def _lost(rows: np.ndarray, continuous: bool) -> np.ndarray:
    if rows.dtype.kind == "c":
        return np.isnan(rows)
    if not continuous:
        return np.zeros(rows.shape, bool)
    return (rows["r"] == -32768) & (rows["i"] == -32768) if rows.dtype.names else rows == -128


# Types


@pytest.mark.parametrize(
    ("samples", "dtype", "bits"),
    [
        (np.arange(-50, 50, dtype=">i2"), np.int16, 16),
        (np.arange(-50, 50, dtype="i1"), np.int8, 8),
        (np.arange(100, dtype="u1"), np.float32, 8),
        (np.arange(-50, 50, dtype="i4"), np.float32, 32),
        (np.arange(100, dtype="f8"), np.float32, 64),
        (complex_int(np.arange(100), 7, "i1"), np.complex64, 8),
        (complex_int(np.arange(100), 7, ">i4"), np.complex64, 32),
        (np.arange(100) * (1 + 2j), np.complex64, 64),
        (complex_int(np.arange(100), 7, "f4"), np.complex64, 32),
    ],
)
def test_types(tmp_path: Path, samples: np.ndarray, dtype: type, bits: int) -> None:
    write_digital_rf(tmp_path, samples, 1000, START, 1e8)
    stream = digital_rf.open(tmp_path)
    assert stream.dtype == dtype
    assert stream.dtype.isnative
    assert stream.header.n_bits == bits
    assert stream.header.is_complex == (dtype is np.complex64)
    assert stream.header.channels.step_hz == (1000 if dtype is np.complex64 else 500)
    np.testing.assert_array_equal(stream.read().data, _truth(samples).astype(dtype))


def test_overflow_of_float32_is_invalid(tmp_path: Path) -> None:
    write_digital_rf(tmp_path, np.array([1.0, 1e300, 2.0]), 1000, START)
    block = digital_rf.open(tmp_path).read()
    assert block.valid[0].tolist() == [[0, 1], [2, 3]]
    assert block.data[:, 0].tolist() == [1, 0, 2]


def test_least_integer_is_a_sample_in_gapped_files(tmp_path: Path) -> None:
    samples = np.array([1, -128, 3], np.int8)
    write_digital_rf(tmp_path / "gapped", samples, 1000, START)
    write_digital_rf(tmp_path / "full", samples, 1000, START, continuous=True)
    gapped, filled = (digital_rf.open(tmp_path / name) for name in ("gapped", "full"))
    assert gapped.read().valid[0].tolist() == [[0, 3]]
    assert gapped.valid_fraction() == 1
    assert filled.read().valid[0].tolist() == [[0, 1], [2, 3]]
    assert filled.valid_fraction() is None


def test_fill_is_told_apart_by_subchannel(tmp_path: Path) -> None:
    samples = _ramp(5, 2)
    samples[3, 1] = (-32768, -32768)
    samples[4, 1] = (-32768, 0)
    write_digital_rf(tmp_path, samples, 1000, START, continuous=True)
    block = digital_rf.open(tmp_path).read_block(0, 5)
    assert [spans.tolist() for spans in block.valid] == [[[0, 5]], [[0, 3], [4, 5]]]
    assert block.data[3].tolist() == [3 - 3j, 0]


# Gaps, blocks, threads


@pytest.fixture
def gapped(tmp_path: Path) -> tuple[digital_rf.DigitalRFStream, np.ndarray, np.ndarray]:
    samples = _ramp(2400, 3)
    missing = [(100, 250), (251, 252), (700, 1500), (2000, 2001)]
    rate, start = Fraction(400, 3), 120_000_000_000
    write_digital_rf(tmp_path / "ch", samples, rate, start, 1e8, missing=missing)
    held = np.ones(2400, bool)
    for start, stop in missing:
        held[start:stop] = False
    truth = _truth(samples)
    truth[~held] = 0
    return digital_rf.open(tmp_path / "ch"), truth, held


def test_gaps(gapped: tuple) -> None:
    stream, truth, held = gapped
    block = stream.read()
    np.testing.assert_array_equal(block.data, truth)
    for spans in block.valid:
        np.testing.assert_array_equal(spans, from_mask(held))
    assert stream.valid_fraction() == pytest.approx(held.mean())
    assert stream.start_time.unix == pytest.approx(900_000_000, abs=1e-6)
    assert len(stream.files) > 8 >= len(stream._handles._open)


def test_any_blocks_are_the_same(gapped: tuple) -> None:
    stream, truth, held = gapped
    rng = np.random.default_rng(5)
    for start, stop in np.sort(rng.integers(0, 2401, (60, 2)), axis=1).tolist():
        block = stream.read_block(start, stop - start)
        np.testing.assert_array_equal(block.data, truth[start:stop])
        np.testing.assert_array_equal(block.valid[1], from_mask(held[start:stop], start))


def test_out(gapped: tuple) -> None:
    stream, truth, _ = gapped
    out = np.full((500, 3), 9, np.complex64)
    assert np.shares_memory(stream.read_block(600, 500, out).data, out)
    np.testing.assert_array_equal(out, truth[600:1100])


def test_threads(gapped: tuple) -> None:
    stream, truth, _ = gapped
    starts = np.random.default_rng(6).integers(0, 2300, 300).tolist()
    with ThreadPoolExecutor(8) as pool:
        blocks = list(pool.map(lambda start: stream.read_block(start, 100), starts))
    for start, block in zip(starts, blocks, strict=True):
        np.testing.assert_array_equal(block.data, truth[start : start + 100])


def test_threads_with_one_handle(gapped: tuple) -> None:
    stream, truth, _ = gapped
    stream._handles._limit = 1
    starts = np.random.default_rng(7).integers(0, 2390, 400).tolist()
    with ThreadPoolExecutor(8) as pool:
        blocks = list(pool.map(lambda start: stream.read_block(start, 10), starts))
    for start, block in zip(starts, blocks, strict=True):
        np.testing.assert_array_equal(block.data, truth[start : start + 10])


def test_close_and_read_again(gapped: tuple) -> None:
    stream, truth, _ = gapped
    stream.close()
    np.testing.assert_array_equal(stream.read_block(0, 10).data, truth[:10])


def test_other_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_digital_rf(tmp_path / "ch", _ramp(10), 1000, START)
    monkeypatch.chdir(tmp_path)
    stream = digital_rf.open("ch")
    assert digital_rf.open("ch/drf_properties.h5").shape == (10, 1)
    monkeypatch.chdir("/")
    assert count(stream.read().valid[0]) == 10


def test_single_file(tmp_path: Path) -> None:
    files = write_digital_rf(tmp_path, _ramp(2500), 1000, START, 1e8)
    assert digital_rf.sniff(Probe(files[1]))
    stream = digital_rf.open(files[1])
    assert stream.shape == (1000, 1)
    assert stream.start_time.unix == pytest.approx(1_400_000_001, abs=1e-6)
    assert stream.read().data[0, 0] == 1000 - 1000j
    assert stream.header.channels.first_hz == 10**8


# Subchannels and overrides


@pytest.mark.parametrize(("choice", "names"), [(1, "1"), ("2", "2"), ("0,2", "02"), ([2, 0], "20")])
def test_subchannels(gapped: tuple, choice: object, names: str) -> None:
    whole, truth, _ = gapped
    stream = digital_rf.open(whole.path, subchannel=choice)
    assert stream.header.polarization.names == tuple(f"ch{name}" for name in names)
    assert stream.header.polarization.kind == "unknown"
    np.testing.assert_array_equal(stream.read().data, truth[:, [int(name) for name in names]])


@pytest.mark.parametrize("choice", ["3", "-1", "0,0", "", "X", "0;1", 1.5, []])
def test_subchannels_that_are_not_there(gapped: tuple, choice: object) -> None:
    with pytest.raises(UsageError, match=r"subchannel = .*0 to 2"):
        digital_rf.open(gapped[0].path, subchannel=choice)


def test_overrides(tmp_path: Path) -> None:
    write_digital_rf(tmp_path, _ramp(10), 1000, START)
    with pytest.raises(UsageError, match="unknown override 'chanel' for digital_rf"):
        digital_rf.open(tmp_path, chanel=1)
    assert digital_rf.open(tmp_path).header.channels is None
    header = digital_rf.open(tmp_path, frequency="440MHz", sideband="lower", feed="linear").header
    assert header.channels.first_hz == 440_000_000
    assert header.sideband == "lower"
    assert header.polarization.kind == "linear"
    assert header.origin["channels"] == "override"


def test_rate_of_old_files(tmp_path: Path) -> None:
    files = write_digital_rf(tmp_path, _ramp(10), 1000, START)
    for path in (*files, tmp_path / "drf_properties.h5"):
        _attributes(path, sample_rate_numerator=None, sample_rate_denominator=None)
    with pytest.raises(FormatError, match=r"drf_properties.h5: no sample_rate.*give sample_rate="):
        digital_rf.open(tmp_path)
    assert digital_rf.open(tmp_path, sample_rate="1kHz").header.sample_rate == 1000
    for path in (*files, tmp_path / "drf_properties.h5"):
        with h5py.File(path, "a") as file:
            target = file.get("rf_data", file)
            target.attrs["samples_per_second"] = np.uint64(1000)
    assert digital_rf.open(tmp_path).header.sample_rate == 1000


# Metadata


def test_metadata_in_force_at_the_start(tmp_path: Path) -> None:
    write_digital_rf(tmp_path, _ramp(3000), 1000, START)
    write_digital_metadata(tmp_path / "metadata", Fraction(1000),
                           {START - 9000: 1e8, START - 4000: 2e8, START + 5000: 3e8})
    header = digital_rf.open(tmp_path).header
    assert header.channels.first_hz == 200_000_000
    assert header.receiver == "test receiver"
    assert header.origin["channels"] == (
        f"metadata@1399999996.h5:{START - 4000}/center_frequencies")


def test_metadata_of_an_earlier_file(tmp_path: Path) -> None:
    write_digital_rf(tmp_path, _ramp(100), 1000, START + 200)
    write_digital_metadata(tmp_path / "metadata", Fraction(1000),
                           {START - 4000: 1e8, START + 500: 2e8})
    assert digital_rf.open(tmp_path).header.channels.first_hz == 100_000_000


def test_metadata_that_begins_late(tmp_path: Path) -> None:
    write_digital_rf(tmp_path, _ramp(100), 1000, START)
    write_digital_metadata(tmp_path / "metadata", Fraction(1000), {START + 9000: 1e8})
    assert digital_rf.open(tmp_path).header.channels.first_hz == 100_000_000


def test_retuning_is_a_warning(tmp_path: Path) -> None:
    write_digital_rf(tmp_path, _ramp(3000), 1000, START)
    write_digital_metadata(tmp_path / "metadata", Fraction(1000), {START: 1e8, START + 1500: 2e8})
    with pytest.warns(FastsigWarning, match="retuned"):
        assert digital_rf.open(tmp_path).header.channels.first_hz == 10**8


def test_subchannels_of_several_frequencies(tmp_path: Path) -> None:
    write_digital_rf(tmp_path, _ramp(30, 3), 1000, START, [1e8, 2e8, 2e8])
    with pytest.warns(FastsigWarning, match="several centre frequencies"):
        assert digital_rf.open(tmp_path).header.channels is None
    assert digital_rf.open(tmp_path, subchannel="1,2").header.channels.first_hz == 2 * 10**8


def test_damaged_metadata_is_a_warning(tmp_path: Path) -> None:
    write_digital_rf(tmp_path, _ramp(30), 1000, START, 1e8)
    (path,) = (tmp_path / "metadata").glob("*/metadata@*.h5")
    path.write_bytes(path.read_bytes()[:700])
    with pytest.warns(FastsigWarning, match="digital metadata is left out: .*truncated"):
        assert digital_rf.open(tmp_path).header.channels is None


# Damage


def test_damaged_file_among_others(tmp_path: Path) -> None:
    files = write_digital_rf(tmp_path, _ramp(5000), 1000, START)
    files[2].write_bytes(files[2].read_bytes()[:-500])
    with pytest.warns(FastsigWarning, match=r"rf@1400000002\.000\.h5: truncated"):
        stream = digital_rf.open(tmp_path)
    assert stream.shape == (5000, 1)
    assert stream.read().valid[0].tolist() == [[0, 2000], [3000, 5000]]
    with pytest.raises(FormatError, match="truncated"):
        digital_rf.open(files[2])


@pytest.mark.parametrize("keep", [0, 7, 60, 500, 0.5, 0.99])
def test_all_files_truncated(tmp_path: Path, keep: float) -> None:
    for path in write_digital_rf(tmp_path, _ramp(2000), 1000, START):
        data = path.read_bytes()
        path.write_bytes(data[: int(keep * len(data)) if 0 < keep < 1 else int(keep)])
    with pytest.raises(FormatError, match="none of its 2 rf files"):
        digital_rf.open(tmp_path)


def test_file_lost_after_open(tmp_path: Path) -> None:
    (path,) = write_digital_rf(tmp_path, _ramp(100), 1000, START)
    stream = digital_rf.open(tmp_path)
    path.unlink()
    with pytest.raises(FormatError, match=r"rf@1400000000\.000\.h5"):
        stream.read()


def test_chunk_lost_in_a_file(tmp_path: Path) -> None:
    (path,) = write_digital_rf(tmp_path, _ramp(100), 1000, START)
    with h5py.File(path, "a") as file:
        data, attrs = file["rf_data"][()], dict(file["rf_data"].attrs)
        del file["rf_data"]
        dataset = file.create_dataset("rf_data", data=data, chunks=(100,) + data.shape[1:],
                                      fletcher32=True)
        dataset.attrs.update(attrs)
        offset = dataset.id.get_chunk_info(0).byte_offset
    with path.open("r+b") as raw:
        raw.seek(offset + 40)
        raw.write(b"\xff")
    with pytest.raises(DataError, match="rows 0 to 100 of rf_data"):
        digital_rf.open(tmp_path).read()


def test_same_samples_twice(tmp_path: Path) -> None:
    files = write_digital_rf(tmp_path, _ramp(2000), 1000, START)
    with h5py.File(files[1], "a") as file:
        file["rf_data_index"][0, 0] -= 1
    with pytest.raises(FormatError, match=r"rf@1400000001.*sample .*999 is also in .*000\.000"):
        digital_rf.open(tmp_path)


@pytest.mark.parametrize(
    "rows", [
        [[-3, 0]],  # before the time in the file's name
        [[3, 0]], [[950, 0]], [[2**40, 0]],  # and after it
        [[0, 5]], [[0, 0], [3, 5]], [[0, 0], [50, 1000]], [[0, 0], [50, 2000]],
        [[50, 0], [0, 50]], [[0, 0], [0, 0]], [0, 0], [], [[0, 0, 0]], [[0.5, 0]],
    ])
def test_index_that_cannot_be(tmp_path: Path, rows: list) -> None:
    (path,) = write_digital_rf(tmp_path, _ramp(1000), 1000, START)
    table = np.array(rows, None if rows else np.int64)
    if table.ndim == 2:
        table[:, 0] += START
    with h5py.File(path, "a") as file:
        del file["rf_data_index"]
        file["rf_data_index"] = table
    with pytest.raises(FormatError, match=r"rf@1400000000\.000\.h5.*rf_data_index"):
        digital_rf.open(path)


def test_index_out_of_range(tmp_path: Path) -> None:
    (path,) = write_digital_rf(tmp_path, _ramp(1000), 1000, START)
    with h5py.File(path, "a") as file:
        file["rf_data_index"][0, 0] = 2**63
    with pytest.raises(FormatError, match="out of range"):
        digital_rf.open(path)


@pytest.mark.parametrize(
    "data", [np.array(["a"], h5py.string_dtype()), np.zeros((2, 2, 2)), np.zeros(0), np.float32(1),
             np.zeros(4, [("x", "i2"), ("y", "i2")]), np.zeros(4, [("r", "i2"), ("i", "i4")])])
def test_samples_that_cannot_be(tmp_path: Path, data: np.ndarray) -> None:
    (path,) = write_digital_rf(tmp_path, _ramp(4), 1000, START)
    with h5py.File(path, "a") as file:
        del file["rf_data"]
        file["rf_data"] = data
    with pytest.raises(FormatError, match="rf_data"):
        digital_rf.open(path, sample_rate=1000)


def test_samples_in_another_file_are_refused(tmp_path: Path) -> None:
    (path,) = write_digital_rf(tmp_path, _ramp(4), 1000, START)
    (tmp_path / "secret").write_bytes(b"0123456789abcdef")
    with h5py.File(path, "a") as file:
        attrs = dict(file["rf_data"].attrs)
        del file["rf_data"]
        data = file.create_dataset("rf_data", (4, 1), [("r", "i2"), ("i", "i2")],
                                   external=[(str(tmp_path / "secret"), 0, 16)])
        data.attrs.update(attrs)
    with pytest.raises(FormatError, match="in other files"):
        digital_rf.open(path)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"sample_rate_denominator": 0}, "sample_rate_denominator = 0; allowed: a positive"),
        ({"sample_rate_numerator": -3}, "sample_rate_numerator = -3"),
        ({"sample_rate_numerator": "fast"}, "sample_rate_numerator = 'fast'"),
        ({"sample_rate_denominator": None}, "sample_rate_denominator = None"),
        ({"epoch": "2000-01-01T00:00:00Z"}, "epoch = '2000-01-01T00:00:00Z'; allowed: 1970"),
        ({"num_subchannels": 5}, "num_subchannels = 5, but rf_data has 1"),
        ({"sample_rate_numerator": 999}, "none of its 1 rf files .* but the channel's is 999 Hz"),
    ],
)
def test_wrong_properties(tmp_path: Path, changes: dict, told: str) -> None:
    write_digital_rf(tmp_path, _ramp(100), 1000, START)
    _attributes(tmp_path / "drf_properties.h5", **changes)
    with pytest.raises(FormatError, match=told):
        digital_rf.open(tmp_path)


def test_wrong_kind(tmp_path: Path) -> None:
    files = write_digital_rf(tmp_path, _ramp(100), 1000, START)
    _attributes(files[0], is_complex=0)
    with pytest.raises(FormatError, match="is_complex = 0, but rf_data has 1"):
        digital_rf.open(files[0])


def test_file_of_another_layout(tmp_path: Path) -> None:
    files = write_digital_rf(tmp_path, _ramp(2000), 1000, START)
    other = write_digital_rf(tmp_path / "other", _ramp(1000, 2), 1000, START + 1000)
    os.replace(other[0], files[1])
    with pytest.warns(FastsigWarning, match=r"rf@1400000001.*differs"):
        assert digital_rf.open(tmp_path).shape == (1000, 1)


# Finding


def test_folder_of_channels(tmp_path: Path) -> None:
    write_digital_rf(tmp_path / "one", _ramp(10), 1000, START)
    assert digital_rf.open(tmp_path).shape == (10, 1)
    write_digital_rf(tmp_path / "two", _ramp(20), 1000, START)
    assert digital_rf.sniff(Probe(tmp_path))
    with pytest.raises(FormatError, match=r"2 channels \(one, two\): give the path of one"):
        digital_rf.open(tmp_path)
    assert digital_rf.open(tmp_path / "two").shape == (20, 1)


def test_not_ours(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("text")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = [1]
    for name in (".", "text", "other.h5"):
        assert not digital_rf.sniff(Probe(tmp_path / name))
        with pytest.raises(FormatError):
            digital_rf.open(tmp_path / name)
    with pytest.raises(FormatError, match="No such file"):
        digital_rf.open(tmp_path / "absent")


def test_channel_without_files(tmp_path: Path) -> None:
    for path in write_digital_rf(tmp_path, _ramp(10), 1000, START):
        path.unlink()
    with pytest.raises(FormatError, match="none of its 0 rf files"):
        digital_rf.open(tmp_path)


# Every attribute, deleted or replaced

_KEYS = ("digital_rf_version", "epoch", "file_cadence_millisecs", "subdir_cadence_secs",
         "is_complex", "is_continuous", "num_subchannels", "sample_rate_numerator",
         "sample_rate_denominator", "uuid_str")


def _try(path: Path) -> None:
    """A stream that can be read, or an error of ours; anything else fails the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of damage and dates; other tests check them
        try:
            stream = digital_rf.open(path)
            stream.read_block(0, min(50, stream.shape[0]))
            stream.read_block(max(0, stream.shape[0] - 50), min(50, stream.shape[0]))
            json.dumps(stream.header.extra, allow_nan=False)
        except FastsigError as error:
            assert str(path) in str(error)


@pytest.mark.parametrize("key", _KEYS)
def test_fuzzed_attributes(tmp_path: Path, key: str) -> None:
    (path,) = write_digital_rf(tmp_path, _ramp(100), 1000, START, 1e8)
    targets = [path] if key == "uuid_str" else [path, tmp_path / "drf_properties.h5"]
    for number, target in enumerate(targets):
        original = target.read_bytes()
        # Every second value in each file; in `make thorough` every value in both.
        values = list(NONSENSE.values())[many(number, 0) :: many(len(targets), 1)]
        for value in (None, *values):
            _attributes(target, **{key: value})
            _try(tmp_path)
            if target == path:
                _try(path)
            target.write_bytes(original)


@pytest.mark.parametrize("value", NONSENSE.values(), ids=list(NONSENSE))
def test_fuzzed_metadata(tmp_path: Path, value: object) -> None:
    write_digital_rf(tmp_path, _ramp(100), 1000, START, 1e8)
    (path,) = (tmp_path / "metadata").glob("*/metadata@*.h5")
    with h5py.File(path, "a") as file:
        for key in ("center_frequencies", "receiver/description"):
            del file[f"{START}/{key}"]
            file[f"{START}/{key}"] = value
    _attributes(tmp_path / "metadata" / "dmd_properties.h5", file_cadence_secs=value)
    _try(tmp_path)
