"""Texts of a figure that collide with one another or leave it."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from matplotlib.axis import Axis
from matplotlib.text import Text

_TOUCH = 2.0  # pixels that boxes may share: their edges hold no ink


def _texts(figure: Any) -> list[Text]:
    """Texts that are drawn: tick labels only of ticks within the limits."""
    ticks: set[Text] = set()
    shown: set[Text] = set()
    for axis in figure.findobj(Axis):
        low, high = sorted(axis.get_view_interval())
        for tick in [*axis.majorTicks, *axis.minorTicks]:
            for label in (tick.label1, tick.label2):
                ticks.add(label)
                if (label.get_visible() and low <= tick.get_loc() <= high and axis.get_visible()
                        and axis.axes.axison):
                    shown.add(label)
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()
            and (text not in ticks or text in shown)]


def collisions(figure: Any) -> list[str]:
    """Pairs of texts whose boxes overlap, and texts that leave the figure."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    width, height = figure.canvas.get_width_height()
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in _texts(figure)]
    found = [f"{name!r} leaves the figure" for name, box in boxes
             if box.x0 < -_TOUCH or box.y0 < -_TOUCH or box.x1 > width + _TOUCH
             or box.y1 > height + _TOUCH]
    for (one, a), (other, b) in combinations(boxes, 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        up = min(a.y1, b.y1) - max(a.y0, b.y0)
        if across > _TOUCH and up > _TOUCH:
            found.append(f"{one!r} on {other!r}")
    return found
