"""Pictures of drifting carriers: of a table, of a hit and of a cadence."""

import warnings
from fractions import Fraction

import numpy as np
import pytest
from astropy import units as u
from browser import Opened
from carriers import spectra
from cli import fastsig
from streams import MemorySpectra, header

import fastsig as fs
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PRODUCTS, PolBasis
from fastsig.errors import PlanError, UsageError
from fastsig.run.hit_files import read_hits
from fastsig.view import draw_hits, write_hits_page
from fastsig.view.hit_thumbnails import HitPictures
from fastsig.view.page.layouts import HITS
from fastsig.view.thumbnails import SHAPE, Recordings, thumbnails_of

CHAN_HZ, SAMPLE_S, N_CHAN = Fraction(14, 5), Fraction(73, 4), 4096
DRIFT, SPAN_S = 0.05, 320  # Hz/s; from the start of one scan to that of the next
LATE = DRIFT * SPAN_S / float(CHAN_HZ)  # channels


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """Three scans: on, off and on a source, with their hits and events."""
    folder = tmp_path_factory.mktemp("night")
    across = DRIFT * 15 * float(SAMPLE_S / CHAN_HZ)
    for k in range(3):
        carriers = [] if k == 1 else [(2000 + k * LATE, across, 1, 40.0)]
        head = header(1 / SAMPLE_S, n_pol=1)
        head = head.replace(
            channels=ChannelAxis(Fraction(1420 * 10**6), CHAN_HZ, N_CHAN),
            polarization=PolBasis("linear", PRODUCTS["I"]),
            start_time=head.start_time + k * SPAN_S * u.s)
        data = spectra(16, N_CHAN, carriers, seed=k)[:, np.newaxis]
        fs.Chain(MemorySpectra(data, head)).write(folder / f"{k}.h5", bits=32)
        fastsig("search", "drift", folder / f"{k}.h5", "-o", folder / f"{k}.ecsv", "--drift",
                "-0.2:0.2", "--snr", "8")
    fastsig("search", "events", *(folder / f"{k}.ecsv" for k in range(3)), "-o",
            folder / "events.ecsv", "--pattern", "ABA")
    return folder


def test_a_cadence_is_drawn_in_all_scans(night, tmp_path):
    hits = read_hits(night / "events.ecsv")
    assert hits["verdict"].tolist() == ["accepted"] * 2
    figure = draw_hits(hits, data=[night], name="events.ecsv")
    assert [axes.get_title(loc="left")[:6] for axes in figure.axes] == ["A (on)", "B: 1.h5"[:6],
                                                                        "A (on)"][::-1]
    for axes in figure.axes:
        image = axes.images[0].get_array()
        assert image.shape[0] == 16
        left, right = (line.get_xdata() for line in axes.lines)
        track = (left + right) / 2
        extent = axes.images[0].get_extent()
        column = np.round((track - extent[0]) / (extent[1] - extent[0]) * image.shape[1] - 0.5)
        along = image[np.arange(16), column.astype(int)].mean()
        assert (along > 1.4) == ("A" in axes.get_title(loc="left"))
    fastsig("view", night / "events.ecsv", "-o", tmp_path / "a.png", "--data", night)
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_a_table_and_a_hit_are_drawn(night, tmp_path):
    hits = read_hits(night / "0.ecsv")
    assert draw_hits(hits).axes[0].get_ylabel() == "drift rate (Hz/s)"
    assert len(draw_hits(hits, data=[night / "0.h5"]).axes) == 1
    fastsig("view", night / "0.ecsv", "-o", tmp_path / "a.html")
    done = fastsig("view", night / "0.ecsv", "-o", tmp_path / "b.png", "--vmin", "1", code=2)
    assert "--vmin has no meaning for a table of hits" in done.stderr
    with pytest.raises(UsageError, match="is not in the folders"):
        draw_hits(hits, data=[night / "1.h5"])
    with pytest.raises(PlanError, match="no hit to draw"):
        draw_hits(hits[:0])


def test_a_hit_in_lost_spectra_is_drawn_without_a_warning(night, tmp_path):
    scan = fs.open(night / "0.h5").read().copy()
    scan.values[3:5], scan.weight[3:5] = np.nan, 0
    fs.Chain(scan.stream()).write(tmp_path / "0.h5", bits=32)
    hits = read_hits(night / "0.ecsv")
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        figure = draw_hits(hits, data=[tmp_path])
    assert np.ma.getmaskarray(np.ma.masked_invalid(figure.axes[0].images[0].get_array()))[3:5].all()


def test_small_pictures_show_the_carrier(night):
    hits = read_hits(night / "events.ecsv")
    with HitPictures(hits) as draw:
        made = thumbnails_of(hits, HITS.panels, Recordings([night], hits), draw)
    assert not made.troubles and len(made) == 2
    middle = SHAPE[1] // 2
    for k in range(2):
        row, column = np.argwhere(made.images[k, 1] == made.images[k, 1].max()).mean(axis=0)
        assert abs(row - SHAPE[0] // 2) <= 2 and abs(column - middle) <= 1
        assert np.argmax(made.curves[k, 0]) == middle
        _, high = made.limits[k, 0]
        assert high == pytest.approx(hits.values("snr")[k], rel=0.15)
        # The track crosses the picture of the spectra from the lower left to the upper right.
        bright = np.argmax(made.images[k, 0], axis=1)
        across = DRIFT * 15 * float(SAMPLE_S / CHAN_HZ)
        assert (np.diff(bright) >= 0).all()
        assert bright[-1] - bright[0] == pytest.approx(across * SHAPE[1] / 55, abs=2)


def test_a_hit_outside_the_spectra_has_no_picture(night):
    hits = read_hits(night / "0.ecsv")
    moved = hits.with_columns(frequency=hits.values("frequency") + 1)
    with HitPictures(moved) as draw:
        made = thumbnails_of(moved, HITS.panels, Recordings([night], moved), draw)
    assert "outside the band" in made.troubles[0]


def test_the_page_of_events_sorts_and_filters(browser, night, tmp_path):
    hits = read_hits(night / "events.ecsv")
    assert write_hits_page(hits, tmp_path / "a.html", data=[night]) == {}
    opened = Opened(browser, tmp_path / "a.html").ready()
    page = opened.page
    assert opened.state["view"]["shown"] == 2
    assert f"{hits.values('drift')[0]:.4g} Hz/s" in page.inner_text("section.one h2")
    page.select_option("select[data-pick=scan]", "3")
    assert opened.state["view"]["shown"] == 1
    page.select_option("select[data-pick=scan]", "")
    page.fill("input[data-limit=drift-to]", "0")
    assert opened.state["view"]["shown"] == 0
    assert opened.troubles == []
