"""The picture of a burst: aligned and as recorded, its profile, and S/N against DM.

Panels, from top left: the profile at the width of the burst above the aligned spectra; facts, and
the beams in which the burst was found; the spectra as they were recorded, with lines beside the
track of the burst; and the S/N of its boxcar against time and dispersion measure, the bow tie,
beside the highest S/N at each dispersion measure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.time import iso
from fastsig.pulsar.bursts.dm_fit import snr_curve
from fastsig.pulsar.bursts.subbands import boxcar_sums
from fastsig.reductions.bursts.measurement import Burst
from fastsig.reductions.bursts.window import unaligned_cells
from fastsig.view.figures import COLORS, new_figure, time_unit, title, wrapped

if TYPE_CHECKING:
    from astropy.time import Time
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["BeamFacts", "bow_tie", "burst_facts", "draw_candidate", "shown_samples"]

F8 = NDArray[np.float64]

_SIDE = 10  # widths of the burst on both sides of it that are drawn
_LEAST_SIDE = 24  # samples
_TIE = 5.0  # widths by which the outer measures of the bow tie shift the ends of the band
_TIE_BANDS = 64  # subbands; within one, the outer measures shift by less than a tenth of a width
_TRIALS = 101
_CELLS = 320, 128  # times and channels of the spectra as recorded


class BeamFacts(NamedTuple):
    """Beams of a receiver, and those in which a burst was found.

    Parameters
    ----------
    offsets : ndarray, shape (beam, 2), arcmin
    hpbw : ndarray, shape (beam,), arcmin
    snr : mapping
        S/N by number of the beam, from 1.
    position, error : pair of float, optional
        Estimated position and its error, arcmin.
    """

    offsets: F8
    hpbw: F8
    snr: Mapping[int, float]
    position: tuple[float, float] | None = None
    error: tuple[float, float] | None = None


def draw_candidate(burst: Burst, facts: Sequence[str] = (), beams: BeamFacts | None = None,
                   measured: tuple[float, Time, float] | None = None) -> Figure:
    """Draw a burst.

    Parameters
    ----------
    burst : Burst
        As read by `find_burst`.
    facts : sequence of str
        Further lines of text.
    beams : BeamFacts, optional
    measured : float, Time and float, optional
        S/N, time, and time after the start, s, that were measured; by default, those of the boxcar
        that is drawn.
    """
    figure = new_figure(13, 7.6)
    grid = figure.add_gridspec(2, 4, height_ratios=(1, 2.4), width_ratios=(1.25, 1.35, 1.0, 0.5))
    aligned = figure.add_subplot(grid[1, 0])
    profile = figure.add_subplot(grid[0, 0], sharex=aligned)
    unit, scale = time_unit(_half_s(burst))
    _draw_profile(profile, burst, scale)
    _draw_aligned(aligned, burst, scale)
    aligned.set_xlabel(f"time after the burst ({unit})")
    _draw_recorded(figure.add_subplot(grid[1, 1]), burst)
    tie = figure.add_subplot(grid[1, 2])
    _draw_tie(tie, figure.add_subplot(grid[1, 3], sharey=tie), burst, scale)
    tie.set_xlabel(f"time after the burst ({unit})")
    _write(figure.add_subplot(grid[0, 1] if beams else grid[0, 1:]), _headline(burst, measured),
           [*burst_facts(burst, measured), *facts])
    if beams is not None:
        _draw_beams(figure.add_subplot(grid[0, 2:]), beams)
    figure.suptitle(wrapped(title(burst.window.stream), 110), fontsize=10)
    return figure


def burst_facts(burst: Burst, measured: tuple[float, Time, float] | None = None) -> list[str]:
    """Return lines about a burst: time, channels and position."""
    window, header = burst.window, burst.window.header
    share = burst.bands.share[burst.boxcar.start : burst.boxcar.start + burst.boxcar.width].mean()
    at, at_s = window.time(burst.centre_s - window.at_s), burst.centre_s
    if measured is not None:
        _, at, at_s = measured
    lines = [f"{iso(at)} UTC at {window.reference_mhz:.6g} MHz",
             f"{at_s:.6f} s after the start",
             f"{len(burst.made.good)} of {window.stream.shape[2]} channels, {share:.0%} valid"]
    if header.ra_deg is not None and header.dec_deg is not None:
        lines.append(f"RA {header.ra_deg:.5f}°, Dec {header.dec_deg:.5f}°")
    return lines


def _headline(burst: Burst, measured: tuple[float, Time, float] | None) -> str:
    unit, scale = time_unit(burst.width_s)
    snr = burst.boxcar.snr if measured is None else measured[0]
    return (f"S/N {snr:.1f}     DM {burst.window.dm:.6g}     "
            f"{burst.width_s / scale:.4g} {unit}")


def _half_s(burst: Burst) -> float:
    return max(_SIDE * burst.width_s, _LEAST_SIDE * burst.window.step_s)


def shown_samples(burst: Burst) -> tuple[slice, F8]:
    """Return the samples that are drawn, and their times after the middle of the boxcar."""
    seconds = burst.window.seconds + burst.window.at_s - burst.centre_s
    first, stop = np.searchsorted(seconds, (-_half_s(burst), _half_s(burst)))
    return slice(int(first), int(stop)), seconds[first:stop]


def _draw_profile(axes: Axes, burst: Burst, scale: float) -> None:
    """Draw the profile at the resolution at which the burst has a few samples."""
    part, seconds = shown_samples(burst)
    n = max(1, burst.boxcar.width // 4)
    values = burst.bands.profile()[part] / np.sqrt(np.maximum(burst.bands.share[part], 0.05))
    firsts = np.arange(0, len(values) // n * n, n)
    means = np.add.reduceat(values, firsts) / np.sqrt(n) if firsts.size else values
    axes.step((seconds[firsts] + (n - 1) / 2 * burst.window.step_s) / scale, means, where="mid",
              color=COLORS[0], lw=1.1)
    half = burst.width_s / 2 / scale
    axes.axvspan(-half, half, color=COLORS[1], alpha=0.15, lw=0)
    axes.axhline(0, color="black", lw=0.6, alpha=0.5)
    axes.set_ylabel("S/N of a bin")
    axes.tick_params(labelbottom=False)
    axes.grid(alpha=0.3)


def _draw_aligned(axes: Axes, burst: Burst, scale: float) -> None:
    part, seconds = shown_samples(burst)
    n_band = int(np.clip(burst.boxcar.snr**2 / 4, 16, 64))
    n_time = max(1, burst.boxcar.width // 4)
    few = burst.bands.merged(n_band)
    values = few.values[:, part] / np.sqrt(few.counts)[:, np.newaxis]
    firsts = np.arange(0, values.shape[1] // n_time * n_time, n_time)
    image = np.add.reduceat(values, firsts, axis=1) / np.sqrt(n_time)
    window, step = burst.window, burst.window.step_s
    low, high = _edges(window.freq_mhz, window.channel_mhz)
    begin = seconds[0] - step / 2
    _show(axes, image, (begin / scale, (begin + len(firsts) * n_time * step) / scale, low, high),
          max(4.0, float(np.percentile(image, 99.7))))
    axes.set_ylabel("frequency (MHz)")
    for side in (-1, 1):
        axes.axvline(side * burst.width_s / 2 / scale, ymin=0.97, color=COLORS[1], lw=2)
        axes.axvline(side * burst.width_s / 2 / scale, ymax=0.03, color=COLORS[1], lw=2)


def _edges(freq_mhz: F8, channel_mhz: float) -> tuple[float, float]:
    return float(freq_mhz[0]) - channel_mhz / 2, float(freq_mhz[-1]) + channel_mhz / 2


def _show(axes: Axes, image: F8, extent: tuple[float, ...], top: float) -> Any:
    axes.set_facecolor("#bbbbbb")
    return axes.imshow(image, aspect="auto", origin="lower", interpolation="nearest",
                       extent=extent, vmin=-top / 3, vmax=top)  # type: ignore[arg-type]


def _draw_recorded(axes: Axes, burst: Burst) -> None:
    """Draw spectra as they were recorded, with lines on both sides of the track of the burst."""
    window = burst.window
    rest = window.dm - (window.stream.header.dm or 0.0)
    freq = window.freq_mhz
    late = window.constant * rest * (freq**-2.0 - freq[-1] ** -2)
    span = max(abs(float(late[0])), 4 * burst.width_s)
    begin, end = burst.centre_s + min(0.0, float(late[0])), burst.centre_s + max(
        0.0, float(late[0]))
    side = max(0.15 * span, 6 * burst.width_s)
    cells, first, stop, _ = unaligned_cells(window.stream, begin - side, end + side, *_CELLS)
    values = np.where(cells.weights[0] > 0, cells.values[0], np.nan)
    low, high = _edges(freq, window.channel_mhz)
    unit, scale = time_unit(stop - first)
    extent = ((first - burst.centre_s) / scale, (stop - burst.centre_s) / scale, low, high)
    _show(axes, _in_sigmas(values).T, extent, 4.0)
    gap = max(2 * burst.width_s, 0.035 * (stop - first))
    for way in (-gap, gap):
        axes.plot((late + way) / scale, freq, color="white", lw=1.1, ls=(0, (6, 4)))
    axes.set_xlim(*extent[:2])
    axes.set_ylim(low, high)
    axes.set_xlabel(f"time after the burst ({unit}), as recorded")


def _in_sigmas(values: F8) -> F8:
    """Return values of channels in units of their scatter, (time, chan)."""
    good = np.isfinite(values).any(axis=0)
    level, spread = np.zeros(values.shape[1]), np.full(values.shape[1], np.nan)
    level[good] = np.nanmedian(values[:, good], axis=0)
    spread[good] = 1.4826 * np.nanmedian(np.abs(values[:, good] - level[good]), axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(spread > 0, (values - level) / spread, np.nan)


def bow_tie(burst: Burst, n: int) -> tuple[F8, float]:
    """Return the S/N of the boxcar against DM and time, (n, time), and the largest change of DM.

    The times are those of `shown_samples`, and the middle row is at the measure of the burst.
    """
    bands, boxcar, off = burst.bands.merged(_TIE_BANDS), burst.boxcar, burst.off
    reach = _TIE * burst.width_s / bands.sweep_s()
    shifted = bands.shifted(np.linspace(-reach, reach, n))
    level = shifted[:, off].mean(axis=1, keepdims=True)
    sigma = np.maximum(shifted[:, off].std(axis=1, keepdims=True), 1e-9)
    before = boxcar.width // 2
    padded = np.pad((shifted - level) / sigma, ((0, 0), (before, boxcar.width - 1 - before)))
    sums = np.stack([boxcar_sums(row, boxcar.width) for row in padded])
    return sums[:, shown_samples(burst)[0]] / np.sqrt(boxcar.width), reach


def _draw_tie(tie: Axes, side: Axes, burst: Burst, scale: float) -> None:
    """Draw the S/N of the boxcar against time and DM, and the highest S/N at each DM."""
    snr, reach = bow_tie(burst, _TRIALS)
    seconds, step = shown_samples(burst)[1], burst.window.step_s / 2
    trials = np.linspace(-reach, reach, _TRIALS)
    dms, half = burst.window.dm + trials, reach / (_TRIALS - 1)
    _show(tie, snr, ((seconds[0] - step) / scale, (seconds[-1] + step) / scale, dms[0] - half,
                     dms[-1] + half), max(4.0, float(snr.max())))
    tie.set_ylabel("DM (pc cm$^{-3}$)")
    tie.ticklabel_format(axis="y", useOffset=False)
    side.plot(snr_curve(burst.bands, burst.off, burst.boxcar, trials), dms, color=COLORS[0], lw=1.2)
    side.axhline(burst.window.dm, color=COLORS[1], lw=0.9, ls="--")
    side.set_xlim(0, None)
    side.set_xlabel("S/N")
    side.tick_params(labelleft=False)
    side.grid(alpha=0.3)


def _write(axes: Axes, headline: str, lines: Sequence[str]) -> None:
    axes.axis("off")
    axes.text(0.0, 1.0, headline, va="top", fontsize=13, weight="bold", transform=axes.transAxes)
    axes.text(0.0, 0.82, "\n".join(lines), va="top", fontsize=9.5, linespacing=1.5,
              transform=axes.transAxes)


def _draw_beams(axes: Axes, beams: BeamFacts) -> None:
    """Draw the beams, filled by their S/N, and the estimated position."""
    from matplotlib import colormaps
    from matplotlib.patches import Circle, Ellipse

    top = max(beams.snr.values(), default=1.0)
    shades = colormaps["viridis"]
    for number, ((east, north), width) in enumerate(zip(beams.offsets, beams.hpbw, strict=True), 1):
        snr = beams.snr.get(number)
        color = "none" if snr is None else shades(snr / top)
        axes.add_patch(Circle((east, north), width / 2, facecolor=color, edgecolor="#777777",
                              lw=0.7))
        if snr is not None:
            axes.annotate(f"{snr:.0f}", (east, north), ha="center", va="center", fontsize=7,
                          color="white" if snr < 0.7 * top else "black")
    if beams.position is not None:
        axes.plot(*beams.position, "+", color=COLORS[1], ms=9, mew=1.6)
        if beams.error is not None:
            axes.add_patch(Ellipse(beams.position, *(2 * each for each in beams.error),
                                   fill=False, edgecolor=COLORS[1], lw=1.2))
    reach = float(np.abs(beams.offsets).max() + beams.hpbw.max())
    axes.set_xlim(reach, -reach)  # east is to the left
    axes.set_ylim(-reach, reach)
    axes.set_aspect("equal")
    axes.tick_params(labelsize=7)
    axes.set_xlabel("east (arcmin), S/N of beams", fontsize=8)
    axes.set_ylabel("north (arcmin)", fontsize=8)
