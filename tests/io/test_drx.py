"""LWA DRX: recorded truths, tunings, gaps, damage."""

from __future__ import annotations

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
from fastsig.io.drx import reader as drx
from fastsig.io.probe import Probe

N_TIME, DECIMATION, CLOCK = 4096, 10, 196_000_000
START = 1_750_000_000 * CLOCK + 12345  # ticks since 1970


def frame(bytes_: np.ndarray, number: int, tuning: int, pol: int, *, beam: int = 3,
          offset: int = 6440, word: int = 0x40000000) -> bytes:
    tag = START + offset + number * N_TIME * DECIMATION
    head = b"\xde\xc0\xde\x5c" + bytes([pol << 7 | tuning << 3 | beam, 0, 0, 0])
    head += (0).to_bytes(4, "big") + DECIMATION.to_bytes(2, "big") + offset.to_bytes(2, "big")
    head += tag.to_bytes(8, "big") + word.to_bytes(4, "big") + bytes(4)
    return head + bytes_.astype("u1").tobytes()


def samples(n_frame: int, seed: int = 1) -> np.ndarray:
    """Bytes, (tuning, pol, time)."""
    return np.random.default_rng(seed).integers(0, 256, (2, 2, n_frame * N_TIME))


def values(x: np.ndarray) -> np.ndarray:
    """Samples in bytes of (pol, time), as (time, pol)."""
    parts = [np.where(part > 7, part - 16, part) for part in (x >> 4, x & 15)]
    return (parts[0] + 1j * parts[1]).astype("c8").T


def write(path: Path, x: np.ndarray, which: list[tuple[int, int, int]] | None = None,
          **options: Any) -> Path:
    n = x.shape[2] // N_TIME
    which = which or [(i, t, p) for i in range(n) for t in range(2) for p in range(2)]
    path.write_bytes(b"".join(
        frame(x[t, p, i * N_TIME : (i + 1) * N_TIME], i, t + 1, p, **options)
        for i, t, p in which))
    return path


@pytest.mark.recorded
def test_recorded_truths() -> None:
    path = recorded("lsl/drx-test.dat")
    with pytest.raises(FormatError, match="has tunings 1 and 2; give tuning=1"):
        fs.open(path)
    streams = [fs.open(path, tuning=tuning).stream for tuning in (1, 2)]
    for stream in streams:
        assert iso(stream.start_time).startswith("2011-08-11T05:15:04.566")
        assert stream.header.sample_rate == 19_600_000 and stream.header.beam == 4
        assert stream.header.polarization.names == ("X", "Y")
    # The file begins with tuning 1, polarisation Y; 8 frames of each.
    valid = [[spans.tolist() for spans in stream.read_block(0, stream.shape[0]).valid]
             for stream in streams]
    assert valid == [[[[4096, 36864]], [[0, 32768]]], [[[0, 32768]], [[0, 32768]]]]
    parts = [stream.read_block(4096, 28672).data.real.std() for stream in streams]
    assert parts == pytest.approx([2.1, 1.75], abs=0.1)


def test_header_and_samples(tmp_path: Path) -> None:
    x = samples(5)
    path = write(tmp_path / "a.dat", x)
    assert drx.sniff(Probe(path))
    for tuning in (1, 2):
        stream = fs.open(path, tuning=tuning).stream
        assert stream.shape == (5 * N_TIME, 2)
        np.testing.assert_array_equal(stream.read_block(0, 5 * N_TIME).data, values(x[tuning - 1]))
        np.testing.assert_array_equal(stream.read_block(4000, 9000).data,
                                      values(x[tuning - 1])[4000:13000])
    # 12345 ticks of 196 MHz.
    assert iso(stream.start_time) == "2025-06-15T15:06:40.000062985"
    assert stream.header.channels is not None
    assert float(stream.header.channels.first_hz) == 49e6
    with pytest.raises(UsageError, match="tuning = 3; allowed: 1, 2"):
        fs.open(path, tuning=3)
    alone = write(tmp_path / "b.dat", x, [(i, 1, p) for i in range(5) for p in range(2)])
    np.testing.assert_array_equal(fs.open(alone).stream.read_block(0, 100).data,
                                  values(x[1])[:100])


def test_frames_missing_late_and_twice_in_two_files(tmp_path: Path) -> None:
    x = samples(20)
    order = [(i, 0, p) for i in range(20) for p in range(2) if (i, p) not in ((0, 0), (9, 1))]
    order[5], order[8] = order[8], order[5]
    order.insert(12, order[10])
    paths = [write(tmp_path / "p1.dat", x, order[20:]), write(tmp_path / "p0.dat", x, order[:20])]
    # In the order of time or not, but counted from the first file's first frame.
    stream = fs.open(paths).stream
    found = stream.read_block(0, 20 * N_TIME)
    expected = values(x[0])
    expected[:N_TIME, 0] = 0
    expected[9 * N_TIME : 10 * N_TIME, 1] = 0
    np.testing.assert_array_equal(found.data, expected)
    assert found.valid[1].tolist() == [[0, 9 * N_TIME], [10 * N_TIME, 20 * N_TIME]]
    assert iso(stream.start_time) == "2025-06-15T15:06:40.000062985"


def test_damage(tmp_path: Path) -> None:
    path = write(tmp_path / "d.dat", samples(4))
    raw = bytearray(path.read_bytes())
    raw[4128 * 4] ^= 1
    path.write_bytes(raw[:-5])
    with pytest.warns(FastsigWarning, match=r"d\.dat: the last 4123 bytes"):
        stream = fs.open(path, tuning=1).stream
    spans = stream.read_block(0, stream.shape[0]).valid
    assert spans[0].tolist() == [[0, 4096], [8192, 16384]] and spans[1].tolist() == [[0, 16384]]
    for length in (0, 3, 31, 4000):
        path.write_bytes(raw[:length])
        with pytest.raises(FormatError, match=r"d\.dat: "):
            fs.open(path, tuning=1)


def test_any_byte_of_headers_may_be_wrong(tmp_path: Path) -> None:
    raw = write(tmp_path / "f.dat", samples(2)).read_bytes()
    change_bytes(raw, tmp_path / "g.dat",
                 lambda rng: 4128 * rng.integers(0, 8) + rng.integers(0, 32),
                 partial(drx.open, tuning=1))
