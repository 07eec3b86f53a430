"""Masks from files and lines: what they cover has weight 0."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy import units as u
from stage_checks import check_rows
from streams import MemorySpectra
from streams import header as voltages_header

import fastsig as fs
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PolBasis
from fastsig.axes.time import parse_time
from fastsig.io.masks.reader import read_mask

EXAMPLE: dict[str, Any] = {"mask": ["* 0.1s-0.2s"]}
START = "2021-03-04T05:06:07"


def head(n_chan: int = 64) -> Any:
    """Channels of 1 MHz centred from 1000 MHz on, 100 spectra a second."""
    axis = ChannelAxis(Fraction(10**9), Fraction(10**6), n_chan)
    return voltages_header(Fraction(100), start=START).replace(
        channels=axis, polarization=PolBasis("linear", ("AA", "BB")), n_bits=8)


def chain(n: int = 400, **changes: Any) -> fs.Chain:
    data = np.random.default_rng(1).normal(10, 1, (n, 2, 64))
    data[5, :, 5] = np.nan
    return fs.Chain(MemorySpectra(data, head().replace(**changes)))


def lost(made: fs.Chain) -> np.ndarray:
    """What is masked of `chain`, (time, chan), in both products."""
    found = made.read()
    flags = np.broadcast_to(found.weight == 0, found.values.shape).copy()
    np.testing.assert_array_equal(flags, np.isnan(found.values))
    np.testing.assert_array_equal(flags[:, 0], flags[:, 1])
    flags[5, :, 5] = False
    return np.asarray(flags[:, 0])


LINES = {
    "channels": ("1009.5MHz-1012.5MHz", (slice(None), slice(10, 13))),
    "overlap": ("1009.4MHz-1012.7MHz  # and a note", (slice(None), slice(9, 14))),
    "time": ("* 1s-1.5s", (slice(100, 150), slice(None))),
    "both": ("1009.5MHz-1012.5MHz 1.001s-1.505s", (slice(100, 151), slice(10, 13))),
    "a sliver": ("* 1.0098s-1.0102s", (slice(0), slice(None))),
    "a point": ("1020.50MHz-1020.52MHz 1.0045s-1.0046s", (slice(0), slice(None))),
    "little of one": ("1020.50MHz-1020.56MHz 1.004s-1.0046s", (slice(100, 101), slice(21, 22))),
    "UTC": (f"* {START}.5/2021-03-04T05:06:08", (slice(50, 100), slice(None))),
    "beyond": ("1060MHz-1500MHz 3.9s-100s", (slice(390, 400), slice(60, 64))),
}


@pytest.mark.parametrize("name", LINES)
def test_lines(name: str) -> None:
    text, where = LINES[name]
    expected = np.zeros((400, 64), bool)
    expected[where] = True
    lines = [text] if where[0] != slice(0) else [text, "1000MHz-1001MHz"]
    found = lost(chain().mask(lines))
    if where[0] == slice(0):
        expected[:, :2] = True
    np.testing.assert_array_equal(found, expected)


def test_a_file_of_text(tmp_path: Path) -> None:
    path = tmp_path / "bad.txt"
    path.write_text("# bad channels\n\n1009.5MHz-1012.5MHz\n* 1s-1.5s\n"
                    f"1020MHz-1022MHz {START}.5/2021-03-04T05:06:08Z\n")
    made = chain().mask(path, protect="1010.5MHz-1011.5MHz")
    found, expected = lost(made), np.zeros((400, 64), bool)
    expected[:, 10:13] = expected[100:150] = expected[50:100, 20:23] = True
    expected[:, 11] = False
    np.testing.assert_array_equal(found, expected)
    parameters = made.stream.parameters()
    assert parameters["file"] == "bad.txt" and parameters["n_region"] == 3
    assert len(parameters["sha256"]) == 64
    check_rows(made.stream)
    later = lost(chain()[100:].mask(path))  # offsets count from the first spectrum, UTC does not
    assert later[100:150].all() and not later[50:100, 20:23].any()


def presto(path: Path, *, mjd: float, dt: float = 0.5, low: float = 1000.0, step: float = 1.0,
           n_chan: int = 64, channels: Any = (3,), intervals: Any = (2,),
           single: Any = ((10, 11), (), None, (63,), ())) -> Path:
    """A mask as PRESTO's write_mask lays it out; None stands for all channels."""
    counts = [n_chan if each is None else len(each) for each in single]
    parts = [struct.pack("<6d", 10, 4, mjd, dt, low, step),
             struct.pack("<3i", n_chan, len(single), round(dt * 100))]
    for each in (channels, intervals):
        parts.append(struct.pack(f"<{1 + len(each)}i", len(each), *each))
    parts.append(struct.pack(f"<{len(counts)}i", *counts))
    parts += [struct.pack(f"<{len(each)}i", *each) for each in single if each]
    path.write_bytes(b"".join(parts))
    return path


def mjd(offset_s: float = 0.0) -> float:
    """Date of the first spectrum, as rounded as in a file."""
    return float((parse_time(START) + offset_s * u.s).mjd)


def test_masks_of_presto(tmp_path: Path) -> None:
    found = lost(chain().mask(presto(tmp_path / "a_rfifind.mask", mjd=mjd())))
    expected = np.zeros((400, 64), bool)
    expected[:, 3] = expected[0:50, 10:12] = expected[100:150] = expected[150:200, 63] = True
    np.testing.assert_array_equal(found, expected)
    half = lost(chain()[50:].mask(tmp_path / "a_rfifind.mask"))
    np.testing.assert_array_equal(half, expected[50:])
    coarse = presto(tmp_path / "b.mask", mjd=mjd(), n_chan=32, step=2.0, low=1000.5, channels=(5,),
                    intervals=(), single=((), (31,)))
    twice, expected = lost(chain().mask(coarse)), np.zeros((400, 64), bool)
    expected[:, 10:12] = expected[50:100, 62:64] = True
    np.testing.assert_array_equal(twice, expected)


def test_masks_of_other_times_and_frequencies(tmp_path: Path) -> None:
    path = presto(tmp_path / "a.mask", mjd=mjd(-1000), channels=())
    with pytest.warns(fs.FastsigWarning, match=r"a.mask covers none of its times and frequencies"):
        made = chain().mask(path)
    assert not lost(made).any()
    with pytest.warns(fs.FastsigWarning, match="covers none"):
        chain().mask(["2000MHz-2001MHz"])
    with pytest.raises(fs.FormatError, match="give frequency="):
        chain(channels=None).mask(["1000MHz-1001MHz"])
    assert lost(chain(channels=None).mask(["* 1s-2s"]))[100:200].all()


BROKEN = {
    "cut": lambda data: data[:-2],
    "longer": lambda data: data + b"\0\0",
    "a channel that is not there": lambda data: data[:-4] + struct.pack("<i", 64),
    "channels": lambda data: data[:48] + struct.pack("<i", -3) + data[52:],
    "a date": lambda data: data[:16] + struct.pack("<d", np.nan) + data[24:],
    "zeros": lambda data: bytes(len(data)),
    "nothing but a start": lambda data: data[:20],
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_masks_of_presto(name: str, tmp_path: Path) -> None:
    path = presto(tmp_path / "a.mask", mjd=mjd(), single=((10, 11), (63,)))
    path.write_bytes(BROKEN[name](path.read_bytes()))
    with pytest.raises(fs.FormatError, match=r"a\.mask"):
        read_mask(path)


def test_every_cut_of_a_mask_is_refused(tmp_path: Path) -> None:
    data = presto(tmp_path / "a.mask", mjd=mjd()).read_bytes()
    for n in range(1, len(data)):
        (tmp_path / "a.mask").write_bytes(data[:n])
        with pytest.raises(fs.FormatError):
            read_mask(tmp_path / "a.mask")


@pytest.mark.parametrize(("text", "error"), [
    ("", "contains no region"), ("1420MHz", "line 1: '1420MHz'"), ("* 5s-3s", "end is not after"),
    ("* 3-5", "is not an interval of time"), ("* 3s-5", "has no unit"),
    ("1MHz-2MHz 3s-4s x", "3 words"),
    ("\xff", "allowed: an interval"),
    ("* 2021-13-01/2021-14-01", "not a UTC time"),
])
def test_text_that_is_refused(text: str, error: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.txt"
    path.write_text(text)
    with pytest.raises(fs.FormatError, match=error):
        read_mask(path)
    path.write_bytes(b"\xff\xfe1MHz")
    with pytest.raises(fs.FormatError, match="neither a mask of PRESTO nor text"):
        read_mask(path)


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(fs.FormatError, match="No such file"):
        chain().mask(tmp_path / "none.mask")
    for wrong in (5, [], [3]):
        with pytest.raises(fs.UsageError, match="allowed: a file, or lines"):
            chain().mask(wrong)
    with pytest.raises(fs.PlanError, match="mask requires spectra"):
        fs.open(Path(__file__).parents[2] / "data/samples/fast_band_1GSa.h5").mask(["* 1s-2s"])
