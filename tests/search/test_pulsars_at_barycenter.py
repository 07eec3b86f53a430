"""Search for pulsars at the solar system's barycentre: periods, epoch, folding, files."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.time import Time
from cli import fastsig
from search.spectra_made import MHZ, K, chain, noise
from streams import MemorySpectra

import fastsig as fs
from fastsig import telescopes
from fastsig.errors import PlanError, UsageError
from fastsig.reductions.periodic.folding import fold_candidates
from fastsig.stages.to_barycenter import BarycentricRows, clock_of
from fastsig.telescopes.barycentric_clock import BarycentricClock

N, RATE, FREQUENCY, DM = 2**17, Fraction(50), 5.3, 40.0
RA, DEC = 251.0, -22.5  # towards which the Earth moves: over the data, clocks differ by 13 samples
OPTIONS: dict[str, Any] = {"period": None, "harmonics": 2}


def _clock() -> BarycentricClock:
    return BarycentricClock((RA, DEC), telescopes.get("FAST").location)


@pytest.fixture(scope="module")
def spectra() -> fs.Chain:
    """Noise, and a sine of constant frequency at the barycentre, at the DM given, over 44 min."""
    data = noise(N)
    head = chain(data[:1]).stream.header.replace(
        sample_rate=RATE, telescope="FAST", ra_deg=RA, dec_deg=DEC)
    t = (np.arange(N) + 0.5) / float(RATE)
    ahead = _clock().ahead(head.start_time, t) - _clock().ahead(head.start_time, np.zeros(1))
    late = K * DM * (MHZ**-2 - MHZ.max() ** -2)
    # Nearest samples move the frequency by 3e-6 Hz, so the signal is not so strong that it shows.
    data += 0.3 * np.sin(2 * np.pi * FREQUENCY * ((t + ahead)[:, np.newaxis] - late)).astype("f4")
    return fs.Chain(MemorySpectra(data[:, np.newaxis], replace(head)))


def test_frequencies_and_the_epoch_are_those_at_the_barycentre(spectra: fs.Chain) -> None:
    here, there = (spectra.pulsars("38:42", barycenter=each, ephemeris="erfa" if each else None,
                                   **OPTIONS) for each in (False, True))
    start = spectra.header.start_time
    drift = np.diff(_clock().ahead(start, np.array([0.0, 1.0])))[0]
    for made, frequency in ((here, FREQUENCY * (1 + drift)), (there, FREQUENCY)):
        off = made.values("frequency")[0] - frequency
        assert abs(off) < 4 * made.values("frequency_error")[0] < abs(FREQUENCY * drift) / 2
    # Steps of half a bin take up to 10 % of the S/N, depending on the frequency.
    assert there.values("snr")[0] == pytest.approx(here.values("snr")[0], rel=0.1)
    assert (here.meta["frame"], there.meta["frame"]) == ("topocentric", "barycentric")
    assert "barycenter" not in here.meta
    assert there.meta["barycenter"]["ephemeris"] == "ERFA epv00"
    day, seconds = _clock().start(start)
    tdb = Time(day, float(seconds / 86400), format="mjd", scale="tdb", precision=9)
    assert there.meta["start_time"] == tdb.isot
    assert here["epoch"].scale == "utc" and there["epoch"].scale == "tdb"
    assert abs(there["epoch"][0] - tdb).sec < 1e-9


def test_folded_values_are_those_at_the_barycentre(spectra: fs.Chain) -> None:
    found = spectra.pulsars("38:42", barycenter=True, ephemeris="erfa", **OPTIONS)
    made, _ = fold_candidates(spectra, found[:1], 1, clock=_clock())
    off = made.values("fold_period")[0] - 1 / FREQUENCY
    assert abs(off) < 4 * made.values("fold_period_error")[0] < 2e-5 / FREQUENCY
    assert abs(made.values("fold_pdot")[0]) < 4 * made.values("fold_pdot_error")[0]


def test_epochs_of_files_at_the_barycentre_are_tdb(spectra: fs.Chain) -> None:
    """The search makes no correction, and folding refers to the times that the file states."""
    stream = spectra.stream
    moved = fs.Chain(MemorySpectra(stream.spectra, stream.header.replace(
        extra={"barycentric": 1})))
    plain, made = (each.pulsars("40:40.1", **OPTIONS) for each in (spectra, moved))
    assert made.meta["frame"] == "barycentric" and made["epoch"].scale == "tdb"
    assert made["epoch"][0].isot == plain["epoch"][0].isot == made.meta["start_time"]
    one, two = (fold_candidates(chain, table[:1], 1)[0]
                for chain, table in ((spectra, plain), (moved, made)))
    for name in ("fold_period", "fold_snr"):
        assert one.values(name)[0] == pytest.approx(two.values(name)[0], rel=1e-12)


def test_runs_are_the_rows(spectra: fs.Chain) -> None:
    rows = BarycentricRows(clock_of(spectra.stream, ephemeris="erfa"), spectra.header.start_time,
                           RATE, 2**21)
    made = np.concatenate([np.arange(there, there + n) for _, there, n in rows.runs()])
    np.testing.assert_array_equal(made, rows(0, rows.n_row))
    assert [first for first, *_ in rows.runs()] == np.cumsum(
        [0] + [n for *_, n in rows.runs()]).tolist()[:-1]


def test_the_command_and_series_at_the_barycentre(spectra: fs.Chain, tmp_path: Path) -> None:
    path, series = tmp_path / "a.fil", tmp_path / "a.dat"
    spectra.write(path, bits=32, lossy=True)
    options = ["--dm", "40:40.1", "--period", "none", "--harmonics", "2", "-q", "--barycenter",
               "--ephemeris", "erfa"]
    fastsig("search", "pulsars", path, "-o", tmp_path / "a.ecsv", *options, "--fold", "1")
    of_spectra = fs.read_pulsars(tmp_path / "a.ecsv")
    fastsig("dedisperse", path, "-o", series, "--dm", "40", "--lossy", "-q")
    fastsig("search", "pulsars", series, "-o", tmp_path / "b.ecsv", *options)
    of_series = fs.read_pulsars(tmp_path / "b.ecsv")
    for made in (of_spectra, of_series):
        off = made.values("frequency")[0] - FREQUENCY
        assert abs(off) < 4 * made.values("frequency_error")[0]
        assert made.meta["frame"] == "barycentric"
        assert made.meta["start_time"] == of_spectra.meta["start_time"]
        assert made["epoch"].scale == "tdb"  # as in the file
        assert abs(made["epoch"][0] - of_spectra["epoch"][0]).sec < 1e-9
    assert np.isfinite(of_spectra.values("fold_period")[0])


def test_what_is_not_known_is_refused(spectra: fs.Chain, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the telescope is not known"):
        fs.Chain(MemorySpectra(np.zeros((99, 1, 64), np.float32), spectra.header.replace(
            telescope=None))).pulsars("0:1", barycenter=True)
    with pytest.raises(UsageError, match="ephemeris= without barycenter="):
        spectra.pulsars("0:1", ephemeris="erfa")
    with pytest.raises(PlanError, match="its times are barycentric already"):
        spectra.dedisperse(DM, last="drop").to_series().to_barycenter(ephemeris="erfa").pulsars(
            barycenter=True)
