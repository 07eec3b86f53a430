"""The picture of a table of pulsar candidates: dispersion measure against period, histograms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import PlanError
from fastsig.search.pulsars.candidates import PulsarCandidates
from fastsig.view.figures import COLORS, new_figure, plain_logarithmic
from fastsig.work.counted import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_periods"]

_METHODS = {"fourier": (COLORS[0], "Fourier search"), "ffa": (COLORS[1], "fast folding")}
_BINS = 40
_NAMED = 10  # candidates whose period or name is written


def draw_periods(candidates: PulsarCandidates, name: str = "") -> Figure:
    """Draw candidates: DM against period, larger for a higher significance, and histograms.

    Parameters
    ----------
    candidates : PulsarCandidates
    name : str
        Title.

    Raises
    ------
    PlanError
        If there is no candidate.
    """
    if not len(candidates):
        raise PlanError(f"{name or 'the table'}: there is no candidate to draw")
    figure = new_figure(11, 6.5)
    (main, by_dm), (by_sigma, spare) = figure.subplots(2, 2, width_ratios=(4, 1),
                                                       height_ratios=(3, 1.1))
    by_dm.sharey(main)
    spare.axis("off")
    _draw_places(main, candidates)
    by_dm.hist(candidates.values("dm"), bins=_BINS, orientation="horizontal", color=COLORS[0])
    by_dm.set_xlabel("candidates")
    by_dm.tick_params(labelleft=False)
    sigma = candidates.values("sigma")
    by_sigma.hist(sigma, bins=np.geomspace(sigma.min(), max(sigma.max(), 1.5 * sigma.min()),
                                           _BINS + 1), color=COLORS[0])
    by_sigma.set_xscale("log")
    plain_logarithmic(by_sigma.xaxis)
    by_sigma.set_xlabel("significance (sigma)")
    by_sigma.set_ylabel("candidates")
    figure.suptitle(" · ".join(filter(None, (name, counted(len(candidates), "candidate",
                                                           "candidates")))), fontsize=10)
    return figure


def _draw_places(axes: Axes, candidates: PulsarCandidates) -> None:
    period, dm = candidates.values("period"), candidates.values("dm")
    sigma = candidates.values("sigma")
    size = np.clip(10 * (sigma / sigma.min()) ** 1.5, 10, 300)
    for color, label, chosen in _groups(candidates):
        axes.scatter(period[chosen], dm[chosen], s=size[chosen], color=color, alpha=0.6,
                     linewidths=0, label=label)
    for k in candidates.order()[:_NAMED]:
        axes.annotate(_label(candidates, k), (period[k], dm[k]), xytext=(5, 4),
                      textcoords="offset points", fontsize=7)
    axes.set_xscale("log")
    axes.set_ylim(0, 1.05 * max(dm.max(), 1.0))
    axes.set_xlabel("period (s)")
    axes.set_ylabel("DM (pc cm$^{-3}$)")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, fontsize=8, frameon=False,
                borderaxespad=0.1)


def _groups(candidates: PulsarCandidates) -> list[tuple[str, str, NDArray[Any]]]:
    """Return the colour, label and rows of each search."""
    method = candidates.values("method")
    return [(color, label, method == name) for name, (color, label) in _METHODS.items()
            if (method == name).any()]


def _label(candidates: PulsarCandidates, k: int) -> str:
    known = str(candidates.values("name")[k]) if "name" in candidates else ""
    return known or f"{candidates.values('period')[k]:.6g} s"
