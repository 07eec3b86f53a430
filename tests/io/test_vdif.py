"""VDIF: recorded truths, `baseband` as oracle, threads, gaps, order, damage."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import change_bytes
from recordings import recorded

import fastsig as fs
from fastsig.axes.time import iso
from fastsig.errors import FastsigWarning, FormatError, UsageError
from fastsig.io.probe import Probe
from fastsig.io.vdif import reader as vdif

HIGH = 3.3165048
EPOCH, SECOND = 52, 1000  # 2026-01-01, and seconds from then


def frame(payload: bytes, *, number: int = 0, second: int = SECOND, thread: int = 0,
          n_chan: int = 1, n_bits: int = 8, is_complex: bool = False, legacy: bool = False,
          edv: int = 0, rate_mhz: int = 0, invalid: bool = False, station: bytes = b"Fa"
          ) -> bytes:
    """A frame with its header."""
    length = (len(payload) + (16 if legacy else 32)) // 8
    words = [second | legacy << 30 | invalid << 31, number | EPOCH << 24,
             length | (n_chan.bit_length() - 1) << 24,
             int.from_bytes(station, "big") | thread << 16 | (n_bits - 1) << 26
             | is_complex << 31]
    if not legacy:
        words += [edv << 24 | (1 << 23 | rate_mhz if rate_mhz else 0),
                  0xACABFEED if edv in (1, 3, 4) else 0, 0, 0]
    return np.array(words, "<u4").tobytes() + payload


def pack(codes: np.ndarray, n_bits: int) -> bytes:
    """Codes to bytes, the first in the lowest bits."""
    if n_bits >= 8:
        return codes.astype("<u2" if n_bits == 16 else "u1").tobytes()
    groups = codes.reshape(-1, 8 // n_bits) << n_bits * np.arange(8 // n_bits)
    return groups.sum(axis=1).astype("u1").tobytes()


def write(path: Path, codes: np.ndarray, n_time: int = 64, rate: int = 64 * 1000,
          which: list[tuple[int, int]] | None = None, **options: Any) -> Path:
    """Frames of codes (time, thread, chan[, 2]); `which` are (frame, thread) in their order."""
    n_bits = options.get("n_bits", 8)
    count = len(codes) // n_time
    per_second = rate // n_time
    which = which or [(i, t) for i in range(count) for t in range(codes.shape[1])]
    path.write_bytes(b"".join(
        frame(pack(codes[i * n_time : (i + 1) * n_time, t].reshape(-1), n_bits), thread=t,
              number=i % per_second, second=SECOND + i // per_second, n_chan=codes.shape[2],
              is_complex=codes.ndim == 4, **options)
        for i, t in which))
    return path


def codes(*shape: int, n_bits: int = 8, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**n_bits, shape)


def values(x: np.ndarray, n_bits: int) -> np.ndarray:
    levels = {1: [-1, 1], 2: [-HIGH, -1, 1, HIGH]}.get(n_bits)
    found = np.array(levels, "f4")[x] if levels else x - 2 ** (n_bits - 1)
    return (found[..., 0] + 1j * found[..., 1]).astype("c8") if x.ndim == 4 else found


def opened(path: Any, **overrides: Any) -> Any:
    overrides.setdefault("sample_rate", 64000)
    return fs.open(path, **overrides).stream


@pytest.mark.recorded
def test_recorded_truths() -> None:
    stream = fs.open(recorded("baseband/sample.vdif")).stream
    assert iso(stream.start_time) == "2014-06-16T05:56:07.000000000"
    assert stream.shape == (40000, 8) and stream.header.sample_rate == 32_000_000
    assert stream.header.n_bits == 2 and not stream.header.is_complex
    path = recorded("baseband/sample_mwa.vdif")
    with pytest.raises(FormatError, match="give sample_rate="):
        fs.open(path)
    stream = fs.open(path, sample_rate="1.28MHz").stream
    assert iso(stream.start_time) == "2015-10-03T20:49:45.000000000"
    assert stream.shape == (1280, 2) and stream.header.is_complex
    assert stream.header.telescope == "mw"


@pytest.mark.recorded
def test_recorded_samples_are_those_of_baseband() -> None:
    oracle = pytest.importorskip("baseband.vdif")
    from astropy import units as u

    path = recorded("baseband/sample.vdif")
    with oracle.open(str(path), "rs") as file:
        expected = file.read()
    found = fs.open(path).stream.read_block(0, 40000).data
    np.testing.assert_allclose(found, expected, rtol=2e-7)
    # VDIF 1.1.1, section 10, fixes the order of codes and not their values: where `baseband`
    # takes 8 bits for (code - 127.5) / 35.5, ours are code - 128.
    path = recorded("baseband/sample_mwa.vdif")
    with oracle.open(str(path), "rs", sample_rate=1.28 * u.MHz) as file:
        expected = file.read() * 35.5 - (0.5 + 0.5j)
    found = fs.open(path, sample_rate=1280000).stream.read_block(0, 1280).data
    np.testing.assert_allclose(found, expected.reshape(1280, 2), atol=1e-4)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("n_bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize(("n_thread", "n_chan"), [(1, 1), (2, 1), (3, 4)])
def test_any_shape(tmp_path: Path, legacy: bool, is_complex: bool, n_bits: int, n_thread: int,
                   n_chan: int) -> None:
    tail = (2,) if is_complex else ()
    x = codes(64 * 6, n_thread, n_chan, *tail, n_bits=n_bits)
    path = write(tmp_path / "a.vdif", x, n_bits=n_bits, legacy=legacy)
    assert vdif.sniff(Probe(path))
    stream = opened(path)
    expected = values(x, n_bits).reshape(len(x), -1)
    assert stream.shape == expected.shape and iso(stream.start_time) == (
        "2026-01-01T00:16:40.000000000")
    np.testing.assert_allclose(stream.read_block(0, len(x)).data, expected, rtol=1e-7)
    np.testing.assert_allclose(stream.read_block(33, 200).data, expected[33:233], rtol=1e-7)
    if stream.shape[1] > 2:
        some = opened(path, input="5,1" if n_chan > 1 else "2,0")
        picks = [5, 1] if n_chan > 1 else [2, 0]
        np.testing.assert_allclose(some.read_block(3, 99).data, expected[3:102][:, picks],
                                   rtol=1e-7)


@pytest.mark.parametrize("edv", [1, 3, 4])
def test_the_rate_is_in_some_headers(tmp_path: Path, edv: int) -> None:
    path = tmp_path / "e.vdif"
    path.write_bytes(b"".join(frame(bytes(1000), number=i, edv=edv, rate_mhz=16)
                              for i in range(3)))
    stream = fs.open(path).stream  # real samples: twice as fast
    assert stream.header.sample_rate == 32_000_000 and stream.shape == (3000, 1)
    assert stream.header.extra["edv"] == edv and stream.header.telescope == "Fa"


def test_frames_missing_late_and_twice(tmp_path: Path) -> None:
    x = codes(64 * 40, 2, 1)
    order = [(i, t) for i in range(40) for t in range(2)
             if (i, t) not in ((0, 1), (7, 0), (8, 0), (20, 0), (20, 1))]
    order[10:13] = order[12:9:-1]  # three the other way round
    order.insert(30, order[28])
    path = write(tmp_path / "g.vdif", x, which=order)
    stream = opened(path)
    expected = values(x, 8)[..., 0]
    lost = [np.zeros(len(x), bool) for _ in range(2)]
    for i, t in ((0, 1), (7, 0), (8, 0), (20, 0), (20, 1)):
        lost[t][64 * i : 64 * (i + 1)] = True
    found = stream.read_block(0, len(x))
    for t in range(2):
        expected[lost[t], t] = 0
        valid = np.zeros(len(x), bool)
        for first, stop in found.valid[t]:
            valid[first:stop] = True
        np.testing.assert_array_equal(valid, ~lost[t])
    np.testing.assert_array_equal(found.data, expected)
    for start in (0, 5, 64 * 7, 64 * 20 + 3, 64 * 39):
        n = min(300, len(x) - start)
        np.testing.assert_array_equal(stream.read_block(start, n).data, expected[start : start + n])
    assert iso(stream.time_of(64 * 21)) == "2026-01-01T00:16:40.021000000"


def test_marked_invalid(tmp_path: Path) -> None:
    path = tmp_path / "i.vdif"
    path.write_bytes(b"".join(frame(bytes([200]) * 64, number=i, invalid=i == 2)
                              for i in range(5)))
    found = opened(path).read_block(0, 320)
    assert found.valid[0].tolist() == [[0, 128], [192, 320]]
    assert (found.data[:128] == 72).all() and not found.data[128:192].any()


def test_seconds_change_within_a_file_and_between_files(tmp_path: Path) -> None:
    x = codes(64 * 25, 1, 1)  # 10 frames a second
    options = {"rate": 640}
    whole = opened(write(tmp_path / "w.vdif", x, **options), sample_rate=640)
    np.testing.assert_array_equal(whole.read_block(0, len(x)).data, values(x, 8)[..., 0])
    parts = [write(tmp_path / f"p{i}.vdif", x, which=[(j, 0) for j in range(*span)], **options)
             for i, span in enumerate([(12, 25), (0, 9)])]
    stream = opened(parts, sample_rate=640)
    found = stream.read_block(0, len(x))
    assert found.valid[0].tolist() == [[0, 576], [768, 1600]]
    np.testing.assert_array_equal(found.data[768:], values(x, 8)[768:, 0])
    assert iso(stream.start_time) == iso(whole.start_time)


def test_threads_read_what_one_reads(tmp_path: Path) -> None:
    x = codes(64 * 100, 2, 1, n_bits=2)
    stream = opened(write(tmp_path / "t.vdif", x, n_bits=2))
    starts = list(range(0, len(x) - 500, 171))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda at: stream.read_block(at, 500).data, starts))
    for at, data in zip(starts, found, strict=True):
        np.testing.assert_allclose(data, values(x, 2)[at : at + 500, :, 0], rtol=1e-7)


def test_damage(tmp_path: Path) -> None:
    x = codes(64 * 30, 1, 1)
    path = write(tmp_path / "d.vdif", x)
    raw = bytearray(path.read_bytes())
    size = 64 + 32
    raw[size * 5 : size * 6] = bytes(size)  # zeros are no frame of this recording
    raw[size * 9 + 8] ^= 0xFF  # nor is another length
    path.write_bytes(raw[:-7])
    with pytest.warns(FastsigWarning, match=r"d\.vdif: the last 89 bytes"):
        stream = opened(path)
    found = stream.read_block(0, 64 * 29)
    assert found.valid[0].tolist() == [[0, 320], [384, 576], [640, 1856]]
    np.testing.assert_array_equal(found.data[640:], values(x, 8)[640:1856, 0])
    for length in (0, 10, 31, 60):
        path.write_bytes(raw[:length])
        with pytest.raises(FormatError, match=r"d\.vdif: "):
            opened(path)


def test_refusals(tmp_path: Path) -> None:
    path = write(tmp_path / "r.vdif", codes(640, 2, 1))
    with pytest.raises(UsageError, match=r"input = '2'; allowed: distinct numbers from 0 to 1"):
        opened(path, input="2")
    with pytest.raises(FormatError, match="not a whole number of frames"):
        opened(path, sample_rate=100)
    other = write(tmp_path / "o.vdif", codes(640, 2, 2))
    with pytest.raises(FormatError, match="frames differ in shape"):
        opened([path, other])


def test_any_byte_of_headers_may_be_wrong(tmp_path: Path) -> None:
    raw = write(tmp_path / "f.vdif", codes(64 * 8, 2, 1)).read_bytes()
    # Half of them in the first header.
    change_bytes(raw, tmp_path / "g.vdif",
                 lambda rng: 96 * rng.integers(0, 16) * rng.integers(0, 2) + rng.integers(0, 32),
                 partial(vdif.open, sample_rate=64000))


@pytest.mark.parametrize("n_thread", [1, 3])
def test_a_rate_that_the_frames_contradict(n_thread: int, tmp_path: Path) -> None:
    x = codes(50 * 64, n_thread, 1)
    path = write(tmp_path / "a.vdif", x, rate=64 * 20)  # 20 frames in a second
    assert opened(path, sample_rate=64 * 20).valid_spans()[0].tolist() == [[0, 50 * 64]]
    for wrong in (10, 19, 21, 40):
        with pytest.raises(FormatError, match=f"sample_rate = {64 * wrong} Hz means {wrong} "
                           "frames of 64 samples per second; the numbers of the frames show 20: "
                           "1280 Hz"):
            opened(path, sample_rate=64 * wrong)
    # Within one second only too low a rate can be told; a loss may end a second too early.
    part = write(tmp_path / "b.vdif", x[: 18 * 64], rate=64 * 20)
    opened(part, sample_rate=64 * 40)
    with pytest.raises(FormatError, match="show at least 1[678]: "):
        opened(part, sample_rate=64 * 10)
    lossy = [(i, t) for i in range(25) for t in range(n_thread) if i not in (18, 19)]
    opened(write(tmp_path / "c.vdif", x, rate=64 * 20, which=lossy), sample_rate=64 * 20)
    lossy = [(i, t) for i in range(50) for t in range(n_thread) if i not in (18, 19, 39)]
    opened(write(tmp_path / "d.vdif", x, rate=64 * 20, which=lossy), sample_rate=64 * 20)


def test_channels_of_a_filter_bank_are_a_band(tmp_path: Path) -> None:
    x = codes(4 * 6, 2, 32, 2, n_bits=4)
    path = write(tmp_path / "c.vdif", x, n_time=4, n_bits=4)
    stream = opened(path)
    expected = values(x, 4)
    assert stream.shape == (24, 2, 32) and stream.header.polarization.names == ("t0", "t1")
    assert stream.header.channels is None
    np.testing.assert_array_equal(stream.read_block(5, 12).data, expected[5:17])
    one = opened(path, input=1, frequency="600MHz", sideband="lower")
    np.testing.assert_array_equal(one.read_block(3, 9).data, expected[3:12, 1:, ::-1])
    low, high = one.header.channels.edges_hz
    assert (low, high) == (600_000_000 - 1_024_000, 600_000_000 + 1_024_000)
    assert opened(path, channelized="no").shape == (24, 64)
    with pytest.raises(UsageError, match="channelized = 'maybe'; allowed: yes, no"):
        opened(path, channelized="maybe")
    few = write(tmp_path / "f.vdif", codes(64 * 3, 1, 2, 2), n_time=64)
    assert opened(few).shape == (192, 2) and opened(few, channelized="yes").shape == (192, 1, 2)


def test_a_frame_that_is_lost_of_a_filter_bank(tmp_path: Path) -> None:
    x = codes(64, 2, 32, 2)
    path = write(tmp_path / "s.vdif", x, n_time=4,
                 which=[(i, t) for i in range(16) for t in range(2) if (i, t) != (5, 1)])
    found = opened(path).read_block(0, 64)
    assert found.valid[0].tolist() == [[0, 64]] and found.valid[1].tolist() == [[0, 20], [24, 64]]
    expected = values(x, 8)
    expected[20:24, 1] = 0
    np.testing.assert_array_equal(found.data, expected)
    assert opened(path).valid_spans()[1].tolist() == [[0, 20], [24, 64]]
