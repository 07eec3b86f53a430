"""Pictures of small, odd and empty things hold what there is."""

from __future__ import annotations

import contextlib
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import cubes_made
import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from cli import fastsig
from matplotlib.axes import Axes
from overlaps import collisions
from streams import MemoryVoltages, header, noise
from thorough import many, thorough

import fastsig as fs
from fastsig import view
from fastsig.axes.polarization import PolBasis
from fastsig.errors import DoubtWarning
from fastsig.run import fitting
from fastsig.run.engine import run
from fastsig.run.waterfalls import Waterfall, reduced
from fastsig.stream import Sink, SpectrumStream, Sums
from fastsig.view.spectra import waterfall


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


def test_pictures_depend_neither_on_threads_nor_on_company(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "_UNIT_BYTES", 1000)
    stream = Narrow(rng.normal(10, 1, (61, 2, 9)), rng.integers(0, 3, (61, 2, 9)) / 2)

    def sinks(n_int: int) -> list[Sink]:
        return [Waterfall(stream, (1, 0), n_int, 2), Waterfall(stream, (0,), 1, 1)]

    for n_int in (1, 5, 14):
        cells = [run(sinks(n_int)[:count], workers=workers)[0]
                 for count, workers in ((1, 1), (1, 3), (2, 2))]
        for other in cells[1:]:
            assert other.values.tobytes() == cells[0].values.tobytes()
            assert other.weights.tobytes() == cells[0].weights.tobytes()


SMALL = [(shape, kind) for shape in ((1, 1, 1), (1, 1, 50), (50, 1, 1), (2, 1, 2))
         for kind in ("noise", "constant", "nothing valid")]


# Every shape with noise; what is constant or not valid as one value and as several.
@pytest.mark.parametrize(("shape", "kind"), many(
    [each for each in SMALL if each[1] == "noise" or each[0][0] == each[0][2]], SMALL))
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


VOLTAGES = [(n, kind) for n in (1, 7, 1000, 30_000)
            for kind in ("noise", "zeros", "nothing valid", "int16", "huge floats")]


# Every number of samples with noise; every kind at the least and the most.
@pytest.mark.parametrize(("n", "kind"), many(
    [each for each in VOLTAGES if each[0] in (1, 30_000) or each[1] == "noise"], VOLTAGES))
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


def _cube(tmp_path: Path, *, n: int = 20, cards: dict[str, Any] | None = None, weight: bool = True,
          shape: tuple[int, int] = (20, 24)) -> Path:
    """A cube of noise with one source."""
    spectral, frequency = cubes_made.axis("FREQ", n)
    head = cubes_made.header(*shape, spectral, beam=(4.0, 2.0, 30.0), **(cards or {}))
    image, _ = cubes_made.point(head, *shape, 2.0, -1.0)
    rng = np.random.default_rng(3)
    data = rng.normal(0, 0.02, (n, *shape)) + cubes_made.line(frequency, 1.0, 340.0, 40.0)[
        :, np.newaxis, np.newaxis] * image
    data[:, :2] = np.nan
    seen = np.full(shape, 9.0) if weight else None
    return cubes_made.write(tmp_path / "c.fits", data.astype(np.float32), head, seen)


# Channels and moments show no weights.
@pytest.mark.parametrize(("weight", "what"), [
    *((True, what) for what in ("sheet", "coverage", "channels", "moments", "spectrum")),
    *((False, what) for what in ("sheet", "coverage", "spectrum")),
    pytest.param(False, "channels", marks=thorough), pytest.param(False, "moments", marks=thorough),
])
def test_cubes(what: str, weight: bool, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DoubtWarning)
        cube = fs.open_cube(_cube(tmp_path, weight=weight))
    saved = tmp_path / "x.png" if what == "sheet" and weight else None
    figure = view.draw_cube(cube, saved, what=what)
    assert saved is None or saved.stat().st_size > 15_000
    assert collisions(figure) == []
    maps = [axes for axes in figure.axes if axes.images]
    assert len(maps) == {"sheet": 2, "coverage": 2, "channels": 12, "moments": 3}.get(what, 0)
    for axes in maps:
        (ellipse,) = axes.patches
        # 4' by 2' on pixels of 1', its major axis 30 degrees from north to east, which is left.
        assert (ellipse.width, ellipse.height) == pytest.approx((2, 4))
        along = np.radians(ellipse.angle + 90)
        assert np.tan(along) == pytest.approx(np.tan(np.radians(90 + 30)))
    labels = [axes.get_ylabel() for axes in figure.findobj(Axes)]
    assert any("Jy/beam" in label or "km/s" in label for label in labels)
    if what == "channels":
        texts = [axes.texts[0].get_text() for axes in maps]
        speeds = [float(text.split()[0]) for text in texts]
        assert speeds == sorted(speeds)
        brightest = max(maps, key=lambda axes: np.nanmax(axes.images[0].get_array()))
        assert abs(speeds[maps.index(brightest)] - 340) < 10
    if what == "moments":
        velocity = np.ma.filled(maps[1].images[0].get_array(), np.nan)
        assert np.nanmedian(velocity) == pytest.approx(340, abs=3)


@pytest.mark.parametrize("cards", [{"RESTFRQ": None}, {"BMAJ": None}, {"SPECSYS": None},
                                   {"CTYPE3": "VELO-LSR", "CUNIT3": "m/s", "CDELT3": 6e3,
                                    "CRVAL3": 1e5}])
def test_cubes_that_lack_something(cards: dict[str, Any], tmp_path: Path) -> None:
    if "BMAJ" in cards:
        path = _cube(tmp_path)
        with fits.open(path, mode="update") as file:
            del file[0].header["BMAJ"]
    else:
        path = _cube(tmp_path, cards=cards)
    with pytest.warns(DoubtWarning) if "RESTFRQ" not in cards else contextlib.nullcontext():
        cube = fs.open_cube(path)
    for what in ("sheet", "coverage", "channels", "spectrum"):
        view.draw_cube(cube, what=what)
    if "CTYPE3" in cards or "RESTFRQ" in cards:
        with pytest.raises((fs.UsageError, fs.FormatError)):
            view.draw_cube(cube, what="moments")


def test_cubes_of_one_channel_and_none_seen(tmp_path: Path) -> None:
    cube = fs.open_cube(_cube(tmp_path, n=1))
    for what in ("sheet", "coverage", "channels", "spectrum"):
        view.draw_cube(cube, what=what)
    path = _cube(tmp_path)
    with fits.open(path, mode="update") as file:
        file[0].data[:] = np.nan
    for what in ("sheet", "coverage", "channels", "moments", "spectrum"):
        view.draw_cube(fs.open_cube(path), what=what)


@pytest.mark.parametrize("kind", ["pdf", "svg", "png"])
def test_pictures_have_the_same_bytes_whenever_they_are_drawn(kind: str, tmp_path: Path,
                                                              monkeypatch: pytest.MonkeyPatch
                                                              ) -> None:
    cube = fs.open_cube(_cube(tmp_path, n=1))
    for name, seconds in (("a", "1000000000"), ("b", "1700000000")):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", seconds)  # what Matplotlib takes for the time
        view.draw_cube(cube, what="spectrum", path=tmp_path / f"{name}.{kind}")
    assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


def test_a_spectrum_at_a_position_has_the_channels_of_a_range(tmp_path: Path) -> None:
    cube, ranges = fs.open_cube(_cube(tmp_path)), (None, ("1418.7MHz", "1418.9MHz"))
    whole, part = (view.draw_cube(cube, what="spectrum", at="187.5,12.3", frange=frange)
                   .axes[0].lines[0].get_xdata() for frange in ranges)
    assert 1 < len(part) < len(whole) / 2 and np.isin(part, whole).all()


def test_cubes_on_the_command_line(tmp_path: Path) -> None:
    path = _cube(tmp_path)
    fastsig("view", path, "-o", tmp_path / "a.png", "--what", "spectrum", "--at", "187.5,12.3")
    fastsig("view", path, "-o", tmp_path / "a.pdf", "--what", "channels", "--fstart",
            "1418.7MHz", "--fstop", "1418.9MHz")
    assert "no channel" in fastsig("view", path, "-o", tmp_path / "b.png", "--fstart", "1GHz",
                                   "--fstop", "1.1GHz", code=2).stderr
    fastsig("view", path, "-o", tmp_path / "b.png", "--tstart", "1s", code=2)
    fastsig("view", path, "-o", tmp_path / "b.png", "--at", "187.5,12.3", code=2)
    fastsig("view", path, "-o", path, "--overwrite", code=2)
    fastsig("extract", path, "--at", "187.534,12.283", "--fit", 1, "-o", tmp_path / "s.ecsv")
    for name in ("s.png", "s.html"):
        fastsig("view", tmp_path / "s.ecsv", "-o", tmp_path / name)
    assert "line 1: velocity_km_s" in (tmp_path / "s.html").read_text()
    fastsig("view", tmp_path / "s.ecsv", "-o", tmp_path / "b.png", "--what", "sheet", code=2)
    (tmp_path / "t.ecsv").write_text("# %ECSV 1.0\n# ---\nx\n1\n")
    assert "t.ecsv" in fastsig("view", tmp_path / "t.ecsv", "-o", tmp_path / "b.png", code=3).stderr


def test_channelised_voltages_without_frequency(rng: np.random.Generator) -> None:
    """As GSB's phased arrays have them: several channels, and no header that places them."""
    data = rng.normal(size=(4096, 2, 8, 2)).astype(np.float32).view(np.complex64)[..., 0]
    head = header(10**6, is_complex=True, n_chan=8).replace(channels=None)
    figure = fs.Chain(MemoryVoltages(data, head)).plot()
    labels = [axes.get_xlabel() for axes in figure.axes]
    assert "frequency within the band (MHz)" in labels
    axes = figure.axes[labels.index("frequency within the band (MHz)")]
    assert axes.lines[0].get_xdata()[[0, -1]] == pytest.approx([-4, 4], abs=0.05)


def test_colours_of_maps_are_chosen(tmp_path: Path) -> None:
    path = tmp_path / "c.fits"
    data = np.random.default_rng(1).normal(2, 1, (4, 8, 9)).astype(np.float32)
    head = cubes_made.header(9, 8, cubes_made.axis("FREQ", 4)[0])
    head["BUNIT"] = "K"
    cubes_made.write(path, data, head)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DoubtWarning)  # the file has no weights
        cube = fs.open_cube(path)

    def drawn(**options: Any) -> list[Any]:
        figure = view.draw_cube(cube, rest="1420.405751768MHz", **options)
        return [image for axes in figure.axes for image in axes.get_images()]

    for image in drawn(what="channels", cmap="magma", vmin=1 * u.K, vmax=3000 * u.mK):
        assert (image.get_cmap().name, image.norm.vmin, image.norm.vmax) == ("magma", 1, 3)
    integral, coverage = drawn(cmap="gray", vmax=500 * u.K * u.km / u.s)[:2]
    assert (integral.get_cmap().name, integral.norm.vmax) == ("gray", 500)
    assert coverage.get_cmap().name == "cividis" and coverage.norm.vmax == 1
    with pytest.raises(fs.UsageError, match="vmax = .*; allowed: a number, or a Quantity in K"):
        view.draw_cube(cube, what="channels", vmax=1 * u.Jy)
    with pytest.raises(fs.UsageError, match="cmap = 'grey sky'"):
        view.draw_cube(cube, cmap="grey sky")
