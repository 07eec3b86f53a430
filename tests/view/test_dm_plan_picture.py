"""The picture of a plan of dispersion measures."""

from itertools import pairwise
from pathlib import Path

import fastsig as fs
from fastsig.pulsar.stretches import Recording
from fastsig.view.dm_plan import draw_plan


def test_labels_of_stretches_do_not_overlap() -> None:
    # The first stretches are much shorter than the last.
    recording = Recording.of_band("1GHz", "500MHz", 32, "196.608us")
    figure = draw_plan(fs.dm_plan(recording, (0, 500)))
    figure.canvas.draw()
    boxes = sorted((each.get_window_extent() for each in figure.axes[0].texts),
                   key=lambda box: box.x0)
    assert len(boxes) > 2
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


def test_a_plan_without_a_file_has_a_page(tmp_path: Path) -> None:
    plan = fs.dm_plan(Recording.of_band("1GHz", "500MHz", 32, "196.608us"), (0, 50))
    fs.view.draw_dm_plan(plan, tmp_path / "plan.html")
    page = (tmp_path / "plan.html").read_text(encoding="utf-8")
    assert "<h1>Plan of dispersion measures" in page and "data:image/png;base64," in page
    assert "stretches" in page
