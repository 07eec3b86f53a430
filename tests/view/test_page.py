"""Pages open from disk in a real browser: what is clicked and dragged comes out, no more runs.

Numbers that a page shows are held against the data within half a step of its codes, which are
decoded here apart from the code under test.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from browser import Opened
from cli import fastsig
from streams import MemorySpectra, header
from test_view import Spectra

import fastsig as fs
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PolBasis
from fastsig.cubes.cube import open_cube
from fastsig.view import draw, write_page
from fastsig.view.page.codes import Scale
from fastsig.view.page.html import flat
from fastsig.view.page.waterfall import factors

HOSTILE = "</script><img src=x onerror=\"document.body.dataset.hacked='yes'\">"
NAMES = ("I", "Q", "U", "V")
LOST_ROWS, LOST_CHANNELS = slice(600, 640), slice(400, 404)


def spectra(n_time: int = 1024, n_chan: int = 512, names: tuple[str, ...] = NAMES
            ) -> MemorySpectra:
    """Noise on a band, with a burst far above it, lost rows and lost channels."""
    rng = np.random.default_rng(20261125)
    band = 20 * (1 - 0.5 * np.linspace(-1, 1, n_chan) ** 8)
    data = rng.normal(0, 0.3, (n_time, len(names), n_chan))
    data[:, 0] += band
    data[n_time // 3, :, n_chan // 8 : n_chan // 7] += 5e3
    data[LOST_ROWS] = np.nan
    data[:, :, LOST_CHANNELS] = np.nan
    head = header(10).replace(
        polarization=PolBasis("linear", names=names), unit="K", source=HOSTILE,
        channels=ChannelAxis(Fraction(1_418_000_000), Fraction(10_000), n_chan),
        rest_hz=1420.405751768e6, specsys=HOSTILE, extra={HOSTILE: HOSTILE})
    return MemorySpectra(data, head)


def write_cube(path: Path, times: int = 1) -> tuple[np.ndarray, np.ndarray, fits.Header]:
    """A line that drifts over a rotated map, with weights, corners that were not seen, a gap."""
    rng = np.random.default_rng(7)
    chan, y, x = np.mgrid[:40, : 36 * times, : 50 * times].astype(float)
    y, x = y / times, x / times
    values = rng.normal(0, 0.02, chan.shape)
    values += np.exp(-((x - 25) / 9) ** 2 - ((y - 18) / 7) ** 2 - ((chan - 10 - x / 3) / 2) ** 2)
    weight = np.clip(300 - (x - 25) ** 2 - (y - 18) ** 2, 0, None)
    weight[20] = 0
    values[weight == 0] = np.nan
    turn = np.radians(20)
    cards = {
        "CTYPE1": "RA---TAN", "CRVAL1": 0.1, "CRPIX1": 25 * times + 0.5, "CDELT1": -1 / 60,
        "CTYPE2": "DEC--TAN", "CRVAL2": 61.27, "CRPIX2": 18 * times + 0.5, "CDELT2": 1 / 60,
        "CUNIT1": "deg", "CUNIT2": "deg",
        "PC1_1": np.cos(turn), "PC1_2": -np.sin(turn), "PC2_1": np.sin(turn),
        "PC2_2": np.cos(turn), "CTYPE3": "VRAD", "CRVAL3": -2e5, "CRPIX3": 1.0, "CDELT3": 5e3,
        "CUNIT3": "m/s", "RESTFRQ": 1420405751.768, "SPECSYS": "LSRK", "RADESYS": "ICRS",
        "BUNIT": "K", "BMAJ": 3 / 60, "BMIN": 2 / 60, "BPA": 30.0, "OBJECT": HOSTILE[:60],
    }
    first = fits.PrimaryHDU(values.astype(np.float32))
    first.header.update(cards)
    second = fits.ImageHDU(weight.astype(np.float32), name="WEIGHT")
    made = json.dumps({"stage": {"kernel": "gauss", "source": HOSTILE}}).encode()
    third = fits.ImageHDU(np.frombuffer(made, np.uint8), name="PROVENANCE")
    fits.HDUList([first, third, second]).writeto(path)
    return values.astype(np.float32), weight, first.header


def model_of(page: bytes) -> dict[str, Any]:
    found = re.search(rb'id="model">(.*?)</script>', page)
    assert found is not None
    return json.loads(found[1])


def decoded(page: bytes, product: int = 0) -> tuple[np.ndarray, dict[str, Any]]:
    """Values of a page, by the formula that its codes are documented with."""
    model = model_of(page)
    told = model["products"][product]
    block = re.search(rf'id="{told["values"]}">(.*?)</script>'.encode(), page)
    assert block is not None
    planes = np.frombuffer(zlib.decompress(base64.b64decode(block[1])), np.uint8)
    codes = planes.reshape(-1, int(np.prod(model["shape"]))).astype(int)
    code = codes[0] if len(codes) == 1 else 256 * codes[0] + codes[1]
    values = told["center"] + told["spread"] * np.sinh((code - 1 - told["top"]) * told["step"])
    return np.where(code > 0, values, np.nan).reshape(model["shape"]), told


def half_step(told: dict[str, Any], values: np.ndarray) -> np.ndarray:
    """What a page says it keeps values to; a thousandth more for steps that are not small."""
    return 1.001 * told["step"] / 2 * np.hypot(told["spread"], values - told["center"]) + 1e-6


class Page(Opened):
    """A page with panels."""

    def pixel(self, panel: str, share: tuple[float, float]) -> tuple[float, float]:
        """A place in the window: shares of a panel's axes, from the left and from below."""
        box = self.page.locator(f".{panel} .cover").bounding_box()
        inner = self.state["boxes"][panel]
        return (box["x"] + inner["left"] + share[0] * inner["width"],
                box["y"] + inner["top"] + (1 - share[1]) * inner["height"])

    def click(self, panel: str, share: tuple[float, float]) -> None:
        self.page.mouse.click(*self.pixel(panel, share))

    def drag(self, panel: str, start: tuple[float, float], stop: tuple[float, float]) -> None:
        mouse = self.page.mouse
        mouse.move(*self.pixel(panel, start))
        mouse.down()
        mouse.move(*self.pixel(panel, stop), steps=4)
        mouse.up()


@pytest.fixture(scope="module")
def opened_waterfall(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    path = tmp_path_factory.mktemp("page") / "waterfall.html"
    write_page(spectra(), path)
    opened = Page(browser, path).ready()
    yield opened
    opened.page.close()


@pytest.fixture
def waterfall(opened_waterfall: Page) -> Page:
    """As it opens, whatever a test before did."""
    opened_waterfall.page.reload()
    return opened_waterfall.ready()


@pytest.fixture(scope="module")
def cube(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("cube")
    made = write_cube(folder / "cube.fits")
    fastsig("view", folder / "cube.fits", "-o", folder / "cube.html")
    opened = Page(browser, folder / "cube.html", color_scheme="dark").ready()
    yield opened, *made
    opened.page.close()


def test_size_and_silence(waterfall: Page) -> None:
    """Four products of 1024 x 512 in 3 MB, unreduced; no error, no request, no foreign script."""
    assert len(waterfall.content) < 3_000_000
    assert model_of(waterfall.content)["shape"] == [1024, 512]
    assert waterfall.troubles == []
    assert [url for url in waterfall.requests if not url.startswith(("file:", "data:"))] == []
    assert b"://" not in waterfall.content
    assert waterfall.page.locator("img").count() == 0
    assert waterfall.page.evaluate("document.body.dataset.hacked") is None
    assert HOSTILE in waterfall.page.locator("h1").inner_text()
    assert HOSTILE in waterfall.page.title()
    rows = waterfall.page.locator("table.facts tr", has_text="onerror").all_text_contents()
    assert len(rows) == 2 and any(row.count(HOSTILE) == 2 for row in rows)


def test_foreign_scripts_do_not_run(waterfall: Page) -> None:
    """Even if a header's text became HTML, the page's policy would not let it run."""
    waterfall.page.evaluate("""() => {
        const script = document.createElement("script");
        script.textContent = "document.body.dataset.hacked = 'yes'";
        document.body.append(script);
        const image = document.createElement("img");
        image.setAttribute("onerror", "document.body.dataset.hacked = 'yes'");
        image.src = "data:,";
        document.body.append(image);
        return new Promise((done) => setTimeout(done, 100)).then(() => image.remove());
    }""")
    assert waterfall.page.evaluate("document.body.dataset.hacked") is None
    assert waterfall.troubles and all("Content Security Policy" in each
                                      for each in waterfall.troubles)
    waterfall.troubles.clear()


def test_drag_zooms_and_double_click_shows_all(waterfall: Page) -> None:
    whole = waterfall.state
    assert whole["xlim"] == pytest.approx([1417.995, 1423.115])
    assert whole["ylim"] == pytest.approx([0, 102.4])
    waterfall.drag("map", (0.25, 0.5), (0.5, 0.9))
    view = waterfall.state["view"]
    # To a pixel of the screen, of which a cell takes one or two.
    assert [view[key] for key in ("x0", "x1", "y0", "y1")] == pytest.approx(
        [128, 256, 512, 921.6], abs=2.5)
    assert waterfall.state["xlim"] == pytest.approx(
        [1417.995 + 0.01 * view["x0"], 1417.995 + 0.01 * view["x1"]])
    waterfall.page.mouse.dblclick(*waterfall.pixel("map", (0.5, 0.5)))
    assert waterfall.state["view"] == whole["view"]
    waterfall.drag("below", (0.25, 0.5), (0.5, 0.5))  # along the frequencies alone
    assert waterfall.state["view"]["x1"] == pytest.approx(256, abs=2)
    assert waterfall.state["view"]["y1"] == 1024
    waterfall.page.keyboard.press("Escape")
    assert waterfall.state["view"] == whole["view"]


def test_wheel_and_shift(waterfall: Page) -> None:
    waterfall.page.mouse.move(*waterfall.pixel("map", (0.25, 0.75)))
    waterfall.page.mouse.wheel(0, -300)
    waterfall.wait(lambda state: state["view"]["x1"] < 500)
    view = waterfall.state["view"]
    for low, high, at, n in ((view["x0"], view["x1"], 0.25, 512), (view["y0"], view["y1"], 0.75,
                                                                   1024)):
        assert high - low < 0.7 * n
        assert low + at * (high - low) == pytest.approx(at * n, abs=n / 300)  # it stays in place
    waterfall.page.keyboard.down("Shift")
    waterfall.drag("map", (0.5, 0.5), (0.25, 0.5))
    waterfall.page.keyboard.up("Shift")
    moved = waterfall.state["view"]
    assert moved["x0"] - view["x0"] == pytest.approx((view["x1"] - view["x0"]) / 4, abs=1.5)
    assert moved["x1"] - moved["x0"] == pytest.approx(view["x1"] - view["x0"])
    waterfall.page.keyboard.press("Escape")


def test_click_cuts_through_the_data(waterfall: Page) -> None:
    data = spectra().spectra
    waterfall.click("map", (0.3, 0.2))
    state = waterfall.state
    row, column = state["cross"]["j"], state["cross"]["i"]
    assert state["mode"] == "cuts" and abs(row - 205) < 3 and abs(column - 154) < 2
    told = model_of(waterfall.content)["products"][0]
    for shown, values in ((state["lines"]["x"], data[row, 0]),
                          (state["lines"]["y"], data[:, 0, column])):
        found = np.array(shown, float)
        np.testing.assert_array_equal(np.isnan(found), np.isnan(values))
        there = ~np.isnan(values)
        assert np.all(np.abs(found - values)[there] <= half_step(told, values)[there])
    reading = dict(zip(*(waterfall.page.locator(f".reading {tag}").all_inner_texts()
                         for tag in ("dt", "dd")), strict=True))
    assert float(reading["I"].split()[0]) == pytest.approx(data[row, 0, column], abs=0.05)
    assert reading["frequency"] == f"{1418 + 0.01 * column:.3f} MHz"
    velocity = 299792.458 * (1 - (1418 + 0.01 * column) / 1420.405751768)
    assert float(reading["velocity"].split()[0].replace("−", "-")) == pytest.approx(
        velocity, abs=0.06)
    seconds = 7.123456789 + (row + 0.5) / 10
    assert reading["UTC"] == f"2021-03-04 05:06:{seconds:05.2f}"
    waterfall.page.locator(".map .cover").focus()
    waterfall.page.keyboard.press("ArrowRight")
    waterfall.page.keyboard.press("ArrowUp")
    assert waterfall.state["cross"] == {"i": column + 1, "j": row + 1}


def test_products_weights_and_means(waterfall: Page) -> None:
    data = spectra().spectra
    page, product = waterfall.page, waterfall.page.locator("select").first
    product.select_option(label="V")
    waterfall.wait(lambda state: state["product"] == "V")
    low, high = waterfall.state["limits"]
    assert low == -high
    page.keyboard.press("Escape")
    page.locator("select").nth(1).select_option("means")
    waterfall.drag("map", (0.1, 0.1), (0.4, 0.5))
    state = waterfall.state
    view = {key: int(np.floor(value)) for key, value in state["view"].items()}  # whole cells
    stop = {key: int(np.ceil(value)) for key, value in state["view"].items()}
    part = data[view["y0"] : stop["y1"], 3, view["x0"] : stop["x1"]].astype(float)
    assert np.isfinite(part).all()
    shown = [np.array(state["lines"][key], float) for key in "xy"]
    # The mean of many values is known better than each; the burst's step is large.
    told = model_of(waterfall.content)["products"][3]
    for found, axis in zip(shown, (0, 1), strict=True):
        bound = half_step(told, part).mean(axis=axis)
        assert np.all(np.abs(found[np.isfinite(found)] - part.mean(axis=axis)) <= bound)
    page.keyboard.press("Escape")
    product.select_option("weight")
    waterfall.wait(lambda state: state["product"] == "weight")
    product.select_option(label="I")
    waterfall.wait(lambda state: state["product"] == "I")
    assert waterfall.troubles == []


def test_what_is_not_valid_looks_like_no_data(waterfall: Page) -> None:
    """Grey where the weight is 0: no map of colours is used there."""
    colors = waterfall.page.evaluate("""() => {
        const state = fastsigPage.state(), canvas = document.querySelector(".map .base");
        const ratio = devicePixelRatio, box = state.boxes.map, pen = canvas.getContext("2d");
        const at = (row) => [...pen.getImageData((box.left + 0.6 * box.width) * ratio,
            (box.top + box.height * (1 - row / 1024)) * ratio, 12, 1).data];
        return [at(620), at(700)];
    }""")
    lost, seen = (np.array(each).reshape(-1, 4)[:, :3].astype(int) for each in colors)
    assert np.all(np.ptp(lost, axis=1) < 20) and np.all(np.ptp(seen, axis=1) > 60)


def test_tables_search_and_sort(waterfall: Page) -> None:
    page = waterfall.page
    first = page.locator("details").first
    first.locator("input[type=search]").fill("tsamp")
    shown = first.locator("tbody tr:visible").all_inner_texts()
    assert len(shown) == 1 and shown[0].split() == ["tsamp_s", "0.1"]
    first.locator("input[type=search]").fill("")
    first.locator("button.sorter").first.click()
    names = first.locator("tbody th").all_inner_texts()
    assert names == sorted(names) and len(names) > 10


def test_without_script_the_header_is_there(browser: Any, waterfall: Page) -> None:
    opened = Page(browser, waterfall.path, java_script_enabled=False)
    assert "needs JavaScript" in opened.page.locator("noscript").inner_text()
    assert "FAST" in opened.page.locator("table.facts").first.inner_text()
    opened.page.close()


def test_leap_second(browser: Any, tmp_path: Path) -> None:
    head = header(1, start="2016-12-31T23:59:58").replace(polarization=PolBasis(names=("I",)))
    stream = MemorySpectra(np.arange(40.0).reshape(5, 1, 8), head.replace(
        channels=ChannelAxis(Fraction(10**9), Fraction(10**6), 8)))
    write_page(stream, tmp_path / "leap.html")
    opened = Page(browser, tmp_path / "leap.html").ready()
    told = []
    for row in range(5):
        opened.click("map", (0.5, (row + 0.5) / 5))
        told.append(opened.page.locator(".reading dd").all_inner_texts()[3])
    assert told == ["2016-12-31 23:59:58.5", "2016-12-31 23:59:59.5", "2016-12-31 23:59:60.5",
                    "2017-01-01 00:00:00.5", "2017-01-01 00:00:01.5"]
    opened.page.close()


def test_cube_click_gives_the_spectrum(cube: Any) -> None:
    opened, values, _, head = cube
    assert opened.troubles == [] and b"://" not in opened.content
    opened.click("map", (0.6, 0.45))
    state = opened.state
    x, y = state["cross"]["i"], state["cross"]["j"]
    shown = state["shown"]
    assert x == int(shown["x0"] + 0.6 * (shown["x1"] - shown["x0"]))
    expected, found = values[:, y, x], np.array(state["spectrum"], float)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    told, there = model_of(opened.content)["products"][0], ~np.isnan(expected)
    assert np.all(np.abs(found - expected)[there] <= half_step(told, expected)[there])
    # Between the nodes a position is off by far less than a tenth of a pixel, 6".
    lon, lat = WCS(head).celestial.all_pix2world(x, y, 0)
    off = [((state["position"][0] - lon + 180) % 360 - 180) * np.cos(np.radians(lat)),
           state["position"][1] - lat]
    assert np.abs(off).max() * 3600 < 0.6
    assert HOSTILE[:60] in opened.page.locator("h1").inner_text()
    told = opened.page.locator("tr", has_text="made_by.stage").all_text_contents()
    assert told == ["made_by.stage.kernelgauss", f"made_by.stage.source{HOSTILE}"]


def test_cube_drag_on_the_spectrum_chooses_channels(cube: Any) -> None:
    opened, values, weight, _ = cube
    opened.drag("spectrum", (0.205, 0.5), (0.444, 0.6))
    first, stop = opened.state["range"]
    assert (first, stop) == (8, 18)
    part, counts = values[first:stop].astype(float), weight[first:stop]
    with np.errstate(invalid="ignore"):
        expected = np.nansum(part * counts, axis=0) / counts.sum(axis=0)
    found = np.array(opened.state["plane"], float).reshape(expected.shape)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    # Weights are kept in steps of 1/255 of the largest.
    np.testing.assert_allclose(found, expected, atol=2e-3)
    opened.click("spectrum", (0.3, 0.5))
    assert opened.state["range"] == [12, 13]
    np.testing.assert_allclose(opened.state["plane"], values[12].ravel(), atol=1e-3)
    opened.page.get_by_label("channel", exact=True).press("ArrowRight")
    assert opened.state["range"] == [13, 14]
    opened.page.get_by_text("all channels", exact=True).click()
    assert opened.state["range"] == [0, 40]
    before = opened.state["view"]
    opened.drag("map", (0.4, 0.4), (0.6, 0.6))
    assert opened.state["view"]["x1"] - opened.state["view"]["x0"] < 0.4 * before["x1"]
    opened.page.keyboard.press("Escape")
    assert opened.state["view"] == before and opened.troubles == []


def test_reduced_pages_keep_weighted_means(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(5, 1, (2000, 1, 300)).astype(np.float32)
    weight = rng.integers(0, 3, values.shape) / 2
    stream = Spectra(values, weight)
    write_page(stream, tmp_path / "small.html", page_size=400_000)
    content = (tmp_path / "small.html").read_bytes()
    assert len(content) <= 400_000
    found, told = decoded(content)
    rows, columns = model_of(content)["shape"]
    n_int, n_freq = (-(-n // left) for n, left in zip((2000, 300), (rows, columns), strict=True))
    text = model_of(content)["description"]
    assert f"mean of {n_int} spectra x {n_freq} channel" in text
    where = (slice(3 * n_int, 4 * n_int), 0, slice(7 * n_freq, 8 * n_freq))
    expected = np.average(values[where], weights=weight[where])
    assert abs(found[3, 7] - expected) <= half_step(told, expected)
    with pytest.raises(fs.UsageError, match="page needs"):
        write_page(stream, tmp_path / "no.html", page_size=1000)
    assert not (tmp_path / "no.html").exists()


def test_a_reduced_cube_keeps_weighted_means(tmp_path: Path) -> None:
    values, weight, _ = write_cube(tmp_path / "cube.fits", times=2)
    write_page(open_cube(tmp_path / "cube.fits"), tmp_path / "cube.html", page_size=250_000)
    content = (tmp_path / "cube.html").read_bytes()
    model = model_of(content)
    n = -(-72 // model["shape"][1])
    assert len(content) <= 250_000 and n > 1
    assert f"mean of 1 channel x {n} x {n} pixels" in model["description"]
    found, told = decoded(content)
    row, column = (size // 2 for size in model["shape"][1:])
    block = (12, slice(row * n, (row + 1) * n), slice(column * n, (column + 1) * n))
    expected = np.average(values[block], weights=weight[block])
    assert abs(found[12, row, column] - expected) <= half_step(told, expected)
    assert model["end"] == pytest.approx([100 / n, 72 / n])
    # The beam's major axis of 3' lies 30 deg east of north, on a map turned by 20 deg.
    x, y = (np.array(line) * n for line in model["beam"])
    assert 2 * np.hypot(x, y).max() == pytest.approx(3, rel=2e-3)
    assert 2 * np.hypot(x, y).min() == pytest.approx(2, rel=2e-3)
    wcs = WCS(fits.getheader(tmp_path / "cube.fits")).celestial
    middle, tip = (wcs.pixel_to_world(49.5 + dx, 35.5 + dy) for dx, dy in ((0, 0), (x[0], y[0])))
    assert middle.position_angle(tip).deg == pytest.approx(30, abs=0.2)


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_codes_are_within_half_a_step(bits: int, rng: np.random.Generator) -> None:
    values = np.concatenate([rng.normal(3, 0.5, 5000), [1e6, -40, np.nan, np.inf]])
    scale = Scale.of(values, bits)
    codes = scale.codes(values)
    back = scale.center + scale.spread * np.sinh((codes - 1.0 - scale.top) * scale.step)
    good = np.isfinite(values)
    assert np.all((codes == 0) == ~good) and codes.max() == 2 * scale.top + 1
    slack = 1 + scale.step  # cosh within a step
    assert np.all(np.abs(back - values)[good] <= slack * scale.error(values)[good])
    assert scale.error(np.float64(3)) < 0.03  # of the noise, whatever the burst


@pytest.mark.parametrize("values", [np.full(9, 7.5), np.full(9, np.nan), np.zeros(1)])
def test_codes_of_little(values: np.ndarray) -> None:
    scale = Scale.of(values, 8)
    codes = scale.codes(values)
    back = scale.center + scale.spread * np.sinh((codes - 1.0 - scale.top) * scale.step)
    np.testing.assert_array_equal(np.where(codes > 0, back, np.nan), values)


def test_factors_keep_what_fits() -> None:
    assert factors(1024, 512, 1024 * 512) == (1, 1)
    for shape in ((10**7, 1), (1, 10**7), (3000, 5000), (100, 10**6)):
        n_int, n_freq = factors(*shape, 10**5)
        left = -(-shape[0] // n_int) * -(-shape[1] // n_freq)
        assert 2e4 < left <= 10**5


def test_the_same_bytes(tmp_path: Path) -> None:
    stream = spectra(64, 32, ("I",))
    for name in ("a.html", "b.html"):
        write_page(stream, tmp_path / name)
    draw(stream, tmp_path / "c.html")
    contents = {path.read_bytes() for path in tmp_path.iterdir()}
    assert len(contents) == 1


def test_command_line(tmp_path: Path) -> None:
    write_cube(tmp_path / "cube.fits")
    done = fastsig("view", "cube.fits", "-o", "c.html", "--tstart", "1s", cwd=tmp_path, code=2)
    assert "--tstart has no meaning for a cube of maps" in done.stderr
    done = fastsig("view", "cube.fits", "-o", "c.html", "--fstart", "1GHz", cwd=tmp_path, code=2)
    assert "--fstart has no meaning for the page of a cube" in done.stderr
    done = fastsig("view", "cube.fits", "-o", "c.png", "--page-size", "1MB", cwd=tmp_path, code=2)
    assert "c.png is not a page" in done.stderr
    done = fastsig("view", "cube.fits", "-o", "c.html", "--product", "Q", cwd=tmp_path, code=2)
    assert "this file has I" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["cube.fits"]


def test_what_is_nested_too_deep_is_told() -> None:
    deep: Any = 1
    for level in range(3000):
        deep = [deep, 1] if level % 2 else {"a": deep}
    told = dict(flat({"b": deep, "c": [1, {"d": [2, 3]}]}))
    assert told["c.0"] == 1 and told["c.1.d"] == [2, 3]
    assert "nested too deep to be shown" in told.values()
