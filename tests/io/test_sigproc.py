"""SIGPROC: recorded truths, independent decoding, scans, damaged headers, the writer."""

from __future__ import annotations

import errno
import os
import struct
import warnings
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import change_bytes
from recordings import recorded

import fastsig as fs
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PolBasis
from fastsig.axes.time import elapsed, iso, parse_time, time_from_mjd
from fastsig.errors import (
    DoubtWarning,
    FastsigWarning,
    FormatError,
    OutputError,
    PlanError,
    UsageError,
)
from fastsig.io.opening import detect
from fastsig.io.sigproc import header as sigproc_header
from fastsig.io.sigproc import reader as sigproc
from fastsig.io.sigproc.writer import SigprocWriter
from fastsig.stream.header import Header

N_CHAN = 24
STANDARD: dict[str, Any] = {
    "telescope_id": 21, "machine_id": 0, "data_type": 1, "source_name": "J0534+2200",
    "src_raj": 53431.9, "src_dej": 220052.0, "fch1": 1500.0, "foff": -0.5, "nchans": N_CHAN,
    "nbits": 8, "tstart": 58543.25, "tsamp": 0.000512, "nifs": 1,
}


def text(value: bytes | str) -> bytes:
    raw = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<i", len(raw)) + raw


def keywords(values: dict[str, Any]) -> bytes:
    """Keywords and values, typed by Python: floats are doubles, bytes are as they are."""
    out = b""
    for key, value in values.items():
        if value is None:
            continue
        out += text(key) + (
            value if isinstance(value, bytes) else text(value) if isinstance(value, str)
            else struct.pack("<i" if isinstance(value, int) else "<d", value))
    return out


def header(**changes: Any) -> bytes:
    return text("HEADER_START") + keywords({**STANDARD, **changes}) + text("HEADER_END")


def packed(codes: np.ndarray, n_bits: int) -> bytes:
    """Codes as a file has them, the first in the lowest bits: by NumPy's own packing."""
    flat = codes.reshape(-1)
    if n_bits >= 8:
        return flat.astype({8: "u1", 16: "<u2", 32: "<f4"}[n_bits]).tobytes()
    bits = flat.astype(np.uint8)[:, np.newaxis] >> np.arange(n_bits) & 1
    return np.packbits(bits.reshape(-1), bitorder="little").tobytes()


def write(path: Path, codes: np.ndarray, **changes: Any) -> Path:
    """A file of codes (time, if, chan), in the order of the file."""
    n_bits = changes.get("nbits", STANDARD["nbits"])
    shape = {"nchans": codes.shape[2], "nifs": codes.shape[1]}
    path.write_bytes(header(**{**shape, **changes}) + packed(codes, n_bits))
    return path


def random_codes(n: int, n_bits: int = 8, n_if: int = 1, n_chan: int = N_CHAN) -> np.ndarray:
    rng = np.random.default_rng(n_bits)
    if n_bits == 32:
        return rng.normal(100, 10, (n, n_if, n_chan)).astype(np.float32)
    return rng.integers(0, 2**n_bits, (n, n_if, n_chan))


def opened(path: Any, **overrides: Any) -> Any:
    return fs.open(path, **overrides).stream


def quiet(path: Any, **overrides: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FastsigWarning)
        return opened(path, **overrides)


def values(stream: Any) -> np.ndarray:
    return stream.read_block(0, stream.shape[0]).data


def file_codes(path: Path, n_bits: int, n_chan: int) -> np.ndarray:
    """Codes of a recorded file, (time, chan) as it has them: header and bits by NumPy alone."""
    raw = path.read_bytes()
    data = np.frombuffer(raw, np.uint8, offset=raw.index(b"HEADER_END") + 10)
    if n_bits < 8:
        bits = np.unpackbits(data, bitorder="little").reshape(-1, n_bits)
        data = bits @ (1 << np.arange(n_bits))
    elif n_bits == 32:
        data = data.view("<f4") if data.ctypes.data % 4 == 0 else data.copy().view("<f4")
    return data.reshape(-1, n_chan)


# Recorded files.

PARKES = "sigpyproc/parkes_{}.fil"


@pytest.mark.recorded
@pytest.mark.parametrize(("name", "n_bits", "n_chan", "n_time", "first", "step", "telescope"), [
    ("sigpyproc/parkes_1bit.fil", 1, 832, 4096, 706, 4, "Parkes"),
    ("sigpyproc/parkes_2bit.fil", 2, 832, 4096, 706, 4, "Parkes"),
    ("sigpyproc/parkes_4bit.fil", 4, 832, 4096, 706, 4, "Parkes"),
    ("sigpyproc/parkes_8bit_1.fil", 8, 832, 4096, 706, 4, "Parkes"),
    ("sigpyproc/tutorial.fil", 2, 64, 187520, 1510 - 63 * 1.09, 1.09, "Fake"),
    ("setigen/sample.fil", 32, 1024, 32, 6663.9985707579, 1.3969838619e-6, "GBT"),
    ("your/28.fil", 8, 336, 5120, 1130, 1, "GMRT"),
    ("your/small.fil", 8, 336, 10, 1130, 1, "GBT"),
    ("priwo/tests/data/test_1bit.fil", 1, 128, 58594, 500 - 127 * 0.048828, 0.048828, "Parkes"),
    ("priwo/tests/data/test_4bit.fil", 4, 128, 58594, 500 - 127 * 0.048828, 0.048828, "Parkes"),
])
def test_recorded_filterbanks(name: str, n_bits: int, n_chan: int, n_time: int, first: float,
                              step: float, telescope: str) -> None:
    path = recorded(name)
    stream = opened(path)
    assert stream.shape == (n_time, 1, n_chan) and stream.header.n_bits == n_bits
    assert stream.header.telescope == telescope
    frequency = stream.frequency.to_value("MHz")
    assert frequency[0] == pytest.approx(first, abs=1e-3 * step)
    np.testing.assert_allclose(np.diff(frequency), step, rtol=1e-3)
    n = min(n_time, 4096)
    block = stream.read_block(n_time - n, n)
    np.testing.assert_array_equal(block.data[:, 0, ::-1], file_codes(path, n_bits, n_chan)[-n:])
    assert (block.valid == 1).all()


@pytest.mark.recorded
def test_recorded_codes_are_lowest_bits_first() -> None:
    eight = values(opened(recorded(PARKES.format("8bit_1"))))[:, 0]
    centred = eight - eight.mean(axis=0)
    for n_bits, expected in ((4, 0.976), (2, 0.932), (1, 0.790)):
        found = values(opened(recorded(PARKES.format(f"{n_bits}bit"))))[:, 0]
        found = found - found.mean(axis=0)
        correlation = (found * centred).sum() / np.sqrt((found**2).sum() * (centred**2).sum())
        assert correlation == pytest.approx(expected, abs=0.02)


@pytest.mark.recorded
def test_recorded_files_that_follow_each_other() -> None:
    paths = [recorded(PARKES.format(f"8bit_{i}")) for i in (1, 2)]
    stream = opened(paths[::-1])  # in any order
    assert stream.shape == (8192, 1, 832) and stream.held_fraction() == 1
    assert iso(stream.start_time) == iso(opened(paths[0]).start_time)
    for i, path in enumerate(paths):
        alone = opened(path)
        np.testing.assert_array_equal(
            stream.read_block(4096 * i, 4096).data, values(alone))
        # a float64 day number has steps of 0.63 us
        assert abs(elapsed(alone.start_time, stream.time_of(4096 * i))) < Fraction(1, 10**6)
    assert stream.files == [str(path) for path in paths]


@pytest.mark.recorded
def test_recorded_twins_in_other_formats() -> None:
    fits = pytest.importorskip("astropy.io.fits")
    small = opened(recorded("your/small.fil"))
    with fits.open(recorded("your/small.fits")) as file:
        table = file["SUBINT"]
        data = table.data["DATA"].reshape(-1, 336)
        np.testing.assert_array_equal(values(small)[:, 0, ::-1], data[:10])
        np.testing.assert_array_equal(small.frequency.value[::-1], table.data["DAT_FREQ"][0])
        head = file["PRIMARY"].header
        start = time_from_mjd(head["STT_IMJD"], Fraction(repr(head["STT_SMJD"] + head["STT_OFFS"])))
        assert abs(elapsed(start, small.start_time)) < Fraction(1, 10**6)
        assert float(1 / small.header.sample_rate) == table.header["TBIN"]
    with fits.open(recorded("your/28.fits")) as file:
        data = file["SUBINT"].data["DATA"].reshape(-1, 336)
        np.testing.assert_array_equal(
            values(opened(recorded("your/28.fil")))[:, 0, ::-1], data[:5120])
    hdf = opened(recorded("fbh5_derived/gbt_sgrb2_fine.h5"))
    fil = opened(recorded("setigen/sample.fil"))
    np.testing.assert_array_equal(values(hdf), values(fil))
    assert hdf.header.channels == fil.header.channels
    assert hdf.header.sample_rate == fil.header.sample_rate
    assert hdf.header.ra_deg == pytest.approx(fil.header.ra_deg, abs=1e-9)
    assert hdf.header.dec_deg == pytest.approx(fil.header.dec_deg, abs=1e-9)


@pytest.mark.recorded
def test_recorded_time_series() -> None:
    for name in ("f32", "ui8"):
        stream = opened(recorded(f"priwo/tests/data/test_{name}.tim"))
        assert stream.header.channels is None and stream.header.sample_rate == 15625
        np.testing.assert_array_equal(values(stream)[:, 0, 0], np.arange(16))
    assert stream.header.extra["refdm"] == 187.5503692626953
    with pytest.warns(FastsigWarning, match="signed = 1 .* taken as signed"):
        stream = opened(recorded("priwo/tests/data/test_i8.tim"))
    np.testing.assert_array_equal(values(stream)[:, 0, 0], np.arange(16))
    stream = opened(recorded("sigpyproc/GBT_J1807-0847.tim"))
    assert stream.shape == (131130, 1, 1) and stream.header.extra["refdm"] == 112.3802
    assert stream.header.extra["fch1"] == 920  # the channel that the delays refer to
    assert values(stream).mean(dtype="f8") == pytest.approx(100, abs=1)
    assert opened(recorded("sigpyproc/GBT_J1807-0847.tim"), fch1=820.390625, foff=200
                  ).frequency.value.tolist() == [820.390625]


@pytest.mark.recorded
def test_recorded_header_without_spectra() -> None:
    with pytest.raises(FormatError, match=r"test_16bit\.fil: no whole spectrum follows"):
        opened(recorded("priwo/tests/data/test_16bit.fil"))


# Decoding.

@pytest.mark.parametrize("foff", [-0.5, 0.5])
@pytest.mark.parametrize("n_bits", [1, 2, 4, 8, 16, 32])
def test_codes(tmp_path: Path, n_bits: int, foff: float) -> None:
    for n_if, n_chan in ((1, 24), (1, 1), (1, 832), (2, 64), (3, 40), (4, 72), (1, 13), (2, 3)):
        codes = random_codes(101, n_bits, n_if, n_chan)
        fch1 = 1500.0 if foff < 0 else 1000.0
        path = write(tmp_path / "a.fil", codes, nbits=n_bits, foff=foff, fch1=fch1)
        stream = quiet(path)
        expected = codes[:, :, ::-1] if foff < 0 else codes
        # the bits that fill the last byte are spectra of their own where these are that short
        assert stream.shape[1:] == (n_if, n_chan)
        assert stream.shape[0] == 101 or n_if * n_chan * n_bits < 8
        found = stream.read_block(0, 101)
        assert found.data.dtype == np.float32 and found.data.flags.c_contiguous
        np.testing.assert_array_equal(found.data, expected)
        np.testing.assert_array_equal(stream.read_block(17, 60).data, expected[17:77])
        out = np.full((120, n_if, n_chan), 7, np.float32)
        given = stream.read_block(3, 90, out)
        assert np.shares_memory(given.data, out) and not given.data.flags.writeable
        np.testing.assert_array_equal(out[:90], expected[3:93])
        assert (out[90:] == 7).all()


def test_pieces_and_blocks_make_no_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fastsig.io.sigproc import samples as sigproc_samples

    for n_bits, n_chan in ((1, 13), (2, 24), (8, 24), (16, 7)):
        codes = random_codes(1000, n_bits, 2, n_chan)
        path = write(tmp_path / "p.fil", codes, nbits=n_bits)
        expected = codes[:, :, ::-1]
        for piece in (1, 100, 1000, 10**6):
            monkeypatch.setattr(sigproc_samples, "_PIECE", piece)
            stream = quiet(path)
            for start, n in ((0, 1000), (1, 998), (511, 3), (999, 1), (500, 0)):
                np.testing.assert_array_equal(
                    stream.read_block(start, n).data, expected[start : start + n])


@pytest.mark.parametrize("foff", [-0.5, 0.5])
@pytest.mark.parametrize("n_chan", [24, 13])
def test_codes_as_they_are(tmp_path: Path, foff: float, n_chan: int) -> None:
    """Codes of 8 bits without a sign, of one product, also of a band and in pieces."""
    from fastsig.io.sigproc import samples as sigproc_samples

    codes = random_codes(101, 8, 1, n_chan)
    stream = quiet(write(tmp_path / "a.fil", codes, nbits=8, foff=foff))
    expected = (codes[:, :, ::-1] if foff < 0 else codes)[:, 0]
    assert stream.coded
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sigproc_samples, "_PIECE", 7 * n_chan)
        for part, channels in ((stream, slice(None)), (stream.band(2, 11), slice(2, 11))):
            block = part.read_coded(17, 60)
            assert block.codes.dtype == np.uint8 and not block.codes.flags.writeable
            np.testing.assert_array_equal(block.codes, expected[17:77, channels])
            made, plain = block.block(), part.read_block(17, 60)
            np.testing.assert_array_equal(made.data, plain.data)
            np.testing.assert_array_equal(made.valid, plain.valid)
    assert not quiet(write(tmp_path / "b.fil", random_codes(20, 16), nbits=16)).coded
    assert not quiet(write(tmp_path / "c.fil", random_codes(20, 8, 2), nbits=8)).coded


@pytest.mark.parametrize(("n_bits", "told", "given", "signed"), [
    (8, None, None, False), (8, 0, None, False), (8, -1, None, True), (8, 1, None, True),
    (8, 1, "no", False), (8, None, "yes", True), (16, None, None, False), (16, 1, None, False),
    (16, None, "yes", True),
])
def test_signed_codes(tmp_path: Path, n_bits: int, told: int | None, given: str | None,
                      signed: bool) -> None:
    codes = random_codes(20, n_bits)
    flag = None if told is None else struct.pack("b", told)
    path = write(tmp_path / "s.fil", codes, nbits=n_bits, signed=flag)
    overrides = {} if given is None else {"signed": given}
    if told == 1 and given is None and n_bits == 8:
        with pytest.warns(FastsigWarning, match="taken as signed; signed='no'"):
            stream = opened(path)
    else:
        stream = opened(path, **overrides)
    expected = np.where(codes >= 2 ** (n_bits - 1), codes - 2**n_bits, codes) if signed else codes
    np.testing.assert_array_equal(values(stream), expected[:, :, ::-1])
    assert stream.header.extra["codes"] == ("two's complement" if signed else "unsigned")


def test_floats_that_are_not_finite_have_no_weight(tmp_path: Path) -> None:
    codes = random_codes(50, 32)
    codes[3, 0, 2], codes[7] = np.inf, np.nan
    stream = opened(write(tmp_path / "n.fil", codes, nbits=32))
    for out in (None, np.empty((50, 1, N_CHAN), np.float32)):
        block = stream.read_block(0, 50, out)
        lost = ~np.isfinite(codes[:, :, ::-1])
        np.testing.assert_array_equal(np.broadcast_to(block.valid, lost.shape) == 0, lost)
        assert np.isnan(block.data[lost]).all()
        np.testing.assert_array_equal(block.data[~lost], codes[:, :, ::-1][~lost])
    mean = fs.open(tmp_path / "n.fil").integrate(n_int=5).read()
    assert mean.weight[0, 0, N_CHAN - 3] == np.float32(0.8) and (mean.weight[2] == 1).all()


def test_threads_read_what_one_reads(tmp_path: Path) -> None:
    codes = random_codes(3000, 4)
    stream = opened(write(tmp_path / "t.fil", codes, nbits=4))
    starts = list(range(0, 2900, 37))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda at: stream.read_block(at, 100).data, starts))
    for at, data in zip(starts, found, strict=True):
        np.testing.assert_array_equal(data, codes[at : at + 100, :, ::-1])
    stream.close()
    np.testing.assert_array_equal(stream.read_block(5, 5).data, codes[5:10, :, ::-1])


# Headers.

def test_header(tmp_path: Path) -> None:
    path = write(tmp_path / "h.fil", random_codes(10), ibeam=3, az_start=12.5, rawdatafile="x.raw",
                 nbeams=19)
    stream = opened(path)
    head = stream.header
    assert detect(path)[0] == "sigproc" and stream.shape == (10, 1, N_CHAN)
    assert iso(head.start_time) == "2019-03-01T06:00:00.000000000"
    assert head.sample_rate == Fraction(10**6, 512) and head.n_sum == 1
    assert head.channels == ChannelAxis(Fraction(1488_500_000), Fraction(500_000), N_CHAN)
    assert (head.telescope, head.source, head.beam) == ("FAST", "J0534+2200", 3)
    assert head.ra_deg == pytest.approx((5 + 34 / 60 + 31.9 / 3600) * 15, abs=1e-12)
    assert head.dec_deg == pytest.approx(22 + 52 / 3600, abs=1e-12)
    assert head.polarization == PolBasis("unknown", ("I",))
    assert head.extra["az_start"] == 12.5 and head.extra["rawdatafile"] == "x.raw"
    assert head.extra["machine_id"] == 0 and head.extra["src_raj"] == 53431.9


@pytest.mark.parametrize("foff", [-0.5, 0.5])
def test_an_impulse_at_its_time_and_a_tone_at_its_frequency(tmp_path: Path, foff: float) -> None:
    codes = np.zeros((200, 1, N_CHAN), np.uint8)
    codes[123] += 50
    codes[:, 0, 5] += 100  # at fch1 + 5 foff: the centre of that channel
    chain = fs.open(write(tmp_path / "i.fil", codes, foff=foff))
    data = chain.read()
    row = int(data.values.sum(axis=(1, 2)).argmax())
    expected = time_from_mjd(58543, Fraction(6 * 3600) + 123 * Fraction(512, 10**6))
    assert abs(elapsed(data.time[row], expected)) < Fraction(1, 10**9)
    channel = int(data.values.sum(axis=(0, 1)).argmax())
    assert chain.frequency[channel].to_value("MHz") == pytest.approx(1500 + 5 * foff, abs=1e-9)


@pytest.mark.parametrize(("raj", "dej", "ra", "dec"), [
    (0.0, 0.0, None, None), (-1.0, -1.0, None, None), (None, 220052.0, None, None),
    (123456.75, -3000.5, (12 + 34 / 60 + 56.75 / 3600) * 15, -(30 / 60 + 0.5 / 3600)),
    (0.0, -895959.5, 0, -(89 + 59 / 60 + 59.5 / 3600)),
    (250000.0, 917000.0, None, None), (127000.0, 100.0, None, 100 / 6000),
    (float("nan"), 0.0, None, None), (-12.0, 1.0, None, 1 / 3600),
])
def test_positions(tmp_path: Path, raj: float | None, dej: float, ra: float | None,
                   dec: float | None) -> None:
    stream = opened(write(tmp_path / "p.fil", random_codes(2), src_raj=raj, src_dej=dej))
    assert stream.header.ra_deg == (None if ra is None else pytest.approx(ra, abs=1e-12))
    assert stream.header.dec_deg == (None if dec is None else pytest.approx(dec, abs=1e-12))


@pytest.mark.parametrize(("tstart", "expected"), [
    (57753.5, "2016-12-31T12:00:00.000000000"),  # 12 h into a day with a leap second
    (50000.0, "1995-10-10T00:00:00.000000000"),
    (58849.1234567891, "2020-01-01T02:57:46.666578240"),  # 15 digits: what was typed
    # What `float` makes of 23:59:59: with more digits than it holds the float itself counts.
    (58849.99998842592, "2020-01-01T23:59:58.999999766"),
])
def test_what_a_day_number_stands_for(tmp_path: Path, tstart: float, expected: str) -> None:
    stream = opened(write(tmp_path / "t.fil", random_codes(2), tstart=tstart))
    assert iso(stream.start_time) == expected


@pytest.mark.parametrize(("number", "name"), [(21, "FAST"), (64, "MeerKAT"), (30, "MWA"),
                                              (99, None), (-1, None), (None, None)])
def test_telescopes(tmp_path: Path, number: int | None, name: str | None) -> None:
    path = write(tmp_path / "t.fil", random_codes(2), telescope_id=number)
    assert opened(path).header.telescope == name
    assert opened(path, telescope="ASKAP").header.telescope == "ASKAP"


@pytest.mark.parametrize(("n_if", "given", "names"), [
    (2, None, ("AA", "BB")), (4, None, ("AA", "BB", "CR", "CI")), (3, None, ("IF0", "IF1", "IF2")),
    (4, "IQUV", ("I", "Q", "U", "V")), (2, "XX,YY", ("XX", "YY")),
])
def test_products(tmp_path: Path, n_if: int, given: str | None, names: tuple[str, ...]) -> None:
    path = write(tmp_path / "p.fil", random_codes(5, n_if=n_if))
    if given is None:
        with pytest.warns(FastsigWarning, match=f"does not name its {n_if} products"):
            stream = opened(path)
    else:
        stream = opened(path, products=given)
    assert stream.polarization == PolBasis("unknown", names)
    with pytest.raises(UsageError, match=f"allowed: {n_if} of them"):
        opened(path, products="I,Q,U,V,W")


def table(frequencies: Any, **changes: Any) -> bytes:
    """A header with a table of frequencies, as `splice` writes one."""
    head = {**STANDARD, "fch1": None, "foff": None, **changes}
    first = keywords({key: head[key] for key in ("telescope_id", "machine_id", "data_type")})
    middle = text("FREQUENCY_START") + keywords({"nchans": head["nchans"]})
    middle += b"".join(text("fchannel") + struct.pack("<d", each) for each in frequencies)
    rest = keywords({key: value for key, value in head.items()
                     if key not in ("telescope_id", "machine_id", "data_type", "nchans")})
    return b"".join([text("HEADER_START"), first, middle, text("FREQUENCY_END"), rest,
                     text("HEADER_END")])


def test_tables_of_frequencies(tmp_path: Path) -> None:
    path, codes = tmp_path / "f.fil", random_codes(20)
    down = 1500 - 0.1 * np.arange(N_CHAN)
    for frequencies in (down, down[::-1]):
        path.write_bytes(table(frequencies) + packed(codes, 8))
        stream = opened(path)
        np.testing.assert_allclose(stream.frequency.value, down[::-1], rtol=1e-14)
        descending = frequencies[0] > frequencies[-1]
        np.testing.assert_array_equal(values(stream), codes[:, :, ::-1] if descending else codes)
    path.write_bytes(table(1500 - 0.01 * np.arange(20_000), nchans=20_000) + bytes(20_000))
    assert opened(path).shape == (1, 1, 20_000)  # a header of 400 kB
    spliced = np.concatenate([down[:12], down[12:] - 30])
    for frequencies, match in ((spliced, r"channel 1[12] is .* off"), (down[:-1], "23 channels"),
                               (np.full(N_CHAN, 1500.0), "foff"),
                               (np.where(down == down[3], np.nan, down), "finite"),
                               (down[np.r_[1, 0, 2:24]], "channel . is .* off")):
        path.write_bytes(table(frequencies) + packed(codes, 8))
        with pytest.raises(FormatError, match=match):
            opened(path)
    # the user knows better
    assert opened(path, fch1=1400, foff=-1).frequency.value[-1] == 1400


def test_unknown_keywords_are_kept(tmp_path: Path) -> None:
    path, codes = tmp_path / "u.fil", random_codes(7)
    path.write_bytes(header(
        beam_width=0.05, n_dish=64, project="PT2020_0001", cal_on=struct.pack("b", 1), marker=b"",
        counter=struct.pack("<q", 2**40 + 5)) + packed(codes, 8))
    # each is followed by another unknown one, so each may be several things
    with pytest.raises(FormatError, match="the keyword .* is unknown"):
        opened(path)
    apart = {}
    for key, value in {"beam_width": 0.05, "n_dish": 64, "project": "PT2020_0001",
                       "cal_on": struct.pack("b", 1), "marker": b"",
                       "counter": struct.pack("<q", 2**40 + 5)}.items():
        apart |= {key: value, "az_start": 1.0}
        path.write_bytes(text("HEADER_START") + keywords({**STANDARD, key: value}) + keywords(
            {"az_start": 1.0}) + text("HEADER_END") + packed(codes, 8))
        stream = opened(path)
        expected = {"cal_on": 1, "marker": "", "counter": 2**40 + 5}.get(key, value)
        assert stream.header.extra[key] == expected and stream.header.extra["az_start"] == 1
        np.testing.assert_array_equal(values(stream), codes[:, :, ::-1])


def test_wrong_numbers_of_spectra(tmp_path: Path) -> None:
    codes = random_codes(30)
    for stated in (0, 30):
        stream = opened(write(tmp_path / "n.fil", codes, nsamples=stated))
        assert stream.shape[0] == 30 and stream.header.extra["nsamples"] == stated
    with pytest.warns(DoubtWarning, match="the file has 30 spectra; .* nsamples = 12 is ignored"):
        assert opened(write(tmp_path / "n.fil", codes, nsamples=12)).shape[0] == 30
    with pytest.warns(FastsigWarning, match="states 31 spectra; the file has 30"):
        assert opened(write(tmp_path / "n.fil", codes, nsamples=31)).shape[0] == 30


def test_a_cut_file_gives_its_whole_spectra(tmp_path: Path) -> None:
    codes = random_codes(5)
    path = write(tmp_path / "c.fil", codes)
    raw, head = path.read_bytes(), len(header())
    for length in (len(raw) - 1, head + 3 * N_CHAN + 1, head + N_CHAN + 5):
        path.write_bytes(raw[:length])
        with pytest.warns(FastsigWarning, match=r"c\.fil: the last spectrum has"):
            stream = opened(path)
        n = (length - head) // N_CHAN
        np.testing.assert_array_equal(values(stream), codes[:n, :, ::-1])
    for length in range(16, head + N_CHAN):
        path.write_bytes(raw[:length])
        with pytest.raises(FormatError, match=r"c\.fil: (ends at byte|no whole spectrum)"):
            opened(path)
    path.write_bytes(raw[:15])
    with pytest.raises(FormatError, match="not a file of a known format"):
        opened(path)
    with pytest.raises(FormatError, match="does not begin with HEADER_START"):
        sigproc.open(path)
    with pytest.raises(FormatError, match="No such file"):
        sigproc.open(tmp_path / "absent.fil")


# Scans.

def scan(tmp_path: Path, starts: list[float], n: int = 40, **changes: Any) -> tuple[list[Path],
                                                                                   np.ndarray]:
    """Files that begin at rows, of a clock of 1 ms, and the codes of all in order."""
    codes = random_codes(n * len(starts))
    paths = []
    for i, start in enumerate(starts):
        path = tmp_path / f"s{i}.fil"
        day = float(58543 + (Fraction(21600) + Fraction(start) / 1000) / 86400)
        paths.append(write(path, codes[n * i : n * (i + 1)], tstart=day, tsamp=0.001, **changes))
    return paths, codes


def test_a_scan_with_a_gap(tmp_path: Path) -> None:
    paths, codes = scan(tmp_path, [0, 40, 100])
    stream = opened([paths[2], paths[0], paths[1]])
    assert stream.shape == (140, 1, N_CHAN) and stream.held_fraction() == pytest.approx(120 / 140)
    for out in (None, np.empty((140, 1, N_CHAN), np.float32)):
        block = stream.read_block(0, 140, out)
        np.testing.assert_array_equal(block.data[:80], codes[:80, :, ::-1])
        np.testing.assert_array_equal(block.data[100:], codes[80:, :, ::-1])
        assert np.isnan(block.data[80:100]).all()
        assert np.flatnonzero(block.valid[:, 0, 0] == 0).tolist() == list(range(80, 100))
        again = stream.read_coded(0, 140).block()
        np.testing.assert_array_equal(again.data, block.data)
        np.testing.assert_array_equal(again.valid, block.valid)
    assert abs(elapsed(stream.time_of(100), opened(paths[2]).start_time)) < Fraction(1, 10**6)
    # a start that the user gives is that of the scan
    moved = opened(paths, start_time="2020-01-01T00:00:00")
    assert iso(moved.time_of(100)) == "2020-01-01T00:00:00.100000000"


def test_files_that_overlap_or_do_not_belong(tmp_path: Path) -> None:
    paths, codes = scan(tmp_path, [0, 30])
    with pytest.raises(FormatError, match=r"s1\.fil: its first 10 spectra .* trim='yes'"):
        opened(paths)
    stream = opened(paths, trim="yes")
    assert stream.shape[0] == 70
    np.testing.assert_array_equal(
        values(stream), np.concatenate([codes[:40], codes[50:80]])[:, :, ::-1])
    with pytest.raises(UsageError, match="trim = 'maybe'; allowed: yes, no"):
        opened(paths, trim="maybe")
    for change in ({"foff": -0.4}, {"nbits": 16}, {"nchans": 12}, {"source_name": "other"},
                   {"tsamp": 0.002}, {"ibeam": 2}):
        other = write(tmp_path / "o.fil", random_codes(40), **{"tstart": 58544.0, "tsamp": 0.001,
                                                               **change})
        with pytest.raises(FormatError, match=r"not belong to the scan of .*: \w[^:]*: .*, not "):
            opened([paths[0], other])
    far = write(tmp_path / "far.fil", random_codes(40), tsamp=0.001, tstart=60000.0)
    with pytest.raises(FormatError, match="more than a year"):
        opened([paths[0], far])
    beside, _ = scan(tmp_path, [0, 40.4])
    with pytest.warns(FastsigWarning, match=r"begins \+0\.40 spectra off"):
        assert opened(beside).shape[0] == 80


# What is wrong.

@pytest.mark.parametrize(("key", "value", "match"), [
    *(("nchans", n, "nchans = .*allowed: a whole number from 1") for n in (0, -1, -2**31)),
    ("nchans", 2**31 - 1, "nchans"), ("nchans", None, "nchans=... supplies"),
    ("nbits", None, "nbits=... supplies"), ("nchans", 2**28, "fch1"),
    ("nchans", 2000, "no whole spectrum"),
    *(("nbits", n, "nbits = ") for n in (0, 3, 64, -8, 12)),
    *(("nifs", n, "nifs = .*1 to 1024") for n in (0, -1, 2**31 - 1)),
    *(("tsamp", x, "tsamp = .*sample_rate=") for x in (
        0.0, -1.0, 1e300, float("nan"), float("inf"), None)),
    *(("tstart", x, "tstart = .*start_time=") for x in (
        0.0, -5.0, 1e300, float("nan"), float("-inf"), 1e6, None)),
    *(("foff", x, "foff = ") for x in (0.0, float("nan"), float("inf"), 1e300)),
    ("foff", None, "foff = None.*foff="), ("fch1", None, "fch1 = None.*fch1="),
    *(("fch1", x, "fch1 = ") for x in (float("nan"), -1e300, 1.0, -5.0)),
    ("data_type", 3, "data_type"), ("source_name", struct.pack("<i", -1), "source_name has"),
    ("source_name", struct.pack("<i", 5000) + bytes(5000), "source_name has 5000 characters"),
    ("", 1, "a keyword of 0 characters"), ("k" * 81, 1, "a keyword of 81 characters"),
    ("bad key", 1, "a keyword of 7 characters"), ("\x00\x01", 1, "a keyword of 2 characters"),
])
def test_nonsense_is_named(tmp_path: Path, key: str, value: Any, match: str) -> None:
    path = tmp_path / "bad.fil"
    path.write_bytes(header(**{key: value}) + packed(random_codes(10), 8))
    with pytest.raises(FormatError, match=rf"bad\.fil: .*{match}"):
        opened(path)


def test_what_the_user_supplies(tmp_path: Path) -> None:
    codes = random_codes(12, 4)
    path = tmp_path / "few.fil"
    path.write_bytes(text("HEADER_START") + text("HEADER_END") + packed(codes, 4))
    given = {"nchans": N_CHAN, "nbits": 4, "fch1": "1500", "foff": "-0.5",
             "sample_rate": "2kHz", "start_time": "2020-01-01T00:00:00"}
    for key in given:
        option = key if key in ("nchans", "nbits", "fch1", "foff") else f"{key}="
        with pytest.raises(FormatError, match=f"{option}"):
            opened(path, **{other: given[other] for other in given if other != key})
    stream = opened(path, **given)
    np.testing.assert_array_equal(values(stream), codes[:, :, ::-1])
    assert stream.header.sample_rate == 2000 and stream.frequency.value[-1] == 1500
    assert iso(stream.start_time) == "2020-01-01T00:00:00.000000000"
    for wrong, match in (({"nbits": "7"}, "nbits = '7'"), ({"signed": "yes"}, "with 4 bits"),
                         ({"signed": "no"}, "with 4 bits"), ({"products": ","}, "allowed: 1 of"),
                         ({"foff": "x"}, "foff = 'x'"), ({"gain": "1"}, "unknown override")):
        with pytest.raises((FormatError, UsageError), match=match):
            opened(path, **{**given, **wrong})


def test_times_that_are_not_of_a_telescope(tmp_path: Path) -> None:
    path = write(tmp_path / "b.fil", random_codes(4), barycentric=1)
    with pytest.warns(FastsigWarning, match="barycentric = 1: times are not"):
        assert opened(path).header.extra["barycentric"] == 1


def test_the_other_order_of_bytes(tmp_path: Path) -> None:
    path = tmp_path / "big.fil"
    path.write_bytes(struct.pack(">i", 12) + b"HEADER_START" + bytes(100))
    assert detect(path)[0] == "sigproc"
    with pytest.raises(FormatError, match="big-endian"):
        opened(path)


def test_headers_are_read_up_to_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sigproc_header, "_MOST_HEADER", 2**17)
    path = tmp_path / "long.fil"
    path.write_bytes(text("HEADER_START") + (text("fch1") + bytes(8)) * 10_000)
    with pytest.raises(FormatError, match="no HEADER_END in its first 131072 bytes"):
        opened(path)


def test_changed_bytes_in_headers(tmp_path: Path) -> None:
    raw = header(ibeam=1, rawdatafile="a.raw", signed=struct.pack("b", -1), nsamples=40,
                 az_start=1.0) + packed(random_codes(40), 8)
    length = raw.index(b"HEADER_END") + 10
    change_bytes(raw, tmp_path / "g.fil", lambda rng: rng.integers(0, length), sigproc.open)


# The writer.

RATE = Fraction(10**9, 49152)


def head_of(shape: tuple[int, ...], **changes: Any) -> Header:
    names = {1: ("I",), 2: ("AA", "BB"), 4: ("AA", "BB", "CR", "CI")}[shape[1]]
    standard = {
        "start_time": time_from_mjd(59277, Fraction(27, 4)), "sample_rate": RATE,
        "channels": ChannelAxis(Fraction(10**9), Fraction(1220703125, 10**4), shape[2]),
        "polarization": PolBasis("unknown", names), "telescope": "FAST", "source": "B0531+21",
        "beam": 19, "ra_deg": 83.633125, "dec_deg": -0.0145, "n_bits": 8}
    return Header(**{**standard, **changes})


def written(path: Path, data: np.ndarray, weight: Any = 1.0, block: int = 77,
            head: Header | None = None, **options: Any) -> SigprocWriter:
    weights = np.broadcast_to(np.asarray(weight, np.float32), data.shape)
    with SigprocWriter(path, head or head_of(data.shape), data.shape, **options) as writer:
        for start in range(0, len(data), block):
            part = slice(start, start + block)
            writer.append(data[part].astype(np.float32), weights[part])
    return writer


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("n_bits", [8, 16, 32])
@pytest.mark.parametrize("n_if", [1, 4])
def test_round_trips(tmp_path: Path, n_if: int, n_bits: int, descending: bool) -> None:
    data = random_codes(300, n_bits, n_if)
    path = tmp_path / "w.fil"
    written(path, data, n_bits=n_bits, descending=descending)
    stream = quiet(path)
    np.testing.assert_array_equal(values(stream), data.astype(np.float32))
    found, head = stream.header, head_of(data.shape)
    for field in ("sample_rate", "channels", "polarization", "telescope", "source", "beam"):
        assert getattr(found, field) == getattr(head, field), field
    assert found.n_bits == n_bits
    assert (found.ra_deg, found.dec_deg) == pytest.approx((83.633125, -0.0145), abs=1e-12)
    assert iso(found.start_time) == iso(head.start_time)  # 78.125e-6 days: few digits
    raw = path.read_bytes()
    (foff,) = struct.unpack_from("<d", raw, raw.index(b"foff") + 4)
    assert (foff < 0) == descending and abs(foff) == 0.1220703125
    assert SigprocWriter.losses(head, data.shape, False, n_bits=n_bits) == []


def test_bytes_know_no_blocks(tmp_path: Path) -> None:
    data = random_codes(700, 32, 2)
    weight = np.random.default_rng(1).random(data.shape).astype(np.float32)
    weight[weight < 0.2] = 0
    for n_bits, options in ((32, {}), (8, {"scale": 0.5, "offset": 60})):
        found = set()
        for block in (1, 13, 128, 700):
            path = tmp_path / f"{n_bits}-{block}.fil"
            written(path, data, weight, block, n_bits=n_bits, **options)
            found.add(path.read_bytes())
        assert len(found) == 1


@pytest.mark.parametrize("blank", ["mean", "zero", "nan"])
def test_blanks(tmp_path: Path, blank: str) -> None:
    data = random_codes(400, 32, 2).astype(np.float32)
    weight = np.random.default_rng(2).choice(np.float32([0, 0.25, 1]), data.shape)
    weight[:, 1, 3] = 0
    data[5, 0, 2] = np.nan  # whatever its weight
    weight[5, 0, 2] = 1
    written(tmp_path / "b.fil", data, weight, blank=blank)
    with open(tmp_path / "b.fil", "rb") as file:
        raw = file.read()
    found = np.frombuffer(raw[raw.index(b"HEADER_END") + 10 :], "<f4").reshape(data.shape)
    found = found[:, :, ::-1]
    lost = (weight == 0) | np.isnan(data)
    np.testing.assert_array_equal(found[~lost], data[~lost])
    if blank == "mean":
        kept = np.where(lost, 0, weight).astype("f8")
        sums = (np.where(lost, 0, data) * kept).sum(axis=0)
        mean = np.divide(sums, kept.sum(axis=0), out=np.zeros(data.shape[1:]),
                         where=kept.sum(axis=0) > 0)
        # sums of 128 are float32
        np.testing.assert_allclose(found[lost], np.broadcast_to(mean, data.shape)[lost], rtol=1e-6)
        assert (found[:, 1, 3] == 0).all()
    else:
        assert (found[lost] == 0).all() if blank == "zero" else np.isnan(found[lost]).all()
    if blank == "nan":
        block = quiet(tmp_path / "b.fil").read_block(0, 400)
        np.testing.assert_array_equal(block.valid == 0, lost)
    (told,) = [each for each in SigprocWriter.losses(head_of(data.shape), data.shape, True,
                                                     blank=blank) if "weights" in each]
    assert {"mean": "mean", "zero": "0", "nan": "NaN"}[blank] in told


def test_codes_with_a_scale(tmp_path: Path) -> None:
    data = random_codes(300, 32).astype(np.float32)
    data[7, 0, 3], data[8, 0, 3] = 1e6, -1e6
    weight = np.ones(data.shape, np.float32)
    weight[20:30] = 0
    scale = np.linspace(0.5, 0.75, N_CHAN)[np.newaxis]
    writer = written(tmp_path / "c.fil", data, weight, n_bits=8, scale=scale, offset=40)
    assert writer.n_clipped == 2 and writer.n_inexact > 6000
    found = values(opened(tmp_path / "c.fil"))
    restored = 40 + scale * found
    inside = (weight > 0) & (np.abs(data) < 1e5)
    assert (np.abs(restored - data) <= scale / 2 * (1 + 1e-6))[inside].all()
    assert found[7, 0, 3] == 255 and found[8, 0, 3] == 0
    means = np.where(inside, data, np.nan)
    means[7, 0, 3], means[8, 0, 3] = 1e6, -1e6
    assert (np.abs(restored[25] - np.nanmean(means, axis=0)) <= scale).all()
    told = SigprocWriter.losses(head_of(data.shape), data.shape, True, n_bits=8, scale=scale)
    assert any("codes of 8 bits" in each for each in told)


@pytest.mark.parametrize("value", [0.5, -1, 256, 1e9])
def test_what_is_no_code_is_refused(tmp_path: Path, value: float) -> None:
    data = random_codes(40, 8).astype(np.float32)
    data[33, 0, 7] = value
    with pytest.raises(OutputError, match=r"spectrum 33 contains .*0 to 255"):
        written(tmp_path / "r.fil", data, n_bits=8)
    assert list(tmp_path.iterdir()) == []
    weight = np.ones(data.shape)
    weight[33, 0, 7] = 0
    written(tmp_path / "r.fil", data, weight, n_bits=8)  # where it is not valid it may be anything


def test_what_is_lost_is_told(tmp_path: Path) -> None:
    shape = (10, 4, 8)
    head = head_of(
        shape, start_time=parse_time("2021-03-04T05:06:07.123456789"), telescope="Tianlai",
        receiver="L", backend="B", n_sum=16, source="Ж" * 90,
        sample_rate=Fraction(3), channels=ChannelAxis(Fraction(10**9, 3), Fraction(7), 8, 0),
        polarization=PolBasis("linear", ("I", "Q", "U", "V")),
        extra={"OBSERVER": "someone", "rawdatafile": "x", "refdm": 5.0, "codes": "unsigned"})
    told = "; ".join(SigprocWriter.losses(head, (10**9, *shape[1:]), False))
    for part in ("receiver", "backend", "'Tianlai', which has no number",
                 "only half inside", "averaged in", "feeds, signs", "1 more value of the header",
                 "source becomes '????", "the start is rounded, by", "time between spectra"):
        assert part in told, part
    written(tmp_path / "l.fil", random_codes(10, 8, 4, 8), head=head)
    stream = quiet(tmp_path / "l.fil")
    assert stream.header.extra["refdm"] == 5 and stream.header.source == "?" * 80
    assert SigprocWriter.losses(head_of(shape).replace(start_time=time_from_mjd(59277)), shape,
                                False) == []


@pytest.mark.parametrize("names", [("AA", "BB"), ("I", "Q", "U", "V"), ("AA", "BB", "CR", "CI"),
                                   ("XX",), ("Q",), tuple(f"IF{index}" for index in range(9))])
def test_names_of_products_are_kept(tmp_path: Path, names: tuple[str, ...]) -> None:
    head = head_of((10, 1, 8), polarization=PolBasis("unknown", names))
    for name, raw, stated in (("a", None, ""), ("b", "of me.raw", "of me.raw "),
                              ("c", "x" * 80, f"{'x' * (79 - len(','.join(names)) - 9)} ")):
        about = head.replace(extra={} if raw is None else {"rawdatafile": raw})
        path = tmp_path / f"{name}.fil"
        written(path, random_codes(10, 8, len(names), 8), head=about)
        assert f"{stated}products={','.join(names)}".encode() in path.read_bytes()
        stream = opened(path)  # without a warning
        assert stream.header.polarization.names == names
        assert stream.header.extra.get("rawdatafile", "") == stated.strip()
        assert stream.header.origin["polarization"] == f"{name}.fil:rawdatafile"
        lost = "; ".join(SigprocWriter.losses(about, (10, len(names), 8), False))
        assert ("rawdatafile becomes" in lost) == (name == "c") and "the names" not in lost
        given = tuple("ABCDEFGHI"[: len(names)])
        assert opened(path, products=",".join(given)).header.polarization.names == given


def test_names_that_do_not_fit_are_lost(tmp_path: Path) -> None:
    for names in (("a b", "c"), tuple(f"product{index}" for index in range(12))):
        shape = (10, len(names), 8)
        head = head_of((10, 1, 8), polarization=PolBasis("unknown", names))
        assert "the names of its products" in "".join(SigprocWriter.losses(head, shape, False))
    path = tmp_path / "other.fil"
    written(path, random_codes(10, 8, 2, 8), head=head_of((10, 2, 8), extra={
        "rawdatafile": "x.raw products=I,Q,U"}))
    path.write_bytes(path.read_bytes().replace(b"products=AA,BB", b"products=AABBX"))
    with pytest.warns(FastsigWarning, match="does not name its 2 products"):
        assert opened(path).header.polarization.names == ("AA", "BB")


def test_options_and_plans(tmp_path: Path) -> None:
    shape, path = (5, 1, 8), tmp_path / "o.fil"
    for options in ({"n_bits": 4}, {"blank": "x"}, {"n_bits": 8, "blank": "nan"}, {"scale": 2.0},
                    {"n_bits": 8, "scale": 0.0}, {"n_bits": 8, "offset": np.nan},
                    {"n_bits": 8, "scale": np.ones(7)}):
        with pytest.raises(UsageError, match="allowed|finite"):
            SigprocWriter(path, head_of(shape), shape, **options)
    with pytest.raises(PlanError, match="give frequency="):
        SigprocWriter(path, head_of(shape, channels=None), shape)
    with pytest.raises(PlanError, match="their header states"):
        SigprocWriter(path, head_of(shape), (5, 1, 9))
    leap = parse_time("2016-12-31T23:59:60.5")
    with pytest.raises(PlanError, match="leap second"):
        SigprocWriter(path, head_of(shape, start_time=leap), shape)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_of_a_file_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, path = random_codes(300), tmp_path / "f.fil"
    lost = np.arange(300)[:, np.newaxis, np.newaxis] % 7 > 0
    with pytest.raises(UsageError, match="200 of 300 announced rows"), SigprocWriter(
            path, head_of(data.shape), data.shape) as writer:
        writer.append(data[:200].astype("f4"), lost[:200].astype("f4"))
    with pytest.raises(UsageError, match="more rows than the 200"), SigprocWriter(
            path, head_of((200, 1, N_CHAN)), (200, 1, N_CHAN)) as writer:
        writer.append(data.astype("f4"), np.ones((300, 1, 1), "f4"))
    with pytest.raises(ZeroDivisionError), SigprocWriter(
            path, head_of(data.shape), data.shape) as writer:
        writer.append(data[:200].astype("f4"), lost[:200].astype("f4"))
        raise ZeroDivisionError
    whole = os.pwritev

    def full(descriptor: int, buffers: Any, offset: int) -> int:
        if offset > 10_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole(descriptor, buffers, offset)

    monkeypatch.setattr(os, "pwritev", full)
    with pytest.raises(OutputError, match="No space left"):
        written(path, data, lost)
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []
    written(path, data, lost)
    with pytest.raises(OutputError, match="exists"):
        written(path, data)
    written(path, data, overwrite=True)
    assert [each.name for each in tmp_path.iterdir()] == ["f.fil"]
