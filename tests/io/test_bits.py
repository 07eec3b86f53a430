"""8-bit products: values within a step, the same bytes always, and what others see of them."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import peers
import pytest
from cli import fastsig
from streams import header, lose_packets, noise, write_native
from thorough import thorough

import fastsig as fs
from fastsig.axes import validity
from fastsig.axes.polarization import PolBasis
from fastsig.chain import spectra
from fastsig.io.fbh5 import codes as fbh5_codes
from fastsig.io.fbh5.sizes import chunks_of, estimate_bytes, writer_bytes
from fastsig.io.fbh5.writer import FBH5Writer
from fastsig.run import fitting

N_CHAN = 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Voltages with lost packets, and their spectra as float32 and as 8 bits."""
    folder = tmp_path_factory.mktemp("bits")
    rng = np.random.default_rng(6)
    n = 400_000
    gap = validity.as_spans([[0, 80_000], [120_000, n]])  # a segment's worth of nothing
    spans = tuple(validity.intersect(s, gap) for s in lose_packets(rng, n, 0.05, 2048))
    write_native(folder / "v.h5", noise(rng, n), header(), spans)
    chain_of(folder).write(folder / "float.h5")
    chain_of(folder).write(folder / "codes.h5", bits=8)
    return folder


def chain_of(folder: Path, **options: object) -> fs.Chain:
    return spectra(fs.open(folder / "v.h5").stream, N_CHAN, products="IQUV", n_int=5, **options)


def test_values_are_restored(folder: Path) -> None:
    found, expected = (fs.open(folder / name) for name in ("codes.h5", "float.h5"))
    block, exact = found.read(), expected.read()
    assert found.shape[0] > 4 * fbh5_codes.segment_rows(found.shape)
    np.testing.assert_array_equal(block.weight, exact.weight)
    assert block.values.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(block.values), np.isnan(exact.values))
    with h5py.File(folder / "codes.h5") as file:
        scale = np.repeat(file["scale"][()], 256, axis=0)[: len(block.values)]
        # Half a step, and the last bit of values up to some thousands; nothing is clipped.
        error = np.abs(block.values.astype(float) - exact.values) - scale / 2
        assert np.nanmax(error) < 5e-4
        assert file["data"].attrs["n_clipped"].tolist() == [0, 0]
    assert found.header.channels == expected.header.channels
    assert found.header.n_bits == 8 and expected.header.n_bits == 32
    assert found.header.replace(n_bits=32, origin={}) == expected.header.replace(origin={})
    rng = np.random.default_rng(1)
    for start in (0, 255, 256, *rng.integers(0, len(block.values) - 300, 5).tolist()):
        np.testing.assert_array_equal(found.read(start, 300).values,
                                      block.values[start : start + 300])


def test_layout(folder: Path) -> None:
    with h5py.File(folder / "codes.h5") as file:
        data, n_segment = file["data"], -(-fs.open(folder / "codes.h5").shape[0] // 256)
        assert data.dtype == np.uint8 and data.attrs["nbits"] == 8
        assert data.attrs["segment_rows"] == 256 and data.attrs["blank"] == b"level"
        for name in ("scale", "offset"):
            assert file[name].shape == (n_segment, 4, N_CHAN) and file[name].dtype == np.float32
        assert all(item.fletcher32 for item in file.values())
        lost = np.broadcast_to(file["weights"][()] == 0, data.shape)
        assert lost.any() and set(np.unique(data[()][lost])) <= set(range(58, 90))  # of means
        page = (Path(__file__).parents[2] / "docs" / "spectra-format.md").read_text()
        assert all(f"`{name}`" in page for name in data.attrs if name != "DIMENSION_LIST")
        record = json.loads(file["provenance"][()].tobytes())
        assert record["quantization"]["bits"] == 8 and record["header"]["n_bits"] == 8
    assert (folder / "codes.h5").stat().st_size < 0.5 * (folder / "float.h5").stat().st_size


@pytest.mark.parametrize("case", range(4))
def test_the_same_bytes(
    case: int, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "_UNIT_BYTES", (3_000, 50_000, 10**6, 10**7)[case])
    chain_of(folder).write(tmp_path / "x.h5", bits=8, workers=case + 1, fused=case != 2)
    assert (tmp_path / "x.h5").read_bytes() == (folder / "codes.h5").read_bytes()


def test_weights_of_every_channel(folder: Path, tmp_path: Path) -> None:
    chain = spectra(fs.open(folder / "v.h5").stream, N_CHAN, n_int=16, flag="sk", flag_sigma=2)
    for name, workers in (("a.h5", 1), ("b.h5", 4)):
        chain.write(tmp_path / name, bits=8, workers=workers)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    block, exact = fs.open(tmp_path / "a.h5").read(), chain.read()
    np.testing.assert_array_equal(block.weight, exact.weight)
    np.testing.assert_array_equal(np.isnan(block.values), np.isnan(exact.values))
    assert np.isnan(block.values).any()


def test_products_of_products(folder: Path, tmp_path: Path) -> None:
    fs.open(folder / "codes.h5")[10:100].integrate(n_int=3).write(tmp_path / "x.h5")
    found = fs.open(tmp_path / "x.h5")
    exact = fs.open(folder / "float.h5")[10:100].integrate(n_int=3).read().values
    assert found.header.n_bits == 32
    there = np.isfinite(exact)
    # half a step each, of 1/11 sigma of the values before, which is sqrt(3) of these
    assert np.abs(found.read().values - exact)[there].max() < exact[there].std() * 0.2


LARGE = {  # a second or so each: what `make test` has of them
    (3, 1, 2**21): {(False, "gzip"), (True, "bitshuffle")},
    (17, 2, 2**19): {(True, "bitshuffle"), (False, "none")},
    (40, 1, 2**17): {(True, "gzip"), (False, "bitshuffle"), (True, "none")},
}


@pytest.mark.parametrize(("shape", "channel_weights", "compression"), [
    pytest.param(shape, wide, packing, marks=thorough if some and (wide, packing) not in some
                 else ())
    for shape, some in {(1, 1, 2): None, (300, 4, 16): None, (5000, 1, 2): None, **LARGE}.items()
    for wide in (False, True) for packing in ("bitshuffle", "gzip", "none")])
def test_shapes(
    shape: tuple[int, ...], channel_weights: bool, compression: str, tmp_path: Path,
    rng: np.random.Generator,
) -> None:
    head = header(n_pol=1, n_chan=shape[2]).replace(
        polarization=PolBasis("linear", ("I", "Q", "U", "V")[: shape[1]]))
    data = rng.standard_normal(shape, np.float32) + 10
    width = shape[2] if channel_weights else 1
    weight = np.ones((shape[0], shape[1], width), np.float32)
    path = tmp_path / "x.h5"
    with FBH5Writer(path, head, shape, weight_channels=width, provenance={}, bits=8,
                    compression=compression) as writer:
        for start in range(0, shape[0], 7):
            writer.append(data[start : start + 7], weight[start : start + 7])
    values = fs.open(path).read().values
    segment = fbh5_codes.segment_rows(shape)
    for first in range(0, shape[0], segment):
        part = slice(first, first + segment)
        half = data[part].std(axis=0, dtype=float) / 22  # half a step
        assert np.all(np.abs(values[part] - data[part]) <= half + 4e-6)
    assert path.stat().st_size <= estimate_bytes(shape, width, 8)
    chunks = chunks_of(shape, 8)
    assert np.prod(chunks) <= 2**24
    assert chunks[0] % segment == 0 or chunks[0] == shape[0]
    assert writer_bytes(shape, width, 8) >= 5 * chunks[0] * shape[1] * shape[2]


def test_others_see_codes(folder: Path) -> None:
    code = """
import sys, json
from blimpy import Waterfall
w = Waterfall(sys.argv[1])
json.dump({"shape": w.data.shape, "sum": int(w.data.astype("i8").sum()), "dtype": str(w.data.dtype),
           "nbits": int(w.header["nbits"])}, open(sys.argv[2], "w"))
"""
    out = folder / "blimpy.json"
    peers.run("blimpy", code, folder / "codes.h5", out)
    with h5py.File(folder / "codes.h5") as file:
        codes = file["data"][()]
    seen = json.loads(out.read_text())
    assert seen == {"shape": list(codes.shape), "sum": int(codes.astype(int).sum()),
                    "dtype": "uint8", "nbits": 8}


def test_command_line(folder: Path, tmp_path: Path) -> None:
    words = ("spectra", folder / "v.h5", "-o", tmp_path / "x.h5", "--n-chan", N_CHAN, "--n-int", 5,
             "--products", "IQUV", "--bits", 8)
    fastsig(*words)
    assert (tmp_path / "x.h5").read_bytes() == (folder / "codes.h5").read_bytes()
    (fields,) = json.loads(fastsig("info", tmp_path / "x.h5", "--json").stdout)
    assert fields["n_bits"] == 8 and fields["n_pol"] == 4
    assert fastsig("validate", tmp_path / "x.h5").stdout.endswith("x.h5: good\n")
    fastsig("view", tmp_path / "x.h5", "-o", tmp_path / "x.png")
    done = fastsig(*words, "--blank", "mean", "--overwrite", code=2)
    assert "blank = 'mean' with bits = 8" in done.stderr
    small, large = (fastsig(*words[:-1], bits, "--overwrite", "--dry-run").stdout
                    for bits in (8, 32))
    sizes = [float(text.partition("up to ")[2].split()[0]) for text in (small, large)]
    assert sizes[0] < sizes[1]
    with pytest.raises(fs.UsageError, match="bits = 16; allowed for fbh5: 8, 32"):
        chain_of(folder).write(tmp_path / "y.h5", bits=16)


@pytest.mark.parametrize("name", ["scale", "offset"])
def test_flips_in_the_scales_are_found(name: str, folder: Path, tmp_path: Path) -> None:
    content = bytearray((folder / "codes.h5").read_bytes())
    with h5py.File(folder / "codes.h5") as file:
        chunk = file[name].id.get_chunk_info(0)
    content[chunk.byte_offset + 5] ^= 4
    bad = tmp_path / "bad.h5"
    bad.write_bytes(content)
    assert "bad.h5: cannot read" in fastsig("validate", bad, code=1).stderr
    with pytest.raises(fs.DataError, match="bad.h5"):
        fs.open(bad).read()


def test_scales_that_do_not_fit_are_named(folder: Path, tmp_path: Path) -> None:
    for change in ("rows", "absent", "shape", "zero"):
        bad = tmp_path / f"{change}.h5"
        bad.write_bytes((folder / "codes.h5").read_bytes())
        with h5py.File(bad, "a") as file:
            if change in ("rows", "zero"):
                file["data"].attrs["segment_rows"] = 100 if change == "rows" else 0
            else:
                del file["scale"]
                if change == "shape":
                    file["scale"] = np.zeros((1, 4, N_CHAN), np.float32)
        with pytest.raises(fs.FormatError, match="scale"):
            fs.open(bad)
