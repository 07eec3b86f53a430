"""`make demo` by numbers: the burst, the carrier and the lost packets of the sample are found.

The truth is the simulator's record; what it is held against is the product that the demo leaves.
"""

from __future__ import annotations

import re
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli import ROOT, fastsig

import fastsig as fs
from fastsig.axes.time import elapsed, parse_time

SAMPLE = ROOT / "data" / "samples" / "frb_carrier_16MHz.h5"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's product and picture, made by the words of the Makefile."""
    folder = tmp_path_factory.mktemp("demo")
    recipe = re.search(r"^demo:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.M)
    assert recipe is not None
    calls = re.findall(r"\$\(BIN\)/fastsig (.*)", recipe.group(1))
    assert [call.split()[0] for call in calls] == ["info", "spectra", "view"]
    for call in calls:
        fastsig(*call.replace("$(SAMPLE)", str(SAMPLE)).split(), cwd=folder)
    assert (folder / "demo.png").stat().st_size > 50_000
    return folder / "demo.h5"


@pytest.fixture(scope="module")
def truth() -> dict[str, Any]:
    record: dict[str, Any] = fs.open(SAMPLE).stream.truth
    return record


def best_snr(series: np.ndarray) -> tuple[float, int]:
    """Highest signal to noise of a series over boxcars of 1 to 64 rows, and its row."""
    found = (0.0, 0)
    clean = series - np.nanmedian(series)
    clean[~np.isfinite(clean)] = 0
    for width in (1, 2, 3, 4, 6, 8, 16, 32, 64):
        smooth = np.convolve(clean, np.ones(width), "valid")
        low, middle, high = np.percentile(smooth, (16, 50, 84))
        snr = (smooth - middle) / ((high - low) / 2)
        if snr.max() > found[0]:
            found = (float(snr.max()), int(snr.argmax()) + width // 2)
    return found


def dedispersed(chain: fs.Chain, dm: float, reference_mhz: float, constant: float) -> np.ndarray:
    """Mean over channels, each moved by its delay to the nearest row."""
    data, frequency = chain.read(), chain.frequency.to_value("MHz")
    values = data.values[:, 0] / np.nanmedian(data.values[:, 0], axis=0)
    delay = constant * dm * (frequency**-2 - reference_mhz**-2)
    shift = np.round(delay * float(chain.header.sample_rate)).astype(int)
    moved = np.full_like(values, np.nan)
    for chan in range(1, len(frequency)):  # channel 0 is half a channel
        rows = values[shift[chan]:, chan]
        moved[: len(rows), chan] = rows
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # rows in which nothing is valid
        return np.nanmean(moved, axis=1)


def test_the_burst(demo: Path, truth: dict[str, Any]) -> None:
    burst = truth["components"]["burst"]
    dm, reference = float(burst["dm_pc_cm3"]), float(burst["reference_frequency_hz"]) / 1e6
    chain = fs.open(demo)
    constant = float(Fraction(burst["dispersion_constant_mhz2_cm3_s_pc"]))
    at_dm, row = best_snr(dedispersed(chain, dm, reference, constant))
    at_zero, _ = best_snr(dedispersed(chain, 0, reference, constant))
    assert at_dm > 3 * at_zero and at_dm > 20
    start = elapsed(fs.open(SAMPLE).start_time, chain.stream.time_of(row))
    hop = float(1 / chain.header.sample_rate)
    assert abs(float(start) + hop / 2 - float(burst["time_s"])) < 0.5e-3  # its width


def test_the_carrier(demo: Path, truth: dict[str, Any]) -> None:
    (carrier,) = truth["components"]["carriers"]
    chain = fs.open(demo)
    data, frequency = chain.read(), chain.frequency.to_value("Hz")
    power = data.values[:, 0] / np.nanmedian(data.values[:, 0], axis=0)
    seconds = np.arange(len(power)) / float(chain.header.sample_rate)
    kept = np.flatnonzero(data.weight[:, 0, 0] > 0)
    path = frequency[np.nanargmax(power[kept], axis=1)]
    # the burst crosses the carrier: fit again without what lies off the line
    line = np.polyfit(seconds[kept], path, 1)
    for reach in (2e6, 3e5, 2e5):
        near = np.abs(path - np.polyval(line, seconds[kept])) < reach
        line = np.polyfit(seconds[kept][near], path[near], 1)
    assert near.mean() > 0.8
    assert line[0] == pytest.approx(float(carrier["drift_hz_s"]), rel=0.05)


def test_weights_are_below_one_exactly_where_packets_were_lost(demo: Path) -> None:
    chain, source = fs.open(demo), fs.open(SAMPLE).stream
    hop, n_tap = 512, 8
    n_int = chain.header.n_sum
    weight = chain.read().weight[:, 0, 0]
    spans = [source.read_block(0, source.shape[0]).valid[pol] for pol in (0, 1)]
    touched = np.zeros(source.shape[0] + 1, np.int64)
    for pol in spans:
        edges = np.concatenate([[0], pol.ravel(), [source.shape[0]]]).reshape(-1, 2)
        for first, last in edges:  # what lies between the valid spans
            touched[first] += 1
            touched[last] -= 1
    lost = np.cumsum(np.cumsum(touched[:-1]) > 0)
    lost = np.concatenate([[0], lost])
    frames = source.shape[0] // hop - n_tap + 1
    starts = np.arange(frames) * hop
    hit = lost[starts + n_tap * hop] > lost[starts]
    rows = np.add.reduceat(hit, np.arange(0, frames, n_int)) > 0
    if frames % n_int:
        rows[-1] = True  # a partial integration
    np.testing.assert_array_equal(weight < 1, rows)
    assert 0.02 < rows.mean() < 1 and (weight == 0).any()
    assert parse_time("2026-01-01") == fs.open(SAMPLE).start_time
