"""Recorded and written spectra as other packages read them, each in a process of its own.

What differs is pinned here, with the clause that decides. Others are beside the formats: blimpy,
xarray and sigpyproc on FBH5 in `test_fbh5`, astropy on every SDFITS column in `test_sdfits`.
"""

from __future__ import annotations

import importlib.util
import os
import re
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import peers
import pytest
import test_hifast
import test_psrfits_writer
import test_sigproc
from astropy.io import fits
from recordings import recorded

import fastsig as fs
from fastsig.errors import FastsigWarning
from fastsig.io.hifast import reader as hifast
from fastsig.io.presto.writer import PrestoWriter

#: What each prints of a file: data (time, chan), channels in the order of the file, and its clock.
PEERS = {
    "blimpy": """
from blimpy import Waterfall
def look(path, n):
    file = Waterfall(path)
    head = file.header
    return dict(data=file.data[:n, 0], all=file.data, freqs=file.get_freqs(), tstart=head["tstart"],
                tsamp=head["tsamp"], ra=head["src_raj"].to_value("deg"),
                dec=head["src_dej"].to_value("deg"), source=str(head["source_name"]))
""",
    "sigpyproc": """
from astropy.utils.data import conf
conf.allow_internet = False
from sigpyproc.readers import FilReader, PFITSReader
from sigpyproc.timeseries import TimeSeries
def look(path, n):
    if path.endswith((".dat", ".tim")):
        file = getattr(TimeSeries, "from_" + path[-3:])(path)
        data, freqs = file.data[:n, None], [file.header.fch1]
    else:
        file = (PFITSReader if path.endswith(".fits") else FilReader)(path)
        data = file.read_block(0, min(n, file.header.nsamples)).data.T
        freqs = file.header.chan_freqs
    head = file.header
    return dict(data=data, n=head.nsamples, freqs=freqs, tstart=head.tstart, tsamp=head.tsamp,
                source=head.source)
""",
    "your": """
import your
def look(path, n):
    file = your.Your(path)
    head = file.your_header
    data = file.get_data(0, min(n, head.nspectra), npoln=4 if head.npol == 4 else 1)
    return dict(data=data, n=head.nspectra, freqs=file.chan_freqs, tstart=head.tstart,
                tsamp=head.native_tsamp, ra=head.ra_deg, dec=head.dec_deg)
""",
}
_RUN = """
import sys
import numpy as np
{}
for number, path in enumerate(sys.argv[1:]):
    np.savez(f"{{number}}.npz", **look(path, 1000))
"""


def look(peer: str, paths: list[Path], folder: Path) -> list[dict[str, Any]]:
    """What a package makes of files."""
    if importlib.util.find_spec(peer) is None:
        pytest.skip({"sigpyproc": "sigpyproc needs Python 3.12 or newer"}.get(
            peer, f"{peer} is not installed"))
    peers.run(peer, _RUN.format(PEERS[peer]), *paths, cwd=folder)
    return [dict(np.load(folder / f"{number}.npz")) for number in range(len(paths))]


def opened(path: Path, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FastsigWarning)
        return fs.open(path, **options).stream


FILES = {
    # It refuses codes below 8 bits, and time series.
    "blimpy": ("sigpyproc/parkes_8bit_2.fil", "setigen/sample.fil", "your/28.fil",
               "your/small.fil", "fbh5_derived/gbt_sgrb2_fine.h5"),
    "sigpyproc": (*(f"sigpyproc/parkes_{bits}.fil" for bits in ("1bit", "2bit", "4bit", "8bit_1")),
                  "sigpyproc/tutorial.fil", "your/28.fil", "setigen/sample.fil", "your/28.fits",
                  "your/small.fits", "sigpyproc/GBT_J1807-0847.dat",
                  "sigpyproc/GBT_J1807-0847.tim"),
    # It refuses codes below 8 bits.
    "your": ("your/28.fil", "your/28.fits", "your/small.fil", "your/small.fits",
             "sigpyproc/parkes_8bit_2.fil", "setigen/sample.fil"),
}


@pytest.mark.recorded
@pytest.mark.parametrize("peer", PEERS)
def test_recorded_spectra_as_others_read_them(peer: str, tmp_path: Path) -> None:
    paths = [recorded(name) for name in FILES[peer]]
    for path, seen in zip(paths, look(peer, paths, tmp_path), strict=True):
        stream = opened(path)
        header, n = stream.header, len(seen["data"])
        np.testing.assert_array_equal(stream.read_block(0, n).data[:, 0, ::-1], seen["data"])
        assert int(seen.get("n", stream.shape[0])) == stream.shape[0]
        # A day number in float64 has steps of 0.6 us; PRESTO's text has more digits than that.
        assert stream.start_time.mjd == pytest.approx(float(seen["tstart"]), abs=1.5e-11)
        assert float(seen["tsamp"]) == float(1 / header.sample_rate)
        if path.suffix == ".dat":
            # One channel stands for the whole band here. sigpyproc gives the centre of the highest
            # of the channels that were added (ioinf.c: low channel + (n - 1) widths).
            assert float(seen["freqs"][0]) == pytest.approx(
                header.channels.edges_hz[1] / 10**6 - 0.390625)
        elif header.channels is not None:
            np.testing.assert_allclose(stream.frequency.value[::-1], seen["freqs"], rtol=1e-7)
        if "ra" in seen:
            assert header.ra_deg == pytest.approx(float(seen["ra"]), abs=1e-9)
            assert header.dec_deg == pytest.approx(float(seen["dec"]), abs=1e-9)


# What is written.


@pytest.mark.parametrize("peer", PEERS)
def test_written_filterbanks(peer: str, tmp_path: Path) -> None:
    n_if = 4 if peer == "blimpy" else 1  # the others know one IF
    data = test_sigproc.random_codes(60, 8, n_if)
    # your takes 16 bits for signed ones; SIGPROC has them unsigned, and these are below 2^15.
    paths = [tmp_path / f"{n_bits}.fil" for n_bits in (8, 16, 32)]
    for path in paths:
        test_sigproc.written(path, data, n_bits=int(path.stem))
    head = test_sigproc.head_of(data.shape)
    for seen in look(peer, paths, tmp_path):
        np.testing.assert_array_equal(seen["data"][:, ::-1], data[:, 0])
        np.testing.assert_array_equal(seen.get("all", data[:, :, ::-1])[:, :, ::-1], data)
        np.testing.assert_allclose(seen["freqs"][::-1], head.channels.centers.value, rtol=1e-7)
        assert float(seen["tsamp"]) == 4.9152e-05
        assert str(seen.get("source", "B0531+21")) == "B0531+21"
        assert float(seen["tstart"]) == pytest.approx(head.start_time.mjd, abs=1e-11)
        if "ra" in seen:
            assert float(seen["ra"]) == pytest.approx(83.633125, abs=1e-9)


@pytest.mark.parametrize("n_pol", [1, 4])
def test_your_reads_psrfits_as_codes(n_pol: int, tmp_path: Path) -> None:
    """It rounds scaled values to the type of DATA, and gives all products the first one's scales.

    The definition (5.4, SUBINT) has DAT_SCL and DAT_OFFS of NCHAN x NPOL elements, and values as
    ``DATA DAT_SCL + DAT_OFFS``, which are no codes.
    """
    x = test_psrfits_writer.spectra(192, n_pol)
    path = tmp_path / "a.fits"
    test_psrfits_writer.write(path, test_psrfits_writer.header(n_pol), x, n_block=64)
    seen = look("your", [path], tmp_path)[0]
    found = opened(path).read_block(0, 192).data
    np.testing.assert_allclose(seen["freqs"], opened(path).frequency.value, rtol=1e-12)
    assert float(seen["tstart"]) == pytest.approx(59000.5 + 0.123456789 / 86400, abs=1e-11)
    codes = seen["data"].reshape(192, n_pol, -1)
    assert codes.dtype == np.uint8
    wrapped = (codes[:, 0] - found[:, 0] + 128) % 256 - 128
    assert np.abs(wrapped).max() <= 0.5 + 1e-4
    if n_pol == 4:
        with fits.open(path) as file:
            rows = file["SUBINT"].data
            shape = 3, 64, 4, test_psrfits_writer.N_CHAN
            scales = [rows[key].reshape(3, 1, 4, -1)[:, :, :1] for key in ("DAT_SCL", "DAT_OFFS")]
            theirs = (rows["DATA"].reshape(shape) * scales[0] + scales[1]).reshape(192, 4, -1)
        wrapped = (codes - theirs + 128) % 256 - 128
        assert np.abs(wrapped).max() <= 0.5 + 1e-4


@pytest.mark.parametrize("name", ["dat", "tim"])
def test_written_time_series(name: str, tmp_path: Path) -> None:
    head = test_sigproc.head_of((50, 1, 1))
    data = np.random.default_rng(3).normal(100, 9, (50, 1, 1)).astype(np.float32)
    path = tmp_path / f"a.{name}"
    if name == "dat":
        with PrestoWriter(path, head, data.shape) as writer:
            writer.append(data, np.ones((50, 1, 1), np.float32))
    else:
        test_sigproc.written(path, data, head=head, n_bits=32)
    seen = look("sigpyproc", [path], tmp_path)[0]
    np.testing.assert_array_equal(seen["data"][:, 0], data[:, 0, 0])
    assert float(seen["tstart"]) == pytest.approx(head.start_time.mjd, abs=1e-11)
    assert float(seen["tsamp"]) == 4.9152e-05 and str(seen["source"]) == "B0531+21"


# FITS Standard 4.0, 3.1 and 7.3; PSRFITS definition 5.4: units and types of SUBINT's columns.
_TYPES = {
    **dict.fromkeys(("TSUBINT", "OFFS_SUB", "LST_SUB"), ("D", "s")),
    **dict.fromkeys(("RA_SUB", "DEC_SUB", "GLON_SUB", "GLAT_SUB"), ("D", "deg")),
    **dict.fromkeys(("FD_ANG", "POS_ANG", "PAR_ANG", "TEL_AZ", "TEL_ZEN"), ("E", "deg")),
    "DAT_FREQ": ("D", "MHz"), "DAT_WTS": ("E", None), "DAT_OFFS": ("E", None),
    "DAT_SCL": ("E", None),
}
_BYTES = {"B": 1, "I": 2, "E": 4, "D": 8}


@pytest.mark.parametrize("n_bits", [8, 16, 32])
def test_psrfits_as_a_verifier_looks_at_it(n_bits: int, tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    x = test_psrfits_writer.spectra(100, 2)
    test_psrfits_writer.write(path, test_psrfits_writer.header(2), x, n_block=64, n_bits=n_bits)
    raw = path.read_bytes()
    assert len(raw) % 2880 == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fits.open(path, lazy_load_hdus=False) as file:
            file.verify("exception")
            for unit in file:
                unit.filebytes()  # sizes fit
            assert file[0].header["NAXIS"] == 0
            table, places = file[1], [unit.fileinfo() for unit in file]
            head = table.header
            assert list(head)[:8] == ["XTENSION", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "PCOUNT",
                                      "GCOUNT", "TFIELDS"]
            forms = [re.fullmatch(r"(\d+)(\w)", head[f"TFORM{i}"]).groups()
                     for i in range(1, head["TFIELDS"] + 1)]
            assert sum(int(n) * _BYTES[code] for n, code in forms) == head["NAXIS1"]
            for column, (_, code) in zip(table.columns, forms, strict=True):
                assert re.fullmatch(r"[A-Z_]{1,8}", column.name)
                if column.name != "DATA":
                    assert (code, column.unit) == _TYPES[column.name], column.name
            dim = [int(n) for n in re.findall(r"\d+", head[f"TDIM{head['TFIELDS']}"])]
            assert np.prod(dim) == int(forms[-1][0]) and dim == [1, 24, 2, 64]
            assert not [key for key in head if key.startswith(("TSCAL", "TZERO", "TNULL"))]
    for place in places:  # cards are ASCII and printable, and none comes twice
        cards = [raw[at : at + 80] for at in range(place["hdrLoc"], place["datLoc"], 80)]
        assert all(32 <= byte < 127 for card in cards for byte in card)
        end = cards.index(b"END".ljust(80))
        assert not any(card.strip() for card in cards[end + 1 :])
        keys = [card[:8].rstrip() for card in cards[:end]]
        assert len(set(keys)) == len(keys)
        assert all(card[8:10] == b"= " for card in cards[:end])
    filled = raw[places[1]["datLoc"] + head["NAXIS1"] * head["NAXIS2"] :]
    assert not any(filled)  # 3.3.2: zeros fill the last block


def test_hifast_as_h5py_reads_it(tmp_path: Path) -> None:
    values = test_hifast.group(n_row=9)
    stream = opened(test_hifast.write(tmp_path / "a-M01_W.hdf5", values))
    path = test_hifast.rewritten(stream, tmp_path / "b-M01_W.hdf5")
    assert hifast.open(str(path)).header.channels == stream.header.channels
    with h5py.File(path) as file:
        data = file["S/Ta"][()]
        assert data.dtype == np.float32 and data.shape == (2, 9, test_hifast.N_CHAN)
        np.testing.assert_array_equal(data, values["Ta"])
        # HiFAST cuts time by row, frequency by label: both are one number a row and a channel.
        assert file["S/mjd"].shape == (9,) and file["S/freq"].shape == (test_hifast.N_CHAN,)
        np.testing.assert_allclose(np.diff(file["S/mjd"][()]) * 86400, float(test_hifast.STEP),
                                   atol=1e-6)
    assert os.path.getsize(path) < 2**20
