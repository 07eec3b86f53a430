"""Pictures of small, odd and empty things hold what there is."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from streams import MemoryVoltages, header, noise

import fastsig as fs
from fastsig import view
from fastsig.polarization import PolBasis
from fastsig.stream import SpectrumStream, Sums
from fastsig.view._spectra import reduced, waterfall


class Spectra(SpectrumStream):
    """Spectra in memory, with a weight for every channel."""

    def __init__(self, values: np.ndarray, weight: np.ndarray) -> None:
        head = header(1000, n_chan=values.shape[2]).replace(polarization=PolBasis(names=("I",)))
        super().__init__(head, values.shape, np.float32, "spectra")
        self.values, self.weight = values, weight

    weight_channels = property(lambda self: self.shape[2])
    files = property(lambda self: [])

    def read_sums(self, start: int, n: int) -> Sums:
        rows = slice(start, start + n)
        return Sums(self.values[rows] * self.weight[rows], self.weight[rows])


@pytest.mark.parametrize("n_chan", [1031, 1553, 2062, 5000])
def test_any_number_of_channels_fits_the_picture(n_chan: int, rng: np.random.Generator) -> None:
    values = rng.normal(10, 1, (40, 1, n_chan))
    weight = rng.integers(0, 2, values.shape).astype(float)
    stream = Spectra(values, weight)
    shown, share, _, edges = waterfall(stream, 0)
    n = -(-n_chan // 1024)
    assert 512 <= shown.shape[1] <= 1024 and len(edges) == shown.shape[1] + 1
    low, high = (float(edge) / 1e6 for edge in stream.header.channels.edges_hz)
    assert edges[0] == pytest.approx(low) and edges[-1] == pytest.approx(high)
    for group in (0, shown.shape[1] - 1):  # the last one may be shorter
        part = slice(group * n, min(n_chan, (group + 1) * n))
        total = (values * weight)[:, 0, part].sum(axis=1)
        with np.errstate(invalid="ignore"):
            expected = total / weight[:, 0, part].sum(axis=1)
        np.testing.assert_allclose(shown[:, group], expected, rtol=1e-6)
        np.testing.assert_allclose(share[:, group], weight[:, 0, part].mean(axis=1))
    view.draw(stream)


class Narrow(Spectra):
    """Spectra of which seven rows are read at a time."""

    row_bytes = property(lambda self: 2**24 // 7)


@pytest.mark.parametrize(("n_int", "n_freq"), [(1, 1), (1, 3), (5, 1), (5, 4), (14, 7), (100, 9)])
def test_means_of_blocks_go_on_over_what_is_read_together(
    n_int: int, n_freq: int, rng: np.random.Generator
) -> None:
    values = rng.normal(10, 1, (61, 2, 9))
    weight = rng.integers(0, 3, values.shape) / 2
    found, share = reduced(Narrow(values, weight), (1, 0), n_int, n_freq)
    for row in range(found.shape[1]):
        for column in range(found.shape[2]):
            part = (slice(row * n_int, (row + 1) * n_int), slice(None),
                    slice(column * n_freq, (column + 1) * n_freq))
            total = (values * weight)[part].sum(axis=(0, 2))[::-1]
            np.testing.assert_allclose(share[:, row, column],
                                       weight[part].mean(axis=(0, 2))[::-1], rtol=1e-6)
            with np.errstate(invalid="ignore"):
                expected = total / weight[part].sum(axis=(0, 2))[::-1]
            np.testing.assert_allclose(found[:, row, column], expected, rtol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 50), (50, 1, 1), (2, 1, 2)])
@pytest.mark.parametrize("kind", ["noise", "constant", "nothing valid"])
def test_small_spectra(shape: tuple[int, ...], kind: str, rng: np.random.Generator) -> None:
    values = np.full(shape, 5.0) if kind == "constant" else rng.normal(10, 1, shape)
    weight = np.zeros(shape) if kind == "nothing valid" else np.ones(shape)
    figure = view.draw(Spectra(values, weight))
    figure.canvas.draw()
    if kind == "noise":
        for axes in figure.axes[1:4]:
            (line,) = axes.lines
            assert np.isfinite(line.get_ydata()).all()
            assert len(line.get_xdata()) > 1 or line.get_marker() == "o"


@pytest.mark.parametrize("n", [1, 7, 1000, 30_000])
@pytest.mark.parametrize("kind", ["noise", "zeros", "nothing valid", "int16", "huge floats"])
def test_small_voltages(n: int, kind: str, rng: np.random.Generator) -> None:
    data, bits = noise(rng, n), 8
    if kind == "zeros":
        data[:] = 0
    elif kind == "int16":
        data, bits = data.astype(np.int16) * 3, 16
    elif kind == "huge floats":
        data, bits = (data * 1e30).astype(np.float32), 32
    spans = (np.zeros((0, 2), np.int64),) * 2 if kind == "nothing valid" else None
    figure = view.draw(MemoryVoltages(data, header(n_bits=bits), spans))
    figure.canvas.draw()
    if kind == "int16" and n == 30_000:
        counts = figure.axes[0].patches[0].get_data().values
        assert (counts > 0).mean() > 0.3  # one value a bin or more, not a comb of empty bins


def test_frequencies_not_known(rng: np.random.Generator) -> None:
    head = header(Fraction(200, 3), n_bits=8).replace(channels=None)
    figure = view.draw(MemoryVoltages(noise(rng, 4000), head))
    assert "within the band" in figure.axes[2].get_xlabel()
    with pytest.raises(fs.UsageError, match="voltages have no products"):
        view.draw(MemoryVoltages(noise(rng, 4000), head), product="I")
