"""``--products``: products of spectra, selected or computed by the commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli import fastsig
from test_spectra_convert import head, product, values

import fastsig as fs
from fastsig.axes.polarization import PRODUCTS, PolBasis

FOUR = PRODUCTS["AABBCRCI"]


@pytest.fixture
def four(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """Return a file of AA, BB, CR and CI, in whole numbers, and its values."""
    data, weight = values(4), np.ones((300, 4, 1), np.float32)
    data[10, 1], weight[10, 1], weight[12] = np.nan, 0, 0.5
    about = head().replace(polarization=PolBasis("linear", FOUR))
    return product(tmp_path / "four.h5", data, about, weight), data


def stokes(data: np.ndarray) -> dict[str, np.ndarray]:
    aa, bb, cr, ci = np.moveaxis(data, 1, 0)
    return {"I": aa + bb, "Q": aa - bb, "U": 2 * cr, "V": 2 * ci, "AA": aa, "BB": bb, "CI": ci}


@pytest.mark.parametrize(("option", "names"), [
    ("I", "I"), ("V", "V"), ("IQUV", "I Q U V"), ("Q", "Q"), ("V, I", "V I"), ("AA", "AA"),
    ("AABB", "AA BB"), ("CI,AA", "CI AA")])
def test_convert_and_cut(four: tuple[Path, np.ndarray], option: str, names: str,
                         tmp_path: Path) -> None:
    path, data = four
    fastsig("convert", path, "-o", "x.h5", "--products", option, cwd=tmp_path)
    fastsig("cut", path, "-o", "y.h5", "--products", option, "--tstart", "2ms", "--tstop", "5ms",
            "--fstop", "1005MHz", cwd=tmp_path)
    found, part = fs.open(tmp_path / "x.h5"), fs.open(tmp_path / "y.h5")
    expected = np.stack([stokes(data)[name] for name in names.split()], axis=1)
    if {"Q", "V"} & set(names.split()):  # these need all four products
        expected[10] = np.nan
    assert found.header.polarization.names == tuple(names.split())
    np.testing.assert_array_equal(found.read().values, expected)
    np.testing.assert_array_equal(part.read().values, expected[8:20, :, :10])
    block = found.stream.read_block(0, 300)
    weight = np.isfinite(expected).astype(float)
    weight[12] = 0.5
    np.testing.assert_array_equal(np.broadcast_to(block.valid, expected.shape), weight)


def test_a_file_for_presto(tmp_path: Path) -> None:
    data = values(4)
    product(tmp_path / "four.h5", data, head(FOUR))
    note = fastsig("convert", "four.h5", "-o", "four.fil", "--lossy", cwd=tmp_path).stderr
    option = note.partition("fastsig convert ")[2].split(" (")[0].split()
    assert option == ["--products", "I"]
    done = fastsig("convert", "four.fil", "-o", "i.fil", *option, "--json", cwd=tmp_path)
    report = json.loads(done.stdout)
    # Whole numbers remain codes, and nothing of a file of this format is lost.
    assert (report["n_bits"], report["losses"]) == (16, [])
    assert not any("nifs" in each for each in report["cautions"])
    np.testing.assert_array_equal(fs.open(tmp_path / "i.fil").read().values[:, 0],
                                  data[:, 0] + data[:, 1])


def test_the_provenance_has_the_products(four: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    for option, stage in (("I", "stokes"), ("AA,BB", "select")):
        fastsig("convert", four[0], "-o", "x.h5", "--products", option, "--overwrite",
                cwd=tmp_path)
        step: Any = fs.open(tmp_path / "x.h5").stream.provenance["stages"][-1]
        assert step["stage"] == stage and step["parameters"]["products"] in (
            option, option.split(","))


def test_flux_and_frame(four: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    data = values(2) + 1
    product(tmp_path / "k.h5", data, head(unit="K", telescope="FAST"))
    fastsig("flux", "k.h5", "-o", "jy.h5", "--gain", "16K/Jy", "--products", "I", cwd=tmp_path)
    np.testing.assert_allclose(fs.open(tmp_path / "jy.h5").read().values[:, 0],
                               (data[:, 0] + data[:, 1]) / 32, rtol=1e-6)
    fastsig("frame", four[0], "-o", "lsrk.h5", "--to", "lsrk", "--position", "187.5deg,12.4deg",
            "--site", "FAST", "--products", "AA", cwd=tmp_path)
    assert fs.open(tmp_path / "lsrk.h5").header.polarization.names == ("AA",)


def test_what_products_are_refused(four: tuple[Path, np.ndarray], samples: Path,
                                   tmp_path: Path) -> None:
    for option, what in (("XX", "no product 'XX'; allowed: AA, BB, CR, CI"),
                         ("AA,AA", "products AA, AA; allowed: each once"),
                         ("AA,I", "no product 'I'; allowed: AA, BB, CR, CI"),
                         ("", "no product ''")):
        for command in ("convert", "cut"):
            done = fastsig(command, four[0], "-o", "x.h5", "--products", option, cwd=tmp_path,
                           code=2)
            assert what in done.stderr and not (tmp_path / "x.h5").exists()
    done = fastsig("convert", samples / "frb_carrier_16MHz.h5", "-o", "x.dada", "--products", "I",
                   cwd=tmp_path, code=2)
    assert "--products I: " in done.stderr and "contains voltage; allowed: spectra" in done.stderr


def test_the_end_of_a_cut_is_excluded(four: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    # Spectra begin every 0.25 ms.
    for tstart, tstop, first, stop in (("0ms", "1ms", 0, 4), ("1ms", "2ms", 4, 8),
                                       ("0.9ms", "1.1ms", 4, 5), ("74ms", "9s", 296, 300)):
        fastsig("cut", four[0], "-o", "x.h5", "--overwrite", "--tstart", tstart, "--tstop", tstop,
                cwd=tmp_path)
        np.testing.assert_array_equal(fs.open(tmp_path / "x.h5").read().values,
                                      four[1][first:stop])
