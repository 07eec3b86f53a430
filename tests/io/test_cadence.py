"""Frames that come as expected are read to their places at once: the same as one by one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import test_drx
from hypothesis import given
from hypothesis import strategies as st
from test_vdif import codes, write

import fastsig as fs
from fastsig.axes import validity
from fastsig.io.files import positioned
from fastsig.io.voltages import framed
from fastsig.io.voltages.cadence import Cadence, Columns, Places, cadence

N_TIME, RATE, N_FRAME = 64, 64 * 1000, 300
N_DAMAGED = int(os.environ.get("FASTSIG_DAMAGED", "40"))  # thousands on request


@pytest.fixture
def met(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each block, of frames of any length, whether all of them were as expected."""
    found: list[bool] = []
    scatter = framed.FramedVoltages._scatter

    def spy(*args: Any) -> bool:
        found.append(scatter(*args))
        return found[-1]

    monkeypatch.setattr(framed, "_SCATTERED_BYTES", 1)
    monkeypatch.setattr(framed, "_READ_BYTES", 2**15)
    monkeypatch.setattr(framed.FramedVoltages, "_scatter", spy)
    return found


def read(path: Path, step: int, **overrides: Any) -> list[tuple[np.ndarray, tuple[Any, ...]]]:
    """Blocks as recorded, one after the other, without what is not valid; and what is."""
    with fs.open(path, **overrides) as obs:
        stream = obs.stream.as_recorded()
        found = []
        for start in range(0, stream.shape[0], step):
            block = stream.read_block(start, min(step, stream.shape[0] - start))
            data = np.array(block.data)
            for pol, spans in enumerate(block.valid):
                each = block.n // len(data)
                validity.zero_invalid(data[:, pol], spans // each, start // each)
            found.append((data, block.valid))
    return found


def check(path: Path, step: int, met: list[bool], **overrides: Any) -> None:
    """The same with and without; `met` is told of the former alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(positioned, "_preadv", lambda: None)
        careful = read(path, step, **overrides)
    assert not any(met)
    met.clear()
    for found, expected in zip(read(path, step, **overrides), careful, strict=True):
        np.testing.assert_array_equal(found[0], expected[0])
        for a, b in zip(found[1], expected[1], strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("n_bits", [2, 8])
@pytest.mark.parametrize("step", [20, 64, 1000, 9000])
@pytest.mark.parametrize(("n_thread", "order"), [
    (1, [0]), (2, [0, 1]), (3, [2, 0, 1])])
def test_frames_in_their_order(n_bits: int, step: int, n_thread: int, order: list[int],
                               met: list[bool], tmp_path: Path) -> None:
    which = [(i, t) for i in range(N_FRAME) for t in order]
    path = write(tmp_path / "x.vdif", codes(N_FRAME * N_TIME, n_thread, 1, n_bits=n_bits), N_TIME,
                 RATE, which, n_bits=n_bits)
    check(path, step, met, sample_rate="64kHz", frequency="1GHz")
    assert not met[0] and all(met[1:]) and len(met) > 2


@pytest.mark.parametrize("n_bits", [2, 8])
def test_complex_samples(n_bits: int, met: list[bool], tmp_path: Path) -> None:
    path = write(tmp_path / "x.vdif", codes(N_FRAME * N_TIME, 2, 1, 2, n_bits=n_bits), N_TIME,
                 RATE, n_bits=n_bits)
    check(path, 1000, met, sample_rate="64kHz", frequency="1GHz")
    assert met.count(False) == 1 and len(met) > 9


def test_a_thread_that_lags(met: list[bool], tmp_path: Path) -> None:
    which = [(max(0, i - 5 * t), t) for i in range(N_FRAME) for t in (0, 1)]
    which = [pair for i, pair in enumerate(which) if pair not in which[:i]]
    path = write(tmp_path / "x.vdif", codes(N_FRAME * N_TIME, 2, 1), N_TIME, RATE, which)
    check(path, 1000, met, sample_rate="64kHz", frequency="1GHz")


@pytest.mark.parametrize("change", ["lost", "twice", "swapped", "invalid", "one thread lost"])
def test_what_is_not_expected(change: str, met: list[bool], tmp_path: Path) -> None:
    which = [(i, t) for i in range(N_FRAME) for t in (0, 1)]
    if change == "lost":
        del which[200:203]
    elif change == "twice":
        which[200:200] = which[190:200]
    elif change == "swapped":
        which[200], which[204] = which[204], which[200]
    elif change == "one thread lost":
        which = [pair for i, pair in enumerate(which) if i % 2 or not 200 < i < 300]
    path = write(tmp_path / "x.vdif", codes(N_FRAME * N_TIME, 2, 1), N_TIME, RATE, which)
    if change == "invalid":
        raw = bytearray(path.read_bytes())
        raw[200 * 96 + 3] |= 0x80
        path.write_bytes(raw)
    for step in (50, 700, 3000):
        met.clear()
        check(path, step, met, sample_rate="64kHz", frequency="1GHz")
        assert any(met) and met.count(False) > 1


@pytest.mark.filterwarnings("ignore::fastsig.FastsigWarning")
@pytest.mark.parametrize("seed", range(N_DAMAGED))
def test_damaged_headers(seed: int, met: list[bool], tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    which = [(i, t) for i in range(N_FRAME) for t in (0, 1)]
    path = write(tmp_path / "x.vdif", codes(N_FRAME * N_TIME, 2, 1), N_TIME, RATE, which)
    raw = np.fromfile(path, np.uint8).reshape(-1, 96)
    n = rng.integers(1, 8)
    flips = (1 << rng.integers(0, 8, n)).astype(np.uint8)
    raw[rng.integers(4, len(raw), n), rng.integers(0, 16, n)] ^= flips
    if rng.random() < 0.3:
        raw = np.delete(raw, rng.integers(4, len(raw), 3), axis=0)
    raw.tofile(path)
    step = int(rng.integers(20, 4000))
    check(path, step, met, sample_rate="64kHz", frequency="1GHz")


def test_some_threads(met: list[bool], tmp_path: Path) -> None:
    path = write(tmp_path / "x.vdif", codes(N_FRAME * N_TIME, 3, 1), N_TIME, RATE)
    check(path, 500, met, sample_rate="64kHz", frequency="1GHz", input="2,0")
    path = test_drx.write(tmp_path / "x.drx", test_drx.samples(12))
    met.clear()
    check(path, 5000, met, tuning=2)
    assert any(met)


def test_files_that_cannot_be_read(met: list[bool], tmp_path: Path) -> None:
    path = write(tmp_path / "x.vdif", codes(N_FRAME * N_TIME, 2, 1), N_TIME, RATE)
    with fs.open(path, sample_rate="64kHz", frequency="1GHz") as obs:
        stream = obs.stream.as_recorded()
        stream.read_block(0, 64)
        with path.open("r+b") as file:
            file.truncate(150 * 96 + 10)
        assert stream.read_block(64, 64).valid[0].tolist() == [[64, 128]]
        with pytest.raises(fs.DataError, match="ends at byte 14410; "):
            stream.read_block(N_TIME * 70, N_TIME * 30)


def test_memory_that_is_not_as_it_should_be(met: list[bool], tmp_path: Path) -> None:
    """None is written by address; what is wrong is told as where nothing is expected."""
    path = write(tmp_path / "x.vdif", codes(N_FRAME * N_TIME, 2, 1), N_TIME, RATE)
    with fs.open(path, sample_rate="64kHz", frequency="1GHz") as obs:
        stream = obs.stream.as_recorded()
        block = stream.read_block(0, 1000)
        before = block.data.copy()
        with pytest.raises(ValueError, match="read-only"):
            stream.read_block(4000, 1000, out=block.data)
        np.testing.assert_array_equal(block.data, before)
        arena = np.zeros((3, 1000), np.uint8)
        with pytest.raises(IndexError):
            stream.read_block(4000, 1000, out=arena[1:2].T)
        assert not arena[2].any()
        wide = np.zeros((1, 2), np.float32)
        stream.read_block(5000, 1, out=wide)
        np.testing.assert_array_equal(wide, stream.read_block(5000, 1).data)
        assert met == [False, True]  # of the memory that is as it should be


@given(st.data())
def test_no_byte_goes_astray(data: Any) -> None:
    n_byte, size = data.draw(st.integers(1, 300)), data.draw(st.integers(1, 100))
    threads = data.draw(st.lists(st.sampled_from([0, 4, 7]), min_size=1, max_size=5))
    first = data.draw(st.lists(st.integers(-400, 400), min_size=len(threads),
                               max_size=len(threads)))
    n = data.draw(st.integers(len(threads), 30))
    out = np.zeros((2, n_byte), np.uint8).T
    period = len(threads)
    runs = Cadence(0, np.zeros(period, int), np.array(threads)).runs(0, n)
    made = Places(40, 32, size)
    heads, spare = made.heads, made._unwanted
    places = made.of(n, runs, first, Columns(out, {4: 1, 0: 0}))
    assert (places[:, 1] > 0).all()
    assert places[:, 1].sum() == n * (32 + size)
    column = {0: out[:, :1].ctypes.data, 4: out[:, 1:].ctypes.data}
    left = iter(places.tolist())
    for i in range(n):
        thread, entry = threads[i % period], first[i % period] + i // period * size
        assert next(left) == [heads[i:].ctypes.data, 32]
        at = 0  # of the payload
        while at < size:
            address, length = next(left)
            inside = thread in column and 0 <= entry + at < n_byte
            assert address == (column[thread] + entry + at if inside else spare.ctypes.data)
            assert entry + at + length <= (n_byte if inside else entry + size)
            at += length
        assert at == size


def test_cadence() -> None:
    numbers, threads = np.array([5, 3, 6, 4, 7, 5, 8]), np.array([1, 0, 1, 0, 1, 0, 1])
    good = np.ones(7, bool)
    found = cadence(numbers, threads, good, 2, 10)
    assert found is not None
    assert found.runs(13, 4) == [(0, 4, 0, 2, 2), (1, 7, 1, 2, 2)]
    assert found.runs(8, 3) == [(1, 4, 0, 2, 2), (0, 2, 1, 2, 1)]
    assert found.runs(13, 1) == [(0, 4, 0, 2, 1)]
    assert cadence(numbers, threads, good, 1, 0) is None
    assert cadence(numbers, threads, np.arange(7) > 0, 2, 0) is None
    assert cadence(numbers[:1], threads[:1], good[:1], 2, 0) is None
    assert cadence(numbers, threads[::-1] * 2, good, 3, 0) is None
