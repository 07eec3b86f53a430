"""fastsig toas: from archives to a .tim file, against pulses at known times."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli import fastsig
from pulsar.profiles_made import DAY, PERIOD, SECONDS, profiles
from pulses_made import gaussian

from fastsig.errors import FormatError, PlanError, UsageError
from fastsig.pulsar.profile_toas import profile_toas
from fastsig.pulsar.profiles import Profiles
from fastsig.pulsar.templates import Template
from fastsig.pulsar.toas import tim_text
from fastsig.run.template_files import write_template
from fastsig.run.toa_files import template_of

#: A time at which a pulse of infinite frequency arrives, s after the reference.
PULSE_S = Fraction(1, 7)
K = Fraction(10**6, 241)  # s MHz^2 cm^3 / pc
TEMPLATE = Template(gaussian(64, 0.25, 0.04), "wiener")


def _archive(noise: float = 0.0, n_subint: int = 3, n_chan: int = 4, **fields: Any) -> Profiles:
    """Profiles of pulses that come every `PERIOD` from `PULSE_S` on, delayed by DM 30."""
    made = profiles(n_subint, n_chan=n_chan, **fields)
    late = float(K) * 30 / made.frequency.value**2
    phase = (float(PULSE_S) + late - made.offsets[:, np.newaxis]) / PERIOD % 1
    data = gaussian(64, phase + 0.25, 0.04)[:, np.newaxis]
    data = data + noise * np.random.default_rng(2).normal(size=data.shape)
    return made.replace(data=data.astype(np.float32))


def _off(profiles_: Profiles, toas: list[Any]) -> np.ndarray:
    """Return by how much times differ from those of pulses, in turns."""
    found = []
    for toa in toas:
        late = K * 30 / Fraction(toa.freq_mhz) ** 2
        day, seconds = profiles_.reference
        elapsed = (toa.day - day) * 86400 + toa.seconds - seconds
        turns = (elapsed - PULSE_S - late) / Fraction(PERIOD)
        found.append(float(turns - round(turns)))
    return np.array(found)


@pytest.mark.parametrize("n_chan", [1, 2, 4, None])
def test_times_are_those_of_pulses(n_chan: int | None) -> None:
    made = _archive(noise=1e-4)
    found = profile_toas(made, TEMPLATE, n_chan=n_chan)
    assert len(found) == 3 * (n_chan or 4)
    off = _off(made, found) * PERIOD * 1e6
    # Channels that are averaged are smeared; that of a single one is symmetric only nearly.
    assert np.abs(off).max() < 2 if n_chan in (1, 2) else np.abs(off).max() < 0.1
    assert {toa.freq_mhz for toa in found} == set(made.grouped(
        n_chan=4 // (n_chan or 4)).frequency.value)


def test_errors_of_times_cover() -> None:
    made = _archive(noise=0.3, n_subint=200, n_chan=1)
    found = profile_toas(made, TEMPLATE)
    z = _off(made, found) * PERIOD * 1e6 / np.array([toa.error_us for toa in found])
    assert abs((z**2).mean() - 1) < 3 * np.sqrt(2 / 200)
    assert 0.58 < (np.abs(z) < 1).mean() < 0.78


def test_dedispersed_profiles_have_the_same_times() -> None:
    made = _archive(noise=1e-4)
    plain, aligned = (profile_toas(each, TEMPLATE, n_chan=4)
                      for each in (made, made.dedisperse()))
    turns = _off(made, aligned) - _off(made, plain)
    assert np.abs(turns).max() < 1e-5


def test_four_products_and_averages_of_subintegrations() -> None:
    made = _archive(noise=1e-4)
    data = made.data * np.array([0.6, 0.4, 0.1, 0.1], np.float32)[:, np.newaxis, np.newaxis]
    four = profiles(3, names=("AA", "BB", "CR", "CI")).replace(data=data)
    found = profile_toas(four, TEMPLATE, n_chan=4)
    expected = profile_toas(made, TEMPLATE, n_chan=4)
    np.testing.assert_allclose(_off(made, found), _off(made, expected), atol=1e-5)
    assert len(profile_toas(made, TEMPLATE, n_subint=2)) == 2


def test_lost_and_faint_profiles_have_no_time() -> None:
    made = _archive(noise=0.3)
    made.data[1, 0, 2, 5] = np.nan
    made.data[0, 0, 0] = np.random.default_rng(0).normal(size=64)
    found = profile_toas(made, TEMPLATE, n_chan=4, least_snr=5)
    places = {(toa.flags["subint"], toa.flags["chan"]) for toa in found}
    assert ("1", "2") not in places
    assert ("0", "0") not in places
    assert len(found) == 10


def test_flags_and_site() -> None:
    made = _archive(noise=0.1, header={"receiver": "19 beam", "backend": "ROACH2"})
    toa = profile_toas(made, TEMPLATE, n_chan=2, flags={"pta": "fast"})[1]
    assert toa.site == "k"
    assert {key: toa.flags[key] for key in ("fe", "be", "subint", "chan", "tobs", "bw", "pta")} == {
        "fe": "19_beam", "be": "ROACH2", "subint": "0", "chan": "1", "tobs": "10", "bw": "200",
        "pta": "fast"}
    assert float(toa.flags["snr"]) > 10
    other = made.replace(header=made.header.replace(telescope="Elsewhere"))
    assert profile_toas(other, TEMPLATE, site="xx")[0].site == "xx"
    with pytest.raises(PlanError, match="Elsewhere has no known code"):
        profile_toas(other, TEMPLATE)
    with pytest.raises(UsageError, match="n_chan = 3"):
        profile_toas(made, TEMPLATE, n_chan=3)
    with pytest.raises(PlanError, match="few.ar: 4 bins; at least 8 are needed"):
        profile_toas(made.grouped(n_bin=16).replace(path="few.ar"), TEMPLATE)
    with pytest.raises(PlanError, match="period"):
        profile_toas(_archive(periods=np.full(3, np.nan), dm=None), TEMPLATE)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    _archive(noise=0.1).write(tmp_path / "night.ar")
    return tmp_path / "night.ar"


def test_command_writes_what_the_function_returns(archive: Path, tmp_path: Path) -> None:
    write_template(TEMPLATE, tmp_path / "t.ecsv")
    out = tmp_path / "night.tim"
    done = fastsig("toas", archive, "-o", out, "--template", tmp_path / "t.ecsv", "--n-chan", 2)
    assert "night.ar: 6 times of arrival, median error" in done.stderr
    lines = out.read_text().splitlines()
    assert lines[0] == "FORMAT 1" and len(lines) == 7
    name, freq, mjd, error, site, *flags = lines[1].split()
    assert (name, float(freq), site) == ("night.ar", 1150.0, "k")
    assert int(mjd.partition(".")[0]) == DAY and len(mjd.partition(".")[2]) == 16
    assert float(error) > 0 and flags[::2] == ["-subint", "-chan", "-snr", "-tobs", "-bw"]
    fastsig("toas", archive, "-o", out, "--template", tmp_path / "t.ecsv", code=4)
    again = json.loads(fastsig("toas", archive, "-o", out, "--template", tmp_path / "t.ecsv",
                               "--overwrite", "--json", "-q").stdout)
    assert again["n_toa"] == 3 and again["files"][0]["median_error_us"] > 0


def test_an_archive_is_a_template_too(archive: Path, tmp_path: Path) -> None:
    _archive(noise=0.001, n_subint=1).write(tmp_path / "std.ar")
    made = {name: template_of(tmp_path / "std.ar", name) for name in ("wiener", "gaussians")}
    assert {name: each.method for name, each in made.items()} == {each: each for each in made}
    fastsig("toas", archive, "-o", tmp_path / "x.tim", "--template", tmp_path / "std.ar",
            "--smooth", "gaussians")
    assert len((tmp_path / "x.tim").read_text().splitlines()) == 4


def test_bad_input_is_one_line(archive: Path, samples: Path, tmp_path: Path) -> None:
    spectra = samples / "SIMPSR_tracking-M01_0001.fits"
    for template, code in ((spectra, 3), (tmp_path / "none.ar", 3)):
        done = fastsig("toas", archive, "-o", tmp_path / "x.tim", "--template", template, code=code)
        assert len(done.stderr.strip().splitlines()) == 1
    write_template(TEMPLATE, tmp_path / "t.ecsv")
    done = fastsig("toas", spectra, "-o", tmp_path / "x.tim", "--template", tmp_path / "t.ecsv",
                   code=3)
    assert "allowed here: folded profiles" in done.stderr
    done = fastsig("toas", archive, "-o", tmp_path / "x.tim", "--template", tmp_path / "t.ecsv",
                   "--min-snr", "1e9", code=2)
    assert "no time of arrival" in done.stderr
    done = fastsig("toas", archive, "-o", tmp_path / "x.tim", "--template", tmp_path / "t.ecsv",
                   "--min-snr", "nan", code=2)
    assert "least_snr = nan" in done.stderr
    assert not (tmp_path / "x.tim").exists()
    done = fastsig("toas", archive, "-o", tmp_path / "x.h5", "--template", tmp_path / "t.ecsv",
                   code=2)
    assert "its extension indicates another format; allowed: .tim" in done.stderr
    noise = np.random.default_rng(0).normal(size=(1, 1, 4, 64)).astype("f4")
    profiles(1).replace(data=noise).write(tmp_path / "noise.ar")
    with pytest.raises(FormatError, match="noise.ar: .*no significant signal"):
        template_of(tmp_path / "noise.ar")
    with pytest.raises(UsageError, match="smoothing"):
        template_of(archive, "spline")


def test_times_carry_over_midnight_and_leap_seconds() -> None:
    # 2016-12-31 has a leap second: the last epoch is 0.1 s into the next day.
    made = _archive(noise=1e-4, reference=(57753, Fraction(86395)), offsets=np.array(
        [1.0, 4.9, 6.1]))
    found = profile_toas(made, TEMPLATE)
    assert [toa.day for toa in found] == [57753, 57753, 57754]
    assert abs(float(found[2].seconds) - 0.1) < PERIOD
    assert SECONDS < 86400


def test_within_a_leap_second_the_time_is_that_of_a_pulse_before_it() -> None:
    made = _archive(noise=1e-4, reference=(57753, Fraction(86395)), offsets=np.array(
        [1.0, 5.1, 5.9]))
    found = profile_toas(made, TEMPLATE)
    assert [toa.day for toa in found] == [57753] * 3
    assert 86400 - PERIOD <= found[1].seconds < 86400 and found[2].seconds < 86400
    assert np.abs(_off(made, found)).max() * PERIOD * 1e6 < 2
    assert tim_text(found).count("57753.9999") == 3
