"""LOFAR beam-formed files: recorded truth, Stokes and parts, units that are wrong, damage."""

from __future__ import annotations

import json
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import h5py
import numpy as np
import pytest
from recordings import recorded
from thorough import many
from writers import NONSENSE, write_lofar_bf

import fastsig as fs
from fastsig.axes.time import elapsed, iso, parse_time
from fastsig.errors import DataError, FastsigError, FastsigWarning, FormatError, UsageError
from fastsig.io.lofar import beam_formed
from fastsig.io.probe import Probe

_L30042 = "lofar_dal_h5/L30042_SAP000_B000_S0_P000_bf.h5"
WIDTH = Fraction(195312.5) / 4


def values(n: int = 30, n_chan: int = 12, seed: int = 1, kind: str = "<f4") -> np.ndarray:
    return np.random.default_rng(seed).normal(100, 20, (n, n_chan)).astype(kind)


# Recorded file


@pytest.mark.recorded
def test_recorded() -> None:
    path = recorded(_L30042)
    assert beam_formed.sniff(Probe(path))
    with pytest.warns(FastsigWarning, match="228900 rows are stated, 1 complete rows are present"):
        stream = beam_formed.open(path)
    assert stream.shape == (1, 1, 3840)
    data = stream.read().data[0, 0]
    raw = np.fromfile(path.with_suffix(".raw"), ">f4")
    assert raw[-3:].tolist() == [4, 5, 6]
    np.testing.assert_array_equal(data, raw[:3840])
    assert data[:3].tolist() == [1, 2, 3]
    assert not data[3:].any()
    np.testing.assert_array_equal(stream.band(1, 3).read().data[0, 0], [2, 3])


@pytest.mark.recorded
def test_recorded_header() -> None:
    with pytest.warns(FastsigWarning, match="give frequency='150MHz'"):
        header = beam_formed.open(recorded(_L30042)).header
    # 200 MHz / 1024 / 16 / 16: sub-bands of 16 channels, 16 spectra in one
    assert header.sample_rate == Fraction(200_000_000, 1024 * 16 * 16)
    assert iso(header.start_time) == "2011-07-27T12:00:00.000000000"
    assert header.channels is None  # no attribute tells the sub-bands
    assert (header.telescope, header.receiver, header.beam) == ("LOFAR", "HBA_DUAL", 0)
    assert (header.ra_deg, header.dec_deg) == (174.013532, 15.851244)
    assert (header.polarization.kind, header.polarization.names) == ("linear", ("I",))
    assert header.extra["OBSERVATION_ID"] == "30042"
    json.dumps(dict(header.extra), allow_nan=False)
    with pytest.warns(FastsigWarning, match="truncated"):
        axis = beam_formed.open(recorded(_L30042), frequency="150MHz").header.channels
    assert axis.step_hz == Fraction(200_000_000, 1024 * 16)
    assert sum(axis.edges_hz) / 2 == 150_000_000


# One file


@pytest.mark.parametrize("storage", ["external", "contiguous", "chunked"])
@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f8", "i1", ">i2"])
def test_layouts(tmp_path: Path, kind: str, storage: str) -> None:
    x = values(kind=kind)
    stream = beam_formed.open(write_lofar_bf(tmp_path / "x.h5", {"I": x}, storage=storage))
    assert stream.shape == (30, 1, 12)
    assert stream.header.n_bits == x.dtype.itemsize * 8
    for start, n in ((0, 30), (7, 5), (29, 1), (3, 0)):
        block = stream.read_block(start, n)
        np.testing.assert_array_equal(block.data[:, 0], x[start : start + n].astype("f4"))
        assert (block.valid == 1).all()
    band = stream.band(3, 9).band(1, 4)
    np.testing.assert_array_equal(band.read().data[:, 0], x[:, 4:7].astype("f4"))
    assert band.header.channels == stream.header.channels.sliced(4, 7)
    stream.close()
    assert stream.read_block(0, 2).data.any()


def test_clock_and_band(tmp_path: Path) -> None:
    header = beam_formed.open(write_lofar_bf(tmp_path / "x.h5", {"I": values()})).header
    assert header.sample_rate == WIDTH / 8
    assert elapsed(parse_time("2018-08-31T13:31:08.123456789"), header.start_time) == 0
    assert (header.channels.first_hz, header.channels.step_hz) == (150_000_000, WIDTH)
    assert (header.ra_deg, header.dec_deg, header.source) == (123.75, 74.5, "B0809+74")
    assert "doubtful" not in header.extra


def test_start_on_a_leap_second(tmp_path: Path) -> None:
    write_lofar_bf(tmp_path / "x.h5", {"I": values()}, start="2016-12-31T23:59:60.500000000Z")
    start = beam_formed.open(tmp_path / "x.h5").header.start_time
    late = elapsed(start, parse_time("2017-01-01T00:00:00"))
    assert abs(late - Fraction(1, 2)) < Fraction(1, 10**11)  # two-part days have steps of 5 ps
    write_lofar_bf(tmp_path / "x.h5", {"I": values()}, changes={
        "sap/EXPTIME_START_UTC": None, "root/OBSERVATION_START_UTC": "unknown",
        "sap/EXPTIME_START_MJD": 57753.75})  # 18:00 of a day of 86401 s
    with pytest.warns(FastsigWarning, match="EXPTIME_START_MJD, known to 1 us"):
        start = beam_formed.open(tmp_path / "x.h5").header.start_time
    assert iso(start) == "2016-12-31T18:00:00.000000000"


def test_bands_read_their_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = values(64, 4096)
    stream = beam_formed.open(write_lofar_bf(tmp_path / "x.h5", {"I": x}))
    taken: list[int] = []

    def counted(handle: int, views: list[memoryview], place: int) -> int:
        taken.append(preadv(handle, views, place))
        return taken[-1]

    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", counted)
    np.testing.assert_array_equal(stream.band(1000, 1256).read().data[:, 0], x[:, 1000:1256])
    assert sum(taken) == x.nbytes // 16
    taken.clear()
    stream.read()
    assert taken == [x.nbytes]


def test_threads(tmp_path: Path) -> None:
    x = values(3000, 16)
    for storage in ("external", "chunked"):
        stream = beam_formed.open(write_lofar_bf(tmp_path / "x.h5", {"I": x}, storage=storage))
        starts = np.random.default_rng(2).integers(0, 2900, 100).tolist()
        with ThreadPoolExecutor(8) as pool:
            blocks = list(pool.map(lambda start, s=stream: s.read_block(start, 100), starts))
        for start, block in zip(starts, blocks, strict=True):
            np.testing.assert_array_equal(block.data[:, 0], x[start : start + 100])


def test_sub_bands_apart(tmp_path: Path) -> None:
    x = values(10, 16)
    path = write_lofar_bf(tmp_path / "x.h5", {"I": x}, subbands=[7, 0, 1, 4])
    stream = beam_formed.open(path)
    assert stream.shape == (10, 1, 32)
    block = stream.read()
    slots = np.r_[28:32, 0:8, 16:20]
    np.testing.assert_array_equal(block.data[:, 0, slots], x)
    lost = np.setdiff1d(np.arange(32), slots)
    assert (block.valid[..., lost] == 0).all()
    assert np.isnan(block.data[..., lost]).all()
    assert (block.valid[..., slots] == 1).all()
    np.testing.assert_array_equal(stream.band(14, 30).read().data, block.data[..., 14:30])
    chosen = beam_formed.open(path, subband="0-1")
    assert chosen.shape == (10, 1, 8)
    np.testing.assert_array_equal(chosen.read().data[:, 0], x[:, 4:12])
    axis = beam_formed.open(path, subband=2).header.channels
    assert (axis.first_hz, axis.n_chan) == (150_000_000 + 16 * WIDTH, 4)
    for value in ("4", "2-1", "x", "", "-1"):
        with pytest.raises(UsageError, match="subband = .*allowed: .* 0-3"):
            beam_formed.open(path, subband=value)


def test_zeros(tmp_path: Path) -> None:
    x = values()
    x[3:5] = 0
    path = write_lofar_bf(tmp_path / "x.h5", {"I": x})
    kept = beam_formed.open(path).read()
    assert (kept.valid == 1).all()
    block = beam_formed.open(path, zeros="weight").read()
    assert np.unique(np.nonzero(block.valid == 0)[0]).tolist() == [3, 4]
    assert np.isnan(block.data[3:5]).all()
    with pytest.raises(UsageError, match="zeros = 'x'; allowed: keep, weight"):
        beam_formed.open(path, zeros="x")


def test_nan_has_no_weight(tmp_path: Path) -> None:
    x = values()
    x[2, 5] = np.nan
    block = beam_formed.open(write_lofar_bf(tmp_path / "x.h5", {"I": x})).read()
    assert np.argwhere(block.valid == 0).tolist() == [[2, 0, 5]]


# Several files


def _scan(folder: Path, names: str = "IQUV", parts: int = 3, n: int = 20) -> dict[str, np.ndarray]:
    """Files of each component and part; returns whole bands by component."""
    whole = {name: values(n, 4 * parts, ord(name)) for name in names}
    for number, (name, x) in enumerate(whole.items()):
        for part in range(parts):
            write_lofar_bf(folder / f"L1_SAP000_B000_S{number}_P{part:03d}_bf.h5",
                           {name: x[:, 4 * part : 4 * part + 4]}, subbands=[part])
    return whole


def test_stokes_and_parts(tmp_path: Path) -> None:
    whole = _scan(tmp_path)
    files = sorted(tmp_path.glob("*.h5"))
    chain = fs.open(list(reversed(files)))
    stream = chain.stream
    assert stream.shape == (20, 4, 12)
    assert stream.header.polarization.names == ("I", "Q", "U", "V")
    assert stream.header.polarization.sign_v == -1
    assert stream.header.channels.first_hz == 150_000_000
    block = stream.read()
    for product, name in enumerate("IQUV"):
        np.testing.assert_array_equal(block.data[:, product], whole[name])
    np.testing.assert_array_equal(stream.band(3, 9).read().data, block.data[..., 3:9])
    assert len(stream.files) == 24
    facts = fs.info([*map(str, files)])
    assert (facts["n_pol"], facts["n_chan"], facts["warnings"]) == (4, 12, [])


def test_stokes_in_one_file(tmp_path: Path) -> None:
    x = {name: values(seed=ord(name)) for name in "VQI"}
    stream = beam_formed.open(write_lofar_bf(tmp_path / "x.h5", x))
    assert stream.header.polarization.names == ("I", "Q", "V")
    data = stream.read().data
    for product, name in enumerate("IQV"):
        np.testing.assert_array_equal(data[:, product], x[name])


def test_powers_of_dipoles(tmp_path: Path) -> None:
    stream = beam_formed.open(write_lofar_bf(tmp_path / "x.h5", {"YY": values(), "XX": values()}))
    assert stream.header.polarization.names == ("AA", "BB")


def test_shorter_stokes_has_no_weight_at_its_end(tmp_path: Path) -> None:
    whole = _scan(tmp_path, "IQ", 1)
    os.truncate(tmp_path / "L1_SAP000_B000_S1_P000_bf_Q.raw", 15 * 16 + 5)
    with pytest.warns(FastsigWarning, match="20 rows are stated, 15 complete rows are present"):
        stream = beam_formed.open(sorted(tmp_path.glob("*.h5")))
    block = stream.read()
    assert (block.valid[:15] == 1).all()
    assert (block.valid[15:, 1] == 0).all()
    assert (block.valid[15:, 0] == 1).all()
    np.testing.assert_array_equal(block.data[:, 0], whole["I"])


_OTHERS = {
    "another beam": ({"beam": 1}, "differs from .* in identity .*BEAM_001, not"),
    "another observation": ({"observation": "L2"}, "in identity"),
    "another rate": ({"n_int": 4}, "in rate"),
    "other channels": ({"n_sub": 6}, "in width|in rate"),
    "another start": ({"start": "2018-08-31T13:31:08.2Z"}, "starts 0.07654.* s after"),
    "the same": ({}, "has channels of I that are also in another file"),
    "a grid apart": ({"first_hz": 150e6 + 12.3 * float(WIDTH)}, "a whole number up to"),
    "far away": ({"first_hz": 240e6, "n_sub": 4}, "a whole number"),
    "no frequency": ({"first_hz": None}, "not all of them state their frequencies"),
}


@pytest.mark.parametrize("what", sorted(_OTHERS))
def test_files_that_do_not_belong_together(tmp_path: Path, what: str) -> None:
    other, told = _OTHERS[what]
    a = write_lofar_bf(tmp_path / "a.h5", {"I": values()})
    b = write_lofar_bf(tmp_path / "b.h5", {"I": values()}, **other)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FastsigWarning)
        with pytest.raises(FormatError, match=told):
            beam_formed.open([a, b])


def test_part_that_is_missing(tmp_path: Path) -> None:
    _scan(tmp_path, "IQ", 3)
    files = sorted(tmp_path.glob("*.h5"))[:-1]
    with pytest.raises(FormatError, match="do not contain the same channels; allowed: all parts"):
        beam_formed.open(files)


def test_choice_of_beams(tmp_path: Path) -> None:
    path = write_lofar_bf(tmp_path / "x.h5", {"I": values()})
    with h5py.File(path, "a") as file:
        file.copy("SUB_ARRAY_POINTING_000/BEAM_000", "SUB_ARRAY_POINTING_000/BEAM_017")
    with pytest.raises(FormatError, match=r"BEAM_000, BEAM_017\); give beam=NUMBER"):
        beam_formed.open(path)
    assert beam_formed.open(path, beam="17").header.beam == 17
    with pytest.raises(FormatError, match="give beam="):
        beam_formed.open(path, beam=2)
    with pytest.raises(UsageError, match="beam = 'x'"):
        beam_formed.open(path, beam="x")


# Complex voltages


@pytest.mark.parametrize("n_sub", [1, 4])
def test_complex_voltages(tmp_path: Path, n_sub: int) -> None:
    parts = {name: values(seed=seed) for seed, name in enumerate(("Xr", "Xi", "Yr", "Yi"))}
    parts["Yi"][3, 2] = np.nan
    for number, (name, x) in enumerate(parts.items()):
        write_lofar_bf(tmp_path / f"S{number}.h5", {name: x}, n_sub=n_sub, n_int=1)
    stream = fs.open(sorted(tmp_path.glob("*.h5"))).stream
    assert (stream.kind, stream.shape, stream.dtype) == ("voltage", (30, 2, 12), np.complex64)
    header = stream.header
    assert header.is_complex
    assert header.sample_rate == header.channels.step_hz == Fraction(195312.5) / n_sub
    assert header.channels.first_hz == 150_000_000
    block = stream.read()
    np.testing.assert_array_equal(block.data[:, 0], parts["Xr"] + 1j * parts["Xi"])
    assert [spans.tolist() for spans in block.valid] == [[[0, 30]], [[0, 3], [4, 30]]]
    narrow = stream.narrowed(5, 7)
    np.testing.assert_array_equal(narrow.read().data[:, 0], block.data[:, 0, 5:7])
    assert narrow.header.channels.first_hz == header.channels.first_hz + 5 * header.sample_rate
    one = fs.open(sorted(tmp_path.glob("*.h5"))[:2], **({"subband": 3} if n_sub == 1 else {}))
    assert one.stream.header.polarization.names == ("X",)
    assert one.stream.shape == ((30, 1) if n_sub == 1 else (30, 1, 12))
    for number, lacking in enumerate(("Xi", "Xr", "Yi", "Yr")):
        with pytest.raises(FormatError, match=f"only; give the file of {lacking} of the same"):
            beam_formed.open(tmp_path / f"S{number}.h5")


def test_complex_voltages_of_a_tone(tmp_path: Path) -> None:
    """A tone above the middle of a sub-band comes out above it."""
    turn = np.exp(2j * np.pi * np.arange(4096) * 0.125)[:, np.newaxis].astype("c8")
    write_lofar_bf(tmp_path / "x.h5", {"Xr": turn.real, "Xi": turn.imag}, n_sub=1, n_int=1)
    spec = fs.open(tmp_path / "x.h5").channelize(64).detect("I").stream
    peak = int(np.nanargmax(spec.read().data.mean(axis=0)[0]))
    assert spec.frequency[peak].value == pytest.approx(150 + 0.125 * 0.1953125, abs=1e-9)


def test_complex_voltages_refused(tmp_path: Path) -> None:
    x = values(n_chan=2)
    path = write_lofar_bf(tmp_path / "x.h5", {"Xr": x, "Xi": x}, n_sub=1, n_int=1, subbands=[0, 2])
    with pytest.raises(FormatError, match="sub-bands that are not adjacent; choose .*subband="):
        beam_formed.open(path)
    assert beam_formed.open(path, subband=1).header.channels.n_chan == 1
    write_lofar_bf(path, {"Xr": x, "I": x}, n_sub=1, n_int=1)
    with pytest.raises(FormatError, match="powers, or parts of complex voltages, not both"):
        beam_formed.open(path)


# Units

_WRONG = {
    "rate in Hz, MHz told": ({"beam/SAMPLING_RATE_UNIT": "MHz"}, "SAMPLING_RATE is MHz.* in Hz"),
    "rate in MHz, Hz told": ({"beam/SAMPLING_RATE": float(WIDTH / 8 / 10**6)},
                             "SAMPLING_RATE is Hz.* in MHz"),
    "time in s, us told": ({"beam/SAMPLING_TIME_UNIT": "us"}, "SAMPLING_TIME is us.* in s"),
    "increment in s, us told": ({"time/AXIS_UNITS": ["us"]}, "INCREMENT is us.* in s"),
    "only times, one wrong": ({"beam/SAMPLING_RATE": None, "time/AXIS_UNITS": ["us"]},
                              "INCREMENT is us"),
    "table in Hz, MHz told": ({"spectral/AXIS_UNITS": ["MHz"]},
                              "AXIS_VALUES_WORLD is MHz.* in Hz"),
    "table alone, MHz told": ({"spectral/AXIS_UNITS": ["MHz"], "beam/BEAM_FREQUENCY_CENTER": None},
                              "AXIS_VALUES_WORLD is MHz.* in Hz"),
    "centre in Hz, MHz told": ({"beam/BEAM_FREQUENCY_CENTER": 150.26855e6},
                               "BEAM_FREQUENCY_CENTER is MHz.* in Hz"),
    "centre in MHz, Hz told": ({"beam/BEAM_FREQUENCY_CENTER_UNIT": "Hz"},
                               "BEAM_FREQUENCY_CENTER is Hz.* in MHz"),
    "width in Hz, MHz told": ({"beam/SUBBAND_WIDTH_UNIT": "MHz"}, "SUBBAND_WIDTH is MHz.* in Hz"),
    "channels in Hz, MHz told": ({"beam/CHANNEL_WIDTH_UNIT": "MHz"}, "CHANNEL_WIDTH is MHz"),
    "clock in Hz, MHz told": ({"root/CLOCK_FREQUENCY": 2e8}, "CLOCK_FREQUENCY is MHz.* in Hz"),
    "a rate of its own": ({"beam/SAMPLING_TIME": 1.0}, "SAMPLING_TIME states 1 Hz"),
    "not a number": ({"beam/SAMPLING_RATE": np.nan}, "SAMPLING_RATE = 'nan' is not a positive"),
}


@pytest.mark.parametrize("what", sorted(_WRONG))
def test_wrong_units(tmp_path: Path, what: str) -> None:
    changes, told = _WRONG[what]
    right = beam_formed.open(write_lofar_bf(tmp_path / "x.h5", {"I": values()})).header
    write_lofar_bf(tmp_path / "x.h5", {"I": values()}, changes=changes)
    with pytest.warns(FastsigWarning, match=told):
        header = beam_formed.open(tmp_path / "x.h5").header
    assert header.sample_rate == right.sample_rate
    assert header.channels == right.channels
    assert any("SAMPLING" in note or "is" in note for note in header.extra["doubtful"])


def test_no_table_of_frequencies(tmp_path: Path) -> None:
    path = write_lofar_bf(tmp_path / "x.h5", {"I": values()},
                          changes={"spectral/AXIS_VALUES_WORLD": None})
    with pytest.warns(FastsigWarning, match="neighbours around 150.268555 MHz"):
        assert beam_formed.open(path).header.channels.first_hz == 150_000_000
    axis = beam_formed.open(path, frequency="60MHz").header.channels
    assert (sum(axis.edges_hz) / 2, axis.n_chan) == (60_000_000, 12)


def test_overrides(tmp_path: Path) -> None:
    path = write_lofar_bf(tmp_path / "x.h5", {"I": values()}, changes={
        "beam/SAMPLING_RATE": -1, "beam/SAMPLING_TIME": None, "time/INCREMENT": None,
        "sap/EXPTIME_START_UTC": None, "root/OBSERVATION_START_UTC": None})
    with pytest.raises(FormatError, match="give sample_rate=RATE"):
        beam_formed.open(path)
    with pytest.raises(FormatError, match="give start_time="):
        beam_formed.open(path, sample_rate="6kHz")
    header = beam_formed.open(path, sample_rate="6kHz", start_time="2020-01-01T00:00:00",
                           source="Sun").header
    assert (header.sample_rate, header.source) == (6000, "Sun")
    assert header.origin["sample_rate"] == "override"
    with pytest.raises(UsageError, match="unknown override 'stokes' for lofar_bf"):
        beam_formed.open(path, stokes="I")


def test_channels_that_fit_no_grid(tmp_path: Path) -> None:
    for table in (150e6 + 4e4 * np.arange(12), np.full(12, 150e6)):
        write_lofar_bf(tmp_path / "x.h5", {"I": values()}, changes={
            "spectral/AXIS_VALUES_WORLD": table, "beam/BEAM_FREQUENCY_CENTER": None})
        with pytest.raises(FormatError, match="AXIS_VALUES_WORLD does not step by 48828.125 Hz"):
            beam_formed.open(tmp_path / "x.h5")


def test_direction_in_another_frame(tmp_path: Path) -> None:
    write_lofar_bf(tmp_path / "x.h5", {"I": values()}, changes={"beam/TRACKING": "AZELGEO"})
    header = beam_formed.open(tmp_path / "x.h5").header
    assert (header.ra_deg, header.dec_deg) == (None, None)


# Damage


def test_raw_file_that_is_missing_or_too_long(tmp_path: Path) -> None:
    x = values()
    path = write_lofar_bf(tmp_path / "x.h5", {"I": x})
    raw = tmp_path / "x_I.raw"
    raw.write_bytes(raw.read_bytes() + bytes(100))
    with pytest.warns(FastsigWarning, match=r"x_I.raw\) continues for 100 bytes \(2 rows\) after"):
        np.testing.assert_array_equal(beam_formed.open(path).read().data[:, 0], x)
    os.truncate(raw, 47)
    with pytest.raises(FormatError, match="no complete row: it has 47 bytes, and a row has"):
        beam_formed.open(path)
    raw.unlink()
    with pytest.raises(FormatError, match=r"raw file 'x_I.raw': No such file"):
        beam_formed.open(path)


def test_raw_file_that_shrinks(tmp_path: Path) -> None:
    stream = beam_formed.open(write_lofar_bf(tmp_path / "x.h5", {"I": values()}))
    os.truncate(tmp_path / "x_I.raw", 100)
    with pytest.raises(DataError, match=r"x_I.raw: ends at byte 100"):
        stream.read()


_DAMAGE = {
    "no type": ({"root/FILETYPE": "tbb"}, "FILETYPE is 'tbb'; allowed: 'bf'"),
    "folded": ({"beam/FOLDED_DATA": 1}, "folded profiles"),
    "component": ({"stokes/STOKES_COMPONENT": "Z"}, "is 'Z'; allowed: I, Q"),
    "no component": ({"stokes/STOKES_COMPONENT": None}, "is None; allowed: I, Q"),
    "axes": ({"time/COORDINATE_TYPE": "Spectral"}, "allowed: rows of Time"),
    "no width": ({"beam/SUBBAND_WIDTH": "x", "beam/CHANNEL_WIDTH": None,
                  "root/CLOCK_FREQUENCY": -5.0, "spectral/AXIS_VALUES_WORLD": 1},
                 "specifies the width of a channel"),
    "a year": ({"beam/SAMPLING_RATE": 1e-9, "beam/SAMPLING_TIME": None, "time/INCREMENT": None,
                "sap/TOTAL_INTEGRATION_TIME": None}, "and a year|1e-0?9"),
}


@pytest.mark.parametrize("what", sorted(_DAMAGE))
def test_damage(tmp_path: Path, what: str) -> None:
    changes, told = _DAMAGE[what]
    path = write_lofar_bf(tmp_path / "x.h5", {"I": values()}, changes=changes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FastsigWarning)
        with pytest.raises(FormatError, match=told):
            beam_formed.open(path)


def test_every_attribute_may_be_nonsense(tmp_path: Path) -> None:
    x, places = values(6), {}
    path = write_lofar_bf(tmp_path / "x.h5", {"I": x})
    with h5py.File(path) as file:
        file.visititems(lambda name, item: places.update({name: list(item.attrs)}))
        places["/"] = list(file.attrs)
    wholes = path.read_bytes()
    read = 0
    nonsense = list(NONSENSE.values())
    every = [(place, key) for place, keys in places.items() for key in keys]
    step = many(8, 5)
    for number, (place, key) in enumerate(every):
        for value in (None, *nonsense[number % step :: step]):
            path.unlink()  # or HDF5 would know it by its number
            path.write_bytes(wholes)
            with h5py.File(path, "a") as file:
                del file[place].attrs[key]
                if value is not None:
                    file[place].attrs[key] = value
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FastsigWarning)
                try:
                    stream = beam_formed.open(path)
                except FastsigError as error:
                    assert str(error).startswith(f"{path}: ")
                    assert "\n" not in str(error)
                    continue
            np.testing.assert_array_equal(stream.read().data[:, 0, -1:], x[:, -1:])
            read += 1
    assert read > 100
