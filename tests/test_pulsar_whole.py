"""Pulsars from simulated recordings to widths, polarisation and times of arrival, by the commands.

`python -m bench toas` does the same for an hour, an orbit and PINT.
"""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli import fastsig
from fastsig_kernels.filters import prototype, response

import fastsig as fs
from fastsig.pulsar.profiles import Profiles
from fastsig.simulate.polycos import Block, polyco_blocks

PERIOD_MS, DM, LOW, N_CHAN = 1.5, 300, 1400, 16
K_MS = 1e3 / 2.41e-4
PULSAR = (f"period=1.5ms,dm={DM},duty=0.1,time=0.4ms,peak=10K,linear=0.5,circular=0.2,angle=30deg,"
          "rm=100")
FOLD = ("--period", "1.5ms", "--dm", str(DM), "--subint", "1s", "-q")


def voltages(path: Path, *options: str) -> Path:
    fastsig("simulate", "fast-voltage", "-o", path, "--duration", "80ms", "--fstart", f"{LOW}MHz",
            "--bandwidth", "8MHz", "--bandpass", "flat", "--pulsar", PULSAR, *options)
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return voltages(tmp_path_factory.mktemp("pulsar") / "whole.h5")


@pytest.fixture(scope="module")
def archive(whole: Path) -> Path:
    return coherent(whole)


def coherent(scan: Path) -> Path:
    """The archive of 16 channels."""
    path = scan.with_suffix(".ar")
    fastsig("fold", scan, "-o", path, *FOLD, "--coherent", str(N_CHAN), "--n-bin", "64")
    return path


def measured(archive: Path) -> dict[str, Any]:
    done = fastsig("measure", archive, "-o", archive.with_suffix(".ecsv"), "--json")
    found = json.loads(done.stdout)
    assert found["units"]["w50"] == "ms" and found["units"]["period"] == "s"
    row: dict[str, Any] = found["rows"][0]
    return row


def gaussian(turns: np.ndarray) -> np.ndarray:
    return np.exp(-4 * np.log(2) * (turns / 0.1) ** 2)


def width(shape: np.ndarray) -> float:
    """Full width at half maximum of a turn, ms."""
    high = np.flatnonzero(shape > (shape.max() + shape.min()) / 2)
    return PERIOD_MS * float(high[-1] - high[0] + 1) / shape.size


def smeared() -> np.ndarray:
    """The pulse in a channel at the centre of the band, by the response of the filter bank."""
    turns = np.arange(4096) / 4096 - 0.5
    mhz = (np.arange(401) - 200) / 200 * 8 / N_CHAN  # twice the width of a channel
    power = np.abs(response(prototype(2 * N_CHAN, 8), mhz / (8 / N_CHAN))) ** 2
    late = -2 * K_MS * DM / (LOW + 4.0) ** 3 * mhz / PERIOD_MS
    place = (turns[:, np.newaxis] - late + 0.5) % 1 - 0.5
    return np.asarray((gaussian(place) * power).sum(axis=1))


def test_widths_and_polarisation_of_coherent_and_incoherent_folds(whole: Path, archive: Path
                                                                  ) -> None:
    """0.15 ms, and 0.4 ms if dispersion within the channels remains."""
    row = measured(archive)
    for name, true in (("w50", 0.15), ("linear", 0.5), ("circular", 0.2), ("rm", 100)):
        assert abs(row[name] - true) < 3 * row[f"{name}_error"], name
    spectra = whole.with_name("spectra.h5")
    fastsig("spectra", whole, "-o", spectra, "--n-chan", str(N_CHAN), "--products", "AABBCRCI",
            "--integrate", "16us", "-q")
    fastsig("fold", spectra, "-o", whole.with_name("b.ar"), *FOLD, "--n-bin", "64")
    broad = measured(whole.with_name("b.ar"))
    theory = width(smeared())
    assert theory > 0.35 and abs(broad["w50"] - theory) < 3 * broad["w50_error"]
    for name in ("linear", "circular"):
        assert abs(broad[name] - row[name]) < 3 * np.hypot(
            broad[f"{name}_error"], row[f"{name}_error"])


def angles(found: Profiles) -> tuple[np.ndarray, np.ndarray]:
    """Position angles of the channels, deg, and their errors."""
    data = found.mean("time").stokes("IQUV").data[0]
    shape = data[0].mean(axis=0)
    on = shape > (shape.max() + shape.min()) / 2
    level = np.median(data, axis=-1, keepdims=True)
    _, q, u, _ = (data - level)[..., on].mean(axis=-1)
    off = data[1][:, shape < np.median(shape)].std() / np.sqrt(on.sum())
    return np.degrees(np.angle(q + 1j * u)) / 2, np.degrees(off / np.hypot(q, u)) / 2


def test_position_angles_follow_the_rotation_measure(archive: Path) -> None:
    """It is 30 degrees at the top of the band."""
    found = fs.open_profiles(archive)
    pa, error = angles(found)
    lambda_sq = (299.792458 / found.frequency.value) ** 2
    true = 30 + np.degrees(100 * (lambda_sq - (299.792458 / (LOW + 8)) ** 2))
    off = (pa - true + 90) % 180 - 90
    assert abs(np.average(off)) < 3 * error.mean() / np.sqrt(off.size)


def pulse_and_level(found: Profiles) -> tuple[float, float, float]:
    """Mean of the on-pulse bins above the others in total intensity, its error, and the others."""
    mean = found.mean("time", "frequency")
    shape = (mean if found.names == ("I",) else mean.stokes("I")).data[0, 0, 0]
    turns = (found.phase - found.phase[shape.argmax()] + 0.5) % 1 - 0.5
    on, off = np.abs(turns) < 0.05, np.abs(turns) > 0.2
    level, scatter = float(shape[off].mean()), float(shape[off].std())
    return (float(shape[on].mean()) - level, scatter * float(np.sqrt(1 / on.sum() + 1 / off.sum())),
            level)


def test_lost_packets_change_weights_and_not_the_profile(archive: Path, tmp_path: Path) -> None:
    """Each polarisation loses 2 to 3 %; with zeros in their place, the pulse would be lower."""
    lost = voltages(tmp_path / "lost.h5", "--loss", "fraction=0.03")
    found, full = fs.open_profiles(coherent(lost)), fs.open_profiles(archive)
    data = fs.open(lost).read()
    kept = np.array([np.diff(spans).sum() / len(data.values) for spans in data.valid])
    assert kept.shape == (2,) and (kept < 0.985).all()
    # CR and CI need both polarisations; the archive has the mean of the four products.
    fraction = 1 - (kept.sum() + 2 * kept.prod()) / 4
    # A pulse that was partly lost counts less or not at all: its delay within a channel is 0.45 ms.
    gap_ms, delay_ms = 1e3 * 4096 / 16e6, 2 * K_MS * DM / LOW**3 * 8 / N_CHAN
    left = found.weights.sum() / full.weights.sum()
    assert 1 - fraction * (1 + delay_ms / gap_ms) < left < 1 - fraction
    (pulse, error, level), (true, _, true_level) = map(pulse_and_level, (found, full))
    # Both have the same noise, apart from what was lost.
    assert abs(pulse - true) < 3 * error * np.sqrt(1 - kept.min()) < 0.02 * true
    assert level == pytest.approx(true_level, rel=1e-3)


def test_flagged_channels_change_weights_and_not_the_profile(tmp_path: Path) -> None:
    """Interference in 4 of 64 channels for 0.3 s of 1 s, 50 times the system temperature."""
    found = []
    for name, options in (("clean", ()), ("dirty", (
            "--rfi", "start=0.2s,duration=0.3s,low=1440MHz,high=1446.25MHz,temperature=1000K"))):
        path = tmp_path / f"{name}.fits"
        fastsig("simulate", "fast-psrfits", "-o", path, "--duration", "1s", "--integration",
                "96us", "--n-chan", "64", "--fstart", "1400MHz", "--bandwidth", "100MHz",
                "--bandpass", "flat", "--bits", "16", "--n-block", "512", "--pulsar",
                "period=20ms,dm=30,duty=0.05,time=5ms,peak=0.5K", *options)
        fastsig("fold", path, "-o", path.with_suffix(".ar"), "--period", "20ms", "--dm", "30",
                "--n-bin", "64", "--subint", "1s", "--products", "I", "--flag", "-q")
        found.append(fs.open_profiles(path.with_suffix(".ar")))
    clean, dirty = found
    share = dirty.weights.sum(axis=(0, 1, 3)) / clean.weights.sum(axis=(0, 1, 3))
    hit = (np.arange(64) >= 25) & (np.arange(64) <= 29)  # the last one partly
    assert (np.abs(share[hit] - 0.67) < 0.04).all() and (np.abs(share[~hit] - 1) < 0.01).all()
    (pulse, error, level), (true, _, true_level) = map(pulse_and_level, (dirty, clean))
    assert true > 40 * error and abs(pulse - true) < 3 * error * np.sqrt(1 - share.mean())
    assert level == pytest.approx(true_level, rel=1e-3)


POLYCO = """\
J1234+0500  1-Jan-26    2230.00   61041.01562500000             3.000000 -0.991 -7.223
       877780.764385  650.123456789000    k   45    3  1500.000 0.2922   2.5000
 -5.55107312246718717e-07  6.09399075995788930e+00  4.47021961880203697e-02
"""


def late(block: Block, line: str, dm: Fraction) -> tuple[float, float]:
    """How much later than the pulse of the polyco a time of arrival is, and its error, us."""
    words = line.split()
    delay_s = dm / Fraction("2.41e-4") * (1 / Fraction(words[1]) ** 2 - 1 / Fraction(1500) ** 2)
    minutes = (Fraction(words[2]) - block.middle) * 1440 - delay_s / 60
    turns = block.phase + 60 * minutes * block.hertz + sum(
        each * minutes**k for k, each in enumerate(block.coefficients))
    return float(turns - round(turns)) / 650e-6, float(words[3])


def test_times_of_arrival_are_those_of_the_polyco(tmp_path: Path) -> None:
    """A millisecond pulsar; the template is that of another recording, with other noise."""
    polyco = tmp_path / "a.polyco"
    polyco.write_text(POLYCO)
    for seed, name, peak in (("1", "a", "2K"), ("2", "standard", "40K")):
        path = tmp_path / f"{name}.fits"
        fastsig("simulate", "fast-psrfits", "-o", path, "--duration", "2s", "--integration", "96us",
                "--n-chan", "4", "--fstart", "1400MHz", "--bandwidth", "100MHz", "--bandpass",
                "flat", "--start-time", "2026-01-01T00:30:00", "--seed", seed, "--pulsar",
                f"polyco={polyco},duty=0.1,peak={peak}")
        fastsig("fold", path, "-o", path.with_suffix(".ar"), "--polyco", polyco, "--n-bin", "64",
                "--subint", "0.1s", "-q")
    fastsig("toas", tmp_path / "a.ar", "-o", tmp_path / "a.tim", "--n-chan", "4", "--template",
            tmp_path / "standard.ar")
    (block,), dm = polyco_blocks(str(polyco))
    lines = (tmp_path / "a.tim").read_text().splitlines()[1:]
    off, error = np.array([late(block, line, dm) for line in lines]).T
    assert off.size == 80 and np.median(error) < 8
    assert abs(np.average(off, weights=error**-2)) < 3 * np.sum(error**-2) ** -0.5
    assert abs(np.mean((off / error) ** 2) - 1) < 3 * np.sqrt(2 / 80)
