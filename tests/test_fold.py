"""``fastsig fold``: archives of a simulated and of a recorded pulsar."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from cli import fastsig
from ephemerides import needs_pint
from recordings import recorded
from streams import MemorySpectra, header

import fastsig as fs
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PolBasis
from fastsig.errors import UsageError
from fastsig.pulsar.par import from_par
from fastsig.pulsar.polyco import Polyco
from fastsig.reductions.folding.channel_phases import ChannelPhases
from fastsig.reductions.folding.folding import fold
from fastsig.reductions.folding.predictors import of_files
from fastsig.reductions.folding.reference_polyco import blocks_of

ROOT = Path(__file__).parents[1]
SCAN = sorted((ROOT / "data" / "samples").glob("SIMPSR*.fits"))
PERIOD, DM = ("--period", "89.3ms"), ("--dm", "67.99")
#: The pulse is 30 ms after the start at the top of the band, 1500 MHz, and later at 1250 MHz.
LATE_S = 0.03 + 67.99 / 2.41e-4 * (1250.0**-2 - 1500.0**-2)


def polyco(path: Path, *, day: float = 57987.5, period_s: float = 0.0893, mhz: float = 1500.0,
           turns: float = -0.03 / 0.0893) -> Path:
    """A polyco file of a constant period, whose phase 0 is the pulse at `mhz`."""
    minutes = (day - 57987.5) * 1440
    phase = turns + minutes * 60 / period_s
    path.write_text(
        f"SIMPSR     22-Aug-17  120000.00{day:20.11f}{67.99:21.6f} 0.000 -9.000\n"
        f"{phase:20.6f}{1 / period_s:18.12f}    k   60    2{mhz:10.3f}\n"
        f"{(phase - float(f'{phase:.6f}')):25.17E}{0:25.17E}\n".replace("E", "D"))
    return path


def profile(path: Path) -> np.ndarray:
    """The mean profile of I of an archive."""
    found = fs.open_profiles(path)
    if found.names != ("I",):
        found = found.stokes("I")
    return found.mean("time", "frequency").data[0, 0, 0]


def peak(path: Path) -> float:
    """The phase of the highest bin."""
    shape = profile(path)
    return (int(shape.argmax()) + 0.5) / len(shape)


def test_a_period(tmp_path: Path) -> None:
    done = fastsig("fold", *SCAN, "-o", tmp_path / "a.ar", *PERIOD, *DM, "--n-bin", "128",
                   "--subint", "0.1s", "--json")
    record = json.loads(done.stdout)
    assert record["n_subint"] == 4 and record["n_chan"] == 32 and record["n_product"] == 4
    assert record["period_s"] == pytest.approx(0.0893) and record["dm"] == 67.99
    found = fs.open_profiles(tmp_path / "a.ar")
    assert found.shape == (4, 4, 32, 128) and found.dedispersed and found.dm == 67.99
    assert found.header.source == "SIMPSR" and len(found.predictor) == 1
    assert abs(peak(tmp_path / "a.ar") - LATE_S / 0.0893) < 1 / 128
    fold = found.provenance["inputs"][0]["made_by"]["fold"]
    assert fold["predictor"]["predictor"] == "constant period" and fold["n_bin"] == 128
    # Channels are aligned: each has its peak where the mean has it.
    each = found.stokes("I").mean("time").data[0, 0]
    assert (np.abs(each.argmax(axis=1) - profile(tmp_path / "a.ar").argmax()) <= 3).all()


def test_polycos_in_one_pass(tmp_path: Path) -> None:
    """The second one has another period; its archive is the same as when it is made alone."""
    first, second = polyco(tmp_path / "1.polyco"), polyco(tmp_path / "2.polyco", period_s=0.05)
    options = ("--n-bin", "64", "--n-chan", "4", "--products", "I", "-q")
    fastsig("fold", *SCAN, "-o", tmp_path / "x{file}.ar", "--polyco", first, "--polyco", second,
            *options)
    assert peak(tmp_path / "x0000.ar") == pytest.approx(0, abs=1 / 64) or (
        peak(tmp_path / "x0000.ar") == pytest.approx(1, abs=1 / 64))
    fastsig("fold", *SCAN, "-o", tmp_path / "y.ar", "--polyco", second, *options)
    assert (tmp_path / "y.ar").read_bytes() == (tmp_path / "x0001.ar").read_bytes()
    row, = fs.open_profiles(tmp_path / "x0000.ar").predictor
    assert row["REF_FREQ"] == 1250 and row["NSITE"] == "k"
    done = fastsig("fold", *SCAN, "-o", tmp_path / "z.ar", "--polyco", first, "--polyco", second,
                   code=2)
    assert "{file}" in done.stderr


def test_single_turns(tmp_path: Path) -> None:
    """The pulse is 20 ms after the start, at the top of the band; the diode drifts through."""
    done = fastsig("fold", *SCAN, "-o", tmp_path / "a.ar", *PERIOD, *DM, "--single", "--n-bin",
                   "32", "--products", "I", "--json", "--tstart", "10ms")
    assert json.loads(done.stdout)["n_subint"] == 2  # the lowest channels are late by 163 ms
    found = fs.open_profiles(tmp_path / "a.ar")
    np.testing.assert_allclose(found.durations, 0.0893, atol=2e-4)
    shape = found.mean("frequency").data[:, 0, 0]
    assert (shape[:, 7] > 12 + np.maximum(shape[:, 3], shape[:, 11])).all()


def test_flagged_samples_do_not_count(tmp_path: Path) -> None:
    """The pulses of the sample are so bright that they are flagged as well, which is said."""
    for name, options in (("a", ()), ("b", ("--flag",))):
        done = fastsig("fold", *SCAN, "-o", tmp_path / f"{name}.ar", *PERIOD, *DM, "--products",
                       "I", "--n-bin", "32", *options)
    assert "% of the samples outside --bands were flagged" in done.stderr
    whole, left = (fs.open_profiles(tmp_path / f"{name}.ar") for name in "ab")
    assert 0.5 < left.weights.sum() / whole.weights.sum() < 0.9
    assert np.ptp(profile(tmp_path / "b.ar")) < np.ptp(profile(tmp_path / "a.ar"))


def test_voltages_are_dedispersed_coherently(tmp_path: Path) -> None:
    """A millisecond pulsar of DM 30, with four products, at its time and as wide as it is."""
    scan = ROOT / "data" / "samples" / "pulsar_lower_8MHz.h5"
    fastsig("fold", scan, "-o", tmp_path / "a.ar", "--period", "1.5ms", "--dm", "30",
            "--coherent", "8", "--n-bin", "64", "--subint", "1s")
    found = fs.open_profiles(tmp_path / "a.ar")
    assert found.shape == (1, 4, 8, 64) and found.names == ("AA", "BB", "CR", "CI")
    late = 0.4e-3 + 30 / 2.41e-4 * (1404.0**-2 - 1408.0**-2)  # 0.4 ms at the top of the band
    shape = profile(tmp_path / "a.ar")
    phase = np.angle((shape * np.exp(2j * np.pi * found.phase)).sum()) / 2 / np.pi
    assert abs((phase - late / 1.5e-3 + 0.5) % 1 - 0.5) < 0.01
    high = shape - np.median(shape) > (shape.max() - np.median(shape)) / 2
    assert high.sum() <= 0.11 * 64  # FWHM 0.08
    v = found.mean("frequency").stokes("V").data[0, 0, 0]
    assert v[shape.argmax()] < -5 * np.std(v[~high])


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    for options in ((), ("--json",)):
        done = fastsig("fold", *SCAN, "-o", tmp_path / "a.ar", *PERIOD, *DM, "--dry-run",
                       "--explain", *options)
        assert "a.ar" in done.stdout and not list(tmp_path.iterdir())


def test_a_dry_run_states_the_size_of_the_product(tmp_path: Path) -> None:
    common = (*SCAN, *PERIOD, *DM, "--n-bin", "512", "--n-chan", "32", "--subint", "0.2s")
    size = {}
    for name, *options in (("a.ar",), ("b.ar", "--bits", "32"), ("c.ecsv",)):
        done = fastsig("fold", *common, "-o", tmp_path / name, *options, "--dry-run")
        size[name], = re.findall(rf"would write .*{name}: (.*), \d+ MB free", done.stdout)
    fastsig("fold", *common, "-o", tmp_path / "b.ar", "--bits", "32")
    found, written = fs.open_profiles(tmp_path / "b.ar"), (tmp_path / "b.ar").stat().st_size
    assert written > 4 * found.data.size > 0.9 * written > 400_000
    assert size == {"a.ar": f"{2 * found.data.size / 1e6:.1f} MB",
                    "b.ar": f"{4 * found.data.size / 1e6:.1f} MB",
                    "c.ecsv": f"{found.n_subint * found.n_chan * found.n_bin} rows"}


def test_one_line_for_what_cannot_be_folded(tmp_path: Path) -> None:
    out = ("-o", tmp_path / "a.ar")
    far = polyco(tmp_path / "far.polyco", day=58000.0)
    for options, code, words in (
            ((), 2, "--par, --polyco or --period"),
            ((*PERIOD, "--polyco", far), 2, "--par, --polyco or --period"),
            (("--polyco", far, "--pdot", "1e-10"), 2, "--pdot belongs to a period"),
            (("--polyco", far), 2, "far.polyco: does not cover 2017-08-22"),
            (("--polyco", ROOT / "README.md"), 3, "README.md"),
            (("--polyco", tmp_path / "none"), 3, "No such file"),
            (("--period", "0.1ms"), 2, "period 0.0001 s is below two samples"),
            ((*PERIOD, "--dm", "nan"), 2, "dm = 'nan'"),
            ((*PERIOD, "--n-chan", "5"), 2, "n_chan = 5"),
            ((*PERIOD, "--subint", "1us"), 2, "subint"),
            ((*PERIOD, "--single", *DM, "--tstop", "20ms"), 2, "spectra")):
        done = fastsig("fold", *SCAN, *out, *options, code=code)
        assert words in done.stderr.replace("_", "_") and len(done.stderr.splitlines()) <= 2
    assert not (tmp_path / "a.ar").exists()
    done = fastsig("fold", *SCAN, "-o", tmp_path / "a.h5", *PERIOD, code=2)
    assert "no format of profiles" in done.stderr
    voltages = ROOT / "data" / "samples" / "pulsar_lower_8MHz.h5"
    done = fastsig("fold", voltages, *out, *PERIOD, code=3)
    assert "contains voltage" in done.stderr and "--coherent N" in done.stderr
    done = fastsig("fold", *SCAN, *out, *PERIOD, "--coherent", "4", code=3)
    assert "contains spectra; allowed with --coherent: voltages" in done.stderr
    done = fastsig("fold", voltages, *out, "--period", "1.5ms", "--coherent", "4", code=2)
    assert "needs one dispersion measure; found none, so specify dm" in done.stderr


def test_polycos_and_ephemerides_are_not_replaced(tmp_path: Path) -> None:
    for option in ("--polyco", "--par"):
        given = polyco(tmp_path / "a.polyco")
        done = fastsig("fold", *SCAN, "-o", given, option, given, "--overwrite", "--to", "psrfits",
                       code=4)
        assert "is an input of this run and would be lost" in done.stderr


def test_a_file_of_polycos_is_a_predictor(tmp_path: Path) -> None:
    path = polyco(tmp_path / "a.polyco")
    with fs.open(SCAN) as chain:
        found = chain.fold(path, n_bin=64)
        expected = chain.fold(Polyco.read(path), n_bin=64)
        np.testing.assert_array_equal(found.data, expected.data)
        with pytest.raises(UsageError, match=r"allowed: a predictor, an ephemeris \(\.par\)"):
            chain.fold(0.0893)


def test_a_missing_ephemeris_is_named_also_if_the_product_exists(tmp_path: Path) -> None:
    product = tmp_path / "a.ar"
    product.write_bytes(b"kept")
    for option in ("--polyco", "--par"):
        done = fastsig("fold", *SCAN, "-o", product, option, tmp_path / "none.par", "--overwrite",
                       code=3)
        assert "none.par" in done.stderr and "internal" not in done.stderr
    assert product.read_bytes() == b"kept"


def test_of_several_pulsars_the_source_is_folded(tmp_path: Path) -> None:
    both = polyco(tmp_path / "a.polyco")
    text = both.read_text()
    both.write_text(text + text.replace("SIMPSR", "OTHER "))
    fastsig("fold", *SCAN, "-o", tmp_path / "a.ar", "--polyco", both, "--n-bin", "32", "-q")
    assert fs.open_profiles(tmp_path / "a.ar").header.source == "SIMPSR"
    done = fastsig("fold", *SCAN, "-o", tmp_path / "b.ar", "--polyco", both, "--set", "source=X",
                   code=2)
    assert "polycos of OTHER, SIMPSR; the source of" in done.stderr
    assert "give --set source=OTHER" in done.stderr


def test_a_recorded_pulsar(tmp_path: Path) -> None:
    """J1807-0847, 21 s at the GBT, dedispersed before."""
    scan = recorded("sigpyproc/GBT_J1807-0847.dat")
    fastsig("fold", scan, "-o", tmp_path / "a.ar", "--period", "0.163713s", "--subint", "5s")
    found = fs.open_profiles(tmp_path / "a.ar")
    assert found.dm == 112.3802 and found.n_subint == 4
    shape = profile(tmp_path / "a.ar")
    off = np.sort(shape)[: len(shape) // 2]
    assert (shape.max() - off.mean()) / off.std() > 100
    assert np.ptp(found.data[:, 0, 0].argmax(axis=1)) <= 2  # the period is right


def test_blocks_of_a_polyco_are_moved_exactly(tmp_path: Path) -> None:
    """To the frequency of the profiles; the second block is not needed."""
    path = polyco(tmp_path / "a.polyco", day=57987.50123456789)
    path.write_text(path.read_text() + polyco(tmp_path / "b.polyco", day=57988.0).read_text())
    found = Polyco.read(path)
    seconds = np.array([0.0, 0.125, 0.375])
    with fs.open(SCAN) as chain:
        phases = ChannelPhases(chain.stream, found)
        start = chain.header.start_time
        block, = blocks_of(phases, start, 0.0, 0.4)
        assert (block.mhz, block.site, block.span_min) == (1250, "k", 60)
        for one, other in zip(Polyco([block]).phase(start, seconds), phases.at(seconds),
                              strict=True):
            np.testing.assert_allclose(one, other, atol=1e-12)


def ephemeris(folder: Path) -> Path:
    par = folder / "a.par"
    par.write_text("PSR J0534+2200\nRAJ 05:34:31.97\nDECJ 22:00:52\nF0 11.198208286674\nF1 0\n"
                   "PEPOCH 57987\nDM 67.99\nEPHEM DE440\nUNITS TDB\n")
    return par


@needs_pint
def test_an_ephemeris(tmp_path: Path) -> None:
    """A pulse each 89.3 ms at the barycentre; the par file is in the archive."""
    par = ephemeris(tmp_path)
    fastsig("fold", *SCAN, "-o", tmp_path / "a.ar", "--par", par, "--n-bin", "64", "--json", "-q")
    found = fs.open_profiles(tmp_path / "a.ar")
    assert found.header.source == "J0534+2200" and found.dm == 67.99
    # The Earth moves towards the Crab in August, by up to 1e-4 of the speed of light.
    assert 0 < 1 - found.period / 0.0893 < 1e-4
    shape = profile(tmp_path / "a.ar")
    assert np.ptp(shape) > 20
    assert found.provenance["inputs"][0]["made_by"]["fold"]["predictor"]["source"] == "J0534+2200"
    row, = found.predictor
    assert row["REF_FREQ"] == 1250 and "F0 11.198208286674" in found.ephemeris
    assert found.header.ra_deg == pytest.approx(83.633208, abs=1e-6)  # the file states none
    assert found.header.dec_deg == pytest.approx(22.014444, abs=1e-6)
    folded = fs.open(SCAN).fold(par, n_bin=64)
    assert folded.ephemeris == par.read_text() and folded.header.source == "J0534+2200"
    assert folded.header.ra_deg == pytest.approx(found.header.ra_deg, abs=1e-9)
    with fs.open(SCAN) as chain:
        assert chain.fold(str(par), n_bin=64).period == pytest.approx(found.period, rel=1e-9)


@needs_pint
def test_phases_are_those_of_the_ephemeris_at_the_frequency_of_the_profiles(tmp_path: Path) -> None:
    """The Earth's motion changes the delay after infinite frequency by 2e-4 turn in a year."""
    par, seconds = ephemeris(tmp_path), np.array([0.0, 0.2])
    with fs.open(SCAN) as chain:
        start = chain.header.start_time
        predictor, = of_files(chain.stream, [], [par])
        found = ChannelPhases(chain.stream, predictor).at(seconds)
    true = from_par(par, "FAST", start, start, mhz=1250.0).phase(start, seconds)
    off = (found[0] - true[0]) + (found[1] - true[1])
    np.testing.assert_allclose(off - np.round(off), 0, atol=2e-6)


@needs_pint
def test_a_scan_of_two_days_with_an_ephemeris(tmp_path: Path) -> None:
    """The last blocks lie two days after the start; there too, each pulse is at its phase."""
    par, n = ephemeris(tmp_path), 2 * 86400 * 20
    par.write_text(par.read_text().replace("F0 11.198208286674", "F0 1.198208286674"))
    head = header(20, start="2017-08-22T12:00:00").replace(
        channels=ChannelAxis(Fraction(401 * 10**6), Fraction(2 * 10**6), 1), telescope="FAST",
        polarization=PolBasis("linear", ("I",)), ra_deg=None, dec_deg=None)
    start = head.start_time
    _, phase = from_par(par, "FAST", start, start + 2 * u.day, mhz=401.0).phase(
        start, (np.arange(n) + 0.5) / 20)
    pulses = (np.abs(phase - 0.5) < 0.05).astype(np.float32)[:, np.newaxis, np.newaxis]
    found = fold(MemorySpectra(pulses, head), str(par), n_bin=16, subint="4h")
    assert found.shape == (12, 1, 1, 16)
    assert (found.data[..., [7, 8]] > 0.7).all() and (found.data[..., [5, 10]] == 0).all()
