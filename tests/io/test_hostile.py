"""Damaged recordings of every format: random and chosen changes of headers, files cut anywhere.

Nothing but an error that names the file, or a stream that is as it says, may come of them, and what
is complete must come out. Formats' own tests have more of what is peculiar to each.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import hostile_voltages
import numpy as np
import pytest
import test_drx
import test_vdif
from fuzz import mutations
from hostile import VOLTAGES, Case, cases, check_counts, format_of
from hostile_text import TEXT
from thorough import many

from fastsig import registry
from fastsig.axes.time import elapsed
from fastsig.errors import FastsigError, FastsigWarning, FormatError, UsageError
from fastsig.io.vdif import reader as vdif

BASEBAND = ("mark4", "mark5b", "gsb")

# Some of what ``fuzz.py --mutations`` does. VDIF, DRX, Mark 4 and Mark 5B have changes of bytes in
# their own tests; so have the formats with text for a header, of which half of these are changes of
# values.
N_CHANGED = {"native": many(80, 200), "lofar_tbb": many(80, 200), "raw": many(80, 200),
             **dict.fromkeys(("guppi", "dada", "gsb", "chime"), many(50, 100)),
             "digital_rf": 100, "lofar_bf": 20}
N_CHANGED |= {name: many(50, 100) for name in VOLTAGES if name not in hostile_voltages.MAKERS}
N_CUT, N_WRONG = many(30, 200), many(100, 300)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", N_CHANGED)
def test_changed_headers(name: str) -> None:
    if name in BASEBAND:
        pytest.importorskip("baseband")
    found = mutations(name, N_CHANGED[name], seed=1)
    assert not found.faults, found.faults[:5]
    check_counts(name, found.counts, 3)


def test_a_changed_word_leaves_the_rest() -> None:
    head, rows = b"MAGIC nchan=8 step=0.5\n", b"\x00\n rows=1\xff"
    rng, found = np.random.default_rng(1), set()
    for _ in range(1000):
        raw, _ = TEXT["words"](bytearray(head + rows), [0, len(head)], rng)
        line, _, rest = bytes(raw).partition(b"\n")
        assert rest == rows
        found.add(line)
    assert {b"nchan=8 step=0.5", b"MAGIC nchan=8", b"MAGIC nchan=8 step=0.5 step=0.5"} <= found
    for start in (b"MAGIC unheard_of=", b"MAGIC nchan=8 step=9999", b"MAGIC nchan=\xe9\xff "):
        assert any(line.startswith(start) for line in found)


def test_counts_that_are_too_low_lead_to_what_is_missing() -> None:
    check_counts("x", {"error": 3, "read": 3}, 3)
    with pytest.raises(AssertionError, match="2 are refused and 9 read; at least 3 must be ref"):
        check_counts("x", {"error": 2, "read": 9}, 3)
    with pytest.raises(AssertionError, match=r"must be read: .*HOSTILE of tests/io/test_x\.py"):
        check_counts("x", {"error": 9, "read": 2}, 3)


# Files cut anywhere.

Rows = list[tuple[int, int, tuple[str, ...] | None]]  # first, stop, names of inputs or all


class Cut(NamedTuple):
    """How a file of a recording may be cut, and what the recording holds then.

    Parameters
    ----------
    name : str
        The file.
    edges : list of int
        Bytes at which something begins or ends.
    held : callable
        Of a size: rows of the whole stream that are there; None where the recording is of no use.
    ends : set of int
        Sizes at which nothing tells that something is missing; of all sizes where it is empty.
    optional : bool
        Whether the recording can do without this file.
    exact : bool
        Whether a part of something cannot be taken for the whole.
    """

    name: str
    edges: list[int]
    held: Callable[[int], Rows | None]
    ends: set[int] = set()  # noqa: RUF012 - never changed
    optional: bool = False
    exact: bool = True


_HDF5 = [0, 8, 48, 96, 512, 800, 2048]


def _frames(name: str, step: int, head: int, rows: Rows, others: Rows | None = None) -> Cut:
    """Frames of one size that hold such rows; `others` are those of other files."""
    ends = [step * (i + 1) for i in range(len(rows))]
    edges = [edge for end in ends for edge in (end - step, end - step + head, end)]
    return Cut(name, edges, lambda size: (others or []) + [
        row for row, end in zip(rows, ends, strict=True) if end <= size], {0, *ends})


def _even(n: int, count: int) -> Rows:
    return [(n * i, n * (i + 1), None) for i in range(count)]


def _samples(name: str, start: int, width: int, first: int, n: int) -> Cut:
    """Samples one after another behind a header; those before are in other files."""
    return Cut(name, [0, start, start + width, start + width * (n - 1)],
               lambda size: [(0, first + max(0, size - start) // width, None)],
               {start + width * i for i in range(n)})


def _useless(*names: str) -> Callable[[Case], list[Cut]]:
    """HDF5 files of which all is needed."""
    return lambda case: [Cut(name, _HDF5, lambda size: None) for name in names]


def _guppi(case: Case) -> list[Cut]:
    spans = case.heads["1.raw"]
    return [_frames("1.raw", spans[1][0], spans[0][1], [(128, 192, None), (192, 256, None)],
                    [(0, 128, None)])]


def _guppi_padded(case: Case) -> list[Cut]:
    starts, stops = zip(*case.heads["d.raw"], strict=True)
    ends = [*starts[1:], 7424]
    return [Cut("d.raw", [*starts, *stops, *(end - 256 for end in ends)],
                lambda size: [(48 * i, 48 * i + 64, None) for i, end in enumerate(ends)
                              if end <= size],
                # Fewer bytes than a key and its sign may be what fills a sector.
                {0, *(end + more for end in ends for more in range(9))})]


def _drx(case: Case) -> list[Cut]:
    tunings = range(2 if "tuning" in case.overrides else 1)
    rows: Rows = [(4096 * i, 4096 * (i + 1) if t == 0 else 4096 * i, ("XY"[p],))
                  for i in range(3) for t in tunings for p in range(2)]
    return [_frames("1.dat", 4128, 32, rows[4:], rows[:4])]


def _vdif(case: Case) -> list[Cut]:
    step, head = case.heads["v.vdif"][1][0], case.heads["v.vdif"][0][1]
    rows: Rows = _even(32 if head == 32 else 200, 6)
    if case.what == "two threads":
        rows = [(64 * i, 64 * (i + 1), (f"t{t}",)) for i in range(6) for t in range(2)]
    return [_frames("v.vdif", step, head, rows)]


def _lofar_tbb(case: Case) -> list[Cut]:
    # The second dipole starts 40 samples after the first.
    first, second = ("DIPOLE_011000010",), ("DIPOLE_011000011",)
    return [Cut("x.h5", _HDF5, lambda size: None), Cut(
        "CS011_011.raw", [2, 300, 598],
        lambda size: None if size < 2 else [(0, 340, first), (40, 40 + size // 2, second)])]


def _lofar_bf(case: Case) -> list[Cut]:
    # Rows of three floats; the parts of the other polarisation are whole.
    return [Cut("x.h5", _HDF5, lambda size: None), Cut(
        "x_Yi.raw", [12, 240, 2400 - 12],
        lambda size: None if size < 12 else [(0, 200, ("X",)), (0, size // 12, ("Y",))])]


def _digital_rf(case: Case) -> list[Cut]:
    rf, properties, metadata = (
        next(name for name in sorted(case.heads, reverse=True) if part in name)
        for part in ("rf@", "drf_properties", "dmd_properties"))
    return [Cut(rf, _HDF5, lambda size: [(0, 100, None)], optional=True),
            Cut(metadata, _HDF5, lambda size: [(0, 200, None)], optional=True),
            Cut(properties, _HDF5, lambda size: None)]


def _gsb(case: Case) -> list[Cut]:
    n, stamps = case.overrides["samples_per_frame"], case.paths[0]
    raw = max(path.name for path in Path(case.folder).glob("*.dat"))
    text = Path(case.folder, stamps).read_bytes()
    ends = [at for at, byte in enumerate(text) if byte == ord("\n")]
    return [_frames(raw, 4096, 0, _even(n, 10)),
            # A line that lacks its last digits is a time nevertheless.
            Cut(stamps, ends, lambda size: [(0, n * sum(end <= size for end in ends), None)],
                set(range(len(text))), exact=False)]


CUTS: dict[tuple[str, str], Callable[[Case], list[Cut]]] = {
    ("native", "floats"): _useless("x.h5"),
    ("guppi", "two files"): _guppi,
    ("guppi", "2 bits, padded"): _guppi_padded,
    ("dada", "two files"): lambda case: [_samples("1.dada", 4096, 4, 100, 100)],
    ("dada", "floats, channels"): lambda case: [_samples("f.dada", 4096, 48, 0, 50)],
    ("vdif", "two threads"): _vdif,
    ("vdif", "2 bits, complex"): _vdif,
    ("vdif", "legacy, 3 bits"): _vdif,
    ("drx", "two tunings"): _drx,
    ("drx", "one tuning"): _drx,
    ("chime", "two archived channels"): _useless("0.h5", "1.h5"),
    ("chime", "beams"): _useless("b.h5"),
    ("lofar_tbb", "raw files"): _lofar_tbb,
    ("lofar_tbb", "one file"): _useless("x.h5"),
    ("lofar_bf", "voltages"): _lofar_bf,
    ("digital_rf", "gapped"): _digital_rf,
    ("digital_rf", "continuous"): _digital_rf,
    ("mark4", "16 tracks"): lambda case: [_frames("x.m4", 40000, 320, _even(80000, 3))],
    ("mark5b", "1 bit"): lambda case: [_frames("x.m5b", 10016, 16, _even(20000, 5))],
    ("gsb", "rawdump"): _gsb,
    ("gsb", "phased"): _gsb,
    ("raw", "overrides"): lambda case: [_samples("x", 0, 12, 0, 400)],
}


def _opened(case: Case, monkeypatch: pytest.MonkeyPatch) -> Any:
    module = format_of(case)
    if case.kind == "overrides":
        with open(Path(case.folder, case.paths[0])) as file:
            monkeypatch.setattr("sys.stdin", file)
            return module.open("-", **{"n_pol": "2", "n_chan": "6", **case.overrides})
    paths = [os.path.join(case.folder, each).rstrip("/") for each in case.paths]
    return module.open(paths if len(paths) > 1 else paths[0], **case.overrides)


def _mask(stream: Any, first: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples and whether they are valid, (time, pol[, chan]) and (time, pol), of any rows."""
    data = np.zeros((n, *stream.shape[1:]), stream.dtype)
    there = np.zeros((n, stream.shape[1]), bool)
    low, high = max(0, first), min(stream.shape[0], first + n)
    if low < high:
        block = stream.read_block(low, high - low)
        data[low - first : high - first] = block.data
        for pol, spans in enumerate(block.valid):
            for start, stop in spans.tolist():
                there[start - first : stop - first, pol] = True
    return data, there


@pytest.mark.parametrize(("name", "what"), CUTS)
def test_cut_files(name: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if name in BASEBAND:
        pytest.importorskip("baseband")
    case = next(each for each in cases(name, tmp_path) if each.what == what)
    whole = _opened(case, monkeypatch)
    data, there = _mask(whole, 0, whole.shape[0])
    rng = np.random.default_rng(9)
    for cut in CUTS[name, what](case):
        path = Path(case.folder, cut.name)
        raw = path.read_bytes()
        near = {edge + step for edge in cut.edges for step in (-1, 0, 1)}
        sizes = {*near, *rng.integers(0, len(raw), N_CUT).tolist(), len(raw) - 1}
        for size in sorted(sizes & set(range(len(raw)))):
            path.write_bytes(raw[:size])
            expected = _expected(cut.held(size), whole, there)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                try:
                    stream = _opened(case, monkeypatch)
                except FormatError as error:
                    assert not cut.optional
                    # What other files hold cannot be opened with one that holds nothing.
                    assert cut.held(size) is None or not (
                        expected & ~_expected(cut.held(0), whole, there)).any(), (size, error)
                    assert case.folder in str(error) or str(error).startswith("-: ")
                    continue
            assert expected is not None, size
            told = [str(each.message) for each in caught]
            assert all(each.category is FastsigWarning for each in caught), told
            named = [each for each in told if case.folder in each or each.startswith("-: ")]
            assert named or size in cut.ends, (size, told)
            _check(stream, whole, data, expected, there if not cut.exact else expected, size)
            stream.close()
        path.write_bytes(raw)
    whole.close()


def _expected(rows: Rows | None, whole: Any, there: np.ndarray) -> Any:
    """Which samples of the whole are to come out; None where the recording is of no use."""
    if rows is None:
        return None
    held = np.zeros_like(there)
    for first, stop, names in rows:
        for pol, each in enumerate(whole.polarization.names):
            held[first:stop, pol] |= names is None or each in names
    return held & there


def _check(stream: Any, whole: Any, data: np.ndarray, least: np.ndarray, most: np.ndarray, size: int
           ) -> None:
    """Samples between `least` and `most` are there, as they are in the whole, and no others."""
    first = round(float(elapsed(stream.start_time, whole.start_time) * whole.header.sample_rate))
    found, valid = _mask(stream, first, len(data))
    assert -first + stream.shape[0] <= len(data) and first <= 0, size
    for pol, each in enumerate(whole.polarization.names):
        if each not in stream.polarization.names:
            assert not least[:, pol].any(), (size, each)
            continue
        column = stream.polarization.names.index(each)
        right = valid[:, column]
        assert not (least[:, pol] & ~right).any(), (size, each)
        assert not (right & ~most[:, pol]).any(), (size, each)
        np.testing.assert_array_equal(found[right, column], data[right, pol])


# One frame of many.


def _many(name: str, path: Path) -> tuple[int, int, list[int], dict[str, Any]]:
    """A file of two inputs; bytes and samples of a frame, bytes to change, how to open it.

    Not those bytes that could name the place of another frame there is: it would be taken for it.
    """
    rng = np.random.default_rng(8)
    if name == "vdif":
        path.write_bytes(b"".join(test_vdif.frame(rng.bytes(64), number=i, thread=t)
                                  for i in range(40) for t in range(2)))
        return 96, 64, sorted({*range(32)} - {4, 14}), {"sample_rate": 64000}
    test_drx.write(path, test_drx.samples(20), [(i, 0, p) for i in range(20) for p in range(2)])
    return 4128, 4096, sorted({*range(32)} - {4}), {}


@pytest.mark.parametrize("name", ["vdif", "drx"])
def test_a_wrong_header_moves_no_other_frame(name: str, tmp_path: Path) -> None:
    # Nothing tells that a header is wrong but that its time or thread is that of no other.
    path, module = tmp_path / "x", registry.formats()[name]
    step, n_time, places, options = _many(name, path)
    raw = path.read_bytes()
    whole = module.open(str(path), **options)
    data, there = _mask(whole, 0, whole.shape[0])
    rng = np.random.default_rng(10)
    for _ in range(N_WRONG):
        which, changed = int(rng.integers(1, len(raw) // step)), bytearray(raw)
        for _ in range(rng.integers(1, 4)):
            changed[which * step + rng.choice(places)] ^= rng.integers(1, 256)
        path.write_bytes(changed)
        stream = module.open(str(path), **options)
        assert stream.polarization == whole.polarization
        least = there.copy()
        least[which // 2 * n_time : (which // 2 + 1) * n_time] = False
        _check(stream, whole, data, least, there, which)
        stream.close()


# Chosen values.

Change = Callable[[Case], dict[str, Any]]  # returns overrides


def _text(key: str, value: str | None) -> Change:
    """Another value in the first header, or none."""
    def change(case: Case) -> dict[str, Any]:
        path = Path(case.folder, case.paths[0])
        raw, data = path.read_bytes(), value if value is None else value.encode("latin-1")
        if case.kind == "cards":
            at = raw.index(key.encode().ljust(8) + b"=")
            stop, new = at + 80, b"" if data is None else f"{key:<8}= ".encode() + data
            path.write_bytes(raw[:at] + new[:80].ljust(80) + raw[stop:])
            return case.overrides
        lines = raw[: raw.index(b"\0")].splitlines()
        kept = [line for line in lines if line.split()[0] != key.encode()]
        kept += [] if data is None else [key.encode() + b" " + data]
        path.write_bytes(b"\n".join((*kept, b"")).ljust(4096, b"\0")[:4096] + raw[4096:])
        return case.overrides
    return change


def _words(*numbers: tuple[int, int], size: int = 4) -> Change:
    """Other little-endian words in the first header of a file of frames."""
    def change(case: Case) -> dict[str, Any]:
        path = Path(case.folder, case.paths[0])
        raw = bytearray(path.read_bytes())
        for at, number in numbers:
            raw[at : at + size] = number.to_bytes(size, "little")
        path.write_bytes(raw)
        return case.overrides
    return change


def _swapped(size: int) -> Change:
    """Headers in the other byte order."""
    def change(case: Case) -> dict[str, Any]:
        for name, spans in case.heads.items():
            path = Path(case.folder, name)
            raw = bytearray(path.read_bytes())
            for start, stop in spans:
                words = np.frombuffer(bytes(raw[start:stop]), f"u{size}")
                raw[start:stop] = words.byteswap().tobytes()
            path.write_bytes(raw)
        return case.overrides
    return change


def _stamp(line: str) -> Change:
    """Another first line of time stamps."""
    def change(case: Case) -> dict[str, Any]:
        path = Path(case.folder, case.paths[0])
        rest = path.read_bytes().partition(b"\n")[2]
        path.write_bytes(line.encode("latin-1") + b"\n" + rest)
        return case.overrides
    return change


def _hdf5(change: Callable[[Any], None], name: str | None = None) -> Change:
    def changed(case: Case) -> dict[str, Any]:
        file_name = next(each for each in sorted(case.heads) if (name or "") in each)
        with h5py.File(Path(case.folder, file_name), "r+") as file:
            change(file)
        return case.overrides
    return changed


def _attribute(place: str, key: str, value: Any, name: str | None = None) -> Change:
    return _hdf5(lambda file: file[place].attrs.__setitem__(key, value), name)


def _dataset(place: str, name: str | None = None, **made: Any) -> Change:
    """A dataset anew, with its attributes."""
    def change(file: Any) -> None:
        attrs = dict(file[place].attrs)
        del file[place]
        file.create_dataset(place, **made).attrs.update(attrs)
    return _hdf5(change, name)


def _record(**values: Any) -> Change:
    """Other values in the header of a native file."""
    def change(file: Any) -> None:
        record = json.loads(file["header"][()].tobytes()) | values
        del file["header"]
        file["header"] = np.frombuffer(json.dumps(record).encode(), np.uint8)
    return _hdf5(change)


def _axis(**values: Any) -> Change:
    axis = {"first_hz": "1e9", "step_hz": "1e6", "n_chan": 3, "half_channel": None}
    return _record(channels=axis | values)


def _given(**values: Any) -> Change:
    return lambda case: case.overrides | values


_DIPOLE, _HUGE = "STATION_CS011/DIPOLE_011000010", "9" * 5000
TARGETED: dict[tuple[str, str], list[tuple[Change, str]]] = {
    ("guppi", "two files"): [
        (_text("TBIN", "1e999999999"), "TBIN = '1e999999999'; allowed: 0, or a number of size"),
        (_text("TBIN", "1e-400"), "TBIN = '1e-400'"), (_text("TBIN", "1e-29"), "TBIN|per second"),
        (_text("OBSBW", "-inf"), "OBSBW"), (_text("NBITS", "\xff"), "NBITS"),
        (_text("PKTIDX", "4611686018427387904"), "more than a year from the start"),
        (_text("PKTSIZE", "-1"), "PKTSIZE"), (_text("STT_OFFS", "nan"), "STT_OFFS = 'nan'"),
        (_text("OBSBW", None), "has no OBSBW"),
        (_text("BLOCSIZE", "1099511627776"), "differs in scan or shape|cannot be read"),
    ],
    ("dada", "two files"): [
        (_text("TSAMP", "1e999999999"), "TSAMP"), (_text("TSAMP", "1e-400"), "TSAMP"),
        (_text("TSAMP", "1e-20"), "samples per second|not files of one recording"),
        (_text("NBIT", "\xe9"), "NBIT"),
        (_text("HDR_SIZE", "9223372036854775808"), "HDR_SIZE"), (_text("NDIM", "nan"), "NDIM"),
        (_text("OBS_OFFSET", "4611686018427387904"), "more than a year"),
        (_text("NPOL", _HUGE), "NPOL"), (_text("UTC_START", None), "no MJD_START"),
        (_text("NBIT", None), "has no NBIT"), (_text("TSAMP", "-1"), "TSAMP"),
        (_text("NCHAN", "1048576"), "shape"),
    ],
    ("dada", "floats, channels"): [
        (_text("MJD_START", None), "has no MJD_START"), (_text("BW", _HUGE), "BW"),
        (_text("UTC_START", "2026-13-01-00:00:00"), "UTC_START"), (_text("BW", "0x10"), "BW"),
        (_text("NCHAN", "1048576"), "no samples"), (_text("MJD_START", "nan"), "MJD_START"),
    ],
    ("vdif", "two threads"): [
        (_swapped(4), "VDIF|frame"), (_words((8, 0)), "begin with a VDIF header"),
        (_words((8, 0xFFFFFF)), "of 134217688 samples"), (_words((8, 31 << 24 | 12)), "begin with"),
        (_words((8, 16 << 24 | 12)), "begin with"), (_words((12, 31 << 26)), "begin with"),
        (_words((0, 0), (4, 0), (8, 0), (12, 0)), "begin with"),
        (_words((0, 2**32 - 1), (4, 2**32 - 1), (8, 2**32 - 1), (12, 2**32 - 1)), "begin with"),
        (_given(sample_rate="63"), "not a whole number of frames"),
    ],
    ("vdif", "2 bits, complex"): [(_words((16, 1 << 24)), "give sample_rate="),
                                  (_swapped(4), "VDIF|frame|tell")],
    ("drx", "one tuning"): [
        (_swapped(4), "begin with a DRX frame"),
        (_words((12, 0), size=2), "begin with a DRX frame"),
        (_words((16, 2**64 - 1), size=8), "time tag 18446744073709551615, after 2100"),
        (_words((0, 0)), "begin with a DRX frame"),
    ],
    ("mark5b", "1 bit"): [(_swapped(4), "does not begin with Mark 5B frames")],
    ("mark4", "16 tracks"): [(_swapped(8), "does not begin with Mark 4 frames")],
    ("gsb", "rawdump"): [
        (_stamp(line), "line 1 is not a time stamp") for line in (
            "2015 04 27 18 45 00 1.5", "-015 04 27 18 45 00 0.1", "2015 04 27 18 45 00 nan",
            "99999 04 27 18 45 00 0.1", "2015 04 27 18 45 \xb2 0.1", "2015 04 27", "",
            "2015 04 27 18 45 00 0." + _HUGE)] + [
        (_stamp("2015 04 27 18 45 00 0.1\n" * 2**20), "more than 1048576 time stamps"),
        (_given(samples_per_frame=str(2**39)), "contains no frame, which has"),
        (_given(samples_per_frame=_HUGE), "samples_per_frame"),
    ],
    ("chime", "beams"): [
        (_attribute("/", "delta_time", np.nan), "delta_time is 'nan'"),
        (_dataset("time0", data=np.array([(2**63, np.nan, np.inf)] * 3, [
            ("fpga_count", "u8"), ("ctime", "f8"), ("ctime_offset", "f8")])), "ctime"),
        (_dataset("tiedbeam_baseband", shape=(3, 2, 2**45), dtype="c8", chunks=(1, 1, 512)),
         "has the shape"),
    ],
    ("lofar_tbb", "one file"): [
        (_attribute(_DIPOLE, "SAMPLE_FREQUENCY", value), "SAMPLE_FREQUENCY is")
        for value in (np.nan, np.inf, 1e300, -200.0)] + [
        (_attribute(_DIPOLE, "TIME", np.uint64(2**63)), "TIME is"),
        (_attribute(_DIPOLE, "SAMPLE_NUMBER", np.uint64(2**63)), "SAMPLE_NUMBER is"),
        (_attribute(_DIPOLE, "SAMPLE_FREQUENCY_UNIT", np.bytes_(b"\xff")), "UNIT is"),
        (_attribute(_DIPOLE, "TIME", np.float64(np.nan)), "TIME is"),
    ],
    ("lofar_tbb", "raw files"): [
        (_dataset(_DIPOLE, shape=(2**60,), dtype="<i2",
                  external=[("CS011_010.raw", 2**62, h5py.h5f.UNLIMITED)]), "too short|CS011"),
        (_dataset(_DIPOLE, shape=(300,), dtype="<i2",
                  external=[("CS011_010.raw", 2**62, 600)]), "too short"),
    ],
    ("digital_rf", "gapped"): [
        (_attribute("/", "sample_rate_numerator", np.uint64(2**64 - 1), "drf_prop"), "none of its"),
        (_attribute("/", "sample_rate_numerator", np.nan, "drf_prop"), "sample_rate_numerator"),
        (_attribute("/", "epoch", np.bytes_(b"\xff"), "drf_prop"), "epoch"),
    ],
    ("native", "complex"): [
        (_record(sample_rate_hz=value), "header record") for value in ("1/0", "nan", -1, "\xe9", [],
                                                                       "1e999999999", 1e400, None)
    ] + [(_record(start_time="\xe9"), "header record"), (_record(extra="x"), "header record"),
         (_record(start_time_rest_s="1/0"), "header record"), (_record(n_bits=2**63), "bits"),
         (_record(polarization={"names": []}), "polarisation"),
         (_axis(n_chan=10**30), "shape"), (_axis(step_hz="1e400"), "header record"),
         (_axis(step_hz="-1"), "header record"), (_axis(first_hz="1e999999999"), "header record")],
    ("raw", "overrides"): [
        (_given(n_bits=value), "n_bits = ") for value in ("\xb2", _HUGE, "-8", "nan", "8.0")] + [
        (_given(sample_rate=value), "rate|large") for value in (
            "1e999999999", "1e999999999Hz", "nan", "-1", "1/0")] + [
        (_given(n_chan="1048575"), "has no sample"), (_given(start_time="nan"), "UTC time"),
        (_given(frequency="1e999999999MHz"), "large")],
}


@pytest.mark.parametrize(("name", "what", "number"), [
    (*key, number) for key, changes in TARGETED.items() for number in range(len(changes))])
def test_values_that_make_no_sense(name: str, what: str, number: int, tmp_path: Path,
                                   monkeypatch: pytest.MonkeyPatch) -> None:
    if name in BASEBAND:
        pytest.importorskip("baseband")
    case = next(each for each in cases(name, tmp_path) if each.what == what)
    change, told = TARGETED[name, what][number]
    case = case._replace(overrides=change(case))
    with pytest.raises(FastsigError, match=told) as caught, warnings.catch_warnings():
        warnings.simplefilter("ignore", FastsigWarning)
        _opened(case, monkeypatch)
    assert isinstance(caught.value, UsageError) or case.folder in str(caught.value) or (
        str(caught.value).startswith("-: "))


def test_vdif_of_too_many_inputs(tmp_path: Path) -> None:
    path = tmp_path / "many.vdif"  # its 3 MB would ask for 4 GB of names
    path.write_bytes(b"".join(test_vdif.frame(bytes(8192), thread=t, n_chan=2**16, n_bits=1)
                              for t in range(350)))
    with pytest.raises(FormatError, match="350 threads of 65536 channels; allowed: 65536 inputs"):
        vdif.open(str(path), sample_rate=1000)
