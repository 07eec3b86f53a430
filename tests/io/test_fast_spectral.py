"""FAST's spectral FITS: files made by astropy, times with jitter and gaps, scans, damage."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.time import Time
from hostile import change_bytes

import fastsig as fs
from fastsig.axes.time import elapsed, iso, sample_time, time_from_mjd
from fastsig.errors import FastsigError, FastsigWarning, FormatError, UsageError
from fastsig.io.fast import spectral
from fastsig.io.probe import Probe
from fastsig.io.spectra.row_clock import FAST_STEPS, fit, seconds_of

N_CHAN = 32
STEP = Fraction("1.00663296")
MJD = 59000.25
WIDTH_W, WIDTH_F = 500 / 65536, 500 / 2**20


def spectra(n: int, n_chan: int = N_CHAN, seed: int = 1) -> np.ndarray:
    """(row, chan, pol), as large as FAST's."""
    rng = np.random.default_rng(seed)
    data = rng.uniform(1e11, 1e12, (n, n_chan, 4)).astype(np.float32)
    data[:, 0] = 5e14
    return data


def utobs(rows: Any, mjd: float = MJD, step: Fraction = STEP) -> np.ndarray:
    return mjd + np.asarray(rows) * float(step) / 86400


def table(data: np.ndarray, times: np.ndarray, **changes: Any) -> fits.BinTableHDU:
    """The 21 columns of FAST.md section 3."""
    n, n_chan, n_pol = data.shape
    zeros = np.zeros(n)
    values: dict[str, tuple[str, Any]] = {
        "OBSNUM": ("K", np.arange(n)), "SCAN": ("K", np.ones(n, int)),
        "OBSTYPE": ("16A", ["TRACKING"] * n), "QUALITY": ("L", np.ones(n, bool)),
        "UTOBS": ("D", times), "DATE-OBS": ("24A", ["2020-05-31T06:00:00.0"] * n),
        "OBJ_RA": ("D", zeros), "OBJ_DEC": ("D", zeros), "OFF_RA": ("D", zeros),
        "OFF_DEC": ("D", zeros), "TSYS": ("D", zeros),
        "EXPOSURE": ("D", np.full(n, float(STEP))), "NCHAN": ("K", np.full(n, n_chan)),
        "FREQ": ("D", np.full(n, 1000.0035762786865)), "CHAN_BW": ("D", np.full(n, WIDTH_W)),
        "BEAM_EFF": ("D", zeros), "PRESSURE": ("D", zeros), "TAMBIENT": ("D", zeros),
        "WINDSPD": ("D", zeros), "WINDDIR": ("D", zeros),
    }
    dim = changes.pop("TDIM", f"({n_pol},{n_chan})")
    for name, value in changes.items():
        values[name] = (values[name][0], np.broadcast_to(value, (n,)))
    columns = [fits.Column(name, form, array=array) for name, (form, array) in values.items()]
    columns.append(fits.Column("DATA", f"{n_pol * n_chan}E", dim=dim,
                               array=data.astype(">f4")))
    hdu = fits.BinTableHDU.from_columns(columns, name="SINGLE DISH")
    hdu.header["TELESCOP"], hdu.header["INSTRUME"] = "FAST", "MBSPEC"
    hdu.header["SPECSYS"], hdu.header["SSYSOBS"] = "LSRK", "TOPOCENT"
    return hdu


def write(path: Path, data: np.ndarray, times: np.ndarray | None = None, **changes: Any) -> Path:
    times = utobs(np.arange(len(data))) if times is None else times
    fits.HDUList([fits.PrimaryHDU(), table(data, times, **changes)]).writeto(path, overwrite=True)
    return path


def opened(path: Path | list[Path], **overrides: Any) -> Any:
    return fs.open(path, **overrides).stream


def truth(data: np.ndarray) -> np.ndarray:
    return data.transpose(0, 2, 1)


def test_header(tmp_path: Path) -> None:
    data = spectra(5)
    stream = opened(write(tmp_path / "N_tracking-M07_W_0001.fits", data))
    h = stream.header
    assert stream.shape == (5, 4, N_CHAN) and stream.kind == "spectra"
    assert h.sample_rate == 1 / STEP and h.n_bits == 32
    assert h.polarization.names == ("AA", "BB", "CR", "CI") and h.polarization.kind == "linear"
    assert (h.telescope, h.backend, h.beam) == ("FAST", "MBSPEC", 7)
    assert iso(h.start_time) == "2020-05-31T06:00:00.000000000"
    assert h.channels.step_hz == Fraction(500 * 10**6, 65536)
    # 1000 MHz and seven and a half channels of mode F, exactly
    assert h.channels.first_hz == 10**9 + Fraction(15, 2) * Fraction(500 * 10**6, 2**20)
    assert h.extra["SPECSYS"] == "LSRK" and "topocentric" in h.extra["frame"]
    assert "not documented" in h.extra["products"]
    assert (h.extra["label"], h.extra["utobs"]) == ("header", "start")
    assert h.extra["OBSTYPE"] == "TRACKING" and "TTYPE1" not in h.extra
    block = stream.read_block(0, 5)
    np.testing.assert_array_equal(block.data, truth(data))
    assert block.data.dtype == np.float32 and (block.valid == 1).all()
    assert block.data[0, 0, 0] == np.float32(5e14)
    np.testing.assert_array_equal(stream.times, utobs(np.arange(5)))
    np.testing.assert_array_equal(stream.slots, np.arange(5))


def test_whole_width_is_what_astropy_reads(tmp_path: Path) -> None:
    path = write(tmp_path / "w.fits", spectra(3, 65536))
    with fits.open(path) as file:
        expected = np.asarray(file[1].data["DATA"])
        freq, width = file[1].data["FREQ"][0], file[1].data["CHAN_BW"][0]
    assert expected.shape == (3, 65536, 4)
    stream = opened(path)
    assert stream.header.extra["mode"] == "W"
    np.testing.assert_array_equal(stream.read_block(0, 3).data, truth(expected))
    np.testing.assert_array_equal(stream.read_block(2, 1).data, truth(expected[2:]))
    np.testing.assert_allclose(stream.frequency.value, freq + width * np.arange(65536), rtol=1e-15)
    part = stream.band(100, 700)
    np.testing.assert_array_equal(part.read_block(1, 2).data, truth(expected[1:])[:, :, 100:700])
    assert part.frequency[0] == stream.frequency[100] and part.shape == (3, 4, 600)
    np.testing.assert_array_equal(part.band(5, 6).read_block(1, 1).data[0, :, 0], expected[1, 105])


def widen(path: Path, n_chan: int, row: np.ndarray) -> Path:
    """A file of one row, given more channels: astropy is slow to write as many as mode F has."""
    raw = path.read_bytes()
    with fits.open(path) as file:
        small, begin = file[1].header["NAXIS1"], file[1].fileinfo()["datLoc"]
    head = raw[:begin]
    for key, value in (("NAXIS1", small + 16 * (n_chan - N_CHAN)),
                       ("TFORM21", f"'{4 * n_chan}E'"), ("TDIM21", f"'(4,{n_chan})'")):
        at = head.index(f"{key:<8}=".encode(), 2880)
        head = head[:at] + f"{key:<8}= {value:>20}".ljust(80).encode() + head[at + 80 :]
    path.write_bytes(head + raw[begin : begin + small - 16 * N_CHAN] + row.astype(">f4").tobytes())
    return path


@pytest.mark.parametrize(("n_chan", "width", "mode"), [
    (65536, WIDTH_W, "W"), (65536, WIDTH_F, "N"), (2**20, WIDTH_F, "F"), (64, WIDTH_W, None)])
def test_modes(tmp_path: Path, n_chan: int, width: float, mode: str | None) -> None:
    row = np.zeros((n_chan, 4), np.float32)
    row[n_chan // 3, 2] = 7
    small = write(tmp_path / "m.fits", spectra(1), CHAN_BW=width, FREQ=1000.0, NCHAN=n_chan)
    stream = opened(widen(small, n_chan, row))
    assert stream.header.extra.get("mode") == mode
    block = stream.read_block(0, 1).data
    assert block[0, 2, n_chan // 3] == 7 and block.sum() == 7
    assert stream.header.channels.step_hz == Fraction(width) * 10**6


@pytest.mark.parametrize("width", [WIDTH_W, -WIDTH_W])
def test_impulse_and_tone(tmp_path: Path, width: float) -> None:
    data = np.ones((9, N_CHAN, 4), np.float32)
    data[4, :, 1] += 1000
    data[:, 11, 2] += 50
    stream = opened(write(tmp_path / "i.fits", data, CHAN_BW=width))
    block = stream.read_block(0, 9).data
    row = int(np.argmax(block[:, 1].sum(axis=1)))
    assert abs((stream.time_of(row) - Time(MJD, format="mjd")).sec - 4 * float(STEP)) < 1e-6
    chan = int(np.argmax(block[0, 2]))
    assert stream.frequency.value[chan] == pytest.approx(1000.0035762786865 + 11 * width, abs=1e-9)
    assert (np.diff(stream.frequency.value) > 0).all()
    part = stream.band(chan, chan + 1)
    np.testing.assert_array_equal(part.read_block(0, 9).data, block[:, :, chan : chan + 1])
    assert part.frequency[0] == stream.frequency[chan]


def test_labels_and_marks_are_options(tmp_path: Path) -> None:
    path = write(tmp_path / "o.fits", spectra(4))
    plain, half = opened(path), opened(path, label="half-channel")
    shift = half.header.channels.first_hz - plain.header.channels.first_hz
    assert shift == Fraction(500 * 10**6, 2**21)  # 238.4 Hz
    assert half.header.extra["label"] == "half-channel"
    for mark, rows in (("start", 0), ("middle", Fraction(1, 2)), ("end", 1)):
        stream = opened(path, utobs=mark)
        moved = elapsed(stream.start_time, plain.start_time)
        assert abs(moved - rows * STEP) < Fraction(2, 10**11)
        assert stream.header.extra["utobs"] == mark
    for wrong in ({"label": "centre"}, {"utobs": "begin"}, {"order": "x"}):
        with pytest.raises(UsageError, match="allowed: "):
            opened(path, **wrong)


@pytest.mark.parametrize("step", FAST_STEPS)
def test_integration_times_are_exact(tmp_path: Path, step: Fraction) -> None:
    path = write(tmp_path / "e.fits", spectra(40), utobs(np.arange(40), step=step),
                 EXPOSURE=float(step) * (1 + 5e-7))
    stream = opened(path)
    assert stream.header.sample_rate == 1 / step
    late = stream.time_of(10**6)
    assert abs(elapsed(sample_time(time_from_mjd(59000, 21600), 10**6, 1 / step), late)
               ) < Fraction(1, 10**10)


def test_jitter_moves_no_row_and_gaps_are_gaps(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    there = np.delete(np.arange(300), [7, 8, 9, 150, 298])
    times = utobs(there + rng.uniform(-0.04, 0.04, len(there)))
    data = spectra(len(there))
    stream = opened(write(tmp_path / "j.fits", data, times))
    assert stream.shape[0] == 300 and stream.header.sample_rate == 1 / STEP
    np.testing.assert_array_equal(stream.slots, there)
    np.testing.assert_array_equal(stream.times, times)
    block = stream.read_block(0, 300)
    assert np.flatnonzero(block.valid[:, 0, 0] == 0).tolist() == [7, 8, 9, 150, 298]
    assert np.isnan(block.data[7:10]).all()
    np.testing.assert_array_equal(block.data[there], truth(data))
    part = stream.read_block(5, 10)
    np.testing.assert_array_equal(part.data, block.data[5:15])
    assert stream.held_fraction() == pytest.approx(295 / 300)
    sums = stream.read_sums(5, 10)
    assert sums.weight[:, 0, 0].tolist() == [1, 1, 0, 0, 0, 1, 1, 1, 1, 1]


def test_larger_jitter_is_told(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    there = np.delete(np.arange(200), [50, 51, 120])
    times = utobs(there + rng.uniform(-0.3, 0.3, len(there)))
    path = write(tmp_path / "j.fits", spectra(len(there)), times)
    with pytest.warns(FastsigWarning, match=r"j\.fits: UTOBS of \d+ of 197 rows deviates from"):
        stream = opened(path)
    np.testing.assert_array_equal(stream.slots, there)
    np.testing.assert_array_equal(stream.times, times)
    assert stream.header.sample_rate == 1 / STEP


def test_wrong_times_of_a_few_rows(tmp_path: Path) -> None:
    times = utobs(np.arange(50))
    times[0] += 1e-3
    times[20], times[30], times[31] = np.nan, 0, 59001
    path = write(tmp_path / "b.fits", spectra(50), times)
    with pytest.warns(FastsigWarning, match="UTOBS of 4 of 50 rows"):
        stream = opened(path)
    np.testing.assert_array_equal(stream.slots, np.arange(50))
    assert abs(elapsed(time_from_mjd(59000, 21600), stream.start_time)) < Fraction(1, 10**6)
    assert np.isnan(stream.times[[20, 30]]).all() and stream.times[31] == 59001


def test_times_count_where_exposure_says_otherwise(tmp_path: Path) -> None:
    path = write(tmp_path / "x.fits", spectra(300), EXPOSURE=1.0)
    with pytest.warns(FastsigWarning, match="EXPOSURE = 1 s; UTOBS is used"):
        stream = opened(path)
    assert stream.header.sample_rate == 1 / STEP and stream.shape[0] == 300
    path = write(tmp_path / "z.fits", spectra(300), utobs(np.arange(300), step=Fraction("1.1")),
                 EXPOSURE=np.nan)
    assert opened(path).header.sample_rate == Fraction(10, 11)
    told = opened(write(tmp_path / "r.fits", spectra(3), EXPOSURE=0), sample_rate=str(1 / STEP))
    assert told.header.sample_rate == 1 / STEP and told.header.origin["sample_rate"] == "override"
    with pytest.raises(FormatError, match="give sample_rate="):
        opened(write(tmp_path / "one.fits", spectra(1), EXPOSURE=0))


def test_no_times_at_all(tmp_path: Path) -> None:
    path = write(tmp_path / "s.fits", spectra(4), np.arange(4) * 1.0)  # seconds, as commented
    with pytest.raises(FormatError, match=r"s\.fits: UTOBS = 0.0 is not a UTC MJD; give start"):
        opened(path)
    stream = opened(path, start_time="2021-03-04T05:06:07.5")
    assert stream.shape[0] == 4 and iso(stream.time_of(0)) == "2021-03-04T05:06:07.500000000"


def test_over_a_leap_second() -> None:
    # 2016-12-31 has 86401 s.
    times = np.array([57753 + 86399.5 / 86400, 57754 + 0.5 / 86400])
    np.testing.assert_allclose(np.diff(seconds_of(times, 57753)), [2.0], atol=2e-6)


@pytest.mark.parametrize("steps", [1, 3, 40])
def test_clock_of_few_rows(steps: int) -> None:
    seconds = np.arange(4) * steps * float(STEP)
    clock = fit([seconds], STEP)
    assert clock.step == STEP and clock.slots[0].tolist() == [0, steps, 2 * steps, 3 * steps]


def test_chunks_of_a_scan(tmp_path: Path) -> None:
    data = spectra(60)
    parts = [slice(0, 20), slice(20, 40), slice(45, 60)]
    paths = [write(tmp_path / f"p_x-M01_W_{i + 1:04d}.fits", data[part],
                   utobs(np.arange(60))[part]) for i, part in enumerate(parts)]
    stream = opened([paths[2], paths[0], paths[1]])
    assert stream.shape[0] == 60 and stream.files == [str(path) for path in paths]
    block = stream.read_block(0, 60)
    assert np.flatnonzero(block.valid[:, 0, 0] == 0).tolist() == list(range(40, 45))
    keep = np.r_[0:40, 45:60]
    np.testing.assert_array_equal(block.data[keep], truth(data)[keep])
    np.testing.assert_array_equal(stream.slots, keep)
    gone = opened([paths[0], paths[2]])
    assert gone.read_block(0, 60).valid[20:45].sum() == 0
    assert iso(gone.time_of(50)) == iso(stream.time_of(50))
    assert fs.open(str(tmp_path / "p_x-M01_W_*.fits")).shape == (60, 4, N_CHAN)


def test_files_of_other_scans_are_refused(tmp_path: Path) -> None:
    data = spectra(10)
    first = write(tmp_path / "a-M01_W_0001.fits", data)
    later = utobs(np.arange(10, 20))
    with pytest.raises(FormatError, match="begin before those of .* end"):
        opened([first, write(tmp_path / "copy.fits", data)])
    with pytest.raises(FormatError, match="the beam in its name is not that of"):
        opened([first, write(tmp_path / "a-M02_W_0001.fits", data, later)])
    with pytest.raises(FormatError, match="its channels differ from those of"):
        opened([first, write(tmp_path / "c-M01_W_0002.fits", data, later, FREQ=1001.0)])
    with pytest.raises(FormatError, match="more than a year"):
        opened([first, write(tmp_path / "d-M01_W_0002.fits", data, later + 400)])


def test_nan_is_weight_zero(tmp_path: Path) -> None:
    data = spectra(6)
    data[2, 5, 1], data[3, :, 0] = np.nan, np.inf
    stream = opened(write(tmp_path / "n.fits", data))
    block = stream.read_block(0, 6)
    assert block.valid.shape == (6, 4, N_CHAN)
    assert block.valid[2, 1, 5] == 0 and block.valid[2, 1].sum() == N_CHAN - 1
    assert not block.valid[3, 0].any() and block.valid[3, 1].all()
    mean = fs.open(tmp_path / "n.fits").integrate(n_int=2).read()
    assert mean.weight[1, 1, 5] == 0.5 and mean.values[1, 1, 5] == data[3, 5, 1]


def test_threads_read_what_one_reads(tmp_path: Path) -> None:
    data = spectra(100)
    stream = opened(write(tmp_path / "t.fits", data))
    starts = list(range(0, 90, 3))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda at: stream.read_block(at, 10).data, starts))
    for at, block in zip(starts, found, strict=True):
        np.testing.assert_array_equal(block, truth(data[at : at + 10]))
    stream.close()
    np.testing.assert_array_equal(stream.read_block(5, 5).data, truth(data[5:10]))
    stream.close()


def test_a_cut_file_gives_its_whole_rows(tmp_path: Path) -> None:
    data = spectra(8)
    path = write(tmp_path / "c.fits", data)
    raw = path.read_bytes()
    with fits.open(path) as file:
        width, begin = file[1].header["NAXIS1"], file[1].fileinfo()["datLoc"]
    for rows, more in ((5, 17), (1, width - 1), (7, 0)):
        path.write_bytes(raw[: begin + rows * width + more])
        with pytest.warns(FastsigWarning, match=r"c\.fits: .*NAXIS2 = 8; .* complete rows"):
            stream = opened(path)
        np.testing.assert_array_equal(stream.read_block(0, rows).data, truth(data[:rows]))
    for length in (0, 10, 2880, 4000, begin, begin + width - 1):
        path.write_bytes(raw[:length])
        with pytest.raises(FormatError, match=r"c\.fits: "), warnings.catch_warnings():
            warnings.simplefilter("ignore", FastsigWarning)
            opened(path)


@pytest.mark.parametrize(("change", "message"), [
    ({"NCHAN": 31}, "NCHAN = 31; DATA has 128 numbers"),
    ({"NCHAN": 0}, "NCHAN = 0"),
    ({"NCHAN": -32}, "NCHAN = -32"),
    ({"NCHAN": np.array([32, 16, 32, 32])}, "row 1: NCHAN = 16"),
    ({"CHAN_BW": 0.0}, "CHAN_BW = 0"),
    ({"CHAN_BW": np.nan}, "CHAN_BW = nan"),
    ({"CHAN_BW": np.inf}, "CHAN_BW = inf"),
    ({"FREQ": np.nan}, "FREQ = nan"),
    ({"FREQ": -1e300}, "FREQ = -1e"),
    ({"FREQ": np.array([1000, 1000, 1001, 1000])}, "row 2: FREQ = 1001"),
    ({"TDIM": "(32,4)"}, "TDIM"),
])
def test_nonsense_is_named(tmp_path: Path, change: dict, message: str) -> None:
    with pytest.raises(FormatError, match=r"h\.fits: ") as caught:
        opened(write(tmp_path / "h.fits", spectra(4), **change))
    assert message in str(caught.value)


def test_a_missing_dimension_is_told(tmp_path: Path) -> None:
    data = spectra(3)
    path = write(tmp_path / "d.fits", data.reshape(3, N_CHAN, 4))
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"TDIM21  =", b"COMMENT  "))
    with pytest.warns(FastsigWarning, match="DATA has no TDIM"):
        stream = opened(path)
    np.testing.assert_array_equal(stream.read_block(0, 3).data, truth(data))


def test_headers_with_changed_bytes(tmp_path: Path) -> None:
    path = write(tmp_path / "h.fits", spectra(4))
    raw = path.read_bytes()
    with fits.open(path) as file:
        begin = file[1].fileinfo()["datLoc"]
    # Cards of the table, and the columns of the first row before DATA.
    change_bytes(raw, tmp_path / "x.fits", lambda rng: int(rng.integers(2880, begin + 200)),
                 lambda name: spectral.open(name))


@pytest.mark.parametrize("exposure", [1e-300, 1e300, -1.0, np.inf, 5e-324])
@pytest.mark.parametrize("time", [MJD, 88068.9, 1e300])
def test_hostile_times(tmp_path: Path, exposure: float, time: float) -> None:
    times = np.append(utobs(np.arange(9)), time)
    path = write(tmp_path / "e.fits", spectra(10), times, EXPOSURE=exposure)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of years to come, too
        try:
            stream = opened(path)
        except FastsigError as error:
            assert "e.fits" in str(error)
            return
    assert stream.shape[0] == 10 and stream.read_block(0, 10).data.shape == (10, 4, N_CHAN)


def test_sniffing(tmp_path: Path) -> None:
    path = write(tmp_path / "noname", spectra(2))
    assert spectral.sniff(Probe(path))
    assert fs.info(path)["format"] == "fast_spectral"
    other = tmp_path / "image.fits"
    fits.PrimaryHDU(np.zeros((3, 3))).writeto(other)
    assert not spectral.sniff(Probe(other))


def test_products_round_trip(tmp_path: Path) -> None:
    data = spectra(20)
    chain = fs.open(write(tmp_path / "p.fits", data, utobs(np.r_[0:10, 12:22])))
    chain.write(tmp_path / "p.h5")
    again = fs.open(tmp_path / "p.h5")
    np.testing.assert_array_equal(again.read().values, chain.read().values)
    np.testing.assert_array_equal(again.read().weight[:, :, 0], chain.read().weight[:, :, 0])
    assert again.header.channels == chain.header.channels
    assert again.header.extra["utobs"] == "start"
