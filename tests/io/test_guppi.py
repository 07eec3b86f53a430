"""GUPPI RAW: recorded truths, `baseband` as oracle, gaps, padding, damage."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import change_bytes
from recordings import recorded
from thorough import thorough

import fastsig as fs
from fastsig.axes.time import iso
from fastsig.errors import FastsigWarning, FormatError, UsageError
from fastsig.io.files.positioned import read_into
from fastsig.io.files.scan import scan_files
from fastsig.io.guppi import blocks as guppi_blocks
from fastsig.io.guppi import reader as guppi
from fastsig.io.probe import Probe

N_CHAN, N_POL, N_TIME = 4, 2, 64  # of a block
RATE = Fraction(25 * 10**6, 8)
CARDS: dict[str, Any] = {
    "SRC_NAME": "'J0000+0000'", "TELESCOP": "'FAST    '", "BACKEND": "'TEST    '",
    "FD_POLN": "'LIN     '", "RA_STR": "'18:10:37.28'", "DEC_STR": "'-17:44:37.38'",
    "OBSFREQ": 1000.0, "OBSBW": 12.5, "OBSNCHAN": N_CHAN, "NPOL": 4, "NBITS": 8,
    "TBIN": 3.2e-7, "BLOCSIZE": N_CHAN * N_POL * N_TIME * 2, "PKTSIZE": 256, "OVERLAP": 0,
    "STT_IMJD": 60000, "STT_SMJD": 4321, "STT_OFFS": 0.25,
}


def voltages(n: int, seed: int = 1, low: int = -128, high: int = 128) -> np.ndarray:
    """Integers, (time, pol, chan, 2)."""
    rng = np.random.default_rng(seed)
    return rng.integers(low, high, (n, N_POL, N_CHAN, 2), "int8")


def truth(x: np.ndarray) -> np.ndarray:
    return (x[..., 0] + 1j * x[..., 1]).astype(np.complex64)


def header(cards: Mapping[str, Any]) -> bytes:
    lines = [f"{key:<8}= {value!s:>20}".ljust(80) for key, value in cards.items()
             if value is not None]
    return "".join([*lines, "END".ljust(80)]).encode("ascii", "surrogateescape")


def block(x: np.ndarray, index: int, cards: Mapping[str, Any] | None = None,
          payload: bytes | None = None) -> bytes:
    """A block: x is (time, pol, chan, 2), stored channel by channel."""
    text = header({**CARDS, "PKTIDX": index, **(cards or {})})
    data = x.transpose(2, 0, 1, 3).tobytes() if payload is None else payload
    return text + data


def write(path: Path, x: np.ndarray, which: Iterable[int] | None = None, **cards: Any) -> Path:
    """Blocks of N_TIME samples of x, those in `which`, in that order."""
    blocks = range(len(x) // N_TIME) if which is None else which
    # A block is 4 packets.
    path.write_bytes(b"".join(
        block(x[i * N_TIME : (i + 1) * N_TIME], 4 * i, cards) for i in blocks))
    return path


def opened(path: Path | list[Path], **overrides: Any) -> Any:
    return fs.open(path, **overrides).stream


@pytest.mark.recorded
def test_recorded_truths() -> None:
    path = recorded("baseband/sample_puppi.raw")
    stream = opened(path)
    assert iso(stream.header.start_time) == "2018-01-14T14:11:33.000000000"
    assert stream.shape == (3904, 2, 4) and stream.header.sample_rate == 250
    assert stream.header.n_bits == 8 and stream.header.telescope == "Arecibo"
    data = stream.read_block(0, 3904).data
    assert np.sqrt((np.abs(data) ** 2).mean()) == pytest.approx(19.84, abs=0.03)
    with pytest.raises(FormatError, match="no complete GUPPI RAW block"), warnings.catch_warnings():
        warnings.simplefilter("ignore", FastsigWarning)
        opened(recorded("baseband/sample_vegas.raw"))


@pytest.mark.recorded
def test_recorded_samples_are_those_of_baseband() -> None:
    oracle = pytest.importorskip("baseband.guppi")
    path = recorded("baseband/sample_puppi.raw")
    with oracle.open(str(path), "rs") as file:
        expected = file.read()
    stream = opened(path)
    np.testing.assert_array_equal(stream.read_block(0, 3904).data, expected)
    np.testing.assert_array_equal(stream.read_block(955, 1000).data, expected[955:1955])


@pytest.mark.recorded
def test_recorded_scan_of_four_files() -> None:
    paths = [recorded(f"pulsarbat/fake.{i}.raw") for i in range(4)]
    stream = opened(paths)
    assert stream.shape == (32768, 2, 4) and stream.valid_fraction() == 1
    whole = stream.read_block(0, 32768).data
    for i, path in enumerate(paths):
        alone = opened(path)
        assert alone.shape[0] == 8192
        seconds = (alone.start_time - stream.start_time).sec
        assert seconds == pytest.approx(i * 2.62144e-3, abs=1e-9)
        np.testing.assert_array_equal(alone.read_block(0, 8192).data,
                                      whole[8192 * i : 8192 * (i + 1)])
    with_gap = opened([paths[3], paths[0], paths[1]])
    assert with_gap.valid_fraction() == 0.75
    block = with_gap.read_block(0, 32768)
    assert block.valid[0].tolist() == [[0, 16384], [24576, 32768]]
    np.testing.assert_array_equal(block.data[24576:], whole[24576:])
    assert not block.data[16384:24576].any()


def test_header(tmp_path: Path) -> None:
    x = voltages(3 * N_TIME)
    stream = opened(write(tmp_path / "a.raw", x))
    h = stream.header
    assert stream.shape == (192, 2, 4) and h.sample_rate == RATE and h.is_complex
    assert iso(h.start_time) == "2023-02-25T01:12:01.250000000"
    np.testing.assert_allclose(h.channels.centers.value, 1000 + 3.125 * np.arange(-1.5, 2))
    assert (h.sideband, h.polarization.kind, h.polarization.names) == (
        "upper", "linear", ("X", "Y"))
    assert h.source == "J0000+0000" and h.telescope == "FAST"
    assert h.ra_deg == pytest.approx(272.65533333) and h.dec_deg == pytest.approx(-17.74371667)
    np.testing.assert_array_equal(stream.read_block(0, 192).data, truth(x))
    assert guppi.sniff(Probe(tmp_path / "a.raw"))


def test_headers_that_differ(tmp_path: Path) -> None:
    """Cards without a meaning here may change from block to block; others are looked at."""
    x = voltages(8 * N_TIME)

    def file(name: str, **changed: list[Any]) -> Path:
        path = tmp_path / name
        path.write_bytes(b"".join(
            block(x[i * N_TIME : (i + 1) * N_TIME], [0, 1, 2, 3, 6, 7, 5, 4][i] * 4,
                  {key: values[i] for key, values in changed.items()}) for i in range(8)))
        return path

    order = [0, 1, 2, 3, 7, 6, 4, 5]
    expected = truth(x.reshape(8, N_TIME, N_POL, N_CHAN, 2)[order].reshape(x.shape))
    # A card that comes and goes makes the header longer.
    for name, cards in (("a", {"NDROP": [0, 0, 1, 2, 0, 9, 9, 0]}),
                        ("b", {"NOTE": [None, "'x'", "'y'", None, None, 1, 2, 3]}),
                        ("c", {"PKTIDX": [0, 4, "'8'", 12, 24.0, 28, 20, "1.6e1"]})):
        stream = opened(file(name, **cards))
        np.testing.assert_array_equal(stream.read_block(0, 8 * N_TIME).data, expected)
    for key, value, message in (
        ("OBSFREQ", 1001.0, "OBSFREQ = 1001.0"), ("NBITS", 4, "differs in scan or shape"),
        ("STT_SMJD", 4322, "differs in scan or shape"), ("PKTIDX", "x", "PKTIDX = 'x'"),
        ("TBIN", 6.4e-7, "TBIN"), ("BLOCSIZE", 512, "differs in scan or shape")):
        same = 20 if key == "PKTIDX" else CARDS[key]
        with pytest.raises(FormatError, match=message):
            opened(file("d", **{key: [same] * 6 + [value, same]}))
    # Four packets of half the size are half a block.
    stream = opened(file("e", PKTSIZE=[256] * 6 + [128, 256],
                         PKTIDX=[0, 4, 8, 12, 24, 28, 40, 16]))
    np.testing.assert_array_equal(stream.read_block(0, 8 * N_TIME).data, expected)


def test_few_headers_are_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.raw", voltages(50 * N_TIME))
    parsed: list[bytes] = []
    cards_80 = guppi_blocks.cards_80
    monkeypatch.setattr(guppi_blocks, "cards_80",
                        lambda raw, *rest: parsed.append(raw) or cards_80(raw, *rest))
    assert opened(path).shape[0] == 50 * N_TIME and len(parsed) == 1


def test_numbers_may_be_quoted_and_one_polarisation(tmp_path: Path) -> None:
    x = voltages(N_TIME)[:, :1]
    cards = {key: f"'{value:<8}'" for key, value in CARDS.items() if not isinstance(value, str)}
    cards |= {"NPOL": "'1       '", "BLOCSIZE": f"'{CARDS['BLOCSIZE'] // 2}'"}
    path = tmp_path / "q.raw"
    path.write_bytes(block(x, 0, cards))
    stream = opened(path)
    assert stream.shape == (N_TIME, 1, N_CHAN)
    np.testing.assert_array_equal(stream.read_block(0, N_TIME).data, truth(x))


def test_a_negative_bandwidth_is_the_same_sky(tmp_path: Path) -> None:
    # Channels in the other order, each of them inverted: conjugated.
    x = voltages(40 * N_TIME)
    y = x[:, :, ::-1].copy()
    y[..., 1] = np.clip(-y[..., 1].astype(int), -127, 127)
    x[..., 1] = np.clip(x[..., 1], -127, 127)
    upper, lower = (
        fs.open(write(tmp_path / f"{name}.raw", data, OBSBW=width))
        for name, data, width in (("u", x, 12.5), ("l", y, -12.5)))
    assert lower.header.sideband == "lower" and upper.header.channels == lower.header.channels
    both = [chain.channelize(32, n_tap=4).detect("IQUV").integrate(n_int=4).read().values
            for chain in (upper, lower)]
    # A lower sideband's channels are centred one step higher: compare what is at one frequency.
    np.testing.assert_allclose(both[0][..., 1:32], both[1][..., 0:31], rtol=2e-5, atol=2e-2)


@pytest.mark.parametrize("n_bits", [2, 4, 16])
def test_other_numbers_of_bits(tmp_path: Path, n_bits: int) -> None:
    rng = np.random.default_rng(n_bits)
    codes = rng.integers(0, 2**n_bits, (N_CHAN, N_TIME, N_POL, 2))
    if n_bits == 16:
        values = (codes - 2**15).astype(float)
        payload = values.astype("<i2").tobytes()
    else:
        levels = {2: [3.335875, 1, -1, -3.335875], 4: [*range(8), *range(-8, 0)]}[n_bits]
        values = np.array(levels, np.float32)[codes]
        bits = codes.reshape(-1, 8 // n_bits)
        shifts = 8 - n_bits * (1 + np.arange(8 // n_bits))  # the first number in the high bits
        payload = (bits << shifts).sum(axis=1).astype(np.uint8).tobytes()
    path = tmp_path / "bits.raw"
    path.write_bytes(block(voltages(1), 0, {"NBITS": n_bits, "BLOCSIZE": len(payload)},
                           payload=payload))
    stream = opened(path)
    expected = (values[..., 0] + 1j * values[..., 1]).astype("c8").transpose(1, 2, 0)
    np.testing.assert_array_equal(stream.read_block(0, N_TIME).data, expected)
    np.testing.assert_array_equal(stream.read_block(3, 10).data, expected[3:13])


@pytest.mark.parametrize("padded_data", [False, True])
def test_direct_io_is_padded(tmp_path: Path, padded_data: bool) -> None:
    x = voltages(2 * N_TIME)
    cards = {"DIRECTIO": 1, "NPOL": 2, "BLOCSIZE": CARDS["BLOCSIZE"] // 8 * 7}
    short = N_TIME // 8 * 7
    raw = b""
    for i in range(2):
        text = header({**CARDS, **cards})
        raw += text + bytes(-len(raw + text) % 512)
        raw += x[i * short : (i + 1) * short].transpose(2, 0, 1, 3).tobytes()
        raw += bytes(-len(raw) % 512 if padded_data else 0)
    path = tmp_path / "d.raw"
    path.write_bytes(raw)
    stream = opened(path)
    np.testing.assert_array_equal(stream.read_block(0, 2 * short).data, truth(x[: 2 * short]))


def test_overlap_counts_once(tmp_path: Path) -> None:
    x = voltages(5 * 48 + 16)
    path = tmp_path / "o.raw"
    # Of a block's 64 samples 48 are new: 3 packets.
    path.write_bytes(b"".join(block(x[48 * i : 48 * i + 64], 3 * i, {"OVERLAP": 16})
                              for i in range(5)))
    stream = opened(path)
    assert stream.shape[0] == len(x)
    np.testing.assert_array_equal(stream.read_block(0, len(x)).data, truth(x))
    # Where a block is missing, those that it shared are there nevertheless.
    path.write_bytes(b"".join(block(x[48 * i : 48 * i + 64], 3 * i, {"OVERLAP": 16})
                              for i in (0, 2, 3)))
    block_ = opened(path).read_block(0, 208)
    assert block_.valid[1].tolist() == [[0, 64], [96, 208]]
    np.testing.assert_array_equal(block_.data[96:], truth(x)[96:208])


@pytest.mark.parametrize("which", [(0, 1, 4, 5), (0, 4, 1, 5), (1, 0, 4, 4, 0, 5)])
def test_gaps_order_and_duplicates(tmp_path: Path, which: tuple[int, ...]) -> None:
    x = voltages(6 * N_TIME)
    stream = opened(write(tmp_path / "g.raw", x, which))
    assert stream.shape[0] == 6 * N_TIME and stream.valid_fraction() == pytest.approx(4 / 6)
    found = stream.read_block(0, 6 * N_TIME)
    lost = slice(2 * N_TIME, 4 * N_TIME)
    expected = truth(x)
    expected[lost] = 0
    np.testing.assert_array_equal(found.data, expected)
    for spans in found.valid:
        assert spans.tolist() == [[0, 2 * N_TIME], [4 * N_TIME, 6 * N_TIME]]
    assert iso(stream.time_of(5 * N_TIME)) == iso(
        opened(write(tmp_path / "h.raw", x, [5])).start_time)


@pytest.mark.parametrize("n_bits", [4, 8])
@pytest.mark.parametrize("width", [12.5, -12.5])
def test_channels_that_are_chosen_are_read_alone(tmp_path: Path, n_bits: int, width: float,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    size = N_CHAN * N_POL * N_TIME * 2 * n_bits // 8
    path = tmp_path / "n.raw"
    path.write_bytes(b"".join(
        block(voltages(1), 4 * i, {"NBITS": n_bits, "BLOCSIZE": size, "PKTSIZE": size // 4,
                                   "OBSBW": width},
              payload=rng.integers(0, 256, size, "u1").tobytes())
        for i in (0, 1, 3)))
    whole = fs.open(path)
    part = whole[20:200, 1:3]
    expected = whole.stream.read_block(20, 180)
    read = []
    monkeypatch.setattr("fastsig.io.voltages.segments.read_into", lambda descriptor, out, *rest: (
        read.append(out.nbytes), read_into(descriptor, out, *rest)))
    found = part.stream.read_block(0, 180)
    np.testing.assert_array_equal(found.data, expected.data[:, :, 1:3])
    assert [len(spans) for spans in found.valid] == [2, 2]
    assert sum(read) <= (180 - 64 + 4) * 2 * N_POL * 2 * n_bits // 8
    # Through NumPy, as vector code would take seconds to compile.
    chain = part.channelize(12, n_tap=2).detect("I").integrate(n_int=2)
    plain = whole[20:200].channelize(12, n_tap=2).detect("I").integrate(n_int=2)
    np.testing.assert_array_equal(chain.read().values, plain.read().values[:, :, 12:36])


def test_packets_a_block_by_piperblk(tmp_path: Path) -> None:
    x = voltages(4 * N_TIME)
    path = tmp_path / "p.raw"
    path.write_bytes(b"".join(
        block(x[i * N_TIME : (i + 1) * N_TIME], 1000 + 7 * i, {"PIPERBLK": 7, "PKTSIZE": 8192})
        for i in (0, 1, 3)))
    assert opened(path).read_block(0, 256).valid[0].tolist() == [[0, 128], [192, 256]]


@pytest.mark.parametrize(("seconds", "samples"), [
    (8 * N_TIME / RATE, 1), (16 * 8 * N_TIME / RATE, 16)])
def test_packets_that_are_samples(tmp_path: Path, seconds: Fraction, samples: int) -> None:
    """As setigen writes: by PKTSIZE a packet is 16 samples, by SCANLEN it may be one."""
    x = voltages(3 * N_TIME)
    path = tmp_path / "s.raw"
    path.write_bytes(b"".join(
        block(x[i * N_TIME : (i + 1) * N_TIME], place * N_TIME,
              {"PKTSIZE": 16 * N_CHAN * N_POL * 2, "PKTSTART": 0, "PKTSTOP": 8 * N_TIME,
               "SCANLEN": float(seconds)}) for i, place in enumerate((0, 1, 3))))
    n = samples * N_TIME
    assert opened(path).read_block(0, 3 * n + N_TIME).valid[0].tolist() == (
        [[0, 128], [192, 256]] if samples == 1 else
        [[0, N_TIME], [n, n + N_TIME], [3 * n, 3 * n + N_TIME]])


@pytest.mark.parametrize(("n_bits", "n_pol", "width"), [  # kernels that tests of DADA have too
    (8, 2, 12.5), (8, 1, 12.5), (16, 2, -12.5), (4, 2, -12.5),
    *(pytest.param(*each, marks=thorough) for each in (
        (8, 2, -12.5), (8, 1, -12.5), (16, 2, 12.5), (4, 2, 12.5)))])
def test_kernels_that_take_integers_give_the_same_bytes(
    tmp_path: Path, n_bits: int, n_pol: int, width: float
) -> None:
    rng = np.random.default_rng(5)
    path = tmp_path / "k.raw"
    size = N_CHAN * n_pol * N_TIME * 2 * n_bits // 8
    path.write_bytes(b"".join(
        block(voltages(1), 4 * i, {"NBITS": n_bits, "NPOL": n_pol, "BLOCSIZE": size,
                                   "PKTSIZE": size // 4, "OBSBW": width},
              payload=rng.integers(0, 256, size, "u1").tobytes())
        for i in range(100) if i not in (20, 21, 50)))
    chain = fs.open(path)[10 * N_TIME + 3 :].channelize(32, n_tap=4)
    chain = chain.detect("IQUV" if n_pol == 2 else "I").integrate(n_int=3)
    assert isinstance(chain.stream.source.source.source.source, guppi.GuppiStream)
    recorded_ = chain.stream.source.source.source.as_recorded()
    assert (recorded_.dtype.kind == "i") == (n_bits >= 8)
    files = [tmp_path / "plain.h5", tmp_path / "fused.h5"]
    for file, fused in zip(files, (False, True), strict=True):
        chain.write(file, fused=fused, workers=2)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_threads_read_what_one_reads(tmp_path: Path) -> None:
    x = voltages(30 * N_TIME)
    stream = opened(write(tmp_path / "t.raw", x))
    starts = list(range(0, len(x) - 100, 37))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda at: stream.read_block(at, 100).data, starts))
    for at, data in zip(starts, found, strict=True):
        np.testing.assert_array_equal(data, truth(x[at : at + 100]))
    stream.close()
    np.testing.assert_array_equal(stream.read_block(5, 5).data, truth(x[5:10]))
    stream.close()


def test_a_cut_file_gives_its_whole_blocks(tmp_path: Path) -> None:
    x = voltages(3 * N_TIME)
    path = write(tmp_path / "c.raw", x)
    raw = path.read_bytes()
    size = len(raw) // 3
    for length in (3 * size - 1, 2 * size + 1700, 2 * size + 10, 2 * size + 1):
        path.write_bytes(raw[:length])
        with pytest.warns(FastsigWarning, match=r"c\.raw: "):
            stream = opened(path)
        assert stream.shape[0] == 2 * N_TIME
        np.testing.assert_array_equal(stream.read_block(0, 2 * N_TIME).data,
                                      truth(x[: 2 * N_TIME]))
    for length in (0, 10, 79, 500, size - 1):
        path.write_bytes(raw[:length])
        with pytest.raises(FormatError, match=r"c\.raw: "), warnings.catch_warnings():
            warnings.simplefilter("ignore", FastsigWarning)
            opened(path)


def test_files_of_a_scan_by_name_pattern_and_stem(tmp_path: Path) -> None:
    x = voltages(4 * N_TIME)
    paths = [write(tmp_path / f"night.{i:04d}.raw", x, (2 * i, 2 * i + 1)) for i in range(2)]
    names = [str(path) for path in paths]
    assert scan_files(names) == scan_files(tmp_path / "night.*.raw") == names
    assert scan_files(str(tmp_path / "night")) == names
    stream = opened(str(tmp_path / "night"))
    np.testing.assert_array_equal(stream.read_block(0, 256).data, truth(x))
    assert stream.files == names
    with pytest.raises(FormatError, match="No such file"):
        opened(tmp_path / "day")
    other = write(tmp_path / "other.raw", x, [0], STT_SMJD=1)
    with pytest.raises(FormatError, match="differs in scan or shape"):
        opened([*paths, other])
    with pytest.raises(UsageError, match="separate recordings"):
        fs.open([Path(__file__).parents[2] / "data" / "samples" / name
                 for name in ("fast_band_1GSa.h5", "frb_carrier_16MHz.h5")])


BAD = {
    "BLOCSIZE": (0, -5, 10**30, "nan", 1023, None), "OBSNCHAN": (0, -1, "x", 2**40, None),
    "NBITS": (3, "eight"), "NPOL": (0, 5), "OVERLAP": (64, -1), "OBSBW": (0, "inf", None),
    "OBSFREQ": ("1e400", None), "TBIN": ("1/0",), "STT_IMJD": (-1, 10**9, None, "6e4x"),
    "STT_SMJD": (-1, 10**6), "PKTIDX": ("zwei",),
}


@pytest.mark.parametrize(("key", "value"), [(k, v) for k, each in BAD.items() for v in each])
def test_headers_that_make_no_sense_are_told(tmp_path: Path, key: str, value: Any) -> None:
    path = write(tmp_path / "b.raw", voltages(N_TIME), **{key: value})
    with pytest.raises(FormatError, match=rf"b\.raw: .*{key}"), warnings.catch_warnings():
        warnings.simplefilter("ignore", FastsigWarning)
        opened(path)


def test_any_byte_of_a_header_may_be_wrong(tmp_path: Path) -> None:
    raw = write(tmp_path / "f.raw", voltages(2 * N_TIME)).read_bytes()
    length = raw.index(b"END") + 80
    change_bytes(raw, tmp_path / "g.raw", lambda rng: rng.integers(0, length), guppi.open)
