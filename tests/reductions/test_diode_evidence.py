"""What switches in a scan and is no noise diode is refused, unless the user says when one is on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli import fastsig
from diode_scans import Made, spectra
from recordings import recorded

from fastsig import simulate
from fastsig.axes.diode_schedule import DiodeSchedule
from fastsig.errors import DataError, DoubtWarning
from fastsig.reductions.diode.calibration import solve

FEW = slice(40, 60)
NOT_SEEN = "ignore:.*channels, where the noise diode is not seen"
NO_DIODE = "no noise diode is evident"


def square(n: int, period: int, on: int, first: int = 0) -> np.ndarray:
    return ((np.arange(n) - first) % period < on).astype(float)


def in_few_channels(values: np.ndarray) -> None:
    values[:, :2, FEW] *= (1 + 0.5 * square(len(values), 12, 5))[:, np.newaxis, np.newaxis]


def falling_in_many(values: np.ndarray) -> None:
    lit = square(len(values), 12, 5)[:, np.newaxis, np.newaxis]
    values[:, :2] *= 1 + lit
    values[:, :2, :28] *= (1 - 0.1 * lit) / (1 + lit)


def noisy(values: np.ndarray) -> None:
    values[:, :2] *= 1 + 0.5 * square(len(values), 12, 5)[:, np.newaxis, np.newaxis]
    mean = values[:, :2].mean(axis=0)
    values[:, :2] = mean + 5 * (values[:, :2] - mean)


@pytest.mark.filterwarnings(NOT_SEEN)
@pytest.mark.parametrize("change, text", [
    (in_few_channels, r"seen in (1\d|2\d) of 64 channels"),
    (falling_in_many, r"negative in 2\d of 64 channels"),
    (noisy, r"the noise is \d+(\.\d+)? times that of the radiometer equation"),
])
def test_what_is_no_diode_is_refused(change: Any, text: str) -> None:
    made = Made(spectra(diode=None, n_chan=64), change=change)
    with pytest.raises(DataError, match=f"{NO_DIODE}.*{text}.*specify when it is on by diode="):
        solve(made, "12.5K")
    with pytest.warns(DoubtWarning, match=f"is doubtful: .*{text}"):
        solve(made, "12.5K", diode="period=6s,on=2.5s,first=0s")


def test_one_cycle_is_refused_unless_it_is_specified() -> None:
    made = Made(spectra(duration="400s", integration="1.00663296s", bandwidth="31.25MHz",
                        diode=simulate.Diode("12.5K", period=300 * 251658240, on=2 * 251658240,
                                             first=100 * 251658240)))
    with pytest.raises(DataError, match=f"{NO_DIODE}.*only 1 of its cycles can be used"):
        solve(made, "12.5K")
    with pytest.warns(DoubtWarning, match="only 1 of its cycles can be used"):
        found = solve(made, "12.5K", diode="mode=otf,first=100.663296s")
    assert abs(found.tsys[0] - 20) < 0.5


@pytest.mark.parametrize("late, width", [(0, 2.0), (0, 6.0), (4, 2.0), (20, 2.0)])
def test_a_pulsar_is_no_diode(late: int, width: float) -> None:
    """Of any pulse, dispersed by rows over the band or not."""
    def pulses(values: np.ndarray) -> None:
        rows, n_chan = np.arange(len(values))[:, np.newaxis], values.shape[2]
        turn = (rows - late * (1 - np.arange(n_chan) / n_chan)) % 50.3
        values[:, :2] *= (1 + 0.3 * np.exp(-0.5 * ((turn - 20) / width)**2))[:, np.newaxis]

    made = Made(spectra(duration="1000s", diode=None, n_chan=32), change=pulses)
    with pytest.raises(DataError, match=f"{NO_DIODE}.*rises and falls gradually"):
        solve(made, "12.5K")


@pytest.mark.filterwarnings(NOT_SEEN)
def test_a_weak_diode_of_no_known_pattern_is_found() -> None:
    """Not in a header; channel by channel it is seen where noise adds to it, with a bias."""
    made = Made(spectra(duration="400s", n_chan=64, bandwidth="0.192MHz", diode=simulate.Diode(
        "0.12K", period=3 * 10**9, on=10**9)), slice(0, 2))
    found = solve(made, "0.12K")
    assert found.tsys[0] == pytest.approx(20, abs=2)
    with pytest.raises(DataError, match=r"seen in \d+ of 64 channels; specify a larger smooth="):
        solve(made, "0.12K", smooth="0Hz")
    assert found.cycle.mode is None and float(found.cycle.period) == pytest.approx(12, abs=0.05)


@pytest.mark.filterwarnings(NOT_SEEN)
def test_a_schedule_of_the_header_counts_as_specified() -> None:
    right = DiodeSchedule(1500 * 10**6, 625 * 10**6)
    made = Made(spectra(diode=None), change=in_few_channels, diode=right)
    with pytest.warns(DoubtWarning, match="is doubtful: it is seen in"):
        solve(made, "12.5K")


@pytest.mark.recorded
@pytest.mark.parametrize("name", [
    "your/28.fil", "your/28.fits", "sigpyproc/tutorial.fil", "sigpyproc/parkes_8bit_1.fil",
    "sigpyproc/parkes_1bit.fil"])
def test_recorded_files_without_a_diode(name: str, tmp_path: Path) -> None:
    done = fastsig("calibrate", recorded(name), "-o", tmp_path / "no.h5", "--tcal", "1.1K", code=3)
    assert NO_DIODE in done.stderr and not list(tmp_path.iterdir())
