"""All header values of every format by their own names: ``info --cards``."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from cli import fastsig
from hostile import FORMATS, cases
from streams import MemorySpectra, header

import fastsig as fs
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PolBasis
from fastsig.chain import Chain
from fastsig.io.sigproc.header import KEYWORDS, encode

#: Keys that a recording of the format has, one of them a value that `Header` has a field for.
KEYS: dict[str, set[str]] = {
    "sigproc": {"nchans", "tsamp", "fch1", "nbits"}, "presto": {"object", "bins", "width_s"},
    "vdif": {"seconds", "frame_nr", "bits_per_sample", "station_id"},
    "drx": {"decimation", "tuning", "tag"}, "dada": {"NBIT", "TSAMP"},
    "guppi": {"NBITS", "TBIN", "BLOCSIZE"}, "psrfits": {"NCHAN", "TBIN"},
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_lists_its_header(name: str, tmp_path: Path) -> None:
    if name == "raw":
        pytest.skip("raw samples have no header")
    case = cases(name, tmp_path)[0]
    paths = [os.path.join(case.folder, each).rstrip("/") for each in case.paths]
    found = fs.info(paths, cards=True, **case.overrides)["cards"]
    keys = {key for section in found.values() for key in section}
    assert keys and keys >= KEYS.get(name, set())


def test_a_fil_lists_what_was_written(tmp_path: Path) -> None:
    values: dict[str, Any] = {
        "telescope_id": 6, "machine_id": 20, "data_type": 1, "source_name": "B0329+54",
        "src_raj": 33259.37, "tstart": 60000.25, "tsamp": 1e-3, "nbits": 8, "nifs": 1,
        "fch1": 1500.0, "foff": -1.0, "nchans": 4, "refdm": 26.8, "signed": 0}
    assert values.keys() <= KEYWORDS.keys()
    path = tmp_path / "x.fil"
    path.write_bytes(encode(values) + bytes(40))
    assert fs.info(path, cards=True)["cards"] == {"header": values}
    lines = [line.split() for line in fastsig("info", "--cards", path).stdout.splitlines()]
    assert ["nchans", "4"] in lines and ["tsamp", "0.001"] in lines and ["refdm", "26.8"] in lines


def test_members_of_an_hdf5_file(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    head = header(10).replace(polarization=PolBasis("linear", names=("I",)),
                              channels=ChannelAxis(Fraction(10**9), Fraction(10**6), 4))
    Chain(MemorySpectra(np.ones((3, 1, 4)), head)).write(path)
    with h5py.File(path, "a") as file:
        file["elsewhere"] = h5py.SoftLink("/data")
    cards = fs.info(path, cards=True)["cards"]
    assert cards["/"] == {"CLASS": "FILTERBANK", "VERSION": "1.0"} and "/elsewhere" not in cards
    assert {"nchans", "tsamp", "foff", "source_name"} <= cards["/data"].keys()
    assert "DIMENSION_LIST" not in cards["/data"] and "start_time" in cards["header"]
