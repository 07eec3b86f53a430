"""Spectra from one format into another: what is carried, what is told to be lost first."""

from __future__ import annotations

import json
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from cli import fastsig
from recordings import recorded
from streams import header as voltages_header

import fastsig as fs
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PRODUCTS, PolBasis
from fastsig.axes.time import elapsed
from fastsig.io.fbh5.writer import FBH5Writer
from fastsig.io.sigproc.writer import SigprocWriter
from fastsig.run.products import products
from fastsig.stream.header import Header

SHAPE = (300, 2, 24)


def target(stream, path):
    """What would write spectra."""
    return products([stream], [path])[0]



def head(products: tuple[str, ...] = PRODUCTS["AABB"], **changes: Any) -> Header:
    """A header that all formats can carry, but for what `changes` add."""
    axis = ChannelAxis(Fraction(1_000_250_000), Fraction(500_000), SHAPE[2])
    plain = {"beam": None, "source": "TEST", "ra_deg": None, "dec_deg": None, "n_bits": 32}
    return voltages_header(Fraction(4000)).replace(
        channels=axis, polarization=PolBasis("unknown", products), **(plain | changes))


def values(n_product: int = 2, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (SHAPE[0], n_product, SHAPE[2])).astype(np.float32)


def product(path: Path, data: np.ndarray, about: Header, weight: Any = 1.0) -> Path:
    weights = np.broadcast_to(np.float32(weight), (*data.shape[:2], 1)).copy()
    with FBH5Writer(path, about, data.shape, provenance={}) as writer:
        writer.append(data, weights)
    return path


def same(first: Any, second: Any, slack_s: Fraction = Fraction(0)) -> None:
    one, two = first.read(), second.read()
    np.testing.assert_array_equal(one.values, two.values)
    assert abs(elapsed(first.start_time, second.start_time)) <= slack_s
    assert first.header.sample_rate == second.header.sample_rate
    assert first.header.channels == second.header.channels


@pytest.mark.parametrize("name, slack", [("a.fil", Fraction(1, 10**6)), ("a.fits", 0),
                                         ("a.h5", 0), ("a.sf", 0)])
def test_there_and_back(tmp_path: Path, name: str, slack: Fraction) -> None:
    source = fs.open(product(tmp_path / "s.h5", values(), head()))
    source.write(tmp_path / name, lossy=True)
    found = fs.open(tmp_path / name, **({"products": "AABB"} if slack else {}))
    assert found.stream.format_name == {"fil": "sigproc", "h5": "fbh5"}.get(
        name.partition(".")[2], "psrfits")
    same(source, found, Fraction(slack))
    found.write(tmp_path / "back.h5")
    same(source, fs.open(tmp_path / "back.h5"), Fraction(slack))


def test_codes_keep_their_bits(tmp_path: Path) -> None:
    about = head(PRODUCTS["I"])
    with SigprocWriter(tmp_path / "a.fil", about, (300, 1, 24), n_bits=8) as writer:
        writer.append(values(1), np.ones((300, 1, 1), np.float32))
    source = fs.open(tmp_path / "a.fil")
    for name, bits in (("b.fil", 8), ("b.fits", 8), ("b.h5", 32)):
        made = target(source.stream, tmp_path / name)
        assert made.n_bits == bits and made.losses == []
        source.write(tmp_path / name)
        same(source, fs.open(tmp_path / name))
    half = fs.open(tmp_path / "b.fits")  # read to see that its values are whole
    assert target(half.stream, "c.fil").n_bits == 8
    data = values(1)
    data[17, 0, 3] = 0.5
    product(tmp_path / "d.h5", data, about)
    assert target(fs.open(tmp_path / "d.h5").stream, "c.fil").n_bits == 32
    with pytest.raises(fs.PlanError, match="values become codes of 8 bits"):
        fs.open(tmp_path / "d.h5").write(tmp_path / "e.fil", bits=8)
    assert "e.fil" not in os.listdir(tmp_path)
    fs.open(tmp_path / "d.h5").write(tmp_path / "r.fil", bits=8, lossy=True)
    np.testing.assert_array_equal(fs.open(tmp_path / "r.fil").read().values, np.rint(data))
    fs.open(tmp_path / "d.h5").write(tmp_path / "e.fil", bits=16, scale=2, lossy=True)
    np.testing.assert_array_equal(fs.open(tmp_path / "e.fil").read().values, 2 * data)


@pytest.mark.parametrize("change, name, message", [
    ({"diode": "schedule"}, "x.fits", "no place for the schedule of the noise diode"),
    ({"receiver": "L-band"}, "x.fil", "no place for the receiver"),
    ({"n_sum": 8}, "x.fil", "the number of samples averaged in a value"),
    ({}, "x.dat", "one product and one channel"),
])
def test_losses_are_told_before_a_file_is_made(
    tmp_path: Path, change: dict[str, Any], name: str, message: str,
) -> None:
    if "diode" in change:
        from fastsig.axes.diode_schedule import DiodeSchedule

        change = {"diode": DiodeSchedule("low", 250_000_000, 1000, 500)}
    source = fs.open(product(tmp_path / "s.h5", values(), head(**change)))
    with pytest.raises(fs.PlanError, match=message):
        source.write(tmp_path / name)
    assert os.listdir(tmp_path) == ["s.h5"]


def test_weights_are_a_loss_where_they_vary(tmp_path: Path) -> None:
    weight = np.ones((SHAPE[0], 1, 1), np.float32)
    full = fs.open(product(tmp_path / "full.h5", values(), head(), weight))
    weight[40:50] = 0
    part = fs.open(product(tmp_path / "part.h5", values(), head(), weight))
    for name in ("x.fil", "x.fits"):
        assert not any("weight" in loss for loss in target(full.stream, name).losses)
        assert any("weight" in loss for loss in target(part.stream, name).losses)
    assert not any("weights" in loss for loss in target(part[:40].stream, "x.fil").losses)
    part.write(tmp_path / "x.fil", lossy=True, bits=32)
    found = fs.open(tmp_path / "x.fil", products="AABB").read().values
    expected = np.delete(values(), np.arange(40, 50), axis=0).astype(float).mean(axis=0)
    np.testing.assert_allclose(found[40:50], np.broadcast_to(expected, (10, 2, 24)), rtol=1e-6)
    part.write(tmp_path / "x.fits", lossy=True, bits=32)
    found = fs.open(tmp_path / "x.fits").read().values
    np.testing.assert_allclose(found[40:50], np.broadcast_to(expected, (10, 2, 24)), rtol=1e-6)
    part.write(tmp_path / "nan.fits", lossy=True, bits=32, blank="nan")
    assert np.isnan(fs.open(tmp_path / "nan.fits").read().values[40:50]).all()


def test_a_hifast_step_is_replaced(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    mjd = 59280.75 + np.arange(40) * 0.50331648 / 86400
    power = rng.normal(20, 1, (2, 40, 16)).astype(np.float32)
    with h5py.File(tmp_path / "a-M05_W.hdf5", "w") as file:
        file.create_group("Header").attrs["HISTORY-1"] = "{}"
        for key, each in {
            "mjd": mjd, "freq": 1000 + 0.01 * np.arange(16), "Ta": power,
            "is_on": np.arange(40) % 4 == 0, "ra": 80 + 0.1 * np.arange(40),
            "is_rfi": rng.random((40, 16)) < 0.2, "Tcal": rng.random((1, 16, 2)),
        }.items():
            file[f"S/{key}"] = each
    call = ("cut", "a-M05_W.hdf5", "-o", "b-M05_W", "--tstart", "4s", "--fstart", "1000.035MHz",
            "--lossy", "--json")
    told = json.loads(fastsig(*call, cwd=tmp_path).stdout)
    assert told["format"] == "hifast" and told["outputs"] == ["b-M05_W"]
    with h5py.File(tmp_path / "a-M05_W.hdf5") as old, h5py.File(tmp_path / "b-M05_W") as new:
        np.testing.assert_array_equal(new["S/Ta"], old["S/Ta"][:, 8:, 4:])
        for key in ("mjd", "is_on", "ra"):
            np.testing.assert_array_equal(new[f"S/{key}"], old[f"S/{key}"][8:])
        np.testing.assert_array_equal(new["S/is_rfi"], old["S/is_rfi"][8:, 4:])
        np.testing.assert_array_equal(new["S/Tcal"], old["S/Tcal"][:, 4:])
        np.testing.assert_allclose(new["S/freq"], old["S/freq"][4:], rtol=1e-12)
        assert new["Header"].attrs["HISTORY-1"] == "{}" and "HISTORY-fastsig" in new["Header"].attrs


@pytest.mark.parametrize("fields", [["is_on", "Tcal"], []])
def test_fields_that_a_hifast_file_of_other_products_lacks_are_losses(
        tmp_path: Path, fields: list[str]) -> None:
    rng = np.random.default_rng(3)
    others = {"is_on": np.arange(40) % 4 == 0, "Tcal": rng.random((1, 16, 2))}
    with h5py.File(tmp_path / "a-M05_W.hdf5", "w") as file:
        file.create_group("Header")
        for key, each in {
            "mjd": 59280.75 + np.arange(40) * 0.50331648 / 86400,
            "freq": 1000 + 0.01 * np.arange(16), "ra": 80 + 0.1 * np.arange(40),
            "dec": np.full(40, 20.0), "Ta": rng.normal(20, 1, (2, 40, 16)).astype(np.float32),
            **{name: others[name] for name in fields},
        }.items():
            file[f"S/{key}"] = each
    plan = json.loads(fastsig(
        "convert", "a-M05_W.hdf5", "-o", "b-M05_W", "--to", "hifast", "--products", "I", "--lossy",
        "--json", cwd=tmp_path).stdout)
    lost = [each for each in plan["losses"] if "other fields" in each]
    assert lost == (["the file's other fields are left out: Tcal, is_on"] if fields else [])
    with h5py.File(tmp_path / "b-M05_W") as file:
        assert set(file["S"]) == {"mjd", "freq", "ra", "dec", "Ta"}


def test_parts_of_a_psrfits_scan(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    data = rng.integers(0, 200, (5000, 4, 16)).astype(np.float32)
    about = head(PRODUCTS["AABBCRCI"]).replace(
        channels=ChannelAxis(Fraction(10**9), Fraction(10**6), 16))
    source = fs.open(product(tmp_path / "s.h5", data, about))
    made = source.write(tmp_path / "p.{file}.fits", bits=8, lossy=True, file_bytes=140_000)
    assert made.n_bits == 8
    names = sorted(path.name for path in tmp_path.glob("p*"))
    assert names == ["p.0000.fits", "p.0001.fits", "p.0002.fits"]
    same(source, fs.open(str(tmp_path / "p")))
    middle = fs.open([tmp_path / names[0], tmp_path / names[2]])
    weight = middle.read().weight
    assert middle.shape == source.shape and (weight[2000:4000] == 0).all()
    assert weight.mean() == pytest.approx(1 - 2000 / 5000)


def test_spectra_of_voltages_straight_into_a_filterbank(samples: Path, tmp_path: Path) -> None:
    call = ("spectra", samples / "pulsar_lower_8MHz.h5", "--n-chan", 64, "--n-int", 16, "-o")
    done = fastsig(*call, "x.fil", cwd=tmp_path, code=2)
    assert "SIGPROC has no place for" in done.stderr and not os.listdir(tmp_path)
    fastsig(*call, "x.fil", "--lossy", cwd=tmp_path)
    fastsig(*call, "x.h5", cwd=tmp_path)
    one, two = fs.open(tmp_path / "x.fil").read(), fs.open(tmp_path / "x.h5").read()
    full = two.weight[..., 0].min(axis=1) > 0
    np.testing.assert_array_equal(one.values[full], two.values[full])
    fastsig("spectra", *call[1:], "iquv.fil", "--products", "IQUV", "--lossy", cwd=tmp_path)
    done = fastsig("validate", "iquv.fil", cwd=tmp_path)
    assert "iquv.fil: readable" in done.stdout and done.stderr == ""
    assert fs.open(tmp_path / "iquv.fil").header.polarization.names == PRODUCTS["IQUV"]
    told = fastsig("convert", "x.h5", "-o", "y.fits", "--dry-run", cwd=tmp_path).stdout
    assert "would write y.fits" in told and "would lose: " in told


def test_recorded_twins(tmp_path: Path) -> None:
    """A filterbank into PSRFITS is what `your` made of it, apart from its padding."""
    fil = fs.open(recorded("your/28.fil"))
    fil.write(tmp_path / "28.fits", lossy=True)
    same(fil, fs.open(tmp_path / "28.fits"), Fraction(1, 10**6))
    fil.write(tmp_path / "28.h5")
    fs.open(tmp_path / "28.h5").write(tmp_path / "again.fil", lossy=True)
    again = fs.open(tmp_path / "again.fil")
    assert again.header.n_bits == 8
    same(fil, again, Fraction(1, 10**6))


@pytest.mark.parametrize("words, message", [
    (("x.fil", "--bits", "4"), "bits = 4; allowed for sigproc: 8, 16, 32"),
    (("x.fil", "--file-size", "1MB"), "file-size is not an option of sigproc; allowed for psrfits"),
    (("x.h5", "--scale", "2"), "scale is not an option of fbh5; allowed for sigproc"),
    (("x.wav",), "its extension indicates no format; give --to fbh5|sigproc|"),
    (("x.raw", "--to", "guppi"), "contains spectra; allowed: fbh5"),
    (("x.fil", "--lossy", "--memory", "10MB"), "below the floor"),
    (("x.hdf5", "--to", "hifast", "--lossy"), "do not fit into hifast; allowed: AA, BB"),
])
def test_wrong_use(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    product(tmp_path / "s.h5", values(1), head(("V",)))
    assert message in fastsig("convert", "s.h5", "-o", *words, cwd=tmp_path, code=2).stderr
    assert os.listdir(tmp_path) == ["s.h5"]


def test_extensions_of_other_things_are_refused(tmp_path: Path) -> None:
    product(tmp_path / "s.h5", values(), head())
    for name in ("a.ecsv", "a.csv", "a.png"):
        with fs.open(tmp_path / "s.h5") as chain, pytest.raises(
                fs.UsageError, match=f"{name}: its extension indicates no format of spectra"):
            chain.write(tmp_path / name)
    assert os.listdir(tmp_path) == ["s.h5"]


def test_an_output_that_is_the_input(tmp_path: Path) -> None:
    product(tmp_path / "s.h5", values(), head())
    before = (tmp_path / "s.h5").read_bytes()
    call = ("convert", "s.h5", "--overwrite", "--lossy", "-o", "s.h5")
    assert "is an input" in fastsig(*call, cwd=tmp_path, code=4).stderr
    assert (tmp_path / "s.h5").read_bytes() == before


def test_dry_run_of_spectra_as_json(tmp_path: Path) -> None:
    done = fastsig("spectra", "data/samples/pulsar_lower_8MHz.h5", "-o", tmp_path / "p.fil",
                   "--n-chan", 16, "--dry-run", "--json")
    told = json.loads(done.stdout)
    assert told["dry_run"] and told["format"] == "sigproc" and told["shape"][1:] == [1, 16]
    assert told["bytes"] >= 4 * told["shape"][0] * 16 and told["memory_bytes"] > 10**6
    assert not list(tmp_path.iterdir())


def test_unknown_frequencies_are_the_inputs_fault(tmp_path: Path) -> None:
    path = recorded("lofar_dal_h5/L30042_SAP000_B000_S0_P000_bf.h5")
    done = fastsig("convert", path, "-o", tmp_path / "l.h5", code=3)
    assert f"{path}: the file does not state its sky frequency" in done.stderr
    assert not list(tmp_path.iterdir())


def test_doubts_about_a_header_do_not_make_a_file_bad(tmp_path: Path) -> None:
    done = fastsig("validate", recorded("your/28.fits"))
    assert "warning: " in done.stderr and "zeros, which apparently fill it up" in done.stderr
    assert "readable; fastsig verified no checksums" in done.stdout


def test_what_is_lost_or_clipped_is_told(tmp_path: Path) -> None:
    source = product(tmp_path / "s.h5", 100 + 100 * values(), head())
    done = fastsig("convert", source, "-o", tmp_path / "c.fil", "--bits", 8, "--lossy")
    assert "lossy: values become codes of 8 bits" in done.stderr
    assert "warning: " in done.stderr and "%) were clipped to 8 bits" in done.stderr
    done = fastsig("spectra", "data/samples/pulsar_lower_8MHz.h5", "-o", tmp_path / "p.fil",
                   "--n-chan", 16, "--bits", 8, "--scale", 1e6, "--lossy")
    assert "lossy: " in done.stderr and "%) were clipped to 8 bits" in done.stderr


@pytest.mark.parametrize("options, code, text", [
    (("--scale", "0", "--bits", "8", "--lossy"), 2, "scale = 0; allowed: above 1e-30"),
    (("--scale", "nan", "--bits", "8", "--lossy"), 2, "scale = nan; allowed: above 1e-30"),
    (("--fstart", "1300"), 2, "'1300' has no unit"),
])
def test_values_without_a_meaning(tmp_path: Path, options: tuple[str, ...], code: int, text: str
                                  ) -> None:
    source = product(tmp_path / "s.h5", values(), head())
    done = fastsig("cut", source, "-o", tmp_path / "c.fil", *options, code=code)
    assert text in done.stderr and len(done.stderr.strip().splitlines()) <= 4
    assert not (tmp_path / "c.fil").exists()


def test_a_frequency_of_0_needs_no_unit(tmp_path: Path) -> None:
    source = product(tmp_path / "s.h5", values(), head())
    fastsig("cut", source, "-o", tmp_path / "c.h5", "--fstart", "0")
    assert fs.open(tmp_path / "c.h5").shape == fs.open(source).shape
    done = fastsig("cut", source, "-o", tmp_path / "d.h5", "--fstop", "0", code=2)
    assert "no channels from the start to 0" in done.stderr


def test_names_that_stand_for_something_else(tmp_path: Path) -> None:
    source = product(tmp_path / "s.h5", values(), head())
    done = fastsig("convert", source, "-o", tmp_path / "c.png", code=2)
    assert "its extension indicates no format" in done.stderr
    with pytest.raises(fs.UsageError, match=r"c\.png: its extension indicates no format of"):
        fs.open(source).write(tmp_path / "c.png")


def test_a_file_named_twice(tmp_path: Path) -> None:
    source = product(tmp_path / "s.h5", values(), head())
    done = fastsig("convert", source, source, "-o", tmp_path / "c.h5", code=2)
    assert "s.h5: named twice; allowed: each file of a scan once" in done.stderr
