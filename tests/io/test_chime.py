"""CHIME/FRB baseband: archived channels and beams, one clock, sidebands, damage."""

from __future__ import annotations

import json
import os
import threading
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest
from thorough import many
from writers import NONSENSE

import fastsig as fs
from fastsig.axes.time import elapsed, time_from_unix
from fastsig.errors import DataError, FastsigError, FastsigWarning, FormatError, UsageError
from fastsig.io.chime import reader as chime
from fastsig.io.probe import Probe

RATE = 390625
ZERO = 1545436800  # Unix time at which the counter was 0
FIRST = 123456789  # counter at the first sample, where a test does not care
FREQ = np.dtype([("centre", "<f8"), ("id", "<u4")])
TIME0 = np.dtype([("fpga_count", "<u8"), ("ctime", "<f8"), ("ctime_offset", "<f8")])
INPUT = np.dtype([("chan_id", "<u2"), ("correlator_input", "S32")])
BEAM = np.dtype([("ra", "<f8"), ("dec", "<f8"), ("x_400MHz", "<f8"), ("y_400MHz", "<f8"),
                 ("pol", "S1"), ("source_name", "S50")])


def center_mhz(number: int) -> float:
    return 800 - number * 400 / 1024


def clock(first: int) -> tuple[float, float]:
    """A time as a float and what that lacks."""
    time = ZERO + Fraction(first, RATE)
    return float(time), float(time - Fraction(float(time)))


def pack(voltages: np.ndarray) -> np.ndarray:
    return ((voltages.real + 8).astype("u1") << 4) | (voltages.imag + 8).astype("u1")


def random_codes(n: int, n_input: int = 2, seed: int = 1) -> np.ndarray:
    """Bytes that are no lost samples."""
    return np.random.default_rng(seed).integers(1, 256, (n, n_input)).astype("u1")


def values(codes: np.ndarray) -> np.ndarray:
    """What bytes stand for, 0 where they are lost."""
    found = (codes >> 4).astype("f4") - 8 + 1j * ((codes & 15).astype("f4") - 8)
    return np.where(codes == 0, 0, found).astype("c8")


def archive(path: Path, codes: np.ndarray, number: int = 614, first: int = FIRST, *,
            axis: Any = ("time", "input"), serial: str = "FCC", **options: Any) -> Path:
    """An archived channel of bytes (time, input)."""
    seconds, rest = clock(first)
    n_input = codes.shape[1]
    with h5py.File(path, "w") as file:
        file.attrs.update({
            "archive_version": "NT_3.1.0", "collection_server": "recv", "event_id": np.uint64(12),
            "delta_time": 2.56e-6, "freq_id": np.uint32(number), "freq": center_mhz(number),
            "time0_fpga_count": np.uint64(first), "time0_ctime": seconds,
            "time0_ctime_offset": rest, "type_time0_ctime": "GPS",
            "first_packet_recv_time": seconds})
        file["index_map/input"] = np.array(
            [(i, f"{serial}{i:06d}") for i in range(n_input)], INPUT)
        order = list(axis or ("time", "input"))
        file.create_dataset("baseband", data=codes if order[0] == "time" else codes.T, **options)
        if axis:
            file["baseband"].attrs["axis"] = order
    return path


def analysed(path: Path, samples: np.ndarray, numbers: Any, firsts: Any = FIRST, *,
             name: str = "tiedbeam_baseband", n_pointing: int | None = None, dtype: str = "<c8",
             **attrs: Any) -> Path:
    """Channels of complex samples (freq, beam or input, time)."""
    n_freq, n_beam, _ = samples.shape
    firsts = np.broadcast_to(firsts, n_freq).tolist()
    beams = n_beam // 2 if n_pointing is None else n_pointing
    with h5py.File(path, "w") as file:
        file.attrs.update({"__memh5_subclass": "baseband_analysis.core.bbdata.BBData",
                           "delta_time": 2.56e-6, "event_id": 12})
        file["index_map/freq"] = np.array([(center_mhz(n), n) for n in numbers], FREQ)
        file["time0"] = np.array([(f, *clock(f)) for f in firsts], TIME0)
        file.create_dataset(name, data=samples.astype(dtype))
        if name == "tiedbeam_baseband":
            file["tiedbeam_locations"] = np.array(
                [(83.63 + k, 22.01, 0, 0, pol, "B0531+21") for k in range(beams) for pol in "SE"],
                BEAM)
            attrs = {"conjugate_beamform": 1} | attrs
        file[name].attrs["axis"] = ["freq", "beam" if "tied" in name else "input", "time"]
        file[name].attrs["fill_value"] = np.complex64(np.nan)
        file[name].attrs.update({key: value for key, value in attrs.items() if value is not None})
    return path


def noise(*shape: int) -> np.ndarray:
    rng = np.random.default_rng(2)
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype("c8")


def opened(path: Any, **overrides: Any) -> Any:
    return fs.open(path, **overrides).stream


@pytest.fixture
def one(tmp_path: Path) -> Path:
    """An archived channel of two inputs and 1000 samples."""
    return archive(tmp_path / "baseband_12_614.h5", random_codes(1000))


@pytest.fixture
def beams(tmp_path: Path) -> Path:
    """Three channels of a pointing, 400 samples."""
    return analysed(tmp_path / "beams.h5", noise(3, 2, 400), [612, 613, 614])


# Samples


def test_all_bytes(tmp_path: Path) -> None:
    codes = np.arange(256, dtype="u1").reshape(256, 1)
    block = opened(archive(tmp_path / "x.h5", codes)).read()
    for code in range(1, 256):
        assert block.data[code, 0] == complex(code // 16 - 8, code % 16 - 8)
    assert block.data[0, 0] == 0
    assert block.data[0x88, 0] == 0
    assert block.valid[0].tolist() == [[1, 256]]


@pytest.mark.parametrize("axis", [("time", "input"), ("input", "time"), None])
@pytest.mark.parametrize("options", [
    {}, {"chunks": True}, {"chunks": True, "compression": "gzip", "shuffle": True},
    {"chunks": True, **hdf5plugin.Bitshuffle(nelems=0, cname="lz4")}])
def test_storage(tmp_path: Path, axis: Any, options: dict) -> None:
    codes = random_codes(1000, 5)
    stream = opened(archive(tmp_path / "x.h5", codes, axis=axis, **options))
    assert stream.shape == (1000, 5)
    assert stream.dtype == np.complex64
    np.testing.assert_array_equal(stream.read().data, values(codes))
    stream.close()
    for start, n in ((0, 1), (3, 700), (999, 1), (500, 0)):
        np.testing.assert_array_equal(
            stream.read_block(start, n).data, values(codes[start : start + n]))


def test_lost_samples(tmp_path: Path) -> None:
    codes = random_codes(100)
    codes[10:20, 0] = codes[[50, 99], 1] = codes[0] = 0
    block = opened(archive(tmp_path / "x.h5", codes)).read()
    assert [spans.tolist() for spans in block.valid] == [
        [[1, 10], [20, 100]], [[1, 50], [51, 99]]]
    np.testing.assert_array_equal(block.data, values(codes))


@pytest.mark.parametrize("dtype", ["<c8", ">c8", "<c16"])
@pytest.mark.parametrize("name", ["tiedbeam_baseband", "baseband"])
def test_complex_samples(tmp_path: Path, dtype: str, name: str) -> None:
    samples = noise(3, 2, 400)
    path = analysed(tmp_path / "x.h5", samples, [614, 612, 613], name=name, dtype=dtype)
    stream = opened(path)
    assert stream.header.n_bits == np.dtype(dtype).itemsize * 4
    assert stream.shape == (400, 2, 3)
    np.testing.assert_array_equal(stream.read().data, samples[[0, 2, 1]].transpose(2, 1, 0))
    assert stream.frequency.to_value("MHz").tolist() == [center_mhz(n) for n in (614, 613, 612)]


def test_nan(tmp_path: Path) -> None:
    samples = noise(2, 2, 100)
    samples[0, :, 80:] = np.nan  # a channel that ends early
    samples[1, 1, 7] = complex(np.inf, 0)
    block = opened(analysed(tmp_path / "x.h5", samples, [5, 6])).read()
    assert [spans.tolist() for spans in block.valid] == [[[0, 80]], [[0, 7], [8, 80]]]
    assert (block.data[80:] == 0).all()
    assert (block.data[7, 1] == 0).all()
    assert np.isfinite(block.data).all()


def test_samples_beyond_single_precision(tmp_path: Path) -> None:
    samples = noise(1, 2, 9).astype("c16")
    samples[0, 0, 4] = 1e60
    block = opened(analysed(tmp_path / "x.h5", samples, [5], dtype="<c16")).read()
    assert [spans.tolist() for spans in block.valid] == [[[0, 4], [5, 9]], [[0, 9]]]


def test_a_channel_without_samples(tmp_path: Path) -> None:
    samples = noise(4, 2, 100)
    samples[2] = np.nan
    path = analysed(tmp_path / "x.h5", samples, [5, 6, 7, 8])
    with pytest.warns(FastsigWarning, match="channels 7 begin with NaN.*channel=FIRST-LAST"):
        stream = opened(path)
    assert not stream.read().valid[0].size
    assert opened(path, channel="5-6").read().valid[0].tolist() == [[0, 100]]


def test_any_split_and_threads_give_the_same(tmp_path: Path) -> None:
    codes = [random_codes(20_000, 3, seed) for seed in range(4)]
    for seed, each in enumerate(codes):
        each[np.random.default_rng(seed).integers(0, 20_000, 50), 1] = 0
    paths = [archive(tmp_path / f"{k}.h5", each, 100 + k, FIRST + 10 * k, chunks=(512, 3))
             for k, each in enumerate(codes)]
    stream = opened(paths, input="2,1")
    whole = stream.read()
    assert stream.shape == (20_000 - 30, 2, 4)
    for k, each in enumerate(codes):  # channels ascend, numbers fall
        lost = sum((codes[j][30 - 10 * j :][: len(whole.data), 1] == 0) for j in range(4)) > 0
        part = values(each)[30 - 10 * k :][: len(whole.data)]
        np.testing.assert_array_equal(whole.data[:, 0, 3 - k], part[:, 2])
        np.testing.assert_array_equal(whole.data[:, 1, 3 - k], np.where(lost, 0, part[:, 1]))
    starts = np.random.default_rng(3).integers(0, 18_000, 100).tolist()
    with ThreadPoolExecutor(8) as pool:
        blocks = list(pool.map(lambda start: stream.read_block(start, 1500), starts))
    for start, block in zip(starts, blocks, strict=True):
        np.testing.assert_array_equal(block.data, whole.data[start : start + 1500])
        expected = [fs_clip(spans, start, start + 1500) for spans in whole.valid]
        assert [spans.tolist() for spans in block.valid] == expected


def fs_clip(spans: np.ndarray, start: int, stop: int) -> list[list[int]]:
    return [[max(a, start), min(b, stop)] for a, b in spans.tolist() if a < stop and b > start]


def test_rows_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = random_codes(1000, 7)
    path = archive(tmp_path / "x.h5", codes)
    monkeypatch.setattr(chime, "_PIECE_BYTES", 60)
    block = opened(path, input="5,1").read_block(3, 900)
    np.testing.assert_array_equal(block.data, values(codes)[3:903, [5, 1]])


def test_memory_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    archive(path, random_codes(2, 2048))
    with h5py.File(path, "a") as file:
        del file["baseband"]
        file.create_dataset("baseband", (200_000, 2048), "u1", chunks=(512, 2048), fillvalue=0x97)
    stream = opened(path, input="0,2047")
    out = stream.empty(20_000)
    tracemalloc.start()
    block = stream.read_block(100_000, 20_000, out)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (block.data == 1 - 1j).all()
    assert peak < 4 * 2**20  # of 41 MB in the file


# Clock


def test_start_time(tmp_path: Path) -> None:
    first = 68_719_476_735_001
    stream = opened(archive(tmp_path / "x.h5", random_codes(10), first=first))
    expected = time_from_unix(ZERO + Fraction(first, RATE))
    assert abs(elapsed(expected, stream.start_time)) < Fraction(1, 10**11)
    with h5py.File(tmp_path / "x.h5", "a") as file:
        file.attrs["time0_ctime_offset"] += 1e-7
    later = opened(tmp_path / "x.h5")
    assert float(elapsed(expected, later.start_time)) == pytest.approx(1e-7, abs=1e-11)


def test_impulse_at_its_time(tmp_path: Path) -> None:
    paths, at = [], FIRST + 500
    for number, first in ((10, FIRST), (11, FIRST + 37), (12, FIRST - 11)):
        codes = np.full((1000, 2), 0x88, "u1")
        codes[at - first] = 0xF8
        paths.append(archive(tmp_path / f"{number}.h5", codes, number, first))
    stream = opened(paths)
    assert stream.shape == (1000 - 11 - 37, 2, 3)
    assert elapsed(time_from_unix(ZERO + Fraction(FIRST + 37, RATE)), stream.start_time) == (
        pytest.approx(0, abs=1e-11))
    power = np.abs(stream.read().data) ** 2
    assert (power[463] == 49).all()
    assert power.sum() == 49 * 6
    expected = time_from_unix(ZERO + Fraction(at, RATE))
    assert abs(elapsed(expected, stream.time_of(463))) < 1e-10


def test_starts_in_one_file(tmp_path: Path) -> None:
    samples = noise(3, 2, 100)
    stream = opened(analysed(tmp_path / "x.h5", samples, [7, 8, 9], [FIRST, FIRST + 60, FIRST + 20]
                             ))
    assert stream.shape == (40, 2, 3)
    expected = [samples[2, :, 40:80], samples[1, :, :40], samples[0, :, 60:]]
    np.testing.assert_array_equal(stream.read().data, np.stack(expected).transpose(2, 1, 0))
    # One channel alone has all of its own time.
    alone = opened(tmp_path / "x.h5", channel=9)
    assert alone.shape == (100, 2)
    assert float(elapsed(alone.start_time, stream.start_time) * RATE) == pytest.approx(40, abs=1e-4)


def test_no_time_in_common(tmp_path: Path) -> None:
    path = analysed(tmp_path / "x.h5", noise(3, 2, 100), [7, 8, 9],
                    [FIRST, FIRST + 60, FIRST + 120])
    with pytest.raises(FormatError, match=r"7-9 have no time in common.*0\.0003072 s apart; "
                                          "choose fewer with channel="):
        opened(path)
    assert opened(path, channel="8-9").shape == (40, 2, 2)


def test_clocks_that_disagree(tmp_path: Path) -> None:
    paths = [archive(tmp_path / f"{n}.h5", random_codes(100), n) for n in (3, 4)]
    with h5py.File(paths[1], "a") as file:
        file.attrs["time0_ctime"] += 1e-3
    with pytest.warns(FastsigWarning, match=r"4\.h5|3\.h5.*starts 0\.001 s from its start"):
        assert opened(paths).shape == (100, 2, 2)
    with h5py.File(paths[1], "a") as file:
        file.attrs["time0_ctime"] += 100
    with pytest.raises(FormatError, match="starts 100 s from.*channels of one event"):
        opened(paths)


def test_rate(one: Path) -> None:
    assert opened(one).header.sample_rate == RATE
    for interval in (2.5600000000000005e-06, np.float32(2.56e-6)):
        _set(one, delta_time=interval)
        assert opened(one).header.sample_rate == RATE
    _set(one, delta_time=2.6e-6)
    with pytest.raises(FormatError, match=r"delta_time is 2\.6e-06; allowed: 2\.56e-06.*give s"):
        opened(one)
    _set(one, delta_time=None)
    with pytest.raises(FormatError, match="delta_time is missing"):
        opened(one)
    stream = opened(one, sample_rate="390625Hz")
    assert (stream.header.sample_rate, stream.header.origin["sample_rate"]) == (RATE, "override")


def _set(path: Path, **changes: Any) -> None:
    """Change attributes of the root; None deletes."""
    with h5py.File(path, "a") as file:
        for key, value in changes.items():
            if key in file.attrs:
                del file.attrs[key]
            if value is not None:
                file.attrs[key] = value


# Frequency


def _tone(sky_mhz: float, number: int, n: int, sense: int) -> np.ndarray:
    """A tone as it is recorded in a channel, where frequency grows (1) or falls (-1)."""
    offset_hz = sense * (sky_mhz - center_mhz(number)) * 1e6
    return np.exp(2j * np.pi * offset_hz / RATE * np.arange(n))


@pytest.mark.parametrize("form", ["archive", "beams", "unmarked", "analysed"])
@pytest.mark.parametrize("override", [None, "upper", "lower"])
def test_tone_at_its_frequency(tmp_path: Path, form: str, override: str | None) -> None:
    numbers, n, step = [700, 701, 702], 16384, 400 / 1024 / 68
    told = 1 if form == "unmarked" else -1
    sky = center_mhz(701) + 11 * step
    assumed = {None: told, "upper": 1, "lower": -1}[override]
    voltages = 5 * np.stack([_tone(sky, 701, n, told) * (k == 1) for k in range(3)])
    if form == "archive":
        paths = [archive(tmp_path / f"{number}.h5", pack(np.round(voltages[[k, k]].T)), number)
                 for k, number in enumerate(numbers)]
        chain = fs.open(paths, **({"sideband": override} if override else {}))
    else:
        path = analysed(tmp_path / "x.h5", np.stack([voltages, voltages], axis=1), numbers,
                        name="baseband" if form == "analysed" else "tiedbeam_baseband",
                        **({"conjugate_beamform": None} if form == "unmarked" else {}))
        chain = fs.open(path, **({"sideband": override} if override else {}))
    assert chain.stream.header.sideband == ("upper" if assumed > 0 else "lower")
    spectra = chain.channelize(68).detect("I")  # vector code would take seconds to compile
    power = spectra.read().values.mean(axis=(0, 1))
    found = spectra.frequency.to_value("MHz")[power.argmax()]
    expected = sky if assumed == told else 2 * center_mhz(701) - sky
    assert found == pytest.approx(expected, abs=1e-3 * step)
    assert np.sort(power)[-2] < power.max() / 100


def test_second_nyquist_zone(tmp_path: Path) -> None:
    # What CHIME does: 800 MS/s of what is above 400 MHz, 2048 of them to a transform.
    n, sky_mhz = 544, 525.1234
    sampled = np.cos(2 * np.pi * sky_mhz / 800 * np.arange(n * 2048) + 0.3)
    spectra = np.fft.rfft(sampled.reshape(n, 2048), axis=1)[:, :1024] / 1024
    number = int(np.abs(spectra[0]).argmax())
    assert abs(center_mhz(number) - sky_mhz) < 0.2
    around = spectra[:, number - 1 : number + 2].T[:, np.newaxis].repeat(2, axis=1)
    path = analysed(tmp_path / "x.h5", around, [number - 1, number, number + 1], name="baseband")
    spectra = fs.open(path).channelize(68).detect("I")
    found = spectra.frequency.to_value("MHz")[spectra.read().values.mean(axis=(0, 1)).argmax()]
    assert found == pytest.approx(sky_mhz, abs=0.51 * 400 / 1024 / 68)


def test_axis(tmp_path: Path) -> None:
    paths = [archive(tmp_path / f"{n}.h5", random_codes(9), n) for n in (1023, 1022)]
    axis = opened(paths).header.channels
    assert axis.first_hz == Fraction(400_390_625)
    assert (axis.step_hz, axis.n_chan) == (RATE, 2)
    assert opened(paths, frequency="500MHz").header.channels.edges_hz == (
        500_000_000 - RATE, 500_000_000 + RATE)


# Several files


def test_files_in_any_order(tmp_path: Path) -> None:
    codes = {n: random_codes(50, 2, n) for n in (20, 21, 22)}
    paths = {n: archive(tmp_path / f"{n}.h5", each, n) for n, each in codes.items()}
    stream = opened([paths[21], paths[22], paths[20]])
    assert stream.files == [str(paths[n]) for n in (22, 21, 20)]
    expected = np.stack([values(codes[n]) for n in (22, 21, 20)], axis=2)
    np.testing.assert_array_equal(stream.read().data, expected)
    only = opened(str(tmp_path / "*.h5"), channel="20-21")
    assert only.files == [str(paths[21]), str(paths[20])]
    np.testing.assert_array_equal(only.read().data, expected[:, :, 1:])


def test_more_files_than_stay_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chime, "_KEPT_OPEN", 2)
    codes = {n: random_codes(50, 1, n) for n in range(20, 25)}
    stream = opened([archive(tmp_path / f"{n}.h5", each, n) for n, each in codes.items()])
    for _ in range(2):
        block = stream.read_block(10, 30)
        for k, n in enumerate(range(24, 19, -1)):
            np.testing.assert_array_equal(block.data[:, :, k], values(codes[n])[10:40])
    assert len(stream._handles._open) == 2
    stream.close()
    assert not stream._handles._open


def test_files_of_several_channels(tmp_path: Path) -> None:
    samples = noise(5, 2, 60)
    first = analysed(tmp_path / "a.h5", samples[:2], [30, 33])
    second = analysed(tmp_path / "b.h5", samples[2:], [31, 34, 32])
    stream = opened([first, second])
    expected = samples[[3, 1, 4, 2, 0]].transpose(2, 1, 0)
    np.testing.assert_array_equal(stream.read().data, expected)


def test_files_that_do_not_belong_together(tmp_path: Path) -> None:
    one = archive(tmp_path / "1.h5", random_codes(9), 1)
    for told, other in (
        ("n_input", archive(tmp_path / "2.h5", random_codes(9, 3), 2)),
        ("serials", archive(tmp_path / "3.h5", random_codes(9), 2, serial="FCA")),
        ("name", analysed(tmp_path / "4.h5", noise(1, 2, 9), [2])),
        ("dtype", analysed(tmp_path / "5.h5", noise(1, 2, 9), [2], name="baseband")),
    ):
        with pytest.raises(FormatError, match=f"{other.name}: differs from .*1.h5 in {told}"):
            opened([one, other])
    again = archive(tmp_path / "6.h5", random_codes(9), 1)
    with pytest.raises(FormatError, match=r"6\.h5: contains channel 1, as does .*1\.h5"):
        opened([one, again])


# Choosing


def test_channels(tmp_path: Path) -> None:
    samples = noise(6, 2, 20)
    path = analysed(tmp_path / "x.h5", samples, [1, 2, 3, 4, 9, 17])
    with pytest.raises(FormatError, match=r"channels 1-4, 9, 17 are not all adjacent; choose "
                                          r"adjacent ones, such as channel=1-4"):
        opened(path)
    for value, rows in (("1-4", [3, 2, 1, 0]), ("2,3", [2, 1]), ([3, "1-2"], [2, 1, 0]),
                        ("1-3,2-4", [3, 2, 1, 0]), (" 3 , 2", [2, 1])):
        stream = opened(path, channel=value)
        np.testing.assert_array_equal(stream.read().data, samples[rows].transpose(2, 1, 0))
    for value in (17, "17", "17-17"):
        np.testing.assert_array_equal(opened(path, channel=value).read().data, samples[5].T)


@pytest.mark.parametrize("value", ["5", "1-5", "", "x", "3-1", "-1", "1-", "0-99999999999999999",
                                   [], 1.5, "1--2"])
def test_channels_that_are_not_there(tmp_path: Path, value: Any) -> None:
    path = analysed(tmp_path / "x.h5", noise(5, 2, 20), [1, 2, 3, 4, 9])
    with pytest.raises(UsageError, match="channel = .*; allowed: frequency IDs of 1-4, 9"):
        opened(path, channel=value)


def test_channels_that_are_no_neighbours(tmp_path: Path) -> None:
    path = analysed(tmp_path / "x.h5", noise(5, 2, 20), [1, 2, 3, 4, 9])
    with pytest.raises(UsageError, match="channel = '1-2,9': 1-2, 9; allowed: adjacent channels"):
        opened(path, channel="1-2,9")


def test_many_runs_are_not_all_listed(tmp_path: Path) -> None:
    path = analysed(tmp_path / "x.h5", noise(9, 2, 4), range(0, 18, 2))
    with pytest.raises(FormatError, match="0, 2, 4, 6, 8, 10 and 3 more runs are not all"):
        opened(path)


def test_inputs(tmp_path: Path) -> None:
    codes = random_codes(30, 6)
    path = archive(tmp_path / "x.h5", codes)
    assert opened(path).shape == (30, 6)
    for value, picks in ((4, [4]), ("0,5", [0, 5]), ("3,1", [3, 1])):
        stream = opened(path, input=value)
        np.testing.assert_array_equal(stream.read().data, values(codes)[:, picks])
        assert stream.header.polarization.names == tuple(f"FCC{p:06d}" for p in picks)
    for value in ("6", "x", "0,0", "-1"):
        with pytest.raises(UsageError, match="allowed: distinct numbers from 0 to 5"):
            opened(path, input=value)
    with pytest.raises(UsageError, match="unknown override 'beam' for chime; .*channel, input"):
        opened(path, beam=1)


# Header


def test_header_of_an_archived_channel(one: Path) -> None:
    header = opened(one).header
    assert (header.n_bits, header.is_complex, header.sideband) == (4, True, "lower")
    assert (header.polarization.kind, header.polarization.names) == (
        "unknown", ("FCC000000", "FCC000001"))
    assert (header.telescope, header.source, header.ra_deg) == ("CHIME", None, None)
    assert header.extra["event_id"] == 12
    assert header.extra["baseband/axis"] == ["time", "input"]
    assert header.origin["start_time"] == "baseband_12_614.h5:time0_ctime"
    assert header.origin["telescope"] == "baseband_12_614.h5:index_map/input"
    json.dumps(header.extra, allow_nan=False)
    feed = opened(one, feed="linear", source="Crab", telescope="X").header
    assert (feed.polarization.kind, feed.source, feed.telescope) == ("linear", "Crab", "X")


def test_header_of_beams(beams: Path) -> None:
    header = opened(beams).header
    assert (header.n_bits, header.is_complex, header.sideband) == (32, True, "lower")
    assert (header.polarization.kind, header.polarization.names) == ("linear", ("S", "E"))
    assert (header.source, header.ra_deg, header.dec_deg) == ("B0531+21", 83.63, 22.01)
    assert header.telescope == "CHIME"
    assert header.origin["sideband"] == "beams.h5:tiedbeam_baseband/conjugate_beamform"
    json.dumps(header.extra, allow_nan=False)
    assert fs.info(beams)["format"] == "chime"
    assert fs.info(beams, deep=True)["valid_fraction"] == 1
    assert fs.info(beams)["valid_fraction"] is None


@pytest.mark.parametrize(("mark", "sideband"), [(1, "lower"), (0, "upper"), (None, "upper"),
                                                ("yes", "upper")])
def test_sense_of_beams(tmp_path: Path, mark: Any, sideband: str) -> None:
    path = analysed(tmp_path / "x.h5", noise(1, 2, 9), [5], conjugate_beamform=mark, DM=26.7)
    header = opened(path).header
    assert header.sideband == sideband
    assert header.extra["tiedbeam_baseband/DM"] == 26.7


def test_pointings(tmp_path: Path) -> None:
    samples = noise(1, 4, 9)
    path = analysed(tmp_path / "x.h5", samples, [5])
    header = opened(path).header
    assert (header.polarization.kind, header.ra_deg, header.source) == ("unknown", None, None)
    assert header.polarization.names == ("input0", "input1", "input2", "input3")
    second = opened(path, input="2,3")
    assert (second.header.polarization.names, second.header.ra_deg) == (("S", "E"), 84.63)
    np.testing.assert_array_equal(second.read().data, samples[0, 2:].T)
    assert opened(path, input="3,2").header.polarization.names == ("E", "S")
    assert opened(path, input="0,2").header.polarization.kind == "unknown"
    assert opened(path, input="1").header.ra_deg == 83.63


def test_directions(beams: Path) -> None:
    def change(**fields: Any) -> Any:
        with h5py.File(beams, "a") as file:
            table = file["tiedbeam_locations"][()]
            for key, value in fields.items():
                table[key] = value
            file["tiedbeam_locations"][...] = table
        return opened(beams).header

    assert change(ra=-10.0).ra_deg == 350
    assert change(dec=91.0).dec_deg is None
    assert change(dec=[1.0, 2.0]).ra_deg is None
    header = change(dec=np.nan, source_name="")
    assert (header.dec_deg, header.source) == (None, None)
    with h5py.File(beams, "a") as file:
        del file["tiedbeam_locations"]
    header = opened(beams).header
    assert (header.polarization.kind, header.ra_deg) == ("unknown", None)


@pytest.mark.parametrize(("serial", "telescope"), [("FCA", "KKO"), ("FCB", "GBO"), ("XYZ", "CHIME"),
                                                   ("", "CHIME")])
def test_stations(tmp_path: Path, serial: str, telescope: str) -> None:
    header = opened(archive(tmp_path / "x.h5", random_codes(9), serial=serial)).header
    assert header.telescope == telescope


def test_inputs_without_serial_numbers(one: Path) -> None:
    with h5py.File(one, "a") as file:
        del file["index_map"]
    header = opened(one).header
    assert (header.telescope, header.polarization.names) == ("CHIME", ("input0", "input1"))


# Detection


def test_sniff(tmp_path: Path, one: Path, beams: Path) -> None:
    assert chime.sniff(Probe(one))
    assert chime.sniff(Probe(beams))
    assert not chime.sniff(Probe(tmp_path))
    (tmp_path / "text").write_text("baseband")
    assert not chime.sniff(Probe(tmp_path / "text"))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["baseband"] = np.zeros(3)
    assert not chime.sniff(Probe(tmp_path / "other.h5"))
    with pytest.raises(FormatError, match="contains neither tiedbeam_baseband nor baseband"):
        with h5py.File(tmp_path / "empty.h5", "w"):
            pass
        chime.open(tmp_path / "empty.h5")
    with pytest.raises(FormatError, match="not an HDF5 file"):
        chime.open(tmp_path / "text")
    with pytest.raises(FormatError, match="No such file"):
        chime.open(tmp_path / "absent")


def test_beams_go_before_inputs(beams: Path) -> None:
    with h5py.File(beams, "a") as file:
        file["baseband"] = noise(3, 4, 400)
    assert opened(beams).shape == (400, 2, 3)


def test_from_another_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, one: Path) -> None:
    monkeypatch.chdir(one.parent)
    stream = opened(one.name)
    (tmp_path / "away").mkdir()
    monkeypatch.chdir(tmp_path / "away")
    assert stream.read().data.any()
    assert stream.files == [str(one)]


# Damage


def _links(path: Path, name: str, kind: str) -> None:
    """Put a link, or samples that lie elsewhere, in place of a member."""
    with h5py.File(path, "a") as file:
        file.move(name, "aside")
        if kind == "soft":
            file[name] = h5py.SoftLink("/aside")
        elif kind == "dangling":
            file[name] = h5py.SoftLink("/nowhere")
        elif kind == "external":
            file[name] = h5py.ExternalLink("other.h5", name)
        elif kind == "group":
            file.create_group(name)
        elif kind == "virtual":
            old = file["aside"]
            layout = h5py.VirtualLayout(old.shape, old.dtype)
            layout[...] = h5py.VirtualSource("other.h5", name, old.shape)
            file.create_virtual_dataset(name, layout)
        elif kind == "raw":
            old = file["aside"]
            file.create_dataset(name, old.shape, old.dtype, external=[("raw", 0, old.nbytes)])


@pytest.mark.parametrize("kind", ["soft", "dangling", "external", "group", "virtual", "raw"])
@pytest.mark.parametrize("name", ["tiedbeam_baseband", "index_map/freq", "time0",
                                  "tiedbeam_locations"])
def test_members_that_are_elsewhere(beams: Path, name: str, kind: str) -> None:
    _links(beams, name, kind)
    with pytest.raises(FormatError, match=r"beams\.h5: .*; allowed: "):
        chime.open(beams)


def test_a_group_that_is_elsewhere(beams: Path) -> None:
    (beams.parent / "other.h5").write_bytes(beams.read_bytes())
    with h5py.File(beams, "a") as file:
        del file["index_map"]
        file["index_map"] = h5py.ExternalLink("other.h5", "index_map")
    with pytest.raises(FormatError, match="index_map of index_map/input is a link"):
        chime.open(beams)


@pytest.mark.parametrize("data", [
    np.zeros((9, 2), "i1"), np.zeros((9, 2), "u2"), np.zeros((9, 2)), np.zeros(9, "u1"),
    np.zeros((0, 2), "u1"), np.zeros((9, 0), "u1"), np.uint8(1), "text",
    np.zeros((2, 2, 2, 2), "u1"), np.zeros((3, 2), [("a", "u1")]), np.zeros((9, 2), bool)])
def test_samples_that_cannot_be(one: Path, data: Any) -> None:
    with h5py.File(one, "a") as file:
        del file["baseband"]
        file["baseband"] = data
    with pytest.raises(FormatError, match=r"614\.h5: .*baseband .*allowed: "):
        opened(one)


def test_objects_for_samples(one: Path) -> None:
    with h5py.File(one, "a") as file:
        del file["baseband"]
        file.create_dataset("baseband", (9, 2), h5py.string_dtype())
    with pytest.raises(FormatError, match="baseband is object; allowed"):
        opened(one)


def test_bytes_for_beams(tmp_path: Path) -> None:
    # No source tells of beams in four bits: their values would be a guess.
    path = analysed(tmp_path / "x.h5", noise(1, 2, 9), [5])
    with h5py.File(path, "a") as file:
        del file["tiedbeam_baseband"]
        file["tiedbeam_baseband"] = np.ones((1, 2, 9), "u1")
    with pytest.raises(FormatError, match="tiedbeam_baseband is uint8; allowed: complex floats"):
        opened(path)


@pytest.mark.parametrize("axis", [["time"], ["time", "time"], ["freq", "time"], "time", [1, 2],
                                  ["time", "input", "freq"], np.zeros(0)])
def test_axes_that_cannot_be(one: Path, axis: Any) -> None:
    with h5py.File(one, "a") as file:
        file["baseband"].attrs["axis"] = axis
    with pytest.raises(FormatError, match="allowed: time and input or beam|cannot read"):
        opened(one)


@pytest.mark.parametrize(("changes", "told"), [
    ({"freq_id": None}, "the frequency ID is missing"),
    ({"freq_id": 1.5}, r"the frequency ID is 1\.5; allowed: a whole number"),
    ({"freq_id": -1}, "the frequency ID is -1"),
    ({"freq": None}, "frequency of channel 614 is missing"),
    ({"freq": 0.0}, r"frequency of channel 614 is 0\.0; allowed: a number from 1"),
    ({"freq": "560MHz"}, "frequency of channel 614 is '560MHz'"),
    ({"time0_fpga_count": None}, "fpga_count of channel 614 is missing"),
    ({"time0_fpga_count": np.uint64(2**64 - 1)}, "fpga_count of channel 614 is 18446744073709"),
    ({"time0_ctime": None}, "ctime of channel 614 is missing"),
    ({"time0_ctime": np.nan}, "ctime of channel 614 is 'nan'; allowed: a number from 0"),
    ({"time0_ctime": 1e30}, "ctime of channel 614"),
    ({"time0_ctime_offset": None}, "ctime_offset of channel 614 is missing"),
    ({"time0_ctime_offset": 5.0}, "ctime_offset of channel 614"),
    ({"delta_time": 1}, "delta_time is 1; allowed"),
])
def test_wrong_attributes(one: Path, changes: dict, told: str) -> None:
    _set(one, **changes)
    with pytest.raises(FormatError, match=rf"614\.h5: {told}"):
        chime.open(one)


def _table(path: Path, name: str, table: Any) -> None:
    with h5py.File(path, "a") as file:
        del file[name]
        file[name] = table


def test_tables_that_do_not_fit(beams: Path) -> None:
    original = beams.read_bytes()
    freq = np.array([(center_mhz(n), n) for n in (612, 613, 614)], FREQ)
    time0 = np.array([(FIRST, *clock(FIRST))] * 3, TIME0)
    far, text = freq.copy(), np.zeros(3, [("id", "S4"), ("centre", "S4")])
    far["centre"][1] += 0.1
    early = time0.copy()
    early["fpga_count"][2] = 0
    for name, table, told in (
        ("index_map/freq", freq[:2], "index_map/freq has 2 rows and time0 3; allowed: the same"),
        ("index_map/freq", freq["id"], "index_map/freq is uint32.*rows of id, centre"),
        ("index_map/freq", far, r"channel 613 is centred at 560\.6.*allowed next to the other"),
        ("index_map/freq", text, "the frequency ID is b''"),
        ("time0", time0[:1], "time0 1"),
        ("time0", time0.reshape(3, 1), r"shape \(3, 1\)"),
        ("time0", np.zeros(3, [("fpga_count", "<u8")]), "rows of fpga_count, ctime"),
        ("time0", np.zeros(3, [*TIME0.descr[:2], ("ctime_offset", "<f8", (2,))]), "allowed"),
        ("time0", early, "starts .* s from its start by fpga_count"),
        ("tiedbeam_locations", np.zeros(3, BEAM), "has 3 rows; allowed: 2, the number of beams"),
        ("tiedbeam_locations", np.zeros(2, FREQ), "rows of ra, dec, pol"),
        ("index_map/freq", np.zeros(100_000, FREQ), "allowed: up to 65536 rows"),
    ):
        _table(beams, name, table)
        with pytest.raises(FormatError, match=told):
            chime.open(beams)
        beams.write_bytes(original)


def test_a_frequency_table_without_end(beams: Path) -> None:
    with h5py.File(beams, "a") as file:  # takes no room on the disk, but would in memory
        del file["time0"]
        file.create_dataset("time0", (2**40,), TIME0, chunks=(1024,))
    with pytest.raises(FormatError, match="allowed: up to 65536 rows"):
        chime.open(beams)


def test_a_dataset_for_a_group(beams: Path) -> None:
    with h5py.File(beams, "a") as file:
        del file["index_map"]
        file.create_dataset("index_map", (2**40,), "u1", chunks=(1024,))
    with pytest.raises(FormatError, match="index_map/freq is missing; allowed: a dataset"):
        chime.open(beams)


def test_samples_without_end(one: Path) -> None:
    with h5py.File(one, "a") as file:
        del file["baseband"]
        file.create_dataset("baseband", (2**50, 2), "u1", chunks=(1024, 2))
    with pytest.raises(FormatError, match="allowed: 1 to 33750000000 samples"):
        chime.open(one)


def test_changed_after_open(one: Path) -> None:
    for codes in (random_codes(500), random_codes(1000, 1)):
        archive(one, random_codes(1000))
        stream = opened(one)
        archive(one, codes)
        with pytest.raises(DataError, match=r"614\.h5: .*samples 400 to 600 of channel 614"):
            stream.read_block(400, 200)
        stream.close()
    archive(one, random_codes(1000))
    stream = opened(one)
    one.unlink()
    with pytest.raises(FastsigError, match="No such file"):
        stream.read()


def test_corrupt_chunk(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.h5", random_codes(1000), chunks=(100, 2), compression="gzip",
                   fletcher32=True)
    with h5py.File(path) as file:
        chunk = file["baseband"].id.get_chunk_info(3)
    with path.open("r+b") as raw:
        raw.seek(chunk.byte_offset)
        raw.write(bytes(chunk.size))
    stream = opened(path)
    assert stream.read_block(0, 300).valid[0].tolist() == [[0, 300]]
    with pytest.raises(DataError, match=r"x\.h5: cannot read samples 290 to 310 of channel 614"):
        stream.read_block(290, 20)
    with pytest.raises(DataError):
        stream.verify()


def test_unreadable_first_samples_of_beams(tmp_path: Path) -> None:
    path = analysed(tmp_path / "x.h5", noise(1, 2, 200), [5])
    with h5py.File(path, "a") as file:
        attrs, data = dict(file["tiedbeam_baseband"].attrs), file["tiedbeam_baseband"][()]
        del file["tiedbeam_baseband"]
        new = file.create_dataset("tiedbeam_baseband", data=data, chunks=(1, 2, 100),
                                  fletcher32=True)
        new.attrs.update(attrs)
        chunk = new.id.get_chunk_info(0)
    with path.open("r+b") as raw:
        raw.seek(chunk.byte_offset)
        raw.write(b"x")
    stream = opened(path)
    assert stream.read_block(100, 100).valid[0].tolist() == [[100, 200]]
    with pytest.raises(DataError, match="cannot read samples 0 to 100"):
        stream.read_block(0, 100)


def _try(path: Path) -> None:
    """A stream that can be read, or an error of ours; anything else fails the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of damage and dates; other tests check them
        try:
            stream = chime.open(path)
            stream.read_block(0, min(50, stream.shape[0]))
            stream.read_block(max(0, stream.shape[0] - 50), min(50, stream.shape[0]))
            json.dumps(stream.header.extra, allow_nan=False)
        except FastsigError as error:
            assert str(path) in str(error)
        assert chime.sniff(Probe(path)) in (True, False)


@pytest.mark.parametrize("form", ["one", "beams"])
@pytest.mark.parametrize("fraction", np.linspace(0, 1, 20, endpoint=False))
def test_truncated(form: str, fraction: float, request: pytest.FixtureRequest) -> None:
    path = request.getfixturevalue(form)
    os.truncate(path, int(fraction * path.stat().st_size))
    with pytest.raises(FormatError, match=path.name):
        chime.open(path)


@pytest.mark.parametrize("value", [None, *NONSENSE.values()], ids=["deleted", *NONSENSE])
@pytest.mark.parametrize("form", ["one", "beams"])
def test_fuzzed_attributes(form: str, value: Any, request: pytest.FixtureRequest) -> None:
    path = request.getfixturevalue(form)
    original = path.read_bytes()
    for place in ("/", "baseband" if form == "one" else "tiedbeam_baseband"):
        with h5py.File(path) as file:
            keys = list(file[place].attrs)
        for key in keys:
            with h5py.File(path, "a") as file:
                del file[place].attrs[key]
                if value is not None:
                    file[place].attrs[key] = value
            _try(path)
            path.write_bytes(original)


@pytest.mark.parametrize("name", ["time0", "index_map/freq", "index_map", "tiedbeam_locations",
                                  "tiedbeam_baseband"])
def test_fuzzed_members(beams: Path, name: str) -> None:
    original = beams.read_bytes()
    for value in (None, *NONSENSE.values()):
        with h5py.File(beams, "a") as file:
            del file[name]
            if value is not None:
                file[name] = value
        _try(beams)
        beams.write_bytes(original)


@pytest.mark.parametrize("name", ["time0", "index_map/freq", "tiedbeam_locations"])
def test_fuzzed_tables(beams: Path, name: str) -> None:
    original = beams.read_bytes()
    rng = np.random.default_rng(5)
    with h5py.File(beams) as file:
        table = file[name][()]
    for _ in range(many(30, 100)):
        raw = bytearray(table.tobytes())
        for _ in range(rng.integers(1, 4)):
            raw[rng.integers(len(raw))] = rng.integers(256)
        _table(beams, name, np.frombuffer(bytes(raw), table.dtype))
        _try(beams)
        beams.write_bytes(original)


def test_threads_while_closing(one: Path) -> None:
    stream = opened(one)
    whole = stream.read().data
    stop = threading.Event()

    def close() -> None:
        while not stop.is_set():
            stream.close()

    thread = threading.Thread(target=close)
    thread.start()
    try:
        for start in range(0, 900, 3):
            np.testing.assert_array_equal(stream.read_block(start, 100).data,
                                          whole[start : start + 100])
    finally:
        stop.set()
        thread.join()
