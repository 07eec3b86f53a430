"""Mark 4, Mark 5B and GSB: recorded truths, `baseband` as oracle, losses, damage, refusals."""

from __future__ import annotations

import importlib
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy import units as u
from astropy.time import Time
from hostile import change_bytes
from recordings import recorded
from thorough import many

import fastsig as fs
from fastsig.axes.time import iso
from fastsig.errors import DataError, FastsigWarning, FormatError, UsageError
from fastsig.io.opening import detect
from fastsig.io.probe import Probe
from fastsig.io.tape import gsb, mark4, mark5b
from fastsig.io.voltages.segments import RawFiles

pytest.importorskip("baseband")
from baseband import data as shipped
from baseband import gsb as gsb_oracle
from baseband import mark4 as mark4_oracle
from baseband import mark5b as mark5b_oracle

N5, F5 = 5000, 10016  # samples and bytes of a Mark 5B frame of 8 channels of 2 bits
N4, F4 = 80000, 40000  # and of a Mark 4 frame of 16 tracks: 2 channels of 2 bits, fan-out 4
DAY, SECOND = 56821, 19801  # 2014-06-13T05:30:01
FILL = b"\x44\x33\x22\x11"


def bcd(number: int) -> int:
    return int(str(number), 16)


def frames5(first: int, n: int, *, rate: int = 6400, day: int = DAY, second: int = SECOND,
            fractions: bool = True, seed: int = 5) -> list[bytes]:
    """Frames of random samples, numbered from a second on; `second` may be that of a leap."""
    payload = np.random.default_rng(seed).integers(0, 256, (n, 10000), "u1")
    out = []
    for i in range(n):
        seconds, frame = divmod(first + i, rate)
        days, seconds = divmod(second + seconds, 86400)
        fraction = frame * 10000 // rate if fractions else 0
        code = bcd((day + days) % 1000) << 20 | bcd(seconds)
        crc = mark5b_oracle.header.crc16(code << 16 | bcd(fraction))
        words = [0xABADDEED, 0xBEAD << 16 | frame, code, bcd(fraction) << 16 | int(crc)]
        out.append(np.array(words, "<u4").tobytes() + payload[i].tobytes())
    return out


def frames4(n: int, *, start: str = "2013-11-03T06:00:00.77", seed: int = 4, bps: int = 2,
            **fields: Any) -> list[bytes]:
    """Frames of random samples, 2.5 ms each, of 16 tracks."""
    payload = np.random.default_rng(seed).integers(0, 256, (n, F4 - 320), "u1")
    out = []
    for i in range(n):
        time = (Time(start, scale="utc").tai + i * 2.5 * u.ms).utc
        header = mark4_oracle.Mark4Header.fromvalues(16, time=time, bps=bps, fanout=4)
        header.update(**fields, verify=False)
        file = io.BytesIO()
        header.tofile(file)
        out.append(file.getvalue() + payload[i].tobytes())
    return out


def write(path: Path, parts: list[bytes]) -> Path:
    path.write_bytes(b"".join(parts))
    return path


def opened5(path: Any, **overrides: Any) -> Any:
    return fs.open(path, **{"nchan": 8, "ref_time": "2014-01-01", **overrides}).stream


def opened4(path: Any, **overrides: Any) -> Any:
    return fs.open(path, **{"ref_time": "2014-01-01", **overrides}).stream


def whole5(frames: list[bytes]) -> np.ndarray:
    """What `baseband` decodes, frame by frame."""
    return np.concatenate([
        mark5b_oracle.Mark5BFrame.fromfile(io.BytesIO(frame), kday=56000, sample_shape=(8,)).data
        for frame in frames])


def whole4(frames: list[bytes]) -> np.ndarray:
    """Likewise; 0 where headers stand."""
    return np.concatenate([
        mark4_oracle.Mark4Frame.fromfile(io.BytesIO(frame), 16, decade=2010).data
        for frame in frames])


def valid5(found: Any, n: int) -> list[bool]:
    """Which frames are valid; all channels must agree, and all samples of a frame."""
    masks = []
    for spans in found.valid:
        mask = np.zeros(n * N5, bool)
        for first, stop in spans.tolist():
            mask[first:stop] = True
        masks.append(mask.reshape(n, N5))
    each = np.array(masks)
    assert (each == each[:1, :, :1]).all()
    return [bool(x) for x in each[0, :, 0]]


def check5(stream: Any, frames: list[bytes], there: list[bool]) -> None:
    """All at once and in pieces: frames that are there have their samples, others none."""
    expected = whole5(frames) * np.repeat(there, N5)[:, np.newaxis]
    assert stream.shape == expected.shape
    found = stream.read_block(0, len(expected))
    assert valid5(found, len(frames)) == there
    np.testing.assert_array_equal(found.data, expected)
    for start in range(0, len(expected) - 7000, 3333):
        np.testing.assert_array_equal(stream.read_block(start, 7000).data,
                                      expected[start : start + 7000])


# Recorded files, and what `baseband` reads of them.

@pytest.mark.recorded
@pytest.mark.parametrize(("name", "start", "shape", "rate", "lost"), [
    ("sample.m4", "2014-06-16T07:38:12.475000000", (160000, 8), 32, 640),
    ("sample_32track.m4", "2015-01-11T01:23:10.485000000", (160000, 4), 32, 640),
    ("sample_32track_fanout2.m4", "2017-03-04T04:42:26.025000000", (80000, 8), 16, 320),
])
def test_recorded_mark4(name: str, start: str, shape: tuple[int, int], rate: int, lost: int
                        ) -> None:
    with pytest.warns(FastsigWarning, match=r"the last \d+ bytes are no whole frame"):
        stream = opened4(recorded(f"baseband/{name}"))
    assert iso(stream.start_time) == start and stream.shape == shape
    assert stream.header.sample_rate == rate * 10**6 and stream.header.n_bits == 2
    half = shape[0] // 2
    found = stream.read_block(0, shape[0])
    for spans in found.valid:  # headers stand in place of samples
        assert spans.tolist() == [[lost, half], [half + lost, 2 * half]]


@pytest.mark.recorded
def test_recorded_mark5b() -> None:
    stream = opened5(recorded("baseband/sample.m5b"))
    assert iso(stream.start_time) == "2014-06-13T05:30:01.000000000"
    assert stream.shape == (20000, 8) and stream.header.sample_rate == 32_000_000
    assert stream.header.n_bits == 2 and not stream.header.is_complex
    assert stream.header.extra["user"] == 0xBEAD
    found = stream.read_block(0, 20000)
    assert found.data.std() == pytest.approx(2.16, abs=0.01)
    assert all(spans.tolist() == [[0, 20000]] for spans in found.valid)


MARK4_FILES = ["SAMPLE_MARK4", "SAMPLE_MARK4_16TRACK", "SAMPLE_MARK4_32TRACK",
               "SAMPLE_MARK4_32TRACK_FANOUT2", "SAMPLE_MARK4_64TRACK_FANOUT2_FT"]


@pytest.mark.filterwarnings("ignore:.*are no whole frame")
@pytest.mark.parametrize("name", MARK4_FILES)
def test_mark4_is_as_baseband_reads_it(name: str) -> None:
    path = getattr(shipped, name)
    with mark4_oracle.open(path, "rs", decade=2010, fill_value=np.nan) as file:
        expected = file.read()
        start, rate, n_track = file.start_time, file.sample_rate, file.header0.ntrack
    for overrides in ({"decade": 2010}, {"start_time": start}, {"decade": 2010, "ntrack": n_track}):
        stream = fs.open(path, **overrides).stream
        assert abs((stream.start_time - start).to_value("ns")) < 1
        assert stream.sample_rate == rate and stream.shape == expected.shape
    found = stream.read_block(0, len(expected))
    np.testing.assert_array_equal(found.data, np.nan_to_num(expected))
    for pol, spans in enumerate(found.valid):
        np.testing.assert_array_equal(
            np.flatnonzero(np.isfinite(expected[:, pol])),
            np.concatenate([np.arange(*span) for span in spans.tolist()]))
    some = fs.open(path, decade=2010, input="1,0").stream
    assert some.polarization.names == ("c1", "c0")
    np.testing.assert_array_equal(some.read_block(39000, 999).data, found.data[39000:39999, [1, 0]])


@pytest.mark.parametrize(("n_chan", "bps"), [(1, 1), (1, 2), (8, 1), (8, 2), (16, 2)])
def test_mark5b_is_as_baseband_reads_it(n_chan: int, bps: int) -> None:
    path = shipped.SAMPLE_MARK5B
    with mark5b_oracle.open(path, "rs", kday=56000, nchan=n_chan, bps=bps, squeeze=False) as file:
        expected, start, rate = file.read(), file.start_time, file.sample_rate
    for overrides in ({"kday": 56000}, {"ref_time": "2013-02-01"}, {"start_time": start}):
        stream = fs.open(path, nchan=n_chan, bps=bps, **overrides).stream
        assert abs((stream.start_time - start).to_value("ns")) < 1
        assert stream.sample_rate == rate and stream.shape == expected.shape
    np.testing.assert_array_equal(stream.read_block(0, len(expected)).data, expected)
    assert sorted({*np.unique(expected)}) == list(stream.levels)


def test_gsb_is_as_baseband_reads_it() -> None:
    with gsb_oracle.open(shipped.SAMPLE_GSB_RAWDUMP_HEADER, "rs", raw=shipped.SAMPLE_GSB_RAWDUMP,
                         samples_per_frame=8192, squeeze=False) as file:
        expected, start, rate = file.read(), file.start_time, file.sample_rate
    stream = fs.open(shipped.SAMPLE_GSB_RAWDUMP_HEADER, samples_per_frame=8192).stream
    assert iso(stream.start_time) == "2015-04-27T13:15:00.000000240" == start.utc.isot
    assert stream.sample_rate.value == pytest.approx(rate.to_value("Hz"), rel=1e-14)
    assert stream.dtype == np.float32 and stream.header.n_bits == 4
    np.testing.assert_array_equal(stream.read_block(0, 81920).data, expected)
    for first, n in ((1, 1), (8191, 3), (8190, 8195)):  # bytes hold two samples
        np.testing.assert_array_equal(stream.read_block(first, n).data, expected[first : first + n])


def test_phased_gsb_is_as_baseband_reads_it() -> None:
    path = shipped.SAMPLE_GSB_PHASED_HEADER
    with gsb_oracle.open(path, "rs", raw=shipped.SAMPLE_GSB_PHASED, samples_per_frame=8) as file:
        expected, start = file.read(), file.start_time
    raw = "*.Pol-L*.dat;*.Pol-R*.dat"
    for overrides in ({}, {"raw": raw}, {"raw": shipped.SAMPLE_GSB_PHASED}):
        stream = fs.open(path, samples_per_frame=8, **overrides).stream
        assert iso(stream.start_time) == "2013-07-27T21:23:55.324108800" == start.utc.isot
        assert stream.shape == (80, 2, 512) == expected.shape and stream.dtype == np.complex64
        assert stream.polarization.names == ("L", "R") and stream.polarization.kind == "circular"
        np.testing.assert_array_equal(stream.read_block(0, 80).data, expected)
        np.testing.assert_array_equal(stream.read_block(3, 6).data, expected[3:9])
    assert [Path(name).suffix for name in stream.files] == [".timestamp"] + [".dat"] * 4
    axis = fs.open(path, samples_per_frame=8, frequency="325MHz").stream.header.channels
    assert axis.n_chan == 512 and sum(axis.edges_hz) == 650_000_000
    one = fs.open(path, samples_per_frame=8, raw=shipped.SAMPLE_GSB_PHASED[1]).stream
    np.testing.assert_array_equal(one.read_block(0, 80).data, expected[:, 1:])


# Which format a file is.

@pytest.mark.filterwarnings("ignore:.*are no whole frame")
def test_files_are_known_by_content(samples: Path, tmp_path: Path) -> None:
    named = {"mark4": [getattr(shipped, name) for name in MARK4_FILES],
             "mark5b": [shipped.SAMPLE_MARK5B],
             "gsb": [shipped.SAMPLE_GSB_RAWDUMP_HEADER, shipped.SAMPLE_GSB_PHASED_HEADER]}
    for name, paths in named.items():
        for path in paths:
            assert detect(path)[0] == name
    others = [*samples.glob("*.h5"), samples, shipped.SAMPLE_VDIF, shipped.SAMPLE_DADA,
              shipped.SAMPLE_PUPPI, shipped.SAMPLE_GSB_RAWDUMP, Path(__file__)]
    noise = np.random.default_rng(1).integers(0, 256, 2**20, "u1")
    for fill in (noise.tobytes(), bytes(2**20), b"\xff" * 2**20, FILL * 2**18,
                 b"\xed\xde\xad\xab" * 2**18, bytes(8) + b"\xff" * 2**20,
                 b"2015 04 27 18 45 00 0.1\n2015", b"2015 04 27 18 45 00 12 3\n"):
        others.append(tmp_path / f"{len(others)}")
        others[-1].write_bytes(fill)
    for path in others:
        assert not any(module.sniff(Probe(path)) for module in (mark4, mark5b, gsb)), path


@pytest.mark.parametrize("cut", [0, 1, 17, 5000, 10015])
def test_a_mark5b_file_may_begin_within_a_frame(tmp_path: Path, cut: int) -> None:
    frames = frames5(0, 4)
    path = write(tmp_path / "m.m5b", frames)
    path.write_bytes(path.read_bytes()[cut:])
    assert mark5b.sniff(Probe(path)) and not mark4.sniff(Probe(path))
    stream = opened5(path)
    skip = bool(cut)
    np.testing.assert_array_equal(stream.read_block(0, (4 - skip) * N5).data, whole5(frames[skip:]))
    assert iso(stream.time_of(0)) == f"2014-06-13T05:30:01.{skip * 156250:09d}"


def test_one_frame_is_enough(tmp_path: Path) -> None:
    path = write(tmp_path / "one.m5b", frames5(0, 1))
    assert mark5b.sniff(Probe(path))
    with pytest.raises(FormatError, match="do not tell the sample rate; give sample_rate="):
        opened5(path)
    assert opened5(path, sample_rate="32MHz").shape == (N5, 8)
    path = write(tmp_path / "one.m4", [bytes(100), *frames4(1)])
    assert mark4.sniff(Probe(path))
    with pytest.raises(FormatError, match="do not tell the sample rate; give sample_rate="):
        opened4(path)
    assert opened4(path, sample_rate="32MHz").shape == (N4, 2)


# Losses.

LOST5: dict[str, tuple[Callable[[list[bytes]], list[bytes]], str]] = {
    "a frame": (lambda f: f[:4] + f[5:], "4"),
    "many frames": (lambda f: f[:3] + f[9:], "345678"),
    "bytes": (lambda f: [*f[:4], f[4][:3000] + f[4][4000:], *f[5:]], "4"),
    "bytes of two frames": (lambda f: [*f[:4], f[4][:3000], f[5][9000:], *f[6:]], "45"),
    "bytes twice": (lambda f: [*f[:2], f[2][:30], *f[3:8], f[8][:50] + f[8][57:], *f[9:]], "28"),
    "added": (lambda f: [*f[:4], f[4][:3000] + bytes(50000) + f[4][3000:], *f[5:]], "4"),
    "a frame twice": (lambda f: f[:6] + f[5:], ""),
    "the order": (lambda f: [*f[:5], f[6], f[5], *f[7:]], ""),
    "all of a frame is fill": (lambda f: [*f[:4], f[4][:16] + FILL * 2500, *f[5:]], "4"),
    "headers are fill too": (lambda f: [*f[:3], FILL * 2504 * 4, *f[7:]], "3456"),
    "a header": (lambda f: [*f[:4], bytes(16) + f[4][16:], *f[5:]], "4"),
    "a digit of a time": (lambda f: [*f[:4], f[4][:8] + b"\x02" + f[4][9:], *f[5:]], "4"),
    "a frame's number": (lambda f: [*f[:4], f[4][:4] + b"\x05" + f[4][5:], *f[5:]], "4"),
}


@pytest.mark.filterwarnings("ignore:.*bytes are missing or added:fastsig.FastsigWarning")
@pytest.mark.parametrize("what", LOST5)
def test_losses_within_mark5b(tmp_path: Path, what: str) -> None:
    frames = frames5(0, 12)
    damage, lost = LOST5[what]
    stream = opened5(write(tmp_path / "l.m5b", damage(frames)), sample_rate=32_000_000)
    check5(stream, frames, [f"{i:x}" not in lost for i in range(12)])
    assert iso(stream.time_of(10 * N5)) == "2014-06-13T05:30:01.001562500"


def test_bytes_lost_are_told(tmp_path: Path) -> None:
    frames = frames5(0, 300)
    frames[77] = frames[77][:3000]
    with pytest.warns(FastsigWarning, match=r"l\.m5b: bytes are missing or added between "
                      rf"{77 * F5} and {77 * F5 + 3000}; the frames there are left out"):
        stream = opened5(write(tmp_path / "l.m5b", frames))
    found = stream.read_block(76 * N5, 3 * N5)
    assert found.valid[0].tolist() == [[76 * N5, 77 * N5], [78 * N5, 79 * N5]]
    np.testing.assert_array_equal(found.data[2 * N5 :], whole5(frames[78:79]))


@pytest.mark.filterwarnings("ignore:.*bytes are missing or added:fastsig.FastsigWarning")
@pytest.mark.parametrize("n", [3, 4, 5, 9])
@pytest.mark.parametrize("from_end", [2, 3])
def test_bytes_lost_near_the_end(tmp_path: Path, n: int, from_end: int) -> None:
    frames = frames5(0, n)
    whole, lost = whole5(frames), n - from_end
    path = write(tmp_path / "e.m5b", [*frames[:lost], frames[lost][:-7], *frames[lost + 1 :]])
    stream = opened5(path, sample_rate=32_000_000)
    found = stream.read_block(0, stream.shape[0])
    begin = lost == 0
    assert stream.shape[0] == (n - begin) * N5
    assert valid5(found, n - begin) == [i != lost for i in range(n)][begin:]
    whole[lost * N5 : (lost + 1) * N5] = 0
    np.testing.assert_array_equal(found.data, whole[begin * N5 :])


@pytest.mark.filterwarnings("ignore:.*bytes are missing or added:fastsig.FastsigWarning")
@pytest.mark.filterwarnings("ignore:.*are no whole frame:fastsig.FastsigWarning")
@pytest.mark.parametrize("kind", ["mark4", "mark5b"])
def test_whatever_is_lost_or_added_no_sample_is_out_of_its_place(tmp_path: Path, kind: str) -> None:
    frames = frames4(8) if kind == "mark4" else frames5(0, 30)
    truth = whole4(frames) if kind == "mark4" else whole5(frames)
    size, n_time = len(frames[0]), len(truth) // len(frames)
    first = opened4(write(tmp_path / "d", frames)) if kind == "mark4" else (
        opened5(write(tmp_path / "d", frames)))
    for seed in range(many(24, 80)):
        rng = np.random.default_rng(seed)
        # Not near the end: that no header follows is no wonder there.
        at = int(rng.integers(2 * size, (len(frames) - 3) * size))
        n = int(rng.choice([1, 8, 400, size // 2, size + 4, 3 * size // 2]))
        added = [b"", bytes(n), rng.integers(0, 256, n, "u1").tobytes()][seed % 3]
        raw = b"".join(frames)
        (tmp_path / "d").write_bytes(raw[:at] + added + raw[at + (0 if added else n) :])
        stream = opened4(tmp_path / "d") if kind == "mark4" else opened5(tmp_path / "d")
        assert iso(stream.start_time) == iso(first.start_time)
        found = stream.read_block(0, stream.shape[0])
        kept = 0
        for low, high in found.valid[0].tolist():
            np.testing.assert_array_equal(found.data[low:high], truth[low:high])
            kept += high - low
        assert kept > (len(frames) - 4) * n_time * 0.99


def test_part_of_a_frame_is_fill(tmp_path: Path) -> None:
    frames = frames5(0, 3)
    frames[1] = frames[1][:2016] + FILL * 1000 + frames[1][6016:]
    found = opened5(write(tmp_path / "p.m5b", frames)).read_block(0, 3 * N5)
    assert found.valid[5].tolist() == [[0, N5 + 1000], [N5 + 3000, 3 * N5]]
    assert not found.data[N5 + 1000 : N5 + 3000].any()
    # A word alone may be by chance.
    frames[2] = frames[2][:2016] + FILL * 3 + frames[2][2028:]
    found = opened5(write(tmp_path / "p.m5b", frames)).read_block(2 * N5, N5)
    assert found.valid[5].tolist() == [[2 * N5, 3 * N5]]
    np.testing.assert_array_equal(found.data, whole5(frames[2:]))


LOST4: dict[str, tuple[Callable[[list[bytes]], list[bytes]], str]] = {
    "a frame": (lambda f: f[:3] + f[4:], "3"),
    "the second frame": (lambda f: f[:1] + f[2:], "1"),
    "bytes": (lambda f: [*f[:3], f[3][:9000] + f[3][9300:], *f[4:]], "3"),
    "bytes at the start": (lambda f: [f[0][:400], *f[1:]], "0"),
    "added": (lambda f: [*f[:3], f[3] + bytes(99), *f[4:]], "3"),
    "a frame twice": (lambda f: f[:4] + f[3:], ""),
    "all is fill": (lambda f: [*f[:2], FILL * (F4 // 2), *f[4:]], "23"),
    "errors are told": (lambda f: [*f[:3], frames4(4, communication_error=True)[3], *f[4:]], "3"),
}


@pytest.mark.filterwarnings("ignore:.*bytes are missing or added:fastsig.FastsigWarning")
@pytest.mark.parametrize("what", LOST4)
def test_losses_within_mark4(tmp_path: Path, what: str) -> None:
    frames = frames4(7)
    damage, lost = LOST4[what]
    stream = opened4(write(tmp_path / "l.m4", damage(frames)))
    begin = int("0" in lost)
    there = np.array([str(i) not in lost for i in range(7)])[begin:]
    expected = (whole4(frames[begin:]).reshape(-1, N4, 2) * there[:, np.newaxis, np.newaxis]
                ).reshape(-1, 2)
    assert stream.shape == expected.shape
    found = stream.read_block(0, len(expected))
    np.testing.assert_array_equal(found.data, expected)
    spans = [[i * N4 + 640, (i + 1) * N4] for i in np.flatnonzero(there)]
    assert found.valid[0].tolist() == spans == found.valid[1].tolist()
    assert iso(stream.time_of((5 - begin) * N4)) == "2013-11-03T06:00:00.782500000"
    np.testing.assert_array_equal(stream.read_block(123456, 99999).data, expected[123456:][:99999])


@pytest.mark.parametrize("rest", [1, 15, 16, 9000])
def test_cut_files_give_their_whole_frames(tmp_path: Path, rest: int) -> None:
    frames = frames5(0, 4)
    path = write(tmp_path / "c.m5b", [*frames[:3], frames[3][:rest]])
    with pytest.warns(FastsigWarning, match=rf"c\.m5b: the last {rest} bytes are no whole frame"):
        stream = opened5(path)
    check5(stream, frames[:3], [True] * 3)
    frames = frames4(3)
    path = write(tmp_path / "c.m4", [*frames[:2], frames[2][:rest]])
    with pytest.warns(FastsigWarning, match=rf"c\.m4: the last {rest} bytes are no whole frame"):
        stream = opened4(path)
    np.testing.assert_array_equal(stream.read_block(0, 2 * N4).data, whole4(frames[:2]))


@pytest.mark.parametrize("junk", [bytes(300_000), FILL * 75_000, b"\xff" * 300_000])
def test_junk_at_the_end_is_no_frame(tmp_path: Path, junk: bytes) -> None:
    frames = frames5(0, 5)
    with pytest.warns(FastsigWarning, match="are no whole frame"):
        stream = opened5(write(tmp_path / "j.m5b", [*frames, junk]))
    check5(stream, frames, [True] * 5)


def test_shorter_than_a_frame(tmp_path: Path) -> None:
    cases = [("s.m5b", frames5(0, 1)[0], partial(mark5b.open, nchan=8, kday=56000)),
             ("s.m4", frames4(1)[0], partial(mark4.open, decade=2010))]
    for name, whole, module in cases:
        for length in (1, 20, 4000, 9999):
            path = tmp_path / name
            path.write_bytes(whole[:length])
            with pytest.raises(FormatError, match=rf"{name}: "):
                module(path)


# Time.

def test_a_leap_second_counts(tmp_path: Path) -> None:
    rate = 25  # frames a second
    frames = [frames5(0, rate, rate=rate, day=57753, second=86399, seed=1)]
    # The leap second is second 86400 of its day.
    for frame in frames5(0, rate, rate=rate, day=57753, second=0, seed=2):
        time = np.frombuffer(frame, "<u4", 4).copy()
        time[2] = bcd(753) << 20 | bcd(86400)
        time[3] = 0x10000 * (time[3] >> 16) | int(mark5b_oracle.header.crc16(
            int(time[2]) << 16 | int(time[3] >> 16)))
        frames.append([time.tobytes() + frame[16:]])
    frames.append(frames5(0, rate, rate=rate, day=57754, second=0, seed=3))
    every = [frame for some in frames for frame in some]
    stream = opened5(write(tmp_path / "leap.m5b", every), ref_time="2017-01-01")
    assert stream.header.sample_rate == 25 * N5
    check5(stream, every, [True] * 75)
    assert [iso(stream.time_of(i * 25 * N5)) for i in range(3)] == [
        "2016-12-31T23:59:59.000000000", "2016-12-31T23:59:60.000000000",
        "2017-01-01T00:00:00.000000000"]


def test_the_day_goes_from_999_to_0(tmp_path: Path) -> None:
    frames = frames5(0, 50, rate=25, day=56999, second=86399)
    stream = opened5(write(tmp_path / "d.m5b", frames), ref_time="2014-12-01")
    check5(stream, frames, [True] * 50)
    assert iso(stream.time_of(25 * N5)) == "2014-12-09T00:00:00.000000000"
    assert iso(opened5(tmp_path / "d.m5b", kday=55000).start_time) == (
        iso(Time(55999, 86399 / 86400, format="mjd", scale="utc")))


def test_the_year_goes_from_9_to_0(tmp_path: Path) -> None:
    frames = frames4(6, start="2019-12-31T23:59:59.9925")
    stream = opened4(write(tmp_path / "y.m4", frames), ref_time="2020-06-01")
    np.testing.assert_array_equal(stream.read_block(0, 6 * N4).data, whole4(frames))
    assert [iso(stream.time_of(i * N4)) for i in (0, 3)] == [
        "2019-12-31T23:59:59.992500000", "2020-01-01T00:00:00.000000000"]


@pytest.mark.parametrize("rate", [25, 200, 1600, 6400])
@pytest.mark.parametrize("fractions", [False, True])
def test_the_rate_of_mark5b(tmp_path: Path, rate: int, fractions: bool) -> None:
    path = write(tmp_path / "r.m5b", frames5(rate - 20, 40, rate=rate, fractions=fractions))
    stream = opened5(path)
    assert stream.header.extra["frames_per_second"] == rate
    assert stream.header.sample_rate == rate * N5 and stream.shape == (40 * N5, 8)
    assert iso(stream.time_of(20 * N5)) == "2014-06-13T05:30:02.000000000"
    if not fractions and rate > 25:
        with pytest.raises(FormatError, match="do not tell the sample rate"):
            opened5(write(tmp_path / "s.m5b", frames5(0, 20, rate=rate, fractions=False)))


def test_files_of_one_recording(tmp_path: Path) -> None:
    frames = frames5(0, 30)
    paths = [write(tmp_path / f"{i}.m5b", part)
             for i, part in enumerate((frames[20:], frames[:9], frames[10:20]))]
    check5(opened5(paths), frames, [i != 9 for i in range(30)])
    frames = frames4(5)
    paths = [write(tmp_path / f"{i}.m4", part) for i, part in enumerate((frames[3:], frames[:3]))]
    stream = opened4(paths)
    np.testing.assert_array_equal(stream.read_block(0, 5 * N4).data, whole4(frames))
    assert stream.files == [str(path) for path in paths]


# Threads and memory.

def test_threads_read_what_one_reads_with_few_files_open(tmp_path: Path) -> None:
    frames = frames5(0, 20)
    stream, expected = opened5(write(tmp_path / "t.m5b", frames)), whole5(frames)
    before = len(os.listdir("/proc/self/fd"))
    starts = list(range(0, len(expected) - 9000, 1234))
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda at: stream.read_block(at, 9000).data, starts))
    assert len(os.listdir("/proc/self/fd")) <= before + 1
    for at, data in zip(starts, found, strict=True):
        np.testing.assert_array_equal(data, expected[at : at + 9000])
    stream.close()
    np.testing.assert_array_equal(stream.read_block(7, 99).data, expected[7:106])
    stream.close()
    os.unlink(tmp_path / "t.m5b")
    with pytest.raises(DataError, match=r"t\.m5b: "):
        stream.read_block(0, 10)


def test_any_number_of_workers_gives_the_same_bytes(tmp_path: Path) -> None:
    four, five = frames4(6), frames5(0, 60)
    paths = [write(tmp_path / "w.m4", four[:3] + four[4:]), write(tmp_path / "w.m5b", five[3:])]
    for path, own in zip(paths, ({"decade": 2010}, {"nchan": 8, "kday": 56000}), strict=True):
        done = []
        for workers in (1, 4):
            chain = fs.open(path, input="0,1", frequency="1400MHz", **own)
            product = tmp_path / f"{path.name}.{workers}.h5"
            chain.channelize(64).detect("AABB").integrate(n_int=16).write(
                product, workers=workers)
            done.append(product.read_bytes())
        assert done[0] == done[1]


def test_a_long_hole_is_not_looked_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch
                                           ) -> None:
    before, after = frames5(0, 9), frames5(6391, 9)
    path = tmp_path / "hole.m5b"
    with path.open("wb") as file:
        file.write(b"".join(before))
        file.seek(2**34 + 777)
        file.write(b"".join(after))
    total, read_into = 0, RawFiles.read_into

    def counted(self: Any, index: int, out: Any, offset: int) -> None:
        nonlocal total
        total += out.nbytes
        read_into(self, index, out, offset)

    monkeypatch.setattr(RawFiles, "read_into", counted)
    with pytest.warns(FastsigWarning, match=f"between {8 * F5} and {2**34 + 777}"):
        stream = opened5(path)
    assert stream.shape == (6400 * N5, 8) and total < 3 * 2**26
    total = 0
    found = stream.read_block(6391 * N5, 9 * N5)
    assert found.valid[0].tolist() == [[6391 * N5, 6400 * N5]] and total < 2e6
    np.testing.assert_array_equal(found.data, whole5(after))
    found = stream.read_block(0, 20 * N5)
    assert found.valid[0].tolist() == [[0, 8 * N5]]  # the ninth: no frame follows


# Damage.

def test_any_byte_of_mark5b_headers_may_be_wrong(tmp_path: Path) -> None:
    raw = b"".join(frames5(0, 5))
    change_bytes(raw, tmp_path / "h.m5b",
                 lambda rng: F5 * rng.integers(0, 5) * rng.integers(0, 2) + rng.integers(0, 16),
                 partial(mark5b.open, nchan=8, kday=56000))


def test_any_byte_of_mark4_headers_may_be_wrong(tmp_path: Path) -> None:
    raw = b"".join(frames4(3))
    change_bytes(raw, tmp_path / "h.m4",
                 lambda rng: F4 * rng.integers(0, 3) * rng.integers(0, 2) + rng.integers(0, 320),
                 partial(mark4.open, decade=2010))


@pytest.mark.parametrize("track", range(16))
def test_headers_of_mark4_are_there_often_enough(tmp_path: Path, track: int) -> None:
    frames = frames4(3)
    stored = np.frombuffer(frames[1][:320], "<u2").copy()
    stored ^= np.uint16(1 << track)  # all that one track says is wrong
    damaged = [frames[0], stored.tobytes() + frames[1][320:], frames[2]]
    stream = opened4(write(tmp_path / "t.m4", damaged))
    assert stream.shape == (3 * N4, 2)
    # But it says that there is an error.
    assert stream.read_block(0, 3 * N4).valid[0].tolist() == [
        [640, N4], [2 * N4 + 640, 3 * N4]]
    # Nor is the first header needed.
    stream = opened4(write(tmp_path / "t.m4", [damaged[1], *frames[2:], *frames4(5)[3:]]))
    assert stream.shape == (3 * N4, 2) and stream.header.n_bits == 2


@pytest.mark.parametrize("phased", [False, True])
def test_any_byte_of_time_stamps_may_be_wrong(tmp_path: Path, phased: bool) -> None:
    path, frame = stamps(tmp_path, phased)
    raw = path.read_bytes()
    change_bytes(raw, path, lambda rng: rng.integers(0, len(raw)) // (1 + rng.integers(0, 9)),
                 partial(gsb.open, samples_per_frame=frame))


# GSB: lines and raw files.

def stamps(folder: Path, phased: bool) -> tuple[Path, int]:
    """A copy of a sample, and samples of its frames."""
    name = f"SAMPLE_GSB_{'PHASED' if phased else 'RAWDUMP'}"
    path = Path(getattr(shipped, name + "_HEADER"))
    for each in path.parent.glob(f"{path.stem}*"):
        shutil.copyfile(each, folder / each.name)
    return folder / path.name, 8 if phased else 8192


@pytest.mark.parametrize("phased", [False, True])
def test_lines_may_be_missing(tmp_path: Path, phased: bool) -> None:
    path, n = stamps(tmp_path, phased)
    whole = fs.open(path, samples_per_frame=n).stream
    expected = whole.read_block(0, 10 * n).data.copy()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3] + lines[5:]))
    for raw in path.parent.glob("*.dat"):
        blocks = raw.read_bytes()
        raw.write_bytes(blocks[: 3 * 4096] + blocks[5 * 4096 :])
    stream = fs.open(path, samples_per_frame=n).stream
    expected[3 * n : 5 * n] = 0
    found = stream.read_block(0, 10 * n)
    np.testing.assert_array_equal(found.data, expected)
    assert all(spans.tolist() == [[0, 3 * n], [5 * n, 10 * n]] for spans in found.valid)
    assert iso(stream.time_of(6 * n)) == iso(whole.time_of(6 * n))
    assert stream.valid_fraction() == pytest.approx(0.8)


@pytest.mark.parametrize("phased", [False, True])
def test_cut_gsb_files_give_their_whole_frames(tmp_path: Path, phased: bool) -> None:
    path, n = stamps(tmp_path, phased)
    expected = fs.open(path, samples_per_frame=n).stream.read_block(0, 10 * n).data.copy()
    text = path.read_bytes().rstrip()
    path.write_bytes(text[:-9])
    with pytest.warns(FastsigWarning) as caught:
        stream = fs.open(path, samples_per_frame=n).stream
    assert len(caught) >= 1 and stream.shape[0] >= 9 * n
    np.testing.assert_array_equal(stream.read_block(0, 9 * n).data, expected[: 9 * n])
    path.write_bytes(text)
    for raw in path.parent.glob("*.dat"):
        raw.write_bytes(raw.read_bytes()[: 7 * 4096 + 4000])
    with pytest.warns(FastsigWarning, match="hold 7 whole frames, and there are 10 lines"):
        stream = fs.open(path, samples_per_frame=n).stream
    assert stream.shape[0] == 7 * n
    np.testing.assert_array_equal(stream.read_block(0, 7 * n).data, expected[: 7 * n])
    lines = text.split(b"\n")
    path.write_bytes(b"\n".join(lines[:5]))
    with pytest.warns(FastsigWarning, match="are 5 lines, and a raw file holds 7 frames: those"):
        assert fs.open(path, samples_per_frame=n).stream.shape[0] == 5 * n
    path.write_bytes(b"\n".join([*lines[:2], b"no time", *lines[3:7]]))
    with pytest.warns(FastsigWarning, match="line 3 is no time stamp, one of 1; their frames"):
        stream = fs.open(path, samples_per_frame=n).stream
    found = stream.read_block(0, 7 * n)
    assert found.valid[0].tolist() == [[0, 2 * n], [3 * n, 7 * n]]
    np.testing.assert_array_equal(found.data[3 * n :], expected[3 * n : 7 * n])


def test_gsb_refusals(tmp_path: Path) -> None:
    path, n = stamps(tmp_path, False)
    with pytest.raises(FormatError, match="a raw file of 40960 bytes holds no frame, which takes "
                       "4194304; give samples_per_frame="):
        fs.open(path)
    with pytest.raises(FormatError, match=r"lines are 0\.25165\d* s apart, and frames 1 s; give"):
        fs.open(path, samples_per_frame=n, sample_rate=n)
    with pytest.raises(UsageError, match="samples_per_frame = 3; allowed"):
        fs.open(path, samples_per_frame=3)
    with pytest.raises(UsageError, match="bps = '5'; allowed: 4, 8"):
        fs.open(path, samples_per_frame=n, bps="5")
    with pytest.raises(UsageError, match="raw = 'a;b'; allowed: raw=FILE"):
        fs.open(path, samples_per_frame=n, raw="a;b")
    with pytest.raises(FormatError, match="raw file .* is no regular file"):
        fs.open(path, samples_per_frame=n, raw="/dev/zero")
    os.rename(tmp_path / "sample_gsb_rawdump.dat", tmp_path / "other")
    with pytest.raises(FormatError, match="not beside it under its own name; give raw=FILE"):
        fs.open(path, samples_per_frame=n)
    stream = fs.open(path, samples_per_frame=n, raw="oth*").stream
    assert stream.shape == (10 * n, 1)
    (tmp_path / "other").unlink()
    with pytest.raises(DataError, match="other: "):
        stream.read_block(0, 5)
    path, n = stamps(tmp_path, True)
    (tmp_path / "sample_gsb_phased.Pol-R2.dat").unlink()
    with pytest.raises(UsageError, match="allowed: raw='L1,L2;R1,R2'"):
        fs.open(path, samples_per_frame=n)


# Refusals.

def test_what_headers_do_not_tell_must_be_given(tmp_path: Path) -> None:
    path = write(tmp_path / "r.m5b", frames5(0, 3))
    with pytest.raises(FormatError, match="number of channels; give nchan=8"):
        fs.open(path, kday=56000)
    with pytest.raises(FormatError, match="alone, 821; .*ref_time=.*kday=56000"):
        fs.open(path, nchan=8)
    for key, value in (("nchan", 3), ("nchan", "x"), ("nchan", 64), ("bps", 8), ("kday", 56821),
                       ("ref_time", "1970-01-01"), ("input", "8")):
        with pytest.raises(UsageError, match=f"{key} = .*allowed: "):
            opened5(path, **{key: value})
    with pytest.raises(UsageError, match="'soon' is not a UTC time"):
        opened5(path, ref_time="soon")
    with pytest.raises(UsageError, match="unknown override 'ntrack' for mark5b; allowed: "):
        opened5(path, ntrack=64)
    with pytest.raises(FormatError, match="no whole number of frames of 5000 samples"):
        opened5(path, sample_rate=5001)
    with pytest.raises(FormatError, match="makes 1 frames of 5000 samples a second, and headers"):
        opened5(path, sample_rate=5000)
    path = write(tmp_path / "r.m4", frames4(3))
    with pytest.raises(FormatError, match="alone, 3; .*ref_time=.*decade=2010"):
        fs.open(path)
    for key, value in (("decade", 2013), ("ntrack", 8), ("ref_time", "2200-01-01")):
        with pytest.raises(UsageError, match=f"{key} = .*allowed: "):
            opened4(path, **{key: value})
    with pytest.raises(FormatError, match=r"m4: does not begin with Mark 4 \(64 tracks\) frames"):
        opened4(path, ntrack=64)
    with pytest.raises(FormatError, match="makes 5 ms of a frame .* headers are 2.5 ms apart"):
        opened4(path, sample_rate="16MHz")


@pytest.mark.parametrize("what", ["samples of 1 bits in 16 tracks, fan-out 4", "its first header"])
def test_modes_that_baseband_cannot_decode(tmp_path: Path, what: str) -> None:
    frames = frames4(2, bps=1) if "bit" in what else frames4(2, converter_id=3)
    path = write(tmp_path / "m.m4", frames)
    with pytest.raises(FormatError, match=rf"m\.m4: baseband cannot read {what}: "):
        opened4(path)


@pytest.mark.parametrize("name", ["SAMPLE_MARK4", "SAMPLE_MARK5B", "SAMPLE_GSB_RAWDUMP_HEADER"])
def test_without_baseband(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.import_module

    def missing(module: str, *args: Any) -> Any:
        if module.startswith("baseband"):
            raise ModuleNotFoundError("No module named 'baseband'")
        return real(module, *args)

    monkeypatch.setattr("fastsig.io.tape.decoding.importlib.import_module", missing)
    with pytest.raises(FormatError, match=r'pip install "fastsig\[baseband\]"') as caught:
        fs.open(getattr(shipped, name))
    assert str(caught.value).startswith(getattr(shipped, name))


def test_formats_are_known_without_baseband() -> None:
    paths = [shipped.SAMPLE_MARK4, shipped.SAMPLE_MARK5B, shipped.SAMPLE_GSB_PHASED_HEADER]
    code = ("import sys; sys.modules['baseband'] = None\n"
            "from fastsig.io.opening import detect\n"
            f"assert [detect(p)[0] for p in {paths}] == ['mark4', 'mark5b', 'gsb']")
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
