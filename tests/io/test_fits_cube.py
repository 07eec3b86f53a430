"""Cubes of maps as files: what they are, what they lack, and files that are damaged."""

from __future__ import annotations

import json
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from cli import fastsig
from cubes_made import HI, C, axis, header, write
from thorough import many

import fastsig as fs
from fastsig.errors import DataError, DoubtWarning, FastsigError, FastsigWarning
from fastsig.io.fits import cube as fits_cube
from fastsig.io.fits.cube_writer import CubeWriter
from fastsig.io.opening import detect
from fastsig.io.probe import Probe
from fastsig.products.validate import verify


def small(path: Path, kind: str = "FREQ", *, weight: str = "plane", n: int = 8, **more: Any
          ) -> Path:
    cards, _ = axis(kind, n)
    data = np.random.default_rng(1).normal(0, 0.3, (n, 10, 12)).astype(np.float32)
    data[:, :, :3] = np.nan
    weights = {"plane": np.full((10, 12), 5.0), "cube": np.full((n, 10, 12), 5.0), "none": None}
    return write(path, data, header(10, 12, cards, **more), weights[weight])


def test_what_a_cube_is(tmp_path: Path) -> None:
    path = small(tmp_path / "c.fits", n=64)
    assert detect(path)[0] == "fits_cube"
    found = fs.info(path, deep=True)
    assert (found["kind"], found["n_chan"], found["shape"]) == ("cube", 64, [64, 10, 12])
    assert found["pixel_arcsec"] == pytest.approx([60, 60]) and found["projection"] == "TAN"
    assert found["beam_arcsec"] == pytest.approx([180, 180]) and found["unit"] == "Jy / beam"
    assert found["frequency_mhz"] == pytest.approx([1418.485, 1418.485 + 64 * 0.03])
    assert found["spectral_frame"] == "LSRK" and found["celestial_frame"] == "ICRS"
    assert found["rest_frequency_mhz"] == pytest.approx(HI / 1e6)
    assert found["valid_fraction"] == 0.75 and found["noise"] == pytest.approx(0.3, rel=0.05)
    assert found["ra_deg"] == pytest.approx(187.5) and found["dec_deg"] == pytest.approx(12.3)
    assert found["weights"] and found["warnings"] == []
    assert json.loads(fastsig("info", path, "--json").stdout)[0]["kind"] == "cube"
    assert "beam_arcsec" in fastsig("info", path).stdout
    with pytest.raises(fs.FormatError, match="contains a cube of maps; allowed here: a stream"):
        fs.open(path)
    assert fastsig("spectra", path, "-o", tmp_path / "x.h5", "--n-chan", 8, code=3).stderr.count(
        "\n") == 1


@pytest.mark.parametrize("kind", ["VRAD", "VOPT-F2W", "VOPT", "VELO-LSR"])
def test_velocities_of_other_programs(kind: str, tmp_path: Path) -> None:
    found = fs.info(small(tmp_path / "c.fits", kind, weight="none"))
    low, high = found["velocity_km_s"]
    _, frequency = axis(kind, 8)
    step = frequency[1] - frequency[0]
    ends = np.array([frequency[0] - step / 2, frequency[-1] + step / 2])
    speed = C * (1 - ends / HI) if kind == "VRAD" else C * (HI / ends - 1)
    assert [low, high] == pytest.approx(sorted(speed / 1e3), abs=1e-2)
    assert found["frequency_mhz"] == pytest.approx(sorted(ends / 1e6), abs=1e-5)
    assert "weights (an image WEIGHT)" in found["warnings"][0 if kind != "VELO-LSR" else 1]


def test_what_a_header_lacks_is_told_and_not_guessed(tmp_path: Path) -> None:
    gone = dict.fromkeys(("BMAJ", "BMIN", "BPA", "SPECSYS", "RESTFRQ", "RADESYS", "BUNIT"))
    path = small(tmp_path / "c.fits", "VRAD", weight="none", **gone)
    with pytest.warns(DoubtWarning) as caught:
        cube = fs.open_cube(path)
    (warning,) = caught
    for what in ("a unit (BUNIT)", "a beam (BMAJ, BMIN)", "SPECSYS", "RESTFRQ", "RADESYS",
                 "WEIGHT"):
        assert what in str(warning.message)
    assert cube.beam is None and cube.unit == "" and cube.rest_hz is None and cube.frame == ""
    with pytest.raises(fs.FormatError, match="VRAD has no rest frequency; give one"):
        _ = cube.frequency
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DoubtWarning)
        cube = fs.open_cube(path, rest="HI")
    np.testing.assert_allclose(cube.frequency.value, axis("VRAD", 8)[1], rtol=1e-9)
    info = fs.info(path)
    assert info["unit"] is None and info["beam_arcsec"] is None and info["frequency_mhz"] is None
    done = fastsig("validate", path)
    assert "does not state a unit" in done.stderr and "good" in done.stdout


def test_velo_may_be_either(tmp_path: Path) -> None:
    path = small(tmp_path / "c.fits", "VELO-LSR", VELREF=None)
    with pytest.warns(DoubtWarning, match="whether VELO is radio or optical"):
        cube = fs.open_cube(path)
    assert cube.frame == "LSRK"
    with pytest.raises(fs.FormatError, match="may be radio or optical velocity"):
        _ = cube.frequency
    with pytest.warns(DoubtWarning, match="is read as VOPT"):
        cube = fs.open_cube(path, convention="optical")
    np.testing.assert_allclose(cube.frequency.value, axis("VELO-LSR", 8)[1], rtol=1e-9)
    with pytest.warns(DoubtWarning, match="is read as VRAD in LSRK"):
        cube = fs.open_cube(small(tmp_path / "d.fits", "VELO-LSR", VELREF=257))
    speed = C * (HI / axis("VELO-LSR", 8)[1] - 1)  # the numbers of the axis
    np.testing.assert_allclose(cube.frequency.value, HI * (1 - speed / C), rtol=1e-9)


def test_a_beam_for_each_channel(tmp_path: Path) -> None:
    path = small(tmp_path / "c.fits", BMAJ=None, BMIN=None, BPA=None)
    with fits.open(path) as file:
        table = fits.BinTableHDU.from_columns([
            fits.Column("BMAJ", "E", "arcsec", array=np.linspace(170, 178, 8)),
            fits.Column("BMIN", "E", "arcsec", array=np.full(8, 160.0)),
            fits.Column("BPA", "E", "deg", array=np.full(8, 12.0))], name="BEAMS")
        fits.HDUList([file[0].copy(), table]).writeto(tmp_path / "d.fits")
    with pytest.warns(DoubtWarning, match="each channel; that of channel 4 is used"):
        cube = fs.open_cube(tmp_path / "d.fits")
    assert cube.beam is not None
    assert cube.beam.major * 3600 == pytest.approx(170 + 4 * 8 / 7, abs=1e-3)
    assert cube.beam.pa == pytest.approx(12)


def test_weights_of_planes_and_of_cubes(tmp_path: Path) -> None:
    for kind, n in (("plane", 1), ("cube", 8)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            cube = fs.open_cube(small(tmp_path / f"{kind}.fits", weight=kind))
        weight = cube.read_weight()
        assert weight is not None and weight.shape == (n, 10, 12) and (weight == 5).all()
        assert cube.coverage() == pytest.approx(np.full((10, 12), 5.0))
    with fits.open(tmp_path / "plane.fits") as file:
        wrong = fits.ImageHDU(np.ones((9, 12), np.float32), name="WEIGHT")
        fits.HDUList([file[0].copy(), wrong]).writeto(tmp_path / "wrong.fits")
    with pytest.raises(fs.FormatError, match=r"WEIGHT is \(9, 12\); allowed"):
        fs.open_cube(tmp_path / "wrong.fits")


def test_cubes_of_our_writer(tmp_path: Path) -> None:
    """Weights that are alike lie in one plane, others in a cube; provenance stands between."""
    cards = header(10, 12, axis("FREQ", 8)[0])
    values = np.random.default_rng(2).normal(size=(8, 10, 12)).astype(np.float32)
    values[:, 0] = np.nan
    for name, planes in (("plane", 1), ("cube", 8)):
        weight = np.full((8, 10, 12), 4.0, np.float32)
        weight[:, 0] = 0
        if planes == 8:
            weight[3, 5, 5] = 7
        with CubeWriter(tmp_path / f"{name}.fits", cards, (8, 10, 12), {"a": 1}) as writer:
            writer.write(0, values, weight)
        assert verify(str(tmp_path / f"{name}.fits"))
        cube = fs.open_cube(tmp_path / f"{name}.fits")  # with no warning
        np.testing.assert_array_equal(cube.read(), values)
        found = cube.read_weight()
        assert found is not None and len(found) == planes
        np.testing.assert_array_equal(np.broadcast_to(found, weight.shape), weight)


def test_checksums(tmp_path: Path) -> None:
    path = small(tmp_path / "c.fits")
    assert verify(str(path))
    raw = bytearray(path.read_bytes())
    for place in (raw.index(b"MADE"), 5760 + 1000, len(raw) - 2880 + 100):
        changed = bytearray(raw)
        changed[place] ^= 1
        path.write_bytes(changed)
        with pytest.raises(DataError, match="SUM"):
            verify(str(path))
    path.write_bytes(raw)
    assert verify(str(path))
    with fits.open(path) as file:
        fits.PrimaryHDU(file[0].data, header(10, 12, axis("FREQ", 8)[0])).writeto(
            tmp_path / "d.fits")
    with pytest.warns(DoubtWarning):
        assert not verify(str(tmp_path / "d.fits"))


def test_other_fits_files_are_no_cubes(tmp_path: Path) -> None:
    table = fits.BinTableHDU.from_columns([fits.Column("DATA", "4E")], name="SINGLE DISH")
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(tmp_path / "t.fits")
    assert not fits_cube.sniff(Probe(tmp_path / "t.fits"))
    fits.PrimaryHDU(np.zeros((4, 5))).writeto(tmp_path / "i.fits")
    with pytest.raises(fs.FormatError, match="without celestial axes"):
        fs.info(tmp_path / "i.fits")
    cards = header(6, 7, {})
    fits.PrimaryHDU(np.zeros((6, 7), np.float32), cards).writeto(tmp_path / "m.fits")
    assert fs.info(tmp_path / "m.fits")["shape"] == [1, 6, 7]
    with pytest.raises(fs.FormatError, match="has no spectral axis"):
        _ = quiet(tmp_path / "m.fits").frequency


def quiet(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DoubtWarning)
        return fs.open_cube(path)


@pytest.mark.parametrize(("card", "value"), [
    ("NAXIS1", 2**40), ("NAXIS3", 10**15), ("NAXIS", 99), ("NAXIS2", 0), ("BITPIX", 12),
    ("CDELT3", 0.0), ("CTYPE1", "GLON-TAN"), ("CTYPE1", "RA---XXX"), ("CTYPE2", "VRAD"),
    ("CRVAL3", -1e9), ("CTYPE4", "STOKES"), ("CUNIT3", "parsec"), ("CDELT1", 0.0)])
def test_impossible_headers(card: str, value: Any, tmp_path: Path) -> None:
    """One line that names the file, and nothing else."""
    path = small(tmp_path / "c.fits")
    raw = path.read_bytes()
    text = f"{card:<8}= {value!r:>20}" if not isinstance(value, str) else f"{card:<8}= '{value}'"
    at = raw.find(f"{card:<8}=".encode())
    at = raw.index(b"OBJECT  =") if at < 0 else at
    path.write_bytes(raw[:at] + text.ljust(80).encode() + raw[at + 80 :])
    try:
        cube = quiet(path)
        assert cube.shape[1:] == (10, 12)  # as CDELT1 = 0, which wcslib puts right by itself
        fs.info(path)
    except FastsigError as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error)
        done = fastsig("moment", path, "-o", tmp_path / "m.fits", code=3)
        assert done.stderr.count("\n") == 1


def test_truncated_files(tmp_path: Path) -> None:
    path = small(tmp_path / "c.fits")
    raw = path.read_bytes()
    for size in (0, 40, 2000, 2880, 4000, 5760, 6000, len(raw) - 4000, len(raw) - 2000):
        path.write_bytes(raw[:size])
        with warnings.catch_warnings(), pytest.raises((FastsigError, FastsigWarning)) as caught:
            warnings.simplefilter("error", FastsigWarning)
            warnings.simplefilter("ignore", DoubtWarning)
            fs.open_cube(path).read()
            verify(str(path))
        assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)
    path.write_bytes(raw[:6000])
    assert "truncated" in fastsig("view", path, "-o", tmp_path / "x.png", code=3).stderr
    path.write_bytes(raw[: raw.index(b"XTENSION") + 300])  # within the header of WEIGHT
    assert "left out" in fastsig("validate", path, code=1).stderr


def test_random_damage(tmp_path: Path) -> None:
    """Bytes of headers changed at random: an error of ours, or a cube that can be read."""
    path = small(tmp_path / "c.fits", weight="cube")
    raw, rng = path.read_bytes(), np.random.default_rng(5)
    with fits.open(path) as file:
        spans = [(unit.fileinfo()["hdrLoc"], unit.fileinfo()["datLoc"]) for unit in file]
    refused = 0
    for _ in range(n := many(100, 300)):
        changed = bytearray(raw)
        for _ in range(rng.integers(1, 4)):
            low, high = spans[rng.integers(len(spans))]
            changed[rng.integers(low, min(high, low + 2000))] = rng.integers(32, 256)
        path.write_bytes(changed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                if detect(path)[0] != "fits_cube":
                    continue
                json.dumps(fs.info(path))
                cube = fs.open_cube(path)
                assert cube.read(slice(0, 2)).shape == (min(2, cube.shape[0]), *cube.shape[1:])
                cube.read_weight(slice(0, 2))
            except FastsigError as error:
                refused += 1
                assert str(path) in str(error) and "\n" not in str(error)
    assert 10 < refused < 250 / 300 * n


def test_huge_cubes_are_mapped(tmp_path: Path) -> None:
    """A hole of 64 GB costs no more than what is looked at."""
    n = 4_000_000
    path = small(tmp_path / "c.fits", weight="none")
    with fits.open(path) as file:
        head = file[0].header
        head["NAXIS3"] = n
        text = head.tostring().encode()
    size = len(text) + -(-4 * n * 4000 // 2880) * 2880
    head["NAXIS1"], head["NAXIS2"] = 50, 80
    with open(path, "wb") as out:
        out.write(head.tostring().encode())
        out.truncate(size)
        out.seek(len(text) + 4 * (3_999_999 * 4000 + 17 * 50 + 3))
        out.write(struct.pack(">f", 2.5))
    cube = quiet(path)
    assert cube.shape == (n, 80, 50)
    assert cube.read(slice(n - 1, n), slice(17, 18), slice(3, 4)) == 2.5
    assert fs.info(path)["n_chan"] == n
