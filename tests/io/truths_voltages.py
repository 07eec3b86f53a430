"""What is known of the recorded voltages, and how it is held against what fastsig reads."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from truths_table import Check, equal, number

import fastsig as fs
from fastsig.axes import validity
from fastsig.axes.time import elapsed, iso, parse_time
from fastsig.errors import FastsigWarning, FormatError
from fastsig.io.opening import detect

__all__ = ["TRUTHS", "Truth"]

H = 3.3165048  # the mean of a Gaussian's part above 1 sigma, the mean of that below being 1
_NS = Fraction(1, 10**9)


@dataclass(frozen=True)
class Truth:
    """What is known of a recording.

    Parameters
    ----------
    files : str
        Names within the folder, with blanks between.
    format, start, rate, bits, shape, is_complex
        Name of the format, UTC to the ns, Hz, bits of a number, (time, pol[, chan]).
    rms : float
        Of the complete samples, lost ones being 0.
    values : mapping
        Samples at (row, column), columns being (pol, chan) one after another.
    source : str
        Where all this is known from.
    valid : tuple of int
        Valid samples of each polarisation; all of them where there is nothing.
    header : mapping
        More fields; `band` is (lower, upper) edge, MHz.
    options : mapping
        What must be told to open the files.
    told : str
        What the warning says that opening gives.
    error : str
        What the error says that opening gives. The rest is then that of a copy in which the last
        block is filled up with zeros to `filled` bytes, of which `rows` are read.
    """

    files: str
    format: str
    start: str
    rate: str
    bits: int
    shape: tuple[int, ...]
    is_complex: bool
    rms: float
    values: Mapping[tuple[int, int], complex]
    source: str
    valid: tuple[int, ...] = ()
    header: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    told: str = ""
    error: str = ""
    filled: int = 0
    rows: int | None = None

    @property
    def name(self) -> str:
        """The files, and what of them."""
        chosen = self.options.get("tuning")
        return self.files + (f" tuning {chosen}" if chosen else "")

    def checks(self, paths: Sequence[Path]) -> list[Check]:
        """Every quantity of the recording, as expected and as found in its files."""
        return _checks(self, paths)


_CARDS = "own decoder (cards, int8) and baseband 4.3.0 agree"
_FAKE = ("MANIFEST.tsv (8192 samples, 2.62144 ms apart); " + _CARDS)
_FAKE_HEADER = {"telescope": "Arecibo", "source": "J1741+2748", "band": (337.9375, 350.4375)}
_MARK4 = "baseband 4.3.0 (decade=2010); what headers stand in place of is invalid"

TRUTHS = (
    Truth(
        "baseband/sample.dada", "dada", "2013-07-02T01:39:20.000000000", "16000000", 8,
        (16000, 2), True, 4.41268059,
        {(0, 0): -38 - 38j, (0, 1): -38 - 38j, (8000, 0): -2 - 8j, (15999, 1): -3 - 2j},
        "MANIFEST.tsv (start, by UTC_START and OBS_OFFSET); own decoder (int8) and baseband 4.3.0 "
        "agree on samples: std 4.3507, not the 5.38 of MANIFEST.tsv",
        header={"telescope": "Effelsberg", "source": "2016+28", "band": (312, 328)}),
    Truth(
        "baseband/sample.m4", "mark4", "2014-06-16T07:38:12.475000000", "32000000", 2,
        (160000, 8), False, 2.22270391,
        {(0, 0): 0, (639, 7): 0, (40000, 0): -1, (40000, 1): -H, (120000, 2): -H, (159999, 7): H},
        f"MANIFEST.tsv (start, shape, rate); {_MARK4}", valid=(158720,) * 8,
        options={"decade": 2010}, told="the last 61304 bytes are not a complete frame"),
    Truth(
        "baseband/sample_32track.m4", "mark4", "2015-01-11T01:23:10.485000000", "32000000", 2,
        (160000, 4), False, 2.39407435,
        {(639, 0): 0, (40000, 0): -H, (40000, 1): 1, (120000, 1): H, (159999, 3): H},
        _MARK4, valid=(158720,) * 4, options={"decade": 2010},
        told="the last 344 bytes are not a complete frame"),
    Truth(
        "baseband/sample_32track_fanout2.m4", "mark4", "2017-03-04T04:42:26.025000000",
        "16000000", 2, (80000, 8), False, 2.35781865,
        {(319, 0): 0, (20000, 0): -H, (20000, 5): H, (60000, 3): H, (79999, 6): -H},
        _MARK4, valid=(79360,) * 8, options={"decade": 2010},
        told="the last 2564 bytes are not a complete frame"),
    Truth(
        "baseband/sample.m5b", "mark5b", "2014-06-13T05:30:01.000000000", "32000000", 2,
        (20000, 8), False, 2.15685459,
        {(0, 0): -H, (0, 1): -1, (0, 4): H, (10000, 3): H, (19999, 5): -H, (19999, 7): -1},
        "MANIFEST.tsv (start, rate, std 2.16); own decoder (sign and magnitude bits) and baseband "
        "4.3.0 agree", options={"nchan": 8, "kday": 56000}),
    Truth(
        "baseband/sample.vdif", "vdif", "2014-06-16T05:56:07.000000000", "32000000", 2,
        (40000, 8), False, 2.10564162,
        {(0, 0): -1, (0, 1): 1, (0, 7): H, (20000, 6): -H, (39999, 3): H, (39999, 7): -1},
        "MANIFEST.tsv (start, rate, shape, std 2.10); own decoder (words 0 to 3, offset binary, "
        "threads in order) and baseband 4.3.0 agree"),
    Truth(
        "baseband/sample_mwa.vdif", "vdif", "2015-10-03T20:49:45.000000000", "1280000", 8,
        (1280, 2), True, 144.977063,
        {(0, 0): 73 + 124j, (0, 1): 96 - 103j, (640, 1): -118 - 114j, (1279, 0): -106 + 66j},
        "MANIFEST.tsv (start, rate, shape); own decoder (code - 128). MANIFEST.tsv's std 4.08 is "
        "in the units of baseband, (code - 127.5) / 35.5: 144.94 / 35.5",
        header={"telescope": "mw"}, options={"sample_rate": 1_280_000}),
    Truth(
        "baseband/sample_puppi.raw", "guppi", "2018-01-14T14:11:33.000000000", "250", 8,
        (3904, 2, 4), True, 19.8457866,
        {(0, 0): -7 + 12j, (0, 4): 14 + 21j, (0, 7): 7 + 7j, (1800, 3): 7 + 14j,
         (1952, 3): -2 - 6j, (3903, 0): 7 + 3j, (3903, 7): 10 - 6j},
        f"MANIFEST.tsv (start, shape); {_CARDS}: std 19.841, not quite the 19.86 of MANIFEST.tsv. "
        "What blocks share (OVERLAP) differs in the two here, for the file was made shorter: the "
        "earlier one's counts, as where baseband reads all at once",
        header={"telescope": "Arecibo", "source": "J1810+1744", "band": (356.687, 356.688)}),
    Truth(
        "baseband/sample_vegas.raw", "guppi", "2021-04-28T22:15:37.000000000", "3125000", 8,
        (1032704, 2, 32), True, 6.11221351,
        {(100, 31): 27 - 31j, (100, 63): -19 + 7j, (1959, 31): 8 + 26j, (1979, 63): 27 - 32j,
         (1979, 0): 0},
        "MANIFEST.tsv (no whole block: 7920 bytes of 132186112); cards and the samples that are "
        "there by own decoder: channel 0 is the highest, for OBSBW < 0",
        header={"telescope": "GBT", "source": "Jade_1898_1", "band": (1501.5625, 1601.5625),
                "sideband": "lower"},
        told="the last block has 7920 of 132186112 bytes",
        error="contains no complete GUPPI RAW block", filled=6320 + 132186112, rows=1980),
    Truth(
        "lsl/drx-test.dat", "drx", "2011-08-11T05:15:04.566387429", "19600000", 4, (36864, 2),
        True, 2.78150358,
        {(0, 0): 0, (0, 1): -2 + 3j, (4096, 0): -2 + 2j, (20000, 1): -2 - 1j, (32767, 0): 2 - 3j,
         (36863, 0): 1 - 5j, (36863, 1): 0},
        "MANIFEST.tsv (start to 1 ms, rate, beam); own decoder (time tag less tNom, ticks of "
        "196 MHz; twos' complement): real parts of std 2.08. The first frame is of pol. Y, the "
        "last of X", valid=(32768, 32768), header={"beam": 4}, options={"tuning": 1}),
    Truth(
        "lsl/drx-test.dat", "drx", "2011-08-11T05:15:04.566387429", "19600000", 4, (36864, 2),
        True, 2.32674677,
        {(0, 0): 1 - 2j, (0, 1): 2 - 2j, (4097, 0): 0 - 3j, (20000, 1): -1 - 2j,
         (32767, 1): 3 - 2j, (36863, 0): 0},
        "as tuning 1: real parts of std 1.74", valid=(32768, 32768), header={"beam": 4},
        options={"tuning": 2}),
    Truth(
        "digital_rf/example/ch0", "digital_rf", "2019-08-29T19:08:20.000000000", "10000", 16,
        (10000, 1), True, 34.8716834,
        {(0, 0): 0, (1, 0): 19 + 27j, (5000, 0): 25 - 22j, (9999, 0): 27 - 28j},
        "MANIFEST.tsv (start sample 15671057000000; the first sample is fill); h5py",
        valid=(9999,), header={"backend": "B210"}),
    Truth(
        "digital_rf/synthetic/fc32_x8_n200_d3_10s_1000ms_c1", "digital_rf",
        "2014-03-09T12:30:30.000000000", "200/3", 32, (1000, 8), True, 2.42557731e37,
        {(0, 4): 1.18301014e27 - 6.8554784e-20j, (334, 0): 0, (399, 7): 0,
         (500, 5): 1.59806591e20 + 1.50059084e-36j, (999, 7): -5.82613153e13 - 6.15207109e04j},
        "MANIFEST.tsv (rate, second 1394368235 is missing); h5py: values are random bits, those "
        "that are not finite are lost", valid=(797, 791, 795, 791, 792, 792, 793, 792)),
    Truth(
        "lofar_dal_h5/L59640_CS011_D20110719T110541.036Z_tbb.h5", "lofar_tbb",
        "2011-07-19T11:05:41.036421120", "200000000", 16, (6144, 2), False, 14.9647127,
        {(0, 0): 9, (0, 1): 0, (1023, 1): 0, (1024, 0): -14, (1024, 1): -20, (3000, 0): 11,
         (3000, 1): -14, (4096, 1): 0, (6143, 1): 33},
        "MANIFEST.tsv (TIME and SAMPLE_NUMBER; dipole 011 begins 1024 samples later); raw files "
        "by NumPy (std 10.47, 19.25), FLAG_OFFSETS by h5py", valid=(5120, 4096),
        header={"telescope": "LOFAR", "source": "B0329+54", "band": (0, 100)}),
    *(Truth(
        f"pulsarbat/fake.{i}.raw", "guppi", start, "3125000", 8, (8192, 2, 4), True, rms, values,
        _FAKE, header=_FAKE_HEADER)
      for i, (start, rms, values) in enumerate((
          ("1997-07-11T12:34:56.000000000", 22.6400336,
           {(0, 0): 5 - 5j, (0, 7): -5 + 21j, (4096, 3): -15 + 25j, (8191, 4): 3 + 12j}),
          ("1997-07-11T12:34:56.002621440", 22.6808248,
           {(0, 0): -28 - 21j, (0, 7): -18 - 22j, (4096, 3): 2 + 16j, (8191, 4): 21 + 7j}),
          ("1997-07-11T12:34:56.005242880", 22.6763589,
           {(0, 0): -7 - 11j, (0, 7): -13 - 7j, (4096, 3): -6 - 39j, (8191, 4): -23 - 1j}),
          ("1997-07-11T12:34:56.007864320", 22.5891794,
           {(0, 0): 7 - 9j, (0, 7): -12 + 5j, (4096, 3): -10 - 11j, (8191, 4): -9 - 9j})))),
    Truth(
        " ".join(f"pulsarbat/fake.{i}.raw" for i in range(4)), "guppi",
        "1997-07-11T12:34:56.000000000", "3125000", 8, (32768, 2, 4), True, 22.6466290,
        {(0, 0): 5 - 5j, (8192, 0): -28 - 21j, (16384, 0): -7 - 11j, (24576, 7): -12 + 5j,
         (32767, 4): -9 - 9j}, "the four files above, one after another", header=_FAKE_HEADER),
)


def _checks(truth: Truth, paths: Sequence[Path]) -> list[Check]:
    name, where = (str(paths[0]) if len(paths) == 1 else [str(path) for path in paths]), paths
    found = [equal("format", truth.format, detect(paths[0])[0])]
    with warnings.catch_warnings(record=True) as caught, tempfile.TemporaryDirectory() as scratch:
        warnings.simplefilter("always", FastsigWarning)
        if truth.error:
            found.append(_refused(truth, name))
            path = Path(scratch) / where[0].name
            shutil.copyfile(where[0], path)
            path.chmod(0o600)
            os.truncate(path, truth.filled)
            name = str(path)
        with fs.open(name, **truth.options) as chain:
            found += _compared(truth, chain)
    said = sorted({str(each.message).partition(": ")[2] for each in caught})
    if truth.told or said:
        found.append(equal("warning", truth.told, "; ".join(said)))
    return found


def _refused(truth: Truth, name: Any) -> Check:
    try:
        fs.open(name, **truth.options)
    except FormatError as error:
        return equal("error", truth.error, str(error).rpartition(": ")[2])
    return Check("error", truth.error, "none", False)


def _compared(truth: Truth, chain: fs.Chain) -> Iterator[Check]:
    header, stream = chain.header, chain.stream
    late = elapsed(parse_time(truth.start), stream.start_time)
    yield Check("start", truth.start, iso(stream.start_time), abs(late) < _NS)
    yield equal("  as it prints", iso(stream.start_time), str(stream.start_time))
    length = truth.shape[0] / Fraction(truth.rate)
    late = elapsed(parse_time(truth.start), stream.stop_time) - length
    yield Check("length", f"{float(length):.9f} s", f"{float(length + late):.9f} s",
                abs(late) < _NS)
    yield equal("rate", truth.rate, str(header.sample_rate))
    kinds = {True: "complex", False: "real"}
    yield equal("bits", f"{truth.bits}, {kinds[truth.is_complex]}",
                 f"{header.n_bits}, {kinds[header.is_complex]}")
    yield equal("shape", str(truth.shape), str(stream.shape))
    for key, expected in truth.header.items():
        value = getattr(header, key, None)
        if key == "band":
            expected = tuple(map(float, expected))
            value = tuple(float(edge / 10**6) for edge in header.channels.edges_hz)
        yield Check(key, str(expected), str(value), expected == value)
    yield from _samples(truth, stream)


def _samples(truth: Truth, stream: Any) -> Iterator[Check]:
    n = stream.shape[0] if truth.rows is None else truth.rows
    block = stream.read_block(0, n)
    wide = np.abs(block.data.astype(np.complex128))  # squares of single floats may overflow
    rms = float(np.sqrt((wide**2).mean()))
    yield Check("rms", f"{truth.rms:.9g}", f"{rms:.9g}", abs(rms / truth.rms - 1) < 1e-7)
    counts = tuple(validity.count(spans) for spans in block.valid)
    yield equal("valid", _counts(truth.valid or (n,) * len(counts)), _counts(counts))
    flat = block.data.reshape(n, -1)
    for (row, column), expected in truth.values.items():
        value = complex(flat[row, column])
        yield Check(f"x[{row},{column}]", number(expected), number(value),
                    abs(value - expected) <= 2e-7 * abs(expected))


def _counts(each: Sequence[int]) -> str:
    return f"{each[0]} x {len(each)}" if len(set(each)) == 1 else str(each)
