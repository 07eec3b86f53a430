"""LOFAR TBB: recorded truths, raw files that must stay in their folder, bands, damage."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import h5py
import numpy as np
import pytest
from recordings import recorded
from writers import NONSENSE, write_lofar_tbb

from fastsig.axes.time import elapsed, iso, time_from_unix
from fastsig.errors import DataError, FastsigError, FastsigWarning, FormatError, UsageError
from fastsig.io.lofar import tbb as lofar_tbb
from fastsig.io.probe import Probe

RATE = 200_000_000
NAMES = ("DIPOLE_011000010", "DIPOLE_011000011")


def _noise(n: int, n_dipole: int = 2, kind: str = "<i2") -> np.ndarray:
    return np.random.default_rng(1).integers(-100, 100, (n, n_dipole)).astype(kind)


def _change(path: Path, dipole: int = 0, **changes: object) -> None:
    """Change attributes of a dipole; None deletes."""
    with h5py.File(path, "a") as file:
        attrs = file["STATION_CS011"][NAMES[dipole]].attrs
        for key, value in changes.items():
            if key in attrs:
                del attrs[key]
            if value is not None:
                attrs[key] = value


@pytest.fixture
def tbb(tmp_path: Path) -> Path:
    """A file of two dipoles of 1000 samples."""
    path = tmp_path / "x_tbb.h5"
    write_lofar_tbb(path, _noise(1000), RATE, 1)
    return path


# Recorded file

_L59640 = "lofar_dal_h5/L59640_CS011_D20110719T110541.036Z_tbb.h5"


@pytest.mark.recorded
def test_recorded_clock_and_samples() -> None:
    path = recorded(_L59640)
    assert lofar_tbb.sniff(Probe(path))
    stream = lofar_tbb.open(path)
    assert stream.shape == (6144, 2)
    assert stream.dtype == np.int16
    start = time_from_unix(1311073541 + Fraction(7284224, RATE))
    assert abs(elapsed(start, stream.start_time)) < Fraction(1, 10**12)
    assert iso(stream.start_time) == "2011-07-19T11:05:41.036421120"
    block = stream.read()
    assert [spans.tolist() for spans in block.valid] == [
        [[0, 5120]], [[1024, 1024 + 3072], [1024 + 4096, 6144]]]
    assert block.data[:5120, 0].std() == pytest.approx(10.5, abs=0.05)
    later = lofar_tbb.open(path, dipole="011")
    assert elapsed(stream.start_time, later.start_time) * RATE == pytest.approx(1024, abs=1e-3)
    assert later.shape == (5120, 1)
    raw = np.fromfile(path.parent / "L59640_CS011_001011_D20110719T110541.036Z_tbb.raw", "<i2")
    assert raw.std() == pytest.approx(19.2, abs=0.05)
    raw[3072:4096] = 0
    np.testing.assert_array_equal(later.read().data[:, 0], raw)
    np.testing.assert_array_equal(block.data[1024:, 1], raw)
    assert (block.data[:1024, 1] == 0).all()
    assert stream.valid_fraction() == (5120 + 4096) / (2 * 6144)


@pytest.mark.recorded
def test_recorded_header() -> None:
    header = lofar_tbb.open(recorded(_L59640)).header
    assert header.sample_rate == RATE
    assert header.channels.edges_hz == (0, 10**8)
    assert header.sideband == "upper"
    assert header.n_bits == 16
    assert not header.is_complex
    assert header.polarization.kind == "linear"
    assert header.polarization.names == ("DIPOLE_011001010", "DIPOLE_011001011")
    assert (header.telescope, header.receiver, header.backend) == ("LOFAR", "LBA_INNER", "TBB")
    assert header.source == "B0329+54"
    # B0329+54 is at 03h32m59.4s +54d34m43.6s.
    assert header.ra_deg == pytest.approx((3 + 32 / 60 + 59.4 / 3600) * 15, abs=1e-3)
    assert header.dec_deg == pytest.approx(54 + 34 / 60 + 43.6 / 3600, abs=1e-3)
    assert header.extra["OBSERVATION_ID"] == "59640"
    assert header.extra["STATION_CS011/DIPOLE_011001011/FLAG_OFFSETS"] == [[3072, 4096]]
    json.dumps(header.extra, allow_nan=False)


@pytest.mark.recorded
def test_recorded_from_another_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = recorded(_L59640).resolve()
    monkeypatch.chdir(path.parent)
    stream = lofar_tbb.open(path.name)
    monkeypatch.chdir(tmp_path)
    assert stream.read().data.any()


# Samples, clocks and flags


@pytest.mark.parametrize("external", [True, False])
@pytest.mark.parametrize(
    ("kind", "dtype"), [("<i2", "i2"), (">i2", "i2"), ("i1", "i1"), ("<i4", "f4"), (">f8", "f4")])
def test_types(tmp_path: Path, kind: str, dtype: str, external: bool) -> None:
    samples = _noise(100, 2, kind)
    write_lofar_tbb(tmp_path / "x.h5", samples, RATE, 1, external=external)
    stream = lofar_tbb.open(tmp_path / "x.h5")
    assert stream.dtype == np.dtype(dtype)
    assert stream.dtype.isnative
    assert stream.header.n_bits == samples.dtype.itemsize * 8
    np.testing.assert_array_equal(stream.read().data, samples)
    stream.close()
    np.testing.assert_array_equal(stream.read_block(3, 9).data, samples[3:12])


@pytest.mark.parametrize("external", [True, False])
def test_dipoles_of_different_ranges(tmp_path: Path, external: bool) -> None:
    a, b = np.arange(1, 101, dtype="i2"), np.arange(1, 61, dtype="i2")
    write_lofar_tbb(tmp_path / "x.h5", [a, b], RATE, 1, sample_numbers=[130, 100],
                    flags=[[], [(5, 10), (8, 20), (58, 99)]], external=external)
    stream = lofar_tbb.open(tmp_path / "x.h5")
    want = np.zeros((130, 2), "i2")
    want[30:, 0], want[:60, 1] = a, b
    want[5:20, 1] = want[58:, 1] = 0
    block = stream.read()
    np.testing.assert_array_equal(block.data, want)
    assert [spans.tolist() for spans in block.valid] == [[[30, 130]], [[0, 5], [20, 58]]]
    assert elapsed(time_from_unix(1311073541), stream.start_time) == pytest.approx(100 / RATE)
    for start in range(0, 130, 7):
        n = min(20, 130 - start)
        np.testing.assert_array_equal(stream.read_block(start, n).data, want[start : start + n])


def test_threads(tmp_path: Path) -> None:
    samples = _noise(20_000)
    for external in (True, False):
        write_lofar_tbb(tmp_path / "x.h5", samples, RATE, 1, external=external)
        stream = lofar_tbb.open(tmp_path / "x.h5")
        starts = np.random.default_rng(2).integers(0, 19_000, 200).tolist()
        with ThreadPoolExecutor(8) as pool:
            blocks = list(pool.map(lambda start, s=stream: s.read_block(start, 1000), starts))
        for start, block in zip(starts, blocks, strict=True):
            np.testing.assert_array_equal(block.data, samples[start : start + 1000])


def test_raw_pieces(tmp_path: Path) -> None:
    samples = np.arange(100, dtype="<i2")
    (tmp_path / "a.raw").write_bytes(b"junk" + samples[:30].tobytes())
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.raw").write_bytes(samples[30:].tobytes() + b"more")
    _relink(tmp_path / "x.h5", [("a.raw", 4, 60), ("sub/b.raw", 0, 1000)])
    stream = lofar_tbb.open(tmp_path / "x.h5")
    for start, stop in ((0, 100), (0, 30), (29, 31), (30, 100), (40, 41)):
        data = stream.read_block(start, stop - start).data[:, 0]
        np.testing.assert_array_equal(data, samples[start:stop])


def test_truncated_piece_before_a_whole_one(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_bytes(np.arange(1, 26, dtype="<i2").tobytes())
    _relink(tmp_path / "x.h5", [("a", 0, 150), ("b", 0, 50)])
    with pytest.warns(FastsigWarning, match="expected 200 bytes, found 50"):
        block = lofar_tbb.open(tmp_path / "x.h5").read()
    assert block.valid[0].tolist() == [[0, 25]]
    assert block.data[:, 0].tolist() == [*range(1, 26), *[0] * 75]


def _relink(path: Path, pieces: list[tuple[str, int, int]]) -> None:
    """A file of one dipole of 100 samples whose raw files are `pieces`."""
    write_lofar_tbb(path, np.zeros(100, "<i2"), RATE, 1, external=False)
    with h5py.File(path, "a") as file:
        group = file["STATION_CS011"]
        attrs = dict(group[NAMES[0]].attrs)
        del group[NAMES[0]]
        group.create_dataset(NAMES[0], (100,), "<i2", external=pieces).attrs.update(attrs)


# Bands and polarisations


@pytest.mark.parametrize(
    ("zone", "edges", "sideband"),
    [(1, (0, 100), "upper"), (2, (100, 200), "lower"), (3, (200, 300), "upper")])
def test_nyquist_zones(
    tmp_path: Path, zone: int, edges: tuple[int, int], sideband: str
) -> None:
    write_lofar_tbb(tmp_path / "x.h5", _noise(10), RATE, zone)
    header = lofar_tbb.open(tmp_path / "x.h5").header
    assert header.channels.edges_hz == (edges[0] * 10**6, edges[1] * 10**6)
    assert header.sideband == sideband


@pytest.mark.parametrize(("value", "unit"), [(160, "MHz"), (1.6e8, "Hz"), (1.6e5, "kHz"),
                                             (np.float32(0.16), "GHz"), (0.16, "GHz")])
def test_units_of_the_clock(tbb: Path, value: float, unit: str) -> None:
    for dipole in (0, 1):
        _change(tbb, dipole, SAMPLE_FREQUENCY=value, SAMPLE_FREQUENCY_UNIT=unit)
    rate = lofar_tbb.open(tbb).header.sample_rate
    assert rate == 160_000_000 or isinstance(value, np.float32)
    assert float(rate) == pytest.approx(1.6e8, rel=1e-7)


@pytest.mark.parametrize(
    ("n_dipole", "first_rcu", "choice", "kind"),
    [(2, 10, None, "linear"), (2, 11, None, "unknown"), (1, 10, None, "unknown"),
     (4, 10, None, "unknown"), (4, 10, "12,13", "linear"), (4, 10, "13,12", "unknown"),
     (4, 10, "10,12", "unknown")])
def test_basis(
    tmp_path: Path, n_dipole: int, first_rcu: int, choice: str | None, kind: str
) -> None:
    samples = _noise(10, n_dipole)
    write_lofar_tbb(tmp_path / "x.h5", samples, RATE, 1, first_rcu=first_rcu)
    stream = lofar_tbb.open(tmp_path / "x.h5", **({"dipole": choice} if choice else {}))
    assert stream.header.polarization.kind == kind
    numbers = [int(rcu) for rcu in choice.split(",")] if choice else range(
        first_rcu, first_rcu + n_dipole)
    assert stream.header.polarization.names == tuple(f"DIPOLE_0110{n:05d}" for n in numbers)
    np.testing.assert_array_equal(stream.read().data, samples[:, [n - first_rcu for n in numbers]])


def test_receivers_of_one_polarization(tbb: Path) -> None:
    with h5py.File(tbb, "a") as file:
        file.attrs["ANTENNA_SET"] = "LBA_X"
    assert lofar_tbb.open(tbb).header.polarization.kind == "unknown"


def test_direction_west_of_zero(tbb: Path) -> None:
    with h5py.File(tbb, "a") as file:
        file["STATION_CS011"].attrs["BEAM_DIRECTION"] = [-np.pi / 180, 0.1]
    assert lofar_tbb.open(tbb).header.ra_deg == pytest.approx(359)


def test_direction_in_another_frame(tbb: Path) -> None:
    with h5py.File(tbb, "a") as file:
        file["STATION_CS011"].attrs["BEAM_DIRECTION_FRAME"] = "AZEL"
    header = lofar_tbb.open(tbb).header
    assert (header.ra_deg, header.dec_deg) == (None, None)
    assert header.extra["STATION_CS011/BEAM_DIRECTION"] == [0.93, 0.95]


# Choosing


def test_stations(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    write_lofar_tbb(path, _noise(10), RATE, 1, stations=("CS001", "CS002"))
    with pytest.raises(UsageError, match="station=NAME: STATION_CS001, STATION_CS002"):
        lofar_tbb.open(path)
    for name in ("CS002", "002", "STATION_CS002"):
        stream = lofar_tbb.open(path, station=name, dipole="10")
        assert stream.header.extra["STATION_CS002/STATION_NAME"] == "CS002"
    with pytest.raises(UsageError, match="'RS1' matches 0 names; allowed: STATION_CS001"):
        lofar_tbb.open(path, station="RS1")
    with pytest.raises(UsageError, match="'STATION' matches 0"):
        lofar_tbb.open(path, station="STATION")


@pytest.mark.parametrize(
    ("choice", "told"),
    [("12", "'12' matches 0 names"), ("", "'' matches 0"), ("10,10", "twice"), ("01", "matches 0"),
     ([], "or no dipole"), (1.5, "matches 0")])
def test_dipoles_that_are_not_there(tbb: Path, choice: object, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        lofar_tbb.open(tbb, dipole=choice)


def test_ambiguous_dipole(tmp_path: Path) -> None:
    write_lofar_tbb(tmp_path / "x.h5", _noise(10, 12), RATE, 1, first_rcu=0)
    with pytest.raises(UsageError, match="'1' matches 2 names"):
        lofar_tbb.open(tmp_path / "x.h5", dipole="1")
    assert lofar_tbb.open(tmp_path / "x.h5", dipole="01,11").shape == (10, 2)


def test_overrides(tbb: Path) -> None:
    with pytest.raises(UsageError, match="unknown override 'antenna' for lofar_tbb"):
        lofar_tbb.open(tbb, antenna=1)
    header = lofar_tbb.open(tbb, source="Crab", frequency="150MHz", sideband="lower").header
    assert (header.source, header.sideband) == ("Crab", "lower")
    assert header.channels.edges_hz == (10**8, 2 * 10**8)


def test_rate_by_override(tbb: Path) -> None:
    for dipole in (0, 1):
        _change(tbb, dipole, SAMPLE_FREQUENCY=None, SAMPLE_NUMBER=np.uint32(50))
    with pytest.raises(FormatError, match="no SAMPLE_FREQUENCY; give sample_rate="):
        lofar_tbb.open(tbb)
    stream = lofar_tbb.open(tbb, sample_rate="100MHz")
    assert stream.header.sample_rate == 100_000_000
    assert elapsed(time_from_unix(1311073541), stream.start_time) == pytest.approx(5e-7)


# Raw files


@pytest.mark.parametrize("where", ["absolute", "up", "up_and_down", "link", "link_of_folder"])
def test_raw_file_out_of_the_folder(tmp_path: Path, where: str) -> None:
    home, away = tmp_path / "home", tmp_path / "away"
    home.mkdir()
    away.mkdir()
    (away / "secret").write_bytes(bytes(200))
    (home / "raw").write_bytes(bytes(200))
    name = {"absolute": str(away / "secret"), "up": "../away/secret",
            "up_and_down": "../home/raw"}.get(where, "linked/secret")
    if where == "link":
        name = "link"
        (home / name).symlink_to(away / "secret")
    (home / "linked").symlink_to(away)
    _relink(home / "x.h5", [(name, 0, 200)])
    with pytest.raises(FormatError, match=f"x.h5: raw file '{name}'.*folder"):
        lofar_tbb.open(home / "x.h5")


def test_absolute_name_within_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(bytes(200))
    _relink(tmp_path / "x.h5", [(str(tmp_path / "raw"), 0, 200)])
    with pytest.raises(FormatError, match="allowed: a name within"):
        lofar_tbb.open(tmp_path / "x.h5")


def test_link_within_the_folder(tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(np.arange(100, dtype="<i2").tobytes())
    (tmp_path / "link").symlink_to("raw")
    _relink(tmp_path / "x.h5", [("link", 0, 200)])
    assert lofar_tbb.open(tmp_path / "x.h5").read().data[99, 0] == 99


def test_file_by_a_linked_folder(tmp_path: Path, tbb: Path) -> None:
    folder = tmp_path / "real"
    folder.mkdir()
    for path in list(tmp_path.glob("*.raw")) + [tbb]:
        shutil.move(path, folder)
    (tmp_path / "link").symlink_to(folder)
    assert lofar_tbb.open(tmp_path / "link" / "x_tbb.h5").read().data.any()


def test_link_put_in_place_after_open(tmp_path: Path, tbb: Path) -> None:
    stream = lofar_tbb.open(tbb)
    raw = tmp_path / "CS011_010.raw"
    (tmp_path / "other").write_bytes(bytes(2000))
    raw.unlink()
    raw.symlink_to(tmp_path / "other")
    with pytest.raises(DataError, match=r"CS011_010\.raw"):
        stream.read()


def test_raw_file_that_is_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    _relink(tmp_path / "x.h5", [("pipe", 0, 200)])
    with pytest.raises(FormatError, match="not a regular file"):
        lofar_tbb.open(tmp_path / "x.h5")


def test_missing_raw_file(tmp_path: Path, tbb: Path) -> None:
    (tmp_path / "CS011_011.raw").unlink()
    with pytest.raises(FormatError, match=r"'CS011_011.raw': No such.*2000 bytes, found none"):
        lofar_tbb.open(tbb)
    assert lofar_tbb.open(tbb, dipole="10").read().data.any()


@pytest.mark.parametrize("size", [0, 1])
def test_raw_file_without_a_sample(tmp_path: Path, tbb: Path, size: int) -> None:
    os.truncate(tmp_path / "CS011_011.raw", size)
    with pytest.raises(FormatError, match=f"CS011_011.raw.*expected 2000 bytes, found {size}"):
        lofar_tbb.open(tbb)


@pytest.mark.parametrize("size", [2, 1001, 1998])
def test_truncated_raw_file(tmp_path: Path, tbb: Path, size: int) -> None:
    os.truncate(tmp_path / "CS011_011.raw", size)
    told = f"CS011_011.raw.*truncated: expected 2000 bytes, found {size}"
    with pytest.warns(FastsigWarning, match=told):
        stream = lofar_tbb.open(tbb)
    block = stream.read()
    assert stream.shape == (1000, 2)
    assert [spans.tolist() for spans in block.valid] == [[[0, 1000]], [[0, size // 2]]]
    np.testing.assert_array_equal(block.data[: size // 2], _noise(1000)[: size // 2])
    assert (block.data[size // 2 :, 1] == 0).all()


def test_raw_file_truncated_after_open(tmp_path: Path, tbb: Path) -> None:
    stream = lofar_tbb.open(tbb)
    os.truncate(tmp_path / "CS011_010.raw", 500)
    with pytest.raises(DataError, match=r"CS011_010\.raw: .*500"):
        stream.read()


# Damage


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"TIME": None}, "TIME is missing"),
        ({"TIME": 0.5}, "TIME is 0.5; allowed: a whole number"),
        ({"SAMPLE_NUMBER": -1}, "SAMPLE_NUMBER is -1"),
        ({"SAMPLE_FREQUENCY_UNIT": "Mhz"}, "UNIT is 'Mhz'; allowed: Hz, kHz, MHz, GHz"),
        ({"SAMPLE_FREQUENCY_UNIT": None}, "UNIT is missing"),
        ({"SAMPLE_FREQUENCY": 0}, "SAMPLE_FREQUENCY is 0; allowed: a positive"),
        ({"SAMPLE_FREQUENCY": "200"}, "SAMPLE_FREQUENCY is '200'"),
        ({"SAMPLE_FREQUENCY": 160.0}, "differ in rate"),
        ({"NYQUIST_ZONE": 0}, "NYQUIST_ZONE is 0; allowed: a whole number from 1"),
        ({"NYQUIST_ZONE": 2}, "differ in zone"),
        ({"FLAG_OFFSETS": [[5, 2]]}, r"FLAG_OFFSETS is \[\[5, 2\]\]; allowed: ascending"),
        ({"FLAG_OFFSETS": [1, 2, 3]}, "FLAG_OFFSETS"),
        ({"FLAG_OFFSETS": "none"}, "FLAG_OFFSETS"),
        ({"FLAG_OFFSETS": [[0.5, 2]]}, "FLAG_OFFSETS"),
        ({"TIME": 1311073641}, "starts .* samples after"),
        ({"DATA_LENGTH": 0}, "DATA_LENGTH is 0"),
    ],
)
def test_wrong_attributes(tbb: Path, changes: dict, told: str) -> None:
    _change(tbb, 1, **changes)
    with pytest.raises(FormatError, match=told):
        lofar_tbb.open(tbb)


def test_clocks_half_a_sample_apart(tbb: Path) -> None:
    for dipole in (0, 1):
        _change(tbb, dipole, SAMPLE_FREQUENCY=0.5, SAMPLE_FREQUENCY_UNIT="Hz",
                TIME=1311073541 + dipole)
    with pytest.raises(FormatError, match=r"starts 0\.5 samples after"):
        lofar_tbb.open(tbb)


@pytest.mark.parametrize("length", [600, 5000])
def test_other_length_than_declared(tbb: Path, length: int) -> None:
    _change(tbb, 0, DATA_LENGTH=length)
    with pytest.warns(FastsigWarning, match=f"1000 samples, but DATA_LENGTH is {length}"):
        stream = lofar_tbb.open(tbb)
    assert stream.read().valid[0].tolist() == [[0, min(length, 1000)]]


def test_zone_that_is_not_told(tbb: Path) -> None:
    for dipole in (0, 1):
        _change(tbb, dipole, NYQUIST_ZONE=None)
    assert lofar_tbb.open(tbb).header.channels is None
    assert lofar_tbb.open(tbb, frequency="150MHz").header.channels.step_hz == 10**8


def test_dipoles_of_different_types(tmp_path: Path) -> None:
    write_lofar_tbb(tmp_path / "x.h5", [np.zeros(9, "i2"), np.zeros(9, "i1")], RATE, 1)
    with pytest.raises(FormatError, match="differ in dtype"):
        lofar_tbb.open(tmp_path / "x.h5")


@pytest.mark.parametrize(
    "data", [np.zeros(3, complex), np.zeros((3, 2)), np.zeros(0), "text", np.int16(1)])
def test_samples_that_cannot_be(tmp_path: Path, tbb: Path, data: object) -> None:
    with h5py.File(tbb, "a") as file:
        del file["STATION_CS011"][NAMES[0]]
        file["STATION_CS011"][NAMES[0]] = data
    with pytest.raises(FormatError, match=r"allowed: real numbers of shape"):
        lofar_tbb.open(tbb)


def test_not_ours(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("text")
    with h5py.File(tmp_path / "bf.h5", "w") as file:
        file.attrs["FILETYPE"] = "bf"
    for name in ("text", "bf.h5"):
        assert not lofar_tbb.sniff(Probe(tmp_path / name))
        with pytest.raises(FormatError):
            lofar_tbb.open(tmp_path / name)
    assert not lofar_tbb.sniff(Probe(tmp_path))
    with pytest.raises(FormatError, match="No such file"):
        lofar_tbb.open(tmp_path / "absent")


def test_members_that_are_missing_or_elsewhere(tmp_path: Path, tbb: Path) -> None:
    with h5py.File(tmp_path / "empty.h5", "w") as file:
        file.attrs["FILETYPE"] = "tbb"
    with pytest.raises(FormatError, match=r"contains no STATION_\*"):
        lofar_tbb.open(tmp_path / "empty.h5")
    with h5py.File(tmp_path / "empty.h5", "a") as file:
        file.create_group("STATION_CS011")
    with pytest.raises(FormatError, match=r"contains no DIPOLE_\*"):
        lofar_tbb.open(tmp_path / "empty.h5")
    with h5py.File(tmp_path / "empty.h5", "a") as file:
        file["STATION_CS012"] = h5py.ExternalLink(str(tbb), "STATION_CS011")
    with pytest.raises(FormatError, match="STATION_CS012 of / is a link; allowed: a member"):
        lofar_tbb.open(tmp_path / "empty.h5")


def _try(path: Path) -> None:
    """A stream that can be read, or an error of ours; anything else fails the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of damage and dates; other tests check them
        try:
            stream = lofar_tbb.open(path)
            stream.read_block(0, min(50, stream.shape[0]))
            stream.read_block(max(0, stream.shape[0] - 50), min(50, stream.shape[0]))
            json.dumps(stream.header.extra, allow_nan=False)
        except FastsigError as error:
            assert str(path.parent) in str(error)


@pytest.mark.parametrize("fraction", np.linspace(0, 1, 20, endpoint=False))
def test_truncated(tbb: Path, fraction: float) -> None:
    os.truncate(tbb, int(fraction * tbb.stat().st_size))
    with pytest.raises(FormatError, match=r"x_tbb\.h5"):
        lofar_tbb.open(tbb)


@pytest.mark.parametrize(
    "key", ["TIME", "SAMPLE_NUMBER", "SAMPLE_FREQUENCY", "SAMPLE_FREQUENCY_UNIT", "NYQUIST_ZONE",
            "RCU_ID", "DATA_LENGTH", "FLAG_OFFSETS"])
def test_fuzzed_attributes(tbb: Path, key: str) -> None:
    for value in (None, *NONSENSE.values()):
        _change(tbb, 0, **{key: value})
        _try(tbb)
        _change(tbb, 1, **{key: value})
        _try(tbb)
        _change(tbb, 1, **{key: 1})


@pytest.mark.parametrize("value", [None, *NONSENSE.values()], ids=["deleted", *NONSENSE])
def test_fuzzed_groups(tbb: Path, value: object) -> None:
    original = tbb.read_bytes()
    for place in ("/", "STATION_CS011"):
        with h5py.File(tbb) as file:
            keys = list(file[place].attrs)
        for key in keys:
            with h5py.File(tbb, "a") as file:
                del file[place].attrs[key]
                if value is not None:
                    file[place].attrs[key] = value
            _try(tbb)
            tbb.write_bytes(original)
