"""PRESTO time series: recorded headers and truths, breaks, damage, the writer."""

from __future__ import annotations

import errno
import os
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
from fastsig.axes.time import elapsed, iso, mjd_and_seconds, parse_time, time_from_mjd
from fastsig.errors import FastsigWarning, FormatError, OutputError, PlanError, UsageError
from fastsig.io.opening import detect
from fastsig.io.presto import reader as presto
from fastsig.io.presto.inf import MOST_PAIRS, parse_inf
from fastsig.io.presto.writer import PrestoWriter
from fastsig.stream.header import Header

LINES: dict[str, Any] = {
    "Data file name without suffix": "made", "Telescope used": "FAST", "Instrument used": "ROACH2",
    "Object being observed": "J1807-0847", "J2000 Right Ascension (hh:mm:ss.ssss)": "18:07:38.0",
    "J2000 Declination     (dd:mm:ss.ssss)": "-00:47:43.5", "Data observed by": "nobody",
    "Epoch of observation (MJD)": "59313.309837974340741",
    "Barycentered?           (1 yes, 0 no)": 0, "Number of bins in the time series": "64     ",
    "Width of each time series bin (sec)": "0.00016384",
    "Any breaks in the data? (1 yes, 0 no)": 0, "Type of observation (EM band)": "Radio",
    "Beam diameter (arcsec)": 180, "Dispersion measure (cm-3 pc)": "112.3802",
    "Central freq of low channel (MHz)": "1000.5", "Total bandwidth (MHz)": 400,
    "Number of channels": 400, "Channel bandwidth (MHz)": 1, "Data analyzed by": "anybody",
    "Any additional notes": None,
}


def inf(pairs: Any = (), **changes: Any) -> str:
    """Text of a header; `changes` by the first word of a label, None leaves the line out."""
    out = []
    for label, value in LINES.items():
        key = next((key for key in changes if label.startswith(key.replace("_", " "))), None)
        value = value if key is None else changes[key]
        if label.startswith("Any additional"):
            out += [f" {label}:", "    Project ID unset = 0.", "    8 bits."]
        elif value is not None:
            out.append(f" {label:<38} =  {value}")
        if label.startswith("Any breaks"):
            out += [f" On/Off bin pair #{i:3d}                   =  {on:<11}, {off:<11}"
                    for i, (on, off) in enumerate(pairs, 1)]
    return "\n".join([*out, ""])


def samples(n: int = 64) -> np.ndarray:
    return np.random.default_rng(5).normal(100, 3, n).astype("<f4")


def write(folder: Path, data: np.ndarray | None = None, text: str | None = None) -> Path:
    (folder / "made.inf").write_text(inf() if text is None else text, encoding="latin-1")
    (folder / "made.dat").write_bytes((samples() if data is None else data).tobytes())
    return folder / "made.dat"


def opened(path: Any, **overrides: Any) -> Any:
    return fs.open(path, **overrides).stream


def values(stream: Any) -> np.ndarray:
    return stream.read_block(0, stream.shape[0]).data[:, 0, 0]


# Recorded files.

@pytest.mark.recorded
def test_recorded_series() -> None:
    path = recorded("sigpyproc/GBT_J1807-0847.dat")
    stream = opened(path)
    head = stream.header
    assert stream.shape == (131072, 1, 1) and head.sample_rate == 1 / Fraction("0.00016384")
    expected = time_from_mjd(59313, Fraction("0.309837974340741") * 86400)
    assert abs(elapsed(head.start_time, expected)) < Fraction(1, 10**10)
    assert (head.telescope, head.backend, head.source) == ("GBT", "VEGAS", "J1807-0847")
    assert head.ra_deg == pytest.approx((18 + 7 / 60 + 37.9999 / 3600) * 15, abs=1e-10)
    assert head.dec_deg == pytest.approx(-(8 + 47 / 60 + 43.7463 / 3600), abs=1e-10)
    assert head.extra["DM"] == 112.3802 and "4 polns" in head.extra["notes"]
    # 256 channels of 0.78125 MHz from 720.78125 on: the highest is 920, SIGPROC's fch1
    low, high = (float(edge / 10**6) for edge in head.channels.edges_hz)
    assert (low, high) == (720.78125 - 0.390625, 920 + 0.390625)
    data = values(stream)
    np.testing.assert_array_equal(data, np.fromfile(path, "<f4"))
    assert (data.mean(dtype="f8"), data.std(dtype="f8")) == pytest.approx((445404, 3753), abs=1)
    # dedispersed by another program, a spectrum apart; the header there has a float64
    other = opened(recorded("sigpyproc/GBT_J1807-0847.tim"))
    assert abs(elapsed(other.start_time, head.start_time)) < Fraction(1, 10**6)
    assert other.header.sample_rate == head.sample_rate
    series = values(other)
    found = [np.corrcoef(series[lag : lag + 131_000], data[3:131_003])[0, 1] for lag in range(7)]
    assert abs(int(np.argmax(found)) - 3) <= 1 and max(found) > 0.8


@pytest.mark.recorded
def test_recorded_pulsar_folds() -> None:
    """A peak at the period of J1807-0847, 0.163713 s."""
    chain = fs.open(recorded("sigpyproc/GBT_J1807-0847.inf"))
    data = chain.read().values[:, 0, 0].astype("f8")
    seconds = np.arange(len(data)) / float(chain.header.sample_rate)

    def chi(period: float) -> float:
        phase = (seconds / period % 1 * 64).astype(int)
        counts = np.bincount(phase, minlength=64)
        means = np.bincount(phase, data, minlength=64) / counts
        return float((counts * (means - data.mean()) ** 2).sum() / data.var() / 63)

    assert chi(0.163713) > 100 > 10 > chi(0.17)


@pytest.mark.recorded
@pytest.mark.parametrize(("name", "expected"), [
    ("priwo/tests/data/test.inf", {"telescope": "Parkes", "epoch": "59000.0", "DM": "42.42",
                                   "low_mhz": "1182.1953125", "bins": "16", "breaks": "0"}),
    ("priwo/tests/data/test_radio_breaks.inf", {"breaks": "1", "beam_arcsec": "981"}),
    ("priwo/tests/data/test_xray.inf", {"band": "X-ray", "view_arcsec": "3.000000",
                                        "energy_kev": "1.000000", "energy_band_kev": "5.000000"}),
    ("presto_prepfold/M28A_bary.inf", {"barycentered": "1", "bins": "6700000000",
                                       "epoch": "52586.24269631531", "instrument": "HRC-S"}),
    ("presto_prepfold/1937_DM71.02_zerodm.inf", {"bins": "471040", "bandwidth_mhz": "200",
                                                 "barycentered": "0", "width_s": "8.192e-05"}),
])
def test_recorded_headers(name: str, expected: dict[str, str], tmp_path: Path) -> None:
    path = recorded(name)
    assert detect(path)[0] == "presto"
    found = parse_inf(str(path))
    assert {key: found.cards[key] for key in expected} == expected
    assert found.cards["name"] and found.cards["analyzer"] and found.notes
    assert found.pairs == ([(0, 14), (15, 15)] if "breaks.inf" in name else [])
    with pytest.raises(FormatError, match=r"\.dat: No such file or directory: the data of"):
        opened(path)


@pytest.mark.recorded
def test_recorded_breaks_and_x_rays(tmp_path: Path) -> None:
    data = np.arange(16, dtype="<f4")
    text = recorded("priwo/tests/data/test_radio_breaks.inf").read_text()
    path = write(tmp_path, data, text)
    with pytest.warns(FastsigWarning, match="times are those of the barycentre"):
        stream = opened(path)
    block = stream.read_block(0, 16)
    # the last pair is bin 15 alone: from 15 on all is padding
    assert np.flatnonzero(block.valid[:, 0, 0] == 0).tolist() == [15]
    assert np.isnan(block.data[15, 0, 0]) and (block.data[:15, 0, 0] == data[:15]).all()
    text = recorded("priwo/tests/data/test_xray.inf").read_text()
    with pytest.warns(FastsigWarning, match="barycentre"):
        stream = opened(write(tmp_path, data, text))
    assert stream.header.channels is None and stream.header.extra["band"] == "X-ray"
    np.testing.assert_array_equal(values(stream), data)


# Reading.

def test_header(tmp_path: Path) -> None:
    path = write(tmp_path)
    assert detect(path)[0] == detect(tmp_path / "made.inf")[0] == "presto"
    for name in (path, tmp_path / "made.inf"):
        stream = opened(name)
        assert stream.path == str(path) and stream.files == [str(path)]
        np.testing.assert_array_equal(values(stream), samples())
        out = np.empty((64, 1, 1), np.float32)
        np.testing.assert_array_equal(stream.read_block(5, 50, out).data[:, 0, 0], samples()[5:55])
    head = stream.header
    assert head.channels == ChannelAxis.band(Fraction(1200 * 10**6), Fraction(400 * 10**6))
    assert head.polarization == PolBasis("unknown", ("I",)) and head.n_bits == 32
    assert head.dec_deg == pytest.approx(-(47 / 60 + 43.5 / 3600), abs=1e-12)
    assert head.extra["notes"] == "Project ID unset = 0.\n8 bits."
    assert head.extra["observer"] == "nobody" and head.extra["beam_arcsec"] == "180"
    moved = opened(path, start_time="2020-01-01T00:00:00", source="B", frequency="1300MHz")
    assert moved.header.source == "B" and moved.frequency.value.tolist() == [1300]


def test_labels_of_other_writers(tmp_path: Path) -> None:
    text = inf().replace("(MHz)", "(Mhz)").replace("(1 yes, 0 no)", "(1=yes, 0=no)")
    text = text.replace(" Object being observed                  =  J1807-0847",
                        "Object being observed = A=B\n Orbit removed? (1=yes, 0=no) = 1")
    text = text.replace("Telescope used                         =", "Telescope used = x      =")
    stream = opened(write(tmp_path, text=text))
    assert stream.header.source == "B"  # at the last equals sign, as PRESTO reads it
    assert stream.header.extra["deorbited"] == "1"
    assert stream.frequency.value.tolist() == [1200]
    spaced = inf(Object="A = B")
    assert opened(write(tmp_path, text=spaced)).header.source == "A = B"
    bare = inf(**dict.fromkeys(("Beam", "Dispersion", "Central", "Total", "Number_of_ch",
                                "Channel", "J2000", "Data_observed")))
    stream = opened(write(tmp_path, text=bare))
    assert stream.header.channels is None and stream.header.ra_deg is None
    unknown = inf(Telescope="Unknown", J2000_R="00:00:00.0", J2000_D="00:00:00.0", Object="")
    head = opened(write(tmp_path, text=unknown)).header
    assert (head.telescope, head.source, head.ra_deg, head.dec_deg) == (None, None, None, None)


def test_an_impulse_at_its_time(tmp_path: Path) -> None:
    data = np.zeros(64, "<f4")
    data[41] = 9
    chain = fs.open(write(tmp_path, data))
    read = chain.read()
    row = int(read.values[:, 0, 0].argmax())
    expected = time_from_mjd(59313, Fraction("0.309837974340741") * 86400
                             + 41 * Fraction("0.00016384"))
    assert abs(elapsed(read.time[row], expected)) < Fraction(1, 10**10)


@pytest.mark.parametrize(("pairs", "lost"), [
    ([(0, 63)], []), ([(0, 9), (20, 63)], range(10, 20)), ([(5, 63)], range(5)),
    ([(0, 39), (63, 63)], range(40, 64)), ([(0, 9), (12, 30), (63, 63)], [10, 11, *range(31, 64)]),
    ([(0, 9), (62, 63)], range(10, 62)), ([(3, 3)], [*range(3), *range(4, 64)]),
])
def test_breaks(tmp_path: Path, pairs: list[tuple[int, int]], lost: Any) -> None:
    path = write(tmp_path, text=inf(pairs, Any_breaks=1))
    block = opened(path).read_block(0, 64)
    assert np.flatnonzero(block.valid[:, 0, 0] == 0).tolist() == list(lost)
    assert np.flatnonzero(np.isnan(block.data[:, 0, 0])).tolist() == list(lost)
    np.testing.assert_array_equal(values(opened(path, breaks="no")), samples())
    mean = fs.open(path).integrate(n_int=64).read()
    held = np.delete(samples(), list(lost))
    assert mean.weight[0, 0, 0] == pytest.approx(len(held) / 64)
    assert mean.values[0, 0, 0] == pytest.approx(held.mean(dtype="f8"), rel=1e-6)


def test_values_that_are_not_finite(tmp_path: Path) -> None:
    data = samples()
    data[7], data[9] = np.nan, np.inf
    block = opened(write(tmp_path, data)).read_block(0, 64)
    assert np.flatnonzero(block.valid[:, 0, 0] == 0).tolist() == [7, 9]
    assert np.isnan(block.data[[7, 9]]).all()


def test_lengths_that_differ_from_the_header(tmp_path: Path) -> None:
    for n in (1, 63):
        with pytest.warns(FastsigWarning, match=rf"{4 * n} bytes are {n} bins; .* states 64"):
            stream = opened(write(tmp_path, samples()[:n]))
        np.testing.assert_array_equal(values(stream), samples()[:n])
    with pytest.warns(FastsigWarning, match="has 70 bins; the header states 64"):
        stream = opened(write(tmp_path, samples(70)))
    np.testing.assert_array_equal(values(stream), samples(70)[:64])
    with pytest.raises(FormatError, match="bins = '0'; allowed: 1 or more; the file has 64 bins"):
        opened(write(tmp_path, text=inf(Number_of_bins=0)))
    path = write(tmp_path)
    path.write_bytes(samples().tobytes() + b"xy")
    with pytest.warns(FastsigWarning, match="258 bytes are 64 bins"):
        assert opened(path).shape[0] == 64
    path.write_bytes(samples().tobytes()[:3])
    with pytest.raises(FormatError, match="contains no sample"):
        opened(path)
    with pytest.warns(FastsigWarning, match="states 64"):
        stream = opened(write(tmp_path, samples()[:30], inf([(0, 9), (20, 63)], Any_breaks=1)))
    assert np.flatnonzero(stream.read_block(0, 30).valid == 0).tolist() == list(range(10, 20))


def test_files_that_stand_alone(tmp_path: Path) -> None:
    path = write(tmp_path)
    (tmp_path / "made.inf").unlink()
    with pytest.raises(FormatError, match="not a file of a known format"):
        opened(path)
    with pytest.raises(FormatError, match=r"made\.inf: No such file"):
        presto.open(path)
    (tmp_path / "made.inf").write_text("something else = 5\n")
    with pytest.raises(FormatError, match=r"made\.inf: does not begin with the line"):
        presto.open(path)
    write(tmp_path)
    with pytest.raises(UsageError, match="separate recordings"):
        opened([path, tmp_path / "made.inf"])


@pytest.mark.parametrize(("changes", "match"), [
    *(({"Epoch": x}, "epoch = .*start_time=") for x in (
        "x", "nan", "0", "-5.0", "1e300", "inf", "", None)),
    *(({"Width": x}, "width_s = .*sample_rate=") for x in ("0", "-1", "nan", "1e9", "", None)),
    ({"Number_of_channels": "0"}, "channels = '0'"), ({"Number_of_channels": "9e99"}, "channels"),
    ({"Number_of_channels": "3.5"}, "channels"), ({"Channel_band": "-1"}, "channel_mhz = '-1'"),
    ({"Channel_band": "nan"}, "channel_mhz"), ({"Central": "x"}, "low_mhz = 'x'"),
    ({"Central": "-9"}, "low_mhz"), ({"Total": "300"}, "bandwidth_mhz = '300'"),
    ({"Barycentered": "maybe"}, "barycentered"), ({"Any_breaks": "2"}, "breaks = '2'"),
    ({"Any_breaks": "1"}, "breaks = '1'.*breaks='no'"),
    ({"Any_breaks": "1", "pairs": [(5, 3)]}, "pairs of bins, not 5, 3"),
    ({"Any_breaks": "1", "pairs": [(0, 9), (9, 12)]}, "pairs of bins, not 9, 12"),
    ({"Any_breaks": "1", "pairs": [(-1, 9)]}, "pairs of bins, not -1, 9"),
    ({"Any_breaks": "1", "pairs": [("x", 9)]}, "On/Off bin pair = "),
    ({"Any_breaks": "1", "pairs": [("inf", 9)]}, "On/Off bin pair = "),
])
def test_nonsense_is_named(tmp_path: Path, changes: dict[str, Any], match: str) -> None:
    with pytest.raises(FormatError, match=rf"made\.inf: .*{match}"):
        opened(write(tmp_path, text=inf(**changes)))


def test_what_the_user_supplies(tmp_path: Path) -> None:
    path = write(tmp_path, text=inf(Epoch=None, Width=None))
    given = {"start_time": "2020-01-01T00:00:00", "sample_rate": "4kHz"}
    stream = opened(path, **given)
    assert iso(stream.start_time) == "2020-01-01T00:00:00.000000000"
    assert stream.header.sample_rate == 4000
    for wrong, error in (({"breaks": "some"}, UsageError), ({"gain": 1}, UsageError)):
        with pytest.raises(error, match="allowed"):
            opened(path, **given, **wrong)


def test_threads_read_what_one_reads(tmp_path: Path) -> None:
    data = samples(5000)
    stream = opened(write(tmp_path, data, inf([(0, 999), (2000, 4999)], Any_breaks=1,
                                              Number_of_bins=5000)))
    expected = data.copy()
    expected[1000:2000] = np.nan
    starts = list(range(0, 4900, 61))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda at: stream.read_block(at, 100).data[:, 0, 0], starts))
    for at, part in zip(starts, found, strict=True):
        np.testing.assert_array_equal(part, expected[at : at + 100])
    stream.close()
    np.testing.assert_array_equal(stream.read_block(5, 5).data[:, 0, 0], data[5:10])


def test_changed_bytes_in_headers(tmp_path: Path) -> None:
    path = write(tmp_path, text=inf([(0, 9), (20, 50), (63, 63)], Any_breaks=1))
    raw = (tmp_path / "made.inf").read_bytes()

    def open_(name: str) -> Any:
        try:
            return presto.open(name)
        except FormatError as error:  # of the data, whose name the fuzz does not know
            assert name in str(error) or str(path) in str(error)
            raise FormatError(name, str(error)) from error

    change_bytes(raw, tmp_path / "made.inf", lambda rng: rng.integers(0, len(raw)), open_)


# Writing.

def head_of(**changes: Any) -> Header:
    standard = {
        "start_time": time_from_mjd(59313, Fraction("26770.0012345678")),
        "sample_rate": Fraction(10**9, 49152), "n_bits": 32,
        "channels": ChannelAxis.band(Fraction(1250 * 10**6), Fraction(500 * 10**6)),
        "polarization": PolBasis("unknown", ("I",)), "telescope": "FAST", "source": "B0531+21",
        "ra_deg": 83.633125, "dec_deg": -0.0145}
    return Header(**{**standard, **changes})


def written(path: Path, data: np.ndarray, weight: Any = 1.0, block: int = 777,
            head: Header | None = None, **options: Any) -> None:
    shape = (len(data), 1, 1)
    weights = np.broadcast_to(np.asarray(weight, np.float32), len(data)).reshape(shape)
    with PrestoWriter(path, head or head_of(), shape, **options) as writer:
        for start in range(0, len(data), block):
            part = slice(start, start + block)
            writer.append(data[part].reshape(-1, 1, 1), weights[part])


def test_round_trip(tmp_path: Path) -> None:
    data = samples(5000)
    written(tmp_path / "w.dat", data)
    stream = opened(tmp_path / "w.inf")
    np.testing.assert_array_equal(values(stream), data)
    np.testing.assert_array_equal(np.fromfile(tmp_path / "w.dat", "<f4"), data)
    found, head = stream.header, head_of()
    for field in ("sample_rate", "channels", "polarization", "telescope", "source", "n_bits"):
        assert getattr(found, field) == getattr(head, field), field
    assert mjd_and_seconds(found.start_time) == mjd_and_seconds(head.start_time)
    assert (found.ra_deg, found.dec_deg) == pytest.approx((83.633125, -0.0145), abs=1e-12)
    assert found.extra["DM"] == 0 and found.extra["breaks"] == "0"
    assert PrestoWriter.losses(head, (5000, 1, 1), False) == []
    text = (tmp_path / "w.inf").read_text()
    assert all(line[40] == "=" for line in text.splitlines()[:-1])
    # the lines of PRESTO's own files, in their order
    ours = [line[:40].split("(")[0].split("?")[0].strip() for line in text.splitlines()[:-1]]
    assert ours == [label.split("(")[0].split("?")[0].strip() for label in LINES][:-1]


def test_values_without_a_line_of_their_own_become_notes(tmp_path: Path) -> None:
    extra = {"rawdatafile": "beams/28.fil", "az_start": 0.0, "za_start": 12.5,
             "notes": "one line of notes " * 8}
    written(tmp_path / "a.dat", samples(), head=head_of(extra=extra))
    lines = (tmp_path / "a.inf").read_text().split("Any additional notes:\n")[1].splitlines()
    assert lines[2:] == ["    rawdatafile = beams/28.fil", "    az_start = 0.0",
                         "    za_start = 12.5"]
    assert max(map(len, lines)) < 99 and " ".join(lines[0].split()).startswith("one line of notes")
    many = {f"KEY{i}": i for i in range(7)}
    found = PrestoWriter.losses(head_of(extra=many), (64, 1, 1), False)
    assert found == ["PRESTO has no place for 2 more values of the header (KEY5, KEY6)"]


def test_a_recorded_header_comes_again(tmp_path: Path) -> None:
    third = head_of(sample_rate=Fraction(30000, 7), channels=ChannelAxis.band(
        Fraction(10**9, 3) * 3, Fraction(10**9, 7)))
    data = samples(100)
    written(tmp_path / "a.dat", data, head=third, dm=56.7)
    again = opened(tmp_path / "a.dat").header
    assert again.sample_rate == third.sample_rate and again.channels == third.channels
    written(tmp_path / "b.dat", data, head=again)
    texts = [(tmp_path / f"{name}.inf").read_text() for name in "ab"]
    assert texts[0].replace("=  a\n", "=  b\n") == texts[1] and "=  56.7\n" in texts[1]
    made = opened(write(tmp_path)).header
    written(tmp_path / "c.dat", data, head=made)
    again = opened(tmp_path / "c.dat").header
    assert again.channels == made.channels and again.extra["low_mhz"] == "1000.5"
    for key in ("channels", "DM", "observer", "analyzer", "beam_arcsec"):
        assert again.extra[key] == made.extra[key]
    assert again.extra["notes"] == "Project ID unset = 0. 8 bits."
    assert again.backend == "ROACH2" and PrestoWriter.losses(made, (100, 1, 1), False) == []


@pytest.mark.parametrize("gaps", [
    [(10, 20)], [(0, 5)], [(950, 1000)], [(0, 1), (500, 501), (900, 1000)], [(0, 999)],
])
def test_gaps_become_breaks(tmp_path: Path, gaps: list[tuple[int, int]]) -> None:
    data, weight = samples(1000), np.random.default_rng(1).choice(np.float32([0.5, 1]), 1000)
    for start, stop in gaps:
        weight[start:stop] = 0
    data[gaps[0][0]] = np.nan
    texts = set()
    for block in (1, 13, 1000):
        written(tmp_path / "g.dat", data, weight, block, overwrite=True)
        texts.add((tmp_path / "g.dat").read_bytes() + (tmp_path / "g.inf").read_bytes())
    assert len(texts) == 1
    found = opened(tmp_path / "g.dat").read_block(0, 1000)
    lost = weight == 0
    if gaps == [(0, 999)]:  # a last bin alone stands for the end
        assert (found.valid == 1).sum() == 1 and found.valid[999] == 1
    np.testing.assert_array_equal(found.valid[:, 0, 0] == 0, lost)
    np.testing.assert_array_equal(found.data[~lost, 0, 0], data[~lost])
    raw = np.fromfile(tmp_path / "g.dat", "<f4")
    mean = np.average(data[~lost].astype("f8"), weights=weight[~lost])
    np.testing.assert_allclose(raw[lost], mean, rtol=1e-6)
    (told,) = PrestoWriter.losses(head_of(), (1000, 1, 1), True)
    assert told.startswith("weights; ")


def test_more_gaps_than_a_header_can_tell(tmp_path: Path) -> None:
    data, weight = samples(5000), np.ones(5000, np.float32)
    for i in range(60):
        weight[50 * i : 50 * i + 1 + i % 7] = 0
    weight[-3:] = 0
    with pytest.warns(FastsigWarning, match="short stretches without valid data"):
        written(tmp_path / "m.dat", data, weight)
    pairs = parse_inf(str(tmp_path / "m.inf")).pairs
    assert len(pairs) <= MOST_PAIRS and pairs[-1] == (4999, 4999) and pairs[0][0] == 1
    found = opened(tmp_path / "m.dat").read_block(0, 5000)
    lost = found.valid[:, 0, 0] == 0
    assert not (lost & (weight > 0)).any()
    for i in range(1, 60):  # the longest ones are told
        told = lost[50 * i : 50 * i + 1 + i % 7]
        assert told.all() or (not told.any() and i % 7 < 4)


def test_what_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, one = tmp_path / "x.dat", (10, 1, 1)
    for shape, match in (((10, 2, 1), "one product and one channel"), ((10, 1, 4), "average")):
        with pytest.raises(PlanError, match=match):
            PrestoWriter(path, head_of(), shape)
    with pytest.raises(PlanError, match="give frequency="):
        PrestoWriter(path, head_of(channels=None), one)
    with pytest.raises(PlanError, match="leap second"):
        PrestoWriter(path, head_of(start_time=parse_time("2016-12-31T23:59:60.5")), one)
    for name, options in (("x.txt", {}), ("x.dat", {"n_bits": 8})):
        with pytest.raises(UsageError, match="allowed"):
            PrestoWriter(tmp_path / name, head_of(), one, **options)
    with pytest.raises(OutputError, match="no row is valid"):
        written(path, samples(), 0.0)
    with pytest.raises(UsageError, match="5 of 10 announced"), PrestoWriter(
            path, head_of(), one) as writer:
        writer.append(samples(5).reshape(5, 1, 1), np.ones((5, 1, 1), "f4"))
    with pytest.raises(UsageError, match="more rows than"), PrestoWriter(
            path, head_of(), one) as writer:
        writer.append(samples(11).reshape(11, 1, 1), np.ones((11, 1, 1), "f4"))

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwritev", full)
    with pytest.raises(OutputError, match=r"x\.dat: cannot be written: No space left"):
        written(path, samples())
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []
    written(path, samples())
    (tmp_path / "x.dat").unlink()
    with pytest.raises(OutputError, match=r"x\.inf: exists"):
        written(path, samples())
    assert [each.name for each in tmp_path.iterdir()] == ["x.inf"]
    written(path, samples(), overwrite=True)
    told = "; ".join(PrestoWriter.losses(head_of(
        receiver="L", beam=3, n_sum=5, ra_deg=None, polarization=PolBasis("linear", ("AA",)),
        extra={"OBSFREQ": 1, "rawdatafile": "x" * 99}), one, False))
    for part in ("receiver", "beam number", "averaged in", "position", "(AA)",
                 "1 more value of the header (rawdatafile)"):
        assert part in told
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert opened(path).shape == (64, 1, 1)
