"""The picture of a plan of dispersion measures: what widens a pulse, and the S/N that remains."""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from fastsig.view.figures import COLORS, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fastsig.pulsar.plan import DMPlan

__all__ = ["draw_plan"]

_POINTS = 24  # in a stretch
_LABEL_SHARE = 0.05  # of the range of measures: room for a label
_WIDTHS = (("channel", COLORS[1], "-"), ("downsampled", COLORS[0], "-"), ("step", COLORS[2], "-"),
           ("tree", COLORS[3], "-"), ("sample", COLORS[0], ":"), ("total", "black", "-"))
_NAMES = {"channel": "across a channel", "downsampled": "downsampled sample",
          "step": "half a step", "tree": "tree", "sample": "sample", "total": "total"}
_KEPT = (("kept_step", COLORS[2], "half a step off"), ("kept_rate", COLORS[0], "downsampled"),
         ("kept_tree", COLORS[3], "tree"), ("kept", "black", "all three"))


def draw_plan(plan: DMPlan) -> Figure:
    """Draw the widths that are added to a pulse, and the S/N that remains, by dispersion measure.

    Parameters
    ----------
    plan : DMPlan
    """
    figure = new_figure(10, 7)
    top, bottom = figure.subplots(2, sharex=True, height_ratios=(3, 2))
    for index, stretch in enumerate(plan):
        dms = np.linspace(stretch.low, stretch.high + stretch.step / 3, _POINTS)
        found = [plan.smears(float(dm)) for dm in dms]
        for name, color, style in _WIDTHS:
            top.plot(dms, [1e3 * getattr(each, name) for each in found], color=color, ls=style,
                     lw=1.6 if name == "total" else 1.1, label="" if index else _NAMES[name])
        for name, color, label in _KEPT:
            bottom.plot(dms, [getattr(each, name) for each in found], color=color,
                        lw=1.6 if name == "kept" else 1.1, label="" if index else label)
    _mark_stretches(top, bottom, plan)
    top.set_title(_title(plan), fontsize=9, loc="left")
    top.set_yscale("log")
    shortest = 1e3 * min(plan.recording.sample_s, min(each.step_smear_s for each in plan))
    top.set_ylim(0.5 * shortest, 4 * top.get_ylim()[1])  # room for the labels
    top.yaxis.set_major_formatter("{x:g}")
    top.set_ylabel("width (ms)")
    bottom.set_ylabel("S/N kept")
    least = bottom.get_ylim()[0]
    bottom.set_ylim(least - 0.4 * (1 - least), 1.02)  # room for the legend
    bottom.set_xlabel("dispersion measure (pc cm$^{-3}$)")
    for axes in (top, bottom):
        axes.grid(alpha=0.3)
        axes.legend(loc="lower right", fontsize=8, ncols=3)
    return figure


def _mark_stretches(top: Any, bottom: Any, plan: DMPlan) -> None:
    """Mark each change of downsampling, and label those stretches that have room for it."""
    groups = [list(group) for _, group in groupby(plan, key=attrgetter("downsampling"))]
    starts = [group[0].low for group in groups]
    whole = groups[-1][-1].high - starts[0]
    for group, start, stop in zip(groups, starts, [*starts[1:], np.inf], strict=True):
        for axes in (top, bottom):
            axes.axvline(start, color="0.6", lw=0.8)
        if stop - start > _LABEL_SHARE * whole:
            first = group[0]
            top.annotate(f"/{first.downsampling}\n{first.step:g}", (start, 1),
                         xycoords=("data", "axes fraction"), xytext=(3, -3),
                         textcoords="offset points", va="top", fontsize=8, color="0.35")


def _title(plan: DMPlan) -> str:
    made = plan.recording
    half = made.chan_mhz / 2
    width = f"{plan.width_s * 1e3:g} ms" if plan.width_s else "one sample"
    return (f"{plan.n_dm} DMs · {made.low_mhz - half:g} to {made.high_mhz + half:g} MHz, "
            f"{made.n_chan} channels, {made.sample_s * 1e6:g} us · pulse of {width} · "
            "labels: downsampling and step")
