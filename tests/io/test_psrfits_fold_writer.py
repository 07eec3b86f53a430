"""The writer of fold-mode PSRFITS: what PSRCHIVE and others find, and nothing half done."""

from __future__ import annotations

import errno
import os
import re
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from foreign_readers import psrchive_archive
from psrfits_fold_made import F0, folded, history_unit, polyco, polyco_unit
from pulsar.profiles_made import DAY, PERIOD, SECONDS, profiles

import fastsig as fs
from fastsig.axes.polarization import PolBasis
from fastsig.axes.time import elapsed
from fastsig.errors import DataError, OutputError, PlanError, UsageError
from fastsig.io.psrfits_fold.reader import verify
from fastsig.io.psrfits_fold.writer import cautions
from fastsig.pulsar.profiles import Profiles

FULL = ("AA", "BB", "CR", "CI")


def noisy(**fields: Any) -> Profiles:
    """Profiles with noise, and levels and heights that differ by orders of magnitude."""
    made = profiles(**{"names": FULL, "n_bin": 33, **fields})
    rng = np.random.default_rng(2)
    level = np.array([1e-3, 1.0, 1e6, -50.0])[None, : made.n_product, None, None]
    data = (made.data * level + rng.normal(0, 1, made.shape) * level * 0.1).astype(np.float32)
    return made.replace(data=np.where(made.weight > 0, data, np.float32(np.nan)))


def written(made: Profiles, path: Path, **options: Any) -> Profiles:
    """What is read of profiles that were written; warnings are errors."""
    made.write(path, **options)
    return fs.open_profiles(path)


def test_values_are_within_half_a_step_and_exact_with_32_bits(tmp_path: Path) -> None:
    made = noisy()
    found = written(made, tmp_path / "a.ar")
    span = np.ptp(made.data, axis=-1, keepdims=True)
    off = np.abs(found.data - made.data.astype(float))
    assert (off <= span / 65534 * 0.501 + np.spacing(np.abs(made.data))).all()
    assert off.max() > 0
    found = written(made, tmp_path / "b.ar", bits=32)
    np.testing.assert_array_equal(found.data, made.data)
    np.testing.assert_array_equal(found.weights, made.weights)
    flat = made.replace(data=np.full(made.shape, 7.1, np.float32))
    assert (written(flat, tmp_path / "c.ar").data == np.float32(7.1)).all()


def test_all_that_a_file_holds_comes_back(tmp_path: Path) -> None:
    row = {**polyco(), "DATE_PRO": "", "POLYVER": ""}
    made = noisy(dm=31.25, rm=-7.5, rm_removed=True, predictor=(row,),
                 ephemeris="PSR J0000+00\nF0 81.3", history=(("2020-01-01", "dspsr -b 33"),),
                 provenance={"stages": [{"stage": "fold", "parameters": {"n_bin": 33}}],
                             "note": "x" * 900}).dedisperse(ref="1300 MHz")
    basis = PolBasis("linear", FULL, sign_q=-1, sign_v=-1, frame="sky", handedness="IAU",
                     n_recorded=1)
    made = made.replace(header=made.header.replace(
        polarization=basis, unit="K", beam=3, receiver="19-beam", backend="ROACH2",
        dispersion_constant=Fraction("4148.808")))
    made = made.dedisperse(constant=4148.808)
    found = written(made, tmp_path / "a.ar")
    for name in ("reference", "dm", "rm", "rm_removed", "reference_mhz", "ephemeris", "path"):
        assert getattr(found, name) == getattr(made.replace(path=str(tmp_path / "a.ar")), name)
    for name in ("offsets", "durations", "weights"):
        np.testing.assert_array_equal(getattr(found, name), getattr(made, name))
    assert dict(found.predictor[0]) == {**row, "COEFF": (*row["COEFF"],)}
    assert found.history[0] == made.history[0] and found.history[1][1].startswith("fastsig ")
    assert found.provenance["inputs"][0]["made_by"]["note"] == "x" * 900
    for name in ("channels", "polarization", "telescope", "source", "receiver", "backend", "beam",
                 "unit", "dm", "dm_reference_hz", "dispersion_constant", "sample_rate",
                 "start_time"):
        assert getattr(found.header, name) == getattr(made.header, name), name
    assert found.header.ra_deg == pytest.approx(12.5) and found.header.dec_deg == -3.25
    # And so again, with the same bytes from the same values.
    for name in ("b.ar", "c.ar"):
        made.write(tmp_path / name)
    assert (tmp_path / "b.ar").read_bytes() == (tmp_path / "c.ar").read_bytes()


def test_psrchive_finds_all_that_it_needs(tmp_path: Path) -> None:
    rows = tuple({**polyco(mjd), "DATE_PRO": "", "POLYVER": ""} for mjd in (58000.0, 58000.0625))
    made = noisy(predictor=rows)
    made.write(tmp_path / "a.ar")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        seen = psrchive_archive(tmp_path / "a.ar")
    found = fs.open_profiles(tmp_path / "a.ar")
    np.testing.assert_array_equal(seen.data, found.data)
    assert (seen.weights == 800).all() and (seen.state, seen.basis) == ("Coherence", "LIN")
    for (day, seconds), (own_day, own) in zip(seen.epochs, made.exact_epochs(), strict=True):
        assert day == own_day and abs(seconds - own) < Fraction(1, 10**15)
    assert seen.epochs[0][0] == DAY and float(seen.epochs[0][1]) == float(SECONDS + 5)
    assert seen.periods == pytest.approx(found.periods.tolist(), rel=1e-14)
    assert seen.periods[0] == pytest.approx(1 / F0, rel=1e-4)
    assert seen.frequency.tolist() == [1100, 1200, 1300, 1400]
    assert (seen.center_mhz, seen.bandwidth_mhz) == (1250, 400)
    assert (seen.dm, seen.rm, seen.dedispersed) == (30, 0, False)
    assert (seen.source, seen.telescope) == ("J0000+00", "FAST")
    assert (seen.ra_deg, seen.dec_deg) == (pytest.approx(12.5), pytest.approx(-3.25))
    made.dedisperse(ref="top").stokes().mean("time").write(tmp_path / "b.ar")
    seen = psrchive_archive(tmp_path / "b.ar")
    assert (seen.state, seen.dedispersed, seen.center_mhz) == ("Stokes", True, 1400)
    noisy(names=("I",)).write(tmp_path / "c.ar")  # no polyco: the column PERIOD
    seen = psrchive_archive(tmp_path / "c.ar")
    assert seen.state == "Intensity" and seen.periods == [PERIOD] * 3


def test_checksums_are_those_of_fits_and_notice_changes(tmp_path: Path) -> None:
    path = tmp_path / "a.ar"
    noisy(predictor=(polyco(),), ephemeris="PSR J0000+00").write(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fits.open(path, checksum=True) as file:
            file.verify("exception")
            assert [unit.name for unit in file] == ["PRIMARY", "HISTORY", "PSRPARAM", "POLYCO",
                                                    "SUBINT", "FASTSIG"]
            at = file["SUBINT"].fileinfo()["datLoc"] + 2000
    assert verify(path)
    raw = bytearray(path.read_bytes())
    raw[at] ^= 4
    path.write_bytes(raw)
    with pytest.raises(DataError, match="a.ar: SUBINT: DATASUM = .*; the sum of its data is"):
        verify(path)


def test_weights_of_bins_and_lost_bins(tmp_path: Path) -> None:
    weights = np.full((3, 1, 4, 64), 10.0)
    weights[1, 0, 2, 5:8] = 0
    weights[2, 0, 1] = 0
    made = profiles(weights=weights)
    said = cautions(made)
    assert len(said) == 2 and "one weight for a channel" in said[0] and "median" in said[1]
    found = written(made, tmp_path / "a.ar")
    assert found.weights.shape == (3, 1, 4, 1) and found.weights[1, 0, 2, 0] == pytest.approx(
        10 * 61 / 64)
    assert found.weights[2, 0, 1, 0] == 0 and np.isnan(found.data[2, 0, 1]).all()
    middle = np.nanmedian(made.data[1, 0, 2])
    np.testing.assert_allclose(found.data[1, 0, 2, 5:8], middle, rtol=1e-4)
    assert cautions(profiles()) == []
    lost = profiles(periods=np.full(3, np.nan), header={"ra_deg": None})
    assert [text[:8] for text in cautions(lost)] == ["no posit", "the fold"]


def test_what_psrfits_cannot_hold_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.ar"
    odd = PolBasis("linear", ("I", "left"))
    third = polyco(REF_MJD=Fraction(58000) + Fraction(1, 3))
    for made, words in (
        (profiles().dedisperse(ref="infinity"), "no place for an infinite reference frequency"),
        (profiles(names=("AA", "BB"), header={"polarization": odd}), "products I, left; allowed"),
        (profiles(predictor=(third,)), "REF_MJD = .* is not a number that double"),
    ):
        with pytest.raises(PlanError, match=words):
            made.write(path)
    with pytest.raises(UsageError, match="bits = 8; allowed for folded profiles: 16, 32"):
        profiles().write(path, bits=8)
    with pytest.raises(UsageError, match=r"a.xyz: its extension indicates no format"):
        profiles().write(tmp_path / "a.xyz")
    with pytest.raises(UsageError, match="write has no parameter 'colour'"):
        profiles().write(path, colour=1)
    assert os.listdir(tmp_path) == []


def test_more_bins_than_history_can_count(tmp_path: Path) -> None:
    made = profiles(n_subint=1, n_chan=1, n_bin=40000)
    found = written(made, tmp_path / "a.ar")
    assert found.n_bin == 40000
    assert psrchive_archive(tmp_path / "a.ar").data.shape == (1, 1, 1, 40000)


@pytest.mark.parametrize("how", ["reserve", "write", "flush"])
def test_a_full_disk_leaves_nothing(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
                                    ) -> None:
    def full(*given: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    name = {"reserve": "posix_fallocate", "write": "pwrite", "flush": "fsync"}[how]
    monkeypatch.setattr(os, name, full)
    with pytest.raises(OutputError, match="a.ar: .*[Nn]o space left on the disk|a.ar: .*space"):
        profiles().write(tmp_path / "a.ar")
    assert os.listdir(tmp_path) == []


def test_an_archive_is_replaced_only_on_request(tmp_path: Path) -> None:
    path = tmp_path / "a.ar"
    profiles().write(path)
    before = path.read_bytes()
    with pytest.raises(OutputError, match="exists"):
        profiles(n_bin=32).write(path)
    assert path.read_bytes() == before
    profiles(n_bin=32).write(path, overwrite=True)
    again = fs.open_profiles(path)
    assert again.n_bin == 32
    with pytest.raises(OutputError, match="is an input of this run"):
        again.write(path, overwrite=True)


def test_files_of_others_keep_what_they_say(tmp_path: Path) -> None:
    lines = fits.BinTableHDU.from_columns([fits.Column(
        name="PARAM", format="128A", array=["PSR J0000+00", "F0 81.3"])], name="PSRPARAM")
    path = folded(tmp_path / "a.ar", period=0.0123, primary={"OBSERVER": "Bell", "FD_HAND": -1},
                  units=[history_unit(DEDISP=1), lines, polyco_unit([polyco()])])
    first = fs.open_profiles(path)
    found = written(first, tmp_path / "b.ar")
    assert found.history[:2] == first.history and found.ephemeris == first.ephemeris
    assert found.header.extra["OBSERVER"] == "Bell" and found.header.extra["FD_HAND"] == "-1"
    assert found.header.dm == 30 and found.header.dm_reference_hz == first.header.dm_reference_hz
    with fits.open(tmp_path / "b.ar") as file:
        text = file[0].header.tostring()
        assert len(re.findall("EPOCHS", text)) == 0 and file["SUBINT"].header["EPOCHS"] == "VALID"


def test_starts_are_exact(tmp_path):
    """Epochs are up to a turn before the middle; the start is that of the samples all the same."""
    late = -0.9 * PERIOD * np.ones(3)
    made = profiles()
    made = made.replace(offsets=made.offsets + late)
    for name, part in (("all", made), ("one", made[1:]), ("gap", made[2:])):
        part.write(tmp_path / f"{name}.ar")
        found = fs.open_profiles(tmp_path / f"{name}.ar")
        first = {"all": 0, "one": 10, "gap": 20}[name]
        for each in (part, found):
            start = elapsed(made.header.start_time, each.header.start_time)
            assert abs(start - first) < 1e-9
    with fits.open(tmp_path / "all.ar", "update") as file:  # as other programs write it
        del file["SUBINT"].header["SUBSTART"]
    found = fs.open_profiles(tmp_path / "all.ar")
    assert abs(elapsed(made.header.start_time, found.header.start_time)) < 1e-9
    moved = fs.open_profiles(tmp_path / "one.ar", start_time="2020-01-01T00:00:00")
    assert moved.header.start_time.isot == "2020-01-01T00:00:00.000000000"
    assert abs(float(elapsed(moved.header.start_time, moved.epochs[0])) - 5 - late[0]) < 1e-9
