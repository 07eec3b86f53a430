"""Pictures of voltages: histogram with its share at the limits, power over time, bandpass."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastsig.axes import validity
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.time import iso
from fastsig.errors import PlanError, UsageError
from fastsig.stages.channelize import Channelize
from fastsig.stages.select import SelectVoltages
from fastsig.stream import VoltageStream
from fastsig.view.figures import (
    COLORS,
    legend_above,
    line,
    new_figure,
    time_unit,
    title,
    wrapped,
)
from fastsig.view.histograms import histogram

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SAMPLES = 2**24  # maximum number of samples of a polarisation that a picture uses


def draw_voltages(stream: VoltageStream) -> Figure:
    """Draw the histogram, power over time and bandpass of every input, four at most."""
    blocks, note = _blocks(stream)
    figure = new_figure(10, 8)
    for axes, panel in zip(figure.subplots(3, 1), PANELS.values(), strict=True):
        panel(axes, stream, blocks)
        axes.grid(alpha=0.3)
    figure.suptitle(wrapped(" · ".join([title(stream), *note]), 100), fontsize=10)
    return figure


def draw_voltage_panel(axes: Any, stream: VoltageStream, what: str | None) -> list[str]:
    """Draw one panel in axes, by default the histogram; return notes for a title."""
    if what not in (None, *PANELS):
        raise UsageError(f"what = {what!r}; allowed for voltages: {', '.join(PANELS)}")
    blocks, notes = _blocks(stream)
    PANELS[what or "histogram"](axes, stream, blocks)
    return notes


def _blocks(stream: VoltageStream) -> tuple[list[Any], list[str]]:
    """Return blocks of samples, and notes about them for a title."""
    if stream.shape[0] == 0:
        raise PlanError(f"{stream.path}: the stream is empty")
    blocks, share = _sample(stream)
    note = [] if share == 1 else [f"from {100 * share:.2g} % of the samples"]
    n_input = len(stream.polarization.names)
    if n_input > len(COLORS):
        note.append(f"first {len(COLORS)} of {n_input} inputs")
    return blocks, note


def _sample(stream: VoltageStream) -> tuple[list[Any], float]:
    """Return blocks spread evenly over a stream, and the share of the stream that they contain."""
    n = stream.shape[0]
    budget = max(1, _SAMPLES // int(np.prod(stream.shape[1:])) * 2)
    if n <= budget:
        return [stream.read_block(0, n)], 1.0
    count = 256
    length = budget // count
    starts = np.linspace(0, n - length, count).astype(int)
    return [stream.read_block(int(start), length) for start in starts], count * length / n


def _valid(block: Any, pol: int) -> NDArray[Any]:
    """Return the valid samples of a block, real and imaginary parts together."""
    spans = validity.clip(block.valid[pol], block.start, block.start + block.n) - block.start
    parts = [block.data[first:stop, pol] for first, stop in spans]
    samples = np.concatenate([*parts, block.data[:0, pol]]).reshape(-1)
    return samples.view(np.float32) if np.iscomplexobj(samples) else samples


def _histograms(axes: Any, stream: VoltageStream, blocks: list[Any]) -> None:
    for pol, name in enumerate(stream.polarization.names[:len(COLORS)]):
        samples = np.concatenate([_valid(block, pol) for block in blocks])
        if samples.size:
            _histogram(axes, samples, stream.header.n_bits, name, COLORS[pol])
        else:
            axes.plot([], [], color=COLORS[pol], label=f"{name}: no valid samples")
    axes.set_yscale("log")
    top = max((float(step.get_data().values.max()) for step in axes.patches), default=1.0)
    axes.set_ylim(0.5, 3 * top)  # above the outline if there are few levels
    axes.set_xlabel("sample value (recorder units)")
    axes.set_ylabel("samples")
    legend_above(axes)


def _histogram(axes: Any, samples: NDArray[Any], n_bits: int, name: str, color: str) -> None:
    found = histogram(samples, n_bits)
    label = f"{name}: rms {float(samples.std(dtype=np.float64)):.4g}"
    if found.at_limits is not None:
        label += f", at the limits {100 * found.at_limits:.3g} %"
    if found.outside:
        label += f", {100 * found.outside:.2g} % beyond the axis"
    axes.stairs(found.counts, found.edges, color=color, label=label)


def _power(axes: Any, stream: VoltageStream, blocks: list[Any]) -> None:
    unit, scale = time_unit(float(stream.duration.value))
    rate = float(stream.header.sample_rate)
    for pol, name in enumerate(stream.polarization.names[:len(COLORS)]):
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
        line(axes, times, powers, COLORS[pol], label=name)
    axes.set_xlabel(f"time ({unit}) from {iso(stream.start_time)} UTC")
    axes.set_ylabel("mean power")


def _bandpass(axes: Any, stream: VoltageStream, blocks: list[Any]) -> None:
    """Draw the mean spectrum of each input, made by a small filter bank from the blocks."""
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
    for pol, name in enumerate(stream.polarization.names[:len(COLORS)]):
        total, weight = np.zeros(bank.shape[2]), 0.0
        for block in blocks:
            n = bank.bank.n_frame(block.n)
            frames = np.empty((n, *bank.shape[1:]), np.complex64)
            bank.transform(block.data[: bank.needs(0, n)[1]], 0, frames)
            moved = tuple(validity.shift(spans, -block.start) for spans in block.valid)
            energy = bank.energy(moved[pol : pol + 1], 0, n)[:, 0]
            total += (np.abs(frames[energy > 0, pol].astype(np.complex128)) ** 2).sum(axis=0)
            weight += energy.sum()
        if weight:
            if axis is not None and axis.half_channel is not None:
                total[axis.half_channel] = np.nan  # its scale is not that of whole channels
            axes.plot(frequency, total / weight, color=COLORS[pol], lw=0.8, label=name)
    if any(np.any(line.get_ydata() > 0) for line in axes.lines):
        axes.set_yscale("log")
    axes.ticklabel_format(axis="x", useOffset=False)
    axes.set_xlabel("frequency (MHz)" if known else "frequency within the band (MHz)")
    axes.set_ylabel(f"power, {n_chan} channels")


#: The panels that `draw_voltages` draws, from top to bottom.
PANELS: dict[str, Callable[[Any, VoltageStream, list[Any]], None]] = {
    "histogram": _histograms, "power": _power, "bandpass": _bandpass}


def _without_frequency(stream: VoltageStream) -> VoltageStream:
    """Return the stream with its band at 0 Hz, for files that do not state their frequency."""
    rate = stream.header.sample_rate
    width = rate if stream.header.is_complex else rate / 2
    n_chan = stream.shape[2] if len(stream.shape) == 3 else 1
    center = Fraction(0) if stream.header.is_complex else n_chan * width / 2
    axis = ChannelAxis(center - (n_chan - 1) * width / 2, width, n_chan)
    placed = SelectVoltages(stream, (0, stream.shape[0]))
    placed.header = stream.header.replace(channels=axis)
    return placed
