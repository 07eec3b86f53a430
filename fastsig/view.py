"""Pictures of streams: what one looks at first, with units, UTC and sensible cuts."""

from __future__ import annotations

import base64
import io as memory
import os
from fractions import Fraction
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastsig import validity
from fastsig.errors import PlanError, UsageError
from fastsig.frequency import ChannelAxis
from fastsig.io import describe
from fastsig.io._positioned import write_from
from fastsig.io.provenance import input_files
from fastsig.io.safe import SafeOutput, check_output
from fastsig.stages.channelize import Channelize
from fastsig.stages.integrate import Integrate
from fastsig.stages.select import SelectVoltages
from fastsig.stream import SpectrumStream, Stream, VoltageStream
from fastsig.time import iso

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["check_picture", "draw"]

_SUFFIXES = (".png", ".pdf", ".svg", ".html")
_PIXELS = 1024  # most rows and channels of a waterfall
_SAMPLES = 2**24  # most samples of a polarisation that a picture of voltages looks at
_COLORS = ("#1b6ca8", "#d1495b", "#3a7d44", "#8d6a9f")


def check_picture(path: str) -> None:
    """Raise `UsageError` where a path does not end as a picture or page does."""
    if os.path.splitext(path)[1].lower() not in _SUFFIXES:
        raise UsageError(f"{path}: a picture ends in {', '.join(_SUFFIXES)}")


def draw(
    stream: Stream, path: str | os.PathLike[str] | None = None, *, overwrite: bool = True,
    product: str | None = None,
) -> Figure:
    """Draw a stream; save the picture where `path` is given.

    Parameters
    ----------
    stream : VoltageStream or SpectrumStream
        What to draw.
    path : path, optional
        Picture (.png, .pdf, .svg) or self-contained page (.html).
    overwrite : bool
        Whether an existing file may be replaced.
    product : str, optional
        Which product of spectra; the first by default.

    Raises
    ------
    UsageError
        Where the product or the path's ending is unknown.
    PlanError
        Where the stream is neither voltages nor spectra.
    """
    if path is not None:
        check_picture(os.fspath(path))
        check_output(path, overwrite=overwrite, inputs=input_files(stream))
    if isinstance(stream, VoltageStream):
        if product is not None:
            raise UsageError(f"product = {product!r}; voltages have no products: leave it out")
        figure = _draw_voltages(stream)
    elif isinstance(stream, SpectrumStream):
        figure = _draw_spectra(stream, product)
    else:
        raise PlanError(f"there is no picture of {stream.kind}: detect first")
    if path is not None:
        _save(figure, stream, os.fspath(path), overwrite)
    return figure


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Figure, stream: Stream, path: str, overwrite: bool) -> None:
    kind = os.path.splitext(path)[1].lower().lstrip(".")
    picture = memory.BytesIO()
    figure.savefig(picture, format="png" if kind == "html" else kind, dpi=150)
    content = _page(stream, picture.getvalue()) if kind == "html" else picture.getvalue()
    with SafeOutput(path, overwrite=overwrite) as output:
        try:
            write_from(output.descriptor, np.frombuffer(content, np.uint8), 0)
        except OSError as error:
            raise output.error(error) from error


def _page(stream: Stream, picture: bytes) -> bytes:
    facts = {key: value for key, value in describe(stream, "").items() if value not in (None, "")}
    rows = "".join(f"<tr><th>{escape(key)}</th><td>{escape(str(value))}</td></tr>"
                   for key, value in facts.items())
    name = escape(os.path.basename(stream.path))
    style = "body{font:15px sans-serif;margin:2em}th{text-align:left;padding-right:2em}"
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{name}</title>"
        f"<style>{style}</style><h1>{name}</h1>"
        f"<img alt='picture of {name}' style='max-width:100%' "
        f"src='data:image/png;base64,{base64.b64encode(picture).decode()}'>"
        f"<table>{rows}</table></html>"
    ).encode()


def _title(stream: Stream) -> str:
    header = stream.header
    what = [header.telescope, header.source, f"beam {header.beam}" if header.beam else None]
    return " · ".join([os.path.basename(stream.path.rstrip("/")), *(item for item in what if item)])


def _time_unit(seconds: float) -> tuple[str, float]:
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= 2 * scale:
            return unit, scale
    return "ns", 1e-9


# --- spectra -------------------------------------------------------------------------------


def _draw_spectra(stream: SpectrumStream, product: str | None) -> Figure:
    names = stream.polarization.names
    if product is not None and product not in names:
        raise UsageError(f"product = {product!r}; this file has {', '.join(names)}")
    index = 0 if product is None else names.index(product)
    values, weights, seconds, frequency = _waterfall(stream, index)
    figure = _figure(10, 7.5)
    grid = figure.add_gridspec(3, 3, width_ratios=(5, 1.2, 0.35), height_ratios=(1.6, 5, 0.1))
    main = figure.add_subplot(grid[1, 0])
    top = figure.add_subplot(grid[0, 0], sharex=main)
    side = figure.add_subplot(grid[1, 1], sharey=main)
    cover = figure.add_subplot(grid[1, 2], sharey=main)
    unit, scale = _time_unit(seconds[-1] - seconds[0])
    width = frequency[1] - frequency[0]  # of a pixel; the last may stand for fewer channels
    extent = (frequency[0], frequency[0] + width * (len(frequency) - 1),
              seconds[0] / scale, seconds[-1] / scale)
    _image(figure, main, values, extent, names[index])
    centers = (frequency[:-1] + frequency[1:]) / 2
    middles = (seconds[:-1] + seconds[1:]) / 2 / scale
    with np.errstate(invalid="ignore", divide="ignore"):
        spectrum = _weighted(values, weights, 0)
        series = _weighted(values, weights, 1)
    axis = stream.header.channels
    if axis is not None and axis.half_channel is not None and len(centers) == axis.n_chan:
        spectrum[axis.half_channel] = np.nan  # not on the scale of whole channels
    _line(top, centers, spectrum, _COLORS[0])
    _line(side, series, middles, _COLORS[0])
    _line(cover, 100 * weights.mean(axis=1), middles, _COLORS[2])
    main.set_xlim(frequency[0], frequency[-1])
    main.set_xlabel("frequency (MHz)")
    main.set_ylabel(f"time ({unit}) from {iso(stream.start_time)} UTC")
    top.set_ylabel("mean power")
    side.set_xlabel("mean power")
    cover.set_xlabel("valid (%)")
    cover.set_xlim(-5, 105)
    note = figure.add_subplot(grid[0, 1:])
    note.axis("off")
    note.text(0, 0.95, _resolution(stream), va="top", fontsize=8, transform=note.transAxes)
    for axes in (top, side, cover):
        axes.grid(alpha=0.3)
    for axes in (main, top, side):
        axes.ticklabel_format(useOffset=False)
    top.tick_params(labelbottom=False)
    for axes in (side, cover):
        axes.tick_params(labelleft=False)
    top.set_title(f"{_title(stream)} · {names[index]}", fontsize=10)
    if stream.header.channels is None:
        main.set_xlabel("channel")
    return figure


def _line(axes: Any, x: Any, y: Any, color: str, **more: Any) -> None:
    """A line; a lone point shows as a dot."""
    axes.plot(x, y, color=color, lw=0.8, marker="o" if len(x) == 1 else None, **more)


def _resolution(stream: SpectrumStream) -> str:
    seconds = float(1 / stream.header.sample_rate)
    unit, scale = _time_unit(2 * seconds)
    lines = [f"{stream.shape[0]} spectra of {seconds / scale:.6g} {unit}"]
    axis = stream.header.channels
    if axis is not None:
        lines.append(f"{axis.n_chan} channels of {float(axis.step_hz) / 1e3:.6g} kHz")
    lines.append("products " + ", ".join(stream.polarization.names))
    return "\n".join([*lines, f"{stream.polarization.kind} feeds", "grey: nothing valid"])


def _waterfall(
    stream: SpectrumStream, index: int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """One product at most `_PIXELS` square: values, weights, edges in s, edges in MHz."""
    n_int = max(1, -(-stream.shape[0] // _PIXELS))
    n_chan = stream.shape[2]
    groups = np.arange(0, n_chan, max(1, -(-n_chan // _PIXELS)))
    small = Integrate(stream, n_int=n_int) if n_int > 1 else stream
    step = max(1, 2**24 // max(1, small.row_bytes))
    values, weights = [], []
    for start in range(0, small.shape[0], step):
        block = small.read_block(start, min(step, small.shape[0] - start))
        weight = np.broadcast_to(block.valid, block.data.shape)[:, index]
        value, weight = _grouped(block.data[:, index], weight, groups)
        values.append(value)
        weights.append(weight)
    seconds = np.arange(small.shape[0] + 1) * float(1 / small.header.sample_rate)
    axis, bounds = small.header.channels, np.append(groups, n_chan)
    if axis is None:
        return np.concatenate(values), np.concatenate(weights), seconds, bounds - 0.5
    low, width = (float(value / 10**6) for value in (axis.edges_hz[0], axis.step_hz))
    return np.concatenate(values), np.concatenate(weights), seconds, low + bounds * width


def _grouped(
    values: NDArray[Any], weights: NDArray[Any], groups: NDArray[np.int64]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Weighted means over groups of channels, the last of which may be shorter."""
    if len(groups) == values.shape[1]:
        return values, weights
    total = np.where(weights > 0, values, 0) * weights.astype(np.float64)
    total, weight = (np.add.reduceat(part, groups, axis=1) for part in (total, weights))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / weight
    return mean, weight / np.diff(np.append(groups, values.shape[1]))


def _weighted(values: NDArray[Any], weights: NDArray[Any], axis: int) -> NDArray[np.float64]:
    total = np.where(weights > 0, values, 0) * weights.astype(np.float64)
    mean: NDArray[np.float64] = total.sum(axis=axis) / weights.sum(axis=axis, dtype=np.float64)
    return mean


def _image(
    figure: Figure, axes: Any, values: NDArray[Any], extent: tuple[float, ...], name: str
) -> None:
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, (1, 99.5)) if finite.size else (0, 1)
    if high <= low:
        low, high = low - 0.5, low + 0.5
    signed = name in ("Q", "U", "V", "CR", "CI")
    if signed:
        high = max(abs(low), abs(high))
        low = -high
    axes.set_facecolor("#bbbbbb")  # what is not valid
    image = axes.imshow(
        values, origin="lower", aspect="auto", interpolation="nearest", extent=extent,
        cmap="RdBu_r" if signed else "viridis", vmin=low, vmax=high,
    )
    figure.colorbar(image, ax=axes, location="bottom", label=f"{name} (recorder units²)",
                    fraction=0.05, pad=0.02, aspect=50)


# --- voltages ------------------------------------------------------------------------------


def _draw_voltages(stream: VoltageStream) -> Figure:
    if stream.shape[0] == 0:
        raise PlanError(f"{stream.path}: the stream is empty")
    names = stream.polarization.names
    blocks, share = _sample(stream)
    figure = _figure(10, 8)
    axes = figure.subplots(3, 1)
    for pol, name in enumerate(names[:len(_COLORS)]):
        color = _COLORS[pol]
        samples = np.concatenate([_valid(block, pol) for block in blocks])
        _histogram(axes[0], samples, stream, name, color)
    _power(axes[1], stream, blocks)
    _bandpass(axes[2], stream, blocks)
    note = "" if share == 1 else f" · from {100 * share:.2g} % of the samples"
    more = "" if len(names) <= len(_COLORS) else f" · first {len(_COLORS)} of {len(names)} inputs"
    axes[0].set_title(_title(stream) + note + more, fontsize=10)
    for panel in axes:
        panel.grid(alpha=0.3)
    return figure


def _sample(stream: VoltageStream) -> tuple[list[Any], float]:
    """Blocks spread evenly over a stream, and the share of it that they hold."""
    n = stream.shape[0]
    budget = max(1, _SAMPLES // int(np.prod(stream.shape[1:])) * 2)
    if n <= budget:
        return [stream.read_block(0, n)], 1.0
    count = 256
    length = budget // count
    starts = np.linspace(0, n - length, count).astype(int)
    return [stream.read_block(int(start), length) for start in starts], count * length / n


def _valid(block: Any, pol: int) -> NDArray[Any]:
    """The valid samples of a block, real and imaginary parts alike."""
    spans = validity.clip(block.valid[pol], block.start, block.start + block.n) - block.start
    parts = [block.data[first:stop, pol] for first, stop in spans]
    samples = np.concatenate([*parts, block.data[:0, pol]]).reshape(-1)
    return samples.view(np.float32) if np.iscomplexobj(samples) else samples


def _histogram(
    axes: Any, samples: NDArray[Any], stream: VoltageStream, name: str, color: str
) -> None:
    if not samples.size:
        axes.plot([], [], color=color, label=f"{name}: no valid samples")
        axes.legend(loc="upper right", fontsize=8)
        return
    bits = stream.header.n_bits
    integer = bits <= 16 and bool(np.all(samples[:4096] == np.round(samples[:4096])))
    spread = float(samples.std(dtype=np.float64))
    label = f"{name}: rms {spread:.4g}"
    if integer:
        low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
        clipped = np.count_nonzero((samples <= low) | (samples >= high)) / samples.size
        label += f", at the limits {100 * clipped:.3g} %"
        reach = (low, high) if bits <= 8 else (int(samples.min()), int(samples.max()))
        width = 1 if bits <= 8 else max(1, int((reach[1] - reach[0]) // 256))
        edges = np.arange(np.floor(reach[0]) - 0.5, reach[1] + width, width)
    else:
        low, high = np.percentile(samples, (0.1, 99.9))
        edges = np.linspace(low, high if high > low else low + 1, 257)
    counts, edges = np.histogram(samples, edges)
    axes.stairs(counts, edges, color=color, label=label)
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.5)
    axes.set_xlabel("sample value (recorder units)")
    axes.set_ylabel("samples")
    axes.legend(loc="upper right", fontsize=8)


def _power(axes: Any, stream: VoltageStream, blocks: list[Any]) -> None:
    unit, scale = _time_unit(float(stream.duration.value))
    rate = float(stream.header.sample_rate)
    for pol, name in enumerate(stream.polarization.names[:len(_COLORS)]):
        times, powers = [], []
        for block in blocks:
            step = max(1, block.n // max(1, 1024 // len(blocks)))
            for start in range(0, block.n, step):
                part = block.data[start : start + step, pol]
                held = validity.clip(block.valid[pol], block.start + start,
                                     block.start + start + len(part))
                share = validity.count(held) * int(np.prod(part.shape[1:]))
                total = float(np.sum(np.abs(part.astype(np.complex128)) ** 2))
                times.append((block.start + start + len(part) / 2) / rate / scale)
                powers.append(total / share if share else np.nan)
        _line(axes, times, powers, _COLORS[pol], label=name)
    axes.set_xlabel(f"time ({unit}) from {iso(stream.start_time)} UTC")
    axes.set_ylabel("mean power")


def _bandpass(axes: Any, stream: VoltageStream, blocks: list[Any]) -> None:
    """Mean spectrum of each input, through a small filter bank over the blocks looked at."""
    n_chan = 2 ** int(np.clip(np.log2(max(2, blocks[0].n / 64)), 1, 9))
    known = stream.header.channels is not None
    source = stream if known else _without_frequency(stream)
    bank = Channelize(source, n_chan, n_tap=4) if stream.shape[0] >= 8 * n_chan else None
    if bank is None:
        axes.text(0.5, 0.5, "too few samples for a spectrum", ha="center", va="center",
                  transform=axes.transAxes)
        return
    axis = bank.header.channels
    frequency = axis.centers.value if axis is not None else np.arange(bank.shape[2])
    for pol, name in enumerate(stream.polarization.names[:len(_COLORS)]):
        total, weight = np.zeros(bank.shape[2]), 0.0
        for block in blocks:
            n = bank.bank.n_frame(block.n)
            frames = np.empty((n, *bank.shape[1:]), np.complex64)
            bank.transform(block.data[: bank.samples(0, n)[1]], frames)
            moved = tuple(validity.shift(spans, -block.start) for spans in block.valid)
            energy = bank.energy(moved[pol : pol + 1], 0, n)[:, 0]
            total += (np.abs(frames[energy > 0, pol].astype(np.complex128)) ** 2).sum(axis=0)
            weight += energy.sum()
        if weight:
            if axis is not None and axis.half_channel is not None:
                total[axis.half_channel] = np.nan  # not on the scale of whole channels
            axes.plot(frequency, total / weight, color=_COLORS[pol], lw=0.8, label=name)
    if any(np.any(line.get_ydata() > 0) for line in axes.lines):
        axes.set_yscale("log")
    axes.ticklabel_format(axis="x", useOffset=False)
    axes.set_xlabel("frequency (MHz)" if known else "frequency within the band (MHz)")
    axes.set_ylabel(f"power, {n_chan} channels")


def _without_frequency(stream: VoltageStream) -> VoltageStream:
    """The same stream with its band put at 0 Hz, for files that do not tell their frequency."""
    rate = stream.header.sample_rate
    width = rate if stream.header.is_complex else rate / 2
    center = Fraction(0) if stream.header.is_complex else width / 2
    placed = SelectVoltages(stream, (0, stream.shape[0]))
    placed.header = stream.header.replace(channels=ChannelAxis.band(center, width))
    return placed

