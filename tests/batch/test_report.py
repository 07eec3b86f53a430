"""The page of a batch, in a real browser from disk: many rows, hostile names, clicks."""

from __future__ import annotations

import os
import re
import shutil
from base64 import b64decode
from collections.abc import Iterator
from fractions import Fraction
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import batches
import numpy as np
import pytest
from browser import Opened
from cli import fastsig
from streams import MemorySpectra, header
from thorough import many

from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PolBasis
from fastsig.batch.api import Recipe
from fastsig.batch.commands.terminal import TerminalWatcher
from fastsig.batch.ledger.journal import Ledger
from fastsig.batch.ledger.records import Record
from fastsig.batch.ledger.status import Row, Status
from fastsig.batch.report import layout, thumbnails
from fastsig.batch.report.page import write_report
from fastsig.batch.report.thumbnails import Thumbnails, thumbnail
from fastsig.batch.tasks.model import Task
from fastsig.chain import Chain
from fastsig.errors import OutputError

HOSTILE = "</script><img src=x onerror=document.body.dataset.hacked=1>'\"&"
RECIPE = """version = 1
[inputs]
files = ["in/*"]
[output]
folder = "out"
[[step]]
command = "cut"
output = "{stem}.h5"
"""
# State, cause, seconds, bytes, by the number of the task; all others are done.
BAD = {
    7: ("failed", f"in/{HOSTILE}: not a known format; allowed: fbh5, guppi, dada", 0.3, 8e7),
    8: ("timeout", "took longer than the limit of 1800 s", 1800.5, 3e8),
    9: ("memory", "used 1210 MB; the limit is 1000 MB", 12.0, 1.21e9),
    10: ("killed", "its worker process died: SIGKILL", 2.0, 9e7),
    11: ("vanished", "in/n0011.try: no longer exists", 0.01, 7e7),
    12: ("poison", "its worker process died: SIGSEGV; 3 processes died while running it", 1.0, 8e7),
    13: ("disk-full", "out/n0013.h5: No space left on device", 9.0, 9e7),
    14: ("failed", "in/n0014.try: " + "a long cause, " * 100 + "its end", 4.0, 9e7),
}
N = many(100, 300)
N_DONE = N - len(BAD) - 1
WARNED = {13: ("a warning of a failed task",),
          40: ("n0040.h5: 29.2 % of the samples", "and <b>more")}


def product(path: Path, number: int) -> None:
    """Spectra with a line that drifts."""
    rng = np.random.default_rng(number)
    data = rng.normal(10, 1, (96, 1, 256))
    data[np.arange(96), 0, (np.arange(96) * (number % 5 - 2) // 2 + 100) % 256] += 12
    head = header(10).replace(
        polarization=PolBasis("linear", names=("I",)),
        channels=ChannelAxis(Fraction(1_418_000_000), Fraction(10_000), 256))
    Chain(MemorySpectra(data, head)).write(path)


def name_of(number: int) -> str:
    return f"n{number:04d} %41{HOSTILE.replace('/', '_')}" if number == 20 else f"n{number:04d}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A batch of many tasks with its ledger; products of eight kinds, one a hostile PNG's place."""
    base = tmp_path_factory.mktemp("batch")
    (base / "in").mkdir()
    (base / "out").mkdir()
    for number in range(N):
        (base / "in" / f"{name_of(number)}.try").write_text(f"{number}")
    (base / "r.toml").write_text(RECIPE)
    for number in range(8):
        product(base / f"p{number}.h5", number)
    fill(base / "out", Recipe.read(base / "r.toml").tasks(), base)
    fastsig("batch", "report", "-c", base / "r.toml")
    return base


def fill(out: Path, tasks: list[Task], products: Path) -> None:
    """What a run would have left."""
    with Ledger(str(out)) as ledger:
        ledger.begin(len(tasks))
        for number, task in enumerate(tasks):
            state, error, seconds, peak = BAD.get(number, ("done", "", 1 + number * 1.7 % 9, 1e8))
            made: tuple[tuple[str, int, int], ...] = ()
            if state == "done":
                (name,) = task.outputs
                shutil.copy(products / f"p{number % 8}.h5", out / name)
                told = os.stat(out / name)
                made = ((name, told.st_size, told.st_mtime_ns),)
            if number != 15:  # it waits
                ledger.append(Record(
                    task.id, state, task.name, 1 + number % 3, outputs=made, error=error,
                    step="cut" if error else "", seconds=seconds, peak_bytes=int(peak),
                    warnings=WARNED.get(number, ())))


@pytest.fixture(scope="module")
def opened(browser: Any, folder: Path) -> Iterator[Opened]:
    page = Opened(browser, folder / "out" / "report.html").ready()
    yield page
    page.page.close()


@pytest.fixture
def page(opened: Opened) -> Any:
    """As it opens."""
    opened.page.goto("about:blank")
    opened.page.goto(opened.path.as_uri())
    return opened.ready().page


def visible(page: Any) -> list[str]:
    """First words of the names of the rows that are shown, in order."""
    return [text[:5] for text in page.locator("table.tasks tbody tr:visible th").all_inner_texts()]


def heading(page: Any, name: str) -> Any:
    """The button of a column."""
    return page.locator("th button").filter(has_text=re.compile(f"^{re.escape(name)}$"))


def test_page_is_small_whole_and_silent(page: Any, opened: Opened) -> None:
    """All rows, a thumbnail for each finished task; no error, no request, nothing hostile runs."""
    assert len(opened.content) < 5_000_000
    rows = page.locator("table.tasks tbody tr")
    assert rows.count() == N
    pictures = page.evaluate("""async () => {
        const all = [...document.images];
        for (const each of all) each.loading = "eager";
        await Promise.all(all.map((each) => each.decode()));
        return all.map((each) => [each.naturalWidth, each.naturalHeight]);
    }""")
    assert len(pictures) == N_DONE and {*map(tuple, pictures)} == {(160, 90)}
    assert opened.troubles == []
    known = ("file:", "data:", "about:")
    assert [url for url in opened.requests if not url.startswith(known)] == []
    assert page.evaluate("document.body.dataset.hacked") is None
    assert page.locator("td", has_text=HOSTILE).count() == 1  # the cause, as text
    assert page.locator("small", has_text=HOSTILE.replace("/", "_")).count() == 1
    totals = page.locator(".totals").inner_text().split()
    assert totals[:2] == [str(N), "tasks"]
    assert totals[totals.index("done") - 1] == str(N_DONE)


def test_totals_filter_and_the_search_too(page: Any) -> None:
    page.locator(".totals [data-state=failed]").click()
    assert visible(page) == ["n0007", "n0014"]
    assert page.locator(".find output").inner_text() == f"2 of {N} shown"
    page.locator(".find input").fill("LONG its")
    assert visible(page) == ["n0014"]
    page.reload()  # as while a run goes on: what was chosen stays
    page.wait_for_selector("body[data-ready=yes]")
    assert visible(page) == ["n0014"]
    page.locator(".find input").fill("")
    page.locator(".totals [data-state=failed]").press("Enter")  # pressed again: all of them
    assert len(visible(page)) == N
    page.locator(".find input").fill("sigsegv")
    assert visible(page) == ["n0012"]


def test_headings_sort_numbers_as_numbers(page: Any) -> None:
    """At first what went wrong stands above; then by seconds, memory, name, each way."""
    assert visible(page)[0] == "n0007" and visible(page)[-1] == f"n{N - 1:04d}"
    for name, key in (("time (s)", "seconds"), ("memory (MB)", "peak")):
        column = {"seconds": 3, "peak": 4}[key]
        heading(page, name).click()
        cells = [row.inner_text() for row in
                 page.locator(f"table.tasks tbody td:nth-child({column + 1})").all()]
        numbers = [float(text) for text in cells if text]
        assert numbers == sorted(numbers) and len(numbers) == N - 1
        heading(page, name).click()
    assert visible(page)[0] == "n0009"  # 1210 MB, which is less than 98 as a text
    heading(page, "task").click()
    assert visible(page) == [f"n{number:04d}" for number in range(N)]


def test_causes_are_whole_and_links_lead_to_files(page: Any, folder: Path) -> None:
    cause = page.locator("tr", has_text="n0014").locator("td").last.inner_text()
    assert cause.endswith("its end") and cause.count("a long cause") == 100
    links = page.evaluate("[...document.links].map((each) => each.getAttribute('href'))")
    assert all(link.startswith("./") for link in links)
    assert sum((folder / "out" / unquote(link)).is_file() for link in links) == len(links)


def test_many_rows_come_in_parts(browser: Any, tmp_path: Path) -> None:
    """1200 rows: 500 are laid out, the others when asked for; sorting and filtering see all."""
    rows = tuple(Row(f"{n:064x}", f"n{n:04d}", "done", seconds=n + 1) for n in range(1200))
    (tmp_path / "r.html").write_bytes(layout.page_of(Status(rows), "/x", "/x"))
    opened = Opened(browser, tmp_path / "r.html").ready()
    page = opened.page
    assert len(visible(page)) == 500
    assert page.locator(".find output").inner_text() == "the first 500 of 1200"
    heading(page, "time (s)").click()
    heading(page, "time (s)").click()
    assert visible(page)[0] == "n1199" and len(visible(page)) == 500
    page.locator(".find input").fill("n115")
    page.wait_for_timeout(300)
    assert visible(page) == [f"n{n}" for n in range(1159, 1149, -1)]
    page.locator(".find input").fill("")
    page.get_by_role("button", name="show all").click()
    page.wait_for_timeout(300)
    assert len(visible(page)) == 1200 and opened.troubles == []
    page.close()


def test_without_script_it_is_a_table(browser: Any, opened: Opened) -> None:
    plain = Opened(browser, opened.path, java_script_enabled=False)
    assert plain.page.locator("table.tasks tbody tr").count() == N
    assert f"{N_DONE} done" in " ".join(plain.page.locator(".totals").inner_text().split())
    plain.page.close()


def test_thumbnails_are_kept_and_bounded(folder: Path, tmp_path: Path,
                                         monkeypatch: pytest.MonkeyPatch) -> None:
    """A page takes those of the one before it; beyond its room it has none, and tells so."""
    tasks = Recipe.read(folder / "r.toml").tasks()
    known = Thumbnails(str(folder / "out" / "report.html"))
    monkeypatch.setattr("fastsig.batch.report.thumbnails.thumbnail",
                        lambda *args: pytest.fail("again"))
    path = write_report(tasks, folder / "out", tmp_path / "a.html", thumbnails=known)
    first = Path(path).read_bytes()
    assert first.count(b"<img") == N_DONE
    assert b"../" in first  # links from where it is to the products
    again = Path(write_report(tasks, folder / "out", path)).read_bytes()
    rows = [re.findall(rb"<tr data-state=.*?</tr>", page, re.DOTALL) for page in (first, again)]
    assert rows[0] == rows[1]
    room = 200_000
    monkeypatch.setattr(layout, "_MOST_PICTURES", room)
    monkeypatch.setattr(layout, "_MOST_ROWS", N - 50)
    monkeypatch.setattr(layout, "_MOST_CAUSES", 500)
    few = Path(write_report(tasks, folder / "out", path)).read_text()
    kept = sum(map(len, re.findall("base64,([^\"]+)", few)))
    assert room / 2 < kept <= room and "reach the limit of" in few
    assert few.count("<tr data-state") == N - 50 and "50 more tasks" in few
    assert "1 long message shortened" in few and "a long cause" in few and "its end" not in few


def test_other_files_stay(folder: Path, tmp_path: Path) -> None:
    """A page replaces pages alone: no product, no link, no other file."""
    tasks = Recipe.read(folder / "r.toml").tasks()
    (tmp_path / "mine.html").write_text("mine")
    with pytest.raises(OutputError, match="not a report"):
        write_report(tasks, folder / "out", tmp_path / "mine.html")
    (tmp_path / "link.html").symlink_to(tmp_path / "target")
    with pytest.raises(OutputError, match="is a link"):
        write_report(tasks, folder / "out", tmp_path / "link.html", overwrite=True)
    with pytest.raises(OutputError, match="is a product"):
        write_report(tasks, folder / "out", folder / "out" / "n0001.h5", overwrite=True)
    assert (tmp_path / "mine.html").read_text() == "mine"
    assert os.listdir(tmp_path) and not (tmp_path / "target").exists()
    write_report(tasks, folder / "out", tmp_path / "mine.html", overwrite=True, pictures=False)
    assert b"<img" not in (tmp_path / "mine.html").read_bytes()


def test_texts_that_no_page_can_hold(folder: Path) -> None:
    """Names that are no UTF-8, and signs that turn the text around them."""
    page = layout.page_of(
        Status((Row("0" * 64, "a\udcff\u202eb", "failed", "\x1b[31m\udc80"),)),
        str(folder), str(folder)).decode()
    hostile = Row("0" * 64, "x", "done", outputs=(("a\"b?#%41 \udcff:.h5", 5, 1),))
    link = layout.page_of(Status((hostile,)), "/x/out", "/x").decode()
    assert 'href="./out/a%22b%3F%23%2541%20%FF%3A.h5"' in link
    assert "a\\udcff\\u202eb" in unescape(page) and "\\x1b[31m" in page and "\u202e" not in page


def test_warnings_of_tasks_are_shown(folder: Path) -> None:
    text = (folder / "out" / "report.html").read_text()
    assert "2 tasks with warnings" in text and text.count("<div class=warning>") == 3
    assert "<div class=warning>warning: and &lt;b&gt;more</div>" in text
    done = [row for row in text.split("<tr ")[1:] if row.startswith("data-state=done")]
    assert "warning: n0040.h5: 29.2 %" in done[0] and "class=warning" not in "".join(done[1:])
    seen = fastsig("batch", "status", "-c", folder / "r.toml", code=1).stdout
    assert f"{N} tasks: " in seen and "; 2 with warnings" in seen.splitlines()[0]
    line, = (line for line in seen.splitlines() if "n0040" in line)
    assert " done " in line and "warning: n0040.h5: 29.2 %" in line
    assert "warning: a warning of a failed task" in seen


def test_thumbnails_of_every_kind(samples: Path, tmp_path: Path) -> None:
    """Voltages, spectra, pictures; hostile and broken ones give none."""
    from PIL import Image

    Image.new("RGB", (3000, 2000), "red").save(tmp_path / "red.png")
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    (tmp_path / "bad.h5").write_bytes(b"\x89HDF\r\n\x1a\nbroken")
    Image.new("1", (20000, 6000)).save(tmp_path / "bomb.png")
    sizes, meanings = {}, {}
    for folder, name in ((tmp_path, "red.png"), (samples, "fast_band_1GSa.h5"),
                         (samples, "frb_coarse_16MHz.0000.raw"),
                         (samples, "SIMHI_onoff-M01_W_0001.fits")):
        made, meanings[name] = thumbnail(str(folder), ((name, 1, 1),))
        assert 0 < len(b64decode(made)) <= 8000
        (tmp_path / "x.webp").write_bytes(b64decode(made))
        with Image.open(tmp_path / "x.webp") as picture:
            sizes[name] = picture.size
            assert len(set(picture.convert("L").tobytes())) > (0 if name == "red.png" else 20)
    assert sizes.pop("red.png") == (202, 135) and set(sizes.values()) == {(160, 90)}
    for name in ("bad.png", "bad.h5", "bomb.png", "none.h5"):
        assert thumbnail(str(tmp_path), ((name, 1, 1),)) == ("", "")
    assert meanings["red.png"] == "a PNG of 3000 x 2000 pixels, reduced to 202 x 135"
    band = re.fullmatch(r"power of the first (\d+) of \d+ samples of the first input, in dB; each "
                        r"point is the mean of (\d+) spectra of 320 samples x 1 channel",
                        meanings["fast_band_1GSa.h5"])
    assert band is not None and int(band[1]) // 320 == int(band[2])
    coarse = meanings["frb_coarse_16MHz.0000.raw"]
    assert re.search(r"mean of (\d+) samples x \d channels?$", coarse), coarse
    (tmp_path / "page.html").write_text(
        'data-key="0123456789abcdef" src="data:image/webp;base64,A<" title="x"')
    assert Thumbnails(str(tmp_path / "page.html"))._made == {}


@pytest.mark.parametrize("n, n_chan, seconds, meaning", [
    (96, 256, 2, "I: each pixel is the mean of 1 to 2 spectra x 1 to 2 channels"),
    (90, 160, 2, "I: each pixel is the mean of 1 spectrum x 1 channel"),
    (450, 320, 2, "I: each pixel is the mean of 5 spectra x 2 channels"),
    (900, 64, 2, "I: each pixel is the mean of 7 of every 10 spectra x 1 channel"),
    (180, 16, -1, "I: mean of 2 of 180 spectra; each point is the mean of 1 channel"),
    (6, 320, 2, "I: mean of 6 of 6 spectra; each point is the mean of 2 channels"),
])
def test_thumbnails_state_what_was_averaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n: int, n_chan: int, seconds: float,
    meaning: str,
) -> None:
    """As pages of view do; here with at most 360 kB read, or with no time for a second row."""
    monkeypatch.setattr(thumbnails, "_BYTES", 8 * 64 * 90 * 7 if n == 900 else 2**25)
    monkeypatch.setattr(thumbnails, "_SECONDS", seconds)
    head = header(10).replace(
        polarization=PolBasis("linear", names=("I",)),
        channels=ChannelAxis(Fraction(1_418_000_000), Fraction(10_000), n_chan))
    data = np.arange(n * n_chan, dtype=np.float32).reshape(n, 1, n_chan)
    assert thumbnails._spectra(MemorySpectra(data, head))[1] == meaning


def test_a_slow_product_is_drawn_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thumbnail states that it shows the beginning alone; every spectrum of it counts."""
    times = iter([0.0, *[1.0] * 9, *[9.0] * 99])
    monkeypatch.setattr(thumbnails.time, "monotonic", lambda: next(times))
    data = np.arange(180 * 16, dtype=np.float32).reshape(180, 1, 16)
    head = header(10).replace(
        polarization=PolBasis("linear", names=("I",)),
        channels=ChannelAxis(Fraction(1_418_000_000), Fraction(10_000), 16))
    rows, sizes, stop = thumbnails._rows(MemorySpectra(data, head))
    assert stop == 20 and list(sizes) == [2] * 10
    np.testing.assert_array_equal(rows, data[:20, 0].reshape(10, 2, 16).mean(1))
    times = iter([0.0, *[1.0] * 9, *[9.0] * 99])
    assert thumbnails._spectra(MemorySpectra(data, head))[1] == (
        "I: each pixel is the mean of 2 spectra x 1 channel, of the first 20 of 180 spectra alone")


def test_thumbnails_of_cubes_state_what_was_averaged(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.arange(20 * 200 * 320, dtype=np.float32).reshape(20, 200, 320)

    class Cube:
        shape = values.shape

        def read(self, part: slice) -> Any:
            return values[part]

    monkeypatch.setattr("fastsig.cubes.cube.open_cube", lambda path: Cube())
    drawn, meaning = thumbnails._cube_map("x.fits")
    assert drawn.shape == (180, 160)
    assert meaning == ("mean of 8 of 20 channels; each pixel is the mean of 2 columns x 1 to 2 "
                       "rows of pixels")


def test_the_page_states_what_thumbnails_show(folder: Path) -> None:
    """Each under the pointer, and those that most tasks share in a line at the top."""
    text = (folder / "out" / "report.html").read_text()
    meaning = "I: each pixel is the mean of 1 to 2 spectra x 1 to 2 channels"
    assert f"<p class=caption>Thumbnails of {N_DONE} tasks: {meaning}.</p>" in text
    assert text.count(f'alt="{meaning}" ') == text.count(f'title="{meaning}"') == N_DONE
    many_kinds = layout._Table("/x", "/x", Thumbnails(), 0.0)
    many_kinds._meanings.update({f"kind {n}": n + 1 for n in range(7)})
    assert many_kinds.notes[0] == "Thumbnails of 7 tasks: kind 6."
    assert len(many_kinds.notes) == 6 and many_kinds.notes[5].startswith("Other thumbnails: hold")


def test_run_writes_the_page(tmp_path: Path) -> None:
    """At the start, while it is at work, and when it was told to stop; whole at any moment."""
    plugin = batches.install(tmp_path / "plugin")
    path = batches.recipe(tmp_path, {"first": {}, "hangs": {"hang": 1}})
    page = tmp_path / "out" / "report.html"
    process = batches.begin(path, "-j", 1, "--report-every", 1, plugin=plugin)

    def shown() -> str:
        """What the page tells; whole, whenever it is read."""
        text = page.read_text() if page.exists() else ""
        assert not text or text.endswith("</html>\n")
        return " ".join(re.findall("<tr data-state=([a-z]+)", text)) + " live" * (
            'data-reload="1"' in text)

    batches.wait_for(lambda: shown() == "running done live")
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors
    assert shown() == "preempted done" and not list((tmp_path / "out").glob(".*.part"))
    # A file that is not a report is left alone, and the run goes on.
    page.write_text("mine")
    batches.deed(tmp_path / "in" / "hangs.try", seed=1)
    done = batches.batch(path, plugin=plugin)
    assert "not a report" in done.stderr and page.read_text() == "mine"


def test_tasks_with_warnings_are_counted() -> None:
    watcher: Any = TerminalWatcher(quiet=True)
    for warnings in ((), ("the last block has 3 bytes",), ("a", "b")):
        watcher.ended(None, SimpleNamespace(state="done", warnings=warnings), False)
    watcher.ended(None, SimpleNamespace(state="preempted", warnings=("c",)), False)
    assert watcher.n_warned == 2
