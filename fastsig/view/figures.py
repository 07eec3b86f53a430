"""Code shared by the pictures: figures without a screen, titles, units of time, lines."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np

from fastsig.stream import Stream

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLORS = ("#1b6ca8", "#d1495b", "#3a7d44", "#8d6a9f")


# The figures made within `in_pyplot`; None outside it.
_MADE: ContextVar[list[Figure] | None] = ContextVar("made", default=None)


@contextmanager
def in_pyplot() -> Iterator[None]:
    """Make figures that belong to pyplot; those of a picture that fails are closed."""
    made: list[Figure] = []
    token = _MADE.set(made)
    try:
        yield
    except BaseException:
        from fastsig.view.shown import close

        for figure in made:
            close(figure)
        raise
    finally:
        _MADE.reset(token)


def new_figure(width: float, height: float) -> Figure:
    """Return a figure of this size in inches, drawn without a screen except within `in_pyplot`."""
    made = _MADE.get()
    if made is not None:
        from fastsig.view.shown import pyplot_figure

        made.append(pyplot_figure(width, height))
        return made[-1]
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def wrapped(text: str, width: int) -> str:
    """Wrap a title into lines of at most `width` characters, if possible at the dots."""
    lines: list[str] = []
    for part in text.split(" · "):
        pieces = textwrap.wrap(part, width, break_on_hyphens=False) or [""]
        joined = f"{lines[-1]} · {pieces[0]}" if lines else ""
        if lines and len(joined) <= width:
            lines[-1:] = [joined, *pieces[1:]]
        else:
            lines += pieces
    return "\n".join(lines)


def title(stream: Stream) -> str:
    """Return the file, telescope, source and beam of a stream, as far as they are known."""
    header = stream.header
    what = [header.telescope, header.source, f"beam {header.beam}" if header.beam else None]
    root: Stream = stream
    while root.inputs():
        root = root.inputs()[0]
    more = len(root.files) - 1
    name = os.path.basename(stream.path.rstrip("/")) + (f" and {more} more" if more > 0 else "")
    return " · ".join([name, *(item for item in what if item)])


def width_text(hertz: float) -> str:
    """Return a width of channels in a suitable unit."""
    unit, scale = frequency_unit(hertz)
    return f"{hertz / scale:.6g} {unit}"


def frequency_unit(hertz: float) -> tuple[str, float]:
    """Return a suitable unit for a frequency, and the unit in Hz."""
    return next(each for each in (("MHz", 1e6), ("kHz", 1e3), ("Hz", 1.0))
                if hertz >= each[1] or each[1] == 1)


def plain_logarithmic(axis: Any) -> None:
    """Label a logarithmic axis with plain numbers; within a decade, its minor ticks as well."""
    low, high = axis.get_view_interval()
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter("{x:.3g}" if high < 10 * low else "")


def time_unit(seconds: float) -> tuple[str, float]:
    """Return a suitable unit for a length of time, and the unit in seconds."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= 2 * scale:
            return unit, scale
    return "ns", 1e-9


def line(axes: Any, x: Any, y: Any, color: str, **more: Any) -> None:
    """Draw a line; a single point is drawn as a dot."""
    axes.plot(x, y, color=color, lw=0.8, marker="o" if len(x) == 1 else None, **more)


def legend_above(axes: Any, columns: int = 2) -> None:
    """Put the legend above a panel, where it hides nothing."""
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=columns, fontsize=8,
                frameon=False, borderaxespad=0.1)


def zero_line(axes: Any, values: Any) -> None:
    """Draw a line at zero, unless this would flatten values on a high level."""
    known = np.asarray(values)[np.isfinite(values)]
    if not known.size or np.abs(known).min() <= 2 * np.ptp(known):
        axes.axhline(0, color="black", lw=0.6, alpha=0.5)
