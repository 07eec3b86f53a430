"""Damaged recordings of spectra: changed headers, files cut anywhere, values that make no sense.

As `test_hostile` for voltages: an error that names the file, or a stream that is as it says, with
every complete spectrum in it. ``fuzz.py`` does more of it, in children.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from astropy.io import fits
from hostile import SPECTRA, Case, cases, check_counts, damaged, format_of, verdict
from psrfits_made import N_BLOCK
from thorough import many

from fastsig.axes.time import elapsed
from fastsig.errors import FastsigError, FastsigWarning, FormatError

N_CHANGED = many(30, 60)


def opened(case: Case) -> Any:
    module = format_of(case)
    paths = [os.path.join(case.folder, each) for each in case.paths]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FastsigWarning)
        return module.open(paths if len(paths) > 1 else paths[0], **case.overrides)


@pytest.mark.parametrize("name", SPECTRA)
def test_changed_headers(name: str, tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    for case in cases(name, tmp_path):
        assert verdict(case) == "read"
        for _, found, told in damaged(case, 1, list(range(N_CHANGED))):
            assert found in ("read", "error"), (case.what, told, found)
            counts[found] += 1
    check_counts(name, counts, 5)


# Files cut anywhere.


class Rows(NamedTuple):
    """Rows of a file: where they begin, their bits, spectra in each, how many there are."""

    begin: int
    bits: int
    n_block: int
    n_row: int

    def held(self, size: int) -> int:
        return min(self.n_row, max(0, size - self.begin) * 8 // self.bits) * self.n_block


def rows_of(case: Case, path: Path) -> Rows:
    if case.format == "sigproc":
        begin, stream = path.read_bytes().index(b"HEADER_END") + 10, opened(case)
        bits = stream.header.n_bits * stream.shape[1] * stream.shape[2]
        return Rows(begin, bits, 1, (path.stat().st_size - begin) * 8 // bits)
    if case.format == "presto":
        return Rows(0, 32, 1, path.stat().st_size // 4)
    with fits.open(path) as file:
        begin, head = file[1].fileinfo()["datLoc"], file[1].header
    return Rows(begin, 8 * head["NAXIS1"], N_BLOCK if case.format == "psrfits" else 1,
                head["NAXIS2"])


def sizes(rows: Rows, size: int) -> list[int]:
    """Every edge of a header and of a row, a byte more and less, and some between."""
    ends = [rows.begin + -(-rows.bits * row // 8) for row in range(rows.n_row + 1)]
    ends = ends if len(ends) < 12 else [*ends[:4], *ends[-4:]]
    some = [*range(0, rows.begin, max(80, rows.begin // 1200 * 80)), size]
    return sorted({each + more for each in (*ends, *some) for more in (-1, 0, 1)
                   if 0 <= each + more <= size})


def indices(stream: Any, whole: Any) -> np.ndarray:
    """Which spectra of the whole those of a part are, by their times."""
    first = float(elapsed(whole.start_time, stream.start_time) * whole.header.sample_rate)
    step = float(whole.header.sample_rate / stream.header.sample_rate)
    return np.round(first + step * np.arange(stream.shape[0])).astype(int)


CUT = [(name, what) for name, what in (
    ("sigproc", "two files"), ("sigproc", "2 bits"), ("sigproc", "floats"), ("presto", "whole"),
    ("presto", "breaks"), ("psrfits", "two files"), ("psrfits", "4 bits"),
    ("psrfits", "floats, a gap"), ("fast_spectral", "a file"), ("fast_spectral", "two files"),
    ("sdfits", "one state"), ("sdfits", "picked"))]


@pytest.mark.parametrize(("name", "what"), CUT)
def test_cut_files(name: str, what: str, tmp_path: Path) -> None:
    case = next(each for each in cases(name, tmp_path) if each.what == what)
    path = Path(case.folder, case.paths[-1])
    rows, raw, whole = rows_of(case, path), path.read_bytes(), opened(case)
    block = whole.read_block(0, whole.shape[0])
    there = np.broadcast_to(block.valid, block.data.shape)[:, 0, 0] > 0
    others = 0 if len(case.paths) == 1 else rows.held(len(raw))
    for size in sizes(rows, len(raw)):
        os.truncate(path, size) if size < path.stat().st_size else path.write_bytes(raw[:size])
        held = rows.held(size)
        try:
            stream = opened(case)
        except FormatError as error:
            # A file that holds nothing of a scan may be refused, its header is cut before that.
            assert not held and case.folder in str(error), (size, error)
            continue
        found = stream.read_block(0, stream.shape[0])
        at = indices(stream, whole)
        held_now = np.broadcast_to(found.valid, found.data.shape)[:, 0, 0] > 0
        assert held_now.sum() == (whole_rows(case, there, others, held)), size
        np.testing.assert_array_equal(found.data[held_now], block.data[at[held_now]])
        stream.close()
    whole.close()


def whole_rows(case: Case, there: np.ndarray, others: int, held: int) -> int:
    """Spectra with a weight that come of a file of which so many are left."""
    if case.format == "sdfits" and case.overrides:  # every other row is of the state picked
        return -(-held // 2)
    if case.format == "presto":
        return int(there[:held].sum())
    padding = 2 if case.what == "4 bits" and held == 4 * N_BLOCK else 0  # NSTOT is 30 of 32
    return others + held - padding


@pytest.mark.parametrize("what", ["a file", "linked"])
def test_cut_hifast(what: str, tmp_path: Path) -> None:
    case = next(each for each in cases("hifast", tmp_path) if each.what == what)
    for name in case.heads:
        path = Path(case.folder, name)
        raw = path.read_bytes()
        for size in (0, 8, 96, 800, 2048, len(raw) // 2, len(raw) - 1):
            path.write_bytes(raw[:size])
            with pytest.raises(FastsigError, match=r"-M05_W\.hdf5: "):
                opened(case)
        path.write_bytes(raw)


def test_cut_inf(tmp_path: Path) -> None:
    for case in cases("presto", tmp_path):
        path = Path(case.folder, "made.inf")
        raw = path.read_bytes()
        for size in range(0, len(raw), 7):
            path.write_bytes(raw[:size])
            assert verdict(case) in ("read", "error"), size


# Chosen values.

Change = Callable[[bytes], bytes]


def card(key: str, value: str | None) -> Change:
    """Another value of a card of the last header that has it, or none."""
    def change(raw: bytes) -> bytes:
        at = raw.rindex(f"{key:<8}= ".encode())
        new = b"" if value is None else f"{key:<8}= {value:>20}".encode("latin-1")
        return raw[:at] + new[:80].ljust(80) + raw[at + 80 :]
    return change


def instead(old: str, key: str, value: str) -> Change:
    """A card in the place of another."""
    def change(raw: bytes) -> bytes:
        at = raw.rindex(f"{old:<8}= ".encode())
        return raw[:at] + f"{key:<8}= {value:>20}".encode().ljust(80) + raw[at + 80 :]
    return change


_SIZES: list[tuple[Change, str]] = [
    (card("NAXIS2", "-1"), "NAXIS2"), (card("NAXIS2", "1E999"), "NAXIS2"),
    (card("NAXIS2", "NAN"), "NAXIS2"), (card("NAXIS2", "'\xe9'"), "NAXIS2"),
    (card("NAXIS1", "99999999999999"), "no complete row"), (card("NAXIS1", "7"), "NAXIS1 = 7"),
    (card("NAXIS1", None), "has no NAXIS1"), (card("PCOUNT", "-1"), "PCOUNT"),
    (card("TFIELDS", "1000"), "TFIELDS"), (card("NAXIS", "3"), "NAXIS"),
    (card("GCOUNT", "'x'"), "GCOUNT"), (card("GCOUNT", "1E300"), "GCOUNT"),
    (card("BITPIX", "-64"), "BITPIX"), (card("TFORM1", "'1Z'"), "TFORM1"),
    (card("TFORM1", "'99999999999D'"), "NAXIS1"), (card("TFORM1", None), "TFORM1"),
]
_DATA = {"psrfits": 7, "fast_spectral": 21, "sdfits": 6}


def chosen(name: str) -> list[tuple[Change, str]]:
    """Changes of a format of tables, and what is said of them."""
    n = _DATA[name]
    return [
        *_SIZES, (card(f"TFORM{n}", "'1PE(64)'"), "DATA|row"), (card(f"TFORM{n}", "'0E'"), "DATA"),
        (card(f"TFORM{n}", "'64A'"), "DATA|NAXIS1"), (card(f"TTYPE{n}", "'OTHER'"), "DATA"),
        (card(f"TFORM{n}", "'3X'"), "DATA|states"),
        *([] if name == "psrfits" else [
            (instead("EXTNAME", "XTENSION", "'IMAGE'"), "SINGLE DISH")]),
        *([(card("TDIM7", "'(1,16,8,2)'"), "another order"), (card("TBIN", "-1"), "TBIN"),
           (card("TBIN", "1E-400"), "TBIN"), (card("NCHAN", "0"), "NCHAN"),
           (card("NPOL", "5"), "NPOL"), (card("NSBLK", "1E18"), "NSBLK"),
           (card("NBITS", "3"), "NBITS"), (instead("INT_TYPE", "TSCAL7", "2.0"), "TSCAL of DATA")]
          if name == "psrfits" else []),
        *([(card("TDIM21", "'(16,4)'"), "TDIM")] if name == "fast_spectral" else []),
    ]


@pytest.mark.parametrize("name", _DATA)
def test_values_that_make_no_sense(name: str, tmp_path: Path) -> None:
    case = cases(name, tmp_path)[1 if name == "psrfits" else 0]
    path = Path(case.folder, case.paths[0])
    raw = path.read_bytes()
    for number, (change, told) in enumerate(chosen(name)):
        path.write_bytes(change(raw))
        with pytest.raises(FormatError, match=told) as caught:
            opened(case)
        assert case.folder in str(caught.value), number


@pytest.mark.parametrize("value", ["0", "2880", "99999999999999999999"])
@pytest.mark.parametrize("name", _DATA)
def test_heaps_of_any_size_cost_nothing(name: str, value: str, tmp_path: Path) -> None:
    """PCOUNT promises bytes behind the rows, which are not there: the rows are."""
    case = cases(name, tmp_path)[1 if name == "psrfits" else 0]
    path = Path(case.folder, case.paths[0])
    before = opened(case).read_block(0, 3).data
    path.write_bytes(card("PCOUNT", value)(path.read_bytes()))
    if value == "99999999999999999999":
        with pytest.raises(FormatError, match="PCOUNT"):
            opened(case)
        return
    np.testing.assert_array_equal(opened(case).read_block(0, 3).data, before)
