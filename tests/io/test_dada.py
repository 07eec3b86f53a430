"""DADA: recorded truths, `baseband` as oracle, several files, gaps, damage."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import change_bytes
from recordings import recorded
from thorough import thorough

import fastsig as fs
from fastsig.axes.time import iso
from fastsig.errors import DoubtWarning, FastsigWarning, FormatError, UsageError
from fastsig.io.dada import reader as dada
from fastsig.io.probe import Probe

CARDS: dict[str, Any] = {
    "HDR_VERSION": 1.0, "HDR_SIZE": 4096, "TELESCOPE": "FAST", "SOURCE": "B0000+00",
    "RA": "20:16:00.2", "DEC": "-28:30:30", "FREQ": 1250, "BW": 16, "TSAMP": 0.0625, "NBIT": 8,
    "NDIM": 2, "NPOL": 2, "NCHAN": 1, "OBS_OFFSET": 0, "UTC_START": "2026-01-02-03:04:05.5",
    "INSTRUMENT": "TEST", "RECEIVER": "L19",
}


def header(cards: dict[str, Any], size: int = 4096) -> bytes:
    text = "".join(f"{key} \t{value}   # {key.lower()}\n" for key, value in cards.items()
                   if value is not None)
    return text.encode("ascii").ljust(size, b"\0")


def write(path: Path, x: np.ndarray, **cards: Any) -> Path:
    path.write_bytes(header({**CARDS, **cards}) + x.tobytes())
    return path


def numbers(*shape: int, dtype: str = "i1", seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if dtype == "<f4":
        return rng.standard_normal(shape).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, endpoint=True).astype(dtype)


def opened(path: Any, **overrides: Any) -> Any:
    return fs.open(path, **overrides).stream


@pytest.mark.recorded
def test_recorded_truths_and_samples() -> None:
    path = recorded("baseband/sample.dada")
    stream = opened(path)
    assert iso(stream.start_time) == "2013-07-02T01:39:20.000000000"
    assert stream.shape == (16000, 2) and stream.header.sample_rate == 16_000_000
    assert [float(edge) for edge in stream.header.channels.edges_hz] == [312e6, 328e6]
    data = stream.read_block(0, 16000).data
    assert data.std() == pytest.approx(4.3507, abs=1e-4)
    oracle = pytest.importorskip("baseband.dada")
    with oracle.open(str(path), "rs") as file:
        np.testing.assert_array_equal(data, file.read())


def test_header(tmp_path: Path) -> None:
    x = numbers(100, 2, 2)
    path = write(tmp_path / "a.dada", x)
    stream = opened(path)
    h = stream.header
    assert dada.sniff(Probe(path)) and stream.shape == (100, 2) and h.sample_rate == 16_000_000
    assert iso(h.start_time) == "2026-01-02T03:04:05.500000000"
    assert (h.telescope, h.source, h.receiver, h.backend) == ("FAST", "B0000+00", "L19", "TEST")
    assert h.ra_deg == pytest.approx(304.00083333) and h.dec_deg == pytest.approx(-28.50833333)
    np.testing.assert_array_equal(stream.read_block(0, 100).data, x[..., 0] + 1j * x[..., 1])


@pytest.mark.parametrize("dtype", ["i1", "<i2", "<f4"])
@pytest.mark.parametrize("n_dim", [1, 2])
@pytest.mark.parametrize(("n_pol", "n_chan"), [(1, 1), (2, 1), (1, 6), (2, 6)])
@pytest.mark.parametrize("order", ["TFP", "TPF"])
def test_any_shape(
    tmp_path: Path, dtype: str, n_dim: int, n_pol: int, n_chan: int, order: str
) -> None:
    x = numbers(50, n_pol, n_chan, n_dim, dtype=dtype)
    stored = x if order == "TPF" else x.swapaxes(1, 2)
    path = write(tmp_path / "s.dada", np.ascontiguousarray(stored), NDIM=n_dim, NPOL=n_pol,
                 NCHAN=n_chan, NBIT=8 * x.itemsize)
    expected = x[..., 0] + 1j * x[..., 1] if n_dim == 2 else x[..., 0]
    for width in (16, -16):
        write(path, np.ascontiguousarray(stored), NDIM=n_dim, NPOL=n_pol, NCHAN=n_chan,
              NBIT=8 * x.itemsize, BW=width, ORDER=order if width > 0 else None)
        stream = opened(path, **({} if width > 0 else {"order": order}))
        right = expected if width > 0 else expected[:, :, ::-1]
        found = stream.read_block(7, 40)
        np.testing.assert_array_equal(found.data, (right if n_chan > 1 else right[..., 0])[7:47])
        assert stream.header.sideband == ("upper" if width > 0 else "lower")
        assert stream.header.channels.n_chan == n_chan
    if n_dim == 1 and dtype != "<f4":
        assert found.data.dtype == np.dtype(dtype)


def test_files_of_an_observation(tmp_path: Path) -> None:
    x = numbers(300, 2, 2)
    paths = [write(tmp_path / f"obs.{i}.dada", x[100 * i : 100 * (i + 1)],
                   OBS_OFFSET=4 * (10**9 + 100 * i), FILE_NUMBER=i) for i in range(3)]
    stream = opened(paths[::-1])
    truth = x[..., 0] + 1j * x[..., 1]
    np.testing.assert_array_equal(stream.read_block(0, 300).data, truth)
    # 10^9 samples of 62.5 ns.
    assert iso(stream.start_time) == "2026-01-02T03:05:08.000000000"
    gap = opened([paths[0], paths[2]])
    found = gap.read_block(50, 200)
    assert found.valid[0].tolist() == [[50, 100], [200, 250]]
    np.testing.assert_array_equal(found.data[150:], truth[200:250])
    assert gap.valid_fraction() == pytest.approx(2 / 3)
    other = write(tmp_path / "other.dada", x, UTC_START="2026-01-02-03:04:06")
    with pytest.raises(FormatError, match="differs in observation or shape"):
        opened([paths[0], other])


@pytest.mark.parametrize(("dtype", "n_pol", "width"), [  # a kernel each: every one takes seconds
    pytest.param("i1", 2, 16, marks=thorough), ("i1", 1, 16), ("<i2", 2, -16)])
def test_kernels_that_take_integers_give_the_same_bytes(
    tmp_path: Path, dtype: str, n_pol: int, width: int
) -> None:
    x = numbers(3000, n_pol, 2, dtype=dtype)
    paths = [write(tmp_path / f"k.{i}.dada", x[1000 * i : 1000 * (i + 1)], NPOL=n_pol, BW=width,
                   NBIT=8 * x.itemsize, OBS_OFFSET=1000 * i * n_pol * 2 * x.itemsize)
             for i in (0, 2)]
    chain = fs.open(paths, feed="linear").channelize(32, n_tap=4)
    chain = chain.detect("IQUV" if n_pol == 2 else "I").integrate(n_int=3)
    files = [tmp_path / "plain.h5", tmp_path / "fused.h5"]
    for file, fused in zip(files, (False, True), strict=True):
        chain.write(file, fused=fused, workers=2)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_cut_file_gives_its_whole_samples(tmp_path: Path) -> None:
    path = write(tmp_path / "c.dada", numbers(10, 2, 2))
    raw = path.read_bytes()
    path.write_bytes(raw[:-1])
    with pytest.warns(FastsigWarning, match=r"c\.dada: the last 3 bytes"):
        assert opened(path).shape == (9, 2)
    for length in (0, 3, 100, 4095, 4096, 4099):
        path.write_bytes(raw[:length])
        with pytest.raises(FormatError, match=r"c\.dada: "), warnings.catch_warnings():
            warnings.simplefilter("ignore", FastsigWarning)
            opened(path)


def test_picoseconds(tmp_path: Path) -> None:
    path = write(tmp_path / "p.dada", numbers(100, 2, 2), UTC_START="2016-12-31-23:59:60",
                 PICOSECONDS=500_000_000_000)
    assert iso(fs.open(path).start_time) == "2016-12-31T23:59:60.500000000"


BAD = {"HDR_SIZE": (0, "big", 10**9), "NBIT": (0, 12, None), "NDIM": (0, 3), "NPOL": (0, 4),
       "NCHAN": (0, -1, 10**12), "TSAMP": (0, "nan", None), "BW": (0, "x"), "OBS_OFFSET": (3, -4),
       "UTC_START": ("yesterday",), "ORDER": ("FPT",)}


@pytest.mark.parametrize(("key", "value"), [(k, v) for k, each in BAD.items() for v in each])
def test_headers_that_make_no_sense_are_told(tmp_path: Path, key: str, value: Any) -> None:
    path = write(tmp_path / "b.dada", numbers(10, 2, 2), **{key: value})
    with pytest.raises(FormatError, match=rf"b\.dada: .*({key}|truncated)"):
        opened(path)


def test_unknown_options_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dada", numbers(10, 2, 2))
    with pytest.raises(UsageError, match="order = 'FTP'"):
        opened(path, order="FTP")
    with pytest.raises(UsageError, match="unknown override"):
        opened(path, ordre="TFP")


def test_any_byte_of_a_header_may_be_wrong(tmp_path: Path) -> None:
    raw = write(tmp_path / "f.dada", numbers(50, 2, 2)).read_bytes()
    length = raw.index(b"\0")
    change_bytes(raw, tmp_path / "g.dada", lambda rng: rng.integers(0, length), dada.open)


#: What PTUSE writes of MeerKAT's beam former: no ORDER, heaps of 256 samples.
MKBF: dict[str, Any] = {"INSTRUMENT": "MKBF", "FREQ": 815.734375, "BW": 4.25,
                        "TSAMP": 1.882352941176471}


def heaps(n: int, n_chan: int, heap: int = 256, *, seed: int = 1) -> np.ndarray:
    """Noise in heaps, (heap, pol, chan, time, part), of a band that is not flat."""
    rng = np.random.default_rng(seed)
    level = np.linspace(10, 30, 2 * n_chan).reshape(2, n_chan, 1, 1)
    return np.rint(level * rng.standard_normal((n, 2, n_chan, heap, 2))).astype("i1")


def test_heaps_of_meerkats_beam_former(tmp_path: Path) -> None:
    x = heaps(3, 8)
    truth = x.transpose(0, 3, 1, 2, 4).reshape(768, 2, 8, 2)
    truth = truth[..., 0] + 1j * truth[..., 1]
    for sign in (1, -1):
        paths = [write(tmp_path / f"m{i}.dada", x[i], **{**MKBF, "BW": sign * 4.25}, NCHAN=8,
                       OBS_OFFSET=(100 + i) * 256 * 32) for i in range(3)]
        stream = opened(paths)
        right = truth[:, :, ::sign]
        np.testing.assert_array_equal(stream.read_block(0, 768).data, right)
        np.testing.assert_array_equal(stream.read_block(250, 301).data, right[250:551])
        assert stream.header.sample_rate == 531_250 and stream.align == 256
    gap = opened([paths[0], paths[2]]).read_block(200, 400)
    assert gap.valid[1].tolist() == [[200, 256], [512, 600]]
    np.testing.assert_array_equal(gap.data[312:], truth[512:600, :, ::-1])


def test_heaps_of_one_channel_and_of_another_length(tmp_path: Path) -> None:
    x = heaps(4, 1, 32)
    truth = (x[..., 0, :, 0] + 1j * x[..., 0, :, 1]).transpose(0, 2, 1).reshape(128, 2)
    path = write(tmp_path / "h.dada", x)
    stream = opened(path, order="PFT", heap=32)
    np.testing.assert_array_equal(stream.read_block(5, 100).data, truth[5:105])
    assert stream.as_recorded() is stream
    for wrong in ({"heap": 32}, {"order": "PFT", "heap": 1}, {"order": "PFT", "heap": "x"}):
        with pytest.raises(UsageError, match="heap = "):
            opened(path, **wrong)
    with pytest.raises(FormatError, match="OBS_OFFSET = '4'; allowed: a multiple of 1024 bytes"):
        opened(write(path, x, OBS_OFFSET=4), order="PFT")
    with pytest.warns(FastsigWarning, match=r"the last \d+ bytes are not a whole heap"):
        assert opened(write(path, x.ravel()[:-1]), order="PFT", heap=32).shape == (96, 2)


@pytest.mark.parametrize("n_pol", [1, 2])
def test_several_channels_need_an_order(tmp_path: Path, n_pol: int) -> None:
    path = write(tmp_path / "o.dada", numbers(20, 4, n_pol, 2), NCHAN=4, NPOL=n_pol)
    with pytest.raises(FormatError, match=r"ORDER = None; allowed: .*order='TFP'"):
        opened(path)
    assert opened(path, order="TFP").shape == (20, n_pol, 4)


def test_an_order_that_samples_contradict_is_doubted(tmp_path: Path) -> None:
    x = heaps(4, 8)
    path = write(tmp_path / "d.dada", x, NCHAN=8, ORDER="TFP")
    with pytest.warns(DoubtWarning, match="order='PFT' heap=256"):
        opened(path)
    plain = np.ascontiguousarray(x.transpose(0, 3, 2, 1, 4))
    with pytest.warns(DoubtWarning, match="order='TFP' or TPF"):
        opened(write(path, plain, **MKBF, NCHAN=8))
    opened(write(path, plain, NCHAN=8, ORDER="TFP"))  # and nothing is said where it is right,
    opened(write(path, x, NCHAN=8, ORDER="TFP"), order="TPF")  # or where the user chose
    bursts = np.clip(plain * np.repeat(np.geomspace(0.1, 5, 16), 64).reshape(4, 256, 1, 1, 1),
                     -128, 127).astype("i1")
    opened(write(path, bursts, NCHAN=8, ORDER="TFP"))


def test_an_instrument_known_for_heaps_is_not_written(tmp_path: Path) -> None:
    path = write(tmp_path / "m.dada", heaps(1, 8), **MKBF, NCHAN=8)
    with pytest.raises(UsageError, match="backend MKBF: .* programs expect heaps"):
        fs.open(path).write(tmp_path / "o.dada")
    fs.open(path).write(tmp_path / "o.dada", lossy=True)
    copy, truth = opened(tmp_path / "o.dada"), opened(path).read_block(0, 256).data
    assert copy.header.backend is None
    np.testing.assert_array_equal(copy.read_block(0, 256).data, truth)
