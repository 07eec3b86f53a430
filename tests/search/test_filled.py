"""Spectra that were filled with a constant count as lost in searches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from search.spectra_made import SAMPLE_S, chain, noise, with_bursts

import fastsig as fs
from fastsig.reductions.bursts.sink import Bursts
from fastsig.run.engine import run
from fastsig.search.bursts.plan import search_plan
from fastsig.search.filled import Filled
from fastsig.simulate.injections import Injection

DMS, WIDTHS = (0, 200), "1ms:30ms"
BURSTS = [Injection(3.0, 60.0, 8e-3, 20.0), Injection(9.0, 120.0, 4e-3, 15.0)]


def scene() -> np.ndarray:
    return np.clip(np.rint(with_bursts(noise(15000), BURSTS)), 0, 255).astype(np.float32)


def written(data: np.ndarray, path: Path) -> fs.Chain:
    chain(data).write(path, bits=8, lossy=True)
    return fs.open(path)


@pytest.mark.parametrize("fill", ["mean", "zero", "repeat"])
def test_rows_of_a_file_that_were_filled_are_not_data(fill: str, tmp_path: Path) -> None:
    data = scene()
    first, stop = 5000, 8000
    data[first:stop] = {"mean": np.rint(data.mean(axis=0)), "zero": 0.0,
                        "repeat": data[first - 1]}[fill]
    source = written(data, tmp_path / "filled.fits")
    events, = run([Bursts(source.stream, search_plan(source, DMS, widths=WIDTHS))])
    assert events.live_share == pytest.approx(1 - (stop - first) / len(data), abs=2e-3)
    assert events.valid_share == pytest.approx(1, abs=2e-3)
    found = source.bursts(DMS, width=WIDTHS)
    assert [abs(found.values("dm") - each.dm).min() < 5 for each in BURSTS] == [True, True]
    # A burst on the boundary has the S/N and the share of what is left of it.
    lost = data.copy()
    lost[first + (fill == "mean"):stop] = np.nan
    same = chain(lost).bursts(DMS, width=WIDTHS)
    np.testing.assert_allclose(found.values("snr"), same.values("snr"), rtol=0.02)


def test_a_burst_in_front_of_filled_spectra_has_the_snr_of_what_is_left() -> None:
    data = scene()
    first = int(BURSTS[1].time_s / SAMPLE_S) + 40  # in the middle of its track
    data[first : first + 2000] = 100
    lost = data.copy()
    lost[first : first + 2000] = np.nan
    filled, same = (chain(each).bursts(DMS, width=WIDTHS) for each in (data, lost))
    assert len(filled) == len(same) >= 2
    np.testing.assert_array_equal(filled.values("snr"), same.values("snr"))
    assert filled.values("valid_share").min() < 0.8
    np.testing.assert_array_equal(filled.values("valid_share"), same.values("valid_share"))


def test_filled_spectra_are_found_however_a_stream_is_divided() -> None:
    rng = np.random.default_rng(1)
    x = rng.integers(0, 4, (200, 96)).astype(np.uint8)  # as of two bits
    x[20] = 3
    x[50:60] = x[49]
    x[120:125] = rng.integers(0, 4, 96)
    x[130:140, 10:] = x[129, 10:]  # not in all channels
    expected = np.zeros(200, bool)
    expected[[20, *range(50, 60), *range(121, 125)]] = True
    np.testing.assert_array_equal(Filled().rows(x), expected)
    for step in (1, 7, 55):
        one = Filled()
        parts = [one.rows(x[start : start + step]) for start in range(0, 200, step)]
        np.testing.assert_array_equal(np.concatenate(parts), expected)
    floats = x.astype(np.float32)
    floats[:, 5] = np.nan
    assert Filled().rows(floats)[50:60].all()


def test_few_channels_may_repeat_by_chance() -> None:
    assert not Filled().rows(np.zeros((100, 16), np.uint8)).any()
