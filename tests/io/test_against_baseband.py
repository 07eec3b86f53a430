"""Every format that the `baseband` package has too: its recorded files, and files of its writers.

Where its values or times are others than ours, the exact relation is tested, with the clause of
the standard that decides, or that leaves it open. `test_guppi.py`, `test_dada.py`, `test_vdif.py`
and `test_baseband_formats.py` compare whole recorded files; here are times, and what is written.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy import units as u
from astropy.time import Time
from recordings import recorded

import fastsig as fs
from fastsig.axes.time import elapsed, iso
from fastsig.errors import FormatError, UsageError

pytest.importorskip("baseband")
from baseband import dada, guppi, mark4, mark5b, vdif
from baseband import data as shipped
from baseband.base.encoding import decoder_levels

NS = Fraction(1, 10**9)
LAST_SECONDS = "2016-12-30T23:59:58.25"  # of a day without a leap second
MIDNIGHT = "2016-12-29T23:59:59.98"
LEAP_DAY = "2016-12-31T23:59:58.25"
# Of baseband 4.3.0 with astropy 8.
pytestmark = pytest.mark.filterwarnings("ignore:The isiterable function is deprecated")
SHIPPED_FRAMES = pytest.mark.filterwarnings("ignore:.*are no whole frame")

Convert = Callable[[np.ndarray], np.ndarray]


def as_it_is(x: np.ndarray) -> np.ndarray:
    return x


def upside_down(x: np.ndarray) -> np.ndarray:
    """Channels in the other order."""
    return x[..., ::-1]


def whole_numbers(bits: int) -> Convert:
    """What ours are of baseband's values of VDIF.

    VDIF 1.1.1, section 10, has codes in offset binary, from the lowest value at all bits 0 to the
    highest at all bits 1, and says nothing of the values. Both take -1 and 1 for 1 bit, and a
    Gaussian's means for 2. For 4 bits baseband has (code - 8) / 2.95, for 8 bits, as mark5access,
    (code - 127.5) / 35.5; ours are code - 8 and code - 128, so that 0 is one of them.
    """
    if bits == 4:
        return lambda x: x * np.float32(2.95)
    if bits == 8:
        return lambda x: x * np.float32(35.5) - (0.5 + 0.5j if x.dtype.kind == "c" else 0.5)
    return as_it_is


def chosen(values: np.ndarray, rng: np.random.Generator, *shape: int, is_complex: bool
           ) -> np.ndarray:
    """Random samples of some values."""
    parts = rng.choice(np.asarray(values, np.float32), (*shape, 2 if is_complex else 1))
    return (parts[..., 0] + 1j * parts[..., 1]).astype("c8") if is_complex else parts[..., 0]


def vdif_values(bits: int) -> np.ndarray:
    return decoder_levels[bits] if bits < 8 else (np.arange(256) - 127.5) / 35.5


INT8 = np.arange(-128, 128)


def same(file: Any, stream: Any, convert: Convert = as_it_is, *, late: float | Fraction = 0
         ) -> None:
    """The same samples at the same times: all of them, and those at start, middle and end."""
    n = stream.shape[0]
    assert file.shape[0] == n
    assert file.sample_rate.to_value("Hz") == pytest.approx(float(stream.header.sample_rate),
                                                            rel=1e-14)
    assert file.complex_data == stream.header.is_complex and file.bps == stream.header.n_bits
    for row in (0, n // 2 + 7, n):
        file.seek(min(row, n))
        apart = elapsed(file.tell("time"), stream.time_of(min(row, n)))
        assert abs(apart - Fraction(late)) < NS
    assert abs(elapsed(file.stop_time, stream.stop_time) - Fraction(late)) < NS
    some = min(n, 101)
    for row, count in ((0, n), (0, some), (n // 2 - some // 2, some), (n - some, some)):
        file.seek(row)
        expected = convert(file.read(count)).reshape(count, *stream.shape[1:])
        found = stream.read_block(row, count)
        # Of 2 bits baseband has 3.316505, ours are 3.3165048. What is converted is rounded.
        rounded = convert not in (as_it_is, upside_down)
        np.testing.assert_allclose(found.data, expected, rtol=2e-7, atol=2e-5 if rounded else 0)


@contextmanager
def opened(module: Any, path: Any, **options: Any) -> Iterator[Any]:
    """A stream of baseband's, of all dimensions."""
    names = [str(each) for each in path] if isinstance(path, list) else str(path)
    with module.open(names, "rs", squeeze=False, **options) as file:
        yield file


# Recorded files.

RECORDED: dict[str, tuple[Any, dict[str, Any], dict[str, Any], Convert]] = {
    "baseband/sample.dada": (dada, {}, {}, as_it_is),
    "baseband/sample.vdif": (vdif, {}, {}, as_it_is),
    "baseband/sample_mwa.vdif": (
        vdif, {"sample_rate": 1.28 * u.MHz}, {"sample_rate": 1_280_000}, whole_numbers(8)),
    "baseband/sample.m5b": (
        mark5b, {"kday": 56000, "nchan": 8}, {"kday": 56000, "nchan": 8}, as_it_is),
    "baseband/sample.m4": (mark4, {"decade": 2010}, {"decade": 2010}, as_it_is),
    "baseband/sample_32track.m4": (mark4, {"decade": 2010}, {"decade": 2010}, as_it_is),
    "baseband/sample_32track_fanout2.m4": (mark4, {"decade": 2010}, {"decade": 2010}, as_it_is),
    **{f"pulsarbat/fake.{i}.raw": (guppi, {}, {}, as_it_is) for i in range(4)},
}


@SHIPPED_FRAMES
@pytest.mark.recorded
@pytest.mark.parametrize("name", RECORDED)
def test_recorded(name: str) -> None:
    module, theirs, ours, convert = RECORDED[name]
    path = recorded(name)
    with opened(module, path, **theirs) as file:
        same(file, fs.open(path, **ours).stream, convert)


@pytest.mark.recorded
def test_recorded_scan() -> None:
    paths = [recorded(f"pulsarbat/fake.{i}.raw") for i in range(4)]
    with opened(guppi, paths) as file:
        same(file, fs.open(paths[::-1]).stream)


@pytest.mark.recorded
def test_recorded_overlap() -> None:
    # The file was made of the first samples of each block, so what blocks share (OVERLAP) is not
    # the same in both. The format's notes (S. Ellingson, 2013) take it for the same. Ours is the
    # earlier block's, wherever a read begins. So is baseband's where it reads on from that block;
    # where a read of its begins behind it, it is the later one's.
    path = recorded("baseband/sample_puppi.raw")
    stream = fs.open(path).stream
    with opened(guppi, path) as file:
        whole = file.read()
        for row in (0, 500, 955, 970, 3000):
            np.testing.assert_array_equal(stream.read_block(row, 150).data, whole[row : row + 150])
        for row in (0, 500, 955):
            file.seek(row)
            np.testing.assert_array_equal(file.read(150), whole[row : row + 150])
            assert abs(elapsed(file.start_time, file.tell("time")) - Fraction(row + 150, 250)) < NS
        file.seek(970)
        later = file.read(150)
        assert (later[54:] == whole[1024:1120]).all() and (later[:54] != whole[970:1024]).any()
        for row in (0, 960, 1951, 3904):
            file.seek(row)
            assert abs(elapsed(file.tell("time"), stream.time_of(row))) < NS


@SHIPPED_FRAMES
@pytest.mark.parametrize(("name", "module", "theirs", "ours", "bits"), [
    ("SAMPLE_AROCHIME_VDIF", vdif, {"sample_rate": 390625 * u.Hz}, {"sample_rate": 390625}, 4),
    ("SAMPLE_BPS1_VDIF", vdif, {"sample_rate": 8 * u.MHz}, {"sample_rate": "8MHz"}, 1),
    ("SAMPLE_MARK4_16TRACK", mark4, {"decade": 2010}, {"decade": 2010}, 2),
    ("SAMPLE_MARK4_64TRACK_FANOUT2_FT", mark4, {"decade": 2010}, {"decade": 2010}, 2),
])
def test_shipped(name: str, module: Any, theirs: dict, ours: dict, bits: int) -> None:
    path = getattr(shipped, name)
    convert = whole_numbers(bits) if module is vdif else as_it_is
    with opened(module, path, **theirs) as file:
        same(file, fs.open(path, **ours).stream, convert)


def test_shipped_meerkat() -> None:
    # UTC_START is rounded to microseconds here. MJD_START is finer, and is within 4 ns of what the
    # counter of samples in the same header says. DSPSR takes UTC_START (of its manual's list, and
    # whole seconds of it alone), as ours does; baseband takes MJD_START.
    path = shipped.SAMPLE_MEERKAT_DADA
    stream = fs.open(path).stream  # ORDER is FTP, of one channel
    cards = stream.header.extra
    told = Fraction("0.262395813837") * 86400 - (6 * 3600 + 17 * 60 + Fraction("50.998315"))
    assert cards["MJD_START"] == "59596.262395813837" and abs(told * 10**9 - 517) < 1
    with opened(dada, path) as file:
        same(file, stream, late=-told)
    counter = Fraction(cards["SAMPLE_CLOCK_START"]) / Fraction(cards["SAMPLE_CLOCK"])
    exact = Fraction(cards["SYNC_TIME"]) + counter - Fraction("1642400270.998315")
    assert abs(exact - told) < 10 * NS


def test_shipped_threads_whose_clock_was_not_set() -> None:
    # Threads 0, 2, 4 and 6 count their seconds from another time. VDIF 1.1.1 has a frame's time
    # in its own words 0 and 1, so ours puts each thread where its headers say; baseband takes the
    # first frame's time and goes by the numbers of the frames.
    path = shipped.SAMPLE_VLBI_VDIF
    with opened(vdif, path) as file:
        whole, start = file.read().reshape(40000, 8), file.start_time
    with vdif.open(path, "rb") as file:
        seconds = [file.read_frame()["seconds"] for _ in range(8)]
    assert seconds == [14363767] * 4 + [11383] * 4
    with pytest.raises(FormatError, match=r"threads 1, 3, 5, 7 begin 3987 h .* input='1,3,5,7'"):
        fs.open(path)
    for threads, second in (((1, 3, 5, 7), 14363767), ((0, 2, 4, 6), 11383)):
        stream = fs.open(path, input=",".join(map(str, threads))).stream
        assert stream.shape == (40000, 4)
        late = elapsed(start, stream.start_time)
        assert abs(late - (second - 14363767)) < NS
        np.testing.assert_allclose(stream.read_block(0, 40000).data, whole[:, list(threads)],
                                   rtol=2e-7)


# VDIF.

def write_vdif(path: Any, x: np.ndarray, *, edv: Any, bits: int, n_time: int, rate: int,
               start: str, first: int, **options: Any) -> dict[str, Any]:
    """Frames of samples (time, thread, chan), which begin `first` frames after a time."""
    time = Time(start, scale="utc") + first * n_time / rate * u.s
    with vdif.open(path, "ws", squeeze=False, sample_rate=rate * u.Hz, edv=edv, bps=bits,
                   nthread=x.shape[1], nchan=x.shape[2], complex_data=x.dtype.kind == "c",
                   samples_per_frame=n_time, time=time, station="Ef", **options) as file:
        file.write(x)
    return {} if edv in (1, 3) else {"sample_rate": rate}


@pytest.mark.parametrize("edv", [False, 0, 1, 3])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("is_complex", [False, True])
def test_vdif(edv: Any, bits: int, is_complex: bool, tmp_path: Path, rng: np.random.Generator
              ) -> None:
    path = tmp_path / "x.vdif"
    for n_thread, n_chan in ((1, 1), (2, 1), (1, 4), (3, 2)):
        # Extended data version 3 has frames of 1000 or 5000 bytes.
        n_time = (1000 if edv == 3 else 160) * 8 // bits // n_chan // (1 + is_complex)
        x = chosen(vdif_values(bits), rng, 7 * n_time, n_thread, n_chan, is_complex=is_complex)
        rate = 1000 * n_time  # frames a second
        # Frame 997 of a second, so that the next one, of a leap, begins within.
        own = write_vdif(path, x, edv=edv, bits=bits, n_time=n_time, rate=rate, first=997,
                         start="2016-12-31T23:59:59")
        stream = fs.open(path, **own).stream
        assert iso(stream.time_of(3 * n_time)) == "2016-12-31T23:59:60.000000000"
        assert stream.shape == (7 * n_time, n_thread * n_chan)
        assert stream.header.telescope == "Ef" and stream.header.is_complex == is_complex
        assert stream.header.extra["edv"] == ("legacy" if edv is False else edv)
        with opened(vdif, path, sample_rate=rate * u.Hz) as file:
            np.testing.assert_allclose(file.read(), x, rtol=1e-6, atol=1e-6)
            same(file, stream, whole_numbers(bits))


def test_vdif_values_are_codes(tmp_path: Path) -> None:
    for bits in (4, 8):
        codes = np.tile(np.arange(2**bits), 2)
        x = vdif_values(bits)[codes].astype("f4")[:, np.newaxis, np.newaxis]
        path = tmp_path / f"{bits}.vdif"
        write_vdif(path, x, edv=0, bits=bits, n_time=2**bits, rate=2**bits * 1000, first=0,
                   start=LAST_SECONDS[:-3])
        found = fs.open(path, sample_rate=2**bits * 1000).stream.read_block(0, len(x))
        np.testing.assert_array_equal(found.data[:, 0], codes - 2 ** (bits - 1))


def test_vdif_files_of_a_sequence(tmp_path: Path, rng: np.random.Generator) -> None:
    x = chosen(vdif_values(2), rng, 12 * 640, 2, 1, is_complex=False)
    names = [str(tmp_path / f"s{i}.vdif") for i in range(3)]
    write_vdif(names, x, edv=1, bits=2, n_time=640, rate=6_400_000, first=9996,
               start=LAST_SECONDS[:-3], file_size=8 * (32 + 160))
    with opened(vdif, names) as file:
        same(file, fs.open([names[2], names[0], names[1]]).stream)


@pytest.mark.parametrize("order", ["5290", "9520"])
def test_vdif_threads_of_any_number(order: str, tmp_path: Path, rng: np.random.Generator) -> None:
    # VDIF 1.1.1 leaves the order of threads in a file open: both sort them by their number.
    path, n_time = tmp_path / "t.vdif", 64
    codes = rng.integers(0, 256, (5 * n_time, 4), np.uint8)
    threads = [int(letter) for letter in order]
    with vdif.open(path, "wb") as file:
        for number in range(5):
            for column, thread in enumerate(threads):
                header = vdif.VDIFHeader.fromvalues(
                    edv=0, ref_epoch=33, seconds=77, frame_nr=number, thread_id=thread, bps=8,
                    complex_data=False, nchan=1, samples_per_frame=n_time)
                rows = codes[number * n_time : (number + 1) * n_time, column].copy()
                payload = vdif.VDIFPayload(rows.view("<u4"), header)
                vdif.VDIFFrame(header, payload).tofile(file)
    stream = fs.open(path, sample_rate=64_000).stream
    assert stream.polarization.names == ("t0", "t2", "t5", "t9")
    columns = np.argsort(threads)
    np.testing.assert_array_equal(stream.read_block(0, 320).data, codes[:, columns] - 128.0)
    with opened(vdif, path, sample_rate=64 * u.kHz) as file:
        same(file, stream, whole_numbers(8))


def test_vdif_invalid_and_missing_frames(tmp_path: Path, rng: np.random.Generator) -> None:
    # A frame whose first bit says that it is invalid is lost in both, as is one that is missing,
    # and only for its thread.
    path, n_time = tmp_path / "l.vdif", 640
    x = chosen(vdif_values(2), rng, 40 * n_time, 2, 1, is_complex=False)
    own = write_vdif(path, x, edv=1, bits=2, n_time=n_time, rate=6_400_000, first=0,
                     start=LAST_SECONDS[:-3])
    raw = path.read_bytes()
    size = 32 + n_time // 4
    frames = [bytearray(raw[at : at + size]) for at in range(0, len(raw), size)]
    frames[2 * 11][3] |= 0x80  # thread 0 of frame 11
    for lost in (2 * 30, 2 * 30 + 1, 2 * 20 + 1):  # all of frame 30, thread 1 of frame 20
        frames[lost] = bytearray()
    path.write_bytes(b"".join(frames))
    stream = fs.open(path, **own).stream
    found = stream.read_block(0, len(x))
    with opened(vdif, path, fill_value=np.nan) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # baseband tells of frames that it does not find
        expected = file.read()[..., 0]
    np.testing.assert_allclose(found.data, np.nan_to_num(expected), rtol=2e-7)
    for pol in range(2):
        valid = np.zeros(len(x), bool)
        for low, high in found.valid[pol].tolist():
            valid[low:high] = True
        np.testing.assert_array_equal(valid, np.isfinite(expected[:, pol]))
        assert (~valid).sum() == 2 * n_time


def test_mark5b_within_vdif(tmp_path: Path) -> None:
    # Extended data version 0xAB carries a Mark 5B frame, which has the sign first and the magnitude
    # second: codes 1 and 2 change places against VDIF 1.1.1, section 10.
    path = tmp_path / "ab.vdif"
    with mark5b.open(shipped.SAMPLE_MARK5B, "rb", nchan=8, bps=2, kday=56000) as file, (
            path.open("wb")) as out:
        for _ in range(4):
            vdif.VDIFFrame.from_mark5b_frame(file.read_frame()).tofile(out)
    with vdif.open(str(path), "rb") as file:  # its stream reader cannot open them
        expected = np.concatenate([file.read_frame().data for _ in range(4)])
        assert file.seek(0) == 0
        start = file.read_frame().header.get_time(6400 * u.Hz)
    stream = fs.open(path, sample_rate="32MHz").stream
    assert iso(stream.start_time) == iso(start) == "2014-06-13T05:30:01.000000000"
    np.testing.assert_allclose(stream.read_block(0, 20000).data, expected, rtol=2e-7)
    assert (np.abs(expected) == 1).mean() > 0.6


# DADA.

@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize(("n_pol", "n_chan"), [(1, 1), (2, 1), (1, 4), (2, 4)])
@pytest.mark.parametrize("sideband", ["upper", "lower"])
@pytest.mark.parametrize("offset", [0, 3.5])
def test_dada(is_complex: bool, n_pol: int, n_chan: int, sideband: str, offset: float,
              tmp_path: Path, rng: np.random.Generator) -> None:
    x = chosen(INT8, rng, 5 * 64, n_pol, n_chan, is_complex=is_complex)
    # `time` is that of the first sample, OBS_OFFSET behind UTC_START.
    with dada.open(str(tmp_path / "{utc_start}_{obs_offset:016d}.000000.dada"), "ws",
                   squeeze=False, sample_rate=16 * u.MHz, sideband=sideband == "upper",
                   samples_per_frame=64, npol=n_pol, nchan=n_chan, complex_data=is_complex, bps=8,
                   time=Time(LAST_SECONDS), offset=offset * u.s, FREQ=1400.0) as file:
        file.write(x)
    paths = sorted(tmp_path.glob("*.dada"))
    assert len(paths) == 5
    # DSPSR's manual states an order ("Write time series data": TFP), PSRDADA's does not: where the
    # header has no ORDER, as here, baseband takes TPF, and ours wants to know.
    stream = fs.open(paths[::-1], order="TPF").stream
    assert iso(stream.start_time) == "2016-12-30T23:59:58.250000000"
    assert stream.header.sideband == sideband
    # Ours go up in frequency. BW < 0 is PSRDADA's lower sideband, whose channels go down.
    convert = as_it_is if sideband == "upper" else upside_down
    with opened(dada, paths) as file:
        np.testing.assert_array_equal(file.read(), x)
        assert file.header0["OBS_OFFSET"] == offset * 16e6 * x[0].size * (1 + is_complex)
        same(file, stream, convert)
    with opened(dada, paths[1:4]) as file:  # a piece of the observation
        same(file, fs.open(paths[1:4], order="TPF").stream, convert)
    width = (16 if is_complex else 8) * n_chan
    assert [float(edge) for edge in stream.header.channels.edges_hz] == [
        (1400 - width / 2) * 1e6, (1400 + width / 2) * 1e6]
    found = fs.open(paths, order="TFP").stream.read_block(0, len(x)).data.reshape(x.shape)
    other = x.reshape(len(x), n_chan, n_pol).swapaxes(1, 2)
    np.testing.assert_array_equal(found, convert(other))


def test_dada_on_a_day_with_a_leap_second(tmp_path: Path, rng: np.random.Generator) -> None:
    # UTC_START is PSRDADA's start. baseband takes MJD_START, whose fraction is one of 86400 s
    # (as it writes it), for one of astropy's day, which has 86401 s.
    path = tmp_path / "l.dada"
    x = chosen(INT8, rng, 64, 1, 1, is_complex=True)
    with dada.open(str(path), "ws", squeeze=False, sample_rate=16 * u.MHz, samples_per_frame=64,
                   complex_data=True, bps=8, time=Time(LEAP_DAY), offset=0 * u.s) as file:
        file.write(x)
    stream = fs.open(path).stream
    assert iso(stream.start_time) == "2016-12-31T23:59:58.250000000"
    with opened(dada, path) as file:
        assert file.header0["UTC_START"] == "2016-12-31-23:59:58.250000000"
        same(file, stream, late=-Fraction("86398.25") / 86400)


# GUPPI RAW.

def guppi_header(n_pol: int, n_chan: int, *, n_time: int, sideband: str, order: str,
                 **cards: Any) -> dict[str, Any]:
    return {"sample_rate": 2 * u.MHz, "samples_per_frame": n_time, "npol": n_pol,
            "nchan": n_chan, "bps": 8, "time": Time(LEAP_DAY), "sideband": sideband == "upper",
            "OBSFREQ": 1400.0, "PKTFMT": order, **cards}


@pytest.mark.parametrize("sideband", ["upper", "lower"])
@pytest.mark.parametrize("order", ["1SFA", "SIMPLE"])  # DSPSR's SIMPLE goes time by time
@pytest.mark.parametrize("overlap", [0, 16])
def test_guppi(sideband: str, order: str, overlap: int, tmp_path: Path, rng: np.random.Generator
               ) -> None:
    n_new = 64 - overlap
    x = chosen(INT8, rng, 6 * n_new + overlap, 2, 4, is_complex=True)
    cards = guppi_header(2, 4, n_time=64, sideband=sideband, order=order, PKTSIZE=16 * 16)
    if overlap:
        paths = [tmp_path / f"g.{i}.raw" for i in range(2)]
        header = guppi.GUPPIHeader.fromvalues(overlap=overlap, offset=0 * u.s, **cards)
        for path, blocks in zip(paths, (range(4), range(4, 6)), strict=True):
            with guppi.open(str(path), "wb") as file:
                for i in blocks:
                    header["PKTIDX"] = n_new // 16 * i  # counts what is new
                    file.write_frame(x[n_new * i : n_new * i + 64], header)
    else:
        with guppi.open(str(tmp_path / "g.{file_nr:04d}.raw"), "ws", frames_per_file=2,
                        squeeze=False, **cards) as file:
            file.write(x)
        paths = sorted(tmp_path.glob("*.raw"))
        assert len(paths) == 3
    stream = fs.open(paths[::-1]).stream
    assert iso(stream.start_time) == "2016-12-31T23:59:58.250000000"
    assert stream.shape == x.shape and stream.header.sideband == sideband
    assert [float(edge) for edge in stream.header.channels.edges_hz] == [1396e6, 1404e6]
    with opened(guppi, paths) as file:
        np.testing.assert_array_equal(file.read(), x)
        # Ours go up in frequency. Where OBSBW < 0 the first channel is the highest (Breakthrough
        # Listen, RAW File Format, OBSBW).
        same(file, stream, as_it_is if sideband == "upper" else upside_down)
    with opened(guppi, paths[1:]) as file:
        same(file, fs.open(paths[1:]).stream, as_it_is if sideband == "upper" else upside_down)


def test_guppi_direct_io(tmp_path: Path, rng: np.random.Generator) -> None:
    x = chosen(INT8, rng, 3 * 64, 2, 4, is_complex=True)
    path = tmp_path / "d.raw"
    cards = guppi_header(2, 4, n_time=64, sideband="upper", order="1SFA", PKTSIZE=256, DIRECTIO=1)
    with guppi.open(str(path), "ws", squeeze=False, **cards) as file:
        file.write(x)
    with opened(guppi, path) as file:
        assert (len(file.header0) + 1) * 80 % 512 and file.header0.nbytes % 512 == 0
        same(file, fs.open(path).stream)


def test_guppi_of_one_polarisation(tmp_path: Path, rng: np.random.Generator) -> None:
    # NPOL = 2 is one polarisation to baseband, which counts real and imaginary parts, as the notes
    # of S. Ellingson (2013) do. It is two to ours, as to Breakthrough Listen (RAW File Format: 1 or
    # 2, and 4 for 2) and to DSPSR (1, and all else is 2): a sample and the next. So ours finds two
    # polarisations, and half as many samples, in what baseband writes of one.
    path = tmp_path / "one.raw"
    x = chosen(INT8, rng, 4 * 64, 1, 4, is_complex=True)
    cards = guppi_header(1, 4, n_time=64, sideband="upper", order="1SFA", PKTSIZE=128)
    with guppi.open(str(path), "ws", squeeze=False, **cards) as file:
        file.write(x)
    with opened(guppi, path) as file:
        assert file.header0["NPOL"] == 2
        np.testing.assert_array_equal(file.read(), x)
    stream = fs.open(path).stream
    assert stream.shape == (2 * 64, 2, 4)
    found = stream.read_block(0, 128).data
    np.testing.assert_array_equal(found.reshape(128, 2, 4), x.reshape(128, 2, 4))
    stream = fs.open(path, n_pol=1).stream
    np.testing.assert_array_equal(stream.read_block(0, 256).data, x)
    with pytest.raises(UsageError, match="n_pol = 3; allowed: 1, 2"):
        fs.open(path, n_pol=3)
    # Where NPOL is 1 ours is the same stream; baseband reads none.
    text = path.read_bytes().replace(b"NPOL    =                    2",
                                     b"NPOL    =                    1")
    path.write_bytes(text)
    stream = fs.open(path).stream
    assert abs(elapsed(Time(LEAP_DAY), stream.stop_time) - Fraction(256, 2 * 10**6)) < NS
    np.testing.assert_array_equal(stream.read_block(0, 256).data, x)


def test_guppi_of_one_channel(tmp_path: Path, rng: np.random.Generator) -> None:
    # Samples of one channel are real to baseband. They are complex to ours, as all samples are to
    # Breakthrough Listen (RAW File Format) and, but for PKTFMT = VDIF, to DSPSR.
    path = tmp_path / "real.raw"
    x = chosen(INT8, rng, 4 * 64, 2, 1, is_complex=False)
    cards = guppi_header(2, 1, n_time=64, sideband="upper", order="1SFA", PKTSIZE=128)
    with guppi.open(str(path), "ws", squeeze=False, **cards) as file:
        file.write(x)
    with opened(guppi, path) as file:
        assert file.header0["NPOL"] == 2 and not file.complex_data
        np.testing.assert_array_equal(file.read(), x)
    found = fs.open(path).stream.read_block(0, 128).data
    parts = x.reshape(128, 2, 2)
    np.testing.assert_array_equal(found[..., 0], parts[..., 0] + 1j * parts[..., 1])


# Mark 5B and Mark 4: ours has baseband's decoder, but finds frames and times by itself.

@pytest.mark.parametrize("bits", [1, 2])
@pytest.mark.parametrize("n_chan", [1, 2, 4, 8, 16])
def test_mark5b(bits: int, n_chan: int, tmp_path: Path, rng: np.random.Generator) -> None:
    n_time = 80000 // bits // n_chan
    x = chosen(vdif_values(bits), rng, 6 * n_time, n_chan, is_complex=False)
    names = [str(tmp_path / f"m{i}.m5b") for i in range(3)]
    with mark5b.open(names, "ws", squeeze=False, sample_rate=n_time * 100 * u.Hz, nchan=n_chan,
                     bps=bits, time=Time(MIDNIGHT), file_size=2 * 10016) as file:
        file.write(x)
    stream = fs.open(names[::-1], nchan=n_chan, bps=bits, kday=57000).stream
    assert iso(stream.time_of(2 * n_time)) == "2016-12-30T00:00:00.000000000"
    with opened(mark5b, names, nchan=n_chan, bps=bits, kday=57000) as file:
        np.testing.assert_array_equal(file.read(), x)
        same(file, stream)


def test_mark5b_on_a_day_with_a_leap_second(tmp_path: Path, rng: np.random.Generator) -> None:
    # The seconds of the header (Mark 5 memo 019, "VLBA BCD") are those of the day. baseband makes
    # seconds / 86400 of them, and takes that for a part of astropy's day, which has 86401 s.
    path, start = tmp_path / "l.m5b", Time("2016-12-31T12:00:00")
    x = chosen(vdif_values(2), rng, 4 * 5000, 8, is_complex=False)
    with mark5b.open(str(path), "ws", squeeze=False, sample_rate=32 * u.MHz, nchan=8, bps=2,
                     time=start) as file:
        file.write(x)
    stream = fs.open(path, nchan=8, kday=57000).stream
    assert iso(stream.start_time) == "2016-12-31T12:00:00.000000000"
    with opened(mark5b, path, nchan=8, kday=57000) as file:
        np.testing.assert_array_equal(stream.read_block(0, 20000).data, file.read())
        assert abs(elapsed(stream.start_time, file.start_time) - Fraction(1, 2)) < NS


@pytest.mark.parametrize(("n_track", "fanout", "n_chan"),
                         [(16, 4, 2), (32, 4, 4), (32, 2, 8), (64, 4, 8)])
def test_mark4(n_track: int, fanout: int, n_chan: int, tmp_path: Path, rng: np.random.Generator
               ) -> None:
    path, n_time = tmp_path / "x.m4", 20000 * fanout
    x = chosen(vdif_values(2), rng, 3 * n_time, n_chan, is_complex=False)
    with mark4.open(str(path), "ws", squeeze=False, sample_rate=32 * u.MHz, ntrack=n_track,
                    bps=2, fanout=fanout, time=Time("2016-12-30T23:59:59.9975")) as file:
        file.write(x)
    stream = fs.open(path, decade=2010).stream
    assert iso(stream.start_time) == "2016-12-30T23:59:59.997500000"
    with opened(mark4, path, decade=2010) as file:
        # Headers stand in place of the first 160 words of each track's 2500.
        lost = np.tile(np.arange(n_time) < 160 * fanout, 3)
        np.testing.assert_array_equal(file.read(), np.where(lost[:, np.newaxis], 0, x))
        same(file, stream)
