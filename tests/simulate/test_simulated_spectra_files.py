"""Simulated spectra in FAST's files: truth recovered from them by astropy and NumPy alone."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from fractions import Fraction
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from astropy.io import fits

import fastsig as fs
from fastsig.cli.main import cli
from fastsig.errors import OutputError, UsageError
from fastsig.simulate import (
    Diode,
    FastSpectra,
    LostSpectra,
    Pulsar,
    SimulatedSpectra,
    Source,
    spectral,
    write_psrfits,
    write_spectral,
)

SAMPLES = Path(__file__).parents[2] / "data" / "samples"
SIGMAS = 5


def truth_of(name: str, folder: Path) -> dict[str, Any]:
    """Truth record of a sample, by its command in the README."""
    text = (SAMPLES / "README.md").read_text().replace("\\\n", " ")
    words = shlex.split(re.search(rf"^fastsig (simulate \S+ -o {name}.*)$", text, re.M)[1])
    words[words.index("-o") + 1] = str(folder / "again.{file}.fits")
    cli.main([*words, "-q", "--truth", str(folder / "truth.json")], standalone_mode=False)
    record: dict[str, Any] = json.loads((folder / "truth.json").read_text())
    return record


def bandpass(truth: dict[str, Any]) -> np.ndarray:
    """Mean of the bandpass over each channel, by the formula of the truth record."""
    told, axis = truth["bandpass"], truth["channels"]
    low, high = (float(Fraction(edge)) for edge in truth["band_hz"])
    width, n_chan = float(Fraction(axis["width_hz"])), axis["n_chan"]
    first = float(Fraction(axis["first_center_hz"])) - width / 2
    x = (first - low + (np.arange(100 * n_chan) + 0.5) * width / 100) / (high - low)
    d = np.clip(np.minimum(x, 1 - x) / told["edge"], 0, 1)
    power = told["floor"] + (1 - told["floor"]) * np.sin(np.pi / 2 * d) ** 2
    power *= 1 + sum(a * np.sin(2 * np.pi * (c * x + p)) for a, c, p in told["ripples_a_c_p"])
    return np.asarray((power / told["norm"]).reshape(n_chan, 100).mean(axis=1))


class Scan:
    """A sample: its truth, and its spectra in K with the bandpass taken out."""

    def __init__(self, kelvin: np.ndarray, truth: dict[str, Any], rows: np.ndarray) -> None:
        self.kelvin, self.truth, self.rows = kelvin, truth, rows
        self.samples = truth["statistics"]["samples"]
        axis = truth["channels"]
        self.mhz = (float(Fraction(axis["first_center_hz"])) + np.arange(axis["n_chan"]) * float(
            Fraction(axis["width_hz"]))) / 1e6
        diode = truth["components"]["diode"]
        begin = rows * float(Fraction(diode["ticks_per_spectrum"])) - diode["first"]
        self.on = (begin >= 0) & (begin % diode["period"] < diode["on"])
        self.step_k = float(Fraction(diode["temperature_k"]))


def in_kelvin(values: np.ndarray, truth: dict[str, Any]) -> np.ndarray:
    return values / (truth["receiver"]["gain_per_k"] * bandpass(truth))


@pytest.fixture(scope="module")
def pulsar(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    """The PSRFITS sample."""
    truth, parts = truth_of("SIMPSR", tmp_path_factory.mktemp("psr")), []
    for path in sorted(SAMPLES.glob("SIMPSR*.fits")):
        with fits.open(path) as file:
            file.verify("exception")
            cards = file["SUBINT"].header
            assert cards["NBITS"] == 8 and cards["POL_TYPE"] == "AABBCRCI"
            shape = cards["NPOL"], cards["NCHAN"]
            for row in file["SUBINT"].data:
                codes = row["DATA"].reshape(cards["NSBLK"], *shape).astype(float)
                parts.append(codes * row["DAT_SCL"].reshape(shape) + row["DAT_OFFS"].reshape(shape))
    data = np.concatenate(parts)
    return Scan(in_kelvin(data, truth), truth, np.arange(len(data)))


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    """The sample of FAST's spectral FITS."""
    truth, data, mjd = truth_of("SIMHI", tmp_path_factory.mktemp("hi")), [], []
    for path in sorted(SAMPLES.glob("SIMHI*.fits")):
        with fits.open(path) as file:
            file.verify("exception")
            table = file["SINGLE DISH"].data
            data.append(table["DATA"].astype(float).transpose(0, 2, 1))
            mjd.append(table["UTOBS"].copy())
    seconds = (np.concatenate(mjd) - 59001) * 86400 + 20  # from 23:59:40 of the day before
    rows = np.rint(seconds / 1.00663296).astype(int)
    assert abs(seconds - rows * 1.00663296).max() < 1e-6
    return Scan(in_kelvin(np.concatenate(data), truth), truth, rows)


def test_diode_step_of_the_pulsar_scan(pulsar: Scan) -> None:
    period = float(Fraction(pulsar.truth["components"]["pulsar"]["period_s"]))
    assert pulsar.on.sum() == 1024 and period == 0.0893
    profile = folded(pulsar)
    step = [np.nanmean(profile[kind][:, :, off_pulse(pulsar)], axis=2).mean(axis=1)
            for kind in (True, False)]
    found = step[0] - step[1]
    error = 34 / np.sqrt(pulsar.samples * 32 * 600)
    # A, B and CR take the diode's temperature, which is in phase in X and Y; CI takes nothing.
    np.testing.assert_allclose(found, pulsar.step_k * np.array([1, 1, 1, 0]), atol=SIGMAS * error)
    assert abs(step[1] - [20, 20, 0, 0]).max() < SIGMAS * error


def delays(scan: Scan, component: dict[str, Any]) -> np.ndarray:
    constant = float(Fraction(component["dispersion_constant_mhz2_cm3_s_pc"]))
    top = float(Fraction(component["reference_frequency_hz"])) / 1e6
    return constant * float(component["dm_pc_cm3"]) * (scan.mhz**-2 - top**-2)


N_BIN = 64


def folded(scan: Scan) -> dict[bool, np.ndarray]:
    """Mean K by diode, product, channel and bin of phase at the top of the band."""
    told = scan.truth["components"]["pulsar"]
    seconds = (scan.rows[:, None] + 0.5) * float(Fraction(scan.truth["integration_s"]))
    turns = (seconds - delays(scan, told) - float(told["time_s"])) / float(told["period_s"])
    bins = np.floor(turns % 1 * N_BIN).astype(int)
    out = {}
    for kind in (True, False):
        rows = scan.on == kind
        out[kind] = np.full((4, len(scan.mhz), N_BIN), np.nan)
        for chan in range(len(scan.mhz)):
            count = np.bincount(bins[rows, chan], minlength=N_BIN)
            for product in range(4):
                total = np.bincount(bins[rows, chan], scan.kelvin[rows, product, chan], N_BIN)
                np.divide(total, count, out=out[kind][product, chan], where=count > 0)
    return out


def off_pulse(scan: Scan) -> np.ndarray:
    middle = (np.arange(N_BIN) + 0.5) / N_BIN
    return (middle > 0.2) & (middle < 0.8)


def test_pulse_has_its_phase_and_polarisation(pulsar: Scan) -> None:
    told = pulsar.truth["components"]["pulsar"]
    profile = folded(pulsar)[False]
    profile = np.nanmean(profile - np.nanmean(profile[:, :, off_pulse(pulsar)], axis=2,
                                              keepdims=True), axis=1)
    aa, bb, cr, ci = profile
    intensity = aa + bb
    angle = 2 * np.pi * (np.arange(N_BIN) + 0.5) / N_BIN
    phase = np.angle((intensity * np.exp(1j * angle)).sum()) / (2 * np.pi)
    assert abs(phase) < 0.002
    stokes = np.array([intensity, aa - bb, 2 * cr, 2 * ci]).sum(axis=1) / N_BIN
    expected = np.array(told["peak_stokes_iquv_k"]) / 8 * told["mean_k"]
    # Not every bin of a channel was seen with the diode off, so the mean over channels differs.
    np.testing.assert_allclose(stokes, expected, atol=0.03)


@pytest.mark.parametrize("on", [False, True])
def test_scatter_is_that_of_the_radiometer(pulsar: Scan, line: Scan, on: bool) -> None:
    for scan, top in ((pulsar, 32), (line, 256)):
        rows = scan.kelvin[scan.on == on]
        if scan is pulsar:  # differences of neighbours in time, which leave the pulse out
            chan, rows = slice(2, 30), (rows[1:] - rows[:-1])[:, :, 2:30] / 2**0.5
            mean = scan.kelvin[scan.on == on][:, :, 2:30].mean(axis=0)
        else:
            chan, mean = slice(0, top), rows.mean(axis=0)
        variance = (rows**2).mean(axis=0) if scan is pulsar else rows.var(axis=0, ddof=1)
        aa, bb, cr, ci = mean
        expected = np.stack([aa**2, bb**2, (aa * bb + cr**2 - ci**2) / 2,
                             (aa * bb - cr**2 + ci**2) / 2]) / scan.samples
        found = (variance / expected).mean(axis=1)
        n = len(rows) * (chan.stop - chan.start)
        # The pulse's own noise and the steps of 8 bits add 2 % to the first.
        np.testing.assert_allclose(found, 1, atol=SIGMAS * np.sqrt(3 / n) + 0.02 * (top == 32))


def test_products_are_correlated_as_their_coherency_tells(line: Scan) -> None:
    rows = line.kelvin[line.on]
    x = (rows - rows.mean(axis=0)) * np.sqrt(line.samples * len(rows) / (len(rows) - 1))
    aa, bb, cr, ci = rows.mean(axis=0)
    size = np.sqrt(x[:, 0].size)
    for (one, two), expected in {(0, 1): cr**2 + ci**2, (0, 2): aa * cr, (0, 3): aa * ci,
                                 (1, 2): bb * cr, (2, 3): cr * ci}.items():
        found = (x[:, one] * x[:, two]).mean()
        assert abs(found - expected.mean()) < SIGMAS * 1.5 * (aa * aa).mean() / size


def test_source_and_diode_of_the_spectral_scan(line: Scan) -> None:
    assert line.rows.tolist() == [row for row in range(45) if row not in (10, 27, 28, 29)]
    assert line.on.tolist() == [row % 2 == 1 for row in line.rows]
    means = [line.kelvin[line.on == kind].mean(axis=(0, 2)) for kind in (True, False)]
    error = 35 / np.sqrt(line.samples * 256 * 20)
    np.testing.assert_allclose(means[0] - means[1], line.step_k * np.array([1, 1, 1, 0]),
                               atol=SIGMAS * 1.5 * error)
    away = line.kelvin[~line.on][:, :, abs(line.mhz - 1420.69) > 0.25].mean(axis=(0, 2))
    source = line.truth["components"]["source"]
    i, q, u, v = (float(source[f"{name}_k"]) for name in "iquv")
    np.testing.assert_allclose(away, [20 + (i + q) / 2, 20 + (i - q) / 2, u / 2, v / 2],
                               atol=SIGMAS * 1.5 * error)


def test_line_has_its_frequency_and_flux(line: Scan) -> None:
    told = line.truth["components"]["line"]
    off = line.kelvin[~line.on].mean(axis=0)
    center = float(Fraction(told["sky_frequency_hz"])) / 1e6
    assert abs(center - 1420.405751768 * (1 + 60 / 299792.458)) < 1e-9
    near = abs(line.mhz - center) < 0.25
    for product in (0, 1):
        profile = off[product] - off[product][~near].mean()
        width = float(Fraction(line.truth["channels"]["width_hz"]))
        error = 35 * np.sqrt(near.sum() / line.samples / 20) * width
        assert abs(profile[near].sum() * width - told["area_k_hz"]) < SIGMAS * error
        middle = (profile * line.mhz)[near].sum() / profile[near].sum()
        assert abs(middle - center) * 1e6 < SIGMAS * error / told["area_k_hz"] * 1.5e5
    assert abs(off[2:][:, near].mean(axis=1) - off[2:][:, ~near].mean(axis=1)).max() < 0.05


def test_samples_are_small() -> None:
    for name in ("SIMPSR", "SIMHI"):
        assert sum(path.stat().st_size for path in SAMPLES.glob(f"{name}*")) < 400_000


SMALL: dict[str, Any] = {"n_chan": 16, "bandwidth": "1.953125MHz", "fstart": "1400MHz",
                         "loss": LostSpectra("0.02", "40-60"), "name": "J0000+00", "beam": 7,
                         "diode": Diode("low", 2_000_000, 700_000, 2_100_000),
                         "pulsar": Pulsar("3ms", 5, peak="4K"),
                         "start_time": "2016-12-31T23:59:59.9"}


def digests(names: list[str]) -> list[str]:
    return [hashlib.sha256(Path(name).read_bytes()).hexdigest() for name in names]


@pytest.mark.parametrize("n_bits", [8, 16, 32])
def test_psrfits_are_read_back(tmp_path: Path, n_bits: int) -> None:
    made = FastSpectra(duration="20ms", **SMALL)
    names = write_psrfits(made, tmp_path, n_bits=n_bits, n_block=32, file_rows=5, workers=3)
    assert [Path(name).name for name in names] == [
        f"J0000+00_tracking-M07_{i:04d}.fits" for i in (1, 2, 3)]
    data, weight = made.generate(0, made.n_time)
    stream = fs.open(names).stream
    assert stream.shape == (407, 4, 16) and stream.header.channels == made.axis
    assert stream.header.sample_rate == made.header.sample_rate
    assert abs((stream.start_time - made.header.start_time).to_value("s")) < 1e-9
    assert (stream.header.source, stream.header.beam) == ("J0000+00", 7)
    found = stream.read_block(0, 407).data
    kept = weight[:, 0, 0] > 0
    step = 0 if n_bits == 32 else 1.01 * np.nanmax(data, (0, 2)) / (2**n_bits - 1)
    assert (abs(found - data)[kept].max((0, 2)) <= step + 1e-6).all()
    assert fits.getval(names[0], "CAL_FREQ") == 125
    assert fits.getval(names[0], "CAL_PHS") == 0.05
    assert fits.getval(names[0], "CAL_DCYC") == 0.35
    again = write_psrfits(made, tmp_path / "b.{file}.fits", n_bits=n_bits, n_block=32, file_rows=5)
    assert digests(names) == digests(again)


def test_spectral_files_are_read_back(tmp_path: Path) -> None:
    made = spectral("N", n_chan=24, duration="60s", fstart="1400MHz", integration="0.50331648s",
                    loss=LostSpectra("0.05", "0-1+30-33"), start_time="2020-05-31T23:59:40.25",
                    name="N2026", beam=19)
    names = write_spectral(made, tmp_path, mode="N", observing="MultiBeamOTF", file_rows=40,
                           workers=3)
    assert [Path(name).name for name in names] == [
        f"N2026_MultiBeamOTF-M19_N_{i:04d}.fits" for i in (1, 2, 3)]
    data, weight = made.generate(0, made.n_time)
    kept = np.flatnonzero(weight[:, 0, 0])
    tables = [fits.getdata(name, 1) for name in names]
    assert [len(table) for table in tables] == [40, 40, len(kept) - 80]
    np.testing.assert_array_equal(
        np.concatenate([table["DATA"] for table in tables]).transpose(0, 2, 1), data[kept])
    stream = fs.open(names).stream
    assert stream.shape[0] == kept[-1] - kept[0] + 1 and stream.header.beam == 19
    block = stream.read_block(0, stream.shape[0])
    np.testing.assert_array_equal(block.data, data[kept[0] : kept[-1] + 1])
    assert stream.header.channels == made.axis
    assert stream.header.sample_rate == made.header.sample_rate
    assert (stream.header.source, stream.header.telescope) == ("N2026", "FAST")
    again = write_spectral(made, tmp_path / "b.{file}.fits", observing="MultiBeamOTF",
                           file_rows=40)
    assert digests(names) == digests(again)


def test_stream_of_spectra(tmp_path: Path) -> None:
    made = FastSpectra(duration="20ms", **SMALL)
    chain = fs.Chain(SimulatedSpectra(made))
    data, weight = made.generate(0, made.n_time)
    chain.write(tmp_path / "a.h5")
    found = fs.open(tmp_path / "a.h5").read()
    np.testing.assert_array_equal(found.values, data)
    np.testing.assert_array_equal(np.broadcast_to(found.weight, data.shape),
                                  np.broadcast_to(weight, data.shape))
    mean = chain.integrate(n_int=4).read(0, 20)
    kept = weight[:80].reshape(20, 4).mean(axis=1)
    total = np.nansum(data[:80].reshape(20, 4, 4, 16), axis=1) / 4
    expected = total / np.maximum(kept, 0.25)[:, None, None]
    assert kept.min() == 0
    np.testing.assert_allclose(mean.values[kept > 0], expected[kept > 0], rtol=1e-6, atol=1e-5)
    np.testing.assert_array_equal(mean.weight[:, 0, 0], kept)


def test_all_or_none(tmp_path: Path) -> None:
    def fail(n: int) -> None:
        raise RuntimeError("stop")

    for made, write in ((FastSpectra(duration="20ms", **SMALL), write_psrfits),
                        (spectral(n_chan=8, duration="9s"), write_spectral)):
        with pytest.raises(RuntimeError, match="stop"):
            write(made, tmp_path, progress=fail)
        assert not list(tmp_path.iterdir())
    (tmp_path / "a.0002.fits").write_bytes(b"mine")
    with pytest.raises(OutputError, match="overwrite"):
        write_spectral(made, tmp_path / "a.{file}.fits", file_rows=5)
    assert [path.name for path in tmp_path.iterdir()] == ["a.0002.fits"]
    assert len(write_spectral(made, tmp_path / "a.{file}.fits", file_rows=5, overwrite=True)) == 2


def call(*words: str) -> None:
    """Run the command line in this process."""
    cli.main(["simulate", *words, "-q"], standalone_mode=False)


def test_truth_record_of_the_command_line(tmp_path: Path) -> None:
    out, truth = tmp_path / "a.fits", tmp_path / "truth.json"
    call("fast-spectral", "-o", str(out), "--n-chan", "8", "--duration", "5s", "--truth",
         str(truth), "--source", "i=3K", "--loss", "rows=2", "--seed", "9", "-j", "2")
    told = json.loads(truth.read_text())
    made = spectral("W", n_chan=8, duration="5s", seed=9,
                    source=Source("3K"), loss=LostSpectra(rows="2"))
    assert told == json.loads(json.dumps(made.truth))
    assert told["simulator"] == "fast-spectra" and told["components"]["loss"]["rows"] == [[2, 2]]
    assert len(fits.getdata(out, 1)) == 4
    with pytest.raises(OutputError, match="exists"):
        call("fast-spectral", "-o", str(tmp_path / "b.fits"), "--n-chan", "8", "--truth",
             str(truth))
    assert not (tmp_path / "b.fits").exists()


@pytest.mark.parametrize("words", [
    ["fast-psrfits", "--n-chan", "0"], ["fast-psrfits", "--n-chan", "1e9"],
    ["fast-psrfits", "--n-chan", "x"], ["fast-psrfits", "--integration", "0s"],
    ["fast-psrfits", "--integration", "50us"], ["fast-psrfits", "--bits", "4"],
    ["fast-psrfits", "--n-block", "0"], ["fast-psrfits", "--file-rows", "0"],
    ["fast-psrfits", "--duration", "1ns"], ["fast-psrfits", "--level", "-1"],
    ["fast-psrfits", "--duration", "inf s"], ["fast-psrfits", "--bandwidth", "1GHz"],
    ["fast-psrfits", "--loss", "packets=X:3"], ["fast-psrfits", "--loss", "rows=9-3"],
    ["fast-psrfits", "--loss", "fraction=1.5"], ["fast-psrfits", "--beam", "0"],
    ["fast-psrfits", "--name", "../x"], ["fast-psrfits", "--observing", "staring"],
    ["fast-psrfits", "--diode", "temperature=warm"], ["fast-psrfits", "--diode", "on=3,period=2"],
    ["fast-psrfits", "--seed", "-1"], ["fast-psrfits", "--start-time", "noon"],
    ["fast-psrfits", "--duration", "1e18s"],
    ["fast-spectral", "--n-chan", "1", "--duration", "1e8s"],
    ["fast-psrfits", "--file-rows", "1"],  # several files, one name
    ["fast-spectral", "--mode", "Q"], ["fast-spectral", "--n-chan", "70000"],
    ["fast-spectral", "--n-chan", "8", "--loss", "fraction=1"],
    ["fast-spectral", "--n-chan", "8", "--integration", "0.3s"],
    ["fast-spectral", "--n-chan", "8", "--file-rows", "3"],
    ["fast-spectral", "--n-chan", "8", "--fstart", "-1MHz"],
    ["fast-spectral", "--n-chan", "8", "--line", "peak=1K,fwhm=1kHz"],  # outside the band
])
def test_wrong_use(words: list[str], tmp_path: Path) -> None:
    with pytest.raises((UsageError, click.UsageError)):
        call(words[0], "-o", str(tmp_path / "a.fits"), *words[1:])
    assert not list(tmp_path.iterdir())


def test_truth_may_not_lie_in_the_way(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="could be a file of the recording"):
        call("fast-spectral", "-o", str(tmp_path), "--n-chan", "8", "--truth",
             str(tmp_path / "SIMULATED_tracking-M01_W_0001.fits"))
