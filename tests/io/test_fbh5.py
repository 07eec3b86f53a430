"""FBH5: what the project writes, others open; what others write, the project opens."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import peers
import pytest
from fuzz import flips, outcomes, payload_of, truncations
from recordings import recorded
from streams import header, lose_packets, noise, write_native
from thorough import many, thorough

import fastsig as fs
from fastsig.axes.polarization import PolBasis
from fastsig.axes.time import elapsed
from fastsig.io.fbh5 import reader as fbh5
from fastsig.io.fbh5.sizes import chunk_shape, estimate_bytes
from fastsig.io.fbh5.writer import FBH5Writer
from fastsig.stages.integrate import Integrate


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A product with weights between 0 and 1, of a Parkes-like band, 2 x 4 products."""
    folder = tmp_path_factory.mktemp("fbh5")
    rng = np.random.default_rng(4)
    n = 120_000
    spans = lose_packets(rng, n, 0.1, 1024)
    spans = tuple(s[(s[:, 1] < 40_000) | (s[:, 0] > 60_000)] for s in spans)
    path = write_native(folder / "v.h5", noise(rng, n), header(Fraction(20_000_000, 3)), spans)
    chain = fs.open(path).channelize(32).detect("IQUV").integrate(n_int=9)
    chain.write(folder / "product.h5")
    return folder / "product.h5"


def chain_of(product: Path) -> fs.Chain:
    source = fs.open(product.parent / "v.h5")
    return source.channelize(32).detect("IQUV").integrate(n_int=9)


def test_round_trip(product: Path) -> None:
    chain, found = chain_of(product), fs.open(product)
    expected, read = chain.read(), found.read()
    np.testing.assert_array_equal(read.values, expected.values)
    np.testing.assert_array_equal(read.weight, expected.weight)
    assert np.isnan(read.values).any() and ((read.weight > 0) & (read.weight < 1)).any()
    assert abs(elapsed(found.start_time, chain.start_time)) < Fraction(2, 10**11)
    for field in ("sample_rate", "channels", "polarization", "telescope", "source", "beam",
                  "ra_deg", "dec_deg", "n_sum"):
        assert getattr(found.header, field) == getattr(chain.header, field), field
    found.verify()


def test_integrating_a_product_is_integrating_its_source(product: Path) -> None:
    from_file = fs.Chain(Integrate(fs.open(product).stream, n_int=3, n_freq=4)).read()
    source = fs.open(product.parent / "v.h5").channelize(32).detect("IQUV")
    direct = source.integrate(n_int=27, n_freq=4).read()
    np.testing.assert_allclose(from_file.weight[:, :, 0], direct.weight[:, :, 0], rtol=1e-6)
    # The product holds float32 means: each is off by half a unit in its last place.
    scale = np.nanmax(np.abs(direct.values))
    np.testing.assert_allclose(from_file.values, direct.values, rtol=1e-5, atol=1e-6 * scale)


def test_blanks_as_means(product: Path) -> None:
    chain = chain_of(product)
    chain.write(product.parent / "blank.h5", blank="mean")
    block = chain.read()
    lost = np.broadcast_to(block.weight == 0, block.values.shape)
    weight = np.where(lost, 0, block.weight.astype(float))
    means = (np.where(lost, 0, block.values) * weight).sum(axis=0) / weight.sum(axis=0)
    with h5py.File(product.parent / "blank.h5") as file:
        assert file["data"].attrs["blank"] == b"mean"
        written = file["data"][()]
    assert lost.any()
    expected = np.where(lost, means, block.values)
    np.testing.assert_allclose(written, expected, rtol=1e-6, atol=0)
    np.testing.assert_array_equal(fs.open(product.parent / "blank.h5").read().values, block.values)


def test_layout_is_the_contract(product: Path) -> None:
    with h5py.File(product) as file:
        assert file.attrs["CLASS"] == b"FILTERBANK" and file.attrs["VERSION"] == b"1.0"
        data = file["data"]
        labels = [data.dims[index].label for index in range(3)]
        assert labels == ["time", "feed_id", "frequency"]
        for index, name in enumerate(labels):
            assert data.dims[index][0] == file[name]
        assert data.attrs["foff"] > 0 and data.attrs["nchans"] == 32 and data.attrs["nifs"] == 4
        assert data.attrs["src_raj"] == pytest.approx(123.5 / 15)
        assert data.attrs["ra_deg"] == 123.5 and data.attrs["src_dej"] == -12.25
        assert data.attrs["start_time"] == b"2021-03-04T05:06:07.123490389"
        assert Fraction(data.attrs["sample_rate_hz"].decode()) == Fraction(20_000_000, 3) / 64 / 9
        assert data.maxshape[0] is None
        for name, item in file.items():
            assert item.fletcher32, name
            assert all(not h5py.check_vlen_dtype(item.attrs.get_id(key).dtype)
                       for key in item.attrs if not key.startswith("DIMENSION_L"))
        record = json.loads(file["provenance"][()].tobytes())
        stages = [step["stage"] for step in record["stages"]]
        assert stages == ["channelize", "detect", "integrate"]
        assert record["inputs"][0]["name"] == "v.h5" and "/" not in json.dumps(record["inputs"])


def test_blimpy_sees_the_same(product: Path) -> None:
    code = """
import sys, json
from blimpy import Waterfall
import numpy as np
w = Waterfall(sys.argv[1])
h = w.header
json.dump({"shape": w.data.shape, "sum": float(np.nansum(w.data.astype("f8"))),
           "freqs": list(map(float, w.get_freqs())), "tstart": float(h["tstart"]),
           "tsamp": float(h["tsamp"]), "first": w.data[0, 0, :3].tolist()}, open(sys.argv[2], "w"))
"""
    out = product.parent / "blimpy.json"
    peers.run("blimpy", code, product, out)
    seen, mine = json.loads(out.read_text()), fs.open(product)
    block = mine.read()
    assert tuple(seen["shape"]) == mine.shape
    assert seen["first"] == block.values[0, 0, :3].tolist()
    assert seen["sum"] == pytest.approx(np.nansum(block.values.astype("f8")), rel=1e-12)
    np.testing.assert_allclose(seen["freqs"], mine.frequency.to_value("MHz"), rtol=0, atol=1e-9)
    assert seen["tstart"] == pytest.approx(mine.start_time.mjd, rel=1e-15)
    assert seen["tsamp"] == pytest.approx(float(1 / mine.header.sample_rate), rel=1e-15)


def test_xarray_sees_the_same(product: Path) -> None:
    xarray = pytest.importorskip("xarray")
    mine = fs.open(product)
    block = mine.read()
    with xarray.open_dataset(product, engine="h5netcdf", phony_dims="access") as seen:
        assert seen["data"].dims == ("time", "feed_id", "frequency")
        np.testing.assert_array_equal(seen["data"].values, block.values)
        np.testing.assert_array_equal(seen["frequency"].values, mine.frequency.value)
        assert [name.decode() for name in seen["feed_id"].values] == ["I", "Q", "U", "V"]
        apart = (seen["time"].values - block.time.datetime64) / np.timedelta64(1, "ns")
        assert np.abs(apart).max() <= 1  # datetime64 counts whole nanoseconds
    dataset = mine.to_xarray()
    np.testing.assert_array_equal(dataset["data"].values, block.values)
    assert dataset["weights"].shape == block.values.shape


def test_sigpyproc_parses_the_header(product: Path) -> None:
    pytest.importorskip("sigpyproc", reason="sigpyproc needs Python 3.12 or newer")
    from sigpyproc.io.fbh5 import parse_header

    seen = parse_header(product)
    assert seen["nchans"] == 32 and seen["nsamples"] == fs.open(product).shape[0]


def test_what_blimpy_wrote() -> None:
    path = recorded("fbh5_derived/gbt_sgrb2_fine.h5")
    chain = fs.open(path)
    assert chain.shape == (32, 1, 1024) and chain.header.telescope == "GBT"
    frequency = chain.frequency.value
    assert np.all(np.diff(frequency) > 0)
    assert frequency[-1] == pytest.approx(6663.99999987334, abs=1e-11)
    with h5py.File(path) as file:
        raw = file["data"][()]
    np.testing.assert_array_equal(chain.read().values, raw[:, :, ::-1])
    assert chain.header.source == "DIAG_SGR_B2"
    assert chain.header.ra_deg == pytest.approx(17.7875 * 15)
    assert (chain.read().weight == 1).all()


def other(path: Path, data: np.ndarray, **cards: object) -> Path:
    """A file as other programs write it: SIGPROC attributes alone."""
    with h5py.File(path, "w") as file:
        file.attrs["CLASS"], file.attrs["VERSION"] = "FILTERBANK", "1.0"
        packed = hdf5plugin.Bitshuffle(nelems=0, cname="lz4")
        made = file.create_dataset("data", data=data, **packed)
        standard = {"fch1": 1500.0, "foff": -0.5, "tsamp": 0.001, "tstart": 57753.99999,
                    "nbits": 32}
        for key, value in {**standard, **cards}.items():
            if value is not None:
                made.attrs[key] = value
    return path


def test_nan_in_other_files_is_weight_zero(tmp_path: Path, rng: np.random.Generator) -> None:
    data = rng.normal(10, 1, (20, 1, 8)).astype(np.float32)
    data[3, 0, 2], data[5] = np.nan, np.inf
    chain = fs.open(other(tmp_path / "x.h5", data))
    block = chain.read()
    assert block.weight[3, 0, 5] == 0 and block.weight[3, 0, 4] == 1 and not block.weight[5].any()
    assert np.isnan(block.values[5]).all()
    mean = chain.integrate(n_int=4).read()
    assert mean.weight[0, 0, 5] == 0.75
    assert mean.values[0, 0, 5] == pytest.approx(np.nanmean(data[:4, 0, 2]), rel=1e-6)


def test_integers_and_products_of_other_files(tmp_path: Path, rng: np.random.Generator) -> None:
    data = rng.integers(0, 255, (10, 4, 8)).astype(np.uint8)
    path = other(tmp_path / "x.h5", data, nbits=8)
    with pytest.warns(fs.FastsigWarning, match="does not name its 4 products"):
        chain = fs.open(path)
    np.testing.assert_array_equal(chain.read().values, data[:, :, ::-1])
    assert chain.polarization.names == ("AA", "BB", "CR", "CI")


@pytest.mark.parametrize("cards", [{"fch1": None}, {"foff": 0.0}, {"tsamp": -1.0}, {"tsamp": "x"},
                                   {"tstart": np.nan}, {"nchans": 9}, {"telescope_id": "x"},
                                   {"tstart": 1e300}, {"fch1": np.inf}])
def test_bad_cards_are_named(cards: dict, tmp_path: Path) -> None:
    path = other(tmp_path / "bad.h5", np.zeros((10, 1, 8), np.float32), **cards)
    with pytest.raises(fs.FormatError, match=r"bad\.h5: "):
        fs.open(path)


def test_wrong_shapes_are_named(tmp_path: Path) -> None:
    path = other(tmp_path / "bad.h5", np.zeros((10, 8), np.float32))
    with pytest.raises(fs.FormatError, match="not a \\(time, feed_id, frequency\\) array"):
        fs.open(path)
    path = other(tmp_path / "bad.h5", np.zeros((10, 1, 8), np.float32))
    with h5py.File(path, "a") as file:
        file["weights"] = np.zeros((9, 1, 1))
    with pytest.raises(fs.FormatError, match="do not fit"):
        fs.open(path)


@pytest.mark.parametrize(("shape", "compression"), [
    *((shape, packing) for shape in ((1, 1, 2), (7, 4, 16), (5000, 1, 2))
      for packing in ("bitshuffle", "gzip", "none")),
    ((3, 1, 2**22), "bitshuffle"),
    *(pytest.param((3, 1, 2**22), packing, marks=thorough) for packing in ("gzip", "none"))])
def test_shapes_and_compressions(
    shape: tuple[int, ...], compression: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    head = header(n_pol=1, n_chan=shape[2], low_hz=10**9)
    head = head.replace(polarization=PolBasis("linear", ("I", "Q", "U", "V")[: shape[1]]))
    data = rng.standard_normal(shape, np.float32)
    weight = np.ones((shape[0], shape[1], 1), np.float32)
    path = tmp_path / "x.h5"
    with FBH5Writer(path, head, shape, provenance={}, compression=compression) as writer:
        for start in range(0, shape[0], 3):
            writer.append(data[start : start + 3], weight[start : start + 3])
    np.testing.assert_array_equal(fs.open(path).read().values, data)
    assert path.stat().st_size <= estimate_bytes(shape)
    assert np.prod(chunk_shape(shape)) * 4 <= 2**24


def test_every_kind_of_flip_is_reported_by_validate(product: Path, tmp_path: Path) -> None:
    """A flipped byte in data, weights, axes, header or provenance."""
    whole = product.read_bytes()
    with h5py.File(product) as file:
        places = {}
        for name, item in file.items():
            chunk = item.id.get_chunk_info(0)
            places[name] = chunk.byte_offset + chunk.size // 2
    places["header"] = whole.index(b"source_name") + 2
    assert set(places) == {"data", "weights", "provenance", "time", "frequency", "feed_id",
                           "header"}
    copy = tmp_path / "flipped.h5"
    for name, place in places.items():
        changed = bytearray(whole)
        changed[place] ^= 0x10
        copy.write_bytes(changed)
        with pytest.raises((fs.FormatError, fs.DataError), match=r"flipped\.h5: "):
            with fs.open(copy) as chain:
                chain.verify()
            pytest.fail(f"the flip in {name} was not found")


def test_truncations(product: Path, rng: np.random.Generator) -> None:
    size = product.stat().st_size
    found = truncations(product, [0, 1, 47, 48, size - 1, *rng.integers(0, size, 200)])
    assert set(found) == {"error"}, found


@pytest.mark.timeout(600)
def test_flipped_bytes_outside_the_payload(product: Path, rng: np.random.Generator) -> None:
    n = many(50, 100)  # fuzz.py: 9000
    found = outcomes(product, flips(product, payload_of(product), rng, n))
    assert set(found) <= {"same", "error"}, found
    assert found["error"] > 10


def test_sniffing(product: Path, tmp_path: Path) -> None:
    from fastsig.io.opening import detect

    assert detect(product)[0] == "fbh5" and detect(product.parent / "v.h5")[0] == "native"
    assert fbh5.NAME == "fbh5"
    (tmp_path / "text.h5").write_text("not HDF5")
    with pytest.raises(fs.FormatError, match="not a file of a known format"):
        fs.open(tmp_path / "text.h5")
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    with pytest.raises(fs.FormatError, match="not a file of a known format"):
        fs.open(tmp_path / "empty.h5")
    for name in ("absent.h5",):
        with pytest.raises(fs.FormatError, match="No such file"):
            fs.open(tmp_path / name)


def test_a_weight_for_every_channel(tmp_path: Path, rng: np.random.Generator) -> None:
    """Files of other programs, re-integrated: NaN gives every channel a weight of its own."""
    data = rng.normal(10, 1, (3000, 1, 64)).astype(np.float32)
    data[rng.random(data.shape) < 0.3] = np.nan
    chain = fs.open(other(tmp_path / "x.h5", data)).integrate(n_int=2)
    chain.write(tmp_path / "a.h5", workers=2)
    chain.write(tmp_path / "b.h5", workers=1)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    found, expected = fs.open(tmp_path / "a.h5").read(), chain.read()
    assert found.weight.shape == (1500, 1, 64) and 0 < (found.weight == 0.5).mean() < 1
    np.testing.assert_array_equal(found.weight, expected.weight)
    np.testing.assert_array_equal(found.values, expected.values)
