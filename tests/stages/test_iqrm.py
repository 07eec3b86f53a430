"""IQRM as a stage: the channels that the package marks, segment by segment."""

from __future__ import annotations

from typing import Any

import iqrm
import numpy as np
import pytest
from excised import N_CHAN, chain, noise
from stage_checks import check_rows

import fastsig as fs
from fastsig.errors import UsageError

EXAMPLE: dict[str, Any] = {}


def contaminated(n: int = 300) -> np.ndarray:
    data = noise(n)
    data[::7, 40] += 60
    data[100:130, 90:92] += 40
    return data


@pytest.mark.parametrize("statistic", ["std", "modulation", "mean", "skewness", "kurtosis"])
def test_channels_are_those_of_the_package(statistic: str) -> None:
    data = contaminated().astype(np.float32)
    found = chain(data).iqrm(statistic=statistic, n_segment=100).read()
    for first in (0, 100, 200):
        x = data[first : first + 100].astype(float)
        apart = x - x.mean(axis=0)
        measured = {"mean": x.mean(axis=0), "std": x.std(axis=0),
                    "modulation": x.std(axis=0) / x.mean(axis=0),
                    "skewness": (apart**3).mean(axis=0) / x.std(axis=0) ** 3,
                    "kurtosis": (apart**4).mean(axis=0) / x.std(axis=0) ** 4 - 3}[statistic]
        marks, _ = iqrm.iqrm_mask(measured, N_CHAN // 10, 3.0)
        lost = found.weight[first : first + 100, 0] == 0
        np.testing.assert_array_equal(lost, np.broadcast_to(marks, lost.shape))
    if statistic == "std":
        assert (found.weight[:, 0, 40] == 0).all() and (found.weight[100:200, 0, 90:92] == 0).all()
        assert (found.weight[200:, 0, 90:92] == 1).all()


def test_products_and_protected_channels() -> None:
    data = np.stack([contaminated(), noise(300, 2)], axis=1)
    source = chain(data, ("AA", "BB"))
    both, each = source.iqrm(), source.iqrm(together=False)
    assert (both.read().weight[:, :, 40] == 0).all()
    assert (each.read().weight[:, 0, 40] == 0).all() and each.read().weight[:, 1, 40].all()
    kept = source.iqrm(protect="1158MHz-1162MHz").read()
    assert kept.weight[:, :, 40].all() and (kept.weight == 0).any()
    np.testing.assert_array_equal(np.isnan(kept.values), kept.weight == 0)
    check_rows(source.iqrm(n_segment=64, together=False).stream)


def test_products_of_two_polarisations() -> None:
    """They follow both; their mean is near 0, so that its ratio to the scatter has no meaning."""
    cross = np.random.default_rng(5).normal(size=(2, 300, N_CHAN)).astype(np.float32)
    data = np.stack([contaminated(), noise(300, 2), *cross], axis=1)
    source = chain(data, ("AA", "BB", "CR", "CI"))
    for kind in ("std", "modulation"):
        each = source.iqrm(statistic=kind, together=False).read().weight
        assert (each[:, [0, 2, 3], 40] == 0).all() and each[:, 1, 40].all()
    powers = chain(data[:, :2], ("AA", "BB")).iqrm(statistic="modulation").read().weight
    np.testing.assert_array_equal(
        source.iqrm(statistic="modulation").read().weight[:, :2], powers)
    with pytest.raises(UsageError, match="statistic = 'modulation' with the products Q; allowed"):
        chain(cross[0][:, np.newaxis], ("Q",)).iqrm(statistic="modulation")


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "statistic": ({"statistic": "median"}, "allowed: std, modulation, mean, skewness"),
    "threshold": ({"threshold": 0.0}, "threshold = 0.0; allowed: standard deviations above 0"),
    "radius": ({"radius": 1.5}, "radius = 1.5; allowed: a fraction"),
    "long radius": ({"radius": 500}, "or a number of channels, 1 to 128"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str) -> None:
    options, text = REFUSED[name]
    with pytest.raises(fs.UsageError, match=text):
        chain(noise(20)).iqrm(**options)


def test_few_channels() -> None:
    with pytest.raises(fs.PlanError, match="requires 16 or more channels; the spectra have 8"):
        chain(noise(20))[:, :8].iqrm()
    assert chain(noise(40)).iqrm(radius=5).stream.parameters()["radius_channels"] == 5
