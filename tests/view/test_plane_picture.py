"""The picture of a DM-time plane: its S/N against dispersion measure and its bow tie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from dispersed import chain, values

import fastsig as fs
from fastsig.view.boxcars import best_boxcars, boxcar_snr


def burst(width: int = 5, lost: float = 0.0) -> Any:
    """Planes of noise of 1 in each channel, with a pulse at row 150 and DM 8."""
    data = values(4000, lost=lost)  # enough that the noise is known to 3 %
    shift: np.ndarray = chain(data).dedisperse(8).stream.shift  # type: ignore[attr-defined]
    data[(150 + shift)[:, np.newaxis] + np.arange(width), :, np.arange(24)[:, np.newaxis]] += 4
    return chain(data).planes("0:150:0.75")


@pytest.mark.parametrize("lost", [0, 0.2])
def test_the_highest_snr_and_its_place_are_stated(lost: float) -> None:
    figure = burst(lost=lost).plot(product="BB")
    whole, by_dm, part, series, _ = figure.axes
    curve, peak = by_dm.lines
    (snr,), (dm,) = peak.get_data()
    assert dm == pytest.approx(8, abs=1)  # over which the pulse is 3 samples wider
    assert snr == pytest.approx(4 * np.sqrt(5 * 24 * (1 - lost)), rel=0.2)
    assert len(curve.get_xdata()) == 201 and max(curve.get_xdata()) == snr
    assert "ms wide" in by_dm.get_title(loc="left")
    at = float(by_dm.get_title(loc="left").split("\n")[1].split(" s")[0])
    assert at == pytest.approx(0.1525, abs=3e-3)  # later at higher measures
    assert whole.images[0].get_array().max() == pytest.approx(snr)
    assert max(series.lines[0].get_ydata()) == pytest.approx(snr)
    low, high = part.get_ylim()
    assert low < dm < high < 149 and part.images[0].get_array().shape[1] < 400


def test_planes_in_pages_and_what_is_refused(tmp_path: Any) -> None:
    burst().plot(tmp_path / "a.html")
    assert b"<img" in (tmp_path / "a.html").read_bytes()
    for options, message in (({"what": "power"}, "panels and colours of its own"),
                             ({"vmin": 2}, "allowed: product"), ({"product": "Q"}, "AA, BB")):
        with pytest.raises(fs.UsageError, match=message):
            burst().plot(**options)


def test_snr_of_boxcars() -> None:
    rng = np.random.default_rng(6)
    series = rng.normal(7, 3, 20_000).astype(np.float32)
    series[5000:5009] += 12
    weight = np.ones(20_000, np.float32)
    found = best_boxcars(series, weight)
    assert (found.width, found.start) in ((9, 5000), (10, 4999), (10, 5000))
    assert found.snr == pytest.approx(12 / 3 * 3, rel=0.15)
    assert boxcar_snr(series, weight, 9)[5000] == pytest.approx(12, rel=0.15)
    weight[5003:5006], series[5003:5006] = 0, np.nan
    assert best_boxcars(series, weight).snr == pytest.approx(12 / 3 * np.sqrt(6), rel=0.2)
    for empty in (np.full(100, np.nan, np.float32), np.full(100, 5, np.float32)):
        assert best_boxcars(empty, weight[:100]).snr == 0
        assert not boxcar_snr(empty, weight[:100], 3).any()
