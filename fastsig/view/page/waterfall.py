"""The data of the page of a waterfall: every product, reduced until it fits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.polarization import SIGNED
from fastsig.axes.time import elapsed, iso, mjd_and_seconds, time_from_mjd
from fastsig.errors import PlanError, UsageError
from fastsig.run.waterfalls import reduced
from fastsig.stream import SpectrumStream
from fastsig.view.figures import width_text
from fastsig.view.page.codes import Scale, encode_weights, fitted
from fastsig.view.page.colors import color_maps
from fastsig.view.page.html import bytes_block, json_block
from fastsig.view.spectra import product_index
from fastsig.work.counted import counted

__all__ = ["blocks", "factors", "page_room", "waterfall_blocks"]

_OVERHEAD = 120_000  # bytes of script, style, colours and axes, and some room
_BYTES = 1.2  # per value in the page, about the minimum: 8 bits of noise deflated, then base64


def waterfall_blocks(
    stream: SpectrumStream, product: str | None, page_size: int, header: int
) -> str:
    """Return the data blocks of the page of spectra.

    Parameters
    ----------
    stream : SpectrumStream
    product : str or None
        The product that is shown first; the page contains all.
    page_size : int
        Maximum size of the page, in bytes.
    header : int
        Bytes of the page's header and provenance.
    """
    if not stream.shape[0]:
        raise PlanError(f"{stream.path}: the stream is empty")
    first, n_prod = product_index(stream, product), stream.shape[1]
    most = page_room(page_size, header)
    n_int, n_freq = factors(stream.shape[0], stream.shape[2], int(most / n_prod / _BYTES))
    while True:
        values, weights = reduced(stream, range(n_prod), n_int, n_freq)
        found = blocks(values, weights, most)
        if found is not None:
            break
        if values.shape[1] * values.shape[2] == 1:
            raise UsageError(f"page_size = {page_size} bytes; {n_prod} products do not fit")
        n_int, n_freq = _coarser(values.shape, n_int, n_freq)
    model, text = found
    names, unit = stream.polarization.names, stream.header.unit
    for each, name in zip(model["products"], names, strict=True):
        each |= {"name": name, "unit": unit or "recorded units", "signed": name in SIGNED}
    return json_block("model", {
        **model, "kind": "waterfall", "first": first, "maps": color_maps(),
        "x": _frequencies(stream, n_freq), "y": _times(stream, n_int),
        "description": _described(stream, n_int, n_freq),
    }) + text


def page_room(page_size: int, header: int) -> int:
    """Return the bytes of text left for data in a page of this size with this header."""
    least = 2 * _OVERHEAD + header
    if page_size < least:
        raise UsageError(f"page_size = {page_size} bytes; this page needs at least {least}")
    return page_size - _OVERHEAD - header


def factors(n_time: int, n_chan: int, most: int) -> tuple[int, int]:
    """Return the rows and channels to average for at most `most` cells, in about a square."""
    side = max(1, math.isqrt(most))
    if n_time * n_chan <= most:
        return 1, 1
    if n_chan <= side:
        return _parts(n_time, most // n_chan), 1
    if n_time <= side:
        return 1, _parts(n_chan, most // n_time)
    return _parts(n_time, side), _parts(n_chan, side)


def _parts(n: int, most: int) -> int:
    return -(-n // max(1, most))


def _coarser(shape: tuple[int, ...], n_int: int, n_freq: int) -> tuple[int, int]:
    return (n_int + 1, n_freq) if shape[1] >= shape[2] else (n_int, n_freq + 1)


def blocks(
    values: NDArray[Any], weights: NDArray[Any], room: int
) -> tuple[dict[str, Any], str] | None:
    """Return the model and data blocks of values (product, row, column); None beyond `room` bytes.

    Weights shared by several products are stored once, and weights that are all equal as a number.
    """
    values = np.where(weights > 0, values, np.nan)
    most = float(weights.max()) or 1.0
    kept: list[bytes] = []
    products: list[dict[str, Any]] = []
    for weight in weights:
        if weight.min() == weight.max():
            products.append({"weight": float(weight.flat[0])})
            continue
        coded = encode_weights(weight, most)
        if coded not in kept:
            kept.append(coded)
        products.append({"weights": f"w{kept.index(coded)}"})
    budget = room * 3 // 4 - sum(map(len, kept))
    found = fitted(list(values), budget)
    if found is None:
        return None
    text = "".join(bytes_block(f"w{number}", content) for number, content in enumerate(kept))
    for number, (scale, content) in enumerate(zip(*found, strict=True)):
        products[number] |= {"values": f"v{number}", **_scale(scale)}
        text += bytes_block(f"v{number}", content)
    return {"shape": values.shape[1:], "most": most, "products": products}, text


def _scale(scale: Scale) -> dict[str, Any]:
    return {"center": scale.center, "spread": scale.spread, "step": scale.step, "top": scale.top}


def _frequencies(stream: SpectrumStream, n_freq: int) -> dict[str, Any]:
    axis, n_chan = stream.header.channels, stream.shape[2]
    cells = {"n": -(-n_chan // n_freq), "end": n_chan / n_freq}
    if axis is None:
        return {**cells, "lo": -0.5, "step": n_freq, "name": "channel", "unit": ""}
    low, width = (float(value / 10**6) for value in (axis.edges_hz[0], axis.step_hz))
    half = axis.half_channel if n_freq == 1 else None
    return {**cells, "lo": low, "step": width * n_freq, "name": "frequency", "unit": "MHz",
            "half": half, **_rest(stream)}


def _rest(stream: SpectrumStream) -> dict[str, Any]:
    """Return rest frequency (MHz) and frame; nothing if the file states no rest frequency."""
    header = stream.header
    if header.rest_hz is None:
        return {}
    return {"rest": header.rest_hz / 1e6, "frame": header.specsys or "frame not known"}


def _times(stream: SpectrumStream, n_int: int) -> dict[str, Any]:
    step = float(n_int / stream.header.sample_rate)
    return {"n": -(-stream.shape[0] // n_int), "end": stream.shape[0] / n_int, "lo": 0,
            "step": step, "name": "time", "unit": "s", "start": iso(stream.start_time),
            "leap": _leap(stream)}


def _leap(stream: SpectrumStream) -> float | None:
    """Return the seconds from the start to a leap second within the stream."""
    day, last = mjd_and_seconds(stream.start_time)[0], mjd_and_seconds(stream.stop_time)[0]
    for each in range(day, min(last, day + 400)):
        begin, end = time_from_mjd(each), time_from_mjd(each + 1)
        if round(elapsed(begin, end)) > 86400:
            return float(elapsed(stream.start_time, end)) - 1
    return None


def _described(stream: SpectrumStream, n_int: int, n_freq: int) -> str:
    axis = stream.header.channels
    width = "" if axis is None else f" of {width_text(float(axis.step_hz))}"
    text = (f"{counted(stream.shape[0], 'spectrum', 'spectra')} of "
            f"{float(1 / stream.header.sample_rate):.6g} s, "
            f"{counted(stream.shape[2], 'channel', 'channels')}{width}")
    if n_int * n_freq == 1:
        return text + "; each pixel is a value of the file"
    return text + (f"; each pixel is the weighted mean of {counted(n_int, 'spectrum', 'spectra')} "
                   f"x {counted(n_freq, 'channel', 'channels')}")
