"""Pictures of streams: peaks, scales, limits, panels, axes of one's own, pyplot, no collisions."""

from __future__ import annotations

import doctest
import pickle
from pathlib import Path
from typing import Any

import astropy.units as u
import matplotlib as mpl
import numpy as np
import pytest
from cli import fastsig
from matplotlib import pyplot
from overlaps import collisions
from streams import MemorySpectra, MemoryVoltages, header, noise
from thorough import many

import fastsig as fs
from fastsig import view
from fastsig.axes.polarization import PolBasis
from fastsig.run.flag_shares import flag_shares


def spectra(values: np.ndarray, rate: Any = 1000, low_hz: int = 10**9, **fields: Any
            ) -> MemorySpectra:
    names = ("I", "Q", "U", "V")[: values.shape[1]]
    head = header(rate, n_chan=values.shape[2], low_hz=low_hz)
    return MemorySpectra(values, head.replace(polarization=PolBasis(names=names), **fields))


class Weighted(MemorySpectra):
    """Spectra in memory with weights, at first 1."""

    def __init__(self, data: np.ndarray, head: Any) -> None:
        super().__init__(data, head)
        self.weights = np.ones(data.shape, np.float32)

    def _values(self, start: int, n: int) -> Any:
        rows = slice(start, start + n)
        return self.spectra[rows].copy(), self.weights[rows].copy()


def texts(figure: Any) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(mpl.text.Text))


def maser(rng: np.random.Generator) -> MemorySpectra:
    """One channel of 905 K among 4096 of 20 K."""
    values = rng.normal(20, 0.3, (8, 1, 4096))
    values[:, 0, 1234] = 905
    return spectra(values, unit="K")


def test_a_line_of_one_channel_keeps_its_height(rng: np.random.Generator) -> None:
    figure = view.draw(maser(rng))
    main, top = figure.axes[:2]
    assert main.images[0].get_array().shape == (8, 1024)
    assert top.lines[0].get_ydata().max() == pytest.approx(905)
    assert top.lines[0].get_xdata()[np.argmax(top.lines[0].get_ydata())] == pytest.approx(
        1e3 + 1234.5 * 500e-6, rel=1e-9)
    flat = " ".join(texts(figure).split())
    assert "pixels: means of 1 spectrum × 4 channels" in flat and "every channel" in flat
    assert "pixels" not in texts(view.draw(spectra(rng.normal(20, 1, (8, 1, 64)))))


def test_a_pulse_of_one_row_keeps_its_height(rng: np.random.Generator) -> None:
    values = rng.normal(10, 0.1, (5000, 1, 4))
    values[3210] = 40
    side = view.draw(spectra(values)).axes[2]
    assert side.lines[0].get_xdata().max() == pytest.approx(40)
    assert side.lines[0].get_ydata()[np.argmax(side.lines[0].get_xdata())] == pytest.approx(3.2105)


def test_flags_state_what_a_pixel_is(rng: np.random.Generator) -> None:
    figure = view.draw_flags(maser(rng), maser(rng))
    assert "means of 1 spectrum × 4 channels" in texts(figure)
    assert "I (K)" in texts(figure)


def test_the_flagged_fraction_is_that_of_the_report(rng: np.random.Generator) -> None:
    """Of all samples: those without weight before, and weights other than 1, do not change it."""
    before = Weighted(rng.normal(20, 1, (40, 2, 50)), header(10, n_chan=50))
    before.weights[:, :, :10], before.weights[:, :, 10:20] = 0, 0.25
    later = Weighted(before.spectra, before.header)
    later.weights[:] = before.weights
    later.weights[:, 0, 10:15], later.weights[30:, 1, 10:15] = 0, 0
    for product, percent in zip(before.polarization.names, ("10", "2.5"), strict=True):
        figure = view.draw_flags(before, later, product=product)
        assert f"flagged {percent} % of the samples" in texts(figure)
        top, side = figure.axes[3:5]
        assert top.lines[0].get_ydata()[[9, 10, 14, 15]] == pytest.approx(
            [0, 100, 100, 0] if percent == "10" else [0, 25, 25, 0])
        assert side.lines[0].get_xdata().mean() == pytest.approx(float(percent))
    one, other = flag_shares(before), flag_shares(later)
    assert 100 * (other.total - one.total) == pytest.approx((10 + 2.5) / 2)


def test_the_example_of_draw_flags() -> None:
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for case in doctest.DocTestFinder().find(view.draw_flags, "draw_flags"):
        assert case.examples and runner.run(case).failed == 0


def test_noise_is_seen_beside_a_carrier(rng: np.random.Generator) -> None:
    values = rng.normal(100, 3, (50, 1, 256))
    values[:, 0, 100:104] = 1e7
    figure = view.draw(spectra(values))
    main, top, side = figure.axes[:3]
    image = main.images[0]
    low, middle, high = image.norm(np.array([94.0, 100.0, 106.0]))
    assert high - low > 0.2 and low < middle < high < 0.5
    assert image.norm(1e7) >= 1 and image.colorbar.extend in ("max", "both")
    assert "asinh scale" in texts(figure)
    assert top.get_yscale() == "log" and side.get_xscale() == "linear"
    even = view.draw(spectra(values), scale="linear")
    assert even.axes[1].get_yscale() == "linear"
    assert isinstance(even.axes[0].images[0].norm, mpl.colors.Normalize)
    assert "asinh" not in texts(even)
    assert pickle.loads(pickle.dumps(figure)).axes[0].images  # figures go to other processes


def test_decibels(rng: np.random.Generator) -> None:
    values = rng.normal(100, 3, (50, 1, 64))
    values[3, 0, 5], values[4, 0, 5] = 0, -2
    values[6, 0, 7] = np.nan
    figure = view.draw(spectra(values, unit="Jy"), scale="db", vmin=10, vmax=30)
    image = figure.axes[0].images[0]
    shown = np.ma.filled(image.get_array(), np.nan)
    assert image.get_clim() == (10, 30)
    assert shown[0, 0] == pytest.approx(10 * np.log10(np.float32(values[0, 0, 0])))
    assert shown[3, 5] == shown[4, 5] == np.nanmin(shown)  # not as what is lost
    assert np.isnan(shown[6, 7]) and np.isfinite(np.delete(shown, 6 * 64 + 7)).all()
    assert figure.axes[1].lines[0].get_ydata().max() < 21
    assert "I (dB of Jy)" in texts(figure)
    with pytest.raises(fs.UsageError, match="scale = 'db' for Q, which has either sign"):
        view.draw(spectra(rng.normal(0, 1, (4, 2, 8))), scale="db", product="Q")


@pytest.mark.parametrize("limit", [20, 20 * u.dB, 100 * u.Jy, 1e5 * u.mJy, 20 * u.dB(u.Jy)])
def test_limits_in_decibels(limit: Any, rng: np.random.Generator) -> None:
    stream = spectra(rng.normal(100, 3, (8, 1, 64)), unit="Jy")
    image = view.draw(stream, scale="db", vmax=limit, what="waterfall").axes[0].images[0]
    assert image.get_clim()[1] == pytest.approx(20)
    line = view.draw(stream, scale="db", vmin=limit, what="power").axes[0]
    assert line.get_ylim()[0] == pytest.approx(20)


def test_limits_that_are_not_decibels(rng: np.random.Generator) -> None:
    stream = spectra(rng.normal(100, 3, (8, 1, 64)), unit="Jy")
    for options, words in (({"scale": "db", "vmin": 0 * u.Jy}, "on the scale db: above 0"),
                           ({"scale": "db", "vmin": 3 * u.K}, "Quantity in dB or Jy"),
                           ({"vmin": 3 * u.dB}, "Quantity in Jy")):
        with pytest.raises(fs.UsageError, match=words):
            view.draw(stream, **options)


def test_decibels_of_either_sign_are_no_curves(rng: np.random.Generator) -> None:
    values = rng.normal(0, 1, (8, 2, 64))
    for stream, options in ((spectra(values), {"what": "spectrum", "product": "Q"}),
                            (spectra(values), {"what": "power", "product": "Q"}),
                            (spectra(values[:1]), {}), (spectra(values[:, :, :1]), {})):
        with pytest.raises(fs.UsageError, match="scale = 'db' for Q, which has either sign"):
            view.draw(stream, scale="db", **options)
    assert view.draw(spectra(values[:1]), scale="db", product="I").axes


@pytest.mark.parametrize("product", ["I", "Q"])
def test_a_share_of_the_values_limits_asinh(product: str, rng: np.random.Generator) -> None:
    values = rng.normal(0, 1, (50, 2, 64))
    values[:, :, 10] = 1e4
    image = view.draw(spectra(values), scale="asinh", percent=90, product=product).axes[0].images[0]
    shown = np.float32(values[:, "IQ".index(product)])
    low, high = np.percentile(shown, (5, 95))
    assert image.get_clim() == pytest.approx(
        (low, high) if product == "I" else (-max(-low, high), max(-low, high)))


def test_limits_and_colours(rng: np.random.Generator) -> None:
    stream = spectra(rng.normal(10, 1, (40, 2, 64)), unit="K")

    def image(**options: Any) -> Any:
        return view.draw(stream, **options).axes[0].images[0]

    assert image(vmin=3 * u.K, vmax=9000 * u.mK).get_clim() == (3, 9)
    assert image(vmin=3).get_clim()[0] == 3 and image(vmin=3).get_clim()[1] > 10
    assert image(vmax=-50).get_clim()[1] == -50
    assert image(percent=100).get_clim() == pytest.approx(
        (stream.spectra[:, 0].min(), stream.spectra[:, 0].max()))
    assert image(cmap="magma").get_cmap().name == "magma"
    assert image(product="Q").get_cmap().name == "RdBu_r"
    for options, words in (
        ({"vmin": 5, "vmax": 5}, "vmin below vmax"), ({"cmap": "none"}, "allowed: matplotlib's"),
        ({"vmin": 3 * u.Jy}, "Quantity in K"), ({"vmin": "x"}, "vmin = x; allowed: a number"),
        ({"vmax": np.nan}, "allowed: finite"), ({"percent": 0}, "above 0 and up to 100"),
        ({"scale": "dB"}, "linear, asinh, db"), ({"what": "bandpass"}, "waterfall, spectrum, pow"),
    ):
        with pytest.raises(fs.UsageError, match=words):
            view.draw(stream, **options)
    assert not pyplot.get_fignums() or all(
        pyplot.figure(number).axes for number in pyplot.get_fignums())  # failures leave none


@pytest.mark.parametrize("n_prod", [1, 4])
def test_a_single_spectrum_is_a_line(n_prod: int, rng: np.random.Generator) -> None:
    values = rng.normal(10, 1, (1, n_prod, 3000))
    stream = spectra(values, unit="K", rest_hz=1000.5e6, specsys="LSRK")
    figure = view.draw(stream)
    assert not any(axes.images for axes in figure.axes)
    lines = [line for axes in figure.axes for line in axes.lines]
    assert len(lines) == n_prod  # those of either sign have a panel of their own
    assert len([axes for axes in figure.axes if axes.lines]) == min(n_prod, 2)
    for line, row in zip(lines, values[0], strict=True):
        np.testing.assert_allclose(line.get_ydata(), row, rtol=1e-6)
    assert "1 spectrum of 1 ms" in texts(figure) and "radio velocity (km/s, LSRK)" in texts(figure)
    top = figure.axes[0].child_axes[0]
    figure.canvas.draw()
    middle = np.mean(figure.axes[0].get_xlim())
    assert top.xaxis.get_view_interval().mean() == pytest.approx(
        299792.458 * (1 - middle / 1000.5), abs=1e-3)
    if n_prod == 4:
        (line,) = view.draw(stream, product="V").axes[0].lines
        np.testing.assert_allclose(line.get_ydata(), values[0, 3], rtol=1e-6)


def test_a_single_channel_is_a_line_over_time(rng: np.random.Generator) -> None:
    values = rng.normal(10, 1, (300, 1, 1))
    (axes,) = view.draw(spectra(values)).axes
    np.testing.assert_allclose(axes.lines[0].get_ydata(), values[:, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(axes.lines[0].get_xdata(), np.arange(300) + 0.5)


@pytest.mark.parametrize("what", ["waterfall", "spectrum", "power"])
def test_axes_of_ones_own(what: str, rng: np.random.Generator) -> None:
    values = rng.normal(10, 1, (40, 2, 64))
    chain = fs.Chain(spectra(values, unit="K"))
    figure, (left, right) = pyplot.subplots(1, 2)
    assert chain.plot(ax=right, what=what, product="Q", vmin=-1, vmax=20) is figure
    assert not left.lines and not left.images
    assert bool(right.images) == (what == "waterfall") != bool(right.lines)
    if what == "waterfall":
        assert right.images[0].get_clim() == (-1, 20)
        assert len(figure.axes) == 3  # with its bar
    else:
        assert right.get_ylim() == (-1, 20) and right.get_ylabel() == "Q (K)"
        mean = values[:, 1].mean(axis=0 if what == "spectrum" else 1)
        np.testing.assert_allclose(right.lines[0].get_ydata(), mean, rtol=1e-5)
    alone = chain.plot(what=what)
    assert len(alone.axes) == (2 if what == "waterfall" else 1)
    with pytest.raises(fs.UsageError, match="path and ax are both given"):
        chain.plot("x.png", ax=left)


@pytest.mark.parametrize("what", ["histogram", "power", "bandpass"])
def test_panels_of_voltages(what: str, rng: np.random.Generator) -> None:
    stream = MemoryVoltages(noise(rng, 8000), header())
    figure, axes = pyplot.subplots()
    assert view.draw(stream, ax=axes, what=what) is figure
    assert len(axes.patches if what == "histogram" else axes.lines) == 2
    assert len(view.draw(stream, what=what).axes) == 1
    for option in ("cmap", "vmin", "scale", "percent"):
        value = {"cmap": "magma", "scale": "db"}.get(option, 5)
        with pytest.raises(fs.UsageError, match=f"{option} = .* voltages have no waterfall"):
            view.draw(stream, **{option: value})
    with pytest.raises(fs.UsageError, match="histogram, power, bandpass"):
        view.draw(stream, what="waterfall")


@pytest.mark.parametrize("what", [None, "histogram", "power", "bandpass"])
def test_pictures_of_voltages_state_what_they_show(
    what: str | None, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = header().replace(polarization=PolBasis(names=tuple("ABCDEF")))
    stream = MemoryVoltages(rng.integers(-9, 9, (200_000, 6), dtype=np.int8), head)
    monkeypatch.setattr(view.voltages, "_SAMPLES", 300_000)
    found = " ".join(texts(view.draw(stream, what=what)).split())
    assert "from 50 % of the samples · first 4 of 6 inputs" in found
    monkeypatch.undo()
    assert "of the samples" not in texts(view.draw(stream, what=what))


def test_figures_belong_to_pyplot(rng: np.random.Generator, tmp_path: Path) -> None:
    chain = fs.Chain(spectra(rng.normal(10, 1, (4, 1, 8))))
    figure = chain.plot()
    assert pyplot.gcf() is figure
    pyplot.savefig(tmp_path / "a.png")
    pyplot.close()
    chain.plot(tmp_path / "b.png")  # saved, and not kept in pyplot
    assert not pyplot.get_fignums()
    assert (tmp_path / "a.png").stat().st_size > 5000 and (tmp_path / "b.png").stat().st_size > 5000


def test_a_notebook_shows_a_figure_once(rng: np.random.Generator,
                                        monkeypatch: pytest.MonkeyPatch) -> None:
    interactive = pytest.importorskip("IPython.core.interactiveshell")
    inline = pytest.importorskip("matplotlib_inline.backend_inline")
    support = pytest.importorskip("IPython.core.pylabtools")
    shell = interactive.InteractiveShell()
    try:
        support.select_figure_formats(shell, {"png"})
        figure: Any = view.draw(spectra(rng.normal(10, 1, (4, 1, 8))))
        formats, _ = shell.display_formatter.format(figure)
        assert "image/png" in formats and pyplot.get_fignums()  # agg shows nothing by itself
        monkeypatch.setattr("fastsig.view.shown.get_backend", lambda: "inline")
        formats, _ = shell.display_formatter.format(figure)
        assert "image/png" in formats and not pyplot.get_fignums()
        shown: list[Any] = []
        monkeypatch.setattr(inline, "display", lambda figure, **_: shown.append(
            shell.display_formatter.format(figure)[0]))
        figures = [view.draw(spectra(rng.normal(10, 1, (4, 1, 8)))) for _ in range(2)]
        inline.show(close=True)  # what runs at the end of a cell
        assert len(figures) == len(shown) == 2 and all("image/png" in each for each in shown)
    finally:
        interactive.InteractiveShell.clear_instance()


def test_nothing_is_overwritten_unasked(rng: np.random.Generator, tmp_path: Path) -> None:
    chain = fs.Chain(spectra(rng.normal(10, 1, (4, 1, 8))))
    for name in ("a.png", "a.html"):
        path = tmp_path / name
        path.write_text("mine")
        with pytest.raises(fs.OutputError, match="exists"):
            chain.plot(path)
        with pytest.raises(fs.OutputError, match="exists"):
            view.draw_flags(chain, chain, tmp_path / "a.png")
        assert path.read_text() == "mine"
        chain.plot(path, overwrite=True)
        assert path.stat().st_size > 5000
    with pytest.raises(fs.OutputError, match="exists"):
        view.write_page(chain, tmp_path / "a.html")
    with pytest.raises(fs.UsageError, match="a page has its own controls"):
        chain.plot(tmp_path / "b.html", cmap="magma")


LONG = "a_name_of_a_file_as_long_as_names_of_files_of_surveys_are_" * 2


CASES = ("usual", "narrow", "narrower", "large", "tiny", "offset", "wild", "names", "high",
         "one row", "one channel", "long")


@pytest.mark.parametrize("case", CASES)
def test_labels_do_not_collide(case: str, rng: np.random.Generator) -> None:
    values = rng.normal(10, 1, (40, 4, 64))
    more: dict[str, Any] = {"unit": "K"}
    if case == "narrow":
        more |= {"rate": 20, "low_hz": 8_436_123_456}
    elif case == "narrower":
        more |= {"rate": 1, "low_hz": 8_436_123_456}
    elif case in ("large", "tiny", "offset"):
        values = {"large": values * 1e11, "tiny": values * 1e-9, "offset": 1e4 + values / 1e4}[case]
        more["unit"] = None
    elif case == "wild":
        values[:, :, 20:24] = 1e9
    elif case == "names":
        more |= {"telescope": "FAST", "source": LONG}
    elif case == "high":
        more |= {"rate": 10**9, "low_hz": 86 * 10**9}
    elif case == "one row":
        values, more["rest_hz"] = values[:1], 1000e6
    elif case == "one channel":
        values = values[:, :, :1]
    elif case == "long":
        values = rng.normal(10, 1, (3000, 4, 1500))
    stream = spectra(values, **more)
    for product in many("IV"[CASES.index(case) % 2], "IV"):
        assert collisions(view.draw(stream, product=product)) == []
    if case in many(("large",), ("narrow", "large", "names")):
        assert collisions(view.draw_flags(stream, stream)) == []
        for what in ("waterfall", "spectrum", "power"):
            assert collisions(view.draw(stream, what=what, scale="asinh")) == []


@pytest.mark.parametrize("n_bits", [1, 8, 16, 32])
def test_labels_of_voltages_do_not_collide(n_bits: int, rng: np.random.Generator) -> None:
    data = noise(rng, 20_000, 4).astype({8: "i1", 16: "i2"}.get(n_bits, "f4"))
    data = np.sign(data + 0.5) if n_bits == 1 else data
    names = tuple(f"input number {k}" for k in range(4))
    head = header(n_bits=n_bits, n_pol=2).replace(polarization=PolBasis("unknown", names),
                                                  source=LONG)
    stream = MemoryVoltages(data, head)
    assert collisions(view.draw(stream)) == []
    for what in ("histogram", "power", "bandpass") if n_bits in many((8,), (1, 8, 16, 32)) else ():
        assert collisions(view.draw(stream, what=what)) == []


def test_labels_of_reductions_do_not_collide(samples: Path) -> None:
    scan = fs.open(samples / "SIMHI_onoff-M01_W_000*.fits")
    found = scan.measure_diode(12.5 * u.K)
    assert collisions(view.draw_calibration(found, scan)) == []
    kelvin = scan.calibrate(found)
    assert collisions(view.draw_baseline(kelvin.baseline("polynomial"))) == []


def test_options_of_the_command_line(tmp_path: Path, samples: Path) -> None:
    scan = samples / "SIMHI_onoff-M01_W_0002.fits"
    out = tmp_path / "a.png"
    fastsig("view", scan, "-o", out, "--cmap", "magma", "--scale", "db", "--vmin", 80, "--vmax",
            120)
    fastsig("view", scan, "-o", tmp_path / "b.png", "--what", "spectrum", "--percent", 90)
    assert "exists" in fastsig("view", scan, "-o", out, code=4).stderr
    assert "cmap = 'none'" in fastsig("view", scan, "-o", out, "--overwrite", "--cmap", "none",
                                      code=2).stderr
    assert "--scale has no meaning for a page" in fastsig(
        "view", scan, "-o", tmp_path / "a.html", "--scale", "db", code=2).stderr
