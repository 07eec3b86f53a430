"""The picture of a table of candidates: dispersion measure against time, and histograms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import PlanError
from fastsig.search.bursts.candidates import Candidates
from fastsig.view.figures import COLORS, new_figure, plain_logarithmic
from fastsig.work.counted import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_night"]

_KINDS = {"accepted": COLORS[2], "doubtful": COLORS[0], "interference": COLORS[1]}
_BINS = 40
_MANY = 30  # candidates in a bin, from which the axis is logarithmic
_LOG_RATIO = 30.0  # of the highest to the middle dispersion measure, from which the axis bends


def draw_night(candidates: Candidates, name: str = "") -> Figure:
    """Draw candidates: DM against time, larger for a higher S/N, and histograms of DM and S/N.

    After a comparison of beams, the positions of bursts and the beams are drawn as well.

    Parameters
    ----------
    candidates : Candidates
    name : str
        Title.

    Raises
    ------
    PlanError
        If there is no candidate.
    """
    if not len(candidates):
        raise PlanError(f"{name or 'the table'}: there is no candidate to draw")
    compared = "east" in candidates
    figure = new_figure(16 if compared else 11, 6.5)
    grid = figure.add_gridspec(2, 3 if compared else 2, height_ratios=(3, 1.1),
                               width_ratios=(4, 1, 2.5)[: 3 if compared else 2])
    main, by_snr = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, 0])
    by_dm = figure.add_subplot(grid[0, 1], sharey=main)
    if compared:
        _draw_positions(figure.add_subplot(grid[:, 2]), candidates)
    _draw_times(main, candidates)
    dm, snr = candidates.values("dm"), candidates.values("snr")
    bins = ((np.sinh(np.linspace(0, np.arcsinh(dm.max() / 10), _BINS + 1)) * 10).tolist()
            if main.get_yscale() == "asinh" else _BINS)
    by_dm.hist(dm, bins=bins, range=(0, max(dm.max(), 1.0)), orientation="horizontal",
               color=COLORS[0])
    by_dm.set_xlabel("candidates")
    by_dm.tick_params(labelleft=False)
    edges = np.geomspace(snr.min(), max(snr.max(), 1.5 * snr.min()), _BINS + 1)
    counts, *_ = by_snr.hist(snr, bins=edges.tolist(), color=COLORS[0])
    by_snr.set_xscale("log")
    if max(counts) > _MANY:
        by_snr.set_yscale("log")
    by_snr.set_xlabel("S/N")
    by_snr.set_ylabel("candidates")
    plain_logarithmic(by_snr.xaxis)
    figure.suptitle(" · ".join(filter(None, (name, counted(len(candidates), "candidate",
                                                           "candidates")))), fontsize=10)
    return figure


def _draw_times(axes: Axes, candidates: Candidates) -> None:
    time = candidates["time"]
    first = time.min()
    seconds = np.asarray((time - first).sec, np.float64)
    dm, snr = candidates.values("dm"), candidates.values("snr")
    size = np.clip(10 * (snr / snr.min()) ** 1.5, 10, 300)
    for label, color, chosen in _groups(candidates):
        axes.scatter(seconds[chosen], dm[chosen], s=size[chosen], color=color, alpha=0.6,
                     linewidths=0, label=label)
    if dm.max() > _LOG_RATIO * max(np.median(dm), 1e-3):
        axes.set_yscale("asinh", linear_width=10)
        axes.yaxis.set_major_formatter("{x:g}")
    axes.set_ylim(0, 1.05 * max(dm.max(), 1.0))
    if not seconds.any():
        axes.set_xlim(-1, 1)
    axes.set_xlabel(f"s after {first.isot} UTC")
    axes.set_ylabel("DM (pc cm$^{-3}$)")
    axes.grid(alpha=0.3)
    if "verdict" in candidates:
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, fontsize=8, frameon=False,
                    borderaxespad=0.1)


def _draw_positions(axes: Axes, candidates: Candidates) -> None:
    """Draw beams, and the positions of bursts that are not interference, with their errors."""
    from matplotlib.patches import Circle

    known = candidates.meta.get("comparison", {})
    beams = np.reshape(known.get("beam_offsets_arcmin", []), (-1, 2))
    widths = known.get("hpbw_arcmin", [])
    for number, place, width in zip(known.get("beams", []), beams, widths, strict=False):
        axes.add_patch(Circle(place, width / 2, fill=False, edgecolor="#777777", lw=0.7))
        axes.annotate(str(number), place, ha="center", va="center", fontsize=7, color="#777777")
    east, north, east_error, north_error = (
        candidates.values(name) for name in ("east", "north", "east_error", "north_error"))
    for name, color, chosen in _groups(candidates):
        if name != "interference":
            axes.errorbar(east[chosen], north[chosen], north_error[chosen], east_error[chosen],
                          fmt="o", ms=4, lw=0.8, color=color, alpha=0.7)
    reach = 1.1 * max([1.0, *(np.abs(beams).max(axis=1) + widths if len(beams) else [])])
    axes.set_xlim(reach, -reach)  # east is to the left
    axes.set_ylim(-reach, reach)
    axes.set_aspect("equal")
    axes.set_xlabel("east (arcmin)")
    axes.set_ylabel("north (arcmin)")


def _groups(candidates: Candidates) -> list[tuple[str, str, NDArray[Any]]]:
    """Return the name, colour and rows of each verdict."""
    if "verdict" not in candidates:
        return [("", COLORS[0], np.ones(len(candidates), bool))]
    verdict = candidates.values("verdict")
    return [(name, color, verdict == name) for name, color in _KINDS.items()
            if (verdict == name).any()]
