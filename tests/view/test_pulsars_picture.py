"""The page of pulsar candidates, and its small pictures, which are folded from the recordings."""

import numpy as np
import pytest
from browser import Opened
from cli import fastsig
from search.spectra_made import MHZ, K, chain, noise

import fastsig as fs
from fastsig.errors import UsageError
from fastsig.run.pulsar_files import write_pulsars
from fastsig.view import pulsar_thumbnails, write_pulsars_page
from fastsig.view.page.layouts import PULSARS
from fastsig.view.pulsar_thumbnails import PulsarPictures
from fastsig.view.thumbnails import SHAPE, Recordings, thumbnails_of

N, PULSARS_MADE = 2**14, ((0.3137, 40.0), (0.1773, 25.0))


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """A recording of two pulsars, and the table of a search."""
    folder = tmp_path_factory.mktemp("night")
    data = noise(N)
    for period, dm in PULSARS_MADE:
        late = K * dm * (MHZ**-2 - MHZ.max() ** -2)
        turns = ((np.arange(N)[:, np.newaxis] * 1e-3 - late) / period + 0.5) % 1 - 0.5
        data += 8 * np.exp(-0.5 * (turns / 0.02) ** 2).astype(np.float32)
    chain(data).write(folder / "scan.fil", bits=32, lossy=True)
    with fs.open(folder / "scan.fil") as source:
        found = source.pulsars("20:45", period=None, harmonics=8)
    near = [np.argmin(abs(found.values("period") - period)) for period, _ in PULSARS_MADE]
    write_pulsars(found[np.array(near)], folder / "night.ecsv")
    return folder


def test_small_pictures_show_the_pulse_by_time_and_by_frequency(night, monkeypatch):
    found = fs.read_pulsars(night / "night.ecsv")
    assert len(found) == 2
    folds = []
    fold = pulsar_thumbnails.fold_candidates
    monkeypatch.setattr(pulsar_thumbnails, "fold_candidates", lambda *given, **options: (
        folds.append(len(given[1])), fold(*given, **options))[1])
    made = thumbnails_of(found, PULSARS.panels, Recordings([night], found),
                         PulsarPictures(found, 2))
    assert not made.troubles and folds == [2]  # both in one read
    middle = SHAPE[1] // 2
    for k in range(2):
        assert abs(np.argmax(made.curves[k, 0]) - middle) <= 1
        assert made.limits[k, 0, 1] > 10
        for image in made.images[k]:  # the pulse stays at its phase
            assert abs(np.argmax(image.astype(float).mean(axis=0)) - middle) <= 1
            assert (np.abs(np.argmax(image, axis=1) - middle) <= 4).mean() > 0.7
    assert made.captions[0][2][1] == "1072 to 1328 MHz, turns"


def test_a_series_has_no_pictures(night):
    found = fs.read_pulsars(night / "night.ecsv")
    with fs.open(night / "scan.fil") as source:
        source.to_series().write(night / "scan.dat", lossy=True)
    series = found.with_columns(file=["scan.dat"] * 2)
    made = thumbnails_of(series, PULSARS.panels, Recordings([night], series.with_meta(
        provenance={"inputs": []})), PulsarPictures(series, 2))
    assert "has one channel" in made.troubles[0]


def test_the_page_sorts_filters_and_marks(browser, night, tmp_path):
    found = fs.read_pulsars(night / "night.ecsv")
    assert write_pulsars_page(found, tmp_path / "a.html", data=[night]) == {}
    opened = Opened(browser, tmp_path / "a.html").ready()
    page = opened.page
    assert opened.state["view"]["shown"] == 2
    best = int(np.argmax(found.values("snr")))
    assert f"{found.values('period')[best]:.3g}" in page.inner_text("section.one h2")
    page.fill("input[data-limit=dm-to]", f"{found.values('dm').mean():.1f}")
    assert opened.state["view"]["shown"] == 1
    page.fill("input[data-limit=dm-to]", "")
    page.select_option("select[data-pick=method]", "fourier")
    assert opened.state["view"]["shown"] == 2
    assert opened.troubles == []


def test_the_command_makes_the_page_or_a_picture(night, tmp_path):
    fastsig("view", night / "night.ecsv", "-o", tmp_path / "a.html", "--data", night)
    assert b"time against phase" in (tmp_path / "a.html").read_bytes()
    done = fastsig("view", night / "night.ecsv", "-o", tmp_path / "a.png", "--data", night, code=2)
    assert "--data has no meaning for a picture" in done.stderr
    with pytest.raises(UsageError, match="a page ends in"):
        write_pulsars_page(fs.read_pulsars(night / "night.ecsv"), tmp_path / "a.png")
