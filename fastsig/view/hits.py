"""Pictures of drifting carriers: those of a table, and the spectra of a hit or of a cadence.

Beside the track of a signal, never on it, are dashed lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from fastsig.errors import PlanError
from fastsig.reductions.drifting.bands import bands_of
from fastsig.search.drift.hits import Hits
from fastsig.stream import SpectrumStream
from fastsig.view.figures import (
    COLORS,
    frequency_unit,
    new_figure,
    plain_logarithmic,
    width_text,
)
from fastsig.work.counted import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Scan", "draw_band", "draw_tracks"]

F8 = NDArray[np.float64]

_KINDS = {"accepted": COLORS[2], "doubtful": COLORS[0], "interference": COLORS[1]}
_BINS = 40
_SIDE = 40  # channels on both sides of a track
_COLUMNS = 500  # of a waterfall, at most
_BESIDE = 0.06  # of the width of a panel: distance of the lines from the track


@dataclass(frozen=True)
class Scan:
    """A scan to draw: its spectra, and what it is in a cadence.

    Parameters
    ----------
    stream : SpectrumStream
        Spectra of one product.
    name : str
    snr : float, optional
        S/N of the hit, if there is one.
    """

    stream: SpectrumStream
    name: str
    snr: float | None = None


def draw_band(hits: Hits, name: str = "") -> Figure:
    """Draw hits: drift rate against frequency, larger for a higher S/N, and histograms of S/N.

    Raises
    ------
    PlanError
        If there is no hit.
    """
    if not len(hits):
        raise PlanError(f"{name or 'the table'}: there is no hit to draw")
    figure = new_figure(11, 6)
    main, below = figure.subplots(2, 1, height_ratios=(3, 1.1))
    snr, frequency = hits.values("snr"), hits.values("frequency")
    size = np.clip(10 * (snr / snr.min()) ** 0.7, 10, 300)
    drift = hits.values("drift")
    unit, scale = frequency_unit(float(np.abs(drift).max()))
    for label, color, chosen in _groups(hits):
        main.scatter(frequency[chosen], drift[chosen] / scale, s=size[chosen], color=color,
                     alpha=0.6, linewidths=0, label=label)
    main.ticklabel_format(useOffset=False, style="plain", axis="x")
    main.set_xlabel("frequency (MHz)")
    main.set_ylabel(f"drift rate ({unit}/s)")
    main.grid(alpha=0.3)
    if "verdict" in hits:
        main.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, fontsize=8, frameon=False)
    below.hist(snr, bins=np.geomspace(snr.min(), max(snr.max(), 1.5 * snr.min()), _BINS + 1),
               color=COLORS[0])
    below.set_xscale("log")
    plain_logarithmic(below.xaxis)
    below.set_xlabel("S/N")
    below.set_ylabel("hits")
    figure.suptitle(" · ".join(filter(None, (name, counted(len(hits), "hit", "hits")))),
                    fontsize=10)
    return figure


def _groups(hits: Hits) -> list[tuple[str, str, NDArray[Any]]]:
    if "verdict" not in hits:
        return [("", COLORS[0], np.ones(len(hits), bool))]
    verdict = hits.values("verdict")
    return [(name, color, verdict == name) for name, color in _KINDS.items()
            if (verdict == name).any()]


def draw_tracks(hit: Hits, scans: Sequence[Scan], name: str = "") -> Figure:
    """Draw the spectra of scans around the track of a hit, the first scan at the bottom.

    Parameters
    ----------
    hit : Hits
        One hit, whose track is extrapolated to all scans.
    scans : sequence of Scan
    name : str
        Title.
    """
    figure = new_figure(9, min(14.0, 2.2 + 1.7 * len(scans)))
    panels = figure.subplots(len(scans), 1, sharex=True, squeeze=False)[::-1, 0]
    low, high = _limits(hit, scans)
    for axes, scan in zip(panels, scans, strict=True):
        _draw_scan(axes, hit, scan, low, high)
    middle = hit.values("frequency")[0]
    unit, scale = frequency_unit(high - low)
    panels[0].xaxis.set_major_formatter(lambda x, _: f"{x / scale:.6g}")
    panels[0].set_xlabel(f"frequency - {middle:.6f} MHz ({unit})")
    drift, width = hit.values("drift")[0], hit.values("width")[0]
    facts = (f"{'-' if drift < 0 else '+'}{width_text(abs(drift))}/s, "
             f"S/N {hit.values('snr')[0]:.1f}, width {width_text(width)}")
    reason = str(hit.values("reason")[0]) if "reason" in hit else ""
    figure.suptitle(" · ".join(filter(None, (name, facts, reason))), fontsize=10)
    return figure


def _offsets(hit: Hits, stream: SpectrumStream) -> F8:
    """Return where the track is in each spectrum, Hz after its frequency."""
    sample_s = float(1 / stream.header.sample_rate)
    first = float((stream.header.start_time - Time(hit["time"][0])).to_value("s"))
    seconds = first + sample_s * (np.arange(stream.shape[0]) + 0.5)
    return np.asarray(hit.values("drift")[0] * seconds)


def _limits(hit: Hits, scans: Sequence[Scan]) -> tuple[float, float]:
    ends = np.concatenate([_offsets(hit, each.stream)[[0, -1]] for each in scans])
    step = float(scans[0].stream.header.require_channels(scans[0].stream.path).step_hz)
    side = max(_SIDE * step, 4 * float(hit.values("width")[0]), 0.15 * float(np.ptp(ends)))
    return float(ends.min()) - side, float(ends.max()) + side


def _draw_scan(axes: Axes, hit: Hits, scan: Scan, low: float, high: float) -> None:
    stream = scan.stream
    channels = stream.header.require_channels(stream.path)
    step = float(channels.step_hz)
    at = float(hit.values("frequency")[0]) * 1e6
    first = max(0, int(np.floor((at + low - float(channels.first_hz)) / step)))
    stop = min(channels.n_chan, int(np.ceil((at + high - float(channels.first_hz)) / step)) + 1)
    duration = stream.shape[0] * float(1 / stream.header.sample_rate)
    axes.set_facecolor("0.85")
    if stop > first:
        with bands_of(stream) as bands:
            image = _averaged(bands.read(first, stop))
        begin = float(channels.first_hz) + (first - 0.5) * step - at
        seen = image[np.isfinite(image)]
        dark, bright = np.percentile(seen, (1, 99.8)) if seen.size else (0.0, 1.0)
        axes.imshow(image, origin="lower", aspect="auto", interpolation="nearest", cmap="viridis",
                    extent=(begin, begin + (stop - first) * step, 0, duration),
                    vmin=dark, vmax=bright)
    track, beside = _offsets(hit, stream), _BESIDE * (high - low)
    times = (np.arange(len(track)) + 0.5) * duration / len(track)
    for off in (-beside, beside):
        axes.plot(track + off, times, color="white", lw=1, ls="--")
    axes.set_xlim(low, high)
    axes.set_ylabel("time (s)")
    axes.set_title(scan.name + ("" if scan.snr is None else f" · S/N {scan.snr:.1f}"), fontsize=8,
                   loc="left")


def _averaged(values: NDArray[np.float32]) -> F8:
    """Return spectra relative to their medians, of fewer channels if there are many."""
    n = -(-values.shape[1] // _COLUMNS)
    whole = values[:, : values.shape[1] // n * n].reshape(len(values), -1, n).mean(axis=2)
    level = np.full((len(whole), 1), np.nan)
    known = np.isfinite(whole).any(axis=1)
    level[known, 0] = np.nanmedian(whole[known], axis=1)
    return np.asarray(np.where(np.isfinite(level) & (level != 0), whole / level, np.nan))
