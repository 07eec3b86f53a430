"""The lines beside a waterfall hold every channel and every row."""

from __future__ import annotations

import numpy as np
import pytest
from streams import MemorySpectra, header

from fastsig.axes.polarization import PolBasis
from fastsig.run import fitting
from fastsig.run.engine import run
from fastsig.view import marginals
from fastsig.view.marginals import Marginals, Means


def spectra(values: np.ndarray) -> MemorySpectra:
    names = ("I", "Q", "U", "V")[: values.shape[1]]
    head = header(1000, n_chan=values.shape[2]).replace(polarization=PolBasis(names=names))
    return MemorySpectra(values, head)


def test_means_of_every_channel_and_row(rng: np.random.Generator) -> None:
    values = rng.normal(10, 1, (61, 2, 9))
    values[rng.random(values.shape) < 0.2] = np.nan
    values[7] = np.nan
    found: Means = run([Marginals(spectra(values), 1)])[0]
    assert (found.n_freq, found.n_int) == (1, 1)
    np.testing.assert_allclose(found.spectrum, np.nanmean(values[:, 1], axis=0), rtol=1e-6)
    kept = np.arange(61) != 7
    np.testing.assert_allclose(found.lowest[kept], np.nanmean(values[kept, 1], axis=1), rtol=1e-6)
    np.testing.assert_array_equal(found.lowest, found.highest)
    assert np.isnan(found.lowest[7])


@pytest.mark.parametrize("rows", [1, 7, 20, 100])
def test_means_that_are_too_many(rows: int, rng: np.random.Generator,
                                 monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marginals, "_ROWS", 9)
    monkeypatch.setattr(marginals, "_CHANNELS", 4)
    monkeypatch.setattr(marginals, "_PIECE_BYTES", rows * 4 * 9)
    values = rng.normal(10, 1, (61, 1, 9))
    found: Means = run([Marginals(spectra(values), 0)])[0]
    assert (found.n_freq, found.n_int) == (3, 7)
    np.testing.assert_allclose(found.spectrum, values.mean(axis=(0, 1)).reshape(3, 3).mean(axis=1),
                               rtol=1e-6)
    means = values.mean(axis=(1, 2))
    parts = [means[row : row + 7] for row in range(0, 61, 7)]
    np.testing.assert_allclose(found.lowest, [part.min() for part in parts], rtol=1e-6)
    np.testing.assert_allclose(found.highest, [part.max() for part in parts], rtol=1e-6)


def test_means_do_not_depend_on_threads(rng: np.random.Generator,
                                        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_UNIT_BYTES", 1000)
    monkeypatch.setattr(marginals, "_PIECE_BYTES", 500)
    stream = spectra(rng.normal(10, 1, (61, 1, 9)))
    one, other = (run([Marginals(stream, 0)], workers=workers)[0] for workers in (1, 3))
    assert one.spectrum.tobytes() == other.spectrum.tobytes()
    assert one.lowest.tobytes() == other.lowest.tobytes()
