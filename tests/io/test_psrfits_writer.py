"""PSRFITS as it is written: read back by astropy and NumPy, by the reader, by sigpyproc."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

import fastsig as fs
from fastsig.axes.diode_schedule import DiodeSchedule
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PolBasis
from fastsig.axes.time import elapsed, time_from_mjd
from fastsig.errors import OutputError, PlanError, UsageError
from fastsig.io.files.cards import decimal_text
from fastsig.io.psrfits.writer import PsrfitsWriter
from fastsig.stream.header import Header

N_CHAN = 24
NAMES = {1: ("I",), 2: ("AA", "BB"), 4: ("AA", "BB", "CR", "CI")}
ONE = np.ones((1, 1, 1), np.float32)

# SUBINT of the definition (5.4) in search mode, in the order that FAST has.
COLUMNS = ["TSUBINT", "OFFS_SUB", "LST_SUB", "RA_SUB", "DEC_SUB", "GLON_SUB", "GLAT_SUB", "FD_ANG",
           "POS_ANG", "PAR_ANG", "TEL_AZ", "TEL_ZEN", "DAT_FREQ", "DAT_WTS", "DAT_OFFS", "DAT_SCL",
           "DATA"]


def header(n_pol: int = 2, **changes: Any) -> Header:
    first = ChannelAxis(Fraction(1_000_061_035), Fraction(500_000_000, 4096), N_CHAN)
    return Header(
        time_from_mjd(59000, Fraction("43200.123456789")), 1 / Fraction("0.000049152"), first,
        polarization=PolBasis("linear", NAMES[n_pol]), telescope="FAST", receiver="19BEAM",
        backend="ROACH2", source="B0531+21", beam=3, ra_deg=83.633, dec_deg=22.0145,
        extra={"PROJID": "N2024_1", "OBSERVER": "someone", "FD_HAND": "-1", "zero_off": "signed"},
    ).replace(**changes)


def spectra(n: int, n_pol: int = 2, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.gamma(9, 7, (n, n_pol, N_CHAN)) * np.linspace(1, 3, N_CHAN)
            * np.array([1, 5, 0.2, 0.1])[:n_pol, None]).astype("f4")


def write(path: Path, head: Header, x: np.ndarray, weight: np.ndarray = ONE, step: int = 100,
          **options: Any) -> PsrfitsWriter:
    with PsrfitsWriter(path, head, x.shape, **options) as writer:
        for start in range(0, len(x), step):
            part = weight if len(weight) == 1 else weight[start : start + step]
            writer.append(x[start : start + step], part)
    return writer


def quantum(x: np.ndarray, n_block: int, n_bits: int) -> np.ndarray:
    """The step of every value: of the range of its row."""
    steps = np.empty(x.shape)
    for start in range(0, len(x), n_block):
        rows = slice(start, start + n_block)
        steps[rows] = (x[rows].max(axis=0).astype(float) - x[rows].min(axis=0)) / (2**n_bits - 1)
    return steps


def by_astropy(path: Path) -> np.ndarray:
    """All spectra, ascending, with nothing of fastsig."""
    with fits.open(path) as file:
        rows, cards = file["SUBINT"].data, file["SUBINT"].header
        shape = cards["NPOL"], cards["NCHAN"]
        out = []
        for row in rows:
            codes = row["DATA"].reshape(cards["NSBLK"], *shape).astype("f4")
            out.append((codes - np.float32(cards["ZERO_OFF"])) * row["DAT_SCL"].reshape(shape)
                       + row["DAT_OFFS"].reshape(shape))
        found = np.concatenate(out)[: cards["NSTOT"]]
        return found[:, :, ::-1] if rows["DAT_FREQ"][0][0] > rows["DAT_FREQ"][0][-1] else found


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("n_bits", [8, 16, 32])
@pytest.mark.parametrize("n_pol", [1, 2, 4])
def test_round_trip(n_pol: int, n_bits: int, descending: bool, tmp_path: Path) -> None:
    x, head = spectra(230, n_pol), header(n_pol)
    write(tmp_path / "a.fits", head, x, n_bits=n_bits, n_block=64, descending=descending)
    stream = fs.open(tmp_path / "a.fits").stream
    block = stream.read_block(0, len(x))
    assert stream.shape == x.shape and (block.valid == 1).all()
    if n_bits == 32:
        np.testing.assert_array_equal(block.data, x)
    else:
        # Half a step; and float32's rounding of numbers as large as the offset.
        bound = 0.5 * quantum(x, 64, n_bits) + 4 * 2.0**-24 * np.abs(x).max() * (
            1 if n_bits == 8 else 2)
        assert (np.abs(block.data.astype(float) - x) <= bound).all()
    np.testing.assert_array_equal(by_astropy(tmp_path / "a.fits"), block.data)
    for field in ("sample_rate", "channels", "polarization", "telescope", "receiver", "backend",
                  "source", "beam"):
        assert getattr(stream.header, field) == getattr(head, field), field
    assert abs(elapsed(stream.start_time, head.start_time)) < Fraction(2, 10**11)
    assert stream.header.ra_deg == pytest.approx(83.633, abs=1e-9)
    assert stream.header.dec_deg == pytest.approx(22.0145, abs=1e-9)
    assert stream.header.n_bits == n_bits and stream.header.extra["PROJID"] == "N2024_1"


def test_whole_numbers_are_exact(tmp_path: Path) -> None:
    x = np.random.default_rng(1).integers(-30, 226, (150, 2, N_CHAN)).astype("f4")
    x[40] = x[90, 1] = 17
    write(tmp_path / "a.fits", header(), x, n_block=50)
    np.testing.assert_array_equal(fs.open(tmp_path / "a.fits").read().values, x)


def test_layout(tmp_path: Path) -> None:
    x = spectra(200, 4)
    write(tmp_path / "a.fits", header(4), x, n_block=64)
    with fits.open(tmp_path / "a.fits") as file:
        file.verify("exception")
        assert [unit.name for unit in file] == ["PRIMARY", "SUBINT"]
        head, table = file[0].header, file[1]
        assert table.columns.names == COLUMNS
        assert table.columns["DATA"].dim == f"(1,{N_CHAN},4,64)"
        units = {column.name: column.unit for column in table.columns}
        assert units["DAT_FREQ"] == "MHz" and units["OFFS_SUB"] == "s" and units["TEL_AZ"] == "deg"
        cards = table.header
        assert {key: cards[key] for key in ("NBITS", "NPOL", "NSBLK", "NCHAN", "NBIN", "NSUBOFFS",
                                            "ZERO_OFF", "SIGNINT", "NSTOT")} == {
            "NBITS": 8, "NPOL": 4, "NSBLK": 64, "NCHAN": N_CHAN, "NBIN": 1, "NSUBOFFS": 0,
            "ZERO_OFF": 0.0, "SIGNINT": 0, "NSTOT": 200}
        assert cards["POL_TYPE"] == "AABBCRCI" and cards["TBIN"] == 0.000049152
        assert cards["INT_TYPE"] == "TIME" and cards["CHAN_BW"] == 500 / 4096
        assert head["FITSTYPE"] == "PSRFITS" and head["OBS_MODE"] == "SEARCH"
        assert head["STT_IMJD"] == 59000 and head["STT_SMJD"] == 43200
        assert head["STT_OFFS"] == 0.123456789 and head["DATE-OBS"] == "2020-05-31T12:00:00.123"
        assert head["FD_POLN"] == "LIN" and head["FD_HAND"] == -1 and head["OBSERVER"] == "someone"
        assert head["OBSNCHAN"] == N_CHAN and head["ANT_X"] == -1668557.2070983793
        length = 64 * 0.000049152
        np.testing.assert_allclose(table.data["OFFS_SUB"], (np.arange(4) + 0.5) * length,
                                   rtol=1e-15)
        np.testing.assert_allclose(table.data["TSUBINT"], length, rtol=1e-15)
        assert (table.data["TEL_AZ"] == 0).all() and (table.data["TEL_ZEN"] == 0).all()
        # Galactic coordinates of the Crab pulsar: l = 184.56, b = -5.78.
        np.testing.assert_allclose(table.data["GLON_SUB"], 184.56, atol=0.01)
        np.testing.assert_allclose(table.data["GLAT_SUB"], -5.78, atol=0.01)
        assert (table.data["DAT_WTS"] == 1).all()


def test_several_files(tmp_path: Path) -> None:
    x = spectra(430)
    writer = write(tmp_path / "s_{file}.fits", header(), x, n_block=64, file_rows=3)
    names = sorted(str(path) for path in tmp_path.iterdir())
    assert names == writer.files == [str(tmp_path / f"s_{i:04d}.fits") for i in range(3)]
    for name, before, rows, n_time in zip(names, (0, 3, 6), (3, 3, 1), (192, 192, 46), strict=True):
        with fits.open(name) as file:
            file.verify("exception")
            cards = file[1].header
            assert (cards["NSUBOFFS"], cards["NAXIS2"], cards["NSTOT"]) == (before, rows, n_time)
    whole = fs.open(names).stream
    assert whole.shape == x.shape and whole.held_fraction() == 1
    write(tmp_path / "one.fits", header(), x, n_block=64)
    one = fs.open(tmp_path / "one.fits").stream
    np.testing.assert_array_equal(whole.read_block(0, 430).data, one.read_block(0, 430).data)
    middle = fs.open(names[1]).stream
    assert elapsed(whole.start_time, middle.start_time) == pytest.approx(192 * 0.000049152,
                                                                         abs=1e-10)
    with_gap = fs.open([names[0], names[2]]).stream.read_block(0, 430)
    assert not with_gap.valid[192:384].any() and with_gap.valid[384:].all()
    with pytest.raises(UsageError, match=r"needs 3 files; allowed: a name with \{file\}"):
        PsrfitsWriter(tmp_path / "b.fits", header(), x.shape, n_block=64, file_rows=3)


def test_same_bytes_whatever_the_pieces(tmp_path: Path) -> None:
    x = spectra(230)
    x[70, 1, 3] = np.nan
    for name, step in (("a", 230), ("b", 1), ("c", 67)):
        write(tmp_path / f"{name}.fits", header(), x, step=step, n_block=64)
    raw = {(tmp_path / f"{name}.fits").read_bytes() for name in "abc"}
    assert len(raw) == 1 and len(raw.pop()) % 2880 == 0


def test_weights(tmp_path: Path) -> None:
    x = spectra(192)
    weight = np.ones((192, 2, N_CHAN), np.float32)
    weight[:64, :, 5] = 0  # a row of a channel
    weight[64:80, :, 7] = 0.5  # on the mean (48 + 8) / 64
    weight[128:136, 1, 9] = 0  # half of 8 of 64
    data = np.where(weight == 0, np.nan, x).astype("f4")
    write(tmp_path / "a.fits", header(), data, weight, n_block=64)
    with fits.open(tmp_path / "a.fits") as file:
        told = file[1].data["DAT_WTS"]
    expected = np.ones((3, N_CHAN))
    expected[0, 5], expected[1, 7], expected[2, 9] = 0, 0.875, 0.9375
    np.testing.assert_array_equal(told, expected.astype("f4"))
    block = fs.open(tmp_path / "a.fits").stream.read_block(0, 192)
    lost = np.zeros(x.shape, bool)
    lost[:64, :, 5] = True
    np.testing.assert_array_equal(np.broadcast_to(block.valid, x.shape) == 0, lost)
    # What is lost alone became the mean of the rest of the row.
    rest = x[136:192, 1, 9].mean()
    step = (x[136:192, 1, 9].max() - x[136:192, 1, 9].min()) / 255
    assert np.abs(block.data[128:136, 1, 9] - rest).max() <= 0.51 * step
    good = ~lost & (weight > 0)
    assert (np.abs(block.data - x)[good] <= 0.51 * quantum(x, 64, 8)[good]).all()
    floats = tmp_path / "b.fits"
    write(floats, header(), data, weight, n_block=64, n_bits=32, blank="nan")
    block = fs.open(floats).stream.read_block(0, 192)
    np.testing.assert_array_equal(block.data, data)


def test_what_is_lost_is_told() -> None:
    shape = (2000, 2, N_CHAN)
    assert PsrfitsWriter.losses(header(), shape, False, n_bits=32) == []
    told = PsrfitsWriter.losses(header(), shape, False)
    assert len(told) == 1
    assert "rounded to 8 bits: by at most half of 1/255 of the range of 1000" in told[0]
    told = PsrfitsWriter.losses(header(), (100, 2, N_CHAN), True, n_bits=16)
    assert "1/65535 of the range of 100 spectra" in told[0]
    assert "one weight for 100 spectra" in told[1]
    axis = header().channels
    assert axis is not None
    odd = header(diode=DiodeSchedule(100, 50), n_sum=8, source="Sgr A\u2605",
                 channels=ChannelAxis(axis.first_hz, axis.step_hz, N_CHAN, 0),
                 extra={"long": "x", "NAME_TOO_LONG": "1"})
    odd = odd.replace(polarization=PolBasis("linear", ("AA", "BB"), sign_v=-1))
    told = PsrfitsWriter.losses(odd, shape, False, n_bits=32)
    for part in ("signs of Q and V", "noise diode", "half a channel's band", "a value averages",
                 "changed: source", "no card for NAME_TOO_LONG"):
        assert any(part in text for text in told), part


def test_what_is_refused(tmp_path: Path) -> None:
    shape = (100, 2, N_CHAN)
    for change, match in (({"n_bits": 4}, "bits = 4; allowed for psrfits: 8, 16, 32"),
                          ({"n_block": 0}, "n_block = 0"), ({"file_rows": 0}, "file_rows = 0"),
                          ({"axes": 5}, "axes = 5; allowed: 4, 3")):
        with pytest.raises(UsageError, match=match):
            PsrfitsWriter(tmp_path / "a.fits", header(), shape, **change)
    with pytest.raises(PlanError, match="1, 2 or 4 products, not 3"):
        PsrfitsWriter(tmp_path / "a.fits", header(), (100, 3, N_CHAN))
    with pytest.raises(PlanError, match="frequencies of channels"):
        PsrfitsWriter(tmp_path / "a.fits", header(channels=None), shape)
    with pytest.raises(UsageError, match="100 of 200 announced rows"):
        write(tmp_path / "a.fits", header(), spectra(100), n_block=64, step=100) and None
        with PsrfitsWriter(tmp_path / "b.fits", header(), (200, 2, N_CHAN)) as writer:
            writer.append(spectra(100), ONE)
    with pytest.raises(UsageError, match="more rows than the 100"), PsrfitsWriter(
            tmp_path / "c.fits", header(), shape) as writer:
        writer.append(spectra(101), ONE)
    with pytest.raises(OutputError, match="exists; give overwrite=True"):
        PsrfitsWriter(tmp_path / "a.fits", header(), shape)
    assert os.listdir(tmp_path) == ["a.fits"]


def test_nothing_is_left_of_a_broken_run(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), PsrfitsWriter(
            tmp_path / "a_{file}.fits", header(), (300, 2, N_CHAN), n_block=64, file_rows=2
    ) as writer:
        writer.append(spectra(200), ONE)
        raise RuntimeError
    assert not os.listdir(tmp_path)


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> int:
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match=r"a\.fits: cannot be written: No space left"), (
            PsrfitsWriter(tmp_path / "a.fits", header(), (300, 2, N_CHAN), n_block=64)) as writer:
        monkeypatch.setattr(os, "pwritev", full)
        writer.append(spectra(300), ONE)
    assert not os.listdir(tmp_path)


def test_texts_that_look_like_numbers(tmp_path: Path) -> None:
    head = header(source="1937", extra={"OBSERVER": "007", "CHAN_DM": "56.7", "DM": "12.5"})
    write(tmp_path / "a.fits", head, spectra(20))
    with fits.open(tmp_path / "a.fits") as file:
        assert file[0].header["SRC_NAME"] == "1937" and file[0].header["OBSERVER"] == "007"
        assert file[0].header["CHAN_DM"] == 56.7 and file[1].header["DM"] == 12.5
    assert fs.open(tmp_path / "a.fits").header.source == "1937"


@pytest.mark.parametrize("n_pol", [1, 4])
def test_sigpyproc_reads_the_same(n_pol: int, tmp_path: Path) -> None:
    pytest.importorskip("sigpyproc", reason="sigpyproc needs Python 3.12 or newer")
    pfits = pytest.importorskip("sigpyproc.io.pfits")
    x = spectra(192, n_pol)
    write(tmp_path / "a.fits", header(n_pol), x, n_block=64, axes=3)
    seen = pfits.PFITSFile(str(tmp_path / "a.fits"))
    found = np.concatenate([seen.read_subint(row) for row in range(3)])
    # It multiplies and adds with one rounding.
    np.testing.assert_allclose(found, fs.open(tmp_path / "a.fits").read().values, rtol=3e-7)
    seen.close()
    assert seen.pri_hdr.tstart.mjd == pytest.approx(59000.5 + 0.123456789 / 86400, abs=1e-11)


@pytest.mark.parametrize("descending", [False, True])
def test_floats_have_no_nan_for_lost_values(tmp_path: Path, descending: bool) -> None:
    # PRESTO and dspsr do not know NaN: one makes all of a spectrum or a time series NaN.
    x, weight = spectra(150), np.ones((150, 1, N_CHAN), np.float32)
    weight[10:20, :, 3] = weight[50:100, :, 4] = weight[:50, :, 5] = 0
    x[weight[:, 0, 0] == 0] = np.nan
    x[30, 1, 6] = np.nan  # one product alone, of weight 1
    for blank in ("mean", "zero", "nan"):
        write(tmp_path / f"{blank}.fits", header(), x, weight, n_bits=32, n_block=50,
              descending=descending, blank=blank)
    mean, zero, nan = (by_astropy(tmp_path / f"{name}.fits") for name in ("mean", "zero", "nan"))
    lost = np.broadcast_to(weight == 0, x.shape) | ~np.isfinite(x)
    assert np.isfinite(mean).all() and (zero[lost] == 0).all() and np.isnan(nan[lost]).all()
    for found in (mean, zero, nan):
        np.testing.assert_array_equal(found[~lost], x[~lost])
    row = np.where(lost, np.nan, x).astype(float)[:50]
    for channel in (3, 6):
        expected = np.nanmean(row[:, 1, channel])
        np.testing.assert_allclose(mean[:50][lost[:50, 1, channel], 1, channel], expected, 1e-6)
    np.testing.assert_allclose(mean[50:100, :, 4], np.tile(x[:50, :, 4].mean(axis=0), (50, 1)),
                               1e-5)
    assert (mean[:50, :, 5] == 0).all()
    with fits.open(tmp_path / "mean.fits") as file:
        weights = file["SUBINT"].data["DAT_WTS"][:, ::-1 if descending else 1]
    assert weights[0, 3] == np.float32(0.8) and weights[1, 4] == 0 and weights[0, 5] == 0
    block = fs.open(tmp_path / "mean.fits").stream.read_block(0, 150)
    assert (block.valid[50:100, 0, 4] == 0).all() and np.isnan(block.data[50:100, :, 4]).all()


@pytest.mark.parametrize("n_bits", [8, 16])
def test_a_row_that_is_lost_has_the_level_of_the_one_before(tmp_path: Path, n_bits: int) -> None:
    x = np.random.default_rng(5).integers(1000, 1200, (150, 1, N_CHAN)).astype("f4")
    weight = np.ones((150, 1, N_CHAN), np.float32)
    weight[50:100] = weight[3, :, 2] = 0
    for level in (None, 1000):
        path = tmp_path / f"{level}.fits"
        write(path, header(1), x, weight, n_bits=n_bits, n_block=50, level=level)
        found = by_astropy(path)
        kept = np.broadcast_to(weight == 1, x.shape)
        np.testing.assert_array_equal(found[kept], x[kept])
        mean = np.delete(x[:50, 0, 2], 3).mean()
        assert abs(found[3, 0, 2] - mean) <= 0.5 and abs(found[75, 0, 2] - mean) <= 1


def test_blank_is_for_floats(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="blank = 'nan' with 8 bits; allowed for psrfits: mean"):
        PsrfitsWriter(tmp_path / "a.fits", header(), (10, 2, N_CHAN), n_bits=8, blank="nan")
    assert "become NaN" in "".join(PsrfitsWriter.losses(
        header(), (10, 2, N_CHAN), True, n_bits=32, blank="nan"))


def test_tiny_and_huge_numbers_fit_a_card() -> None:
    for value in (Fraction(1, 7 * 10**59), Fraction(1, 3 * 10**29), Fraction(10**90, 7),
                  Fraction(10**29, 3), Fraction(-1, 10**90), Fraction(0)):
        text = decimal_text(value)
        assert len(text) <= 68
        assert abs(Fraction(text) - value) <= abs(value) / 10**29
