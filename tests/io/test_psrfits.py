"""PSRFITS in search mode: values, times, frequencies, scans, and headers that are wrong."""

from __future__ import annotations

import contextlib
import re
import shutil
import threading
import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from hostile import change_bytes
from psrfits_made import N_BLOCK, TBIN, codes_of, frequencies, made, tables, values
from recordings import recorded

import fastsig as fs
from fastsig.axes.time import elapsed, iso, time_from_mjd
from fastsig.errors import DataError, FastsigWarning, FormatError, UsageError
from fastsig.io.psrfits import reader as psrfits

START = time_from_mjd(59000, Fraction("43200.25"))
T = Fraction("0.000196608")


def opened(path: Path | list[Path], **overrides: Any) -> Any:
    return fs.open(path, **overrides).stream


def read(stream: Any) -> Any:
    return stream.read_block(0, stream.shape[0])


def seconds(stream: Any, row: int = 0) -> Fraction:
    """Time of a spectrum since STT_*."""
    return elapsed(START, stream.time_of(row))


@contextlib.contextmanager
def told(match: str) -> Iterator[None]:
    """One of the warnings says this; there may be others."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    found = [str(each.message) for each in caught]
    assert all(issubclass(each.category, FastsigWarning) for each in caught), found
    assert any(re.search(match, text) for text in found), found


# What others recorded.


@pytest.mark.recorded
@pytest.mark.parametrize("name, held", [("28", 5120), ("small", 10)])
def test_recorded_twins(name: str, held: int) -> None:
    path = recorded(f"your/{name}.fits")
    with told(r"zeros, which apparently fill it up"):
        stream = opened(path)
    raw = recorded(f"your/{name}.fil").read_bytes()
    twin = np.frombuffer(raw[raw.index(b"HEADER_END") + 10 :], np.uint8).reshape(-1, 1, 336)
    assert stream.shape == (-(-held // 789) * 789, 1, 336) and len(twin) == held
    data = read(stream)
    np.testing.assert_array_equal(data.data[:held], twin[:, :, ::-1])
    assert not data.data[held:].any() and (data.valid == 1).all()
    with fits.open(path) as file:
        table = file[1].data
        whole = table["DATA"].reshape(-1, 1, 336)[:, :, ::-1]
        np.testing.assert_array_equal(data.data, whole)
        np.testing.assert_array_equal(stream.frequency.value, table["DAT_FREQ"][0][::-1])
    header = stream.header
    assert iso(header.start_time) == "2019-07-18T14:53:15.363776316"
    assert header.sample_rate == 1 / Fraction("0.00126646875")
    assert header.telescope == "VLA" and header.source == "src1" and header.n_bits == 8
    assert header.polarization.names == ("I",) and header.polarization.kind == "circular"
    assert header.ra_deg == pytest.approx(15 * (12 + 26 / 60 + 37.6361 / 3600))
    assert header.extra["CHAN_DM"] == "0.0" and header.extra["zero_off"] == "signed"


@pytest.mark.recorded
def test_a_note_names_its_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(recorded("your/small.fits"), tmp_path / "a.fits")
    monkeypatch.chdir(tmp_path)
    with pytest.warns(FastsigWarning, match="^a.fits: the last 779 spectra of the last row"):
        fs.open("a.fits")


# Numbers.


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("n_pol", [1, 2, 4])
def test_scales_of_every_polarisation(n_pol: int, descending: bool, tmp_path: Path) -> None:
    codes = codes_of(8, (3 * N_BLOCK, n_pol, 21))
    scale, offset = tables((n_pol, 21), 3)
    path = made(tmp_path / "a.fits", codes, scale=scale, offset=offset,
                freq=frequencies(21, descending=descending), subint={"ZERO_OFF": 12.5})
    stream = opened(path)
    expected = values(codes, scale, offset, zero=12.5)
    expected = expected[:, :, ::-1] if descending else expected
    block = read(stream)
    np.testing.assert_array_equal(block.data, expected)
    assert (block.valid == 1).all() and not block.data.flags.writeable
    np.testing.assert_array_equal(stream.frequency.value, frequencies(21))
    assert stream.weight_channels == 1
    names = {1: ("I",), 2: ("AA", "BB"), 4: ("AA", "BB", "CR", "CI")}[n_pol]
    assert stream.header.polarization.names == names
    assert stream.header.polarization.kind == "linear"
    for start, n in ((0, 1), (7, 2), (3, 17), (23, 1), (8, 8)):
        np.testing.assert_array_equal(stream.read_block(start, n).data, expected[start : start + n])


@pytest.mark.parametrize("n_chan", [16, 21])
@pytest.mark.parametrize("n_bits", [1, 2, 4])
def test_packed_codes_read_like_their_parent(n_bits: int, n_chan: int, tmp_path: Path) -> None:
    codes = codes_of(n_bits, (2 * N_BLOCK, 2, n_chan))
    scale, offset = tables((2, n_chan), 2)
    common: dict[str, Any] = {"scale": scale, "offset": offset, "subint": {"ZERO_OFF": 0.5},
                              "freq": frequencies(n_chan, descending=True)}
    few = opened(made(tmp_path / "few.fits", codes, n_bits, **common))
    parent = opened(made(tmp_path / "eight.fits", codes, 8, **common))
    assert few.header.n_bits == n_bits
    np.testing.assert_array_equal(read(few).data, read(parent).data)
    for start in range(2 * N_BLOCK - 1):  # also from the middle of a byte on
        np.testing.assert_array_equal(few.read_block(start, 2).data,
                                      parent.read_block(start, 2).data)


def test_sixteen_bits_and_floats(tmp_path: Path) -> None:
    codes = codes_of(16, (N_BLOCK, 2, 9))
    scale, offset = tables((2, 9), 1)
    stream = opened(made(tmp_path / "a.fits", codes, 16, scale=scale, offset=offset))
    np.testing.assert_array_equal(read(stream).data, values(codes, scale, offset))
    apart = opened(tmp_path / "a.fits", signed="no")
    np.testing.assert_array_equal(read(apart).data, values(codes % 2**16, scale, offset))
    floats = np.random.default_rng(1).normal(size=(N_BLOCK, 2, 9)).astype("f4")
    floats[2, 1, 4] = np.nan
    stream = opened(made(tmp_path / "b.fits", floats, 32, scale=scale, offset=offset))
    block = read(stream)
    np.testing.assert_array_equal(block.data, values(floats, scale, offset))
    assert block.valid[2, 1, 4] == 0 and block.valid.sum() == block.data.size - 1
    assert stream.weight_channels == 9


@pytest.mark.parametrize("given, choice, zero", [
    (7.5, "signed", 7.5), (-7.5, "signed", -7.5), (-7.5, "absolute", 7.5), (7.5, "none", 0)])
def test_zero_off_both_ways(given: float, choice: str, zero: float, tmp_path: Path) -> None:
    codes = codes_of(4, (N_BLOCK, 1, 10))
    scale, offset = tables((1, 10), 1)
    path = made(tmp_path / "a.fits", codes, 4, scale=scale, offset=offset,
                subint={"ZERO_OFF": given})
    stream = opened(path, zero_off=choice)
    np.testing.assert_array_equal(read(stream).data, values(codes, scale, offset, zero=zero))
    assert stream.header.extra["zero_off"] == choice
    assert stream.header.extra["ZERO_OFF"] == str(given)


def twos(codes: np.ndarray, n_bits: int) -> np.ndarray:
    half = 2 ** (n_bits - 1)
    return np.where(codes % 2**n_bits >= half, codes % 2**n_bits - 2**n_bits, codes % 2**n_bits)


@pytest.mark.parametrize("n_bits", [2, 4, 8, 16])
@pytest.mark.parametrize("choice", ["yes", "no", "cross"])
def test_signs(n_bits: int, choice: str, tmp_path: Path) -> None:
    codes = codes_of(n_bits, (2 * N_BLOCK, 4, 12))
    scale, offset = tables((4, 12), 2)
    path = made(tmp_path / "a.fits", codes, n_bits, scale=scale, offset=offset,
                subint={"ZERO_OFF": 1.5})
    signed = twos(codes, n_bits)
    numbers = {"yes": signed, "no": codes % 2**n_bits,
               "cross": np.concatenate([codes[:, :2] % 2**n_bits, signed[:, 2:]], axis=1)}[choice]
    expected = values(numbers, scale, offset, zero=1.5)
    # Signs that differ are put into the zero, in which one rounding more may come.
    np.testing.assert_allclose(read(opened(path, signed=choice)).data, expected, rtol=0,
                               atol=0 if choice != "cross" else 1e-3)
    assert opened(path, signed=choice).header.extra["signed"] == choice


def test_signint_and_shifted_integers(tmp_path: Path) -> None:
    codes = codes_of(8, (N_BLOCK, 1, 6))
    stream = opened(made(tmp_path / "a.fits", codes, subint={"SIGNINT": 1}))
    np.testing.assert_array_equal(read(stream).data, twos(codes, 8))
    path = made(tmp_path / "b.fits", codes)
    with fits.open(path, mode="update") as file:  # signed bytes, as FITS has them
        file[1].header["TZERO7"] = -128
    np.testing.assert_array_equal(read(opened(path)).data, codes - 128.0)
    path = made(tmp_path / "c.fits", codes_of(16, (N_BLOCK, 1, 6)), 16)
    plain = read(opened(path)).data
    with fits.open(path, mode="update") as file:
        file[1].header["TZERO7"] = 32768
    np.testing.assert_array_equal(read(opened(path)).data, plain + 32768)


def test_missing_signint_of_cross_products_is_told(tmp_path: Path) -> None:
    path = made(tmp_path / "a.fits", codes_of(8, (N_BLOCK, 4, 6)), subint={"SIGNINT": None})
    with told("no SIGNINT states whether AA, BB, CR, CI are signed"):
        opened(path)
    opened(made(tmp_path / "b.fits", codes_of(8, (N_BLOCK, 2, 6)), subint={"SIGNINT": None}))


@pytest.mark.parametrize("pol_type, n_pol, names", [
    ("IQUV", 4, ("I", "Q", "U", "V")), ("STOKE", 4, ("I", "Q", "U", "V")), ("INTEN", 1, ("I",)),
    ("AA+BB", 1, ("I",)), ("AA", 1, ("AA",)), ("XXYY", 2, ("XX", "YY"))])
def test_products(pol_type: str, n_pol: int, names: tuple[str, ...], tmp_path: Path) -> None:
    stream = opened(made(tmp_path / "a.fits", codes_of(8, (N_BLOCK, n_pol, 6)), pol_type=pol_type))
    assert stream.header.polarization.names == names
    known = pol_type not in ("AA", "XXYY")
    assert stream.header.polarization.kind == ("linear" if known else "unknown")


def test_products_that_are_not_known(tmp_path: Path) -> None:
    path = made(tmp_path / "a.fits", codes_of(8, (N_BLOCK, 4, 6)), pol_type="AA+BB")
    with told(r"POL_TYPE = 'AA\+BB' with NPOL = 4 is not known"):
        assert opened(path).header.polarization.names == ("P0", "P1", "P2", "P3")
    path = made(tmp_path / "b.fits", codes_of(8, (N_BLOCK, 4, 6)), subint={"POL_TYPE": ""})
    with told("no POL_TYPE names its 4 products; taken as AA, BB"):
        assert opened(path).header.polarization.kind == "unknown"


# Weights.


@pytest.mark.parametrize("descending", [False, True])
def test_weights(descending: bool, tmp_path: Path) -> None:
    codes = codes_of(8, (3 * N_BLOCK, 2, 8))
    weight = np.full((3, 8), 0.25, "f4")
    weight[0, 2] = weight[2, 5:] = 0
    weight[1] = 3
    path = made(tmp_path / "a.fits", codes, weight=weight,
                freq=frequencies(8, descending=descending))
    stream = opened(path)
    lost = np.repeat(weight == 0, N_BLOCK, axis=0)[:, None, :]
    lost = lost[:, :, ::-1] if descending else lost
    block = read(stream)
    np.testing.assert_array_equal(block.valid, np.broadcast_to(~lost, block.valid.shape))
    expected = codes[:, :, ::-1] if descending else codes
    np.testing.assert_array_equal(block.data, np.where(lost, np.nan, expected.astype("f4")))
    assert stream.weight_channels == 8
    assert stream.header.extra["weights"] == "0.25, or 0"
    assert stream.read_block(N_BLOCK, N_BLOCK).valid.shape == (N_BLOCK, 1, 1)
    mean = fs.open(path).integrate(n_int=3 * N_BLOCK).read()
    held = np.broadcast_to(~lost, codes.shape)
    np.testing.assert_allclose(mean.weight[0], held.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(
        mean.values[0], np.where(held, expected, 0).sum(axis=0) / held.sum(axis=0), rtol=1e-6)
    fs.open(path).write(tmp_path / "a.h5")
    np.testing.assert_array_equal(fs.open(tmp_path / "a.h5").read().values, block.data)


def test_scales_that_are_no_numbers_are_lost(tmp_path: Path) -> None:
    codes = codes_of(8, (2 * N_BLOCK, 2, 8))
    scale, offset = tables((2, 8), 2)
    scale[1, 0, 3], offset[1, 1, 2], scale[0, 1, 7] = np.nan, np.inf, 3e38
    stream = opened(made(tmp_path / "a.fits", codes, scale=scale, offset=offset))
    block = read(stream)
    lost = np.zeros((2, 2, 8), bool)
    lost[1, 0, 3] = lost[1, 1, 2] = lost[0, 1, 7] = True
    np.testing.assert_array_equal(block.valid == 0, np.repeat(lost, N_BLOCK, axis=0))
    np.testing.assert_array_equal(np.isnan(block.data), block.valid == 0)


def test_weights_that_differ_are_told(tmp_path: Path) -> None:
    codes = codes_of(8, (N_BLOCK, 1, 4))
    weight = np.array([[0.5, 0, 7, 1]], "f4")
    stream = opened(made(tmp_path / "a.fits", codes, weight=weight))
    assert stream.header.extra["weights"] == "0.5 to 7, or 0; not multiplied in"
    np.testing.assert_array_equal(read(stream).data[:, 0, [0, 2, 3]], codes[:, 0, [0, 2, 3]])


# Time.


def test_an_impulse_at_its_time_and_a_line_at_its_frequency(tmp_path: Path) -> None:
    for descending in (False, True):
        freq = frequencies(32, descending=descending)
        codes = np.full((4 * N_BLOCK, 1, 32), 10)
        codes[19] += 50
        codes[:, :, int(np.flatnonzero(freq == 1405.5)[0])] += 20
        stream = opened(made(tmp_path / "a.fits", codes, freq=freq, first_row=1000))
        data = read(stream).data[:, 0]
        assert seconds(stream) == pytest.approx(1000 * N_BLOCK * T, abs=1e-10)
        assert seconds(stream, int(data.mean(axis=1).argmax())) == pytest.approx(
            (1000 * N_BLOCK + 19) * T, abs=1e-10)
        assert stream.frequency.value[data.mean(axis=0).argmax()] == 1405.5
        assert stream.header.sample_rate == 1 / T and stream.header.start_time.scale == "utc"


def three(tmp_path: Path, **extra: Any) -> tuple[list[Path], np.ndarray]:
    """A scan of three files of 2, 3 and 2 rows."""
    codes = codes_of(8, (7 * N_BLOCK, 2, 6))
    paths, first = [], 0
    for number, n_row in enumerate((2, 3, 2)):
        part = codes[first * N_BLOCK : (first + n_row) * N_BLOCK]
        each = {key: value[number] for key, value in extra.items()}
        paths.append(made(tmp_path / f"f{number}.fits", part,
                          **{"first_row": first, **each}))
        first += n_row
    return paths, codes


def test_a_scan_of_three_files(tmp_path: Path) -> None:
    paths, codes = three(tmp_path)
    for order in ([0, 1, 2], [2, 0, 1]):
        stream = opened([paths[i] for i in order])
        np.testing.assert_array_equal(read(stream).data, codes)
        assert stream.held_fraction() == 1 and seconds(stream) == 0
        assert stream.files == [str(path) for path in paths]  # in order of time
    only = opened(paths[1])
    np.testing.assert_array_equal(read(only).data, codes[2 * N_BLOCK : 5 * N_BLOCK])
    assert seconds(only) == pytest.approx(2 * N_BLOCK * T, abs=1e-10)


def test_the_middle_file_missing(tmp_path: Path) -> None:
    paths, codes = three(tmp_path)
    stream = opened([paths[0], paths[2]])
    block = read(stream)
    assert stream.shape == (7 * N_BLOCK, 2, 6)
    assert stream.held_fraction() == pytest.approx(4 / 7)
    gap = slice(2 * N_BLOCK, 5 * N_BLOCK)
    assert np.isnan(block.data[gap]).all() and not block.valid[gap].any()
    np.testing.assert_array_equal(block.data[5 * N_BLOCK :], codes[5 * N_BLOCK :])
    np.testing.assert_array_equal(block.data[: 2 * N_BLOCK], codes[: 2 * N_BLOCK])
    assert block.valid[: 2 * N_BLOCK].all() and block.valid[5 * N_BLOCK :].all()
    assert np.isnan(stream.read_block(3 * N_BLOCK, 4).data).all()


def test_rows_missing_inside(tmp_path: Path) -> None:
    codes = codes_of(8, (4 * N_BLOCK, 2, 6))
    stream = opened(made(tmp_path / "a.fits", codes, rows=[0, 1, 4, 5], first_row=10))
    block = read(stream)
    assert stream.shape[0] == 6 * N_BLOCK
    np.testing.assert_array_equal(block.data[: 2 * N_BLOCK], codes[: 2 * N_BLOCK])
    np.testing.assert_array_equal(block.data[4 * N_BLOCK :], codes[2 * N_BLOCK :])
    held = np.repeat([1, 1, 0, 0, 1, 1], N_BLOCK)
    np.testing.assert_array_equal(block.valid[:, 0, 0], held)
    assert seconds(stream) == pytest.approx(10 * N_BLOCK * T, abs=1e-10)
    assert stream.weight_channels == 1
    counted = opened(tmp_path / "a.fits", rows="count")
    np.testing.assert_array_equal(read(counted).data, codes)


def test_exact_start_and_rate(tmp_path: Path) -> None:
    path = made(tmp_path / "a.fits", codes_of(8, (N_BLOCK, 1, 6)), first_row=12345678,
                primary={"STT_IMJD": 57753, "STT_SMJD": 86399, "STT_OFFS": 0.123456789})
    stream = opened(path)
    begin = Fraction("86399.123456789") + 12345678 * N_BLOCK * T
    assert abs(elapsed(time_from_mjd(57753, begin), stream.start_time)) < Fraction(1, 10**10)


@pytest.mark.parametrize("given, seen", [({"sample_rate": "1kHz"}, Fraction(1000)),
                                         ({"sample_rate": "5000"}, Fraction(5000))])
def test_overrides(given: dict[str, str], seen: Fraction, tmp_path: Path) -> None:
    path = made(tmp_path / "a.fits", codes_of(8, (2 * N_BLOCK, 1, 6)))
    with told("a row's length"):
        stream = opened(path, telescope="Dish", start_time="2020-01-01T00:00:00",
                        frequency="1GHz", **given)
    assert stream.header.sample_rate == seen and stream.header.telescope == "Dish"
    assert iso(stream.start_time) == "2020-01-01T00:00:00.000000000"
    lower, upper = stream.header.channels.edges_hz
    assert (lower + upper) / 2 == 10**9
    assert stream.header.origin["sample_rate"] == "override"
    with pytest.raises(UsageError, match="zero_off = 'x'; allowed: signed, absolute, none"):
        opened(path, zero_off="x")
    with pytest.raises(UsageError, match="unknown override 'nonsense' for psrfits"):
        opened(path, nonsense="x")


# Headers that are wrong.


def clocked(path: Path, *, tbin: float = 1, offs: float = 1, length: float = 1,
            rows: list[int] | None = None) -> Path:
    """A file whose three row lengths are those factors of the right one."""
    places = np.array(rows or range(6))
    right = N_BLOCK * TBIN
    return made(path, codes_of(8, (6 * N_BLOCK, 1, 6)), tbin=TBIN * tbin,
                centers=(places + 0.5) * right * offs, tsubint=right * length)


def test_early_headers_of_fast(tmp_path: Path) -> None:
    """TBIN and OFFS_SUB a fourth of what they should be."""
    path = clocked(tmp_path / "a.fits", tbin=0.25, offs=0.25)
    with told(r"TBIN and OFFS_SUB, as in .* by a factor of 4: repair"):
        stream = opened(path)
    assert stream.header.sample_rate == 4 / T  # as it is
    with told("repaired: a spectrum lasts 0.000196608 s"):
        stream = opened(path, repair="yes")
    assert stream.header.sample_rate == 1 / T and stream.shape[0] == 6 * N_BLOCK
    assert stream.held_fraction() == 1
    with told("a row's length"):
        stream = opened(path, sample_rate=str(1 / T), repair="yes")
    assert stream.header.sample_rate == 1 / T and stream.held_fraction() == 1


def test_a_wrong_tbin(tmp_path: Path) -> None:
    path = clocked(tmp_path / "a.fits", tbin=0.25)
    with told(r"TBIN is apparently wrong by a factor of 4: repair=yes"):
        stream = opened(path)
    assert stream.header.sample_rate == 4 / T and stream.held_fraction() == 1
    with told("repaired"):
        assert opened(path, repair="yes").header.sample_rate == 1 / T


def test_a_wrong_offs_sub(tmp_path: Path) -> None:
    path = clocked(tmp_path / "a.fits", offs=4)
    for repair in ("no", "yes"):
        with told("OFFS_SUB grows by"):
            stream = opened(path, repair=repair)
        assert stream.header.sample_rate == 1 / T and stream.shape[0] == 6 * N_BLOCK
    with told("NSUBOFFS = 0, but OFFS_SUB implies 1.5 rows"):
        assert opened(path, rows="offs_sub").shape[0] == 21 * N_BLOCK
    # Rows that are missing are found in OFFS_SUB's own unit.
    path = clocked(tmp_path / "b.fits", offs=0.25, rows=[0, *range(2, 22)][:6])
    with told(""):
        assert opened(path).shape[0] == 7 * N_BLOCK


@pytest.mark.parametrize("centers, match", [
    (np.zeros(3), "OFFS_SUB is 0 in all rows"),
    (np.full(3, np.nan), "OFFS_SUB is not a time in some rows"),
    (np.array([1e300, 1, 2]), "OFFS_SUB is not a time in some rows"),
    (np.array([0.5, 2.5, 1.5]) * N_BLOCK * TBIN, "at row 2, not by whole rows"),
    (np.array([0.5, 1.5, 3.0]) * N_BLOCK * TBIN, "at row 2, not by whole rows"),
    (np.arange(3) * N_BLOCK * TBIN, "OFFS_SUB contains the starts of rows"),
    (np.array([0.5, 1.5, 2.7]) * N_BLOCK * TBIN, "up to 1.6 spectra from the places"),
])
def test_offs_sub_that_makes_no_sense(centers: np.ndarray, match: str, tmp_path: Path) -> None:
    codes = codes_of(8, (3 * N_BLOCK, 1, 6))
    path = made(tmp_path / "a.fits", codes, centers=centers)
    with told(match):
        stream = opened(path)
    np.testing.assert_array_equal(read(stream).data, codes)
    assert seconds(stream) == 0


def test_clocks_that_drift_apart(tmp_path: Path) -> None:
    """OFFS_SUB by another clock than TBIN: files of a scan meet, and what is off is told."""
    fresh = [(np.arange(*each) + 0.5) * N_BLOCK * TBIN * 1.00004 for each in (
        (0, 2), (2, 5), (5000, 5002))]
    paths, codes = three(tmp_path, centers=fresh, subint=[
        {"NSUBOFFS": 0}, {"NSUBOFFS": 2}, {"NSUBOFFS": 5000}])
    with told(r"f2\.fits: OFFS_SUB differs by 1.6 spectra from NSUBOFFS"):
        stream = opened(paths)
    assert stream.shape[0] == 5002 * N_BLOCK
    np.testing.assert_array_equal(stream.read_block(0, 5 * N_BLOCK).data, codes[: 5 * N_BLOCK])
    np.testing.assert_array_equal(stream.read_block(5000 * N_BLOCK, 16).data, codes[-16:])
    path = made(tmp_path / "a.fits", codes, subint={"NSUBOFFS": None}, first_row=3)
    assert seconds(opened(path)) == pytest.approx(3 * N_BLOCK * T, abs=1e-10)


def test_no_offs_sub(tmp_path: Path) -> None:
    codes = codes_of(8, (3 * N_BLOCK, 1, 6))
    path = made(tmp_path / "a.fits", codes, without=("OFFS_SUB", "TSUBINT"), first_row=5)
    with told("no column OFFS_SUB"):
        stream = opened(path)
    assert seconds(stream) == pytest.approx(5 * N_BLOCK * T, abs=1e-10)
    np.testing.assert_array_equal(read(stream).data, codes)


def test_nsuboffs_that_does_not_grow(tmp_path: Path) -> None:
    paths, codes = three(tmp_path, subint=[{"NSUBOFFS": 0}] * 3)
    with told("NSUBOFFS = 0, but OFFS_SUB implies 2 rows"):
        stream = opened(paths)
    np.testing.assert_array_equal(read(stream).data, codes)
    # Nor does OFFS_SUB.
    paths, codes = three(tmp_path, first_row=[0] * 3)
    with pytest.raises(FormatError, match=r"f1\.fits: claims the time of .*f0.*repair='yes'"):
        opened(paths)
    with told("placed end to end"):
        stream = opened(paths, repair="yes")
    np.testing.assert_array_equal(read(stream).data, codes)


def test_offs_sub_that_begins_anew(tmp_path: Path) -> None:
    fresh = [(np.arange(n) + 0.5) * N_BLOCK * TBIN for n in (2, 3, 2)]
    paths, codes = three(tmp_path, centers=fresh)
    with told("OFFS_SUB starts again in every file; NSUBOFFS is used"):
        stream = opened(paths)
    np.testing.assert_array_equal(read(stream).data, codes)


def starts(*rows: float) -> list[dict[str, Any]]:
    return [{"STT_OFFS": float(0.25 + row * N_BLOCK * TBIN)} for row in rows]


def test_starts_of_files(tmp_path: Path) -> None:
    # Each file with its own STT_*, and nothing else.
    paths, codes = three(tmp_path, first_row=[0] * 3, primary=starts(0, 2, 5))
    with told("STT_.* differ by up to .*; taken as the starts"):
        stream = opened(paths)
    np.testing.assert_array_equal(read(stream).data, codes)
    # STT_* and NSUBOFFS both grow.
    paths, codes = three(tmp_path, primary=starts(0, 2, 5))
    with told("as NSUBOFFS or OFFS_SUB do; taken as the starts"):
        stream = opened(paths)
    np.testing.assert_array_equal(read(stream).data, codes)
    only = opened(paths[2])
    assert seconds(only) == pytest.approx(10 * N_BLOCK * T, abs=1e-9)
    own = opened(paths[2], stt="file")
    assert seconds(own) == pytest.approx(5 * N_BLOCK * T, abs=1e-9)
    # One that is off by less than a row.
    paths, codes = three(tmp_path, primary=starts(0, 0, 0.3))
    with told("all files count from the first file's"):
        stream = opened(paths)
    np.testing.assert_array_equal(read(stream).data, codes)
    # And one that agrees with nothing.
    paths, codes = three(tmp_path, primary=starts(0, 0, 100))
    with told("both are added"):
        assert opened(paths).shape[0] == 107 * N_BLOCK
    assert opened(paths, stt="scan").shape[0] == 7 * N_BLOCK


def test_files_that_overlap(tmp_path: Path) -> None:
    codes = codes_of(8, (4 * N_BLOCK, 1, 6))
    a = made(tmp_path / "a.fits", codes[: 3 * N_BLOCK])
    b = made(tmp_path / "b.fits", codes[2 * N_BLOCK :], first_row=2)
    with told("8 spectra are in two rows; the first row is used"):
        stream = opened([a, b])
    np.testing.assert_array_equal(read(stream).data, codes)


@pytest.mark.parametrize("change, wrong", [
    ({"freq": frequencies(6) + 1}, "DAT_FREQ"), ({"pol_type": "INTEN"}, None),
    ({"tbin": 2 * TBIN}, "TBIN"), ({"subint": {"ZERO_OFF": 3.0}}, "zero_off"),
    ({"pol_type": "AA"}, "names")])
def test_files_of_another_scan(change: dict[str, Any], wrong: str | None, tmp_path: Path) -> None:
    codes = codes_of(8, (N_BLOCK, 1, 6))
    paths = [made(tmp_path / "a.fits", codes),
             made(tmp_path / "b.fits", codes, first_row=1, **change)]
    if wrong is None:
        assert opened(paths).shape[0] == 2 * N_BLOCK
        return
    with pytest.raises(
            FormatError, match=rf"b\.fits: does not belong to the scan .*: {wrong} differs"):
        opened(paths)


# Frequency.


def test_labels_of_channels(tmp_path: Path) -> None:
    codes = codes_of(8, (N_BLOCK, 1, 16))
    path = made(tmp_path / "a.fits", codes, freq=frequencies(16, descending=True))
    for label, shift in (("center", 0), ("lower", 250_000), ("upper", -250_000)):
        stream = opened(path, label=label)
        assert stream.header.channels.first_hz == 1_400_000_000 + shift
        assert stream.header.channels.step_hz == 500_000
        assert stream.header.extra["label"] == label


def test_labels_of_float32(tmp_path: Path) -> None:
    width = 500 / 4096
    freq = (1000 + width * (np.arange(4096) + 0.5)).astype("f4")
    codes = codes_of(8, (2, 1, 4096))
    path = made(tmp_path / "a.fits", codes, n_block=2, freq=freq, freq_form="E",
                subint={"CHAN_BW": width})
    axis = opened(path).header.channels
    assert axis.step_hz == Fraction(500_000_000, 4096)
    assert abs(axis.first_hz - (10**9 + axis.step_hz / 2)) < 40
    path = made(tmp_path / "b.fits", codes, n_block=2, freq=freq, freq_form="E",
                subint={"CHAN_BW": 0.122})
    off = opened(path).frequency.value - freq
    assert np.abs(off).max() < 1.3e-4  # two units in the last place of 1500


def test_uneven_labels_are_refused(tmp_path: Path) -> None:
    freq = frequencies(16)
    freq[7] += 0.0049
    codes = codes_of(8, (N_BLOCK, 1, 16))
    opened(made(tmp_path / "a.fits", codes, freq=freq))
    freq[7] += 0.0002
    with pytest.raises(FormatError, match=r"not evenly spaced: 1403.5051 MHz is 0.0051 MHz from"):
        opened(made(tmp_path / "a.fits", codes, freq=freq))
    with pytest.raises(FormatError, match="DAT_FREQ goes from 1400 to 1400"):
        opened(made(tmp_path / "a.fits", codes, freq=np.full(16, 1400.0)))


def test_a_band_that_changes_is_refused(tmp_path: Path) -> None:
    path = made(tmp_path / "a.fits", codes_of(8, (3 * N_BLOCK, 1, 16)))
    with fits.open(path, mode="update") as file:
        file[1].data["DAT_FREQ"][2] += 1
    with pytest.raises(FormatError, match="DAT_FREQ changes from the first row to the last"):
        opened(path)


def test_no_labels(tmp_path: Path) -> None:
    codes = codes_of(8, (N_BLOCK, 1, 16))
    path = made(tmp_path / "a.fits", codes, freq=np.zeros(16), subint={"CHAN_BW": -0.5})
    with told("taken from OBSFREQ and CHAN_BW"):
        stream = opened(path)
    assert stream.header.channels.first_hz == 1446_250_000
    np.testing.assert_array_equal(read(stream).data, codes[:, :, ::-1])
    path = made(tmp_path / "b.fits", codes, without=("DAT_FREQ",), primary={"OBSFREQ": None})
    with pytest.raises(FormatError, match="give frequency='1250MHz'"):
        opened(path)
    with told("taken from OBSFREQ and CHAN_BW"):
        stream = opened(path, frequency="1GHz")
    assert stream.header.channels.edges_hz == (996_000_000, 1004_000_000)


def test_one_channel_keeps_its_width(tmp_path: Path) -> None:
    path = made(tmp_path / "a.fits", codes_of(8, (N_BLOCK, 1, 1)))
    assert opened(path).header.channels.step_hz == 500_000
    stream = opened(path, frequency="2GHz")
    assert stream.header.channels.edges_hz == (1_999_750_000, 2_000_250_000)
    path = made(tmp_path / "b.fits", codes_of(8, (N_BLOCK, 1, 1)), subint={"CHAN_BW": 0.0})
    with pytest.raises(FormatError, match="one channel and no CHAN_BW"):
        opened(path)


# Files that are wrong.


def test_folded_profiles_are_refused(tmp_path: Path) -> None:
    codes = codes_of(8, (N_BLOCK, 1, 6))
    path = made(tmp_path / "a.fits", codes, primary={"OBS_MODE": "PSR"})
    with pytest.raises(FormatError, match="of folded profiles; allowed here: a stream in time"):
        opened(path)
    path = made(tmp_path / "b.fits", codes, subint={"NBIN": 64})
    with pytest.raises(FormatError, match="of folded profiles"):
        opened(path)
    fits.PrimaryHDU().writeto(tmp_path / "c.fits")
    with pytest.raises(FormatError, match="not a file of a known format"):
        opened(tmp_path / "c.fits")
    unit = fits.PrimaryHDU()
    unit.header["FITSTYPE"] = "PSRFITS"
    unit.writeto(tmp_path / "d.fits")
    with pytest.raises(FormatError, match="without a table SUBINT; it contains PRIMARY"):
        opened(tmp_path / "d.fits")


@pytest.mark.parametrize("change, match", [
    ({"subint": {"NBITS": 3}}, "NBITS = '3'; allowed: 1, 2, 4, 8, 16, 32"),
    ({"subint": {"NBITS": 4}}, "a row of DATA has 48 bytes .* NBITS = 4 need 24 of B"),
    ({"subint": {"NPOL": 5}}, "NPOL = '5'; allowed: a whole number from 1 to 4"),
    ({"subint": {"NCHAN": 7}}, "a row of DATA has 48 bytes"),
    ({"subint": {"NCHAN": 0}}, "NCHAN = '0'"),
    ({"subint": {"NSBLK": 10**15}}, "NSBLK = '1000000000000000'"),
    ({"subint": {"NSUBOFFS": -3}}, "NSUBOFFS = '-3'"),
    ({"subint": {"TBIN": None}}, "SUBINT has no TBIN; give sample_rate="),
    ({"subint": {"TBIN": 0.0}}, "TBIN = '0.0'; allowed: above 0 s; sample_rate="),
    ({"primary": {"STT_IMJD": None}}, "has no STT_IMJD; give start_time="),
    ({"primary": {"STT_IMJD": 0}}, "STT_IMJD = '0'"),
    ({"primary": {"STT_SMJD": 90000}}, "STT_SMJD = '90000'; allowed: 0 to 86401 s"),
    ({"forms": {"DAT_SCL": "5E"}, "scale": np.ones((1, 1, 5), "f4")}, "DAT_SCL has 5 elements"),
    ({"without": ("DATA",)}, "the table SUBINT has no column DATA"),
    ({"dim": "(8,1,6)"}, "TDIM of DATA is .*: another order"),
    ({"centers": np.array([1e8])}, "more than a year from the start"),
])
def test_what_is_refused(change: dict[str, Any], match: str, tmp_path: Path) -> None:
    path = made(tmp_path / "bad.fits", codes_of(8, (N_BLOCK, 1, 6)), **change)
    with pytest.raises(FormatError, match=rf"bad\.fits: .*{match}"), warnings.catch_warnings():
        warnings.simplefilter("ignore", FastsigWarning)
        opened(path)


def test_what_the_user_can_supply(tmp_path: Path) -> None:
    codes = codes_of(8, (2 * N_BLOCK, 1, 6))
    path = made(tmp_path / "a.fits", codes, subint={"TBIN": None}, primary={"STT_IMJD": None})
    stream = opened(path, sample_rate=str(1 / T), start_time="2020-01-01")
    assert iso(stream.start_time) == "2020-01-01T00:00:00.000000000"
    assert stream.header.sample_rate == 1 / T


def test_columns_that_can_be_missing(tmp_path: Path) -> None:
    codes = codes_of(8, (N_BLOCK, 2, 6))
    path = made(tmp_path / "a.fits", codes, without=("DAT_SCL", "DAT_OFFS", "DAT_WTS"))
    with told("no column DAT_SCL; taken as 1"):
        stream = opened(path)
    np.testing.assert_array_equal(read(stream).data, codes)
    scale = np.random.default_rng(1).uniform(1, 2, (1, 1, 6)).astype("f4")
    path = made(tmp_path / "b.fits", codes, forms={"DAT_SCL": "6E"}, scale=scale)
    with told("DAT_SCL has 6 elements for 2 polarisations"):
        stream = opened(path)
    np.testing.assert_array_equal(read(stream).data, codes.astype("f4") * scale[0])
    path = made(tmp_path / "c.fits", codes, dim="(6,1,16)")
    with told("TDIM is ignored"):
        np.testing.assert_array_equal(read(opened(path)).data, codes)


@pytest.mark.parametrize("dim", ["(1,4,2,8)", "(4,2,8)", "(16,2,2)", "(1,16,2,2)"])
def test_bytes_of_packed_codes_counted_either_way(dim: str, tmp_path: Path) -> None:
    codes = codes_of(2, (2 * N_BLOCK, 2, 16))
    stream = opened(made(tmp_path / "a.fits", codes, 2, dim=dim))
    np.testing.assert_array_equal(read(stream).data, codes)


def test_a_last_row_that_is_filled_up(tmp_path: Path) -> None:
    codes = codes_of(8, (2 * N_BLOCK, 1, 16)) | 1
    codes[-5:] = 0
    path = made(tmp_path / "a.fits", codes)
    with told("the last 5 spectra of the last row are zeros"):
        stream = opened(path)
    np.testing.assert_array_equal(read(stream).data, codes)
    path = made(tmp_path / "b.fits", codes, subint={"NSTOT": 2 * N_BLOCK - 3})
    stream = opened(path)
    assert stream.shape[0] == 2 * N_BLOCK - 3 and stream.held_fraction() == 1
    np.testing.assert_array_equal(read(stream).data, codes[:-3])
    with told("the last 5 spectra"):
        assert opened(path, padding="keep").shape[0] == 2 * N_BLOCK
    codes[N_BLOCK:] = 0
    with told("the last 8 spectra of the last row"):
        opened(made(tmp_path / "c.fits", codes))


def test_truncated_files_give_their_complete_rows(tmp_path: Path) -> None:
    codes = codes_of(8, (5 * N_BLOCK, 2, 16)) | 1
    raw = made(tmp_path / "a.fits", codes).read_bytes()
    with fits.open(tmp_path / "a.fits") as file:
        start, row = file[1]._data_offset, file[1].header["NAXIS1"]
    cut = tmp_path / "cut.fits"
    for rows in (1, 2.5, 4.999):
        cut.write_bytes(raw[: start + int(rows * row)])
        with told(rf"NAXIS2 = 5; {int(rows)} complete rows"):
            stream = opened(cut)
        np.testing.assert_array_equal(read(stream).data, codes[: int(rows) * N_BLOCK])
    for size in (*range(0, start, 40), start, start + row - 1):
        cut.write_bytes(raw[:size])
        with pytest.raises(FormatError, match=r"cut\.fits: "), warnings.catch_warnings():
            warnings.simplefilter("ignore", FastsigWarning)
            opened(cut)


def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path) -> None:
    codes = codes_of(8, (3 * N_BLOCK, 2, 16)) | 1
    path = made(tmp_path / "a.fits", codes)
    stream = opened(path)
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(DataError, match=r"a\.fits: ends at byte 9000"):
        read(stream)


def test_changed_headers(tmp_path: Path) -> None:
    codes = codes_of(8, (2 * N_BLOCK, 2, 16)) | 1
    raw = made(tmp_path / "a.fits", codes).read_bytes()
    cards = [at for at in range(0, len(raw), 80) if raw[at + 8 : at + 10] == b"= "]
    rows = raw.index(b"END     ", 2880) // 2880 * 2880 + 2880

    def place(rng: np.random.Generator) -> int:
        if rng.random() < 0.2:
            return int(rows + rng.integers(0, 16))  # TSUBINT and OFFS_SUB
        return int(rng.choice(cards) + (rng.integers(10, 31) if rng.random() < 0.8
                                        else rng.integers(0, 80)))

    change_bytes(raw, tmp_path / "b.fits", place, psrfits.open)


@pytest.mark.parametrize("key, value", [
    ("NAXIS1", "99999999999999"), ("NAXIS2", "999999999999999999"), ("NAXIS2", "-1"),
    ("NAXIS", "999"), ("TFIELDS", "0"), ("TFIELDS", "5000"), ("TFORM7", "'99999999999999B'"),
    ("TFORM7", "'1PB(256)'"), ("TFORM7", "'256Z'"), ("TDIM7", "'(99999999,99999999)'"),
    ("TFORM2", "'1A'"), ("TFORM3", "'16C'"), ("PCOUNT", "99999999999999999999"),
    ("GCOUNT", "4611686018427387904"), ("TBIN", "1E-400"), ("TBIN", "'text'"),
    ("NBITS", "1E9999"), ("NSUBOFFS", "1E300"), ("CHAN_BW", "NAN"), ("CHAN_BW", "1/0"),
    ("ZERO_OFF", "1E300"), ("STT_OFFS", "1E99999999"), ("NCHAN", "16.5"), ("NPOL", "''"),
    ("BITPIX", "-64"), ("SIGNINT", "*"), ("NSTOT", "1E30"),
])
def test_hostile_values(key: str, value: str, tmp_path: Path) -> None:
    codes = codes_of(8, (N_BLOCK, 2, 16)) | 1
    raw = made(tmp_path / "a.fits", codes, subint={"NSTOT": 8}).read_bytes()
    at = raw.rindex(f"{key:<8}= ".encode())
    card = f"{key:<8}= {value:>20}".ljust(80).encode()
    (tmp_path / "a.fits").write_bytes(raw[:at] + card + raw[at + 80 :])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FastsigWarning)
        try:
            found = read(opened(tmp_path / "a.fits"))
        except FormatError as error:
            assert "a.fits: " in str(error)
        else:
            assert len(found.data) >= N_BLOCK and found.data.shape[1:] == (2, 16)


def test_cards_that_scale_the_tables(tmp_path: Path) -> None:
    codes = codes_of(8, (N_BLOCK, 1, 6))
    path = made(tmp_path / "a.fits", codes)
    with fits.open(path, mode="update") as file:
        file[1].header["TSCAL6"], file[1].header["TZERO5"] = 2.0, 3.0
    np.testing.assert_array_equal(read(opened(path)).data, codes * 2.0 + 3)
    with fits.open(path, mode="update") as file:
        file[1].header["TSCAL7"] = 2.0
    with pytest.raises(FormatError, match="TSCAL of DATA is 2; allowed: 1"):
        opened(path)


# Reading.


def test_threads_and_blocks(tmp_path: Path) -> None:
    codes = codes_of(4, (12 * N_BLOCK, 2, 33))
    scale, offset = tables((2, 33), 12)
    path = made(tmp_path / "a.fits", codes, 4, scale=scale, offset=offset)
    stream = opened(path)
    whole = read(stream).data
    np.testing.assert_array_equal(whole, values(codes, scale, offset))
    wrong: list[str] = []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(60):
            start = int(rng.integers(0, 90))
            n = int(rng.integers(0, 97 - start))
            if not np.array_equal(stream.read_block(start, n).data, whole[start : start + n]):
                wrong.append(f"{start} {n}")

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    stream.close()
    np.testing.assert_array_equal(stream.read_block(5, 6).data, whole[5:11])
    stream.verify()


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("n_bits", [2, 8, 16])
def test_a_band(n_bits: int, descending: bool, tmp_path: Path,
                monkeypatch: pytest.MonkeyPatch) -> None:
    codes = codes_of(n_bits, (3 * N_BLOCK, 2, 40))
    scale, offset = tables((2, 40), 3)
    weight = np.ones((3, 40), "f4")
    weight[1, 7:20] = 0
    path = made(tmp_path / "a.fits", codes, n_bits, scale=scale, offset=offset, weight=weight,
                freq=frequencies(40, descending=descending), rows=[0, 2, 3])
    stream = opened(path)
    whole = read(stream)
    for seek in (2**16, 1):  # all that lies between is read, or skipped
        monkeypatch.setattr("fastsig.io.psrfits.rows._SEEK", seek)
        part = stream.band(5, 30).band(4, 13)
        assert part.shape == (4 * N_BLOCK, 2, 9)
        assert part.header.channels == stream.header.channels.sliced(9, 18)
        block = read(part)
        np.testing.assert_array_equal(block.data, whole.data[:, :, 9:18])
        np.testing.assert_array_equal(
            np.broadcast_to(block.valid, block.data.shape),
            np.broadcast_to(whole.valid, whole.data.shape)[:, :, 9:18])
        assert stream.band(0, 5).weight_channels == 1 if not descending else True
    np.testing.assert_array_equal(read(stream).data, whole.data)


def test_a_narrow_band_of_many_channels_reads_few_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_chan = 100_000
    codes = codes_of(8, (4, 1, n_chan))
    stream = opened(made(tmp_path / "a.fits", codes, n_block=4)).band(50_000, 51_000)
    asked = []
    inner = type(stream._raw).read_into

    def counted(self: Any, index: int, out: np.ndarray, offset: int) -> None:
        asked.append(out.nbytes)
        inner(self, index, out, offset)

    monkeypatch.setattr(type(stream._raw), "read_into", counted)
    np.testing.assert_array_equal(read(stream).data, codes[:, :, 50_000:51_000])
    assert sum(asked) == 4 * 1000 + 3 * 4000  # codes, and three tables of float32


@pytest.mark.parametrize("step", [0.0, 0.05])
def test_positions_that_move(tmp_path: Path, step: float) -> None:
    """A drift scan has a column of positions; one that stays has those of the header alone."""
    made(tmp_path / "a.fits", codes_of(8, (4 * N_BLOCK, 2, 6)), rows=[0, 1, 3, 4])
    with fits.open(tmp_path / "a.fits") as hdus:
        table = next(hdu for hdu in hdus if hdu.name == "SUBINT")
        place = np.array([0, 1, 3, 4])
        more = [fits.Column("RA_SUB", "D", array=(359.95 + step * place) % 360),
                fits.Column("DEC_SUB", "D", array=20 - step * place)]
        hdu = fits.BinTableHDU.from_columns([*table.columns, *more], header=table.header)
        fits.HDUList([hdus[0], hdu]).writeto(tmp_path / "b.fits")
    stream = opened(tmp_path / "b.fits")
    if not step:
        assert stream.columns == {} and stream.read_columns(0, 3) == {}
        return
    assert stream.columns == {"ra_deg": "deg", "dec_deg": "deg"}
    found = stream.read_columns(0, 5 * N_BLOCK)
    at = (np.arange(5 * N_BLOCK) + 0.5) / N_BLOCK - 0.5
    inside = (at >= 0) & (at <= 4)
    np.testing.assert_allclose(found["ra_deg"][inside], (359.95 + step * at[inside]) % 360)
    np.testing.assert_allclose(found["dec_deg"][inside], 20 - step * at[inside])
    part = stream.band(1, 4).read_columns(7, 2)
    np.testing.assert_array_equal(part["dec_deg"], found["dec_deg"][7:9])
