"""info, validate, view, convert and cut on archives of folded profiles."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cli import fastsig
from pulsar.profiles_made import profiles

import fastsig as fs
from fastsig.io.ecsv.tables import read_table

FULL = ("AA", "BB", "CR", "CI")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "night.ar"
    profiles(names=FULL).write(path)
    return path


def test_info_and_validate(archive: Path) -> None:
    found = json.loads(fastsig("info", archive, "--json").stdout)[0]
    assert (found["kind"], found["format"], found["n_bin"]) == ("profiles", "psrfits_fold", 64)
    assert (found["n_time"], found["n_pol"], found["n_chan"]) == (3, 4, 4)
    assert found["period_s"] == 0.0123 and found["dm"] == 30 and not found["dedispersed"]
    assert found["frequency_mhz"] == [1050, 1450] and found["warnings"] == []
    text = fastsig("info", archive, "--cards").stdout
    assert "OBS_MODE" in text and "EPOCHS" in text
    assert fastsig("validate", archive).stdout == f"{archive}: good\n"
    archive.write_bytes(archive.read_bytes()[:-5000])
    assert "night.ar: no header at byte" in fastsig("validate", archive, code=1).stderr


def test_a_table_has_the_values(archive: Path, tmp_path: Path) -> None:
    fastsig("convert", archive, "-o", tmp_path / "a.ecsv", "--products", "I")
    table = read_table(tmp_path / "a.ecsv", kind="profiles")
    found = fs.open_profiles(archive).stokes("I")
    np.testing.assert_array_equal(np.array(table["I"], "f4").reshape(3, 4, 64), found.data[:, 0])
    assert table["frequency"].unit == "MHz" and (table["weight_I"] == 800).all()
    assert table.meta["periods_s"] == [0.0123] * 3
    fastsig("view", tmp_path / "a.ecsv", "-o", tmp_path / "a.png")
    record = json.loads(fastsig("info", tmp_path / "a.ecsv", "--json").stdout)[0]
    assert record["format"] == "ecsv_profiles" and record["kind"] == "profiles"
    assert (record["n_bin"], record["dm"], record["period_s"]) == (64, 30, 0.0123)
    assert fastsig("validate", tmp_path / "a.ecsv").stdout == f"{tmp_path / 'a.ecsv'}: good\n"
    fastsig("convert", tmp_path / "a.ecsv", "-o", tmp_path / "again.ar", "--bits", "32")
    np.testing.assert_array_equal(fs.open_profiles(tmp_path / "again.ar").data, found.data)
    inputs = table.meta["provenance"]["inputs"]
    assert inputs[0]["name"] == "night.ar" and len(inputs[0]["files"][0]["sha256"]) == 64


def test_cut_and_convert_to_an_archive(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "b.ar"
    fastsig("cut", archive, "-o", out, "--tstart", "10s", "--fstart", "1150MHz", "--fstop",
            "1350MHz", "--bits", "32")
    whole, part = fs.open_profiles(archive), fs.open_profiles(out)
    np.testing.assert_array_equal(part.data, whole.data[1:, :, 1:3])
    assert part.exact_epochs() == whole.exact_epochs()[1:]
    stages = part.provenance["inputs"][0]["made_by"]["stages"]
    assert stages[0]["parameters"]["rows"] == ["10s", None]
    fastsig("cut", archive, "-o", tmp_path / "no-ending", "--products", "CI,AA")
    assert fs.open_profiles(tmp_path / "no-ending").names == ("CI", "AA")
    record = json.loads(fastsig("convert", archive, "-o", tmp_path / "c.fits", "--dry-run",
                                "--json").stdout)
    assert record["dry_run"] and record["n_bits"] == 16 and not (tmp_path / "c.fits").exists()
    assert "would write" in fastsig("convert", archive, "-o", tmp_path / "c.fits",
                                    "--dry-run").stdout


@pytest.mark.parametrize(("words", "message"), [
    (("convert", "-o", "a.h5"), "a.h5: its extension indicates no format of profiles"),
    (("convert", "-o", "a.fil", "--to", "sigproc"), "profiles cannot be written as 'sigproc'"),
    (("convert", "-o", "a.ar", "--scale", "2"), "--scale has no meaning for folded profiles"),
    (("convert", "-o", "a.ar", "--bits", "8"), "allowed for folded profiles: 16, 32"),
    (("convert", "-o", "a.ecsv", "--bits", "16"), "--bits=16; allowed: with psrfits|bits = 16"),
    (("cut", "-o", "a.ar", "--tstart", "1h"), "no subintegrations from 1h to None|from 1h"),
    (("cut", "-o", "a.ar", "--products", "Z"), "no product 'Z'; allowed: AA, BB, CR, CI"),
    (("view", "-o", "a.png", "--what", "power"), "--what has no meaning for folded profiles"),
    (("view", "-o", "a.png", "--product", "Z"), "no product 'Z'"),
])
def test_what_is_refused(words: tuple[str, ...], message: str, archive: Path, tmp_path: Path,
                         monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    error = fastsig(words[0], archive, *words[1:], code=2).stderr
    assert any(part in error for part in message.split("|")), error
    assert "Traceback" not in error and [each.name for each in tmp_path.iterdir()] == ["night.ar"]


def test_two_archives_and_other_kinds_are_refused(archive: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.ar"
    profiles().write(other)
    error = fastsig("convert", archive, other, "-o", tmp_path / "a.ar", code=2).stderr
    assert "archives of profiles are separate recordings; allowed: one" in error
    error = fastsig("spectra", archive, "-o", tmp_path / "a.h5", "--n-chan", "4", code=3).stderr
    assert "PSRFITS of folded profiles; allowed here: a stream in time" in error


def test_pictures_and_pages(archive: Path, tmp_path: Path) -> None:
    fastsig("view", archive, "-o", tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 20_000
    fastsig("view", archive, "-o", tmp_path / "a.html", "--product", "AA", "--tstart", "10s")
    page = (tmp_path / "a.html").read_text()
    assert "0.0123 s" in page and "J0000+00" in page and "1050 to 1450 MHz" in page


def test_the_provenance_has_the_hash_of_the_whole_file_on_request(archive: Path, tmp_path: Path
                                                                  ) -> None:
    archive.write_bytes(archive.read_bytes().ljust(2**21 + 2880 * 4, b"\0"))
    for words, of in (((), "first and last MiB"), (("--hash-inputs",), "all")):
        fastsig("convert", archive, "-o", tmp_path / "b.ar", "--overwrite", *words)
        made = fs.open_profiles(tmp_path / "b.ar").provenance["inputs"][0]["made_by"]
        assert made["inputs"][0]["files"][0]["sha256_of"] == of
