"""Pictures of bursts and of tables of candidates, and the page of a night."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.time import TimeDelta
from browser import Opened
from bursts_made import MHZ, K, spectra
from overlaps import collisions
from search.candidates_made import candidates

import fastsig as fs
from fastsig.errors import OutputError, PlanError, UsageError
from fastsig.run.candidate_files import write_candidates
from fastsig.view import draw_burst, draw_candidates, write_bursts_page
from fastsig.view.burst import BeamFacts
from fastsig.view.burst_thumbnails import BurstPictures
from fastsig.view.page.findings import findings_page, pictures_that_fit
from fastsig.view.page.layouts import BURSTS
from fastsig.view.thumbnails import SHAPE, Recordings, Thumbnails, thumbnails_of

HOSTILE = "</script><img src=x onerror=\"document.body.dataset.hacked='yes'\">"


def test_the_panels_show_the_burst_where_it_is() -> None:
    figure = draw_burst(spectra(0.05), "0.7s", 50, "9ms")
    aligned, profile, recorded, tie, side, facts = figure.axes
    seconds, values = profile.lines[0].get_data()
    assert abs(seconds[np.argmax(values)]) < 6  # ms
    image = np.asarray(aligned.images[0].get_array())
    begin, end, low, high = aligned.images[0].get_extent()
    column = np.argmax(image.sum(axis=0))
    assert abs(begin + (column + 0.5) * (end - begin) / image.shape[1]) < 6
    assert (low, high) == pytest.approx((1200, 1520))
    # The lines are beside the track, and leave the burst itself in view.
    before, after = (line.get_xdata() for line in recorded.lines)
    late = 1e3 * K * 50 * (MHZ**-2 - MHZ[-1] ** -2)
    assert (before < late - 9).all() and (after > late + 9).all()
    np.testing.assert_allclose((before + after) / 2, late, atol=1e-6)
    snr = np.asarray(tie.images[0].get_array())
    row, _ = np.unravel_index(np.argmax(snr), snr.shape)
    begin, end, low, high = tie.images[0].get_extent()
    assert low + (row + 0.5) * (high - low) / len(snr) == pytest.approx(50, abs=5)
    curve, dms = side.lines[0].get_data()
    assert dms[np.argmax(curve)] == pytest.approx(50, abs=3)
    assert curve.max() == pytest.approx(35, rel=0.2)
    assert "DM 50 " in facts.texts[0].get_text()
    assert not collisions(figure)


def test_beams_and_further_facts(tmp_path: Path) -> None:
    beams = BeamFacts(np.array([[0.0, 0], [5.8, 0], [-5.8, 0]]), np.full(3, 3.0),
                      {1: 30.0, 2: 12.0}, (2.0, 0.1), (0.3, 0.5))
    figure = draw_burst(spectra(0.05), "0.7s", 50, "9ms", tmp_path / "a.png", beams=beams,
                        facts=["accepted: as of one position"])
    (axes,) = (each for each in figure.axes if "east" in each.get_xlabel())
    assert [text.get_text() for text in axes.texts] == ["30", "12"]
    assert axes.get_xlim()[0] > axes.get_xlim()[1]  # east is to the left
    assert any("accepted" in text.get_text() for each in figure.axes for text in each.texts)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(OutputError, match="exists"):
        draw_burst(spectra(0.05), "0.7s", 50, "9ms", tmp_path / "a.png")
    with pytest.raises(UsageError, match="from 0 to"):
        draw_burst(spectra(0.05), "7s", 50)


def test_gaps_and_silence_are_drawn() -> None:
    data = spectra(0.05, lost=0.2)
    data.stream.spectra[690:703] = np.nan  # type: ignore[attr-defined]
    data.stream.spectra[:, :, :9] = 3.0  # type: ignore[attr-defined]
    figure = draw_burst(data, "0.7s", 50, "9ms")
    assert "55 of 64 channels" in figure.axes[-1].texts[1].get_text()


def night(n: int, **columns: Any) -> Any:
    rng = np.random.default_rng(5)
    return candidates(n, **{"snr": 7 + 10 * rng.random(n) ** 4, "dm": 900 * rng.random(n),
                            "beam": rng.integers(1, 20, n), "width": 10 ** rng.uniform(-4, -1, n),
                            "verdict": [("accepted", "doubtful", "interference")[k % 3]
                                        for k in range(n)],
                            "reason": ["in beam 1"] * n, **columns})


def test_the_picture_of_a_table(tmp_path: Path) -> None:
    figure = draw_candidates(night(300), tmp_path / "n.png", name="night.ecsv")
    main = figure.axes[0]
    assert sum(len(each.get_offsets()) for each in main.collections) == 300
    assert [text.get_text() for text in main.get_legend().get_texts()] == [
        "accepted", "doubtful", "interference"]
    assert figure.get_suptitle() == "night.ecsv · 300 candidates"
    assert not collisions(figure)
    assert len(draw_candidates(candidates(1)).axes[0].collections) == 1
    with pytest.raises(PlanError, match="no candidate"):
        draw_candidates(candidates(3)[:0])


def test_positions_of_bursts_are_drawn_among_the_beams() -> None:
    about = {"beams": [1, 2], "beam_offsets_arcmin": [[0.0, 0.0], [5.7, 0.0]],
             "hpbw_arcmin": [2.9, 3.0]}
    made = night(30, east=np.linspace(-3, 3, 30), north=np.zeros(30), east_error=np.full(30, 0.4),
                 north_error=np.full(30, 0.4)).with_meta(comparison=about)
    figure = draw_candidates(made)
    axes = next(each for each in figure.axes if "east" in each.get_xlabel())
    assert [text.get_text() for text in axes.texts] == ["1", "2"]
    assert sum(len(each.lines[0].get_xdata()) for each in axes.containers) == 20
    assert axes.get_xlim()[0] > 5.7 > axes.get_xlim()[1]  # east is to the left
    assert not collisions(figure)
    assert not draw_candidates(made.with_meta(comparison={})).axes[2].texts


def recording(folder: Path) -> Any:
    """A file with a burst, and a table with it and two candidates without data."""
    burst = spectra(0.05)
    burst.write(folder / "scan.h5")
    start = burst.stream.start_time
    return candidates(3, time=start + TimeDelta([0.7, 0.8, 50.0], format="sec"),
                      dm=[50.0, 50.0, 50.0], width=[9e-3] * 3, snr=[35.0, 8.0, 7.5],
                      file=["scan.h5", HOSTILE, "scan.h5"])


def test_small_pictures_show_the_burst(tmp_path: Path) -> None:
    table = recording(tmp_path)
    made = thumbnails_of(table, BURSTS.panels, Recordings([tmp_path], table),
                         BurstPictures(table))
    assert list(made.troubles) == [1, 2]
    assert "not in the folders" in made.troubles[1] and "allowed: from 0" in made.troubles[2]
    middle = SHAPE[1] // 2
    assert abs(int(np.argmax(made.curves[0, 0].astype(int))) - middle) < 6
    assert abs(int(np.argmax(made.images[0, 0].astype(int).sum(axis=0))) - middle) < 6
    row, column = np.unravel_index(np.argmax(made.images[0, 1]), SHAPE)
    assert abs(row - SHAPE[0] // 2) < 10 and abs(column - middle) < 10
    assert made.captions[0][1][1] == "1200 to 1520 MHz"
    with pytest.raises(UsageError, match="no such file"):
        Recordings([tmp_path / "none"], table)


def test_the_page_of_two_thousand_is_below_ten_megabytes() -> None:
    n = 2000
    assert pictures_that_fit(BURSTS, n) == n and pictures_that_fit(BURSTS, 3000) < 3000
    rng = np.random.default_rng(1)
    noise = Thumbnails(
        ("curve", "image", "image"), rng.integers(1, 16, (n, 2, *SHAPE), np.uint8),
        rng.integers(0, 256, (n, 1, SHAPE[1]), np.uint8), rng.normal(size=(n, 1, 2)),
        [[(), ("−90.1 ms", "1050.12 to 1449.98 MHz", "90.1 ms"),
          ("−90.1 ms", "DM 1234.56 ± 12.3", "90.1 ms")]] * n)
    assert len(findings_page(night(n), BURSTS, "night", noise)) < 10_000_000


def test_the_page_sorts_filters_marks_and_exports(browser: Any, tmp_path: Path) -> None:
    n = 2000
    table = night(n, file=[HOSTILE] + ["a.fits"] * (n - 1), snr=np.append(99.0, np.arange(n - 1)))
    made = Thumbnails.empty(2, BURSTS.panels)
    for k in range(2):
        made.draw(k, 1, np.full(SHAPE, 2.0), HOSTILE)
    (tmp_path / "n.html").write_bytes(findings_page(table, BURSTS, HOSTILE, made))
    opened = Opened(browser, tmp_path / "n.html").ready()
    page, view = opened.page, lambda: opened.state["view"]
    assert (view()["shown"], view()["row"]) == (n, n - 1) and view()["laid"] < 60
    for key in "jjgjbkku":
        page.keyboard.press(key)
    assert opened.state["marks"] == [[n - 3, "good"], [n - 4, "bad"]] and view()["at"] == 1
    page.fill("input[data-limit=snr-from]", "100")
    page.fill("input[data-limit=snr-to]", "1500")
    page.select_option("select[data-pick=verdict]", "accepted")
    snr, verdict = table.values("snr"), table.values("verdict")
    kept = np.flatnonzero((snr >= 100) & (snr <= 1500) & (verdict == "accepted"))
    assert view()["shown"] == len(kept)
    page.click("th[data-column=dm] button")
    dm = table.values("dm")
    assert opened.state["rows"] == list(kept[np.argsort(-dm[kept], kind="stable")][:20])
    page.click("th[data-column=dm] button")
    assert opened.state["rows"] == list(kept[np.argsort(dm[kept], kind="stable")][:20])
    page.fill("input[type=search]", "onerror")
    assert view()["shown"] == 0
    page.keyboard.press("g")  # a letter of the search, not a mark
    assert len(opened.state["marks"]) == 2
    page.reload()
    opened.ready()
    assert opened.state["marks"] == [[n - 3, "good"], [n - 4, "bad"]]  # kept by the browser
    page.select_option("select[data-pick=mark]", "good")
    assert view()["shown"] == 1
    with page.expect_download() as download:
        page.click("text=export marks")
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text())))
    # Rows of the file are counted from 1.
    assert [(int(row["row"]), row["mark"]) for row in rows] == [(n - 3, "bad"), (n - 2, "good")]
    assert float(rows[1]["snr"]) == snr[n - 3]
    assert opened.troubles == [] and page.evaluate("document.body.dataset.hacked") is None
    assert all(re.match("file:|blob:", each) for each in opened.requests)


def test_view_writes_pages_and_pictures_of_candidates(tmp_path: Path) -> None:
    from fastsig.products.view import Wanted, draw_file

    table = recording(tmp_path)
    write_candidates(table, tmp_path / "c.ecsv")
    draw_file(tmp_path / "c.ecsv", str(tmp_path / "c.png"))
    with pytest.warns(fs.FastsigWarning, match="2 of 3 candidates have no picture"):
        draw_file(tmp_path / "c.ecsv", str(tmp_path / "c.html"), Wanted(data=(str(tmp_path),)))
    assert b"scan.h5" in (tmp_path / "c.html").read_bytes()
    draw_file(tmp_path / "c.ecsv", str(tmp_path / "d.html"))  # without data, no warning
    for wanted, name in ((Wanted(data=("x",)), "e.png"), (Wanted(product="I"), "e.html")):
        with pytest.raises(UsageError, match="no meaning"):
            draw_file(tmp_path / "c.ecsv", str(tmp_path / name), wanted)
    with pytest.raises(UsageError, match=r"ends in \.html"):
        write_bursts_page(table, tmp_path / "x.png")
