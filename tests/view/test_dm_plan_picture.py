"""The picture of a plan of dispersion measures."""

from itertools import pairwise

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
