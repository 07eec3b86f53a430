"""The picture of a removed baseline or ripple: before, model, after, and the remaining noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.units import number
from fastsig.calibration.baseline import polynomial
from fastsig.calibration.lines import inside
from fastsig.calibration.radiometer import radiometer
from fastsig.errors import UsageError
from fastsig.run.engine import run
from fastsig.stages.baseline import Baseline, Fits
from fastsig.stream import Block, Sink
from fastsig.view.figures import COLORS, line, new_figure, title

if TYPE_CHECKING:
    from matplotlib.figure import Figure

F8 = NDArray[np.float64]

_ROWS = 256  # maximum number of spectra drawn, from the middle of the stream
_BYTES = 2**28
_BEFORE, _AFTER, _MODEL, _LINE = COLORS[0], COLORS[2], COLORS[1], COLORS[3]


class _Seen(NamedTuple):
    """Spectra of one product, (row, chan), except those with nothing valid."""

    first: int
    n: int
    before: F8
    model: F8
    good: NDArray[np.bool_]

    @property
    def after(self) -> F8:
        return self.before - self.model


class MiddleRows(Sink):
    """Collect one block from the middle of a stream: the residual spectra and the models.

    Parameters
    ----------
    fits : Fits
        The source of both, of a `Baseline`.
    """

    name = "draw"
    sparse = True

    def __init__(self, fits: Fits) -> None:
        super().__init__(fits)
        n = fits.shape[0]
        self.segment = max(1, min(_ROWS, n, _BYTES // max(1, fits.source.row_bytes)))
        self._first = (n - self.segment) // 2

    def spans(self) -> tuple[tuple[int, int]]:
        """Return the span of the rows in the middle."""
        return ((self._first, self._first + int(self.segment or 0)),)

    def merge(self, part: Block) -> None:
        """Keep the rows."""
        self._rows = part

    def finish(self, n_rows: int) -> Block:
        """Return the rows."""
        return self._rows


def draw_removal(stage: Baseline, product: str | None, tsys: Any,
                 rows: Block | None = None) -> Figure:
    """Draw the mean spectrum with the model, the residual, delays, and the noise by time averaged.

    `rows` are the result of `MiddleRows`, if a pass has read them already.
    """
    names = stage.polarization.names
    if product is not None and product not in names:
        raise UsageError(f"product = {product!r}; this file has {', '.join(names)}")
    name = names[0] if product is None else product
    if rows is None:
        rows = run([MiddleRows(Fits(stage))])[0]
    seen = _look(stage, names.index(name), rows)
    sigma = _radiometer(stage, seen, name, tsys)
    figure = new_figure(11, 8.5)
    grid = figure.add_gridspec(3, 2, height_ratios=(1.15, 1, 1.15))
    spectra, rest = figure.add_subplot(grid[0, :]), figure.add_subplot(grid[1, :])
    _draw_spectra(spectra, stage, seen)
    rest.sharex(spectra)
    _draw_rest(rest, stage, seen, sigma)
    _draw_delays(figure.add_subplot(grid[2, 0]), stage, seen, sigma)
    _draw_noise(figure.add_subplot(grid[2, 1]), stage, seen, sigma)
    spectra.tick_params(labelbottom=False)
    spectra.set_title(f"{title(stage)} · {name} · {_described(stage)}", fontsize=10)
    return figure


def _look(stage: Baseline, index: int, rows: Block) -> _Seen:
    """Return rows of `Fits` as spectra of one product: before, and the part removed."""
    left, taken = (rows.data[:, place].astype(np.float64)
                   for place in (index, stage.shape[1] + index))
    weight = np.broadcast_to(rows.valid, rows.data.shape)[:, index]
    good = np.isfinite(left) & (weight > 0) & stage.use
    kept = good.any(axis=1)
    if not kept.any():
        raise UsageError(f"{stage.path}: nothing is valid in spectra {rows.start} to "
                         f"{rows.start + rows.n}; there is nothing to draw")
    return _Seen(rows.start, rows.n, np.where(good, left + taken, np.nan)[kept],
                 np.where(good, taken, np.nan)[kept], good[kept])


def _described(stage: Baseline) -> str:
    """Return the method with its main options, as text."""
    options = stage.method.parameters()
    shown = {"polynomial": ("order",), "arpls": ("lam",)}.get(stage.method.NAME, ("period",))
    texts = [f"{key} {', '.join(f'{each:g}' for each in np.atleast_1d(options[key]))}"
             + (" MHz" if key == "period" else "") for key in shown]
    return f"{stage.method.NAME}, {', '.join(texts)}"


def _radiometer(stage: Baseline, seen: _Seen, name: str, tsys: Any) -> F8 | None:
    """Return the scatter of a channel of one spectrum by the radiometer equation, (chan,).

    ``T / sqrt(bandwidth x time)``, or for I of two polarisations, ``T_I / sqrt(2 bandwidth x
    time)``.
    None if the product is not a power and no temperature is given.
    """
    powers = ("I", "AA", "BB", "XX", "YY", "RR", "LL")
    if tsys is None and name not in powers:
        return None
    level: F8 = _mean(seen.before) if tsys is None else np.full(
        seen.before.shape[1], number(tsys, stage.header.unit or "", "tsys"))
    return radiometer(np.abs(level), float(stage.axis.step_hz), 1 / float(stage.header.sample_rate),
                      n_pol=stage.polarization.n_added(name))


def _mean(values: F8) -> F8:
    """Average over rows; NaN in channels with nothing valid."""
    good = np.isfinite(values)
    total, n = np.where(good, values, 0).sum(axis=0), good.sum(axis=0)
    mean: F8 = np.divide(total, n, out=np.full(total.shape, np.nan), where=n > 0)
    return mean


def _draw_spectra(axes: Any, stage: Baseline, seen: _Seen) -> None:
    """Draw the mean spectrum and the model; a ripple is drawn on top of the trend."""
    before, model = _mean(seen.before), _mean(seen.model)
    trend = _trend(stage, before - model) if _is_ripple(stage) else 0.0
    line(axes, stage.frequency_mhz, before, _BEFORE, label="before")
    line(axes, stage.frequency_mhz, model + trend, _MODEL,
         label="model on the trend" if _is_ripple(stage) else "model")
    _shade(axes, stage)
    low, high = np.nanpercentile(before, (0.5, 99.5))
    room = 0.25 * (high - low) or 1.0
    axes.set_ylim(max(low - room, np.nanmin(before) - room / 5),
                  max(high + room, min(np.nanmax(before), high + 4 * room)))
    axes.set_ylabel(f"mean ({stage.header.unit or 'recorded units'})")
    _finish(axes)


def _is_ripple(stage: Baseline) -> bool:
    return stage.method.NAME.startswith("ripple")


def _trend(stage: Baseline, values: F8) -> F8:
    """Return the smooth part of a spectrum without its ripple."""
    return polynomial(values, stage.frequency_mhz, None, int(getattr(stage.method, "trend", 0)),
                      protect=stage.protect)


def _draw_rest(axes: Any, stage: Baseline, seen: _Seen, sigma: F8 | None) -> None:
    """Draw the mean residual, with three times the scatter by the radiometer equation."""
    after = _mean(seen.after)
    middle = _trend(stage, after) if _is_ripple(stage) else 0.0
    line(axes, stage.frequency_mhz, after - middle, _AFTER,
         label="after, less the trend" if _is_ripple(stage) else "after")
    outside = (after - middle)[_outside(stage)]
    reach = 6 * 1.4826 * np.nanmedian(np.abs(outside)) or 1.0
    if sigma is not None:
        band = 3 * sigma / np.sqrt(len(after) and len(seen.before))
        for sign in (-1, 1):
            axes.plot(stage.frequency_mhz, sign * band, color="black", lw=0.8, ls="--",
                      label="±3σ of the radiometer" if sign > 0 else None)
        reach = max(reach, 1.5 * float(np.nanmedian(band)))
    axes.set_ylim(-reach, 1.3 * reach)
    _shade(axes, stage)
    axes.set_ylabel(f"mean left ({stage.header.unit or 'recorded units'})")
    axes.set_xlabel("frequency (MHz)")
    _finish(axes)


def _outside(stage: Baseline) -> NDArray[np.bool_]:
    return stage.use & ~inside(stage.frequency_mhz, stage.protect)


def _flat(stage: Baseline, values: F8) -> F8:
    """Subtract the mean of spectra, or the trend of a ripple; 0 where not valid and in lines."""
    order = int(getattr(stage.method, "trend", 0))
    used = np.isfinite(values) & _outside(stage)
    flat = values - polynomial(values, stage.frequency_mhz, used, order)
    return np.where(used & np.isfinite(flat), flat, 0)


def _draw_delays(axes: Any, stage: Baseline, seen: _Seen, sigma: F8 | None) -> None:
    """Draw amplitudes by delay of the mean spectrum, outside lines."""
    step = float(stage.axis.step_hz / 10**6)
    n = seen.before.shape[1]
    delay = np.fft.rfftfreq(n, step)
    taper, sizes = np.hanning(n), []
    for values, color, label in ((seen.before, _BEFORE, "before"), (seen.after, _AFTER, "after")):
        flat = _flat(stage, _mean(values)[np.newaxis])[0]
        size = 2 * np.abs(np.fft.rfft(flat * taper)) / taper.sum()
        line(axes, delay[1:], size[1:], color, label=label)
        sizes.append(size[1:])
    if sigma is not None:
        noise = float(np.nanmedian(sigma)) / np.sqrt(len(seen.before))
        level = noise * np.sqrt(np.pi * (taper**2).sum()) / taper.sum()
        axes.axhline(level, color="black", lw=0.8, ls="--", label="radiometer")
    for index, period in enumerate(getattr(stage.method, "period", ())):
        half = stage.method.parameters()["width"] / 2
        axes.axvspan((1 - half) / period, (1 + half) / period, color=_LINE, alpha=0.2, lw=0,
                     label=None if index else "searched")
    axes.set(xscale="log", xlabel="delay (µs)", ylabel="amplitude")
    _log_scale(axes, np.concatenate(sizes))
    _finish(axes)


def _draw_noise(axes: Any, stage: Baseline, seen: _Seen, sigma: F8 | None) -> None:
    """Draw the scatter along frequency, outside lines, of means of more and more spectra."""
    counts = [2**k for k in range(int(np.log2(len(seen.before))) + 1)]
    seconds = np.array(counts) / float(stage.header.sample_rate)
    rms, less = {}, ", less the trend" if _is_ripple(stage) else ""
    for values, color, label in ((seen.before, _BEFORE, f"before{less}"),
                                 (seen.after, _AFTER, f"after{less}")):
        rms[label] = np.array([_scatter(stage, values, n) for n in counts])
        axes.plot(seconds, rms[label], color=color, lw=1, marker="o", ms=3.5, label=label)
    if sigma is not None:
        ideal = float(np.sqrt(np.nanmean(sigma[_outside(stage)] ** 2))) / np.sqrt(counts)
        axes.plot(seconds, ideal, color="black", lw=0.8, ls="--", label="radiometer")
        once, last = (f"{part[0] / ideal[0]:.3g} → {part[-1] / ideal[-1]:.3g}"
                      for part in rms.values())
        axes.text(0.03, 0.05, f"rms over the radiometer's, 1 → {counts[-1]} spectra\n"
                  f"before {once}\nafter {last}", fontsize=8, transform=axes.transAxes)
    axes.set(xscale="log", xlabel="time averaged (s)", ylabel="rms of a channel")
    _log_scale(axes, np.concatenate([each.get_ydata() for each in axes.lines]), 4)
    _finish(axes)


def _log_scale(axes: Any, values: F8, below: float = 1.0) -> None:
    """Set a logarithmic axis with room for the legend, and below for a text if requested."""
    good = values[values > 0]
    if good.size:
        low, high = np.percentile(good, 1), good.max()
        axes.set(yscale="log", ylim=(low / below, high * max(3.0, (high / low) ** 0.2)))


def _scatter(stage: Baseline, values: F8, n: int) -> float:
    """Return the RMS along frequency of means of `n` spectra."""
    groups = len(values) // n
    means = np.stack([_mean(values[k * n : (k + 1) * n]) for k in range(groups)])
    flat = _flat(stage, means)
    return float(np.sqrt((flat**2).sum() / max(1, np.count_nonzero(flat))))


def _shade(axes: Any, stage: Baseline) -> None:
    for index, (low, high) in enumerate(stage.protect):
        axes.axvspan(low, high, color=_LINE, alpha=0.2, lw=0,
                     label=None if index else "protected")
    axes.set_xlim(stage.frequency_mhz[0], stage.frequency_mhz[-1])


def _finish(axes: Any) -> None:
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="upper right", ncols=4, framealpha=0.8)
    if axes.get_xscale() == "linear":
        axes.ticklabel_format(useOffset=False)
